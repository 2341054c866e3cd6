//! Rate limits and passing failures: waited for where that helps, within what the run may wait, and never by sending
//! a write twice.

use std::time::Duration;

use gitops_updater::app::forge::{Forge as _, ForgeErrorClass};
use gitops_updater::forge::github::{GithubOptions, Time as _};
use jiff::SignedDuration;
use rstest::rstest;

use super::{BRANCH, TOKEN, World, proposal, token};
use crate::support::fake_forge::{Answer, Fault, PullState};

fn seconds(waits: &[Duration]) -> Vec<u64> {
    waits.iter().map(Duration::as_secs).collect()
}

/// Writes are told to slow down for this long.
fn slow_for(world: &World, duration: i64, status: u16, retry_after: Option<u64>) {
    let mut github = world.fake.github();
    let until = github.time.now() + SignedDuration::from_secs(duration);
    github.limits.slow_until = Some((until, status, retry_after));
}

#[rstest]
#[case::named_403(20, 403, Some(20), &[20])]
#[case::named_429(20, 429, Some(20), &[20])]
#[case::unnamed(60, 403, None, &[60])]
#[case::growing(100, 403, None, &[60, 120])]
#[tokio::test]
async fn secondary_limit_is_waited_for(
    #[case] lasts: i64,
    #[case] status: u16,
    #[case] retry_after: Option<u64>,
    #[case] waits: &[u64],
) {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    slow_for(&world, lasts, status, retry_after);
    world.forge().open(&proposal()).await.unwrap();
    assert_eq!(seconds(&world.fake.time.slept()), waits);
    assert_eq!(world.fake.github().pulls(PullState::Open), [1]);
}

#[tokio::test]
async fn wait_that_is_too_long_is_not_begun_and_its_end_is_said() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    slow_for(&world, 900, 403, Some(900));
    let error = world.forge().open(&proposal()).await.unwrap_err();
    let reset = Some("2026-11-21T10:15:00Z".parse().unwrap());
    assert_eq!(error.class, ForgeErrorClass::RateLimited { reset });
    assert_eq!(world.fake.time.slept(), [Duration::ZERO; 0]);
    assert_eq!(world.fake.writes(), ["POST /pulls"]);
}

#[tokio::test]
async fn waits_of_a_run_are_bounded_together() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    let forge = world.forge();
    for (lasts, is_waited_for) in [(200, true), (90, true), (30, false)] {
        slow_for(&world, lasts, 403, Some(lasts.unsigned_abs()));
        world.fake.github().comments.clear();
        let number = world.fake.github().pulls(PullState::Open).first().copied();
        let done = match number {
            None => forge.open(&proposal()).await.map(drop),
            Some(number) => forge.comment(number, "<!-- m -->", "text").await,
        };
        assert_eq!(done.is_ok(), is_waited_for, "{lasts}: {done:?}");
    }
    assert_eq!(seconds(&world.fake.time.slept()), [200, 90]);
}

#[tokio::test]
async fn primary_limit_that_ends_soon_is_waited_for() {
    let world = World::new().await;
    {
        let mut github = world.fake.github();
        github.limits.remaining = 0;
        github.limits.reset = github.time.now() + SignedDuration::from_secs(90);
    }
    world.forge().pull_requests().await.unwrap();
    assert_eq!(seconds(&world.fake.time.slept()), [90]);
}

#[tokio::test]
async fn primary_limit_that_ends_late_is_reported() {
    let world = World::new().await;
    world.fake.github().limits.remaining = 0;
    let error = world.forge().pull_requests().await.unwrap_err();
    let reset = Some("2026-11-21T11:00:00Z".parse().unwrap());
    assert_eq!(error.class, ForgeErrorClass::RateLimited { reset });
    assert!(error.hint.unwrap().contains("used up until 2026-11-21T11:00:00Z"));
}

/// GitHub allows 80 creations a minute; a run that makes more is spaced, and never told to slow down.
#[tokio::test]
async fn many_comments_are_spaced() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    let patient = GithubOptions { patience: Duration::from_secs(3600), ..world.options(token(TOKEN)) };
    let forge = world.forge_with(patient);
    let number = forge.open(&proposal()).await.unwrap().number;
    world.fake.seen();
    for i in 0..100 {
        forge.comment(number, &format!("<!-- {i} -->"), "text").await.unwrap();
    }
    assert_eq!(world.fake.github().comments.len(), 100);
    assert!(world.fake.seen().iter().all(|seen| seen.status < 400));
    assert!(world.fake.time.slept().iter().sum::<Duration>() < Duration::from_secs(120));
}

#[tokio::test]
async fn server_that_stays_broken_is_asked_four_times() {
    let world = World::new().await;
    for _ in 0..10 {
        world.fake.fail(Fault::instead("GET", "/repos", Answer::refuse(500, "Server Error")));
    }
    let error = world.forge().pull_requests().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Transient);
    assert_eq!(world.fake.seen().len(), 4);
    assert_eq!(seconds(&world.fake.time.slept()), [1, 2, 4]);
}

#[tokio::test]
async fn what_was_read_and_has_not_changed_costs_nothing() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    let forge = world.forge();
    forge.open(&proposal()).await.unwrap();
    let first = forge.pull_requests().await.unwrap();
    let before = world.fake.github().limits.remaining;
    assert_eq!(forge.pull_requests().await.unwrap(), first);
    assert_eq!(world.fake.github().limits.remaining, before);
    world.fake.github().issue(1).title = "changed".to_owned();
    assert_eq!(forge.pull_requests().await.unwrap()[0].title, "changed");
}

#[rstest]
#[case::web_page(Answer::new(200, serde_json::json!("<html>")))]
#[case::empty(Answer::empty(200))]
#[case::half(Answer::new(200, serde_json::json!([{"number": 1}])))]
#[tokio::test]
async fn answer_that_is_none_is_an_error_and_no_panic(#[case] answer: Answer) {
    let world = World::new().await;
    world.fake.fail(Fault::instead("GET", "/pulls", answer));
    let error = world.forge().pull_requests().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Permanent);
    assert!(error.message.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn silent_server_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::new().await;
    let options = GithubOptions {
        api: format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(),
        timeout: Duration::from_millis(100),
        retries: 1,
        ..world.options(token(TOKEN))
    };
    let error = world.forge_with(options).pull_requests().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Transient);
    assert!(error.message.contains("no answer from github.com"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_a_passing_failure() {
    let world = World::new().await;
    let options = world.options(token(TOKEN));
    let forge = world.forge_with(options);
    let World { fake, .. } = world;
    drop(fake);
    let error = forge.pull_requests().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Transient);
}

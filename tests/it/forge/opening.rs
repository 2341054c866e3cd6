//! Pull requests are opened once, and found again.

use gitops_updater::app::forge::{Forge as _, ForgeErrorClass, PullRequestState};

use super::{BRANCH, World, proposal};
use crate::support::fake_forge::{Account, Answer, Fault, PullState};

#[tokio::test]
async fn proposal_becomes_one_pull_request_however_often_it_is_made() {
    let world = World::new().await;
    let commit = world.push(BRANCH, "6.1.0");
    let first = world.forge().open(&proposal()).await.unwrap();
    assert_eq!(world.fake.writes(), ["POST /pulls"]);
    assert_eq!(
        (first.number, first.head.as_str(), &first.state),
        (1, commit.as_str(), &PullRequestState::Open)
    );
    assert_eq!(first.url, "https://github.com/acme/home-ops/pull/1");
    assert_eq!(first.body, proposal().body);

    let again = world.forge().open(&proposal()).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(world.fake.writes(), [""; 0]);
    assert_eq!(world.forge().pull_requests().await.unwrap(), [first]);
}

#[tokio::test]
async fn lost_answer_makes_no_second_pull_request() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    world.fake.fail(Fault::lost_answer("POST", "/pulls"));
    let opened = world.forge().open(&proposal()).await.unwrap();
    assert_eq!(opened.number, 1);
    assert_eq!(world.fake.writes(), ["POST /pulls"], "it is looked for before it is asked for again");
    assert_eq!(world.fake.github().pulls(PullState::Open), [1]);
}

#[tokio::test]
async fn list_has_our_branches_in_any_state_and_nothing_else() {
    let world = World::new().await;
    {
        let mut github = world.fake.github();
        for i in 0..150 {
            github.add_pull(Account::person(3, "jane"), &format!("feature-{i}"), true);
        }
        github.add_pull(Account::person(3, "jane"), BRANCH, true);
    }
    world.push(BRANCH, "6.1.0");
    let opened = world.forge().open(&proposal()).await.unwrap();
    assert_eq!(opened.number, 152, "the branch of the same name in a fork is another one");
    world.push("gitops-updater/other", "6.2.0");
    let mut other = proposal();
    other.branch = "gitops-updater/other".to_owned();
    let other = world.forge().open(&other).await.unwrap();
    world.fake.github().merge(other.number, "merge", "Merge").unwrap();
    let listed = world.forge().pull_requests().await.unwrap();
    assert_eq!(listed.iter().map(|pull| pull.number).collect::<Vec<_>>(), [153, 152]);
    let tip = world.fake.github().branch("main").unwrap();
    assert!(matches!(&listed[0].state, PullRequestState::Merged { commit, .. } if *commit == tip));
    assert_eq!(listed[1].state, PullRequestState::Open);
}

#[tokio::test]
async fn passing_failure_of_the_server_is_tried_again() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    world.fake.fail(Fault::instead("POST", "/pulls", Answer::refuse(502, "Server Error")));
    world.fake.fail(Fault::instead("GET", "/pulls", Answer::refuse(503, "Unavailable")));
    world.forge().open(&proposal()).await.unwrap();
    assert_eq!(world.fake.faults_left(), 0);
    assert_eq!(world.fake.github().pulls(PullState::Open), [1]);
}

#[tokio::test]
async fn branch_without_a_change_is_refused_with_the_servers_words() {
    let world = World::new().await;
    world.tree.run(["push", "--quiet", world.bare.to_str().unwrap(), &format!("main:refs/heads/{BRANCH}")]);
    let error = world.forge().open(&proposal()).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Permanent);
    assert!(error.message.contains(&format!("No commits between main and {BRANCH}")), "{error}");
    assert!(error.hint.unwrap().contains("push the change first"));
}

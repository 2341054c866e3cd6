//! The dashboard, checks and statuses.

use gitops_updater::app::forge::{Checks, CommitStatus, Forge as _, ForgeErrorClass, StatusState};
use gitops_updater::forge::github::DASHBOARD_MARKER;
use rstest::rstest;

use super::{BRANCH, World, me, proposal, token};
use crate::support::fake_forge::{Account, Fault, Wish};

const BODY: &str = "Pending:\n- [ ] podinfo 6.1.0\n- [ ] longhorn 1.9.0";

#[tokio::test]
async fn dashboard_is_made_once_and_written_only_when_it_changes() {
    let world = World::new().await;
    assert_eq!(world.forge().dashboard().await.unwrap(), None);
    world.forge().write_dashboard(None, "Updates", BODY).await.unwrap();
    let seen = world.forge().dashboard().await.unwrap().unwrap();
    assert_eq!(seen.body, BODY.trim_end());
    assert!(world.fake.github().issue(1).body.ends_with(DASHBOARD_MARKER));
    world.forge().write_dashboard(Some(&seen), "Updates", BODY).await.unwrap();
    assert_eq!(world.fake.writes(), ["POST /issues"]);
    world.forge().write_dashboard(Some(&seen), "Updates", "Nothing.").await.unwrap();
    assert_eq!(world.fake.writes(), ["PATCH /issues/1"]);
    assert!(world.forge().dashboard().await.unwrap().unwrap().body.starts_with("Nothing."));
}

#[tokio::test]
async fn ticked_checkbox_is_seen_and_not_overwritten() {
    let world = World::new().await;
    world.forge().write_dashboard(None, "Updates", BODY).await.unwrap();
    let before = world.forge().dashboard().await.unwrap().unwrap();
    world.fake.github().tick(1, "podinfo");
    let error = world.forge().write_dashboard(Some(&before), "Updates", "Nothing.").await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Conflict);
    let after = world.forge().dashboard().await.unwrap().unwrap();
    assert!(after.body.contains("- [x] podinfo 6.1.0\n- [ ] longhorn"), "{}", after.body);
    world.forge().write_dashboard(Some(&after), "Updates", "Nothing.").await.unwrap();
}

#[tokio::test]
async fn issue_of_somebody_else_with_our_marker_is_not_the_dashboard() {
    let world = World::new().await;
    world.fake.github().add_issue(
        Account::person(3, "mallory"),
        "Updates",
        &format!("- [x] x\n{DASHBOARD_MARKER}"),
    );
    world.fake.github().add_issue(me(), "Another", "of ours, without marker");
    assert_eq!(world.forge().dashboard().await.unwrap(), None);
    world.forge().write_dashboard(None, "Updates", BODY).await.unwrap();
    assert_eq!(world.forge().dashboard().await.unwrap().unwrap().number, 3);
}

#[tokio::test]
async fn pull_request_with_the_marker_is_not_the_dashboard() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    let mut new = proposal();
    new.body = DASHBOARD_MARKER.to_owned();
    world.forge().open(&new).await.unwrap();
    assert_eq!(world.forge().dashboard().await.unwrap(), None);
}

#[tokio::test]
async fn closed_dashboard_is_opened_again_instead_of_a_second_one() {
    let world = World::new().await;
    world.forge().write_dashboard(None, "Updates", BODY).await.unwrap();
    world.fake.github().set_open(1, false);
    assert_eq!(world.forge().dashboard().await.unwrap(), None);
    world.forge().write_dashboard(None, "Updates", "Nothing.").await.unwrap();
    let seen = world.forge().dashboard().await.unwrap().unwrap();
    assert_eq!((seen.number, seen.body.starts_with("Nothing.")), (1, true));
}

#[tokio::test]
async fn dashboard_whose_answer_was_lost_is_not_made_again() {
    let world = World::new().await;
    world.fake.fail(Fault::lost_answer("POST", "/issues"));
    world.forge().write_dashboard(None, "Updates", BODY).await.unwrap();
    assert_eq!(world.fake.github().issues.len(), 1);
}

/// Two runs look, see none, and both make one.
#[tokio::test]
async fn two_dashboards_of_two_runs_become_one() {
    let world = World::new().await;
    let body = format!("The other run's.\n{DASHBOARD_MARKER}");
    world.fake.github().add_issue(me(), "Updates", &body);
    world.fake.github().add_issue(me(), "Updates", &body);
    world.forge().write_dashboard(None, "Updates", BODY).await.unwrap();
    let mut github = world.fake.github();
    assert!(github.issue(1).open && github.issue(1).body.starts_with(BODY));
    assert!(!github.issue(2).open);
}

#[tokio::test]
async fn labels_of_the_dashboard_are_told() {
    let world = World::new().await;
    world.forge().write_dashboard(None, "Updates", BODY).await.unwrap();
    world.fake.github().issue(1).labels.push("gitops-updater/stop".to_owned());
    assert_eq!(world.forge().dashboard().await.unwrap().unwrap().labels, ["gitops-updater/stop"]);
}

#[tokio::test]
async fn repository_without_issues_says_so() {
    let world = World::new().await;
    world.fake.github().has_issues = false;
    let error = world.forge().write_dashboard(None, "Updates", BODY).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Permanent);
    assert!(error.hint.unwrap().contains("turn on Issues"));
}

#[tokio::test]
async fn token_without_issues_is_told_what_it_lacks() {
    let world = World::new().await;
    world.fake.github().account("ghs_less", Account::bot(9, "less[bot]").without("issues"));
    let error = world.forge_with(world.options(token("ghs_less"))).dashboard().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: Some("issues: read".to_owned()) });
}

#[rstest]
#[case::none(&[], &[], (0, 0, 0))]
#[case::neutral_is_no_success(&["neutral", "skipped"], &[], (0, 0, 0))]
#[case::both_kinds(&["success"], &[("ci", "success")], (2, 0, 0))]
#[case::running(&["queued", "in_progress", "waiting"], &[("ci", "pending")], (0, 4, 0))]
#[case::bad(&["failure", "cancelled", "timed_out", "action_required", "stale"], &[("a", "error"), ("b", "failure")], (0, 0, 7))]
#[case::latest_of_a_context(&[], &[("ci", "failure"), ("ci", "success")], (1, 0, 0))]
#[case::ours_is_no_evidence(&[], &[("gitops-updater/verify", "success"), ("gitops-updater/x", "failure")], (0, 0, 0))]
#[tokio::test]
async fn checks_and_statuses_are_counted_together(
    #[case] runs: &[&str],
    #[case] statuses: &[(&str, &str)],
    #[case] (succeeded, pending, failed): (usize, usize, usize),
) {
    let world = World::new().await;
    let commit = world.tree.head();
    {
        let mut github = world.fake.github();
        for (i, outcome) in runs.iter().enumerate() {
            github.add_check(&commit, &format!("check {i}"), outcome);
        }
        for (context, state) in statuses {
            github.add_status(&commit, context, state);
        }
    }
    let checks = world.forge().checks(&commit).await.unwrap();
    assert_eq!(checks, Checks { succeeded, pending, failed });
}

#[tokio::test]
async fn checks_are_counted_over_all_pages() {
    let world = World::new().await;
    let commit = world.tree.head();
    for i in 0..230 {
        world.fake.github().add_check(&commit, &format!("check {i}"), "success");
        world.fake.github().add_status(&commit, &format!("context {i}"), "success");
    }
    assert_eq!(world.forge().checks(&commit).await.unwrap().succeeded, 460);
}

#[tokio::test]
async fn status_is_written_when_it_says_something_new() {
    let world = World::new().await;
    let commit = world.tree.head();
    let mut status = CommitStatus {
        state: StatusState::Pending,
        context: "gitops-updater/verify".to_owned(),
        description: format!("waiting for Flux {}", "ä".repeat(200)),
        url: None,
    };
    for _ in 0..2 {
        world.forge().set_status(&commit, &status).await.unwrap();
    }
    assert_eq!(world.fake.writes(), [format!("POST /statuses/{commit}")]);
    status.state = StatusState::Success;
    status.url = Some("https://example.com/run/1".to_owned());
    for _ in 0..2 {
        world.forge().set_status(&commit, &status).await.unwrap();
    }
    assert_eq!(world.fake.writes().len(), 1);
    let written = world.fake.github().statuses[&commit].clone();
    assert_eq!(written.len(), 2);
    assert_eq!(written[1]["state"], "success");
    assert_eq!(written[0]["description"].as_str().unwrap().chars().count(), 140);
}

#[tokio::test]
async fn status_that_may_not_be_written_names_the_permission() {
    let world = World::new().await;
    world.fake.on_write(|_, _| Wish::GoOn);
    world.fake.github().account("ghs_less", Account::bot(9, "less[bot]").without("statuses"));
    let status = CommitStatus {
        state: StatusState::Error,
        context: "gitops-updater/verify".to_owned(),
        description: String::new(),
        url: None,
    };
    let forge = world.forge_with(world.options(token("ghs_less")));
    let error = forge.set_status(&world.tree.head(), &status).await.unwrap_err();
    let permission = Some("statuses: read".to_owned());
    assert_eq!(error.class, ForgeErrorClass::Denied { permission });
}

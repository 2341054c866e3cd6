//! Labels, reviewers, assignees, drafts, changes, comments.

use gitops_updater::app::forge::{Forge as _, ForgeErrorClass, NewPullRequest, PullRequestChange};
use jiff::Timestamp;
use rstest::rstest;

use super::{BRANCH, World, proposal};
use crate::support::fake_forge::{Account, Answer, Fault, Issue, Moment, Wish};

fn furnished() -> NewPullRequest {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    NewPullRequest {
        labels: list(&["gitops-updater/update", "Bug"]),
        reviewers: list(&["jane", "acme/platform"]),
        assignees: list(&["joe"]),
        ..proposal()
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    let mut github = world.fake.github();
    github.collaborators.extend(["jane".to_owned(), "joe".to_owned()]);
    github.teams.insert("platform".to_owned());
    drop(github);
    world
}

#[tokio::test]
async fn pull_request_gets_what_was_wished_for_it() {
    let world = world().await;
    let opened = world.forge().open(&furnished()).await.unwrap();
    assert_eq!(opened.labels, ["gitops-updater/update", "bug"]);
    let writes = world.fake.writes();
    let expected = [
        "POST /pulls",
        "POST /labels",
        "POST /issues/1/labels",
        "POST /issues/1/assignees",
        "POST /pulls/1/requested_reviewers",
    ];
    assert_eq!(writes, expected);
    {
        let mut github = world.fake.github();
        assert_eq!(github.labels["gitops-updater/update"], "1d76db");
        assert_eq!(github.labels["bug"], "d73a4a", "a label that is there keeps its colour");
        assert_eq!(github.issue(1).assignees, ["joe"]);
        let pull = github.issue(1).pull.clone().unwrap();
        assert!(pull.reviewers.contains("jane") && pull.teams.contains("platform"));
    }
    world.forge().open(&furnished()).await.unwrap();
    assert_eq!(world.fake.writes(), [""; 0], "what is so already is not sent");
}

/// The connection breaks before and after each write in turn; a new run must bring it to the same end.
#[tokio::test]
async fn interrupted_proposal_is_brought_to_the_same_end_by_the_next_run() {
    let reference = world().await;
    reference.forge().open(&furnished()).await.unwrap();
    let writes = reference.fake.writes().len();
    let state = |world: &World| {
        let github = world.fake.github();
        let timeless = |issue: &Issue| Issue {
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            ..issue.clone()
        };
        let issues: Vec<_> = github.issues.values().map(|issue| format!("{:?}", timeless(issue))).collect();
        (issues, github.labels.clone())
    };
    for kill_at in 0..2 * writes {
        let world = world().await;
        let count = std::sync::atomic::AtomicUsize::new(0);
        world.fake.on_write(move |_, _| {
            // From this moment on nothing gets through, as if the process had ended.
            let now = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if now >= kill_at { Wish::Break } else { Wish::GoOn }
        });
        let cut = world.forge().open(&furnished()).await;
        assert!(kill_at > 0 || cut.is_err());
        world.fake.on_write(|_, _| Wish::GoOn);
        world.forge().open(&furnished()).await.unwrap();
        assert_eq!(state(&world), state(&reference), "killed at {kill_at}");
    }
}

#[tokio::test]
async fn hook_sees_each_write_before_and_after() {
    let world = world().await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = seen.clone();
    world.fake.on_write(move |moment, write| {
        told.lock().unwrap().push((moment, write.line()));
        Wish::GoOn
    });
    world.forge().open(&proposal()).await.unwrap();
    let line = "POST /repos/acme/home-ops/pulls".to_owned();
    assert_eq!(*seen.lock().unwrap(), [(Moment::Before, line.clone()), (Moment::After, line)]);
}

#[tokio::test]
async fn one_who_cannot_be_asked_does_not_keep_the_others_from_it() {
    let world = world().await;
    let mut new = furnished();
    new.reviewers.insert(0, "updater".to_owned());
    new.reviewers.insert(0, "stranger".to_owned());
    new.assignees.push("stranger".to_owned());
    world.forge().open(&new).await.unwrap();
    let mut github = world.fake.github();
    assert_eq!(github.issue(1).assignees, ["joe"]);
    let pull = github.issue(1).pull.clone().unwrap();
    assert!(pull.reviewers.contains("jane") && pull.teams.contains("platform"), "{pull:?}");
}

#[tokio::test]
async fn who_has_reviewed_is_not_asked_again() {
    let world = world().await;
    world.forge().open(&proposal()).await.unwrap();
    world.fake.github().issue(1).pull.as_mut().unwrap().approvals.push("jane".to_owned());
    world.fake.seen();
    world.forge().open(&NewPullRequest { reviewers: vec!["jane".to_owned()], ..proposal() }).await.unwrap();
    assert_eq!(world.fake.writes(), [""; 0]);
}

#[tokio::test]
async fn labels_that_cannot_be_set_do_not_fail_the_proposal() {
    let world = world().await;
    for path in ["/labels", "/assignees", "/requested_reviewers"] {
        let refused = Answer::refuse(403, "Resource not accessible by integration");
        world.fake.fail(Fault::instead("POST", path, refused.clone()));
        world.fake.fail(Fault::instead("POST", path, refused));
    }
    let opened = world.forge().open(&furnished()).await.unwrap();
    assert_eq!((opened.number, opened.labels.len()), (1, 0));
}

#[rstest]
#[case(true, true)]
#[case(false, false)]
#[tokio::test]
async fn draft_is_one_where_the_plan_has_drafts(#[case] has_drafts: bool, #[case] draft: bool) {
    let world = world().await;
    world.fake.github().has_drafts = has_drafts;
    let opened = world.forge().open(&NewPullRequest { draft: true, ..proposal() }).await.unwrap();
    assert_eq!(opened.draft, draft);
}

#[tokio::test]
async fn only_what_differs_is_changed() {
    let world = world().await;
    let opened = world.forge().open(&furnished()).await.unwrap();
    world.fake.seen();
    let forge = world.forge();
    let same = PullRequestChange {
        title: Some(opened.title.clone()),
        body: Some(format!("{}\r\n", opened.body)),
        add_labels: vec!["BUG".to_owned()],
        remove_labels: vec!["hold".to_owned()],
    };
    forge.change(&opened, &same).await.unwrap();
    assert_eq!(world.fake.writes(), [""; 0]);
    let other = PullRequestChange {
        body: Some("Another body.".to_owned()),
        add_labels: vec!["gitops-updater/hold".to_owned()],
        remove_labels: vec!["gitops-updater/update".to_owned()],
        ..PullRequestChange::default()
    };
    forge.change(&opened, &other).await.unwrap();
    let changed = forge.pull_request(1).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.body.as_str()), (opened.title.as_str(), "Another body."));
    assert_eq!(changed.labels, ["bug", "gitops-updater/hold"]);
    let expected = [
        "PATCH /pulls/1",
        "POST /labels",
        "POST /issues/1/labels",
        "DELETE /issues/1/labels/gitops-updater%2Fupdate",
    ];
    assert_eq!(world.fake.writes(), expected);
}

#[tokio::test]
async fn body_that_is_too_long_is_refused_in_the_servers_words() {
    let world = world().await;
    let error =
        world.forge().open(&NewPullRequest { body: "x".repeat(65_537), ..proposal() }).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Permanent);
    assert!(error.message.contains("body is too long (maximum is 65536 characters)"), "{error}");
}

#[tokio::test]
async fn comment_is_written_once_and_replaced_when_it_changes() {
    let world = world().await;
    world.forge().open(&proposal()).await.unwrap();
    {
        let mut github = world.fake.github();
        for i in 0..120 {
            github.add_comment(Account::person(3, "jane"), 1, &format!("{i} <!-- mark -->"));
        }
    }
    world.fake.seen();
    for text in ["one", "one", "two"] {
        world.forge().comment(1, "<!-- mark -->", text).await.unwrap();
    }
    let writes = world.fake.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert_eq!(writes[0], "POST /issues/1/comments");
    assert!(writes[1].starts_with("PATCH /issues/comments/"));
    let github = world.fake.github();
    let mine: Vec<&str> =
        github.comments.iter().filter(|c| c.author.id == 7).map(|c| c.body.as_str()).collect();
    assert_eq!(mine, ["two\n\n<!-- mark -->"]);
}

#[tokio::test]
async fn comment_whose_answer_was_lost_is_not_written_again() {
    let world = world().await;
    world.forge().open(&proposal()).await.unwrap();
    world.fake.fail(Fault::lost_answer("POST", "/comments"));
    world.forge().comment(1, "<!-- mark -->", "one").await.unwrap();
    assert_eq!(world.fake.github().comments.len(), 1);
}

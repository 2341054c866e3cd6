//! What the port promises, in a repository itself.

use gitops_updater::app::forge::{
    Checks, CommitStatus, Forge as _, ForgeErrorClass, MergeMethod, PullRequestChange, PullRequestState,
    StatusState,
};

use super::{World, forge, new, world};
use crate::support::snapshot::snapshot;

const X: &str = "gitops-updater/x";
const Y: &str = "gitops-updater/y";

fn show(world: &World, path: &str) -> String {
    world.git.run(["show", &format!("main:{path}")])
}

#[tokio::test]
async fn a_pull_request_is_opened_once_and_found_again() {
    let world = world();
    let head = world.branch(X, "a.yaml", "a: 2\n");
    let pull = world.forge.open(&new(X)).await.unwrap();
    assert_eq!(
        (pull.number, pull.head.as_str(), &pull.state),
        (1, head.to_string().as_str(), &PullRequestState::Open)
    );
    assert_eq!(world.forge.open(&new(X)).await.unwrap(), pull, "the same again is the same");
    assert_eq!(forge(&world.repo).pull_requests().await.unwrap(), std::slice::from_ref(&pull));
    assert_eq!(world.forge.pull_requests_of(X).await.unwrap(), [pull]);
    world.branch(Y, "b.yaml", "b: 2\n");
    assert_eq!(world.forge.open(&new(Y)).await.unwrap().number, 2);
    assert_eq!(world.git.run(["status", "--porcelain"]), "");
    world.git.run(["fsck", "--strict"]);
}

#[tokio::test]
async fn many_at_once_get_different_numbers_and_twins_the_same() {
    let world = world();
    let branches: Vec<String> = (0..4).map(|n| format!("gitops-updater/n{n}")).collect();
    for name in &branches {
        world.branch(name, "a.yaml", name);
    }
    // Each branch is opened by two runs.
    let opened = branches.iter().chain(&branches).map(|name| {
        let forge =
            forge(&world.repo.with_remote(gitops_updater::repo::write::Remote::own()).unwrap().into());
        let new = new(name);
        tokio::spawn(async move { forge.open(&new).await.unwrap().number })
    });
    let numbers: Vec<u64> =
        futures_util::future::join_all(opened).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers[..4], numbers[4..]);
    let mut sorted = numbers[..4].to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_cannot_be_merged_is_not_opened() {
    let world = world();
    let error = world.forge.open(&new(X)).await.unwrap_err();
    assert!(error.message.contains("no such branch"), "{error}");
    world.git.run(["branch", X, "main"]);
    let error = world.forge.open(&new(X)).await.unwrap_err();
    assert!(error.message.contains("has all of it"), "{error}");
    world.branch(Y, "a.yaml", "a: 2\n");
    let error = world
        .forge
        .open(&gitops_updater::app::forge::NewPullRequest { base: "trunk".to_owned(), ..new(Y) })
        .await
        .unwrap_err();
    assert!(error.message.contains("`trunk`"), "{error}");
}

#[tokio::test]
async fn its_history_is_readable_with_git_log() {
    let world = world();
    world.branch(X, "a.yaml", "a: 2\n");
    let pull = world.forge.open(&new(X)).await.unwrap();
    let change = PullRequestChange {
        title: Some("Another title".to_owned()),
        add_labels: vec!["held".to_owned()],
        remove_labels: vec!["gitops-updater".to_owned()],
        ..PullRequestChange::default()
    };
    for _ in 0..2 {
        world.forge.change(&pull, &change).await.unwrap();
        world.forge.comment(1, "<!-- verdict -->", "<!-- verdict -->\nhealthy").await.unwrap();
    }
    world.forge.comment(1, "<!-- verdict -->", "<!-- verdict -->\nregressed").await.unwrap();
    world.forge.comment(1, "<!-- other -->", "<!-- other -->\nother").await.unwrap();
    world.forge.close(1).await.unwrap();
    world.forge.close(1).await.unwrap();
    snapshot!(world.git.run(["log", "--format=%an: %s", "refs/gitops-updater/pulls/1/meta"]), @r"
    Jane: Close pull request 1
    Jane: Write comment 2 on 1
    Jane: Rewrite comment 1 on 1
    Jane: Write comment 1 on 1
    Jane: Change title and labels (held) of 1
    Jane: Open pull request 1: Propose gitops-updater/x
    ");
    let details = world.forge.details(1).await.unwrap();
    assert_eq!(details.comments.len(), 2);
    assert_eq!(details.comments[0].body, "<!-- verdict -->\nregressed");
    assert_eq!(
        (details.pull.title.as_str(), details.pull.labels, details.pull.state),
        ("Another title", vec!["held".to_owned()], PullRequestState::Closed)
    );
    assert_eq!(details.paths, ["a.yaml"]);
    assert_eq!(details.commits[0].1, "Change a.yaml");
}

#[tokio::test]
async fn merging_makes_the_commits_that_its_method_promises() {
    for (method, expected) in [
        (MergeMethod::Merge, "Merge it | Change a.yaml | Change b.yaml | Start"),
        (MergeMethod::Squash, "Merge it | Change b.yaml | Start"),
        (MergeMethod::Rebase, "Change a.yaml | Change b.yaml | Start"),
    ] {
        let world = world();
        let head = world.branch(X, "a.yaml", "a: 2\n").to_string();
        world.forge.open(&new(X)).await.unwrap();
        // The base moves on: somebody else's change stays.
        world.git.write("b.yaml", "b: 2\n");
        world.git.commit_all("Change b.yaml");
        let commit = world.forge.merge(1, &head, method, "Merge it").await.unwrap();
        assert_eq!(world.git.run(["rev-parse", "main"]), commit, "{method:?}");
        let log = world.git.run(["log", "--topo-order", "--format=%s", "main"]);
        assert_eq!(log.lines().collect::<Vec<_>>().join(" | "), expected, "{method:?}");
        assert_eq!((show(&world, "a.yaml"), show(&world, "b.yaml")), ("a: 2".to_owned(), "b: 2".to_owned()));
        assert_eq!(world.git.run(["status", "--porcelain"]), "", "the clean work tree followed");
        let pull = world.forge.pull_request(1).await.unwrap();
        assert!(matches!(&pull.state, PullRequestState::Merged { commit: merged, .. } if *merged == commit));
        assert_eq!(world.forge.merge(1, &head, method, "Merge it").await.unwrap(), commit, "twice is once");
        world.git.run(["fsck", "--strict"]);
        // Without its branch it is still known.
        world.git.run(["branch", "-D", X]);
        assert_eq!(world.forge.pull_request(1).await.unwrap().head, head);
        assert_eq!(world.forge.details(1).await.unwrap().paths, ["a.yaml"], "{method:?}");
        let error = world.forge.close(1).await.unwrap_err();
        assert_eq!(error.class, ForgeErrorClass::Conflict);
    }
}

#[tokio::test]
async fn what_both_sides_changed_is_not_merged() {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        let world = world();
        let head = world.branch(X, "a.yaml", "a: 2\n").to_string();
        world.forge.open(&new(X)).await.unwrap();
        world.git.write("a.yaml", "a: 3\n");
        let tip = world.git.commit_all("Mine");
        let error = world.forge.merge(1, &head, method, "x").await.unwrap_err();
        assert_eq!(error.class, ForgeErrorClass::Conflict, "{error}");
        assert!(error.message.contains("a.yaml") && error.hint.is_some(), "{error}");
        assert_eq!(world.git.run(["rev-parse", "main"]), tip);
        assert_eq!(world.forge.pull_request(1).await.unwrap().state, PullRequestState::Open);
    }
}

#[tokio::test]
async fn a_merge_that_would_touch_somebodys_work_is_refused() {
    let world = world();
    let head = world.branch(X, "a.yaml", "a: 2\n").to_string();
    world.forge.open(&new(X)).await.unwrap();
    world.git.write("a.yaml", "a: mine\n");
    let error = world.forge.merge(1, &head, MergeMethod::Merge, "x").await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Conflict);
    assert!(error.message.contains("a.yaml") && error.hint.unwrap().contains("stash"));
    assert_eq!(std::fs::read_to_string(world.git.dir().join("a.yaml")).unwrap(), "a: mine\n");
    assert_eq!(world.forge.pull_request(1).await.unwrap().state, PullRequestState::Open);
}

#[tokio::test]
async fn only_the_head_that_was_looked_at_is_merged() {
    let world = world();
    let head = world.branch(X, "a.yaml", "a: 2\n").to_string();
    world.forge.open(&new(X)).await.unwrap();
    let other = world.git.run(["commit-tree", "-p", X, "-m", "More", &format!("{X}^{{tree}}")]);
    world.git.run(["update-ref", &format!("refs/heads/{X}"), &other]);
    let error = world.forge.merge(1, &head, MergeMethod::Merge, "x").await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Conflict, "{error}");
    assert_eq!(world.forge.pull_request(1).await.unwrap().head, other);
}

#[tokio::test]
async fn who_merges_with_git_alone_has_merged() {
    for (arguments, fast_forward) in [
        (vec!["merge", "--no-ff", "--quiet", "-m", "By hand", X], false),
        (vec!["merge", "--ff-only", "--quiet", X], true),
    ] {
        let world = world();
        let head = world.branch(X, "a.yaml", "a: 2\n").to_string();
        world.forge.open(&new(X)).await.unwrap();
        world.git.run(arguments);
        let merged = world.git.head();
        world.git.write("b.yaml", "b: 9\n");
        world.git.commit_all("Later");
        let pull = world.forge.pull_request(1).await.unwrap();
        assert!(
            matches!(&pull.state, PullRequestState::Merged { commit, .. } if *commit == merged),
            "{pull:?}"
        );
        assert_eq!(merged == head, fast_forward);
        assert_eq!(world.forge.details(1).await.unwrap().commits.len(), 1);
    }
}

#[tokio::test]
async fn statuses_are_kept_by_commit_and_counted() {
    let world = world();
    let head = world.branch(X, "a.yaml", "a: 2\n").to_string();
    assert_eq!(world.forge.checks(&head).await.unwrap(), Checks::default());
    let status = |context: &str, state| CommitStatus {
        state,
        context: context.to_owned(),
        description: "said".to_owned(),
        url: None,
    };
    for (context, state) in [
        ("gitops-updater/verify", StatusState::Pending),
        ("gitops-updater/verify", StatusState::Success),
        ("gitops-updater/verify", StatusState::Success),
        ("ci", StatusState::Failure),
        ("lint", StatusState::Pending),
    ] {
        world.forge.set_status(&head, &status(context, state)).await.unwrap();
    }
    assert_eq!(world.forge.checks(&head).await.unwrap(), Checks { succeeded: 1, pending: 1, failed: 1 });
    assert_eq!(world.git.run(["rev-list", "--count", "refs/gitops-updater/statuses"]), "4");
    let main = world.git.run(["rev-parse", "main"]);
    assert_eq!(world.forge.checks(&main).await.unwrap(), Checks::default());
}

#[tokio::test]
async fn the_dashboard_is_not_overwritten_blindly() {
    let world = world();
    assert_eq!(world.forge.dashboard().await.unwrap(), None);
    world.forge.write_dashboard(None, "Updates", "- [ ] one\n").await.unwrap();
    world.forge.write_dashboard(None, "Updates", "- [ ] one\n").await.unwrap();
    let seen = world.forge.dashboard().await.unwrap().unwrap();
    assert_eq!((seen.number, seen.body.as_str()), (0, "- [ ] one\n"));
    world.forge.write_dashboard(Some(&seen), "Updates", "- [x] one\n").await.unwrap();
    let error = world.forge.write_dashboard(Some(&seen), "Updates", "- [ ] two\n").await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Conflict);
    let error = world.forge.write_dashboard(None, "Updates", "- [ ] two\n").await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Conflict);
    assert!(world.forge.pull_requests().await.unwrap().is_empty(), "it is no pull request");
    assert_eq!(world.forge.pull_request(1).await.unwrap_err().class, ForgeErrorClass::NotFound);
    world.branch(X, "a.yaml", "a: 2\n");
    assert_eq!(world.forge.open(&new(X)).await.unwrap().number, 1, "it takes no number from them");
}

#[tokio::test]
async fn a_broken_record_is_named() {
    let world = world();
    world.git.run(["update-ref", "refs/gitops-updater/pulls/7/meta", "main"]);
    let error = world.forge.pull_request(7).await.unwrap_err();
    assert!(error.message.contains("pulls/7/meta") && error.hint.is_some(), "{error}");
    assert_eq!(world.forge.pull_request(8).await.unwrap_err().class, ForgeErrorClass::NotFound);
}

//! What becomes of a pull request that somebody merged with Git alone.

use gitops_updater::app::forge::{Forge as _, NewPullRequest, PullRequestChange, PullRequestState};
use rstest::rstest;

use super::{World, new, world};

const X: &str = "gitops-updater/x";

impl World {
    /// Moves a branch to a commit on `main` of now that changes a file; returns the commit.
    fn rewrite(&self, path: &str, text: &str) -> String {
        self.git.run(["checkout", "--quiet", "-B", X, "main"]);
        self.git.write(path, text);
        let head = self.git.commit_all("Anew");
        self.git.run(["checkout", "--quiet", "main"]);
        head
    }

    fn merge_by_hand(&self) -> String {
        self.git.run(["merge", "--no-ff", "--quiet", "-m", "By hand", X]);
        self.git.head()
    }
}

async fn commit_of(world: &World, number: u64) -> Option<String> {
    match world.forge.pull_request(number).await.unwrap().state {
        PullRequestState::Merged { commit, .. } => Some(commit),
        PullRequestState::Open | PullRequestState::Closed => None,
    }
}

/// What was proposed again after a revert was found under the number of what had been merged, with its text.
#[rstest]
#[case::nobody_looked(false, false)]
#[case::somebody_looked(true, false)]
#[case::its_branch_was_taken_away(true, true)]
#[case::its_branch_was_taken_away_unseen(false, true)]
#[tokio::test]
async fn merged_by_hand_it_stays_merged_whatever_is_pushed_to_its_branch(
    #[case] is_noted: bool,
    #[case] is_gone: bool,
) {
    let world = world();
    let head = world.branch(X, "a.yaml", "a: 2\n").to_string();
    world.forge.open(&new(X)).await.unwrap();
    let merged = world.merge_by_hand();
    if is_noted {
        world.forge.note(1).await.unwrap();
    }
    if is_gone {
        world.git.run(["branch", "-D", X]);
    }
    world.git.run(["revert", "--no-edit", "-m1", "main"]);
    assert_eq!(commit_of(&world, 1).await, Some(merged.clone()));
    let anew = world.rewrite("a.yaml", "a: 2\n");
    assert_eq!(commit_of(&world, 1).await, Some(merged.clone()));
    let again = NewPullRequest { body: "Another attempt\n".to_owned(), ..new(X) };
    let opened = world.forge.open(&again).await.unwrap();
    assert_eq!(
        (opened.number, opened.head.as_str(), opened.body.as_str()),
        (2, anew.as_str(), "Another attempt\n")
    );
    assert_eq!(opened.state, PullRequestState::Open);
    let earlier = world.forge.pull_request(1).await.unwrap();
    assert_eq!(earlier.head, head, "it keeps the head that was merged");
    assert_eq!(commit_of(&world, 1).await, Some(merged));
    assert_eq!(world.forge.details(1).await.unwrap().paths, ["a.yaml"]);
}

/// The head that it was opened with was never merged: without its branch it was open again.
#[tokio::test]
async fn written_anew_and_merged_by_hand_it_stays_merged_without_its_branch() {
    for changes_text in [true, false] {
        let world = world();
        world.branch(X, "a.yaml", "a: 2\n");
        let pull = world.forge.open(&new(X)).await.unwrap();
        let head = world.rewrite("a.yaml", "a: 3\n");
        match changes_text {
            true => {
                let title = Some("Anew".to_owned());
                let change = PullRequestChange { title, ..PullRequestChange::default() };
                world.forge.change(&pull, &change).await.unwrap();
            }
            false => world.forge.note(1).await.unwrap(),
        }
        let merged = world.merge_by_hand();
        world.git.run(["branch", "-D", X]);
        assert_eq!(commit_of(&world, 1).await, Some(merged));
        assert_eq!(world.forge.pull_request(1).await.unwrap().head, head);
    }
}

#[tokio::test]
async fn commits_that_somebody_added_before_all_of_it_was_merged_belong_to_it() {
    let world = world();
    world.branch(X, "a.yaml", "a: 2\n");
    world.forge.open(&new(X)).await.unwrap();
    world.git.run(["checkout", "--quiet", X]);
    world.git.write("b.yaml", "b: 2\n");
    let head = world.git.commit_all("And b");
    world.git.run(["checkout", "--quiet", "main"]);
    let merged = world.merge_by_hand();
    assert_eq!(world.forge.pull_request(1).await.unwrap().head, head);
    world.forge.note(1).await.unwrap();
    world.git.run(["branch", "-D", X]);
    assert_eq!(commit_of(&world, 1).await, Some(merged));
    assert_eq!(world.forge.details(1).await.unwrap().paths, ["a.yaml", "b.yaml"]);
}

#[tokio::test]
async fn what_is_seen_is_written_down_once() {
    let world = world();
    world.branch(X, "a.yaml", "a: 2\n");
    world.forge.open(&new(X)).await.unwrap();
    let history = || world.git.run(["rev-list", "--count", "refs/gitops-updater/pulls/1/meta"]);
    world.forge.note(1).await.unwrap();
    assert_eq!(history(), "1", "there is nothing new to see");
    world.merge_by_hand();
    for _ in 0..2 {
        world.forge.note(1).await.unwrap();
        assert_eq!(history(), "2");
    }
    let said = world.git.run(["log", "-1", "--format=%s", "refs/gitops-updater/pulls/1/meta"]);
    assert!(said.starts_with("See that 1 was merged as "), "{said}");
    // From then on it does not hang on where the base branch is.
    world.git.run(["reset", "--hard", "--quiet", "main~1"]);
    assert!(commit_of(&world, 1).await.is_some());
}

/// Labels, reviewers and assignees were those of who had opened it, whatever was asked for since.
#[tokio::test]
async fn pull_request_that_is_found_gets_what_it_lacks() {
    let world = world();
    world.branch(X, "a.yaml", "a: 2\n");
    let bare = NewPullRequest { labels: vec!["Deps".to_owned()], reviewers: vec![], ..new(X) };
    world.forge.open(&bare).await.unwrap();
    let wanted = NewPullRequest {
        labels: vec!["deps".to_owned(), "a-team".to_owned()],
        reviewers: vec!["jane".to_owned()],
        assignees: vec!["joe".to_owned()],
        ..new(X)
    };
    for _ in 0..2 {
        let found = world.forge.open(&wanted).await.unwrap();
        assert_eq!((found.number, found.labels), (1, vec!["Deps".to_owned(), "a-team".to_owned()]));
    }
    let details = world.forge.details(1).await.unwrap();
    assert_eq!((details.reviewers, details.assignees), (vec!["jane".to_owned()], vec!["joe".to_owned()]));
    assert_eq!(world.git.run(["rev-list", "--count", "refs/gitops-updater/pulls/1/meta"]), "2");
    // In labels upper and lower case are the same when they are taken away, too.
    let change = PullRequestChange { remove_labels: vec!["deps".to_owned()], ..PullRequestChange::default() };
    let pull = world.forge.pull_request(1).await.unwrap();
    world.forge.change(&pull, &change).await.unwrap();
    assert_eq!(world.forge.pull_request(1).await.unwrap().labels, ["a-team"]);
}

//! What is pushed with Git and what is done through the API are one repository.

use gitops_updater::app::forge::{Forge as _, PullRequestState};
use rstest::rstest;

use super::{BRANCH, TOKEN, World, proposal};
use crate::support::fake_forge::{Account, Moment, PullState, Wish};

/// Pushes the branch over HTTP as somebody; gives what `git` says of it.
async fn push(world: &World, token: &str) -> (bool, String) {
    let mut url = world.fake.served.url.join("acme/home-ops.git").unwrap();
    url.set_username("x-access-token").unwrap();
    url.set_password(Some(token)).unwrap();
    let tree = crate::support::git::Git::at(world.tree.dir());
    let arguments = ["push".to_owned(), url.to_string(), format!("HEAD:refs/heads/{BRANCH}")];
    let output = tokio::task::spawn_blocking(move || tree.feed(arguments, b"")).await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn pushed_branch_can_be_proposed_and_follows_later_pushes() {
    let world = World::new().await;
    world.tree.write("apps/podinfo.yaml", "version: 6.1.0\n").commit_all("podinfo 6.1.0");
    assert!(push(&world, TOKEN).await.0);
    let opened = world.forge().open(&proposal()).await.unwrap();
    assert_eq!(opened.head, world.tree.head());
    world.tree.write("apps/podinfo.yaml", "version: 6.1.1\n").commit_all("podinfo 6.1.1");
    push(&world, TOKEN).await;
    assert_eq!(world.forge().pull_request(1).await.unwrap().head, world.tree.head());
    let writes = [
        "POST /acme/home-ops.git/git-receive-pack",
        "POST /pulls",
        "POST /acme/home-ops.git/git-receive-pack",
    ];
    assert_eq!(world.fake.writes(), writes);
}

#[rstest]
#[case::unknown("nobody", "Authentication failed")]
#[case::reads("reads", "Permission to acme/home-ops.git denied to reader")]
#[tokio::test]
async fn push_without_permission_is_refused(#[case] token: &str, #[case] words: &str) {
    let world = World::new().await;
    let mut reader = Account::person(8, "reader");
    reader.permissions.insert("contents", crate::support::fake_forge::Level::Read);
    world.fake.github().account("reads", reader);
    world.tree.commit_all("Empty");
    let (is_pushed, said) = push(&world, token).await;
    assert!(!is_pushed && said.contains(words), "{said}");
    assert_eq!(world.fake.github().branch(BRANCH), None);
}

#[tokio::test]
async fn hook_sees_pushes_too() {
    let world = World::new().await;
    world.tree.commit_all("Empty");
    world.fake.on_write(|moment, _| if moment == Moment::After { Wish::Break } else { Wish::GoOn });
    assert!(!push(&world, TOKEN).await.0);
    assert_eq!(world.fake.github().branch(BRANCH), Some(world.tree.head()), "it was done all the same");
}

#[tokio::test]
async fn deleted_branch_closes_its_pull_request() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    world.forge().open(&proposal()).await.unwrap();
    crate::support::git::Git::at(&world.bare).run(["update-ref", "-d", &format!("refs/heads/{BRANCH}")]);
    assert_eq!(world.forge().pull_request(1).await.unwrap().state, PullRequestState::Closed);
    assert_eq!(world.fake.github().pulls(PullState::Closed), [1]);
}

//! Merging, closing, and what is left behind.

use gitops_updater::app::forge::{Forge as _, ForgeErrorClass, MergeMethod, PullRequestState};
use rstest::rstest;

use super::{BRANCH, World, proposal, token};
use crate::support::fake_forge::{Account, Answer, Fault, Github, PullState};
use crate::support::git::Git;

async fn opened(world: &World) -> (u64, String) {
    let head = world.push(BRANCH, "6.1.0");
    let number = world.forge().open(&proposal()).await.unwrap().number;
    world.fake.seen();
    (number, head)
}

const MESSAGE: &str = "podinfo 6.0.0 -> 6.1.0\n\nUpdate-Id: update-20261121-100000\n";

#[rstest]
#[case(MergeMethod::Merge, 2, "podinfo 6.0.0 -> 6.1.0\n\nUpdate-Id: update-20261121-100000")]
#[case(MergeMethod::Squash, 1, "podinfo 6.0.0 -> 6.1.0\n\nUpdate-Id: update-20261121-100000")]
#[case(MergeMethod::Rebase, 1, "podinfo 6.1.0")]
#[tokio::test]
async fn merge_brings_the_change_in_and_names_its_commit(
    #[case] method: MergeMethod,
    #[case] parents: usize,
    #[case] message: &str,
) {
    let world = World::new().await;
    let (number, head) = opened(&world).await;
    let commit = world.forge().merge(number, &head, method, MESSAGE).await.unwrap();
    assert_eq!(world.fake.github().branch("main").unwrap(), commit);
    let git = Git::at(&world.bare);
    assert_eq!(git.run(["log", "-1", "--format=%P", &commit]).split_whitespace().count(), parents);
    assert_eq!(git.run(["log", "-1", "--format=%B", &commit]), message);
    assert_eq!(git.run(["show", &format!("{commit}:apps/podinfo.yaml")]), "version: 6.1.0");
    let merged = world.forge().pull_request(number).await.unwrap();
    assert!(matches!(merged.state, PullRequestState::Merged { commit: at, .. } if at == commit));
}

#[tokio::test]
async fn merge_whose_answer_was_lost_is_found_and_not_made_again() {
    let world = World::new().await;
    let (number, head) = opened(&world).await;
    world.fake.fail(Fault::lost_answer("PUT", "/merge"));
    let commit = world.forge().merge(number, &head, MergeMethod::Merge, MESSAGE).await.unwrap();
    assert_eq!(world.fake.github().branch("main").unwrap(), commit);
    assert_eq!(world.fake.writes(), ["PUT /pulls/1/merge"]);
}

#[tokio::test]
async fn merging_what_is_merged_gives_the_same_commit() {
    let world = World::new().await;
    let (number, head) = opened(&world).await;
    let commit = world.forge().merge(number, &head, MergeMethod::Merge, MESSAGE).await.unwrap();
    let again = world.forge().merge(number, &head, MergeMethod::Merge, MESSAGE).await.unwrap();
    assert_eq!(again, commit);
    let main = world.fake.github().git.run(["rev-list", "--count", "main"]);
    assert_eq!(main, "3");
}

type Setup = fn(&mut Github);

#[rstest]
#[case::check_missing(|github: &mut Github| github.protection.contexts = vec!["ci".to_owned()], "Required status check \"ci\" is expected")]
#[case::review_missing(|github: &mut Github| github.protection.approvals = 1, "At least 1 approving review is required")]
#[case::merge_queue(|github: &mut Github| github.protection.by_queue = true, "merge queue")]
#[case::method(|github: &mut Github| github.forbidden_methods = vec!["squash"], "Squash merges are not allowed")]
#[case::draft(|github: &mut Github| github.issue(1).pull.as_mut().unwrap().draft = true, "still a draft")]
#[case::closed(|github: &mut Github| github.set_open(1, false), "not mergeable")]
#[tokio::test]
async fn merge_that_is_not_allowed_is_a_conflict_in_the_servers_words(
    #[case] setup: Setup,
    #[case] words: &str,
) {
    let world = World::new().await;
    let (number, head) = opened(&world).await;
    setup(&mut world.fake.github());
    let before = world.fake.github().branch("main");
    let error = world.forge().merge(number, &head, MergeMethod::Squash, MESSAGE).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Conflict, "{error}");
    assert!(error.message.contains(words), "{error}");
    assert_eq!(world.fake.github().branch("main"), before);
}

#[tokio::test]
async fn head_that_moved_is_not_merged() {
    let world = World::new().await;
    let (number, head) = opened(&world).await;
    world.push(BRANCH, "6.6.6");
    let error = world.forge().merge(number, &head, MergeMethod::Merge, MESSAGE).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Conflict);
    assert!(error.message.contains("Head branch was modified"), "{error}");
    assert_eq!(world.fake.github().pulls(PullState::Open), [1]);
}

#[tokio::test]
async fn merge_needs_contents_write_and_says_so() {
    let world = World::new().await;
    let (number, head) = opened(&world).await;
    world.fake.github().account("ghs_less", Account::bot(9, "less[bot]").without("contents"));
    let forge = world.forge_with(world.options(token("ghs_less")));
    let error = forge.merge(number, &head, MergeMethod::Merge, MESSAGE).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: Some("contents: write".to_owned()) });
    assert_eq!(error.hint.unwrap(), "the token needs `contents: write`");
}

#[tokio::test]
async fn pull_request_is_closed_once() {
    let world = World::new().await;
    let (number, _) = opened(&world).await;
    for _ in 0..2 {
        world.forge().close(number).await.unwrap();
    }
    assert_eq!(world.fake.writes(), ["PATCH /pulls/1"]);
    let closed = world.forge().pull_requests_of(BRANCH).await.unwrap();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].state, PullRequestState::Closed);
    assert!(closed[0].url.ends_with("/pull/1"));
}

#[tokio::test]
async fn pull_request_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let error = world.forge().pull_request(99).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::NotFound);
}

#[tokio::test]
async fn superseded_pull_request_is_closed_with_a_link() {
    let world = World::new().await;
    let (old, _) = opened(&world).await;
    let forge = world.forge();
    let marker = "<!-- gitops-updater/superseded -->";
    for _ in 0..2 {
        forge.comment(old, marker, "Superseded by #2.").await.unwrap();
        forge.close(old).await.unwrap();
    }
    assert_eq!(world.fake.writes(), ["POST /issues/1/comments", "PATCH /pulls/1"]);
    let github = world.fake.github();
    assert_eq!(github.comments[0].body, format!("Superseded by #2.\n\n{marker}"));
    assert_eq!(github.pulls(PullState::Closed), [1]);
}

#[rstest]
#[case(502)]
#[case(500)]
#[tokio::test]
async fn refused_merge_is_tried_again_after_a_look(#[case] status: u16) {
    let world = World::new().await;
    let (number, head) = opened(&world).await;
    world.fake.fail(Fault::instead("PUT", "/merge", Answer::refuse(status, "Server Error")));
    world.forge().merge(number, &head, MergeMethod::Merge, MESSAGE).await.unwrap();
    assert_eq!(world.fake.github().pulls(PullState::Merged), [1]);
    assert_eq!(world.fake.writes().len(), 2);
}

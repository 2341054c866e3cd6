//! Commits made through the API.

use gitops_updater::app::forge::{Forge as _, ForgeErrorClass};
use gitops_updater::forge::github::{ApiCommit, FileChange};

use super::{BRANCH, TOKEN, World, proposal, token};
use crate::support::fake_forge::{Account, Fault, Wish};
use crate::support::git::Git;

const BOT: &str = "ghs_bot";

fn file(path: &str, content: Option<&str>) -> FileChange {
    FileChange {
        path: path.to_owned(),
        content: content.map(|text| text.as_bytes().to_vec()),
        executable: false,
    }
}

fn change(world: &World, seen: Option<&str>) -> ApiCommit {
    ApiCommit {
        branch: BRANCH.to_owned(),
        base: world.fake.github().branch("main").unwrap(),
        files: vec![file("apps/podinfo.yaml", Some("version: 6.1.0\r\n"))],
        message: "podinfo 6.0.0 -> 6.1.0\n\nUpdate-Id: update-20261121-100000\n".to_owned(),
        seen: seen.map(str::to_owned),
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.tree.write("infra/deep/tool.sh", "#!/bin/sh\n").write("infra/old.yaml", "a: 1\n");
    world.tree.write("README.md", "Home\n").commit_all("More");
    world.tree.run(["push", "--quiet", world.bare.to_str().unwrap(), "main"]);
    world.fake.github().account(BOT, Account::bot(41_898_282, "github-actions[bot]"));
    world
}

#[tokio::test]
async fn commit_of_a_bot_is_verified_and_changes_only_its_files() {
    let world = world().await;
    let mut commit = change(&world, None);
    let script = file("infra/deep/tool.sh", Some("#!/bin/sh\nexit 0\n"));
    commit.files.push(FileChange { executable: true, ..script });
    commit.files.push(file("infra/old.yaml", None));
    let made = world.forge_with(world.options(token(BOT))).commit_through_api(&commit).await.unwrap();
    assert!(made.verified);
    let git = Git::at(&world.bare);
    assert_eq!(git.run(["rev-parse", BRANCH]), made.id);
    let changed = git.run(["diff", "--no-renames", "--raw", "--abbrev=1", "main", BRANCH]);
    let changed: Vec<&str> = changed.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert_eq!(changed, ["apps/podinfo.yaml", "infra/deep/tool.sh", "infra/old.yaml"]);
    assert_eq!(
        git.feed(["cat-file", "blob", &format!("{BRANCH}:apps/podinfo.yaml")], b"").stdout,
        b"version: 6.1.0\r\n"
    );
    assert!(git.run(["ls-tree", BRANCH, "infra/deep/tool.sh"]).starts_with("100755"));
    assert_eq!(git.run(["log", "-1", "--format=%B", BRANCH]), commit.message.trim_end());
    world.forge().open(&proposal()).await.unwrap();
}

#[tokio::test]
async fn commit_of_a_person_is_not_verified() {
    let world = world().await;
    assert!(
        !world
            .forge_with(world.options(token(TOKEN)))
            .commit_through_api(&change(&world, None))
            .await
            .unwrap()
            .verified
    );
}

#[tokio::test]
async fn same_change_is_found_and_not_made_again() {
    let world = world().await;
    let first = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
    world.fake.seen();
    let again = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
    assert_eq!(again.id, first.id);
    assert_eq!(
        world.fake.writes(),
        ["POST /git/blobs", "POST /git/trees"],
        "which are named by their content"
    );
}

#[tokio::test]
async fn interrupted_commit_comes_to_the_same_end() {
    let reference = world().await;
    reference.forge().commit_through_api(&change(&reference, None)).await.unwrap();
    let writes = reference.fake.writes();
    assert_eq!(writes, ["POST /git/blobs", "POST /git/trees", "POST /git/commits", "POST /git/refs"]);
    for kill_at in 0..2 * writes.len() {
        let world = world().await;
        let count = std::sync::atomic::AtomicUsize::new(0);
        world.fake.on_write(move |_, _| {
            let now = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if now >= kill_at { Wish::Break } else { Wish::GoOn }
        });
        let _cut = world.forge().commit_through_api(&change(&world, None)).await;
        world.fake.on_write(|_, _| Wish::GoOn);
        let made = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
        let git = Git::at(&world.bare);
        assert_eq!(git.run(["rev-parse", BRANCH]), made.id, "killed at {kill_at}");
        assert_eq!(git.run(["rev-list", "--count", &format!("main..{BRANCH}")]), "1");
    }
}

#[tokio::test]
async fn lost_answer_to_the_new_branch_is_no_conflict() {
    let world = world().await;
    world.fake.fail(Fault::lost_answer("POST", "/git/refs"));
    let made = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
    assert_eq!(world.fake.github().branch(BRANCH), Some(made.id));
}

#[tokio::test]
async fn branch_is_made_anew_when_the_base_moved() {
    let world = world().await;
    let old = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
    world.tree.write("README.md", "Moved\n").commit_all("Somebody works");
    world.tree.run(["push", "--quiet", world.bare.to_str().unwrap(), "main"]);
    world.fake.seen();
    let new = world.forge().commit_through_api(&change(&world, Some(&old.id))).await.unwrap();
    assert_eq!(world.fake.github().branch(BRANCH), Some(new.id));
    assert_eq!(
        world.fake.writes().last().unwrap(),
        "POST /graphql",
        "only GraphQL moves a ref from where it was seen"
    );
    assert_eq!(Git::at(&world.bare).run(["rev-list", "--count", &format!("main..{BRANCH}")]), "1");
}

#[tokio::test]
async fn foreign_commit_on_the_branch_stays() {
    let world = world().await;
    let old = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
    let foreign = world.push(BRANCH, "6.1.0-mine");
    for seen in [None, Some(old.id.as_str())] {
        let error = world.forge().commit_through_api(&change(&world, seen)).await.unwrap_err();
        assert_eq!(error.class, ForgeErrorClass::Conflict);
        assert!(error.message.contains(&foreign), "{error}");
    }
    assert_eq!(world.fake.github().branch(BRANCH), Some(foreign));
}

/// Pushed between our look and our last request.
#[tokio::test]
async fn foreign_commit_at_the_last_moment_stays() {
    for is_rebuilt in [false, true] {
        let world = world().await;
        let foreign = world.push("elsewhere", "6.1.0-mine");
        let seen = if is_rebuilt {
            let old = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
            world.tree.write("README.md", "Moved\n").commit_all("Somebody works");
            world.tree.run(["push", "--quiet", world.bare.to_str().unwrap(), "main"]);
            Some(old.id)
        } else {
            None
        };
        let (bare, to) = (world.bare.clone(), foreign.clone());
        world.fake.on_write(move |_, write| {
            if write.path == "/git/commits" || write.path.ends_with("/git/refs") || write.path == "/graphql" {
                Git::at(&bare).run(["update-ref", &format!("refs/heads/{BRANCH}"), &to]);
            }
            Wish::GoOn
        });
        let error = world.forge().commit_through_api(&change(&world, seen.as_deref())).await.unwrap_err();
        assert_eq!(error.class, ForgeErrorClass::Conflict, "{error}");
        assert_eq!(world.fake.github().branch(BRANCH), Some(foreign));
    }
}

#[tokio::test]
async fn commit_on_top_of_the_branch_goes_forward_only() {
    let world = world().await;
    let first = world.forge().commit_through_api(&change(&world, None)).await.unwrap();
    let mut second = change(&world, Some(&first.id));
    second.base.clone_from(&first.id);
    second.files = vec![file("apps/podinfo.yaml", Some("version: 6.2.0\n"))];
    world.fake.seen();
    let made = world.forge().commit_through_api(&second).await.unwrap();
    assert_eq!(world.fake.github().branch(BRANCH), Some(made.id));
    let writes = world.fake.writes();
    assert_eq!(writes.last().unwrap(), &format!("PATCH /git/refs/heads/{BRANCH}"));
}

#[tokio::test]
async fn workflow_file_needs_its_own_permission() {
    let world = world().await;
    let mut commit = change(&world, None);
    commit.files = vec![file(".github/workflows/ci.yaml", Some("on: push\n"))];
    let error = world.forge().commit_through_api(&commit).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: Some("workflows: write".to_owned()) });
    assert_eq!(world.fake.github().branch(BRANCH), None);
}

#[tokio::test]
async fn commit_of_nothing_or_of_too_much_is_refused_before_anything_is_sent() {
    let world = world().await;
    let big = "x".repeat(17 << 20);
    for files in [Vec::new(), vec![file("big", Some(&big))], vec![file("a", Some("a")); 201]] {
        let error =
            world.forge().commit_through_api(&ApiCommit { files, ..change(&world, None) }).await.unwrap_err();
        assert_eq!(error.class, ForgeErrorClass::Permanent);
    }
    assert_eq!(world.fake.writes(), [""; 0]);
}

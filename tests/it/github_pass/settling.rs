//! A revert on GitHub: pushed where the branch takes it, proposed where it is protected, and said on the forge.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use gitops_updater::domain::settle::record::Reversal;
use gitops_updater::domain::settle::verdict::Verdict;
use gitops_updater::domain::state::Stage;
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};

use super::world::{LATER, MUCH_LATER, NOW, World};

/// A merged update whose revert is decided, as a pass leaves it that is killed right after; returns the merge commit.
fn decided(world: &World, method: &str) -> String {
    world.pass(NOW);
    let merge = world.merge("podinfo", method);
    world.pass(NOW);
    let repo = WriteRepo::open(&world.bare, Remote::own()).unwrap();
    let store = StateStore::new(Arc::new(repo), Person::bot());
    let changed = store.change(LATER.parse().unwrap(), |state| {
        let update = state.updates.values_mut().find(|update| update.component == "helm/apps/podinfo")?;
        update.stage = Stage::Rolling;
        update.settling.verdict = Some(Verdict::Regressed);
        update.settling.reversal = Some(Reversal {
            decided_at: LATER.parse().unwrap(),
            reason: "HelmRelease/apps/podinfo: UpgradeFailed".to_owned(),
            branch: None,
            pull_request: None,
            commit: None,
            made_at: None,
            back_at: None,
        });
        Some(Transition::of(update))
    });
    changed.unwrap();
    merge
}

fn version(world: &World) -> String {
    let text = world.git().run(["show", "main:apps/podinfo.yaml"]);
    text.lines().find(|line| line.contains("version:")).unwrap().trim().to_owned()
}

#[test]
fn revert_is_pushed_and_said_on_the_merge_commit_and_its_pull_request() {
    for method in ["merge", "squash", "rebase"] {
        let world = World::new();
        decided(&world, method);
        drop(world.run(&["verify", "--now", LATER]).exited(21));
        assert_eq!(version(&world), "version: 6.5.0 # kept", "{method}");
        let subject = world.git().run(["log", "-1", "--format=%s", "main"]);
        assert_eq!(subject, "Revert \"helm/apps/podinfo: 6.5.0 -> 6.5.1\"");
        let said: Vec<String> =
            world.forge.github().comments.iter().map(|comment| comment.body.clone()).collect();
        assert!(said.iter().any(|body| body.contains("reverted by")), "{said:?}");
        world.forge.writes();
        drop(world.run(&["verify", "--now", MUCH_LATER]));
        assert_eq!(world.forge.writes(), [""; 0], "nothing is said twice");
    }
}

#[test]
fn revert_is_proposed_where_the_branch_is_protected() {
    let world = World::new();
    decided(&world, "squash");
    let hook = world.bare.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\nwhile read old new name; do\n  if [ \"$name\" = refs/heads/main ]; then\n    \
                  echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2\n    exit 1\n  fi\ndone\n";
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(world.run(&["verify", "--now", LATER]).exited(21));
    assert_eq!(version(&world), "version: 6.5.1 # kept", "nothing was pushed");
    let proposed = world.open("revert");
    assert!(proposed.title.starts_with("Revert \"helm/apps/podinfo"), "{}", proposed.title);
    let before = world.pulls();
    drop(world.run(&["verify", "--now", MUCH_LATER]));
    assert_eq!(world.pulls(), before, "it is proposed once");
    world.merge("revert", "merge");
    drop(world.run(&["verify", "--now", MUCH_LATER]));
    assert_eq!(version(&world), "version: 6.5.0 # kept");
    let state = world.git().run(["show", "refs/gitops-updater/state:quarantine.yaml"]);
    assert!(state.contains("6.5.1"), "{state}");
}

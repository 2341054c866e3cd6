//! A revert on GitHub: pushed where the branch takes it, proposed where it is protected, and said on the forge.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use gitops_updater::domain::settle::record::{Reversal, RolloutStop};
use gitops_updater::domain::settle::verdict::Verdict;
use gitops_updater::domain::state::{Stage, Update};
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};
use serde_json::json;

use super::world::{LATER, MUCH_LATER, NOW, TOKEN, World};
use crate::support::fake_channels::{FakeChannels, HOOK_PATH};
use crate::support::fake_forge::{Account, Answer, Fault, Level};

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
            seen_by: None,
        });
        Some(Transition::of(update))
    });
    changed.unwrap();
    merge
}

/// Nobody may push to the base branch.
fn protect(world: &World) {
    let hook = world.bare.join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\nwhile read old new name; do\n  if [ \"$name\" = refs/heads/main ]; then\n    \
                  echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2\n    exit 1\n  fi\ndone\n";
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
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
    protect(&world);
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

/// GitHub is the author of the branch then: what a pass had pushed that was killed before it opened the pull request was
/// taken for somebody else's, and the update held for good.
#[test]
fn revert_by_commits_of_github_goes_on_from_the_branch_that_was_pushed() {
    let world = World::new();
    world.configure("commits: {through_api: true}\nvalidation: {revert_by: pull_request}\n");
    decided(&world, "squash");
    world.forge.fail(Fault::instead("POST", "/pulls", Answer::refuse(422, "Validation Failed")));
    drop(world.run(&["verify", "--now", LATER]).exited(22));
    assert_eq!(world.forge.faults_left(), 0);
    let branch = world.branches().into_iter().find(|branch| branch.contains("revert")).unwrap();
    drop(world.run(&["verify", "--now", MUCH_LATER]).exited(21));
    assert_eq!(world.open("revert").pull.unwrap().head, branch);

    // What somebody adds to it meanwhile is still theirs.
    let world = World::new();
    world.configure("commits: {through_api: true}\nvalidation: {revert_by: pull_request}\n");
    decided(&world, "squash");
    world.forge.fail(Fault::instead("POST", "/pulls", Answer::refuse(422, "Validation Failed")));
    drop(world.run(&["verify", "--now", LATER]).exited(22));
    let mine = world.somebody_commits(&branch, "apps/mine.yaml", "mine: 1\n");
    let told = world.run(&["verify", "--now", MUCH_LATER]);
    assert!(told.stdout.contains("has commits of somebody else"), "{told}");
    assert_eq!(world.git().run(["rev-parse", &branch]), mine);
}

/// A rollout of k3s that is to be stopped, as a pass leaves it that is killed right after it decided that.
fn to_be_stopped(world: &World) {
    let plan = |version: &str| {
        format!(
            "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: server, namespace: system-upgrade}}\nspec:\n  \
             version: {version}\n  concurrency: 1 # at a time\n  upgrade: {{image: rancher/k3s-upgrade}}\n"
        )
    };
    let (old, new) = ("v1.36.2+k3s1", "v1.36.3+k3s1");
    let base = world.somebody_commits("main", "apps/server.yaml", &plan(old));
    let merge = world.somebody_commits("main", "apps/server.yaml", &plan(new));
    world.pull();
    let update = json!({"update_id": STOPPED, "status": "held", "stage": "held", "started_at": NOW, "changed_at": NOW,
        "campaign": "campaign-20261121-100000", "component": "k3s", "from": old, "to": new, "update_type": "patch",
        "gate": "review", "policy_applied": "policy.semver_gates.patch",
        "revert": {"safety": "conditional", "why": "before a node has moved"}, "branch": "gitops-updater/k3s",
        "completed_phases": [],
        "base": base, "head": merge, "merge_commit": merge, "merged_at": NOW, "reason": "n1: JobFailed",
        "settling": {"verdict": "regressed", "hold": {"since": NOW, "clears_itself": false},
            "stop": {"decided_at": NOW, "decided_on": merge, "reason": "n1: JobFailed", "plans": {"system-upgrade/server": 1}}}});
    let update: Update = serde_json::from_value(update).unwrap();
    let repo = WriteRepo::open(&world.bare, Remote::own()).unwrap();
    let store = StateStore::new(Arc::new(repo), Person::bot());
    let changed = store.change(NOW.parse().unwrap(), |state| {
        state.updates.insert(STOPPED.to_owned(), update.clone());
        Some(Transition::of(&update))
    });
    changed.unwrap();
}

const STOPPED: &str = "update-20261121-090000";

fn stop(world: &World) -> RolloutStop {
    let repo = WriteRepo::open(&world.bare, Remote::own()).unwrap();
    let state = StateStore::new(Arc::new(repo), Person::bot()).load().unwrap().state;
    state.updates[STOPPED].settling.stop.clone().unwrap()
}

/// GitHub is the author of the branch, and of what it is squashed to.
#[test]
fn stop_of_a_rollout_by_commits_of_github_goes_on_and_is_known_when_it_is_merged() {
    let config = "commits: {through_api: true}\nvalidation: {revert_by: pull_request}\n";
    let world = World::new();
    world.configure(config);
    to_be_stopped(&world);
    world.forge.fail(Fault::instead("POST", "/pulls", Answer::refuse(422, "Validation Failed")));
    drop(world.run(&["verify", "--now", LATER]));
    assert_eq!(world.forge.faults_left(), 0);
    assert!(world.forge.writes().iter().any(|line| line == "POST /git/commits"));
    let branch = world.branches().into_iter().find(|branch| branch.contains("stop")).unwrap();
    drop(world.run(&["verify", "--now", LATER]));
    let proposed = world.open("stop");
    assert_eq!(proposed.pull.unwrap().head, branch);
    let text = world.git().run(["show", &format!("{branch}:apps/server.yaml")]);
    assert!(text.contains("concurrency: 0 # at a time") && text.contains("version: v1.36.3+k3s1"), "{text}");
    let merged = world.merge("stop", "squash");
    let message = world.git().run(["log", "-1", "--format=%B", "main"]);
    assert!(!message.contains("Stops:"), "the forge has words of its own: {message}");
    drop(world.run(&["verify", "--now", MUCH_LATER]));
    assert_eq!(stop(&world).commit, Some(merged), "{:?}", stop(&world));

    // What somebody adds to the branch meanwhile is theirs.
    let world = World::new();
    world.configure(config);
    to_be_stopped(&world);
    world.forge.fail(Fault::instead("POST", "/pulls", Answer::refuse(422, "Validation Failed")));
    drop(world.run(&["verify", "--now", LATER]));
    let branch = world.branches().into_iter().find(|branch| branch.contains("stop")).unwrap();
    let mine = world.somebody_commits(&branch, "apps/mine.yaml", "mine: 1\n");
    drop(world.run(&["verify", "--now", LATER]));
    assert!(stop(&world).refused[0].contains("has commits of somebody else"));
    assert_eq!(world.git().run(["rev-parse", &branch]), mine);
}

/// A token that may do all but write statuses, as the README once had it.
fn without_statuses(world: &World) {
    let mut account = Account::bot(41_898_282, "github-actions[bot]");
    account.permissions.insert("statuses", Level::Read);
    world.forge.github().account(TOKEN, account);
}

#[test]
fn refused_status_keeps_neither_label_nor_comment_from_a_held_update() {
    let world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(NOW);
    world.hold("helm/apps/podinfo", "HelmRelease/apps/podinfo: UpgradeFailed");
    without_statuses(&world);
    let told = world.run(&["run", "--now", LATER]).exited(0);
    assert!(told.stdout.contains("Take note") && told.stdout.contains("statuses: write"), "{told}");
    let number = world.pulls().into_iter().find(|(_, name, _)| name.contains("podinfo")).unwrap().0;
    let labels = world.forge.github().issue(number).labels.clone();
    assert!(labels.iter().any(|label| label == "gitops-updater/hold"), "{labels:?}");
    let comments = |world: &World| {
        let github = world.forge.github();
        let of_it = github.comments.iter().filter(|comment| comment.issue == number);
        of_it.map(|comment| comment.body.clone()).collect::<Vec<_>>()
    };
    let said = comments(&world);
    assert!(said.iter().any(|body| body.contains("UpgradeFailed")), "{said:?}");
    // The status alone is tried again, and is there as soon as it may be.
    world.forge.writes();
    drop(world.run(&["run", "--now", LATER]).exited(0));
    let writes = world.forge.writes();
    assert!(writes.len() == 1 && writes[0].contains("/statuses/"), "{writes:?}");
    world.forge.github().account(TOKEN, Account::bot(41_898_282, "github-actions[bot]"));
    let told = world.run(&["run", "--now", LATER]).exited(0);
    assert!(!told.stdout.contains("Take note"), "{told}");
    assert_eq!(comments(&world), said);
    world.quiet(LATER);
}

#[test]
fn revert_is_made_and_is_no_failure_where_nothing_may_be_said_of_it() {
    let world = World::new();
    decided(&world, "squash");
    without_statuses(&world);
    let path = "/comments";
    world.forge.fail(Fault::instead(
        "POST",
        path,
        Answer::refuse(403, "Resource not accessible by integration"),
    ));
    let told = world.run(&["verify", "--now", LATER]).exited(21);
    assert_eq!(world.forge.faults_left(), 0);
    assert!(told.stdout.contains("Take note (2)") && !told.stdout.contains("Failed"), "{told}");
    assert_eq!(version(&world), "version: 6.5.0 # kept");
}

#[test]
fn revert_that_failed_is_told_once_at_once() {
    let world = World::new();
    let channels = world.channels();
    decided(&world, "merge");
    world.configure(&format!(
        "notifications: {{channels: {{ops: {{type: webhook, url: '{}', at_least: critical}}}}}}\n",
        channels.url(HOOK_PATH)
    ));
    protect(&world);
    let refusal = || Fault::instead("POST", "/pulls", Answer::refuse(422, "Validation Failed"));
    let kinds = |channels: &FakeChannels| {
        let arrived = channels.arrived();
        arrived
            .iter()
            .map(|message| message.body["events"][0]["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for _ in 0..2 {
        world.forge.fail(refusal());
        drop(world.run(&["run", "--now", LATER]).exited(22));
        assert_eq!(kinds(&channels), ["revert_failed"]);
    }
    let message = channels.arrived().remove(0).body;
    assert!(message.to_string().contains("helm/apps/podinfo"), "{message}");
    assert!(message.to_string().contains("gitops-updater rollback"), "{message}");
    assert_eq!(version(&world), "version: 6.5.1 # kept");
}

//! Right after a merge, before any pass has seen it: the command records it as a pass does, and goes back from there.

use std::sync::Arc;

use gitops_updater::app::effects::{Effect, Witness};
use gitops_updater::app::forge::{Forge as _, NewPullRequest};
use gitops_updater::app::settle::Recorded;
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};
use rstest::rstest;
use serde_json::json;

use super::{ID, LAST, LATER, podinfo_at, program, quarantine, stage_of};
use crate::pass::world::{NOW, Recording, World};
use crate::support::manifests::release;
use crate::support::sandbox::Sandbox;

/// A repository in which the proposal of podinfo 6.5.1 was merged a moment ago.
fn merged() -> World {
    let world = World::new();
    world.run();
    world.merge(world.pulls().iter().find(|pull| pull.1.contains("podinfo")).unwrap().0);
    assert_eq!((stage_of(&world).as_str(), podinfo_at(&world, "main").contains("6.5.1")), ("proposed", true));
    world
}

/// It was refused with the hint to run `verify` first.
#[test]
fn what_was_merged_just_now_is_recorded_and_proposed_to_go_back() {
    let world = merged();
    let before = world.refs();
    let told = program(&world, &[ID, "--dry-run", "--format", "json"]).exited(0).json();
    let would: Vec<&str> =
        told["effects"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(would.len() == 4 && would[0].contains("podinfo") && would[3].starts_with("open"), "{would:?}");
    assert_eq!(world.refs(), before, "a dry run changes nothing");

    let told = program(&world, &[ID, "--reason", "orders fail", "--format", "json"]).exited(0).json();
    assert_eq!(told["components"][0]["to"], "6.5.0");
    assert!(told["components"][0]["update_id"].as_str().unwrap().starts_with("update-"), "{told}");
    assert_eq!(stage_of(&world), "merged");
    assert!(quarantine(&world).contains("orders fail"), "{}", quarantine(&world));
    let number = told["pull_request"].as_u64().unwrap();
    let branch = world.pulls().into_iter().find(|pull| pull.0 == number).unwrap().1;
    let message = world.git.run(["log", "-1", "--format=%B", &branch]);
    assert!(message.contains("This reverts commit"), "{message}");

    let again = program(&world, &[ID, "--reason", "orders fail", "--format", "json"]).exited(0).json();
    assert_eq!((&again["pull_request"], again["effects"].as_array().unwrap().len()), (&json!(number), 0));
    world.merge(number);
    let dir = world.dir().to_str().unwrap();
    drop(Sandbox::empty().run(["run", dir, "--offline", "--now", LAST]).exited(0));
    assert_eq!(stage_of(&world), "reverted");
    assert!(podinfo_at(&world, "main").contains("6.5.0"));
}

#[test]
fn what_was_merged_just_now_goes_back_by_a_push() {
    let world = merged();
    let would = program(&world, &[ID, "--push", "--dry-run", "--format", "json"]).exited(0).json();
    let did = program(&world, &[ID, "--push", "--format", "json"]).exited(0).json();
    assert_eq!(did["effects"], would["effects"]);
    assert_eq!(did["effects"].as_array().unwrap().len(), 4, "merge, quarantine, push, revert: {did}");
    assert_eq!(stage_of(&world), "reverted");
    assert!(podinfo_at(&world, "main").contains("6.5.0"));
}

#[test]
fn kill_switch_stops_it_before_anything_is_recorded() {
    let world = merged();
    let before = world.refs();
    let dir = world.dir().to_str().unwrap();
    let stopped = Sandbox::empty()
        .variable("GITOPS_UPDATER_DISABLE", "1")
        .run(["rollback", ID, "-C", dir, "--now", LATER])
        .exited(1);
    assert!(stopped.stderr.contains("kill switch"), "{stopped}");
    assert_eq!(world.refs(), before);
    world.git.write(".gitops-updater.yaml", "enabled: false\n");
    world.git.commit_all("Stop");
    drop(program(&world, &[ID]).exited(1));
    assert_eq!((world.refs().len(), stage_of(&world).as_str()), (before.len(), "proposed"));
}

fn record(world: &World, witness: &dyn Witness) -> Option<Recorded> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    world.with_pass(witness, LATER, &runtime, |pass| pass.record_merged(pass.observe().unwrap())).ok()
}

#[rstest]
#[case::before_it_is_recorded(Recording { stop_before: Some(0), ..Recording::default() }, "proposed")]
#[case::after_it_is_recorded(Recording { stop_after: Some(0), ..Recording::default() }, "merged")]
fn cut_off_around_the_record_it_goes_on_from_there(#[case] witness: Recording, #[case] stage: &str) {
    let world = merged();
    assert!(record(&world, &witness).is_none());
    assert_eq!(stage_of(&world), stage);
    drop(program(&world, &[ID]).exited(0));
    let trail = world.git.run(["log", "--format=%s", "refs/gitops-updater/state"]);
    assert_eq!(trail.lines().filter(|line| line.starts_with("Record the merge")).count(), 1, "{trail}");
    assert_eq!(world.pulls().iter().filter(|pull| pull.1.contains("rollback")).count(), 1);
    assert!(record(&world, &Recording::default()).unwrap().effects.is_empty(), "all is recorded");
}

#[test]
fn what_was_merged_is_recorded_from_its_pull_request_where_the_record_was_lost() {
    let world = merged();
    // Here and where this clone remembers what it has seen.
    let all = world.git.run(["for-each-ref", "--format=%(refname)"]);
    for name in
        all.lines().filter(|name| name.contains("gitops-updater/state") || name.contains("refs/remotes/"))
    {
        world.git.run(["update-ref", "-d", name]);
    }
    let told = program(&world, &[ID, "--format", "json"]).exited(0).json();
    assert!(told["pull_request"].is_u64(), "{told}");
    let recorded = record(&world, &Recording::default()).unwrap();
    assert_eq!((stage_of(&world).as_str(), recorded.effects), ("merged", Vec::<Effect>::new()));
}

fn plan(version: &str) -> String {
    format!(
        "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: server, namespace: system-upgrade}}\nspec:\n  \
         version: {version}\n  upgrade: {{image: rancher/k3s-upgrade}}\n"
    )
}

fn longhorn(version: &str) -> String {
    release("longhorn", version, "")
}

/// A proposal of this component that was merged a moment ago.
fn merged_step(id: &str, of: fn(&str) -> String, from: &str, to: &str) -> World {
    let world = World::new();
    world.git.write("step.yaml", of(from));
    let base = world.git.commit_all("Begin");
    let branch = "gitops-updater/step-00000000";
    world.git.run(["checkout", "--quiet", "-b", branch]);
    world.git.write("step.yaml", of(to));
    let head = world.git.commit_all("Step");
    world.git.run(["checkout", "--quiet", "main"]);
    let new = NewPullRequest {
        branch: branch.to_owned(),
        base: "main".to_owned(),
        title: "Step".to_owned(),
        body: String::new(),
        labels: vec![],
        reviewers: vec![],
        assignees: vec![],
        draft: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let number = runtime.block_on(world.forge().open(&new)).unwrap().number;
    let update = json!({"update_id": "update-20261121-100000", "status": "in_progress", "stage": "proposed",
        "started_at": NOW, "changed_at": NOW, "campaign": "campaign-20261121-100000", "component": id, "from": from,
        "to": to, "update_type": "patch", "gate": "review", "policy_applied": "policy.semver_gates.patch",
        "revert": {"safety": "conditional", "why": "the reason"}, "branch": branch, "completed_phases": [],
        "base": base, "head": head, "pull_request": number});
    let update: gitops_updater::domain::state::Update = serde_json::from_value(update).unwrap();
    let repo = WriteRepo::open(world.dir(), Remote::own()).unwrap();
    let changed = StateStore::new(Arc::new(repo), Person::bot()).change(NOW.parse().unwrap(), |state| {
        state.updates.insert(update.update_id.clone(), update.clone());
        Some(Transition::of(&update))
    });
    changed.unwrap();
    world.merge(number);
    world
}

/// Whatever was recorded just now: what does harm is refused.
#[rstest]
#[case::k3s_after_a_node_moved("k3s", plan, "v1.33.4+k3s1", "v1.33.5+k3s1", Some("v1.33.5+k3s1"))]
#[case::k3s_that_nobody_sees("k3s", plan, "v1.33.4+k3s1", "v1.33.5+k3s1", None)]
#[case::longhorn_that_is_recorded("longhorn", longhorn, "1.10.0", "1.10.1", Some("v1.10.1"))]
#[case::longhorn_that_nobody_sees("longhorn", longhorn, "1.10.0", "1.10.1", None)]
fn what_does_harm_is_refused_when_it_was_merged_just_now(
    #[case] id: &str,
    #[case] of: fn(&str) -> String,
    #[case] from: &str,
    #[case] to: &str,
    #[case] seen: Option<&str>,
) {
    let world = merged_step(id, of, from, to);
    let pulls = world.pulls().len();
    let folder = tempfile::tempdir().unwrap();
    let facts = folder.path().join("facts.yaml");
    let mut arguments = vec![id];
    if let Some(seen) = seen {
        let text = format!(
            "taken_at: {LATER}\nnodes: [{{name: n, kubelet: {seen}, ready: true, schedulable: true}}]\nlonghorn: {{current: \
             {seen}}}\n"
        );
        std::fs::write(&facts, text).unwrap();
        arguments.extend(["--facts", facts.to_str().unwrap()]);
    }
    let refused = program(&world, &arguments).exited(1);
    assert!(refused.stderr.contains("not rolled back: it would do harm"), "{refused}");
    assert_eq!(refused.stderr.contains("was not seen"), seen.is_none(), "{refused}");
    assert_eq!(world.pulls().len(), pulls);
    let state = world.state_file("updates/update-20261121-100000.yaml");
    assert!(state.contains("stage: merged\n"), "{state}");
    let names = world.git.run(["ls-tree", "--name-only", "refs/gitops-updater/state"]);
    assert!(!names.contains("quarantine"), "{names}");
}

/// A file of facts may be fresh and from before the merge: nodes were said to be where they were.
#[test]
fn facts_from_before_the_merge_say_nothing_of_what_has_moved() {
    let (from, to) = ("v1.33.4+k3s1", "v1.33.5+k3s1");
    let world = merged_step("k3s", plan, from, to);
    let folder = tempfile::tempdir().unwrap();
    let facts = folder.path().join("facts.yaml");
    let rollback = |taken_at: &str| {
        let text = format!(
            "taken_at: {taken_at}\nnodes: [{{name: n, kubelet: {from}, ready: true, schedulable: true}}]\n"
        );
        std::fs::write(&facts, text).unwrap();
        let (dir, facts) = (world.dir().to_str().unwrap(), facts.to_str().unwrap());
        // It was merged at NOW.
        let now = ["--now", "2026-11-21T10:05:00Z", "--facts", facts];
        Sandbox::empty().run(["rollback", "k3s", "-C", dir].iter().chain(&now).copied())
    };
    let refused = rollback("2026-11-21T09:58:00Z").exited(1);
    assert!(refused.stderr.contains("the cluster was not seen"), "{refused}");
    assert!(rollback("2026-11-21T10:04:00Z").exited(0).stdout.contains("no node has moved yet"));
}

//! Whole passes that back data up before they push a branch.

use gitops_updater::backup::Backups;
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use std::sync::Arc;

use crate::pass::world::{NOW, Recording, World};
use crate::support::scripted_cluster::ScriptedCluster;

fn world() -> World {
    let mut world = World::new();
    world.config = "backup: {data: {longhorn: {}, export: {}}}\nlimits: {open_pull_requests: 1}\n".to_owned();
    let settings = serde_json::json!({"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "apps"}, "data": {"a": "1"}});
    world.cluster =
        Some(ScriptedCluster::new().target(true).volume("pvc-1", "apps", "data", "attached").with(settings));
    world
}

fn cluster(world: &World) -> &ScriptedCluster {
    world.cluster.as_ref().unwrap()
}

fn body(world: &World) -> String {
    use gitops_updater::app::forge::Forge as _;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(world.forge().pull_requests()).unwrap().remove(0).body
}

#[test]
fn backup_point_and_pull_request_say_which_data_was_backed_up() {
    let world = world();
    world.run();
    let git = Arc::new(WriteRepo::open(world.dir(), Remote::own()).unwrap());
    let points = Backups::new(git, Person::bot()).list().unwrap();
    let point = points[0].point.as_ref().unwrap();
    let kinds: Vec<&str> = point.data.iter().map(|data| data.kind.as_str()).collect();
    assert_eq!(kinds, ["longhorn_backup", "longhorn_snapshot", "export"]);
    let file = ".gitops-updater-backup/cluster/apps/ConfigMap/settings.yaml";
    let text =
        world.git.run(["show", &format!("refs/gitops-updater/backups/{}^{{commit}}:{file}", points[0].id)]);
    assert!(text.contains("name: settings"), "{text}");
    let body = body(&world);
    assert!(body.contains("longhorn backup ") && body.contains(": Completed"), "{body}");
    assert!(body.contains("Not backed up:") && body.contains("no Secret"), "{body}");
    let done = world.run();
    assert_eq!(done.effects, [], "the second pass finds all of it");
}

#[test]
fn failed_backup_stops_the_proposal_and_the_next_pass_goes_on() {
    let first = world();
    *cluster(&first).fails_once.lock().unwrap() = Some("Backup".to_owned());
    let done = first.pass(&Recording::default(), NOW).unwrap();
    assert_eq!(done.failures.len(), 1, "{:?}", done.failures);
    assert!(done.failures[0].error.to_string().contains("no space left"));
    assert_eq!(first.branches(), [""; 0], "nothing was pushed");
    assert_eq!(first.pulls(), []);
    assert_eq!(first.git.run(["for-each-ref", "refs/gitops-updater/backups"]), "");
    first.run();
    assert_eq!(first.pulls().len(), 1);
    assert_eq!(cluster(&first).names("Backup").len(), 1);
}

#[test]
fn target_that_is_away_holds_the_step_before_anything_is_recorded() {
    let mut world = world();
    world.cluster = Some(world.cluster.take().unwrap().target(false));
    let done = world.run();
    assert!(
        done.plan.held.iter().any(|held| held.gate == "backup" && held.reason.contains("BackupTarget")),
        "{:?}",
        done.plan.held
    );
    assert!(done.state.updates.is_empty());
    assert_eq!(world.pulls(), []);
}

#[test]
fn pass_that_is_stopped_at_any_effect_ends_as_a_clean_one_and_doubles_nothing() {
    let clean = world();
    let recording = Recording::default();
    clean.pass(&recording, NOW).unwrap();
    let (expected, count) = (clean.refs(), recording.count());
    let made = cluster(&clean).created();
    for stop in 0..count {
        for after in [false, true] {
            let world = world();
            let recording = match after {
                false => Recording { stop_before: Some(stop), ..Recording::default() },
                true => Recording { stop_after: Some(stop), ..Recording::default() },
            };
            assert!(world.pass(&recording, NOW).is_err());
            world.run();
            assert_eq!(world.refs(), expected, "stopped at {stop}, after: {after}");
            assert_eq!(cluster(&world).created(), made, "stopped at {stop}, after: {after}");
        }
    }
}

#[test]
fn dry_run_touches_neither_repository_nor_cluster() {
    let world = world();
    let before = world.refs();
    let done = world.pass(&Recording { skip: true, ..Recording::default() }, NOW).unwrap();
    assert_eq!(world.refs(), before);
    assert!(cluster(&world).created().is_empty());
    assert!(
        done.effects.iter().any(|effect| effect.to_string().starts_with("create Snapshot")),
        "{:?}",
        done.effects
    );
}

#[test]
fn without_a_way_to_the_cluster_a_demanded_backup_holds_the_step() {
    let mut world = world();
    world.cluster = None;
    let done = world.run();
    assert!(
        done.plan.held.iter().any(|held| held.reason.contains("no way to the cluster")),
        "{:?}",
        done.plan.held
    );
    assert_eq!(world.pulls(), []);
}

//! Killed between any two effects in the cluster: the same end, nothing doubled.

use gitops_updater::app::data::DataError;

use super::{ID, Room};
use crate::pass::world::Recording;
use crate::support::scripted_cluster::ScriptedCluster;
use gitops_updater::domain::backup::names::name_of;

fn room() -> Room {
    let cluster = ScriptedCluster::new()
        .target(true)
        .server("server-1", true)
        .etcd_snapshot("etcd-1", "2026-11-21T09:30:00Z")
        .volume("pvc-1", "apps", "data", "attached")
        .volume("pvc-2", "apps", "cold", "detached");
    Room::new(cluster, "backup: {data: {longhorn: {}, etcd: {components: [longhorn]}}}\n")
}

#[test]
fn stopped_before_or_after_any_effect_the_next_run_ends_as_a_clean_one() {
    let clean = room();
    let expected = clean.make("longhorn").unwrap();
    let count = expected.effects.len();
    assert_eq!(count, 5, "{:?}", expected.effects);
    for stop in 0..count {
        for after in [false, true] {
            let room = room();
            let recording = match after {
                false => Recording { stop_before: Some(stop), ..Recording::default() },
                true => Recording { stop_after: Some(stop), ..Recording::default() },
            };
            assert!(matches!(room.make_with("longhorn", &recording), Err(DataError::Stopped(_))));
            let made = room.make("longhorn").unwrap();
            assert_eq!(made.data, expected.data, "stopped at {stop}, after: {after}");
            let mut created = room.cluster.created();
            let all = created.len();
            created.sort();
            created.dedup();
            assert_eq!((created.len(), all), (count, count), "nothing is made twice: {created:?}");
        }
    }
}

#[test]
fn two_runs_at_once_make_each_backup_once() {
    let room = room();
    // The other run has made the first snapshot between our look and our creation: as if both had looked at once.
    room.make("longhorn").unwrap();
    let first = room.cluster.object("Snapshot", &name_of(ID, "pvc-1")).unwrap();
    let other = super::killed::room();
    other.cluster.put(first);
    assert_eq!(other.make("longhorn").unwrap().data.len(), 6);
    assert_eq!(other.cluster.created().len(), 4);
}

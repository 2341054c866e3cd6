//! Old backups of data go; what is in use, young, or somebody else's stays.

use serde_json::{Value, json};

use super::Room;
use crate::support::scripted_cluster::ScriptedCluster;
use gitops_updater::domain::backup::names::{key, name_of};

fn made(kind: &str, id: &str, at: &str) -> Value {
    json!({
        "kind": kind,
        "metadata": {
            "name": name_of(id, "pvc-1"),
            "namespace": "longhorn-system",
            "creationTimestamp": at,
            "labels": {"app.kubernetes.io/managed-by": "gitops-updater", "gitops-updater/backup-point": key(id)},
            "annotations": {"gitops-updater/backup-id": id},
        },
    })
}

fn room() -> Room {
    let mut cluster = ScriptedCluster::new();
    for (id, at) in [
        ("backup-1", "2026-11-01T00:00:00Z"),
        ("backup-2", "2026-11-02T00:00:00Z"),
        ("backup-3", "2026-11-20T00:00:00Z"),
        ("backup-4", "2026-11-21T00:00:00Z"),
    ] {
        cluster = cluster.with(made("Snapshot", id, at)).with(made("Backup", id, at));
    }
    // Somebody else's: by hand, and a copy that kept the labels.
    let mut copy = made("Backup", "backup-1", "2026-11-01T00:00:00Z");
    copy["metadata"]["name"] = "before-the-move".into();
    let by_hand = json!({"kind": "Backup", "metadata": {"name": "mine", "namespace": "longhorn-system", "creationTimestamp": "2026-01-01T00:00:00Z"}});
    Room::new(cluster.with(copy).with(by_hand), "backup: {data: {longhorn: {keep_last: 1, keep_for: 7d}}}\n")
}

#[test]
fn old_backups_go_before_their_snapshots_and_everything_else_stays() {
    let room = room();
    let effects = room.prune(&["backup-2"], "2026-11-21T10:00:00Z");
    let name = name_of("backup-1", "pvc-1");
    assert_eq!(room.cluster.deleted(), [format!("Backup/{name}"), format!("Snapshot/{name}")]);
    assert_eq!(effects.len(), 2);
    assert_eq!(room.cluster.names("Backup").len(), 5);
    assert!(
        room.prune(&["backup-2"], "2026-11-21T10:00:00Z").is_empty(),
        "the second time there is nothing to do"
    );
}

#[test]
fn clock_that_went_back_removes_nothing() {
    assert!(room().prune(&[], "2026-01-01T00:00:00Z").is_empty());
}

//! Claims, volumes, and Longhorn.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

#[rstest]
#[case::pending_for_long(vec![claim("Pending", 3, None)], "failing claim_bound PersistentVolumeClaim/apps/data Pending")]
#[case::pending_for_a_moment(vec![claim("Pending", 1, None)], "")]
#[case::waits_for_its_pod(vec![claim("Pending", 9, Some("local")), waiting_class()], "")]
#[case::waits_for_its_pod_by_default(vec![claim("Pending", 9, None), waiting_class()], "")]
#[case::has_its_pod(vec![claim("Pending", 9, Some("local")), waiting_class(), mounting_pod()],
    "failing claim_bound PersistentVolumeClaim/apps/data Pending")]
#[case::lost(vec![claim("Lost", 0, None)], "failing claim_bound PersistentVolumeClaim/apps/data Lost")]
#[case::bound(vec![claim("Bound", 9, None)], "")]
#[case::reclaim_failed(vec![object("v1", "PersistentVolume", "pvc-1", json!({"status": {"phase": "Failed"}}))],
    "failing volume_phase PersistentVolume/pvc-1 Failed")]
#[case::not_attached(vec![attachment(4, false, Some("rpc error"))], "failing volume_attached PersistentVolume/pvc-1 AttachError")]
#[case::not_attached_yet(vec![attachment(2, false, Some("rpc error"))], "")]
#[case::attached_after_all(vec![attachment(9, true, Some("rpc error"))], "")]
fn storage(#[case] objects: Vec<Value>, #[case] expected: &str) {
    assert_eq!(told(&found(&objects)).join("\n"), expected);
}

#[rstest]
#[case::faulted(volume("faulted", 0), "critical longhorn_volume Volume/longhorn-system/x faulted")]
#[case::degraded_past_the_rebuild_budget(
    volume("degraded", 31),
    "failing longhorn_volume Volume/longhorn-system/x degraded"
)]
#[case::degraded_for_a_moment(
    volume("degraded", 3),
    "notice longhorn_volume Volume/longhorn-system/x degraded"
)]
#[case::detached(volume("unknown", 0), "")]
#[case::healthy(volume("healthy", 99), "")]
#[case::no_place_for_replicas(longhorn("Volume", json!({"status": {"robustness": "healthy",
    "conditions": [condition("Scheduled", "False", "ReplicaSchedulingFailure", 1)]}})),
    "failing longhorn_scheduled Volume/longhorn-system/x ReplicaSchedulingFailure")]
#[case::snapshots(longhorn("Volume", json!({"status": {"conditions": [condition("TooManySnapshots", "True", "TooManySnapshots", 1)]}})),
    "notice longhorn_snapshots Volume/longhorn-system/x TooManySnapshots")]
#[case::old_engine(longhorn("Volume", json!({"spec": {"image": "engine:2"}, "status": {"robustness": "healthy", "currentImage": "engine:1"}})),
    "notice longhorn_engine Volume/longhorn-system/x OldEngine")]
#[case::manager_down(longhorn("Node", json!({"status": {"conditions": [condition("Ready", "False", "ManagerPodDown", 6)]}})),
    "failing longhorn_node Node.longhorn.io/longhorn-system/x ManagerPodDown")]
#[case::manager_restarts(longhorn("Node", json!({"status": {"conditions": [condition("Ready", "False", "ManagerPodDown", 1)]}})), "")]
#[case::disk(longhorn("Node", json!({"status": {"diskStatus": {"d1": {"conditions": [condition("Ready", "False", "DiskNotReady", 9)]}}}})),
    "failing longhorn_disk Node.longhorn.io/longhorn-system/x DiskNotReady")]
#[case::full_disk(longhorn("Node", json!({"status": {"diskStatus": {"d1": {"conditions": [condition("Schedulable", "False", "DiskPressure", 9)]}}}})),
    "notice longhorn_disk Node.longhorn.io/longhorn-system/x DiskPressure")]
#[case::read_only(longhorn("Engine", json!({"status": {"conditions": [condition("FilesystemReadOnly", "True", "FilesystemReadOnly", 1)]}})),
    "failing longhorn_engine_writes Engine/longhorn-system/x FilesystemReadOnly")]
#[case::rebuild_failed(longhorn("Replica", json!({"status": {"conditions": [condition("RebuildFailed", "True", "Disconnection", 1)]}})),
    "failing longhorn_replica Replica/longhorn-system/x Disconnection")]
#[case::engine_image_missing(longhorn("EngineImage", json!({"spec": {"image": "e:1"}, "status": {"state": "deploying", "refCount": 3, "nodeDeploymentMap": {"n1": false}}})),
    "failing longhorn_engine_image EngineImage/longhorn-system/x deploying")]
#[case::engine_image_unused(longhorn("EngineImage", json!({"spec": {"image": "e:1"}, "status": {"state": "deploying", "refCount": 0}})), "")]
#[case::engine_image_incompatible(longhorn("EngineImage", json!({"spec": {"image": "e:1"}, "status": {"state": "deployed", "incompatible": true, "refCount": 1}})),
    "failing longhorn_engine_image EngineImage/longhorn-system/x Incompatible")]
#[case::backups_cannot_be_written(longhorn("BackupTarget", json!({"spec": {"backupTargetURL": "s3://b"}, "status": {"available": false,
    "conditions": [condition("Unavailable", "True", "Unavailable", 1)]}})),
    "failing longhorn_backup_target BackupTarget/longhorn-system/x Unavailable")]
#[case::no_backup_target(longhorn("BackupTarget", json!({"spec": {"backupTargetURL": ""}, "status": {"available": false}})), "")]
fn longhorn_objects(#[case] object: Value, #[case] expected: &str) {
    assert_eq!(told(&found(&[object])).join("\n"), expected);
}

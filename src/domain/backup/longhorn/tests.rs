//! What is read of Longhorn's objects, and what is made.

use rstest::rstest;

use super::*;

fn volume(name: &str, namespace: &str, claim: &str, state: &str) -> Volume {
    Volume::read(&json!({
        "metadata": {"name": name},
        "spec": {"size": "1073741824", "numberOfReplicas": 2, "accessMode": "rwx", "dataEngine": "v1"},
        "status": {
            "state": state, "robustness": "healthy",
            "kubernetesStatus": {"namespace": namespace, "pvcName": claim},
        },
    }))
    .unwrap()
}

#[test]
fn volume_is_read_with_all_that_a_volume_beside_it_needs() {
    let volume = volume("pvc-1", "apps", "data", "attached");
    assert_eq!((volume.record.size, volume.record.replicas), (1 << 30, 2));
    assert_eq!(volume.record.access_mode, "rwx");
    assert_eq!(volume.record.claim.as_deref(), Some("data"));
    assert_eq!(volume.obstacle(), None);
}

#[rstest]
#[case::every_volume(VolumeScope::All, &["apps"], &["pvc-1", "pvc-3", "pvc-2"])]
#[case::none(VolumeScope::None, &["apps", "db"], &[])]
#[case::claimed_in_the_namespace(VolumeScope::Namespace, &["apps"], &["pvc-1", "pvc-2"])]
#[case::of_the_release_alone(VolumeScope::Release, &["apps"], &["pvc-1"])]
#[case::without_a_namespace_there_is_none(VolumeScope::Namespace, &[], &[])]
fn volumes_that_are_meant(
    #[case] scope: VolumeScope,
    #[case] namespaces: &[&str],
    #[case] expected: &[&str],
) {
    let volumes = vec![
        volume("pvc-2", "apps", "cold", "detached"),
        volume("pvc-3", "db", "data", "attached"),
        volume("pvc-1", "apps", "data", "attached"),
    ];
    let namespaces: Vec<String> = namespaces.iter().map(|&name| name.to_owned()).collect();
    let of_release =
        BTreeSet::from([("apps".to_owned(), "data".to_owned()), ("db".to_owned(), "data".to_owned())]);
    let found = concerned(volumes, scope, &namespaces, &of_release);
    let names: Vec<&str> = found.iter().map(|volume| volume.record.name.as_str()).collect();
    assert_eq!(names, expected, "attached ones come first");
}

#[test]
fn claims_of_a_release_are_labelled_or_mounted_by_its_pods() {
    let claims = [
        json!({"metadata": {"namespace": "a", "name": "one", "labels": {"helm.toolkit.fluxcd.io/name": "r"}}}),
        json!({"metadata": {"namespace": "a", "name": "other", "labels": {"app.kubernetes.io/instance": "s"}}}),
    ];
    let pods = [json!({
        "metadata": {"namespace": "a", "labels": {"app.kubernetes.io/instance": "r"}},
        "spec": {"volumes": [{"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": "two"}}]},
    })];
    let found = claims_of_release("r", &claims, &pods);
    let names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
}

#[rstest]
#[case::ready(json!({"readyToUse": true, "creationTime": "T"}), Progress::Done { status: "readyToUse".to_owned(), location: None, made_at: Some("T".to_owned()) })]
#[case::error_while_the_volume_is_attached(json!({"error": "cannot take snapshot because the volume engine is not running"}), Progress::Waiting("cannot take snapshot because the volume engine is not running".to_owned()))]
#[case::gone(json!({"error": "lost track of the corresponding snapshot info inside volume engine"}), Progress::Failed("lost track of the corresponding snapshot info inside volume engine".to_owned()))]
#[case::removed(json!({"markRemoved": true}), Progress::Failed("it is marked as removed".to_owned()))]
#[case::nothing_said(json!({}), Progress::Waiting("not ready".to_owned()))]
fn how_far_a_snapshot_is(#[case] status: Value, #[case] expected: Progress) {
    assert_eq!(snapshot_progress(&json!({"status": status})), expected);
}

#[rstest]
#[case::completed(json!({"state": "Completed", "url": "s3://b?backup=x"}), Progress::Done { status: "Completed".to_owned(), location: Some("s3://b?backup=x".to_owned()), made_at: None })]
#[case::going_on(json!({"state": "InProgress", "progress": 40}), Progress::Waiting("InProgress 40 %".to_owned()))]
#[case::not_begun(json!({}), Progress::Waiting("Pending 0 %".to_owned()))]
#[case::error(json!({"state": "Error", "error": "no space\nmore"}), Progress::Failed("no space".to_owned()))]
#[case::unknown(json!({"state": "Unknown"}), Progress::Failed("Unknown".to_owned()))]
fn how_far_a_backup_is(#[case] status: Value, #[case] expected: Progress) {
    assert_eq!(backup_progress(&json!({"status": status})), expected);
}

#[rstest]
#[case::ready(json!({"state": "Ready"}), true)]
#[case::uploading(json!({"state": "Uploading"}), false)]
fn how_far_a_system_backup_is(#[case] status: Value, #[case] done: bool) {
    let progress = system_backup_progress(&json!({"status": status}));
    assert_eq!(matches!(progress, Progress::Done { .. }), done, "{progress:?}");
}

#[test]
fn failed_system_backup_says_why() {
    let status = json!({"state": "Error", "conditions": [{"type": "Error", "status": "True", "message": "no target"}]});
    assert_eq!(system_backup_progress(&json!({"status": status})), Progress::Failed("no target".to_owned()));
}

#[rstest]
#[case::available(json!([{"metadata": {"name": "default"}, "spec": {"backupTargetURL": "s3://b@r/"}, "status": {"available": true}}]), None)]
#[case::none(json!([]), Some("has no BackupTarget"))]
#[case::not_set(json!([{"metadata": {"name": "default"}, "spec": {"backupTargetURL": ""}}]), Some("has no URL"))]
#[case::away(json!([{"metadata": {"name": "default"}, "spec": {"backupTargetURL": "nfs://x"}, "status": {"available": false, "conditions": [{"type": "Unavailable", "status": "True", "message": "mount failed"}]}}]), Some("not available: mount failed"))]
fn target_that_cannot_take_backups_is_refused_with_the_reason(
    #[case] targets: Value,
    #[case] expected: Option<&str>,
) {
    let found = target_obstacle(targets.as_array().unwrap(), "default");
    match expected {
        None => assert_eq!(found, None),
        Some(part) => assert!(found.as_ref().is_some_and(|why| why.contains(part)), "{found:?}"),
    }
}

#[test]
fn faulted_volume_cannot_be_backed_up() {
    let mut volume = volume("pvc-1", "apps", "data", "detached");
    volume.robustness = "faulted".to_owned();
    assert!(volume.obstacle().unwrap().contains("faulted"));
}

#[test]
fn what_is_made_is_known_again_and_what_is_not_ours_is_not() {
    let volume = volume("pvc-1", "apps", "data", "attached");
    let made = backup("backup-1", "longhorn-system", &volume.record, "default");
    assert!(is_of(&made, "backup-1") && !is_of(&made, "backup-2"));
    assert_eq!(made["metadata"]["labels"]["backup-volume"], "pvc-1");
    assert_eq!(made["spec"]["snapshotName"], snapshot("backup-1", "l", &volume.record)["metadata"]["name"]);
    assert!(!is_of(&json!({"metadata": {"name": "x"}}), "backup-1"));
}

//! What is made for a step, and what stops it.

use gitops_updater::app::cluster::ErrorClass;
use gitops_updater::app::data::{DataError, DataKeeper, NoCluster};
use gitops_updater::app::effects::{Acting, Effect, Go, Stopped, Witness};
use gitops_updater::domain::backup::names::{key, name_of};
use serde_json::json;

use super::{ID, Room, request};
use crate::support::scripted_cluster::ScriptedCluster;

const LONGHORN: &str = "backup: {data: {longhorn: {concurrency: 2}}}\n";
const ETCD: &str = "backup: {data: {etcd: {max_age: 1h}}}\n";

fn cluster() -> ScriptedCluster {
    ScriptedCluster::new()
        .target(true)
        .volume("pvc-1", "apps", "data", "attached")
        .volume("pvc-2", "apps", "cold", "detached")
        .volume("pvc-3", "db", "data", "attached")
        .with(json!({
            "kind": "PersistentVolume", "metadata": {"name": "pvc-1"},
            "spec": {"csi": {"driver": "driver.longhorn.io", "volumeHandle": "pvc-1", "fsType": "xfs"}},
        }))
}

#[test]
fn chart_comes_with_backups_of_the_volumes_of_its_namespace() {
    let room = Room::new(cluster(), LONGHORN);
    let made = room.make("helm/apps/web").unwrap();
    let lines: Vec<String> = made.data.iter().map(|data| data.line()).collect();
    let (one, two) = (name_of(ID, "pvc-1"), name_of(ID, "pvc-2"));
    assert_eq!(
        lines,
        [
            format!("longhorn backup {one} of apps/data: Completed"),
            format!("longhorn backup {two} of apps/cold: Completed"),
            format!("longhorn snapshot {one} of apps/data: readyToUse"),
            format!("longhorn snapshot {two} of apps/cold: readyToUse"),
        ]
    );
    let volume = made.data[0].volume.as_ref().unwrap();
    assert_eq!((volume.size, volume.fs_type.as_str()), (1 << 30, "xfs"));
    assert!(made.data[0].location.as_ref().unwrap().starts_with("s3://backups@eu/"));
    assert_eq!(made.effects.len(), 4);
    assert_eq!(room.cluster.object("Backup", &one).unwrap()["spec"]["snapshotName"], one.as_str());
}

#[test]
fn longhorn_comes_with_backups_of_every_volume_and_then_of_itself() {
    let room = Room::new(cluster(), LONGHORN);
    let made = room.make("longhorn").unwrap();
    assert_eq!(room.cluster.names("Backup").len(), 3);
    let created = room.cluster.created();
    assert_eq!(
        created.last(),
        Some(&format!("SystemBackup/{}", key(ID))),
        "it takes the backups that are there"
    );
    assert!(made.data.iter().any(|data| data.kind == "longhorn_system_backup" && data.status == "Ready"));
}

#[test]
fn no_more_volumes_are_worked_on_at_a_time_than_is_allowed() {
    let cluster = (10..30).fold(cluster(), |cluster, number| {
        cluster.volume(&format!("pvc-{number}"), "apps", &format!("c{number}"), "detached")
    });
    let room = Room::new(cluster, LONGHORN);
    room.make("helm/apps/web").unwrap();
    assert_eq!(room.cluster.names("Backup").len(), 22);
    assert!(room.cluster.widest() <= 2, "{}", room.cluster.widest());
}

#[test]
fn made_again_everything_is_found_and_nothing_is_doubled() {
    let room = Room::new(cluster(), LONGHORN);
    let first = room.make("helm/apps/web").unwrap();
    let again = room.make("helm/apps/web").unwrap();
    assert_eq!(again.data, first.data);
    assert!(again.effects.is_empty(), "{:?}", again.effects);
    assert_eq!(room.cluster.created().len(), 4);
}

#[test]
fn backup_that_fails_stops_the_step_and_the_next_run_makes_it_anew() {
    let room = Room::new(cluster(), LONGHORN);
    let name = name_of(ID, "pvc-1");
    room.cluster.failing.lock().unwrap().insert(format!("Backup/{name}"));
    let error = room.make("helm/apps/web").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot back up data: Backup longhorn-system/{name} of pvc-1 failed: no space left")
    );
    let made = room.make("helm/apps/web").unwrap();
    assert_eq!(room.cluster.deleted(), [format!("Backup/{name}")]);
    assert_eq!(made.data.len(), 4);
    assert_eq!(room.cluster.names("Snapshot").len(), 2, "snapshots are kept");
}

#[test]
fn backup_that_takes_too_long_stops_the_step_and_the_next_run_goes_on_with_it() {
    let room = Room::new(cluster(), "backup: {data: {timeout: 10m, longhorn: {}}}\n");
    let name = name_of(ID, "pvc-2");
    room.cluster.stuck.lock().unwrap().insert(name.clone());
    let error = room.make("helm/apps/web").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot back up data within 10m: "), "{text}");
    assert!(text.contains(&format!("Snapshot longhorn-system/{name} of pvc-2: not ready")), "{text}");
    room.cluster.stuck.lock().unwrap().clear();
    room.make("helm/apps/web").unwrap();
    assert_eq!(room.cluster.created().len(), 4, "nothing is made twice: {:?}", room.cluster.created());
}

#[test]
fn api_server_that_is_away_for_a_while_is_waited_for() {
    let room = Room::new(cluster(), LONGHORN);
    *room.cluster.away.lock().unwrap() = 30;
    assert_eq!(room.make("helm/apps/web").unwrap().data.len(), 4);
}

#[test]
fn what_may_not_be_read_stops_the_step() {
    let room = Room::new(cluster(), LONGHORN);
    room.cluster.denied.lock().unwrap().insert("Volume".to_owned());
    let error = room.make("helm/apps/web").unwrap_err();
    assert!(matches!(&error, DataError::Cluster(error) if error.class == ErrorClass::Denied), "{error}");
    assert!(room.keeper().obstacle(&request("helm/apps/web")).is_some());
}

#[test]
fn target_that_is_not_available_holds_the_step_before_anything_is_made() {
    let room = Room::new(cluster().target(false), LONGHORN);
    let obstacle = room.keeper().obstacle(&request("helm/apps/web")).unwrap();
    assert!(obstacle.contains("BackupTarget `default` of Longhorn is not available"), "{obstacle}");
    assert!(room.make("helm/apps/web").is_err());
    assert!(room.cluster.created().is_empty());
    // Snapshots alone need none, and the point says what they are worth.
    let room = Room::new(cluster().target(false), "backup: {data: {longhorn: {backups: false}}}\n");
    let made = room.make("helm/apps/web").unwrap();
    assert!(made.data.iter().all(|data| data.kind == "longhorn_snapshot"));
    assert!(made.not_covered[0].contains("no backup against Longhorn itself"));
}

#[test]
fn faulted_volume_holds_the_step() {
    let cluster = cluster();
    let mut volume = cluster.object("Volume", "pvc-1").unwrap();
    volume["status"]["robustness"] = "faulted".into();
    cluster.put(volume);
    let room = Room::new(cluster, LONGHORN);
    assert!(room.keeper().obstacle(&request("helm/apps/web")).unwrap().contains("pvc-1 is faulted"));
    assert_eq!(
        room.keeper().obstacle(&request("helm/db/postgres")),
        None,
        "another namespace is not concerned"
    );
}

#[test]
fn object_of_our_name_that_somebody_else_made_is_left_alone() {
    let name = name_of(ID, "pvc-1");
    let theirs = json!({"kind": "Snapshot", "metadata": {"name": name, "namespace": "longhorn-system"}, "spec": {"volume": "pvc-9"}});
    let room = Room::new(cluster().with(theirs.clone()), LONGHORN);
    assert!(matches!(room.make("helm/apps/web"), Err(DataError::NotOurs { .. })));
    assert_eq!(room.cluster.object("Snapshot", &name).unwrap()["spec"], theirs["spec"]);
}

#[test]
fn only_volumes_of_the_release_where_that_is_chosen() {
    let pod = json!({
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "apps", "labels": {"app.kubernetes.io/instance": "web"}},
        "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]},
    });
    let config = "backup: {data: {longhorn: {volumes: {helm: release, helm/db/*: none}}}}\n";
    let room = Room::new(cluster().with(pod), config);
    room.make("helm/apps/web").unwrap();
    assert_eq!(room.cluster.names("Snapshot"), [name_of(ID, "pvc-1")]);
    assert_eq!(room.make("helm/db/postgres").unwrap().data, []);
}

#[test]
fn component_without_a_namespace_says_that_nothing_is_covered_unless_it_is_named() {
    let room = Room::new(cluster(), LONGHORN);
    let request = gitops_updater::app::data::Request {
        component: "image/docker.io/library/postgres",
        kind: "image",
        namespace: None,
        ..request("x")
    };
    let made = room.keeper().make(&request, &Acting).unwrap();
    assert!(made.data.is_empty() && made.not_covered[0].contains("not known in which namespace"));
    let named = "backup: {data: {longhorn: {namespaces: {image/docker.io/library/postgres: [db]}}}}\n";
    let room = Room::new(cluster(), named);
    room.keeper().make(&request, &Acting).unwrap();
    assert_eq!(room.cluster.names("Backup"), [name_of(ID, "pvc-3")]);
}

#[test]
fn dry_run_tells_what_would_be_made_and_makes_nothing() {
    struct Dry;
    impl Witness for Dry {
        fn before(&self, _: &Effect) -> Result<Go, Stopped> {
            Ok(Go::Skip)
        }
    }
    let room = Room::new(cluster(), LONGHORN);
    let made = room.make_with("helm/apps/web", &Dry).unwrap();
    assert_eq!(made.effects.len(), 4, "{:?}", made.effects);
    assert!(room.cluster.created().is_empty());
}

#[test]
fn etcd_snapshot_that_is_young_enough_is_recorded() {
    let cluster = ScriptedCluster::new()
        .server("server-1", true)
        .etcd_snapshot("etcd-snapshot-1", "2026-11-21T09:30:00Z");
    let room = Room::new(cluster, ETCD);
    assert_eq!(room.keeper().obstacle(&request("k3s")), None);
    let made = room.make("k3s").unwrap();
    assert_eq!(made.data[0].name, "etcd-snapshot-1");
    assert!(room.cluster.created().is_empty(), "a record of a snapshot is never made by us");
    assert_eq!(room.make("helm/apps/web").unwrap().data, [], "a chart needs none");
}

#[test]
fn etcd_snapshot_that_is_too_old_holds_the_step_with_what_to_do() {
    let cluster =
        ScriptedCluster::new().server("server-1", true).etcd_snapshot("old", "2026-11-21T00:00:00Z");
    let room = Room::new(cluster, ETCD);
    let obstacle = room.keeper().obstacle(&request("k3s")).unwrap();
    assert!(obstacle.contains("10h old; at most 60m is allowed"), "{obstacle}");
    assert!(obstacle.contains(&format!("k3s etcd-snapshot save --name {}", key(ID))), "{obstacle}");
    assert!(matches!(room.make("k3s"), Err(DataError::Obstacle(_))));
}

#[test]
fn job_of_the_user_makes_the_etcd_snapshot() {
    let cron_job = json!({
        "kind": "CronJob",
        "metadata": {"name": "etcd-save", "namespace": "kube-system"},
        "spec": {"suspend": true, "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "save", "image": "k3s"}]}}}}},
    });
    let cluster = ScriptedCluster::new()
        .server("server-1", true)
        .etcd_snapshot("old", "2026-11-21T09:58:00Z")
        .with(cron_job);
    let room = Room::new(cluster, "backup: {data: {etcd: {job: kube-system/etcd-save}}}\n");
    let job = name_of(ID, "etcd");
    room.cluster.failing.lock().unwrap().insert(format!("Job/{job}"));
    assert!(matches!(room.make("k3s"), Err(DataError::Failed { .. })));
    let made = room.make("k3s").unwrap();
    let second = name_of(ID, "etcd-2");
    assert_eq!(made.data[0].name, format!("on-demand-{second}"), "not the one that was there");
    assert_eq!(room.cluster.created(), [format!("Job/{job}"), format!("Job/{second}")]);
    let made_job = room.cluster.object("Job", &second).unwrap();
    assert_eq!(made_job["spec"]["template"]["spec"]["containers"][0]["image"], "k3s");
    room.make("k3s").unwrap();
    assert_eq!(room.cluster.created().len(), 2);
}

#[test]
fn other_datastores_are_said_not_to_be_covered() {
    let room = Room::new(ScriptedCluster::new().server("server-1", false), ETCD);
    let made = room.make("k3s").unwrap();
    assert!(made.data.is_empty() && made.not_covered[0].contains("SQLite"));
}

#[test]
fn objects_are_exported_and_secrets_only_for_recipients() {
    let object = |kind: &str, name: &str| json!({"kind": kind, "metadata": {"name": name, "namespace": "apps", "uid": "1"}, "data": {"key": "c2VjcmV0"}});
    let cluster =
        || ScriptedCluster::new().with(object("ConfigMap", "settings")).with(object("Secret", "login"));
    let room = Room::new(cluster(), "backup: {data: {export: {}}}\n");
    let made = room.make("helm/apps/web").unwrap();
    assert_eq!(made.files.keys().collect::<Vec<_>>(), ["cluster/apps/ConfigMap/settings.yaml"]);
    assert!(made.not_covered[0].contains("no Secret"), "{:?}", made.not_covered);

    let identity = age::x25519::Identity::generate();
    let config = format!(
        "backup: {{data: {{export: {{secrets: [apps], recipients: [{}]}}}}}}\n",
        identity.to_public()
    );
    let room = Room::new(cluster(), &config);
    let made = room.make("helm/apps/web").unwrap();
    let sealed = &made.files["cluster/apps/secrets.yaml.age"];
    assert!(!String::from_utf8_lossy(sealed).contains("c2VjcmV0"));
    let plain = age::decrypt(&identity, sealed).unwrap();
    assert!(String::from_utf8(plain).unwrap().contains("key: c2VjcmV0"));
    assert!(made.not_covered.is_empty());
}

#[test]
fn without_a_cluster_a_demanded_backup_holds_the_step() {
    let config = super::settings(LONGHORN);
    let keeper = NoCluster { settings: &config.data_backups };
    assert!(keeper.obstacle(&request("helm/apps/web")).unwrap().contains("no way to the cluster"));
    assert!(keeper.make(&request("helm/apps/web"), &Acting).is_err());
    assert_eq!(keeper.obstacle(&request("k3s")), None, "nothing was asked for it");
    let config = super::settings("backup: {data: {required: false, longhorn: {}}}\n");
    let keeper = NoCluster { settings: &config.data_backups };
    let made = keeper.make(&request("helm/apps/web"), &Acting).unwrap();
    assert!(made.not_covered[0].contains("no way to the cluster"));
}

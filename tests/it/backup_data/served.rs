//! The same over HTTP: an API server with Longhorn's controllers played, and the built program that restores.

use gitops_updater::app::data::make;
use gitops_updater::app::effects::Acting;
use gitops_updater::clock::MachineTime;
use gitops_updater::cluster::{Access, Live, LiveOptions};
use gitops_updater::domain::backup::names::{key, name_of};
use gitops_updater::domain::settle::kind::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{ID, request, settings};
use crate::pass::world::World;
use crate::support::fake_cluster::{ADMIN, Account, Cluster, FakeCluster, Written};
use crate::support::sandbox::Sandbox;
use crate::support::scripted_cluster::ScriptedCluster;

/// What Longhorn's controllers and its driver do, at once.
fn longhorn(cluster: &mut Cluster, written: &Written) {
    if written.verb != "create" {
        return;
    }
    let name = written.name.clone();
    let status = match written.resource.as_str() {
        "snapshots.longhorn.io" => json!({"readyToUse": true}),
        "backups.longhorn.io" => json!({"state": "Completed", "url": format!("s3://b@r/?backup={name}")}),
        "systembackups.longhorn.io" => json!({"state": "Ready"}),
        _ => return,
    };
    cluster.change(&written.resource, &written.namespace, &name, |object| object["status"] = status);
}

fn cluster() -> FakeCluster {
    let fake = FakeCluster::start();
    {
        let mut cluster = fake.cluster();
        cluster.define_known(&[Kind::LonghornVolume, Kind::LonghornBackupTarget]);
        for (kind, plural) in
            [("Snapshot", "snapshots"), ("Backup", "backups"), ("SystemBackup", "systembackups")]
        {
            cluster.define(kind, &format!("{plural}.longhorn.io"), true, &["v1beta2"]);
        }
        let object = |kind: &str, name: &str, spec: Value, status: Value| json!({"apiVersion": "longhorn.io/v1beta2", "kind": kind, "metadata": {"name": name, "namespace": "longhorn-system"}, "spec": spec, "status": status});
        cluster.put(object(
            "BackupTarget",
            "default",
            json!({"backupTargetURL": "s3://b@r/"}),
            json!({"available": true}),
        ));
        let status = json!({"state": "attached", "robustness": "healthy", "kubernetesStatus": {"namespace": "apps", "pvcName": "data"}});
        cluster.put(object("Volume", "pvc-1", json!({"size": "1073741824", "numberOfReplicas": 3}), status));
    }
    fake.on_write(longhorn);
    fake
}

#[test]
fn backups_are_made_over_the_kubernetes_api_and_found_again() {
    let fake = cluster();
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, fake.kubeconfig(ADMIN)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = settings("backup: {data: {longhorn: {}}}\n");
    runtime.block_on(async {
        let access = Access { kubeconfig: Some(path), context: None };
        let options = LiveOptions { time: Arc::new(MachineTime), ..LiveOptions::default() };
        let live = Live::connect(&access, options).await.unwrap();
        let made = make(&live, &config.data_backups, &request("longhorn"), &Acting).await.unwrap();
        assert_eq!(made.data.len(), 3);
        let again = make(&live, &config.data_backups, &request("longhorn"), &Acting).await.unwrap();
        assert_eq!((again.data, again.effects.len()), (made.data, 0));
    });
    let name = name_of(ID, "pvc-1");
    assert_eq!(
        fake.writes(),
        [
            "POST /apis/longhorn.io/v1beta2/namespaces/longhorn-system/snapshots",
            "POST /apis/longhorn.io/v1beta2/namespaces/longhorn-system/backups",
            "POST /apis/longhorn.io/v1beta2/namespaces/longhorn-system/systembackups",
        ]
    );
    assert!(fake.cluster().get("backups.longhorn.io", "longhorn-system", &name).is_some());
    assert!(fake.cluster().get("systembackups.longhorn.io", "longhorn-system", &key(ID)).is_some());
}

/// A repository with a backup point that has data, and the point's id.
fn backed_up() -> (World, String) {
    let mut world = World::new();
    world.config =
        "backup: {data: {longhorn: {}, export: {}, etcd: {components: [helm]}}}\nlimits: {open_pull_requests: 1}\n".to_owned();
    let map = |name: &str, labels: Value| json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "apps", "labels": labels}, "data": {"a": name}});
    world.cluster = Some(
        ScriptedCluster::new()
            .target(true)
            .server("server-1", true)
            .etcd_snapshot("etcd-snapshot-7", "2026-11-21T09:30:00Z")
            .volume("pvc-1", "apps", "data", "attached")
            .with(map("mine", json!({})))
            .with(map("there", json!({})))
            .with(map("flux", json!({"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}))),
    );
    world.run();
    let id = world.git.run(["for-each-ref", "--format=%(refname:lstrip=3)", "refs/gitops-updater/backups"]);
    (world, id)
}

#[test]
fn volume_is_restored_beside_the_old_one_and_never_over_it() {
    let (world, id) = backed_up();
    let dir = world.dir().to_str().unwrap();
    let sandbox = Sandbox::empty();
    let fake = cluster();
    fake.cluster().namespace("apps");
    sandbox.write("kubeconfig", fake.kubeconfig(ADMIN));
    let restore = |new: &str, extra: &[&str]| {
        let fixed = ["backup", "restore", &id, dir, "--volume", "apps/data", "--as", new];
        sandbox.run(fixed.iter().chain(extra).copied())
    };
    let printed = restore("data-back", &[]).exited(0);
    for part in
        ["kind: Volume", "fromBackup: s3://backups@eu/", "kind: PersistentVolumeClaim", "name: data-back"]
    {
        assert!(printed.stdout.contains(part), "`{part}` is not in {printed}");
    }
    for taken in ["pvc-1", "data"] {
        assert!(restore(taken, &[]).exited(1).stderr.contains("nothing is restored over"), "{taken}");
    }
    let apply = ["--apply", "--kubeconfig", "kubeconfig"];
    drop(restore("data-back", &apply).exited(0));
    let made = fake.cluster().get("volumes.longhorn.io", "longhorn-system", "data-back").unwrap();
    assert!(made["spec"]["fromBackup"].as_str().unwrap().starts_with("s3://backups@eu/"));
    assert!(fake.cluster().get("persistentvolumeclaims", "apps", "data-back").is_some());
    // Cut off after the volume, it goes on.
    fake.cluster().remove("persistentvolumeclaims", "apps", "data-back");
    assert!(
        restore("data-back", &apply)
            .exited(0)
            .stdout
            .contains("created PersistentVolumeClaim/apps/data-back")
    );
    // What somebody else has under the new name stays.
    let theirs = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "other", "namespace": "apps"}, "spec": {"volumeName": "x"}});
    fake.cluster().put(theirs);
    assert!(restore("other", &apply).exited(1).stderr.contains("it is there"));
    assert!(
        fake.cluster().get("volumes.longhorn.io", "longhorn-system", "other").is_none(),
        "nothing was begun"
    );
}

#[test]
fn exports_come_back_as_files_and_only_what_is_missing_and_not_of_flux_is_created() {
    let (world, id) = backed_up();
    let dir = world.dir().to_str().unwrap();
    let sandbox = Sandbox::empty();
    let fake = FakeCluster::start();
    fake.cluster().put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there", "namespace": "apps"}, "data": {"a": "newer"}}));
    sandbox.write("kubeconfig", fake.kubeconfig(ADMIN));
    let written = sandbox.run(["backup", "restore", &id, dir, "--exports", "out"]).exited(0);
    assert!(written.stdout.contains("wrote 3 files below out"), "{written}");
    let text = std::fs::read_to_string(sandbox.work().join("out/apps/ConfigMap/mine.yaml")).unwrap();
    assert!(text.contains("a: mine"), "{text}");
    // Once more, and after it was cut off, it goes on where it was.
    let restore = || sandbox.run(["backup", "restore", &id, dir, "--exports", "out"]);
    let again = restore().exited(0);
    assert!(again.said().contains("3 files below out are there already, as they were exported"), "{again}");
    std::fs::remove_file(sandbox.work().join("out/apps/ConfigMap/mine.yaml")).unwrap();
    let again = restore().exited(0);
    assert!(again.said().contains("wrote 1 file below out; 2 were there already"), "{again}");
    // What somebody has put there stays.
    let file = sandbox.work().join("out/apps/ConfigMap/mine.yaml");
    std::fs::write(&file, "mine: 1\n").unwrap();
    let refused = restore().exited(1);
    assert!(refused.stderr.contains("with another content"), "{refused}");
    assert!(refused.stderr.contains("hint: name a folder that is not there or is empty"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine: 1\n");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/", &file).unwrap();
    let refused = restore().exited(1);
    assert!(refused.stderr.contains("none of the exported objects"), "{refused}");
    let applied = sandbox
        .run(["backup", "restore", &id, dir, "--exports", "again", "--apply", "--kubeconfig", "kubeconfig"])
        .exited(0);
    for part in [
        "created ConfigMap/apps/mine",
        "ConfigMap/apps/there: it is there",
        "Kustomization/flux-system/apps applies it",
    ] {
        assert!(applied.stdout.contains(part), "`{part}` is not in {applied}");
    }
    assert_eq!(fake.cluster().get("configmaps", "apps", "there").unwrap()["data"]["a"], "newer");
}

/// It ended with the first of them, and did not say which it was.
#[test]
fn object_that_the_account_may_not_create_is_named_and_keeps_no_other_back() {
    let (world, id) = backed_up();
    let dir = world.dir().to_str().unwrap();
    let sandbox = Sandbox::empty();
    let fake = FakeCluster::start();
    fake.cluster().namespace("apps");
    fake.account("restorer", Account::nobody("restorer"));
    sandbox.write("kubeconfig", fake.kubeconfig("restorer"));
    let apply = ["--apply", "--kubeconfig", "kubeconfig", "--format", "json"];
    let fixed = ["backup", "restore", &id, dir, "--exports", "out"];
    let told = sandbox.run(fixed.iter().chain(&apply).copied()).exited(1).json();
    let refused: Vec<&str> =
        told["refused"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()).collect();
    assert_eq!(refused.len(), 2, "{told}");
    assert!(refused[0].starts_with("ConfigMap/apps/mine: cannot create"), "{told}");
    assert!(refused[1].starts_with("ConfigMap/apps/there: cannot create"), "{told}");
    let fixed = ["backup", "restore", &id, dir, "--volume", "apps/data", "--as", "data-back"];
    let told = sandbox.run(fixed.iter().chain(&apply[..3]).copied()).exited(1);
    assert!(told.stderr.contains("error: cannot restore `PersistentVolume/data-back`"), "{told}");
}

/// Every component that was named repeated the line.
#[test]
fn export_of_several_components_is_one_line_of_the_point() {
    let (world, _) = backed_up();
    let dir = world.dir().to_str().unwrap();
    let sandbox = Sandbox::empty();
    let fake = cluster();
    fake.cluster().namespace("apps");
    for name in ["one", "two"] {
        let meta = json!({"name": name, "namespace": "apps"});
        fake.cluster().put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}));
    }
    sandbox.write("kubeconfig", fake.kubeconfig(ADMIN));
    sandbox.write("config.yaml", "backup: {data: {export: {}}}\n");
    let named = ["--component", "helm/apps/podinfo", "--component", "helm/apps/website"];
    let fixed = ["backup", "create", dir, "--backup-id", "both", "--kubeconfig", "kubeconfig"];
    drop(sandbox.run(fixed.iter().chain(&named).chain(&["--config", "config.yaml"]).copied()).exited(0));
    let shown = sandbox.run(["backup", "show", "both", dir]).exited(0);
    let lines: Vec<&str> = shown.stdout.lines().filter(|line| line.contains("export cluster")).collect();
    assert_eq!(lines, ["  export cluster: 2 objects"], "{shown}");
}

#[test]
fn point_that_is_made_beside_a_cluster_says_that_it_has_no_data_and_why() {
    let (world, _) = backed_up();
    let dir = world.dir().to_str().unwrap();
    let sandbox = Sandbox::empty();
    let fake = cluster();
    sandbox.write("kubeconfig", fake.kubeconfig(ADMIN));
    sandbox.write("config.yaml", "backup: {data: {export: {}}}\n");
    let create = |id: &str, extra: &[&str]| {
        let fixed = ["backup", "create", dir, "--backup-id", id];
        sandbox.run(fixed.iter().chain(extra).copied()).exited(0).stdout
    };
    let near = ["--kubeconfig", "kubeconfig"];
    let said = create("near", &near);
    assert!(
        said.contains("Not backed up") && said.contains("the configuration asks for none (`backup.data`"),
        "{said}"
    );
    let said = create("configured", &[near[0], near[1], "--config", "config.yaml"]);
    assert!(said.contains("no component was named; `--component ID` backs up"), "{said}");
    let said = create("alone", &[]);
    assert!(!said.contains("Not backed up"), "{said}");
}

#[test]
fn steps_to_the_etcd_snapshot_are_printed_and_the_point_shows_its_data() {
    let (world, id) = backed_up();
    let dir = world.dir().to_str().unwrap();
    let sandbox = Sandbox::empty();
    let steps = sandbox.run(["backup", "restore", &id, dir, "--etcd"]).exited(0);
    for part in [
        "etcd-snapshot-7",
        "On server-1",
        "server token",
        "--cluster-reset-restore-path=/var/lib/rancher/k3s/server/db/snapshots/etcd-snapshot-7",
    ] {
        assert!(steps.stdout.contains(part), "`{part}` is not in {steps}");
    }
    let shown = sandbox.run(["backup", "show", &id, dir]).exited(0);
    assert!(shown.stdout.contains("longhorn backup ") && shown.stdout.contains("Not backed up"), "{shown}");
    let listed = sandbox.run(["backup", "list", dir, "--format", "json"]).exited(0).json();
    assert_eq!(listed["backups"][0]["point"]["data"].as_array().unwrap().len(), 4);
    assert!(
        sandbox.run(["status", dir]).exited(0).stdout.contains("etcd snapshot etcd-snapshot-7: readyToUse")
    );
    drop(sandbox.run(["backup", "restore", &id, dir, "--apply"]).exited(2));
}

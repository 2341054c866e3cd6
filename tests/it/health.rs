//! `health`, as a user runs it against an API server.

use gitops_updater::domain::settle::kind::Kind;
use serde_json::{Value, json};

use super::support::fake_cluster::{ADMIN, Account, FakeCluster};
use super::support::sandbox::Sandbox;
use super::support::snapshot::snapshot;

/// When every look is taken.
const NOW: &str = "2026-11-21T12:00:00Z";

fn node(name: &str, ready: &str, since: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.", "lastTransitionTime": since}]},
    })
}

fn deployment(name: &str, available: i64) -> Value {
    let status = if available > 0 { "True" } else { "False" };
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "apps", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": available, "availableReplicas": available,
            "conditions": [{"type": "Available", "status": status, "reason": "MinimumReplicasUnavailable", "message": "", "lastTransitionTime": "2026-11-21T11:30:00Z"}]},
    })
}

fn volume(robustness: &str) -> Value {
    json!({
        "apiVersion": "longhorn.io/v1beta2",
        "kind": "Volume",
        "metadata": {"name": "pvc-1", "namespace": "longhorn-system"},
        "spec": {"numberOfReplicas": 3, "image": "engine:1"},
        "status": {"state": "attached", "robustness": robustness, "currentImage": "engine:1", "lastDegradedAt": "2026-11-21T11:00:00Z"},
    })
}

fn cluster(objects: Vec<Value>) -> FakeCluster {
    let cluster = FakeCluster::start();
    cluster.cluster().define_known(&[Kind::LonghornVolume]);
    for object in objects {
        cluster.cluster().put(object);
    }
    cluster
}

fn sandbox(cluster: &FakeCluster, token: &str) -> Sandbox {
    Sandbox::empty().in_cluster(cluster, token).variable("GITOPS_UPDATER_NOW", NOW)
}

#[test]
fn quiet_when_all_is_well() {
    let cluster = cluster(vec![node("n1", "True", NOW), deployment("web", 1), volume("healthy")]);
    snapshot!(sandbox(&cluster, ADMIN).run(["health", "--exit-code"]), @r"
    exit_code: 0
    ----- stdout -----
    Healthy: nothing is wrong in 4 objects.
    ----- stderr -----
    ");
}

#[test]
fn what_is_wrong_is_told_by_category() {
    let cluster =
        cluster(vec![node("n1", "Unknown", "2026-11-21T11:00:00Z"), deployment("web", 0), volume("faulted")]);
    let sandbox = sandbox(&cluster, ADMIN);
    snapshot!(sandbox.run(["health", "--exit-code"]), @r"
    exit_code: 12
    ----- stdout -----
    3 things are wrong, 1 critical.

    Infrastructure
      failing   Node n1  NodeStatusUnknown
                not Ready for 60 min: Kubelet stopped posting node status.

    Storage
      critical  Volume longhorn-system/pvc-1  faulted
                no replica is usable

    Applications
      failing   Deployment apps/web  Unavailable
                0 of 1 available for 30 min
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["health", "--category", "storage"]), @r"
    exit_code: 0
    ----- stdout -----
    1 thing is wrong, 1 critical.

    Storage
      critical  Volume longhorn-system/pvc-1  faulted
                no replica is usable
    ----- stderr -----
    ");
    let json = sandbox.run(["health", "--format", "json", "--namespace", "apps"]).exited(0).json();
    assert_eq!(json["health"]["status"], "failing");
    let found: Vec<&Value> = json["health"]["categories"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|category| category["findings"].as_array().unwrap())
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["subject"]["name"], "web");
}

#[test]
fn only_what_is_new_since_the_baseline_counts() {
    let cluster = cluster(vec![node("n1", "True", NOW), deployment("old", 0), volume("degraded")]);
    let sandbox = sandbox(&cluster, ADMIN);
    assert_eq!(sandbox.run(["health", "--write-baseline", "before.yaml"]).exit_code, 0);
    let same = sandbox.run(["health", "--baseline", "before.yaml", "--exit-code"]);
    snapshot!(same, @r"
    exit_code: 0
    ----- stdout -----
    Nothing is worse since 2026-11-21 12:00 UTC.
    2 as wrong as before.
    ----- stderr -----
    ");
    cluster.cluster().put(deployment("web", 0));
    cluster.cluster().put(deployment("old", 1));
    cluster.cluster().put(volume("faulted"));
    snapshot!(sandbox.run(["health", "--baseline", "before.yaml", "--exit-code"]), @r"
    exit_code: 12
    ----- stdout -----
    2 things are new or worse since 2026-11-21 12:00 UTC, 1 critical.
    1 well again.

    Storage
      worse     Volume longhorn-system/pvc-1  faulted
                no replica is usable

    Applications
      failing   Deployment apps/web  Unavailable
                0 of 1 available for 30 min
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["health", "--baseline", "none.yaml"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: `none.yaml` is neither a file nor an update with a baseline
    hint: `gitops-updater health --write-baseline FILE` writes one; `gitops-updater status` lists updates
    ");
}

#[test]
fn what_the_account_may_not_read_is_not_healthy() {
    let cluster = cluster(vec![node("n1", "True", NOW), deployment("web", 0)]);
    cluster.account("bot", Account::nobody("bot").may(&["get", "list", "watch"], &["nodes"], None));
    let text = sandbox(&cluster, "bot").run(["health", "--exit-code"]).exited(13);
    assert!(
        text.stdout.starts_with("Nothing that could be looked at is wrong, but not everything could be."),
        "{}",
        text.stdout
    );
    assert!(text.stdout.contains("kinds (-v names them): "), "{}", text.stdout);
}

#[test]
fn account_that_may_read_nothing_is_told_so_once() {
    let cluster = cluster(vec![node("n1", "True", NOW), deployment("web", 0)]);
    cluster.account("bot", Account::nobody("bot"));
    for format in ["text", "markdown"] {
        let sandbox = sandbox(&cluster, "bot");
        let shown = sandbox.run(["health", "--exit-code", "--verbose", "--format", format]).exited(13);
        assert_eq!(shown.stdout.matches("403").count(), 1, "{}", shown.stdout);
        for kind in ["Node", "Pod", "Deployment"] {
            assert!(shown.stdout.contains(kind), "{kind}: {}", shown.stdout);
        }
        assert!(shown.stdout.lines().count() < 20, "{}", shown.stdout);
        let short = sandbox.run(["health", "--format", format]).exited(0);
        assert!(short.stdout.lines().count() < 10, "{}", short.stdout);
    }
}

#[test]
fn api_server_that_is_not_ready_is_told() {
    let cluster = cluster(vec![node("n1", "True", NOW)]);
    for (name, passes) in &mut cluster.cluster().readiness {
        *passes = name != "etcd";
    }
    let told = sandbox(&cluster, ADMIN).run(["health", "--exit-code"]).exited(12);
    assert!(told.stdout.contains("Probe apiserver  ProbeFailed\n            /readyz: etcd fail"), "{told}");
}

/// The Pods of trials, played by a controller that runs and ends them at once.
#[test]
fn trials_of_the_configuration_are_made_and_cleared_away() {
    let cluster = cluster(vec![node("n1", "True", NOW), node("n2", "True", NOW)]);
    cluster.cluster().namespace("gitops-updater");
    let sandbox = sandbox(&cluster, ADMIN);
    cluster.on_write(|cluster, written| {
        let Some(object) = &written.object else { return };
        if object["kind"] != "Pod" || !object["spec"]["nodeName"].is_null() {
            return;
        }
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let namespace = object["metadata"]["namespace"].as_str().unwrap().to_owned();
        cluster.log(&namespace, &name, "1 ok resolved\n");
        let mut ended = Value::clone(object);
        ended["spec"]["nodeName"] = json!("n1");
        ended["status"] = json!({"phase": "Succeeded"});
        cluster.put(ended);
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    sandbox.write(
        ".gitops-updater.yaml",
        format!(
            "validation:\n  network: {{pods: false}}\n  probes: [{{name: port, tcp: '127.0.0.1:{port}'}}]\n"
        ),
    );
    let json = sandbox.run(["health", "--try", "--format", "json"]).exited(0).json();
    let tried: Vec<String> = json["health"]["tried"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tried| format!("{} {}", tried["name"].as_str().unwrap(), tried["result"].as_str().unwrap()))
        .collect();
    assert_eq!(tried, ["probe/port good", "network/dns good"], "{json:#}");
    assert_eq!(cluster.cluster().of("pods").count(), 0);
}

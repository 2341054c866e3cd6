//! `facts` of a cluster by the built program, and files of facts that cannot be used.

use gitops_updater::domain::settle::kind::Kind;
use serde_json::json;

use crate::support::fake_cluster::{ADMIN, Account, Answer, FakeCluster, How, Outage};
use crate::support::sandbox::{CommandOutput, Sandbox};
use crate::support::snapshot::snapshot;

fn node(name: &str, ready: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": "true"}},
        "spec": {}, "status": {"nodeInfo": {"kubeletVersion": "v1.33.4+k3s1"},
            "conditions": [{"type": "Ready", "status": ready}]}})
}

fn home() -> FakeCluster {
    let fake = FakeCluster::start();
    let mut cluster = fake.cluster();
    cluster.put(node("one", "True"));
    cluster.define_known(&[Kind::HelmRelease, Kind::LonghornVolume, Kind::LonghornSetting]);
    cluster.put(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "helm-controller", "namespace": "flux-system", "labels": {
            "app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.7.1"}},
        "spec": {"template": {"spec": {"containers": [{"image": "ghcr.io/fluxcd/helm-controller:v1.4.0@sha256:00"}]}}}}));
    for crd in ["helmreleases.helm.toolkit.fluxcd.io", "volumes.longhorn.io"] {
        cluster.change("customresourcedefinitions.apiextensions.k8s.io", "", crd, |object| {
            object["metadata"]["labels"] =
                json!({"app.kubernetes.io/part-of": if crd.starts_with("helm") { "flux" } else { "x" },
                    "app.kubernetes.io/name": "longhorn"});
        });
    }
    for (name, value) in [
        ("current-longhorn-version", "v1.9.1"),
        ("default-engine-image", "longhornio/longhorn-engine:v1.9.1"),
    ] {
        cluster.put(json!({"apiVersion": "longhorn.io/v1beta2", "kind": "Setting",
            "metadata": {"name": name, "namespace": "longhorn-system"}, "value": value}));
    }
    for (name, robustness, image) in [("a", "healthy", "v1.9.1"), ("b", "degraded", "v1.8.2")] {
        cluster.put(json!({"apiVersion": "longhorn.io/v1beta2", "kind": "Volume",
            "metadata": {"name": name, "namespace": "longhorn-system"}, "spec": {},
            "status": {"robustness": robustness, "currentImage": format!("longhornio/longhorn-engine:{image}")}}));
    }
    cluster.put(json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "demo", "namespace": "apps"}, "spec": {},
        "status": {"history": [{"chartName": "demo", "chartVersion": "1.2.3", "status": "deployed"}]}}));
    drop(cluster);
    fake
}

#[test]
fn facts_are_what_runs() {
    let cluster = home();
    let sandbox = Sandbox::empty().in_cluster(&cluster, ADMIN);
    snapshot!(sandbox.run(["facts"]), @r"
    exit_code: 0
    ----- stdout -----
    taken_at: 2026-08-23T10:00:00Z
    kubernetes: v1.33.4+k3s1
    nodes:
    - name: one
      roles:
      - control-plane
      kubelet: v1.33.4+k3s1
      ready: true
      schedulable: true
    flux:
      distribution: v2.7.1
      controllers:
        helm-controller: v1.4.0
      stored_versions:
        helmreleases.helm.toolkit.fluxcd.io:
        - v2
    longhorn:
      installed: true
      current: v1.9.1
      volumes:
        degraded: 1
        healthy: 1
      stored_versions:
        volumes.longhorn.io:
        - v1beta2
      old_engines: 1
    helm_releases:
    - namespace: apps
      name: demo
      chart: demo
      version: 1.2.3
      status: deployed
    ----- stderr -----
    ");
}

#[test]
fn facts_are_read_in_pages_with_few_requests() {
    let cluster = home();
    for number in 0..250 {
        cluster.cluster().put(node(&format!("n{number}"), "True"));
    }
    let sandbox = Sandbox::empty().in_cluster(&cluster, ADMIN);
    let facts = sandbox.run(["facts", "--format", "json"]).exited(0).json();
    assert_eq!(facts["nodes"].as_array().unwrap().len(), 251);
    let seen = cluster.seen();
    assert_eq!(seen.iter().filter(|seen| seen.path == "/api/v1/nodes").count(), 3);
    assert!(seen.iter().all(|seen| seen.path == "/version" || seen.query.contains_key("limit")), "{seen:?}");
    assert!(seen.len() <= 12, "{}", seen.len());
}

#[test]
fn what_may_not_be_read_is_absent_and_told_with_the_rule_that_is_missing() {
    let cluster = home();
    let account = Account::admin("bot").may_not(&["list"], &["volumes.longhorn.io", "nodes"], None);
    cluster.account("bot", account);
    let sandbox = Sandbox::empty().in_cluster(&cluster, "bot");
    let output = sandbox.run(["facts", "--format", "json"]).exited(0);
    let facts = output.json();
    assert_eq!((&facts["nodes"], &facts["longhorn"]["old_engines"]), (&json!([]), &json!(null)));
    assert!(facts["longhorn"].get("volumes").is_none());
    let told: Vec<&str> =
        output.stderr.lines().filter_map(|line| line.split_once(" WARN ")).map(|(_, told)| told).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    not observed reason="cannot list nodes: the API server answered 403: nodes is forbidden: User \"bot\" cannot list resource \"nodes\" in API group \"\" at the cluster scope; grant the account {apiGroups: [\"\"], resources: [nodes], verbs: [list]}"
    not observed reason="cannot list volumes.longhorn.io: the API server answered 403: volumes.longhorn.io is forbidden: User \"bot\" cannot list resource \"volumes\" in API group \"longhorn.io\" at the cluster scope; grant the account {apiGroups: [\"longhorn.io\"], resources: [volumes], verbs: [list]}"
    "#);
}

#[test]
fn cluster_without_longhorn_and_flux_is_said_to_be_without() {
    let cluster = FakeCluster::start();
    cluster.cluster().put(node("one", "False"));
    let sandbox = Sandbox::empty().in_cluster(&cluster, ADMIN);
    snapshot!(sandbox.run(["facts"]), @r"
    exit_code: 0
    ----- stdout -----
    taken_at: 2026-08-23T10:00:00Z
    kubernetes: v1.33.4+k3s1
    nodes:
    - name: one
      roles:
      - control-plane
      kubelet: v1.33.4+k3s1
      ready: false
      schedulable: true
    flux: null
    longhorn:
      installed: false
      current: null
      stored_versions: {}
      old_engines: null
    helm_releases: []
    ----- stderr -----
    ");
}

#[test]
fn throttled_and_broken_answers_are_asked_for_again() {
    let cluster = home();
    cluster.fail("GET", "/nodes", 1, How::Instead(Answer::throttled(0)));
    cluster.fail("GET", "/version", 1, How::Break);
    let sandbox = Sandbox::empty().in_cluster(&cluster, ADMIN);
    let facts = sandbox.run(["facts", "--format", "json"]).exited(0).json();
    assert_eq!(facts["kubernetes"], "v1.33.4+k3s1");
}

#[test]
fn cluster_that_cannot_be_asked_is_an_error_that_says_why() {
    let cluster = home();
    // The port is told, and another one each time.
    let said = |output: CommandOutput| {
        let port = output.stderr.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('`').next());
        let port = port.unwrap_or_else(|| panic!("no port in {output}")).to_owned();
        CommandOutput { stderr: output.stderr.replace(&port, "[port]"), ..output }
    };
    let sandbox = Sandbox::empty().in_cluster(&cluster, "nobody-knows");
    snapshot!(said(sandbox.run(["facts"])), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot ask the API server at `http://127.0.0.1:[port]` for its version: the API server answered 401: Unauthorized
    hint: check that the address can be reached from here and the credentials are valid
    ");
    cluster.outage(Some(Outage::Answer(Answer::unavailable())));
    snapshot!(said(Sandbox::empty().in_cluster(&cluster, ADMIN).run(["facts"])), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot ask the API server at `http://127.0.0.1:[port]` for its version: the API server answered 503: the server is currently unable to handle the request
    hint: check that the address can be reached from here and the credentials are valid
    ");
}

#[test]
fn file_of_facts_that_cannot_be_used_is_refused_with_what_was_meant() {
    let sandbox = Sandbox::with_repo("home");
    sandbox.write(
        "facts.yaml",
        "kubernetes: [v1.33.4+k3s1]\nnode: [{name: one}]\nflux: 5\nlonghorn: {old_engines: -3}\n",
    );
    sandbox.write("empty.yaml", "\n");
    let mut told = String::new();
    for file in ["facts.yaml", "empty.yaml", ".", "/dev/null", "/dev/zero", "missing.yaml"] {
        told += &sandbox.run(["plan", "--offline", "--facts", file]).exited(1).stderr;
    }
    insta::assert_snapshot!(told, @r"
    error: the facts in `facts.yaml` have 4 mistakes
      facts.yaml:1:13: kubernetes: expected text, found a list
      facts.yaml:2:1: node: unknown field; did you mean `nodes`?
      facts.yaml:3:7: flux: expected a mapping, found the number 5
      facts.yaml:4:25: longhorn.old_engines: expected a whole number of 0 or more, found the number -3
    hint: `gitops-updater facts --output FILE` writes such a file
    error: cannot read the facts in `empty.yaml`: it is empty
    hint: `gitops-updater facts --output FILE` writes such a file
    error: cannot read the facts in `.`: it is a folder
    hint: `gitops-updater facts --output FILE` writes such a file
    error: cannot read the facts in `/dev/null`: it is no file
    hint: `gitops-updater facts --output FILE` writes such a file
    error: cannot read the facts in `/dev/zero`: it is no file
    hint: `gitops-updater facts --output FILE` writes such a file
    error: cannot read the facts in `missing.yaml`
      caused by: No such file or directory (os error 2)
    ");
}

//! One pass at a time: the built program and its Lease.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::recorded::{flux, merged};
use super::role;
use crate::support::fake_cluster::{ADMIN, Account, FakeCluster};
use crate::support::sandbox::Sandbox;

const LEASES: &str = "leases.coordination.k8s.io";

fn sandbox(cluster: &FakeCluster, token: &str) -> Sandbox {
    let sandbox = Sandbox::with_empty_repo().in_cluster(cluster, token);
    sandbox.write(".gitops-updater.yaml", "forge: {kind: local}\n").write("a.yaml", "a: 1\n");
    sandbox.git().commit_all("Start");
    sandbox
}

fn lease(cluster: &FakeCluster, namespace: &str) -> Option<Value> {
    cluster.cluster().get(LEASES, namespace, "gitops-updater").map(|lease| Value::clone(&lease))
}

/// The lease of another pass, renewed at a time.
fn held_by_another(cluster: &FakeCluster, renewed: &str) {
    cluster.cluster().put(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "gitops-updater", "namespace": "default"},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 300, "renewTime": renewed, "leaseTransitions": 3}}));
    cluster.seen();
}

/// Requests for leases since the last call, as methods.
fn asked(cluster: &FakeCluster) -> Vec<String> {
    let seen = cluster.seen();
    let of_leases = seen.iter().filter(|seen| seen.path.contains("/leases"));
    of_leases.map(|seen| seen.method.clone()).collect()
}

#[rstest]
#[case::run(&["run", "--offline"])]
#[case::verify(&["verify"])]
fn pass_takes_the_lease_and_gives_it_back(#[case] command: &[&str]) {
    let cluster = FakeCluster::start();
    let sandbox = sandbox(&cluster, ADMIN);
    let done = sandbox.run(command.iter().chain(&["--cluster", "--wait", "0s"]));
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    assert_eq!(asked(&cluster), ["GET", "POST", "PUT"]);
    assert_eq!(lease(&cluster, "default").unwrap()["spec"]["holderIdentity"], "");
}

#[test]
fn rights_of_the_component_are_enough() {
    let cluster = FakeCluster::start();
    cluster.account("bot", Account::nobody("bot").bound_to(&role("lease"), Some("default")));
    let sandbox = sandbox(&cluster, "bot");
    let done = sandbox.run(["verify", "--cluster", "--wait", "0s"]);
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    assert_eq!(asked(&cluster), ["GET", "POST", "PUT"], "{}", done.stderr);
}

#[test]
fn lease_is_in_the_namespace_of_the_context() {
    let cluster = FakeCluster::start();
    let sandbox = sandbox(&cluster, ADMIN);
    let text = cluster.kubeconfig(ADMIN).replace("user: test}}]", "user: test, namespace: kube-system}}]");
    sandbox.write("../kubeconfig", text);
    let done = sandbox.run(["run", "--offline", "--kubeconfig", "../kubeconfig"]);
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    assert!(lease(&cluster, "kube-system").is_some() && lease(&cluster, "default").is_none());
}

#[rstest]
#[case::run(&["run", "--offline"], 0)]
#[case::propose(&["propose", "--offline", "--component", "k3s"], 0)]
#[case::verify(&["verify"], 23)]
fn pass_that_finds_another_at_work_does_nothing(#[case] command: &[&str], #[case] code: i32) {
    let cluster = FakeCluster::start();
    let sandbox = sandbox(&cluster, ADMIN);
    held_by_another(&cluster, "2099-01-01T00:00:00.000000Z");
    let before = sandbox.git().run(["for-each-ref"]);
    let done = sandbox.run(command.iter().chain(&["--cluster"]));
    assert_eq!((done.exit_code, done.stdout.as_str()), (code, ""), "{}", done.stderr);
    let said = "another pass is at work: `other` has the lease `default/gitops-updater` until 2099-01-01T00:05:10Z; \
                nothing was done";
    assert!(done.stderr.contains(said), "{}", done.stderr);
    assert_eq!(asked(&cluster), ["GET"]);
    assert_eq!(sandbox.git().run(["for-each-ref"]), before);
}

#[test]
fn lease_of_a_pass_that_was_killed_is_taken_over() {
    let cluster = FakeCluster::start();
    let sandbox = sandbox(&cluster, ADMIN);
    held_by_another(&cluster, "2026-01-01T00:00:00.000000Z");
    let done = sandbox.run(["run", "--offline", "--cluster"]);
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    assert_eq!(asked(&cluster), ["GET", "PUT", "PUT"]);
    let spec = &lease(&cluster, "default").unwrap()["spec"];
    assert_eq!((&spec["holderIdentity"], &spec["leaseTransitions"]), (&json!(""), &json!(4)));
}

#[test]
fn account_that_may_not_use_leases_makes_its_pass_all_the_same() {
    let cluster = FakeCluster::start();
    cluster.account("reader", Account::nobody("reader").may(&["get", "list", "watch"], &["*.*"], None));
    let sandbox = sandbox(&cluster, "reader");
    let done = sandbox.run(["run", "--offline", "--cluster"]);
    assert_eq!(done.exit_code, 0, "{}", done.stderr);
    assert_eq!(done.stderr.matches("no lease in the cluster").count(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("verbs: [create]"), "{}", done.stderr);
    assert!(done.stdout.contains("Nothing"), "{}", done.stdout);
}

#[test]
fn dry_run_takes_no_lease() {
    let cluster = FakeCluster::start();
    let sandbox = sandbox(&cluster, ADMIN);
    held_by_another(&cluster, "2099-01-01T00:00:00.000000Z");
    let done = sandbox.run(["run", "--dry-run", "--offline", "--cluster"]);
    assert_eq!((done.exit_code, asked(&cluster).len()), (0, 0), "{}", done.stderr);
}

/// A program that is killed where a test fails before it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _was_over = self.0.kill().is_err();
        let _was_over = self.0.wait().is_err();
    }
}

#[test]
fn lease_is_kept_while_a_pass_looks_on_and_given_back_on_sigterm() {
    let cluster = FakeCluster::start();
    let (sandbox, base) = merged(&cluster);
    flux(&cluster, &base);
    let (tell, told) = mpsc::channel();
    cluster.on_write(move |_, written| {
        let holder = written.object.as_ref().and_then(|object| object["spec"]["holderIdentity"].as_str());
        if let Some(holder) = holder {
            let _nobody_asks = tell.send(holder.to_owned()).is_err();
        }
    });
    let looks_on = ["verify", "--cluster", "--wait", "10m"];
    let child = sandbox.command(looks_on).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let holder = told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(!holder.is_empty());

    let second = sandbox.run(["run", "--offline", "--cluster"]);
    assert_eq!(second.exit_code, 0);
    assert!(second.stderr.contains(&format!("another pass is at work: `{holder}`")), "{}", second.stderr);

    let id = running.0.id().to_string();
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -s TERM {id}")]).status();
    assert!(sent.unwrap().success());
    let ended = running.0.wait().unwrap();
    let mut stderr = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(ended.code(), Some(143), "{stderr}");
    assert_eq!(told.recv_timeout(Duration::from_secs(60)).unwrap(), "", "given back");
    let third = sandbox.run(["verify", "--cluster", "--wait", "0s"]);
    assert_eq!(third.exit_code, 23, "{}", third.stderr);
}

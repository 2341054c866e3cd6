//! What a verdict was made from is recorded, and replays to the same verdict by the same code.

use std::path::{Path, PathBuf};

use gitops_updater::domain::settle::kind::Kind;
use serde_json::{Value, json};

use crate::support::fake_cluster::{ADMIN, FakeCluster};
use crate::support::sandbox::{Sandbox, copy};

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(path)
}

/// The example with its first step merged.
pub(super) fn merged(cluster: &FakeCluster) -> (Sandbox, String) {
    let sandbox = Sandbox::with_empty_repo().in_cluster(cluster, ADMIN);
    copy(&testdata("example/repo"), sandbox.work());
    sandbox.git().commit_all("Start");
    let config = testdata("example/mirror.yaml").display().to_string();
    drop(sandbox.run(["run", "--quiet", "--config", &config]).exited(0));
    drop(sandbox.run(["pr", "merge", "1"]).exited(0));
    let base = sandbox.git().run(["rev-parse", "main^1"]);
    (sandbox, base)
}

/// Flux at a commit.
pub(super) fn flux(cluster: &FakeCluster, commit: &str) {
    cluster.cluster().define_known(&[Kind::GitRepository, Kind::Kustomization]);
    let revision = format!("main@sha1:{commit}");
    let ready = json!([{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-11-21T09:00:00Z"}]);
    cluster.cluster().put(json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": "flux-system", "generation": 1},
        "spec": {"interval": "1m", "url": "https://git.example.com/me/cluster", "ref": {"branch": "main"}},
        "status": {"artifact": {"revision": revision}, "conditions": ready, "observedGeneration": 1}}));
    cluster.cluster().put(json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "flux-system", "namespace": "flux-system", "generation": 1},
        "spec": {"interval": "10m", "path": "./clusters/home", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"}},
        "status": {"lastAppliedRevision": revision, "lastAttemptedRevision": revision, "observedGeneration": 1,
            "conditions": ready}}));
}

#[test]
fn recording_of_a_pass_replays_to_its_verdict() {
    let cluster = FakeCluster::start();
    let (sandbox, base) = merged(&cluster);
    flux(&cluster, &base);
    let arguments = ["verify", "--cluster", "--wait", "0s", "--record", "../recording.jsonl"];
    let live = sandbox.run(arguments).exited(23);
    let text = std::fs::read_to_string(sandbox.work().join("../recording.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["header"]["watching"].as_array().unwrap().contains(&json!("Kustomization")));
    let has = |key: &str| lines.iter().any(|line| line.get(key).is_some());
    assert!(has("update") && has("commit") && has("object") && has("note"), "{text}");
    assert!(!text.contains("Bearer") && !text.contains(ADMIN), "no credential is recorded");
    let replayed = sandbox.run(["verify", "--replay", "../recording.jsonl"]).exited(0);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, said) = replayed.stdout.rsplit_once("unknown, wait").unwrap();
    assert!(words(&live.stdout).contains(&words(said)), "{}\n{}", live.stdout, replayed.stdout);
}

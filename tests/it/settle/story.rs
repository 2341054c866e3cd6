//! What Flux shows of one HelmRelease and its Kustomization, as lines of a recording.

use serde_json::{Value, json};

/// Lines in the order of their times.
pub(super) struct Story {
    lines: Vec<Value>,
    uid: &'static str,
}

/// How the release stands.
#[derive(Clone, Copy)]
pub(super) enum Release<'a> {
    /// Deployed at a version.
    Deployed(&'a str),
    /// On its way from one version to another.
    Upgrading(&'a str, &'a str),
    /// The upgrade from one to another failed, and there are no tries left.
    Failed(&'a str, &'a str),
    /// The same, and the controller gave up for another reason than that tries ran out.
    GivenUp(&'a str, &'a str),
    /// Suspended at one version while another is wanted.
    Suspended(&'a str, &'a str),
}

impl Story {
    /// A cluster that runs `version` at commit `base`.
    pub(super) fn begin(base: &str, version: &str) -> Self {
        let kinds = ["GitRepository", "HelmRepository", "HelmChart", "Kustomization", "HelmRelease"];
        let more = ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Pod", "Node", "Plan", "Job"];
        let watching: Vec<&str> = kinds.into_iter().chain(more).collect();
        let header = json!({"t": 0, "header": {
            "name": "story", "started_at": "2026-11-21T11:00:00Z", "watching": watching, "namespaces": null,
        }});
        let mut story = Self { lines: vec![header], uid: "7f3ee9c2" };
        story.source(0.0, base).applied(0.0, base, base, true).release(0.0, 1, Release::Deployed(version));
        story
    }

    fn add(&mut self, t: f64, object: Value) -> &mut Self {
        let change = if t == 0.0 { "ADDED" } else { "MODIFIED" };
        self.lines.push(json!({"t": t, "type": change, "object": object, "initial": t == 0.0}));
        self
    }

    /// The source has fetched a commit.
    pub(super) fn source(&mut self, t: f64, commit: &str) -> &mut Self {
        let revision = format!("main@sha1:{commit}");
        let ready = json!([{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-21T10:00:00Z"}]);
        self.add(t, json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": "flux-system", "uid": self.uid, "generation": 1},
            "spec": {"interval": "1m", "url": "https://git.example.com/home-ops", "ref": {"branch": "main"}},
            "status": {"artifact": {"revision": revision, "digest": "sha256:1"}, "conditions": ready,
                "observedGeneration": 1},
        }))
    }

    /// The Kustomization has tried one commit, and applied another last.
    pub(super) fn applied(&mut self, t: f64, attempted: &str, applied: &str, ready: bool) -> &mut Self {
        let (status, reason) =
            if ready { ("True", "ReconciliationSucceeded") } else { ("Unknown", "Progressing") };
        let mut conditions = vec![json!({"type": "Ready", "status": status, "reason": reason, "message": "",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-21T10:00:00Z"})];
        if !ready {
            conditions.push(json!({"type": "Reconciling", "status": "True", "reason": "Progressing",
                "message": "", "observedGeneration": 1, "lastTransitionTime": "2026-11-21T10:00:00Z"}));
        }
        self.add(
            t,
            json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "apps", "namespace": "flux-system", "uid": self.uid, "generation": 1},
                "spec": {"interval": "10m", "path": "./", "prune": true, "wait": true, "timeout": "5m",
                    "sourceRef": {"kind": "GitRepository", "name": "flux-system"}},
                "status": {
                    "lastAppliedRevision": format!("main@sha1:{applied}"),
                    "lastAttemptedRevision": format!("main@sha1:{attempted}"),
                    "observedGeneration": 1, "conditions": conditions,
                    "inventory": {"entries": [
                        {"id": "apps_podinfo_helm.toolkit.fluxcd.io_HelmRelease", "v": "v2"},
                        {"id": "apps_example_source.toolkit.fluxcd.io_HelmRepository", "v": "v1"},
                    ]},
                },
            }),
        )
    }

    /// The HelmRelease, its spec changed `generation` times.
    pub(super) fn release(&mut self, t: f64, generation: i64, release: Release<'_>) -> &mut Self {
        let (wants, has, ready, stalled, suspend) = match release {
            Release::Deployed(version) => (version, version, ("True", "UpgradeSucceeded"), false, false),
            Release::Upgrading(from, to) => (to, from, ("Unknown", "Progressing"), false, false),
            Release::Failed(from, to) => (to, from, ("False", "UpgradeFailed"), true, false),
            Release::GivenUp(from, to) => (to, from, ("False", "UpgradeFailed"), true, false),
            Release::Suspended(from, to) => (to, from, ("True", "UpgradeSucceeded"), false, true),
        };
        let observed = if ready.0 == "Unknown" { generation - 1 } else { generation };
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": "told by Helm",
                "observedGeneration": generation, "lastTransitionTime": "2026-11-21T11:00:00Z"})
        };
        let mut conditions = vec![condition("Ready", ready.0, ready.1)];
        if ready.0 != "Unknown" {
            conditions.push(condition("Released", ready.0, ready.1));
        } else {
            conditions.push(condition("Reconciling", "True", "Progressing"));
        }
        let entry = |number: i64, version: &str, status: &str| {
            json!({"version": number, "status": status, "chartVersion": version, "chartName": "podinfo",
                "name": "podinfo", "namespace": "apps", "digest": "sha256:1", "configDigest": "sha256:2"})
        };
        let mut history = vec![entry(generation, has, "deployed")];
        if stalled {
            let is_out = !matches!(release, Release::GivenUp(..));
            let reason = if is_out { "RetriesExceeded" } else { "MissingRollbackTarget" };
            conditions.push(condition("Stalled", "True", reason));
            history.insert(0, entry(generation + 1, wants, "failed"));
        }
        self.add(t, json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "podinfo", "namespace": "apps", "uid": self.uid, "generation": generation,
                "labels": {"kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
            "spec": {"interval": "10m", "suspend": suspend, "chart": {"spec": {"chart": "podinfo",
                "version": wants, "sourceRef": {"kind": "HelmRepository", "name": "example"}}}},
            "status": {"observedGeneration": observed, "lastAttemptedGeneration": observed,
                "lastAttemptedRevision": if stalled { wants } else { has },
                "history": history, "conditions": conditions, "failures": i64::from(stalled),
                "inventory": {"entries": []}},
        }))
    }

    /// A Deployment of the release that has no pod.
    pub(super) fn unavailable(&mut self, t: f64, namespace: &str, name: &str) -> &mut Self {
        self.add(
            t,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": name, "namespace": namespace, "uid": self.uid, "generation": 1, "labels": {
                    "helm.toolkit.fluxcd.io/name": "podinfo", "helm.toolkit.fluxcd.io/namespace": "apps"}},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
                "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1},
            }),
        )
    }

    /// Sight is lost or comes back.
    pub(super) fn view(&mut self, t: f64, back: bool) -> &mut Self {
        self.lines.push(json!({"t": t, "view": if back { "back" } else { "lost" }, "kinds": null}));
        self
    }

    /// The objects of this kind have these annotations.
    pub(super) fn annotate(&mut self, kind: &str, annotations: &Value) -> &mut Self {
        for line in self.lines.iter_mut().filter(|line| line["object"]["kind"] == kind) {
            line["object"]["metadata"]["annotations"] = annotations.clone();
        }
        self
    }

    /// What is shown after the beginning.
    pub(super) fn later(&self) -> Vec<Value> {
        self.lines.iter().filter(|line| line["t"].as_f64().unwrap() > 0.0).cloned().collect()
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|line| line.to_string() + "\n").collect()
    }
}

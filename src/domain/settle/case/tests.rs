//! What is said of an update where something was not known from the beginning.

mod before;
mod branch;
mod recorded;
mod sources;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::judge::Judge;
use super::super::line::Moment;
use super::super::memory::{Memory, Remembered};
use super::super::recording::read;
use super::super::settings::{Settings, Windows};
use super::super::verdict::{Action, Judgement, Verdict};

const BASE: &str = "1111111111111111111111111111111111111111";
const MERGE: &str = "2222222222222222222222222222222222222222";

fn judge(remembered: Option<Remembered>) -> Judge {
    let settings = Settings {
        sample: Duration::from_secs(1),
        settle: Duration::from_secs(1),
        windows: Windows::all(Duration::from_secs(10)),
        ..Settings::default()
    };
    let updates = remembered.into_iter().map(|remembered| ("u".to_owned(), remembered)).collect();
    let mut judge = Judge::new(settings, Box::new(|_| Vec::new()), Timestamp::UNIX_EPOCH, Memory { updates });
    let watching =
        ["GitRepository", "Kustomization", "HelmRelease", "Pod", "Deployment", "StatefulSet", "DaemonSet"];
    tell(&mut judge, 0.0, json!({"header": {"started_at": "2026-11-21T00:00:00Z", "watching": watching}}));
    judge
}

fn tell(judge: &mut Judge, t: f64, mut line: Value) -> Vec<Judgement> {
    line["t"] = json!(t);
    judge.take(read(line.to_string().as_bytes()).unwrap())
}

fn added(judge: &mut Judge, object: &Value) {
    tell(judge, 0.0, json!({"type": "ADDED", "object": object}));
}

fn update() -> Value {
    json!({"update": {"id": "u", "component": "image/ghcr.io/acme/web", "kind": "image", "from": "1.0.0", "to": "1.1.0",
        "base": BASE, "commit": MERGE, "files": ["apps/web/deployment.yaml"], "revert": "safe"}})
}

fn kustomization(commit: &str) -> Value {
    let revision = format!("main@sha1:{commit}");
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "web", "namespace": "flux-system", "uid": "k", "generation": 1},
        "spec": {"path": "./apps/web", "sourceRef": {"kind": "GitRepository", "name": "flux-system"}},
        "status": {"observedGeneration": 1, "lastAppliedRevision": revision, "lastAttemptedRevision": revision,
            "conditions": [{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "observedGeneration": 1}]}})
}

fn deployment(available: i64, applied: bool) -> Value {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "web", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"});
    let image = "ghcr.io/acme/web:1.1.0";
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "apps", "uid": "d", "generation": 1,
            "labels": if applied { labels } else { json!({}) }},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "main", "image": image}]}}},
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2,
            "readyReplicas": available, "availableReplicas": available}})
}

/// Another pass has seen the merge, and nobody has seen what was before it.
fn not_seen_before() -> Option<Remembered> {
    Some(Remembered { merged_at: Some("2026-11-20T23:59:00Z".parse().unwrap()), ..Remembered::default() })
}

fn merge(judge: &mut Judge) -> Vec<Judgement> {
    tell(
        judge,
        1.0,
        json!({"commit": {"id": MERGE, "parents": [BASE], "files": ["apps/web/deployment.yaml"]}}),
    );
    tell(judge, 1.0, update())
}

#[test]
fn without_a_baseline_an_update_is_good_when_nothing_of_it_fails() {
    let mut judge = judge(not_seen_before());
    added(&mut judge, &kustomization(MERGE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    said.extend(judge.advance(Moment(30_000)));

    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.action), (Verdict::Healthy, Action::Complete), "{said:?}");
}

#[test]
fn without_a_baseline_what_fails_is_held_and_not_reverted() {
    let mut judge = judge(not_seen_before());
    added(&mut judge, &kustomization(MERGE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    said.extend(judge.advance(Moment(3_000)));
    said.extend(tell(&mut judge, 3.5, json!({"type": "MODIFIED", "object": deployment(0, true)})));
    said.extend(judge.advance(Moment(60_000)));

    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.action), (Verdict::Inconclusive, Action::Hold), "{said:?}");
    assert!(said.iter().all(|said| !matches!(said.action, Action::Revert | Action::Complete)), "{said:?}");
}

/// A Deployment with the same image may be of another repository, or of nobody: it was called good once.
#[test]
fn a_workload_that_nobody_is_known_to_apply_proves_nothing() {
    let mut judge = judge(None);
    added(&mut judge, &deployment(2, false));
    let mut said = merge(&mut judge);
    said.extend(judge.advance(Moment(60_000)));

    assert!(said.iter().all(|said| said.verdict == Verdict::Unknown), "{said:?}");
    assert_eq!(said.last().unwrap().reasons[0].code, "not_found");
}

#[test]
fn a_kustomization_at_the_commit_before_the_merge_is_known_to_apply_it() {
    let mut judge = judge(None);
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &deployment(2, false));
    let mut said = merge(&mut judge);
    said.extend(judge.advance(Moment(2_500)));

    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.reasons[0].code.as_str()), (Verdict::Unknown, "not_applied"), "{said:?}");
}

/// Flux was ahead of the observer by one commit of somebody else's: the window began anew with every such commit.
#[test]
fn a_commit_that_flux_has_first_does_not_begin_the_window_anew() {
    let next = "4444444444444444444444444444444444444444";
    let mut judge = judge(None);
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    said.extend(tell(&mut judge, 2.0, json!({"type": "MODIFIED", "object": kustomization(MERGE)})));
    said.extend(judge.advance(Moment(8_000)));
    assert_eq!(said.last().unwrap().verdict, Verdict::Healthy, "{said:?}");
    said.extend(tell(&mut judge, 8.5, json!({"type": "MODIFIED", "object": kustomization(next)})));
    said.extend(judge.advance(Moment(9_500)));
    assert_eq!(said.last().unwrap().reasons[0].code, "ahead_of_branch", "{said:?}");
    said.extend(tell(
        &mut judge,
        9.6,
        json!({"commit": {"id": next, "parents": [MERGE], "files": ["README.md"]}}),
    ));
    said.extend(judge.advance(Moment(16_000)));
    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.action), (Verdict::Healthy, Action::Complete), "{said:?}");
}

/// Every Kustomization is below the root, which is part of every update: its other children are not.
#[test]
fn another_kustomization_of_the_same_root_is_not_the_update_s_fault() {
    let child = |name: &str, status: &str, reason: &str, commit: &str| {
        let mut object = kustomization(commit);
        object["metadata"]["name"] = json!(name);
        object["metadata"]["uid"] = json!(name);
        object["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "flux-system",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system"});
        object["spec"]["path"] = json!(format!("./apps/{name}"));
        object["status"]["conditions"][0]["status"] = json!(status);
        object["status"]["conditions"][0]["reason"] = json!(reason);
        object
    };
    let root = |commit: &str| {
        let mut object = kustomization(commit);
        object["metadata"]["name"] = json!("flux-system");
        object["metadata"]["uid"] = json!("root");
        object["spec"]["path"] = json!("./clusters/home");
        let entries: Vec<Value> = ["web", "monitoring"]
            .iter()
            .map(|name| json!({"id": format!("flux-system_{name}_kustomize.toolkit.fluxcd.io_Kustomization"), "v": "v1"}))
            .collect();
        object["status"]["inventory"] = json!({"entries": entries});
        object
    };
    let good = "ReconciliationSucceeded";
    let mut judge = judge(None);
    added(&mut judge, &root(BASE));
    added(&mut judge, &child("web", "True", good, BASE));
    added(&mut judge, &child("monitoring", "True", good, BASE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    for object in [root(MERGE), child("web", "True", good, MERGE)] {
        said.extend(tell(&mut judge, 2.0, json!({"type": "MODIFIED", "object": object})));
    }
    let failed = child("monitoring", "False", "HealthCheckFailed", MERGE);
    said.extend(tell(&mut judge, 3.0, json!({"type": "MODIFIED", "object": failed})));
    said.extend(judge.advance(Moment(40_000)));
    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.action), (Verdict::Healthy, Action::Complete), "{said:?}");
}

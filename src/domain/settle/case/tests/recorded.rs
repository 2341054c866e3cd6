//! What brings a version must say itself that it has: the Flux Operator in its FluxInstance, Longhorn in its setting.

use super::*;

/// A judge that sees the kinds which say how Flux, a release and Longhorn stand.
fn judge() -> Judge {
    let settings = Settings {
        sample: Duration::from_secs(1),
        settle: Duration::from_secs(1),
        windows: Windows::all(Duration::from_secs(10)),
        ..Settings::default()
    };
    let mut judge = Judge::new(settings, Box::new(|_| Vec::new()), Timestamp::UNIX_EPOCH, Memory::default());
    let watching = [
        "GitRepository",
        "Kustomization",
        "HelmRelease",
        "HelmChart",
        "FluxInstance",
        "Pod",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "Volume.longhorn.io",
        "Setting.longhorn.io",
    ];
    tell(&mut judge, 0.0, json!({"header": {"started_at": "2026-11-21T00:00:00Z", "watching": watching}}));
    judge
}

fn applied() -> Value {
    json!({"kustomize.toolkit.fluxcd.io/name": "web", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"})
}

/// Git asks for `version` with `generation`; the operator has looked at `observed` and has brought `has`.
fn instance(version: &str, generation: i64, observed: i64, has: &str) -> Value {
    let ready = json!({"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded",
        "observedGeneration": observed});
    json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
        "metadata": {"name": "flux", "namespace": "flux-system", "uid": "f", "generation": generation, "labels": applied()},
        "spec": {"distribution": {"version": version}},
        "status": {"observedGeneration": observed, "conditions": [ready],
            "lastAppliedRevision": format!("v{has}@sha256:{}", "a".repeat(64))}})
}

fn longhorn(version: &str) -> Value {
    let ready =
        json!([{"type": "Ready", "status": "True", "reason": "UpgradeSucceeded", "observedGeneration": 1}]);
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "longhorn", "namespace": "longhorn-system", "uid": "h", "generation": 1, "labels": applied()},
        "spec": {"chart": {"spec": {"chart": "longhorn", "version": version}}},
        "status": {"observedGeneration": 1, "conditions": ready, "lastAttemptedRevision": version,
            "history": [{"chartVersion": version, "status": "deployed", "version": 1}]}})
}

fn setting(value: &str) -> Value {
    json!({"apiVersion": "longhorn.io/v1beta2", "kind": "Setting", "value": value,
        "metadata": {"name": "current-longhorn-version", "namespace": "longhorn-system", "uid": "s", "generation": 1}})
}

/// Merges an update, and lets `after` be seen with the commit.
fn merged(judge: &mut Judge, kind: &str, from: &str, to: &str, after: &Value) -> Vec<Judgement> {
    let files = ["apps/web/version.yaml"];
    tell(judge, 1.0, json!({"commit": {"id": MERGE, "parents": [BASE], "files": files}}));
    let mut said = tell(
        judge,
        1.0,
        json!({"update": {"id": "u", "component": kind, "kind": kind, "from": from, "to": to,
            "base": BASE, "commit": MERGE, "files": files}}),
    );
    said.extend(tell(judge, 2.0, json!({"type": "MODIFIED", "object": kustomization(MERGE)})));
    said.extend(tell(judge, 2.0, json!({"type": "MODIFIED", "object": after})));
    said
}

/// The operator was stopped: the commit was applied, nothing was worse, and Flux was still the old one.
#[test]
fn an_instance_that_the_operator_has_not_looked_at_is_never_complete() {
    let mut judge = judge();
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &instance("2.7.5", 1, 1, "2.7.5"));
    let asks = instance("2.8.0", 2, 1, "2.7.5");
    let mut said = merged(&mut judge, "flux", "2.7.5", "2.8.0", &asks);
    said.extend(judge.advance(Moment(1_800_000)));
    assert!(said.iter().all(|said| said.verdict != Verdict::Healthy), "{said:?}");
    let now = judge.opinion("u").unwrap();
    assert_eq!(now.reasons[0].object.as_deref(), Some("FluxInstance/flux-system/flux"), "{now:?}");

    let there = instance("2.8.0", 2, 2, "2.8.0");
    let mut said = tell(&mut judge, 1_801.0, json!({"type": "MODIFIED", "object": there}));
    said.extend(judge.advance(Moment(1_900_000)));
    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.action), (Verdict::Healthy, Action::Complete), "{said:?}");
}

#[test]
fn an_instance_that_the_operator_gave_up_on_has_regressed() {
    let mut judge = judge();
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &instance("2.7.5", 1, 1, "2.7.5"));
    let mut failed = instance("2.8.0", 2, 2, "2.7.5");
    let no = |of: &str, status: &str| {
        json!({"type": of, "status": status, "reason": "BuildFailed",
        "message": "no such version", "observedGeneration": 2})
    };
    failed["status"]["conditions"] = json!([no("Ready", "False"), no("Stalled", "True")]);
    let mut said = merged(&mut judge, "flux", "2.7.5", "2.8.0", &failed);
    said.extend(judge.advance(Moment(60_000)));
    let last = said.last().unwrap();
    assert_eq!(last.verdict, Verdict::Regressed, "{said:?}");
    assert_eq!(last.reasons[0].code, "build_failed", "{said:?}");
}

/// The release was deployed, and the managers had not taken over: what Longhorn is, it says itself.
#[test]
fn longhorn_is_not_complete_before_it_has_recorded_its_version() {
    let mut judge = judge();
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &longhorn("1.10.1"));
    added(&mut judge, &setting("v1.10.1"));
    let mut said = merged(&mut judge, "longhorn", "1.10.1", "1.11.0", &longhorn("1.11.0"));
    said.extend(judge.advance(Moment(600_000)));
    assert!(said.iter().all(|said| said.verdict != Verdict::Healthy), "{said:?}");
    let now = judge.opinion("u").unwrap();
    assert_eq!(now.reasons[0].code, "not_recorded", "{now:?}");

    let recorded = setting("v1.11.0");
    let mut said = tell(&mut judge, 601.0, json!({"type": "MODIFIED", "object": recorded}));
    said.extend(judge.advance(Moment(700_000)));
    let last = said.last().unwrap();
    assert_eq!((last.verdict, last.action), (Verdict::Healthy, Action::Complete), "{said:?}");
}

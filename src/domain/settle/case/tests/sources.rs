//! Updates of what is built from another source than the repository itself: a GitRepository at a tag, an OCIRepository.

use rstest::rstest;

use super::*;

fn labels() -> Value {
    json!({"kustomize.toolkit.fluxcd.io/name": "web", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"})
}

fn ready(status: &str, reason: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": reason, "message": "said so", "observedGeneration": 1}])
}

/// The GitRepository `lib` that asks for a tag and has another one, or the same.
fn source(name: &str, wants: &str, has: &str, conditions: Value) -> Value {
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": name, "namespace": "flux-system", "uid": name, "generation": 1, "labels": labels()},
        "spec": {"url": format!("https://git.example.com/acme/{name}.git"), "ref": {"tag": wants}},
        "status": {"observedGeneration": 1, "conditions": conditions,
            "artifact": {"revision": format!("{has}@sha1:{}", "a".repeat(40))}}})
}

/// The Kustomization that is built from it.
fn built(applied: &str, attempted: &str, conditions: Value) -> Value {
    let revision = |tag: &str| format!("{tag}@sha1:{}", "a".repeat(40));
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "lib", "namespace": "flux-system", "uid": "l", "generation": 1},
        "spec": {"path": "./deploy", "sourceRef": {"kind": "GitRepository", "name": "lib"}},
        "status": {"observedGeneration": 1, "lastAppliedRevision": revision(applied),
            "lastAttemptedRevision": revision(attempted), "conditions": conditions,
            "inventory": {"entries": [{"id": "apps_web_apps_Deployment", "v": "v1"}]}}})
}

fn good() -> Value {
    ready("True", "Succeeded")
}

/// Everything as it was before the merge.
fn begun() -> Judge {
    let mut judge = judge(None);
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &source("lib", "v1.0.0", "v1.0.0", good()));
    added(&mut judge, &source("other", "v3.0.0", "v3.0.0", good()));
    added(&mut judge, &built("v1.0.0", "v1.0.0", good()));
    judge
}

fn changed(judge: &mut Judge, t: f64, object: &Value) -> Vec<Judgement> {
    tell(judge, t, json!({"type": "MODIFIED", "object": object}))
}

fn merged(judge: &mut Judge) -> Vec<Judgement> {
    tell(judge, 1.0, json!({"commit": {"id": MERGE, "parents": [BASE], "files": ["sources/lib.yaml"]}}));
    let mut said = tell(
        judge,
        1.0,
        json!({"update": {"id": "u", "component": "git/git.example.com/acme/lib", "kind": "git", "from": "v1.0.0",
            "to": "v1.1.0", "base": BASE, "commit": MERGE, "files": ["sources/lib.yaml"], "revert": "safe"}}),
    );
    said.extend(changed(judge, 2.0, &kustomization(MERGE)));
    said
}

fn last(said: &[Judgement]) -> (Verdict, Action) {
    said.last().map(|said| (said.verdict, said.action)).unwrap()
}

#[test]
fn update_of_a_source_is_good_when_what_is_built_from_it_has_applied_it() {
    let mut judge = begun();
    let mut said = merged(&mut judge);
    said.extend(changed(&mut judge, 3.0, &source("lib", "v1.1.0", "v1.1.0", good())));
    said.extend(judge.advance(Moment(30_000)));
    assert_eq!(last(&said), (Verdict::Unknown, Action::Wait), "it is not applied yet: {said:?}");
    said.extend(changed(&mut judge, 31.0, &built("v1.1.0", "v1.1.0", good())));
    said.extend(judge.advance(Moment(60_000)));
    assert_eq!(last(&said), (Verdict::Healthy, Action::Complete), "{said:?}");
}

/// It was called good while the Kustomization could not be built: only the one that applies the source was looked at.
#[rstest]
#[case::cannot_be_built("BuildFailed")]
#[case::cannot_be_applied("ReconciliationFailed")]
fn update_of_a_source_whose_kustomization_fails_is_reverted(#[case] reason: &str) {
    let mut judge = begun();
    let mut said = merged(&mut judge);
    said.extend(changed(&mut judge, 3.0, &source("lib", "v1.1.0", "v1.1.0", good())));
    // Each try sets the condition anew.
    for t in (4..60).step_by(5) {
        let trying = built("v1.0.0", "v1.1.0", ready("Unknown", "Progressing"));
        said.extend(changed(&mut judge, f64::from(t), &trying));
        let failed = built("v1.0.0", "v1.1.0", ready("False", reason));
        said.extend(changed(&mut judge, f64::from(t) + 0.1, &failed));
    }
    let revert = said.iter().find(|said| said.action == Action::Revert);
    assert_eq!(revert.map(|said| said.verdict), Some(Verdict::Regressed), "{said:?}");
    assert!(said.iter().all(|said| said.action != Action::Complete), "{said:?}");
    // The way back is over when it has the old version again.
    let back = "3333333333333333333333333333333333333333";
    tell(
        &mut judge,
        61.0,
        json!({"commit": {"id": back, "parents": [MERGE], "reverts": ["u"], "files": ["sources/lib.yaml"]}}),
    );
    said = changed(&mut judge, 62.0, &kustomization(back));
    said.extend(changed(&mut judge, 63.0, &source("lib", "v1.0.0", "v1.0.0", good())));
    said.extend(changed(&mut judge, 64.0, &built("v1.0.0", "v1.0.0", good())));
    said.extend(judge.advance(Moment(90_000)));
    assert_eq!(last(&said).0, Verdict::Healthy, "{said:?}");
}

#[test]
fn tag_that_cannot_be_fetched_is_reverted_unless_others_of_the_host_cannot_be_either() {
    let failed =
        |name: &str, wants: &str| source(name, wants, "v0.9.0", ready("False", "GitOperationFailed"));
    for (others_fail, expected) in
        [(false, (Verdict::Regressed, Action::Revert)), (true, (Verdict::Unknown, Action::Wait))]
    {
        let mut judge = begun();
        let mut said = merged(&mut judge);
        if others_fail {
            said.extend(changed(&mut judge, 2.5, &failed("other", "v3.0.0")));
        }
        said.extend(changed(&mut judge, 3.0, &failed("lib", "v1.1.0")));
        said.extend(judge.advance(Moment(40_000)));
        assert_eq!(last(&said), expected, "{said:?}");
    }
}

/// What it applies is touched as well.
#[test]
fn workload_that_breaks_with_what_is_built_from_the_source_counts() {
    let mut judge = begun();
    added(&mut judge, &deployment(2, false));
    let mut said = merged(&mut judge);
    said.extend(changed(&mut judge, 3.0, &source("lib", "v1.1.0", "v1.1.0", good())));
    said.extend(changed(&mut judge, 4.0, &built("v1.1.0", "v1.1.0", good())));
    said.extend(judge.advance(Moment(6_000)));
    said.extend(changed(&mut judge, 6.5, &deployment(0, false)));
    said.extend(judge.advance(Moment(60_000)));
    assert_eq!(last(&said), (Verdict::Regressed, Action::Revert), "{said:?}");
}

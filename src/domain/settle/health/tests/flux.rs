//! Flux' objects.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

#[rstest]
#[case::stalled(flux("HelmRelease", json!({}), json!([condition("Stalled", "True", "RetriesExceeded", 0), condition("Ready", "False", "UpgradeFailed", 0)])),
    "failing flux_ready HelmRelease/apps/x RetriesExceeded")]
#[case::failing_for_long(flux("Kustomization", json!({}), json!([condition("Ready", "False", "BuildFailed", 6)])),
    "failing flux_ready Kustomization/apps/x BuildFailed")]
#[case::failing_for_a_moment(flux("Kustomization", json!({}), json!([condition("Ready", "False", "HealthCheckFailed", 1)])), "")]
#[case::waits_for_another(flux("HelmRelease", json!({}), json!([condition("Ready", "False", "DependencyNotReady", 9)])),
    "notice flux_ready HelmRelease/apps/x DependencyNotReady")]
#[case::suspended(flux("HelmRelease", json!({"suspend": true}), json!([condition("Ready", "False", "UpgradeFailed", 9)])),
    "notice flux_suspended HelmRelease/apps/x Suspended")]
#[case::static_source(flux("HelmRepository", json!({"type": "oci", "url": "oci://a"}), json!([])), "")]
#[case::nobody_took_it_up(flux("GitRepository", json!({"url": "https://a"}), json!([])),
    "failing flux_ready GitRepository/apps/x NotReconciled")]
#[case::ready(flux("HelmRelease", json!({}), json!([condition("Ready", "True", "UpgradeSucceeded", 9)])), "")]
fn flux_objects(#[case] object: Value, #[case] expected: &str) {
    assert_eq!(told(&found(&[object])).join("\n"), expected);
}

/// kustomize-controller sets the condition anew with every try: one that has failed for long was never seen to fail.
#[rstest]
#[case::warned_for_long(warning("BuildFailed", 30, 1), json!({}), "failing flux_ready Kustomization/apps/x BuildFailed")]
#[case::warned_a_moment_ago(warning("BuildFailed", 2, 1), json!({}), "")]
#[case::warned_long_ago(warning("BuildFailed", 50, 40), json!({}), "")]
#[case::warned_now_and_then(
    { let mut event = warning("BuildFailed", 50, 1); event["count"] = json!(3); event }, json!({}), "")]
#[case::warned_of_something_else(warning("PruneFailed", 30, 1), json!({}), "")]
#[case::offered_for_long(source(30), json!({"lastAttemptedRevision": "main@sha1:b", "lastAppliedRevision": "main@sha1:a"}),
    "failing flux_ready Kustomization/apps/x BuildFailed")]
#[case::offered_a_moment_ago(source(2), json!({"lastAttemptedRevision": "main@sha1:b", "lastAppliedRevision": "main@sha1:a"}), "")]
#[case::applied_before(source(30), json!({"lastAttemptedRevision": "main@sha1:b", "lastAppliedRevision": "main@sha1:b"}), "")]
#[case::not_tried_yet(source(30), json!({"lastAttemptedRevision": "main@sha1:a", "lastAppliedRevision": "main@sha1:c"}), "")]
fn kustomization_that_is_tried_again_and_again(
    #[case] beside: Value,
    #[case] status: Value,
    #[case] expected: &str,
) {
    let mut object = flux(
        "Kustomization",
        json!({"sourceRef": {"kind": "GitRepository", "name": "src"}}),
        json!([
            condition("Ready", "False", "BuildFailed", 0),
            condition("Reconciling", "True", "ProgressingWithRetry", 0)
        ]),
    );
    for (key, value) in status.as_object().unwrap() {
        object["status"][key] = value.clone();
    }
    let told = told(&found(&[object, beside]));
    let told: Vec<_> = told.into_iter().filter(|line| line.contains("flux_ready")).collect();
    assert_eq!(told.join("\n"), expected);
}

/// Only a success takes away that a source could not be fetched.
#[test]
fn source_that_is_tried_again_and_again_fails_since_its_first_failure() {
    let conditions = json!([
        condition("Ready", "False", "GitOperationFailed", 0),
        condition("FetchFailed", "True", "GitOperationFailed", 20)
    ]);
    let object = flux("GitRepository", json!({"url": "https://a"}), conditions);
    let found = found(&[object]);
    assert_eq!(told(&found), ["failing flux_ready GitRepository/apps/x GitOperationFailed"]);
    assert!(found[0].message.contains("20 min"), "{}", found[0].message);
}

fn warning(reason: &str, first: i64, last: i64) -> Value {
    let mut event =
        object("v1", "Event", "apps/x.17", json!({"type": "Warning", "reason": reason, "count": 15}));
    event["involvedObject"] = json!({"kind": "Kustomization", "name": "x"});
    event["firstTimestamp"] = json!(before(first));
    event["lastTimestamp"] = json!(before(last));
    event
}

fn source(minutes: i64) -> Value {
    object(
        "source.toolkit.fluxcd.io/v1",
        "GitRepository",
        "apps/src",
        json!({"spec": {"url": "https://a"}, "status": {"conditions": [condition("Ready", "True", "Succeeded", 60)],
            "artifact": {"revision": "main@sha1:b", "lastUpdateTime": before(minutes)}}}),
    )
}

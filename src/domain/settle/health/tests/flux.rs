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

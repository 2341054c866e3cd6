//! What may be done to a cluster before an update is taken back.

use gitops_updater::app::cluster::ErrorClass;
use gitops_updater::app::remedy::{Nudge, cordon, nudge, uncordon};
use gitops_updater::domain::settle::kind::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::connect;
use crate::support::fake_cluster::{ADMIN, FakeCluster, START};

const RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";

fn now() -> Timestamp {
    START.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_is_asked_in_the_version_that_is_served_and_only_annotations_change() {
    for (version, what, annotation) in [
        ("v2", Nudge::Reconcile, None),
        ("v2", Nudge::Reset, Some("reconcile.fluxcd.io/resetAt")),
        ("v2beta2", Nudge::Force, Some("reconcile.fluxcd.io/forceAt")),
    ] {
        let cluster = FakeCluster::start();
        cluster.cluster().define("HelmRelease", RELEASES, true, &[version]);
        let release = json!({"apiVersion": format!("helm.toolkit.fluxcd.io/{version}"), "kind": "HelmRelease",
            "metadata": {"name": "demo", "namespace": "apps", "annotations": {"mine": "kept"}}, "spec": {"interval": "5m"}});
        let before = cluster.cluster().put(release);
        let live = connect(&cluster, ADMIN, None).await;
        nudge(&live, Kind::HelmRelease, "apps", "demo", what, now()).await.unwrap();
        let after = cluster.cluster().get(RELEASES, "apps", "demo").unwrap();
        assert_eq!((&after["spec"], &after["metadata"]["generation"]), (&before["spec"], &json!(1)));
        let mut expected = json!({"mine": "kept", "reconcile.fluxcd.io/requestedAt": START});
        if let Some(annotation) = annotation {
            expected[annotation] = json!(START);
        }
        assert_eq!(after["metadata"]["annotations"], expected);
        let error = nudge(&live, Kind::HelmRelease, "apps", "other", what, now()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_node_that_we_cordoned_for_this_update_is_uncordoned() {
    let cluster = FakeCluster::start();
    let node = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec});
    cluster.cluster().put(node("free", json!({})));
    cluster.cluster().put(node("theirs", json!({"unschedulable": true})));
    let live = connect(&cluster, ADMIN, None).await;
    let unschedulable =
        |name: &str| cluster.cluster().get("nodes", "", name).unwrap()["spec"]["unschedulable"] == true;

    assert!(cordon(&live, "free", "update-1").await.unwrap());
    assert!(!cordon(&live, "theirs", "update-1").await.unwrap());
    assert!(unschedulable("free"));
    assert!(!uncordon(&live, "theirs", "update-1").await.unwrap());
    assert!(!uncordon(&live, "free", "update-2").await.unwrap());
    assert!(unschedulable("theirs") && unschedulable("free"));
    assert!(uncordon(&live, "free", "update-1").await.unwrap());
    assert!(!unschedulable("free"));
    assert_eq!(cluster.cluster().get("nodes", "", "free").unwrap()["metadata"]["annotations"], json!({}));
}

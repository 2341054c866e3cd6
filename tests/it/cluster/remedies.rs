//! What may be done to a cluster before an update is reverted.

use gitops_updater::app::cluster::ErrorClass;
use gitops_updater::app::remedy::{Nudge, nudge, uncordon};
use gitops_updater::domain::settle::cordon::LeftCordoned;
use gitops_updater::domain::settle::kind::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{connect, role};
use crate::support::fake_cluster::{ADMIN, Account, FakeCluster, START};

const RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";

fn now() -> Timestamp {
    START.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_is_asked_in_the_version_that_is_served_and_only_annotations_change() {
    for (version, what, annotation) in [
        ("v2", Nudge::Reconcile, None),
        ("v2", Nudge::Reset, Some("reconcile.fluxcd.io/resetAt")),
        ("v2beta2", Nudge::Reset, Some("reconcile.fluxcd.io/resetAt")),
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
async fn only_a_node_that_is_as_it_was_left_is_uncordoned() {
    let cluster = FakeCluster::start();
    let cordoned = |at: &str| {
        let taint =
            json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": at});
        json!({"unschedulable": true, "taints": [taint]})
    };
    let node = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec});
    cluster.cluster().put(node("left", cordoned(START)));
    cluster.cluster().put(node("again", cordoned("2026-11-21T09:59:00Z")));
    cluster.cluster().put(node("free", json!({})));
    cluster.account("bot", Account::nobody("bot").bound_to(&role("uncordon"), None));
    let live = connect(&cluster, "bot", None).await;
    let left =
        |name: &str| LeftCordoned { node: name.into(), job: "system-upgrade/apply".into(), since: now() };
    let unschedulable =
        |name: &str| cluster.cluster().get("nodes", "", name).unwrap()["spec"]["unschedulable"] == true;

    assert!(!uncordon(&live, &left("again")).await.unwrap(), "a person cordoned it anew");
    assert!(!uncordon(&live, &left("free")).await.unwrap());
    assert_eq!(uncordon(&live, &left("gone")).await.unwrap_err().class, ErrorClass::NotFound);
    assert!(unschedulable("again") && unschedulable("left"));
    assert!(uncordon(&live, &left("left")).await.unwrap());
    assert!(!unschedulable("left"));
    assert!(!uncordon(&live, &left("left")).await.unwrap(), "once");
}

//! Whether a rollout of k3s that went wrong goes on to further nodes.
//!
//! system-upgrade-controller takes the next node as soon as a Job has succeeded, whether its node came back or not. With
//! `spec.concurrency` 0 it selects no further node (`pkg/upgrade/plan/plan.go`, `SelectConcurrentNodes`); those in
//! `status.applying` stay selected, so their Jobs end as they would. The field is no part of the Jobs, and of the digest
//! only where the annotation `upgrade.cattle.io/digest` names it. When nothing is selected any more the Plan says
//! `Complete` (`handle_upgrade.go`), however many nodes still run the old version.

use super::kind::Kind;
use super::object::{Detail, Object, Plan};
use super::radius::{Radius, same_version};
use super::readiness::unseen;
use super::rollout::PLAN_LABEL;
use super::world::World;

/// Parts of a Plan that count for its digest, between commas (`pkg/apis/upgrade.cattle.io/constants.go`).
const DIGEST: &str = "upgrade.cattle.io/digest";

/// Label by whose value `status.applying` names nodes.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// A Plan of an update, as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollingPlan {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Nodes at a time; 0 = none any more.
    pub concurrency: i64,
    /// Nodes that it has not begun with, sorted.
    pub to_go: Vec<String>,
    /// Another concurrency would begin the rollout anew: it counts for the Plan's digest.
    pub in_digest: bool,
}

/// The Plans that ask for a version; empty where Plans or nodes are not seen.
pub(super) fn plans(world: &World, radius: &Radius, version: &str) -> Vec<RollingPlan> {
    if [Kind::Plan, Kind::Node].iter().any(|kind| unseen(world, *kind).is_some()) {
        return Vec::new();
    }
    let found = radius.plans.iter().filter_map(|(namespace, name)| {
        let object = world.get(Kind::Plan, namespace, name)?;
        let Detail::Plan(plan) = &object.detail else { return None };
        same_version(&plan.version, version).then(|| rolling(world, object, plan, version))
    });
    found.collect()
}

pub(super) fn rolling(world: &World, object: &Object, plan: &Plan, version: &str) -> RollingPlan {
    let label = format!("{PLAN_LABEL}{}", object.meta.name);
    // Until its status has the version, it has begun with no node.
    let begun = same_version(&plan.latest_version, version);
    let waits = |node: &&Object| {
        let hash = node.meta.labels.get(&label).map(String::as_str);
        let done = begun && hash == Some(plan.latest_hash.as_str());
        let host = node.meta.labels.get(HOSTNAME).unwrap_or(&node.meta.name);
        let applying = begun && plan.applying.contains(host);
        plan.selector.fits(&node.meta.labels) && hash != Some("disabled") && !done && !applying
    };
    let mut to_go: Vec<String> =
        world.of(Kind::Node).filter(waits).map(|node| node.meta.name.clone()).collect();
    to_go.sort_unstable();
    let digest = object.meta.annotations.get(DIGEST);
    RollingPlan {
        namespace: object.meta.namespace.clone(),
        name: object.meta.name.clone(),
        concurrency: plan.concurrency,
        to_go,
        in_digest: digest.is_some_and(|parts| counts_concurrency(parts)),
    }
}

fn counts_concurrency(parts: &str) -> bool {
    parts.split(',').any(|part| matches!(part.trim(), "spec.concurrency" | "spec"))
}

impl RollingPlan {
    /// Whether it goes on to a further node by itself.
    pub fn goes_on(&self) -> bool {
        self.concurrency > 0 && !self.to_go.is_empty()
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::settle::health::testing::world;

    const NEW: &str = "v1.36.3+k3s1";

    fn node(name: &str, hash: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "uid": name, "labels": {"plan.upgrade.cattle.io/server": hash, "role": "server"}}})
    }

    fn plan(spec: Value, applying: Value, resolved: &str) -> Value {
        let mut object = json!({"apiVersion": "upgrade.cattle.io/v1", "kind": "Plan",
            "metadata": {"name": "server", "namespace": "system-upgrade", "uid": "p"},
            "spec": {"version": NEW, "concurrency": 1, "nodeSelector": {"matchLabels": {"role": "server"}}},
            "status": {"latestVersion": resolved, "latestHash": "new", "applying": applying}});
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        object
    }

    fn seen(plan: Value, hashes: &[&str]) -> Vec<RollingPlan> {
        let mut objects: Vec<Value> =
            hashes.iter().enumerate().map(|(at, hash)| node(&format!("n{at}"), hash)).collect();
        objects.push(plan);
        let radius = Radius {
            plans: [("system-upgrade".to_owned(), "server".to_owned())].into(),
            ..Radius::default()
        };
        plans(&world(&objects), &radius, NEW)
    }

    #[rstest]
    #[case::one_is_done_and_one_is_being_changed(&["new", "old", "old"], json!(["n1"]), &["n2"])]
    #[case::all_are_done(&["new", "new"], json!([]), &[])]
    #[case::the_last_is_being_changed(&["new", "old"], json!(["n1"]), &[])]
    #[case::opted_out(&["new", "disabled"], json!([]), &[])]
    fn nodes_to_go_are(#[case] hashes: &[&str], #[case] applying: Value, #[case] expected: &[&str]) {
        let found = seen(plan(json!({}), applying, "v1.36.3-k3s1"), hashes);
        assert_eq!(found[0].to_go, expected);
        assert_eq!(found[0].goes_on(), !expected.is_empty());
    }

    #[test]
    fn plan_that_has_not_resolved_the_version_has_begun_with_no_node() {
        let found = seen(plan(json!({}), json!(["n0"]), "v1.36.2-k3s1"), &["new", "new"]);
        assert_eq!(found[0].to_go, ["n0", "n1"]);
    }

    #[rstest]
    #[case::stopped(json!({"concurrency": 0}))]
    #[case::never_set(json!({"concurrency": null}))]
    fn plan_without_concurrency_goes_on_to_nobody(#[case] spec: Value) {
        let found = seen(plan(spec, json!([]), "v1.36.3-k3s1"), &["old"]);
        assert!(!found[0].goes_on(), "{found:?}");
    }

    #[test]
    fn plan_that_asks_for_another_version_is_not_of_the_update() {
        assert!(
            seen(plan(json!({"version": "v1.36.2+k3s1"}), json!([]), "v1.36.2-k3s1"), &["old"]).is_empty()
        );
    }

    #[rstest]
    #[case::nothing("", false)]
    #[case::others("spec.upgrade,spec.drain", false)]
    #[case::it("spec.upgrade, spec.concurrency", true)]
    #[case::everything("spec", true)]
    fn digest_counts_concurrency(#[case] parts: &str, #[case] expected: bool) {
        assert_eq!(counts_concurrency(parts), expected);
    }
}

//! Which nodes an upgrade of k3s has left cordoned.
//!
//! A Job of system-upgrade-controller cordons its node, and the controller lets pods onto it again when the Job has
//! succeeded (`pkg/upgrade/handle_batch.go`); after one that failed, or that nobody saw succeed, the node stays as it is.
//! What a person cordoned is a person's: the node's own record of the moment must lie within the Job.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::kind::Kind;
use super::line::Merged;
use super::memory::Remembered;
use super::object::{Detail, Job, Node, Object};
use super::radius::{Radius, same_version};
use super::readiness::unseen;
use super::rollout::{JOB_NODE, JOB_PLAN, JOB_VERSION, KINDS};
use super::world::World;

/// Taint of a node that is cordoned; kube-controller-manager notes when it was added (`SwapNodeControllerTaint`).
pub const CORDONED: &str = "node.kubernetes.io/unschedulable";
/// So far are the clocks of what notes times apart.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// A node that an upgrade of k3s has left cordoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftCordoned {
    /// Its name.
    pub node: String,
    /// The Job that cordoned it, as `namespace/name`.
    pub job: String,
    /// Since when it is cordoned, by its own record.
    pub since: Timestamp,
}

/// The nodes that Jobs of an update cordoned, that run its version, are Ready, and have been left so for `settle`.
pub(super) fn left_cordoned(
    world: &World,
    radius: &Radius,
    update: &Merged,
    remembered: &Remembered,
    settle: Duration,
) -> Vec<LeftCordoned> {
    let Some(baseline) = &remembered.baseline else { return Vec::new() };
    if KINDS.iter().any(|kind| unseen(world, *kind).is_some()) {
        return Vec::new();
    }
    let found = world.of(Kind::Node).filter_map(|object| {
        let Detail::Node(node) = &object.detail else { return None };
        let name = &object.meta.name;
        let was_schedulable = baseline.kubelets.contains_key(name) && !baseline.cordoned.contains(name);
        let is_back = object.is("Ready") && same_version(&node.kubelet_version, &update.to);
        if !(was_schedulable && is_back && node.unschedulable) {
            return None;
        }
        let of_node: Vec<(&Object, &Job)> = jobs_on(world, name).collect();
        // Whatever still works on the node may have cordoned it, too.
        if of_node.iter().any(|(job, _)| ended(job).is_none()) {
            return None;
        }
        let by = of_node.into_iter().find(|(job, detail)| {
            is_of(world, radius, update, job)
                && made_after(job, remembered.merged_at)
                && cordoned_by(node, job, detail)
                && ended(job).is_some_and(|end| lasts(world, end) > settle)
        });
        by.zip(cordoned_since(node)).map(|((job, _), since)| LeftCordoned {
            node: name.clone(),
            job: format!("{}/{}", job.meta.namespace, job.meta.name),
            since,
        })
    });
    found.collect()
}

/// Jobs of any Plan on a node.
fn jobs_on<'w>(world: &'w World, node: &'w str) -> impl Iterator<Item = (&'w Object, &'w Job)> {
    world.of(Kind::Job).filter_map(move |object| match &object.detail {
        Detail::Job(job) if object.meta.labels.get(JOB_NODE).is_some_and(|of| of == node) => {
            Some((object, job.as_ref()))
        }
        _ => None,
    })
}

/// Whether a Job is of a Plan of the update that cordons its nodes, for its version.
fn is_of(world: &World, radius: &Radius, update: &Merged, job: &Object) -> bool {
    let Some(plan) = job.meta.labels.get(JOB_PLAN) else { return false };
    let cordons = world
        .get(Kind::Plan, &job.meta.namespace, plan)
        .is_some_and(|plan| matches!(&plan.detail, Detail::Plan(plan) if plan.cordons));
    cordons
        && radius.plans.contains(&(job.meta.namespace.clone(), plan.clone()))
        && job.meta.labels.get(JOB_VERSION).is_some_and(|version| same_version(version, &update.to))
}

fn made_after(job: &Object, merged: Option<Timestamp>) -> bool {
    let made = job.meta.creation_timestamp.and_then(|made| made.checked_add(SKEW).ok());
    made.zip(merged).is_some_and(|(made, merged)| made >= merged)
}

/// When a Job ended, well or not.
fn ended(job: &Object) -> Option<Timestamp> {
    let end = ["Complete", "Failed"]
        .into_iter()
        .find_map(|name| job.condition(name).filter(|end| end.is_true()))?;
    end.last_transition_time
}

/// Since when a node is cordoned, by its own record; `None` where it is not, or nobody noted when.
pub fn cordoned_since(node: &Node) -> Option<Timestamp> {
    node.taints.iter().find(|taint| taint.key == CORDONED)?.time_added
}

/// Whether the node was cordoned while the Job ran.
fn cordoned_by(node: &Node, job: &Object, detail: &Job) -> bool {
    let at = cordoned_since(node);
    let began = detail.started_at.or(job.meta.creation_timestamp);
    let within = || Some(at? >= began?.checked_sub(SKEW).ok()? && at? <= ended(job)?.checked_add(SKEW).ok()?);
    within().unwrap_or(false)
}

fn lasts(world: &World, since: Timestamp) -> Duration {
    Duration::try_from(world.wall().duration_since(since)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::settle::health::testing::{NOW, before, world};
    use crate::domain::settle::memory::Baseline;

    const OLD: &str = "v1.36.2+k3s1";
    const NEW: &str = "v1.36.3+k3s1";

    /// A node that the failed Job of an hour's update left cordoned, and what else there is.
    struct Scene {
        node: Value,
        job: Value,
        plan: Value,
        more: Vec<Value>,
        baseline: Option<Baseline>,
    }

    fn job(name: &str, ended: Option<&str>) -> Value {
        let conditions = match ended {
            Some(at) => {
                json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": at}])
            }
            None => json!([]),
        };
        json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": "system-upgrade", "uid": name, "creationTimestamp": before(30), "labels": {
                "upgrade.cattle.io/plan": "server", "upgrade.cattle.io/node": "n0", "upgrade.cattle.io/version": "v1.36.3-k3s1"}},
            "status": {"startTime": before(30), "conditions": conditions}})
    }

    impl Scene {
        fn left() -> Self {
            Self {
                node: json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n0", "uid": "n0"},
                    "spec": {"unschedulable": true, "taints": [{"key": CORDONED, "effect": "NoSchedule", "timeAdded": before(29)}]},
                    "status": {"nodeInfo": {"kubeletVersion": NEW}, "conditions": [{"type": "Ready", "status": "True"}]}}),
                job: job("apply", Some(&before(15))),
                plan: json!({"apiVersion": "upgrade.cattle.io/v1", "kind": "Plan",
                    "metadata": {"name": "server", "namespace": "system-upgrade", "uid": "p"},
                    "spec": {"version": NEW, "concurrency": 1, "drain": {"force": true}},
                    "status": {"latestVersion": "v1.36.3-k3s1", "latestHash": "new"}}),
                more: Vec::new(),
                baseline: Some(Baseline {
                    kubelets: [("n0".to_owned(), OLD.to_owned())].into(),
                    ..Baseline::default()
                }),
            }
        }

        fn with(change: impl FnOnce(&mut Self)) -> Self {
            let mut scene = Self::left();
            change(&mut scene);
            scene
        }

        fn found(self) -> Vec<String> {
            let mut objects = vec![self.node, self.job, self.plan];
            objects.extend(self.more);
            let radius = Radius {
                plans: [("system-upgrade".to_owned(), "server".to_owned())].into(),
                ..Radius::default()
            };
            let update = Merged {
                from: OLD.to_owned(),
                to: NEW.to_owned(),
                kind: "k3s".to_owned(),
                ..Merged::default()
            };
            let now: Timestamp = NOW.parse().unwrap();
            let remembered = Remembered {
                baseline: self.baseline,
                merged_at: Some(now - SignedDuration::from_mins(40)),
                ..Remembered::default()
            };
            let settle = Duration::from_secs(120);
            let found = left_cordoned(&world(&objects), &radius, &update, &remembered, settle);
            found.into_iter().map(|left| format!("{} {}", left.node, left.job)).collect()
        }
    }

    #[test]
    fn node_that_a_job_of_the_update_left_cordoned_is_named() {
        assert_eq!(Scene::left().found(), ["n0 system-upgrade/apply"]);
    }

    #[rstest]
    #[case::it_was_cordoned_before_the_update(Scene::with(|one| {
        one.baseline.as_mut().unwrap().cordoned.insert("n0".to_owned());
    }))]
    #[case::nobody_knows_how_it_was_before(Scene::with(|one| one.baseline = None))]
    #[case::it_was_not_there_before(Scene::with(|one| one.baseline.as_mut().unwrap().kubelets.clear()))]
    #[case::it_is_schedulable(Scene::with(|one| one.node["spec"] = json!({})))]
    #[case::it_did_not_come_back(Scene::with(|one| one.node["status"]["conditions"][0]["status"] = json!("Unknown")))]
    #[case::it_has_not_moved(Scene::with(|one| one.node["status"]["nodeInfo"]["kubeletVersion"] = json!(OLD)))]
    #[case::a_person_cordoned_it_before_the_job(Scene::with(|one| {
        one.node["spec"]["taints"][0]["timeAdded"] = json!(before(31));
    }))]
    #[case::a_person_cordoned_it_after_the_job(Scene::with(|one| {
        one.node["spec"]["taints"][0]["timeAdded"] = json!(before(14));
    }))]
    #[case::nobody_noted_when_it_was_cordoned(Scene::with(|one| one.node["spec"]["taints"] = json!([])))]
    #[case::the_job_is_under_way(Scene::with(|one| one.job = job("apply", None)))]
    #[case::another_job_is_under_way(Scene::with(|one| one.more.push(job("again", None))))]
    #[case::the_job_ended_a_moment_ago(Scene::with(|one| one.job = job("apply", Some(&before(1)))))]
    #[case::the_job_is_of_another_node(Scene::with(|one| {
        one.job["metadata"]["labels"]["upgrade.cattle.io/node"] = json!("n1");
    }))]
    #[case::the_job_is_of_another_version(Scene::with(|one| {
        one.job["metadata"]["labels"]["upgrade.cattle.io/version"] = json!("v1.36.2-k3s1");
    }))]
    #[case::the_job_is_of_another_plan(Scene::with(|one| {
        one.job["metadata"]["labels"]["upgrade.cattle.io/plan"] = json!("reboot");
    }))]
    #[case::the_job_is_older_than_the_merge(Scene::with(|one| {
        one.job["metadata"]["creationTimestamp"] = json!(before(41));
    }))]
    #[case::the_plan_cordons_nothing(Scene::with(|one| one.plan["spec"]["drain"] = Value::Null))]
    fn node_is_left_alone_where(#[case] scene: Scene) {
        assert_eq!(scene.found(), [""; 0]);
    }
}

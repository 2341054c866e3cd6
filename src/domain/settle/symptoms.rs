//! What is plainly wrong with what an update touches, as far as the judge itself needs it: Flux' own objects, workloads
//! and the pods behind them. The health checks look further.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Category, Finding, ROLLOUT, Severity, Subject, is_in_progress};
use super::health::{EVENTS, restarts};
use super::kind::Kind;
use super::memory::Baseline;
use super::object::{Container, ContainerState, Detail, Object, Pod};
use super::radius::{Radius, WORKLOADS, released_by};
use super::readiness::{bounded, rollout, speaks_of};
use super::rollout::nodes;
use super::world::{Sight, World};

/// Everything of it now.
pub(super) fn symptoms(world: &World) -> Vec<Finding> {
    let mut found = Vec::new();
    for kind in [Kind::Kustomization, Kind::HelmRelease] {
        for object in world.of(kind) {
            let failed =
                object.condition("Ready").filter(|ready| ready.is_false() && speaks_of(ready, object));
            // In progress, or of another object: nothing is wrong with this one.
            if let Some(ready) = failed.filter(|ready| !is_in_progress(&ready.reason)) {
                found.push(finding("flux_ready", Category::Flux, object, &ready.reason, &ready.message));
            }
        }
    }
    for kind in WORKLOADS {
        for object in world.of(kind) {
            if let Some(missing) = rollout(object) {
                found.push(finding(ROLLOUT, Category::Applications, object, "Unavailable", &missing));
            }
        }
    }
    for ((kind, namespace, name), reason) in broken(world, |_, _, _| true) {
        found.push(Finding {
            check: "pods_run".to_owned(),
            category: Category::Applications,
            subject: Subject { kind: kind.label(), namespace, name },
            message: format!("a pod: {reason}"),
            reason,
            severity: Severity::Failing,
        });
    }
    for object in world.of(Kind::Node).filter(|node| !node.is("Ready")) {
        found.push(finding("node_ready", Category::Infrastructure, object, "NotReady", "is not Ready"));
    }
    found
}

/// Most findings of a baseline, and most owners whose restarts it has.
const MOST_KEPT: usize = 2_000;

/// A baseline as far as the judge itself looks. It says what was wrong, not how it was told.
pub(super) fn baseline(world: &World, mut findings: Vec<Finding>) -> Baseline {
    // A warning before the merge excuses nothing after it, and its count changes with every look.
    findings.retain(|finding| finding.check != EVENTS);
    let failing: BTreeSet<Subject> = findings
        .iter()
        .filter(|known| known.severity >= Severity::Failing)
        .map(|known| known.subject.clone())
        .collect();
    findings.extend(symptoms(world).into_iter().map(|mut symptom| {
        // The checks have patience: a rollout that they do not mind is under way, and nobody knows its end.
        if symptom.check == ROLLOUT && !failing.contains(&symptom.subject) {
            symptom.severity = Severity::Notice;
        }
        symptom
    }));
    findings.sort_by(|a, b| (b.severity, a.key()).cmp(&(a.severity, b.key())));
    findings.dedup_by(|a, b| a.key() == b.key());
    for finding in &mut findings {
        finding.message.clear();
    }
    let unseen =
        Kind::JUDGED.iter().filter(|kind| !matches!(world.sees(**kind), Sight::Seen | Sight::Absent));
    let mut not_observed: BTreeSet<String> = unseen.map(|kind| kind.label()).collect();
    // What has no room is as if nobody had seen it.
    not_observed.extend(findings.drain(findings.len().min(MOST_KEPT)..).map(|finding| finding.subject.kind));
    let mut restarts: Vec<(String, i64)> = restarts(world).into_iter().collect();
    restarts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    restarts.truncate(MOST_KEPT);
    Baseline {
        taken_at: Some(world.wall()),
        findings,
        not_observed,
        cordoned: nodes(world)
            .filter(|(_, node)| node.unschedulable)
            .map(|(name, _)| name.to_owned())
            .collect(),
        kubelets: nodes(world).map(|(name, node)| (name.to_owned(), node.kubelet_version.clone())).collect(),
        restarts: restarts.into_iter().collect(),
    }
}

/// Containers that were started again since the baseline, often enough to be wrong.
pub(super) fn restarted(world: &World, baseline: &Baseline) -> Vec<Finding> {
    const OFTEN: i64 = 3;
    let now = restarts(world);
    let more = now.into_iter().map(|(owner, count)| {
        let before = baseline.restarts.get(&owner).copied().unwrap_or_default();
        (owner, count - before)
    });
    more.filter(|(_, more)| *more >= OFTEN)
        .filter_map(|(owner, more)| {
            let (kind, rest) = owner.split_once('/')?;
            let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
            Some(Finding {
                check: "pod_restarts".to_owned(),
                category: Category::Applications,
                subject: Subject {
                    kind: kind.to_owned(),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                },
                reason: "Restarts".to_owned(),
                severity: Severity::Failing,
                message: format!("{more} restarts more than before"),
            })
        })
        .collect()
}

/// Whether the containers of something that is touched cannot run: not merely slow, and not so before.
pub(super) fn evidence(world: &World, radius: &Radius, baseline: &Baseline) -> Option<(Subject, String)> {
    let touched = |kind: Kind, namespace: &str, name: &str| {
        let subject = Subject { kind: kind.label(), namespace: namespace.to_owned(), name: name.to_owned() };
        radius.has(world, &subject) && !baseline.tells_of(&subject)
    };
    // What nobody could see before proves nothing.
    if baseline.not_observed.contains(&Kind::Pod.label()) {
        return None;
    }
    let ((kind, namespace, name), reason) = broken(world, touched).into_iter().next()?;
    Some((Subject { kind: kind.label(), namespace, name }, reason))
}

/// Owners of pods that cannot run, with the reason.
fn broken(
    world: &World,
    counts: impl Fn(Kind, &str, &str) -> bool,
) -> BTreeMap<(Kind, String, String), String> {
    let mut found = BTreeMap::new();
    for object in world.of(Kind::Pod) {
        let Detail::Pod(pod) = &object.detail else { continue };
        if object.meta.deletion_timestamp.is_some() {
            continue;
        }
        let Some(reason) = cannot_run(pod) else { continue };
        let owner = top_owner(world, object);
        if counts(owner.0, &owner.1, &owner.2) {
            found.entry(owner).or_insert(reason);
        }
    }
    found
}

/// Why a pod's containers cannot run; `None` where they run, wait for their turn, or are done.
fn cannot_run(pod: &Pod) -> Option<String> {
    if pod.phase == "Succeeded" {
        return None;
    }
    pod.containers.iter().find_map(|container| {
        let Container { state, last, .. } = container;
        match (state, last) {
            (ContainerState::Waiting { reason }, _) if is_broken(reason) => Some(reason.clone()),
            (ContainerState::Terminated { reason, exit_code, .. }, _) if *exit_code != 0 => {
                Some(reason.clone())
            }
            _ => None,
        }
    })
}

/// A waiting reason that does not pass by waiting.
fn is_broken(reason: &str) -> bool {
    matches!(
        reason,
        "CrashLoopBackOff"
            | "ImagePullBackOff"
            | "ErrImagePull"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
    )
}

/// What stands above a pod: pods and ReplicaSets come and go.
pub(super) fn top_owner(world: &World, pod: &Object) -> (Kind, String, String) {
    let namespace = pod.meta.namespace.clone();
    let Some(owner) = pod.controller() else { return (Kind::Pod, namespace, pod.meta.name.clone()) };
    if owner.kind == Kind::ReplicaSet.name() {
        let above = world.get(Kind::ReplicaSet, &namespace, &owner.name).and_then(Object::controller);
        if let Some(above) = above {
            return (Kind::of_label(&above.kind).unwrap_or(Kind::Deployment), namespace, above.name.clone());
        }
        // ReplicaSets may not be watched: a Deployment names them after itself and the hash of the template.
        let hash = pod.meta.labels.get("pod-template-hash");
        let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
        if let Some(deployment) = deployment {
            return (Kind::Deployment, namespace, deployment.to_owned());
        }
    }
    (Kind::of_label(&owner.kind).unwrap_or(Kind::Pod), namespace, owner.name.clone())
}

/// Whether a finding is new: neither was it there before, nor was anything wrong with what it belongs to.
pub(super) fn is_new(world: &World, baseline: &Baseline, finding: &Finding) -> bool {
    if !baseline.is_new(finding) {
        return false;
    }
    let Some(kind) = Kind::of_label(&finding.subject.kind) else { return true };
    let object = world.get(kind, &finding.subject.namespace, &finding.subject.name);
    !object.and_then(released_by).is_some_and(|(namespace, name)| {
        baseline.had(&Subject { kind: Kind::HelmRelease.label(), namespace, name })
    })
}

fn finding(check: &str, category: Category, object: &Object, reason: &str, message: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        category,
        subject: Subject {
            kind: object.kind.label(),
            namespace: object.meta.namespace.clone(),
            name: object.meta.name.clone(),
        },
        reason: reason.to_owned(),
        severity: Severity::Failing,
        message: bounded(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settle::health::testing::world;
    use serde_json::json;

    #[test]
    fn baseline_of_a_cluster_in_which_everything_is_wrong_is_bounded_and_says_so() {
        let found = |number: usize| Finding {
            check: "job_succeeds".to_owned(),
            category: Category::Applications,
            subject: Subject {
                kind: "Job".to_owned(),
                namespace: "a".repeat(63),
                name: format!("{}-{number}", "n".repeat(60)),
            },
            reason: "BackoffLimitExceeded".to_owned(),
            severity: Severity::Failing,
            message: "x".repeat(300),
        };
        let pods: Vec<_> = (0..5_000)
            .map(|number| {
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p{number}"), "namespace": "a", "uid": "u"},
                    "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"phase": "Running", "containerStatuses": [{"name": "c", "ready": true, "restartCount": number % 7 + 1, "state": {"running": {}}}]}})
            })
            .collect();
        let world = world(&pods);
        let kept = baseline(&world, (0..2_000).map(found).collect());
        assert!(!kept.not_observed.contains("Job"), "all of it has room");
        let kept = baseline(&world, (0..9_000).map(found).collect());
        assert_eq!((kept.findings.len(), kept.restarts.len()), (MOST_KEPT, MOST_KEPT));
        assert!(kept.not_observed.contains("Job"), "what has no room is not known");
        assert!(kept.restarts.values().all(|count| *count >= 4), "the most restarts are kept");
        let size = serde_yaml::to_string(&kept).unwrap().len();
        assert!(size < 1 << 20, "{size}");
    }
}

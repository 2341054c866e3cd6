//! Workloads, their pods and Jobs.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::look::{Look, Wrong, said, subject, word};
use super::owner::{category_of, owner_of, title};
use crate::domain::settle::finding::{Category, Severity, Subject};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Condition, ContainerState, Detail, Object, Pod, Workload};

/// Label of the Deployment of the cluster's DNS.
const DNS: (&str, &str) = ("k8s-app", "kube-dns");

/// Reasons of waiting containers that do not go by themselves soon.
const STUCK: [&str; 9] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PostStartHookError",
];

pub(super) fn check(look: &mut Look<'_>, restarts: Option<&BTreeMap<String, i64>>) {
    // Pods first: they say why a workload has too few.
    let unready = pods(look, restarts);
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet] {
        for object in look.of(kind) {
            if let Detail::Workload(workload) = &object.detail {
                check_workload(look, object, workload, unready.get(&subject(object)).copied().flatten());
            }
        }
    }
    jobs(look);
}

/// Looks at every pod; returns since when the pods of each owner have not been ready, the longest.
fn pods(look: &mut Look<'_>, before: Option<&BTreeMap<String, i64>>) -> BTreeMap<Subject, Option<Timestamp>> {
    let mut unready: BTreeMap<Subject, Option<Timestamp>> = BTreeMap::new();
    let mut restarted: BTreeMap<Subject, Restarted<'_>> = BTreeMap::new();
    for object in look.of(Kind::Pod) {
        let Detail::Pod(pod) = &object.detail else { continue };
        // What has ended is told of its Job; what was evicted is replaced by its owner.
        if matches!(pod.phase.as_str(), "Succeeded" | "Failed") {
            continue;
        }
        let count: i64 = pod.containers.iter().map(|container| container.restarts).sum();
        let ready = object.condition("Ready");
        if ready.is_some_and(Condition::is_true) && count == 0 {
            continue;
        }
        let owner = owner_of(look.world, object);
        if count > 0 {
            restarted.entry(owner.clone()).or_default().add(object, pod, count);
        }
        if ready.is_none_or(|ready| !ready.is_true()) {
            let since = ready.and_then(|ready| ready.last_transition_time).or(object.meta.creation_timestamp);
            let oldest = unready.entry(owner.clone()).or_insert(since);
            *oldest = (*oldest).min(since);
            stuck(look, object, pod, &owner);
        }
    }
    for (owner, pods) in restarted {
        let more = before.map(|before| pods.count - before.get(&title(&owner)).copied().unwrap_or_default());
        if let Some(more) = more.filter(|more| *more >= look.settings.restarts)
            && !look.has(&owner)
        {
            let message = format!("{more} restarts more than before; last {}", pods.last());
            look.wrong(
                owner,
                Wrong {
                    check: "pod_restarts",
                    category: pods.category,
                    severity: Severity::Failing,
                    reason: pods.reason,
                    message,
                },
            );
        }
    }
    unready
}

struct Restarted<'w> {
    count: i64,
    reason: &'w str,
    container: &'w str,
    at: Option<Timestamp>,
    category: Category,
}

impl Default for Restarted<'_> {
    fn default() -> Self {
        Self { count: 0, reason: "Restarts", container: "", at: None, category: Category::Applications }
    }
}

impl<'w> Restarted<'w> {
    fn add(&mut self, object: &'w Object, pod: &'w Pod, count: i64) {
        self.count += count;
        self.category = category_of(object);
        for container in &pod.containers {
            if let ContainerState::Terminated { reason, at, .. } = &container.last
                && *at >= self.at
                && !reason.is_empty()
            {
                (self.reason, self.container, self.at) = (reason, &container.name, *at);
            }
        }
    }

    fn last(&self) -> String {
        said(self.container, self.reason)
    }
}

/// A pod that does not become ready by itself.
fn stuck(look: &mut Look<'_>, object: &Object, pod: &Pod, owner: &Subject) {
    let Some((reason, message)) = why_stuck(look, object, pod) else { return };
    look.wrong(
        owner.clone(),
        Wrong {
            check: "pod_runs",
            category: category_of(object),
            severity: Severity::Failing,
            reason,
            message,
        },
    );
}

fn why_stuck<'o>(look: &Look<'_>, object: &'o Object, pod: &'o Pod) -> Option<(&'o str, String)> {
    let began = object.condition("PodScheduled").and_then(|condition| condition.last_transition_time);
    let began = began.or(object.meta.creation_timestamp);
    for container in &pod.containers {
        let ContainerState::Waiting { reason } = &container.state else { continue };
        if !STUCK.contains(&reason.as_str()) {
            continue;
        }
        // Restarts take the time anew each time; their number tells as much.
        let often = reason == "CrashLoopBackOff" && container.restarts >= look.settings.restarts;
        if !often && !look.past(began, look.settings.pod) {
            continue;
        }
        let mut message = format!("container {}", container.name);
        if container.restarts > 0 {
            message.push_str(&format!(", {} restarts", container.restarts));
        }
        if let ContainerState::Terminated { reason, exit_code, .. } = &container.last {
            message.push_str(&format!(", last {reason} with {exit_code}"));
        } else if matches!(reason.as_str(), "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName") {
            message.push_str(&format!(": {}", container.image));
        }
        return Some((reason, message));
    }
    let condition = object.condition("PodScheduled").filter(|condition| condition.is_false())?;
    let since = condition.last_transition_time.or(object.meta.creation_timestamp);
    look.past(since, look.settings.pod)
        .then(|| (word(condition), said("no node takes it", &condition.message)))
}

fn check_workload(look: &mut Look<'_>, object: &Object, workload: &Workload, unready: Option<Timestamp>) {
    let told = look.has(&subject(object));
    let dns = object.meta.labels.get(DNS.0).is_some_and(|value| value == DNS.1);
    let severity = if dns && workload.available == 0 && workload.desired > 0 {
        Severity::Critical
    } else {
        Severity::Failing
    };
    let counts = format!("{} of {} available", workload.available, workload.desired);
    let mut tell = |reason: &str, message: String| {
        look.wrong(
            subject(object),
            Wrong { check: "workload_available", category: category_of(object), severity, reason, message },
        );
    };
    if let Some(condition) = object.condition("ReplicaFailure").filter(|condition| condition.is_true()) {
        return tell(word(condition), said(&counts, &condition.message));
    }
    let late = |c: &&Condition| c.is_false() && c.reason == "ProgressDeadlineExceeded";
    if let Some(condition) = object.condition("Progressing").filter(late) {
        return tell(word(condition), said(&counts, &condition.message));
    }
    if workload.available >= workload.desired && workload.ready >= workload.desired {
        return;
    }
    // Its pods have said why, and longer than this is known of none of them.
    if told && severity < Severity::Critical {
        return;
    }
    let since = object
        .condition("Available")
        .filter(|condition| condition.is_false())
        .and_then(|condition| condition.last_transition_time)
        .or(unready);
    let since = since.or_else(|| rolls(object, workload).then_some(object.meta.creation_timestamp).flatten());
    if look.past(since, look.settings.workload) {
        let message = format!("{counts}{}", look.ago(since));
        look.wrong(
            subject(object),
            Wrong {
                check: "workload_available",
                category: category_of(object),
                severity,
                reason: "Unavailable",
                message,
            },
        );
    }
}

/// Whether it is just being made.
fn rolls(object: &Object, workload: &Workload) -> bool {
    workload.replicas == 0 || object.observed_generation.is_none()
}

/// Jobs that failed; of those of a CronJob only the newest counts.
fn jobs(look: &mut Look<'_>) {
    let mut newest: BTreeMap<Subject, (&Object, Option<&Condition>)> = BTreeMap::new();
    for object in look.of(Kind::Job) {
        let ended = object
            .conditions
            .iter()
            .find(|c| matches!(c.type_.as_str(), "Failed" | "Complete") && c.is_true());
        let owner = owner_of(look.world, object);
        let later = newest
            .get(&owner)
            .is_none_or(|(known, _)| known.meta.creation_timestamp <= object.meta.creation_timestamp);
        if later {
            newest.insert(owner, (object, ended));
        }
    }
    for (owner, (object, ended)) in newest {
        let Some(condition) = ended.filter(|condition| condition.type_ == "Failed") else { continue };
        let name = if owner.name == object.meta.name { String::new() } else { object.meta.name.clone() };
        let age = look.ago(condition.last_transition_time);
        let message = said(format!("{name} failed{age}").trim(), &condition.message);
        look.wrong(
            owner,
            Wrong {
                check: "job_succeeds",
                category: category_of(object),
                severity: Severity::Failing,
                reason: word(condition),
                message,
            },
        );
    }
}

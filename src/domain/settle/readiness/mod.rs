//! Whether objects are where a commit wants them: what their status says, and of what it says it.
//!
//! A condition alone proves nothing: it may speak of an older generation or revision. What names the revision (or the
//! chart's version in the history of a release) must agree with it.

mod instance;
mod kustomization;
mod release;
mod source;
mod time;

use std::time::Duration;

pub(super) use self::instance::{asks_for, instance};
pub(super) use self::kustomization::{built, get_kustomization, is_ahead, kustomization};
pub(super) use self::release::{made, release};
pub(super) use self::source::source;
use super::commits::commit_of;
use super::kind::Kind;
use super::object::{Condition, Detail, Object, title};
use super::redact::redacted;
use super::verdict::Reason;
use super::world::{Sight, World};

/// How an object stands to what is wanted of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// It is there, and good when it was looked at last.
    Applied,
    /// On its way, or nothing can be said.
    Pending(Reason),
    /// Nothing is done with it.
    Suspended(Reason),
    /// It failed.
    Failing(Failure),
    /// It cannot be looked at.
    Unseen(Reason),
}

/// A failure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// What failed.
    pub reason: Reason,
    /// What the controller does about it.
    pub then: Then,
    /// Commit that it failed at, where it has one.
    pub at: Option<String>,
}

/// What the controller does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It has given up.
    GivesUp,
    /// It tries again, a limited number of times.
    TriesAgain,
    /// It tries no more, and puts things in order before it says so; `within` is how long that may take.
    Ends {
        /// Time that it may take.
        within: Duration,
    },
    /// It tries again for ever; `within` is how long one try may take.
    ForEver {
        /// Time that one try may take.
        within: Duration,
        /// It waited for the health of what it applied: what it waited for can say more.
        health: bool,
    },
}

pub(super) fn reason(code: &str, object: Option<String>, text: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), object, text: text.into() }
}

/// Whether a workload has rolled out its newest template.
pub(super) fn workload(world: &World, kind: Kind, (namespace, name): (&str, &str)) -> State {
    if let Some(unseen) = unseen(world, kind) {
        return State::Unseen(unseen);
    }
    let name_of = title(kind, namespace, name);
    let Some(object) = world.get(kind, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    match rollout(object) {
        None => State::Applied,
        Some(text) => State::Pending(reason("rolling_out", Some(name_of), text)),
    }
}

/// What is missing until a workload has rolled out its newest template.
pub(super) fn rollout(object: &Object) -> Option<String> {
    let Detail::Workload(detail) = &object.detail else { return Some("cannot be read".to_owned()) };
    if object.observed_generation != object.meta.generation {
        return Some("its newest template is not seen yet".to_owned());
    }
    if detail.paused {
        return Some("its rollout is paused".to_owned());
    }
    // Nothing is rolled out by itself then.
    let moves = detail.desired.saturating_sub(detail.partition.max(0));
    if detail.strategy != "OnDelete" && detail.updated < moves {
        return Some(format!("{} of {moves} pods are of the newest template", detail.updated));
    }
    (detail.available < detail.desired)
        .then(|| format!("{} of {} pods are available", detail.available, detail.desired))
}

/// Why objects of a kind cannot be looked at, where they cannot.
pub(super) fn unseen(world: &World, kind: Kind) -> Option<Reason> {
    match world.sees(kind) {
        Sight::Seen => None,
        Sight::Lost { since } => {
            let since = world.wall_at(since).strftime("%Y-%m-%d %H:%M:%S UTC");
            Some(reason("out_of_sight", Some(kind.label()), format!("not seen since {since}")))
        }
        Sight::Unseen { reason: why } => Some(reason("not_observed", Some(kind.label()), bounded(why))),
        Sight::Absent => {
            Some(reason("not_observed", Some(kind.label()), "the cluster does not have the kind"))
        }
        Sight::NotWatched => Some(reason("not_observed", Some(kind.label()), "is not watched")),
    }
}

/// Whether a revision has a commit; `None` where the way between is not known.
pub(super) fn contains(world: &World, revision: &str, commit: &str) -> Option<bool> {
    world.commits().contains(commit_of(revision)?, commit)
}

/// Whether a condition speaks of the object as it is. The condition's own generation tells; the status' own may follow
/// later, or earlier than anything is done.
pub(super) fn speaks_of(condition: &Condition, object: &Object) -> bool {
    condition.observed_generation.or(object.observed_generation) == object.meta.generation
}

/// `HealthCheckFailed` as `health_check_failed`.
fn snake(word: &str) -> String {
    let mut text = String::new();
    for letter in word.chars().take(64) {
        if letter.is_ascii_uppercase() && !text.is_empty() && !text.ends_with('_') {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// A message of the cluster, cut to what a report can show, without what is likely to be a secret.
pub(super) fn bounded(message: &str) -> String {
    const LONGEST: usize = 300;
    /// Of it, what is kept of the end: there Kubernetes says what is wrong with a value that it quotes whole.
    const END: usize = 90;
    const READ: usize = 20_000;
    let message: String = message.chars().take(READ).collect();
    let message = redacted(&message);
    let line: Vec<char> =
        message.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.len() <= LONGEST {
        return line.into_iter().collect();
    }
    let (head, tail) = (&line[..LONGEST - END], &line[line.len() - END..]);
    let text = |part: &[char]| part.iter().collect::<String>().trim().to_owned();
    format!("{} … {}", text(head), text(tail))
}

fn short(revision: &str) -> &str {
    commit_of(revision).and_then(|commit| commit.get(..12)).unwrap_or(revision)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn codes_are_the_cluster_s_words_in_small_letters() {
        assert_eq!(snake("HealthCheckFailed"), "health_check_failed");
        assert_eq!(snake("OCIArtifactPullFailed"), "o_c_i_artifact_pull_failed");
    }

    /// What `kubectl rollout status` waits for.
    #[rstest]
    #[case::rolled_out("Deployment", json!({}), json!({"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 3}), None)]
    #[case::not_seen("Deployment", json!({}), json!({"observedGeneration": 1, "updatedReplicas": 3, "availableReplicas": 3}),
        Some("its newest template is not seen yet"))]
    #[case::paused("Deployment", json!({"paused": true}), json!({"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 3}),
        Some("its rollout is paused"))]
    #[case::rolling("StatefulSet", json!({}), json!({"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 3}),
        Some("1 of 3 pods are of the newest template"))]
    #[case::held_back("StatefulSet", json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}),
        json!({"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 3}), None)]
    #[case::by_hand("DaemonSet", json!({"updateStrategy": {"type": "OnDelete"}}),
        json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "numberAvailable": 3}), None)]
    #[case::not_available("DaemonSet", json!({}),
        json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2}),
        Some("2 of 3 pods are available"))]
    fn a_rollout_lacks(
        #[case] kind: &str,
        #[case] more: Value,
        #[case] status: Value,
        #[case] expected: Option<&str>,
    ) {
        let mut spec = json!({"replicas": 3});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({"apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": "web", "namespace": "apps", "generation": 2}, "spec": spec, "status": status});
        let kind = Kind::of("apps/v1", kind).unwrap();
        let object = Object::from_slice(kind, object.to_string().as_bytes()).unwrap();
        assert_eq!(rollout(&object).as_deref(), expected);
    }

    #[test]
    fn messages_are_cut() {
        assert_eq!(bounded("a\nb"), "a b");
        assert_eq!(bounded(&"x".repeat(1000)).chars().count(), 303);
        let long = format!(
            "Job.batch \"x\" is invalid: spec.template: Invalid value: {{{}}}: field is immutable",
            "a: 1, ".repeat(900)
        );
        assert!(bounded(&long).ends_with("field is immutable"), "{}", bounded(&long));
    }
}

//! Flux objects: sources, Kustomizations, HelmReleases, and what the Flux Operator has.

use std::time::Duration;

use jiff::Timestamp;

use super::look::{Look, Wrong, said, subject, word};
use super::observed::kinds;
use crate::domain::settle::finding::{Category, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Condition, Detail, Event, Object};

pub(super) fn check(look: &mut Look<'_>) {
    for kind in kinds(Category::Flux) {
        for object in look.of(*kind) {
            if suspended(object) {
                look.wrong(
                    subject(object),
                    Wrong {
                        check: "flux_suspended",
                        category: Category::Flux,
                        severity: Severity::Notice,
                        reason: "Suspended",
                        message: "suspended: what Git says is not applied".to_owned(),
                    },
                );
            } else {
                ready(look, object);
            }
        }
    }
}

pub(super) fn suspended(object: &Object) -> bool {
    match &object.detail {
        Detail::Source(source) => source.suspend,
        Detail::Kustomization(kustomization) => kustomization.suspend,
        Detail::HelmRelease(release) => release.suspend,
        _ => false,
    }
}

fn ready(look: &mut Look<'_>, object: &Object) {
    // An OCI HelmRepository is only an address and has no status.
    if matches!(&object.detail, Detail::Source(source) if source.type_ == "oci") {
        return;
    }
    if let Some(stalled) = object.condition("Stalled").filter(|condition| condition.is_true()) {
        let told = object.condition("Ready").filter(|ready| ready.is_false()).unwrap_or(stalled);
        let words = said(&format!("stalled{}", look.ago(stalled.last_transition_time)), &told.message);
        return wrong(look, object, word(stalled), words, Severity::Failing);
    }
    let Some(condition) = object.condition("Ready") else {
        // Nobody has taken it up.
        if look.past(object.meta.creation_timestamp, look.settings.flux)
            && object.meta.creation_timestamp.is_some()
        {
            let age = look.ago(object.meta.creation_timestamp);
            wrong(
                look,
                object,
                "NotReconciled",
                format!("no controller has taken it up{age}"),
                Severity::Failing,
            );
        }
        return;
    };
    if condition.is_true() {
        // Good of what was there before: what is asked for now nobody has looked at.
        if condition.observed_generation.or(object.observed_generation) != object.meta.generation
            && object.meta.generation.is_some()
            && (condition.observed_generation.is_some() || object.observed_generation.is_some())
        {
            let text = "Ready as it was before: its controller has not looked at what it asks for now";
            wrong(look, object, "NotReconciled", text.to_owned(), Severity::Notice);
        }
        return;
    }
    let since = since(look, object, condition);
    if !look.past(since, look.settings.flux) {
        return;
    }
    // What waits for something else is told with it; the other one counts.
    let severity =
        if condition.reason == "DependencyNotReady" { Severity::Notice } else { Severity::Failing };
    let words = said(&format!("not Ready{}", look.ago(since)), &condition.message);
    wrong(look, object, word(condition), words, severity);
}

/// Conditions that a failure sets, and only a success takes away or turns (source-controller and helm-controller API).
const LASTING: [(&str, bool); 5] = [
    ("FetchFailed", true),
    ("StorageOperationFailed", true),
    ("BuildFailed", true),
    ("Released", false),
    ("Remediated", false),
];

/// Since when it is not as it should be. Each try begins the condition anew (Flux pkg/runtime, `conditions.Set`), so that
/// its own time is always of a moment ago where tries come often: what else tells of the time counts as well.
fn since(look: &Look<'_>, object: &Object, ready: &Condition) -> Option<Timestamp> {
    let own = ready.last_transition_time?;
    if !ready.is_false() {
        return Some(own);
    }
    let lasting = LASTING.iter().filter_map(|(type_, failed)| {
        let condition = object.condition(type_)?;
        let is_failed = if *failed { condition.is_true() } else { condition.is_false() };
        condition.last_transition_time.filter(|_| is_failed)
    });
    lasting.chain(warned(look, object, &ready.reason)).chain(offered(look, object)).chain([own]).min()
}

/// Since when there are warnings of the same reason, the last of them not long ago.
fn warned(look: &Look<'_>, object: &Object, reason: &str) -> Option<Timestamp> {
    let of_it = |event: &&Event| {
        event.warning
            && event.reason == reason
            && event.about_kind == object.kind.name()
            && event.about_name == object.meta.name
            && event.last.is_some_and(|last| !look.past(Some(last), look.settings.flux))
            && comes_often(event, look.settings.flux)
    };
    look.of(Kind::Event)
        .filter(|event| event.meta.namespace == object.meta.namespace)
        .filter_map(|event| match &event.detail {
            Detail::Event(event) => Some(event.as_ref()),
            _ => None,
        })
        .filter(of_it)
        .filter_map(|event| event.first)
        .min()
}

/// Whether an event is told again sooner than patience ends: else it was good in between, for all that is known.
fn comes_often(event: &Event, patience: Duration) -> bool {
    let (Some(first), Some(last)) = (event.first, event.last) else { return false };
    let gaps = u32::try_from(event.count.saturating_sub(1)).unwrap_or(u32::MAX).max(1);
    let lasts = Duration::try_from(last.duration_since(first)).unwrap_or_default();
    lasts / gaps <= patience
}

/// Since when there is what a Kustomization has tried and not applied: the artifact of its source.
fn offered(look: &Look<'_>, object: &Object) -> Option<Timestamp> {
    let Detail::Kustomization(kustomization) = &object.detail else { return None };
    if kustomization.last_attempted.is_empty() || kustomization.last_attempted == kustomization.last_applied {
        return None;
    }
    let reference = &kustomization.source_ref;
    let kind = kinds(Category::Flux).iter().copied().find(|kind| kind.name() == reference.kind)?;
    let namespace = match reference.namespace.as_str() {
        "" => &object.meta.namespace,
        other => other,
    };
    match &look.world.get(kind, namespace, &reference.name)?.detail {
        Detail::Source(source) => {
            let artifact = source.artifact.as_ref()?;
            artifact.last_update_time.filter(|_| artifact.revision == kustomization.last_attempted)
        }
        _ => None,
    }
}

fn wrong(look: &mut Look<'_>, object: &Object, reason: &str, message: String, severity: Severity) {
    look.wrong(
        subject(object),
        Wrong { check: "flux_ready", category: Category::Flux, severity, reason, message },
    );
}

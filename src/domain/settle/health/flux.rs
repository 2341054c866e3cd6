//! Flux objects: sources, Kustomizations, HelmReleases, and what the Flux Operator has.

use super::look::{Look, Wrong, said, subject, word};
use super::observed::kinds;
use crate::domain::settle::finding::{Category, Severity};
use crate::domain::settle::object::{Condition, Detail, Object};

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
    if condition.is_true() || !look.past(condition.last_transition_time, look.settings.flux) {
        return;
    }
    // What waits for something else is told with it; the other one counts.
    let severity =
        if condition.reason == "DependencyNotReady" { Severity::Notice } else { Severity::Failing };
    let words = not_ready(look, condition);
    wrong(look, object, word(condition), words, severity);
}

fn not_ready(look: &Look<'_>, condition: &Condition) -> String {
    said(&format!("not Ready{}", look.ago(condition.last_transition_time)), &condition.message)
}

fn wrong(look: &mut Look<'_>, object: &Object, reason: &str, message: String, severity: Severity) {
    look.wrong(
        subject(object),
        Wrong { check: "flux_ready", category: Category::Flux, severity, reason, message },
    );
}

//! What is tried in the cluster, once, before an update is taken back, where the user chose it.
//!
//! Only what is known to be safe, and only on objects that the judge named: Flux is asked to reconcile again, and a
//! HelmRelease whose retries ran out is let try again. It is recorded first, so that it happens once whoever is killed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use super::Course;
use super::act::Decision;
use crate::app::cluster::{Cluster, Resource};
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::app::pass::Error;
use crate::config;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::record::Recovery;
use crate::domain::state::State;
use crate::state::Transition;

/// Annotation by which Flux is asked to reconcile (fluxcd/pkg `apis/meta/annotations.go`).
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// Annotation by which a HelmRelease forgets its failures; it must equal the other (helm-controller `helmreleases.md`).
const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";
/// Most objects that are asked.
const MOST: usize = 10;

/// An object to ask.
struct Asked {
    kind: Kind,
    namespace: String,
    name: String,
    reset: bool,
}

impl<F: Forge, C: Cluster> Course<'_, '_, F, C> {
    /// Tries what was chosen, if that was not done yet; `true` = something was asked of the cluster now.
    pub(super) fn recover(&mut self, decision: &Decision, kind: &str, now: Timestamp) -> Result<bool, Error> {
        let Some(cluster) = self.settle.cluster else { return Ok(false) };
        let Some(update) = self.run.world.state.updates.get(&decision.update).cloned() else {
            return Ok(false);
        };
        if update.settling.recovery.is_some() {
            return Ok(false);
        }
        let validation = &self.run.pass.config.validation;
        let chosen = validation.for_component(&update.component, kind).recovery.value;
        let asked = wanted(decision, &chosen);
        if asked.is_empty() || self.run.is_stopped()? {
            return Ok(false);
        }
        let done: Vec<String> = asked.iter().map(Asked::words).collect();
        let id = decision.update.clone();
        let what = format!("Try to recover {} {}", update.component, update.to);
        self.run.record(what.clone(), |state: &mut State| {
            let update = state.updates.get_mut(&id).filter(|update| update.settling.recovery.is_none())?;
            update.settling.recovery = Some(Recovery { at: now, done: done.clone() });
            Some(
                Transition::new(&what)
                    .because(done.join(", "))
                    .trailer("Update", &id)
                    .trailer("Policy-Applied", "validation.recovery"),
            )
        })?;
        for one in asked {
            let patch = one.patch(now);
            let (resource, namespace, name) =
                (Resource::of(one.kind), one.namespace.clone(), one.name.clone());
            self.run.effect(Effect::Ask { what: one.words() }, |run| {
                let done = cluster.patch(&resource, Some(&namespace), &name, &patch);
                if let Err(error) = run.pass.wait(done) {
                    // What cannot be asked does not recover; the judge sees that.
                    tracing::warn!(error = %error, hint = error.hint, "not recovered");
                }
                Ok(())
            })?;
        }
        Ok(true)
    }
}

impl Asked {
    fn words(&self) -> String {
        let verb = if self.reset { "reset" } else { "reconcile" };
        format!("{verb} {}/{}/{}", self.kind.name(), self.namespace, self.name)
    }

    fn patch(&self, now: Timestamp) -> serde_json::Value {
        let token = now.to_string();
        match self.reset {
            true => json!({"metadata": {"annotations": {REQUESTED_AT: token, RESET_AT: token}}}),
            false => json!({"metadata": {"annotations": {REQUESTED_AT: token}}}),
        }
    }
}

/// What is asked, of the objects that the judge named.
fn wanted(decision: &Decision, chosen: &BTreeSet<config::Recovery>) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    for object in decision.reasons.iter().filter_map(|reason| reason.object.as_deref()) {
        let [kind, namespace, name] = object.split('/').collect::<Vec<_>>()[..] else { continue };
        let kind = match kind {
            "HelmRelease" => Kind::HelmRelease,
            "Kustomization" => Kind::Kustomization,
            _ => continue,
        };
        let reset = kind == Kind::HelmRelease && chosen.contains(&config::Recovery::ResetRelease);
        let is_new =
            !asked.iter().any(|one| one.kind == kind && one.namespace == namespace && one.name == name);
        if is_new && (reset || chosen.contains(&config::Recovery::Reconcile)) {
            asked.push(Asked { kind, namespace: namespace.to_owned(), name: name.to_owned(), reset });
        }
    }
    asked.truncate(MOST);
    asked
}

//! What is tried in the cluster, once, before an update is reverted, where the user chose it; and nodes that an
//! upgrade left cordoned.
//!
//! Only what is known to be safe, and only on objects that the judge named: Flux is asked to reconcile again, a
//! HelmRelease whose retries ran out is let try again, a node that is back gets pods again. It is recorded first, so that
//! it happens once whoever is killed; of two passes the one whose record is taken does it.

use std::cell::Cell;
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::act::Decision;
use super::watching::Watching;
use crate::app::cluster::Cluster;
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay};
use crate::app::remedy::{self, Nudge};
use crate::config;
use crate::domain::settle::cordon::LeftCordoned;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::record::{Recovery, Uncordoned};
use crate::domain::state::{State, Update};
use crate::state::Transition;

/// Most objects that are asked.
const MOST: usize = 10;

/// An object to ask.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    kind: Kind,
    namespace: String,
    name: String,
    what: Nudge,
}

impl<F: Forge, C: Cluster> Watching<'_, '_, F, C> {
    /// Tries what was chosen, if that was not done yet.
    pub(super) fn recover(&mut self, decision: &Decision, kind: &str, now: Timestamp) -> Result<(), Error> {
        let Some(cluster) = self.settle.cluster else { return Ok(()) };
        let Some(update) = self.run.world.state.updates.get(&decision.update).cloned() else {
            return Ok(());
        };
        if update.settling.recovery.is_some() {
            return Ok(());
        }
        let validation = &self.run.pass.config.validation;
        let chosen = validation.for_component(&update.component, kind).recovery.value;
        let asked = wanted(decision, &chosen);
        if asked.is_empty() || self.run.is_stopped()? {
            return Ok(());
        }
        let done: Vec<String> = asked.iter().map(Asked::words).collect();
        let what = format!("Try to recover {} {}", update.component, update.to);
        let is_ours = self.run.claim(&update, &what, &done.join(", "), |update| {
            if update.settling.recovery.is_some() {
                return false;
            }
            update.settling.recovery = Some(Recovery { at: now, done: done.clone(), refused: Vec::new() });
            true
        })?;
        if !is_ours {
            return Ok(());
        }
        let mut refused: Vec<String> = Vec::new();
        for one in asked {
            let outcome = self.run.effect(Effect::Ask { what: one.words() }, |run| {
                let done = remedy::nudge(cluster, one.kind, &one.namespace, &one.name, one.what, now);
                Ok(run.pass.wait(done))
            })?;
            if let Some(Err(error)) = outcome {
                tracing::warn!(error = %error, hint = error.hint, "not recovered");
                refused.push(format!("{}: {}", one.words(), error.reason));
            }
        }
        self.note_refused(&update, &what, &refused)
    }

    /// Notes what the cluster did not take: nobody waits for that to help.
    fn note_refused(&mut self, update: &Update, what: &str, refused: &[String]) -> Result<(), Error> {
        if refused.is_empty() {
            return Ok(());
        }
        let told = |_: &Update| Transition::new(format!("{what}: refused")).because(refused.join("; "));
        self.run.record_update_as(&update.update_id, told, |update| {
            if let Some(recovery) = &mut update.settling.recovery {
                recovery
                    .done
                    .retain(|done| !refused.iter().any(|refused| refused.starts_with(done.as_str())));
                recovery.refused = refused.to_vec();
            }
        })
    }

    /// Lets pods onto nodes again that the upgrade's own Jobs left cordoned, where that was chosen.
    pub(super) fn uncordon(
        &mut self,
        id: &str,
        left: Vec<LeftCordoned>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(cluster) = self.settle.cluster else { return Ok(()) };
        for left in left {
            let Some(update) = self.run.world.state.updates.get(id).cloned() else { return Ok(()) };
            if update.settling.uncordoned.contains_key(&left.node) {
                continue;
            }
            if self.run.is_stopped()? {
                return Ok(());
            }
            let what = format!("Uncordon node {}", left.node);
            let why = format!("Job {} left it cordoned, and it is back on {}", left.job, update.to);
            let is_ours = self.run.claim(&update, &what, &why, |update| {
                let noted = Uncordoned { at: now, job: left.job.clone(), refused: None };
                if update.settling.uncordoned.contains_key(&left.node) {
                    return false;
                }
                update.settling.uncordoned.insert(left.node.clone(), noted);
                true
            })?;
            if !is_ours {
                continue;
            }
            let outcome = self.run.effect(Effect::Ask { what: what.clone() }, |run| {
                Ok(run.pass.wait(remedy::uncordon(cluster, &left)))
            })?;
            let refused = match outcome {
                None | Some(Ok(true)) => continue,
                Some(Ok(false)) => "somebody changed it meanwhile".to_owned(),
                Some(Err(error)) => {
                    tracing::warn!(error = %error, hint = error.hint, "not uncordoned");
                    error.reason
                }
            };
            let told = |_: &Update| Transition::new(format!("{what}: not done")).because(refused.clone());
            self.run.record_update_as(id, told, |update| {
                if let Some(noted) = update.settling.uncordoned.get_mut(&left.node) {
                    noted.refused = Some(refused.clone());
                }
            })?;
        }
        Ok(())
    }
}

impl<F: Forge> UnderWay<'_, F> {
    /// Records what is to be done once; `true` where this pass is to do it, `false` where another one is.
    fn claim(
        &mut self,
        update: &Update,
        what: &str,
        why: &str,
        change: impl Fn(&mut Update) -> bool,
    ) -> Result<bool, Error> {
        let id = &update.update_id;
        let is_ours = Cell::new(false);
        self.record(what.to_owned(), |state: &mut State| {
            is_ours.set(false);
            let update = state.updates.get_mut(id)?;
            is_ours.set(change(update));
            is_ours.get().then(|| {
                Transition::new(what)
                    .because(why)
                    .trailer("Update", id)
                    .trailer("Policy-Applied", "validation.recovery")
            })
        })?;
        Ok(is_ours.get())
    }
}

impl Asked {
    fn words(&self) -> String {
        let verb = match self.what {
            Nudge::Reconcile => "reconcile",
            Nudge::Reset => "reset",
        };
        format!("{verb} {}/{}/{}", self.kind.name(), self.namespace, self.name)
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
        let what = if kind == Kind::HelmRelease && chosen.contains(&config::Recovery::ResetRelease) {
            Nudge::Reset
        } else if chosen.contains(&config::Recovery::Reconcile) {
            Nudge::Reconcile
        } else {
            continue;
        };
        let one = Asked { kind, namespace: namespace.to_owned(), name: name.to_owned(), what };
        if !asked.contains(&one) {
            asked.push(one);
        }
    }
    asked.truncate(MOST);
    asked
}

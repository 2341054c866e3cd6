//! What is tried in the cluster, once, before an update is reverted, where the user chose it; and nodes that an
//! upgrade left cordoned.
//!
//! Only what is known to be safe, and only on objects that the judge named: Flux is asked to reconcile again, a
//! HelmRelease whose retries ran out is let try again, a node that is back gets pods again. It is recorded first, then
//! asked, then recorded as asked. Whoever finds it recorded and not asked asks: the request carries the time of the record
//! (a node is compared with its taint's), so that it is the same request however often it is made, and nothing counts as
//! tried before it was asked.

use std::cell::Cell;
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::act::Decision;
use super::look::Look;
use super::watching::Watching;
use crate::app::cluster::{Cluster, ErrorClass};
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay};
use crate::app::remedy::{self, Nudge, REQUESTED_AT};
use crate::config;
use crate::domain::settle::cordon::{LeftCordoned, cordoned_since};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Detail, Object};
use crate::domain::settle::record::{Recovery, Uncordoned};
use crate::domain::settle::recovery::retries_ran_out;
use crate::domain::settle::world::{Sight, World};
use crate::domain::state::{State, Update};
use crate::state::Transition;

/// Most objects that are asked.
const MOST: usize = 10;
/// Why a node is left as it is.
const CHANGED: &str = "somebody changed it meanwhile";

/// An object to ask.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    kind: Kind,
    namespace: String,
    name: String,
    what: Nudge,
}

impl<F: Forge, C: Cluster> Watching<'_, '_, F, C> {
    /// Tries what was chosen, and what is on record and was not asked yet.
    pub(super) fn recover(&mut self, decision: &Decision, kind: &str, look: &Look<'_>) -> Result<(), Error> {
        let Some(cluster) = self.settle.cluster else { return Ok(()) };
        let Some(update) = self.run.world.state.updates.get(&decision.update).cloned() else {
            return Ok(());
        };
        let validation = &self.run.pass.config.validation;
        let chosen = validation.for_component(&update.component, kind).recovery.value;
        let what = format!("Try to recover {} {}", update.component, update.to);
        if update.settling.recovery.is_none() {
            let asked = wanted(decision, look.judge().world(), &chosen);
            if asked.is_empty() || self.run.is_stopped()? {
                return Ok(());
            }
            let done: Vec<String> = asked.iter().map(Asked::words).collect();
            self.run.claim(&update, &what, &done.join(", "), |update| {
                if update.settling.recovery.is_some() {
                    return false;
                }
                let (done, refused) = (done.clone(), Vec::new());
                update.settling.recovery = Some(Recovery { at: decision.at, done, asked_at: None, refused });
                true
            })?;
        }
        let update = self.run.world.state.updates.get(&decision.update).cloned();
        let Some(update) = update else { return Ok(()) };
        let Some(recovery) = &update.settling.recovery else { return Ok(()) };
        if recovery.asked_at.is_some() {
            return Ok(());
        }
        let mut refused = Vec::new();
        for words in &recovery.done {
            let one = Asked::of(words);
            let Some(one) = one.filter(|one| one.is_chosen(&chosen)) else {
                refused.push(format!("{words}: it is not chosen any more"));
                continue;
            };
            let object = look.judge().world().get(one.kind, &one.namespace, &one.name);
            if object.is_some_and(|object| is_asked(object, recovery.at)) {
                continue;
            }
            if self.run.is_stopped()? {
                return Ok(());
            }
            let outcome = self.run.effect(Effect::Ask { what: words.clone() }, |run| {
                let (namespace, name) = (&one.namespace, &one.name);
                let done = remedy::nudge(cluster, one.kind, namespace, name, one.what, recovery.at);
                Ok(run.pass.wait(done))
            })?;
            if let Some(Err(error)) = outcome {
                tracing::warn!(error = %error, hint = error.hint, "not recovered");
                refused.push(format!("{words}: {}", error.reason));
            }
        }
        self.note_asked(&update, &what, look.wall(), &refused)
    }

    /// Notes that it was asked, and what the cluster did not take: nobody waits for that to help.
    fn note_asked(
        &mut self,
        update: &Update,
        what: &str,
        now: Timestamp,
        refused: &[String],
    ) -> Result<(), Error> {
        let told = |_: &Update| match refused.is_empty() {
            true => Transition::new(format!("{what}: asked")),
            false => Transition::new(format!("{what}: refused")).because(refused.join("; ")),
        };
        self.run.record_update_as(&update.update_id, told, |update| {
            let Some(recovery) = update.settling.recovery.as_mut().filter(|one| one.asked_at.is_none())
            else {
                return;
            };
            let is_refused = |done: &String| refused.iter().any(|why| why.starts_with(&format!("{done}: ")));
            recovery.done.retain(|done| !is_refused(done));
            recovery.refused = refused.to_vec();
            recovery.asked_at = Some(now);
        })
    }

    /// Lets pods onto nodes again that the upgrade's own Jobs left cordoned, where that was chosen.
    pub(super) fn uncordon(&mut self, id: &str, look: &Look<'_>) -> Result<(), Error> {
        let Some(cluster) = self.settle.cluster else { return Ok(()) };
        self.note_uncordoned(id, look)?;
        for left in look.judge().left_cordoned(id) {
            let Some(update) = self.run.world.state.updates.get(id).cloned() else { return Ok(()) };
            let what = format!("Uncordon node {}", left.node);
            let noted = update.settling.uncordoned.get(&left.node);
            let is_new = match noted {
                // Cordoned again is another matter, and a person's.
                Some(noted) if !noted.is_due() || noted.since != Some(left.since) => continue,
                noted => noted.is_none(),
            };
            let by = (id.to_owned(), left.node.clone());
            if self.asked_nodes.contains(&by) {
                continue;
            }
            if self.run.is_stopped()? {
                return Ok(());
            }
            if is_new && !self.claim_node(&update, &left, &what, look.wall())? {
                continue;
            }
            self.asked_nodes.insert(by);
            let outcome = self.run.effect(Effect::Ask { what: what.clone() }, |run| {
                Ok(run.pass.wait(remedy::uncordon(cluster, &left)))
            })?;
            let refused = match outcome {
                None | Some(Ok(true)) => None,
                // A pass that was killed may have done it: what is seen of the node tells.
                Some(Ok(false)) if !is_new => continue,
                Some(Ok(false)) => Some(CHANGED.to_owned()),
                Some(Err(error)) => {
                    tracing::warn!(error = %error, hint = error.hint, "not uncordoned");
                    // The next pass asks again.
                    if matches!(error.class, ErrorClass::Transient | ErrorClass::Conflict) {
                        continue;
                    }
                    Some(error.reason)
                }
            };
            self.note_node(id, &left.node, &what, refused, look.wall())?;
        }
        Ok(())
    }

    fn claim_node(
        &mut self,
        update: &Update,
        left: &LeftCordoned,
        what: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let why = format!("Job {} left it cordoned, and it is back on {}", left.job, update.to);
        self.run.claim(update, what, &why, |update| {
            if update.settling.uncordoned.contains_key(&left.node) {
                return false;
            }
            let noted = Uncordoned {
                at: now,
                job: left.job.clone(),
                since: Some(left.since),
                done_at: None,
                refused: None,
            };
            update.settling.uncordoned.insert(left.node.clone(), noted);
            true
        })
    }

    /// Notes what became of nodes of which nobody knows whether they were asked for.
    fn note_uncordoned(&mut self, id: &str, look: &Look<'_>) -> Result<(), Error> {
        let world = look.judge().world();
        let Some(update) = self.run.world.state.updates.get(id) else { return Ok(()) };
        if world.sees(Kind::Node) != Sight::Seen {
            return Ok(());
        }
        let due = update.settling.uncordoned.iter().filter(|(_, noted)| noted.is_due());
        let seen = due.filter_map(|(name, noted)| {
            let object = world.of(Kind::Node).find(|object| object.meta.name == *name)?;
            let Detail::Node(node) = &object.detail else { return None };
            match node.unschedulable {
                false => Some((name.clone(), None)),
                true if cordoned_since(node) == noted.since => None,
                true => Some((name.clone(), Some(CHANGED.to_owned()))),
            }
        });
        for (node, refused) in seen.collect::<Vec<_>>() {
            self.note_node(id, &node, &format!("Uncordon node {node}"), refused, look.wall())?;
        }
        Ok(())
    }

    /// Notes that a node was let have pods again, or why not.
    fn note_node(
        &mut self,
        id: &str,
        node: &str,
        what: &str,
        refused: Option<String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let told = |_: &Update| match &refused {
            None => Transition::new(format!("{what}: done")),
            Some(refused) => Transition::new(format!("{what}: not done")).because(refused.clone()),
        };
        self.run.record_update_as(id, told, |update| {
            let noted = update.settling.uncordoned.get_mut(node).filter(|noted| noted.is_due());
            if let Some(noted) = noted {
                noted.done_at = refused.is_none().then_some(now);
                noted.refused.clone_from(&refused);
            }
        })
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

    /// What was recorded in these words.
    fn of(words: &str) -> Option<Self> {
        let (verb, object) = words.split_once(' ')?;
        let what = match verb {
            "reconcile" => Nudge::Reconcile,
            "reset" => Nudge::Reset,
            _ => return None,
        };
        let (kind, namespace, name) = named(object)?;
        Some(Self { kind, namespace: namespace.to_owned(), name: name.to_owned(), what })
    }

    fn is_chosen(&self, chosen: &BTreeSet<config::Recovery>) -> bool {
        chosen.contains(match self.what {
            Nudge::Reconcile => &config::Recovery::Reconcile,
            Nudge::Reset => &config::Recovery::ResetRelease,
        })
    }
}

/// Whether an object has the request of this time.
fn is_asked(object: &Object, at: Timestamp) -> bool {
    object.meta.annotations.get(REQUESTED_AT).is_some_and(|asked| *asked == at.to_string())
}

/// The object of a reason, where it is one that can be asked.
fn named(object: &str) -> Option<(Kind, &str, &str)> {
    let [kind, namespace, name] = object.split('/').collect::<Vec<_>>()[..] else { return None };
    let kind = match kind {
        "HelmRelease" => Kind::HelmRelease,
        "Kustomization" => Kind::Kustomization,
        _ => return None,
    };
    Some((kind, namespace, name))
}

/// What is asked, of the objects that the judge named.
fn wanted(decision: &Decision, world: &World, chosen: &BTreeSet<config::Recovery>) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    let objects = decision.reasons.iter().filter_map(|reason| reason.object.as_deref());
    for (kind, namespace, name) in objects.filter_map(named) {
        let ran_out = || world.get(kind, namespace, name).is_some_and(retries_ran_out);
        let what = if chosen.contains(&config::Recovery::ResetRelease) && ran_out() {
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

//! What people say of updates that are recorded: a box on the dashboard, a pull request that they closed.

use super::act::{DASHBOARD, mark_verified};
use super::{Error, Run, UnderWay};
use crate::app::forge::Forge;
use crate::domain::message::Action as Tick;
use crate::domain::settle::memory::is_of;
use crate::domain::state::{Stage, State, Update};
use crate::state::Transition;

/// Who accepted what was held, by a box on the dashboard.
const ACCEPTED: &str = "accepted by a person on the dashboard";
/// Why a version is not proposed again when its pull request was closed.
pub(super) const DECLINED: &str =
    "its pull request was closed without being merged, which means: not this version";

/// That a box was ticked to have a branch written anew, and there is nothing to be written.
pub(super) const AS_TODAY: &str =
    "its branch was to be written anew, and is as it would be written today: nothing is changed";

impl<F: Forge> Run<'_, F> {
    /// Says of each box by which a branch was to be written anew why it was not.
    pub(super) fn answer_rebuilds(&mut self) {
        for tick in self.ticked.clone() {
            let Tick::Rebuild { update_id } = tick else { continue };
            if self.touched.contains(&update_id) {
                continue;
            }
            match self.world.state.updates.get(&update_id) {
                // The box stays ticked, and says so itself where it is told why.
                Some(update) if update.stage == Stage::Proposed => {
                    let why = self.waiting.entry(update_id).or_default();
                    if !why.contains("written anew") && !why.contains("`rebuild`") {
                        let then = "its branch is written anew when that is over";
                        *why = if why.is_empty() { then.to_owned() } else { format!("{why}; {then}") };
                    }
                }
                Some(Update { component, to, .. }) => {
                    let said = format!(
                        "the branch of {component} {to} is not written anew, as its box asked: it is not open any more"
                    );
                    self.warnings.push(said);
                }
                None => {
                    let said =
                        format!("no branch is written anew for `{update_id}`: there is no such update");
                    self.warnings.push(said);
                }
            }
        }
    }
}

impl<F: Forge> UnderWay<'_, F> {
    /// Does what people ticked on the dashboard, as far as it is a matter of the record.
    pub(in crate::app) fn obey(&mut self) -> Result<(), Error> {
        for tick in self.ticked.clone() {
            match tick {
                Tick::Unquarantine { component, version } => {
                    let what = format!("Let {component} {version} be proposed again");
                    self.record(what.clone(), |state: &mut State| {
                        let before = state.quarantine.len();
                        state.quarantine.retain(|one| one.component != component || one.version != version);
                        (state.quarantine.len() < before)
                            .then(|| Transition::new(&what).because("a person ticked it on the dashboard"))
                    })?;
                }
                Tick::Retry { update_id } => {
                    let now = self.pass.now;
                    self.record(format!("Take {update_id} up again"), |state: &mut State| {
                        resume(state, &update_id, DASHBOARD, now)
                    })?;
                }
                Tick::CloseBreaker { since } => {
                    let open = |state: &State| {
                        state.breaker.as_ref().is_some_and(|breaker| breaker.since.to_string() == since)
                    };
                    self.record("Close the circuit breaker".to_owned(), |state: &mut State| {
                        open(state).then(|| close_breaker(state, DASHBOARD))?
                    })?;
                }
                Tick::Accept { update_id } => {
                    let now = self.pass.now;
                    let held = |state: &State| {
                        state.updates.get(&update_id).is_some_and(|update| update.stage == Stage::Held)
                    };
                    self.record(format!("Accept {update_id}"), |state: &mut State| {
                        held(state).then(|| mark_verified(state, &update_id, ACCEPTED, now))?
                    })?;
                }
                // Looked at where they matter.
                Tick::Open { .. } | Tick::Rebuild { .. } => {}
            }
        }
        Ok(())
    }
}

/// Takes an update up again that was held: it is proposed, or watched, anew. `None` where it is not held.
pub fn resume(state: &mut State, id: &str, by: &str, now: jiff::Timestamp) -> Option<Transition> {
    let update = state.updates.get_mut(id).filter(|update| update.stage == Stage::Held)?;
    update.stage = match (&update.merge_commit, &update.settling.reversal) {
        (None, _) => Stage::Proposed,
        (Some(_), None) => Stage::Merged,
        (Some(_), Some(_)) => Stage::Rolling,
    };
    // What was decided and not done is decided anew.
    if update.settling.reversal.as_ref().is_some_and(|reversal| reversal.commit.is_none()) {
        update.settling.reversal = None;
    }
    // Where it fails again, further nodes are stopped anew.
    update.settling.end_stop();
    update.status = update.stage.status();
    update.changed_at = now;
    update.reason = Some(format!("taken up again by {by}"));
    update.settling.hold = None;
    update.settling.verdict = None;
    update.settling.judged_at = None;
    update.settling.acknowledged_by = Some(by.to_owned());
    for (_, remembered) in state.memory.iter_mut().filter(|(judged, _)| is_of(judged, id)) {
        // What happened to nodes and data stays, and when it was merged, by which Jobs are told from earlier ones; what
        // was concluded from it is concluded anew.
        remembered.held = false;
        remembered.regressed_at = None;
        remembered.applied_since = None;
        remembered.said = None;
        remembered.taken_up_at = Some(now);
    }
    let update = state.updates.get(id)?;
    let subject = format!("Take {} {} up again", update.component, update.to);
    Some(
        Transition::new(subject)
            .because(format!("{by} has looked at it"))
            .trailer("Update", id)
            .trailer("Acknowledged-By", by),
    )
}

/// Lets proposing and merging go on after too many reverts; `None` where nothing is stopped.
pub fn close_breaker(state: &mut State, by: &str) -> Option<Transition> {
    let breaker = state.breaker.take()?;
    // Whoever closes it has looked at these.
    for update in state.updates.values_mut() {
        if let Some(reversal) = update.settling.reversal.as_mut().filter(|one| one.made_at.is_some()) {
            reversal.seen_by.get_or_insert_with(|| by.to_owned());
        }
    }
    Some(
        Transition::new("Close the circuit breaker")
            .because(format!("{by} has looked; it was open because {}", breaker.reason()))
            .trailer("Acknowledged-By", by),
    )
}

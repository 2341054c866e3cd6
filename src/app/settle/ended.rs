//! Records what became of an update on the base branch: reverted, by us or by a person, replaced, or lost.

use jiff::Timestamp;

use super::act::{Decision, is_settling};
use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay, complete};
use crate::domain::settle::memory::Remembered;
use crate::domain::settle::record::{A_PERSON, Breaker, Reversal};
use crate::domain::state::{Quarantined, Stage, State, Update};
use crate::repo::write::Id;
use crate::state::Transition;

impl<F: Forge> UnderWay<'_, F> {
    /// Whether a revert that was found on the base branch counts as ours; `says_so` where its trailer does. A person may
    /// merge a revert of ours under other words. What a person asked for is over with it, unless the cluster has to be
    /// watched on its way back.
    pub(super) fn counts_as_ours(&self, update: &Update, says_so: bool) -> bool {
        let cannot_go_back =
            self.world.state.memory.get(&update.update_id).is_some_and(Remembered::cannot_go_back);
        update.settling.reversal.is_some() || (says_so && (cannot_go_back || !self.is_rolled_back(update)))
    }

    /// Records that an update is reverted by `commit`: its version goes into quarantine, and too many reverts stop
    /// everything. What a person reverted is over; after a revert of ours the cluster is watched.
    pub(super) fn record_reverted(
        &mut self,
        id: &str,
        commit: &str,
        ours: bool,
        at: Timestamp,
    ) -> Result<(), Error> {
        let Some(update) = self.world.state.updates.get(id) else { return Ok(()) };
        let short = commit.get(..7).unwrap_or(commit).to_owned();
        let who = if ours { "reverted" } else { "reverted by a person" };
        let what = format!("Record that {} {} was {who}", update.component, update.to);
        // Who asked for it says more than who made the commit.
        let asked = self.asked_back(update).map(|said| format!("{short}: {said}"));
        let by = || commit.parse::<Id>().map_or(Ok(None), |commit| self.author_of(commit));
        let by = asked.map_or_else(by, |asked| Ok(Some(asked)))?.unwrap_or_else(|| short.clone());
        let (id, commit) = (id.to_owned(), commit.to_owned());
        self.record(what.clone(), |state: &mut State| {
            // A revert of ours that is on the branch is so, whatever another pass said of the update meanwhile.
            let update = state
                .updates
                .get_mut(&id)
                .filter(|update| is_settling(update) || (ours && update.stage == Stage::Verified))?;
            let known = update.settling.reversal.as_ref().and_then(|reversal| reversal.commit.as_ref());
            if known == Some(&commit) {
                return None;
            }
            let because = update.settling.reversal.as_ref().map(|reversal| reversal.reason.clone());
            if ours {
                // Nobody here decided it where nothing is known of it: a person went back with a command.
                let reversal = update
                    .settling
                    .reversal
                    .get_or_insert_with(|| Reversal::by_person(at, "found on the base branch"));
                reversal.commit = Some(commit.clone());
                reversal.made_at = Some(at);
                update.stage = Stage::Rolling;
                update.reason = Some(format!("reverted by {short}; watching the cluster come back"));
                update.settling.hold = None;
                complete(update, "revert");
            } else {
                update.stage = Stage::Reverted;
                update.reason = Some(format!("a person reverted it in {by}"));
                update.current_phase = None;
                update.settling.hold = None;
            }
            update.status = update.stage.status();
            update.changed_at = at;
            let update = update.clone();
            let known = because.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            state.put_in_quarantine(Quarantined::of(&update, format!("{who} in {short}{known}"), at));
            let why = because.unwrap_or_else(|| "a person reverted it".to_owned());
            if ours {
                trip(state, at);
            }
            let mut told = Transition::new(&what)
                .because(why)
                .trailer("Update", &update.update_id)
                .trailer("Commit", &commit)
                .trailer("Policy-Applied", format!("revert {}", update.revert.safety.as_str()));
            if let Some(breaker) = state.breaker.as_ref().filter(|breaker| breaker.since == at) {
                told = told.trailer("Circuit-Breaker", breaker.reason());
            }
            Some(told)
        })
    }

    /// Records that a person reverted what the cluster cannot go back from by Git: it stays watched, and the version is
    /// not proposed again.
    pub(super) fn record_person_revert(
        &mut self,
        id: &str,
        commit: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        let Some(update) = self.world.state.updates.get(id) else { return Ok(()) };
        let short = commit.get(..7).unwrap_or(commit).to_owned();
        let what = format!("See {} {} reverted by a person", update.component, update.to);
        let text = format!("a person reverted it in {short}; nodes and data do not go back by Git alone");
        self.waiting.entry(id.to_owned()).or_insert_with(|| text.clone());
        let id = id.to_owned();
        self.record(what.clone(), |state: &mut State| {
            let update = state.updates.get(&id).filter(|update| is_settling(update)).cloned()?;
            state
                .put_in_quarantine(Quarantined::of(&update, &text, at))
                .then(|| Transition::new(&what).because(&text).trailer("Update", &update.update_id))
        })
    }

    /// Records that an update is no longer ours to judge: somebody put another version in its place.
    pub(super) fn record_superseded(&mut self, decision: &Decision) -> Result<(), Error> {
        self.record_update(&decision.update, |update| {
            if is_settling(update) {
                update.stage = Stage::Abandoned;
                update.settling.decided_by = Some(A_PERSON.to_owned());
                update.reason = Some(decision.why());
                update.current_phase = None;
                update.settling.hold = None;
                update.changed_at = decision.at;
            }
        })
    }

    /// Records that somebody put other versions where an update had put its own.
    pub(super) fn record_replaced(&mut self, id: &str, by: Id, at: Timestamp) -> Result<(), Error> {
        self.record_update(id, |update| {
            if is_settling(update) {
                update.stage = Stage::Abandoned;
                update.settling.decided_by = Some(A_PERSON.to_owned());
                update.reason = Some(format!("{} put another version in its place", by.short()));
                update.current_phase = None;
                update.settling.hold = None;
                update.changed_at = at;
            }
        })
    }

    /// Records that the base branch lost the merge: nothing of it is there to be judged.
    pub(super) fn record_lost(&mut self, id: &str, at: Timestamp) -> Result<(), Error> {
        let branch = self.world.base_branch.clone();
        self.record_update(id, |update| {
            if is_settling(update) {
                update.stage = Stage::Abandoned;
                update.settling.decided_by = Some(A_PERSON.to_owned());
                update.reason = Some(format!("`{branch}` does not have its merge any more"));
                update.current_phase = None;
                update.settling.hold = None;
                update.changed_at = at;
            }
        })
    }
}

fn trip(state: &mut State, at: Timestamp) {
    let made = state.updates.values().filter_map(|update| {
        let reversal = update.settling.reversal.as_ref().filter(|reversal| reversal.seen_by.is_none())?;
        Some((update.update_id.as_str(), reversal.made_at?))
    });
    if let Some(breaker) = Breaker::tripped(made, at)
        && state.breaker.is_none()
    {
        state.breaker = Some(breaker);
    }
}

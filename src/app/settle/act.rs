//! Carries out what the judge says: keeps it, completes, holds, goes on, or hands over to the revert.

use jiff::Timestamp;

use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay, complete, mark_verified};
use crate::domain::settle::memory::Remembered;
use crate::domain::settle::record::{Evidence, Holding, Reversal, Said};
use crate::domain::settle::verdict::{Action, Judgement, Reason, Verdict};
use crate::domain::state::{Stage, State, Update};
use crate::state::Transition;

/// Code of the reason that nothing at all is seen of an update.
const NOT_OBSERVED: &str = "not_observed";

/// What the judge, or Git, says of one update, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) update: String,
    pub(super) verdict: Verdict,
    pub(super) action: Action,
    pub(super) reasons: Vec<Reason>,
    pub(super) clears_itself: bool,
    /// It is said of the way back, not of the update.
    pub(super) of_the_way_back: bool,
    pub(super) at: Timestamp,
}

impl Decision {
    pub(super) fn of(judgement: &Judgement, update: &str, of_the_way_back: bool, at: Timestamp) -> Self {
        Self {
            update: update.to_owned(),
            verdict: judgement.verdict,
            action: judgement.action,
            reasons: judgement.reasons.clone(),
            clears_itself: judgement.clears_itself,
            of_the_way_back,
            at,
        }
    }

    /// The decision that is on record and not carried out yet.
    pub(super) fn to_revert(update: &Update, now: Timestamp) -> Self {
        let reversal = update.settling.reversal.as_ref();
        let text = reversal.map_or_else(String::new, |reversal| reversal.reason.clone());
        Self {
            update: update.update_id.clone(),
            verdict: Verdict::Regressed,
            action: Action::Revert,
            reasons: vec![Reason { code: "regressed".to_owned(), object: None, text }],
            clears_itself: false,
            of_the_way_back: false,
            at: now,
        }
    }

    /// The same verdict, held for a person for one more reason.
    pub(super) fn held(&self, code: &str, text: String) -> Self {
        let mut held = self.clone();
        held.action = Action::Hold;
        held.clears_itself = false;
        held.reasons.insert(0, Reason { code: code.to_owned(), object: None, text });
        held
    }

    pub(super) fn said(&self) -> Said {
        let judgement = Judgement {
            t: Default::default(),
            update: self.update.clone(),
            verdict: self.verdict,
            action: self.action,
            reasons: self.reasons.clone(),
            clears_itself: self.clears_itself,
        };
        Said::of(&judgement, self.at, self.of_the_way_back)
    }

    /// The most telling reason, for people.
    pub(super) fn why(&self) -> String {
        self.reasons.first().map_or_else(|| "no reason was given".to_owned(), |reason| reason.text.clone())
    }

    /// `pre_update`, `update` or `post_update`: when it failed.
    fn failure_stage(&self, before: &Update) -> Option<String> {
        let stage = match (self.verdict, self.of_the_way_back) {
            (Verdict::Regressed, true) => "post_update",
            (Verdict::Regressed, false) if before.settling.verdict == Some(Verdict::Healthy) => "post_update",
            (Verdict::Regressed, false) => "update",
            _ => return None,
        };
        Some(stage.to_owned())
    }
}

/// Section of the configuration that decides about what is merged.
const VALIDATION: &str = "validation";

/// Keeps what is said, in the update and its evidence. `false` = nothing new.
fn keep(state: &mut State, decision: &Decision) -> bool {
    let Some(update) = state.updates.get_mut(&decision.update) else { return false };
    let before = update.clone();
    update.settling.decided_by = Some(VALIDATION.to_owned());
    if update.settling.verdict != Some(decision.verdict) {
        update.settling.verdict = Some(decision.verdict);
        update.settling.judged_at = Some(decision.at);
    }
    update.failure_stage = decision.failure_stage(&before).or_else(|| before.failure_stage.clone());
    let evidence =
        state.evidence.entry(decision.update.clone()).or_insert_with(|| Evidence::new(&decision.update));
    let count = evidence.judgements.len();
    let last = evidence.judgements.last().cloned();
    evidence.say(decision.said());
    state.updates.get(&decision.update) != Some(&before)
        || evidence.judgements.len() != count
        || evidence.judgements.last() != last.as_ref()
}

fn transition(update: &Update, decision: &Decision) -> Transition {
    // The revert itself was told when it was made.
    let told = match decision.of_the_way_back && update.stage == Stage::Reverted {
        true => Transition::told("See healthy again after the revert of", update),
        false => Transition::of(update),
    };
    told.trailer("Verdict", word(decision.verdict)).trailer("Action", action_word(decision.action))
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Healthy => "healthy",
        Verdict::Regressed => "regressed",
        Verdict::Unknown => "unknown",
        Verdict::Inconclusive => "inconclusive",
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Wait => "wait",
        Action::Complete => "complete",
        Action::Revert => "revert",
        Action::Hold => "hold",
        Action::None => "none",
    }
}

pub(super) fn is_settling(update: &Update) -> bool {
    matches!(update.stage, Stage::Merged | Stage::Rolling)
        || (update.stage == Stage::Held && update.merge_commit.is_some())
}

fn is_held_for_a_person(update: &Update) -> bool {
    update.stage == Stage::Held && update.settling.hold.as_ref().is_none_or(|hold| !hold.clears_itself)
}

impl<F: Forge> UnderWay<'_, F> {
    /// Everything goes on as it is: what was held for lack of evidence is rolling again.
    pub(super) fn go_on(&mut self, decision: &Decision) -> Result<(), Error> {
        let id = decision.update.clone();
        self.waiting.insert(id.clone(), decision.why());
        if decision.reasons.iter().any(|reason| reason.code == NOT_OBSERVED) {
            // Nobody looks: there is nothing to keep.
            return Ok(());
        }
        self.record("Go on watching".to_owned(), |state: &mut State| {
            let update = state.updates.get_mut(&id).filter(|update| is_settling(update))?;
            let cleared = update.settling.hold.as_ref().is_some_and(|hold| hold.clears_itself);
            if update.stage == Stage::Held && !cleared {
                return None;
            }
            let begun = update.stage != Stage::Rolling;
            if begun {
                update.stage = Stage::Rolling;
                update.status = update.stage.status();
                update.changed_at = decision.at;
                update.reason = cleared.then(|| "what was missing is seen again".to_owned());
                update.settling.hold = None;
                update.settling.rolling_since = update.settling.rolling_since.or(Some(decision.at));
                update.current_phase = Some("post_update_validation".to_owned());
            }
            let kept = keep(state, decision);
            let update = state.updates.get(&id)?;
            (begun || kept).then(|| transition(update, decision))
        })
    }

    /// The update is good, or the way back is.
    pub(super) fn complete(&mut self, decision: &Decision) -> Result<(), Error> {
        let id = decision.update.clone();
        self.waiting.remove(&id);
        let Some(update) = self.world.state.updates.get(&id).cloned() else { return Ok(()) };
        if decision.of_the_way_back {
            let what = format!("See {} healthy again at {}", update.component, update.from);
            return self.record(what, |state: &mut State| {
                let update = state.updates.get_mut(&id).filter(|update| is_settling(update))?;
                let from = update.from.clone();
                let reversal = update.settling.reversal.as_mut()?;
                reversal.back_at = Some(decision.at);
                let by = reversal.commit.clone().unwrap_or_default();
                let by = by.get(..7).unwrap_or(&by);
                update.reason = Some(format!("reverted by {by}; healthy again at {from}"));
                update.stage = Stage::Reverted;
                update.status = update.stage.status();
                update.changed_at = decision.at;
                update.current_phase = None;
                update.settling.hold = None;
                complete(update, "rollback");
                keep(state, decision);
                state.updates.get(&id).map(|update| transition(update, decision))
            });
        }
        let what = format!("Verify {} {} -> {}", update.component, update.from, update.to);
        let by = format!("the cluster: {}", decision.why());
        self.record(what, |state: &mut State| {
            let update = state.updates.get(&id)?;
            // Another pass may have decided otherwise by what it saw.
            if is_held_for_a_person(update) || update.settling.reversal.is_some() {
                return None;
            }
            mark_verified(state, &id, &by, decision.at)?;
            if let Some(update) = state.updates.get_mut(&id) {
                complete(update, "post_update_validation");
            }
            keep(state, decision);
            state.updates.get(&id).map(|update| transition(update, decision))
        })?;
        self.delete_branch(&update)
    }

    /// Stops it, for a person or until evidence comes.
    pub(super) fn hold(&mut self, decision: &Decision) -> Result<(), Error> {
        let id = decision.update.clone();
        let what = match self.world.state.updates.get(&id) {
            Some(update) => format!("Hold {} {} -> {}", update.component, update.from, update.to),
            None => return Ok(()),
        };
        self.record(what, |state: &mut State| {
            let last = state.evidence.get(&id).and_then(|evidence| evidence.judgements.last());
            let was_said = last.is_some_and(|last| last.is_same(&decision.said()));
            let update = state.updates.get_mut(&id).filter(|update| is_settling(update))?;
            let before = update.clone();
            let is_said_again = before.stage == Stage::Held && was_said;
            update.stage = Stage::Held;
            update.status = update.stage.status();
            // The same said again in other words, such as how long a controller had waited, is no news.
            if !is_said_again || update.reason.is_none() {
                update.reason = Some(decision.why());
            }
            let hold = update
                .settling
                .hold
                .get_or_insert(Holding { since: decision.at, clears_itself: decision.clears_itself });
            // What a person has to end is never turned into what ends by itself.
            hold.clears_itself &= decision.clears_itself;
            if before.stage != Stage::Held {
                update.changed_at = decision.at;
            }
            let changed = *update != before;
            let kept = keep(state, decision);
            let update = state.updates.get(&id)?;
            (changed || kept).then(|| transition(update, decision))
        })
    }

    /// Records that it was decided to revert an update, and why.
    pub(super) fn decide_reversal(&mut self, decision: &Decision) -> Result<(), Error> {
        let id = decision.update.clone();
        let Some(update) = self.world.state.updates.get(&id) else { return Ok(()) };
        let what = format!("Decide to revert {} {} -> {}", update.component, update.from, update.to);
        let phase = format!("rolling_back_{}", crate::app::pass::phase_of(&update.component));
        self.record(what.clone(), |state: &mut State| {
            // Another pass may have seen more: a node that moved, a version that is recorded, a reason to hold.
            if state.memory.get(&id).is_some_and(Remembered::cannot_go_back) {
                return None;
            }
            let update = state.updates.get_mut(&id).filter(|update| {
                is_settling(update) && !is_held_for_a_person(update) && update.settling.reversal.is_none()
            })?;
            update.settling.reversal = Some(Reversal::decided(decision.at, decision.why()));
            update.stage = Stage::Rolling;
            update.status = update.stage.status();
            update.current_phase = Some(phase.clone());
            update.reason = Some(format!("regressed, to be reverted: {}", decision.why()));
            keep(state, decision);
            let update = state.updates.get(&id)?;
            Some(
                Transition::new(&what)
                    .because(decision.why())
                    .trailer("Update", &update.update_id)
                    .trailer("Policy-Applied", format!("revert {}", update.revert.safety.as_str()))
                    .trailer("Verdict", word(decision.verdict)),
            )
        })
    }
}

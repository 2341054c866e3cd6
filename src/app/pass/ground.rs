//! What people are told of the steps that had to come before an open one: on its pull request, and while it waits.

use super::{Error, Run};
use crate::app::forge::{Forge, PullRequest, PullRequestChange};
use crate::domain::ground::{self, Lost, Standing};
use crate::domain::message::{GateVerdict, Neighbour, lost_ids, with_ground};
use crate::domain::policy::verdicts::{self, Verdict};
use crate::domain::state::{Stage, Update};

impl<F: Forge> Run<'_, F> {
    /// What the plans so far put right before an update, in the order in which it was merged.
    pub(super) fn came_first(&self, update: &Update) -> Vec<Neighbour> {
        let neighbours = ground::of(&self.world.state, update).into_iter().map(|footing| Neighbour {
            component: footing.update.component.clone(),
            from: footing.update.from.clone(),
            to: footing.update.to.clone(),
            state: footing.standing.word().to_owned(),
            pull_request: footing.update.pull_request,
            why: footing.why,
        });
        neighbours.collect()
    }

    /// What had to come before an update and was taken back since it was proposed.
    pub(super) fn lost_ground(&self, update: &Update) -> Vec<Lost> {
        let state = &self.world.state;
        if state.campaigns.contains_key(&update.campaign) {
            return ground::lost(state, update);
        }
        // The record is rebuilt, and nobody knows any more what came first: what its pull request says of that is true
        // until it is seen that it is not.
        let said = self.pull_of(update).map(|pull| lost_ids(&pull.body)).unwrap_or_default();
        let lost = said.into_iter().filter(|id| !ground::is_settled(state, id));
        lost.map(|id| Lost { id, standing: Standing::Reverted }).collect()
    }

    /// Why nobody may merge an open pull request, whatever its gate; `None` where nothing of its ground is lost.
    pub(super) fn must_not_be_merged(&self, update: &Update) -> Option<String> {
        let is_open = update.stage == Stage::Proposed;
        is_open.then(|| ground::reason(&self.lost_ground(update))).flatten()
    }

    /// The body of the pull request of an update, with what is lost of its ground. `requires` are the ids of the steps that
    /// the plan puts before it.
    pub(super) fn grounded(&self, update: &Update, requires: &[String], body: &str) -> String {
        let (before, lost) = (self.came_first(update), self.lost_ground(update));
        let order = verdicts::of_order(requires, &ids(&before), ground::reason(&lost).as_deref());
        with_ground(body, &lost, &before, &told_verdict(order))
    }

    /// Says on an open pull request what of its ground is lost, or that nothing is any more.
    pub(super) fn tell_ground(
        &mut self,
        update: &Update,
        requires: &[String],
        pull: &PullRequest,
    ) -> Result<(), Error> {
        let body = self.grounded(update, requires, &pull.body);
        if body == pull.body || self.may_not()? {
            return Ok(());
        }
        let what = match self.lost_ground(update).first() {
            Some(Lost { id, .. }) => format!("say that it must not be merged: `{id}` had to come first"),
            None => "say that what had to come first is verified again".to_owned(),
        };
        let change = PullRequestChange { body: Some(body.clone()), ..PullRequestChange::default() };
        self.change(pull, change, &what)?;
        if let Some(known) = self.world.pulls.iter_mut().find(|known| known.number == pull.number) {
            known.body = body;
        }
        Ok(())
    }
}

/// Ids of the steps of neighbours.
pub(super) fn ids(neighbours: &[Neighbour]) -> Vec<String> {
    neighbours.iter().map(|other| format!("{}@{}", other.component, other.to)).collect()
}

/// A verdict as it is printed.
pub(super) fn told_verdict(verdict: Verdict) -> GateVerdict {
    GateVerdict {
        gate: verdict.gate.to_owned(),
        passed: verdict.passed,
        reason: verdict.reason,
        policy_applied: verdict.policy_applied,
    }
}

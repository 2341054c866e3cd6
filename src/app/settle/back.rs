//! What goes back, or has gone: reverts that are carried out, and what people did on the base branch.

use super::Outcome;
use super::act::Decision;
use super::branch::OnBranch;
use super::look::Look;
use super::revert::Taken;
use super::watching::Watching;
use crate::app::cluster::Cluster;
use crate::app::forge::Forge;
use crate::app::pass::Error;
use crate::domain::plan::RevertSafety;
use crate::domain::state::{Stage, Update};

impl<F: Forge, C: Cluster> Watching<'_, '_, F, C> {
    pub(super) fn revert(
        &mut self,
        decision: &Decision,
        judged: &str,
        look: Option<&mut Look<'_>>,
    ) -> Result<(), Error> {
        let id = decision.update.clone();
        let taken = self.run.revert_in_git(decision, decision.at)?;
        self.followed.remove(judged);
        match taken {
            Taken::Back => {
                self.outcomes.insert(id.clone(), Outcome::Reverted);
                let Some(look) = look else { return Ok(()) };
                look.forget(judged);
                if let Some((judged, follow)) = self.follow(&id)? {
                    self.followed.insert(judged, follow);
                    self.introduce(look)?;
                }
            }
            Taken::Proposed => _ = self.outcomes.insert(id, Outcome::Reverted),
            Taken::Stopped => _ = self.outcomes.insert(id, Outcome::HeldRegressed),
            Taken::Held(decision) => {
                if let Some(look) = look {
                    look.note(format!("{id} is held: {}", decision.why()));
                }
                self.hold(&decision, judged)?;
            }
        }
        Ok(())
    }

    /// Reverts that were decided and are not made yet, by a pass that was killed or by a pull request.
    pub(super) fn go_on_reverting(&mut self, now: jiff::Timestamp) -> Result<(), Error> {
        let decided: Vec<Update> = self
            .run
            .world
            .state
            .updates
            .values()
            .filter(|update| matches!(update.stage, Stage::Merged | Stage::Rolling))
            .filter(|update| {
                update.settling.reversal.as_ref().is_some_and(|reversal| reversal.commit.is_none())
            })
            .filter(|update| (self.settle.selected)(&update.update_id, &update.component))
            .cloned()
            .collect();
        for update in decided {
            let decision = Decision::to_revert(&update, now);
            // Decided by an earlier pass, which saw the cluster; this one has not looked yet. Where a revert may do
            // harm, a node may have moved or a version been recorded since.
            if update.revert.safety != RevertSafety::Safe {
                let text =
                    "a revert was decided and not carried out at once; whether it is still safe is for a \
                            person to say"
                        .to_owned();
                self.hold(&decision.held("revert_unsure", text), &update.update_id)?;
                continue;
            }
            if let Err(error) = self.revert(&decision, &update.update_id, None) {
                self.outcomes.insert(update.update_id.clone(), Outcome::RevertFailed);
                self.run.tell_revert_failed(&update.update_id, &error, now);
                self.run.failed(&update.component, error)?;
            }
        }
        Ok(())
    }

    /// What became of updates on the base branch without us.
    pub(super) fn check_branches(&mut self, now: jiff::Timestamp) -> Result<(), Error> {
        let merged: Vec<Update> = self
            .run
            .world
            .state
            .updates
            .values()
            .filter(|update| matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held))
            .filter(|update| update.merge_commit.is_some())
            .filter(|update| {
                update.settling.reversal.as_ref().is_none_or(|reversal| reversal.commit.is_none())
            })
            .cloned()
            .collect();
        for update in merged {
            let id = &update.update_id;
            let done = match self.run.on_branch(&update) {
                // Git is back, and nodes or data are not: it is over when the cluster has gone back, too.
                Ok(OnBranch::Reverted { commit, ours: false })
                    if update.settling.reversal.is_none() && self.cannot_go_back(id) && !self.is_back(id) =>
                {
                    match self.run.record_person_revert(id, &commit.to_string(), now) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
                Ok(OnBranch::Reverted { commit, ours }) => {
                    let ours = self.run.counts_as_ours(&update, ours);
                    self.run.record_reverted(id, &commit.to_string(), ours, now)
                }
                Ok(OnBranch::Lost) => self.run.record_lost(id, now),
                // A revert of ours that is proposed has its own end.
                Ok(OnBranch::Replaced { commit }) if update.settling.reversal.is_none() => {
                    self.run.record_replaced(id, commit, now)
                }
                Ok(OnBranch::Replaced { .. } | OnBranch::Landed { .. } | OnBranch::Unclear { .. }) => {
                    continue;
                }
                Err(error) => Err(error),
            };
            self.followed.remove(id);
            match done {
                Ok(()) => _ = self.outcomes.insert(id.clone(), Outcome::Over),
                Err(error) => self.run.failed(&update.component, error)?,
            }
        }
        Ok(())
    }

    /// The cluster shows another version than the one that was merged. Where Git still asks for that one, it comes
    /// again, and somebody has to look on.
    pub(super) fn supersede(&mut self, decision: &Decision, judged: &str) -> Result<(), Error> {
        let update = self.run.world.state.updates.get(&decision.update).cloned();
        let stands = match update.map(|update| self.run.on_branch(&update)).transpose()? {
            Some(OnBranch::Landed { changed, .. }) => changed.is_empty(),
            _ => false,
        };
        if !stands {
            return self.run.record_superseded(decision);
        }
        let text = format!("{}; the base branch asks for the new version still", decision.why());
        let mut held = decision.held("contradicts_git", text);
        held.clears_itself = true;
        self.hold(&held, judged)
    }

    /// Whether the judge has seen the cluster go back, in this pass.
    fn is_back(&self, id: &str) -> bool {
        self.back.contains(id)
    }
}

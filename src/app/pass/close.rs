//! Closes what is not wanted any more, and campaigns that are over.

use super::{Error, Run};
use crate::app::effects::Effect;
use crate::app::forge::{Forge, PullRequest, PullRequestState};
use crate::app::plan::Planned;
use crate::domain::lifecycle;
use crate::domain::plan::Approval;
use crate::domain::state::{Stage, State, Update, UpdateStatus};
use crate::state::Transition;

/// Stands in the comment on a pull request that was not closed after all.
pub(super) const KEPT_MARKER: &str = "<!-- gitops-updater:kept-open -->";

/// Stands in the comment with which the bot closes the pull request of an update.
pub(super) fn closed_marker(update_id: &str) -> String {
    format!("<!-- gitops-updater:closed {update_id} -->")
}

impl<F: Forge> Run<'_, F> {
    /// Closes a pull request that is not wanted any more, says why there, with a link to the one that takes its place
    /// (`by`), and takes its branch away.
    pub(super) fn close(
        &mut self,
        update: &Update,
        pull: Option<&PullRequest>,
        reason: &str,
        by: Option<u64>,
        decided_by: Option<&str>,
    ) -> Result<(), Error> {
        if let Some(pull) = pull.filter(|pull| pull.state == PullRequestState::Open) {
            if self.may_not()? {
                return Err(Error::KillSwitch);
            }
            // First that it is the bot who closes it: a closed pull request says "not this version" otherwise.
            let said = reason.to_owned();
            self.record_update_as(
                &update.update_id,
                |update| Transition::told("Begin to close the pull request of", update),
                |update| {
                    update.current_phase = Some(lifecycle::CLOSING.to_owned());
                    update.reason = Some(said.clone());
                },
            )?;
            let number = pull.number;
            let marker = closed_marker(&update.update_id);
            let link = by.map(|by| format!("#{by}: ")).unwrap_or_default();
            let body = format!("{link}{}\n\n{marker}\n", self.pass.templates_prose(reason));
            self.unless_stopped(Effect::Comment { number, what: reason.to_owned() }, |run| {
                Ok(run.pass.wait(run.pass.forge.comment(number, &marker, &body))?)
            })?;
            self.unless_stopped(Effect::Close { number, reason: reason.to_owned() }, |run| {
                Ok(run.pass.wait(run.pass.forge.close(number))?)
            })?;
        }
        let said = reason.to_owned();
        self.record_update(&update.update_id, |update| {
            if update.stage == Stage::Proposed {
                update.stage = Stage::Abandoned;
                update.settling.decided_by = decided_by.map(str::to_owned);
                update.reason = Some(said.clone());
                update.current_phase = None;
            }
        })?;
        self.delete_branch(update)
    }

    /// Takes back that the bot is about to close a pull request. A pass was stopped before it could, and it is wanted
    /// again: whoever closes it from now on means "not this version".
    pub(super) fn keep_open(&mut self, update: &Update, pull: Option<&PullRequest>) -> Result<(), Error> {
        if let Some(number) = pull.map(|pull| pull.number).filter(|_| self.kill_switch.is_none()) {
            let marker = closed_marker(&update.update_id);
            let said = self.pass.wait(self.pass.forge.own_comment(number, &marker))?;
            if said.is_some_and(|said| !said.contains(KEPT_MARKER)) {
                let what = "it is wanted again and stays open";
                let body = format!("This is wanted again and stays open.\n\n{marker}\n{KEPT_MARKER}\n");
                self.unless_stopped(Effect::Comment { number, what: what.to_owned() }, |run| {
                    Ok(run.pass.wait(run.pass.forge.comment(number, &marker, &body))?)
                })?;
            }
        }
        self.record_update_as(
            &update.update_id,
            |update| Transition::told("Keep the pull request open of", update),
            |update| {
                update.current_phase = None;
                update.reason = None;
            },
        )
    }

    /// Closes what was replaced, where what takes its place is open now.
    pub(super) fn close_replaced(&mut self) -> Result<(), Error> {
        for (update, by, decided_by) in std::mem::take(&mut self.replaced) {
            let successor = self.world.state.updates.values().find(|other| {
                other.component == update.component
                    && other.to == by
                    && other.stage == Stage::Proposed
                    && other.pull_request.is_some()
            });
            let Some(number) = successor.and_then(|successor| successor.pull_request) else { continue };
            let pull = self.pull_of(&update).cloned();
            let reason = format!("{by} takes its place");
            if let Err(error) =
                self.close(&update, pull.as_ref(), &reason, Some(number), decided_by.as_deref())
            {
                self.failed(&update.component, error)?;
            }
        }
        Ok(())
    }

    /// Campaigns are over whose updates all are, when nothing is left that would be proposed without being asked for.
    pub(super) fn end_campaigns(&mut self, planned: &Planned) -> Result<(), Error> {
        let mut left = planned.report.waves.iter().flat_map(|wave| &wave.steps);
        if left.any(|step| matches!(step.gate, Approval::Auto | Approval::Review)) {
            return Ok(());
        }
        let is_over = |state: &State, campaign: &str| {
            let mut of_it = state.updates.values().filter(|update| update.campaign == campaign).peekable();
            of_it.peek().is_some()
                && of_it
                    .all(|update| update.status != UpdateStatus::InProgress && update.stage != Stage::Held)
        };
        let open: Vec<String> = self
            .world
            .state
            .campaigns
            .values()
            .filter(|campaign| campaign.status == UpdateStatus::InProgress)
            .map(|campaign| campaign.campaign_id.clone())
            .filter(|id| is_over(&self.world.state, id))
            .collect();
        for id in open {
            let what = format!("End {id}");
            self.record(what.clone(), |state: &mut State| {
                if !is_over(state, &id) {
                    return None;
                }
                let campaign = state.campaigns.get_mut(&id)?;
                if campaign.status != UpdateStatus::InProgress {
                    return None;
                }
                campaign.status = UpdateStatus::Completed;
                campaign.current_phase = None;
                Some(Transition::new(&what).because("every update of it is over"))
            })?;
        }
        Ok(())
    }
}

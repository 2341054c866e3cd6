//! Merges what is under the gate `auto`, and takes the wish for it back while nothing may be merged.

use super::act::{MEANWHILE, complete};
use super::{Error, Run};
use crate::app::effects::Effect;
use crate::app::forge::{
    Checks, Forge, ForgeErrorClass, MergeMethod, Merging, PullRequest, PullRequestState,
};
use crate::domain::lifecycle::{SeenChecks, SeenPullRequest, SeenState};
use crate::domain::plan::Approval;
use crate::domain::state::{Stage, State, Update};
use crate::repo::write::Id;
use crate::state::Transition;

impl<F: Forge> Run<'_, F> {
    /// The pull request as the decision needs it.
    pub(super) fn seen(&self, update: &Update, pull: &PullRequest) -> Result<SeenPullRequest, Error> {
        // Checks matter only to what the bot may merge itself.
        let checks = match (&pull.state, update.gate) {
            (PullRequestState::Open, Approval::Auto) => self.pass.wait(self.pass.forge.checks(&pull.head))?,
            _ => Checks::default(),
        };
        Ok(SeenPullRequest {
            number: pull.number,
            state: match &pull.state {
                PullRequestState::Open => SeenState::Open,
                PullRequestState::Merged { commit, at } => {
                    SeenState::Merged { commit: commit.clone(), at: *at }
                }
                PullRequestState::Closed => SeenState::Closed,
            },
            head: pull.head.clone(),
            checks: SeenChecks {
                succeeded: checks.succeeded,
                pending: checks.pending,
                failed: checks.failed,
            },
        })
    }

    /// Merges it, or has the forge do that, after a look at the backup point.
    pub(super) fn merge(&mut self, update: &Update, pull: Option<&PullRequest>) -> Result<(), Error> {
        let Some(pull) = pull else { return Ok(()) };
        let Some(backup_id) = &update.backup_id else {
            let why = "no backup point is recorded for it; nothing is merged before one is made".to_owned();
            self.waiting.insert(update.update_id.clone(), why);
            return Ok(());
        };
        // A backup point that cannot be read back stops the merge. It is one of the commit that the branch was made on; what
        // the step changes is the same on the base branch since, or the branch would be made anew with a point of its own.
        // Other files are not what going back from this step needs.
        let read_back = self.pass.backups().read_back(backup_id, None).map_err(Error::from);
        read_back.inspect_err(|error| self.tell_backup_failed(update, error))?;
        if let Some(reason) = self.held_meanwhile(update, pull)? {
            self.waiting.insert(update.update_id.clone(), reason);
            return Ok(());
        }
        self.keep_baseline(&update.update_id)?;
        let what = format!("{} {} -> {}", update.component, update.from, update.to);
        let effect = Effect::Merge { number: pull.number, what };
        let method = self.pass.config.pull_requests.merge_method;
        let message = self.merge_message(pull, method)?;
        let merged = self.unless_stopped(effect, |run| {
            let merging = run.pass.forge.merge_when_ready(pull.number, &pull.head, method, &message);
            Ok(run.pass.wait(merging)?)
        });
        let commit = match merged {
            Ok(Some(Merging::Done { commit })) => Some(commit),
            Ok(Some(Merging::WhenReady { reason })) => {
                self.waiting.insert(update.update_id.clone(), reason);
                None
            }
            Ok(None) => None,
            // The state of the pull request does not allow it: looked at again by the next pass.
            Err(Error::Forge(error)) if error.class == ForgeErrorClass::Conflict => {
                let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                self.waiting.insert(update.update_id.clone(), format!("{}{hint}", error.message));
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(commit) = commit {
            let (number, at) = (pull.number, self.pass.now);
            if let Some(pull) = self.world.pulls.iter_mut().find(|pull| pull.number == number) {
                pull.state = PullRequestState::Merged { commit, at };
            }
        }
        Ok(())
    }

    /// Why it may not be merged any more by what others did since the pass began: maintenance, another update that is held,
    /// what became of this one, or the branch that it is for.
    fn held_meanwhile(&mut self, update: &Update, pull: &PullRequest) -> Result<Option<String>, Error> {
        let now = self.pass.wait(self.pass.forge.pull_request(pull.number))?;
        if !self.is_for_base(&now) {
            return Ok(Some(format!("pull request #{} is for the branch `{}` now", now.number, now.base)));
        }
        self.look_at_state()?;
        let recorded = self.world.state.updates.get(&update.update_id);
        if recorded.is_none_or(|recorded| recorded.stage != Stage::Proposed) {
            return Ok(Some(MEANWHILE.to_owned()));
        }
        Ok(self.gates().merge_hold(update).map(|hold| hold.reason))
    }

    /// Keeps how the cluster is just before a merge.
    fn keep_baseline(&mut self, id: &str) -> Result<(), Error> {
        let Some(baseline) = self.pass.baseline.cloned() else { return Ok(()) };
        self.record("Keep how the cluster is before the merge".to_owned(), |state: &mut State| {
            let update = state.updates.get_mut(id)?;
            complete(update, "pre_update_validation");
            state.baselines.insert(id.to_owned(), baseline.clone());
            Some(
                Transition::new("Keep how the cluster is before the merge")
                    .because("storage, etcd and nodes are as they should be")
                    .trailer("Update", id),
            )
        })
    }

    /// What is said of the merge: one commit keeps its own words, with the trailers by which it is known.
    fn merge_message(&self, pull: &PullRequest, method: MergeMethod) -> Result<String, Error> {
        let head: Option<Id> = pull.head.parse().ok().filter(|head| self.pass.git.has(*head));
        match (method, head) {
            (MergeMethod::Squash, Some(head)) => Ok(self.pass.git.commit_info(head)?.message),
            _ => Ok(pull.title.clone()),
        }
    }

    /// What the forge was asked to merge by itself is not merged while nothing may be. The kill switch does not stop
    /// this: it is what the switch is for. What a person asked the forge for stays.
    pub(super) fn withdraw_merge(
        &mut self,
        update: &Update,
        pull: &PullRequest,
        seen: &SeenPullRequest,
        reason: &str,
    ) -> Result<(), Error> {
        // The forge is asked for a merge only under this gate, and only when checks are green.
        let may_be =
            pull.merges_itself || seen.checks.succeeded > 0 || !self.pass.config.pull_requests.require_checks;
        if update.gate != Approval::Auto
            || update.stage != Stage::Proposed
            || pull.state != PullRequestState::Open
            || !may_be
            || !self.pass.wait(self.pass.forge.will_merge(pull))?
        {
            return Ok(());
        }
        let number = pull.number;
        let what = format!("the forge must not merge it by itself now: {reason}");
        self.effect(Effect::Change { number, what }, |run| {
            Ok(run.pass.wait(run.pass.forge.withdraw_merge(number))?)
        })?;
        if let Some(pull) = self.world.pulls.iter_mut().find(|pull| pull.number == number) {
            pull.merges_itself = false;
        }
        Ok(())
    }
}

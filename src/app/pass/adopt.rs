//! Rebuilds records that were lost from what is left of them: pull requests with their hidden comments, the commits of
//! the base branch, labels and commit statuses.
//!
//! Nothing of it is taken on trust that decides about work of others: a branch is ours only where its commits say so, and a
//! closed pull request is a person's word only where the bot did not close it itself.

use super::close::{KEPT_MARKER, closed_marker};
use super::known::DECLINED;
use super::{Error, UnderWay};
use crate::app::forge::{Forge, PullRequest, PullRequestState, StatusState};
use crate::domain::message::settled::{HOLD_LABEL, STATUS_CONTEXT};
use crate::domain::message::{Marker, reverted_updates};
use crate::domain::state::{Quarantined, Stage, State, Update};
use crate::repo::write::Id;
use crate::state::Transition;

/// Most commits of the base branch that are looked through for a revert.
const MOST_COMMITS: usize = 2_000;

/// What became of an update whose record was lost.
struct Fate {
    stage: Stage,
    reason: String,
    verified_by: Option<String>,
    /// Why its version is not proposed again.
    quarantine: Option<String>,
}

impl Fate {
    fn new(stage: Stage, reason: impl Into<String>) -> Self {
        Self { stage, reason: reason.into(), verified_by: None, quarantine: None }
    }
}

impl<F: Forge> UnderWay<'_, F> {
    /// Records pull requests of ours that the state does not know: it was lost, or a pass was killed.
    ///
    /// A pull request whose hidden comment somebody changed is a failure of that pull request alone.
    pub(in crate::app) fn adopt(&mut self) -> Result<(), Error> {
        // Oldest first, so that the newest record of a component is the last.
        let marked: Vec<(PullRequest, Marker)> = self
            .world
            .pulls
            .iter()
            .rev()
            .filter_map(|pull| Some((pull.clone(), Marker::parse(&pull.body)?)))
            .collect();
        for (at, (pull, marker)) in marked.iter().enumerate() {
            let updates = &self.world.state.updates;
            // What is recorded is known by its number, whatever its body says since.
            if updates.contains_key(&marker.update_id)
                || updates.values().any(|update| update.pull_request == Some(pull.number))
            {
                continue;
            }
            if let Err(error) = self.adopt_one(pull, marker, &marked[at + 1..]) {
                self.failed(&format!("pull request #{}", pull.number), error)?;
            }
        }
        Ok(())
    }

    fn adopt_one(
        &mut self,
        pull: &PullRequest,
        marker: &Marker,
        later: &[(PullRequest, Marker)],
    ) -> Result<(), Error> {
        if let Err(why) = marker.check(&pull.branch) {
            let error = Error::Marker { number: pull.number, why };
            if pull.state == PullRequestState::Open {
                return Err(error);
            }
            // It is over, and nobody has to mend it.
            let told = error.to_string();
            if !self.warnings.contains(&told) {
                self.warnings.push(told);
            }
            return Ok(());
        }
        let fate = self.fate(pull, marker, later)?;
        let unwanted = fate.quarantine.clone();
        let update = self.rebuilt(pull, marker, fate)?;
        let what = format!("Rebuild the record of {} {} -> {}", update.component, update.from, update.to);
        self.record(what.clone(), |state: &mut State| {
            if state.updates.contains_key(&update.update_id) {
                return None;
            }
            if let Some(reason) = &unwanted {
                state.put_in_quarantine(Quarantined::of(&update, reason, update.changed_at));
            }
            state.updates.insert(update.update_id.clone(), update.clone());
            let transition = Transition::new(&what).because("its pull request was there, its record was not");
            Some(transition.trailer("Update", &update.update_id))
        })
    }

    /// What became of it, as far as that can be told.
    fn fate(
        &self,
        pull: &PullRequest,
        marker: &Marker,
        later: &[(PullRequest, Marker)],
    ) -> Result<Fate, Error> {
        let commit = match &pull.state {
            PullRequestState::Open => return Ok(Fate::new(Stage::Proposed, "rebuilt from its pull request")),
            // Somebody gave it another branch: that is no merge into the base branch.
            PullRequestState::Merged { .. } if !self.is_for_base(pull) => {
                return Ok(Fate::new(Stage::Proposed, "rebuilt from its pull request"));
            }
            PullRequestState::Closed => return self.closed(pull, marker),
            PullRequestState::Merged { commit, .. } => commit,
        };
        let id = &marker.update_id;
        if let Some(by) = self.reverted_by(commit, id)? {
            let reason = format!("reverted by {by}");
            return Ok(Fate { quarantine: Some(reason.clone()), ..Fate::new(Stage::Reverted, reason) });
        }
        if pull.labels.iter().any(|label| label.eq_ignore_ascii_case(HOLD_LABEL)) {
            let reason = "it was held when its record was lost; its pull request says why".to_owned();
            return Ok(Fate::new(Stage::Held, reason));
        }
        let statuses = self.pass.wait(self.pass.forge.statuses(commit))?;
        let is_green = statuses
            .iter()
            .any(|status| status.context == STATUS_CONTEXT && status.state == StatusState::Success);
        // Nothing further of a component is proposed before it is verified.
        let went_on = later.iter().find(|(_, next)| {
            next.component == marker.component && next.from == marker.to && next.update_id != marker.update_id
        });
        let verified_by = match (is_green, went_on) {
            (true, _) => Some(format!("commit status `{STATUS_CONTEXT}`")),
            (false, Some((next, _))) => Some(format!("pull request #{}, which builds on it", next.number)),
            (false, None) => None,
        };
        if verified_by.is_some() {
            return Ok(Fate { verified_by, ..Fate::new(Stage::Verified, "rebuilt from its pull request") });
        }
        Ok(Fate::new(
            Stage::Merged,
            format!(
                "its record was lost, and nothing says whether it was verified; the cluster says so, or you do, by its \
                 box on the dashboard or with `gitops-updater verify --accept {id}`"
            ),
        ))
    }

    /// A closed pull request says "not this version", unless it was the bot who closed it, which said so there.
    fn closed(&self, pull: &PullRequest, marker: &Marker) -> Result<Fate, Error> {
        let closing = closed_marker(&marker.update_id);
        let said = self.pass.wait(self.pass.forge.own_comment(pull.number, &closing))?;
        if said.is_some_and(|said| !said.contains(KEPT_MARKER)) {
            return Ok(Fate::new(Stage::Abandoned, "closed by the bot, as its pull request says"));
        }
        let quarantine = Some(DECLINED.to_owned());
        Ok(Fate { quarantine, ..Fate::new(Stage::Abandoned, DECLINED) })
    }

    /// The commit of the base branch that says it takes an update back, shortened.
    fn reverted_by(&self, commit: &str, id: &str) -> Result<Option<String>, Error> {
        let Some(since) = commit.parse::<Id>().ok().filter(|commit| self.pass.git.has(*commit)) else {
            return Ok(None);
        };
        let commits = self.pass.git.newest_since(Some(since), self.world.base, MOST_COMMITS)?;
        let mut takes_back = commits
            .iter()
            .filter(|commit| reverted_updates(&commit.message).iter().any(|reverted| reverted == id));
        Ok(takes_back.next().map(|commit| commit.id.short()))
    }

    /// The record of a pull request, as far as its hidden comment tells.
    fn rebuilt(&self, pull: &PullRequest, marker: &Marker, fate: Fate) -> Result<Update, Error> {
        let now = self.pass.now;
        let merged = match &pull.state {
            PullRequestState::Merged { commit, at } if self.is_for_base(pull) => Some((commit.clone(), *at)),
            PullRequestState::Merged { .. } | PullRequestState::Open | PullRequestState::Closed => None,
        };
        let mut completed_phases = vec!["backup_creation".to_owned(), "proposal".to_owned()];
        if merged.is_some() {
            completed_phases.push("merge".to_owned());
        }
        if fate.stage == Stage::Verified {
            completed_phases.push("verification".to_owned());
        }
        let mut update = Update {
            update_id: marker.update_id.clone(),
            status: fate.stage.status(),
            stage: fate.stage,
            started_at: now,
            changed_at: now,
            campaign: marker.campaign.clone(),
            component: marker.component.clone(),
            chart: marker.chart.clone(),
            from: marker.from.clone(),
            to: marker.to.clone(),
            update_type: marker.update_type,
            gate: marker.gate,
            policy_applied: marker.policy_applied.clone(),
            revert: marker.revert.clone(),
            backup_id: marker.backup_id.clone(),
            branch: pull.branch.clone(),
            base: marker.base.clone(),
            head: None,
            pull_request: Some(pull.number),
            merge_commit: merged.as_ref().map(|(commit, _)| commit.clone()),
            merged_at: merged.map(|(_, at)| at),
            current_phase: None,
            completed_phases,
            failure_stage: None,
            reason: Some(fate.reason),
            verified_by: fate.verified_by,
            settling: Default::default(),
        };
        // Where the branch is counts as ours only if everything on it is.
        let head = self.world.refs.branch(&update.branch).filter(|head| head.to_string() == pull.head);
        if let Some(head) = head
            && !self.is_foreign(&update, head)?
        {
            update.head = Some(head.to_string());
        }
        Ok(update)
    }
}

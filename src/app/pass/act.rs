//! Takes each update that is under way one step further.

use jiff::Timestamp;

use super::known::{AS_TODAY, DECLINED};
use super::{Error, Run, UnderWay};
use crate::app::effects::{Came, Effect};
use crate::app::forge::{Forge, PullRequest, PullRequestChange, PullRequestState};
use crate::app::plan::Planned;
use crate::domain::lifecycle::{self, Action, Situation, Wanted};
use crate::domain::message::{Action as Tick, Marker};
use crate::domain::plan::Step;
use crate::domain::policy::Verification;
use crate::domain::settle::record::A_PERSON;
use crate::domain::state::{Quarantined, RollbackPoint, Stage, State, Update};
use crate::repo::write::{self, Id, Pushed, RefUpdate, WriteRepo};
use crate::state::Transition;

/// Why nothing is done about what another run has recorded since this one began.
pub(super) const MEANWHILE: &str = "another run went on with it meanwhile";
/// What is said of an update on whose branch somebody works.
pub const LEFT_ALONE: &str = "somebody else has committed to its branch; it is left alone";
/// Who ticked a box on the dashboard: whoever may edit issues.
pub(super) const DASHBOARD: &str = "a person on the dashboard";

impl<F: Forge> Run<'_, F> {
    /// One action for each update that is not over, until there is nothing more to do for it now.
    pub(super) fn take_further(&mut self, planned: &Planned) -> Result<(), Error> {
        let ids: Vec<String> = self.world.state.updates.keys().cloned().collect();
        for id in ids {
            // Merged now may be verified at once; nothing takes more than these.
            for _ in 0..3 {
                let Some(update) = self.world.state.updates.get(&id).cloned() else { break };
                match self.act(&update, planned) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        self.failed(&update.component, error)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Does the one thing that comes next; `true` where something was recorded, so that more may follow.
    fn act(&mut self, update: &Update, planned: &Planned) -> Result<bool, Error> {
        let head = self.world.refs.branch(&update.branch);
        let pull = self.pull_of(update).cloned();
        let (update, foreign) = &self.with_our_head(update, head, planned)?;
        let mut wanted = self.wanted(update, head, planned);
        let rebuild = Tick::Rebuild { update_id: update.update_id.clone() };
        if wanted == Wanted::Same
            && self.ticked.contains(&rebuild)
            && !self.touched.contains(&update.update_id)
        {
            wanted = Wanted::Rebuilt;
        }
        // Whatever it was made for, a backup point comes before a merge: the proposal is made anew with one.
        if wanted == Wanted::Same && update.backup_id.is_none() {
            wanted = Wanted::Rebuilt;
        }
        let policy = self.survey.policies.get(&update.component);
        let seen = match &pull {
            Some(pull) => Some(self.seen(update, pull)?),
            None => None,
        };
        let is_elsewhere = |pull: &PullRequest| head.is_some_and(|head| head.to_string() != pull.head);
        let unfit = self.pass.unfit.and_then(|unfit| unfit.of(&update.component));
        let groundless = self.must_not_be_merged(update);
        let hold = groundless.clone().or_else(|| self.gates().merge_hold(update).map(|hold| hold.reason));
        let hold = hold.or(unfit);
        let hold = hold.or_else(|| self.unwritten(update)).or_else(|| self.out_of_reach(update, planned));
        let ticked = self.ticked.contains(&Tick::Accept { update_id: update.update_id.clone() });
        let accepted = self.pass.accepted.get(&update.update_id).map(String::as_str);
        let situation = Situation {
            update,
            seen: seen.as_ref(),
            foreign: *foreign,
            moving: pull.as_ref().is_some_and(is_elsewhere),
            elsewhere: pull.as_ref().filter(|pull| !self.is_for_base(pull)).map(|pull| pull.base.as_str()),
            asked_anew: self.ticked.contains(&rebuild),
            wanted: wanted.clone(),
            verification: policy.map_or(Verification::Observed, |policy| policy.verification.value),
            accepted_by: accepted.or_else(|| ticked.then_some(DASHBOARD)),
            gate: step_of(update, planned).map(|step| (step.gate, step.policy_applied.as_str())),
            groundless: groundless.as_deref(),
            merge_hold: hold.as_deref(),
            checks_optional: !self.pass.config.pull_requests.require_checks,
            now: self.pass.now,
        };
        if let (Some(reason), Some(seen), Some(pull)) = (lifecycle::forbids_merge(&situation), &seen, &pull) {
            self.withdraw_merge(update, pull, seen, &reason)?;
        }
        let action = lifecycle::next(&situation);
        let stays = matches!(action, Action::Wait { .. } | Action::Merge);
        if let Some(pull) = pull.as_ref().filter(|pull| stays && pull.state == PullRequestState::Open)
            && update.stage == Stage::Proposed
        {
            let requires = step_of(update, planned).map(|step| step.requires.clone()).unwrap_or_default();
            self.tell_ground(update, &requires, pull)?;
        }
        self.carry(update, pull.as_ref(), action, &wanted, planned)
    }

    fn carry(
        &mut self,
        update: &Update,
        pull: Option<&PullRequest>,
        action: Action,
        wanted: &Wanted,
        planned: &Planned,
    ) -> Result<bool, Error> {
        let id = update.update_id.clone();
        // Recording goes on whatever is stopped; everything else asks first.
        let stopped = self.kill_switch.is_some();
        match action {
            // A pass may have been stopped between the record and this.
            Action::Over => {
                let name = update.branch.as_str();
                let is_open =
                    |pull: &PullRequest| pull.branch == name && pull.state == PullRequestState::Open;
                if !self.world.pulls.iter().any(is_open) {
                    self.delete_branch(update)?;
                }
                Ok(false)
            }
            Action::Wait { reason } => {
                self.waiting.insert(id, reason);
                Ok(false)
            }
            Action::HandsOff => {
                let rebuild = Tick::Rebuild { update_id: id.clone() };
                let box_waits = match self.ticked.contains(&rebuild) {
                    true => ", and not written anew while those commits are on it",
                    false => "",
                };
                let unsafe_now = self.must_not_be_merged(update);
                let unsafe_now = unsafe_now.map(|why| format!("; do not merge it now: {why}"));
                let said = format!("{LEFT_ALONE}{box_waits}{}", unsafe_now.unwrap_or_default());
                self.waiting.insert(id, said);
                let why = format!("somebody has committed to the branch of {}", update.to);
                self.occupied.insert(update.component.clone(), (update.to.clone(), why));
                Ok(false)
            }
            Action::LeaveAlone { reason } => {
                self.waiting.insert(id, reason);
                let why = format!("somebody has taken the pull request of {} to another branch", update.to);
                self.occupied.insert(update.component.clone(), (update.to.clone(), why));
                Ok(false)
            }
            Action::RecordMerge { commit, at } => {
                self.record_merge(&id, pull.map(|pull| pull.number), &commit, at)?;
                Ok(true)
            }
            Action::RecordClosed => {
                let now = self.pass.now;
                let what = format!("Do not propose {} {} again", update.component, update.to);
                self.record(what, |state: &mut State| {
                    let update =
                        state.updates.get_mut(&id).filter(|update| update.stage == Stage::Proposed)?;
                    update.stage = Stage::Abandoned;
                    update.settling.decided_by = Some(A_PERSON.to_owned());
                    update.status = update.stage.status();
                    update.changed_at = now;
                    update.reason = Some(DECLINED.to_owned());
                    let update = update.clone();
                    state.put_in_quarantine(Quarantined::of(&update, DECLINED, now));
                    Some(Transition::of(&update))
                })?;
                self.delete_branch(update)?;
                Ok(false)
            }
            Action::RecordVerified { by } => {
                self.verify(&id, &by)?;
                Ok(false)
            }
            Action::KeepOpen => {
                self.keep_open(update, pull)?;
                Ok(true)
            }
            _ if stopped => {
                self.waiting.insert(id, "everything is stopped by the kill switch".to_owned());
                Ok(false)
            }
            Action::Close { reason } => {
                match wanted {
                    // Only when what takes its place is open, so that there is always one to look at.
                    Wanted::Superseded { by } if pull.is_some() => {
                        self.waiting.insert(id, format!("{by} is about to take its place"));
                        self.replaced.push((update.clone(), by.clone(), decided_by(update, planned)));
                    }
                    _ => {
                        let decided = decided_by(update, planned);
                        self.close(update, pull, &reason, None, decided.as_deref())?;
                    }
                }
                Ok(false)
            }
            Action::Merge if pull.is_some_and(|pull| pull.merges_itself) => {
                self.waiting.insert(id, "the forge merges it when its rules allow it".to_owned());
                Ok(false)
            }
            Action::Merge => {
                self.merge(update, pull)?;
                Ok(!self.waiting.contains_key(&id))
            }
            Action::Propose | Action::Rebuild => {
                if !self.touched.insert(id.clone()) {
                    return Ok(false);
                }
                let Some(step) = step_of(update, planned).cloned() else { return Ok(false) };
                let holds = match action {
                    Action::Propose => {
                        self.look_at_state()?;
                        let recorded = self.world.state.updates.get(&id);
                        if recorded.is_none_or(|recorded| recorded.stage != Stage::Proposed) {
                            self.waiting.insert(id, MEANWHILE.to_owned());
                            return Ok(false);
                        }
                        self.unproposed_holds(&step)
                    }
                    // What is open stays as it should be at any hour.
                    _ => Vec::new(),
                };
                if let Some(reason) = holds.first() {
                    self.waiting.insert(id, reason.clone());
                    return Ok(false);
                }
                let before = self.effects.len() + self.found.len();
                self.finish(update, &step, planned)?;
                let asked = self.ticked.contains(&Tick::Rebuild { update_id: id.clone() });
                if asked && before == self.effects.len() + self.found.len() {
                    self.waiting.insert(id, AS_TODAY.to_owned());
                }
                Ok(false)
            }
        }
    }

    /// Why a step whose update is recorded and not yet open must wait.
    fn unproposed_holds(&self, step: &Step) -> Vec<String> {
        self.gates()
            .holds(step, &[])
            .into_iter()
            .map(|hold| format!("{}: {}", hold.gate, hold.reason))
            .collect()
    }
}

impl<F: Forge> UnderWay<'_, F> {
    /// Whether a pull request is for the base branch: people can give it another one.
    pub(in crate::app) fn is_for_base(&self, pull: &PullRequest) -> bool {
        pull.base == self.world.base_branch
    }

    /// The pull request of an update, by its number. A pass may have been stopped before it could note it: then by
    /// what it says about itself, whatever became of it since, else by its branch.
    pub(in crate::app) fn pull_of(&self, update: &Update) -> Option<&PullRequest> {
        let numbered = |pull: &&PullRequest| update.pull_request == Some(pull.number);
        let is_marked = |pull: &&PullRequest| {
            update.pull_request.is_none()
                && Marker::parse(&pull.body).is_some_and(|marker| marker.update_id == update.update_id)
        };
        let of_branch = |pull: &&PullRequest| {
            pull.branch == update.branch
                && update.pull_request.is_none()
                && pull.state == PullRequestState::Open
                && may_be_of(pull, update)
        };
        let pulls = || self.world.pulls.iter();
        pulls().find(numbered).or_else(|| pulls().find(is_marked)).or_else(|| pulls().find(of_branch))
    }

    /// Has the forge keep what is seen of a pull request now; no effect, because it changes nothing that anybody sees.
    pub(in crate::app) fn note(&self, number: u64) -> Result<(), Error> {
        match self.pass.witness.acts() {
            true => Ok(self.pass.wait(self.pass.forge.note(number))?),
            false => Ok(()),
        }
    }

    /// Records that a pull request was merged.
    pub(in crate::app) fn record_merge(
        &mut self,
        id: &str,
        number: Option<u64>,
        commit: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        let merged = self.world.state.updates.get(id).and_then(|update| update.pull_request).or(number);
        if let Some(merged) = merged {
            self.note(merged)?;
        }
        self.record_update(id, |update| {
            if update.stage != Stage::Proposed {
                return;
            }
            update.stage = Stage::Merged;
            update.merge_commit = Some(commit.to_owned());
            update.merged_at = Some(at);
            update.pull_request = update.pull_request.or(number);
            complete(update, "merge");
            update.reason = None;
        })
    }

    pub(in crate::app) fn verify(&mut self, id: &str, by: &str) -> Result<(), Error> {
        let now = self.pass.now;
        let Some(update) = self.world.state.updates.get(id).cloned() else { return Ok(()) };
        let what = format!("Verify {} {} -> {}", update.component, update.from, update.to);
        self.record(what, |state: &mut State| mark_verified(state, id, by, now))?;
        self.delete_branch(&update)
    }

    /// Takes a branch of ours away, if it is as we left it.
    pub(in crate::app) fn delete_branch(&mut self, update: &Update) -> Result<(), Error> {
        let Some(head) = self.world.refs.branch(&update.branch) else { return Ok(()) };
        let is_ours = update.head.as_deref() == Some(head.to_string().as_str());
        if !is_ours || self.may_not()? {
            return Ok(());
        }
        let done = self.effect_or_found(Effect::DeleteBranch { branch: update.branch.clone() }, |run| {
            let is_ours = delete_branch(&run.pass.git, update, head)?;
            Ok(if is_ours { Came::Done(()) } else { Came::Found(()) })
        })?;
        if done.is_some() {
            self.world.refs.refs.remove(&format!("refs/heads/{}", update.branch));
        }
        Ok(())
    }

    /// Adds or changes what a pull request says about itself.
    pub(in crate::app) fn change(
        &mut self,
        pull: &PullRequest,
        change: PullRequestChange,
        what: &str,
    ) -> Result<(), Error> {
        let effect = Effect::Change { number: pull.number, what: what.to_owned() };
        self.effect(effect, |run| Ok(run.pass.wait(run.pass.forge.change(pull, &change))?)).map(drop)
    }
}

/// Whether a pull request names no other update: branches have the same name with every attempt at a version.
pub(super) fn may_be_of(pull: &PullRequest, update: &Update) -> bool {
    Marker::parse(&pull.body).is_none_or(|marker| marker.update_id == update.update_id)
}

/// The step of an update in the plan of today.
pub(super) fn step_of<'p>(update: &Update, planned: &'p Planned) -> Option<&'p Step> {
    let mut steps = planned.report.waves.iter().flat_map(|wave| &wave.steps);
    steps.find(|step| step.component == update.component && step.to == update.to)
}

/// Deletes the branch of an update, which is at `head`, if that is how we left it; `false` where it was not, or somebody
/// was faster.
///
/// # Errors
///
/// The remote cannot be reached or refuses.
pub fn delete_branch(git: &WriteRepo, update: &Update, head: Id) -> Result<bool, write::Error> {
    if update.head.as_deref() != Some(head.to_string().as_str()) {
        return Ok(false);
    }
    match git.push(&[RefUpdate::delete(format!("refs/heads/{}", update.branch), head)]) {
        // Somebody was faster, or the forge deletes merged branches itself.
        Err(error) if error.lost_race() => Ok(false),
        pushed => Ok(pushed? == Pushed::Moved),
    }
}

/// Whether a person may say of an update that it is good: it is merged, and may be held since.
pub fn may_be_verified(update: &Update) -> bool {
    match update.stage {
        Stage::Merged | Stage::Rolling => true,
        Stage::Held => update.merge_commit.is_some(),
        Stage::Proposed | Stage::Verified | Stage::Reverted | Stage::Abandoned => false,
    }
}

/// What decided that an update is not wanted any more: what holds its component, or what gates the step in its place.
fn decided_by(update: &Update, planned: &Planned) -> Option<String> {
    let mut held = planned.report.held.iter();
    let key = held.find(|held| held.component == update.component).map(|held| held.policy_applied.clone());
    let mut steps = planned.report.waves.iter().flat_map(|wave| &wave.steps);
    let step =
        || steps.find(|step| step.component == update.component).map(|step| step.policy_applied.clone());
    key.unwrap_or_else(step)
}

/// What decided that an update is verified, by the words of who said so.
fn decided(by: &str) -> &'static str {
    match by {
        by if by.starts_with("policy `verification") => "policy.verification",
        by if by.starts_with("the cluster: ") => "validation",
        _ => A_PERSON,
    }
}

/// Records that a merged update is verified, or that what was reverted is good as it is; `None` where there is no such
/// update, or it is not merged.
pub fn mark_verified(state: &mut State, id: &str, by: &str, now: Timestamp) -> Option<Transition> {
    let update = state.updates.get_mut(id).filter(|update| may_be_verified(update))?;
    if update.stage == Stage::Held {
        update.settling.acknowledged_by = Some(by.to_owned());
    }
    update.settling.hold = None;
    update.settling.decided_by = Some(decided(by).to_owned());
    update.changed_at = now;
    update.current_phase = None;
    if update.settling.reversal.as_ref().is_some_and(|reversal| reversal.commit.is_some()) {
        update.stage = Stage::Reverted;
        update.status = update.stage.status();
        update.reason = Some(format!("reverted; {by}"));
        return Some(Transition::of(update));
    }
    // A revert that is only proposed is not wanted any more.
    update.settling.reversal = None;
    update.stage = Stage::Verified;
    update.status = update.stage.status();
    complete(update, "verification");
    update.verified_by = Some(by.to_owned());
    update.reason = None;
    let update = update.clone();
    if let Some(campaign) = state.campaigns.get_mut(&update.campaign) {
        let phase = format!("{}_update", phase_of(&update.component));
        if let Some(commit) = &update.merge_commit {
            campaign.rollback_points.push(RollbackPoint {
                phase: phase.clone(),
                git_commit: commit.clone(),
                timestamp: now,
            });
        }
        if !campaign.completed_phases.contains(&phase) {
            campaign.completed_phases.push(phase);
        }
        campaign.current_phase = None;
    }
    Some(Transition::of(&update))
}

/// Notes that a phase is done, once.
pub(in crate::app) fn complete(update: &mut Update, phase: &str) {
    if !update.completed_phases.iter().any(|done| done == phase) {
        update.completed_phases.push(phase.to_owned());
    }
}

/// A component id as a word in the names of phases: `k3s`, `helm_apps_podinfo`.
pub(in crate::app) fn phase_of(component: &str) -> String {
    component.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

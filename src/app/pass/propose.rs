//! Proposes a step: record, backup point, branch, pull request, in this order.
//!
//! The record comes first, so that of two runs one wins and the other goes on with the winner's ids; the commit is the
//! same whoever makes it, because its time is that of the record. Whatever is there already is not done again.

use std::collections::{BTreeMap, BTreeSet};

use super::act::{complete, phase_of};
use super::{Error, Run};
use crate::app::effects::{Came, Effect};
use crate::app::forge::Forge;
use crate::app::gates::Gates;
use crate::app::plan::Planned;
use crate::backup;
use crate::domain::backup::{self as point, BackedUp, BackupPoint, BackupStep};
use crate::domain::chart_diff::Comparison;
use crate::domain::ground;
use crate::domain::message::branch_name;
use crate::domain::plan::before::{self, Requirements};
use crate::domain::plan::{Approval, Held, Revert, RevertSafety, Step};
use crate::domain::policy::BUILT_IN;
use crate::domain::state::{Campaign, Stage, State, Update, UpdateStatus, fresh_id};
use crate::repo::write::Pushed;
use crate::state::Transition;

impl<F: Forge> Run<'_, F> {
    /// Proposes what the plan has next, as far as limits allow.
    pub(super) fn propose_next(&mut self, planned: &Planned) -> Result<(), Error> {
        let next: Vec<Step> = planned
            .report
            .waves
            .iter()
            .flat_map(|wave| &wave.steps)
            .filter(|step| step.next && self.is_selected(step))
            .filter(|step| !self.is_under_way(step))
            .cloned()
            .collect();
        let mut ahead: Vec<Step> = Vec::new();
        for step in next {
            if let Some(held) = self.held_by_a_person(&step).or_else(|| self.held_by_its_ground(&step)) {
                self.held.insert(step.id.clone(), held);
                continue;
            }
            let before: Vec<&Step> = ahead.iter().collect();
            if let Some(hold) = self.gates().holds(&step, &before).into_iter().next() {
                tracing::info!(
                    component = step.component,
                    gate = hold.gate,
                    reason = hold.reason,
                    "candidate held"
                );
                continue;
            }
            match self.propose(&step, &before, planned) {
                Ok(true) => ahead.push(step),
                Ok(false) => {}
                Err(error) => self.failed(&step.component, error)?,
            }
        }
        self.end_campaigns(planned)
    }

    /// A person works on another version of the component: a second pull request would be in the way.
    fn held_by_a_person(&self, step: &Step) -> Option<Held> {
        let (_, why) = self.occupied.get(&step.component).filter(|(version, _)| *version != step.to)?;
        Some(Held {
            component: step.component.clone(),
            from: Some(step.from.clone()),
            to: Some(step.to.clone()),
            gate: "foreign_commits".to_owned(),
            reason: format!("{why}; merge or close that pull request first"),
            constraint: None,
            policy_applied: Some(BUILT_IN.to_owned()),
            until: None,
        })
    }

    /// A person goes back from what had to come first.
    fn held_by_its_ground(&self, step: &Step) -> Option<Held> {
        let lost = ground::lost_by(&self.world.state, step, self.pass.now);
        Some(Held {
            component: step.component.clone(),
            from: Some(step.from.clone()),
            to: Some(step.to.clone()),
            gate: "order".to_owned(),
            reason: ground::reason(&lost)?,
            constraint: None,
            policy_applied: Some("rules, dependsOn".to_owned()),
            until: None,
        })
    }

    pub(super) fn is_under_way(&self, step: &Step) -> bool {
        self.world.state.updates.values().any(|update| {
            update.component == step.component
                && update.to == step.to
                && update.status == UpdateStatus::InProgress
        })
    }

    /// `false` where a look at it held it.
    fn propose(&mut self, step: &Step, ahead: &[&Step], planned: &Planned) -> Result<bool, Error> {
        // Whatever cannot be made, or must not be, is known before anything is recorded.
        let files = self.files(step, planned)?;
        let comparison = self.compare_charts(step);
        if let Some(held) = self.held_by_data(step) {
            tracing::info!(
                component = step.component,
                gate = held.gate,
                reason = held.reason,
                "candidate held"
            );
            self.held.insert(step.id.clone(), held);
            return Ok(false);
        }
        let step = &with_what_is_lost(step, &comparison);
        if let Some(hold) = self.gates().holds(step, ahead).into_iter().next() {
            let waits = format!("{}: {}", hold.gate, hold.reason);
            tracing::info!(component = step.component, reason = waits, "candidate held");
            return Ok(false);
        }
        let id = self.claim(step, planned)?;
        let Some(update) = self.world.state.updates.get(&id).cloned() else { return Ok(false) };
        self.go_through(&update, step, planned, &files, &comparison)?;
        Ok(true)
    }

    /// Finishes a proposal that was begun, or makes it again on the base branch of today.
    pub(super) fn finish(&mut self, update: &Update, step: &Step, planned: &Planned) -> Result<(), Error> {
        let files = self.files(step, planned)?;
        let comparison = self.compare_charts(step);
        let step = with_what_is_lost(step, &comparison);
        // The base branch may have moved to another version meanwhile: it is that one which is left.
        let update = Update { from: step.from.clone(), update_type: step.update_type, ..update.clone() };
        self.go_through(&update, &step, planned, &files, &comparison)
    }

    pub(super) fn files(&self, step: &Step, planned: &Planned) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut files = self.edited(step, planned)?;
        files.extend(self.generated(step, planned)?);
        Ok(files)
    }

    /// Records the step as proposed, or finds the record that another run made; returns its id.
    fn claim(&mut self, step: &Step, planned: &Planned) -> Result<String, Error> {
        let now = self.pass.now;
        let order: Vec<String> =
            planned.report.waves.iter().flat_map(|wave| &wave.steps).map(|step| step.id.clone()).collect();
        let branch = branch_name(&step.component, &step.to);
        let base_id = self.world.base;
        let base = base_id.to_string();
        let chart = self.survey.subject(&step.component).and_then(|subject| subject.component.chart());
        let step = step.clone();
        let what = format!("Propose {} {} -> {}", step.component, step.from, step.to);
        let baseline = self.pass.baseline.cloned();
        let (config, survey, windows) = (self.pass.config, self.survey, self.pass.windows);
        let kill_switch = self.kill_switch;
        self.record(what.clone(), |state: &mut State| {
            if found(state, &step).is_some() {
                return None;
            }
            // Another pass may have used up what limits allow meanwhile.
            let gates = Gates { now, config, survey, state, windows, kill_switch };
            if !gates.holds(&step, &[]).is_empty() {
                return None;
            }
            let campaign = campaign(state, &order, &planned.requires, now);
            let update_id = fresh_id("update", now, |id| state.updates.contains_key(id));
            let backup_id = backup::id_for_step(now, base_id, &step.component, &step.to);
            let update = Update {
                update_id: update_id.clone(),
                status: UpdateStatus::InProgress,
                stage: Stage::Proposed,
                started_at: now,
                changed_at: now,
                campaign: campaign.clone(),
                component: step.component.clone(),
                chart: chart.clone(),
                from: step.from.clone(),
                to: step.to.clone(),
                update_type: step.update_type,
                gate: step.gate,
                policy_applied: step.policy_applied.clone(),
                revert: step.revert.clone(),
                backup_id: Some(backup_id.clone()),
                branch: branch.clone(),
                base: Some(base.clone()),
                head: None,
                pull_request: None,
                merge_commit: None,
                merged_at: None,
                current_phase: Some(format!("updating_{}", phase_of(&step.component))),
                completed_phases: Vec::new(),
                failure_stage: None,
                reason: None,
                verified_by: None,
                settling: Default::default(),
            };
            if let Some(campaign) = state.campaigns.get_mut(&campaign) {
                campaign.current_phase.clone_from(&update.current_phase);
                campaign.backup_id = Some(backup_id);
            }
            if let Some(baseline) = &baseline {
                state.baselines.insert(update_id.clone(), baseline.clone());
            }
            let transition = Transition::of(&update);
            state.updates.insert(update_id, update);
            Some(transition)
        })?;
        let claimed = found(&self.world.state, &step).map(|update| update.update_id.clone());
        if claimed.is_none() {
            // Another pass has not done it either: it only used up what limits allow.
            self.found.retain(|effect| *effect != Effect::Record { what: what.clone() });
        }
        Ok(claimed.unwrap_or_default())
    }

    fn go_through(
        &mut self,
        update: &Update,
        step: &Step,
        planned: &Planned,
        files: &BTreeMap<String, Vec<u8>>,
        comparison: &Comparison,
    ) -> Result<(), Error> {
        let update = &self.on_base_of_today(update);
        self.back_up(update)?;
        self.try_before(std::slice::from_ref(&update.update_id))?;
        let written = self.texts(update, step, planned, &comparison.sections)?;
        let head = self.push_branch(update, &written, files)?;
        let number = self.open(update, step, &written)?;
        let head = head.map(|head| head.to_string());
        let verb = match update.pull_request {
            None => "Note the pull request of",
            Some(_) => "Note the new branch of",
        };
        self.record(format!("{verb} {} {} -> {}", update.component, update.from, update.to), |state| {
            let known = state.updates.get_mut(&update.update_id)?;
            let before = known.clone();
            complete(known, "backup_creation");
            complete(known, "proposal");
            (known.from, known.update_type) = (step.from.clone(), step.update_type);
            known.base.clone_from(&update.base);
            known.backup_id.clone_from(&update.backup_id);
            known.head = head.clone().or_else(|| known.head.take());
            known.pull_request = number.or(known.pull_request);
            let after = known.clone();
            let campaign = state.campaigns.get_mut(&after.campaign);
            if let Some(campaign) = campaign.filter(|campaign| campaign.backup_id == before.backup_id) {
                campaign.backup_id.clone_from(&after.backup_id);
            }
            (after != before).then(|| Transition::told(verb, &after))
        })
    }

    /// The update as its change is made now: on the base branch of today, with a backup point of that. Points are written
    /// once, so that another base has another point; the record names it when the branch is there. Its id follows from the
    /// record and the base alone: whoever goes on after a pass was killed finds it.
    fn on_base_of_today(&self, update: &Update) -> Update {
        let base = self.world.base.to_string();
        if update.base.as_ref() == Some(&base) && update.backup_id.is_some() {
            return update.clone();
        }
        let id = backup::id_for_step(update.started_at, self.world.base, &update.component, &update.to);
        Update { base: Some(base), backup_id: Some(id), ..update.clone() }
    }

    /// The backup point of the update, made once, for the commit that its change is made on.
    fn back_up(&mut self, update: &Update) -> Result<(), Error> {
        let (Some(backup_id), Some(commit)) = (update.backup_id.clone(), update.base.clone()) else {
            return Ok(());
        };
        if self.world.refs.refs.contains_key(&format!("{}{backup_id}", backup::PREFIX)) {
            return Ok(());
        }
        if self.may_not()? {
            return Err(Error::KillSwitch);
        }
        let data = self.back_up_data(update, &backup_id)?;
        // A point that is not the first of its update is younger than the record.
        let recorded = self.world.state.updates.get(&update.update_id);
        let is_first = recorded.is_none_or(|recorded| recorded.backup_id == update.backup_id);
        let made = BackupPoint {
            schema: point::SCHEMA.to_owned(),
            backup_id: backup_id.clone(),
            created_at: if is_first { update.started_at } else { self.pass.now },
            reason: Some(format!("before {} {} -> {}", update.component, update.from, update.to)),
            branch: self.world.base_branch.clone(),
            commit: commit.clone(),
            step: Some(BackupStep {
                component: update.component.clone(),
                from: update.from.clone(),
                to: update.to.clone(),
            }),
            components: self.versions(),
            facts: self.observed.map(|observed| observed.facts.clone()),
            state: None,
            data: data.data,
            not_covered: data.not_covered,
        };
        let name = format!("{}{backup_id}", backup::PREFIX);
        let tag = self.effect_or_found(Effect::BackUp { backup_id, commit }, |run| {
            match run.pass.backups().create_or_find(&made, &data.files) {
                // Another run made it, when other facts were known: it is a point of the same commit all the same.
                Err(backup::Error::Exists { id }) => {
                    run.pass.backups().read_back(&id, None)?;
                    Ok(Came::Found(None))
                }
                created => Ok(match created? {
                    (tag, Pushed::Moved) => Came::Done(Some(tag)),
                    (tag, Pushed::AlreadyThere) => Came::Found(Some(tag)),
                }),
            }
        })?;
        if let Some(tag) = tag.flatten() {
            self.world.refs.refs.insert(name, tag);
        }
        Ok(())
    }

    fn versions(&self) -> BTreeMap<String, BackedUp> {
        let versions = self.survey.subjects.iter().map(|subject| {
            let mut files: Vec<String> = subject.component.pins.iter().map(|pin| pin.file.clone()).collect();
            files.sort_unstable();
            files.dedup();
            let version = subject.entry.current_version.clone();
            (subject.component.id.clone(), BackedUp { version, files })
        });
        versions.collect()
    }
}

/// The step as a look at its chart shows it: no revert brings back objects that were stored as what is gone.
fn with_what_is_lost(step: &Step, comparison: &Comparison) -> Step {
    let mut step = step.clone();
    if let Some(lost) = comparison.harm.lost.first() {
        step.revert = Revert {
            safety: RevertSafety::Unsafe,
            why: format!(
                "the newer chart no longer has all of {}; what is lost does not come back with the old chart",
                lost.crd
            ),
        };
        // Whatever policy says: a person looks at it.
        if step.gate == Approval::Auto {
            step.gate = Approval::Review;
        }
    }
    step
}

/// The record of a step that is under way.
fn found<'s>(state: &'s State, step: &Step) -> Option<&'s Update> {
    state.updates.values().find(|update| {
        update.component == step.component
            && update.to == step.to
            && update.status == UpdateStatus::InProgress
    })
}

/// The campaign that is under way, or a new one; its order is that of the newest plan.
fn campaign(state: &mut State, order: &[String], requires: &Requirements, now: jiff::Timestamp) -> String {
    // What was taken back is what open pull requests may rest upon.
    let is_taken = |update: &&Update| matches!(update.stage, Stage::Verified | Stage::Reverted);
    let taken: BTreeSet<String> = state
        .updates
        .values()
        .filter(is_taken)
        .map(|update| format!("{}@{}", update.component, update.to))
        .collect();
    let open = state.campaigns.values_mut().find(|campaign| campaign.status == UpdateStatus::InProgress);
    if let Some(campaign) = open {
        campaign.order = order.to_vec();
        before::remember(&mut campaign.requires, requires);
        before::forget(&mut campaign.requires, |id| {
            taken.contains(id) || order.iter().any(|step| step == id)
        });
        return campaign.campaign_id.clone();
    }
    let campaign_id = fresh_id("campaign", now, |id| state.campaigns.contains_key(id));
    state.campaigns.insert(
        campaign_id.clone(),
        Campaign {
            campaign_id: campaign_id.clone(),
            status: UpdateStatus::InProgress,
            started_at: now,
            current_phase: None,
            completed_phases: Vec::new(),
            backup_id: None,
            order: order.to_vec(),
            requires: requires.clone(),
            rollback_points: Vec::new(),
        },
    );
    campaign_id
}

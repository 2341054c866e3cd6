//! What people read of a pass: commit, pull request and dashboard.

use std::collections::BTreeSet;

use super::ground::{ids, told_verdict};
use super::{Error, GoingBack, Pass, Run};
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::app::plan::Planned;
use crate::backup::Backups;
use crate::domain::advisory;
use crate::domain::assess::Way;
use crate::domain::ground::{self, Lost};
use crate::domain::message::{
    Action as Tick, Dashboard, GateVerdict, Ignored, Marker, Neighbour, Proposal, ReleaseNotes, Section,
    Written, neutral,
};
use crate::domain::plan::Step;
use crate::domain::policy::verdicts;
use crate::domain::report::Status;
use crate::domain::state::{Stage, Update, UpdateStatus};
use crate::domain::upstream::Candidate;

/// Longest reason in a comment, in characters.
const MAX_REASON: usize = 1_000;
/// Updates that are over and still shown.
const SHOWN: usize = 200;

/// What is told of one step beside its release notes.
#[derive(Default)]
struct ToldOf {
    is_security: bool,
    advisories: Vec<String>,
    breaking: Vec<String>,
    warnings: Vec<String>,
    changelog_url: Option<String>,
}

impl<F: Forge> Pass<'_, F> {
    pub(super) fn backups(&self) -> Backups {
        Backups::new(self.git.clone(), self.author.clone())
    }

    /// Our own words with versions of strangers in them, fit for a comment.
    pub(super) fn templates_prose(&self, text: &str) -> String {
        neutral::prose(text, MAX_REASON)
    }
}

impl<F: Forge> Run<'_, F> {
    pub(super) fn texts(
        &self,
        update: &Update,
        step: &Step,
        planned: &Planned,
        sections: &[Section],
    ) -> Result<Written, Error> {
        let marker = Marker {
            update_id: update.update_id.clone(),
            campaign: update.campaign.clone(),
            component: update.component.clone(),
            chart: update.chart.clone(),
            from: update.from.clone(),
            to: update.to.clone(),
            update_type: update.update_type,
            gate: update.gate,
            policy_applied: update.policy_applied.clone(),
            revert: update.revert.clone(),
            backup_id: update.backup_id.clone(),
            base: Some(self.world.base.to_string()),
        };
        let subject = self.survey.subject(&step.component);
        let waves = &planned.report.waves;
        let number = waves
            .iter()
            .find(|wave| wave.steps.iter().any(|other| other.id == step.id))
            .map_or(1, |wave| wave.number);
        let all = || waves.iter().flat_map(|wave| &wave.steps);
        let (before, lost) = (self.came_first(update), self.lost_ground(update));
        let after: Vec<Neighbour> = all()
            .filter_map(|other| {
                Some(Neighbour {
                    component: other.component.clone(),
                    from: other.from.clone(),
                    to: other.to.clone(),
                    state: String::new(),
                    pull_request: None,
                    why: why_after(planned, other, step)?.to_owned(),
                })
            })
            .collect();
        let changes = planned.changes.get(&step.id);
        let left_alone = changes.map(|changes| changes.left_alone.clone()).unwrap_or_default();
        let told = self.told_of(step);
        let why = match told.advisories.as_slice() {
            [] if told.is_security => "a security update".to_owned(),
            [] => String::new(),
            advisories => format!("fixes {}", advisories.join(", ")),
        };
        let data = self.told_data(update);
        let proposal = Proposal {
            marker: &marker,
            step,
            name: subject.map_or(step.component.as_str(), |subject| &subject.component.name),
            why: &why,
            wave: (number, waves.len()),
            before: &before,
            after: &after,
            gates: &self.verdicts(update, step, &before, &lost),
            left_alone: &left_alone,
            advisories: &told.advisories,
            breaking: &told.breaking,
            warnings: &told.warnings,
            changelog_url: told.changelog_url.as_deref(),
            releases: &self.releases(step),
            sections,
            data_backups: &data.backups,
            not_covered: &data.not_covered,
            last_way: data.last_way.as_deref(),
        };
        let mut written = proposal.write(self.pass.templates)?;
        written.body = self.grounded(update, &step.requires, &written.body);
        Ok(written)
    }

    /// What every gate says of a step.
    fn verdicts(
        &self,
        update: &Update,
        step: &Step,
        before: &[Neighbour],
        lost: &[Lost],
    ) -> Vec<GateVerdict> {
        let subject = self.survey.subject(&step.component);
        let target = subject.and_then(|subject| crate::app::plan::candidate_of(subject, step));
        let policy = self.survey.policies.get(&step.component);
        let of_policy = policy.map(|policy| verdicts::of_policy(policy, step, target)).unwrap_or_default();
        let of_checks = verdicts::of_checks(step.gate, self.pass.config.pull_requests.require_checks);
        let all = of_policy
            .into_iter()
            .chain(verdicts::of_planner(step, &ids(before), ground::reason(lost).as_deref()))
            .chain(self.gates().verdicts(step, &update.update_id))
            .chain([of_checks]);
        all.map(told_verdict).collect()
    }

    /// The versions after the installed one up to the target of a step, oldest first, with the target.
    fn on_the_way(&self, step: &Step) -> Vec<&Candidate> {
        let Some(subject) = self.survey.subject(&step.component) else { return Vec::new() };
        let target = crate::app::plan::candidate_of(subject, step);
        let last = subject
            .candidates
            .iter()
            .position(|candidate| target.is_some_and(|target| target.version == candidate.version));
        let way = last.and_then(|last| subject.candidates.get(..=last)).unwrap_or_default();
        way.iter().collect()
    }

    /// What is told of a step: of its own versions, not of those that further steps go to.
    fn told_of(&self, step: &Step) -> ToldOf {
        let Some(subject) = self.survey.subject(&step.component) else { return ToldOf::default() };
        let entry = &subject.entry;
        let way = self.on_the_way(step);
        let target = way.last().copied();
        let is_whole = entry.available_version.as_deref() == Some(step.to.as_str())
            || target.is_some_and(|target| entry.available_version.as_ref() == Some(&target.version));
        let (false, Some(target)) = (is_whole, target) else {
            return ToldOf {
                is_security: entry.security_update == Some(true),
                advisories: entry.security_advisories.clone(),
                breaking: entry.breaking_changes.clone(),
                warnings: entry.warnings.clone(),
                changelog_url: entry.changelog_url.clone(),
            };
        };
        let component = &subject.component;
        let way = Way {
            component,
            tag_prefix: component.tag_prefix.as_deref(),
            update_type: step.update_type,
            from: subject.current.as_ref().map_or(step.from.as_str(), |current| &current.version),
            current: subject.current.as_ref(),
            target,
            between: &way,
        };
        // The database is asked about the installed version and the newest; its ranges tell what of it this step fixes.
        let released_as = |candidate: &Candidate| {
            candidate.app_version.clone().unwrap_or_else(|| candidate.version.clone())
        };
        let from = subject.current.as_ref().map_or_else(|| step.from.clone(), released_as);
        let mut advisories = advisory::fixed(&subject.advisories, &from, &released_as(target));
        advisories.extend(way.advisories());
        let advisories: Vec<String> = advisories.into_iter().collect();
        // The page of another version says what this step does not bring.
        let of_another = subject
            .candidates
            .iter()
            .any(|candidate| candidate.notes_url.is_some() && candidate.notes_url == entry.changelog_url);
        let own = if of_another { target.notes_url.clone() } else { entry.changelog_url.clone() };
        ToldOf {
            is_security: !advisories.is_empty(),
            advisories,
            breaking: way.breaking_changes(),
            warnings: component.warnings.clone(),
            changelog_url: own,
        }
    }

    /// Releases on the way, oldest first, with the target.
    fn releases(&self, step: &Step) -> Vec<ReleaseNotes> {
        self.on_the_way(step)
            .into_iter()
            .map(|candidate| ReleaseNotes {
                version: candidate.version.clone(),
                released_at: candidate.released_at,
                url: candidate.notes_url.clone(),
                notes: candidate.notes.clone(),
            })
            .collect()
    }

    /// Writes the dashboard, where something on it changed.
    pub(super) fn write_dashboard(&mut self, planned: &Planned) -> Result<(), Error> {
        let settings = &self.pass.config.dashboard;
        if !settings.enabled || self.kill_switch.is_some() {
            return Ok(());
        }
        let mut updates: Vec<Update> = self
            .world
            .state
            .updates
            .values()
            .filter(|update| update.status == UpdateStatus::InProgress || update.status == UpdateStatus::Held)
            .take(SHOWN)
            .cloned()
            .collect();
        for update in &mut updates {
            let waiting = self.waiting.get(&update.update_id).cloned();
            // That an open pull request waits for its checks or for a person goes without saying.
            let goes_without_saying =
                update.stage == Stage::Proposed && !self.occupied.contains_key(&update.component);
            let otherwise = if goes_without_saying { None } else { waiting.or_else(|| update.reason.take()) };
            update.reason = self.must_not_be_merged(update).or(otherwise);
        }
        // What was asked for and could not be done at this hour stays asked for.
        let is_waiting = |tick: &&Tick| match tick {
            Tick::Open { component, version } => {
                planned.report.waves.iter().flat_map(|wave| &wave.steps).any(|step| {
                    step.component == *component && step.to == *version && !self.is_under_way(step)
                })
            }
            Tick::Rebuild { update_id } => {
                let is_open = |update: &Update| update.stage == Stage::Proposed;
                !self.touched.contains(update_id)
                    && self.world.state.updates.get(update_id).is_some_and(is_open)
            }
            _ => false,
        };
        let asked: BTreeSet<Tick> = self.ticked.iter().filter(is_waiting).cloned().collect();
        let detected = &self.survey.report.update_report;
        let ignored: Vec<Ignored> = detected
            .components
            .iter()
            .filter(|(_, entry)| entry.status == Status::Ignored)
            .map(|(id, entry)| Ignored {
                component: id.clone(),
                reason: entry.reason.clone().unwrap_or_else(|| "ignored".to_owned()),
            })
            .collect();
        let mut notices = Vec::new();
        if let Some(maintenance) =
            self.world.state.maintenance.as_ref().filter(|one| one.is_on(self.pass.now))
        {
            let until = maintenance.until.map(|until| format!(" until {until}")).unwrap_or_default();
            let reason = maintenance
                .reason
                .as_deref()
                .map(|reason| format!(": {}", neutral::prose(reason, MAX_REASON)));
            let by = neutral::prose(&maintenance.by, MAX_REASON);
            notices.push(format!("maintenance mode, set by {by}{until}{}", reason.unwrap_or_default()));
        }
        notices
            .extend(self.failures.iter().map(|failure| format!("{}: {}", failure.component, failure.error)));
        notices.extend(GoingBack::among(&self.world.pulls).into_iter().map(|one| {
            format!("#{} waits for a person: {}", one.pull_request, neutral::prose(&one.title, MAX_REASON))
        }));
        let nothing = updates.is_empty()
            && planned.report.waves.is_empty()
            && planned.report.held.is_empty()
            && ignored.is_empty()
            && self.world.state.quarantine.is_empty()
            && self.world.state.breaker.is_none();
        if self.world.dashboard.is_none() && nothing {
            return Ok(());
        }
        let body = Dashboard {
            now: self.pass.now,
            notices: &notices,
            updates: &updates,
            waves: &planned.report.waves,
            held: &planned.report.held,
            ignored: &ignored,
            quarantine: &self.world.state.quarantine,
            breaker: self.world.state.breaker.as_ref(),
            asked: &asked,
            problems: detected.problems.len(),
        }
        .write(self.pass.templates)?;
        let seen = self.world.dashboard.clone();
        let title = settings.title.clone();
        let unchanged = |old: &str| without_time(old) == without_time(&body);
        if seen.as_ref().is_some_and(|seen| unchanged(&seen.body)) {
            return Ok(());
        }
        self.found_unless_stopped(Effect::Dashboard { title: title.clone() }, |run| {
            Ok(run.pass.wait(run.pass.forge.write_dashboard(seen.as_ref(), &title, &body))?)
        })
        .map(drop)
    }
}

/// Why the plan puts `other` after `step`; `None` where it does not.
fn why_after<'p>(planned: &'p Planned, other: &Step, step: &Step) -> Option<&'p str> {
    let of_component = planned.requires.get(&other.component).into_iter().flatten();
    let mut own = of_component.filter(|required| required.to == other.to);
    own.find_map(|required| required.first.get(&step.id)).map(String::as_str)
}

/// A body without the line that says when it was written, which is no reason to write it again.
fn without_time(body: &str) -> Vec<&str> {
    body.lines().filter(|line| !line.contains(" UTC")).map(str::trim_end).collect()
}

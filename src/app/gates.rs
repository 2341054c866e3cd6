//! The gates that depend on the moment: everything that is configured and recorded and stops steps now.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::plan::Survey;
use crate::config::Config;
use crate::domain::ground;
use crate::domain::plan::{PlanReport, Step};
use crate::domain::policy::Hold;
use crate::domain::policy::circumstances::{Circumstances, KillSwitch};
use crate::domain::policy::verdicts::Verdict;
use crate::domain::policy::window::Window;
use crate::domain::state::{Stage, State, Update, UpdateStatus};

/// All that may stop a step at one moment.
#[derive(Clone, Copy)]
pub struct Gates<'a> {
    /// Now.
    pub now: Timestamp,
    /// Limits and windows.
    pub config: &'a Config,
    /// Kinds of components.
    pub survey: &'a Survey,
    /// What is recorded.
    pub state: &'a State,
    /// Windows of the command line, in place of those of the configuration.
    pub windows: Option<&'a [Window]>,
    /// Set while everything is stopped.
    pub kill_switch: Option<KillSwitch>,
}

impl Gates<'_> {
    /// Why a step may not be proposed now; empty = it may. `ahead` are those that are proposed before it.
    pub fn holds(&self, step: &Step, ahead: &[&Step]) -> Vec<Hold> {
        let updates = self.grounded();
        self.circumstances(&updates).holds(step, ahead, &self.windows(&step.component))
    }

    /// Why the pull request of an update may not be merged now.
    pub fn merge_hold(&self, update: &Update) -> Option<Hold> {
        let updates = self.grounded();
        let hour = || self.circumstances(&updates).before_merge(update, &self.windows(&update.component));
        self.without_ground(update).or_else(hour)
    }

    /// Ids of the updates that are proposed, and that nobody may merge because what had to come first was taken back.
    /// Nothing waits for them: least of all the step that would put it right.
    pub fn groundless(&self) -> BTreeSet<String> {
        let proposed = self.state.updates.values().filter(|update| update.stage == Stage::Proposed);
        let lost = proposed.filter(|update| !ground::lost(self.state, update).is_empty());
        lost.map(|update| update.update_id.clone()).collect()
    }

    /// The updates that others have to mind.
    fn grounded(&self) -> Vec<Update> {
        let groundless = self.groundless();
        let updates = self.state.updates.values();
        updates.filter(|update| !groundless.contains(&update.update_id)).cloned().collect()
    }

    /// What had to come first was verified when the step was proposed, and was taken back since.
    fn without_ground(&self, update: &Update) -> Option<Hold> {
        Some(Hold {
            gate: "order",
            reason: ground::reason(&ground::lost(self.state, update))?,
            policy_applied: "rules, dependsOn".to_owned(),
            until: None,
            is_asked_again: false,
        })
    }

    /// What these gates say about a step whose record, if there is one, is `own`.
    pub fn verdicts(&self, step: &Step, own: &str) -> Vec<Verdict> {
        let mut updates = self.grounded();
        updates.retain(|update| update.update_id != own);
        self.circumstances(&updates).verdicts(step, &self.windows(&step.component))
    }

    /// Takes `next` from the steps of a plan that would not be proposed together with those before them, or are
    /// proposed already, and says why.
    pub fn limit(&self, report: &mut PlanReport) {
        let mut ahead: Vec<Step> = Vec::new();
        for step in report.waves.iter_mut().flat_map(|wave| &mut wave.steps).filter(|step| step.next) {
            let before: Vec<&Step> = ahead.iter().collect();
            let why = match self.under_way(step) {
                Some(update) => Some(told(update)),
                None => self.holds(step, &before).first().map(ToString::to_string),
            };
            match why {
                Some(why) => {
                    step.next = false;
                    step.reasons.push(why);
                }
                None => ahead.push(step.clone()),
            }
        }
    }

    /// Steps that were asked for earlier, by id: what is proposed stays wanted.
    pub fn asked(&self) -> BTreeSet<String> {
        let proposed = self.state.updates.values().filter(|update| update.stage == Stage::Proposed);
        proposed.map(|update| format!("{}@{}", update.component, update.to)).collect()
    }

    fn under_way(&self, step: &Step) -> Option<&Update> {
        self.state.updates.values().find(|update| {
            update.component == step.component
                && update.to == step.to
                && update.status == UpdateStatus::InProgress
        })
    }

    fn circumstances<'s>(&'s self, updates: &'s [Update]) -> Circumstances<'s> {
        Circumstances {
            now: self.now,
            kill_switch: self.kill_switch,
            maintenance: self.state.maintenance.as_ref(),
            breaker: self.state.breaker.as_ref(),
            limits: self.config.limits,
            updates,
            quarantine: &self.state.quarantine,
        }
    }

    fn windows(&self, component: &str) -> Vec<&Window> {
        match self.windows {
            Some(windows) => windows.iter().collect(),
            None => {
                let kind = self.survey.subject(component).map(|subject| subject.component.kind.as_str());
                self.config.windows_for(component, kind.unwrap_or_default())
            }
        }
    }
}

fn told(update: &Update) -> String {
    let what = if update.stage == Stage::Proposed { "proposed" } else { "merged" };
    match update.pull_request {
        Some(number) => format!("is {what} already: pull request #{number}"),
        None => format!("is {what} already: {}", update.update_id),
    }
}

//! What stops a step at this hour: kill switch, maintenance, quarantine, what is under way, windows and limits.
//!
//! Asked before every proposal and every merge. Reverts ask for the kill switch only.

use jiff::{SignedDuration, Timestamp};

use super::window::{Opening, Window, open};
use super::{Hold, Limits};
use crate::domain::plan::{RevertSafety, Step};
use crate::domain::settle::record::Breaker;
use crate::domain::state::{Maintenance, Quarantined, Stage, Update, UpdateStatus};

/// Who pulled the kill switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillSwitch {
    /// `enabled: false` in the configuration of the base branch.
    BaseBranch,
    /// The configuration of the base branch cannot be read: whoever changed it may have meant to stop everything.
    Unreadable,
    /// `enabled: false` in the configuration that lies in the work tree, committed or not.
    WorkTree,
    /// The same file cannot be read.
    UnreadableWorkTree,
    /// `enabled: false` in the configuration of the revision that was asked for.
    Revision,
    /// `enabled: false` in the file that `--config` names.
    NamedFile,
    /// `GITOPS_UPDATER_DISABLE` in the environment.
    Environment,
    /// The label `gitops-updater/stop` on the dashboard.
    Dashboard,
}

impl KillSwitch {
    /// The key, variable or label that pulled it.
    pub fn by(self) -> &'static str {
        match self {
            Self::BaseBranch | Self::WorkTree | Self::Revision | Self::NamedFile => "enabled",
            Self::Unreadable | Self::UnreadableWorkTree => ".gitops-updater.yaml",
            Self::Environment => "GITOPS_UPDATER_DISABLE",
            Self::Dashboard => "gitops-updater/stop",
        }
    }

    /// Where it was pulled.
    pub fn place(self) -> &'static str {
        match self {
            Self::BaseBranch => "`enabled: false` on the base branch",
            Self::Unreadable => "`.gitops-updater.yaml` of the base branch, which cannot be read",
            Self::UnreadableWorkTree => "`.gitops-updater.yaml` of the work tree, which cannot be read",
            Self::WorkTree => "`enabled: false` in `.gitops-updater.yaml` of the work tree",
            Self::Revision => "`enabled: false` in the revision that is read",
            Self::NamedFile => "`enabled: false` in the file that `--config` names",
            Self::Environment => "`GITOPS_UPDATER_DISABLE` in the environment",
            Self::Dashboard => "the label `gitops-updater/stop` on the dashboard",
        }
    }

    /// What a person does to let it go on.
    pub fn undo(self) -> &'static str {
        match self {
            Self::BaseBranch => "set `enabled: true` on the base branch",
            Self::Unreadable => "mend `.gitops-updater.yaml` of the base branch, which cannot be read,",
            Self::UnreadableWorkTree => "mend `.gitops-updater.yaml` of the work tree, which cannot be read,",
            Self::WorkTree => "set `enabled: true` in `.gitops-updater.yaml` of the work tree",
            Self::Revision => "set `enabled: true` in the revision that is read",
            Self::NamedFile => "set `enabled: true` in the file that `--config` names",
            Self::Environment => "unset the environment variable `GITOPS_UPDATER_DISABLE`",
            Self::Dashboard => "take the label `gitops-updater/stop` off the dashboard",
        }
    }

    fn hold(self) -> Hold {
        hold("kill_switch", format!("everything is stopped; {} to go on", self.undo()), self.by(), None)
    }
}

/// All that may stop a step now.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Now.
    pub now: Timestamp,
    /// Set while every effect is stopped.
    pub kill_switch: Option<KillSwitch>,
    /// Set while proposing and merging are stopped.
    pub maintenance: Option<&'a Maintenance>,
    /// Set while too many reverts have stopped proposing and merging.
    pub breaker: Option<&'a Breaker>,
    /// How much may be under way.
    pub limits: Limits,
    /// Every update that is recorded, in any stage.
    pub updates: &'a [Update],
    /// Versions that are not proposed again.
    pub quarantine: &'a [Quarantined],
}

impl Circumstances<'_> {
    /// Why the step may not be proposed now; empty = it may. `ahead` are the steps that this run proposes before it.
    pub fn holds(&self, step: &Step, ahead: &[&Step], windows: &[&Window]) -> Vec<Hold> {
        // The hour does not matter for what is not proposed at any.
        if let Some(hold) = self.quarantined(&step.component, &step.to) {
            return vec![hold];
        }
        // What this run has recorded since is among the updates, and counts once.
        let is_recorded = |other: &Step| {
            let same = |update: &&Update| update.component == other.component && update.to == other.to;
            self.updates.iter().filter(same).any(|update| update.status == UpdateStatus::InProgress)
        };
        let ahead: Vec<&Step> = ahead.iter().copied().filter(|other| !is_recorded(other)).collect();
        let ahead = ahead.as_slice();
        let stopped_queue = self.stopped_queue(&step.component, &step.to, step.revert.safety);
        let about_others = [stopped_queue, self.company(step, ahead)];
        let about_the_hour =
            [self.at_this_hour(windows), self.open_limit(step, ahead), self.hourly_limit(ahead)];
        about_others.into_iter().chain(about_the_hour).flatten().collect()
    }

    /// Why nothing may be proposed or merged now, whatever it is: kill switch, maintenance, or no window is open.
    pub fn at_this_hour(&self, windows: &[&Window]) -> Option<Hold> {
        self.stopped()
            .or_else(|| self.in_maintenance())
            .or_else(|| self.broken())
            .or_else(|| self.outside_windows(windows))
    }

    /// Why the pull request of an update may not be merged now: the hour, its version, or what became of others.
    pub fn before_merge(&self, update: &Update, windows: &[&Window]) -> Option<Hold> {
        let (component, to, safety) = (update.component.as_str(), update.to.as_str(), update.revert.safety);
        self.at_this_hour(windows)
            .or_else(|| self.quarantined(component, to))
            .or_else(|| self.stopped_queue(component, to, safety))
            .or_else(|| self.unsettled(component, to))
    }

    /// What cannot be reverted without harm is in flight alone until it is verified.
    fn unsettled(&self, component: &str, to: &str) -> Option<Hold> {
        let is_merged = |update: &&Update| matches!(update.stage, Stage::Merged | Stage::Rolling);
        let other = self
            .others(component, to)
            .filter(is_merged)
            .find(|other| other.component == component || other.revert.safety != RevertSafety::Safe)?;
        let reason = format!("{} {} is merged and not verified yet", other.component, other.to);
        Some(hold("in_flight", reason, &other.update_id, None))
    }

    /// Why nothing at all may be done, not even a revert.
    pub fn stopped(&self) -> Option<Hold> {
        self.kill_switch.map(KillSwitch::hold)
    }

    pub(super) fn in_maintenance(&self) -> Option<Hold> {
        let maintenance = self.maintenance?;
        // Over at its end, also where nobody has taken it out of the record.
        if maintenance.until.is_some_and(|until| until <= self.now) {
            return None;
        }
        let why = maintenance.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let until = maintenance.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let reason = format!("maintenance mode{until}, set by {}{why}", maintenance.by);
        Some(hold("maintenance", reason, "maintenance", maintenance.until))
    }

    pub(super) fn broken(&self) -> Option<Hold> {
        let breaker = self.breaker?;
        let reason = format!("the circuit breaker is open: {}", breaker.reason());
        Some(hold("circuit_breaker", reason, "circuit_breaker", None))
    }

    pub(super) fn outside_windows(&self, windows: &[&Window]) -> Option<Hold> {
        let Opening::Closed { next } = open(windows.iter().copied(), self.now) else { return None };
        let by: Vec<&str> = windows.iter().map(|window| window.by()).collect();
        let opener = windows.iter().find(|window| next.is_some() && window.next(self.now) == next);
        let reason = match (next, opener) {
            (Some(next), Some(window)) => {
                format!("outside its maintenance windows; the next opens at {}", window.on_the_wall(next))
            }
            _ => "outside its maintenance windows".to_owned(),
        };
        Some(hold("window", reason, &by.join(", "), next))
    }

    pub(super) fn quarantined(&self, component: &str, version: &str) -> Option<Hold> {
        let found =
            self.quarantine.iter().find(|entry| entry.component == component && entry.version == version)?;
        let reason = format!("in quarantine since {}: {}", found.since, found.reason);
        Some(hold("quarantine", reason, found.update_id.as_deref().unwrap_or("quarantine"), None))
    }

    /// Updates under way that are not the step itself.
    fn others<'s>(&'s self, component: &'s str, to: &'s str) -> impl Iterator<Item = &'s Update> {
        self.updates.iter().filter(move |update| {
            let is_under_way =
                matches!(update.stage, Stage::Proposed | Stage::Merged | Stage::Rolling | Stage::Held);
            is_under_way && !(update.component == component && update.to == to)
        })
    }

    /// An update that is held, or that regressed, stops the queue.
    pub(super) fn stopped_queue(&self, component: &str, to: &str, safety: RevertSafety) -> Option<Hold> {
        let other = self.others(component, to).find(|update| update.stops(component, safety))?;
        let (gate, word) = match other.stage {
            Stage::Held => ("held_update", "is held"),
            _ => ("regressed_update", "regressed"),
        };
        let why = other.reason.as_deref().unwrap_or("a person is needed");
        let reason = format!("{} {} {word}: {why}", other.component, other.to);
        Some(hold(gate, reason, &other.update_id, None))
    }

    /// What cannot be reverted without harm is in flight alone.
    pub(super) fn company(&self, step: &Step, ahead: &[&Step]) -> Option<Hold> {
        let is_alone = |safety| safety != RevertSafety::Safe;
        let alone = is_alone(step.revert.safety);
        let under_way = self.others(&step.component, &step.to).filter(|update| update.stage != Stage::Held);
        for update in under_way {
            let (same, open) = (update.component == step.component, update.stage == Stage::Proposed);
            // An open pull request of the same component is replaced.
            if same && open {
                continue;
            }
            let other = format!("{} {}", update.component, update.to);
            if same {
                let reason = format!("{other} is merged and not verified yet");
                return Some(hold("in_flight", reason, &update.update_id, None));
            }
            if alone || is_alone(update.revert.safety) {
                return Some(hold("in_flight", company_reason(&other, alone), &update.update_id, None));
            }
        }
        let other =
            ahead.iter().find(|other| other.id != step.id && (alone || is_alone(other.revert.safety)))?;
        let name = format!("{} {}", other.component, other.to);
        Some(hold("in_flight", company_reason(&name, alone), &other.id, None))
    }

    pub(super) fn open_limit(&self, step: &Step, ahead: &[&Step]) -> Option<Hold> {
        let open = self
            .others(&step.component, &step.to)
            // The pull request for another version of the same component is closed for this one.
            .filter(|update| update.stage == Stage::Proposed && update.component != step.component)
            .count();
        let count = open + ahead.iter().filter(|other| other.id != step.id).count();
        (count >= self.limits.open_pull_requests).then(|| {
            let most = self.limits.open_pull_requests;
            let reason = format!("{} open, {most} at most", requests(count, "is", "are"));
            hold("open_pull_requests", reason, "limits.open_pull_requests", None)
        })
    }

    pub(super) fn hourly_limit(&self, ahead: &[&Step]) -> Option<Hold> {
        let hour = SignedDuration::from_hours(1);
        let since = self.now.checked_sub(hour).ok()?;
        let mut opened: Vec<Timestamp> =
            self.updates.iter().map(|update| update.started_at).filter(|at| *at > since).collect();
        opened.sort_unstable();
        let most = self.limits.per_hour;
        let count = opened.len() + ahead.len();
        (count >= most).then(|| {
            let reason = format!("{} opened within the hour, {most} at most", requests(count, "was", "were"));
            // As many as are too many must have become older than an hour; those of this run are as young as can be.
            let until = opened.get(count - most).copied().unwrap_or(self.now).checked_add(hour).ok();
            hold("per_hour", reason, "limits.per_hour", until)
        })
    }
}

/// `1 pull request is`, `3 pull requests are`.
fn requests(count: usize, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 pull request {one}"),
        count => format!("{count} pull requests {several}"),
    }
}

fn company_reason(other: &str, alone: bool) -> String {
    if alone {
        format!("goes alone, because a revert may do harm, and {other} is under way")
    } else {
        format!("{other} is under way, which goes alone, because a revert may do harm")
    }
}

fn hold(gate: &'static str, reason: String, by: &str, until: Option<Timestamp>) -> Hold {
    Hold { gate, reason, policy_applied: by.to_owned(), until, is_asked_again: false }
}

#[cfg(test)]
mod tests;

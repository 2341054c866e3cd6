//! The life of updates, as it is kept in `refs/gitops-updater/state`: plain data that people read with `git log -p`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::UpdateType;
use super::notice::Told;
use super::plan::before::Requirements;
use super::plan::{Approval, Revert, RevertSafety};
use super::settle::memory::{Baseline, Remembered};
use super::settle::record::{Breaker, Evidence, Settling};
use super::settle::verdict::Verdict;

/// Everything that is kept between passes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// By update id; one file each (`updates/<id>.yaml`).
    pub updates: BTreeMap<String, Update>,
    /// By campaign id; one file each (`campaigns/<id>.yaml`).
    pub campaigns: BTreeMap<String, Campaign>,
    /// `quarantine.yaml`: versions that are not proposed again.
    pub quarantine: Vec<Quarantined>,
    /// `maintenance.yaml`: set while proposing and merging are stopped.
    pub maintenance: Option<Maintenance>,
    /// `evidence/<update id>.yaml`: what was said of updates after their merge, and why.
    pub evidence: BTreeMap<String, Evidence>,
    /// `baselines/<update id>.yaml`: what was wrong in the cluster before updates that are under way.
    pub baselines: BTreeMap<String, Baseline>,
    /// `memory/<update id>.yaml`: what one pass must tell the next of updates that are watched, but for the baseline.
    pub memory: BTreeMap<String, Remembered>,
    /// `breaker.yaml`: set while too many reverts have stopped proposing and merging.
    pub breaker: Option<Breaker>,
    /// `told.yaml`: what people were told.
    pub told: Told,
}

/// Where an update is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its pull request is open.
    Proposed,
    /// Merged; Flux has not applied it as far as is known.
    Merged,
    /// Being applied.
    Rolling,
    /// Applied, and the cluster is healthy, or a person or the policy said so.
    Verified,
    /// Its merge was reverted.
    Reverted,
    /// Stopped; a person is needed.
    Held,
    /// Its pull request was closed without being merged, or was replaced.
    Abandoned,
}

/// The word for people and scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStatus {
    /// Proposed, merged or rolling.
    InProgress,
    /// Verified.
    Completed,
    /// Its merge was reverted.
    Reverted,
    /// Stopped.
    Held,
    /// Closed unmerged or replaced.
    Abandoned,
}

/// One step in life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// `update-<UTC time>`, of the run that recorded it first; `-2`, `-3` … within one second.
    pub update_id: String,
    /// For people and scripts.
    pub status: UpdateStatus,
    /// Where it is.
    pub stage: Stage,
    /// When it was recorded first.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// When its stage changed last.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub changed_at: Timestamp,
    /// Campaign it is part of.
    pub campaign: String,
    /// Component id.
    pub component: String,
    /// Name of its chart, where it is one; a release may have another name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chart: Option<String>,
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// What kind of step it is.
    pub update_type: UpdateType,
    /// How it is approved.
    pub gate: Approval,
    /// What decided the gate.
    pub policy_applied: String,
    /// Whether going back is safe.
    pub revert: Revert,
    /// Backup point made before.
    pub backup_id: Option<String>,
    /// Branch with the change.
    pub branch: String,
    /// Commit that the change was made on.
    pub base: Option<String>,
    /// Commit with the change on the branch, as we wrote it last.
    pub head: Option<String>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// Commit on the base branch that brought the change in.
    pub merge_commit: Option<String>,
    /// When it was merged.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub merged_at: Option<Timestamp>,
    /// What it is doing now, in the words of the user's phases (`updating_flux`).
    pub current_phase: Option<String>,
    /// Phases that are done (`backup_creation`, `proposal`, …).
    pub completed_phases: Vec<String>,
    /// When verification failed: `pre_update`, `update`, `post_update`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure_stage: Option<String>,
    /// What it waits for, or why it was stopped.
    pub reason: Option<String>,
    /// Who said that it is verified, and how (`policy verification: merged, settle 24h`, `accepted by jane`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verified_by: Option<String>,
    /// How far its settling is: verdict, hold, way back.
    #[serde(skip_serializing_if = "Settling::is_empty", default)]
    pub settling: Settling,
}

/// A sequence of steps that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// `campaign-<UTC time>`.
    pub campaign_id: String,
    /// For people and scripts.
    pub status: UpdateStatus,
    /// When it began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// What it is doing now (`updating_flux`).
    pub current_phase: Option<String>,
    /// What is done (`backup_creation`, `k3s_update`).
    pub completed_phases: Vec<String>,
    /// Backup point of its latest step.
    pub backup_id: Option<String>,
    /// Step ids in order, as planned last.
    pub order: Vec<String>,
    /// What steps were planned to come after, by the component that they move.
    #[serde(skip_serializing_if = "Requirements::is_empty", default)]
    pub requires: Requirements,
    /// A commit to go back to for each verified step.
    pub rollback_points: Vec<RollbackPoint>,
}

/// A commit to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackPoint {
    /// Such as `k3s_update`.
    pub phase: String,
    /// Commit on the base branch at which the step was verified.
    pub git_commit: String,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub timestamp: Timestamp,
}

/// A version that is not proposed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// Component id.
    pub component: String,
    /// Version.
    pub version: String,
    /// Why.
    pub reason: String,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
    /// Update that led to it.
    pub update_id: Option<String>,
}

/// Proposing and merging are stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Who stopped it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
    /// Until when; for ever where it is not given.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
}

/// How long the evidence of an update is kept after the update is over, in days.
pub const EVIDENCE_DAYS: i64 = 90;

impl State {
    /// Takes a version out of what is proposed; whether it was not out already.
    pub fn put_in_quarantine(&mut self, one: Quarantined) -> bool {
        let same = |known: &Quarantined| known.component == one.component && known.version == one.version;
        let is_new = !self.quarantine.iter().any(same);
        if is_new {
            self.quarantine.push(one);
        }
        is_new
    }

    /// Ids of the updates whose evidence is not needed any more: they have been over for long, and neither a revert that
    /// counts for the circuit breaker nor a quarantine that a person may ask about rests on them.
    pub fn outdated_evidence(&self, now: Timestamp) -> BTreeSet<String> {
        let Ok(since) = now.checked_sub(SignedDuration::from_hours(24 * EVIDENCE_DAYS)) else {
            return BTreeSet::new();
        };
        let is_needed = |id: &str| {
            let by_breaker = self.breaker.iter().flat_map(|breaker| &breaker.reverted);
            let by_quarantine = self.quarantine.iter().filter_map(|one| one.update_id.as_ref());
            by_breaker.chain(by_quarantine).any(|needed| needed == id)
        };
        let is_over = |update: &Update| {
            matches!(update.stage, Stage::Verified | Stage::Reverted | Stage::Abandoned)
                && update.changed_at < since
        };
        let outdated = |id: &&String| self.updates.get(*id).is_some_and(is_over) && !is_needed(id);
        self.evidence.keys().filter(outdated).cloned().collect()
    }
}

impl Quarantined {
    /// The version that an update brought.
    pub fn of(update: &Update, reason: impl Into<String>, since: Timestamp) -> Self {
        Self {
            component: update.component.clone(),
            version: update.to.clone(),
            reason: reason.into(),
            since,
            update_id: Some(update.update_id.clone()),
        }
    }
}

impl Stage {
    /// What people and scripts are told.
    pub fn status(self) -> UpdateStatus {
        match self {
            Self::Proposed | Self::Merged | Self::Rolling => UpdateStatus::InProgress,
            Self::Verified => UpdateStatus::Completed,
            Self::Reverted => UpdateStatus::Reverted,
            Self::Held => UpdateStatus::Held,
            Self::Abandoned => UpdateStatus::Abandoned,
        }
    }
}

impl Update {
    /// Whether it was ever found to be good, whatever became of it since.
    pub fn was_verified(&self) -> bool {
        self.stage == Stage::Verified
            || self.verified_by.is_some()
            || self.completed_phases.iter().any(|phase| phase == "verification")
    }

    /// Whether its merge was ever taken back, by the bot or by a person.
    pub fn was_reverted(&self) -> bool {
        let reversal = self.settling.reversal.as_ref();
        self.stage == Stage::Reverted || reversal.is_some_and(|reversal| reversal.commit.is_some())
    }

    /// Whether the step of `component`, which can be reverted as `safety` says, must wait for it: it is held, or it
    /// regressed and is not reverted yet. That stops the queue. A hold that clears itself, of what could be reverted
    /// without harm, stops its own component and what depends on it, which is for the planner to see.
    pub fn stops(&self, component: &str, safety: RevertSafety) -> bool {
        let Settling { hold, reversal, verdict, .. } = &self.settling;
        match self.stage {
            Stage::Held => {
                let stops_no_other = hold.as_ref().is_some_and(|hold| hold.clears_itself)
                    && self.revert.safety == RevertSafety::Safe
                    && safety == RevertSafety::Safe;
                self.component == component || !stops_no_other
            }
            Stage::Merged | Stage::Rolling => {
                *verdict == Some(Verdict::Regressed)
                    || reversal.as_ref().is_some_and(|reversal| reversal.back_at.is_none())
            }
            Stage::Proposed | Stage::Verified | Stage::Reverted | Stage::Abandoned => false,
        }
    }
}

impl UpdateStatus {
    /// The word in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Reverted => "reverted",
            Self::Held => "held",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Maintenance {
    /// Whether it still holds at `now`.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// `<prefix>-<UTC time>`, with `-2`, `-3` … behind it where that is taken.
pub fn fresh_id(prefix: &str, now: Timestamp, is_taken: impl Fn(&str) -> bool) -> String {
    let id = format!("{prefix}-{}", now.strftime("%Y%m%d-%H%M%S"));
    if !is_taken(&id) {
        return id;
    }
    let numbered = (2_u32..).map(|number| format!("{id}-{number}"));
    numbered.into_iter().find(|id| !is_taken(id)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn ids_of_one_second_are_numbered() {
        let now: Timestamp = "2025-02-08T10:00:00.9Z".parse().unwrap();
        let taken = ["update-20250208-100000", "update-20250208-100000-2"];
        assert_eq!(fresh_id("update", now, |_| false), taken[0]);
        assert_eq!(fresh_id("update", now, |id| id == taken[0]), taken[1]);
        assert_eq!(fresh_id("update", now, |id| taken.contains(&id)), "update-20250208-100000-3");
    }

    #[test]
    fn maintenance_ends_when_it_says() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let since = at("2025-02-08T10:00:00Z");
        let mut maintenance = Maintenance { by: "jane".to_owned(), reason: None, since, until: None };
        assert!(maintenance.is_on(at("2035-01-01T00:00:00Z")));
        maintenance.until = Some(at("2025-02-08T12:00:00Z"));
        assert!(
            maintenance.is_on(at("2025-02-08T11:59:59Z")) && !maintenance.is_on(at("2025-02-08T12:00:00Z"))
        );
    }

    #[rstest]
    #[case::over_for_long(Stage::Verified, "2026-08-01", "", true)]
    #[case::reverted_for_long(Stage::Reverted, "2026-08-01", "", true)]
    #[case::over_since_yesterday(Stage::Verified, "2026-11-20", "", false)]
    #[case::held(Stage::Held, "2026-08-01", "", false)]
    #[case::merged_and_not_verified(Stage::Merged, "2026-08-01", "", false)]
    #[case::in_quarantine(Stage::Reverted, "2026-08-01", "quarantine", false)]
    #[case::one_of_the_breaker(Stage::Reverted, "2026-08-01", "breaker", false)]
    fn evidence_is_kept_for_what_may_be_asked_about(
        #[case] stage: Stage,
        #[case] changed: &str,
        #[case] needed_by: &str,
        #[case] expected: bool,
    ) {
        let at = |text: &str| format!("{text}T10:00:00Z").parse::<Timestamp>().unwrap();
        let id = "update-20260801-100000".to_owned();
        let update: Update = serde_yaml::from_str(&format!(
            "{{update_id: {id}, status: {}, stage: {}, started_at: 2026-08-01T09:00:00Z, changed_at: '{}', campaign: c, \
             component: a, from: '1', to: '2', update_type: patch, gate: review, policy_applied: default, revert: {{safety: \
             safe, why: ''}}, backup_id: null, branch: b, base: null, head: null, pull_request: null, merge_commit: null, \
             merged_at: null, current_phase: null, completed_phases: [], reason: null}}",
            stage.status().as_str(),
            serde_yaml::to_string(&stage).unwrap().trim(),
            at(changed),
        ))
        .unwrap();
        let mut state = State::default();
        state.updates.insert(id.clone(), update);
        state.evidence.insert(id.clone(), Evidence::new(&id));
        if needed_by == "quarantine" {
            state.quarantine.push(Quarantined {
                component: "a".to_owned(),
                version: "2".to_owned(),
                reason: String::new(),
                since: at(changed),
                update_id: Some(id.clone()),
            });
        }
        if needed_by == "breaker" {
            state.breaker = Some(Breaker { since: at(changed), reverted: vec![id.clone()] });
        }
        assert_eq!(state.outdated_evidence(at("2026-11-21")).contains(&id), expected);
    }
}

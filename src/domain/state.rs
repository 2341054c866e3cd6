//! The life of updates, as it is kept in `refs/gitops-updater/state`: plain data that people read with `git log -p`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::UpdateType;
use super::plan::{Approval, Revert};

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
    /// Taken back.
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
    /// Taken back.
    Reverted,
    /// Stopped.
    Held,
    /// Closed unmerged or replaced.
    Abandoned,
}

/// One step in life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
}

/// A sequence of steps that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// A commit to go back to for each verified step.
    pub rollback_points: Vec<RollbackPoint>,
}

/// A commit to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

//! The history of updates, as the state has it: an interface that scripts and dashboards read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::UpdateType;
use super::settle::verdict::Verdict;
use super::state::{Stage, State, Update, UpdateStatus};

/// Version of the shape.
pub const SCHEMA: &str = "gitops-updater/history/v1";

/// The whole document: one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// What was done.
    pub update_history: History,
}

/// What was done to a repository, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Always `gitops-updater/history/v1`.
    pub schema: String,
    /// When the history was read.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub timestamp: Timestamp,
    /// Commit of the state; null before the first.
    pub state: Option<String>,
    /// Updates began at or after this moment; null for all.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// Updates by the moment they began.
    pub updates: Vec<Entry>,
    /// Counts.
    pub summary: Summary,
}

/// One update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Update id.
    pub update_id: String,
    /// Campaign that it is part of.
    pub campaign: String,
    /// Component id.
    pub component: String,
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// What kind of step it is.
    pub update_type: UpdateType,
    /// For people and scripts.
    pub status: UpdateStatus,
    /// Where it is in its life.
    pub stage: Stage,
    /// When it began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// When it was merged.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub merged_at: Option<Timestamp>,
    /// When it came to where it is.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub changed_at: Timestamp,
    /// Seconds from the merge to the verification; null unless it is verified.
    pub seconds_to_verify: Option<i64>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// Commit on the base branch that brought it in.
    pub merge_commit: Option<String>,
    /// Commit on the base branch that reverted it.
    pub revert_commit: Option<String>,
    /// Backup point made before.
    pub backup_id: Option<String>,
    /// When its merge was taken back, by the bot or by a person; null unless it was.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub reverted_at: Option<Timestamp>,
    /// When the cluster was seen healthy again after that; null unless it was.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub healthy_again_at: Option<Timestamp>,
    /// What was said of it last, as far as it stands: null where it was good and was taken back since.
    pub verdict: Option<Verdict>,
    /// Who said that it is verified; where it was taken back since, who had said so.
    pub verified_by: Option<String>,
    /// What decided how it was approved.
    pub policy_applied: String,
    /// What it waits for, why it was stopped, or who took it back and why.
    pub reason: Option<String>,
    /// When it failed: `pre_update`, `update`, `post_update`.
    pub failure_stage: Option<String>,
}

/// Counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Updates.
    pub updates: usize,
    /// Updates by status.
    pub by_status: BTreeMap<String, usize>,
    /// Share of the updates that are over which are completed, from 0 to 1; null where none is over. Those that were
    /// closed or replaced do not count.
    pub success_rate: Option<f64>,
    /// Middle of the times from merge to verification, in seconds.
    pub median_seconds_to_verify: Option<i64>,
}

impl Document {
    /// The updates of `state` that began at or after `since` and are `selected`.
    pub fn of(
        state: &State,
        tip: Option<String>,
        since: Option<Timestamp>,
        selected: &dyn Fn(&Update) -> bool,
        now: Timestamp,
    ) -> Self {
        let began = |update: &&Update| since.is_none_or(|since| update.started_at >= since);
        let chosen = state.updates.values().filter(began).filter(|update| selected(update));
        let mut updates: Vec<Entry> = chosen.map(Entry::of).collect();
        updates.sort_by(|one, other| {
            (one.started_at, &one.update_id).cmp(&(other.started_at, &other.update_id))
        });
        let summary = Summary::of(&updates);
        let schema = SCHEMA.to_owned();
        Self { update_history: History { schema, timestamp: now, state: tip, since, updates, summary } }
    }
}

impl Entry {
    fn of(update: &Update) -> Self {
        let verified = update.stage == Stage::Verified;
        let merged_at = update.merged_at.filter(|_| verified);
        let reversal = update.settling.reversal.as_ref();
        let reverted = update.stage == Stage::Reverted;
        let made_at = reversal.filter(|reversal| reversal.commit.is_some() || reverted);
        let made_at = made_at.and_then(|reversal| reversal.made_at);
        Self {
            update_id: update.update_id.clone(),
            campaign: update.campaign.clone(),
            component: update.component.clone(),
            from: update.from.clone(),
            to: update.to.clone(),
            update_type: update.update_type,
            status: update.status,
            stage: update.stage,
            started_at: update.started_at,
            merged_at: update.merged_at,
            changed_at: update.changed_at,
            seconds_to_verify: merged_at.map(|at| update.changed_at.duration_since(at).as_secs().max(0)),
            pull_request: update.pull_request,
            merge_commit: update.merge_commit.clone(),
            revert_commit: reversal.and_then(|reversal| reversal.commit.clone()),
            backup_id: update.backup_id.clone(),
            reverted_at: made_at.or_else(|| reverted.then_some(update.changed_at)),
            healthy_again_at: reversal.and_then(|reversal| reversal.back_at),
            // That the cluster was healthy with it, or is so without it, is no verdict on what is gone.
            verdict: update.settling.verdict.filter(|verdict| !reverted || *verdict != Verdict::Healthy),
            verified_by: update.verified_by.clone(),
            policy_applied: update.policy_applied.clone(),
            reason: update.reason.clone(),
            failure_stage: update.failure_stage.clone(),
        }
    }
}

impl Summary {
    fn of(updates: &[Entry]) -> Self {
        let mut by_status: BTreeMap<String, usize> = BTreeMap::new();
        for update in updates {
            *by_status.entry(update.status.as_str().to_owned()).or_insert(0) += 1;
        }
        let count = |status: UpdateStatus| by_status.get(status.as_str()).copied().unwrap_or(0);
        let completed = count(UpdateStatus::Completed);
        let over = completed + count(UpdateStatus::Reverted) + count(UpdateStatus::Held);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let success_rate = (over > 0).then(|| completed as f64 / over as f64);
        let mut times: Vec<i64> = updates.iter().filter_map(|update| update.seconds_to_verify).collect();
        times.sort_unstable();
        let median_seconds_to_verify = times.get(times.len() / 2).copied();
        Self { updates: updates.len(), by_status, success_rate, median_seconds_to_verify }
    }
}

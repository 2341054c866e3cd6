//! Plans of the system-upgrade-controller.

use serde::Deserialize;

use super::selector::{RawSelector, Selector};
use super::{Condition, Detail, has_conditions, or_default};

/// What a Plan has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// `spec.version`.
    pub version: String,
    /// `spec.channel`.
    pub channel: String,
    /// `spec.concurrency`.
    pub concurrency: i64,
    /// Nodes are cordoned or drained before.
    pub cordons: bool,
    /// Which nodes.
    pub selector: Selector,
    /// `spec.jobActiveDeadlineSecs`, in seconds.
    pub deadline_seconds: Option<i64>,
    /// Resolved version with `-` for `+`.
    pub latest_version: String,
    /// Value of the label on nodes whose Job succeeded.
    pub latest_hash: String,
    /// Names of nodes that are being changed.
    pub applying: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PlanSpec {
    #[serde(deserialize_with = "or_default")]
    version: String,
    #[serde(deserialize_with = "or_default")]
    channel: String,
    #[serde(deserialize_with = "or_default")]
    concurrency: i64,
    #[serde(deserialize_with = "or_default")]
    cordon: bool,
    drain: Option<serde::de::IgnoredAny>,
    #[serde(deserialize_with = "or_default")]
    node_selector: RawSelector,
    job_active_deadline_secs: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PlanStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    latest_version: String,
    #[serde(deserialize_with = "or_default")]
    latest_hash: String,
    #[serde(deserialize_with = "or_default")]
    applying: Vec<String>,
}

pub(super) fn plan(spec: PlanSpec, status: &mut PlanStatus) -> Detail {
    Detail::Plan(Box::new(Plan {
        version: spec.version,
        channel: spec.channel,
        concurrency: spec.concurrency,
        cordons: spec.cordon || spec.drain.is_some(),
        selector: spec.node_selector.into(),
        deadline_seconds: spec.job_active_deadline_secs,
        latest_version: std::mem::take(&mut status.latest_version),
        latest_hash: std::mem::take(&mut status.latest_hash),
        applying: std::mem::take(&mut status.applying),
    }))
}

has_conditions!(PlanStatus);

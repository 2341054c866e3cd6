//! What one pass must tell the next, so that a judgement survives the end of the process.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Subject};
use super::verdict::{Action, Verdict};

/// Everything that the judge remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// By update id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub updates: BTreeMap<String, Remembered>,
}

/// What is remembered of one update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Remembered {
    /// What was wrong before the merge; `None` where nobody had looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// When the merge was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub merged_at: Option<Timestamp>,
    /// A node was touched: a k3s update is never reverted any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub node_touched: bool,
    /// Nodes that run the new version, or once did.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub nodes_moved: BTreeSet<String>,
    /// Longhorn has recorded the new version: never reverted any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub longhorn_recorded: bool,
    /// It failed, and it was this update's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub regressed_at: Option<Timestamp>,
    /// Since when what is touched fails, by `Kind/namespace/name`, while patience lasts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub failing: BTreeMap<String, Timestamp>,
    /// A hold that only a person clears.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Sight was lost after the merge, until when at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub blind_until: Option<Timestamp>,
    /// Since when everything is applied and nothing has restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub applied_since: Option<Timestamp>,
    /// What was tried and went well since everything is applied, and when, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub tried: BTreeMap<String, Timestamp>,
    /// What was said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

/// A verdict and an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The verdict.
    pub verdict: Verdict,
    /// The action.
    pub action: Action,
}

/// What was wrong before a change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Baseline {
    /// When it was taken.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub taken_at: Option<Timestamp>,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// What could not be looked at, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_observed: Vec<String>,
    /// Nodes that were cordoned.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub cordoned: BTreeSet<String>,
    /// Version of each node's kubelet.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kubelets: BTreeMap<String, String>,
    /// Restarts of containers by what owns the pods, as `Kind/namespace/name`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<String, i64>,
}

impl Baseline {
    /// Whether a finding is new: nothing was wrong with its subject, or it was less bad.
    pub fn is_new(&self, finding: &Finding) -> bool {
        !self.findings.iter().any(|old| old.subject == finding.subject && old.severity >= finding.severity)
    }

    /// Whether anything was wrong with an object.
    pub fn had(&self, subject: &Subject) -> bool {
        self.findings.iter().any(|old| &old.subject == subject)
    }
}

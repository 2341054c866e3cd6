//! What is said of an update, and what is done about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::line::Moment;

/// Our judgement of an update after its merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Applied, and nothing is worse than before.
    Healthy,
    /// Something is worse than before, and it is of this update.
    Regressed,
    /// Not seen, not of this commit, or suspended.
    Unknown,
    /// Seen and contradictory, or failing where it cannot be laid to this update.
    Inconclusive,
}

/// What is done about a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Look on.
    Wait,
    /// The update is done.
    Complete,
    /// Revert it.
    Revert,
    /// Stop, and call for a person.
    Hold,
    /// The update is no longer ours to judge.
    None,
}

/// Why a verdict was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The word for scripts, such as `not_applied`, `suspended`, `upgrade_failed`, `node_away`.
    pub code: String,
    /// The object, as `Kind/namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<String>,
    /// For people.
    pub text: String,
}

/// What the judge says of an update from one moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Judgement {
    /// From when on.
    pub t: Moment,
    /// The update.
    pub update: String,
    /// What it is.
    pub verdict: Verdict,
    /// What to do.
    pub action: Action,
    /// Why; the most telling first.
    pub reasons: Vec<Reason>,
    /// A hold that clears itself when the evidence comes; otherwise only a person clears it.
    pub clears_itself: bool,
}

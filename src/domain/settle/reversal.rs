//! The way back of an update, as it is kept.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reversal {
    /// When it was decided; the commit carries this time, so that it is the same whoever makes it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub decided_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Branch of the pull request that proposes it, where it is not pushed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub branch: Option<String>,
    /// Number of that pull request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pull_request: Option<u64>,
    /// Commit on the base branch by which it is reverted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// When that commit came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub made_at: Option<Timestamp>,
    /// When the cluster was seen healthy again at the old version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub back_at: Option<Timestamp>,
    /// Who wanted it, or has looked at it since: it counts for the circuit breaker no more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen_by: Option<String>,
}

impl Reversal {
    /// One that was decided and is not made.
    pub fn decided(at: Timestamp, reason: impl Into<String>) -> Self {
        Self {
            decided_at: at,
            reason: reason.into(),
            branch: None,
            pull_request: None,
            commit: None,
            made_at: None,
            back_at: None,
            seen_by: None,
        }
    }

    /// One that a person wanted: the circuit breaker is for what the bot does by itself.
    pub fn by_person(at: Timestamp, reason: impl Into<String>) -> Self {
        Self { seen_by: Some("a person".to_owned()), ..Self::decided(at, reason) }
    }
}

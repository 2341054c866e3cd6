//! The part of the configuration file that says what is done about a merged update, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::words::words;

/// What is done about a merged update that is not good.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of settings for what follows a merge")]
#[schemars(rename = "Settle")]
pub(super) struct RawSettle {
    /// How an update is taken back that regressed, where that is safe: `push` (a commit on the base branch; where the
    /// branch refuses it, a pull request), `pull_request`, or `never` (a person is called instead). Default: `push`.
    pub(super) revert: Option<RawRevertBy>,
    /// What is tried once in the cluster before a revert: `reconcile` (ask Flux to reconcile again), `reset` (let a
    /// HelmRelease try again whose retries ran out). Default: nothing.
    pub(super) recover: Vec<RawRecovery>,
    /// Ask Flux to reconcile as soon as an update is merged, instead of waiting for its interval. Default: `false`.
    pub(super) reconcile: Option<bool>,
}

words! {
    /// How a commit gets to the base branch.
    RawRevertBy as "RevertBy", "way to revert" {
        /// By a push, or a pull request where the branch refuses it.
        Push = "push",
        /// By a pull request.
        PullRequest = "pull_request",
        /// Not at all.
        Never = "never",
    }
}

words! {
    /// What is tried before a revert.
    RawRecovery as "Recovery", "recovery" {
        /// Ask Flux to reconcile again.
        Reconcile = "reconcile",
        /// Let a HelmRelease try again whose retries ran out.
        Reset = "reset",
    }
}

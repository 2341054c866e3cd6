//! What is done about a merged update, validated.

use super::raw_settle::{RawRecovery, RawRevertBy, RawSettle};

/// What is done about a merged update that is not good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settle {
    /// How an update that regressed is taken back.
    pub revert: RevertBy,
    /// Ask Flux to reconcile again before a revert.
    pub recover_by_reconciling: bool,
    /// Let a HelmRelease try again whose retries ran out before a revert.
    pub recover_by_reset: bool,
    /// Ask Flux to reconcile as soon as an update is merged.
    pub reconcile: bool,
}

/// How a commit gets to the base branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevertBy {
    /// By a push, or a pull request where the branch refuses it.
    #[default]
    Push,
    /// By a pull request.
    PullRequest,
    /// Not at all.
    Never,
}

impl From<RawSettle> for Settle {
    fn from(raw: RawSettle) -> Self {
        let defaults = Self::default();
        let has = |wanted: RawRecovery| raw.recover.contains(&wanted);
        Self {
            revert: raw.revert.map_or(defaults.revert, |revert| match revert {
                RawRevertBy::Push => RevertBy::Push,
                RawRevertBy::PullRequest => RevertBy::PullRequest,
                RawRevertBy::Never => RevertBy::Never,
            }),
            recover_by_reconciling: has(RawRecovery::Reconcile),
            recover_by_reset: has(RawRecovery::Reset),
            reconcile: raw.reconcile.unwrap_or(defaults.reconcile),
        }
    }
}

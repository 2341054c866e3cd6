//! What became of pull requests since a pass looked at them last, for who only reads.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::known::DECLINED;
use crate::app::forge::{PullRequest, PullRequestState};
use crate::domain::lifecycle::CLOSING;
use crate::domain::state::{Quarantined, Stage, State, Update};

/// What became of the pull request of an update that is recorded as proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrecorded {
    /// It was merged.
    Merged {
        /// Commit on the base branch.
        commit: String,
        /// When.
        at: Timestamp,
    },
    /// It was closed without being merged.
    Closed,
}

impl Unrecorded {
    /// What no pass has recorded yet; `base_branch` is `None` where it is not known.
    pub fn of(update: &Update, pulls: &[PullRequest], base_branch: Option<&str>) -> Option<Self> {
        let pull = pulls.iter().find(|pull| update.pull_request == Some(pull.number))?;
        let is_for_base = base_branch.is_none_or(|branch| pull.base == branch);
        match &pull.state {
            _ if update.stage != Stage::Proposed => None,
            // The bot itself closes it, and says so there.
            _ if update.current_phase.as_deref() == Some(CLOSING) => None,
            PullRequestState::Merged { commit, at } if is_for_base => {
                Some(Self::Merged { commit: commit.clone(), at: *at })
            }
            PullRequestState::Closed => Some(Self::Closed),
            PullRequestState::Merged { .. } | PullRequestState::Open => None,
        }
    }

    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Merged { .. } => "merged",
            Self::Closed => "closed",
        }
    }

    /// What comes of it.
    pub fn told(&self) -> &'static str {
        match self {
            Self::Merged { .. } => {
                "merged, not yet recorded: the next `gitops-updater run` or `gitops-updater verify` records it and looks on"
            }
            Self::Closed => {
                "closed without being merged, not yet recorded: the next `gitops-updater run` records that it is not wanted"
            }
        }
    }
}

/// Puts into what is recorded what the next pass will put there, of which a plan cannot be made without. Returns the ids
/// of the updates that were merged since.
pub fn foresee(
    state: &mut State,
    pulls: &[PullRequest],
    base_branch: Option<&str>,
    now: Timestamp,
) -> BTreeSet<String> {
    let mut merged = BTreeSet::new();
    let mut declined = Vec::new();
    for update in state.updates.values_mut() {
        match Unrecorded::of(update, pulls, base_branch) {
            Some(Unrecorded::Merged { commit, at }) => {
                update.stage = Stage::Merged;
                (update.merge_commit, update.merged_at) = (Some(commit), Some(at));
                merged.insert(update.update_id.clone());
            }
            Some(Unrecorded::Closed) => {
                (update.stage, update.changed_at) = (Stage::Abandoned, now);
                declined.push(update.clone());
            }
            None => continue,
        }
        update.status = update.stage.status();
    }
    for update in declined {
        state.put_in_quarantine(Quarantined::of(&update, DECLINED, now));
    }
    merged
}

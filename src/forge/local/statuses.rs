//! Statuses of commits, as files of a chain of commits.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Inner, crowded, failed};
use crate::app::forge::{Checks, CommitStatus, ForgeError, ForgeErrorClass, ForgeResult, StatusState};
use crate::repo::write::{Change, Error, Id, RefUpdate, Words};

const STATUSES: &str = "refs/gitops-updater/statuses";
const FILE_LIMIT: usize = 256 << 10;
const MOST_ATTEMPTS: usize = 30;

/// A status as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    context: String,
    state: State,
    description: String,
    url: Option<String>,
    at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    Success,
    Failure,
    Error,
}

impl From<StatusState> for State {
    fn from(state: StatusState) -> Self {
        match state {
            StatusState::Pending => Self::Pending,
            StatusState::Success => Self::Success,
            StatusState::Failure => Self::Failure,
            StatusState::Error => Self::Error,
        }
    }
}

impl From<State> for StatusState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Success => Self::Success,
            State::Failure => Self::Failure,
            State::Error => Self::Error,
        }
    }
}

impl Inner {
    pub(super) fn list_statuses(&self, commit: &str) -> ForgeResult<Vec<CommitStatus>> {
        let attempt = "read the statuses of a commit";
        let (_, statuses) = self.statuses(attempt, id(attempt, commit)?)?;
        let status = |status: Status| CommitStatus {
            state: status.state.into(),
            context: status.context,
            description: status.description,
            url: status.url,
        };
        Ok(statuses.into_iter().map(status).collect())
    }

    pub(super) fn checks(&self, commit: &str) -> ForgeResult<Checks> {
        let attempt = "read the statuses of a commit";
        let commit = id(attempt, commit)?;
        let (_, statuses) = self.statuses(attempt, commit)?;
        let mut checks = Checks::default();
        for status in statuses {
            match status.state {
                State::Success => checks.succeeded += 1,
                State::Pending => checks.pending += 1,
                State::Failure | State::Error => checks.failed += 1,
            }
        }
        Ok(checks)
    }

    pub(super) fn set_status(&self, commit: &str, status: &CommitStatus) -> ForgeResult<()> {
        let attempt = format!("write status `{}`", status.context);
        let commit = id(&attempt, commit)?;
        let mut last = None;
        for _ in 0..MOST_ATTEMPTS {
            let (tip, mut statuses) = self.statuses(&attempt, commit)?;
            let new = Status {
                context: status.context.clone(),
                state: status.state.into(),
                description: status.description.clone(),
                url: status.url.clone(),
                at: self.now(),
            };
            match statuses.iter_mut().find(|known| known.context == new.context) {
                Some(known) if (Status { at: known.at, ..new.clone() }) == *known => return Ok(()),
                Some(known) => *known = new,
                None => statuses.push(new),
            }
            let text =
                serde_yaml::to_string(&statuses).map_err(|error| broken(&attempt, &error.to_string()))?;
            let files = BTreeMap::from([(path(commit), Change::Write(text.into_bytes()))]);
            let subject = format!("{} is {} on {}", status.context, word(status.state), commit.short());
            let words = Words { message: &subject, author: &self.author, time: self.now() };
            let new_tip = match tip {
                Some(tip) => self.repo.commit(tip, &files, words),
                None => {
                    self.repo.tree_of_files(&files).and_then(|tree| self.repo.commit_tree(tree, &[], words))
                }
            };
            let pushed = new_tip.and_then(|new| self.repo.push(&[RefUpdate::replace(STATUSES, tip, new)]));
            match pushed {
                Ok(_) => return Ok(()),
                Err(error) if error.lost_race() && !matches!(error, Error::Refs { .. }) => last = Some(error),
                Err(error) => return Err(failed(&attempt, &error)),
            }
        }
        Err(crowded(&attempt, last))
    }

    /// The tip of the chain and the statuses of one commit.
    fn statuses(&self, attempt: &str, commit: Id) -> ForgeResult<(Option<Id>, Vec<Status>)> {
        let refs = self.repo.fetch(|name| name == STATUSES).map_err(|error| failed(attempt, &error))?;
        let Some(tip) = refs.refs.get(STATUSES).copied() else { return Ok((None, vec![])) };
        let bytes =
            self.repo.read_file(tip, &path(commit), FILE_LIMIT).map_err(|error| failed(attempt, &error))?;
        let Some(bytes) = bytes else { return Ok((Some(tip), vec![])) };
        let text = String::from_utf8_lossy(&bytes);
        let statuses = serde_yaml::from_str(&text).map_err(|error| broken(attempt, &error.to_string()))?;
        Ok((Some(tip), statuses))
    }
}

fn path(commit: Id) -> String {
    format!("{commit}.yaml")
}

fn word(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failure",
        StatusState::Error => "error",
    }
}

fn id(attempt: &str, commit: &str) -> ForgeResult<Id> {
    commit.parse().map_err(|_| ForgeError {
        class: ForgeErrorClass::NotFound,
        message: format!("cannot {attempt}: `{commit}` is no commit"),
        hint: None,
    })
}

fn broken(attempt: &str, why: &str) -> ForgeError {
    ForgeError {
        class: ForgeErrorClass::Permanent,
        message: format!("cannot {attempt}: `{STATUSES}` is broken: {why}"),
        hint: Some(format!("its history is in `git log -p {STATUSES}`")),
    }
}

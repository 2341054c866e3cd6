//! Why a pass, or one update of it, could not go on.

use crate::app::data::DataError;
use crate::app::effects::Stopped;
use crate::app::forge::ForgeError;
use crate::backup;
use crate::domain::edit::EditError;
use crate::domain::message::TemplateError;
use crate::repo::write::{self, NotAnId};
use crate::state;

/// Why a pass could not go on, or one update of it could not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or moving refs.
    #[error(transparent)]
    Git(#[from] write::Error),
    /// Reading or moving the state.
    #[error(transparent)]
    State(#[from] state::Error),
    /// Making or reading back a backup point.
    #[error(transparent)]
    Backup(#[from] backup::Error),
    /// Backing up data.
    #[error(transparent)]
    Data(DataError),
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// A text of the user's.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A file that cannot be changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A file that cannot be made anew.
    #[error("cannot make `{file}` anew: {reason}")]
    Generated {
        /// Path.
        file: String,
        /// Why.
        reason: String,
    },
    /// The base branch is not there.
    #[error("cannot find the branch `{branch}` at {remote}")]
    NoBase {
        /// Its name.
        branch: String,
        /// The remote, without credentials.
        remote: String,
    },
    /// No default branch is known.
    #[error("cannot tell which branch pull requests are for: {remote} names no default branch")]
    NoDefault {
        /// The remote, without credentials.
        remote: String,
    },
    /// The forge speaks of a commit by a name that is none.
    #[error("cannot use `{text}`, which the forge gave as the name of a commit")]
    Commit {
        /// What it gave.
        text: String,
        /// Why.
        source: NotAnId,
    },
    /// The branch of a step holds what somebody else committed.
    #[error("branch `{branch}` holds commits of somebody else; it is left alone")]
    Foreign {
        /// Its name.
        branch: String,
    },
    /// An earlier attempt at the same version has a pull request for the branch.
    #[error("cannot open a pull request for `{branch}`: #{number} is for it, and is of an earlier attempt")]
    Another {
        /// Its number.
        number: u64,
        /// The branch.
        branch: String,
    },
    /// The hidden comment of a pull request is not what was written there.
    #[error("cannot use the hidden comment of pull request #{number}: {why}")]
    Marker {
        /// Number of the pull request.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody stopped everything while the pass was under way.
    #[error("everything is stopped by the kill switch")]
    KillSwitch,
    /// Stopped by the witness.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Error {
    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Backup(error) => error.hint(),
            Self::Forge(error) => error.hint.clone(),
            Self::NoBase { .. } | Self::NoDefault { .. } => {
                Some("name it as `forge.base_branch` in the configuration".to_owned())
            }
            Self::Marker { .. } => Some(
                "somebody changed it; close the pull request and delete its branch to have it opened anew"
                    .to_owned(),
            ),
            Self::Another { number, .. } => Some(format!("close #{number}, and the next run opens one")),
            Self::Foreign { .. } => Some("delete the branch to have it made anew".to_owned()),
            _ => None,
        }
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Stopped(stopped) => Self::Stopped(stopped),
            error => Self::Data(error),
        }
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text.push_str(&format!(": {said}"));
        }
        cause = next.source();
    }
    text
}

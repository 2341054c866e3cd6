//! Why a backup point could not be made, read or used, and what to do next.

use crate::domain::upstream::FailureClass;
use crate::repo::write;

/// Why a backup point could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository or the remote failed.
    #[error("cannot {attempt}")]
    Git {
        /// Such as ``push backup point `x` ``.
        attempt: String,
        /// What happened.
        source: write::Error,
    },
    /// The text cannot be an id.
    #[error("cannot use `{id}` as a backup id")]
    Id {
        /// As given.
        id: String,
    },
    /// There is one already, and it stays as it is.
    #[error("cannot make backup point `{id}`: there is one, and backup points are never changed")]
    Exists {
        /// The id.
        id: String,
    },
    /// There is none.
    #[error("cannot find backup point `{id}`")]
    Missing {
        /// The id.
        id: String,
    },
    /// What is there is no backup point of this program.
    #[error("cannot read backup point `{id}`: {why}")]
    Broken {
        /// The id.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The remote does not have what was pushed.
    #[error("cannot read back backup point `{id}`: the remote has {found}")]
    NotReadBack {
        /// The id.
        id: String,
        /// What it has.
        found: String,
    },
    /// A component that the backup point does not know.
    #[error("cannot restore `{component}` from backup point `{id}`: it is not in it")]
    NoComponent {
        /// The id.
        id: String,
        /// The component.
        component: String,
    },
    /// The base branch has it all.
    #[error("cannot restore {what} from backup point `{id}`: the base branch has it as it was")]
    Unchanged {
        /// The id.
        id: String,
        /// What was to be brought back.
        what: String,
    },
    /// The branch for the restore is there and holds something else.
    #[error("cannot restore: branch `{branch}` is there and holds something else")]
    Branch {
        /// The branch.
        branch: String,
    },
}

impl Error {
    /// What asking again is good for.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Git { source, .. } => source.class(),
            Self::Missing { .. } => FailureClass::NotFound,
            Self::NotReadBack { .. } => FailureClass::Transient,
            _ => FailureClass::Permanent,
        }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git { source, .. } => source.hint(),
            Self::Id { .. } => Some(
                "ids have letters, digits, `.`, `_` and `-`, at most 100, and begin with a letter or digit"
                    .to_owned(),
            ),
            Self::Unchanged { .. } => Some(
                "there is nothing to bring back; `gitops-updater backup list` has the older ones".to_owned(),
            ),
            Self::Exists { .. } => Some("give another id with `--backup-id`, or none".to_owned()),
            Self::Missing { .. } => Some("`gitops-updater backup list` lists all".to_owned()),
            Self::NoComponent { .. } => Some("`gitops-updater backup show` lists its components".to_owned()),
            Self::Branch { branch } => Some(format!("delete `{branch}` if it is not needed")),
            _ => None,
        }
    }
}

pub(super) fn git(attempt: impl Into<String>) -> impl FnOnce(write::Error) -> Error {
    move |source| Error::Git { attempt: attempt.into(), source }
}

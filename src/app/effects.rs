//! Everything that a pass does to the world, named before it is done.
//!
//! Each effect passes through a [`Witness`] first: a dry run prints it and leaves it out, a test stops the pass between
//! any two. What a pass decides never depends on which witness looks on.

use std::fmt;

/// One thing done to the repository or the forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A transition of the state.
    Record {
        /// The transition, in words.
        what: String,
    },
    /// A backup point is made.
    BackUp {
        /// Its id.
        backup_id: String,
        /// Commit that it is a point of.
        commit: String,
    },
    /// A branch is created or moved.
    Push {
        /// Without `refs/heads/`.
        branch: String,
        /// What it proposes.
        what: String,
    },
    /// A branch is deleted.
    DeleteBranch {
        /// Without `refs/heads/`.
        branch: String,
    },
    /// A pull request is opened.
    Open {
        /// Head branch.
        branch: String,
        /// Title.
        title: String,
    },
    /// Title, body or labels of a pull request are changed.
    Change {
        /// Its number.
        number: u64,
        /// What is changed.
        what: String,
    },
    /// A pull request is commented on.
    Comment {
        /// Its number.
        number: u64,
        /// What is said.
        what: String,
    },
    /// A pull request is closed.
    Close {
        /// Its number.
        number: u64,
        /// Why.
        reason: String,
    },
    /// A pull request is merged.
    Merge {
        /// Its number.
        number: u64,
        /// What it proposes.
        what: String,
    },
    /// A commit status is written.
    Status {
        /// The commit.
        commit: String,
        /// What it says.
        what: String,
    },
    /// The base branch is moved to a commit that takes an update back.
    Revert {
        /// Without `refs/heads/`.
        branch: String,
        /// What it reverts.
        what: String,
    },
    /// The base branch is moved to a commit that stops a rollout.
    Stop {
        /// Without `refs/heads/`.
        branch: String,
        /// Which rollout.
        what: String,
    },
    /// Something is asked of the cluster.
    Ask {
        /// What, of which object.
        what: String,
    },
    /// A backup of data is made, or an old one removed, in the cluster.
    Data {
        /// What is done, to which object.
        what: String,
    },
    /// Old backup points are removed.
    Prune {
        /// How many.
        count: usize,
    },
    /// The dashboard is written.
    Dashboard {
        /// Its title.
        title: String,
    },
    /// People are told.
    Tell {
        /// Channel.
        channel: String,
        /// What they are told.
        what: String,
    },
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { what } => write!(f, "record: {what}"),
            Self::BackUp { backup_id, commit } => {
                write!(f, "make backup point {backup_id} of {}", commit.get(..7).unwrap_or(commit))
            }
            Self::Push { branch, what } => write!(f, "push {branch}: {what}"),
            Self::DeleteBranch { branch } => write!(f, "delete branch {branch}"),
            Self::Open { branch, title } => write!(f, "open a pull request from {branch}: {title}"),
            Self::Change { number, what } => write!(f, "change pull request #{number}: {what}"),
            Self::Comment { number, what } => write!(f, "comment on pull request #{number}: {what}"),
            Self::Close { number, reason } => write!(f, "close pull request #{number}: {reason}"),
            Self::Merge { number, what } => write!(f, "merge pull request #{number}: {what}"),
            Self::Status { commit, what } => {
                write!(f, "set the status of {}: {what}", commit.get(..7).unwrap_or(commit))
            }
            Self::Revert { branch, what } | Self::Stop { branch, what } => write!(f, "push {branch}: {what}"),
            Self::Ask { what } => write!(f, "ask the cluster: {what}"),
            Self::Data { what } => f.write_str(what),
            Self::Prune { count } => write!(f, "remove {count} old backup points"),
            Self::Dashboard { title } => write!(f, "write the dashboard `{title}`"),
            Self::Tell { channel, what } => write!(f, "tell {channel}: {what}"),
        }
    }
}

/// What came of doing something that others may be doing at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came<T> {
    /// It was done here.
    Done(T),
    /// Another run had done it already: the same thing was there when this one came.
    Found(T),
}

impl<T> Came<T> {
    /// What there is now, whoever made it.
    pub fn into_inner(self) -> T {
        match self {
            Self::Done(value) | Self::Found(value) => value,
        }
    }

    /// The same with something else in place of what there is.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Came<U> {
        match self {
            Self::Done(value) => Came::Done(change(value)),
            Self::Found(value) => Came::Found(change(value)),
        }
    }
}

/// Whether an effect takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// It does.
    Do,
    /// It is left out, and the pass goes on as if it had taken place.
    Skip,
}

/// The pass was stopped between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped between two effects")]
pub struct Stopped;

/// Who looks on.
pub trait Witness: Sync {
    /// Asked before each effect.
    ///
    /// # Errors
    ///
    /// The pass ends here, with the effect not done.
    fn before(&self, effect: &Effect) -> Result<Go, Stopped>;

    /// Whether effects take place at all, or are only told.
    fn acts(&self) -> bool {
        true
    }

    /// Told after each effect that took place.
    ///
    /// # Errors
    ///
    /// The pass ends here, with the effect done.
    fn after(&self, effect: &Effect) -> Result<(), Stopped> {
        let _ = effect;
        Ok(())
    }
}

/// Lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Acting;

impl Witness for Acting {
    fn before(&self, _: &Effect) -> Result<Go, Stopped> {
        Ok(Go::Do)
    }
}

//! Reads the files of a repository: a work tree, a revision, or a plain folder.
//!
//! Everything read is untrusted. The rules, in one place:
//!
//! - No path is followed out of the tree: files are opened beneath the root without following any
//!   link (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` where the kernel has it, else one
//!   `openat` with `O_NOFOLLOW` per component), so that a link swapped in while we read is refused.
//! - No program is run: bytes come from the disk or the object database as they are; filters,
//!   `textconv`, hooks and file system monitors are not asked, and only the repository's own
//!   configuration is read. A repository that belongs to somebody else is read with the same care.
//! - The result is the same on every machine: `.gitignore` files and `info/exclude` count, the
//!   user's and the system's `core.excludesFile` do not.
//! - Sizes, depth, the number of files and the sum of their sizes are bounded.
//! - What is not read is listed as a [`Problem`](crate::domain::problem::Problem), or counted where
//!   somebody asked for it to be left out.
//!
//! This module knows nothing of YAML, rules or reports.

mod beneath;
mod dirty;
mod disk;
mod git;
mod ignores;
mod links;
mod listing;
mod objects;
mod open;
mod read;
mod text;
pub mod write;

use std::io;
use std::path::PathBuf;

pub use listing::{DEFAULT_MAX_SIZE, DEFAULT_MAX_TOTAL, FileEntry, Listing, ReadOptions, Skipped};
pub use open::{Location, Repo, open, top};
pub use read::Reading;
pub use text::printable;

/// Why a repository, a revision or one file of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path given by the user does not exist or may not be read.
    #[error("cannot open `{}`", .path.display())]
    Path {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a Git repository, but it cannot be opened.
    #[error("cannot open the git repository of `{}`", .path.display())]
    Open {
        /// As given.
        path: PathBuf,
        /// What was wrong with it.
        source: Box<gix::Error>,
    },
    /// The repository's objects have names that this program does not read.
    #[error("cannot read `{}`: its objects are named by {format}, only sha1 is supported", .path.display())]
    ObjectFormat {
        /// As given.
        path: PathBuf,
        /// Value of `extensions.objectFormat`.
        format: String,
    },
    /// A revision was asked for where there is no repository.
    #[error("cannot read revision `{rev}` of `{}`: it is not in a git repository", .path.display())]
    NoRepository {
        /// As given.
        path: PathBuf,
        /// As given.
        rev: String,
    },
    /// No commit has this name.
    #[error("cannot find a commit named `{}` in `{}`", printable(.rev), .path.display())]
    Revision {
        /// As given, or `HEAD`.
        rev: String,
        /// Path of the repository as given.
        path: PathBuf,
        /// Why the name does not lead to a commit.
        source: Box<gix::Error>,
    },
    /// The bare repository, or the work tree, has no commit yet.
    #[error("cannot read `{}`: it is a repository without any commit", .path.display())]
    NoCommit {
        /// As given.
        path: PathBuf,
    },
    /// The path is not part of the revision.
    #[error("cannot find `{}` in revision `{}`", printable(.path), printable(.rev))]
    NotInRevision {
        /// Path within the repository.
        path: String,
        /// As given.
        rev: String,
    },
    /// A glob given as `exclude` is not one.
    #[error("cannot use `{}` as a path pattern", printable(.pattern))]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// The path leaves the tree, or leads through a link out of it.
    #[error("cannot read `{}`: it is not a path within the repository", printable(.path))]
    Outside {
        /// As given.
        path: String,
    },
    /// There is no such file.
    #[error("cannot find `{}`", printable(.path))]
    Missing {
        /// As given.
        path: String,
    },
    /// There is something else at that path (a directory, a device).
    #[error("cannot read `{}`: it is not a file", printable(.path))]
    NotAFile {
        /// As given.
        path: String,
    },
    /// The file has more bytes than allowed.
    #[error("cannot read `{}`: it has more than {limit} bytes", printable(.path))]
    TooLarge {
        /// As given.
        path: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// The file is there and cannot be read.
    #[error("cannot read `{}`", printable(.path))]
    Read {
        /// Path within the repository.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// An object of the repository is missing or damaged.
    #[error("cannot read the git object of `{}`", printable(.path))]
    Object {
        /// Path within the repository.
        path: String,
        /// What was wrong with it.
        source: Box<gix::Error>,
    },
}

//! What to read, and what there is to read.

use std::collections::BTreeMap;
use std::fmt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::Error;
use crate::domain::problem::Problem;

/// Bytes of one file beyond which it is not read: 10 MiB.
pub const DEFAULT_MAX_SIZE: u64 = 10 * 1024 * 1024;

/// Bytes of all files together beyond which reading stops: 1 GiB.
pub const DEFAULT_MAX_TOTAL: u64 = 1024 * 1024 * 1024;

/// Directories nested deeper than this are not entered.
pub(super) const MAX_DEPTH: usize = 256;

/// Names seen, wanted or not, beyond which listing stops.
pub(super) const MAX_SEEN: u64 = 1_000_000;

type Wanted = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Which files are read.
pub struct ReadOptions {
    max_size: u64,
    max_total: u64,
    include_ignored: bool,
    exclude: GlobSet,
    wanted: Wanted,
}

impl ReadOptions {
    /// Reads every file whose path within the repository (`/`-separated) is `wanted`, within the
    /// default bounds.
    pub fn new(wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            max_size: DEFAULT_MAX_SIZE,
            max_total: DEFAULT_MAX_TOTAL,
            include_ignored: false,
            exclude: GlobSet::empty(),
            wanted: Box::new(wanted),
        }
    }

    /// Sets the bytes of one file beyond which it is listed as a problem and not read.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// Sets the bytes of all files together beyond which nothing more is read.
    #[must_use]
    pub fn max_total(mut self, bytes: u64) -> Self {
        self.max_total = bytes;
        self
    }

    /// Reads untracked files that `.gitignore` or `info/exclude` name, too.
    #[must_use]
    pub fn include_ignored(mut self, include: bool) -> Self {
        self.include_ignored = include;
        self
    }

    /// Leaves out what matches one of `patterns`: globs on the path within the repository, where `*`
    /// stops at `/` and `**` does not. A pattern without `/` matches at any depth; a directory that
    /// matches is left out with all that is below it.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] names the first pattern that is not a glob.
    pub fn exclude<S: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let mut set = GlobSetBuilder::new();
        for given in patterns {
            let given = given.as_ref();
            let trimmed = given.strip_prefix("./").unwrap_or(given).trim_end_matches('/');
            let pattern = match trimmed.strip_prefix('/') {
                Some(anchored) => anchored.to_owned(),
                None if trimmed.contains('/') => trimmed.to_owned(),
                None => format!("**/{trimmed}"),
            };
            let glob = GlobBuilder::new(&pattern)
                .literal_separator(true)
                .build()
                .map_err(|source| Error::Pattern { pattern: given.to_owned(), source })?;
            set.add(glob);
        }
        self.exclude = set
            .build()
            .map_err(|source| Error::Pattern { pattern: "all patterns together".to_owned(), source })?;
        Ok(self)
    }

    pub(super) fn is_wanted(&self, path: &str) -> bool {
        (self.wanted)(path)
    }

    pub(super) fn is_excluded(&self, path: &str) -> bool {
        !self.exclude.is_empty() && self.exclude.is_match(path)
    }

    /// Whether `path` or a directory above it is excluded; for paths that were not reached by a walk.
    pub(super) fn is_excluded_anywhere(&self, path: &str) -> bool {
        !self.exclude.is_empty()
            && path
                .match_indices('/')
                .map(|(end, _)| &path[..end])
                .chain([path])
                .any(|part| self.exclude.is_match(part))
    }

    pub(super) fn includes_ignored(&self) -> bool {
        self.include_ignored
    }

    pub(super) fn largest(&self) -> u64 {
        self.max_size
    }

    pub(super) fn total(&self) -> u64 {
        self.max_total
    }
}

impl Default for ReadOptions {
    /// Every file, whatever its name.
    fn default() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for ReadOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReadOptions")
            .field("max_size", &self.max_size)
            .field("max_total", &self.max_total)
            .field("include_ignored", &self.include_ignored)
            .field("exclude", &self.exclude)
            .finish_non_exhaustive()
    }
}

/// One file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Path within the repository (or the plain folder), `/`-separated, UTF-8.
    pub path: String,
    /// Object to read it from; `None` where it is read from the disk.
    pub(super) object: Option<gix::ObjectId>,
}

/// What there is to read, in the order of the paths' bytes, each file once.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files to read.
    pub entries: Vec<FileEntry>,
    /// Links within the tree and where they lead within it (files and directories). What is behind
    /// them is in `entries` once, by its own path.
    pub links: BTreeMap<String, String>,
    /// What is not read and may hold something wanted.
    pub problems: Vec<Problem>,
    /// What a person may want to know, though nothing wanted is left unread by it.
    pub notices: Vec<Problem>,
    /// What was left out, by reason.
    pub skipped: Skipped,
    pub(super) max_size: u64,
    pub(super) max_total: u64,
    /// Something differs from the commit, as names and sizes already show.
    pub(super) differs: bool,
    /// Files whose content must be compared to say whether they differ: path and id in the index.
    pub(super) unsure: Vec<(String, gix::ObjectId)>,
}

impl Listing {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self { max_size: options.largest(), max_total: options.total(), ..Self::default() }
    }

    /// Sorts everything, so that the result does not depend on the order of the directory.
    pub(super) fn finish(mut self) -> Self {
        self.entries.sort_unstable_by(|one, other| one.path.as_bytes().cmp(other.path.as_bytes()));
        self.entries.dedup_by(|one, other| one.path == other.path);
        self.problems.sort_unstable();
        self.problems.dedup();
        self.notices.sort_unstable();
        self.notices.dedup();
        self
    }

    pub(super) fn problem(&mut self, file: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::in_file(file, None, message));
    }

    pub(super) fn notice(&mut self, file: impl Into<String>, message: impl Into<String>) {
        self.notices.push(Problem::in_file(file, None, message));
    }
}

/// How many things were left out on purpose.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Files that nobody wants.
    pub unwanted: u64,
    /// Untracked files, and directories with nothing tracked below, that Git is told to ignore.
    pub ignored: u64,
    /// Files and directories that match an `exclude` pattern.
    pub excluded: u64,
    /// Submodules and other repositories within the tree.
    pub repositories: u64,
    /// Links; their targets are read by their own path.
    pub links: u64,
    /// Pipes, sockets and devices.
    pub special: u64,
    /// Wanted files that are tracked and no longer on the disk.
    pub deleted: u64,
    /// Wanted files (and whole directories) that a sparse checkout leaves out.
    pub outside_sparse_checkout: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclude_patterns_are_anchored_only_when_they_hold_a_slash() {
        for (pattern, path, excluded) in [
            ("*.sops.yaml", "apps/db/secret.sops.yaml", true),
            ("charts", "apps/charts/x.yaml", true),
            ("charts/", "charts/x.yaml", true),
            ("/charts", "apps/charts/x.yaml", false),
            ("/charts", "charts/x.yaml", true),
            ("./charts", "apps/charts/x.yaml", true),
            ("clusters/old", "clusters/old/apps/x.yaml", true),
            ("clusters/old", "my/clusters/old/x.yaml", false),
            ("clusters/*/x.yaml", "clusters/a/b/x.yaml", false),
            ("clusters/**", "clusters/a/b/x.yaml", true),
            ("x.{yaml,yml}", "a/x.yml", true),
        ] {
            let options = ReadOptions::default().exclude([pattern]).unwrap();
            assert_eq!(options.is_excluded_anywhere(path), excluded, "{pattern} on {path}");
        }
    }

    #[test]
    fn pattern_that_is_not_a_glob_is_named() {
        let error = ReadOptions::default().exclude(["ok", "a[b"]).unwrap_err();
        assert_eq!(error.to_string(), "cannot use `a[b` as a path pattern");
    }
}

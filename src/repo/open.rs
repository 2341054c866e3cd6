//! Finds out what a path is: part of a Git repository, or a plain folder.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use gix::sec::trust::Mapping;

use super::Error;
use super::beneath::Root;
use super::disk::Disk;
use super::git::Git;
use super::objects::Objects;

/// Bytes that one Git object may take when it is unpacked; larger ones are refused, not loaded.
const MAX_OBJECT_SIZE: u64 = 256 * 1024 * 1024;

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The files on disk of a work tree, by the rules of its repository.
    WorkTree {
        /// Top of the work tree.
        root: PathBuf,
        /// What part of it is read; empty for all.
        prefix: String,
    },
    /// The files of a commit.
    Revision {
        /// The repository's directory.
        git_dir: PathBuf,
        /// As given, or `HEAD`.
        rev: String,
        /// What part of it is read; empty for all.
        prefix: String,
    },
    /// The files on disk of a folder that is not tracked by Git; a repository around it is not asked.
    Folder {
        /// The folder.
        root: PathBuf,
        /// The one file that is read; empty for all.
        prefix: String,
    },
}

/// A repository, or a folder, ready to be listed and read.
pub struct Repo {
    pub(super) location: Location,
    pub(super) source: Source,
}

pub(super) enum Source {
    Disk(Box<Disk>),
    Objects(Box<Objects>),
}

impl fmt::Debug for Repo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Repo").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Repo {
    /// What was opened.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The part of the repository that is read, `/`-separated; empty for all.
    pub fn prefix(&self) -> &str {
        match &self.location {
            Location::WorkTree { prefix, .. }
            | Location::Revision { prefix, .. }
            | Location::Folder { prefix, .. } => prefix,
        }
    }
}

/// Opens `path`.
///
/// With `rev`, that commit of the repository around `path` is read, limited to `path` (which need not
/// be on disk any more). A bare repository is read at `rev` or `HEAD`. Else a path that is tracked in a
/// Git repository, and the top of any work tree, is read from disk by that repository's rules, limited
/// to `path`; any other folder or file is read as it is.
///
/// # Errors
///
/// The path does not exist, its repository cannot be opened, or there is no such revision.
pub fn open(path: &Path, rev: Option<&str>) -> Result<Repo, Error> {
    let (exact, missing) = existing(path, rev.is_some())?;
    let is_directory = exact.is_dir();
    let folder = if is_directory { exact.as_path() } else { exact.parent().unwrap_or(&exact) };
    let Some(repository) = discover(path, folder)? else {
        return match rev {
            Some(rev) => Err(Error::NoRepository { path: path.to_owned(), rev: rev.to_owned() }),
            None => plain(path, &exact),
        };
    };
    let root = repository.work_dir.as_deref().and_then(|root| root.canonicalize().ok());
    // A repository's configuration may name any directory as its work tree: only one around the path counts.
    let prefix = root.as_deref().and_then(|root| exact.strip_prefix(root).ok());
    let inside = match (&root, prefix) {
        (Some(root), Some(prefix)) if !prefix.starts_with(".git") => {
            // Joining nothing would add a slash.
            let prefix =
                if missing.as_os_str().is_empty() { prefix.to_owned() } else { prefix.join(&missing) };
            Some((root.clone(), slashed(path, &prefix)?))
        }
        _ => None,
    };
    match (rev, inside) {
        (None, Some((root, prefix))) => work_tree(path, &exact, repository, root, prefix),
        (rev, inside) => {
            let prefix = inside.map(|(_, prefix)| prefix).unwrap_or_default();
            revision(path, repository, rev, prefix)
        }
    }
}

/// The top of the work tree that `path` is in; `path` itself where it is that top, or in no work tree.
///
/// # Errors
///
/// The path does not exist, or its repository cannot be opened.
pub fn top(path: &Path) -> Result<PathBuf, Error> {
    let (exact, _) = existing(path, false)?;
    let folder = if exact.is_dir() { exact.as_path() } else { exact.parent().unwrap_or(&exact) };
    let found = discover(path, folder)?.and_then(|found| found.work_dir);
    let root = found.and_then(|root| root.canonicalize().ok());
    // As in `open`: only a work tree around the path counts, and what is below `.git` is not in it.
    let is_below = |root: &PathBuf| {
        exact
            .strip_prefix(root)
            .is_ok_and(|below| !below.as_os_str().is_empty() && !below.starts_with(".git"))
    };
    Ok(root.filter(is_below).unwrap_or_else(|| path.to_owned()))
}

/// The part of `path` that exists, with links resolved, and the rest (only when the rest may be missing).
fn existing(path: &Path, may_miss: bool) -> Result<(PathBuf, PathBuf), Error> {
    let fail = |source| Error::Path { path: path.to_owned(), source };
    let mut missing = PathBuf::new();
    let mut here = path.to_owned();
    loop {
        match here.canonicalize() {
            Ok(exact) => return Ok((exact, missing)),
            Err(error) if may_miss && error.kind() == io::ErrorKind::NotFound => {
                let Some(name) = here.file_name().map(PathBuf::from) else { return Err(fail(error)) };
                missing = if missing.as_os_str().is_empty() { name } else { name.join(missing) };
                here.pop();
                if here.as_os_str().is_empty() {
                    here.push(".");
                }
            }
            Err(error) => return Err(fail(error)),
        }
    }
}

struct Found {
    repository: gix::ThreadSafeRepository,
    work_dir: Option<PathBuf>,
}

/// The repository around `folder`, if there is one.
///
/// Opened in isolation: neither the environment nor the user's or the system's configuration is read,
/// and configuration that names programs is never used by what this module calls.
fn discover(path: &Path, folder: &Path) -> Result<Option<Found>, Error> {
    let options = || isolated(MAX_OBJECT_SIZE);
    let mapping = Mapping { full: options(), reduced: options() };
    match gix::ThreadSafeRepository::discover_opts(folder, Default::default(), mapping) {
        Ok(repository) => {
            let work_dir = repository.work_tree.clone();
            Ok(Some(Found { repository, work_dir }))
        }
        Err(error) if error.downcast_any_ref::<gix::discover::upwards::Error>().is_some() => Ok(None),
        Err(error) => Err(match object_format(folder) {
            Some(format) => Error::ObjectFormat { path: path.to_owned(), format },
            None => Error::Open { path: path.to_owned(), source: Box::new(error) },
        }),
    }
}

fn isolated(largest_object: u64) -> gix::open::Options {
    gix::open::Options::isolated().config_overrides([format!("gitoxide.objects.allocLimit={largest_object}")])
}

/// The repository at `git_dir` once more, refusing objects that are larger than this. The refusal comes before
/// anything is unpacked, so that nobody has to ask for an object's size first, which costs as much as reading a
/// small one.
pub(super) fn again(git_dir: &Path, largest_object: u64) -> Option<gix::ThreadSafeRepository> {
    let options = isolated(largest_object.min(MAX_OBJECT_SIZE)).open_path_as_is(true);
    gix::ThreadSafeRepository::open_opts(git_dir, options).ok()
}

/// The object format of the repository around `folder` where it is not the one we read.
///
/// Asked only after opening failed, to say why in words; a look at the text is enough for that.
fn object_format(folder: &Path) -> Option<String> {
    let (found, _) = gix::discover::upwards(folder).ok()?;
    let (git_dir, _) = found.into_repository_and_work_tree_directories();
    let text = std::fs::read_to_string(git_dir.join("config")).ok()?;
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("objectformat"))
        .map(|(_, value)| super::printable(value.trim()).into_owned())
        .filter(|format| format != "sha1")
}

/// A path within the repository, `/`-separated.
fn slashed(path: &Path, prefix: &Path) -> Result<String, Error> {
    prefix.to_str().map(str::to_owned).ok_or_else(|| Error::Path {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"),
    })
}

fn plain(path: &Path, exact: &Path) -> Result<Repo, Error> {
    let (root, prefix) = match (exact.is_dir(), exact.parent(), exact.file_name()) {
        (false, Some(parent), Some(name)) => (parent.to_owned(), slashed(path, Path::new(name))?),
        _ => (exact.to_owned(), String::new()),
    };
    let opened = Root::open(&root).map_err(|source| Error::Path { path: path.to_owned(), source })?;
    Ok(Repo {
        location: Location::Folder { root, prefix },
        source: Source::Disk(Box::new(Disk { root: opened, git: None })),
    })
}

fn work_tree(path: &Path, exact: &Path, found: Found, root: PathBuf, prefix: String) -> Result<Repo, Error> {
    let git = Git::new(found.repository);
    if !prefix.is_empty() && !git.tracks(&prefix) {
        return plain(path, exact);
    }
    let opened = Root::open(&root).map_err(|source| Error::Path { path: path.to_owned(), source })?;
    Ok(Repo {
        location: Location::WorkTree { root, prefix },
        source: Source::Disk(Box::new(Disk { root: opened, git: Some(git) })),
    })
}

fn revision(path: &Path, found: Found, rev: Option<&str>, prefix: String) -> Result<Repo, Error> {
    let rev = rev.unwrap_or("HEAD");
    let repository = found.repository.to_thread_local();
    if rev == "HEAD" && repository.head().is_ok_and(|head| head.is_unborn()) {
        return Err(Error::NoCommit { path: path.to_owned() });
    }
    let fail =
        |source| Error::Revision { rev: rev.to_owned(), path: path.to_owned(), source: Box::new(source) };
    let commit = repository
        .rev_parse_single(rev)
        .and_then(|id| id.object())
        .and_then(|object| object.peel_to_commit())
        .map_err(fail)?;
    let tree = commit.tree_id().map_err(fail)?.detach();
    let objects = Objects { repository: found.repository, commit: commit.id, tree };
    if !prefix.is_empty() && !objects.contains(&prefix) {
        return Err(Error::NotInRevision { path: prefix, rev: rev.to_owned() });
    }
    Ok(Repo {
        location: Location::Revision {
            git_dir: repository.git_dir().to_owned(),
            rev: rev.to_owned(),
            prefix,
        },
        source: Source::Objects(Box::new(objects)),
    })
}

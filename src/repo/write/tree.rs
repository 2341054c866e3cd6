//! What stands in a tree.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{ErrorCode, Repository, Tree};

use super::{Error, Id};

/// What stands at a path of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that may be run.
    Executable,
    /// A symbolic link.
    Link,
    /// A commit of another repository (submodule).
    Commit,
    /// A folder.
    Folder,
}

/// An entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeEntry {
    /// What it is.
    pub kind: EntryKind,
    /// Its object.
    pub id: Id,
}

pub(super) fn tree_of(repository: &Repository, commit: Id) -> Result<Tree<'_>, Error> {
    repository
        .find_commit(commit.oid())
        .and_then(|commit| commit.tree())
        .map_err(Error::object(format!("commit `{}`", commit.short())))
}

pub(super) fn entry_in(tree: &Tree<'_>, path: &str) -> Result<Option<TreeEntry>, git2::Error> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(kind_of(entry.filemode()).map(|kind| TreeEntry { kind, id: entry.id().into() })),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn kind_of(mode: i32) -> Option<EntryKind> {
    Some(match mode {
        0o040_000 => EntryKind::Folder,
        0o100_755 => EntryKind::Executable,
        0o120_000 => EntryKind::Link,
        0o160_000 => EntryKind::Commit,
        // Old repositories have files that the group may write.
        0o100_644 | 0o100_664 => EntryKind::File,
        _ => return None,
    })
}

/// Everything below a tree. `Err(None)` = there are too many.
pub(super) fn collect(
    repository: &Repository,
    tree: &Tree<'_>,
    folder: &str,
    depth: usize,
    most: usize,
    found: &mut BTreeMap<String, TreeEntry>,
) -> Result<(), Option<Error>> {
    if depth == 0 {
        return Err(None);
    }
    for entry in tree {
        // A name that is not UTF-8 cannot be written back by a path of ours.
        let (Ok(name), Some(kind)) = (entry.name(), kind_of(entry.filemode())) else { continue };
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let id = Id::from(entry.id());
        if kind == EntryKind::Folder {
            let below = repository
                .find_tree(entry.id())
                .map_err(|source| Some(Error::Object { what: format!("folder `{path}`"), source }))?;
            collect(repository, &below, &path, depth - 1, most, found)?;
        } else {
            if found.len() >= most {
                return Err(None);
            }
            found.insert(path, TreeEntry { kind, id });
        }
    }
    Ok(())
}

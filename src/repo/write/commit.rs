//! Commits, trees and tags, written straight into the object database.

use std::collections::BTreeMap;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, MergeOptions, ObjectType, Oid, Repository, Signature, Time};
use jiff::Timestamp;

use super::tree::{entry_in, tree_of};
use super::{EntryKind, Error, Id, Person, WriteRepo};

/// Most bytes of one file that is written.
const FILE_LIMIT: usize = 64 << 20;

/// What becomes of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file has these bytes afterwards. One that is there keeps its mode; a link, a submodule or a folder is
    /// refused, because what they lead to is what was meant.
    Write(Vec<u8>),
    /// The entry is put there as it is elsewhere in the repository: bytes and mode.
    Restore(super::TreeEntry),
    /// Nothing stands there afterwards. Removing what is not there is no error.
    Delete,
}

/// What a commit says beside its tree.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// Message; a line end is added where it has none.
    pub message: &'a str,
    /// Author and committer.
    pub author: &'a Person,
    /// When, to the second, in UTC. The same commit made twice has the same id.
    pub time: Timestamp,
}

/// How two histories are brought together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// A tree without conflicts.
    Tree(Id),
    /// Files that both changed.
    Conflicts(Vec<String>),
}

impl WriteRepo {
    /// A commit on `base` with `changes` and nothing else, in the object database; no ref is moved.
    ///
    /// # Errors
    ///
    /// A path cannot be changed so, nothing would change, or objects cannot be read or written.
    pub fn commit(
        &self,
        base: Id,
        changes: &BTreeMap<String, Change>,
        words: Words<'_>,
    ) -> Result<Id, Error> {
        let repository = self.lock();
        let old = tree_of(&repository, base)?;
        let tree = changed(&repository, &old, changes)?;
        if tree == old.id() {
            return Err(Error::NothingChanged { base });
        }
        commit(&repository, tree, &[base], words)
    }

    /// The tree of `base` with `changes`.
    ///
    /// # Errors
    ///
    /// As [`WriteRepo::commit`].
    pub fn tree_with(&self, base: Id, changes: &BTreeMap<String, Change>) -> Result<Id, Error> {
        let repository = self.lock();
        let old = tree_of(&repository, base)?;
        changed(&repository, &old, changes).map(Id::from)
    }

    /// The tree that holds `changes` alone.
    ///
    /// # Errors
    ///
    /// As [`WriteRepo::commit`].
    pub fn tree_of_files(&self, changes: &BTreeMap<String, Change>) -> Result<Id, Error> {
        let repository = self.lock();
        let empty = repository
            .treebuilder(None)
            .and_then(|builder| builder.write())
            .and_then(|id| repository.find_tree(id))
            .map_err(Error::write("a tree"))?;
        changed(&repository, &empty, changes).map(Id::from)
    }

    /// A commit with any tree and any parents, which must be here; no ref is moved.
    ///
    /// # Errors
    ///
    /// Objects cannot be read or written.
    pub fn commit_tree(&self, tree: Id, parents: &[Id], words: Words<'_>) -> Result<Id, Error> {
        let repository = self.lock();
        commit(&repository, tree.oid(), parents, words)
    }

    /// An annotated tag object on a commit; no ref is moved.
    ///
    /// # Errors
    ///
    /// The commit is not here, or the tag cannot be written.
    pub fn tag(&self, commit: Id, name: &str, words: Words<'_>) -> Result<Id, Error> {
        let repository = self.lock();
        let target = repository
            .find_object(commit.oid(), Some(ObjectType::Commit))
            .map_err(Error::object(format!("commit `{}`", commit.short())))?;
        let signature = signature(words)?;
        repository
            .tag_annotation_create(name, &target, &signature, &with_line_end(words.message))
            .map(Id::from)
            .map_err(Error::write("a tag"))
    }

    /// What a three-way merge of `theirs` into `ours` comes to. Nothing is written but objects.
    ///
    /// # Errors
    ///
    /// A commit cannot be read.
    pub fn merge_trees(&self, ours: Id, theirs: Id) -> Result<Merged, Error> {
        let repository = self.lock();
        let base = repository.merge_base(ours.oid(), theirs.oid()).ok();
        merged(&repository, base, ours, theirs)
    }

    /// What `commit` changed against its first parent, made again on top of `onto`. Nothing is written but objects.
    ///
    /// # Errors
    ///
    /// A commit cannot be read.
    pub fn replay(&self, commit: Id, onto: Id) -> Result<Merged, Error> {
        let repository = self.lock();
        let parent = repository
            .find_commit(commit.oid())
            .map_err(Error::object(format!("commit `{}`", commit.short())))?
            .parent_id(0)
            .ok();
        merged(&repository, parent, onto, commit)
    }
}

fn merged(repository: &Repository, base: Option<Oid>, ours: Id, theirs: Id) -> Result<Merged, Error> {
    let what = || format!("the trees of `{}` and `{}`", ours.short(), theirs.short());
    let ancestor = match base {
        Some(base) => tree_of(repository, base.into())?,
        None => repository
            .treebuilder(None)
            .and_then(|builder| builder.write())
            .and_then(|id| repository.find_tree(id))
            .map_err(Error::write("a tree"))?,
    };
    let (our_tree, their_tree) = (tree_of(repository, ours)?, tree_of(repository, theirs)?);
    let mut options = MergeOptions::new();
    // A renamed file is a person's change that a person should look at.
    options.find_renames(false);
    tree_between(repository, (&ancestor, &our_tree, &their_tree), &options, what)
}

/// What a three-way merge of trees (ancestor, ours, theirs) comes to.
pub(super) fn tree_between(
    repository: &Repository,
    (ancestor, ours, theirs): (&git2::Tree<'_>, &git2::Tree<'_>, &git2::Tree<'_>),
    options: &MergeOptions,
    what: impl Fn() -> String,
) -> Result<Merged, Error> {
    let mut index =
        repository.merge_trees(ancestor, ours, theirs, Some(options)).map_err(Error::object(what()))?;
    if index.has_conflicts() {
        let conflicts = index.conflicts().map_err(Error::object(what()))?;
        let mut paths: Vec<String> = conflicts
            .filter_map(Result::ok)
            .filter_map(|conflict| conflict.our.or(conflict.their).or(conflict.ancestor))
            .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
            .collect();
        paths.sort();
        paths.dedup();
        return Ok(Merged::Conflicts(paths));
    }
    let tree = index.write_tree_to(repository).map_err(Error::write("a tree"))?;
    Ok(Merged::Tree(tree.into()))
}

fn commit(repository: &Repository, tree: Oid, parents: &[Id], words: Words<'_>) -> Result<Id, Error> {
    let signature = signature(words)?;
    let tree = repository.find_tree(tree).map_err(Error::object("the tree of a new commit"))?;
    let parents = parents
        .iter()
        .map(|id| repository.find_commit(id.oid()).map_err(Error::object(format!("commit `{}`", id.short()))))
        .collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
    repository
        .commit(None, &signature, &signature, &with_line_end(words.message), &tree, &parents)
        .map(Id::from)
        .map_err(Error::write("a commit"))
}

fn with_line_end(message: &str) -> String {
    // A null byte would end the message for libgit2.
    let message = message.replace('\0', "\u{fffd}");
    if message.ends_with('\n') { message } else { message + "\n" }
}

fn signature(words: Words<'_>) -> Result<Signature<'static>, Error> {
    let Person { name, email } = words.author;
    Signature::new(name, email, &Time::new(words.time.as_second(), 0)).map_err(Error::write("a signature"))
}

fn changed(
    repository: &Repository,
    old: &git2::Tree<'_>,
    changes: &BTreeMap<String, Change>,
) -> Result<Oid, Error> {
    let mut update = TreeUpdateBuilder::new();
    let mut is_empty = true;
    for (path, change) in changes {
        let refused = |why| Error::Path { path: path.clone(), why };
        check_path(path).map_err(refused)?;
        let there = entry_in(old, path).map_err(Error::object(format!("`{path}`")))?;
        let (id, mode) = match change {
            Change::Delete => {
                if there.is_some() {
                    update.remove(path.as_str());
                    is_empty = false;
                }
                continue;
            }
            Change::Restore(entry) => {
                (entry.id.oid(), mode_of(entry.kind).ok_or_else(|| refused("it is a folder"))?)
            }
            Change::Write(bytes) => {
                let mode = match there.map(|entry| entry.kind) {
                    None | Some(EntryKind::File) => FileMode::Blob,
                    Some(EntryKind::Executable) => FileMode::BlobExecutable,
                    Some(EntryKind::Link) => {
                        return Err(refused("it is a symbolic link; change what it leads to"));
                    }
                    Some(EntryKind::Commit) => return Err(refused("it is a submodule")),
                    Some(EntryKind::Folder) => return Err(refused("it is a folder")),
                };
                if bytes.len() > FILE_LIMIT {
                    return Err(Error::TooLarge { what: format!("`{path}`"), limit: FILE_LIMIT });
                }
                (repository.blob(bytes).map_err(Error::write("a file"))?, mode)
            }
        };
        update.upsert(path.as_str(), id, mode);
        is_empty = false;
    }
    if is_empty {
        return Ok(old.id());
    }
    update.create_updated(repository, old).map_err(Error::write("a tree"))
}

fn mode_of(kind: EntryKind) -> Option<FileMode> {
    Some(match kind {
        EntryKind::File => FileMode::Blob,
        EntryKind::Executable => FileMode::BlobExecutable,
        EntryKind::Link => FileMode::Link,
        EntryKind::Commit => FileMode::Commit,
        EntryKind::Folder => return None,
    })
}

/// A path that Git would check out beneath the work tree, and nowhere else.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > 4096 {
        return Err("the path is empty or too long");
    }
    if path.contains(['\0', '\\']) {
        return Err("the path has a character that paths in Git must not have");
    }
    let is_bad =
        |part: &str| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git");
    if path.split('/').any(is_bad) {
        return Err("the path leads out of the repository or into `.git`");
    }
    Ok(())
}

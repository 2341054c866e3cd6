//! Refs of repositories on this machine: moved by transactions, with their objects brought along.
//!
//! A branch that is checked out in a work tree is moved only where that work tree has no changes, and then the work tree
//! follows, as Git's `receive.denyCurrentBranch=updateInstead` has it: to leave it behind would make the next commit of
//! whoever works there revert the change.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use git2::build::CheckoutBuilder;
use git2::{
    AttrCheckFlags, DiffOptions, ErrorCode, ObjectType, Oid, Repository, RepositoryState, Transaction,
};

use super::push::{Pushed, RefUpdate, remaining};
use super::store::open_at;
use super::tree::tree_of;
use super::{Error, Id, RemoteRefs};
use crate::domain::message::BRANCH_PREFIX;

/// The branch that pull requests are for, as a symbolic ref: which branch is checked out says nothing of it.
const BASE: &str = "refs/gitops-updater/base";
/// How long a ref that somebody else holds is waited for; it is held for the time of a few writes.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

pub(super) fn open(path: &Path) -> Result<Repository, Error> {
    super::http::prepare()?;
    open_at(path)
}

fn refs_error(repository: &Repository, attempt: impl Into<String>) -> impl FnOnce(git2::Error) -> Error {
    let (folder, attempt) = (repository.path().to_owned(), attempt.into());
    move |source| Error::Refs { attempt, folder, source }
}

/// The refs of a repository. Symbolic ones are what they lead to.
pub(super) fn refs(repository: &Repository) -> Result<RemoteRefs, Error> {
    let failed = || refs_error(repository, "read the refs");
    let mut found = RemoteRefs::default();
    for reference in repository.references().map_err(failed())? {
        // One broken ref does not hide the others; who asks for it is told that it is not there.
        let Ok(reference) = reference else { continue };
        let Ok(name) = reference.name() else { continue };
        let target = reference.resolve().ok().and_then(|resolved| resolved.target());
        if let Some(id) = target.and_then(Id::known).filter(|_| name.starts_with("refs/")) {
            found.refs.insert(name.to_owned(), id);
        }
    }
    found.default_branch = default_branch(repository, &found);
    Ok(found)
}

/// The branch that pull requests were made for before; else the one that is checked out, unless a person looks at one of
/// ours; else what a clone remembers, else the usual ones.
fn default_branch(repository: &Repository, refs: &RemoteRefs) -> Option<String> {
    let symbolic = |name: &str| {
        let reference = repository.find_reference(name).ok()?;
        reference.symbolic_target().ok()?.map(str::to_owned)
    };
    let branch = |name: &str| symbolic(name)?.strip_prefix("refs/heads/").map(str::to_owned);
    let remembered = branch(BASE).filter(|name| refs.branch(name).is_some());
    let head = branch("HEAD");
    let of_origin = || {
        let target = symbolic("refs/remotes/origin/HEAD")?;
        target
            .strip_prefix("refs/remotes/origin/")
            .map(str::to_owned)
            .filter(|name| refs.branch(name).is_some())
    };
    let usual = || ["main", "master"].into_iter().find(|name| refs.branch(name).is_some()).map(str::to_owned);
    let head = head.filter(|name| !name.starts_with(BRANCH_PREFIX));
    remembered.or(head).or_else(of_origin).or_else(usual)
}

/// The branch that is checked out.
pub(super) fn checked_out(repository: &Repository) -> Option<String> {
    let head = repository.find_reference("HEAD").ok()?;
    head.symbolic_target().ok()??.strip_prefix("refs/heads/").map(str::to_owned)
}

/// Remembers the branch that pull requests are for, unless one is remembered that is still there. In a bare repository
/// nobody checks anything out: its `HEAD` says it.
pub(super) fn remember_base(repository: &Repository, branch: &str) -> Result<(), Error> {
    let is_there = repository.find_reference(BASE).is_ok_and(|base| base.resolve().is_ok());
    if repository.is_bare() || is_there {
        return Ok(());
    }
    match repository.reference_symbolic(BASE, &format!("refs/heads/{branch}"), true, "gitops-updater") {
        // Another run remembers one at this moment; where its lock was left behind, a later one does.
        Err(error) if error.code() == ErrorCode::Locked => Ok(()),
        made => made.map(drop).map_err(refs_error(repository, format!("remember `{branch}` as `{BASE}`"))),
    }
}

/// Copies what leads to `tips` and `to` does not have.
pub(super) fn transfer(from: &Repository, to: &Repository, tips: &[Id]) -> Result<(), Error> {
    let there = to.odb().map_err(Error::write("objects"))?;
    let missing: Vec<Oid> = tips.iter().map(|id| id.oid()).filter(|oid| !there.exists(*oid)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let read = || Error::object("the objects to be copied");
    let mut pack = from.packbuilder().map_err(read())?;
    let mut walk = from.revwalk().map_err(read())?;
    for oid in missing {
        let mut object = from.find_object(oid, None).map_err(read())?;
        while let Some(tag) = object.as_tag() {
            pack.insert_object(tag.id(), None).map_err(read())?;
            let target = tag.target().map_err(read())?;
            object = target;
        }
        match object.kind() {
            Some(ObjectType::Commit) => walk.push(object.id()).map_err(read())?,
            _ => pack.insert_recursive(object.id(), None).map_err(read())?,
        }
    }
    for reference in to.references().map_err(read())?.flatten() {
        if let Some(oid) = reference.resolve().ok().and_then(|resolved| resolved.target()) {
            // Only a saving: what is not here, or is no commit, hides nothing.
            walk.hide(oid).ok();
        }
    }
    pack.insert_walk(&mut walk).map_err(read())?;
    let mut writer = there.packwriter().map_err(Error::write("objects"))?;
    let mut broken = None;
    pack.foreach(|chunk| match writer.write_all(chunk) {
        Ok(()) => true,
        Err(error) => {
            broken = Some(error);
            false
        }
    })
    .map_err(|error| match broken {
        Some(cause) => git2::Error::from_str(&cause.to_string()),
        None => error,
    })
    .map_err(Error::write("objects"))?;
    writer.commit().map_err(Error::write("objects"))?;
    Ok(())
}

/// Moves refs of `target`, all or none, whose objects are in `from`.
pub(super) fn update(from: &Repository, target: &Repository, updates: &[RefUpdate]) -> Result<Pushed, Error> {
    let news: Vec<Id> = updates.iter().filter_map(|update| update.new).collect();
    if from.path() != target.path() {
        transfer(from, target, &news)?;
    }
    let mut names: Vec<&str> = updates.iter().map(|update| update.name.as_str()).collect();
    // In one order for all, so that two writers never wait for each other.
    names.sort_unstable();
    names.dedup();
    let mut transaction = target.transaction().map_err(refs_error(target, "begin to move refs"))?;
    for name in names {
        lock(target, &mut transaction, name)?;
    }
    let mut places = std::collections::BTreeMap::new();
    for update in updates {
        places.insert(update.name.as_str(), place(target, &update.name)?);
    }
    let left = remaining(updates, |name| places.get(name).copied().flatten())?;
    for update in &left {
        follow(target, update)?;
    }
    let signature = git2::Signature::now("gitops-updater", "gitops-updater@localhost")
        .map_err(refs_error(target, "sign the log of refs"))?;
    for update in &left {
        let failed = || refs_error(target, format!("move `{}`", update.name));
        match update.new {
            Some(new) => transaction
                .set_target(&update.name, new.oid(), Some(&signature), "gitops-updater")
                .map_err(failed())?,
            None => transaction.remove(&update.name).map_err(failed())?,
        }
    }
    if left.is_empty() {
        return Ok(Pushed::AlreadyThere);
    }
    transaction.commit().map_err(refs_error(target, "move refs"))?;
    Ok(Pushed::Moved)
}

fn lock(repository: &Repository, transaction: &mut Transaction<'_>, name: &str) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        match transaction.lock_ref(name) {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == ErrorCode::Locked && begun.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) => return Err(refs_error(repository, format!("lock `{name}`"))(error)),
        }
    }
}

fn place(repository: &Repository, name: &str) -> Result<Option<Id>, Error> {
    match repository.find_reference(name) {
        Ok(reference) => Ok(reference.target().and_then(Id::known)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(refs_error(repository, format!("read `{name}`"))(error)),
    }
}

/// Lets every work tree that has the branch checked out follow it.
fn follow(repository: &Repository, update: &RefUpdate) -> Result<(), Error> {
    if !update.name.starts_with("refs/heads/") {
        return Ok(());
    }
    for tree in work_trees(repository) {
        let head = tree.find_reference("HEAD").ok();
        let is_on =
            |head: git2::Reference<'_>| head.symbolic_target().ok().flatten() == Some(update.name.as_str());
        if !head.is_some_and(is_on) {
            continue;
        }
        let folder = tree.workdir().unwrap_or(tree.path()).to_owned();
        let refused =
            |why: String| Error::CheckedOut { branch: update.name.clone(), folder: folder.clone(), why };
        let (Some(old), Some(new)) = (update.expected, update.new) else {
            return Err(refused("it would be made or removed under a work tree".to_owned()));
        };
        follow_in(&tree, old, new).map_err(|error| match error {
            InTheWay::Said(why) => refused(why),
            InTheWay::Failed(error) => refused(error.message().to_owned()),
        })?;
    }
    Ok(())
}

/// The repository's own work tree and those that are linked to it.
fn work_trees(repository: &Repository) -> Vec<Repository> {
    let mut found = Vec::new();
    if let Ok(main) = Repository::open(repository.commondir()) {
        if let Ok(names) = main.worktrees() {
            for name in names.iter().filter_map(|name| name.ok().flatten()) {
                let linked = main.find_worktree(name).and_then(|tree| Repository::open_from_worktree(&tree));
                // One whose folder is gone has nothing to follow with.
                found.extend(linked.ok());
            }
        }
        if !main.is_bare() {
            found.push(main);
        }
    }
    found
}

enum InTheWay {
    Said(String),
    Failed(git2::Error),
}

impl From<git2::Error> for InTheWay {
    fn from(error: git2::Error) -> Self {
        Self::Failed(error)
    }
}

fn follow_in(tree: &Repository, old: Id, new: Id) -> Result<(), InTheWay> {
    if tree.state() != RepositoryState::Clean {
        return Err(InTheWay::Said("a merge, rebase or the like is under way there".to_owned()));
    }
    let unreadable = |error: Error| InTheWay::Said(error.to_string());
    let (old_tree, new_tree) =
        (tree_of(tree, old).map_err(unreadable)?, tree_of(tree, new).map_err(unreadable)?);
    let mut index = tree.index()?;
    let mut options = DiffOptions::new();
    options.ignore_submodules(true).include_typechange(true);
    let changed = tree.diff_index_to_workdir(Some(&index), Some(&mut options))?;
    if let Some(path) = first_path(&changed) {
        return Err(InTheWay::Said(format!("`{path}` is changed there")));
    }
    let staged = index.write_tree()?;
    if staged == new_tree.id() {
        // An earlier attempt came as far as this and was cut off.
        return Ok(());
    }
    if staged != old_tree.id() {
        let staged = tree.find_tree(staged)?;
        let diff = tree.diff_tree_to_tree(Some(&old_tree), Some(&staged), None)?;
        let path = first_path(&diff).unwrap_or_default();
        return Err(InTheWay::Said(format!("a change of `{path}` is staged there")));
    }
    let coming = tree.diff_tree_to_tree(Some(&old_tree), Some(&new_tree), None)?;
    for delta in coming.deltas() {
        let Some(path) = delta.new_file().path() else { continue };
        // Such as LFS: the program that would make the file of what is stored is not run.
        let filter = tree.get_attr(path, "filter", AttrCheckFlags::FILE_THEN_INDEX)?;
        if filter.is_some() {
            return Err(InTheWay::Said(format!("`{}` is stored through a filter", path.display())));
        }
    }
    tree.checkout_tree(new_tree.as_object(), Some(CheckoutBuilder::new().safe().recreate_missing(true)))?;
    Ok(())
}

fn first_path(diff: &git2::Diff<'_>) -> Option<String> {
    let delta = diff.deltas().next()?;
    let path = delta.new_file().path().or(delta.old_file().path())?;
    Some(path.display().to_string())
}

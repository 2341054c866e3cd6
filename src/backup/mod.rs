//! Backup points: write-once refs that say what was where before a change, and the way back.
//!
//! `refs/gitops-updater/backups/<id>` is an annotated tag, whose message holds a [`BackupPoint`] as YAML, on a commit
//! whose parent is the commit that was backed up and whose tree adds a folder `.gitops-updater-backup/` with the same
//! record and whatever was exported from the cluster. The ref is made where none is, read back, and never moved.
//!
//! Ids of points that the bot makes for a step end in eight digits that tell commit, component and target, so that a run
//! that was cut off finds the point it had made; only such points are ever removed by age.

mod encrypt;
mod error;
mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::backup::{BackupPoint, SCHEMA};
use crate::domain::message::BRANCH_PREFIX;
use crate::repo::write::{self, Change, Id, Person, Pushed, RefUpdate, RemoteRefs, Words, WriteRepo};

pub use encrypt::encrypt;
pub use error::Error;
use error::git;
pub use retention::{Retention, outdated};

/// Where the refs lie.
pub const PREFIX: &str = "refs/gitops-updater/backups/";
/// Folder of the backup's own files in its tree.
pub const FOLDER: &str = ".gitops-updater-backup";
const RECORD: &str = "backup.yaml";

/// A backup point in the list of all.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The tag object.
    pub tag: Id,
    /// What it says, or why it cannot be read.
    pub point: Result<BackupPoint, String>,
}

/// What is brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every file of the repository.
    Tree,
    /// The files that hold the versions of these components, whole.
    Components(Vec<String>),
}

/// A restore that is ready for a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Branch that was pushed, without `refs/heads/`.
    pub branch: String,
    /// Its commit.
    pub commit: Id,
    /// Paths that it changes, sorted.
    pub paths: Vec<String>,
    /// First line of the commit's message.
    pub title: String,
}

/// The backup points of a repository. Every method may block (see [`WriteRepo`]).
#[derive(Debug, Clone)]
pub struct Backups {
    repo: Arc<WriteRepo>,
    author: Person,
}

impl Backups {
    /// The backup points at the remote of `repo`; new ones are written by `author`.
    pub fn new(repo: Arc<WriteRepo>, author: Person) -> Self {
        Self { repo, author }
    }

    /// Makes a backup point of a commit that is here, with files exported from the cluster by their path below the
    /// backup's folder, pushes it, and reads back that the remote has it.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] where there is another one of this id, [`Error::NotReadBack`], [`Error::Id`], or the remote
    /// cannot be reached or refuses. The same point made twice is no error.
    pub fn create(&self, point: &BackupPoint, exports: &BTreeMap<String, Vec<u8>>) -> Result<Id, Error> {
        self.create_or_find(point, exports).map(|(tag, _)| tag)
    }

    /// [`Self::create`], with whether it was made here or the same point was there already.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_or_find(
        &self,
        point: &BackupPoint,
        exports: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(Id, Pushed), Error> {
        let id = &point.backup_id;
        let name = ref_name(id)?;
        let attempt = || git(format!("make backup point `{id}`"));
        let broken = |why: String| Error::Broken { id: id.clone(), why };
        let base: Id =
            point.commit.parse().map_err(|_| broken(format!("`{}` is no commit", point.commit)))?;
        let record = serde_yaml::to_string(point).map_err(|error| broken(error.to_string()))?;
        let mut files: BTreeMap<String, Change> = exports
            .iter()
            .map(|(path, bytes)| (format!("{FOLDER}/{path}"), Change::Write(bytes.clone())))
            .collect();
        files.insert(format!("{FOLDER}/{RECORD}"), Change::Write(record.clone().into_bytes()));
        let message = format!("Backup point {id}\n\n{record}");
        let words = Words { message: &message, author: &self.author, time: point.created_at };
        let tree = self.repo.tree_with(base, &files).map_err(attempt())?;
        let commit = self.repo.commit_tree(tree, &[base], words).map_err(attempt())?;
        let tag = self.repo.tag(commit, id, words).map_err(attempt())?;
        let pushed = match self.repo.push(&[RefUpdate::create(&name, tag)]) {
            Ok(pushed) => pushed,
            Err(write::Error::Moved { .. }) => return Err(Error::Exists { id: id.clone() }),
            Err(error) if error.lost_race() => return Err(Error::Exists { id: id.clone() }),
            Err(error) => return Err(git(format!("push backup point `{id}`"))(error)),
        };
        self.read_back(id, Some(tag))?;
        Ok((tag, pushed))
    }

    /// Checks that the remote has a readable backup point of this id (and tag, where it is known).
    ///
    /// # Errors
    ///
    /// It has none, another one, or one that cannot be read.
    pub fn read_back(&self, id: &str, tag: Option<Id>) -> Result<BackupPoint, Error> {
        let name = ref_name(id)?;
        let attempt = git(format!("read back backup point `{id}`"));
        let refs = self.repo.fetch(|found| found == name).map_err(attempt)?;
        match (refs.refs.get(&name).copied(), tag) {
            (Some(found), Some(tag)) if found != tag => {
                Err(Error::NotReadBack { id: id.to_owned(), found: format!("`{}`", found.short()) })
            }
            (Some(found), _) => self.read(id, found),
            (None, _) => Err(Error::NotReadBack { id: id.to_owned(), found: "nothing".to_owned() }),
        }
    }

    /// Reads one among refs that were fetched; `None` where it is not among them.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn known(&self, refs: &RemoteRefs, id: &str) -> Result<Option<BackupPoint>, Error> {
        let tag = refs.refs.get(&ref_name(id)?).copied();
        tag.map(|tag| self.read(id, tag)).transpose()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// There is none of this id, or it cannot be read.
    pub fn show(&self, id: &str) -> Result<BackupPoint, Error> {
        match self.read_back(id, None) {
            Err(Error::NotReadBack { id, .. }) => Err(Error::Missing { id }),
            found => found,
        }
    }

    /// All of them, newest first; those that cannot be read last.
    ///
    /// # Errors
    ///
    /// The remote cannot be asked.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let refs = self.repo.fetch(|name| name.starts_with(PREFIX)).map_err(git("read the backup points"))?;
        let mut found: Vec<Listed> = refs
            .below(PREFIX)
            .map(|(id, tag)| Listed {
                id: id.to_owned(),
                tag,
                point: self.read(id, tag).map_err(|error| match error {
                    Error::Broken { why, .. } => why,
                    other => other.to_string(),
                }),
            })
            .collect();
        let made_at = |listed: &Listed| listed.point.as_ref().ok().map(|point| point.created_at);
        found.sort_by(|a, b| made_at(b).cmp(&made_at(a)).then_with(|| b.id.cmp(&a.id)));
        Ok(found)
    }

    fn read(&self, id: &str, tag: Id) -> Result<BackupPoint, Error> {
        let broken = |why: String| Error::Broken { id: id.to_owned(), why };
        let info = self.repo.tag_info(tag).map_err(|error| broken(error.to_string()))?;
        let record = info.message.split_once("\n\n").map(|(_, record)| record).unwrap_or_default();
        let point: BackupPoint = serde_yaml::from_str(record).map_err(|error| broken(error.to_string()))?;
        if point.schema != SCHEMA {
            return Err(broken(format!("its schema is `{}`, known is `{SCHEMA}`", point.schema)));
        }
        if point.backup_id != id {
            return Err(broken(format!("it says that it is `{}`", point.backup_id)));
        }
        let commit = self.repo.commit_info(info.commit).map_err(|error| broken(error.to_string()))?;
        if commit.parents.first().map(ToString::to_string).as_ref() != Some(&point.commit) {
            return Err(broken("its commit is not on the one that it names".to_owned()));
        }
        Ok(point)
    }

    /// Brings the tree, or a component's files, of a backup point back: a commit on `base`, pushed as a branch of its
    /// own. The same restore again finds its branch.
    ///
    /// # Errors
    ///
    /// As [`Backups::prepare`] and [`Backups::push`].
    pub fn restore(
        &self,
        point: &BackupPoint,
        scope: &Scope,
        base: Id,
        now: Timestamp,
    ) -> Result<Restored, Error> {
        self.push(self.prepare(point, scope, base, now)?)
    }

    /// What [`Backups::restore`] would push; nothing is pushed yet.
    ///
    /// # Errors
    ///
    /// The point does not know the component, or nothing would change.
    pub fn prepare(
        &self,
        point: &BackupPoint,
        scope: &Scope,
        base: Id,
        now: Timestamp,
    ) -> Result<Restored, Error> {
        let id = &point.backup_id;
        let attempt = || git(format!("restore from backup point `{id}`"));
        let broken = |why: String| Error::Broken { id: id.clone(), why };
        let from: Id =
            point.commit.parse().map_err(|_| broken(format!("`{}` is no commit", point.commit)))?;
        let (tree, what) = match scope {
            Scope::Tree => (self.repo.commit_info(from).map_err(attempt())?.tree, "all files".to_owned()),
            Scope::Components(components) => {
                let mut changes = BTreeMap::new();
                for component in components {
                    changes.extend(self.component_files(point, from, component)?);
                }
                (self.repo.tree_with(base, &changes).map_err(attempt())?, components.join(", "))
            }
        };
        if tree == self.repo.commit_info(base).map_err(attempt())?.tree {
            return Err(Error::Unchanged { id: id.clone(), what });
        }
        let title = format!("Restore {what} from {id}");
        let message = format!(
            "{title}\n\nBrings back what `{}` had at {} (commit {}).\n\nBackup: {id}\n",
            point.branch,
            point.created_at,
            from.short()
        );
        let words = Words { message: &message, author: &self.author, time: now };
        let commit = self.repo.commit_tree(tree, &[base], words).map_err(attempt())?;
        let branch = format!("{BRANCH_PREFIX}restore-{id}-{}", digest(&[&what, &base.to_string()]));
        let paths = self.repo.changed_paths(base, commit).map_err(attempt())?;
        Ok(Restored { branch, commit, paths, title })
    }

    /// Pushes what was prepared, or finds the branch on which an earlier run pushed the same.
    ///
    /// # Errors
    ///
    /// The branch holds something else, or the remote cannot be reached or refuses.
    pub fn push(&self, prepared: Restored) -> Result<Restored, Error> {
        let Restored { branch, commit, title, .. } = &prepared;
        let attempt = || git(format!("push `{title}`"));
        let name = format!("refs/heads/{branch}");
        match self.repo.push(&[RefUpdate::create(&name, *commit)]) {
            Ok(_) => Ok(prepared),
            Err(write::Error::Moved { found: Some(found), .. }) => {
                let ours = self.repo.commit_info(*commit).map_err(attempt())?;
                let there = self.repo.fetch(|other| other == name).and_then(|_| self.repo.commit_info(found));
                match there.is_ok_and(|info| (info.tree, &info.parents) == (ours.tree, &ours.parents)) {
                    true => Ok(Restored { commit: found, ..prepared }),
                    false => Err(Error::Branch { branch: branch.clone() }),
                }
            }
            Err(error) => Err(attempt()(error)),
        }
    }

    fn component_files(
        &self,
        point: &BackupPoint,
        from: Id,
        component: &str,
    ) -> Result<BTreeMap<String, Change>, Error> {
        let id = &point.backup_id;
        let backed_up = point
            .components
            .get(component)
            .ok_or_else(|| Error::NoComponent { id: id.clone(), component: component.to_owned() })?;
        let mut changes = BTreeMap::new();
        for file in &backed_up.files {
            let entry =
                self.repo.entry(from, file).map_err(git(format!("restore from backup point `{id}`")))?;
            changes.insert(file.clone(), entry.map_or(Change::Delete, Change::Restore));
        }
        Ok(changes)
    }

    /// Removes what [`outdated`] names; returns the ids that were removed.
    ///
    /// # Errors
    ///
    /// The remote cannot be reached or refuses.
    pub fn prune(
        &self,
        refs: &RemoteRefs,
        retention: Retention,
        in_use: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Vec<String>, Error> {
        let ids: Vec<&str> = refs.below(PREFIX).map(|(id, _)| id).collect();
        let outdated = outdated(&ids, retention, in_use, now);
        let updates: Vec<RefUpdate> = refs
            .below(PREFIX)
            .filter(|(id, _)| outdated.iter().any(|outdated| outdated == id))
            .map(|(id, tag)| RefUpdate::delete(format!("{PREFIX}{id}"), tag))
            .collect();
        if updates.is_empty() {
            return Ok(vec![]);
        }
        self.repo.push(&updates).map_err(git("remove old backup points"))?;
        Ok(outdated)
    }
}

/// The id of a backup point for a step on a commit.
pub fn id_for_step(now: Timestamp, commit: Id, component: &str, to: &str) -> String {
    format!("backup-{}-{}", now.strftime("%Y%m%d-%H%M%S"), digest(&[&commit.to_string(), component, to]))
}

/// Checks an id that a person gives.
///
/// # Errors
///
/// [`Error::Id`].
pub fn check_id(id: &str) -> Result<(), Error> {
    ref_name(id).map(|_| ())
}

fn ref_name(id: &str) -> Result<String, Error> {
    let is_good = !id.is_empty()
        && id.len() <= 100
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !id.contains("..")
        && !id.ends_with('.')
        && !id.ends_with(".lock");
    if is_good { Ok(format!("{PREFIX}{id}")) } else { Err(Error::Id { id: id.to_owned() }) }
}

/// Eight digits for the parts together; no two lists of parts read alike.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_names() {
        for id in ["backup-20250208-095500", "before-k3s-1.34", "a", "A_b.c"] {
            assert!(check_id(id).is_ok(), "{id}");
        }
        for id in [
            "",
            "-x",
            ".x",
            "a..b",
            "a.",
            "a.lock",
            "a/b",
            "a b",
            "a~1",
            "../../heads/main",
            "ä",
            &"a".repeat(101),
        ] {
            assert!(check_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn id_for_a_step_says_when_and_tells_steps_apart() {
        let commit: Id = "e714b3855b38c0df68071a800f3d2339fc09f908".parse().unwrap();
        let now: Timestamp = "2025-02-08T09:55:00Z".parse().unwrap();
        let id = |component: &str, to: &str| id_for_step(now, commit, component, to);
        assert!(id("longhorn", "1.9.1").starts_with("backup-20250208-095500-"));
        assert_eq!(id("longhorn", "1.9.1"), id("longhorn", "1.9.1"));
        assert_ne!(id("longhorn", "1.9.1"), id("longhorn", "1.9.2"));
        assert_ne!(id("longhorn", "1.9.1"), id("longhorn1", ".9.1"));
    }
}

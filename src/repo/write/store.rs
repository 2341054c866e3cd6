//! A repository that commits are written into, and what is read from it for that.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use git2::{ErrorCode, ObjectType, Repository, RepositoryOpenFlags};
use jiff::Timestamp;

use super::http::prepare;
use super::tree::{EntryKind, TreeEntry, collect, entry_in, tree_of};
use super::{Error, Id, Remote};

/// Most bytes of a commit or a tag.
const MESSAGE_LIMIT: usize = 4 << 20;
/// Deepest folder that is walked into.
const DEEPEST: usize = 64;

/// A repository to write into, and the remote that its refs are moved at.
///
/// Objects go into the repository's own database; refs are moved at the [`Remote`] alone. Neither work tree nor index is
/// used, no program runs, and neither the user's nor the system's configuration of Git has a say in what is written.
///
/// Every method may block, those that reach the remote for as long as its time-outs are: call them where blocking is
/// allowed (`spawn_blocking`).
pub struct WriteRepo {
    /// libgit2's handle may move between threads, but is for one at a time.
    repository: Mutex<Repository>,
    git_dir: PathBuf,
    work_dir: Option<PathBuf>,
    pub(super) remote: Remote,
}

impl fmt::Debug for WriteRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteRepo")
            .field("git_dir", &self.git_dir)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// Who wrote a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// E-mail address; this is how foreign commits are told from ours.
    pub email: String,
}

impl Person {
    /// The bot, where the configuration names nobody else.
    pub fn bot() -> Self {
        Self { name: "gitops-updater".to_owned(), email: "gitops-updater@localhost".to_owned() }
    }
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its name.
    pub id: Id,
    /// In order.
    pub parents: Vec<Id>,
    /// The tree.
    pub tree: Id,
    /// Message; what is not UTF-8 is replaced.
    pub message: String,
    /// Author.
    pub author: Person,
    /// Committer.
    pub committer: Person,
    /// Committer's time.
    pub time: Timestamp,
}

/// An annotated tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagInfo {
    /// Its name as an object.
    pub id: Id,
    /// The commit that it is on.
    pub commit: Id,
    /// Message.
    pub message: String,
    /// Who made it.
    pub tagger: Option<Person>,
    /// When, where it says.
    pub time: Option<Timestamp>,
}

impl WriteRepo {
    /// Opens the repository at or around `path`, bare or with a work tree, shallow or not.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be used (a partial clone, an object format other than SHA-1).
    pub fn open(path: &Path, remote: Remote) -> Result<Self, Error> {
        prepare()?;
        let repository = open_at(path)?;
        Ok(Self {
            git_dir: repository.path().to_owned(),
            work_dir: repository.workdir().map(Path::to_owned),
            repository: Mutex::new(repository),
            remote,
        })
    }

    /// The repository's directory.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The work tree; `None` where it is bare.
    pub fn work_dir(&self) -> Option<&Path> {
        self.work_dir.as_deref()
    }

    /// Where refs are moved.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The person whom the configuration of Git names, the repository's own before the user's; `None` where it names
    /// nobody. For what a person does by hand.
    pub fn configured_person(&self) -> Option<Person> {
        let repository = self.lock();
        repository.signature().ok().map(|signature| person(&signature))
    }

    /// The same repository with another remote.
    ///
    /// # Errors
    ///
    /// As [`WriteRepo::open`].
    pub fn with_remote(&self, remote: Remote) -> Result<Self, Error> {
        Self::open(&self.git_dir, remote)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Repository> {
        // A handle is not left half changed by a panic: what it writes is whole objects.
        self.repository.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a branch, tag or other ref of this repository itself points to, whatever the remote has.
    ///
    /// # Errors
    ///
    /// The ref is there and cannot be read.
    pub fn own_ref(&self, name: &str) -> Result<Option<Id>, Error> {
        let repository = self.lock();
        match repository.refname_to_id(name) {
            Ok(oid) => Ok(Some(oid.into())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(source) => {
                Err(Error::Refs { attempt: format!("read `{name}`"), folder: self.git_dir.clone(), source })
            }
        }
    }

    /// The commit that people name by its id, whole or cut off, or by a branch or a tag.
    ///
    /// # Errors
    ///
    /// It names no commit here, or several.
    pub fn resolve(&self, text: &str) -> Result<Id, Error> {
        let repository = self.lock();
        let found = repository.revparse_single(text).and_then(|object| object.peel(ObjectType::Commit));
        Ok(found.map_err(Error::object(format!("commit `{text}`")))?.id().into())
    }

    /// Whether the object is here.
    pub fn has(&self, id: Id) -> bool {
        let repository = self.lock();
        repository.odb().is_ok_and(|odb| odb.exists(id.oid()))
    }

    /// Reads a commit.
    ///
    /// # Errors
    ///
    /// There is no such commit here.
    pub fn commit_info(&self, id: Id) -> Result<CommitInfo, Error> {
        let repository = self.lock();
        let what = || format!("commit `{}`", id.short());
        bounded(&repository, id, what())?;
        let commit = repository.find_commit(id.oid()).map_err(Error::object(what()))?;
        let info = CommitInfo {
            id,
            parents: commit.parent_ids().map(Id::from).collect(),
            tree: commit.tree_id().into(),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            author: person(&commit.author()),
            committer: person(&commit.committer()),
            time: time(commit.time()),
        };
        Ok(info)
    }

    /// Reads an annotated tag on a commit.
    ///
    /// # Errors
    ///
    /// There is no such tag here, or it is on something else.
    pub fn tag_info(&self, id: Id) -> Result<TagInfo, Error> {
        let repository = self.lock();
        let what = || format!("tag `{}`", id.short());
        bounded(&repository, id, what())?;
        let tag = repository.find_tag(id.oid()).map_err(Error::object(what()))?;
        let commit = tag.as_object().peel(ObjectType::Commit).map_err(Error::object(what()))?;
        let info = TagInfo {
            id,
            commit: commit.id().into(),
            message: tag.message_bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
            tagger: tag.tagger().as_ref().map(person),
            time: tag.tagger().map(|tagger| time(tagger.when())),
        };
        Ok(info)
    }

    /// The commit that a commit or a tag leads to.
    ///
    /// # Errors
    ///
    /// The object is not here or leads to no commit.
    pub fn peel(&self, id: Id) -> Result<Id, Error> {
        let repository = self.lock();
        let what = || format!("object `{}`", id.short());
        let object = repository.find_object(id.oid(), None).map_err(Error::object(what()))?;
        Ok(object.peel(ObjectType::Commit).map_err(Error::object(what()))?.id().into())
    }

    /// What stands at `path` in a commit; `None` where nothing does.
    ///
    /// # Errors
    ///
    /// The commit or one of its trees cannot be read.
    pub fn entry(&self, commit: Id, path: &str) -> Result<Option<TreeEntry>, Error> {
        let repository = self.lock();
        let tree = tree_of(&repository, commit)?;
        entry_in(&tree, path).map_err(Error::object(format!("`{path}` of commit `{}`", commit.short())))
    }

    /// The bytes of a file (or the text of a link) in a commit; `None` where nothing stands there.
    ///
    /// # Errors
    ///
    /// It is a folder, has more than `limit` bytes, or cannot be read.
    pub fn read_file(&self, commit: Id, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let what = || format!("`{path}` of commit `{}`", commit.short());
        let Some(entry) = self.entry(commit, path)? else { return Ok(None) };
        if matches!(entry.kind, EntryKind::Folder | EntryKind::Commit) {
            return Err(Error::Path { path: path.to_owned(), why: "it is not a file" });
        }
        let repository = self.lock();
        let odb = repository.odb().map_err(Error::object(what()))?;
        let (size, _) = odb.read_header(entry.id.oid()).map_err(Error::object(what()))?;
        if size > limit {
            return Err(Error::TooLarge { what: what(), limit });
        }
        let blob = repository.find_blob(entry.id.oid()).map_err(Error::object(what()))?;
        let bytes = blob.content().to_vec();
        Ok(Some(bytes))
    }

    /// Every file, link and submodule below `folder` of a commit (empty for all), by path.
    ///
    /// # Errors
    ///
    /// A tree cannot be read, or there are more than `most` of them.
    pub fn files(&self, commit: Id, folder: &str, most: usize) -> Result<BTreeMap<String, TreeEntry>, Error> {
        let repository = self.lock();
        let what = || format!("the files of commit `{}`", commit.short());
        let mut tree = tree_of(&repository, commit)?;
        if !folder.is_empty() {
            match entry_in(&tree, folder).map_err(Error::object(what()))? {
                Some(TreeEntry { kind: EntryKind::Folder, id }) => {
                    tree = repository.find_tree(id.oid()).map_err(Error::object(what()))?;
                }
                _ => return Ok(BTreeMap::new()),
            }
        }
        let mut found = BTreeMap::new();
        collect(&repository, &tree, folder, DEEPEST, most, &mut found)
            .map_err(|error| error.unwrap_or_else(|| Error::TooLarge { what: what(), limit: most }))?;
        Ok(found)
    }

    /// Paths that differ between two commits, sorted.
    ///
    /// # Errors
    ///
    /// A commit or a tree cannot be read.
    pub fn changed_paths(&self, from: Id, to: Id) -> Result<Vec<String>, Error> {
        let repository = self.lock();
        let what = || format!("the difference of `{}` and `{}`", from.short(), to.short());
        let (old, new) = (tree_of(&repository, from)?, tree_of(&repository, to)?);
        let diff =
            repository.diff_tree_to_tree(Some(&old), Some(&new), None).map_err(Error::object(what()))?;
        let mut paths: Vec<String> = diff
            .deltas()
            .filter_map(|delta| delta.new_file().path_bytes().or(delta.old_file().path_bytes()))
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// Whether `ancestor` is `commit` or comes before it.
    ///
    /// # Errors
    ///
    /// One of them is not here (in a shallow clone it may lie beyond the border).
    pub fn is_ancestor(&self, ancestor: Id, commit: Id) -> Result<bool, Error> {
        if ancestor == commit {
            return Ok(true);
        }
        let repository = self.lock();
        repository.graph_descendant_of(commit.oid(), ancestor.oid()).map_err(Error::object(format!(
            "the history between `{}` and `{}`",
            ancestor.short(),
            commit.short()
        )))
    }

    /// Commits that `tip` has and `base` does not, newest first.
    ///
    /// # Errors
    ///
    /// A commit cannot be read, or there are more than `most` of them.
    pub fn commits_since(&self, base: Option<Id>, tip: Id, most: usize) -> Result<Vec<CommitInfo>, Error> {
        let ids = self.walk(base, tip, most + 1)?;
        if ids.len() > most {
            let what = format!("the history of `{}`", tip.short());
            return Err(Error::TooLarge { what, limit: most });
        }
        ids.into_iter().map(|id| self.commit_info(id)).collect()
    }

    /// The newest `most` commits that `tip` has and `base` does not, newest first.
    ///
    /// # Errors
    ///
    /// A commit cannot be read.
    pub fn newest_since(&self, base: Option<Id>, tip: Id, most: usize) -> Result<Vec<CommitInfo>, Error> {
        self.walk(base, tip, most)?.into_iter().map(|id| self.commit_info(id)).collect()
    }

    fn walk(&self, base: Option<Id>, tip: Id, most: usize) -> Result<Vec<Id>, Error> {
        let what = || format!("the history of `{}`", tip.short());
        let repository = self.lock();
        let mut walk = repository.revwalk().map_err(Error::object(what()))?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL).map_err(Error::object(what()))?;
        walk.push(tip.oid()).map_err(Error::object(what()))?;
        if let Some(base) = base {
            walk.hide(base.oid()).map_err(Error::object(what()))?;
        }
        walk.take(most).map(|id| id.map(Id::from)).collect::<Result<_, _>>().map_err(Error::object(what()))
    }

    /// The best common ancestor of two commits; `None` where they have none.
    ///
    /// # Errors
    ///
    /// A commit cannot be read.
    pub fn merge_base(&self, one: Id, two: Id) -> Result<Option<Id>, Error> {
        let repository = self.lock();
        match repository.merge_base(one.oid(), two.oid()) {
            Ok(base) => Ok(Some(base.into())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(Error::object(format!("the history of `{}`", one.short()))(error)),
        }
    }
}

/// Commits and tags are read into memory whole.
fn bounded(repository: &Repository, id: Id, what: String) -> Result<(), Error> {
    let odb = repository.odb().map_err(Error::object(what.clone()))?;
    let (size, _) = odb.read_header(id.oid()).map_err(Error::object(what.clone()))?;
    if size > MESSAGE_LIMIT { Err(Error::TooLarge { what, limit: MESSAGE_LIMIT }) } else { Ok(()) }
}

/// Opens the repository at or around `path`; the environment has no say.
pub(super) fn open_at(path: &Path) -> Result<Repository, Error> {
    let none = || Error::NoRepository { path: path.to_owned() };
    let failed = |source: git2::Error| Error::Open { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(|_| none())?;
    let nobody: [&str; 0] = [];
    let repository = Repository::open_ext(&path, RepositoryOpenFlags::CROSS_FS, nobody)
        .map_err(|error| if error.code() == ErrorCode::NotFound { none() } else { failed(error) })?;
    Ok(repository)
}

fn person(signature: &git2::Signature<'_>) -> Person {
    Person {
        name: String::from_utf8_lossy(signature.name_bytes()).into_owned(),
        email: String::from_utf8_lossy(signature.email_bytes()).into_owned(),
    }
}

fn time(time: git2::Time) -> Timestamp {
    // Out of range means nonsense in the commit; the oldest time never counts as recent.
    Timestamp::from_second(time.seconds()).unwrap_or(Timestamp::MIN)
}

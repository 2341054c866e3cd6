//! A forge without a server: pull requests, statuses and the dashboard as refs beside the branches.
//!
//! | ref | content |
//! |---|---|
//! | `refs/gitops-updater/pulls/<n>/meta` | commit chain: `pull.yaml`, `body.md`, `comments/<n>.md`; its log is the pull request's history |
//! | `refs/gitops-updater/pulls/<n>/head` | the commit that the pull request had last, kept after the branch is gone |
//! | `refs/gitops-updater/statuses` | commit chain: `<commit>.yaml` with the statuses of that commit |
//!
//! Numbers are given, and every change is made, by compare-and-swap, so that any number of people and runs may work at
//! once. It works wherever [`WriteRepo`] can move refs: the repository itself, bare or not, another one on this machine,
//! or a Git server of which only Git is spoken.
//!
//! Merging is a real three-way merge; what conflicts is refused. Where the base branch is checked out, its work tree
//! follows if it is clean, and the merge is refused if it is not (see [`WriteRepo::push`]). A pull request whose commits
//! somebody brought into the base branch with Git alone counts as merged, and stays so: what is pushed to its branch
//! afterwards is for another one. Its head is known from when it was written last ([`Forge::note`] writes it); commits
//! that somebody else put there since, merged by squash, or whose branch went before they were seen, are not found.
//!
//! [`Forge::note`]: crate::app::forge::Forge::note

mod forge;
mod merge;
mod record;
mod standing;
mod statuses;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::app::forge::{ForgeError, ForgeErrorClass, Number};
use crate::app::ports::Clock;
use crate::domain::upstream::FailureClass;
use crate::repo::write::{self, Person, WriteRepo};

pub use record::{Comment, Details, Kind};

/// The forge; cheap to clone.
#[derive(Clone)]
pub struct LocalForge {
    inner: Arc<Inner>,
}

/// What does the work; every method may block.
struct Inner {
    repo: Arc<WriteRepo>,
    author: Person,
    clock: Arc<dyn Clock + Send + Sync>,
}

impl fmt::Debug for LocalForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalForge").field("repo", &self.inner.repo).finish_non_exhaustive()
    }
}

impl LocalForge {
    /// The pull requests at the remote of `repo`; what is done to them is done as `author`.
    pub fn new(repo: Arc<WriteRepo>, author: Person, clock: Arc<dyn Clock + Send + Sync>) -> Self {
        Self { inner: Arc::new(Inner { repo, author, clock }) }
    }

    /// A pull request (or another thread of the forge) with all that is known of it.
    ///
    /// # Errors
    ///
    /// There is none of this number, or the remote cannot be read.
    pub async fn details(&self, number: Number) -> Result<Details, ForgeError> {
        self.run(move |inner| inner.details(number)).await
    }

    /// The message of a commit of a pull request.
    ///
    /// # Errors
    ///
    /// The commit is not here.
    pub async fn message_of(&self, commit: &str) -> Result<String, ForgeError> {
        let commit = commit.to_owned();
        self.run(move |inner| {
            let attempt = "read a commit of a pull request";
            let id =
                commit.parse().map_err(|_| conflict(format!("cannot {attempt}: `{commit}` is no commit")))?;
            Ok(inner.repo.commit_info(id).map_err(|error| failed(attempt, &error))?.message)
        })
        .await
    }

    /// Lets the work be done where it may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let inner = self.inner.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|_| {
            Err(ForgeError {
                class: ForgeErrorClass::Permanent,
                message: "cannot work on the pull requests: the work was given up".to_owned(),
                hint: Some("this is a defect, please report it".to_owned()),
            })
        })
    }
}

impl Inner {
    /// Now, in whole seconds: it is written into records and read by people.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

/// An error of Git in the words of the port. `attempt` is such as `merge pull request 3`.
fn failed(attempt: &str, error: &write::Error) -> ForgeError {
    let class = match (error, error.class()) {
        (write::Error::Conflict { .. } | write::Error::CheckedOut { .. }, _) => ForgeErrorClass::Conflict,
        _ if error.lost_race() => ForgeErrorClass::Conflict,
        (_, FailureClass::Transient | FailureClass::Offline) => ForgeErrorClass::Transient,
        (_, FailureClass::NotFound) => ForgeErrorClass::NotFound,
        (_, FailureClass::Denied) => {
            ForgeErrorClass::Denied { permission: Some("contents: write".to_owned()) }
        }
        (_, FailureClass::RateLimited { reset }) => ForgeErrorClass::RateLimited { reset },
        (_, FailureClass::Permanent) => ForgeErrorClass::Permanent,
    };
    let mut message = format!("cannot {attempt}: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message.push_str(&format!(": {source}"));
        cause = source.source();
    }
    ForgeError { class, message, hint: error.hint() }
}

fn conflict(message: impl Into<String>) -> ForgeError {
    ForgeError { class: ForgeErrorClass::Conflict, message: message.into(), hint: None }
}

/// Others were faster again and again; `last` is what the last attempt came to.
fn crowded(attempt: &str, last: Option<write::Error>) -> ForgeError {
    let why = last.map(|error| format!(": {error}")).unwrap_or_default();
    conflict(format!("cannot {attempt}: others were faster again and again{why}"))
}

fn not_found(number: Number) -> ForgeError {
    ForgeError {
        class: ForgeErrorClass::NotFound,
        message: format!("cannot find pull request {number}"),
        hint: Some("`gitops-updater pr list --state all` lists all".to_owned()),
    }
}

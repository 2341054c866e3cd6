//! The port to where pull requests live: GitHub, or refs of the repository itself.

use jiff::Timestamp;

use super::effects::Came;

/// What a forge is asked for by number.
pub type Number = u64;

/// Where a pull request is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullRequestState {
    /// Open.
    Open,
    /// Merged.
    Merged {
        /// Commit that brought the change into the base branch: merge commit, squash commit, or the tip after a rebase.
        commit: String,
        /// When.
        at: Timestamp,
    },
    /// Closed without being merged.
    Closed,
}

/// A pull request as the forge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Number.
    pub number: Number,
    /// Page for people; empty where there is none.
    pub url: String,
    /// Title.
    pub title: String,
    /// Body, as it is stored.
    pub body: String,
    /// Head branch, without `refs/heads/`.
    pub branch: String,
    /// Commit at the head.
    pub head: String,
    /// Base branch, without `refs/heads/`.
    pub base: String,
    /// State.
    pub state: PullRequestState,
    /// Draft.
    pub draft: bool,
    /// Labels.
    pub labels: Vec<String>,
    /// The forge merges it by itself, as soon as its rules allow that.
    pub merges_itself: bool,
}

/// A pull request to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewPullRequest {
    /// Head branch.
    pub branch: String,
    /// Base branch.
    pub base: String,
    /// Title, one line.
    pub title: String,
    /// Body, Markdown.
    pub body: String,
    /// Labels; created where they do not exist.
    pub labels: Vec<String>,
    /// Logins, or `org/team`.
    pub reviewers: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// Draft.
    pub draft: bool,
}

/// What is to be changed in a pull request; `None` leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullRequestChange {
    /// Title.
    pub title: Option<String>,
    /// Body.
    pub body: Option<String>,
    /// Labels to add.
    pub add_labels: Vec<String>,
    /// Labels to remove.
    pub remove_labels: Vec<String>,
}

pub use crate::domain::policy::MergeMethod;

/// What became of the wish to merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merging {
    /// It is merged.
    Done {
        /// Commit on the base branch.
        commit: String,
    },
    /// The forge does it by itself, as soon as its rules allow that.
    WhenReady {
        /// What it waits for, for people.
        reason: String,
    },
}

/// What the checks and statuses of a commit say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checks {
    /// Reported success (neutral and skipped ones do not count).
    pub succeeded: usize,
    /// Not yet done.
    pub pending: usize,
    /// Failed, cancelled or timed out.
    pub failed: usize,
}

/// State of a commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusState {
    /// Under way.
    Pending,
    /// Good.
    Success,
    /// Bad.
    Failure,
    /// The bot itself failed.
    Error,
}

/// A commit status to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// State.
    pub state: StatusState,
    /// Context, such as `gitops-updater/verify`.
    pub context: String,
    /// At most 140 characters.
    pub description: String,
    /// Page for people.
    pub url: Option<String>,
}

/// The dashboard issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Number of the issue.
    pub number: Number,
    /// Page for people.
    pub url: String,
    /// Body, with the checkboxes as people left them.
    pub body: String,
    /// Labels (`gitops-updater/stop` is the kill switch).
    pub labels: Vec<String>,
}

/// Why a forge did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForgeErrorClass {
    /// Time-out, 5xx, broken connection: may go well next time.
    Transient,
    /// Asking again will not help (422 and the like).
    Permanent,
    /// No such repository, pull request or commit.
    NotFound,
    /// Credentials are missing or lack a permission, which is named where it is known (`pull-requests: write`).
    Denied {
        /// The permission that is missing.
        permission: Option<String>,
    },
    /// Too many requests.
    RateLimited {
        /// When asking again makes sense.
        reset: Option<Timestamp>,
    },
    /// Somebody else was faster, or the state does not allow it (405, 409): look again.
    Conflict,
}

/// A forge that did not do what it was asked. The message says what was attempted, on what, and the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ForgeError {
    /// What kind of failure.
    pub class: ForgeErrorClass,
    /// Redacted text for people, lowercase, without final stop.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// A file as a commit has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFile {
    /// Path from the root.
    pub path: String,
    /// The whole content.
    pub content: Vec<u8>,
    /// It may be run (mode 100755).
    pub executable: bool,
}

/// A commit that a forge makes in its own name, so that it can sign it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchCommit {
    /// Branch, without `refs/heads/`.
    pub branch: String,
    /// Commit that the change is made on.
    pub base: String,
    /// What changes.
    pub files: Vec<CommitFile>,
    /// Message with trailers.
    pub message: String,
    /// Where the branch was seen last; `None` where there was none. It moves from nowhere else.
    pub seen: Option<String>,
}

/// Result of a forge call.
pub type ForgeResult<T> = Result<T, ForgeError>;

/// Pull requests, statuses and the dashboard. Reads are retried inside; writes are sent again only where that cannot
/// do them twice.
pub trait Forge: Sync {
    /// Every pull request whose head is a branch of this repository below `gitops-updater/`, in any state, newest
    /// first.
    fn pull_requests(&self) -> impl Future<Output = ForgeResult<Vec<PullRequest>>> + Send;

    /// The pull requests from `branch` of this repository, in any state, newest first. Unlike
    /// [`Forge::pull_requests`], which may leave out old ones, this finds them all.
    fn pull_requests_of(&self, branch: &str) -> impl Future<Output = ForgeResult<Vec<PullRequest>>> + Send {
        async move {
            let all = self.pull_requests().await?;
            Ok(all.into_iter().filter(|pull| pull.branch == branch).collect())
        }
    }

    /// One pull request, as it is now.
    fn pull_request(&self, number: Number) -> impl Future<Output = ForgeResult<PullRequest>> + Send;

    /// Opens a pull request, or returns the open one that already has this head and base, with the labels, reviewers
    /// and assignees that it lacked.
    fn open(&self, new: &NewPullRequest) -> impl Future<Output = ForgeResult<PullRequest>> + Send {
        async { Ok(self.open_or_find(new).await?.into_inner()) }
    }

    /// [`Forge::open`], with whether it was opened here or found.
    fn open_or_find(
        &self,
        new: &NewPullRequest,
    ) -> impl Future<Output = ForgeResult<Came<PullRequest>>> + Send;

    /// Keeps what is seen of a pull request now: where its branch is, and that it is merged. To be asked for when its
    /// branch was moved, and before it is taken away. A forge that sees every push does nothing.
    fn note(&self, number: Number) -> impl Future<Output = ForgeResult<()>> + Send {
        let _ = number;
        async { Ok(()) }
    }

    /// Changes a pull request; what is already so is not sent.
    fn change(
        &self,
        current: &PullRequest,
        change: &PullRequestChange,
    ) -> impl Future<Output = ForgeResult<()>> + Send;

    /// Makes a commit and moves its branch there; `None` where commits come by Git alone.
    fn commit(&self, commit: &BranchCommit) -> impl Future<Output = ForgeResult<Option<String>>> + Send {
        let _ = commit;
        async { Ok(None) }
    }

    /// Writes a comment, or replaces the one of ours that holds the same `marker` (a hidden comment in the text).
    fn comment(
        &self,
        number: Number,
        marker: &str,
        body: &str,
    ) -> impl Future<Output = ForgeResult<()>> + Send;

    /// The comment of ours that holds `marker`, as it is stored; `None` where there is none.
    fn own_comment(
        &self,
        number: Number,
        marker: &str,
    ) -> impl Future<Output = ForgeResult<Option<String>>> + Send;

    /// Closes a pull request without merging it. Closing a closed one is no error.
    fn close(&self, number: Number) -> impl Future<Output = ForgeResult<()>> + Send;

    /// Merges a pull request whose head is still `head`; returns the commit on the base branch.
    fn merge(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> impl Future<Output = ForgeResult<String>> + Send;

    /// Merges it now, or where rules of the forge stand in the way (a merge queue, a review that is required) lets the
    /// forge do it when they allow it.
    fn merge_when_ready(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> impl Future<Output = ForgeResult<Merging>> + Send {
        async move {
            let commit = self.merge(number, head, method, message).await?;
            Ok(Merging::Done { commit })
        }
    }

    /// Whether the forge is going to merge an open pull request by itself, or has it in its merge queue, because the
    /// account that opened it asked for that. What somebody else asked for is theirs.
    fn will_merge(&self, pull: &PullRequest) -> impl Future<Output = ForgeResult<bool>> + Send {
        let _ = pull;
        async { Ok(false) }
    }

    /// Reverts what [`Forge::merge_when_ready`] asked for. Where it is not, or not any more, so, nothing is done.
    fn withdraw_merge(&self, number: Number) -> impl Future<Output = ForgeResult<()>> + Send {
        let _ = number;
        async { Ok(()) }
    }

    /// What the checks and statuses of a commit say.
    fn checks(&self, commit: &str) -> impl Future<Output = ForgeResult<Checks>> + Send;

    /// Writes a commit status; one that is already so is not sent.
    fn set_status(&self, commit: &str, status: &CommitStatus)
    -> impl Future<Output = ForgeResult<()>> + Send;

    /// The latest status of each context of a commit, whoever wrote it.
    fn statuses(&self, commit: &str) -> impl Future<Output = ForgeResult<Vec<CommitStatus>>> + Send;

    /// What went wrong beside what was asked for, and was not worth failing for, since this was asked last.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// The dashboard, if it is there and open.
    fn dashboard(&self) -> impl Future<Output = ForgeResult<Option<Dashboard>>> + Send;

    /// Creates the dashboard, or replaces its body where it differs from `body`. `seen` is the body that `body` was
    /// made from: where a person changed it since, [`ForgeErrorClass::Conflict`] is returned and nothing is written.
    /// [`Came::Found`] where another run has written the same.
    fn write_dashboard(
        &self,
        seen: Option<&Dashboard>,
        title: &str,
        body: &str,
    ) -> impl Future<Output = ForgeResult<Came<()>>> + Send;
}

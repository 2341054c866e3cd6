//! Either forge, chosen at run time.

use super::github::GithubForge;
use super::local::LocalForge;
use crate::app::effects::Came;
use crate::app::forge::{
    BranchCommit, Checks, CommitStatus, Dashboard, Forge, ForgeResult, MergeMethod, Merging, NewPullRequest,
    Number, PullRequest, PullRequestChange,
};

/// Where the pull requests of a repository live.
pub enum AnyForge {
    /// Refs of the repository itself.
    Local(LocalForge),
    /// GitHub.
    Github(Box<GithubForge>),
}

impl Forge for AnyForge {
    async fn pull_requests(&self) -> ForgeResult<Vec<PullRequest>> {
        match self {
            Self::Local(forge) => forge.pull_requests().await,
            Self::Github(forge) => forge.pull_requests().await,
        }
    }

    async fn pull_requests_of(&self, branch: &str) -> ForgeResult<Vec<PullRequest>> {
        match self {
            Self::Local(forge) => forge.pull_requests_of(branch).await,
            Self::Github(forge) => forge.pull_requests_of(branch).await,
        }
    }

    async fn pull_request(&self, number: Number) -> ForgeResult<PullRequest> {
        match self {
            Self::Local(forge) => forge.pull_request(number).await,
            Self::Github(forge) => forge.pull_request(number).await,
        }
    }

    async fn open_or_find(&self, new: &NewPullRequest) -> ForgeResult<Came<PullRequest>> {
        match self {
            Self::Local(forge) => forge.open_or_find(new).await,
            Self::Github(forge) => forge.open_or_find(new).await,
        }
    }

    async fn note(&self, number: Number) -> ForgeResult<()> {
        match self {
            Self::Local(forge) => forge.note(number).await,
            Self::Github(forge) => forge.note(number).await,
        }
    }

    async fn change(&self, current: &PullRequest, change: &PullRequestChange) -> ForgeResult<()> {
        match self {
            Self::Local(forge) => forge.change(current, change).await,
            Self::Github(forge) => forge.change(current, change).await,
        }
    }

    async fn commit(&self, commit: &BranchCommit) -> ForgeResult<Option<String>> {
        match self {
            Self::Local(forge) => forge.commit(commit).await,
            Self::Github(forge) => forge.commit(commit).await,
        }
    }

    async fn comment(&self, number: Number, marker: &str, body: &str) -> ForgeResult<()> {
        match self {
            Self::Local(forge) => forge.comment(number, marker, body).await,
            Self::Github(forge) => forge.comment(number, marker, body).await,
        }
    }

    async fn own_comment(&self, number: Number, marker: &str) -> ForgeResult<Option<String>> {
        match self {
            Self::Local(forge) => forge.own_comment(number, marker).await,
            Self::Github(forge) => forge.own_comment(number, marker).await,
        }
    }

    async fn close(&self, number: Number) -> ForgeResult<()> {
        match self {
            Self::Local(forge) => forge.close(number).await,
            Self::Github(forge) => forge.close(number).await,
        }
    }

    async fn merge(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<String> {
        match self {
            Self::Local(forge) => forge.merge(number, head, method, message).await,
            Self::Github(forge) => forge.merge(number, head, method, message).await,
        }
    }

    async fn merge_when_ready(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<Merging> {
        match self {
            Self::Local(forge) => forge.merge_when_ready(number, head, method, message).await,
            Self::Github(forge) => forge.merge_when_ready(number, head, method, message).await,
        }
    }

    async fn will_merge(&self, pull: &PullRequest) -> ForgeResult<bool> {
        match self {
            Self::Local(forge) => forge.will_merge(pull).await,
            Self::Github(forge) => forge.will_merge(pull).await,
        }
    }

    async fn withdraw_merge(&self, number: Number) -> ForgeResult<()> {
        match self {
            Self::Local(forge) => forge.withdraw_merge(number).await,
            Self::Github(forge) => forge.withdraw_merge(number).await,
        }
    }

    async fn checks(&self, commit: &str) -> ForgeResult<Checks> {
        match self {
            Self::Local(forge) => forge.checks(commit).await,
            Self::Github(forge) => forge.checks(commit).await,
        }
    }

    async fn set_status(&self, commit: &str, status: &CommitStatus) -> ForgeResult<()> {
        match self {
            Self::Local(forge) => forge.set_status(commit, status).await,
            Self::Github(forge) => forge.set_status(commit, status).await,
        }
    }

    async fn statuses(&self, commit: &str) -> ForgeResult<Vec<CommitStatus>> {
        match self {
            Self::Local(forge) => forge.statuses(commit).await,
            Self::Github(forge) => forge.statuses(commit).await,
        }
    }

    fn warnings(&self) -> Vec<String> {
        match self {
            Self::Local(forge) => forge.warnings(),
            Self::Github(forge) => forge.warnings(),
        }
    }

    async fn dashboard(&self) -> ForgeResult<Option<Dashboard>> {
        match self {
            Self::Local(forge) => forge.dashboard().await,
            Self::Github(forge) => forge.dashboard().await,
        }
    }

    async fn write_dashboard(
        &self,
        seen: Option<&Dashboard>,
        title: &str,
        body: &str,
    ) -> ForgeResult<Came<()>> {
        match self {
            Self::Local(forge) => forge.write_dashboard(seen, title, body).await,
            Self::Github(forge) => forge.write_dashboard(seen, title, body).await,
        }
    }
}

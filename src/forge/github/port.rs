//! The port, as GitHub fills it.

use std::sync::PoisonError;

use super::GithubForge;
use super::commits::{ApiCommit, FileChange};
use crate::app::effects::Came;
use crate::app::forge::{
    BranchCommit, Checks, CommitFile, CommitStatus, Dashboard, Forge, ForgeResult, MergeMethod, Merging,
    NewPullRequest, Number, PullRequest, PullRequestChange,
};

impl Forge for GithubForge {
    async fn pull_requests(&self) -> ForgeResult<Vec<PullRequest>> {
        self.all_pulls().await
    }

    async fn pull_requests_of(&self, branch: &str) -> ForgeResult<Vec<PullRequest>> {
        self.pulls_of(branch).await
    }

    async fn pull_request(&self, number: Number) -> ForgeResult<PullRequest> {
        self.pull(number).await
    }

    async fn open_or_find(&self, new: &NewPullRequest) -> ForgeResult<Came<PullRequest>> {
        self.open_pull(new).await
    }

    async fn change(&self, current: &PullRequest, change: &PullRequestChange) -> ForgeResult<()> {
        self.change_pull(current, change).await
    }

    async fn commit(&self, commit: &BranchCommit) -> ForgeResult<Option<String>> {
        let file = |file: &CommitFile| FileChange {
            path: file.path.clone(),
            content: Some(file.content.clone()),
            executable: file.executable,
        };
        let made = self
            .commit_through_api(&ApiCommit {
                branch: commit.branch.clone(),
                base: commit.base.clone(),
                files: commit.files.iter().map(file).collect(),
                message: commit.message.clone(),
                seen: commit.seen.clone(),
            })
            .await?;
        Ok(Some(made.id))
    }

    async fn comment(&self, number: Number, marker: &str, body: &str) -> ForgeResult<()> {
        self.write_comment(number, marker, body).await
    }

    async fn own_comment(&self, number: Number, marker: &str) -> ForgeResult<Option<String>> {
        let repository = self.repository().await?;
        Ok(self.find_comment(repository, number, marker).await?.and_then(|comment| comment.body))
    }

    async fn close(&self, number: Number) -> ForgeResult<()> {
        self.close_pull(number).await
    }

    async fn merge(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<String> {
        self.merge_pull(number, head, method, message).await
    }

    async fn merge_when_ready(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<Merging> {
        self.merge_or_ask_for_it(number, head, method, message).await
    }

    async fn will_merge(&self, pull: &PullRequest) -> ForgeResult<bool> {
        Ok(self.own_wish(pull.number).await?.is_some())
    }

    async fn withdraw_merge(&self, number: Number) -> ForgeResult<()> {
        self.withdraw_wish(number).await
    }

    async fn checks(&self, commit: &str) -> ForgeResult<Checks> {
        self.count_checks(commit).await
    }

    async fn set_status(&self, commit: &str, status: &CommitStatus) -> ForgeResult<()> {
        self.write_status(commit, status).await
    }

    async fn statuses(&self, commit: &str) -> ForgeResult<Vec<CommitStatus>> {
        self.all_statuses(commit).await
    }

    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn dashboard(&self) -> ForgeResult<Option<Dashboard>> {
        self.open_dashboard().await
    }

    async fn write_dashboard(
        &self,
        seen: Option<&Dashboard>,
        title: &str,
        body: &str,
    ) -> ForgeResult<Came<()>> {
        self.put_dashboard(seen, title, body).await
    }
}

//! Pull requests: found, opened, changed, closed, merged.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::client::{Ask, segment};
use super::refusal::Refusal;
use super::{GithubForge, Repository, wire};
use crate::app::effects::Came;
use crate::app::forge::{
    ForgeError, ForgeErrorClass, ForgeResult, NewPullRequest, Number, PullRequest, PullRequestChange,
};
use crate::domain::message::BRANCH_PREFIX;

/// What it takes to open, change and close.
const WRITE: &str = "pull-requests: write";
/// What it takes to see.
const READ: &str = "pull-requests: read";

/// What came of opening a pull request.
struct Opened {
    pull: wire::Pull,
    /// It is young enough to lack what belongs to it.
    is_new: bool,
    /// A request of this run may have opened it.
    is_ours: bool,
}

impl GithubForge {
    /// Every pull request from one of our branches: all open ones, and of the others the thousand that were touched
    /// last. Newest first.
    pub(super) async fn all_pulls(&self) -> ForgeResult<Vec<PullRequest>> {
        let repository = self.repository().await?;
        let doing = format!("list the pull requests of `{}`", repository.full_name());
        let mut found = BTreeMap::new();
        // In this order: one that is closed in between is seen twice, and not missed.
        for state in ["open", "closed"] {
            let target =
                repository.path(&format!("pulls?state={state}&sort=updated&direction=desc&per_page=100"));
            let (pulls, is_all) =
                self.client.list::<wire::Pull>(&Ask::get(target, doing.clone(), READ)).await?;
            if !is_all {
                tracing::debug!(state, read = pulls.len(), "older pull requests were not read");
            }
            for pull in pulls {
                if !is_from_here(&pull, repository) || !pull.head.name.starts_with(BRANCH_PREFIX) {
                    continue;
                }
                let number = pull.number;
                match pull.into_pull_request() {
                    Some(pull) => _ = found.insert(number, pull),
                    None => tracing::warn!(pr = number, "a merged pull request has no commit"),
                }
            }
        }
        Ok(found.into_values().rev().collect())
    }

    /// The pull requests from `branch`, in any state, newest first.
    pub(super) async fn pulls_of(&self, branch: &str) -> ForgeResult<Vec<PullRequest>> {
        let repository = self.repository().await?;
        let pulls = self.with_head(repository, branch, None, "all").await?;
        let mut pulls: Vec<_> = pulls.into_iter().filter_map(wire::Pull::into_pull_request).collect();
        pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        Ok(pulls)
    }

    async fn with_head(
        &self,
        repository: &Repository,
        branch: &str,
        base: Option<&str>,
        state: &str,
    ) -> Result<Vec<wire::Pull>, Refusal> {
        let head = segment(&format!("{}:{branch}", repository.owner));
        let base = base.map_or_else(String::new, |base| format!("&base={}", segment(base)));
        let target = repository.path(&format!("pulls?state={state}&head={head}{base}&per_page=100"));
        let doing = format!("look for a pull request from `{branch}` in `{}`", repository.full_name());
        let (pulls, _) = self.client.list::<wire::Pull>(&Ask::get(target, doing, READ)).await?;
        // GitHub ignores a filter that it cannot read.
        let is_it = |pull: &wire::Pull| is_from_here(pull, repository) && pull.head.name == branch;
        Ok(pulls.into_iter().filter(is_it).collect())
    }

    pub(super) async fn pull(&self, number: Number) -> ForgeResult<PullRequest> {
        let repository = self.repository().await?;
        let pull = self.wire_pull(repository, number).await?;
        pull.into_pull_request().ok_or_else(|| ForgeError {
            class: ForgeErrorClass::Transient,
            message: format!("cannot see the commit by which #{number} was merged"),
            hint: Some("run again later".to_owned()),
        })
    }

    pub(super) async fn wire_pull(
        &self,
        repository: &Repository,
        number: Number,
    ) -> Result<wire::Pull, Refusal> {
        let doing = format!("look at #{number} of `{}`", repository.full_name());
        self.client.json(&Ask::get(repository.path(&format!("pulls/{number}")), doing, READ)).await
    }

    /// Opens a pull request, or finds the open one; then sees to its labels, reviewers and assignees.
    pub(super) async fn open_pull(&self, new: &NewPullRequest) -> ForgeResult<Came<PullRequest>> {
        let repository = self.repository().await?;
        let opened = self.opened(repository, new).await?;
        self.furnish(repository, &opened.pull, new, opened.is_new).await;
        // Labels are part of what is returned.
        let pull = self.pull(opened.pull.number).await?;
        Ok(if opened.is_ours { Came::Done(pull) } else { Came::Found(pull) })
    }

    async fn opened(&self, repository: &Repository, new: &NewPullRequest) -> ForgeResult<Opened> {
        let mut draft = new.draft;
        let mut tries = 0;
        // An answer of ours that was lost may have opened it.
        let mut is_ours = false;
        loop {
            let found = self.with_head(repository, &new.branch, Some(&new.base), "open").await?;
            let is_it = |pull: &wire::Pull| pull.base.name == new.base && pull.state == "open";
            if let Some(pull) = found.into_iter().find(is_it) {
                return Ok(Opened { pull, is_new: tries > 0, is_ours });
            }
            let mut body = json!({
                "title": new.title, "head": new.branch, "base": new.base, "body": new.body,
            });
            if let (true, Some(body)) = (draft, body.as_object_mut()) {
                body.insert("draft".to_owned(), Value::Bool(true));
            }
            let doing = format!("open a pull request for `{}` in `{}`", new.branch, repository.full_name());
            let ask = Ask::post(repository.path("pulls"), body, doing, WRITE);
            let refusal = match self.client.json::<wire::Pull>(&ask).await {
                Ok(pull) => {
                    tracing::info!(pr = pull.number, branch = %new.branch, "pull request opened");
                    return Ok(Opened { pull, is_new: true, is_ours: true });
                }
                Err(refusal) => refusal,
            };
            if draft && refusal.says(422, "draft pull requests are not supported") {
                tracing::debug!(branch = %new.branch, "this repository has no drafts");
                draft = false;
            } else if refusal.says(422, "already exists") {
                // Somebody was faster; the list may know it only in a moment.
                if !self.client.pause(tries).await {
                    return Err(ForgeError { class: ForgeErrorClass::Conflict, ..refusal.error });
                }
            } else if !refusal.is_unclear() || !self.client.pause(tries).await {
                return Err(explained(refusal, new));
            } else {
                is_ours = true;
            }
            tries += 1;
        }
    }

    /// Changes what differs.
    pub(super) async fn change_pull(
        &self,
        current: &PullRequest,
        change: &PullRequestChange,
    ) -> ForgeResult<()> {
        let repository = self.repository().await?;
        let number = current.number;
        let mut body = serde_json::Map::new();
        if let Some(title) = change.title.as_ref().filter(|title| **title != current.title) {
            body.insert("title".to_owned(), json!(title));
        }
        if let Some(text) = change.body.as_ref().filter(|text| !same_text(text, &current.body)) {
            body.insert("body".to_owned(), json!(text));
        }
        if !body.is_empty() {
            let doing = format!("change #{number} of `{}`", repository.full_name());
            self.patch_pull(repository, number, Value::Object(body), doing).await?;
        }
        let has = |name: &String| current.labels.iter().any(|label| label.eq_ignore_ascii_case(name));
        let missing: Vec<String> = change.add_labels.iter().filter(|name| !has(name)).cloned().collect();
        self.add_labels(repository, number, &missing).await?;
        for name in change.remove_labels.iter().filter(|name| has(name)) {
            self.remove_label(repository, number, name).await?;
        }
        Ok(())
    }

    async fn patch_pull(
        &self,
        repository: &Repository,
        number: Number,
        body: Value,
        doing: String,
    ) -> Result<(), Refusal> {
        let target = repository.path(&format!("pulls/{number}"));
        self.client.send(&Ask::set(Method::PATCH, target, Some(body), doing, WRITE)).await.map(drop)
    }

    pub(super) async fn close_pull(&self, number: Number) -> ForgeResult<()> {
        let repository = self.repository().await?;
        if self.wire_pull(repository, number).await?.state == "closed" {
            return Ok(());
        }
        let doing = format!("close #{number} of `{}`", repository.full_name());
        self.patch_pull(repository, number, json!({"state": "closed"}), doing).await?;
        tracing::info!(pr = number, "pull request closed");
        Ok(())
    }
}

/// A fork may have a branch of the same name.
fn is_from_here(pull: &wire::Pull, repository: &Repository) -> bool {
    pull.head.repo.as_ref().is_some_and(|head| head.id == repository.id)
}

/// GitHub drops white space at the ends.
pub(super) fn same_text(one: &str, other: &str) -> bool {
    one.replace("\r\n", "\n").trim() == other.replace("\r\n", "\n").trim()
}

/// What the usual refusals of a new pull request mean.
fn explained(refusal: Refusal, new: &NewPullRequest) -> ForgeError {
    let hint = if refusal.says(422, "no commits between") {
        Some(format!("`{}` has no commit that `{}` lacks: push the change first", new.branch, new.base))
    } else if refusal.says(422, "`head` is invalid") {
        Some(format!("the branch `{}` is not on GitHub: push it first", new.branch))
    } else if refusal.says(422, "`base` is invalid") {
        Some(format!("there is no branch `{}` to propose to", new.base))
    } else {
        None
    };
    let mut error = refusal.error;
    error.hint = hint.or(error.hint);
    error
}

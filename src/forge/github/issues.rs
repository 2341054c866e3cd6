//! Comments and the dashboard: texts of ours, found again by a hidden marker and by who wrote them.

use http::Method;
use serde_json::json;

use super::client::Ask;
use super::pulls::same_text;
use super::refusal::Refusal;
use super::{GithubForge, Repository, segment, wire};
use crate::app::effects::Came;
use crate::app::forge::{Dashboard, ForgeError, ForgeErrorClass, ForgeResult, Number};

/// Stands in the body of the dashboard, unseen. An issue of another author that has it is not ours.
pub const DASHBOARD_MARKER: &str = "<!-- gitops-updater/dashboard -->";

const READ: &str = "issues: read";
const WRITE: &str = "issues: write";
/// What comments on pull requests take; `issues: write` would do as well.
const COMMENTS: &str = "pull-requests: write";

impl GithubForge {
    /// Writes the comment with `marker`, or replaces ours that has it.
    pub(super) async fn write_comment(&self, number: Number, marker: &str, body: &str) -> ForgeResult<()> {
        let repository = self.repository().await?;
        let body = with_marker(body, marker);
        let mut tries = 0;
        loop {
            if let Some(comment) = self.find_comment(repository, number, marker).await? {
                if same_text(comment.body.as_deref().unwrap_or_default(), &body) {
                    return Ok(());
                }
                let doing = format!("change a comment on #{number} of `{}`", repository.full_name());
                let target = repository.path(&format!("issues/comments/{}", comment.id));
                let ask = Ask::set(Method::PATCH, target, Some(json!({"body": body})), doing, COMMENTS);
                return Ok(self.client.send(&ask).await.map(drop)?);
            }
            let doing = format!("comment on #{number} of `{}`", repository.full_name());
            let target = repository.path(&format!("issues/{number}/comments"));
            let ask = Ask::post(target, json!({"body": body}), doing, COMMENTS);
            match self.client.send(&ask).await {
                Ok(_) => return Ok(()),
                // It may be there all the same: look before it is written again.
                Err(refusal) if refusal.is_unclear() && self.client.pause(tries).await => tries += 1,
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    pub(super) async fn find_comment(
        &self,
        repository: &Repository,
        number: Number,
        marker: &str,
    ) -> ForgeResult<Option<wire::Comment>> {
        let doing = format!("read the comments on #{number} of `{}`", repository.full_name());
        let target = repository.path(&format!("issues/{number}/comments?per_page=100"));
        let (comments, _) = self.client.list::<wire::Comment>(&Ask::get(target, doing, READ)).await?;
        let me = self.identity().await?.id;
        let is_mine = |comment: &wire::Comment| {
            comment.user.as_ref().is_some_and(|user| user.id == me)
                && comment.body.as_deref().is_some_and(|body| body.contains(marker))
        };
        Ok(comments.into_iter().find(is_mine))
    }

    /// Our dashboards in this state, the oldest first.
    async fn own_dashboards(&self, state: &str) -> ForgeResult<Vec<wire::Issue>> {
        let repository = self.repository().await?;
        let me = self.identity().await?;
        let doing = format!("look for the dashboard in `{}`", repository.full_name());
        let creator = segment(&me.login);
        let order = "sort=created&direction=asc&per_page=100";
        let target = repository.path(&format!("issues?state={state}&creator={creator}&{order}"));
        let (issues, _) = self.client.list::<wire::Issue>(&Ask::get(target, doing, READ)).await?;
        let is_ours = |issue: &wire::Issue| {
            issue.pull_request.is_none()
                && issue.user.as_ref().is_some_and(|user| user.id == me.id)
                && issue.body.as_deref().is_some_and(|body| body.contains(DASHBOARD_MARKER))
        };
        Ok(issues.into_iter().filter(is_ours).collect())
    }

    pub(super) async fn open_dashboard(&self) -> ForgeResult<Option<Dashboard>> {
        Ok(self.own_dashboards("open").await?.into_iter().next().map(wire::Issue::into_dashboard))
    }

    /// Writes the dashboard. One that was closed is opened again: there is one only, and configuration turns it off.
    pub(super) async fn put_dashboard(
        &self,
        seen: Option<&Dashboard>,
        title: &str,
        body: &str,
    ) -> ForgeResult<Came<()>> {
        let repository = self.repository().await?;
        let body = with_marker(body, DASHBOARD_MARKER);
        let Some(seen) = seen else { return self.new_dashboard(repository, title, &body).await };
        let number = seen.number;
        let doing = format!("look at the dashboard #{number} of `{}`", repository.full_name());
        let target = repository.path(&format!("issues/{number}"));
        let now: wire::Issue = self.client.json(&Ask::get(target, doing, READ)).await?;
        let is_closed = now.state != "open";
        let text = without_marker(now.body.as_deref().unwrap_or_default());
        if is_closed || !same_text(&text, &without_marker(&seen.body)) {
            return Err(ForgeError {
                class: ForgeErrorClass::Conflict,
                message: format!("cannot write the dashboard #{number}: somebody changed it meanwhile"),
                hint: Some("it is read again by the next run".to_owned()),
            });
        }
        Ok(self.set_dashboard(repository, &now, title, &body).await?)
    }

    /// Makes an existing issue the dashboard with this text; what is so already is not sent.
    async fn set_dashboard(
        &self,
        repository: &Repository,
        now: &wire::Issue,
        title: &str,
        body: &str,
    ) -> Result<Came<()>, Refusal> {
        let mut change = serde_json::Map::new();
        if now.title != title.trim() {
            change.insert("title".to_owned(), json!(title.trim()));
        }
        if !same_text(now.body.as_deref().unwrap_or_default(), body) {
            change.insert("body".to_owned(), json!(body));
        }
        if now.state != "open" {
            change.insert("state".to_owned(), json!("open"));
        }
        if change.is_empty() {
            return Ok(Came::Found(()));
        }
        let doing = format!("write the dashboard #{} of `{}`", now.number, repository.full_name());
        let target = repository.path(&format!("issues/{}", now.number));
        let ask = Ask::set(Method::PATCH, target, Some(change.into()), doing, WRITE);
        self.client.send(&ask).await?;
        Ok(Came::Done(()))
    }

    async fn new_dashboard(&self, repository: &Repository, title: &str, body: &str) -> ForgeResult<Came<()>> {
        let mut tries = 0;
        loop {
            if !self.own_dashboards("open").await?.is_empty() {
                // Another run made one after the caller looked, or an answer of ours was lost.
                return self.only_dashboard(repository, title, body).await;
            }
            if let Some(closed) = self.own_dashboards("closed").await?.into_iter().next() {
                return Ok(self.set_dashboard(repository, &closed, title, body).await?);
            }
            let doing = format!("make the dashboard of `{}`", repository.full_name());
            let ask =
                Ask::post(repository.path("issues"), json!({"title": title, "body": body}), doing, WRITE);
            match self.client.send(&ask).await {
                Ok(_) => {
                    self.only_dashboard(repository, title, body).await?;
                    return Ok(Came::Done(()));
                }
                Err(refusal) if refusal.is_unclear() && self.client.pause(tries).await => tries += 1,
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// Of dashboards that two runs made at the same time the oldest stays.
    async fn only_dashboard(
        &self,
        repository: &Repository,
        title: &str,
        body: &str,
    ) -> ForgeResult<Came<()>> {
        let mut dashboards = self.own_dashboards("open").await?.into_iter();
        let Some(first) = dashboards.next() else { return Ok(Came::Found(())) };
        for twin in dashboards {
            let doing =
                format!("close the second dashboard #{} of `{}`", twin.number, repository.full_name());
            let target = repository.path(&format!("issues/{}", twin.number));
            let body = Some(json!({"state": "closed", "state_reason": "not_planned"}));
            self.client.send(&Ask::set(Method::PATCH, target, body, doing, WRITE)).await?;
        }
        Ok(self.set_dashboard(repository, &first, title, body).await?)
    }
}

/// The text of a dashboard as it was given to us.
pub(super) fn without_marker(body: &str) -> String {
    body.replace(DASHBOARD_MARKER, "").trim_end().to_owned()
}

/// The text with its marker.
fn with_marker(body: &str, marker: &str) -> String {
    if body.contains(marker) { body.to_owned() } else { format!("{}\n\n{marker}", body.trim_end()) }
}

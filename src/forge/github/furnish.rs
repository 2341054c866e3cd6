//! Labels, reviewers and assignees of a pull request: welcome, but none of them is worth failing a proposal.

use http::Method;
use serde_json::json;

use super::client::{Ask, segment};
use super::refusal::Refusal;
use super::{GithubForge, Repository, wire};
use crate::app::forge::{ForgeResult, NewPullRequest, Number};

/// What it takes to label a pull request; `issues: write` would do as well.
const LABELS: &str = "pull-requests: write";
/// Colour of the labels that we make.
const COLOR: &str = "1d76db";
/// What it says beside them.
const DESCRIPTION: &str = "Made by gitops-updater";

impl GithubForge {
    /// Sees to what was wished for with a pull request and is not there. One that was found again may have lost it
    /// between two of our requests; who has reviewed it already is not asked again.
    pub(super) async fn furnish(
        &self,
        repository: &Repository,
        pull: &wire::Pull,
        new: &NewPullRequest,
        is_new: bool,
    ) {
        let number = pull.number;
        let told = |what: &str, refused: ForgeResult<()>| {
            if let Err(error) = refused {
                let hint = error.hint.as_deref().unwrap_or_default();
                tracing::warn!(pr = number, reason = %error, hint, "pull request has no {what}");
                let hint = error.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
                self.warn(format!(
                    "pull request #{number} has not all the {what} it should have: {error}{hint}"
                ));
            }
        };
        let has = |name: &str| pull.labels.iter().any(|label| label.name.eq_ignore_ascii_case(name));
        let labels: Vec<String> = new.labels.iter().filter(|name| !has(name)).cloned().collect();
        told("labels", self.add_labels(repository, number, &labels).await);

        let known = pull.assignees.iter().flatten().map(|user| &user.login);
        let assignees = missing(&new.assignees, known);
        told("assignees", self.assign(repository, number, &assignees).await);

        let teams = pull.requested_teams.iter().flatten().map(|team| &team.slug);
        let known: Vec<&String> =
            pull.requested_reviewers.iter().flatten().map(|user| &user.login).chain(teams).collect();
        let wanted = new.reviewers.iter().map(|name| name.rsplit('/').next().unwrap_or(name));
        let is_asked = |name: &str| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        let reviewers: Vec<String> = new
            .reviewers
            .iter()
            .zip(wanted)
            .filter(|(_, short)| !is_asked(short))
            .map(|(name, _)| name.clone())
            .collect();
        if !reviewers.is_empty() && (is_new || !self.is_reviewed(repository, number).await) {
            told("reviewers", self.request_reviews(repository, number, &reviewers).await);
        }
    }

    /// Adds labels, making those that do not exist.
    pub(super) async fn add_labels(
        &self,
        repository: &Repository,
        number: Number,
        names: &[String],
    ) -> ForgeResult<()> {
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            // GitHub would make it, too, but gray and without a word.
            if let Err(refusal) = self.ensure_label(repository, name).await {
                tracing::debug!(label = %name, reason = %refusal.error, "label not made");
            }
        }
        let doing = format!("label #{number} of `{}`", repository.full_name());
        let target = repository.path(&format!("issues/{number}/labels"));
        // Labels are a set: adding them twice adds them once.
        let ask = Ask::set(Method::POST, target, Some(json!({"labels": names})), doing, LABELS);
        Ok(self.client.send(&ask).await.map(drop)?)
    }

    async fn ensure_label(&self, repository: &Repository, name: &str) -> Result<(), Refusal> {
        let doing = format!("look for the label `{name}` in `{}`", repository.full_name());
        let target = repository.path(&format!("labels/{}", segment(name)));
        match self.client.send(&Ask::get(target, doing, "issues: read")).await {
            Ok(_) => return Ok(()),
            Err(refusal) if refusal.status == Some(404) => {}
            Err(refusal) => return Err(refusal),
        }
        let body = json!({"name": name, "color": COLOR, "description": DESCRIPTION});
        let doing = format!("make the label `{name}` in `{}`", repository.full_name());
        // A label has its name alone: what was made by a lost request refuses the next one.
        let ask = Ask::post(repository.path("labels"), body, doing, LABELS).repeatable();
        match self.client.send(&ask).await {
            Err(refusal) if !refusal.says(422, "already exists") => Err(refusal),
            _ => Ok(()),
        }
    }

    pub(super) async fn remove_label(
        &self,
        repository: &Repository,
        number: Number,
        name: &str,
    ) -> ForgeResult<()> {
        let doing = format!("take the label `{name}` from #{number} of `{}`", repository.full_name());
        let target = repository.path(&format!("issues/{number}/labels/{}", segment(name)));
        match self.client.send(&Ask::set(Method::DELETE, target, None, doing, LABELS)).await {
            Err(refusal) if refusal.status != Some(404) => Err(refusal.into()),
            _ => Ok(()),
        }
    }

    async fn assign(&self, repository: &Repository, number: Number, logins: &[String]) -> ForgeResult<()> {
        if logins.is_empty() {
            return Ok(());
        }
        let doing = format!("assign #{number} of `{}`", repository.full_name());
        let target = repository.path(&format!("issues/{number}/assignees"));
        let body = Some(json!({"assignees": logins}));
        let issue: wire::Assigned =
            self.client.json(&Ask::set(Method::POST, target, body, doing, LABELS)).await?;
        // Who cannot be assigned is left out without a word (REST documentation, "Add assignees to an issue").
        let left_out = missing(logins, issue.assignees.iter().flatten().map(|user| &user.login));
        if !left_out.is_empty() {
            let logins = left_out.join(", ");
            tracing::warn!(pr = number, %logins, "these cannot be assigned");
            self.warn(format!("pull request #{number} cannot be assigned to {logins}"));
        }
        Ok(())
    }

    /// Whether somebody has reviewed it; where that cannot be seen, nobody is asked once more.
    async fn is_reviewed(&self, repository: &Repository, number: Number) -> bool {
        let doing = format!("look at the reviews of #{number} of `{}`", repository.full_name());
        let target = repository.path(&format!("pulls/{number}/reviews?per_page=1"));
        let reviews: Result<Vec<serde::de::IgnoredAny>, _> =
            self.client.json(&Ask::get(target, doing, "pull-requests: read")).await;
        reviews.map_or(true, |reviews| !reviews.is_empty())
    }

    /// Asks people (`login`) and teams (`org/team`) for a review.
    async fn request_reviews(
        &self,
        repository: &Repository,
        number: Number,
        names: &[String],
    ) -> ForgeResult<()> {
        let Err(refusal) = self.request(repository, number, names).await else { return Ok(()) };
        if refusal.status != Some(422) || names.len() == 1 {
            return Err(refusal.into());
        }
        // One who cannot be asked makes GitHub refuse all.
        let mut last = Ok(());
        for name in names {
            if let Err(refusal) = self.request(repository, number, std::slice::from_ref(name)).await {
                last = Err(refusal.into());
            }
        }
        last
    }

    async fn request(
        &self,
        repository: &Repository,
        number: Number,
        names: &[String],
    ) -> Result<(), Refusal> {
        let (teams, people): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.contains('/'));
        let teams: Vec<&str> = teams.iter().filter_map(|name| name.rsplit('/').next()).collect();
        let doing = format!("ask {} to review #{number} of `{}`", names.join(", "), repository.full_name());
        let target = repository.path(&format!("pulls/{number}/requested_reviewers"));
        let body = Some(json!({"reviewers": people, "team_reviewers": teams}));
        let ask = Ask::set(Method::POST, target, body, doing, "pull-requests: write");
        self.client.send(&ask).await.map(drop)
    }
}

/// The names of `wanted` that are not in `known`; logins are the same in upper and lower case.
fn missing<'a>(wanted: &[String], known: impl Iterator<Item = &'a String> + Clone) -> Vec<String> {
    let is_known = |name: &String| known.clone().any(|known| known.eq_ignore_ascii_case(name));
    wanted.iter().filter(|name| !is_known(name)).cloned().collect()
}

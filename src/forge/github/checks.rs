//! Checks and commit statuses.

use serde_json::json;

use super::client::Ask;
use super::{GithubForge, Repository, segment, wire};
use crate::app::forge::{Checks, CommitStatus, ForgeResult, StatusState};
use crate::domain::message::OWN_PREFIX;

/// Longest description, in characters (REST documentation, "Create a commit status").
const DESCRIPTION_LIMIT: usize = 140;

impl GithubForge {
    /// Counts what check runs and statuses of others say of a commit.
    pub(super) async fn count_checks(&self, commit: &str) -> ForgeResult<Checks> {
        let repository = self.repository().await?;
        let doing = format!("read the checks of {commit} in `{}`", repository.full_name());
        let target =
            repository.path(&format!("commits/{}/check-runs?filter=latest&per_page=100", segment(commit)));
        let ask = Ask::get(target, doing, "checks: read");
        let (runs, _) = self.client.pages(&ask, |page: wire::CheckRuns| page.check_runs).await?;
        let mut checks = Checks::default();
        for run in runs {
            match (run.status.as_str(), run.conclusion.as_deref()) {
                ("completed", Some("success")) => checks.succeeded += 1,
                ("completed", Some("neutral" | "skipped")) => {}
                ("completed", _) => checks.failed += 1,
                _ => checks.pending += 1,
            }
        }
        for status in self.read_statuses(repository, commit).await? {
            // What we say of a change ourselves is no evidence for it.
            if status.context.starts_with(OWN_PREFIX) {
                continue;
            }
            match status.state.as_str() {
                "success" => checks.succeeded += 1,
                "pending" => checks.pending += 1,
                _ => checks.failed += 1,
            }
        }
        Ok(checks)
    }

    /// The latest status of each context, as the port has it.
    pub(super) async fn all_statuses(&self, commit: &str) -> ForgeResult<Vec<CommitStatus>> {
        let repository = self.repository().await?;
        let read = self.read_statuses(repository, commit).await?;
        let status = |status: wire::Status| CommitStatus {
            state: match status.state.as_str() {
                "success" => StatusState::Success,
                "pending" => StatusState::Pending,
                "error" => StatusState::Error,
                _ => StatusState::Failure,
            },
            context: status.context,
            description: status.description.unwrap_or_default(),
            url: status.target_url,
        };
        Ok(read.into_iter().map(status).collect())
    }

    /// The latest status of each context.
    async fn read_statuses(&self, repository: &Repository, commit: &str) -> ForgeResult<Vec<wire::Status>> {
        let doing = format!("read the statuses of {commit} in `{}`", repository.full_name());
        let target = repository.path(&format!("commits/{}/status?per_page=100", segment(commit)));
        let ask = Ask::get(target, doing, "statuses: read");
        Ok(self.client.pages(&ask, |page: wire::CombinedStatus| page.statuses).await?.0)
    }

    /// Writes a status, unless the latest one of its context says the same.
    pub(super) async fn write_status(&self, commit: &str, status: &CommitStatus) -> ForgeResult<()> {
        let repository = self.repository().await?;
        let state = match status.state {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        };
        let description = shortened(&status.description);
        let is_said = self.read_statuses(repository, commit).await?.iter().any(|known| {
            known.context.eq_ignore_ascii_case(&status.context)
                && known.state == state
                && known.description.as_deref().unwrap_or_default() == description
                && known.target_url.as_deref().unwrap_or_default()
                    == status.url.as_deref().unwrap_or_default()
        });
        if is_said {
            return Ok(());
        }
        let mut body = json!({"state": state, "context": status.context, "description": description});
        if let (Some(url), Some(body)) = (&status.url, body.as_object_mut()) {
            body.insert("target_url".to_owned(), json!(url));
        }
        let doing =
            format!("write the status `{}` of {commit} in `{}`", status.context, repository.full_name());
        let target = repository.path(&format!("statuses/{}", segment(commit)));
        // The latest one of a context counts: two that say the same are as one.
        let ask = Ask::post(target, body, doing, "statuses: write").repeatable();
        Ok(self.client.send(&ask).await.map(drop)?)
    }
}

/// On one line, and no longer than GitHub takes.
fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= DESCRIPTION_LIMIT {
        return text;
    }
    let start: String = text.chars().take(DESCRIPTION_LIMIT - 1).collect();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_is_one_line_of_at_most_140_characters() {
        assert_eq!(shortened(" two\nlines "), "two lines");
        assert_eq!(shortened(&"ä".repeat(140)), "ä".repeat(140));
        let long = shortened(&"ä".repeat(141));
        assert_eq!((long.chars().count(), long.chars().last()), (140, Some('…')));
    }
}

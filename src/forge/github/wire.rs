//! The parts of GitHub's answers that are read. Everything else is ignored, so that newer versions and Enterprise
//! hosts do no harm.

use jiff::Timestamp;
use serde::Deserialize;

use super::issues::without_marker;
use crate::app::forge::{Dashboard, PullRequest, PullRequestState};

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) node_id: String,
    pub(super) full_name: String,
    pub(super) default_branch: String,
    #[serde(default)]
    pub(super) archived: bool,
    #[serde(default)]
    pub(super) permissions: Option<Permissions>,
    /// How pull requests may be merged; told to those who may push.
    #[serde(default)]
    pub(super) allow_merge_commit: Option<bool>,
    #[serde(default)]
    pub(super) allow_squash_merge: Option<bool>,
    #[serde(default)]
    pub(super) allow_rebase_merge: Option<bool>,
}

/// What the token may do; not told of installation tokens everywhere.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Permissions {
    #[serde(default)]
    pub(super) push: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) login: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Team {
    pub(super) slug: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) sha: String,
    /// Of a fork that is gone there is none.
    pub(super) repo: Option<RepositoryId>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RepositoryId {
    pub(super) id: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) html_url: String,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) draft: Option<bool>,
    pub(super) merged_at: Option<Timestamp>,
    pub(super) merge_commit_sha: Option<String>,
    pub(super) head: Side,
    pub(super) base: Side,
    #[serde(default)]
    pub(super) labels: Vec<Label>,
    #[serde(default)]
    pub(super) assignees: Option<Vec<User>>,
    #[serde(default)]
    pub(super) requested_reviewers: Option<Vec<User>>,
    #[serde(default)]
    pub(super) requested_teams: Option<Vec<Team>>,
    /// What GraphQL knows it by.
    #[serde(default)]
    pub(super) node_id: Option<String>,
    /// Who opened it.
    #[serde(default)]
    pub(super) user: Option<User>,
    /// There where GitHub merges it by itself.
    #[serde(default)]
    pub(super) auto_merge: Option<AutoMerge>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct AutoMerge {
    #[serde(default)]
    pub(super) enabled_by: Option<User>,
}

impl Pull {
    /// `None` for a merged one of which GitHub does not say the commit.
    pub(super) fn into_pull_request(self) -> Option<PullRequest> {
        let state = match (self.merged_at, self.state.as_str()) {
            // Before the merge this field is the test merge (REST documentation, "Get a pull request").
            (Some(at), _) => PullRequestState::Merged { commit: self.merge_commit_sha?, at },
            (None, "open") => PullRequestState::Open,
            (None, _) => PullRequestState::Closed,
        };
        Some(PullRequest {
            number: self.number,
            url: self.html_url,
            title: self.title,
            body: lines(self.body),
            branch: self.head.name,
            head: self.head.sha,
            base: self.base.name,
            state,
            draft: self.draft.unwrap_or_default(),
            labels: self.labels.into_iter().map(|label| label.name).collect(),
            merges_itself: self.auto_merge.is_some(),
        })
    }
}

/// An issue, of which the assignees are read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Assigned {
    #[serde(default)]
    pub(super) assignees: Option<Vec<User>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Merged {
    pub(super) sha: String,
    #[serde(default)]
    pub(super) merged: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    pub(super) html_url: String,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) state: String,
    pub(super) user: Option<User>,
    #[serde(default)]
    pub(super) labels: Vec<LabelOrName>,
    /// There for pull requests alone, which GitHub lists with the issues.
    #[serde(default)]
    pub(super) pull_request: Option<serde::de::IgnoredAny>,
}

/// Labels of issues may be texts (GitHub's OpenAPI description, `issue.labels`).
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum LabelOrName {
    Label { name: Option<String> },
    Name(String),
}

impl Issue {
    pub(super) fn into_dashboard(self) -> Dashboard {
        let name = |label| match label {
            LabelOrName::Label { name } => name,
            LabelOrName::Name(name) => Some(name),
        };
        Dashboard {
            number: self.number,
            url: self.html_url,
            body: without_marker(&lines(self.body)),
            labels: self.labels.into_iter().filter_map(name).collect(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) body: Option<String>,
    pub(super) user: Option<User>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CheckRuns {
    pub(super) check_runs: Vec<CheckRun>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CheckRun {
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CombinedStatus {
    pub(super) statuses: Vec<Status>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    pub(super) state: String,
    pub(super) context: String,
    pub(super) description: Option<String>,
    pub(super) target_url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reference {
    pub(super) object: Object,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Object {
    pub(super) sha: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Commit {
    pub(super) sha: String,
    pub(super) message: String,
    pub(super) tree: Object,
    pub(super) parents: Vec<Object>,
    #[serde(default)]
    pub(super) verification: Option<Verification>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Verification {
    #[serde(default)]
    pub(super) verified: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Installation {
    pub(super) id: u64,
}

#[derive(Deserialize)]
pub(super) struct AccessToken {
    pub(super) token: String,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Graph<T> {
    pub(super) data: Option<T>,
    #[serde(default)]
    pub(super) errors: Vec<GraphError>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct GraphError {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Viewer {
    pub(super) viewer: ViewerUser,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ViewerUser {
    pub(super) login: String,
    pub(super) database_id: u64,
}

/// Texts that people edited in a browser come back with the line ends of one.
fn lines(text: Option<String>) -> String {
    text.unwrap_or_default().replace("\r\n", "\n")
}

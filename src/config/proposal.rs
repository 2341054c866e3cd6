//! How and where updates are proposed, validated. Names of credentials only, never credentials.

use std::time::Duration;

use url::Url;

pub use crate::domain::policy::Limits;
use crate::domain::policy::MergeMethod;

/// Where pull requests are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forge {
    /// What kind of forge.
    pub kind: ForgeKind,
    /// Name of the Git remote that is fetched and pushed.
    pub remote: String,
    /// The configuration names the remote: it is meant also where it is no GitHub.
    pub remote_is_named: bool,
    /// Branch that pull requests are made for; `None` = the remote's default branch.
    pub base_branch: Option<String>,
    /// Owner and name on the forge; `None` = as the remote's URL says. Only a configuration named by the user has it.
    pub repository: Option<(String, String)>,
    /// Base URL of the API, without slash at the end; `None` = the one that belongs to the remote's host.
    pub api_url: Option<Url>,
    /// The token of the environment may be sent to `api_url`.
    pub trusts_api_url: bool,
    /// How the program shows who it is.
    pub identity: Identity,
}

impl Default for Forge {
    fn default() -> Self {
        Self {
            kind: ForgeKind::Auto,
            remote: "origin".to_owned(),
            remote_is_named: false,
            base_branch: None,
            repository: None,
            api_url: None,
            trusts_api_url: true,
            identity: Identity::Token { variable: None },
        }
    }
}

/// Kinds of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeKind {
    /// GitHub where the remote is on GitHub and there are credentials, else local.
    Auto,
    /// GitHub or GitHub Enterprise.
    Github,
    /// Pull requests as refs of the repository itself.
    Local,
}

/// How the program shows a forge who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// With a token.
    Token {
        /// Environment variable with the token; `None` = the usual ones.
        variable: Option<String>,
    },
    /// As a GitHub App.
    App {
        /// Number of the App.
        id: u64,
        /// Number of its installation; `None` = the one for the repository.
        installation: Option<u64>,
        /// Environment variable with its private key; `None` = `GITOPS_UPDATER_GITHUB_PRIVATE_KEY`.
        private_key: Option<String>,
    },
}

/// What pull requests look like, and how they are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequests {
    /// Labels that each one gets.
    pub labels: Vec<String>,
    /// Logins, and teams as `organisation/team`.
    pub reviewers: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// Open them as drafts, but for steps with the gate `auto`.
    pub draft: bool,
    /// How steps with the gate `auto` are merged.
    pub merge_method: MergeMethod,
    /// Merge only after at least one check or status has reported success.
    pub require_checks: bool,
    /// Show what charts make of the values that are set, where `helm` is at hand.
    pub render_charts: bool,
    /// Texts that replace the built-in ones.
    pub templates: Templates,
}

impl Default for PullRequests {
    fn default() -> Self {
        Self {
            labels: vec!["gitops-updater".to_owned()],
            reviewers: vec![],
            assignees: vec![],
            draft: false,
            merge_method: MergeMethod::default(),
            require_checks: true,
            render_charts: true,
            templates: Templates::default(),
        }
    }
}

/// Texts that replace the built-in ones, in the language of Jinja; their syntax has been checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates {
    /// Title of pull requests.
    pub title: Option<String>,
    /// Body of pull requests.
    pub body: Option<String>,
    /// Commit message without trailers.
    pub commit: Option<String>,
}

/// Who commits, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commits {
    /// Name of author and committer.
    pub name: String,
    /// E-mail address of author and committer.
    pub email: String,
    /// Make commits through the forge's API.
    pub through_api: bool,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            name: "gitops-updater".to_owned(),
            // Nobody's: an address of a public service would show a stranger as the author.
            email: "gitops-updater@localhost".to_owned(),
            through_api: false,
        }
    }
}

/// The issue that lists everything pending, held and open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Whether it is written.
    pub enabled: bool,
    /// Title of the issue.
    pub title: String,
    /// Body of the issue in place of the built-in one, in the language of Jinja; its syntax has been checked.
    pub template: Option<String>,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { enabled: true, title: "GitOps updates".to_owned(), template: None }
    }
}

/// Which backup points are kept: the newest, the young, and those of updates under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// The newest that are kept whatever their age.
    pub keep_last: usize,
    /// Younger ones are kept whatever their number.
    pub keep_for: Duration,
}

impl Default for Backup {
    fn default() -> Self {
        Self { keep_last: 20, keep_for: Duration::from_secs(90 * 86_400) }
    }
}

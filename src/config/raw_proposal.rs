//! The part of the configuration file that says how and where updates are proposed, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::raw_backup::RawDataBackups;
use super::words::words;

/// Where pull requests are opened.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of forge settings")]
#[schemars(rename = "Forge")]
pub(super) struct RawForge {
    /// `github`, `local` (pull requests are kept in the repository itself, for `pr list`, `pr merge` …), or `auto`:
    /// GitHub where the remote is on GitHub and there are credentials, else local. Default: `auto`.
    pub(super) kind: Option<RawForgeKind>,
    /// Name of the Git remote that is fetched and pushed. Where it is no GitHub, pull requests are kept there only if
    /// it is named here (or with `--remote`), else in the clone itself. Default: `origin`.
    pub(super) remote: Option<String>,
    /// Branch that pull requests are made for. Default: the remote's default branch.
    pub(super) base_branch: Option<String>,
    /// `owner/name` on the forge (only in a file outside the repository, named with `--config`).
    /// Default: as the remote's URL says.
    pub(super) repository: Option<String>,
    /// Base URL of the forge's API, such as `https://github.example.com/api/v3`. In a file that lies in the
    /// repository itself, another host is not given the token of the environment.
    /// Default: the one that belongs to the remote's host.
    pub(super) api_url: Option<String>,
    /// Environment variable that holds the token. In a file that lies in the repository itself the name must be
    /// `GITOPS_UPDATER_HOST_<HOST>_TOKEN`. Default: the first of `GITOPS_UPDATER_GITHUB_TOKEN`, `GITHUB_TOKEN` and
    /// `GH_TOKEN` that is set.
    pub(super) token_env: Option<String>,
    /// Act as a GitHub App, instead of with a token. Default: a token.
    pub(super) app: Option<RawApp>,
}

words! {
    /// Kinds of forge.
    RawForgeKind as "ForgeKind", "forge" {
        /// GitHub where the remote is on GitHub and there are credentials, else local.
        Auto = "auto",
        /// GitHub or GitHub Enterprise.
        Github = "github",
        /// Pull requests as refs of the repository itself.
        Local = "local",
    }
}

/// A GitHub App.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `id`")]
#[schemars(rename = "App")]
pub(super) struct RawApp {
    /// Number of the App. No default.
    #[schemars(range(min = 1))]
    pub(super) id: u64,
    /// Number of its installation. Default: the one for the repository.
    #[schemars(range(min = 1))]
    pub(super) installation: Option<u64>,
    /// Environment variable that holds its private key (PEM). In a file that lies in the repository itself the name
    /// must be `GITOPS_UPDATER_HOST_<HOST>_PRIVATE_KEY`. Default: `GITOPS_UPDATER_GITHUB_PRIVATE_KEY`.
    pub(super) private_key_env: Option<String>,
}

/// What pull requests look like, and how they are merged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of pull request settings")]
#[schemars(rename = "PullRequests")]
pub(super) struct RawPullRequests {
    /// Labels that each one gets. Default: `gitops-updater`.
    pub(super) labels: Option<Vec<String>>,
    /// Logins, and teams as `organisation/team`, that are asked for a review. Default: none.
    pub(super) reviewers: Vec<String>,
    /// Logins that each one is assigned to. Default: none.
    pub(super) assignees: Vec<String>,
    /// Open them as drafts; steps with the gate `auto` are not. Default: `false`.
    pub(super) draft: Option<bool>,
    /// How steps with the gate `auto` are merged: `merge`, `squash` or `rebase`. Default: `merge`.
    pub(super) merge_method: Option<RawMergeMethod>,
    /// Merge steps with the gate `auto` only after at least one check or status has reported success; `false` also
    /// where there are none. Pending and failed ones always stop a merge. Default: `true`.
    pub(super) require_checks: Option<bool>,
    /// Show what a newer chart makes of the values that are set, object by object, where the `helm` program is on the
    /// `PATH`; it runs the templates of the chart, without network and environment. Default: `true`.
    pub(super) render_charts: Option<bool>,
    /// Templates in the language of Jinja, instead of the built-in ones. Default: the built-in ones.
    pub(super) templates: RawTemplates,
}

words! {
    /// How a pull request is merged.
    RawMergeMethod as "MergeMethod", "merge method" {
        /// A merge commit.
        Merge = "merge",
        /// One commit.
        Squash = "squash",
        /// The commits on top of the base.
        Rebase = "rebase",
    }
}

/// Texts that replace the built-in ones.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `title`, `body` and `commit`")]
#[schemars(rename = "Templates")]
pub(super) struct RawTemplates {
    /// Title of pull requests, one line. Default: the built-in one.
    pub(super) title: Option<String>,
    /// Body of pull requests, Markdown. Default: the built-in one.
    pub(super) body: Option<String>,
    /// Commit message without its trailers, which are always added. Default: the built-in one.
    pub(super) commit: Option<String>,
}

/// Who commits, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of commit settings")]
#[schemars(rename = "Commits")]
pub(super) struct RawCommits {
    /// Name of author and committer. Default: `gitops-updater`.
    pub(super) name: Option<String>,
    /// E-mail address of author and committer. Default: `gitops-updater@localhost`.
    pub(super) email: Option<String>,
    /// Make commits through the forge's API, so that GitHub signs them and shows them as verified; author and
    /// committer are those of the credentials then. Default: `false`.
    pub(super) through_api: Option<bool>,
}

/// The issue that lists everything pending, held and open.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `enabled`, `title` and `template`")]
#[schemars(rename = "Dashboard")]
pub(super) struct RawDashboard {
    /// Whether it is written. Default: `true`.
    pub(super) enabled: Option<bool>,
    /// Title of the issue. Default: `GitOps updates`.
    pub(super) title: Option<String>,
    /// Template of its body in the language of Jinja. Behind the dash of a list, what it prints of `checkbox`, `rebuild`,
    /// `accept` and `retry` are the boxes that people tick. Default: the built-in one.
    pub(super) template: Option<String>,
}

/// Backup points.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of backup settings")]
#[schemars(rename = "Backup")]
pub(super) struct RawBackup {
    /// The newest backup points that are kept whatever their age. Default: `20`, at most 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) keep_last: Option<u32>,
    /// Younger backup points are kept whatever their number; those of updates under way are never removed.
    /// Default: `90d`.
    pub(super) keep_for: Option<String>,
    /// Backups of data that are made with a backup point, where the cluster can be reached. Default: none.
    pub(super) data: RawDataBackups,
}

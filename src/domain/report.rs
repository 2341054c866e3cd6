//! The update report: an interface that scripts and dashboards read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::UpdateType;
use super::problem::Problem;

/// Version of the report's shape.
pub const SCHEMA: &str = "gitops-updater/report/v1";

/// The whole document: one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// What the repository runs and what is newer.
    pub update_report: UpdateReport,
}

/// What a repository runs and what is newer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateReport {
    /// Always `gitops-updater/report/v1`.
    pub schema: String,
    /// When the report was made.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub timestamp: Timestamp,
    /// How long it took, such as `1.2s`.
    pub scan_duration: String,
    /// What was read.
    pub repository: Repository,
    /// By component id.
    pub components: BTreeMap<String, Entry>,
    /// Counts and the recommended action.
    pub summary: Summary,
    /// What could not be read or asked.
    pub problems: Vec<Problem>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repository {
    /// As given on the command line.
    pub path: String,
    /// Commit id, with `-dirty` for a working tree with changes; null for plain folders.
    pub revision: Option<String>,
}

/// Whether there is something to do for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing newer is published.
    UpToDate,
    /// A newer version may be installed.
    UpdateAvailable,
    /// Git does not say which version runs (range, channel, branch).
    NotPinned,
    /// It cannot be known; `reason` says why.
    Unresolved,
    /// Another tool owns the version.
    ManagedElsewhere,
    /// The configuration says so.
    Ignored,
}

/// Who publishes the versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamEntry {
    /// `k3s`, `github_releases`, `github_tags`, `git_tags`, `helm` or `oci`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Canonical URL, without credentials.
    pub url: String,
    /// Chart, repository or image name there.
    pub name: String,
}

/// Where a version is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinEntry {
    /// Path within the repository.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// 0-based document in the file.
    pub document: usize,
    /// JSON Pointer within the document.
    pub route: String,
    /// Byte range in the file: start, end (half open).
    pub span: [usize; 2],
    /// The bytes in the file.
    pub text: String,
    /// Rule that found it.
    pub rule: String,
    /// Whether Flux applies it; copies are `false`.
    pub applied: bool,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// `k3s`, `flux`, `longhorn`, `helm`, `oci`, `image`, `git`, `release`, …
    pub kind: String,
    /// Name for people.
    pub name: String,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Cluster, where the repository describes several.
    pub cluster: Option<String>,
    /// Whether there is something to do.
    pub status: Status,
    /// Why it is neither up to date nor to be updated.
    pub reason: Option<String>,
    /// What Git says runs; for `not_pinned` the range or channel as written.
    pub current_version: Option<String>,
    /// The version to move to; for `not_pinned` the newest version outside the range, if any.
    pub available_version: Option<String>,
    /// For `not_pinned`: what the range or channel gives now.
    pub resolves_to: Option<String>,
    /// What kind of step that is.
    pub update_type: UpdateType,
    /// Whether the notes or an advisory name a vulnerability fixed on the way; null = nobody could say.
    pub security_update: Option<bool>,
    /// CVE and GHSA identifiers found on the way.
    pub security_advisories: Vec<String>,
    /// What the notes, the chart's major or its `kubeVersion` say may break.
    pub breaking_changes: Vec<String>,
    /// Where to read what changed.
    pub changelog_url: Option<String>,
    /// When the available version was released.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub released_at: Option<Timestamp>,
    /// The installed version was withdrawn, or the chart is deprecated.
    pub warnings: Vec<String>,
    /// What was learnt with `--deep`; null without.
    pub deep: Option<DeepChecks>,
    /// Who publishes the versions; null where that is not known.
    pub upstream: Option<UpstreamEntry>,
    /// Every place of the version.
    pub pins: Vec<PinEntry>,
}

/// What needs a request of its own for the chosen target; each is null when nobody could say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DeepChecks {
    /// The chart archive answers.
    pub archive_available: Option<bool>,
    /// Platforms of the image, such as `linux/arm64`.
    pub platforms: Option<Vec<String>>,
    /// When the image was built.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub image_created: Option<Timestamp>,
    /// Label `org.opencontainers.image.source`.
    pub source: Option<String>,
    /// Digest of the target.
    pub digest: Option<String>,
}

/// What to do about the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecommendedAction {
    /// Nothing is newer.
    None,
    /// Patches and digests only.
    Update,
    /// Minors, majors, or what the cluster itself runs on.
    ScheduleMaintenance,
    /// A security update is among them.
    UpdateNow,
    /// Too much could not be read to say.
    ReviewProblems,
}

/// Counts and the recommended action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Components with `update_available`.
    pub total_updates: usize,
    /// Of these, security updates.
    pub security_updates: usize,
    /// Of these, updates with breaking changes.
    pub breaking_changes: usize,
    /// What to do about the whole.
    pub recommended_action: RecommendedAction,
    /// Files read.
    pub files_read: usize,
    /// Components found.
    pub components: usize,
    /// Components with `unresolved`.
    pub unresolved: usize,
    /// Updates by update type.
    pub by_type: BTreeMap<String, usize>,
    /// Components by status.
    pub by_status: BTreeMap<String, usize>,
    /// Objects seen per kind.
    pub inventory: BTreeMap<String, usize>,
}

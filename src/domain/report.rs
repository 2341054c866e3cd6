//! The update report: an interface that scripts and dashboards read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::{Inventory, UpdateType};
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
    /// The bytes in the file; a variable such as `${VERSION}` where nothing gives it a value.
    pub text: String,
    /// Rule that found it.
    pub rule: String,
    /// Whether Flux applies it; copies are `false`.
    pub applied: bool,
    /// Where the digest stands that moves with the version, in the same document; null where there is none
    /// there.
    pub digest: Option<DigestEntry>,
}

/// Where the digest beside a version is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DigestEntry {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// JSON Pointer within the document.
    pub route: String,
    /// Byte range in the file: start, end (half open).
    pub span: [usize; 2],
    /// The bytes in the file.
    pub text: String,
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

impl Summary {
    /// Counts `components` and recommends what to do about the whole.
    pub fn of(
        components: &BTreeMap<String, Entry>,
        files_read: usize,
        inventory: Inventory,
        problems: &[Problem],
    ) -> Self {
        let mut by_type = BTreeMap::new();
        let mut by_status = BTreeMap::new();
        for entry in components.values() {
            *by_status.entry(entry.status.as_str().to_owned()).or_default() += 1;
            if entry.status == Status::UpdateAvailable {
                *by_type.entry(entry.update_type.as_str().to_owned()).or_default() += 1;
            }
        }
        let updates = || components.values().filter(|entry| entry.status == Status::UpdateAvailable);
        let unresolved = components.values().filter(|entry| entry.status == Status::Unresolved).count();
        Self {
            total_updates: updates().count(),
            security_updates: updates().filter(|entry| entry.security_update == Some(true)).count(),
            breaking_changes: updates().filter(|entry| !entry.breaking_changes.is_empty()).count(),
            recommended_action: recommend(components, unresolved, problems),
            files_read,
            components: components.len(),
            unresolved,
            by_type,
            by_status,
            inventory,
        }
    }
}

/// Security first; then honesty about what is not known; then how much care the updates need.
fn recommend(
    components: &BTreeMap<String, Entry>,
    unresolved: usize,
    problems: &[Problem],
) -> RecommendedAction {
    let updates: Vec<&Entry> =
        components.values().filter(|entry| entry.status == Status::UpdateAvailable).collect();
    let nothing_known = unresolved * 2 > components.len();
    if updates.iter().any(|entry| entry.security_update == Some(true)) {
        RecommendedAction::UpdateNow
    } else if nothing_known || (updates.is_empty() && (unresolved > 0 || !problems.is_empty())) {
        RecommendedAction::ReviewProblems
    } else if updates.iter().any(|entry| entry.needs_care()) {
        RecommendedAction::ScheduleMaintenance
    } else if updates.is_empty() {
        RecommendedAction::None
    } else {
        RecommendedAction::Update
    }
}

impl Entry {
    /// Whether the cluster itself runs on it.
    pub fn is_cluster_component(&self) -> bool {
        matches!(self.kind.as_str(), "k3s" | "flux" | "longhorn")
    }

    fn needs_care(&self) -> bool {
        self.is_cluster_component()
            || !self.breaking_changes.is_empty()
            || !matches!(self.update_type, UpdateType::Patch | UpdateType::Digest | UpdateType::Build)
    }
}

impl Status {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::UpdateAvailable => "update_available",
            Self::NotPinned => "not_pinned",
            Self::Unresolved => "unresolved",
            Self::ManagedElsewhere => "managed_elsewhere",
            Self::Ignored => "ignored",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn entry(kind: &str, status: Status, update_type: UpdateType) -> Entry {
        Entry {
            kind: kind.to_owned(),
            name: kind.to_owned(),
            namespace: None,
            cluster: None,
            status,
            reason: None,
            current_version: None,
            available_version: None,
            resolves_to: None,
            update_type,
            security_update: None,
            security_advisories: Vec::new(),
            breaking_changes: Vec::new(),
            changelog_url: None,
            released_at: None,
            warnings: Vec::new(),
            deep: None,
            upstream: None,
            pins: Vec::new(),
        }
    }

    fn summary(entries: Vec<Entry>, problems: usize) -> Summary {
        let components =
            entries.into_iter().enumerate().map(|(number, entry)| (number.to_string(), entry)).collect();
        let problems = vec![Problem::in_file("a.yaml", None, "not YAML"); problems];
        Summary::of(&components, 1, Inventory::new(), &problems)
    }

    use RecommendedAction as Action;
    use UpdateType as Type;

    #[rstest]
    #[case::nothing(&[], 0, Action::None)]
    #[case::up_to_date(&[("helm", Status::UpToDate, Type::None)], 0, Action::None)]
    #[case::patch(&[("helm", Status::UpdateAvailable, Type::Patch)], 0, Action::Update)]
    #[case::patch_beside_a_problem(&[("helm", Status::UpdateAvailable, Type::Patch)], 1, Action::Update)]
    #[case::digest(&[("image", Status::UpdateAvailable, Type::Digest)], 0, Action::Update)]
    #[case::minor(&[("helm", Status::UpdateAvailable, Type::Minor)], 0, Action::ScheduleMaintenance)]
    #[case::unnamed_step(&[("image", Status::UpdateAvailable, Type::Unknown)], 0, Action::ScheduleMaintenance)]
    #[case::patch_of_the_cluster(&[("k3s", Status::UpdateAvailable, Type::Patch)], 0, Action::ScheduleMaintenance)]
    #[case::only_problems(&[], 1, Action::ReviewProblems)]
    #[case::one_of_two_unresolved(&[("helm", Status::UpToDate, Type::None), ("helm", Status::Unresolved, Type::None)], 0, Action::ReviewProblems)]
    #[case::update_beside_few_unresolved(&[("helm", Status::UpdateAvailable, Type::Patch), ("helm", Status::Unresolved, Type::None)], 0, Action::Update)]
    #[case::mostly_unresolved(&[("helm", Status::UpdateAvailable, Type::Patch), ("helm", Status::Unresolved, Type::None), ("helm", Status::Unresolved, Type::None)], 0, Action::ReviewProblems)]
    fn action_follows_what_is_known(
        #[case] entries: &[(&str, Status, Type)],
        #[case] problems: usize,
        #[case] expected: Action,
    ) {
        let entries = entries.iter().map(|(kind, status, step)| entry(kind, *status, *step)).collect();
        assert_eq!(summary(entries, problems).recommended_action, expected);
    }

    #[test]
    fn security_comes_before_everything() {
        let mut fix = entry("helm", Status::UpdateAvailable, Type::Patch);
        fix.security_update = Some(true);
        let unresolved = || entry("helm", Status::Unresolved, Type::None);
        let summary = summary(vec![fix, unresolved(), unresolved(), unresolved()], 3);
        assert_eq!(summary.recommended_action, Action::UpdateNow);
        assert_eq!((summary.total_updates, summary.security_updates, summary.unresolved), (1, 1, 3));
    }

    #[test]
    fn breaking_patch_needs_maintenance_and_is_counted() {
        let mut patch = entry("helm", Status::UpdateAvailable, Type::Patch);
        patch.breaking_changes = vec!["values are renamed".to_owned()];
        let summary = summary(vec![patch, entry("helm", Status::UpToDate, Type::None)], 0);
        assert_eq!(summary.recommended_action, Action::ScheduleMaintenance);
        assert_eq!(summary.breaking_changes, 1);
        assert_eq!(summary.by_type, BTreeMap::from([("patch".to_owned(), 1)]));
        assert_eq!(
            summary.by_status,
            BTreeMap::from([("up_to_date".to_owned(), 1), ("update_available".to_owned(), 1)])
        );
    }

    #[test]
    fn words_are_those_of_the_serialized_form() {
        for status in [
            Status::UpToDate,
            Status::UpdateAvailable,
            Status::NotPinned,
            Status::Unresolved,
            Status::ManagedElsewhere,
            Status::Ignored,
        ] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        for step in [
            Type::None,
            Type::Patch,
            Type::Minor,
            Type::Major,
            Type::Prerelease,
            Type::Digest,
            Type::Build,
            Type::Unknown,
        ] {
            assert_eq!(serde_json::to_value(step).unwrap(), step.as_str());
        }
    }
}

//! The part of the configuration file that says what may be proposed, and when, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::words::words;

/// What may be proposed, and who approves it. Of several keys that speak of a component, the most particular one
/// wins for each setting: `policy` itself, then `components` by kind, by pattern, then `namespaces`, `paths`, and
/// last `components` by id.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of policy settings")]
#[schemars(rename = "Policy")]
pub(super) struct RawPolicy {
    /// How steps are approved, by kind of step. Default: see its keys.
    pub(super) semver_gates: RawGates,
    /// How old a release must be before it is proposed, such as `3d`. A release without a date is held then.
    /// Default: `0s`, any age.
    pub(super) minimum_release_age: Option<String>,
    /// Whether version ranges in manifests (`~1.9`) are edited: `keep` never, `widen` so that they include the newer
    /// version, in the form that they have. Default: `keep`.
    pub(super) ranges: Option<RawRanges>,
    /// When a merged step counts as verified, so that the next may follow: `observed` in the cluster (or accepted by a
    /// person), or `merged` for the time that `settle` says. Default: `observed`.
    pub(super) verification: Option<RawVerification>,
    /// With `verification: merged`: how long after the merge. Default: `24h`.
    pub(super) settle: Option<String>,
    /// Range that versions must lie in to be proposed: `>=1.6 <2`. Others are listed as held. Default: all.
    pub(super) allowed: Option<String>,
    /// Versions and ranges that are held; a more particular list replaces a general one. Default: none.
    pub(super) denied: Option<Vec<String>>,
    /// Settings per component kind (`k3s`, `helm`, …), id (`helm/longhorn-system/longhorn`) or pattern of ids
    /// (`helm/monitoring/*`). Default: none.
    pub(super) components: BTreeMap<String, RawComponentPolicy>,
    /// Settings for the components of a namespace; `*` stands for any text. Default: none.
    pub(super) namespaces: BTreeMap<String, RawComponentPolicy>,
    /// Settings for components whose version is written in these files: patterns as in `files.exclude`, such as
    /// `clusters/production`. A component that is written in several files follows the strictest. Default: none.
    pub(super) paths: BTreeMap<String, RawComponentPolicy>,
}

/// Policy for the components that a key names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of policy settings")]
#[schemars(rename = "ComponentPolicy")]
pub(super) struct RawComponentPolicy {
    /// How steps are approved, by kind of step. Default: `policy.semver_gates`.
    pub(super) semver_gates: RawGates,
    /// How old a release must be before it is proposed. Default: `policy.minimum_release_age`.
    pub(super) minimum_release_age: Option<String>,
    /// Whether version ranges are edited. Default: `policy.ranges`.
    pub(super) ranges: Option<RawRanges>,
    /// When a merged step counts as verified. Default: `policy.verification`.
    pub(super) verification: Option<RawVerification>,
    /// With `verification: merged`: how long after the merge. Default: `24h`.
    pub(super) settle: Option<String>,
    /// Range that versions must lie in to be proposed. Default: `policy.allowed`.
    pub(super) allowed: Option<String>,
    /// Versions and ranges that are held. Default: `policy.denied`.
    pub(super) denied: Option<Vec<String>>,
}

/// How steps are approved: `auto` (pull request, merged by the bot when its checks are green), `review` (pull request,
/// merged by a person), `manual` (a pull request only when a person asks for it) or `skip` (never proposed).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of gates")]
#[schemars(rename = "Gates")]
pub(super) struct RawGates {
    /// Same minor, higher patch. Default: `review`.
    pub(super) patch: Option<RawApproval>,
    /// Same major, higher minor. Default: `review`.
    pub(super) minor: Option<RawApproval>,
    /// Higher major. Default: `manual`.
    pub(super) major: Option<RawApproval>,
    /// To, or between, pre-releases. Default: `skip`.
    pub(super) prerelease: Option<RawApproval>,
    /// Same tag, other digest. Default: `review`.
    pub(super) digest: Option<RawApproval>,
    /// Same version, higher build (`+k3s1` to `+k3s2`). Default: as `patch`.
    pub(super) build: Option<RawApproval>,
}

words! {
    /// How a step is approved.
    RawApproval as "Approval", "gate" {
        /// Pull request, merged by the bot when its checks are green.
        Auto = "auto",
        /// Pull request, merged by a person.
        Review = "review",
        /// Pull request only when a person asks for it.
        Manual = "manual",
        /// Never proposed.
        Skip = "skip",
    }
}

words! {
    /// Whether version ranges are edited.
    RawRanges as "RangeEdits", "way with ranges" {
        /// Never.
        Keep = "keep",
        /// So that they include the newer version.
        Widen = "widen",
    }
}

words! {
    /// When a merged step counts as verified.
    RawVerification as "Verification", "verification" {
        /// When the cluster is seen to be healthy, or a person says so.
        Observed = "observed",
        /// When it has been merged for some time.
        Merged = "merged",
    }
}

/// How much may be under way at the same time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of limits")]
#[schemars(rename = "Limits")]
pub(super) struct RawLimits {
    /// Pull requests of this program that are open at the same time. Default: `5`, at most 100.
    #[schemars(range(min = 1, max = 100))]
    pub(super) open_pull_requests: Option<u32>,
    /// Pull requests that are opened within an hour. Default: `4`, at most 100.
    #[schemars(range(min = 1, max = 100))]
    pub(super) per_hour: Option<u32>,
    /// Independent steps that go together in one wave. Default: `5`, at most 100.
    #[schemars(range(min = 1, max = 100))]
    pub(super) concurrency: Option<u32>,
}

/// A time in which pull requests may be opened and merged. Reverts do not wait for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `cron` and `duration`")]
#[schemars(rename = "Window")]
pub(super) struct RawWindow {
    /// When it opens: minute, hour, day of month, month, day of week, by the clock on the wall: `0 2 * * 6`.
    /// No default.
    pub(super) cron: String,
    /// How long it stays open, such as `4h`; at most `7d`. No default.
    pub(super) duration: String,
    /// Time zone of `cron`, such as `Europe/Berlin`. Default: `UTC`.
    pub(super) time_zone: Option<String>,
    /// Component kinds, ids and patterns that it is for. Components that any window names have those windows only.
    /// Default: all that no window names.
    #[serde(default)]
    pub(super) components: Vec<String>,
}

/// A Kubernetes API that is no longer served. Manifests that use it hold updates of Kubernetes over that minor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `api_version`")]
#[schemars(rename = "KubernetesApi")]
pub(super) struct RawKubernetesApi {
    /// Group and version, such as `policy/v1beta1`. No default.
    pub(super) api_version: String,
    /// Kinds, such as `PodDisruptionBudget`. Default: every kind of that version.
    #[serde(default)]
    pub(super) kinds: Vec<String>,
    /// First minor of Kubernetes without it, such as `1.25`. Default: it is served, whatever the program knows.
    pub(super) removed_in: Option<String>,
    /// What to write instead, such as `policy/v1`. Default: nothing is suggested.
    pub(super) replacement: Option<String>,
}

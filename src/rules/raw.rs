//! The file form of a rule. The comments are the descriptions of `schema/rule.v1.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raw_health::RawHealth;
use super::raw_planning::{RawAbout, RawCompatibility, RawLadder, RawPrecondition, RawRestore, RawRevert};
use crate::domain::version::Scheme;

/// One rule file.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    /// Stable id in kebab-case; a file with the id of an embedded rule replaces it.
    pub(super) id: String,
    /// One line for people.
    pub(super) title: String,
    /// Why versions are found and judged like this.
    pub(super) why: String,
    /// Documentation of the fields that the rule reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<String>,
    /// The component that a found version belongs to; needed where there are `pins` or `claims`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) component: Option<RawComponent>,
    /// Order and grammar of the versions; needed where there are `pins` or `claims`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<Scheme>,
    /// Go module by which advisories name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advisories: Option<String>,
    /// `owner/name` on GitHub whose releases have the notes, where versions are published without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notes: Option<String>,
    /// What other rules find that belongs to this component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) claims: Vec<RawClaim>,
    /// Charts and images that the rule speaks of, whatever rule found them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) about: Option<RawAbout>,
    /// `kubernetes`: the component's version is that of Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provides: Option<String>,
    /// Ids or kinds of components, or ids of rules, whose components go first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) after: Vec<String>,
    /// By which steps a version is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ladder: Option<RawLadder>,
    /// What versions of other components its versions go with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) compatibility: Vec<RawCompatibility>,
    /// What must be so in the cluster before a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) preconditions: Vec<RawPrecondition>,
    /// Whether a step can be reverted; the first entry that matches holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) revert: Vec<RawRevert>,
    /// What is looked at after an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health: Option<RawHealth>,
    /// What a person does where an update is held, step by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) runbook: Vec<String>,
    /// What a person restores as the last way, where the version before needs its data from before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restore: Option<RawRestore>,
    /// Where versions live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pins: Vec<RawPin>,
    /// Manifests with the pins that must be found in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) examples: Vec<RawExample>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawComponent {
    /// Such as `helm/{namespace?}/{name}`.
    pub(super) id: String,
    /// Such as `helm`.
    pub(super) kind: String,
    /// Such as `{name}`.
    pub(super) name: String,
}

/// Exactly one of the keys.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClaim {
    /// Name of a Helm chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chart: Option<String>,
    /// `owner/name` on GitHub, as annotations name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) release: Option<String>,
    /// `host/path` of an OCI repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oci: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPin {
    /// Stable id in kebab-case, shown with every pin.
    pub(super) id: String,
    /// Which documents.
    #[serde(rename = "in")]
    pub(super) scope: RawScope,
    /// Nodes that hold a version, seen from the object; default: the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) at: String,
    /// The scalar with the version, seen from `at` (or from the object, with a leading `/`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) version: String,
    /// Nodes that must exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) when: Vec<String>,
    /// Scalars that must match a regular expression.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) matches: BTreeMap<String, String>,
    /// `whole` (default), `image`, or `tag` (the repository stands beside it; with `role: digest` a digest).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) format: RawFormat,
    /// Regular expression with the group `version`; other named groups are captures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<String>,
    /// What a missing version means; without it a missing version is no pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) absent: Option<RawAbsent>,
    /// Scalars to remember, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) capture: BTreeMap<String, String>,
    /// Image that is pulled to install the version, such as `{image}`: where it has no tag or that of a version, it must be
    /// there under the tag of the target (`+` is written as `-`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pulls: Option<String>,
    /// `version` (default), `range`, `channel`, `commit` or `digest`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) role: RawRole,
    /// Whether Flux applies the value from here; default `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) applied: Option<bool>,
    /// The whole file is generated, and no other rule looks into it; default `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) generated: bool,
    /// Only texts that the scheme understands are pins; default `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) strict: bool,
    /// Who publishes newer versions.
    pub(super) upstream: RawUpstream,
    /// Overrides the rule's component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) component: Option<RawComponent>,
    /// Overrides the rule's scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<Scheme>,
}

/// Objects (`group`, `kind`, `except`), or one of `kustomize`, `values`, `file`, `lines`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScope {
    /// API group without version, `""` for the core group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    /// Kind of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// Kinds left out where no `kind` is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) except: Vec<String>,
    /// Any Kubernetes object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) objects: bool,
    /// Kustomize's own files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) kustomize: bool,
    /// Values of charts: files that a Kustomize file names or that stand beside a `Chart.yaml`, and
    /// `*values.yaml` in ConfigMaps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) values: bool,
    /// Files of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// Lines of files whose path matches one of these patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) lines: Vec<String>,
    /// With `lines`: only this many bytes from the start of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) within: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawFormat {
    #[default]
    Whole,
    Image,
    Tag,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawRole {
    #[default]
    Version,
    Range,
    Channel,
    Commit,
    Digest,
}

/// Exactly one of the keys.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAbsent {
    /// The newest of this range is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) range: Option<String>,
    /// Git does not say; the reason for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nothing: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RawUpstream {
    /// k3s releases and channels.
    K3s {},
    /// Releases on GitHub.
    GithubReleases { repository: String },
    /// Tags on GitHub.
    GithubTags { repository: String },
    /// Tags of the Git repository at a URL.
    GitTags { url: String },
    /// A chart of a repository given by its URL.
    Helm { repository: String, chart: String },
    /// A chart in a Flux source.
    FluxSource { chart: String, kind: String, name: String, namespace: String },
    /// A Flux object that carries the chart.
    FluxChartRef { kind: String, name: String, namespace: String },
    /// Tags of an OCI repository.
    Oci { url: String },
    /// Tags of the image's repository.
    Image {},
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExample {
    /// Path of the file.
    pub(super) file: String,
    /// Its text.
    pub(super) text: String,
    /// Pin id → the text that must be found.
    pub(super) finds: BTreeMap<String, String>,
}

/// What is as it would be without being written is not written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

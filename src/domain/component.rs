//! What a repository runs: components and the pins that hold their versions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A component's id without the name of its cluster: `k3s` of `home:k3s`. A registry may have a port, as in
/// `image/registry.local:5000/app`; the name of a cluster has no `/`.
pub fn bare_id(id: &str) -> &str {
    match id.split_once(':') {
        Some((cluster, rest)) if !cluster.contains('/') => rest,
        _ => id,
    }
}

use super::upstream::UpstreamRef;
use super::version::Scheme;

/// The place of one version in the repository: file, document, route, bytes.
///
/// `text` is exactly the bytes of `span` in `file`, never a value that a YAML reader made of it
/// (`1.10` stays `1.10`). Where a component's version is a variable without a value, it is that variable
/// (`${VERSION}`), and its bytes are for nobody to change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pin {
    /// Path within the repository, `/`-separated.
    pub file: String,
    /// 1-based line of the first byte of the version.
    pub line: usize,
    /// 1-based column of the first byte of the version, in characters.
    pub column: usize,
    /// 0-based document within the file.
    pub document: usize,
    /// JSON Pointer (RFC 6901) within the document to the scalar that holds the version.
    pub route: String,
    /// Byte range of `text` in the file, half open.
    pub span: (usize, usize),
    /// The version as it stands in the file.
    pub text: String,
    /// Id of the rule that found the pin.
    pub rule: String,
    /// Whether Flux applies the value from here; `false` for copies (Ansible, templates, unused variables).
    pub applied: bool,
    /// The whole file is generated (`gotk-components.yaml`): it is made anew, never edited.
    pub generated: bool,
    /// The digest that belongs to the version here and must move with it.
    ///
    /// `None` where there is none, and where it stands elsewhere (behind a variable of another file, in
    /// the object that a patch is for): [`Component::digest`] says which of the two it is, and with a
    /// digest elsewhere the version here must not be moved alone.
    pub digest: Option<DigestPin>,
}

/// The place of a digest beside a version, in the pin's own file and document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigestPin {
    /// 1-based line of the first byte of the digest.
    pub line: usize,
    /// 1-based column of the first byte of the digest, in characters.
    pub column: usize,
    /// JSON Pointer (RFC 6901) within the document to the scalar that holds the digest; that of the
    /// version itself in `name:tag@sha256:…`.
    pub route: String,
    /// Byte range of `text` in the file, half open.
    pub span: (usize, usize),
    /// The digest as it stands in the file (`sha256:…`).
    pub text: String,
}

/// How the version of a component is given in Git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// One exact version.
    Exact(String),
    /// A Masterminds range (`1.x`, `>=1.2 <2`), resolved by Flux at run time.
    Range(String),
    /// A named channel of a release server (`stable`).
    Channel(String),
    /// Nothing in Git says which version runs (branch, no `version`, `latest`).
    Nothing(String),
}

/// One thing that moves together: its pins change in the same commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Stable, unique id, such as `k3s`, `helm/<namespace>/<release>`, `image/<registry>/<repository>`.
    pub id: String,
    /// `k3s`, `flux`, `longhorn`, `helm`, `oci`, `image`, `git`, `release` or what a rule says.
    pub kind: String,
    /// Name for people.
    pub name: String,
    /// Kubernetes namespace, where there is one.
    pub namespace: Option<String>,
    /// Name of the cluster, where the repository describes several.
    pub cluster: Option<String>,
    /// How its version is given; `Exact` text is that of the applied pin.
    pub given: Given,
    /// Order and grammar of its versions.
    pub scheme: Scheme,
    /// Who publishes newer versions; `Err` says why that cannot be known.
    pub upstream: Result<UpstreamRef, String>,
    /// Digest that stands beside the version and moves with it (`sha256:…`).
    pub digest: Option<String>,
    /// Set where something else owns the version (Flux image automation, Renovate `ignore`, …), with the reason.
    pub managed_elsewhere: Option<String>,
    /// The upstream's tags carry this prefix before the version (`kube-prometheus-stack-41.5.1`).
    pub tag_prefix: Option<String>,
    /// Images that are pulled to install a version, each under the tag of the version ([`Component::image_tag`]).
    pub images: BTreeSet<UpstreamRef>,
    /// What a person should know about how the version is written (copies that differ, two owners).
    pub warnings: Vec<String>,
    /// The applied pins first, then the copies; sorted by place within each.
    pub pins: Vec<Pin>,
}

impl Component {
    /// The tag under which an image of a version is published: a tag has no `+` (OCI distribution specification), and
    /// k3s writes `-` in its place (system-upgrade-controller, `MungeVersion`).
    pub fn image_tag(version: &str) -> String {
        version.replace('+', "-")
    }

    /// The name of the chart, where it is one; a release may have another name.
    pub fn chart(&self) -> Option<String> {
        match self.upstream.as_ref().ok()? {
            UpstreamRef::HelmChart { chart, .. } => Some(chart.clone()),
            UpstreamRef::Oci { repository, chart: true, .. } => {
                Some(repository.rsplit('/').next().unwrap_or(repository).to_owned())
            }
            _ => None,
        }
    }
}

/// Count of objects seen per kind, versionless sources too.
pub type Inventory = BTreeMap<String, usize>;

/// What kind of update it is to go from one version to another.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UpdateType {
    /// There is nothing newer.
    None,
    /// Same minor, higher patch.
    Patch,
    /// Same major, higher minor.
    Minor,
    /// Higher major.
    Major,
    /// To, or between, pre-releases.
    Prerelease,
    /// Same tag, other digest.
    Digest,
    /// Same version, higher build (`+k3s1` → `+k3s2`).
    Build,
    /// Newer in a way that the scheme cannot name.
    Unknown,
}

impl UpdateType {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Prerelease => "prerelease",
            Self::Digest => "digest",
            Self::Build => "build",
            Self::Unknown => "unknown",
        }
    }
}

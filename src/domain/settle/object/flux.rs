//! Flux' sources, Kustomizations and instances.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Condition, Detail, has_conditions, or_default};

/// What a Flux source has: GitRepository, OCIRepository, Bucket, HelmRepository, HelmChart, ExternalArtifact.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// Reconciling is suspended.
    pub suspend: bool,
    /// `spec.url`, without user and password.
    pub url: String,
    /// `spec.type` of a HelmRepository: `oci` has no status.
    pub type_: String,
    /// `spec.ref.tag`, `spec.ref.semver`, `spec.ref.digest` or `spec.ref.commit`, or the version of a HelmChart.
    pub wants: String,
    /// `spec.chart` of a HelmChart.
    pub chart: String,
    /// `spec.sourceRef` of a HelmChart.
    pub source_ref: Option<CrossReference>,
    /// What it has now.
    pub artifact: Option<Artifact>,
}

/// `status.artifact`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Artifact {
    /// `main@sha1:…`, `1.2.3@sha256:…`, `1.2.3`.
    #[serde(deserialize_with = "or_default")]
    pub revision: String,
    /// Digest of the file.
    #[serde(deserialize_with = "or_default")]
    pub digest: String,
    /// When it was made.
    pub last_update_time: Option<Timestamp>,
}

/// A reference to another object, perhaps of another namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CrossReference {
    /// `kind`; absent in `dependsOn`.
    pub kind: String,
    /// `namespace`; absent for the object's own.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// `name`.
    pub name: String,
}

/// What a Kustomization has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kustomization {
    /// Reconciling is suspended.
    pub suspend: bool,
    /// Where its manifests come from.
    pub source_ref: CrossReference,
    /// Folder in the source, without a leading `./` or trailing `/`.
    pub path: String,
    /// `spec.wait`.
    pub wait: bool,
    /// It waits for some objects: `spec.healthChecks`.
    pub has_health_checks: bool,
    /// What must be Ready before.
    pub depends_on: Vec<CrossReference>,
    /// `spec.timeout`, as written.
    pub timeout: String,
    /// `spec.interval`, as written.
    pub interval: String,
    /// The last revision that was applied and healthy.
    pub last_applied: String,
    /// The last revision that was tried.
    pub last_attempted: String,
    /// Commit behind an artifact that is not from Git.
    pub last_applied_origin: String,
    /// Objects that it applied.
    pub inventory: Vec<InventoryEntry>,
    /// Answer to the last request to reconcile.
    pub last_handled_reconcile_at: String,
}

/// An object of an inventory: `namespace_name_group_kind`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct InventoryEntry {
    /// Empty where the kind has none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

impl InventoryEntry {
    /// Reads the id of an entry. Colons in names of RBAC objects are written `__`.
    pub fn parse(id: &str) -> Option<Self> {
        let (namespace, rest) = id.split_once('_')?;
        let (rest, kind) = rest.rsplit_once('_')?;
        let (name, group) = rest.rsplit_once('_')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.replace("__", ":"),
            group: group.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

/// What a FluxInstance or a ResourceSet has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FluxInstance {
    /// `spec.distribution.version`: exact or a range.
    pub version: String,
    /// `v2.3.0@sha256:…`.
    pub last_applied: String,
    /// Objects that it applied.
    pub inventory: Vec<InventoryEntry>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SourceSpec {
    #[serde(deserialize_with = "or_default")]
    suspend: bool,
    #[serde(deserialize_with = "or_default")]
    url: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    type_: String,
    #[serde(rename = "ref", deserialize_with = "or_default")]
    reference: SourceReference,
    #[serde(deserialize_with = "or_default")]
    chart: String,
    #[serde(deserialize_with = "or_default")]
    version: String,
    source_ref: Option<CrossReference>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SourceReference {
    #[serde(deserialize_with = "or_default")]
    tag: String,
    #[serde(deserialize_with = "or_default")]
    semver: String,
    #[serde(deserialize_with = "or_default")]
    digest: String,
    #[serde(deserialize_with = "or_default")]
    commit: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SourceStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    artifact: Option<Artifact>,
}

pub(super) fn source(spec: SourceSpec, status: &mut SourceStatus) -> Detail {
    let SourceReference { tag, semver, digest, commit } = spec.reference;
    let wants = [digest, commit, semver, tag, spec.version].into_iter().find(|text| !text.is_empty());
    Detail::Source(Box::new(Source {
        suspend: spec.suspend,
        url: without_user(&spec.url),
        type_: spec.type_,
        wants: wants.unwrap_or_default(),
        chart: spec.chart,
        source_ref: spec.source_ref,
        artifact: status.artifact.take(),
    }))
}

/// A URL is told in reports: what stands before `@` in its authority is not kept.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KustomizationSpec {
    #[serde(deserialize_with = "or_default")]
    suspend: bool,
    #[serde(deserialize_with = "or_default")]
    source_ref: CrossReference,
    #[serde(deserialize_with = "or_default")]
    path: String,
    #[serde(deserialize_with = "or_default")]
    wait: bool,
    #[serde(deserialize_with = "or_default")]
    health_checks: Vec<serde::de::IgnoredAny>,
    #[serde(deserialize_with = "or_default")]
    depends_on: Vec<CrossReference>,
    #[serde(deserialize_with = "or_default")]
    timeout: String,
    #[serde(deserialize_with = "or_default")]
    interval: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KustomizationStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    last_applied_revision: String,
    #[serde(deserialize_with = "or_default")]
    last_attempted_revision: String,
    #[serde(deserialize_with = "or_default")]
    last_applied_origin_revision: String,
    #[serde(deserialize_with = "or_default")]
    last_handled_reconcile_at: String,
    #[serde(deserialize_with = "or_default")]
    inventory: Inventory,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Inventory {
    #[serde(deserialize_with = "or_default")]
    entries: Vec<RawEntry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawEntry {
    id: String,
}

impl Inventory {
    pub(super) fn read(self) -> Vec<InventoryEntry> {
        self.entries.iter().filter_map(|entry| InventoryEntry::parse(&entry.id)).collect()
    }
}

pub(super) fn kustomization(spec: KustomizationSpec, status: &mut KustomizationStatus) -> Detail {
    let path = spec.path.trim_start_matches("./").trim_matches('/');
    Detail::Kustomization(Box::new(Kustomization {
        suspend: spec.suspend,
        source_ref: spec.source_ref,
        path: if path == "." { String::new() } else { path.to_owned() },
        wait: spec.wait,
        has_health_checks: !spec.health_checks.is_empty(),
        depends_on: spec.depends_on,
        timeout: spec.timeout,
        interval: spec.interval,
        last_applied: std::mem::take(&mut status.last_applied_revision),
        last_attempted: std::mem::take(&mut status.last_attempted_revision),
        last_applied_origin: std::mem::take(&mut status.last_applied_origin_revision),
        inventory: std::mem::take(&mut status.inventory).read(),
        last_handled_reconcile_at: std::mem::take(&mut status.last_handled_reconcile_at),
    }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct FluxInstanceSpec {
    #[serde(deserialize_with = "or_default")]
    distribution: Distribution,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Distribution {
    #[serde(deserialize_with = "or_default")]
    version: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FluxInstanceStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    last_applied_revision: String,
    #[serde(deserialize_with = "or_default")]
    inventory: Inventory,
}

pub(super) fn flux_instance(spec: FluxInstanceSpec, status: &mut FluxInstanceStatus) -> Detail {
    Detail::FluxInstance(Box::new(FluxInstance {
        version: spec.distribution.version,
        last_applied: std::mem::take(&mut status.last_applied_revision),
        inventory: std::mem::take(&mut status.inventory).read(),
    }))
}

has_conditions!(SourceStatus, KustomizationStatus, FluxInstanceStatus);

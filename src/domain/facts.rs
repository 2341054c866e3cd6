//! What the cluster runs, as observed: from the cluster itself, or from a file that `facts` wrote.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Facts about one cluster. What could not be observed is absent, never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// When they were observed.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub taken_at: Option<Timestamp>,
    /// Version of the API server (`v1.33.4+k3s1`).
    pub kubernetes: Option<String>,
    /// Nodes.
    pub nodes: Vec<NodeFact>,
    /// Flux.
    pub flux: Option<FluxFact>,
    /// Longhorn.
    pub longhorn: Option<LonghornFact>,
    /// Helm releases, as HelmRelease objects report them.
    pub helm_releases: Vec<HelmReleaseFact>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeFact {
    /// Name.
    pub name: String,
    /// Such as `control-plane`, `etcd`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// `status.nodeInfo.kubeletVersion`.
    pub kubelet: String,
    /// Condition Ready is True.
    pub ready: bool,
    /// Not cordoned.
    pub schedulable: bool,
}

/// What runs of Flux.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FluxFact {
    /// Version of the distribution (`v2.9.4`).
    pub distribution: Option<String>,
    /// Controller → version.
    pub controllers: BTreeMap<String, String>,
    /// CRD (`helmreleases.helm.toolkit.fluxcd.io`) → `status.storedVersions`.
    pub stored_versions: BTreeMap<String, Vec<String>>,
}

/// What runs of Longhorn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LonghornFact {
    /// Whether the cluster has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed: Option<bool>,
    /// Setting `current-longhorn-version`.
    pub current: Option<String>,
    /// Volumes by robustness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, usize>>,
    /// CRD (`volumes.longhorn.io`) → `status.storedVersions`.
    pub stored_versions: BTreeMap<String, Vec<String>>,
    /// Volumes whose engine runs another image than the default.
    pub old_engines: Option<usize>,
}

/// A Helm release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelmReleaseFact {
    /// Namespace of the HelmRelease object.
    pub namespace: String,
    /// Name of the HelmRelease object.
    pub name: String,
    /// Chart name.
    pub chart: String,
    /// Chart version in `status.history[0]`.
    pub version: String,
    /// Status in `status.history[0]`.
    pub status: String,
}

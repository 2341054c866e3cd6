//! Longhorn's own objects (longhorn-manager `k8s/pkg/apis/longhorn/v1beta2`).

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};

use super::{Condition, Detail, Meta, NoSpec, Object, bare, has_conditions, lenient_time, or_default};
use crate::domain::settle::kind::Kind;

/// What a Longhorn Volume has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornVolume {
    /// `attached`, `detached`, `attaching`, …
    pub state: String,
    /// `healthy`, `degraded`, `faulted`, `unknown`.
    pub robustness: String,
    /// Engine image that it shall have.
    pub image: String,
    /// Engine image that it has.
    pub current_image: String,
    /// How many replicas it shall have.
    pub replicas: i64,
    /// `v1`, `v2`.
    pub data_engine: String,
    /// When it became degraded last.
    pub degraded_at: Option<Timestamp>,
    /// It is mounted over NFS, by pods of several nodes.
    pub shared: bool,
    /// Several of its replicas may be on one node: `enabled`, `disabled`; else the setting tells.
    pub soft_anti_affinity: String,
}

/// What a Longhorn Node has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornNode {
    /// Replicas may be placed on it.
    pub allow_scheduling: bool,
    /// Conditions of its disks, by name of the disk.
    pub disks: BTreeMap<String, Vec<Condition>>,
    /// Disks on which no replica is to be placed.
    pub closed: BTreeSet<String>,
}

/// What a Longhorn Engine has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornEngine {
    /// Its volume.
    pub volume: String,
    /// `running`, `stopped`, …
    pub state: String,
    /// Image that it runs.
    pub image: String,
    /// A replica is being rebuilt.
    pub rebuilding: bool,
}

/// What a Longhorn Replica has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornReplica {
    /// Its volume.
    pub volume: String,
    /// Its node.
    pub node: String,
    /// `running`, `stopped`, …
    pub state: String,
    /// When it failed; empty where it did not.
    pub failed_at: String,
}

/// What a Longhorn EngineImage has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornEngineImage {
    /// The image.
    pub image: String,
    /// `deploying`, `deployed`, …
    pub state: String,
    /// It does not fit the manager.
    pub incompatible: bool,
    /// How many engines and volumes use it.
    pub references: i64,
    /// Whether it is deployed, by node.
    pub nodes: BTreeMap<String, bool>,
}

/// What a Longhorn Setting has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornSetting {
    /// Its value.
    pub value: String,
}

/// What a Longhorn BackupTarget has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornBackupTarget {
    /// A URL is given.
    pub configured: bool,
    /// It answers.
    pub available: bool,
}

/// What a Longhorn BackingImage has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LonghornBackingImage {
    /// What is said of files of it that failed, by the disk's id.
    pub failed: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct VolumeSpec {
    #[serde(deserialize_with = "or_default")]
    image: String,
    // Its name before 1.6.
    #[serde(deserialize_with = "or_default")]
    engine_image: String,
    #[serde(deserialize_with = "or_default")]
    number_of_replicas: i64,
    #[serde(deserialize_with = "or_default")]
    data_engine: String,
    #[serde(deserialize_with = "or_default")]
    access_mode: String,
    #[serde(deserialize_with = "or_default")]
    migratable: bool,
    #[serde(deserialize_with = "or_default")]
    replica_soft_anti_affinity: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct VolumeStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    state: String,
    #[serde(deserialize_with = "or_default")]
    robustness: String,
    #[serde(deserialize_with = "or_default")]
    current_image: String,
    #[serde(deserialize_with = "lenient_time")]
    last_degraded_at: Option<Timestamp>,
}

pub(super) fn volume(spec: VolumeSpec, status: &mut VolumeStatus) -> Detail {
    Detail::LonghornVolume(LonghornVolume {
        state: std::mem::take(&mut status.state),
        robustness: std::mem::take(&mut status.robustness),
        image: if spec.image.is_empty() { spec.engine_image } else { spec.image },
        current_image: std::mem::take(&mut status.current_image),
        replicas: spec.number_of_replicas,
        data_engine: spec.data_engine,
        degraded_at: status.last_degraded_at,
        // What migrates between virtual machines' hosts is a block device on both.
        shared: spec.access_mode == "rwx" && !spec.migratable,
        soft_anti_affinity: spec.replica_soft_anti_affinity,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeSpec {
    #[serde(deserialize_with = "or_default")]
    allow_scheduling: bool,
    #[serde(deserialize_with = "or_default")]
    disks: BTreeMap<String, DiskSpec>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DiskSpec {
    #[serde(deserialize_with = "or_default")]
    allow_scheduling: bool,
    #[serde(deserialize_with = "or_default")]
    eviction_requested: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    disk_status: BTreeMap<String, Disk>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Disk {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
}

pub(super) fn node(spec: NodeSpec, status: &mut NodeStatus) -> Detail {
    let disks = std::mem::take(&mut status.disk_status);
    let closed = spec.disks.into_iter().filter(|(_, disk)| !disk.allow_scheduling || disk.eviction_requested);
    Detail::LonghornNode(LonghornNode {
        allow_scheduling: spec.allow_scheduling,
        disks: disks.into_iter().map(|(name, disk)| (name, disk.conditions)).collect(),
        closed: closed.map(|(name, _)| name).collect(),
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InstanceSpec {
    #[serde(deserialize_with = "or_default")]
    volume_name: String,
    #[serde(rename = "nodeID", deserialize_with = "or_default")]
    node: String,
    #[serde(deserialize_with = "or_default")]
    failed_at: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InstanceStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    current_state: String,
    #[serde(deserialize_with = "or_default")]
    current_image: String,
    #[serde(deserialize_with = "or_default")]
    rebuild_status: BTreeMap<String, Rebuild>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Rebuild {
    #[serde(deserialize_with = "or_default")]
    is_rebuilding: bool,
}

pub(super) fn engine(spec: InstanceSpec, status: &mut InstanceStatus) -> Detail {
    Detail::LonghornEngine(LonghornEngine {
        volume: spec.volume_name,
        state: std::mem::take(&mut status.current_state),
        image: std::mem::take(&mut status.current_image),
        rebuilding: status.rebuild_status.values().any(|rebuild| rebuild.is_rebuilding),
    })
}

pub(super) fn replica(spec: InstanceSpec, status: &mut InstanceStatus) -> Detail {
    Detail::LonghornReplica(LonghornReplica {
        volume: spec.volume_name,
        node: spec.node,
        state: std::mem::take(&mut status.current_state),
        failed_at: spec.failed_at,
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct EngineImageSpec {
    #[serde(deserialize_with = "or_default")]
    image: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EngineImageStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    state: String,
    #[serde(deserialize_with = "or_default")]
    incompatible: bool,
    #[serde(deserialize_with = "or_default")]
    ref_count: i64,
    #[serde(deserialize_with = "or_default")]
    node_deployment_map: BTreeMap<String, bool>,
}

pub(super) fn engine_image(spec: EngineImageSpec, status: &mut EngineImageStatus) -> Detail {
    Detail::LonghornEngineImage(LonghornEngineImage {
        image: spec.image,
        state: std::mem::take(&mut status.state),
        incompatible: status.incompatible,
        references: status.ref_count,
        nodes: std::mem::take(&mut status.node_deployment_map),
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct BackupTargetSpec {
    #[serde(rename = "backupTargetURL", deserialize_with = "or_default")]
    url: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct BackupTargetStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    available: bool,
}

pub(super) fn backup_target(spec: BackupTargetSpec, status: &mut BackupTargetStatus) -> Detail {
    Detail::LonghornBackupTarget(LonghornBackupTarget {
        configured: !spec.url.is_empty(),
        available: status.available,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BackingImageStatus {
    #[serde(skip)]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    disk_file_status_map: BTreeMap<String, BackingFile>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BackingFile {
    #[serde(deserialize_with = "or_default")]
    state: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

pub(super) fn backing_image(_: NoSpec, status: &mut BackingImageStatus) -> Detail {
    let files = std::mem::take(&mut status.disk_file_status_map).into_iter();
    let failed = files.filter(|(_, file)| matches!(file.state.as_str(), "failed" | "failed-and-cleanup"));
    Detail::LonghornBackingImage(LonghornBackingImage {
        failed: failed.map(|(disk, file)| (disk, file.message)).collect(),
    })
}

pub(super) fn setting<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Object, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Raw {
        metadata: Meta,
        #[serde(deserialize_with = "or_default")]
        value: String,
    }
    let raw = Raw::deserialize(deserializer)?;
    Ok(bare(kind, raw.metadata, Detail::LonghornSetting(LonghornSetting { value: raw.value })))
}

has_conditions!(
    VolumeStatus,
    NodeStatus,
    InstanceStatus,
    EngineImageStatus,
    BackupTargetStatus,
    BackingImageStatus
);

//! Claims, volumes, attachments, disruption budgets and snapshots of etcd.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::{Condition, Detail, Meta, Object, bare, has_conditions, lenient_time, or_default};
use crate::domain::settle::kind::Kind;

/// What a PersistentVolumeClaim has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PersistentVolumeClaim {
    /// `Pending`, `Bound`, `Lost`.
    pub phase: String,
    /// Its class; `None` for the default one.
    pub class: Option<String>,
    /// The volume that it is bound to.
    pub volume: String,
}

/// What a PersistentVolume has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PersistentVolume {
    /// `Available`, `Bound`, `Released`, `Failed`.
    pub phase: String,
    /// Its class.
    pub class: String,
    /// Driver of its CSI volume; empty where it is of another kind.
    pub driver: String,
    /// The driver's own name of the volume.
    pub handle: String,
    /// Namespace of the claim that has it.
    pub claim_namespace: String,
    /// Name of the claim that has it.
    pub claim: String,
}

/// What a StorageClass has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StorageClass {
    /// Its provisioner.
    pub provisioner: String,
    /// `Immediate` or `WaitForFirstConsumer`.
    pub binding_mode: String,
}

/// What a VolumeAttachment has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VolumeAttachment {
    /// Driver.
    pub attacher: String,
    /// Node that it is attached to.
    pub node: String,
    /// The volume.
    pub volume: String,
    /// It is attached.
    pub attached: bool,
    /// Attaching failed, with the driver's words.
    pub attach_error: Option<String>,
    /// Detaching failed, with the driver's words.
    pub detach_error: Option<String>,
}

/// What a PodDisruptionBudget has.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DisruptionBudget {
    /// How many pods may go now.
    #[serde(deserialize_with = "or_default")]
    pub disruptions_allowed: i64,
    /// Pods that are healthy.
    #[serde(deserialize_with = "or_default")]
    pub current_healthy: i64,
    /// Pods that must be.
    #[serde(deserialize_with = "or_default")]
    pub desired_healthy: i64,
    /// Pods that it is about.
    #[serde(deserialize_with = "or_default")]
    pub expected_pods: i64,
}

/// What an ETCDSnapshotFile has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EtcdSnapshot {
    /// Name of the snapshot.
    pub name: String,
    /// Node that it was taken on; `s3` where it was uploaded.
    pub node: String,
    /// Where it is.
    pub location: String,
    /// It can be restored.
    pub ready: bool,
    /// It failed, with k3s' words.
    pub error: Option<String>,
    /// When it was taken.
    pub taken_at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClaimSpec {
    storage_class_name: Option<String>,
    #[serde(deserialize_with = "or_default")]
    volume_name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PhaseStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    phase: String,
}

pub(super) fn claim(spec: ClaimSpec, status: &mut PhaseStatus) -> Detail {
    Detail::PersistentVolumeClaim(PersistentVolumeClaim {
        phase: std::mem::take(&mut status.phase),
        class: spec.storage_class_name,
        volume: spec.volume_name,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct VolumeSpec {
    #[serde(deserialize_with = "or_default")]
    storage_class_name: String,
    #[serde(deserialize_with = "or_default")]
    csi: Csi,
    #[serde(deserialize_with = "or_default")]
    claim_ref: ClaimRef,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Csi {
    driver: String,
    volume_handle: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ClaimRef {
    namespace: String,
    name: String,
}

pub(super) fn volume(spec: VolumeSpec, status: &mut PhaseStatus) -> Detail {
    Detail::PersistentVolume(PersistentVolume {
        phase: std::mem::take(&mut status.phase),
        class: spec.storage_class_name,
        driver: spec.csi.driver,
        handle: spec.csi.volume_handle,
        claim_namespace: spec.claim_ref.namespace,
        claim: spec.claim_ref.name,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AttachmentSpec {
    attacher: String,
    node_name: String,
    #[serde(deserialize_with = "or_default")]
    source: AttachmentSource,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AttachmentSource {
    #[serde(deserialize_with = "or_default")]
    persistent_volume_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AttachmentStatus {
    #[serde(skip)]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    attached: bool,
    attach_error: Option<Message>,
    detach_error: Option<Message>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "or_default")]
    message: String,
}

pub(super) fn attachment(spec: AttachmentSpec, status: &mut AttachmentStatus) -> Detail {
    Detail::VolumeAttachment(VolumeAttachment {
        attacher: spec.attacher,
        node: spec.node_name,
        volume: spec.source.persistent_volume_name,
        attached: status.attached,
        attach_error: status.attach_error.take().map(|error| error.message),
        detach_error: status.detach_error.take().map(|error| error.message),
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BudgetStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    disruptions_allowed: i64,
    #[serde(deserialize_with = "or_default")]
    current_healthy: i64,
    #[serde(deserialize_with = "or_default")]
    desired_healthy: i64,
    #[serde(deserialize_with = "or_default")]
    expected_pods: i64,
}

pub(super) fn budget(_: super::NoSpec, status: &mut BudgetStatus) -> Detail {
    Detail::DisruptionBudget(DisruptionBudget {
        disruptions_allowed: status.disruptions_allowed,
        current_healthy: status.current_healthy,
        desired_healthy: status.desired_healthy,
        expected_pods: status.expected_pods,
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SnapshotSpec {
    #[serde(deserialize_with = "or_default")]
    snapshot_name: String,
    #[serde(deserialize_with = "or_default")]
    node_name: String,
    #[serde(deserialize_with = "or_default")]
    location: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SnapshotStatus {
    #[serde(skip)]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    ready_to_use: bool,
    #[serde(deserialize_with = "lenient_time")]
    creation_time: Option<Timestamp>,
    error: Option<Message>,
}

pub(super) fn etcd_snapshot(spec: SnapshotSpec, status: &mut SnapshotStatus) -> Detail {
    Detail::EtcdSnapshot(EtcdSnapshot {
        name: spec.snapshot_name,
        node: spec.node_name,
        location: spec.location,
        ready: status.ready_to_use,
        error: status.error.take().map(|error| error.message),
        taken_at: status.creation_time,
    })
}

pub(super) fn storage_class<'de, D: Deserializer<'de>>(
    kind: Kind,
    deserializer: D,
) -> Result<Object, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Raw {
        metadata: Meta,
        #[serde(deserialize_with = "or_default")]
        provisioner: String,
        #[serde(deserialize_with = "or_default")]
        volume_binding_mode: String,
    }
    let raw = Raw::deserialize(deserializer)?;
    let detail = StorageClass { provisioner: raw.provisioner, binding_mode: raw.volume_binding_mode };
    Ok(bare(kind, raw.metadata, Detail::StorageClass(detail)))
}

has_conditions!(PhaseStatus, AttachmentStatus, BudgetStatus, SnapshotStatus);

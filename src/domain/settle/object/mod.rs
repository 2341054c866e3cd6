//! Objects of the cluster, reduced while they are read to what a judgement can rest on.
//!
//! A list of thousands of pods is read without ever being a tree: fields that no check looks at (managed fields,
//! volumes, environments) are passed over, and annotations that are long are left out. What is written here as absent
//! is absent or empty in the object, too.

mod event;
mod flux;
mod helm;
mod longhorn;
mod network;
mod node;
mod plan;
mod pod;
mod read;
mod selector;
mod storage;
mod workload;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeSeed as _;

pub use self::event::Event;
pub use self::flux::{Artifact, CrossReference, FluxInstance, InventoryEntry, Kustomization, Source};
pub use self::helm::{HelmRelease, Release};
pub use self::longhorn::{
    LonghornBackingImage, LonghornBackupTarget, LonghornEngine, LonghornEngineImage, LonghornNode,
    LonghornReplica, LonghornSetting, LonghornVolume,
};
pub use self::network::{
    ApiService, Certificate, CustomResourceDefinition, EndpointSlice, Ingress, Service, Webhook, Webhooks,
};
pub use self::node::{Bootable, Node, Taint};
pub use self::plan::Plan;
pub use self::pod::{Container, ContainerState, Pod};
use self::read::{Common, NoSpec, bare, has_conditions, lenient_time, or_default, short_annotations};
pub use self::read::{IntOrString, Reading};
pub use self::selector::{Expression, Selector};
pub use self::storage::{
    DisruptionBudget, EtcdSnapshot, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment,
};
pub use self::workload::{Job, Template, Workload};

use super::kind::Kind;

/// One object, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Who it is.
    pub meta: Meta,
    /// `status.conditions`.
    pub conditions: Vec<Condition>,
    /// `status.observedGeneration`.
    pub observed_generation: Option<i64>,
    /// What only its kind has.
    pub detail: Detail,
}

/// What only one kind has.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// Nothing that is looked at.
    Bare,
    /// Of every kind of Flux source.
    Source(Box<Source>),
    /// Of a Flux Kustomization.
    Kustomization(Box<Kustomization>),
    /// Of a HelmRelease.
    HelmRelease(Box<HelmRelease>),
    /// Of a FluxInstance, and of a ResourceSet.
    FluxInstance(Box<FluxInstance>),
    /// Of a Plan.
    Plan(Box<Plan>),
    /// Of a Node.
    Node(Box<Node>),
    /// Of a Pod.
    Pod(Box<Pod>),
    /// Of a Deployment, ReplicaSet, StatefulSet or DaemonSet.
    Workload(Box<Workload>),
    /// Of a Job.
    Job(Box<Job>),
    /// Of a Service.
    Service(Service),
    /// Of an EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// Of an Ingress.
    Ingress(Ingress),
    /// Of a PersistentVolumeClaim.
    PersistentVolumeClaim(PersistentVolumeClaim),
    /// Of a PersistentVolume.
    PersistentVolume(PersistentVolume),
    /// Of a StorageClass.
    StorageClass(StorageClass),
    /// Of a VolumeAttachment.
    VolumeAttachment(VolumeAttachment),
    /// Of a PodDisruptionBudget.
    DisruptionBudget(DisruptionBudget),
    /// Of an APIService.
    ApiService(ApiService),
    /// Of a CustomResourceDefinition.
    CustomResourceDefinition(CustomResourceDefinition),
    /// Of a webhook configuration of either kind.
    Webhooks(Webhooks),
    /// Of a cert-manager Certificate.
    Certificate(Certificate),
    /// Of a Longhorn Volume.
    LonghornVolume(LonghornVolume),
    /// Of a Longhorn Node.
    LonghornNode(LonghornNode),
    /// Of a Longhorn Engine.
    LonghornEngine(LonghornEngine),
    /// Of a Longhorn Replica.
    LonghornReplica(LonghornReplica),
    /// Of a Longhorn EngineImage.
    LonghornEngineImage(LonghornEngineImage),
    /// Of a Longhorn Setting.
    LonghornSetting(LonghornSetting),
    /// Of a Longhorn BackupTarget.
    LonghornBackupTarget(LonghornBackupTarget),
    /// Of a Longhorn BackingImage.
    LonghornBackingImage(LonghornBackingImage),
    /// Of an ETCDSnapshotFile.
    EtcdSnapshot(EtcdSnapshot),
    /// Of an Event.
    Event(Box<Event>),
}

/// `metadata`, without managed fields.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Empty where the kind has none.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Unique id; another one is another object of the same name.
    pub uid: String,
    /// Counts changes of the spec.
    pub generation: Option<i64>,
    /// Version of the object; only ever compared for equality.
    pub resource_version: Option<String>,
    /// When it was made.
    pub creation_timestamp: Option<Timestamp>,
    /// When its deletion began.
    pub deletion_timestamp: Option<Timestamp>,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, without long ones.
    #[serde(deserialize_with = "short_annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Owners.
    #[serde(deserialize_with = "or_default")]
    pub owner_references: Vec<Owner>,
}

/// An entry of `ownerReferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
    /// `uid`.
    pub uid: String,
    /// Whether it is the one that manages the object.
    pub controller: bool,
}

/// An entry of `status.conditions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `Ready`, `Reconciling`, …
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// CamelCase word.
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    /// For people.
    #[serde(deserialize_with = "or_default")]
    pub message: String,
    /// Generation that it speaks of.
    pub observed_generation: Option<i64>,
    /// When its status changed last.
    #[serde(deserialize_with = "lenient_time")]
    pub last_transition_time: Option<Timestamp>,
    /// When it was written last, where its controller says that (system-upgrade-controller does).
    #[serde(deserialize_with = "lenient_time")]
    pub last_update_time: Option<Timestamp>,
}

impl Condition {
    /// `True`.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// `False`.
    pub fn is_false(&self) -> bool {
        self.status == "False"
    }
}

/// A list as the API server answers it, its objects reduced.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct List {
    /// `metadata.resourceVersion`: where a watch goes on.
    pub resource_version: String,
    /// `metadata.continue`: where the next page begins; empty on the last one.
    pub continue_: String,
    /// Objects.
    pub items: Vec<Object>,
}

impl Object {
    /// Reads an object of a known kind; items of a list do not name theirs.
    ///
    /// # Errors
    ///
    /// It is no JSON, or a field that is looked at has another type.
    pub fn from_slice(kind: Kind, json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let object = Reading(kind).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(object)
    }

    /// Reads an object that is JSON already.
    ///
    /// # Errors
    ///
    /// A field that is looked at has another type.
    pub fn from_value(kind: Kind, json: &serde_json::Value) -> Result<Self, serde_json::Error> {
        Reading(kind).deserialize(json)
    }

    /// The condition of a type.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// The condition of a type is there and `True`.
    pub fn is(&self, type_: &str) -> bool {
        self.condition(type_).is_some_and(Condition::is_true)
    }

    /// Namespace and name.
    pub fn key(&self) -> (&str, &str) {
        (&self.meta.namespace, &self.meta.name)
    }

    /// `Kind/namespace/name`, or `Kind/name` where there is no namespace.
    pub fn title(&self) -> String {
        title(self.kind, &self.meta.namespace, &self.meta.name)
    }

    /// The owner that manages it.
    pub fn controller(&self) -> Option<&Owner> {
        self.meta.owner_references.iter().find(|owner| owner.controller)
    }
}

/// `Kind/namespace/name`, or `Kind/name` where there is no namespace.
pub fn title(kind: Kind, namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        format!("{}/{name}", kind.name())
    } else {
        format!("{}/{namespace}/{name}", kind.name())
    }
}

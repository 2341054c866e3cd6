//! Objects of the cluster, reduced while they are read to what a judgement can rest on.
//!
//! A list of thousands of pods is read without ever being a tree: fields that no check looks at (managed fields,
//! volumes, environments) are passed over, and annotations that are long are left out. What is written here as absent
//! is absent or empty in the object, too.

mod core;
mod event;
mod flux;
mod longhorn;
mod network;
mod storage;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

pub use self::core::{
    Bootable, Container, ContainerState, Expression, Job, Node, Pod, Selector, Taint, Template, Workload,
};
pub use self::event::Event;
pub use self::flux::{
    Artifact, CrossReference, FluxInstance, HelmRelease, InventoryEntry, Kustomization, Plan, Release, Source,
};
pub use self::longhorn::{
    LonghornBackupTarget, LonghornEngine, LonghornEngineImage, LonghornNode, LonghornReplica,
    LonghornSetting, LonghornVolume,
};
pub use self::network::{
    ApiService, Certificate, CustomResourceDefinition, EndpointSlice, Ingress, Service, Webhook, Webhooks,
};
pub use self::storage::{
    DisruptionBudget, EtcdSnapshot, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment,
};

use super::kind::Kind;

/// Annotations with longer values are not kept, in bytes.
const LONGEST_ANNOTATION: usize = 512;

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

impl List {
    /// Reads a page of a list without making a tree of it.
    ///
    /// # Errors
    ///
    /// It is no JSON, or a field that is looked at has another type.
    pub fn from_slice(kind: Kind, json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let list = deserializer.deserialize_map(ListVisitor(kind))?;
        deserializer.end()?;
        Ok(list)
    }
}

struct ListVisitor(Kind);

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListMeta {
    #[serde(rename = "resourceVersion", deserialize_with = "or_default")]
    resource_version: String,
    #[serde(rename = "continue", deserialize_with = "or_default")]
    continue_: String,
}

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {} objects", self.0.name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List, A::Error> {
        let mut list = List::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "metadata" => {
                    let meta: ListMeta = map.next_value()?;
                    list.resource_version = meta.resource_version;
                    list.continue_ = meta.continue_;
                }
                "items" => list.items = map.next_value_seed(Items(self.0))?,
                _ => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(list)
    }
}

struct Items(Kind);

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Vec<Object>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Object>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<Object>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} objects", self.0.name())
    }

    // A list without items is `null` in some versions.
    fn visit_unit<E>(self) -> Result<Vec<Object>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Object>, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1000));
        while let Some(object) = seq.next_element_seed(Reading(self.0))? {
            items.push(object);
        }
        Ok(items)
    }
}

/// Reads an object of a known kind from any place of a document.
#[derive(Debug, Clone, Copy)]
pub struct Reading(pub Kind);

/// Most kinds: metadata, spec, status.
#[derive(Deserialize)]
#[serde(bound = "Spec: DeserializeOwned + Default, Status: DeserializeOwned + Default", default)]
struct Raw<Spec, Status> {
    #[serde(deserialize_with = "or_default")]
    metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

impl<Spec: Default, Status: Default> Default for Raw<Spec, Status> {
    fn default() -> Self {
        Self { metadata: Meta::default(), spec: Spec::default(), status: Status::default() }
    }
}

/// What every status may have, read along with the rest of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Common {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
}

/// A status that hands out what every status may have.
trait Status {
    fn common(&mut self) -> Common;
}

impl Status for Common {
    fn common(&mut self) -> Common {
        std::mem::take(self)
    }
}

/// Writes [`Status`] for a struct with the two fields.
macro_rules! has_conditions {
    ($($status:ty),*) => { $(
        impl super::Status for $status {
            fn common(&mut self) -> super::Common {
                super::Common {
                    conditions: std::mem::take(&mut self.conditions),
                    observed_generation: self.observed_generation,
                }
            }
        }
    )* };
}
use has_conditions;

/// Nothing of a spec is looked at.
#[derive(Debug, Default, Deserialize)]
struct NoSpec {}

impl<'de> DeserializeSeed<'de> for Reading {
    type Value = Object;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
        match self.0 {
            Kind::GitRepository
            | Kind::OciRepository
            | Kind::Bucket
            | Kind::HelmRepository
            | Kind::HelmChart
            | Kind::ExternalArtifact => split(self.0, deserializer, flux::source),
            Kind::Kustomization => split(self.0, deserializer, flux::kustomization),
            Kind::HelmRelease => split(self.0, deserializer, flux::helm_release),
            Kind::FluxInstance | Kind::ResourceSet => split(self.0, deserializer, flux::flux_instance),
            Kind::Plan => split(self.0, deserializer, flux::plan),
            Kind::Node => split(self.0, deserializer, core::node),
            Kind::Pod => split(self.0, deserializer, core::pod),
            Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet => {
                split(self.0, deserializer, core::workload)
            }
            Kind::Job => split(self.0, deserializer, core::job),
            Kind::Service => split(self.0, deserializer, network::service),
            Kind::Ingress => split(self.0, deserializer, network::ingress),
            Kind::ApiService => split(self.0, deserializer, network::api_service),
            Kind::CustomResourceDefinition => split(self.0, deserializer, network::crd),
            Kind::Certificate => split(self.0, deserializer, network::certificate),
            Kind::PersistentVolumeClaim => split(self.0, deserializer, storage::claim),
            Kind::PersistentVolume => split(self.0, deserializer, storage::volume),
            Kind::VolumeAttachment => split(self.0, deserializer, storage::attachment),
            Kind::PodDisruptionBudget => split(self.0, deserializer, storage::budget),
            Kind::EtcdSnapshotFile => split(self.0, deserializer, storage::etcd_snapshot),
            Kind::LonghornVolume => split(self.0, deserializer, longhorn::volume),
            Kind::LonghornNode => split(self.0, deserializer, longhorn::node),
            Kind::LonghornEngine => split(self.0, deserializer, longhorn::engine),
            Kind::LonghornReplica => split(self.0, deserializer, longhorn::replica),
            Kind::LonghornEngineImage => split(self.0, deserializer, longhorn::engine_image),
            Kind::LonghornBackupTarget => split(self.0, deserializer, longhorn::backup_target),
            Kind::Namespace => split(self.0, deserializer, |_: NoSpec, _: &mut Common| Detail::Bare),
            // These have no spec: what matters stands at the top.
            Kind::EndpointSlice => network::endpoint_slice(self.0, deserializer),
            Kind::ValidatingWebhookConfiguration | Kind::MutatingWebhookConfiguration => {
                network::webhooks(self.0, deserializer)
            }
            Kind::StorageClass => storage::storage_class(self.0, deserializer),
            Kind::LonghornSetting => longhorn::setting(self.0, deserializer),
            Kind::Event => event::event(self.0, deserializer),
        }
    }
}

fn split<'de, D, Spec, S>(
    kind: Kind,
    deserializer: D,
    detail: impl FnOnce(Spec, &mut S) -> Detail,
) -> Result<Object, D::Error>
where
    D: Deserializer<'de>,
    Spec: DeserializeOwned + Default,
    S: DeserializeOwned + Default + Status,
{
    let Raw { metadata, spec, mut status } = Raw::<Spec, S>::deserialize(deserializer)?;
    let common = status.common();
    let detail = detail(spec, &mut status);
    Ok(Object {
        kind,
        meta: metadata,
        conditions: common.conditions,
        observed_generation: common.observed_generation,
        detail,
    })
}

/// An object without spec and status.
fn bare(kind: Kind, meta: Meta, detail: Detail) -> Object {
    Object { kind, meta, conditions: Vec::new(), observed_generation: None, detail }
}

/// `null` is the same as absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A time that cannot be read is no reason to lose the object.
fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

fn short_annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    struct Short;
    impl<'de> Visitor<'de> for Short {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("annotations")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut kept = BTreeMap::new();
            while let Some((key, Fits(value))) = map.next_entry::<String, Fits>()? {
                if let Some(value) = value {
                    kept.insert(key, value);
                }
            }
            Ok(kept)
        }
    }
    deserializer.deserialize_any(Short)
}

/// A text that is kept only when it is short: a long one is never copied.
struct Fits(Option<String>);

impl<'de> Deserialize<'de> for Fits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Measure;
        impl Visitor<'_> for Measure {
            type Value = Fits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Fits, E> {
                Ok(Fits((text.len() <= LONGEST_ANNOTATION).then(|| text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Fits, E> {
                Ok(Fits(None))
            }
        }
        deserializer.deserialize_any(Measure)
    }
}

/// A number or a text with one, as `int-or-string` fields have it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct IntOrString(pub String);

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_i64<E>(self, number: i64) -> Result<IntOrString, E> {
                Ok(IntOrString(number.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<IntOrString, E> {
                Ok(IntOrString(number.to_string()))
            }

            fn visit_str<E>(self, text: &str) -> Result<IntOrString, E> {
                Ok(IntOrString(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

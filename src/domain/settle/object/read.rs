//! Reads objects and lists of them without making trees.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{Condition, Detail, List, Meta, Object};
use super::{event, flux, helm, longhorn, network, node, plan, pod, storage, workload};
use crate::domain::settle::kind::Kind;

/// Annotations with longer values are not kept, in bytes.
const LONGEST_ANNOTATION: usize = 512;

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
pub(super) struct Common {
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    pub(super) observed_generation: Option<i64>,
}

/// A status that hands out what every status may have.
pub(super) trait Status {
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
        impl crate::domain::settle::object::read::Status for $status {
            fn common(&mut self) -> crate::domain::settle::object::read::Common {
                crate::domain::settle::object::read::Common {
                    conditions: std::mem::take(&mut self.conditions),
                    observed_generation: self.observed_generation,
                }
            }
        }
    )* };
}
pub(super) use has_conditions;

/// Nothing of a spec is looked at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct NoSpec {}

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
            Kind::HelmRelease => split(self.0, deserializer, helm::helm_release),
            Kind::FluxInstance | Kind::ResourceSet => split(self.0, deserializer, flux::flux_instance),
            Kind::Plan => split(self.0, deserializer, plan::plan),
            Kind::Node => split(self.0, deserializer, node::node),
            Kind::Pod => split(self.0, deserializer, pod::pod),
            Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet => {
                split(self.0, deserializer, workload::workload)
            }
            Kind::Job => split(self.0, deserializer, workload::job),
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
            Kind::LonghornBackingImage => split(self.0, deserializer, longhorn::backing_image),
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
    let Raw { mut metadata, spec, mut status } = Raw::<Spec, S>::deserialize(deserializer)?;
    let mut common = status.common();
    // What was read one by one has room for more, and there are thousands.
    common.conditions.shrink_to_fit();
    metadata.owner_references.shrink_to_fit();
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
pub(super) fn bare(kind: Kind, meta: Meta, detail: Detail) -> Object {
    Object { kind, meta, conditions: Vec::new(), observed_generation: None, detail }
}

/// `null` is the same as absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A time that cannot be read is no reason to lose the object.
pub(super) fn lenient_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

pub(super) fn short_annotations<'de, D: Deserializer<'de>>(
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

//! Objects of the cluster, reduced while they are read to what a judgement can rest on.
//!
//! A list of thousands of pods is read without ever being a tree: fields that no check looks at (managed fields,
//! volumes, environments) are passed over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

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
}

/// `metadata`, without managed fields.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Empty where the kind has none.
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
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Owners.
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
    pub reason: String,
    /// For people.
    pub message: String,
    /// Generation that it speaks of.
    pub observed_generation: Option<i64>,
    /// When its status changed last.
    pub last_transition_time: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Bare {
    metadata: Meta,
    status: BareStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct BareStatus {
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
}

impl Object {
    /// Reads an object of a known kind; items of a list do not name theirs.
    ///
    /// # Errors
    ///
    /// It is no JSON, or a field that is looked at has another type.
    pub fn from_slice(kind: Kind, json: &[u8]) -> Result<Self, serde_json::Error> {
        let bare: Bare = serde_json::from_slice(json)?;
        Ok(Self {
            kind,
            meta: bare.metadata,
            conditions: bare.status.conditions,
            observed_generation: bare.status.observed_generation,
            detail: Detail::Bare,
        })
    }

    /// The condition of a type.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }
}

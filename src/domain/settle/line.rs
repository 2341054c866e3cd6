//! The flight recorder: everything that a verdict is made from, one JSON object a line.
//!
//! Unknown keys and unknown lines are ignored, so that recordings outlive the versions that wrote them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::memory::{Baseline, Remembered};

/// Milliseconds since the beginning of the recording or of the watch; seconds with fraction in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Milliseconds of any time that matters are exact in a double.
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if seconds.is_finite() && seconds.abs() < 1e12 {
            Ok(Self((seconds * 1000.0).round() as i64))
        } else {
            Err(serde::de::Error::custom("a time of more than 30,000 years"))
        }
    }
}

impl Moment {
    /// The moment a while later.
    pub fn after(self, while_: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(while_.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long it is after an earlier moment; nothing where that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl schemars::JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "description": "seconds since the beginning" })
    }
}

/// One thing seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<O = Value> {
    /// When.
    pub t: Moment,
    /// What.
    pub seen: Seen<O>,
}

/// What was seen. `O` is an object as it is kept: JSON in a recording, reduced when it is judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<O = Value> {
    /// What is watched; first. What is not watched is not observed.
    Header(Header),
    /// An object came, changed or went.
    Event {
        /// What happened.
        change: Change,
        /// The object after it, or before it went.
        object: O,
        /// It is of the first listing.
        initial: bool,
    },
    /// A commit reached the followed branch.
    Commit(Commit),
    /// An update was merged: it is judged from here.
    Update(Merged),
    /// The observer lost sight of kinds, or of everything, or sees again.
    View {
        /// It sees again.
        back: bool,
        /// Which kinds; `None` for all.
        kinds: Option<Vec<String>>,
    },
    /// A probe's result.
    Probe(Probe),
    /// A commit status of the forge.
    Status(CommitStatus),
    /// The policy in force.
    Config(Value),
    /// Whoever looked on has done with an update (by the id that the judge knows it by): it is judged no more.
    Over(String),
    /// For people; time moves on.
    Note(String),
    /// Something that this version does not know; time moves on.
    Unknown,
}

/// The first line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// When it began, RFC 3339.
    #[serde(default)]
    pub started_at: String,
    /// Kinds that are watched.
    #[serde(default)]
    pub watching: Vec<String>,
    /// Namespaces that are watched; `None` for all.
    #[serde(default)]
    pub namespaces: Option<Vec<String>>,
    /// Kinds that the cluster does not have: their checks do not apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// Kinds that may not be read, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unseen: BTreeMap<String, String>,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    /// It came.
    Added,
    /// It changed.
    Modified,
    /// It went.
    Deleted,
}

/// A commit on the followed branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// Ids of its parents.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Its message.
    #[serde(default)]
    pub message: String,
    /// Files that it changed.
    #[serde(default)]
    pub files: Vec<String>,
    /// Updates (by id) whose pins are back at their old text with it, as far as the observer has looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reverts: Vec<String>,
    /// Updates in whose place it put other versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// Updates whose pins have their new text again with it, and did not have it before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restores: Vec<String>,
    /// Updates of which it stops the rollout, and does nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<String>,
}

/// The merge of an update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// Update id.
    pub id: String,
    /// Component id.
    pub component: String,
    /// Kind of component (`helm`, `k3s`, `flux`, `longhorn`, …).
    #[serde(default)]
    pub kind: String,
    /// Version before.
    #[serde(default)]
    pub from: String,
    /// Version after.
    #[serde(default)]
    pub to: String,
    /// Commit before.
    #[serde(default)]
    pub base: String,
    /// Commit that brought it in.
    #[serde(default)]
    pub commit: String,
    /// Files that it changed.
    #[serde(default)]
    pub files: Vec<String>,
    /// How safe it is to go back (`safe`, `conditional`, `unsafe`), as planned; what the kind says where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<String>,
    /// What is tried for it, by the name of its results, and whether that went well before the merge: `None` where
    /// nobody could say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trials: BTreeMap<String, Option<bool>>,
    /// In a recording: what the judge began with, the baseline among it. Without it the judge knows what it saw itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "remembered")]
    pub remembered: Option<Box<Remembered>>,
}

/// Reads what is remembered. The state takes no key that it does not know; a recording may be of a later version.
fn remembered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Remembered>>, D::Error> {
    let Some(mut value) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    keep_known::<Remembered>(&mut value);
    if let Some(baseline) = value.get_mut("baseline") {
        keep_known::<Baseline>(baseline);
    }
    serde_json::from_value(value).map(Some).map_err(D::Error::custom)
}

/// Leaves only the keys that a type has.
fn keep_known<T: JsonSchema + DeserializeOwned>(value: &mut Value) {
    let schema = schemars::schema_for!(T);
    let known = schema.get("properties");
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, _| known.is_none_or(|known| known.get(key).is_some()));
    }
}

/// A probe's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// Whether it went well; `None` where it could not be tried, which says nothing about the cluster.
    pub ok: Option<bool>,
    /// For people.
    #[serde(default)]
    pub detail: String,
}

/// A commit status of the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStatus {
    /// The commit.
    pub sha: String,
    /// Who says it, such as `kustomization/apps/1a2b3c4d`.
    pub context: String,
    /// `success`, `failure`, `error`, `pending`.
    pub state: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

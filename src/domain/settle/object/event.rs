//! Events: what controllers warn of.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::{Detail, Meta, Object, bare, lenient_time, or_default};
use crate::domain::settle::kind::Kind;

/// What an Event has. Those of one cause are one object that is counted up (client-go `tools/record/events_cache.go`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// It is a warning; otherwise something went as it should.
    pub warning: bool,
    /// Such as `FailedScheduling`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// How often it was told.
    pub count: i64,
    /// When it was told first.
    pub first: Option<Timestamp>,
    /// When it was told last.
    pub last: Option<Timestamp>,
    /// `kind` of what it is about.
    pub about_kind: String,
    /// Name of what it is about; its namespace is the event's own.
    pub about_name: String,
}

pub(super) fn event<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Object, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Raw {
        #[serde(deserialize_with = "or_default")]
        metadata: Meta,
        #[serde(rename = "type", deserialize_with = "or_default")]
        type_: String,
        #[serde(deserialize_with = "or_default")]
        reason: String,
        #[serde(deserialize_with = "or_default")]
        message: String,
        #[serde(deserialize_with = "or_default")]
        count: i64,
        #[serde(deserialize_with = "lenient_time")]
        first_timestamp: Option<Timestamp>,
        #[serde(deserialize_with = "lenient_time")]
        last_timestamp: Option<Timestamp>,
        #[serde(deserialize_with = "lenient_time")]
        event_time: Option<Timestamp>,
        #[serde(deserialize_with = "or_default")]
        series: Series,
        #[serde(deserialize_with = "or_default")]
        involved_object: Involved,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Series {
        #[serde(deserialize_with = "or_default")]
        count: i64,
        #[serde(deserialize_with = "lenient_time")]
        last_observed_time: Option<Timestamp>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Involved {
        #[serde(deserialize_with = "or_default")]
        kind: String,
        #[serde(deserialize_with = "or_default")]
        name: String,
    }
    let raw = Raw::deserialize(deserializer)?;
    let first = raw.first_timestamp.or(raw.event_time).or(raw.metadata.creation_timestamp);
    let event = Event {
        warning: raw.type_ == "Warning",
        reason: raw.reason,
        message: raw.message.chars().take(LONGEST).collect(),
        count: raw.count.max(raw.series.count).max(1),
        first,
        last: raw.series.last_observed_time.or(raw.last_timestamp).or(first),
        about_kind: raw.involved_object.kind,
        about_name: raw.involved_object.name,
    };
    Ok(bare(kind, raw.metadata, Detail::Event(Box::new(event))))
}

/// Longest message that is kept, in characters.
const LONGEST: usize = 300;

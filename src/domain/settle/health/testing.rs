//! Worlds for tests, from objects as the API server would return them.

use serde_json::{Value, json};

use super::{HealthSettings, findings};
use crate::domain::settle::finding::Finding;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::{Change, Header, Line, Moment, Seen};
use crate::domain::settle::object::Object;
use crate::domain::settle::world::World;

/// The moment of every look.
pub(in crate::domain::settle) const NOW: &str = "2026-11-21T12:00:00Z";

/// A time so many minutes before the look.
pub(in crate::domain::settle) fn before(minutes: i64) -> String {
    let now: jiff::Timestamp = NOW.parse().unwrap();
    (now - jiff::SignedDuration::from_mins(minutes)).to_string()
}

/// A world that sees every kind.
pub(in crate::domain::settle) fn world(objects: &[Value]) -> World {
    let watching = Kind::ALL.iter().map(|kind| kind.label()).collect();
    world_of(Header { watching, started_at: NOW.to_owned(), ..Header::default() }, objects)
}

pub(super) fn world_of(header: Header, objects: &[Value]) -> World {
    let mut world = World::new(NOW.parse().unwrap());
    world.take(Line { t: Moment(0), seen: Seen::Header(header) });
    for json in objects {
        let text = |field: &str| json[field].as_str().unwrap_or_else(|| panic!("{json}"));
        let kind = Kind::of(text("apiVersion"), text("kind")).unwrap_or_else(|| panic!("{json}"));
        let object = Object::from_value(kind, json).unwrap();
        world.take(Line { t: Moment(0), seen: Seen::Event { change: Change::Added, object, initial: true } });
    }
    world
}

pub(super) fn found(objects: &[Value]) -> Vec<Finding> {
    findings(&world(objects), &HealthSettings::default())
}

/// `severity check Kind/namespace/name reason`, one finding each.
pub(super) fn told(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| {
            let subject = super::owner::title(&finding.subject);
            format!("{} {} {subject} {}", finding.severity.as_str(), finding.check, finding.reason)
        })
        .collect()
}

/// An object of a kind with a name (`namespace/name`), the age of its creation in minutes, and the rest.
pub(super) fn object(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let mut object = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "uid": name, "creationTimestamp": before(60)},
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    merge(&mut object, rest);
    object
}

/// A condition that changed so many minutes ago.
pub(super) fn condition(type_: &str, status: &str, reason: &str, minutes: i64) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": before(minutes)})
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

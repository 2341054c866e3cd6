//! Lines of the flight recorder as JSON: reading and writing.
//!
//! What a line says beside what is known is ignored, and so are lines that are not known: a recording outlives the
//! version that wrote it. An object of a kind that nobody looks at is such a line.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kind::Kind;
use super::line::{Change, Commit, CommitStatus, Header, Line, Merged, Moment, Probe, Seen};
use super::object::{Object, Reading};

/// Longest line that is read, in bytes: an object of the API server is at most 1.5 MiB, and JSON may double it.
pub const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// A line, apart from its object.
#[derive(Deserialize)]
struct Raw {
    t: Moment,
    header: Option<Header>,
    #[serde(rename = "type")]
    change: Option<String>,
    object: Option<TypeMeta>,
    #[serde(default)]
    initial: bool,
    commit: Option<Commit>,
    update: Option<Merged>,
    view: Option<String>,
    kinds: Option<Vec<String>>,
    probe: Option<Probe>,
    status: Option<CommitStatus>,
    config: Option<Value>,
    over: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TypeMeta {
    api_version: String,
    kind: String,
}

/// Reads a line.
///
/// # Errors
///
/// It is no JSON, has no time, or what is known of it has another type.
pub fn read(line: &[u8]) -> Result<Line<Object>, serde_json::Error> {
    let raw: Raw = serde_json::from_slice(line)?;
    let t = raw.t;
    let seen = if let Some(header) = raw.header {
        Seen::Header(header)
    } else if let Some(of) = raw.object {
        let change = match raw.change.as_deref() {
            Some("ADDED") => Some(Change::Added),
            Some("MODIFIED") => Some(Change::Modified),
            Some("DELETED") => Some(Change::Deleted),
            _ => None,
        };
        match (change, Kind::of(&of.api_version, &of.kind)) {
            (Some(change), Some(kind)) => {
                let mut deserializer = serde_json::Deserializer::from_slice(line);
                match deserializer.deserialize_map(OnlyObject(kind))? {
                    Some(object) => Seen::Event { change, object, initial: raw.initial },
                    None => Seen::Unknown,
                }
            }
            _ => Seen::Unknown,
        }
    } else if let Some(commit) = raw.commit {
        Seen::Commit(commit)
    } else if let Some(update) = raw.update {
        Seen::Update(update)
    } else if let Some(view) = raw.view {
        match view.as_str() {
            "lost" => Seen::View { back: false, kinds: raw.kinds },
            "back" => Seen::View { back: true, kinds: raw.kinds },
            _ => Seen::Unknown,
        }
    } else if let Some(probe) = raw.probe {
        Seen::Probe(probe)
    } else if let Some(status) = raw.status {
        Seen::Status(status)
    } else if let Some(config) = raw.config {
        Seen::Config(config)
    } else if let Some(update) = raw.over {
        Seen::Over(update)
    } else if let Some(note) = raw.note {
        Seen::Note(note)
    } else {
        Seen::Unknown
    };
    Ok(Line { t, seen })
}

struct OnlyObject(Kind);

impl<'de> Visitor<'de> for OnlyObject {
    type Value = Option<Object>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line with an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Object>, A::Error> {
        let mut object = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key == "object" {
                object = Some(map.next_value_seed(Reading(self.0))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// Writes a line, without its end.
///
/// # Errors
///
/// None that is known: everything in a line has a form in JSON.
pub fn write(line: &Line<Value>) -> Result<String, serde_json::Error> {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("t", value(&line.t)?);
    match &line.seen {
        Seen::Header(header) => put("header", value(header)?),
        Seen::Event { change, object, initial } => {
            put("type", value(change)?);
            if *initial {
                put("initial", Value::Bool(true));
            }
            put("object", object.clone())
        }
        Seen::Commit(commit) => put("commit", value(commit)?),
        Seen::Update(update) => put("update", value(update)?),
        Seen::View { back, kinds } => {
            put("view", Value::from(if *back { "back" } else { "lost" }));
            put("kinds", value(kinds)?)
        }
        Seen::Probe(probe) => put("probe", value(probe)?),
        Seen::Status(status) => put("status", value(status)?),
        Seen::Config(config) => put("config", config.clone()),
        Seen::Over(update) => put("over", Value::from(update.as_str())),
        Seen::Note(note) => put("note", Value::from(note.as_str())),
        Seen::Unknown => None,
    };
    serde_json::to_string(&map)
}

fn value(of: &impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settle::finding::{Category, Finding, Severity, Subject};
    use crate::domain::settle::memory::{Baseline, Remembered};
    use rstest::rstest;
    use serde_json::json;

    fn line(seen: Seen<Value>) -> Line<Value> {
        Line { t: Moment(1234), seen }
    }

    #[rstest]
    #[case::header(Seen::Header(Header { name: "n".into(), watching: vec!["Node".into()], ..Header::default() }))]
    #[case::commit(Seen::Commit(Commit { id: "a".into(), parents: vec!["b".into()], ..Commit::default() }))]
    #[case::update(Seen::Update(Merged { id: "u".into(), component: "k3s".into(), revert: Some("safe".into()), ..Merged::default() }))]
    #[case::update_with_what_is_remembered(Seen::Update(Merged { id: "u".into(), component: "k3s".into(), remembered: Some(remembered()), ..Merged::default() }))]
    #[case::what_became_of_pins(Seen::Commit(Commit {
        id: "a".into(), reverts: vec!["u".into()], replaces: vec!["v".into()], restores: vec!["w".into()], stops: vec!["x".into()],
        ..Commit::default()
    }))]
    #[case::over(Seen::Over("u".into()))]
    #[case::lost(Seen::View { back: false, kinds: None })]
    #[case::back(Seen::View { back: true, kinds: Some(vec!["Node".into()]) })]
    #[case::probe(Seen::Probe(Probe { name: "dns".into(), ok: Some(false), detail: "no answer".into() }))]
    #[case::status(Seen::Status(CommitStatus {
        sha: "a".into(), context: "kustomization/apps/1a2b3c4d".into(), state: "success".into(), description: String::new(),
    }))]
    #[case::note(Seen::Note("quiet".into()))]
    fn what_is_written_is_read_again(#[case] seen: Seen<Value>) {
        let written = write(&line(seen.clone())).unwrap();
        let again = read(written.as_bytes()).unwrap();
        assert_eq!(again.t, Moment(1234));
        // Objects apart, a line is the same with either kind of object.
        assert_eq!(format!("{:?}", again.seen), format!("{seen:?}"));
    }

    fn remembered() -> Box<Remembered> {
        let subject = Subject { kind: "Pod".into(), namespace: "apps".into(), name: "web".into() };
        let finding = Finding {
            check: "pods".into(),
            category: Category::Applications,
            subject,
            reason: "CrashLoopBackOff".into(),
            severity: Severity::Failing,
            message: "password=hunter2".into(),
        };
        let baseline = Baseline { findings: vec![finding], ..Baseline::default() };
        let remembered = Remembered {
            baseline: Some(baseline),
            node_touched: true,
            unwatched: 7,
            ..Remembered::default()
        };
        Box::new(remembered.recorded())
    }

    #[test]
    fn of_a_baseline_only_what_is_compared_is_written() {
        let update = Merged { id: "u".into(), remembered: Some(remembered()), ..Merged::default() };
        let written = write(&line(Seen::Update(update))).unwrap();
        assert!(written.contains("CrashLoopBackOff") && written.contains("failing"), "{written}");
        assert!(!written.contains("hunter2"), "{written}");
    }

    /// What is remembered is read strictly in the state; a recording outlives the version that wrote it.
    #[test]
    fn what_a_later_version_remembers_is_ignored() {
        let text = r#"{"t": 1, "update": {"id": "u", "component": "k3s", "remembered":
            {"later": 1, "node_touched": true, "baseline": {"later": {}, "taken_at": null, "findings": [], "cordoned": ["n"]}}}}"#;
        let Seen::Update(update) = read(text.as_bytes()).unwrap().seen else { panic!("no update") };
        let remembered = update.remembered.unwrap();
        assert!(remembered.node_touched);
        assert!(remembered.baseline.unwrap().cordoned.contains("n"));
    }

    #[test]
    fn an_object_is_read_as_it_is_kept() {
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": null},
            "status": {"nodeInfo": {"kubeletVersion": "v1.36.2+k3s1"}, "conditions": null}});
        let written =
            write(&line(Seen::Event { change: Change::Added, object: object.clone(), initial: true }))
                .unwrap();
        let Seen::Event { change, object: read, initial } = read(written.as_bytes()).unwrap().seen else {
            panic!("{written}")
        };
        assert_eq!((change, initial), (Change::Added, true));
        assert_eq!(read, Object::from_value(Kind::Node, &object).unwrap());
    }

    #[rstest]
    #[case::another_line(r#"{"t": 1, "later": {}}"#)]
    #[case::another_kind(
        r#"{"t": 1, "type": "ADDED", "object": {"apiVersion": "v1", "kind": "Lease", "metadata": 5}}"#
    )]
    #[case::another_change(r#"{"t": 1, "type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "Node"}}"#)]
    #[case::another_view(r#"{"t": 1, "view": "blurred"}"#)]
    fn what_is_not_known_is_ignored(#[case] text: &str) {
        assert_eq!(read(text.as_bytes()).unwrap(), Line { t: Moment(1000), seen: Seen::Unknown });
    }

    #[rstest]
    #[case::no_json("{")]
    #[case::no_time(r#"{"note": "x"}"#)]
    #[case::no_number(r#"{"t": "x"}"#)]
    #[case::endless(r#"{"t": 1e300}"#)]
    #[case::a_commit_without_id(r#"{"t": 1, "commit": {}}"#)]
    #[case::an_object_of_another_shape(
        r#"{"t": 1, "type": "ADDED", "object": {"apiVersion": "v1", "kind": "Node", "metadata": 5}}"#
    )]
    fn what_is_known_must_have_its_type(#[case] text: &str) {
        assert!(read(text.as_bytes()).is_err());
    }
}

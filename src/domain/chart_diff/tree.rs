//! YAML of charts as plain values, read by the bounded reader of manifests.

use serde_json::{Map, Number, Value};

use crate::domain::manifest::document::{Document, NodeId, Style};
use crate::domain::manifest::split;

/// Deepest nesting that is kept.
const MAX_DEPTH: usize = 64;

/// Every document of a text; what cannot be read is left out.
pub(super) fn documents(text: &str) -> Vec<Value> {
    split::documents(text)
        .into_iter()
        .filter_map(|chunk| Document::parse(text, chunk.range).ok())
        .filter_map(|document| Some(value(&document, document.root()?, 0)))
        .collect()
}

/// The first document of a text; `null` where there is none.
///
/// # Errors
///
/// What is no YAML; the message says where.
pub(super) fn first(text: &str) -> Result<Value, String> {
    let Some(chunk) = split::documents(text).into_iter().next() else { return Ok(Value::Null) };
    let document = Document::parse(text, chunk.range).map_err(|error| error.message)?;
    Ok(document.root().map_or(Value::Null, |root| value(&document, root, 0)))
}

fn value(document: &Document<'_>, id: NodeId, depth: usize) -> Value {
    if depth >= MAX_DEPTH {
        return Value::Null;
    }
    if document.is_mapping(id) {
        let mut map = Map::new();
        let mut merged = Vec::new();
        for (key, child) in document.children(id) {
            match key {
                Some("<<") if document.is_sequence(child) => {
                    merged.extend(document.children(child).map(|(_, source)| source));
                }
                Some("<<") => merged.push(child),
                Some(key) => {
                    map.insert(key.to_owned(), value(document, child, depth + 1));
                }
                None => {}
            }
        }
        for source in merged {
            if let Value::Object(inherited) = value(document, source, depth + 1) {
                for (key, value) in inherited {
                    map.entry(key).or_insert(value);
                }
            }
        }
        return Value::Object(map);
    }
    if document.is_sequence(id) {
        return Value::Array(
            document.children(id).map(|(_, child)| value(document, child, depth + 1)).collect(),
        );
    }
    match (document.scalar(id), document.style(id)) {
        (Some(text), Some(Style::Plain)) => plain(text),
        (Some(text), _) => Value::String(text.to_owned()),
        (None, _) => Value::Null,
    }
}

/// A plain scalar as YAML 1.2's core schema reads it, which is what matters to charts.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let number = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    let read = number.then(|| match text.parse::<i64>() {
        Ok(whole) => Some(Number::from(whole)),
        Err(_) => text.parse::<f64>().ok().and_then(Number::from_f64),
    });
    match read.flatten() {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}

/// The value at a path of keys.
pub(super) fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.as_object()?.get(key))
}

/// Word for the type of a value.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// What Helm makes of defaults and a user's values: maps are merged, `null` takes a key away.
pub(super) fn merged(defaults: &Value, own: &Value) -> Value {
    match (defaults, own) {
        (Value::Object(defaults), Value::Object(own)) => {
            let mut map = defaults.clone();
            for (key, value) in own {
                match (value, map.get(key)) {
                    (Value::Null, _) => {
                        map.shift_remove(key);
                    }
                    (value, Some(default)) => {
                        let both = merged(default, value);
                        map.insert(key.clone(), both);
                    }
                    (value, None) => {
                        map.insert(key.clone(), value.clone());
                    }
                }
            }
            Value::Object(map)
        }
        (_, own) => own.clone(),
    }
}

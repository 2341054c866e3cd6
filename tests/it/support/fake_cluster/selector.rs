//! Label and field selectors.

use serde_json::Value;

use super::answer::Answer;

/// What a list or a watch is limited to.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    /// Pointer, wanted value, whether it is to be equal.
    fields: Vec<(&'static str, String, bool)>,
}

#[derive(Debug, Clone)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    pub(super) fn read(labels: Option<&String>, fields: Option<&String>) -> Result<Self, Answer> {
        let mut selector = Self::default();
        for part in split(labels.map_or("", String::as_str)) {
            selector.labels.push(Requirement::read(part)?);
        }
        for part in fields.map_or("", String::as_str).split(',').filter(|part| !part.is_empty()) {
            let (name, value, equal) = match part.split_once("!=") {
                Some((name, value)) => (name, value, false),
                None => {
                    let (name, value) = part
                        .split_once('=')
                        .ok_or_else(|| Answer::bad_request(format!("invalid field selector: {part}")))?;
                    (name, value.trim_start_matches('='), true)
                }
            };
            let pointer = match name {
                "metadata.name" => "/metadata/name",
                "metadata.namespace" => "/metadata/namespace",
                "spec.nodeName" => "/spec/nodeName",
                "status.phase" => "/status/phase",
                "involvedObject.name" => "/involvedObject/name",
                "type" => "/type",
                _ => return Err(Answer::bad_request(format!("field label not supported: {name}"))),
            };
            selector.fields.push((pointer, value.to_owned(), equal));
        }
        Ok(selector)
    }

    pub(super) fn fits(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.fits(labels))
            && self.fields.iter().all(|(pointer, value, equal)| {
                let found = object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                (found == value) == *equal
            })
    }
}

/// At commas outside of brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

impl Requirement {
    fn read(part: &str) -> Result<Self, Answer> {
        let of = |name: &str, value: &str| (name.trim().to_owned(), vec![value.trim().to_owned()]);
        if let Some((name, value)) = part.split_once("!=") {
            let (name, values) = of(name, value);
            return Ok(Self::NotIn(name, values));
        }
        if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            let (name, values) = of(name, value);
            return Ok(Self::In(name, values));
        }
        if let Some((head, values)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            return match head.split_whitespace().collect::<Vec<_>>()[..] {
                [name, "in"] => Ok(Self::In(name.to_owned(), values)),
                [name, "notin"] => Ok(Self::NotIn(name.to_owned(), values)),
                _ => Err(Answer::bad_request(format!("unable to parse requirement: {part}"))),
            };
        }
        if part.contains(char::is_whitespace) {
            return Err(Answer::bad_request(format!("unable to parse requirement: {part}")));
        }
        Ok(match part.strip_prefix('!') {
            Some(name) => Self::Absent(name.to_owned()),
            None => Self::Exists(part.to_owned()),
        })
    }

    fn fits(&self, labels: &Value) -> bool {
        let value = |name: &str| labels.get(name).and_then(Value::as_str);
        match self {
            Self::In(name, values) => {
                value(name).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }
            Self::NotIn(name, values) => {
                value(name).is_none_or(|value| values.iter().all(|wanted| wanted != value))
            }
            Self::Exists(name) => value(name).is_some(),
            Self::Absent(name) => value(name).is_none(),
        }
    }
}

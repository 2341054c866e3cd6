//! A request as GitHub reads it: path, query, and a body whose fields have types.

use axum::extract::Request;
use axum::http::HeaderMap;
use serde_json::Value;
use url::Url;

use super::Recorded;
use super::answer::Answer;

/// A request.
pub(super) struct Asked {
    pub(super) method: String,
    /// Elements of the path, decoded; the base of an Enterprise host is taken off.
    pub(super) path: Vec<String>,
    raw_path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What a field of a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    Texts,
    /// Anything; looked at elsewhere.
    Any,
}

impl Asked {
    pub(super) async fn read(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap().to_vec();
        let full = parts.uri.path().to_owned();
        let raw_path = full.strip_prefix("/api/v3").or(full.strip_prefix("/api")).unwrap_or(&full).to_owned();
        let decode = |text: &str| percent_decoded(text);
        let url = Url::parse("http://localhost").unwrap().join(&parts.uri.to_string()).unwrap();
        Self {
            method: parts.method.to_string(),
            path: raw_path.split('/').skip(1).map(decode).collect(),
            raw_path,
            query: url.query_pairs().into_owned().collect(),
            headers: parts.headers,
            body,
        }
    }

    pub(super) fn recorded(&self) -> Recorded {
        Recorded {
            method: self.method.clone(),
            path: self.raw_path.clone(),
            query: self.query.clone(),
            body: serde_json::from_slice(&self.body).ok(),
            headers: self.headers.clone(),
            status: 0,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body: an object with these fields and no others, those with `true` required.
    pub(super) fn body(&self, fields: &[(&str, Kind, bool)]) -> Result<Value, Answer> {
        if !self.body.is_empty() && !self.header("content-type").unwrap_or_default().contains("json") {
            return Err(Answer::refuse(415, "Unsupported Media Type"));
        }
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|_| Answer::refuse(400, "Problems parsing JSON"))?;
        let Some(object) = value.as_object() else {
            return Err(Answer::refuse(400, "Body should be a JSON object"));
        };
        for (name, found) in object {
            let Some((_, kind, _)) = fields.iter().find(|(known, ..)| known == name) else {
                return Err(Answer::refuse(
                    422,
                    &format!("Invalid request.\n\n\"{name}\" is not a permitted key."),
                ));
            };
            let (fits, what) = match kind {
                Kind::Text => (found.is_string(), "a string"),
                Kind::Flag => (found.is_boolean(), "a boolean"),
                Kind::Texts => {
                    (found.as_array().is_some_and(|list| list.iter().all(Value::is_string)), "an array")
                }
                Kind::Any => (true, "anything"),
            };
            if !fits {
                let text = format!("Invalid request.\n\nFor 'properties/{name}', {found} is not {what}.");
                return Err(Answer::refuse(422, &text));
            }
        }
        if let Some((name, ..)) =
            fields.iter().find(|(name, _, required)| *required && !object.contains_key(*name))
        {
            return Err(Answer::refuse(422, &format!("Invalid request.\n\n\"{name}\" wasn't supplied.")));
        }
        Ok(value)
    }

    /// A write without body.
    pub(super) fn no_body(&self) -> Result<(), Answer> {
        if self.body.is_empty() { Ok(()) } else { Err(Answer::refuse(422, "Invalid request.")) }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

//! The generic webhook: JSON for programs, signed where there is a key.

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;

use super::Message;
use super::text::{line, outline};
use crate::app::notify::{Event, Subject};

/// Version of the shape.
const SCHEMA: &str = "gitops-updater/notification/v1";
/// Most characters of one text.
const TEXT: usize = 600;

#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    /// The same where the same is sent again.
    id: &'a str,
    repository: &'a str,
    severity: &'static str,
    title: String,
    text: String,
    events: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a str,
    kind: &'static str,
    severity: &'static str,
    at: jiff::Timestamp,
    escalated: bool,
    subject: Option<&'a Subject>,
    summary: String,
    details: Vec<String>,
    steps: Vec<String>,
    link: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn of(event: &'a Event) -> Self {
        let clean = |lines: &[String]| lines.iter().map(|text| line(text, TEXT)).collect();
        Self {
            key: &event.key,
            kind: event.kind.as_str(),
            severity: event.severity.as_str(),
            at: event.at,
            escalated: event.escalated,
            subject: event.subject.as_ref(),
            summary: line(&event.summary, TEXT),
            details: clean(&event.details),
            steps: clean(&event.steps),
            link: event.link.as_deref(),
        }
    }
}

/// The body of the request.
pub(super) fn body(message: Message<'_>) -> Vec<u8> {
    let outline = outline(message);
    let text: Vec<String> = outline.parts.iter().map(|part| line(&part.plain(), TEXT)).collect();
    let body = Body {
        schema: SCHEMA,
        id: message.id,
        repository: message.repository,
        severity: outline.severity.as_str(),
        title: line(&outline.title, TEXT),
        text: text.join("\n"),
        events: message.events.iter().map(|event| Entry::of(event)).collect(),
    };
    // Plain data with text keys is always JSON.
    serde_json::to_value(&body).unwrap_or(Value::Null).to_string().into_bytes()
}

/// The signature over the body.
pub(super) fn headers(body: &[u8], secret: Option<&SecretString>) -> Vec<(&'static str, String)> {
    let Some(secret) = secret else { return vec![] };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let digest: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    vec![("x-gitops-updater-signature", format!("sha256={digest}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn signature_is_hmac_sha256_of_the_body() {
        let secret = SecretString::from("Jefe");
        let headers = headers(b"what do ya want for nothing?", Some(&secret));
        assert_eq!(headers[0].1, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(super::headers(b"x", None), []);
    }
}

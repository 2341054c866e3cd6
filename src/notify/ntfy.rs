//! A topic of ntfy, published as JSON to the root of its server.

use serde_json::json;
use url::Url;

use super::Message;
use super::text::{defused, lines, outline};
use crate::app::notify::Severity;

/// ntfy makes an attachment of messages over 4,096 bytes; a character has at most four.
const TEXT_LIMIT: usize = 1000;
const TITLE_LIMIT: usize = 150;

/// The server, and the topic that the address names.
pub(super) fn server_and_topic(url: &Url) -> (Url, String) {
    let mut server = url.clone();
    let topic = url
        .path_segments()
        .and_then(|parts| parts.rev().find(|part| !part.is_empty()).map(str::to_owned))
        .unwrap_or_default();
    if let Ok(mut parts) = server.path_segments_mut() {
        parts.pop_if_empty();
        parts.pop();
    }
    if server.path().is_empty() {
        server.set_path("/");
    }
    server.set_query(None);
    (server, topic)
}

/// The body of the request. Without `markdown` it is plain text.
pub(super) fn body(message: Message<'_>, topic: &str) -> Vec<u8> {
    let outline = outline(message);
    let (priority, tag) = match outline.severity {
        Severity::Critical => (5, "rotating_light"),
        Severity::Warning => (4, "warning"),
        Severity::Regular => (3, "package"),
    };
    let mut body = json!({
        "topic": topic,
        "title": defused(&outline.title, TITLE_LIMIT),
        "message": lines(&outline.parts, TEXT_LIMIT, |part, text| {
            let plain = part.plain();
            plain.replace(part.text(), &text)
        }),
        "priority": priority,
        "tags": [tag],
    });
    if let Some(link) = outline.link {
        body["click"] = link.into();
    }
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_part_of_the_path_is_the_topic() {
        for (url, server, topic) in [
            ("https://ntfy.sh/ops", "https://ntfy.sh/", "ops"),
            ("https://ntfy.sh/ops/", "https://ntfy.sh/", "ops"),
            ("https://example.com/ntfy/ops", "https://example.com/ntfy", "ops"),
        ] {
            let (found, name) = server_and_topic(&Url::parse(url).unwrap());
            assert_eq!((found.as_str(), name.as_str()), (server, topic));
        }
    }
}

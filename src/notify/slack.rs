//! An incoming webhook of Slack. Mattermost and Rocket.Chat take the same form (`text` and `attachments`).

use serde_json::json;

use super::Message;
use super::text::{Part, color, defused, lines, outline};

/// Slack cuts attachments that are longer (documentation of `attachments`: "keep it short"; a message has at most
/// 40,000 characters).
const TEXT_LIMIT: usize = 3000;
const TITLE_LIMIT: usize = 150;

/// The body of the request.
pub(super) fn body(message: Message<'_>) -> Vec<u8> {
    let outline = outline(message);
    let text = lines(&outline.parts, TEXT_LIMIT, |part, text| match part {
        Part::Text(_) => escaped(&text),
        Part::Heading(_) => format!("{}:", escaped(&text)),
        Part::Item(_) => format!("• {}", escaped(&text)),
    });
    let title = escaped(&defused(&outline.title, TITLE_LIMIT));
    let mut attachment = json!({
        "color": format!("#{:06x}", color(outline.severity)),
        "fallback": title,
        "title": title,
        "text": text,
        // Nothing in it is markup.
        "mrkdwn_in": [],
    });
    if let Some(link) = outline.link {
        attachment["title_link"] = link.into();
    }
    let body = json!({
        "text": format!("[{}] {title}", outline.severity),
        "mrkdwn": false,
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "attachments": [attachment],
    });
    body.to_string().into_bytes()
}

/// The three characters that Slack wants escaped ("Formatting text for app surfaces").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

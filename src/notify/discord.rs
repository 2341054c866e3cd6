//! A webhook of Discord.

use serde_json::json;

use super::Message;
use super::text::{Part, color, defused, lines, outline};

/// Limits of an embed (Discord, "Embed limits"); escapes count, so there is room for them.
const TITLE_LIMIT: usize = 120;
const TEXT_LIMIT: usize = 4000;

/// The body of the request.
pub(super) fn body(message: Message<'_>) -> Vec<u8> {
    let outline = outline(message);
    let text = lines(&outline.parts, TEXT_LIMIT, |part, text| match part {
        Part::Text(_) => escaped(&text),
        Part::Heading(_) => format!("**{}**", escaped(&text)),
        Part::Item(_) => format!("- {}", escaped(&text)),
    });
    let title = defused(&outline.title, TITLE_LIMIT);
    let mut embed = json!({
        "title": escaped(&title),
        "description": text,
        "color": color(outline.severity),
    });
    if let Some(link) = outline.link {
        embed["url"] = link.into();
    }
    let body = json!({
        "content": format!("{}: {}", outline.severity, escaped(&title)),
        "embeds": [embed],
        // Whatever stands in the text, nobody is called.
        "allowed_mentions": {"parse": []},
    });
    body.to_string().into_bytes()
}

/// Every mark of Discord's Markdown, escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(
            letter,
            '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '[' | ']' | '(' | ')' | '#' | '-' | '<'
        ) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

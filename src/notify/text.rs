//! Texts of strangers for people's channels: they say what they said, and do nothing.
//!
//! A channel turns names into mentions, addresses into links and marks into formats. So before a channel's own marks
//! are escaped, everything that nobody sees is left out, lines become spaces, and a zero-width space breaks what would
//! be taken for a mention, a link or an address.

use super::Message;
use crate::app::notify::{Event, Severity};
use crate::domain::notes::is_unprintable;

/// Breaks what stands around it.
const BREAK: char = '\u{200b}';
/// Most events that are listed in one message.
const MOST_LISTED: usize = 20;
/// Most characters of one line.
const LINE: usize = 400;

/// `text` as one line of at most `limit` characters, without what nobody sees.
pub(super) fn line(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    let mut space = false;
    for letter in text.chars().take(limit.saturating_mul(4)) {
        if letter.is_whitespace() {
            space = !out.is_empty();
            continue;
        }
        if is_unprintable(letter) || letter == BREAK {
            continue;
        }
        let needed = 1 + usize::from(space);
        if length + needed > limit {
            while length >= limit && out.pop().is_some() {
                length -= 1;
            }
            out.push('…');
            return out;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        out.push(letter);
        length += needed;
    }
    out
}

/// As [`line()`], with mentions, links and addresses broken.
pub(super) fn defused(text: &str, limit: usize) -> String {
    let plain = line(text, limit);
    let mut out = String::with_capacity(plain.len());
    let mut letters = plain.chars().peekable();
    while let Some(letter) = letters.next() {
        out.push(letter);
        let breaks = match (letter, letters.peek()) {
            // @here, @everyone, <@U123>, <!channel>, <#C123>, <https://…>, #channel, :emoji:, ://
            ('@' | '<' | '#', Some(_)) => true,
            (':', Some('/')) => true,
            // [text](link), ![image](link), [text][link]
            (']', Some('(' | '[')) => true,
            // www.example.com
            ('w' | 'W', Some('.')) => true,
            _ => false,
        };
        if breaks {
            out.push(BREAK);
        }
    }
    out
}

/// What a message says, in parts, without any markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) severity: Severity,
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
    /// A plain web address.
    pub(super) link: Option<String>,
}

/// A line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Heading(String),
    Item(String),
}

impl Part {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Heading(text) | Self::Item(text) => text,
        }
    }

    /// As it stands in plain text.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Heading(text) => format!("{text}:"),
            Self::Item(text) => format!("- {text}"),
        }
    }
}

/// What the message says.
pub(super) fn outline(message: Message<'_>) -> Outline {
    let severity = message.events.iter().map(|event| event.severity).max().unwrap_or(Severity::Regular);
    let about = (!message.repository.is_empty()).then(|| Part::Text(message.repository.to_owned()));
    match message.events {
        [event] => Outline {
            severity,
            title: event.title(),
            parts: parts(event).into_iter().chain(about).collect(),
            link: event.link.clone(),
        },
        events => {
            let mut parts: Vec<Part> = events
                .iter()
                .take(MOST_LISTED)
                .map(|event| Part::Item(format!("{}: {}", event.kind.title(), event.summary)))
                .collect();
            if events.len() > MOST_LISTED {
                parts.push(Part::Text(format!("and {} more", events.len() - MOST_LISTED)));
            }
            parts.extend(about);
            Outline { severity, title: format!("{} events", events.len()), parts, link: None }
        }
    }
}

fn parts(event: &Event) -> Vec<Part> {
    let mut parts = vec![Part::Text(event.summary.clone())];
    parts.extend(event.details.iter().map(|detail| Part::Item(detail.clone())));
    if !event.steps.is_empty() {
        parts.push(Part::Heading("What to do".to_owned()));
        parts.extend(event.steps.iter().map(|step| Part::Item(step.clone())));
    }
    parts
}

/// The parts as lines of at most `limit` characters together, each written by `write` from a defused text; what does
/// not fit is said to be left out.
pub(super) fn lines(parts: &[Part], limit: usize, write: impl Fn(&Part, String) -> String) -> String {
    const CUT: &str = "…";
    let mut out = String::new();
    let mut length = 0;
    for part in parts {
        let written = write(part, defused(part.text(), LINE));
        let needed = written.chars().count() + 1;
        // Room for saying that something is missing.
        if length + needed + CUT.chars().count() > limit {
            out.push_str(CUT);
            return out;
        }
        out.push_str(&written);
        out.push('\n');
        length += needed;
    }
    out.truncate(out.trim_end().len());
    out
}

/// The colour of a severity, as `#rrggbb`.
pub(super) fn color(severity: Severity) -> u32 {
    match severity {
        Severity::Critical => 0x00c6_2828,
        Severity::Warning => 0x00f9_a825,
        Severity::Regular => 0x002e_7d32,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mentions_links_and_addresses_are_broken() {
        for (text, expected) in [
            ("see @everyone", "see @\u{200b}everyone"),
            ("<!channel> <@U1>", "<\u{200b}!channel> <\u{200b}@\u{200b}U1>"),
            ("[click](https://evil.example)", "[click]\u{200b}(https:\u{200b}//evil.example)"),
            ("www.evil.example", "www\u{200b}.evil.example"),
            ("plain 1.2.3 -> 1.2.4", "plain 1.2.3 -> 1.2.4"),
            ("a\u{202e}b\u{1b}[31m\nc", "ab[31m c"),
        ] {
            assert_eq!(defused(text, 100), expected, "{text}");
        }
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        assert_eq!(line("üüüüü", 3), "üü…");
        assert_eq!(line("abc", 3), "abc");
        assert_eq!(line("  a   b  ", 10), "a b");
    }

    #[test]
    fn what_does_not_fit_is_said_to_be_left_out() {
        let parts: Vec<Part> = (0..100).map(|number| Part::Item(format!("line {number}"))).collect();
        let text = lines(&parts, 50, |part, _| part.plain());
        assert!(text.ends_with('…') && text.chars().count() <= 50, "{text}");
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_allowed_or_holds_a_line_break(text in "\\PC{0,80}|[\\n\\r @<#:/w.\\]()]{0,80}", limit in 1_usize..60) {
            let plain = line(&text, limit);
            prop_assert!(plain.chars().count() <= limit, "{plain:?}");
            prop_assert!(!plain.contains(['\n', '\r', '\t']));
            let defused = defused(&text, limit);
            for active in ["://", "](", "<@", "<!", "<#", "@h", "@e", "@c"] {
                prop_assert!(!defused.contains(active), "{defused:?}");
            }
        }
    }
}

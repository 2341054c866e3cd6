//! What release notes say about security and breaking changes.
//!
//! Notes are untrusted text of any shape: every function here is linear in its input, returns a
//! bounded amount of plain text, and never markup, links or mentions.

use std::collections::BTreeSet;

mod plain;

pub(crate) use plain::is_unprintable;
use plain::plain;

/// Most identifiers that [`advisories`] returns.
pub const MAX_ADVISORIES: usize = 100;
/// Most items that [`breaking`] returns.
pub const MAX_BREAKING: usize = 20;
/// Longest item that [`breaking`] returns, in characters.
pub const MAX_ITEM: usize = 200;

/// Bytes of notes that are looked at; GitHub's own limit for a release body is far below.
const MAX_NOTES: usize = 1 << 20;
/// Bytes of one line that are looked at.
const MAX_LINE: usize = 4096;
/// The alphabet of GitHub's advisory identifiers, from GitHub's documentation of the GHSA format.
const GHSA_ALPHABET: &[u8] = b"23456789cfghjmpqrvwx";

/// The CVE and GHSA identifiers in `text`, in canonical spelling (`CVE-2024-1234`,
/// `GHSA-xxxx-xxxx-xxxx` with a lower-case tail), at most [`MAX_ADVISORIES`].
pub fn advisories(text: &str) -> BTreeSet<String> {
    let bytes = head(text, MAX_NOTES).as_bytes();
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < bytes.len() && found.len() < MAX_ADVISORIES {
        let starts_word = at == 0 || !is_word(bytes[at - 1]);
        match starts_word.then(|| advisory_at(&bytes[at..])).flatten() {
            Some((id, length)) => {
                found.insert(id);
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// Whether `id` is exactly one advisory identifier in canonical spelling.
pub fn is_advisory(id: &str) -> bool {
    matches!(advisory_at(id.as_bytes()), Some((canonical, _)) if canonical == id)
}

/// The identifier at the start of `bytes` and its length.
fn advisory_at(bytes: &[u8]) -> Option<(String, usize)> {
    let prefix = |word: &[u8]| bytes.len() > word.len() && bytes[..word.len()].eq_ignore_ascii_case(word);
    if prefix(b"CVE-") {
        let rest = &bytes[4..];
        let year = rest.get(..4).filter(|year| year.iter().all(u8::is_ascii_digit))?;
        if !(year.starts_with(b"19") || year.starts_with(b"20")) || rest.get(4) != Some(&b'-') {
            return None;
        }
        let number = rest[5..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        // The CVE programme allows four digits or more; nineteen are the most its schema takes.
        if !(4..=19).contains(&number) {
            return None;
        }
        let length = 9 + number;
        ends_word(bytes, length).then(|| (ascii(&bytes[..length]).to_ascii_uppercase(), length))
    } else if prefix(b"GHSA-") {
        let tail = bytes.get(5..19)?;
        let well_formed = tail.iter().enumerate().all(|(place, byte)| match place {
            4 | 9 => *byte == b'-',
            _ => GHSA_ALPHABET.contains(&byte.to_ascii_lowercase()),
        });
        (well_formed && ends_word(bytes, 19))
            .then(|| (format!("GHSA-{}", ascii(tail).to_ascii_lowercase()), 19))
    } else {
        None
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn ends_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|byte| !is_word(*byte))
}

fn ascii(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// At most `limit` bytes of `text`, cut at a character.
fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// How much a heading promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// The heading says "breaking": its paragraphs count where it has no list.
    Breaking,
    /// Removals and important notes: only list items and sub-headings count, and no deprecations.
    Likely,
}

/// The breaking changes that `text` announces under a heading (`## Breaking changes`,
/// `### Urgent Upgrade Notes`, `## Removal`, …) or by a conventional marker (`BREAKING CHANGE:`,
/// `feat!:`), as plain text; at most [`MAX_BREAKING`] items of at most [`MAX_ITEM`] characters.
///
/// Headings were read off the notes of k3s, Longhorn, Kubernetes, Flux and charts that follow
/// Conventional Commits or Keep a Changelog.
pub fn breaking(text: &str) -> Vec<String> {
    let mut reader = Reader::default();
    for line in head(text, MAX_NOTES).split(['\n', '\r']) {
        if reader.items.len() >= MAX_BREAKING {
            break;
        }
        reader.line(head(line, MAX_LINE));
    }
    reader.close();
    reader.items
}

#[derive(Default)]
struct Reader {
    items: Vec<String>,
    seen: BTreeSet<String>,
    in_fence: bool,
    in_comment: bool,
    section: Option<Section>,
}

struct Section {
    level: usize,
    promise: Promise,
    /// The sub-heading whose first sentence is still to come.
    subheading: Option<String>,
    /// A sub-heading was met: its lists are instructions, not changes.
    below_subheading: bool,
    /// An item was taken from this section.
    fruitful: bool,
    /// The first paragraph, in case there is nothing else.
    paragraph: Option<String>,
}

impl Reader {
    fn line(&mut self, raw: &str) {
        let Some(line) = self.outside_comment(raw) else { return };
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            self.in_fence = !self.in_fence;
            return;
        }
        if self.in_fence || trimmed.is_empty() {
            return;
        }
        if let Some((level, title)) = heading(trimmed) {
            self.heading(level, title);
        } else if let Some(after) = marker(trimmed) {
            self.push(after);
        } else if let Some(section) = &mut self.section {
            let indent = line.len() - line.trim_start().len();
            match bullet(trimmed) {
                Some(item) => {
                    if let Some(name) = section.subheading.take() {
                        self.push(&format!("{name}: {}", sentence(item)));
                    } else if indent < 2
                        && !section.below_subheading
                        && (section.promise == Promise::Breaking || !is_deprecation(item))
                    {
                        self.push(item);
                    }
                }
                None => {
                    if let Some(name) = section.subheading.take() {
                        self.push(&format!("{name}: {}", sentence(trimmed)));
                    } else if section.paragraph.is_none() {
                        section.paragraph = Some(sentence(trimmed).to_owned());
                    }
                }
            }
        }
    }

    /// The line without HTML comments, or nothing while inside one.
    fn outside_comment<'l>(&mut self, line: &'l str) -> Option<&'l str> {
        if self.in_comment {
            let end = line.find("-->")?;
            self.in_comment = false;
            return Some(&line[end + 3..]);
        }
        // Only at the start of a line does a comment hide others (CommonMark, HTML blocks); one that
        // ends on its line is dropped as a tag by `plain`.
        if line.trim_start().starts_with("<!--") && !line.contains("-->") {
            self.in_comment = true;
            return None;
        }
        Some(line)
    }

    fn heading(&mut self, level: usize, title: &str) {
        if let Some(section) = &mut self.section
            && level > section.level
            && promise(title).is_none()
        {
            section.paragraph = None;
            section.below_subheading = true;
            let unfinished = section.subheading.take();
            let counts = section.promise == Promise::Breaking || !is_deprecation(title);
            section.subheading = counts.then(|| title.trim_end_matches('#').trim().to_owned());
            if let Some(name) = unfinished {
                self.push(&name);
            }
            return;
        }
        self.close();
        self.section = promise(title).map(|promise| Section {
            level,
            promise,
            // "Breaking Change in V2 Backing Image" names the change itself.
            subheading: names_a_change(title).then(|| title.to_owned()),
            below_subheading: names_a_change(title),
            fruitful: false,
            paragraph: None,
        });
    }

    fn close(&mut self) {
        let Some(section) = self.section.take() else { return };
        if let Some(name) = section.subheading {
            self.push(&name);
        } else if let (Promise::Breaking, false, Some(paragraph)) =
            (section.promise, section.fruitful, section.paragraph)
        {
            self.push(&paragraph);
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(section) = &mut self.section {
            section.fruitful = true;
        }
        let item = plain(text, MAX_ITEM);
        if says_nothing(&item) || self.items.len() >= MAX_BREAKING {
            return;
        }
        if self.seen.insert(item.to_lowercase()) {
            self.items.push(item);
        }
    }
}

/// An ATX heading, or a line that is bold or marked with a warning sign as a whole; the latter rank
/// below every real heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    if (1..=6).contains(&level) {
        let title = &line[level..];
        return title.starts_with([' ', '\t']).then(|| (level, title.trim()));
    }
    for fence in ["**", "__"] {
        if let Some(inner) =
            line.trim_end_matches(':').strip_prefix(fence).and_then(|rest| rest.strip_suffix(fence))
            && !inner.contains(fence)
        {
            return Some((7, inner.trim()));
        }
    }
    let unsigned = without_sign(line);
    (unsigned.len() < line.len() && promise(unsigned).is_some() && unsigned.len() < 60)
        .then_some((7, unsigned))
}

/// `line` without leading warning signs and emoji short codes.
fn without_sign(line: &str) -> &str {
    let mut rest = line.trim_start();
    loop {
        let before = rest.len();
        for sign in ["⚠", "\u{fe0f}", "❗", "‼", "🚨", "💥", "🛑", ":warning:", ":boom:", ":rotating_light:"]
        {
            rest = rest.strip_prefix(sign).unwrap_or(rest).trim_start();
        }
        if rest.len() == before {
            return rest;
        }
    }
}

/// What a heading promises, if anything.
fn promise(title: &str) -> Option<Promise> {
    let title = without_sign(title).trim_matches(['*', '_', ':', ' ']).to_lowercase();
    let negated = title.starts_with("no ") || title.starts_with("non-") || title.contains("non-breaking");
    if negated {
        return None;
    }
    let starts = |words: &[&str]| words.iter().any(|word| title.starts_with(word));
    let has = |words: &[&str]| words.iter().any(|word| title.contains(word));
    if starts(&["breaking"])
        || has(&[
            "breaking change",
            "urgent upgrade note",
            "upgrade warning",
            "action required",
            "backwards incompatib",
            "backward incompatib",
            "backwards-incompatib",
        ])
    {
        Some(Promise::Breaking)
    } else if has(&["incompatib", "important upgrade", "important note"])
        || matches!(title.as_str(), "removal" | "removals" | "removed" | "important")
    {
        Some(Promise::Likely)
    } else {
        None
    }
}

/// Whether a heading says what breaks, beyond that something does.
fn names_a_change(title: &str) -> bool {
    let title = title.to_lowercase();
    ["breaking change in ", "breaking change: ", "breaking: "].iter().any(|start| title.starts_with(start))
        || title.ends_with(" upgrade warning")
}

/// The text after a marker of Conventional Commits in a line of its own or in a list.
fn marker(line: &str) -> Option<&str> {
    let item = bullet(line).unwrap_or(line);
    let bare = without_sign(item).trim_start_matches(['*', '_', '[', '`']);
    let lower_is = |word: &str| bare.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    for word in ["BREAKING CHANGES", "BREAKING CHANGE", "BREAKING-CHANGE", "BREAKING"] {
        if lower_is(word) {
            let rest = bare[word.len()..].trim_start_matches(['*', '_', ']', '`']);
            let after = rest
                .strip_prefix(':')
                .or_else(|| (bullet(line).is_some() && rest.len() > 3).then_some(rest))?;
            // "**BREAKING**: text", "[breaking] text"; a bare "BREAKING CHANGES:" is a heading.
            let after = after.trim_start_matches(['*', '_', ' ']).trim();
            return (!after.is_empty()).then_some(after);
        }
    }
    // `feat!: …`, `refactor(api)!: …`, also in bold
    let head = head(item, 60);
    let colon = head.find("!: ").or_else(|| head.find("!:** "))?;
    let kind = item[..colon].trim_start_matches('*');
    let (word, scope) = kind.split_once('(').unwrap_or((kind, ")"));
    let is_kind = (2..=12).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_lowercase())
        && scope.ends_with(')');
    is_kind.then(|| item[colon + 2..].trim_start_matches(['*', ' ']))
}

/// The text of a list item.
fn bullet(line: &str) -> Option<&str> {
    let rest = match line.as_bytes() {
        [b'-' | b'*' | b'+', b' ' | b'\t', ..] => &line[2..],
        [digit, ..] if digit.is_ascii_digit() => {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            line[digits..].strip_prefix(". ").or_else(|| line[digits..].strip_prefix(") "))?
        }
        _ => line.strip_prefix("• ")?,
    };
    let rest = rest.trim();
    Some(rest.strip_prefix("[ ] ").or_else(|| rest.strip_prefix("[x] ")).unwrap_or(rest))
}

/// The first sentence of a paragraph's line.
fn sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

fn is_deprecation(text: &str) -> bool {
    let text = text.trim_start_matches(['*', '_', '`', ' ']);
    text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("deprecat"))
}

/// Whether an item says that there is nothing.
fn says_nothing(item: &str) -> bool {
    let lower = item.trim_end_matches(['.', '!', ' ']).to_lowercase();
    matches!(lower.as_str(), "" | "none" | "n/a" | "na" | "nothing" | "no" | "-" | "tbd")
        || ["no breaking", "no known breaking", "there are no ", "there is no ", "no incompatib", "none "]
            .iter()
            .any(|start| lower.starts_with(start))
        || lower.chars().filter(|letter| letter.is_alphanumeric()).count() < 3
}

#[cfg(test)]
mod tests;

//! Marks within a line of Markdown: code and links are written anew, the rest becomes words.

use std::collections::BTreeMap;

use url::Url;

use super::neutral::{BREAK, code};

/// Longest address that stays a link, in bytes.
const MAX_ADDRESS: usize = 500;
/// Fewest digits that GitHub takes for the id of a commit.
pub(super) const MIN_COMMIT: usize = 7;

/// One line of Markdown of strangers as one line of ours.
pub(super) fn inline(line: &str) -> String {
    Line { text: line, closing: brackets(line) }.write(0, line.len(), true)
}

struct Line<'a> {
    text: &'a str,
    /// For each `[`, by its byte, the byte of its `]`.
    closing: BTreeMap<usize, usize>,
}

/// Pairs of square brackets, in one pass.
fn brackets(line: &str) -> BTreeMap<usize, usize> {
    let mut open = Vec::new();
    let mut pairs = BTreeMap::new();
    let mut escaped = false;
    for (at, letter) in line.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => open.push(at),
            ']' => {
                if let Some(start) = open.pop() {
                    pairs.insert(start, at);
                }
            }
            _ => {}
        }
    }
    pairs
}

impl Line<'_> {
    /// The bytes from `start` to `end`; within the text of a link there are no links.
    fn write(&self, start: usize, end: usize, links: bool) -> String {
        let mut out = Words::default();
        let mut at = start;
        while at < end {
            let rest = &self.text[at..end];
            let Some(letter) = rest.chars().next() else { break };
            let taken = match letter {
                '`' => self.code(at, end, &mut out),
                '!' | '[' => self.link(at, end, links, &mut out),
                '<' => angle(rest, links, &mut out),
                'h' | 'H' if links && out.starts_word() => bare_address(rest, &mut out),
                '\\' => {
                    let next = rest[1..].chars().next().filter(char::is_ascii_punctuation);
                    out.word(next.unwrap_or('\\'));
                    1 + next.map_or(0, char::len_utf8)
                }
                '&' => entity(rest, &mut out),
                '*' => emphasis(rest, '*', &mut out),
                '_' => emphasis(rest, '_', &mut out),
                '~' if rest.starts_with("~~") => 2,
                _ => 0,
            };
            if taken == 0 {
                out.word(letter);
            }
            at += taken.max(if taken == 0 { letter.len_utf8() } else { 0 });
        }
        out.finish()
    }

    /// A code span: its end is a run of as many backticks.
    fn code(&self, at: usize, end: usize, out: &mut Words) -> usize {
        let rest = &self.text[at..end];
        let length = rest.bytes().take_while(|byte| *byte == b'`').count();
        let mut from = length;
        while let Some(next) = rest[from..].find('`').map(|next| from + next) {
            let run = rest[next..].bytes().take_while(|byte| *byte == b'`').count();
            if run == length {
                out.own(&code(&rest[length..next]));
                return next + run;
            }
            from = next + run;
        }
        for _ in 0..length {
            out.word('`');
        }
        length
    }

    /// An image, which is left out, or a link.
    fn link(&self, at: usize, end: usize, links: bool, out: &mut Words) -> usize {
        let image = self.text[at..end].starts_with("![");
        let open = at + usize::from(image);
        if !self.text[open..end].starts_with('[') {
            return 0;
        }
        let Some(close) = self.closing.get(&open).copied().filter(|close| *close < end) else { return 0 };
        let behind = &self.text[close + 1..end];
        let (target, length) = match behind.chars().next() {
            Some('(') => match behind.find(')') {
                Some(stop) => (Some(&behind[1..stop]), stop + 1),
                None => return 0,
            },
            Some('[') => match behind.find(']') {
                Some(stop) => (None, stop + 1),
                None => return 0,
            },
            _ if image => (None, 0),
            _ => return 0,
        };
        if !image {
            let words = self.write(open + 1, close, false);
            let address = target.and_then(|target| target.split_whitespace().next()).and_then(|target| {
                harmless(target.trim_start_matches('<').trim_end_matches('>')).filter(|_| links)
            });
            match address {
                Some(address) if !words.trim().is_empty() => {
                    out.own(&format!("[{}](<{address}>)", words.trim()));
                }
                _ => out.own(&words),
            }
        }
        close + 1 + length - at
    }
}

/// A tag is left out, an address in angles is an address, and any other angle is a sign.
fn angle(rest: &str, links: bool, out: &mut Words) -> usize {
    let Some(close) = rest[1..].find(['<', '>']).map(|at| at + 1).filter(|at| rest[*at..].starts_with('>'))
    else {
        return 0;
    };
    let inside = &rest[1..close];
    if inside.starts_with("http://") || inside.starts_with("https://") {
        out.own(&address(inside, links));
        return close + 1;
    }
    let name = inside.strip_prefix('/').unwrap_or(inside);
    let length = name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let is_tag = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name[length..].chars().next().is_none_or(|next| next.is_whitespace() || next == '/');
    if !is_tag && !inside.starts_with(['!', '?']) {
        return 0;
    }
    out.word(' ');
    close + 1
}

fn bare_address(rest: &str, out: &mut Words) -> usize {
    let lower = rest.get(..8).unwrap_or(rest).to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return 0;
    }
    let ends = |letter: char| letter.is_whitespace() || "<>\"'`|[]()*\\".contains(letter);
    let whole = &rest[..rest.find(ends).unwrap_or(rest.len())];
    let whole = whole.trim_end_matches(['.', ',', ';', ':', '!', '?', '_']);
    out.own(&address(whole, true));
    whole.len()
}

fn entity(rest: &str, out: &mut Words) -> usize {
    let known = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&#39;", '\''),
        ("&apos;", '\''),
        ("&nbsp;", ' '),
    ];
    match known.iter().find(|(name, _)| rest.starts_with(name)) {
        Some((name, letter)) => {
            out.word(*letter);
            name.len()
        }
        None => 0,
    }
}

/// Signs of emphasis are left out; a star between spaces and a line within a word are signs.
fn emphasis(rest: &str, sign: char, out: &mut Words) -> usize {
    let length = rest.chars().take_while(|letter| *letter == sign).count();
    let next = rest[length..].chars().next().unwrap_or(' ');
    let within = out.last.is_alphanumeric() && next.is_alphanumeric();
    let alone = out.last.is_whitespace() && next.is_whitespace();
    if (sign == '_' && within) || alone {
        for _ in 0..length {
            out.word(sign);
        }
    }
    length
}

/// The address of a page, as a link where it may be one.
pub(super) fn link(text: &str) -> String {
    address(text, true)
}

/// An address as a link, or in code where it is none, or one that GitHub would announce to others.
fn address(text: &str, links: bool) -> String {
    if let Some(number) = announced(text) {
        return code(&number);
    }
    match harmless(text) {
        Some(address) if links => format!("<{address}>"),
        _ => code(text),
    }
}

/// An address that may be a link.
fn harmless(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/?&=%._~+#-,;".contains(&byte);
    let written = url.as_str();
    let safe = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| host.contains('.'))
        && url.username().is_empty()
        && url.password().is_none()
        && written.len() <= MAX_ADDRESS
        && written.bytes().all(plain);
    (safe && announced(text).is_none()).then(|| written.to_owned())
}

/// The short name of an issue, pull request, discussion or commit at an address: GitHub tells the other end that it
/// was mentioned.
fn announced(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let segments: Vec<&str> = url.path_segments()?.collect();
    let place = segments.iter().position(|segment| {
        matches!(
            segment.to_ascii_lowercase().as_str(),
            "issues" | "issue" | "pull" | "pulls" | "discussions" | "commit" | "commits"
        )
    })?;
    let what = segments.get(place + 1).filter(|what| !what.is_empty())?;
    // On GitHub these stand behind owner and name, also on hosts of its Enterprise edition.
    if place < 2 && !host.ends_with("github.com") {
        return None;
    }
    let short: String = what.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let numeric = short.bytes().all(|byte| byte.is_ascii_digit());
    Some(if numeric { format!("#{short}") } else { short })
}

/// Words in the making.
struct Words {
    out: String,
    last: char,
    /// Hexadecimal digits that `out` ends in.
    hexadecimal: usize,
    /// It ends in a colon behind a digit.
    digit_before_colon: bool,
}

impl Default for Words {
    fn default() -> Self {
        Self { out: String::new(), last: ' ', hexadecimal: 0, digit_before_colon: false }
    }
}

impl Words {
    fn starts_word(&self) -> bool {
        !self.last.is_alphanumeric()
    }

    /// Markdown of our own.
    fn own(&mut self, text: &str) {
        // Two spans of code side by side would be one.
        if self.out.ends_with('`') && text.starts_with('`') {
            self.out.push(BREAK);
        }
        // Nor may words grow together to a name or number that neither was.
        if self.last.is_alphanumeric()
            && text.starts_with(|first: char| first.is_alphanumeric() || matches!(first, '-' | '.'))
        {
            self.out.push(BREAK);
        }
        self.out.push_str(text);
        self.last = text.chars().last().unwrap_or(self.last);
        self.hexadecimal = text.bytes().rev().take_while(u8::is_ascii_hexdigit).count().min(MIN_COMMIT - 1);
    }

    fn word(&mut self, letter: char) {
        let letter = if letter.is_whitespace() { ' ' } else { letter };
        if letter == ' ' && self.last == ' ' {
            return;
        }
        // A colon at the end of a word, or in a time of day, is only a colon.
        if self.last == ':'
            && self.out.ends_with(BREAK)
            && (letter == ' ' || (self.digit_before_colon && letter.is_ascii_digit()))
        {
            self.out.pop();
        }
        self.digit_before_colon = letter == ':' && self.last.is_ascii_digit();
        self.hexadecimal = if letter.is_ascii_hexdigit() { self.hexadecimal + 1 } else { 0 };
        if self.hexadecimal == MIN_COMMIT {
            self.out.push(BREAK);
            self.hexadecimal = 1;
        }
        match letter {
            '<' => self.out.push_str("&lt;"),
            '>' => self.out.push_str("&gt;"),
            '&' => self.out.push_str("&amp;"),
            '|' => self.out.push_str("&#124;"),
            // Mentions, numbers, emoji codes and schemes.
            '@' | '#' | ':' => {
                self.out.push(letter);
                self.out.push(BREAK);
            }
            '.' if self.ends_with("www") => self.out.extend([BREAK, '.']),
            '-' if self.ends_with("gh") => self.out.extend([BREAK, '-']),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '~' | '$' => {
                self.out.push('\\');
                self.out.push(letter);
            }
            other => self.out.push(other),
        }
        self.last = letter;
    }

    fn ends_with(&self, word: &str) -> bool {
        let start = self.out.len().checked_sub(word.len());
        start.and_then(|start| self.out.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
    }

    fn finish(self) -> String {
        self.out
    }
}

//! Reads the YAML that most manifests are written in, several times quicker than the parser does.
//!
//! That is: block mappings and sequences, flow collections and scalars on one line, block scalars, anchors,
//! aliases, comments. For such a document the nodes are those that the parser's events make, byte for byte;
//! anything else is left to the parser, and so is everything that may be an error. Nothing here guesses: a document of which one
//! line is in doubt is not read at all. Tests and a fuzz target hold both ways against each other.
//!
//! Sections and rules in comments are those of YAML 1.2.2.

mod flow;
mod scalar;

use std::borrow::Cow;
use std::ops::Range;

use super::build::Builder;
use super::{Document, Style, Value};

/// Deeper than manifests are nested; the parser has its own limit, which is higher.
const MAX_DEPTH: usize = 64;
/// More anchors than manifests have; each alias looks for its own among them.
const MAX_ANCHORS: usize = 64;
/// A key ends within 1,024 characters of its start (7.4.2, 8.2.2); no character is shorter than a byte.
const MAX_KEY: usize = 1_000;
/// What the parser reads a value as that is not written.
const NULL: &str = "~";

/// Reads the document that stands at `chunk` of `text`; `None` leaves it to the parser.
pub(super) fn read(text: &str, chunk: Range<usize>) -> Option<Document<'_>> {
    if !has_only_plain_characters(&text[chunk.clone()]) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.get(..chunk.end)?.as_bytes(),
        next: chunk.start,
        builder: Builder::new(text, chunk.clone()),
        levels: Vec::new(),
        missing: None,
        anchors: Vec::new(),
    };
    while let Some(line) = reader.next_line() {
        reader.line(&line)?;
    }
    reader.finish(chunk)
}

/// Whether only characters occur that neither break nor separate anything but by a line feed or spaces,
/// and that the parser lets pass in scalars and comments alike: tabs (5.5) and carriage returns (5.4) have
/// rules of their own, a byte-order mark (5.2) and what is not printable (5.1) are refused in most places.
fn has_only_plain_characters(body: &str) -> bool {
    // No branch in the loop, so that it compiles to vector instructions.
    let doubtful = body
        .bytes()
        .fold(false, |doubtful, byte| doubtful | ((byte < b' ') & (byte != b'\n')) | (byte == 0x7f));
    !doubtful
        && (body.is_ascii()
            // U+F000 and above within the plane hold the byte-order mark and the non-characters.
            || !body.chars().any(|c| matches!(c, '\u{80}'..='\u{9f}' | '\u{f000}'..='\u{ffff}')))
}

/// A line with something on it, the line feed excluded.
struct Line {
    /// Where the first character stands that is no space.
    start: usize,
    end: usize,
    /// Spaces before it.
    indent: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mapping,
    Sequence,
    /// A sequence that is the value of a key in the same column, which 8.2.3 allows.
    Indentless,
}

/// A collection that is still open.
struct Level {
    kind: Kind,
    indent: usize,
}

/// A key whose value was not met yet.
struct Missing<'text> {
    colon: usize,
    /// What the value is called (`key: &name`).
    anchor: Option<&'text str>,
}

/// A scalar on one line.
struct Scalar<'text> {
    value: Cow<'text, str>,
    style: Style,
    /// Quotes included.
    span: Range<usize>,
}

struct Reader<'text> {
    text: &'text str,
    /// The text up to the end of the document.
    bytes: &'text [u8],
    /// Where the next line starts.
    next: usize,
    builder: Builder<'text>,
    levels: Vec<Level>,
    /// The innermost level is its mapping.
    missing: Option<Missing<'text>>,
    /// Names of the anchors so far; their places are their ids.
    anchors: Vec<&'text str>,
}

impl<'text> Reader<'text> {
    /// The next line that is neither blank nor a comment: both may stand between any two lines, however
    /// they are indented (6.6, 6.7).
    fn next_line(&mut self) -> Option<Line> {
        while self.next < self.bytes.len() {
            let begin = self.next;
            let end = self.line_end(begin);
            let start = self.skip_spaces(begin);
            self.next = end + 1;
            if start < end && self.bytes[start] != b'#' {
                return Some(Line { start, end, indent: start - begin });
            }
        }
        None
    }

    fn line_end(&self, from: usize) -> usize {
        memchr::memchr(b'\n', &self.bytes[from..]).map_or(self.bytes.len(), |at| from + at)
    }

    fn skip_spaces(&self, mut at: usize) -> usize {
        while self.bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        at
    }

    fn line(&mut self, line: &Line) -> Option<()> {
        // Document markers (9.1.2) and directives (6.8) stand in the first column.
        if line.indent == 0 && self.is_marker(line) {
            return None;
        }
        let dash = self.is_dash(line.start, line.end);
        let kind = if dash { Kind::Sequence } else { Kind::Mapping };
        match (self.missing.take(), self.levels.last()) {
            (Some(missing), Some(level)) if line.indent > level.indent => {
                self.open(kind, line.indent, line.start, missing.anchor)?;
            }
            (Some(missing), Some(level)) if dash && line.indent == level.indent => {
                // The parser has it start behind the dash.
                let entry = self.skip_spaces(line.start + 1);
                self.open(Kind::Indentless, line.indent, entry, missing.anchor)?;
            }
            (Some(missing), Some(_)) => {
                self.add_missing(&missing)?;
                self.close_down_to(line.indent, dash)?;
            }
            (_, None) if self.builder.is_empty() => self.open(kind, line.indent, line.start, None)?,
            _ => self.close_down_to(line.indent, dash)?,
        }
        if dash { self.entries(line) } else { self.pair(line.start, line.end, None) }
    }

    fn is_marker(&self, line: &Line) -> bool {
        let bytes = &self.bytes[line.start..line.end];
        bytes.starts_with(b"---") || bytes.starts_with(b"...") || bytes.starts_with(b"%")
    }

    /// Whether an entry of a sequence starts here: a dash is one only before a space or the end of the
    /// line (8.2.1).
    fn is_dash(&self, at: usize, end: usize) -> bool {
        self.bytes[at] == b'-' && (at + 1 == end || self.bytes[at + 1] == b' ')
    }

    fn open(&mut self, kind: Kind, indent: usize, at: usize, anchor: Option<&'text str>) -> Option<()> {
        if self.levels.len() >= MAX_DEPTH {
            return None;
        }
        let anchor = self.anchor(anchor)?;
        let value = if kind == Kind::Mapping { Value::Mapping } else { Value::Sequence };
        self.builder.open(value, at..at, anchor);
        self.levels.push(Level { kind, indent });
        Some(())
    }

    fn add(&mut self, scalar: Scalar<'text>, anchor: Option<&'text str>) -> Option<()> {
        if self.builder.is_full() {
            return None;
        }
        let anchor = self.anchor(anchor)?;
        let Scalar { value, style, span } = scalar;
        self.builder.add(Value::Scalar { value, style }, span, anchor);
        Some(())
    }

    /// Nothing stands where a value may; what an anchor of nothing is, is left to the parser.
    fn add_missing(&mut self, missing: &Missing<'text>) -> Option<()> {
        let &Missing { colon, anchor: None } = missing else { return None };
        self.add(Scalar { value: Cow::Borrowed(NULL), style: Style::Plain, span: colon..colon }, None)
    }

    /// Closes what ends before a line. The line belongs to a collection only in exactly its column; one
    /// deeper would go on with a scalar (7.3.3) or is an error, as is one between two levels.
    fn close_down_to(&mut self, indent: usize, dash: bool) -> Option<()> {
        loop {
            let level = self.levels.last().filter(|level| level.indent >= indent)?;
            if level.indent == indent {
                match (level.kind, dash) {
                    (Kind::Mapping, false) | (Kind::Sequence | Kind::Indentless, true) => return Some(()),
                    (Kind::Indentless, false) => {}
                    (Kind::Mapping, true) | (Kind::Sequence, false) => return None,
                }
            }
            self.builder.close();
            self.levels.pop();
        }
    }

    /// One dash or more with what follows on the line. The innermost level is the sequence of the first.
    fn entries(&mut self, line: &Line) -> Option<()> {
        let mut dash = line.start;
        loop {
            let at = self.skip_spaces(dash + 1);
            // An entry that starts on a later line, or is missing.
            if at >= line.end || self.bytes[at] == b'#' {
                return None;
            }
            let column = line.indent + (at - line.start);
            if self.is_dash(at, line.end) {
                self.open(Kind::Sequence, column, at, None)?;
                dash = at;
                continue;
            }
            return self.pair(at, line.end, Some(column));
        }
    }

    /// A key with what follows it on the line. In an entry of a sequence, a mapping starts with the key,
    /// in the key's column; or there is no key, and what stands there is the entry.
    fn pair(&mut self, at: usize, end: usize, entry: Option<usize>) -> Option<()> {
        let scalar = match self.bytes[at] {
            b'\'' | b'"' => self.quoted(at, end)?,
            _ if entry.is_some() && !self.starts_plain(at) => return self.value(at, end, None),
            _ => self.plain(at, end)?,
        };
        let colon = self.skip_spaces(scalar.span.end);
        if colon < end && self.bytes[colon] == b':' {
            // The colon of a key has a space or the end of the line behind it; without, a quoted scalar
            // is followed by something else.
            if colon - at > MAX_KEY || (colon + 1 < end && self.bytes[colon + 1] != b' ') {
                return None;
            }
            if let Some(column) = entry {
                self.open(Kind::Mapping, column, at, None)?;
            }
            self.add(scalar, None)?;
            return self.value(self.skip_spaces(colon + 1), end, Some(colon));
        }
        entry?;
        self.ends(scalar.span.end, end)?;
        self.add(scalar, None)
    }

    /// What stands on the line behind a colon, or as an entry behind a dash.
    fn value(&mut self, at: usize, end: usize, colon: Option<usize>) -> Option<()> {
        let (anchor, at) = match self.bytes.get(at) {
            Some(b'&') => {
                let (name, behind) = self.name(at + 1);
                // Only spaces separate it from what it names.
                if behind < end && self.bytes[behind] != b' ' {
                    return None;
                }
                (Some(name?), self.skip_spaces(behind))
            }
            _ => (None, at),
        };
        if at >= end || self.bytes[at] == b'#' {
            self.missing = Some(Missing { colon: colon?, anchor });
            return Some(());
        }
        let scalar = match self.bytes[at] {
            b'\'' | b'"' => self.quoted(at, end)?,
            b'|' | b'>' => return self.block(at, end, anchor),
            b'{' | b'[' => {
                let behind = self.flow(at, anchor, self.levels.len())?;
                return self.ends(behind, end);
            }
            b'*' if anchor.is_none() => {
                let behind = self.alias(at)?;
                return self.ends(behind, end);
            }
            _ => self.plain(at, end)?,
        };
        // A second key on the line of the first has its colon here, which is an error.
        self.ends(scalar.span.end, end)?;
        self.add(scalar, anchor)
    }

    /// Nothing but a comment follows on the line; it is separated by a space (6.6).
    fn ends(&self, from: usize, end: usize) -> Option<()> {
        let at = self.skip_spaces(from);
        (at >= end || (at > from && self.bytes[at] == b'#')).then_some(())
    }

    fn finish(mut self, chunk: Range<usize>) -> Option<Document<'text>> {
        if let Some(missing) = self.missing.take() {
            self.add_missing(&missing)?;
        }
        // A document without a node is left to the parser, and so is one too large for it.
        if self.levels.is_empty() || self.builder.is_full() {
            return None;
        }
        while self.levels.pop().is_some() {
            self.builder.close();
        }
        Some(self.builder.finish(chunk))
    }
}

#[cfg(test)]
mod tests;

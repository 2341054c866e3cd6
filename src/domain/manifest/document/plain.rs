//! Reads the YAML that most manifests are written in, several times quicker than the parser does.
//!
//! That is: block mappings and sequences, scalars on one line, literal block scalars, comments. For such
//! a document the nodes are those that the parser's events make, byte for byte; anything else is left to
//! the parser, and so is everything that may be an error. Nothing here guesses: a document of which one
//! line is in doubt is not read at all. Tests and a fuzz target hold both ways against each other.
//!
//! Sections and rules in comments are those of YAML 1.2.2.

use std::borrow::Cow;
use std::ops::Range;

use super::build::Builder;
use super::{Document, Style, Value};

/// Deeper than manifests are nested; the parser has its own limit, which is higher.
const MAX_DEPTH: usize = 64;
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

/// A scalar on one line.
struct Scalar<'text> {
    value: &'text str,
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
    /// Place of the colon after a key whose value was not met yet. The innermost level is its mapping.
    missing: Option<usize>,
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
        match (self.missing.take(), self.levels.last()) {
            (Some(_), Some(level)) if line.indent > level.indent => {
                self.open(if dash { Kind::Sequence } else { Kind::Mapping }, line.indent, line.start)?;
            }
            (Some(_), Some(level)) if dash && line.indent == level.indent => {
                // The parser has it start behind the dash.
                let entry = self.skip_spaces(line.start + 1);
                self.open(Kind::Indentless, line.indent, entry)?;
            }
            (Some(colon), Some(_)) => {
                self.add(Cow::Borrowed(NULL), Style::Plain, colon..colon)?;
                self.close_down_to(line.indent, dash)?;
            }
            (_, None) if self.builder.is_empty() => {
                self.open(if dash { Kind::Sequence } else { Kind::Mapping }, line.indent, line.start)?;
            }
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

    fn open(&mut self, kind: Kind, indent: usize, at: usize) -> Option<()> {
        if self.levels.len() >= MAX_DEPTH {
            return None;
        }
        match kind {
            Kind::Mapping => self.builder.open(Value::Mapping, at..at, None),
            Kind::Sequence | Kind::Indentless => self.builder.open(Value::Sequence, at..at, None),
        }
        self.levels.push(Level { kind, indent });
        Some(())
    }

    fn add(&mut self, value: Cow<'text, str>, style: Style, span: Range<usize>) -> Option<()> {
        if self.builder.is_full() {
            return None;
        }
        self.builder.add(Value::Scalar { value, style }, span, None);
        Some(())
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
                self.open(Kind::Sequence, column, at)?;
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
            _ if entry.is_some() && !self.starts_plain(at) => return self.value(at, end),
            _ => self.plain(at, end)?,
        };
        let colon = scalar.span.end;
        if colon < end && self.bytes[colon] == b':' {
            // The colon of a key has a space or the end of the line behind it; without, a quoted scalar
            // is followed by something else.
            if scalar.span.len() > MAX_KEY || (colon + 1 < end && self.bytes[colon + 1] != b' ') {
                return None;
            }
            if let Some(column) = entry {
                self.open(Kind::Mapping, column, at)?;
            }
            self.add(Cow::Borrowed(scalar.value), scalar.style, scalar.span)?;
            let at = self.skip_spaces(colon + 1);
            if at >= end || self.bytes[at] == b'#' {
                self.missing = Some(colon);
                return Some(());
            }
            return self.value(at, end);
        }
        entry?;
        self.ends(colon, end)?;
        self.add(Cow::Borrowed(scalar.value), scalar.style, scalar.span)
    }

    /// A value that starts on the line of its key or dash.
    fn value(&mut self, at: usize, end: usize) -> Option<()> {
        let scalar = match self.bytes[at] {
            b'\'' | b'"' => self.quoted(at, end)?,
            b'|' => return self.literal(at, end),
            // Collections in one line are left to the parser, but empty ones.
            open @ (b'{' | b'[') => {
                let (close, value) =
                    if open == b'{' { (b'}', Value::Mapping) } else { (b']', Value::Sequence) };
                if at + 1 >= end || self.bytes[at + 1] != close || self.builder.is_full() {
                    return None;
                }
                self.ends(at + 2, end)?;
                self.builder.open(value, at..at + 1, None);
                self.builder.close();
                return Some(());
            }
            _ => self.plain(at, end)?,
        };
        // A second key on the line of the first has its colon here, which is an error.
        self.ends(scalar.span.end, end)?;
        self.add(Cow::Borrowed(scalar.value), scalar.style, scalar.span)
    }

    /// Nothing but a comment follows on the line; it is separated by a space (6.6).
    fn ends(&self, from: usize, end: usize) -> Option<()> {
        let at = self.skip_spaces(from);
        (at >= end || (at > from && self.bytes[at] == b'#')).then_some(())
    }

    /// Whether a plain scalar may start here: not with an indicator (7.3.3). `?` and `:` may before some
    /// characters, which manifests do not write.
    fn starts_plain(&self, at: usize) -> bool {
        match self.bytes[at] {
            b'-' => self.bytes.get(at + 1).is_some_and(|next| !matches!(next, b' ' | b'\n')),
            byte => !b"?:,[]{}#&*!|>'\"%@`".contains(&byte),
        }
    }

    /// A plain scalar: up to a colon before a space or before the end of the line, a comment, or the end of
    /// the line, without the spaces before. Where a colon ends it, it has no spaces before the colon.
    fn plain(&self, at: usize, end: usize) -> Option<Scalar<'text>> {
        if !self.starts_plain(at) {
            return None;
        }
        let line = &self.bytes[..end];
        let mut last = at;
        let mut place = at;
        while let Some(&byte) = line.get(place) {
            match byte {
                b' ' => {
                    place += 1;
                    continue;
                }
                b':' if matches!(line.get(place + 1), None | Some(b' ')) => {
                    if last != place {
                        return None;
                    }
                    break;
                }
                b'#' if last != place => break,
                _ => {}
            }
            place += 1;
            last = place;
        }
        let span = at..last;
        Some(Scalar { value: self.text.get(span.clone())?, style: Style::Plain, span })
    }

    /// A quoted scalar without escapes (7.3.1, 7.3.2) that ends on its line.
    fn quoted(&self, at: usize, end: usize) -> Option<Scalar<'text>> {
        let quote = self.bytes[at];
        let close = at + 1 + memchr::memchr(quote, &self.bytes[at + 1..end])?;
        let inside = at + 1..close;
        let escaped = match quote {
            b'\'' => close + 1 < end && self.bytes[close + 1] == b'\'',
            _ => memchr::memchr(b'\\', &self.bytes[inside.clone()]).is_some(),
        };
        (!escaped).then_some(Scalar {
            value: self.text.get(inside)?,
            style: Style::Quoted,
            span: at..close + 1,
        })
    }

    /// A literal block scalar (8.1.2) whose first line has text and tells the indentation (8.1.1.1).
    fn literal(&mut self, at: usize, end: usize) -> Option<()> {
        let strip = self.bytes[at + 1..end].starts_with(b"-");
        // Other indicators (`+`, digits) and a comment behind the header are left to the parser.
        if self.skip_spaces(at + 1 + usize::from(strip)) < end {
            return None;
        }
        let outer = self.levels.last()?.indent;
        let mut begin = end + 1;
        let start = self.skip_spaces(begin);
        let indent = start.checked_sub(begin).filter(|indent| *indent > outer)?;
        if start >= self.line_end(begin) {
            return None;
        }
        let mut value = String::new();
        let mut breaks = 0;
        // Where the scalar stops: behind the indentation of the first line that is not part of it, which is
        // how far the parser has then read.
        let stop = loop {
            if begin >= self.bytes.len() {
                break self.bytes.len();
            }
            let line = self.line_end(begin);
            let text = self.skip_spaces(begin).min(begin + indent);
            if text == line {
                // At the end of the text this is indentation without a line.
                if line == self.bytes.len() {
                    break line;
                }
                breaks += 1;
            } else if text < begin + indent {
                break text;
            } else {
                value.extend(std::iter::repeat_n('\n', breaks));
                value.push_str(self.text.get(text..line)?);
                breaks = 1;
            }
            begin = line + 1;
        };
        // Clipping leaves one line feed (8.1.1.2), whether the last line has one or not.
        if !strip {
            value.push('\n');
        }
        // The line that ended the scalar is read again, as are blank lines at its end: nothing is lost.
        self.next = begin;
        self.add(Cow::Owned(value), Style::Block, start..stop)
    }

    fn finish(mut self, chunk: Range<usize>) -> Option<Document<'text>> {
        if let Some(colon) = self.missing.take() {
            self.add(Cow::Borrowed(NULL), Style::Plain, colon..colon)?;
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

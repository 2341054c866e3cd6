//! Finds the blocks of wanted charts in an index without parsing the rest.
//!
//! Vouches only for the layout that Helm and its relatives write: block style, one document, charts
//! as plain keys below a bare `entries:`. Anything else is [`Scan::Other`], for a real parser. A
//! YAML value never has lines as far left as its key's siblings (YAML 1.2, section 8.2), which is
//! what makes it enough to look at how far each line is indented.

use std::collections::BTreeSet;
use std::io::{self, Read};

use memchr::memchr;

use super::{MOST_CHARTS, names_bytes_exceeded};

/// The largest block of one chart; the largest public one has about 3 MB.
const LARGEST_BLOCK: usize = 32 * 1024 * 1024;
/// The longest line that is looked at.
const LONGEST_LINE: usize = 1024 * 1024;
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What a scan came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// The layout is known; these are the names of all charts.
    Canonical(BTreeSet<String>),
    /// The layout is not one that this module vouches for.
    Other,
}

/// Gives each wanted chart's block, from the line after its name to its last line, to `on_block`,
/// which answers whether it could read it.
pub(crate) fn scan(
    mut reader: impl Read,
    wanted: &BTreeSet<&str>,
    mut on_block: impl FnMut(&str, &[u8]) -> bool,
) -> io::Result<Scan> {
    let mut state = State {
        wanted,
        place: Place::Before,
        names: BTreeSet::new(),
        names_bytes: 0,
        current: None,
        block: Vec::new(),
    };
    let mut buffer = vec![0; CHUNK];
    let (mut start, mut end) = (0, 0);
    let mut first = true;
    loop {
        while let Some(length) = memchr(b'\n', &buffer[start..end]) {
            let mut line = &buffer[start..start + length];
            if first {
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
                first = false;
            }
            if !state.line(line, &mut on_block) {
                return Ok(Scan::Other);
            }
            start += length + 1;
        }
        buffer.copy_within(start..end, 0);
        (start, end) = (0, end - start);
        if end == buffer.len() {
            if end >= LONGEST_LINE {
                return Ok(Scan::Other);
            }
            buffer.resize(end * 2, 0);
        }
        match reader.read(&mut buffer[end..]) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    // A last line without its end may be a cut one; a parser has more to judge that by.
    if start < end || !state.finish(&mut on_block) {
        return Ok(Scan::Other);
    }
    Ok(Scan::Canonical(state.names))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No `entries:` yet.
    Before,
    /// In `entries:`; charts are indented by so much, once one was seen.
    Entries(Option<usize>),
    /// Behind `entries:`.
    After,
}

struct State<'a> {
    wanted: &'a BTreeSet<&'a str>,
    place: Place,
    names: BTreeSet<String>,
    names_bytes: usize,
    /// Chart that the following lines belong to, and whether they are kept.
    current: Option<(String, bool)>,
    block: Vec<u8>,
}

impl State<'_> {
    /// Takes the next line, without its `\n`. `false` where the layout is not vouched for.
    fn line(&mut self, line: &[u8], on_block: &mut impl FnMut(&str, &[u8]) -> bool) -> bool {
        // A carriage return alone ends a line too (YAML 1.2, section 5.4), where nothing here looks.
        if memchr(b'\r', line).is_some_and(|at| at + 1 < line.len()) {
            return false;
        }
        let indent = line.iter().take_while(|byte| **byte == b' ').count();
        let first = match line.get(indent) {
            None | Some(b'\r') => return self.content(line),
            Some(first) => *first,
        };
        if indent == 0 {
            return match first {
                b'#' => true,
                b'-' if line.trim_ascii_end() == b"---" => {
                    self.place == Place::Before && self.names_bytes == 0
                }
                _ => self.top(line, on_block),
            };
        }
        let Place::Entries(charts) = self.place else { return true };
        let charts = match charts {
            Some(charts) => charts,
            None if first == b'#' => return true,
            None => {
                self.place = Place::Entries(Some(indent));
                indent
            }
        };
        if indent > charts {
            return self.content(line);
        }
        if first == b'#' {
            return true;
        }
        if indent < charts {
            return false;
        }
        if first == b'-' && matches!(line.get(indent + 1), None | Some(b' ' | b'\r')) {
            return self.current.is_some() && self.content(line);
        }
        self.chart(&line[indent..], on_block)
    }

    /// A line at the left edge.
    fn top(&mut self, line: &[u8], on_block: &mut impl FnMut(&str, &[u8]) -> bool) -> bool {
        let Some((name, value)) = key(line) else { return false };
        if name == "entries" {
            if self.place != Place::Before {
                return false;
            }
            match empty(value) {
                Some(Empty::Open) => self.place = Place::Entries(None),
                Some(Empty::Nothing) => self.place = Place::After,
                None => return false,
            }
            return true;
        }
        if matches!(self.place, Place::Entries(_)) {
            self.place = Place::After;
            return self.end_block(on_block);
        }
        // A document start behind a key would begin a second document.
        self.names_bytes = self.names_bytes.max(1);
        true
    }

    /// A line that names a chart.
    fn chart(&mut self, line: &[u8], on_block: &mut impl FnMut(&str, &[u8]) -> bool) -> bool {
        let Some((name, value)) = key(line) else { return false };
        if !self.end_block(on_block) {
            return false;
        }
        self.names_bytes = self.names_bytes.saturating_add(name.len());
        if self.names.len() >= MOST_CHARTS || names_bytes_exceeded(self.names_bytes) {
            return false;
        }
        let wanted = self.wanted.contains(name);
        let open = match empty(value) {
            Some(Empty::Open) => true,
            Some(Empty::Nothing) => false,
            None if wanted => return false,
            None => true,
        };
        // A second block of the same name is for a parser to judge.
        if !self.names.insert(name.to_owned()) && wanted {
            return false;
        }
        self.current = Some((name.to_owned(), wanted));
        open || !wanted || self.end_block(on_block)
    }

    /// A line that belongs to the current chart.
    fn content(&mut self, line: &[u8]) -> bool {
        if let Some((_, true)) = self.current {
            if self.block.len().saturating_add(line.len()) >= LARGEST_BLOCK {
                return false;
            }
            self.block.extend_from_slice(line);
            self.block.push(b'\n');
        }
        true
    }

    fn end_block(&mut self, on_block: &mut impl FnMut(&str, &[u8]) -> bool) -> bool {
        let read = match self.current.take() {
            Some((name, true)) => on_block(&name, &self.block),
            _ => true,
        };
        self.block.clear();
        read
    }

    fn finish(&mut self, on_block: &mut impl FnMut(&str, &[u8]) -> bool) -> bool {
        self.place != Place::Before && self.end_block(on_block)
    }
}

enum Empty {
    /// The value is on the following lines.
    Open,
    /// There is no value.
    Nothing,
}

fn empty(value: &[u8]) -> Option<Empty> {
    match value {
        b"" => Some(Empty::Open),
        b"{}" | b"[]" | b"null" | b"~" => Some(Empty::Nothing),
        _ => None,
    }
}

/// Splits `name: value` where the name is a plain word, or a quoted plain word; a comment is no value.
fn key(line: &[u8]) -> Option<(&str, &[u8])> {
    let line = line.trim_ascii_end();
    let (name, rest) = match line.first()? {
        quote @ (b'"' | b'\'') => {
            let end = memchr(*quote, &line[1..])? + 1;
            (&line[1..end], &line[end + 1..])
        }
        _ => {
            let end = memchr(b':', line)?;
            (&line[..end], &line[end..])
        }
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'/');
    if name.is_empty() || !name.iter().all(plain) || name[0] == b'-' {
        return None;
    }
    let value = match rest.strip_prefix(b":")? {
        value if value.is_empty() || value[0] == b' ' => value.trim_ascii(),
        _ => return None,
    };
    let value = if value.first() == Some(&b'#') { b"".as_slice() } else { value };
    Some((std::str::from_utf8(name).ok()?, value))
}

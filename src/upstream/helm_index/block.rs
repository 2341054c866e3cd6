//! Reads one chart's block line by line: only keys of the entries themselves, only the wanted ones,
//! only values that stand plainly on one line. An entry with anything else at a wanted key is given
//! to a real parser, alone.

use memchr::{memchr, memmem};

use super::entry::{self, Chart, Entry, MOST_ENTRIES};
use super::whole;

/// The chart's entries, or `None` where the block's layout is not one to vouch for.
pub(crate) fn read(block: &[u8]) -> Option<Chart> {
    let mut chart = Chart::default();
    let mut items: Vec<Item> = Vec::new();
    let mut dash = None;
    for (start, line) in lines(block) {
        let indent = indentation(line);
        let Some(first) = line.get(indent) else { continue };
        let dash = match dash {
            Some(dash) => dash,
            None if *first == b'#' => continue,
            None => *dash.insert(indent),
        };
        if indent == dash && *first == b'-' {
            if let Some(last) = items.last_mut() {
                chart.entries.push(last.close(block, start)?);
            }
            if chart.entries.len() == MOST_ENTRIES {
                chart.cut = true;
                break;
            }
            items.push(Item::open(start, line, dash)?);
        } else if indent > dash {
            items.last_mut()?.line(line, indent);
        } else if *first != b'#' {
            return None;
        }
    }
    if let Some(last) = items.last_mut()
        && !chart.cut
    {
        chart.entries.push(last.close(block, block.len())?);
    }
    if let Some(newest) = chart.newest() {
        let item = items.get(newest)?;
        chart.link = item.link(block.get(item.start..item.end)?)?;
    }
    Some(chart)
}

/// Lines without their ends, with the place where each begins.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length]);
        let place = start;
        start += length + 1;
        Some((place, line))
    })
}

fn indentation(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b' ').count()
}

/// What the lines below the last key mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    /// Part of a value that nobody wants.
    Ignored,
    /// The rest of a wanted value: not plainly on one line.
    Wanted,
    /// Elements of a wanted list, whose dashes stand at this indentation once one was seen. A dash further
    /// right goes on with the element before it.
    List(Option<usize>),
}

struct Item {
    start: usize,
    end: usize,
    /// Indentation of the entry's keys, once one was seen.
    keys: Option<usize>,
    entry: Entry,
    seen: u8,
    below: Below,
    unusual: bool,
}

impl Item {
    /// Begins with the line that has the dash.
    fn open(start: usize, line: &[u8], dash: usize) -> Option<Self> {
        let mut item = Self {
            start,
            end: start,
            keys: None,
            entry: Entry::default(),
            seen: 0,
            below: Below::Ignored,
            unusual: false,
        };
        let rest = line.get(dash + 1..)?;
        let spaces = indentation(rest);
        if spaces == rest.len() {
            return Some(item);
        }
        if spaces == 0 {
            return None;
        }
        item.line(line, dash + 1 + spaces);
        Some(item)
    }

    /// Takes a line whose content begins at `indent`.
    fn line(&mut self, line: &[u8], indent: usize) {
        let content = line.get(indent..).unwrap_or_default();
        if self.unusual || content.is_empty() || content[0] == b'#' {
            return;
        }
        let keys = *self.keys.get_or_insert(indent);
        let element = content[0] == b'-' && matches!(content.get(1), None | Some(b' '));
        if indent < keys {
            self.unusual = true;
        } else if indent == keys && !element {
            self.key(content);
        } else {
            match self.below {
                Below::Ignored => {}
                Below::List(dashes) if element && dashes.is_none_or(|dashes| dashes == indent) => {
                    self.below = Below::List(Some(indent));
                    match scalar(&content[1..]) {
                        Scalar::Text(url) => self.entry.names_archive |= !url.trim().is_empty(),
                        Scalar::Null | Scalar::Unusual => self.unusual = true,
                    }
                }
                Below::Wanted | Below::List(_) => self.unusual = true,
            }
        }
    }

    /// Takes a line that begins with one of the entry's keys.
    fn key(&mut self, content: &[u8]) {
        let Some((name, value)) = split(content) else {
            self.unusual = true;
            return;
        };
        let bit = match name {
            b"version" => 1,
            b"appVersion" => 2,
            b"kubeVersion" => 4,
            b"digest" => 8,
            b"created" => 16,
            b"deprecated" => 32,
            b"urls" => 64,
            _ => {
                self.below = Below::Ignored;
                return;
            }
        };
        if self.seen & bit != 0 {
            // The first of equal keys counts; the parser decides where its value ends.
            self.unusual = true;
            return;
        }
        self.seen |= bit;
        self.below = Below::Wanted;
        if name == b"urls" {
            match value.trim_ascii() {
                b"" => self.below = Below::List(None),
                b"[]" | b"null" | b"~" => {}
                _ => self.unusual = true,
            }
            return;
        }
        let text = match scalar(value) {
            Scalar::Text(text) => text,
            Scalar::Null => return,
            Scalar::Unusual => {
                self.unusual = true;
                return;
            }
        };
        let entry = &mut self.entry;
        match name {
            b"version" => entry.version = Some(text.to_owned()),
            b"appVersion" => entry.app_version = Some(text.to_owned()),
            b"kubeVersion" => entry.kube_version = Some(text.to_owned()),
            b"digest" => entry.digest = Some(text.to_owned()),
            b"created" => entry.created = entry::time(text),
            _ => match value.trim_ascii() {
                b"true" => entry.deprecated = Some(true),
                b"false" => entry.deprecated = Some(false),
                _ => self.unusual = true,
            },
        }
    }

    /// Ends before `end` and gives the entry.
    fn close(&mut self, block: &[u8], end: usize) -> Option<Entry> {
        self.end = end;
        if !self.unusual && self.keys.is_some() {
            return Some(std::mem::take(&mut self.entry));
        }
        parsed(block.get(self.start..end)?)
    }

    /// The link of the entry in `text`; `None` where the whole index is needed to say.
    fn link(&self, text: &[u8]) -> Option<Option<String>> {
        match self.plain_link(text) {
            Some(link) => Some(link),
            None => Some(parsed(text)?.link()),
        }
    }

    /// The link, if all that it may come from stands plainly in the entry.
    fn plain_link(&self, text: &[u8]) -> Option<Option<String>> {
        let keys = self.keys.filter(|_| !self.unusual)?;
        let mut entry = Entry::default();
        let mut sources: Option<Vec<Option<String>>> = None;
        let mut seen_home = false;
        // What lines that are not keys mean; only elements of `sources` are wanted.
        let mut below = Below::Ignored;
        for (place, line) in lines(text) {
            // The first line has the entry's dash before its key.
            let indent = if place == 0 { keys } else { indentation(line) };
            let content = line.get(indent..).unwrap_or_default();
            if content.is_empty() || content[0] == b'#' {
                continue;
            }
            let element = content[0] == b'-' && matches!(content.get(1), None | Some(b' '));
            if indent > keys || element {
                match below {
                    Below::Ignored => {}
                    Below::Wanted => return None,
                    Below::List(dashes) if element && dashes.is_none_or(|dashes| dashes == indent) => {
                        below = Below::List(Some(indent));
                        let source = scalar(&content[1..]).text()?;
                        sources.get_or_insert_default().push(source.map(str::to_owned));
                    }
                    Below::List(_) => return None,
                }
                continue;
            }
            let (name, value) = split(content)?;
            below = match name {
                b"home" if !seen_home => {
                    seen_home = true;
                    entry.home = scalar(value).text()?.map(str::to_owned);
                    Below::Wanted
                }
                b"sources" if sources.is_none() && value.trim_ascii().is_empty() => {
                    sources = Some(Vec::new());
                    Below::List(None)
                }
                b"home" | b"sources" => return None,
                _ => Below::Ignored,
            };
        }
        entry.sources = sources;
        Some(entry.link())
    }
}

/// Gives one entry to the parser.
fn parsed(text: &[u8]) -> Option<Entry> {
    let mut entries = whole::entries(std::str::from_utf8(text).ok()?)?;
    if entries.len() == 1 { entries.pop() } else { None }
}

/// Splits `name: value` where the name is a plain word.
fn split(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let end = content.iter().position(|byte| !plain(byte))?;
    let (name, rest) = content.split_at(end);
    let value = rest.strip_prefix(b":")?;
    (!name.is_empty() && matches!(value.first(), None | Some(b' '))).then_some((name, value))
}

enum Scalar<'a> {
    Text(&'a str),
    Null,
    /// Not plainly on this line.
    Unusual,
}

impl<'a> Scalar<'a> {
    /// The text or nothing, if that is plain.
    fn text(self) -> Option<Option<&'a str>> {
        match self {
            Self::Text(text) => Some(Some(text)),
            Self::Null => Some(None),
            Self::Unusual => None,
        }
    }
}

/// Reads a value that stands on one line without anything to unescape.
fn scalar(value: &[u8]) -> Scalar<'_> {
    let value = value.trim_ascii();
    let Some(first) = value.first() else { return Scalar::Null };
    let text = match first {
        quote @ (b'"' | b'\'') => {
            let inner = match value[1..].split_last() {
                Some((last, inner)) if last == quote => inner,
                _ => return Scalar::Unusual,
            };
            if inner.contains(quote) || (*quote == b'"' && inner.contains(&b'\\')) || inner.contains(&b'\t') {
                return Scalar::Unusual;
            }
            inner
        }
        first if first.is_ascii_alphanumeric() || b"./_+=~^<(".contains(first) => {
            if matches!(value, b"~" | b"null" | b"Null" | b"NULL") {
                return Scalar::Null;
            }
            let ends_here = memchr(b'\t', value).is_none()
                && memmem::find(value, b": ").is_none()
                && memmem::find(value, b" #").is_none()
                && value.last() != Some(&b':');
            if !ends_here {
                return Scalar::Unusual;
            }
            value
        }
        _ => return Scalar::Unusual,
    };
    match std::str::from_utf8(text) {
        // Line and paragraph separators and the like are for the parser to judge.
        Ok(text)
            if !text.chars().any(|char| {
                char.is_control() || matches!(char, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
            }) =>
        {
            Scalar::Text(text)
        }
        _ => Scalar::Unusual,
    }
}

//! Collections on one line, and the names that values have.

use super::super::{Style, Value};
use super::{MAX_ANCHORS, MAX_DEPTH, MAX_KEY, Reader, Scalar};

impl<'text> Reader<'text> {
    /// A collection in brackets or braces that ends on its line (7.4); gives the place behind it.
    ///
    /// Left to the parser are pairs in a sequence, keys that are no scalar, keys and values that are missing.
    pub(super) fn flow(&mut self, at: usize, anchor: Option<&'text str>, depth: usize) -> Option<usize> {
        if depth >= MAX_DEPTH || self.builder.is_full() {
            return None;
        }
        let mapping = self.bytes[at] == b'{';
        let (close, value) = if mapping { (b'}', Value::Mapping) } else { (b']', Value::Sequence) };
        let anchor = self.anchor(anchor)?;
        self.builder.open(value, at..at + 1, anchor);
        let mut next = self.skip_spaces(at + 1);
        if self.bytes.get(next) == Some(&close) {
            self.builder.close();
            return Some(next + 1);
        }
        loop {
            if mapping {
                next = self.flow_key(next)?;
            }
            next = self.flow_value(next, depth)?;
            next = self.skip_spaces(next);
            match self.bytes.get(next)? {
                b',' => next = self.skip_spaces(next + 1),
                byte if *byte == close => {
                    self.builder.close();
                    return Some(next + 1);
                }
                _ => return None,
            }
        }
    }

    /// A key and its colon; gives the place of the value.
    fn flow_key(&mut self, at: usize) -> Option<usize> {
        let key = self.flow_scalar(at)?;
        let colon = self.skip_spaces(key.span.end);
        if colon - at > MAX_KEY || !self.bytes.get(colon..)?.starts_with(b": ") {
            return None;
        }
        self.add(key, None)?;
        Some(self.skip_spaces(colon + 1))
    }

    fn flow_value(&mut self, at: usize, depth: usize) -> Option<usize> {
        match self.bytes.get(at)? {
            b'[' | b'{' => self.flow(at, None, depth + 1),
            b'*' => self.alias(at),
            b'&' => {
                let (name, behind) = self.name(at + 1);
                let name = name?;
                let at = self.skip_spaces(behind);
                if at == behind {
                    return None;
                }
                match self.bytes.get(at)? {
                    b'[' | b'{' => self.flow(at, Some(name), depth + 1),
                    _ => self.flow_leaf(at, Some(name)),
                }
            }
            _ => self.flow_leaf(at, None),
        }
    }

    fn flow_leaf(&mut self, at: usize, anchor: Option<&'text str>) -> Option<usize> {
        let scalar = self.flow_scalar(at)?;
        let behind = scalar.span.end;
        self.add(scalar, anchor)?;
        Some(behind)
    }

    fn flow_scalar(&self, at: usize) -> Option<Scalar<'text>> {
        match self.bytes.get(at)? {
            b'\'' | b'"' => self.quoted(at, self.line_end(at)),
            _ => self.flow_plain(at),
        }
    }

    /// A plain scalar inside a collection: there the signs of collections end it (7.3.3).
    fn flow_plain(&self, at: usize) -> Option<Scalar<'text>> {
        let next = self.bytes.get(at + 1)?;
        if !self.starts_plain(at) || (matches!(self.bytes[at], b'-' | b':') && b",[]{}".contains(next)) {
            return None;
        }
        let mut last = at;
        let mut place = at;
        loop {
            match self.bytes.get(place)? {
                b' ' => {
                    place += 1;
                    continue;
                }
                b',' | b']' | b'}' => break,
                b'[' | b'{' | b'\n' => return None,
                b':' => match self.bytes.get(place + 1)? {
                    b' ' => break,
                    b',' | b'[' | b']' | b'{' | b'}' | b'\n' => return None,
                    _ => {}
                },
                // A comment, and a collection that goes on behind it.
                b'#' if last != place => return None,
                _ => {}
            }
            place += 1;
            last = place;
        }
        let span = at..last;
        let value = self.text.get(span.clone())?.into();
        Some(Scalar { value, style: Style::Plain, span })
    }

    /// An alias (7.1), with the place behind it. One of no known anchor is left to the parser.
    pub(super) fn alias(&mut self, at: usize) -> Option<usize> {
        let (name, behind) = self.name(at + 1);
        let name = name?;
        if self.bytes.get(behind).is_some_and(|next| !b" \n,]}".contains(next)) || self.builder.is_full() {
            return None;
        }
        // The last of a name counts (3.2.2.2).
        let id = self.anchors.iter().rposition(|known| *known == name)?;
        self.builder.alias(id, at..behind).then_some(behind)
    }

    /// The id of the next anchor, or none where a value has no name.
    #[expect(clippy::option_option, reason = "`None` outside leaves the document to the parser")]
    pub(super) fn anchor(&mut self, name: Option<&'text str>) -> Option<Option<usize>> {
        let Some(name) = name else { return Some(None) };
        if self.anchors.len() >= MAX_ANCHORS {
            return None;
        }
        self.anchors.push(name);
        Some(Some(self.anchors.len() - 1))
    }

    /// The name of an anchor or alias, of the characters that people use in them (6.9.2), with the place behind.
    pub(super) fn name(&self, at: usize) -> (Option<&'text str>, usize) {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let behind = at + self.bytes.get(at..).unwrap_or_default().iter().take_while(is_part).count();
        (self.text.get(at..behind).filter(|name| !name.is_empty()), behind)
    }
}

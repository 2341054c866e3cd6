//! Scalars: plain and quoted ones on one line, block scalars.

use std::borrow::Cow;

use super::super::Style;
use super::{Reader, Scalar};

impl<'text> Reader<'text> {
    /// Whether a plain scalar may start here: not with an indicator (7.3.3). `?` may before some
    /// characters, which manifests do not write.
    pub(super) fn starts_plain(&self, at: usize) -> bool {
        match self.bytes[at] {
            b'-' | b':' => self.bytes.get(at + 1).is_some_and(|next| !matches!(next, b' ' | b'\n')),
            byte => !b"?,[]{}#&*!|>'\"%@`".contains(&byte),
        }
    }

    /// A plain scalar: up to a colon before a space or before the end of the line, a comment, or the end of
    /// the line, without the spaces before.
    pub(super) fn plain(&self, at: usize, end: usize) -> Option<Scalar<'text>> {
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
                b':' if matches!(line.get(place + 1), None | Some(b' ')) => break,
                b'#' if last != place => break,
                _ => {}
            }
            place += 1;
            last = place;
        }
        let span = at..last;
        Some(Scalar { value: Cow::Borrowed(self.text.get(span.clone())?), style: Style::Plain, span })
    }

    /// A quoted scalar (7.3.1, 7.3.2) that ends on its line.
    pub(super) fn quoted(&self, at: usize, end: usize) -> Option<Scalar<'text>> {
        let (value, close) = match self.bytes[at] {
            b'\'' => self.single_quoted(at + 1, end)?,
            _ => self.double_quoted(at + 1, end)?,
        };
        Some(Scalar { value, style: Style::Quoted, span: at..close + 1 })
    }

    /// The value, and where the quote stands that ends it.
    fn single_quoted(&self, start: usize, end: usize) -> Option<(Cow<'text, str>, usize)> {
        let mut value = Cow::Borrowed("");
        let mut from = start;
        loop {
            let quote = from + memchr::memchr(b'\'', &self.bytes[from..end])?;
            // Two stand for one.
            let doubled = quote + 1 < end && self.bytes[quote + 1] == b'\'';
            append(&mut value, self.text.get(from..quote + usize::from(doubled))?);
            if !doubled {
                return Some((value, quote));
            }
            from = quote + 2;
        }
    }

    /// The value, and where the quote stands that ends it. Escapes that are rare (5.7) are left to the parser.
    fn double_quoted(&self, start: usize, end: usize) -> Option<(Cow<'text, str>, usize)> {
        let mut value = Cow::Borrowed("");
        let mut from = start;
        loop {
            let sign = from + memchr::memchr2(b'"', b'\\', &self.bytes[from..end])?;
            append(&mut value, self.text.get(from..sign)?);
            if self.bytes[sign] == b'"' {
                return Some((value, sign));
            }
            let character = match self.bytes.get(sign + 1)? {
                b'\\' => "\\",
                b'"' => "\"",
                b'n' => "\n",
                b't' => "\t",
                _ => return None,
            };
            value.to_mut().push_str(character);
            from = sign + 2;
        }
    }

    /// A block scalar (8.1.2, 8.1.3) whose first line has text and tells the indentation (8.1.1.1).
    pub(super) fn block(&mut self, at: usize, end: usize, anchor: Option<&'text str>) -> Option<()> {
        let folded = self.bytes[at] == b'>';
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
                if !folded {
                    value.extend(std::iter::repeat_n('\n', breaks));
                } else if self.bytes[text] == b' ' {
                    // Lines that are indented further are not folded, nor are the ends of those beside them.
                    return None;
                } else {
                    // One line feed is folded into a space, of several the first goes.
                    value.extend((breaks == 1).then_some(' '));
                    value.extend(std::iter::repeat_n('\n', breaks.saturating_sub(1)));
                }
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
        self.add(Scalar { value: Cow::Owned(value), style: Style::Block, span: start..stop }, anchor)
    }
}

/// Copies nothing for the first piece.
fn append<'text>(value: &mut Cow<'text, str>, piece: &'text str) {
    if value.is_empty() {
        *value = Cow::Borrowed(piece);
    } else if !piece.is_empty() {
        value.to_mut().push_str(piece);
    }
}

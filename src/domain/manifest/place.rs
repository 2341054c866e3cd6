//! Lines and columns of byte offsets.

/// Answers lines and columns of one text; built once, asked often.
#[derive(Debug)]
pub struct Lines<'text> {
    text: &'text str,
    starts: Vec<usize>,
}

impl<'text> Lines<'text> {
    /// Indexes the line starts of `text`.
    pub fn of(text: &'text str) -> Self {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Self { text, starts }
    }

    /// 1-based line and 1-based column, in characters, of a byte offset.
    ///
    /// A byte-order mark is no character of the first line.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or_default();
        let column = before.trim_start_matches('\u{feff}').chars().count() + 1;
        (line, column)
    }

    /// 1-based line of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// Byte range of a 1-based line, without its line end; `None` past the last line.
    pub fn range(&self, line: usize) -> Option<std::ops::Range<usize>> {
        let start = *self.starts.get(line.checked_sub(1)?)?;
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        let kept = self.text.get(start..end)?.trim_end_matches(['\n', '\r']).len();
        Some(start..start + kept)
    }

    /// Count of lines.
    pub fn count(&self) -> usize {
        self.starts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let lines = Lines::of("a\n  ü: 1\n");
        assert_eq!(lines.place(0), (1, 1));
        assert_eq!(lines.place("a\n  ü: ".len()), (2, 6));
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        assert_eq!(Lines::of("\u{feff}a: 1").place(3), (1, 1));
    }

    #[test]
    fn lines_exclude_their_ends() {
        let text = "a: 1\r\nb: 2";
        let lines = Lines::of(text);
        assert_eq!(&text[lines.range(1).unwrap()], "a: 1");
        assert_eq!(&text[lines.range(2).unwrap()], "b: 2");
        assert_eq!(lines.range(3), None);
        assert_eq!(lines.range(0), None);
    }
}

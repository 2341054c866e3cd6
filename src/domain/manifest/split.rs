//! Cuts a file into YAML documents without parsing them, so that one broken document hides no other.

use std::ops::Range;

/// One document of a file: its byte range, the `---` line excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// 0-based number of the document within the file.
    pub index: usize,
    /// Byte range in the file.
    pub range: Range<usize>,
}

/// Cuts `text` at its document markers.
///
/// `---` in the first column always starts a document (YAML 1.2, 9.1.2: it is forbidden inside
/// scalars there); what stands behind it on the same line belongs to the new document. Chunks with
/// nothing but blanks and comments are counted but not returned, which is how Kubernetes tools
/// number documents too. A byte-order mark is left out of the first chunk.
pub fn documents(text: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut index = 0;
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut seen_marker = false;
    let bytes = text.as_bytes();
    let mut close = |range: Range<usize>, index: &mut usize, seen_marker: bool| {
        let blank = is_blank(&text[range.clone()]);
        if !blank {
            chunks.push(Chunk { index: *index, range });
        }
        // Blanks before the first marker are no document; an empty document between markers is one.
        if !blank || seen_marker {
            *index += 1;
        }
    };
    let mut line = start;
    while line < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[line..]).map_or(bytes.len(), |at| line + at + 1);
        if is_marker(&bytes[line..end]) {
            close(start..line, &mut index, seen_marker);
            seen_marker = true;
            start = line + 3;
        }
        line = end;
    }
    close(start..bytes.len(), &mut index, seen_marker);
    chunks
}

fn is_marker(line: &[u8]) -> bool {
    line.starts_with(b"---") && line.get(3).is_none_or(|next| matches!(next, b' ' | b'\t' | b'\r' | b'\n'))
}

fn is_blank(chunk: &str) -> bool {
    chunk.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "..." || line.starts_with('%')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, &str)> {
        documents(text).into_iter().map(|chunk| (chunk.index, &text[chunk.range])).collect()
    }

    #[test]
    fn a_file_without_markers_is_one_document() {
        assert_eq!(texts("a: 1\n"), [(0, "a: 1\n")]);
    }

    #[test]
    fn markers_cut_and_empty_documents_are_counted_but_left_out() {
        assert_eq!(
            texts("---\na: 1\n---\n# only a comment\n---\nb: 2\n"),
            [(0, "\na: 1\n"), (2, "\nb: 2\n")]
        );
    }

    #[test]
    fn comments_before_the_first_marker_are_no_document() {
        assert_eq!(texts("# head\n---\na: 1"), [(0, "\na: 1")]);
    }

    #[test]
    fn what_follows_the_marker_on_its_line_belongs_to_the_document() {
        assert_eq!(texts("--- {a: 1}\n--- # note\nb: 1\n"), [(0, " {a: 1}\n"), (1, " # note\nb: 1\n")]);
    }

    #[test]
    fn carriage_returns_and_byte_order_mark_do_not_matter() {
        assert_eq!(
            texts("\u{feff}---\r\na: 1\r\n---\r\nb: 2\r\n"),
            [(0, "\r\na: 1\r\n"), (1, "\r\nb: 2\r\n")]
        );
    }

    #[test]
    fn dashes_that_start_a_longer_word_or_are_indented_are_no_marker() {
        assert_eq!(texts("a: |\n  ---\n  x\n----: 1\n").len(), 1);
    }
}

//! Paths as text that is safe to show, and what is said in two places.

use std::borrow::Cow;

/// `path` with every character escaped that could move the cursor, break a line or reorder the text
/// around it, so that a file's name cannot forge a line of a message.
pub fn printable(path: &str) -> Cow<'_, str> {
    if !path.chars().any(is_unsafe) {
        return Cow::Borrowed(path);
    }
    let mut shown = String::with_capacity(path.len() + 8);
    for character in path.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_unsafe(character) => {
                shown.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
            }
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that change the direction or the order of the text around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Bytes of a path as text: itself when it is UTF-8, else with replacement characters.
pub(super) fn lossy(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(path)
}

/// Says that a file is too large, and what to do.
pub(super) fn too_large(size: Option<u64>, limit: u64) -> String {
    match size {
        Some(size) => {
            format!("not read: {size} bytes, more than the limit of {limit}; exclude it or make it smaller")
        }
        None => format!("not read: more than the limit of {limit} bytes, and growing while it was read"),
    }
}

/// Says that the files together are too large.
pub(super) fn over_total(limit: u64) -> String {
    format!("not read: the files together have more than {limit} bytes; exclude what need not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_foreign_names_stay_as_they_are() {
        for name in ["apps/longhorn.yaml", "köln/ü.yaml", "日本.yml", "a b.yaml", ""] {
            assert!(matches!(printable(name), Cow::Borrowed(_)), "{name}");
        }
    }

    #[test]
    fn characters_that_could_forge_a_line_are_escaped() {
        for (name, shown) in [
            ("a\nproblem: none.yaml", "a\\nproblem: none.yaml"),
            ("a\r\tb", "a\\r\\tb"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("x\u{202e}lmay.exe", "x\\u{202e}lmay.exe"),
            ("\u{9b}2J", "\\u{9b}2J"),
        ] {
            assert_eq!(printable(name), shown);
        }
    }
}

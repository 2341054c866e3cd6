//! Reads files that people write: strictly, and so that every mistake is told at once, with its place.

mod blank;
pub(crate) mod de;
pub(crate) mod tree;

use std::fmt;

use serde::de::DeserializeOwned;

use tree::{Kind, Node, Place, path_text};

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mistake {
    /// 1-based.
    pub(crate) line: usize,
    /// 1-based, in characters.
    pub(crate) column: usize,
    /// Path of the field, such as `nodes[0].ready`; empty for the file as a whole.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: ", self.line, self.column)?;
        if !self.field.is_empty() {
            write!(formatter, "{}: ", self.field)?;
        }
        formatter.write_str(&self.message)
    }
}

/// Reads one YAML (or JSON) document; an empty one is an empty mapping.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the file, bounded.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Mistake>> {
    let mistake = |place: Place, field: String, message: String| Mistake {
        line: place.line,
        column: place.column,
        field,
        message,
    };
    let tree = tree::read(text)
        .map_err(|error| vec![mistake(error.place, path_text(&error.path), error.message)])?;
    let mut mistakes: Vec<Mistake> = tree
        .duplicates
        .into_iter()
        .map(|duplicate| mistake(duplicate.place, path_text(&duplicate.path), duplicate.message))
        .collect();
    let nothing = || Node { place: Place::START, kind: Kind::Mapping(Vec::new()) };
    let root = tree.root.unwrap_or_else(nothing);
    let read = de::read::<T>(&root);
    mistakes.extend(read.errors.iter().map(|error| {
        let (path, place) = error.at.clone().unwrap_or((Vec::new(), Place::START));
        mistake(place, path_text(&path), error.to_string())
    }));
    mistakes.sort();
    mistakes.dedup();
    mistakes.truncate(de::MAX_ERRORS);
    match read.value {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => Err(mistakes),
    }
}

/// What a reader of another file says, without the names of Rust's types: `expected u32` is a whole number.
pub(crate) fn in_words(said: &str) -> String {
    let mut parts = said.split("expected ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = [" at line ", ", "].iter().filter_map(|end| part.find(end)).min().unwrap_or(part.len());
        let (expected, rest) = part.split_at(end);
        text.push_str("expected ");
        text.push_str(de::in_words(expected));
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_other_readers_expect_is_said_in_words_of_people() {
        for (said, meant) in [
            (
                "invalid type: string \"x\", expected f64 at line 1 column 8",
                "invalid type: string \"x\", expected a number at line 1 column 8",
            ),
            (
                "invalid length 1, expected struct Raw with 13 elements",
                "invalid length 1, expected a mapping",
            ),
            (
                "invalid type: map, expected a sequence, then more",
                "invalid type: map, expected a list, then more",
            ),
            ("expected value at line 1 column 1", "expected value at line 1 column 1"),
            ("the host is not as expected ", "the host is not as expected "),
            ("no such file", "no such file"),
        ] {
            assert_eq!(in_words(said), meant);
        }
    }

    #[test]
    fn every_mistake_is_told_in_the_order_of_the_file() {
        let found = read::<BTreeMap<String, u8>>("a: x\nb: 1\nb: 2\nc: [1]\n").unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "1:4: a: expected a whole number, found `x`",
                "3:1: b: given twice, first in line 2",
                "4:4: c: expected a whole number, found a list",
            ]
        );
        assert_eq!(read::<BTreeMap<String, u8>>("# nothing\n"), Ok(BTreeMap::new()));
        assert_eq!(read::<BTreeMap<String, u8>>(r#"{"a": 1}"#), Ok(BTreeMap::from([("a".to_owned(), 1)])));
    }
}

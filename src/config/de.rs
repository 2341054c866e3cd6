//! Reads a tree into the raw structures, and collects every error instead of stopping at the first.
//!
//! serde stops at the first error. Here the value that made it is noted, left out, and the tree is read
//! again until nothing is wrong any more, so that one look at the messages is enough to mend a file.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};

use super::tree::{Entry, Kind, Node, Path, Place, Step, shorten};

/// Errors named for one file; more would not help anybody.
pub(super) const MAX_ERRORS: usize = 50;

/// What is wrong with a value.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A key that nobody knows.
    UnknownField { expected: &'static [&'static str] },
    /// A key that must be there.
    MissingField(&'static str),
    /// Anything else, as text.
    Other(String),
}

/// One error of reading, with its place once it is known.
#[derive(Debug, Clone)]
pub(super) struct ReadError {
    pub(super) at: Option<(Path, Place)>,
    pub(super) what: What,
}

impl ReadError {
    fn at(mut self, path: &Path, place: Place) -> Self {
        self.at.get_or_insert_with(|| (path.clone(), place));
        self
    }
}

impl Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::UnknownField { expected } => {
                f.write_str("unknown field")?;
                match self.at.as_ref().and_then(|(path, _)| path.last()) {
                    Some(Step::Key(key)) => f.write_str(&suggestion(key, expected.iter().copied())),
                    _ => Ok(()),
                }
            }
            What::MissingField(field) => write!(f, "`{field}` is missing"),
            What::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: Display>(message: T) -> Self {
        Self { at: None, what: What::Other(message.to_string()) }
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self { at: None, what: What::UnknownField { expected } }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { at: None, what: What::MissingField(field) }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}, found {}", found_text(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

fn found_text(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!("`{}`", shorten(text)),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

/// `; did you mean …?`, or the words that exist when there are few, or nothing.
pub(super) fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    if let Some(close) = close_word(word, &known) {
        return format!("; did you mean `{close}`?");
    }
    if known.is_empty() || known.len() > 12 {
        return String::new();
    }
    let words: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
    format!("; known are {}", words.join(", "))
}

/// The known word that `word` was probably meant to be.
pub(super) fn close_word<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > 60 {
        return None;
    }
    let plain = word.to_lowercase().replace('-', "_");
    similar::get_close_matches(plain.as_str(), known, 1, 0.7).first().copied()
}

/// Reads `root` as a `T`, and returns it with everything that had to be left out.
///
/// `None` when nothing sensible is left (the file is a list, for example).
pub(super) fn read<T: DeserializeOwned>(root: &Node) -> (Option<T>, Vec<ReadError>) {
    let mut left_out: BTreeSet<Path> = BTreeSet::new();
    let mut errors = vec![];
    loop {
        let reader = NodeReader { node: root, path: vec![], left_out: &left_out };
        match T::deserialize(reader) {
            Ok(value) => return (Some(value), errors),
            Err(error) => {
                let error = error.at(&vec![], root.place);
                let path = error.at.as_ref().map(|(path, _)| path.clone()).unwrap_or_default();
                // A field that was left out for its own error is not missing as well.
                let known = matches!(error.what, What::MissingField(field) if {
                    let mut field_path = path.clone();
                    field_path.push(Step::Key(field.to_owned()));
                    left_out.contains(&field_path)
                });
                if !known {
                    errors.push(error);
                }
                if path.is_empty() || errors.len() >= MAX_ERRORS || !left_out.insert(path) {
                    return (None, errors);
                }
            }
        }
    }
}

struct NodeReader<'a> {
    node: &'a Node,
    path: Path,
    left_out: &'a BTreeSet<Path>,
}

impl<'a> NodeReader<'a> {
    fn mapping<'de, V: Visitor<'de>>(self, entries: &'a [Entry], visitor: V) -> Result<V::Value, ReadError> {
        let (path, place) = (self.path.clone(), self.node.place);
        visitor
            .visit_map(Entries {
                entries: entries.iter(),
                value: None,
                path: self.path,
                left_out: self.left_out,
            })
            .map_err(|error| error.at(&path, place))
    }

    fn sequence<'de, V: Visitor<'de>>(self, items: &'a [Node], visitor: V) -> Result<V::Value, ReadError> {
        let (path, place) = (self.path.clone(), self.node.place);
        visitor
            .visit_seq(Items { items: items.iter().enumerate(), path: self.path, left_out: self.left_out })
            .map_err(|error| error.at(&path, place))
    }

    /// Plain scalars read by YAML's core schema; everything else is text.
    fn scalar<'de, V: Visitor<'de>>(
        &self,
        text: &str,
        plain: bool,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let result = if !plain {
            visitor.visit_str(text)
        } else if self.node.is_null() {
            visitor.visit_unit()
        } else if let Some(value) = boolean(text) {
            visitor.visit_bool(value)
        } else if let Ok(value) = text.parse::<u64>() {
            visitor.visit_u64(value)
        } else if let Ok(value) = text.parse::<i64>() {
            visitor.visit_i64(value)
        } else {
            visitor.visit_str(text)
        };
        result.map_err(|error: ReadError| error.at(&self.path, self.node.place))
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Scalar { text, plain } => self.scalar(text, *plain, visitor),
            Kind::Sequence(items) => self.sequence(items, visitor),
            Kind::Mapping(entries) => self.mapping(entries, visitor),
        }
    }

    /// Text fields take plain scalars as they stand, so that `1.30` stays `1.30`.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if !self.node.is_null() => {
                visitor.visit_str(text).map_err(|error: ReadError| error.at(&self.path, self.node.place))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// A mapping of which every line is commented out is an empty mapping.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { self.mapping(&[], visitor) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        // serde would take a list as the fields in their order.
        if matches!(self.node.kind, Kind::Sequence(_)) {
            let error: ReadError = de::Error::invalid_type(Unexpected::Seq, &visitor);
            return Err(error.at(&self.path, self.node.place));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { self.sequence(&[], visitor) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum ignored_any
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
    path: Path,
    left_out: &'a BTreeSet<Path>,
}

impl Entries<'_> {
    fn path_to(&self, entry: &Entry) -> Path {
        let mut path = self.path.clone();
        path.push(Step::Key(entry.key.clone()));
        path
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let entry = loop {
            match self.entries.next() {
                None => return Ok(None),
                Some(entry) if self.left_out.contains(&self.path_to(entry)) => {}
                Some(entry) => break entry,
            }
        };
        self.value = Some(entry);
        let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(&self.path_to(entry), entry.key_place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let entry = self.value.take().ok_or_else(|| de::Error::custom("a value was read before its key"))?;
        let path = self.path_to(entry);
        let reader = NodeReader { node: &entry.value, path: path.clone(), left_out: self.left_out };
        seed.deserialize(reader).map_err(|error| error.at(&path, entry.value.place))
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    path: Path,
    left_out: &'a BTreeSet<Path>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        for (index, node) in self.items.by_ref() {
            let mut path = self.path.clone();
            path.push(Step::Index(index));
            if self.left_out.contains(&path) {
                continue;
            }
            let reader = NodeReader { node, path: path.clone(), left_out: self.left_out };
            return seed.deserialize(reader).map(Some).map_err(|error| error.at(&path, node.place));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::tree;
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Top {
        version: Option<u32>,
        text: Option<String>,
        items: Vec<Item>,
        by_name: BTreeMap<String, bool>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        from: String,
        to: String,
    }

    fn errors(text: &str) -> Vec<String> {
        let root = tree::read(text).unwrap().root.unwrap();
        read::<Top>(&root)
            .1
            .iter()
            .map(|error| {
                let (path, place) = error.at.clone().unwrap();
                format!("{}:{}: {}: {error}", place.line, place.column, tree::path_text(&path))
            })
            .collect()
    }

    #[test]
    fn every_error_is_collected_with_place_and_path() {
        let found = errors(
            "version: one\ntexd: x\nitems:\n- {from: a, to: b}\n- {from: [], to: b}\n- {from: a}\n- 7\nby_name: {a: maybe, b: true}\n",
        );
        assert_eq!(
            found,
            [
                "1:10: version: expected u32, found `one`",
                "2:1: texd: unknown field; did you mean `text`?",
                "5:10: items[1].from: expected a string, found a list",
                "6:3: items[2]: `to` is missing",
                "7:3: items[3]: expected struct Item, found the number 7",
                "8:14: by_name.a: expected a boolean, found `maybe`",
            ]
        );
    }

    #[test]
    fn what_is_right_survives_what_is_wrong() {
        let root =
            tree::read("version: one\ntext: 1.30\nby_name: {a: maybe, b: true}\n").unwrap().root.unwrap();
        let (top, errors) = read::<Top>(&root);
        let top = top.unwrap();
        assert_eq!(errors.len(), 2);
        assert_eq!(top.text.as_deref(), Some("1.30"));
        assert_eq!(top.by_name, BTreeMap::from([("b".to_owned(), true)]));
    }

    #[test]
    fn list_at_the_top_is_one_error() {
        assert_eq!(errors("- a\n"), ["1:1: : expected struct Top, found a list"]);
    }

    #[test]
    fn errors_are_bounded() {
        let text: String = (0..500).map(|n| format!("unknown{n}: x\n")).collect();
        assert_eq!(errors(&text).len(), MAX_ERRORS);
    }
}

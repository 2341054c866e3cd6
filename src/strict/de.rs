//! Reads a tree into structures, and collects every error instead of stopping at the first.
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

use super::blank::Blank;
use super::tree::{Entry, Kind, Node, Path, Place, Step, shorten};

/// Errors named for one file; more would not help anybody.
pub(crate) const MAX_ERRORS: usize = 50;

/// What is wrong with a value.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A key that nobody knows.
    UnknownField { expected: &'static [&'static str] },
    /// A key that must be there.
    MissingField(&'static str),
    /// Anything else, as text.
    Other(String),
}

/// One error of reading, with its place once it is known.
#[derive(Debug, Clone)]
pub(crate) struct ReadError {
    pub(crate) at: Option<(Path, Place)>,
    pub(crate) what: What,
}

impl ReadError {
    /// Whether it is a key of the mapping at `path` by which `field` was meant.
    fn is_slip_of(&self, path: &Path, field: &str) -> bool {
        let (What::UnknownField { expected }, Some((place, _))) = (&self.what, &self.at) else {
            return false;
        };
        match place.split_last() {
            Some((Step::Key(key), around)) => around == path && close_word(key, expected) == Some(field),
            _ => false,
        }
    }

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

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        let known = suggestion(found, expected.iter().copied());
        Self::custom(format_args!("unknown word `{}`{known}", shorten(found)))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected_text(&expected.to_string(), &found);
        Self::custom(format_args!("expected {expected}, found {}", found_text(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// What serde and the derived readers expect, in words for people: they name Rust's types.
fn expected_text(expected: &str, found: &Unexpected<'_>) -> String {
    // A number of the wrong size is told the right ones.
    let is_number = matches!(found, Unexpected::Unsigned(_) | Unexpected::Signed(_));
    let whole = |most: u64| match is_number {
        true => format!("a whole number from 0 to {most}"),
        false => "a whole number".to_owned(),
    };
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" if is_number => "a whole number of 0 or more".to_owned(),
        _ => in_words(expected).to_owned(),
    }
}

/// What serde expects, in words for people.
pub(super) fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        // Structures without words of their own.
        named if named.starts_with("struct ") || named.starts_with("internally tagged enum ") => "a mapping",
        named if named.starts_with("enum ") || named == "variant identifier" => "a word",
        own => own,
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
pub(crate) fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
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
pub(crate) fn close_word<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > 60 {
        return None;
    }
    let plain = word.to_lowercase().replace('-', "_");
    similar::get_close_matches(plain.as_str(), known, 1, 0.7).first().copied()
}

/// What was read, and everything that could not be.
pub(crate) struct Read<T> {
    /// `None` when nothing sensible is left (the file is a list, for example).
    pub(crate) value: Option<T>,
    pub(crate) errors: Vec<ReadError>,
    /// Values that were read as if they were not there.
    pub(crate) left_out: BTreeSet<Path>,
    /// Fields that are missing, or were left out although they must be there: they were read as if nothing was written
    /// there, so that what stands beside them is looked at.
    pub(crate) blank: BTreeSet<Path>,
}

/// Reads `root` as a `T`.
pub(crate) fn read<T: DeserializeOwned>(root: &Node) -> Read<T> {
    let mut read = Read { value: None, errors: vec![], left_out: BTreeSet::new(), blank: BTreeSet::new() };
    loop {
        let without = Without { left_out: &read.left_out, blank: &read.blank };
        let error = match T::deserialize(NodeReader { node: root, path: vec![], without }) {
            Ok(value) => return Read { value: Some(value), ..read },
            Err(error) => error.at(&vec![], root.place),
        };
        let path = error.at.as_ref().map(|(path, _)| path.clone()).unwrap_or_default();
        if let Some(blank) = read.blank.iter().find(|blank| path.starts_with(blank)).cloned() {
            // Nothing is no value there: what is around it goes instead.
            read.blank.remove(&blank);
            let around = blank[..blank.len() - 1].to_vec();
            if around.is_empty() || !read.left_out.insert(around) {
                return read;
            }
            continue;
        }
        if let What::MissingField(field) = error.what {
            let mut missing = path.clone();
            missing.push(Step::Key(field.to_owned()));
            // A field that was left out for its own error, or is there under a slip of its name, is not missing as well.
            let is_told = read.left_out.contains(&missing)
                || read.errors.iter().any(|told| told.is_slip_of(&path, field));
            if !is_told {
                read.errors.push(error);
            }
            if read.errors.len() >= MAX_ERRORS || !read.blank.insert(missing) {
                return read;
            }
            continue;
        }
        read.errors.push(error);
        if path.is_empty() || read.errors.len() >= MAX_ERRORS || !read.left_out.insert(path) {
            return read;
        }
    }
}

/// What is not read as it stands.
#[derive(Clone, Copy)]
struct Without<'a> {
    left_out: &'a BTreeSet<Path>,
    blank: &'a BTreeSet<Path>,
}

struct NodeReader<'a> {
    node: &'a Node,
    path: Path,
    without: Without<'a>,
}

impl<'a> NodeReader<'a> {
    fn mapping<'de, V: Visitor<'de>>(self, entries: &'a [Entry], visitor: V) -> Result<V::Value, ReadError> {
        let (path, place) = (self.path.clone(), self.node.place);
        visitor
            .visit_map(Entries {
                entries: entries.iter(),
                value: None,
                blank: None,
                path: self.path,
                without: self.without,
                given: 0,
            })
            .map_err(|error| error.at(&path, place))
    }

    fn sequence<'de, V: Visitor<'de>>(self, items: &'a [Node], visitor: V) -> Result<V::Value, ReadError> {
        let (path, place) = (self.path.clone(), self.node.place);
        visitor
            .visit_seq(Items { items: items.iter().enumerate(), path: self.path, without: self.without })
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

    /// Enums are words.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let result = match &self.node.kind {
            Kind::Scalar { text, .. } if !self.node.is_null() => {
                visitor.visit_enum(IntoDeserializer::<ReadError>::into_deserializer(text.as_str()))
            }
            Kind::Scalar { .. } => Err(de::Error::invalid_type(Unexpected::Unit, &"a word")),
            Kind::Sequence(_) => Err(de::Error::invalid_type(Unexpected::Seq, &"a word")),
            Kind::Mapping(_) => Err(de::Error::invalid_type(Unexpected::Map, &"a word")),
        };
        result.map_err(|error: ReadError| error.at(&self.path, self.node.place))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct ignored_any
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
    /// A key with nothing behind it.
    blank: Option<&'a Path>,
    /// How many of these were given.
    given: usize,
    path: Path,
    without: Without<'a>,
}

impl<'a> Entries<'a> {
    /// The next field that is read as if nothing was written there.
    fn next_blank(&mut self) -> Option<&'a Path> {
        let mut here = self.without.blank.iter().filter(|blank| blank[..blank.len() - 1] == self.path[..]);
        let blank = here.nth(self.given)?;
        self.given += 1;
        Some(blank)
    }

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
                None => {
                    self.blank = self.next_blank();
                    let Some(Step::Key(key)) = self.blank.and_then(|path| path.last()) else {
                        return Ok(None);
                    };
                    let key: StrDeserializer<'_, ReadError> = key.as_str().into_deserializer();
                    return seed.deserialize(key).map(Some);
                }
                Some(entry) if self.without.left_out.contains(&self.path_to(entry)) => {}
                Some(entry) => break entry,
            }
        };
        self.value = Some(entry);
        let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(&self.path_to(entry), entry.key_place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        if let Some(path) = self.blank.take() {
            return seed.deserialize(Blank).map_err(|error| error.at(path, Place::START));
        }
        let entry = self.value.take().ok_or_else(|| de::Error::custom("a value was read before its key"))?;
        let path = self.path_to(entry);
        let reader = NodeReader { node: &entry.value, path: path.clone(), without: self.without };
        seed.deserialize(reader).map_err(|error| error.at(&path, entry.value.place))
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    path: Path,
    without: Without<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        for (index, node) in self.items.by_ref() {
            let mut path = self.path.clone();
            path.push(Step::Index(index));
            if self.without.left_out.contains(&path) {
                continue;
            }
            let reader = NodeReader { node, path: path.clone(), without: self.without };
            return seed.deserialize(reader).map(Some).map_err(|error| error.at(&path, node.place));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;

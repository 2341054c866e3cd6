//! The rules that come with the program, read by way of the quick reader of manifests.
//!
//! Every run reads them, so they are not given to a parser that must say what is wrong with any file: tests hold
//! what is read here against what that parser reads, for each of them. A repository's own rules never come here.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer as _, Visitor};
use serde::forward_to_deserialize_any;

use super::raw::RawRule;
use crate::domain::manifest::document::{Document, NodeId, Style};

/// Reads a rule; `None` leaves it to the parser.
pub(super) fn read(text: &str) -> Option<RawRule> {
    let document = Document::read_plain(text, 0..text.len())?;
    serde::Deserialize::deserialize(Node { document: &document, id: document.root()? }).ok()
}

/// It is not as it should be: the parser says how.
#[derive(Debug)]
struct Unexpected;

impl fmt::Display for Unexpected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("not as expected")
    }
}

impl std::error::Error for Unexpected {}

impl de::Error for Unexpected {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    document: &'a Document<'a>,
    id: NodeId,
}

impl<'a> Node<'a> {
    fn text(self) -> Result<&'a str, Unexpected> {
        self.document.scalar(self.id).ok_or(Unexpected)
    }

    fn is_null(self) -> bool {
        self.document.style(self.id) == Some(Style::Plain)
            && matches!(self.document.scalar(self.id), Some("" | "~" | "null" | "Null" | "NULL"))
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Unexpected;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        if self.document.is_mapping(self.id) {
            let pairs = self.document.children(self.id);
            visitor.visit_map(Pairs { document: self.document, pairs, value: None })
        } else if self.document.is_sequence(self.id) {
            let entries = self.document.children(self.id);
            visitor.visit_seq(Entries { document: self.document, entries })
        } else {
            // What is a number or a truth value is asked for as such; all else is a text.
            visitor.visit_borrowed_str(self.text()?)
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self.text()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Unexpected),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        visitor.visit_u64(self.text()?.parse().map_err(|_| Unexpected)?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 u32 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Pairs<'a, I> {
    document: &'a Document<'a>,
    pairs: I,
    value: Option<NodeId>,
}

impl<'a, I: Iterator<Item = (Option<&'a str>, NodeId)>> de::MapAccess<'a> for Pairs<'a, I> {
    type Error = Unexpected;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Unexpected> {
        let Some((key, value)) = self.pairs.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(BorrowedStrDeserializer::new(key.ok_or(Unexpected)?)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Unexpected> {
        seed.deserialize(Node { document: self.document, id: self.value.take().ok_or(Unexpected)? })
    }
}

struct Entries<'a, I> {
    document: &'a Document<'a>,
    entries: I,
}

impl<'a, I: Iterator<Item = (Option<&'a str>, NodeId)>> de::SeqAccess<'a> for Entries<'a, I> {
    type Error = Unexpected;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Unexpected> {
        let Some((_, id)) = self.entries.next() else { return Ok(None) };
        seed.deserialize(Node { document: self.document, id }).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::super::registry::EMBEDDED;
    use super::*;

    #[test]
    fn every_embedded_rule_is_read_as_the_parser_reads_it() {
        for (file, text) in EMBEDDED {
            let parsed = compile::read_any(text).unwrap();
            let quick = read(text).unwrap_or_else(|| panic!("{file} is left to the parser"));
            assert_eq!(format!("{quick:#?}"), format!("{parsed:#?}"), "{file}");
        }
    }

    #[test]
    fn what_is_no_rule_is_left_to_the_parser() {
        for text in ["", "[]\n", "id: a\n", "id: a\ntitle: b\nwhy: c\nunknown: d\n", "id: [\n"] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}

//! Objects of a manifest as values: what kustomize works on.

use super::scalar::{self, Meaning};
use crate::domain::manifest::document::{Document, NodeId, Style};
use crate::domain::manifest::split;

/// Deeper than any schema of a CustomResourceDefinition; what nests deeper is refused.
const MAX_DEPTH: usize = 128;

/// A value of YAML. Keys are kept in the order of reading and sorted when printed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number or a time without quotes, as it is written.
    Number(String),
    /// A text, without quotes.
    Text(String),
    /// A sequence.
    List(Vec<Self>),
    /// A mapping; no key twice.
    Map(Vec<(String, Self)>),
}

/// Why a text is no list of objects, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// 1-based.
    pub line: usize,
    pub message: String,
}

impl Node {
    pub(super) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    /// A mapping of these pairs.
    pub(super) fn map<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Map(pairs) => pairs.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value at a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub(super) fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, key| node.get_mut(key))
    }

    /// The text at a path of keys.
    pub(super) fn text_at(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items at a path of keys; empty where there is no sequence.
    pub(super) fn items_at(&self, path: &[&str]) -> &[Self] {
        match self.at(path) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }

    /// Sets a key; `false` where this is no mapping.
    pub(super) fn set(&mut self, key: &str, value: Self) -> bool {
        let Self::Map(pairs) = self else { return false };
        match pairs.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => pairs.push((key.to_owned(), value)),
        }
        true
    }

    /// The mapping at a path of keys, made where it is missing. `None` where something else stands in the way.
    pub(super) fn mapping_at(&mut self, path: &[&str]) -> Option<&mut Self> {
        let mut node = self;
        for key in path {
            if node.get(key).is_none_or(|value| *value == Self::Null) && !node.set(key, Self::Map(Vec::new()))
            {
                return None;
            }
            node = node.get_mut(key)?;
        }
        matches!(node, Self::Map(_)).then_some(node)
    }

    pub(super) fn kind(&self) -> &str {
        self.text_at(&["kind"]).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.text_at(&["metadata", "name"]).unwrap_or_default()
    }
}

/// The objects of a file, empty documents left out.
pub(super) fn objects(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut found = Vec::new();
    for (line, value) in documents(text)? {
        match value {
            Node::Map(_) => found.push(value),
            Node::Null => {}
            _ => return Err(Unreadable { line, message: "is no object".to_owned() }),
        }
    }
    Ok(found)
}

/// The values of the documents of a file.
pub(super) fn values(text: &str) -> Result<Vec<Node>, Unreadable> {
    documents(text).map(|documents| documents.into_iter().map(|(_, value)| value).collect())
}

/// Line and value of each document that has one.
fn documents(text: &str) -> Result<Vec<(usize, Node)>, Unreadable> {
    let unreadable = |offset: usize, message: String| Unreadable { line: line_of(text, offset), message };
    let mut found = Vec::new();
    for chunk in split::documents(text) {
        let document =
            Document::parse(text, chunk.range).map_err(|error| unreadable(error.offset, error.message))?;
        let Some(root) = document.root() else { continue };
        let value = read(&document, root, 0).map_err(|(offset, message)| unreadable(offset, message))?;
        found.push((line_of(text, document.span(root).start), value));
    }
    Ok(found)
}

/// 1-based line of a byte offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// The value of a node; an error says where and what.
pub(super) fn read(document: &Document<'_>, id: NodeId, depth: usize) -> Result<Node, (usize, String)> {
    let offset = document.span(id).start;
    if depth > MAX_DEPTH {
        return Err((offset, format!("nests deeper than {MAX_DEPTH} levels")));
    }
    if document.is_sequence(id) {
        let items = document.children(id).map(|(_, child)| read(document, child, depth + 1));
        return items.collect::<Result<_, _>>().map(Node::List);
    }
    if document.is_mapping(id) {
        let mut pairs: Vec<(String, Node)> = Vec::new();
        let mut keys = std::collections::HashSet::new();
        for (key, child) in document.children(id) {
            let key =
                key.ok_or_else(|| (document.span(child).start, "has a key that is no text".to_owned()))?;
            if !keys.insert(key) {
                return Err((document.span(child).start, format!("has the key `{key}` twice")));
            }
            pairs.push((key.to_owned(), read(document, child, depth + 1)?));
        }
        return Ok(Node::Map(pairs));
    }
    let Some(text) = document.scalar(id) else {
        return Err((offset, "has an alias that leads nowhere".to_owned()));
    };
    if document.style(id) != Some(Style::Plain) {
        return Ok(Node::text(text));
    }
    match (scalar::meaning(text), text) {
        (Meaning::Null, _) => Ok(Node::Null),
        (Meaning::Bool, "true" | "True" | "TRUE") => Ok(Node::Bool(true)),
        (Meaning::Bool, "false" | "False" | "FALSE") => Ok(Node::Bool(false)),
        // kustomize reads YAML 1.2, where `yes` and `on` are texts.
        (Meaning::Bool | Meaning::Text, _) => Ok(Node::text(text)),
        (Meaning::Number | Meaning::Time, _) => Ok(Node::Number(text.to_owned())),
    }
}

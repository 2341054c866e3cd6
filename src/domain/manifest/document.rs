//! One YAML document as nodes with byte spans.

mod build;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use super::keys::Keys;
use super::route::{self, Pattern, Segment};

/// How many aliases or merge keys a look-up follows before it gives up.
const MAX_HOPS: usize = 16;

/// Index of a node in its [`Document`].
pub type NodeId = u32;

const NONE: NodeId = NodeId::MAX;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `a`
    Plain,
    /// `'a'` or `"a"`
    Quoted,
    /// `|` and `>`
    Block,
}

#[derive(Debug)]
enum Value<'text> {
    Scalar { value: Cow<'text, str>, style: Style },
    Sequence,
    Mapping,
    Alias(NodeId),
}

#[derive(Debug)]
struct Node<'text> {
    value: Value<'text>,
    /// In the file, not in the chunk.
    span: Range<usize>,
    parent: NodeId,
    key: NodeId,
    first: NodeId,
    next: NodeId,
    index: u32,
}

/// Why a document cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Byte offset in the file.
    pub offset: usize,
    /// What the YAML reader said.
    pub message: String,
}

/// One document: a tree of nodes over the text of its file.
#[derive(Debug)]
pub struct Document<'text> {
    text: &'text str,
    chunk: Range<usize>,
    nodes: Vec<Node<'text>>,
    keys: Keys,
}

impl<'text> Document<'text> {
    /// Reads the document that stands at `chunk` of `text`.
    ///
    /// # Errors
    ///
    /// What is no YAML, or has or repeats by aliases more nodes than any manifest.
    pub fn parse(text: &'text str, chunk: Range<usize>) -> Result<Self, ParseError> {
        build::Builder::new(text, chunk.clone()).run(&text[chunk.clone()], chunk)
    }

    /// The root node; `None` for an empty document.
    pub fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(0)
    }

    /// Keys of mappings anywhere in the document.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    fn node(&self, id: NodeId) -> &Node<'text> {
        &self.nodes[id as usize]
    }

    /// The node itself, aliases followed to what they stand for.
    pub fn resolve(&self, mut id: NodeId) -> NodeId {
        for _ in 0..MAX_HOPS {
            match self.node(id).value {
                Value::Alias(target) if target != NONE => id = target,
                _ => break,
            }
        }
        id
    }

    /// The value of a scalar, as YAML reads it (always text, never a number).
    pub fn scalar(&self, id: NodeId) -> Option<&str> {
        match &self.node(self.resolve(id)).value {
            Value::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// How a scalar is written.
    pub fn style(&self, id: NodeId) -> Option<Style> {
        match self.node(self.resolve(id)).value {
            Value::Scalar { style, .. } => Some(style),
            _ => None,
        }
    }

    /// Whether the node is a mapping.
    pub fn is_mapping(&self, id: NodeId) -> bool {
        matches!(self.node(self.resolve(id)).value, Value::Mapping)
    }

    /// Whether the node is a sequence.
    pub fn is_sequence(&self, id: NodeId) -> bool {
        matches!(self.node(self.resolve(id)).value, Value::Sequence)
    }

    /// Byte range of the node as it is written, quotes included.
    pub fn span(&self, id: NodeId) -> Range<usize> {
        self.node(id).span.clone()
    }

    /// Byte range in the file whose bytes are exactly the scalar's value, quotes excluded.
    ///
    /// `None` where the value is not written as it reads (escapes, folded lines, block scalars):
    /// there no bytes can be replaced one for one.
    pub fn value_span(&self, id: NodeId) -> Option<Range<usize>> {
        let node = self.node(self.resolve(id));
        let Value::Scalar { value, style } = &node.value else { return None };
        let range = match style {
            Style::Plain => node.span.start..node.span.start + value.len(),
            Style::Quoted => {
                let start = node.span.start + 1;
                start..start + value.len()
            }
            Style::Block => return None,
        };
        (self.text.get(range.clone()) == Some(&**value)).then_some(range)
    }

    /// Every node in the order of the file: keys, and what aliases stand for not entered.
    pub fn nodes(&self) -> std::ops::Range<NodeId> {
        // MAX_NODES is far below the range of NodeId.
        0..self.nodes.len() as NodeId
    }

    /// Value and style of a node that is itself a scalar; aliases are none.
    pub fn literal(&self, id: NodeId) -> Option<(&str, Style)> {
        match &self.node(id).value {
            Value::Scalar { value, style } => Some((value, *style)),
            _ => None,
        }
    }

    /// Whether two nodes are of one kind, and stand for the same node where they are aliases.
    pub fn is_alike(&self, id: NodeId, other: &Document<'_>, twin: NodeId) -> bool {
        match (&self.node(id).value, &other.node(twin).value) {
            (Value::Scalar { style, .. }, Value::Scalar { style: twin, .. }) => style == twin,
            (Value::Sequence, Value::Sequence) | (Value::Mapping, Value::Mapping) => true,
            (Value::Alias(target), Value::Alias(twin)) => target == twin,
            _ => false,
        }
    }

    /// Byte range in the file of the lines of a block scalar, from the start of its first line.
    ///
    /// Block lines share their indentation, so the range can be read as a document of its own whose
    /// spans are places of this file. `None` for other scalars.
    pub fn block_lines(&self, id: NodeId) -> Option<Range<usize>> {
        let node = self.node(id);
        if !matches!(node.value, Value::Scalar { style: Style::Block, .. }) {
            return None;
        }
        let before = self.text.get(..node.span.start)?;
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        // The span may start at the header (`|-`) or at the first line of content.
        let start = if self.text.get(line..node.span.start)?.trim().is_empty() && !self.starts_header(node) {
            line
        } else {
            node.span.start + self.text.get(node.span.start..)?.find('\n')? + 1
        };
        let end = node.span.end.max(start);
        self.text.get(start..end)?;
        Some(start..end)
    }

    fn starts_header(&self, node: &Node<'_>) -> bool {
        self.text[node.span.start..].starts_with(['|', '>'])
    }

    /// The text that the document was read from.
    pub fn source(&self) -> &'text str {
        &self.text[self.chunk.clone()]
    }

    /// Byte range in the file of everything the document holds.
    pub fn extent(&self) -> Range<usize> {
        self.chunk.clone()
    }

    /// The children of a node: key (for mappings) and value, in order. Aliases are followed.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = (Option<&str>, NodeId)> {
        let mut next = self.node(self.resolve(id)).first;
        std::iter::from_fn(move || {
            let id = (next != NONE).then_some(next)?;
            let node = self.node(id);
            next = node.next;
            let key = (node.key != NONE).then(|| self.scalar(node.key)).flatten();
            Some((key, id))
        })
    }

    /// The value of a key of a mapping; merge keys (`<<`) are looked into.
    pub fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.get_bounded(id, key, MAX_HOPS, &mut BTreeSet::new())
    }

    /// `seen` holds the mappings that were looked into: the same one has nothing new by another way, and
    /// there may be as many ways as there are nodes.
    fn get_bounded(&self, id: NodeId, key: &str, hops: usize, seen: &mut BTreeSet<NodeId>) -> Option<NodeId> {
        if !self.is_mapping(id) {
            return None;
        }
        let mut merged = None;
        // YAML readers in Kubernetes let the last of two equal keys win or refuse both; the first is
        // what stands first in the file, and a duplicate is no version anyone meant.
        for (name, child) in self.children(id) {
            match name {
                Some(name) if name == key => return Some(child),
                Some("<<") => merged = Some(child),
                _ => {}
            }
        }
        let merged = merged.filter(|_| seen.insert(self.resolve(id)))?;
        let hops = hops.checked_sub(1)?;
        if self.is_sequence(merged) {
            let sources: Vec<_> = self.children(merged).map(|(_, source)| source).collect();
            return sources.into_iter().find_map(|source| self.get_bounded(source, key, hops, seen));
        }
        self.get_bounded(merged, key, hops, seen)
    }

    /// The node at a path of keys below `id`.
    pub fn at(&self, id: NodeId, path: &[&str]) -> Option<NodeId> {
        path.iter().try_fold(id, |node, key| self.child(node, key))
    }

    /// The scalar at a path of keys below `id`.
    pub fn scalar_at(&self, id: NodeId, path: &[&str]) -> Option<&str> {
        self.scalar(self.at(id, path)?)
    }

    fn child(&self, id: NodeId, token: &str) -> Option<NodeId> {
        let id = self.resolve(id);
        match self.node(id).value {
            Value::Mapping => self.get(id, token),
            Value::Sequence => {
                let wanted: usize = token.parse().ok()?;
                self.children(id).nth(wanted).map(|(_, child)| child)
            }
            Value::Scalar { .. } | Value::Alias(_) => None,
        }
    }

    /// JSON Pointer of a node, from the document's root.
    pub fn pointer(&self, id: NodeId) -> String {
        let mut trail = Vec::new();
        let mut current = id;
        while current != NONE && self.node(current).parent != NONE {
            trail.push(current);
            current = self.node(current).parent;
        }
        let mut pointer = String::new();
        for id in trail.into_iter().rev() {
            let node = self.node(id);
            match (node.key != NONE).then(|| self.scalar(node.key)).flatten() {
                Some(key) => route::push(&mut pointer, key),
                None => route::push_index(&mut pointer, node.index as usize),
            }
        }
        pointer
    }

    /// The mapping or sequence that holds a node.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        let parent = self.node(id).parent;
        (parent != NONE).then_some(parent)
    }

    /// Every node that a pattern names, seen from `from`, in document order.
    pub fn select(&self, from: NodeId, pattern: &Pattern) -> Vec<NodeId> {
        let mut found = Vec::new();
        self.select_into(from, &pattern.segments, &mut found);
        found
    }

    fn select_into(&self, id: NodeId, segments: &[Segment], found: &mut Vec<NodeId>) {
        let Some((first, rest)) = segments.split_first() else {
            found.push(id);
            return;
        };
        match first {
            Segment::Key(key) => {
                if let Some(child) = self.child(id, key) {
                    self.select_into(child, rest, found);
                }
            }
            Segment::Any => {
                for (_, child) in self.children(id) {
                    self.select_into(child, rest, found);
                }
            }
            // Aliases are not entered: what they stand for is found where it is written. Depth is
            // bounded by the parser's nesting limit.
            Segment::Deep => {
                let leads_on = match self.node(id).value {
                    Value::Alias(_) => return,
                    // Nothing is below a scalar: it is named itself, or not at all.
                    Value::Scalar { .. } => rest.is_empty(),
                    Value::Sequence | Value::Mapping => true,
                };
                if leads_on {
                    self.select_into(id, rest, found);
                    for (_, child) in self.children(id) {
                        self.select_into(child, segments, found);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! One YAML document as nodes with byte spans.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle};

use super::keys::Keys;
use super::route::{self, Pattern, Segment};

/// More nodes than any manifest has; a larger document is refused, not read for ever.
const MAX_NODES: usize = 2_000_000;
/// A key and its value, with their indentation, rarely have fewer.
const BYTES_A_NODE: usize = 12;
/// More nodes than this are made room for as they come: most of a large text may be one scalar.
const MOST_RESERVED: usize = 4_096;
/// More nodes than the aliases of any manifest repeat, each counted with all that it stands for. Few
/// bytes can stand for more nodes than anybody can visit.
const MAX_REPEATED: usize = 100_000;
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
        Builder::new(text, chunk.clone()).run(&text[chunk.clone()], chunk)
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

struct Frame {
    node: NodeId,
    mapping: bool,
    key: NodeId,
    last: NodeId,
    count: u32,
    anchor: Option<usize>,
    /// Nodes below it, those that aliases repeat included.
    size: usize,
}

struct Builder<'text> {
    text: &'text str,
    base: usize,
    nodes: Vec<Node<'text>>,
    frames: Vec<Frame>,
    /// Node and size of what an alias can stand for. A collection is not in it while it is open, so
    /// that no alias leads to a node that holds it: Kubernetes refuses such a cycle, and every walk
    /// would have to watch for it.
    anchors: HashMap<usize, (NodeId, usize)>,
    /// Nodes that the aliases met so far repeat.
    repeated: usize,
    keys: Keys,
}

impl<'text> Builder<'text> {
    fn new(text: &'text str, chunk: Range<usize>) -> Self {
        let nodes = Vec::with_capacity((chunk.len() / BYTES_A_NODE).min(MOST_RESERVED));
        Self {
            text,
            base: chunk.start,
            nodes,
            frames: Vec::new(),
            anchors: HashMap::new(),
            repeated: 0,
            keys: Keys::default(),
        }
    }

    fn run(mut self, body: &'text str, chunk: Range<usize>) -> Result<Document<'text>, ParseError> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.emit_unresolved_aliases = true;
        let mut parser = Parser::new_from_str_with_options(body, options);
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| ParseError {
                offset: self.base + error.marker().byte_offset().unwrap_or_default(),
                message: error.to_string(),
            })?;
            let span = span.byte_range().unwrap_or_default();
            let span = self.base + span.start..self.base + span.end;
            if self.nodes.len() >= MAX_NODES {
                return Err(ParseError {
                    offset: span.start,
                    message: format!("document has more than {MAX_NODES} nodes"),
                });
            }
            let anchor = event.anchor_id().filter(|id| *id > 0);
            match event {
                Event::Scalar(value, style, ..) => {
                    let style = match style {
                        ScalarStyle::Plain => Style::Plain,
                        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    };
                    self.add(Value::Scalar { value, style }, span, anchor);
                }
                Event::SequenceStart(..) => self.open(Value::Sequence, false, span, anchor),
                Event::MappingStart(..) => self.open(Value::Mapping, true, span, anchor),
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(frame) = self.frames.pop() else { continue };
                    self.anchors.extend(frame.anchor.map(|anchor| (anchor, (frame.node, frame.size))));
                    self.grow(frame.size);
                    self.settle();
                }
                Event::Alias(id) => {
                    let (target, size) = self.anchors.get(&id).copied().unwrap_or((NONE, 0));
                    self.grow(size);
                    self.repeated = self.repeated.saturating_add(size);
                    if self.repeated > MAX_REPEATED {
                        return Err(ParseError {
                            offset: span.start,
                            message: format!("aliases repeat more than {MAX_REPEATED} nodes"),
                        });
                    }
                    self.add(Value::Alias(target), span, None);
                }
                Event::UnresolvedAlias(_) => self.add(Value::Alias(NONE), span, None),
                _ => {}
            }
        }
        Ok(Document { text: self.text, chunk, nodes: self.nodes, keys: self.keys })
    }

    fn open(&mut self, value: Value<'text>, mapping: bool, span: Range<usize>, anchor: Option<usize>) {
        let node = self.push(value, span);
        self.frames.push(Frame { node, mapping, key: NONE, last: NONE, count: 0, anchor, size: 1 });
    }

    /// Counts nodes to the open collection.
    fn grow(&mut self, size: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.size = frame.size.saturating_add(size);
        }
    }

    fn add(&mut self, value: Value<'text>, span: Range<usize>, anchor: Option<usize>) {
        let node = self.push(value, span);
        self.anchors.extend(anchor.map(|anchor| (anchor, (node, 1))));
        self.grow(1);
        self.settle();
    }

    /// Adds a node and links it as key or as value of the open collection.
    fn push(&mut self, value: Value<'text>, span: Range<usize>) -> NodeId {
        // MAX_NODES is far below the range of NodeId.
        let id = self.nodes.len() as NodeId;
        let mut node = Node { value, span, parent: NONE, key: NONE, first: NONE, next: NONE, index: 0 };
        if let Some(frame) = self.frames.last_mut() {
            if frame.mapping && frame.key == NONE {
                frame.key = id;
                match &node.value {
                    Value::Scalar { value, .. } => self.keys.add(value),
                    // It stands for a scalar that may not be a key itself.
                    Value::Alias(_) => self.keys.add_all(),
                    Value::Sequence | Value::Mapping => {}
                }
            } else {
                node.parent = frame.node;
                node.index = frame.count;
                node.key = frame.key;
                frame.count += 1;
                let last = std::mem::replace(&mut frame.last, id);
                let parent = frame.node;
                if last == NONE {
                    self.nodes[parent as usize].first = id;
                } else {
                    self.nodes[last as usize].next = id;
                }
            }
        }
        self.nodes.push(node);
        id
    }

    /// Called when a node is complete: a value ends its pair.
    fn settle(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && frame.mapping
            && frame.last != NONE
            && self.nodes[frame.last as usize].key == frame.key
        {
            frame.key = NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Document<'_> {
        Document::parse(text, 0..text.len()).unwrap()
    }

    fn spans<'a>(text: &'a str, pattern: &str) -> Vec<(String, Option<&'a str>)> {
        let document = parse(text);
        document
            .select(document.root().unwrap(), &Pattern::parse(pattern).unwrap())
            .into_iter()
            .map(|id| (document.pointer(id), document.value_span(id).map(|span| &text[span])))
            .collect()
    }

    #[test]
    fn scalars_are_found_with_their_bytes_in_every_style() {
        let text = "a: 1.10\nb: '1.20' # x\nc: \"v1\"\nd: !t 1.30 \ne: [1, {f: 2.0}]\n";
        let all = spans(text, "/*");
        assert_eq!(
            all,
            [
                ("/a".into(), Some("1.10")),
                ("/b".into(), Some("1.20")),
                ("/c".into(), Some("v1")),
                ("/d".into(), Some("1.30")),
                ("/e".into(), None)
            ]
        );
        assert_eq!(spans(text, "/e/1/f"), [("/e/1/f".into(), Some("2.0"))]);
    }

    #[test]
    fn values_that_are_not_written_as_they_read_have_no_bytes() {
        let text = "a: \"1\\u002e2\"\nb: |\n  x\nc: one\n  two\nd: 'it''s'\n";
        assert!(spans(text, "/*").iter().all(|(_, bytes)| bytes.is_none()));
    }

    #[test]
    fn aliases_lead_to_the_bytes_of_their_anchor() {
        let text = "a: &v 1.2.3\nb: *v\n";
        let document = parse(text);
        let b = document.get(0, "b").unwrap();
        assert_eq!(document.scalar(b), Some("1.2.3"));
        assert_eq!(&text[document.value_span(b).unwrap()], "1.2.3");
    }

    #[test]
    fn a_redefined_anchor_means_the_last_one_before_the_alias() {
        let document_text = "a: &v 1\nb: *v\nc: &v 2\nd: *v\n";
        let document = parse(document_text);
        assert_eq!(document.scalar_at(0, &["b"]), Some("1"));
        assert_eq!(document.scalar_at(0, &["d"]), Some("2"));
    }

    #[test]
    fn merge_keys_are_looked_into_and_own_keys_win() {
        let document = parse("base: &b {x: 1, y: 2}\na:\n  <<: *b\n  x: 3\nc:\n  <<: [*b, {z: 9}]\n");
        assert_eq!(document.scalar_at(0, &["a", "x"]), Some("3"));
        assert_eq!(document.scalar_at(0, &["a", "y"]), Some("2"));
        assert_eq!(document.scalar_at(0, &["c", "z"]), Some("9"));
    }

    #[test]
    fn merge_cycles_and_unknown_aliases_end() {
        let document = parse("a: &a\n  <<: *a\n  x: 1\nb: *nothing\n");
        assert_eq!(document.scalar_at(0, &["a", "missing"]), None);
        assert_eq!(document.scalar_at(0, &["b"]), None);
    }

    /// A mapping that merges itself many times once took a look-up through every way of sixteen hops.
    #[test]
    fn merges_of_an_enclosing_mapping_are_not_followed() {
        let document = parse("a: &a\n  <<: [*a, *a, *a, *a, *a, *a, *a, *a]\n  x: *a\n  y: 1\n");
        assert_eq!(document.scalar_at(0, &["a", "missing"]), None);
        assert_eq!(document.at(0, &["a", "x", "y"]), None);
        assert_eq!(document.scalar_at(0, &["a", "y"]), Some("1"));
    }

    /// Each line repeats the one before ten times; patterns and look-ups once visited every copy.
    #[test]
    fn aliases_that_unfold_without_bound_are_refused() {
        let mut text = "a0: &a0 [x, x]\n".to_owned();
        for line in 1..12 {
            let before = format!("*a{},", line - 1).repeat(10);
            text.push_str(&format!("a{line}: &a{line} [{before}]\n"));
        }
        let error = Document::parse(&text, 0..text.len()).unwrap_err();
        assert!(error.message.contains("aliases repeat"), "{error:?}");
        assert!(text[error.offset..].starts_with("*a"), "{error:?}");
        let few: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
        assert_eq!(spans(&few, "/a3/0/*/*/1").len(), 100);
    }

    #[test]
    fn deep_patterns_do_not_enter_aliases() {
        let text = "a: &x\n  image: b:1\nc: *x\n";
        assert_eq!(spans(text, "/**/image"), [("/a/image".into(), Some("b:1"))]);
    }

    #[test]
    fn keys_that_are_collections_do_not_shift_values() {
        let document = parse("? [a, b]\n: 1\nc: 2\n");
        assert_eq!(document.scalar_at(0, &["c"]), Some("2"));
    }

    #[test]
    fn broken_text_names_its_place() {
        let error = Document::parse("a: 1\nb: [1, 2\n", 0..13).unwrap_err();
        assert!(error.offset >= 5, "{error:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "[ -~\\n\\t\u{fc}]{0,200}") {
            if let Ok(document) = Document::parse(&text, 0..text.len())
                && let Some(root) = document.root()
            {
                for id in document.select(root, &Pattern::parse("/**").unwrap()) {
                    let pointer = document.pointer(id);
                    prop_assert!(pointer.is_empty() || pointer.starts_with('/'));
                    if let Some(span) = document.value_span(id) {
                        prop_assert_eq!(&text[span], document.scalar(id).unwrap());
                    }
                }
            }
        }
    }
}

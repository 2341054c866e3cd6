//! Makes the nodes of a document from the events of the YAML reader.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle};

use super::super::keys::Keys;
use super::{Document, NONE, Node, NodeId, ParseError, Style, Value};

/// More nodes than any manifest has; a larger document is refused, not read for ever.
const MAX_NODES: usize = 2_000_000;
/// A key and its value, with their indentation, rarely have fewer.
const BYTES_A_NODE: usize = 12;
/// More nodes than this are made room for as they come: most of a large text may be one scalar.
const MOST_RESERVED: usize = 4_096;
/// More nodes than the aliases of any manifest repeat, each counted with all that it stands for. Few
/// bytes can stand for more nodes than anybody can visit.
const MAX_REPEATED: usize = 100_000;

/// A collection that is still open.
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

/// A document on its way from events to nodes.
pub(super) struct Builder<'text> {
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
    pub(super) fn new(text: &'text str, chunk: Range<usize>) -> Self {
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

    pub(super) fn run(
        mut self,
        body: &'text str,
        chunk: Range<usize>,
    ) -> Result<Document<'text>, ParseError> {
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
            if self.is_full() {
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
                Event::SequenceStart(..) => self.open(Value::Sequence, span, anchor),
                Event::MappingStart(..) => self.open(Value::Mapping, span, anchor),
                Event::SequenceEnd | Event::MappingEnd => self.close(),
                Event::Alias(id) => {
                    let offset = span.start;
                    if !self.alias(id, span) {
                        let message = format!("aliases repeat more than {MAX_REPEATED} nodes");
                        return Err(ParseError { offset, message });
                    }
                }
                Event::UnresolvedAlias(_) => self.add(Value::Alias(NONE), span, None),
                _ => {}
            }
        }
        Ok(self.finish(chunk))
    }

    pub(super) fn finish(self, chunk: Range<usize>) -> Document<'text> {
        Document { text: self.text, chunk, nodes: self.nodes, keys: self.keys }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether nothing may follow any more.
    pub(super) fn is_full(&self) -> bool {
        self.nodes.len() >= MAX_NODES
    }

    /// Adds a collection; what is added until it is closed belongs to it.
    pub(super) fn open(&mut self, value: Value<'text>, span: Range<usize>, anchor: Option<usize>) {
        let mapping = matches!(value, Value::Mapping);
        let node = self.push(value, span);
        self.frames.push(Frame { node, mapping, key: NONE, last: NONE, count: 0, anchor, size: 1 });
    }

    /// Ends the collection that was opened last.
    pub(super) fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        self.anchors.extend(frame.anchor.map(|anchor| (anchor, (frame.node, frame.size))));
        self.grow(frame.size);
        self.settle();
    }

    /// Counts nodes to the open collection.
    fn grow(&mut self, size: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.size = frame.size.saturating_add(size);
        }
    }

    /// Adds a scalar or an alias.
    pub(super) fn add(&mut self, value: Value<'text>, span: Range<usize>, anchor: Option<usize>) {
        let node = self.push(value, span);
        self.anchors.extend(anchor.map(|anchor| (anchor, (node, 1))));
        self.grow(1);
        self.settle();
    }

    /// Adds an alias of an anchor; `false` where aliases then repeat too much.
    pub(super) fn alias(&mut self, anchor: usize, span: Range<usize>) -> bool {
        let (target, size) = self.anchors.get(&anchor).copied().unwrap_or((NONE, 0));
        self.grow(size);
        self.repeated = self.repeated.saturating_add(size);
        if self.repeated > MAX_REPEATED {
            return false;
        }
        self.add(Value::Alias(target), span, None);
        true
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

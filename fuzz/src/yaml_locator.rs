use std::ops::Range;

use gitops_updater::domain::manifest::document::{Document, NodeId};
use gitops_updater::domain::manifest::route::{Pattern, Segment};
use gitops_updater::domain::manifest::split;

/// Pointers are resolved for so many nodes of a document; each costs a walk from the root.
const POINTERS: usize = 256;

/// Documents cover the text in order, every scalar that can be edited stands at its span, and a
/// pointer leads back to the node it was made for.
pub fn yaml_locator(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // With document markers inside.
    both_ways_agree(text, 0..text.len());
    let mut end = 0;
    let mut next_index = 0;
    for chunk in split::documents(text) {
        assert!(chunk.range.start >= end && chunk.range.end <= text.len(), "{chunk:?} after {end}");
        assert!(chunk.index >= next_index, "{chunk:?} after index {next_index}");
        end = chunk.range.end;
        next_index = chunk.index + 1;
        both_ways_agree(text, chunk.range.clone());
        match Document::parse(text, chunk.range.clone()) {
            Ok(document) => document_holds(text, &document),
            Err(error) => assert!(
                (chunk.range.start..=chunk.range.end).contains(&error.offset),
                "{error:?} outside {chunk:?}"
            ),
        }
    }
}

/// What the reader of plain documents reads, the parser reads the same.
fn both_ways_agree(text: &str, chunk: Range<usize>) {
    if let Some(plain) = Document::read_plain(text, chunk.clone()) {
        assert_eq!(Ok(plain), Document::read_parsed(text, chunk));
    }
}

fn document_holds(text: &str, document: &Document<'_>) {
    let Some(root) = document.root() else { return };
    let everything = Pattern { absolute: true, segments: vec![Segment::Deep] };
    let nodes = document.select(root, &everything);
    let extent = document.extent();
    let step = nodes.len() / POINTERS + 1;
    for (position, node) in nodes.iter().copied().enumerate() {
        let span = document.span(node);
        assert!(extent.start <= span.start && span.end <= extent.end && span.start <= span.end, "{span:?}");
        if let Some(span) = document.value_span(node) {
            assert_eq!(text.get(span), document.scalar(node), "{}", document.pointer(node));
        }
        if let Some(lines) = document.block_lines(node) {
            assert!(text.get(lines).is_some());
        }
        if position % step == 0 {
            leads_back(document, root, node);
        }
    }
}

fn leads_back(document: &Document<'_>, root: NodeId, node: NodeId) {
    let pointer = document.pointer(node);
    assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer}");
    let segments: Vec<Segment> = pointer
        .split('/')
        .skip(1)
        .map(|token| Segment::Key(token.replace("~1", "/").replace("~0", "~")))
        .collect();
    let found = document.select(root, &Pattern { absolute: true, segments });
    assert!(found == [node] || ambiguous(document, node), "{pointer} leads to {found:?}, not to {node}");
}

/// Whether a key on the way to the node is a collection, or stands twice: then no pointer can name it.
fn ambiguous(document: &Document<'_>, mut node: NodeId) -> bool {
    while let Some(parent) = document.parent(node) {
        if document.is_mapping(parent) {
            let children: Vec<_> = document.children(parent).collect();
            let key = children.iter().find(|(_, child)| *child == node).and_then(|(key, _)| *key);
            if key.is_none() || children.iter().filter(|(other, _)| *other == key).count() > 1 {
                return true;
            }
        }
        node = parent;
    }
    false
}

//! Reads YAML text into a small tree in which every value knows its place.
//!
//! Knows nothing of the fields of any file. Bounded in nodes and depth, so that aliases cannot blow
//! a small file up; duplicate keys, merge keys and tags are errors, because each of them makes two
//! people read the same file differently.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// Values in one file, aliases counted each time they are used.
const MAX_NODES: usize = 50_000;
/// Nesting of one file.
const MAX_DEPTH: usize = 32;

/// 1-based line and column (in characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    fn of(span: &Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Way from the top of the file to a value.
pub(crate) type Path = Vec<Step>;

/// A path as people write it: `upstreams.map[0].to`, `detection["helm/monitoring/*"].channel`.
pub(crate) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) if is_plain_key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::Key(key) => text.push_str(&format!("[{:?}]", shorten(key))),
        }
    }
    text
}

fn is_plain_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 60
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Untrusted text for a message: bounded; the caller quotes it.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 60;
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX).collect();
    if text.chars().nth(MAX).is_some() { format!("{clean}…") } else { clean }
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// `plain` is false for quoted and block scalars, which are always text.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// The place of the value at `path`, or of the nearest value around it that exists.
    pub(crate) fn place_of(&self, path: &[Step]) -> Place {
        let mut node = self;
        for step in path {
            let next = match (&node.kind, step) {
                (Kind::Mapping(entries), Step::Key(key)) => {
                    entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
                }
                (Kind::Sequence(items), Step::Index(index)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.place
    }

    /// Whether this is YAML's null: nothing, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } => 0,
            Kind::Sequence(items) => items.iter().map(Self::size).sum(),
            Kind::Mapping(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } => 0,
            Kind::Sequence(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Mapping(entries) => entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }
}

/// A file that cannot be read as one YAML document.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) path: Path,
    pub(crate) message: String,
}

/// What was read: the document (`None` for an empty file) and the keys given twice.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Option<Node>,
    pub(crate) duplicates: Vec<SyntaxError>,
}

/// Reads one YAML document.
pub(crate) fn read(text: &str) -> Result<Tree, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        Reader { events: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0, duplicates: vec![] };
    let root = reader.document()?;
    Ok(Tree { root, duplicates: reader.duplicates })
}

struct Reader<I> {
    events: I,
    anchors: BTreeMap<usize, (Node, usize, usize)>,
    nodes: usize,
    duplicates: Vec<SyntaxError>,
}

impl<'a, I> Reader<I>
where
    I: Iterator<Item = Result<(Event<'a>, Span), granit_parser::ScanError>>,
{
    fn next(&mut self) -> Result<Option<(Event<'a>, Place)>, SyntaxError> {
        for event in self.events.by_ref() {
            match event {
                Ok((Event::Comment(..), _)) => {}
                Ok((event, span)) => return Ok(Some((event, Place::of(&span)))),
                Err(error) => {
                    return Err(SyntaxError {
                        place: Place { line: error.marker().line(), column: error.marker().col() + 1 },
                        path: vec![],
                        message: format!("not valid YAML: {}", shorten(&error.info())),
                    });
                }
            }
        }
        Ok(None)
    }

    fn document(&mut self) -> Result<Option<Node>, SyntaxError> {
        let mut root = None;
        let mut path = vec![];
        while let Some((event, place)) = self.next()? {
            match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event if root.is_none() => root = Some(self.node(event, place, &mut path)?),
                _ => return Err(fail(place, &path, "a second document; the file is one document")),
            }
        }
        Ok(root.filter(|node| !node.is_null()))
    }

    fn count(&mut self, nodes: usize, place: Place, path: &Path) -> Result<(), SyntaxError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(fail(
                place,
                path,
                format!("more than {MAX_NODES} values, aliases counted each time"),
            ));
        }
        if path.len() > MAX_DEPTH {
            return Err(fail(place, path, format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, place: Place, path: &mut Path) -> Result<Node, SyntaxError> {
        self.count(1, place, path)?;
        let (kind, anchor) = match event {
            Event::Alias(anchor) => {
                let Some((node, size, depth)) = self.anchors.get(&anchor) else {
                    return Err(fail(place, path, "an alias inside the value that it names"));
                };
                let (node, size, depth) = (node.clone(), *size, *depth);
                self.count(size, place, path)?;
                if path.len() + depth > MAX_DEPTH {
                    return Err(fail(place, path, format!("nested more than {MAX_DEPTH} deep")));
                }
                return Ok(Node { place, ..node });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = match &tag {
                    None => false,
                    Some(tag) if tag.is_yaml_core_schema_tag("str") => true,
                    Some(_) => return Err(fail(place, path, "a tag; write the plain value")),
                };
                let plain = style == ScalarStyle::Plain && !is_text;
                (Kind::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(_, _, Some(_)) | Event::MappingStart(_, _, Some(_)) => {
                return Err(fail(place, path, "a tag; write the plain value"));
            }
            Event::SequenceStart(_, anchor, None) => (Kind::Sequence(self.items(path)?), anchor),
            Event::MappingStart(_, anchor, None) => (Kind::Mapping(self.entries(path)?), anchor),
            _ => return Err(fail(place, path, "not valid YAML: a value was expected")),
        };
        let node = Node { place, kind };
        if anchor != 0 {
            let (size, depth) = (node.size(), node.depth());
            self.count(size, place, path)?;
            self.anchors.insert(anchor, (node.clone(), size, depth));
        }
        Ok(node)
    }

    fn items(&mut self, path: &mut Path) -> Result<Vec<Node>, SyntaxError> {
        let mut items = vec![];
        loop {
            match self.next()? {
                Some((Event::SequenceEnd, _)) => return Ok(items),
                Some((event, place)) => {
                    path.push(Step::Index(items.len()));
                    items.push(self.node(event, place, path)?);
                    path.pop();
                }
                None => return Err(fail(Place::START, path, "not valid YAML: the list does not end")),
            }
        }
    }

    fn entries(&mut self, path: &mut Path) -> Result<Vec<Entry>, SyntaxError> {
        let mut entries: Vec<Entry> = vec![];
        let mut seen: BTreeSet<String> = BTreeSet::new();
        loop {
            let (key, key_place) = match self.next()? {
                Some((Event::MappingEnd, _)) => return Ok(entries),
                Some((Event::Scalar(text, ..), place)) => (text.into_owned(), place),
                Some((_, place)) => return Err(fail(place, path, "a key that is not text")),
                None => return Err(fail(Place::START, path, "not valid YAML: the mapping does not end")),
            };
            path.push(Step::Key(key.clone()));
            if key == "<<" {
                return Err(fail(
                    key_place,
                    path,
                    "a merge key; write the settings out or name them with an alias",
                ));
            }
            let Some((event, place)) = self.next()? else {
                return Err(fail(key_place, path, "not valid YAML: the key has no value"));
            };
            let value = self.node(event, place, path)?;
            if seen.insert(key.clone()) {
                entries.push(Entry { key, key_place, value });
            } else {
                let first =
                    entries.iter().find(|entry| entry.key == key).map_or(0, |entry| entry.key_place.line);
                self.duplicates.push(fail(key_place, path, format!("given twice, first in line {first}")));
            }
            path.pop();
        }
    }
}

fn fail(place: Place, path: &[Step], message: impl Into<String>) -> SyntaxError {
    SyntaxError { place, path: path.to_vec(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
        }
        let error = read(&text).unwrap_err();
        assert!(error.message.contains("aliases counted"), "{}", error.message);
    }

    #[test]
    fn deep_nesting_is_refused() {
        for text in ["[".repeat(10_000), format!("{}x{}", "[".repeat(40), "]".repeat(40)), "- ".repeat(5_000)]
        {
            assert!(read(&text).is_err());
        }
    }

    #[test]
    fn alias_inside_its_own_value_is_refused() {
        assert!(read("a: &a [1, *a]\n").is_err());
    }

    #[test]
    fn deep_aliases_are_refused() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..60 {
            text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(read(&text).unwrap_err().message.contains("deep"));
    }

    #[test]
    fn tags_merge_keys_and_second_documents_are_refused() {
        for (text, word) in [
            ("a: !custom x\n", "tag"),
            ("a: !!binary eA==\n", "tag"),
            ("a: &a {b: c}\nd: {<<: *a}\n", "merge key"),
            ("a: b\n---\nc: d\n", "second document"),
            ("? [a]\n: b\n", "key that is not text"),
            ("a: 'b\n", "not valid YAML"),
            ("a: *b\n", "not valid YAML"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(word), "{text:?}: {}", error.message);
        }
    }

    #[test]
    fn every_duplicate_key_is_named_with_its_place() {
        let tree = read("a:\n  b: 1\n  b: 2\n  b: 3\na: 4\n").unwrap();
        let places: Vec<_> =
            tree.duplicates.iter().map(|d| (d.place.line, d.place.column, path_text(&d.path))).collect();
        assert_eq!(places, [(3, 3, "a.b".to_owned()), (4, 3, "a.b".to_owned()), (5, 1, "a".to_owned())]);
    }

    #[test]
    fn empty_files_have_no_root() {
        for text in ["", "# only a comment\n", "---\n", "\u{feff}", "~\n", "---\n...\n"] {
            assert!(read(text).unwrap().root.is_none(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_a_bounded_tree_or_an_error_with_a_place(text in r##"[-a:{}\[\]&*!|>'"#\n\t %?<,0-9\\]{0,80}"##) {
            match read(&text) {
                Ok(tree) => proptest::prop_assert!(tree.root.is_none_or(|root| root.depth() <= MAX_DEPTH)),
                Err(error) => proptest::prop_assert!(error.place.line >= 1 && error.place.column >= 1),
            }
        }
    }
}

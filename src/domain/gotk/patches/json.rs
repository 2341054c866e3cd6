//! JSON patches (RFC 6902), done to two objects side by side.

use super::{is_same_thing, shown};
use crate::domain::gotk::tree::Node;

/// One operation.
pub(super) struct Operation {
    kind: Kind,
    path: String,
    tokens: Vec<String>,
    from: Vec<String>,
    value: Node,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

/// Reads the operations of a patch.
///
/// # Errors
///
/// What is no operation.
pub(super) fn read(operations: &[Node]) -> Result<Vec<Operation>, String> {
    operations
        .iter()
        .enumerate()
        .map(|(number, node)| {
            let operation = node.text_at(&["op"]).and_then(|name| {
                Some(match name {
                    "add" => Kind::Add,
                    "remove" => Kind::Remove,
                    "replace" => Kind::Replace,
                    "move" => Kind::Move,
                    "copy" => Kind::Copy,
                    "test" => Kind::Test,
                    _ => return None,
                })
            });
            let path = node.text_at(&["path"]).filter(|path| path.starts_with('/'));
            let (Some(kind), Some(path)) = (operation, path) else {
                return Err(format!("its operation {number} is none of a JSON patch"));
            };
            let from = node.text_at(&["from"]).unwrap_or_default();
            if matches!(kind, Kind::Move | Kind::Copy) && !from.starts_with('/') {
                return Err(format!("its operation {number} says not from where"));
            }
            let value = node.get("value").cloned().unwrap_or(Node::Null);
            Ok(Operation { kind, path: path.to_owned(), tokens: tokens(path), from: tokens(from), value })
        })
        .collect()
}

fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// Does the operations to both objects and tells where they hit something else.
pub(super) fn compare(operations: &[Operation], old: &mut Node, new: &mut Node) -> Vec<String> {
    let mut shifts = Vec::new();
    for operation in operations {
        // What the old file does not take does not build today, and tells nothing about the new one.
        let before = old.clone();
        if operation.apply(old).is_none() {
            return shifts;
        }
        shifts.extend(operation.shift(&before, new));
        if operation.apply(new).is_none() {
            shifts.push(format!("`{}` cannot be done any more", operation.path));
            return shifts;
        }
    }
    shifts
}

/// Does the operations to an object that is new; tells which one cannot be done, where kustomize would stop.
pub(super) fn impossible(operations: &[Operation], new: &mut Node) -> Option<String> {
    let failed = operations.iter().find(|operation| operation.apply(new).is_none())?;
    Some(format!("is new, and `{}` cannot be done there", failed.path))
}

impl Operation {
    /// How what it hits differs between the objects.
    fn shift(&self, old: &Node, new: &Node) -> Option<String> {
        let moved =
            matches!(self.kind, Kind::Move | Kind::Copy).then(|| other_thing(&self.from, old, new)).flatten();
        // An insertion hits nothing at its own place, only on the way there.
        let inserts = matches!(self.kind, Kind::Add | Kind::Move | Kind::Copy);
        let parent = &self.tokens[..self.tokens.len().saturating_sub(1)];
        let into_list = matches!(walk(old, parent), Some(Node::List(_)));
        let way = if inserts && into_list { parent } else { &self.tokens };
        moved.or_else(|| other_thing(way, old, new)).or_else(|| {
            let replaces = self.kind == Kind::Replace || inserts && !into_list;
            let (before, after) = (walk(old, &self.tokens)?, walk(new, &self.tokens)?);
            (replaces && hides_change(&self.tokens, before, after)).then(|| {
                format!("`{}` is replaced, and changes from {} to {}", self.path, shown(before), shown(after))
            })
        })
    }

    fn apply(&self, object: &mut Node) -> Option<()> {
        match self.kind {
            Kind::Test => (walk(object, &self.tokens)? == &self.value).then_some(()),
            Kind::Replace => {
                *walk_mut(object, &self.tokens)? = self.value.clone();
                Some(())
            }
            Kind::Remove => remove(object, &self.tokens).map(drop),
            Kind::Add => add(object, &self.tokens, self.value.clone()),
            Kind::Copy => {
                let value = walk(object, &self.from)?.clone();
                add(object, &self.tokens, value)
            }
            Kind::Move => {
                let value = remove(object, &self.from)?;
                add(object, &self.tokens, value)
            }
        }
    }
}

/// Whether a value that is replaced as a whole hides what a release changed: an image, or a list or mapping with
/// something new in it. Other values are overridden on purpose.
fn hides_change(tokens: &[String], before: &Node, after: &Node) -> bool {
    let is_image = tokens.last().is_some_and(|last| last == "image");
    let is_collection =
        matches!(before, Node::List(_) | Node::Map(_)) || matches!(after, Node::List(_) | Node::Map(_));
    (is_image || is_collection) && before != after
}

/// The first place on the way that is counted and has another thing than before.
fn other_thing(tokens: &[String], old: &Node, new: &Node) -> Option<String> {
    let (mut old, mut new) = (old, new);
    let mut way = String::new();
    for token in tokens {
        let counted = matches!(old, Node::List(_));
        crate::domain::manifest::route::push(&mut way, token);
        old = child(old, token)?;
        new = match child(new, token) {
            Some(new) => new,
            None => return Some(format!("`{way}` was {}, and is not there any more", shown(old))),
        };
        if counted && !is_same_thing(old, new) {
            return Some(format!("`{way}` was {}, and is {}", shown(old), shown(new)));
        }
    }
    None
}

/// RFC 6901: an index has no leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    plain.then(|| token.parse().ok()).flatten()
}

fn child<'node>(node: &'node Node, token: &str) -> Option<&'node Node> {
    match node {
        Node::List(items) => items.get(index(token)?),
        _ => node.get(token),
    }
}

fn walk<'node>(node: &'node Node, tokens: &[String]) -> Option<&'node Node> {
    tokens.iter().try_fold(node, |node, token| child(node, token))
}

fn walk_mut<'node>(node: &'node mut Node, tokens: &[String]) -> Option<&'node mut Node> {
    tokens.iter().try_fold(node, |node, token| match node {
        Node::List(items) => items.get_mut(index(token)?),
        _ => node.get_mut(token),
    })
}

fn remove(object: &mut Node, tokens: &[String]) -> Option<Node> {
    let (last, parent) = tokens.split_last()?;
    match walk_mut(object, parent)? {
        Node::List(items) => {
            let at = index(last).filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        Node::Map(pairs) => {
            let at = pairs.iter().position(|(key, _)| key == last)?;
            Some(pairs.remove(at).1)
        }
        _ => None,
    }
}

fn add(object: &mut Node, tokens: &[String], value: Node) -> Option<()> {
    let (last, parent) = tokens.split_last()?;
    match walk_mut(object, parent)? {
        Node::List(items) => {
            let at = if last == "-" { items.len() } else { index(last).filter(|at| *at <= items.len())? };
            items.insert(at, value);
            Some(())
        }
        parent => parent.set(last, value).then_some(()),
    }
}

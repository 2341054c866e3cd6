//! Strategic merge patches, done to two objects side by side.
//!
//! Lists whose items have a key of their own are merged item by item, others are replaced. Source: Kubernetes API
//! conventions, "Strategic Merge Patch".

use super::shown;
use crate::domain::gotk::tree::Node;

/// Keys by which the lists of a Pod template are merged, in the order in which they are looked for.
const KEYS: &[&str] = &["name", "mountPath", "containerPort", "port"];

/// Does the patch to both objects and tells where it hides or misses something.
pub(super) fn compare(patch: &Node, old: &mut Node, new: &mut Node) -> Vec<String> {
    let mut shifts = Vec::new();
    look(patch, Some(old), Some(new), &mut String::new(), &mut shifts);
    merge(patch, old);
    merge(patch, new);
    shifts
}

/// Does the patch to an object that is new, which is always possible.
pub(super) fn into(patch: &Node, new: &mut Node) -> Option<String> {
    merge(patch, new);
    None
}

fn look(patch: &Node, old: Option<&Node>, new: Option<&Node>, way: &mut String, shifts: &mut Vec<String>) {
    // What was not there before cannot be hidden or missed.
    let Some(old) = old else { return };
    let replaced = patch.text_at(&["$patch"]) == Some("replace");
    match patch {
        Node::Map(_) if replaced => hidden(old, new, way, shifts),
        Node::Map(pairs) => {
            for (key, value) in pairs {
                let length = way.len();
                crate::domain::manifest::route::push(way, key);
                look(value, old.get(key), new.and_then(|new| new.get(key)), way, shifts);
                way.truncate(length);
            }
        }
        Node::List(items) => match merge_key(items, old) {
            Some(key) => {
                for item in items {
                    let Some(before) = same_key(old, key, item) else { continue };
                    let after = new.and_then(|new| same_key(new, key, item));
                    let length = way.len();
                    crate::domain::manifest::route::push(way, &plain(item.get(key)));
                    match after {
                        Some(_) => look(item, Some(before), after, way, shifts),
                        None => shifts.push(format!("`{way}` is not there any more")),
                    }
                    way.truncate(length);
                }
            }
            None => hidden(old, new, way, shifts),
        },
        _ if way.ends_with("/image") => hidden(old, new, way, shifts),
        _ => {}
    }
}

/// Something is replaced as a whole: the release must not have changed it.
fn hidden(old: &Node, new: Option<&Node>, way: &str, shifts: &mut Vec<String>) {
    if new == Some(old) {
        return;
    }
    let new = new.unwrap_or(&Node::Null);
    let first = match (old, new) {
        (Node::List(old), Node::List(new)) => new
            .iter()
            .find(|item| !old.contains(item))
            .map(|item| format!("it now has {}", shown(item)))
            .or_else(|| {
                old.iter()
                    .find(|item| !new.contains(item))
                    .map(|item| format!("it no longer has {}", shown(item)))
            }),
        _ => None,
    };
    let what = first.unwrap_or_else(|| format!("it changes from {} to {}", shown(old), shown(new)));
    shifts.push(format!("`{way}` is replaced, and {what}"));
}

/// The key by which a list is merged; `None` where it is replaced.
fn merge_key(items: &[Node], old: &Node) -> Option<&'static str> {
    let Node::List(old) = old else { return None };
    KEYS.iter().copied().find(|key| items.iter().chain(old).all(|item| item.get(key).is_some()))
}

fn same_key<'node>(list: &'node Node, key: &str, item: &Node) -> Option<&'node Node> {
    match list {
        Node::List(items) => items.iter().find(|other| other.get(key) == item.get(key)),
        _ => None,
    }
}

fn plain(node: Option<&Node>) -> String {
    match node {
        Some(Node::Text(text) | Node::Number(text)) => text.clone(),
        _ => String::new(),
    }
}

fn merge(patch: &Node, target: &mut Node) {
    match patch {
        Node::Map(pairs) if matches!(target, Node::Map(_)) && patch.get("$patch").is_none() => {
            for (key, value) in pairs {
                match (value, target.get_mut(key)) {
                    (Node::Null, _) => remove(target, |name, _| name == key),
                    (_, Some(old)) => merge(value, old),
                    (_, None) => {
                        target.set(key, value.clone());
                    }
                }
            }
        }
        Node::Map(_) if patch.text_at(&["$patch"]) == Some("delete") => *target = Node::Null,
        Node::List(items) => {
            let Some(key) = merge_key(items, target) else {
                *target = patch.clone();
                return;
            };
            let Node::List(old) = target else { return };
            for item in items {
                let at = old.iter().position(|other| other.get(key) == item.get(key));
                match at {
                    Some(at) if item.text_at(&["$patch"]) == Some("delete") => {
                        old.remove(at);
                    }
                    Some(at) => merge(item, &mut old[at]),
                    None => old.push(item.clone()),
                }
            }
        }
        _ => *target = patch.clone(),
    }
}

fn remove(target: &mut Node, is: impl Fn(&str, &Node) -> bool) {
    if let Node::Map(pairs) = target {
        pairs.retain(|(key, value)| !is(key, value));
    }
}

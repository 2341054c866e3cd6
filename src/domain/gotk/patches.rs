//! Whether the patches beside `gotk-components.yaml` still hit what they hit.
//!
//! People change what `flux bootstrap` wrote by patches in the `kustomization.yaml` beside it. A JSON 6902 patch names
//! arguments and containers by their places: where a release puts an argument in front, the patch replaces another
//! one, and nobody is told. A strategic merge patch that gives a whole list hides what a release adds to it. An image
//! that is pinned stays behind. So each patch is done to the old and to the new file, side by side, and what it hits is
//! compared at each step.

mod json;
mod merge;
mod target;

use std::collections::BTreeMap;

use super::tree::{self, Node, line_of};
use super::{FILE, GotkError};
use crate::domain::manifest::document::{Document, NodeId};
use crate::domain::manifest::split;
use target::Target;

/// A patch that does something else in the new file than in the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchShift {
    /// Where the patch is listed in `kustomization.yaml`, such as `patches[1]` or `images[0]`.
    pub patch: String,
    /// Line of that entry, 1-based.
    pub line: usize,
    /// The object, such as `Deployment/source-controller`; empty where none is concerned.
    pub object: String,
    /// What differs, for people: lowercase, without a final stop.
    pub what: String,
}

/// The files that the patches of a `kustomization.yaml` stand in, as it names them; sorted.
///
/// # Errors
///
/// A text that is no `kustomization.yaml`.
pub fn files(kustomization: &str) -> Result<Vec<String>, GotkError> {
    let mut files: Vec<String> = entries(kustomization)?
        .into_iter()
        .filter_map(|entry| match entry.body {
            Body::File(path) => Some(path),
            Body::Text(_) | Body::Image(_) => None,
        })
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Compares what each patch of a `kustomization.yaml` does to the old and to the new file.
///
/// `files` holds the text of each of [`files`] that could be read, by the name used there. Patches of objects of other
/// files are left alone.
///
/// # Errors
///
/// A `kustomization.yaml` or file that cannot be read.
pub fn compare(
    kustomization: &str,
    files: &BTreeMap<String, String>,
    old_file: &str,
    new_file: &str,
) -> Result<Vec<PatchShift>, GotkError> {
    let objects = |text: &str| {
        tree::objects(text).map_err(|error| GotkError::Unreadable {
            file: FILE.to_owned(),
            line: error.line,
            message: error.message,
        })
    };
    let mut pair = Pair { old: objects(old_file)?, new: objects(new_file)?, shifts: Vec::new() };
    // kustomize sets images behind all patches.
    let (images, patches): (Vec<_>, Vec<_>) =
        entries(kustomization)?.into_iter().partition(|entry| matches!(entry.body, Body::Image(_)));
    for entry in patches.iter().chain(&images) {
        pair.entry(entry, files);
    }
    Ok(pair.shifts)
}

/// One entry of a `kustomization.yaml` that changes objects.
struct Entry {
    place: String,
    line: usize,
    body: Body,
    /// What the entry itself says it is for.
    target: Option<Node>,
}

enum Body {
    Text(String),
    File(String),
    Image(Node),
}

fn entries(kustomization: &str) -> Result<Vec<Entry>, GotkError> {
    let unreadable = |line: usize, message: &str| GotkError::Unreadable {
        file: "kustomization.yaml".to_owned(),
        line,
        message: message.to_owned(),
    };
    let mut entries = Vec::new();
    for chunk in split::documents(kustomization) {
        let document = Document::parse(kustomization, chunk.range)
            .map_err(|error| unreadable(line_of(kustomization, error.offset), &error.message))?;
        let Some(root) = document.root() else { continue };
        for list in ["patches", "patchesStrategicMerge", "patchesJson6902", "images"] {
            let Some(listed) = document.get(root, list) else { continue };
            for (number, (_, id)) in document.children(listed).enumerate() {
                let line = line_of(kustomization, document.span(id).start);
                let node = tree::read(&document, id, 0)
                    .map_err(|(offset, message)| unreadable(line_of(kustomization, offset), &message))?;
                let body = body(list, &document, id, &node)
                    .ok_or_else(|| unreadable(line, &format!("is no entry of `{list}`")))?;
                let target = node.get("target").cloned();
                entries.push(Entry { place: format!("{list}[{number}]"), line, body, target });
            }
        }
    }
    Ok(entries)
}

fn body(list: &str, document: &Document<'_>, id: NodeId, node: &Node) -> Option<Body> {
    match list {
        "images" => Some(Body::Image(node.clone())),
        // A path, or the patch itself: kustomize takes what it can read as objects for the patch.
        "patchesStrategicMerge" => {
            let text = document.scalar(id)?;
            Some(if text.contains('\n') { Body::Text(text.to_owned()) } else { Body::File(text.to_owned()) })
        }
        _ => match (node.text_at(&["patch"]), node.text_at(&["path"])) {
            (Some(text), _) => Some(Body::Text(text.to_owned())),
            (None, Some(path)) => Some(Body::File(path.to_owned())),
            (None, None) => None,
        },
    }
}

/// Both files, changed by the patches so far.
struct Pair {
    old: Vec<Node>,
    new: Vec<Node>,
    shifts: Vec<PatchShift>,
}

impl Pair {
    fn entry(&mut self, entry: &Entry, files: &BTreeMap<String, String>) {
        let text = match &entry.body {
            Body::Image(image) => return self.image(entry, image),
            Body::Text(text) => text,
            Body::File(path) => match files.get(path) {
                Some(text) => text,
                None => return self.shift(entry, "", format!("cannot be judged: `{path}` cannot be read")),
            },
        };
        if let Err(reason) = self.patch(entry, text) {
            self.shift(entry, "", format!("cannot be judged: {reason}"));
        }
    }

    fn patch(&mut self, entry: &Entry, text: &str) -> Result<(), String> {
        let told = entry.target.as_ref().map(Target::read).transpose()?;
        for patch in tree::values(text).map_err(|error| format!("line {} {}", error.line, error.message))? {
            match (&patch, &told) {
                (Node::List(operations), Some(target)) => {
                    let operations = json::read(operations)?;
                    let lone = |new: &mut Node| json::impossible(&operations, new);
                    self.each(entry, target, |old, new| json::compare(&operations, old, new), lone);
                }
                (Node::List(_), None) => return Err("it says no target".to_owned()),
                (Node::Map(_), Some(target)) => {
                    self.each(
                        entry,
                        target,
                        |old, new| merge::compare(&patch, old, new),
                        |new| merge::into(&patch, new),
                    );
                }
                (Node::Map(_), None) => {
                    let target = Target::of(&patch);
                    self.each(
                        entry,
                        &target,
                        |old, new| merge::compare(&patch, old, new),
                        |new| merge::into(&patch, new),
                    );
                }
                _ => return Err("it is neither a list of operations nor an object".to_owned()),
            }
        }
        Ok(())
    }

    /// Does one patch to each object that it is for; `alone` does it to one that only the new file has.
    fn each(
        &mut self,
        entry: &Entry,
        target: &Target,
        compare: impl Fn(&mut Node, &mut Node) -> Vec<String>,
        alone: impl Fn(&mut Node) -> Option<String>,
    ) {
        let mut found = Vec::new();
        for old in self.old.iter_mut().filter(|object| target.matches(object)) {
            let name = label(old);
            match self.new.iter_mut().find(|new| label(new) == name && target.matches(new)) {
                Some(new) => found.extend(compare(old, new).into_iter().map(|what| (name.clone(), what))),
                None => {
                    found.push((name, "is not there any more, or no longer what the patch is for".to_owned()))
                }
            }
        }
        for new in self.new.iter_mut().filter(|object| target.matches(object)) {
            let name = label(new);
            if self.old.iter().any(|old| label(old) == name) {
                continue;
            }
            found.extend(alone(new).map(|what| (name, what)));
        }
        for (object, what) in found {
            self.shift(entry, &object, what);
        }
    }

    /// An entry of `images` that pins what the new release has in another version.
    fn image(&mut self, entry: &Entry, image: &Node) {
        let scalar = |key: &str| match image.get(key) {
            Some(Node::Text(text) | Node::Number(text)) => Some(text.as_str()),
            _ => None,
        };
        let Some(name) = scalar("name") else { return };
        let Some(pinned) = scalar("digest").or_else(|| scalar("newTag")) else { return };
        let used = |objects: &[Node]| {
            let mut found: Vec<(String, String)> = Vec::new();
            for object in objects.iter().filter(|object| object.kind() == "Deployment") {
                for container in object.items_at(&["spec", "template", "spec", "containers"]) {
                    let Some(image) = container.text_at(&["image"]) else { continue };
                    if let Some(tag) = image.strip_prefix(name).filter(|rest| rest.starts_with([':', '@'])) {
                        found.push((label(object), tag[1..].to_owned()));
                    }
                }
            }
            found
        };
        let (old, new) = (used(&self.old), used(&self.new));
        for (object, before) in &old {
            match new.iter().find(|(other, _)| other == object) {
                Some((_, after)) if after != before => {
                    let what =
                        format!("stays at `{pinned}`, and the release goes from `{before}` to `{after}`");
                    self.shift(entry, object, what);
                }
                Some(_) => {}
                None => self.shift(entry, object, format!("no longer has the image `{name}`")),
            }
        }
    }

    fn shift(&mut self, entry: &Entry, object: &str, what: String) {
        let shift =
            PatchShift { patch: entry.place.clone(), line: entry.line, object: object.to_owned(), what };
        self.shifts.push(shift);
    }
}

/// `Deployment/source-controller`
fn label(object: &Node) -> String {
    format!("{}/{}", object.kind(), object.name())
}

/// A value as a message shows it, cut where it is long.
fn shown(node: &Node) -> String {
    const LONGEST: usize = 80;
    let text = match node {
        Node::Null => "null".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::Number(text) | Node::Text(text) => text.clone(),
        Node::List(items) => format!("a list of {}", items.len()),
        Node::Map(_) => match node.text_at(&["name"]) {
            Some(name) => name.to_owned(),
            None => "a mapping".to_owned(),
        },
    };
    if text.chars().count() > LONGEST {
        let cut: String = text.chars().take(LONGEST).collect();
        format!("`{}…`", cut.escape_default())
    } else {
        format!("`{}`", text.escape_default())
    }
}

/// Whether an item of a list is the same thing in another version: the flag of an argument, the name of a
/// container.
fn is_same_thing(old: &Node, new: &Node) -> bool {
    match (old, new) {
        (Node::Text(old), Node::Text(new)) if old.starts_with("--") => {
            let flag = |text: &str| text.split('=').next().map(str::to_owned);
            flag(old) == flag(new)
        }
        (Node::Map(_), Node::Map(_)) => match (old.get("name"), new.get("name")) {
            (None, None) => old == new,
            (old, new) => old == new,
        },
        _ => old == new,
    }
}

#[cfg(test)]
mod tests;

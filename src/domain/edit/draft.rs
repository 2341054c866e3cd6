//! Writes replacements into the text of a file, and reads the result back.
//!
//! Spans are those of the file as it was read, whatever was replaced before: that is how the steps of a whole
//! campaign are shown one after the other. Nothing outside of the spans is touched, so the YAML that was there
//! keeps its comments, quotes, anchors and line ends. A new text must be read as meant where it stands, and
//! everything else must be read as before.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plain::{Kind, kind};
use super::{EditError, Replacement};
use crate::domain::manifest::document::{Document, NodeId, Style};
use crate::domain::manifest::split;

/// How many ways to find the replaced texts in a block are tried.
const MAX_TRIES: usize = 10_000;
/// How deep YAML in a scalar of YAML is looked into.
const MAX_EMBEDDED: usize = 4;

/// A file that is being changed.
#[derive(Debug, Clone)]
pub struct Draft {
    file: String,
    original: String,
    /// What stands in place of each span of the original.
    placed: BTreeMap<(usize, usize), String>,
}

/// The bytes of a file after `replacements`, all of which must be for this file.
///
/// # Errors
///
/// The file is not as it was when the pins were found, or would not be read as meant.
pub fn apply(file: &str, bytes: &[u8], replacements: &[Replacement]) -> Result<Vec<u8>, EditError> {
    let mut draft = Draft::new(file, bytes)?;
    draft.apply(replacements)?;
    Ok(draft.text().into_bytes())
}

/// A replacement with its places before and after.
struct Spot<'a> {
    before: Range<usize>,
    after: Range<usize>,
    replacement: &'a Replacement,
}

impl Draft {
    /// A file as it was read.
    ///
    /// # Errors
    ///
    /// It is not UTF-8.
    pub fn new(file: &str, bytes: &[u8]) -> Result<Self, EditError> {
        let original =
            std::str::from_utf8(bytes).map_err(|_| EditError::NotText { file: file.to_owned() })?.to_owned();
        Ok(Self { file: file.to_owned(), original, placed: BTreeMap::new() })
    }

    /// The text as it is now.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.original.len() + 64);
        let mut at = 0;
        for ((start, end), new) in &self.placed {
            text.push_str(&self.original[at..*start]);
            text.push_str(new);
            at = *end;
        }
        text.push_str(&self.original[at..]);
        text
    }

    /// Makes replacements, all or none.
    ///
    /// # Errors
    ///
    /// A span does not hold the old text, two of them meet, or the result would not be read as meant.
    pub fn apply(&mut self, replacements: &[Replacement]) -> Result<(), EditError> {
        let mut placed = self.placed.clone();
        for replacement in replacements {
            self.place(replacement, &mut placed)?;
        }
        let mut changed = Self { placed, ..self.clone() };
        let spots: Vec<Spot<'_>> = replacements
            .iter()
            .map(|replacement| Spot {
                before: self.here(replacement.span, replacement.old.len()),
                after: changed.here(replacement.span, replacement.new.len()),
                replacement,
            })
            .collect();
        read_back(&self.text(), &changed.text(), &spots)?;
        std::mem::swap(self, &mut changed);
        Ok(())
    }

    fn place(
        &self,
        replacement: &Replacement,
        placed: &mut BTreeMap<(usize, usize), String>,
    ) -> Result<(), EditError> {
        let (start, end) = replacement.span;
        let stale = || EditError::Stale {
            file: self.file.clone(),
            line: replacement.line,
            expected: replacement.old.clone(),
        };
        let original = self.original.get(start..end).filter(|text| !text.is_empty()).ok_or_else(stale)?;
        let now = placed.get(&replacement.span).map_or(original, String::as_str);
        if replacement.file != self.file || now != replacement.old {
            return Err(stale());
        }
        let meets = placed.keys().any(|&other| other != replacement.span && other.0 < end && start < other.1);
        if meets {
            return Err(EditError::Overlap { file: self.file.clone(), line: replacement.line });
        }
        placed.insert(replacement.span, replacement.new.clone());
        Ok(())
    }

    /// Where the bytes of a span of the original stand now, `length` bytes long.
    fn here(&self, (start, _): (usize, usize), length: usize) -> Range<usize> {
        let before = self.placed.iter().take_while(|((other, _), _)| *other < start);
        let (grown, lost) =
            before.fold((0, 0), |(grown, lost), ((from, to), new)| (grown + new.len(), lost + (to - from)));
        let at = start + grown - lost;
        at..at + length
    }
}

/// Compares what readers make of the text before and after.
fn read_back(before: &str, after: &str, spots: &[Spot<'_>]) -> Result<(), EditError> {
    let Some(first) = spots.first() else { return Ok(()) };
    let chunks = (split::documents(before), split::documents(after));
    if chunks.0.len() != chunks.1.len() {
        return Err(refuse(first, "the file would be cut into other documents"));
    }
    for (old, new) in chunks.0.iter().zip(&chunks.1) {
        let within: Vec<&Spot<'_>> = spots
            .iter()
            .filter(|spot| old.range.start <= spot.before.start && spot.before.end <= old.range.end)
            .collect();
        let Some(first) = within.first() else { continue };
        let moved = |spot: &&Spot<'_>| spot.after.start < new.range.start || new.range.end < spot.after.end;
        if old.index != new.index || within.iter().any(moved) {
            return Err(refuse(first, "the file would be cut into other documents"));
        }
        let routed = within.iter().find(|spot| !spot.replacement.route.is_empty());
        if routed.is_some_and(|spot| spot.replacement.document != old.index) {
            return Err(refuse(first, "it stands in another document of the file"));
        }
        match Document::parse(before, old.range.clone()) {
            Ok(one) => {
                let other = Document::parse(after, new.range.clone())
                    .map_err(|error| refuse(first, &format!("the file would not be YAML: {error}")))?;
                if is_sealed(&one) {
                    return Err(EditError::Encrypted { file: first.replacement.file.clone() });
                }
                compare((&one, before), (&other, after), &within, 0)?;
            }
            // A template is not YAML before and after; the bytes are all there is.
            Err(error) => {
                if let Some(spot) = routed {
                    return Err(refuse(spot, &format!("the file cannot be read: {error}")));
                }
            }
        }
    }
    Ok(())
}

/// Whether SOPS keeps a checksum over values that are not encrypted, too (`sops.mac`, unless
/// `sops.mac_only_encrypted`).
fn is_sealed(document: &Document<'_>) -> bool {
    let Some(sops) = document.root().and_then(|root| document.get(root, "sops")) else { return false };
    let whole = document.scalar_at(sops, &["mac_only_encrypted"]) != Some("true");
    document.get(sops, "mac").is_some() && whole
}

/// Compares two readings node by node: only scalars that hold a spot may differ, and only by it.
fn compare(
    (one, before): (&Document<'_>, &str),
    (other, after): (&Document<'_>, &str),
    spots: &[&Spot<'_>],
    depth: usize,
) -> Result<(), EditError> {
    let Some(first) = spots.first() else { return Ok(()) };
    if one.nodes() != other.nodes() {
        return Err(refuse(first, "the document would have another structure"));
    }
    let mut seen = 0;
    for id in one.nodes() {
        if !one.is_alike(id, other, id) {
            return Err(refuse(first, "the document would have another structure"));
        }
        let (Some((old, style)), Some((new, _))) = (one.literal(id), other.literal(id)) else { continue };
        let span = one.span(id);
        let mut inside = spots
            .iter()
            .filter(|spot| span.start <= spot.before.start && spot.before.end <= span.end)
            .copied()
            .collect::<Vec<_>>();
        if inside.is_empty() {
            if old != new {
                return Err(refuse(first, &format!("`{}` would be read otherwise, too", one.pointer(id))));
            }
            continue;
        }
        inside.sort_by_key(|spot| spot.before.start);
        seen += inside.len();
        scalar((one, before), (other, after), (id, style), &inside, depth)?;
    }
    // What stands in a comment is no scalar, and has no route.
    let routed = spots.iter().filter(|spot| !spot.replacement.route.is_empty()).count();
    if depth == 0 && seen < routed {
        return Err(refuse(first, "there is no value at this place"));
    }
    Ok(())
}

/// A scalar that holds spots.
fn scalar(
    (one, before): (&Document<'_>, &str),
    (other, after): (&Document<'_>, &str),
    (id, style): (NodeId, Style),
    spots: &[&Spot<'_>],
    depth: usize,
) -> Result<(), EditError> {
    let Some(first) = spots.first() else { return Ok(()) };
    let (Some((old, _)), Some((new, _))) = (one.literal(id), other.literal(id)) else { return Ok(()) };
    let pointer = one.pointer(id);
    let misplaced = |spot: &&&Spot<'_>| {
        let route = &spot.replacement.route;
        depth == 0 && !route.is_empty() && *route != pointer
    };
    if let Some(spot) = spots.iter().find(misplaced) {
        return Err(refuse(spot, &format!("the bytes stand at `{pointer}`")));
    }
    match (one.value_span(id), other.value_span(id)) {
        // The bytes are the value, and the bytes are right.
        (Some(was), Some(is))
            if spots.iter().all(|spot| covers(&was, &spot.before) && covers(&is, &spot.after)) => {}
        (Some(_), _) => return Err(refuse(first, &format!("it would be read as `{new}`"))),
        _ => {
            let pairs: Vec<(&str, &str)> = spots
                .iter()
                .map(|spot| (spot.replacement.old.as_str(), spot.replacement.new.as_str()))
                .collect();
            if !differs_by(old, new, &pairs, &mut MAX_TRIES.clone()) {
                return Err(refuse(first, "the value around it would be read otherwise"));
            }
        }
    }
    match style {
        Style::Plain => match (kind(old), kind(new)) {
            (Kind::Text, Kind::Text) | (Kind::Number { .. }, Kind::Number { exact: true }) => Ok(()),
            (_, Kind::Number { .. }) => {
                Err(refuse(first, &format!("`{new}` without quotes is read as a number; quote the value")))
            }
            _ => Err(refuse(first, &format!("`{new}` without quotes is no text; quote the value"))),
        },
        Style::Quoted => Ok(()),
        Style::Block if depth < MAX_EMBEDDED => embedded((one, before), (other, after), id, spots, depth),
        Style::Block => Ok(()),
    }
}

/// YAML in a block: what is a manifest or values there must be read as meant, too.
fn embedded(
    (one, before): (&Document<'_>, &str),
    (other, after): (&Document<'_>, &str),
    id: NodeId,
    spots: &[&Spot<'_>],
    depth: usize,
) -> Result<(), EditError> {
    let (Some(old), Some(new), Some(first)) = (one.block_lines(id), other.block_lines(id), spots.first())
    else {
        return Ok(());
    };
    // What is no YAML before is a text like any other.
    let Ok(inner) = Document::parse(before, old) else { return Ok(()) };
    let changed = Document::parse(after, new)
        .map_err(|error| refuse(first, &format!("the value would not be YAML: {error}")))?;
    compare((&inner, before), (&changed, after), spots, depth + 1)
}

fn covers(value: &Range<usize>, spot: &Range<usize>) -> bool {
    value.start <= spot.start && spot.end <= value.end
}

/// Whether `new` is `old` with each pair's first text replaced by its second, once and in this order.
fn differs_by(old: &str, new: &str, pairs: &[(&str, &str)], tries: &mut usize) -> bool {
    let Some(((from, to), rest)) = pairs.split_first() else { return old == new };
    for (at, _) in old.match_indices(from) {
        *tries = tries.saturating_sub(1);
        // Both texts must be the same up to the first difference.
        if *tries == 0 || old.get(..at) != new.get(..at) {
            return false;
        }
        let Some(tail) = new.get(at..).and_then(|tail| tail.strip_prefix(to)) else { continue };
        if differs_by(&old[at + from.len()..], tail, rest, tries) {
            return true;
        }
    }
    false
}

fn refuse(spot: &Spot<'_>, reason: &str) -> EditError {
    EditError::ReadsBack {
        file: spot.replacement.file.clone(),
        line: spot.replacement.line,
        route: spot.replacement.route.clone(),
        new: spot.replacement.new.clone(),
        reason: reason.to_owned(),
    }
}

//! Which bytes change when a component moves, and to what.
//!
//! Every pin keeps the form in which it is written. Only the bytes of versions, and of the digests that stand
//! beside them, ever change; [`Draft`] writes them and reads the result back.

pub mod concurrency;
mod diff;
mod draft;
mod error;
mod plain;
mod widen;

pub use diff::{Diff, first_lines};
pub use draft::{Draft, apply};
pub use error::EditError;

use super::component::{Component, DigestPin, Given, Pin};
use super::select::{in_form_of, strip_prefix};
use super::upstream::{Candidate, UpstreamRef};
use super::version::range::Range;
use super::version::{Scheme, Version};
use crate::domain::component::UpdateType;

/// Longest text that a version is replaced by, in bytes.
const MAX_TEXT: usize = 256;

/// Bytes of a file and what they become.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replacement {
    /// Path within the repository.
    pub file: String,
    /// 0-based document within the file.
    pub document: usize,
    /// 1-based line of the first byte.
    pub line: usize,
    /// 1-based column of the first byte, in characters.
    pub column: usize,
    /// JSON Pointer within the document to the scalar that holds the text; empty outside of YAML values.
    pub route: String,
    /// Byte range in the file as it was read, half open.
    pub span: (usize, usize),
    /// The bytes there, or what an earlier replacement of the same [`Draft`] made of them.
    pub old: String,
    /// The bytes there afterwards.
    pub new: String,
}

/// A place that speaks of the component and is not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// Path within the repository.
    pub file: String,
    /// 1-based line.
    pub line: usize,
    /// The bytes there.
    pub text: String,
    /// Why.
    pub reason: String,
}

/// What moving a component changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Sorted by file and place.
    pub replacements: Vec<Replacement>,
    /// Sorted as the pins are.
    pub left_alone: Vec<LeftAlone>,
    /// Generated files that must be made anew for the new version, sorted; only with [`Generated::Elsewhere`].
    pub generated: Vec<String>,
}

/// Whether version ranges are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ranges {
    /// They are left as they are.
    #[default]
    Leave,
    /// They are moved so that they hold the target, in the form in which they are written (`~1.9` → `~1.10`).
    Widen,
}

/// What becomes of pins in generated files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Generated {
    /// The change is refused.
    #[default]
    Refuse,
    /// The caller makes the files anew, which [`Changes::generated`] lists.
    Elsewhere,
}

/// How far a change may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Version ranges.
    pub ranges: Ranges,
    /// Generated files.
    pub generated: Generated,
}

/// What must be written where, so that `component` moves to the published version `to`.
///
/// `from` is the published version that Git has now, where it is listed: a pin that is written as the upstream
/// publishes takes the form of `to` as it is. `to.digest` must be that of the thing which the pins name (for
/// images and OCI artifacts the digest of the manifest list), because digests move with their versions.
///
/// # Errors
///
/// Nothing in Git can be changed so that exactly `to` is meant; the reason is for people.
pub fn replacements(
    component: &Component,
    from: Option<&Candidate>,
    to: &Candidate,
    options: Options,
) -> Result<Changes, EditError> {
    if let Some(reason) = &component.managed_elsewhere {
        return Err(EditError::ManagedElsewhere { component: component.id.clone(), reason: reason.clone() });
    }
    let written = match &component.given {
        Given::Exact(text) => text.as_str(),
        Given::Range(text) if options.ranges == Ranges::Widen => text.as_str(),
        Given::Range(text) => return Err(EditError::not_pinned(component, format!("the range `{text}`"))),
        Given::Channel(name) => {
            return Err(EditError::not_pinned(component, format!("the channel `{name}`")));
        }
        Given::Nothing(reason) => return Err(EditError::not_pinned(component, reason.clone())),
    };
    let mover = Mover { component, listed: from.map(|from| from.version.as_str()), to, written };
    let mut changes = Changes::default();
    for pin in &component.pins {
        if pin.generated {
            match options.generated {
                Generated::Refuse => return Err(EditError::Generated { file: pin.file.clone() }),
                Generated::Elsewhere if !changes.generated.contains(&pin.file) => {
                    changes.generated.push(pin.file.clone());
                }
                Generated::Elsewhere => {}
            }
            continue;
        }
        match mover.pin(pin)? {
            Moved::To { version, digest } => {
                changes.replacements.extend(version.map(|new| of_pin(pin, new)));
                let beside = pin.digest.as_ref().zip(digest);
                changes.replacements.extend(beside.map(|(digest, new)| of_digest(pin, digest, new)));
            }
            Moved::Left(reason) => changes.left_alone.push(LeftAlone {
                file: pin.file.clone(),
                line: pin.line,
                text: pin.text.clone(),
                reason,
            }),
        }
    }
    if changes.replacements.is_empty() && changes.generated.is_empty() {
        return Err(EditError::NothingToChange {
            component: component.id.clone(),
            target: to.version.clone(),
        });
    }
    changes.replacements.sort_by(|one, other| (&one.file, one.span).cmp(&(&other.file, other.span)));
    changes.generated.sort_unstable();
    Ok(changes)
}

impl Changes {
    /// The component as Git will have it, for the change that comes after this one.
    ///
    /// Spans stay those of the files as they were read, which is what [`Draft`] goes by.
    pub fn advance(&self, component: &Component, to: &Candidate) -> Component {
        let mut advanced = component.clone();
        let new_of = |file: &str, span: (usize, usize)| {
            let here = |replacement: &&Replacement| replacement.file == file && replacement.span == span;
            self.replacements.iter().find(here).map(|replacement| replacement.new.clone())
        };
        for pin in &mut advanced.pins {
            if let Some(new) = new_of(&pin.file, pin.span) {
                pin.text = new;
            } else if self.generated.contains(&pin.file) {
                pin.text.clone_from(&to.version);
            }
            if let Some(digest) = &mut pin.digest
                && let Some(new) = new_of(&pin.file, digest.span)
            {
                advanced.digest = advanced.digest.map(|_| new.clone());
                digest.text = new;
            }
        }
        if let Given::Exact(written) | Given::Range(written) = &mut advanced.given {
            let decides = component.pins.iter().position(|pin| pin.text == *written);
            if let Some(pin) = decides.and_then(|at| advanced.pins.get(at)) {
                written.clone_from(&pin.text);
            }
        }
        advanced
    }
}

/// What becomes of one pin.
enum Moved {
    /// It is written anew; `None` for what is right already.
    To { version: Option<String>, digest: Option<String> },
    /// It stays, for this reason.
    Left(String),
}

struct Mover<'a> {
    component: &'a Component,
    /// How the upstream publishes the version that Git has.
    listed: Option<&'a str>,
    to: &'a Candidate,
    /// How Git gives the version.
    written: &'a str,
}

impl Mover<'_> {
    fn pin(&self, pin: &Pin) -> Result<Moved, EditError> {
        let ranged = matches!(self.component.given, Given::Range(_));
        if ranged {
            return self.range(pin);
        }
        if let Some(reason) = self.objection(pin) {
            return Ok(Moved::Left(reason));
        }
        let digest = match self.digest(pin) {
            Ok(digest) => digest,
            // A copy that cannot follow stays behind; what Flux applies must be right.
            Err(reason) if !pin.applied => return Ok(Moved::Left(reason)),
            Err(reason) => {
                return Err(EditError::Digest { file: pin.file.clone(), line: pin.line, reason });
            }
        };
        let new = self.text_for(pin);
        if self.read(&new) != self.read(&self.to.version) || !is_writable(&new) {
            return Err(EditError::Form {
                file: pin.file.clone(),
                line: pin.line,
                text: pin.text.clone(),
                target: self.to.version.clone(),
            });
        }
        Ok(Moved::To { version: (new != pin.text).then_some(new), digest })
    }

    fn read(&self, text: &str) -> Option<Version> {
        let bare = strip_prefix(text, self.component.tag_prefix.as_deref()).unwrap_or(text);
        // A tag of an OCI registry writes `_` for the `+` of a chart's version.
        let chart = matches!(self.component.upstream, Ok(UpstreamRef::Oci { chart: true, .. }));
        match self.component.scheme {
            Scheme::Semver if chart => Scheme::Semver.parse(&bare.replace('_', "+")),
            scheme => scheme.parse(bare),
        }
    }

    /// Why a pin does not follow the one that decides.
    fn objection(&self, pin: &Pin) -> Option<String> {
        if pin.text == self.written {
            return None;
        }
        let semver = self.component.scheme == Scheme::Semver;
        if semver && Range::parse(&pin.text).is_ok_and(|range| !range.is_exact()) {
            return Some(format!("the range `{}` is left as it is", pin.text));
        }
        let target = self.read(&self.to.version)?;
        let Some(version) = self.read(&pin.text).filter(|version| version.comparable(&target)) else {
            return Some(format!("`{}` does not compare with `{}`", pin.text, self.to.version));
        };
        // The same version in another form moves wherever the one that decides moves.
        if self.read(self.written).is_some_and(|written| is_same(&written, &version)) {
            return None;
        }
        if !pin.applied {
            return Some(format!("it is a copy that says `{}`, not `{}`", pin.text, self.written));
        }
        (version > target)
            .then(|| format!("it says `{}`, which is newer than `{}`", pin.text, self.to.version))
    }

    fn text_for(&self, pin: &Pin) -> String {
        let component = self.component;
        let prefix = component.tag_prefix.as_deref();
        if pin.text == self.to.version || self.written == self.to.version && pin.text == self.written {
            return pin.text.clone();
        }
        let text = in_form_of(&pin.text, self.listed, &self.to.version, component.scheme, prefix);
        // The grammar of tags has no `+` (distribution, reference); Helm writes `_` for it.
        let is_tag = pin.text.contains('_') || pin.route.ends_with("/tag");
        match component.upstream {
            Ok(UpstreamRef::Oci { chart: true, .. }) if is_tag => text.replace('+', "_"),
            _ => text,
        }
    }

    /// The digest that must stand beside the version, or why nobody can say.
    fn digest(&self, pin: &Pin) -> Result<Option<String>, String> {
        let Some(place) = &pin.digest else {
            return match &self.component.digest {
                Some(digest) => Err(format!(
                    "the version is held by the digest `{digest}`, which stands elsewhere and cannot be moved \
                     with it; write both in one place"
                )),
                None => Ok(None),
            };
        };
        let Some(published) = &self.to.digest else {
            return Err(format!(
                "the digest `{}` must move with the version, and that of `{}` is not known",
                place.text, self.to.version
            ));
        };
        let Some(new) = digest_in_form_of(&place.text, published) else {
            return Err(format!("`{published}` cannot be written in place of the digest `{}`", place.text));
        };
        Ok((new != place.text).then_some(new))
    }

    fn range(&self, pin: &Pin) -> Result<Moved, EditError> {
        if pin.text != self.written {
            return Ok(Moved::Left(format!("it says `{}`, not `{}`", pin.text, self.written)));
        }
        let refuse = |reason: &str| EditError::Range {
            file: pin.file.clone(),
            line: pin.line,
            range: pin.text.clone(),
            target: self.to.version.clone(),
            reason: reason.to_owned(),
        };
        if self.component.digest.is_some() || pin.digest.is_some() {
            return Err(refuse("a digest stands beside it"));
        }
        let new = widen::widen(&pin.text, &self.to.version).map_err(refuse)?;
        if is_writable(&new) {
            Ok(Moved::To { version: Some(new), digest: None })
        } else {
            Err(refuse("it is too long"))
        }
    }
}

/// Equal in precedence and in build metadata.
fn is_same(one: &Version, other: &Version) -> bool {
    one == other && one.update_type(other) == UpdateType::None
}

/// What versions and ranges are written with. Published texts are untrusted: nothing else gets into a file.
fn is_writable(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-~^<>=!|,*: ".contains(&byte);
    let inner = text.trim_matches(' ');
    !text.is_empty() && inner.len() == text.len() && text.len() <= MAX_TEXT && text.bytes().all(sign)
}

/// A digest as it is published, with or without its algorithm as `old` has it.
fn digest_in_form_of(old: &str, published: &str) -> Option<String> {
    let (algorithm, hex) = published.split_once(':').unwrap_or(("sha256", published));
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return None,
    };
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() != length || !hex.bytes().all(lower) {
        return None;
    }
    match old.split_once(':') {
        Some(_) => Some(format!("{algorithm}:{hex}")),
        None if algorithm == "sha256" => Some(hex.to_owned()),
        None => None,
    }
}

fn of_pin(pin: &Pin, new: String) -> Replacement {
    Replacement {
        file: pin.file.clone(),
        document: pin.document,
        line: pin.line,
        column: pin.column,
        route: pin.route.clone(),
        span: pin.span,
        old: pin.text.clone(),
        new,
    }
}

fn of_digest(pin: &Pin, digest: &DigestPin, new: String) -> Replacement {
    Replacement {
        file: pin.file.clone(),
        document: pin.document,
        line: digest.line,
        column: digest.column,
        route: digest.route.clone(),
        span: digest.span,
        old: digest.text.clone(),
        new,
    }
}

//! Texts that are put together from variables: what they say once the variables have values, and where the
//! part that is the version really stands.

use std::ops::Range;

use super::World;
use super::graph::KustomizationId;
use super::variables::{Home, reference};
use crate::domain::scan::{Site, locate_image, parse_image, tag_and_digest};

/// A text in a file.
pub(super) type Placed = (usize, Site);

/// What an image reference with variables says.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub(super) enum Composed {
    /// An image.
    Image {
        /// Registry and repository.
        name: (String, String),
        /// Where the tag stands.
        tag: Option<Placed>,
        /// Where the digest stands.
        digest: Option<Placed>,
    },
    /// Something else.
    Other,
    /// A variable has no value; the reason for people.
    Unknown(String),
}

/// The place of a text, behind its variable where it is one and nothing else.
pub(super) fn home_of(
    world: &World<'_>,
    kustomizations: &[KustomizationId],
    (file, site): Placed,
) -> Result<Placed, String> {
    let Some(variable) = reference(&site.text).filter(|_| site.text.starts_with('$')) else {
        return if site.text.contains("${") { Err(put_together(&site.text)) } else { Ok((file, site)) };
    };
    match world.variables.home(kustomizations, &variable) {
        Home::At { file, site, .. } if site.text.contains("${") => {
            Err(put_together(&site.text)).map_err(|why| {
                format!(
                    "the value of `{}` ({}:{}) has variables of its own: {why}",
                    variable.name, world.scans[file].path, site.line
                )
            })
        }
        Home::At { file, site, .. } => Ok((file, site)),
        Home::Default(range) => Ok((file, site.part(range))),
        Home::Unknown(reason) => Err(reason),
    }
}

/// Why a text with variables in it has no place where its version could be written.
pub(super) fn put_together(text: &str) -> String {
    format!("`{text}` is put together from variables; give the whole version one variable")
}

/// Reads an image reference whose name has variables in it.
pub(super) fn image(world: &World<'_>, kustomizations: &[KustomizationId], place: Placed) -> Composed {
    if reference(&place.1.text).is_some() {
        return match home_of(world, kustomizations, place) {
            Ok((file, site)) => whole(file, &site),
            Err(reason) => Composed::Unknown(reason),
        };
    }
    let (file, site) = place;
    let Parts { name, tag, digest } = Parts::of(&site.text);
    let filled = match filled(world, kustomizations, &site.text[name]) {
        Ok(filled) => filled,
        Err(reason) => return Composed::Unknown(reason),
    };
    let Some(name) = locate_image("", &filled) else { return Composed::Other };
    let home = |range: Range<usize>| home_of(world, kustomizations, (file, site.part(range)));
    let (tag, digest) = match (tag.map(home).transpose(), digest.map(home).transpose()) {
        (Ok(tag), Ok(digest)) => (tag, digest),
        (Err(reason), _) | (_, Err(reason)) => return Composed::Unknown(reason),
    };
    // The value of a tag may carry its digest.
    let (tag, behind) = match tag {
        Some((file, tag)) => {
            let (tag, behind) = tag_and_digest(tag);
            (Some((file, tag)), behind.map(|behind| (file, behind)))
        }
        None => (None, None),
    };
    Composed::Image { name, tag, digest: behind.or(digest) }
}

/// Reads a whole image reference that is the value of one variable.
fn whole(file: usize, site: &Site) -> Composed {
    let Some(image) = parse_image(&site.text) else { return Composed::Other };
    Composed::Image {
        name: (image.registry, image.repository),
        tag: image.tag.map(|range| (file, site.part(range))),
        digest: image.digest.map(|range| (file, site.part(range))),
    }
}

/// A text with its variables filled.
///
/// # Errors
///
/// Why one of them has no value.
pub(super) fn filled(
    world: &World<'_>,
    kustomizations: &[KustomizationId],
    text: &str,
) -> Result<String, String> {
    let filled = world.variables.fill(kustomizations, text);
    let unknown = variables(&filled).next();
    match unknown {
        None => Ok(filled),
        Some(range) => Err(match reference(&filled[range.clone()]) {
            Some(unknown) => match world.variables.home(kustomizations, &unknown) {
                Home::Unknown(reason) => reason,
                Home::At { .. } | Home::Default(_) => put_together(text),
            },
            None => format!("`{}` is no variable that Flux fills", &filled[range]),
        }),
    }
}

/// The byte ranges of `${…}` in a text.
pub(super) fn variables(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text.get(from..)?.find("${")?;
        from = start + text[start..].find('}')? + 1;
        Some(start..from)
    })
}

/// The parts of an image reference, by their places; what stands inside a variable parts nothing.
struct Parts {
    name: Range<usize>,
    tag: Option<Range<usize>>,
    digest: Option<Range<usize>>,
}

impl Parts {
    fn of(text: &str) -> Self {
        let inside: Vec<_> = variables(text).collect();
        let outside = |at: &usize| !inside.iter().any(|range| range.contains(at));
        let places = |sign: char| text.match_indices(sign).map(|(at, _)| at).filter(outside);
        let at = places('@').next();
        let end = at.unwrap_or(text.len());
        let slash = places('/').rfind(|at| *at < end).unwrap_or(0);
        let colon = places(':').find(|at| (slash..end).contains(at));
        Self {
            name: 0..colon.unwrap_or(end),
            tag: colon.map(|colon| colon + 1..end),
            digest: at.map(|at| at + 1..text.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_reference_are_told_apart_around_its_variables() {
        for (text, name, tag, digest) in [
            ("${REGISTRY}/app:1.0", "${REGISTRY}/app", Some("1.0"), None),
            ("${REGISTRY:=ghcr.io/o}/app:${TAG:-1}", "${REGISTRY:=ghcr.io/o}/app", Some("${TAG:-1}"), None),
            ("${HOST}:5000/app@sha256:aa", "${HOST}:5000/app", None, Some("sha256:aa")),
            ("ghcr.io/o/${APP}:1@${DIGEST}", "ghcr.io/o/${APP}", Some("1"), Some("${DIGEST}")),
            ("${IMAGE}", "${IMAGE}", None, None),
        ] {
            let parts = Parts::of(text);
            let part = |range: Option<Range<usize>>| range.map(|range| &text[range]);
            assert_eq!(
                (&text[parts.name], part(parts.tag), part(parts.digest)),
                (name, tag, digest),
                "{text}"
            );
        }
    }

    #[test]
    fn broken_variables_end() {
        for text in ["${", "${A", "a${}b${", "}${A}"] {
            assert!(variables(text).count() <= 1, "{text}");
        }
    }
}

//! Image references: `[registry/]repository[:tag][@digest]`.

use std::borrow::Cow;
use std::ops::Range;

/// An image reference with the places of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Registry host; Docker Hub is `docker.io`.
    pub registry: String,
    /// Path in the registry; official images of Docker Hub start with `library/`.
    pub repository: String,
    /// Byte range of the tag in the text.
    pub tag: Option<Range<usize>>,
    /// Byte range of the digest (`sha256:…`) in the text.
    pub digest: Option<Range<usize>>,
}

/// Reads an image reference; `None` for what no registry would accept (distribution reference grammar).
///
/// A leading `oci://` or `docker://` is allowed. The tag may be a variable (`${TAG}`).
pub fn parse(text: &str) -> Option<ImageReference> {
    let offset =
        ["oci://", "docker://"].iter().find(|scheme| text.starts_with(**scheme)).map_or(0, |s| s.len());
    let body = &text[offset..];
    if body.contains("://") {
        return None;
    }
    let (name, digest) = match body.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (body, None),
    };
    if digest.is_some_and(|digest| !(is_digest(digest) || is_variable(digest))) {
        return None;
    }
    // A colon after the last slash starts the tag; before it, a port. `${TAG:=1}` holds one too.
    let path = name.find("${").map_or(name, |variable| &name[..variable]);
    let slash = path.rfind('/').map_or(0, |at| at + 1);
    let colon = path[slash..].find(':').map(|at| slash + at);
    let (repository, tag) = match colon {
        Some(at) => (&name[..at], Some(at + 1..name.len())),
        None => (name, None),
    };
    if let Some(range) = &tag
        && !is_tag(&name[range.clone()])
    {
        return None;
    }
    let (registry, repository) = locate("", repository)?;
    Some(ImageReference {
        registry,
        repository,
        tag: tag.map(|range| offset + range.start..offset + range.end),
        digest: digest.map(|digest| text.len() - digest.len()..text.len()),
    })
}

/// Registry and repository of an image name, as Docker resolves it; `registry` may be given apart.
pub(crate) fn locate(registry: &str, name: &str) -> Option<(String, String)> {
    let name = name.trim_matches('/');
    let name = ["oci://", "docker://", "https://"]
        .iter()
        .fold(name, |name, scheme| name.strip_prefix(scheme).unwrap_or(name));
    let (host, path) = if registry.is_empty() {
        match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", name),
        }
    } else {
        (registry.trim_end_matches('/'), name.strip_prefix(&format!("{registry}/")).unwrap_or(name))
    };
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    // A registry may itself carry a path (`quay.io/org`).
    let (host, path) = match host.split_once('/') {
        Some((host, prefix)) => (host, format!("{prefix}/{path}")),
        None => (host, path.to_owned()),
    };
    let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path };
    let valid = !path.is_empty()
        && path.split('/').all(|part| {
            part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && part.chars().all(|character| {
                    character.is_ascii_lowercase() || character.is_ascii_digit() || "._-".contains(character)
                })
        })
        && host.starts_with(|first: char| first.is_ascii_alphanumeric())
        && host.chars().all(|character| character.is_ascii_alphanumeric() || ".-:".contains(character));
    valid.then(|| (host.to_owned(), path))
}

/// Whether a text may be a tag, once the variables in it have values.
pub(super) fn is_tag(text: &str) -> bool {
    // Longer than a tag with a few variables; a text may be as long as its file.
    if text.len() > 512 {
        return false;
    }
    let text = &*filled(text);
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "._-".contains(character))
}

/// Whether a text would be an image reference if the variables in it were names.
pub(super) fn is_composed(text: &str) -> bool {
    let name = match text.rsplit_once('@') {
        Some((name, digest)) if is_variable(digest) => name,
        _ => text,
    };
    text.len() <= 512 && name.contains("${") && parse(&filled(name)).is_some()
}

/// Whether a text is one variable.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with("${") && text.find('}') == Some(text.len() - 1)
}

/// The text with a letter for each `${…}`.
fn filled(text: &str) -> Cow<'_, str> {
    let mut filled = Cow::Borrowed(text);
    while let Some((before, after)) = filled.split_once("${").and_then(|(before, rest)| {
        let (_, after) = rest.split_once('}')?;
        Some((before, after))
    }) {
        filled = Cow::Owned(format!("{before}x{after}"));
    }
    filled
}

/// Whether a text is a digest such as `sha256:…`.
pub(super) fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        matches!(algorithm, "sha256" | "sha512")
            && hex.len() >= 32
            && hex.chars().all(|digit| digit.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, registry, repository, tag, with_digest) in [
            ("nginx", "docker.io", "library/nginx", None, false),
            ("nginx:1.27", "docker.io", "library/nginx", Some("1.27"), false),
            ("grafana/loki:2.9", "docker.io", "grafana/loki", Some("2.9"), false),
            ("localhost:5000/a/b:v1", "localhost:5000", "a/b", Some("v1"), false),
            ("localhost:5000/a", "localhost:5000", "a", None, false),
            (&format!("ghcr.io/o/r:1.2@{digest}"), "ghcr.io", "o/r", Some("1.2"), true),
            ("oci://ghcr.io/o/r:v0.38.1", "ghcr.io", "o/r", Some("v0.38.1"), false),
            ("ghcr.io/o/r:v${TAG}", "ghcr.io", "o/r", Some("v${TAG}"), false),
            ("ghcr.io/o/r:${TAG}-${FLAVOUR}", "ghcr.io", "o/r", Some("${TAG}-${FLAVOUR}"), false),
            ("ghcr.io/o/r:${TAG:=1.2}", "ghcr.io", "o/r", Some("${TAG:=1.2}"), false),
        ] {
            let image = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(image.registry, registry, "{text}");
            assert_eq!(image.repository, repository, "{text}");
            assert_eq!(image.tag.map(|range| &text[range]), tag, "{text}");
            assert_eq!(image.digest.map(|range| &text[range]), with_digest.then_some(&*digest), "{text}");
        }
    }

    #[test]
    fn references_with_variables_in_their_name_are_known_as_such() {
        for text in ["${IMAGE}", "${REGISTRY}/app:1.0", "ghcr.io/${ORG}/app", "${A}:${B}@${C}"] {
            assert!(parse(text).is_none() && is_composed(text), "{text}");
        }
        for text in ["nginx:1.25", "https://${HOST}/a.png", "${A} ${B}", "${A", "{{ image }}:${TAG}"] {
            assert!(!is_composed(text), "{text}");
        }
        let image = parse("web:${TAG}@${DIGEST}").unwrap();
        assert_eq!(image.digest.map(|range| &"web:${TAG}@${DIGEST}"[range]), Some("${DIGEST}"));
    }

    #[test]
    fn what_no_registry_accepts_is_no_image() {
        for text in [
            "",
            "A/B:1",
            "a b:1",
            "https://x/y.png",
            "a:b:c",
            "x@sha256:zz",
            "{{ image }}:1",
            "../x:1",
            "a:",
            "a:v${TAG",
            "a:${A}/b",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

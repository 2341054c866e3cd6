//! Comments that say who owns a version: `# renovate: …` and `# {"$imagepolicy": …}`.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

use regex::Regex;

use crate::domain::manifest::document::NodeId;
use crate::domain::manifest::route::Pattern;

use super::{Context, FileScan, Site};

/// A scalar in a file: the bytes of its value, the position of its document, and its node.
pub(super) type Written = (Range<usize>, usize, NodeId);

/// How many lines below its comment an annotated value may stand.
pub(crate) const REACH: usize = 4;

/// A `# renovate:` comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// 1-based line of the comment.
    pub line: usize,
    /// The comment stands in lines that are comments themselves: what it speaks of is switched off.
    pub commented_out: bool,
    /// `key=value` pairs; a known spelling for each key (`repos` and `repo` are `depName`).
    pub pairs: BTreeMap<String, String>,
    /// The texts on those lines that may be versions, in order.
    pub values: Vec<Site>,
    /// 1-based lines of the values that the comment may speak of.
    pub reach: RangeInclusive<usize>,
}

/// A `$imagepolicy` comment: Flux image automation owns the value on its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// 1-based line.
    pub line: usize,
    /// `namespace:policy[:field]`.
    pub policy: String,
    /// The value on the line.
    pub value: Option<Site>,
}

// Both patterns are constants; that they compile is tested below.
static VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"^[ \t\r]*(?:-[ \t]+)?(?:export[ \t]+)?["']?[A-Za-z0-9_./-]+["']?[ \t]*[:=][ \t]*["']?(?P<version>[^ \t\r"'#,]+)"#,
    )
    .ok()
});
static POLICY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"#[ \t]*\{[ \t]*"\$imagepolicy"[ \t]*:[ \t]*"(?P<policy>[^"]+)"[ \t]*\}"#).ok()
});

/// Whether there may be anything to read.
pub(super) fn is_in(text: &str) -> bool {
    [&b"renovate:"[..], b"$imagepolicy"]
        .iter()
        .any(|sign| memchr::memmem::find(text.as_bytes(), sign).is_some())
}

pub(super) fn read(context: &Context<'_>, scan: &mut FileScan) {
    let bytes = context.text.as_bytes();
    for at in memchr::memmem::find_iter(bytes, b"renovate:") {
        let line = context.lines.line(at);
        let Some(range) = context.lines.range(line) else { continue };
        let before = context.text[range.start..at].trim_end();
        // The comment sign of YAML, also after a value; `<!--` and `//` are other languages.
        if !before.ends_with('#') {
            continue;
        }
        let pairs = pairs(&context.text[at + "renovate:".len()..range.end]);
        if pairs.is_empty() {
            continue;
        }
        let before = before.trim_end_matches('#').trim();
        let commented_out = before.starts_with('#');
        let reach = if commented_out || !ends_a_value(before) {
            line + 1..=last_below(context, line)
        } else {
            line..=line
        };
        let values = reach.clone().filter_map(|line| value_on(context, line)).collect();
        scan.annotations.push(Annotation { line, commented_out, pairs, values, reach });
    }
    if memchr::memmem::find(bytes, b"$imagepolicy").is_none() {
        return;
    }
    let Some(policy) = &*POLICY else { return };
    for line in 1..=context.lines.count() {
        let Some(range) = context.lines.range(line) else { continue };
        if let Some(found) = policy.captures(&context.text[range]) {
            scan.markers.push(Marker {
                line,
                policy: found["policy"].to_owned(),
                value: value_on(context, line),
            });
        }
    }
}

/// Reads `key=value` and `key="a value"` pairs in any order.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut rest = text.trim();
    while let Some((head, tail)) = rest.split_once('=') {
        let key = head.split_whitespace().last().unwrap_or_default();
        let release_variable = head.split_whitespace().any(|word| word == "githubReleaseVar");
        let (value, after) = match tail.strip_prefix(['"', '\'']) {
            Some(quoted) => quoted.split_once(['"', '\'']).unwrap_or((quoted, "")),
            None => tail.split_once(char::is_whitespace).unwrap_or((tail, "")),
        };
        if release_variable {
            pairs.insert("datasource".to_owned(), "github-releases".to_owned());
        }
        let key = match key {
            "repo" | "repos" | "lookupName" => "depName",
            other => other,
        };
        if !key.is_empty() && !value.is_empty() {
            pairs.insert(key.to_owned(), value.to_owned());
        }
        rest = after.trim_start();
    }
    pairs
}

/// Whether a comment that follows this text stands behind a value, which it speaks of then; behind a
/// key or the sign of a sequence the value is still to come.
fn ends_a_value(before: &str) -> bool {
    !(before.is_empty() || before == "-" || before.ends_with(':'))
}

/// The last line that a comment above it may speak of.
fn last_below(context: &Context<'_>, line: usize) -> usize {
    let mut last = line;
    for next in line + 1..=line + REACH {
        let Some(range) = context.lines.range(next) else { break };
        let text = context.text[range].trim();
        // A second annotation starts its own reach.
        let other = text.starts_with('#') && text.contains("renovate:");
        if text.is_empty() || text == "---" || other {
            break;
        }
        last = next;
    }
    last
}

/// The value on a line, as text, with its route where the line is part of a document.
fn value_on(context: &Context<'_>, line: usize) -> Option<Site> {
    let range = context.lines.range(line)?;
    let found = VALUE.as_ref()?.captures(context.text.get(range.clone())?)?;
    let version = found.name("version")?;
    let span = range.start + version.start()..range.start + version.end();
    let (document, route) = route_of(context, &span).unwrap_or_default();
    Some(context.site_at(document, route, span))
}

/// The document and route of the scalar that is written at `span`.
pub(super) fn route_of(context: &Context<'_>, span: &Range<usize>) -> Option<(usize, String)> {
    // Made once a file: a hostile one has as many comments as values.
    let written = context.written.get_or_init(|| written(context));
    let before = written.partition_point(|(value, ..)| value.start <= span.start);
    let (value, position, node) = written.get(before.checked_sub(1)?)?;
    let parsed = &context.documents[*position];
    (span.end <= value.end).then(|| (parsed.index, parsed.document.pointer(*node)))
}

/// Every scalar whose bytes are its value: where it stands, and its document and node; in the order of the file.
fn written(context: &Context<'_>) -> Vec<Written> {
    let Ok(everything) = Pattern::parse("/**") else { return Vec::new() };
    let mut written = Vec::new();
    for (position, parsed) in context.documents.iter().enumerate() {
        let (document, Some(root), None) = (&parsed.document, parsed.document.root(), &parsed.embedded)
        else {
            continue;
        };
        for node in document.select(root, &everything) {
            // What an alias stands for is written elsewhere.
            let own = document.resolve(node) == node;
            written.extend(document.value_span(node).filter(|_| own).map(|value| (value, position, node)));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scan::scan_file;

    fn read(text: &str) -> FileScan {
        scan_file("a.yaml", text.as_bytes(), &[])
    }

    #[test]
    fn the_patterns_compile() {
        assert!(VALUE.is_some() && POLICY.is_some());
    }

    #[test]
    fn pairs_are_read_in_any_order_and_spelling() {
        for (text, expected) in [
            (" datasource=docker depName=a/b", [("datasource", "docker"), ("depName", "a/b")].as_slice()),
            (" depName=a/b datasource=docker", &[("datasource", "docker"), ("depName", "a/b")]),
            (
                " githubReleaseVar repo=k3s-io/k3s",
                &[("datasource", "github-releases"), ("depName", "k3s-io/k3s")],
            ),
            (" depName=\"Node Exporter Full\"", &[("depName", "Node Exporter Full")]),
            (
                " datasource=github-releases repos=a/b",
                &[("datasource", "github-releases"), ("depName", "a/b")],
            ),
            (" nothing here", &[]),
        ] {
            let expected: BTreeMap<_, _> =
                expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn the_value_below_an_annotation_is_found_with_its_route() {
        let scan = read(
            "a:\n  # renovate: datasource=docker depName=x/y\n  # more words\n  VERSION: \"v1.2\" # pinned\n",
        );
        let value = scan.annotations[0].values[0].clone();
        assert_eq!((value.text.as_str(), value.route.as_str(), value.line), ("v1.2", "/a/VERSION", 4));
    }

    #[test]
    fn a_comment_behind_a_value_speaks_of_that_value_alone() {
        let comment = "# renovate: datasource=docker depName=x/y";
        for (text, reach, values) in [
            (format!("a: v1 {comment}\nb: v2\n"), 1..=1, ["v1"].as_slice()),
            (format!("- a: v1 {comment}\n"), 1..=1, &["v1"]),
            (format!("{comment}\na: v1\nb: v2\n"), 2..=3, &["v1", "v2"]),
            (format!("- {comment}\n  a: v1\n"), 2..=2, &["v1"]),
            (format!("a: {comment}\n  b: v1\n"), 2..=2, &["v1"]),
            (format!("a: [] {comment}\nb: v2\n"), 1..=1, &["[]"]),
        ] {
            let scan = read(&text);
            let annotation = &scan.annotations[0];
            let found: Vec<_> = annotation.values.iter().map(|value| value.text.as_str()).collect();
            assert_eq!((annotation.reach.clone(), found.as_slice()), (reach, values), "{text}");
        }
    }

    #[test]
    fn annotations_in_commented_out_manifests_are_known_as_such() {
        let scan = read("# # renovate: depName=a/b\n# version: 1\na: 1 # renovate: depName=c/d\n");
        let commented: Vec<_> = scan.annotations.iter().map(|annotation| annotation.commented_out).collect();
        assert_eq!(commented, [true, false]);
    }

    #[test]
    fn values_in_templates_have_no_route() {
        let text = "{% if x %}\n# renovate: datasource=docker depName=x/y\nversion: v1.2\n{% endif %}\n";
        let scan = scan_file("a.yaml.j2", text.as_bytes(), &[]);
        let value = scan.annotations[0].values[0].clone();
        assert_eq!((value.text.as_str(), value.route.as_str()), ("v1.2", ""));
        assert!(scan.problems.is_empty());
    }

    /// Routes were once looked for through all values of the file, for each comment anew.
    #[test]
    fn many_annotated_values_get_their_routes_in_linear_time() {
        let line = "- # renovate: datasource=docker depName=x/y\n  version: v1.2\n";
        let started = std::time::Instant::now();
        let scan = read(&line.repeat(50_000));
        assert_eq!(scan.annotations.len(), 50_000);
        let last = &scan.annotations[49_999].values[0];
        assert_eq!(last.route, "/49999/version");
        // Quadratic, this took minutes.
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    #[test]
    fn values_behind_an_alias_have_the_route_where_they_are_written() {
        let scan = read("a: &v v1.2\n# renovate: datasource=docker depName=x/y\nb: *v\n");
        let value = &scan.annotations[0].values[0];
        assert_eq!((value.text.as_str(), value.route.as_str()), ("*v", ""));
    }

    #[test]
    fn image_policy_markers_are_found() {
        let scan = read("image: a:1 # {\"$imagepolicy\": \"flux-system:podinfo:tag\"}\n");
        assert_eq!(scan.markers[0].policy, "flux-system:podinfo:tag");
    }
}

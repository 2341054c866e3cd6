//! Applies the rules to a document.

use std::collections::BTreeMap;

use crate::domain::expression::Expression;
use crate::domain::manifest::document::{Document, NodeId};
use crate::domain::manifest::route::Pattern;
use crate::domain::problem::Problem;
use crate::domain::rule::{Format, PinRule, Role, Rule, Scope};

use super::object::Object;
use super::{Context, FileScan, Found, Site, image, is_nothing, kustomize};

/// Pins in the object at `node`.
pub(super) fn object(
    context: &Context<'_>,
    position: usize,
    node: NodeId,
    object: usize,
    rules: &[Rule],
    scan: &mut FileScan,
) {
    for (rule, pin) in pins(rules) {
        let Object { group, kind, .. } = &scan.objects[object];
        if !rules[rule].pins[pin].scope.holds(group, kind) {
            continue;
        }
        apply(context, position, node, Some(object), (rule, pin), &rules[rule].pins[pin], scan);
    }
}

/// Pins in documents that are no objects: Kustomize's own files and files of a known name.
pub(super) fn plain(context: &Context<'_>, position: usize, rules: &[Rule], scan: &mut FileScan) {
    let document = &context.documents[position].document;
    let Some(root) = document.root() else { return };
    let name = scan.path.rsplit('/').next().unwrap_or(&scan.path).to_owned();
    let kustomize = kustomize::is_kustomize_document(&scan.path, document, root);
    // Whether values are used as such is known when all files are.
    let values = !kustomize && !scan.template && document.get(root, "apiVersion").is_none();
    for (rule, pin) in pins(rules) {
        let wanted = match &rules[rule].pins[pin].scope {
            Scope::KustomizeFile => kustomize,
            Scope::FileName(wanted) => *wanted == name,
            Scope::Values => values,
            Scope::Object { .. } | Scope::Lines { .. } => false,
        };
        if wanted {
            apply(context, position, root, None, (rule, pin), &rules[rule].pins[pin], scan);
        }
    }
}

/// Pins in values that stand inside a ConfigMap.
pub(super) fn values(context: &Context<'_>, position: usize, rules: &[Rule], scan: &mut FileScan) {
    let parsed = &context.documents[position];
    let Some(root) = parsed.document.root() else { return };
    let holder =
        scan.objects.iter().position(|object| object.document == parsed.index && object.kind == "ConfigMap");
    for (rule, pin) in pins(rules) {
        if matches!(rules[rule].pins[pin].scope, Scope::Values) {
            apply(context, position, root, holder, (rule, pin), &rules[rule].pins[pin], scan);
        }
    }
}

/// Pins in lines of text, whatever the file's form.
pub(super) fn lines(text: &str, rules: &[Rule], scan: &mut FileScan) {
    for (rule, pin) in pins(rules) {
        let spec = &rules[rule].pins[pin];
        let (Scope::Lines { files, within }, Format::Regex(regex)) = (&spec.scope, &spec.format) else {
            continue;
        };
        let mut end = within.unwrap_or(text.len()).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text[..end];
        if !regex.may_match(text) || !files.is_match(&scan.path) {
            continue;
        }
        for captures in regex.captures_iter(text) {
            let Some(version) = captures.name("version") else { continue };
            if !is_understood(spec, version.as_str()) {
                continue;
            }
            scan.generated |= spec.generated;
            scan.found.push(Found {
                rule,
                pin,
                object: None,
                // Line and column are filled in when the file's lines are known.
                site: Some(Site {
                    document: 0,
                    route: String::new(),
                    span: version.range(),
                    line: 0,
                    column: 0,
                    text: version.as_str().to_owned(),
                }),
                digest: None,
                lines: 0..=0,
                composed: false,
                captures: named(regex, &captures),
            });
        }
    }
}

fn pins(rules: &[Rule]) -> impl Iterator<Item = (usize, usize)> {
    rules.iter().enumerate().flat_map(|(rule, spec)| (0..spec.pins.len()).map(move |pin| (rule, pin)))
}

/// Whether a strict pin has a text that its scheme can read; a variable may hold one.
fn is_understood(spec: &PinRule, text: &str) -> bool {
    spec.strict
        .is_none_or(|scheme| text.contains("${") || text.contains("<<") || scheme.parse(text).is_some())
}

fn apply(
    context: &Context<'_>,
    position: usize,
    root: NodeId,
    object: Option<usize>,
    (rule, pin): (usize, usize),
    spec: &PinRule,
    scan: &mut FileScan,
) {
    let document = &context.documents[position].document;
    if !document.keys().may_have(&spec.needs) {
        return;
    }
    let find = |from: NodeId, pattern: &Pattern| {
        document.select(if pattern.absolute { root } else { from }, pattern).into_iter().next()
    };
    for node in document.select(root, &spec.at) {
        if !spec.when.iter().all(|pattern| find(node, pattern).is_some()) {
            continue;
        }
        // An object of a known kind that lacks the field carries a part of another, which has it.
        let partial = matches!(spec.scope, Scope::Object { kind: Some(_), .. });
        let matches = spec.matches.iter().all(|(pattern, regex)| match find(node, pattern) {
            Some(at) => document.scalar(at).is_some_and(|text| regex.is_match(text)),
            None => partial,
        });
        if !matches {
            if let Some(object) = object.filter(|_| partial) {
                scan.objects[object].refuses.insert((rule, pin));
            }
            continue;
        }
        let version = find(node, &spec.version).filter(|at| !is_nothing(document, *at));
        // Most scalars that a wide pattern meets can be told to say nothing before anything is made of them.
        if let (Format::Regex(regex), Some(at)) = (&spec.format, version)
            && document.scalar(at).is_some_and(|text| !regex.may_match(text))
        {
            continue;
        }
        let mut captures: BTreeMap<String, String> = spec
            .capture
            .iter()
            .filter_map(|(name, pattern)| {
                let text = document.scalar(find(node, pattern)?)?;
                (!text.is_empty()).then(|| (name.clone(), text.to_owned()))
            })
            .collect();
        let beside = spec.capture.iter().find(|(name, _)| name == DIGEST);
        let mut digest = beside
            .and_then(|(_, pattern)| find(node, pattern))
            .filter(|at| !is_nothing(document, *at))
            .and_then(|at| context.site(position, at));
        let mut composed = false;
        let site = match version {
            // The name is told in full where it has no tag, too.
            None if matches!(spec.format, Format::Tag) && spec.absent.is_some() => {
                match image_beside(&mut captures) {
                    Beside::Image => None,
                    Beside::Composed | Beside::Other => continue,
                }
            }
            None => None,
            Some(at) if document.scalar(at).is_none() => continue,
            Some(at) => {
                let Some(site) = context.site(position, at) else {
                    unwritable(context, document, at, spec, scan);
                    continue;
                };
                match shape(site, spec, &mut captures) {
                    Shape::Version { version, digest: behind, composed: named_by_variables } => {
                        digest = behind.or(digest);
                        composed = named_by_variables;
                        Some(version)
                    }
                    Shape::NoVersion => None,
                    Shape::Other => continue,
                }
            }
        };
        if site.as_ref().is_some_and(|site| !is_understood(spec, &site.text)) {
            continue;
        }
        // A patch that says nothing of the version leaves the version where it is.
        let silent = spec.absent.is_none()
            || spec.role == Role::Digest
            || object.is_some_and(|object| scan.objects[object].patch.is_some());
        if site.is_none() && silent {
            continue;
        }
        let lines = match &site {
            Some(site) => site.line..=site.line,
            None => lines_of(context, document, node),
        };
        scan.found.push(Found { rule, pin, object, site, digest, lines, composed, captures });
    }
}

/// The lines of a node and of its own keys.
fn lines_of(context: &Context<'_>, document: &Document<'_>, node: NodeId) -> std::ops::RangeInclusive<usize> {
    let first = context.lines.line(document.span(node).start);
    let last = document.children(node).map(|(_, child)| context.lines.line(document.span(child).start)).max();
    first..=last.unwrap_or(first).max(first)
}

/// A version that is folded, escaped or a block cannot be edited byte for byte; it is said, not guessed.
fn unwritable(
    context: &Context<'_>,
    document: &Document<'_>,
    at: NodeId,
    spec: &PinRule,
    scan: &mut FileScan,
) {
    // Generic patterns meet many block scalars that are no versions.
    let version = match &spec.format {
        Format::Image => document.scalar(at).and_then(|text| image::parse(text.trim())).is_some(),
        Format::Regex(regex) => document.scalar(at).is_some_and(|text| regex.is_match(text)),
        Format::Whole | Format::Tag => true,
    };
    if !version {
        return;
    }
    let start = document.span(at).start;
    // Several rules may look at one place.
    if !scan.unwritable.insert(start) {
        return;
    }
    scan.problems.push(Problem::in_file(
        scan.path.clone(),
        Some(context.lines.line(start)),
        format!(
            "version at `{}` is written with escapes or over several lines; write it on one line (rule `{}`)",
            document.pointer(at),
            spec.id
        ),
    ));
}

/// Name of the capture of a digest that moves with the version.
const DIGEST: &str = "digest";

/// The two parts of `tag@sha256:…`; what has no digest stays whole.
pub(crate) fn tag_and_digest(site: Site) -> (Site, Option<Site>) {
    match site.text.split_once('@') {
        Some((tag, digest)) if image::is_digest(digest) || image::is_variable(digest) => {
            let (end, start) = (tag.len(), site.text.len() - digest.len());
            (site.part(0..end), Some(site.part(start..site.text.len())))
        }
        _ => (site, None),
    }
}

/// What a scalar says in the form that a rule expects.
pub(crate) enum Shape {
    /// A version, at this place, and the digest behind it.
    Version {
        /// Where the version stands.
        version: Site,
        /// Where the digest stands in the same scalar.
        digest: Option<Site>,
        /// The image's name has variables in it; where it stands in the same scalar, that is taken whole.
        composed: bool,
    },
    /// What it should, without a version.
    NoVersion,
    /// Something else.
    Other,
}

/// Reads a scalar in a form; what stands beside the version in it becomes captures.
pub(crate) fn shape(site: Site, spec: &PinRule, captures: &mut BTreeMap<String, String>) -> Shape {
    match &spec.format {
        Format::Whole => Shape::Version { version: site, digest: None, composed: false },
        Format::Image => {
            let Some(image) = image::parse(&site.text) else {
                let composed = image::is_composed(&site.text);
                return match composed {
                    true => Shape::Version { version: site, digest: None, composed },
                    false => Shape::Other,
                };
            };
            captures.insert("registry".to_owned(), image.registry);
            captures.insert("repository".to_owned(), image.repository);
            let digest = image.digest.map(|digest| site.part(digest));
            captures.extend(digest.as_ref().map(|digest| (DIGEST.to_owned(), digest.text.clone())));
            match image.tag {
                Some(tag) => Shape::Version { version: site.part(tag), digest, composed: false },
                None => Shape::NoVersion,
            }
        }
        Format::Tag => {
            let alone = spec.role == Role::Digest;
            let (version, digest) = if alone { (site, None) } else { tag_and_digest(site) };
            captures.extend(digest.as_ref().map(|digest| (DIGEST.to_owned(), digest.text.clone())));
            let fits = if alone { image::is_digest(&version.text) } else { image::is_tag(&version.text) };
            if !fits {
                return Shape::Other;
            }
            match image_beside(captures) {
                Beside::Image => Shape::Version { version, digest, composed: false },
                Beside::Composed => Shape::Version { version, digest, composed: true },
                Beside::Other => Shape::Other,
            }
        }
        Format::Regex(regex) => {
            let Some(matched) = regex.captures(&site.text) else { return Shape::Other };
            captures.extend(named(regex, &matched));
            match matched.name("version") {
                Some(version) => {
                    Shape::Version { version: site.part(version.range()), digest: None, composed: false }
                }
                None => Shape::Other,
            }
        }
    }
}

/// What the captures beside a tag name.
enum Beside {
    /// An image: the captures have its registry and repository now.
    Image,
    /// An image whose name has variables in it.
    Composed,
    Other,
}

fn image_beside(captures: &mut BTreeMap<String, String>) -> Beside {
    let Some(name) = captures.get("repository") else { return Beside::Other };
    let registry = captures.get("registry").cloned().unwrap_or_default();
    if image::is_composed(&format!("{registry}/{name}")) || image::is_composed(name) {
        return Beside::Composed;
    }
    let Some((registry, repository)) = image::locate(&registry, name) else { return Beside::Other };
    captures.insert("registry".to_owned(), registry);
    captures.insert("repository".to_owned(), repository);
    Beside::Image
}

fn named(expression: &Expression, captures: &regex::Captures<'_>) -> BTreeMap<String, String> {
    expression
        .names()
        .filter(|name| *name != "version")
        .filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned())))
        .collect()
}

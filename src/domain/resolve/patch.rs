//! Versions that JSON 6902 patches (RFC 6902) write.

use std::collections::BTreeSet;

use super::composed::{self, Composed};
use super::instance::{Captures, Instance, Subject, Uses, exact_part, pin};
use super::place::{is_plain_name, rank, selecting, unnamed};
use super::sources::Lookup;
use super::view::View;
use super::{World, annotate, locate};
use crate::domain::component::Given;
use crate::domain::rule::{ComponentTemplate, Format, PinRule, Role, Rule, Scope, UpstreamTemplate, fill};
use crate::domain::scan::{JsonPatch, PatchTarget, Shape, Site, shape, tag_and_digest};
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::{Scheme, range::Range};

/// Versions that a JSON 6902 patch writes.
pub(super) fn patched(
    world: &World<'_>,
    file: usize,
    patch: &JsonPatch,
    uses: &Uses,
    views: &[View],
    instances: &mut Vec<Instance>,
) {
    let targets: Vec<(PatchTarget, View)> = match (&patch.target, patch.values.first()) {
        (Some(target), Some((_, site))) => {
            let views = world.views_of_changes(file, site.document, views);
            views.into_iter().map(|view| (target.clone(), view)).collect()
        }
        _ => views.iter().filter_map(|view| Some((view.patch()?.as_ref().clone(), view.clone()))).collect(),
    };
    for (target, view) in &targets {
        for (pointer, value) in &patch.values {
            let place = (pointer.as_str(), value);
            let Some(written) = Written::read(world, (file, view), target, patch, place) else { continue };
            let Written { rule, spec, home, site, digest, unknown, mut captures } = written;
            let scheme = spec.scheme.unwrap_or(rule.scheme);
            let (kind, name) = (target.kind.as_deref().unwrap_or_default(), target.name.as_deref());
            let namespace = target
                .namespace
                .clone()
                .or_else(|| name.and_then(|name| world.home(kind, name).cloned()))
                .or_else(|| view.set_namespace());
            let plain = target.name.clone().filter(|name| is_plain_name(name));
            captures.extend(plain.map(|name| ("name".to_owned(), name)));
            captures.extend(namespace.clone().map(|namespace| ("namespace".to_owned(), namespace)));
            let template =
                served(world, (file, view), (kind, name), namespace.as_deref(), uses, &mut captures);
            let own = spec.component.as_ref().unwrap_or(&rule.component);
            let splits = template.is_some() || own.id.contains('{');
            let template = template.unwrap_or_else(|| own.clone());
            // What is patched may still give it a name; what has none in the end becomes a problem.
            let id = fill(&template.id, &captures);
            let ranged = scheme == Scheme::Semver || spec.role == Role::Range;
            let exact = !ranged || Range::parse(&site.text).is_ok_and(|range| range.is_exact());
            let upstream = match &spec.upstream {
                _ if unknown.is_some() => Err(unknown.clone().unwrap_or_default()),
                _ if id.is_none() => Err(unnamed(&template)),
                UpstreamTemplate::K3s => Ok(UpstreamRef::K3s { channel: None }),
                UpstreamTemplate::Image => fill("{registry}/{repository}", &captures)
                    .ok_or_else(|| "nothing in the repository says which image this is".to_owned())
                    .and_then(|image| locate::oci(&image, false)),
                _ => Err("nothing in the repository says which chart and source this release has".to_owned()),
            };
            let given = match (&unknown, exact) {
                (Some(_), _) => Given::Nothing("the version is a variable without a value".to_owned()),
                (None, true) => Given::Exact(site.text.clone()),
                (None, false) => Given::Range(site.text.clone()),
            };
            let applied = view.applies(world, file);
            let id = id.unwrap_or_default();
            instances.push(Instance {
                kind: template.kind,
                name: fill(&template.name, &captures).unwrap_or_else(|| id.clone()),
                namespace,
                id,
                scheme,
                inherits: unknown.is_none() && (upstream.is_err() || spec.upstream == UpstreamTemplate::K3s),
                upstream,
                given,
                digest: captures.remove("digest"),
                managed: annotate::managed(&world.scans[file], Some(value)),
                tag_prefix: None,
                // That of what it patches.
                images: BTreeSet::new(),
                pin: Some(pin(&world.scans[home], site, digest, &spec.id, applied)),
                subject: Some(Subject {
                    object: (file, usize::MAX),
                    group: target.group.clone().unwrap_or_default(),
                    kind: kind.to_owned(),
                    name: target.name.clone().filter(|name| is_plain_name(name)),
                    namespace: target.namespace.clone(),
                    rule: rule.id.clone(),
                    pin: spec.id.clone(),
                    image: captures.get("registry").cloned().zip(captures.get("repository").cloned()),
                    container: false,
                    overlay: true,
                    marks: None,
                    selects: selecting(Some(target)),
                    rank: rank(spec),
                }),
                replaces: None,
                ways: view.ways.clone(),
                clusters: view.clusters.clone(),
                template: world.scans[file].template,
                splits,
                origin: world.scans[file].path.clone(),
                warnings: Vec::new(),
            });
        }
    }
}

/// A version that an operation writes.
struct Written<'a> {
    rule: &'a Rule,
    spec: &'a PinRule,
    /// File in which the version stands.
    home: usize,
    site: Site,
    /// The digest that moves with it, where it stands in the same document.
    digest: Option<Site>,
    /// Why nothing says what the version is.
    unknown: Option<String>,
    captures: Captures,
}

impl<'a> Written<'a> {
    /// Finds the rule that would find the version in the patched object.
    fn read(
        world: &World<'a>,
        (file, view): (usize, &View),
        target: &PatchTarget,
        patch: &JsonPatch,
        (pointer, value): (&str, &Site),
    ) -> Option<Self> {
        world.rules.iter().enumerate().find_map(|(at, rule)| {
            rule.pins.iter().enumerate().find_map(|(pin, spec)| {
                if !writes(spec, target, pointer) || world.refuses(target, (at, pin)) {
                    return None;
                }
                let mut captures = match &spec.format {
                    // The repository stands beside the tag, in the object that is patched.
                    Format::Tag => world.beside(target, pointer)?.clone(),
                    Format::Whole | Format::Image | Format::Regex(_) => Captures::new(),
                };
                let Shape::Version { version: site, digest: mut behind, composed } =
                    shape(value.clone(), spec, &mut captures)
                else {
                    return None;
                };
                let from = view.kustomizations();
                let place = (file, site.clone());
                let composed = if composed && matches!(spec.format, Format::Image) {
                    match composed::image(world, from, place) {
                        Composed::Other => return None,
                        Composed::Unknown(reason) => Err(reason),
                        Composed::Image { name, tag, digest } => {
                            captures
                                .extend([("registry".to_owned(), name.0), ("repository".to_owned(), name.1)]);
                            behind = digest.map(|(_, site)| site);
                            Ok(tag?)
                        }
                    }
                } else {
                    composed::home_of(world, from, place)
                };
                let (home, site, unknown) = match composed {
                    Ok((home, site)) => (home, site, None),
                    Err(reason) => (file, site, Some(reason)),
                };
                let (site, within) = match spec.format {
                    Format::Image | Format::Tag => tag_and_digest(site),
                    Format::Whole | Format::Regex(_) => (site, None),
                };
                let written = behind.or_else(|| sibling_digest(spec, patch, pointer).cloned());
                let near = |digest: &Site| home == file && digest.document == site.document;
                let digest = within.or_else(|| written.clone().filter(near));
                if let Some(known) = digest.as_ref().or(written.as_ref()) {
                    captures.insert("digest".to_owned(), known.text.clone());
                }
                let scheme = spec.scheme.unwrap_or(rule.scheme);
                let site = exact_part(site, scheme, spec.role);
                let ranged = scheme == Scheme::Semver || spec.role == Role::Range;
                let understood = match spec.format {
                    _ if unknown.is_some() => true,
                    Format::Image | Format::Tag => true,
                    // What no rule of its own excludes may still be the version of something else.
                    Format::Whole | Format::Regex(_) => {
                        scheme.parse(&site.text).is_some() || (ranged && Range::parse(&site.text).is_ok())
                    }
                };
                understood.then_some(Self { rule, spec, home, site, digest, unknown, captures })
            })
        })
    }
}

/// The release that a patched chart object serves alone, or the Git repository that a patched source is of.
fn served(
    world: &World<'_>,
    (file, view): (usize, &View),
    (kind, name): (&str, Option<&str>),
    namespace: Option<&str>,
    uses: &Uses,
    captures: &mut Captures,
) -> Option<ComponentTemplate> {
    let Lookup::Found(known) = world.sources.find((kind, name?), namespace, file, &view.clusters) else {
        return None;
    };
    if let Some((host, path)) = locate::git_place(&known.url) {
        captures.insert("git_host".to_owned(), host);
        captures.insert("git_path".to_owned(), path);
    }
    let serving = uses.get(&(known.file, known.object))?;
    let (id, release) = serving.iter().next().filter(|_| serving.len() == 1)?;
    captures.extend(release.iter().map(|(key, value)| (key.clone(), value.clone())));
    Some(ComponentTemplate { id: id.clone(), kind: "helm".into(), name: "{name}".into() })
}

/// The digest that the same patch writes beside a version.
fn sibling_digest<'p>(spec: &PinRule, patch: &'p JsonPatch, pointer: &str) -> Option<&'p Site> {
    let folder = |pointer: &str| pointer.rsplit_once('/').map(|(above, _)| above.to_owned());
    let (_, beside) = spec.capture.iter().find(|(name, _)| name == "digest")?;
    let pattern = spec.at.then(beside);
    let mut others = patch.values.iter();
    let found = others.find(|(other, _)| folder(other) == folder(pointer) && pattern.matches(other));
    found.map(|(_, site)| site)
}

/// Whether a rule finds versions at a place of an object.
fn writes(spec: &PinRule, target: &PatchTarget, pointer: &str) -> bool {
    let Scope::Object { group, kind, except } = &spec.scope else { return false };
    let wanted = match (kind, &target.kind) {
        (Some(kind), wanted) => wanted.as_ref() == Some(kind),
        (None, Some(wanted)) => !except.contains(wanted),
        (None, None) => true,
    };
    wanted
        && target.group.as_ref().is_none_or(|wanted| group.as_ref().is_none_or(|group| group == wanted))
        && matches!(spec.role, Role::Version | Role::Range)
        && spec.at.then(&spec.version).matches(pointer)
}

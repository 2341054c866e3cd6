//! Versions that JSON 6902 patches (RFC 6902) write.

use super::instance::{Captures, Instance, Uses, clusters, pin};
use super::sources::Lookup;
use super::{World, annotate, locate};
use crate::domain::component::Given;
use crate::domain::manifest::route::{self, Pattern, Segment};
use crate::domain::rule::{ComponentTemplate, PinRule, Role, Scope, UpstreamTemplate, fill};
use crate::domain::scan::{JsonPatch, PatchTarget};
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::{Scheme, range::Range};

/// Versions that a JSON 6902 patch writes.
pub(super) fn patched(
    world: &World<'_>,
    file: usize,
    patch: &JsonPatch,
    uses: &Uses,
    instances: &mut Vec<Instance>,
) {
    let reaches = world.graph.of(file);
    let targets: Vec<(PatchTarget, usize)> = match &patch.target {
        Some(target) => {
            vec![(target.clone(), reaches.iter().map(|reach| reach.depth).min().unwrap_or_default())]
        }
        None => reaches.iter().filter_map(|reach| Some((reach.patch.clone()?, reach.depth))).collect(),
    };
    for (target, depth) in targets {
        for (pointer, site) in &patch.values {
            let spec = world.rules.iter().find_map(|rule| {
                let spec = rule.pins.iter().find(|spec| writes(spec, &target, pointer))?;
                Some((rule, spec))
            });
            let Some((rule, spec)) = spec else { continue };
            let scheme = spec.scheme.unwrap_or(rule.scheme);
            // Only the patched object could say whether the rule's other conditions hold.
            if scheme.parse(&site.text).is_none() && Range::parse(&site.text).is_err() {
                continue;
            }
            let mut captures = Captures::new();
            let (kind, name) = (target.kind.as_deref().unwrap_or_default(), target.name.as_deref());
            let namespace = target
                .namespace
                .clone()
                .or_else(|| name.and_then(|name| world.home(kind, name).cloned()))
                .or_else(|| reaches.iter().find_map(|reach| reach.namespace.clone()));
            captures.extend(target.name.clone().map(|name| ("name".to_owned(), name)));
            captures.extend(namespace.clone().map(|namespace| ("namespace".to_owned(), namespace)));
            let template = served(world, file, (kind, name), namespace.as_deref(), uses, &mut captures);
            let template = template.unwrap_or_else(|| rule.component.clone());
            let Some(id) = fill(&template.id, &captures) else { continue };
            let ranged = scheme == Scheme::Semver || spec.role == Role::Range;
            let exact = !ranged || Range::parse(&site.text).is_ok_and(|range| range.is_exact());
            let upstream = match &spec.upstream {
                UpstreamTemplate::K3s => Ok(UpstreamRef::K3s { channel: None }),
                _ => Err("nothing in the repository says which chart and source this release has".to_owned()),
            };
            let applied = world.graph.applied(&world.scans[file], file);
            instances.push(Instance {
                kind: template.kind,
                name: fill(&template.name, &captures).unwrap_or_else(|| id.clone()),
                namespace,
                id,
                scheme,
                upstream,
                given: if exact { Given::Exact(site.text.clone()) } else { Given::Range(site.text.clone()) },
                digest: None,
                managed: annotate::managed(&world.scans[file], Some(site)),
                tag_prefix: None,
                pin: Some(pin(&world.scans[file], site.clone(), &spec.id, applied)),
                inherits: true,
                overlay: Some(depth),
                clusters: clusters(world, file),
                template: world.scans[file].template,
                splits: true,
                origin: world.scans[file].path.clone(),
            });
        }
    }
}

/// The release that a patched chart object serves alone, or the Git repository that a patched source is of.
fn served(
    world: &World<'_>,
    file: usize,
    (kind, name): (&str, Option<&str>),
    namespace: Option<&str>,
    uses: &Uses,
    captures: &mut Captures,
) -> Option<ComponentTemplate> {
    let Lookup::Found(known) = world.sources.find((kind, name?), namespace, file, &clusters(world, file))
    else {
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

fn writes(spec: &PinRule, target: &PatchTarget, pointer: &str) -> bool {
    let Scope::Object { kind: Some(kind), group, .. } = &spec.scope else { return false };
    target.kind.as_deref() == Some(kind)
        && target.group.as_ref().is_none_or(|wanted| group.as_ref() == Some(wanted))
        && matches!(spec.role, Role::Version | Role::Range)
        && literal(&spec.at, &spec.version).as_deref() == Some(pointer)
}

/// The pointer that two patterns without wildcards name together.
fn literal(at: &Pattern, version: &Pattern) -> Option<String> {
    let parts = if version.absolute {
        version.segments.clone()
    } else {
        [&at.segments[..], &version.segments].concat()
    };
    let mut pointer = String::new();
    for part in parts {
        match part {
            Segment::Key(key) => route::push(&mut pointer, &key),
            Segment::Any | Segment::Deep => return None,
        }
    }
    Some(pointer)
}

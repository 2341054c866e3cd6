//! One version at one place, with what it is the version of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::graph::Way;
use super::place::Place;
use super::sources::Lookup;
use super::{World, patch};
use crate::domain::component::{DigestPin, Given, Pin};
use crate::domain::rule::{Format, Role, UpstreamTemplate, fill};
use crate::domain::scan::{FileScan, Marks, PatchTarget, Site};
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::{Scheme, range::Range};

/// Captures of a pin by name.
pub(super) type Captures = BTreeMap<String, String>;

/// Registry and repository.
pub(super) type ImageName = (String, String);

/// One version at one place, as it is on some ways to the clusters.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) scheme: Scheme,
    pub(super) upstream: Result<UpstreamRef, String>,
    pub(super) given: Given,
    pub(super) digest: Option<String>,
    pub(super) managed: Option<String>,
    pub(super) tag_prefix: Option<String>,
    /// Images that are pulled to install the version.
    pub(super) images: BTreeSet<UpstreamRef>,
    pub(super) pin: Option<Pin>,
    /// Only what it patches knows the upstream.
    pub(super) inherits: bool,
    /// The object and field; `None` where the version stands in no object.
    pub(super) subject: Option<Subject>,
    /// The image that this one is put in place of (Kustomize, `images`).
    pub(super) replaces: Option<ImageName>,
    /// Its places in what Flux builds; none where nothing in the repository applies it.
    pub(super) ways: Vec<Way>,
    pub(super) clusters: BTreeSet<String>,
    /// The file is a template by name.
    pub(super) template: bool,
    /// Several places of one id with different texts are different things (images).
    pub(super) splits: bool,
    /// Path of the file that it was found in.
    pub(super) origin: String,
    /// What a person should know about how it is written.
    pub(super) warnings: Vec<String>,
}

/// What a version belongs to: one field of one object.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// File and place of the object; of the patched one as soon as that is known.
    pub(super) object: (usize, usize),
    pub(super) group: String,
    pub(super) kind: String,
    /// `None` for patches of any name.
    pub(super) name: Option<String>,
    /// `None` for patches of any namespace, and where nothing says it.
    pub(super) namespace: Option<String>,
    /// Id of the rule.
    pub(super) rule: String,
    /// Id of the pin rule, which stands for the field.
    pub(super) pin: String,
    /// Tells several images of one object apart.
    pub(super) image: Option<ImageName>,
    /// A container's image, which Kustomize's `images` may replace.
    pub(super) container: bool,
    /// It is a patch.
    pub(super) overlay: bool,
    /// Labels and annotations of what is patched.
    pub(super) marks: Option<Arc<Marks>>,
    /// What a patch selects by them.
    pub(super) selects: Option<Box<PatchTarget>>,
    /// Which of several fields of a source Flux follows: the lowest.
    pub(super) rank: u8,
}

/// Releases that a chart object serves: file and object of the source → ids.
pub(super) type Uses = BTreeMap<(usize, usize), BTreeMap<String, Captures>>;

pub(super) fn all(world: &World<'_>, uses: &Uses) -> Vec<Instance> {
    let mut instances = Vec::new();
    for (file, scan) in world.scans.iter().enumerate() {
        if scan.found.is_empty() && scan.patches.is_empty() {
            continue;
        }
        let mut taken = BTreeSet::new();
        let views = world.views(file);
        for found in &scan.found {
            let spec = &world.rules[found.rule].pins[found.pin];
            if !world.counts(file, found) {
                continue;
            }
            // The first rule that finds a version at a place has it.
            if let Some(site) = &found.site
                && (spec.role != Role::Digest || matches!(spec.format, Format::Tag))
                && !taken.insert(site.span.start)
            {
                continue;
            }
            let place = Place { world, file, scan, found, rule: &world.rules[found.rule], spec, uses };
            place.instances(&views, &mut instances);
        }
        for patch in &scan.patches {
            patch::patched(world, file, patch, uses, &views, &mut instances);
        }
    }
    instances
}

/// `chartRef`s, by the object that they name.
pub(super) fn chart_uses(world: &World<'_>) -> Uses {
    let (mut uses, none) = (Uses::new(), Uses::new());
    for (file, scan) in world.scans.iter().enumerate() {
        for found in &scan.found {
            let rule = &world.rules[found.rule];
            let spec = &rule.pins[found.pin];
            let UpstreamTemplate::FluxChartRef { kind, name, namespace } = &spec.upstream else { continue };
            let place = Place { world, file, scan, found, rule, spec, uses: &none };
            let mut served: BTreeMap<(usize, usize), (bool, String, Captures)> = BTreeMap::new();
            for view in place.views(&world.views(file)) {
                let captures = place.captures(&view, None);
                let (Some(kind), Some(name)) = (fill(kind, &captures), fill(name, &captures)) else {
                    continue;
                };
                let namespace = fill(namespace, &captures).or_else(|| captures.get("namespace").cloned());
                if let Lookup::Found(known) =
                    world.sources.find((&kind, &name), namespace.as_deref(), file, &view.clusters)
                    && let Some(id) = fill(&rule.component.id, &captures)
                {
                    // A release that lands in several namespaces is one release to its chart.
                    let best = (!captures.contains_key("namespace"), id, captures);
                    let entry = served.entry((known.file, known.object)).or_insert_with(|| best.clone());
                    if (best.0, &best.1) < (entry.0, &entry.1) {
                        *entry = best;
                    }
                }
            }
            for (source, (_, id, captures)) in served {
                uses.entry(source).or_default().insert(id, captures);
            }
        }
    }
    uses
}

/// A pin of a site; `digest` only where it stands in the same document of the same file.
pub(super) fn pin(scan: &FileScan, site: Site, digest: Option<Site>, rule: &str, applied: bool) -> Pin {
    Pin {
        file: scan.path.clone(),
        line: site.line,
        column: site.column,
        document: site.document,
        route: site.route,
        span: (site.span.start, site.span.end),
        text: site.text,
        rule: rule.to_owned(),
        applied,
        generated: scan.generated,
        digest: digest.map(|digest| DigestPin {
            line: digest.line,
            column: digest.column,
            route: digest.route,
            span: (digest.span.start, digest.span.end),
            text: digest.text,
        }),
    }
}

/// The bytes that are the version where a range is exactly one: `1.0.0` of `=1.0.0`.
pub(super) fn exact_part(site: Site, scheme: Scheme, role: Role) -> Site {
    let ranged = scheme == Scheme::Semver || role == Role::Range;
    let number = site.text.trim_start_matches('=').trim();
    let start = site.text.len() - site.text.trim_start_matches('=').trim_start().len();
    let exact = || Range::parse(&site.text).is_ok_and(|range| range.is_exact());
    if ranged && start > 0 && exact() { site.part(start..start + number.len()) } else { site }
}

/// `kube-prometheus-stack-` of `kube-prometheus-stack-41.5.1`: the words before the number.
pub(super) fn tag_prefix(text: &str) -> Option<String> {
    let number = text.char_indices().find(|(at, letter)| {
        letter.is_ascii_digit() && text[..*at].ends_with(['-', '/', '_', 'v']) && text[*at..].contains('.')
    })?;
    let head = &text[..number.0];
    let head = head.strip_suffix('v').unwrap_or(head);
    // What has a dotted number before the sign is itself a version (`1.0.0-2.1.0`).
    let words = head.len() > 1 && head.ends_with(['-', '/', '_']) && !has_dotted_number(head);
    words.then(|| head.to_owned())
}

fn has_dotted_number(text: &str) -> bool {
    text.split(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .any(|part| part.trim_matches('.').contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_a_version_are_its_prefix() {
        for (text, prefix) in [
            ("kube-prometheus-stack-41.5.1", Some("kube-prometheus-stack-")),
            ("charts/v1.2.3", Some("charts/")),
            ("release-1.2", Some("release-")),
            ("v1.2.3", None),
            ("1.2.3-rc.1", None),
            ("1.0.0-2.1.0", None),
            ("v1.30/v2.1.0", None),
            ("app2-1.2.3", Some("app2-")),
            ("main", None),
        ] {
            assert_eq!(tag_prefix(text).as_deref(), prefix, "{text}");
        }
    }
}

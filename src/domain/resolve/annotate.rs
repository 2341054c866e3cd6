//! What comments say: who publishes a version (`# renovate:`), and who owns it (`$imagepolicy`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::instance::{Instance, pin, tag_prefix};
use super::publisher::claimed;
use super::{World, locate};
use crate::domain::component::{Given, Pin};
use crate::domain::rule::ComponentTemplate;
use crate::domain::scan::{ANNOTATION_REACH, Annotation, FileScan, Marker, Site, parse_image};
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::{Scheme, range::Range};

/// Rule id of pins that only an annotation names.
pub(super) const RENOVATE: &str = "renovate-annotation";
/// Rule id of pins that only an image policy marker names.
const IMAGE_POLICY: &str = "imagepolicy-marker";

type Pairs = BTreeMap<String, String>;

/// The annotation that speaks of a value on these lines: the nearest one.
pub(super) fn near<'a>(scan: &'a FileScan, lines: &RangeInclusive<usize>) -> Option<&'a Pairs> {
    // They are in the order of their lines, and none speaks of lines further below than its reach.
    let above = scan.annotations.partition_point(|annotation| annotation.line <= *lines.end());
    scan.annotations[..above]
        .iter()
        .rev()
        .take_while(|annotation| annotation.line + ANNOTATION_REACH >= *lines.start())
        .find(|annotation| speaks(annotation, lines))
        .map(|annotation| &annotation.pairs)
}

fn speaks(annotation: &Annotation, lines: &RangeInclusive<usize>) -> bool {
    let reach = &annotation.reach;
    !annotation.commented_out && reach.start() <= lines.end() && lines.start() <= reach.end()
}

/// Flux image automation owns the value on a marked line.
pub(super) fn managed(scan: &FileScan, site: Option<&Site>) -> Option<String> {
    marker(scan, site?.line).map(reason)
}

/// The marker on a line; they are in the order of their lines.
fn marker(scan: &FileScan, line: usize) -> Option<&Marker> {
    scan.markers.binary_search_by_key(&line, |marker| marker.line).ok().map(|at| &scan.markers[at])
}

fn reason(marker: &Marker) -> String {
    format!("Flux image automation writes it (policy `{}`)", marker.policy)
}

/// Lets an annotation say what the manifest does not: releases instead of tags, or the chart
/// repository where the source is not in the Git repository.
pub(super) fn enrich(pairs: &Pairs, upstream: &mut Result<UpstreamRef, String>, site: Option<&Site>) {
    let releases = pairs.get("datasource").is_some_and(|datasource| datasource == "github-releases");
    if releases && let Ok(UpstreamRef::GithubTags { host, owner, name }) = upstream {
        *upstream =
            Ok(UpstreamRef::GithubReleases { host: host.clone(), owner: owner.clone(), name: name.clone() });
        return;
    }
    let git = matches!(upstream, Ok(UpstreamRef::GithubTags { .. } | UpstreamRef::GitTags { .. }));
    let Some(registry) = pairs.get("registryUrl").or_else(|| pairs.get("repository")) else { return };
    // A Git tag that carries a chart's name is the version of that chart.
    let chart = pairs.get("chart").or_else(|| pairs.get("depName")).cloned().or_else(|| {
        git.then(|| {
            tag_prefix(&site?.text).map(|prefix| prefix.trim_end_matches(['-', '/', '_']).to_owned())
        })?
    });
    if let Some(chart) = chart
        && (git || upstream.is_err())
        && let Ok(found) = locate::chart(registry, &chart)
    {
        *upstream = Ok(found);
    }
}

/// Adds the versions that no rule found: annotated values, and marked ones.
pub(super) fn standalone(world: &World<'_>, instances: &mut Vec<Instance>) {
    for (file, scan) in world.scans.iter().enumerate() {
        if scan.annotations.is_empty() && scan.markers.is_empty() {
            continue;
        }
        let ruled = Ruled::of(world, file, scan);
        for annotation in &scan.annotations {
            match ruled.spoken_of(annotation) {
                Spoken::Rule => {}
                Spoken::Value(site) => instances.push(annotated(world, file, annotation, Some(site))),
                Spoken::Nothing => instances.push(annotated(world, file, annotation, None)),
            }
        }
        // Only the first marker of a policy speaks for it: name, tag and digest of one image stand on
        // lines of their own.
        let mut policies: BTreeSet<&str> =
            ruled.sites.iter().filter_map(|line| marker(scan, *line)).map(policy).collect();
        for marker in &scan.markers {
            if !ruled.sites.contains(&marker.line) && policies.insert(policy(marker)) {
                instances.push(marked(world, file, marker));
            }
        }
    }
}

/// The lines of a file on which rules find versions.
struct Ruled {
    /// Where a version is written.
    sites: BTreeSet<usize>,
    /// Where it is written or missing.
    lines: BTreeSet<usize>,
}

/// What an annotation speaks of.
enum Spoken<'a> {
    /// The version that a rule finds.
    Rule,
    /// A text that looks like a version.
    Value(&'a Site),
    Nothing,
}

impl Ruled {
    fn of(world: &World<'_>, file: usize, scan: &FileScan) -> Self {
        let live = || scan.found.iter().filter(|found| world.counts(file, found));
        Self {
            sites: live().filter_map(|found| found.site.as_ref()).map(|site| site.line).collect(),
            lines: live().flat_map(|found| found.lines.clone()).collect(),
        }
    }

    /// The first line below an annotation that has a version; what has none, a chart's name or a key,
    /// stands between.
    fn spoken_of<'a>(&self, annotation: &'a Annotation) -> Spoken<'a> {
        if annotation.commented_out {
            return Spoken::Nothing;
        }
        // Above a blank line or the end of the file a comment reaches nothing, and a set has no such range.
        let reach = (!annotation.reach.is_empty()).then(|| annotation.reach.clone());
        let ruled = reach.and_then(|lines| self.lines.range(lines).next());
        // A comment that only says where a chart comes from speaks of a pin or of nothing.
        if ruled.is_some() && says_only_where(&annotation.pairs) {
            return Spoken::Rule;
        }
        let version = annotation.values.iter().find(|site| looks_like_a_version(&site.text));
        match (ruled, version) {
            (Some(line), Some(site)) if site.line < *line => Spoken::Value(site),
            (Some(_), _) => Spoken::Rule,
            (None, version) => version.or(annotation.values.first()).map_or(Spoken::Nothing, Spoken::Value),
        }
    }
}

/// Whether an annotation names no thing of its own but a chart repository, or nothing at all.
fn says_only_where(pairs: &Pairs) -> bool {
    let named = pairs.keys().any(|key| key == "packageName" || key == "depName" || key.ends_with("Name"));
    !named
}

/// Whether a text is dotted numbers with what may stand around them; a bare number may be anything.
fn looks_like_a_version(text: &str) -> bool {
    let number =
        text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic() || "-_/".contains(letter));
    number.starts_with(|first: char| first.is_ascii_digit())
        && number.contains('.')
        && (Scheme::Loose.parse(number).is_some() || Range::parse(number).is_ok())
}

fn policy(marker: &Marker) -> &str {
    // `namespace:name:field`; the field is optional.
    marker.policy.match_indices(':').nth(1).map_or(marker.policy.as_str(), |(at, _)| &marker.policy[..at])
}

/// The thing that an annotation names: component, scheme and upstream.
struct Named {
    component: ComponentTemplate,
    scheme: Scheme,
    upstream: Result<UpstreamRef, String>,
}

fn named(world: &World<'_>, pairs: &Pairs) -> Named {
    let dependency = pairs.get("packageName").or_else(|| pairs.get("depName")).cloned();
    // Some name what they speak of by a word of their own (`dashboardName`).
    let other = || pairs.iter().find(|(key, _)| key.ends_with("Name")).map(|(_, name)| name.clone());
    let dependency = dependency.or_else(other).unwrap_or_default();
    let datasource = pairs.get("datasource").map(String::as_str).unwrap_or_default();
    let registry = pairs.get("registryUrl").or_else(|| pairs.get("repository"));
    let chart = pairs.get("chart").cloned().unwrap_or_else(|| dependency.clone());
    let component =
        |kind: &str, id: String, name: &str| ComponentTemplate { id, kind: kind.into(), name: name.into() };
    let mut found = match (datasource, registry) {
        ("github-releases" | "github-tags", _) => {
            let upstream = locate::github(&dependency).map(|(owner, name)| {
                let host = "github.com".to_owned();
                if datasource == "github-tags" {
                    UpstreamRef::GithubTags { host, owner, name }
                } else {
                    UpstreamRef::GithubReleases { host, owner, name }
                }
            });
            let component = component("release", format!("release/{dependency}"), &dependency);
            Named { component, scheme: Scheme::Loose, upstream }
        }
        ("docker", _) => match parse_image(&dependency) {
            Some(image) => Named {
                component: component(
                    "image",
                    format!("image/{}/{}", image.registry, image.repository),
                    &image.repository,
                ),
                scheme: Scheme::ImageTag,
                upstream: locate::oci(&format!("{}/{}", image.registry, image.repository), false),
            },
            None => Named {
                component: component("image", format!("image/{dependency}"), &dependency),
                scheme: Scheme::ImageTag,
                upstream: Err(format!("`{dependency}` is no image name")),
            },
        },
        ("helm" | "", Some(registry)) if !chart.is_empty() => Named {
            component: component("helm", format!("helm/-/{chart}"), &chart),
            scheme: Scheme::Semver,
            upstream: locate::chart(registry, &chart),
        },
        ("git-tags" | "git-refs", _) => Named {
            component: component("git", format!("git/{dependency}"), &dependency),
            scheme: Scheme::Loose,
            upstream: locate::git(&dependency),
        },
        ("", _) => Named {
            component: component("annotation", format!("annotation/{}", slug(&dependency)), &dependency),
            scheme: Scheme::Loose,
            upstream: Err("the annotation names no datasource, so nobody can be asked".to_owned()),
        },
        (other, _) => Named {
            component: component(
                "annotation",
                format!("annotation/{}/{}", slug(other), slug(&dependency)),
                &dependency,
            ),
            scheme: Scheme::Loose,
            upstream: Err(format!("the datasource `{other}` is not supported")),
        },
    };
    if let Ok(upstream) = &found.upstream
        && let Some(rule) = claimed(world.rules, upstream)
    {
        found.component = rule.component.clone();
        found.scheme = rule.scheme;
    }
    found
}

/// A part of an id made of any text.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars().map(|letter| letter.to_ascii_lowercase()) {
        // A slash between blanks is a mark of a title, not a step of a path.
        let step = letter == '/' && !slug.ends_with(['-', '/']);
        if letter.is_ascii_alphanumeric() || "._".contains(letter) || step {
            slug.push(letter);
        } else if !slug.ends_with(['-', '/']) {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

fn annotated(world: &World<'_>, file: usize, annotation: &Annotation, value: Option<&Site>) -> Instance {
    let scan = &world.scans[file];
    let place = format!("{}:{}", scan.path, annotation.line);
    let mut found = if annotation.commented_out {
        Named {
            component: ComponentTemplate {
                id: "annotation/".into(),
                kind: "annotation".into(),
                name: String::new(),
            },
            scheme: Scheme::Loose,
            upstream: Err("the annotation stands in a manifest that is commented out".to_owned()),
        }
    } else {
        named(world, &annotation.pairs)
    };
    if found.component.id.ends_with('/') {
        found.component.id.push_str(&slug(&format!("{}-{}", scan.path, annotation.line)));
        found.component.name.clone_from(&place);
    }
    let known = found.upstream.is_ok();
    let site = value.cloned().filter(|site| {
        let versionlike = found.scheme.parse(&site.text).is_some() || Range::parse(&site.text).is_ok();
        versionlike && known
    });
    if site.is_none() && known {
        found.upstream = Err("no version stands below the annotation".to_owned());
    }
    let applied = world.graph.applied(scan, file) && !world.graph.of(file).is_empty();
    let prefix = annotation.pairs.get("extractVersion").and_then(|pattern| literal_prefix(pattern));
    let tag_prefix = prefix.or_else(|| site.as_ref().and_then(|site| tag_prefix(&site.text)));
    // With its place, so that annotations of one name stay apart.
    let nothing = format!("no version belongs to the annotation at {place}");
    let pin = site.map(|site| pin(scan, site, None, RENOVATE, applied));
    Instance { tag_prefix, ..commented(world, file, found, pin, nothing) }
}

/// What only a comment speaks of: it belongs to no object.
fn commented(world: &World<'_>, file: usize, found: Named, pin: Option<Pin>, nothing: String) -> Instance {
    let scan = &world.scans[file];
    Instance {
        id: found.component.id,
        kind: found.component.kind,
        name: found.component.name,
        namespace: None,
        scheme: found.scheme,
        upstream: found.upstream,
        given: match &pin {
            Some(pin) => Given::Exact(pin.text.clone()),
            None => Given::Nothing(nothing),
        },
        digest: None,
        managed: None,
        tag_prefix: None,
        images: BTreeSet::new(),
        pin,
        inherits: false,
        subject: None,
        replaces: None,
        ways: Vec::new(),
        clusters: world.clusters(file),
        template: scan.template,
        splits: true,
        origin: scan.path.clone(),
        warnings: Vec::new(),
    }
}

/// `chart-` of `^chart-(?<version>.*)$`: the plain text before the version.
fn literal_prefix(pattern: &str) -> Option<String> {
    let head = pattern.trim_start_matches('^').split("(?").next()?.trim_end_matches("v?");
    let plain = !head.is_empty()
        && head.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_/".contains(letter));
    (plain && head != "v").then(|| head.to_owned())
}

fn marked(world: &World<'_>, file: usize, marker: &Marker) -> Instance {
    let scan = &world.scans[file];
    let name = policy(marker).replace(':', "/");
    let found = Named {
        component: ComponentTemplate { id: format!("imagepolicy/{name}"), kind: "image".to_owned(), name },
        scheme: Scheme::ImageTag,
        upstream: Err("Flux image automation chooses the version".to_owned()),
    };
    let applied = world.graph.applied(scan, file);
    let pin = marker.value.clone().map(|site| pin(scan, site, None, IMAGE_POLICY, applied));
    let nothing = "no value stands on the marked line".to_owned();
    Instance { managed: Some(reason(marker)), ..commented(world, file, found, pin, nothing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_prefixes_of_expressions_are_understood() {
        assert_eq!(literal_prefix("^chart-(?<version>.*)$").as_deref(), Some("chart-"));
        assert_eq!(literal_prefix("^v(?<version>.*)$"), None);
        assert_eq!(literal_prefix("^[a-z]+(?<version>.*)$"), None);
    }

    #[test]
    fn ids_are_made_of_any_text() {
        assert_eq!(slug("Kubernetes / Views / Pods"), "kubernetes-views-pods");
        assert_eq!(slug("example/app"), "example/app");
        assert_eq!(slug("Node Exporter Full"), "node-exporter-full");
    }
}

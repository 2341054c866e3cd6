//! One version at one place, with what it is the version of.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Known, Lookup, namespaces};
use super::variables::{Home, reference};
use super::{World, annotate, locate, patch, publisher::claimed};
use crate::domain::component::{Given, Pin};
use crate::domain::rule::{Absent, ComponentTemplate, Format, PinRule, Role, Rule, UpstreamTemplate, fill};
use crate::domain::scan::{FileScan, Found, Site};
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::{Scheme, range::Range};

/// Captures of a pin by name.
pub(super) type Captures = BTreeMap<String, String>;

/// One version at one place.
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
    pub(super) pin: Option<Pin>,
    /// The upstream is that of another place of the same id: this one is a patch.
    pub(super) inherits: bool,
    /// Patches win over what they patch; the least deep one wins.
    pub(super) overlay: Option<usize>,
    pub(super) clusters: BTreeSet<String>,
    /// The file is a template by name.
    pub(super) template: bool,
    /// Several places of one id with different texts are different things (images).
    pub(super) splits: bool,
    /// Path of the file that it was found in.
    pub(super) origin: String,
}

/// Releases that a chart object serves: file and object of the source → ids.
pub(super) type Uses = BTreeMap<(usize, usize), BTreeMap<String, Captures>>;

pub(super) fn all(world: &World<'_>) -> Vec<Instance> {
    let uses = chart_uses(world);
    let mut instances = Vec::new();
    for (file, scan) in world.scans.iter().enumerate() {
        let mut taken = BTreeSet::new();
        for found in &scan.found {
            let spec = &world.rules[found.rule].pins[found.pin];
            if !world.counts(file, found) {
                continue;
            }
            // The first rule that finds a version at a place has it.
            if let Some(site) = &found.site
                && spec.role != Role::Digest
                && !taken.insert(site.span.start)
            {
                continue;
            }
            let place = Place { world, file, scan, found, rule: &world.rules[found.rule], spec, uses: &uses };
            place.instances(&mut instances);
        }
        for patch in &scan.patches {
            patch::patched(world, file, patch, &uses, &mut instances);
        }
    }
    instances
}

/// `chartRef`s, by the object that they name.
fn chart_uses(world: &World<'_>) -> Uses {
    let mut uses = Uses::new();
    for (file, scan) in world.scans.iter().enumerate() {
        for found in &scan.found {
            let rule = &world.rules[found.rule];
            let UpstreamTemplate::FluxChartRef { kind, name, namespace } = &rule.pins[found.pin].upstream
            else {
                continue;
            };
            let captures = captures(world, file, found, None);
            let (Some(kind), Some(name)) = (fill(kind, &captures), fill(name, &captures)) else { continue };
            let namespace = fill(namespace, &captures).or_else(|| captures.get("namespace").cloned());
            if let Lookup::Found(known) =
                world.sources.find((&kind, &name), namespace.as_deref(), file, &clusters(world, file))
                && let Some(id) = fill(&rule.component.id, &captures)
            {
                uses.entry((known.file, known.object)).or_default().insert(id, captures);
            }
        }
    }
    uses
}

/// Name, namespace and what the rule remembered, with variables filled.
fn captures(world: &World<'_>, file: usize, found: &Found, row: Option<&Captures>) -> Captures {
    let scan = &world.scans[file];
    let mut captures = Captures::new();
    if let Some(object) = found.object.map(|object| &scan.objects[object]) {
        let target = object
            .patch
            .as_ref()
            .or_else(|| world.graph.of(file).iter().find_map(|reach| reach.patch.as_ref()));
        let name = target.and_then(|target| target.name.clone()).filter(|name| is_plain_name(name));
        let name = name.unwrap_or_else(|| object.name.clone());
        // An inline patch stands in a file whose namespace is not that of what it patches.
        let inline = object.patch.is_some() && object.namespace.is_none();
        let namespace = target
            .and_then(|target| target.namespace.clone())
            .or_else(|| inline.then(|| world.home(&object.kind, &name).cloned())?)
            .or_else(|| namespaces(world.graph, file, object).into_iter().next());
        captures.extend(namespace.map(|namespace| ("namespace".to_owned(), namespace)));
        if !name.is_empty() {
            captures.insert("name".to_owned(), name);
        }
        captures.insert("kind".to_owned(), object.kind.clone());
    }
    captures.extend(found.captures.clone());
    for value in captures.values_mut() {
        if value.contains("${") {
            *value = world.variables.fill(file, value);
        }
        if let Some(row) = row {
            *value = fill_inputs(value, row);
        }
    }
    captures
}

/// A patch target's name is a regular expression in Kustomize; most are plain names.
fn is_plain_name(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

pub(super) fn clusters(world: &World<'_>, file: usize) -> BTreeSet<String> {
    world.graph.of(file).iter().flat_map(|reach| reach.clusters.iter().cloned()).collect()
}

/// `<< inputs.version >>` (Flux Operator, ResourceSet): the name behind `inputs.`.
fn input_name(text: &str) -> Option<&str> {
    let body = text.trim().strip_prefix("<<")?.strip_suffix(">>")?.trim();
    let name = body.split([' ', '|']).next()?.strip_prefix("inputs.")?;
    (!name.is_empty()).then_some(name)
}

fn fill_inputs(text: &str, row: &Captures) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("<<") {
        let Some(close) = rest[open..].find(">>").map(|at| open + at + 2) else { break };
        filled.push_str(&rest[..open]);
        let value = input_name(&rest[open..close]).and_then(|name| row.get(name));
        filled.push_str(value.map_or(&rest[open..close], String::as_str));
        rest = &rest[close..];
    }
    filled.push_str(rest);
    filled
}

/// A found version with everything around it.
pub(super) struct Place<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) file: usize,
    scan: &'a FileScan,
    found: &'a Found,
    rule: &'a Rule,
    pub(super) spec: &'a PinRule,
    uses: &'a Uses,
}

impl Place<'_> {
    fn instances(&self, instances: &mut Vec<Instance>) {
        let rows = self.input_rows();
        if rows.is_empty() {
            instances.extend(self.instance(None));
        }
        for row in &rows {
            instances.extend(self.instance(Some(row)));
        }
    }

    /// The rows of a ResourceSet's inputs where this object is made from them.
    fn input_rows(&self) -> Vec<(Captures, BTreeMap<String, Site>)> {
        let templated = self.found.captures.values().any(|text| text.contains("<<"))
            || self.found.site.as_ref().is_some_and(|site| site.text.contains("<<"))
            || self.found.object.is_some_and(|object| self.scan.objects[object].name.contains("<<"));
        if !templated {
            return Vec::new();
        }
        self.scan
            .variables
            .iter()
            .filter(|set| self.scan.objects[set.object].kind == "ResourceSet")
            .map(|set| {
                let texts = set.values.iter().map(|(name, site)| (name.clone(), site.text.clone())).collect();
                (texts, set.values.clone())
            })
            .collect()
    }

    fn instance(&self, row: Option<&(Captures, BTreeMap<String, Site>)>) -> Option<Instance> {
        let world = self.world;
        let mut captures = captures(world, self.file, self.found, row.map(|(texts, _)| texts));
        let patched = self.patched_source(&captures);
        let url = captures.entry("url".to_owned()).or_default();
        if url.is_empty()
            && let Some(known) = patched
        {
            url.clone_from(&known.url);
        }
        if let Some((host, path)) = locate::git_place(url) {
            captures.insert("git_host".to_owned(), host);
            captures.insert("git_path".to_owned(), path);
        }
        if self.spec.role == Role::Digest && captures.contains_key("tag") {
            // The tag's own pin carries the digest.
            return None;
        }
        if matches!(self.spec.upstream, UpstreamTemplate::FluxChartRef { .. }) {
            return self.dangling_chart_ref(&captures);
        }
        let mut home = (self.file, self.found.site.clone());
        let mut unknown = None;
        if let Some(site) = &self.found.site {
            if let Some(name) = input_name(&site.text) {
                match row.and_then(|(_, sites)| sites.get(name)) {
                    Some(value) => home.1 = Some(value.clone()),
                    None => unknown = Some(format!("the input `{name}` has no value in the ResourceSet")),
                }
            } else if let Some(variable) = reference(&site.text).filter(|_| self.takes(&site.text)) {
                match world.variables.home(self.file, &variable) {
                    Home::At(file, value) => home = (file, Some(value)),
                    Home::Default(range) => home.1 = Some(site.part(range)),
                    Home::Unknown(reason) => unknown = Some(reason),
                }
            } else if site.text.contains("${") || site.text.contains("{{") || site.text.contains("<<") {
                unknown = Some(format!(
                    "`{}` is put together from variables; give the whole version one variable",
                    site.text
                ));
            }
        }
        if home.1.as_ref().is_some_and(|site| site.text.starts_with("ENC[")) {
            // SOPS: what Flux decrypts is not for us to read, nor to write.
            return None;
        }
        let applied = self.spec.applied && world.graph.applied(self.scan, self.file);
        let mut template = self.spec.component.as_ref().unwrap_or(&self.rule.component).clone();
        let mut scheme = self.spec.scheme.unwrap_or(self.rule.scheme);
        let mut upstream = self.upstream(&captures);
        let known = unknown.is_none();
        let unreadable =
            |wanted: Scheme| home.1.as_ref().is_some_and(|site| wanted.parse(&site.text).is_none());
        if known && self.spec.strict.is_some_and(unreadable) {
            return None;
        }
        if let Some(pairs) = annotate::near(self.scan, &self.found.lines) {
            annotate::enrich(pairs, &mut upstream, self.found.site.as_ref());
        }
        if let Some(serving) = self.serving(patched) {
            // A chart behind exactly one release is that release's version.
            scheme = Scheme::Semver;
            if let Ok(UpstreamRef::Oci { chart, .. }) = &mut upstream {
                *chart = true;
            }
            if serving.len() == 1
                && let Some((id, release)) = serving.iter().next()
            {
                template = ComponentTemplate { id: id.clone(), kind: "helm".into(), name: "{name}".into() };
                captures.extend(release.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        if let Ok(reference) = &upstream
            && let Some(claiming) = claimed(world.rules, reference)
        {
            template = claiming.component.clone();
        }
        let id = fill(&template.id, &captures).unwrap_or_else(|| {
            upstream = Err(format!("nothing here says the name of the component (`{}`)", template.id));
            format!("unnamed/{}/{}-{}", self.spec.id, self.scan.path, self.found.lines.start())
        });
        home.1 = home.1.map(|site| exact_part(site, scheme, self.spec.role));
        let given = match (unknown, &home.1) {
            (Some(reason), _) => {
                upstream = Err(reason);
                Given::Nothing("the version is a variable without a value".to_owned())
            }
            (None, Some(site)) => self.given(site, scheme, &mut upstream),
            (None, None) => self.absent(&captures, &mut upstream)?,
        };
        let known = !matches!(given, Given::Nothing(_));
        let pin =
            home.1.filter(|_| known).map(|site| pin(&world.scans[home.0], site, &self.spec.id, applied));
        let text = pin.as_ref().map(|pin| pin.text.as_str()).unwrap_or_default();
        let reach = world.graph.of(self.file);
        let own_patch = self.found.object.and_then(|object| self.scan.objects[object].patch.as_ref());
        let overlay = reach
            .iter()
            .filter(|reach| reach.patch.is_some() || own_patch.is_some())
            .map(|reach| reach.depth)
            .min()
            .or_else(|| own_patch.map(|_| 0));
        Some(Instance {
            kind: template.kind.clone(),
            name: fill(&template.name, &captures).unwrap_or_else(|| id.clone()),
            namespace: captures.get("namespace").cloned(),
            tag_prefix: (scheme == Scheme::Loose).then(|| tag_prefix(text)).flatten(),
            digest: captures.get("digest").cloned(),
            managed: annotate::managed(self.scan, self.found.site.as_ref()),
            inherits: overlay.is_some() && upstream.is_err(),
            clusters: clusters(world, self.file),
            template: self.scan.template,
            origin: self.scan.path.clone(),
            splits: matches!(template.kind.as_str(), "image" | "helm" | "oci" | "git" | "release"),
            id,
            scheme,
            upstream,
            given,
            pin,
            overlay,
        })
    }

    /// Whether a text that is one variable can have its version written there: an image's tag is written
    /// as it is published, so that a `v` before the variable would be doubled.
    fn takes(&self, text: &str) -> bool {
        text.starts_with('$') || !matches!(self.spec.format, Format::Image | Format::Tag)
    }

    /// The releases that this chart object serves.
    fn serving(&self, patched: Option<&Known>) -> Option<&BTreeMap<String, Captures>> {
        let own = self.uses.get(&(self.file, self.found.object?));
        own.or_else(|| patched.and_then(|known| self.uses.get(&(known.file, known.object))))
    }

    /// The source that this one is a patch of.
    fn patched_source(&self, captures: &Captures) -> Option<&Known> {
        let object = &self.scan.objects[self.found.object?];
        if object.group != "source.toolkit.fluxcd.io" {
            return None;
        }
        let (name, namespace) = (captures.get("name")?, captures.get("namespace").map(String::as_str));
        let clusters = clusters(self.world, self.file);
        match self.world.sources.find((&object.kind, name), namespace, self.file, &clusters) {
            Lookup::Found(known) if (known.file, Some(known.object)) != (self.file, self.found.object) => {
                Some(known)
            }
            _ => None,
        }
    }

    /// A `chartRef` whose object is in the repository is that object's pin; else it is said.
    fn dangling_chart_ref(&self, captures: &Captures) -> Option<Instance> {
        let UpstreamTemplate::FluxChartRef { kind, name, namespace } = &self.spec.upstream else {
            return None;
        };
        let (kind, name) = (fill(kind, captures)?, fill(name, captures)?);
        let namespace = fill(namespace, captures).or_else(|| captures.get("namespace").cloned());
        let clusters = clusters(self.world, self.file);
        let reason = match self.world.sources.find((&kind, &name), namespace.as_deref(), self.file, &clusters)
        {
            Lookup::Found(_) => return None,
            Lookup::Missing => format!("the {kind} `{name}` that `chartRef` names is not in the repository"),
            Lookup::Ambiguous(count) => format!("{count} different {kind} objects are named `{name}`"),
        };
        let id = fill(&self.rule.component.id, captures)?;
        Some(Instance {
            kind: self.rule.component.kind.clone(),
            name: captures.get("name").cloned().unwrap_or_else(|| id.clone()),
            namespace: captures.get("namespace").cloned(),
            id,
            scheme: self.rule.scheme,
            upstream: Err(reason),
            given: Given::Nothing("the version stands in the object that `chartRef` names".to_owned()),
            digest: None,
            managed: None,
            tag_prefix: None,
            pin: None,
            inherits: false,
            overlay: None,
            clusters,
            template: self.scan.template,
            splits: true,
            origin: self.scan.path.clone(),
        })
    }

    fn given(&self, site: &Site, scheme: Scheme, upstream: &mut Result<UpstreamRef, String>) -> Given {
        match self.spec.role {
            Role::Channel => {
                if let Ok(UpstreamRef::K3s { channel }) = upstream {
                    *channel = Some(site.text.clone());
                }
                Given::Channel(site.text.clone())
            }
            Role::Commit => {
                *upstream = Err("pinned to a commit, which cannot be compared with tags".to_owned());
                Given::Exact(site.text.clone())
            }
            Role::Digest => {
                *upstream = Err("pinned by digest alone; nothing says which version that is".to_owned());
                Given::Exact(site.text.clone())
            }
            Role::Range | Role::Version if scheme == Scheme::Semver || self.spec.role == Role::Range => {
                match Range::parse(&site.text) {
                    Ok(range) if !range.is_exact() => Given::Range(site.text.clone()),
                    _ => Given::Exact(site.text.clone()),
                }
            }
            Role::Range | Role::Version => Given::Exact(site.text.clone()),
        }
    }

    fn absent(&self, captures: &Captures, upstream: &mut Result<UpstreamRef, String>) -> Option<Given> {
        // Flux ignores the version of charts from Git and buckets: the source decides.
        if captures.get("source_kind").is_some_and(|kind| matches!(kind.as_str(), "GitRepository" | "Bucket"))
        {
            return Some(Given::Nothing("the chart comes with its source, which has the version".to_owned()));
        }
        if captures.contains_key("digest") {
            *upstream = Err("pinned by digest alone; nothing says which version that is".to_owned());
            return Some(Given::Nothing("a digest without a tag".to_owned()));
        }
        match self.spec.absent.as_ref()? {
            Absent::Range(range) => Some(Given::Range(range.clone())),
            Absent::Nothing(reason) => Some(Given::Nothing(reason.clone())),
        }
    }
}

/// A pin of a site.
pub(super) fn pin(scan: &FileScan, site: Site, rule: &str, applied: bool) -> Pin {
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

    #[test]
    fn inputs_of_resource_sets_are_named() {
        assert_eq!(input_name("<< inputs.version >>"), Some("version"));
        assert_eq!(input_name("<<inputs.version | quote>>"), Some("version"));
        assert_eq!(input_name("<< other >>"), None);
        let row = Captures::from([("a".to_owned(), "x".to_owned())]);
        assert_eq!(fill_inputs("b-<< inputs.a >>-<< inputs.c >>", &row), "b-x-<< inputs.c >>");
    }
}

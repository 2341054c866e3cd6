//! A found version with everything around it, and what it is seen on one view.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::fill_inputs;
use super::instance::{Captures, Instance, Subject, Uses, exact_part, pin, tag_prefix};
use super::publisher::claimed;
use super::sources::{Known, Lookup};
use super::stand::Stand;
use super::view::View;
use super::{World, annotate, locate};
use crate::domain::component::Given;
use crate::domain::manifest::route::Segment;
use crate::domain::rule::{Absent, ComponentTemplate, Format, PinRule, Role, Rule, UpstreamTemplate, fill};
use crate::domain::scan::{FileScan, Found, PatchTarget, Site, parse_image};
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::{Scheme, range::Range};

/// A found version with everything around it.
pub(super) struct Place<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) file: usize,
    pub(super) scan: &'a FileScan,
    pub(super) found: &'a Found,
    pub(super) rule: &'a Rule,
    pub(super) spec: &'a PinRule,
    pub(super) uses: &'a Uses,
}

/// A row of a ResourceSet's inputs: texts, and where they stand.
pub(super) type Row = (Captures, BTreeMap<String, Site>);

impl<'a> Place<'a> {
    /// The views on which this place is seen.
    pub(super) fn views(&self, views: &[View]) -> Vec<View> {
        let Some(object) = self.found.object.map(|object| &self.scan.objects[object]) else {
            return views.to_vec();
        };
        let changes = object.patch.is_some() || self.found.captures.contains_key("replaces");
        if changes { self.world.views_of_changes(self.file, object.document, views) } else { views.to_vec() }
    }

    pub(super) fn instances(&self, views: &[View], instances: &mut Vec<Instance>) {
        let rows = self.input_rows();
        for view in &self.views(views) {
            if rows.is_empty() {
                instances.extend(self.instance(view, None));
            }
            for row in &rows {
                instances.extend(self.instance(view, Some(row)));
            }
        }
    }

    /// The rows of a ResourceSet's inputs where this object is made from them.
    fn input_rows(&self) -> Vec<Row> {
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

    /// What the object is a patch of, where it is one.
    fn target<'v>(&'v self, view: &'v View) -> Option<&'v PatchTarget> {
        let own = self.scan.objects[self.found.object?].patch.as_ref();
        own.or_else(|| view.patch().map(AsRef::as_ref))
    }

    /// Name, namespace and what the rule remembered, with variables filled.
    pub(super) fn captures(&self, view: &View, row: Option<&Captures>) -> Captures {
        let world = self.world;
        let mut captures = Captures::new();
        if let Some(object) = self.found.object.map(|object| &self.scan.objects[object]) {
            let target = self.target(view);
            let name = target.and_then(|target| target.name.clone()).filter(|name| is_plain_name(name));
            let name = name.unwrap_or_else(|| object.name.clone());
            // A patch often stands where the namespace is not that of what it patches.
            let namespace = target
                .and_then(|target| target.namespace.clone())
                .or_else(|| object.namespace.clone())
                .or_else(|| target.and_then(|_| world.home(&object.kind, &name).cloned()))
                .or_else(|| view.namespace_of(object));
            captures.extend(namespace.map(|namespace| ("namespace".to_owned(), namespace)));
            if !name.is_empty() {
                captures.insert("name".to_owned(), name);
            }
            captures.insert("kind".to_owned(), object.kind.clone());
        }
        captures.extend(self.found.captures.clone());
        for value in captures.values_mut() {
            if value.contains("${") {
                *value = world.variables.fill(view.kustomizations(), value);
            }
            if let Some(row) = row {
                *value = fill_inputs(value, row);
            }
        }
        captures
    }

    fn instance(&self, view: &View, row: Option<&Row>) -> Option<Instance> {
        let world = self.world;
        let mut captures = self.captures(view, row.map(|(texts, _)| texts));
        let stand = self.stand(view, row, &mut captures)?;
        let subject = self.subject(&captures, view);
        let patched = self.patched_source(&captures, view);
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
            return self.dangling_chart_ref(&captures, view);
        }
        let Stand { file: home, site, digest, unknown, warning, whole } = stand;
        if site.as_ref().is_some_and(|site| site.text.starts_with("ENC[")) {
            // SOPS: what Flux decrypts is not for us to read, nor to write.
            return None;
        }
        let applied = self.spec.applied && view.applies(world, self.file);
        let mut template = self.spec.component.as_ref().unwrap_or(&self.rule.component).clone();
        let mut scheme = self.spec.scheme.unwrap_or(self.rule.scheme);
        let mut upstream = self.upstream(&captures, view);
        let unreadable =
            |wanted: Scheme| site.as_ref().is_some_and(|site| wanted.parse(&site.text).is_none());
        if unknown.is_none() && self.spec.strict.is_some_and(unreadable) {
            return None;
        }
        if let Some(pairs) = annotate::near(self.scan, &self.found.lines) {
            annotate::enrich(pairs, &mut upstream, self.found.site.as_ref());
        }
        // A template with placeholders makes one component of each thing.
        let mut splits = template.id.contains('{');
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
            splits = template.id.contains('{');
        }
        // A patch may still get its name from what it patches; what has none in the end becomes a problem.
        let id = fill(&template.id, &captures).unwrap_or_else(|| {
            upstream = Err(match &unknown {
                Some(reason) => reason.clone(),
                None => unnamed(&template),
            });
            String::new()
        });
        let site = site.map(|site| exact_part(site, scheme, self.spec.role));
        let given = match (unknown, &site) {
            (Some(reason), _) => {
                upstream = Err(reason);
                Given::Nothing("the version is a variable without a value".to_owned())
            }
            (None, Some(site)) => self.given(whole.as_deref().unwrap_or(&site.text), scheme, &mut upstream),
            (None, None) => self.absent(&captures, &mut upstream)?,
        };
        let known = !matches!(given, Given::Nothing(_));
        let overlay = subject.as_ref().is_some_and(|subject| subject.overlay);
        // A variable without a value has its place, too: somebody will want to give it one.
        let pin = site.map(|site| pin(&world.scans[home], site, digest, &self.spec.id, applied));
        let text = pin.as_ref().map(|pin| pin.text.as_str()).unwrap_or_default();
        let (image, unasked) = self.pulled(&captures, scheme);
        Some(Instance {
            kind: template.kind.clone(),
            name: fill(&template.name, &captures).unwrap_or_else(|| id.clone()),
            namespace: captures.get("namespace").cloned(),
            tag_prefix: (scheme == Scheme::Loose).then(|| tag_prefix(text)).flatten(),
            images: image.into_iter().collect(),
            digest: captures.get("digest").cloned(),
            managed: annotate::managed(self.scan, self.found.site.as_ref()),
            inherits: overlay && upstream.is_err() && known,
            // A name alone leaves the tag to what it replaces.
            replaces: pin.as_ref().and(captures.get("replaces")).and_then(|name| image_name(name)),
            subject,
            ways: view.ways.clone(),
            clusters: view.clusters.clone(),
            template: self.scan.template,
            origin: self.scan.path.clone(),
            warnings: warning.into_iter().chain(unasked).collect(),
            splits,
            id,
            scheme,
            upstream,
            given,
            pin,
        })
    }

    /// The image that is pulled under the tag of the version; else why nobody can ask for it, where that is worth a word.
    ///
    /// What is named by its digest, or by a tag that is no version (`latest`), stays what it is with any version.
    fn pulled(&self, captures: &Captures, scheme: Scheme) -> (Option<UpstreamRef>, Option<String>) {
        let Some(text) = self.spec.pulls.as_ref().and_then(|template| fill(template, captures)) else {
            return (None, None);
        };
        let Some(image) = parse_image(&text).filter(|_| !text.contains("${")) else {
            let reason = "names no image as far as the repository tells; whether it is there for a newer version is not asked";
            return (None, Some(format!("`{text}`, which installs it, {reason}")));
        };
        let stays = image.digest.is_some()
            || image.tag.is_some_and(|tag| text.get(tag).is_none_or(|tag| scheme.parse(tag).is_none()));
        let named = UpstreamRef::Oci { registry: image.registry, repository: image.repository, chart: false };
        ((!stays).then_some(named), None)
    }

    /// What the version belongs to.
    fn subject(&self, captures: &Captures, view: &View) -> Option<Subject> {
        let place = self.found.object?;
        let object = &self.scan.objects[place];
        let target = self.target(view);
        let image = matches!(self.spec.format, Format::Image | Format::Tag)
            .then(|| Some((captures.get("registry")?.clone(), captures.get("repository")?.clone())))
            .flatten();
        let container = |segment: &Segment| matches!(segment, Segment::Key(key) if key == "containers" || key == "initContainers");
        let plain = |name: &String| is_plain_name(name).then(|| name.clone());
        let (name, namespace) = match target {
            // Where a target selects, the patch's own metadata says nothing (Kustomize, `patches`).
            None => (captures.get("name").cloned(), captures.get("namespace").cloned()),
            Some(target) if target.names_nothing() => {
                (captures.get("name").cloned(), object.namespace.clone())
            }
            Some(target) => (target.name.as_ref().and_then(plain), target.namespace.clone()),
        };
        Some(Subject {
            object: (self.file, place),
            group: object.group.clone(),
            kind: object.kind.clone(),
            name,
            namespace,
            rule: self.rule.id.clone(),
            pin: self.spec.id.clone(),
            image,
            container: self.spec.at.segments.iter().any(container),
            overlay: target.is_some(),
            marks: object.marks.clone(),
            selects: selecting(target),
            rank: rank(self.spec),
        })
    }

    /// The releases that this chart object serves.
    fn serving(&self, patched: Option<&Known>) -> Option<&BTreeMap<String, Captures>> {
        let own = self.uses.get(&(self.file, self.found.object?));
        own.or_else(|| patched.and_then(|known| self.uses.get(&(known.file, known.object))))
    }

    /// The source that this one is a patch of.
    fn patched_source(&self, captures: &Captures, view: &View) -> Option<&Known> {
        let object = &self.scan.objects[self.found.object?];
        if object.group != "source.toolkit.fluxcd.io" {
            return None;
        }
        let (name, namespace) = (captures.get("name")?, captures.get("namespace").map(String::as_str));
        match self.world.sources.find((&object.kind, name), namespace, self.file, &view.clusters) {
            Lookup::Found(known) if (known.file, Some(known.object)) != (self.file, self.found.object) => {
                Some(known)
            }
            _ => None,
        }
    }

    /// A `chartRef` whose object is in the repository is that object's pin; else it is said.
    fn dangling_chart_ref(&self, captures: &Captures, view: &View) -> Option<Instance> {
        let UpstreamTemplate::FluxChartRef { kind, name, namespace } = &self.spec.upstream else {
            return None;
        };
        let (kind, name) = (fill(kind, captures)?, fill(name, captures)?);
        let namespace = fill(namespace, captures).or_else(|| captures.get("namespace").cloned());
        let found = self.world.sources.find((&kind, &name), namespace.as_deref(), self.file, &view.clusters);
        let reason = match found {
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
            images: BTreeSet::new(),
            pin: None,
            inherits: false,
            subject: self.subject(captures, view),
            replaces: None,
            ways: view.ways.clone(),
            clusters: view.clusters.clone(),
            template: self.scan.template,
            splits: true,
            origin: self.scan.path.clone(),
            warnings: Vec::new(),
        })
    }

    fn given(&self, text: &str, scheme: Scheme, upstream: &mut Result<UpstreamRef, String>) -> Given {
        match self.spec.role {
            Role::Channel => {
                if let Ok(UpstreamRef::K3s { channel }) = upstream {
                    *channel = Some(text.to_owned());
                }
                Given::Channel(text.to_owned())
            }
            Role::Commit => {
                *upstream = Err("pinned to a commit, which cannot be compared with tags".to_owned());
                Given::Exact(text.to_owned())
            }
            Role::Digest => {
                *upstream = Err("pinned by digest alone; nothing says which version that is".to_owned());
                Given::Exact(text.to_owned())
            }
            Role::Range | Role::Version if scheme == Scheme::Semver || self.spec.role == Role::Range => {
                match Range::parse(text) {
                    Ok(range) if !range.is_exact() => Given::Range(text.to_owned()),
                    _ => Given::Exact(text.to_owned()),
                }
            }
            Role::Range | Role::Version => Given::Exact(text.to_owned()),
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

/// Which of several fields of a source Flux follows: digest and commit before name, range and tag
/// (source-controller, `ref`).
pub(super) fn rank(spec: &PinRule) -> u8 {
    match (spec.role, &spec.format) {
        (Role::Commit | Role::Digest, _) => 0,
        (Role::Version, Format::Regex(_)) => 1,
        (Role::Range, _) => 2,
        (Role::Version | Role::Channel, _) => 3,
    }
}

/// The target, where it selects by labels or annotations.
pub(super) fn selecting(target: Option<&PatchTarget>) -> Option<Box<PatchTarget>> {
    let selects = |target: &&PatchTarget| target.labels.is_some() || target.annotations.is_some();
    target.filter(selects).map(|target| Box::new(target.clone()))
}

/// Why something has no name.
pub(super) fn unnamed(template: &ComponentTemplate) -> String {
    format!("nothing here says its name (`{}`); name the object, or the target of the patch", template.id)
}

/// A patch target's name is a regular expression in Kustomize; most are plain names.
pub(super) fn is_plain_name(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

/// Registry and repository of the name by which Kustomize's `images` find what they replace.
fn image_name(name: &str) -> Option<(String, String)> {
    parse_image(name).map(|image| (image.registry, image.repository))
}

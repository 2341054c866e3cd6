//! Puts the scans of all files together: which components there are, where each version really
//! stands, and who publishes newer ones.

mod annotate;
mod compete;
mod composed;
mod dependencies;
mod graph;
mod group;
mod handed;
mod inputs;
mod instance;
mod locate;
mod objects;
mod patch;
mod paths;
mod place;
mod publisher;
mod sources;
mod stand;
mod variables;
mod view;
mod walk;

pub(in crate::domain) use locate::git_place;

use std::collections::{BTreeMap, BTreeSet};

use super::apis::SeenApi;
use super::component::{Component, Inventory};
use super::plan::input::Dependency;
use super::problem::{Category, Problem};
use super::rule::{Rule, Scope};
use super::scan::{FileScan, Found, PatchTarget};
use graph::Graph;
use variables::Variables;

/// What the configuration says about the repository's layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Name and folder of each cluster; found by itself where empty.
    pub clusters: Vec<(String, String)>,
    /// The part of the repository that was read; paths in Flux objects may be meant from there.
    pub root: String,
}

/// What a repository runs.
#[derive(Debug, Default)]
pub struct Resolved {
    /// Sorted by id; ids are unique.
    pub components: Vec<Component>,
    /// Which component must be moved before which; sorted, without cycles.
    pub dependencies: Vec<Dependency>,
    /// What could not be read, in file order.
    pub problems: Vec<Problem>,
    /// Objects per kind.
    pub inventory: Inventory,
    /// Names of the clusters where the repository describes several.
    pub clusters: BTreeSet<String>,
    /// Architectures of nodes that manifests ask for (`amd64`, `arm64`).
    pub architectures: BTreeSet<String>,
    /// The API version of every object that Flux applies, in file order.
    pub apis: Vec<SeenApi>,
}

/// Everything that the steps look at.
struct World<'a> {
    scans: &'a [FileScan],
    rules: &'a [Rule],
    graph: &'a Graph,
    variables: Variables<'a>,
    sources: sources::Sources,
    /// Namespaces of the objects of a kind and name, patches left out.
    homes: BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>,
    /// Folders with a `Chart.yaml`.
    charts: BTreeSet<&'a str>,
    /// What patches have to know of the objects in the repository.
    patched: Patched<'a>,
}

/// Pins of rules (rule, pin) that the other fields of an object exclude.
type Refused = BTreeSet<(usize, usize)>;

/// What the objects of a kind and name say to their patches.
#[derive(Debug, Default)]
struct Patched<'a> {
    /// What every object of the kind and name excludes.
    refused: BTreeMap<&'a str, BTreeMap<&'a str, Refused>>,
    /// What stands beside a version: by kind, name and route.
    beside: BTreeMap<(&'a str, &'a str, &'a str), &'a BTreeMap<String, String>>,
}

impl<'a> Patched<'a> {
    fn read(scans: &'a [FileScan], graph: &Graph) -> Self {
        let mut patched = Self::default();
        for (file, scan) in scans.iter().enumerate() {
            if scan.template || graph.of(file).iter().any(|reach| reach.patch.is_some()) {
                continue;
            }
            for object in scan.objects.iter().filter(|object| object.patch.is_none()) {
                let named = patched.refused.entry(object.kind.as_str()).or_default();
                named
                    .entry(object.name.as_str())
                    .and_modify(|refused| refused.retain(|pin| object.refuses.contains(pin)))
                    .or_insert_with(|| object.refuses.clone());
            }
            for found in &scan.found {
                let object = found.object.map(|object| &scan.objects[object]);
                if let (Some(object), Some(site)) =
                    (object.filter(|object| object.patch.is_none()), &found.site)
                {
                    let place = (object.kind.as_str(), object.name.as_str(), site.route.as_str());
                    patched.beside.entry(place).or_insert(&found.captures);
                }
            }
        }
        patched
    }
}

impl<'a> World<'a> {
    fn new(scans: &'a [FileScan], rules: &'a [Rule], graph: &'a Graph) -> Self {
        let variables = Variables::new(scans, graph);
        let sources = sources::Sources::new(scans, graph, &variables);
        let mut homes: BTreeMap<_, BTreeMap<_, BTreeSet<String>>> = BTreeMap::new();
        let mut charts = BTreeSet::new();
        for (file, scan) in scans.iter().enumerate().filter(|(_, scan)| !scan.template) {
            if scan.path.rsplit('/').next() == Some("Chart.yaml") {
                charts.insert(paths::folder(&scan.path));
            }
            for object in scan.objects.iter().filter(|object| object.patch.is_none()) {
                let named = homes.entry(object.kind.as_str()).or_default();
                let home = named.entry(object.name.as_str()).or_default();
                home.extend(sources::namespaces(graph, file, object));
            }
        }
        let patched = Patched::read(scans, graph);
        Self { scans, rules, graph, variables, sources, homes, charts, patched }
    }

    /// Whether no object that a patch may be meant for lets a rule find the pin in it.
    fn refuses(&self, target: &PatchTarget, pin: (usize, usize)) -> bool {
        let Some(named) = target.kind.as_deref().and_then(|kind| self.patched.refused.get(kind)) else {
            return false;
        };
        match target.name.as_deref().and_then(|name| named.get(name)) {
            Some(refused) => refused.contains(&pin),
            // A patch without a name, or with a pattern for one, is for any of them.
            None => named.values().all(|refused| refused.contains(&pin)),
        }
    }

    /// What stands beside the version at a place of a patched object.
    fn beside(&self, target: &PatchTarget, route: &str) -> Option<&'a BTreeMap<String, String>> {
        self.patched.beside.get(&(target.kind.as_deref()?, target.name.as_deref()?, route)).copied()
    }

    /// The namespace of the one object of a kind and name.
    fn home(&self, kind: &str, name: &str) -> Option<&String> {
        let homes = self.homes.get(kind)?.get(name)?;
        homes.first().filter(|_| homes.len() == 1)
    }

    /// The clusters that a file belongs to.
    fn clusters(&self, file: usize) -> BTreeSet<String> {
        self.graph.of(file).iter().flat_map(|reach| reach.way.clusters.iter().cloned()).collect()
    }

    /// Whether what a rule found counts: values only where something makes values of the file, and a part
    /// of an object only where the rest of it is not that of something else.
    fn counts(&self, file: usize, found: &Found) -> bool {
        let Some(object) = found.object.map(|object| &self.scans[file].objects[object]) else {
            let spec = &self.rules[found.rule].pins[found.pin];
            return !matches!(spec.scope, Scope::Values) || self.is_values(file);
        };
        let target = object.patch.as_ref().and_then(|target| target.name.as_deref());
        let named = self.patched.refused.get(object.kind.as_str());
        let refused = named.and_then(|named| named.get(target.unwrap_or(&object.name)));
        refused.is_none_or(|refused| !refused.contains(&(found.rule, found.pin)))
    }

    /// Whether a file's text becomes values of a chart.
    fn is_values(&self, file: usize) -> bool {
        let path = self.scans[file].path.as_str();
        let name = path.rsplit('/').next().unwrap_or(path);
        self.graph.of(file).iter().any(|reach| reach.text)
            || (name.starts_with("values") && self.charts.contains(paths::folder(path)))
    }
}

/// Keys of labels and annotations that Kustomize files give to what they build.
fn set_by_kustomize(scans: &[FileScan]) -> BTreeSet<&str> {
    let files = scans.iter().filter_map(|scan| scan.kustomize.as_ref());
    files.flat_map(|file| &file.sets).map(String::as_str).collect()
}

/// What has no name belongs to no component: it is said where it stands.
fn nobody(instance: &instance::Instance) -> Problem {
    let reason = instance.upstream.as_ref().err().map(String::as_str).unwrap_or("nothing here says its name");
    let (place, text) = match &instance.pin {
        Some(pin) => ((pin.file.clone(), Some(pin.line)), format!("the version `{}`", pin.text)),
        None => ((instance.origin.clone(), None), "a version".to_owned()),
    };
    Problem::in_file(place.0, place.1, format!("{text} is that of no component: {reason}"))
}

/// Makes components of the scans of a repository, whose order must be that of the paths.
pub fn resolve(scans: &[FileScan], rules: &[Rule], options: &Options) -> Resolved {
    let graph = Graph::build(scans, options);
    let world = World::new(scans, rules, &graph);
    let uses = instance::chart_uses(&world);
    let mut instances = instance::all(&world, &uses);
    annotate::standalone(&world, &mut instances);
    let (instances, nameless): (Vec<_>, Vec<_>) =
        compete::decide(instances, &graph, &set_by_kustomize(scans))
            .into_iter()
            .partition(|instance| !instance.id.is_empty());
    let places = dependencies::Places::of(&world, &instances);
    let components = group::components(instances, &graph);
    let (dependencies, cycles) = dependencies::all(&world, &uses, &places, &components);
    let mut resolved =
        Resolved { components, dependencies, clusters: graph.clusters.clone(), ..Resolved::default() };
    let told: BTreeSet<_> = nameless.iter().filter(|instance| !instance.template).map(nobody).collect();
    resolved.problems.extend(told);
    if graph.cut {
        resolved.problems.push(Problem {
            category: Category::Repository,
            file: None,
            line: None,
            upstream: None,
            message: "the Kustomizations of this repository apply its files so often that not all was followed, and \
                      some of what is applied is taken for copies; name the `clusters` in the configuration, or \
                      look at a part of the repository"
                .to_owned(),
        });
    }
    for (file, scan) in scans.iter().enumerate() {
        if graph.applied(scan, file) {
            resolved.apis.extend(scan.apis.iter().map(|api| SeenApi {
                file: scan.path.clone(),
                line: api.line,
                api_version: api.text.clone(),
                kind: api.kind.clone(),
            }));
        }
        resolved.problems.extend(scan.problems.iter().cloned());
        if !scan.template {
            resolved.architectures.extend(scan.architectures.iter().cloned());
            for (kind, count) in &scan.inventory {
                *resolved.inventory.entry(kind.clone()).or_default() += count;
            }
        }
    }
    resolved.problems.extend(cycles);
    resolved
}

//! Puts the scans of all files together: which components there are, where each version really
//! stands, and who publishes newer ones.

mod annotate;
mod graph;
mod group;
mod instance;
mod locate;
mod patch;
mod paths;
mod publisher;
mod sources;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use super::component::{Component, Inventory};
use super::problem::Problem;
use super::rule::{Rule, Scope};
use super::scan::{FileScan, Found};
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
    /// What could not be read, in file order.
    pub problems: Vec<Problem>,
    /// Objects per kind.
    pub inventory: Inventory,
    /// Names of the clusters where the repository describes several.
    pub clusters: BTreeSet<String>,
    /// Architectures of nodes that manifests ask for (`amd64`, `arm64`).
    pub architectures: BTreeSet<String>,
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
        Self { scans, rules, graph, variables, sources, homes, charts }
    }

    /// The namespace of the one object of a kind and name.
    fn home(&self, kind: &str, name: &str) -> Option<&String> {
        let homes = self.homes.get(kind)?.get(name)?;
        homes.first().filter(|_| homes.len() == 1)
    }

    /// Whether what a rule found counts: values only where something makes values of the file.
    fn counts(&self, file: usize, found: &Found) -> bool {
        let spec = &self.rules[found.rule].pins[found.pin];
        !matches!(spec.scope, Scope::Values) || found.object.is_some() || self.is_values(file)
    }

    /// Whether a file's text becomes values of a chart.
    fn is_values(&self, file: usize) -> bool {
        let path = self.scans[file].path.as_str();
        let name = path.rsplit('/').next().unwrap_or(path);
        self.graph.of(file).iter().any(|reach| reach.text)
            || (name.starts_with("values") && self.charts.contains(paths::folder(path)))
    }
}

/// Makes components of the scans of a repository, whose order must be that of the paths.
pub fn resolve(scans: &[FileScan], rules: &[Rule], options: &Options) -> Resolved {
    let graph = Graph::build(scans, options);
    let world = World::new(scans, rules, &graph);
    let mut instances = instance::all(&world);
    annotate::standalone(&world, &mut instances);
    let components = group::components(instances, &graph);
    let mut resolved = Resolved { components, clusters: graph.clusters.clone(), ..Resolved::default() };
    for scan in scans {
        resolved.problems.extend(scan.problems.iter().cloned());
        if !scan.template {
            resolved.architectures.extend(scan.architectures.iter().cloned());
            for (kind, count) in &scan.inventory {
                *resolved.inventory.entry(kind.clone()).or_default() += count;
            }
        }
    }
    resolved
}

//! Puts the scans of all files together: which components there are, where each version really
//! stands, and who publishes newer ones.

mod annotate;
mod graph;
mod group;
mod instance;
mod locate;
mod paths;
mod sources;
mod variables;

use std::collections::BTreeSet;

use super::component::{Component, Inventory};
use super::problem::Problem;
use super::rule::Rule;
use super::scan::FileScan;
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
}

/// Everything that the steps look at.
struct World<'a> {
    scans: &'a [FileScan],
    rules: &'a [Rule],
    graph: &'a Graph,
    variables: Variables<'a>,
    sources: sources::Sources,
}

/// Makes components of the scans of a repository, whose order must be that of the paths.
pub fn resolve(scans: &[FileScan], rules: &[Rule], options: &Options) -> Resolved {
    let graph = Graph::build(scans, options);
    let variables = Variables::new(scans, &graph);
    let sources = sources::Sources::new(scans, &graph, &variables);
    let world = World { scans, rules, graph: &graph, variables, sources };
    let mut instances = instance::all(&world);
    annotate::standalone(&world, &mut instances);
    let components = group::components(instances, &graph);
    let mut resolved = Resolved { components, clusters: graph.clusters.clone(), ..Resolved::default() };
    for scan in scans {
        resolved.problems.extend(scan.problems.iter().cloned());
        if !scan.template {
            for (kind, count) in &scan.inventory {
                *resolved.inventory.entry(kind.clone()).or_default() += count;
            }
        }
    }
    resolved
}

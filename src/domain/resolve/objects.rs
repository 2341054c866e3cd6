//! Flux's Kustomizations and HelmReleases: what each holds, and which waits for which.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::graph::KustomizationId;
use super::instance::Uses;
use crate::domain::cycles;
use crate::domain::problem::Problem;
use crate::domain::scan::{FluxRelease, Waiting};

/// A Kustomization or HelmRelease, or a patch of one in a file of its own.
#[derive(Debug)]
pub(super) struct Node {
    /// `Kustomization` or `HelmRelease`.
    pub(super) kind: &'static str,
    /// File and position of the object.
    object: (usize, usize),
    /// Namespaces and names that it has in the clusters.
    names: BTreeSet<(Option<String>, String)>,
    clusters: BTreeSet<String>,
    wants: Vec<Want>,
}

/// An entry of `dependsOn`, with variables filled.
#[derive(Debug)]
struct Want {
    namespace: Option<String>,
    name: String,
    line: usize,
}

/// An object that another one waits for.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    pub(super) on: usize,
    pub(super) why: String,
}

impl Node {
    /// `namespace/name`.
    pub(super) fn shown(&self) -> String {
        match self.names.first() {
            Some((Some(namespace), name)) => format!("{namespace}/{name}"),
            Some((None, name)) => name.clone(),
            None => String::new(),
        }
    }

    fn is_meant_by(&self, want: &Want, clusters: &BTreeSet<String>) -> bool {
        let named = self.names.iter().any(|(namespace, name)| {
            // A namespace that nothing in the repository says may be any.
            *name == want.name
                && (namespace.is_none() || want.namespace.is_none() || *namespace == want.namespace)
        });
        named && (clusters.is_empty() || self.clusters.is_empty() || !clusters.is_disjoint(&self.clusters))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) nodes: Vec<Node>,
    /// What each waits for, through the Kustomizations around it, too.
    pub(super) waits: Vec<Vec<Wait>>,
    /// `dependsOn` itself: the object, and the line that names it.
    direct: Vec<Vec<(usize, usize)>>,
    /// Kustomizations that apply each file.
    applying: Vec<Vec<usize>>,
    by_object: BTreeMap<(usize, usize), usize>,
}

impl Objects {
    pub(super) fn of(world: &World<'_>) -> Self {
        let mut objects = Self::default();
        let mut kustomizations: BTreeMap<KustomizationId, usize> = BTreeMap::new();
        for (file, scan) in world.scans.iter().enumerate().filter(|(_, scan)| !scan.template) {
            for (place, found) in scan.kustomizations.iter().enumerate() {
                kustomizations.insert((file, place), objects.nodes.len());
                objects.add(world, "Kustomization", (file, found.object), &found.depends_on);
            }
            for FluxRelease { object, depends_on } in &scan.releases {
                objects.add(world, "HelmRelease", (file, *object), depends_on);
            }
        }
        let applying = |file: usize| {
            let ids = world.graph.of(file).iter().flat_map(|reach| reach.kustomizations.iter());
            let nodes: BTreeSet<usize> = ids.filter_map(|id| kustomizations.get(id).copied()).collect();
            nodes.into_iter().collect()
        };
        objects.applying = (0..world.scans.len()).map(applying).collect();
        objects.connect();
        objects
    }

    fn add(
        &mut self,
        world: &World<'_>,
        kind: &'static str,
        (file, position): (usize, usize),
        waiting: &[Waiting],
    ) {
        let object = &world.scans[file].objects[position];
        let mut node = Node {
            kind,
            object: (file, position),
            names: BTreeSet::new(),
            clusters: BTreeSet::new(),
            wants: vec![],
        };
        for view in world.views(file) {
            let fill = |text: &str| world.variables.fill(view.kustomizations(), text);
            let namespace = view.namespace_of(object).map(|namespace| fill(&namespace));
            node.wants.extend(waiting.iter().map(|waiting| Want {
                namespace: waiting.namespace.as_deref().map(fill).or_else(|| namespace.clone()),
                name: fill(&waiting.name),
                line: waiting.line,
            }));
            node.names.insert((namespace, fill(&object.name)));
            node.clusters.extend(view.clusters);
        }
        self.by_object.insert((file, position), self.nodes.len());
        self.nodes.push(node);
    }

    fn connect(&mut self) {
        let mut by_name: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            for (_, name) in &node.names {
                by_name.entry((node.kind, name)).or_default().push(at);
            }
        }
        let meant = |at: usize, want: &Want| -> Vec<(usize, usize)> {
            let node = &self.nodes[at];
            let named = by_name.get(&(node.kind, want.name.as_str())).into_iter().flatten();
            named
                .filter(|other| self.nodes[**other].is_meant_by(want, &node.clusters))
                .map(|other| (*other, want.line))
                .collect()
        };
        self.direct = (0..self.nodes.len())
            .map(|at| {
                let mut direct: Vec<_> =
                    self.nodes[at].wants.iter().flat_map(|want| meant(at, want)).collect();
                direct.sort_unstable();
                direct.dedup_by_key(|(other, _)| *other);
                direct
            })
            .collect();
        let inner = self.inner();
        self.waits = (0..self.nodes.len()).map(|at| self.waits_of(at, &inner)).collect();
    }

    /// The Kustomizations that each one applies.
    fn inner(&self) -> Vec<Vec<usize>> {
        let mut inner = vec![vec![]; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.kind == "Kustomization") {
            for outer in self.applying[node.object.0].iter().filter(|outer| **outer != at) {
                inner[*outer].push(at);
            }
        }
        inner
    }

    /// An object waits for what its own `dependsOn` names. A Kustomization waits for what those around it wait for,
    /// and, with another one, for all that this one applies: it is there in order to be ready with it.
    fn waits_of(&self, at: usize, inner: &[Vec<usize>]) -> Vec<Wait> {
        let node = &self.nodes[at];
        let say = |who: usize, on: usize| {
            format!(
                "{} `{}` depends on `{}`",
                self.nodes[who].kind,
                self.nodes[who].shown(),
                self.nodes[on].shown()
            )
        };
        if node.kind != "Kustomization" {
            return self.direct[at].iter().map(|(on, _)| Wait { on: *on, why: say(at, *on) }).collect();
        }
        let around = reachable(&[at], |node| &self.applying[self.nodes[node].object.0]);
        let mut waits: BTreeMap<usize, String> = BTreeMap::new();
        for who in &around {
            for (on, _) in &self.direct[*who] {
                waits.entry(*on).or_insert_with(|| say(*who, *on));
                // What holds the waiting one itself cannot be waited for as a whole.
                if around.contains(on) {
                    continue;
                }
                for below in reachable(&[*on], |node| &inner[node]) {
                    waits.entry(below).or_insert_with(|| {
                        format!("{}, which applies `{}`", say(*who, *on), self.nodes[below].shown())
                    });
                }
            }
        }
        waits.remove(&at);
        waits.into_iter().map(|(on, why)| Wait { on, why }).collect()
    }

    /// The objects that hold what stands in an object, or in a file.
    pub(super) fn holding(
        &self,
        world: &World<'_>,
        uses: &Uses,
        file: usize,
        object: Option<usize>,
    ) -> BTreeSet<usize> {
        let mut holding: BTreeSet<usize> = self.applying.get(file).into_iter().flatten().copied().collect();
        let Some(object) = object else { return holding };
        holding.extend(
            self.by_object.get(&(file, object)).filter(|node| self.nodes[**node].kind == "HelmRelease"),
        );
        // The version of a release may stand in the source of its chart.
        let releases = uses.get(&(file, object)).into_iter().flat_map(BTreeMap::values);
        for captures in releases {
            let Some(name) = captures.get("name") else { continue };
            let want = Want { namespace: captures.get("namespace").cloned(), name: name.clone(), line: 0 };
            let clusters = world.clusters(file);
            let meant = self.nodes.iter().enumerate().filter(|(_, node)| node.kind == "HelmRelease");
            holding.extend(meant.filter(|(_, node)| node.is_meant_by(&want, &clusters)).map(|(at, _)| at));
        }
        holding
    }

    /// Objects that wait for themselves, each cycle once.
    pub(super) fn cycles(&self, world: &World<'_>) -> Vec<Problem> {
        let graph: Vec<Vec<usize>> =
            self.direct.iter().map(|waits| waits.iter().map(|(on, _)| *on).collect()).collect();
        let group = cycles::groups(&graph);
        let mut named = BTreeSet::new();
        let mut problems = vec![];
        for (at, node) in self.nodes.iter().enumerate() {
            if named.contains(&group[at]) {
                continue;
            }
            let Some(way) = cycles::cycle_through(&graph, at) else { continue };
            named.insert(group[at]);
            let names: Vec<String> = way.iter().map(|at| format!("`{}`", self.nodes[*at].shown())).collect();
            let line = self.direct[at].iter().find(|(on, _)| Some(on) == way.get(1)).map(|(_, line)| *line);
            let message = format!(
                "{} waits for itself by `dependsOn`: {}; Flux never reconciles it, take one of them away",
                node.kind,
                names.join(" on "),
            );
            problems.push(Problem::in_file(world.scans[node.object.0].path.clone(), line, message));
        }
        problems
    }
}

/// The nodes and all that can be reached from them.
fn reachable<'a>(start: &[usize], next: impl Fn(usize) -> &'a Vec<usize>) -> BTreeSet<usize> {
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut queue = start.to_vec();
    while let Some(node) = queue.pop() {
        if seen.insert(node) {
            queue.extend(next(node));
        }
    }
    seen
}

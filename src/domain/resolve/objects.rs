//! Flux's Kustomizations and HelmReleases: what each holds, and which waits for which.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::graph::KustomizationId;
use super::instance::Uses;
use super::view::View;
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
    wants: BTreeSet<Want>,
}

/// Steps that following the order of one repository may take; a repository of strangers can ask for any number.
const MAX_STEPS: usize = 2_000_000;

/// The steps that are left.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(MAX_STEPS))
    }
}

impl Budget {
    /// Takes steps; `false` when there are none left.
    pub(super) fn spend(&self, steps: usize) -> bool {
        self.0.set(self.0.get().saturating_sub(steps));
        !self.is_spent()
    }

    /// Whether something was not followed.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// An entry of `dependsOn`, with variables filled.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    pub(super) budget: Budget,
}

impl Objects {
    pub(super) fn of(world: &World<'_>) -> Self {
        let mut objects = Self::default();
        let mut kustomizations: BTreeMap<KustomizationId, usize> = BTreeMap::new();
        for (file, scan) in world.scans.iter().enumerate().filter(|(_, scan)| !scan.template) {
            if scan.kustomizations.is_empty() && scan.releases.is_empty() {
                continue;
            }
            let views = world.views(file);
            for (place, found) in scan.kustomizations.iter().enumerate() {
                kustomizations.insert((file, place), objects.nodes.len());
                objects.add(world, &views, "Kustomization", (file, found.object), &found.depends_on);
            }
            for FluxRelease { object, depends_on } in &scan.releases {
                objects.add(world, &views, "HelmRelease", (file, *object), depends_on);
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
        views: &[View],
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
            wants: BTreeSet::new(),
        };
        for view in views {
            let fill = |text: &str| match text.contains("${") {
                true => world.variables.fill(view.kustomizations(), text),
                false => text.to_owned(),
            };
            let namespace = view.namespace_of(object).map(|namespace| fill(&namespace));
            node.wants.extend(waiting.iter().map(|waiting| Want {
                namespace: waiting.namespace.as_deref().map(fill).or_else(|| namespace.clone()),
                name: fill(&waiting.name),
                line: waiting.line,
            }));
            node.names.insert((namespace, fill(&object.name)));
            node.clusters.extend(view.clusters.iter().cloned());
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
        self.waits = self.all_waits();
    }

    /// An object waits for what its own `dependsOn` names. A Kustomization waits for what those around it wait for,
    /// and, with another one, for all that this one applies: it is there in order to be ready with it.
    fn all_waits(&self) -> Vec<Vec<Wait>> {
        let inner = self.inner();
        let say = |who: usize, on: usize| {
            let (who, on) = (&self.nodes[who], &self.nodes[on]);
            format!("{} `{}` depends on `{}`", who.kind, who.shown(), on.shown())
        };
        let mut waits: Vec<BTreeMap<usize, String>> = vec![BTreeMap::new(); self.nodes.len()];
        for (who, direct) in self.direct.iter().enumerate().filter(|(_, direct)| !direct.is_empty()) {
            let below = self.reachable(who, &inner);
            for (on, _) in direct {
                let why = say(who, *on);
                let with = self.reachable(*on, &inner);
                for waiting in &below {
                    // What holds the waiting one itself cannot be waited for as a whole.
                    let first = if with.contains(waiting) { &BTreeSet::from([*on]) } else { &with };
                    if !self.budget.spend(first.len()) {
                        break;
                    }
                    for first in first.iter().filter(|first| *first != waiting) {
                        waits[*waiting].entry(*first).or_insert_with(|| match first == on {
                            true => why.clone(),
                            false => format!("{why}, which applies `{}`", self.nodes[*first].shown()),
                        });
                    }
                }
            }
        }
        let list =
            |waits: BTreeMap<usize, String>| waits.into_iter().map(|(on, why)| Wait { on, why }).collect();
        waits.into_iter().map(list).collect()
    }

    /// The Kustomizations that each one applies.
    fn inner(&self) -> Vec<Vec<usize>> {
        let mut inner = vec![vec![]; self.nodes.len()];
        // Without a word about order there is nothing to follow.
        if self.direct.iter().all(Vec::is_empty) {
            return inner;
        }
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.kind == "Kustomization") {
            let around = &self.applying[node.object.0];
            if !self.budget.spend(around.len()) {
                break;
            }
            for outer in around.iter().filter(|outer| **outer != at) {
                inner[*outer].push(at);
            }
        }
        inner
    }

    /// A node and all that can be reached from it.
    fn reachable(&self, start: usize, next: &[Vec<usize>]) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut queue = vec![start];
        while let Some(node) = queue.pop() {
            if seen.insert(node) && self.budget.spend(next[node].len()) {
                queue.extend(&next[node]);
            }
        }
        seen
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
        // The version of a release may stand in the source of its chart: who waits for the Kustomization of the sources
        // waits for the source to be there, not for another version of the chart.
        let mut of_releases: BTreeSet<usize> = BTreeSet::new();
        let releases = uses.get(&(file, object)).into_iter().flat_map(BTreeMap::values);
        for captures in releases {
            let Some(name) = captures.get("name") else { continue };
            let want = Want { namespace: captures.get("namespace").cloned(), name: name.clone(), line: 0 };
            let clusters = world.clusters(file);
            let meant = self.nodes.iter().enumerate().filter(|(_, node)| node.kind == "HelmRelease");
            of_releases
                .extend(meant.filter(|(_, node)| node.is_meant_by(&want, &clusters)).map(|(at, _)| at));
        }
        if of_releases.is_empty() {
            return holding;
        }
        let around = of_releases.iter().flat_map(|release| &self.applying[self.nodes[*release].object.0]);
        let around: BTreeSet<usize> = around.copied().collect();
        of_releases.union(&around).copied().collect()
    }

    /// Objects that wait for themselves, each cycle once.
    pub(super) fn cycles(&self, world: &World<'_>) -> Vec<Problem> {
        let graph = self.direct_graph();
        let group = cycles::groups(&graph);
        let is_on_cycle = on_cycles(&graph, &group);
        let mut named = BTreeSet::new();
        let mut problems = vec![];
        for (at, node) in self.nodes.iter().enumerate() {
            if !is_on_cycle[at] || named.contains(&group[at]) {
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

    /// For each object the group of those that it waits for and that wait for it, through the Kustomizations around them
    /// too; `None` where [`Objects::cycles`] names nobody of the group.
    pub(super) fn named_cycles(&self) -> Vec<Option<usize>> {
        let direct = self.direct_graph();
        let is_named = on_cycles(&direct, &cycles::groups(&direct));
        let waits: Vec<Vec<usize>> =
            self.waits.iter().map(|waits| waits.iter().map(|wait| wait.on).collect()).collect();
        let group = cycles::groups(&waits);
        let named: BTreeSet<usize> =
            group.iter().zip(is_named).filter(|(_, is_named)| *is_named).map(|(number, _)| *number).collect();
        group.into_iter().map(|number| named.contains(&number).then_some(number)).collect()
    }

    /// File of an object, and the line by which it waits for another one, where it names that itself.
    pub(super) fn place(&self, world: &World<'_>, waits: usize, first: usize) -> (String, Option<usize>) {
        let line = self.direct[waits].iter().find(|(on, _)| *on == first).map(|(_, line)| *line);
        (world.scans[self.nodes[waits].object.0].path.clone(), line)
    }

    fn direct_graph(&self) -> Vec<Vec<usize>> {
        self.direct.iter().map(|waits| waits.iter().map(|(on, _)| *on).collect()).collect()
    }
}

/// Whether each node is on a cycle, by the groups of those that can reach each other.
fn on_cycles(graph: &[Vec<usize>], group: &[usize]) -> Vec<bool> {
    let mut members: BTreeMap<usize, usize> = BTreeMap::new();
    for number in group {
        *members.entry(*number).or_default() += 1;
    }
    let is_on_cycle =
        |at: usize| members.get(&group[at]).is_some_and(|count| *count > 1) || graph[at].contains(&at);
    (0..graph.len()).map(is_on_cycle).collect()
}

//! Which component must be moved before which, as far as the repository says: `dependsOn` of Flux's Kustomizations
//! and HelmReleases, lifted to the components that they hold, and charts of CRDs before the charts that they are for.
//!
//! What comes out has no cycles. A Kustomization holds many things: where its order contradicts itself once it is
//! lifted (one component in two Kustomizations), it says nothing about the components concerned, and that is named as a
//! problem. So are objects that wait for each other, because Flux never reconciles them.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::compete::is_live;
use super::instance::{Instance, Uses};
use super::objects::{Objects, Wait};
use crate::domain::component::Component;
use crate::domain::cycles;
use crate::domain::plan::input::Dependency;
use crate::domain::problem::{Category, Problem};
use crate::domain::upstream::UpstreamRef;

/// File and, where the version stands in one, object.
type Found = (usize, Option<usize>);

/// Where versions were found: by file and first byte of the version.
pub(super) struct Places {
    by_bytes: BTreeMap<(String, usize), BTreeSet<Found>>,
}

impl Places {
    /// Must be asked before places are grouped into components.
    pub(super) fn of(world: &World<'_>, instances: &[Instance]) -> Self {
        let files: BTreeMap<&str, usize> =
            world.scans.iter().enumerate().map(|(file, scan)| (scan.path.as_str(), file)).collect();
        let mut by_bytes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for instance in instances.iter().filter(|instance| is_live(instance)) {
            let Some(pin) = &instance.pin else { continue };
            let place = match &instance.subject {
                Some(subject) => (subject.object.0, Some(subject.object.1)),
                None => match files.get(instance.origin.as_str()) {
                    Some(file) => (*file, None),
                    None => continue,
                },
            };
            by_bytes.entry((pin.file.clone(), pin.span.0)).or_default().insert(place);
        }
        Self { by_bytes }
    }

    fn of_component(&self, component: &Component) -> BTreeSet<Found> {
        let pins = component.pins.iter().filter(|pin| pin.applied);
        pins.filter_map(|pin| self.by_bytes.get(&(pin.file.clone(), pin.span.0))).flatten().copied().collect()
    }
}

/// Who says that one thing comes before another; the later ones know better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Authority {
    Kustomization,
    Chart,
    HelmRelease,
}

/// Why one component goes before another.
#[derive(Debug, Clone)]
struct Reason {
    authority: Authority,
    why: String,
    /// The object that waits and the one that goes first, where objects say it.
    objects: Option<(usize, usize)>,
}

/// Component that waits and component that goes first, by position, with the reason.
type Edges = BTreeMap<(usize, usize), Reason>;

/// Components and reasons that are shown of those that contradict each other.
const MOST_SHOWN: usize = 4;

/// Every dependency between components, sorted, and the cycles that were found.
pub(super) fn all(
    world: &World<'_>,
    uses: &Uses,
    places: &Places,
    components: &[Component],
) -> (Vec<Dependency>, Vec<Problem>) {
    let objects = Objects::of(world);
    let mut held: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); objects.nodes.len()];
    for (at, component) in components.iter().enumerate() {
        for (file, object) in places.of_component(component) {
            for node in objects.holding(world, uses, file, object) {
                held[node].insert(at);
            }
        }
    }
    let mut edges = Edges::new();
    let compatible = |one: usize, other: usize| {
        let (one, other) = (&components[one].cluster, &components[other].cluster);
        one == other || one.is_none() || other.is_none()
    };
    for (node, own) in held.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
        let authority = match objects.nodes[node].kind {
            "HelmRelease" => Authority::HelmRelease,
            _ => Authority::Kustomization,
        };
        for (first, why) in first_with_components(&objects, &held, node) {
            if !objects.budget.spend(own.len() * held[first].len()) {
                break;
            }
            for (waits, goes) in
                own.iter().flat_map(|one| held[first].iter().map(move |other| (*one, *other)))
            {
                if waits != goes && compatible(waits, goes) {
                    let reason = || Reason { authority, why: why.clone(), objects: Some((node, first)) };
                    let edge = edges.entry((waits, goes)).or_insert_with(reason);
                    if edge.authority < authority {
                        *edge = reason();
                    }
                }
            }
        }
    }
    add_crd_charts(components, &compatible, &mut edges);
    let dropped = drop_contradictions(&mut edges, components.len());
    let dependency = |((from, to), reason): ((usize, usize), Reason)| Dependency {
        from: components[from].id.clone(),
        to: components[to].id.clone(),
        why: reason.why,
    };
    let mut problems = objects.cycles(world);
    if !dropped.is_empty() {
        let named = objects.named_cycles();
        problems.extend(
            dropped.iter().filter_map(|edges| contradiction(edges, &named, world, &objects, components)),
        );
    }
    if objects.budget.is_spent() {
        problems.push(Problem {
            category: Category::Repository,
            file: None,
            line: None,
            upstream: None,
            message: "`dependsOn` orders so many components of this repository that not all was followed"
                .to_owned(),
        });
    }
    (edges.into_iter().map(dependency).collect(), problems)
}

/// The nearest objects with components that an object waits for: through those that hold none.
fn first_with_components(
    objects: &Objects,
    held: &[BTreeSet<usize>],
    node: usize,
) -> BTreeMap<usize, String> {
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::from([node]);
    let mut queue: Vec<(&Wait, Option<&str>)> = objects.waits[node].iter().map(|wait| (wait, None)).collect();
    while let Some((wait, first)) = queue.pop() {
        if !seen.insert(wait.on) || !objects.budget.spend(1) {
            continue;
        }
        if held[wait.on].is_empty() {
            let first = first.unwrap_or(&wait.why);
            queue.extend(objects.waits[wait.on].iter().map(|next| (next, Some(first))));
            continue;
        }
        let why = match first {
            None => wait.why.clone(),
            Some(first) => format!("{first}, and that on `{}`", objects.nodes[wait.on].shown()),
        };
        found.insert(wait.on, why);
    }
    found
}

/// A chart that carries the CRDs of another goes before it: `kyverno-crds` before `kyverno`.
fn add_crd_charts(components: &[Component], compatible: &dyn Fn(usize, usize) -> bool, edges: &mut Edges) {
    let mut by_chart: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, component) in components.iter().enumerate() {
        by_chart.entry(chart(component).unwrap_or_default()).or_default().push(at);
    }
    for (name, crds) in &by_chart {
        let Some(of) = name.strip_suffix("-crds").or_else(|| name.strip_suffix("-crd")) else { continue };
        for user in by_chart.get(of).into_iter().flatten() {
            for crd in crds.iter().filter(|crd| compatible(*user, **crd)) {
                let why = format!("the chart `{name}` carries the CRDs of `{of}`");
                let reason = Reason { authority: Authority::Chart, why, objects: None };
                edges.entry((*user, *crd)).or_insert(reason);
            }
        }
    }
}

fn chart(component: &Component) -> Option<&str> {
    match component.upstream.as_ref().ok()? {
        UpstreamRef::HelmChart { chart, .. } => Some(chart),
        UpstreamRef::Oci { repository, chart: true, .. } => repository.rsplit('/').next(),
        _ => None,
    }
}

/// Takes edges away until there is no cycle: those first that know least about single components. What was taken away
/// is given back, by components that could all be reached from each other.
fn drop_contradictions(edges: &mut Edges, count: usize) -> Vec<Edges> {
    let mut whole: Option<Vec<usize>> = None;
    let mut dropped: BTreeMap<usize, Edges> = BTreeMap::new();
    for authority in [Authority::Kustomization, Authority::Chart, Authority::HelmRelease] {
        let mut graph = vec![vec![]; count];
        for (from, to) in edges.keys() {
            graph[*from].push(*to);
        }
        let group = cycles::groups(&graph);
        let whole = whole.get_or_insert_with(|| group.clone());
        edges.retain(|(from, to), reason| {
            let stays = group[*from] != group[*to] || reason.authority != authority;
            if !stays {
                dropped.entry(whole[*from]).or_default().insert((*from, *to), reason.clone());
            }
            stays
        });
    }
    dropped.into_values().collect()
}

/// Components that wait for each other, though no object does; `None` where a cycle of objects, which is named already,
/// is all that there is to it.
fn contradiction(
    dropped: &Edges,
    named: &[Option<usize>],
    world: &World<'_>,
    objects: &Objects,
    components: &[Component],
) -> Option<Problem> {
    let is_named = |reason: &Reason| {
        reason.objects.is_some_and(|(waits, first)| named[waits].is_some() && named[waits] == named[first])
    };
    let untold: Vec<&Reason> = dropped.values().filter(|reason| !is_named(reason)).collect();
    let place = untold.first()?.objects.map(|(waits, first)| objects.place(world, waits, first));
    let ids: BTreeSet<String> = dropped
        .keys()
        .flat_map(|(from, to)| [*from, *to])
        .map(|at| format!("`{}`", components[at].id))
        .collect();
    let reasons: BTreeSet<String> = untold.iter().map(|reason| reason.why.clone()).collect();
    let message = format!(
        "{} wait for each other, so that this is left out of their order: {}; take one of these away where the order \
         matters",
        shown(&ids, ", "),
        shown(&reasons, "; "),
    );
    let (file, line) = place.map_or((None, None), |(file, line)| (Some(file), line));
    Some(Problem { category: Category::Repository, file, line, upstream: None, message })
}

/// The first of them, and how many more there are.
fn shown(all: &BTreeSet<String>, between: &str) -> String {
    let first: Vec<&str> = all.iter().take(MOST_SHOWN).map(String::as_str).collect();
    match all.len() - first.len() {
        0 => first.join(between),
        more => format!("{} and {more} more", first.join(between)),
    }
}

#[cfg(test)]
mod tests;

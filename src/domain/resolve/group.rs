//! From places to components: what moves together, and which are copies.

use std::collections::{BTreeMap, BTreeSet};

use super::annotate::RENOVATE;
use super::compete::is_live;
use super::graph::Graph;
use super::instance::Instance;
use crate::domain::component::{Component, Given, Pin};

/// More namespaces are counted, not named.
const MOST_NAMED: usize = 5;

/// Makes components with unique ids, sorted by id.
pub(super) fn components(instances: Vec<Instance>, graph: &Graph) -> Vec<Component> {
    let mut by_id: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    for instance in one_per_place(one_namespace(instances)) {
        by_id.entry(instance.id.clone()).or_default().push(instance);
    }
    let mut ids = Ids::default();
    let mut components = BTreeMap::new();
    for (id, group) in by_id {
        for (base, cluster, members) in split(id, group, graph) {
            let id = ids.unique(base, &members);
            if let Some(component) = component(id.clone(), cluster, members) {
                components.insert(id, component);
            }
        }
    }
    components.into_values().collect()
}

/// The bytes of a pin.
type Bytes = (String, usize);

fn bytes(instance: &Instance) -> Option<Bytes> {
    instance.pin.as_ref().map(|pin| (pin.file.clone(), pin.span.0))
}

/// One manifest may land in several namespaces: the version is written once, so it is one component,
/// named for the first namespace.
fn one_namespace(mut instances: Vec<Instance>) -> Vec<Instance> {
    let mut places: BTreeMap<(Bytes, String, String), Vec<usize>> = BTreeMap::new();
    for (at, instance) in instances.iter().enumerate().filter(|(_, instance)| is_live(instance)) {
        if let Some(bytes) = bytes(instance) {
            let key = (bytes, instance.kind.clone(), instance.name.clone());
            places.entry(key).or_default().push(at);
        }
    }
    for members in places.into_values() {
        let first = members.iter().copied().min_by_key(|at| {
            let instance = &instances[*at];
            (instance.namespace.is_none(), &instance.namespace, &instance.id)
        });
        let Some(first) = first else { continue };
        if members.iter().all(|at| instances[*at].id == instances[first].id) {
            continue;
        }
        let first = instances[first].clone();
        let others: BTreeSet<String> = members
            .iter()
            .filter_map(|at| instances[*at].namespace.clone())
            .filter(|namespace| Some(namespace) != first.namespace.as_ref())
            .collect();
        for at in members {
            let instance = &mut instances[at];
            instance.id.clone_from(&first.id);
            instance.namespace.clone_from(&first.namespace);
            instance.upstream = first.upstream.clone();
            instance.warnings.extend(also_in(&others));
        }
    }
    instances
}

fn also_in(namespaces: &BTreeSet<String>) -> Option<String> {
    let named: Vec<_> = namespaces.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect();
    let more = match namespaces.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| format!("the same manifest is also applied in {}{more}", named.join(", ")))
}

/// Several ways may lead to the same bytes (other clusters, a variable that is used and looks like a
/// version): they are one place, and the applied way has it.
fn one_per_place(instances: Vec<Instance>) -> Vec<Instance> {
    let mut places: BTreeMap<(Bytes, String), usize> = BTreeMap::new();
    let mut unpinned: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Instance> = Vec::new();
    for instance in instances {
        let at = match bytes(&instance) {
            // One variable may be the version of several things: then each has its pin there.
            Some(bytes) => places.entry((bytes, instance.id.clone())).or_insert(kept.len()),
            None => {
                let said = (&instance.id, &instance.origin, &instance.given, &instance.upstream);
                unpinned.entry(format!("{said:?}")).or_insert(kept.len())
            }
        };
        let Some(known) = kept.get_mut(*at) else {
            kept.push(instance);
            continue;
        };
        match (is_live(known), is_live(&instance)) {
            (false, true) => *known = instance,
            (true, false) => {}
            _ => {
                known.clusters.extend(instance.clusters);
                known.images.extend(instance.images);
                for warning in instance.warnings {
                    if !known.warnings.contains(&warning) {
                        known.warnings.push(warning);
                    }
                }
            }
        }
    }
    kept
}

/// A group of instances with the id and cluster of its component.
type Part = (String, Option<String>, Vec<Instance>);

fn split(id: String, group: Vec<Instance>, graph: &Graph) -> Vec<Part> {
    let (mut live, mut copies): (Vec<_>, Vec<_>) = group.into_iter().partition(is_live);
    if live.is_empty() {
        // Nothing applies it: the manifests stand for themselves, templates only where annotated.
        let (files, templates): (Vec<_>, Vec<_>) =
            copies.into_iter().partition(|instance| !instance.template);
        let (annotated, unused): (Vec<_>, Vec<_>) = templates
            .into_iter()
            .partition(|instance| instance.pin.as_ref().is_some_and(|pin| pin.rule == RENOVATE));
        (live, copies) =
            if files.is_empty() { (annotated, unused) } else { (files, [annotated, unused].concat()) };
    }
    // A manifest without a version says nothing where another one of the thing has it.
    if live.iter().any(|member| member.pin.is_some()) {
        live.retain(|member| member.pin.is_some());
    }
    if live.is_empty() {
        return Vec::new();
    }
    let mut parts: Vec<Part> = by_cluster(&id, live, graph)
        .into_iter()
        .flat_map(|(id, cluster, members)| by_text(&id, &cluster, members))
        .collect();
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    for (at, (_, _, members)) in parts.iter().enumerate() {
        for text in members.iter().filter_map(text) {
            texts.entry(text).or_insert(at);
        }
    }
    for copy in copies {
        let at = text(&copy).and_then(|text| texts.get(&text).copied()).unwrap_or_default();
        parts[at].2.push(copy);
    }
    parts
}

fn text(instance: &Instance) -> Option<String> {
    instance.pin.as_ref().map(|pin| pin.text.clone())
}

/// Clusters that write their versions apart have a component each; what several share is one.
fn by_cluster(id: &str, members: Vec<Instance>, graph: &Graph) -> Vec<Part> {
    let concerned: BTreeSet<&String> = members.iter().flat_map(|member| &member.clusters).collect();
    if graph.clusters.is_empty() || concerned.len() < 2 {
        return vec![(id.to_owned(), None, members)];
    }
    // Each place belongs to one component: what several clusters share, or what one has alone.
    let mut by_clusters: BTreeMap<BTreeSet<String>, Vec<Instance>> = BTreeMap::new();
    for member in members {
        let clusters =
            if member.clusters.is_empty() { graph.clusters.clone() } else { member.clusters.clone() };
        by_clusters.entry(clusters).or_default().push(member);
    }
    let part = |(clusters, members): (BTreeSet<String>, Vec<Instance>)| match clusters.first() {
        Some(cluster) if clusters.len() == 1 => (format!("{cluster}:{id}"), Some(cluster.clone()), members),
        _ => (id.to_owned(), None, members),
    };
    by_clusters.into_iter().map(part).collect()
}

/// Different things may share an id: images of one repository at different versions, releases of
/// one name in unrelated folders. The first in the order of files keeps the plain id.
fn by_text(id: &str, cluster: &Option<String>, members: Vec<Instance>) -> Vec<Part> {
    if members.len() < 2 || !members.iter().all(|member| member.splits) {
        return vec![(id.to_owned(), cluster.clone(), members)];
    }
    let mut groups: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    for member in members {
        let upstream = member.upstream.as_ref().ok();
        let key = format!("{:?}", (upstream, &member.given, &member.digest, member.managed.is_some()));
        groups.entry(key).or_default().push(member);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|members| members.iter().map(place).min());
    groups.into_iter().map(|members| (id.to_owned(), cluster.clone(), members)).collect()
}

/// The order of places: never by what is written there.
fn place(member: &Instance) -> Bytes {
    bytes(member).unwrap_or_else(|| (member.origin.clone(), 0))
}

/// Makes ids unique by what the version belongs to, so that they stay when versions change.
#[derive(Default)]
struct Ids {
    taken: BTreeSet<String>,
    counts: BTreeMap<String, usize>,
}

impl Ids {
    fn unique(&mut self, id: String, members: &[Instance]) -> String {
        if self.taken.insert(id.clone()) {
            return id;
        }
        let owner = members.iter().min_by_key(|member| place(member));
        let object = owner.and_then(|owner| owner.subject.as_ref()).and_then(|subject| {
            let name = subject.name.as_ref().filter(|name| !name.is_empty())?;
            Some(format!("{}/{name}", subject.namespace.as_deref().unwrap_or("-")))
        });
        let file = owner.map(place).map(|(file, _)| file).unwrap_or_default();
        for suffix in object.into_iter().chain([file]) {
            let candidate = format!("{id}#{suffix}");
            if !suffix.is_empty() && self.taken.insert(candidate.clone()) {
                return candidate;
            }
        }
        loop {
            let count = self.counts.entry(id.clone()).or_insert(1);
            *count += 1;
            let candidate = format!("{id}#{count}");
            if self.taken.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

fn component(id: String, cluster: Option<String>, mut members: Vec<Instance>) -> Option<Component> {
    // Exact versions decide before ranges: where both are written, Flux runs the exact one.
    let rank = |member: &Instance| {
        let applied = member.pin.as_ref().is_some_and(|pin| pin.applied);
        let given = match member.given {
            Given::Exact(_) => 0,
            Given::Channel(_) => 1,
            Given::Range(_) => 2,
            Given::Nothing(_) => 3,
        };
        (!applied, given, member.pin.as_ref().map(|pin| (pin.file.clone(), pin.span)))
    };
    members.sort_by_cached_key(rank);
    let is_applied = members.iter().any(|member| member.pin.as_ref().is_some_and(|pin| pin.applied));
    let warnings = warnings(&members);
    let first = members.first()?.clone();
    let known = members.iter().find(|member| member.upstream.is_ok());
    let upstream = match known.filter(|_| first.upstream.is_err()) {
        Some(known) if !first.splits && !matches!(first.given, Given::Nothing(_)) => known.upstream.clone(),
        _ => first.upstream.clone(),
    };
    let pins: BTreeSet<(bool, &Pin)> =
        members.iter().filter_map(|member| member.pin.as_ref()).map(|pin| (!pin.applied, pin)).collect();
    // Copies are not what is installed from, where anything is applied.
    let applied = |member: &&Instance| member.pin.as_ref().is_some_and(|pin| pin.applied) == is_applied;
    let images = members.iter().filter(applied).flat_map(|member| member.images.clone()).collect();
    Some(Component {
        images,
        kind: first.kind,
        name: first.name,
        namespace: first.namespace,
        cluster,
        given: first.given,
        scheme: first.scheme,
        upstream,
        digest: first.digest,
        managed_elsewhere: members
            .iter()
            .filter(|member| is_live(member))
            .find_map(|member| member.managed.clone()),
        tag_prefix: first.tag_prefix,
        warnings,
        pins: pins.into_iter().map(|(_, pin)| pin.clone()).collect(),
        id,
    })
}

/// Places that say something else than the one that decides, and what the places themselves say.
fn warnings(members: &[Instance]) -> Vec<String> {
    let Some(decides) = members.first().and_then(|member| member.pin.as_ref()) else { return Vec::new() };
    let differing = members
        .iter()
        .filter_map(|member| member.pin.as_ref())
        .filter(|pin| plain(&pin.text) != plain(&decides.text))
        .map(|pin| {
            let what = if pin.applied { "also says" } else { "is a copy that says" };
            format!("{}:{} {what} `{}`", pin.file, pin.line, pin.text)
        });
    let own = members.iter().filter(|member| is_live(member)).flat_map(|member| member.warnings.clone());
    let mut seen = BTreeSet::new();
    differing.chain(own).filter(|warning| seen.insert(warning.clone())).collect()
}

/// Container tags of k3s write `+` as `-`, and a leading `v` is a matter of taste.
fn plain(text: &str) -> String {
    text.trim_start_matches('v').replace("+k3s", "-k3s")
}

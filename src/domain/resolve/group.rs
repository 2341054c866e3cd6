//! From places to components: what moves together, which place decides, which are copies.

use std::collections::{BTreeMap, BTreeSet};

use super::annotate::RENOVATE;
use super::graph::Graph;
use super::instance::Instance;
use crate::domain::component::{Component, Given, Pin};

/// Makes components with unique ids, sorted by id.
pub(super) fn components(instances: Vec<Instance>, graph: &Graph) -> Vec<Component> {
    let mut by_id: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    for instance in one_per_place(instances) {
        by_id.entry(instance.id.clone()).or_default().push(instance);
    }
    let mut components = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for (id, group) in by_id {
        for (id, cluster, members) in split(id, group, graph) {
            let id = unique(id, &members, &components, &mut counts);
            if let Some(component) = component(id.clone(), cluster, members) {
                components.insert(id, component);
            }
        }
    }
    components.into_values().collect()
}

/// Two ways may lead to the same bytes (a variable that is used and looks like a version): the
/// applied one has them.
fn one_per_place(instances: Vec<Instance>) -> Vec<Instance> {
    let mut places: BTreeMap<(String, usize, String), usize> = BTreeMap::new();
    let mut kept: Vec<Instance> = Vec::new();
    for instance in instances {
        let Some(pin) = &instance.pin else {
            kept.push(instance);
            continue;
        };
        // One variable may be the version of several things: then each has its pin there.
        let key = (pin.file.clone(), pin.span.0, instance.id.clone());
        match places.get(&key) {
            Some(&at) => {
                let better = pin.applied && !kept[at].pin.as_ref().is_some_and(|pin| pin.applied);
                if better {
                    kept[at] = instance;
                }
            }
            None => {
                places.insert(key, kept.len());
                kept.push(instance);
            }
        }
    }
    kept
}

/// A group of instances with the id and cluster of its component.
type Part = (String, Option<String>, Vec<Instance>);

fn split(id: String, group: Vec<Instance>, graph: &Graph) -> Vec<Part> {
    let (mut live, rest): (Vec<_>, Vec<_>) = group.into_iter().partition(is_live);
    let mut copies = rest;
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
    if live.is_empty() {
        return Vec::new();
    }
    inherit(&mut live);
    let mut parts = by_cluster(&id, live, graph);
    parts = parts.into_iter().flat_map(|(id, cluster, members)| by_text(&id, cluster, members)).collect();
    let mut part_of: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for (at, (_, _, members)) in parts.iter().enumerate() {
        for member in members {
            part_of.entry(text(member).map(str::to_owned)).or_insert(at);
        }
    }
    for copy in copies {
        let at = part_of.get(&text(&copy).map(str::to_owned)).copied().unwrap_or(0);
        parts[at].2.push(copy);
    }
    parts
}

/// Applied from here: pins say so; what has no pin is as live as its object.
fn is_live(instance: &Instance) -> bool {
    match &instance.pin {
        Some(pin) => pin.applied,
        None => !instance.template,
    }
}

fn text(instance: &Instance) -> Option<&str> {
    instance.pin.as_ref().map(|pin| pin.text.as_str())
}

/// A patch knows its version, and what it patches knows the upstream.
fn inherit(members: &mut [Instance]) {
    let known = members
        .iter()
        .find(|member| member.upstream.is_ok())
        .map(|member| (member.upstream.clone(), member.scheme, member.kind.clone(), member.name.clone()));
    let Some((upstream, scheme, kind, name)) = known else { return };
    for member in members
        .iter_mut()
        .filter(|member| member.upstream.is_err() && (member.inherits || member.pin.is_some()))
    {
        if !matches!(member.given, Given::Nothing(_)) {
            (member.upstream, member.scheme, member.kind, member.name) =
                (upstream.clone(), scheme, kind.clone(), name.clone());
        }
    }
}

/// Per cluster, the place that decides: the nearest patch, else what is patched.
fn by_cluster(id: &str, members: Vec<Instance>, graph: &Graph) -> Vec<Part> {
    let concerned: BTreeSet<String> =
        members.iter().flat_map(|member| member.clusters.iter().cloned()).collect();
    if graph.clusters.is_empty() || concerned.len() < 2 {
        let chosen = deciding(&members, |_| true);
        return vec![(id.to_owned(), None, keep(members, &chosen))];
    }
    let mut by_choice: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    for cluster in &concerned {
        let chosen =
            deciding(&members, |member| member.clusters.is_empty() || member.clusters.contains(cluster));
        by_choice.entry(chosen).or_default().push(cluster.clone());
    }
    if by_choice.len() == 1 {
        let chosen = by_choice.into_keys().next().unwrap_or_default();
        return vec![(id.to_owned(), None, keep(members, &chosen))];
    }
    by_choice
        .into_iter()
        .map(|(chosen, clusters)| {
            let picked = chosen.iter().map(|at| members[*at].clone()).collect();
            match clusters.as_slice() {
                [cluster] => (format!("{cluster}:{id}"), Some(cluster.clone()), picked),
                several => (id.to_owned(), Some(several.join("+")), picked),
            }
        })
        .collect()
}

/// Positions of the members that decide, of those wanted.
fn deciding(members: &[Instance], wanted: impl Fn(&Instance) -> bool) -> Vec<usize> {
    let wanted: Vec<usize> = (0..members.len()).filter(|at| wanted(&members[*at])).collect();
    let overlays =
        wanted.iter().filter(|at| members[**at].pin.is_some()).filter_map(|at| members[*at].overlay);
    if let Some(nearest) = overlays.min() {
        return wanted
            .into_iter()
            .filter(|at| members[*at].pin.is_some() && members[*at].overlay == Some(nearest))
            .collect();
    }
    // A manifest without a version says nothing where another one has it.
    let pinned: Vec<usize> = wanted.iter().copied().filter(|at| members[*at].pin.is_some()).collect();
    if pinned.is_empty() { wanted } else { pinned }
}

/// The deciding members first; other places stay as copies that are not applied.
fn keep(members: Vec<Instance>, chosen: &[usize]) -> Vec<Instance> {
    let mut kept = Vec::new();
    let mut others = Vec::new();
    for (at, mut member) in members.into_iter().enumerate() {
        // They are in order.
        if chosen.binary_search(&at).is_ok() {
            kept.push(member);
        } else if let Some(pin) = &mut member.pin {
            pin.applied = false;
            others.push(member);
        }
    }
    kept.append(&mut others);
    kept
}

/// Different things may share an id: images of one repository at different versions, releases of
/// one name in unrelated folders. The largest group keeps the plain id, the others are told apart
/// by their folder.
fn by_text(id: &str, cluster: Option<String>, members: Vec<Instance>) -> Vec<Part> {
    let applied = |member: &Instance| member.pin.as_ref().is_none_or(|pin| pin.applied);
    if !members.iter().all(|member| member.splits) {
        return vec![(id.to_owned(), cluster, members)];
    }
    let any_applied = members.iter().any(|member| member.pin.as_ref().is_some_and(|pin| pin.applied));
    let mut known = BTreeMap::new();
    let mut groups: Vec<Vec<Instance>> = Vec::new();
    let mut copies = Vec::new();
    for member in members {
        if any_applied && !applied(&member) {
            copies.push(member);
            continue;
        }
        let key = (format!("{:?}", member.upstream.as_ref().ok()), format!("{:?}", member.given));
        let at = *known.entry(key).or_insert(groups.len());
        if at == groups.len() {
            groups.push(Vec::new());
        }
        groups[at].push(member);
    }
    let largest = (0..groups.len()).max_by_key(|at| (groups[*at].len(), std::cmp::Reverse(*at))).unwrap_or(0);
    groups.swap(0, largest);
    groups[0].append(&mut copies);
    groups
        .into_iter()
        .enumerate()
        .map(|(at, group)| {
            let id = if at == 0 { id.to_owned() } else { format!("{id}#{}", folder(&group)) };
            (id, cluster.clone(), group)
        })
        .collect()
}

/// The folder of the first place.
fn folder(members: &[Instance]) -> String {
    super::paths::folder(origin(members)).to_owned()
}

fn origin(members: &[Instance]) -> &str {
    let pin = members.iter().find_map(|member| member.pin.as_ref()).map(|pin| pin.file.as_str());
    pin.or_else(|| members.first().map(|member| member.origin.as_str())).unwrap_or_default()
}

fn unique(
    id: String,
    members: &[Instance],
    taken: &BTreeMap<String, Component>,
    counts: &mut BTreeMap<String, usize>,
) -> String {
    if !taken.contains_key(&id) {
        return id;
    }
    let base = id.split('#').next().unwrap_or(&id).to_owned();
    let by_file = format!("{base}#{}", origin(members));
    if !taken.contains_key(&by_file) {
        return by_file;
    }
    // Goes on where it last was: a file may have thousands.
    let count = counts.entry(by_file.clone()).or_insert(1);
    loop {
        *count += 1;
        let id = format!("{by_file}#{count}");
        if !taken.contains_key(&id) {
            return id;
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
    members.sort_by_key(rank);
    let first = members.first()?.clone();
    let warnings = warnings(&members);
    let upstream = members
        .iter()
        .find(|member| member.upstream.is_ok())
        .map_or(&first.upstream, |member| &member.upstream);
    let upstream = if first.upstream.is_ok() { first.upstream.clone() } else { upstream.clone() };
    let pins: BTreeSet<(bool, &Pin)> =
        members.iter().filter_map(|member| member.pin.as_ref()).map(|pin| (!pin.applied, pin)).collect();
    Some(Component {
        kind: first.kind.clone(),
        name: first.name.clone(),
        namespace: first.namespace.clone(),
        cluster,
        given: first.given.clone(),
        scheme: first.scheme,
        upstream: if matches!(first.given, Given::Nothing(_)) { first.upstream.clone() } else { upstream },
        digest: first.digest.clone(),
        managed_elsewhere: members.iter().find_map(|member| member.managed.clone()),
        prereleases: false,
        tag_prefix: first.tag_prefix.clone(),
        warnings,
        pins: pins.into_iter().map(|(_, pin)| pin.clone()).collect(),
        id,
    })
}

/// Places that say something else than the one that decides.
fn warnings(members: &[Instance]) -> Vec<String> {
    let Some(decides) = members.first().and_then(|member| member.pin.as_ref()) else { return Vec::new() };
    let mut warnings: Vec<String> = members
        .iter()
        .filter_map(|member| member.pin.as_ref())
        .filter(|pin| plain(&pin.text) != plain(&decides.text))
        .map(|pin| {
            let what = if pin.applied { "also says" } else { "is a copy that says" };
            format!("{}:{} {what} `{}`", pin.file, pin.line, pin.text)
        })
        .collect();
    warnings.dedup();
    warnings
}

/// Container tags of k3s write `+` as `-`, and a leading `v` is a matter of taste.
fn plain(text: &str) -> String {
    text.trim_start_matches('v').replace("+k3s", "-k3s")
}

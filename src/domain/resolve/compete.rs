//! Which of several places decides a version: patches win over what they patch, Kustomize's `images`
//! over the images they name, and of the fields of one source Flux follows one.
//!
//! What loses stays as a copy that is not applied.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, Way};
use super::instance::{ImageName, Instance, Subject};
use super::paths;
use crate::domain::component::Given;
use crate::domain::upstream::UpstreamRef;

/// More objects than the patches of a repository meet; a bound for hostile ones.
const MAX_PATCHED: usize = 100_000;

/// Position of an instance.
type At = usize;

/// Lets the instances of each object compete.
///
/// `sets` are keys of labels and annotations that Kustomize files give to what they build.
pub(super) fn decide(instances: Vec<Instance>, graph: &Graph, sets: &BTreeSet<&str>) -> Vec<Instance> {
    let mut arena = Arena { instances: meet(instances, graph, sets), graph, lost: BTreeMap::new() };
    arena.patches();
    arena.images();
    arena.fields_of_sources();
    arena.finish()
}

/// Applied from here: pins say so; what has no pin is as live as its object.
pub(super) fn is_live(instance: &Instance) -> bool {
    match &instance.pin {
        Some(pin) => pin.applied,
        None => !instance.template,
    }
}

/// Gives each patch the identity of what it patches: one instance per patched object.
fn meet(instances: Vec<Instance>, graph: &Graph, sets: &BTreeSet<&str>) -> Vec<Instance> {
    let is_patch = |instance: &Instance| {
        is_live(instance) && instance.subject.as_ref().is_some_and(|subject| subject.overlay)
    };
    let (patches, mut met): (Vec<_>, Vec<_>) = instances.into_iter().partition(is_patch);
    let mut by_name: BTreeMap<(String, Option<String>), Vec<At>> = BTreeMap::new();
    for (at, base) in met.iter().enumerate().filter(|(_, base)| is_live(base)) {
        if let Some(subject) = &base.subject {
            by_name.entry((subject.kind.clone(), subject.name.clone())).or_default().push(at);
            by_name.entry((subject.kind.clone(), None)).or_default().push(at);
        }
    }
    let bases = met.len();
    for mut patch in patches {
        let Some(subject) = patch.subject.clone() else { continue };
        let named = by_name.get(&(subject.kind.clone(), subject.name.clone()));
        let mut patched: Vec<At> = named
            .into_iter()
            .flatten()
            .copied()
            .filter(|at| {
                met[*at].subject.as_ref().is_some_and(|base| selects(&subject, base, sets))
                    && reaches(graph, &patch, &met[*at])
            })
            .collect();
        // The field itself, else another one of the same object (a `semver` where there was a `tag`).
        let same = |at: &At| met[*at].subject.as_ref().is_some_and(|base| is_same_field(&subject, base));
        if patched.iter().any(same) {
            patched.retain(same);
        } else if subject.image.is_some() {
            patched.clear();
        }
        if patched.is_empty() || met.len() - bases + patched.len() > MAX_PATCHED {
            inherit(&mut patch, None);
            met.push(patch);
            continue;
        }
        for at in patched {
            let mut one = patch.clone();
            adopt(&mut one, &met[at], graph);
            met.push(one);
        }
    }
    met
}

/// Whether a patch is meant for an object, by what both say.
fn selects(patch: &Subject, base: &Subject, sets: &BTreeSet<&str>) -> bool {
    let open = |text: &str| text.is_empty();
    let group = open(&patch.group) || patch.group == base.group;
    let namespace = match (&patch.namespace, &base.namespace) {
        (Some(wanted), Some(own)) => wanted == own,
        _ => true,
    };
    let marked = patch.selects.as_ref().is_none_or(|target| target.selects(base.marks.as_deref(), sets));
    group && namespace && marked && patch.rule == base.rule
}

fn is_same_field(one: &Subject, other: &Subject) -> bool {
    one.pin == other.pin && one.image == other.image
}

/// Whether a patch comes over a base on any way; what nothing applies meets in plain folders.
fn reaches(graph: &Graph, patch: &Instance, base: &Instance) -> bool {
    if patch.ways.is_empty() && base.ways.is_empty() {
        // Nothing says what builds what, so only a patch of one name is sure enough.
        return patch.subject.as_ref().is_some_and(|subject| subject.name.is_some());
    }
    patch.ways.iter().any(|upper| base.ways.iter().any(|lower| graph.overrides(upper, lower)))
}

/// Makes a patch the version of what it patches.
fn adopt(patch: &mut Instance, base: &Instance, graph: &Graph) {
    let ways = &base.ways;
    patch.ways.retain(|upper| ways.iter().any(|lower| graph.overrides(upper, lower)));
    if let (Some(subject), Some(own)) = (&mut patch.subject, &base.subject) {
        subject.object = own.object;
        subject.name.clone_from(&own.name);
        subject.namespace.clone_from(&own.namespace);
        if subject.image.is_none() {
            patch.id.clone_from(&base.id);
            patch.kind.clone_from(&base.kind);
            patch.name.clone_from(&base.name);
            patch.splits = base.splits;
        }
    }
    patch.namespace.clone_from(&base.namespace);
    if patch.images.is_empty() {
        patch.images.clone_from(&base.images);
    }
    inherit(patch, Some(base));
}

/// A patch knows its version, and what it patches knows the upstream.
fn inherit(patch: &mut Instance, base: Option<&Instance>) {
    if let Some(base) = base
        && patch.inherits
        && base.upstream.is_ok()
        && !matches!(patch.given, Given::Nothing(_))
    {
        patch.upstream = base.upstream.clone();
        patch.scheme = base.scheme;
    }
}

/// One field of one object.
type Field = ((usize, usize), String, Option<ImageName>);

struct Arena<'a> {
    instances: Vec<Instance>,
    graph: &'a Graph,
    /// Who lost, and to whom.
    lost: BTreeMap<At, At>,
}

impl Arena<'_> {
    fn live(&self) -> impl Iterator<Item = (At, &Instance)> {
        let live = |(at, instance): &(At, &Instance)| is_live(instance) && !self.lost.contains_key(at);
        self.instances.iter().enumerate().filter(live)
    }

    /// Patches against what they patch, and against each other.
    fn patches(&mut self) {
        let mut fields: BTreeMap<Field, Vec<At>> = BTreeMap::new();
        for (at, instance) in self.live() {
            if let Some(subject) = &instance.subject {
                let field = (subject.object, subject.pin.clone(), subject.image.clone());
                fields.entry(field).or_default().push(at);
            }
        }
        for members in fields.values() {
            let mut uppers: Vec<At> = members.iter().copied().filter(|at| self.is_overlay(*at)).collect();
            uppers.sort_by_key(|at| std::cmp::Reverse(self.rank(*at)));
            if !uppers.is_empty() {
                for at in members {
                    self.challenge(*at, &uppers);
                }
            }
        }
    }

    fn is_overlay(&self, at: At) -> bool {
        self.instances[at].subject.as_ref().is_some_and(|subject| subject.overlay)
    }

    /// What comes later wins; within a file, what stands further below.
    fn rank(&self, at: At) -> (usize, usize) {
        let instance = &self.instances[at];
        let order = instance.ways.iter().map(|way| way.order).max().unwrap_or_default();
        (order, instance.pin.as_ref().map_or(0, |pin| pin.span.0))
    }

    /// Takes from an instance the ways on which another one comes over it.
    fn challenge(&mut self, at: At, uppers: &[At]) {
        let lower = &self.instances[at];
        let place = (at, self.rank(at).1);
        if lower.ways.is_empty() {
            let above = |upper: &&At| {
                let upper_one = &self.instances[**upper];
                let near = upper_one.replaces.is_none()
                    || paths::folder(&upper_one.origin) == paths::folder(&lower.origin);
                upper_one.ways.is_empty() && near && self.wins(**upper, place)
            };
            if let Some(winner) = uppers.iter().find(above) {
                self.lost.insert(at, *winner);
            }
            return;
        }
        let mut winner = None;
        let mut kept = Vec::new();
        for way in &lower.ways {
            let above = uppers.iter().find(|upper| self.comes_over(**upper, place, way));
            match above {
                Some(upper) => winner = winner.or(Some(*upper)),
                None => kept.push(way.clone()),
            }
        }
        match winner {
            Some(winner) if kept.is_empty() => {
                self.lost.insert(at, winner);
            }
            Some(_) => {
                let lower = &mut self.instances[at];
                lower.clusters = kept.iter().flat_map(|way| way.clusters.iter().cloned()).collect();
                lower.ways = kept;
            }
            None => {}
        }
    }

    fn comes_over(&self, upper: At, lower: (At, usize), way: &Way) -> bool {
        upper != lower.0
            && self.instances[upper].ways.iter().any(|over| {
                let tie = over.order == way.order && over.scope == way.scope && over.build == way.build;
                self.graph.overrides(over, way) || (tie && self.wins(upper, lower))
            })
    }

    /// Between two of one order: `images` run last, and a patch that stands further below after others.
    fn wins(&self, upper: At, (at, span): (At, usize)) -> bool {
        let images = |at: At| self.instances[at].replaces.is_some();
        let key = |at: At, span: usize| (images(at), self.is_overlay(at), span);
        upper != at && key(upper, self.rank(upper).1) > key(at, span)
    }

    /// Kustomize's `images`, in its own files and in Flux's, against the images that they name.
    fn images(&mut self) {
        let mut overrides: BTreeMap<ImageName, Vec<At>> = BTreeMap::new();
        let mut named: BTreeMap<ImageName, Vec<At>> = BTreeMap::new();
        for (at, instance) in self.live() {
            if let Some(replaced) = &instance.replaces {
                overrides.entry(replaced.clone()).or_default().push(at);
                if let Ok(UpstreamRef::Oci { registry, repository, .. }) = &instance.upstream {
                    named.entry((registry.clone(), repository.clone())).or_default().push(at);
                }
            } else if let Some(image) = instance.subject.as_ref().and_then(|subject| subject.image.clone()) {
                named.entry(image).or_default().push(at);
            }
        }
        for (image, mut uppers) in overrides {
            uppers.sort_by_key(|at| std::cmp::Reverse(self.rank(*at)));
            for at in named.get(&image).into_iter().flatten() {
                let subject = self.instances[*at].subject.as_ref();
                if subject.is_some_and(|subject| subject.kind == "HelmRelease") {
                    // Only post-renderers of the release itself reach what its chart renders.
                    let object = subject.map(|subject| subject.object);
                    let own = uppers.iter().find(|upper| {
                        let other = self.instances[**upper].subject.as_ref();
                        *upper != at && other.map(|other| other.object) == object
                    });
                    if let Some(winner) = own.filter(|_| self.instances[*at].replaces.is_none()) {
                        self.lost.insert(*at, *winner);
                    }
                } else if self.instances[*at].replaces.is_some()
                    || subject.is_some_and(|subject| subject.container)
                {
                    self.challenge(*at, &uppers);
                }
            }
        }
    }

    /// A digest or commit before a range before a tag (source-controller, `ref`).
    fn fields_of_sources(&mut self) {
        let mut objects: BTreeMap<(usize, usize), Vec<(u8, At)>> = BTreeMap::new();
        for (at, instance) in self.live() {
            if let Some(subject) = &instance.subject
                && subject.group == "source.toolkit.fluxcd.io"
                && instance.pin.is_some()
            {
                // A tag with a digest beside it is that digest.
                let rank = if instance.digest.is_some() { 0 } else { subject.rank };
                objects.entry(subject.object).or_default().push((rank, at));
            }
        }
        for mut members in objects.into_values() {
            members.sort_unstable();
            let Some(&(best, winner)) = members.first() else { continue };
            let losers = members.iter().filter(|(rank, _)| *rank > best);
            self.lost.extend(losers.map(|(_, at)| (*at, winner)));
        }
    }

    /// Losers become copies of the component that won.
    fn finish(mut self) -> Vec<Instance> {
        let mut gone = BTreeSet::new();
        for (at, first) in &self.lost {
            let mut winner = *first;
            // The winner may itself have lost to a third.
            let mut seen = BTreeSet::from([*at]);
            while let Some(next) = self.lost.get(&winner).filter(|_| seen.insert(winner)) {
                winner = *next;
            }
            let (id, kind, name) = {
                let winner = &self.instances[winner];
                (winner.id.clone(), winner.kind.clone(), winner.name.clone())
            };
            let loser = &mut self.instances[*at];
            match &mut loser.pin {
                Some(pin) => {
                    pin.applied = false;
                    (loser.id, loser.kind, loser.name) = (id, kind, name);
                }
                None => {
                    gone.insert(*at);
                }
            }
        }
        let kept = self.instances.into_iter().enumerate().filter(|(at, _)| !gone.contains(at));
        kept.map(|(_, instance)| instance).collect()
    }
}

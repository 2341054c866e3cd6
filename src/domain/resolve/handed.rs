//! What patches give to Flux Kustomizations: one patch above often hands variables to all of them.

use std::collections::BTreeMap;

use super::graph::{Graph, KustomizationId, Way};
use super::place::is_plain_name;
use super::view::kustomization_in;
use crate::domain::scan::{FileScan, PatchTarget, Site};

/// More pairs of a patch and a Kustomization than repositories have; a bound for hostile ones.
const MAX_PAIRS: usize = 1_000_000;

/// What one patch gives to one Kustomization.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handed<'a> {
    /// File of the patch.
    pub(super) file: usize,
    /// `substitute`, by variable name.
    pub(super) substitute: Option<&'a BTreeMap<String, Site>>,
    /// `substituteFrom`, which takes the place of the Kustomization's own list.
    pub(super) from: Option<&'a [(bool, String)]>,
}

/// What the patches of a repository give to its Kustomizations.
#[derive(Debug, Default)]
pub(super) struct HandedDown<'a> {
    /// The last patch first: it wins.
    by_kustomization: BTreeMap<KustomizationId, Vec<Handed<'a>>>,
}

/// A patch at one place of a build.
struct Patch<'a> {
    way: &'a Way,
    target: PatchTarget,
    handed: Handed<'a>,
}

impl<'a> HandedDown<'a> {
    /// Finds which patch reaches which Kustomization.
    pub(super) fn new(scans: &'a [FileScan], graph: &'a Graph) -> Self {
        let mut patches: Vec<Patch<'a>> = Vec::new();
        for (file, scan) in scans.iter().enumerate().filter(|(_, scan)| !scan.template) {
            patches.extend(own_patches(scans, graph, file));
            patches.extend(patch_files(graph, file, scan));
        }
        let mut handed = Self::default();
        if patches.is_empty() {
            return handed;
        }
        let mut builds: BTreeMap<usize, Vec<(&Way, KustomizationId)>> = BTreeMap::new();
        for (file, scan) in scans.iter().enumerate().filter(|(_, scan)| !scan.template) {
            for reach in graph.of(file).iter().filter(|reach| reach.patch.is_none()) {
                let ids = (0..scan.kustomizations.len()).map(|place| (&reach.way, (file, place)));
                builds.entry(reach.way.build).or_default().extend(ids);
            }
        }
        let sets = super::set_by_kustomize(scans);
        patches.sort_by_key(|patch| std::cmp::Reverse(patch.way.order));
        let mut pairs = MAX_PAIRS;
        for patch in &patches {
            for (way, id) in builds.get(&patch.way.build).into_iter().flatten() {
                let Some(left) = pairs.checked_sub(1) else { return handed };
                pairs = left;
                let scan = &scans[id.0];
                let object = &scan.objects[scan.kustomizations[id.1].object];
                let own = object.namespace.as_ref();
                let selected = patch.target.selects(object.marks.as_deref(), &sets);
                if selected && selects(&patch.target, &object.name, own) && graph.overrides(patch.way, way) {
                    handed.by_kustomization.entry(*id).or_default().push(patch.handed);
                }
            }
        }
        handed
    }

    /// What patches give to a Kustomization, the one that wins first.
    pub(super) fn to(&self, id: KustomizationId) -> &[Handed<'a>] {
        self.by_kustomization.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// Patches inside a Flux Kustomization or a `kustomization.yaml`, and operations in a file of their own.
fn own_patches<'a>(scans: &'a [FileScan], graph: &'a Graph, file: usize) -> Vec<Patch<'a>> {
    let scan = &scans[file];
    let mut patches = Vec::new();
    for found in &scan.substitutions {
        let from = found.substitute_from.as_deref();
        let handed = Handed { file, substitute: Some(&found.substitute), from };
        let inside = kustomization_in(scan, found.document)
            .and_then(|place| graph.of_kustomization((file, place)))
            .map(|reach| &reach.way);
        match (&found.target, inside) {
            (Some(target), Some(way)) => patches.push(Patch { way, target: target.clone(), handed }),
            (Some(target), None) => patches.extend(graph.of(file).iter().map(|reach| Patch {
                way: &reach.way,
                target: target.clone(),
                handed,
            })),
            (None, _) => patches.extend(graph.of(file).iter().filter_map(|reach| {
                let target = reach.patch.as_deref()?.clone();
                Some(Patch { way: &reach.way, target, handed })
            })),
        }
    }
    patches
}

/// Kustomizations in files that are applied as patches.
fn patch_files<'a>(
    graph: &'a Graph,
    file: usize,
    scan: &'a FileScan,
) -> impl Iterator<Item = Patch<'a>> + use<'a> {
    let gives = scan.kustomizations.iter().filter_map(move |found| {
        let substitute = found.substitute.map(|set| &scan.variables[set].values);
        let from = Some(found.substitute_from.as_slice()).filter(|list| !list.is_empty());
        let object = &scan.objects[found.object];
        (substitute.is_some() || from.is_some()).then_some((object, Handed { file, substitute, from }))
    });
    gives.flat_map(move |(object, handed)| {
        graph.of(file).iter().filter_map(move |reach| {
            let target = reach.patch.as_deref()?.or_of(object);
            Some(Patch { way: &reach.way, target, handed })
        })
    })
}

/// Whether a patch is meant for a Kustomization, by what both say.
fn selects(target: &PatchTarget, name: &str, namespace: Option<&String>) -> bool {
    let named = target.name.as_deref().filter(|name| is_plain_name(name)).is_none_or(|wanted| wanted == name);
    let within = match (&target.namespace, namespace) {
        (Some(wanted), Some(own)) => wanted == own,
        _ => true,
    };
    target.may_be_kustomization() && named && within
}

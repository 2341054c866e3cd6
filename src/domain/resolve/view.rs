//! How what stands in a file reaches the clusters: ways that differ in nothing that a version
//! depends on are one view.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::World;
use super::graph::{KustomizationId, Reach, Way};
use crate::domain::scan::{FileScan, Object, PatchTarget};

/// One view of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// What is the same on all ways; `None` where nothing in the repository applies the file.
    reach: Option<Reach>,
    /// Every way.
    pub(super) ways: Vec<Way>,
    /// The clusters of the ways.
    pub(super) clusters: BTreeSet<String>,
}

impl View {
    fn of<'a>(reaches: impl Iterator<Item = &'a Reach>) -> Vec<Self> {
        let mut views: BTreeMap<_, Self> = BTreeMap::new();
        for reach in reaches {
            let target = reach.patch.as_deref();
            let target = target.map(|target| (&target.group, &target.kind, &target.name, &target.namespace));
            let key = (
                &reach.kustomizations,
                &reach.namespace,
                &reach.target_namespace,
                target,
                &reach.way.clusters,
            );
            let view = views.entry(key).or_default();
            view.reach.get_or_insert_with(|| reach.clone());
            view.clusters.extend(reach.way.clusters.iter().cloned());
            view.ways.push(reach.way.clone());
        }
        if views.is_empty() { vec![Self::default()] } else { views.into_values().collect() }
    }

    /// The Flux Kustomizations whose variables count.
    pub(super) fn kustomizations(&self) -> &[KustomizationId] {
        self.reach.as_ref().map_or(&[], |reach| &reach.kustomizations)
    }

    /// What the file is a patch of, where it is one.
    pub(super) fn patch(&self) -> Option<&Rc<PatchTarget>> {
        self.reach.as_ref()?.patch.as_ref()
    }

    /// Whether what stands in a file counts on this view, as far as the repository says.
    pub(super) fn applies(&self, world: &World<'_>, file: usize) -> bool {
        let scan = &world.scans[file];
        world.graph.applied(scan, file) || (!scan.template && !self.ways.is_empty())
    }

    /// The namespace that Kustomize files set.
    pub(super) fn set_namespace(&self) -> Option<String> {
        self.reach.as_ref()?.namespace.as_deref().map(str::to_owned)
    }

    /// The namespace that an object lands in.
    pub(super) fn namespace_of(&self, object: &Object) -> Option<String> {
        match &self.reach {
            Some(reach) => reach.namespace_of(object),
            None => object.namespace.clone(),
        }
    }
}

impl World<'_> {
    /// The views of a file.
    pub(super) fn views(&self, file: usize) -> Vec<View> {
        View::of(self.graph.of(file).iter())
    }

    /// The views of what changes other objects from a document: a Flux Kustomization changes what it
    /// builds, not what it stands beside.
    pub(super) fn views_of_changes(&self, file: usize, document: usize, views: &[View]) -> Vec<View> {
        let own = kustomization_in(&self.scans[file], document)
            .and_then(|place| self.graph.of_kustomization((file, place)));
        own.map_or_else(|| views.to_vec(), |reach| View::of(std::iter::once(reach)))
    }
}

/// The Flux Kustomization of a document.
pub(super) fn kustomization_in(scan: &FileScan, document: usize) -> Option<usize> {
    scan.kustomizations.iter().position(|found| scan.objects[found.object].document == document)
}

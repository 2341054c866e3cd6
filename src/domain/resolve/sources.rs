//! Flux sources by kind, namespace and name.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::variables::Variables;
use crate::domain::scan::{FileScan, Object};

/// A source object with what is needed to ask it for versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// File of the object.
    pub(super) file: usize,
    /// Index of the object in its file.
    pub(super) object: usize,
    /// URL with variables filled.
    pub(super) url: String,
    /// `type: oci` or an `oci://` URL.
    pub(super) oci: bool,
    namespaces: BTreeSet<String>,
    clusters: BTreeSet<String>,
}

/// Every source of the repository.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_name: BTreeMap<(String, String), Vec<Known>>,
}

/// What a look-up gave.
pub(super) enum Lookup<'a> {
    Found(&'a Known),
    /// Several sources of that name with different URLs, none in the wanted namespace.
    Ambiguous(usize),
    Missing,
}

impl Sources {
    pub(super) fn new(scans: &[FileScan], graph: &Graph, variables: &Variables<'_>) -> Self {
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (file, scan) in scans.iter().enumerate() {
            if scan.template {
                continue;
            }
            for source in &scan.sources {
                let object = &scan.objects[source.object];
                let patched = graph.of(file).iter().any(|reach| reach.patch.is_some());
                // A patch carries a part of the object; a HelmChart has no URL of its own.
                if patched || (source.url.is_empty() && object.kind != "HelmChart") {
                    continue;
                }
                by_name.entry((object.kind.clone(), object.name.clone())).or_default().push(Known {
                    file,
                    object: source.object,
                    url: variables.fill(file, &source.url),
                    oci: source.oci,
                    namespaces: namespaces(graph, file, object),
                    clusters: graph
                        .of(file)
                        .iter()
                        .flat_map(|reach| reach.clusters.iter().cloned())
                        .collect(),
                });
            }
        }
        Self { by_name }
    }

    /// The source that a reference means: of the namespace and, where several clusters have one of
    /// that name, of the same cluster; else the one in the same file. A name that stands for one URL
    /// only needs no namespace: the namespace may come from a place that is not in the repository.
    pub(super) fn find(
        &self,
        (kind, name): (&str, &str),
        namespace: Option<&str>,
        file: usize,
        clusters: &BTreeSet<String>,
    ) -> Lookup<'_> {
        let Some(all) = self.by_name.get(&(kind.to_owned(), name.to_owned())) else { return Lookup::Missing };
        let near = |known: &&Known| clusters.is_empty() || !known.clusters.is_disjoint(clusters);
        let within = |known: &&Known| namespace.is_some_and(|namespace| known.namespaces.contains(namespace));
        let best = all
            .iter()
            .find(|known| within(known) && near(known))
            .or_else(|| all.iter().find(within))
            .or_else(|| all.iter().find(|known| clusters.len() == 1 && near(known)));
        if let Some(known) = best {
            return Lookup::Found(known);
        }
        let mut beside = all.iter().filter(|known| known.file == file);
        if let (Some(known), None) = (beside.next(), beside.next()) {
            return Lookup::Found(known);
        }
        match all.as_slice() {
            [] => Lookup::Missing,
            [first, rest @ ..] if rest.iter().all(|known| known.url == first.url) => Lookup::Found(first),
            several => Lookup::Ambiguous(several.len()),
        }
    }
}

/// The namespaces that an object lands in: its own, else what Kustomize files or Flux set.
pub(super) fn namespaces(graph: &Graph, file: usize, object: &Object) -> BTreeSet<String> {
    if let Some(own) = &object.namespace {
        return BTreeSet::from([own.clone()]);
    }
    graph
        .of(file)
        .iter()
        .filter_map(|reach| reach.namespace.clone().or_else(|| reach.target_namespace.clone()))
        .collect()
}

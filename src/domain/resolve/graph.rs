//! What Flux applies: from Kustomizations through Kustomize files to manifests, per cluster.

mod clusters;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::walk::{Scopes, Visit, Walk, Walker};
use super::{Options, locate, paths};
use crate::domain::scan::{FileScan, FluxKustomization, Object, PatchTarget};

/// Position of a Flux Kustomization: file and place in [`FileScan::kustomizations`].
pub(super) type KustomizationId = (usize, usize);

/// One way on which a file reaches the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// The Flux Kustomizations that apply it so, alike in all that matters; none for what a
    /// FluxInstance or the configuration names.
    pub(super) kustomizations: Rc<[KustomizationId]>,
    /// Namespace that Kustomize files set; the outermost wins.
    pub(super) namespace: Option<Rc<str>>,
    /// `targetNamespace` of the Flux Kustomization.
    pub(super) target_namespace: Option<Rc<str>>,
    /// Set where the file is applied as a patch.
    pub(super) patch: Option<Rc<PatchTarget>>,
    /// Set where a generator or a chart of a Kustomize file takes the file's text.
    pub(super) text: bool,
    /// Its place in the build.
    pub(super) way: Way,
}

impl Reach {
    /// The namespace that an object lands in: its own, else what a Kustomize file or Flux sets.
    pub(super) fn namespace_of(&self, object: &Object) -> Option<String> {
        let set = || self.namespace.as_deref().or(self.target_namespace.as_deref()).map(str::to_owned);
        object.namespace.clone().or_else(set)
    }
}

/// A place in a build: what comes later in the same or an outer scope wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Number of the build.
    pub(super) build: usize,
    /// Part of the build.
    pub(super) scope: usize,
    /// When it is applied.
    pub(super) order: usize,
    /// Clusters that it belongs to; empty when the repository describes one.
    pub(super) clusters: Rc<BTreeSet<String>>,
}

/// The ways of every file.
#[derive(Debug, Default)]
pub(super) struct Graph {
    reaches: Vec<Vec<Reach>>,
    /// What patches in a Flux Kustomization itself reach.
    own: BTreeMap<KustomizationId, Reach>,
    scopes: Scopes,
    /// Whether anything in the repository is applied by something in it.
    any: bool,
    /// Names of the clusters; empty when there is one.
    pub(super) clusters: BTreeSet<String>,
    /// Ways that may still be added.
    left: usize,
    /// Not all that is applied was followed: there was too much of it.
    pub(super) cut: bool,
}

/// How many ways all files may have together; see [`super::walk`].
const MAX_WAYS: usize = 200_000;

impl Graph {
    /// The ways of a file.
    pub(super) fn of(&self, file: usize) -> &[Reach] {
        self.reaches.get(file).map_or(&[], Vec::as_slice)
    }

    /// The way of patches that stand in a Flux Kustomization: they come last, over all it builds.
    pub(super) fn of_kustomization(&self, id: KustomizationId) -> Option<&Reach> {
        self.own.get(&id)
    }

    /// Whether what stands at one way changes what stands at the other.
    pub(super) fn overrides(&self, upper: &Way, lower: &Way) -> bool {
        upper.build == lower.build
            && upper.order > lower.order
            && self.scopes.covers(upper.scope, lower.scope)
    }

    /// Whether Flux applies a file, as far as the repository says: where nothing in it says anything
    /// (plain manifests), everything counts as applied.
    pub(super) fn applied(&self, scan: &FileScan, file: usize) -> bool {
        !scan.template && (!self.any || !self.of(file).is_empty())
    }

    /// Walks the repository.
    pub(super) fn build(scans: &[FileScan], options: &Options) -> Self {
        Builder::new(scans, &options.root).run(&options.clusters)
    }

    fn add(&mut self, visit: &Visit, way: Way, from: &Rc<[KustomizationId]>, target: Option<&Rc<str>>) {
        let Some(left) = self.left.checked_sub(1) else {
            self.cut = true;
            return;
        };
        self.left = left;
        self.reaches[visit.file].push(Reach {
            kustomizations: Rc::clone(from),
            namespace: visit.namespace.clone(),
            target_namespace: target.cloned(),
            patch: visit.patch.clone(),
            text: visit.text,
            way,
        });
    }
}

struct Builder<'a> {
    scans: &'a [FileScan],
    walker: Walker<'a>,
    own_sources: BTreeSet<(&'a str, &'a str)>,
    /// The part of the repository that was read.
    root: &'a str,
    /// Files that may still be looked at to tell the clusters apart.
    steps: usize,
}

/// What each Kustomization builds: the folder, and the build of it.
type Builds = BTreeMap<KustomizationId, (String, Rc<Walk>)>;

impl<'a> Builder<'a> {
    fn new(scans: &'a [FileScan], root: &'a str) -> Self {
        let mut builder = Self {
            scans,
            walker: Walker::new(scans),
            own_sources: BTreeSet::new(),
            root,
            steps: clusters::MAX_STEPS,
        };
        builder.own_sources = builder.find_own_sources();
        builder
    }

    fn kustomizations(&self) -> impl Iterator<Item = (KustomizationId, &'a FluxKustomization)> + use<'a> {
        let files = self.scans.iter().enumerate().filter(|(_, scan)| !scan.template);
        files.flat_map(|(file, scan)| {
            scan.kustomizations.iter().enumerate().map(move |(place, found)| ((file, place), found))
        })
    }

    /// Sources that stand for this repository: the one of `flux bootstrap`, and those whose
    /// Kustomizations name folders that exist here. Anything else brings manifests from elsewhere,
    /// as does a source at another URL than that of the bootstrap, or one held at a version.
    fn find_own_sources(&self) -> BTreeSet<(&'a str, &'a str)> {
        let mut places: BTreeMap<&str, BTreeSet<Option<(String, String)>>> = BTreeMap::new();
        let mut held = BTreeSet::new();
        for scan in self.scans.iter().filter(|scan| !scan.template) {
            for source in &scan.sources {
                let object = &scan.objects[source.object];
                if object.kind == "GitRepository" && !source.url.is_empty() {
                    let place = locate::git_place(&source.url.to_lowercase());
                    places.entry(object.name.as_str()).or_default().insert(place);
                    if scan
                        .found
                        .iter()
                        .any(|found| found.object == Some(source.object) && found.site.is_some())
                    {
                        held.insert(object.name.as_str());
                    }
                }
            }
        }
        // A Kustomization that applies the folder which holds it was set up by hand in the same way.
        let itself = |(id, found): &(KustomizationId, &FluxKustomization)| {
            let folder = self.folder(&found.path);
            folder.is_some_and(|folder| {
                folder != self.root && is_within(paths::folder(&self.scans[id.0].path), &folder)
            })
        };
        let mut bootstrap: BTreeSet<_> = places.get(BOOTSTRAP).cloned().unwrap_or_default();
        let set_up =
            self.kustomizations().filter(itself).filter_map(|(_, found)| places.get(found.source.1.as_str()));
        bootstrap.extend(set_up.flatten().cloned());
        let foreign = |name: &str| {
            held.contains(name)
                || (!bootstrap.is_empty()
                    && places.get(name).is_some_and(|found| found.is_disjoint(&bootstrap)))
        };
        let mut own = BTreeSet::new();
        for (_, found) in self.kustomizations() {
            let (kind, name) = (found.source.0.as_str(), found.source.1.as_str());
            let exists = || self.folder(&found.path).is_some_and(|folder| folder != self.root);
            if name == BOOTSTRAP || (kind == "GitRepository" && !foreign(name) && exists()) {
                own.insert((kind, name));
            }
        }
        own
    }

    fn run(mut self, configured: &[(String, String)]) -> Graph {
        let mut builds = Builds::new();
        for (id, found) in self.kustomizations() {
            if let Some(path) = self.folder_of(id, found) {
                // Kustomize Components, by paths relative to `path` (kustomize-controller, `spec.components`).
                let components: Vec<_> =
                    found.components.iter().filter_map(|entry| paths::join(&path, entry)).collect();
                let walk = self.walker.walk(&path, &components);
                builds.insert(id, (path, walk));
            }
        }
        let roots = self.roots(configured, &builds);
        let mut graph =
            Graph { reaches: vec![Vec::new(); self.scans.len()], left: MAX_WAYS, ..Graph::default() };
        let several = roots.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len() > 1;
        if several {
            graph.clusters = roots.iter().map(|(name, _)| name.clone()).collect();
        }
        let clusters = if several { self.clusters(&roots, &builds) } else { BTreeMap::new() };
        let none = Rc::new(BTreeSet::new());
        // Kustomizations that build the same in the same way are one: hundreds of them may stand in a tree.
        let mut alike: BTreeMap<_, Vec<KustomizationId>> = BTreeMap::new();
        for (id, (path, walk)) in &builds {
            let found = &self.scans[id.0].kustomizations[id.1];
            let clusters = clusters.get(id).unwrap_or(&none);
            let apart = (!self.is_plain(*id)).then_some(*id);
            let key = (path, walk.scope, &found.target_namespace, clusters, apart);
            alike.entry(key).or_default().push(*id);
        }
        let mut number = 0;
        for ((_, _, target, clusters, _), ids) in &alike {
            number += 1;
            let walk = &builds[&ids[0]].1;
            let (from, target) = (Rc::from(ids.as_slice()), target.as_deref().map(Rc::from));
            let way = |scope, order| Way { build: number, scope, order, clusters: Rc::clone(clusters) };
            graph.any |= !walk.visits.is_empty();
            for visit in &walk.visits {
                graph.add(visit, way(visit.scope, visit.order), &from, target.as_ref());
            }
            for id in ids {
                let reach = Reach {
                    kustomizations: Rc::clone(&from),
                    namespace: None,
                    target_namespace: target.clone(),
                    patch: None,
                    text: false,
                    way: way(walk.scope, usize::MAX),
                };
                graph.own.insert(*id, reach);
            }
        }
        for (name, path) in &roots {
            let built = |(_, (built, _)): &(&KustomizationId, &(String, Rc<Walk>))| built == path;
            let known = builds
                .iter()
                .filter(built)
                .any(|(id, _)| !several || clusters.get(id).is_some_and(|clusters| clusters.contains(name)));
            // The Kustomization that builds the root says more than the bare folder.
            if known {
                continue;
            }
            number += 1;
            let clusters = Rc::new(if several { BTreeSet::from([name.clone()]) } else { BTreeSet::new() });
            graph.any |= self.add_bare(&mut graph, path, number, &clusters);
        }
        if roots.is_empty() && self.kustomizations().next().is_none() {
            // Nothing here says that Flux applies anything: then overlays stand for themselves, and what none
            // of them takes counts as applied all the same.
            for folder in self.walker.tops() {
                number += 1;
                self.add_bare(&mut graph, &folder, number, &none);
            }
        }
        graph.cut |= self.walker.cut || self.steps == 0;
        graph.scopes = self.walker.into_scopes();
        graph
    }

    /// Adds what a folder builds that no Kustomization names; whether there is anything.
    fn add_bare(
        &mut self,
        graph: &mut Graph,
        folder: &str,
        number: usize,
        clusters: &Rc<BTreeSet<String>>,
    ) -> bool {
        let walk = self.walker.walk(folder, &[]);
        for visit in &walk.visits {
            let (scope, order) = (visit.scope, visit.order);
            let way = Way { build: number, scope, order, clusters: Rc::clone(clusters) };
            graph.add(visit, way, &Rc::from([]), None);
        }
        !walk.visits.is_empty()
    }

    /// Whether a Kustomization changes nothing of what it builds but the namespace.
    fn is_plain(&self, (file, place): KustomizationId) -> bool {
        let scan = &self.scans[file];
        let found = &scan.kustomizations[place];
        let document = scan.objects[found.object].document;
        found.substitute.is_none()
            && found.substitute_from.is_empty()
            && !scan.found.iter().any(|pin| pin.object == Some(found.object))
            && !scan.objects.iter().any(|object| object.patch.is_some() && object.document == document)
            && !scan
                .patches
                .iter()
                .any(|patch| patch.values.iter().any(|(_, site)| site.document == document))
    }

    /// The folder of this repository that a Kustomization applies.
    fn folder_of(&self, (file, _): KustomizationId, found: &FluxKustomization) -> Option<String> {
        let (kind, name) = (found.source.0.as_str(), found.source.1.as_str());
        if kind == "ExternalArtifact" {
            return self.folder_in_artifact(file, name, &paths::join("", &found.path)?);
        }
        self.own_sources.contains(&(kind, name)).then(|| self.folder(&found.path))?
    }

    /// A folder as Flux objects name it: from the top of the repository, or, where a part of a larger
    /// repository stands for a whole one, from the top of what was read.
    fn folder(&self, path: &str) -> Option<String> {
        [self.root, ""].into_iter().find_map(|base| {
            let folder = paths::join(base, path.trim_start_matches('/'))?;
            (folder == self.root || self.walker.exists(&folder)).then_some(folder)
        })
    }

    /// An ArtifactGenerator copies folders; the one beside the Kustomization is meant where several
    /// clusters name their artifacts alike.
    fn folder_in_artifact(&self, file: usize, name: &str, path: &str) -> Option<String> {
        let here = paths::folder(&self.scans[file].path);
        let mut copies: Vec<_> = self
            .scans
            .iter()
            .flat_map(|scan| scan.artifacts.iter().map(move |copy| (paths::folder(&scan.path), copy)))
            .filter(|(_, copy)| copy.artifact == name)
            .collect();
        copies.sort_by_key(|(folder, _)| *folder != here);
        copies.into_iter().find_map(|(_, copy)| {
            let rest = if copy.to.is_empty() {
                path
            } else {
                path.strip_prefix(copy.to.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))?
            };
            self.folder(&paths::join(&copy.from, rest.trim_start_matches('/'))?)
        })
    }
}

/// The name that `flux bootstrap` gives its source.
const BOOTSTRAP: &str = "flux-system";

/// Whether a folder is another one or lies in it.
fn is_within(folder: &str, outer: &str) -> bool {
    outer.is_empty()
        || folder.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;

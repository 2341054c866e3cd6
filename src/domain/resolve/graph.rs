//! What Flux applies: from Kustomizations through Kustomize files to manifests, per cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::{Options, paths};
use crate::domain::scan::{FileScan, FluxKustomization, PatchTarget};

/// Kustomize refuses deeper nesting long before; a bound for hostile trees.
const MAX_DEPTH: usize = 64;

/// Position of a Flux Kustomization: file and place in [`FileScan::kustomizations`].
pub(super) type KustomizationId = (usize, usize);

/// One way on which a file reaches the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// The Flux Kustomization that applies it; `None` for what a FluxInstance or the configuration names.
    pub(super) kustomization: Option<KustomizationId>,
    /// Namespace that Kustomize files set; the outermost wins.
    pub(super) namespace: Option<String>,
    /// `targetNamespace` of the Flux Kustomization.
    pub(super) target_namespace: Option<String>,
    /// Set where the file is applied as a patch.
    pub(super) patch: Option<PatchTarget>,
    /// Set where a generator or a chart of a Kustomize file takes the file's text.
    pub(super) text: bool,
    /// How many Kustomize files lie between: a patch nearer to the top wins.
    pub(super) depth: usize,
    /// Clusters that it belongs to; empty when the repository describes one.
    pub(super) clusters: BTreeSet<String>,
}

/// The ways of every file.
#[derive(Debug, Default)]
pub(super) struct Graph {
    reaches: Vec<Vec<Reach>>,
    /// Whether anything in the repository is applied by something in it.
    any: bool,
    /// Names of the clusters; empty when there is one.
    pub(super) clusters: BTreeSet<String>,
}

impl Graph {
    /// The ways of a file.
    pub(super) fn of(&self, file: usize) -> &[Reach] {
        self.reaches.get(file).map_or(&[], Vec::as_slice)
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
}

struct Builder<'a> {
    scans: &'a [FileScan],
    files: BTreeMap<&'a str, usize>,
    kustomize: BTreeMap<&'a str, usize>,
    own_sources: BTreeSet<(&'a str, &'a str)>,
    /// The part of the repository that was read.
    root: &'a str,
}

/// A file met on a walk.
struct Visit {
    file: usize,
    namespace: Option<String>,
    patch: Option<PatchTarget>,
    text: bool,
    depth: usize,
}

impl<'a> Builder<'a> {
    fn new(scans: &'a [FileScan], root: &'a str) -> Self {
        let files = scans.iter().enumerate().map(|(file, scan)| (scan.path.as_str(), file)).collect();
        let kustomize = scans
            .iter()
            .enumerate()
            .filter(|(_, scan)| scan.kustomize.is_some() && !scan.template)
            .map(|(file, scan)| (paths::folder(&scan.path), file))
            .collect();
        let mut builder = Self { scans, files, kustomize, own_sources: BTreeSet::new(), root };
        builder.own_sources = builder.find_own_sources();
        builder
    }

    fn kustomizations(&self) -> impl Iterator<Item = (KustomizationId, &'a FluxKustomization)> {
        self.scans.iter().enumerate().filter(|(_, scan)| !scan.template).flat_map(|(file, scan)| {
            scan.kustomizations.iter().enumerate().map(move |(place, found)| ((file, place), found))
        })
    }

    /// Sources that stand for this repository: the one of `flux bootstrap`, and those whose
    /// Kustomizations name folders that exist here. Anything else brings manifests from elsewhere.
    fn find_own_sources(&self) -> BTreeSet<(&'a str, &'a str)> {
        let mut own = BTreeSet::new();
        for (_, found) in self.kustomizations() {
            let (kind, name) = (found.source.0.as_str(), found.source.1.as_str());
            let exists = self.folder(&found.path).is_some_and(|folder| folder != self.root);
            if name == "flux-system" || (kind == "GitRepository" && exists) {
                own.insert((kind, name));
            }
        }
        own
    }

    fn exists(&self, folder: &str) -> bool {
        let prefix = format!("{folder}/");
        self.files.range(prefix.as_str()..).next().is_some_and(|(path, _)| path.starts_with(&prefix))
    }

    fn run(&self, configured: &[(String, String)]) -> Graph {
        let mut visits: BTreeMap<KustomizationId, Vec<Visit>> = BTreeMap::new();
        for (id, found) in self.kustomizations() {
            if let Some(path) = self.folder_of(id, found) {
                let mut visits_of = self.walk(&path);
                // Kustomize Components, by paths relative to `path` (kustomize-controller, `spec.components`).
                let components = found.components.iter().filter_map(|entry| paths::join(&path, entry));
                visits_of.extend(components.flat_map(|folder| self.walk(&folder)));
                visits.insert(id, visits_of);
            }
        }
        let roots = self.roots(configured, &visits);
        let mut graph = Graph { reaches: vec![Vec::new(); self.scans.len()], ..Graph::default() };
        let several = roots.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len() > 1;
        if several {
            graph.clusters = roots.iter().map(|(name, _)| name.clone()).collect();
        }
        let clusters = if several { self.clusters(&roots, &visits) } else { BTreeMap::new() };
        let mut add = |visit: &Visit, kustomization: Option<KustomizationId>, clusters: BTreeSet<String>| {
            let target_namespace = kustomization
                .and_then(|(file, place)| self.scans[file].kustomizations[place].target_namespace.clone());
            let reach = Reach {
                kustomization,
                namespace: visit.namespace.clone(),
                target_namespace,
                patch: visit.patch.clone(),
                text: visit.text,
                depth: visit.depth,
                clusters,
            };
            graph.any = true;
            let reaches = &mut graph.reaches[visit.file];
            if !reaches.contains(&reach) {
                reaches.push(reach);
            }
        };
        for (id, list) in &visits {
            for visit in list {
                add(visit, Some(*id), clusters.get(id).cloned().unwrap_or_default());
            }
        }
        for (name, path) in &roots {
            let clusters = if several { BTreeSet::from([name.clone()]) } else { BTreeSet::new() };
            for visit in self.walk(path) {
                add(&visit, None, clusters.clone());
            }
        }
        graph
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
            (folder == self.root || self.exists(&folder)).then_some(folder)
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

    /// The clusters' entry points: name and folder.
    fn roots(
        &self,
        configured: &[(String, String)],
        visits: &BTreeMap<KustomizationId, Vec<Visit>>,
    ) -> Vec<(String, String)> {
        if !configured.is_empty() {
            return configured
                .iter()
                .filter_map(|(name, path)| Some((name.clone(), self.folder(path)?)))
                .collect();
        }
        let mut folders = BTreeSet::new();
        for ((file, place), list) in visits {
            // `flux bootstrap`: the Kustomization applies the folder that holds it.
            if list.iter().any(|visit| visit.file == *file) {
                let found = &self.scans[*file].kustomizations[*place];
                folders.extend(self.folder_of((*file, *place), found));
            }
        }
        for scan in self.scans.iter().filter(|scan| !scan.template) {
            let synced = scan.syncs.iter().filter_map(|sync| self.folder(&sync.path));
            folders.extend(synced.filter(|folder| folder != self.root));
        }
        // The layout of `flux bootstrap --path=clusters/NAME`, where its own Kustomization is not at hand.
        for (id, _) in self.kustomizations() {
            let path = self.scans[id.0].path.as_str();
            if let Some(folder) = conventional_root(path)
                && !folders.iter().any(|known: &String| known.starts_with(folder))
            {
                folders.insert(folder.to_owned());
            }
        }
        // A folder inside another one is a part of that cluster.
        let all = folders.clone();
        folders.retain(|folder| {
            !all.iter().any(|other| {
                other != folder && (other.is_empty() || folder.starts_with(&format!("{other}/")))
            })
        });
        name_clusters(&folders)
    }

    /// Which clusters each Kustomization belongs to, by following what applies what.
    fn clusters(
        &self,
        roots: &[(String, String)],
        visits: &BTreeMap<KustomizationId, Vec<Visit>>,
    ) -> BTreeMap<KustomizationId, BTreeSet<String>> {
        let mut clusters: BTreeMap<KustomizationId, BTreeSet<String>> = BTreeMap::new();
        for (name, path) in roots {
            let mut queue: Vec<usize> = self.walk(path).into_iter().map(|visit| visit.file).collect();
            let mut seen = BTreeSet::new();
            while let Some(file) = queue.pop() {
                if !seen.insert(file) {
                    continue;
                }
                for place in 0..self.scans[file].kustomizations.len() {
                    clusters.entry((file, place)).or_default().insert(name.clone());
                    let next = visits.get(&(file, place)).into_iter().flatten();
                    queue.extend(next.map(|visit| visit.file));
                }
            }
        }
        clusters
    }

    fn walk(&self, folder: &str) -> Vec<Visit> {
        let mut visits = Vec::new();
        let mut seen = BTreeSet::new();
        self.build(folder, None, 0, &mut seen, &mut visits);
        visits
    }

    /// `kustomize build` of a folder; without a Kustomize file, as kustomize-controller generates one.
    fn build(
        &self,
        folder: &str,
        namespace: Option<&str>,
        depth: usize,
        seen: &mut BTreeSet<String>,
        visits: &mut Vec<Visit>,
    ) {
        if depth > MAX_DEPTH || !seen.insert(folder.to_owned()) {
            return;
        }
        let Some(&file) = self.kustomize.get(folder) else {
            self.generate(folder, namespace, depth, seen, visits);
            return;
        };
        let Some(found) = &self.scans[file].kustomize else { return };
        let namespace = namespace.or(found.namespace.as_deref());
        let mut visit = |file: usize, patch: Option<PatchTarget>, text: bool| {
            visits.push(Visit { file, namespace: namespace.map(str::to_owned), patch, text, depth });
        };
        visit(file, None, false);
        let mut folders = Vec::new();
        for entry in &found.resources {
            if paths::is_remote(entry) {
                continue;
            }
            let Some(path) = paths::join(folder, entry) else { continue };
            match self.files.get(path.as_str()) {
                Some(file) => visit(*file, None, false),
                None => folders.push(path),
            }
        }
        for patch in &found.patches {
            if let Some(file) =
                paths::join(folder, &patch.path).and_then(|path| self.files.get(path.as_str()))
            {
                visit(*file, Some(patch.target.clone()), false);
            }
        }
        for entry in &found.files {
            if let Some(file) = paths::join(folder, entry).and_then(|path| self.files.get(path.as_str())) {
                visit(*file, None, true);
            }
        }
        for path in folders {
            self.build(&path, namespace, depth + 1, seen, visits);
        }
    }

    /// Every manifest below a folder; folders with a Kustomize file of their own are built.
    fn generate(
        &self,
        folder: &str,
        namespace: Option<&str>,
        depth: usize,
        seen: &mut BTreeSet<String>,
        visits: &mut Vec<Visit>,
    ) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut nested = BTreeSet::new();
        for (path, file) in self.files.range(prefix.as_str()..) {
            let Some(rest) = path.strip_prefix(&prefix) else { break };
            // The topmost folder with a Kustomize file takes everything below it.
            let built = rest.match_indices('/').find_map(|(at, _)| {
                let candidate = &path[..prefix.len() + at];
                self.kustomize.contains_key(candidate).then_some(candidate)
            });
            match built {
                Some(candidate) => {
                    nested.insert(candidate);
                }
                None if is_manifest(path) && !rest.starts_with('.') => visits.push(Visit {
                    file: *file,
                    namespace: namespace.map(str::to_owned),
                    patch: None,
                    text: false,
                    depth,
                }),
                None => {}
            }
        }
        for candidate in nested {
            self.build(candidate, namespace, depth + 1, seen, visits);
        }
    }
}

/// `a/clusters/NAME` of `a/clusters/NAME/apps.yaml`.
fn conventional_root(path: &str) -> Option<&str> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| *part == "clusters")?;
    // The file itself stands below the cluster's folder.
    (at + 2 < parts.len()).then(|| {
        let length: usize = parts[..at + 2].iter().map(|part| part.len() + 1).sum();
        &path[..length - 1]
    })
}

fn is_manifest(path: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending))
}

/// Clusters are named by the last part of their folder, by more of it where two are alike.
fn name_clusters(folders: &BTreeSet<String>) -> Vec<(String, String)> {
    let parts: Vec<Vec<&str>> =
        folders.iter().map(|folder| folder.split('/').filter(|part| !part.is_empty()).collect()).collect();
    let longest = parts.iter().map(Vec::len).max().unwrap_or_default();
    let tail = |parts: &[&str], count: usize| parts[parts.len().saturating_sub(count)..].join("-");
    for count in 1..=longest.max(1) {
        let names: BTreeSet<_> = parts.iter().map(|parts| tail(parts, count)).collect();
        if names.len() == folders.len() || count == longest.max(1) {
            return folders
                .iter()
                .zip(&parts)
                .map(|(folder, parts)| (tail(parts, count), folder.clone()))
                .collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests;

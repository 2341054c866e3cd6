//! Which clusters a repository describes, and what each of them applies.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Builder, Builds, KustomizationId, is_within};

/// How many files may be looked at to tell the clusters apart.
pub(super) const MAX_STEPS: usize = 5_000_000;
/// More clusters than a repository describes without naming them in the configuration.
const MAX_CLUSTERS: usize = 500;

impl Builder<'_> {
    /// The clusters' entry points: name and folder.
    pub(super) fn roots(
        &mut self,
        configured: &[(String, String)],
        builds: &Builds,
    ) -> Vec<(String, String)> {
        if !configured.is_empty() {
            return configured
                .iter()
                .filter_map(|(name, path)| Some((name.clone(), self.folder(path)?)))
                .collect();
        }
        let mut folders = BTreeSet::new();
        for ((file, _), (path, walk)) in builds {
            // `flux bootstrap`: the Kustomization applies the folder that holds it.
            if walk.visits.iter().any(|visit| visit.file == *file) {
                folders.insert(path.clone());
            }
        }
        for scan in self.scans.iter().filter(|scan| !scan.template) {
            let synced = scan.syncs.iter().filter_map(|sync| self.folder(&sync.path));
            folders.extend(synced.filter(|folder| folder != self.root));
        }
        self.add_conventional(&mut folders, builds);
        // A folder inside another one is a part of that cluster.
        let all = folders.clone();
        folders.retain(|folder| !all.iter().any(|other| other != folder && is_within(folder, other)));
        name_clusters(&folders)
    }

    /// The layout of `flux bootstrap --path=clusters/NAME`, where its own Kustomization is not at hand.
    /// What another entry point applies is a part of that one's cluster (`clusters/common`).
    fn add_conventional(&mut self, folders: &mut BTreeSet<String>, builds: &Builds) {
        let mut candidates: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (id, _) in self.kustomizations() {
            if let Some(folder) = conventional_root(&self.scans[id.0].path)
                && !folders.iter().any(|known| is_within(known, folder))
            {
                candidates.entry(folder).or_default().insert(id.0);
            }
        }
        if candidates.is_empty() {
            return;
        }
        if candidates.len() > MAX_CLUSTERS {
            self.steps = 0;
            return;
        }
        let mut taken = BTreeSet::new();
        for folder in folders.iter() {
            taken.extend(self.applied_from(folder, builds));
        }
        candidates.retain(|_, files| files.is_disjoint(&taken));
        let reached: Vec<_> =
            candidates.keys().map(|folder| (*folder, self.applied_from(folder, builds))).collect();
        for (folder, files) in &candidates {
            let own = reached.iter().find(|(other, _)| other == folder).map(|(_, reached)| reached);
            let inside = reached.iter().any(|(other, reached)| {
                let back = own.is_some_and(|own| candidates[other].iter().any(|file| own.contains(file)));
                other != folder && !back && files.iter().any(|file| reached.contains(file))
            });
            if !inside {
                folders.insert((*folder).to_owned());
            }
        }
    }

    /// Every file that is applied from a folder on, by following what applies what.
    fn applied_from(&mut self, folder: &str, builds: &Builds) -> BTreeSet<usize> {
        let mut queue: Vec<usize> =
            self.walker.walk(folder, &[]).visits.iter().map(|visit| visit.file).collect();
        let mut seen = BTreeSet::new();
        while let Some(file) = queue.pop().filter(|_| self.steps > 0) {
            self.steps -= 1;
            if seen.insert(file) {
                for (_, (_, walk)) in builds.range((file, 0)..(file + 1, 0)) {
                    self.steps = self.steps.saturating_sub(walk.visits.len());
                    queue.extend(walk.visits.iter().map(|visit| visit.file));
                }
            }
        }
        seen
    }

    /// Which clusters each Kustomization belongs to.
    pub(super) fn clusters(
        &mut self,
        roots: &[(String, String)],
        builds: &Builds,
    ) -> BTreeMap<KustomizationId, Rc<BTreeSet<String>>> {
        let mut clusters: BTreeMap<KustomizationId, BTreeSet<String>> = BTreeMap::new();
        for (name, path) in roots {
            for file in self.applied_from(path, builds) {
                for place in 0..self.scans[file].kustomizations.len() {
                    clusters.entry((file, place)).or_default().insert(name.clone());
                }
            }
        }
        clusters.into_iter().map(|(id, names)| (id, Rc::new(names))).collect()
    }
}

/// `a/clusters/NAME` of `a/clusters/NAME/apps.yaml`.
pub(super) fn conventional_root(path: &str) -> Option<&str> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| *part == "clusters")?;
    // The file itself stands below the cluster's folder.
    (at + 2 < parts.len()).then(|| {
        let length: usize = parts[..at + 2].iter().map(|part| part.len() + 1).sum();
        &path[..length - 1]
    })
}

/// Clusters are named by the last part of their folder, by more of it where two are alike.
pub(super) fn name_clusters(folders: &BTreeSet<String>) -> Vec<(String, String)> {
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

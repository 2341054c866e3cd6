//! `kustomize build` of a folder, as far as it says which files it reads, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::paths;
use crate::domain::scan::{FileScan, PatchTarget};

/// Kustomize refuses deeper nesting long before; a bound for hostile trees.
const MAX_DEPTH: usize = 64;

/// How many files may be met again in all, by folders that are built more than once. Real
/// repositories stay far below; trees that double at each level would never end.
const MAX_REPEATED: usize = 200_000;

/// How many files all walks may meet together. Kustomizations that each build everything would take the square
/// of the repository; real ones stay far below.
const MAX_VISITS: usize = 200_000;

/// A file met on a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) file: usize,
    /// The part of the build that it belongs to: a patch reaches what its own part holds.
    pub(super) scope: usize,
    /// When it is applied: what comes later wins.
    pub(super) order: usize,
    /// Namespace that Kustomize files set; the outermost wins.
    pub(super) namespace: Option<Rc<str>>,
    /// Set where the file is applied as a patch.
    pub(super) patch: Option<Rc<PatchTarget>>,
    /// Set where a generator or a chart of a Kustomize file takes the file's text.
    pub(super) text: bool,
}

/// The build of a folder.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) visits: Vec<Visit>,
    /// The scope of the whole.
    pub(super) scope: usize,
}

/// Parts of builds; each knows the one that it is a part of.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    parents: Vec<Option<usize>>,
}

impl Scopes {
    fn open(&mut self, parent: Option<usize>) -> usize {
        self.parents.push(parent);
        self.parents.len() - 1
    }

    /// Whether one scope is the other or holds it.
    pub(super) fn covers(&self, outer: usize, inner: usize) -> bool {
        // Scopes are numbered from the outside in.
        let mut at = Some(inner);
        while let Some(scope) = at.filter(|scope| *scope >= outer) {
            if scope == outer {
                return true;
            }
            at = self.parents[scope];
        }
        false
    }
}

/// What a walk starts from: a folder, and the Kustomize Components of the Flux Kustomization.
type Start = (String, Vec<String>);

/// Builds folders, each once.
pub(super) struct Walker<'a> {
    scans: &'a [FileScan],
    files: BTreeMap<&'a str, usize>,
    kustomize: BTreeMap<&'a str, usize>,
    walks: BTreeMap<Start, Rc<Walk>>,
    scopes: Scopes,
    repeated: usize,
    /// Files that may still be met.
    left: usize,
    /// A folder was not built, because too much had been.
    pub(super) cut: bool,
}

#[derive(Default)]
struct State {
    visits: Vec<Visit>,
    /// Folders that are being built, against loops.
    open: Vec<String>,
    /// Folders that were built.
    seen: BTreeSet<String>,
}

impl State {
    fn visit(
        &mut self,
        file: usize,
        scope: usize,
        namespace: Option<&Rc<str>>,
        (patch, text): (Option<Rc<PatchTarget>>, bool),
    ) {
        let order = self.visits.len();
        self.visits.push(Visit { file, scope, order, namespace: namespace.cloned(), patch, text });
    }
}

impl<'a> Walker<'a> {
    pub(super) fn new(scans: &'a [FileScan]) -> Self {
        let files = scans.iter().enumerate().map(|(file, scan)| (scan.path.as_str(), file)).collect();
        let kustomize = scans
            .iter()
            .enumerate()
            .filter(|(_, scan)| scan.kustomize.is_some() && is_kustomize_name(&scan.path))
            .map(|(file, scan)| (paths::folder(&scan.path), file))
            .collect();
        Self {
            scans,
            files,
            kustomize,
            walks: BTreeMap::new(),
            scopes: Scopes::default(),
            repeated: MAX_REPEATED,
            left: MAX_VISITS,
            cut: false,
        }
    }

    pub(super) fn into_scopes(self) -> Scopes {
        self.scopes
    }

    /// Whether a folder holds any file.
    pub(super) fn exists(&self, folder: &str) -> bool {
        let prefix = format!("{folder}/");
        self.files.range(prefix.as_str()..).next().is_some_and(|(path, _)| path.starts_with(&prefix))
    }

    /// The folders with a Kustomize file that no other Kustomize file takes, Components left out: what somebody
    /// builds by hand.
    pub(super) fn tops(&self) -> Vec<String> {
        let mut taken = BTreeSet::new();
        for (folder, file) in &self.kustomize {
            let Some(found) = &self.scans[*file].kustomize else { continue };
            taken.extend(found.resources.iter().filter_map(|entry| paths::join(folder, entry)));
        }
        let tops = self.kustomize.keys().filter(|folder| !taken.contains(**folder));
        tops.filter(|folder| !self.is_component(folder)).map(|folder| (*folder).to_owned()).collect()
    }

    /// Builds a folder, with Kustomize Components given from outside.
    pub(super) fn walk(&mut self, folder: &str, components: &[String]) -> Rc<Walk> {
        let start = (folder.to_owned(), components.to_vec());
        if let Some(walk) = self.walks.get(&start) {
            return Rc::clone(walk);
        }
        let scope = self.scopes.open(None);
        let mut state = State::default();
        for folder in std::iter::once(&start.0).chain(&start.1) {
            if self.left == 0 {
                self.cut = true;
                break;
            }
            self.build(&mut state, folder, None, scope);
        }
        self.left = self.left.saturating_sub(1 + state.visits.len());
        let walk = Rc::new(Walk { visits: state.visits, scope });
        self.walks.insert(start, Rc::clone(&walk));
        walk
    }

    /// `kustomize build` of a folder; without a Kustomize file, as kustomize-controller generates one.
    fn build(&mut self, state: &mut State, folder: &str, namespace: Option<&Rc<str>>, parent: usize) {
        if state.open.len() > MAX_DEPTH || state.open.iter().any(|open| open == folder) {
            return;
        }
        let again = !state.seen.insert(folder.to_owned());
        if again && self.repeated == 0 {
            return;
        }
        let before = state.visits.len();
        state.open.push(folder.to_owned());
        match self.kustomize.get(folder) {
            Some(&file) => self.build_file(state, (folder, file), namespace, parent),
            None => self.generate(state, folder, namespace, parent),
        }
        state.open.pop();
        if again {
            self.repeated = self.repeated.saturating_sub(1 + state.visits.len() - before);
        }
    }

    fn build_file(
        &mut self,
        state: &mut State,
        (folder, file): (&str, usize),
        namespace: Option<&Rc<str>>,
        parent: usize,
    ) {
        let Some(found) = &self.scans[file].kustomize else { return };
        // A Component works on all that its user gathered so far.
        let scope = if found.component { parent } else { self.scopes.open(Some(parent)) };
        let own = found.namespace.as_deref().map(Rc::from);
        let namespace = namespace.or(own.as_ref());
        let local = |entry: &String| paths::join(folder, entry);
        let file_at = |entry: &String| local(entry).and_then(|path| self.files.get(path.as_str()).copied());
        let mut folders = Vec::new();
        for entry in found.resources.iter().filter(|entry| !paths::is_remote(entry)) {
            let Some(path) = local(entry) else { continue };
            match self.files.get(path.as_str()) {
                Some(file) => state.visit(*file, scope, namespace, (None, false)),
                None => folders.push(path),
            }
        }
        for entry in &found.files {
            if let Some(file) = file_at(entry) {
                state.visit(file, scope, namespace, (None, true));
            }
        }
        let patches: Vec<_> = found
            .patches
            .iter()
            .filter_map(|patch| Some((file_at(&patch.path)?, Rc::new(patch.target.clone()))))
            .collect();
        // Kustomize gathers resources, lets Components work on them, and patches last.
        folders.sort_by_key(|folder| self.is_component(folder));
        for folder in &folders {
            self.build(state, folder, namespace, scope);
        }
        for (file, target) in patches {
            state.visit(file, scope, namespace, (Some(target), false));
        }
        state.visit(file, scope, namespace, (None, false));
    }

    fn is_component(&self, folder: &str) -> bool {
        let file = self.kustomize.get(folder).and_then(|file| self.scans[*file].kustomize.as_ref());
        file.is_some_and(|file| file.component)
    }

    /// Every manifest below a folder; folders with a Kustomize file of their own are built.
    fn generate(&mut self, state: &mut State, folder: &str, namespace: Option<&Rc<str>>, scope: usize) {
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
                None if is_manifest(path) && !rest.starts_with('.') => {
                    state.visit(*file, scope, namespace, (None, false));
                }
                None => {}
            }
        }
        for candidate in nested {
            self.build(state, candidate, namespace, scope);
        }
    }
}

/// The names under which Kustomize looks for its file.
fn is_kustomize_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

fn is_manifest(path: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending))
}

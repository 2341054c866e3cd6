//! Kustomize's own files and the patches in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::domain::manifest::document::{Document, NodeId, Style};
use crate::domain::manifest::route;
use crate::domain::selector::Selector;

use super::object::{Marks, Object};
use super::{Context, FileScan, Site, flux};

/// More nodes than the operations of a version patch write.
const MAX_WRITTEN: usize = 4096;
/// How many times the length of a document the texts inside it are read together.
const MAX_READ_AGAIN: usize = 8;

/// A `kustomization.yaml`, component or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KustomizeFile {
    /// Local files and folders: `resources`, `bases`, `components`, `crds`, as written.
    pub resources: Vec<String>,
    /// `kind: Component`: it works on what its user has gathered.
    pub component: bool,
    /// `namespace`.
    pub namespace: Option<String>,
    /// Patches in files of their own.
    pub patches: Vec<PatchFile>,
    /// Files of generators and chart values: `configMapGenerator[].files`, `helmCharts[].valuesFile`.
    pub files: Vec<String>,
    /// Keys of labels and annotations that it gives to all that it builds.
    pub sets: BTreeSet<String>,
}

/// A patch in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchFile {
    /// Path, as written.
    pub path: String,
    /// What it is applied to, where that is said.
    pub target: PatchTarget,
}

/// What a patch is applied to; `None` matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchTarget {
    /// API group.
    pub group: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// `labelSelector`; one that cannot be read selects nothing here.
    pub labels: Option<Selector>,
    /// `annotationSelector`, in the same way.
    pub annotations: Option<Selector>,
}

impl PatchTarget {
    /// The target, or, where it selects nothing, what the patch itself names (Kustomize, `patches`).
    pub(crate) fn or_of(&self, object: &Object) -> Self {
        if !self.names_nothing() {
            return self.clone();
        }
        Self {
            group: Some(object.group.clone()),
            kind: Some(object.kind.clone()),
            name: Some(object.name.clone()).filter(|name| !name.is_empty()),
            namespace: object.namespace.clone(),
            ..Self::default()
        }
    }

    /// Whether the patch itself names what it is for.
    pub(crate) fn names_nothing(&self) -> bool {
        self.kind.is_none() && self.name.is_none() && self.labels.is_none() && self.annotations.is_none()
    }

    /// Whether the selectors let an object with these labels and annotations pass. Keys in `sets` are given to
    /// objects while they are built, so that nobody can say here what they have.
    pub(crate) fn selects(&self, marks: Option<&Marks>, sets: &BTreeSet<&str>) -> bool {
        let is_open = |key: &str| sets.contains(key);
        let holds = |selector: &Option<Selector>, of: fn(&Marks) -> &BTreeMap<String, String>| {
            selector.as_ref().is_none_or(|selector| {
                selector.matches_but_for(|key| of(marks?).get(key).map(String::as_str), is_open)
            })
        };
        holds(&self.labels, |marks| &marks.labels) && holds(&self.annotations, |marks| &marks.annotations)
    }

    /// Whether Flux Kustomizations may be meant.
    pub fn may_be_kustomization(&self) -> bool {
        let is = |wanted: &Option<String>, text| wanted.as_ref().is_none_or(|wanted| wanted == text);
        is(&self.kind, "Kustomization") && is(&self.group, "kustomize.toolkit.fluxcd.io")
    }
}

/// The values that a JSON 6902 patch (RFC 6902) writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPatch {
    /// What it is applied to; `None` in a file of its own, where only the `kustomization.yaml` says it.
    pub target: Option<PatchTarget>,
    /// JSON Pointer in the patched object, and the value's place.
    pub values: Vec<(String, Site)>,
}

/// What a text inside a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inner {
    /// A patch, and what it is applied to.
    Patch(PatchTarget),
    /// Values for a chart, in a ConfigMap.
    Values,
}

/// YAML inside another document.
pub(super) struct Embedded {
    /// Position of the holding document in the context.
    pub(super) holder: usize,
    /// JSON Pointer of the scalar that holds it.
    pub(super) pointer: String,
    /// Byte range in the file of its lines.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) inner: Inner,
}

/// Whether a file is read by Kustomize itself.
pub(super) fn is_kustomize_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

pub(super) fn is_kustomize_document(path: &str, document: &Document<'_>, root: NodeId) -> bool {
    if document
        .scalar_at(root, &["apiVersion"])
        .is_some_and(|text| text.starts_with("kustomize.config.k8s.io/"))
    {
        return true;
    }
    is_kustomize_file(path)
        && document.is_mapping(root)
        && document.get(root, "apiVersion").is_none()
        && ["resources", "components", "images", "patches", "helmCharts", "configMapGenerator"]
            .iter()
            .any(|key| document.get(root, key).is_some())
}

pub(super) fn read(context: &Context<'_>, position: usize, scan: &mut FileScan) {
    let document = &context.documents[position].document;
    let Some(root) = document.root() else { return };
    if document.is_sequence(root) {
        let values = operations(context, position, root);
        if !values.is_empty() {
            let target = match &context.documents[position].embedded {
                Some((_, Inner::Patch(target))) => Some(target.clone()),
                Some((_, Inner::Values)) => return,
                None => None,
            };
            let patch = JsonPatch { target, values };
            flux::read_operations(&patch, scan);
            scan.patches.push(patch);
        }
        return;
    }
    if context.documents[position].embedded.is_some() || !is_kustomize_document(&scan.path, document, root) {
        return;
    }
    let mut file = KustomizeFile {
        component: document.scalar_at(root, &["kind"]) == Some("Component"),
        namespace: document.scalar_at(root, &["namespace"]).map(str::to_owned),
        ..KustomizeFile::default()
    };
    for list in ["resources", "bases", "components", "crds"] {
        file.resources.extend(texts(document, root, list));
    }
    for list in ["patches", "patchesJson6902"] {
        for (_, item) in children(document, root, list) {
            if let Some(path) = document.scalar_at(item, &["path"]) {
                file.patches.push(PatchFile { path: path.to_owned(), target: target(document, item) });
            }
        }
    }
    for path in texts(document, root, "patchesStrategicMerge") {
        if !path.contains('\n') {
            file.patches.push(PatchFile { path, target: PatchTarget::default() });
        }
    }
    for list in ["configMapGenerator", "secretGenerator"] {
        for (_, item) in children(document, root, list) {
            // `name=file` and `file` are both allowed (Kustomize, configMapGenerator).
            let files = texts(document, item, "files");
            file.files.extend(files.into_iter().map(|entry| match entry.split_once('=') {
                Some((_, path)) => path.to_owned(),
                None => entry,
            }));
        }
    }
    for (_, item) in children(document, root, "helmCharts") {
        file.files.extend(document.scalar_at(item, &["valuesFile"]).map(str::to_owned));
        file.files.extend(texts(document, item, "additionalValuesFiles"));
    }
    file.sets = keys_set(document, root);
    scan.kustomize = Some(file);
}

/// Keys of labels and annotations that Kustomize gives to everything that it builds here.
fn keys_set(document: &Document<'_>, root: NodeId) -> BTreeSet<String> {
    let all = ["commonLabels", "commonAnnotations"].into_iter().filter_map(|key| document.get(root, key));
    let some = children(document, root, "labels").filter_map(|(_, item)| document.get(item, "pairs"));
    let pairs = all.chain(some).flat_map(|pairs| document.children(pairs));
    pairs.filter_map(|(key, _)| key.map(str::to_owned)).collect()
}

/// YAML inside a document: patches in Kustomize files and Flux Kustomizations, values in ConfigMaps.
pub(super) fn embedded(path: &str, holder: usize, document: &Document<'_>) -> Vec<Embedded> {
    let Some(root) = document.root() else { return Vec::new() };
    let mut nodes = Vec::new();
    let patch = |item| document.get(item, "patch").map(|patch| (patch, Inner::Patch(target(document, item))));
    if is_kustomize_document(path, document, root) {
        for list in ["patches", "patchesJson6902"] {
            nodes.extend(children(document, root, list).filter_map(|(_, item)| patch(item)));
        }
        nodes.extend(
            children(document, root, "patchesStrategicMerge")
                .map(|(_, text)| (text, Inner::Patch(PatchTarget::default()))),
        );
    } else {
        match document.scalar_at(root, &["kind"]) {
            Some("Kustomization") => {
                let spec = document.get(root, "spec");
                let items = spec.into_iter().flat_map(|spec| children(document, spec, "patches"));
                nodes.extend(items.filter_map(|(_, item)| patch(item)));
            }
            Some("ConfigMap") => nodes.extend(
                children(document, root, "data")
                    .filter(|(key, _)| key.is_some_and(is_values_name))
                    .map(|(_, text)| (text, Inner::Values)),
            ),
            _ => {}
        }
    }
    // Aliases may name one text again and again, for other targets too; each time it is read anew.
    let mut left = MAX_READ_AGAIN.saturating_mul(document.extent().len());
    nodes
        .into_iter()
        .filter_map(|(node, inner)| {
            let range = match document.style(node)? {
                Style::Block => document.block_lines(node)?,
                // One line of JSON; the name of a file reads as a lone scalar.
                Style::Quoted | Style::Plain => document.value_span(node)?,
            };
            left = left.checked_sub(range.len())?;
            Some(Embedded { holder, pointer: document.pointer(node), range, inner })
        })
        .collect()
}

/// Whether a key or file is named as values of charts are: `values.yaml`, `podinfo-values.yaml`.
fn is_values_name(name: &str) -> bool {
    (name.ends_with(".yaml") || name.ends_with(".yml")) && name.contains("values")
}

fn target(document: &Document<'_>, item: NodeId) -> PatchTarget {
    let text = |key| document.scalar_at(item, &["target", key]).map(str::to_owned);
    let selector = |key| text(key).and_then(|text| Selector::parse(&text));
    PatchTarget {
        group: text("group"),
        kind: text("kind"),
        name: text("name"),
        namespace: text("namespace"),
        labels: selector("labelSelector"),
        annotations: selector("annotationSelector"),
    }
}

fn operations(context: &Context<'_>, position: usize, root: NodeId) -> Vec<(String, Site)> {
    let document = &context.documents[position].document;
    let mut leaves = Leaves { context, position, budget: MAX_WRITTEN, values: Vec::new() };
    for (_, operation) in document.children(root) {
        let (Some(op), Some(path)) =
            (document.scalar_at(operation, &["op"]), document.scalar_at(operation, &["path"]))
        else {
            continue;
        };
        if matches!(op, "add" | "replace")
            && let Some(value) = document.get(operation, "value")
        {
            leaves.gather(value, path.to_owned());
        }
    }
    leaves.values
}

/// The scalars that operations write.
struct Leaves<'a> {
    context: &'a Context<'a>,
    position: usize,
    /// Nodes that may still be visited: counting what is found would let empty collections go on for ever.
    budget: usize,
    values: Vec<(String, Site)>,
}

impl Leaves<'_> {
    fn gather(&mut self, node: NodeId, pointer: String) {
        let Some(budget) = self.budget.checked_sub(1) else { return };
        self.budget = budget;
        let document = &self.context.documents[self.position].document;
        if !(document.is_mapping(node) || document.is_sequence(node)) {
            self.values.extend(self.context.site(self.position, node).map(|site| (pointer, site)));
            return;
        }
        // What an alias stands for is bounded by nothing but the document, and may be repeated at will.
        if document.resolve(node) != node {
            return;
        }
        for (at, (key, child)) in document.children(node).enumerate() {
            let mut deeper = pointer.clone();
            match key {
                Some(key) => route::push(&mut deeper, key),
                None => route::push_index(&mut deeper, at),
            }
            self.gather(child, deeper);
        }
    }
}

fn children<'a>(
    document: &'a Document<'_>,
    node: NodeId,
    key: &str,
) -> impl Iterator<Item = (Option<&'a str>, NodeId)> {
    document.get(node, key).into_iter().flat_map(|list| document.children(list))
}

fn texts(document: &Document<'_>, node: NodeId, key: &str) -> Vec<String> {
    children(document, node, key).filter_map(|(_, item)| document.scalar(item).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use crate::domain::scan::scan_file;

    fn written(text: &str) -> Vec<(String, String)> {
        let scan = scan_file("patch.yaml", text.as_bytes(), &[]);
        let values = scan.patches.into_iter().flat_map(|patch| patch.values);
        values.map(|(pointer, site)| (pointer, site.text)).collect()
    }

    #[test]
    fn operations_write_scalars_below_mappings_and_sequences() {
        assert_eq!(
            written("- {op: add, path: /spec, value: {a: 1, b: [{c: x}, y]}}\n- {op: remove, path: /d}\n"),
            [("/spec/a", "1"), ("/spec/b/0/c", "x"), ("/spec/b/1", "y")]
                .map(|(pointer, text)| (pointer.to_owned(), text.to_owned()))
        );
    }

    /// A value that holds itself once overflowed the stack.
    #[test]
    fn operations_that_hold_themselves_end() {
        assert_eq!(written("- op: add\n  path: /spec\n  value: &a\n    b: *a\n"), []);
        assert_eq!(written("- op: add\n  path: /spec\n  value: &a\n    b: [*a]\n    c: 1\n").len(), 1);
    }

    /// Each line repeats the one before nine times, and nothing in it is a value: only what was found
    /// was once counted, not what was visited.
    #[test]
    fn operations_that_repeat_nothing_many_times_end_soon() {
        let mut text = "- op: add\n  path: /x\n  value:\n    a0: &a0 {}\n".to_owned();
        for line in 1..7 {
            let keys: Vec<_> = (0..9).map(|key| format!("k{key}: *a{}", line - 1)).collect();
            text.push_str(&format!("    a{line}: &a{line} {{{}}}\n", keys.join(", ")));
        }
        let started = std::time::Instant::now();
        assert_eq!(written(&text), []);
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
        let many: String = (0..9_000).map(|key| format!("    k{key}: 1\n")).collect();
        let found = written(&format!("- op: add\n  path: /x\n  value:\n{many}")).len();
        assert!((1_000..9_000).contains(&found), "{found}");
    }
}

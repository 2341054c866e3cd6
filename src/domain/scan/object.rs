//! Kubernetes objects in a document: identity, and where each begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::manifest::document::{Document, NodeId};

use super::kustomize::PatchTarget;

/// Identity of one object, or of a patch of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// 0-based document in the file.
    pub document: usize,
    /// Where it begins in its document.
    pub(crate) node: NodeId,
    /// API group without version; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// `metadata.name`; empty where there is none.
    pub name: String,
    /// `metadata.namespace` as written.
    pub namespace: Option<String>,
    /// `None` where there are neither labels nor annotations.
    pub marks: Option<Arc<Marks>>,
    /// Set when the object is an inline patch: what it is a patch of.
    pub patch: Option<PatchTarget>,
    /// Pins of rules (rule, pin) that its other fields exclude: a patch of it is no such version either.
    pub refuses: BTreeSet<(usize, usize)>,
}

/// What selectors of patches look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
}

/// More labels, or annotations, than objects have.
const MAX_MARKS: usize = 100;

impl Marks {
    fn read(document: &Document<'_>, node: NodeId) -> Option<Arc<Self>> {
        let metadata = document.get(node, "metadata")?;
        let pairs = |key: &str| -> Option<BTreeMap<String, String>> {
            let pairs = document.children(document.get(metadata, key)?).take(MAX_MARKS);
            Some(
                pairs
                    .filter_map(|(key, value)| Some((key?.to_owned(), document.scalar(value)?.to_owned())))
                    .collect(),
            )
        };
        let (labels, annotations) = (pairs("labels"), pairs("annotations"));
        if labels.is_none() && annotations.is_none() {
            return None;
        }
        let (labels, annotations) = (labels.unwrap_or_default(), annotations.unwrap_or_default());
        Some(Arc::new(Self { labels, annotations }))
    }
}

/// The kind at the left margin of a document's text, without parsing it.
pub(super) fn quick_kind(body: &str) -> Option<&str> {
    let at =
        if body.starts_with("kind:") { 0 } else { memchr::memmem::find(body.as_bytes(), b"\nkind:")? + 1 };
    let line = body[at + "kind:".len()..].lines().next()?;
    let word = line.split(" #").next()?.trim().trim_matches(['"', '\'']);
    (!word.is_empty()).then_some(word)
}

/// The `apiVersion` at the left margin of a document's text with where it stands there, without parsing it.
pub(super) fn quick_api_version(body: &str) -> Option<(usize, &str)> {
    const KEY: &str = "apiVersion:";
    let at =
        if body.starts_with(KEY) { 0 } else { memchr::memmem::find(body.as_bytes(), b"\napiVersion:")? + 1 };
    let line = body[at + KEY.len()..].lines().next()?;
    let word = line.split(" #").next()?.trim().trim_matches(['"', '\'']);
    (!word.is_empty() && word.len() <= MAX_API_VERSION).then_some((at, word))
}

/// Longest `apiVersion` that is kept; Kubernetes' own bound is 253 for the group and 63 for the version.
pub(super) const MAX_API_VERSION: usize = 320;

/// The objects of a document: itself, the items of a list, the resources of a ResourceSet.
pub(super) fn roots(document: &Document<'_>, root: NodeId) -> Vec<Object> {
    let Some(own) = identify(document, root) else { return Vec::new() };
    if own.kind.ends_with("List")
        && let Some(items) = document.get(root, "items")
    {
        return document.children(items).filter_map(|(_, item)| identify(document, item)).collect();
    }
    let mut objects = Vec::new();
    if own.kind == "ResourceSet"
        && own.group == "fluxcd.controlplane.io"
        && let Some(resources) = document.at(root, &["spec", "resources"])
    {
        objects.extend(document.children(resources).filter_map(|(_, item)| identify(document, item)));
    }
    objects.insert(0, own);
    objects
}

/// Reads the identity of an object; `None` where `apiVersion` or `kind` is missing.
pub(super) fn identify(document: &Document<'_>, node: NodeId) -> Option<Object> {
    let api_version = document.scalar_at(node, &["apiVersion"])?;
    let kind = document.scalar_at(node, &["kind"])?;
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let text = |key| document.scalar_at(node, &["metadata", key]).map(str::to_owned);
    Some(Object {
        document: 0,
        node,
        group: group.to_owned(),
        kind: kind.to_owned(),
        name: text("name").unwrap_or_default(),
        namespace: text("namespace").filter(|namespace| !namespace.is_empty()),
        marks: Marks::read(document, node),
        patch: None,
        refuses: BTreeSet::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        let document = Document::parse(text, 0..text.len()).unwrap();
        roots(&document, document.root().unwrap())
            .into_iter()
            .map(|object| format!("{}/{}/{}", object.group, object.kind, object.name))
            .collect()
    }

    #[test]
    fn lists_and_resource_sets_hold_objects() {
        assert_eq!(
            kinds("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: a}}]"),
            ["/Pod/a"]
        );
        assert_eq!(
            kinds(
                "apiVersion: fluxcd.controlplane.io/v1\nkind: ResourceSet\nmetadata: {name: s}\nspec:\n  resources:\n  - {apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {name: b}}\n"
            ),
            ["fluxcd.controlplane.io/ResourceSet/s", "helm.toolkit.fluxcd.io/HelmRelease/b"]
        );
        assert!(kinds("kind: x").is_empty());
    }

    #[test]
    fn the_kind_is_seen_without_parsing() {
        assert_eq!(quick_kind("apiVersion: v1\nkind: \"Pod\" # x\n"), Some("Pod"));
        assert_eq!(quick_kind("spec:\n  kind: Pod\n"), None);
        assert_eq!(quick_api_version("# x\napiVersion: 'policy/v1' # y\n"), Some((4, "policy/v1")));
        assert_eq!(quick_api_version("spec:\n  apiVersion: v1\n"), None);
    }
}

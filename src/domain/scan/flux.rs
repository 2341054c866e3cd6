//! Flux's own objects: what applies what, where sources are, and which variables have which values.

use std::collections::BTreeMap;

use crate::domain::manifest::document::{Document, NodeId};

use super::kustomize::{JsonPatch, PatchTarget};
use super::object::Object;
use super::{Context, FileScan, Site};

/// API group of Flux Kustomizations.
const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// Values longer than this are no versions.
const MAX_VALUE: usize = 256;

/// Entries of one `dependsOn` that are read; an alias may repeat a list at will.
const MAX_WAITING: usize = 500;

/// A Flux Kustomization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxKustomization {
    /// Index of the object in its file.
    pub object: usize,
    /// `spec.path`, as written.
    pub path: String,
    /// `spec.components`, as written.
    pub components: Vec<String>,
    /// `spec.targetNamespace`.
    pub target_namespace: Option<String>,
    /// Kind and name of `spec.sourceRef`.
    pub source: (String, String),
    /// Whether `spec.postBuild.substitute` and its kin stand here; index in [`FileScan::variables`].
    pub substitute: Option<usize>,
    /// ConfigMaps (`true`) and Secrets (`false`) of `substituteFrom`, in order.
    pub substitute_from: Vec<(bool, String)>,
    /// `spec.dependsOn`.
    pub depends_on: Vec<Waiting>,
}

/// A HelmRelease that waits for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxRelease {
    /// Index of the object in its file.
    pub object: usize,
    /// `spec.dependsOn`.
    pub depends_on: Vec<Waiting>,
}

/// An entry of `dependsOn`: an object of the same kind that must be ready first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub name: String,
    /// Its namespace, where it is not that of the waiting object.
    pub namespace: Option<String>,
    /// 1-based line of the entry.
    pub line: usize,
}

/// Variables that a patch gives to Flux Kustomizations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubstitutionPatch {
    /// 0-based document that holds the patch.
    pub document: usize,
    /// What it is applied to; `None` in a file of its own, where only the `kustomization.yaml` says it.
    pub target: Option<PatchTarget>,
    /// `spec.postBuild.substitute`, by variable name.
    pub substitute: BTreeMap<String, Site>,
    /// ConfigMaps (`true`) and Secrets (`false`) of `spec.postBuild.substituteFrom`, in order; the list
    /// takes the place of the one that is patched.
    pub substitute_from: Option<Vec<(bool, String)>>,
}

/// A Flux source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Index of the object in its file.
    pub object: usize,
    /// `spec.url`, or the endpoint of a Bucket.
    pub url: String,
    /// `spec.type: oci`, or an `oci://` URL.
    pub oci: bool,
}

/// Where a FluxInstance syncs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRoot {
    /// `sync.path`.
    pub path: String,
    /// Index of the object in its file.
    pub object: usize,
}

/// One copy rule of an ArtifactGenerator: a folder of the repository becomes a folder of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactCopy {
    /// Name of the artifact.
    pub artifact: String,
    /// Folder in the source, without its alias.
    pub from: String,
    /// Folder in the artifact.
    pub to: String,
}

/// Values by name: `substitute` of a Kustomization, or the data of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableSet {
    /// Index of the object in its file.
    pub object: usize,
    /// By variable name.
    pub values: BTreeMap<String, Site>,
}

pub(super) fn read(
    context: &Context<'_>,
    document: usize,
    node: NodeId,
    position: usize,
    object: &Object,
    scan: &mut FileScan,
) {
    let parsed = &context.documents[document].document;
    let text = |path: &[&str]| parsed.scalar_at(node, path).map(str::to_owned);
    match (object.group.as_str(), object.kind.as_str()) {
        ("", "ConfigMap") => {
            if let Some(data) = parsed.get(node, "data") {
                let values = values(context, document, data);
                if !values.is_empty() {
                    scan.variables.push(VariableSet { object: position, values });
                }
            }
        }
        (GROUP, "Kustomization") => {
            let mut substitute = None;
            if let Some(data) = parsed.at(node, &["spec", "postBuild", "substitute"]) {
                substitute = Some(scan.variables.len());
                let values = values(context, document, data);
                scan.variables.push(VariableSet { object: position, values });
            }
            let from = substitute_from(&context.documents[document].document, node);
            scan.kustomizations.push(FluxKustomization {
                object: position,
                path: text(&["spec", "path"]).unwrap_or_else(|| "./".to_owned()),
                components: parsed
                    .at(node, &["spec", "components"])
                    .into_iter()
                    .flat_map(|list| parsed.children(list))
                    .filter_map(|(_, item)| parsed.scalar(item).map(str::to_owned))
                    .collect(),
                target_namespace: text(&["spec", "targetNamespace"]),
                source: (
                    text(&["spec", "sourceRef", "kind"]).unwrap_or_default(),
                    text(&["spec", "sourceRef", "name"]).unwrap_or_default(),
                ),
                substitute,
                substitute_from: from.unwrap_or_default(),
                depends_on: waiting(context, document, node),
            });
        }
        (
            "source.toolkit.fluxcd.io",
            "HelmRepository" | "GitRepository" | "OCIRepository" | "Bucket" | "HelmChart",
        ) => {
            let url = text(&["spec", "url"]).or_else(|| text(&["spec", "endpoint"])).unwrap_or_default();
            let oci = url.starts_with("oci://") || text(&["spec", "type"]).as_deref() == Some("oci");
            scan.sources.push(Source { object: position, url, oci });
        }
        ("fluxcd.controlplane.io", "FluxInstance") => {
            if let Some(path) = text(&["spec", "sync", "path"]) {
                scan.syncs.push(SyncRoot { path, object: position });
            }
        }
        ("helm.toolkit.fluxcd.io", "HelmRelease") => {
            scan.releases
                .push(FluxRelease { object: position, depends_on: waiting(context, document, node) });
            if parsed.at(node, &["spec", "values", "instance", "distribution"]).is_some()
                && let Some(path) = text(&["spec", "values", "instance", "sync", "path"])
            {
                scan.syncs.push(SyncRoot { path, object: position });
            }
        }
        ("fluxcd.controlplane.io", "ResourceSet") => {
            // Each row of `inputs` fills the templates of the set's resources.
            if let Some(rows) = parsed.at(node, &["spec", "inputs"]) {
                for (_, row) in parsed.children(rows) {
                    let values = values(context, document, row);
                    scan.variables.push(VariableSet { object: position, values });
                }
            }
        }
        (_, "ArtifactGenerator") => artifacts(context, document, node, scan),
        _ => {}
    }
}

/// `spec.dependsOn: [{name, namespace}]`, of Kustomizations and HelmReleases alike.
fn waiting(context: &Context<'_>, document: usize, node: NodeId) -> Vec<Waiting> {
    let parsed = &context.documents[document].document;
    let Some(list) = parsed.at(node, &["spec", "dependsOn"]) else { return Vec::new() };
    parsed
        .children(list)
        .take(MAX_WAITING)
        .filter_map(|(_, item)| {
            let text =
                |key: &str| parsed.scalar_at(item, &[key]).filter(|text| !text.is_empty()).map(str::to_owned);
            let line = context.lines.line(parsed.span(item).start);
            Some(Waiting { name: text("name")?, namespace: text("namespace"), line })
        })
        .collect()
}

/// ConfigMaps and Secrets of `substituteFrom`.
fn substitute_from(parsed: &Document<'_>, node: NodeId) -> Option<Vec<(bool, String)>> {
    let list = parsed.at(node, &["spec", "postBuild", "substituteFrom"])?;
    let items = parsed.children(list).filter_map(|(_, item)| {
        let kind = parsed.scalar_at(item, &["kind"])?;
        Some((kind == "ConfigMap", parsed.scalar_at(item, &["name"])?.to_owned()))
    });
    Some(items.collect())
}

/// What a strategic merge patch of Kustomizations gives them.
pub(super) fn read_patch(
    context: &Context<'_>,
    document: usize,
    node: NodeId,
    object: &Object,
    target: &PatchTarget,
    scan: &mut FileScan,
) {
    if (object.group.as_str(), object.kind.as_str()) != (GROUP, "Kustomization") {
        return;
    }
    let parsed = &context.documents[document];
    let data = parsed.document.at(node, &["spec", "postBuild", "substitute"]);
    let substitute = data.map(|data| values(context, document, data)).unwrap_or_default();
    let substitute_from = substitute_from(&parsed.document, node);
    if !substitute.is_empty() || substitute_from.is_some() {
        let target = target.or_of(object);
        scan.substitutions.push(SubstitutionPatch {
            document: parsed.index,
            target: Some(target),
            substitute,
            substitute_from,
        });
    }
}

/// What the operations of a JSON 6902 patch give to Kustomizations.
pub(super) fn read_operations(patch: &JsonPatch, scan: &mut FileScan) {
    let Some((_, first)) = patch.values.first() else { return };
    if !patch.target.as_ref().is_none_or(PatchTarget::may_be_kustomization) {
        return;
    }
    let mut found = SubstitutionPatch {
        document: first.document,
        target: patch.target.clone(),
        ..SubstitutionPatch::default()
    };
    // Kind and name of one item stand beside each other.
    let mut items: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for (pointer, site) in &patch.values {
        let Some(rest) = pointer.strip_prefix("/spec/postBuild/") else { continue };
        if let Some(name) = rest.strip_prefix("substitute/") {
            found.substitute.insert(name.to_owned(), site.clone());
        } else if let Some((item, field)) =
            rest.strip_prefix("substituteFrom/").and_then(|rest| rest.split_once('/'))
        {
            let item = items.entry(item).or_default();
            match field {
                "kind" => item.0 = Some(&site.text),
                "name" => item.1 = Some(&site.text),
                _ => {}
            }
        }
    }
    let list: Vec<_> = items
        .into_values()
        .filter_map(|(kind, name)| Some((kind? == "ConfigMap", name?.to_owned())))
        .collect();
    found.substitute_from = (!list.is_empty()).then_some(list);
    if !found.substitute.is_empty() || found.substitute_from.is_some() {
        scan.substitutions.push(found);
    }
}

fn values(context: &Context<'_>, document: usize, data: NodeId) -> BTreeMap<String, Site> {
    let parsed = &context.documents[document].document;
    parsed
        .children(data)
        .filter_map(|(key, value)| {
            let short = parsed.scalar(value).is_some_and(|text| !text.is_empty() && text.len() <= MAX_VALUE);
            Some((key?.to_owned(), short.then(|| context.site(document, value)).flatten()?))
        })
        .collect()
}

/// `copy: [{from: "@alias/folder/**", to: "@artifact/folder/"}]` (Flux source-watcher, ArtifactGenerator).
fn artifacts(context: &Context<'_>, document: usize, node: NodeId, scan: &mut FileScan) {
    let parsed = &context.documents[document].document;
    let Some(list) = parsed.at(node, &["spec", "artifacts"]) else { return };
    for (_, artifact) in parsed.children(list) {
        let Some(name) = parsed.scalar_at(artifact, &["name"]) else { continue };
        let Some(copies) = parsed.get(artifact, "copy") else { continue };
        for (_, copy) in parsed.children(copies) {
            let folder = |key: &str| {
                let text = parsed.scalar_at(copy, &[key])?.strip_prefix('@')?;
                let path = text.split_once('/').map_or("", |(_, path)| path);
                Some(path.trim_end_matches("/**").trim_end_matches("**").trim_matches('/').to_owned())
            };
            if let (Some(from), Some(to)) = (folder("from"), folder("to")) {
                scan.artifacts.push(ArtifactCopy { artifact: name.to_owned(), from, to });
            }
        }
    }
}

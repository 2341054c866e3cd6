//! The facts that a plan rests on, from the cluster as it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::Client;
use kube::api::DynamicObject;

use super::list::{Kind, Unseen, label, text};
use crate::domain::facts::{Facts, FluxFact, HelmReleaseFact, LonghornFact, NodeFact};
use crate::domain::problem::{Category, Problem};

const NODES: Kind =
    Kind { group: "", versions: &["v1"], kind: "Node", plural: "nodes", namespace: None, labels: "" };
const FLUX: Kind = Kind {
    group: "apps",
    versions: &["v1"],
    kind: "Deployment",
    plural: "deployments",
    namespace: None,
    labels: "app.kubernetes.io/part-of=flux",
};
/// Flux labels its own CRDs (flux2 `pkg/manifestgen/install`).
const FLUX_CRDS: Kind = Kind {
    group: "apiextensions.k8s.io",
    versions: &["v1"],
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    namespace: None,
    labels: "app.kubernetes.io/part-of=flux",
};
const LONGHORN_SETTINGS: Kind = Kind {
    group: "longhorn.io",
    versions: &["v1beta2", "v1beta1"],
    kind: "Setting",
    plural: "settings",
    namespace: None,
    labels: "",
};
const LONGHORN_VOLUMES: Kind = Kind {
    group: "longhorn.io",
    versions: &["v1beta2", "v1beta1"],
    kind: "Volume",
    plural: "volumes",
    namespace: None,
    labels: "",
};
const HELM_RELEASES: Kind = Kind {
    group: "helm.toolkit.fluxcd.io",
    versions: &["v2", "v2beta2", "v2beta1"],
    kind: "HelmRelease",
    plural: "helmreleases",
    namespace: None,
    labels: "",
};

/// Role labels of nodes (Kubernetes well-known labels).
const ROLE: &str = "node-role.kubernetes.io/";

/// Observes the facts. What cannot be seen is absent from them and told as a problem.
pub async fn observe(client: &Client, version: String, now: Timestamp) -> (Facts, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut facts = Facts { taken_at: Some(now), kubernetes: Some(version), ..Facts::default() };

    let seen = NODES.each(client, |object| facts.nodes.push(node(object))).await;
    note(seen, &mut problems);
    facts.nodes.sort_by(|one, other| one.name.cmp(&other.name));

    let mut flux = FluxFact::default();
    let seen = FLUX.each(client, |object| controller(object, &mut flux)).await;
    note(seen, &mut problems);
    let seen = FLUX_CRDS
        .each(client, |object| {
            let versions = object.data.pointer("/status/storedVersions").and_then(|stored| stored.as_array());
            let versions = versions.into_iter().flatten().filter_map(|version| version.as_str());
            flux.stored_versions.insert(name(object), versions.map(str::to_owned).collect());
        })
        .await;
    note(seen, &mut problems);
    facts.flux = (flux != FluxFact::default()).then_some(flux);

    facts.longhorn = longhorn(client, &mut problems).await;

    let seen = HELM_RELEASES.each(client, |object| facts.helm_releases.extend(helm_release(object))).await;
    note(seen, &mut problems);
    facts
        .helm_releases
        .sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    (facts, problems)
}

fn note(seen: Result<(), Unseen>, problems: &mut Vec<Problem>) {
    if let Err(Unseen::Because(message)) = seen {
        problems.push(Problem {
            category: Category::Cluster,
            file: None,
            line: None,
            upstream: None,
            message,
        });
    }
}

fn name(object: &DynamicObject) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

fn node(object: &DynamicObject) -> NodeFact {
    let labels = object.metadata.labels.iter().flatten();
    let roles = labels.filter_map(|(label, _)| label.strip_prefix(ROLE)).filter(|role| !role.is_empty());
    let conditions = object.data.pointer("/status/conditions").and_then(|conditions| conditions.as_array());
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    NodeFact {
        name: name(object),
        roles: roles.map(str::to_owned).collect(),
        kubelet: text(object, "/status/nodeInfo/kubeletVersion").unwrap_or_default().to_owned(),
        ready,
        schedulable: object.data.pointer("/spec/unschedulable").and_then(serde_json::Value::as_bool)
            != Some(true),
    }
}

/// The distribution's version is a label of every controller; a controller's own is the tag of its image.
fn controller(object: &DynamicObject, flux: &mut FluxFact) {
    if flux.distribution.is_none() {
        flux.distribution = label(object, "app.kubernetes.io/version").map(str::to_owned);
    }
    let image = text(object, "/spec/template/spec/containers/0/image").unwrap_or_default();
    let reference = image.split('@').next().unwrap_or(image);
    let path = reference.rsplit('/').next().unwrap_or(reference);
    if let Some((_, tag)) = path.split_once(':') {
        flux.controllers.insert(name(object), tag.to_owned());
    }
}

async fn longhorn(client: &Client, problems: &mut Vec<Problem>) -> Option<LonghornFact> {
    let mut longhorn = LonghornFact::default();
    let mut engine = None;
    let seen = LONGHORN_SETTINGS
        .each(client, |object| {
            // A setting's value stands beside its metadata, not in a spec.
            let value = object.data.get("value").and_then(|value| value.as_str()).map(str::to_owned);
            match object.metadata.name.as_deref() {
                Some("current-longhorn-version") => longhorn.current = value,
                Some("default-engine-image") => engine = value,
                _ => {}
            }
        })
        .await;
    if matches!(seen, Err(Unseen::Absent)) {
        return None;
    }
    note(seen, problems);
    let mut volumes: BTreeMap<String, usize> = BTreeMap::new();
    let mut old = 0;
    let seen = LONGHORN_VOLUMES
        .each(client, |object| {
            let robustness = text(object, "/status/robustness").unwrap_or("unknown");
            *volumes.entry(robustness.to_owned()).or_default() += 1;
            let image = text(object, "/status/currentImage").filter(|image| !image.is_empty());
            if image.is_some() && engine.is_some() && image != engine.as_deref() {
                old += 1;
            }
        })
        .await;
    let all_seen = seen.is_ok() && engine.is_some();
    note(seen, problems);
    longhorn.volumes = volumes;
    longhorn.old_engines = all_seen.then_some(old);
    Some(longhorn)
}

/// A release that Helm has done something for; `history[0]` is the newest (HelmRelease v2), older versions write
/// `lastAppliedRevision`.
fn helm_release(object: &DynamicObject) -> Option<HelmReleaseFact> {
    let latest = object.data.pointer("/status/history/0");
    let of_latest = |field: &str| {
        latest.and_then(|latest| latest.get(field)).and_then(|value| value.as_str()).map(str::to_owned)
    };
    let version = of_latest("chartVersion")
        .or_else(|| text(object, "/status/lastAppliedRevision").map(str::to_owned))?;
    let chart = of_latest("chartName")
        .or_else(|| text(object, "/spec/chart/spec/chart").map(str::to_owned))
        .unwrap_or_default();
    Some(HelmReleaseFact {
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: name(object),
        chart,
        version,
        status: of_latest("status").unwrap_or_default(),
    })
}

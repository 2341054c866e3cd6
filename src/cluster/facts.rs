//! The facts that a plan rests on, from the cluster as it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::live::{Live, Unseen};
use crate::domain::facts::{Facts, FluxFact, HelmReleaseFact, LonghornFact, NodeFact};
use crate::domain::problem::{Category, Problem};
use crate::domain::settle::kind::Kind;

/// Flux labels what it installs, its CRDs too (flux2 `pkg/manifestgen/install`).
const OF_FLUX: &str = "app.kubernetes.io/part-of=flux";
/// Longhorn's CRDs (longhorn `deploy/longhorn.yaml`).
const OF_LONGHORN: &str = "app.kubernetes.io/name=longhorn";

/// Role labels of nodes (Kubernetes well-known labels).
const ROLE: &str = "node-role.kubernetes.io/";

/// Observes the facts. What cannot be seen is absent from them and told as a problem.
pub async fn observe(cluster: &Live, now: Timestamp) -> (Facts, Vec<Problem>) {
    let mut problems = Vec::new();
    let kubernetes = Some(cluster.version().to_owned()).filter(|version| !version.is_empty());
    // People read and compare the file; nothing is known to a fraction of a second.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let mut facts = Facts { taken_at: Some(now), kubernetes, ..Facts::default() };

    let seen = cluster.each(Kind::Node, "", |object| facts.nodes.push(node(object))).await;
    note(seen, &mut problems);
    facts.nodes.sort_by(|one, other| one.name.cmp(&other.name));

    let mut flux = FluxFact::default();
    let seen = cluster.each(Kind::Deployment, OF_FLUX, |object| controller(object, &mut flux)).await;
    note(seen, &mut problems);
    note(stored_versions(cluster, OF_FLUX, ".fluxcd.io", &mut flux.stored_versions).await, &mut problems);
    facts.flux = (flux != FluxFact::default()).then_some(flux);

    facts.longhorn = Some(longhorn(cluster, &mut problems).await);

    let seen =
        cluster.each(Kind::HelmRelease, "", |object| facts.helm_releases.extend(helm_release(object))).await;
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

/// Text at a path of an object.
fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

fn name(object: &Value) -> String {
    text(object, "/metadata/name").unwrap_or_default().to_owned()
}

async fn stored_versions(
    cluster: &Live,
    labels: &str,
    group: &str,
    versions: &mut BTreeMap<String, Vec<String>>,
) -> Result<(), Unseen> {
    cluster
        .each(Kind::CustomResourceDefinition, labels, |object| {
            let stored = object.pointer("/status/storedVersions").and_then(Value::as_array);
            let stored = stored.into_iter().flatten().filter_map(Value::as_str);
            // Charts of others may set the same label.
            let name = name(object);
            if name.ends_with(group) {
                versions.insert(name, stored.map(str::to_owned).collect());
            }
        })
        .await
}

fn node(object: &Value) -> NodeFact {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let labels = labels.into_iter().flat_map(|labels| labels.keys());
    let roles = labels.filter_map(|label| label.strip_prefix(ROLE)).filter(|role| !role.is_empty());
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    NodeFact {
        name: name(object),
        roles: roles.map(str::to_owned).collect(),
        kubelet: text(object, "/status/nodeInfo/kubeletVersion").unwrap_or_default().to_owned(),
        ready,
        schedulable: object.pointer("/spec/unschedulable").and_then(Value::as_bool) != Some(true),
    }
}

/// The distribution's version is a label of every controller; a controller's own is the tag of its image.
fn controller(object: &Value, flux: &mut FluxFact) {
    if flux.distribution.is_none() {
        let version = text(object, "/metadata/labels/app.kubernetes.io~1version");
        flux.distribution = version.map(str::to_owned);
    }
    let image = text(object, "/spec/template/spec/containers/0/image").unwrap_or_default();
    let reference = image.split('@').next().unwrap_or(image);
    let path = reference.rsplit('/').next().unwrap_or(reference);
    if let Some((_, tag)) = path.split_once(':') {
        flux.controllers.insert(name(object), tag.to_owned());
    }
}

async fn longhorn(cluster: &Live, problems: &mut Vec<Problem>) -> LonghornFact {
    let mut longhorn = LonghornFact::default();
    let mut engine = None;
    let seen = cluster
        .each(Kind::LonghornSetting, "", |object| {
            // A setting's value stands beside its metadata, not in a spec.
            let value = text(object, "/value").map(str::to_owned);
            match text(object, "/metadata/name") {
                Some("current-longhorn-version") => longhorn.current = value,
                Some("default-engine-image") => engine = value,
                _ => {}
            }
        })
        .await;
    if matches!(seen, Err(Unseen::Absent)) {
        return LonghornFact { installed: Some(false), ..longhorn };
    }
    longhorn.installed = seen.is_ok().then_some(true);
    note(seen, problems);
    let mut volumes: BTreeMap<String, usize> = BTreeMap::new();
    let mut old = 0;
    let seen = cluster
        .each(Kind::LonghornVolume, "", |object| {
            let robustness = text(object, "/status/robustness").unwrap_or("unknown");
            *volumes.entry(robustness.to_owned()).or_default() += 1;
            let image = text(object, "/status/currentImage").filter(|image| !image.is_empty());
            if image.is_some() && engine.is_some() && image != engine.as_deref() {
                old += 1;
            }
        })
        .await;
    longhorn.volumes = seen.is_ok().then_some(volumes);
    longhorn.old_engines = (seen.is_ok() && engine.is_some()).then_some(old);
    note(seen, problems);
    note(
        stored_versions(cluster, OF_LONGHORN, ".longhorn.io", &mut longhorn.stored_versions).await,
        problems,
    );
    longhorn
}

/// A release that Helm has done something for; `history[0]` is the newest (HelmRelease v2), older versions write
/// `lastAppliedRevision`.
fn helm_release(object: &Value) -> Option<HelmReleaseFact> {
    let latest = object.pointer("/status/history/0");
    let of_latest = |field: &str| {
        latest.and_then(|latest| latest.get(field)).and_then(|value| value.as_str()).map(str::to_owned)
    };
    let version = of_latest("chartVersion")
        .or_else(|| text(object, "/status/lastAppliedRevision").map(str::to_owned))?;
    let chart = of_latest("chartName")
        .or_else(|| text(object, "/spec/chart/spec/chart").map(str::to_owned))
        .unwrap_or_default();
    Some(HelmReleaseFact {
        namespace: text(object, "/metadata/namespace").unwrap_or_default().to_owned(),
        name: name(object),
        chart,
        version,
        status: of_latest("status").unwrap_or_default(),
    })
}

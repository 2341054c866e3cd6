//! Who owns pods: they come and go, and what is wrong with them is wrong with their owner.

use std::collections::BTreeMap;

use super::look::{named, subject};
use crate::domain::settle::finding::{Category, Subject};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Detail, Object};
use crate::domain::settle::world::World;

/// Label of the pods of a ReplicaSet that a Deployment made.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// Label of what makes Flux up.
const PART_OF: &str = "app.kubernetes.io/part-of";
/// Label of the Jobs and pods of a Plan.
const PLAN: &str = "upgrade.cattle.io/plan";

/// What owns a pod or a Job in the end; the object itself where nothing does.
pub(super) fn owner_of(world: &World, object: &Object) -> Subject {
    let namespace = object.meta.namespace.as_str();
    if let Some(plan) = object.meta.labels.get(PLAN) {
        return named(Kind::Plan.name(), namespace, plan);
    }
    let Some(owner) = object.controller() else { return subject(object) };
    let above = |kind: Kind| {
        world
            .get(kind, namespace, &owner.name)
            .and_then(Object::controller)
            .map(|above| (&above.kind, &above.name))
    };
    match owner.kind.as_str() {
        "ReplicaSet" => match (above(Kind::ReplicaSet), object.meta.labels.get(TEMPLATE_HASH)) {
            (Some((kind, name)), _) => named(kind, namespace, name),
            // Where ReplicaSets are not watched their names still tell.
            (None, Some(hash)) => match owner.name.strip_suffix(hash).and_then(|rest| rest.strip_suffix('-'))
            {
                Some(name) => named("Deployment", namespace, name),
                None => named("ReplicaSet", namespace, &owner.name),
            },
            (None, None) => named("ReplicaSet", namespace, &owner.name),
        },
        "Job" => match above(Kind::Job) {
            Some((kind, name)) => named(kind, namespace, name),
            None => named("Job", namespace, &owner.name),
        },
        // Static pods belong to their node, and only their own name says what they are.
        "Node" => subject(object),
        kind => named(kind, namespace, &owner.name),
    }
}

/// The category that a workload belongs to.
pub(super) fn category_of(object: &Object) -> Category {
    let label = |name: &str| object.meta.labels.get(name).map(String::as_str);
    let namespace = object.meta.namespace.as_str();
    if label(PART_OF) == Some("flux") || namespace == "flux-system" {
        return Category::Flux;
    }
    match namespace {
        "longhorn-system" => Category::Storage,
        "kube-system" | "system-upgrade" => Category::Infrastructure,
        "metallb-system" | "ingress-nginx" | "traefik" | "calico-system" | "kube-flannel" | "cilium" => {
            Category::Network
        }
        _ => Category::Applications,
    }
}

/// Restarts of containers, by what owns their pods (`Kind/namespace/name`).
///
/// Counts only what restarts: a pod that is made anew begins at nothing, so a sum may fall.
pub fn restarts(world: &World) -> BTreeMap<String, i64> {
    let mut restarts = BTreeMap::new();
    for object in world.of(Kind::Pod) {
        let Detail::Pod(pod) = &object.detail else { continue };
        let count: i64 = pod.containers.iter().map(|container| container.restarts).sum();
        if count > 0 {
            *restarts.entry(title(&owner_of(world, object))).or_default() += count;
        }
    }
    restarts
}

/// `Kind/namespace/name`, or `Kind/name`.
pub(super) fn title(subject: &Subject) -> String {
    if subject.namespace.is_empty() {
        format!("{}/{}", subject.kind, subject.name)
    } else {
        format!("{}/{}/{}", subject.kind, subject.namespace, subject.name)
    }
}

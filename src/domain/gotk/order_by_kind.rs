//! The order of objects that kustomize called `legacy`, which Flux used until 2.0.0-rc.3.

use super::tree::Node;

/// Kinds that come first, in this order; every other kind comes behind them.
/// Source: `orderFirst` in kustomize `api/resmap` (now `api/internal/builtins/SortOrderTransformer.go`).
const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
];

/// Sorts by kind, then by name. The kinds of a release have one API version each.
pub(super) fn sort(objects: &mut [Node]) {
    objects.sort_by_cached_key(|object| {
        let place = FIRST.iter().position(|kind| *kind == object.kind()).unwrap_or(FIRST.len());
        (place, object.kind().to_owned(), object.name().to_owned())
    });
}

//! How kinds of objects that people name are asked for, where they do not say it.

use crate::domain::settle::kind::Kind;

/// Kinds of the API `v1` (Kubernetes, API reference of `core/v1`).
const CORE: [&str; 17] = [
    "Binding",
    "ComponentStatus",
    "ConfigMap",
    "Endpoints",
    "Event",
    "LimitRange",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
];

/// Kinds of other APIs that are in wide use, beside those that are watched (Kubernetes, API reference).
const OTHERS: [(&str, &str); 12] = [
    ("ClusterIssuer", "cert-manager.io/v1"),
    ("ClusterRole", "rbac.authorization.k8s.io/v1"),
    ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1"),
    ("CronJob", "batch/v1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2"),
    ("IngressClass", "networking.k8s.io/v1"),
    ("Issuer", "cert-manager.io/v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("PriorityClass", "scheduling.k8s.io/v1"),
    ("Role", "rbac.authorization.k8s.io/v1"),
    ("RoleBinding", "rbac.authorization.k8s.io/v1"),
    ("Lease", "coordination.k8s.io/v1"),
];

/// Whether a kind is one of the API `v1`.
pub fn is_core(kind: &str) -> bool {
    CORE.contains(&kind)
}

/// The `apiVersion` of a kind of another API than `v1`, where it is known.
pub fn api_version_of(kind: &str) -> Option<String> {
    let watched = Kind::ALL.iter().map(|known| known.api());
    let mut watched = watched.filter(|api| api.kind == kind && !api.group.is_empty());
    let watched = watched.find_map(|api| Some(format!("{}/{}", api.group, api.versions.first()?)));
    let other = || OTHERS.iter().find(|(name, _)| *name == kind).map(|(_, version)| (*version).to_owned());
    watched.or_else(other)
}

/// A kind as in URLs, guessed as Kubernetes guesses it (`meta.UnsafeGuessKindToResource` of its API machinery).
pub fn plural_of(kind: &str) -> String {
    let singular = kind.to_ascii_lowercase();
    match singular.chars().last() {
        _ if singular.ends_with("endpoints") => singular,
        Some('s') => format!("{singular}es"),
        Some('y') => format!("{}ies", singular.strip_suffix('y').unwrap_or(&singular)),
        _ => format!("{singular}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_of_known_kinds_are_guessed_right() {
        for kind in Kind::ALL {
            assert_eq!(plural_of(kind.name()), kind.api().plural);
        }
        assert_eq!(plural_of("NetworkPolicy"), "networkpolicies");
        assert_eq!(plural_of("Endpoints"), "endpoints");
    }

    #[test]
    fn kinds_of_other_apis_are_known_by_what_is_written_for_them() {
        assert_eq!(api_version_of("Deployment").as_deref(), Some("apps/v1"));
        assert_eq!(api_version_of("CronJob").as_deref(), Some("batch/v1"));
        assert_eq!(api_version_of("ConfigMap"), None);
        assert_eq!(api_version_of("Thing"), None);
        // The nodes of Longhorn have the name of those of Kubernetes, which is what a person means.
        assert!(is_core("Node") && OTHERS.iter().all(|(kind, _)| !is_core(kind)));
    }
}

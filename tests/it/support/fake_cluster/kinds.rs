//! Which kinds are served: those of every cluster, and those of its CustomResourceDefinitions.

use serde_json::Value;

/// A kind, and how it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) group: String,
    /// The preferred one first.
    pub(crate) versions: Vec<String>,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
    /// It has a status subresource.
    pub(crate) status: bool,
    /// Its spec is counted.
    pub(crate) generation: bool,
    /// It comes from a CustomResourceDefinition.
    pub(crate) custom: bool,
}

impl Served {
    /// `helmreleases.helm.toolkit.fluxcd.io`; `pods`.
    pub(crate) fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `helm.toolkit.fluxcd.io/v2`; `v1`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }
}

/// Group, version, kind, plural, namespaced, status subresource, generation.
type Row = (&'static str, &'static str, &'static str, &'static str, bool, bool, bool);

const BUILT_IN: &[Row] = &[
    ("", "v1", "Namespace", "namespaces", false, true, false),
    ("", "v1", "Node", "nodes", false, true, false),
    ("", "v1", "Pod", "pods", true, true, false),
    ("", "v1", "Service", "services", true, true, false),
    ("", "v1", "ServiceAccount", "serviceaccounts", true, false, false),
    ("", "v1", "ConfigMap", "configmaps", true, false, false),
    ("", "v1", "Secret", "secrets", true, false, false),
    ("", "v1", "Event", "events", true, false, false),
    ("", "v1", "PersistentVolume", "persistentvolumes", false, true, false),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true, true, false),
    ("apps", "v1", "Deployment", "deployments", true, true, true),
    ("apps", "v1", "ReplicaSet", "replicasets", true, true, true),
    ("apps", "v1", "StatefulSet", "statefulsets", true, true, true),
    ("apps", "v1", "DaemonSet", "daemonsets", true, true, true),
    ("batch", "v1", "Job", "jobs", true, true, true),
    ("batch", "v1", "CronJob", "cronjobs", true, true, true),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", true, true, true),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true, false, true),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true, false, true),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", false, false, false),
    ("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", false, true, false),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true, true, true),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", false, true, false),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
        true,
        true,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
        false,
        true,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
        false,
        true,
    ),
    ("coordination.k8s.io", "v1", "Lease", "leases", true, false, false),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true, false, false),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true, false, false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false, false, false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false, false, false),
];

pub(super) fn built_in() -> Vec<Served> {
    let served = |&(group, version, kind, plural, namespaced, status, generation): &Row| Served {
        group: group.to_owned(),
        versions: vec![version.to_owned()],
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced,
        status,
        generation,
        custom: false,
    };
    BUILT_IN.iter().map(served).collect()
}

/// What a CustomResourceDefinition serves; nothing where no version is.
pub(super) fn of_definition(definition: &Value) -> Option<Served> {
    let spec = definition.get("spec")?;
    let versions = spec["versions"].as_array()?;
    let served: Vec<&Value> = versions.iter().filter(|version| version["served"] == true).collect();
    let first = served.first()?;
    Some(Served {
        group: spec["group"].as_str()?.to_owned(),
        versions: served.iter().filter_map(|version| version["name"].as_str()).map(str::to_owned).collect(),
        kind: spec["names"]["kind"].as_str()?.to_owned(),
        plural: spec["names"]["plural"].as_str()?.to_owned(),
        namespaced: spec["scope"] == "Namespaced",
        status: first["subresources"].get("status").is_some(),
        generation: true,
        custom: true,
    })
}

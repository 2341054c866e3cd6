//! The kinds of objects that a judgement can rest on.

/// A kind of objects in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Flux `GitRepository`.
    GitRepository,
    /// Flux `OCIRepository`.
    OciRepository,
    /// Flux `Bucket`.
    Bucket,
    /// Flux `HelmRepository`.
    HelmRepository,
    /// Flux `HelmChart`.
    HelmChart,
    /// Flux `ExternalArtifact`.
    ExternalArtifact,
    /// Flux `Kustomization`.
    Kustomization,
    /// Flux `HelmRelease`.
    HelmRelease,
    /// Flux Operator's `FluxInstance`.
    FluxInstance,
    /// Flux Operator's `ResourceSet`.
    ResourceSet,
    /// system-upgrade-controller's `Plan`.
    Plan,
    /// `Node`.
    Node,
    /// `Namespace`.
    Namespace,
    /// `Pod`.
    Pod,
    /// `Deployment`.
    Deployment,
    /// `ReplicaSet`.
    ReplicaSet,
    /// `StatefulSet`.
    StatefulSet,
    /// `DaemonSet`.
    DaemonSet,
    /// `Job`.
    Job,
    /// `Service`.
    Service,
    /// `EndpointSlice`.
    EndpointSlice,
    /// `Ingress`.
    Ingress,
    /// `PersistentVolumeClaim`.
    PersistentVolumeClaim,
    /// `PersistentVolume`.
    PersistentVolume,
    /// `StorageClass`.
    StorageClass,
    /// `VolumeAttachment`.
    VolumeAttachment,
    /// `PodDisruptionBudget`.
    PodDisruptionBudget,
    /// `APIService`.
    ApiService,
    /// `CustomResourceDefinition`.
    CustomResourceDefinition,
    /// `ValidatingWebhookConfiguration`.
    ValidatingWebhookConfiguration,
    /// `MutatingWebhookConfiguration`.
    MutatingWebhookConfiguration,
    /// cert-manager's `Certificate`.
    Certificate,
    /// Longhorn's `Volume`.
    LonghornVolume,
    /// Longhorn's `Node`.
    LonghornNode,
    /// Longhorn's `Engine`.
    LonghornEngine,
    /// Longhorn's `Replica`.
    LonghornReplica,
    /// Longhorn's `EngineImage`.
    LonghornEngineImage,
    /// Longhorn's `Setting`.
    LonghornSetting,
    /// Longhorn's `BackupTarget`.
    LonghornBackupTarget,
    /// Longhorn's `BackingImage`.
    LonghornBackingImage,
    /// k3s' `ETCDSnapshotFile`.
    EtcdSnapshotFile,
    /// `Event`: a signal, on which no judgement rests.
    Event,
}

/// How a kind is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Versions that are understood, the preferred one first.
    pub versions: &'static [&'static str],
    /// As in `kind:`.
    pub kind: &'static str,
    /// As in URLs.
    pub plural: &'static str,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
}

macro_rules! kinds {
    ($($kind:ident: $group:literal $versions:expr, $name:literal, $plural:literal, $namespaced:literal;)*) => {
        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// How it is asked for.
            pub const fn api(self) -> Api {
                match self {
                    $(Self::$kind => Api {
                        group: $group, versions: &$versions, kind: $name, plural: $plural, namespaced: $namespaced,
                    },)*
                }
            }
        }
    };
}

kinds! {
    GitRepository: "source.toolkit.fluxcd.io" ["v1", "v1beta2"], "GitRepository", "gitrepositories", true;
    OciRepository: "source.toolkit.fluxcd.io" ["v1", "v1beta2"], "OCIRepository", "ocirepositories", true;
    Bucket: "source.toolkit.fluxcd.io" ["v1", "v1beta2"], "Bucket", "buckets", true;
    HelmRepository: "source.toolkit.fluxcd.io" ["v1", "v1beta2"], "HelmRepository", "helmrepositories", true;
    HelmChart: "source.toolkit.fluxcd.io" ["v1", "v1beta2"], "HelmChart", "helmcharts", true;
    ExternalArtifact: "source.toolkit.fluxcd.io" ["v1"], "ExternalArtifact", "externalartifacts", true;
    Kustomization: "kustomize.toolkit.fluxcd.io" ["v1", "v1beta2"], "Kustomization", "kustomizations", true;
    HelmRelease: "helm.toolkit.fluxcd.io" ["v2", "v2beta2", "v2beta1"], "HelmRelease", "helmreleases", true;
    FluxInstance: "fluxcd.controlplane.io" ["v1"], "FluxInstance", "fluxinstances", true;
    ResourceSet: "fluxcd.controlplane.io" ["v1"], "ResourceSet", "resourcesets", true;
    Plan: "upgrade.cattle.io" ["v1"], "Plan", "plans", true;
    Node: "" ["v1"], "Node", "nodes", false;
    Namespace: "" ["v1"], "Namespace", "namespaces", false;
    Pod: "" ["v1"], "Pod", "pods", true;
    Deployment: "apps" ["v1"], "Deployment", "deployments", true;
    ReplicaSet: "apps" ["v1"], "ReplicaSet", "replicasets", true;
    StatefulSet: "apps" ["v1"], "StatefulSet", "statefulsets", true;
    DaemonSet: "apps" ["v1"], "DaemonSet", "daemonsets", true;
    Job: "batch" ["v1"], "Job", "jobs", true;
    Service: "" ["v1"], "Service", "services", true;
    EndpointSlice: "discovery.k8s.io" ["v1"], "EndpointSlice", "endpointslices", true;
    Ingress: "networking.k8s.io" ["v1"], "Ingress", "ingresses", true;
    PersistentVolumeClaim: "" ["v1"], "PersistentVolumeClaim", "persistentvolumeclaims", true;
    PersistentVolume: "" ["v1"], "PersistentVolume", "persistentvolumes", false;
    StorageClass: "storage.k8s.io" ["v1"], "StorageClass", "storageclasses", false;
    VolumeAttachment: "storage.k8s.io" ["v1"], "VolumeAttachment", "volumeattachments", false;
    PodDisruptionBudget: "policy" ["v1"], "PodDisruptionBudget", "poddisruptionbudgets", true;
    ApiService: "apiregistration.k8s.io" ["v1"], "APIService", "apiservices", false;
    CustomResourceDefinition: "apiextensions.k8s.io" ["v1"], "CustomResourceDefinition", "customresourcedefinitions", false;
    ValidatingWebhookConfiguration: "admissionregistration.k8s.io" ["v1"], "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false;
    MutatingWebhookConfiguration: "admissionregistration.k8s.io" ["v1"], "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false;
    Certificate: "cert-manager.io" ["v1"], "Certificate", "certificates", true;
    LonghornVolume: "longhorn.io" ["v1beta2", "v1beta1"], "Volume", "volumes", true;
    LonghornNode: "longhorn.io" ["v1beta2", "v1beta1"], "Node", "nodes", true;
    LonghornEngine: "longhorn.io" ["v1beta2", "v1beta1"], "Engine", "engines", true;
    LonghornReplica: "longhorn.io" ["v1beta2", "v1beta1"], "Replica", "replicas", true;
    LonghornEngineImage: "longhorn.io" ["v1beta2", "v1beta1"], "EngineImage", "engineimages", true;
    LonghornSetting: "longhorn.io" ["v1beta2", "v1beta1"], "Setting", "settings", true;
    LonghornBackupTarget: "longhorn.io" ["v1beta2", "v1beta1"], "BackupTarget", "backuptargets", true;
    LonghornBackingImage: "longhorn.io" ["v1beta2", "v1beta1"], "BackingImage", "backingimages", true;
    EtcdSnapshotFile: "k3s.cattle.io" ["v1"], "ETCDSnapshotFile", "etcdsnapshotfiles", false;
    Event: "" ["v1"], "Event", "events", true;
}

impl Kind {
    /// The kinds on which judgements rest: all but [`Event`](Self::Event), which is not missed when it is out of sight.
    pub const JUDGED: &[Self] = match Self::ALL.split_last() {
        Some((Self::Event, judged)) => judged,
        _ => Self::ALL,
    };

    /// What of the kind is asked for, as a field selector; `None` = everything.
    pub fn field_selector(self) -> Option<&'static str> {
        (self == Self::Event).then_some("type=Warning")
    }

    /// The kind of an object with these `apiVersion` and `kind`; the version does not matter.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Self::ALL.iter().copied().find(|known| {
            let api = known.api();
            api.kind == kind && api.group == group
        })
    }

    /// As in `kind:`; several kinds may have the same.
    pub fn name(self) -> &'static str {
        self.api().kind
    }

    /// The name by which recordings tell what is watched: as in `kind:`, and with the group behind a dot where another
    /// kind has that name already (`Node.longhorn.io`).
    pub fn label(self) -> String {
        let api = self.api();
        if Self::ALL.iter().find(|kind| kind.name() == api.kind) == Some(&self) {
            api.kind.to_owned()
        } else {
            format!("{}.{}", api.kind, api.group)
        }
    }

    /// The kind with this [`label`](Self::label).
    pub fn of_label(label: &str) -> Option<Self> {
        match label.split_once('.') {
            Some((name, group)) => Self::ALL.iter().copied().find(|kind| {
                let api = kind.api();
                api.kind == name && api.group == group
            }),
            None => Self::ALL.iter().copied().find(|kind| kind.name() == label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_one_name_are_told_apart_by_their_group() {
        assert_eq!(Kind::of("v1", "Node"), Some(Kind::Node));
        assert_eq!(Kind::of("longhorn.io/v1beta2", "Node"), Some(Kind::LonghornNode));
        assert_eq!(Kind::of("kustomize.config.k8s.io/v1beta1", "Kustomization"), None);
    }

    #[test]
    fn no_judgement_rests_on_events() {
        assert_eq!(Kind::JUDGED.len() + 1, Kind::ALL.len());
        assert!(!Kind::JUDGED.contains(&Kind::Event));
    }

    #[test]
    fn every_label_names_its_own_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_label(&kind.label()), Some(*kind));
        }
        assert_eq!(Kind::LonghornNode.label(), "Node.longhorn.io");
    }

    #[test]
    fn every_kind_is_found_by_what_its_objects_say() {
        for kind in Kind::ALL {
            let api = kind.api();
            for version in api.versions {
                let api_version = if api.group.is_empty() {
                    (*version).to_owned()
                } else {
                    format!("{}/{version}", api.group)
                };
                assert_eq!(Kind::of(&api_version, api.kind), Some(*kind));
            }
        }
    }
}

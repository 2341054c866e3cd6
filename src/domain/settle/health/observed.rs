//! What could not be looked at: said as such, never as healthy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::settle::finding::Category;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::world::{Sight, World};

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unobserved {
    /// The part of the cluster that less is known of.
    pub category: Category,
    /// As in `kind:`, with its group where another kind has the same name; or a trial.
    pub what: String,
    /// Why, with what is missing.
    pub reason: String,
}

/// How the part of a reason begins that says which right is missing; it is another for each kind.
pub const MISSING_RIGHT: &str = "grant the account";

/// What it takes to look at a kind: verbs of RBAC.
pub const LOOKING: [&str; 3] = ["get", "list", "watch"];

/// What could not be looked at, by reason, in the order in which each is first told. Where the account lacks a right of
/// many kinds, that is one reason.
pub fn by_reason(unobserved: &[Unobserved]) -> Vec<(String, Vec<&Unobserved>)> {
    // A trial lacks others, each its own.
    let verbs = format!("[{}]", LOOKING.join(", "));
    let is_denied = |one: &Unobserved| one.reason.contains(MISSING_RIGHT) && one.reason.contains(&verbs);
    let many = unobserved.iter().filter(|one| is_denied(one)).count() > 1;
    let mut reasons: Vec<(String, Vec<&Unobserved>)> = vec![];
    for one in unobserved {
        let reason = match is_denied(one) && many {
            true => format!(
                "the API server answered 403: {MISSING_RIGHT} get, list and watch of these, as the component `observe` of deploy/ does"
            ),
            false => one.reason.clone(),
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, known)) => known.push(one),
            None => reasons.push((reason, vec![one])),
        }
    }
    reasons
}

/// Kinds that the checks of a category look at.
pub(super) fn kinds(category: Category) -> &'static [Kind] {
    match category {
        Category::Infrastructure => &[
            Kind::Node,
            Kind::ApiService,
            Kind::CustomResourceDefinition,
            Kind::ValidatingWebhookConfiguration,
            Kind::MutatingWebhookConfiguration,
        ],
        Category::Flux => &[
            Kind::GitRepository,
            Kind::OciRepository,
            Kind::Bucket,
            Kind::HelmRepository,
            Kind::HelmChart,
            Kind::ExternalArtifact,
            Kind::Kustomization,
            Kind::HelmRelease,
            Kind::FluxInstance,
            Kind::ResourceSet,
        ],
        Category::Storage => &[
            Kind::PersistentVolumeClaim,
            Kind::PersistentVolume,
            Kind::VolumeAttachment,
            Kind::LonghornVolume,
            Kind::LonghornNode,
            Kind::LonghornEngine,
            Kind::LonghornReplica,
            Kind::LonghornEngineImage,
            Kind::LonghornBackupTarget,
        ],
        Category::Network => &[Kind::Service, Kind::EndpointSlice, Kind::Ingress, Kind::Certificate],
        Category::Applications => {
            &[Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Pod, Kind::Job]
        }
        Category::Custom => &[],
    }
}

/// What of a category could not be looked at. Kinds that the cluster does not have are not among it.
pub fn not_observed(world: &World, category: Category) -> Vec<Unobserved> {
    let mut unobserved = vec![];
    for kind in kinds(category) {
        let reason = match world.sees(*kind) {
            Sight::Seen | Sight::Absent => continue,
            Sight::Unseen { reason } => reason.to_owned(),
            Sight::Lost { since } => {
                format!("sight of it was lost at {}", world.wall_at(since).strftime("%Y-%m-%d %H:%M:%S UTC"))
            }
            Sight::NotWatched => "nobody looks at it".to_owned(),
        };
        unobserved.push(Unobserved { category, what: kind.label(), reason });
    }
    // The cluster's own parts are in namespaces of their own.
    let namespace = match category {
        Category::Infrastructure => "kube-system",
        Category::Flux => "flux-system",
        _ => return unobserved,
    };
    if !world.sees_namespace(namespace) {
        let reason = "it is not among the namespaces that are watched".to_owned();
        unobserved.push(Unobserved { category, what: format!("namespace {namespace}"), reason });
    }
    unobserved
}

//! What must be so in the cluster before a change is merged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::look::{Look, subject};
use super::nodes::Quorum;
use super::owner::title;
use super::{HealthSettings, before_longhorn, findings};
use crate::domain::settle::finding::{Category, Finding, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::Detail;
use crate::domain::settle::world::{Sight, World};

/// What a change moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moves {
    /// Nodes are restarted one after the other (k3s).
    pub nodes: bool,
    /// Nodes are drained before.
    pub drains: bool,
    /// Longhorn itself.
    pub longhorn: bool,
}

/// A reason not to merge now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concern {
    /// The word for scripts, such as `etcd_quorum`.
    pub code: String,
    /// The object, as `Kind/namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<String>,
    /// For people.
    pub text: String,
    /// It could not be looked at: nothing is known to be wrong.
    pub not_observed: bool,
}

/// Why a change must not be merged now; empty where nothing speaks against it.
///
/// Storage, etcd or nodes that are bad already hold every change; the rest holds what moves nodes or Longhorn.
pub fn prechecks(world: &World, settings: &HealthSettings, moves: Moves) -> Vec<Concern> {
    let mut concerns: Vec<Concern> = findings(world, settings)
        .iter()
        .filter(|finding| holds(finding, moves))
        .map(|finding| Concern {
            code: finding.check.clone(),
            object: Some(title(&finding.subject)),
            text: format!("{}: {}", finding.reason, finding.message),
            not_observed: false,
        })
        .collect();
    let look = Look::new(world, settings);
    // A node that has just gone away is no reason to take another one.
    concerns.extend(away(&look));
    if moves.nodes {
        concerns.extend(quorum(&look));
    }
    if moves.drains {
        concerns.extend(budgets(&look));
    }
    if moves.longhorn {
        concerns.extend(before_longhorn::concerns(&look));
    }
    concerns.extend(unseen(world, moves));
    let mut seen = std::collections::BTreeSet::new();
    concerns.retain(|concern| seen.insert((concern.code.clone(), concern.object.clone())));
    concerns
}

pub(super) fn concern(code: &str, object: Option<String>, text: String) -> Concern {
    Concern { code: code.to_owned(), object, text, not_observed: false }
}

/// Whether a finding holds a change.
fn holds(finding: &Finding, moves: Moves) -> bool {
    if finding.severity == Severity::Notice {
        // A volume that has been degraded for a moment only may not lose another replica.
        return (moves.nodes || moves.longhorn)
            && finding.check == "longhorn_volume"
            && finding.reason == "degraded";
    }
    match finding.check.as_str() {
        "node_ready" | "node_schedulable" | "etcd_member" | "etcd_quorum" | "apiserver_ready" => true,
        "longhorn_volume" | "longhorn_scheduled" | "longhorn_node" | "longhorn_disk" => true,
        "longhorn_engine_writes" | "volume_attached" | "volume_phase" | "storage_probe" => true,
        // A claim of one application is no danger for others, but must not be taken along into a change of storage.
        _ => finding.category == Category::Storage && (moves.nodes || moves.longhorn),
    }
}

fn away(look: &Look<'_>) -> Vec<Concern> {
    look.of(Kind::Node)
        .filter(|node| !node.is("Ready"))
        .map(|node| concern("node_ready", Some(title(&subject(node))), "the node is not Ready".to_owned()))
        .collect()
}

fn quorum(look: &Look<'_>) -> Option<Concern> {
    let quorum = Quorum::of(look.of(Kind::Node));
    (quorum.healthy < quorum.members || (quorum.members > 2 && quorum.at_edge())).then(|| {
        concern(
            "etcd_quorum",
            None,
            format!(
                "{} of {} members of etcd are healthy and {} are needed: no one may go",
                quorum.healthy,
                quorum.members,
                quorum.required()
            ),
        )
    })
}

/// Budgets that let no pod go stop a drain until it times out.
fn budgets(look: &Look<'_>) -> Vec<Concern> {
    let mut concerns = vec![];
    for object in look.of(Kind::PodDisruptionBudget) {
        let Detail::DisruptionBudget(budget) = &object.detail else { continue };
        // Longhorn makes and removes those of its instance managers as nodes are drained.
        let of_longhorn = object.meta.namespace == "longhorn-system";
        if budget.expected_pods > 0 && budget.disruptions_allowed == 0 && !of_longhorn {
            let text = if budget.current_healthy < budget.desired_healthy {
                format!(
                    "blocks drains: {} of {} pods that must be healthy are",
                    budget.current_healthy, budget.desired_healthy
                )
            } else {
                format!(
                    "blocks drains: all of its {} pods must be healthy at all times",
                    budget.expected_pods
                )
            };
            concerns.push(concern("disruption_budget", Some(title(&subject(object))), text));
        }
    }
    concerns
}

/// What would have to be looked at, and cannot be.
fn unseen(world: &World, moves: Moves) -> Vec<Concern> {
    // Storage must be in order before anything is merged; where Longhorn is absent, there is nothing to look at.
    let mut wanted = vec![Kind::Node, Kind::LonghornVolume];
    if moves.longhorn {
        wanted.extend([
            Kind::LonghornEngine,
            Kind::LonghornSetting,
            Kind::LonghornNode,
            Kind::LonghornBackingImage,
        ]);
    }
    if moves.drains {
        wanted.push(Kind::PodDisruptionBudget);
    }
    wanted
        .into_iter()
        .filter_map(|kind| {
            let reason = match world.sees(kind) {
                Sight::Seen | Sight::Absent => return None,
                Sight::Unseen { reason } => reason.to_owned(),
                Sight::Lost { .. } => "sight of them was lost".to_owned(),
                Sight::NotWatched => "nobody looks at them".to_owned(),
            };
            let text = format!("{} objects are not observed: {reason}", kind.name());
            // Two kinds are Nodes.
            let object = if kind == Kind::LonghornNode { "nodes.longhorn.io" } else { kind.api().plural };
            Some(Concern {
                code: "not_observed".to_owned(),
                object: Some(object.to_owned()),
                text,
                not_observed: true,
            })
        })
        .collect()
}

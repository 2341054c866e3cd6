//! What is wrong in a cluster, by category, and what could not be looked at.
//!
//! Every check looks at the world as it is at one moment; how long something has been wrong is read from the objects
//! themselves (times of conditions, of creation). Kinds that the cluster does not have make their checks not
//! applicable; kinds that are not seen make them say nothing, and [`not_observed`] says so: never healthy.

mod admission;
mod before_longhorn;
mod compare;
mod events;
mod flux;
mod longhorn;
mod look;
mod network;
mod nodes;
mod observed;
mod owner;
mod precheck;
pub mod probe;
mod probes;
pub mod report;
mod settings;
mod storage;
mod workloads;

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

pub use compare::{Comparison, compare};
pub use events::EVENTS;
pub use observed::{LOOKING, MISSING_RIGHT, Unobserved, by_reason, not_observed};
pub use owner::restarts;
pub use precheck::{Concern, Moves, prechecks};
pub use probes::API_SERVER;
pub use settings::HealthSettings;

use std::collections::BTreeMap;

use super::finding::{Category, Finding, Severity};
use super::judge::Checks;
use super::world::World;
use look::Look;

/// Names of all checks.
pub const CHECKS: &[&str] = &[
    "api_available",
    "apiserver_ready",
    "certificate_ends",
    "certificate_ready",
    "claim_bound",
    "claim_resized",
    "command",
    "crd_established",
    "etcd_member",
    "etcd_members",
    "etcd_quorum",
    "flux_ready",
    "flux_suspended",
    "ingress_address",
    "ingress_service",
    "job_succeeds",
    "longhorn_backup_target",
    "longhorn_disk",
    "longhorn_engine",
    "longhorn_engine_image",
    "longhorn_engine_writes",
    "longhorn_node",
    "longhorn_replica",
    "longhorn_scheduled",
    "longhorn_snapshots",
    "longhorn_volume",
    "network_probe",
    "node_ready",
    "node_schedulable",
    "pod_restarts",
    "pod_runs",
    "probe",
    "service_address",
    "service_endpoints",
    "storage_probe",
    "test_job",
    "volume_attached",
    "volume_phase",
    "webhook_answers",
    "workload_available",
];

impl Category {
    /// Every category, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Infrastructure, Self::Flux, Self::Storage, Self::Network, Self::Applications, Self::Custom];

    /// The word in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Infrastructure => "infrastructure",
            Self::Flux => "flux",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::Applications => "applications",
            Self::Custom => "custom",
        }
    }
}

impl Severity {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Failing => "failing",
            Self::Critical => "critical",
        }
    }
}

/// Everything that is wrong now, the worst first, then by category and subject.
pub fn findings(world: &World, settings: &HealthSettings) -> Vec<Finding> {
    findings_since(world, settings, None)
}

/// The checks as the judge takes them.
pub fn checks(settings: HealthSettings) -> Checks {
    Box::new(move |world| findings(world, &settings))
}

/// Everything that is wrong now. Where `restarts` has what [`restarts`](fn@restarts) said at an earlier moment, those
/// since then count, too.
pub fn findings_since(
    world: &World,
    settings: &HealthSettings,
    restarts: Option<&BTreeMap<String, i64>>,
) -> Vec<Finding> {
    let mut look = Look::new(world, settings);
    nodes::check(&mut look);
    admission::check(&mut look);
    flux::check(&mut look);
    storage::check(&mut look);
    longhorn::check(&mut look);
    network::check(&mut look);
    workloads::check(&mut look, restarts);
    events::check(&mut look);
    probes::check(&mut look);
    look.finish()
}

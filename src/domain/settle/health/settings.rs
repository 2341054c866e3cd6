//! How long something must have been wrong before it counts.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Patience of each check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// A node that is not Ready, under pressure or cordoned.
    pub node: Duration,
    /// A workload with fewer pods than it wants.
    pub workload: Duration,
    /// A container that waits in `CrashLoopBackOff`, `ImagePullBackOff` and the like, and a pod without a node.
    pub pod: Duration,
    /// Restarts of containers of one owner that count at once.
    pub restarts: i64,
    /// A claim that is Pending.
    pub claim: Duration,
    /// A volume that cannot be attached.
    pub attachment: Duration,
    /// A Longhorn volume that is degraded: the time in which it should have been rebuilt.
    pub rebuild: Duration,
    /// A Certificate that is not Ready.
    pub certificate: Duration,
    /// A Flux object that is not Ready and is tried again; a stalled one counts at once.
    pub flux: Duration,
    /// An Ingress or load balancer without an address.
    pub address: Duration,
    /// Certificates that end sooner are told.
    pub certificate_ends: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            node: 5 * MINUTE,
            workload: 5 * MINUTE,
            pod: 5 * MINUTE,
            restarts: 3,
            claim: 2 * MINUTE,
            attachment: 3 * MINUTE,
            rebuild: 30 * MINUTE,
            certificate: 10 * MINUTE,
            flux: 5 * MINUTE,
            address: 5 * MINUTE,
            certificate_ends: 3 * 24 * 60 * MINUTE,
        }
    }
}

impl HealthSettings {
    /// The same with no patience longer than `most`: for windows that are shorter than it. What rebuilds takes its time
    /// whatever the window.
    #[must_use]
    pub fn within(mut self, most: Duration) -> Self {
        for patience in [
            &mut self.node,
            &mut self.workload,
            &mut self.pod,
            &mut self.claim,
            &mut self.attachment,
            &mut self.certificate,
            &mut self.flux,
            &mut self.address,
        ] {
            *patience = (*patience).min(most);
        }
        self
    }
}

//! Pods and their containers.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Condition, Detail, has_conditions, lenient_time, or_default};

/// What a Pod has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pod {
    /// `spec.nodeName`; empty while it waits for a node.
    pub node: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub phase: String,
    /// `status.reason`, such as `Evicted`.
    pub reason: String,
    /// Names of claims that it mounts.
    pub claims: Vec<String>,
    /// Containers, init containers first.
    pub containers: Vec<Container>,
}

/// One container of a pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image, as the spec has it where the status has none.
    pub image: String,
    /// It runs before the others.
    pub init: bool,
    /// It is ready.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: i64,
    /// What it does now.
    pub state: ContainerState,
    /// How it ended before it was started again.
    pub last: ContainerState,
}

/// State of a container.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ContainerState {
    /// Nobody says.
    #[default]
    None,
    /// It waits, such as `ContainerCreating`, `CrashLoopBackOff`, `ImagePullBackOff`.
    Waiting {
        /// Why.
        reason: String,
    },
    /// It runs.
    Running {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It ended.
    Terminated {
        /// Why: `Completed`, `Error`, `OOMKilled`.
        reason: String,
        /// Its exit code.
        exit_code: i64,
        /// When.
        at: Option<Timestamp>,
    },
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    #[serde(deserialize_with = "or_default")]
    node_name: String,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<SpecContainer>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<SpecContainer>,
    #[serde(deserialize_with = "or_default")]
    volumes: Vec<SpecVolume>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SpecContainer {
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) image: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SpecVolume {
    persistent_volume_claim: Option<SpecClaim>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SpecClaim {
    claim_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    phase: String,
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    #[serde(deserialize_with = "or_default")]
    image: String,
    #[serde(deserialize_with = "or_default")]
    ready: bool,
    #[serde(deserialize_with = "or_default")]
    restart_count: i64,
    #[serde(deserialize_with = "or_default")]
    state: RawState,
    #[serde(deserialize_with = "or_default")]
    last_state: RawState,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawState {
    waiting: Option<RawWaiting>,
    running: Option<RawRunning>,
    terminated: Option<RawTerminated>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawWaiting {
    #[serde(deserialize_with = "or_default")]
    reason: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawRunning {
    #[serde(deserialize_with = "lenient_time")]
    started_at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawTerminated {
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    exit_code: i64,
    #[serde(deserialize_with = "lenient_time")]
    finished_at: Option<Timestamp>,
}

impl From<RawState> for ContainerState {
    fn from(raw: RawState) -> Self {
        if let Some(waiting) = raw.waiting {
            Self::Waiting { reason: waiting.reason }
        } else if let Some(running) = raw.running {
            Self::Running { since: running.started_at }
        } else if let Some(ended) = raw.terminated {
            Self::Terminated { reason: ended.reason, exit_code: ended.exit_code, at: ended.finished_at }
        } else {
            Self::None
        }
    }
}

pub(super) fn pod(spec: PodSpec, status: &mut PodStatus) -> Detail {
    let said = [
        (true, spec.init_containers, std::mem::take(&mut status.init_container_statuses)),
        (false, spec.containers, std::mem::take(&mut status.container_statuses)),
    ];
    // There are thousands of Pods: no room is kept that nothing uses.
    let mut containers = Vec::with_capacity(said.iter().map(|(_, specs, _)| specs.len()).sum());
    for (init, specs, mut statuses) in said {
        for wanted in specs {
            let status = statuses.iter().position(|status| status.name == wanted.name);
            let status = status.map(|at| statuses.swap_remove(at)).unwrap_or_default();
            containers.push(Container {
                name: wanted.name,
                image: if status.image.is_empty() { wanted.image } else { status.image },
                init,
                ready: status.ready,
                restarts: status.restart_count,
                state: status.state.into(),
                last: status.last_state.into(),
            });
        }
    }
    let claims = spec.volumes.into_iter().filter_map(|volume| volume.persistent_volume_claim);
    Detail::Pod(Box::new(Pod {
        node: spec.node_name,
        phase: std::mem::take(&mut status.phase),
        reason: std::mem::take(&mut status.reason),
        claims: claims.map(|claim| claim.claim_name).collect(),
        containers,
    }))
}

has_conditions!(PodStatus);

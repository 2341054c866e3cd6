//! Nodes, pods and what owns them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Condition, Detail, has_conditions, lenient_time, or_default};

/// What a Node has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// It is cordoned.
    pub unschedulable: bool,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// `v1.33.4+k3s1`.
    pub kubelet_version: String,
    /// What changes with a restart of the machine.
    pub boot: Bootable,
}

/// What of a node tells one boot or system from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bootable {
    /// Another one after every boot.
    pub boot_id: String,
    /// Version of the kernel.
    pub kernel_version: String,
    /// Name of the system.
    pub os_image: String,
}

/// A taint of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// `NoSchedule`, …
    pub effect: String,
    /// When it was added, where that is told.
    #[serde(deserialize_with = "lenient_time")]
    pub time_added: Option<Timestamp>,
}

/// A selector of labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels that must have these values.
    pub labels: BTreeMap<String, String>,
    /// Further demands.
    pub expressions: Vec<Expression>,
}

/// An entry of `matchExpressions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Expression {
    /// Label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// Values.
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<String>,
}

impl Selector {
    /// Whether labels fulfil it. An empty one fits everything; an operator that is not known fits nothing.
    pub fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(|expression| {
                let value = labels.get(&expression.key);
                match expression.operator.as_str() {
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    "In" => value.is_some_and(|value| expression.values.contains(value)),
                    "NotIn" => value.is_none_or(|value| !expression.values.contains(value)),
                    _ => false,
                }
            })
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawSelector {
    #[serde(deserialize_with = "or_default")]
    match_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    match_expressions: Vec<Expression>,
}

impl From<RawSelector> for Selector {
    fn from(raw: RawSelector) -> Self {
        Self { labels: raw.match_labels, expressions: raw.match_expressions }
    }
}

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

/// What a Deployment, ReplicaSet, StatefulSet or DaemonSet has. A DaemonSet's own counts stand in the same fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workload {
    /// How many are wanted.
    pub desired: i64,
    /// How many there are.
    pub replicas: i64,
    /// How many of the newest template.
    pub updated: i64,
    /// How many are ready.
    pub ready: i64,
    /// How many are available.
    pub available: i64,
    /// Revision of a StatefulSet's pods.
    pub current_revision: String,
    /// Revision that a StatefulSet's pods shall have.
    pub update_revision: String,
    /// A rollout is paused.
    pub paused: bool,
    /// `OnDelete`, where nothing is rolled out by itself.
    pub strategy: String,
    /// Its pods.
    pub template: Template,
}

/// What is looked at of a pod template.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    /// Images of all containers.
    pub images: Vec<String>,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
}

/// What a Job has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Job {
    /// `spec.parallelism`; 0 is paused.
    pub parallelism: Option<i64>,
    /// `spec.suspend`.
    pub suspend: bool,
    /// `spec.activeDeadlineSeconds`.
    pub deadline_seconds: Option<i64>,
    /// `spec.backoffLimit`.
    pub backoff_limit: Option<i64>,
    /// Pods that run.
    pub active: i64,
    /// Pods that ended well.
    pub succeeded: i64,
    /// Pods that failed.
    pub failed: i64,
    /// When it began.
    pub started_at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct NodeSpec {
    #[serde(deserialize_with = "or_default")]
    unschedulable: bool,
    #[serde(deserialize_with = "or_default")]
    taints: Vec<Taint>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    node_info: NodeInfo,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: String,
    #[serde(rename = "bootID")]
    boot_id: String,
    kernel_version: String,
    os_image: String,
}

pub(super) fn node(spec: NodeSpec, status: &mut NodeStatus) -> Detail {
    let info = std::mem::take(&mut status.node_info);
    Detail::Node(Box::new(Node {
        unschedulable: spec.unschedulable,
        taints: spec.taints,
        kubelet_version: info.kubelet_version,
        boot: Bootable {
            boot_id: info.boot_id,
            kernel_version: info.kernel_version,
            os_image: info.os_image,
        },
    }))
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
struct SpecContainer {
    name: String,
    #[serde(deserialize_with = "or_default")]
    image: String,
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
    let mut containers = Vec::new();
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

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WorkloadSpec {
    replicas: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    paused: bool,
    #[serde(deserialize_with = "or_default")]
    update_strategy: Strategy,
    #[serde(deserialize_with = "or_default")]
    template: RawTemplate,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Strategy {
    #[serde(rename = "type", deserialize_with = "or_default")]
    type_: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawTemplate {
    #[serde(deserialize_with = "or_default")]
    metadata: TemplateMeta,
    #[serde(deserialize_with = "or_default")]
    spec: TemplateSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TemplateMeta {
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TemplateSpec {
    #[serde(deserialize_with = "or_default")]
    containers: Vec<SpecContainer>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<SpecContainer>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WorkloadStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    replicas: i64,
    #[serde(deserialize_with = "or_default")]
    updated_replicas: i64,
    #[serde(deserialize_with = "or_default")]
    ready_replicas: i64,
    #[serde(deserialize_with = "or_default")]
    available_replicas: i64,
    #[serde(deserialize_with = "or_default")]
    current_revision: String,
    #[serde(deserialize_with = "or_default")]
    update_revision: String,
    desired_number_scheduled: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    current_number_scheduled: i64,
    #[serde(deserialize_with = "or_default")]
    updated_number_scheduled: i64,
    #[serde(deserialize_with = "or_default")]
    number_ready: i64,
    #[serde(deserialize_with = "or_default")]
    number_available: i64,
}

pub(super) fn workload(spec: WorkloadSpec, status: &mut WorkloadStatus) -> Detail {
    let images = spec.template.spec.init_containers.into_iter().chain(spec.template.spec.containers);
    // Only a DaemonSet has this count; everything else without `replicas` wants one.
    let daemons = status.desired_number_scheduled;
    Detail::Workload(Box::new(Workload {
        desired: daemons.or(spec.replicas).unwrap_or(1),
        replicas: status.replicas + status.current_number_scheduled,
        updated: status.updated_replicas + status.updated_number_scheduled,
        ready: status.ready_replicas + status.number_ready,
        available: status.available_replicas + status.number_available,
        current_revision: std::mem::take(&mut status.current_revision),
        update_revision: std::mem::take(&mut status.update_revision),
        paused: spec.paused,
        strategy: spec.update_strategy.type_,
        template: Template {
            images: images.map(|container| container.image).collect(),
            labels: spec.template.metadata.labels,
        },
    }))
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JobSpec {
    parallelism: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    suspend: bool,
    active_deadline_seconds: Option<i64>,
    backoff_limit: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JobStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    active: i64,
    #[serde(deserialize_with = "or_default")]
    succeeded: i64,
    #[serde(deserialize_with = "or_default")]
    failed: i64,
    #[serde(deserialize_with = "lenient_time")]
    start_time: Option<Timestamp>,
}

pub(super) fn job(spec: JobSpec, status: &mut JobStatus) -> Detail {
    Detail::Job(Box::new(Job {
        parallelism: spec.parallelism,
        suspend: spec.suspend,
        deadline_seconds: spec.active_deadline_seconds,
        backoff_limit: spec.backoff_limit,
        active: status.active,
        succeeded: status.succeeded,
        failed: status.failed,
        started_at: status.start_time,
    }))
}

has_conditions!(NodeStatus, PodStatus, WorkloadStatus, JobStatus);

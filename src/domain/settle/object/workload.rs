//! What owns pods: Deployments and the like, and Jobs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::pod::SpecContainer;
use super::{Condition, Detail, has_conditions, lenient_time, or_default};

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
    /// So many pods of a StatefulSet keep the older template on purpose (`rollingUpdate.partition`).
    pub partition: i64,
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
    #[serde(rename = "rollingUpdate", deserialize_with = "or_default")]
    rolling_update: RollingUpdate,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RollingUpdate {
    #[serde(deserialize_with = "or_default")]
    partition: i64,
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
        partition: spec.update_strategy.rolling_update.partition,
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

has_conditions!(WorkloadStatus, JobStatus);

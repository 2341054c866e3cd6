//! What is wrong in a cluster at one moment, in a form that can be compared with another moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The check of how many pods of a workload are of its newest template, and ready.
pub const ROLLOUT: &str = "workload_available";

/// Whether the reason of a `Ready` condition says that something is in progress, or that another object keeps it back:
/// nothing has failed (Flux kustomize-controller and helm-controller API, reasons).
pub fn is_in_progress(reason: &str) -> bool {
    matches!(
        reason,
        "Progressing" | "DependencyNotReady" | "SourceNotReady" | "ArtifactFailed" | "HealthCheckCanceled"
    )
}

/// Part of the cluster that a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// API server, nodes, etcd, kube-system, webhooks.
    Infrastructure,
    /// Sources, Kustomizations, HelmReleases, Plans.
    Flux,
    /// Claims, attachments, Longhorn.
    Storage,
    /// DNS, Services, ingress, probes.
    Network,
    /// Workloads and their pods.
    Applications,
    /// What the user asks for: probes, Jobs, commands.
    Custom,
}

/// How bad it is. Worse counts as new, where the same was better in the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; decides nothing.
    Notice,
    /// Broken.
    Failing,
    /// Broken, and dangerous for the whole cluster or for data: counts wherever it is.
    Critical,
}

/// An object, or the owner of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// As in `kind:`.
    pub kind: String,
    /// Empty where the kind has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Something that is wrong. Two findings are of the same thing when their [`key`](Finding::key)s are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Check that found it, such as `node_ready`.
    pub check: String,
    /// Where it belongs.
    pub category: Category,
    /// What is wrong: an object, or the owner of the pods that are wrong (pods come and go).
    pub subject: Subject,
    /// The cluster's own word, such as `CrashLoopBackOff`.
    pub reason: String,
    /// How bad it is.
    pub severity: Severity,
    /// For people.
    pub message: String,
}

impl Finding {
    /// What makes it the same finding at another moment (check, kind, namespace, owner, reason).
    pub fn key(&self) -> (&str, &Subject, &str) {
        (&self.check, &self.subject, &self.reason)
    }
}

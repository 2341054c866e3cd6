//! HelmReleases.

use serde::Deserialize;

use super::flux::{CrossReference, Inventory, InventoryEntry};
use super::{Condition, Detail, has_conditions, or_default};

/// What a HelmRelease has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HelmRelease {
    /// Reconciling is suspended.
    pub suspend: bool,
    /// `spec.chart.spec.chart`.
    pub chart: String,
    /// `spec.chart.spec.version`.
    pub version: String,
    /// `spec.chart.spec.sourceRef`.
    pub source_ref: Option<CrossReference>,
    /// `spec.chartRef`.
    pub chart_ref: Option<CrossReference>,
    /// `spec.dependsOn`.
    pub depends_on: Vec<CrossReference>,
    /// `spec.targetNamespace`.
    pub target_namespace: String,
    /// `spec.releaseName`.
    pub release_name: String,
    /// `spec.timeout`, as written.
    pub timeout: String,
    /// How often a failed upgrade is tried again before the controller gives up; `None` for ever.
    pub retries: Option<i64>,
    /// The HelmChart made for it, as `namespace/name`.
    pub helm_chart: String,
    /// Releases, the newest first.
    pub history: Vec<Release>,
    /// Chart version that was tried last.
    pub last_attempted_revision: String,
    /// Generation that was tried last.
    pub last_attempted_generation: Option<i64>,
    /// Failures since the last success or change.
    pub failures: i64,
    /// Objects of the release.
    pub inventory: Vec<InventoryEntry>,
    /// Answer to the last request to reconcile.
    pub last_handled_reconcile_at: String,
}

/// An entry of the history of a HelmRelease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Release {
    /// Number in Helm's storage.
    pub version: i64,
    /// Helm's word: `deployed`, `failed`, `superseded`, …
    pub status: String,
    /// Version of the chart, with the digest behind `+` where it came from an OCIRepository.
    pub chart_version: String,
    /// Name of the chart.
    pub chart_name: String,
    /// `appVersion` of the chart.
    #[serde(deserialize_with = "or_default")]
    pub app_version: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HelmReleaseSpec {
    #[serde(deserialize_with = "or_default")]
    suspend: bool,
    #[serde(deserialize_with = "or_default")]
    chart: ChartTemplate,
    chart_ref: Option<CrossReference>,
    #[serde(deserialize_with = "or_default")]
    depends_on: Vec<CrossReference>,
    #[serde(deserialize_with = "or_default")]
    target_namespace: String,
    #[serde(deserialize_with = "or_default")]
    release_name: String,
    #[serde(deserialize_with = "or_default")]
    timeout: String,
    #[serde(deserialize_with = "or_default")]
    upgrade: HelmAction,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HelmAction {
    #[serde(deserialize_with = "or_default")]
    remediation: Remediation,
    #[serde(deserialize_with = "or_default")]
    strategy: ActionStrategy,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Remediation {
    #[serde(deserialize_with = "or_default")]
    retries: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ActionStrategy {
    #[serde(deserialize_with = "or_default")]
    name: String,
}

impl HelmAction {
    fn retries(&self) -> Option<i64> {
        // helm-controller: a negative number is without end, and so is this strategy.
        (self.remediation.retries >= 0 && self.strategy.name != "RetryOnFailure")
            .then_some(self.remediation.retries)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ChartTemplate {
    #[serde(deserialize_with = "or_default")]
    spec: ChartSpec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ChartSpec {
    #[serde(deserialize_with = "or_default")]
    chart: String,
    #[serde(deserialize_with = "or_default")]
    version: String,
    source_ref: Option<CrossReference>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HelmReleaseStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    helm_chart: String,
    #[serde(deserialize_with = "or_default")]
    history: Vec<Release>,
    #[serde(deserialize_with = "or_default")]
    last_attempted_revision: String,
    last_attempted_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    failures: i64,
    #[serde(deserialize_with = "or_default")]
    inventory: Inventory,
    #[serde(deserialize_with = "or_default")]
    last_handled_reconcile_at: String,
}

pub(super) fn helm_release(spec: HelmReleaseSpec, status: &mut HelmReleaseStatus) -> Detail {
    Detail::HelmRelease(Box::new(HelmRelease {
        suspend: spec.suspend,
        chart: spec.chart.spec.chart,
        version: spec.chart.spec.version,
        source_ref: spec.chart.spec.source_ref,
        chart_ref: spec.chart_ref,
        depends_on: spec.depends_on,
        target_namespace: spec.target_namespace,
        release_name: spec.release_name,
        timeout: spec.timeout,
        retries: spec.upgrade.retries(),
        helm_chart: std::mem::take(&mut status.helm_chart),
        history: std::mem::take(&mut status.history),
        last_attempted_revision: std::mem::take(&mut status.last_attempted_revision),
        last_attempted_generation: status.last_attempted_generation,
        failures: status.failures,
        inventory: std::mem::take(&mut status.inventory).read(),
        last_handled_reconcile_at: std::mem::take(&mut status.last_handled_reconcile_at),
    }))
}

has_conditions!(HelmReleaseStatus);

//! The health of a cluster at one moment, as people and scripts are told it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comparison, Unobserved, compare, not_observed, observed};
use crate::domain::settle::finding::{Category, Finding, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::memory::Baseline;
use crate::domain::settle::world::World;

/// Version of the report's shape.
pub const SCHEMA: &str = "gitops-updater/health/v1";

/// The report, under its one top-level key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthReport {
    /// What is known of the cluster's health.
    pub health: Health,
}

/// What is known of a cluster's health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// `gitops-updater/health/v1`.
    pub schema: String,
    /// When it was looked at.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub taken_at: Timestamp,
    /// The worst of what is told below; with a baseline, of what is new or worse.
    pub status: Status,
    /// How many objects were looked at.
    pub objects: usize,
    /// Every category that was asked for.
    pub categories: Vec<CategoryHealth>,
    /// What could not be looked at.
    pub not_observed: Vec<Unobserved>,
    /// What was tried beside looking, where that was asked for.
    pub tried: Vec<TriedEntry>,
    /// What has become of it since the baseline; null where none was given.
    pub comparison: Option<Compared>,
}

/// How a cluster or a part of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was looked at, and nothing is broken.
    Healthy,
    /// Nothing that was looked at is broken, but not everything was.
    Unknown,
    /// Something is broken.
    Failing,
    /// Something is broken that endangers the whole cluster or data.
    Critical,
}

impl Status {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Failing => "failing",
            Self::Critical => "critical",
        }
    }

    fn of<'f>(findings: impl Iterator<Item = &'f Finding>, observed: bool) -> Self {
        match findings.map(|finding| finding.severity).max() {
            Some(Severity::Critical) => Self::Critical,
            Some(Severity::Failing) => Self::Failing,
            _ if observed => Self::Healthy,
            _ => Self::Unknown,
        }
    }
}

/// One category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryHealth {
    /// Which.
    pub category: Category,
    /// How it is now.
    pub status: Status,
    /// Everything that is wrong now, the worst first.
    pub findings: Vec<Finding>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriedEntry {
    /// Its name, such as `probe/shop`.
    pub name: String,
    /// How it went.
    pub result: TriedResult,
    /// What was seen.
    pub detail: String,
}

/// How a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriedResult {
    /// As it should.
    Good,
    /// Not as it should.
    Bad,
    /// It could not be tried.
    NotTried,
}

/// What has become of a cluster since a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// When the baseline was taken; null where it does not say.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub baseline: Option<Timestamp>,
    /// Findings by what has become of them.
    pub findings: Comparison,
}

/// What of a world is told.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// Categories; empty = all.
    pub categories: Vec<Category>,
    /// Namespaces; empty = all, and what has none.
    pub namespaces: Vec<String>,
    /// What it is compared with.
    pub baseline: Option<&'a Baseline>,
}

impl Asked<'_> {
    fn wants(&self, category: Category) -> bool {
        self.categories.is_empty() || self.categories.contains(&category)
    }

    /// Whether a finding is of what was asked for. What was tried belongs to no namespace and is always told.
    fn tells(&self, finding: &Finding) -> bool {
        let namespace = &finding.subject.namespace;
        self.wants(finding.category)
            && (self.namespaces.is_empty()
                || self.namespaces.contains(namespace)
                || finding.subject.kind == "Probe")
    }

    /// Kinds that have to be looked at.
    pub fn kinds(&self) -> Vec<Kind> {
        let needed = |kind: &&Kind| {
            !matches!(kind, Kind::EtcdSnapshotFile | Kind::Namespace | Kind::Plan | Kind::PodDisruptionBudget)
                && (self.namespaces.is_empty() || kind.api().namespaced)
        };
        Kind::ALL.iter().filter(needed).copied().collect()
    }
}

/// Makes the report. `findings` are all of the world; `unseen` is what could not be asked beside its objects.
pub fn report(
    world: &World,
    findings: Vec<Finding>,
    asked: &Asked<'_>,
    unseen: Vec<Unobserved>,
    tried: Vec<TriedEntry>,
) -> HealthReport {
    let findings: Vec<Finding> = findings.into_iter().filter(|finding| asked.tells(finding)).collect();
    let looked: BTreeSet<String> = asked.kinds().into_iter().map(Kind::label).collect();
    let mut not_seen: Vec<Unobserved> = Category::ALL
        .into_iter()
        .filter(|category| asked.wants(*category))
        .flat_map(|category| not_observed(world, category))
        .filter(|unobserved| asked.namespaces.is_empty() || looked.contains(&unobserved.what))
        .collect();
    not_seen.extend(unseen.into_iter().filter(|unobserved| asked.wants(unobserved.category)));
    let categories: Vec<CategoryHealth> = Category::ALL
        .into_iter()
        .filter(|category| asked.wants(*category))
        .map(|category| {
            let of: Vec<Finding> = findings.iter().filter(|f| f.category == category).cloned().collect();
            let observed = !not_seen.iter().any(|unobserved| unobserved.category == category);
            CategoryHealth { category, status: Status::of(of.iter(), observed), findings: of }
        })
        .collect();
    let comparison = asked.baseline.map(|baseline| {
        let mut findings = compare(baseline, findings.clone());
        findings.gone.retain(|finding| asked.tells(finding) && is_seen(finding, &not_seen));
        Compared { baseline: baseline.taken_at, findings }
    });
    let status = match &comparison {
        Some(comparison) => Status::of(comparison.findings.regressed(), not_seen.is_empty()),
        None => Status::of(findings.iter(), not_seen.is_empty()),
    };
    let health = Health {
        schema: SCHEMA.to_owned(),
        taken_at: world.wall(),
        status,
        objects: Kind::ALL.iter().map(|kind| world.of(*kind).count()).sum(),
        categories,
        not_observed: not_seen,
        tried,
        comparison,
    };
    HealthReport { health }
}

/// What cannot be looked at now is not known to be well again.
fn is_seen(finding: &Finding, not_seen: &[Unobserved]) -> bool {
    let of_a_kind = observed::kinds(finding.category).iter().any(|kind| kind.label() == finding.subject.kind);
    !not_seen.iter().any(|unobserved| {
        if of_a_kind {
            unobserved.what == finding.subject.kind
        } else {
            unobserved.category == finding.category
        }
    })
}

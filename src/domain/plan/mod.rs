//! The safe sequence: which step comes first, what may go together, and what is held and why.
//!
//! A step moves one component by one rung; a wave holds the steps that may go together. Planning is pure: components,
//! candidates, policy, facts and the time go in, a [`Plan`] comes out.

pub mod before;
mod course;
pub mod graph;
mod hold;
pub mod input;
mod lane;
mod next;
mod observe;
mod once;
mod order;
mod planner;
mod revert;
mod schedule;
mod search;
mod sequence;
pub mod subject;
mod wait;
mod world;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::component::UpdateType;
use super::problem::Problem;
use super::report::Repository;
use before::Requirements;
pub use planner::plan;
pub use wait::{Prospect, Wait, prospect};

/// Version of the plan's shape.
pub const SCHEMA: &str = "gitops-updater/plan/v1";

/// The whole campaign in order, and everything that is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanReport {
    /// Always `gitops-updater/plan/v1`.
    pub schema: String,
    /// What was read.
    pub repository: Repository,
    /// The time the plan was made for.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub now: Timestamp,
    /// Where each fact about the cluster came from.
    pub facts: Vec<FactSource>,
    /// In order; a wave is begun when the one before it is verified.
    pub waves: Vec<Wave>,
    /// What has a newer version and is not, or not all the way, in a wave.
    pub held: Vec<Held>,
    /// By step id: the change as a unified diff against the repository with the earlier steps made. Generated files are in
    /// those of steps that could be proposed now, at most 256 KiB of each; a last line says what is left out.
    pub diffs: BTreeMap<String, String>,
    /// What could not be read or asked.
    pub problems: Vec<Problem>,
}

/// Waves and holds, before they are put into a report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// In order.
    pub waves: Vec<Wave>,
    /// Sorted by component.
    pub held: Vec<Held>,
    /// Where each fact came from.
    pub facts: Vec<FactSource>,
    /// By step id: what keeps back those that are not next.
    pub waits: BTreeMap<String, Wait>,
    /// What each step comes after.
    pub requires: Requirements,
}

/// A fact about the cluster that the plan rests on, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FactSource {
    /// Such as `kubernetes`, `flux`, `longhorn`.
    pub fact: String,
    /// The value, such as `v1.33.4+k3s1`; null where nobody could say.
    pub value: Option<String>,
    /// `cluster`, `file`, `git`, or `none`.
    pub source: String,
    /// When it was observed; null for what Git says.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub taken_at: Option<Timestamp>,
    /// What a reader should know (older than a day, Git and cluster disagree).
    pub note: Option<String>,
}

/// Steps that may go together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wave {
    /// 1-based.
    pub number: usize,
    /// Sorted by component id.
    pub steps: Vec<Step>,
}

/// One component moved by one rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// `<component>@<to>`, unique in the plan.
    pub id: String,
    /// Component id.
    pub component: String,
    /// Version as Git has it before the step.
    pub from: String,
    /// Version as Git will have it.
    pub to: String,
    /// What kind of step it is.
    pub update_type: UpdateType,
    /// How it is approved.
    pub gate: Approval,
    /// Configuration key or rule that decided the gate (`policy.semver_gates.patch`).
    pub policy_applied: String,
    /// Whether this run would propose it.
    pub next: bool,
    /// Why it stands here, and why it is not proposed yet.
    pub reasons: Vec<String>,
    /// Versions that will stand together after it and that nobody tested together, which is also among the reasons; what
    /// cannot work together is never planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untested: Vec<String>,
    /// Ids of the steps that must be verified before.
    pub requires: Vec<String>,
    /// Whether going back is safe.
    pub revert: Revert,
    /// What changes in the repository.
    pub edits: Vec<EditEntry>,
}

/// How a step is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Pull request, merged by the bot when all is green.
    Auto,
    /// Pull request, merged by a person.
    Review,
    /// No pull request before a person asks for it.
    Manual,
    /// Never proposed.
    Skip,
}

/// Whether a Git revert brings the component back without harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revert {
    /// The class.
    pub safety: RevertSafety,
    /// The reason, for the reviewer.
    pub why: String,
}

/// Classes of [`Revert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevertSafety {
    /// A revert of the commit is enough.
    Safe,
    /// Safe until something has happened that `why` names.
    Conditional,
    /// A revert does harm.
    Unsafe,
}

/// One place that a step changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditEntry {
    /// Path within the repository.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// JSON Pointer within its document.
    pub route: String,
    /// Bytes there before the step.
    pub old: String,
    /// Bytes there after it.
    pub new: String,
}

/// A newer version that is not, or not yet, in a wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Component id.
    pub component: String,
    /// Version that the campaign leaves it at; null where Git does not say.
    pub from: Option<String>,
    /// The newest version that is held back; null where it is not known.
    pub to: Option<String>,
    /// Name of the gate: `skip`, `ladder`, `compatibility`, `release_age`, `denied`, `quarantine`, …
    pub gate: String,
    /// Why, for people.
    pub reason: String,
    /// The one constraint that forbids more, such as `longhorn 1.13 needs kubernetes >=1.34`.
    pub constraint: Option<String>,
    /// Configuration key or rule that decided.
    pub policy_applied: Option<String>,
    /// When it is asked again and ends by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
}

impl Step {
    /// What it waits for; `None` where it can be proposed now.
    pub fn waits_for(&self) -> Option<&str> {
        // Whatever keeps a step back is told after why it stands where it does.
        if self.next { None } else { self.reasons.last().map(String::as_str) }
    }
}

impl Approval {
    /// The word in configuration and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Review => "review",
            Self::Manual => "manual",
            Self::Skip => "skip",
        }
    }
}

impl RevertSafety {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Conditional => "conditional",
            Self::Unsafe => "unsafe",
        }
    }
}

#[cfg(test)]
mod tests;

//! What planning is given: everything that decides, as plain values and pure questions.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::Step;
use super::subject::Subject;
use crate::domain::component::Component;
use crate::domain::facts::Facts;
use crate::domain::policy::{Admission, Applied, Considered, Hold, RangeEdits};
use crate::domain::rule::Rule;
use crate::domain::state::Update;

/// Everything that a plan is made from. The questions must be pure: the same question has the same answer.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The components with the versions that they may move to; ids are unique.
    pub subjects: &'a [Subject],
    /// The rules in force, first in force first.
    pub rules: &'a [Rule],
    /// What the user's policy says about one step.
    pub policy: &'a dyn Fn(&Considered<'_>) -> Admission,
    /// What is done with the ranges of a component (by its id), and what decided that.
    pub ranges: &'a dyn Fn(&str) -> Applied<RangeEdits>,
    /// The key of the configuration by which a component is ignored.
    pub ignored_by: &'a dyn Fn(&Component) -> String,
    /// What must be moved before what.
    pub dependencies: &'a [Dependency],
    /// Where manifests use Kubernetes APIs that are removed after minor `.0` and up to minor `.1` of Kubernetes 1.
    pub removed_apis: &'a dyn Fn(u64, u64) -> Vec<ApiUse>,
    /// Where manifests use an API version, given as `group/version`.
    pub uses_of: &'a dyn Fn(&str) -> Vec<ApiUse>,
    /// What was observed of the cluster.
    pub observed: Option<Observed<'a>>,
    /// What is under way, and what stops a step at this hour.
    pub situation: Situation<'a>,
    /// Most steps in one wave; at least one is taken.
    pub concurrency: usize,
    /// The time to plan for.
    pub now: Timestamp,
}

/// Facts and who says so.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The facts.
    pub facts: &'a Facts,
    /// `cluster` or `file`.
    pub source: &'static str,
}

/// What is under way, and what stops a step at this hour.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// Updates that are recorded; only those that are proposed, merged, rolling or held matter.
    pub updates: &'a [Update],
    /// Ids of those of them that were merged since a pass recorded anything.
    pub unrecorded: &'a BTreeSet<String>,
    /// Ids of those of them that nobody may merge, because what had to come first was taken back: nothing waits for them,
    /// least of all what would put that right.
    pub groundless: &'a BTreeSet<String>,
    /// Why a step may not be proposed now: window, maintenance, limits, kill switch, quarantine.
    pub holds: &'a dyn Fn(&Step) -> Vec<Hold>,
    /// Ids of the steps under the gate `manual` that a person has asked for.
    pub asked: &'a BTreeSet<String>,
}

/// One component must be moved before another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// Id of the component that waits.
    pub from: String,
    /// Id of the component that goes first.
    pub to: String,
    /// Why, such as ``HelmRelease `apps/web` depends on `apps/db` ``.
    pub why: String,
}

/// A manifest that uses an API version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiUse {
    /// Path within the repository.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// Such as `policy/v1beta1`.
    pub api_version: String,
    /// Kind of the object.
    pub kind: String,
    /// What to write instead, where there is something.
    pub replacement: Option<String>,
}

impl fmt::Display for ApiUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, api_version, kind, replacement } = self;
        write!(formatter, "{kind} {api_version} at {file}:{line}")?;
        match replacement {
            Some(replacement) => write!(formatter, " (use {replacement})"),
            None => Ok(()),
        }
    }
}

//! Findings of now beside those of before: only what is new can be a change's fault.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::settle::finding::{Finding, Severity};
use crate::domain::settle::memory::Baseline;

/// What has become of a cluster since its baseline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Nothing was wrong with it before.
    pub new: Vec<Finding>,
    /// It was wrong before, and is worse now.
    pub worse: Vec<Finding>,
    /// It was as wrong before: listed, not judged.
    pub known: Vec<Finding>,
    /// It was wrong before and is not any more.
    pub gone: Vec<Finding>,
}

/// Compares findings with a baseline by check, subject and reason; where a check has another reason for the same
/// subject now, it is the same trouble unless it is worse.
pub fn compare(baseline: &Baseline, now: Vec<Finding>) -> Comparison {
    let mut comparison = Comparison::default();
    let same = |a: &Finding, b: &Finding| a.check == b.check && a.subject == b.subject;
    comparison.gone = baseline
        .findings
        .iter()
        .filter(|old| !now.iter().any(|finding| same(old, finding)))
        .cloned()
        .collect();
    for finding in now {
        let before = baseline.findings.iter().filter(|old| same(old, &finding)).map(|old| old.severity).max();
        match before {
            None => comparison.new.push(finding),
            Some(severity) if severity < finding.severity => comparison.worse.push(finding),
            Some(_) => comparison.known.push(finding),
        }
    }
    comparison
}

impl Comparison {
    /// What is new or worse, and more than worth knowing.
    pub fn regressed(&self) -> impl Iterator<Item = &Finding> {
        self.new.iter().chain(&self.worse).filter(|finding| finding.severity > Severity::Notice)
    }
}

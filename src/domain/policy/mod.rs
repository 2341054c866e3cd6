//! What the user's policy says about one step: gates, ages, ranges, windows, limits.

mod admit;
pub mod circumstances;
mod component;
pub mod verdicts;
pub mod window;

use std::time::Duration;

use jiff::Timestamp;

pub use admit::{admit, quarantined};
pub use component::{ComponentPolicy, Gates, RangeEdits};

use super::component::UpdateType;
use super::plan::Approval;
use super::upstream::Candidate;
use super::version::Scheme;

/// A value and the configuration key, rule or default that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied<T> {
    /// The value.
    pub value: T,
    /// Such as `policy.semver_gates.patch` or `default`.
    pub by: String,
}

/// What [`Applied::by`] says of a value that nobody chose.
pub const DEFAULT: &str = "default";

/// What is said to have decided where no key of the configuration could decide otherwise.
pub const BUILT_IN: &str = "built in";

impl<T> Applied<T> {
    /// A value that nobody chose.
    pub fn default_of(value: T) -> Self {
        Self { value, by: DEFAULT.to_owned() }
    }
}

/// How much may be under way at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pull requests of this program that are open at the same time.
    pub open_pull_requests: usize,
    /// Pull requests that are opened within an hour.
    pub per_hour: usize,
    /// Independent steps in one wave.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_pull_requests: 5, per_hour: 4, concurrency: 5 }
    }
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeMethod {
    /// A merge commit.
    #[default]
    Merge,
    /// One commit.
    Squash,
    /// The commits on top of the base.
    Rebase,
}

/// How a merged step becomes a verified one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// By the cluster; where it cannot be seen, a person says so.
    Observed,
    /// By being merged for this long.
    Merged {
        /// Time after the merge.
        settle: Duration,
    },
}

impl Verification {
    /// Greater is stricter: seeing the cluster is more than waiting, and waiting longer more than waiting less.
    fn strictness(&self) -> (bool, Duration) {
        match self {
            Self::Observed => (true, Duration::ZERO),
            Self::Merged { settle } => (false, *settle),
        }
    }
}

/// The step that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Considered<'a> {
    /// Component id.
    pub component: &'a str,
    /// Version before.
    pub from: &'a str,
    /// The published version to go to.
    pub candidate: &'a Candidate,
    /// What kind of step it is.
    pub update_type: UpdateType,
    /// Grammar and order of the versions.
    pub scheme: Scheme,
    /// The upstream's tags carry this before the version.
    pub tag_prefix: Option<&'a str>,
}

/// What policy says about a step, whatever the hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may be taken.
    Allow {
        /// How it is approved.
        approval: Approval,
        /// What decided.
        policy_applied: String,
        /// What the reviewer should know about each gate that was passed.
        reasons: Vec<String>,
    },
    /// It may not.
    Hold(Hold),
}

/// A gate that stops a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Name of the gate (`skip`, `release_age`, `denied`, `quarantine`, `window`, …).
    pub gate: &'static str,
    /// Why, for people.
    pub reason: String,
    /// What decided.
    pub policy_applied: String,
    /// When it may be asked again, where that is known.
    pub until: Option<Timestamp>,
    /// Somebody could not be asked, and is asked again each time.
    pub is_asked_again: bool,
}

impl Hold {
    /// Whether it ends though no person does anything: at a known time, with what is under way, or when somebody
    /// answers.
    ///
    /// Of an update that is held, whoever looks at that update says it.
    pub fn ends_by_itself(&self) -> bool {
        self.until.is_some()
            || self.is_asked_again
            || self.is_limit()
            || matches!(self.gate, "in_flight" | "held_update" | "regressed_update")
    }

    /// Whether it is a limit on how many pull requests there may be.
    pub fn is_limit(&self) -> bool {
        matches!(self.gate, "open_pull_requests" | "per_hour")
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.gate, self.reason)?;
        match self.until {
            // These say it in their own words.
            Some(until) if !matches!(self.gate, "window" | "maintenance") => write!(f, " (until {until})"),
            _ => Ok(()),
        }
    }
}

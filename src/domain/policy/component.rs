//! What the user's policy says about one component, each value with what decided it.

use std::time::Duration;

use super::{Applied, Verification};
use crate::domain::component::UpdateType;
use crate::domain::plan::Approval;
use crate::domain::select::Ignored;
use crate::domain::version::range::Range;

/// How a step is approved, by the kind of step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gates {
    /// Same minor, higher patch.
    pub patch: Applied<Approval>,
    /// Same major, higher minor.
    pub minor: Applied<Approval>,
    /// Higher major.
    pub major: Applied<Approval>,
    /// To a pre-release.
    pub prerelease: Applied<Approval>,
    /// Same tag, other digest.
    pub digest: Applied<Approval>,
    /// Same version, higher build; `None` = as `patch`.
    pub build: Option<Applied<Approval>>,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            patch: Applied::default_of(Approval::Review),
            minor: Applied::default_of(Approval::Review),
            major: Applied::default_of(Approval::Manual),
            prerelease: Applied::default_of(Approval::Skip),
            digest: Applied::default_of(Approval::Review),
            build: None,
        }
    }
}

impl Gates {
    /// The gate of a kind of step; `None` for those that cannot be judged.
    pub fn of(&self, update_type: UpdateType) -> Option<&Applied<Approval>> {
        match update_type {
            UpdateType::Patch => Some(&self.patch),
            UpdateType::Minor => Some(&self.minor),
            UpdateType::Major => Some(&self.major),
            UpdateType::Prerelease => Some(&self.prerelease),
            UpdateType::Digest => Some(&self.digest),
            UpdateType::Build => Some(self.build.as_ref().unwrap_or(&self.patch)),
            UpdateType::None | UpdateType::Unknown => None,
        }
    }
}

/// Whether version ranges in manifests are edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum RangeEdits {
    /// So that they include the newer version, in the form that they have.
    Widen,
    /// Never.
    #[default]
    Keep,
}

/// What the user's policy says about one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentPolicy {
    /// How steps are approved.
    pub gates: Gates,
    /// How old a release must be before it is proposed; zero = any age, also an unknown one.
    pub minimum_release_age: Applied<Duration>,
    /// Whether ranges are edited.
    pub ranges: Applied<RangeEdits>,
    /// How a merged step becomes a verified one.
    pub verification: Applied<Verification>,
    /// Ranges that a version must lie in, each of them.
    pub allowed: Vec<Applied<Range>>,
    /// Versions and ranges that are not proposed.
    pub denied: Vec<Applied<Ignored>>,
}

impl Default for ComponentPolicy {
    fn default() -> Self {
        Self {
            gates: Gates::default(),
            minimum_release_age: Applied::default_of(Duration::ZERO),
            ranges: Applied::default_of(RangeEdits::default()),
            verification: Applied::default_of(Verification::Observed),
            allowed: vec![],
            denied: vec![],
        }
    }
}

impl ComponentPolicy {
    /// What satisfies both: where the files of one component fall under different rules, it follows the strictest.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (gates, others) = (self.gates, other.gates);
        let build = match (&gates.build, &others.build) {
            (None, None) => None,
            (one, another) => Some(stricter(
                one.clone().unwrap_or_else(|| gates.patch.clone()),
                another.clone().unwrap_or_else(|| others.patch.clone()),
            )),
        };
        Self {
            gates: Gates {
                patch: stricter(gates.patch, others.patch),
                minor: stricter(gates.minor, others.minor),
                major: stricter(gates.major, others.major),
                prerelease: stricter(gates.prerelease, others.prerelease),
                digest: stricter(gates.digest, others.digest),
                build,
            },
            minimum_release_age: stricter(self.minimum_release_age, other.minimum_release_age),
            ranges: stricter(self.ranges, other.ranges),
            verification: stricter_by(self.verification, other.verification, Verification::strictness),
            allowed: union(self.allowed, other.allowed),
            denied: union(self.denied, other.denied),
        }
    }
}

/// The greater value; of equal ones the first.
fn stricter<T: Ord + Copy>(one: Applied<T>, other: Applied<T>) -> Applied<T> {
    stricter_by(one, other, |value| *value)
}

fn stricter_by<T, K: Ord>(one: Applied<T>, other: Applied<T>, strictness: impl Fn(&T) -> K) -> Applied<T> {
    if strictness(&other.value) > strictness(&one.value) { other } else { one }
}

fn union<T: PartialEq>(mut one: Vec<T>, other: Vec<T>) -> Vec<T> {
    for item in other {
        if !one.contains(&item) {
            one.push(item);
        }
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied<T>(value: T, by: &str) -> Applied<T> {
        Applied { value, by: by.to_owned() }
    }

    #[test]
    fn build_counts_as_patch_unless_it_has_a_gate_of_its_own() {
        let mut gates = Gates { patch: applied(Approval::Auto, "a"), ..Gates::default() };
        assert_eq!(gates.of(UpdateType::Build), Some(&applied(Approval::Auto, "a")));
        gates.build = Some(applied(Approval::Manual, "b"));
        assert_eq!(gates.of(UpdateType::Build), Some(&applied(Approval::Manual, "b")));
        assert_eq!(gates.of(UpdateType::Unknown), None);
    }

    #[test]
    fn strictest_of_two_policies_holds_for_each_value() {
        let one = ComponentPolicy {
            gates: Gates {
                patch: applied(Approval::Auto, "one"),
                minor: applied(Approval::Manual, "one"),
                build: Some(applied(Approval::Auto, "one")),
                ..Gates::default()
            },
            minimum_release_age: applied(Duration::from_secs(60), "one"),
            ranges: applied(RangeEdits::Widen, "one"),
            verification: applied(Verification::Merged { settle: Duration::from_secs(9) }, "one"),
            allowed: vec![applied(Range::parse("<2").unwrap(), "one")],
            denied: vec![],
        };
        let other = ComponentPolicy {
            gates: Gates {
                patch: applied(Approval::Review, "other"),
                minor: applied(Approval::Review, "other"),
                ..Gates::default()
            },
            minimum_release_age: applied(Duration::from_secs(9), "other"),
            verification: applied(Verification::Merged { settle: Duration::from_secs(10) }, "other"),
            allowed: vec![applied(Range::parse("<3").unwrap(), "other")],
            ..ComponentPolicy::default()
        };
        let both = one.clone().and(other.clone());
        assert_eq!(both.gates.patch.by, "other");
        assert_eq!(both.gates.minor.by, "one");
        assert_eq!(both.gates.build.as_ref().unwrap().by, "other", "the other's build is its patch");
        assert_eq!(both.minimum_release_age.by, "one");
        assert_eq!(both.ranges.value, RangeEdits::Keep);
        assert_eq!(both.verification.by, "other");
        assert_eq!(both.allowed.len(), 2);
        let observed = both.and(ComponentPolicy::default());
        assert_eq!(observed.verification.value, Verification::Observed);
        assert_eq!(one.clone().and(one.clone()), one);
    }
}

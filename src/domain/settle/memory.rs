//! What one pass must tell the next, so that a judgement survives the end of the process.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Category, Finding, ROLLOUT, Severity, Subject, is_in_progress};
use super::verdict::{Action, Verdict};

/// Everything that the judge remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// By update id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub updates: BTreeMap<String, Remembered>,
}

/// What the id of an update has behind it where the judge is asked of the way back.
pub const WAY_BACK: &str = "-back";

/// Whether the judge's id is that of an update, or of its way back.
pub fn is_of(judged: &str, update: &str) -> bool {
    judged.strip_suffix(WAY_BACK).unwrap_or(judged) == update
}

/// What is remembered of one update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Remembered {
    /// What was wrong before the merge; `None` where nobody had looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// When the merge was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub merged_at: Option<Timestamp>,
    /// When a person took it up again: patience begins anew there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub taken_up_at: Option<Timestamp>,
    /// A node was touched: a k3s update is never reverted any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub node_touched: bool,
    /// Nodes that run the new version, or once did.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub nodes_moved: BTreeSet<String>,
    /// Longhorn has recorded the new version: never reverted any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub longhorn_recorded: bool,
    /// It failed, and it was this update's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub regressed_at: Option<Timestamp>,
    /// Since when what is touched fails, by `Kind/namespace/name`, while patience lasts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub failing: BTreeMap<String, Timestamp>,
    /// A hold that only a person clears.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Sight was lost after the merge, until when at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub blind_until: Option<Timestamp>,
    /// Since when everything is applied and nothing has restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub applied_since: Option<Timestamp>,
    /// Until when it was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub seen_until: Option<Timestamp>,
    /// Seconds since `applied_since` in which nobody looked, between two passes.
    #[serde(skip_serializing_if = "is_zero")]
    pub unwatched: u64,
    /// What was tried and went well since everything is applied, and when, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub tried: BTreeMap<String, Timestamp>,
    /// What was said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Remembered {
    /// Whether the cluster has moved in a way that Git cannot revert.
    pub fn cannot_go_back(&self) -> bool {
        self.node_touched || self.longhorn_recorded
    }

    /// The same as a recording may hold it: what the cluster said of what was wrong is for people only.
    pub fn recorded(mut self) -> Self {
        for finding in self.baseline.iter_mut().flat_map(|baseline| &mut baseline.findings) {
            finding.message.clear();
        }
        self
    }

    /// What was seen now, with what another pass has recorded meanwhile: what happened to nodes and data stays, whoever
    /// saw it, and of two times of a failure the earlier counts.
    pub fn joined(mut self, recorded: &Self) -> Self {
        self.node_touched |= recorded.node_touched;
        self.longhorn_recorded |= recorded.longhorn_recorded;
        self.nodes_moved.extend(recorded.nodes_moved.iter().cloned());
        self.merged_at = earlier(self.merged_at, recorded.merged_at);
        self.taken_up_at = self.taken_up_at.max(recorded.taken_up_at);
        self.blind_until = self.blind_until.max(recorded.blind_until);
        self
    }

    /// Whether the next pass would judge by the other as by this one: times at which it was looked at last may differ
    /// by less than `slack`.
    pub fn is_about(&self, other: &Self, slack: jiff::SignedDuration) -> bool {
        let close = |one: Option<Timestamp>, other: Option<Timestamp>| match (one, other) {
            (Some(one), Some(other)) => one.duration_since(other).abs() < slack,
            (one, other) => one == other,
        };
        let rest = |one: &Self| Self { seen_until: None, blind_until: None, ..one.clone() };
        close(self.seen_until, other.seen_until)
            && close(self.blind_until, other.blind_until)
            && rest(self) == rest(other)
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A verdict and an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The verdict.
    pub verdict: Verdict,
    /// The action.
    pub action: Action,
}

/// What was wrong before a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Baseline {
    /// When it was taken.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub taken_at: Option<Timestamp>,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// Kinds that could not be looked at, by their labels.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub not_observed: BTreeSet<String>,
    /// Nodes that were cordoned.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub cordoned: BTreeSet<String>,
    /// Version of each node's kubelet.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kubelets: BTreeMap<String, String>,
    /// Restarts of containers by what owns the pods, as `Kind/namespace/name`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<String, i64>,
}

impl Baseline {
    /// Whether what is wrong now could have been seen then, too. Where it could not, nobody knows whether it is new; nor
    /// where its subject was on its way to something, and had not got there, or waited for another object.
    pub fn could_see(&self, finding: &Finding) -> bool {
        let of_pods = finding.category == Category::Applications && self.not_observed.contains("Pod");
        let was_moving = || {
            let mut old = self.findings.iter().filter(|old| old.subject == finding.subject);
            old.any(|old| {
                old.check == ROLLOUT && old.severity == Severity::Notice
                    || is_in_progress(&old.reason) && !is_in_progress(&finding.reason)
            })
        };
        !of_pods && !self.not_observed.contains(&finding.subject.kind) && !was_moving()
    }

    /// Whether another baseline saw a kind that this one did not.
    pub fn saw_less_than(&self, other: &Self) -> bool {
        !self.not_observed.is_subset(&other.not_observed)
    }

    /// Whether a finding is new: nothing was wrong with its subject, or it was less bad. What was in progress, or waited,
    /// for too long already explains that it still does, and no failure.
    pub fn is_new(&self, finding: &Finding) -> bool {
        let explains = |old: &Finding| !is_in_progress(&old.reason) || is_in_progress(&finding.reason);
        let is_old = |old: &Finding| old.severity >= finding.severity && explains(old);
        !self.findings.iter().any(|old| old.subject == finding.subject && is_old(old))
    }

    /// Whether an object had failed. What was in progress, or waited for another object, had not.
    pub fn had(&self, subject: &Subject) -> bool {
        let failed = |old: &&Finding| old.severity >= Severity::Failing && !is_in_progress(&old.reason);
        self.findings.iter().filter(failed).any(|old| &old.subject == subject)
    }

    /// Whether anything is told of an object, be it only that it moved.
    pub fn tells_of(&self, subject: &Subject) -> bool {
        self.findings.iter().any(|old| &old.subject == subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settle::finding::Severity;
    use rstest::rstest;

    fn at(time: &str) -> Option<Timestamp> {
        Some(format!("2026-11-21T{time}Z").parse().unwrap())
    }

    #[rstest]
    #[case("update-20261121-100000", true)]
    #[case("update-20261121-100000-back", true)]
    #[case("update-20261121-100000-2", false)]
    #[case("update-20261121-100000-2-back", false)]
    fn an_id_is_no_prefix_of_another(#[case] judged: &str, #[case] is: bool) {
        assert_eq!(is_of(judged, "update-20261121-100000"), is);
    }

    #[test]
    fn what_happened_stays_whoever_saw_it() {
        let recorded = Remembered {
            merged_at: at("10:00:00"),
            node_touched: true,
            nodes_moved: BTreeSet::from(["n1".to_owned()]),
            longhorn_recorded: true,
            blind_until: at("11:00:00"),
            held: true,
            ..Remembered::default()
        };
        let seen = Remembered {
            merged_at: at("10:00:05"),
            nodes_moved: BTreeSet::from(["n2".to_owned()]),
            applied_since: at("11:30:00"),
            ..Remembered::default()
        };
        let joined = seen.joined(&recorded);
        assert!(joined.node_touched && joined.longhorn_recorded && joined.cannot_go_back());
        assert_eq!(joined.nodes_moved.len(), 2);
        assert_eq!((joined.merged_at, joined.blind_until), (at("10:00:00"), at("11:00:00")));
        assert_eq!(joined.applied_since, at("11:30:00"), "what was seen last counts for what is now");
        assert!(!joined.held);
    }

    #[rstest]
    #[case::looked_a_little_longer(|one: &mut Remembered| one.seen_until = at("10:02:00"), true)]
    #[case::looked_much_longer(|one: &mut Remembered| one.seen_until = at("10:03:00"), false)]
    #[case::lost_sight(|one: &mut Remembered| one.blind_until = at("10:00:00"), false)]
    #[case::a_node_moved(|one: &mut Remembered| one.node_touched = true, false)]
    fn only_times_may_differ(#[case] change: fn(&mut Remembered), #[case] about: bool) {
        let known = Remembered { seen_until: at("10:00:00"), ..Remembered::default() };
        let mut seen = known.clone();
        change(&mut seen);
        assert_eq!(known.is_about(&seen, jiff::SignedDuration::from_mins(3)), about);
    }

    #[rstest]
    #[case::everything_was_seen(&[], Category::Applications, "Deployment", true)]
    #[case::its_kind_was_not(&["Deployment"], Category::Applications, "Deployment", false)]
    #[case::pods_were_not(&["Pod"], Category::Applications, "Deployment", false)]
    #[case::pods_tell_nothing_of_nodes(&["Pod"], Category::Infrastructure, "Node", true)]
    fn what_nobody_could_see_then_is_not_new(
        #[case] unseen: &[&str],
        #[case] category: Category,
        #[case] kind: &str,
        #[case] could: bool,
    ) {
        let not_observed = unseen.iter().map(|kind| (*kind).to_owned()).collect();
        let baseline = Baseline { not_observed, ..Baseline::default() };
        let finding = Finding {
            check: "any".to_owned(),
            category,
            subject: Subject { kind: kind.to_owned(), namespace: String::new(), name: "n".to_owned() },
            reason: String::new(),
            message: String::new(),
            severity: Severity::Failing,
        };
        assert_eq!(baseline.could_see(&finding), could);
        assert_eq!(baseline.saw_less_than(&Baseline::default()), !unseen.is_empty());
    }
}

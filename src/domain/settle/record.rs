//! What is kept of a merged update between passes, in the state: plain data that people read with `git log -p`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::reversal::Reversal;
use super::verdict::{Action, Judgement, Reason, Verdict};

/// Most judgements that are kept of one update.
const MOST_ENTRIES: usize = 60;
/// Most reasons that are kept of one judgement.
const MOST_REASONS: usize = 20;
/// Longest text of a reason that is kept, in characters.
const LONGEST_TEXT: usize = 600;
/// Reverts within [`BREAKER_WINDOW_HOURS`] that stop everything.
const MOST_REVERTS: usize = 2;
/// Hours that reverts are counted over.
const BREAKER_WINDOW_HOURS: i64 = 24;

/// Somebody decided, and no policy.
pub const A_PERSON: &str = "a person";

/// How far the settling of an update is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settling {
    /// What decided the newest stage, where that is not what decided the gate: a key of the configuration, a gate's, or
    /// [`A_PERSON`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Since when it is seen to be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub rolling_since: Option<Timestamp>,
    /// What was said of it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Since when that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub judged_at: Option<Timestamp>,
    /// Set while it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Holding>,
    /// What was tried in the cluster before the merge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<TrialsBefore>,
    /// What was tried before a revert, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// Nodes that it left cordoned and that were let have pods again, each once.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub uncordoned: BTreeMap<String, Uncordoned>,
    /// Set from the decision on that no further node is to follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<RolloutStop>,
    /// Stops from before a person took it up again, oldest first: their commits are still no person's.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub earlier_stops: Vec<RolloutStop>,
    /// Set from the decision to revert it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reversal: Option<Reversal>,
    /// Who cleared a hold of it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// Digest of what the forge was told last (status, label and comment).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
}

/// Most stops from before that are kept of an update.
const MOST_STOPS: usize = 20;

impl Settling {
    /// Leaves the stop behind, so that another one can be decided.
    pub fn end_stop(&mut self) {
        self.earlier_stops.extend(self.stop.take());
        let surplus = self.earlier_stops.len().saturating_sub(MOST_STOPS);
        self.earlier_stops.drain(..surplus);
    }

    /// Whether there is anything to keep.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anybody has looked on, or done anything about it, since the merge.
    pub fn has_begun(&self) -> bool {
        *self != Self { decided_by: self.decided_by.clone(), ..Self::default() }
    }
}

/// What was tried in the cluster before a merge: what is tried after it is compared with that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialsBefore {
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// How it went, by name.
    pub results: BTreeMap<String, TrialResult>,
    /// The volume that was written, until it is removed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub volume: Option<KeptVolume>,
}

/// How a trial went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialResult {
    /// Whether it went well; null where it could not be tried.
    pub ok: Option<bool>,
    /// What was seen, for people.
    pub detail: String,
}

/// A volume that was written and waits to be read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeptVolume {
    /// Namespace of its claim.
    pub namespace: String,
    /// Name of its claim.
    pub claim: String,
    /// SHA-256 of what was written, in hexadecimal digits.
    pub sha256: String,
    /// The node that wrote it.
    pub node: String,
    /// When anybody may remove it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub until: Timestamp,
    /// Name of its Longhorn backup and of the snapshot of that, where one was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup: Option<String>,
}

/// A hold after the merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
    /// It ends when the evidence comes that is missing; any other is ended by a person.
    pub clears_itself: bool,
}

/// Something done to the cluster so that a revert may not be needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// When it was decided: requests carry this time, so that each is the same whoever makes it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// What is asked, such as `reset HelmRelease/apps/demo`.
    pub done: Vec<String>,
    /// When all of it had been asked; until then nothing counts as tried, and a pass that finds it asks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub asked_at: Option<Timestamp>,
    /// What the cluster did not take, each with why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<String>,
}

/// A node that a Job of an update left cordoned, and that pods are let onto again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uncordoned {
    /// When it was decided.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// The Job that had cordoned it, as `namespace/name`.
    pub job: String,
    /// Since when it was cordoned, by its own record: cordoned at another time it is a person's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// When it was known to have been done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub done_at: Option<Timestamp>,
    /// Why it was not done after all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused: Option<String>,
}

impl Uncordoned {
    /// Whether nobody knows that it was done, or refused.
    pub fn is_due(&self) -> bool {
        self.since.is_some() && self.done_at.is_none() && self.refused.is_none()
    }
}

/// No further node is to follow: the Plans get the concurrency 0 in Git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutStop {
    /// When it was decided; the commit carries this time, so that it is the same whoever makes it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub decided_at: Timestamp,
    /// Commit of the base branch on which it was decided: what was there before did not carry it out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided_on: Option<String>,
    /// Why.
    pub reason: String,
    /// The Plans, as `namespace/name`, each with the concurrency that it had.
    pub plans: BTreeMap<String, i64>,
    /// Plans that cannot be stopped in Git, each with why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<String>,
    /// Branch of the pull request that proposes it, where it is not pushed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub branch: Option<String>,
    /// Number of that pull request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pull_request: Option<u64>,
    /// Commit of the base branch as of which it is stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// When the cluster was seen to have it: every one of the Plans takes no further node.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub in_force_at: Option<Timestamp>,
}

impl RolloutStop {
    /// Whether there is nothing left to do about it.
    pub fn is_over(&self) -> bool {
        self.in_force_at.is_some() || (self.plans.len() == self.refused.len())
    }

    /// Whether Git has still to be changed.
    pub fn is_due(&self) -> bool {
        self.commit.is_none() && self.in_force_at.is_none() && self.plans.len() > self.refused.len()
    }

    /// How far it is, for people.
    pub fn words(&self) -> String {
        let short = |commit: &str| commit.get(..7).unwrap_or(commit).to_owned();
        let by = match (&self.commit, self.pull_request) {
            (Some(commit), _) if self.in_force_at.is_some() => {
                format!("no further node follows: stopped as of {}", short(commit))
            }
            (Some(commit), _) => format!(
                "no further node follows when Flux has applied {}, which stops the rollout",
                short(commit)
            ),
            (None, _) if self.in_force_at.is_some() => {
                "no further node follows: its Plans are stopped".to_owned()
            }
            (None, Some(number)) => {
                format!("further nodes follow until #{number}, which stops them, is merged")
            }
            (None, None) if self.refused.is_empty() => "further nodes are to be stopped".to_owned(),
            (None, None) => "further nodes may follow: the rollout cannot be stopped in Git".to_owned(),
        };
        match self.refused.first() {
            Some(refused) => format!("{by}; not stopped in Git: {refused}"),
            None => by,
        }
    }
}

/// Everything that was said of one update, oldest first: `evidence/<update id>.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Update id.
    pub update_id: String,
    /// Judgements; of many the first and the newest.
    pub judgements: Vec<Said>,
}

/// One judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// From when on.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Of the update itself, or of the way back.
    #[serde(skip_serializing_if = "is_false", default)]
    pub of_the_way_back: bool,
    /// What it is.
    pub verdict: Verdict,
    /// What to do.
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Said {
    /// A judgement as it is kept.
    pub fn of(judgement: &Judgement, at: Timestamp, of_the_way_back: bool) -> Self {
        let reasons = judgement.reasons.iter().take(MOST_REASONS).map(|reason| Reason {
            text: reason.text.chars().take(LONGEST_TEXT).collect(),
            ..reason.clone()
        });
        Self {
            at,
            of_the_way_back,
            verdict: judgement.verdict,
            action: judgement.action,
            reasons: reasons.collect(),
        }
    }

    /// Whether it says the same, whenever and in whatever words: texts may tell how long something has lasted.
    pub fn is_same(&self, other: &Self) -> bool {
        fn about(said: &Said) -> BTreeSet<(&str, Option<&str>)> {
            said.reasons.iter().map(|reason| (reason.code.as_str(), reason.object.as_deref())).collect()
        }
        let verdict = |said: &Self| (said.verdict, said.action, said.of_the_way_back);
        verdict(self) == verdict(other) && about(self) == about(other)
    }
}

impl Evidence {
    /// Evidence without anything said yet.
    pub fn new(update_id: &str) -> Self {
        Self { update_id: update_id.to_owned(), judgements: Vec::new() }
    }

    /// Adds what is said now, where it is not what was said last.
    pub fn say(&mut self, said: Said) {
        if self.judgements.last().is_some_and(|last| last.is_same(&said)) {
            return;
        }
        self.judgements.push(said);
        if self.judgements.len() > MOST_ENTRIES {
            // How it began is worth as much as how it is now.
            self.judgements.remove(MOST_ENTRIES / 3);
        }
    }
}

/// Set while too many reverts in a short time have stopped all proposing and merging: `breaker.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
    /// Ids of the updates that were reverted.
    pub reverted: Vec<String>,
}

impl Breaker {
    /// The breaker, where the reverts decided until `now` are too many; each is an update id and when it was decided.
    pub fn tripped<'a>(
        reversals: impl IntoIterator<Item = (&'a str, Timestamp)>,
        now: Timestamp,
    ) -> Option<Self> {
        let since = now.checked_sub(jiff::SignedDuration::from_hours(BREAKER_WINDOW_HOURS)).ok()?;
        let mut recent: Vec<(Timestamp, &str)> = reversals
            .into_iter()
            .filter(|(_, at)| *at > since && *at <= now)
            .map(|(id, at)| (at, id))
            .collect();
        recent.sort_unstable();
        (recent.len() >= MOST_REVERTS)
            .then(|| Self { since: now, reverted: recent.into_iter().map(|(_, id)| id.to_owned()).collect() })
    }

    /// For people.
    pub fn reason(&self) -> String {
        format!(
            "{} updates were reverted within {BREAKER_WINDOW_HOURS} hours ({}); a person has to look before anything else is \
             proposed or merged",
            self.reverted.len(),
            self.reverted.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::settle::line::Moment;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn judgement(verdict: Verdict, code: &str) -> Judgement {
        let reason = Reason { code: code.to_owned(), object: None, text: "ü".repeat(2_000) };
        Judgement {
            t: Moment(0),
            update: "update-1".to_owned(),
            verdict,
            action: Action::Wait,
            reasons: vec![reason; 40],
            clears_itself: true,
        }
    }

    #[test]
    fn same_words_are_kept_once_and_everything_is_bounded() {
        let mut evidence = Evidence::new("update-1");
        for minute in 0..50 {
            let now = at("2026-11-21T10:00:00Z") + jiff::SignedDuration::from_mins(minute);
            evidence.say(Said::of(&judgement(Verdict::Unknown, "not_applied"), now, false));
        }
        assert_eq!(evidence.judgements.len(), 1);
        assert_eq!(evidence.judgements[0].at, at("2026-11-21T10:00:00Z"), "since when, not when last");
        assert_eq!(evidence.judgements[0].reasons.len(), MOST_REASONS);
        assert_eq!(evidence.judgements[0].reasons[0].text.chars().count(), LONGEST_TEXT);
        for number in 0..200 {
            let now = at("2026-11-21T11:00:00Z") + jiff::SignedDuration::from_mins(number);
            evidence.say(Said::of(&judgement(Verdict::Unknown, &number.to_string()), now, false));
        }
        assert_eq!(evidence.judgements.len(), MOST_ENTRIES);
        assert_eq!(evidence.judgements[0].reasons[0].code, "not_applied", "how it began");
        assert_eq!(evidence.judgements.last().unwrap().reasons[0].code, "199", "how it is now");
    }

    #[rstest]
    #[case::one(&["2026-11-21T09:00:00Z"], false)]
    #[case::two_within_a_day(&["2026-11-20T10:00:01Z", "2026-11-21T09:00:00Z"], true)]
    #[case::two_a_day_apart(&["2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z"], false)]
    #[case::one_of_the_future_says_nothing(&["2026-11-21T09:00:00Z", "2026-11-21T10:00:01Z"], false)]
    fn two_reverts_within_a_day_stop_everything(#[case] times: &[&str], #[case] trips: bool) {
        let reversals = times.iter().map(|time| ("update-1", at(time)));
        assert_eq!(Breaker::tripped(reversals, at("2026-11-21T10:00:00Z")).is_some(), trips);
    }
}

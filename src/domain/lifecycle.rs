//! What a pass does next for one update: pure, one action at a time, the same whoever asks and how often.
//!
//! A pass observes (the record, the pull request, the base branch), asks [`next`] and carries out the one action; the
//! next pass asks again. Nothing here remembers anything.

use jiff::Timestamp;

use super::plan::Approval;
use super::policy::Verification;
use super::settle::verdict::Verdict;
use super::state::{Stage, Update};

/// The pull request of an update, as the forge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPullRequest {
    /// Number.
    pub number: u64,
    /// State.
    pub state: SeenState,
    /// Commit at its head.
    pub head: String,
    /// What checks and statuses of the head say.
    pub checks: SeenChecks,
}

/// State of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenState {
    /// Open.
    Open,
    /// Merged.
    Merged {
        /// Commit on the base branch.
        commit: String,
        /// When.
        at: Timestamp,
    },
    /// Closed without being merged.
    Closed,
}

/// What checks say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeenChecks {
    /// Reported success.
    pub succeeded: usize,
    /// Not done.
    pub pending: usize,
    /// Failed.
    pub failed: usize,
}

/// Whether the plan made now still wants the update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// As it is; an identical change would be made today.
    Same,
    /// The same step, but what it is made of changed on the base branch: its files, or the bytes of the edit.
    Rebuilt,
    /// Another version takes its place.
    Superseded {
        /// That version.
        by: String,
    },
    /// The base branch has the version, or a newer one, already.
    Done,
    /// The plan has no such step any more.
    Gone {
        /// Why.
        reason: String,
    },
    /// The plan has no such step as things are, which is no decision against it: leave everything as it is.
    Held {
        /// Why.
        reason: String,
    },
    /// Nobody can say (an upstream failed, a file cannot be read): leave everything as it is.
    Unknown,
}

/// All that [`next`] looks at.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// The record.
    pub update: &'a Update,
    /// The pull request; `None` where there is none with the update's branch.
    pub seen: Option<&'a SeenPullRequest>,
    /// Somebody else has committed to the branch.
    pub foreign: bool,
    /// Whether the plan wants it.
    pub wanted: Wanted,
    /// How a merged step becomes a verified one.
    pub verification: Verification,
    /// Who said that it is verified.
    pub accepted_by: Option<&'a str>,
    /// Why nothing may be merged now (window, maintenance, limits), for `auto`.
    pub merge_hold: Option<&'a str>,
    /// An `auto` step may be merged without any check having reported.
    pub checks_optional: bool,
    /// Now.
    pub now: Timestamp,
}

/// The one thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing, and what it waits for.
    Wait {
        /// For people.
        reason: String,
    },
    /// Nothing, for good: the update is over.
    Over,
    /// Finish the proposal: backup point, branch, pull request, whatever is missing.
    Propose,
    /// Make the change again on the base branch as it is now.
    Rebuild,
    /// A person works on the branch.
    HandsOff,
    /// Record that it was merged.
    RecordMerge {
        /// Commit on the base branch.
        commit: String,
        /// When.
        at: Timestamp,
    },
    /// Record that a person does not want this version.
    RecordClosed,
    /// Close the pull request; `reason` is told there.
    Close {
        /// For people.
        reason: String,
    },
    /// Merge it.
    Merge,
    /// Record that it is verified.
    RecordVerified {
        /// Who says so.
        by: String,
    },
}

/// Phase of an update whose pull request the bot itself is closing.
pub const CLOSING: &str = "closing";

/// What to do next for one update.
pub fn next(situation: &Situation<'_>) -> Action {
    match situation.update.stage {
        Stage::Verified | Stage::Reverted | Stage::Abandoned => Action::Over,
        Stage::Held => match situation.accepted_by {
            Some(who) if situation.update.merge_commit.is_some() => {
                Action::RecordVerified { by: format!("accepted by {who}") }
            }
            _ => Action::Wait {
                reason: situation.update.reason.clone().unwrap_or_else(|| "held for a person".to_owned()),
            },
        },
        Stage::Merged | Stage::Rolling => verified(situation),
        Stage::Proposed => proposed(situation),
    }
}

fn proposed(situation: &Situation<'_>) -> Action {
    let update = situation.update;
    let Some(seen) = situation.seen else {
        // A pull request that was never opened, or whose run was killed before it could be.
        return match (&situation.wanted, update.pull_request) {
            // A forge that loses pull requests is not to be trusted with a second one.
            (_, Some(number)) => Action::Wait { reason: format!("pull request #{number} cannot be found") },
            (Wanted::Same | Wanted::Rebuilt, None) => Action::Propose,
            (Wanted::Held { reason }, None) => wait(reason),
            (Wanted::Unknown, None) => wait("it cannot be known whether it is still wanted"),
            (wanted, None) => Action::Close { reason: farewell(wanted) },
        };
    };
    match &seen.state {
        SeenState::Merged { commit, at } => Action::RecordMerge { commit: commit.clone(), at: *at },
        SeenState::Closed if update.current_phase.as_deref() == Some(CLOSING) => {
            Action::Close { reason: update.reason.clone().unwrap_or_else(|| farewell(&situation.wanted)) }
        }
        SeenState::Closed => Action::RecordClosed,
        SeenState::Open if situation.foreign => Action::HandsOff,
        SeenState::Open if update.pull_request.is_none() => Action::Propose,
        SeenState::Open => match &situation.wanted {
            Wanted::Held { reason } => wait(reason),
            Wanted::Unknown => wait("it cannot be known whether it is still wanted"),
            Wanted::Rebuilt => Action::Rebuild,
            Wanted::Same => open(situation, seen),
            wanted => Action::Close { reason: farewell(wanted) },
        },
    }
}

/// An open pull request that is as it should be.
fn open(situation: &Situation<'_>, seen: &SeenPullRequest) -> Action {
    if situation.update.gate != Approval::Auto {
        return wait(&format!("pull request #{} waits for a person to merge it", seen.number));
    }
    let checks = seen.checks;
    match situation.merge_hold {
        Some(reason) => wait(reason),
        None if checks.failed > 0 => {
            wait(&format!("{} of the checks of pull request #{} failed", checks.failed, seen.number))
        }
        None if checks.pending > 0 => {
            wait(&format!("{} of the checks of pull request #{} are not done", checks.pending, seen.number))
        }
        None if checks.succeeded == 0 && !situation.checks_optional => {
            wait(&format!(
                "no check of pull request #{} has reported success; `pull_requests: {{require_checks: false}}` merges \
                 without one",
                seen.number
            ))
        }
        None => Action::Merge,
    }
}

fn verified(situation: &Situation<'_>) -> Action {
    if let Some(who) = situation.accepted_by {
        return Action::RecordVerified { by: format!("accepted by {who}") };
    }
    let update = situation.update;
    let reversal = update.settling.reversal.as_ref();
    let taken_back_at = reversal.and_then(|reversal| reversal.made_at);
    let is_bad = reversal.is_some() || update.settling.verdict == Some(Verdict::Regressed);
    if is_bad && taken_back_at.is_none() {
        return wait(update.reason.as_deref().unwrap_or("it regressed"));
    }
    let Verification::Merged { settle } = situation.verification else {
        let seen = update.reason.as_deref().filter(|_| update.settling.verdict.is_some());
        return wait(seen.unwrap_or("the cluster, or a person, has to say that it is healthy"));
    };
    // What was taken back has as much time to come back as it would have had to settle.
    let Some(merged_at) = taken_back_at.or(update.merged_at) else {
        return wait("it is not known when it was merged");
    };
    let settled =
        jiff::SignedDuration::try_from(settle).ok().and_then(|settle| merged_at.checked_add(settle).ok());
    match settled {
        Some(settled) if settled <= situation.now => {
            Action::RecordVerified { by: "policy `verification: merged`".to_owned() }
        }
        Some(settled) => wait(&format!("it counts as verified at {settled}")),
        None => wait("the time to settle has no end"),
    }
}

fn wait(reason: &str) -> Action {
    Action::Wait { reason: reason.to_owned() }
}

/// Why a pull request is closed.
fn farewell(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Superseded { by } => format!("{by} takes its place"),
        Wanted::Done => "the base branch has this version already".to_owned(),
        Wanted::Gone { reason } | Wanted::Held { reason } => reason.clone(),
        Wanted::Same | Wanted::Rebuilt | Wanted::Unknown => "it is not wanted any more".to_owned(),
    }
}

#[cfg(test)]
pub(in crate::domain) mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::domain::component::UpdateType;
    use crate::domain::plan::{Revert, RevertSafety};

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    pub(in crate::domain) fn update(stage: Stage, pull_request: Option<u64>, gate: Approval) -> Update {
        Update {
            update_id: "update-20261121-100000".to_owned(),
            status: stage.status(),
            stage,
            started_at: at("2026-11-21T10:00:00Z"),
            changed_at: at("2026-11-21T10:00:00Z"),
            campaign: "campaign-20261121-100000".to_owned(),
            component: "helm/apps/podinfo".to_owned(),
            chart: None,
            from: "6.7.0".to_owned(),
            to: "6.7.1".to_owned(),
            update_type: UpdateType::Patch,
            gate,
            policy_applied: "policy.semver_gates.patch".to_owned(),
            revert: Revert { safety: RevertSafety::Safe, why: String::new() },
            backup_id: None,
            branch: "gitops-updater/helm-apps-podinfo-6.7.1-00000000".to_owned(),
            base: None,
            head: None,
            pull_request,
            merge_commit: None,
            merged_at: Some(at("2026-11-21T10:30:00Z")),
            current_phase: None,
            completed_phases: vec![],
            failure_stage: None,
            reason: None,
            verified_by: None,
            settling: Default::default(),
        }
    }

    fn seen(state: SeenState, checks: (usize, usize, usize)) -> SeenPullRequest {
        let (succeeded, pending, failed) = checks;
        SeenPullRequest {
            number: 7,
            state,
            head: "a".repeat(40),
            checks: SeenChecks { succeeded, pending, failed },
        }
    }

    fn situation<'a>(update: &'a Update, seen: Option<&'a SeenPullRequest>, wanted: Wanted) -> Situation<'a> {
        Situation {
            update,
            seen,
            foreign: false,
            wanted,
            verification: Verification::Observed,
            accepted_by: None,
            merge_hold: None,
            checks_optional: false,
            now: at(NOW),
        }
    }

    fn word(action: &Action) -> &'static str {
        match action {
            Action::Wait { .. } => "wait",
            Action::Over => "over",
            Action::Propose => "propose",
            Action::Rebuild => "rebuild",
            Action::HandsOff => "hands off",
            Action::RecordMerge { .. } => "record merge",
            Action::RecordClosed => "record closed",
            Action::Close { .. } => "close",
            Action::Merge => "merge",
            Action::RecordVerified { .. } => "record verified",
        }
    }

    fn merged() -> SeenState {
        SeenState::Merged { commit: "b".repeat(40), at: at("2026-11-21T11:00:00Z") }
    }

    fn superseded() -> Wanted {
        Wanted::Superseded { by: "6.8.0".to_owned() }
    }

    #[rstest]
    #[case::a_run_killed_before_the_pull_request_goes_on(None, None, Wanted::Same, "propose")]
    #[case::base_moved_before_the_pull_request(None, None, Wanted::Rebuilt, "propose")]
    #[case::never_opened_and_not_wanted(None, None, superseded(), "close")]
    #[case::never_opened_and_nobody_knows(None, None, Wanted::Unknown, "wait")]
    #[case::a_pull_request_that_vanished_is_not_opened_twice(Some(7), None, Wanted::Same, "wait")]
    #[case::opened_but_not_recorded(None, Some(SeenState::Open), Wanted::Same, "propose")]
    #[case::merged_before_it_was_recorded(None, Some(merged()), Wanted::Same, "record merge")]
    #[case::merged(Some(7), Some(merged()), Wanted::Done, "record merge")]
    #[case::merged_though_something_newer_is_there(Some(7), Some(merged()), superseded(), "record merge")]
    #[case::closed_by_a_person(Some(7), Some(SeenState::Closed), Wanted::Same, "record closed")]
    #[case::open_and_as_it_should_be(Some(7), Some(SeenState::Open), Wanted::Same, "wait")]
    #[case::base_moved(Some(7), Some(SeenState::Open), Wanted::Rebuilt, "rebuild")]
    #[case::superseded(Some(7), Some(SeenState::Open), superseded(), "close")]
    #[case::somebody_else_made_the_change(Some(7), Some(SeenState::Open), Wanted::Done, "close")]
    #[case::an_upstream_failed(Some(7), Some(SeenState::Open), Wanted::Unknown, "wait")]
    fn proposed_update_follows_its_pull_request(
        #[case] recorded: Option<u64>,
        #[case] state: Option<SeenState>,
        #[case] wanted: Wanted,
        #[case] expected: &str,
    ) {
        let update = update(Stage::Proposed, recorded, Approval::Review);
        let seen = state.map(|state| seen(state, (0, 0, 0)));
        assert_eq!(word(&next(&situation(&update, seen.as_ref(), wanted))), expected);
    }

    #[rstest]
    #[case(Wanted::Same)]
    #[case(Wanted::Rebuilt)]
    #[case(superseded())]
    #[case(Wanted::Done)]
    #[case(Wanted::Unknown)]
    fn branch_with_a_foreign_commit_is_left_alone(#[case] wanted: Wanted) {
        let update = update(Stage::Proposed, Some(7), Approval::Auto);
        let seen = seen(SeenState::Open, (3, 0, 0));
        let situation = Situation { foreign: true, ..situation(&update, Some(&seen), wanted) };
        assert_eq!(next(&situation), Action::HandsOff);
    }

    #[rstest]
    #[case::green((2, 0, 0), None, false, "merge")]
    #[case::nothing_reported((0, 0, 0), None, false, "wait")]
    #[case::nothing_reported_and_none_demanded((0, 0, 0), None, true, "merge")]
    #[case::not_done((2, 1, 0), None, true, "wait")]
    #[case::one_failed((2, 0, 1), None, true, "wait")]
    #[case::outside_the_window((2, 0, 0), Some("the window opens on Saturday"), true, "wait")]
    fn auto_merges_only_what_is_green_and_allowed_now(
        #[case] checks: (usize, usize, usize),
        #[case] merge_hold: Option<&str>,
        #[case] checks_optional: bool,
        #[case] expected: &str,
    ) {
        let update = update(Stage::Proposed, Some(7), Approval::Auto);
        let seen = seen(SeenState::Open, checks);
        let situation =
            Situation { merge_hold, checks_optional, ..situation(&update, Some(&seen), Wanted::Same) };
        assert_eq!(word(&next(&situation)), expected);
    }

    #[rstest]
    #[case::review(Approval::Review)]
    #[case::manual(Approval::Manual)]
    #[case::skip(Approval::Skip)]
    fn nothing_but_auto_is_merged_by_the_bot(#[case] gate: Approval) {
        let update = update(Stage::Proposed, Some(7), gate);
        let seen = seen(SeenState::Open, (5, 0, 0));
        let situation = Situation { checks_optional: true, ..situation(&update, Some(&seen), Wanted::Same) };
        assert_eq!(word(&next(&situation)), "wait");
    }

    #[rstest]
    #[case::default_waits_for_cluster_or_person(Verification::Observed, None, "wait")]
    #[case::a_person_said_so(Verification::Observed, Some("jane"), "record verified")]
    #[case::settled(Verification::Merged { settle: Duration::from_secs(90 * 60) }, None, "record verified")]
    #[case::not_settled(Verification::Merged { settle: Duration::from_secs(90 * 60 + 1) }, None, "wait")]
    #[case::a_time_without_end(Verification::Merged { settle: Duration::MAX }, None, "wait")]
    fn merged_update_waits_to_be_verified(
        #[case] verification: Verification,
        #[case] accepted_by: Option<&str>,
        #[case] expected: &str,
        #[values(Stage::Merged, Stage::Rolling)] stage: Stage,
    ) {
        let update = update(stage, Some(7), Approval::Review);
        let situation = Situation { verification, accepted_by, ..situation(&update, None, Wanted::Done) };
        assert_eq!(word(&next(&situation)), expected);
    }

    #[rstest]
    fn what_is_over_stays_over(
        #[values(Stage::Verified, Stage::Reverted, Stage::Abandoned)] stage: Stage,
        #[values(Wanted::Same, Wanted::Rebuilt, Wanted::Done, Wanted::Unknown)] wanted: Wanted,
    ) {
        let update = update(stage, Some(7), Approval::Auto);
        let seen = seen(SeenState::Open, (1, 0, 0));
        assert_eq!(next(&situation(&update, Some(&seen), wanted)), Action::Over);
    }

    #[test]
    fn held_update_waits_for_a_person_whatever_else_is_true() {
        let update = update(Stage::Held, Some(7), Approval::Auto);
        let seen = seen(merged(), (1, 0, 0));
        let situation = Situation {
            accepted_by: Some("jane"),
            verification: Verification::Merged { settle: Duration::ZERO },
            ..situation(&update, Some(&seen), Wanted::Same)
        };
        assert_eq!(word(&next(&situation)), "wait");
    }
}

use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::domain::component::UpdateType;
use crate::domain::plan::{Revert, RevertSafety};

const NOW: &str = "2026-11-21T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn update(stage: Stage, pull_request: Option<u64>, gate: Approval) -> Update {
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
        moving: false,
        elsewhere: None,
        asked_anew: false,
        wanted,
        verification: Verification::Observed,
        accepted_by: None,
        gate: None,
        groundless: None,
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
        Action::LeaveAlone { .. } => "leave alone",
        Action::RecordMerge { .. } => "record merge",
        Action::RecordClosed => "record closed",
        Action::Close { .. } => "close",
        Action::KeepOpen => "keep open",
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
#[case::never_opened(None, None, Wanted::Same)]
#[case::open(Some(7), Some(SeenState::Open), Wanted::Same)]
#[case::open_and_out_of_the_plan(Some(7), Some(SeenState::Open), Wanted::Held { reason: "k3s is too old".to_owned() })]
#[case::open_and_nobody_knows(Some(7), Some(SeenState::Open), Wanted::Unknown)]
fn nothing_is_opened_or_merged_whose_ground_is_lost(
    #[case] recorded: Option<u64>,
    #[case] state: Option<SeenState>,
    #[case] wanted: Wanted,
    #[values(Approval::Auto, Approval::Review)] gate: Approval,
) {
    let update = update(Stage::Proposed, recorded, gate);
    let seen = state.map(|state| seen(state, (1, 0, 0)));
    let lost = Some("`db@2`, which had to come first, was taken back since");
    let situation =
        Situation { groundless: lost, checks_optional: true, ..situation(&update, seen.as_ref(), wanted) };
    let Action::Wait { reason } = next(&situation) else { panic!("{:?}", next(&situation)) };
    assert!(reason.contains("`db@2`, which had to come first"), "{reason}");
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

/// GitHub lets people give a pull request another base branch: its merge was taken for one into ours.
#[rstest]
#[case::open(SeenState::Open, Wanted::Same, false, "leave alone")]
#[case::open_and_base_moved(SeenState::Open, Wanted::Rebuilt, true, "leave alone")]
#[case::open_and_superseded(SeenState::Open, superseded(), false, "leave alone")]
#[case::open_and_nobody_knows(SeenState::Open, Wanted::Unknown, false, "leave alone")]
#[case::closed_by_a_person(SeenState::Closed, Wanted::Same, false, "record closed")]
#[case::merged(merged(), Wanted::Same, false, "leave alone")]
#[case::merged_and_superseded(merged(), superseded(), false, "leave alone")]
#[case::merged_and_asked_for_anew(merged(), Wanted::Same, true, "close")]
#[case::merged_and_brought_to_the_base_branch(merged(), Wanted::Done, false, "close")]
fn pull_request_for_another_branch_is_not_ours_to_take_further(
    #[case] state: SeenState,
    #[case] wanted: Wanted,
    #[case] asked_anew: bool,
    #[case] expected: &str,
) {
    let update = update(Stage::Proposed, Some(7), Approval::Auto);
    let seen = seen(state, (3, 0, 0));
    let situation =
        Situation { elsewhere: Some("staging"), asked_anew, ..situation(&update, Some(&seen), wanted) };
    assert_eq!(word(&next(&situation)), expected);
    assert_eq!(forbids_merge(&situation).as_deref(), Some("it is for the branch `staging` now"));
}

#[test]
fn closing_that_was_begun_is_forgotten_where_the_pull_request_was_taken_elsewhere() {
    let closing = Some(CLOSING.to_owned());
    let update = Update { current_phase: closing, ..update(Stage::Proposed, Some(7), Approval::Review) };
    let seen = seen(SeenState::Open, (0, 0, 0));
    let situation = Situation { elsewhere: Some("staging"), ..situation(&update, Some(&seen), superseded()) };
    assert_eq!(next(&situation), Action::KeepOpen);
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

/// What was `auto` when it was proposed was merged though the policy says `review` today.
#[rstest]
#[case::auto_then_and_now(Approval::Auto, Some(Approval::Auto), "merge")]
#[case::no_step_today(Approval::Auto, None, "merge")]
#[case::stricter_now(Approval::Auto, Some(Approval::Review), "wait")]
#[case::much_stricter_now(Approval::Auto, Some(Approval::Manual), "wait")]
#[case::never_now(Approval::Auto, Some(Approval::Skip), "wait")]
#[case::stricter_then(Approval::Review, Some(Approval::Auto), "wait")]
fn stricter_gate_of_then_and_now_decides_on_a_merge(
    #[case] then: Approval,
    #[case] now: Option<Approval>,
    #[case] expected: &str,
) {
    let update = update(Stage::Proposed, Some(7), then);
    let seen = seen(SeenState::Open, (1, 0, 0));
    let gate = now.map(|gate| (gate, "policy.semver_gates.patch"));
    let situation = Situation { gate, ..situation(&update, Some(&seen), Wanted::Same) };
    assert_eq!(word(&next(&situation)), expected);
    assert_eq!(forbids_merge(&situation).is_none(), expected == "merge");
}

#[rstest]
#[case::as_it_should_be(|_: &mut Situation<'_>| (), false)]
#[case::a_foreign_commit(|situation: &mut Situation<'_>| situation.foreign = true, true)]
#[case::a_branch_that_moves(|situation: &mut Situation<'_>| situation.moving = true, true)]
#[case::not_known_to_be_wanted(|situation: &mut Situation<'_>| situation.wanted = Wanted::Unknown, true)]
#[case::to_be_made_anew(|situation: &mut Situation<'_>| situation.wanted = Wanted::Rebuilt, true)]
#[case::replaced(|situation: &mut Situation<'_>| situation.wanted = superseded(), true)]
#[case::held(|situation: &mut Situation<'_>| situation.merge_hold = Some("the queue is stopped"), true)]
fn what_the_forge_was_asked_to_merge_is_withdrawn_when_something_stands_against_it(
    #[case] change: fn(&mut Situation<'_>),
    #[case] expected: bool,
    #[values(0, 1)] pending: usize,
) {
    let update = update(Stage::Proposed, Some(7), Approval::Auto);
    let green = seen(SeenState::Open, (1, pending, 0));
    let mut asked = situation(&update, Some(&green), Wanted::Same);
    change(&mut asked);
    assert_eq!(forbids_merge(&asked).is_some(), expected);
    let red = seen(SeenState::Open, (1, 0, 1));
    asked.seen = Some(&red);
    assert!(forbids_merge(&asked).is_some(), "a check failed");
}

#[test]
fn branch_that_is_being_moved_is_not_merged() {
    let update = update(Stage::Proposed, Some(7), Approval::Auto);
    let seen = seen(SeenState::Open, (1, 0, 0));
    let situation = Situation { moving: true, ..situation(&update, Some(&seen), Wanted::Same) };
    assert_eq!(word(&next(&situation)), "wait");
}

/// Killed after it was recorded that the bot closes it, and wanted again: a person who closed it then was not heard.
#[rstest]
#[case::wanted_again(Wanted::Same, false, "keep open")]
#[case::nobody_knows(Wanted::Unknown, false, "keep open")]
#[case::a_person_works_on_it(superseded(), true, "keep open")]
#[case::still_replaced(superseded(), false, "close")]
#[case::still_done(Wanted::Done, false, "close")]
fn pull_request_that_was_about_to_be_closed_is_kept_where_it_is_wanted_again(
    #[case] wanted: Wanted,
    #[case] foreign: bool,
    #[case] expected: &str,
) {
    let mut update = update(Stage::Proposed, Some(7), Approval::Review);
    update.current_phase = Some(CLOSING.to_owned());
    let seen = seen(SeenState::Open, (0, 0, 0));
    let situation = Situation { foreign, ..situation(&update, Some(&seen), wanted) };
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

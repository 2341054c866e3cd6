use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::domain::state::{Maintenance, Stage, State, Update};

const HOUR: i64 = 3600;

fn at(hours: i64) -> Timestamp {
    let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(hours * HOUR)
}

fn update(stage: Stage, pull_request: Option<u64>) -> Update {
    serde_json::from_value(json!({
        "update_id": "update-20261121-100000",
        "status": stage.status(),
        "stage": stage,
        "started_at": at(0),
        "changed_at": at(0),
        "campaign": "campaign-20261121-100000",
        "component": "staging:helm/apps/podinfo",
        "from": "6.7.0",
        "to": "6.7.1",
        "update_type": "patch",
        "gate": "review",
        "policy_applied": "policy.semver_gates.patch",
        "revert": {"safety": "unsafe", "why": "it migrates data"},
        "backup_id": null,
        "branch": "gitops-updater/x",
        "base": null,
        "head": null,
        "pull_request": pull_request,
        "merge_commit": null,
        "merged_at": null,
        "current_phase": null,
        "completed_phases": [],
        "reason": (stage == Stage::Held).then_some("podinfo is not ready"),
    }))
    .unwrap()
}

fn state(stage: Stage, pull_request: Option<u64>) -> State {
    let update = update(stage, pull_request);
    State { updates: [(update.update_id.clone(), update)].into(), ..State::default() }
}

fn reminders() -> Reminders {
    Reminders { repeat_every: Duration::from_secs(24 * 3600), escalate_after: Duration::from_secs(36 * 3600) }
}

fn events(state: &State, now: Timestamp) -> Vec<Event> {
    of_state(state, reminders(), &|number| Some(format!("https://forge.example/pull/{number}")), now)
}

fn keys(state: &State, now: Timestamp) -> Vec<(String, bool)> {
    events(state, now).into_iter().map(|event| (event.key, event.escalated)).collect()
}

#[rstest]
#[case::proposed(Stage::Proposed, Some(7), Some(Kind::Proposed))]
#[case::not_open_yet(Stage::Proposed, None, None)]
#[case::merged(Stage::Merged, Some(7), Some(Kind::Merged))]
#[case::rolling_is_told_as_merged(Stage::Rolling, Some(7), Some(Kind::Merged))]
#[case::verified(Stage::Verified, Some(7), Some(Kind::Verified))]
#[case::reverted(Stage::Reverted, Some(7), Some(Kind::Reverted))]
#[case::held(Stage::Held, Some(7), Some(Kind::Held))]
#[case::abandoned(Stage::Abandoned, Some(7), Some(Kind::Abandoned))]
fn each_stage_is_told_as_what_it_is(
    #[case] stage: Stage,
    #[case] pull_request: Option<u64>,
    #[case] expected: Option<Kind>,
) {
    let told = events(&state(stage, pull_request), at(1));
    assert_eq!(told.iter().map(|event| event.kind).collect::<Vec<_>>(), Vec::from_iter(expected));
    for event in told {
        assert_eq!(event.link.as_deref(), Some("https://forge.example/pull/7"));
        assert_eq!(event.component_kind(), Some("helm"));
    }
}

#[rstest]
#[case::regular(Stage::Verified, 23, 1)]
#[case::regular_old(Stage::Verified, 25, 0)]
#[case::urgent(Stage::Reverted, 6 * 24, 1)]
#[case::urgent_old(Stage::Reverted, 8 * 24, 0)]
fn old_news_are_not_told(#[case] stage: Stage, #[case] hours: i64, #[case] expected: usize) {
    assert_eq!(events(&state(stage, Some(7)), at(hours)).len(), expected);
}

/// Hours after the hold began, and what is told then beside the hold itself.
#[rstest]
#[case::fresh(1, None)]
#[case::one_day(24, Some(("1", false)))]
#[case::escalated(37, Some(("1", true)))]
#[case::two_days(49, Some(("2", true)))]
#[case::a_year(24 * 365, Some(("365", true)))]
fn hold_is_repeated_and_escalated(#[case] hours: i64, #[case] expected: Option<(&str, bool)>) {
    let state = state(Stage::Held, Some(7));
    let since = at(0).as_second();
    let id = "update-20261121-100000";
    let mut wanted = vec![(format!("held/{id}/{since}"), false)];
    if let Some((number, escalated)) = expected {
        wanted.push((format!("hold_unacknowledged/{id}/{since}/{number}"), escalated));
    }
    assert_eq!(keys(&state, at(hours)), wanted);
}

#[test]
fn hold_is_escalated_before_its_first_repetition_where_that_is_wanted() {
    let reminders = Reminders { repeat_every: Duration::ZERO, escalate_after: Duration::from_secs(3600) };
    let told = of_state(&state(Stage::Held, None), reminders, &|_| None, at(2));
    assert!(told[1].escalated && told[1].key.ends_with("/escalated"), "{told:?}");
    let never = Reminders { escalate_after: Duration::ZERO, ..reminders };
    assert_eq!(of_state(&state(Stage::Held, None), never, &|_| None, at(2000)).len(), 1);
}

#[test]
fn acknowledged_hold_is_not_repeated_and_a_later_one_is() {
    let mut state = state(Stage::Held, Some(7));
    let id = "update-20261121-100000".to_owned();
    state.told.acknowledged.insert(id.clone(), Acknowledged { by: "jane".to_owned(), at: at(2) });
    assert_eq!(events(&state, at(100)).len(), 1);
    state.updates.get_mut(&id).unwrap().changed_at = at(10);
    assert_eq!(events(&state, at(100)).len(), 2);
}

#[test]
fn hold_says_why_and_what_to_do() {
    let told = events(&state(Stage::Held, Some(7)), at(1));
    assert_eq!(told[0].details, ["podinfo is not ready", "reverting it is not safe: it migrates data"]);
    assert!(told[0].steps.iter().any(|step| step.contains("acknowledge update-20261121-100000")));
}

#[test]
fn end_of_maintenance_is_told_where_its_beginning_was() {
    let mut state = State {
        maintenance: Some(Maintenance {
            by: "jane".to_owned(),
            reason: Some("new disks".to_owned()),
            since: at(0),
            until: Some(at(4)),
        }),
        ..State::default()
    };
    let began = events(&state, at(1));
    assert_eq!(began.len(), 1);
    assert_eq!(began[0].details, ["new disks"]);
    // Nobody was told of it: its end is no news.
    assert_eq!(events(&state, at(5)), []);
    state.told.begin(&began[0].key, "ops", at(1));
    assert_eq!(keys(&state, at(3)), [(began[0].key.clone(), false)]);
    for ended in [at(5), at(20 * 24)] {
        assert_eq!(keys(&state, ended), [(format!("maintenance_ended/{}", at(0).as_second()), false)]);
    }
    state.maintenance = None;
    assert_eq!(events(&state, at(2))[0].kind, Kind::MaintenanceEnded);
}

#[test]
fn what_the_pass_knows_is_told_under_the_key_of_the_state() {
    let state = state(Stage::Held, Some(7));
    let update = state.updates.values().next().unwrap();
    let of_pass = Event::of_update(Kind::Held, update, at(0))
        .because(["Deployment/apps/podinfo: 0 of 3 available".to_owned()]);
    let other = Event::new(Kind::CircuitBreaker, "2026-11-21", "two reverts in 24 h", at(0));
    let of_state = events(&state, at(0));
    let key = of_state[0].key.clone();
    let all = together(of_state, vec![of_pass, other.clone()]);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].key, key);
    assert!(all[0].details.iter().any(|line| line.contains("0 of 3")), "{:?}", all[0].details);
    assert_eq!(all[1], other);
}

#[test]
fn what_upstreams_have_is_told_by_version() {
    let found = found(
        [true, false].map(|security| Found {
            component: "helm/apps/podinfo".to_owned(),
            from: Some("6.7.0".to_owned()),
            to: "6.7.1+a".to_owned(),
            security,
            advisories: if security { vec!["CVE-2026-1".to_owned()] } else { vec![] },
            notes: Some("https://example.com/notes".to_owned()),
        }),
        at(0),
    );
    assert_eq!(found[0].key, "security_update/helm/apps/podinfo@6.7.1+a");
    assert_eq!((found[0].severity, found[1].severity), (Severity::Critical, Severity::Regular));
    assert_eq!(found[0].details, ["fixes CVE-2026-1"]);
}

#[rstest]
#[case("k3s", "k3s")]
#[case("staging:k3s", "k3s")]
#[case("staging:helm/apps/podinfo", "helm")]
#[case("image/registry.example.com:5000/x", "image")]
fn kind_of_a_component_is_in_its_id(#[case] id: &str, #[case] kind: &str) {
    assert_eq!(kind_of(id), kind);
}

#[test]
fn what_was_told_survives_being_written() {
    let mut told = Told::default();
    told.begin("held/a", "ops", at(0));
    told.begin("held/a", "dev", at(0));
    told.end("held/a", "dev", Ended::Failed);
    told.begin("held/b", "ops", at(0));
    told.end("held/b", "ops", Ended::Sent);
    told.acknowledged.insert("update-1".to_owned(), Acknowledged { by: "jane".to_owned(), at: at(0) });
    let text = serde_yaml::to_string(&told).unwrap();
    assert_eq!(serde_yaml::from_str::<Told>(&text).unwrap(), told);
    assert!(told.events["held/b"].open.is_empty());
}

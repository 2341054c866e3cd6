//! A step stands in a wave or among what is held.

use rstest::rstest;

use super::*;
use crate::domain::plan::tests::world::day;
use crate::domain::report::Repository;

/// `component from to`, with the ids of the steps that go first.
fn step(text: &str, requires: &[&str]) -> Step {
    let words: Vec<&str> = text.split(' ').collect();
    Step {
        id: format!("{}@{}", words[0], words[2]),
        component: words[0].to_owned(),
        from: words[1].to_owned(),
        to: words[2].to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: "default".to_owned(),
        next: false,
        reasons: vec![],
        untested: Vec::new(),
        requires: requires.iter().map(|id| (*id).to_owned()).collect(),
        revert: Revert { safety: RevertSafety::Safe, why: String::new() },
        edits: vec![],
    }
}

fn held(text: &str, gate: &str) -> Held {
    let words: Vec<&str> = text.split(' ').collect();
    Held {
        component: words[0].to_owned(),
        from: Some(words[1].to_owned()),
        to: Some(words[2].to_owned()),
        gate: gate.to_owned(),
        reason: "it is not there".to_owned(),
        constraint: None,
        policy_applied: None,
        until: None,
    }
}

/// k3s by two rungs, a chart that needs the first of them, one that needs that chart, and one that needs nothing.
fn campaign() -> PlanReport {
    let steps = [
        step("k3s 1 2", &[]),
        step("chart 1 2", &["k3s@2"]),
        step("user 1 2", &["chart@2"]),
        step("k3s 2 3", &["k3s@2"]),
        step("free 1 2", &[]),
    ];
    let waves = steps.into_iter().enumerate();
    PlanReport {
        schema: SCHEMA.to_owned(),
        repository: Repository { path: ".".to_owned(), revision: None },
        now: day("2026-11-21"),
        facts: vec![],
        waves: waves.map(|(at, step)| Wave { number: at + 1, steps: vec![step] }).collect(),
        held: vec![],
        diffs: BTreeMap::from([
            ("k3s@2".to_owned(), "-1".to_owned()),
            ("free@2".to_owned(), "-1".to_owned()),
        ]),
        problems: vec![],
    }
}

/// `1: free@2` of each wave, and `k3s 1 2: fetch: why` of what is held.
fn shown(report: &PlanReport) -> (Vec<String>, Vec<String>) {
    let ids = |wave: &Wave| wave.steps.iter().map(|step| step.id.clone()).collect::<Vec<_>>().join(", ");
    let waves = report.waves.iter().map(|wave| format!("{}: {}", wave.number, ids(wave)));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let held = report.held.iter().map(|held| {
        let (from, to) = (text(&held.from), text(&held.to));
        format!("{} {from} {to}: {}: {}", held.component, held.gate, held.reason)
    });
    (waves.collect(), held.collect())
}

#[rstest]
#[case::others_wait_for_it(
    &[held("k3s 1 2", "fetch")],
    &["1: k3s@2", "2: chart@2", "3: user@2", "4: k3s@3", "5: free@2"],
    &[]
)]
#[case::last_rung(
    &[held("k3s 2 3", "fetch")],
    &["1: k3s@2", "2: chart@2", "3: user@2", "4: free@2"],
    &["k3s 2 3: fetch: it is not there"]
)]
#[case::nobody_waits_for_them(
    &[held("free 1 2", "fetch"), held("user 1 2", "foreign_commits")],
    &["1: k3s@2", "2: chart@2", "3: k3s@3"],
    &["free 1 2: fetch: it is not there", "user 1 2: foreign_commits: it is not there"]
)]
#[case::more_comes_after_it(
    &[held("free 1 2", "fetch"), held("free 2 5", "compatibility")],
    &["1: k3s@2", "2: chart@2", "3: user@2", "4: k3s@3"],
    &["free 1 2: fetch: it is not there; 5 comes after it, held by compatibility: it is not there"]
)]
#[case::beyond_all_steps(
    &[held("k3s 3 4", "ladder")],
    &["1: k3s@2", "2: chart@2", "3: user@2", "4: k3s@3", "5: free@2"],
    &["k3s 3 4: ladder: it is not there"]
)]
fn what_is_held_stands_in_no_wave(#[case] held: &[Held], #[case] waves: &[&str], #[case] holds: &[&str]) {
    let mut report = PlanReport { held: held.to_vec(), ..campaign() };
    report.tell_once(&|_| false);
    let (shown_waves, shown_holds) = shown(&report);
    assert_eq!(shown_waves, waves);
    assert_eq!(shown_holds, holds);
    let ids: Vec<&String> = report.waves.iter().flat_map(|wave| &wave.steps).map(|step| &step.id).collect();
    assert!(report.diffs.keys().all(|id| ids.contains(&id)), "{:?}", report.diffs);
    let again = report.clone();
    report.tell_once(&|_| false);
    assert_eq!(report, again);
}

#[test]
fn what_a_person_asked_for_stays_where_it_was_asked_for() {
    let mut report = PlanReport { held: vec![held("free 1 2", "fetch")], ..campaign() };
    report.tell_once(&|step| step.id == "free@2");
    let (waves, holds) = shown(&report);
    assert_eq!(waves.len(), 5);
    assert_eq!(holds, [""; 0]);
}

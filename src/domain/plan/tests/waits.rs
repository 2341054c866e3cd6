//! What keeps steps back: what rules put first, what only a person can end, and what a script is told.

use rstest::rstest;

use super::*;
use crate::domain::facts::{Facts, NodeFact};
use crate::domain::plan::tests::sequence::update;
use crate::domain::plan::tests::world::day;
use crate::domain::report::{Repository, Status};
use crate::domain::state::Stage;

fn wait<'p>(plan: &'p Plan, id: &str) -> &'p Wait {
    plan.waits.get(id).unwrap_or_else(|| panic!("`{id}` waits for nothing: {}", told(plan)))
}

/// Flux, then kyverno and Longhorn, then k3s, then the application.
fn stack() -> Small {
    Small::new()
        .chart("app", "1.0.0", &["1.1.0"])
        .chart("kyverno", "3.0.0", &["3.0.1"])
        .flux("v2.6.0", &["v2.6.4"])
        .longhorn("1.9.0", &["1.9.2"])
        .k3s("v1.32.1+k3s1", &["v1.32.13+k3s1"])
}

/// `requires` has nothing of what rules put first, so that a plan of one component was shown without it.
#[test]
fn what_rules_put_first_is_told_apart_from_what_a_step_requires() {
    let plan = stack().plan();
    assert_eq!(step(&plan, "k3s@v1.32.13+k3s1").requires, [""; 0]);
    let mut first = wait(&plan, "k3s@v1.32.13+k3s1").after.clone();
    first.sort_unstable();
    assert_eq!(first, ["flux@v2.6.4", "helm/apps/kyverno@3.0.1", "longhorn@1.9.2"]);
    // What can be reverted waits for what is proposed before it, and not for what waits itself.
    assert_eq!(wait(&plan, "helm/apps/app@1.1.0").after, ["flux@v2.6.4"]);
    assert!(!plan.waits.contains_key("flux@v2.6.4"), "it can be proposed");
}

#[test]
fn every_rung_of_what_rules_put_first_comes_before() {
    let plan =
        Small::new().longhorn("1.9.0", &["1.10.2", "1.11.1"]).k3s("v1.34.1+k3s1", &["v1.34.2+k3s1"]).plan();
    assert_eq!(
        wait(&plan, "k3s@v1.34.2+k3s1").after,
        ["longhorn@1.10.2", "longhorn@1.11.1"],
        "{}",
        told(&plan)
    );
}

/// An update that the nodes are taking, and a cluster that has the version before it, on a node that is cordoned for
/// that.
fn rolling(change: impl FnOnce(&mut Facts)) -> Small {
    let node = NodeFact {
        name: "one".to_owned(),
        roles: vec!["control-plane".to_owned()],
        kubelet: "v1.33.8+k3s1".to_owned(),
        ready: true,
        schedulable: false,
    };
    let mut facts = Facts {
        taken_at: Some(day("2026-11-21")),
        kubernetes: Some("v1.33.8+k3s1".to_owned()),
        nodes: vec![node],
        ..Facts::default()
    };
    change(&mut facts);
    let under_way = update("k3s", "v1.33.9+k3s1", Stage::Rolling, RevertSafety::Conditional);
    let world = Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1"]).facts(facts);
    world.change(|world| world.updates.push(under_way))
}

#[rstest]
#[case::nothing_is_newer(Small::new().chart("a", "1.0.0", &[]), Prospect::Nothing)]
#[case::a_step_can_be_proposed(Small::new().chart("a", "1.0.0", &["1.1.0"]), Prospect::Next)]
#[case::one_can_be_and_one_is_held(
    Small::new().chart("a", "1.0.0", &["1.1.0"]).chart("b", "1.0.0", &["2.0.0"]).policy("helm/apps/b", "2.0.0", Err("denied")),
    Prospect::Next
)]
#[case::all_are_held(
    Small::new().chart("b", "1.0.0", &["2.0.0"]).policy("helm/apps/b", "2.0.0", Err("denied")),
    Prospect::Held
)]
#[case::a_person_must_ask(
    Small::new().chart("b", "1.0.0", &["2.0.0"]).policy("helm/apps/b", "2.0.0", Ok(Approval::Manual)),
    Prospect::Held
)]
#[case::what_comes_after_needs_a_person_too(
    Small::new()
        .chart("a", "1.0.0", &["1.1.0"])
        .chart("b", "1.0.0", &["1.1.0"])
        .depends("helm/apps/b", "helm/apps/a")
        .policy("helm/apps/a", "1.1.0", Ok(Approval::Manual)),
    Prospect::Held
)]
#[case::no_window_ever_opens(
    Small::new().chart("a", "1.0.0", &["1.1.0"]).change(|world| _ = world.stopped.insert("helm/apps/a@1.1.0".to_owned())),
    Prospect::Held
)]
#[case::a_window_opens_later(
    Small::new().chart("a", "1.0.0", &["1.1.0"]).change(|world| {
        world.stopped.insert("helm/apps/a@1.1.0".to_owned());
        world.opens = Some(day("2026-11-28"));
    }),
    Prospect::Waits
)]
#[case::cluster_gets_there(rolling(|_| ()), Prospect::Waits)]
#[case::facts_are_too_old(rolling(|facts| facts.taken_at = Some(day("2026-11-01"))), Prospect::Held)]
#[case::nobody_can_say_what_is_newer(
    Small::new().chart("a", "1.0.0", &[]).change(|world| world.subjects[0].entry.status = Status::Unresolved),
    Prospect::Nothing
)]
#[case::a_range_is_left_alone(
    Small::new().chart("a", "1.0.0", &[]).change(|world| {
        world.subjects[0].entry.status = Status::NotPinned;
        world.subjects[0].entry.available_version = Some("2.0.0".to_owned());
    }),
    Prospect::Nothing
)]
fn a_script_is_told_whether_anything_goes_on(#[case] world: Small, #[case] expected: Prospect) {
    let plan = world.plan();
    assert_eq!(prospect(&report(&plan), &plan.waits), expected, "{:?} {:?}", plan.waits, told_holds(&plan));
}

#[test]
fn what_is_held_until_a_known_time_goes_on_by_itself() {
    let mut plan = Small::new()
        .chart("b", "1.0.0", &["2.0.0"])
        .policy("helm/apps/b", "2.0.0", Err("release_age"))
        .plan();
    assert_eq!(prospect(&report(&plan), &plan.waits), Prospect::Held);
    plan.held[0].until = Some(day("2026-11-28"));
    assert_eq!(prospect(&report(&plan), &plan.waits), Prospect::Waits);
}

fn report(plan: &Plan) -> PlanReport {
    PlanReport {
        schema: SCHEMA.to_owned(),
        repository: Repository { path: ".".to_owned(), revision: None },
        now: day("2026-11-21"),
        facts: Vec::new(),
        waves: plan.waves.clone(),
        held: plan.held.clone(),
        diffs: BTreeMap::new(),
        problems: Vec::new(),
    }
}

//! Order, waves and what is proposed now.

use rstest::rstest;

use super::*;
use crate::domain::plan::tests::world::day;
use crate::domain::settle::verdict::Verdict;
use crate::domain::state::{Stage, Update};
use crate::domain::upstream::UpstreamRef;
use crate::domain::version::Scheme;

fn apps() -> Small {
    Small::new().chart("a", "1.0.0", &["1.1.0"]).chart("b", "1.0.0", &["1.1.0"]).chart(
        "c",
        "1.0.0",
        &["1.1.0"],
    )
}

/// An update of a component in some stage.
pub(super) fn update(component: &str, to: &str, stage: Stage, safety: RevertSafety) -> Update {
    Update {
        update_id: "update-20261120-100000".to_owned(),
        status: stage.status(),
        stage,
        started_at: day("2026-11-20"),
        changed_at: day("2026-11-20"),
        campaign: "campaign-20261120-100000".to_owned(),
        component: component.to_owned(),
        chart: None,
        from: "0.9.0".to_owned(),
        to: to.to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: "policy.semver_gates.minor".to_owned(),
        revert: Revert { safety, why: String::new() },
        backup_id: None,
        branch: String::new(),
        base: None,
        head: None,
        pull_request: None,
        merge_commit: None,
        merged_at: None,
        current_phase: None,
        completed_phases: Vec::new(),
        failure_stage: None,
        reason: None,
        verified_by: None,
        settling: Default::default(),
    }
}

#[test]
fn independent_steps_share_a_wave_up_to_the_limit() {
    let plan = apps().plan();
    assert_sound(&plan);
    assert_eq!(told(&plan), "helm/apps/a 1.1.0, helm/apps/b 1.1.0, helm/apps/c 1.1.0");
    assert_eq!(next(&plan).len(), 3);
    for (concurrency, waves) in [(2, 2), (1, 3), (0, 3)] {
        let plan = apps().change(|world| world.concurrency = concurrency).plan();
        assert_sound(&plan);
        assert_eq!(plan.waves.len(), waves, "{concurrency}");
        assert_eq!(next(&plan).len(), concurrency.max(1));
    }
}

#[test]
fn what_cannot_be_reverted_goes_alone() {
    let plan = apps().chart("postgresql", "1.0.0", &["2.0.0"]).k3s("v1.33.9+k3s1", &["v1.33.10+k3s1"]).plan();
    assert_sound(&plan);
    assert_eq!(
        told(&plan),
        "k3s v1.33.10+k3s1 | helm/apps/a 1.1.0, helm/apps/b 1.1.0, helm/apps/c 1.1.0 | helm/apps/postgresql 2.0.0"
    );
}

#[test]
fn users_come_after_what_they_depend_on_through_others_too() {
    // `b` has nothing to do, and passes the order on.
    let world = Small::new()
        .chart("a", "1.0.0", &["1.1.0"])
        .chart("b", "1.0.0", &[])
        .chart("c", "1.0.0", &["1.1.0"])
        .depends("helm/apps/a", "helm/apps/b")
        .depends("helm/apps/b", "helm/apps/c");
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(told(&plan), "helm/apps/c 1.1.0 | helm/apps/a 1.1.0");
    assert_eq!(step(&plan, "helm/apps/a@1.1.0").requires, ["helm/apps/c@1.1.0"]);
}

#[test]
fn components_that_wait_for_each_other_are_held_and_named() {
    let world = apps().depends("helm/apps/a", "helm/apps/b").depends("helm/apps/b", "helm/apps/a");
    let plan = world.plan();
    assert_eq!(told(&plan), "helm/apps/c 1.1.0");
    assert_eq!(
        told_holds(&plan),
        ["a", "b"].map(|name| format!(
            "helm/apps/{name}: dependency: these wait for each other: `helm/apps/a`, `helm/apps/b` \
             (helm/apps/a depends on helm/apps/b; helm/apps/b depends on helm/apps/a)"
        ))
    );
}

#[test]
fn operators_go_before_kubernetes_and_applications_after_it() {
    let world = Small::new()
        .chart("app", "1.0.0", &["1.1.0"])
        .image("example/web", "1.0.0", &["1.0.1"])
        .chart("kyverno", "3.0.0", &["3.0.1"])
        .flux("v2.6.0", &["v2.6.4"])
        .longhorn("1.9.0", &["1.9.2"])
        .k3s("v1.32.1+k3s1", &["v1.32.13+k3s1"]);
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(
        told(&plan),
        "flux v2.6.4 | helm/apps/kyverno 3.0.1 | longhorn 1.9.2 | k3s v1.32.13+k3s1 | helm/apps/app 1.1.0, \
         image/ghcr.io/example/web 1.0.1"
    );
}

/// Only k3s stood between them: where Git does not carry it, an operator and its users were proposed at the same time.
#[rstest]
#[case::operator("kyverno")]
#[case::definitions("prometheus-operator-crds")]
#[case::operator_of_data("cloudnative-pg")]
#[case::network("cilium")]
fn operators_go_before_applications_where_git_carries_no_kubernetes_too(#[case] operator: &str) {
    let git = UpstreamRef::GitTags { url: "https://git.example.org/a/site".to_owned() };
    let world = Small::new()
        .chart("app", "1.0.0", &["1.0.1"])
        .image("example/web", "1.0.0", &["1.0.1"])
        .chart("postgresql", "1.0.0", &["1.0.1"])
        .component(
            "git/git.example.org/a/site",
            "git",
            Scheme::Loose,
            git,
            "git-repository-tag",
            "1.0.0",
            &["1.0.1"],
        )
        .chart(operator, "1.0.0", &["1.0.1"]);
    let plan = world.plan();
    assert_sound(&plan);
    let first = format!("helm/apps/{operator}@1.0.1");
    assert_eq!(next(&plan), [first.as_str()], "{}", told(&plan));
    assert_eq!(plan.waves[0].steps.len(), 1, "{}", told(&plan));
    // Under review it is waited for, and verified no more.
    let stands = |stage: Stage| {
        let mut world = Small::new().chart("app", "1.0.0", &["1.0.1"]).chart(operator, "1.0.1", &[]);
        world.updates.push(update(&format!("helm/apps/{operator}"), "1.0.1", stage, RevertSafety::Safe));
        world.plan()
    };
    assert_eq!(next(&stands(Stage::Merged)).len(), 0);
    assert_eq!(next(&stands(Stage::Verified)), ["helm/apps/app@1.0.1"]);
}

/// What was merged has left the plan, and what rules put behind it was proposed before it was verified.
#[rstest]
fn what_rules_put_first_is_waited_for_until_it_is_verified(
    #[values(Stage::Proposed, Stage::Merged, Stage::Rolling)] stage: Stage,
) {
    let world = |stage: Stage| {
        Small::new()
            .flux("v2.6.4", &[])
            .chart("a", "1.0.0", &["1.1.0"])
            .chart("kyverno", "3.0.0", &["3.0.1"])
            .change(|world| world.updates.push(update("flux", "v2.6.4", stage, RevertSafety::Safe)))
            .plan()
    };
    let plan = world(stage);
    assert_eq!(next(&plan).len(), 0, "applications come after operators, and those after Flux");
    let reasons = step(&plan, "helm/apps/kyverno@3.0.1").reasons.join("; ");
    assert!(reasons.contains("waits: flux v2.6.4") && reasons.contains("rules put it first"), "{reasons}");
    assert!(next(&world(Stage::Verified)).contains(&"helm/apps/kyverno@3.0.1"));
}

/// `kyverno` has nothing to do, and passes the order on: k3s goes after it, and it after Flux.
#[test]
fn rules_put_first_through_others_too() {
    let world = Small::new()
        .flux("v2.6.4", &[])
        .chart("kyverno", "3.0.0", &[])
        .k3s("v1.32.1+k3s1", &["v1.32.13+k3s1"])
        .change(|world| {
            world.updates.push(update("flux", "v2.6.4", Stage::Merged, RevertSafety::Safe));
        });
    assert_eq!(next(&world.plan()).len(), 0);
}

#[test]
fn regressed_update_stops_everything_until_it_is_over() {
    let world = |stage: Stage| {
        apps()
            .change(|world| {
                let mut bad = update("helm/apps/d", "1.1.0", stage, RevertSafety::Safe);
                bad.settling.verdict = Some(Verdict::Regressed);
                world.updates.push(bad);
            })
            .plan()
    };
    let plan = world(Stage::Rolling);
    assert_eq!(next(&plan).len(), 0);
    let reasons = step(&plan, "helm/apps/a@1.1.0").reasons.join("; ");
    assert!(reasons.contains("waits: helm/apps/d 1.1.0 regressed"), "{reasons}");
    assert_eq!(next(&world(Stage::Reverted)).len(), 3);
}

/// Flux by an OCIRepository: the rule of the pin says `after` of repositories, not of Flux.
#[test]
fn flux_from_a_registry_goes_first_all_the_same() {
    let world = Small::new()
        .flux("v2.6.0", &["v2.6.4"])
        .chart("kyverno", "3.0.0", &["3.0.1"])
        .longhorn("1.9.0", &["1.9.2"])
        .k3s("v1.32.1+k3s1", &["v1.32.13+k3s1"])
        .change(|world| world.subjects[0].component.pins[0].rule = "oci-repository-tag".to_owned());
    let plan = world.plan();
    assert_eq!(told(&plan), "flux v2.6.4 | helm/apps/kyverno 3.0.1 | longhorn 1.9.2 | k3s v1.32.13+k3s1");
    assert_eq!(plan.held, []);
}

/// A version that only a comment names is moved as others of its kind.
#[test]
fn what_no_pin_of_a_rule_holds_is_moved_as_its_kind() {
    let world = Small::new()
        .chart("app", "1.0.0", &["1.1.0"])
        .change(|world| world.subjects[0].component.pins[0].rule = "annotation".to_owned());
    assert_eq!(world.plan().waves[0].steps[0].revert.safety, RevertSafety::Safe);
}

#[rstest]
#[case::own_pull_request_is_open(update("helm/apps/a", "1.1.0", Stage::Proposed, RevertSafety::Safe), &["a", "b", "c"])]
#[case::own_step_is_merged(update("helm/apps/a", "1.0.0", Stage::Merged, RevertSafety::Safe), &["b", "c"])]
#[case::own_step_is_rolling(update("helm/apps/a", "1.0.0", Stage::Rolling, RevertSafety::Safe), &["b", "c"])]
#[case::other_that_goes_alone_is_open(update("k3s", "v1", Stage::Proposed, RevertSafety::Conditional), &[])]
#[case::other_that_goes_alone_is_merged(update("k3s", "v1", Stage::Merged, RevertSafety::Unsafe), &[])]
#[case::held_stops_the_queue(update("helm/apps/x", "2", Stage::Held, RevertSafety::Safe), &[])]
#[case::verified_stops_nothing(update("helm/apps/a", "1.0.0", Stage::Verified, RevertSafety::Safe), &["a", "b", "c"])]
#[case::reverted_stops_nothing(update("k3s", "v1", Stage::Reverted, RevertSafety::Unsafe), &["a", "b", "c"])]
#[case::given_up_stops_nothing(update("k3s", "v1", Stage::Abandoned, RevertSafety::Unsafe), &["a", "b", "c"])]
fn what_is_under_way_decides_what_is_proposed(#[case] update: Update, #[case] expected: &[&str]) {
    let plan = apps().change(|world| world.updates.push(update)).plan();
    let expected: Vec<String> = expected.iter().map(|name| format!("helm/apps/{name}@1.1.0")).collect();
    assert_eq!(next(&plan), expected);
}

#[test]
fn what_goes_alone_waits_for_what_is_under_way() {
    let merged = update("helm/apps/a", "1.1.0", Stage::Merged, RevertSafety::Safe);
    let world = Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1"]).chart("b", "1.0.0", &["1.1.0"]);
    let plan = world.change(|world| world.updates.push(merged)).plan();
    // What may share goes on.
    assert_eq!(next(&plan), ["helm/apps/b@1.1.0"]);
    let reasons = &step(&plan, "k3s@v1.33.10+k3s1").reasons;
    assert!(
        reasons.contains(&"waits: helm/apps/a 1.1.0 is merged and not verified".to_owned()),
        "{reasons:?}"
    );
}

/// A pull request that nobody may merge, because what had to come first was taken back, kept that one waiting, which
/// would have put it right; and waited for it.
#[test]
fn nothing_waits_for_what_has_lost_its_ground() {
    let open = update("helm/apps/a", "1.1.0", Stage::Proposed, RevertSafety::Safe);
    let id = open.update_id.clone();
    let world = Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1"]);
    let world = world.change(|world| world.updates.push(open));
    assert_eq!(next(&world.plan()), [""; 0]);
    let world = world.change(|world| _ = world.groundless.insert(id));
    assert_eq!(next(&world.plan()), ["k3s@v1.33.10+k3s1"]);
}

#[test]
fn user_waits_until_what_it_depends_on_is_verified() {
    let merged = update("helm/apps/a", "1.0.0", Stage::Merged, RevertSafety::Safe);
    let world = Small::new()
        .chart("a", "1.0.0", &[])
        .chart("x", "1.0.0", &[])
        .chart("b", "1.0.0", &["1.1.0"])
        .chart("c", "1.0.0", &["1.1.0"])
        .depends("helm/apps/b", "helm/apps/x")
        .depends("helm/apps/x", "helm/apps/a")
        .change(|world| world.updates.push(merged));
    assert_eq!(next(&world.plan()), ["helm/apps/c@1.1.0"]);
}

#[test]
fn what_is_stopped_at_this_hour_does_not_keep_the_others_waiting() {
    let world = Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1"]).chart("a", "1.0.0", &["1.1.0"]).chart(
        "b",
        "1.0.0",
        &["1.1.0"],
    );
    assert_eq!(next(&world.plan()), ["k3s@v1.33.10+k3s1"]);
    let world = world.change(|world| {
        world.stopped.insert("k3s@v1.33.10+k3s1".to_owned());
    });
    let plan = world.plan();
    assert_eq!(next(&plan), ["helm/apps/a@1.1.0", "helm/apps/b@1.1.0"]);
    let reasons = &step(&plan, "k3s@v1.33.10+k3s1").reasons;
    assert!(reasons.contains(&"window: no window is open".to_owned()), "{reasons:?}");
}

#[test]
fn manual_steps_wait_for_a_person() {
    let world = Small::new().chart("a", "1.0.0", &["2.0.0"]).gate(UpdateType::Major, Approval::Manual);
    let plan = world.plan();
    assert_eq!(told(&plan), "helm/apps/a 2.0.0");
    assert_eq!(next(&plan), Vec::<&str>::new());
    let asked = world.change(|world| {
        world.asked.insert("helm/apps/a@2.0.0".to_owned());
    });
    assert_eq!(next(&asked.plan()), ["helm/apps/a@2.0.0"]);
}

#[test]
fn smaller_step_that_needs_no_one_to_ask_is_taken_first() {
    let world = Small::new()
        .chart("a", "1.0.0", &["1.1.0", "1.2.0", "2.0.0", "3.0.0"])
        .gate(UpdateType::Major, Approval::Manual);
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(told(&plan), "helm/apps/a 1.2.0 | helm/apps/a 3.0.0");
    assert_eq!(next(&plan), ["helm/apps/a@1.2.0"]);
}

#[test]
fn auto_is_refused_where_a_revert_is_not_safe() {
    let world = Small::new()
        .chart("a", "1.0.0", &["1.1.0"])
        .chart("postgresql", "1.0.0", &["1.1.0"])
        .gate(UpdateType::Minor, Approval::Auto);
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(step(&plan, "helm/apps/a@1.1.0").gate, Approval::Auto);
    let database = step(&plan, "helm/apps/postgresql@1.1.0");
    assert_eq!(database.gate, Approval::Review);
    assert_eq!(database.policy_applied, "rules.stateful.revert");
    assert!(database.reasons[0].starts_with("`auto` (policy.semver_gates) is refused: "), "{database:?}");
}

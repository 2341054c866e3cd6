//! Ladders, gates and compatibility.

use super::*;
use crate::domain::facts::Facts;
use crate::domain::plan::input::ApiUse;

#[test]
fn minors_are_climbed_one_by_one_through_their_newest_patch() {
    let world = Small::new().k3s(
        "v1.30.2+k3s1",
        &["v1.30.9+k3s1", "v1.31.1+k3s1", "v1.31.6+k3s1", "v1.32.0+k3s1", "v1.32.0+k3s10"],
    );
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(told(&plan), "k3s v1.31.6+k3s1 | k3s v1.32.0+k3s10");
    assert_eq!(plan.held, []);
    assert_eq!(next(&plan), ["k3s@v1.31.6+k3s1"]);
    assert_eq!(step(&plan, "k3s@v1.32.0+k3s10").requires, ["k3s@v1.31.6+k3s1"]);
}

#[test]
fn missing_minor_ends_the_ladder_and_is_told() {
    let world = Small::new().k3s("v1.30.2+k3s1", &["v1.30.9+k3s1", "v1.32.0+k3s1"]);
    let plan = world.plan();
    assert_eq!(told(&plan), "k3s v1.30.9+k3s1");
    assert_eq!(told_holds(&plan), ["k3s: ladder: k3s v1.32.0+k3s1 is more than one step from v1.30.9+k3s1"]);
    assert_eq!(plan.held[0].from.as_deref(), Some("v1.30.9+k3s1"));
    assert_eq!(plan.held[0].policy_applied.as_deref(), Some("rules.k3s.ladder"));
}

/// k3s 1.33.7 has an etcd that breaks on the way to 3.6.
#[test]
fn etcd_36_is_entered_only_from_a_patch_that_can() {
    let world = Small::new().k3s("v1.33.4+k3s1", &["v1.33.7+k3s1", "v1.33.9+k3s1", "v1.34.2+k3s1"]);
    assert_eq!(told(&world.plan()), "k3s v1.33.9+k3s1 | k3s v1.34.2+k3s1");
    let world = Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1", "v1.34.2+k3s1"]);
    let plan = world.plan();
    assert_eq!(told(&plan), "k3s v1.34.2+k3s1");
    assert!(plan.waves[0].steps[0].reasons.iter().any(|reason| reason.contains("etcd 3.6")));
    let world = Small::new().k3s("v1.33.4+k3s1", &["v1.33.7+k3s1", "v1.34.2+k3s1"]);
    let plan = world.plan();
    assert_eq!(told(&plan), "k3s v1.33.7+k3s1");
    assert_eq!(told_holds(&plan), ["k3s: ladder: k3s >=1.34 only from >=1.33.8"]);
}

#[test]
fn a_step_never_goes_to_an_earlier_month() {
    // The newest 1.34 was built after every 1.35: an older 1.34 is stepped on.
    let world = Small::new().k3s(
        "v1.33.9+k3s1 2026-02-10",
        &["v1.34.8+k3s1 2026-05-20", "v1.34.9+k3s1 2026-07-06", "v1.35.6+k3s1 2026-06-26"],
    );
    let plan = world.plan();
    assert_eq!(told(&plan), "k3s v1.34.8+k3s1 | k3s v1.35.6+k3s1");
    let reasons = &step(&plan, "k3s@v1.34.8+k3s1").reasons;
    let passed_up = "v1.34.9+k3s1 is newer, but the next step could not be taken from it";
    assert!(reasons.iter().any(|reason| reason == passed_up), "{reasons:?}");
    let world = Small::new().k3s("v1.33.9+k3s1 2026-07-10", &["v1.34.8+k3s1 2026-05-20"]);
    let plan = world.plan();
    assert_eq!(told(&plan), "");
    assert_eq!(
        told_holds(&plan),
        ["k3s: build_month: k3s is never replaced by one that was built in an earlier month"]
    );
    let undated = Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1", "v1.34.8+k3s1"]).change(|world| {
        for candidate in &mut world.subjects[0].candidates {
            candidate.released_at = None;
        }
    });
    let plan = undated.plan();
    assert_eq!(told(&plan), "k3s v1.33.10+k3s1");
    assert_eq!(plan.held[0].gate, "build_month");
    assert!(plan.held[0].reason.contains("nobody says"), "{}", plan.held[0].reason);
}

#[test]
fn longhorn_is_climbed_before_the_kubernetes_that_it_does_not_go_with() {
    let world = Small::new()
        .k3s("v1.24.6+k3s1", &["v1.24.17+k3s1", "v1.25.16+k3s4", "v1.26.15+k3s1"])
        .longhorn("1.3.2", &["1.3.3", "1.4.4", "1.5.5"]);
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(told(&plan), "longhorn 1.4.4 | longhorn 1.5.5 | k3s v1.25.16+k3s4 | k3s v1.26.15+k3s1");
    let k3s = step(&plan, "k3s@v1.25.16+k3s4");
    assert_eq!(k3s.requires, ["longhorn@1.4.4"]);
    assert!(
        k3s.reasons
            .contains(&"after `longhorn@1.4.4`: longhorn 1.3.2 needs kubernetes >=1.18 <1.25".to_owned()),
        "{:?}",
        k3s.reasons
    );
}

#[test]
fn kubernetes_is_held_by_what_does_not_go_with_more() {
    let world =
        Small::new().k3s("v1.24.6+k3s1", &["v1.24.17+k3s1", "v1.25.16+k3s4"]).longhorn("1.3.2", &["1.3.3"]);
    let plan = world.plan();
    assert_eq!(told(&plan), "longhorn 1.3.3 | k3s v1.24.17+k3s1");
    assert_eq!(told_holds(&plan), ["k3s: compatibility: longhorn 1.3.3 needs kubernetes >=1.18 <1.25"]);
}

#[test]
fn version_to_be_avoided_is_never_stepped_on() {
    let world = Small::new().longhorn("1.10.2", &["1.11.0", "1.11.3", "1.12.1"]).k3s("v1.33.9+k3s1", &[]);
    assert_eq!(told(&world.plan()), "longhorn 1.11.3 | longhorn 1.12.1");
    let world = Small::new().longhorn("1.10.2", &["1.11.0"]).k3s("v1.33.9+k3s1", &[]);
    let plan = world.plan();
    assert_eq!(told(&plan), "");
    assert_eq!(told_holds(&plan), ["longhorn: avoid: longhorn is never 1.11.0"]);
}

#[test]
fn flux_and_kubernetes_climb_in_turns() {
    let world = Small::new()
        .flux("v0.41.2", &["v2.0.1", "v2.1.2", "v2.2.3", "v2.3.0"])
        .k3s("v1.24.17+k3s1", &["v1.25.16+k3s4", "v1.26.15+k3s1", "v1.27.16+k3s1", "v1.28.15+k3s1"]);
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(
        told(&plan),
        "flux v2.0.1 | k3s v1.25.16+k3s4 | flux v2.1.2 | k3s v1.26.15+k3s1 | flux v2.2.3 | k3s v1.27.16+k3s1 | \
         k3s v1.28.15+k3s1 | flux v2.3.0"
    );
    let flux = step(&plan, "flux@v2.1.2");
    assert_eq!(flux.requires, ["flux@v2.0.1", "k3s@v1.25.16+k3s4"]);
    assert!(flux.reasons.iter().any(|reason| reason.contains("flux v2.1.2 needs kubernetes >=1.25")));
    // A major is entered from the last minor before it only.
    let world = Small::new().flux("v0.40.0", &["v0.41.2", "v2.0.1"]).k3s("v1.28.1+k3s1", &[]);
    assert_eq!(told(&world.plan()), "flux v0.41.2 | flux v2.0.1");
}

/// Together these have more states than are looked at: then cores move one after the other, again and again.
#[test]
fn many_that_are_tied_together_climb_to_the_end_all_the_same() {
    let rule = |name: &str| {
        format!(
            "id: {name}\ntitle: {name}\nwhy: it is picky\nabout: {{charts: [{name}]}}\n\
             compatibility: [{{versions: '>=1', needs: {{flux: '>=0.1'}}}}]\n"
        )
    };
    let names = ["alpha", "beta", "gamma", "delta"];
    let rules: Vec<String> = names.iter().map(|name| rule(name)).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let newer = ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0"];
    let mut world = Small::with_rules(&rules)
        .flux("v0.41.2", &["v2.0.1", "v2.1.2", "v2.2.3", "v2.3.0"])
        .k3s("v1.24.17+k3s1", &["v1.25.16+k3s4", "v1.26.15+k3s1", "v1.27.16+k3s1", "v1.28.15+k3s1"]);
    for name in names {
        world = world.chart(name, "1.0.0", &newer);
    }
    let plan = world.plan();
    assert_sound(&plan);
    let told = told(&plan);
    for end in ["flux v2.3.0", "k3s v1.28.15+k3s1", "helm/apps/alpha 1.6.0", "helm/apps/delta 1.6.0"] {
        assert!(told.contains(end), "{end}: {told}");
    }
}

#[test]
fn apis_that_flux_no_longer_serves_hold_it_where_they_are_used() {
    let used = ApiUse {
        file: "apps/web.yaml".to_owned(),
        line: 3,
        api_version: "helm.toolkit.fluxcd.io/v2beta1".to_owned(),
        kind: "HelmRelease".to_owned(),
        replacement: Some("helm.toolkit.fluxcd.io/v2".to_owned()),
    };
    let world = Small::new()
        .flux("v2.5.1", &["v2.6.4", "v2.7.5", "v2.8.8"])
        .k3s("v1.33.9+k3s1", &[])
        .change(|world| world.uses.push(used));
    let plan = world.plan();
    assert_eq!(told(&plan), "flux v2.6.4");
    assert_eq!(
        told_holds(&plan),
        ["flux: removed_api: flux >=2.7 no longer serves helm.toolkit.fluxcd.io/v2beta1"]
    );
    let reason = &plan.held[0].reason;
    assert!(
        reason.contains(
            "HelmRelease helm.toolkit.fluxcd.io/v2beta1 at apps/web.yaml:3 (use helm.toolkit.fluxcd.io/v2)"
        ),
        "{reason}"
    );
}

#[test]
fn kubernetes_apis_that_are_still_used_hold_kubernetes() {
    let used = ApiUse {
        file: "a.yaml".to_owned(),
        line: 7,
        api_version: "policy/v1beta1".to_owned(),
        kind: "PodDisruptionBudget".to_owned(),
        replacement: Some("policy/v1".to_owned()),
    };
    let world = Small::new()
        .k3s("v1.24.6+k3s1", &["v1.24.17+k3s1", "v1.25.16+k3s4", "v1.26.15+k3s1"])
        .change(|world| world.removed.push((25, used)));
    let plan = world.plan();
    assert_eq!(told(&plan), "k3s v1.24.17+k3s1");
    assert_eq!(
        told_holds(&plan),
        ["k3s: removed_api: kubernetes 1.25 no longer serves PodDisruptionBudget policy/v1beta1"]
    );
    assert!(plan.held[0].reason.contains("a.yaml:7 (use policy/v1)"), "{}", plan.held[0].reason);
}

#[test]
fn chart_waits_for_the_kubernetes_that_it_needs() {
    let world = Small::new().k3s("v1.30.9+k3s1", &["v1.31.6+k3s1", "v1.32.1+k3s1"]).chart(
        "app",
        "1.0.0 [>=1.20.0-0]",
        &["1.1.0 [>=1.20.0-0]", "2.0.0 [>=1.31.0-0]"],
    );
    let plan = world.plan();
    assert_eq!(told(&plan), "k3s v1.31.6+k3s1 | k3s v1.32.1+k3s1 | helm/apps/app 2.0.0");
    let chart = step(&plan, "helm/apps/app@2.0.0");
    assert_eq!(chart.requires, ["k3s@v1.31.6+k3s1"]);
    // The Kubernetes that it needs is never reached.
    let world = Small::new().k3s("v1.30.9+k3s1", &[]).chart(
        "app",
        "1.0.0 [>=1.20.0-0]",
        &["1.1.0 [>=1.20.0-0]", "2.0.0 [>=1.31.0-0]"],
    );
    let plan = world.plan();
    assert_eq!(told(&plan), "helm/apps/app 1.1.0");
    assert_eq!(told_holds(&plan), ["helm/apps/app: compatibility: app 2.0.0 needs kubernetes >=1.31.0-0"]);
}

/// The direct way is blocked: 1.0.0 ends before 1.32, 2.0.0 begins after 1.31.
#[test]
fn detour_is_found_where_the_direct_way_is_blocked() {
    let world = Small::new().k3s("v1.30.9+k3s1", &["v1.31.6+k3s1", "v1.32.1+k3s1", "v1.33.9+k3s1"]).chart(
        "app",
        "1.0.0 [<1.32.0-0]",
        &["1.4.0 [<1.32.0-0]", "1.5.0 [>=1.31.0-0 <1.33.0-0]", "1.6.0 [<1.31.0-0]", "2.0.0 [>=1.32.0-0]"],
    );
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(
        told(&plan),
        "k3s v1.31.6+k3s1 | helm/apps/app 1.5.0 | k3s v1.32.1+k3s1 | k3s v1.33.9+k3s1 | helm/apps/app 2.0.0"
            .replace("k3s v1.33.9+k3s1 | helm/apps/app 2.0.0", "helm/apps/app 2.0.0 | k3s v1.33.9+k3s1")
    );
}

#[test]
fn kubernetes_that_nobody_knows_holds_only_what_asks_for_more() {
    let world = Small::new()
        .chart("same", "1.0.0 [>=1.21.0-0]", &["2.0.0 [>=1.21.0-0]"])
        .chart("less", "1.0.0 [>=1.21.0-0]", &["2.0.0 [>=1.19.0-0]"])
        .chart("more", "1.0.0 [>=1.21.0-0]", &["1.1.0 [>=1.21.0-0]", "2.0.0 [>=1.30.0-0]"])
        .chart("none", "1.0.0", &["2.0.0"]);
    let plan = world.plan();
    assert_eq!(
        told(&plan),
        "helm/apps/same 2.0.0 | helm/apps/less 2.0.0 | helm/apps/more 1.1.0 | helm/apps/none 2.0.0"
    );
    assert_eq!(plan.held.len(), 1);
    assert!(plan.held[0].reason.contains("nobody says"), "{}", plan.held[0].reason);
    let facts =
        Facts { kubernetes: Some("v1.31.4".to_owned()), taken_at: Some(world.now), ..Facts::default() };
    let plan = world.facts(facts).plan();
    assert_eq!(plan.held, []);
    assert!(told(&plan).contains("helm/apps/more 2.0.0"));
}

/// The start already breaks what Longhorn 1.3 needs: it is repaired before anything gets worse.
#[test]
fn what_is_broken_at_the_start_is_repaired_first() {
    let world = Small::new().k3s("v1.26.15+k3s1", &["v1.27.16+k3s1"]).longhorn("1.3.2", &["1.3.3", "1.4.4"]);
    let plan = world.plan();
    assert_eq!(told(&plan), "longhorn 1.4.4 | k3s v1.27.16+k3s1");
    assert_eq!(step(&plan, "k3s@v1.27.16+k3s1").requires, ["longhorn@1.4.4"]);
    // Kubernetes that is too old may come nearer, version by version.
    let world = Small::new().k3s("v1.30.9+k3s1", &["v1.31.6+k3s1", "v1.32.1+k3s1"]).chart(
        "app",
        "2.0.0 [>=1.32.0-0]",
        &["2.1.0 [>=1.32.0-0]"],
    );
    let plan = world.plan();
    assert!(told(&plan).starts_with("k3s v1.31.6+k3s1 | k3s v1.32.1+k3s1"), "{}", told(&plan));
}

#[test]
fn versions_that_were_not_tested_together_are_avoided_where_they_can_be() {
    let world = Small::new()
        .longhorn("1.9.1", &["1.10.2", "1.11.3", "1.12.1"])
        .k3s("v1.31.6+k3s1", &["v1.32.1+k3s1", "v1.33.9+k3s1", "v1.34.2+k3s1"]);
    let plan = world.plan();
    // 1.11 was tested from Kubernetes 1.34 on, 1.12 from 1.33 on.
    assert_eq!(
        told(&plan),
        "longhorn 1.10.2 | k3s v1.32.1+k3s1 | k3s v1.33.9+k3s1 | longhorn 1.11.3 | longhorn 1.12.1 | \
         k3s v1.34.2+k3s1"
    );
    let reasons = &step(&plan, "longhorn@1.11.3").reasons;
    assert!(
        reasons.contains(
            &"longhorn 1.11.3 was tested with kubernetes >=1.34 <1.37, not with v1.33.9+k3s1".to_owned()
        ),
        "{reasons:?}"
    );
}

#[test]
fn rules_of_a_repository_bring_ladders_and_needs_of_their_own() {
    let rule = "\
id: suite
title: Suite
why: it migrates its data in these versions
about: {charts: [suite]}
ladder:
  stops: [{versions: 2.3.x, why: it migrates the schema}, {versions: 3.1.x, why: it migrates the index}]
compatibility: [{versions: '>=3', needs: {flux: '>=2.6'}}]
revert: [{safety: unsafe, why: the schema has moved}]
";
    let world = Small::with_rules(&[rule])
        .chart("suite", "2.0.0", &["2.3.1", "2.3.7", "2.9.0", "3.0.0", "3.1.4", "4.0.0"])
        .flux("v2.5.1", &["v2.6.4"])
        .k3s("v1.33.9+k3s1", &[]);
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(
        told(&plan),
        "flux v2.6.4 | helm/apps/suite 2.3.7 | helm/apps/suite 3.1.4 | helm/apps/suite 4.0.0"
    );
    assert_eq!(step(&plan, "helm/apps/suite@3.1.4").requires, ["flux@v2.6.4", "helm/apps/suite@2.3.7"]);
    let held = world.policy("helm/apps/suite", "2.3.1", Err("denied"));
    let held = held.policy("helm/apps/suite", "2.3.7", Err("denied"));
    let plan = held.plan();
    assert_eq!(told_holds(&plan), ["helm/apps/suite: denied: 2.3.7 is held"]);
}

#[test]
fn shared_components_go_with_every_cluster() {
    let world = Small::new()
        .k3s("v1.30.9+k3s1", &["v1.31.6+k3s1", "v1.32.1+k3s1"])
        .k3s("v1.31.6+k3s1", &["v1.32.1+k3s1"])
        .chart("shared", "1.0.0 [<1.32.0-0]", &["2.0.0 [>=1.31.0-0]"])
        .change(|world| {
            for (at, cluster) in ["production", "staging"].into_iter().enumerate() {
                let component = &mut world.subjects[at].component;
                component.id = format!("{cluster}:k3s");
                component.cluster = Some(cluster.to_owned());
            }
        });
    let plan = world.plan();
    assert_sound(&plan);
    let order: Vec<String> =
        plan.waves.iter().flat_map(|wave| &wave.steps).map(|step| step.id.clone()).collect();
    let place = |id: &str| order.iter().position(|step| step == id).unwrap();
    assert!(place("production:k3s@v1.31.6+k3s1") < place("helm/apps/shared@2.0.0"), "{order:?}");
    assert!(place("helm/apps/shared@2.0.0") < place("production:k3s@v1.32.1+k3s1"), "{order:?}");
    assert!(place("helm/apps/shared@2.0.0") < place("staging:k3s@v1.32.1+k3s1"), "{order:?}");
    assert_eq!(plan.held, []);
}

#[test]
fn policy_is_asked_a_bounded_number_of_times() {
    let versions: Vec<String> = (1..400).map(|minor| format!("1.{minor}.0 [>=1.20.0-0]")).collect();
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    let world = Small::new().k3s("v1.30.9+k3s1", &[]).chart("app", "1.0.0 [>=1.20.0-0]", &versions);
    let asked = std::cell::RefCell::new(0);
    assert_eq!(told(&world.plan_asking(&asked)), "helm/apps/app 1.399.0");
    assert!(*asked.borrow() <= 4, "{asked:?}");
}

//! What is held, what facts say, and whether steps can be reverted.

use rstest::rstest;

use super::*;
use crate::domain::component::Given;
use crate::domain::facts::{Facts, FluxFact, LonghornFact, NodeFact};
use crate::domain::plan::tests::world::day;
use crate::domain::report::Status;

fn facts() -> Facts {
    Facts {
        taken_at: Some(day("2026-11-21")),
        kubernetes: Some("v1.33.9+k3s1".to_owned()),
        nodes: vec![NodeFact {
            name: "one".to_owned(),
            roles: vec!["control-plane".to_owned()],
            kubelet: "v1.33.9+k3s1".to_owned(),
            ready: true,
            schedulable: true,
        }],
        ..Facts::default()
    }
}

fn k3s() -> Small {
    Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1"])
}

#[test]
fn newest_that_policy_admits_is_taken_and_the_newer_is_held() {
    let world = Small::new()
        .chart("a", "1.0.0", &["1.1.0", "1.2.0", "1.3.0"])
        .policy("helm/apps/a", "1.3.0", Err("release_age"))
        .policy("helm/apps/a", "1.2.0", Err("denied"));
    let plan = world.plan();
    assert_eq!(told(&plan), "helm/apps/a 1.1.0");
    let held = &plan.held[0];
    assert_eq!((held.from.as_deref(), held.to.as_deref()), (Some("1.1.0"), Some("1.3.0")));
    assert_eq!(held.gate, "release_age");
    assert_eq!(held.policy_applied.as_deref(), Some("policy.release_age"));
}

#[test]
fn rung_that_policy_holds_ends_the_ladder_there() {
    let world = Small::new().k3s("v1.30.9+k3s1", &["v1.31.6+k3s1", "v1.32.1+k3s1"]).policy(
        "k3s",
        "v1.31.6+k3s1",
        Err("denied"),
    );
    let plan = world.plan();
    assert_eq!(told(&plan), "");
    assert_eq!(told_holds(&plan), ["k3s: denied: v1.31.6+k3s1 is held"]);
    assert_eq!(plan.held[0].to.as_deref(), Some("v1.32.1+k3s1"));
}

#[rstest]
#[case::unresolved(Status::Unresolved, None, Some("unresolved"))]
#[case::range_with_newer(Status::NotPinned, Some("2.0.0"), Some("not_pinned"))]
#[case::range_without_newer(Status::NotPinned, None, None)]
#[case::managed(Status::ManagedElsewhere, None, None)]
#[case::ignored(Status::Ignored, None, None)]
#[case::up_to_date(Status::UpToDate, None, None)]
fn what_cannot_be_moved_is_held_where_there_may_be_more(
    #[case] status: Status,
    #[case] available: Option<&str>,
    #[case] gate: Option<&str>,
) {
    let world = Small::new().chart("a", "1.0.0", &[]).change(|world| {
        let entry = &mut world.subjects[0].entry;
        entry.status = status;
        entry.reason = Some("because".to_owned());
        entry.available_version = available.map(str::to_owned);
    });
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(plan.waves, []);
    assert_eq!(plan.held.first().map(|held| held.gate.as_str()), gate);
}

/// Of a range nobody could see that a key of the configuration decides.
#[rstest]
#[case::range(Status::NotPinned, Given::Range("1.x".to_owned()), "policy.ranges")]
#[case::nothing(Status::NotPinned, Given::Nothing("no version".to_owned()), "built in")]
#[case::unresolved(Status::Unresolved, Given::Exact("1.0.0".to_owned()), "built in")]
#[case::ignored(Status::Ignored, Given::Exact("1.0.0".to_owned()), "detection.ignore")]
fn what_is_not_moved_says_what_decided(#[case] status: Status, #[case] given: Given, #[case] by: &str) {
    let world = Small::new().chart("a", "1.0.0", &[]).change(|world| {
        let subject = &mut world.subjects[0];
        subject.component.given = given;
        subject.entry.status = status;
        subject.entry.available_version = Some("2.0.0".to_owned());
    });
    let plan = world.plan();
    assert_sound(&plan);
    assert_eq!(plan.held[0].policy_applied.as_deref(), Some(by));
}

/// Every need names who has it.
#[test]
fn what_compatibility_holds_says_whose_need_it_is() {
    let by = |world: Small| {
        let plan = world.plan();
        assert_sound(&plan);
        plan.held.into_iter().map(|held| held.policy_applied.unwrap()).collect::<Vec<_>>()
    };
    let of_chart = Small::new().k3s("v1.33.9+k3s1", &[]).chart("a", "1.0.0", &["2.0.0 [>=1.40]"]);
    assert_eq!(by(of_chart), ["the chart's `kubeVersion`"]);
    let of_rule = Small::new().k3s("v1.33.9+k3s1", &[]).longhorn("1.12.1", &["1.13.0"]);
    assert_eq!(by(of_rule), ["rules.longhorn.compatibility"]);
}

#[test]
fn nothing_newer_makes_an_empty_plan() {
    let world = Small::new().k3s("v1.33.9+k3s1", &[]).flux("v2.9.4", &[]).chart("a", "1.0.0", &[]);
    let plan = world.plan();
    assert_eq!((plan.waves.len(), plan.held.len()), (0, 0));
    assert_eq!(Small::new().plan().waves, []);
}

/// Whether a person must do something before the step goes on.
const PERSON: bool = true;
const ITSELF: bool = false;

#[rstest]
#[case::all_is_well(|_: &mut Facts| {}, None)]
#[case::node_is_not_ready(|facts: &mut Facts| facts.nodes[0].ready = false, Some(("not Ready or cordoned: one", PERSON)))]
#[case::node_is_cordoned(|facts: &mut Facts| facts.nodes[0].schedulable = false, Some(("not Ready or cordoned: one", PERSON)))]
#[case::volume_is_degraded(
    |facts: &mut Facts| facts.longhorn = Some(LonghornFact { volumes: Some(BTreeMap::from([("degraded".to_owned(), 2)])), ..LonghornFact::default() }),
    Some(("Longhorn volumes: 2 degraded", ITSELF))
)]
#[case::volume_is_faulted(
    |facts: &mut Facts| facts.longhorn = Some(LonghornFact { volumes: Some(BTreeMap::from([("faulted".to_owned(), 1)])), ..LonghornFact::default() }),
    Some(("Longhorn volumes: 1 faulted", PERSON))
)]
#[case::cluster_is_ahead_of_git(
    |facts: &mut Facts| facts.kubernetes = Some("v1.34.1+k3s1".to_owned()),
    Some((
        "Git says v1.33.9+k3s1, the cluster runs v1.34.1+k3s1: Git is behind, and what runs does not go back by it",
        PERSON,
    ))
)]
#[case::cluster_is_behind_git(
    |facts: &mut Facts| facts.kubernetes = Some("v1.33.8+k3s1".to_owned()),
    Some(("Git says v1.33.9+k3s1, the cluster runs v1.33.8+k3s1: what was merged last is not there yet", ITSELF))
)]
#[case::facts_are_eight_days_old(
    |facts: &mut Facts| facts.taken_at = Some(day("2026-11-13")),
    Some(("the facts of the cluster are too old to rest on (observed 8 days ago); take new ones", PERSON))
)]
#[case::facts_are_six_days_old(|facts: &mut Facts| facts.taken_at = Some(day("2026-11-15")), None)]
#[case::facts_have_no_date(
    |facts: &mut Facts| facts.taken_at = None,
    Some((
        "the facts of the cluster are too old to rest on (nobody says when this was observed); take new ones",
        PERSON,
    ))
)]
fn facts_stop_the_next_step(#[case] change: fn(&mut Facts), #[case] reason: Option<(&str, bool)>) {
    let mut facts = facts();
    change(&mut facts);
    let plan = k3s().facts(facts).plan();
    let step = step(&plan, "k3s@v1.33.10+k3s1");
    assert_eq!(step.next, reason.is_none(), "{:?}", step.reasons);
    if let Some((reason, person)) = reason {
        assert!(step.reasons.iter().any(|known| known == reason), "{:?}", step.reasons);
        assert_eq!(plan.waits[&step.id].person, person);
    }
}

#[test]
fn without_facts_it_is_said_what_was_not_checked() {
    let plan = k3s().plan();
    let step = step(&plan, "k3s@v1.33.10+k3s1");
    assert!(step.next);
    let note = "not checked, because there are no facts of the cluster: nodes_ready, volumes_healthy";
    assert!(step.reasons.iter().any(|reason| reason == note), "{:?}", step.reasons);
}

#[rstest]
#[case::nothing_is_known_of_longhorn(None, true)]
#[case::volumes_were_not_seen(Some(LonghornFact { installed: Some(true), ..LonghornFact::default() }), true)]
#[case::there_is_no_longhorn(Some(LonghornFact { installed: Some(false), ..LonghornFact::default() }), false)]
#[case::there_are_no_volumes(
    Some(LonghornFact { volumes: Some(BTreeMap::new()), ..LonghornFact::default() }),
    false
)]
fn volumes_that_were_not_seen_are_not_taken_for_healthy(
    #[case] longhorn: Option<LonghornFact>,
    #[case] told: bool,
) {
    let plan = k3s().facts(Facts { longhorn, ..facts() }).plan();
    let step = step(&plan, "k3s@v1.33.10+k3s1");
    let note = "not checked, because the facts do not say: volumes_healthy";
    assert_eq!(step.reasons.iter().any(|reason| reason == note), told, "{:?}", step.reasons);
    assert!(step.next);
}

#[rstest]
#[case::migrated("v2", true)]
#[case::not_migrated("v2beta1", false)]
fn flux_waits_until_stored_objects_are_migrated(#[case] stored: &str, #[case] next: bool) {
    let crd = "helmreleases.helm.toolkit.fluxcd.io".to_owned();
    let flux = FluxFact {
        distribution: Some("v2.6.4".to_owned()),
        stored_versions: BTreeMap::from([(crd, vec!["v2".to_owned(), stored.to_owned()])]),
        ..FluxFact::default()
    };
    let world = Small::new().flux("v2.6.4", &["v2.7.5"]).k3s("v1.33.9+k3s1", &[]);
    let plan = world.facts(Facts { flux: Some(flux), ..facts() }).plan();
    let step = step(&plan, "flux@v2.7.5");
    assert_eq!(step.next, next, "{:?}", step.reasons);
    assert_eq!(step.reasons.iter().any(|reason| reason.contains("stored versions; migrate")), !next);
}

#[rstest]
#[case::current_engines(Some(0), true)]
#[case::old_engines(Some(3), false)]
#[case::unknown_engines(None, true)]
fn longhorn_waits_for_its_engines(#[case] old_engines: Option<usize>, #[case] next: bool) {
    let longhorn =
        LonghornFact { current: Some("v1.8.1".to_owned()), old_engines, ..LonghornFact::default() };
    let world = Small::new().longhorn("1.8.1", &["1.8.2"]).k3s("v1.33.9+k3s1", &[]);
    let plan = world.facts(Facts { longhorn: Some(longhorn), ..facts() }).plan();
    let step = step(&plan, "longhorn@1.8.2");
    assert_eq!(step.next, next, "{:?}", step.reasons);
}

#[test]
fn chart_waits_while_the_cluster_is_behind_git() {
    let facts = Facts { kubernetes: Some("v1.29.1+k3s1".to_owned()), ..facts() };
    let world = k3s().chart("a", "1.0.0", &["1.1.0 [>=1.30.0-0]"]);
    let plan = world.facts(facts).plan();
    assert_eq!(next(&plan), Vec::<&str>::new());
    let reasons = &step(&plan, "helm/apps/a@1.1.0").reasons;
    let expected = "it needs kubernetes >=1.30.0-0, and the cluster runs v1.29.1+k3s1";
    assert!(reasons.iter().any(|reason| reason == expected), "{reasons:?}");
}

#[test]
fn sources_of_facts_are_told() {
    let old = Facts {
        taken_at: Some(day("2026-11-18")),
        kubernetes: Some("v1.33.8+k3s1".to_owned()),
        ..Facts::default()
    };
    let told = |plan: &Plan| -> Vec<String> {
        let told = |fact: &FactSource| {
            let [value, note] =
                [&fact.value, &fact.note].map(|text| text.as_deref().unwrap_or("-").to_owned());
            format!("{} {value} {}: {note}", fact.fact, fact.source)
        };
        plan.facts.iter().map(told).collect()
    };
    assert_eq!(
        told(&k3s().facts(old).plan()),
        [
            "kubernetes v1.33.9+k3s1 git: Git says v1.33.9+k3s1, the cluster runs v1.33.8+k3s1",
            "kubernetes v1.33.8+k3s1 file: observed 3 days ago"
        ]
    );
    assert_eq!(told(&k3s().facts(facts()).plan())[1], "kubernetes v1.33.9+k3s1 file: -");
    assert_eq!(
        told(&Small::new().plan()),
        ["kubernetes - none: neither the repository nor facts say which version runs"]
    );
}

/// Every row of the matrix of what can be reverted.
#[rstest]
#[case::k3s_patch(Small::new().k3s("v1.33.9+k3s1", &["v1.33.10+k3s1"]), RevertSafety::Conditional)]
#[case::k3s_minor(Small::new().k3s("v1.32.9+k3s1", &["v1.33.10+k3s1"]), RevertSafety::Conditional)]
#[case::k3s_build(Small::new().k3s("v1.33.9+k3s1", &["v1.33.9+k3s2"]), RevertSafety::Conditional)]
#[case::flux_patch(Small::new().flux("v2.6.0", &["v2.6.4"]), RevertSafety::Conditional)]
#[case::flux_minor(Small::new().flux("v2.5.0", &["v2.6.4"]).k3s("v1.33.9+k3s1", &[]), RevertSafety::Conditional)]
#[case::flux_instance_minor(
    Small::new().flux("2.5.0", &["2.6.4"]).k3s("v1.33.9+k3s1", &[]).change(|world| world.subjects[0].component.pins[0].rule = "flux-instance".to_owned()),
    RevertSafety::Unsafe
)]
#[case::flux_instance_patch(
    Small::new().flux("2.6.0", &["2.6.4"]).change(|world| world.subjects[0].component.pins[0].rule = "flux-instance".to_owned()),
    RevertSafety::Conditional
)]
#[case::longhorn_patch(Small::new().longhorn("1.8.0", &["1.8.2"]), RevertSafety::Conditional)]
#[case::longhorn_minor(Small::new().longhorn("1.8.2", &["1.9.2"]).k3s("v1.33.9+k3s1", &[]), RevertSafety::Conditional)]
#[case::stateless_chart(Small::new().chart("podinfo", "6.0.0", &["6.1.0"]), RevertSafety::Safe)]
#[case::major_of_a_chart(Small::new().chart("podinfo", "6.0.0", &["7.0.0"]), RevertSafety::Conditional)]
#[case::chart_with_crds(Small::new().chart("kube-prometheus-stack", "60.0.0", &["61.0.0"]), RevertSafety::Conditional)]
#[case::database(Small::new().chart("postgresql", "15.0.0", &["16.0.0"]), RevertSafety::Unsafe)]
#[case::minor_of_an_application_with_data(Small::new().chart("nextcloud", "5.0.0", &["5.1.0"]), RevertSafety::Unsafe)]
#[case::patch_of_a_database(Small::new().chart("postgresql", "15.0.0", &["15.0.1"]), RevertSafety::Conditional)]
#[case::operator_with_data(Small::new().chart("cloudnative-pg", "0.22.0", &["0.23.0"]), RevertSafety::Unsafe)]
#[case::image(Small::new().image("example/web", "1.0.0", &["1.1.0"]), RevertSafety::Safe)]
#[case::image_of_a_database(Small::new().image("library/postgres", "16.1", &["17.0"]), RevertSafety::Unsafe)]
#[case::network(Small::new().chart("cilium", "1.18.0", &["1.18.1"]), RevertSafety::Conditional)]
#[case::ingress(Small::new().chart("ingress-nginx", "4.3.0", &["4.3.1"]), RevertSafety::Conditional)]
#[case::certificates(Small::new().chart("cert-manager", "1.18.0", &["1.18.1"]), RevertSafety::Conditional)]
#[case::virtual_address(Small::new().image("kube-vip/kube-vip", "v0.8.0", &["v0.8.1"]), RevertSafety::Conditional)]
fn every_kind_of_change_has_its_class(#[case] world: Small, #[case] expected: RevertSafety) {
    let plan = world.plan();
    let step = &plan.waves[0].steps[0];
    assert_eq!(step.revert.safety, expected, "{}: {}", step.id, step.revert.why);
    assert!(!step.revert.why.is_empty());
}

#[test]
fn moved_digest_is_a_step_of_its_own() {
    let world = Small::new().image("example/web", "1.0.0", &["1.0.0"]).change(|world| {
        let subject = &mut world.subjects[0];
        subject.component.digest = Some("sha256:aa".to_owned());
        subject.entry.update_type = UpdateType::Digest;
        subject.candidates[0].digest = Some("sha256:bb".to_owned());
    });
    let plan = world.plan();
    let step = &plan.waves[0].steps[0];
    assert_eq!((step.from.as_str(), step.to.as_str()), ("1.0.0@sha256:aa", "1.0.0@sha256:bb"));
    assert_eq!(step.update_type, UpdateType::Digest);
    assert_eq!(plan.held, []);
}

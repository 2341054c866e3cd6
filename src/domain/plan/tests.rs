//! Whole plans, from small worlds.

mod holds;
mod lattice;
mod once;
mod properties;
mod sequence;
mod waits;
mod world;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use world::Small;

use super::*;

/// `k3s v1.25.16+k3s4 | flux v2.1.0, helm/a/b 2.0.0`: a wave between bars, steps between commas.
fn told(plan: &Plan) -> String {
    let waves = plan.waves.iter().map(|wave| {
        let steps: Vec<String> =
            wave.steps.iter().map(|step| format!("{} {}", step.component, step.to)).collect();
        steps.join(", ")
    });
    waves.collect::<Vec<_>>().join(" | ")
}

/// `component: gate: constraint or reason` of everything held.
fn told_holds(plan: &Plan) -> Vec<String> {
    let told = |held: &Held| {
        let why = held.constraint.as_ref().unwrap_or(&held.reason);
        format!("{}: {}: {why}", held.component, held.gate)
    };
    plan.held.iter().map(told).collect()
}

/// Ids of the steps that would be proposed.
fn next(plan: &Plan) -> Vec<&str> {
    let steps = plan.waves.iter().flat_map(|wave| &wave.steps);
    steps.filter(|step| step.next).map(|step| step.id.as_str()).collect()
}

fn step<'p>(plan: &'p Plan, id: &str) -> &'p Step {
    let mut steps = plan.waves.iter().flat_map(|wave| &wave.steps);
    steps.find(|step| step.id == id).unwrap_or_else(|| panic!("no step `{id}` in {}", told(plan)))
}

/// What must hold of any plan, whatever it was made from.
fn assert_sound(plan: &Plan) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut at: BTreeMap<&str, &str> = BTreeMap::new();
    for (place, wave) in plan.waves.iter().enumerate() {
        assert_eq!(wave.number, place + 1);
        assert!(!wave.steps.is_empty(), "an empty wave");
        let unsafe_steps = wave.steps.iter().filter(|step| step.revert.safety != RevertSafety::Safe).count();
        assert!(unsafe_steps == 0 || wave.steps.len() == 1, "not alone: {}", told(plan));
        for step in &wave.steps {
            assert_eq!(step.id, format!("{}@{}", step.component, step.to));
            for required in &step.requires {
                assert!(seen.contains(required.as_str()), "{} before {required}: {}", step.id, told(plan));
            }
            let from = at.insert(&step.component, &step.to).unwrap_or(&step.from);
            assert_eq!(from, step.from, "{}: {}", step.component, told(plan));
            assert!(step.gate != Approval::Auto || step.revert.safety == RevertSafety::Safe);
            assert!(!step.next || step.requires.is_empty());
        }
        for step in &wave.steps {
            assert!(seen.insert(&step.id), "twice: {}", step.id);
        }
    }
    let waves_with_next = plan.waves.iter().filter(|wave| wave.steps.iter().any(|step| step.next)).count();
    assert!(waves_with_next <= 1, "steps of several waves are proposed: {:?}", next(plan));
    for held in &plan.held {
        assert!(held.policy_applied.as_ref().is_some_and(|by| !by.is_empty()), "who decided? {held:?}");
    }
    assert!(plan.held.is_sorted_by(|one, other| one.component <= other.component));
}

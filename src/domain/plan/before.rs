//! What had to come before a step. Once it is verified it has left the plan, so that it is remembered from the plans in
//! which it still stood.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one step of a component was planned to come after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Required {
    /// Version that the step leaves.
    pub from: String,
    /// Version that it goes to.
    pub to: String,
    /// By step id: why.
    pub first: BTreeMap<String, String>,
}

/// By component id: its steps that come after others.
pub type Requirements = BTreeMap<String, Vec<Required>>;

/// Adds what a newer plan says. Where a step has another target now, what it was planned to come after before stays.
pub fn remember(known: &mut Requirements, planned: &Requirements) {
    for (component, steps) in planned {
        let of_component = known.entry(component.clone()).or_default();
        for step in steps {
            match of_component.iter_mut().find(|known| known.from == step.from) {
                Some(known) => {
                    known.to.clone_from(&step.to);
                    known.first.extend(step.first.clone());
                }
                None => of_component.push(step.clone()),
            }
        }
    }
}

/// Drops steps that neither are planned any more nor were taken, such as those to a version that a newer one replaced.
pub fn forget(known: &mut Requirements, matters: impl Fn(&str) -> bool) {
    for steps in known.values_mut() {
        for step in steps.iter_mut() {
            step.first.retain(|id, _| matters(id));
        }
        steps.retain(|step| !step.first.is_empty());
    }
    known.retain(|_, steps| !steps.is_empty());
}

/// Ids of the steps that the step of `component` was planned to come after and that are done, and why. What one of them
/// came after itself is not told again.
///
/// The step is found by where it starts or where it goes: the other end may have moved since it was planned.
pub fn needed<'k>(
    all: &[&'k Requirements],
    component: &str,
    from: &str,
    to: &str,
    is_done: impl Fn(&str) -> bool,
) -> BTreeMap<&'k str, &'k str> {
    let steps = all.iter().flat_map(|known| known.iter()).filter(|(id, _)| *id == component);
    let own = steps.flat_map(|(_, steps)| steps).filter(|step| step.from == from || step.to == to);
    let mut found = through_others(all, own.collect());
    found.retain(|id, _| is_done(id));
    let before: BTreeMap<&str, BTreeMap<&str, &str>> =
        found.keys().map(|id| (*id, through_others(all, planned(all, id)))).collect();
    let is_before = |one: &str, other: &str| before.get(other).is_some_and(|before| before.contains_key(one));
    let is_implied = |id: &str| found.keys().any(|other| is_before(id, other) && !is_before(other, id));
    found.iter().filter(|(id, _)| !is_implied(id)).map(|(id, why)| (*id, *why)).collect()
}

/// Everything that comes before some steps.
fn through_others<'k>(all: &[&'k Requirements], mut open: Vec<&'k Required>) -> BTreeMap<&'k str, &'k str> {
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    while let Some(step) = open.pop() {
        for (id, why) in &step.first {
            if !found.contains_key(id.as_str()) {
                found.insert(id, why);
                open.extend(planned(all, id));
            }
        }
    }
    found
}

/// The step with an id.
fn planned<'k>(all: &[&'k Requirements], id: &str) -> Vec<&'k Required> {
    let of_component = |(component, steps): (&'k String, &'k Vec<Required>)| {
        let to = id.strip_prefix(component.as_str()).and_then(|rest| rest.strip_prefix('@'));
        steps.iter().filter(|step| Some(step.to.as_str()) == to).collect::<Vec<_>>()
    };
    all.iter().flat_map(|known| known.iter()).flat_map(of_component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(from: &str, to: &str, first: &[(&str, &str)]) -> Required {
        let first = first.iter().map(|(id, why)| ((*id).to_owned(), (*why).to_owned())).collect();
        Required { from: from.to_owned(), to: to.to_owned(), first }
    }

    fn known() -> Requirements {
        Requirements::from([
            ("k3s".to_owned(), vec![required("1.24", "1.25", &[("db@2", "db 1 needs kubernetes <1.25")])]),
            (
                "longhorn".to_owned(),
                vec![
                    required("1.3", "1.4", &[("k3s@1.25", "longhorn 1.4 needs kubernetes >=1.25")]),
                    required("1.4", "1.5", &[("longhorn@1.4", "one step after the other")]),
                ],
            ),
        ])
    }

    fn ids(component: &str, from: &str, to: &str) -> Vec<String> {
        let known = known();
        needed(&[&known], component, from, to, |_| true).into_keys().map(str::to_owned).collect()
    }

    #[test]
    fn what_came_right_before_is_told() {
        assert_eq!(ids("longhorn", "1.4", "1.5"), ["longhorn@1.4"]);
        assert_eq!(ids("longhorn", "1.3", "1.4"), ["k3s@1.25"]);
        assert_eq!(ids("k3s", "1.24", "1.25"), ["db@2"]);
        assert_eq!(ids("db", "1", "2"), [""; 0]);
    }

    #[test]
    fn what_is_not_done_gives_way_to_what_came_before_it() {
        let known = known();
        let told = needed(&[&known], "longhorn", "1.4", "1.5", |id| id != "longhorn@1.4");
        assert_eq!(told.into_keys().collect::<Vec<_>>(), ["k3s@1.25"]);
        assert_eq!(needed(&[&known], "longhorn", "1.4", "1.5", |_| false).len(), 0);
    }

    #[test]
    fn step_is_known_by_either_end() {
        assert_eq!(ids("longhorn", "1.3", "1.4.1"), ids("longhorn", "1.3", "1.4"), "a newer patch came out");
        assert_eq!(ids("longhorn", "1.3.9", "1.4"), ids("longhorn", "1.3", "1.4"), "a person went a step");
        assert_eq!(ids("longhorn", "1.2", "1.3"), [""; 0]);
        assert_eq!(ids("longhorn-copy", "1.3", "1.4"), [""; 0]);
    }

    #[test]
    fn newer_plan_adds_to_what_is_known() {
        let mut known = known();
        let newer = Requirements::from([(
            "longhorn".to_owned(),
            vec![required("1.3", "1.4.1", &[("longhorn-crd@1.4.1", "HelmRelease `a` depends on `b`")])],
        )]);
        remember(&mut known, &newer);
        remember(&mut known, &newer);
        assert_eq!(known["longhorn"].len(), 2);
        assert_eq!(known["longhorn"][0].to, "1.4.1");
        let found = needed(&[&known], "longhorn", "1.3", "1.4.1", |_| true);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["k3s@1.25", "longhorn-crd@1.4.1"]);
        assert_eq!(found["k3s@1.25"], "longhorn 1.4 needs kubernetes >=1.25");
    }

    #[test]
    fn what_neither_is_planned_nor_was_taken_is_forgotten() {
        let mut known = known();
        forget(&mut known, |id| id == "k3s@1.25");
        assert_eq!(known.keys().collect::<Vec<_>>(), ["longhorn"]);
        assert_eq!(known["longhorn"].len(), 1);
        assert_eq!(known["longhorn"][0].to, "1.4");
    }

    #[test]
    fn circles_come_to_an_end() {
        let known = Requirements::from([
            ("a".to_owned(), vec![required("1", "2", &[("b@2", "")])]),
            ("b".to_owned(), vec![required("1", "2", &[("a@2", "")])]),
        ]);
        assert_eq!(
            needed(&[&known], "a", "1", "2", |_| true).into_keys().collect::<Vec<_>>(),
            ["a@2", "b@2"]
        );
    }
}

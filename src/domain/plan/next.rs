//! Which steps of a plan are proposed now.

use std::collections::BTreeMap;

use super::input::Input;
use super::{Approval, RevertSafety, Step, Wave};
use crate::domain::state::{Stage, Update};

/// What goes before a component because the repository says so, by id, and why.
pub(super) type First<'f> = &'f dyn Fn(&str) -> BTreeMap<&'f str, &'f str>;

/// What rules put before a component, by id, through others too.
pub(super) type ByRules<'f> = &'f dyn Fn(&str) -> Vec<&'f str>;

/// Marks the steps that this run would propose, and tells of the others why they wait.
///
/// They all stand in one wave: the first of which something can be proposed. What only a person can ask for, or
/// what is stopped at this hour, does not keep later waves waiting that need nothing of it. What cannot be reverted
/// waits all the same for what rules put first (k3s for Longhorn), unless only a person can ask for that, or asked for
/// the later one.
///
/// `unready` has, by step, why the cluster is not ready for it.
pub(super) fn mark(
    waves: &mut [Wave],
    input: &Input<'_>,
    unready: &BTreeMap<String, Vec<String>>,
    first: First<'_>,
    by_rules: ByRules<'_>,
) {
    // Steps of earlier waves that nobody needs to ask for, by component.
    let mut ahead: BTreeMap<String, String> = BTreeMap::new();
    let under_way: Vec<&Update> =
        input.situation.updates.iter().filter(|update| is_under_way(update)).collect();
    // The steps of the wave that is proposed.
    let mut begun: Vec<String> = Vec::new();
    for wave in waves {
        let mut proposed = Vec::new();
        for step in &mut wave.steps {
            let before_by_rules = by_rules(&step.component);
            let mut holds = holds(step, input, &under_way, first, &before_by_rules);
            holds.extend(unready.get(&step.id).into_iter().flatten().cloned());
            // What can be reverted need not wait for a step that waits itself.
            if !is_safe(step.revert.safety) && !input.situation.asked.contains(&step.id) {
                let before = before_by_rules.iter().find_map(|id| ahead.get(*id));
                holds.extend(before.map(|id| format!("waits for `{id}`, which rules put first")));
            }
            if !holds.is_empty() {
                step.reasons.extend(holds);
            } else if begun.is_empty() {
                step.next = true;
                proposed.push(step.id.clone());
            } else {
                step.reasons.push(format!("waits for an earlier wave, until {} verified", are(&begun)));
            }
        }
        begun.extend(proposed);
        for step in wave.steps.iter().filter(|step| matches!(step.gate, Approval::Auto | Approval::Review)) {
            ahead.entry(step.component.clone()).or_insert_with(|| step.id.clone());
        }
    }
}

/// `` `a@1` is ``, `` `a@1` and `b@2` are ``, or the first of them and how many more.
fn are(ids: &[String]) -> String {
    match ids {
        [one] => format!("`{one}` is"),
        [one, other] => format!("`{one}` and `{other}` are"),
        [one, rest @ ..] => format!("`{one}` and {} more are", rest.len()),
        [] => "nothing is".to_owned(),
    }
}

fn is_under_way(update: &Update) -> bool {
    matches!(update.stage, Stage::Proposed | Stage::Merged | Stage::Rolling | Stage::Held)
}

fn is_safe(safety: RevertSafety) -> bool {
    safety == RevertSafety::Safe
}

/// Why a step is not proposed now.
fn holds(
    step: &Step,
    input: &Input<'_>,
    under_way: &[&Update],
    first: First<'_>,
    by_rules: &[&str],
) -> Vec<String> {
    if !step.requires.is_empty() {
        return vec![format!("waits until {} verified", are(&step.requires))];
    }
    let before = first(&step.component);
    let mut holds = Vec::new();
    for update in under_way {
        let Update { component, to, stage, .. } = update;
        let is_own = *component == step.component;
        let what = match stage {
            Stage::Held => "is held",
            Stage::Proposed => "is proposed",
            _ if update.stops(&step.component, step.revert.safety) => "regressed",
            Stage::Merged | Stage::Rolling => "is merged and not verified",
            Stage::Verified | Stage::Reverted | Stage::Abandoned => continue,
        };
        let stops = match stage {
            Stage::Held => update.stops(&step.component, step.revert.safety),
            // A newer target takes the place of one that is only proposed.
            Stage::Proposed if is_own => false,
            _ if is_own || update.stops(&step.component, step.revert.safety) => true,
            _ => !is_safe(update.revert.safety) || !is_safe(step.revert.safety),
        };
        if stops {
            holds.push(format!("waits: {component} {to} {what}"));
        }
        // What is merged has left the plan, and what comes after it must not pass it by.
        let by_rules = by_rules.contains(&component.as_str()).then_some("rules put it first");
        if let Some(why) = before.get(component.as_str()).copied().or(by_rules)
            && !stops
        {
            holds.push(format!("waits: {component} {to} {what} ({why})"));
        }
    }
    match step.gate {
        Approval::Skip => holds.push("is never proposed".to_owned()),
        Approval::Manual if !input.situation.asked.contains(&step.id) => {
            holds.push(format!("a person must ask for it ({})", step.policy_applied));
        }
        Approval::Auto | Approval::Review | Approval::Manual => {}
    }
    holds.extend((input.situation.holds)(step).iter().map(ToString::to_string));
    holds
}

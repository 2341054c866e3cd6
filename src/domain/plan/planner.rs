//! From what is known to waves and holds.

use super::input::Input;
use super::subject::Subject;
use super::{Held, Plan, Revert, RevertSafety, Step, Wave};
use crate::domain::policy::{Admission, Considered, Hold};
use crate::domain::report::Status;
use crate::domain::select::{in_form_of, step_type};

/// Plans the whole campaign. Total: whatever is given, there is a plan.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut steps = Vec::new();
    for subject in input.subjects {
        match newest(input, subject) {
            Ok(step) => steps.extend(step),
            Err(held) => plan.held.push(held),
        }
    }
    steps.sort_by(|one, other| one.id.cmp(&other.id));
    for chunk in steps.chunks(input.concurrency.max(1)) {
        let number = plan.waves.len() + 1;
        plan.waves.push(Wave { number, steps: chunk.to_vec() });
    }
    for step in plan.waves.iter_mut().take(1).flat_map(|wave| &mut wave.steps) {
        step.next = (input.situation.holds)(step).is_empty();
    }
    plan.held.sort_by(|one, other| one.component.cmp(&other.component));
    plan
}

/// The step to the newest version that policy admits.
fn newest(input: &Input<'_>, subject: &Subject) -> Result<Option<Step>, Held> {
    if subject.entry.status != Status::UpdateAvailable {
        return Ok(None);
    }
    let id = subject.component.id.as_str();
    let from = subject.entry.current_version.clone().unwrap_or_default();
    let scheme = subject.component.scheme;
    let prefix = subject.component.tag_prefix.as_deref();
    let listed = subject.current.as_ref().map(|current| current.version.as_str());
    let mut first_hold: Option<(String, Hold)> = None;
    for candidate in subject.candidates.iter().rev() {
        let to = in_form_of(&from, listed, &candidate.version, scheme, prefix);
        let update_type = step_type(scheme, prefix, &from, &candidate.version);
        let considered =
            Considered { component: id, from: &from, candidate, update_type, scheme, tag_prefix: prefix };
        match (input.policy)(&considered) {
            Admission::Allow { approval, policy_applied, reasons } => {
                return Ok(Some(Step {
                    id: format!("{id}@{to}"),
                    component: id.to_owned(),
                    from,
                    to,
                    update_type,
                    gate: approval,
                    policy_applied,
                    next: false,
                    reasons,
                    requires: Vec::new(),
                    revert: Revert { safety: RevertSafety::Conditional, why: String::new() },
                    edits: Vec::new(),
                }));
            }
            Admission::Hold(hold) => {
                first_hold.get_or_insert((to, hold));
            }
        }
    }
    match first_hold {
        None => Ok(None),
        Some((to, hold)) => Err(Held {
            component: id.to_owned(),
            from: Some(from),
            to: Some(to),
            gate: hold.gate.to_owned(),
            reason: hold.reason,
            constraint: None,
            policy_applied: Some(hold.policy_applied),
        }),
    }
}

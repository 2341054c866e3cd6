//! Tells every step in one place: in its wave, or among what is held.

use std::collections::BTreeSet;

use super::{Held, PlanReport, Step};

impl PlanReport {
    /// Takes steps that are held (their target cannot be fetched, a person works on them) out of their waves: a step
    /// stands in a wave or is held, never both, and waves count from one without gaps.
    ///
    /// What others wait for keeps its place on the way, where the campaign can be seen whole, and so does a step of which
    /// `stays` says so, because a person asked for it there; their reasons say what holds them. What is decided about a
    /// plan is decided before this.
    pub fn tell_once(&mut self, stays: &dyn Fn(&Step) -> bool) {
        let steps = || self.waves.iter().flat_map(|wave| &wave.steps);
        let is_waited_for = |step: &Step| {
            steps().any(|other| {
                other.requires.contains(&step.id)
                    || other.component == step.component && other.from == step.to
            })
        };
        let (mut out, mut held) = (BTreeSet::new(), Vec::new());
        for one in &self.held {
            let Some(step) = steps().find(|step| is_step(one, step)) else {
                held.push(one.clone());
                continue;
            };
            if !stays(step) && !is_waited_for(step) {
                out.insert(step.id.clone());
                held.push(one.clone());
            }
        }
        for wave in &mut self.waves {
            wave.steps.retain(|step| !out.contains(&step.id));
        }
        self.diffs.retain(|id, _| !out.contains(id));
        // What comes after a step that does not go needs no entry of its own.
        let is_out = |one: &Held| one.to.as_ref().is_some_and(|to| out.contains(&id(&one.component, to)));
        let (mut first, others): (Vec<Held>, Vec<Held>) = held.into_iter().partition(is_out);
        self.held = Vec::new();
        for other in others {
            match first.iter_mut().find(|one| one.component == other.component) {
                Some(one) => one.reason.extend(
                    other
                        .to
                        .map(|to| format!("; {to} comes after it, held by {}: {}", other.gate, other.reason)),
                ),
                None => self.held.push(other),
            }
        }
        self.held.append(&mut first);
        self.held.sort_by(|one, other| one.component.cmp(&other.component));
        self.close_gaps();
    }

    /// Leaves empty waves out, and counts the others from one.
    pub fn close_gaps(&mut self) {
        self.waves.retain(|wave| !wave.steps.is_empty());
        for (at, wave) in self.waves.iter_mut().enumerate() {
            wave.number = at + 1;
        }
    }
}

fn id(component: &str, to: &str) -> String {
    format!("{component}@{to}")
}

/// Whether it is this step that is held, not what comes after all steps of its component.
fn is_step(held: &Held, step: &Step) -> bool {
    held.component == step.component
        && held.from.as_ref() == Some(&step.from)
        && held.to.as_ref() == Some(&step.to)
}

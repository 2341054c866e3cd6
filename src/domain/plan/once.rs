//! Tells every step in one place: in its wave, or among what is held.

use std::collections::BTreeMap;

use super::{Held, PlanReport, Step};

/// Gate of what cannot go before something else that is held.
const GATE: &str = "order";

/// Why a step does not stand in a wave.
enum Out {
    /// It is held itself.
    Held,
    /// The step with this id goes first, and does not stand in a wave either.
    Behind(String),
}

impl PlanReport {
    /// Takes steps that are held (their target cannot be fetched, a person works on them) out of their waves, and with
    /// them whatever needs them: a step stands in a wave or is held, never both, and waves count from one without gaps.
    ///
    /// `stays` says of a held step that it keeps its place in the wave, because a person asked for it there; then it
    /// does not stand among what is held. What is decided about a plan is decided before this.
    pub fn tell_once(&mut self, stays: &dyn Fn(&Step) -> bool) {
        let steps = || self.waves.iter().flat_map(|wave| &wave.steps);
        let kept: Vec<String> = steps().filter(|step| stays(step)).map(|step| step.id.clone()).collect();
        let mut out: BTreeMap<String, Out> = BTreeMap::new();
        for step in steps().filter(|step| !kept.contains(&step.id)) {
            let before = steps().filter(|other| other.component == step.component && other.to == step.from);
            let before = before.map(|other| &other.id).chain(&step.requires).find(|id| out.contains_key(*id));
            if self.held.iter().any(|held| is_step(held, step)) {
                out.insert(step.id.clone(), Out::Held);
            } else if let Some(first) = before {
                out.insert(step.id.clone(), Out::Behind(first.clone()));
            }
        }
        let mut left: Vec<Held> = Vec::new();
        let mut told: Vec<&str> = Vec::new();
        for step in steps().filter(|step| out.contains_key(&step.id)) {
            // The first step that does not go says why the others do not.
            if told.contains(&step.component.as_str()) {
                continue;
            }
            told.push(&step.component);
            let of_it = || self.held.iter().filter(|held| held.component == step.component);
            let last = steps().rfind(|other| other.component == step.component);
            let last = last.map(|last| last.to.clone()).filter(|last| *last != step.to);
            let newest =
                of_it().filter(|held| !is_step(held, step)).find_map(|held| held.to.clone()).or(last);
            match &out[&step.id] {
                Out::Held => {
                    let Some(mut held) = of_it().find(|held| is_step(held, step)).cloned() else { continue };
                    if let Some(newest) = newest {
                        held.reason = format!("{}; {newest} comes after it", held.reason);
                    }
                    left.push(held);
                }
                Out::Behind(first) => left.push(Held {
                    component: step.component.clone(),
                    from: Some(step.from.clone()),
                    to: Some(newest.unwrap_or_else(|| step.to.clone())),
                    gate: GATE.to_owned(),
                    reason: format!("`{first}` goes first, and is held"),
                    constraint: None,
                    policy_applied: None,
                    until: None,
                }),
            }
        }
        let is_told_otherwise = |held: &Held| {
            let stands = |step: &Step| kept.contains(&step.id) && is_step(held, step);
            told.contains(&held.component.as_str()) || steps().any(stands)
        };
        left.extend(self.held.iter().filter(|held| !is_told_otherwise(held)).cloned());
        left.sort_by(|one, other| one.component.cmp(&other.component));
        self.held = left;
        for wave in &mut self.waves {
            wave.steps.retain(|step| !out.contains_key(&step.id));
        }
        self.diffs.retain(|id, _| !out.contains_key(id));
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

/// Whether it is this step that is held, not what comes after all steps of its component.
fn is_step(held: &Held, step: &Step) -> bool {
    held.component == step.component
        && held.from.as_ref() == Some(&step.from)
        && held.to.as_ref() == Some(&step.to)
}

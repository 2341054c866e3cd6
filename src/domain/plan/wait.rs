//! What keeps steps back: which steps rules put before them, whether only a person can let them go on, and what all of it
//! means for a script that asks.

use std::collections::BTreeMap;

use super::PlanReport;

/// Gates of what is newer and is no update to be proposed: nobody could say what is newer, or it is moved elsewhere, or
/// on purpose not at all. `detect` does not count them either.
const NO_UPDATE: [&str; 4] = ["unresolved", "ignored", "not_pinned", "managed_elsewhere"];

/// What keeps a step back, beside the words among its reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wait {
    /// Ids of the steps that rules put before it, and that it waits for.
    pub after: Vec<String>,
    /// It does not go on before a person has done something.
    pub person: bool,
    /// Nothing but the limits on pull requests keeps it back, in the first wave of which that can be said.
    pub limits: bool,
}

/// What a plan comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// Nothing is newer.
    Nothing,
    /// A step can be proposed now.
    Next,
    /// No step can be proposed now, and something goes on by itself: it is under way, or waits for what is, for an hour,
    /// for a limit or for its age.
    Waits,
    /// There are updates, and none of them goes on before a person does something.
    Held,
}

/// What a plan comes to, for a script. `waits` has, by step id, what keeps back those that are not next; a step that is
/// neither next nor named there is proposed already.
pub fn prospect(report: &PlanReport, waits: &BTreeMap<String, Wait>) -> Prospect {
    let steps = || report.waves.iter().flat_map(|wave| &wave.steps);
    let held = || report.held.iter().filter(|held| !NO_UPDATE.contains(&held.gate.as_str()));
    let needs_person = |id: &str| waits.get(id).is_some_and(|wait| wait.person);
    if steps().any(|step| step.next) {
        Prospect::Next
    } else if steps().any(|step| !needs_person(&step.id)) || held().any(|held| held.until.is_some()) {
        Prospect::Waits
    } else if steps().next().is_some() || held().next().is_some() {
        Prospect::Held
    } else {
        Prospect::Nothing
    }
}

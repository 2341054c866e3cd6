//! Which steps of a plan are proposed now.

use std::collections::{BTreeMap, BTreeSet};

use super::input::Input;
use super::observe::Unready;
use super::{Approval, RevertSafety, Step, Wait, Wave};
use crate::domain::policy::Hold;
use crate::domain::state::{Stage, Update};

/// What goes before a component because the repository says so, by id, and why.
pub(super) type First<'f> = &'f dyn Fn(&str) -> BTreeMap<&'f str, &'f str>;

/// What rules put before a component, by id, through others too.
pub(super) type ByRules<'f> = &'f dyn Fn(&str) -> Vec<&'f str>;

/// Something that keeps a step back.
struct Stop {
    /// For people.
    text: String,
    /// It does not end before a person has done something.
    person: bool,
    /// It is a limit on pull requests.
    limit: bool,
}

impl Stop {
    fn by_person(text: impl Into<String>) -> Self {
        Self { text: text.into(), person: true, limit: false }
    }

    fn for_now(text: impl Into<String>) -> Self {
        Self { text: text.into(), person: false, limit: false }
    }

    fn by_cluster(unready: &Unready) -> Self {
        Self { text: unready.reason.clone(), person: !unready.ends_by_itself, limit: false }
    }

    fn by(hold: &Hold) -> Self {
        Self { text: hold.to_string(), person: !hold.ends_by_itself(), limit: hold.is_limit() }
    }
}

/// Marks the steps that this run would propose, and tells of the others why they wait; returns what keeps these back.
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
    unready: &BTreeMap<String, Vec<Unready>>,
    first: First<'_>,
    by_rules: ByRules<'_>,
) -> BTreeMap<String, Wait> {
    let mut waits: BTreeMap<String, Wait> = BTreeMap::new();
    // Steps of earlier waves that nobody needs to ask for, by component.
    let mut ahead: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // What does not go on without a person keeps back what waits for it.
    let mut stuck: BTreeSet<String> = BTreeSet::new();
    let is_groundless = |update: &&Update| input.situation.groundless.contains(&update.update_id);
    let updates = input.situation.updates.iter().filter(|update| is_under_way(update));
    let under_way: Vec<&Update> = updates.filter(|update| !is_groundless(update)).collect();
    // The steps of the wave that is proposed, and the wave that would be if it were not for limits.
    let mut begun: Vec<String> = Vec::new();
    let mut limited: Option<usize> = None;
    for wave in waves {
        let mut proposed = Vec::new();
        for step in &mut wave.steps {
            let before_by_rules = by_rules(&step.component);
            let mut stops = stops(step, input, &under_way, first, &before_by_rules);
            stops.extend(unready.get(&step.id).into_iter().flatten().map(Stop::by_cluster));
            let mut after: Vec<String> =
                before_by_rules.iter().filter_map(|id| ahead.get(*id)).flatten().cloned().collect();
            if is_safe(step.revert.safety) || input.situation.asked.contains(&step.id) {
                // What can be reverted need not wait for a step that waits itself.
                after.retain(|id| begun.contains(id));
            } else if let Some(before) = after.first() {
                stops.push(Stop::for_now(format!("waits for `{before}`, which rules put first")));
            }
            // Told last, where the dashboard and others look: what else keeps it back may pass, this does not.
            stops.extend(unasked(step, input));
            if stops.is_empty() && begun.is_empty() {
                step.next = true;
                proposed.push(step.id.clone());
                continue;
            }
            if stops.is_empty() {
                let until = format!("waits for an earlier wave: {} proposed first", are(&begun));
                stops.push(Stop::for_now(until));
            }
            let person = stops.iter().any(|stop| stop.person)
                || step.requires.iter().chain(&after).any(|id| stuck.contains(id));
            let is_limited = begun.is_empty()
                && stops.iter().all(|stop| stop.limit)
                && *limited.get_or_insert(wave.number) == wave.number;
            step.reasons.extend(stops.into_iter().map(|stop| stop.text));
            if person {
                stuck.insert(step.id.clone());
            }
            waits.insert(step.id.clone(), Wait { after, person, limits: is_limited });
        }
        begun.extend(proposed);
        for step in wave.steps.iter().filter(|step| matches!(step.gate, Approval::Auto | Approval::Review)) {
            ahead.entry(step.component.clone()).or_default().push(step.id.clone());
        }
    }
    waits
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
fn stops(
    step: &Step,
    input: &Input<'_>,
    under_way: &[&Update],
    first: First<'_>,
    by_rules: &[&str],
) -> Vec<Stop> {
    if !step.requires.is_empty() {
        return vec![Stop::for_now(format!("waits until {} verified", are(&step.requires)))];
    }
    let before = first(&step.component);
    let mut all = Vec::new();
    for update in under_way {
        let Update { component, to, stage, .. } = update;
        let is_own = *component == step.component;
        let what = match stage {
            Stage::Held => "is held",
            Stage::Proposed => "is proposed",
            _ if update.stops(&step.component, step.revert.safety) => "regressed",
            Stage::Merged if input.situation.unrecorded.contains(&update.update_id) => {
                "is merged, not yet recorded; `gitops-updater run` or `gitops-updater verify` records it"
            }
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
        let clears_itself = update.settling.hold.as_ref().is_some_and(|hold| hold.clears_itself);
        let stop = |text| Stop { text, person: *stage == Stage::Held && !clears_itself, limit: false };
        if stops {
            all.push(stop(format!("waits: {component} {to} {what}")));
        }
        // What is merged has left the plan, and what comes after it must not pass it by.
        let by_rules = by_rules.contains(&component.as_str()).then_some("rules put it first");
        if let Some(why) = before.get(component.as_str()).copied().or(by_rules)
            && !stops
        {
            all.push(stop(format!("waits: {component} {to} {what} ({why})")));
        }
    }
    all.extend((input.situation.holds)(step).iter().map(Stop::by));
    all
}

/// That nobody has asked for a step which must be asked for, once it has its turn.
fn unasked(step: &Step, input: &Input<'_>) -> Option<Stop> {
    match step.gate {
        _ if !step.requires.is_empty() => None,
        Approval::Skip => Some(Stop::by_person("is never proposed")),
        Approval::Manual if !input.situation.asked.contains(&step.id) => {
            Some(Stop::by_person(format!("a person must ask for it ({})", step.policy_applied)))
        }
        Approval::Auto | Approval::Review | Approval::Manual => None,
    }
}

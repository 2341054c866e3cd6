//! From what is known to waves and holds.

use std::collections::BTreeMap;

use super::before::{Required, Requirements};
use super::course::{Course, Frozen};
use super::hold;
use super::input::Input;
use super::lane::Lane;
use super::next;
use super::observe::{self, Observation};
use super::order::Order;
use super::revert::revert;
use super::schedule::{Placed, schedule};
use super::search::Search;
use super::sequence::{Draft, Filling, Sequence, sequence};
use super::world::{State, World};
use super::{Approval, Plan, RevertSafety, Step, Wait, Wave};
use crate::domain::policy::Admission;

/// Plans the whole campaign. Total: whatever is given, there is a plan.
///
/// 1. Every component gets its versions and the steps between them that ladder, gates and policy allow.
/// 2. What others need (Kubernetes, mostly) goes the shortest way to its newest version on which nothing breaks.
/// 3. Everything else takes its steps where they fit into that.
/// 4. All steps get an order and waves; what goes no further is held, with what forbids more.
pub fn plan(input: &Input<'_>) -> Plan {
    let mut courses: Vec<Course<'_>> =
        input.subjects.iter().map(|subject| Course::new(input, subject)).collect();
    let order = Order::new(input, &courses);
    for cycle in order.cycles(&courses) {
        for at in cycle.courses {
            let policy_applied = cycle.policy_applied.to_owned();
            let reason = cycle.reason.clone();
            courses[at].freeze(Frozen { gate: "dependency", reason, policy_applied });
        }
    }
    let world = World::new(input, courses);
    let search = Search::new(&world, input, &|course| order.rank[course]);
    let timeline = search.run();
    let early = order.early(&world.cores);
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for (core, course) in world.cores.iter().enumerate() {
        let end = timeline.states.last().and_then(|state| state.get(core));
        last.insert(*course, end.copied().unwrap_or(0));
    }
    let mut placed: Vec<(usize, Vec<Placed>)> = Vec::new();
    for course in (0..world.courses.len()).filter(|course| world.core_of(*course).is_none()) {
        let lane = Lane::new(&world, input, course);
        let steps = schedule(&world, &lane, &timeline, early.contains(&course));
        let steps = with_milder_steps(&world, input, &timeline.states, course, steps);
        last.insert(course, steps.last().map_or(0, |step| step.to));
        placed.push((course, steps));
    }
    let shares = |draft: &Draft| {
        let course = &world.courses[draft.course];
        let (revert, _) = revert(course, course.update_type(draft.from, draft.to));
        !draft.is_core && revert.safety == RevertSafety::Safe
    };
    let filling = Filling { most: input.concurrency, shares: &shares };
    let sequence = sequence(&world, &timeline, &placed, &order, &filling);
    let observations = observations(&world, input, &sequence);
    let mut waves = write(&world, input, &timeline.states, &sequence, &observations);
    let unready = observations
        .into_iter()
        .map(|(place, seen)| (step_id(&world, &sequence.drafts[place]), seen.holds))
        .collect();
    let place: BTreeMap<&str, usize> =
        world.courses.iter().enumerate().map(|(at, course)| (course.id(), at)).collect();
    let first = |id: &str| {
        let waits = place.get(id).map(|at| order.first(*at)).unwrap_or_default();
        waits.into_iter().map(|(at, why)| (world.courses[at].id(), why)).collect()
    };
    let by_rules = |id: &str| {
        let before = place.get(id).into_iter().flat_map(|at| order.by_rules(*at));
        before.map(|at| world.courses[at].id()).collect()
    };
    let waits = next::mark(&mut waves, input, &unready, &first, &by_rules);
    let requires = requirements(&world, &sequence, &waits);
    let mut held: Vec<_> = (0..world.courses.len())
        .filter_map(|at| {
            let last = last.get(&at).copied().unwrap_or(0);
            hold::held(&world, input, &search, &timeline, at, last)
        })
        .collect();
    held.sort_by(|one, other| one.component.cmp(&other.component));
    Plan { waves, held, facts: observe::sources(&world, input), waits, requires }
}

/// Where a person must ask for a step, and a smaller step needs no one to ask, the smaller one is taken first.
fn with_milder_steps(
    world: &World<'_>,
    input: &Input<'_>,
    states: &[State],
    at: usize,
    steps: Vec<Placed>,
) -> Vec<Placed> {
    let course = &world.courses[at];
    if !course.is_free() {
        return steps;
    }
    let approval = |from: usize, to: usize| match course.admission(input, from, to) {
        Admission::Allow { approval, .. } => Some(approval),
        Admission::Hold(_) => None,
    };
    let mut all = Vec::new();
    for step in steps {
        let state = &states[step.at];
        let fits = |from: usize, to: usize| {
            world.unmet(at, to, state) & !world.unmet(at, from, state) == 0
                && course.step(input, from, to).is_ok()
        };
        let is_milder =
            |node: &usize| approval(step.from, *node).is_some_and(|known| known < Approval::Manual);
        let milder = (approval(step.from, step.to) == Some(Approval::Manual))
            .then(|| (step.from + 1..step.to).rev().find(|node| is_milder(node) && fits(step.from, *node)))
            .flatten();
        match milder {
            Some(node) if fits(node, step.to) => {
                all.extend([Placed { to: node, ..step }, Placed { from: node, ..step }]);
            }
            _ => all.push(step),
        }
    }
    all
}

/// What the facts say about the first step of each component, by its place among the drafts.
fn observations(world: &World<'_>, input: &Input<'_>, sequence: &Sequence) -> BTreeMap<usize, Observation> {
    let first = sequence.drafts.iter().enumerate().filter(|(_, draft)| draft.from == 0);
    first.map(|(place, draft)| (place, observe::observation(world, input, draft.course, draft.to))).collect()
}

fn step_id(world: &World<'_>, draft: &Draft) -> String {
    let course = &world.courses[draft.course];
    format!("{}@{}", course.id(), course.nodes[draft.to].text)
}

/// What each step comes after, and why, for when those others have left the plan.
fn requirements(world: &World<'_>, sequence: &Sequence, waits: &BTreeMap<String, Wait>) -> Requirements {
    let mut all = Requirements::new();
    for draft in &sequence.drafts {
        let nodes = &world.courses[draft.course].nodes;
        let by_need = draft.requires.iter();
        let mut first: BTreeMap<String, String> =
            by_need.map(|(first, why)| (step_id(world, &sequence.drafts[*first]), why.clone())).collect();
        let by_rules = waits.get(&step_id(world, draft)).into_iter().flat_map(|wait| &wait.after);
        for id in by_rules {
            first.entry(id.clone()).or_insert_with(|| "rules put it first".to_owned());
        }
        if !first.is_empty() {
            let (from, to) = (nodes[draft.from].text.clone(), nodes[draft.to].text.clone());
            let id = world.courses[draft.course].id().to_owned();
            all.entry(id).or_default().push(Required { from, to, first });
        }
    }
    all
}

/// Versions that stand together after a step and were not tested together.
fn untested(world: &World<'_>, states: &[State], sequence: &Sequence, draft: &Draft) -> Vec<String> {
    let told = |course: usize, node: usize, state: &State| -> Vec<String> {
        let name = &world.courses[course].subject.component.name;
        let text = &world.courses[course].nodes[node].text;
        world
            .untested(course, node, state)
            .map(|need| {
                let there = world.text_of(need, state).map(|there| format!(", not with {there}"));
                let there = there.unwrap_or_default();
                format!("{name} {text} was tested with {} {}{there}", need.of, need.range)
            })
            .collect()
    };
    if !draft.is_core {
        return told(draft.course, draft.to, &states[draft.at]);
    }
    // Who stands where when the core moves on, and was with a tested version until then.
    let mut stands: BTreeMap<usize, usize> = (0..world.courses.len()).map(|course| (course, 0)).collect();
    for other in sequence.drafts.iter().filter(|other| !other.is_core && other.at <= draft.at) {
        stands.insert(other.course, other.to);
    }
    let (before, after) = (&states[draft.at], &states[draft.at + 1]);
    let others =
        stands.into_iter().filter(|(course, node)| world.untested(*course, *node, before).next().is_none());
    others.flat_map(|(course, node)| told(course, node, after)).collect()
}

/// Writes the steps out.
fn write(
    world: &World<'_>,
    input: &Input<'_>,
    states: &[State],
    sequence: &Sequence,
    observations: &BTreeMap<usize, Observation>,
) -> Vec<Wave> {
    let id = |draft: &Draft| step_id(world, draft);
    let step = |place: &usize| {
        let draft = &sequence.drafts[*place];
        let course = &world.courses[draft.course];
        let update_type = course.update_type(draft.from, draft.to);
        let (revert, rule) = revert(course, update_type);
        let (mut gate, mut policy_applied, mut reasons) = match course.admission(input, draft.from, draft.to)
        {
            Admission::Allow { approval, policy_applied, reasons } => (approval, policy_applied, reasons),
            // What policy holds is never drafted.
            Admission::Hold(hold) => (Approval::Skip, hold.policy_applied, vec![hold.reason]),
        };
        if gate == Approval::Auto && revert.safety != RevertSafety::Safe {
            gate = Approval::Review;
            reasons.push(format!("`auto` ({policy_applied}) is refused: {}", revert.why));
            policy_applied = format!("rules.{}.revert", rule.unwrap_or("none"));
        }
        reasons.extend(course.gates(draft.from, draft.to).into_iter().map(|gate| gate.why.clone()));
        reasons.extend(draft.requires.iter().map(|(first, why)| {
            let first = id(&sequence.drafts[*first]);
            if why.is_empty() { format!("after `{first}`") } else { format!("after `{first}`: {why}") }
        }));
        reasons.extend(course.passed_up(input, draft.from, draft.to));
        let untested = untested(world, states, sequence, draft);
        reasons.extend(untested.iter().cloned());
        reasons.extend(observations.get(place).into_iter().flat_map(|seen| seen.notes.iter().cloned()));
        let mut requires: Vec<String> =
            draft.requires.keys().map(|first| id(&sequence.drafts[*first])).collect();
        requires.sort_unstable();
        Step {
            id: id(draft),
            component: course.id().to_owned(),
            from: course.nodes[draft.from].text.clone(),
            to: course.nodes[draft.to].text.clone(),
            update_type,
            gate,
            policy_applied,
            next: false,
            reasons,
            untested,
            requires,
            revert,
            edits: Vec::new(),
        }
    };
    let waves = sequence.waves.iter().enumerate();
    waves.map(|(at, wave)| Wave { number: at + 1, steps: wave.iter().map(step).collect() }).collect()
}

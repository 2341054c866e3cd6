//! Steps in an order that breaks nothing, and the waves that they go in.

use std::collections::{BTreeMap, BTreeSet};

use super::order::Order;
use super::schedule::Placed;
use super::search::Timeline;
use super::world::World;

/// A step before it is written out.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) course: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    /// After how many moves of the cores it is taken.
    pub(super) at: usize,
    /// It moves a core.
    pub(super) is_core: bool,
    /// Drafts that come first, and why.
    pub(super) requires: BTreeMap<usize, String>,
}

/// All steps, and the waves by their place among them.
pub(super) struct Sequence {
    pub(super) drafts: Vec<Draft>,
    pub(super) waves: Vec<Vec<usize>>,
}

/// How waves are filled.
pub(super) struct Filling<'f> {
    /// Most steps in a wave.
    pub(super) most: usize,
    /// Whether a step may share its wave.
    pub(super) shares: &'f dyn Fn(&Draft) -> bool,
}

/// Puts the cores' moves and the others' steps into one sequence.
pub(super) fn sequence(
    world: &World<'_>,
    timeline: &Timeline,
    placed: &[(usize, Vec<Placed>)],
    order: &Order<'_>,
    filling: &Filling<'_>,
) -> Sequence {
    let mut drafts = Vec::new();
    for (at, step) in timeline.moves.iter().enumerate() {
        let course = world.cores[step.core];
        let requires = BTreeMap::new();
        drafts.push(Draft { course, from: step.from, to: step.to, at, is_core: true, requires });
    }
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for (course, steps) in placed {
        let start = drafts.len();
        drafts.extend(steps.iter().map(|step| Draft {
            course: *course,
            from: step.from,
            to: step.to,
            at: step.at,
            is_core: false,
            requires: BTreeMap::new(),
        }));
        chains.push((start..drafts.len()).collect());
    }
    let moves: Vec<usize> = (0..timeline.moves.len()).collect();
    require_previous(&mut drafts, &moves, &chains);
    require_cores(world, timeline, &mut drafts, &chains);
    require_room(world, timeline, &mut drafts, &chains);
    require_dependencies(order, &mut drafts);
    let waves = waves(&drafts, &order.rank, filling);
    leave_out_implied(&mut drafts, &waves);
    Sequence { drafts, waves }
}

/// Each step waits for the one before it of the same component, and each move of a core for the one before.
fn require_previous(drafts: &mut [Draft], moves: &[usize], chains: &[Vec<usize>]) {
    for pair in chains.iter().map(Vec::as_slice).chain([moves]).flat_map(|chain| chain.windows(2)) {
        let why = if drafts[pair[0]].course == drafts[pair[1]].course {
            "one step after the other"
        } else {
            "what others build upon moves one at a time"
        };
        drafts[pair[1]].requires.insert(pair[0], why.to_owned());
    }
}

/// A step waits for the move that brings what its version needs.
fn require_cores(world: &World<'_>, timeline: &Timeline, drafts: &mut [Draft], chains: &[Vec<usize>]) {
    for place in chains.iter().flatten() {
        let Draft { course, from, to, at, .. } = drafts[*place];
        let missing = (0..at).rev().find(|earlier| {
            let state = &timeline.states[*earlier];
            world.unmet(course, to, state) & !world.unmet(course, from, state) != 0
        });
        let Some(earlier) = missing else { continue };
        let state = &timeline.states[earlier];
        let need = world.first_unmet(course, to, state, world.unmet(course, from, state));
        let why = need.map(|need| {
            let name = &world.courses[course].subject.component.name;
            format!("{name} {} needs {} {}", world.courses[course].nodes[to].text, need.of, need.range)
        });
        drafts[*place].requires.insert(earlier, why.unwrap_or_default());
    }
}

/// A move of a core waits for the steps that leave what does not go with it.
fn require_room(world: &World<'_>, timeline: &Timeline, drafts: &mut [Draft], chains: &[Vec<usize>]) {
    for at in 0..timeline.moves.len() {
        let (before, after) = (&timeline.states[at], &timeline.states[at + 1]);
        for chain in chains {
            let taken: Vec<usize> = chain.iter().copied().filter(|place| drafts[*place].at <= at).collect();
            let in_the_way = taken.iter().rev().find(|place| {
                let Draft { course, from, .. } = drafts[**place];
                let unmet = [before, after].map(|state| world.unmet(course, from, state));
                !super::lane::can_stay(unmet[0], unmet[1], world.is_left_behind(course, from, after))
            });
            let Some(place) = in_the_way else { continue };
            let Draft { course, from, .. } = drafts[*place];
            let need = world.first_unmet(course, from, after, 0);
            let why = need.map(|need| {
                let name = &world.courses[course].subject.component.name;
                format!("{name} {} needs {} {}", world.courses[course].nodes[from].text, need.of, need.range)
            });
            drafts[at].requires.insert(*place, why.unwrap_or_default());
        }
    }
}

/// What the repository puts first is first: as far as it has come by then.
fn require_dependencies(order: &Order<'_>, drafts: &mut [Draft]) {
    let mut of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, draft) in drafts.iter().enumerate() {
        of.entry(draft.course).or_default().push(place);
    }
    for place in 0..drafts.len() {
        for (first, why) in order.first(drafts[place].course) {
            let comes_before = |other: &&usize| is_before(&drafts[**other], &drafts[place]);
            let last = of.get(&first).and_then(|others| others.iter().rfind(comes_before)).copied();
            if let Some(last) = last {
                drafts[place].requires.entry(last).or_insert_with(|| why.to_owned());
            }
        }
    }
}

/// What another requirement requires itself need not be told again.
fn leave_out_implied(drafts: &mut [Draft], waves: &[Vec<usize>]) {
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); drafts.len()];
    for place in waves.iter().flatten() {
        let required: Vec<usize> = drafts[*place].requires.keys().copied().collect();
        let implied: BTreeSet<usize> = required.iter().flat_map(|first| before[*first].clone()).collect();
        drafts[*place].requires.retain(|first, _| !implied.contains(first));
        before[*place] = implied.into_iter().chain(required).collect();
    }
}

/// Whether a step of what goes first can still come before another one: moves of cores end their place in time.
fn is_before(first: &Draft, then: &Draft) -> bool {
    match (first.is_core, then.is_core) {
        (true, _) => first.at < then.at,
        (false, _) => first.at <= then.at,
    }
}

/// Fills waves in order: by place in time, then by rank, then by component.
fn waves(drafts: &[Draft], rank: &[usize], filling: &Filling<'_>) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let last = drafts.iter().map(|draft| draft.at).max().unwrap_or(0);
    for at in 0..=last {
        let mut open: Vec<usize> =
            (0..drafts.len()).filter(|place| drafts[*place].at == at && !drafts[*place].is_core).collect();
        open.sort_by_key(|place| (rank[drafts[*place].course], drafts[*place].course, *place));
        while !open.is_empty() {
            let is_ready = |place: &usize| drafts[*place].requires.keys().all(|first| done.contains(first));
            // Without circles something is always ready; circles were taken out before.
            let first = open.iter().copied().find(is_ready).unwrap_or(open[0]);
            let same_rank = |place: &usize| rank[drafts[*place].course] == rank[drafts[first].course];
            let wave: Vec<usize> = if (filling.shares)(&drafts[first]) {
                let fitting = |place: &usize| {
                    *place == first
                        || is_ready(place) && same_rank(place) && (filling.shares)(&drafts[*place])
                };
                open.iter().copied().filter(fitting).take(filling.most.max(1)).collect()
            } else {
                vec![first]
            };
            open.retain(|place| !wave.contains(place));
            done.extend(&wave);
            waves.push(wave);
        }
        let moves = (0..drafts.len()).filter(|place| drafts[*place].at == at && drafts[*place].is_core);
        for place in moves {
            done.insert(place);
            waves.push(vec![place]);
        }
    }
    waves
}

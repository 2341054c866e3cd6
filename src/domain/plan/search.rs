//! In which order the cores move: the shortest way to the newest versions that breaks nothing on the way.
//!
//! Components that need something of a core do not need anything of one another, so it is enough to know, in each
//! state of the cores, which versions each of them can have reached. Only those that may stand in the way are
//! followed.

use std::collections::HashMap;

use super::input::Input;
use super::lane::Lane;
use super::world::{State, Unmet, World};

/// States that are looked at, before cores are moved one after the other instead of together.
const MOST_STATES: usize = 20_000;
/// Rounds in which cores are moved one after the other.
const MOST_ROUNDS: usize = 200;

/// The cores' moves in order, and the states before and after each.
#[derive(Debug)]
pub(super) struct Timeline {
    /// One more than there are moves.
    pub(super) states: Vec<State>,
    pub(super) moves: Vec<Move>,
    /// Versions that what may stand in the way can have reached in the end.
    pub(super) reached: Vec<Vec<bool>>,
    /// Not every order was looked at.
    pub(super) cut: bool,
}

/// One core goes from one of its versions to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) core: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// The ways of all cores, and of what may stand in their way.
pub(super) struct Search<'w, 'a> {
    world: &'w World<'a>,
    /// One for each core.
    cores: Vec<Lane>,
    /// Lanes of what may stand in the way.
    pub(super) blockers: Vec<Lane>,
    /// Place of each core in the order in which they move where that is free.
    rank: Vec<usize>,
}

/// A state that was found, with what others can have reached in it.
struct Found {
    state: State,
    reached: Vec<Vec<bool>>,
    level: usize,
    /// States one move before, on a shortest way.
    before: Vec<(usize, Move)>,
}

impl<'w, 'a> Search<'w, 'a> {
    /// `rank` orders the courses that are cores.
    pub(super) fn new(world: &'w World<'a>, input: &Input<'_>, rank: &dyn Fn(usize) -> usize) -> Self {
        let lane = |course: usize| Lane::new(world, input, course);
        let blockers = (0..world.courses.len())
            .filter(|course| world.core_of(*course).is_none() && world.may_block(*course));
        Self {
            world,
            cores: world.cores.iter().map(|course| lane(*course)).collect(),
            blockers: blockers.map(lane).collect(),
            rank: world.cores.iter().map(|course| rank(*course)).collect(),
        }
    }

    /// The shortest way to the newest reachable versions.
    pub(super) fn run(&self) -> Timeline {
        let all: Vec<usize> = (0..self.cores.len()).collect();
        let start = self.world.start();
        let reached = self.reached_at_start(&start);
        let mut timeline = Timeline { states: vec![start], moves: Vec::new(), reached, cut: false };
        if self.extend(&mut timeline, &all).is_none() {
            // Too many states together: one core after the other breaks nothing either, and a later one may let an
            // earlier one go on.
            timeline.cut = true;
            for _ in 0..MOST_ROUNDS {
                let before = timeline.moves.len();
                for core in &all {
                    let moved = self.extend(&mut timeline, &[*core]);
                    debug_assert!(moved.is_some(), "one core alone has few states");
                }
                if timeline.moves.len() == before {
                    break;
                }
            }
        }
        timeline
    }

    fn reached_at_start(&self, state: &[usize]) -> Vec<Vec<bool>> {
        let each = self.blockers.iter().map(|lane| {
            let mut places = vec![false; lane.nodes.len()];
            places[0] = true;
            lane.close(&mut places, &lane.unmet(self.world, state));
            places
        });
        each.collect()
    }

    /// Goes on from the end of the timeline by moves of some cores. `None` where there are too many states.
    fn extend(&self, timeline: &mut Timeline, movable: &[usize]) -> Option<()> {
        let start = timeline.states.last()?.clone();
        let first = Found { state: start, reached: timeline.reached.clone(), level: 0, before: Vec::new() };
        let mut known = HashMap::from([((first.state.clone(), first.reached.clone()), 0)]);
        let mut found = vec![first];
        let mut next = 0;
        while next < found.len() {
            if found.len() > MOST_STATES {
                return None;
            }
            for (step, state, reached) in self.moves_from(&found[next], movable) {
                let level = found[next].level + 1;
                let at = *known.entry((state.clone(), reached.clone())).or_insert_with(|| {
                    found.push(Found { state, reached, level, before: Vec::new() });
                    found.len() - 1
                });
                if found[at].level == level {
                    found[at].before.push((next, step));
                }
            }
            next += 1;
        }
        self.follow(timeline, &found);
        Some(())
    }

    fn moves_from(&self, from: &Found, movable: &[usize]) -> Vec<(Move, State, Vec<Vec<bool>>)> {
        let mut moves = Vec::new();
        let core_unmet = |state: &[usize]| -> Vec<Unmet> {
            let each =
                self.cores.iter().zip(state).map(|(lane, node)| self.world.unmet(lane.course, *node, state));
            each.collect()
        };
        let before = core_unmet(&from.state);
        let blockers_before: Vec<Vec<Unmet>> =
            self.blockers.iter().map(|lane| lane.unmet(self.world, &from.state)).collect();
        for core in movable {
            let lane = &self.cores[*core];
            let Some(place) = lane.nodes.iter().position(|node| *node == from.state[*core]) else { continue };
            for to in &lane.steps[place] {
                let mut state = from.state.clone();
                state[*core] = lane.nodes[*to];
                if core_unmet(&state).iter().zip(&before).any(|(after, before)| after & !before != 0) {
                    continue;
                }
                let reached: Option<Vec<Vec<bool>>> = self
                    .blockers
                    .iter()
                    .zip(&from.reached)
                    .zip(&blockers_before)
                    .map(|((lane, places), before)| {
                        let after = lane.unmet(self.world, &state);
                        let left = lane.left_behind(self.world, &state);
                        let mut kept = Lane::keep(places, before, &after, &left)?;
                        lane.close(&mut kept, &after);
                        Some(kept)
                    })
                    .collect();
                if let Some(reached) = reached {
                    let step = Move { core: *core, from: from.state[*core], to: state[*core] };
                    moves.push((step, state, reached));
                }
            }
        }
        moves
    }

    /// Newer is better; Kubernetes counts first.
    fn worth(&self, state: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let (hubs, others): (Vec<_>, Vec<_>) = self
            .cores
            .iter()
            .zip(state)
            .partition(|(lane, _)| self.world.courses[lane.course].provides_kubernetes());
        let nodes = |part: Vec<(&Lane, &usize)>| part.into_iter().map(|(_, node)| *node).collect();
        (nodes(hubs), nodes(others))
    }

    /// Appends the shortest way to the newest state, each move to the newest version that lies on such a way.
    fn follow(&self, timeline: &mut Timeline, found: &[Found]) {
        let Some(newest) = found.iter().map(|found| &found.state).max_by_key(|state| self.worth(state))
        else {
            return;
        };
        let goals = found.iter().enumerate().filter(|(_, found)| found.state == *newest);
        let Some(nearest) = goals.clone().map(|(_, found)| found.level).min() else { return };
        let mut ways: HashMap<usize, Vec<(usize, Move)>> = HashMap::new();
        let mut level: Vec<usize> =
            goals.filter(|(_, found)| found.level == nearest).map(|(at, _)| at).collect();
        let goals = level.clone();
        while !level.is_empty() {
            let mut before = Vec::new();
            for at in level {
                for (from, step) in &found[at].before {
                    let known = ways.entry(*from).or_default();
                    if known.is_empty() {
                        before.push(*from);
                    }
                    known.push((at, *step));
                }
            }
            level = before;
        }
        let mut at = 0;
        while !goals.contains(&at) {
            let Some(ways) = ways.get(&at) else { return };
            let best = ways.iter().max_by_key(|(to, step)| {
                (std::cmp::Reverse(self.rank[step.core]), step.to, std::cmp::Reverse(*to))
            });
            let Some((to, step)) = best else { return };
            timeline.moves.push(*step);
            timeline.states.push(found[*to].state.clone());
            at = *to;
        }
        timeline.reached.clone_from(&found[at].reached);
    }

    /// What stands in the way of a move from the end of the timeline: the place among the blockers of a component
    /// that has no version for it, or the core (`Err`) whose own version does not go with it.
    pub(super) fn blocker_of(
        &self,
        timeline: &Timeline,
        core: usize,
        to: usize,
    ) -> Option<Result<usize, usize>> {
        let before = timeline.states.last()?;
        let mut after = before.clone();
        after[core] = to;
        let broken = self.cores.iter().enumerate().position(|(own, lane)| {
            let at = |state: &[usize]| self.world.unmet(lane.course, state[own], state);
            at(&after) & !at(before) != 0
        });
        if let Some(core) = broken {
            return Some(Err(core));
        }
        let stuck = self.blockers.iter().zip(&timeline.reached).position(|(lane, places)| {
            let unmet = [before, &after].map(|state| lane.unmet(self.world, state));
            let left = lane.left_behind(self.world, &after);
            Lane::keep(places, &unmet[0], &unmet[1], &left).is_none()
        });
        stuck.map(Ok)
    }
}

//! When each component takes its steps, while the cores go their way.

use super::lane::{Lane, can_stay};
use super::search::Timeline;
use super::world::{Unmet, World};

/// A step, and after how many moves of the cores it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) at: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// What a way costs, the most important first: steps, states in which versions stand together that were not
/// tested together, and how far the steps are from where they should rather be.
type Cost = (usize, usize, usize);

/// Finds the steps of one component to its newest version that can be reached.
///
/// Of the shortest ways it takes the one with the fewest untested states; then the earliest where it is to be
/// `early`, else the latest.
pub(super) fn schedule(world: &World<'_>, lane: &Lane, timeline: &Timeline, early: bool) -> Vec<Placed> {
    let way = Way::new(world, lane, timeline, early);
    match way.target() {
        Some(target) => way.walk(target),
        None => Vec::new(),
    }
}

struct Way<'l> {
    lane: &'l Lane,
    early: bool,
    /// Place in time → place in the lane.
    unmet: Vec<Vec<Unmet>>,
    left_behind: Vec<Vec<bool>>,
    untested: Vec<Vec<usize>>,
}

impl<'l> Way<'l> {
    fn new(world: &World<'_>, lane: &'l Lane, timeline: &Timeline, early: bool) -> Self {
        let states = &timeline.states;
        let untested = |state: &Vec<usize>| {
            lane.nodes.iter().map(|node| world.untested(lane.course, *node, state).count()).collect()
        };
        Self {
            lane,
            early,
            unmet: states.iter().map(|state| lane.unmet(world, state)).collect(),
            left_behind: states.iter().map(|state| lane.left_behind(world, state)).collect(),
            untested: states.iter().map(untested).collect(),
        }
    }

    fn last(&self) -> usize {
        self.unmet.len() - 1
    }

    fn can_wait(&self, at: usize, place: usize) -> bool {
        can_stay(self.unmet[at][place], self.unmet[at + 1][place], self.left_behind[at + 1][place])
    }

    fn can_step(&self, at: usize, from: usize, to: usize) -> bool {
        self.unmet[at][to] & !self.unmet[at][from] == 0
    }

    /// The newest version that can stand in the end.
    fn target(&self) -> Option<usize> {
        let mut places = vec![false; self.lane.nodes.len()];
        places[0] = true;
        for at in 0..=self.last() {
            self.lane.close(&mut places, &self.unmet[at]);
            if at < self.last() {
                for (place, reached) in places.iter_mut().enumerate() {
                    *reached &= self.can_wait(at, place);
                }
            }
        }
        places.iter().rposition(|reached| *reached)
    }

    fn timing(&self, at: usize) -> usize {
        if self.early { at } else { self.last() - at }
    }

    /// Goes the cheapest way; of equal ones that with the newest versions.
    fn walk(&self, target: usize) -> Vec<Placed> {
        let costs = self.costs(target);
        let (mut at, mut place) = (0, 0);
        let mut placed = Vec::new();
        while (at, place) != (self.last(), target) {
            let Some(cost) = costs[at][place] else { return placed };
            // From the back: the newest of the best.
            let step = self.steps(&costs, at, place).rev().find(|(_, known)| *known == cost);
            if let Some((to, _)) = step {
                let [from, to_node] = [place, to].map(|place| self.lane.nodes[place]);
                placed.push(Placed { at, from, to: to_node });
                place = to;
            } else {
                at += 1;
            }
        }
        placed
    }

    /// The cheapest way from everywhere to the target.
    fn costs(&self, target: usize) -> Vec<Vec<Option<Cost>>> {
        let mut costs: Vec<Vec<Option<Cost>>> = vec![vec![None; self.lane.nodes.len()]; self.last() + 1];
        for at in (0..=self.last()).rev() {
            for place in (0..=target).rev() {
                if (at, place) == (self.last(), target) {
                    costs[at][place] = Some((0, 0, 0));
                    continue;
                }
                let wait = (at < self.last() && self.can_wait(at, place))
                    .then(|| costs[at + 1][place])
                    .flatten()
                    .map(|cost| add(cost, (0, self.untested[at + 1][place], 0)));
                let best = self.steps(&costs, at, place).map(|(_, cost)| cost).chain(wait).min();
                costs[at][place] = best;
            }
        }
        costs
    }

    /// The steps that can be taken, with what the way costs then.
    fn steps<'s>(
        &'s self,
        costs: &'s [Vec<Option<Cost>>],
        at: usize,
        place: usize,
    ) -> impl DoubleEndedIterator<Item = (usize, Cost)> + 's {
        self.lane.steps[place].iter().filter(move |to| self.can_step(at, place, **to)).filter_map(move |to| {
            let cost = costs[at][*to]?;
            Some((*to, add(cost, (1, self.untested[at][*to], self.timing(at)))))
        })
    }
}

fn add(one: Cost, other: Cost) -> Cost {
    (one.0 + other.0, one.1 + other.1, one.2 + other.2)
}

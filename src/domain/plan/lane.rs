//! The versions of a component that can matter, and the steps between them.

use super::course::Course;
use super::input::Input;
use super::world::{Unmet, World};
use crate::domain::policy::Admission;

/// Versions that can matter, and the steps between them.
///
/// Where any newer version is one step away, one of several that need the same is enough: the newest that policy
/// admits.
pub(super) struct Lane {
    pub(super) course: usize,
    /// Nodes of the course, ascending; the first is where it stands.
    pub(super) nodes: Vec<usize>,
    /// Place in `nodes` → places that are one step away, ascending.
    pub(super) steps: Vec<Vec<usize>>,
}

impl Lane {
    pub(super) fn new(world: &World<'_>, input: &Input<'_>, at: usize) -> Self {
        let course = &world.courses[at];
        let nodes = if course.is_free() {
            representatives(world, input, at)
        } else {
            (0..course.nodes.len()).collect()
        };
        let steps = nodes
            .iter()
            .enumerate()
            .map(|(place, from)| {
                (place + 1..nodes.len()).filter(|to| course.step(input, *from, nodes[*to]).is_ok()).collect()
            })
            .collect();
        Self { course: at, nodes, steps }
    }

    /// What each version leaves unmet in a state.
    pub(super) fn unmet(&self, world: &World<'_>, state: &[usize]) -> Vec<Unmet> {
        self.nodes.iter().map(|node| world.unmet(self.course, *node, state)).collect()
    }

    /// Which versions were left behind by the cores in a state.
    pub(super) fn left_behind(&self, world: &World<'_>, state: &[usize]) -> Vec<bool> {
        self.nodes.iter().map(|node| world.is_left_behind(self.course, *node, state)).collect()
    }

    /// Adds what can be reached by steps that leave no more unmet than before.
    pub(super) fn close(&self, places: &mut [bool], unmet: &[Unmet]) {
        for place in 0..places.len() {
            if places[place] {
                for to in &self.steps[place] {
                    places[*to] |= unmet[*to] & !unmet[place] == 0;
                }
            }
        }
    }

    /// The places that can be kept while the cores move on; `None` where there is none.
    pub(super) fn keep(
        places: &[bool],
        before: &[Unmet],
        after: &[Unmet],
        left_behind: &[bool],
    ) -> Option<Vec<bool>> {
        let kept: Vec<bool> = (0..places.len())
            .map(|place| places[place] && can_stay(before[place], after[place], left_behind[place]))
            .collect();
        kept.contains(&true).then_some(kept)
    }
}

/// Whether a version may stand where it is while the cores move on: nothing that was met is unmet now, and what
/// was unmet before can still come true.
pub(super) fn can_stay(before: Unmet, after: Unmet, left_behind: bool) -> bool {
    after & !before == 0 && (after == 0 || !left_behind)
}

/// The newest admitted version of every run of neighbours that need the same.
fn representatives(world: &World<'_>, input: &Input<'_>, at: usize) -> Vec<usize> {
    let course: &Course<'_> = &world.courses[at];
    let mut nodes = vec![0];
    let mut found_in = None;
    for node in (1..course.nodes.len()).rev() {
        let signature = world.signature(at, node);
        if found_in.as_ref() == Some(&signature) {
            continue;
        }
        let admitted = matches!(course.admission(input, 0, node), Admission::Allow { .. });
        if admitted && course.avoided(node).is_none() {
            nodes.push(node);
            found_in = Some(signature);
        }
    }
    nodes[1..].reverse();
    nodes
}

//! Which component goes before which, where compatibility leaves it open.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Course;
use super::input::Input;

/// The order of components, by their place among the courses.
pub(super) struct Order<'a> {
    /// Depth below everything that rules put before the component.
    pub(super) rank: Vec<usize>,
    /// What goes first by rules.
    after: Vec<BTreeSet<usize>>,
    /// What goes first because the repository says so, and why.
    waits: Vec<BTreeMap<usize, &'a str>>,
}

/// Components that wait for each other.
pub(super) struct Cycle {
    pub(super) courses: Vec<usize>,
    pub(super) reason: String,
    /// Who says that they wait.
    pub(super) policy_applied: &'static str,
}

impl<'a> Order<'a> {
    pub(super) fn new(input: &Input<'a>, courses: &[Course<'_>]) -> Self {
        let place: BTreeMap<&str, usize> =
            courses.iter().enumerate().map(|(at, course)| (course.id(), at)).collect();
        let mut waits = vec![BTreeMap::new(); courses.len()];
        for dependency in input.dependencies {
            let ends = (place.get(dependency.from.as_str()), place.get(dependency.to.as_str()));
            if let (Some(from), Some(to)) = ends
                && from != to
            {
                waits[*from].entry(*to).or_insert(dependency.why.as_str());
            }
        }
        // Most components come after the same few names.
        let names: BTreeSet<&String> = courses.iter().flat_map(|course| course.after()).collect();
        let called: BTreeMap<&String, Vec<usize>> = names
            .into_iter()
            .map(|name| (name, (0..courses.len()).filter(|other| courses[*other].is_called(name)).collect()))
            .collect();
        let after: Vec<BTreeSet<usize>> = courses
            .iter()
            .enumerate()
            .map(|(at, course)| {
                let named = course.after().iter().filter_map(|name| called.get(name)).flatten().copied();
                named.filter(|other| *other != at && shares_cluster(course, &courses[*other])).collect()
            })
            .collect();
        let rank = ranks(&after);
        Self { rank, after, waits }
    }

    /// Components that wait for each other, by the repository or by rules.
    pub(super) fn cycles(&self, courses: &[Course<'_>]) -> Vec<Cycle> {
        let waits: Vec<BTreeSet<usize>> =
            self.waits.iter().map(|waits| waits.keys().copied().collect()).collect();
        let by_repository = circles(&waits).into_iter().map(|members| {
            let reason = self.told(courses, &members, &waits);
            Cycle { courses: members, reason, policy_applied: "dependsOn" }
        });
        let by_rules = circles(&self.after).into_iter().map(|members| {
            let names = names(courses, &members);
            let reason = format!("rules put each of these after another: {names}");
            Cycle { courses: members, reason, policy_applied: "rules" }
        });
        by_repository.chain(by_rules).collect()
    }

    fn told(&self, courses: &[Course<'_>], members: &[usize], waits: &[BTreeSet<usize>]) -> String {
        /// Enough to find the circle.
        const MOST: usize = 4;
        let edges = members.iter().flat_map(|from| {
            let inner = waits[*from].iter().filter(|to| members.contains(to));
            inner.filter_map(|to| self.waits[*from].get(to).copied())
        });
        let edges: BTreeSet<&str> = edges.collect();
        let edges: Vec<&str> = edges.into_iter().take(MOST).collect();
        format!("these wait for each other: {} ({})", names(courses, members), edges.join("; "))
    }

    /// Everything that goes before a component because the repository says so, through others too, and why.
    pub(super) fn first(&self, course: usize) -> BTreeMap<usize, &'a str> {
        let mut found: BTreeMap<usize, &'a str> = BTreeMap::new();
        let mut open: Vec<(usize, &'a str)> =
            self.waits[course].iter().map(|(at, why)| (*at, *why)).collect();
        while let Some((at, why)) = open.pop() {
            if at != course && !found.contains_key(&at) {
                found.insert(at, why);
                open.extend(self.waits[at].keys().map(|next| (*next, why)));
            }
        }
        found
    }

    /// What rules put before a component, through others too.
    pub(super) fn by_rules(&self, course: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = self.after[course].iter().copied().collect();
        while let Some(at) = open.pop() {
            if at != course && found.insert(at) {
                open.extend(&self.after[at]);
            }
        }
        found
    }

    /// The components that some of `cores` wait for, and that should take their steps early.
    pub(super) fn early(&self, cores: &[usize]) -> BTreeSet<usize> {
        let mut early = BTreeSet::new();
        let mut open: Vec<usize> = cores.to_vec();
        while let Some(at) = open.pop() {
            for before in self.after[at].iter().chain(self.waits[at].keys()) {
                if !cores.contains(before) && early.insert(*before) {
                    open.push(*before);
                }
            }
        }
        early
    }
}

fn shares_cluster(one: &Course<'_>, other: &Course<'_>) -> bool {
    let cluster = |course: &Course<'_>| course.subject.component.cluster.clone();
    match (cluster(one), cluster(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

fn names(courses: &[Course<'_>], members: &[usize]) -> String {
    let names: Vec<String> = members.iter().map(|at| format!("`{}`", courses[*at].id())).collect();
    names.join(", ")
}

/// Length of the longest way down; what lies on a circle counts once.
fn ranks(after: &[BTreeSet<usize>]) -> Vec<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done(usize),
    }
    let mut marks = vec![Mark::New; after.len()];
    for start in 0..after.len() {
        let mut stack = vec![start];
        while let Some(&at) = stack.last() {
            if matches!(marks[at], Mark::Done(_)) {
                stack.pop();
                continue;
            }
            if marks[at] == Mark::New {
                marks[at] = Mark::Open;
                stack.extend(after[at].iter().filter(|next| marks[**next] == Mark::New));
                continue;
            }
            let below = after[at].iter().filter_map(|next| match marks[*next] {
                Mark::Done(rank) => Some(rank + 1),
                Mark::New | Mark::Open => None,
            });
            marks[at] = Mark::Done(below.max().unwrap_or(0));
            stack.pop();
        }
    }
    marks.into_iter().map(|mark| if let Mark::Done(rank) = mark { rank } else { 0 }).collect()
}

/// Groups of nodes that reach each other, each sorted.
fn circles(edges: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    // What is only reached, or only reaches, is taken away until nothing is: what is left lies on circles or
    // between them.
    let mut left: BTreeSet<usize> = (0..edges.len()).collect();
    loop {
        let reached: BTreeSet<usize> =
            left.iter().flat_map(|at| &edges[*at]).filter(|to| left.contains(to)).copied().collect();
        let kept: BTreeSet<usize> = left
            .iter()
            .copied()
            .filter(|at| reached.contains(at) && edges[*at].iter().any(|to| left.contains(to)))
            .collect();
        if kept.len() == left.len() {
            break;
        }
        left = kept;
    }
    let reaches = |from: usize| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            open.extend(edges[at].iter().filter(|to| left.contains(to) && seen.insert(**to)));
        }
        seen
    };
    let reached: BTreeMap<usize, BTreeSet<usize>> = left.iter().map(|at| (*at, reaches(*at))).collect();
    let mut groups: BTreeSet<Vec<usize>> = BTreeSet::new();
    for (at, seen) in &reached {
        let group: Vec<usize> = seen.iter().copied().filter(|other| reached[other].contains(at)).collect();
        if group.len() > 1 && group.contains(at) {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edges(of: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        of.iter().map(|to| to.iter().copied().collect()).collect()
    }

    #[test]
    fn circles_are_found_and_what_leads_to_them_is_not() {
        for (of, expected) in [
            (&[&[1][..], &[2], &[]][..], vec![]),
            (&[&[1], &[0], &[0]], vec![vec![0, 1]]),
            (&[&[1], &[2], &[0, 3], &[]], vec![vec![0, 1, 2]]),
            (&[&[1], &[0, 2], &[3], &[2]], vec![vec![0, 1], vec![2, 3]]),
            (&[&[0]], vec![]),
        ] {
            assert_eq!(circles(&edges(of)), expected, "{of:?}");
        }
    }

    #[test]
    fn rank_is_the_longest_way_down() {
        assert_eq!(ranks(&edges(&[&[], &[0], &[0, 1], &[2, 0]])), [0, 1, 2, 3]);
        assert_eq!(ranks(&edges(&[&[1], &[2], &[]])), [2, 1, 0]);
    }

    proptest! {
        #[test]
        fn without_circles_every_rank_is_above_those_before_it(
            pairs in prop::collection::vec((0usize..12, 0usize..12), 0..40),
        ) {
            let mut after = vec![BTreeSet::new(); 12];
            for (one, other) in pairs {
                if one != other {
                    after[one.max(other)].insert(one.min(other));
                }
            }
            prop_assert!(circles(&after).is_empty());
            let ranks = ranks(&after);
            for (at, before) in after.iter().enumerate() {
                prop_assert!(before.iter().all(|before| ranks[*before] < ranks[at]));
            }
        }

        #[test]
        fn members_of_a_circle_reach_each_other(
            pairs in prop::collection::vec((0usize..8, 0usize..8), 0..30),
        ) {
            let mut all = vec![BTreeSet::new(); 8];
            for (one, other) in pairs {
                all[one].insert(other);
            }
            let reaches = |from: usize, to: usize| {
                let mut seen = BTreeSet::new();
                let mut open = vec![from];
                while let Some(at) = open.pop() {
                    open.extend(all[at].iter().copied().filter(|next| seen.insert(*next)));
                }
                seen.contains(&to)
            };
            let groups = circles(&all);
            for (one, other) in (0..8).flat_map(|one| (0..8).map(move |other| (one, other))) {
                let together = groups.iter().any(|group| group.contains(&one) && group.contains(&other));
                let circular = one != other && reaches(one, other) && reaches(other, one);
                prop_assert_eq!(together && one != other, circular);
            }
            ranks(&all);
        }
    }
}

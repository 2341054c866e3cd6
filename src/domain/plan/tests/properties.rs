//! What holds of every plan.

use proptest::prelude::*;

use super::*;
use crate::domain::version::range::Range;

#[derive(Debug, Clone)]
struct Chart {
    current: usize,
    /// Lowest and highest minor of Kubernetes for each version.
    versions: Vec<(u64, u64)>,
    denied: Vec<bool>,
}

fn chart() -> impl Strategy<Value = Chart> {
    prop::collection::vec((24u64..32, 0u64..8, prop::bool::weighted(0.2)), 1..6).prop_map(|versions| Chart {
        current: 0,
        denied: versions.iter().map(|(.., denied)| *denied).collect(),
        versions: versions.into_iter().map(|(low, width, _)| (low, low + width)).collect(),
    })
}

fn world(charts: &[Chart], minors: &[u64], dependencies: &[(usize, usize)]) -> Small {
    let texts: Vec<String> = minors.iter().map(|minor| format!("v1.{minor}.1+k3s1")).collect();
    let newer: Vec<&str> = texts.iter().skip(1).map(String::as_str).collect();
    let mut world = Small::new().k3s(&texts[0], &newer);
    for (at, chart) in charts.iter().enumerate() {
        let versions: Vec<String> = chart
            .versions
            .iter()
            .enumerate()
            .map(|(at, (low, high))| format!("{at}.0.0 [>=1.{low}.0-0 <1.{}.0-0]", high + 1))
            .collect();
        let newer: Vec<&str> = versions[1..].iter().map(String::as_str).collect();
        world = world.chart(&format!("c{at}"), &versions[chart.current], &newer);
        for (version, _) in chart.denied.iter().enumerate().filter(|(_, denied)| **denied) {
            world = world.policy(&format!("helm/apps/c{at}"), &format!("{version}.0.0"), Err("denied"));
        }
    }
    for (from, to) in dependencies {
        world = world.depends(&format!("helm/apps/c{from}"), &format!("helm/apps/c{to}"));
    }
    world
}

/// Which charts do not go with the Kubernetes of a state.
fn broken(world: &Small, state: &BTreeMap<String, String>) -> BTreeSet<String> {
    let kubernetes = state["k3s"].trim_start_matches('v').split('+').next().unwrap().parse().unwrap();
    let mut broken = BTreeSet::new();
    for subject in &world.subjects {
        let all = subject.current.iter().chain(&subject.candidates);
        for candidate in all.filter(|candidate| candidate.version == state[&subject.component.id]) {
            if let Some(range) = &candidate.kube_version
                && !Range::parse(range).unwrap().matches(&kubernetes)
            {
                broken.insert(subject.component.id.clone());
            }
        }
    }
    broken
}

/// Plays the steps in any order that their waves allow, and looks at every state.
fn assert_nothing_breaks(world: &Small, plan: &Plan) {
    let mut state: BTreeMap<String, String> = world
        .subjects
        .iter()
        .map(|subject| {
            (subject.component.id.clone(), subject.entry.current_version.clone().unwrap_or_default())
        })
        .collect();
    let mut before = broken(world, &state);
    for wave in &plan.waves {
        // Within a wave every order counts; charts do not know each other, so each alone is enough.
        for step in &wave.steps {
            let mut alone = state.clone();
            alone.insert(step.component.clone(), step.to.clone());
            let after = broken(world, &alone);
            assert!(after.is_subset(&before), "{} breaks {after:?}: {}", step.id, told(plan));
        }
        for step in &wave.steps {
            state.insert(step.component.clone(), step.to.clone());
        }
        before = broken(world, &state);
    }
}

/// The newest Kubernetes that any order of steps reaches, by trying them all.
fn furthest(charts: &[Chart], minors: &[u64]) -> u64 {
    let fits = |chart: &Chart, version: usize, minor: u64| {
        let (low, high) = chart.versions[version];
        (low..=high).contains(&minor)
    };
    let start: (usize, Vec<usize>) = (0, charts.iter().map(|chart| chart.current).collect());
    let mut seen = BTreeSet::from([start.clone()]);
    let mut open = vec![start];
    let mut best = 0;
    while let Some((at, versions)) = open.pop() {
        best = best.max(at);
        let mut go = |state: (usize, Vec<usize>)| {
            if seen.insert(state.clone()) {
                open.push(state);
            }
        };
        if at + 1 < minors.len()
            && minors[at + 1] == minors[at] + 1
            && charts.iter().zip(&versions).all(|(chart, version)| fits(chart, *version, minors[at + 1]))
        {
            go((at + 1, versions.clone()));
        }
        for (place, chart) in charts.iter().enumerate() {
            for to in versions[place] + 1..chart.versions.len() {
                if !chart.denied[to] && fits(chart, to, minors[at]) {
                    let mut next = versions.clone();
                    next[place] = to;
                    go((at, next));
                }
            }
        }
    }
    minors[best]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_is_sound_breaks_nothing_and_is_the_same_again(
        charts in prop::collection::vec(chart(), 0..5),
        first in 24u64..30,
        gaps in prop::collection::vec(prop::bool::weighted(0.9), 0..6),
        dependencies in prop::collection::vec((0usize..5, 0usize..5), 0..6),
        concurrency in 0usize..4,
    ) {
        let mut minors = vec![first];
        for (at, near) in gaps.iter().enumerate() {
            let last = minors[at];
            minors.push(last + if *near { 1 } else { 2 });
        }
        let world = world(&charts, &minors, &dependencies).change(|world| world.concurrency = concurrency);
        let plan = world.plan();
        assert_sound(&plan);
        assert_nothing_breaks(&world, &plan);
        prop_assert_eq!(world.plan(), plan);
    }

    #[test]
    fn kubernetes_gets_as_far_as_any_order_of_steps_would(
        mut charts in prop::collection::vec(chart(), 0..4),
        first in 24u64..28,
        count in 1u64..6,
    ) {
        // Where nothing is broken at the start.
        for chart in &mut charts {
            let (low, high) = chart.versions[0];
            chart.versions[0] = (low.min(first), high.max(first));
        }
        let minors: Vec<u64> = (first..first + count).collect();
        let plan = world(&charts, &minors, &[]).plan();
        let mut steps = plan.waves.iter().flat_map(|wave| &wave.steps);
        let last = steps.rfind(|step| step.component == "k3s");
        let reached = last.map_or(first, |step| step.to.split('.').nth(1).unwrap().parse().unwrap());
        prop_assert_eq!(reached, furthest(&charts, &minors), "{}", told(&plan));
    }
}

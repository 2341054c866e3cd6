//! What was observed of the cluster: where each fact comes from, and which steps it stops for now.

use jiff::{SignedDuration, Timestamp};

use super::FactSource;
use super::course::Course;
use super::input::{Input, Observed};
use super::world::{KUBERNETES, World, read_observed};
use crate::domain::facts::Facts;
use crate::domain::rule::planning::{Gate, Precondition};
use crate::domain::select::strip_prefix;
use crate::domain::state::{Stage, Update};
use crate::domain::version::Version;

/// Facts that are older are said to be old.
const OLD: SignedDuration = SignedDuration::from_hours(24);
/// Facts that are older hold what depends on them.
const EXPIRED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Clocks differ by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Where each fact that a plan rests on comes from.
pub(super) fn sources(world: &World<'_>, input: &Input<'_>) -> Vec<FactSource> {
    let mut sources = Vec::new();
    for fact in [KUBERNETES, "flux", "longhorn"] {
        let observed = input.observed.and_then(|observed| Some((observed, value(observed.facts, fact)?)));
        let mut found = false;
        for course in world.courses.iter().filter(|course| is_about(course, fact)) {
            found = true;
            let git = course.nodes[0].version.as_ref().map(|_| course.nodes[0].text.clone());
            let note = match (&git, &observed) {
                (Some(git), Some((_, seen))) => differs(course, git, seen),
                _ => None,
            };
            let cluster = course.subject.component.cluster.as_ref();
            let fact = cluster.map_or_else(|| fact.to_owned(), |cluster| format!("{cluster}:{fact}"));
            let source = if git.is_some() { "git" } else { "none" };
            sources.push(FactSource { fact, value: git, source: source.to_owned(), taken_at: None, note });
        }
        match observed {
            Some((observed, seen)) => sources.push(FactSource {
                fact: fact.to_owned(),
                value: Some(seen.to_owned()),
                source: observed.source.to_owned(),
                taken_at: observed.facts.taken_at,
                note: age_note(&observed, input.now),
            }),
            None if !found && fact == KUBERNETES => sources.push(FactSource {
                fact: fact.to_owned(),
                value: None,
                source: "none".to_owned(),
                taken_at: None,
                note: Some("neither the repository nor facts say which version runs".to_owned()),
            }),
            None => {}
        }
    }
    sources
}

fn is_about(course: &Course<'_>, fact: &str) -> bool {
    match fact {
        KUBERNETES => course.provides_kubernetes(),
        id => course.bare_id() == id,
    }
}

fn value<'f>(facts: &'f Facts, fact: &str) -> Option<&'f str> {
    match fact {
        KUBERNETES => facts.kubernetes.as_deref(),
        "flux" => facts.flux.as_ref()?.distribution.as_deref(),
        "longhorn" => facts.longhorn.as_ref()?.current.as_deref(),
        _ => None,
    }
}

/// Says so where Git and the cluster have different versions.
fn differs(course: &Course<'_>, git: &str, seen: &str) -> Option<String> {
    let same = match versions(course, git, seen) {
        Some((git, seen)) => git == seen,
        None => git.trim_start_matches('v') == seen.trim_start_matches('v'),
    };
    (!same).then(|| format!("Git says {git}, the cluster runs {seen}"))
}

/// Whether the cluster runs a newer version than Git has.
fn is_ahead(course: &Course<'_>, git: &str, seen: &str) -> bool {
    versions(course, git, seen).is_some_and(|(git, seen)| git.comparable(&seen) && git < seen)
}

fn versions(course: &Course<'_>, git: &str, seen: &str) -> Option<(Version, Version)> {
    let component = &course.subject.component;
    let read = |text: &str| {
        let bare = strip_prefix(text, component.tag_prefix.as_deref()).unwrap_or(text);
        component.scheme.parse(bare)
    };
    read(git).zip(read(seen))
}

fn age_note(observed: &Observed<'_>, now: Timestamp) -> Option<String> {
    let Some(taken_at) = observed.facts.taken_at else {
        return Some("nobody says when this was observed".to_owned());
    };
    let age = now.duration_since(taken_at);
    if age > OLD {
        let days = age.as_hours() / 24;
        Some(format!("observed {days} {} ago", if days == 1 { "day" } else { "days" }))
    } else if age < -SKEW {
        Some("observed in the future: a clock is wrong".to_owned())
    } else {
        None
    }
}

/// Whether facts are too old to rest a step on; facts without a date are, and those of a time that has not come.
fn is_expired(observed: &Observed<'_>, now: Timestamp) -> bool {
    observed.facts.taken_at.is_none_or(|taken_at| {
        let age = now.duration_since(taken_at);
        age > EXPIRED || age < -SKEW
    })
}

/// Why the cluster is not ready for a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unready {
    /// For people.
    pub(super) reason: String,
    /// It ends though no person does anything, with what is under way: nodes that are being replaced come back, volumes
    /// are rebuilt, what was merged gets there.
    pub(super) ends_by_itself: bool,
}

/// What the facts say about the next step of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Observation {
    /// Why the step must wait.
    pub(super) holds: Vec<Unready>,
    /// What a reviewer should know.
    pub(super) notes: Vec<String>,
}

impl Observation {
    fn wait(&mut self, reason: String) {
        self.holds.push(Unready { reason, ends_by_itself: true });
    }

    fn need_person(&mut self, reason: String) {
        self.holds.push(Unready { reason, ends_by_itself: false });
    }
}

/// Looks at the first step of a component.
pub(super) fn observation(world: &World<'_>, input: &Input<'_>, at: usize, to: usize) -> Observation {
    let course = &world.courses[at];
    let mut seen = Observation::default();
    let gates = course.gates(0, to);
    let preconditions: Vec<Precondition> =
        course.rules.iter().flat_map(|rule| rule.planning.preconditions.iter().copied()).collect();
    let removes = gates.iter().any(|gate| !gate.removes.is_empty());
    let Some(observed) = input.observed else {
        if !preconditions.is_empty() || removes {
            let words: Vec<&str> = preconditions.iter().map(|precondition| precondition.as_str()).collect();
            let stored = if removes { &["stored versions"][..] } else { &[] };
            let unchecked = words.iter().chain(stored).copied().collect::<Vec<_>>().join(", ");
            seen.notes.push(format!("not checked, because there are no facts of the cluster: {unchecked}"));
        }
        return seen;
    };
    let own = [KUBERNETES, "flux", "longhorn"].into_iter().find(|fact| is_about(course, fact));
    let needs_kubernetes = world.needs(at, to).iter().any(|need| need.hard && need.of == KUBERNETES);
    let rests_on_facts =
        !preconditions.is_empty() || removes || own.is_some() || (needs_kubernetes && world.cores.is_empty());
    if rests_on_facts && is_expired(&observed, input.now) {
        let age = age_note(&observed, input.now).unwrap_or_default();
        seen.need_person(format!("the facts of the cluster are too old to rest on ({age}); take new ones"));
        return seen;
    }
    if let Some(running) = own.and_then(|fact| value(observed.facts, fact))
        && let Some(difference) = differs(course, &course.nodes[0].text, running)
    {
        match is_ahead(course, &course.nodes[0].text, running) {
            true => {
                seen.need_person(format!("{difference}: Git is behind, and what runs does not go back by it"))
            }
            false => seen.wait(format!("{difference}: what was merged last is not there yet")),
        }
    }
    if needs_kubernetes && own != Some(KUBERNETES) {
        unready_kubernetes(world, &observed, at, to, &mut seen);
    }
    // Nodes that nobody is replacing, and that do not take work, do not mend themselves.
    let is_moving = |update: &Update| matches!(update.stage, Stage::Merged | Stage::Rolling);
    let moves = input.situation.updates.iter().any(is_moving);
    for precondition in preconditions {
        check(precondition, observed.facts, moves, &mut seen);
    }
    for gate in gates {
        stored(gate, observed.facts, &mut seen);
    }
    seen
}

/// The cluster may be behind Git: then what the new version needs is not there yet.
fn unready_kubernetes(
    world: &World<'_>,
    observed: &Observed<'_>,
    at: usize,
    to: usize,
    seen: &mut Observation,
) {
    let Some(text) = observed.facts.kubernetes.as_deref() else { return };
    let Some(version) = read_observed(text) else { return };
    let unmet = world
        .needs(at, to)
        .iter()
        .find(|need| need.hard && need.of == KUBERNETES && !need.is_met_by(&version));
    let Some(need) = unmet else { return };
    let reason = format!("it needs {} {}, and the cluster runs {text}", need.of, need.range);
    // What Git has is there one day; what runs and is newer than that stays.
    let is_ahead = world
        .courses
        .iter()
        .any(|course| course.provides_kubernetes() && is_ahead(course, &course.nodes[0].text, text));
    if is_ahead { seen.need_person(reason) } else { seen.wait(reason) }
}

fn check(precondition: Precondition, facts: &Facts, moves: bool, seen: &mut Observation) {
    let unknown = |seen: &mut Observation| {
        seen.notes.push(format!("not checked, because the facts do not say: {}", precondition.as_str()));
    };
    match precondition {
        Precondition::NodesReady if facts.nodes.is_empty() => unknown(seen),
        Precondition::NodesReady => {
            let bad = facts.nodes.iter().filter(|node| !node.ready || !node.schedulable);
            let bad: Vec<&str> = bad.map(|node| node.name.as_str()).collect();
            if !bad.is_empty() {
                let reason = format!("not Ready or cordoned: {}", bad.join(", "));
                if moves { seen.wait(reason) } else { seen.need_person(reason) }
            }
        }
        // A cluster without Longhorn has no volumes of it.
        Precondition::VolumesHealthy | Precondition::EnginesCurrent if without_longhorn(facts) => {}
        Precondition::VolumesHealthy => {
            let volumes = facts.longhorn.as_ref().and_then(|longhorn| longhorn.volumes.as_ref());
            let Some(volumes) = volumes else { return unknown(seen) };
            let bad = volumes
                .iter()
                .filter(|(state, count)| **count > 0 && matches!(state.as_str(), "degraded" | "faulted"));
            let bad: Vec<String> = bad.map(|(state, count)| format!("{count} {state}")).collect();
            if !bad.is_empty() {
                let reason = format!("Longhorn volumes: {}", bad.join(", "));
                // Degraded ones are rebuilt; faulted ones have no replica left to rebuild from.
                let is_faulted = volumes.get("faulted").is_some_and(|count| *count > 0);
                if is_faulted { seen.need_person(reason) } else { seen.wait(reason) }
            }
        }
        Precondition::EnginesCurrent => match facts.longhorn.as_ref().and_then(|facts| facts.old_engines) {
            None => unknown(seen),
            Some(0) => {}
            Some(count) => seen.need_person(format!(
                "{count} Longhorn volumes run an older engine; upgrade their engines first"
            )),
        },
    }
}

fn without_longhorn(facts: &Facts) -> bool {
    facts.longhorn.as_ref().is_some_and(|longhorn| longhorn.installed == Some(false))
}

/// Objects that are stored in a version that the gate's versions do not know.
fn stored(gate: &Gate, facts: &Facts, seen: &mut Observation) {
    if gate.removes.is_empty() {
        return;
    }
    let maps = [
        facts.flux.as_ref().map(|flux| &flux.stored_versions),
        facts.longhorn.as_ref().map(|longhorn| &longhorn.stored_versions),
    ];
    let mut known = false;
    for (crd, versions) in maps.into_iter().flatten().flatten() {
        for (group, version) in gate.removes.iter().filter_map(|api| api.split_once('/')) {
            if crd.split_once('.').is_none_or(|(_, of)| of != group) {
                continue;
            }
            known = true;
            if versions.iter().any(|stored| stored == version) {
                seen.need_person(format!(
                    "{crd} still lists {version} among its stored versions; migrate its objects first: {}",
                    gate.why
                ));
            }
        }
    }
    if !known {
        seen.notes.push("not checked, because the facts do not say: stored versions".to_owned());
    }
}

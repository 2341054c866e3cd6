//! All components and what their versions need of one another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::course::Course;
use super::input::Input;
use crate::domain::version::Scheme;
use crate::domain::version::range::Range;

/// Who needs a version where no rule says it. No rule has this id: theirs have no blank.
const CHART: &str = "the chart";

/// The name under which the version of Kubernetes is needed.
pub(super) const KUBERNETES: &str = "kubernetes";

/// The courses and their needs. Components that others need something of are *cores*; a [`State`] is where they
/// stand.
pub(super) struct World<'a> {
    pub(super) courses: Vec<Course<'a>>,
    /// Courses that others need something of, in the order of [`State`].
    pub(super) cores: Vec<usize>,
    /// Course → node → what it needs.
    needs: Vec<Vec<Vec<Need>>>,
    tables: Vec<Table>,
}

/// The node at which each core stands.
pub(super) type State = Vec<usize>;

/// Needs that are not met, as bits: the same bit is the same kind of need at any version of a component.
pub(super) type Unmet = u64;

/// What a version needs of another component.
#[derive(Debug, Clone)]
pub(super) struct Need {
    bit: u32,
    /// Without it the version does not work; else it was only tested with it.
    pub(super) hard: bool,
    /// What it is needed of, for people.
    pub(super) of: String,
    /// The range, for people.
    pub(super) range: String,
    /// Who says so.
    pub(super) by: String,
    by_order: bool,
    on: On,
}

impl Need {
    /// Whether a version meets the need.
    pub(super) fn is_met_by(&self, version: &semver::Version) -> bool {
        Range::parse(&self.range).is_ok_and(|range| meets(&range, version, self.by_order))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// A core (place in [`World::cores`]) and the table of its versions.
    Core { core: usize, table: usize },
    /// The other version does not move, and meets the need or not.
    Fixed(bool),
    /// Nobody says what the other version is.
    Unknown,
}

/// Which nodes of a core meet a range.
struct Table {
    meets: Vec<bool>,
    last: Option<usize>,
}

/// What a name such as `kubernetes` stands for.
enum Target {
    Course(usize),
    Fixed(semver::Version),
    Unknown,
}

/// A need before it is known whom it concerns.
struct Wanted {
    source: String,
    name: String,
    /// `Err` where the range cannot be read.
    range: Result<Range, String>,
    hard: bool,
    /// Pre-releases count by their place in the order, as rules mean it; Helm wants them named.
    by_order: bool,
}

impl<'a> World<'a> {
    pub(super) fn new(input: &Input<'_>, courses: Vec<Course<'a>>) -> Self {
        let mut world =
            Self { needs: vec![Vec::new(); courses.len()], courses, cores: Vec::new(), tables: Vec::new() };
        let mut ranges = Ranges::default();
        let wanted: Vec<Vec<Vec<Wanted>>> =
            world.courses.iter().map(|course| wanted(course, &mut ranges)).collect();
        let targets: Vec<BTreeMap<String, Vec<Target>>> = wanted
            .iter()
            .enumerate()
            .map(|(course, nodes)| {
                let names: BTreeSet<&str> =
                    nodes.iter().flatten().map(|wanted| wanted.name.as_str()).collect();
                names.into_iter().map(|name| (name.to_owned(), world.targets(input, course, name))).collect()
            })
            .collect();
        let cores: BTreeSet<usize> = targets
            .iter()
            .flat_map(|targets| targets.values().flatten())
            .filter_map(|target| match target {
                Target::Course(course) => Some(*course),
                Target::Fixed(_) | Target::Unknown => None,
            })
            .collect();
        world.cores = cores.into_iter().collect();
        let mut known = HashMap::new();
        for (course, nodes) in wanted.iter().enumerate() {
            let mut bits: Vec<(&str, &str, usize)> = Vec::new();
            for wanted in nodes {
                let mut needs = Vec::new();
                for wanted in wanted {
                    for (at, target) in targets[course][&wanted.name].iter().enumerate() {
                        let key = (wanted.source.as_str(), wanted.name.as_str(), at);
                        let bit = bits.iter().position(|known| *known == key).unwrap_or_else(|| {
                            bits.push(key);
                            bits.len() - 1
                        });
                        // More kinds of needs than bits share the last one: that is strict, and never wrong.
                        let bit = u32::try_from(bit).unwrap_or(u32::MAX).min(Unmet::BITS - 1);
                        needs.push(world.need(wanted, target, bit, &mut known));
                    }
                }
                world.needs[course].push(needs);
            }
        }
        world
    }

    /// Whom a name concerns, seen from a component.
    fn targets(&self, input: &Input<'_>, from: usize, name: &str) -> Vec<Target> {
        let cluster = self.courses[from].subject.component.cluster.as_deref();
        let named = |course: &Course<'_>| match name {
            KUBERNETES => course.provides_kubernetes(),
            id => course.bare_id() == id,
        };
        let all: Vec<usize> = (0..self.courses.len())
            .filter(|at| {
                *at != from && named(&self.courses[*at]) && self.courses[*at].nodes[0].version.is_some()
            })
            .collect();
        let of = |at: usize| self.courses[at].subject.component.cluster.as_deref();
        // What several clusters share must go with all of them.
        let mut found: Vec<usize> =
            all.iter().copied().filter(|at| cluster.is_none() || of(*at) == cluster).collect();
        if found.is_empty() {
            found = all.iter().copied().filter(|at| of(*at).is_none()).collect();
        }
        if !found.is_empty() {
            return found.into_iter().map(Target::Course).collect();
        }
        let facts = input.observed.map(|observed| observed.facts);
        let text = match name {
            KUBERNETES => facts.and_then(|facts| facts.kubernetes.as_deref()),
            "flux" => facts.and_then(|facts| facts.flux.as_ref()?.distribution.as_deref()),
            "longhorn" => facts.and_then(|facts| facts.longhorn.as_ref()?.current.as_deref()),
            _ => None,
        };
        let version = text.and_then(read_observed);
        vec![version.map_or(Target::Unknown, Target::Fixed)]
    }

    fn need(
        &mut self,
        wanted: &Wanted,
        target: &Target,
        bit: u32,
        known: &mut HashMap<(String, bool, usize), usize>,
    ) -> Need {
        let text = match &wanted.range {
            Ok(range) => range.to_string(),
            Err(text) => text.clone(),
        };
        let range = text.clone();
        let on = match (target, &wanted.range) {
            (Target::Unknown, _) | (_, Err(_)) => On::Unknown,
            (Target::Fixed(version), Ok(range)) => On::Fixed(meets(range, version, wanted.by_order)),
            (Target::Course(course), Ok(range)) => {
                let key = (text.clone(), wanted.by_order, *course);
                let table = *known.entry(key).or_insert_with(|| {
                    let nodes = &self.courses[*course].nodes;
                    let meets: Vec<bool> = nodes
                        .iter()
                        .map(|node| {
                            node.version
                                .as_ref()
                                .is_some_and(|version| meets(range, version, wanted.by_order))
                        })
                        .collect();
                    let last = meets.iter().rposition(|meets| *meets);
                    self.tables.push(Table { meets, last });
                    self.tables.len() - 1
                });
                match self.cores.binary_search(course) {
                    Ok(core) => On::Core { core, table },
                    Err(_) => On::Unknown,
                }
            }
        };
        let by = match wanted.source.as_str() {
            CHART => "the chart's `kubeVersion`".to_owned(),
            rule => format!("rules.{rule}.compatibility"),
        };
        Need { bit, hard: wanted.hard, of: wanted.name.clone(), range, by, by_order: wanted.by_order, on }
    }

    /// Where every core stands now.
    pub(super) fn start(&self) -> State {
        vec![0; self.cores.len()]
    }

    /// The place of a course among the cores.
    pub(super) fn core_of(&self, course: usize) -> Option<usize> {
        self.cores.binary_search(&course).ok()
    }

    pub(super) fn needs(&self, course: usize, node: usize) -> &[Need] {
        &self.needs[course][node]
    }

    /// The hard needs of a version that a state does not meet.
    ///
    /// What nobody can judge counts as unmet for every version but the installed one and those that need the same.
    pub(super) fn unmet(&self, course: usize, node: usize, state: &[usize]) -> Unmet {
        let needs = self.needs(course, node).iter().filter(|need| need.hard);
        needs.filter(|need| !self.is_met(course, need, state)).fold(0, |unmet, need| unmet | 1 << need.bit)
    }

    /// The first hard need of a version that a state does not meet, but for those of `known`.
    pub(super) fn first_unmet(
        &self,
        course: usize,
        node: usize,
        state: &[usize],
        known: Unmet,
    ) -> Option<&Need> {
        let mut needs = self.needs(course, node).iter().filter(|need| need.hard);
        needs.find(|need| known & (1 << need.bit) == 0 && !self.is_met(course, need, state))
    }

    pub(super) fn is_unknown(need: &Need) -> bool {
        need.on == On::Unknown
    }

    /// The versions with which a version was tested, where a state has another.
    pub(super) fn untested<'w>(
        &'w self,
        course: usize,
        node: usize,
        state: &'w [usize],
    ) -> impl Iterator<Item = &'w Need> {
        let needs = self.needs(course, node).iter().filter(|need| !need.hard);
        needs.filter(move |need| match need.on {
            On::Core { core, table } => !self.tables[table].meets[state[core]],
            On::Fixed(meets) => !meets,
            On::Unknown => false,
        })
    }

    /// The version of what is needed, in a state.
    pub(super) fn text_of(&self, need: &Need, state: &[usize]) -> Option<&str> {
        let On::Core { core, .. } = need.on else { return None };
        Some(&self.courses[self.cores[core]].nodes[state[core]].text)
    }

    /// Whether a need was unmet before and can never be met again, now that a core has moved on.
    pub(super) fn is_left_behind(&self, course: usize, node: usize, state: &[usize]) -> bool {
        self.needs(course, node).iter().filter(|need| need.hard).any(|need| match need.on {
            On::Core { core, table } => self.tables[table].last.is_none_or(|last| last < state[core]),
            On::Fixed(_) | On::Unknown => false,
        })
    }

    /// Whether some place of a core does not meet what the installed version needs.
    pub(super) fn may_block(&self, course: usize) -> bool {
        self.needs(course, 0).iter().filter(|need| need.hard).any(|need| match need.on {
            On::Core { table, .. } => self.tables[table].meets.contains(&false),
            On::Fixed(_) | On::Unknown => false,
        })
    }

    /// What a version needs of cores, to tell versions apart that need something else.
    pub(super) fn signature(&self, course: usize, node: usize) -> Vec<(u32, bool, usize)> {
        let needs = self.needs(course, node).iter();
        needs
            .map(|need| match need.on {
                On::Core { table, .. } => (need.bit, need.hard, table),
                On::Fixed(meets) => (need.bit, need.hard, usize::MAX - usize::from(meets)),
                On::Unknown => {
                    (need.bit, need.hard, usize::MAX - 2 - usize::from(self.is_met(course, need, &[])))
                }
            })
            .collect()
    }

    fn is_met(&self, course: usize, need: &Need, state: &[usize]) -> bool {
        match need.on {
            On::Core { core, table } => self.tables[table].meets[state[core]],
            On::Fixed(meets) => meets,
            // The cluster has what the installed version needs.
            On::Unknown => self.needs(course, 0).iter().any(|own| {
                own.bit == need.bit && (own.range == need.range || implies(&own.range, &need.range))
            }),
        }
    }
}

/// The ranges of charts, each read once.
#[derive(Default)]
struct Ranges(HashMap<String, Result<Range, String>>);

impl Ranges {
    fn read(&mut self, text: &str) -> Result<Range, String> {
        let read = self.0.entry(text.to_owned());
        read.or_insert_with(|| Range::parse(text).map_err(|_| text.to_owned())).clone()
    }
}

/// What each version of a component needs, before it is known of whom.
fn wanted(course: &Course<'_>, ranges: &mut Ranges) -> Vec<Vec<Wanted>> {
    let each = course.nodes.iter().map(|node| {
        let mut all = Vec::new();
        let chart = node.candidate.and_then(|candidate| candidate.kube_version.as_deref());
        if let Some(text) = chart.map(str::trim).filter(|text| !text.is_empty()) {
            all.push(Wanted {
                source: CHART.to_owned(),
                name: KUBERNETES.to_owned(),
                range: ranges.read(text),
                hard: true,
                by_order: false,
            });
        }
        let Some(version) = &node.version else { return all };
        for rule in &course.rules {
            let entries = rule.planning.compatibility.iter();
            for entry in entries.filter(|entry| entry.versions.matches_with_prereleases(version)) {
                let needs = entry.needs.iter().map(|(of, range)| (of, range, true));
                let tested = entry.tested.iter().map(|(of, range)| (of, range, false));
                all.extend(needs.chain(tested).map(|(of, range, hard)| Wanted {
                    source: rule.id.clone(),
                    name: of.clone(),
                    range: Ok(range.clone()),
                    hard,
                    by_order: true,
                }));
            }
        }
        all
    });
    each.collect()
}

fn meets(range: &Range, version: &semver::Version, by_order: bool) -> bool {
    if by_order { range.matches_with_prereleases(version) } else { range.matches(version) }
}

/// A version as a cluster tells it: `v1.33.4+k3s1`, `v1.33.4`, `1.9.1`.
pub(super) fn read_observed(text: &str) -> Option<semver::Version> {
    let version = Scheme::K3s.parse(text).or_else(|| Scheme::Semver.parse(text))?;
    Some(version.for_range())
}

/// Whether every version of Kubernetes that satisfies one range satisfies the other.
fn implies(one: &str, other: &str) -> bool {
    /// Beyond any minor that there will be for years.
    const MINORS: u64 = 100;
    let (Ok(one), Ok(other)) = (Range::parse(one), Range::parse(other)) else { return false };
    (0..MINORS)
        .flat_map(|minor| [0, 1, 99].map(|patch| semver::Version::new(1, minor, patch)))
        .all(|version| !one.matches(&version) || other.matches(&version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stricter_implies_what_is_laxer() {
        for (one, other, expected) in [
            (">=1.25.0-0", ">=1.21.0-0", true),
            (">=1.21.0-0", ">=1.25.0-0", false),
            (">=1.21.0-0", ">=1.21.0-0", true),
            (">=1.25.0-0 <1.30.0-0", ">=1.25.0-0", true),
            (">=1.25.0-0", ">=1.25.0-0 <1.30.0-0", false),
            ("nonsense", ">=1.21.0-0", false),
        ] {
            assert_eq!(implies(one, other), expected, "{one} and {other}");
        }
    }

    #[test]
    fn versions_are_read_as_clusters_tell_them() {
        for (text, expected) in
            [("v1.33.4+k3s1", Some("1.33.4")), ("v1.9.1", Some("1.9.1")), ("unknown", None)]
        {
            assert_eq!(read_observed(text).map(|version| version.to_string()).as_deref(), expected);
        }
    }
}

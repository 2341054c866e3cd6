//! Known vulnerabilities, and which versions they affect.
//!
//! Versions are judged as the OSV schema says (<https://ossf.github.io/osv-schema/#evaluation>), by the ranges that came with
//! the answer of the database: a step of a ladder needs no question of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::version::k3s::K3sVersion;
use super::version::{Scheme, Version};

/// A known vulnerability, as one record of the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// The name by which people know it: its CVE where it has one.
    pub name: String,
    /// Versions of the asked package that it affects; empty where the record does not say.
    pub affected: Vec<Affected>,
}

/// Versions of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Affected {
    /// Events of each range of semantic versions.
    pub ranges: Vec<Vec<Event>>,
    /// Single versions.
    pub versions: Vec<String>,
}

/// What happens at a version of a range; the text is the version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Versions from here on are affected; `0` is before all of them.
    Introduced(String),
    /// Versions from here on are not.
    Fixed(String),
    /// Versions after this one are not.
    LastAffected(String),
    /// Something else, which nobody here can judge.
    Other,
}

impl Advisory {
    /// Whether it affects a version; `None` where that cannot be told.
    pub fn affects(&self, version: &str) -> Option<bool> {
        affects(&self.affected, version)
    }
}

/// Whether a version is among those that are affected; `None` where that cannot be told.
pub fn affects(affected: &[Affected], version: &str) -> Option<bool> {
    let version = Point::of(version)?;
    let mut is_told = false;
    let mut affects = false;
    for Affected { ranges, versions } in affected {
        is_told |= !ranges.is_empty() || !versions.is_empty();
        affects |= versions.iter().filter_map(|one| Point::of(one)).any(|one| one.is(&version));
        for range in ranges {
            affects |= holds(range, &version)?;
        }
    }
    is_told.then_some(affects)
}

/// Whether a version of k3s is affected, as far as the database itself cannot say: it was asked without the revision, which
/// SemVer leaves out. `None` for all other versions.
pub fn affects_revision(affected: &[Affected], version: &str) -> Option<bool> {
    K3sVersion::parse(version).and_then(|_| affects(affected, version))
}

/// A version as it lies in ranges.
///
/// SemVer leaves build metadata out, and the OSV schema with it. A build of k3s is a release of its own, in which something
/// can be fixed: where a version and an event both name a revision (`+k3s2`), it counts.
struct Point {
    version: Version,
    revision: Option<u64>,
}

impl Point {
    fn of(text: &str) -> Option<Self> {
        let revision = K3sVersion::parse(text).map(|version| version.revision());
        // Written as a tag (`-k3s1`), SemVer would take the revision for a pre-release.
        let core = text.rsplit_once("-k3s").filter(|_| revision.is_some()).map_or(text, |(core, _)| core);
        Some(Self { version: Scheme::Semver.parse(core)?, revision })
    }

    fn is(&self, other: &Self) -> bool {
        let revisions = self.revision.zip(other.revision);
        self.version == other.version && revisions.is_none_or(|(one, other)| one == other)
    }
}

/// Whether a version lies in a range; `None` where the range cannot be read.
fn holds(range: &[Event], version: &Point) -> Option<bool> {
    let mut events = range
        .iter()
        .map(|event| {
            let (text, turns_on) = match event {
                Event::Introduced(text) => (text, true),
                Event::Fixed(text) | Event::LastAffected(text) => (text, false),
                Event::Other => return None,
            };
            let is_last = matches!(event, Event::LastAffected(_));
            let Point { version: at, revision } = Point::of(text)?;
            // What begins at a release begins with its first build, and what ends after it ends after its last.
            let open_end = if is_last { u64::MAX } else { 0 };
            let revision = version.revision.map_or(0, |_| revision.unwrap_or(open_end));
            Some(((at, revision), turns_on, is_last))
        })
        .collect::<Option<Vec<_>>>()?;
    events.sort_by(|one, other| one.0.cmp(&other.0));
    let version = (version.version.clone(), version.revision.unwrap_or(0));
    let reached =
        |(at, _, is_last): &&((Version, u64), bool, bool)| version > *at || (version == *at && !is_last);
    Some(events.iter().rfind(reached).is_some_and(|(_, turns_on, _)| *turns_on))
}

/// Names of the advisories that affect `from` and no longer affect `to`, as far as their ranges tell.
///
/// A vulnerability has several records: it is fixed where none of them affects `to`.
pub fn fixed(advisories: &[Advisory], from: &str, to: &str) -> BTreeSet<String> {
    let mut by_name: BTreeMap<&str, Vec<&Advisory>> = BTreeMap::new();
    for advisory in advisories {
        by_name.entry(&advisory.name).or_default().push(advisory);
    }
    let is_fixed = |records: &Vec<&Advisory>| {
        records.iter().any(|record| record.affects(from) == Some(true))
            && records.iter().all(|record| record.affects(to) == Some(false))
    };
    by_name.into_iter().filter(|(_, records)| is_fixed(records)).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn introduced(text: &str) -> Event {
        Event::Introduced(text.to_owned())
    }

    fn until(text: &str) -> Event {
        Event::Fixed(text.to_owned())
    }

    fn record(name: &str, ranges: Vec<Vec<Event>>) -> Advisory {
        Advisory { name: name.to_owned(), affected: vec![Affected { ranges, versions: vec![] }] }
    }

    /// In all of 1.32, fixed in 1.33.4, back in 1.34.0 and fixed again in 1.34.2.
    fn twice() -> Vec<Vec<Event>> {
        vec![vec![until("1.34.2"), introduced("0"), until("1.33.4+k3s1"), introduced("1.34.0")]]
    }

    #[rstest]
    #[case::before_the_first_fix("v1.33.3+k3s1", Some(true))]
    #[case::candidate_of_the_fix("v1.33.4-rc1+k3s1", Some(true))]
    #[case::the_fix_whatever_its_build("v1.33.4+k3s2", Some(false))]
    #[case::back_again("1.34.0", Some(true))]
    #[case::fixed_again("1.34.2", Some(false))]
    #[case::no_version("stable", None)]
    fn version_is_judged_by_the_last_event_that_it_reached(
        #[case] version: &str,
        #[case] expected: Option<bool>,
    ) {
        assert_eq!(record("CVE-2026-1", twice()).affects(version), expected);
    }

    /// `+k3s1` to `+k3s2` was told to fix nothing whatever the advisory said, and what only `+k3s2` fixes was told of
    /// `+k3s1`: SemVer's order does not know the revision.
    #[rstest]
    #[case::fixed_in_the_second_build(until("1.33.4+k3s2"), [true, false, false])]
    #[case::fixed_in_the_first_build(until("1.33.4+k3s1"), [false, false, false])]
    #[case::fixed_in_the_release_that_all_are_builds_of(until("1.33.4"), [false, false, false])]
    #[case::written_as_a_tag(until("v1.33.4-k3s2"), [true, false, false])]
    #[case::last_in_the_first_build(Event::LastAffected("1.33.4+k3s1".to_owned()), [true, false, false])]
    #[case::last_in_the_release(Event::LastAffected("1.33.4".to_owned()), [true, true, true])]
    fn builds_of_k3s_are_releases_of_their_own(#[case] end: Event, #[case] expected: [bool; 3]) {
        let record = record("CVE-2026-1", vec![vec![introduced("0"), end]]);
        let versions = ["v1.33.4+k3s1", "v1.33.4+k3s2", "v1.33.4+k3s10"];
        assert_eq!(versions.map(|version| record.affects(version)), expected.map(Some));
        let known = [record];
        let is_fixed = |to: &str| !fixed(&known, versions[0], to).is_empty();
        assert_eq!(is_fixed(versions[1]), expected[0] && !expected[1]);
        assert_eq!(affects_revision(&known[0].affected, "1.33.4"), None, "the database says it");
    }

    #[test]
    fn build_that_is_listed_is_affected_and_the_next_is_not() {
        let listed = |text: &str| {
            let affected = Affected { ranges: vec![], versions: vec![text.to_owned()] };
            Advisory { name: "CVE-2026-1".to_owned(), affected: vec![affected] }
        };
        let of = |text: &str| ["v1.33.4+k3s1", "v1.33.4+k3s2"].map(|version| listed(text).affects(version));
        assert_eq!(of("v1.33.4+k3s1"), [Some(true), Some(false)]);
        assert_eq!(of("1.33.4"), [Some(true), Some(true)]);
    }

    #[test]
    fn last_affected_version_is_affected_and_the_one_after_is_not() {
        let last = Event::LastAffected("1.2.0".to_owned());
        let record = record("CVE-2026-1", vec![vec![introduced("1.0.0"), last]]);
        assert_eq!(
            ["0.9.0", "1.2.0", "1.2.1"].map(|version| record.affects(version)),
            [Some(false), Some(true), Some(false)]
        );
    }

    #[rstest]
    #[case::no_ranges(vec![])]
    #[case::what_nobody_understands(vec![vec![introduced("0"), Event::Other]])]
    #[case::no_version(vec![vec![introduced("0"), until("5f3c1a2")]])]
    fn record_that_does_not_tell_fixes_nothing(#[case] ranges: Vec<Vec<Event>>) {
        let known = [record("CVE-2026-1", ranges)];
        assert_eq!(known[0].affects("1.0.0"), None);
        assert!(fixed(&known, "1.0.0", "2.0.0").is_empty());
    }

    #[test]
    fn each_step_fixes_its_own() {
        let known = [
            record("CVE-2026-1", vec![vec![introduced("0"), until("1.33.0")]]),
            record("CVE-2026-2", vec![vec![introduced("0"), until("1.34.0")]]),
            // Two records of one vulnerability that do not agree: the stricter counts.
            record("CVE-2026-3", vec![vec![introduced("0"), until("1.33.0")]]),
            record("CVE-2026-3", vec![vec![introduced("0"), until("1.34.1")]]),
        ];
        let names = |from, to| fixed(&known, from, to).into_iter().collect::<Vec<_>>();
        assert_eq!(names("1.32.0", "1.33.5"), ["CVE-2026-1"]);
        assert_eq!(names("1.33.5", "1.34.1"), ["CVE-2026-2", "CVE-2026-3"]);
    }

    #[test]
    fn single_versions_are_affected_beside_ranges() {
        let affected = Affected { ranges: vec![], versions: vec!["v1.2.3".to_owned()] };
        let record = Advisory { name: "CVE-2026-1".to_owned(), affected: vec![affected] };
        assert_eq!((record.affects("1.2.3"), record.affects("1.2.4")), (Some(true), Some(false)));
    }
}

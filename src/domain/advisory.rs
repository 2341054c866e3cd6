//! Known vulnerabilities, and which versions they affect.
//!
//! Versions are judged as the OSV schema says (<https://ossf.github.io/osv-schema/#evaluation>), by the ranges that came with
//! the answer of the database: a step of a ladder needs no question of its own.

use std::collections::{BTreeMap, BTreeSet};

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
        let version = Scheme::Semver.parse(version)?;
        let mut is_told = false;
        let mut affects = false;
        for Affected { ranges, versions } in &self.affected {
            is_told |= !ranges.is_empty() || !versions.is_empty();
            affects |= versions.iter().any(|one| Scheme::Semver.parse(one).as_ref() == Some(&version));
            for range in ranges {
                affects |= holds(range, &version)?;
            }
        }
        is_told.then_some(affects)
    }
}

/// Whether a version lies in a range; `None` where the range cannot be read.
fn holds(range: &[Event], version: &Version) -> Option<bool> {
    let mut events = range
        .iter()
        .map(|event| {
            let (text, turns_on) = match event {
                Event::Introduced(text) => (text, true),
                Event::Fixed(text) | Event::LastAffected(text) => (text, false),
                Event::Other => return None,
            };
            Some((Scheme::Semver.parse(text)?, turns_on, matches!(event, Event::LastAffected(_))))
        })
        .collect::<Option<Vec<_>>>()?;
    events.sort_by(|one, other| one.0.cmp(&other.0));
    let reached = |(at, _, is_last): &&(Version, bool, bool)| version > at || (version == at && !is_last);
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

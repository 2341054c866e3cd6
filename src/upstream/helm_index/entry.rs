//! One version of a chart in an index, before and after judging the chart as a whole.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::domain::upstream::{Answer, Candidate};

/// Versions read for one chart; the busiest public charts have about two thousand.
pub(crate) const MOST_ENTRIES: usize = 20_000;

/// What is read of an entry. Both readers of an index fill this, and must fill it alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Entry {
    pub(crate) version: Option<String>,
    pub(crate) app_version: Option<String>,
    pub(crate) kube_version: Option<String>,
    pub(crate) digest: Option<String>,
    /// `None` also where the text is no time.
    #[serde(deserialize_with = "lenient_time")]
    pub(crate) created: Option<Timestamp>,
    pub(crate) deprecated: Option<bool>,
    pub(crate) urls: Option<Vec<Option<String>>>,
    pub(crate) home: Option<String>,
    pub(crate) sources: Option<Vec<Option<String>>>,
    /// Set by the fast reader in place of `urls`.
    #[serde(skip)]
    pub(crate) names_archive: bool,
}

impl Entry {
    /// Whether the entry says where the archive is.
    pub(crate) fn has_archive(&self) -> bool {
        self.names_archive || self.urls.iter().flatten().flatten().any(|url| !url.trim().is_empty())
    }

    /// Where people read about the chart: its first source on GitHub, else its home page.
    pub(crate) fn link(&self) -> Option<String> {
        let web = |url: &&String| url.starts_with("https://") || url.starts_with("http://");
        self.sources
            .iter()
            .flatten()
            .flatten()
            .find(|source| source.starts_with("https://github.com/"))
            .or(self.home.as_ref().filter(web))
            .cloned()
    }

    /// As both readers agree on it: what differs by how it was read is made equal.
    pub(crate) fn comparable(mut self) -> Self {
        self.names_archive = self.has_archive();
        self.urls = None;
        self.home = None;
        self.sources = None;
        self
    }
}

/// All entries of one chart, as they stand in the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chart {
    pub(crate) entries: Vec<Entry>,
    /// Link of the newest entry.
    pub(crate) link: Option<String>,
    /// More than [`MOST_ENTRIES`] were there.
    pub(crate) cut: bool,
    /// Set by [`Chart::tidy`].
    pub(crate) tidy: Option<Tidy>,
}

/// What [`Chart::tidy`] found out on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tidy {
    /// How many entries had no version.
    pub(crate) nameless: usize,
    /// Whether any entry said where its archive is.
    pub(crate) knows_archives: bool,
}

impl Chart {
    /// Position of the entry that was made last; the first one where no dates help, as Helm writes
    /// the newest version first.
    pub(crate) fn newest(&self) -> Option<usize> {
        let dates = self.entries.iter().map(|entry| entry.created);
        let mut newest: Option<(usize, Option<Timestamp>)> = None;
        for (position, date) in dates.enumerate() {
            if newest.is_none_or(|(_, best)| date > best) {
                newest = Some((position, date));
            }
        }
        newest.map(|(position, _)| position)
    }

    /// Leaves the entries that count, in the form in which they are told. Of entries with the same version the
    /// first counts, as in Helm. Done once before a chart is stored, as every later run would have to do it.
    pub(crate) fn tidy(&mut self) -> Tidy {
        if let Some(tidy) = self.tidy {
            return tidy;
        }
        let knows_archives = self.entries.iter().any(Entry::has_archive);
        let mut nameless = 0_usize;
        let mut seen = HashSet::with_capacity(self.entries.len());
        let keep: Vec<bool> = self
            .entries
            .iter()
            .map(|entry| match entry.version.as_deref().map(str::trim) {
                None | Some("") => {
                    nameless += 1;
                    false
                }
                Some(version) => seen.insert(version),
            })
            .collect();
        drop(seen);
        let mut keep = keep.into_iter();
        self.entries.retain_mut(|entry| {
            entry.version = entry.version.take().map(trimmed);
            entry.digest = entry.digest.take().map(with_algorithm);
            keep.next().unwrap_or(true)
        });
        let tidy = Tidy { nameless, knows_archives };
        self.tidy = Some(tidy);
        tidy
    }

    /// What the chart's entries say.
    pub(crate) fn into_answer(mut self) -> Answer {
        let Tidy { nameless, knows_archives } = self.tidy();
        let mut notes = Vec::new();
        if self.cut {
            notes.push(format!("only the first {MOST_ENTRIES} versions of the index were read"));
        }
        if nameless > 0 {
            notes.push(format!("{nameless} entries of the index have no version"));
        }
        let candidate = |entry: Entry| {
            // An index without a single URL was derived from something else: then nobody can say.
            let unusable = (knows_archives && !entry.has_archive())
                .then(|| "the index names no archive for it".to_owned());
            Candidate {
                version: entry.version.unwrap_or_default(),
                released_at: entry.created,
                deprecated: entry.deprecated.unwrap_or(false),
                kube_version: entry.kube_version,
                app_version: entry.app_version,
                digest: entry.digest,
                unusable,
                ..Candidate::default()
            }
        };
        let candidates = self.entries.into_iter().map(candidate).collect();
        Answer { candidates, changelog_url: self.link, notes, ..Answer::default() }
    }
}

fn trimmed(text: String) -> String {
    if text.trim().len() == text.len() { text } else { text.trim().to_owned() }
}

/// Helm writes the bare SHA-256 of the archive; everybody else names the algorithm.
fn with_algorithm(digest: String) -> String {
    // Every byte is looked at, also behind a wrong one: so the compiler takes many at a time. Indexes have a
    // digest for each of their versions.
    let is_hex = digest.bytes().fold(true, |is, byte| is & byte.is_ascii_hexdigit());
    if digest.len() != 64 || !is_hex {
        return digest;
    }
    ["sha256:", &digest].concat()
}

pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.trim().parse().ok()
}

fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: &str, created: Option<&str>, archive: bool) -> Entry {
        Entry {
            version: (!version.is_empty()).then(|| version.to_owned()),
            created: created.and_then(time),
            names_archive: archive,
            ..Entry::default()
        }
    }

    fn answer(entries: Vec<Entry>) -> Answer {
        Chart { entries, ..Chart::default() }.into_answer()
    }

    #[test]
    fn entry_without_archive_is_unusable_only_where_others_have_one() {
        let mixed = answer(vec![entry("2.0.0", None, false), entry("1.0.0", None, true)]);
        assert_eq!(mixed.candidates[0].unusable.as_deref(), Some("the index names no archive for it"));
        assert_eq!(mixed.candidates[1].unusable, None);
        let derived = answer(vec![entry("2.0.0", None, false), entry("1.0.0", None, false)]);
        assert!(derived.candidates.iter().all(|candidate| candidate.unusable.is_none()));
    }

    #[test]
    fn first_of_equal_versions_counts_and_nameless_entries_are_noted() {
        let answer = answer(vec![
            entry("1.0.0", Some("2026-01-01T00:00:00Z"), true),
            entry("", None, true),
            entry("1.0.0", Some("2020-01-01T00:00:00Z"), true),
        ]);
        assert_eq!(answer.candidates.len(), 1);
        assert_eq!(answer.candidates[0].released_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(answer.notes, ["1 entries of the index have no version"]);
    }

    #[test]
    fn date_that_cannot_be_read_is_unknown() {
        for (created, known) in [
            ("2026-01-01T00:00:00.123456789Z", true),
            ("2026-01-01T00:00:00+02:00", true),
            ("yesterday", false),
            ("", false),
        ] {
            let answer = answer(vec![entry("1.0.0", Some(created), true)]);
            assert_eq!(answer.candidates[0].released_at.is_some(), known, "{created}");
        }
    }

    #[test]
    fn newest_is_by_date_and_the_first_where_dates_are_equal_or_missing() {
        let newest = |dates: &[Option<&str>]| {
            Chart { entries: dates.iter().map(|date| entry("1", *date, true)).collect(), ..Chart::default() }
                .newest()
        };
        assert_eq!(newest(&[]), None);
        assert_eq!(newest(&[None, None]), Some(0));
        assert_eq!(newest(&[None, Some("2020-01-01T00:00:00Z"), Some("2021-01-01T00:00:00Z")]), Some(2));
        assert_eq!(newest(&[Some("2020-01-01T00:00:00Z"), Some("2020-01-01T00:00:00Z")]), Some(0));
    }

    #[test]
    fn bare_sha256_gets_its_algorithm() {
        let bare = "a".repeat(64);
        assert_eq!(with_algorithm(bare.clone()), format!("sha256:{bare}"));
        assert_eq!(with_algorithm(format!("sha256:{bare}")), format!("sha256:{bare}"));
        assert_eq!(with_algorithm("odd".to_owned()), "odd");
    }
}

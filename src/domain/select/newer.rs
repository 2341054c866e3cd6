//! Every version that a component may move to, not only the newest: what a ladder is made of.

use super::form::strip_prefix;
use super::known::{Known, Reading, common_reading, is_newer, listed_as, read_candidates};
use super::{Request, digest_moved, judge};
use crate::domain::component::{Given, UpdateType};
use crate::domain::select::{Outcome, Selection};
use crate::domain::upstream::{Answer, Candidate};
use crate::domain::version::range::{Range, strict_version};
use crate::domain::version::semantic::SemanticVersion;
use crate::domain::version::{Scheme, Version};

/// The installed version and everything newer that may be installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newer<'a> {
    /// The published version that is installed, where it is listed; for a range what it resolves to.
    pub current: Option<&'a Candidate>,
    /// Newer and admitted by the wish, oldest first. Where nothing is newer but the digest of the installed
    /// version moved, that version itself. For a range what is newer and outside of it.
    pub candidates: Vec<&'a Candidate>,
}

/// Finds every published version that is newer than the installed one and that the wish admits.
///
/// The last one is the target that [`select`](super::select()) chooses. Channels, and what Git gives no version
/// for, have none.
pub fn newer<'a>(request: &Request<'_>, answer: &'a Answer) -> Newer<'a> {
    if request.wish.channel.is_some() && answer.channel_latest.is_none() {
        return Newer::default();
    }
    match request.given {
        Given::Exact(text) => newer_than(request, text, answer),
        Given::Range(text) => outside_of(request, text, answer),
        Given::Channel(_) | Given::Nothing(_) => Newer::default(),
    }
}

/// What kind of step it is between two published or pinned texts, as [`select`](super::select()) names it.
///
/// Texts that compare in no other way are read without regard to leading zeros, as some upstreams write them.
pub fn step_type(scheme: Scheme, tag_prefix: Option<&str>, from: &str, to: &str) -> UpdateType {
    let [from, to] = [from, to].map(|text| strip_prefix(text, tag_prefix).unwrap_or(text));
    match scheme.update_type(from, to) {
        UpdateType::Unknown if scheme == Scheme::Semver => {
            let [from, to] = [from, to].map(|text| SemanticVersion::coerced(text).map(Version::Semantic));
            from.zip(to).map_or(UpdateType::Unknown, |(from, to)| from.update_type(&to))
        }
        kind => kind,
    }
}

fn newer_than<'a>(request: &Request<'_>, text: &str, answer: &'a Answer) -> Newer<'a> {
    let prefix = request.wish.tag_prefix.as_deref();
    let bare = strip_prefix(text, prefix).unwrap_or(text);
    let scheme = request.scheme;
    let read = scheme.parse(bare).and_then(|current| {
        let reading = common_reading(scheme, bare, &current, answer, prefix);
        Some((reading, reading.read(bare)?))
    });
    let Some((reading, current)) = read else { return moved_digest(request, text, answer) };
    let known = read_candidates(reading, prefix, answer, |version| version.comparable(&current));
    let listed = listed_as(&known, &current, bare);
    let mut scratch = scratch(listed.map(|known| known.candidate));
    let prereleases = request.wish.prereleases;
    let channel = answer.channel_latest.as_deref();
    let judge = judge(request.wish, reading, Some(&current), prereleases, channel, &mut scratch);
    let newer = known.iter().filter(|known| is_newer(known, &current, listed));
    let admitted =
        newer.filter(|known| judge.objection(&known.version, known.text, known.candidate).is_none());
    let found = Newer { current: scratch.current, candidates: in_order(admitted) };
    match (found.candidates.as_slice(), found.current) {
        ([], Some(listed)) if digest_moved(request.digest, listed) => {
            Newer { candidates: vec![listed], ..found }
        }
        _ => found,
    }
}

/// A text that is no version can still have another digest.
fn moved_digest<'a>(request: &Request<'_>, text: &str, answer: &'a Answer) -> Newer<'a> {
    let current = answer.candidates.iter().find(|candidate| candidate.version == text);
    let moved = current.filter(|listed| digest_moved(request.digest, listed));
    Newer { current, candidates: moved.into_iter().collect() }
}

fn outside_of<'a>(request: &Request<'_>, text: &str, answer: &'a Answer) -> Newer<'a> {
    let Ok(range) = Range::parse(text) else { return Newer::default() };
    let prefix = request.wish.tag_prefix.as_deref();
    let reading = Reading::Plain(Scheme::Semver);
    let known = read_candidates(reading, prefix, answer, |version| matches!(version, Version::Semantic(_)));
    let in_range =
        |known: &Known<'_>| strict_version(known.text).is_some_and(|version| range.matches(&version));
    // source-controller looks for the text itself before it reads it as a range.
    let resolved = known
        .iter()
        .find(|known| known.text == text)
        .or_else(|| known.iter().filter(|known| in_range(known)).max_by(|one, other| one.order(other)));
    let current = resolved.map(|known| &known.version);
    let mut scratch = scratch(resolved.map(|known| known.candidate));
    let prereleases = request.wish.prereleases || range.names_prerelease();
    let judge = judge(request.wish, reading, current, prereleases, None, &mut scratch);
    let outside = known.iter().filter(|known| {
        current.is_none_or(|current| known.version > *current) && !range.matches(&known.version.for_range())
    });
    let admitted =
        outside.filter(|known| judge.objection(&known.version, known.text, known.candidate).is_none());
    Newer { current: scratch.current, candidates: in_order(admitted) }
}

/// Takes the warnings that are told where the target is chosen.
fn scratch(current: Option<&Candidate>) -> Selection<'_> {
    Selection { current, ..Selection::without_target(Outcome::UpToDate) }
}

fn in_order<'k, 'a: 'k>(known: impl Iterator<Item = &'k Known<'a>>) -> Vec<&'a Candidate> {
    let mut known: Vec<_> = known.collect();
    known.sort_by(|one, other| one.order(other));
    known.into_iter().map(|known| known.candidate).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::select::{Ignored, Wish, select};

    fn candidate(version: &str) -> Candidate {
        Candidate { version: version.to_owned(), ..Candidate::default() }
    }

    fn published(versions: &[&str]) -> Answer {
        Answer { candidates: versions.iter().map(|text| candidate(text)).collect(), ..Answer::default() }
    }

    fn found(given: &Given, scheme: Scheme, wish: &Wish, answer: &Answer) -> Vec<String> {
        let newer = newer(&Request { given, scheme, digest: None, wish }, answer);
        newer.candidates.into_iter().map(|candidate| candidate.version.clone()).collect()
    }

    fn exact(text: &str) -> Given {
        Given::Exact(text.to_owned())
    }

    #[test]
    fn every_newer_version_that_is_admitted_is_found_oldest_first() {
        let stable = Wish::default();
        let early = Wish { prereleases: true, ..Wish::default() };
        let ignored = Wish { ignored: vec![Ignored::parse("1.11.0").unwrap()], ..Wish::default() };
        let allowed = Wish { allowed: Range::parse("<1.12").ok(), ..Wish::default() };
        let prefixed = Wish { tag_prefix: Some("app-".to_owned()), ..Wish::default() };
        let longhorn = ["1.12.1", "1.10.2", "1.11.0", "1.9.0", "1.10.0", "1.12.2-rc1", "2024.1.1-x"];
        for (scheme, current, versions, wish, expected) in [
            (Scheme::Semver, "1.10.0", &longhorn[..6], &stable, &["1.10.2", "1.11.0", "1.12.1"][..]),
            (Scheme::Semver, "1.10.0", &longhorn[..6], &ignored, &["1.10.2", "1.12.1"]),
            (Scheme::Semver, "1.10.0", &longhorn[..6], &allowed, &["1.10.2", "1.11.0"]),
            (Scheme::Semver, "1.12.1", &longhorn[..6], &early, &["1.12.2-rc1"]),
            (Scheme::Semver, "1.12.1", &longhorn[..6], &stable, &[]),
            (
                Scheme::K3s,
                "v1.33.4+k3s1",
                &["v1.33.4+k3s10", "v1.34.1+k3s1", "v1.33.4+k3s2", "v1.33.3+k3s1"],
                &stable,
                &["v1.33.4+k3s2", "v1.33.4+k3s10", "v1.34.1+k3s1"],
            ),
            (
                Scheme::ImageTag,
                "1.2-alpine",
                &["1.3", "1.4-alpine", "1.3-alpine"],
                &stable,
                &["1.3-alpine", "1.4-alpine"],
            ),
            (
                Scheme::Semver,
                "app-1.0.0",
                &["app-1.2.0", "other-1.3.0", "app-1.1.0"],
                &prefixed,
                &["app-1.1.0", "app-1.2.0"],
            ),
        ] {
            assert_eq!(found(&exact(current), scheme, wish, &published(versions)), expected, "{current}");
        }
    }

    #[test]
    fn range_has_what_is_newer_and_outside_and_a_channel_has_nothing() {
        let answer = published(&["1.1.0", "1.2.0", "2.0.0", "2.1.0", "0.9.0"]);
        let wish = Wish::default();
        assert_eq!(
            found(&Given::Range("1.x".to_owned()), Scheme::Semver, &wish, &answer),
            ["2.0.0", "2.1.0"]
        );
        assert!(found(&Given::Channel("stable".to_owned()), Scheme::Semver, &wish, &answer).is_empty());
        assert!(found(&Given::Range("latest".to_owned()), Scheme::Semver, &wish, &answer).is_empty());
        assert!(found(&exact("main"), Scheme::Semver, &wish, &answer).is_empty());
    }

    #[test]
    fn moved_digest_is_the_installed_version_again_where_nothing_is_newer() {
        let listed = Candidate { digest: Some("sha256:bb".to_owned()), ..candidate("1.2") };
        let mut answer = Answer { candidates: vec![listed], ..Answer::default() };
        let wish = Wish::default();
        let ask = |given: &Given, digest: &str, answer: &Answer| {
            let request = Request { given, scheme: Scheme::ImageTag, digest: Some(digest), wish: &wish };
            newer(&request, answer)
                .candidates
                .into_iter()
                .map(|newer| newer.version.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ask(&exact("1.2"), "sha256:aa", &answer), ["1.2"]);
        assert_eq!(ask(&exact("1.2"), "sha256:bb", &answer), Vec::<String>::new());
        answer.candidates.push(candidate("1.3"));
        assert_eq!(ask(&exact("1.2"), "sha256:aa", &answer), ["1.3"]);
        answer.candidates[0].version = "stable".to_owned();
        assert_eq!(ask(&exact("stable"), "sha256:aa", &answer), ["stable"]);
    }

    #[test]
    fn steps_are_named_whatever_stands_before_and_whatever_zeros_there_are() {
        for (scheme, prefix, from, to, expected) in [
            (Scheme::Semver, None, "1.2.3", "1.3.0", UpdateType::Minor),
            (Scheme::Semver, Some("app-"), "app-1.2.3", "app-2.0.0", UpdateType::Major),
            (Scheme::Semver, Some("app-"), "1.2.3", "app-1.2.4", UpdateType::Patch),
            (Scheme::Semver, None, "2024.10.1", "2024.11.01", UpdateType::Minor),
            (Scheme::K3s, None, "v1.33.4+k3s1", "v1.33.4+k3s2", UpdateType::Build),
            (Scheme::Semver, None, "1.2.3", "main", UpdateType::Unknown),
        ] {
            assert_eq!(step_type(scheme, prefix, from, to), expected, "{from} to {to}");
        }
    }

    proptest! {
        #[test]
        fn last_one_is_the_target_that_is_selected(
            current in (0u64..3, 0u64..3, 0u64..3),
            versions in prop::collection::vec((0u64..3, 0u64..3, 0u64..3, prop::bool::ANY), 1..12),
            prereleases in prop::bool::ANY,
        ) {
            let (major, minor, patch) = current;
            let given = exact(&format!("{major}.{minor}.{patch}"));
            let texts: Vec<String> = versions
                .iter()
                .map(|(major, minor, patch, early)| {
                    format!("{major}.{minor}.{patch}{}", if *early { "-rc.1" } else { "" })
                })
                .collect();
            let answer = published(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let wish = Wish { prereleases, ..Wish::default() };
            let request = Request { given: &given, scheme: Scheme::Semver, digest: None, wish: &wish };
            let all = newer(&request, &answer);
            let target = select(&request, &answer).target;
            prop_assert_eq!(all.candidates.last().map(|last| &last.version), target.map(|target| &target.version));
        }
    }
}

//! The published versions as they compare.

use std::cmp::Ordering;

use super::form::strip_prefix;
use super::wish::is_prerelease;
use crate::domain::component::UpdateType;
use crate::domain::upstream::{Answer, Candidate};
use crate::domain::version::semantic::SemanticVersion;
use crate::domain::version::{Scheme, Version};

/// A published version that was understood.
pub(super) struct Known<'a> {
    pub(super) version: Version,
    /// Without the tag prefix.
    pub(super) text: &'a str,
    pub(super) candidate: &'a Candidate,
}

impl Known<'_> {
    /// By version; Flux breaks ties by date (`chart_repository.go` of source-controller).
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.version
            .cmp(&other.version)
            .then_with(|| self.candidate.released_at.cmp(&other.candidate.released_at))
            .then_with(|| other.text.cmp(self.text))
    }
}

/// How the versions of one list are read, so that they compare.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading {
    Plain(Scheme),
    /// SemVer without regard to leading zeros.
    Coerced,
}

impl Reading {
    pub(super) fn read(self, text: &str) -> Option<Version> {
        match self {
            Self::Plain(scheme) => scheme.parse(text),
            Self::Coerced => SemanticVersion::coerced(text).map(Version::Semantic),
        }
    }
}

/// Some upstreams write leading zeros, at times (`1.0.000` before `1.0.1`) or in some months (`2024.10.1` before
/// `2024.11.01`): then all versions are read without regard to them. Four parts compare with four parts only.
pub(super) fn common_reading(
    scheme: Scheme,
    bare: &str,
    current: &Version,
    answer: &Answer,
    prefix: Option<&str>,
) -> Reading {
    let has_zeros = || {
        let texts = answer.candidates.iter().filter_map(|candidate| strip_prefix(&candidate.version, prefix));
        texts
            .filter_map(|text| scheme.parse(text))
            .any(|version| matches!(version, Version::Loose(_)) && version.is_calendar())
    };
    match (scheme, current) {
        (Scheme::Semver, Version::Loose(_)) if SemanticVersion::coerced(bare).is_some() => Reading::Coerced,
        (Scheme::Semver, Version::Loose(_)) => Reading::Plain(Scheme::Loose),
        (Scheme::Semver, _) if current.is_calendar() && has_zeros() => Reading::Coerced,
        _ => Reading::Plain(scheme),
    }
}

pub(super) fn read_candidates<'a>(
    reading: Reading,
    prefix: Option<&str>,
    answer: &'a Answer,
    wanted: impl Fn(&Version) -> bool,
) -> Vec<Known<'a>> {
    let read = |candidate: &'a Candidate| {
        let text = strip_prefix(&candidate.version, prefix)?;
        let version = reading.read(text).filter(&wanted)?;
        Some(Known { version, text, candidate })
    };
    // Nearly all are understood, and a list that grows is copied again and again.
    let mut known = Vec::with_capacity(answer.candidates.len());
    known.extend(answer.candidates.iter().filter_map(read));
    known
}

/// The highest release, or the highest pre-release where there is no release.
pub(super) fn newest_release<'k, 'a>(known: &'k [Known<'a>]) -> Option<&'k Known<'a>> {
    let highest = |one: &&Known<'_>, other: &&Known<'_>| one.order(other);
    let releases = known.iter().filter(|known| !is_prerelease(&known.version, known.candidate));
    releases.max_by(highest).or_else(|| known.iter().max_by(highest))
}

/// The published form of a version: the same text before the same version.
pub(super) fn listed_as<'k, 'a>(
    known: &'k [Known<'a>],
    version: &Version,
    text: &str,
) -> Option<&'k Known<'a>> {
    // Texts are compared first: that is quick, and mostly enough.
    known.iter().find(|known| known.text == text && known.version == *version).or_else(|| {
        known.iter().find(|known| known.version == *version && is_same_build(&known.version, version))
    })
}

/// Equal in precedence and in build metadata.
pub(super) fn is_same_build(one: &Version, other: &Version) -> bool {
    one.update_type(other) == UpdateType::None
}

/// Higher, or the same version with other build metadata and a later date, which is what Flux prefers.
pub(super) fn is_newer(known: &Known<'_>, current: &Version, listed: Option<&Known<'_>>) -> bool {
    known.version > *current
        || listed.is_some_and(|listed| {
            listed.candidate.released_at.is_some_and(|date| known.candidate.released_at > Some(date))
                && current.update_type(&known.version) == UpdateType::Build
        })
}

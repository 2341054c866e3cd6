//! Versions: grammar, order and ranges, per scheme.

pub mod k3s;
pub mod numbered;
pub mod range;
pub mod semantic;

use super::component::UpdateType;
use k3s::K3sVersion;
use numbered::Numbered;
use semantic::SemanticVersion;

/// Longest version that is looked at, in bytes.
const MAX_VERSION_BYTES: usize = 256;

/// Grammar and order of a component's versions.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// SemVer, leading `v` and missing parts tolerated.
    Semver,
    /// `vX.Y.Z[-rcN]+k3sN`, `-k3sN` in tags.
    K3s,
    /// Image tags: only tags of the same suffix and shape compare.
    ImageTag,
    /// Any dotted numbers (four parts, dates).
    Loose,
}

impl Scheme {
    /// Reads a version of this scheme. `None` when it is not one; never a guess.
    ///
    /// What is not SemVer under [`Scheme::Semver`] (four parts, leading zeros, dates) is read as
    /// [`Version::Loose`], which compares only with its like.
    pub fn parse(self, text: &str) -> Option<Version> {
        if text.len() > MAX_VERSION_BYTES {
            return None;
        }
        match self {
            Self::Semver => SemanticVersion::parse(text)
                .map(Version::Semantic)
                .or_else(|| Numbered::loose(text).map(Version::Loose)),
            Self::K3s => K3sVersion::parse(text).map(Version::K3s),
            Self::ImageTag => Numbered::tag(text).map(Version::Tag),
            Self::Loose => Numbered::loose(text).map(Version::Loose),
        }
    }

    /// What kind of update it is from one version to another; [`UpdateType::Unknown`] when one cannot be read.
    pub fn update_type(self, from: &str, to: &str) -> UpdateType {
        match (self.parse(from), self.parse(to)) {
            (Some(from), Some(to)) => from.update_type(&to),
            _ => UpdateType::Unknown,
        }
    }
}

/// A version as it compares. The text it was read from is kept elsewhere.
///
/// The order is total and agrees with `Eq`; it *means* something between [comparable](Version::comparable)
/// versions only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// SemVer.
    Semantic(SemanticVersion),
    /// k3s.
    K3s(K3sVersion),
    /// An image tag.
    Tag(Numbered),
    /// Dotted numbers.
    Loose(Numbered),
}

impl Version {
    /// Whether one can be newer than the other at all: same scheme, and for tags the same form.
    pub fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Semantic(_), Self::Semantic(_)) | (Self::K3s(_), Self::K3s(_)) => true,
            (Self::Tag(one), Self::Tag(other)) | (Self::Loose(one), Self::Loose(other)) => {
                one.comparable(other)
            }
            _ => false,
        }
    }

    /// Whether the version says of itself that it precedes a release.
    pub fn is_prerelease(&self) -> bool {
        match self {
            Self::Semantic(version) => version.is_prerelease(),
            Self::K3s(version) => version.is_prerelease(),
            Self::Tag(version) | Self::Loose(version) => version.is_prerelease(),
        }
    }

    /// Whether both lead to, or are builds of, the same release: `1.3.0-rc1`, `1.3.0-rc2`, `1.3.0`.
    pub fn same_release(&self, other: &Self) -> bool {
        self.comparable(other)
            && match (self, other) {
                (Self::Semantic(one), Self::Semantic(other)) => {
                    (one.0.major, one.0.minor, one.0.patch) == (other.0.major, other.0.minor, other.0.patch)
                }
                (Self::K3s(one), Self::K3s(other)) => {
                    (one.major, one.minor, one.patch) == (other.major, other.minor, other.patch)
                }
                (Self::Tag(one), Self::Tag(other)) | (Self::Loose(one), Self::Loose(other)) => {
                    one.numbers() == other.numbers()
                }
                _ => false,
            }
    }

    /// What kind of update it is to go to `to`: [`UpdateType::None`] when that is not newer,
    /// [`UpdateType::Unknown`] when it does not compare or the scheme has no name for the step (dates).
    pub fn update_type(&self, to: &Self) -> UpdateType {
        if !self.comparable(to) {
            return UpdateType::Unknown;
        }
        if to <= self {
            return match (self, to) {
                (Self::Semantic(from), Self::Semantic(to)) if from == to && from.0.build != to.0.build => {
                    UpdateType::Build
                }
                _ => UpdateType::None,
            };
        }
        if to.is_prerelease() {
            return UpdateType::Prerelease;
        }
        match (self.numbers(), to.numbers()) {
            _ if self.is_date() => UpdateType::Unknown,
            (from, to) if from[0] != to[0] => UpdateType::Major,
            (from, to) if from[1] != to[1] => UpdateType::Minor,
            (from, to) if from != to => UpdateType::Patch,
            _ if self.is_prerelease() => UpdateType::Patch,
            _ => UpdateType::Build,
        }
    }

    /// The version as a range sees it: the first three numbers and the pre-release.
    pub fn for_range(&self) -> semver::Version {
        let [major, minor, patch, ..] = self.numbers();
        let mut version = semver::Version::new(major, minor, patch);
        version.pre = match self {
            Self::Semantic(semantic) => semantic.0.pre.clone(),
            Self::K3s(k3s) => prerelease(k3s.prerelease()),
            Self::Tag(numbered) | Self::Loose(numbered) => prerelease(numbered.prerelease()),
        };
        version
    }

    fn numbers(&self) -> [u64; 8] {
        match self {
            Self::Semantic(SemanticVersion(version)) => {
                [version.major, version.minor, version.patch, 0, 0, 0, 0, 0]
            }
            Self::K3s(version) => [version.major, version.minor, version.patch, 0, 0, 0, 0, 0],
            Self::Tag(version) | Self::Loose(version) => *version.numbers(),
        }
    }

    /// Whether the first number is a year, or the whole a date or a time stamp.
    pub fn is_calendar(&self) -> bool {
        (1900..2100).contains(&self.numbers()[0]) || self.is_date()
    }

    fn is_date(&self) -> bool {
        matches!(self, Self::Tag(version) | Self::Loose(version) if version.is_date())
    }
}

fn prerelease(text: Option<String>) -> semver::Prerelease {
    text.and_then(|text| semver::Prerelease::new(&text).ok()).unwrap_or(semver::Prerelease::EMPTY)
}

#[cfg(test)]
mod tests;

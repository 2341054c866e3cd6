//! What may be chosen: pre-releases, minimum, allowed and ignored versions, architectures.

use std::collections::BTreeSet;
use std::fmt;

use super::known::Reading;
use crate::domain::upstream::Candidate;
use crate::domain::version::range::{Range, RangeError};
use crate::domain::version::{Scheme, Version};

/// What a component may move to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Pre-releases are wanted.
    pub prereleases: bool,
    /// Nothing below this version is offered.
    pub minimum_version: Option<String>,
    /// Nothing outside this range is offered.
    pub allowed: Option<Range>,
    /// None of these is offered.
    pub ignored: Vec<Ignored>,
    /// Nothing newer than what this channel points at is offered (k3s `stable`, `v1.33`); the upstream says what
    /// that is.
    pub channel: Option<String>,
    /// The upstream's tags carry this text before the version; tags without it belong to something else.
    pub tag_prefix: Option<String>,
    /// Architectures that a k3s release must have a binary for, by Kubernetes' names (`amd64`, `arm64`, `arm`).
    pub architectures: BTreeSet<String>,
}

/// Versions that are not to be offered: one version, or a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    text: String,
    range: Option<Range>,
}

impl Ignored {
    /// Reads a range (`>=2`, `1.12.x`) or one version of any scheme (`v1.33.4+k3s1`, `1.2-alpine`).
    ///
    /// # Errors
    ///
    /// When the text has the signs of a range and is none.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        let text = text.trim();
        let range = match Range::parse(text) {
            Ok(range) => Some(range),
            Err(error) if text.is_empty() || text.contains(['<', '>', '=', '!', '~', '^', '|', ',']) => {
                return Err(error);
            }
            Err(_) => None,
        };
        Ok(Self { text: text.to_owned(), range })
    }

    /// Whether the version, published as `text` in a list of this scheme, is meant.
    pub fn names(&self, scheme: Scheme, text: &str, version: &Version) -> bool {
        self.covers(Reading::Plain(scheme), text, version)
    }

    /// Whether the version, published as `text`, is meant.
    pub(super) fn covers(&self, reading: Reading, text: &str, version: &Version) -> bool {
        text == self.text
            || match &self.range {
                Some(range) if range.is_exact() => reading.read(&self.text).as_ref() == Some(version),
                Some(range) => range.matches_with_prereleases(&version.for_range()),
                None => false,
            }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Why a newer version is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It is a pre-release and those are not wanted.
    Prerelease,
    /// It is below the minimum version.
    BelowMinimum,
    /// It is outside the allowed range.
    NotAllowed(String),
    /// The configuration ignores it.
    Ignored(String),
    /// It cannot be installed as published.
    Unusable(String),
    /// The release has no file for an architecture.
    NoAsset(String),
    /// It is newer than what the channel points at.
    BeyondChannel(String),
}

impl Objection {
    /// Whether the version itself is at fault, and not the wish.
    pub fn is_defect(&self) -> bool {
        matches!(self, Self::Unusable(_) | Self::NoAsset(_))
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prerelease => formatter.write_str("is a pre-release"),
            Self::BelowMinimum => formatter.write_str("is below the minimum version"),
            Self::NotAllowed(range) => write!(formatter, "is outside the allowed versions `{range}`"),
            Self::Ignored(text) => write!(formatter, "is ignored by `{text}`"),
            Self::Unusable(reason) => write!(formatter, "cannot be installed: {reason}"),
            Self::BeyondChannel(channel) => write!(formatter, "is newer than the channel `{channel}`"),
            Self::NoAsset(architecture) => {
                write!(formatter, "cannot be installed: the release has no file for {architecture}")
            }
        }
    }
}

/// The wish in the words of one scheme.
pub(super) struct Judge<'a> {
    pub(super) reading: Reading,
    pub(super) wish: &'a Wish,
    /// The pre-release that is installed, if one is: later ones of the same release count.
    pub(super) installed_prerelease: Option<&'a Version>,
    pub(super) minimum: Option<Version>,
    pub(super) prereleases: bool,
    /// What the wished channel points at; `None` without a channel.
    pub(super) channel_latest: Option<Version>,
}

impl Judge<'_> {
    /// Why the candidate may not be the target, if anything.
    pub(super) fn objection(
        &self,
        version: &Version,
        text: &str,
        candidate: &Candidate,
    ) -> Option<Objection> {
        if is_prerelease(version, candidate) && !self.wants_prerelease(version) {
            return Some(Objection::Prerelease);
        }
        if let (Some(channel), Some(latest)) = (&self.wish.channel, &self.channel_latest)
            && latest.comparable(version)
            && version > latest
        {
            return Some(Objection::BeyondChannel(channel.clone()));
        }
        if self.minimum.as_ref().is_some_and(|minimum| is_below(version, minimum)) {
            return Some(Objection::BelowMinimum);
        }
        if let Some(allowed) = &self.wish.allowed
            && !allowed.matches_with_prereleases(&version.for_range())
        {
            return Some(Objection::NotAllowed(allowed.to_string()));
        }
        if let Some(ignored) =
            self.wish.ignored.iter().find(|ignored| ignored.covers(self.reading, text, version))
        {
            return Some(Objection::Ignored(ignored.text.clone()));
        }
        if let Some(reason) = &candidate.unusable {
            return Some(Objection::Unusable(reason.clone()));
        }
        self.missing_architecture(candidate).map(|name| Objection::NoAsset(name.to_owned()))
    }

    fn wants_prerelease(&self, version: &Version) -> bool {
        self.prereleases || self.installed_prerelease.is_some_and(|installed| installed.same_release(version))
    }

    /// k3s names the binary for amd64 `k3s`, the others `k3s-<architecture>`.
    fn missing_architecture(&self, candidate: &Candidate) -> Option<&str> {
        let assets = candidate.assets.as_ref().filter(|assets| !assets.is_empty())?;
        if !matches!(self.reading, Reading::Plain(Scheme::K3s)) {
            return None;
        }
        let has = |architecture: &str| {
            let suffix = match architecture {
                "amd64" | "x86_64" => "",
                "arm64" | "aarch64" => "-arm64",
                "arm" | "armhf" | "armv7" | "armv7l" => "-armhf",
                other => return assets.iter().any(|asset| asset.strip_prefix("k3s-") == Some(other)),
            };
            assets.iter().any(|asset| asset.strip_prefix("k3s") == Some(suffix))
        };
        self.wish.architectures.iter().map(String::as_str).find(|architecture| !has(architecture))
    }
}

/// A minimum may be of another form than the versions it is for (`1.2` for `1.2-alpine`): then numbers decide.
fn is_below(version: &Version, minimum: &Version) -> bool {
    if minimum.comparable(version) { version < minimum } else { version.for_range() < minimum.for_range() }
}

/// Whether the version, or the upstream about it, says that it precedes a release.
pub(super) fn is_prerelease(version: &Version, candidate: &Candidate) -> bool {
    version.is_prerelease() || candidate.prerelease == Some(true)
}

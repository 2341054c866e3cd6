//! What one key of `detection` sets: channels, repositories and the rest.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::values::humane;
use crate::domain::upstream::UpstreamRef;

/// Which line of releases a component follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// k3s: the release server's `stable`. Others: no pre-releases.
    Stable,
    /// k3s: the release server's `latest`.
    Latest,
    /// k3s: the release server's `testing`.
    Testing,
    /// k3s: a minor, to which the component is held.
    Minor {
        /// Major version.
        major: u32,
        /// Minor version.
        minor: u32,
    },
    /// Others than k3s: pre-releases, too.
    Prerelease,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stable => f.write_str("stable"),
            Self::Latest => f.write_str("latest"),
            Self::Testing => f.write_str("testing"),
            Self::Minor { major, minor } => write!(f, "v{major}.{minor}"),
            Self::Prerelease => f.write_str("prerelease"),
        }
    }
}

impl Channel {
    /// Reads the channel of a component of `kind`; `None` where the key does not say the kind.
    pub(super) fn read(text: &str, kind: Option<&str>) -> Result<Self, String> {
        let known = match kind {
            Some("k3s") => "`stable`, `latest`, `testing` or a minor such as `v1.33`",
            Some(_) => "`stable` or `prerelease`",
            None => "`stable`, `prerelease`, or for k3s also `latest`, `testing` or a minor such as `v1.33`",
        };
        let k3s = kind.is_none_or(|kind| kind == "k3s");
        match text {
            "stable" => return Ok(Self::Stable),
            "latest" if k3s => return Ok(Self::Latest),
            "testing" if k3s => return Ok(Self::Testing),
            "prerelease" if kind != Some("k3s") => return Ok(Self::Prerelease),
            _ => {}
        }
        let minor =
            text.strip_prefix('v').and_then(|numbers| numbers.split_once('.')).and_then(|(major, minor)| {
                let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
                (digits(major) && digits(minor)).then_some(())?;
                Some(Self::Minor { major: major.parse().ok()?, minor: minor.parse().ok()? })
            });
        minor
            .filter(|_| k3s)
            .ok_or_else(|| format!("unknown channel `{}`; known are {known}", super::tree::shorten(text)))
    }

    /// Whether pre-releases are candidates on this channel.
    pub(super) fn prereleases(self) -> bool {
        matches!(self, Self::Testing | Self::Prerelease)
    }
}

/// Where versions of a component are published, instead of where the manifests point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repository {
    /// `owner/name` on GitHub.
    Github {
        /// Owner of the repository.
        owner: String,
        /// Name of the repository.
        name: String,
    },
    /// A Helm or Git repository, without credentials and without a slash at the end.
    Https(Url),
    /// An OCI repository.
    Oci {
        /// Registry host, with port where one is given.
        registry: String,
        /// Path of the repository.
        repository: String,
    },
}

impl Repository {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is neither `owner/name` on GitHub nor an `https://` or `oci://` URL",
                super::tree::shorten(&redact(text))
            )
        };
        let word = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && !part.starts_with(['.', '-'])
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if let Some(rest) = text.strip_prefix("oci://") {
            let (registry, repository) = rest.trim_end_matches('/').split_once('/').ok_or_else(wrong)?;
            let host = super::hosts::Host::read(registry).map_err(|_| wrong())?;
            if !repository.split('/').all(word) {
                return Err(wrong());
            }
            return Ok(Self::Oci { registry: host.to_string(), repository: repository.to_owned() });
        }
        if text.contains("://") {
            let mut url = super::upstreams::web_url(text)?;
            if url.query().is_some() {
                return Err(wrong());
            }
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty();
            }
            return Ok(Self::Https(url));
        }
        match text.split_once('/') {
            Some((owner, name)) if word(owner) && word(name) => {
                Ok(Self::Github { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(wrong()),
        }
    }

    /// The list of versions to ask for, where the manifests would have it be `given`.
    ///
    /// The kind of list stays what it was as far as the repository can have such a list: a chart stays a chart of the
    /// same name, tags stay tags. `k3s-io/k3s` is where k3s is published anyhow and changes nothing for k3s.
    pub fn upstream_instead_of(&self, given: Option<&UpstreamRef>) -> UpstreamRef {
        let of_github = |host: &str, owner: &str, name: &str| {
            let (host, owner, name) = (host.to_owned(), owner.to_owned(), name.to_owned());
            match given {
                Some(UpstreamRef::GithubTags { .. } | UpstreamRef::GitTags { .. }) => {
                    UpstreamRef::GithubTags { host, owner, name }
                }
                _ => UpstreamRef::GithubReleases { host, owner, name },
            }
        };
        match self {
            Self::Github { owner, name } => match given {
                Some(k3s @ UpstreamRef::K3s { .. }) if owner == "k3s-io" && name == "k3s" => k3s.clone(),
                _ => of_github("github.com", owner, name),
            },
            Self::Https(url) => match given {
                Some(UpstreamRef::HelmChart { chart, .. }) => UpstreamRef::HelmChart {
                    repository: url.as_str().trim_end_matches('/').to_owned(),
                    chart: chart.clone(),
                },
                _ => match github_path(url) {
                    Some((owner, name)) => Self::Github { owner: owner.to_owned(), name: name.to_owned() }
                        .upstream_instead_of(given),
                    None => UpstreamRef::GitTags { url: url.to_string() },
                },
            },
            Self::Oci { registry, repository } => UpstreamRef::Oci {
                registry: registry.clone(),
                repository: repository.clone(),
                chart: matches!(
                    given,
                    Some(UpstreamRef::HelmChart { .. } | UpstreamRef::Oci { chart: true, .. })
                ),
            },
        }
    }
}

/// Owner and name, where the URL is a repository on github.com.
fn github_path(url: &Url) -> Option<(&str, &str)> {
    if url.host_str() != Some("github.com") {
        return None;
    }
    let (owner, name) = url.path().trim_matches('/').split_once('/')?;
    let name = name.strip_suffix(".git").unwrap_or(name);
    (!name.contains('/') && !name.is_empty()).then_some((owner, name))
}

/// Text of a URL without what stands before `@` in its authority.
fn redact(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://…{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}

/// What one key of `detection` sets; `None` leaves it to a more general key.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Overrides {
    pub(super) channel: Option<Channel>,
    pub(super) repository: Option<Repository>,
    pub(super) check_interval: Option<Duration>,
    pub(super) check_prereleases: Option<bool>,
    pub(super) minimum_version: Option<String>,
    pub(super) allowed: Option<String>,
    pub(super) ignored: Option<Vec<String>>,
    pub(super) ignore: Option<Option<String>>,
    pub(super) notifications: Option<bool>,
    pub(super) enabled: Option<bool>,
}

impl Overrides {
    pub(super) fn text(&self) -> Vec<String> {
        let flag = |value: Option<bool>, yes: &str, no: &str| {
            value.map(|value| if value { yes } else { no }.to_owned())
        };
        let list = [
            self.enabled.and_then(|enabled| (!enabled).then(|| "left out of the report".to_owned())),
            self.ignore.as_ref().map(|ignore| match ignore {
                Some(reason) => format!("ignored ({reason})"),
                None => "not ignored".to_owned(),
            }),
            self.channel.map(|channel| format!("channel {channel}")),
            self.repository.as_ref().map(|repository| format!("from {repository}")),
            self.check_interval.map(|interval| match interval.as_secs() {
                0 => "asked in every run".to_owned(),
                _ => format!("asked once in {} at most", humane(interval)),
            }),
            flag(self.check_prereleases, "with pre-releases", "without pre-releases"),
            self.minimum_version.as_ref().map(|version| format!("at least {version}")),
            self.allowed.as_ref().map(|range| format!("only {range}")),
            self.ignored.as_ref().map(|ignored| format!("never {}", ignored.join(" or "))),
            flag(self.notifications, "announced", "not announced"),
        ];
        list.into_iter().flatten().collect()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Github { owner, name } => write!(f, "github.com/{owner}/{name}"),
            Self::Https(url) => url.fmt(f),
            Self::Oci { registry, repository } => write!(f, "oci://{registry}/{repository}"),
        }
    }
}

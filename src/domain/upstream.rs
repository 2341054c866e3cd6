//! Who publishes versions of a component, and what they answered.

use std::collections::HashMap;

use jiff::Timestamp;

/// The channels that k3s itself serves.
pub const K3S_CHANNELS: &str = "https://update.k3s.io/v1-release/channels";

/// Names one list of versions. Equal values are asked once a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpstreamRef {
    /// The k3s release channels and the releases of `k3s-io/k3s`; `channel` where a Plan follows one.
    K3s {
        /// Channel URL as it stands in the Plan.
        channel: Option<String>,
    },
    /// Releases of a repository on GitHub or GitHub Enterprise (`host` is `github.com` or the GHES host).
    GithubReleases {
        /// `github.com` or the GHES host.
        host: String,
        /// Owner of the repository.
        owner: String,
        /// Name of the repository.
        name: String,
    },
    /// Tags of a repository on GitHub or GitHub Enterprise.
    GithubTags {
        /// `github.com` or the GHES host.
        host: String,
        /// Owner of the repository.
        owner: String,
        /// Name of the repository.
        name: String,
    },
    /// Tags of any Git repository, by its clone URL.
    GitTags {
        /// Clone URL without credentials.
        url: String,
    },
    /// One chart of a Helm repository with an `index.yaml`.
    HelmChart {
        /// URL of the repository, without trailing slash and without `index.yaml`.
        repository: String,
        /// Name of the chart in the index.
        chart: String,
    },
    /// Tags of an OCI repository. `chart` is true where the tags are chart versions (`_` stands for `+`).
    Oci {
        /// Registry host, with port where one is given; Docker Hub is `docker.io`.
        registry: String,
        /// Repository path; official images of Docker Hub start with `library/`.
        repository: String,
        /// Tags are chart versions.
        chart: bool,
    },
}

impl UpstreamRef {
    /// The word for `upstream.type` in reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::K3s { .. } => "k3s",
            Self::GithubReleases { .. } => "github_releases",
            Self::GithubTags { .. } => "github_tags",
            Self::GitTags { .. } => "git_tags",
            Self::HelmChart { .. } => "helm",
            Self::Oci { .. } => "oci",
        }
    }

    /// The canonical URL, as people know it (configuration may map it elsewhere).
    pub fn url(&self) -> String {
        match self {
            Self::K3s { channel: None } => K3S_CHANNELS.to_owned(),
            Self::K3s { channel: Some(url) } if url.contains("://") => url.clone(),
            Self::K3s { channel: Some(name) } => format!("{K3S_CHANNELS}/{name}"),
            Self::GithubReleases { host, owner, name } | Self::GithubTags { host, owner, name } => {
                format!("https://{host}/{owner}/{name}")
            }
            Self::GitTags { url } => url.clone(),
            Self::HelmChart { repository, .. } => repository.clone(),
            Self::Oci { registry, repository, .. } => format!("oci://{registry}/{repository}"),
        }
    }

    /// The name of the thing at that URL.
    pub fn name(&self) -> String {
        match self {
            Self::K3s { .. } => "k3s".to_owned(),
            Self::GithubReleases { owner, name, .. } | Self::GithubTags { owner, name, .. } => {
                format!("{owner}/{name}")
            }
            Self::GitTags { url } => {
                url.rsplit('/').next().unwrap_or(url).trim_end_matches(".git").to_owned()
            }
            Self::HelmChart { chart, .. } => chart.clone(),
            Self::Oci { repository, .. } => repository.clone(),
        }
    }
}

/// One published version. What the answer did not say is `None`, never a guess.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The version as published (`v1.33.4+k3s1`, `6.5.1`, `1.2-alpine`); OCI chart tags have `+` back for `_`.
    pub version: String,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// Page with its release notes.
    pub notes_url: Option<String>,
    /// Release notes, bounded; untrusted text.
    pub notes: Option<String>,
    /// The upstream's own mark. `None` where it has no such mark.
    pub prerelease: Option<bool>,
    /// Marked as deprecated (chart).
    pub deprecated: bool,
    /// Chart `kubeVersion`.
    pub kube_version: Option<String>,
    /// Chart `appVersion`.
    pub app_version: Option<String>,
    /// Digest published beside the version.
    pub digest: Option<String>,
    /// Why it cannot be installed as published (no archive URL, withdrawn, no asset for an architecture).
    pub unusable: Option<String>,
    /// Names of the files of the release, where the upstream lists them; empty list = it lists none.
    pub assets: Option<Vec<String>>,
}

/// What an upstream knows, newest knowledge, in no particular order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The published versions.
    pub candidates: Vec<Candidate>,
    /// What the asked channel points at now (k3s `stable`), where a channel was asked.
    pub channel_latest: Option<String>,
    /// Where the changelog of the whole thing is, when single versions have none.
    pub changelog_url: Option<String>,
    /// Why the answer is from the cache and could not be checked (`--offline`, or what the upstream failed with);
    /// `None` for one that is as new as was wanted.
    pub stale: Option<String>,
    /// Things that went wrong without making the answer useless (a page cut off at a bound …).
    pub notes: Vec<String>,
}

impl Answer {
    /// Takes notes, their address and the date from releases of the same version, where it has none itself.
    ///
    /// Versions are the same that differ by a leading `v` only. A chart is released by its `appVersion`: the
    /// numbers of the chart itself may be those of another release (`flux2` 2.8.5 holds Flux 2.1.2).
    pub fn adopt_notes(&mut self, releases: &Self) {
        let plain = |version: &str| version.trim_start_matches('v').to_owned();
        let by_version: HashMap<String, &Candidate> =
            releases.candidates.iter().map(|release| (plain(&release.version), release)).collect();
        for candidate in &mut self.candidates {
            let released_as = candidate.app_version.as_ref().unwrap_or(&candidate.version);
            let Some(release) = by_version.get(&plain(released_as)) else { continue };
            candidate.notes = candidate.notes.take().or_else(|| release.notes.clone());
            candidate.notes_url = candidate.notes_url.take().or_else(|| release.notes_url.clone());
            candidate.released_at = candidate.released_at.or(release.released_at);
        }
    }
}

/// How an upstream failed; decides retry, category and exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureClass {
    /// Time-out, 5xx, broken connection: may go well next time.
    Transient,
    /// The answer will stay the same (not YAML, too large, bad URL).
    Permanent,
    /// No such repository, chart or tag list.
    NotFound,
    /// Credentials missing or refused.
    Denied,
    /// Too many requests; `reset` when the upstream said so.
    RateLimited {
        /// When asking again makes sense.
        reset: Option<Timestamp>,
    },
    /// Not in the cache and `--offline`.
    Offline,
}

/// An upstream that could not be asked. The message says what was attempted, on what, and the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamFailure {
    /// What kind of failure.
    pub class: FailureClass,
    /// Redacted text for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_taken_from_the_release_of_the_same_version_only() {
        let candidate = |version: &str, notes: Option<&str>| Candidate {
            version: version.to_owned(),
            notes: notes.map(str::to_owned),
            ..Candidate::default()
        };
        let mut answer = Answer {
            candidates: vec![
                candidate("1.2.0", None),
                candidate("1.3.0", Some("own")),
                candidate("1.4.0", None),
            ],
            ..Answer::default()
        };
        answer.candidates[2].app_version = Some("9.9.9".to_owned());
        let releases = Answer {
            candidates: vec![
                candidate("v1.4.0", Some("four")),
                candidate("v1.2.0", Some("two")),
                candidate("v1.3.0", Some("three")),
            ],
            ..Answer::default()
        };
        answer.adopt_notes(&releases);
        let notes: Vec<_> = answer.candidates.iter().map(|candidate| candidate.notes.as_deref()).collect();
        assert_eq!(notes, [Some("two"), Some("own"), None]);
    }
}

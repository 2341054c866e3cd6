//! The `upstreams` block, validated: mirrors, hosts, limits and names of credentials (never credentials).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::hosts::Host;

/// How upstreams are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstreams {
    /// Mirrors, as written; the longest `from` wins.
    pub map: Vec<Mapping>,
    /// Settings per host.
    pub hosts: BTreeMap<Host, HostSettings>,
    /// Longest time for one request.
    pub timeout: Duration,
    /// How often a request is repeated.
    pub retries: u32,
    /// Requests at the same time to one host.
    pub concurrency: usize,
    /// Which `config.json` of Docker is read.
    pub docker_config: DockerConfig,
    /// Whether credential helpers named there may be run.
    pub credential_helpers: bool,
    /// The GitHub API.
    pub github: Github,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            map: vec![],
            hosts: BTreeMap::new(),
            timeout: Duration::from_secs(120),
            retries: 3,
            concurrency: 6,
            docker_config: DockerConfig::Default,
            credential_helpers: false,
            github: Github::default(),
        }
    }
}

/// One mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Beginning of the URLs that are mapped.
    pub from: Url,
    /// Where they are read instead.
    pub to: MapTarget,
}

/// Where mapped URLs are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapTarget {
    /// Another server.
    Url(Url),
    /// A folder or file of this machine.
    Path {
        /// Absolute, or relative to the working directory as the configuration's own path is.
        path: PathBuf,
        /// Where the configuration came from the repository: what is opened must lie in this folder, links followed.
        within: Option<PathBuf>,
    },
}

impl MapTarget {
    /// Whether a file that the target leads to may be opened: it lies in `within`, links followed.
    pub fn permits(&self, file: &Path) -> bool {
        match self {
            Self::Path { within: Some(folder), .. } => match (folder.canonicalize(), file.canonicalize()) {
                (Ok(folder), Ok(file)) => file.starts_with(folder),
                _ => false,
            },
            Self::Path { within: None, .. } | Self::Url(_) => true,
        }
    }
}

/// Settings of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Which environment variables hold its credentials.
    pub credentials: Option<CredentialVariables>,
    /// Ask by `http://`.
    pub plain_http: bool,
    /// Whether credentials may go by `http://`; only a configuration named by the user can say so.
    pub credentials_by_http: bool,
    /// Requests at the same time; `None` = [`Upstreams::concurrency`].
    pub concurrency: Option<usize>,
}

/// Names of environment variables, never their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialVariables {
    /// A bearer token.
    Token(String),
    /// User name and password for basic authentication.
    Basic {
        /// Variable with the user name.
        username: String,
        /// Variable with the password.
        password: String,
    },
}

/// Which `config.json` of Docker is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerConfig {
    /// None.
    Off,
    /// The user's own (`$DOCKER_CONFIG`, else `~/.docker/config.json`).
    Default,
    /// Another file.
    File(PathBuf),
}

/// The GitHub API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Github {
    /// Base URL of the API that answers for `github.com`; `None` = `https://api.github.com`.
    pub api_url: Option<Url>,
    /// Variable with the token; `None` = the usual ones.
    pub token_variable: Option<String>,
    /// The token of the environment may be sent to `api_url`.
    pub trusts_api_url: bool,
}

impl Default for Github {
    fn default() -> Self {
        Self { api_url: None, token_variable: None, trusts_api_url: true }
    }
}

/// Reads an absolute `https://` or `http://` URL without credentials and fragment.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let wrong = "not an absolute `https://` or `http://` URL";
    if text.len() > 2_000 {
        return Err(wrong.to_owned());
    }
    let url = Url::parse(text).map_err(|_| wrong.to_owned())?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong.to_owned());
    }
    // The text is not repeated: it may hold a password.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "credentials in a URL; name environment variables under `upstreams.hosts` instead".to_owned()
        );
    }
    if url.fragment().is_some() {
        return Err(wrong.to_owned());
    }
    Ok(url)
}

/// Whether a text may name an environment variable.
pub(super) fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

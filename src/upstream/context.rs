//! What the upstream modules share in one run: the client, the options, and what was learnt on the way.
//!
//! Built once by the wiring; knows nothing of where the options came from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::http::Http;
use super::oci::Tokens;

/// Everything a question to an upstream needs. Clones share what was learnt.
#[derive(Clone)]
pub struct Context {
    /// The one HTTP client: cache, bounds, mapping, credentials.
    pub http: Http,
    /// GitHub and GitHub Enterprise.
    pub github: GithubOptions,
    /// Git remotes other than GitHub.
    pub git: GitOptions,
    /// OCI registries.
    pub oci: OciOptions,
    /// The OSV vulnerability database.
    pub osv: OsvOptions,
    /// Challenges and tokens of registries, kept for the run.
    pub tokens: Arc<Tokens>,
}

impl Context {
    /// The same context, for questions whose kept answers may be as old as this without being checked.
    #[must_use]
    pub fn with_fresh_for(&self, fresh_for: Duration) -> Self {
        Self { http: self.http.with_fresh_for(fresh_for), ..self.clone() }
    }

    /// A context for one run.
    pub fn new(http: Http, github: GithubOptions, git: GitOptions, oci: OciOptions, osv: OsvOptions) -> Self {
        Self { http, github, git, oci, osv, tokens: Arc::default() }
    }
}

/// One GitHub: github.com or an Enterprise host.
#[derive(Debug, Clone, Default)]
pub struct GithubHost {
    /// Base of the REST API; `None` means the usual place for the host (see [`GithubOptions::api_url`]).
    pub api_url: Option<Url>,
    /// Token sent to that API only.
    pub token: Option<SecretString>,
}

/// Options for GitHub.
#[derive(Debug, Clone)]
pub struct GithubOptions {
    /// By host, `github.com` or the Enterprise host in lower case.
    pub hosts: BTreeMap<String, GithubHost>,
    /// Folder for the pages that conditional requests compare with; `None` keeps nothing.
    pub cache_folder: Option<PathBuf>,
    /// Longest time for one page, retries not counted.
    pub timeout: Duration,
    /// Pages of 100 entries read of one list at most.
    pub pages: usize,
}

impl Default for GithubOptions {
    /// No tokens, no cache; 10 pages, 30 s a page.
    fn default() -> Self {
        Self { hosts: BTreeMap::new(), cache_folder: None, timeout: Duration::from_secs(30), pages: 10 }
    }
}

impl GithubOptions {
    /// Base of the REST API of `host`, without trailing slash: what is configured, else
    /// `https://api.github.com` for github.com and `https://HOST/api/v3` for Enterprise
    /// (GitHub Enterprise Server docs, "Using the REST API").
    ///
    /// `None` when `host` is no host name.
    pub fn api_url(&self, host: &str) -> Option<Url> {
        let host = known_host(host);
        if let Some(url) = self.hosts.get(&host).and_then(|configured| configured.api_url.clone()) {
            return Some(url);
        }
        let text = if host == "github.com" {
            "https://api.github.com".to_owned()
        } else {
            format!("https://{host}/api/v3")
        };
        Url::parse(&text).ok().filter(|url| {
            url.path() == "/"
                || url.path() == "/api/v3" && url.host_str().is_some() && url.username().is_empty()
        })
    }

    /// The token for `host`, where one is configured.
    pub fn token(&self, host: &str) -> Option<&SecretString> {
        self.hosts.get(&known_host(host)).and_then(|configured| configured.token.as_ref())
    }
}

/// The name under which a host is configured.
fn known_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if host == "www.github.com" { "github.com".to_owned() } else { host }
}

/// Options for Git remotes.
#[derive(Debug, Clone)]
pub struct GitOptions {
    /// Longest time for one listing, connection included.
    pub timeout: Duration,
    /// Longest time to connect.
    pub connect_timeout: Duration,
}

impl Default for GitOptions {
    /// 60 s a listing, 10 s to connect.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), connect_timeout: Duration::from_secs(10) }
    }
}

/// Options for OCI registries.
#[derive(Debug, Clone, Default)]
pub struct OciOptions {
    /// Registries (`host[:port]`) that are asked over plain HTTP.
    pub plain_http: BTreeSet<String>,
    /// Those of them that may be sent docker's credentials all the same.
    pub credentials_by_http: BTreeSet<String>,
    /// Docker's `config.json`, where credentials for registries may be read from it.
    pub docker_config: Option<PathBuf>,
    /// Whether programs that `config.json` names (`credsStore`, `credHelpers`) may be run.
    pub credential_helpers: bool,
}

/// Options for OSV.
#[derive(Debug, Clone)]
pub struct OsvOptions {
    /// Base of the API.
    pub api_url: Url,
    /// Longest time for one query.
    pub timeout: Duration,
}

impl Default for OsvOptions {
    /// The public service, 20 s a query.
    fn default() -> Self {
        Self {
            api_url: Url::parse("https://api.osv.dev").expect("invariant: the literal is a URL"),
            timeout: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enterprise_hosts_have_their_api_below_the_host() {
        let options = GithubOptions::default();
        let table = [
            ("github.com", Some("https://api.github.com/")),
            ("GitHub.com", Some("https://api.github.com/")),
            ("www.github.com", Some("https://api.github.com/")),
            ("ghe.example.com", Some("https://ghe.example.com/api/v3")),
            ("ghe.example.com:8443", Some("https://ghe.example.com:8443/api/v3")),
            ("user@evil.example", None),
            ("evil.example/x?", None),
            ("", None),
        ];
        for (host, expected) in table {
            assert_eq!(options.api_url(host).map(|url| url.to_string()).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn a_token_belongs_to_its_host_alone() {
        let mut options = GithubOptions::default();
        options.hosts.insert(
            "github.com".to_owned(),
            GithubHost { api_url: None, token: Some("secret".to_owned().into()) },
        );
        assert!(options.token("GitHub.com").is_some());
        assert!(options.token("ghe.example.com").is_none());
    }
}

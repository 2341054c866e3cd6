//! What may be configured about asking over HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::credentials::Credentials;
use super::mapping::Mapping;
use super::retry::Policy;

/// What may be configured.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Where answers are kept between runs; nothing is kept without.
    pub cache_dir: Option<PathBuf>,
    /// Answer from the cache only, whatever its age.
    pub offline: bool,
    /// For one whole request with its body, each attempt anew.
    pub timeout: Duration,
    /// For the connection, TLS included.
    pub connect_timeout: Duration,
    /// Concurrent requests to one host and port.
    pub per_host: usize,
    /// The same for single hosts, by `host` or `host:port`.
    pub of_host: BTreeMap<String, usize>,
    /// How often to ask again, and how long to wait before.
    pub retry: Policy,
    /// What is answered from elsewhere.
    pub mapping: Mapping,
    /// Who we are to which host.
    pub credentials: Credentials,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("gitops-updater/", env!("CARGO_PKG_VERSION")).to_owned(),
            cache_dir: None,
            offline: false,
            timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            per_host: 6,
            of_host: BTreeMap::new(),
            retry: Policy::default(),
            mapping: Mapping::default(),
            credentials: Credentials::new(),
        }
    }
}

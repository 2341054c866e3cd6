//! Builds the real adapters from configuration and environment: the one place where they meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::{Access, Credential};
use super::error::CommandError;
use crate::app::ports::Progress;
use crate::config::{Config, HostSettings, MapTarget, Upstreams};
use crate::upstream::client::UpstreamClient;
use crate::upstream::context::{Context, GitOptions, GithubHost, GithubOptions, OciOptions, OsvOptions};
use crate::upstream::credentials::{self, Credentials};
use crate::upstream::http::{self, Http, HttpOptions};
use crate::upstream::mapping::{Mapping, Target};

/// Why the adapters could not be built.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot use the credentials configured for `{host}`")]
    Credentials { host: String, source: credentials::Error },
    #[error("mirror `{}` leads out of the repository", path.display())]
    Mirror { path: std::path::PathBuf },
    #[error("cannot set up HTTP")]
    Http(#[source] http::Error),
}

/// The upstreams as the configuration has them.
pub(super) fn upstreams(
    config: &Config,
    offline: bool,
    access: &Access,
    progress: Arc<dyn Progress>,
) -> Result<UpstreamClient, CommandError> {
    let options = &config.upstreams;
    let http = Http::new(HttpOptions {
        cache_dir: access.cache_dir.clone(),
        offline,
        timeout: options.timeout,
        per_host: options.concurrency,
        of_host: options
            .hosts
            .iter()
            .filter_map(|(host, settings)| Some((host.to_string(), settings.concurrency?)))
            .collect(),
        retries: options.retries,
        mapping: mapping(config)?,
        credentials: all_credentials(options, access)?,
        ..HttpOptions::default()
    })
    .map_err(|error| {
        CommandError::failed(Error::Http(error))
            .hint("name another folder with `--cache-dir`, or use `--no-cache`")
    })?;
    let hosts_that = |wanted: fn(&HostSettings) -> bool| {
        let hosts = options.hosts.iter().filter(|(_, settings)| wanted(settings));
        hosts.map(|(host, _)| host.to_string()).collect()
    };
    let oci = OciOptions {
        plain_http: hosts_that(|settings| settings.plain_http),
        credentials_by_http: hosts_that(|settings| settings.credentials_by_http),
        docker_config: access.docker_config.clone().filter(|path| path.exists()),
        credential_helpers: options.credential_helpers,
    };
    let github = GithubOptions {
        hosts: github_hosts(config, access),
        cache_folder: access.cache_dir.as_ref().map(|folder| folder.join("github")),
        retries: options.retries as usize,
        ..GithubOptions::default()
    };
    let context = Context::new(http, github, GitOptions::default(), oci, OsvOptions::default());
    Ok(UpstreamClient::new(Arc::new(context)).with_progress(progress))
}

fn mapping(config: &Config) -> Result<Mapping, CommandError> {
    let mut entries = Vec::new();
    for mapped in &config.upstreams.map {
        let target = match &mapped.to {
            MapTarget::Url(url) => Target::Url(url.clone()),
            MapTarget::Path { path, .. } => {
                if path.exists() && !mapped.to.permits(path) {
                    return Err(CommandError::configuration(Error::Mirror { path: path.clone() })
                        .hint("a configuration in the repository may only name folders of the repository"));
                }
                Target::Path(path.clone())
            }
        };
        entries.push((mapped.from.clone(), target));
    }
    Ok(Mapping::new(entries))
}

fn all_credentials(options: &Upstreams, access: &Access) -> Result<Credentials, CommandError> {
    let mut credentials = Credentials::new();
    for (host, credential) in &access.credentials {
        let by_http = options.hosts.get(host).is_some_and(|settings| settings.credentials_by_http);
        let schemes: &[&str] = if by_http { &["https", "http"] } else { &["https"] };
        let credential = match credential {
            Credential::Token(token) => credentials::Credential::Bearer(token.clone()),
            Credential::Basic { username, password } => {
                credentials::Credential::Basic { username: username.clone(), password: password.clone() }
            }
        };
        for scheme in schemes {
            credentials.add(&format!("{scheme}://{host}"), credential.clone()).map_err(|source| {
                CommandError::configuration(Error::Credentials { host: host.to_string(), source })
            })?;
        }
    }
    Ok(credentials)
}

/// github.com and the Enterprise hosts that have a token.
fn github_hosts(config: &Config, access: &Access) -> BTreeMap<String, GithubHost> {
    let mut hosts: BTreeMap<String, GithubHost> = access
        .credentials
        .iter()
        .filter_map(|(host, credential)| match credential {
            Credential::Token(token) => {
                Some((host.to_string(), GithubHost { api_url: None, token: Some(token.clone()) }))
            }
            Credential::Basic { .. } => None,
        })
        .collect();
    let public = hosts.entry("github.com".to_owned()).or_default();
    public.api_url = config.upstreams.github.api_url.clone().or(public.api_url.take());
    if let Some((base, token)) = &access.github {
        let is_public = config.upstreams.github.api_url.as_ref() == Some(base)
            || base.host_str() == Some("api.github.com");
        if is_public {
            public.token = Some(token.clone());
        } else if let Some(host) = base.host_str() {
            // The API of an Enterprise host that GitHub Actions runs on.
            let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            hosts.insert(host, GithubHost { api_url: Some(base.clone()), token: Some(token.clone()) });
        }
    }
    hosts
}

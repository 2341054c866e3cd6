//! Builds the real adapters from configuration and environment: the one place where they meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::{Access, Credential};
use super::error::CommandError;
use crate::app::ports::Progress;
use crate::clock::AnyClock;
use crate::config::{Config, Host, HostSettings, MapTarget, Upstreams};
use crate::upstream::client::UpstreamClient;
use crate::upstream::context::{Context, GitOptions, GithubHost, GithubOptions, OciOptions, OsvOptions};
use crate::upstream::credentials::{self, Credentials};
use crate::upstream::http::{self, Http, HttpOptions};
use crate::upstream::mapping::{Mapping, Target};
use crate::upstream::retry::Policy;

/// Where the API of github.com is.
const PUBLIC_API: &str = "api.github.com";
/// What people and docker call Docker Hub.
const DOCKER_HUB: [&str; 2] = ["docker.io", "index.docker.io"];
/// The host that is asked for what Docker Hub holds.
const DOCKER_HUB_REGISTRY: &str = "registry-1.docker.io";

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
    clock: AnyClock,
    progress: Arc<dyn Progress>,
) -> Result<UpstreamClient, CommandError> {
    let options = &config.upstreams;
    let http_options = HttpOptions {
        cache_dir: access.cache_dir.clone(),
        offline,
        timeout: options.timeout,
        per_host: options.concurrency,
        of_host: options
            .hosts
            .iter()
            .filter_map(|(host, settings)| Some((asked_name(host), settings.concurrency?)))
            .collect(),
        retry: Policy::times(options.retries),
        mapping: mapping(config)?,
        credentials: all_credentials(options, access)?,
        ..HttpOptions::default()
    };
    let http = http_client(http_options, access.cache_is_named, clock)?;
    let hosts_that = |have: fn(&HostSettings) -> bool| {
        let hosts = options.hosts.iter().filter(|(_, settings)| have(settings));
        hosts.flat_map(|(host, _)| names_of(host)).collect()
    };
    let oci = OciOptions {
        plain_http: hosts_that(|settings| settings.plain_http),
        credentials_by_http: hosts_that(|settings| settings.credentials_by_http),
        docker_config: access.docker_config.clone().filter(|path| path.exists()),
        credential_helpers: options.credential_helpers,
    };
    let github = GithubOptions {
        hosts: github_hosts(config, access),
        cache_folder: http.cache_dir().map(|folder| folder.join("github")),
        timeout: options.timeout,
        ..GithubOptions::default()
    };
    let git = GitOptions { timeout: options.timeout, ..GitOptions::default() };
    let osv = OsvOptions { timeout: options.timeout, ..OsvOptions::default() };
    let context = Context::new(http, github, git, oci, osv);
    Ok(UpstreamClient::new(Arc::new(context)).with_progress(progress))
}

/// The name under which a configured host is asked.
fn asked_name(host: &Host) -> String {
    let name = host.to_string();
    if DOCKER_HUB.contains(&name.as_str()) { DOCKER_HUB_REGISTRY.to_owned() } else { name }
}

/// The names by which manifests may call a configured host.
fn names_of(host: &Host) -> Vec<String> {
    let name = host.to_string();
    if name == DOCKER_HUB_REGISTRY || DOCKER_HUB.contains(&name.as_str()) {
        DOCKER_HUB.iter().copied().chain([DOCKER_HUB_REGISTRY]).map(str::to_owned).collect()
    } else {
        vec![name]
    }
}

/// The client. A cache in the usual place is a convenience: where there can be none, answers are not kept.
fn http_client(options: HttpOptions, needs_cache: bool, clock: AnyClock) -> Result<Http, CommandError> {
    let error = match Http::with_clock(options.clone(), Arc::new(clock)) {
        Ok(http) => return Ok(http),
        Err(error) => error,
    };
    if let (http::Error::Cache { path, source }, false) = (&error, needs_cache) {
        tracing::warn!(folder = %path.display(), reason = %source, "answers are not kept: there can be no cache folder");
        return Http::with_clock(HttpOptions { cache_dir: None, ..options }, Arc::new(clock))
            .map_err(|error| CommandError::failed(Error::Http(error)));
    }
    Err(CommandError::failed(Error::Http(error))
        .hint("name another folder with `--cache-dir`, or use `--no-cache`"))
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
    // What is named for the registry itself is added before what is named for another name of it, and so wins.
    let (other_names, own_names): (Vec<_>, Vec<_>) =
        access.credentials.iter().partition(|(host, _)| DOCKER_HUB.contains(&host.to_string().as_str()));
    for (host, credential) in own_names.into_iter().chain(other_names) {
        let by_http = options.hosts.get(host).is_some_and(|settings| settings.credentials_by_http);
        let schemes: &[&str] = if by_http { &["https", "http"] } else { &["https"] };
        let credential = match credential {
            Credential::Token(token) => credentials::Credential::Bearer(token.clone()),
            Credential::Basic { username, password } => {
                credentials::Credential::Basic { username: username.clone(), password: password.clone() }
            }
        };
        let key = asked_name(host);
        for scheme in schemes {
            credentials.add(&format!("{scheme}://{key}"), credential.clone()).map_err(|source| {
                CommandError::configuration(Error::Credentials { host: host.to_string(), source })
            })?;
        }
    }
    Ok(credentials)
}

/// github.com and the Enterprise hosts that have a token.
fn github_hosts(config: &Config, access: &Access) -> BTreeMap<String, GithubHost> {
    let settings = &config.upstreams.github;
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
    // Who names the host of the API means the same as who names the site.
    let of_api = hosts.remove(PUBLIC_API).and_then(|host| host.token);
    let public = hosts.entry("github.com".to_owned()).or_default();
    public.api_url = settings.api_url.clone();
    public.token = public.token.take().or(of_api);
    if !settings.trusts_api_url {
        // A token for github.com is not for whatever API a repository names in its place.
        public.token = None;
    }
    if let Some((base, token)) = &access.github {
        let is_public = settings.api_url.as_ref() == Some(base) || base.host_str() == Some(PUBLIC_API);
        if is_public {
            // The token of the environment is for all; one that the configuration names for the host is more particular.
            if settings.token_variable.is_some() || public.token.is_none() {
                public.token = Some(token.clone());
            }
        } else if let Some(host) = base.host_str() {
            // The API of an Enterprise host that GitHub Actions runs on.
            let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            hosts.insert(host, GithubHost { api_url: Some(base.clone()), token: Some(token.clone()) });
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::{ExposeSecret as _, SecretString};
    use url::Url;

    use super::*;
    use crate::config::{Origin, Trust, parse};

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    /// The token that goes to the API of github.com, and that API, for a configuration and tokens by host.
    fn public(
        trust: Trust,
        text: &str,
        tokens: &[(&str, &str)],
        github: Option<(&str, &str)>,
    ) -> Option<String> {
        let origin = Origin { name: "c.yaml", trust, folder: Some(Path::new("/r")), repository: None };
        let config = parse(text, &origin).unwrap();
        let access = Access {
            credentials: tokens
                .iter()
                .map(|(host, token)| (Host::read(host).unwrap(), Credential::Token(secret(token))))
                .collect(),
            github: github.map(|(url, token)| (Url::parse(url).unwrap(), secret(token))),
            ..Access::default()
        };
        let hosts = github_hosts(&config, &access);
        hosts["github.com"].token.as_ref().map(|token| token.expose_secret().to_owned())
    }

    /// A token for github.com went to the API that a repository's configuration named in its place.
    #[test]
    fn token_for_github_stays_away_from_an_api_that_the_repository_names() {
        let ghes = "upstreams: {github: {api_url: 'https://ghes.example/api/v3'}}\n";
        let tokens = [("github.com", "public")];
        assert_eq!(public(Trust::Repository, ghes, &tokens, None), None);
        assert_eq!(public(Trust::Repository, ghes, &[("api.github.com", "public")], None), None);
        assert_eq!(public(Trust::User, ghes, &tokens, None).as_deref(), Some("public"));
        assert_eq!(public(Trust::Repository, "", &tokens, None).as_deref(), Some("public"));
        let bound = "upstreams: {github: {api_url: 'https://ghes.example/api/v3', token_env: \
                     GITOPS_UPDATER_HOST_GHES_EXAMPLE_TOKEN}}\n";
        let own = Some(("https://ghes.example/api/v3", "own"));
        assert_eq!(public(Trust::Repository, bound, &tokens, own).as_deref(), Some("own"));
    }

    /// `upstreams.hosts."api.github.com"` was read and never used.
    #[test]
    fn token_for_the_host_of_the_api_is_that_of_the_site() {
        let token = |tokens: &[(&str, &str)], github| public(Trust::User, "", tokens, github);
        assert_eq!(token(&[("api.github.com", "a")], None).as_deref(), Some("a"));
        assert_eq!(token(&[("api.github.com", "a"), ("github.com", "g")], None).as_deref(), Some("g"));
        let ambient = Some(("https://api.github.com", "ambient"));
        assert_eq!(token(&[("github.com", "g")], ambient).as_deref(), Some("g"));
        assert_eq!(token(&[], ambient).as_deref(), Some("ambient"));
    }

    /// `plain_http` for one name of Docker Hub did not hold for images, which have another.
    #[test]
    fn settings_for_any_name_of_docker_hub_hold_for_all() {
        for name in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            let host = Host::read(name).unwrap();
            assert_eq!(names_of(&host), ["docker.io", "index.docker.io", "registry-1.docker.io"]);
            assert_eq!(asked_name(&host), "registry-1.docker.io");
        }
        assert_eq!(names_of(&Host::read("ghcr.io").unwrap()), ["ghcr.io"]);
    }

    /// Docker Hub has several names, of which only one is the host that is asked.
    #[test]
    fn credentials_for_any_name_of_docker_hub_go_to_the_registry() {
        let hub = Url::parse("https://registry-1.docker.io/v2/").unwrap();
        let sent = |hosts: &[&str]| {
            let access = Access {
                credentials: hosts
                    .iter()
                    .map(|host| (Host::read(host).unwrap(), Credential::Token(secret(host))))
                    .collect(),
                ..Access::default()
            };
            let credentials = all_credentials(&Upstreams::default(), &access).unwrap();
            credentials.for_url(&hub).map(|credential| credential.header().expose_secret().to_owned())
        };
        assert_eq!(sent(&["docker.io"]).as_deref(), Some("Bearer docker.io"));
        assert_eq!(sent(&["index.docker.io"]).as_deref(), Some("Bearer index.docker.io"));
        let both = sent(&["docker.io", "registry-1.docker.io"]);
        assert_eq!(both.as_deref(), Some("Bearer registry-1.docker.io"));
        assert_eq!(sent(&["ghcr.io"]), None);
    }
}

//! The forge of a remote, and what it and Git are shown to be let in.

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use super::access::{Access, Credential};
use super::environment;
use super::error::CommandError;
use crate::app::forge::ForgeErrorClass;
use crate::config::{self, Config, Host};
use crate::domain::upstream::FailureClass;
use crate::forge::github::{Auth, GithubForge, GithubOptions, MachineTime, Place, TokenSupply, http};
use crate::repo::write::{self, HttpLimits, Remote, SuppliesToken};
use crate::upstream::credentials::{self, Credentials};

/// Where the API of github.com is.
const PUBLIC_API: &str = "api.github.com";
pub(super) const PUBLIC: &str = "github.com";

/// Why nobody lets us in.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no remote `{0}`")]
    NoRemote(String),
    #[error("remote `{0}` is not a repository on GitHub")]
    NotOnGithub(String),
    #[error("there is no token for GitHub")]
    NoToken,
    #[error("cannot use the credentials for `{host}`")]
    Credentials { host: String, source: credentials::Error },
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

pub(super) fn no_github(forge: &config::Forge, url: Option<String>) -> CommandError {
    match url {
        None => CommandError::failed(Error::NoRemote(forge.remote.clone())),
        Some(url) if Place::of_remote(&url).is_none() => {
            let url = crate::upstream::redact::redact_text(&url);
            CommandError::failed(Error::NotOnGithub(url))
                .hint("use `forge: {kind: local}` in the configuration")
        }
        Some(_) => CommandError::failed(Error::NoToken)
            .hint("set `GITHUB_TOKEN`, or the variable that the configuration names"),
    }
}

/// What GitHub needs to be told; `None` where the remote is not there or nobody gave a token.
pub(super) fn github(forge: &config::Forge, access: &Access, url: &str) -> Option<GithubOptions> {
    let of_remote = Place::of_remote(url)?;
    let place = match &forge.repository {
        Some((owner, name)) => Place { owner: owner.clone(), name: name.clone(), ..of_remote },
        None => of_remote,
    };
    let api_of_environment = access.github.as_ref().map(|(base, _)| base);
    // An Enterprise host is known by the API that the configuration, or GitHub Actions, names.
    let api = match (&forge.api_url, api_of_environment) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(base)) if is_api_of(base, &place.host) => Some(base.clone()),
        _ if place.host == PUBLIC => None,
        _ => return None,
    };
    let auth = auth(forge, access, &place)?;
    let mut options = GithubOptions::new(place, auth)?;
    if let Some(api) = api {
        options.api = api;
    }
    Some(options)
}

fn is_api_of(base: &Url, host: &str) -> bool {
    match base.host_str() {
        Some(PUBLIC_API) => host == PUBLIC,
        Some(name) => {
            let authority = base.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
            authority == host
        }
        None => false,
    }
}

fn auth(forge: &config::Forge, access: &Access, place: &Place) -> Option<Auth> {
    let own = |variable: &str| environment::read(variable).map(SecretString::from);
    match &forge.identity {
        config::Identity::Token { variable: Some(variable) } => own(variable).map(Auth::Token),
        // The usual variables are for the usual API, not for whatever a repository names in its place.
        config::Identity::Token { variable: None } if !forge.trusts_api_url => None,
        config::Identity::Token { variable: None } => {
            let of_host = Host::read(&place.host).ok().and_then(|host| access.credentials.get(&host));
            match (of_host, &access.github) {
                (Some(Credential::Token(token)), _) => Some(Auth::Token(token.clone())),
                (_, Some((base, token))) if is_api_of(base, &place.host) => Some(Auth::Token(token.clone())),
                _ => None,
            }
        }
        config::Identity::App { private_key: None, .. } if !forge.trusts_api_url => None,
        config::Identity::App { id, installation, private_key } => {
            let variable = private_key.as_deref().unwrap_or("GITOPS_UPDATER_GITHUB_PRIVATE_KEY");
            let private_key = own(variable)?;
            Some(Auth::App { id: id.to_string(), private_key, installation: *installation })
        }
    }
}

/// The forge, and the remote that its token is good for.
pub(super) fn with_github(
    options: GithubOptions,
    url: &str,
    config: &Config,
) -> Result<(Remote, GithubForge), CommandError> {
    let place = options.place.clone();
    let http = http().map_err(|error| CommandError::failed(Error::Client(error)))?;
    let forge = GithubForge::new(&http, Arc::new(MachineTime), options).map_err(CommandError::from)?;
    // A token in clear is only for hosts that the user said so of.
    let in_clear = Host::read(&place.host)
        .is_ok_and(|host| config.upstreams.hosts.get(&host).is_some_and(|host| host.credentials_by_http));
    let scheme = if in_clear && url.starts_with("http://") { "http" } else { "https" };
    let text = format!("{scheme}://{}/{}.git", place.host, place.full_name());
    let url = Url::parse(&text).map_err(|_| CommandError::failed(Error::NotOnGithub(text)))?;
    let tokens = Arc::new(GitTokens(forge.token_supply()));
    Ok((Remote::supplied(url, tokens, HttpLimits::default()), forge))
}

/// What the forge is asked with, for Git.
struct GitTokens(TokenSupply);

impl SuppliesToken for GitTokens {
    fn token(&self) -> Result<SecretString, write::Error> {
        self.0.token().map_err(|error| write::Error::Remote {
            class: match error.class {
                ForgeErrorClass::Transient => FailureClass::Transient,
                ForgeErrorClass::Permanent | ForgeErrorClass::Conflict => FailureClass::Permanent,
                ForgeErrorClass::NotFound => FailureClass::NotFound,
                ForgeErrorClass::Denied { .. } => FailureClass::Denied,
                ForgeErrorClass::RateLimited { reset } => FailureClass::RateLimited { reset },
            },
            message: error.message,
            hint: error.hint,
        })
    }
}

/// Credentials of the hosts that the configuration names, for a remote that a person named.
pub(super) fn git_credentials(config: &Config, access: &Access) -> Result<Credentials, CommandError> {
    let mut credentials = Credentials::new();
    for (host, credential) in &access.credentials {
        let by_http = config.upstreams.hosts.get(host).is_some_and(|settings| settings.credentials_by_http);
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

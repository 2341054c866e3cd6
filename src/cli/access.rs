//! Secrets from the environment, each bound to the one host that it is for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::environment;
use crate::config::{CredentialVariables, DockerConfig, Host, Upstreams};

/// What one host is given.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A bearer token.
    Token(SecretString),
    /// Basic authentication.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: SecretString,
    },
}

/// What the adapters for upstreams need beside the configuration.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// By host and port.
    pub credentials: BTreeMap<Host, Credential>,
    /// Token for the GitHub API, and the base URL that it may be sent to.
    pub github: Option<(Url, SecretString)>,
    /// Docker's `config.json`, if it is to be read.
    pub docker_config: Option<PathBuf>,
    /// Where answers are kept; `None` keeps nothing.
    pub cache_dir: Option<PathBuf>,
    /// The user named that place: without it there is no point in going on.
    pub cache_is_named: bool,
    /// Variables that the configuration names and that are not set.
    pub unset: Vec<String>,
}

impl Access {
    /// Reads what the configuration names from the environment.
    pub(super) fn from_environment(upstreams: &Upstreams, cache_dir: Option<PathBuf>) -> Self {
        Self { cache_dir, ..Self::new(upstreams, environment::read) }
    }

    fn new(upstreams: &Upstreams, read: impl Fn(&str) -> Option<String>) -> Self {
        let mut access = Self::default();
        for (host, settings) in &upstreams.hosts {
            let Some(variables) = &settings.credentials else { continue };
            let credential = match variables {
                CredentialVariables::Token(variable) => {
                    access.variable(variable, &read).map(|token| Credential::Token(token.into()))
                }
                CredentialVariables::Basic { username, password } => {
                    let (username, password) =
                        (access.variable(username, &read), access.variable(password, &read));
                    username
                        .zip(password)
                        .map(|(username, password)| Credential::Basic { username, password: password.into() })
                }
            };
            if let Some(credential) = credential {
                access.credentials.insert(host.clone(), credential);
            }
        }
        access.github = access.github_token(upstreams, &read);
        access.docker_config = match &upstreams.docker_config {
            DockerConfig::Off => None,
            DockerConfig::File(path) => Some(path.clone()),
            DockerConfig::Default => read("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| read("HOME").map(|home| PathBuf::from(home).join(".docker")))
                .map(|folder| folder.join("config.json")),
        };
        access
    }

    fn variable(&mut self, name: &str, read: &impl Fn(&str) -> Option<String>) -> Option<String> {
        let value = read(name);
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
        value
    }

    /// The token and the API that it is for. In GitHub Actions on an Enterprise host, `GITHUB_TOKEN` is a token of that
    /// host and must not be sent to github.com.
    fn github_token(
        &mut self,
        upstreams: &Upstreams,
        read: &impl Fn(&str) -> Option<String>,
    ) -> Option<(Url, SecretString)> {
        const PUBLIC: &str = "https://api.github.com";
        let github = &upstreams.github;
        let url = |text: &str| Url::parse(text).ok().filter(|url| url.scheme() == "https");
        if let Some(variable) = &github.token_variable {
            let token = self.variable(variable, read)?;
            return Some((github.api_url.clone().or_else(|| url(PUBLIC))?, token.into()));
        }
        if !github.trusts_api_url {
            return None;
        }
        let of_actions = read("GITHUB_API_URL").filter(|_| read("GITHUB_ACTIONS").is_some());
        let base = match (&github.api_url, of_actions) {
            (Some(url), _) => url.clone(),
            (None, Some(text)) => url(&text)?,
            (None, None) => url(PUBLIC)?,
        };
        ["GITOPS_UPDATER_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"]
            .into_iter()
            .find_map(read)
            .map(|token| (base, token.into()))
    }
}

/// Where answers are kept between runs, unless the user says where.
pub(super) fn default_cache_dir() -> Option<PathBuf> {
    environment::read("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| environment::read("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .map(|folder| folder.join("gitops-updater"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{Origin, Trust, parse};

    fn access(trust: Trust, text: &str, variables: &[(&str, &str)]) -> Access {
        let origin = Origin { name: "c.yaml", trust, folder: Some(Path::new("/r")), repository: None };
        let config = parse(text, &origin).unwrap();
        Access::new(&config.upstreams, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn github(access: &Access) -> Option<(String, String)> {
        access.github.as_ref().map(|(url, token)| (url.to_string(), token.expose_secret().to_owned()))
    }

    #[test]
    fn token_of_the_environment_goes_to_the_api_it_is_for() {
        let ghes = "upstreams: {github: {api_url: 'https://ghes.example/api/v3'}}\n";
        for (trust, text, variables, expected) in [
            (Trust::Repository, "", &[("GITHUB_TOKEN", "t")][..], Some(("https://api.github.com/", "t"))),
            (
                Trust::Repository,
                "",
                &[("GH_TOKEN", "h"), ("GITOPS_UPDATER_GITHUB_TOKEN", "g")],
                Some(("https://api.github.com/", "g")),
            ),
            (Trust::Repository, ghes, &[("GITHUB_TOKEN", "t")], None),
            (Trust::User, ghes, &[("GITHUB_TOKEN", "t")], Some(("https://ghes.example/api/v3", "t"))),
            (
                Trust::Repository,
                "",
                &[
                    ("GITHUB_TOKEN", "t"),
                    ("GITHUB_ACTIONS", "true"),
                    ("GITHUB_API_URL", "https://ghes.example/api/v3"),
                ],
                Some(("https://ghes.example/api/v3", "t")),
            ),
            (Trust::Repository, "", &[], None),
        ] {
            let expected = expected.map(|(url, token)| (url.to_owned(), token.to_owned()));
            assert_eq!(github(&access(trust, text, variables)), expected, "{text} {variables:?}");
        }
    }

    #[test]
    fn hosts_get_their_own_credentials_and_unset_variables_are_told() {
        let text = "upstreams: {hosts: {a: {token_env: A}, b: {username_env: U, password_env: P}, c: {token_env: C}}}\n";
        let access = access(Trust::User, text, &[("A", "secret-a"), ("U", "me"), ("P", "secret-p")]);
        assert_eq!(access.credentials.len(), 2);
        assert_eq!(access.unset, ["C"]);
        let host = Host::read("b").unwrap();
        assert!(
            matches!(&access.credentials[&host], Credential::Basic { username, password } if username == "me" && password.expose_secret() == "secret-p")
        );
        assert!(!format!("{access:?}").contains("secret-"));
    }

    #[test]
    fn docker_config_is_the_users_own_unless_switched_off() {
        let home = [("HOME", "/home/me")];
        let path =
            |text: &str, variables: &[(&str, &str)]| access(Trust::User, text, variables).docker_config;
        assert_eq!(path("", &home), Some(PathBuf::from("/home/me/.docker/config.json")));
        assert_eq!(path("", &[("DOCKER_CONFIG", "/d")]), Some(PathBuf::from("/d/config.json")));
        assert_eq!(path("upstreams: {docker_config: false}\n", &home), None);
        assert_eq!(path("upstreams: {docker_config: x.json}\n", &home), Some(PathBuf::from("/r/x.json")));
    }
}

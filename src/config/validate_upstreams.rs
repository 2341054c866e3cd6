//! The `upstreams` block: mirrors, hosts and names of credentials, and what a configuration that lies in the
//! repository may not ask for.

use std::collections::BTreeMap;

use super::Trust;
use super::hosts::Host;
use super::raw::{FlagOrText, RawGithub, RawHost, RawMapping, RawUpstreams};
use super::tree::{Node, Path, Step};
use super::upstreams::{
    CredentialVariables, DockerConfig, Github, HostSettings, MapTarget, Mapping, Upstreams, is_variable,
    web_url,
};
use super::validate::{Checker, MAX_LIST, inside, key, value_at};

/// Why something is refused in a configuration that lies in the repository.
pub(super) const OUTSIDE: &str =
    "only a configuration outside the repository, named with `--config`, may do this";

impl Checker<'_> {
    pub(super) fn upstreams(&mut self, raw: RawUpstreams) -> Upstreams {
        let top = key(&[], "upstreams");
        let defaults = Upstreams::default();
        let timeout = self.duration(&key(&top, "timeout"), raw.timeout.as_deref(), "1h");
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.wrong(&key(&top, "timeout"), "no time at all");
        }
        if raw.retries.is_some_and(|retries| retries > 10) {
            self.wrong(&key(&top, "retries"), "more than 10");
        }
        let concurrency = self.concurrency(&key(&top, "concurrency"), raw.concurrency);
        Upstreams {
            map: self.mappings(&key(&top, "map"), raw.map),
            hosts: self.hosts(&key(&top, "hosts"), raw.hosts),
            timeout: timeout.unwrap_or(defaults.timeout),
            retries: raw.retries.unwrap_or(defaults.retries),
            concurrency: concurrency.unwrap_or(defaults.concurrency),
            docker_config: self.docker_config(&key(&top, "docker_config"), raw.docker_config),
            credential_helpers: self
                .credential_helpers(&key(&top, "credential_helpers"), raw.credential_helpers),
            github: self.github(&key(&top, "github"), raw.github),
        }
    }

    fn concurrency(&mut self, path: &[Step], value: Option<u32>) -> Option<usize> {
        match value {
            Some(value @ 1..=64) => Some(value as usize),
            Some(_) => {
                self.wrong(path, "not between 1 and 64");
                None
            }
            None => None,
        }
    }

    fn mappings(&mut self, path: &[Step], raw: Vec<RawMapping>) -> Vec<Mapping> {
        if raw.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST} mirrors"));
            return vec![];
        }
        let paths = self.item_paths(path, raw.len());
        let mut mappings: Vec<Mapping> = vec![];
        for (mapping, path) in raw.into_iter().zip(paths) {
            let from = self.checked(&key(&path, "from"), web_url(&mapping.from));
            let to = self.map_target(&key(&path, "to"), &mapping.to);
            let (Some(from), Some(to)) = (from, to) else { continue };
            if mappings.iter().any(|earlier| earlier.from == from) {
                self.wrong(&key(&path, "from"), "mapped twice");
                continue;
            }
            mappings.push(Mapping { from, to });
        }
        mappings
    }

    fn map_target(&mut self, path: &[Step], text: &str) -> Option<MapTarget> {
        if text.contains("://") {
            return self.checked(path, web_url(text)).map(MapTarget::Url);
        }
        if text.is_empty() || text.contains('\0') {
            self.wrong(path, "neither a URL nor a folder");
            return None;
        }
        let Some(folder) = self.origin.folder else {
            self.wrong(path, format!("a folder, but this repository has no work tree; {OUTSIDE}"));
            return None;
        };
        let text = text.strip_prefix("./").unwrap_or(text);
        match self.origin.trust {
            Trust::User => Some(MapTarget::Path { path: folder.join(text), within: None }),
            Trust::Repository => {
                let repository = self.origin.repository.unwrap_or(folder);
                let prefix = folder.strip_prefix(repository).ok();
                if prefix.and_then(|prefix| inside(&prefix.join(text).to_string_lossy())).is_none() {
                    self.wrong(path, format!("leads out of the repository; {OUTSIDE}"));
                    return None;
                }
                Some(MapTarget::Path { path: folder.join(text), within: Some(repository.to_path_buf()) })
            }
        }
    }

    fn hosts(&mut self, path: &[Step], raw: BTreeMap<String, RawHost>) -> BTreeMap<Host, HostSettings> {
        let mut hosts = BTreeMap::new();
        if raw.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST} hosts"));
            return hosts;
        }
        for (name, raw) in raw {
            let path = key(path, &name);
            let Some(host) = self.checked(&path, Host::read(&name)) else { continue };
            let named_by_user = self.origin.trust == Trust::User;
            let plain_http = raw.plain_http.unwrap_or(false);
            let concurrency = self.concurrency(&key(&path, "concurrency"), raw.concurrency);
            let credentials = self.credentials(&path, &host, raw);
            if plain_http && !named_by_user && credentials.is_some() {
                self.wrong(
                    &key(&path, "plain_http"),
                    format!("would send credentials unencrypted; {OUTSIDE}"),
                );
            }
            let settings = HostSettings {
                credentials,
                plain_http,
                credentials_by_http: plain_http && named_by_user,
                concurrency,
            };
            if hosts.insert(host, settings).is_some() {
                self.wrong(&path, "given twice, written differently");
            }
        }
        hosts
    }

    fn credentials(&mut self, path: &Path, host: &Host, raw: RawHost) -> Option<CredentialVariables> {
        let words = ["TOKEN", "USERNAME", "PASSWORD"];
        let token = self.variable(&key(path, "token_env"), raw.token_env, Some(host), &words);
        let username = self.variable(&key(path, "username_env"), raw.username_env, Some(host), &words);
        let password = self.variable(&key(path, "password_env"), raw.password_env, Some(host), &words);
        match (token, username, password) {
            (Some(token), None, None) => Some(CredentialVariables::Token(token)),
            (None, Some(username), Some(password)) => Some(CredentialVariables::Basic { username, password }),
            (None, None, None) => None,
            (Some(_), _, _) => {
                self.wrong(path, "give `token_env`, or `username_env` and `password_env`, not both");
                None
            }
            (None, Some(_), None) => {
                self.missing_variable(path, "password_env");
                None
            }
            (None, None, Some(_)) => {
                self.missing_variable(path, "username_env");
                None
            }
        }
    }

    fn missing_variable(&mut self, path: &Path, field: &str) {
        // Given but refused is named already.
        let given = self.root.as_ref().is_some_and(|root| has_key(root, &key(path, field)));
        if !given {
            self.wrong(path, format!("`{field}` is missing; user name and password go together"));
        }
    }

    /// The name of an environment variable with a secret for `host`; a configuration in the repository may only give
    /// the host's own prefix and one of `words`.
    pub(super) fn variable(
        &mut self,
        path: &[Step],
        name: Option<String>,
        host: Option<&Host>,
        words: &[&str],
    ) -> Option<String> {
        let name = name?;
        if !is_variable(&name) {
            self.wrong(path, "not the name of an environment variable (the name, not the secret itself)");
            return None;
        }
        if self.origin.trust == Trust::User {
            return Some(name);
        }
        match host.and_then(Host::variable_prefix) {
            Some(prefix) if name.strip_prefix(prefix.as_str()).is_some_and(|word| words.contains(&word)) => {
                Some(name)
            }
            Some(prefix) => {
                let names: Vec<_> = words.iter().map(|word| format!("`{prefix}{word}`")).collect();
                let names = match names.as_slice() {
                    [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
                    names => names.concat(),
                };
                self.wrong(
                    path,
                    format!("a configuration in the repository may only name {names} here; {OUTSIDE}"),
                );
                None
            }
            None => {
                self.wrong(path, format!("credentials for this host; {OUTSIDE}"));
                None
            }
        }
    }

    fn docker_config(&mut self, path: &[Step], value: Option<FlagOrText>) -> DockerConfig {
        match (value, self.origin.folder) {
            (None | Some(FlagOrText::Flag(true)), _) => DockerConfig::Default,
            (Some(FlagOrText::Flag(false)), _) => DockerConfig::Off,
            (Some(FlagOrText::Text(text)), Some(folder))
                if self.origin.trust == Trust::User && !text.is_empty() =>
            {
                DockerConfig::File(folder.join(text))
            }
            (Some(FlagOrText::Text(_)), _) => {
                self.wrong(path, format!("a path; here it is `true` or `false`; {OUTSIDE}"));
                DockerConfig::Off
            }
        }
    }

    fn credential_helpers(&mut self, path: &[Step], value: Option<bool>) -> bool {
        let wanted = value.unwrap_or(false);
        if wanted && self.origin.trust == Trust::Repository {
            self.wrong(path, format!("runs programs; {OUTSIDE}"));
            return false;
        }
        wanted
    }

    fn github(&mut self, path: &Path, raw: RawGithub) -> Github {
        let api_url = raw.api_url.and_then(|text| self.checked(&key(path, "api_url"), web_url(&text)));
        if self.origin.trust == Trust::Repository
            && api_url.as_ref().is_some_and(|url| url.scheme() == "http")
        {
            self.wrong(
                &key(path, "api_url"),
                format!("not `https://`, so a token would go unencrypted; {OUTSIDE}"),
            );
        }
        let host = api_url.as_ref().map_or_else(|| Host::read("api.github.com").ok(), Host::of);
        let token_variable = self.variable(
            &key(path, "token_env"),
            raw.token_env,
            host.as_ref(),
            &["TOKEN", "USERNAME", "PASSWORD"],
        );
        let usual = api_url.as_ref().is_none_or(|url| {
            url.scheme() == "https" && url.host_str() == Some("api.github.com") && url.port().is_none()
        });
        Github { api_url, token_variable, trusts_api_url: usual || self.origin.trust == Trust::User }
    }
}

fn has_key(root: &Node, path: &[Step]) -> bool {
    value_at(root, path).is_some_and(|node| !node.is_null())
}

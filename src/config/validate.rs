//! From what is written to what it means; collects every error on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path as FilePath};

use globset::GlobBuilder;

use super::de::{self, MAX_ERRORS, What, close_word, suggestion};
use super::detection::{Channel, Detection, KINDS, Overrides, Repository, Selector};
use super::hosts::Host;
use super::raw::{
    DETECTION_FIELDS, FlagOrText, RawCluster, RawComponent, RawConfig, RawDetection, RawFiles, RawGithub,
    RawHost, RawMapping, RawUpstreams,
};
use super::tree::{self, Kind, Node, Path, Place, Step, path_text, shorten};
use super::upstreams::{
    CredentialVariables, DockerConfig, Github, HostSettings, MapTarget, Mapping, Upstreams, is_variable,
    web_url,
};
use super::{Cluster, Config, Files, Finding, MAX_BYTES, Origin, Trust, values};

/// Patterns, mirrors and clusters in one file; each costs time for every file or URL.
const MAX_LIST: usize = 1_000;

pub(super) struct Checker<'a> {
    origin: &'a Origin<'a>,
    root: Option<Node>,
    left_out: BTreeSet<Path>,
    findings: Vec<Finding>,
}

fn key(path: &[Step], key: &str) -> Path {
    let mut path = path.to_vec();
    path.push(Step::Key(key.to_owned()));
    path
}

impl<'a> Checker<'a> {
    pub(super) fn new(origin: &'a Origin<'a>) -> Self {
        Self { origin, root: None, left_out: BTreeSet::new(), findings: vec![] }
    }

    pub(super) fn finish(mut self) -> Result<(), Vec<Finding>> {
        if self.findings.is_empty() {
            return Ok(());
        }
        self.findings.sort_by_key(|finding| (finding.line, finding.column));
        self.findings.dedup();
        self.findings.truncate(MAX_ERRORS);
        Err(self.findings)
    }

    pub(super) fn config(&mut self, text: &str) -> Config {
        let Some(raw) = self.raw(text) else { return Config::default() };
        if raw.version.is_some_and(|version| version != 1) {
            self.wrong(&key(&[], "version"), "this program knows version 1 only");
        }
        let mut architectures: Vec<String> =
            raw.architectures.iter().map(|architecture| architecture.name().to_owned()).collect();
        architectures.sort();
        architectures.dedup();
        Config {
            detection: self.detection(raw.detection),
            files: self.files(raw.files),
            clusters: self.clusters(raw.clusters),
            architectures,
            upstreams: self.upstreams(raw.upstreams),
        }
    }

    fn raw(&mut self, text: &str) -> Option<RawConfig> {
        if text.len() as u64 > MAX_BYTES {
            self.find(Place::START, &[], "larger than 1 MiB");
            return None;
        }
        let tree = match tree::read(text) {
            Ok(tree) => tree,
            Err(error) => {
                self.find(error.place, &error.path, error.message);
                return None;
            }
        };
        for duplicate in tree.duplicates {
            self.find(duplicate.place, &duplicate.path, duplicate.message);
        }
        let root = tree.root?;
        let (raw, errors) = de::read::<RawConfig>(&root);
        for error in errors {
            let Some((path, place)) = error.at.clone() else { continue };
            let message =
                mistyped_field(&root, &path).unwrap_or_else(|| match (&error.what, path.as_slice()) {
                    (What::UnknownField { .. }, [Step::Key(name)]) if KINDS.contains(&name.as_str()) => {
                        format!("unknown field; component kinds stand below `detection`: `detection.{name}`")
                    }
                    _ => error.to_string(),
                });
            let place = if mistyped_field(&root, &path).is_some() { key_place(&root, &path) } else { place };
            self.find(place, &path, message);
            self.left_out.insert(path);
        }
        self.root = Some(root);
        raw
    }

    fn wrong(&mut self, path: &[Step], message: impl Into<String>) {
        let place = self.root.as_ref().map_or(Place::START, |root| root.place_of(path));
        self.find(place, path, message);
    }

    fn find(&mut self, place: Place, path: &[Step], message: impl Into<String>) {
        self.findings.push(Finding {
            file: self.origin.name.to_owned(),
            line: place.line,
            column: place.column,
            field: path_text(path),
            message: message.into(),
        });
    }

    fn checked<T>(&mut self, path: &[Step], result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.wrong(path, message)).ok()
    }

    /// Paths of the items of a list that were read; those that were left out keep their number.
    fn item_paths(&self, list: &[Step], items: usize) -> Vec<Path> {
        (0..)
            .map(|index| {
                let mut path = list.to_vec();
                path.push(Step::Index(index));
                path
            })
            .filter(|path| !self.left_out.contains(path))
            .take(items)
            .collect()
    }

    // ---- detection

    fn detection(&mut self, raw: RawDetection) -> Detection {
        let top = key(&[], "detection");
        let below = key(&top, "components");
        let defaults = Overrides {
            check_interval: self.duration(&key(&top, "check_interval"), raw.check_interval.as_deref(), "90d"),
            check_prereleases: raw.check_prereleases,
            notifications: raw.notifications,
            ..Overrides::default()
        };
        let mut components = vec![];
        for name in raw.direct.keys().filter(|name| raw.components.contains_key(*name)) {
            self.wrong(&key(&below, name), format!("given twice, also as `{}`", path_text(&key(&top, name))));
        }
        for (parent, entries) in [(&top, raw.direct), (&below, raw.components)] {
            for (name, component) in entries {
                let path = key(parent, &name);
                let Some(selector) = self.checked(&path, Selector::read(&name)) else { continue };
                // A word may be the kind of a rule of the repository; only slips of the finger are errors.
                if let Some(word) = selector.word()
                    && word != "images"
                    && !KINDS.contains(&word)
                    && let Some(close) = near_kind(word)
                {
                    self.wrong(&path, format!("no such component kind; did you mean `{close}`?"));
                    continue;
                }
                let overrides = self.component(&path, selector.kind(), component);
                components.push((path_text(&path), selector, overrides));
            }
        }
        Detection { defaults, components }
    }

    fn component(&mut self, path: &Path, kind: Option<&str>, raw: RawComponent) -> Overrides {
        let channel =
            raw.channel.and_then(|text| self.checked(&key(path, "channel"), Channel::read(&text, kind)));
        if let (Some(channel), Some(wanted)) = (channel, raw.check_prereleases)
            && channel != Channel::Latest
            && !matches!(channel, Channel::Minor { .. })
            && channel.prereleases() != wanted
        {
            self.wrong(&key(path, "check_prereleases"), format!("contradicts `channel: {channel}`"));
        }
        let repository =
            raw.repository.and_then(|text| self.checked(&key(path, "repository"), Repository::read(&text)));
        let minimum_version = raw
            .minimum_version
            .filter(|text| self.checked(&key(path, "minimum_version"), values::version(text)).is_some());
        let allowed =
            raw.allowed.filter(|text| self.checked(&key(path, "allowed"), values::range(text)).is_some());
        let ignored = raw.ignored.inspect(|ignored| {
            let paths = self.item_paths(&key(path, "ignored"), ignored.len());
            for (text, path) in ignored.iter().zip(&paths) {
                if values::version(text).is_err() {
                    self.checked(path, values::range(text));
                }
            }
        });
        let ignore = raw.ignore.map(|ignore| match ignore {
            FlagOrText::Flag(flag) => flag.then(|| "the configuration says so".to_owned()),
            FlagOrText::Text(reason) => {
                if reason.trim().is_empty() {
                    self.wrong(&key(path, "ignore"), "an empty reason; write why, or `true`");
                }
                Some(reason)
            }
        });
        Overrides {
            channel,
            repository,
            check_interval: self.duration(&key(path, "check_interval"), raw.check_interval.as_deref(), "90d"),
            check_prereleases: raw.check_prereleases,
            minimum_version,
            allowed,
            ignored,
            ignore,
            notifications: raw.notifications,
            enabled: raw.enabled,
        }
    }

    fn duration(&mut self, path: &[Step], text: Option<&str>, most: &str) -> Option<std::time::Duration> {
        let duration = self.checked(path, values::duration(text?))?;
        let within = values::duration(most).is_ok_and(|most| duration <= most);
        if !within {
            self.wrong(path, format!("longer than `{most}`"));
        }
        within.then_some(duration)
    }

    // ---- files, clusters

    fn files(&mut self, raw: RawFiles) -> Files {
        let top = key(&[], "files");
        let mut files = Files { include_ignored: raw.include_ignored.unwrap_or(false), ..Files::default() };
        if let Some(text) = raw.max_size {
            let path = key(&top, "max_size");
            match self.checked(&path, values::size(&text)) {
                Some(size @ 1..=0x640_0000) => files.max_size = size,
                Some(_) => self.wrong(&path, "not between `1` and `100MiB`"),
                None => {}
            }
        }
        files.exclude = self.globs(&key(&top, "exclude"), &raw.exclude);
        files
    }

    fn globs(&mut self, path: &[Step], patterns: &[String]) -> Vec<String> {
        if patterns.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST} patterns"));
            return vec![];
        }
        for (pattern, path) in patterns.iter().zip(self.item_paths(path, patterns.len())) {
            let bare = pattern.strip_prefix("./").unwrap_or(pattern).trim_matches('/');
            if bare.is_empty() || bare.split('/').any(|part| part == "..") || pattern.len() > 500 {
                self.wrong(&path, "not a pattern of paths within the repository");
            } else if let Err(error) = GlobBuilder::new(bare).literal_separator(true).build() {
                self.wrong(&path, format!("not a pattern: {}", error.kind()));
            }
        }
        patterns.to_vec()
    }

    fn clusters(&mut self, raw: Vec<RawCluster>) -> Vec<Cluster> {
        let top = key(&[], "clusters");
        let paths = self.item_paths(&top, raw.len());
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut clusters = vec![];
        for (cluster, path) in raw.into_iter().zip(paths).take(MAX_LIST) {
            let name_path = key(&path, "name");
            let plain =
                cluster.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if cluster.name.is_empty() || cluster.name.len() > 63 || !plain {
                self.wrong(&name_path, "not a name of letters, digits, `-`, `_` and `.`, at most 63 of them");
            } else if names.insert(cluster.name.clone(), clusters.len()).is_some() {
                self.wrong(&name_path, format!("a second cluster named `{}`", cluster.name));
            }
            let Some(folder) = inside(&cluster.path) else {
                self.wrong(&key(&path, "path"), "not a folder within the repository");
                continue;
            };
            clusters.push(Cluster { name: cluster.name, path: folder });
        }
        clusters
    }

    // ---- upstreams

    fn upstreams(&mut self, raw: RawUpstreams) -> Upstreams {
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
            self.wrong(
                path,
                "a folder, but the configuration is read from a revision; name the file with `--config`",
            );
            return None;
        };
        match self.origin.trust {
            Trust::User => Some(MapTarget::Path { path: folder.join(text), within: None }),
            Trust::Repository => {
                let repository = self.origin.repository.unwrap_or(folder);
                let prefix = folder.strip_prefix(repository).ok()?;
                if inside(&prefix.join(text).to_string_lossy()).is_none() {
                    self.wrong(
                        path,
                        "leads out of the repository; name the file with `--config` to allow this",
                    );
                    return None;
                }
                Some(MapTarget::Path { path: folder.join(text), within: Some(repository.to_path_buf()) })
            }
        }
    }

    fn hosts(&mut self, path: &[Step], raw: BTreeMap<String, RawHost>) -> BTreeMap<Host, HostSettings> {
        let mut hosts = BTreeMap::new();
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
                    "would send credentials unencrypted; name the file with `--config` to allow this",
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
        let token = self.variable(&key(path, "token_env"), raw.token_env, Some(host));
        let username = self.variable(&key(path, "username_env"), raw.username_env, Some(host));
        let password = self.variable(&key(path, "password_env"), raw.password_env, Some(host));
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

    fn variable(&mut self, path: &[Step], name: Option<String>, host: Option<&Host>) -> Option<String> {
        let name = name?;
        if !is_variable(&name) {
            self.wrong(path, "not the name of an environment variable (the name, not the secret itself)");
            return None;
        }
        if self.origin.trust == Trust::User {
            return Some(name);
        }
        match host.and_then(Host::variable_prefix) {
            Some(prefix) if name.strip_prefix(prefix.as_str()).is_some_and(is_credential_word) => Some(name),
            Some(prefix) => {
                self.wrong(
                    path,
                    format!(
                        "a configuration in the repository may only name `{prefix}TOKEN`, `{prefix}USERNAME` and `{prefix}PASSWORD` here; name the file with `--config` to allow others"
                    ),
                );
                None
            }
            None => {
                self.wrong(path, "name the file with `--config` to give this host credentials");
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
                self.wrong(
                    path,
                    "a path is allowed only in a file named with `--config`; here it is `true` or `false`",
                );
                DockerConfig::Off
            }
        }
    }

    fn credential_helpers(&mut self, path: &[Step], value: Option<bool>) -> bool {
        let wanted = value.unwrap_or(false);
        if wanted && self.origin.trust == Trust::Repository {
            self.wrong(path, "runs programs, which only a file named with `--config` may ask for");
            return false;
        }
        wanted
    }

    fn github(&mut self, path: &Path, raw: RawGithub) -> Github {
        let api_url = raw.api_url.and_then(|text| self.checked(&key(path, "api_url"), web_url(&text)));
        let host = api_url.as_ref().map_or_else(|| Host::read("api.github.com").ok(), Host::of);
        let token_variable = self.variable(&key(path, "token_env"), raw.token_env, host.as_ref());
        let usual = api_url.as_ref().is_none_or(|url| {
            url.scheme() == "https" && url.host_str() == Some("api.github.com") && url.port().is_none()
        });
        Github { api_url, token_variable, trusts_api_url: usual || self.origin.trust == Trust::User }
    }
}

fn is_credential_word(word: &str) -> bool {
    matches!(word, "TOKEN" | "USERNAME" | "PASSWORD")
}

/// A path that stays within the folder it is relative to, in its plain form.
fn inside(text: &str) -> Option<String> {
    let mut parts: Vec<&str> = vec![];
    if text.contains(['\0', '\\']) {
        return None;
    }
    for part in FilePath::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// The kind that a word was probably meant to be; a digit more or less is another word (`k3os`).
fn near_kind(word: &str) -> Option<&'static str> {
    let close = close_word(word, KINDS)?;
    (word.len() >= 4 && close.len() >= 4).then_some(close)
}

/// `detection` takes any key as a component; a plain value there is a mistyped setting.
fn mistyped_field(root: &Node, path: &[Step]) -> Option<String> {
    let [Step::Key(top), Step::Key(name)] = path else { return None };
    if top != "detection" || DETECTION_FIELDS.contains(&name.as_str()) {
        return None;
    }
    let plain = value_at(root, path).is_some_and(|node| !matches!(node.kind, Kind::Mapping(_)));
    plain.then(|| match close_word(name, DETECTION_FIELDS) {
        Some(close) => format!("unknown field; did you mean `{close}`?"),
        None if KINDS.contains(&name.as_str()) => "expected a mapping of component settings".to_owned(),
        None => format!(
            "neither a setting nor a component with a mapping of settings{}",
            suggestion(&shorten(name), DETECTION_FIELDS.iter().copied())
        ),
    })
}

fn value_at<'n>(root: &'n Node, path: &[Step]) -> Option<&'n Node> {
    path.iter().try_fold(root, |node, step| match (&node.kind, step) {
        (Kind::Mapping(entries), Step::Key(key)) => {
            entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
        }
        (Kind::Sequence(items), Step::Index(index)) => items.get(*index),
        _ => None,
    })
}

fn has_key(root: &Node, path: &[Step]) -> bool {
    value_at(root, path).is_some_and(|node| !node.is_null())
}

fn key_place(root: &Node, path: &[Step]) -> Place {
    let Some((Step::Key(last), parents)) = path.split_last() else { return root.place };
    match value_at(root, parents).map(|node| &node.kind) {
        Some(Kind::Mapping(entries)) => {
            entries.iter().find(|entry| entry.key == *last).map_or(root.place, |entry| entry.key_place)
        }
        _ => root.place,
    }
}

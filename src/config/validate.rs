//! From what is written to what it means; collects every error on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path as FilePath};

use globset::GlobBuilder;

use super::de::{self, MAX_ERRORS, What, close_word, suggestion};
use super::detection::{Detection, KINDS, Selector};
use super::overrides::{Channel, Overrides, Repository};
use super::raw::{DETECTION_FIELDS, FlagOrText, RawCluster, RawComponent, RawConfig, RawDetection, RawFiles};
use super::tree::{self, Kind, Node, Path, Place, Step, path_text, shorten};
use super::{Cluster, Config, Files, Finding, MAX_BYTES, Origin, values};

/// Components, patterns, mirrors, hosts and clusters in one file; each costs time for every file or URL.
pub(super) const MAX_LIST: usize = 1_000;

pub(super) struct Checker<'a> {
    pub(super) origin: &'a Origin<'a>,
    pub(super) root: Option<Node>,
    left_out: BTreeSet<Path>,
    /// What is missing, or was left out, and has nothing in its place.
    blank: BTreeSet<Path>,
    findings: Vec<Finding>,
}

pub(super) fn key(path: &[Step], key: &str) -> Path {
    let mut path = path.to_vec();
    path.push(Step::Key(key.to_owned()));
    path
}

impl<'a> Checker<'a> {
    pub(super) fn new(origin: &'a Origin<'a>) -> Self {
        Self { origin, root: None, left_out: BTreeSet::new(), blank: BTreeSet::new(), findings: vec![] }
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
            enabled: raw.enabled.unwrap_or(true),
            policy: self.policy(raw.policy),
            limits: self.limits(&raw.limits),
            windows: self.windows(raw.windows),
            kubernetes_apis: self.kubernetes_apis(raw.kubernetes_apis),
            forge: self.forge(raw.forge),
            pull_requests: self.pull_requests(raw.pull_requests),
            commits: self.commits(raw.commits),
            dashboard: self.dashboard(raw.dashboard),
            backup: self.backup(&raw.backup),
            notifications: self.notifications(raw.notifications),
            metrics: self.metrics(raw.metrics),
            data_backups: self.data_backups(raw.backup.data),
            validation: self.validation(raw.validation),
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
        let read = de::read::<RawConfig>(&root);
        self.left_out = read.left_out;
        self.blank = read.blank;
        for error in read.errors {
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
        }
        self.root = Some(root);
        read.value
    }

    pub(super) fn wrong(&mut self, path: &[Step], message: impl Into<String>) {
        // Enough to fill the list; the rest of a hostile file is not looked up.
        if self.findings.len() >= 4 * MAX_ERRORS {
            return;
        }
        // What is missing was told.
        if self.blank.iter().any(|blank| path.starts_with(blank)) {
            return;
        }
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

    pub(super) fn checked<T>(&mut self, path: &[Step], result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.wrong(path, message)).ok()
    }

    /// Paths of the items of a list that were read; those that were left out keep their number.
    pub(super) fn item_paths(&self, list: &[Step], items: usize) -> Vec<Path> {
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
        if raw.direct.len() + raw.components.len() > MAX_LIST {
            self.wrong(&top, format!("more than {MAX_LIST} components"));
            return Detection::default();
        }
        for name in raw.direct.keys().filter(|name| raw.components.contains_key(*name)) {
            self.wrong(&key(&below, name), format!("given twice, also as `{}`", path_text(&key(&top, name))));
        }
        for (parent, entries) in [(&top, raw.direct), (&below, raw.components)] {
            for (name, component) in entries {
                let path = key(parent, &name);
                let Some(selector) = self.selector(&path, &name) else { continue };
                let overrides = self.component(&path, selector.kind(), component);
                components.push((path_text(&path), selector, overrides));
            }
        }
        Detection { defaults, components }
    }

    /// A component kind, id or pattern.
    pub(super) fn selector(&mut self, path: &[Step], name: &str) -> Option<Selector> {
        let selector = self.checked(path, Selector::read(name))?;
        // A word may be the kind of a rule of the repository; only slips of the finger are errors.
        if let Some(word) = selector.word()
            && word != "images"
            && !KINDS.contains(&word)
            && let Some(close) = near_kind(word)
        {
            self.wrong(path, format!("no such component kind; did you mean `{close}`?"));
            return None;
        }
        Some(selector)
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

    pub(super) fn duration(
        &mut self,
        path: &[Step],
        text: Option<&str>,
        most: &str,
    ) -> Option<std::time::Duration> {
        let duration = self.checked(path, values::duration(text?))?;
        let within = values::duration(most).is_ok_and(|most| duration <= most);
        if !within {
            self.wrong(path, format!("longer than `{most}`"));
        }
        within.then_some(duration)
    }

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
            self.checked(&path, path_pattern(pattern));
        }
        patterns.to_vec()
    }

    fn clusters(&mut self, raw: Vec<RawCluster>) -> Vec<Cluster> {
        let top = key(&[], "clusters");
        if raw.len() > MAX_LIST {
            self.wrong(&top, format!("more than {MAX_LIST} clusters"));
            return vec![];
        }
        let paths = self.item_paths(&top, raw.len());
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut clusters = vec![];
        for (cluster, path) in raw.into_iter().zip(paths) {
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
}

/// Whether a text is a pattern of paths within the repository.
pub(super) fn path_pattern(pattern: &str) -> Result<(), String> {
    let bare = pattern.strip_prefix("./").unwrap_or(pattern).trim_matches('/');
    if bare.is_empty() || bare.split('/').any(|part| part == "..") || pattern.len() > 500 {
        return Err("not a pattern of paths within the repository".to_owned());
    }
    let glob = GlobBuilder::new(bare).literal_separator(true).build();
    glob.map(drop).map_err(|error| format!("not a pattern: {}", error.kind()))
}

/// A path that stays within the folder it is relative to, in its plain form.
pub(super) fn inside(text: &str) -> Option<String> {
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

/// The kind that a word was probably meant to be. Stricter than for fields: rules of a repository may make kinds of
/// their own, such as `fluxcd`.
fn near_kind(word: &str) -> Option<&'static str> {
    if word.len() < 4 || word.len() > 60 {
        return None;
    }
    similar::get_close_matches(word, KINDS, 1, 0.85).first().copied().filter(|kind| kind.len() >= 4)
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

pub(super) fn value_at<'n>(root: &'n Node, path: &[Step]) -> Option<&'n Node> {
    path.iter().try_fold(root, |node, step| match (&node.kind, step) {
        (Kind::Mapping(entries), Step::Key(key)) => {
            entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
        }
        (Kind::Sequence(items), Step::Index(index)) => items.get(*index),
        _ => None,
    })
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

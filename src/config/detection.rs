//! The `detection` block: settings per component, and which key decided each of them.

use std::time::Duration;

use super::overrides::{Channel, Overrides, Repository};
use globset::{GlobBuilder, GlobMatcher};

/// Component kinds that rules of this program make; rules of a repository may add more.
pub const KINDS: &[&str] = &["k3s", "flux", "longhorn", "helm", "oci", "image", "git", "release"];

/// A value and the configuration key that decided it, such as `detection.k3s.channel`; `None` is the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decided<T> {
    /// The value.
    pub value: T,
    /// Path of the configuration key.
    pub by: Option<String>,
}

/// What holds for one component.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether the component is looked for at all.
    pub enabled: Decided<bool>,
    /// Why it is listed as ignored and not asked for; `None` = it is not ignored.
    pub ignore: Decided<Option<String>>,
    /// Which line of releases to follow; `None` = what the repository says.
    pub channel: Decided<Option<Channel>>,
    /// Where versions are published; `None` = what the repository says.
    pub repository: Decided<Option<Repository>>,
    /// How old an answer may be to be used without asking.
    pub check_interval: Decided<Duration>,
    /// Whether pre-releases are candidates.
    pub check_prereleases: Decided<bool>,
    /// Versions below are never candidates.
    pub minimum_version: Decided<Option<String>>,
    /// Range that candidates must lie in.
    pub allowed: Decided<Option<String>>,
    /// Versions and ranges that are never candidates.
    pub ignored: Decided<Vec<String>>,
    /// Whether updates are announced as annotations.
    pub notifications: Decided<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: Decided { value: true, by: None },
            ignore: Decided::default(),
            channel: Decided::default(),
            repository: Decided::default(),
            check_interval: Decided::default(),
            check_prereleases: Decided::default(),
            minimum_version: Decided::default(),
            allowed: Decided::default(),
            ignored: Decided::default(),
            notifications: Decided { value: true, by: None },
        }
    }
}

impl Settings {
    fn apply(&mut self, key: &str, overrides: &Overrides) {
        fn set<T: Clone>(place: &mut Decided<T>, value: Option<T>, key: &str, field: &str) {
            if let Some(value) = value {
                *place = Decided { value, by: Some(format!("{key}.{field}")) };
            }
        }
        let o = overrides.clone();
        // A channel says something about pre-releases; what the same key says about them outright comes after it.
        set(&mut self.check_prereleases, o.channel.map(Channel::prereleases), key, "channel");
        set(&mut self.channel, o.channel.map(Some), key, "channel");
        set(&mut self.repository, o.repository.map(Some), key, "repository");
        set(&mut self.check_interval, o.check_interval, key, "check_interval");
        set(&mut self.check_prereleases, o.check_prereleases, key, "check_prereleases");
        set(&mut self.minimum_version, o.minimum_version.map(Some), key, "minimum_version");
        set(&mut self.allowed, o.allowed.map(Some), key, "allowed");
        set(&mut self.ignored, o.ignored, key, "ignored");
        set(&mut self.ignore, o.ignore, key, "ignore");
        set(&mut self.notifications, o.notifications, key, "notifications");
        set(&mut self.enabled, o.enabled, key, "enabled");
    }
}

/// Names components: a kind, an id, or a pattern of ids in which `*` stands for any text and `?` for one character.
///
/// An id without the name of a cluster in front names the component in every cluster.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Kind(String),
    Id,
    Pattern(GlobMatcher),
}

/// How closely a selector names a component; greater wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    Kind,
    Pattern { literal: usize },
    IdInAnyCluster,
    Id,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a pattern.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 300 || text.chars().any(char::is_control) {
            return Err("not a component kind, id or pattern".to_owned());
        }
        let form = if text.contains(['*', '?']) {
            let pattern = globset::escape(text).replace("[*]", "*").replace("[?]", "?");
            let glob = GlobBuilder::new(&pattern).literal_separator(false).build();
            Form::Pattern(glob.map_err(|error| format!("not a pattern: {}", error.kind()))?.compile_matcher())
        } else if text.contains(['/', ':']) {
            Form::Id
        } else {
            Form::Kind(if text == "images" { "image".to_owned() } else { text.to_owned() })
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The component kind that the selector speaks of, where that is plain.
    pub(super) fn kind(&self) -> Option<&str> {
        match &self.form {
            Form::Kind(kind) => KINDS.contains(&kind.as_str()).then_some(kind.as_str()),
            Form::Id | Form::Pattern(_) => {
                let id = without_cluster(&self.text);
                let first = id.split('/').next().unwrap_or(id);
                KINDS.iter().copied().find(|kind| *kind == first)
            }
        }
    }

    /// The word of a selector that is one word.
    pub(super) fn word(&self) -> Option<&str> {
        match self.form {
            Form::Kind(_) => Some(&self.text),
            _ => None,
        }
    }

    /// Whether the selector names the component.
    pub fn matches(&self, id: &str, kind: &str) -> bool {
        self.closeness(id, kind).is_some()
    }

    /// Whether the selector is for something in particular: an id, or a kind that only a repository's own rules have.
    pub(super) fn names_one_thing(&self) -> bool {
        match &self.form {
            Form::Kind(kind) => !KINDS.contains(&kind.as_str()),
            Form::Id => true,
            Form::Pattern(_) => false,
        }
    }

    pub(super) fn closeness(&self, id: &str, kind: &str) -> Option<Match> {
        let bare = without_cluster(id);
        if self.text == id {
            return Some(Match::Id);
        }
        if self.text == bare {
            return Some(Match::IdInAnyCluster);
        }
        match &self.form {
            Form::Kind(wanted) => (wanted == kind).then_some(Match::Kind),
            Form::Id => None,
            Form::Pattern(glob) => (glob.is_match(id) || glob.is_match(bare)).then(|| Match::Pattern {
                literal: self.text.chars().filter(|c| !matches!(c, '*' | '?')).count(),
            }),
        }
    }
}

/// The id without the cluster's name, where one stands in front (`staging:helm/a/b`).
fn without_cluster(id: &str) -> &str {
    match (id.find(':'), id.find('/')) {
        (Some(colon), slash) if slash.is_none_or(|slash| colon < slash) => &id[colon + 1..],
        _ => id,
    }
}

/// The validated `detection` block.
#[derive(Debug, Clone, Default)]
pub struct Detection {
    pub(super) defaults: Overrides,
    /// Path of the key in the file, selector, and what is set.
    pub(super) components: Vec<(String, Selector, Overrides)>,
}

impl Detection {
    /// What holds for a component: defaults, then kind, then patterns, then id.
    pub fn settings_for(&self, id: &str, kind: &str) -> Settings {
        let mut settings = Settings::default();
        settings.apply("detection", &self.defaults);
        let mut matching: Vec<_> = self
            .components
            .iter()
            .filter_map(|(key, selector, overrides)| {
                selector.closeness(id, kind).map(|closeness| (closeness, &selector.text, key, overrides))
            })
            .collect();
        matching.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        for (_, _, key, overrides) in matching {
            settings.apply(key, overrides);
        }
        settings
    }

    /// Keys with an id, or a kind of nobody's, that no component of the run has, for a hint; `components` are pairs of id and kind.
    pub fn unused_ids<'a>(
        &'a self,
        components: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Vec<&'a str> {
        self.components
            .iter()
            .filter(|(_, selector, _)| selector.names_one_thing())
            .filter(|(_, selector, _)| !components.clone().any(|(id, kind)| selector.matches(id, kind)))
            .map(|(key, _, _)| key.as_str())
            .collect()
    }

    /// What the block says, one line a key, for `config check`.
    pub fn summary(&self) -> Vec<String> {
        let line = |key: &str, overrides: &Overrides| {
            let settings = overrides.text();
            (!settings.is_empty()).then(|| format!("{key}: {}", settings.join(", ")))
        };
        let defaults = line("detection", &self.defaults);
        defaults
            .into_iter()
            .chain(self.components.iter().filter_map(|(key, _, overrides)| line(key, overrides)))
            .collect()
    }
}

//! The `policy` and `windows` blocks, validated: what holds for which component, and which key says so.

use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};

use super::detection::{Match, Selector};
use crate::domain::duration::in_words;
use crate::domain::plan::Approval;
use crate::domain::policy::window::Window;
use crate::domain::policy::{Applied, ComponentPolicy, RangeEdits, Verification};
use crate::domain::select::Ignored;
use crate::domain::version::range::Range;

/// The validated `policy` block.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub(super) defaults: PolicyOverrides,
    pub(super) components: Vec<Block<Selector>>,
    pub(super) namespaces: Vec<Block<Wildcard>>,
    pub(super) paths: Vec<Block<PathPattern>>,
}

/// A key of the file, what it names, and what is set.
#[derive(Debug, Clone)]
pub(super) struct Block<T> {
    pub(super) key: String,
    pub(super) names: T,
    pub(super) sets: PolicyOverrides,
}

/// What one key of `policy` sets; `None` leaves it to a more general key.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PolicyOverrides {
    pub(super) gates: GateOverrides,
    pub(super) minimum_release_age: Option<Duration>,
    pub(super) ranges: Option<RangeEdits>,
    pub(super) verification: Option<Verification>,
    pub(super) allowed: Option<Range>,
    pub(super) denied: Option<Vec<Ignored>>,
}

/// Gates that one key sets.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GateOverrides {
    pub(super) patch: Option<Approval>,
    pub(super) minor: Option<Approval>,
    pub(super) major: Option<Approval>,
    pub(super) prerelease: Option<Approval>,
    pub(super) digest: Option<Approval>,
    pub(super) build: Option<Approval>,
}

/// Names of namespaces: `*` stands for any text, `?` for one character.
#[derive(Debug, Clone)]
pub(super) struct Wildcard {
    matcher: GlobMatcher,
    literal: usize,
}

impl Wildcard {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 300 || text.chars().any(char::is_control) {
            return Err("not a namespace or a pattern of namespaces".to_owned());
        }
        let pattern = globset::escape(text).replace("[*]", "*").replace("[?]", "?");
        let glob = GlobBuilder::new(&pattern).literal_separator(false).build();
        let matcher = glob.map_err(|error| format!("not a pattern: {}", error.kind()))?.compile_matcher();
        Ok(Self { matcher, literal: literal(text) })
    }
}

/// Paths within the repository, as in `files.exclude`.
#[derive(Debug, Clone)]
pub(super) struct PathPattern {
    matcher: GlobMatcher,
    literal: usize,
}

impl PathPattern {
    /// The caller has checked that the pattern stays within the repository.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let trimmed = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
        let pattern = match trimmed.strip_prefix('/') {
            Some(anchored) => anchored.to_owned(),
            None if trimmed.contains('/') => trimmed.to_owned(),
            None => format!("**/{trimmed}"),
        };
        let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
        let matcher = glob.map_err(|error| format!("not a pattern: {}", error.kind()))?.compile_matcher();
        Ok(Self { matcher, literal: literal(trimmed) })
    }

    /// Whether the file, or a folder that it lies in, is meant.
    fn matches(&self, file: &str) -> bool {
        file.match_indices('/')
            .map(|(end, _)| &file[..end])
            .chain([file])
            .any(|part| self.matcher.is_match(part))
    }
}

/// Characters that stand for themselves: more of them name a thing more closely.
fn literal(text: &str) -> usize {
    text.chars().filter(|c| !matches!(c, '*' | '?')).count()
}

/// How closely a key of `policy` names a component; greater wins. Where a thing is written or runs says more about
/// what may happen to it than what it is, but for the one thing itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Kind,
    Pattern { literal: usize },
    Namespace { literal: usize },
    Path { literal: usize },
    Id(Match),
}

impl Policy {
    /// What holds for a component that is written in `files`: where they fall under different keys, the strictest.
    pub fn for_component(
        &self,
        id: &str,
        kind: &str,
        namespace: Option<&str>,
        files: &[&str],
    ) -> ComponentPolicy {
        let mut blocks = self.blocks_for(id, kind, namespace);
        let elsewhere = |file: &&&str| !self.paths.iter().any(|path| path.names.matches(file));
        // Files that no path names are all alike.
        let mut policies = vec![];
        if files.is_empty() || files.iter().any(|file| elsewhere(&file)) {
            policies.push(applied(&self.defaults, &mut blocks));
        }
        for file in files.iter().filter(|file| !elsewhere(file)) {
            let by_path = self.paths.iter().filter(|path| path.names.matches(file));
            let ranked = by_path
                .map(|path| (Rank::Path { literal: path.names.literal }, path.key.as_str(), &path.sets));
            let mut all: Vec<_> = blocks.iter().copied().chain(ranked).collect();
            policies.push(applied(&self.defaults, &mut all));
        }
        policies.into_iter().reduce(ComponentPolicy::and).unwrap_or_default()
    }

    fn blocks_for(&self, id: &str, kind: &str, namespace: Option<&str>) -> Vec<Ranked<'_>> {
        let by_component = self.components.iter().filter_map(|block| {
            let rank = match block.names.closeness(id, kind)? {
                Match::Kind => Rank::Kind,
                Match::Pattern { literal } => Rank::Pattern { literal },
                exact => Rank::Id(exact),
            };
            Some((rank, block.key.as_str(), &block.sets))
        });
        let by_namespace = self
            .namespaces
            .iter()
            .filter(|block| namespace.is_some_and(|namespace| block.names.matcher.is_match(namespace)))
            .map(|block| (Rank::Namespace { literal: block.names.literal }, block.key.as_str(), &block.sets));
        by_component.chain(by_namespace).collect()
    }

    /// Keys of components that no component of the run has, for a hint; `components` are pairs of id and kind.
    pub fn unused_ids<'a>(
        &'a self,
        components: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Vec<&'a str> {
        self.components
            .iter()
            .filter(|block| block.names.names_one_thing())
            .filter(|block| !components.clone().any(|(id, kind)| block.names.matches(id, kind)))
            .map(|block| block.key.as_str())
            .collect()
    }

    /// What the block says, one line a key, for `config check`.
    pub fn summary(&self) -> Vec<String> {
        let line = |key: &str, sets: &PolicyOverrides| {
            let text = sets.text();
            (!text.is_empty()).then(|| format!("{key}: {}", text.join(", ")))
        };
        let components = self.components.iter().map(|block| (&block.key, &block.sets));
        let namespaces = self.namespaces.iter().map(|block| (&block.key, &block.sets));
        let paths = self.paths.iter().map(|block| (&block.key, &block.sets));
        line("policy", &self.defaults)
            .into_iter()
            .chain(components.chain(namespaces).chain(paths).filter_map(|(key, sets)| line(key, sets)))
            .collect()
    }
}

type Ranked<'a> = (Rank, &'a str, &'a PolicyOverrides);

fn applied(defaults: &PolicyOverrides, blocks: &mut [Ranked<'_>]) -> ComponentPolicy {
    blocks.sort_by_key(|(rank, key, _)| (*rank, *key));
    let mut policy = ComponentPolicy::default();
    defaults.apply_to(&mut policy, "policy");
    for (_, key, sets) in blocks {
        sets.apply_to(&mut policy, key);
    }
    policy
}

impl PolicyOverrides {
    fn apply_to(&self, policy: &mut ComponentPolicy, key: &str) {
        fn set<T: Clone>(place: &mut Applied<T>, value: Option<&T>, key: &str, field: &str) {
            if let Some(value) = value {
                *place = Applied { value: value.clone(), by: format!("{key}.{field}") };
            }
        }
        let (gates, given) = (&mut policy.gates, &self.gates);
        set(&mut gates.patch, given.patch.as_ref(), key, "semver_gates.patch");
        set(&mut gates.minor, given.minor.as_ref(), key, "semver_gates.minor");
        set(&mut gates.major, given.major.as_ref(), key, "semver_gates.major");
        set(&mut gates.prerelease, given.prerelease.as_ref(), key, "semver_gates.prerelease");
        set(&mut gates.digest, given.digest.as_ref(), key, "semver_gates.digest");
        if let Some(value) = given.build {
            gates.build = Some(Applied { value, by: format!("{key}.semver_gates.build") });
        }
        set(&mut policy.minimum_release_age, self.minimum_release_age.as_ref(), key, "minimum_release_age");
        set(&mut policy.ranges, self.ranges.as_ref(), key, "ranges");
        set(&mut policy.verification, self.verification.as_ref(), key, "verification");
        if let Some(range) = &self.allowed {
            policy.allowed = vec![Applied { value: range.clone(), by: format!("{key}.allowed") }];
        }
        if let Some(denied) = &self.denied {
            let by = format!("{key}.denied");
            policy.denied =
                denied.iter().map(|denied| Applied { value: denied.clone(), by: by.clone() }).collect();
        }
    }

    fn text(&self) -> Vec<String> {
        let gate = |value: Option<Approval>, what: &str| {
            value.map(|approval| format!("{what} {}", approval.as_str()))
        };
        let gates = &self.gates;
        let list = [
            gate(gates.patch, "patch"),
            gate(gates.minor, "minor"),
            gate(gates.major, "major"),
            gate(gates.prerelease, "prerelease"),
            gate(gates.digest, "digest"),
            gate(gates.build, "build"),
            self.minimum_release_age.map(|age| match age {
                Duration::ZERO => "of any age".to_owned(),
                age => format!("at least {} old", in_words(age)),
            }),
            self.ranges.map(|ranges| {
                match ranges {
                    RangeEdits::Keep => "ranges kept",
                    RangeEdits::Widen => "ranges widened",
                }
                .to_owned()
            }),
            self.verification.map(|verification| match verification {
                Verification::Observed => "verified in the cluster".to_owned(),
                Verification::Merged { settle } => {
                    format!("verified {} after the merge", in_words(settle))
                }
            }),
            self.allowed.as_ref().map(|range| format!("only {range}")),
            self.denied.as_ref().map(|denied| {
                let denied: Vec<_> = denied.iter().map(ToString::to_string).collect();
                format!("never {}", denied.join(" or "))
            }),
        ];
        list.into_iter().flatten().collect()
    }
}

/// A window and the components that it is for.
#[derive(Debug, Clone)]
pub struct WindowRule {
    /// The window.
    pub window: Window,
    /// Empty = those that no window names.
    pub(super) components: Vec<Selector>,
}

impl WindowRule {
    /// Kinds, ids and patterns that the window is for, as written; none = all components that no window names.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.iter().map(Selector::text)
    }
}

/// The windows of a component: those that name it, else those that name none.
pub(super) fn windows_for<'a>(rules: &'a [WindowRule], id: &str, kind: &str) -> Vec<&'a Window> {
    let names = |rule: &&WindowRule| rule.components.iter().any(|selector| selector.matches(id, kind));
    let named: Vec<_> = rules.iter().filter(names).map(|rule| &rule.window).collect();
    if named.is_empty() {
        return rules.iter().filter(|rule| rule.components.is_empty()).map(|rule| &rule.window).collect();
    }
    named
}

//! Makes the report's entry of a component from what its upstream answered.

use std::collections::BTreeSet;

use super::component::{Component, Given, Pin, UpdateType};
use super::notes;
use super::report::{DigestEntry, Entry, PinEntry, Status, UpstreamEntry};
use super::select::{self, Newer, Outcome, Request, Selection, Wish, select};
use super::upstream::{Answer, Candidate, UpstreamFailure, UpstreamRef};

/// Most breaking changes that one entry lists.
const MAX_BREAKING: usize = 50;
/// Longest text of a chart that is repeated, in characters.
const MAX_QUOTED: usize = 80;

/// What the configuration says about one component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Set where the component is not to be looked at, with the reason.
    pub ignored: Option<String>,
    /// What it may move to. The component's own wish for pre-releases and its tag prefix are added.
    pub wish: Wish,
    /// Where to read what changed, instead of what the upstream says.
    pub changelog_url: Option<String>,
}

/// Whether the component's upstream has to be asked at all.
pub fn needs_answer(component: &Component, settings: &Settings) -> bool {
    settings.ignored.is_none() && component.managed_elsewhere.is_none() && component.upstream.is_ok()
}

/// The entry of a component that [needs no answer](needs_answer): ignored, managed elsewhere, or without a known
/// upstream.
pub fn assess_unasked(component: &Component, settings: &Settings) -> Entry {
    let mut entry = bare_entry(component, settings);
    (entry.status, entry.reason) =
        match (&settings.ignored, &component.managed_elsewhere, &component.upstream) {
            (Some(reason), _, _) => (Status::Ignored, Some(reason.clone())),
            (None, Some(reason), _) => (Status::ManagedElsewhere, Some(reason.clone())),
            (None, None, Err(reason)) => (Status::Unresolved, Some(reason.clone())),
            (None, None, Ok(_)) => (Status::Unresolved, Some("the upstream was not asked".to_owned())),
        };
    entry
}

/// The entry of a component, from what its upstream answered.
pub fn assess(
    component: &Component,
    answer: Result<&Answer, &UpstreamFailure>,
    settings: &Settings,
) -> Entry {
    if !needs_answer(component, settings) {
        return assess_unasked(component, settings);
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            let mut entry = bare_entry(component, settings);
            entry.reason = Some(failure.to_string());
            return entry;
        }
    };
    let wish = wish_of(component, settings);
    let given = effective_given(component);
    let digest = component.digest.as_deref();
    let selection = select(&Request { given: &given, scheme: component.scheme, digest, wish: &wish }, answer);
    fill(component, settings, answer, &wish, selection)
}

/// Every version that the component may move to, oldest first; the last is the target of [`assess`].
pub fn newer<'a>(component: &Component, answer: &'a Answer, settings: &Settings) -> Newer<'a> {
    if !needs_answer(component, settings) {
        return Newer::default();
    }
    let wish = wish_of(component, settings);
    let given = effective_given(component);
    let digest = component.digest.as_deref();
    select::newer(&Request { given: &given, scheme: component.scheme, digest, wish: &wish }, answer)
}

fn wish_of(component: &Component, settings: &Settings) -> Wish {
    let mut wish = settings.wish.clone();
    if component.tag_prefix.is_some() {
        wish.tag_prefix.clone_from(&component.tag_prefix);
    }
    wish
}

/// Flux installs the newest release of a chart for which no version is given.
fn effective_given(component: &Component) -> Given {
    match &component.given {
        Given::Nothing(_) if is_chart(component) => Given::Range("*".to_owned()),
        given => given.clone(),
    }
}

fn is_chart(component: &Component) -> bool {
    matches!(component.upstream, Ok(UpstreamRef::HelmChart { .. } | UpstreamRef::Oci { chart: true, .. }))
}

/// What is known before anyone is asked; unresolved until then.
fn bare_entry(component: &Component, settings: &Settings) -> Entry {
    let current_version = match &component.given {
        Given::Exact(text) | Given::Range(text) | Given::Channel(text) => Some(text.clone()),
        Given::Nothing(_) => None,
    };
    let upstream = component.upstream.as_ref().ok().map(|upstream| UpstreamEntry {
        kind: upstream.kind().to_owned(),
        url: upstream.url(),
        name: upstream.name(),
    });
    Entry {
        kind: component.kind.clone(),
        name: component.name.clone(),
        namespace: component.namespace.clone(),
        cluster: component.cluster.clone(),
        status: Status::Unresolved,
        reason: None,
        current_version,
        available_version: None,
        resolves_to: None,
        update_type: UpdateType::None,
        security_update: None,
        security_advisories: Vec::new(),
        breaking_changes: Vec::new(),
        changelog_url: settings.changelog_url.clone(),
        released_at: None,
        warnings: component.warnings.clone(),
        deep: None,
        upstream,
        pins: component.pins.iter().map(pin_entry).collect(),
    }
}

fn pin_entry(pin: &Pin) -> PinEntry {
    PinEntry {
        file: pin.file.clone(),
        line: pin.line,
        column: pin.column,
        document: pin.document,
        route: pin.route.clone(),
        span: [pin.span.0, pin.span.1],
        text: pin.text.clone(),
        rule: pin.rule.clone(),
        applied: pin.applied,
        digest: pin.digest.as_ref().map(|digest| DigestEntry {
            line: digest.line,
            column: digest.column,
            route: digest.route.clone(),
            span: [digest.span.0, digest.span.1],
            text: digest.text.clone(),
        }),
    }
}

fn fill(
    component: &Component,
    settings: &Settings,
    answer: &Answer,
    wish: &Wish,
    selection: Selection<'_>,
) -> Entry {
    let mut entry = bare_entry(component, settings);
    match &selection.outcome {
        Outcome::UpToDate => entry.status = Status::UpToDate,
        Outcome::Update => entry.status = Status::UpdateAvailable,
        Outcome::NotPinned { resolves_to, reason } => {
            entry.status = Status::NotPinned;
            entry.reason = Some(match &component.given {
                Given::Nothing(reason) => format!("Git does not say which version runs ({reason})"),
                _ => reason.clone(),
            });
            entry.resolves_to.clone_from(resolves_to);
        }
        Outcome::Unresolved { reason } => entry.reason = Some(reason.clone()),
    }
    entry.update_type = selection.update_type;
    if let Some(target) = selection.target {
        entry.released_at = target.released_at;
        if entry.changelog_url.is_none() {
            entry.changelog_url.clone_from(&target.notes_url);
        }
        let advisories = advisories(component, selection.current, &selection.between);
        entry.security_update = security_update(&selection, &advisories);
        entry.security_advisories = advisories.into_iter().collect();
        let from = entry.resolves_to.as_deref().or(entry.current_version.as_deref()).unwrap_or_default();
        let way = Way {
            component,
            tag_prefix: wish.tag_prefix.as_deref(),
            update_type: entry.update_type,
            from,
            current: selection.current,
            target,
            between: &selection.between,
        };
        entry.breaking_changes = way.breaking_changes();
    } else if entry.status == Status::UpToDate {
        entry.security_update = Some(false);
    }
    if entry.changelog_url.is_none() {
        entry.changelog_url.clone_from(&answer.changelog_url);
    }
    entry.available_version = selection.target_text;
    entry.warnings.extend(selection.warnings);
    entry
}

/// What the notes on the way name. Those of a later build of what is installed (`+k3s2`) repeat what its own notes say:
/// that was fixed before.
fn advisories(
    component: &Component,
    current: Option<&Candidate>,
    between: &[&Candidate],
) -> BTreeSet<String> {
    let named = |candidate: &Candidate| candidate.notes.as_deref().map(notes::advisories).unwrap_or_default();
    let version = |candidate: &Candidate| component.scheme.parse(&candidate.version);
    let (known, installed) = (current.map(named).unwrap_or_default(), current.and_then(version));
    let is_rebuild = |candidate: &Candidate| {
        let both = installed.as_ref().zip(version(candidate));
        both.is_some_and(|(installed, newer)| {
            installed.same_release(&newer) && installed.is_prerelease() == newer.is_prerelease()
        })
    };
    let news = between.iter().flat_map(|candidate| {
        let is_rebuild = is_rebuild(candidate);
        named(candidate).into_iter().map(move |name| (name, is_rebuild))
    });
    let is_new = |(name, is_rebuild): &(String, bool)| !is_rebuild || !known.contains(name);
    news.filter(is_new).map(|(name, _)| name).collect()
}

/// Notes that name nothing prove it only where no release on the way is without notes.
fn security_update(selection: &Selection<'_>, advisories: &BTreeSet<String>) -> Option<bool> {
    let has_notes =
        |candidate: &&Candidate| candidate.notes.as_deref().is_some_and(|notes| !notes.trim().is_empty());
    if !advisories.is_empty() {
        Some(true)
    } else if !selection.between.is_empty() && selection.between.iter().all(has_notes) {
        Some(false)
    } else {
        None
    }
}

/// The way from one version to another.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// The component.
    pub component: &'a Component,
    /// Its tags carry this before the version.
    pub tag_prefix: Option<&'a str>,
    /// What kind of step it is.
    pub update_type: UpdateType,
    /// Version that it begins at; of a range, what it resolves to.
    pub from: &'a str,
    /// The same as it is published, where it is.
    pub current: Option<&'a Candidate>,
    /// Version that it ends at.
    pub target: &'a Candidate,
    /// The versions after the first one up to the target, oldest first.
    pub between: &'a [&'a Candidate],
}

impl Way<'_> {
    /// Identifiers of the advisories that the notes on the way name, sorted.
    pub fn advisories(&self) -> Vec<String> {
        advisories(self.component, self.current, self.between).into_iter().collect()
    }

    /// Breaking changes on the way, as plain text; at most 50 of those that notes tell.
    pub fn breaking_changes(&self) -> Vec<String> {
        let mut changes = Vec::new();
        if is_chart(self.component) {
            changes.extend(self.chart_major());
            changes.extend(kubernetes_need(self.current, self.target));
        }
        if self.target.deprecated {
            changes.push(format!("`{}` is marked as deprecated", self.target.version));
        }
        let mut seen = BTreeSet::new();
        for candidate in self.between {
            for change in candidate.notes.as_deref().map(notes::breaking).unwrap_or_default() {
                if changes.len() < MAX_BREAKING && seen.insert(change.clone()) {
                    changes.push(format!("{}: {change}", candidate.version));
                }
            }
        }
        changes
    }

    /// `chart major 5 -> 6`
    fn chart_major(&self) -> Option<String> {
        if self.update_type != UpdateType::Major {
            return None;
        }
        let major = |text: &str| {
            let bare = self.tag_prefix.and_then(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
            self.component.scheme.parse(bare).map(|version| version.for_range().major)
        };
        Some(format!("chart major {} -> {}", major(self.from)?, major(&self.target.version)?))
    }
}

/// `needs Kubernetes >=1.34, was >=1.25`
fn kubernetes_need(current: Option<&Candidate>, target: &Candidate) -> Option<String> {
    let need = target.kube_version.as_deref().map(quoted).filter(|need| !need.is_empty())?;
    match current?.kube_version.as_deref().map(quoted) {
        Some(before) if before == need => None,
        Some(before) if !before.is_empty() => Some(format!("needs Kubernetes {need}, was {before}")),
        _ => Some(format!("needs Kubernetes {need}")),
    }
}

/// Text of a stranger on one line, bounded.
fn quoted(text: &str) -> String {
    let words: Vec<_> =
        text.split(|character: char| character.is_whitespace() || character.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_QUOTED).collect()
}

#[cfg(test)]
mod tests;

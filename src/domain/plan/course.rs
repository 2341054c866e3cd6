//! The versions of one component and the steps between them: ladder, gates, policy.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::input::{ApiUse, Input};
use super::subject::Subject;
use crate::domain::component::{Given, UpdateType, bare_id};
use crate::domain::policy::{Admission, BUILT_IN, Considered, DEFAULT, Hold, RangeEdits};
use crate::domain::report::Status;
use crate::domain::rule::Rule;
use crate::domain::rule::planning::{Gate, Ladder, Marked, Rungs};
use crate::domain::select::{in_form_of, step_type, strip_prefix};
use crate::domain::upstream::Candidate;

/// A component with all the versions that it has and may have.
pub(super) struct Course<'a> {
    pub(super) subject: &'a Subject,
    /// The rules that say how it moves, the most special first.
    pub(super) rules: Vec<&'a Rule>,
    /// The first is where it stands, then ascending.
    pub(super) nodes: Vec<Node<'a>>,
    /// Set where it must stay where it is, with the reason.
    pub(super) frozen: Option<Frozen>,
    ladder: Option<&'a Ladder>,
    /// Places that use what a gate's versions no longer serve, by gate.
    used: Vec<Vec<ApiUse>>,
    /// Lowest and highest minor of each major that there is.
    minors: BTreeMap<u64, (u64, u64)>,
    admissions: RefCell<HashMap<(usize, UpdateType), Admission>>,
    /// By minor before and after.
    removed: RefCell<HashMap<(u64, u64), Vec<ApiUse>>>,
}

/// One version.
pub(super) struct Node<'a> {
    /// As Git has or will have it.
    pub(super) text: String,
    /// As ranges see it; `None` where it cannot be understood.
    pub(super) version: Option<semver::Version>,
    /// As it is published; `None` for an installed version that the upstream does not list.
    pub(super) candidate: Option<&'a Candidate>,
}

/// Why a component does not move at all.
pub(super) struct Frozen {
    pub(super) gate: &'static str,
    pub(super) reason: String,
    /// Configuration key or rule that decided.
    pub(super) policy_applied: String,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone)]
pub(super) enum Obstacle<'a> {
    /// The user's policy.
    Policy(Hold),
    /// The version is known to be bad.
    Avoided(&'a Marked),
    /// It passes over a rung.
    Rung,
    /// It passes over a version that must be stopped at.
    Stop(&'a Marked),
    /// It enters from where it may not be entered.
    Entrance(&'a Gate),
    /// Manifests use what is no longer served.
    Removed(&'a Gate, Vec<ApiUse>),
    /// Manifests use Kubernetes APIs that are no longer served.
    RemovedKubernetes(u64, Vec<ApiUse>),
    /// It was released in an earlier month.
    EarlierMonth,
    /// When one of the two was released is not known.
    UnknownMonth,
}

impl<'a> Course<'a> {
    pub(super) fn new(input: &Input<'a>, subject: &'a Subject) -> Self {
        let component = &subject.component;
        let mut rules: Vec<&Rule> = input.rules.iter().filter(|rule| rule.moves(component)).collect();
        if rules.is_empty() {
            // Found by a comment alone: what holds for its kind holds for it.
            rules.extend(input.rules.iter().find(|rule| rule.component.kind == component.kind));
        }
        // What speaks of this very chart is more special than what owns or finds it.
        rules.sort_by_key(|rule| (!rule.planning.about.names(component), !rule.owns(component)));
        let ladder = rules.iter().find_map(|rule| rule.planning.ladder.as_ref());
        let frozen = frozen(input, subject);
        let candidates = if frozen.is_some() { &[][..] } else { &subject.candidates };
        let nodes = nodes(subject, candidates);
        let mut minors: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for version in nodes.iter().filter_map(|node| node.version.as_ref()) {
            let known = minors.entry(version.major).or_insert((version.minor, version.minor));
            *known = (known.0.min(version.minor), known.1.max(version.minor));
        }
        let used = ladder.iter().flat_map(|ladder| &ladder.gates);
        let used =
            used.map(|gate| gate.removes.iter().flat_map(|api| (input.uses_of)(api)).collect()).collect();
        Self {
            subject,
            rules,
            nodes,
            frozen,
            ladder,
            used,
            minors,
            admissions: RefCell::default(),
            removed: RefCell::default(),
        }
    }

    pub(super) fn id(&self) -> &'a str {
        &self.subject.component.id
    }

    /// Keeps the component where it is.
    pub(super) fn freeze(&mut self, frozen: Frozen) {
        self.nodes.truncate(1);
        self.frozen = Some(frozen);
    }

    /// The id without the name of a cluster before it.
    pub(super) fn bare_id(&self) -> &'a str {
        bare_id(self.id())
    }

    /// Index of the newest version.
    pub(super) fn newest(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Whether any newer version is one step away, if nothing else stands against it.
    pub(super) fn is_free(&self) -> bool {
        self.ladder.is_none_or(|ladder| {
            ladder.by == Rungs::Any
                && !ladder.build_months
                && ladder.stops.is_empty()
                && ladder.gates.is_empty()
        })
    }

    /// Whether a component is meant by a name in `after`: its id, its kind, or a rule that says how it moves.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.bare_id() == name
            || self.subject.component.kind == name
            || self.rules.iter().any(|rule| rule.id == name)
    }

    /// What goes first, by the most special rule that says so. The rule of the pin alone does not say it for what
    /// another rule owns: Flux may come by an OCIRepository, and is not one.
    pub(super) fn after(&self) -> &'a [String] {
        let component = &self.subject.component;
        let is_owned = self.rules.iter().any(|rule| rule.owns(component));
        let mut saying = self.rules.iter().filter(|rule| {
            !rule.planning.after.is_empty()
                && (!is_owned || rule.owns(component) || rule.planning.about.names(component))
        });
        saying.next().map(|rule| rule.planning.after.as_slice()).unwrap_or_default()
    }

    /// Why a step does not go to a newer version of the same minor, where there is one.
    pub(super) fn passed_up(&self, input: &Input<'_>, from: usize, to: usize) -> Option<String> {
        let minor =
            |node: usize| self.nodes[node].version.as_ref().map(|version| (version.major, version.minor));
        if self.is_free() || minor(to).is_none() {
            return None;
        }
        let newer = (to + 1..self.nodes.len()).rev().find(|node| minor(*node) == minor(to))?;
        let [before, text] = [from, newer].map(|node| self.nodes[node].text.as_str());
        Some(match self.step(input, from, newer) {
            Err(Obstacle::EarlierMonth) => {
                format!("{text} is newer, but was built in an earlier month than {before}")
            }
            Err(Obstacle::UnknownMonth) => format!("{text} is newer, but nobody says when it was built"),
            Err(Obstacle::Policy(hold)) => format!("{text} is newer, but held: {}", hold.reason),
            Err(Obstacle::Avoided(marked)) => format!("{text} is newer, but to be avoided: {}", marked.why),
            Err(_) => format!("{text} is newer, but cannot be reached from {before}"),
            Ok(()) => format!("{text} is newer, but the next step could not be taken from it"),
        })
    }

    /// Whether a version is known to be bad.
    pub(super) fn avoided(&self, node: usize) -> Option<&'a Marked> {
        let version = self.nodes[node].version.as_ref()?;
        self.ladder?.avoid.iter().find(|marked| marked.versions.matches_with_prereleases(version))
    }

    pub(super) fn update_type(&self, from: usize, to: usize) -> UpdateType {
        let component = &self.subject.component;
        let published = |node: usize| {
            self.nodes[node].candidate.map_or(self.nodes[node].text.as_str(), |listed| &listed.version)
        };
        if self.is_digest(from, to) {
            return UpdateType::Digest;
        }
        let from = if from == 0 { self.installed() } else { published(from) };
        step_type(component.scheme, component.tag_prefix.as_deref(), from, published(to))
    }

    /// The same version with another digest.
    fn is_digest(&self, from: usize, to: usize) -> bool {
        from == 0 && to == 1 && self.subject.entry.update_type == UpdateType::Digest
    }

    /// The installed version for comparison: for a range what it resolves to.
    fn installed(&self) -> &str {
        match (&self.subject.component.given, &self.subject.current) {
            (Given::Range(_), Some(current)) => &current.version,
            _ => &self.nodes[0].text,
        }
    }

    /// What policy says about a step. It is asked once for each version and kind of step: nothing else decides.
    pub(super) fn admission(&self, input: &Input<'_>, from: usize, to: usize) -> Admission {
        let key = (to, self.update_type(from, to));
        if let Some(known) = self.admissions.borrow().get(&key) {
            return known.clone();
        }
        let admission = match self.nodes[to].candidate {
            Some(candidate) => (input.policy)(&Considered {
                component: self.id(),
                from: if from == 0 { self.installed() } else { &self.nodes[from].text },
                candidate,
                update_type: key.1,
                scheme: self.subject.component.scheme,
                tag_prefix: self.subject.component.tag_prefix.as_deref(),
            }),
            // Only what is installed can be unlisted, and nothing moves to that.
            None => Admission::Hold(Hold {
                gate: "unresolved",
                reason: "the upstream does not list the version".to_owned(),
                policy_applied: "default".to_owned(),
                until: None,
                is_asked_again: false,
            }),
        };
        self.admissions.borrow_mut().insert(key, admission.clone());
        admission
    }

    /// Whether the ladder lets a step pass: no rung and no stop is left out.
    pub(super) fn reaches(&self, from: usize, to: usize) -> Result<(), Obstacle<'a>> {
        let Some(ladder) = self.ladder else { return Ok(()) };
        let (Some(low), Some(high)) = (&self.nodes[from].version, &self.nodes[to].version) else {
            return if self.is_free() { Ok(()) } else { Err(Obstacle::Rung) };
        };
        let in_reach = match ladder.by {
            Rungs::Any => true,
            Rungs::Major => high.major <= low.major + 1,
            Rungs::Minor if high.major == low.major => high.minor <= low.minor + 1,
            Rungs::Minor => {
                // Flux has no 1: the next major is the next that there is.
                let next = self.minors.range(low.major + 1..).next();
                let last = self.minors.get(&low.major).is_some_and(|(_, last)| low.minor == *last);
                last && next.is_some_and(|(major, (first, _))| (high.major, high.minor) == (*major, *first))
            }
        };
        if !in_reach {
            return Err(Obstacle::Rung);
        }
        let between = || self.nodes[from + 1..to].iter().filter_map(|node| node.version.as_ref());
        let passed = ladder.stops.iter().find(|stop| {
            let is_in = |version: &semver::Version| stop.versions.matches_with_prereleases(version);
            !is_in(low) && !is_in(high) && between().any(is_in)
        });
        passed.map_or(Ok(()), |stop| Err(Obstacle::Stop(stop)))
    }

    /// Whether a step can be taken as far as the component itself and the manifests go.
    pub(super) fn step(&self, input: &Input<'_>, from: usize, to: usize) -> Result<(), Obstacle<'a>> {
        self.reaches(from, to)?;
        if let Admission::Hold(hold) = self.admission(input, from, to) {
            return Err(Obstacle::Policy(hold));
        }
        self.avoided(to).map_or(Ok(()), |marked| Err(Obstacle::Avoided(marked)))?;
        let (Some(low), Some(high)) = (&self.nodes[from].version, &self.nodes[to].version) else {
            return Ok(());
        };
        for (gate, used) in self.entered(low, high) {
            if let Some(entrance) = &gate.from
                && !entrance.matches_with_prereleases(low)
            {
                return Err(Obstacle::Entrance(gate));
            }
            if !used.is_empty() {
                return Err(Obstacle::Removed(gate, used.to_vec()));
            }
        }
        if self.provides_kubernetes() && high.minor > low.minor {
            let mut known = self.removed.borrow_mut();
            let minors = (low.minor, high.minor);
            let uses = known.entry(minors).or_insert_with(|| (input.removed_apis)(low.minor, high.minor));
            if !uses.is_empty() {
                return Err(Obstacle::RemovedKubernetes(high.minor, uses.clone()));
            }
        }
        self.later_built(from, to)
    }

    /// The gates that a step passes, with the places that use what they remove.
    fn entered<'s>(
        &'s self,
        low: &semver::Version,
        high: &semver::Version,
    ) -> impl Iterator<Item = (&'a Gate, &'s [ApiUse])> {
        let gates = self.ladder.map(|ladder| ladder.gates.as_slice()).unwrap_or_default();
        gates.iter().zip(self.used.iter().map(Vec::as_slice)).filter(move |(gate, _)| {
            gate.to.matches_with_prereleases(high) && !gate.to.matches_with_prereleases(low)
        })
    }

    /// The gates that a step passes.
    pub(super) fn gates(&self, from: usize, to: usize) -> Vec<&'a Gate> {
        match (&self.nodes[from].version, &self.nodes[to].version) {
            (Some(low), Some(high)) => self.entered(low, high).map(|(gate, _)| gate).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn provides_kubernetes(&self) -> bool {
        self.rules.iter().any(|rule| rule.planning.provides.is_some())
    }

    /// Within a minor the order of versions is that of their dates.
    fn later_built(&self, from: usize, to: usize) -> Result<(), Obstacle<'a>> {
        let minor =
            |node: usize| self.nodes[node].version.as_ref().map(|version| (version.major, version.minor));
        if !self.ladder.is_some_and(|ladder| ladder.build_months) || minor(from) == minor(to) {
            return Ok(());
        }
        match (self.month(from), self.month(to)) {
            (Some(before), Some(after)) if after >= before => Ok(()),
            (Some(_), Some(_)) => Err(Obstacle::EarlierMonth),
            _ => Err(Obstacle::UnknownMonth),
        }
    }

    /// Year and month of the release, in UTC.
    pub(super) fn month(&self, node: usize) -> Option<(i16, i8)> {
        let released: Timestamp = self.nodes[node].candidate?.released_at?;
        let date = released.to_zoned(TimeZone::UTC).date();
        Some((date.year(), date.month()))
    }
}

/// Why nothing of a component may be edited, if that is so.
fn frozen(input: &Input<'_>, subject: &Subject) -> Option<Frozen> {
    let entry = &subject.entry;
    let reason = entry.reason.clone().unwrap_or_default();
    let frozen =
        |gate, by: &str| Some(Frozen { gate, reason: reason.clone(), policy_applied: by.to_owned() });
    match entry.status {
        Status::UpToDate | Status::UpdateAvailable => None,
        Status::NotPinned => match subject.component.given {
            Given::Range(_) => {
                let ranges = (input.ranges)(&subject.component.id);
                (ranges.value == RangeEdits::Keep).then(|| Frozen {
                    gate: "not_pinned",
                    reason: format!("{reason}; choose `ranges: widen` to have it widened, or pin it"),
                    // The key itself, so that it can be looked up: nobody wrote it where the default decides.
                    policy_applied: match ranges.by.as_str() {
                        DEFAULT => "policy.ranges (default)".to_owned(),
                        by => by.to_owned(),
                    },
                })
            }
            _ => frozen("not_pinned", BUILT_IN),
        },
        Status::Unresolved => frozen("unresolved", BUILT_IN),
        Status::ManagedElsewhere => frozen("managed_elsewhere", BUILT_IN),
        Status::Ignored => frozen("ignored", &(input.ignored_by)(&subject.component)),
    }
}

fn nodes<'a>(subject: &'a Subject, candidates: &'a [Candidate]) -> Vec<Node<'a>> {
    let component = &subject.component;
    let prefix = component.tag_prefix.as_deref();
    let listed = subject.current.as_ref();
    let pinned = match &component.given {
        Given::Exact(text) | Given::Range(text) | Given::Channel(text) => text.clone(),
        Given::Nothing(_) => String::new(),
    };
    let version = |text: &str| {
        let bare = strip_prefix(text, prefix).unwrap_or(text);
        component.scheme.parse(bare).map(|version| version.for_range())
    };
    let installed = match (&component.given, listed) {
        (Given::Exact(text), _) => version(text),
        (_, Some(listed)) => version(&listed.version),
        _ => None,
    };
    let is_digest = subject.entry.update_type == UpdateType::Digest;
    let digested = |text: &str, digest: Option<&str>| match digest {
        Some(digest) if is_digest => format!("{text}@{digest}"),
        _ => text.to_owned(),
    };
    let first =
        Node { text: digested(&pinned, component.digest.as_deref()), version: installed, candidate: listed };
    let newer = candidates.iter().map(|candidate| {
        let listed = listed.map(|listed| listed.version.as_str());
        let text = in_form_of(&pinned, listed, &candidate.version, component.scheme, prefix);
        Node {
            text: digested(&text, candidate.digest.as_deref()),
            version: version(&candidate.version),
            candidate: Some(candidate),
        }
    });
    let mut nodes: Vec<Node<'_>> = std::iter::once(first).chain(newer).collect();
    // Some upstreams publish one version under two names (`1.2.0`, `v1.2.0`): in Git both are the same text.
    nodes.dedup_by(|later, earlier| later.text == earlier.text);
    nodes
}

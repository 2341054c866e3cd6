//! One merged update, from its merge to the end: what is remembered of it and what is to be said of it now.

mod back;
mod branch;
mod forward;
mod nodes;
#[cfg(test)]
mod tests;
mod trials;
mod watch;
mod weigh;

use std::collections::BTreeMap;

use super::finding::{Finding, Severity, Subject};
use super::kind::Kind;
use super::line::{Merged, Moment};
use super::memory::{Remembered, Said};
use super::object::Detail;
use super::radius::{Radius, applied_by, same_version};
use super::readiness::{self, State, reason};
use super::rollout::{self, Clocks};
use super::settings::Settings;
use super::verdict::{Action, Reason, Verdict};
use super::window::Window;
use super::world::World;
use branch::Standing;

/// Most reasons that are told.
const REASONS: usize = 10;

/// What of an update is its way from node to node.
const ROLLOUT: &str = "rollout";

/// Kinds on which every judgement of Flux rests.
const KINDS: [Kind; 4] = [Kind::Kustomization, Kind::HelmRelease, Kind::FluxInstance, Kind::Pod];

/// One update that is being judged.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) update: Merged,
    pub(super) remembered: Remembered,
    /// Since when patience counts: the merge, or when a person took it up again.
    merged: Moment,
    radius: Radius,
    tries: BTreeMap<String, Try>,
    clocks: Clocks,
    window: Window,
    /// When health was looked at last.
    sampled: Option<Moment>,
    applied_since: Option<Moment>,
    /// What is touched has asked for the new version.
    asked: bool,
    /// What failed, while it is not known to be mended.
    regressed: Vec<Reason>,
    /// What the last sample found.
    bad: Vec<Reason>,
    /// What the last sample found that is dangerous and not of this update, or may have been there before.
    elsewhere: Vec<Reason>,
    held: Vec<Reason>,
    /// Nodes failed on their way, when it was looked last.
    rollout_failed: bool,
}

/// The tries of one object to get to the new version.
#[derive(Debug, Clone)]
struct Try {
    /// When the last one began.
    began: Moment,
    /// When it failed first.
    failed_first: Option<Moment>,
    /// When the last one failed; `None` while it is under way.
    failed: Option<Moment>,
}

/// What is to be said now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opinion {
    pub verdict: Verdict,
    pub action: Action,
    pub reasons: Vec<Reason>,
    pub clears_itself: bool,
}

impl Opinion {
    fn new(verdict: Verdict, action: Action, mut reasons: Vec<Reason>) -> Self {
        // One kind that is not seen is in the way of many objects.
        let mut told: Vec<Reason> = Vec::new();
        reasons.retain(|reason| {
            let is_new = !told.contains(reason);
            told.push(reason.clone());
            is_new
        });
        reasons.truncate(REASONS);
        let clears_itself = action == Action::Hold;
        Self { verdict, action, reasons, clears_itself }
    }

    fn for_good(mut self) -> Self {
        self.clears_itself = false;
        self
    }

    pub(super) fn said(&self) -> Said {
        Said { verdict: self.verdict, action: self.action }
    }
}

impl Case {
    pub(super) fn new(update: Merged, remembered: Remembered, world: &World) -> Self {
        let since = remembered.taken_up_at.max(remembered.merged_at);
        let merged = since.map_or(world.now(), |at| world.moment_of(at).min(world.now()));
        let mut remembered = remembered;
        if remembered.applied_since.is_some() {
            // What happened between two passes nobody saw.
            let gap = remembered.seen_until.map(|until| world.wall().duration_since(until).as_secs());
            remembered.unwatched += gap.and_then(|gap| u64::try_from(gap).ok()).unwrap_or_default();
        }
        let applied_since = remembered.applied_since.map(|at| world.moment_of(at).min(world.now()));
        // An earlier pass saw it fail, and its end may have come before it could do anything about it.
        let regressed = remembered.regressed_at.map(|at| {
            reason(
                "regressed_before",
                None,
                format!("it had failed at {at} already, and is not mended since"),
            )
        });
        Self {
            update,
            remembered,
            merged,
            radius: Radius::default(),
            tries: BTreeMap::new(),
            clocks: Clocks::default(),
            window: Window::default(),
            sampled: None,
            applied_since,
            asked: false,
            regressed: regressed.into_iter().collect(),
            bad: Vec::new(),
            elsewhere: Vec::new(),
            held: Vec::new(),
            rollout_failed: false,
        }
    }

    /// What is to be said now.
    pub(super) fn look(&mut self, world: &World, settings: &Settings) -> Opinion {
        self.remembered.seen_until = Some(world.wall());
        self.radius.widen(world, &self.update);
        self.note(world);
        self.note_trials(world, settings);
        if !self.held.is_empty() || self.remembered.held {
            let verdict = self.remembered.said.map_or(Verdict::Inconclusive, |said| said.verdict);
            let reasons = if self.held.is_empty() {
                vec![reason("held", None, "a person must say how it goes on")]
            } else {
                self.held.clone()
            };
            return Opinion::new(verdict, Action::Hold, reasons).for_good();
        }
        let opinion = match self.standing(world) {
            Standing::Lost => Opinion::new(
                Verdict::Unknown,
                Action::None,
                vec![reason("not_on_branch", None, "the branch does not have the commit any more")],
            ),
            Standing::Superseded(why) => Opinion::new(Verdict::Unknown, Action::None, vec![why]),
            Standing::Reverted(commit) => self.look_back(world, settings, &commit),
            Standing::In(commit) => self.look_forward(world, settings, &commit),
        };
        let waits = opinion.action == Action::Wait && opinion.verdict != Verdict::Healthy;
        if waits && world.now().since(self.merged) >= settings.cap(&self.update.component) {
            let mut reasons =
                vec![reason("no_answer_in_time", None, "nothing is proven after the longest time allowed")];
            reasons.extend(opinion.reasons);
            return Opinion::new(opinion.verdict, Action::Hold, reasons);
        }
        opinion
    }

    /// Records what cannot be reverted.
    fn note(&mut self, world: &World) {
        if self.update.kind == "k3s" {
            rollout::note(world, &self.update, &self.radius, &mut self.remembered);
        }
        if self.update.kind == "longhorn"
            && longhorn_version(world).is_some_and(|version| !same_version(version, &self.update.from))
        {
            self.remembered.longhorn_recorded = true;
        }
    }

    fn progress(&mut self, world: &World, settings: &Settings, version: &str) -> State {
        let patience = settings.node_restart(&self.update.component, &self.update.kind);
        rollout::progress(world, &self.radius, version, &self.remembered, &mut self.clocks, patience)
    }

    fn had(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let subject = Subject { kind: kind.label(), namespace: namespace.to_owned(), name: name.to_owned() };
        self.remembered.baseline.as_ref().is_some_and(|baseline| baseline.had(&subject))
    }

    /// Whether a Kustomization was unhealthy before: it said so, or was in the middle of something while what it had
    /// applied failed.
    fn was_unhealthy(&self, world: &World, namespace: &str, name: &str) -> bool {
        let Some(baseline) = &self.remembered.baseline else { return false };
        let own = (namespace.to_owned(), name.to_owned());
        let subject = Subject {
            kind: Kind::Kustomization.label(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let is_its = |finding: &Finding| {
            let Subject { kind, namespace, name } = &finding.subject;
            let object = Kind::of_label(kind).and_then(|kind| world.get(kind, namespace, name));
            object.and_then(applied_by).as_ref() == Some(&own)
        };
        let failing = || baseline.findings.iter().filter(|finding| finding.severity >= Severity::Failing);
        baseline.had(&subject) || baseline.tells_of(&subject) && failing().any(is_its)
    }

    /// A hold that only a person clears.
    fn hold(&mut self, verdict: Verdict, reasons: Vec<Reason>) -> Opinion {
        self.held.clone_from(&reasons);
        self.remembered.held = true;
        Opinion::new(verdict, Action::Hold, reasons).for_good()
    }
}

/// Longhorn's own record of its version.
fn longhorn_version(world: &World) -> Option<&str> {
    if readiness::unseen(world, Kind::LonghornSetting).is_some() {
        return None;
    }
    world.of(Kind::LonghornSetting).find(|setting| setting.meta.name == "current-longhorn-version").and_then(
        |setting| match &setting.detail {
            Detail::LonghornSetting(setting) if !setting.value.is_empty() => Some(setting.value.as_str()),
            _ => None,
        },
    )
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

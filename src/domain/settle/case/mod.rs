//! One merged update, from its merge to the end: what is remembered of it and what is to be said of it now.

mod branch;
mod nodes;
mod trials;
mod weigh;

use std::collections::BTreeMap;
use std::time::Duration;

use super::finding::{Finding, Severity, Subject};
use super::kind::Kind;
use super::line::{Merged, Moment};
use super::memory::{Remembered, Said};
use super::object::Detail;
use super::radius::{Radius, is_critical, same_version};
use super::readiness::{self, Failure, State, Then, reason};
use super::rollout::{self, Clocks};
use super::safety::{Change, may_revert};
use super::settings::Settings;
use super::statuses;
use super::symptoms::{is_new, restarted};
use super::verdict::{Action, Reason, Verdict};
use super::window::{Trend, Window};
use super::world::{Sight, World};
use branch::Standing;
use trials::Blame;
use weigh::Weight;

/// Most reasons that are told.
const REASONS: usize = 10;

/// What of an update is its way from node to node.
const ROLLOUT: &str = "rollout";

/// Kinds on which every judgement of Flux rests.
const KINDS: [Kind; 3] = [Kind::Kustomization, Kind::HelmRelease, Kind::Pod];

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
            applied_since,
            asked: false,
            regressed: regressed.into_iter().collect(),
            bad: Vec::new(),
            elsewhere: Vec::new(),
            held: Vec::new(),
            rollout_failed: false,
        }
    }

    /// Takes a sample of health in, where everything is applied and has settled.
    pub(super) fn sample(&mut self, world: &World, settings: &Settings, findings: &[Finding]) {
        let Some(from) = self.settled_from(world) else { return };
        if world.now() < from.after(settings.settle(&self.update.component)) {
            return;
        }
        let Some(baseline) = &self.remembered.baseline else { return self.sample_alone(world, findings) };
        let restarted = restarted(world, baseline);
        let findings = || findings.iter().chain(&restarted);
        let new =
            |finding: &&Finding| finding.severity >= Severity::Failing && is_new(world, baseline, finding);
        let at = self.remembered.merged_at;
        let (new, unknown): (Vec<&Finding>, Vec<&Finding>) =
            findings().filter(new).partition(|finding| baseline.could_see(finding));
        let (ours, others): (Vec<&Finding>, Vec<&Finding>) = new.into_iter().partition(|finding| {
            self.blame(finding).map_or_else(
                || {
                    settings.counts(&self.update.component, &finding.check)
                        || self.radius.covers(world, &self.update, at, finding)
                },
                |blame| blame == Blame::Ours,
            )
        });
        self.bad = ours.iter().copied().map(told).collect();
        let unsure = |finding: &Finding| self.blame(finding) == Some(Blame::Unsure);
        let touched = |finding: &Finding| self.radius.covers(world, &self.update, at, finding);
        let doubtful = others.iter().filter(|finding| unsure(finding)).chain(
            unknown.iter().filter(|finding| is_critical(finding) || touched(finding) || unsure(finding)),
        );
        let doubtful = doubtful.map(|finding| {
            let mut told = told(finding);
            told.text.push_str("; nobody can say how it was before the merge");
            told
        });
        let dangerous = others.iter().filter(|finding| is_critical(finding) && !unsure(finding));
        self.elsewhere = dangerous.copied().map(told).chain(doubtful).collect();
        self.window.add(!self.bad.is_empty());
        if ours.iter().any(|finding| is_critical(finding)) {
            self.regressed = self.bad.clone();
        }
    }

    /// A sample where nobody saw the cluster before the merge: nothing that is wrong is known to be new, and where
    /// nothing is wrong with what is touched, that is as good.
    fn sample_alone(&mut self, world: &World, findings: &[Finding]) {
        let at = self.remembered.merged_at;
        let counts = |finding: &&Finding| {
            finding.severity >= Severity::Failing
                && self.blame(finding).map_or_else(
                    || is_critical(finding) || self.radius.covers(world, &self.update, at, finding),
                    |blame| matches!(blame, Blame::Ours | Blame::Unsure),
                )
        };
        let wrong: Vec<Reason> = findings.iter().filter(counts).map(told).collect();
        self.bad = wrong;
        self.elsewhere.clear();
        self.window.add(!self.bad.is_empty());
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

    /// Records what cannot be taken back.
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

    /// The update was taken back: the cluster is watched until it is back, too.
    fn look_back(&mut self, world: &World, settings: &Settings, commit: &str) -> Opinion {
        let from = self.update.from.clone();
        let moved = self.remembered.cannot_go_back();
        if self.update.kind == "k3s" && moved {
            let failed = match self.progress(world, settings, &from) {
                State::Failing(failure) => Some(failure.reason),
                _ => None,
            };
            let contradiction = rollout::contradiction(world, &self.radius)
                .filter(|_| !self.remembered.nodes_moved.is_empty());
            if let Some(why) = contradiction.or(failed) {
                return self.hold(Verdict::Inconclusive, vec![why]);
            }
        }
        let states = self.states(world, settings, commit, &from);
        let mut waits = vec![reason("reverted", None, "it was taken back; the cluster is on its way")];
        let mut failing = Vec::new();
        for (_, state) in states {
            match state {
                State::Applied => {}
                State::Pending(why) | State::Suspended(why) | State::Unseen(why) => waits.push(why),
                State::Failing(failure) => failing.push(failure.reason),
            }
        }
        self.regressed.clear();
        // Nodes and data do not go back by themselves: somebody must see to it until they have.
        let action = if moved { Action::Wait } else { Action::None };
        if self.update.kind == "longhorn" && moved && !failing.is_empty() {
            return self.hold(Verdict::Inconclusive, failing);
        }
        if !failing.is_empty() {
            return Opinion::new(Verdict::Unknown, action, failing);
        }
        if waits.len() > 1 {
            return Opinion::new(Verdict::Unknown, action, waits);
        }
        let text = format!("it was taken back, and {from} is in place again");
        Opinion::new(Verdict::Healthy, Action::None, vec![reason("reverted", None, text)])
    }

    fn look_forward(&mut self, world: &World, settings: &Settings, commit: &str) -> Opinion {
        if let Some((verdict, action, reasons)) = statuses::opinion(world, &self.update, commit) {
            return Opinion::new(verdict, action, reasons);
        }
        let to = self.update.to.clone();
        let states = self.states(world, settings, commit, &to);
        self.keep_tries(world, &states);
        let mut unseen = Vec::new();
        let mut suspended = Vec::new();
        let mut waits = Vec::new();
        let mut failures = Vec::new();
        for (title, state) in states {
            match state {
                State::Applied => {}
                State::Unseen(why) => unseen.push(why),
                State::Suspended(why) => suspended.push(why),
                State::Pending(why) => waits.push(why),
                State::Failing(failure) => failures.push((title, failure)),
            }
        }
        self.rollout_failed = failures.iter().any(|(title, _)| title == ROLLOUT);
        if !unseen.is_empty() {
            self.unsettle();
            self.remembered.blind_until = Some(world.wall());
            return Opinion::new(Verdict::Unknown, Action::Wait, unseen);
        }
        if !suspended.is_empty() {
            self.unsettle();
            return if self.regressed.is_empty() {
                Opinion::new(Verdict::Unknown, Action::Hold, suspended)
            } else {
                suspended.extend(self.regressed.clone());
                Opinion::new(Verdict::Regressed, Action::Hold, suspended)
            };
        }
        if !failures.is_empty() || !waits.is_empty() {
            self.unsettle();
        } else if self.applied_since.is_none() {
            self.applied_since = Some(world.now());
            self.remembered.unwatched = 0;
            self.window.restart();
        }
        let mut doubts = Vec::new();
        for (title, failure) in &failures {
            match self.weigh(world, settings, title, failure, &failures, commit) {
                Weight::Ours(why) => {
                    self.regressed = vec![why];
                }
                Weight::Doubtful(why) => doubts.push(why),
                Weight::TooEarly(why) => waits.push(why),
            }
        }
        if !self.regressed.is_empty() && !self.is_mended(world, settings, &failures, &waits) {
            return self.regression(world);
        }
        if !doubts.is_empty() {
            return Opinion::new(Verdict::Inconclusive, Action::Hold, doubts);
        }
        if !waits.is_empty() {
            return Opinion::new(Verdict::Unknown, Action::Wait, waits);
        }
        self.health(world, settings)
    }

    /// How everything that is touched stands.
    fn states(
        &mut self,
        world: &World,
        settings: &Settings,
        commit: &str,
        version: &str,
    ) -> Vec<(String, State)> {
        let mut states = Vec::new();
        for (namespace, name) in &self.radius.kustomizations {
            let mut state = readiness::kustomization(world, (namespace, name), commit);
            // What was bad before is applied all the same.
            if let State::Failing(failure) = &state
                && let Then::ForEver { health: true, .. } = failure.then
                && self.had(Kind::Kustomization, namespace, name)
            {
                state = State::Applied;
            }
            states.push((format!("Kustomization/{namespace}/{name}"), state));
        }
        for (namespace, name) in &self.radius.releases {
            let state = readiness::release(world, (namespace, name), version);
            states.push((format!("HelmRelease/{namespace}/{name}"), state));
        }
        for (kind, namespace, name) in &self.radius.workloads {
            let state = readiness::workload(world, *kind, (namespace, name));
            // Only on the way there: afterwards it is health, which is sampled.
            if self.applied_since.is_none() {
                states.push((format!("{}/{namespace}/{name}", kind.label()), state));
            }
        }
        if self.update.kind == "k3s" {
            let state = self.progress(world, settings, version);
            states.push((ROLLOUT.to_owned(), state));
        }
        if states.is_empty() {
            let why = readiness::unseen(world, Kind::Kustomization).unwrap_or_else(|| {
                reason("not_found", None, "nothing in the cluster is known to have the version")
            });
            states.push(("nothing".to_owned(), State::Pending(why)));
        }
        states
    }

    fn progress(&mut self, world: &World, settings: &Settings, version: &str) -> State {
        let patience = settings.node_restart(&self.update.component, &self.update.kind);
        let baseline = self.remembered.baseline.as_ref();
        rollout::progress(world, &self.radius, version, baseline, &mut self.clocks, patience)
    }

    fn had(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let subject = Subject { kind: kind.label(), namespace: namespace.to_owned(), name: name.to_owned() };
        self.remembered.baseline.as_ref().is_some_and(|baseline| baseline.had(&subject))
    }

    /// Remembers when tries begin and fail.
    fn keep_tries(&mut self, world: &World, states: &[(String, State)]) {
        let now = world.now();
        for (title, state) in states {
            match state {
                State::Applied => {
                    self.tries.remove(title);
                    self.remembered.failing.remove(title);
                }
                State::Unseen(_) | State::Suspended(_) => {}
                State::Pending(why) => {
                    let of = self.tries.entry(title.clone()).or_insert(Try {
                        began: now,
                        failed_first: None,
                        failed: None,
                    });
                    // A new try begins where the last one failed, or the first has not begun.
                    if of.failed.take().is_some() || why.code == "not_applied" {
                        of.began = now;
                    }
                }
                State::Failing(failure) => {
                    // A try that nobody saw begin may have begun at any time since the merge.
                    let (merged, before) = (self.merged, self.remembered.failing.get(title).copied());
                    let of = self.tries.entry(title.clone()).or_insert_with(|| Try {
                        began: merged,
                        failed_first: before.map(|at| world.moment_of(at).min(now)),
                        failed: None,
                    });
                    // Patience begins when the controller does not promise an end any more.
                    if matches!(failure.then, Then::TriesAgain) {
                        of.failed_first = None;
                        self.remembered.failing.remove(title);
                    } else {
                        let first = *of.failed_first.get_or_insert(now);
                        self.remembered.failing.entry(title.clone()).or_insert(world.wall_at(first));
                    }
                    of.failed.get_or_insert(now);
                }
            }
        }
    }

    /// What failed is good again, and has been for a whole window.
    fn is_mended(
        &mut self,
        world: &World,
        settings: &Settings,
        failures: &[(String, Failure)],
        waits: &[Reason],
    ) -> bool {
        if !failures.is_empty() || !waits.is_empty() {
            return false;
        }
        let mended = self.applied_since.is_some() && self.trend(world, settings) == Trend::Passed;
        if mended {
            self.regressed.clear();
            self.remembered.regressed_at = None;
        }
        mended
    }

    /// It failed, and it is this update's fault.
    fn regression(&mut self, world: &World) -> Opinion {
        self.remembered.regressed_at.get_or_insert(world.wall());
        let mut reasons = self.regressed.clone();
        if let Some(other) = self.foreign(world) {
            let text = format!("commit {} changed the same files: a person is at work", short(&other));
            reasons.push(reason("person_at_work", None, text));
            return self.hold(Verdict::Regressed, reasons);
        }
        let change = Change {
            kind: &self.update.kind,
            planned: self.update.revert.as_deref(),
            from: &self.update.from,
            to: &self.update.to,
            node_touched: self.remembered.node_touched,
            longhorn: longhorn_version(world),
            longhorn_recorded: self.remembered.longhorn_recorded,
            flux_runs: flux_runs(world),
        };
        match may_revert(&change) {
            Ok(()) => Opinion::new(Verdict::Regressed, Action::Revert, reasons),
            Err(why) => {
                reasons.push(why);
                self.hold(Verdict::Regressed, reasons)
            }
        }
    }

    /// A hold that only a person clears.
    fn hold(&mut self, verdict: Verdict, reasons: Vec<Reason>) -> Opinion {
        self.held.clone_from(&reasons);
        self.remembered.held = true;
        Opinion::new(verdict, Action::Hold, reasons).for_good()
    }

    /// Everything is applied: what health says.
    fn health(&mut self, world: &World, settings: &Settings) -> Opinion {
        self.remembered.applied_since = self.settled_from(world).map(|from| world.wall_at(from));
        let trend = self.trend(world, settings);
        let bad = || self.bad.clone();
        match trend {
            Trend::Failed if self.disturbed_since_applied(world) => {
                Opinion::new(Verdict::Inconclusive, Action::Hold, bad())
            }
            Trend::Failed if self.remembered.baseline.is_none() => {
                let mut reasons = bad();
                let text = "nobody saw the cluster before the merge, so nobody knows what is new";
                reasons.push(reason("no_baseline", None, text));
                Opinion::new(Verdict::Inconclusive, Action::Hold, reasons)
            }
            Trend::Failed => {
                self.regressed = bad();
                if self.regressed.is_empty() {
                    self.regressed =
                        vec![reason("failure_rate", None, "too many samples of the window were bad")];
                }
                self.regression(world)
            }
            Trend::Flapping => {
                let mut reasons = vec![reason("flapping", None, "good and bad in turn")];
                reasons.extend(bad());
                Opinion::new(Verdict::Inconclusive, Action::Hold, reasons)
            }
            Trend::Doubtful => Opinion::new(Verdict::Inconclusive, Action::Wait, bad()),
            Trend::Good | Trend::Passed if !self.elsewhere.is_empty() => {
                Opinion::new(Verdict::Inconclusive, Action::Wait, self.elsewhere.clone())
            }
            Trend::Good => {
                let text = "applied, and nothing is worse than before; it is watched on";
                Opinion::new(Verdict::Healthy, Action::Wait, vec![reason("applied", None, text)])
            }
            Trend::Passed => {
                let text = "applied, and nothing was worse than before for the whole window";
                match self.not_observed(world).or_else(|| self.not_tried(world, settings)) {
                    Some(why) => Opinion::new(Verdict::Unknown, Action::Wait, vec![why]),
                    None => {
                        Opinion::new(Verdict::Healthy, Action::Complete, vec![reason("healthy", None, text)])
                    }
                }
            }
        }
    }

    /// What would have to be seen and may not be read: nothing wrong with it can be found, and nothing is proven.
    fn not_observed(&self, world: &World) -> Option<Reason> {
        let needed: &[Kind] = match self.update.kind.as_str() {
            "k3s" => &[Kind::Node, Kind::Plan, Kind::Pod, Kind::LonghornVolume],
            "longhorn" => &[Kind::Pod, Kind::Deployment, Kind::LonghornVolume, Kind::LonghornSetting],
            _ => &[Kind::Pod, Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet],
        };
        needed.iter().find_map(|kind| match world.sees(*kind) {
            Sight::Unseen { reason: why } => {
                Some(reason("unreadable", None, format!("{} cannot be looked at: {why}", kind.label())))
            }
            _ => None,
        })
    }

    fn trend(&self, world: &World, settings: &Settings) -> Trend {
        let component = &self.update.component;
        let length = settings.settle(component) + settings.window(component, &self.update.kind);
        let Some(from) = self.settled_from(world) else { return Trend::Good };
        // The window is time that somebody looked.
        let length = length.saturating_add(Duration::from_secs(self.remembered.unwatched));
        self.window.trend(settings, from, length, world.now())
    }

    /// Since when everything is applied, seen, and nothing below it has restarted.
    fn settled_from(&self, world: &World) -> Option<Moment> {
        let applied = self.applied_since?;
        let disturbed = world.disturbed().unwrap_or(applied);
        let sighted = world.blind_until(Kind::JUDGED, applied).unwrap_or(applied);
        Some(applied.max(disturbed).max(sighted))
    }

    /// Whether a node is away that was there before: what fails then need not be the update's fault.
    fn disturbed_since_applied(&self, world: &World) -> bool {
        self.update.kind != "k3s"
            && world
                .of(Kind::Node)
                .any(|node| !node.is("Ready") && !self.had(Kind::Node, "", &node.meta.name))
    }

    fn unsettle(&mut self) {
        self.applied_since = None;
        self.remembered.applied_since = None;
        self.remembered.unwatched = 0;
        self.window.restart();
        self.bad.clear();
        self.elsewhere.clear();
    }
}

/// A finding as a reason.
fn told(finding: &Finding) -> Reason {
    let Subject { kind, namespace, name } = &finding.subject;
    let title =
        if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{namespace}/{name}") };
    reason(&finding.check, Some(title), format!("{}: {}", finding.reason, finding.message))
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

/// Source- and kustomize-controller run, as far as they are seen.
fn flux_runs(world: &World) -> bool {
    world
        .of(Kind::Deployment)
        .filter(|object| {
            object.meta.labels.get("app.kubernetes.io/part-of").is_some_and(|of| of == "flux")
                && matches!(object.meta.name.as_str(), "source-controller" | "kustomize-controller")
        })
        .all(|object| matches!(&object.detail, Detail::Workload(workload) if workload.available > 0))
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

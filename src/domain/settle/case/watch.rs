//! Health after everything is applied: samples over the window, and what they come to.

use std::time::Duration;

use super::super::finding::{Finding, Severity, Subject};
use super::super::kind::Kind;
use super::super::line::Moment;
use super::super::radius::is_critical;
use super::super::readiness::{reason, unseen};
use super::super::settings::Settings;
use super::super::symptoms::{is_new, restarted};
use super::super::verdict::{Action, Reason, Verdict};
use super::super::window::Trend;
use super::super::world::{Sight, World};
use super::trials::Blame;
use super::{Case, Opinion};

impl Case {
    /// Takes a sample of health in, where everything is applied and has settled.
    pub(in super::super) fn sample(&mut self, world: &World, settings: &Settings, findings: &[Finding]) {
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
        self.sampled = Some(world.now());
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
        self.sampled = Some(world.now());
    }

    /// Why nothing can be said of health now: something is out of sight, or was and nobody has looked since.
    pub(super) fn out_of_sight(&self, world: &World) -> Option<Reason> {
        let until = world.blind_until(Kind::JUDGED, self.applied_since?)?;
        if self.sampled.is_some_and(|at| at >= until && until < world.now()) {
            return None;
        }
        let lost = Kind::JUDGED.iter().find(|kind| matches!(world.sees(**kind), Sight::Lost { .. }));
        Some(lost.and_then(|kind| unseen(world, *kind)).unwrap_or_else(|| {
            let text = "a part of the cluster was out of sight; its health is looked at anew";
            reason("out_of_sight", None, text)
        }))
    }

    /// Everything is applied: what health says.
    pub(super) fn health(&mut self, world: &World, settings: &Settings) -> Opinion {
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
            Trend::Good if let Some(why) = self.out_of_sight(world) => {
                Opinion::new(Verdict::Unknown, Action::Wait, vec![why])
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
            // Absent where no operator brings Flux.
            "flux" => &[Kind::FluxInstance, Kind::Pod, Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet],
            _ => &[Kind::Pod, Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet],
        };
        needed.iter().find_map(|kind| match world.sees(*kind) {
            Sight::Unseen { reason: why } => {
                Some(reason("unreadable", None, format!("{} cannot be looked at: {why}", kind.label())))
            }
            _ => None,
        })
    }

    pub(super) fn trend(&self, world: &World, settings: &Settings) -> Trend {
        let component = &self.update.component;
        let length = settings.settle(component) + settings.window(component, &self.update.kind);
        let Some(from) = self.settled_from(world) else { return Trend::Good };
        // The window is time that somebody looked.
        let length = length.saturating_add(Duration::from_secs(self.remembered.unwatched));
        self.window.trend(settings, from, length, world.now())
    }

    /// Since when everything is applied, seen, and nothing below it has restarted.
    pub(super) fn settled_from(&self, world: &World) -> Option<Moment> {
        let applied = self.applied_since?;
        let disturbed = world.disturbed().unwrap_or(applied);
        let sighted = world.blind_until(Kind::JUDGED, applied).unwrap_or(applied);
        Some(applied.max(disturbed).max(sighted))
    }

    /// Whether a node is away that was there before: what fails then need not be the update's fault.
    pub(super) fn disturbed_since_applied(&self, world: &World) -> bool {
        self.update.kind != "k3s"
            && world
                .of(Kind::Node)
                .any(|node| !node.is("Ready") && !self.had(Kind::Node, "", &node.meta.name))
    }

    pub(super) fn unsettle(&mut self) {
        self.applied_since = None;
        self.remembered.applied_since = None;
        self.remembered.unwatched = 0;
        self.window.restart();
        self.bad.clear();
        self.elsewhere.clear();
    }
}

/// A finding as a reason.
pub(super) fn told(finding: &Finding) -> Reason {
    let Subject { kind, namespace, name } = &finding.subject;
    let title =
        if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{namespace}/{name}") };
    reason(&finding.check, Some(title), format!("{}: {}", finding.reason, finding.message))
}

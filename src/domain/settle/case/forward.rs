//! An update that stands: whether everything that it touches is on its way, applied or failing, and what that means.

use std::time::Duration;

use super::super::kind::Kind;
use super::super::line::Moment;
use super::super::object::Detail;
use super::super::radius::same_version;
use super::super::readiness::{Failure, State, Then, bounded, reason};
use super::super::safety::{Change, may_revert};
use super::super::settings::Settings;
use super::super::verdict::{Action, Reason, Verdict};
use super::super::window::Trend;
use super::super::world::World;
use super::super::{readiness, statuses};
use super::longhorn_version;
use super::short;
use super::weigh::Weight;
use super::{Case, Opinion, ROLLOUT, Try};

/// Where Longhorn says which version it is.
const RECORDED: &str = "Setting.longhorn.io/longhorn-system/current-longhorn-version";
/// Code of what waits for the branch to be looked at again.
const AHEAD: &str = "ahead_of_branch";

impl Case {
    pub(super) fn look_forward(&mut self, world: &World, settings: &Settings, commit: &str) -> Opinion {
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
        if failures.is_empty()
            && self.regressed.is_empty()
            && !waits.is_empty()
            && waits.iter().all(|why| why.code == AHEAD)
        {
            // No new beginning: it was applied, and health is sampled on.
            return Opinion::new(Verdict::Unknown, Action::Wait, waits);
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
    pub(super) fn states(
        &mut self,
        world: &World,
        settings: &Settings,
        commit: &str,
        version: &str,
    ) -> Vec<(String, State)> {
        let mut states = Vec::new();
        for (namespace, name) in &self.radius.kustomizations {
            let mut state = readiness::kustomization(world, (namespace, name), commit);
            // It had the commit, and has one now that the branch was not seen to have: it is looked at again.
            if matches!(state, State::Pending(_))
                && self.applied_since.is_some()
                && readiness::is_ahead(world, (namespace, name), commit)
            {
                let object = Some(format!("Kustomization/{namespace}/{name}"));
                let text = "has applied a commit that is not seen on the branch yet";
                state = State::Pending(reason(AHEAD, object, text));
            }
            // What was bad before is applied all the same.
            if let State::Failing(failure) = &state
                && let Then::ForEver { health: true, .. } = failure.then
                && self.was_unhealthy(world, namespace, name)
            {
                state = State::Applied;
            }
            states.push((format!("Kustomization/{namespace}/{name}"), state));
        }
        for (kind, namespace, name) in &self.radius.built {
            if *kind == Kind::HelmRelease {
                let state = readiness::made(world, (namespace, name));
                states.push((format!("HelmRelease/{namespace}/{name}"), state));
            }
            // Where it applies our repository as well, that is what it is asked for.
            if *kind != Kind::Kustomization
                || self.radius.kustomizations.contains(&(namespace.clone(), name.clone()))
            {
                continue;
            }
            let mut state = readiness::built(world, (namespace, name), version);
            if let State::Failing(failure) = &state
                && let Then::ForEver { health: true, .. } = failure.then
                && self.was_unhealthy(world, namespace, name)
            {
                state = State::Applied;
            }
            states.push((format!("Kustomization/{namespace}/{name}"), state));
        }
        for (kind, namespace, name) in &self.radius.sources {
            // What a release is made of has its say there.
            if *kind == Kind::GitRepository || !self.radius.built.is_empty() {
                let state = readiness::source(world, *kind, (namespace, name), version);
                states.push((format!("{}/{namespace}/{name}", kind.label()), state));
            }
        }
        for (namespace, name) in &self.radius.releases {
            let state = readiness::release(world, (namespace, name), version);
            states.push((format!("HelmRelease/{namespace}/{name}"), state));
        }
        for (namespace, name) in &self.radius.instances {
            let state = readiness::instance(world, (namespace, name), version);
            states.push((format!("FluxInstance/{namespace}/{name}"), state));
        }
        if self.update.kind == "longhorn"
            && let Some(why) = not_recorded(world, version)
        {
            states.push((RECORDED.to_owned(), State::Pending(why)));
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
        // A workload that runs says nothing of who applies it, nor of when: without that nothing is proven.
        let is_applied = !self.radius.kustomizations.is_empty()
            || !self.radius.releases.is_empty()
            || !self.radius.instances.is_empty();
        let is_found = !self.radius.workloads.is_empty() || !self.radius.sources.is_empty();
        if states.is_empty() || (!is_applied && is_found) {
            let why = readiness::unseen(world, Kind::Kustomization).unwrap_or_else(|| {
                reason("not_found", None, "nothing in the cluster is known to apply the version")
            });
            states.push(("nothing".to_owned(), State::Pending(why)));
        }
        states
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

    /// Until when what failed and is good again is looked on before that counts; `None` where it is not good now.
    pub(in crate::domain::settle) fn mends_until(
        &self,
        world: &World,
        settings: &Settings,
    ) -> Option<Moment> {
        let is_good = !self.regressed.is_empty() && self.trend(world, settings) == Trend::Good;
        let from = self.settled_from(world).filter(|_| is_good)?;
        let component = &self.update.component;
        let length = settings.settle(component) + settings.window(component, &self.update.kind);
        Some(from.after(length.saturating_add(Duration::from_secs(self.remembered.unwatched))))
    }

    /// It failed, and it is this update's fault.
    pub(super) fn regression(&mut self, world: &World) -> Opinion {
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
}

/// That Longhorn has not recorded a version as its own: its managers have not all started with it (Longhorn manager,
/// `--upgrade-version-check`). Nothing is known where the setting is not seen.
fn not_recorded(world: &World, version: &str) -> Option<Reason> {
    // Charts of others name it behind a version of their own (`105.1.0+up1.7.2`).
    let version = version.rsplit_once("+up").map_or(version, |(_, of)| of);
    let recorded = longhorn_version(world).filter(|recorded| !same_version(recorded, version))?;
    let text = format!("is still {}, not {version}", bounded(recorded));
    Some(reason("not_recorded", Some(RECORDED.to_owned()), text))
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

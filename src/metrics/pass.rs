//! What passes say in numbers. Kinds of components are a bounded set: no label names a component, a version or a file.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Kind, Page};
use crate::config::KINDS;
use crate::domain::notice::kind_of;
use crate::domain::plan::PlanReport;
use crate::domain::report::Report;
use crate::domain::state::{Stage, State};

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Result {
    /// Everything was done.
    Ok,
    /// Something failed for a component; the rest was done.
    Incomplete,
    /// It could not go on.
    Failed,
}

impl Result {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// What one pass came to.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// Components by kind and status.
    pub components: BTreeMap<(String, String), u64>,
    /// Updates that fix a known vulnerability, by kind.
    pub security: BTreeMap<String, u64>,
    /// Steps that the plan holds, by kind and gate.
    pub blocked: BTreeMap<(String, String), u64>,
    /// Updates of the state by kind and stage.
    pub updates: BTreeMap<(String, Stage), u64>,
    /// Updates that ever came so far, by kind. The state keeps every update, and what an update has once been it has been
    /// for good: these never fall.
    pub ever: Ever,
    /// Failures of this pass by kind.
    pub failures: BTreeMap<String, u64>,
    /// Proposing and merging are stopped: by maintenance, by the kill switch, by too many reverts.
    pub stopped: [bool; 3],
}

/// How far updates ever came, by kind.
#[derive(Debug, Clone, Default)]
pub struct Ever {
    /// A pull request was to be opened.
    pub proposed: BTreeMap<String, u64>,
    /// It was merged.
    pub merged: BTreeMap<String, u64>,
    /// It was found to be good, whatever became of it since.
    pub verified: BTreeMap<String, u64>,
    /// Its merge was taken back, by the bot or by a person.
    pub reverted: BTreeMap<String, u64>,
}

/// What is counted since the program was started.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Passes by how they ended.
    pub passes: BTreeMap<Result, u64>,
    /// Messages that arrived, and that did not, by channel.
    pub notifications: BTreeMap<String, [u64; 2]>,
    /// The newest pass.
    pub last: Option<(Timestamp, Result)>,
    /// The newest pass that did not fail.
    pub last_good: Option<Timestamp>,
    /// How long each phase of the newest pass took.
    pub phases: Vec<(&'static str, Duration)>,
    /// What the newest pass that did not fail came to.
    pub numbers: Option<Numbers>,
}

/// The kind of a component; kinds of the user's own rules are one.
fn label(kind: &str) -> String {
    if KINDS.contains(&kind) { kind.to_owned() } else { "other".to_owned() }
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_insert(0) += 1;
}

impl Ever {
    fn of(state: &State) -> Self {
        let mut ever = Self::default();
        for update in state.updates.values() {
            for (came, counts) in [
                (true, &mut ever.proposed),
                (update.merged_at.is_some(), &mut ever.merged),
                (update.was_verified(), &mut ever.verified),
                (update.was_reverted(), &mut ever.reverted),
            ] {
                if came {
                    count(counts, label(kind_of(&update.component)));
                }
            }
        }
        ever
    }
}

impl Numbers {
    /// Counts what a pass found and left behind.
    pub fn of<'a>(
        report: &Report,
        plan: &PlanReport,
        state: &State,
        failures: impl IntoIterator<Item = &'a str>,
        stopped: bool,
        now: Timestamp,
    ) -> Self {
        let mut numbers = Self::default();
        for entry in report.update_report.components.values() {
            let status = serde_json::to_value(entry.status).ok();
            let status = status.as_ref().and_then(|status| status.as_str()).unwrap_or("unknown");
            count(&mut numbers.components, (label(&entry.kind), status.to_owned()));
            if entry.security_update == Some(true) {
                count(&mut numbers.security, label(&entry.kind));
            }
        }
        for held in &plan.held {
            count(&mut numbers.blocked, (label(kind_of(&held.component)), held.gate.clone()));
        }
        for update in state.updates.values() {
            let kind = label(kind_of(&update.component));
            count(&mut numbers.updates, (kind, update.stage));
        }
        numbers.ever = Ever::of(state);
        for component in failures {
            count(&mut numbers.failures, label(kind_of(component)));
        }
        let maintenance = state.maintenance.as_ref().is_some_and(|maintenance| maintenance.is_on(now));
        numbers.stopped = [maintenance, stopped, state.breaker.is_some()];
        numbers
    }
}

impl Totals {
    /// Notes how a pass ended.
    pub fn ended(&mut self, at: Timestamp, result: Result) {
        count(&mut self.passes, result);
        self.last = Some((at, result));
        if result != Result::Failed {
            self.last_good = Some(at);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

/// The page of metrics. `now` is for the age of the newest pass, where the page is asked for and not written.
pub fn page(totals: &Totals, now: Option<Timestamp>) -> Page {
    let mut page = Page::default();
    page.metric("gitops_updater_build_info", Kind::Gauge, "The program.")
        .add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.metric("gitops_updater_passes_total", Kind::Counter, "Passes since the program was started.");
    for (result, passes) in &totals.passes {
        page.add(&[("result", result.as_str())], number(*passes));
    }
    let seconds = |at: Timestamp| at.as_duration().as_secs_f64();
    if let Some((at, result)) = totals.last {
        page.metric("gitops_updater_last_pass_timestamp_seconds", Kind::Gauge, "When the newest pass ended.")
            .add(&[], seconds(at));
        page.metric("gitops_updater_last_pass_success", Kind::Gauge, "Whether the newest pass did not fail.")
            .add(&[], if result == Result::Failed { 0.0 } else { 1.0 });
        if let Some(now) = now {
            let age = now.duration_since(at).as_secs_f64().max(0.0);
            page.metric("gitops_updater_last_pass_age_seconds", Kind::Gauge, "How long ago that was.")
                .add(&[], age);
        }
    }
    if let Some(at) = totals.last_good {
        page.metric(
            "gitops_updater_last_success_timestamp_seconds",
            Kind::Gauge,
            "When the newest pass ended that did not fail.",
        )
        .add(&[], seconds(at));
    }
    page.metric(
        "gitops_updater_phase_duration_seconds",
        Kind::Gauge,
        "How long each phase of the newest pass took.",
    );
    for (phase, duration) in &totals.phases {
        page.add(&[("phase", phase)], duration.as_secs_f64());
    }
    page.metric(
        "gitops_updater_notifications_total",
        Kind::Counter,
        "Messages since the program was started.",
    );
    for (channel, [sent, failed]) in &totals.notifications {
        page.add(&[("channel", channel), ("result", "sent")], number(*sent));
        page.add(&[("channel", channel), ("result", "failed")], number(*failed));
    }
    if let Some(numbers) = &totals.numbers {
        of_pass(&mut page, numbers);
    }
    page
}

fn of_pass(page: &mut Page, numbers: &Numbers) {
    page.metric("gitops_updater_components", Kind::Gauge, "Components that were evaluated.");
    for ((kind, status), count) in &numbers.components {
        page.add(&[("kind", kind), ("status", status)], number(*count));
    }
    page.metric(
        "gitops_updater_security_updates",
        Kind::Gauge,
        "Available updates that fix a known vulnerability.",
    );
    page.add(&[("kind", "all")], number(numbers.security.values().sum()));
    for (kind, count) in &numbers.security {
        page.add(&[("kind", kind)], number(*count));
    }
    page.metric("gitops_updater_updates_blocked", Kind::Gauge, "Updates that a gate of the plan holds.");
    for ((kind, gate), count) in &numbers.blocked {
        page.add(&[("kind", kind), ("gate", gate)], number(*count));
    }
    page.metric("gitops_updater_updates", Kind::Gauge, "Updates of the state by the stage they are in.");
    for ((kind, stage), count) in &numbers.updates {
        let stage = serde_json::to_value(stage).ok();
        let stage = stage.as_ref().and_then(|stage| stage.as_str()).unwrap_or("unknown");
        page.add(&[("kind", kind), ("stage", stage)], number(*count));
    }
    let Ever { proposed, merged, verified, reverted } = &numbers.ever;
    for (name, help, counts) in [
        ("gitops_updater_proposed_total", "Updates that were ever proposed.", proposed),
        ("gitops_updater_merged_total", "Updates that were ever merged.", merged),
        ("gitops_updater_verified_total", "Updates that were ever verified.", verified),
        ("gitops_updater_reverted_total", "Updates that were ever reverted.", reverted),
    ] {
        page.metric(name, Kind::Counter, help);
        for (kind, count) in counts {
            page.add(&[("kind", kind)], number(*count));
        }
    }
    page.metric("gitops_updater_held", Kind::Gauge, "Updates that need a person.");
    let held = || numbers.updates.iter().filter(|((_, stage), _)| *stage == Stage::Held);
    page.add(&[("kind", "all")], number(held().map(|(_, count)| count).sum()));
    for ((kind, _), count) in held() {
        page.add(&[("kind", kind)], number(*count));
    }
    page.metric("gitops_updater_failures", Kind::Gauge, "Components that the newest pass failed for.");
    page.add(&[("kind", "all")], number(numbers.failures.values().sum()));
    for (kind, count) in &numbers.failures {
        page.add(&[("kind", kind)], number(*count));
    }
    page.metric(
        "gitops_updater_stopped",
        Kind::Gauge,
        "Whether proposing and merging are stopped, and by what.",
    );
    for (by, is_on) in ["maintenance", "kill_switch", "circuit_breaker"].into_iter().zip(numbers.stopped) {
        page.add(&[("by", by)], if is_on { 1.0 } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::state::Update;

    fn ever(update: Update) -> Ever {
        Ever::of(&State { updates: [(update.update_id.clone(), update)].into(), ..State::default() })
    }

    /// An update, in turn proposed, merged, verified, and taken back by a person.
    fn life() -> Vec<Update> {
        let mut update: Update = serde_json::from_value(json!({
            "update_id": "update-1", "status": "in_progress", "stage": "proposed",
            "started_at": "2026-11-21T10:00:00Z", "changed_at": "2026-11-21T10:00:00Z", "campaign": "c",
            "component": "helm/apps/podinfo", "from": "1", "to": "2", "update_type": "patch", "gate": "review",
            "policy_applied": "p", "revert": {"safety": "safe", "why": ""}, "backup_id": null, "branch": "b",
            "base": null, "head": null, "pull_request": 1, "merge_commit": null, "merged_at": null,
            "current_phase": null, "completed_phases": [], "reason": null,
        }))
        .unwrap();
        let mut life = vec![update.clone()];
        update.stage = Stage::Merged;
        (update.merged_at, update.merge_commit) = (Some(update.changed_at), Some("0".repeat(40)));
        life.push(update.clone());
        update.stage = Stage::Verified;
        update.completed_phases.push("verification".to_owned());
        life.push(update.clone());
        update.stage = Stage::Reverted;
        life.push(update);
        life
    }

    /// What was verified was not counted any more when it was rolled back: to Prometheus a restart of the counter.
    #[test]
    fn counters_of_updates_never_fall() {
        let mut before = [0; 4];
        let mut seen = Vec::new();
        for update in life() {
            let Ever { proposed, merged, verified, reverted } = ever(update);
            let now = [proposed, merged, verified, reverted].map(|counts| counts.values().sum::<u64>());
            assert!(now.iter().zip(before).all(|(now, before)| *now >= before), "{before:?} {now:?}");
            before = now;
            seen.push(now);
        }
        assert_eq!(seen, [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]);
    }

    #[test]
    fn page_has_counters_beside_what_is_so_now() {
        let ever = ever(life().pop().unwrap());
        let updates = BTreeMap::from([(("helm".to_owned(), Stage::Reverted), 1)]);
        let numbers = Numbers { ever, updates, ..Numbers::default() };
        let totals = Totals { numbers: Some(numbers), ..Totals::default() };
        let page = page(&totals, None).text();
        for line in [
            "# TYPE gitops_updater_verified_total counter",
            "gitops_updater_verified_total{kind=\"helm\"} 1",
            "gitops_updater_reverted_total{kind=\"helm\"} 1",
            "gitops_updater_updates{kind=\"helm\",stage=\"reverted\"} 1",
            "gitops_updater_held{kind=\"all\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
}

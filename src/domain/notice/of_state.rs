//! Events that the state and a look at the upstreams tell by themselves, in whichever pass somebody asks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Event, Kind, Severity, Subject};
use crate::domain::plan::RevertSafety;
use crate::domain::state::{Stage, State, Update};

/// How long after a change of an update it is news, where nobody has to act.
const NEWS: SignedDuration = SignedDuration::from_hours(24);
/// The same where somebody has to.
const URGENT_NEWS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When holds that nobody acknowledged are told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reminders {
    /// Every so often; zero = never.
    pub repeat_every: Duration,
    /// After this time the escalation channels are told, too; zero = never.
    pub escalate_after: Duration,
}

/// A newer version that a look at the upstreams found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Component id.
    pub component: String,
    /// Version in the repository.
    pub from: Option<String>,
    /// The newer one.
    pub to: String,
    /// Whether it fixes a known vulnerability.
    pub security: bool,
    /// CVE and GHSA identifiers.
    pub advisories: Vec<String>,
    /// Release notes.
    pub notes: Option<String>,
}

/// What the life of updates tells. `link` gives the address of a pull request.
pub fn of_state(
    state: &State,
    reminders: Reminders,
    link: &dyn Fn(u64) -> Option<String>,
    now: Timestamp,
) -> Vec<Event> {
    let mut events = Vec::new();
    for update in state.updates.values() {
        let age = now.duration_since(update.changed_at);
        let kind = match update.stage {
            // A pull request that is not open yet is nothing to look at.
            Stage::Proposed if update.pull_request.is_none() => continue,
            Stage::Proposed => Kind::Proposed,
            // Reverted; whether the cluster is back is told when it is.
            Stage::Merged | Stage::Rolling if is_reverted(update) => Kind::Reverted,
            Stage::Merged | Stage::Rolling => Kind::Merged,
            Stage::Verified => Kind::Verified,
            Stage::Reverted => Kind::Reverted,
            Stage::Held => Kind::Held,
            Stage::Abandoned => Kind::Abandoned,
        };
        let news = if kind.severity() == Severity::Critical { URGENT_NEWS } else { NEWS };
        let link = update.pull_request.and_then(link);
        if kind == Kind::Held {
            events.extend(held(state, update, reminders, link.as_ref(), now));
        } else if age < news || kind.is_of_the_present() {
            let by = update.verified_by.iter().filter(|_| kind == Kind::Verified).cloned();
            let mut event = Event::of_update(kind, update, update.changed_at).because(by);
            if kind == Kind::Reverted {
                event = event.because(evidence(state, update));
            }
            events.push(event.at_link(link));
        }
    }
    if let Some(breaker) = &state.breaker {
        let summary = "too much was reverted: nothing more is proposed or merged until a person says so";
        let reverted = breaker.reverted.iter().map(|id| format!("reverted: {id}"));
        let name = breaker.since.as_second().to_string();
        let next = "when you have looked, let it go on: gitops-updater verify --close-breaker".to_owned();
        let event = Event::new(Kind::CircuitBreaker, &name, summary, breaker.since);
        events.push(event.because(reverted).then([next]));
    }
    events.extend(maintenance(state, now));
    events
}

fn is_reverted(update: &Update) -> bool {
    update.settling.reversal.as_ref().is_some_and(|reversal| reversal.commit.is_some())
}

/// What was said last of an update after its merge.
fn evidence<'s>(state: &'s State, update: &Update) -> impl Iterator<Item = String> + use<'s> {
    let said = state.evidence.get(&update.update_id).and_then(|evidence| evidence.judgements.last());
    said.into_iter().flat_map(|said| &said.reasons).take(10).map(|reason| match &reason.object {
        Some(object) => format!("{object}: {}", reason.text),
        None => reason.text.clone(),
    })
}

/// A hold, for as long as it lasts, and its newest reminder.
fn held(
    state: &State,
    update: &Update,
    reminders: Reminders,
    link: Option<&String>,
    now: Timestamp,
) -> Vec<Event> {
    let since = update.changed_at;
    let id = &update.update_id;
    // An update may be held, released and held again: that is another hold.
    let name = format!("{id}/{}", since.as_second());
    let with = |mut event: Event, key: String| {
        event.key = key;
        let safety = match update.revert.safety {
            RevertSafety::Safe => "reverting it is safe",
            RevertSafety::Conditional => "reverting it is safe under conditions",
            RevertSafety::Unsafe => "reverting it is not safe",
        };
        event
            .because(evidence(state, update))
            .because([format!("{safety}: {}", update.revert.why)])
            .then([
                format!("look at it: gitops-updater status, gitops-updater health (update {id})"),
                format!("say that you have seen it: gitops-updater acknowledge {id}"),
            ])
            .at_link(link.cloned())
    };
    let mut events =
        vec![with(Event::of_update(Kind::Held, update, since), format!("{}/{name}", Kind::Held))];
    let seen = state.told.acknowledged.get(id).is_some_and(|acknowledged| acknowledged.at >= since);
    let held_for = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let escalated = !reminders.escalate_after.is_zero() && held_for >= reminders.escalate_after;
    let repeats = held_for.as_secs().checked_div(reminders.repeat_every.as_secs()).unwrap_or(0);
    if seen || (repeats == 0 && !escalated) {
        return events;
    }
    let number = if repeats == 0 { "escalated".to_owned() } else { repeats.to_string() };
    let kind = Kind::HoldUnacknowledged;
    let hours = held_for.as_secs() / 3600;
    let mut event = with(Event::of_update(kind, update, now), format!("{kind}/{name}/{number}"));
    event.details.insert(0, format!("held for {hours} h, and nobody has acknowledged it"));
    event.escalated = escalated;
    events.push(event);
    events
}

fn maintenance(state: &State, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    let current = state.maintenance.as_ref().filter(|maintenance| maintenance.is_on(now));
    let key = |kind: Kind, since: i64| Event::new(kind, &since.to_string(), "", now).key;
    if let Some(maintenance) = current {
        let until = maintenance.until.map_or_else(String::new, |until| format!(", until {until}"));
        let summary = format!("proposing and merging are stopped by {}{until}", maintenance.by);
        let since = maintenance.since.as_second();
        events.push(
            Event::new(Kind::MaintenanceBegan, &since.to_string(), summary, maintenance.since)
                .because(maintenance.reason.iter().cloned()),
        );
    }
    // What began, as people were told, and is not on any more.
    let prefix = format!("{}/", Kind::MaintenanceBegan);
    for (began, told) in state.told.events.range(prefix.clone()..) {
        let Some(since) = began.strip_prefix(&prefix).and_then(|text| text.parse::<i64>().ok()) else {
            break;
        };
        let goes_on = current.is_some_and(|maintenance| maintenance.since.as_second() == since);
        if goes_on || now.duration_since(told.at) > SignedDuration::from_hours(30 * 24) {
            continue;
        }
        // Told for as long as the beginning is remembered, so that it is remembered as well.
        let mut event =
            Event::new(Kind::MaintenanceEnded, &since.to_string(), "proposing and merging go on", now);
        event.key = key(Kind::MaintenanceEnded, since);
        events.push(event);
    }
    events
}

/// What a look at the upstreams found.
pub fn found(found: impl IntoIterator<Item = Found>, now: Timestamp) -> Vec<Event> {
    let event = |found: Found| {
        let kind = if found.security { Kind::SecurityUpdate } else { Kind::UpdateFound };
        let from = found.from.as_deref().unwrap_or("?");
        let summary = format!("{} {from} -> {}", found.component, found.to);
        let advisories = match found.advisories.as_slice() {
            [] => None,
            some => Some(format!("fixes {}", some.join(", "))),
        };
        Event::new(kind, &format!("{}@{}", found.component, found.to), summary, now)
            .because(advisories)
            .at_link(found.notes)
            .about(Subject {
                component: found.component,
                from: found.from,
                to: Some(found.to),
                update_id: None,
                pull_request: None,
            })
    };
    found.into_iter().map(event).collect()
}

/// What a pass told beside the state. An event that the state tells as well keeps the state's key, so that it is told
/// once, and the evidence of the pass, which knows more.
pub fn together(of_state: Vec<Event>, told: Vec<Event>) -> Vec<Event> {
    let mut events = of_state;
    for event in told {
        let id = event.subject.as_ref().and_then(|subject| subject.update_id.clone());
        let same = |known: &&mut Event| {
            known.key == event.key
                || (id.is_some()
                    && known.kind == event.kind
                    && known.subject.as_ref().and_then(|subject| subject.update_id.clone()) == id)
        };
        match events.iter_mut().find(same) {
            Some(known) => {
                known.severity = known.severity.max(event.severity);
                if !event.details.is_empty() {
                    known.details = event.details;
                }
                if !event.steps.is_empty() {
                    known.steps = event.steps;
                }
                known.link = event.link.or(known.link.take());
            }
            None => events.push(event),
        }
    }
    events
}

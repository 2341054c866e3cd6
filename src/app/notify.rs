//! Telling people: the port through which a pass says what happened, and what is made of it at the pass's end.
//!
//! A pass calls [`Notify::tell`] and goes on; nothing is sent while it works. At its end, what the state itself says
//! (proposed, merged, verified, reverted, held …) and what was told here are compared with what people were told
//! before, and the rest is delivered. So a pass that was killed loses nothing that the state knows.
//!
//! Before anything is sent, the state is told so by compare-and-swap: of two passes at the same time one tells. A pass
//! that is killed while it tells is found out by its claim, which ends after ten minutes; then what it may or may not
//! have sent is sent (again). A message has the same id then, for receivers that care.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::effects::{Effect, Go, Stopped, Witness};
use crate::config::Notifications;
use crate::domain::notice::{Audience, Due, Ended, Found, due, found, of_state, together};
pub use crate::domain::notice::{Event, Kind, Severity, Subject};
use crate::domain::report::{Report, Status};
use crate::domain::state::State;
use crate::state::{self, StateStore, Transition};

/// More events than these that are no more than news go to a channel as one message.
const MOST_SINGLE: usize = 5;
/// The same for critical ones.
const MOST_SINGLE_CRITICAL: usize = 10;

/// Takes what people may want to know.
pub trait Notify: Sync {
    /// Takes an event. Never fails and never waits; the same key again in one pass changes nothing.
    ///
    /// What the state says (an update is proposed, merged, verified, reverted, held …) needs not be told; where it is,
    /// its details and steps are used, because they know more.
    fn tell(&self, event: Event);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Notify for Silent {
    fn tell(&self, _: Event) {}
}

/// Keeps events until the end of the pass.
#[derive(Debug, Default)]
pub struct Gathered(Mutex<Vec<Event>>);

impl Gathered {
    /// What was told so far, in order; it is not kept any longer.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notify for Gathered {
    fn tell(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.iter().all(|known| known.key != event.key) {
            events.push(event);
        }
    }
}

/// A message that was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotSent {
    /// Why, without any secret.
    pub reason: String,
}

/// Delivers messages.
pub trait Messenger {
    /// Sends events (the most urgent first) as one message to a channel. `id` is the same for the same events.
    ///
    /// # Errors
    ///
    /// The message was not sent, as far as is known.
    fn send(&self, channel: &str, id: &str, events: &[&Event]) -> impl Future<Output = Result<(), NotSent>>;
}

/// Why people could not be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What they were told before cannot be read or recorded.
    #[error("cannot read or record what people were told")]
    State(#[from] state::Error),
    /// Stopped by the witness.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What came of telling people.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// What was done; in a dry run what would have been.
    pub effects: Vec<Effect>,
    /// Messages that arrived, by channel.
    pub sent: BTreeMap<String, usize>,
    /// Messages that did not, with the reason, by channel.
    pub failed: BTreeMap<String, (usize, String)>,
}

/// Tells people at the end of a pass.
pub struct Telling<'a, M> {
    /// Who is told what.
    pub config: &'a Notifications,
    /// Who delivers.
    pub messenger: &'a M,
    /// Where it is kept what was told.
    pub store: &'a StateStore,
    /// Who looks on.
    pub witness: &'a dyn Witness,
    /// What waits for answers.
    pub runtime: &'a tokio::runtime::Runtime,
    /// When the pass began.
    pub begun: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// One message to one channel.
struct Message<'a> {
    channel: &'a str,
    events: Vec<&'a Event>,
}

impl<M: Messenger> Telling<'_, M> {
    /// Tells what the state and this pass have to tell. `links` are the pages of pull requests.
    ///
    /// # Errors
    ///
    /// The state cannot be moved, or the witness stopped it. A channel that fails is no error: it is among what was
    /// not delivered, and is tried again by a later pass.
    pub fn tell(
        &self,
        state: &State,
        extra: Vec<Event>,
        links: &BTreeMap<u64, String>,
    ) -> Result<Delivered, Error> {
        let mut delivered = Delivered::default();
        if self.config.channels.is_empty() {
            return Ok(delivered);
        }
        let link = |number: u64| links.get(&number).cloned();
        let events = together(of_state(state, self.config.reminders, &link, self.now), extra);
        let open = self.due(&events, state);
        if open.is_empty() {
            return Ok(delivered);
        }
        let acts = self.effect(&mut delivered, Effect::Record { what: "Tell people".to_owned() })?;
        let open = if acts { self.claim(&events)? } else { open };
        if acts {
            self.witness.after(&Effect::Record { what: "Tell people".to_owned() })?;
        }
        let mut ended = Vec::new();
        for messages in self.messages(&events, &open) {
            ended.extend(self.send(messages, &mut delivered)?);
        }
        if ended.is_empty() {
            return Ok(delivered);
        }
        let effect = Effect::Record { what: "Record what people were told".to_owned() };
        if self.effect(&mut delivered, effect.clone())? {
            self.record(&ended)?;
            self.witness.after(&effect)?;
        }
        Ok(delivered)
    }

    fn effect(&self, delivered: &mut Delivered, effect: Effect) -> Result<bool, Stopped> {
        let go = self.witness.before(&effect)?;
        delivered.effects.push(effect);
        Ok(go == Go::Do)
    }

    fn due(&self, events: &[Event], state: &State) -> Vec<Due> {
        let channels: Vec<&str> = self.config.channels.iter().map(|channel| channel.name.as_str()).collect();
        let wants = |at: usize, event: &Event| {
            self.config.channels.get(at).is_some_and(|channel| channel.wants(event))
        };
        let with_events = |at: &usize| self.config.channels[*at].at_least.is_some();
        let mut fallback: Vec<usize> = (0..channels.len()).filter(with_events).collect();
        if fallback.is_empty() {
            fallback = (0..channels.len()).collect();
        }
        let audience =
            Audience { channels: &channels, wants: &wants, fallback: &fallback, begun: self.begun };
        due(events, audience, &state.told, self.now)
    }

    /// Says in the state what is going to be told; gives back what is left to this pass.
    fn claim(&self, events: &[Event]) -> Result<Vec<Due>, state::Error> {
        let claimed = Mutex::new(Vec::new());
        let current: BTreeSet<&str> = events.iter().map(|event| event.key.as_str()).collect();
        // Two passes that claim the same at the same second would make the same commit, and both would think that it
        // is theirs. The standard library seeds its hashers at random.
        let own = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let changed = self.store.change(self.now, |state| {
            let open = self.due(events, state);
            let mut transition = Transition::new(format!("Tell people ({} messages)", open.len()))
                .trailer("Claim", format!("{own:016x}"));
            state.told.meet(self.config.channels.iter().map(|channel| channel.name.as_str()), self.begun);
            for due in &open {
                state.told.begin(&events[due.event].key, &self.config.channels[due.channel].name, self.now);
            }
            let keys: BTreeSet<&str> = open.iter().map(|due| events[due.event].key.as_str()).collect();
            for key in keys.into_iter().take(20) {
                transition = transition.because(key);
            }
            let updates: BTreeSet<String> = state.updates.keys().cloned().collect();
            state.told.forget(&current, |id| updates.contains(id), self.now);
            let none = open.is_empty();
            *claimed.lock().unwrap_or_else(PoisonError::into_inner) = open;
            (!none).then_some(transition)
        })?;
        let claimed = claimed.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(if changed.transition.is_some() { claimed } else { Vec::new() })
    }

    /// By channel, the messages in order.
    fn messages<'e>(&'e self, events: &'e [Event], open: &[Due]) -> Vec<Vec<Message<'e>>> {
        let mut by_channel: BTreeMap<usize, Vec<&Event>> = BTreeMap::new();
        for due in open {
            by_channel.entry(due.channel).or_default().push(&events[due.event]);
        }
        let of_channel = |(channel, events): (usize, Vec<&'e Event>)| {
            let channel = self.config.channels[channel].name.as_str();
            let (critical, news): (Vec<_>, Vec<_>) =
                events.into_iter().partition(|event| event.severity == Severity::Critical);
            let mut messages = Vec::new();
            for (events, most) in [(critical, MOST_SINGLE_CRITICAL), (news, MOST_SINGLE)] {
                if events.len() > most {
                    messages.push(Message { channel, events });
                } else {
                    messages.extend(events.into_iter().map(|event| Message { channel, events: vec![event] }));
                }
            }
            messages
        };
        by_channel.into_iter().map(of_channel).collect()
    }

    /// Sends the messages of one channel; after the first that fails the others are not tried.
    fn send<'e>(
        &self,
        messages: Vec<Message<'e>>,
        delivered: &mut Delivered,
    ) -> Result<Vec<(&'e str, &'e str, Ended)>, Stopped> {
        let mut ended = Vec::new();
        let mut broken: Option<String> = None;
        for message in messages {
            let Message { channel, events } = message;
            let what = match events.as_slice() {
                [event] => format!("{}: {}", event.kind.title(), event.summary),
                events => format!("{} events", events.len()),
            };
            let keys = events.iter().map(|event| event.key.as_str());
            if let Some(reason) = &broken {
                let entry = delivered.failed.entry(channel.to_owned()).or_insert((0, reason.clone()));
                entry.0 += 1;
                ended.extend(keys.map(|key| (key, channel, Ended::Failed)));
                continue;
            }
            let effect = Effect::Tell { channel: channel.to_owned(), what };
            if !self.effect(delivered, effect.clone())? {
                continue;
            }
            let id = id(channel, &events);
            let sent = self.runtime.block_on(self.messenger.send(channel, &id, &events));
            match sent {
                Ok(()) => {
                    tracing::info!(channel, events = events.len(), "people were told");
                    *delivered.sent.entry(channel.to_owned()).or_insert(0) += 1;
                    ended.extend(keys.map(|key| (key, channel, Ended::Sent)));
                }
                Err(NotSent { reason }) => {
                    tracing::warn!(channel, reason, "people could not be told");
                    let entry = delivered.failed.entry(channel.to_owned()).or_insert((0, reason.clone()));
                    entry.0 += 1;
                    ended.extend(keys.map(|key| (key, channel, Ended::Failed)));
                    broken = Some(reason);
                }
            }
            self.witness.after(&effect)?;
        }
        Ok(ended)
    }

    fn record(&self, ended: &[(&str, &str, Ended)]) -> Result<(), state::Error> {
        let told = ended.iter().filter(|(_, _, ended)| *ended == Ended::Sent).count();
        self.store.change(self.now, |state| {
            let before = state.told.clone();
            for (key, channel, how) in ended {
                state.told.end(key, channel, *how);
            }
            let failed = ended.len() - told;
            let subject = format!("Record what people were told ({told} sent, {failed} failed)");
            (state.told != before).then(|| Transition::new(subject))
        })?;
        Ok(())
    }
}

/// Sends a test message to each of these channels at once; nothing is recorded.
pub fn test<M: Messenger>(
    messenger: &M,
    channels: &[&str],
    runtime: &tokio::runtime::Runtime,
    now: Timestamp,
) -> Vec<(String, Result<(), NotSent>)> {
    let event = Event::new(Kind::Test, &now.to_string(), "gitops-updater can reach this channel", now);
    let sends = channels.iter().map(|channel| {
        let event = &event;
        async move {
            let events = [event];
            let id = id(channel, &events);
            ((*channel).to_owned(), messenger.send(channel, &id, &events).await)
        }
    });
    runtime.block_on(join_all(sends))
}

/// The same for the same events and channel, in every pass.
fn id(channel: &str, events: &[&Event]) -> String {
    let mut digest = Sha256::new();
    digest.update(channel);
    for event in events {
        digest.update([0]);
        digest.update(&event.key);
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Newer versions that a report has, as far as the `detection` block wants them announced.
pub fn found_by(report: &Report, announced: &dyn Fn(&str, &str) -> bool, now: Timestamp) -> Vec<Event> {
    let components = &report.update_report.components;
    let entries = components.iter().filter_map(|(id, entry)| {
        if entry.status != Status::UpdateAvailable || !announced(id, &entry.kind) {
            return None;
        }
        Some(Found {
            component: id.clone(),
            from: entry.current_version.clone(),
            to: entry.available_version.clone()?,
            security: entry.security_update == Some(true),
            advisories: entry.security_advisories.clone(),
            notes: entry.changelog_url.clone(),
        })
    });
    found(entries, now)
}

//! What people were told already, as it is kept in the state (`told.yaml`): nothing is told twice, whoever runs the
//! next pass.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most events that are remembered, so that the file stays small (one has at most about 600 bytes).
pub(super) const MOST_EVENTS: usize = 300;
/// Most channels that are remembered: a configuration has at most ten, and they may change.
const MOST_CHANNELS: usize = 100;
/// How long an event is remembered that is not news any more.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What people were told, and what they answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// By the key of the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, ToldEvent>,
    /// By name of a channel: since when it is known. What happened before is not told there any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub channels: BTreeMap<String, Timestamp>,
    /// By update id: holds that a person has seen, which are not repeated.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub acknowledged: BTreeMap<String, Acknowledged>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToldEvent {
    /// When it was to be told first.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Channels that have it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sent: BTreeSet<String>,
    /// Channels that do not have it yet, as far as is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, Attempt>,
}

/// An attempt to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// When it began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Which one it is, from 1.
    pub number: u32,
    /// It is known to have failed; else nobody knows (a pass is at it, or was killed).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// A person has seen a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When; a hold that began later is another one.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The channel has it.
    Sent,
    /// It has not.
    Failed,
}

impl Told {
    /// Whether nothing was ever told.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.channels.is_empty() && self.acknowledged.is_empty()
    }

    /// Notes the channels that nobody has noted yet, as known since `now`; whether there were any. One that was sent
    /// something before channels were noted is known since then.
    pub fn meet<'a>(&mut self, channels: impl IntoIterator<Item = &'a str>, now: Timestamp) -> bool {
        let before = self.channels.len();
        for name in channels {
            if self.channels.contains_key(name) {
                continue;
            }
            let has_it = |event: &&ToldEvent| event.sent.contains(name) || event.open.contains_key(name);
            let since = self.events.values().filter(has_it).map(|event| event.at).min().unwrap_or(now);
            self.channels.insert(name.to_owned(), since);
        }
        let is_news = self.channels.len() != before;
        while self.channels.len() > MOST_CHANNELS {
            let oldest = self.channels.iter().min_by_key(|(name, since)| (**since, name.len()));
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
            self.channels.remove(&oldest);
        }
        is_news
    }

    /// Records that an attempt begins, so that no other pass makes the same.
    pub fn begin(&mut self, key: &str, channel: &str, now: Timestamp) {
        let event = self.events.entry(key.to_owned()).or_insert_with(|| ToldEvent {
            at: now,
            sent: BTreeSet::new(),
            open: BTreeMap::new(),
        });
        let before = event.open.get(channel).map_or(0, |attempt| attempt.number);
        let attempt = Attempt { at: now, number: before.saturating_add(1), failed: false };
        event.open.insert(channel.to_owned(), attempt);
    }

    /// Records how it ended.
    pub fn end(&mut self, key: &str, channel: &str, ended: Ended) {
        let Some(event) = self.events.get_mut(key) else { return };
        match ended {
            Ended::Sent => {
                event.open.remove(channel);
                event.sent.insert(channel.to_owned());
            }
            Ended::Failed => {
                if let Some(attempt) = event.open.get_mut(channel) {
                    attempt.failed = true;
                }
            }
        }
    }

    /// Forgets what is not news any more: `current` are the keys of what would be told today.
    pub fn forget(&mut self, current: &BTreeSet<&str>, updates: impl Fn(&str) -> bool, now: Timestamp) {
        let old = |event: &ToldEvent| now.duration_since(event.at) > REMEMBERED;
        self.events.retain(|key, event| current.contains(key.as_str()) || !old(event));
        if self.events.len() > MOST_EVENTS {
            let mut by_age: Vec<(bool, Timestamp, String)> = self
                .events
                .iter()
                .map(|(key, event)| (!current.contains(key.as_str()), event.at, key.clone()))
                .collect();
            // What is current first, then the youngest.
            by_age.sort_by(|one, other| (one.0, other.1).cmp(&(other.0, one.1)));
            for (_, _, key) in by_age.drain(MOST_EVENTS..) {
                self.events.remove(&key);
            }
        }
        self.acknowledged.retain(|id, _| updates(id));
    }
}

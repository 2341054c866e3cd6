//! What is still to be told, to which channel.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::told::{MOST_EVENTS, ToldEvent};
use super::{Event, Severity, Told};

/// After this time a pass that said it would tell is taken for dead, and another one tells.
const CLAIMED: SignedDuration = SignedDuration::from_mins(10);
/// Most attempts for one event and channel.
const MOST_ATTEMPTS: u32 = 8;
/// The first wait after a failure; it doubles.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(5);
/// The longest.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(6);
/// A channel that is added later is not told what others were told longer ago.
const NEWS: SignedDuration = SignedDuration::from_hours(24);

/// An event and a channel that does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Index of the event.
    pub event: usize,
    /// Index of the channel.
    pub channel: usize,
}

/// What is to be told now. `wants` says whether the channel of that index is for an event; a critical event that no
/// channel is for goes to every one of `fallback`.
pub fn due(
    events: &[Event],
    channels: &[&str],
    wants: &dyn Fn(usize, &Event) -> bool,
    fallback: &[usize],
    told: &Told,
    now: Timestamp,
) -> Vec<Due> {
    let mut due = Vec::new();
    let mut order: Vec<usize> = (0..events.len()).collect();
    // The most urgent first, so that they are told even where there is too much.
    order.sort_by_key(|&index| std::cmp::Reverse(events[index].severity));
    for index in order.into_iter().take(MOST_EVENTS) {
        let event = &events[index];
        let mut wanted: BTreeSet<usize> = (0..channels.len()).filter(|&at| wants(at, event)).collect();
        if wanted.is_empty() && event.severity == Severity::Critical {
            wanted.extend(fallback);
        }
        let known = told.events.get(&event.key);
        for channel in wanted {
            if known.is_none_or(|known| is_open(known, channels[channel], event.severity, now)) {
                due.push(Due { event: index, channel });
            }
        }
    }
    due
}

fn is_open(known: &ToldEvent, channel: &str, severity: Severity, now: Timestamp) -> bool {
    if known.sent.contains(channel) {
        return false;
    }
    let Some(attempt) = known.open.get(channel) else {
        return severity == Severity::Critical || now.duration_since(known.at) < NEWS;
    };
    if attempt.number >= MOST_ATTEMPTS {
        return false;
    }
    let since = now.duration_since(attempt.at);
    if !attempt.failed {
        return since >= CLAIMED;
    }
    let doublings = attempt.number.saturating_sub(1).min(16);
    let wait = FIRST_WAIT.checked_mul(1 << doublings).unwrap_or(LONGEST_WAIT);
    since >= wait.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::super::{Ended, Kind};
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        start + SignedDuration::from_mins(minutes)
    }

    fn event(kind: Kind, name: &str) -> Event {
        Event::new(kind, name, "x", at(0))
    }

    fn open(event: &Event, told: &Told, now: Timestamp) -> usize {
        due(std::slice::from_ref(event), &["ops", "dev"], &|_, _| true, &[0], told, now).len()
    }

    #[test]
    fn what_was_sent_is_never_due_again() {
        let event = event(Kind::Held, "u");
        let mut told = Told::default();
        assert_eq!(open(&event, &told, at(0)), 2);
        told.begin(&event.key, "ops", at(0));
        told.end(&event.key, "ops", Ended::Sent);
        assert_eq!(open(&event, &told, at(0)), 1);
        told.begin(&event.key, "dev", at(0));
        told.end(&event.key, "dev", Ended::Sent);
        for minutes in [0, 60, 1_000_000] {
            assert_eq!(open(&event, &told, at(minutes)), 0);
        }
    }

    #[test]
    fn another_pass_tells_only_when_the_first_is_taken_for_dead() {
        let event = event(Kind::Held, "u");
        let mut told = Told::default();
        told.begin(&event.key, "ops", at(0));
        told.begin(&event.key, "dev", at(0));
        assert_eq!(open(&event, &told, at(9)), 0);
        assert_eq!(open(&event, &told, at(10)), 2);
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely_and_not_for_ever() {
        let event = event(Kind::Held, "u");
        let mut told = Told::default();
        let mut now = at(0);
        let mut attempts = 0;
        for _ in 0..100_000 {
            let due = due(std::slice::from_ref(&event), &["ops"], &|_, _| true, &[], &told, now);
            if !due.is_empty() {
                attempts += 1;
                told.begin(&event.key, "ops", now);
                told.end(&event.key, "ops", Ended::Failed);
            }
            now += SignedDuration::from_mins(1);
        }
        assert_eq!(attempts, MOST_ATTEMPTS);
    }

    #[test]
    fn critical_events_that_no_channel_is_for_go_to_all() {
        let critical = event(Kind::Held, "u");
        let regular = event(Kind::Proposed, "u");
        let told = Told::default();
        for (event, expected) in [(critical, vec![1]), (regular, vec![])] {
            let due = due(&[event], &["pager", "dev"], &|_, _| false, &[1], &told, at(0));
            assert_eq!(due.iter().map(|due| due.channel).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn channel_that_is_added_later_is_told_old_news_only_where_they_are_critical() {
        for (kind, expected) in [(Kind::Proposed, 0), (Kind::Held, 1)] {
            let event = event(kind, "u");
            let mut told = Told::default();
            told.begin(&event.key, "ops", at(0));
            told.end(&event.key, "ops", Ended::Sent);
            assert_eq!(open(&event, &told, at(60)), 1);
            assert_eq!(open(&event, &told, at(25 * 60)), expected, "{kind}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_current_is_kept() {
        let mut told = Told::default();
        for number in 0..2 * MOST_EVENTS {
            told.begin(&format!("held/{number}"), "ops", at(i64::try_from(number).unwrap()));
        }
        let current = BTreeSet::from(["held/0", "held/1"]);
        told.forget(&current, |_| true, at(1000));
        assert_eq!(told.events.len(), MOST_EVENTS);
        assert!(told.events.contains_key("held/0") && told.events.contains_key("held/599"));
        assert!(!told.events.contains_key("held/2"));
        told.forget(&current, |_| true, at(60 * 24 * 40));
        assert_eq!(told.events.keys().collect::<Vec<_>>(), ["held/0", "held/1"]);
    }

    #[test]
    fn the_most_urgent_come_first() {
        let events = [event(Kind::Proposed, "a"), event(Kind::Held, "b"), event(Kind::BotFailed, "c")];
        let due = due(&events, &["ops"], &|_, _| true, &[], &Told::default(), at(0));
        assert_eq!(due.iter().map(|due| due.event).collect::<Vec<_>>(), [1, 2, 0]);
    }
}

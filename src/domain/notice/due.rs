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
/// A channel that is for more than before is not told what others were told longer ago, unless it is critical.
const NEWS: SignedDuration = SignedDuration::from_hours(24);

/// An event and a channel that does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Index of the event.
    pub event: usize,
    /// Index of the channel.
    pub channel: usize,
}

/// Who is told.
#[derive(Clone, Copy)]
pub struct Audience<'a> {
    /// Names of the channels.
    pub channels: &'a [&'a str],
    /// Whether the channel of that index is for an event.
    pub wants: &'a dyn Fn(usize, &Event) -> bool,
    /// Channels to every one of which a critical event goes that no channel is for.
    pub fallback: &'a [usize],
    /// When the pass began: a channel that nobody has noted is known since then.
    pub begun: Timestamp,
}

/// What is to be told now.
///
/// A channel hears of what has happened since it is known, and of what is so still: what is open, held or stopped.
pub fn due(events: &[Event], audience: Audience<'_>, told: &Told, now: Timestamp) -> Vec<Due> {
    let Audience { channels, wants, fallback, begun } = audience;
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
        let happened = known.map_or(event.at, |known| known.at.min(event.at));
        for channel in wanted {
            let name = channels[channel];
            let was_tried =
                known.is_some_and(|known| known.open.contains_key(name) || known.sent.contains(name));
            let since = told.channels.get(name).copied().unwrap_or(begun);
            let is_for_it = was_tried || event.kind.is_of_the_present() || happened >= since;
            let is_open = known.is_none_or(|known| is_open(known, name, event, since, now));
            if is_for_it && is_open {
                due.push(Due { event: index, channel });
            }
        }
    }
    due
}

fn is_open(known: &ToldEvent, channel: &str, event: &Event, since: Timestamp, now: Timestamp) -> bool {
    if known.sent.contains(channel) {
        return false;
    }
    let Some(attempt) = known.open.get(channel) else {
        let is_new_there = since > known.at && event.kind.is_of_the_present();
        return is_new_there || event.severity == Severity::Critical || now.duration_since(known.at) < NEWS;
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
    use rstest::rstest;

    use super::super::{Ended, Kind};
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        start + SignedDuration::from_mins(minutes)
    }

    fn event(kind: Kind, name: &str) -> Event {
        Event::new(kind, name, "x", at(0))
    }

    fn audience<'a>(channels: &'a [&'a str]) -> Audience<'a> {
        Audience { channels, wants: &|_, _| true, fallback: &[0], begun: at(0) }
    }

    fn open(event: &Event, told: &Told, now: Timestamp) -> usize {
        due(std::slice::from_ref(event), audience(&["ops", "dev"]), told, now).len()
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
            let due = due(std::slice::from_ref(&event), audience(&["ops"]), &told, now);
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
            let audience = Audience { wants: &|_, _| false, fallback: &[1], ..audience(&["pager", "dev"]) };
            let due = due(&[event], audience, &told, at(0));
            assert_eq!(due.iter().map(|due| due.channel).collect::<Vec<_>>(), expected);
        }
    }

    /// The first pass that knew a channel sent it the whole history, and every critical event for a week.
    #[rstest]
    #[case::was_verified_before(Kind::Verified, 0, false)]
    #[case::was_reverted_before(Kind::Reverted, 0, false)]
    #[case::failed_before(Kind::BotFailed, 0, false)]
    #[case::was_found_before(Kind::UpdateFound, 0, false)]
    #[case::is_open_still(Kind::Proposed, 0, true)]
    #[case::is_held_still(Kind::Held, 0, true)]
    #[case::is_stopped_still(Kind::CircuitBreaker, 0, true)]
    #[case::is_not_safe_still(Kind::SecurityUpdate, 0, true)]
    #[case::is_verified_since(Kind::Verified, 100, true)]
    #[case::is_reverted_by_the_pass_that_knows_it_first(Kind::Reverted, 60, true)]
    fn channel_that_is_added_hears_of_what_happens_from_then_on_and_of_what_is_so_still(
        #[case] kind: Kind,
        #[case] happened: i64,
        #[case] expected: bool,
        #[values(true, false)] others_know: bool,
        #[values(true, false)] is_noted: bool,
    ) {
        let event = Event::new(kind, "u", "x", at(happened));
        let mut told = Told::default();
        if others_know {
            told.begin(&event.key, "ops", at(happened));
            told.end(&event.key, "ops", Ended::Sent);
        }
        if is_noted {
            assert!(told.meet(["dev"], at(60)) && !told.meet(["dev"], at(70)));
        }
        let audience = Audience { begun: at(60), ..audience(&["dev"]) };
        let open = |minutes| due(std::slice::from_ref(&event), audience, &told, at(minutes)).len();
        assert_eq!(open(101), usize::from(expected));
        if matches!(kind, Kind::Proposed | Kind::Held) {
            assert_eq!(open(60 * 24 * 9), 1, "however long it has been so");
        }
    }

    #[test]
    fn channel_that_is_for_more_than_before_is_told_old_news_only_where_they_are_critical() {
        for (kind, expected) in [(Kind::Verified, 0), (Kind::Reverted, 1)] {
            let event = event(kind, "u");
            let mut told = Told::default();
            told.meet(["ops", "dev"], at(-10));
            told.begin(&event.key, "ops", at(0));
            told.end(&event.key, "ops", Ended::Sent);
            assert_eq!(open(&event, &told, at(60)), 1);
            assert_eq!(open(&event, &told, at(25 * 60)), expected, "{kind}");
        }
    }

    #[test]
    fn channel_that_was_sent_something_before_channels_were_noted_is_known_since_then() {
        let mut told = Told::default();
        told.begin("held/a", "ops", at(5));
        told.begin("held/b", "ops", at(3));
        told.meet(["ops", "dev"], at(60));
        assert_eq!((told.channels["ops"], told.channels["dev"]), (at(3), at(60)));
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
        let due = due(&events, audience(&["ops"]), &Told::default(), at(0));
        assert_eq!(due.iter().map(|due| due.event).collect::<Vec<_>>(), [1, 2, 0]);
    }
}

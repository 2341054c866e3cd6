//! The time as the GitHub client needs it: how what it creates is spaced.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use crate::clock::{MachineTime, Time};

/// Things created in any minute, of the 80 that GitHub allows (GitHub docs, "Rate limits for the REST API",
/// secondary limits): others may use the same account.
const A_MINUTE: usize = 60;
/// Things created in any hour, of 500.
const AN_HOUR: usize = 400;

/// Spaces what creates content: pull requests, issues, comments, statuses, Git objects.
#[derive(Debug, Default)]
pub(super) struct Pace {
    created: VecDeque<Timestamp>,
}

impl Pace {
    /// How long to wait before the next thing is created.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        [(A_MINUTE, 60), (AN_HOUR, 3600)]
            .into_iter()
            .filter_map(|(most, seconds)| {
                // The oldest of the last `most`: it must have left the window.
                let oldest = self.created.get(self.created.len().checked_sub(most)?)?;
                let free = oldest.checked_add(SignedDuration::from_secs(seconds)).ok()?;
                Duration::try_from(free.duration_since(now)).ok()
            })
            .max()
            .unwrap_or(Duration::ZERO)
    }

    /// Notes that something is created now.
    pub(super) fn note(&mut self, now: Timestamp) {
        self.created.push_back(now);
        while self.created.len() > AN_HOUR {
            self.created.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_and_no_hour_has_more_than_its_share() {
        let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let (mut pace, mut now, mut times) = (Pace::default(), start, Vec::new());
        for _ in 0..1000 {
            now += SignedDuration::try_from(pace.wait(now)).unwrap();
            assert_eq!(pace.wait(now), Duration::ZERO);
            pace.note(now);
            times.push(now.as_second());
        }
        for (most, seconds) in [(80, 60), (500, 3600)] {
            for (i, at) in times.iter().enumerate() {
                let within = times[i..].iter().take_while(|other| **other < at + seconds).count();
                assert!(within <= most, "{within} within {seconds} s");
            }
        }
        assert_eq!(times[59], times[0], "few are not slowed down");
    }
}

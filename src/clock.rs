//! The clock of the machine, and one that stands still.

use jiff::Timestamp;

use crate::app::ports::Clock;

/// Where the time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyClock {
    /// The clock of the machine.
    System,
    /// One moment, for output that can be repeated (`--now`).
    Fixed(Timestamp),
}

impl Clock for AnyClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(now) => *now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_clock_stands_still() {
        let moment: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(AnyClock::Fixed(moment).now(), moment);
    }
}

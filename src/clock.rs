//! The clock of the machine, and one that stands still; and time that passes.

use std::time::Duration;

use futures_util::future::BoxFuture;
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

/// Where the time comes from and how it passes, so that tests need not wait.
pub trait Time: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;

    /// Lets this much time pass.
    fn sleep(&self, pause: Duration) -> BoxFuture<'_, ()>;
}

/// The time of the machine, whatever `--now` says: limits, tokens and leases of others end by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineTime;

impl Time for MachineTime {
    fn now(&self) -> Timestamp {
        AnyClock::System.now()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(pause))
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

//! Hosts that nobody could connect to in this run.
//!
//! A host that is away is away for all its questions: it is not tried anew for each of them, with pauses in
//! between, because a run must end within seconds where there is no network.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use super::failure::transient;
use crate::domain::upstream::UpstreamFailure;

/// Attempts to connect, one after the other, that must fail before a host is given up.
const ATTEMPTS: u32 = 2;

/// What is known of the hosts of a run.
#[derive(Debug, Default)]
pub(super) struct Reach {
    away: Mutex<HashMap<String, Away>>,
}

#[derive(Debug)]
struct Away {
    failures: u32,
    cause: String,
}

impl Reach {
    /// How often in a row `host` could not be connected to.
    ///
    /// # Errors
    /// It is given up.
    pub(super) fn failures(&self, host: &str) -> Result<u32, UpstreamFailure> {
        match self.away.lock().unwrap_or_else(PoisonError::into_inner).get(host) {
            None => Ok(0),
            Some(away) if away.failures < ATTEMPTS => Ok(away.failures),
            Some(away) => Err(transient(format!(
                "cannot connect to `{host}` ({}); it is not asked again in this run",
                away.cause
            ))),
        }
    }

    /// An attempt failed that began when `before` had failed. Of attempts at the same time one counts.
    pub(super) fn failed(&self, host: &str, before: u32, cause: &str) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            away.entry(host.to_owned()).or_insert_with(|| Away { failures: 0, cause: cause.to_owned() });
        known.failures = known.failures.max(before.saturating_add(1));
    }

    /// Somebody is there after all.
    pub(super) fn answered(&self, host: &str) {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }
}

/// Why no connection was made, where that is what went wrong.
pub(super) fn unconnected(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    let mut is_connect = false;
    let mut root = error;
    while let Some(error) = next {
        is_connect |= error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect);
        root = error;
        next = error.source();
    }
    is_connect.then(|| root.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_given_up_after_two_failures_one_after_the_other() {
        let reach = Reach::default();
        for _ in 0..6 {
            reach.failed("a.example:443", 0, "refused");
        }
        assert_eq!(reach.failures("a.example:443"), Ok(1), "six at the same time are one");
        assert_eq!(reach.failures("b.example:443"), Ok(0));
        reach.failed("a.example:443", 1, "refused");
        let given_up = reach.failures("a.example:443").unwrap_err();
        assert!(given_up.message.contains("`a.example:443` (refused)"), "{given_up}");
    }

    #[test]
    fn answer_makes_up_for_a_failure() {
        let reach = Reach::default();
        reach.failed("a.example:443", 0, "refused");
        reach.answered("a.example:443");
        assert_eq!(reach.failures("a.example:443"), Ok(0));
    }
}

//! Passes again and again, and what is measured of them.
//!
//! Nothing is remembered between passes but what the endpoint shows: each one opens the repository, reads the
//! configuration and asks the state anew, as if the program had just been started.

use std::hash::{BuildHasher as _, Hasher as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;

use super::pass::{PassArgs, go};
use super::trace::Trace;
use crate::app::ports::Clock as _;
use crate::cli::error::{CommandError, ErrorKind, Outcome};
use crate::cli::output::replace;
use crate::cli::serve::{self, Endpoint};
use crate::cli::stop::Stop;
use crate::cli::{GlobalArgs, opened};
use crate::clock::AnyClock;
use crate::config;
use crate::metrics::{self, Result as Ended, push};

/// The longest pause after failures, unless the interval is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Share of a pause that is left to chance, so that many copies do not ask at the same moment.
const JITTER: f64 = 0.1;

/// Whether a pass is repeated.
#[derive(Debug, Args)]
pub(super) struct AgainArgs {
    /// Make one pass after the other until SIGTERM
    #[arg(long)]
    pub(super) watch: bool,

    /// Time from the end of a pass to the next, such as `10m`; a tenth more or less, and longer after failures
    #[arg(long, value_name = "DURATION", value_parser = config::duration, default_value = "10m")]
    #[arg(requires = "watch", env = "GITOPS_UPDATER_INTERVAL", hide_env = true)]
    pub(super) interval: Duration,

    /// Answer `/metrics`, `/healthz` and `/readyz` here, such as `0.0.0.0:8080`
    #[arg(long, value_name = "ADDRESS", requires = "watch", env = "GITOPS_UPDATER_LISTEN", hide_env = true)]
    pub(super) listen: Option<SocketAddr>,
}

/// One pass.
pub(super) fn once(args: &PassArgs, global: &GlobalArgs, by_name: bool) -> Result<Outcome, CommandError> {
    let stop = Stop::listen()?;
    let endpoint = Endpoint::new(AnyClock::System.now(), Duration::MAX);
    make(args, global, by_name, &stop, &endpoint)
}

/// Makes a pass and publishes its numbers.
fn make(
    args: &PassArgs,
    global: &GlobalArgs,
    by_name: bool,
    stop: &Stop,
    endpoint: &Endpoint,
) -> Result<Outcome, CommandError> {
    let span = tracing::info_span!("pass").entered();
    let mut trace = Trace::default();
    let begin = Instant::now();
    let outcome = go(args, global, by_name, stop, &mut trace);
    trace.phases.push(("total", begin.elapsed()));
    let gateway = trace.gateway.take();
    let text = {
        let mut totals = endpoint.totals();
        trace.into(&mut totals);
        match &outcome {
            Ok(Outcome::Incomplete) => totals.ended(AnyClock::System.now(), Ended::Incomplete),
            // It neither failed nor came to its end.
            Ok(Outcome::Stopped(_) | Outcome::NotItsTurn) => {}
            Ok(_) => totals.ended(AnyClock::System.now(), Ended::Ok),
            Err(_) => totals.ended(AnyClock::System.now(), Ended::Failed),
        }
        metrics::page(&totals, None).text()
    };
    if let Some(file) = &args.metrics_file
        && let Err(error) = replace(file, text.as_bytes())
    {
        // Numbers that are not written make no pass worse.
        tracing::error!(file = %file.display(), reason = %error, "metrics could not be written");
    }
    if let Some((config::Metrics { push: Some(url), job }, credentials)) = gateway {
        let pushed = opened::runtime().map(|runtime| {
            runtime.block_on(async {
                tokio::select! {
                    pushed = push::push(&url, &job, &text, &credentials) => pushed,
                    _ = stop.wait() => Ok(()),
                }
            })
        });
        if let Ok(Err(error)) = pushed {
            tracing::error!(reason = %error, "metrics could not be sent");
        }
    }
    drop(span);
    outcome
}

/// Passes until a signal.
pub(super) fn run(args: &PassArgs, again: &AgainArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let interval = again.interval;
    if interval.is_zero() {
        return Err(CommandError::usage("no time at all between passes").hint("use `--interval 10m`"));
    }
    let stop = Stop::listen()?;
    let clock = AnyClock::System;
    // Three pauses, and an hour for a pass that has much to do.
    let patience = longest(interval).saturating_mul(3).saturating_add(LONGEST_PAUSE);
    let endpoint = Endpoint::new(clock.now(), patience);
    if let Some(address) = again.listen {
        serve::start(address, endpoint.clone(), clock)?;
    }
    let runtime = opened::runtime()?;
    let mut failures = 0;
    loop {
        match make(args, global, false, &stop, &endpoint) {
            Ok(Outcome::Stopped(_)) => return Ok(Outcome::Done),
            Ok(_) => failures = 0,
            // The command line does not change from pass to pass.
            Err(error) if error.kind == ErrorKind::Usage => return Err(error),
            Err(error) => {
                failures += 1;
                error.tell(global.logs_json());
            }
        }
        let pause = pause(interval, failures, chance());
        tracing::debug!(seconds = pause.as_secs(), failures, "until the next pass");
        if runtime.block_on(stop.sleep(pause)).is_some() {
            return Ok(Outcome::Done);
        }
    }
}

fn longest(interval: Duration) -> Duration {
    interval.max(LONGEST_PAUSE)
}

/// How long to wait after so many failures in a row; `chance` is from 0 to 1.
fn pause(interval: Duration, failures: u32, chance: f64) -> Duration {
    let doubled = interval.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(longest(interval)).mul_f64(1.0 - JITTER + 2.0 * JITTER * chance)
}

/// Anything from 0 to 1: the standard library seeds its hashers at random.
fn chance() -> f64 {
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_failure(600, 0, 0.5, 600)]
    #[case::first_failure_waits_as_usual(600, 1, 0.5, 600)]
    #[case::second(600, 2, 0.5, 1200)]
    #[case::fourth(600, 4, 0.5, 3600)]
    #[case::many(600, 4_000_000_000, 0.5, 3600)]
    #[case::long_interval(7200, 9, 0.5, 7200)]
    #[case::earliest(600, 0, 0.0, 540)]
    #[case::latest(600, 0, 1.0, 660)]
    fn pauses_grow_with_failures_and_are_bounded(
        #[case] interval: u64,
        #[case] failures: u32,
        #[case] chance: f64,
        #[case] seconds: u64,
    ) {
        let pause = pause(Duration::from_secs(interval), failures, chance);
        assert_eq!((pause.as_secs_f64()).round(), Duration::from_secs(seconds).as_secs_f64());
    }

    #[test]
    fn chance_is_between_nothing_and_all() {
        for _ in 0..1000 {
            assert!((0.0..=1.0).contains(&chance()));
        }
    }
}

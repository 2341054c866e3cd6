//! What is measured of one pass.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::app::notify::Delivered;
use crate::app::pass::Done;
use crate::cli::access::Access;
use crate::cli::error::CommandError;
use crate::cli::identity::git_credentials;
use crate::config::{self, Config};
use crate::domain::report::Report;
use crate::metrics::{Numbers, Totals};
use crate::upstream::credentials::Credentials;

/// What is measured of one pass.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) phases: Vec<(&'static str, Duration)>,
    numbers: Option<Numbers>,
    notifications: BTreeMap<String, [u64; 2]>,
    pub(super) gateway: Option<(config::Metrics, Credentials)>,
}

impl Trace {
    /// Does `work` and remembers how long it took.
    pub(super) fn time<T>(&mut self, phase: &'static str, work: impl FnOnce() -> T) -> T {
        let span = tracing::info_span!("phase", name = phase).entered();
        let begin = Instant::now();
        let done = work();
        let took = begin.elapsed();
        drop(span);
        tracing::debug!(
            phase,
            elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "phase ended"
        );
        self.phases.push((phase, took));
        done
    }

    /// Remembers where numbers are sent to.
    pub(super) fn settings(&mut self, config: &Config) -> Result<(), CommandError> {
        let access = Access::from_environment(&config.upstreams, None);
        self.gateway = Some((config.metrics.clone(), git_credentials(config, &access)?));
        Ok(())
    }

    /// Counts what a pass came to.
    pub(super) fn count(&mut self, delivered: &Delivered, done: &Done, report: &Report) {
        let failures = done.failures.iter().map(|failure| failure.component.as_str());
        let now = report.update_report.timestamp;
        self.numbers =
            Some(Numbers::of(report, &done.plan, &done.state, failures, done.kill_switch.is_some(), now));
        for (channel, sent) in &delivered.sent {
            self.notifications.entry(channel.clone()).or_default()[0] += *sent as u64;
        }
        for (channel, (failed, _)) in &delivered.failed {
            self.notifications.entry(channel.clone()).or_default()[1] += *failed as u64;
        }
    }

    /// Adds them to those of the passes before.
    pub(super) fn into(self, totals: &mut Totals) {
        totals.phases = self.phases;
        if let Some(numbers) = self.numbers {
            totals.numbers = Some(numbers);
        }
        for (channel, [sent, failed]) in self.notifications {
            let entry = totals.notifications.entry(channel).or_default();
            entry[0] += sent;
            entry[1] += failed;
        }
    }
}

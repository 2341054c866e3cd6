//! Settling from the command line: how long is looked on, what is recorded, and how the cluster is reached.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;

use super::connection::not_connected;
use super::environment;
use super::error::{CommandError, Outcome};
use super::stop::Stop;
use crate::app::forge::Forge;
use crate::app::pass::{Error as PassError, Pass, World};
use crate::app::probes::{NoTrials, Tester, Trier};
use crate::app::settle::{self, Recorder, Settle, Settled};
use crate::clock::AnyClock;
use crate::cluster::{self, Access, Live, LiveOptions, Reducer};
use crate::config::{Config, duration};
use crate::domain::rule::Rule;
use crate::domain::settle::line::Line;
use crate::domain::settle::recording;
use crate::probe::Here;
use crate::telemetry::EVEN_QUIET;

/// How merged updates are looked at.
#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    /// Look on for at most this long, such as `10m`; `0s` looks once. What is being tried then ends first, which may take
    /// minutes more [default: as long as the windows of what was merged, or once where there is no cluster]
    #[arg(long, value_name = "DURATION", value_parser = read_duration)]
    wait: Option<Duration>,

    /// Write everything that verdicts are made from to FILE, for `verify --replay`; it ends where every update is decided
    /// or the time of --wait is over
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

fn read_duration(text: &str) -> Result<Duration, String> {
    duration(text)
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot write the recording `{}`", .0.display())]
    Record(PathBuf, #[source] std::io::Error),
    #[error("cannot make a salt for the recording: the system gives no random numbers")]
    Random,
}

/// A cluster, as far as there is a way to it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) live: Option<Live>,
    /// There is a way, and nobody answers.
    pub(super) away: Option<String>,
}

impl Seen {
    /// Connects where there is a way. A cluster that does not answer now is no error: it may be restarting because of
    /// the very update that is looked at.
    pub(super) async fn connect(access: Option<&Access>, recorded: bool) -> Result<Self, CommandError> {
        let Some(access) = access else { return Ok(Self::default()) };
        let mut options = LiveOptions::default();
        if recorded {
            let mut salt = [0; 16];
            SystemRandom::new().fill(&mut salt).map_err(|_| CommandError::failed(Error::Random))?;
            options.recorded = Some(Reducer::new(salt));
        }
        match Live::connect(access, options).await {
            Ok(live) => Ok(Self { live: Some(live), away: None }),
            Err(error @ cluster::Error::Unreachable { .. }) => {
                tracing::warn!(target: EVEN_QUIET, error = %error, "the cluster does not answer");
                Ok(Self { live: None, away: Some(error.to_string()) })
            }
            Err(error) => Err(not_connected(error)),
        }
    }
}

/// Who tries the cluster before and after updates, where there is a way to it.
pub(super) fn trier<'a>(
    config: &'a Config,
    seen: &'a Seen,
    rules: &[Rule],
    clock: AnyClock,
) -> Result<Box<dyn Trier + 'a>, CommandError> {
    let validation = &config.validation;
    if seen.live.is_none() || validation.trials().names().is_empty() {
        return Ok(Box::new(NoTrials));
    }
    let outside = Here::new(&validation.trials(), clock, environment::read).map_err(CommandError::failed)?;
    Ok(Box::new(Tester { cluster: seen.live.as_ref(), outside, clock, validation, rules: rules.to_vec() }))
}

/// Writes a recording.
struct Recording(Mutex<BufWriter<File>>);

impl Recorder for Recording {
    fn record(&self, line: &Line<Value>) -> std::io::Result<()> {
        let text = recording::write(line)?;
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{}", text.trim_end())
    }
}

/// What is settled, and by what is known.
pub(super) struct Which<'a> {
    /// By id and component.
    pub(super) selected: &'a dyn Fn(&str, &str) -> bool,
    pub(super) rules: &'a [Rule],
    /// Something may be proposed afterwards.
    pub(super) proposes: bool,
}

impl SettleArgs {
    pub(super) fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// Whether it was written that is looked on.
    pub(super) fn looks_on(&self) -> bool {
        self.wait.is_some() || self.record.is_some()
    }

    /// Settles what was merged.
    pub(super) fn settle<F: Forge>(
        &self,
        pass: &Pass<'_, F>,
        world: World,
        seen: &Seen,
        stop: &Stop,
        which: &Which<'_>,
    ) -> Result<Settled, CommandError> {
        let recording = match &self.record {
            Some(path) => Some(recording_at(path)?),
            None => None,
        };
        let settle = Settle {
            cluster: seen.live.as_ref(),
            away: seen.away.as_deref(),
            wait: self.wait,
            proposes: which.proposes,
            settings: pass.config.validation.settings(),
            checks: &|| settle::checks(pass.config.validation.health()),
            stop: &|| {
                let stop = stop.clone();
                Box::pin(async move {
                    stop.wait().await;
                })
            },
            recorder: recording.as_ref().map(|recording| recording as &dyn Recorder),
            selected: which.selected,
            rules: which.rules,
        };
        // Who only looks on wants to know what was seen until it was stopped.
        let settled = match which.proposes {
            true => pass.settle(world, &settle),
            false => pass.look_on(world, &settle),
        };
        let settled = settled.map_err(failed)?;
        if let (Some(recording), Some(path)) = (recording, &self.record) {
            let failed = |source| CommandError::failed(Error::Record(path.clone(), source));
            let file = recording.0.into_inner().unwrap_or_else(PoisonError::into_inner);
            file.into_inner().map_err(|error| failed(error.into_error()))?;
            if let Some(error) = settled.unrecorded {
                return Err(failed(error));
            }
        }
        Ok(settled)
    }
}

fn recording_at(path: &Path) -> Result<Recording, CommandError> {
    let file =
        File::create(path).map_err(|source| CommandError::failed(Error::Record(path.to_owned(), source)))?;
    Ok(Recording(Mutex::new(BufWriter::new(file))))
}

fn failed(error: PassError) -> CommandError {
    let hint = error.hint();
    let error = CommandError::failed(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// How a command ends by what became of updates: the worst counts. `undecided` = that nothing is decided is told, too.
pub(super) fn outcome(settled: &Settled, undecided: bool) -> Outcome {
    use settle::Outcome as Became;
    let worst = settled.outcomes.values().max().copied().unwrap_or(Became::Over);
    match worst {
        Became::RevertFailed => Outcome::RevertFailed,
        Became::HeldRegressed => Outcome::Regressed,
        Became::Reverted => Outcome::Reverted,
        Became::HeldUnknown | Became::Undecided if undecided => Outcome::Undecided,
        Became::HeldUnknown | Became::Undecided | Became::Over if settled.failures.is_empty() => {
            Outcome::Done
        }
        Became::HeldUnknown | Became::Undecided | Became::Over => Outcome::Incomplete,
    }
}

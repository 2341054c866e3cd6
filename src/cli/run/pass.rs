//! One pass from the command line: what it is made with, and how it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::ingredients::{Ingredients, Nothing, failed, witness};
use super::report::{Form, Passed, deliver};
use super::settling::Settling;
use super::trace::Trace;
use crate::app::detect::DetectRequest;
use crate::app::effects::Stopped;
use crate::app::named;
use crate::app::notify::{self, Delivered, Event, Gathered};

use crate::app::plan::{self, Planning};
use crate::app::rules::rules_of;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::generate::Looker;
use crate::cli::lease;
use crate::cli::notify::{People, of_error, of_failures};
use crate::cli::opened::{CacheArgs, configuration, configuration_of_base};
use crate::cli::plan::{FactsArgs, Known};
use crate::cli::progress::Bar;
use crate::cli::settle::{self, Seen, SettleArgs};
use crate::cli::stop::Stop;
use crate::cli::workplace::{PlaceArgs, Workplace};
use crate::cli::{GlobalArgs, opened, workplace};
use crate::config::{Config, window_from_line};
use crate::domain::plan::input::{Observed, Situation};
use crate::domain::policy::window::Window;
use crate::repo;

/// What a pass is made with.
#[derive(Debug, Args)]
pub(super) struct PassArgs {
    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    facts: FactsArgs,

    #[command(flatten)]
    settle: SettleArgs,

    /// Make PATH a bare clone of URL where it is empty, and follow its branch; for containers
    #[arg(long, value_name = "URL", env = "GITOPS_UPDATER_CLONE", hide_env = true)]
    clone: Option<String>,

    /// Print each effect that the pass would have, and have none
    #[arg(long)]
    dry_run: bool,

    /// Propose and merge only in this window instead of the configured ones: cron, duration and time zone, such as
    /// "0 2 * * 6 4h Europe/Berlin" (repeatable)
    #[arg(long = "maintenance-window", value_name = "SPEC")]
    windows: Vec<String>,

    /// Write numbers about the pass to FILE, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "FILE", env = "GITOPS_UPDATER_METRICS_FILE", hide_env = true)]
    pub(super) metrics_file: Option<PathBuf>,
}

/// Makes one pass, tells people, and delivers the report.
pub(super) fn go(
    args: &PassArgs,
    global: &GlobalArgs,
    by_name: bool,
    stop: &Stop,
    trace: &mut Trace,
) -> Result<Outcome, CommandError> {
    let form = Form::of(global.format)?;
    let windows = windows(&args.windows)?;
    let runtime = opened::runtime()?;
    let place = trace.time("open", || {
        runtime.block_on(async {
            if let Some(url) = &args.clone {
                workplace::clone(&args.place.path, url, global).await?;
            }
            args.place.open(global).await
        })
    })?;
    trace.settings(&place.config)?;
    let access = args.facts.access().filter(|_| !args.dry_run);
    let turn = trace.time("lease", || lease::take(access.as_ref()))?;
    if let Some(text) = turn.of_another() {
        // What was asked for and is not done is told with `--quiet`, too.
        match global.quiet {
            true => tracing::error!("{text}"),
            false => tracing::warn!("{text}"),
        }
        return Ok(Outcome::NotItsTurn);
    }
    let stop = &turn.stop(stop);
    let at =
        At { args, global, by_name, stop, runtime: &runtime, place: &place, windows: windows.as_deref() };
    let gathered = Gathered::default();
    let passed = at.pass(&gathered, trace);
    if let (Some(signal), Err(_)) = (stop.asked(), &passed) {
        tracing::info!(signal = signal.name(), "stopped; the next pass goes on from here");
        return Ok(Outcome::Stopped(signal));
    }
    if passed.is_err() && stop.is_lost() {
        return Err(lease::lost());
    }
    // Who is asked to stop begins nothing new: the next pass tells what this one came to.
    let told = match stop.is_over() {
        true => Ok(Delivered::default()),
        false => trace.time("tell", || at.tell(&passed, gathered.take())),
    };
    let mut passed = passed?;
    // A pass is not undone by what people were not told.
    let delivered = told.unwrap_or_else(|error| {
        tracing::error!(reason = %error.source, "people could not be told");
        passed.untold = Some(error.source.to_string());
        Delivered::default()
    });
    trace.count(&delivered, &passed.done, &passed.report);
    passed.done.effects.extend(delivered.effects.iter().cloned());
    passed.delivered = delivered;
    let outcome = deliver(&passed, args.dry_run, form, global)?;
    Ok(if passed.settled == Outcome::Done { outcome } else { passed.settled })
}

/// Where and how a pass is made.
struct At<'a> {
    args: &'a PassArgs,
    global: &'a GlobalArgs,
    by_name: bool,
    stop: &'a Stop,
    runtime: &'a tokio::runtime::Runtime,
    place: &'a Workplace,
    windows: Option<&'a [Window]>,
}

impl<'a> At<'a> {
    /// For the components and in the windows of the command line.
    fn ingredients<'b>(
        &self,
        config: &'b Config,
        gathered: &'b Gathered,
        seen: &'b Seen,
    ) -> Result<Ingredients<'b>, CommandError>
    where
        'a: 'b,
    {
        let Self { args, global, by_name, stop, runtime, place, windows } = *self;
        let selected = move |id: &str, kind: &str| {
            global.components.is_empty()
                || global.components.iter().any(|selector| selector.matches(id, kind))
        };
        let looks_on = witness(args.dry_run, stop);
        let mut ingredients = Ingredients::bare(place, runtime, config, looks_on, gathered, seen)?;
        ingredients.windows = windows;
        ingredients.selected = Box::new(selected);
        ingredients.by_name = by_name;
        Ok(ingredients)
    }

    fn pass(&self, gathered: &Gathered, trace: &mut Trace) -> Result<Passed, CommandError> {
        let Self { args, global, place, runtime, .. } = *self;
        let seen = trace.time("connect", || {
            runtime.block_on(Seen::connect(args.facts.access().as_ref(), args.settle.is_recorded()))
        })?;
        let settling = Settling {
            args: &args.settle,
            global,
            place,
            runtime,
            seen: &seen,
            stop: self.stop,
            proposes: true,
        };
        // Which updates there are does not depend on what is proposed now: every one of them is settled.
        let (settled, _) = trace
            .time("settle", || settling.settle(witness(args.dry_run, self.stop), gathered, &|_, _| true))?;
        let known = runtime.block_on(args.facts.load_from(&seen, place.now()))?;
        let first = self.ingredients(&place.config, gathered, &seen)?;
        let world = trace.time("observe", || first.pass(&Nothing).observe()).map_err(failed)?;

        // The base branch decides, not what lies in the working tree: files, rules and configuration are its own.
        let base = world.base.to_string();
        let path = place.path.as_path();
        let repository = repo::open(path, Some(&base)).map_err(CommandError::failed)?;
        let config = configuration(path, global, &repository)?;
        trace.settings(&config)?;
        let mut ingredients = self.ingredients(&config, gathered, &seen)?;
        ingredients.baseline = settled.baseline.clone();
        ingredients.unfit = settled.unfit.clone();
        ingredients.trials = settle::trier(&config, &seen, rules_of(&repository).0.rules(), place.clock)?;
        ingredients.heed(global, &configuration_of_base(path, &repository)?);
        let request = DetectRequest {
            path: path.to_path_buf(),
            rev: Some(base),
            config: config.clone(),
            offline: global.offline,
            // The sequence is that of the whole repository, whatever is proposed of it.
            components: Vec::new(),
            deep: false,
            now: place.now(),
        };
        let opened = args.cache.opened(repository, request, place.clock)?;
        let bar = Arc::new(Bar::new(global.shows_progress()));
        let found = trace.time("read", || opened.read())?;
        let upstreams = opened.upstreams(bar.clone())?;
        let surveyed = trace.time("detect", || {
            runtime.block_on(async {
                tokio::select! {
                    survey = plan::survey(found, &opened.request, &upstreams, &opened.clock) => Some(survey),
                    // Nothing was done yet: there is nothing to finish.
                    _ = self.stop.wait() => None,
                }
            })
        });
        bar.clear();
        let mut survey = surveyed.ok_or_else(|| CommandError::failed(Stopped))?;
        let found = survey.report.update_report.components.iter();
        let ids = found.map(|(id, entry)| (id.as_str(), entry.kind.as_str()));
        if let Some(unknown) = named::missing(ids, &global.components).into_iter().next() {
            return Err(CommandError::usage(unknown));
        }
        let named: Vec<String> = survey
            .report
            .update_report
            .components
            .iter()
            .filter(|(id, entry)| global.components.iter().any(|one| one.matches(id, &entry.kind)))
            .map(|(id, _)| id.clone())
            .collect();
        let observed =
            known.as_ref().map(|known: &Known| Observed { facts: &known.facts, source: known.source });
        let looker = Looker::new(&upstreams, runtime).rendering(&config);
        let asked = BTreeSet::new();
        let planning = Planning {
            config: &config,
            observed,
            situation: Situation {
                updates: &[],
                unrecorded: &asked,
                groundless: &asked,
                holds: &|_| Vec::new(),
                asked: &asked,
            },
            read: &|file| opened.repository.read(file),
            generator: &looker,
            targets: &looker,
            charts: &looker,
            named: &asked,
            quarantine: &world.state.quarantine,
        };
        trace.time("plan", || {
            crate::cli::plan::look_up(&mut survey, &planning, &upstreams, runtime, place.now());
        });
        let mut done = trace
            .time("act", || {
                ingredients
                    .pass(&looker)
                    .carry_out(world, &survey, observed, &|file| opened.repository.read(file))
            })
            .map_err(failed)?;
        drop(ingredients);
        let ending = settle::outcome(&settled, false);
        settled.put_before(&mut done);
        Ok(Passed {
            done,
            report: survey.report,
            config,
            named,
            settled: ending,
            delivered: Delivered::default(),
            untold: None,
        })
    }

    /// Tells people what the pass came to, or that it failed.
    fn tell(
        &self,
        passed: &Result<Passed, CommandError>,
        gathered: Vec<Event>,
    ) -> Result<Delivered, CommandError> {
        let place = self.place;
        let now = place.now();
        let config = passed.as_ref().map_or(&place.config, |passed| &passed.config);
        if config.notifications.channels.is_empty() {
            return Ok(Delivered::default());
        }
        let mut events = gathered;
        let store = place.state();
        let (state, links) = match passed {
            Ok(passed) => {
                let announced = |id: &str, kind: &str| config.settings_for(id, kind).notifications.value;
                events.extend(notify::found_by(&passed.report, &announced, now));
                events.extend(of_failures(&passed.done.failures, &events, now));
                (passed.done.state.clone(), passed.done.links.clone())
            }
            Err(error) => {
                events.push(of_error(error, now));
                (store.load()?.state, BTreeMap::new())
            }
        };
        let witness = witness(self.args.dry_run, self.stop);
        let people = People { config, place, runtime: self.runtime, witness: witness.as_ref() };
        people.tell(&state, events, &links)
    }
}

fn windows(specs: &[String]) -> Result<Option<Vec<Window>>, CommandError> {
    if specs.is_empty() {
        return Ok(None);
    }
    let windows: Result<Vec<_>, _> =
        specs.iter().map(|spec| window_from_line(spec, "--maintenance-window")).collect();
    windows.map(Some).map_err(CommandError::usage)
}

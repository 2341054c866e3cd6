//! `run`, `propose`: one pass over a repository, whole or for named components.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::error::{CommandError, Outcome};
use super::generate::Looker;
use super::github_actions::Actions;
use super::opened::{CacheArgs, configuration, configuration_of_base};
use super::plan::{FactsArgs, Known};
use super::progress::Bar;
use super::settle::{self, Seen, SettleArgs};
use super::stop::{Stop, Stoppable};
use super::watch::{self, AgainArgs, Trace};
use super::workplace::{PlaceArgs, Workplace};
use super::{GlobalArgs, environment};
use crate::app::data::{DataKeeper, Keeper, NoCluster};
use crate::app::detect::DetectRequest;
use crate::app::effects::{Acting, Effect, Go, Stopped, Witness};
use crate::app::named;
use crate::app::notify::{self, Delivered, Event, Gathered, Kind, Telling};
use crate::app::pass::{self, Done, Pass};
use crate::app::plan::{self, Charts, Generator, Planning};
use crate::app::probes::{NoTrials, Trier};
use crate::app::rules::rules_of;
use crate::app::settle::{Settled, Unfit};
use crate::config::{Config, window_from_line};
use crate::domain::chart_diff::{Comparison, UserValues};
use crate::domain::message::{Overrides, Templates};
use crate::domain::plan::Step;
use crate::domain::plan::input::{Observed, Situation};
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::policy::window::Window;
use crate::domain::report::Report;
use crate::domain::settle::memory::Baseline;
use crate::domain::state::{Update, UpdateStatus};
use crate::domain::upstream::UpstreamRef;
use crate::repo;
use crate::report::plan::{PlanFormat, render};
use crate::report::{Format, RenderOptions, STEP_SUMMARY_LIMIT};

/// Make one pass: take what is under way further, then propose what comes next
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) pass: PassArgs,

    #[command(flatten)]
    pub(super) again: AgainArgs,
}

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

/// Open the pull requests of named components, also those under the gate `manual`
#[derive(Debug, Args)]
pub(super) struct ProposeArgs {
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) fn run(args: &RunArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    watch::run(args, global)
}

pub(super) fn propose(args: &ProposeArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if global.components.is_empty() {
        return Err(CommandError::usage("nothing is named that could be proposed")
            .hint("name components with `--component ID`; `gitops-updater plan` lists what there is"));
    }
    watch::once(&args.pass, global, true)
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
    let runtime = super::opened::runtime()?;
    let place = trace.time("open", || {
        runtime.block_on(async {
            if let Some(url) = &args.clone {
                super::workplace::clone(&args.place.path, url, global).await?;
            }
            args.place.open(global).await
        })
    })?;
    trace.settings(&place.config)?;
    let at =
        At { args, global, by_name, stop, runtime: &runtime, place: &place, windows: windows.as_deref() };
    let gathered = Gathered::default();
    let passed = at.pass(&gathered, trace);
    if let (Some(signal), Err(_)) = (stop.asked(), &passed) {
        tracing::info!(signal = signal.name(), "stopped; the next pass goes on from here");
        return Ok(Outcome::Stopped(signal));
    }
    // Who is asked to stop begins nothing new: the next pass tells what this one came to.
    let told = match stop.asked() {
        Some(_) => Ok(Delivered::default()),
        None => trace.time("tell", || at.tell(&passed, gathered.take())),
    };
    let mut passed = passed?;
    // A pass is not undone by what people were not told.
    let delivered = told.unwrap_or_else(|error| {
        tracing::error!(reason = %error.source, "people could not be told");
        passed.untold = Some(error.source.to_string());
        Delivered::default()
    });
    trace.count(&delivered, &passed);
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

/// A pass that was made.
pub(super) struct Passed {
    pub(super) done: Done,
    pub(super) report: Report,
    config: Config,
    /// What became of updates that were merged before.
    settled: Outcome,
    delivered: Delivered,
    /// Why nobody could be told anything.
    untold: Option<String>,
}

impl At<'_> {
    fn pass(&self, gathered: &Gathered, trace: &mut Trace) -> Result<Passed, CommandError> {
        let Self { args, global, place, runtime, .. } = *self;
        let seen = trace.time("connect", || {
            runtime.block_on(Seen::connect(args.facts.access().as_ref(), args.settle.is_recorded()))
        })?;
        let settling = Settling {
            args: &args.settle,
            path: &args.place.path,
            global,
            place,
            runtime,
            seen: &seen,
            stop: self.stop,
        };
        // Which updates there are does not depend on what is proposed now: every one of them is settled.
        let settled = trace
            .time("settle", || settling.settle(witness(args.dry_run, self.stop), gathered, &|_, _| true))?;
        let known = runtime.block_on(args.facts.load_from(&seen, place.now()))?;
        let first = Ingredients::new(self, &place.config, gathered, &seen)?;
        let world = trace.time("observe", || first.pass(&Nothing, &Nothing).observe()).map_err(failed)?;

        // The base branch decides, not what lies in the working tree: files, rules and configuration are its own.
        let base = world.base.to_string();
        let path = args.place.path.as_path();
        let repository = repo::open(path, Some(&base)).map_err(CommandError::failed)?;
        let config = configuration(path, global, &repository)?;
        trace.settings(&config)?;
        let mut ingredients = Ingredients::new(self, &config, gathered, &seen)?;
        ingredients.baseline = settled.baseline.clone();
        ingredients.unfit = settled.unfit.clone();
        ingredients.trials = settle::trier(&config, &seen, rules_of(&repository).0.rules(), place.clock)?;
        if global.config.is_some() && !configuration_of_base(&repository)?.enabled {
            // Who may write to the base branch may stop the program, whatever file it was given.
            ingredients.stopped = ingredients.stopped.or(Some(KillSwitch::Configuration));
        }
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
            return Err(CommandError::usage(unknown).hint("`gitops-updater detect` lists what there is"));
        }
        let observed =
            known.as_ref().map(|known: &Known| Observed { facts: &known.facts, source: known.source });
        let looker = Looker::new(&upstreams, runtime).rendering(&config);
        let asked = BTreeSet::new();
        let planning = Planning {
            config: &config,
            observed,
            situation: Situation { updates: &[], holds: &|_| Vec::new(), asked: &asked },
            read: &|file| opened.repository.read(file),
            generator: &looker,
        };
        trace.time("plan", || {
            super::plan::look_up(&mut survey, &planning, &upstreams, runtime, place.now());
        });
        let mut done = trace
            .time("act", || {
                ingredients
                    .pass(&looker, &looker)
                    .carry_out(world, &survey, observed, &|file| opened.repository.read(file))
            })
            .map_err(failed)?;
        drop(ingredients);
        let ending = settle::outcome(&settled, false);
        done.join(settled);
        Ok(Passed {
            done,
            report: survey.report,
            config,
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
        let day = now.strftime("%Y-%m-%d").to_string();
        let failure = |name: &str, said: String, hint: Option<String>| {
            // The same failure again the same day is no news.
            Event::new(Kind::BotFailed, &format!("{name}/{day}"), said, now).then(hint)
        };
        let (state, links) = match passed {
            Ok(passed) => {
                let announced = |id: &str, kind: &str| config.settings_for(id, kind).notifications.value;
                events.extend(notify::found_by(&passed.report, &announced, now));
                for failed in &passed.done.failures {
                    let said = format!("{}: {}", failed.component, chain(&failed.error));
                    events.push(failure(&failed.component, said, failed.error.hint()));
                }
                (passed.done.state.clone(), passed.done.links.clone())
            }
            Err(error) => {
                let said = format!("a pass failed: {}", chain(error.source.as_ref()));
                events.push(failure("pass", said, error.hints.first().cloned()));
                (store.load()?.state, BTreeMap::new())
            }
        };
        let (channels, _) = super::notify::channels(config, place)?;
        let witness = witness(self.args.dry_run, self.stop);
        let telling = Telling {
            config: &config.notifications,
            messenger: &channels,
            store: &store,
            witness: witness.as_ref(),
            runtime: self.runtime,
            now,
        };
        telling.tell(&state, events, &links).map_err(CommandError::failed)
    }
}

/// How merged updates are settled, by the configuration of the base branch.
pub(super) struct Settling<'a> {
    pub(super) args: &'a SettleArgs,
    pub(super) path: &'a std::path::Path,
    pub(super) global: &'a GlobalArgs,
    pub(super) place: &'a Workplace,
    pub(super) runtime: &'a tokio::runtime::Runtime,
    pub(super) seen: &'a Seen,
    pub(super) stop: &'a Stop,
}

impl Settling<'_> {
    /// Settles what was merged and is selected, by update id and component.
    pub(super) fn settle(
        &self,
        witness: Box<dyn Witness + '_>,
        gathered: &Gathered,
        selected: &dyn Fn(&str, &str) -> bool,
    ) -> Result<Settled, CommandError> {
        let Self { args, path, global, place, runtime, seen, stop } = *self;
        let first = Ingredients::bare(place, runtime, &place.config, witness, gathered, seen)?;
        let world = first.pass(&Nothing, &Nothing).observe().map_err(failed)?;
        let repository = repo::open(path, Some(&world.base.to_string())).map_err(CommandError::failed)?;
        let config = configuration(path, global, &repository)?;
        let mut ingredients = Ingredients::bare(place, runtime, &config, first.witness, gathered, seen)?;
        if global.config.is_some() && !configuration_of_base(&repository)?.enabled {
            ingredients.stopped = ingredients.stopped.or(Some(KillSwitch::Configuration));
        }
        // What is wrong with a rule is said by the survey of the same revision.
        let (registry, _) = rules_of(&repository);
        ingredients.trials = settle::trier(&config, seen, registry.rules(), place.clock)?;
        args.settle(&ingredients.pass(&Nothing, &Nothing), world, seen, stop, registry.rules(), selected)
    }
}

/// Who looks on: nothing in a dry run, and nothing after a signal.
pub(super) fn witness(dry_run: bool, stop: &Stop) -> Box<dyn Witness + '_> {
    let inner: Box<dyn Witness> = if dry_run { Box::new(DryRun) } else { Box::new(Acting) };
    Box::new(Stoppable { inner, stop })
}

/// Whether a component, by id and kind, is meant.
type Selects<'a> = Box<dyn Fn(&str, &str) -> bool + 'a>;

/// What a pass is made of.
struct Ingredients<'a> {
    place: &'a Workplace,
    runtime: &'a tokio::runtime::Runtime,
    config: &'a Config,
    templates: Templates,
    witness: Box<dyn Witness + 'a>,
    windows: Option<&'a [Window]>,
    selected: Selects<'a>,
    by_name: bool,
    data: Box<dyn DataKeeper + 'a>,
    trials: Box<dyn Trier + 'a>,
    stopped: Option<KillSwitch>,
    gathered: &'a Gathered,
    /// How the cluster is now.
    baseline: Option<Baseline>,
    /// Why nothing may be merged by the state of the cluster.
    unfit: Option<Unfit>,
}

impl<'a> Ingredients<'a> {
    fn new(
        at: &At<'a>,
        config: &'a Config,
        gathered: &'a Gathered,
        seen: &'a Seen,
    ) -> Result<Self, CommandError> {
        let At { args, global, by_name, stop, runtime, place, windows } = *at;
        let selected = move |id: &str, kind: &str| {
            global.components.is_empty()
                || global.components.iter().any(|selector| selector.matches(id, kind))
        };
        let bare = Self::bare(place, runtime, config, witness(args.dry_run, stop), gathered, seen)?;
        Ok(Self { windows, selected: Box::new(selected), by_name, ..bare })
    }

    /// For every component, in the windows of the configuration.
    fn bare(
        place: &'a Workplace,
        runtime: &'a tokio::runtime::Runtime,
        config: &'a Config,
        witness: Box<dyn Witness + 'a>,
        gathered: &'a Gathered,
        seen: &'a Seen,
    ) -> Result<Self, CommandError> {
        let texts = &config.pull_requests.templates;
        let templates = Templates::new(Overrides {
            title: texts.title.clone(),
            commit: texts.commit.clone(),
            pull_request: texts.body.clone(),
            ..Overrides::default()
        })
        .map_err(CommandError::configuration)?;
        let settings = &config.data_backups;
        let data: Box<dyn DataKeeper + 'a> = match &seen.live {
            Some(cluster) => Box::new(Keeper { cluster, settings, runtime }),
            None => Box::new(NoCluster { settings }),
        };
        Ok(Self {
            place,
            runtime,
            config,
            templates,
            witness,
            windows: None,
            selected: Box::new(|_, _| true),
            by_name: false,
            data,
            trials: Box::new(NoTrials),
            stopped: kill_switch(config),
            gathered,
            baseline: None,
            unfit: None,
        })
    }

    fn pass<'s>(
        &'s self,
        generator: &'s dyn Generator,
        charts: &'s dyn Charts,
    ) -> Pass<'s, crate::forge::AnyForge> {
        Pass {
            forge: &self.place.forge,
            git: self.place.repo.clone(),
            store: self.place.state(),
            config: self.config,
            author: self.place.author.clone(),
            templates: &self.templates,
            witness: self.witness.as_ref(),
            runtime: self.runtime,
            generator,
            charts,
            data: self.data.as_ref(),
            trials: self.trials.as_ref(),
            kill_switch: self.stopped,
            windows: self.windows,
            accepted: BTreeMap::new(),
            selected: self.selected.as_ref(),
            by_name: self.by_name,
            proposes: true,
            notify: self.gathered,
            baseline: self.baseline.as_ref(),
            unfit: self.unfit.as_ref(),
            now: self.place.now(),
        }
    }
}

pub(super) fn kill_switch(config: &Config) -> Option<KillSwitch> {
    if !config.enabled {
        return Some(KillSwitch::Configuration);
    }
    // `GITOPS_UPDATER_DISABLE=0` is what people write who mean that it is on.
    let disabled = environment::read("GITOPS_UPDATER_DISABLE")
        .is_some_and(|value| !matches!(value.trim(), "" | "0" | "false" | "no" | "off"));
    disabled.then_some(KillSwitch::Environment)
}

fn windows(specs: &[String]) -> Result<Option<Vec<Window>>, CommandError> {
    if specs.is_empty() {
        return Ok(None);
    }
    let windows: Result<Vec<_>, _> =
        specs.iter().map(|spec| window_from_line(spec, "--maintenance-window")).collect();
    windows.map(Some).map_err(CommandError::usage)
}

fn failed(error: pass::Error) -> CommandError {
    let hint = error.hint();
    let error = CommandError::failed(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Leaves every effect out; what would have been is told in the end.
pub(super) struct DryRun;

impl Witness for DryRun {
    fn before(&self, _: &Effect) -> Result<Go, Stopped> {
        Ok(Go::Skip)
    }

    fn acts(&self) -> bool {
        false
    }
}

/// For looking on, which makes no files.
struct Nothing;

impl Generator for Nothing {
    fn generate(&self, path: &str, _: &[u8], _: &str) -> Result<Vec<u8>, String> {
        Err(format!("nothing makes `{path}`"))
    }
}

impl Charts for Nothing {
    fn compare(&self, _: &UpstreamRef, _: &str, _: &str, _: &[UserValues]) -> Result<Comparison, String> {
        Err("nothing looks into charts".to_owned())
    }
}

/// How a pass is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Yaml,
    Markdown,
}

impl Form {
    fn of(format: Format) -> Result<Self, CommandError> {
        Ok(match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
            Format::Yaml => Self::Yaml,
            Format::Markdown | Format::StepSummary => Self::Markdown,
            Format::Csv | Format::Html | Format::Xml => {
                return Err(CommandError::usage("a pass is told as text, json, yaml or markdown"));
            }
        })
    }
}

/// A pass, for scripts.
#[derive(Serialize)]
struct RunReport<'a> {
    schema: &'static str,
    dry_run: bool,
    effects: Vec<String>,
    updates: Vec<&'a Update>,
    waiting: &'a BTreeMap<String, String>,
    failures: Vec<FailureEntry<'a>>,
    warnings: &'a [String],
    /// Messages that arrived, by channel.
    notified: &'a BTreeMap<String, usize>,
    /// Why messages did not arrive, by channel.
    not_notified: BTreeMap<&'a str, &'a str>,
    plan: &'a crate::domain::plan::PlanReport,
}

#[derive(Serialize)]
struct FailureEntry<'a> {
    component: &'a str,
    message: String,
    hint: Option<String>,
}

fn deliver(passed: &Passed, dry_run: bool, form: Form, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let output = global.output();
    let options = RenderOptions {
        color: output.wants_color(),
        verbose: global.verbose > 0,
        ..RenderOptions::new(passed.report.update_report.timestamp)
    };
    let told = |limit| markdown(passed, dry_run, limit, &options);
    let text = match form {
        Form::Text => text(passed, dry_run),
        Form::Markdown => told(usize::MAX)?,
        Form::Json => {
            serde_json::to_string_pretty(&report(passed, dry_run)).map_err(CommandError::failed)? + "\n"
        }
        Form::Yaml => serde_yaml::to_string(&report(passed, dry_run)).map_err(CommandError::failed)?,
    };
    output.write(&text)?;
    if let Some(actions) = Actions::from_environment() {
        actions.summarize(&told(STEP_SUMMARY_LIMIT)?)?;
        actions.counts(&passed.done.state, output.path())?;
    }
    match passed.done.failures.first() {
        None => Ok(Outcome::Done),
        Some(_) => Ok(Outcome::Incomplete),
    }
}

/// Why messages did not arrive, by channel.
fn not_notified(passed: &Passed) -> BTreeMap<&str, &str> {
    let failed = passed.delivered.failed.iter().map(|(name, (_, reason))| (name.as_str(), reason.as_str()));
    failed.chain(passed.untold.as_deref().map(|reason| ("all", reason))).collect()
}

fn report(passed: &Passed, dry_run: bool) -> RunReport<'_> {
    let done = &passed.done;
    RunReport {
        schema: "gitops-updater/run/v1",
        dry_run,
        effects: done.effects.iter().map(ToString::to_string).collect(),
        updates: under_way(done).collect(),
        waiting: &done.waiting,
        failures: done
            .failures
            .iter()
            .map(|failure| FailureEntry {
                component: &failure.component,
                message: chain(&failure.error),
                hint: failure.error.hint(),
            })
            .collect(),
        warnings: &done.warnings,
        notified: &passed.delivered.sent,
        not_notified: not_notified(passed),
        plan: &done.plan,
    }
}

/// Steps that are shown as waiting.
const WAITING: usize = 5;

/// Steps that nothing before them keeps back, and why they were not proposed all the same.
fn waiting_steps(done: &Done) -> impl Iterator<Item = (&Step, &str)> {
    let is_under_way = |step: &Step| {
        under_way(done).any(|update| update.component == step.component && update.to == step.to)
    };
    let steps = done.plan.waves.iter().flat_map(|wave| &wave.steps);
    steps
        .filter(move |step| step.requires.is_empty() && !is_under_way(step))
        .map(|step| (step, step.waits_for().unwrap_or("was not asked for in this run")))
}

fn under_way(done: &Done) -> impl Iterator<Item = &Update> {
    done.state
        .updates
        .values()
        .filter(|update| matches!(update.status, UpdateStatus::InProgress | UpdateStatus::Held))
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text.push_str(&format!(": {said}"));
        }
        cause = next.source();
    }
    text
}

fn text(passed: &Passed, dry_run: bool) -> String {
    let done = &passed.done;
    let mut lines = Vec::new();
    let verb = if dry_run { "Would" } else { "Did" };
    match done.effects.len() {
        0 => lines.push("Nothing to do.".to_owned()),
        count => {
            lines.push(format!("{verb} {count} thing{}:", if count == 1 { "" } else { "s" }));
            lines.extend(done.effects.iter().map(|effect| format!("  {effect}")));
        }
    }
    let open: Vec<&Update> = under_way(done).collect();
    if !open.is_empty() {
        lines.push(String::new());
        lines.push(format!("Under way ({}):", open.len()));
    }
    for update in open {
        let number = update.pull_request.map(|number| format!(" #{number}")).unwrap_or_default();
        lines.push(format!("  {} {} → {}{number}", update.component, update.from, update.to));
        lines.push(format!("    {}", update.update_id));
        let reason = done.waiting.get(&update.update_id).or(update.reason.as_ref());
        lines.extend(reason.map(|reason| format!("    {reason}")));
    }
    let waiting: Vec<_> = waiting_steps(done).collect();
    if !waiting.is_empty() {
        lines.push(String::new());
        lines.push(format!("Waiting ({}; `gitops-updater plan` shows all):", waiting.len()));
    }
    for (step, reason) in waiting.iter().take(WAITING) {
        lines.push(format!("  {} {} → {}", step.component, step.from, step.to));
        lines.push(format!("    {reason}"));
    }
    if !done.failures.is_empty() {
        lines.push(String::new());
        lines.push(format!("Failed ({}):", done.failures.len()));
    }
    for failure in &done.failures {
        lines.push(format!("  {}: {}", failure.component, chain(&failure.error)));
        lines.extend(failure.error.hint().map(|hint| format!("    hint: {hint}")));
    }
    if !done.warnings.is_empty() {
        lines.push(String::new());
        lines.push(format!("Take note ({}):", done.warnings.len()));
        lines.extend(done.warnings.iter().map(|warning| format!("  {warning}")));
    }
    for (channel, reason) in not_notified(passed) {
        lines.push(String::new());
        lines.push(format!("Not told ({channel}): {reason}"));
    }
    let printable: Vec<String> = lines.iter().map(|line| crate::repo::printable(line).into_owned()).collect();
    printable.join("\n") + "\n"
}

fn markdown(
    passed: &Passed,
    dry_run: bool,
    limit: usize,
    options: &RenderOptions,
) -> Result<String, CommandError> {
    let done = &passed.done;
    let plan = render(&done.plan, PlanFormat::Markdown { limit: limit.saturating_sub(limit / 4) }, options)
        .map_err(CommandError::failed)?;
    let mut text = String::new();
    let verb = if dry_run { "Would have done" } else { "Done" };
    text.push_str(&format!("## {verb}\n\n"));
    if done.effects.is_empty() {
        text.push_str("Nothing.\n");
    }
    for effect in &done.effects {
        let line = format!("- {}\n", crate::domain::message::neutral::prose(&effect.to_string(), 400));
        if text.len() + line.len() > limit / 4 {
            text.push_str("- …\n");
            break;
        }
        text.push_str(&line);
    }
    for failure in done.failures.iter().take(20) {
        let said = format!("{}: {}", failure.component, chain(&failure.error));
        text.push_str(&format!("- **failed** {}\n", crate::domain::message::neutral::prose(&said, 400)));
    }
    for warning in done.warnings.iter().take(20) {
        text.push_str(&format!("- take note: {}\n", crate::domain::message::neutral::prose(warning, 400)));
    }
    for (channel, reason) in not_notified(passed) {
        let said = crate::domain::message::neutral::prose(&format!("{channel}: {reason}"), 400);
        text.push_str(&format!("- **not told** {said}\n"));
    }
    Ok(format!("{text}\n{plan}"))
}

//! `run`, `propose`: one pass over a repository, whole or for named components.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::error::{CommandError, Outcome};
use super::generate::Looker;
use super::github_actions::Actions;
use super::opened::{CacheArgs, configuration, configuration_of_base};
use super::plan::{FactsArgs, Known};
use super::progress::Bar;
use super::workplace::{PlaceArgs, Workplace};
use super::{GlobalArgs, environment};
use crate::app::detect::DetectRequest;
use crate::app::effects::{Acting, Effect, Go, Stopped, Witness};
use crate::app::named;
use crate::app::pass::{self, Done, Pass};
use crate::app::plan::{self, Charts, Generator, Planning};
use crate::config::{Config, window_from_line};
use crate::domain::chart_diff::{Comparison, UserValues};
use crate::domain::message::{Overrides, Templates};
use crate::domain::plan::Step;
use crate::domain::plan::input::{Observed, Situation};
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::policy::window::Window;
use crate::domain::state::{Update, UpdateStatus};
use crate::domain::upstream::UpstreamRef;
use crate::repo;
use crate::report::plan::{PlanFormat, render};
use crate::report::{Format, RenderOptions, STEP_SUMMARY_LIMIT};

/// Make one pass: take what is under way further, then propose what comes next
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    facts: FactsArgs,

    /// Print each effect that the pass would have, and have none
    #[arg(long)]
    dry_run: bool,

    /// Propose and merge only in this window instead of the configured ones: cron, duration and time zone, such as
    /// "0 2 * * 6 4h Europe/Berlin" (repeatable)
    #[arg(long = "maintenance-window", value_name = "SPEC")]
    windows: Vec<String>,
}

/// Open the pull requests of named components, also those under the gate `manual`
#[derive(Debug, Args)]
pub(super) struct ProposeArgs {
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn run(args: &RunArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    go(args, global, false)
}

pub(super) fn propose(args: &ProposeArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if global.components.is_empty() {
        return Err(CommandError::usage("nothing is named that could be proposed")
            .hint("name components with `--component ID`; `gitops-updater plan` lists what there is"));
    }
    go(&args.run, global, true)
}

fn go(args: &RunArgs, global: &GlobalArgs, by_name: bool) -> Result<Outcome, CommandError> {
    let form = Form::of(global.format)?;
    let windows = windows(&args.windows)?;
    let runtime = super::opened::runtime()?;
    let place = runtime.block_on(args.place.open(global))?;
    let known = args.facts.load(place.now())?;

    let first = Ingredients::new(args, global, &place, &runtime, &place.config, by_name, windows.as_deref())?;
    let world = first.pass(&Nothing, &Nothing).observe().map_err(failed)?;

    // The base branch decides, not what lies in the working tree: files, rules and configuration are its own.
    let base = world.base.to_string();
    let path = args.place.path.as_path();
    let repository = repo::open(path, Some(&base)).map_err(CommandError::failed)?;
    let config = configuration(path, global, &repository)?;
    let mut ingredients =
        Ingredients::new(args, global, &place, &runtime, &config, by_name, windows.as_deref())?;
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
    let found = opened.read()?;
    let upstreams = opened.upstreams(bar.clone())?;
    let mut survey = runtime.block_on(plan::survey(found, &opened.request, &upstreams, &opened.clock));
    bar.clear();
    let found = survey.report.update_report.components.iter();
    let ids = found.map(|(id, entry)| (id.as_str(), entry.kind.as_str()));
    if let Some(unknown) = named::missing(ids, &global.components).into_iter().next() {
        return Err(CommandError::usage(unknown).hint("`gitops-updater detect` lists what there is"));
    }
    let observed = known.as_ref().map(|known: &Known| Observed { facts: &known.facts, source: known.source });
    let looker = Looker::new(&upstreams, &runtime).rendering(&config);
    let asked = BTreeSet::new();
    let planning = Planning {
        config: &config,
        observed,
        situation: Situation { updates: &[], holds: &|_| Vec::new(), asked: &asked },
        read: &|file| opened.repository.read(file),
        generator: &looker,
    };
    super::plan::look_up(&mut survey, &planning, &upstreams, &runtime, place.now());
    let done = ingredients
        .pass(&looker, &looker)
        .carry_out(world, &survey, observed, &|file| opened.repository.read(file))
        .map_err(failed)?;
    deliver(&done, args.dry_run, form, global, &opened.request)
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
    stopped: Option<KillSwitch>,
}

impl<'a> Ingredients<'a> {
    fn new(
        args: &RunArgs,
        global: &'a GlobalArgs,
        place: &'a Workplace,
        runtime: &'a tokio::runtime::Runtime,
        config: &'a Config,
        by_name: bool,
        windows: Option<&'a [Window]>,
    ) -> Result<Self, CommandError> {
        let texts = &config.pull_requests.templates;
        let templates = Templates::new(Overrides {
            title: texts.title.clone(),
            commit: texts.commit.clone(),
            pull_request: texts.body.clone(),
            ..Overrides::default()
        })
        .map_err(CommandError::configuration)?;
        let witness: Box<dyn Witness> = if args.dry_run { Box::new(DryRun) } else { Box::new(Acting) };
        let selected = move |id: &str, kind: &str| {
            global.components.is_empty()
                || global.components.iter().any(|selector| selector.matches(id, kind))
        };
        Ok(Self {
            place,
            runtime,
            config,
            templates,
            witness,
            windows,
            selected: Box::new(selected),
            by_name,
            stopped: kill_switch(config),
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
            kill_switch: self.stopped,
            windows: self.windows,
            accepted: BTreeMap::new(),
            selected: self.selected.as_ref(),
            by_name: self.by_name,
            proposes: true,
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
struct DryRun;

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
    plan: &'a crate::domain::plan::PlanReport,
}

#[derive(Serialize)]
struct FailureEntry<'a> {
    component: &'a str,
    message: String,
    hint: Option<String>,
}

fn deliver(
    done: &Done,
    dry_run: bool,
    form: Form,
    global: &GlobalArgs,
    request: &DetectRequest,
) -> Result<Outcome, CommandError> {
    let output = global.output();
    let options = RenderOptions {
        color: output.wants_color(),
        verbose: global.verbose > 0,
        ..RenderOptions::new(request.now)
    };
    let told = |limit| markdown(done, dry_run, limit, &options);
    let text = match form {
        Form::Text => text(done, dry_run),
        Form::Markdown => told(usize::MAX)?,
        Form::Json => {
            serde_json::to_string_pretty(&report(done, dry_run)).map_err(CommandError::failed)? + "\n"
        }
        Form::Yaml => serde_yaml::to_string(&report(done, dry_run)).map_err(CommandError::failed)?,
    };
    output.write(&text)?;
    if let Some(actions) = Actions::from_environment() {
        actions.summarize(&told(STEP_SUMMARY_LIMIT)?)?;
    }
    match done.failures.first() {
        None => Ok(Outcome::Done),
        Some(_) => Ok(Outcome::Incomplete),
    }
}

fn report(done: &Done, dry_run: bool) -> RunReport<'_> {
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
fn chain(error: &dyn std::error::Error) -> String {
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

fn text(done: &Done, dry_run: bool) -> String {
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
    let printable: Vec<String> = lines.iter().map(|line| crate::repo::printable(line).into_owned()).collect();
    printable.join("\n") + "\n"
}

fn markdown(
    done: &Done,
    dry_run: bool,
    limit: usize,
    options: &RenderOptions,
) -> Result<String, CommandError> {
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
    Ok(format!("{text}\n{plan}"))
}

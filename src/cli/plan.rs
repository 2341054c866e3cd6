//! `plan`: the safe sequence of updates, each step with its gate and its edits.

mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use self::recorded::Recorded;
use super::GlobalArgs;
use super::connection::{ClusterArgs, connect};
use super::error::{CommandError, Outcome};
use super::generate::Looker;
use super::github_actions::Actions;
use super::opened::{Opened, ReadArgs, block_on, runtime};
use super::progress::Bar;
use super::settle::Seen;
use crate::app::gates::Gates;
use crate::app::named;
use crate::app::plan::{self, ChartChange, Charts, Generator, Planned, Planning, Survey, Target, Targets};
use crate::cluster;
use crate::domain::chart_diff::{Comparison, Harm};
use crate::domain::facts::Facts;
use crate::domain::plan::graph::{GraphFormat, graph};
use crate::domain::plan::input::{Observed, Situation};
use crate::domain::plan::{Held, PlanReport, Prospect, Step, Wait, prospect};
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::problem::Problem;
use crate::domain::state::Update;
use crate::domain::upstream::UpstreamFailure;
use crate::report::plan::{PlanFormat, render};
use crate::report::{Format, RenderOptions, STEP_SUMMARY_LIMIT};
use crate::strict;
use crate::upstream::client::UpstreamClient;

/// Largest file of facts that is read, in bytes.
const MAX_FACTS: u64 = 16 << 20;

/// Show the safe sequence of updates, what each one changes, and what is held and why
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    read: ReadArgs,

    #[command(flatten)]
    facts: FactsArgs,

    /// Write what depends on what, and what each change can touch, as a graph instead
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    graph: Option<GraphLanguage>,

    /// Exit with 10 when a step can be proposed, with 11 when every update is held for a person
    #[arg(long, env = "GITOPS_UPDATER_EXIT_CODE", hide_env = true, value_parser = FalseyValueParser::new())]
    exit_code: bool,
}

/// Languages of graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphLanguage {
    Mermaid,
    Dot,
}

/// Where facts about the cluster come from.
#[derive(Debug, Args)]
pub(super) struct FactsArgs {
    /// Facts about the cluster, as `gitops-updater facts` writes them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cluster", "kubeconfig", "context"])]
    facts: Option<PathBuf>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Facts, who says so, and what could not be seen.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) facts: Facts,
    pub(super) source: &'static str,
    pub(super) problems: Vec<Problem>,
}

/// Why facts cannot be used.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the facts in `{}`", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot read the facts in `{}`: {what}", .path.display())]
    Unfit { path: PathBuf, what: &'static str },
    #[error("cannot read the facts in `{}`: the file has more than {MAX_FACTS} bytes", .path.display())]
    TooLarge { path: PathBuf },
    #[error("the facts in `{}` have {}", .path.display(), mistakes(*.count))]
    Parse { path: PathBuf, count: usize },
}

impl FactsArgs {
    /// The facts that were asked for; `None` where none were.
    pub(super) fn load(&self, now: jiff::Timestamp) -> Result<Option<Known>, CommandError> {
        if let Some(path) = &self.facts {
            let facts = from_file(path)?;
            return Ok(Some(Known { facts, source: "file", problems: Vec::new() }));
        }
        match self.access() {
            Some(access) => block_on(observe(&access, now)).map(Some),
            None => Ok(None),
        }
    }

    /// How the cluster is reached, where it was asked for or the program runs in one.
    pub(super) fn access(&self) -> Option<cluster::Access> {
        self.cluster.access()
    }

    /// As [`FactsArgs::load`], where the cluster is connected to already; one that is away has no facts.
    pub(super) async fn load_from(
        &self,
        seen: &Seen,
        now: jiff::Timestamp,
    ) -> Result<Option<Known>, CommandError> {
        if let Some(path) = &self.facts {
            return Ok(Some(Known { facts: from_file(path)?, source: "file", problems: Vec::new() }));
        }
        let Some(live) = &seen.live else { return Ok(None) };
        let (facts, problems) = cluster::observe(live, now).await;
        Ok(Some(Known { facts, source: "cluster", problems }))
    }

    /// The way to the cluster that was named; `None` where none was.
    pub(super) async fn connect(&self) -> Result<Option<cluster::Live>, CommandError> {
        match self.access() {
            Some(access) => connect(&access).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Asks the cluster for its facts.
pub(super) async fn observe(access: &cluster::Access, now: jiff::Timestamp) -> Result<Known, CommandError> {
    let live = connect(access).await?;
    let (facts, problems) = cluster::observe(&live, now).await;
    Ok(Known { facts, source: "cluster", problems })
}

fn from_file(path: &Path) -> Result<Facts, CommandError> {
    use std::io::Read as _;
    use std::os::unix::fs::FileTypeExt as _;
    const HOW: &str = "`gitops-updater facts --output FILE` writes such a file";
    let failed = |source| CommandError::failed(Error::Read { path: path.to_path_buf(), source });
    let unfit = |what| CommandError::failed(Error::Unfit { path: path.to_path_buf(), what }).hint(HOW);
    let kind = std::fs::metadata(path).map_err(failed)?.file_type();
    // What a shell passes for `<(…)` is a pipe.
    if !kind.is_file() && !kind.is_fifo() {
        return Err(unfit(if kind.is_dir() { "it is a folder" } else { "it is no file" }));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FACTS + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FACTS {
        return Err(CommandError::failed(Error::TooLarge { path: path.to_path_buf() }));
    }
    if text.trim().is_empty() {
        return Err(unfit("it is empty"));
    }
    // JSON is YAML, too.
    strict::read(&text).map_err(|found| {
        let mut error = CommandError::failed(Error::Parse { path: path.to_path_buf(), count: found.len() });
        error.details = found.iter().map(|mistake| format!("{}:{mistake}", path.display())).collect();
        error.hint(HOW)
    })
}

fn mistakes(count: usize) -> String {
    if count == 1 { "1 mistake".to_owned() } else { format!("{count} mistakes") }
}

pub(super) fn run(args: &PlanArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let format = plan_format(global.format)?;
    let mut opened = args.read.open(global, false)?;
    let known = args.facts.load(opened.request.now)?;
    let bar = Arc::new(Bar::new(global.shows_progress()));
    // The sequence is that of the whole repository, whatever is shown of it.
    let selectors = std::mem::take(&mut opened.request.components);
    let recorded = Recorded::of(&opened, args, global);
    let switch = opened.kill_switch(&args.read, global).or(recorded.switch);
    let planned = make(&opened, known.as_ref(), &recorded, switch, bar.clone());
    bar.clear();
    let (planned, survey) = planned?;
    let dependencies = survey.dependencies;
    let Planned { mut report, waits, .. } = planned;
    if !selectors.is_empty() {
        let found = &survey.report.update_report.components;
        let ids = found.iter().map(|(id, entry)| (id.as_str(), entry.kind.as_str()));
        if let Some(unknown) = named::missing(ids, &selectors).into_iter().next() {
            return Err(CommandError::usage(unknown));
        }
        let is_meant = |id: &str| {
            let kind = found.get(id).map_or("", |entry| entry.kind.as_str());
            selectors.iter().any(|selector| selector.matches(id, kind))
        };
        only(&mut report, &waits, is_meant);
    }
    let prospect = prospect(&report, &waits);
    report.tell_once(&|_| false);
    report.problems.extend(recorded.problems);
    report.problems.extend(known.into_iter().flat_map(|known| known.problems));

    let output = global.output();
    if let Some(language) = args.graph {
        let language = match language {
            GraphLanguage::Mermaid => GraphFormat::Mermaid,
            GraphLanguage::Dot => GraphFormat::Dot,
        };
        output.write(&graph(&report, &dependencies).write(language))?;
        return Ok(Outcome::Done);
    }
    let options = RenderOptions {
        color: output.wants_color(),
        verbose: global.verbose > 0,
        ..RenderOptions::new(opened.request.now)
    };
    output.write(&render(&report, format, &options).map_err(CommandError::failed)?)?;
    if let Some(actions) = Actions::from_environment() {
        let limit = PlanFormat::Markdown { limit: STEP_SUMMARY_LIMIT };
        actions.summarize(&render(&report, limit, &options).map_err(CommandError::failed)?)?;
    }
    Ok(match prospect {
        Prospect::Next if args.exit_code => Outcome::UpdatesAvailable,
        Prospect::Held if args.exit_code => Outcome::AllHeld,
        Prospect::Next | Prospect::Held | Prospect::Waits | Prospect::Nothing => Outcome::Done,
    })
}

/// Leaves in a report what is meant, and what must go before it: what it requires, and what rules put first.
fn only(report: &mut PlanReport, waits: &BTreeMap<String, Wait>, is_meant: impl Fn(&str) -> bool) {
    let steps = || report.waves.iter().flat_map(|wave| &wave.steps);
    let mut wanted: BTreeSet<String> =
        steps().filter(|step| is_meant(&step.component)).map(|step| step.id.clone()).collect();
    loop {
        let before: Vec<String> = steps()
            .filter(|step| wanted.contains(&step.id))
            .flat_map(|step| {
                let by_rules = waits.get(&step.id).map(|wait| wait.after.as_slice()).unwrap_or_default();
                step.requires.iter().chain(by_rules).filter(|id| !wanted.contains(*id)).cloned()
            })
            .collect();
        if before.is_empty() {
            break;
        }
        wanted.extend(before);
    }
    for wave in &mut report.waves {
        wave.steps.retain(|step| wanted.contains(&step.id));
    }
    report.close_gaps();
    let is_wanted = |held: &Held| {
        let step = held.to.as_ref().map(|to| format!("{}@{to}", held.component));
        is_meant(&held.component) || step.is_some_and(|step| wanted.contains(&step))
    };
    let (held, others): (Vec<Held>, Vec<Held>) =
        std::mem::take(&mut report.held).into_iter().partition(is_wanted);
    report.held = held;
    report.diffs.retain(|id, _| wanted.contains(id));
    // What an upstream did not say of others is theirs.
    let is_of_others = |problem: &Problem| others.iter().any(|held| held.reason == problem.message);
    report.problems.retain(|problem| problem.file.is_some() || !is_of_others(problem));
}

fn make(
    opened: &Opened,
    known: Option<&Known>,
    recorded: &Recorded,
    switch: Option<KillSwitch>,
    bar: Arc<Bar>,
) -> Result<(Planned, Survey), CommandError> {
    let found = opened.read()?;
    let runtime = runtime()?;
    let upstreams = opened.upstreams(bar)?;
    let mut survey = runtime.block_on(plan::survey(found, &opened.request, &upstreams, &opened.clock));
    let generator = Looker::new(&upstreams, &runtime);
    let (config, now) = (&opened.request.config, opened.request.now);
    let state = &recorded.state;
    let nothing = BTreeSet::new();
    let planning = Planning {
        config,
        observed: known.map(|known| Observed { facts: &known.facts, source: known.source }),
        situation: Situation {
            updates: &[],
            unrecorded: &nothing,
            groundless: &nothing,
            holds: &|_| Vec::new(),
            asked: &nothing,
        },
        read: &|path| opened.repository.read(path),
        generator: &generator,
        targets: &generator,
        charts: &generator,
        named: &nothing,
        quarantine: &state.quarantine,
    };
    look_up(&mut survey, &planning, &upstreams, &runtime, now);
    let gates = Gates { now, config, survey: &survey, state, windows: None, kill_switch: switch };
    let updates: Vec<Update> = state.updates.values().cloned().collect();
    let asked = gates.asked();
    let holds = |step: &Step| match &recorded.unfit {
        // The words about it are those of `run`, which would do nothing.
        Some(hold) => vec![hold.clone()],
        None => gates.holds(step, &[]),
    };
    let groundless = gates.groundless();
    let situation = Situation {
        updates: &updates,
        unrecorded: &recorded.unrecorded,
        groundless: &groundless,
        holds: &holds,
        asked: &asked,
    };
    let mut planned = plan::plan(&survey, &Planning { situation, ..planning }, now);
    for step in planned.report.waves.iter_mut().flat_map(|wave| &mut wave.steps).filter(|step| step.next) {
        if let Some(why) = planned.unjudged.get(&step.id) {
            step.reasons.push(format!(
                "whether the newer chart takes the values that are set, and keeps its CRDs, is not judged: {why}"
            ));
        }
    }
    gates.limit(&mut planned.report);
    Ok((planned, survey))
}

/// Asks for digests that steps need. Files that are made anew are not looked into meanwhile: nothing waits for both.
pub(super) fn look_up(
    survey: &mut Survey,
    planning: &Planning<'_>,
    upstreams: &UpstreamClient,
    runtime: &tokio::runtime::Runtime,
    now: jiff::Timestamp,
) {
    let planning = Planning { generator: &Unasked, targets: &Unasked, charts: &Unasked, ..*planning };
    runtime.block_on(plan::look_up_digests(survey, &planning, upstreams, now));
}

/// Takes it that every file can be made anew, and every version be had and do no harm.
struct Unasked;

impl Generator for Unasked {
    fn generate(&self, _: &str, old: &[u8], _: &str) -> Result<Vec<u8>, String> {
        Ok(old.to_vec())
    }
}

impl Targets for Unasked {
    fn reach(&self, targets: &[Target]) -> Vec<Result<(), UpstreamFailure>> {
        targets.iter().map(|_| Ok(())).collect()
    }
}

impl Charts for Unasked {
    fn compare(&self, _: &ChartChange) -> Result<Comparison, UpstreamFailure> {
        Ok(Comparison::default())
    }

    fn harm(&self, changes: &[ChartChange]) -> Vec<Result<Harm, UpstreamFailure>> {
        changes.iter().map(|_| Ok(Harm::default())).collect()
    }
}

fn plan_format(format: Format) -> Result<PlanFormat, CommandError> {
    Ok(match format {
        Format::Text => PlanFormat::Text,
        Format::Json => PlanFormat::Json,
        Format::Yaml => PlanFormat::Yaml,
        Format::Markdown => PlanFormat::Markdown { limit: usize::MAX },
        Format::StepSummary => PlanFormat::Markdown { limit: STEP_SUMMARY_LIMIT },
        Format::Csv | Format::Html | Format::Xml => {
            return Err(CommandError::usage("a plan is written as text, json, yaml or markdown")
                .hint("`gitops-updater detect` has csv, html and xml, too"));
        }
    })
}

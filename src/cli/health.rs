//! `health`: the cluster's health now, by category, and what is new since a baseline.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::connection::{ConnectionArgs, connect};
use super::error::{CommandError, Outcome};
use super::opened::block_on;
use super::output::Output;
use super::workplace::{PlaceArgs, blocking};
use super::{GlobalArgs, environment, opened};
use crate::app::cluster::ClusterError;
use crate::app::health::{Glance, category_of, entry, glance};
use crate::app::ports::Clock as _;
use crate::app::probes::{self, Testbed, Trial, Tried};
use crate::clock::AnyClock;
use crate::cluster::Live;
use crate::domain::settle::finding::Category;
use crate::domain::settle::health::probe::Trials;
use crate::domain::settle::health::report::{Asked, Health, Status, report};
use crate::domain::settle::health::{HealthSettings, Unobserved, findings_since, restarts};
use crate::domain::settle::memory::Baseline;
use crate::probe::Here;
use crate::repo;
use crate::report::health::{HealthFormat, render};
use crate::report::{Format, RenderOptions};
use crate::telemetry::EVEN_QUIET;

/// Largest baseline that is read, in bytes.
const MAX_BASELINE: u64 = 16 << 20;

/// Show the cluster's health by category, or what is new since a baseline
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Only this category (repeatable)
    #[arg(long = "category", value_enum, value_name = "NAME", value_delimiter = ',')]
    categories: Vec<CategoryArg>,

    /// Only this namespace (repeatable); what belongs to none is left out
    #[arg(long = "namespace", short = 'n', value_name = "NAME", value_delimiter = ',')]
    namespaces: Vec<String>,

    #[command(flatten)]
    connection: ConnectionArgs,

    /// Show only what is new or worse since a baseline: a file, or the id of an update under way
    #[arg(long, value_name = "FILE|ID")]
    baseline: Option<String>,

    /// Write what is wrong now to FILE, for --baseline
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,

    /// Also ask probes, and try network, storage, Job and command, as `validation` of the configuration has them
    #[arg(long = "try")]
    try_all: bool,

    /// Exit with 12 when something is wrong (with --baseline: new), with 13 when not all could be looked at
    #[arg(long)]
    exit_code: bool,
}

/// A category on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CategoryArg(Category);

impl ValueEnum for CategoryArg {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [CategoryArg; 6] = [
            CategoryArg(Category::Infrastructure),
            CategoryArg(Category::Flux),
            CategoryArg(Category::Storage),
            CategoryArg(Category::Network),
            CategoryArg(Category::Applications),
            CategoryArg(Category::Custom),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}

/// Why health could not be shown.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the baseline `{}`", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot read the baseline `{}`: it has more than {MAX_BASELINE} bytes", .path.display())]
    TooLarge { path: PathBuf },
    #[error("cannot understand the baseline `{}`", .path.display())]
    Parse { path: PathBuf, source: serde_yaml::Error },
    #[error("`{0}` is neither a file nor an update with a baseline")]
    NoBaseline(String),
}

pub(super) fn run(args: &HealthArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let format = match global.format {
        Format::Text => HealthFormat::Text,
        Format::Json => HealthFormat::Json,
        Format::Yaml => HealthFormat::Yaml,
        Format::Markdown => HealthFormat::Markdown,
        _ => {
            return Err(CommandError::usage("health is not shown in this format")
                .hint("use `--format text`, `json`, `yaml` or `markdown`"));
        }
    };
    let clock = args.place.clock();
    let report = block_on(async {
        let baseline = match &args.baseline {
            Some(named) => Some(baseline(named, args, global).await?),
            None => None,
        };
        let live = connect(&args.connection.access()).await?;
        let asked = Asked {
            categories: args.categories.iter().map(|category| category.0).collect(),
            namespaces: args.namespaces.clone(),
            baseline: baseline.as_ref(),
        };
        let namespaces = (!args.namespaces.is_empty()).then(|| args.namespaces.clone());
        let mut seen = glance(&live, &clock, asked.kinds(), namespaces).await.map_err(not_told)?;
        let tried = if args.try_all { try_all(args, global, &live, clock, &mut seen).await? } else { vec![] };
        let before = baseline.as_ref().map(|baseline| &baseline.restarts);
        let found = findings_since(&seen.world, &HealthSettings::default(), before);
        if let Some(file) = &args.write_baseline {
            let now = Baseline {
                taken_at: Some(seen.world.wall()),
                findings: found.clone(),
                restarts: restarts(&seen.world),
                ..Baseline::default()
            };
            Output::to(Some(file)).write(&serde_yaml::to_string(&now).map_err(CommandError::failed)?)?;
        }
        let entries = tried.iter().map(entry).collect();
        Ok(report(&seen.world, found, &asked, seen.unobserved, entries))
    })?;
    let output = global.output();
    let options = RenderOptions {
        color: output.wants_color(),
        verbose: global.verbose > 0,
        ..RenderOptions::new(report.health.taken_at)
    };
    output.write(&render(&report, format, &options).map_err(CommandError::failed)?)?;
    Ok(if args.exit_code { outcome(&report.health) } else { Outcome::Done })
}

fn outcome(health: &Health) -> Outcome {
    match health.status {
        Status::Healthy => Outcome::Done,
        Status::Unknown => Outcome::NotAllObserved,
        Status::Failing | Status::Critical => Outcome::Unhealthy,
    }
}

fn not_told(error: ClusterError) -> CommandError {
    let hint = error.hint.clone();
    let failed = CommandError::failed(error);
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// Everything that the configuration says can be tried.
async fn try_all(
    args: &HealthArgs,
    global: &GlobalArgs,
    live: &Live,
    clock: AnyClock,
    seen: &mut Glance,
) -> Result<Vec<Trial>, CommandError> {
    let top = repo::top(&args.place.path).map_err(CommandError::failed)?;
    let path = top.as_path();
    let repository = repo::open(path, None).map_err(CommandError::failed)?;
    let trials = opened::configuration(path, global, &repository)?.validation.trials();
    if trials.names().is_empty() {
        tracing::warn!(target: EVEN_QUIET, "nothing to try: the configuration has neither probes nor trials below `validation`");
        return Ok(vec![]);
    }
    let here = Here::new(&trials, clock, environment::read).map_err(CommandError::failed)?;
    let mut tried = probes::quick(&trials, &here).await;
    tried.extend(in_cluster(&trials, live, clock, &repository).await?);
    tried.extend(probes::command(&trials, &here).await);
    for trial in &tried {
        seen.take(trial);
        if let Tried::Not(reason) = &trial.tried {
            seen.unobserved.push(Unobserved {
                category: category_of(trial),
                what: trial.name.clone(),
                reason: reason.clone(),
            });
        }
    }
    Ok(tried)
}

async fn in_cluster(
    trials: &Trials,
    live: &Live,
    clock: AnyClock,
    repository: &repo::Repo,
) -> Result<Vec<Trial>, CommandError> {
    if !trials.needs_a_cluster() {
        return Ok(vec![]);
    }
    // Two runs at the same time must not take each other's Pods for their own.
    let purpose = format!("health {} {}", clock.now(), std::process::id());
    let testbed = Testbed { cluster: live, clock: &clock, pods: &trials.pods, purpose: &purpose };
    match probes::sweep(live, &trials.pods.namespace, clock.now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed what killed runs have left"),
        Err(error) => tracing::warn!(reason = %error, "cannot look for what killed runs have left"),
    }
    let mut tried = probes::inside(&testbed, trials).await;
    if let Some(spec) = &trials.storage {
        let result = match probes::storage_before(&testbed, spec).await {
            Ok(kept) => probes::storage_after(&testbed, &kept).await,
            Err(tried) => tried,
        };
        tried.push(Trial { name: "storage".to_owned(), tried: result });
    }
    if let Some(spec) = &trials.test_job {
        let text = repository.read(&spec.manifest).map_err(CommandError::failed)?;
        let result = match probes::read_job(&spec.manifest, &text) {
            Ok(job) => probes::run_job(&testbed, spec, &job).await,
            Err(error) => Tried::Not(error.to_string()),
        };
        tried.push(Trial { name: "test_job".to_owned(), tried: result });
    }
    Ok(tried)
}

/// A baseline from a file, or from the state of an update.
async fn baseline(named: &str, args: &HealthArgs, global: &GlobalArgs) -> Result<Baseline, CommandError> {
    let path = Path::new(named);
    if path.is_file() {
        return from_file(path);
    }
    let none = || {
        CommandError::failed(Error::NoBaseline(named.to_owned())).hint(
            "`gitops-updater health --write-baseline FILE` writes one; `gitops-updater status` lists updates",
        )
    };
    if path.components().count() > 1 || path.extension().is_some() {
        return Err(none());
    }
    let store = args.place.open(global).await?.state();
    let loaded = blocking(move || store.load()).await?;
    loaded.state.baselines.get(named).cloned().ok_or_else(none)
}

fn from_file(path: &Path) -> Result<Baseline, CommandError> {
    let failed = |source| CommandError::failed(Error::Read { path: path.to_path_buf(), source });
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BASELINE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BASELINE {
        return Err(CommandError::failed(Error::TooLarge { path: path.to_path_buf() }));
    }
    serde_yaml::from_str(&text).map_err(|source| {
        CommandError::failed(Error::Parse { path: path.to_path_buf(), source })
            .hint("`gitops-updater health --write-baseline FILE` writes such a file")
    })
}

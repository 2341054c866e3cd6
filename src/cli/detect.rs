//! `detect`: what a repository runs and what is newer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;

use super::access::{Access, default_cache_dir};
use super::error::{CommandError, Outcome};
use super::github_actions::{Actions, annotations};
use super::output::Output;
use super::progress::Bar;
use super::{GlobalArgs, adapters, load_named, repository_root};
use crate::app::detect::{self, DetectRequest};
use crate::app::ports::{Clock, Progress};
use crate::clock::AnyClock;
use crate::config::{self, Config, Origin, Trust};
use crate::domain::report::Report;
use crate::repo;
use crate::report::{self, Format, RenderOptions};

/// Report what a repository runs and what is newer upstream
#[derive(Debug, Args)]
pub(super) struct DetectArgs {
    /// Repository or folder
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,

    /// Read this revision (branch, tag, commit) instead of the working tree
    #[arg(long, value_name = "REV")]
    rev: Option<String>,

    /// Also ask for archive, platforms, date and source of each target
    #[arg(long, env = "GITOPS_UPDATER_DEEP", hide_env = true, value_parser = FalseyValueParser::new())]
    deep: bool,

    /// Exit with 10 when updates are available
    #[arg(long, env = "GITOPS_UPDATER_EXIT_CODE", hide_env = true, value_parser = FalseyValueParser::new())]
    exit_code: bool,

    /// Keep answers of upstreams in DIR [default: ~/.cache/gitops-updater]
    #[arg(long, value_name = "DIR", env = "GITOPS_UPDATER_CACHE_DIR", hide_env = true)]
    cache_dir: Option<PathBuf>,

    /// Keep no answers and use none that were kept, whatever --cache-dir says
    #[arg(long, env = "GITOPS_UPDATER_NO_CACHE", hide_env = true, value_parser = FalseyValueParser::new())]
    no_cache: bool,

    /// Make the report as of TIME, such as 2026-01-31T12:00:00Z, for output that can be repeated
    #[arg(long, value_name = "TIME", env = "GITOPS_UPDATER_NOW", hide_env = true)]
    now: Option<Timestamp>,
}

/// Why detection could not begin.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot open `{}`", path.display())]
    Path { path: PathBuf, source: std::io::Error },
    #[error("cannot start the threads that ask upstreams")]
    Runtime { source: std::io::Error },
}

pub(super) fn run(args: &DetectArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if args.no_cache && global.offline {
        return Err(CommandError::usage("--no-cache and --offline cannot be used together")
            .hint("--offline answers from the cache; leave --no-cache out"));
    }
    args.path
        .metadata()
        .map_err(|source| CommandError::failed(Error::Path { path: args.path.clone(), source }))?;
    let clock = args.now.map_or(AnyClock::System, AnyClock::Fixed);
    let request = DetectRequest {
        path: args.path.clone(),
        rev: args.rev.clone(),
        config: configuration(args, global)?,
        offline: global.offline,
        components: global.components.clone(),
        deep: args.deep,
        now: clock.now(),
    };
    let cache_dir = if args.no_cache { None } else { args.cache_dir.clone().or_else(default_cache_dir) };
    let access = Access::from_environment(&request.config.upstreams, cache_dir);
    for variable in &access.unset {
        tracing::warn!(
            variable = variable.as_str(),
            "environment variable named by the configuration is not set"
        );
    }

    let repository = open(args)?;
    let bar = Arc::new(Bar::new(global.shows_progress()));
    let report = detect(&request, &repository, &access, clock, bar.clone());
    bar.clear();
    deliver(&report?, &request, args, global)
}

/// The configuration that `--config` names, else that of the folder, else that of the repository around it.
fn configuration(args: &DetectArgs, global: &GlobalArgs) -> Result<Config, CommandError> {
    if let Some(path) = &global.config {
        return load_named(path, &args.path);
    }
    if args.rev.is_some() {
        return configuration_of_revision(args);
    }
    let root = repository_root(&args.path);
    let folders: Vec<&Path> = [Some(args.path.as_path()), root.as_deref()].into_iter().flatten().collect();
    match config::find(&folders) {
        Some(path) => Ok(config::load(&path, Some(root.as_deref().unwrap_or(&args.path)))?),
        None => Ok(Config::default()),
    }
}

/// Writes the report, and in GitHub Actions what the workflow reads.
fn deliver(
    report: &Report,
    request: &DetectRequest,
    args: &DetectArgs,
    global: &GlobalArgs,
) -> Result<Outcome, CommandError> {
    let output = global.output();
    let problems = report.update_report.problems.len();
    if global.format == Format::Csv && problems > 0 {
        tracing::warn!(problems, "CSV has no place for problems; every other format shows them");
    }
    output.write(&render(report, global.format, request.now, global, &output)?)?;
    if let Some(actions) = Actions::from_environment() {
        let summary = render(report, Format::StepSummary, request.now, global, &output)?;
        actions.write(report, &summary, output.path())?;
        // The runner reads commands from stdout and stderr alike; stdout may be the report.
        let commands = annotations(report, &request.config);
        let _nobody_reads =
            std::io::Write::write_all(&mut std::io::stderr().lock(), commands.as_bytes()).is_err();
    }
    let updates = report.update_report.summary.total_updates > 0;
    Ok(if args.exit_code && updates { Outcome::UpdatesAvailable } else { Outcome::Done })
}

/// The configuration that the revision itself holds, at its top.
fn configuration_of_revision(args: &DetectArgs) -> Result<Config, CommandError> {
    let repository = open(args)?;
    match repository.read(config::FILE_NAME) {
        Ok(bytes) => {
            let origin =
                Origin { name: config::FILE_NAME, trust: Trust::Repository, folder: None, repository: None };
            Ok(config::from_bytes(bytes, &origin)?)
        }
        // A revision without a configuration is as good as one that cannot be read here: the defaults hold.
        Err(_) => Ok(Config::default()),
    }
}

fn open(args: &DetectArgs) -> Result<repo::Repo, CommandError> {
    repo::open(&args.path, args.rev.as_deref()).map_err(CommandError::failed)
}

/// Reads the repository, asks the upstreams and makes the report.
fn detect(
    request: &DetectRequest,
    repository: &repo::Repo,
    access: &Access,
    clock: AnyClock,
    progress: Arc<dyn Progress>,
) -> Result<Report, CommandError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let found = detect::read(repository, request, threads).map_err(CommandError::failed)?;
    // Asking waits, it does not compute: large answers are read on threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CommandError::failed(Error::Runtime { source }))?;
    runtime.block_on(async {
        let upstreams = adapters::upstreams(&request.config, request.offline, access, progress)?;
        Ok(detect::report(found, request, &upstreams, &clock).await)
    })
}

fn render(
    report: &Report,
    format: Format,
    now: Timestamp,
    global: &GlobalArgs,
    output: &Output,
) -> Result<String, CommandError> {
    let options =
        RenderOptions { color: output.wants_color(), verbose: global.verbose > 0, ..RenderOptions::new(now) };
    report::render(report, format, &options).map_err(CommandError::failed)
}

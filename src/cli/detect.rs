//! `detect`: what a repository runs and what is newer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;

use super::access::{Access, default_cache_dir};
use super::error::{CommandError, Outcome};
use super::github_actions::{Actions, annotations, workspace};
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
    let repository = repo::open(&args.path, args.rev.as_deref()).map_err(CommandError::failed)?;
    let clock = args.now.map_or(AnyClock::System, AnyClock::Fixed);
    let request = DetectRequest {
        path: args.path.clone(),
        rev: args.rev.clone(),
        config: configuration(args, global, &repository)?,
        offline: global.offline,
        components: global.components.clone(),
        deep: args.deep,
        now: clock.now(),
    };
    let cache_dir = if args.no_cache { None } else { args.cache_dir.clone().or_else(default_cache_dir) };
    let mut access = Access::from_environment(&request.config.upstreams, cache_dir);
    access.cache_is_named = args.cache_dir.is_some();
    for variable in &access.unset {
        tracing::warn!(
            variable = variable.as_str(),
            "environment variable named by the configuration is not set"
        );
    }

    let bar = Arc::new(Bar::new(global.shows_progress()));
    let report = detect(&request, &repository, &access, clock, bar.clone());
    bar.clear();
    deliver(&report?, &request, &repository, args, global)
}

/// The configuration that `--config` names, else that of the folder, else that of the repository around it. Where a
/// revision is read (always so in a bare repository), it is that of the revision.
fn configuration(
    args: &DetectArgs,
    global: &GlobalArgs,
    repository: &repo::Repo,
) -> Result<Config, CommandError> {
    if let Some(path) = &global.config {
        return load_named(path, &args.path);
    }
    if let repo::Location::Revision { prefix, .. } = repository.location() {
        return configuration_of_revision(repository, prefix);
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
    repository: &repo::Repo,
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
        let commands = annotations(report, &request.config, &below_workspace(repository, &args.path));
        let _nobody_reads =
            std::io::Write::write_all(&mut std::io::stderr().lock(), commands.as_bytes()).is_err();
    }
    let updates = report.update_report.summary.total_updates > 0;
    Ok(if args.exit_code && updates { Outcome::UpdatesAvailable } else { Outcome::Done })
}

/// Where the files of the report lie below the workspace of the workflow, with a slash at the end; empty for its top.
fn below_workspace(repository: &repo::Repo, path: &Path) -> String {
    let root = match repository.location() {
        repo::Location::WorkTree { root, .. } | repo::Location::Folder { root, .. } => Some(root.clone()),
        repo::Location::Revision { .. } => repository_root(path),
    };
    let relative = || {
        let workspace = workspace()?.canonicalize().ok()?;
        Some(root?.canonicalize().ok()?.strip_prefix(workspace).ok()?.to_string_lossy().into_owned())
    };
    relative().filter(|below| !below.is_empty()).map(|below| below + "/").unwrap_or_default()
}

/// The configuration that the revision itself holds, in the folder that is read or at its top. Only one that is not
/// there is as good as none: one that cannot be read may have said what must not be done.
fn configuration_of_revision(repository: &repo::Repo, prefix: &str) -> Result<Config, CommandError> {
    let in_folder = format!("{prefix}/{}", config::FILE_NAME);
    let names = if prefix.is_empty() { vec![config::FILE_NAME] } else { vec![&in_folder, config::FILE_NAME] };
    for name in names {
        match repository.read(name) {
            Ok(bytes) => {
                let origin = Origin { name, trust: Trust::Repository, folder: None, repository: None };
                return Ok(config::from_bytes(bytes, &origin)?);
            }
            Err(repo::Error::Missing { .. }) => {}
            Err(error) => return Err(CommandError::configuration(error)),
        }
    }
    Ok(Config::default())
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
        let upstreams = adapters::upstreams(&request.config, request.offline, access, clock, progress)?;
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

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
use super::{GlobalArgs, ReportFormat, load_named, repository_root};
use crate::app::detect::DetectRequest;
use crate::app::ports::{Clock, Progress};
use crate::clock::AnyClock;
use crate::config::{self, Config};
use crate::domain::report::Report;

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
    #[arg(long, env = "GITOPS_UPDATER_NO_CACHE", hide_env = true)]
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
    #[error("cannot write the report as {format}")]
    Render { format: &'static str, source: serde_json::Error },
    #[error("{0} is not part of this build")]
    Missing(&'static str),
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

    let bar = Arc::new(Bar::new(global.shows_progress()));
    let report = detect(&request, &access, bar.clone());
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
    output.write(&render(report, global, &output)?)?;
    if let Some(actions) = Actions::from_environment() {
        actions.write(report, &step_summary(report)?, output.path())?;
        // The runner reads commands from stdout and stderr alike; stdout may be the report.
        let commands = annotations(report, &request.config);
        let _nobody_reads =
            std::io::Write::write_all(&mut std::io::stderr().lock(), commands.as_bytes()).is_err();
    }
    let updates = report.update_report.summary.total_updates > 0;
    Ok(if args.exit_code && updates { Outcome::UpdatesAvailable } else { Outcome::Done })
}

// ---- Seams: what other modules supply. Each is one function; nothing above changes when it is filled.

/// Seam: `crate::repo::open(&args.path, rev)?.read(config::FILE_NAME)`, then
/// `config::from_bytes(bytes, &Origin { trust: Trust::Repository, folder: None, repository: None, .. })`.
fn configuration_of_revision(_: &DetectArgs) -> Result<Config, CommandError> {
    Ok(Config::default())
}

/// Seam: builds the adapters from `request.config.upstreams` and `access`, and runs `crate::app::detect`.
fn detect(_: &DetectRequest, _: &Access, _: Arc<dyn Progress>) -> Result<Report, CommandError> {
    Err(CommandError::failed(Error::Missing("detection")))
}

/// Seam: `crate::report::render(report, format, &RenderOptions { color: output.wants_color(), verbose, now, .. })`.
fn render(report: &Report, global: &GlobalArgs, output: &Output) -> Result<String, CommandError> {
    let _color = output.wants_color();
    match global.format {
        ReportFormat::Json => serde_json::to_string_pretty(report)
            .map(|text| text + "\n")
            .map_err(|source| CommandError::failed(Error::Render { format: "JSON", source })),
        _ => Err(CommandError::failed(Error::Missing("this report format"))),
    }
}

/// Seam: `crate::report::render(report, Format::StepSummary, …)`.
fn step_summary(report: &Report) -> Result<String, CommandError> {
    let summary = &report.update_report.summary;
    Ok(format!("{} updates, {} of them security updates\n", summary.total_updates, summary.security_updates))
}

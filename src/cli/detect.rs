//! `detect`: what a repository runs and what is newer.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;

use super::error::{CommandError, Outcome};
use super::github_actions::{Actions, annotations, workspace};
use super::opened::{Opened, ReadArgs, block_on};
use super::output::Output;
use super::progress::Bar;
use super::{GlobalArgs, repository_root};
use crate::app::detect;
use crate::app::ports::Progress;
use crate::domain::report::Report;
use crate::repo;
use crate::report::{self, Format, RenderOptions};
use crate::telemetry::EVEN_QUIET;

/// Report what a repository runs and what is newer upstream
#[derive(Debug, Args)]
pub(super) struct DetectArgs {
    #[command(flatten)]
    read: ReadArgs,

    /// Also ask for archive, platforms, date and source of each target
    #[arg(long, env = "GITOPS_UPDATER_DEEP", hide_env = true, value_parser = FalseyValueParser::new())]
    deep: bool,

    /// Exit with 10 when updates are available
    #[arg(long, env = "GITOPS_UPDATER_EXIT_CODE", hide_env = true, value_parser = FalseyValueParser::new())]
    exit_code: bool,
}

pub(super) fn run(args: &DetectArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let opened = args.read.open(global, args.deep)?;
    let bar = Arc::new(Bar::new(global.shows_progress()));
    let report = detect(&opened, bar.clone());
    bar.clear();
    deliver(&report?, &opened, args, global)
}

/// Writes the report, and in GitHub Actions what the workflow reads.
fn deliver(
    report: &Report,
    opened: &Opened,
    args: &DetectArgs,
    global: &GlobalArgs,
) -> Result<Outcome, CommandError> {
    let output = global.output();
    let now = opened.request.now;
    let problems = report.update_report.problems.len();
    if global.format == Format::Csv && problems > 0 {
        tracing::warn!(target: EVEN_QUIET, problems, "CSV has no place for problems; every other format shows them");
    }
    output.write(&render(report, global.format, now, global, &output)?)?;
    if let Some(actions) = Actions::from_environment() {
        let summary = render(report, Format::StepSummary, now, global, &output)?;
        actions.write(report, &summary, output.path())?;
        // The runner reads commands from stdout and stderr alike; stdout may be the report.
        let commands =
            annotations(report, &opened.request.config, &below_workspace(&opened.repository, &opened.path));
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

/// Reads the repository, asks the upstreams and makes the report.
fn detect(opened: &Opened, progress: Arc<dyn Progress>) -> Result<Report, CommandError> {
    let found = opened.read()?;
    block_on(async {
        let upstreams = opened.upstreams(progress)?;
        Ok(detect::report(found, &opened.request, &upstreams, &opened.clock).await)
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

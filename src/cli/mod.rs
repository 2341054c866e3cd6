//! The command line: the only code that prints and that reads the environment.
//!
//! One file per subcommand, each with its arguments and `run`. Reports go to stdout through `output`, everything else
//! to stderr.

pub mod access;
mod adapters;
mod backup;
mod completions;
mod config;
mod connection;
mod dashboard;
mod detect;
mod environment;
pub mod error;
mod facts;
mod form;
mod generate;
mod github_actions;
mod health;
mod identity;
mod lease;
mod maintenance;
mod markdown;
mod notify;
mod opened;
mod options;
mod output;
mod plan;
mod pr;
pub mod progress;
mod replay;
mod report;
mod rollback;
mod rules;
mod run;
mod serve;
mod settle;
mod status;
pub mod stop;
mod switch;
mod updates;
mod verify;
mod workplace;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{Config, Selector};
use crate::report::Format;
use crate::telemetry;
pub use environment::environment_table;
use error::{CommandError, Outcome};
use output::Output;

/// Find what a Flux repository runs and what is newer upstream
#[derive(Debug, Parser)]
#[command(name = "gitops-updater", version, max_term_width = 80, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct App {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done, or nothing to do
  1   failed: file, Git or network; safe to run again
  2   wrong use of the command line
  3   configuration or rule file invalid
  10  updates are available (only with --exit-code)
  11  every update is held for a person (only with `plan --exit-code`)
  12  something is wrong in the cluster (only with `health --exit-code`)
  13  not all of the cluster could be looked at (only with `health --exit-code`)
  20  an update regressed and is held: not reverted, a revert would do harm
  21  an update regressed and was reverted, or its revert is proposed
  22  an update regressed and the revert failed: a person is needed
  23  nobody can say yet whether an update is good (only `verify`)
  130 stopped by SIGINT between two effects; run again to go on
  143 stopped by SIGTERM between two effects; run again to go on

Most options can be given in the environment, too, --log-format for example as
GITOPS_UPDATER_LOG_FORMAT";

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Read the configuration from FILE instead of `.gitops-updater.yaml` in the repository
    #[arg(long, value_name = "FILE", global = true, env = "GITOPS_UPDATER_CONFIG", hide_env = true)]
    config: Option<PathBuf>,

    /// Only components with this id, kind or pattern, such as `k3s` or `helm/monitoring/*` (repeatable)
    #[arg(long = "component", value_name = "ID", global = true, value_parser = Selector::read)]
    #[arg(env = "GITOPS_UPDATER_COMPONENT", hide_env = true, value_delimiter = ',')]
    components: Vec<Selector>,

    /// Components were named on the command line: in the environment they are no more than a default.
    #[arg(skip)]
    components_are_written: bool,

    /// Form of the report
    #[arg(long, value_enum, default_value_t, global = true, env = "GITOPS_UPDATER_FORMAT", hide_env = true)]
    format: Format,

    /// Write to FILE instead of stdout; `-` is stdout
    #[arg(long, value_name = "FILE", global = true, env = "GITOPS_UPDATER_OUTPUT", hide_env = true)]
    output: Option<PathBuf>,

    /// Ask no upstream, use cached answers only
    #[arg(long, global = true, env = "GITOPS_UPDATER_OFFLINE", hide_env = true, value_parser = FalseyValueParser::new())]
    offline: bool,

    /// Use colours; `auto` is on a terminal, unless `NO_COLOR` is set
    #[arg(long, value_enum, default_value_t, global = true, env = "GITOPS_UPDATER_COLOR", hide_env = true)]
    color: ColorChoice,

    /// Say more in text reports and in the log (-vv: yet more)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,

    /// Log errors and the gravest warnings only, show no progress
    #[arg(
        short,
        long,
        global = true,
        env = "GITOPS_UPDATER_QUIET",
        hide_env = true, value_parser = FalseyValueParser::new()
    )]
    quiet: bool,

    /// Form of the log on stderr
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        env = "GITOPS_UPDATER_LOG_FORMAT",
        hide_env = true
    )]
    log_format: LogFormat,

    /// Directives for the log, finer than -v and -q
    #[arg(long, value_name = "FILTER", global = true, env = "RUST_LOG", hide_env = true, hide = true)]
    log_filter: Option<String>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Detect(detect::DetectArgs),
    Plan(plan::PlanArgs),
    Run(run::RunArgs),
    Propose(run::ProposeArgs),
    Verify(verify::VerifyArgs),
    Rollback(rollback::RollbackArgs),
    Facts(facts::FactsCommandArgs),
    Health(health::HealthArgs),
    Status(status::StatusArgs),
    Report(report::ReportArgs),
    #[command(subcommand)]
    Pr(pr::PrCommand),
    #[command(subcommand)]
    Dashboard(dashboard::DashboardCommand),
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    #[command(subcommand)]
    Maintenance(maintenance::MaintenanceCommand),
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    Acknowledge(notify::AcknowledgeArgs),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    Completions(completions::CompletionsArgs),
}

impl GlobalArgs {
    fn output(&self) -> Output {
        Output::to(self.output.as_deref())
    }

    fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    fn set_color(&self) {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }

    fn telemetry(&self) -> telemetry::Options {
        let level = match (self.quiet, self.verbose) {
            (true, _) => format!("error,{}=warn", telemetry::EVEN_QUIET),
            (false, 0) => "warn,gitops_updater=info".to_owned(),
            (false, 1) => "info,gitops_updater=debug".to_owned(),
            (false, _) => "debug,gitops_updater=trace".to_owned(),
        };
        let said = self.quiet || self.verbose > 0;
        let filter = self.log_filter.clone().filter(|filter| !said && !filter.is_empty());
        telemetry::Options {
            // Libraries log failures that are handled, and reported, here.
            filter: filter.unwrap_or_else(|| {
                format!("{level},octocrab=off,tower=off,kube_client=off,kube_runtime=off")
            }),
            json: self.log_format == LogFormat::Json,
            color: anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never,
            harmless: github_actions::harmless,
        }
    }

    /// Progress is for people who look on.
    fn shows_progress(&self) -> bool {
        !self.quiet
            && self.log_format == LogFormat::Text
            && std::io::stderr().is_terminal()
            && !environment::is_set("CI")
    }
}

/// Runs the program with the arguments and the environment of the process.
pub fn main() -> ExitCode {
    let (app, usable) = match parsed() {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version asked for are no errors; a reader who left is none either.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _reader_left = error.print().is_err();
            return ExitCode::from(code);
        }
    };
    app.global.set_color();
    match usable.and_then(|()| run(&app)) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            error.tell(app.global.logs_json());
            error.kind.into()
        }
    }
}

/// The arguments, and whether each of them does something.
fn parsed() -> Result<(App, Result<(), CommandError>), clap::Error> {
    let mut command = environment::without_empty(command());
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let mut app = App::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    app.global.components_are_written = options::is_written(&matches, "components");
    Ok((app, options::check(&matches)))
}

fn run(app: &App) -> Result<Outcome, CommandError> {
    // Not left to clap, for which `GITOPS_UPDATER_QUIET=0` conflicts, too.
    if app.global.quiet && app.global.verbose > 0 {
        return Err(CommandError::usage("--quiet and --verbose cannot be used together"));
    }
    telemetry::init(&app.global.telemetry()).map_err(CommandError::usage)?;
    match &app.command {
        Command::Detect(args) => detect::run(args, &app.global),
        Command::Plan(args) => plan::run(args, &app.global),
        Command::Run(args) => run::run(args, &app.global),
        Command::Propose(args) => run::propose(args, &app.global),
        Command::Verify(args) => verify::run(args, &app.global),
        Command::Rollback(args) => rollback::run(args, &app.global),
        Command::Facts(args) => facts::run(args, &app.global),
        Command::Health(args) => health::run(args, &app.global),
        Command::Status(args) => status::run(args, &app.global),
        Command::Report(args) => report::run(args, &app.global),
        Command::Pr(command) => pr::run(command, &app.global),
        Command::Dashboard(command) => dashboard::run(command, &app.global),
        Command::Backup(command) => backup::run(command, &app.global),
        Command::Maintenance(command) => maintenance::run(command, &app.global),
        Command::Notify(command) => notify::run(command, &app.global),
        Command::Acknowledge(args) => notify::acknowledge(args, &app.global),
        Command::Config(command) => config::run(command, &app.global),
        Command::Rules(command) => rules::run(command, &app.global),
        Command::Completions(args) => completions::run(args, &app.global),
    }
}

/// How long ago something was, in at most six columns.
fn age_of(then: jiff::Timestamp, now: jiff::Timestamp) -> String {
    match now.as_second() - then.as_second() {
        ..60 => "now".to_owned(),
        seconds @ 60..5_400 => format!("{}m", seconds / 60),
        seconds @ 5_400..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Loads a configuration that the user named, for looking at `path`.
///
/// A file inside what is looked at stays a part of it: naming it (in a workflow, say) does not make it the user's
/// own, because whoever may open a pull request may still change it. The same holds for a name that a link in there
/// leads out of it.
fn load_named(file: &Path, path: &Path) -> Result<Config, CommandError> {
    let root = repository_root(path).or_else(|| path.canonicalize().ok());
    Ok(crate::config::load(file, root.filter(|root| is_of(file, root)).as_deref())?)
}

/// Whether the content of `root` decides which file `file` is: it lies there, or a link there is on the way to it.
fn is_of(file: &Path, root: &Path) -> bool {
    use std::path::Component;
    let Ok(file) = std::path::absolute(file) else { return true };
    let mut place = PathBuf::new();
    for part in file.components() {
        match part {
            Component::ParentDir => {
                place.pop();
            }
            Component::Normal(name) => {
                let next = place.join(name);
                if place.starts_with(root) && next.is_symlink() {
                    return true;
                }
                // What is not there is told by who reads it.
                place = next.canonicalize().unwrap_or(next);
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => place.push(part),
        }
    }
    place.starts_with(root)
}

/// The nearest folder at or above `path` that holds a working tree of Git.
fn repository_root(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    path.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok()).map(Path::to_path_buf)
}

/// The command line as clap knows it, for documentation made from it.
pub fn command() -> clap::Command {
    options::offered(App::command())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A link inside the repository made the file it led to a configuration of the user's own.
    #[test]
    fn what_a_link_of_the_repository_leads_to_is_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let (root, outside) = (base.join("repo"), base.join("outside"));
        fs::create_dir_all(root.join("lab")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        for file in [root.join("lab/own.yaml"), outside.join("mine.yaml")] {
            fs::write(file, "").unwrap();
        }
        symlink("../outside/mine.yaml", root.join("link.yaml")).unwrap();
        symlink("../outside", root.join("folder")).unwrap();
        symlink("../repo/lab", outside.join("into")).unwrap();
        symlink("../repo/lab/own.yaml", outside.join("own.yaml")).unwrap();
        for (file, of_repository) in [
            ("repo/lab/own.yaml", true),
            ("repo/link.yaml", true),
            ("repo/folder/mine.yaml", true),
            ("repo/lab/../folder/mine.yaml", true),
            ("outside/into/own.yaml", true),
            ("outside/own.yaml", true),
            ("outside/into/../link.yaml", true),
            ("outside/mine.yaml", false),
            ("repo/../outside/mine.yaml", false),
            ("repo/lab/../../outside/mine.yaml", false),
            ("repo/none.yaml", true),
            ("outside/none.yaml", false),
        ] {
            assert_eq!(is_of(&base.join(file), &root), of_repository, "{file}");
            let loaded = load_named(&base.join(file), &root);
            let is_plain_file = matches!(file, "repo/lab/own.yaml" | "outside/into/own.yaml");
            if of_repository && !is_plain_file {
                assert!(loaded.is_err(), "{file}");
            }
        }
    }

    #[test]
    fn link_of_the_repository_is_refused_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let root = base.join("repo");
        fs::create_dir(&root).unwrap();
        fs::create_dir(base.join("outside")).unwrap();
        fs::write(base.join("outside/secret.yaml"), "hunter2: [\n").unwrap();
        symlink("../outside/secret.yaml", root.join("up.yaml")).unwrap();
        symlink("../outside", root.join("folder")).unwrap();
        for name in ["up.yaml", "folder/secret.yaml"] {
            let error = load_named(&root.join(name), &root).unwrap_err();
            let text = error.render(false);
            assert!(!text.contains("hunter2") && text.contains(name), "{text}");
            assert_eq!(error.kind, error::ErrorKind::Configuration);
        }
    }
}

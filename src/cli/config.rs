//! `config`: write, check and describe the configuration.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::{CommandError, Outcome};
use super::markdown::folded;
use super::output::Output;
use super::{GlobalArgs, load_named, repository_root, rules};
use crate::config::{self, Config, EXAMPLE, FILE_NAME};

/// Write, check and describe the configuration
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    Init(InitArgs),
    Check(CheckArgs),
    /// Print the JSON Schema of the configuration
    Schema,
}

/// Write a commented example
#[derive(Debug, Args)]
#[command(after_help = "\
The file is `.gitops-updater.yaml` in the working directory, or what --output
says (`-` for stdout); an existing file is never overwritten")]
pub(super) struct InitArgs {}

/// Check a configuration and the rules beside it; tell all that is wrong
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Configuration file, or repository that holds one
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
}

/// Why a configuration command failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("`{}` exists already", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("there is no configuration `{}`", path.display())]
    Missing { path: PathBuf },
}

pub(super) fn run(command: &ConfigCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    match command {
        ConfigCommand::Init(_) => init(global),
        ConfigCommand::Check(args) => check(args, global),
        ConfigCommand::Schema => global.output().write(&format!("{:#}\n", config::schema())),
    }
    .map(|()| Outcome::Done)
}

fn init(global: &GlobalArgs) -> Result<(), CommandError> {
    let path = match (&global.output, Output::to(global.output.as_deref())) {
        (Some(_), Output::Stdout) => return Output::Stdout.write(EXAMPLE),
        (_, Output::File(path)) => path,
        (None, Output::Stdout) => PathBuf::from(FILE_NAME),
    };
    // Created, never replaced: `create_new` leaves no moment between looking and writing.
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, EXAMPLE.as_bytes()));
    match written {
        Ok(()) => Output::Stdout.write(&format!("wrote `{}`\n", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(CommandError::failed(Error::Exists { path }).hint("print the example with `--output -`"))
        }
        Err(source) => Err(CommandError::failed(Error::Write { path, source })),
    }
}

fn check(args: &CheckArgs, global: &GlobalArgs) -> Result<(), CommandError> {
    let (path, config) = match &global.config {
        Some(path) => (path.clone(), load_named(path, &args.path)),
        // What is given as PATH is judged as part of a repository.
        None => {
            let path = if args.path.is_dir() { args.path.join(FILE_NAME) } else { args.path.clone() };
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let root = repository_root(folder).unwrap_or_else(|| folder.to_path_buf());
            let config = config::load(&path, Some(&root)).map_err(CommandError::from);
            (path, config)
        }
    };
    if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(CommandError::configuration(Error::Missing { path })
            .hint("`gitops-updater config init` writes a commented example"));
    }
    let folder = if args.path.is_dir() {
        &args.path
    } else {
        args.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    };
    // Neither file hides what is wrong with the other.
    let config = match (config, rules::check(folder)) {
        (Ok(config), Ok(())) => config,
        (Err(error), Ok(())) | (Ok(_), Err(error)) => return Err(error),
        (Err(error), Err(rules)) => return Err(error.and(rules)),
    };
    global.output().write(&format!("{}: ok\n{}", path.display(), understood(&config)))
}

/// What a configuration was understood to say, a line each; nothing for defaults.
fn understood(config: &Config) -> String {
    let mut lines = config.detection.summary();
    let files = &config.files;
    if !files.exclude.is_empty() {
        lines.push(format!("files: {} excluded", count(files.exclude.len(), "pattern")));
    }
    if files.include_ignored {
        lines.push("files: those that Git ignores are read".to_owned());
    }
    for cluster in &config.clusters {
        lines.push(format!(
            "cluster {}: {}",
            cluster.name,
            if cluster.path.is_empty() { "." } else { &cluster.path }
        ));
    }
    if !config.architectures.is_empty() {
        lines.push(format!("architectures: {}", config.architectures.join(", ")));
    }
    for mapping in &config.upstreams.map {
        let to = match &mapping.to {
            config::MapTarget::Url(url) => url.to_string(),
            config::MapTarget::Path { path, .. } => path.display().to_string(),
        };
        lines.push(format!("{} is read from {to}", mapping.from));
    }
    for (host, settings) in &config.upstreams.hosts {
        let credentials = match &settings.credentials {
            None => "no credentials".to_owned(),
            Some(config::CredentialVariables::Token(variable)) => format!("token from ${variable}"),
            Some(config::CredentialVariables::Basic { username, password }) => {
                format!("user and password from ${username} and ${password}")
            }
        };
        lines.push(format!(
            "host {host}: {credentials}{}",
            if settings.plain_http { ", by http" } else { "" }
        ));
    }
    lines.extend(proposals(config));
    lines.iter().map(|line| folded(line, 2) + "\n").collect()
}

/// What is said about policy and proposals.
fn proposals(config: &Config) -> Vec<String> {
    let mut lines = vec![];
    if !config.enabled {
        lines.push("enabled: nothing is proposed, merged or reverted".to_owned());
    }
    lines.extend(config.policy.summary());
    let defaults = Config::default();
    if config.limits != defaults.limits {
        let limits = &config.limits;
        lines.push(format!(
            "limits: {} open, {} an hour, {} in one wave",
            count(limits.open_pull_requests, "pull request"),
            limits.per_hour,
            count(limits.concurrency, "step"),
        ));
    }
    for channel in &config.notifications.channels {
        let at_least = channel.at_least.map_or("what is escalated", |severity| severity.as_str());
        let names: Vec<_> = channel.components.iter().map(config::Selector::text).collect();
        let whom = if names.is_empty() { String::new() } else { format!(", {}", names.join(", ")) };
        let escalation =
            if channel.escalation && channel.at_least.is_some() { ", and what is escalated" } else { "" };
        lines.push(format!(
            "notifications.channels.{}: {}, {at_least}{escalation}{whom}",
            channel.name,
            channel.kind.as_str()
        ));
    }
    if let Some(url) = &config.metrics.push {
        lines.push(format!("metrics: pushed to {url} as {}", config.metrics.job));
    }
    for rule in &config.windows {
        let window = &rule.window;
        let names: Vec<_> = rule.components().collect();
        let whom = if names.is_empty() { String::new() } else { format!(", {}", names.join(", ")) };
        lines.push(format!("{}: {window}{whom}", window.by()));
    }
    lines
}

fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

//! `rules`: what the program knows about components.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use crate::app::rules::rules_of;
use crate::domain::problem::Problem;
use crate::repo;
use crate::report::Format;
use crate::rules::Registry;

/// Show what the program knows about components
#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    List(ListArgs),
    Show(ShowArgs),
}

/// List the rules, those of the repository included
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Repository whose `.gitops-updater/rules/` are read, too
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
}

/// Show one rule: what it finds, why, and an example
#[derive(Debug, Args)]
#[command(after_help = "\
`--format yaml` prints the rule's file, ready to be changed and put into
`.gitops-updater/rules/`")]
pub(super) struct ShowArgs {
    /// Id of the rule
    id: String,

    /// Repository whose `.gitops-updater/rules/` are read, too
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no rule `{0}`")]
    Unknown(String),
    #[error("{} mistakes", files(*.0))]
    Invalid(usize),
    #[error("cannot write the rules as data")]
    Data(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// How rules are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Yaml,
}

pub(super) fn run(command: &RulesCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let form = form(global.format)?;
    let path = match command {
        RulesCommand::List(args) => &args.path,
        RulesCommand::Show(args) => &args.path,
    };
    let repository = repo::open(path, None).map_err(CommandError::failed)?;
    let (registry, mut problems) = rules_of(&repository);
    problems.extend(registry.wrong_examples());
    if let RulesCommand::Show(_) = command {
        // `rules show ID > FILE` there: the shell has made the file, and nothing is in it yet.
        problems.retain(|problem| !is_empty(&repository, problem.file.as_deref().unwrap_or_default()));
    }
    let text = match command {
        RulesCommand::List(_) => Some(list(&registry, form)?),
        RulesCommand::Show(args) => show(&registry, &args.id, form)?,
    };
    match (&text, command) {
        (Some(text), _) => global.output().write(text)?,
        // It may be the rule that cannot be used: then that is what to tell.
        (None, RulesCommand::Show(args)) if problems.is_empty() => {
            return Err(CommandError::failed(Error::Unknown(args.id.clone()))
                .hint("`gitops-updater rules list` lists all"));
        }
        (None, _) => {}
    }
    if problems.is_empty() { Ok(Outcome::Done) } else { Err(invalid(&problems)) }
}

fn is_empty(repository: &repo::Repo, file: &str) -> bool {
    repository.read(file).is_ok_and(|bytes| bytes.is_empty())
}

/// Says what is wrong with the rules of a repository or folder, their examples included.
///
/// # Errors
///
/// The repository cannot be read, or a rule of it cannot be used or does not find what its example says.
pub(super) fn check(path: &Path) -> Result<(), CommandError> {
    let repository = repo::open(path, None).map_err(CommandError::failed)?;
    let (registry, mut problems) = rules_of(&repository);
    problems.extend(registry.wrong_examples());
    if problems.is_empty() { Ok(()) } else { Err(invalid(&problems)) }
}

fn form(format: Format) -> Result<Form, CommandError> {
    match format {
        Format::Text => Ok(Form::Text),
        Format::Json => Ok(Form::Json),
        Format::Yaml => Ok(Form::Yaml),
        Format::Csv | Format::Html | Format::Xml | Format::Markdown | Format::StepSummary => {
            Err(CommandError::usage("rules cannot be shown in this format")
                .hint("use `--format text`, `json` or `yaml`"))
        }
    }
}

fn list(registry: &Registry, form: Form) -> Result<String, CommandError> {
    match form {
        Form::Text => Ok(registry.list_text()),
        Form::Json => json(&registry.list_data()),
        Form::Yaml => serde_yaml::to_string(&registry.list_data()).map_err(data),
    }
}

fn show(registry: &Registry, id: &str, form: Form) -> Result<Option<String>, CommandError> {
    match form {
        Form::Text => Ok(registry.show_text(id)),
        Form::Json => registry.show_data(id).map(|rule| json(&rule)).transpose(),
        Form::Yaml => Ok(registry.show_file(id)),
    }
}

fn json(value: &serde_json::Value) -> Result<String, CommandError> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(data)
}

fn data(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CommandError {
    CommandError::failed(Error::Data(error.into()))
}

fn invalid(problems: &[Problem]) -> CommandError {
    let files: BTreeSet<_> = problems.iter().map(|problem| &problem.file).collect();
    let mut error = CommandError::configuration(Error::Invalid(files.len()));
    error.details = problems
        .iter()
        .map(|problem| {
            let file = problem.file.as_deref().unwrap_or_default();
            match problem.line {
                Some(line) => format!("{file}:{line}: {}", problem.message),
                None => format!("{file}: {}", problem.message),
            }
        })
        .collect();
    error.hint("rules/README.md of the program explains every field")
}

fn files(number: usize) -> String {
    match number {
        1 => "1 rule file of the repository has".to_owned(),
        _ => format!("{number} rule files of the repository have"),
    }
}

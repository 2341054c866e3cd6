//! `rules`: what the program knows about components.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
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

/// Show one rule
#[derive(Debug, Args)]
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
    #[error("a rule file is invalid")]
    Invalid,
}

pub(super) fn run(command: &RulesCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let path = match command {
        RulesCommand::List(args) => &args.path,
        RulesCommand::Show(args) => &args.path,
    };
    let (registry, problems) = Registry::load(Some(path));
    let text = match command {
        RulesCommand::List(_) => {
            let width = registry.rules().iter().map(|rule| rule.id.len()).max().unwrap_or(0);
            registry.rules().iter().map(|rule| format!("{:width$}  {}\n", rule.id, rule.title)).collect()
        }
        RulesCommand::Show(args) => {
            let rule = registry.rules().iter().find(|rule| rule.id == args.id);
            let unknown = || {
                CommandError::failed(Error::Unknown(args.id.clone())).hint("`gitops-updater rules list` lists all")
            };
            rule.ok_or_else(unknown)?.to_string()
        }
    };
    global.output().write(&text)?;
    if problems.is_empty() {
        return Ok(Outcome::Done);
    }
    let mut error = CommandError::configuration(Error::Invalid);
    error.details = problems
        .iter()
        .map(|problem| {
            let file = problem.file.as_deref().unwrap_or("rules");
            match problem.line {
                Some(line) => format!("{file}:{line}: {}", problem.message),
                None => format!("{file}: {}", problem.message),
            }
        })
        .collect();
    Err(error)
}

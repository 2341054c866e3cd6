//! `completions`: a script for the user's shell.

use clap::Args;
use clap_complete::Shell;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut super::command(), "gitops-updater", &mut script);
    let script = String::from_utf8(script).map_err(CommandError::failed)?;
    global.output().write(&script)?;
    Ok(Outcome::Done)
}

//! `run`, `propose`: passes over a repository, whole or for named components.

mod ingredients;
mod pass;
mod report;
mod settling;
mod trace;
mod watch;

use clap::Args;

pub(super) use self::ingredients::{DryRun, witness};
use self::pass::PassArgs;
pub(super) use self::settling::{Settling, record_merged};
use self::watch::AgainArgs;
use super::GlobalArgs;
use super::error::{CommandError, Outcome};

/// Make one pass: take what is under way further, then propose what comes next
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pass: PassArgs,

    #[command(flatten)]
    again: AgainArgs,
}

/// Open the pull requests of named components, also those under the gate `manual`
#[derive(Debug, Args)]
pub(super) struct ProposeArgs {
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) fn run(args: &RunArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    match args.again.watch {
        true => watch::run(&args.pass, &args.again, global),
        false => watch::once(&args.pass, global, false),
    }
}

pub(super) fn propose(args: &ProposeArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if global.components.is_empty() {
        return Err(CommandError::usage("nothing is named that could be proposed")
            .hint("name components with `--component ID`; `gitops-updater plan` lists what there is"));
    }
    watch::once(&args.pass, global, true)
}

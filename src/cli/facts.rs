//! `facts`: what the cluster runs, as a file for `plan --facts`.

use clap::Args;
use jiff::Timestamp;

use super::GlobalArgs;
use super::connection::ConnectionArgs;
use super::error::{CommandError, Outcome};
use super::opened::block_on;
use super::plan::observe;
use crate::app::ports::Clock;
use crate::clock::AnyClock;
use crate::report::Format;
use crate::telemetry::EVEN_QUIET;

/// Write the facts about a cluster that `plan --facts` reads
#[derive(Debug, Args)]
pub(super) struct FactsCommandArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// Take TIME for now, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", env = "GITOPS_UPDATER_NOW", hide_env = true)]
    now: Option<Timestamp>,
}

pub(super) fn run(args: &FactsCommandArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let json = match global.format {
        Format::Text | Format::Yaml => false,
        Format::Json => true,
        _ => return Err(CommandError::usage("facts are written as yaml or json")),
    };
    let now = args.now.map_or(AnyClock::System, AnyClock::Fixed).now();
    let known = block_on(observe(&args.connection.access(), now))?;
    for problem in &known.problems {
        tracing::warn!(target: EVEN_QUIET, reason = problem.message.as_str(), "not observed");
    }
    let text = if json {
        serde_json::to_string_pretty(&known.facts).map(|text| text + "\n").map_err(CommandError::failed)
    } else {
        serde_yaml::to_string(&known.facts).map_err(CommandError::failed)
    };
    global.output().write(&text?)?;
    Ok(Outcome::Done)
}

//! `maintenance`: stop proposing and merging, keep watching.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use super::form::{self, WIDTH};
use super::opened::block_on;
use super::workplace::{PlaceArgs, Workplace, blocking};
use crate::config;
use crate::domain::state::Maintenance;
use crate::report::clean;
use crate::state::Transition;

/// Stop proposing and merging, and go on again
#[derive(Debug, Subcommand)]
pub(super) enum MaintenanceCommand {
    Enable(EnableArgs),
    Disable(DisableArgs),
    Status(StatusArgs),
}

/// Stop proposing and merging; what is merged is still watched
#[derive(Debug, Args)]
pub(super) struct EnableArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Why, for everybody who wonders
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// End by itself at TIME, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    until: Option<Timestamp>,

    /// End by itself after this time, such as `2h` or `1d`
    #[arg(long = "for", value_name = "DURATION", value_parser = config::duration)]
    duration: Option<std::time::Duration>,
}

/// Go on proposing and merging
#[derive(Debug, Args)]
pub(super) struct DisableArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Say whether proposing and merging are stopped, since when, by whom and why
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("maintenance cannot end at {0}, which is past")]
    Past(Timestamp),
    #[error("that is too long")]
    TooLong,
}

/// As scripts read it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    schema: &'static str,
    enabled: bool,
    maintenance: Option<&'a Maintenance>,
}

pub(super) fn run(command: &MaintenanceCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    block_on(async {
        match command {
            MaintenanceCommand::Enable(args) => enable(args, global).await,
            MaintenanceCommand::Disable(args) => {
                let workplace = args.place.open(global).await?;
                let by = workplace.person().name;
                change(&workplace, None, Transition::new("End maintenance").because(format!("by {by}")))
                    .await?;
                show(None, workplace.now(), global)
            }
            MaintenanceCommand::Status(args) => {
                let workplace = args.place.open(global).await?;
                let store = workplace.state();
                let loaded = blocking(move || store.load()).await?;
                loaded.may_build()?;
                show(loaded.state.maintenance.as_ref(), workplace.now(), global)
            }
        }
    })
}

async fn enable(args: &EnableArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let workplace = args.place.open(global).await?;
    let now = workplace.now();
    let until = match (args.until, args.duration) {
        (Some(until), _) => Some(until),
        (None, Some(duration)) => {
            Some(now.checked_add(duration).map_err(|_| CommandError::usage(Error::TooLong))?)
        }
        (None, None) => None,
    };
    if let Some(until) = until.filter(|until| *until <= now) {
        return Err(CommandError::usage(Error::Past(until)));
    }
    let person = workplace.person();
    let maintenance = Maintenance { by: person.name, reason: args.reason.clone(), since: now, until };
    let mut transition = Transition::new("Begin maintenance").because(format!("by {}", maintenance.by));
    if let Some(reason) = &maintenance.reason {
        transition = transition.because(reason);
    }
    change(&workplace, Some(maintenance.clone()), transition).await?;
    show(Some(&maintenance), now, global)
}

async fn change(
    workplace: &Workplace,
    maintenance: Option<Maintenance>,
    transition: Transition,
) -> Result<(), CommandError> {
    let (store, now) = (workplace.state(), workplace.now());
    blocking(move || {
        store.change(now, |state| {
            (state.maintenance != maintenance).then(|| {
                state.maintenance.clone_from(&maintenance);
                transition.clone()
            })
        })
    })
    .await?;
    Ok(())
}

fn show(
    maintenance: Option<&Maintenance>,
    now: Timestamp,
    global: &GlobalArgs,
) -> Result<Outcome, CommandError> {
    let enabled = maintenance.is_some_and(|maintenance| maintenance.is_on(now));
    let shown = Shown { schema: "gitops-updater/maintenance/v1", enabled, maintenance };
    form::write(global, &shown, || text(maintenance, now) + "\n")
}

/// One or two lines for people.
pub(super) fn text(maintenance: Option<&Maintenance>, now: Timestamp) -> String {
    let Some(maintenance) = maintenance else { return "maintenance is off".to_owned() };
    let until = match maintenance.until {
        Some(until) if !maintenance.is_on(now) => return format!("maintenance is off; it ended at {until}"),
        Some(until) => format!(", until {until}"),
        None => String::new(),
    };
    let reason = maintenance.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let by = format!("by {}{reason}", maintenance.by);
    let by: Vec<String> =
        clean::wrap(&clean::line(&by), WIDTH - 2).into_iter().map(|line| format!("\n  {line}")).collect();
    format!("maintenance is on since {}{until}{}", maintenance.since, by.concat())
}

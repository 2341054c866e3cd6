//! `maintenance`: stop proposing and merging, keep watching.

use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use super::form::{self, WIDTH};
use super::opened::block_on;
use super::workplace::{PlaceArgs, Workplace, blocking};
use crate::config;
use crate::domain::state::{Maintenance, State};
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
#[command(after_help = "\
Where maintenance is on already, end and reason become those of this command,
none where it names none; what changes is told")]
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
    /// What was on already when it was enabled.
    before: Option<&'a Maintenance>,
}

pub(super) fn run(command: &MaintenanceCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    block_on(async {
        match command {
            MaintenanceCommand::Enable(args) => enable(args, global).await,
            MaintenanceCommand::Disable(args) => {
                let workplace = args.place.open(global).await?;
                let by = workplace.person().name;
                let end = Transition::new("End maintenance").because(format!("by {by}"));
                change(&workplace, move |state| {
                    state.maintenance.take()?;
                    Some(end.clone())
                })
                .await?;
                show(None, None, workplace.now(), global)
            }
            MaintenanceCommand::Status(args) => {
                let workplace = args.place.open(global).await?;
                let store = workplace.state();
                let loaded = blocking(move || store.load()).await?;
                loaded.may_build()?;
                show(loaded.state.maintenance.as_ref(), None, workplace.now(), global)
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
    let wanted = Maintenance { by: workplace.person().name, reason: args.reason.clone(), since: now, until };
    // The answer to the state that was changed in the end: others may have been faster.
    let asked = Arc::new(Mutex::new((None, wanted.clone())));
    let found = Arc::clone(&asked);
    change(&workplace, move |state| {
        let before = state.maintenance.clone().filter(|before| before.is_on(now));
        let after = going_on(&wanted, before.as_ref());
        *found.lock().unwrap_or_else(PoisonError::into_inner) = (before.clone(), after.clone());
        (before.as_ref() != Some(&after)).then(|| {
            let subject = if before.is_some() { "Change maintenance" } else { "Begin maintenance" };
            let transition = Transition::new(subject).because(format!("by {}", wanted.by));
            let transition = wanted.reason.iter().fold(transition, |transition, why| transition.because(why));
            state.maintenance = Some(after);
            transition
        })
    })
    .await?;
    let (before, after) = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    show(Some(&after), before.as_ref(), now, global)
}

/// What is wanted, since when it is on already; by whoever began it where nothing else is said.
fn going_on(wanted: &Maintenance, before: Option<&Maintenance>) -> Maintenance {
    match before {
        Some(before) if (before.until, &before.reason) == (wanted.until, &wanted.reason) => before.clone(),
        Some(before) => Maintenance { since: before.since, ..wanted.clone() },
        None => wanted.clone(),
    }
}

/// Changes the state, unless `decide` finds nothing to be done.
async fn change(
    workplace: &Workplace,
    decide: impl Fn(&mut State) -> Option<Transition> + Send + 'static,
) -> Result<(), CommandError> {
    let (store, now) = (workplace.state(), workplace.now());
    blocking(move || store.change(now, decide)).await?;
    Ok(())
}

fn show(
    maintenance: Option<&Maintenance>,
    before: Option<&Maintenance>,
    now: Timestamp,
    global: &GlobalArgs,
) -> Result<Outcome, CommandError> {
    let enabled = maintenance.is_some_and(|maintenance| maintenance.is_on(now));
    let shown = Shown { schema: "gitops-updater/maintenance/v1", enabled, maintenance, before };
    form::write(global, &shown, || {
        let mut text = text(maintenance, now) + "\n";
        if let (Some(before), Some(after)) = (before, maintenance) {
            for line in clean::wrap(&clean::line(&changed(before, after)), WIDTH) {
                text.push_str(&format!("{line}\n"));
            }
        }
        text
    })
}

/// What became of a maintenance that was on already.
fn changed(before: &Maintenance, after: &Maintenance) -> String {
    let mut changes = Vec::new();
    if before.until != after.until {
        let end =
            |until: Option<Timestamp>| until.map_or("with no end".to_owned(), |at| format!("until {at}"));
        changes.push(format!("{}, not {}", end(after.until), end(before.until)));
    }
    if before.reason != after.reason {
        let why = |reason: Option<&str>| reason.map_or("no reason".to_owned(), |why| format!("`{why}`"));
        changes.push(format!("for {}, not {}", why(after.reason.as_deref()), why(before.reason.as_deref())));
    }
    match changes.as_slice() {
        [] => "it was on already; nothing is changed".to_owned(),
        changes => format!("it was on already, by {}; now it is {}", before.by, changes.join(", and ")),
    }
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

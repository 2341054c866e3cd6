//! `dashboard`: the dashboard and its boxes without a browser, on every forge.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use super::form::{self, WIDTH};
use super::markdown;
use super::opened::block_on;
use super::workplace::{PlaceArgs, Workplace};
use crate::app::forge::{Dashboard, Forge as _};
use crate::domain::message::{Checkbox, boxes};
use crate::domain::near::near;

/// Show the dashboard, and tick its boxes for the next run
#[derive(Debug, Subcommand)]
pub(super) enum DashboardCommand {
    Show(ShowArgs),
    Tick(TickArgs),
}

/// Show the dashboard with its boxes
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Tick a box: the next run does what it says
#[derive(Debug, Args)]
#[command(after_help = "\
Such as `dashboard tick open k3s@v1.34.1+k3s1` or
`dashboard tick accept update-20261121-100000`; `dashboard show` lists the boxes")]
pub(super) struct TickArgs {
    /// What is to be done
    #[arg(value_enum)]
    action: Verb,

    /// To what: COMPONENT@VERSION, the id of an update, or since when the circuit breaker is open
    target: String,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verb {
    /// Open the pull request of a step that waits to be asked for
    Open,
    /// Write the branch of an open pull request anew
    Rebuild,
    /// Take up again what is held
    Retry,
    /// The update is good
    Accept,
    /// Let a version be proposed again
    Unquarantine,
    /// Go on proposing and merging after too many reverts
    CloseBreaker,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no dashboard")]
    None,
    #[error("the dashboard has no box `{0}`")]
    NoBox(String),
}

/// As scripts read it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    schema: &'static str,
    url: &'a str,
    boxes: Vec<Row>,
    body: &'a str,
}

#[derive(Debug, Serialize)]
struct Row {
    action: &'static str,
    target: String,
    ticked: bool,
    text: String,
}

/// A box that was ticked, as scripts read it.
#[derive(Debug, Serialize)]
struct Ticked<'a> {
    schema: &'static str,
    action: &'a str,
    target: &'a str,
}

pub(super) fn run(command: &DashboardCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    block_on(async {
        match command {
            DashboardCommand::Show(args) => show(args, global).await,
            DashboardCommand::Tick(args) => tick(args, global).await,
        }
    })
}

async fn dashboard(workplace: &Workplace) -> Result<Dashboard, CommandError> {
    workplace.forge.dashboard().await?.ok_or_else(|| {
        CommandError::failed(Error::None).hint(
            "`gitops-updater run` writes it, unless the configuration has `dashboard: {enabled: false}`",
        )
    })
}

async fn show(args: &ShowArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let workplace = args.place.open(global).await?;
    let dashboard = dashboard(&workplace).await?;
    let all = boxes(&dashboard.body);
    let row = |one: &Checkbox| {
        let (action, target) = one.action.words();
        Row { action, target, ticked: one.ticked, text: one.text.clone() }
    };
    let shown = Shown {
        schema: "gitops-updater/dashboard/v1",
        url: &dashboard.url,
        boxes: all.iter().map(row).collect(),
        body: &dashboard.body,
    };
    form::write(global, &shown, || text(&dashboard.body))
}

/// What it says, each box with the words by which it is ticked.
fn text(body: &str) -> String {
    let mut shown = String::new();
    for line in body.lines() {
        let indent = line.len() - line.trim_start().len();
        match boxes(line).pop() {
            Some(Checkbox { action, ticked, text }) => {
                let (verb, target) = action.words();
                let sign = if ticked { "[x]" } else { "[ ]" };
                // Indented, so that it is a part of the box.
                shown.push_str(&format!(
                    "{:indent$}- {sign} {text}\n{:indent$}  `dashboard tick {verb} {target}`\n",
                    "", ""
                ));
            }
            None => {
                shown.push_str(line);
                shown.push('\n');
            }
        }
    }
    markdown::lines(&shown, WIDTH).join("\n") + "\n"
}

async fn tick(args: &TickArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let workplace = args.place.open(global).await?;
    let dashboard = dashboard(&workplace).await?;
    let verb = args.action.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let all = boxes(&dashboard.body);
    let words = |one: &Checkbox| {
        let (verb, target) = one.action.words();
        format!("{verb} {target}")
    };
    let wanted = format!("{verb} {}", args.target);
    let Some(found) = all.iter().find(|one| words(one) == wanted) else {
        let names: Vec<String> = all.iter().map(words).collect();
        let like = near(&wanted, names.iter().map(String::as_str));
        let error = CommandError::failed(Error::NoBox(wanted.clone()));
        return Err(match like.as_slice() {
            [] => error.hint("`gitops-updater dashboard show` lists the boxes"),
            like => error.hint(format!("did you mean `{}`?", like.join("` or `"))),
        });
    };
    let body = found.action.tick(&dashboard.body).unwrap_or_else(|| dashboard.body.clone());
    let title = &workplace.config.dashboard.title;
    match workplace.local_forge() {
        Some(forge) => forge.write_dashboard(Some(&dashboard), title, &body).await?.into_inner(),
        None => workplace.forge.write_dashboard(Some(&dashboard), title, &body).await?.into_inner(),
    }
    let ticked = Ticked { schema: "gitops-updater/ticked/v1", action: &verb, target: &args.target };
    form::write(global, &ticked, || format!("ticked: {wanted}\nthe next `gitops-updater run` does it\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Action;

    /// A box that a word ticks. With [`verb`], whoever adds a kind of box is made to give it a word, and the other way
    /// round, by the compiler.
    fn of(verb: Verb) -> Action {
        let text = || "x".to_owned();
        match verb {
            Verb::Open => Action::Open { component: text(), version: text() },
            Verb::Rebuild => Action::Rebuild { update_id: text() },
            Verb::Retry => Action::Retry { update_id: text() },
            Verb::Accept => Action::Accept { update_id: text() },
            Verb::CloseBreaker => Action::CloseBreaker { since: text() },
            Verb::Unquarantine => Action::Unquarantine { component: text(), version: text() },
        }
    }

    fn verb(action: &Action) -> Verb {
        match action {
            Action::Open { .. } => Verb::Open,
            Action::Rebuild { .. } => Verb::Rebuild,
            Action::Retry { .. } => Verb::Retry,
            Action::Accept { .. } => Verb::Accept,
            Action::CloseBreaker { .. } => Verb::CloseBreaker,
            Action::Unquarantine { .. } => Verb::Unquarantine,
        }
    }

    /// The dashboard names `close-breaker`, and `dashboard tick` did not take it.
    #[test]
    fn every_kind_of_box_is_ticked_by_the_word_it_names() {
        for one in Verb::value_variants() {
            let action = of(*one);
            assert_eq!(verb(&action), *one);
            assert_eq!(Verb::from_str(action.words().0, false), Ok(*one));
        }
    }
}

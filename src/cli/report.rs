//! `report`: the history of updates.

use clap::Args;
use jiff::Timestamp;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use super::opened::block_on;
use super::workplace::{PlaceArgs, blocking};
use crate::config;
use crate::domain::history::Document;
use crate::domain::notice::kind_of;
use crate::domain::state::Update;
use crate::report::{RenderOptions, history};

/// Show the history of updates: what was proposed, merged, verified, reverted, and why
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Only updates that began at TIME or later, such as 2026-01-31T12:00:00Z, or in the last `30d`
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
}

/// A moment, or a time before now.
#[derive(Debug, Clone, Copy)]
enum Since {
    At(Timestamp),
    Ago(std::time::Duration),
}

fn since(text: &str) -> Result<Since, String> {
    match (text.parse(), config::duration(text)) {
        (Ok(at), _) => Ok(Since::At(at)),
        (_, Ok(ago)) => Ok(Since::Ago(ago)),
        (Err(_), Err(_)) => {
            Err("neither a time such as `2026-01-31T12:00:00Z` nor a duration such as `30d`".to_owned())
        }
    }
}

pub(super) fn run(args: &ReportArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let (loaded, now) = block_on(async {
        let place = args.place.open(global).await?;
        let (store, now) = (place.state(), place.now());
        Ok((blocking(move || store.load()).await?, now))
    })?;
    loaded.may_build()?;
    let since = args.since.map(|since| match since {
        Since::At(at) => at,
        // Longer ago than there are dates is everything.
        Since::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
    });
    let selected = |update: &Update| {
        let kind = kind_of(&update.component);
        global.components.is_empty()
            || global.components.iter().any(|selector| selector.matches(&update.component, kind))
    };
    let tip = loaded.tip.map(|tip| tip.to_string());
    let document = Document::of(&loaded.state, tip, since, &selected, now);
    let options = RenderOptions::new(now);
    let text = history::render(&document, global.format, &options).map_err(CommandError::failed)?;
    global.output().write(&text)?;
    Ok(Outcome::Done)
}

//! `report`: the history of updates.

use clap::Args;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

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

    /// Only updates that began at TIME or later: a day (2026-01-31), a time (2026-01-31T12:00:00Z), or the last `30d`
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
    if let Ok(at) = text.parse() {
        return Ok(Since::At(at));
    }
    // A day begins when it does in UTC, as all times that are shown.
    let begin = |day: Date| day.to_zoned(TimeZone::UTC).map(|day| Since::At(day.timestamp()));
    if is_day(text) {
        return text.parse().and_then(begin).map_err(|_| "there is no such day".to_owned());
    }
    if text.parse::<DateTime>().is_ok() && text.contains(['T', 't', ' ']) {
        return Err(format!("a time needs its zone, such as `{text}Z` for UTC"));
    }
    config::duration(text).map(Since::Ago).map_err(|_| {
        "neither a day such as `2026-01-31`, a time such as `2026-01-31T12:00:00Z` nor a duration such as `30d`"
            .to_owned()
    })
}

/// Whether a text has the shape of a day: `2026-01-31`.
fn is_day(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00"
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A day alone was refused.
    #[rstest]
    #[case::a_day("2026-11-21", "2026-11-21T00:00:00Z")]
    #[case::a_time("2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z")]
    #[case::a_time_with_its_zone("2026-11-21T12:00:00+01:00", "2026-11-21T11:00:00Z")]
    fn days_and_times_are_understood(#[case] text: &str, #[case] wanted: &str) {
        let Ok(Since::At(at)) = since(text) else { panic!("{text}") };
        assert_eq!(at.to_string(), wanted);
    }

    #[rstest]
    #[case::no_such_day("2026-02-30", "no such day")]
    #[case::no_zone("2026-11-21T12:00:00", "needs its zone, such as `2026-11-21T12:00:00Z`")]
    #[case::no_zone_and_a_blank("2026-11-21 12:00", "needs its zone")]
    #[case::a_word("yesterday", "neither a day such as")]
    #[case::no_unit("30", "neither a day such as")]
    fn what_is_wrong_is_said(#[case] text: &str, #[case] said: &str) {
        let why = since(text).unwrap_err();
        assert!(why.contains(said), "{text}: {why}");
    }

    #[test]
    fn durations_are_before_now() {
        assert!(matches!(since("30d"), Ok(Since::Ago(ago)) if ago.as_secs() == 30 * 86_400));
    }
}

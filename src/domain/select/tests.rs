mod any;
mod exact;
mod ranges;
mod warnings;

use jiff::Timestamp;

use super::*;

fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn candidate(version: &str) -> Candidate {
    Candidate { version: version.to_owned(), ..Candidate::default() }
}

fn published(versions: &[&str]) -> Answer {
    Answer { candidates: versions.iter().map(|version| candidate(version)).collect(), ..Answer::default() }
}

fn exact(text: &str) -> Given {
    Given::Exact(text.to_owned())
}

fn choose_from<'a>(given: &Given, scheme: Scheme, wish: &Wish, answer: &'a Answer) -> Selection<'a> {
    select(&Request { given, scheme, digest: None, wish }, answer)
}

/// The text of the target, `-` where there is none, and the update type.
fn step(scheme: Scheme, current: &str, versions: &[&str], wish: &Wish) -> (String, UpdateType) {
    let answer = published(versions);
    let selection = choose_from(&exact(current), scheme, wish, &answer);
    assert_eq!(selection.outcome == Outcome::Update, selection.target.is_some());
    (selection.target_text.unwrap_or_else(|| "-".to_owned()), selection.update_type)
}

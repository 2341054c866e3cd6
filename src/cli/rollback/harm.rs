//! Refuses what does harm, with what to do instead.

use jiff::Timestamp;

use super::{Error, Return};
use crate::app::detect::Found;
use crate::cli::error::CommandError;
use crate::domain::backup::Saved;
use crate::domain::facts::Facts;
use crate::domain::rollback::{Answer, Harm, Way, answer, revert_of, sight};
use crate::domain::select::step_type;

/// What comes of going back.
pub(in crate::cli) fn judged(
    one: &Return<'_>,
    found: &Found,
    facts: Option<&Facts>,
    saved: Saved<'_>,
    now: Timestamp,
) -> Answer {
    let component = one.component;
    let update_type = step_type(component.scheme, component.tag_prefix.as_deref(), &one.to, &one.from);
    let revert = match one.update {
        Some(update) if update.from == one.to => update.revert.clone(),
        _ => revert_of(found.registry.rules(), component, update_type),
    };
    let way = Way {
        component: &component.id,
        kind: &component.kind,
        from: &one.from,
        to: &one.to,
        update_type,
        revert: &revert,
        saved,
    };
    // What was seen before the merge says nothing of what it has moved since.
    let merged_at = one.update.and_then(|update| update.merged_at);
    let facts = facts.filter(|facts| merged_at.is_none_or(|merged| facts.taken_at >= Some(merged)));
    answer(&way, sight(facts, &one.from, now))
}

/// What a reviewer should know; refuses what does harm that was not taken on.
pub(in crate::cli) fn refuse(
    answers: Vec<(&str, Answer)>,
    accepted: &[String],
) -> Result<Vec<String>, CommandError> {
    let mut notes = Vec::new();
    let mut harms: Vec<(&str, Harm)> = Vec::new();
    for (component, answer) in answers {
        match answer {
            Answer::Fine => {}
            Answer::Mind(why) => notes.push(format!("{component}: {why}")),
            Answer::Harm(harm) if accepted.iter().any(|word| word == harm.code) => {
                notes.push(format!("{component}: {} (taken on by `--accept-harm {}`)", harm.text, harm.code));
            }
            Answer::Harm(harm) => harms.push((component, harm)),
        }
    }
    if harms.is_empty() {
        return Ok(notes);
    }
    let mut error = CommandError::failed(Error::Harm);
    let mut words: Vec<&str> = Vec::new();
    for (component, harm) in &harms {
        error = error.advice(format!("{component}: {}", harm.text));
        error = error.advice("what to do instead:");
        for (number, step) in harm.instead.iter().enumerate() {
            error = error.advice(format!("  {}. {step}", number + 1));
        }
        if !words.contains(&harm.code) {
            words.push(harm.code);
        }
    }
    let flags: Vec<String> = words.iter().map(|word| format!("--accept-harm {word}")).collect();
    Err(error.hint(format!("to do it all the same, take the harm on: `{}`", flags.join(" "))))
}

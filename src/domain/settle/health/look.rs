//! One look at a world: what every check needs, and where findings are gathered.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::HealthSettings;
use crate::domain::settle::finding::{Category, Finding, Severity, Subject};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Condition, Object};
use crate::domain::settle::redact::redacted;
use crate::domain::settle::world::{Sight, World};

/// Longest message, in bytes; conditions may hold whole logs.
const MAX_MESSAGE: usize = 300;

pub(super) struct Look<'w> {
    pub(super) world: &'w World,
    pub(super) settings: &'w HealthSettings,
    now: Timestamp,
    found: Vec<Finding>,
}

/// What a check says of an object.
pub(super) struct Wrong<'a> {
    pub(super) check: &'static str,
    pub(super) category: Category,
    pub(super) severity: Severity,
    pub(super) reason: &'a str,
    pub(super) message: String,
}

impl<'w> Look<'w> {
    pub(super) fn new(world: &'w World, settings: &'w HealthSettings) -> Self {
        Self { world, settings, now: world.wall(), found: vec![] }
    }

    /// Whether what is known of a kind is of now.
    pub(super) fn sees(&self, kind: Kind) -> bool {
        matches!(self.world.sees(kind), Sight::Seen)
    }

    /// Objects of a kind; none while they are not seen.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &'w Object> + use<'w> {
        let (world, seen) = (self.world, self.sees(kind));
        seen.then(|| world.of(kind)).into_iter().flatten()
    }

    /// Whether a time is longer ago than `patience`. A time that nobody tells is long ago.
    pub(super) fn past(&self, since: Option<Timestamp>, patience: Duration) -> bool {
        let Some(since) = since else { return true };
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        self.now.duration_since(since) >= patience
    }

    /// Whether a time will have come within a while.
    pub(super) fn within(&self, time: Timestamp, while_: Duration) -> bool {
        let while_ = SignedDuration::try_from(while_).unwrap_or(SignedDuration::MAX);
        time.duration_since(self.now) < while_
    }

    /// How long ago a time is, for people.
    pub(super) fn ago(&self, since: Option<Timestamp>) -> String {
        since.map(|since| format!(" for {}", span(self.now.duration_since(since)))).unwrap_or_default()
    }

    pub(super) fn wrong(&mut self, subject: Subject, wrong: Wrong<'_>) {
        self.found.push(Finding {
            check: wrong.check.to_owned(),
            category: wrong.category,
            subject,
            reason: wrong.reason.to_owned(),
            severity: wrong.severity,
            message: line(&redacted(&wrong.message)),
        });
    }

    pub(super) fn has(&self, subject: &Subject) -> bool {
        self.found.iter().any(|finding| finding.subject == *subject && finding.severity > Severity::Notice)
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.found.sort_by(|a, b| {
            (b.severity, a.category, &a.subject, &a.check, &a.reason)
                .cmp(&(a.severity, b.category, &b.subject, &b.check, &b.reason))
        });
        self.found.dedup_by(|a, b| a.key() == b.key());
        self.found
    }
}

pub(super) fn subject(object: &Object) -> Subject {
    named(&object.kind.label(), &object.meta.namespace, &object.meta.name)
}

pub(super) fn named(kind: &str, namespace: &str, name: &str) -> Subject {
    Subject { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}

/// The condition's own word, or its type where it says none.
pub(super) fn word(condition: &Condition) -> &str {
    if condition.reason.is_empty() { &condition.type_ } else { &condition.reason }
}

/// `first: second`, without a colon where there is no second.
pub(super) fn said(first: &str, second: &str) -> String {
    if second.trim().is_empty() { first.to_owned() } else { format!("{first}: {second}") }
}

/// A text on one line, of bounded length.
fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MAX_MESSAGE));
    let mut gap = false;
    for character in text.trim().chars() {
        if character.is_whitespace() || character.is_control() {
            gap = true;
            continue;
        }
        if line.len() >= MAX_MESSAGE {
            line.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
        }
        line.push(character);
    }
    line
}

/// `4 min`, `3 h`, `2 d`.
fn span(duration: SignedDuration) -> String {
    match duration.as_secs() {
        ..90 => format!("{} s", duration.as_secs().max(0)),
        seconds @ 90..5_400 => format!("{} min", seconds / 60),
        seconds @ 5_400..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

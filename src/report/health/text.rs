//! Health for a terminal: quiet when all is well.

use std::collections::BTreeMap;

use anstyle::Style;

use super::super::RenderOptions;
use super::super::clean::{self, left};
use super::super::text::{BOLD, DIM, GREEN, RED, Screen, YELLOW};
use super::{counts, headline, named, shown};
use crate::domain::settle::finding::{Category, Finding, Severity};
use crate::domain::settle::health::report::{Health, Status, TriedResult};
use crate::domain::settle::health::{Unobserved, by_reason};

const PLAIN: Style = Style::new();
/// What was not observed for one reason and is named without `-v`.
const NAMED: usize = 6;
/// Columns of the severity.
const SEVERITY: usize = 10;

pub(super) fn render(health: &Health, options: &RenderOptions) -> String {
    let mut screen = Screen::new(options);
    let style = match health.status {
        Status::Healthy => GREEN,
        Status::Unknown => YELLOW,
        Status::Failing | Status::Critical => RED,
    };
    screen.wrapped(style, "", &format!("{}.", headline(health)));
    let counts = counts(health, screen.verbose);
    if !counts.is_empty() {
        screen.wrapped(DIM, "", &format!("{}.", counts.join(", ")));
    }
    for (category, findings) in shown(health, screen.verbose) {
        screen.heading(&capital(category));
        for (found, became) in findings {
            finding(found, became, &mut screen);
        }
    }
    if !health.tried.is_empty() {
        screen.heading("Tried");
        for tried in &health.tried {
            let (style, word) = match tried.result {
                TriedResult::Good => (GREEN, "good"),
                TriedResult::Bad => (RED, "bad"),
                TriedResult::NotTried => (YELLOW, "not tried"),
            };
            screen.line(&[(PLAIN, "  "), (style, &left(word, SEVERITY)), (BOLD, &clean::line(&tried.name))]);
            screen.wrapped(PLAIN, &" ".repeat(SEVERITY + 2), &clean::line(&tried.detail));
        }
    }
    if !health.not_observed.is_empty() {
        screen.heading("Not observed");
        for (reason, kinds) in by_reason(&health.not_observed) {
            screen.wrapped(PLAIN, "  ", &clean::line(&folded(&kinds, screen.verbose)));
            screen.wrapped(DIM, "    ", &clean::line(&reason));
        }
    }
    screen.into_text()
}

/// The names of what was not observed; of many only how many of each category.
fn folded(unobserved: &[&Unobserved], verbose: bool) -> String {
    if verbose || unobserved.len() <= NAMED {
        return unobserved.iter().map(|one| one.what.as_str()).collect::<Vec<_>>().join(", ");
    }
    let mut by_category: BTreeMap<Category, usize> = BTreeMap::new();
    for one in unobserved {
        *by_category.entry(one.category).or_default() += 1;
    }
    let counts: Vec<String> =
        by_category.iter().map(|(category, count)| format!("{} {count}", category.as_str())).collect();
    format!("{} kinds (-v names them): {}", unobserved.len(), counts.join(", "))
}

fn finding(finding: &Finding, became: &str, screen: &mut Screen) {
    let style = match finding.severity {
        Severity::Critical => RED,
        Severity::Failing => YELLOW,
        Severity::Notice => DIM,
    };
    let severity = if became == "worse" { "worse" } else { finding.severity.as_str() };
    let subject = clean::line(&named(&finding.subject)).into_owned();
    let reason = clean::line(&finding.reason).into_owned();
    let room = screen.width.saturating_sub(SEVERITY + 2);
    let together = clean::width(&subject) + 2 + clean::width(&reason);
    if together <= room {
        let gap = "  ";
        screen.line(&[
            (PLAIN, "  "),
            (style, &left(severity, SEVERITY)),
            (BOLD, &subject),
            (PLAIN, gap),
            (style, &reason),
        ]);
    } else {
        screen.line(&[(PLAIN, "  "), (style, &left(severity, SEVERITY)), (BOLD, &subject)]);
        screen.line(&[(PLAIN, &" ".repeat(SEVERITY + 2)), (style, &reason)]);
    }
    if !finding.message.is_empty() {
        screen.wrapped(PLAIN, &" ".repeat(SEVERITY + 2), &clean::line(&finding.message));
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

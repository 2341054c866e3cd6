//! The plan as GitHub flavoured Markdown, for step summaries and issues.

use super::super::markdown::{code, prose, table_row};
use super::{facts, gathered, headline, place, plural, problems};
use crate::domain::edit::first_lines;
use crate::domain::plan::{PlanReport, RevertSafety, Step};
use crate::domain::problem::Problem;

/// Bytes kept free for what must stand at the end.
const RESERVE: usize = 512;
/// Lines of the diff of a step, the first that there is room for.
const LADDER: [usize; 3] = [400, 80, 16];

pub(super) fn render(plan: &PlanReport, limit: usize) -> String {
    let mut text = format!("## {}\n", prose(&headline(plan)));
    let facts = facts(plan);
    if !facts.is_empty() {
        text.push_str(&format!("\n{}\n", prose(&facts.join(", "))));
    }
    let mut left_out = 0;
    // Of the same part the most that there is room for.
    let mut add_first =
        |parts: &[String]| match parts.iter().find(|part| text.len() + part.len() + RESERVE <= limit) {
            Some(part) => text.push_str(part),
            None => left_out += 1,
        };
    let mut add = |part: String| add_first(&[part]);
    for wave in &plan.waves {
        let after = match wave.number {
            1 => String::new(),
            number => format!(", after wave {}", number - 1),
        };
        let rows: String = wave.steps.iter().map(row).collect();
        add(format!(
            "\n### Wave {}{after}\n\n| component | from | to | step | gate | now | |\n|---|--:|---|---|---|---|---|\n{rows}",
            wave.number
        ));
    }
    if !plan.held.is_empty() {
        let rows: String = gathered(&plan.held)
            .iter()
            .map(|(first, members)| {
                let names: Vec<String> = members.iter().take(5).map(|one| code(&one.component)).collect();
                let more = match members.len() {
                    ..=5 => String::new(),
                    count => format!(" and {} more", count - 5),
                };
                let constraint = first
                    .constraint
                    .as_deref()
                    .filter(|constraint| !first.reason.contains(constraint))
                    .map(|constraint| format!(" ({})", prose(constraint)))
                    .unwrap_or_default();
                format!(
                    "- {}{more}: **{}** {}{constraint}\n",
                    names.join(", "),
                    first.gate,
                    prose(&first.reason)
                )
            })
            .collect();
        add(format!("\n### Held ({})\n\n{rows}", plan.held.len()));
    }
    let problems = problems(plan);
    if !problems.is_empty() {
        let line = |problem: &&Problem| {
            let place = place(problem);
            let place = place.trim_end_matches(": ");
            let place = if place.is_empty() { String::new() } else { format!("{}: ", code(place)) };
            format!("- {place}{}\n", prose(&problem.message))
        };
        let rows: String = problems.iter().map(line).collect();
        add(format!("\n### Problems ({})\n\n{rows}", problems.len()));
    }
    for step in plan.waves.iter().flat_map(|wave| &wave.steps) {
        if let Some(diff) = plan.diffs.get(&step.id) {
            add_first(&LADDER.map(|most| details(step, diff, most)));
        }
    }
    if left_out > 0 {
        text.push_str(&format!(
            "\n*Shortened: {} left out; the JSON plan has all.*\n",
            plural(left_out, "part")
        ));
    }
    text
}

fn row(step: &Step) -> String {
    let mut notes: Vec<String> = step.reasons.iter().take(3).map(|reason| prose(reason)).collect();
    if step.revert.safety != RevertSafety::Safe {
        notes.push(format!("**revert {}**: {}", step.revert.safety.as_str(), prose(&step.revert.why)));
    }
    table_row(&[
        code(&step.component),
        code(&step.from),
        code(&step.to),
        step.update_type.as_str().to_owned(),
        step.gate.as_str().to_owned(),
        if step.next { "yes".to_owned() } else { String::new() },
        notes.join("; "),
    ])
}

/// The first lines of a diff in a fence that is longer than any in it, so that nothing in a manifest ends it.
fn details(step: &Step, diff: &str, most: usize) -> String {
    let (diff, left) = first_lines(diff, most);
    let left = left.map(|left| format!("\n{left}; the JSON plan has more.\n")).unwrap_or_default();
    let longest = diff.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let end = if diff.ends_with('\n') { "" } else { "\n" };
    let title = format!("{} → {}", step.component, step.to)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('@', "@\u{200b}")
        .replace('#', "#\u{200b}");
    format!("\n<details><summary>{title}</summary>\n\n{fence}diff\n{diff}{end}{fence}\n{left}\n</details>\n")
}

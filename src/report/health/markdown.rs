//! Health as GitHub flavoured Markdown.

use super::super::RenderOptions;
use super::super::markdown::{code, prose, table_row};
use super::{counts, headline, named, shown};
use crate::domain::settle::health::by_reason;
use crate::domain::settle::health::report::{Health, TriedResult};

pub(super) fn render(health: &Health, options: &RenderOptions) -> String {
    let mut lines = vec![format!("**{}.**", headline(health))];
    let counts = counts(health, options.verbose);
    if !counts.is_empty() {
        lines.extend([String::new(), format!("{}.", counts.join(", "))]);
    }
    let shown = shown(health, options.verbose);
    if !shown.is_empty() {
        lines.extend([
            String::new(),
            "| category | severity | object | reason | |".to_owned(),
            "|---|---|---|---|---|".to_owned(),
        ]);
        for (category, findings) in shown {
            for (finding, became) in findings {
                let severity = match became {
                    "" => finding.severity.as_str().to_owned(),
                    became => format!("{became}, {}", finding.severity.as_str()),
                };
                lines.push(row(&[
                    category.to_owned(),
                    severity,
                    code(&named(&finding.subject)),
                    code(&finding.reason),
                    prose(&finding.message),
                ]));
            }
        }
    }
    if !health.tried.is_empty() {
        lines.extend([String::new(), "| tried | | |".to_owned(), "|---|---|---|".to_owned()]);
        for tried in &health.tried {
            let result = match tried.result {
                TriedResult::Good => "good",
                TriedResult::Bad => "**bad**",
                TriedResult::NotTried => "not tried",
            };
            lines.push(row(&[code(&tried.name), result.to_owned(), prose(&tried.detail)]));
        }
    }
    if !health.not_observed.is_empty() {
        lines.extend([String::new(), "Not observed:".to_owned(), String::new()]);
        for (reason, kinds) in by_reason(&health.not_observed) {
            let kinds: Vec<String> = kinds.into_iter().map(|one| code(&one.what)).collect();
            lines.push(format!("- {}: {}", kinds.join(", "), prose(&reason)));
        }
    }
    lines.join("\n") + "\n"
}

fn row(cells: &[String]) -> String {
    table_row(cells).trim_end().to_owned()
}

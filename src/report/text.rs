//! The report for a terminal.
//!
//! The first line says what matters most, the last what to do; between them stand only things that
//! ask for a decision. What is up to date is a count.

use anstyle::{AnsiColor, Style};

use super::text_sections::{causes, floating, problems, quiet_rows, updates};
use super::view::{View, plural};
use super::{RenderOptions, clean};
use crate::domain::report::{RecommendedAction, Report};

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();

/// Lines of a terminal.
pub(super) struct Screen {
    pub(super) width: usize,
    pub(super) verbose: bool,
    color: bool,
    out: String,
}

impl Screen {
    pub(super) fn new(options: &RenderOptions) -> Self {
        Self {
            width: options.width.clamp(60, 160),
            verbose: options.verbose,
            color: options.color,
            out: String::new(),
        }
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.out
    }

    /// One line of painted pieces, which together fit the width.
    pub(super) fn line(&mut self, pieces: &[(Style, &str)]) {
        self.line_within(self.width, pieces);
    }

    /// One line of painted pieces that were wrapped: what is wider than the screen is meant to be copied.
    pub(super) fn wrapped_line(&mut self, pieces: &[(Style, &str)]) {
        self.line_within(usize::MAX, pieces);
    }

    fn line_within(&mut self, width: usize, pieces: &[(Style, &str)]) {
        let last = pieces.len().saturating_sub(1);
        let mut columns = 0;
        for (place, (style, text)) in pieces.iter().enumerate() {
            let text = if place == last { text.trim_end() } else { text };
            let text = clean::fit(text, width.saturating_sub(columns));
            columns += clean::width(&text);
            if self.color && !text.trim().is_empty() && *style != Style::new() {
                self.out.push_str(&format!("{style}{text}{style:#}"));
            } else {
                self.out.push_str(&text);
            }
        }
        self.out.push('\n');
    }

    /// Text over as many lines as it takes, the first behind `lead`, the others as far in.
    pub(super) fn wrapped(&mut self, style: Style, lead: &str, text: &str) {
        let indent = clean::width(lead);
        for (number, part) in clean::wrap(text, self.width.saturating_sub(indent)).iter().enumerate() {
            let before = if number == 0 { lead.to_owned() } else { " ".repeat(indent) };
            self.wrapped_line(&[(Style::new(), &before), (style, part)]);
        }
    }

    pub(super) fn heading(&mut self, title: &str) {
        self.out.push('\n');
        self.line(&[(BOLD, title)]);
    }
}

pub(super) fn render(report: &Report, options: &RenderOptions) -> String {
    let view = View::new(report);
    let mut screen = Screen::new(options);
    let action = report.update_report.summary.recommended_action;
    let style = match action {
        RecommendedAction::UpdateNow => RED,
        RecommendedAction::ScheduleMaintenance | RecommendedAction::ReviewProblems => YELLOW,
        RecommendedAction::None | RecommendedAction::Update => GREEN,
    };
    screen.wrapped(style, "", &view.headline());
    screen.wrapped(DIM, "", &view.scope());

    updates(&view, options.now, &mut screen);
    floating(&view, &mut screen);
    causes("Unresolved", "nobody can say what is newer", &view.unresolved, &mut screen);
    causes("Warnings", "", &view.warnings, &mut screen);
    if screen.verbose {
        quiet_rows("Up to date", &view.up_to_date, &mut screen);
        quiet_rows("Managed elsewhere", &view.managed, &mut screen);
        quiet_rows("Ignored", &view.ignored, &mut screen);
    } else {
        let mut rest = Vec::new();
        for (count, what) in [
            (view.up_to_date.len(), "up to date"),
            (view.managed.len(), "managed elsewhere"),
            (view.ignored.len(), "ignored"),
        ] {
            if count > 0 {
                rest.push(format!("{count} {what}"));
            }
        }
        let says_more = view.up_to_date.len() < report.update_report.components.len();
        if says_more && !rest.is_empty() {
            screen.out.push('\n');
            screen.wrapped(DIM, "", &format!("Not shown: {}; -v lists them", rest.join(", ")));
        }
    }
    problems(&view, &mut screen);

    if report.update_report.components.is_empty() && report.update_report.problems.is_empty() {
        screen.wrapped(
            Style::new(),
            "",
            "No file here matches a rule; `gitops-updater rules list` shows them.",
        );
        return screen.out;
    }
    if screen.out.lines().count() > 2 {
        screen.out.push('\n');
    }
    screen.wrapped(style, "", &format!("{}.", view.verdict()));
    screen.out
}

/// `Title (3)`.
pub(super) fn titled(title: &str, count: usize) -> String {
    format!("{title} ({count})")
}

/// `and 4 more causes; -v lists them`.
pub(super) fn more(count: usize, word: &str) -> String {
    format!("and {}; -v lists them", plural(count, &format!("more {word}")))
}

#[cfg(test)]
mod tests;

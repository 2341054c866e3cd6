//! GitHub flavoured Markdown, for step summaries and issues.
//!
//! GitHub turns mentions, issue numbers, commit ids and bare addresses into links and notifications
//! after Markdown is rendered, so a backslash does not stop them: names and versions stand in code,
//! and in prose a zero-width space breaks what would be taken for one.

use super::view::{Cause, Row, View, age, available, current, place, plural, short_revision, step, version};
use super::{RenderOptions, clean};
use crate::domain::notes::is_advisory;
use crate::domain::report::{Entry, Report};

/// Longest cell or item, in characters.
const MAX_CELL: usize = 300;
/// Bytes kept free for what must stand at the end.
const RESERVE: usize = 512;

/// A document that stops growing at its limit and says so.
struct Page {
    text: String,
    limit: usize,
    left_out: usize,
}

impl Page {
    /// Adds `lines` if there is room for them and for `closing`, which has to follow them some time.
    fn add(&mut self, lines: &str, closing: &str) -> bool {
        let fits = self.text.len() + lines.len() + closing.len() + RESERVE <= self.limit;
        if fits {
            self.text.push_str(lines);
        } else {
            self.left_out += 1;
        }
        fits
    }

    /// A heading, the lines below it as far as they fit, and what closes them.
    fn section(&mut self, opening: &str, lines: impl Iterator<Item = String>, closing: &str) {
        if !self.add(opening, closing) {
            return;
        }
        for line in lines {
            self.add(&line, closing);
        }
        self.text.push_str(closing);
    }
}

/// The report within `limit` bytes. What matters less comes later and is what a limit cuts.
pub(super) fn render(report: &Report, options: &RenderOptions, limit: usize) -> String {
    let view = View::new(report);
    let mut page = Page { text: String::new(), limit, left_out: 0 };
    page.add(&format!("## {}\n\n", prose(&view.headline())), "");
    page.add(&format!("**{}.**\n\n{}\n", prose(&view.verdict()), scope(&view)), "");

    for (urgency, rows) in &view.updates {
        let opening = format!(
            "\n### {} ({})\n\n| component | current | available | step | age | |\n|---|--:|---|---|--:|---|\n",
            urgency.title(),
            rows.len()
        );
        page.section(&opening, rows.iter().map(|row| update(*row, options)), "");
    }
    if !view.outside.is_empty() || !view.following.is_empty() {
        let rows = view.outside.iter().chain(&view.following);
        let opening = format!(
            "\n### Not pinned ({})\n\n| component | given | resolves to | newer outside |\n|---|---|---|---|\n",
            view.outside.len() + view.following.len()
        );
        page.section(&opening, rows.map(|row| floating(*row)), "");
    }
    causes("Unresolved", &view.unresolved, &mut page);
    causes("Warnings", &view.warnings, &mut page);
    if !view.problems.is_empty() {
        let lines = view
            .problems
            .iter()
            .map(|problem| format!("- {}: {}\n", code(&place(problem)), prose(&problem.message)));
        page.section(&format!("\n### Problems ({})\n\n", view.problems.len()), lines, "");
    }
    let documented =
        view.update_rows().filter(|row| !row.entry.pins.is_empty() || row.entry.changelog_url.is_some());
    details("Release notes and places", documented.map(notes), &mut page);
    if options.verbose {
        for (title, rows) in [
            ("Up to date", &view.up_to_date),
            ("Managed elsewhere", &view.managed),
            ("Ignored", &view.ignored),
        ] {
            details(&format!("{title} ({})", rows.len()), rows.iter().map(|row| quiet(*row)), &mut page);
        }
    }
    if page.left_out > 0 {
        let note =
            format!("\n*Shortened: {} left out; the JSON report has all.*\n", plural(page.left_out, "line"));
        page.text.push_str(&note);
    }
    page.text
}

fn scope(view: &View<'_>) -> String {
    let repository = &view.report.repository;
    let revision =
        repository.revision.as_deref().map(|revision| format!(" at {}", code(&short_revision(revision))));
    format!(
        "{}{}: {} in {}, {}",
        code(&repository.path),
        revision.unwrap_or_default(),
        plural(view.report.components.len(), "component"),
        plural(view.report.summary.files_read, "file"),
        prose(&view.report.scan_duration)
    )
}

fn update(row: Row<'_>, options: &RenderOptions) -> String {
    let entry = row.entry;
    let mut marks = Vec::new();
    if entry.security_update == Some(true) {
        let ids: Vec<String> = entry.security_advisories.iter().take(10).map(|id| advisory(id)).collect();
        marks.push(format!("**security** {}", ids.join(" ")).trim().to_owned());
    }
    if let Some(first) = entry.breaking_changes.first() {
        let more = match entry.breaking_changes.len() {
            1 => String::new(),
            count => format!(" (+{} more)", count - 1),
        };
        marks.push(format!("**breaking** {}{more}", prose(first)));
    }
    marks.extend(entry.warnings.iter().take(3).map(|warning| prose(warning)));
    table_row(&[
        code(row.id),
        code(&current(entry)),
        code(&available(entry)),
        step(entry.update_type).to_owned(),
        age(entry.released_at, options.now),
        marks.join("; "),
    ])
}

fn floating(row: Row<'_>) -> String {
    let entry = row.entry;
    let known =
        |text: &Option<String>| text.as_deref().map(|text| code(&version(Some(text)))).unwrap_or_default();
    table_row(&[
        code(row.id),
        code(&current(entry)),
        known(&entry.resolves_to),
        known(&entry.available_version),
    ])
}

/// Cells of code and prose as a row of a table, in which a pipe needs a backslash even in code, and
/// a backslash before it would undo that.
pub(super) fn table_row(cells: &[String]) -> String {
    let cells: Vec<String> =
        cells.iter().map(|cell| cell.replace("\\|", "\u{29f5}|").replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn causes(title: &str, causes: &[Cause<'_>], page: &mut Page) {
    if causes.is_empty() {
        return;
    }
    let count: usize = causes.iter().map(|cause| cause.rows.len()).sum();
    let lines = causes.iter().map(|cause| {
        let shown: Vec<String> = cause.rows.iter().take(5).map(|row| code(row.id)).collect();
        let more = match cause.rows.len() {
            ..=5 => String::new(),
            count => format!(" and {} more", count - 5),
        };
        format!("- {}: {} ({}{more})\n", cause.rows.len(), prose(&cause.text), shown.join(", "))
    });
    page.section(&format!("\n### {title} ({count})\n\n"), lines, "");
}

fn details(summary: &str, lines: impl Iterator<Item = String>, page: &mut Page) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        page.section(&format!("\n<details><summary>{summary}</summary>\n\n"), lines, "\n</details>\n");
    }
}

/// Everything about one update that a table has no room for.
fn notes(row: Row<'_>) -> String {
    let entry = row.entry;
    let mut text = format!("- {}", code(row.id));
    if let Some(url) = entry.changelog_url.as_deref() {
        text.push_str(&format!(": {}", address(url)));
    }
    text.push('\n');
    for change in entry.breaking_changes.iter().skip(1) {
        text.push_str(&format!("  - breaking: {}\n", prose(change)));
    }
    text.push_str(&places(entry));
    text
}

fn quiet(row: Row<'_>) -> String {
    let reason = row.entry.reason.as_deref().map(|reason| format!(": {}", prose(reason))).unwrap_or_default();
    format!("- {} {}{reason}\n{}", code(row.id), code(&current(row.entry)), places(row.entry))
}

fn places(entry: &Entry) -> String {
    let mut text = String::new();
    for pin in &entry.pins {
        let copy = if pin.applied { "" } else { " (copy, not applied)" };
        text.push_str(&format!("  - {}{copy}\n", code(&format!("{}:{}", clean::line(&pin.file), pin.line))));
    }
    text
}

/// Untrusted text in a code span, where GitHub interprets nothing.
pub(super) fn code(text: &str) -> String {
    let text = bounded(text).replace('`', "'");
    // Between the ticks nothing may be empty.
    if text.is_empty() { "` `".to_owned() } else { format!("`{text}`") }
}

/// Untrusted text as prose, in which pairs of backticks are code, as our own messages have them.
pub(super) fn prose(text: &str) -> String {
    let text = bounded(text);
    let parts: Vec<&str> = text.split('`').collect();
    let mut out = if parts.len() % 2 == 1 {
        let code_or_words = |(number, part): (usize, &&str)| match part.trim() {
            "" => (*part).to_owned(),
            _ if number % 2 == 1 => code(part),
            _ => words(part),
        };
        parts.iter().enumerate().map(code_or_words).collect()
    } else {
        words(&text)
    };
    // A leading sign would make a list, a heading or a rule of the line.
    let rest = out.trim_start_matches(|first: char| first.is_ascii_digit());
    let numbered =
        rest.len() < out.len() && (rest == "." || rest.starts_with(". ") || rest.starts_with("\\)"));
    if numbered || out.starts_with(['-', '+', '=', '#']) {
        out.insert(0, BREAK);
    }
    out
}

/// Stops GitHub from taking what stands around it for a name, number or address.
const BREAK: char = '\u{200b}';

/// Words with their punctuation escaped where it means something to Markdown, and broken where
/// GitHub would make a link.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut hexadecimal = 0;
    for letter in text.chars() {
        // A run of seven hexadecimal digits may be linked as a commit.
        hexadecimal = if letter.is_ascii_hexdigit() { hexadecimal + 1 } else { 0 };
        if hexadecimal == 7 {
            out.push(BREAK);
            hexadecimal = 1;
        }
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' => out.push_str("&#124;"),
            '@' | '#' => {
                out.push(letter);
                out.push(BREAK);
            }
            // Emoji codes and schemes: `:x:`, `https:`, `mailto:`.
            ':' => {
                out.push(letter);
                out.push(BREAK);
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '~' | '$' => {
                out.push('\\');
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    for (linked, broken) in
        [("www.", "www\u{200b}."), ("WWW.", "WWW\u{200b}."), ("GH-", "GH\u{200b}-"), ("gh-", "gh\u{200b}-")]
    {
        out = out.replace(linked, broken);
    }
    // A colon at the end of a word is only a colon.
    out.replace(":\u{200b} ", ": ")
}

/// An address as an autolink, or in code where it is none, or one that GitHub would announce to
/// others ("mentioned this").
fn address(url: &str) -> String {
    match clean::link(url) {
        Some(link) if !is_announced(&link) => format!("<{link}>"),
        Some(link) => code(&link),
        None => code(url),
    }
}

/// Whether GitHub leaves a note at the other end of a link to this address.
fn is_announced(link: &str) -> bool {
    let Ok(url) = url::Url::parse(link) else { return true };
    let host = url.host_str().unwrap_or_default();
    let kind = url.path_segments().and_then(|mut segments| segments.nth(2).map(str::to_ascii_lowercase));
    matches!(host, "github.com" | "www.github.com")
        && matches!(kind.as_deref(), Some("issues" | "pull" | "pulls" | "discussions" | "commit" | "commits"))
}

fn advisory(id: &str) -> String {
    if is_advisory(id) { format!("[{id}](https://osv.dev/vulnerability/{id})") } else { code(id) }
}

fn bounded(text: &str) -> String {
    let text = clean::line(text);
    match text.char_indices().nth(MAX_CELL) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests;

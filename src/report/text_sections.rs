//! The sections of the report for a terminal.

use std::collections::BTreeMap;

use anstyle::Style;
use jiff::Timestamp;

use super::clean::{self, fit, left, right, width};
use super::text::{BOLD, DIM, GREEN, RED, Screen, YELLOW, more, titled};
use super::view::{Cause, Row, Urgency, View, age, available, current, place, step, version};
use crate::domain::problem::Problem;
use crate::domain::report::{Entry, Status};

const PLAIN: Style = Style::new();
/// Columns of a version before its row is written over several lines.
const VERSION: usize = 18;
/// Causes and problems that are shown without `-v`.
const SHOWN: usize = 12;
/// Components that make the same step before they share a line.
const GATHERED: usize = 4;

/// Widths of the columns of the updates.
struct Columns {
    id: usize,
    current: usize,
    available: usize,
}

impl Columns {
    /// As wide as the widest line that fits beside mark (2), gaps (2), arrow (3), step (8) and age (5).
    fn of<'l, 'r: 'l>(lines: impl Iterator<Item = &'l Line<'r>>, screen: &Screen) -> Self {
        let widths: Vec<(usize, usize, usize)> = lines
            .map(|line| {
                let entry = line.rows[0].entry;
                (width(&line.name), width(&current(entry)), width(&available(entry)))
            })
            .collect();
        let widest = |all: &mut dyn Iterator<Item = usize>, limit: usize| {
            all.filter(|width| *width <= limit).max().unwrap_or(0)
        };
        let current = widest(&mut widths.iter().map(|widths| widths.1), VERSION);
        let available = widest(&mut widths.iter().map(|widths| widths.2), VERSION);
        let room = screen.width.saturating_sub(2 + 2 + current + 3 + available + 8 + 5);
        Self { id: widest(&mut widths.iter().map(|widths| widths.0), room), current, available }
    }

    fn fits(&self, line: &Line<'_>) -> bool {
        let entry = line.rows[0].entry;
        width(&line.name) <= self.id
            && width(&current(entry)) <= self.current
            && width(&available(entry)) <= self.available
    }
}

pub(super) fn updates(view: &View<'_>, now: Timestamp, screen: &mut Screen) {
    let sections: Vec<(Urgency, usize, Vec<Line<'_>>)> = view
        .updates
        .iter()
        .map(|(urgency, rows)| (*urgency, rows.len(), gathered(rows, screen.verbose)))
        .collect();
    // The same columns for all, but for a section that needs its own to keep to one line each.
    let common = Columns::of(sections.iter().flat_map(|(_, _, lines)| lines), screen);
    for (urgency, count, lines) in &sections {
        screen.heading(&titled(urgency.title(), *count));
        let all_fit = |columns: &Columns| lines.iter().all(|line| columns.fits(line));
        let own = Columns::of(lines.iter(), screen);
        let columns = if !all_fit(&common) && all_fit(&own) { &own } else { &common };
        for line in lines {
            update(line, columns, now, screen);
        }
    }
}

/// One line of the updates: a component, or several that make the same step of the same chart or image.
struct Line<'r> {
    name: String,
    rows: Vec<Row<'r>>,
}

/// Gathers rows that differ in nothing but who they are, such as forty releases of one chart.
fn gathered<'r>(rows: &[Row<'r>], verbose: bool) -> Vec<Line<'r>> {
    let step = |entry: &'r Entry| {
        let upstream = entry.upstream.as_ref()?;
        Some((
            (&upstream.url, &upstream.name),
            (&entry.current_version, &entry.available_version),
            (&entry.breaking_changes, &entry.security_advisories, &entry.warnings),
        ))
    };
    let mut lines: Vec<Line<'r>> = Vec::new();
    let mut places = BTreeMap::new();
    let mut alone = Vec::new();
    for row in rows {
        let place = match step(row.entry) {
            Some(key) if !verbose => *places.entry(key).or_insert(lines.len()),
            _ => lines.len(),
        };
        match lines.get_mut(place) {
            Some(line) => line.rows.push(*row),
            None => lines.push(Line { name: clean::line(row.id).into_owned(), rows: vec![*row] }),
        }
    }
    for mut line in lines {
        if line.rows.len() < GATHERED {
            alone.extend(
                line.rows
                    .into_iter()
                    .map(|row| Line { name: clean::line(row.id).into_owned(), rows: vec![row] }),
            );
            continue;
        }
        if let Some(upstream) = &line.rows[0].entry.upstream {
            line.name = format!("{} × {}", line.rows.len(), clean::line(&upstream.name));
        }
        alone.push(line);
    }
    alone
}

fn update(line: &Line<'_>, columns: &Columns, now: Timestamp, screen: &mut Screen) {
    let entry = line.rows[0].entry;
    let id = &line.name;
    let (from, to) = (current(entry), available(entry));
    let (mark, mark_style) = match entry {
        Entry { security_update: Some(true), .. } => ("! ", RED),
        entry if !entry.breaking_changes.is_empty() => ("* ", YELLOW),
        _ => ("  ", PLAIN),
    };
    let tail = format!("  {:<6}{:>5}", step(entry.update_type), age(entry.released_at, now));
    let versions_fit = width(&from) <= columns.current && width(&to) <= columns.available;
    if versions_fit {
        let from = right(&from, columns.current);
        let to = left(&to, columns.available);
        if width(id) <= columns.id {
            let id = left(id, columns.id + 2);
            screen.line(&[
                (mark_style, mark),
                (PLAIN, &id),
                (DIM, &from),
                (DIM, " → "),
                (BOLD, &to),
                (PLAIN, &tail),
            ]);
        } else {
            screen.line(&[(mark_style, mark), (PLAIN, id)]);
            let blank = " ".repeat(columns.id + 4);
            screen.line(&[(PLAIN, &blank), (DIM, &from), (DIM, " → "), (BOLD, &to), (PLAIN, &tail)]);
        }
    } else {
        let room = screen.width.saturating_sub(width(&tail) + 2);
        screen.line(&[(mark_style, mark), (PLAIN, &left(&fit(id, room), room)), (PLAIN, &tail)]);
        screen.line(&[(DIM, "      "), (DIM, &from)]);
        screen.line(&[(DIM, "    → "), (BOLD, &to)]);
    }
    if line.rows.len() > 1 {
        members(&line.rows, "    ", screen);
    }
    details(entry, screen);
}

/// What speaks for haste or for care; everything there is with `-v`.
fn details(entry: &Entry, screen: &mut Screen) {
    if entry.security_update == Some(true) {
        let fixes = match entry.security_advisories.len() {
            0 => "security update; the notes name no advisory".to_owned(),
            _ => format!("fixes {}", entry.security_advisories.join(", ")),
        };
        detail(&fixes, RED, screen);
    }
    match entry.breaking_changes.as_slice() {
        [] => {}
        changes if screen.verbose => {
            for change in changes {
                detail(&format!("breaks: {change}"), YELLOW, screen);
            }
        }
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (+{} more)", rest.len()) };
            let room = screen.width.saturating_sub(4 + width(&more));
            let first = format!("breaks: {}", clean::line(first));
            screen.line(&[(PLAIN, "    "), (YELLOW, &fit(&first, room)), (DIM, &more)]);
        }
    }
    for warning in &entry.warnings {
        detail(&format!("note: {warning}"), YELLOW, screen);
    }
    if screen.verbose {
        if let Some(url) = entry.changelog_url.as_deref().and_then(clean::link) {
            detail(&format!("read {url}"), PLAIN, screen);
        }
        if let Some(deep) = &entry.deep {
            for platforms in deep.platforms.iter().filter(|platforms| !platforms.is_empty()) {
                detail(&format!("for {}", platforms.join(", ")), DIM, screen);
            }
            if deep.archive_available == Some(false) {
                detail("the chart archive is missing", RED, screen);
            }
        }
        pins(entry, "    at ", screen);
    }
}

/// One line, or with `-v` as many as it takes.
fn detail(text: &str, style: Style, screen: &mut Screen) {
    let text = clean::line(text);
    if screen.verbose {
        screen.wrapped(style, "    ", &text);
    } else {
        screen.line(&[(PLAIN, "    "), (style, &text)]);
    }
}

fn pins(entry: &Entry, lead: &str, screen: &mut Screen) {
    for pin in &entry.pins {
        let copy = if pin.applied { "" } else { " (copy, not applied)" };
        let text = format!("{}:{}{copy}", clean::line(&pin.file), pin.line);
        screen.wrapped(DIM, lead, &text);
    }
}

/// Ranges and channels: what they give now and what is newer outside.
pub(super) fn floating(view: &View<'_>, screen: &mut Screen) {
    let total = view.outside.len() + view.following.len();
    if total == 0 {
        return;
    }
    screen.heading(&titled("Not pinned", total));
    let show_following = screen.verbose || view.following.len() <= 6;
    let shown: Vec<Row<'_>> =
        view.outside.iter().chain(view.following.iter().filter(|_| show_following)).copied().collect();
    let id = shown.iter().map(|row| width(&clean::line(row.id))).max().unwrap_or(0).min(36);
    let given = shown.iter().map(|row| width(&current(row.entry))).max().unwrap_or(0).min(14);
    for row in shown {
        let entry = row.entry;
        let now = match &entry.resolves_to {
            Some(resolved) => format!("now {}", version(Some(resolved))),
            None => "resolves to nothing known".to_owned(),
        };
        let outside = match entry.available_version {
            Some(_) => format!(", newer outside: {}", available(entry)),
            None => String::new(),
        };
        let from = left(&fit(&current(entry), given), given + 2);
        let name = clean::line(row.id);
        if width(&name) <= id {
            let name = left(&name, id + 2);
            screen.line(&[(PLAIN, "  "), (PLAIN, &name), (DIM, &from), (PLAIN, &now), (YELLOW, &outside)]);
        } else {
            screen.line(&[(PLAIN, "  "), (PLAIN, &name)]);
            let blank = " ".repeat(id + 4);
            screen.line(&[(PLAIN, &blank), (DIM, &from), (PLAIN, &now), (YELLOW, &outside)]);
        }
        if screen.verbose {
            pins(entry, "    at ", screen);
        }
    }
    if !show_following {
        let text = format!(
            "{} within a range or channel, nothing newer outside; -v lists them",
            view.following.len()
        );
        screen.wrapped(DIM, "  ", &text);
    }
}

/// One line a cause and one with whom it concerns.
pub(super) fn causes(title: &str, meaning: &str, causes: &[Cause<'_>], screen: &mut Screen) {
    if causes.is_empty() {
        return;
    }
    let count: usize = causes.iter().map(|cause| cause.rows.len()).sum();
    let colon = if meaning.is_empty() { String::new() } else { format!(": {meaning}") };
    screen.heading(&format!("{}{colon}", titled(title, count)));
    let shown = if screen.verbose { causes.len() } else { SHOWN };
    for cause in causes.iter().take(shown) {
        let lead = format!("{:>4}  ", cause.rows.len());
        screen.wrapped(PLAIN, &lead, &clean::line(&cause.text));
        if screen.verbose {
            for row in &cause.rows {
                screen.wrapped(DIM, "      ", &clean::line(row.id));
                pins(row.entry, "        at ", screen);
            }
        } else {
            members(&cause.rows, "      ", screen);
        }
    }
    if causes.len() > shown {
        screen.wrapped(DIM, "      ", &more(causes.len() - shown, "cause"));
    }
}

/// As many names as fit on one line, and how many more.
fn members(rows: &[Row<'_>], lead: &str, screen: &mut Screen) {
    let names: Vec<String> = rows.iter().map(|row| clean::line(row.id).into_owned()).collect();
    listed(&names, lead, screen);
}

fn listed(names: &[String], lead: &str, screen: &mut Screen) {
    let room = screen.width.saturating_sub(lead.len());
    let mut text = String::new();
    for (number, name) in names.iter().enumerate() {
        let separator = if number == 0 { "" } else { ", " };
        let left_over = names.len() - number - 1;
        let suffix = if left_over == 0 { 0 } else { format!(" and {left_over} more").len() };
        if number > 0 && width(&text) + width(separator) + width(name) + suffix > room {
            text.push_str(&format!(" and {} more", names.len() - number));
            break;
        }
        text.push_str(separator);
        text.push_str(&fit(name, room.saturating_sub(suffix)));
    }
    screen.line(&[(PLAIN, lead), (DIM, &text)]);
}

/// Components that ask for nothing, with `-v`.
pub(super) fn quiet_rows(title: &str, rows: &[Row<'_>], screen: &mut Screen) {
    if rows.is_empty() {
        return;
    }
    screen.heading(&titled(title, rows.len()));
    for row in rows {
        let entry = row.entry;
        let style = if entry.status == Status::UpToDate { GREEN } else { DIM };
        let version = current(entry);
        let version = fit(&version, VERSION);
        let room = screen.width.saturating_sub(4 + width(&version));
        let id = clean::line(row.id);
        screen.line(&[(PLAIN, "  "), (PLAIN, &fit(&id, room)), (PLAIN, "  "), (style, &version)]);
        if let Some(reason) = &entry.reason {
            screen.wrapped(DIM, "    ", &clean::line(reason));
        }
        pins(entry, "    at ", screen);
    }
}

/// One line a problem; the same problem in many places is one with its places.
pub(super) fn problems(view: &View<'_>, screen: &mut Screen) {
    if view.problems.is_empty() {
        return;
    }
    screen.heading(&titled("Problems", view.problems.len()));
    let mut groups: Vec<(&str, Vec<&Problem>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for problem in &view.problems {
        let next = groups.len();
        let at = if screen.verbose { next } else { *places.entry(&problem.message).or_insert(next) };
        match groups.get_mut(at) {
            Some((_, found)) => found.push(problem),
            None => groups.push((&problem.message, vec![problem])),
        }
    }
    let shown = if screen.verbose { groups.len() } else { SHOWN };
    for (message, found) in groups.iter().take(shown) {
        let message = clean::line(message);
        if let [one] = found.as_slice() {
            paragraph(&format!("{}: {message}", place(one)), screen);
        } else {
            paragraph(&format!("{} places: {message}", found.len()), screen);
            listed(&found.iter().map(|problem| place(problem)).collect::<Vec<_>>(), "    ", screen);
        }
    }
    if groups.len() > shown {
        screen.wrapped(DIM, "  ", &more(groups.len() - shown, "problem"));
    }
}

/// At most three lines without `-v`: a screenful is for many problems.
fn paragraph(text: &str, screen: &mut Screen) {
    let mut lines = clean::wrap(text, screen.width.saturating_sub(4));
    if !screen.verbose && lines.len() > 3 {
        lines.truncate(3);
        if let Some(last) = lines.last_mut() {
            *last = format!("{}…", fit(last, screen.width.saturating_sub(5)).trim_end_matches('…'));
        }
    }
    for (number, line) in lines.iter().enumerate() {
        screen.wrapped_line(&[(PLAIN, if number == 0 { "  " } else { "    " }), (PLAIN, line)]);
    }
}

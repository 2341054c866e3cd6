//! The report as one page: no script, no request, nothing that a stranger's text could act through.
//!
//! The template escapes every value; the page's own policy forbids everything but its inline style.

use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;

use super::view::{Cause, Row, Urgency, View, action, age, available, current, place, step, version};
use super::{Error, RenderOptions, clean};
use crate::domain::notes::is_advisory;
use crate::domain::report::{Entry, RecommendedAction, Report, Status};

const TEMPLATE: &str = include_str!("templates/report.html");
/// Most members of one cause that are listed.
const MEMBERS: usize = 200;

/// What the template shows.
#[derive(Serialize)]
struct Page {
    headline: String,
    scope: String,
    verdict: String,
    action: &'static str,
    mood: &'static str,
    generated: String,
    total: usize,
    arcs: Vec<Arc>,
    ring_label: String,
    steps: Vec<Step>,
    sections: Vec<Section>,
    floating: Vec<Item>,
    unresolved: Vec<CauseItem>,
    warnings: Vec<CauseItem>,
    quiet: Vec<Section>,
    problems: Vec<ProblemItem>,
    inventory: Vec<(String, usize)>,
}

/// One bar: `share` is its length in hundredths of the longest.
#[derive(Serialize)]
struct Step {
    label: &'static str,
    count: usize,
    share: usize,
}

#[derive(Serialize)]
struct Section {
    title: &'static str,
    slug: &'static str,
    rows: Vec<Item>,
}

/// One component.
#[derive(Serialize)]
struct Item {
    id: String,
    current: String,
    available: Option<String>,
    resolves_to: Option<String>,
    step: &'static str,
    age: String,
    released: Option<String>,
    security: bool,
    security_unknown: bool,
    advisories: Vec<Advisory>,
    breaking: Vec<String>,
    warnings: Vec<String>,
    reason: Option<String>,
    changelog: Option<String>,
    upstream: Option<String>,
    upstream_link: Option<String>,
    platforms: Option<String>,
    archive_missing: bool,
    pins: Vec<Pin>,
}

#[derive(Serialize)]
struct Advisory {
    id: String,
    link: Option<String>,
}

#[derive(Serialize)]
struct Pin {
    place: String,
    text: String,
    applied: bool,
}

#[derive(Serialize)]
struct CauseItem {
    count: usize,
    text: String,
    ids: Vec<String>,
    more: usize,
}

#[derive(Serialize)]
struct ProblemItem {
    place: String,
    message: String,
}

/// One arc of the ring: all of it is 100 long.
#[derive(Serialize)]
struct Arc {
    slug: &'static str,
    label: &'static str,
    count: usize,
    length: String,
    offset: String,
}

pub(super) fn render(report: &Report, options: &RenderOptions) -> Result<String, Error> {
    let view = View::new(report);
    let item = |row: &Row<'_>| item(*row, options);
    let items = |rows: &[Row<'_>]| rows.iter().map(item).collect::<Vec<_>>();
    let sections: Vec<Section> = view
        .updates
        .iter()
        .map(|(urgency, rows)| Section { title: urgency.title(), slug: slug(*urgency), rows: items(rows) })
        .collect();
    let floating: Vec<Item> = view.outside.iter().chain(&view.following).map(item).collect();
    let problems: Vec<ProblemItem> = view
        .problems
        .iter()
        .map(|problem| ProblemItem {
            place: place(problem),
            message: clean::line(&problem.message).into_owned(),
        })
        .collect();
    let inventory: Vec<(String, usize)> = view
        .report
        .summary
        .inventory
        .iter()
        .map(|(kind, count)| (clean::line(kind).into_owned(), *count))
        .collect();
    let recommended = view.report.summary.recommended_action;

    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("report.html", TEMPLATE)?;
    let arcs = ring(&view);
    let page = Page {
        headline: view.headline(),
        scope: view.scope(),
        verdict: view.verdict(),
        action: action(recommended),
        mood: mood(recommended),
        generated: view.report.timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        total: view.report.components.len(),
        ring_label: arcs
            .iter()
            .map(|arc| format!("{} {}", arc.count, arc.label))
            .collect::<Vec<_>>()
            .join(", "),
        arcs,
        steps: steps(&view),
        sections,
        floating,
        unresolved: cause_items(&view.unresolved),
        warnings: cause_items(&view.warnings),
        quiet: vec![
            Section { title: "Up to date", slug: "current", rows: items(&view.up_to_date) },
            Section { title: "Managed elsewhere", slug: "managed", rows: items(&view.managed) },
            Section { title: "Ignored", slug: "ignored", rows: items(&view.ignored) },
        ],
        problems,
        inventory,
    };
    let mut text = environment.get_template("report.html")?.render(Serde(page))?;
    // The template's own last line end is not rendered.
    text.push('\n');
    Ok(text)
}

fn slug(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Security => "security",
        Urgency::Cluster => "cluster",
        Urgency::Major => "major",
        Urgency::Minor => "minor",
        Urgency::Patch => "patch",
        Urgency::Other => "other",
    }
}

/// The colour of the page's first words.
fn mood(action: RecommendedAction) -> &'static str {
    match action {
        RecommendedAction::UpdateNow => "alarm",
        RecommendedAction::ScheduleMaintenance | RecommendedAction::ReviewProblems => "care",
        RecommendedAction::None | RecommendedAction::Update => "calm",
    }
}

/// Components by status, as arcs of a ring.
fn ring(view: &View<'_>) -> Vec<Arc> {
    let count =
        |status: Status| view.report.components.values().filter(|entry| entry.status == status).count();
    let counted = [
        ("update", "with an update", count(Status::UpdateAvailable)),
        ("current", "up to date", count(Status::UpToDate)),
        ("floating", "not pinned", count(Status::NotPinned)),
        ("unresolved", "unresolved", count(Status::Unresolved)),
        ("apart", "managed or ignored", count(Status::ManagedElsewhere) + count(Status::Ignored)),
    ];
    let total = view.report.components.len().max(1);
    let hundredth = |count: usize| format!("{}.{:02}", count * 100 / total, count * 10_000 / total % 100);
    let mut before = 0;
    let mut arcs: Vec<Arc> = Vec::new();
    for (slug, label, count) in counted.into_iter().filter(|(_, _, count)| *count > 0) {
        arcs.push(Arc { slug, label, count, length: hundredth(count), offset: hundredth(before) });
        before += count;
    }
    arcs
}

/// Updates by update type, each as wide as its share of the largest.
fn steps(view: &View<'_>) -> Vec<Step> {
    let mut counts: Vec<(&'static str, usize)> =
        ["major", "minor", "patch", "build", "digest", "pre", "?"].map(|step| (step, 0)).to_vec();
    for row in view.update_rows() {
        let word = step(row.entry.update_type);
        if let Some((_, count)) = counts.iter_mut().find(|(step, _)| *step == word) {
            *count += 1;
        }
    }
    let largest = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(step, count)| {
            let label = if step == "?" { "other" } else { step };
            Step { label, count, share: (count * 100 / largest).max(1) }
        })
        .collect()
}

fn item(row: Row<'_>, options: &RenderOptions) -> Item {
    let entry = row.entry;
    let text = |text: &String| clean::line(text).into_owned();
    let is_update = entry.status == Status::UpdateAvailable;
    let deep = entry.deep.as_ref();
    Item {
        id: clean::line(row.id).into_owned(),
        current: current(entry),
        available: entry.available_version.as_ref().map(|_| available(entry)),
        resolves_to: entry.resolves_to.as_deref().map(|resolved| version(Some(resolved))),
        step: step(entry.update_type),
        age: age(entry.released_at, options.now),
        released: entry.released_at.map(|time| time.strftime("%Y-%m-%d").to_string()),
        security: is_update && entry.security_update == Some(true),
        security_unknown: is_update && entry.security_update.is_none(),
        advisories: entry.security_advisories.iter().map(|id| advisory(id)).collect(),
        breaking: entry.breaking_changes.iter().map(text).collect(),
        warnings: entry.warnings.iter().map(text).collect(),
        reason: entry.reason.as_ref().map(text),
        changelog: entry.changelog_url.as_deref().and_then(clean::link),
        upstream: entry.upstream.as_ref().map(|upstream| clean::line(&upstream.url).into_owned()),
        upstream_link: entry.upstream.as_ref().and_then(|upstream| clean::link(&upstream.url)),
        platforms: deep
            .and_then(|deep| deep.platforms.as_ref())
            .map(|platforms| clean::line(&platforms.join(", ")).into_owned()),
        archive_missing: deep.is_some_and(|deep| deep.archive_available == Some(false)),
        pins: pins(entry),
    }
}

fn advisory(id: &str) -> Advisory {
    let link = is_advisory(id).then(|| format!("https://osv.dev/vulnerability/{id}"));
    Advisory { id: clean::line(id).into_owned(), link }
}

fn pins(entry: &Entry) -> Vec<Pin> {
    entry
        .pins
        .iter()
        .map(|pin| Pin {
            place: format!("{}:{}", clean::line(&pin.file), pin.line),
            text: version(Some(&pin.text)),
            applied: pin.applied,
        })
        .collect()
}

fn cause_items(causes: &[Cause<'_>]) -> Vec<CauseItem> {
    causes
        .iter()
        .map(|cause| CauseItem {
            count: cause.rows.len(),
            text: clean::line(&cause.text).into_owned(),
            ids: cause.rows.iter().take(MEMBERS).map(|row| clean::line(row.id).into_owned()).collect(),
            more: cause.rows.len().saturating_sub(MEMBERS),
        })
        .collect()
}

#[cfg(test)]
mod tests;

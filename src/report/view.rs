//! What people are shown, in which order: the part that text, Markdown and HTML share.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::clean;
use crate::domain::component::UpdateType;
use crate::domain::problem::Problem;
use crate::domain::report::{Entry, RecommendedAction, Report, Status, UpdateReport};

/// One component with its id.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    pub(super) id: &'r str,
    pub(super) entry: &'r Entry,
}

/// Why an update stands where it stands; the order is the order of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    Security,
    Cluster,
    Major,
    Minor,
    Patch,
    Other,
}

impl Urgency {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Security => "Security",
            Self::Cluster => "Cluster",
            Self::Major => "Major",
            Self::Minor => "Minor",
            Self::Patch => "Patch",
            Self::Other => "Other",
        }
    }

    fn of(entry: &Entry) -> Self {
        if entry.security_update == Some(true) {
            Self::Security
        } else if entry.is_cluster_component() {
            Self::Cluster
        } else {
            match entry.update_type {
                UpdateType::Major => Self::Major,
                UpdateType::Minor => Self::Minor,
                UpdateType::Patch | UpdateType::Digest | UpdateType::Build => Self::Patch,
                UpdateType::None | UpdateType::Prerelease | UpdateType::Unknown => Self::Other,
            }
        }
    }
}

/// Components that share one cause.
pub(super) struct Cause<'r> {
    pub(super) text: String,
    pub(super) rows: Vec<Row<'r>>,
}

/// The report, sorted by what matters.
pub(super) struct View<'r> {
    pub(super) report: &'r UpdateReport,
    pub(super) updates: Vec<(Urgency, Vec<Row<'r>>)>,
    /// Unresolved ones by cause, the most frequent first.
    pub(super) unresolved: Vec<Cause<'r>>,
    /// Not pinned, with something newer than the range allows.
    pub(super) outside: Vec<Row<'r>>,
    /// Not pinned, and nothing newer outside.
    pub(super) following: Vec<Row<'r>>,
    /// Warnings about components that are not among the updates, by text.
    pub(super) warnings: Vec<Cause<'r>>,
    pub(super) up_to_date: Vec<Row<'r>>,
    pub(super) managed: Vec<Row<'r>>,
    pub(super) ignored: Vec<Row<'r>>,
    /// Without those that only repeat why components are unresolved.
    pub(super) problems: Vec<&'r Problem>,
}

impl<'r> View<'r> {
    pub(super) fn new(report: &'r Report) -> Self {
        let report = &report.update_report;
        let rows = |status: Status| -> Vec<Row<'r>> {
            report
                .components
                .iter()
                .filter(|(_, entry)| entry.status == status)
                .map(|(id, entry)| Row { id, entry })
                .collect()
        };
        let mut updates: BTreeMap<Urgency, Vec<Row<'r>>> = BTreeMap::new();
        for row in rows(Status::UpdateAvailable) {
            updates.entry(Urgency::of(row.entry)).or_default().push(row);
        }
        for group in updates.values_mut() {
            group.sort_by_key(|row| {
                let harmless = row.entry.breaking_changes.is_empty();
                (!row.entry.is_cluster_component(), rank(row.entry.update_type), harmless, row.id)
            });
        }
        let unresolved = causes(rows(Status::Unresolved).into_iter().map(|row| {
            let reason = row.entry.reason.as_deref().unwrap_or("no reason was given");
            (reason.to_owned(), row)
        }));
        let warned = report
            .components
            .iter()
            .filter(|(_, entry)| !matches!(entry.status, Status::UpdateAvailable | Status::Ignored))
            .flat_map(|(id, entry)| {
                entry.warnings.iter().map(move |warning| (warning.clone(), Row { id, entry }))
            });
        let warnings = causes(warned);
        let (outside, following) =
            rows(Status::NotPinned).into_iter().partition(|row| row.entry.available_version.is_some());
        let mut problems: Vec<&Problem> = report
            .problems
            .iter()
            .filter(|problem| {
                problem.file.is_some() || !unresolved.iter().any(|cause| cause.text == problem.message)
            })
            .collect();
        problems.sort();
        problems.dedup();
        Self {
            updates: updates.into_iter().collect(),
            unresolved,
            outside,
            following,
            warnings,
            up_to_date: rows(Status::UpToDate),
            managed: rows(Status::ManagedElsewhere),
            ignored: rows(Status::Ignored),
            problems,
            report,
        }
    }

    pub(super) fn update_rows(&self) -> impl Iterator<Item = Row<'r>> {
        self.updates.iter().flat_map(|(_, rows)| rows.iter().copied())
    }

    pub(super) fn count(&self, urgency: Urgency) -> usize {
        self.updates.iter().find(|(found, _)| *found == urgency).map_or(0, |(_, rows)| rows.len())
    }

    pub(super) fn unresolved_count(&self) -> usize {
        self.unresolved.iter().map(|cause| cause.rows.len()).sum()
    }

    /// The first line: what she who is woken by it needs to know.
    pub(super) fn headline(&self) -> String {
        let total = self.update_rows().count();
        if let Some((Urgency::Security, rows)) = self.updates.first() {
            let first = rows[0];
            let more = match rows.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            return format!(
                "{}: {} {} → {}{more}",
                plural(rows.len(), "security update"),
                clean::fit(&clean::line(first.id), 28),
                clean::fit(&current(first.entry), 14),
                clean::fit(&available(first.entry), 14),
            );
        }
        if total > 0 {
            let parts: Vec<String> = self
                .updates
                .iter()
                .map(|(urgency, rows)| match urgency {
                    Urgency::Cluster => format!("{} of the cluster itself", rows.len()),
                    other => format!("{} {}", rows.len(), other.title().to_lowercase()),
                })
                .collect();
            return format!("{}: {}", plural(total, "update"), parts.join(", "));
        }
        if self.report.components.is_empty() {
            return "Nothing found that has a version".to_owned();
        }
        match self.unresolved_count() {
            0 if self.outside.is_empty() => "Everything is up to date".to_owned(),
            0 => format!("No update for what is pinned; {} outside a range", self.outside.len()),
            count => format!("No update found, but {} could not be checked", plural(count, "component")),
        }
    }

    /// Where and how much was read.
    pub(super) fn scope(&self) -> String {
        let repository = &self.report.repository;
        let revision =
            repository.revision.as_deref().map(|revision| format!(" @ {}", short_revision(revision)));
        format!(
            "{}{}: {} in {}, {}",
            clean::fit(&clean::line(&repository.path), 40),
            revision.unwrap_or_default(),
            plural(self.report.components.len(), "component"),
            plural(self.report.summary.files_read, "file"),
            clean::fit(&clean::line(&self.report.scan_duration), 10),
        )
    }

    /// The last line: counts and what to do.
    pub(super) fn verdict(&self) -> String {
        let total = self.update_rows().count();
        let mut parts = Vec::new();
        if total > 0 {
            let security = self.count(Urgency::Security);
            let breaking = self.update_rows().filter(|row| !row.entry.breaking_changes.is_empty()).count();
            let unknown = self.update_rows().filter(|row| row.entry.security_update.is_none()).count();
            let mut inner = Vec::new();
            if security > 0 {
                inner.push(format!("{security} security"));
            }
            if breaking > 0 {
                inner.push(format!("{breaking} breaking"));
            }
            if security == 0 && unknown > 0 {
                inner.push("security unknown".to_owned());
            }
            let inner = if inner.is_empty() { String::new() } else { format!(" ({})", inner.join(", ")) };
            parts.push(format!("{}{inner}", plural(total, "update")));
        }
        if self.unresolved_count() > 0 {
            parts.push(format!("{} unresolved", self.unresolved_count()));
        }
        // As the section has them: what only repeats why something is unresolved is counted there.
        if !self.problems.is_empty() {
            parts.push(plural(self.problems.len(), "problem"));
        }
        let action = action(self.report.summary.recommended_action);
        if parts.is_empty() { action.to_owned() } else { format!("{action}: {}", parts.join(", ")) }
    }
}

/// What the recommended action asks of a person.
pub(super) fn action(action: RecommendedAction) -> &'static str {
    match action {
        RecommendedAction::None => "Nothing to do",
        RecommendedAction::Update => "Update when it suits",
        RecommendedAction::ScheduleMaintenance => "Schedule maintenance",
        RecommendedAction::UpdateNow => "Update now",
        RecommendedAction::ReviewProblems => "Review what could not be read",
    }
}

fn rank(kind: UpdateType) -> usize {
    match kind {
        UpdateType::Major => 0,
        UpdateType::Minor => 1,
        UpdateType::Patch => 2,
        UpdateType::Build => 3,
        UpdateType::Digest => 4,
        UpdateType::Prerelease => 5,
        UpdateType::Unknown | UpdateType::None => 6,
    }
}

/// Groups by text, in which the component's own name counts as the same for all; the largest first.
fn causes<'r>(found: impl Iterator<Item = (String, Row<'r>)>) -> Vec<Cause<'r>> {
    let mut groups: BTreeMap<String, (String, Vec<Row<'r>>)> = BTreeMap::new();
    for (text, row) in found {
        let mut key = text.clone();
        let upstream = row.entry.upstream.as_ref().map(|upstream| upstream.name.as_str());
        for name in [Some(row.id), upstream, Some(row.entry.name.as_str())].into_iter().flatten() {
            key = key.replace(&format!("`{name}`"), "`…`");
        }
        let group = groups.entry(key).or_insert_with(|| (text, Vec::new()));
        group.1.push(row);
    }
    let mut causes: Vec<Cause<'r>> = groups
        .into_iter()
        .map(|(key, (text, rows))| Cause { text: if rows.len() == 1 { text } else { key }, rows })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.rows.len()));
    causes
}

/// `1 update`, `2 updates`.
pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// The first twelve digits of a commit id, `-dirty` kept.
pub(super) fn short_revision(revision: &str) -> String {
    let revision = clean::line(revision);
    let digits = revision.bytes().take_while(u8::is_ascii_hexdigit).count();
    match &revision[digits..] {
        rest @ ("" | "-dirty") if digits >= 12 => format!("{}{rest}", &revision[..12]),
        _ => clean::fit(&revision, 20).into_owned(),
    }
}

/// The installed version for people.
pub(super) fn current(entry: &Entry) -> String {
    version(entry.current_version.as_deref())
}

/// The available version for people.
pub(super) fn available(entry: &Entry) -> String {
    version(entry.available_version.as_deref())
}

/// A version for people: digests are shortened, an unknown one is `?`.
pub(super) fn version(version: Option<&str>) -> String {
    let Some(version) = version else { return "?".to_owned() };
    let version = clean::line(version);
    match version.split_once("sha256:") {
        Some((before, digest))
            if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            format!("{before}sha256:{}…", &digest[..8])
        }
        _ => version.into_owned(),
    }
}

/// The word for an update type in a narrow column.
pub(super) fn step(kind: UpdateType) -> &'static str {
    match kind {
        UpdateType::Prerelease => "pre",
        UpdateType::Unknown | UpdateType::None => "?",
        other => other.as_str(),
    }
}

/// How long ago, in at most five columns; blank where nobody knows.
pub(super) fn age(released: Option<Timestamp>, now: Timestamp) -> String {
    let Some(released) = released else { return String::new() };
    let days = (now.as_second() - released.as_second()) / 86_400;
    match days {
        ..=0 => "new".to_owned(),
        1..60 => format!("{days}d"),
        60..730 => format!("{}mo", days / 30),
        _ => format!("{}y", days / 365),
    }
}

/// Where a problem is, for people: `file:line`, or the upstream.
pub(super) fn place(problem: &Problem) -> String {
    match (&problem.file, problem.line, &problem.upstream) {
        (Some(file), Some(line), _) => format!("{}:{line}", clean::line(file)),
        (Some(file), None, _) => clean::line(file).into_owned(),
        (None, _, Some(upstream)) => clean::line(upstream).into_owned(),
        (None, _, None) => "gitops-updater".to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! GitHub Actions: annotations, step summary and outputs.
//!
//! The formats are those of GitHub's "Workflow commands for GitHub Actions".

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::environment;
use super::error::CommandError;
use crate::config::Config;
use crate::domain::problem::Problem;
use crate::domain::report::{Report, Status};
use crate::domain::state::{Stage, State};

/// GitHub shows ten annotations of each kind per step and drops the rest.
const MAX_ANNOTATIONS: usize = 10;
/// A step's summary may have 1 MiB.
const MAX_SUMMARY: usize = 1 << 20;

/// The files that a step may write to.
#[derive(Debug)]
pub(super) struct Actions {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

/// Why something could not be written for the workflow.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the step's {what} `{}`", path.display())]
struct Error {
    what: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl Actions {
    /// `None` outside of GitHub Actions.
    pub(super) fn from_environment() -> Option<Self> {
        is_step().then(|| Self {
            summary: environment::read("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: environment::read("GITHUB_OUTPUT").map(PathBuf::from),
        })
    }

    /// Writes step summary and outputs; `written_to` is the file of the report, where it went to one.
    pub(super) fn write(
        &self,
        report: &Report,
        summary: &str,
        written_to: Option<&Path>,
    ) -> Result<(), CommandError> {
        if let Some(path) = &self.summary {
            append("summary", path, bounded(summary))?;
        }
        if let Some(path) = &self.output {
            append("outputs", path, &outputs(report, written_to))?;
        }
        Ok(())
    }
}

impl Actions {
    /// Writes the outputs of a pass: how many updates are where; `written_to` is the file of the report.
    pub(super) fn counts(&self, state: &State, written_to: Option<&Path>) -> Result<(), CommandError> {
        match &self.output {
            Some(path) => append("outputs", path, &outputs_of_pass(state, written_to)),
            None => Ok(()),
        }
    }

    /// Writes the step summary alone.
    pub(super) fn summarize(&self, summary: &str) -> Result<(), CommandError> {
        match &self.summary {
            Some(path) => append("summary", path, bounded(summary)),
            None => Ok(()),
        }
    }
}

fn append(what: &'static str, path: &Path, text: &str) -> Result<(), CommandError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| CommandError::failed(Error { what, path: path.to_path_buf(), source }))
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_SUMMARY);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether a workflow's step runs this.
fn is_step() -> bool {
    environment::read("GITHUB_ACTIONS").as_deref() == Some("true")
}

/// The folder of the workflow, which the places of annotations are relative to.
pub(super) fn workspace() -> Option<PathBuf> {
    environment::read("GITHUB_WORKSPACE").map(PathBuf::from)
}

/// Text for stdout or stderr of a step: the runner must take no line of it for a command. Outside of GitHub Actions
/// it is left as it is.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if is_step() { without_commands(text) } else { Cow::Borrowed(text) }
}

/// `text` with an invisible character in what the runner would obey: lines that begin with `::`, after blanks or not,
/// and the older `##[` anywhere.
fn without_commands(text: &str) -> Cow<'_, str> {
    const INVISIBLE: char = '\u{200b}';
    let is_command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    // The runner may end a line where Rust does not.
    if !text.split(['\n', '\r']).any(is_command) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive(['\n', '\r']) {
        let start = line.trim_start();
        safe.push_str(&line[..line.len() - start.len()]);
        if start.starts_with("::") {
            safe.push(INVISIBLE);
        }
        safe.push_str(&start.replace("##[", "##\u{200b}["));
    }
    Cow::Owned(safe)
}

/// Lines for `$GITHUB_OUTPUT`.
fn outputs(report: &Report, written_to: Option<&Path>) -> String {
    let summary = &report.update_report.summary;
    let action = serde_json::to_value(summary.recommended_action).ok();
    let action = action.as_ref().and_then(|action| action.as_str()).unwrap_or_default().to_owned();
    let path = written_to.map(|path| path.display().to_string()).unwrap_or_default();
    [
        ("updates", summary.total_updates.to_string()),
        ("security_updates", summary.security_updates.to_string()),
        ("unresolved", summary.unresolved.to_string()),
        ("recommended_action", action),
        ("report", path),
    ]
    .iter()
    .map(|(name, value)| output(name, value))
    .collect()
}

/// Counts of updates by where they are, and what was said last of those that are merged, as JSON by update id.
fn outputs_of_pass(state: &State, written_to: Option<&Path>) -> String {
    let count = |stages: &[Stage]| {
        state.updates.values().filter(|update| stages.contains(&update.stage)).count().to_string()
    };
    let verdicts: serde_json::Map<String, serde_json::Value> = state
        .updates
        .values()
        .filter_map(|update| {
            let verdict = serde_json::to_value(update.settling.verdict?).ok()?;
            Some((update.update_id.clone(), verdict))
        })
        .collect();
    let path = written_to.map(|path| path.display().to_string()).unwrap_or_default();
    [
        ("proposed", count(&[Stage::Proposed])),
        ("merged", count(&[Stage::Merged, Stage::Rolling])),
        ("verified", count(&[Stage::Verified])),
        ("reverted", count(&[Stage::Reverted])),
        ("held", count(&[Stage::Held])),
        ("verdicts", serde_json::Value::Object(verdicts).to_string()),
        ("report", path),
    ]
    .iter()
    .map(|(name, value)| output(name, value))
    .collect()
}

/// One output in the form with a delimiter, which no line of the value may be.
fn output(name: &str, value: &str) -> String {
    let mut delimiter = "gitops_updater_end".to_owned();
    while value.lines().any(|line| line == delimiter) {
        delimiter.push('_');
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// Annotations for updates (as far as the configuration wants them announced) and for problems, one command a line.
/// `below` stands before the name of each file.
pub(super) fn annotations(report: &Report, config: &Config, below: &str) -> String {
    let mut notices = vec![];
    for (id, entry) in &report.update_report.components {
        let wanted = || config.settings_for(id, &entry.kind).notifications.value;
        if entry.status != Status::UpdateAvailable || !wanted() {
            continue;
        }
        let security = entry.security_update == Some(true);
        let message = format!(
            "{id}: {} -> {}{}",
            entry.current_version.as_deref().unwrap_or("?"),
            entry.available_version.as_deref().unwrap_or("?"),
            if security { " (security update)" } else { "" }
        );
        let pin = entry.pins.first().map(|pin| (format!("{below}{}", pin.file), Some(pin.line)));
        notices.push((
            !security,
            command(if security { "warning" } else { "notice" }, pin, "Update available", &message),
        ));
    }
    // Security updates first: GitHub drops what is too much.
    notices.sort_by_key(|(ordinary, _)| *ordinary);
    let problems =
        report.update_report.problems.iter().map(|found| problem(found, below)).take(MAX_ANNOTATIONS);
    notices.into_iter().map(|(_, notice)| notice).take(MAX_ANNOTATIONS).chain(problems).collect()
}

fn problem(problem: &Problem, below: &str) -> String {
    let place = problem.file.as_deref().map(|file| (format!("{below}{file}"), problem.line));
    let message = match &problem.upstream {
        Some(upstream) => format!("{upstream}: {}", problem.message),
        None => problem.message.clone(),
    };
    command("warning", place, "Not read", &message)
}

fn command(name: &str, place: Option<(String, Option<usize>)>, title: &str, message: &str) -> String {
    let mut properties = vec![];
    if let Some((file, line)) = place {
        properties.push(format!("file={}", property(&file)));
        properties.extend(line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(title)));
    format!("::{name} {}::{}\n", properties.join(","), data(message))
}

/// Text after the `::` of a command: a line of its own could be another command.
fn data(text: &str) -> String {
    let text: String =
        text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).take(1_000).collect();
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Value of a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::component::UpdateType;
    use crate::domain::problem::Category;
    use crate::domain::report::{
        Entry, PinEntry, RecommendedAction, Repository, SCHEMA, Summary, UpdateReport,
    };

    fn entry(kind: &str, status: Status, security: Option<bool>) -> Entry {
        Entry {
            kind: kind.to_owned(),
            name: kind.to_owned(),
            namespace: None,
            cluster: None,
            status,
            reason: None,
            current_version: Some("1.0.0".to_owned()),
            available_version: Some("1.1.0".to_owned()),
            resolves_to: None,
            update_type: UpdateType::Minor,
            security_update: security,
            security_advisories: vec![],
            breaking_changes: vec![],
            changelog_url: None,
            released_at: None,
            warnings: vec![],
            deep: None,
            upstream: None,
            pins: vec![PinEntry {
                file: "apps/a,b:c.yaml".to_owned(),
                line: 7,
                column: 3,
                document: 0,
                route: "/spec".to_owned(),
                span: [0, 5],
                text: "1.0.0".to_owned(),
                rule: "helm".to_owned(),
                applied: true,
                digest: None,
            }],
        }
    }

    fn report(components: Vec<(&str, Entry)>, problems: Vec<Problem>) -> Report {
        Report {
            update_report: UpdateReport {
                schema: SCHEMA.to_owned(),
                timestamp: jiff::Timestamp::UNIX_EPOCH,
                scan_duration: "1s".to_owned(),
                repository: Repository { path: ".".to_owned(), revision: None },
                components: components.into_iter().map(|(id, entry)| (id.to_owned(), entry)).collect(),
                summary: Summary {
                    total_updates: 2,
                    security_updates: 1,
                    breaking_changes: 0,
                    recommended_action: RecommendedAction::UpdateNow,
                    files_read: 1,
                    components: 3,
                    unresolved: 1,
                    by_type: BTreeMap::new(),
                    by_status: BTreeMap::new(),
                    inventory: BTreeMap::new(),
                },
                problems,
            },
        }
    }

    #[test]
    fn updates_are_annotated_security_first_and_escaped() {
        let report = report(
            vec![
                ("flux", entry("flux", Status::UpdateAvailable, None)),
                ("helm/a/b", entry("helm", Status::UpdateAvailable, Some(true))),
                ("k3s", entry("k3s", Status::UpToDate, None)),
                ("longhorn", entry("longhorn", Status::UpdateAvailable, None)),
            ],
            vec![Problem {
                category: Category::Upstream,
                file: None,
                line: None,
                upstream: Some("https://x".to_owned()),
                message: "50% of it\n::error::injected\u{1b}".to_owned(),
            }],
        );
        let origin = crate::config::Origin {
            name: "c",
            trust: crate::config::Trust::User,
            folder: None,
            repository: None,
        };
        let config =
            crate::config::parse("detection: {longhorn: {notifications: false}}\n", &origin).unwrap();
        assert_eq!(
            annotations(&report, &config, ""),
            "::warning file=apps/a%2Cb%3Ac.yaml,line=7,title=Update available::helm/a/b: 1.0.0 -> 1.1.0 (security update)\n\
             ::notice file=apps/a%2Cb%3Ac.yaml,line=7,title=Update available::flux: 1.0.0 -> 1.1.0\n\
             ::warning title=Not read::https://x: 50%25 of it%0A::error::injected\n"
        );
    }

    /// Text of a repository or an upstream could begin a line of the text report, and so be a command.
    #[test]
    fn no_line_is_a_command() {
        for (text, expected) in [
            ("a\n::error::x\nb\n", "a\n\u{200b}::error::x\nb\n"),
            ("a\n   ::error::x", "a\n   \u{200b}::error::x"),
            ("::stop-commands::x", "\u{200b}::stop-commands::x"),
            ("a\r\t::x", "a\r\t\u{200b}::x"),
            ("see ##[error]x", "see ##\u{200b}[error]x"),
            ("\u{a0}::x", "\u{a0}\u{200b}::x"),
            ("a :: b\n", "a :: b\n"),
        ] {
            assert_eq!(without_commands(text), expected, "{text:?}");
        }
    }

    #[test]
    fn outputs_have_counts_and_the_file_of_the_report() {
        let report = report(vec![], vec![]);
        let text = outputs(&report, Some(Path::new("/tmp/r.json")));
        let end = "gitops_updater_end";
        assert_eq!(
            text,
            format!(
                "updates<<{end}\n2\n{end}\nsecurity_updates<<{end}\n1\n{end}\nunresolved<<{end}\n1\n{end}\n\
                 recommended_action<<{end}\nupdate_now\n{end}\nreport<<{end}\n/tmp/r.json\n{end}\n"
            )
        );
    }

    #[test]
    fn value_cannot_end_its_own_output() {
        assert_eq!(
            output("report", "a\ngitops_updater_end\nupdates=999"),
            "report<<gitops_updater_end_\na\ngitops_updater_end\nupdates=999\ngitops_updater_end_\n"
        );
    }

    #[test]
    fn summary_is_appended_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.md");
        std::fs::write(&path, "before\n").unwrap();
        let actions = Actions { summary: Some(path.clone()), output: None };
        actions.write(&report(vec![], vec![]), &"ü".repeat(MAX_SUMMARY), None).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before\nü") && text.len() <= MAX_SUMMARY + 7);
    }
}

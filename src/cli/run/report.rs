//! A pass that was made, and how it is told.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::notify::Delivered;
use crate::app::pass::{Done, chain};
use crate::cli::GlobalArgs;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::github_actions::Actions;
use crate::cli::updates::next_for_a_person;
use crate::config::{Config, Selector};
use crate::domain::message::neutral;
use crate::domain::plan::{PlanReport, Step};
use crate::domain::report::{Entry, Report};
use crate::domain::state::{Update, UpdateStatus};
use crate::repo::printable;
use crate::report::plan::{PlanFormat, render};
use crate::report::{Format, RenderOptions, STEP_SUMMARY_LIMIT};

/// A pass that was made.
pub(super) struct Passed {
    pub(super) done: Done,
    pub(super) report: Report,
    pub(super) config: Config,
    /// What became of updates that were merged before.
    pub(super) settled: Outcome,
    pub(super) delivered: Delivered,
    /// Why nobody could be told anything.
    pub(super) untold: Option<String>,
    /// What a person named to be proposed.
    pub(super) named: Vec<Selector>,
}

/// How a pass is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    Yaml,
    Markdown,
}

impl Form {
    pub(super) fn of(format: Format) -> Result<Self, CommandError> {
        Ok(match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
            Format::Yaml => Self::Yaml,
            Format::Markdown | Format::StepSummary => Self::Markdown,
            Format::Csv | Format::Html | Format::Xml => {
                return Err(CommandError::usage("a pass is told as text, json, yaml or markdown"));
            }
        })
    }
}

/// A pass, for scripts.
#[derive(Serialize)]
struct RunReport<'a> {
    schema: &'static str,
    dry_run: bool,
    effects: Vec<String>,
    updates: Vec<&'a Update>,
    waiting: &'a BTreeMap<String, String>,
    failures: Vec<FailureEntry<'a>>,
    warnings: &'a [String],
    /// Messages that arrived, by channel.
    notified: &'a BTreeMap<String, usize>,
    /// Why messages did not arrive, by channel.
    not_notified: BTreeMap<&'a str, &'a str>,
    plan: &'a PlanReport,
}

#[derive(Serialize)]
struct FailureEntry<'a> {
    component: &'a str,
    message: String,
    hint: Option<String>,
}

/// Delivers the report, and what GitHub Actions shows of it.
pub(super) fn deliver(
    passed: &Passed,
    dry_run: bool,
    form: Form,
    global: &GlobalArgs,
) -> Result<Outcome, CommandError> {
    let output = global.output();
    let options = RenderOptions {
        color: output.wants_color(),
        verbose: global.verbose > 0,
        ..RenderOptions::new(passed.report.update_report.timestamp)
    };
    let told = |limit| markdown(passed, dry_run, limit, &options);
    let text = match form {
        Form::Text => text(passed, dry_run),
        Form::Markdown => told(usize::MAX)?,
        Form::Json => {
            serde_json::to_string_pretty(&report(passed, dry_run)).map_err(CommandError::failed)? + "\n"
        }
        Form::Yaml => serde_yaml::to_string(&report(passed, dry_run)).map_err(CommandError::failed)?,
    };
    output.write(&text)?;
    if let Some(actions) = Actions::from_environment() {
        actions.summarize(&told(STEP_SUMMARY_LIMIT)?)?;
        actions.counts(&passed.done.state, output.path())?;
    }
    match passed.done.failures.first() {
        None => Ok(Outcome::Done),
        Some(_) => Ok(Outcome::Incomplete),
    }
}

/// Why messages did not arrive, by channel.
fn not_notified(passed: &Passed) -> BTreeMap<&str, &str> {
    let failed = passed.delivered.failed.iter().map(|(name, (_, reason))| (name.as_str(), reason.as_str()));
    failed.chain(passed.untold.as_deref().map(|reason| ("all", reason))).collect()
}

fn report(passed: &Passed, dry_run: bool) -> RunReport<'_> {
    let done = &passed.done;
    RunReport {
        schema: "gitops-updater/run/v1",
        dry_run,
        effects: done.effects.iter().map(ToString::to_string).collect(),
        updates: under_way(done).collect(),
        waiting: &done.waiting,
        failures: done
            .failures
            .iter()
            .map(|failure| FailureEntry {
                component: &failure.component,
                message: chain(&failure.error),
                hint: failure.error.hint(),
            })
            .collect(),
        warnings: &done.warnings,
        notified: &passed.delivered.sent,
        not_notified: not_notified(passed),
        plan: &done.plan,
    }
}

/// Steps that are shown as waiting.
const WAITING: usize = 5;

/// Steps that nothing before them keeps back, and why they were not proposed all the same.
fn waiting_steps(done: &Done) -> impl Iterator<Item = (&Step, &str)> {
    let is_under_way = |step: &Step| {
        under_way(done).any(|update| update.component == step.component && update.to == step.to)
    };
    let steps = done.plan.waves.iter().flat_map(|wave| &wave.steps);
    steps
        .filter(move |step| step.requires.is_empty() && !is_under_way(step))
        .map(|step| (step, step.waits_for().unwrap_or("was not asked for in this run")))
}

fn under_way(done: &Done) -> impl Iterator<Item = &Update> {
    done.state
        .updates
        .values()
        .filter(|update| matches!(update.status, UpdateStatus::InProgress | UpdateStatus::Held))
}

/// What was named, is not under way after all, and why: one for each component.
fn not_proposed(passed: &Passed) -> Vec<(String, String)> {
    let done = &passed.done;
    let found = passed.report.update_report.components.iter();
    let is_named = |id: &str, kind: &str| passed.named.iter().any(|name| name.matches(id, kind));
    let named = found.filter(|(id, entry)| is_named(id, &entry.kind));
    let why = |(id, entry): (&String, &Entry)| {
        if under_way(done).any(|update| update.component == *id) {
            return None;
        }
        let step = done.plan.waves.iter().flat_map(|wave| &wave.steps).find(|step| step.component == *id);
        if let Some(step) = step {
            let what = format!("{id} {} → {}", step.from, step.to);
            return Some((what, step.waits_for().unwrap_or("nothing keeps it back now").to_owned()));
        }
        let held = done.plan.held.iter().find(|held| held.component == *id);
        let why = held.map(|held| format!("{}: {}", held.gate, held.reason));
        let why = why.or_else(|| entry.reason.clone()).unwrap_or_else(|| "it is up to date".to_owned());
        Some((id.clone(), why))
    };
    named.filter_map(why).collect()
}

fn text(passed: &Passed, dry_run: bool) -> String {
    let done = &passed.done;
    let mut lines = Vec::new();
    let verb = if dry_run { "Would" } else { "Did" };
    match done.effects.len() {
        0 => lines.push("Nothing to do.".to_owned()),
        count => {
            lines.push(format!("{verb} {count} thing{}:", if count == 1 { "" } else { "s" }));
            lines.extend(done.effects.iter().map(|effect| format!("  {effect}")));
        }
    }
    let open: Vec<&Update> = under_way(done).collect();
    if !open.is_empty() {
        lines.push(String::new());
        lines.push(format!("Under way ({}):", open.len()));
    }
    for update in open {
        let number = update.pull_request.map(|number| format!(" #{number}")).unwrap_or_default();
        lines.push(format!("  {} {} → {}{number}", update.component, update.from, update.to));
        lines.push(format!("    {}", update.update_id));
        let reason = done.waiting.get(&update.update_id).or(update.reason.as_ref());
        lines.extend(reason.map(|reason| format!("    {reason}")));
        let said = done.state.evidence.get(&update.update_id).and_then(|known| known.judgements.last());
        lines.extend(next_for_a_person(update, said).map(|next| format!("    {next}")));
    }
    let not_proposed = not_proposed(passed);
    if !not_proposed.is_empty() {
        lines.push(String::new());
        lines.push(format!("Not proposed ({}):", not_proposed.len()));
    }
    for (what, why) in &not_proposed {
        lines.push(format!("  {what}"));
        lines.push(format!("    {why}"));
    }
    // Who named something wants to know of that.
    let waiting: Vec<_> = waiting_steps(done).filter(|_| passed.named.is_empty()).collect();
    if !waiting.is_empty() {
        lines.push(String::new());
        lines.push(format!("Waiting ({}; `gitops-updater plan` shows all):", waiting.len()));
    }
    for (step, reason) in waiting.iter().take(WAITING) {
        lines.push(format!("  {} {} → {}", step.component, step.from, step.to));
        lines.push(format!("    {reason}"));
    }
    if !done.failures.is_empty() {
        lines.push(String::new());
        lines.push(format!("Failed ({}):", done.failures.len()));
    }
    for failure in &done.failures {
        lines.push(format!("  {}: {}", failure.component, chain(&failure.error)));
        lines.extend(failure.error.hint().map(|hint| format!("    hint: {hint}")));
    }
    if !done.warnings.is_empty() {
        lines.push(String::new());
        lines.push(format!("Take note ({}):", done.warnings.len()));
        lines.extend(done.warnings.iter().map(|warning| format!("  {warning}")));
    }
    for (channel, reason) in not_notified(passed) {
        lines.push(String::new());
        lines.push(format!("Not told ({channel}): {reason}"));
    }
    let printable: Vec<String> = lines.iter().map(|line| printable(line).into_owned()).collect();
    printable.join("\n") + "\n"
}

fn markdown(
    passed: &Passed,
    dry_run: bool,
    limit: usize,
    options: &RenderOptions,
) -> Result<String, CommandError> {
    let done = &passed.done;
    let plan = render(&done.plan, PlanFormat::Markdown { limit: limit.saturating_sub(limit / 4) }, options)
        .map_err(CommandError::failed)?;
    let mut text = String::new();
    let verb = if dry_run { "Would have done" } else { "Done" };
    text.push_str(&format!("## {verb}\n\n"));
    if done.effects.is_empty() {
        text.push_str("Nothing.\n");
    }
    for effect in &done.effects {
        let line = format!("- {}\n", neutral::prose(&effect.to_string(), 400));
        if text.len() + line.len() > limit / 4 {
            text.push_str("- …\n");
            break;
        }
        text.push_str(&line);
    }
    for failure in done.failures.iter().take(20) {
        let said = format!("{}: {}", failure.component, chain(&failure.error));
        text.push_str(&format!("- **failed** {}\n", neutral::prose(&said, 400)));
    }
    for warning in done.warnings.iter().take(20) {
        text.push_str(&format!("- take note: {}\n", neutral::prose(warning, 400)));
    }
    for (channel, reason) in not_notified(passed) {
        let said = neutral::prose(&format!("{channel}: {reason}"), 400);
        text.push_str(&format!("- **not told** {said}\n"));
    }
    Ok(format!("{text}\n{plan}"))
}

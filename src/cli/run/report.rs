//! A pass that was made, and how it is told.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::notify::Delivered;
use crate::app::pass::{Done, GoingBack, chain};
use crate::cli::GlobalArgs;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::form::WIDTH;
use crate::cli::github_actions::Actions;
use crate::cli::updates::{breaker_is_open, next_for_a_person};
use crate::config::Config;
use crate::domain::message::neutral;
use crate::domain::plan::{Held, PlanReport, Step};
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::report::{Entry, Report, Status};
use crate::domain::settle::record::Breaker;
use crate::domain::state::{Stage, Update, UpdateStatus};
use crate::repo::printable;
use crate::report::clean;
use crate::report::plan::{PlanFormat, render};
use crate::report::{Format, RenderOptions, STEP_SUMMARY_LIMIT};

/// A pass that was made.
pub(super) struct Passed {
    pub(super) done: Done,
    pub(super) report: Report,
    pub(super) config: Config,
    /// Components that were named, by id.
    pub(super) named: Vec<String>,
    /// What became of updates that were merged before.
    pub(super) settled: Outcome,
    pub(super) delivered: Delivered,
    /// Why nobody could be told anything.
    pub(super) untold: Option<String>,
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
    /// Key, variable or label of the kill switch, where one stops everything.
    stopped_by: Option<&'static str>,
    effects: Vec<String>,
    /// What another run had done when this one was about to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_to_others: Vec<String>,
    /// Set while too many reverts have stopped proposing and merging.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<&'a Breaker>,
    updates: Vec<&'a Update>,
    waiting: &'a BTreeMap<String, String>,
    failures: Vec<FailureEntry<'a>>,
    warnings: &'a [String],
    /// Open pull requests that go back to older versions.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    going_back: &'a [GoingBack],
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
        Form::Text => text(passed, dry_run, global.verbose > 0),
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
    // With no upstream in reach nothing can be said to be up to date.
    let is_blind = !global.offline && everything_is_unresolved(&passed.report);
    match passed.done.failures.is_empty() && !is_blind {
        true => Ok(Outcome::Done),
        false => Ok(Outcome::Incomplete),
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
        stopped_by: done.kill_switch.map(KillSwitch::by),
        effects: done.effects.iter().map(ToString::to_string).collect(),
        left_to_others: done.found.iter().map(ToString::to_string).collect(),
        breaker: done.state.breaker.as_ref(),
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
        going_back: &done.going_back,
        notified: &passed.delivered.sent,
        not_notified: not_notified(passed),
        plan: &done.plan,
    }
}

/// Steps that are shown as waiting, held or unresolved without `-v`.
const WAITING: usize = 5;
/// Gate of what nobody could say anything about.
const UNRESOLVED: &str = "unresolved";

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

/// Every component that has an upstream could not be asked about.
fn everything_is_unresolved(report: &Report) -> bool {
    let mut asked = report.update_report.components.values().filter(|entry| {
        !matches!(entry.status, Status::Ignored | Status::ManagedElsewhere | Status::NotPinned)
    });
    let failed = |entry: &Entry| entry.status == Status::Unresolved;
    let is_upstreams = report.update_report.problems.iter().any(|problem| problem.upstream.is_some());
    is_upstreams && asked.next().is_some_and(failed) && asked.all(failed)
}

/// Lines for people, none wider than [`WIDTH`] but those with what is meant to be copied.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn put(&mut self, indent: usize, text: &str) {
        let text = printable(text);
        let wrapped = clean::wrap(&clean::line(&text), WIDTH - indent);
        self.0.extend(wrapped.into_iter().map(|line| format!("{}{line}", " ".repeat(indent))));
    }

    fn heading(&mut self, text: &str) {
        self.0.push(String::new());
        self.put(0, text);
    }

    /// An entry of a list; what does not fit on its first line stands further in.
    fn entry(&mut self, indent: usize, text: &str) {
        self.0.extend(clean::hanging(&clean::line(&printable(text)), indent, WIDTH));
    }
}

/// Components of which nobody could say what is newer.
fn unresolved(done: &Done) -> usize {
    done.plan.held.iter().filter(|held| held.gate == UNRESOLVED).count()
}

/// The most important about what was done, or why nothing was.
fn headline(passed: &Passed, verb: &str) -> String {
    let done = &passed.done;
    match (done.effects.len(), done.kill_switch) {
        (0, Some(_)) => "Nothing done.".to_owned(),
        (0, None) if done.state.breaker.is_some() => "Nothing done.".to_owned(),
        (0, None) if unresolved(done) > 0 || !done.found.is_empty() => "Nothing done.".to_owned(),
        (0, None) if under_way(done).any(waits_for_a_person) => {
            "Nothing done: what is held waits for a person.".to_owned()
        }
        (0, None) => "Nothing to do.".to_owned(),
        (1, _) => format!("{verb} 1 thing:"),
        (count, _) => format!("{verb} {count} things:"),
    }
}

/// It is held, and that does not end by itself.
fn waits_for_a_person(update: &Update) -> bool {
    update.stage == Stage::Held && update.settling.hold.as_ref().is_none_or(|hold| !hold.clears_itself)
}

fn text(passed: &Passed, dry_run: bool, verbose: bool) -> String {
    let done = &passed.done;
    let mut lines = Lines::default();
    if let Some(switch) = done.kill_switch {
        lines.put(0, &format!("Everything is stopped by the kill switch; {} to go on.", switch.undo()));
    }
    if let Some(breaker) = &done.state.breaker {
        breaker_is_open(breaker).iter().for_each(|line| lines.put(0, line));
    }
    lines.put(0, &headline(passed, if dry_run { "Would do" } else { "Did" }));
    for effect in &done.effects {
        lines.entry(2, &effect.to_string());
    }
    if !done.found.is_empty() {
        lines.put(0, &format!("Left, because others were faster ({}):", done.found.len()));
    }
    for effect in &done.found {
        lines.entry(2, &effect.to_string());
    }
    let unknown = unresolved(done);
    if unknown > 0 {
        let all = match passed.report.update_report.components.len() {
            1 => "1 component".to_owned(),
            all => format!("{all} components"),
        };
        lines.put(0, &format!("Nobody could say what is newer of {unknown} of {all}."));
    }
    let open: Vec<&Update> = under_way(done).collect();
    if !open.is_empty() {
        lines.heading(&format!("Under way ({}):", open.len()));
    }
    for update in open {
        let number = update.pull_request.map(|number| format!(" #{number}")).unwrap_or_default();
        let held = if update.stage == Stage::Held { ": held" } else { "" };
        lines.put(2, &format!("{} {} → {}{number}{held}", update.component, update.from, update.to));
        lines.put(4, &update.update_id);
        let reason = done.waiting.get(&update.update_id).or(update.reason.as_ref());
        if let Some(reason) = reason {
            lines.put(4, reason);
        }
        let said = done.state.evidence.get(&update.update_id).and_then(|known| known.judgements.last());
        if let Some(next) = next_for_a_person(update, said) {
            lines.put(4, &next);
        }
    }
    if !done.going_back.is_empty() {
        lines.heading(&format!("Going back ({}):", done.going_back.len()));
    }
    for GoingBack { pull_request, title } in &done.going_back {
        lines.put(2, &format!("#{pull_request} waits for a person: {title}"));
    }
    not_proposed(passed, &mut lines);
    let most = if verbose { usize::MAX } else { WAITING };
    let more = |count: usize| if count > most { "; `-v` lists all" } else { "" };
    // Who named something wants to know of that.
    let waiting: Vec<_> = waiting_steps(done).filter(|_| passed.named.is_empty()).collect();
    if !waiting.is_empty() {
        lines.heading(&format!("Waiting ({}; `gitops-updater plan` shows all):", waiting.len()));
    }
    for (step, reason) in waiting.iter().take(most) {
        lines.put(2, &format!("{} {} → {}", step.component, step.from, step.to));
        lines.put(4, reason);
    }
    let (unresolved, held): (Vec<&Held>, Vec<&Held>) =
        done.plan.held.iter().partition(|held| held.gate == UNRESOLVED);
    for (title, those) in [("Held", held), ("Unresolved", unresolved)] {
        if !those.is_empty() {
            lines.heading(&format!("{title} ({}{}):", those.len(), more(those.len())));
        }
        for held in those.into_iter().take(most) {
            lines.put(2, &target(held));
            lines.put(4, &format!("{}: {}", held.gate, held.reason));
        }
    }
    if !done.failures.is_empty() {
        lines.heading(&format!("Failed ({}):", done.failures.len()));
    }
    for failure in &done.failures {
        lines.entry(2, &format!("{}: {}", failure.component, chain(&failure.error)));
        if let Some(hint) = failure.error.hint() {
            lines.entry(4, &format!("hint: {hint}"));
        }
    }
    if !done.warnings.is_empty() {
        lines.heading(&format!("Take note ({}):", done.warnings.len()));
    }
    for warning in &done.warnings {
        lines.entry(2, warning);
    }
    for (channel, reason) in not_notified(passed) {
        lines.heading(&format!("Not told ({channel}): {reason}"));
    }
    lines.0.join("\n") + "\n"
}

/// A component that is held, with its versions where they are known.
fn target(held: &Held) -> String {
    match (&held.from, &held.to) {
        (Some(from), Some(to)) => format!("{} {from} → {to}", held.component),
        (Some(version), None) | (None, Some(version)) => format!("{} {version}", held.component),
        (None, None) => held.component.clone(),
    }
}

/// What was named and is neither under way nor told of among what is held: why nothing was proposed.
fn not_proposed(passed: &Passed, lines: &mut Lines) {
    let done = &passed.done;
    let is_under_way = |id: &str| under_way(done).any(|update| update.component == id);
    let named: Vec<&String> = passed.named.iter().filter(|id| !is_under_way(id)).collect();
    if named.is_empty() {
        return;
    }
    lines.heading(&format!("Not proposed ({}):", named.len()));
    for id in named {
        let mut steps = done.plan.waves.iter().flat_map(|wave| &wave.steps);
        if let Some(step) = steps.find(|step| step.component == *id) {
            lines.put(2, &format!("{id} {} → {}", step.from, step.to));
            lines.put(4, step.waits_for().unwrap_or("the next pass proposes it"));
        } else if let Some(held) = done.plan.held.iter().find(|held| held.component == *id) {
            lines.put(2, &target(held));
            lines.put(4, &format!("{}: {}", held.gate, held.reason));
        } else {
            lines.put(2, id);
            let entry = passed.report.update_report.components.get(id);
            let reason = entry.and_then(|entry| entry.reason.as_deref());
            lines.put(4, reason.unwrap_or("is up to date"));
        }
    }
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
    if let Some(switch) = done.kill_switch {
        text.push_str(&format!("Everything is stopped by the kill switch; {} to go on.\n\n", switch.undo()));
    }
    if let Some(breaker) = &done.state.breaker {
        text.push_str(&format!("{}\n\n", breaker_is_open(breaker).join(" ")));
    }
    if done.effects.is_empty() {
        text.push_str("Nothing.\n");
    }
    let effects = done.effects.iter().map(ToString::to_string);
    let found = done.found.iter().map(|effect| format!("left, because others were faster: {effect}"));
    for effect in effects.chain(found) {
        let line = format!("- {}\n", neutral::prose(&effect, 400));
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
    for GoingBack { pull_request, title } in done.going_back.iter().take(20) {
        let said = format!("#{pull_request} goes back, and waits for a person: {title}");
        text.push_str(&format!("- {}\n", neutral::prose(&said, 400)));
    }
    for (channel, reason) in not_notified(passed) {
        let said = neutral::prose(&format!("{channel}: {reason}"), 400);
        text.push_str(&format!("- **not told** {said}\n"));
    }
    Ok(format!("{text}\n{plan}"))
}

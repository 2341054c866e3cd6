//! How a person or a script sees a plan: text, JSON, YAML, Markdown.

mod markdown;
#[cfg(test)]
mod samples;
mod text;

use super::{Error, RenderOptions, data, yaml};
use crate::domain::plan::{Held, PlanReport, Step};
use crate::domain::problem::Problem;

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanFormat {
    /// For a terminal.
    Text,
    /// The interface for scripts.
    Json,
    /// The same document in YAML.
    Yaml,
    /// GitHub flavoured Markdown, at most so many bytes.
    Markdown {
        /// Bytes.
        limit: usize,
    },
}

/// Renders `plan`; the result ends with a line end.
///
/// # Errors
///
/// Only on a defect of a renderer.
pub fn render(plan: &PlanReport, format: PlanFormat, options: &RenderOptions) -> Result<String, Error> {
    Ok(match format {
        PlanFormat::Text => text::render(plan, options),
        PlanFormat::Json => {
            let mut text = data::printable(&serde_json::to_string_pretty(plan)?);
            text.push('\n');
            text
        }
        PlanFormat::Yaml => yaml::render(&serde_json::to_value(plan)?),
        PlanFormat::Markdown { limit } => markdown::render(plan, limit),
    })
}

/// The JSON Schema of the plan (draft 2020-12), as committed in `schema/plan.v1.json`.
pub fn schema() -> String {
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<PlanReport>();
    schema.insert("$id".to_owned(), "urn:gitops-updater:plan:v1".into());
    schema.insert("title".to_owned(), "Plan of gitops-updater".into());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// `3 waves, 5 steps: 2 can be proposed now; 4 held`.
fn headline(plan: &PlanReport) -> String {
    let steps = plan.waves.iter().map(|wave| wave.steps.len()).sum::<usize>();
    let next = steps_of(plan).filter(|step| step.next).count();
    let held = match plan.held.len() {
        0 => String::new(),
        count => format!("; {count} held"),
    };
    match steps {
        0 if plan.held.is_empty() => "Nothing to do: no component has a newer version".to_owned(),
        0 => format!("No step can be taken{held}"),
        _ => format!(
            "{} in {}: {next} can be proposed now{held}",
            plural(steps, "step"),
            plural(plan.waves.len(), "wave")
        ),
    }
}

/// `facts: kubernetes v1.33.4+k3s1 (cluster), flux v2.9.4 (git)`; empty where there are none.
fn facts(plan: &PlanReport) -> Vec<String> {
    let known = plan.facts.iter().filter_map(|fact| {
        let value = fact.value.as_deref()?;
        let note = fact.note.as_deref().map(|note| format!("; {note}")).unwrap_or_default();
        Some(format!("{} {value} (from {}{note})", fact.fact, fact.source))
    });
    known.collect()
}

/// Problems but those that only repeat why something is held.
fn problems(plan: &PlanReport) -> Vec<&Problem> {
    let is_told = |problem: &Problem| plan.held.iter().any(|held| held.reason == problem.message);
    plan.problems.iter().filter(|problem| problem.file.is_some() || !is_told(problem)).collect()
}

/// `file:3: ` or `https://charts.example.org: `; empty where a problem has no place.
fn place(problem: &Problem) -> String {
    let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = problem.file.as_deref().or(problem.upstream.as_deref());
    place.map(|place| format!("{place}{line}: ")).unwrap_or_default()
}

fn steps_of(plan: &PlanReport) -> impl Iterator<Item = &Step> {
    plan.waves.iter().flat_map(|wave| &wave.steps)
}

/// Holds of the same gate and reason, in the order of the first of them.
fn gathered(held: &[Held]) -> Vec<(&Held, Vec<&Held>)> {
    let mut groups: Vec<(&Held, Vec<&Held>)> = Vec::new();
    for one in held {
        let same = |first: &Held| {
            (&first.gate, &first.reason, &first.constraint) == (&one.gate, &one.reason, &one.constraint)
        };
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, members)) => members.push(one),
            None => groups.push((one, vec![one])),
        }
    }
    groups
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests;

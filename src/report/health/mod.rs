//! How a person or a script sees the health of a cluster: text, JSON, YAML, Markdown.

mod markdown;
mod text;

#[cfg(test)]
mod tests;

use super::{Error, RenderOptions, data, yaml};
use crate::domain::settle::finding::{Finding, Severity, Subject};
use crate::domain::settle::health::report::{Health, HealthReport, Status};

/// How health is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthFormat {
    /// For a terminal.
    Text,
    /// The interface for scripts.
    Json,
    /// The same document in YAML.
    Yaml,
    /// GitHub flavoured Markdown.
    Markdown,
}

/// Renders `report`; the result ends with a line end.
///
/// # Errors
///
/// Only on a defect of a renderer.
pub fn render(report: &HealthReport, format: HealthFormat, options: &RenderOptions) -> Result<String, Error> {
    Ok(match format {
        HealthFormat::Text => text::render(&report.health, options),
        HealthFormat::Json => {
            let mut text = data::printable(&serde_json::to_string_pretty(report)?);
            text.push('\n');
            text
        }
        HealthFormat::Yaml => yaml::render(&serde_json::to_value(report)?),
        HealthFormat::Markdown => markdown::render(&report.health, options),
    })
}

/// The JSON Schema of the report (draft 2020-12), as committed in `schema/health.v1.json`.
pub fn schema() -> String {
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<HealthReport>();
    schema.insert("$id".to_owned(), "urn:gitops-updater:health:v1".into());
    schema.insert("title".to_owned(), "Health of a cluster, by gitops-updater".into());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// What matters most, in one sentence.
fn headline(health: &Health) -> String {
    let broken = |findings: &mut dyn Iterator<Item = &Finding>| {
        let (mut all, mut critical) = (0, 0);
        for finding in findings.filter(|finding| finding.severity > Severity::Notice) {
            all += 1;
            critical += usize::from(finding.severity == Severity::Critical);
        }
        (all, critical)
    };
    let critical_words = |critical: usize| match critical {
        0 => String::new(),
        count => format!(", {count} critical"),
    };
    if let Some(compared) = &health.comparison {
        let since = match compared.baseline {
            Some(at) => format!("since {}", at.strftime("%Y-%m-%d %H:%M UTC")),
            None => "since the baseline".to_owned(),
        };
        let (all, critical) = broken(&mut compared.findings.regressed());
        return match (all, health.status) {
            (0, Status::Unknown) => {
                format!("Nothing that could be looked at is worse {since}, but not everything could be")
            }
            (0, _) => format!("Nothing is worse {since}"),
            _ => format!("{} new or worse {since}{}", things(all), critical_words(critical)),
        };
    }
    let mut findings = health.categories.iter().flat_map(|category| &category.findings);
    let (all, critical) = broken(&mut findings);
    match (all, health.status) {
        (0, Status::Unknown) => {
            "Nothing that could be looked at is wrong, but not everything could be".to_owned()
        }
        (0, _) => format!("Healthy: nothing is wrong in {}", plural(health.objects, "object")),
        _ => format!("{} wrong{}", things(all), critical_words(critical)),
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing is".to_owned() } else { format!("{count} things are") }
}

/// `Kind namespace/name`.
fn named(subject: &Subject) -> String {
    if subject.namespace.is_empty() {
        format!("{} {}", subject.kind, subject.name)
    } else {
        format!("{} {}/{}", subject.kind, subject.namespace, subject.name)
    }
}

/// Findings that are shown, by category, with the word of what has become of them; notices only where wanted.
fn shown(health: &Health, notices: bool) -> Vec<(&'static str, Vec<(&Finding, &'static str)>)> {
    let wanted = |finding: &&Finding| notices || finding.severity > Severity::Notice;
    health
        .categories
        .iter()
        .map(|category| {
            let findings = match &health.comparison {
                None => category.findings.iter().filter(wanted).map(|finding| (finding, "")).collect(),
                Some(compared) => {
                    let new = compared.findings.new.iter().map(|finding| (finding, "new"));
                    let worse = compared.findings.worse.iter().map(|finding| (finding, "worse"));
                    new.chain(worse)
                        .filter(|(finding, _)| finding.category == category.category && wanted(finding))
                        .collect()
                }
            };
            (category.category.as_str(), findings)
        })
        .filter(|(_, findings): &(_, Vec<_>)| !findings.is_empty())
        .collect()
}

/// What is not shown one by one.
fn counts(health: &Health, notices: bool) -> Vec<String> {
    let mut lines = vec![];
    match &health.comparison {
        Some(compared) => {
            let known = compared.findings.known.iter().filter(|finding| finding.severity > Severity::Notice);
            let (known, gone) = (known.count(), compared.findings.gone.len());
            if known > 0 {
                lines.push(format!("{known} as wrong as before"));
            }
            if gone > 0 {
                lines.push(format!("{gone} well again"));
            }
        }
        None => {
            let all = health.categories.iter().flat_map(|category| &category.findings);
            let count = all.filter(|finding| finding.severity == Severity::Notice).count();
            if count > 0 && !notices {
                lines.push(format!("{} with -v", plural(count, "notice")));
            }
        }
    }
    lines
}

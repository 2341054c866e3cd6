//! How a person or a script sees the update report: text, JSON, YAML, CSV, HTML, XML, Markdown.
//!
//! Rendering is pure: a report and options go in, a string comes out. Everything in a report may
//! come from strangers (manifests, indexes, release notes), so each format neutralises what its
//! readers would act upon: escape sequences, markup, formulas, mentions, links.

use clap::builder::PossibleValue;
use jiff::Timestamp;

use crate::domain::report::Report;

pub(crate) mod clean;
mod data;
pub mod health;
pub mod history;
mod html;
mod markdown;
pub mod plan;
#[cfg(test)]
mod samples;
mod table;
mod text;
mod text_sections;
mod view;
mod xml;
mod yaml;

/// Bytes that GitHub takes for a step summary (GitHub docs, "Workflow commands": 1 MiB a step).
pub const STEP_SUMMARY_LIMIT: usize = 1 << 20;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For a terminal.
    #[default]
    Text,
    /// The interface for scripts; see [`schema`].
    Json,
    /// The same document in YAML.
    Yaml,
    /// One row a component.
    Csv,
    /// One self-contained page.
    Html,
    /// The same document in XML.
    Xml,
    /// GitHub flavoured Markdown.
    Markdown,
    /// Markdown within [`STEP_SUMMARY_LIMIT`], for `$GITHUB_STEP_SUMMARY`.
    StepSummary,
}

impl clap::ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json, Self::Yaml, Self::Csv, Self::Html, Self::Xml, Self::Markdown]
    }

    // By name alone: derived from the comments above, help would take a page for each command.
    fn to_possible_value(&self) -> Option<PossibleValue> {
        let name = match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Csv => "csv",
            Self::Html => "html",
            Self::Xml => "xml",
            Self::Markdown => "markdown",
            Self::StepSummary => return None,
        };
        Some(PossibleValue::new(name))
    }
}

/// How a report is shown; only the time matters to formats that are not for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Columns of a text report; kept between 60 and 160.
    pub width: usize,
    /// Colours in a text report.
    pub color: bool,
    /// The time from which ages are counted.
    pub now: Timestamp,
    /// Pins, release notes and everything that is up to date, in text and Markdown.
    pub verbose: bool,
}

impl RenderOptions {
    /// 80 columns, no colour, not verbose.
    pub fn new(now: Timestamp) -> Self {
        Self { width: 80, color: false, now, verbose: false }
    }
}

/// A report that could not be rendered; each is a defect, not a matter of the report's content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The report could not be turned into plain data.
    #[error("cannot serialize the report")]
    Serialize(#[from] serde_json::Error),
    /// A CSV record could not be written.
    #[error("cannot write the report as CSV")]
    Csv(#[from] csv::Error),
    /// An XML element could not be written.
    #[error("cannot write the report as XML")]
    Xml(#[from] std::io::Error),
    /// The page's template failed.
    #[error("cannot render the report's page")]
    Template(#[from] minijinja::Error),
}

/// Renders `report`; the result ends with a line end.
///
/// # Errors
///
/// Only on a defect of a renderer or its template.
pub fn render(report: &Report, format: Format, options: &RenderOptions) -> Result<String, Error> {
    match format {
        Format::Text => Ok(text::render(report, options)),
        Format::Json => data::json(report),
        Format::Yaml => data::yaml(report),
        Format::Csv => table::csv(report),
        Format::Html => html::render(report, options),
        Format::Xml => xml::render(report),
        Format::Markdown => Ok(markdown::render(report, options, usize::MAX)),
        Format::StepSummary => Ok(markdown::render(report, options, STEP_SUMMARY_LIMIT)),
    }
}

/// The JSON Schema of the JSON and YAML reports (draft 2020-12), as committed in
/// `schema/report.v1.json`.
pub fn schema() -> String {
    data::schema()
}

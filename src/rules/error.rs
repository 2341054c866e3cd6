//! Why a rule file is refused, and where.

use std::fmt;

use crate::domain::manifest::document::{Document, NodeId};
use crate::domain::manifest::place::Lines;
use crate::domain::manifest::route::PatternError;
use crate::domain::manifest::split;
use crate::domain::version::range::RangeError;

/// Why a rule file is refused.
#[derive(Debug, thiserror::Error)]
pub struct RuleError {
    /// 1-based line in the file.
    pub line: Option<usize>,
    /// The field as people write it, such as `pins[0].pattern`; empty for the whole file.
    pub field: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a rule file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is no YAML, or not the shape of a rule.
    #[error("{0}")]
    Shape(String),
    /// A route pattern is wrong.
    #[error(transparent)]
    Route(#[from] PatternError),
    /// A regular expression or path pattern is wrong.
    #[error("is no valid pattern: {0}")]
    Pattern(String),
    /// A range of versions is wrong.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Fields that exclude each other, or none of those needed.
    #[error("{0}")]
    Choice(&'static str),
    /// A template names what nothing fills in.
    #[error("`{{{name}}}` is filled in by nothing; there {}", listed(.known))]
    Placeholder {
        /// The name.
        name: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// A template has a `{` without `}`.
    #[error("`{0}` has a `{{` without `}}`")]
    Unclosed(String),
    /// An example shows something else than it says.
    #[error("{0}")]
    Example(String),
    /// An id that another rule has already.
    #[error("the id `{id}` is already that of {of}; choose another")]
    Taken {
        /// The id.
        id: String,
        /// Whose it is.
        of: String,
    },
}

impl fmt::Display for RuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(formatter, "{}", self.fault),
            field => write!(formatter, "`{field}`: {}", self.fault),
        }
    }
}

impl RuleError {
    /// The error of a field, without its line.
    pub(super) fn at(field: impl Into<String>, fault: impl Into<Fault>) -> Self {
        Self { line: None, field: field.into(), fault: fault.into() }
    }

    /// The error of a field that says what is none of its choices, without its line.
    pub(super) fn choice(field: &str, message: &'static str) -> Self {
        Self::at(field, Fault::Choice(message))
    }

    /// The error with the line where its field stands in `text`, or where the nearest thing around it does.
    pub(super) fn placed_in(mut self, text: &str) -> Self {
        if self.line.is_none() {
            self.line = line_of(text, &self.field);
        }
        self
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "is nothing to fill in".to_owned(),
        [name] => format!("is `{{{name}}}`"),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("`{{{name}}}`")).collect();
            format!("are {}", names.join(", "))
        }
    }
}

/// The line of a field such as `pins[2].matches./spec/image`.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let chunk = split::documents(text).into_iter().next()?;
    let document = Document::parse(text, chunk.range).ok()?;
    let mut node = document.root()?;
    for step in field.split(['.', '[']).filter(|step| !step.is_empty()) {
        match child(&document, node, step.trim_end_matches(']')) {
            Some(next) => node = next,
            None => break,
        }
    }
    Some(Lines::of(text).line(document.span(node).start))
}

fn child(document: &Document<'_>, node: NodeId, step: &str) -> Option<NodeId> {
    match step.parse::<usize>() {
        Ok(index) if document.is_sequence(node) => document.children(node).nth(index).map(|(_, item)| item),
        _ => document.get(node, step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_that_of_the_field_or_of_what_is_around_it() {
        let text = "# a comment\nid: a\npins:\n  - id: b\n    in:\n      kind: C\n  - id: d\n    at: /x//y\n";
        for (field, line) in
            [("id", 2), ("pins[0].in.kind", 6), ("pins[1].at", 8), ("pins[1].version", 7), ("", 2)]
        {
            assert_eq!(line_of(text, field), Some(line), "{field}");
        }
        assert_eq!(line_of("a: [", "a"), None);
    }

    #[test]
    fn error_says_field_and_what_is_there() {
        let placeholder = |known: &[&str]| {
            let known = known.iter().map(|&name| name.to_owned()).collect();
            RuleError::at("component.id", Fault::Placeholder { name: "nmae".into(), known }).to_string()
        };
        assert_eq!(
            placeholder(&["name", "kind"]),
            "`component.id`: `{nmae}` is filled in by nothing; there are `{name}`, `{kind}`"
        );
        assert_eq!(
            placeholder(&[]),
            "`component.id`: `{nmae}` is filled in by nothing; there is nothing to fill in"
        );
    }
}

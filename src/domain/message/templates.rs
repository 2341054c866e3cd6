//! Templates of what people read, with the user's own in place of ours.
//!
//! What a template prints is made harmless, whatever it is: only what the program marks as ready stays as it is.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use super::neutral::{BREAK, code, html, is_hidden, prose};

/// Steps that a template may take; ours take some thousands for the largest body.
const FUEL: u64 = 500_000;
/// Longest text of one value, in characters.
const MAX_VALUE: usize = 1_000;
/// Longest template, in bytes.
const MAX_TEMPLATE: usize = 64 << 10;

const TITLE: &str = "title";
const COMMIT: &str = "commit";
const BODY: &str = "pull_request";
const DASHBOARD: &str = "dashboard";

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is larger than any template.
    #[error("cannot use the template `{name}`: it has {bytes} bytes, more than {MAX_TEMPLATE}")]
    TooLarge {
        /// Which one.
        name: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// It is not a template, names what is not there, or never ends.
    #[error("cannot use the template `{name}`{}: {message}", line.map(|line| format!(" (line {line})")).unwrap_or_default())]
    Wrong {
        /// Which one.
        name: &'static str,
        /// 1-based line in the template.
        line: Option<usize>,
        /// What the template engine said.
        message: String,
    },
    /// Even with the least detail, what it makes is longer than a forge takes.
    #[error(
        "cannot use the template `{name}`: it makes {characters} characters, more than {limit}; print less"
    )]
    TooLong {
        /// Which one.
        name: &'static str,
        /// What it makes.
        characters: usize,
        /// What is allowed.
        limit: usize,
    },
}

/// Templates by which texts are written. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Templates {
    plain: Arc<Environment<'static>>,
    markdown: Arc<Environment<'static>>,
}

/// The user's templates; what is `None` is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Title of pull requests and subject of commits.
    pub title: Option<String>,
    /// Commit messages below the subject and above the trailers.
    pub commit: Option<String>,
    /// Body of pull requests.
    pub pull_request: Option<String>,
    /// Body of the dashboard.
    pub dashboard: Option<String>,
}

impl Templates {
    /// Reads templates.
    ///
    /// # Errors
    ///
    /// One of them is too large or is not a template.
    pub fn new(overrides: Overrides) -> Result<Self, TemplateError> {
        let mut plain = environment();
        plain.set_formatter(|out, _, value| Ok(out.write_str(&printed(value, plain_text))?));
        plain.add_filter("code", |value: Value| Value::from_safe_string(plain_text(&text(&value))));
        let mut markdown = environment();
        markdown.set_formatter(|out, _, value| {
            Ok(out.write_str(&printed(value, |text| prose(text, MAX_VALUE)))?)
        });
        markdown.add_filter("code", |value: Value| Value::from_safe_string(code(&text(&value))));
        markdown.add_filter("html", |value: Value| Value::from_safe_string(html(&text(&value), MAX_VALUE)));
        let Overrides { title, commit, pull_request, dashboard } = overrides;
        for (name, theirs, ours) in [
            (TITLE, title, include_str!("../../templates/title.txt")),
            (COMMIT, commit, include_str!("../../templates/commit.txt")),
        ] {
            add(&mut plain, name, theirs, ours)?;
        }
        for (name, theirs, ours) in [
            (BODY, pull_request, include_str!("../../templates/pull_request.md")),
            (DASHBOARD, dashboard, include_str!("../../templates/dashboard.md")),
        ] {
            add(&mut markdown, name, theirs, ours)?;
        }
        Ok(Self { plain: Arc::new(plain), markdown: Arc::new(markdown) })
    }

    pub(super) fn title(&self, context: &impl Serialize) -> Result<String, TemplateError> {
        let title = render(&self.plain, TITLE, context)?;
        Ok(title.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    pub(super) fn commit(&self, context: &impl Serialize) -> Result<String, TemplateError> {
        render(&self.plain, COMMIT, context)
    }

    pub(super) fn body(&self, context: &impl Serialize) -> Result<String, TemplateError> {
        render(&self.markdown, BODY, context)
    }

    pub(super) fn dashboard(&self, context: &impl Serialize) -> Result<String, TemplateError> {
        render(&self.markdown, DASHBOARD, context)
    }
}

/// `name` of the template in errors.
pub(super) fn body_name() -> &'static str {
    BODY
}

/// `name` of the template in errors.
pub(super) fn dashboard_name() -> &'static str {
    DASHBOARD
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // Only delimiters can be wrong, and these are the usual ones.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(FUEL));
    environment
}

fn add(
    environment: &mut Environment<'static>,
    name: &'static str,
    theirs: Option<String>,
    ours: &str,
) -> Result<(), TemplateError> {
    let source = theirs.unwrap_or_else(|| ours.to_owned());
    if source.len() > MAX_TEMPLATE {
        return Err(TemplateError::TooLarge { name, bytes: source.len() });
    }
    environment.add_template_owned(name, source).map_err(|error| wrong(name, &error))
}

fn render(
    environment: &Environment<'_>,
    name: &'static str,
    context: &impl Serialize,
) -> Result<String, TemplateError> {
    let template = environment.get_template(name).map_err(|error| wrong(name, &error))?;
    let text = template.render(Serde(context)).map_err(|error| wrong(name, &error))?;
    // Left-out parts leave their blank lines.
    let mut out = String::with_capacity(text.len());
    let mut blanks = 0;
    for line in text.lines() {
        let line = line.trim_end();
        blanks = if line.is_empty() { blanks + 1 } else { 0 };
        if blanks < 2 && !(out.is_empty() && line.is_empty()) {
            out.push_str(line);
            out.push('\n');
        }
    }
    Ok(out.trim_end().to_owned())
}

fn wrong(name: &'static str, error: &Error) -> TemplateError {
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it takes too many steps".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    TemplateError::Wrong { name, line: error.line(), message }
}

fn text(value: &Value) -> String {
    if value.is_none() || value.is_undefined() { String::new() } else { value.to_string() }
}

fn printed(value: &Value, harmless: impl Fn(&str) -> String) -> String {
    match value.kind() {
        ValueKind::Number | ValueKind::Bool => value.to_string(),
        _ if value.is_safe() => value.to_string(),
        _ => harmless(&text(value)),
    }
}

/// One line of plain text: a forge links mentions and numbers in messages of commits, too.
fn plain_text(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars().take(MAX_VALUE) {
        match letter {
            _ if letter.is_whitespace() => out.push(' '),
            _ if is_hidden(letter) => {}
            '@' | '#' => out.extend([letter, BREAK]),
            _ => out.push(letter),
        }
    }
    out
}

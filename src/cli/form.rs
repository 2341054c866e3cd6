//! Which formats each command takes, and small answers as text, JSON or YAML.

use clap::ValueEnum as _;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde::Serialize;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use crate::report::Format;

/// What `--format` may be for a command, by its name; empty where it says nothing in any format.
fn formats(command: &str) -> &'static [Format] {
    match command {
        "detect" | "report" => Format::value_variants(),
        "plan" | "run" | "propose" | "health" => {
            &[Format::Text, Format::Json, Format::Yaml, Format::Markdown]
        }
        "config" | "completions" => &[],
        _ => &[Format::Text, Format::Json, Format::Yaml],
    }
}

/// Lets the help, the completion and the parser of each command know the formats that it takes; the option itself is one
/// of all commands.
pub(super) fn offered(command: clap::Command) -> clap::Command {
    let Some(format) = command.get_arguments().find(|argument| argument.get_id() == "format").cloned() else {
        return command;
    };
    command.mut_subcommands(|subcommand| {
        let formats = formats(subcommand.get_name());
        let mut own = format.clone().hide(formats.is_empty());
        if !formats.is_empty() {
            let values = formats.iter().filter_map(Format::to_possible_value);
            let parser = PossibleValuesParser::new(values).map(|name| {
                Format::from_str(&name, false).expect("invariant: only names of formats get here")
            });
            own = own.value_parser(parser);
        }
        subcommand.arg(own)
    })
}

/// Columns of text.
pub(super) const WIDTH: usize = 80;

/// Checks the format before anything is asked or done.
pub(super) fn check(global: &GlobalArgs) -> Result<(), CommandError> {
    match global.format {
        Format::Text | Format::Json | Format::Yaml => Ok(()),
        other => {
            let name = other.to_possible_value();
            let name = name.as_ref().map_or("that", |value| value.get_name());
            Err(CommandError::usage(format!("this command has no format `{name}`"))
                .hint("use `--format text`, `json` or `yaml`"))
        }
    }
}

/// Writes `value` in the form that was asked for; `text` makes the one for people.
pub(super) fn write(
    global: &GlobalArgs,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<Outcome, CommandError> {
    check(global)?;
    let text = match global.format {
        Format::Json => {
            serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(CommandError::failed)?
        }
        Format::Yaml => serde_yaml::to_string(value).map_err(CommandError::failed)?,
        _ => text(),
    };
    global.output().write(&text)?;
    Ok(Outcome::Done)
}

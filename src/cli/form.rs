//! Small answers as text, JSON or YAML.

use clap::ValueEnum as _;
use serde::Serialize;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use crate::report::Format;

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

//! Which of the options of all commands each command takes.
//!
//! An option that would do nothing is not in a command's help, and refused where it is written: `maintenance enable
//! --component longhorn` would stop all updates. In the environment the options are defaults for every command; those
//! that a command does not take do nothing there.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, ValueEnum as _};

use super::error::CommandError;
use crate::report::Format;

const DATA: &[Format] = &[Format::Text, Format::Json, Format::Yaml];
const PAGES: &[Format] = &[Format::Text, Format::Json, Format::Yaml, Format::Markdown];

/// What a command makes of the options of all commands.
struct Takes {
    /// `--component`.
    components: bool,
    /// `--offline`: it asks upstreams.
    offline: bool,
    /// Values of `--format`; empty where what it says has one form.
    formats: &'static [Format],
}

/// By the names of command and subcommand.
fn takes(command: &str) -> Takes {
    let (components, offline, formats) = match command {
        "detect" => (true, true, Format::value_variants()),
        "plan" | "run" | "propose" => (true, true, PAGES),
        "report" => (true, false, Format::value_variants()),
        "health" => (false, false, PAGES),
        "verify" | "status" | "backup create" | "backup restore" => (true, false, DATA),
        "config init" | "config check" | "config schema" | "completions" => (false, false, &[][..]),
        _ => (false, false, DATA),
    };
    Takes { components, offline, formats }
}

/// Lets the help, the completion and the parser of each command know the options that it takes; the options themselves
/// are those of all commands.
pub(super) fn offered(command: clap::Command) -> clap::Command {
    let is_ours = |argument: &&Arg| ["components", "offline", "format"].contains(&argument.get_id().as_str());
    let shared: Vec<Arg> = command.get_arguments().filter(is_ours).cloned().collect();
    command.mut_subcommands(|subcommand| own(subcommand, "", &shared))
}

fn own(command: clap::Command, above: &str, shared: &[Arg]) -> clap::Command {
    let name = below(above, &command);
    let takes = any_takes(&command, &name);
    let command = command.mut_subcommands(|subcommand| own(subcommand, &name, shared));
    shared.iter().cloned().fold(command, |command, argument| {
        let argument = match argument.get_id().as_str() {
            "components" => argument.hide(!takes.components),
            "offline" => argument.hide(!takes.offline),
            _ if takes.formats.is_empty() => argument.hide(true),
            _ => {
                let values = takes.formats.iter().filter_map(Format::to_possible_value);
                argument.value_parser(PossibleValuesParser::new(values).map(|name| {
                    Format::from_str(&name, false).expect("invariant: only names of formats get here")
                }))
            }
        };
        command.arg(argument)
    })
}

/// What a command does apart from its report, by the option that asks for it, and what means nothing then.
const APART: [(&str, &[&str], &str, &str); 3] = [
    ("verify", &["accept", "resume", "close_breaker", "replay"], "components", "--component"),
    ("backup restore", &["volume", "exports", "etcd"], "components", "--component"),
    ("plan", &["graph"], "format", "--format"),
];

fn below(above: &str, command: &clap::Command) -> String {
    format!("{above} {}", command.get_name()).trim().to_owned()
}

/// What a command takes, or any of those below it.
fn any_takes(command: &clap::Command, name: &str) -> Takes {
    if !command.has_subcommands() {
        return takes(name);
    }
    let none = Takes { components: false, offline: false, formats: &[] };
    let of_each = command.get_subcommands().map(|one| any_takes(one, &below(name, one)));
    of_each.fold(none, |all, one| Takes {
        components: all.components || one.components,
        offline: all.offline || one.offline,
        formats: if one.formats.len() > all.formats.len() { one.formats } else { all.formats },
    })
}

/// An option that does nothing for the command it was written for.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` takes no `{option}`: {why}")]
struct Meaningless {
    command: String,
    option: &'static str,
    why: &'static str,
}

/// Whether an option stands on the command line.
pub(super) fn is_written(matches: &ArgMatches, id: &str) -> bool {
    let mut last = matches;
    while let Some((_, below)) = last.subcommand() {
        last = below;
    }
    last.value_source(id) == Some(ValueSource::CommandLine)
}

/// Refuses options that were written for a command that does not take them.
///
/// # Errors
///
/// A usage error that names the command and the option.
pub(super) fn check(matches: &ArgMatches) -> Result<(), CommandError> {
    let (mut matches, mut names) = (matches, Vec::new());
    while let Some((name, below)) = matches.subcommand() {
        names.push(name);
        matches = below;
    }
    let command = names.join(" ");
    let takes = takes(&command);
    let options = [
        ("components", "--component", takes.components, "it is not about single components"),
        ("offline", "--offline", takes.offline, "it asks no upstream"),
        ("format", "--format", !takes.formats.is_empty(), "what it prints has one form"),
    ];
    for (id, option, is_taken, why) in options {
        if is_taken || matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let error = CommandError::usage(Meaningless { command: command.clone(), option, why });
        return Err(match (names[0], id) {
            ("maintenance", "components") => error.hint(
                "maintenance stops all; `policy.components` of the configuration holds single components",
            ),
            ("rollback", "components") => {
                error.hint("name the component itself: `gitops-updater rollback ID`")
            }
            _ => error.hint(format!("leave `{option}` out")),
        });
    }
    let written = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    for (_, with, id, option) in APART.iter().filter(|(name, ..)| *name == command) {
        if let Some(with) = with.iter().find(|with| written(with) && written(id)) {
            let why = "they do not go together";
            let command = format!("{command} --{}", with.replace('_', "-"));
            return Err(CommandError::usage(Meaningless { command, option, why })
                .hint(format!("leave `{option}` out")));
        }
    }
    Ok(())
}

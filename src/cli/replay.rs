//! `verify --replay`: the verdicts of a recording.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use crate::app::replay::{replay, seconds};
use crate::domain::settle::verdict::{Action, Judgement, Verdict};
use crate::repo::printable;
use crate::report::Format;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read `{0}`")]
    Open(String, #[source] std::io::Error),
    #[error("cannot judge the recording `{0}`")]
    Replay(String, #[source] crate::app::replay::Error),
}

pub(super) fn run(file: &Path, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if !matches!(global.format, Format::Text | Format::Json) {
        return Err(
            CommandError::usage("this command has no such format").hint("use `--format text` or `json`")
        );
    }
    let config = match &global.config {
        Some(named) => Some(super::load_named(named, Path::new("."))?),
        None => None,
    };
    let name = || printable(&file.to_string_lossy()).to_string();
    let recording: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(|source| CommandError::failed(Error::Open(name(), source)))?;
        Box::new(BufReader::new(opened))
    };
    let mut told = String::new();
    let as_json = global.format == Format::Json;
    let end = replay(recording, config.as_ref().map(|config| &config.validation), |judgement| {
        if as_json {
            // Plain data has a form in JSON.
            told.push_str(&serde_json::to_string(&judgement).unwrap_or_default());
            told.push('\n');
        } else {
            tell(&mut told, &judgement);
        }
    });
    // What was judged before a bad line is told all the same.
    global.output().write(&told)?;
    end.map_err(|source| {
        CommandError::failed(Error::Replay(name(), source))
            .hint("a recording has one JSON object with a time `t` on every line")
    })?;
    Ok(Outcome::Done)
}

fn tell(told: &mut String, judgement: &Judgement) {
    let verdict = match judgement.verdict {
        Verdict::Healthy => "healthy",
        Verdict::Regressed => "regressed",
        Verdict::Unknown => "unknown",
        Verdict::Inconclusive => "inconclusive",
    };
    let action = match judgement.action {
        Action::Wait => "wait",
        Action::Complete => "complete",
        Action::Revert => "revert",
        Action::Hold if judgement.clears_itself => "hold until the evidence comes",
        Action::Hold => "hold until a person clears it",
        Action::None => "nothing more to do",
    };
    let time = seconds(judgement.t);
    told.push_str(&format!("{time:>10} s  {}: {verdict}, {action}\n", printable(&judgement.update)));
    for reason in &judgement.reasons {
        let object = reason.object.as_deref().map(|object| format!("{object}: ")).unwrap_or_default();
        told.push_str(&format!("{:14}{}\n", "", printable(&format!("{object}{}", reason.text))));
    }
}

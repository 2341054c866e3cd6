//! Makes verdicts again from a recording, at the virtual times of its lines.

use std::io::{self, BufRead, Read};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::config::Validation;
use crate::config::{self, Origin, Trust};
use crate::domain::settle::health::{HealthSettings, findings};
use crate::domain::settle::judge::{Checks, Judge};
use crate::domain::settle::line::{Line, Moment, Seen};
use crate::domain::settle::memory::Memory;
use crate::domain::settle::object::Object;
use crate::domain::settle::recording::{LONGEST_LINE, read};
use crate::domain::settle::settings::Windows;
use crate::domain::settle::verdict::Judgement;

/// Why a recording cannot be judged. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read line {line}")]
    Read {
        /// Line.
        line: usize,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A line is too long.
    #[error("line {line} is longer than {LONGEST_LINE} bytes")]
    TooLong {
        /// Line.
        line: usize,
    },
    /// A line is not one of a recording.
    #[error("line {line} is not a line of a recording")]
    Line {
        /// Line.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A line with a policy has one that is not valid.
    #[error("line {line} has no valid `validation`: {message}")]
    Policy {
        /// Line.
        line: usize,
        /// What is wrong, with the key.
        message: String,
    },
    /// It says nothing at all.
    #[error("the recording has no line")]
    Empty,
}

/// Makes the verdicts of a recording again and tells them as they change.
///
/// `validation` takes the place of the policy that the recording has itself.
///
/// # Errors
///
/// See [`Error`]; what was told before stands.
pub fn replay(
    mut recording: impl BufRead,
    validation: Option<&Validation>,
    mut tell: impl FnMut(Judgement),
) -> Result<(), Error> {
    let mut held = validation.cloned().unwrap_or_default();
    let mut judge = Judge::new(held.settings(), checks(&held), Timestamp::UNIX_EPOCH, Memory::default());
    let mut number = 0;
    let mut any = false;
    while let Some(bytes) = next_line(&mut recording, number + 1)? {
        number += 1;
        let text = bytes.trim_ascii();
        if text.is_empty() {
            continue;
        }
        any = true;
        let line: Line<Object> = read(text).map_err(|source| Error::Line { line: number, source })?;
        match &line.seen {
            Seen::Config(policy) if validation.is_none() => {
                if let Some(told) =
                    policy_of(policy).map_err(|message| Error::Policy { line: number, message })?
                {
                    held = told;
                    judge.configure(held.settings());
                    judge.check_by(checks(&held));
                }
            }
            Seen::Update(update) => {
                judge.configure_own(&update.component, held.own(&update.component, &update.kind, None));
            }
            _ => {}
        }
        judge.take(line).into_iter().for_each(&mut tell);
    }
    if !any {
        return Err(Error::Empty);
    }
    judge.conclude().into_iter().for_each(&mut tell);
    Ok(())
}

/// The health checks, with no more patience than the window has.
fn checks(validation: &Validation) -> Checks {
    let settings = HealthSettings::default().within(validation.window.unwrap_or(Windows::default().other));
    Box::new(move |world| findings(world, &settings))
}

/// The next line with its end; `None` at the end of the recording.
fn next_line(recording: &mut impl BufRead, line: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
    let read = recording.by_ref().take(most + 1).read_until(b'\n', &mut bytes);
    let read = read.map_err(|source| Error::Read { line, source })?;
    if read > LONGEST_LINE {
        return Err(Error::TooLong { line });
    }
    Ok((read > 0).then_some(bytes))
}

/// The part of a recorded policy that decides about verdicts; what else it says is of no matter here.
fn policy_of(policy: &Value) -> Result<Option<Validation>, String> {
    const DECIDING: [&str; 10] = [
        "sample",
        "settle",
        "window",
        "good_samples",
        "bad_samples",
        "bad_of",
        "failure_rate",
        "state_changes",
        "cap",
        "components",
    ];
    let Some(Value::Object(said)) = policy.get("validation") else { return Ok(None) };
    let kept: Map<String, Value> = said
        .iter()
        .filter(|(key, _)| DECIDING.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // A JSON document is a YAML document.
    let text = serde_json::json!({ "validation": kept }).to_string();
    let origin = Origin { name: "config", trust: Trust::Repository, folder: None, repository: None };
    match config::parse(&text, &origin) {
        Ok(config) => Ok(Some(config.validation)),
        Err(findings) => {
            let said: Vec<String> = findings.iter().take(5).map(|finding| finding.to_string()).collect();
            Err(said.join("; "))
        }
    }
}

/// Where a time of a recording is on its own clock, for people: seconds with three digits.
pub fn seconds(moment: Moment) -> String {
    let (whole, rest) = (moment.0.div_euclid(1000), moment.0.rem_euclid(1000));
    format!("{whole}.{rest:03}")
}

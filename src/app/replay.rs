//! Makes verdicts again from a recording, at the virtual times of its lines.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use jiff::Timestamp;

use super::settle;
use crate::config::{Recorded, Validation};
use crate::domain::settle::judge::{Checks, Judge};
use crate::domain::settle::line::{Line, Moment, Seen};
use crate::domain::settle::memory::Memory;
use crate::domain::settle::object::Object;
use crate::domain::settle::recording::{LONGEST_LINE, read};
use crate::domain::settle::verdict::{Action, Judgement, Verdict};

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
/// `validation` takes the place of the policy that the recording has itself. An update ends where whoever recorded it
/// had done with it; by another policy only where that has come to an end, too.
///
/// # Errors
///
/// See [`Error`]; what was told before stands.
pub fn replay(
    mut recording: impl BufRead,
    validation: Option<&Validation>,
    mut tell: impl FnMut(Judgement),
) -> Result<(), Error> {
    let given = validation.map(|given| Recorded { validation: given.clone(), ..Recorded::default() });
    let mut held = given.clone().unwrap_or_default();
    let settings = held.validation.settings();
    let mut judge = Judge::new(settings, checks(&held.validation), Timestamp::UNIX_EPOCH, Memory::default());
    let mut ended: BTreeMap<String, bool> = BTreeMap::new();
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
        let mut over = None;
        match &line.seen {
            Seen::Config(policy) if given.is_none() => {
                let told =
                    Recorded::read(policy).map_err(|message| Error::Policy { line: number, message })?;
                if let Some(told) = told {
                    held = told;
                    judge.configure(held.validation.settings());
                    judge.check_by(checks(&held.validation));
                }
            }
            Seen::Update(update) => {
                judge.configure_own(&update.component, held.own(&update.component, &update.kind));
            }
            Seen::Over(update) => over = Some(update.clone()),
            _ => {}
        }
        let mut said = judge.take(line);
        if over.is_some() {
            // It was over because of what was seen until then, that moment included.
            said.extend(judge.conclude());
        }
        for judgement in said {
            ended.insert(judgement.update.clone(), is_end(&judgement));
            tell(judgement);
        }
        if let Some(update) = over
            && (given.is_none() || ended.get(&update) == Some(&true))
        {
            judge.forget(&update);
        }
    }
    if !any {
        return Err(Error::Empty);
    }
    judge.conclude().into_iter().for_each(&mut tell);
    Ok(())
}

/// Whether a pass has done with an update of which this is said.
fn is_end(judgement: &Judgement) -> bool {
    match judgement.action {
        Action::Complete | Action::Revert => true,
        Action::None => judgement.verdict == Verdict::Healthy,
        Action::Hold => !judgement.clears_itself,
        Action::Wait => false,
    }
}

/// The health checks, with the patience that this policy has.
fn checks(validation: &Validation) -> Checks {
    settle::checks(validation.health())
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

/// Where a time of a recording is on its own clock, for people: seconds with three digits.
pub fn seconds(moment: Moment) -> String {
    let (whole, rest) = (moment.0.div_euclid(1000), moment.0.rem_euclid(1000));
    format!("{whole}.{rest:03}")
}

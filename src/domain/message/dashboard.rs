//! The dashboard: everything that is pending, held, open and ignored, with boxes that people tick.

use std::collections::BTreeSet;

use jiff::Timestamp;
use minijinja::value::Value;
use serde::Serialize;

use super::hidden::{decoded, encoded};
use super::proposal::MAX_BODY;
use super::templates::{TemplateError, Templates, dashboard_name};
use crate::domain::plan::{Approval, Held, Step, Wave};
use crate::domain::settle::record::Breaker;
use crate::domain::state::{Quarantined, Stage, Update};

const OPEN: &str = "<!-- gitops-updater:";
const CLOSE: &str = " -->";
/// Most boxes that are read.
const MAX_BOXES: usize = 1_000;

/// What a ticked box asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Open the pull request of a step that waits to be asked for.
    Open {
        /// Component id.
        component: String,
        /// Version to go to.
        version: String,
    },
    /// Write the branch of an open pull request anew.
    Rebuild {
        /// Update id.
        update_id: String,
    },
    /// Take an update up again that was stopped.
    Retry {
        /// Update id.
        update_id: String,
    },
    /// The person has looked: the update is good.
    Accept {
        /// Update id.
        update_id: String,
    },
    /// The person has looked at the reverts: go on proposing and merging.
    CloseBreaker {
        /// Since when the circuit breaker is open, so that an old tick closes no new one.
        since: String,
    },
    /// Let a version be proposed again.
    Unquarantine {
        /// Component id.
        component: String,
        /// Version.
        version: String,
    },
}

impl Action {
    /// What is to be done, and to what: ``open`` and ``k3s@v1.34.1+k3s1``, or ``accept`` and the id of an update.
    pub fn words(&self) -> (&'static str, String) {
        let (verb, values) = self.parts();
        (verb, values.join("@"))
    }

    fn parts(&self) -> (&'static str, Vec<&str>) {
        match self {
            Self::Open { component, version } => ("open", vec![component, version]),
            Self::Rebuild { update_id } => ("rebuild", vec![update_id]),
            Self::Retry { update_id } => ("retry", vec![update_id]),
            Self::Accept { update_id } => ("accept", vec![update_id]),
            Self::CloseBreaker { since } => ("close-breaker", vec![since]),
            Self::Unquarantine { component, version } => ("unquarantine", vec![component, version]),
        }
    }

    /// The box, not ticked, as it stands behind the sign of a list.
    fn checkbox(&self) -> Value {
        self.drawn(false)
    }

    fn drawn(&self, ticked: bool) -> Value {
        let sign = if ticked { "[x]" } else { "[ ]" };
        let (verb, values) = self.parts();
        let values: Vec<String> = values.into_iter().map(encoded).collect();
        Value::from_safe_string(format!("{sign} {OPEN}{verb} {}{CLOSE}", values.join(" ")))
    }

    fn parse(comment: &str) -> Option<Self> {
        let mut words = comment.split(' ');
        let verb = words.next()?;
        let values: Vec<String> = words.map(decoded).collect::<Option<_>>()?;
        match (verb, <[String; 1]>::try_from(values)) {
            ("rebuild", Ok([update_id])) => Some(Self::Rebuild { update_id }),
            ("retry", Ok([update_id])) => Some(Self::Retry { update_id }),
            ("accept", Ok([update_id])) => Some(Self::Accept { update_id }),
            ("close-breaker", Ok([since])) => Some(Self::CloseBreaker { since }),
            (verb, Err(values)) => match (verb, <[String; 2]>::try_from(values)) {
                ("open", Ok([component, version])) => Some(Self::Open { component, version }),
                ("unquarantine", Ok([component, version])) => Some(Self::Unquarantine { component, version }),
                _ => None,
            },
            _ => None,
        }
    }

    /// What people have ticked in a body. Only boxes that this program wrote count.
    pub fn ticked(body: &str) -> BTreeSet<Self> {
        boxes(body).into_iter().filter(|one| one.ticked).map(|one| one.action).collect()
    }

    /// The body with this box ticked; `None` where it has no such box.
    pub fn tick(&self, body: &str) -> Option<String> {
        let mut found = false;
        let lines = body.lines().map(|line| match Checkbox::parse(line) {
            Some(one) if one.action == *self => {
                found = true;
                line.replacen("[ ]", "[x]", 1)
            }
            _ => line.to_owned(),
        });
        let lines: Vec<String> = lines.collect();
        found.then(|| lines.join("\n") + "\n")
    }
}

/// A box of the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkbox {
    /// What it asks for.
    pub action: Action,
    /// Somebody asked for it.
    pub ticked: bool,
    /// What stands beside it.
    pub text: String,
}

impl Checkbox {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim_start().strip_prefix(['-', '*', '+'])?.trim_start();
        let signs = [("[x]", true), ("[X]", true), ("[ ]", false)];
        let (rest, ticked) =
            signs.iter().find_map(|(sign, ticked)| Some((line.strip_prefix(sign)?, *ticked)))?;
        let comment = rest.trim_start().strip_prefix(OPEN)?;
        let (comment, text) = comment.split_once(CLOSE)?;
        Some(Self { action: Action::parse(comment)?, ticked, text: text.trim().to_owned() })
    }
}

/// The boxes of a body that this program wrote, in order.
pub fn boxes(body: &str) -> Vec<Checkbox> {
    body.lines().filter_map(Checkbox::parse).take(MAX_BOXES).collect()
}

/// A component that nobody wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Component id.
    pub component: String,
    /// Why.
    pub reason: String,
}

/// What stands on the dashboard.
#[derive(Debug, Clone, Copy)]
pub struct Dashboard<'a> {
    /// When it was written.
    pub now: Timestamp,
    /// What stops the program or limits it (maintenance, kill switch, facts that are old).
    pub notices: &'a [String],
    /// Updates that are not done.
    pub updates: &'a [Update],
    /// The campaign that was planned.
    pub waves: &'a [Wave],
    /// What is held.
    pub held: &'a [Held],
    /// What is left out.
    pub ignored: &'a [Ignored],
    /// Versions that are not proposed again.
    pub quarantine: &'a [Quarantined],
    /// Set while too many reverts have stopped everything.
    pub breaker: Option<&'a Breaker>,
    /// What people ticked and is not done yet: the box stays ticked.
    pub asked: &'a BTreeSet<Action>,
    /// How many things could not be read or asked.
    pub problems: usize,
}

#[derive(Serialize)]
struct Context<'a> {
    now: String,
    notices: &'a [String],
    breaker: Option<Stopped>,
    open: Vec<Row<'a>>,
    merged: Vec<Row<'a>>,
    stopped: Vec<Row<'a>>,
    manual: Vec<Pending<'a>>,
    next: Vec<Pending<'a>>,
    later: Vec<Pending<'a>>,
    held: &'a [Held],
    ignored: &'a [Ignored],
    quarantine: Vec<Quarantine<'a>>,
    /// Rows that there was no room for, by list.
    more: More,
    problems: usize,
}

#[derive(Serialize, Default)]
struct More {
    open: usize,
    merged: usize,
    stopped: usize,
    manual: usize,
    next: usize,
    later: usize,
    held: usize,
    ignored: usize,
    quarantine: usize,
}

#[derive(Serialize)]
struct Stopped {
    reason: String,
    checkbox: Value,
}

#[derive(Serialize)]
struct Row<'a> {
    component: &'a str,
    from: &'a str,
    to: &'a str,
    pull_request: Option<u64>,
    gate: &'static str,
    reason: Option<&'a str>,
    rebuild: Value,
    retry: Value,
    accept: Value,
}

#[derive(Serialize)]
struct Pending<'a> {
    component: &'a str,
    from: &'a str,
    to: &'a str,
    update_type: &'static str,
    wave: usize,
    reason: Option<&'a str>,
    checkbox: Value,
}

#[derive(Serialize)]
struct Quarantine<'a> {
    component: &'a str,
    version: &'a str,
    reason: &'a str,
    checkbox: Value,
}

impl Dashboard<'_> {
    /// The body, at most [`MAX_BODY`] characters.
    ///
    /// # Errors
    ///
    /// The user's template is wrong, or makes more than a forge takes even for few rows.
    pub fn write(&self, templates: &Templates) -> Result<String, TemplateError> {
        let mut characters = 0;
        for rows in [150, 50, 20, 8, 3] {
            let body = templates.dashboard(&self.context(rows))? + "\n";
            characters = body.chars().count();
            if characters <= MAX_BODY {
                return Ok(body);
            }
        }
        Err(TemplateError::TooLong { name: dashboard_name(), characters, limit: MAX_BODY })
    }

    fn pending<'p>(&self, wave: usize, step: &'p Step) -> Pending<'p> {
        let action = Action::Open { component: step.component.clone(), version: step.to.clone() };
        let asked = self.asked.contains(&action);
        Pending {
            component: &step.component,
            from: &step.from,
            to: &step.to,
            update_type: step.update_type.as_str(),
            wave,
            reason: step.waits_for().or_else(|| step.reasons.first().map(String::as_str)),
            checkbox: action.drawn(asked),
        }
    }

    fn row<'u>(&self, update: &'u Update) -> Row<'u> {
        let update_id = || update.update_id.clone();
        let rebuild = Action::Rebuild { update_id: update_id() };
        Row {
            component: &update.component,
            from: &update.from,
            to: &update.to,
            pull_request: update.pull_request,
            gate: update.gate.as_str(),
            reason: update.reason.as_deref(),
            rebuild: rebuild.drawn(self.asked.contains(&rebuild)),
            retry: Action::Retry { update_id: update_id() }.checkbox(),
            accept: Action::Accept { update_id: update_id() }.checkbox(),
        }
    }

    fn context(&self, rows: usize) -> Context<'_> {
        let mut more = More::default();
        let at = |stages: &[Stage], left_out: &mut usize| {
            let all: Vec<_> = self
                .updates
                .iter()
                .filter(|update| stages.contains(&update.stage))
                .map(|update| self.row(update))
                .collect();
            limited(all, rows, left_out)
        };
        let open = at(&[Stage::Proposed], &mut more.open);
        let merged = at(&[Stage::Merged, Stage::Rolling], &mut more.merged);
        let stopped = at(&[Stage::Held], &mut more.stopped);
        let under_way = |step: &Step| {
            self.updates.iter().any(|update| update.component == step.component && update.to == step.to)
        };
        let (mut manual, mut next, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for wave in self.waves {
            for step in wave.steps.iter().filter(|step| !under_way(step)) {
                let list = match step {
                    step if step.gate == Approval::Manual && step.requires.is_empty() => &mut manual,
                    step if step.next => &mut next,
                    _ => &mut later,
                };
                list.push(self.pending(wave.number, step));
            }
        }
        let quarantine = self.quarantine.iter().map(|known| Quarantine {
            component: &known.component,
            version: &known.version,
            reason: &known.reason,
            checkbox: Action::Unquarantine {
                component: known.component.clone(),
                version: known.version.clone(),
            }
            .checkbox(),
        });
        Context {
            now: self.now.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            notices: &self.notices[..self.notices.len().min(rows)],
            breaker: self.breaker.map(|breaker| Stopped {
                reason: breaker.reason(),
                checkbox: Action::CloseBreaker { since: breaker.since.to_string() }.checkbox(),
            }),
            open,
            merged,
            stopped,
            manual: limited(manual, rows, &mut more.manual),
            next: limited(next, rows, &mut more.next),
            later: limited(later, rows, &mut more.later),
            held: limited_slice(self.held, rows, &mut more.held),
            ignored: limited_slice(self.ignored, rows, &mut more.ignored),
            quarantine: limited(quarantine.collect(), rows, &mut more.quarantine),
            more,
            problems: self.problems,
        }
    }
}

fn limited<T>(mut items: Vec<T>, rows: usize, left_out: &mut usize) -> Vec<T> {
    *left_out = items.len().saturating_sub(rows);
    items.truncate(rows);
    items
}

fn limited_slice<'a, T>(items: &'a [T], rows: usize, left_out: &mut usize) -> &'a [T] {
    *left_out = items.len().saturating_sub(rows);
    &items[..items.len().min(rows)]
}

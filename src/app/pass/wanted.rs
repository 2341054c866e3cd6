//! Whether what is proposed is still what would be proposed today.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Run};
use crate::app::forge::Forge;
use crate::app::plan::{Planned, generated, published};
use crate::domain::edit;
use crate::domain::gotk;
use crate::domain::lifecycle::Wanted;
use crate::domain::plan::input::Situation;
use crate::domain::plan::subject::Subject;
use crate::domain::plan::{Held, Step};
use crate::domain::problem::Category;
use crate::domain::report::Status;
use crate::domain::state::Update;
use crate::repo::write::Id;

/// Gates by which somebody decided that a version is not wanted. Whatever else holds it may pass: what was proposed
/// before the cluster was out of sight, or an upstream away, stays proposed.
const DECIDED: [&str; 9] = [
    "skip",
    "denied",
    "allowed",
    "avoid",
    "quarantine",
    "unusable",
    "ignored",
    "not_pinned",
    "managed_elsewhere",
];

/// Largest file that is compared or changed, in bytes.
pub(super) const FILE_LIMIT: usize = 64 << 20;

/// What becomes of an update whose component has no step in the plan.
fn unplanned(update: &Update, subject: &Subject, planned: &Planned) -> Wanted {
    let held = planned.report.held.iter().find(|held| held.component == update.component);
    let told = |held: &Held| format!("held by {}: {}", held.gate, held.reason);
    match held {
        Some(held) if DECIDED.contains(&held.gate.as_str()) => Wanted::Gone { reason: told(held) },
        _ if published(subject, &update.to).is_none() => {
            Wanted::Gone { reason: format!("{} is not published any more", update.to) }
        }
        Some(held) => Wanted::Held { reason: told(held) },
        None => Wanted::Held { reason: "nothing leads to it as things are".to_owned() },
    }
}

impl<F: Forge> Run<'_, F> {
    /// Whether the plan still wants an update whose branch is at `head`.
    pub(super) fn wanted(&self, update: &Update, head: Option<Id>, planned: &Planned) -> Wanted {
        let Some(subject) = self.survey.subject(&update.component) else {
            let unread = &self.survey.report.update_report.problems;
            return if unread.iter().any(|problem| problem.category == Category::Repository) {
                // It may stand in a file that could not be read.
                Wanted::Unknown
            } else {
                Wanted::Gone { reason: "the repository does not have this component any more".to_owned() }
            };
        };
        if subject.entry.status == Status::Unresolved {
            return Wanted::Unknown;
        }
        let current = subject.entry.current_version.as_deref();
        if current == Some(update.to.as_str())
            || current.is_some_and(|current| self.is_newer(update, current))
        {
            return Wanted::Done;
        }
        let mut steps = planned.report.waves.iter().flat_map(|wave| &wave.steps);
        match steps.find(|step| step.component == update.component) {
            Some(step) if step.to == update.to => self.same_or_rebuilt(step, update, head, planned),
            Some(step) => Wanted::Superseded { by: step.to.clone() },
            None => unplanned(update, subject, planned),
        }
    }

    fn is_newer(&self, update: &Update, current: &str) -> bool {
        let Some(subject) = self.survey.subject(&update.component) else { return false };
        let scheme = subject.component.scheme;
        matches!((scheme.parse(current), scheme.parse(&update.to)),
            (Some(current), Some(to)) if current.comparable(&to) && current > to)
    }

    fn same_or_rebuilt(&self, step: &Step, update: &Update, head: Option<Id>, planned: &Planned) -> Wanted {
        // Taken away by somebody: without it there is nothing to be merged.
        let Some(head) = head else { return Wanted::Rebuilt };
        match self.is_at_branch(step, update, head, planned) {
            Ok(true) => Wanted::Same,
            Ok(false) => Wanted::Rebuilt,
            Err(error) => {
                tracing::warn!(component = update.component, reason = %error, "cannot compare a branch");
                Wanted::Unknown
            }
        }
    }

    /// Whether the branch holds the files as the step would write them on the base branch of today.
    fn is_at_branch(&self, step: &Step, update: &Update, head: Id, planned: &Planned) -> Result<bool, Error> {
        let base: Option<Id> = update.base.as_deref().and_then(|base| base.parse().ok());
        for (path, bytes) in self.edited(step, planned)? {
            // Made of other lines, it conflicts with those of today, also where the result is the same.
            let base = base.filter(|base| *base != self.world.base && self.pass.git.has(*base));
            let before = base.map(|base| self.pass.git.read_file(base, &path, FILE_LIMIT)).transpose()?;
            if before.is_some_and(|before| before != (self.read)(&path).ok()) {
                return Ok(false);
            }
            if self.pass.git.read_file(head, &path, FILE_LIMIT)?.as_deref() != Some(bytes.as_slice()) {
                return Ok(false);
            }
        }
        for path in planned.changes.get(&step.id).into_iter().flat_map(|changes| &changes.generated) {
            // Made for the right version, from the file that the base branch still has.
            let at = |commit| self.pass.git.read_file(commit, path, FILE_LIMIT);
            let made = at(head)?;
            let made_for =
                made.as_deref().and_then(|text| gotk::version(std::str::from_utf8(text).ok()?).ok());
            let Some(base) = base else { return Ok(false) };
            if made_for.as_deref() != Some(step.to.as_str()) || at(base)? != at(self.world.base)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The files that a step edits, as they will be on the base branch.
    pub(super) fn edited(&self, step: &Step, planned: &Planned) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut files = BTreeMap::new();
        let Some(changes) = planned.changes.get(&step.id) else { return Ok(files) };
        let mut paths: Vec<&str> = changes.replacements.iter().map(|one| one.file.as_str()).collect();
        paths.dedup();
        for path in paths {
            let of_file: Vec<_> =
                changes.replacements.iter().filter(|one| one.file == path).cloned().collect();
            let bytes = (self.read)(path).map_err(|error| edit::EditError::Unreadable {
                file: path.to_owned(),
                reason: error.to_string(),
            })?;
            files.insert(path.to_owned(), edit::apply(path, &bytes, &of_file)?);
        }
        Ok(files)
    }

    /// The files that a step makes anew.
    pub(super) fn generated(
        &self,
        step: &Step,
        planned: &Planned,
    ) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut files = BTreeMap::new();
        let Some(changes) = planned.changes.get(&step.id) else { return Ok(files) };
        let asked = BTreeSet::new();
        let situation = Situation {
            updates: &[],
            unrecorded: &asked,
            groundless: &asked,
            holds: &|_| Vec::new(),
            asked: &asked,
        };
        let planning = self.planning(situation, &asked);
        for path in &changes.generated {
            let made = generated(self.survey, &planning, step, path)
                .map_err(|reason| Error::Generated { file: path.clone(), reason })?;
            files.insert(path.clone(), made);
        }
        Ok(files)
    }
}

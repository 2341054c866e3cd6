//! Verified updates whose version a person took out of Git again, without saying so to us.

use std::collections::BTreeSet;

use super::{Error, Run};
use crate::app::forge::Forge;
use crate::app::rollback::mark_reverted;
use crate::domain::state::{Quarantined, Stage, State, Update};
use crate::repo::write::Id;

impl<F: Forge> Run<'_, F> {
    /// Records verified updates of a component as reverted, and their versions in quarantine, where the base branch has
    /// their merge, other text where they put theirs, and an older version: a person went back, be it by the commands that
    /// `rollback --emergency` prints, and nobody wants it proposed again. What is not verified yet is watched, and known
    /// by its commits.
    pub(super) fn record_gone_back(&mut self) -> Result<(), Error> {
        let now = self.pass.now;
        for (id, said) in self.gone_back() {
            self.record(format!("Record {id} as reverted"), |state: &mut State| {
                let transition = mark_reverted(state, &id, &said, None, now)?;
                let update = state.updates.get(&id).cloned()?;
                state.put_in_quarantine(Quarantined::of(&update, &said, now));
                Some(transition)
            })?;
            self.tell_reverted(&id)?;
        }
        Ok(())
    }

    /// Ids of those updates and what is said of them, newest first: whoever goes back over several of a component leaves
    /// all of them.
    fn gone_back(&self) -> Vec<(String, String)> {
        let updates = self.world.state.updates.values();
        let mut verified: Vec<&Update> = updates.filter(|update| update.stage == Stage::Verified).collect();
        verified.sort_by_key(|update| std::cmp::Reverse((update.merged_at, &update.update_id)));
        let mut gone: BTreeSet<&str> = BTreeSet::new();
        let mut told = Vec::new();
        for update in verified {
            if !self.is_latest(update, &gone) || !self.is_older_now(update) || !self.is_taken_out(update) {
                continue;
            }
            gone.insert(&update.update_id);
            let entry = self.survey.subject(&update.component).map(|known| &known.entry);
            let current = entry.and_then(|entry| entry.current_version.clone()).unwrap_or_default();
            let branch = &self.world.base_branch;
            let who = self.took_out(update).map(|who| format!(" in {who}")).unwrap_or_default();
            told.push((
                update.update_id.clone(),
                format!("`{branch}` has {current} again: a person went back{who}"),
            ));
        }
        told
    }

    /// The commit that took an update out, with its author, as far as that can be told.
    fn took_out(&self, update: &Update) -> Option<String> {
        let id = |text: Option<&str>| text.and_then(|text| text.parse::<Id>().ok());
        let read = id(self.survey.report.update_report.repository.revision.as_deref())?;
        let merge = id(update.merge_commit.as_deref())?;
        self.taken_out_by(update, merge, read).unwrap_or_else(|error| {
            tracing::debug!(update = update.update_id, reason = %error, "cannot tell who took it out");
            None
        })
    }

    /// No update of the same component was merged after it and is in.
    fn is_latest(&self, update: &Update, gone: &BTreeSet<&str>) -> bool {
        let is_in =
            |stage: Stage| matches!(stage, Stage::Merged | Stage::Rolling | Stage::Held | Stage::Verified);
        !self.world.state.updates.values().any(|other| {
            other.component == update.component
                && is_in(other.stage)
                && other.merged_at > update.merged_at
                && !gone.contains(other.update_id.as_str())
        })
    }

    /// Whether what was read of the repository has the merge of an update, and not what it put there: another pass may
    /// have recorded what came after it, and another place of the same name may have the older version.
    fn is_taken_out(&self, update: &Update) -> bool {
        let id = |text: Option<&str>| text.and_then(|text| text.parse::<Id>().ok());
        let read = id(self.survey.report.update_report.repository.revision.as_deref());
        let Some((merge, read)) = id(update.merge_commit.as_deref()).zip(read) else { return false };
        let is_out = || -> Result<bool, Error> {
            if !self.pass.git.is_ancestor(merge, read)? {
                return Ok(false);
            }
            match self.has_gone(update, merge, read)? {
                Some(has_gone) => Ok(has_gone),
                // A generated file, or one that was written anew: what has the name of the component stands there still.
                None => {
                    let paths = self.paths_of(update)?;
                    let subject = self.survey.subject(&update.component);
                    let pins = subject.into_iter().flat_map(|subject| &subject.component.pins);
                    let mut applied = pins.filter(|pin| pin.applied).peekable();
                    Ok(applied.peek().is_some() && applied.all(|pin| paths.contains(&pin.file)))
                }
            }
        };
        is_out().unwrap_or_else(|error| {
            tracing::debug!(update = update.update_id, reason = %error, "cannot tell whether it is still in");
            false
        })
    }
}

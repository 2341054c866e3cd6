//! Verified updates whose version a person took out of Git again, without saying so to us.

use super::known::quarantine;
use super::{Error, Run};
use crate::app::forge::Forge;
use crate::app::rollback::mark_reverted;
use crate::domain::state::{Stage, State, Update};
use crate::repo::write::Id;

impl<F: Forge> Run<'_, F> {
    /// Records the latest verified update of a component as reverted, and its version in quarantine, where the base
    /// branch has its merge and an older version all the same: a person went back, be it by the commands that
    /// `rollback --emergency` prints, and nobody wants it proposed again. What is not verified yet is watched, and known
    /// by its commits.
    pub(super) fn record_gone_back(&mut self) -> Result<(), Error> {
        let gone: Vec<(String, String)> = self
            .world
            .state
            .updates
            .values()
            .filter(|update| update.stage == Stage::Verified && self.is_latest(update))
            .filter(|update| self.is_older_now(update) && self.was_read_with(update))
            .map(|update| {
                let entry = self.survey.subject(&update.component).map(|known| &known.entry);
                let current = entry.and_then(|entry| entry.current_version.clone()).unwrap_or_default();
                let branch = &self.world.base_branch;
                (update.update_id.clone(), format!("`{branch}` has {current} again: a person went back"))
            })
            .collect();
        let now = self.pass.now;
        for (id, said) in gone {
            self.record(format!("Record {id} as reverted"), |state: &mut State| {
                let transition = mark_reverted(state, &id, &said, None, now)?;
                let update = state.updates.get(&id).cloned()?;
                quarantine(state, &update, &said);
                Some(transition)
            })?;
        }
        Ok(())
    }

    /// No update of the same component was merged after it and is in.
    fn is_latest(&self, update: &Update) -> bool {
        let is_in =
            |stage: Stage| matches!(stage, Stage::Merged | Stage::Rolling | Stage::Held | Stage::Verified);
        !self.world.state.updates.values().any(|other| {
            other.component == update.component && is_in(other.stage) && other.merged_at > update.merged_at
        })
    }

    /// Whether what was read of the repository has the merge of an update: another pass may have recorded what came
    /// after it.
    fn was_read_with(&self, update: &Update) -> bool {
        let id = |text: Option<&str>| text.and_then(|text| text.parse::<Id>().ok());
        let read = id(self.survey.report.update_report.repository.revision.as_deref());
        let Some((merge, read)) = id(update.merge_commit.as_deref()).zip(read) else { return false };
        self.pass.git.is_ancestor(merge, read).unwrap_or(false)
    }
}

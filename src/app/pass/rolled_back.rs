//! What a person took back with `rollback` by a pull request is recorded when it is merged.

use super::{Error, Run};
use crate::app::forge::Forge;
use crate::app::rollback::mark_reverted;
use crate::domain::state::{Stage, State, Update};

impl<F: Forge> Run<'_, F> {
    /// Records updates as reverted whose version is in quarantine because of them, and which the base branch does not
    /// have any more but an older one.
    pub(super) fn record_rolled_back(&mut self) -> Result<(), Error> {
        let gone: Vec<(String, String)> = self
            .world
            .state
            .updates
            .values()
            .filter(|update| {
                matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Verified | Stage::Held)
            })
            .filter_map(|update| {
                let known = self.world.state.quarantine.iter().find(|known| {
                    known.component == update.component
                        && known.version == update.to
                        && known.update_id.as_ref() == Some(&update.update_id)
                })?;
                self.is_older_now(update).then(|| (update.update_id.clone(), known.reason.clone()))
            })
            .collect();
        let now = self.pass.now;
        for (id, said) in gone {
            self.record(format!("Record {id} as reverted"), |state: &mut State| {
                mark_reverted(state, &id, &said, None, now)
            })?;
        }
        Ok(())
    }

    /// Whether Git has an older version than the one that an update brought.
    fn is_older_now(&self, update: &Update) -> bool {
        let Some(subject) = self.survey.subject(&update.component) else { return false };
        let Some(current) = subject.entry.current_version.as_deref() else { return false };
        if current == update.from {
            return true;
        }
        let scheme = subject.component.scheme;
        let versions = scheme.parse(current).zip(scheme.parse(&update.to));
        versions.is_some_and(|(current, newer)| current.comparable(&newer) && current < newer)
    }
}

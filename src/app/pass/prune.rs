//! Removes what nobody needs any more: old backup points, and why updates that are long over were judged as they were.

use std::collections::BTreeSet;

use super::{Error, Run};
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::backup;
use crate::domain::state::{EVIDENCE_DAYS, State, UpdateStatus};
use crate::state::Transition;

impl<F: Forge> Run<'_, F> {
    /// Removes backup points that nobody needs any more.
    pub(super) fn prune(&mut self) -> Result<(), Error> {
        let settings = self.pass.config.backup;
        let retention = backup::Retention { keep_last: settings.keep_last, keep_for: settings.keep_for };
        let in_use: BTreeSet<String> = self
            .world
            .state
            .updates
            .values()
            .filter(|update| matches!(update.status, UpdateStatus::InProgress | UpdateStatus::Held))
            .filter_map(|update| update.backup_id.clone())
            .collect();
        if self.may_not()? {
            return Ok(());
        }
        self.prune_data(&in_use)?;
        let ids: Vec<&str> = self.world.refs.below(backup::PREFIX).map(|(id, _)| id).collect();
        let outdated = backup::outdated(&ids, retention, &in_use, self.pass.now);
        if outdated.is_empty() || self.may_not()? {
            return Ok(());
        }
        let (refs, now) = (self.world.refs.clone(), self.pass.now);
        let effect = Effect::Prune { count: outdated.len() };
        self.effect(effect, |run| Ok(run.pass.backups().prune(&refs, retention, &in_use, now)?)).map(drop)
    }

    /// Takes the evidence of updates that are long over out of the record, which would grow with every pass otherwise. The
    /// updates stay, for `report`; what is taken out stays in the history of the ref.
    pub(super) fn forget_evidence(&mut self) -> Result<(), Error> {
        let now = self.pass.now;
        let what = format!("Forget the evidence of updates that have been over for {EVIDENCE_DAYS} days");
        if self.world.state.outdated_evidence(now).is_empty() || self.may_not()? {
            return Ok(());
        }
        self.record(what.clone(), |state: &mut State| {
            let outdated = state.outdated_evidence(now);
            state.evidence.retain(|id, _| !outdated.contains(id));
            (!outdated.is_empty()).then(|| {
                let ids: Vec<&str> = outdated.iter().map(String::as_str).collect();
                Transition::new(&what).because(ids.join("\n"))
            })
        })
    }
}

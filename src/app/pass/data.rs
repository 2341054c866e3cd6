//! Backups of data on the way of a proposal: looked into before anything is recorded, made before the branch is pushed.

use std::collections::BTreeSet;

use super::{Error, Run, chain};
use crate::app::data::{Made, Request};
use crate::app::forge::Forge;
use crate::app::notify::{Event, Kind};
use crate::domain::backup::DataBackup;
use crate::domain::notice::kind_of;
use crate::domain::plan::{Held, Step};
use crate::domain::state::Update;

impl<F: Forge> Run<'_, F> {
    /// The hold of a step whose data cannot be backed up as things are.
    pub(super) fn held_by_data(&self, step: &Step) -> Option<Held> {
        // What would be made is named after the point, which is not there yet; a person is told a name all the same.
        let id = crate::backup::id_for_step(self.pass.now, self.world.base, &step.component, &step.to);
        let reason = self.pass.data.obstacle(&self.request(&id, &step.component))?;
        Some(Held {
            component: step.component.clone(),
            from: Some(step.from.clone()),
            to: Some(step.to.clone()),
            gate: "backup".to_owned(),
            reason,
            constraint: None,
            policy_applied: Some("backup.data".to_owned()),
            until: None,
        })
    }

    /// Makes the backups of data that belong to an update and waits for them.
    pub(super) fn back_up_data(&mut self, update: &Update, backup_id: &str) -> Result<Made, Error> {
        let request = self.request(backup_id, &update.component);
        let made = self.pass.data.make(&request, self.pass.witness).map_err(Error::from);
        let made = made.inspect_err(|error| self.tell_backup_failed(update, error))?;
        self.effects.extend(made.effects.iter().cloned());
        Ok(made)
    }

    /// Has people told that a backup failed, so that the update goes no further. A stop is no failure.
    pub(super) fn tell_backup_failed(&self, update: &Update, error: &Error) {
        if matches!(error, Error::Stopped(_)) {
            return;
        }
        let event = Event::of_update(Kind::BackupFailed, update, self.pass.now);
        let next = "it goes no further without its backup; the next pass tries it again".to_owned();
        let event = Event { details: Vec::new(), ..event }.because([chain(error)]);
        self.pass.notify.tell(event.then(error.hint()).then([next]));
    }

    fn request<'s>(&'s self, backup_id: &'s str, component: &'s str) -> Request<'s> {
        let known = self.survey.subject(component).map(|subject| &subject.component);
        Request {
            backup_id,
            component,
            kind: known.map_or_else(|| kind_of(component), |known| known.kind.as_str()),
            namespace: known.and_then(|known| known.namespace.as_deref()),
            now: self.pass.now,
        }
    }

    /// What the backup point of an update says of data, for people: what there is, and what is not covered.
    pub(super) fn told_data(&self, update: &Update) -> (Vec<String>, Vec<String>) {
        let point = update
            .backup_id
            .as_ref()
            .and_then(|id| self.pass.backups().known(&self.world.refs, id).ok().flatten());
        point
            .map(|point| (point.data.iter().map(DataBackup::line).collect(), point.not_covered))
            .unwrap_or_default()
    }

    /// Removes old backups of data. That it fails is no reason to fail for anything else.
    pub(super) fn prune_data(&mut self, in_use: &BTreeSet<String>) -> Result<(), Error> {
        match self.pass.data.prune(in_use, self.pass.now, self.pass.witness).map_err(Error::from) {
            Ok(effects) => self.effects.extend(effects),
            Err(error @ Error::Stopped(_)) => return Err(error),
            Err(error) => tracing::warn!(error = %error, "old backups of data were not removed"),
        }
        Ok(())
    }
}

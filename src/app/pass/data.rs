//! Backups of data on the way of a proposal: looked into before anything is recorded, made before the branch is pushed.

use std::collections::BTreeSet;

use super::{Error, Run, UnderWay, chain};
use crate::app::data::{Made, Request};
use crate::app::forge::Forge;
use crate::app::notify::{Event, Kind};
use crate::domain::backup::{BackupPoint, DataBackup, Saved};
use crate::domain::notice::kind_of;
use crate::domain::plan::{Held, RevertSafety, Step};
use crate::domain::rule::health::restore_for;
use crate::domain::state::Update;

/// What people are told of the data of an update.
pub(super) struct ToldData {
    /// What there is, a line each.
    pub(super) backups: Vec<String>,
    /// What is not covered.
    pub(super) not_covered: Vec<String>,
    /// What a person restores as the last way, and from where.
    pub(super) last_way: Option<String>,
}

impl<F: Forge> UnderWay<'_, F> {
    /// The backup point of an update, where there is one that can be read.
    pub(in crate::app) fn point_of(&self, update: &Update) -> Option<BackupPoint> {
        self.pass.backups().known(&self.world.refs, update.backup_id.as_ref()?).ok().flatten()
    }
}

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

    /// What the backup point of an update says of data, for people.
    pub(super) fn told_data(&self, update: &Update) -> ToldData {
        let point = self.point_of(update);
        let data = point.as_ref().map(|point| point.data.as_slice());
        let rules = self.survey.registry.rules();
        let restore = restore_for(rules, &update.component, update.chart.as_deref())
            .filter(|_| update.revert.safety != RevertSafety::Safe);
        ToldData {
            last_way: restore.map(|restore| restore.words(&Saved { id: update.backup_id.as_deref(), data })),
            backups: data.unwrap_or_default().iter().map(DataBackup::line).collect(),
            not_covered: point.map(|point| point.not_covered).unwrap_or_default(),
        }
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

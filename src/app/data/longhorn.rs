//! Snapshots and Backups of volumes, a few at a time, and SystemBackups.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Cluster, DataBackups, DataError, Effect, Ensured, ErrorClass, Go, Request, Resource, Work, all_in,
    resource,
};
use crate::config::LonghornBackups;
use crate::domain::backup::VolumeRecord;
use crate::domain::backup::longhorn::{
    self, Done, Progress, Volume, VolumeScope, backup_progress, claims_of_release, concerned, file_systems,
    snapshot_progress, system_backup_progress, target_obstacle,
};
use crate::domain::settle::kind::Kind;

pub(super) fn snapshots() -> Resource {
    resource("longhorn.io", "v1beta2", "Snapshot", "snapshots")
}

pub(super) fn backups() -> Resource {
    resource("longhorn.io", "v1beta2", "Backup", "backups")
}

pub(super) fn system_backups() -> Resource {
    resource("longhorn.io", "v1beta2", "SystemBackup", "systembackups")
}

/// What is to be made, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Snapshot,
    Backup,
    System,
}

/// One volume, or Longhorn itself, on its way.
struct Item {
    volume: Option<VolumeRecord>,
    stage: Stage,
    /// What is there was made by this pass: where it failed, that counts.
    is_fresh: bool,
    /// What was seen last.
    last: String,
}

enum Advance {
    Waits,
    Moved,
    Finished,
}

/// What is wanted of Longhorn for a step.
struct Wanted {
    volumes: Vec<Volume>,
    system: bool,
    not_covered: Vec<String>,
}

/// Fails where the backups that belong to a step cannot be made as things are.
pub(super) async fn obstacle<C: Cluster>(
    cluster: &C,
    settings: &DataBackups,
    request: &Request<'_>,
) -> Result<(), DataError> {
    let Some(longhorn) = &settings.longhorn else { return Ok(()) };
    wanted(cluster, longhorn, request).await.map(drop)
}

async fn wanted<C: Cluster>(
    cluster: &C,
    settings: &LonghornBackups,
    request: &Request<'_>,
) -> Result<Wanted, DataError> {
    let (id, kind) = (request.component, request.kind);
    let mut wanted =
        Wanted { volumes: vec![], system: settings.wants_system_backup(id, kind), not_covered: vec![] };
    let mut scope = settings.scope(id, kind);
    let namespaces = match (settings.namespaces_of(id, kind), request.namespace) {
        (Some(namespaces), _) => namespaces.to_vec(),
        (None, Some(namespace)) => vec![namespace.to_owned()],
        (None, None) => vec![],
    };
    if namespaces.is_empty() && matches!(scope, VolumeScope::Namespace | VolumeScope::Release) {
        wanted.not_covered.push(format!(
            "no volume: it is not known in which namespace {id} runs; name it as `backup.data.longhorn.namespaces`"
        ));
        scope = VolumeScope::None;
    }
    if scope == VolumeScope::None && !wanted.system {
        return Ok(wanted);
    }
    let own = [settings.namespace.clone()];
    let listed = all_in(cluster, &Resource::of(Kind::LonghornVolume), Some(&own), "").await?;
    let Some(listed) = listed else {
        wanted.not_covered.push("no volume: the cluster has no Longhorn".to_owned());
        wanted.system = false;
        return Ok(wanted);
    };
    let of_release = match scope {
        VolumeScope::Release => {
            let claims =
                all_in(cluster, &Resource::of(Kind::PersistentVolumeClaim), Some(&namespaces), "").await?;
            let pods = all_in(cluster, &Resource::of(Kind::Pod), Some(&namespaces), "").await?;
            claims_of_release(request.release(), &claims.unwrap_or_default(), &pods.unwrap_or_default())
        }
        _ => BTreeSet::new(),
    };
    let volumes = listed.iter().filter_map(Volume::read).collect();
    wanted.volumes = concerned(volumes, scope, &namespaces, &of_release);
    if let Some(obstacle) = wanted.volumes.iter().find_map(Volume::obstacle) {
        return Err(DataError::Obstacle(obstacle));
    }
    wanted.not_covered.extend(wanted.volumes.iter().filter_map(|volume| {
        let warning = volume.warning.as_ref()?;
        Some(format!("volume {} will soon take no more snapshots: {warning}", volume.record.name))
    }));
    if (settings.backups && !wanted.volumes.is_empty()) || wanted.system {
        let targets = all_in(cluster, &Resource::of(Kind::LonghornBackupTarget), Some(&own), "")
            .await?
            .unwrap_or_default();
        let mut names: BTreeSet<&str> =
            wanted.volumes.iter().map(|volume| target_of(settings, &volume.record)).collect();
        if wanted.system {
            names.insert(&settings.target);
        }
        if let Some(obstacle) = names.into_iter().find_map(|name| target_obstacle(&targets, name)) {
            return Err(DataError::Obstacle(obstacle));
        }
    }
    if !wanted.volumes.is_empty() {
        // Nothing is missing where it may not be read: a volume beside it is mounted as ext4 then.
        let persistent = all_in(cluster, &Resource::of(Kind::PersistentVolume), None, "").await;
        let systems = file_systems(&persistent.ok().flatten().unwrap_or_default());
        for volume in &mut wanted.volumes {
            if let Some(system) = systems.get(&volume.record.name) {
                volume.record.fs_type.clone_from(system);
            }
        }
    }
    Ok(wanted)
}

fn target_of<'s>(settings: &'s LonghornBackups, volume: &'s VolumeRecord) -> &'s str {
    if volume.backup_target.is_empty() { &settings.target } else { &volume.backup_target }
}

impl<C: Cluster> Work<'_, C> {
    pub(super) async fn longhorn(&mut self) -> Result<(), DataError> {
        let Some(settings) = &self.settings.longhorn else { return Ok(()) };
        let wanted = loop {
            match wanted(self.cluster, settings, self.request).await {
                Err(DataError::Cluster(error)) if error.class == ErrorClass::Transient => {
                    self.pause(|| vec![error.to_string()]).await?;
                }
                found => break found?,
            }
        };
        self.made.not_covered.extend(wanted.not_covered);
        if !settings.backups && !wanted.volumes.is_empty() {
            self.made.not_covered.push(
                "snapshots lie on the replicas of their volumes: they are no backup against Longhorn itself"
                    .to_owned(),
            );
        }
        let volumes = wanted.volumes.into_iter().map(|volume| Some(volume.record));
        self.all(settings, volumes.collect(), Stage::Snapshot).await?;
        // After the volumes: it takes the backups that are there.
        if wanted.system {
            self.all(settings, vec![None], Stage::System).await?;
        }
        Ok(())
    }

    /// Makes all of them, as many at the same time as is allowed.
    async fn all(
        &mut self,
        settings: &LonghornBackups,
        volumes: Vec<Option<VolumeRecord>>,
        stage: Stage,
    ) -> Result<(), DataError> {
        let mut queue: VecDeque<Item> = volumes
            .into_iter()
            .map(|volume| Item { volume, stage, is_fresh: false, last: "not begun".to_owned() })
            .collect();
        let mut flying: Vec<Item> = Vec::new();
        loop {
            while flying.len() < settings.concurrency
                && let Some(item) = queue.pop_front()
            {
                flying.push(item);
            }
            if flying.is_empty() {
                self.made.data.sort_by(|one, other| (&one.kind, &one.name).cmp(&(&other.kind, &other.name)));
                return Ok(());
            }
            let mut moved = false;
            let mut still = Vec::new();
            for mut item in std::mem::take(&mut flying) {
                match self.advance(settings, &mut item).await {
                    Ok(Advance::Finished) => {
                        moved = true;
                        continue;
                    }
                    Ok(Advance::Moved) => moved = true,
                    Ok(Advance::Waits) => {}
                    // The API server may be away for minutes; there is time until the deadline.
                    Err(DataError::Cluster(error)) if error.class == ErrorClass::Transient => {
                        item.last = error.to_string();
                    }
                    Err(error) => return Err(error),
                }
                still.push(item);
            }
            flying = still;
            if !moved {
                let id = self.request.backup_id;
                let waiting = || {
                    let state = |item: &Item| format!("{}: {}", item.what(settings, id), item.last);
                    flying.iter().chain(&queue).take(20).map(state).collect()
                };
                self.pause(waiting).await?;
            }
        }
    }

    async fn advance(&mut self, settings: &LonghornBackups, item: &mut Item) -> Result<Advance, DataError> {
        let id = self.request.backup_id;
        let (resource, object) = item.object(settings, id);
        let ensured =
            self.ensure(&resource, &settings.namespace, &object, |found| longhorn::is_of(found, id)).await?;
        let found = match ensured {
            Ensured::Skipped => return Ok(item.next(settings)),
            // Looked at again at once: a snapshot often is there in no time.
            Ensured::Made(_) => {
                item.is_fresh = true;
                return Ok(Advance::Moved);
            }
            Ensured::There(found) => found,
        };
        if found["metadata"]["deletionTimestamp"].is_string() {
            item.last = "is being removed".to_owned();
            return Ok(Advance::Waits);
        }
        let (kind, progress) = match item.stage {
            Stage::Snapshot => ("longhorn_snapshot", snapshot_progress(&found)),
            Stage::Backup => ("longhorn_backup", backup_progress(&found)),
            Stage::System => ("longhorn_system_backup", system_backup_progress(&found)),
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match progress {
            Progress::Waiting(state) => {
                item.last = state;
                Ok(Advance::Waits)
            }
            Progress::Done { status, location, made_at } => {
                let done =
                    Done { status: &status, location: location.as_deref(), made_at: made_at.as_deref() };
                let record = longhorn::record(kind, name, &settings.namespace, item.volume.as_ref(), done);
                self.made.data.push(record);
                Ok(item.next(settings))
            }
            // One that an earlier pass left is made anew; one of this pass says how it is.
            Progress::Failed(_) if !item.is_fresh => {
                item.is_fresh = true;
                let effect = Effect::Data { what: format!("remove failed {}", item.what(settings, id)) };
                let go = self.witness.before(&effect)?;
                if go == Go::Do {
                    tracing::info!(effect = %effect, "pass");
                    match self.cluster.delete(&resource, Some(&settings.namespace), name).await {
                        Err(error) if error.class != ErrorClass::NotFound => return Err(error.into()),
                        _ => self.witness.after(&effect)?,
                    }
                }
                self.made.effects.push(effect);
                Ok(if go == Go::Do { Advance::Moved } else { item.next(settings) })
            }
            Progress::Failed(why) => Err(DataError::Failed { what: item.what(settings, id), why }),
        }
    }
}

impl Item {
    fn object(&self, settings: &LonghornBackups, id: &str) -> (Resource, serde_json::Value) {
        let namespace = &settings.namespace;
        match (self.stage, &self.volume) {
            (Stage::Snapshot, Some(volume)) => (snapshots(), longhorn::snapshot(id, namespace, volume)),
            (Stage::Backup, Some(volume)) => {
                (backups(), longhorn::backup(id, namespace, volume, target_of(settings, volume)))
            }
            _ => (system_backups(), longhorn::system_backup(id, namespace)),
        }
    }

    /// Kind and name, and the volume.
    fn what(&self, settings: &LonghornBackups, id: &str) -> String {
        let (resource, object) = self.object(settings, id);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let of = self.volume.as_ref().map(|volume| format!(" of {}", volume.name)).unwrap_or_default();
        format!("{} {}/{name}{of}", resource.kind, settings.namespace)
    }

    /// Goes on to what comes after this.
    fn next(&mut self, settings: &LonghornBackups) -> Advance {
        if self.stage == Stage::Snapshot && settings.backups {
            self.stage = Stage::Backup;
            self.is_fresh = false;
            self.last = "not begun".to_owned();
            return Advance::Moved;
        }
        Advance::Finished
    }
}

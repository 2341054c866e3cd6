//! The backup of a volume that was written: made by Longhorn before an update, and restored into a new volume after it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::pod::{self, Ended, Limits, Task};
use super::storage::{self, ATTACH, READ, READ_BACK};
use super::{EXPIRES, LABEL, Testbed, Tried, not};
use crate::app::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use crate::app::ports::Clock;
use crate::domain::backup::longhorn::{
    self, Progress, Volume, backup_progress, snapshot_progress, target_obstacle,
};
use crate::domain::backup::restore::volume_beside;
use crate::domain::backup::{DataBackup, VolumeRecord};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::record::KeptVolume;

/// Where Longhorn has its objects.
const LONGHORN: &str = "longhorn-system";
/// Name of its CSI driver.
const DRIVER: &str = "driver.longhorn.io";
/// Longest time for the snapshot.
const SNAPSHOT: Duration = Duration::from_secs(120);
/// Longest time for the backup, and for the new volume to have its data.
const COPY: Duration = Duration::from_secs(600);
/// How long a backup that nobody comes back for may be kept.
const KEPT: Duration = Duration::from_secs(8 * 86_400);
/// Time between two looks.
const LOOK: Duration = Duration::from_secs(2);

fn of_longhorn(kind: &str, plural: &str) -> Resource {
    Resource {
        group: "longhorn.io".to_owned(),
        version: "v1beta2".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

fn snapshots() -> Resource {
    of_longhorn("Snapshot", "snapshots")
}

fn backups() -> Resource {
    of_longhorn("Backup", "backups")
}

/// Backs up a volume that was written; returns the name of the backup. Done again, it finds the backup.
///
/// # Errors
///
/// How it did not go: [`Tried::Bad`] where Longhorn says that it failed, [`Tried::Not`] where it could not be tried.
pub(super) async fn backed_up<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: &KeptVolume,
) -> Result<String, Tried> {
    let record = record(testbed, kept).await?;
    let target = if record.backup_target.is_empty() { "default" } else { record.backup_target.as_str() };
    let targets = testbed.cluster.list(&Resource::of(Kind::LonghornBackupTarget), Some(LONGHORN), "").await;
    if let Some(obstacle) = target_obstacle(&targets.map_err(|error| not(&error))?, target) {
        return Err(Tried::Not(obstacle));
    }
    let name = testbed.name("backup");
    let purpose = testbed.purpose;
    let snapshot = ours(testbed, longhorn::snapshot(purpose, LONGHORN, &record), &name);
    ensured(testbed, &snapshots(), &snapshot).await?;
    done(testbed, &snapshots(), &name, SNAPSHOT, snapshot_progress).await?;
    let mut backup = ours(testbed, longhorn::backup(purpose, LONGHORN, &record, target), &name);
    backup["spec"]["snapshotName"] = json!(name);
    backup["metadata"]["labels"]["backup-target"] = json!(target);
    backup["metadata"]["labels"]["backup-volume"] = json!(record.name);
    ensured(testbed, &backups(), &backup).await?;
    done(testbed, &backups(), &name, COPY, backup_progress).await?;
    Ok(name)
}

/// Restores the backup of a volume into a new one, reads and compares it, and removes what was made for that.
pub(super) async fn restored<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: &KeptVolume,
) -> Tried {
    let Some(backup) = &kept.backup else {
        return Tried::Not("no backup was made before the update".to_owned());
    };
    let new = testbed.name("restore");
    let objects = match objects(testbed, kept, backup, &new).await {
        Ok(objects) => objects,
        Err(tried) => return tried,
    };
    // What a killed run has left may be half of a volume.
    clear(testbed, &new).await;
    let tried = match made(testbed, &objects).await {
        Ok(()) => read(testbed, kept, &new).await,
        Err(tried) => tried,
    };
    clear(testbed, &new).await;
    tried
}

/// Removes the backup of a volume, and what a restore may have left.
///
/// # Errors
///
/// It could not be asked for.
pub(super) async fn removed<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: &KeptVolume,
) -> Result<(), Tried> {
    let Some(backup) = &kept.backup else { return Ok(()) };
    clear(testbed, &testbed.name("restore")).await;
    for resource in [backups(), snapshots()] {
        match testbed.cluster.delete(&resource, Some(LONGHORN), backup).await {
            Err(error) if error.class != ErrorClass::NotFound => return Err(not(&error)),
            _ => {}
        }
    }
    Ok(())
}

/// The Longhorn volume behind the claim.
async fn record<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: &KeptVolume,
) -> Result<VolumeRecord, Tried> {
    let asked = |error: ClusterError| not(&error);
    let claims = Resource::of(Kind::PersistentVolumeClaim);
    let claim = testbed.cluster.get(&claims, Some(&kept.namespace), &kept.claim).await.map_err(asked)?;
    let text = |object: &Value, route: &str| {
        object.pointer(route).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let volume = text(&claim, "/spec/volumeName");
    if volume.is_empty() {
        return Err(Tried::Not(format!("the claim {} has no volume", kept.claim)));
    }
    let persistent = testbed.cluster.get(&Resource::of(Kind::PersistentVolume), None, &volume).await;
    let persistent = persistent.map_err(asked)?;
    if text(&persistent, "/spec/csi/driver") != DRIVER {
        return Err(Tried::Not("the volume is not one of Longhorn's; only these are backed up".to_owned()));
    }
    let handle = text(&persistent, "/spec/csi/volumeHandle");
    let object = testbed.cluster.get(&Resource::of(Kind::LonghornVolume), Some(LONGHORN), &handle).await;
    let found = Volume::read(&object.map_err(asked)?);
    let found = found.ok_or_else(|| Tried::Not(format!("Longhorn's volume {handle} has no name")))?;
    match found.obstacle() {
        Some(obstacle) => Err(Tried::Not(obstacle)),
        None => {
            let fs_type = text(&persistent, "/spec/csi/fsType");
            Ok(VolumeRecord { fs_type, namespace: Some(kept.namespace.clone()), ..found.record })
        }
    }
}

/// The same object under a name of ours, known by the label of everything that is made for a trial: it is no part of a
/// backup point.
fn ours<C: Cluster, K: Clock + Sync>(testbed: &Testbed<'_, C, K>, object: Value, name: &str) -> Value {
    let mut object = object;
    let namespace = object.pointer("/metadata/namespace").cloned();
    object["metadata"] = json!({
        "name": name,
        "labels": {"app.kubernetes.io/managed-by": "gitops-updater", LABEL: "true"},
        "annotations": {EXPIRES: testbed.expires(KEPT)},
    });
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace;
    }
    object
}

/// Makes an object, or finds the one that an earlier run made.
async fn ensured<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    resource: &Resource,
    object: &Value,
) -> Result<(), Tried> {
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
    match testbed.cluster.create(resource, namespace, object).await {
        Err(error) if error.class != ErrorClass::Conflict => Err(not(&error)),
        _ => Ok(()),
    }
}

/// Waits until Longhorn has made something; returns where it lies.
async fn done<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    resource: &Resource,
    name: &str,
    limit: Duration,
    progress: fn(&Value) -> Progress,
) -> Result<Option<String>, Tried> {
    let begun = Instant::now();
    loop {
        let seen = testbed.cluster.get(resource, Some(LONGHORN), name).await;
        let waits = match seen {
            Ok(object) => match progress(&object) {
                Progress::Done { location, .. } => return Ok(location),
                Progress::Failed(why) => {
                    return Err(Tried::Bad(super::plain(&format!("the {} failed: {why}", resource.kind))));
                }
                Progress::Waiting(state) => state,
            },
            Err(error) if error.class == ErrorClass::Transient => error.to_string(),
            Err(error) => return Err(not(&error)),
        };
        if begun.elapsed() >= limit {
            // It may be large and slow; that it is not there in our time says nothing bad of it.
            return Err(Tried::Not(super::plain(&format!(
                "the {} was not made within {} s: {waits}",
                resource.kind,
                limit.as_secs()
            ))));
        }
        sleep(LOOK).await;
    }
}

/// The volume, the PersistentVolume and the claim that are made from the backup.
async fn objects<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: &KeptVolume,
    backup: &str,
    new: &str,
) -> Result<Vec<Value>, Tried> {
    let record = record(testbed, kept).await?;
    let location = done(testbed, &backups(), backup, COPY, backup_progress).await?;
    let data = DataBackup {
        kind: "longhorn_backup".to_owned(),
        name: backup.to_owned(),
        namespace: Some(LONGHORN.to_owned()),
        status: "Completed".to_owned(),
        made_at: None,
        location,
        node: None,
        volume: None,
    };
    let objects = volume_beside(&data, &record, new, LONGHORN, &[])
        .map_err(|error| Tried::Not(super::plain(&error.to_string())))?;
    Ok(objects.into_iter().map(|object| ours(testbed, object, new)).collect())
}

fn resource_of(object: &Value) -> Resource {
    Resource::of(match object["kind"].as_str() {
        Some("Volume") => Kind::LonghornVolume,
        Some("PersistentVolume") => Kind::PersistentVolume,
        _ => Kind::PersistentVolumeClaim,
    })
}

async fn made<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    objects: &[Value],
) -> Result<(), Tried> {
    for object in objects {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
        let made = testbed.cluster.create(&resource_of(object), namespace, object).await;
        made.map_err(|error| not(&error))?;
    }
    Ok(())
}

async fn read<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: &KeptVolume,
    new: &str,
) -> Tried {
    let name = testbed.name("rereads");
    let task = Task { name: &name, script: READ_BACK, claim: Some(new), ..Task::default() };
    // Longhorn attaches a volume for use when its data is there.
    let limits = Limits { scheduled: COPY, started: COPY.max(ATTACH), finished: READ };
    let ended = match pod::run(testbed, &task, limits).await {
        // A copy may be slow: that it is not there in our time says nothing bad of it.
        Ended::Unscheduled(why) | Ended::Unstarted(why) => {
            let seconds = COPY.as_secs();
            return Tried::Not(super::plain(&format!(
                "the restored volume was not mounted within {seconds} s: {why}"
            )));
        }
        ended => ended,
    };
    match storage::checksum(testbed, ended, new, "restored").await {
        Ok((sha256, node)) if sha256 == kept.sha256 => {
            Tried::Good(format!("the backup was restored into a new volume and read on {node}"))
        }
        Ok((sha256, node)) => Tried::Bad(format!(
            "what was restored and read on {node} is not what was written: {sha256} instead of {}",
            kept.sha256
        )),
        Err(tried) => tried,
    }
}

/// Removes what a restore makes. The PersistentVolume is kept by its policy: it does not go with its claim.
async fn clear<C: Cluster, K: Clock + Sync>(testbed: &Testbed<'_, C, K>, new: &str) {
    pod::remove(testbed, Kind::PersistentVolumeClaim, new).await;
    for (kind, namespace) in [(Kind::PersistentVolume, None), (Kind::LonghornVolume, Some(LONGHORN))] {
        let resource = Resource::of(kind);
        if let Err(error) = testbed.cluster.delete(&resource, namespace, new).await
            && error.class != ErrorClass::NotFound
        {
            tracing::warn!(
                kind = resource.kind.as_str(),
                name = new,
                reason = error.reason.as_str(),
                "cannot remove what a trial has restored"
            );
            continue;
        }
        storage::gone(testbed, &resource, namespace, new).await;
    }
}

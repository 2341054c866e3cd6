//! Snapshots, Backups and SystemBackups of Longhorn: which volumes are meant, what is created, and how far it is.
//!
//! Fields and states are those of `longhorn.io/v1beta2` (longhorn-manager, `k8s/pkg/apis/longhorn/v1beta2`); its webhooks
//! fill in missing labels and refuse a target that is not there. A Snapshot lies on the replicas of its volume and is no
//! backup against Longhorn itself; both are consistent as after a crash, no more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::names::{MANAGED_BY, MANAGER, POINT_ANNOTATION, POINT_LABEL, key, name_of};
use super::{DataBackup, VolumeRecord};

/// Group and version of everything here.
pub const API_VERSION: &str = "longhorn.io/v1beta2";
/// Longhorn warns of more snapshots of one volume (condition `TooManySnapshots`).
const TOO_MANY: &str = "TooManySnapshots";

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// What is recorded of it.
    pub record: VolumeRecord,
    /// `attached`, `detached`, …
    pub state: String,
    /// `healthy`, `degraded`, `faulted` or `unknown`.
    pub robustness: String,
    /// It is being restored, or follows another one: it has nothing of its own to back up.
    pub is_restoring: bool,
    /// The warning about its snapshots, where there is one.
    pub warning: Option<String>,
}

/// Which volumes belong to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeScope {
    /// Every volume of the cluster.
    All,
    /// None.
    None,
    /// Those that are claimed in the namespaces of the component.
    Namespace,
    /// Of these, those whose claims, or whose pods, are of the release.
    Release,
}

/// How far something is that Longhorn makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not there yet; in the words of Longhorn.
    Waiting(String),
    /// There.
    Done {
        /// State in the words of Longhorn.
        status: String,
        /// Where it lies, where that is said.
        location: Option<String>,
        /// When it was made, where that is said.
        made_at: Option<String>,
    },
    /// It will not be there.
    Failed(String),
}

impl Volume {
    /// Reads a volume; `None` where the object has no name.
    pub fn read(object: &Value) -> Option<Self> {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let claim = |pointer: &str| Some(text(pointer)).filter(|text| !text.is_empty());
        let name = claim("/metadata/name")?;
        // The size is text in v1beta2, and a number in objects that were written by older versions.
        let size = object.pointer("/spec/size");
        let size =
            size.and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok())).unwrap_or_default();
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let warning = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == TOO_MANY && condition["status"] == "True");
        let flag = |pointer: &str| object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
        Some(Self {
            record: VolumeRecord {
                name,
                namespace: claim("/status/kubernetesStatus/namespace"),
                claim: claim("/status/kubernetesStatus/pvcName"),
                size,
                replicas: object.pointer("/spec/numberOfReplicas").and_then(Value::as_u64).unwrap_or(3),
                access_mode: Some(text("/spec/accessMode"))
                    .filter(|mode| !mode.is_empty())
                    .unwrap_or_else(|| "rwo".to_owned()),
                data_engine: text("/spec/dataEngine"),
                fs_type: String::new(),
                encrypted: flag("/spec/encrypted"),
                backup_target: text("/spec/backupTargetName"),
            },
            state: text("/status/state"),
            robustness: text("/status/robustness"),
            is_restoring: flag("/status/restoreRequired") || flag("/spec/Standby"),
            warning: warning.map(|warning| warning["message"].as_str().unwrap_or(TOO_MANY).to_owned()),
        })
    }

    /// Why nothing can be made of it.
    pub fn obstacle(&self) -> Option<String> {
        let name = &self.record.name;
        if self.robustness == "faulted" {
            return Some(format!("volume {name} is faulted: no replica of it can be read"));
        }
        if self.is_restoring {
            return Some(format!("volume {name} is being restored"));
        }
        matches!(self.state.as_str(), "creating" | "deleting")
            .then(|| format!("volume {name} is {}", self.state))
    }

    /// Longhorn attaches a detached volume for the time of a snapshot.
    pub fn is_detached(&self) -> bool {
        self.state == "detached"
    }
}

/// The volumes that are meant, attached ones first, each by name. `of_release` are the claims, as namespace and name, that
/// are of the release.
pub fn concerned(
    mut volumes: Vec<Volume>,
    scope: VolumeScope,
    namespaces: &[String],
    of_release: &BTreeSet<(String, String)>,
) -> Vec<Volume> {
    volumes.retain(|volume| {
        let claim = volume.record.namespace.as_ref().zip(volume.record.claim.as_ref());
        let in_namespace = claim.is_some_and(|(namespace, _)| namespaces.contains(namespace));
        match scope {
            VolumeScope::All => true,
            VolumeScope::None => false,
            VolumeScope::Namespace => in_namespace,
            VolumeScope::Release => {
                in_namespace
                    && claim.is_some_and(|(namespace, name)| {
                        of_release.contains(&(namespace.clone(), name.clone()))
                    })
            }
        }
    });
    volumes.sort_by(|one, other| {
        (one.is_detached(), &one.record.name).cmp(&(other.is_detached(), &other.record.name))
    });
    volumes
}

/// File systems by name of the volume, of PersistentVolumes that Longhorn serves.
pub fn file_systems(volumes: &[Value]) -> BTreeMap<String, String> {
    let of_longhorn = |volume: &Value| {
        let csi = volume.pointer("/spec/csi")?;
        let text = |key: &str| csi.get(key).and_then(Value::as_str).map(str::to_owned);
        (text("driver")? == "driver.longhorn.io").then_some(())?;
        Some((text("volumeHandle")?, text("fsType")?))
    };
    volumes.iter().filter_map(of_longhorn).collect()
}

/// The claims, as namespace and name, that carry a label of the release, and those that its pods mount.
///
/// Flux labels what it installs with `helm.toolkit.fluxcd.io/name`; claims that a StatefulSet makes have the labels of
/// its template, which by convention hold `app.kubernetes.io/instance`.
pub fn claims_of_release(release: &str, claims: &[Value], pods: &[Value]) -> BTreeSet<(String, String)> {
    let of_release = |object: &&Value| {
        ["helm.toolkit.fluxcd.io/name", "app.kubernetes.io/instance", "release"]
            .iter()
            .any(|label| object["metadata"]["labels"][*label] == release)
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labelled = claims
        .iter()
        .filter(of_release)
        .map(|claim| (text(&claim["metadata"]["namespace"]), text(&claim["metadata"]["name"])));
    let mounted = pods.iter().filter(of_release).flat_map(|pod| {
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
        let claims = volumes.into_iter().flatten().filter_map(|volume| {
            volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str).map(str::to_owned)
        });
        claims.map(|claim| (text(&pod["metadata"]["namespace"]), claim)).collect::<Vec<_>>()
    });
    labelled.chain(mounted).collect()
}

/// Why the backup target of this name cannot take backups; `None` where it can.
pub fn target_obstacle(targets: &[Value], name: &str) -> Option<String> {
    let Some(target) = targets.iter().find(|target| target["metadata"]["name"] == name) else {
        return Some(format!("Longhorn has no BackupTarget `{name}`"));
    };
    let url = target.pointer("/spec/backupTargetURL").and_then(Value::as_str).unwrap_or_default();
    if url.is_empty() {
        return Some(format!("the BackupTarget `{name}` of Longhorn has no URL"));
    }
    if target.pointer("/status/available") == Some(&Value::Bool(true)) {
        return None;
    }
    let conditions = target.pointer("/status/conditions").and_then(Value::as_array);
    let why = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Unavailable" && condition["status"] == "True")
        .and_then(|condition| condition["message"].as_str())
        .filter(|message| !message.is_empty());
    let why = why.map(|why| format!(": {}", first_line(why))).unwrap_or_default();
    Some(format!("the BackupTarget `{name}` of Longhorn is not available{why}"))
}

/// A snapshot of a volume, for a backup point.
pub fn snapshot(backup_id: &str, namespace: &str, volume: &VolumeRecord) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "Snapshot",
        "metadata": meta(backup_id, &name_of(backup_id, &volume.name), namespace, &[]),
        "spec": {"volume": volume.name, "createSnapshot": true},
    })
}

/// The backup of that snapshot.
pub fn backup(backup_id: &str, namespace: &str, volume: &VolumeRecord, target: &str) -> Value {
    let name = name_of(backup_id, &volume.name);
    // Longhorn finds volume and target of a Backup by these labels.
    let labels = [("backup-target", target), ("backup-volume", volume.name.as_str())];
    json!({
        "apiVersion": API_VERSION,
        "kind": "Backup",
        "metadata": meta(backup_id, &name, namespace, &labels),
        "spec": {"snapshotName": name, "backupMode": "incremental", "labels": {"gitops-updater": key(backup_id)}},
    })
}

/// A backup of Longhorn's own objects. Volumes that have no backup get one.
pub fn system_backup(backup_id: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "SystemBackup",
        "metadata": meta(backup_id, &key(backup_id), namespace, &[]),
        "spec": {"volumeBackupPolicy": "if-not-present"},
    })
}

fn meta(backup_id: &str, name: &str, namespace: &str, labels: &[(&str, &str)]) -> Value {
    let mut all = serde_json::Map::new();
    all.insert(MANAGED_BY.to_owned(), MANAGER.into());
    all.insert(POINT_LABEL.to_owned(), key(backup_id).into());
    all.extend(labels.iter().map(|(label, value)| ((*label).to_owned(), Value::from(*value))));
    json!({
        "name": name,
        "namespace": namespace,
        "labels": all,
        "annotations": {POINT_ANNOTATION: backup_id},
    })
}

/// Whether an object is what was made for a backup point; another one of its name is somebody else's.
pub fn is_of(object: &Value, backup_id: &str) -> bool {
    object["metadata"]["labels"][MANAGED_BY] == MANAGER
        && object["metadata"]["labels"][POINT_LABEL] == key(backup_id).as_str()
}

/// How far a Snapshot is.
pub fn snapshot_progress(object: &Value) -> Progress {
    let text =
        |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    // Longhorn writes an error, too, while the engine has not started yet: what is ready counts.
    if object.pointer("/status/readyToUse") == Some(&Value::Bool(true)) {
        return Progress::Done {
            status: "readyToUse".to_owned(),
            location: None,
            made_at: text("/status/creationTime").map(str::to_owned),
        };
    }
    if object.pointer("/status/markRemoved") == Some(&Value::Bool(true)) {
        return Progress::Failed("it is marked as removed".to_owned());
    }
    match text("/status/error") {
        Some(error) if error.contains("lost track of the corresponding snapshot") => {
            Progress::Failed(first_line(error))
        }
        Some(error) => Progress::Waiting(first_line(error)),
        None => Progress::Waiting("not ready".to_owned()),
    }
}

/// How far a Backup is.
pub fn backup_progress(object: &Value) -> Progress {
    let text =
        |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    match text("/status/state") {
        Some("Completed") => Progress::Done {
            status: "Completed".to_owned(),
            location: text("/status/url").map(str::to_owned),
            made_at: text("/status/backupCreatedAt").or(text("/status/snapshotCreatedAt")).map(str::to_owned),
        },
        Some(state @ ("Error" | "Unknown")) => {
            Progress::Failed(text("/status/error").map_or_else(|| state.to_owned(), first_line))
        }
        state => {
            let progress = object.pointer("/status/progress").and_then(Value::as_u64).unwrap_or_default();
            Progress::Waiting(format!("{} {progress} %", state.unwrap_or("Pending")))
        }
    }
}

/// How far a SystemBackup is.
pub fn system_backup_progress(object: &Value) -> Progress {
    let text =
        |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    match text("/status/state") {
        Some("Ready") => Progress::Done {
            status: "Ready".to_owned(),
            location: None,
            made_at: text("/status/createdAt").map(str::to_owned),
        },
        Some("Error") => {
            let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
            let why = conditions
                .into_iter()
                .flatten()
                .filter(|condition| condition["type"] == "Error")
                .find_map(|condition| condition["message"].as_str())
                .filter(|why| !why.is_empty());
            Progress::Failed(why.map_or_else(|| "Error".to_owned(), first_line))
        }
        state => Progress::Waiting(state.unwrap_or("Pending").to_owned()),
    }
}

/// What a backup point says of something that is done.
pub fn record(
    kind: &str,
    name: &str,
    namespace: &str,
    volume: Option<&VolumeRecord>,
    done: Done<'_>,
) -> DataBackup {
    DataBackup {
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        status: done.status.to_owned(),
        made_at: done.made_at.map(str::to_owned),
        location: done.location.map(str::to_owned),
        node: None,
        volume: volume.cloned(),
    }
}

/// The parts of [`Progress::Done`].
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    /// State.
    pub status: &'a str,
    /// Where it lies.
    pub location: Option<&'a str>,
    /// When it was made.
    pub made_at: Option<&'a str>,
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests;

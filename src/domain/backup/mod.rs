//! Backup points: what is recorded before a change, so that people and this program can go back.
//!
//! Beside the repository a point may speak of backups of data: of volumes ([`longhorn`]), of etcd ([`etcd`]), and of
//! objects exported into its tree ([`export`]). All of it here is plain data and judgement; `app::data` has it done.

pub mod etcd;
pub mod export;
pub mod kinds;
pub mod longhorn;
pub mod names;
pub mod restore;
mod saved;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use saved::{Restorable, Saved};

use super::component::{Component, Given};
use super::facts::Facts;

/// Version of the record.
pub const SCHEMA: &str = "gitops-updater/backup/v1";

/// What a backup point says about itself: the message of its tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupPoint {
    /// Always `gitops-updater/backup/v1`.
    pub schema: String,
    /// Its id, the last part of its ref.
    pub backup_id: String,
    /// When it was made.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Why, for people.
    pub reason: Option<String>,
    /// Branch that it is a point of, without `refs/heads/`.
    pub branch: String,
    /// Commit of that branch: the tree to go back to.
    pub commit: String,
    /// The step that it was made for; null where a person made it.
    pub step: Option<BackupStep>,
    /// By component id.
    pub components: BTreeMap<String, BackedUp>,
    /// Facts of the cluster, where it was seen.
    pub facts: Option<Facts>,
    /// Newest transition of the state at that moment.
    pub state: Option<String>,
    /// Backups of data that were made with it (Longhorn, etcd).
    #[serde(default)]
    pub data: Vec<DataBackup>,
    /// What it does not cover, and why, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_covered: Vec<String>,
}

/// The step that a backup point was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupStep {
    /// Component id.
    pub component: String,
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
}

/// A component at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackedUp {
    /// Version in Git; null where Git has none.
    pub version: Option<String>,
    /// Files that hold it, sorted.
    pub files: Vec<String>,
}

/// A backup of data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataBackup {
    /// `longhorn_snapshot`, `longhorn_backup`, `longhorn_system_backup`, `etcd_snapshot` or `export`.
    pub kind: String,
    /// Name of the object or file.
    pub name: String,
    /// Namespace of the object, where it has one.
    pub namespace: Option<String>,
    /// Its state when it was recorded, in the words of who made it.
    pub status: String,
    /// When it was made, as who made it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<String>,
    /// Where it lies (URL in the backup store, path on a node).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The node that holds it; `s3` where it was uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The volume that it is of, with all that a volume beside it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeRecord>,
}

/// A volume as it was when it was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeRecord {
    /// Its name (`pvc-…`).
    pub name: String,
    /// Namespace of the claim that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of that claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// In bytes.
    pub size: u64,
    /// Replicas.
    pub replicas: u64,
    /// `rwo`, `rwx` or `rwop`, as Longhorn has it.
    pub access_mode: String,
    /// `v1` or `v2`; empty in versions of Longhorn that have one engine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_engine: String,
    /// File system on it, as its PersistentVolume says; empty where that was not seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fs_type: String,
    /// Whether its content is encrypted: it cannot be used without the Secret of its StorageClass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
    /// Backup target; empty for the default one of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backup_target: String,
}

impl DataBackup {
    /// One line for people: what it is, its name and its state.
    pub fn line(&self) -> String {
        let what = self.kind.replace('_', " ");
        let of = match &self.volume {
            Some(VolumeRecord { namespace: Some(namespace), claim: Some(claim), .. }) => {
                format!(" of {namespace}/{claim}")
            }
            Some(volume) => format!(" of {}", volume.name),
            None => String::new(),
        };
        format!("{what} {}{of}: {}", self.name, self.status)
    }
}

/// Versions and files of what a repository runs.
pub fn components(found: &[Component]) -> BTreeMap<String, BackedUp> {
    let backed_up = |component: &Component| {
        let mut files: Vec<String> = component.pins.iter().map(|pin| pin.file.clone()).collect();
        files.sort();
        files.dedup();
        let version = match &component.given {
            Given::Exact(text) | Given::Range(text) => Some(text.clone()),
            _ => None,
        };
        BackedUp { version, files }
    };
    found.iter().map(|component| (component.id.clone(), backed_up(component))).collect()
}

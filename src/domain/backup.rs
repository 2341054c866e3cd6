//! Backup points: what is recorded before a change, so that people and this program can go back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataBackup {
    /// Such as `longhorn_backup`, `longhorn_system_backup`, `etcd_snapshot`.
    pub kind: String,
    /// Name of the object or file.
    pub name: String,
    /// Namespace of the object, where it has one.
    pub namespace: Option<String>,
    /// Its state when it was recorded, in the words of who made it.
    pub status: String,
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

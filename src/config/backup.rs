//! Which data is backed up before a step, validated.

use std::time::Duration;

use super::detection::Selector;
use crate::domain::backup::export::Bounds;
use crate::domain::backup::longhorn::VolumeScope;

/// Backups of data that are made with a backup point.
#[derive(Debug, Clone)]
pub struct DataBackups {
    /// Whether a step waits where there is no way to the cluster.
    pub required: bool,
    /// How long all backups of one step may take.
    pub timeout: Duration,
    /// Of Longhorn volumes.
    pub longhorn: Option<LonghornBackups>,
    /// Of etcd.
    pub etcd: Option<EtcdBackups>,
    /// Of objects.
    pub export: Option<Exports>,
}

impl Default for DataBackups {
    fn default() -> Self {
        Self {
            required: true,
            timeout: Duration::from_secs(30 * 60),
            longhorn: None,
            etcd: None,
            export: None,
        }
    }
}

impl DataBackups {
    /// Whether nothing is asked for.
    pub fn is_none(&self) -> bool {
        self.longhorn.is_none() && self.etcd.is_none() && self.export.is_none()
    }

    /// Whether anything is made for a component.
    pub fn concern(&self, id: &str, kind: &str) -> bool {
        self.longhorn.as_ref().is_some_and(|longhorn| longhorn.concerns(id, kind))
            || self.etcd.as_ref().is_some_and(|etcd| matches(&etcd.components, id, kind))
            || self.export.as_ref().is_some_and(|export| export.concerns(id, kind))
    }
}

/// Snapshots and backups of Longhorn volumes.
#[derive(Debug, Clone)]
pub struct LonghornBackups {
    /// Namespace of Longhorn.
    pub namespace: String,
    /// Whether each snapshot is copied to the backup target.
    pub backups: bool,
    /// The BackupTarget of volumes that name none.
    pub target: String,
    /// Volumes that are worked on at the same time.
    pub concurrency: usize,
    /// Which volumes belong to which components.
    pub volumes: Vec<(Selector, VolumeScope)>,
    /// Namespaces of components.
    pub namespaces: Vec<(Selector, Vec<String>)>,
    /// Components whose steps come with a SystemBackup.
    pub system_backup: Vec<Selector>,
    /// The newest backup points whose snapshots and backups are kept.
    pub keep_last: usize,
    /// Younger ones are kept.
    pub keep_for: Duration,
}

impl LonghornBackups {
    /// Which volumes belong to a component.
    pub fn scope(&self, id: &str, kind: &str) -> VolumeScope {
        closest(&self.volumes, id, kind).copied().unwrap_or(match kind {
            "longhorn" => VolumeScope::All,
            // Nodes and controllers change, the volumes stay; `all` is for who wants it.
            "k3s" | "flux" => VolumeScope::None,
            _ => VolumeScope::Namespace,
        })
    }

    /// Namespaces that were said to be those of a component.
    pub fn namespaces_of(&self, id: &str, kind: &str) -> Option<&[String]> {
        closest(&self.namespaces, id, kind).map(Vec::as_slice)
    }

    /// Whether a component's steps come with a SystemBackup.
    pub fn wants_system_backup(&self, id: &str, kind: &str) -> bool {
        matches(&self.system_backup, id, kind)
    }

    fn concerns(&self, id: &str, kind: &str) -> bool {
        self.scope(id, kind) != VolumeScope::None || self.wants_system_backup(id, kind)
    }
}

/// Snapshots of etcd.
#[derive(Debug, Clone)]
pub struct EtcdBackups {
    /// Components whose steps need one.
    pub components: Vec<Selector>,
    /// How old it may be.
    pub max_age: Duration,
    /// Namespace and name of the CronJob that makes one.
    pub job: Option<(String, String)>,
}

/// Objects as files.
#[derive(Debug, Clone)]
pub struct Exports {
    /// Components whose steps come with an export; empty = all.
    pub components: Vec<Selector>,
    /// What is exported.
    pub resources: Vec<ExportedResource>,
    /// Namespaces whose Secrets are exported, encrypted.
    pub secrets: Vec<String>,
    /// Public keys of age.
    pub recipients: Vec<String>,
    /// How much.
    pub bounds: Bounds,
}

impl Exports {
    /// Whether a component's steps come with an export.
    pub fn concerns(&self, id: &str, kind: &str) -> bool {
        self.components.is_empty() || matches(&self.components, id, kind)
    }
}

/// A kind of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedResource {
    /// Empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// As in `kind:`.
    pub kind: String,
    /// As in URLs.
    pub plural: String,
    /// Namespaces; empty = that of the component, `*` = all.
    pub namespaces: Vec<String>,
    /// Label selector.
    pub labels: String,
}

impl ExportedResource {
    /// ConfigMaps of the component's namespace.
    pub fn config_maps() -> Self {
        Self {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            plural: "configmaps".to_owned(),
            namespaces: vec![],
            labels: String::new(),
        }
    }
}

fn matches(selectors: &[Selector], id: &str, kind: &str) -> bool {
    selectors.iter().any(|selector| selector.matches(id, kind))
}

/// What the most particular of the selectors that name a component says.
fn closest<'s, T>(entries: &'s [(Selector, T)], id: &str, kind: &str) -> Option<&'s T> {
    let matching =
        entries.iter().filter_map(|(selector, value)| Some((selector.closeness(id, kind)?, value)));
    matching.max_by_key(|(closeness, _)| *closeness).map(|(_, value)| value)
}

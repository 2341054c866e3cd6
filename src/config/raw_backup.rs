//! The part of the configuration file that says which data is backed up before a step, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::words::words;

/// Backups of data that are made with a backup point, before the branch of a step is pushed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `longhorn`, `etcd` and `export`")]
#[schemars(rename = "DataBackups")]
pub(super) struct RawDataBackups {
    /// Whether a step waits where its data cannot be backed up because there is no way to the cluster; otherwise the
    /// backup point says that there is no backup. Default: `true`.
    pub(super) required: Option<bool>,
    /// How long all backups of one step may take. What is not done then stops the step until the next run finds it
    /// done. Default: `30m`, at most 6h.
    pub(super) timeout: Option<String>,
    /// Snapshots and backups of Longhorn volumes. Default: none.
    pub(super) longhorn: Option<RawLonghornBackups>,
    /// Snapshots of the etcd that is inside of k3s. Default: none.
    pub(super) etcd: Option<RawEtcdBackups>,
    /// Objects of the cluster as files of the backup point. Default: none.
    pub(super) export: Option<RawExports>,
}

/// Snapshots and backups of Longhorn volumes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of Longhorn settings")]
#[schemars(rename = "LonghornBackups")]
pub(super) struct RawLonghornBackups {
    /// Whether they are made. Default: `true` where the block is there.
    pub(super) enabled: Option<bool>,
    /// Namespace of Longhorn. Default: `longhorn-system`.
    pub(super) namespace: Option<String>,
    /// Whether each snapshot is copied to the backup target, too: a snapshot alone lies on the replicas of its volume and
    /// is no backup against Longhorn itself. Default: `true`.
    pub(super) backups: Option<bool>,
    /// The BackupTarget, for volumes that name none. Default: `default`.
    pub(super) target: Option<String>,
    /// Volumes that are worked on at the same time; detached ones are attached for it. Default: `3`, at most 20.
    #[schemars(range(min = 1, max = 20))]
    pub(super) concurrency: Option<u32>,
    /// Which volumes belong to a component, by kind, id or pattern of ids; the most particular key wins.
    /// Default: `longhorn: all`, `k3s: none`, `flux: none`, everything else `namespace`.
    pub(super) volumes: BTreeMap<String, RawVolumeScope>,
    /// Namespaces that a component's volumes are claimed in, where the one of its manifest is not all of them, by kind,
    /// id or pattern of ids. Default: that of the manifest.
    pub(super) namespaces: BTreeMap<String, Vec<String>>,
    /// Components whose steps come with a SystemBackup of Longhorn's own objects. Default: `longhorn`.
    pub(super) system_backup: Option<Vec<String>>,
    /// The newest backup points whose snapshots and backups are kept, whatever their age. Default: `5`, at most 100.
    #[schemars(range(min = 1, max = 100))]
    pub(super) keep_last: Option<u32>,
    /// Younger snapshots and backups are kept; those of updates under way are never removed, nor those that the program
    /// did not make. Default: `14d`.
    pub(super) keep_for: Option<String>,
}

words! {
    /// Which volumes belong to a component.
    RawVolumeScope as "VolumeScope", "word for volumes" {
        /// Every volume.
        All = "all",
        /// None.
        None = "none",
        /// Those claimed in its namespaces.
        Namespace = "namespace",
        /// Those that the labels of its release are on, or that its pods mount.
        Release = "release",
    }
}

/// Snapshots of the etcd that is inside of k3s.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of etcd settings")]
#[schemars(rename = "EtcdBackups")]
pub(super) struct RawEtcdBackups {
    /// Whether a snapshot is asked for. Default: `true` where the block is there.
    pub(super) enabled: Option<bool>,
    /// Components whose steps need one. Default: `k3s`.
    pub(super) components: Option<Vec<String>>,
    /// How old it may be; without `job` the step is held until there is one. Default: `24h`, at most 30d.
    pub(super) max_age: Option<String>,
    /// A CronJob, as `namespace/name`, that runs `k3s etcd-snapshot save`: a Job is made from it before each step. It may
    /// be suspended. Default: none.
    pub(super) job: Option<String>,
}

/// Objects of the cluster as files of the backup point.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of export settings")]
#[schemars(rename = "Exports")]
pub(super) struct RawExports {
    /// Whether they are made. Default: `true` where the block is there.
    pub(super) enabled: Option<bool>,
    /// Components whose steps come with an export. Default: all.
    pub(super) components: Option<Vec<String>>,
    /// What is exported. Default: the ConfigMaps of the component's namespace.
    pub(super) resources: Option<Vec<RawExportedResource>>,
    /// Namespaces whose Secrets are exported, encrypted for `recipients` and never otherwise (only in a file outside the
    /// repository, named with `--config`). Default: none.
    pub(super) secrets: Vec<String>,
    /// Public keys of age, `age1…`: their owners alone can read the exported Secrets (only in a file outside the
    /// repository, named with `--config`). Without any, no Secret is exported. Default: none.
    pub(super) recipients: Vec<String>,
    /// Most objects of one export. Default: `2000`, at most 20000.
    #[schemars(range(min = 1, max = 20_000))]
    pub(super) max_objects: Option<u32>,
    /// Most bytes of one export; what is too much is left out and named in the backup point. Default: `4194304`
    /// (4 MiB), at most 32 MiB.
    #[schemars(range(min = 1, max = 33_554_432))]
    pub(super) max_bytes: Option<u64>,
}

/// A kind of objects.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `kind` and `plural`")]
#[schemars(rename = "ExportedResource")]
pub(super) struct RawExportedResource {
    /// Group and version, as in `apiVersion:`; needed for every kind that is not of the API `v1`, such as
    /// `api_version: apps/v1` for a Deployment. Default: `v1`.
    pub(super) api_version: Option<String>,
    /// As in `kind:`; `Secret` is refused here. No default.
    pub(super) kind: String,
    /// As in URLs. Default: the kind in lower case with an `s` behind it; `es` after `s`, `ies` for `y`.
    pub(super) plural: Option<String>,
    /// Namespaces; `*` stands for all, and for kinds without one. Default: that of the component.
    pub(super) namespaces: Vec<String>,
    /// Label selector. Default: all.
    pub(super) labels: String,
}

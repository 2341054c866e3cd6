//! `.gitops-updater.yaml`: read strictly, every error with file, line, column and field.
//!
//! Raw structures (`raw`) hold what is written and document it; [`parse`] turns them into a [`Config`] and collects
//! all errors on the way. Nothing here reads the environment: credentials are named here and fetched by the
//! command line.

mod backup;
mod detection;
mod hosts;
mod load;
mod notifications;
mod overrides;
mod policy;
mod proposal;
mod raw;
mod raw_backup;
mod raw_notifications;
mod raw_policy;
mod raw_proposal;
mod raw_validation;
mod settling;
mod upstreams;
mod validate;
mod validate_backup;
mod validate_notifications;
mod validate_policy;
mod validate_proposal;
mod validate_upstreams;
mod validate_validation;
mod validation;
mod values;
mod words;

use std::fmt;
use std::path::Path;

pub use backup::{DataBackups, EtcdBackups, ExportedResource, Exports, LonghornBackups};
pub use detection::{Decided, Detection, KINDS, Selector, Settings};
pub use hosts::Host;
pub use load::{Error, FILE_NAME, find, from_bytes, load};
pub use notifications::{Address, Channel as NotifyChannel, ChannelKind, Metrics, Notifications, Secret};
pub use overrides::{Channel, Repository};
pub use policy::{Policy, WindowRule};
pub use proposal::{Backup, Commits, Dashboard, Forge, ForgeKind, Identity, Limits, PullRequests, Templates};
pub use settling::{Recorded, recorded_policy};
pub use upstreams::{CredentialVariables, DockerConfig, Github, HostSettings, MapTarget, Mapping, Upstreams};
pub use validate_policy::window_from_line;
pub use validation::{Recovery, RevertBy, Validation, ValidationFor};
pub(crate) use values::duration;

use crate::domain::apis::RemovedApi;
use crate::domain::policy::ComponentPolicy;
use crate::domain::policy::window::Window;
use crate::strict::{de, tree};

/// Commented example, written by `config init`.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// Configurations larger than this are refused, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// Who wrote a configuration, and so what it may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It was found in the repository that is looked at: whoever may open a pull request may have written it. It
    /// may not read files outside the repository, run programs, or choose who is sent which secret.
    Repository,
    /// The user named it with `--config`, and it lies outside the repository.
    User,
}

/// Where the text of a configuration comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Name for messages, such as `.gitops-updater.yaml`.
    pub name: &'a str,
    /// Who wrote it.
    pub trust: Trust,
    /// Folder that it lies in; `None` where it was read from a revision and not from a folder.
    pub folder: Option<&'a Path>,
    /// Folder of the repository that it lies in, for [`Trust::Repository`].
    pub repository: Option<&'a Path>,
}

/// One error in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Name of the file.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Path of the field, such as `detection.k3s.minimum_version`; empty for the file as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// A validated configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether anything is proposed, merged or reverted (the kill switch).
    pub enabled: bool,
    /// What to look for.
    pub detection: Detection,
    /// Which files are read.
    pub files: Files,
    /// Cluster entry points; empty = found in the repository.
    pub clusters: Vec<Cluster>,
    /// Architectures that releases must have a file for; empty = those that the repository names.
    pub architectures: Vec<String>,
    /// How upstreams are reached.
    pub upstreams: Upstreams,
    /// What may be proposed, and who approves it.
    pub policy: Policy,
    /// How much may be under way at the same time.
    pub limits: Limits,
    /// Times in which pull requests may be opened and merged; empty = always.
    pub windows: Vec<WindowRule>,
    /// Kubernetes APIs that are no longer served, which come before those that the program knows.
    pub kubernetes_apis: Vec<RemovedApi>,
    /// Where pull requests are opened.
    pub forge: Forge,
    /// What pull requests look like, and how they are merged.
    pub pull_requests: PullRequests,
    /// Who commits, and how.
    pub commits: Commits,
    /// The issue that lists everything.
    pub dashboard: Dashboard,
    /// Which backup points are kept.
    pub backup: Backup,
    /// Who is told what, and where.
    pub notifications: Notifications,
    /// Numbers about passes.
    pub metrics: Metrics,
    /// Backups of data that are made with a backup point.
    pub data_backups: DataBackups,
    /// How a merged update is proven healthy.
    pub validation: Validation,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            detection: Detection::default(),
            files: Files::default(),
            clusters: vec![],
            architectures: vec![],
            upstreams: Upstreams::default(),
            policy: Policy::default(),
            limits: Limits::default(),
            windows: vec![],
            kubernetes_apis: vec![],
            forge: Forge::default(),
            pull_requests: PullRequests::default(),
            commits: Commits::default(),
            dashboard: Dashboard::default(),
            backup: Backup::default(),
            notifications: Notifications::default(),
            metrics: Metrics::default(),
            data_backups: DataBackups::default(),
            validation: Validation::default(),
        }
    }
}

impl Config {
    /// What holds for a component: defaults, then its kind, then patterns, then its id; of each value, which key
    /// decided it.
    pub fn settings_for(&self, id: &str, kind: &str) -> Settings {
        self.detection.settings_for(id, kind)
    }

    /// What policy says about a component whose applied pins are in `files`; of each value, which key decided it.
    pub fn policy_for(
        &self,
        id: &str,
        kind: &str,
        namespace: Option<&str>,
        files: &[&str],
    ) -> ComponentPolicy {
        self.policy.for_component(id, kind, namespace, files)
    }

    /// The windows of a component: those that name it, else those that name none. Empty = it needs no window.
    pub fn windows_for(&self, id: &str, kind: &str) -> Vec<&Window> {
        policy::windows_for(&self.windows, id, kind)
    }
}

/// Which files of the repository are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Patterns of paths that are not read, as written and known to be globs: `*` stops at `/`, `**` does not, a
    /// pattern without `/` matches at any depth.
    pub exclude: Vec<String>,
    /// Read files that Git ignores.
    pub include_ignored: bool,
    /// Larger files are listed and not read, in bytes.
    pub max_size: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self { exclude: vec![], include_ignored: false, max_size: 10 << 20 }
    }
}

/// The entry point of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Name in ids and reports.
    pub name: String,
    /// Folder within the repository, `/`-separated, without `./` and slash at the end; empty = the repository itself.
    pub path: String,
}

/// Reads and validates the text of a configuration.
///
/// # Errors
///
/// All that is wrong, in the order of the file.
pub fn parse(text: &str, origin: &Origin<'_>) -> Result<Config, Vec<Finding>> {
    let mut checker = validate::Checker::new(origin);
    let config = checker.config(text);
    checker.finish().map(|()| config)
}

/// Reads the address of a channel that is kept apart from the configuration.
///
/// # Errors
///
/// It is none; the text is not repeated.
pub fn channel_address(kind: &ChannelKind, text: &str) -> Result<url::Url, String> {
    validate_notifications::address_of(kind, text)
}

/// The JSON Schema of the configuration.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::RawConfig).to_value()
}

#[cfg(test)]
mod backup_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trust_tests;
#[cfg(test)]
mod validation_tests;

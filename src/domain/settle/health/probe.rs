//! What is tried beside looking: addresses, the network and the storage from inside, Jobs and programs of the user.
//!
//! Plain data; who tries it lies outside.

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

/// Image of the small Pods where none is configured.
pub const DEFAULT_IMAGE: &str = "docker.io/library/busybox:1.37";
/// Namespace of the small Pods where none is configured.
pub const DEFAULT_NAMESPACE: &str = "gitops-updater";
/// First part of the name of results about the volume that is written and read back.
pub const STORAGE: &str = "storage";
/// First part of the name of results about the volume that is restored from a backup.
pub const RESTORE: &str = "restore";
/// The name that every Pod of a cluster can resolve.
pub const CLUSTER_NAME: &str = "kubernetes.default.svc";

/// Where a probe is asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vantage {
    /// Where this program runs.
    Here,
    /// A Pod of the cluster.
    Cluster,
}

/// An address that must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// Name in reports and recordings.
    pub name: String,
    /// What is asked.
    pub target: Target,
    /// Where it is asked from.
    pub from: Vantage,
    /// Longest time for an answer.
    pub timeout: Duration,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A URL answers as expected.
    Http(Box<HttpTarget>),
    /// A port takes a connection.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A name resolves.
    Dns {
        /// The name.
        name: String,
        /// Each must be among the answers; empty = any answer will do.
        expect: Vec<IpAddr>,
    },
}

/// A URL and what its answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// Asked with GET; redirects are not followed.
    pub url: Url,
    /// Codes that are good.
    pub status: Vec<RangeInclusive<u16>>,
    /// Text that the beginning of the body must hold.
    pub contains: Option<String>,
    /// Days that the certificate must still be good for.
    pub certificate_days: Option<u32>,
    /// Environment variable with a bearer token.
    pub token_variable: Option<String>,
}

impl HttpTarget {
    /// Whether a code is good.
    pub fn takes(&self, code: u16) -> bool {
        self.status.iter().any(|range| range.contains(&code))
    }
}

/// Small Pods by which the cluster is tried from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pods {
    /// Namespace that they are made in.
    pub namespace: String,
    /// Their image.
    pub image: String,
    /// Secrets for pulling it.
    pub image_pull_secrets: Vec<String>,
    /// Longest life of one.
    pub timeout: Duration,
}

impl Default for Pods {
    fn default() -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            image: DEFAULT_IMAGE.to_owned(),
            image_pull_secrets: vec![],
            timeout: Duration::from_secs(120),
        }
    }
}

/// What is tried of the network from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Names that must resolve in a Pod.
    pub names: Vec<String>,
    /// Whether a Pod must reach one on another node, directly and through a Service.
    pub pods: bool,
}

/// The volume that is written before an update, and read back on another node after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSpec {
    /// StorageClass; `None` = the cluster's default one.
    pub storage_class: Option<String>,
    /// Size of the volume, in bytes.
    pub size: u64,
    /// Bytes that are written.
    pub data: u64,
    /// Whether the volume is backed up by Longhorn, and the backup restored into a new volume after the update.
    pub restore: bool,
}

/// A Job of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestJob {
    /// Manifest, relative to the root of the repository.
    pub manifest: String,
    /// Namespace that it is made in.
    pub namespace: String,
    /// Longest time for it.
    pub timeout: Duration,
}

/// A program of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// Program and arguments; never empty.
    pub run: Vec<String>,
    /// Longest time for it.
    pub timeout: Duration,
    /// Environment variables that it gets beside `PATH`.
    pub pass: Vec<String>,
}

/// Everything that is to be tried for an update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trials {
    /// Addresses.
    pub probes: Vec<ProbeSpec>,
    /// How Pods are made.
    pub pods: Pods,
    /// The network from inside.
    pub network: Option<NetworkSpec>,
    /// The storage.
    pub storage: Option<StorageSpec>,
    /// The user's Job.
    pub test_job: Option<TestJob>,
    /// The user's program.
    pub command: Option<CommandSpec>,
}

impl Trials {
    /// Names of everything that is tried, as results carry them.
    pub fn names(&self) -> BTreeSet<String> {
        let fixed = [
            self.network.as_ref().filter(|network| !network.names.is_empty()).map(|_| "network/dns"),
            self.network.as_ref().filter(|network| network.pods).map(|_| "network/pods"),
            self.storage.as_ref().map(|_| STORAGE),
            self.storage.as_ref().filter(|storage| storage.restore).map(|_| RESTORE),
            self.test_job.as_ref().map(|_| "test_job"),
            self.command.as_ref().map(|_| "command"),
        ];
        let named = self.probes.iter().map(|probe| format!("probe/{}", probe.name));
        fixed.into_iter().flatten().map(str::to_owned).chain(named).collect()
    }

    /// The same for one update: it has a volume of its own.
    pub fn names_for(&self, update: &str) -> BTreeSet<String> {
        let named = self.names().into_iter().map(|name| match name.as_str() {
            STORAGE | RESTORE => format!("{name}/{update}"),
            _ => name,
        });
        named.collect()
    }

    /// Whether anything of it needs a cluster.
    pub fn needs_a_cluster(&self) -> bool {
        self.network.is_some()
            || self.storage.is_some()
            || self.test_job.is_some()
            || self.probes.iter().any(|probe| probe.from == Vantage::Cluster)
    }
}

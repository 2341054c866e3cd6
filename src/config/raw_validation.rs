//! The part of the configuration file that says how a merged update is proven healthy, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::words::words;

/// How a merged update is proven healthy, and what is done where it is not.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of validation settings")]
#[schemars(rename = "Validation")]
pub(super) struct RawValidation {
    /// Time between two looks at the cluster. Default: `10s`, from `1s` to `5m`.
    pub(super) sample: Option<String>,
    /// Time after the change was applied in which nothing is judged; restarts of controllers and nodes begin it anew.
    /// Default: `2m`, at most `1h`.
    pub(super) settle: Option<String>,
    /// How long an update is watched after that, and how long a failure is tolerated that is tried again for ever;
    /// at most `24h`. One that is configured here is also the longest patience of every check, but for what rebuilds.
    /// Default: charts have 10 minutes, Flux and k3s (after the last node) 15, Longhorn 30, others 5.
    pub(super) window: Option<String>,
    /// Good samples in a row that end the window well. Default: `5`, at most 100.
    #[schemars(range(min = 1, max = 100))]
    pub(super) good_samples: Option<u32>,
    /// Bad samples among the last `bad_of` that are a regression. Default: `3`.
    #[schemars(range(min = 1, max = 100))]
    pub(super) bad_samples: Option<u32>,
    /// Samples that `bad_samples` looks back at. Default: `5`, at most 100.
    #[schemars(range(min = 1, max = 100))]
    pub(super) bad_of: Option<u32>,
    /// Share of bad samples in the window above which it did not go well, from 0 to 1. Default: `0.1`.
    pub(super) failure_rate: Option<Rate>,
    /// Changes between good and bad within the window from which on nobody can say. Default: `3`, from 2 to 100.
    #[schemars(range(min = 2, max = 100))]
    pub(super) state_changes: Option<u32>,
    /// Longest time for one update, whatever happens; after that it is held. Default: `2h`, at most `7d`.
    pub(super) cap: Option<String>,
    /// What counts where no cluster can be reached: `statuses` (commit statuses that Flux's notification-controller
    /// writes to the forge, for what they cover) or `nothing`. Default: `statuses`.
    pub(super) without_cluster: Option<RawWithoutCluster>,
    /// Whether Flux is asked to fetch a merge, or a revert, at once, instead of at its interval. Default: `false`.
    pub(super) reconcile: Option<bool>,
    /// What is tried, once, before a revert: `reconcile` (ask Flux to reconcile), `reset_release` (reset a HelmRelease
    /// whose retries ran out), `uncordon` (a node that is back on the new version and that the upgrade's own Job left
    /// cordoned; also where the update is held). Default: none.
    pub(super) recovery: Option<Vec<RawRecovery>>,
    /// How a revert is made: `push` (by pull request where the branch is protected) or `pull_request`.
    /// Default: `push`.
    pub(super) revert_by: Option<RawRevertBy>,
    /// Whether a rollout of k3s that went wrong is stopped in Git, so that no further node follows: its Plans get
    /// `concurrency: 0`, in the way in which a revert is made. Default: `true`.
    pub(super) stop_rollouts: Option<bool>,
    /// Per component kind, id or pattern of ids; the more exact key wins. Default: what rules say.
    pub(super) components: BTreeMap<String, RawComponentValidation>,
    /// Addresses that must answer before and after an update as well as by `health --try`; those that are asked from
    /// here are asked in every sample of the window. Default: none.
    pub(super) probes: Vec<RawProbe>,
    /// Small Pods by which the cluster is tried from inside. Default: see its keys.
    pub(super) pods: RawPods,
    /// Try names and the way from Pod to Pod, from inside the cluster, before and after updates that a rule or a key
    /// below `components` names. Default: not tried.
    pub(super) network: Option<RawNetwork>,
    /// Write to a volume before an update that a rule or a key below `components` names, and read it back on another
    /// node after it. Default: not tried.
    pub(super) storage: Option<RawStorage>,
    /// A Job of your own that must succeed after every update; it is run before it, too. Default: none.
    pub(super) test_job: Option<RawTestJob>,
    /// A program of your own that must end with 0 after every update; it is run before it, too (only in a file outside
    /// the repository, named with `--config`). Default: none.
    pub(super) command: Option<RawCommand>,
}

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate(pub(super) f64);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Share;
        impl serde::de::Visitor<'_> for Share {
            type Value = Rate;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a share such as `0.1`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Rate, E> {
                let number = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
                number.map(Rate).ok_or_else(|| E::custom("not a share from 0 to 1"))
            }
        }
        // The reader hands plain numbers out as they are written.
        deserializer.deserialize_str(Share)
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

words! {
    /// What counts where no cluster can be reached.
    RawWithoutCluster as "WithoutCluster", "evidence" {
        /// Commit statuses of Flux.
        Statuses = "statuses",
        /// Nothing: it is waited for a view of the cluster.
        Nothing = "nothing",
    }
}

words! {
    /// A recovery that is known to be safe.
    RawRecovery as "Recovery", "recovery" {
        /// Ask Flux to reconcile.
        Reconcile = "reconcile",
        /// Reset a HelmRelease whose retries ran out.
        ResetRelease = "reset_release",
        /// Uncordon nodes that the upgrade's own Job left cordoned.
        Uncordon = "uncordon",
    }
}

words! {
    /// How a revert is made.
    RawRevertBy as "RevertBy", "way to revert" {
        /// By push; by pull request where the branch is protected.
        Push = "push",
        /// By pull request.
        PullRequest = "pull_request",
    }
}

/// How some components are validated.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of validation settings")]
#[schemars(rename = "ComponentValidation")]
pub(super) struct RawComponentValidation {
    /// As the key of the same name above. Default: `validation.settle`.
    pub(super) settle: Option<String>,
    /// How long the update is watched. Default: what rules say.
    pub(super) window: Option<String>,
    /// As the key of the same name above. Default: `validation.cap`.
    pub(super) cap: Option<String>,
    /// As the key of the same name above. Default: `validation.recovery`.
    pub(super) recovery: Option<Vec<RawRecovery>>,
    /// Names of the probes that are asked before and after these updates. Default: all.
    pub(super) probes: Option<Vec<String>>,
    /// Whether the storage is tried. Default: what rules say, where `validation.storage` is given.
    pub(super) storage: Option<bool>,
    /// Whether the network is tried. Default: what rules say, where `validation.network` is given.
    pub(super) network: Option<bool>,
}

/// An address that must answer: exactly one of `http`, `tcp` and `dns`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `name` and one of `http`, `tcp` and `dns`")]
#[schemars(rename = "Probe")]
pub(super) struct RawProbe {
    /// Name in reports: letters, digits, `-`, `_`, `.`. No default.
    pub(super) name: String,
    /// URL that is asked with GET; redirects are not followed. Default: none.
    pub(super) http: Option<String>,
    /// `host:port` that must take a connection. Default: none.
    pub(super) tcp: Option<String>,
    /// Name that must resolve. Default: none.
    pub(super) dns: Option<String>,
    /// With `http`: codes that are good, such as `200` or `300-399`. Default: `200-299`.
    pub(super) status: Option<Vec<StatusText>>,
    /// With `http`: text that the first 64 KiB of the answer must hold. Default: none.
    pub(super) contains: Option<String>,
    /// With `https://`: days that the certificate must still be good for. Default: not looked at.
    #[schemars(range(min = 1, max = 3650))]
    pub(super) certificate_days: Option<u32>,
    /// With `http`: environment variable that holds a bearer token. In a file that lies in the repository itself the
    /// name must be `GITOPS_UPDATER_HOST_<HOST>_TOKEN`. Default: none.
    pub(super) token_env: Option<String>,
    /// With `dns`: addresses of which each must be among the answers. Default: any answer.
    pub(super) expect: Vec<String>,
    /// Where it is asked from: `here` (where this program runs) or `cluster` (a Pod). Default: `here`.
    pub(super) from: Option<RawVantage>,
    /// Longest time for an answer. Default: `10s`, at most `60s`.
    pub(super) timeout: Option<String>,
}

/// A code, or a range of codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusText(pub(super) String);

impl<'de> Deserialize<'de> for StatusText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl serde::de::Visitor<'_> for Either {
            type Value = StatusText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a code such as `200`, or a range such as `200-299`")
            }

            fn visit_u64<E: serde::de::Error>(self, code: u64) -> Result<StatusText, E> {
                Ok(StatusText(code.to_string()))
            }

            fn visit_i64<E: serde::de::Error>(self, code: i64) -> Result<StatusText, E> {
                Ok(StatusText(code.to_string()))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StatusText, E> {
                Ok(StatusText(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for StatusText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["integer", "string"] })
    }
}

words! {
    /// Where a probe is asked from.
    RawVantage as "Vantage", "place" {
        /// Where this program runs.
        Here = "here",
        /// A Pod of the cluster.
        Cluster = "cluster",
    }
}

/// Small Pods by which the cluster is tried from inside; they are removed afterwards.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of Pod settings")]
#[schemars(rename = "Pods")]
pub(super) struct RawPods {
    /// Namespace that they are made in; it must be there. Default: `gitops-updater`.
    pub(super) namespace: Option<String>,
    /// Image with a shell and BusyBox' programs. Default: `docker.io/library/busybox:1.37`.
    pub(super) image: Option<String>,
    /// Secrets for pulling it. Default: none.
    pub(super) image_pull_secrets: Vec<String>,
    /// Longest time for one Pod from its creation to its end. Default: `2m`, at most `15m`.
    pub(super) timeout: Option<String>,
}

/// What is tried of the network from inside.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of network settings")]
#[schemars(rename = "Network")]
pub(super) struct RawNetwork {
    /// Names that must resolve in a Pod. Default: `kubernetes.default.svc`.
    pub(super) names: Option<Vec<String>>,
    /// Whether a Pod must reach a Pod on another node, directly and through a Service. Default: `true`.
    pub(super) pods: Option<bool>,
}

/// The volume that is written and read back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of storage settings")]
#[schemars(rename = "Storage")]
pub(super) struct RawStorage {
    /// StorageClass. Default: the cluster's default one.
    pub(super) storage_class: Option<String>,
    /// Size of the volume, such as `1GiB`. Default: `1GiB`, at most `100GiB`.
    pub(super) size: Option<String>,
    /// Data that is written, such as `16MiB`. Default: `16MiB`, at most `1GiB`.
    pub(super) data: Option<String>,
    /// Whether the volume, which must be one of Longhorn's, is also backed up before an update, and its backup restored
    /// into a new volume after it; `health --try` does not. Default: `false`.
    pub(super) restore: Option<bool>,
}

/// A Job of your own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `manifest` and `namespace`")]
#[schemars(rename = "TestJob")]
pub(super) struct RawTestJob {
    /// Manifest of one `batch/v1` Job, relative to the root of the repository, as it stands on the base branch.
    /// No default.
    pub(super) manifest: String,
    /// Namespace that it is made in. No default.
    pub(super) namespace: String,
    /// Longest time for it. Default: `10m`, at most `2h`.
    pub(super) timeout: Option<String>,
}

/// A program of your own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `run`")]
#[schemars(rename = "Command")]
pub(super) struct RawCommand {
    /// The program, absolute or found on `PATH`, and its arguments; no shell reads them. No default.
    pub(super) run: Vec<String>,
    /// Longest time for it; then it is killed. Default: `5m`, at most `1h`.
    pub(super) timeout: Option<String>,
    /// Environment variables that it gets beside `PATH`. Default: none.
    pub(super) pass: Vec<String>,
}

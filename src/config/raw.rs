//! The configuration file as it is written; the documentation of every key and the JSON Schema come from here.
//!
//! Text fields stay text here; `super::validate` gives them their meaning.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::raw_notifications::{RawMetrics, RawNotifications};
use super::raw_policy::{RawKubernetesApi, RawLimits, RawPolicy, RawWindow};
use super::raw_proposal::{RawBackup, RawCommits, RawDashboard, RawForge, RawPullRequests};
use super::raw_validation::RawValidation;
use super::words::words;

/// Configuration of gitops-updater (`.gitops-updater.yaml`). Every key may be left out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of settings")]
#[schemars(title = "gitops-updater configuration", rename = "Configuration")]
pub(super) struct RawConfig {
    /// Version of this file's shape. Default: `1`, the only one.
    #[schemars(range(min = 1, max = 1))]
    pub(super) version: Option<u32>,
    /// Whether anything is proposed, merged or reverted at all; `false` stops every effect but recording and telling
    /// (the kill switch). Default: `true`.
    pub(super) enabled: Option<bool>,
    /// What to look for, per component. Default: everything, stable versions only.
    pub(super) detection: RawDetection,
    /// Which files of the repository are read. Default: all that Git does not ignore.
    pub(super) files: RawFiles,
    /// Cluster entry points, where the repository describes several clusters and they are not recognised by
    /// themselves. Default: found in the repository.
    pub(super) clusters: Vec<RawCluster>,
    /// CPU architectures of the nodes; releases that lack a file for one of them are not proposed.
    /// Default: those that the repository names, if any.
    pub(super) architectures: Vec<RawArchitecture>,
    /// How release servers, chart repositories, registries and forges are reached. Default: directly, without
    /// credentials but those of `docker login` and the GitHub token of the environment.
    pub(super) upstreams: RawUpstreams,
    /// What may be proposed, and who approves it. Default: patches and minors by pull request, majors on demand.
    pub(super) policy: RawPolicy,
    /// How much may be under way at the same time. Default: see its keys.
    pub(super) limits: RawLimits,
    /// Times in which pull requests may be opened and merged. Default: always.
    pub(super) windows: Vec<RawWindow>,
    /// Kubernetes APIs that are no longer served, beside those that the program knows; of rows for the same version
    /// and kind the one here counts. Default: none.
    pub(super) kubernetes_apis: Vec<RawKubernetesApi>,
    /// Where pull requests are opened. Default: on the forge of the remote `origin`.
    pub(super) forge: RawForge,
    /// What pull requests look like, and how they are merged. Default: see its keys.
    pub(super) pull_requests: RawPullRequests,
    /// Who commits, and how. Default: see its keys.
    pub(super) commits: RawCommits,
    /// The issue that lists everything pending, held and open. Default: written.
    pub(super) dashboard: RawDashboard,
    /// Backup points. Default: see its keys.
    pub(super) backup: RawBackup,
    /// Who is told what, and where. Default: nobody.
    pub(super) notifications: RawNotifications,
    /// Numbers about passes, for Prometheus. Default: not sent.
    pub(super) metrics: RawMetrics,
    /// How a merged update is proven healthy, and what is done where it is not. Default: see its keys.
    pub(super) validation: RawValidation,
}

/// The keys of `detection` that are not components.
pub(super) const DETECTION_FIELDS: &[&str] =
    &["check_interval", "check_prereleases", "notifications", "components"];

/// What to look for. Beside the keys listed here, each key is a component kind (`k3s`, `flux`, `longhorn`, `helm`,
/// `oci`, `images`, `git`, `release`, …), a component id (`helm/longhorn-system/longhorn`) or a pattern of ids
/// (`helm/monitoring/*`; `*` stands for any text, also for `/`). Id wins over pattern, pattern over kind, kind over
/// the keys here; of several patterns the one with more literal characters wins.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Detection", transform = allow_components)]
pub(super) struct RawDetection {
    /// How old an upstream's answer may be to be used without asking again, such as `6h`. Default: `0s`, always ask
    /// (which costs little, because unchanged answers are not sent again). Where a server's `Cache-Control` allows
    /// longer, it counts, up to an hour.
    pub(super) check_interval: Option<String>,
    /// Whether pre-releases are candidates. Default: `false`; a component that is already on a pre-release sees newer
    /// ones all the same.
    pub(super) check_prereleases: Option<bool>,
    /// Whether updates are announced as annotations in GitHub Actions. Default: `true`.
    pub(super) notifications: Option<bool>,
    /// Components, for those who prefer them apart from the keys above; same keys, same meaning. Default: none.
    pub(super) components: BTreeMap<String, RawComponent>,
    /// Components written directly below `detection`.
    #[schemars(skip)]
    pub(super) direct: BTreeMap<String, RawComponent>,
}

fn allow_components(schema: &mut Schema) {
    let component = schema
        .get("properties")
        .and_then(|properties| properties.get("components"))
        .and_then(|components| components.get("additionalProperties"))
        .cloned();
    if let Some(component) = component {
        schema.insert("additionalProperties".to_owned(), component);
    }
    schema.remove("required");
}

impl<'de> Deserialize<'de> for RawDetection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = RawDetection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of component kinds and ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawDetection, A::Error> {
                let mut detection = RawDetection::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "check_interval" => detection.check_interval = map.next_value()?,
                        "check_prereleases" => detection.check_prereleases = map.next_value()?,
                        "notifications" => detection.notifications = map.next_value()?,
                        "components" => {
                            detection.components = map.next_value::<Option<_>>()?.unwrap_or_default();
                        }
                        _ => {
                            detection.direct.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(detection)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Settings of a component kind, of one component, or of all that a pattern matches.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of component settings")]
#[schemars(rename = "ComponentSettings")]
pub(super) struct RawComponent {
    /// Which line of releases to follow. k3s: `stable`, `latest`, `testing`, or a minor such as `v1.33`, to which the
    /// component is then held. Others: `stable`, or `prerelease` (the same as `check_prereleases: true`).
    /// Default: what the repository says, else none: the newest release that is no pre-release.
    pub(super) channel: Option<String>,
    /// Where versions are published, instead of where the manifests point: `owner/name` on GitHub, an `https://` URL
    /// (Helm repository or Git repository) or `oci://registry/path`. For forks and renamed charts.
    /// Default: what the manifests say.
    pub(super) repository: Option<String>,
    /// How old an upstream's answer may be to be used without asking again, such as `6h`.
    /// Default: `detection.check_interval`.
    pub(super) check_interval: Option<String>,
    /// Whether pre-releases are candidates. Default: `detection.check_prereleases`.
    pub(super) check_prereleases: Option<bool>,
    /// Versions below this are never candidates, such as `v1.28.0`. Default: none.
    pub(super) minimum_version: Option<String>,
    /// Range that candidates must lie in, as in Helm and Flux: `>=1.6 <2`, `~1.9`. Default: all.
    pub(super) allowed: Option<String>,
    /// Versions and ranges that are never candidates; a more particular list replaces a general one. Default: none.
    pub(super) ignored: Option<Vec<String>>,
    /// List the component as ignored and ask no upstream: `true`, or the reason as text. Default: `false`.
    pub(super) ignore: Option<FlagOrText>,
    /// Whether its updates are announced as annotations in GitHub Actions. Default: `detection.notifications`.
    pub(super) notifications: Option<bool>,
    /// Whether the component is looked for at all; `false` leaves it out of the report. Default: `true`.
    pub(super) enabled: Option<bool>,
}

/// Which files of the repository are read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of file settings")]
#[schemars(rename = "Files")]
pub(super) struct RawFiles {
    /// Patterns of paths that are not read: `*` stays within a folder, `**` does not; a pattern without `/` matches at
    /// any depth, one that begins with `/` in the repository's root; a folder stands for all that is in it.
    /// Default: none.
    pub(super) exclude: Vec<String>,
    /// Read files that Git ignores, too. Default: `false`.
    pub(super) include_ignored: Option<bool>,
    /// Files larger than this are not read but listed, such as `10MiB`. Default: `10MiB`, at most `100MiB`.
    pub(super) max_size: Option<String>,
}

/// The entry point of one cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `name` and `path`")]
#[schemars(rename = "Cluster")]
pub(super) struct RawCluster {
    /// Name in ids and reports: letters, digits, `-`, `_`, `.`. No default.
    pub(super) name: String,
    /// Folder of the repository that Flux starts from. No default.
    pub(super) path: String,
}

words! {
    /// A CPU architecture, as Kubernetes names it.
    RawArchitecture as "Architecture", "architecture" {
        /// x86-64.
        Amd64 = "amd64",
        /// 64-bit ARM.
        Arm64 = "arm64",
        /// 32-bit ARM.
        Arm = "arm",
        /// IBM Z.
        S390x = "s390x",
    }
}

impl RawArchitecture {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Arm => "arm",
            Self::S390x => "s390x",
        }
    }
}

/// How upstreams are reached.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of upstream settings")]
#[schemars(rename = "Upstreams")]
pub(super) struct RawUpstreams {
    /// Mirrors: the longest `from` that a URL begins with is replaced by `to`. Credentials are those of the host that
    /// is asked in the end. Default: none.
    pub(super) map: Vec<RawMapping>,
    /// Settings per host, by `host` or `host:port`. Default: none.
    pub(super) hosts: BTreeMap<String, RawHost>,
    /// Longest time for one request, retries apart, such as `30s`. Default: `120s`, at most `1h`.
    pub(super) timeout: Option<String>,
    /// How often a request that may go well next time is repeated. Default: `3`, at most 10.
    #[schemars(range(max = 10))]
    pub(super) retries: Option<u32>,
    /// Requests at the same time to one host. Default: `6`, at most 64.
    #[schemars(range(min = 1, max = 64))]
    pub(super) concurrency: Option<u32>,
    /// Use the credentials of `docker login`: `true`, `false`, or the path of another `config.json` (only in a file
    /// outside the repository, named with `--config`). Default: `true`.
    pub(super) docker_config: Option<FlagOrText>,
    /// Run the credential helpers that `config.json` names (only in a file outside the repository, named with
    /// `--config`, because helpers are programs). Default: `false`.
    pub(super) credential_helpers: Option<bool>,
    /// The GitHub API. Default: `api.github.com`, with the token of the environment if there is one.
    pub(super) github: RawGithub,
}

/// One mirror.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `from` and `to`")]
#[schemars(rename = "Mapping")]
pub(super) struct RawMapping {
    /// Beginning of the URLs that are mapped. No default.
    pub(super) from: String,
    /// A URL, or a folder or file relative to the configuration file. In a file that lies in the repository itself it
    /// must stay inside the repository. No default.
    pub(super) to: String,
}

/// Settings of one host.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of host settings")]
#[schemars(rename = "Host")]
pub(super) struct RawHost {
    /// Environment variable that holds a bearer token. In a file that lies in the repository itself the name must
    /// begin with `GITOPS_UPDATER_HOST_<HOST>_`, so that the repository cannot choose who is sent which secret.
    /// Default: none.
    pub(super) token_env: Option<String>,
    /// Environment variable that holds the user name for basic authentication; same rule. Default: none.
    pub(super) username_env: Option<String>,
    /// Environment variable that holds the password for basic authentication; same rule. Default: none.
    pub(super) password_env: Option<String>,
    /// Ask this host by `http://`. Credentials are sent that way only if the file lies outside the
    /// repository and was named with `--config`.
    /// Default: `false`.
    pub(super) plain_http: Option<bool>,
    /// Requests at the same time to this host. Default: `upstreams.concurrency`.
    #[schemars(range(min = 1, max = 64))]
    pub(super) concurrency: Option<u32>,
}

/// The GitHub API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `api_url` and `token_env`")]
#[schemars(rename = "Github")]
pub(super) struct RawGithub {
    /// Base URL of the API that answers for `github.com`. In a file that lies in the repository itself, another host
    /// is not given the token of the environment. Default: `https://api.github.com`.
    pub(super) api_url: Option<String>,
    /// Environment variable that holds the token; same rule as for hosts. Default: the first of
    /// `GITOPS_UPDATER_GITHUB_TOKEN`, `GITHUB_TOKEN` and `GH_TOKEN` that is set.
    pub(super) token_env: Option<String>,
}

/// A switch that may also be given as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FlagOrText {
    Flag(bool),
    Text(String),
}

impl<'de> Deserialize<'de> for FlagOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = FlagOrText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or text")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<FlagOrText, E> {
                Ok(FlagOrText::Flag(value))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FlagOrText, E> {
                Ok(FlagOrText::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for FlagOrText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FlagOrText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["boolean", "string"]})
    }
}

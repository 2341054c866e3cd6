//! Backups of data that belong to a backup point: made in the cluster, awaited, and recorded.
//!
//! What is made has a name that depends on the backup point alone: a pass that was cut off finds what it made and goes
//! on with it. Every object that is created or removed is an [`Effect`] that passes the [`Witness`]. Nothing that
//! somebody else made is ever changed.

mod etcd;
mod export;
mod longhorn;
mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use super::effects::{Effect, Go, Stopped, Witness};
use crate::config::DataBackups;
use crate::domain::backup::DataBackup;

/// How often what is being made is looked at.
const POLL: Duration = Duration::from_secs(5);

/// The step that data is backed up for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The backup point that it belongs to.
    pub backup_id: &'a str,
    /// Component id.
    pub component: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Namespace of its manifest, where it has one.
    pub namespace: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

impl Request<'_> {
    /// Name of the release, as the id has it: `helm/<namespace>/<release>`.
    fn release(&self) -> &str {
        self.component.rsplit('/').next().unwrap_or(self.component)
    }
}

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// For the backup point.
    pub data: Vec<DataBackup>,
    /// Files for its tree, by path below its folder.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What is not covered, for people.
    pub not_covered: Vec<String>,
    /// What was done in the cluster; in a dry run what would have been.
    pub effects: Vec<Effect>,
}

/// Why data could not be backed up. The step waits until it can.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The cluster could not be asked or told.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something is there that was not made by this program, under a name that it would use.
    #[error("cannot make {what}: there is one that somebody else made")]
    NotOurs {
        /// Kind and name.
        what: String,
    },
    /// A backup failed.
    #[error("cannot back up data: {what} failed: {why}")]
    Failed {
        /// Kind and name.
        what: String,
        /// In the words of who makes it.
        why: String,
    },
    /// It cannot be made as things are.
    #[error("cannot back up data: {0}")]
    Obstacle(String),
    /// It takes too long.
    #[error("cannot back up data within {limit}: {}", waiting.join("; "))]
    TimedOut {
        /// For people.
        limit: String,
        /// What is not done, with its state.
        waiting: Vec<String>,
    },
    /// Secrets could not be encrypted.
    #[error("cannot encrypt the exported Secrets: {0}")]
    Encryption(String),
    /// Stopped by the witness.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl DataError {
    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cluster(error) => error.hint.clone(),
            Self::NotOurs { .. } => Some("remove it, or rename it".to_owned()),
            Self::TimedOut { .. } => Some(
                "what is under way goes on, and the next run finds it; `backup.data.timeout` gives it more time"
                    .to_owned(),
            ),
            Self::Failed { .. } => Some("it is made anew by the next run".to_owned()),
            _ => None,
        }
    }
}

/// Who backs up data.
pub trait DataKeeper: Sync {
    /// Why data that belongs to a step cannot be backed up as things are, before anything is done for it; `None` where
    /// nothing is known to stand in the way.
    fn obstacle(&self, request: &Request<'_>) -> Option<String>;

    /// Makes the backups that belong to a step and waits for them.
    ///
    /// # Errors
    ///
    /// One of them was not made, or not in time.
    fn make(&self, request: &Request<'_>, witness: &dyn Witness) -> Result<Made, DataError>;

    /// Removes old backups of data of this program, but for those that belong to `in_use`.
    ///
    /// # Errors
    ///
    /// The cluster cannot be asked or told.
    fn prune(
        &self,
        in_use: &BTreeSet<String>,
        now: Timestamp,
        witness: &dyn Witness,
    ) -> Result<Vec<Effect>, DataError>;
}

/// Where there is no way to a cluster.
#[derive(Debug, Clone, Copy)]
pub struct NoCluster<'a> {
    /// What was asked for.
    pub settings: &'a DataBackups,
}

impl NoCluster<'_> {
    fn wanted(&self, request: &Request<'_>) -> bool {
        self.settings.concern(request.component, request.kind)
    }
}

impl DataKeeper for NoCluster<'_> {
    fn obstacle(&self, request: &Request<'_>) -> Option<String> {
        (self.settings.required && self.wanted(request)).then(|| {
            "its data is to be backed up before (`backup.data`), and there is no way to the cluster: run with \
             `--cluster`, or set `backup.data.required: false`"
                .to_owned()
        })
    }

    fn make(&self, request: &Request<'_>, _: &dyn Witness) -> Result<Made, DataError> {
        if let Some(obstacle) = self.obstacle(request) {
            return Err(DataError::Obstacle(obstacle));
        }
        let mut made = Made::default();
        if self.wanted(request) {
            made.not_covered.push("no data was backed up: there is no way to the cluster".to_owned());
        }
        Ok(made)
    }

    fn prune(&self, _: &BTreeSet<String>, _: Timestamp, _: &dyn Witness) -> Result<Vec<Effect>, DataError> {
        Ok(Vec::new())
    }
}

/// Backs up data in a cluster.
pub struct Keeper<'a, C> {
    /// The cluster.
    pub cluster: &'a C,
    /// What is asked for.
    pub settings: &'a DataBackups,
    /// What waits for the cluster.
    pub runtime: &'a tokio::runtime::Runtime,
}

impl<C: Cluster> DataKeeper for Keeper<'_, C> {
    fn obstacle(&self, request: &Request<'_>) -> Option<String> {
        if !self.settings.concern(request.component, request.kind) {
            return None;
        }
        let found = self.runtime.block_on(async {
            longhorn::obstacle(self.cluster, self.settings, request).await?;
            etcd::obstacle(self.cluster, self.settings, request).await
        });
        found.err().map(|error| error.to_string())
    }

    fn make(&self, request: &Request<'_>, witness: &dyn Witness) -> Result<Made, DataError> {
        if !self.settings.concern(request.component, request.kind) {
            return Ok(Made::default());
        }
        self.runtime.block_on(make(self.cluster, self.settings, request, witness))
    }

    fn prune(
        &self,
        in_use: &BTreeSet<String>,
        now: Timestamp,
        witness: &dyn Witness,
    ) -> Result<Vec<Effect>, DataError> {
        let Some(longhorn) = &self.settings.longhorn else { return Ok(Vec::new()) };
        self.runtime.block_on(retention::prune(self.cluster, longhorn, in_use, now, witness))
    }
}

/// As [`Keeper`] does it, on a runtime that is there already.
///
/// # Errors
///
/// One of the backups was not made, or not in time.
pub async fn make<C: Cluster>(
    cluster: &C,
    settings: &DataBackups,
    request: &Request<'_>,
    witness: &dyn Witness,
) -> Result<Made, DataError> {
    let mut work = Work {
        cluster,
        settings,
        request,
        witness,
        deadline: Instant::now() + settings.timeout,
        made: Made::default(),
    };
    // What only reads comes last: it is nearest to the step then.
    work.longhorn().await?;
    work.etcd().await?;
    work.export().await?;
    Ok(work.made)
}

/// Backups being made for one step.
struct Work<'a, C> {
    cluster: &'a C,
    settings: &'a DataBackups,
    request: &'a Request<'a>,
    witness: &'a dyn Witness,
    deadline: Instant,
    made: Made,
}

/// An object that was looked for or made.
enum Ensured {
    /// It was there.
    There(Value),
    /// It was made just now.
    Made(Value),
    /// It would have been made, if this were no dry run.
    Skipped,
}

impl<C: Cluster> Work<'_, C> {
    /// Finds an object of the backup point, or makes it.
    async fn ensure(
        &mut self,
        resource: &Resource,
        namespace: &str,
        object: &Value,
        is_ours: impl Fn(&Value) -> bool,
    ) -> Result<Ensured, DataError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let what = format!("{} {namespace}/{name}", resource.kind);
        let known = |found: Value| {
            if is_ours(&found) {
                Ok(Ensured::There(found))
            } else {
                Err(DataError::NotOurs { what: what.clone() })
            }
        };
        match self.cluster.get(resource, Some(namespace), &name).await {
            Ok(found) => return known(found),
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let effect = Effect::Data { what: format!("create {what}") };
        if self.witness.before(&effect)? == Go::Skip {
            self.made.effects.push(effect);
            return Ok(Ensured::Skipped);
        }
        tracing::info!(effect = %effect, "pass");
        let made = match self.cluster.create(resource, Some(namespace), object).await {
            Ok(made) => made,
            // Another run was faster, or the answer to an earlier try was lost.
            Err(error) if error.class == ErrorClass::Conflict => {
                return known(self.cluster.get(resource, Some(namespace), &name).await?);
            }
            Err(error) => return Err(error.into()),
        };
        self.witness.after(&effect)?;
        self.made.effects.push(effect);
        Ok(Ensured::Made(made))
    }

    /// Waits until it is time to look again.
    ///
    /// # Errors
    ///
    /// There is no time left; `waiting` is what is not done.
    async fn pause(&self, waiting: impl FnOnce() -> Vec<String>) -> Result<(), DataError> {
        // Whoever wants the pass to end need not wait for what it waits for.
        self.witness.before(&Effect::Data { what: "wait for backups".to_owned() })?;
        let now = Instant::now();
        if now >= self.deadline {
            let limit = format!("{}m", self.settings.timeout.as_secs().div_ceil(60));
            return Err(DataError::TimedOut { limit, waiting: waiting() });
        }
        tokio::time::sleep_until((now + POLL).min(self.deadline)).await;
        Ok(())
    }
}

/// Every object of a kind in some namespaces; `None` where the cluster does not have the kind.
async fn all_in<C: Cluster>(
    cluster: &C,
    resource: &Resource,
    namespaces: Option<&[String]>,
    labels: &str,
) -> Result<Option<Vec<Value>>, ClusterError> {
    let mut found = Vec::new();
    let places: Vec<Option<&str>> = match namespaces {
        Some(namespaces) => namespaces.iter().map(|namespace| Some(namespace.as_str())).collect(),
        None => vec![None],
    };
    for namespace in places {
        match cluster.list(resource, namespace, labels).await {
            Ok(mut objects) => {
                // Items of a list do not name their kind.
                for object in &mut objects {
                    object["kind"] = resource.kind.as_str().into();
                    object["apiVersion"] = api_version(resource).into();
                }
                found.append(&mut objects);
            }
            Err(error) if error.class == ErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(found))
}

fn api_version(resource: &Resource) -> String {
    if resource.group.is_empty() {
        resource.version.clone()
    } else {
        format!("{}/{}", resource.group, resource.version)
    }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

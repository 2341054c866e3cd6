//! A snapshot of etcd: found, or made by a Job of the user's.

use serde_json::{Value, json};

use super::{
    Cluster, DataBackups, DataError, Ensured, ErrorClass, Request, Resource, Work, all_in, resource,
};
use crate::config::EtcdBackups;
use crate::domain::backup::DataBackup;
use crate::domain::backup::etcd::{Datastore, datastore, instructions, newest};
use crate::domain::backup::names::{MANAGED_BY, MANAGER, POINT_ANNOTATION, POINT_LABEL, key, name_of};
use crate::domain::settle::kind::Kind;

/// Clocks of two nodes differ by less.
const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
/// Jobs that were made and failed before a person is asked to look.
const MOST_TRIES: usize = 3;
/// How long a Job that is done is kept.
const JOB_TTL: u64 = 7 * 86_400;

fn jobs() -> Resource {
    Resource::of(Kind::Job)
}

/// Fails where a snapshot is asked for that is not there and that nobody makes.
pub(super) async fn obstacle<C: Cluster>(
    cluster: &C,
    settings: &DataBackups,
    request: &Request<'_>,
) -> Result<(), DataError> {
    let Some(etcd) = asked(settings, request) else { return Ok(()) };
    if etcd.job.is_some() || is_elsewhere(cluster).await? {
        return Ok(());
    }
    found(cluster, etcd, request, None).await?.map(drop).map_err(|why| missing(&why, request))
}

fn asked<'s>(settings: &'s DataBackups, request: &Request<'_>) -> Option<&'s EtcdBackups> {
    let etcd = settings.etcd.as_ref()?;
    etcd.components.iter().any(|selector| selector.matches(request.component, request.kind)).then_some(etcd)
}

/// Whether the state of the cluster is not kept by an etcd inside of k3s. Not known counts as kept.
async fn is_elsewhere<C: Cluster>(cluster: &C) -> Result<bool, DataError> {
    let nodes = all_in(cluster, &Resource::of(Kind::Node), None, "").await?.unwrap_or_default();
    Ok(datastore(&nodes) == Some(Datastore::Other))
}

async fn found<C: Cluster>(
    cluster: &C,
    etcd: &EtcdBackups,
    request: &Request<'_>,
    since: Option<jiff::Timestamp>,
) -> Result<Result<DataBackup, String>, DataError> {
    let files = all_in(cluster, &Resource::of(Kind::EtcdSnapshotFile), None, "").await?;
    Ok(match files {
        Some(files) => newest(&files, request.now.max(since.unwrap_or(request.now)), etcd.max_age, since),
        None => Err("the cluster has no records of etcd snapshots (ETCDSnapshotFile)".to_owned()),
    })
}

fn missing(why: &str, request: &Request<'_>) -> DataError {
    DataError::Obstacle(format!("{why}; {}", instructions(request.backup_id)))
}

impl<C: Cluster> Work<'_, C> {
    pub(super) async fn etcd(&mut self) -> Result<(), DataError> {
        let Some(etcd) = asked(self.settings, self.request) else { return Ok(()) };
        loop {
            match self.etcd_once(etcd).await {
                Err(DataError::Cluster(error)) if error.class == ErrorClass::Transient => {
                    self.pause(|| vec![error.to_string()]).await?;
                }
                done => return done,
            }
        }
    }

    async fn etcd_once(&mut self, etcd: &EtcdBackups) -> Result<(), DataError> {
        if is_elsewhere(self.cluster).await? {
            self.made.not_covered.push(
                "the state of the cluster: it is in SQLite or an external database, not in etcd; back that up yourself"
                    .to_owned(),
            );
            return Ok(());
        }
        let since = match &etcd.job {
            Some((namespace, name)) => match self.run_job(namespace, name).await? {
                Some(since) => Some(since),
                // A dry run has made nothing to be looked for.
                None => return Ok(()),
            },
            None => None,
        };
        loop {
            match found(self.cluster, etcd, self.request, since).await? {
                Ok(snapshot) => {
                    self.made.data.push(snapshot);
                    return Ok(());
                }
                // k3s records what it made a little later.
                Err(why) if since.is_some() => self.pause(|| vec![why]).await?,
                Err(why) => return Err(missing(&why, self.request)),
            }
        }
    }

    /// Makes a Job of the CronJob and waits for it; the time from which on its snapshot is.
    async fn run_job(&mut self, namespace: &str, name: &str) -> Result<Option<jiff::Timestamp>, DataError> {
        let cron_jobs = resource("batch", "v1", "CronJob", "cronjobs");
        let template = self.cluster.get(&cron_jobs, Some(namespace), name).await?;
        let id = self.request.backup_id;
        let mut last = String::new();
        for attempt in 0..MOST_TRIES {
            let job = job(&template, namespace, id, attempt);
            let what = format!("Job {namespace}/{}", job["metadata"]["name"].as_str().unwrap_or_default());
            let mut is_fresh = false;
            loop {
                let is_ours = |found: &Value| found["metadata"]["labels"][POINT_LABEL] == key(id).as_str();
                let found = match self.ensure(&jobs(), namespace, &job, is_ours).await? {
                    Ensured::Skipped => return Ok(None),
                    Ensured::Made(made) => {
                        is_fresh = true;
                        made
                    }
                    Ensured::There(found) => found,
                };
                match outcome(&found) {
                    Outcome::Succeeded => {
                        let began = found["metadata"]["creationTimestamp"].as_str();
                        let began = began.and_then(|time| time.parse::<jiff::Timestamp>().ok());
                        let began = began.unwrap_or(self.request.now);
                        return Ok(Some(began.checked_sub(SKEW).unwrap_or(began)));
                    }
                    Outcome::Failed(why) => {
                        last = format!("{what}: {why}");
                        if is_fresh {
                            return Err(DataError::Failed { what, why });
                        }
                        break;
                    }
                    Outcome::Running => self.pause(|| vec![format!("{what}: is running")]).await?,
                }
            }
        }
        Err(DataError::Failed { what: "every Job for an etcd snapshot".to_owned(), why: last })
    }
}

enum Outcome {
    Running,
    Succeeded,
    Failed(String),
}

fn outcome(job: &Value) -> Outcome {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    let is = |condition: &&Value, type_: &str| condition["type"] == type_ && condition["status"] == "True";
    for condition in conditions.into_iter().flatten() {
        if is(&condition, "Complete") {
            return Outcome::Succeeded;
        }
        if is(&condition, "Failed") {
            let why = condition["message"].as_str().or(condition["reason"].as_str()).unwrap_or("it failed");
            return Outcome::Failed(why.chars().take(300).collect());
        }
    }
    Outcome::Running
}

/// A Job of a CronJob, as `kubectl create job --from` makes one.
fn job(cron_job: &Value, namespace: &str, backup_id: &str, attempt: usize) -> Value {
    let template = &cron_job["spec"]["jobTemplate"];
    let of = if attempt == 0 { "etcd".to_owned() } else { format!("etcd-{}", attempt + 1) };
    let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(MANAGED_BY.to_owned(), MANAGER.into());
    labels.insert(POINT_LABEL.to_owned(), key(backup_id).into());
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".into());
    annotations.insert(POINT_ANNOTATION.to_owned(), backup_id.into());
    let mut spec = template["spec"].as_object().cloned().unwrap_or_default();
    spec.entry("ttlSecondsAfterFinished").or_insert_with(|| JOB_TTL.into());
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name_of(backup_id, &of),
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": spec,
    })
}

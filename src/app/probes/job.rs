//! The user's own test: a Job, made from a manifest of the repository and awaited.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{EXPIRES, LABEL, Testbed, Tried, not, plain};
use crate::app::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use crate::app::ports::Clock;
use crate::domain::settle::health::probe::TestJob;
use crate::domain::settle::kind::Kind;

/// Larger manifests are refused, in bytes.
const MAX_MANIFEST: usize = 256 << 10;
/// Time between two looks at the Job.
const LOOK: Duration = Duration::from_secs(2);
/// What is read of its Pod's log, in bytes.
const LOG: usize = 4 << 10;

/// Why a manifest is no test Job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It is too large.
    #[error("`{0}` is larger than 256 KiB")]
    TooLarge(String),
    /// It is not YAML.
    #[error("cannot read `{file}`: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// It is something else.
    #[error("`{0}` is not one `batch/v1` Job")]
    NotAJob(String),
}

/// Reads the manifest of a test Job.
///
/// # Errors
///
/// It is no single `batch/v1` Job.
pub fn read_job(file: &str, text: &[u8]) -> Result<Value, JobError> {
    if text.len() > MAX_MANIFEST {
        return Err(JobError::TooLarge(file.to_owned()));
    }
    let unreadable = |reason: String| JobError::Unreadable { file: file.to_owned(), reason: plain(&reason) };
    let text = std::str::from_utf8(text).map_err(|error| unreadable(error.to_string()))?;
    let job: Value = serde_saphyr::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    let is_job = job["apiVersion"] == "batch/v1" && job["kind"] == "Job" && job["spec"].is_object();
    if is_job { Ok(job) } else { Err(JobError::NotAJob(file.to_owned())) }
}

/// Makes the Job under a name of its own, waits for its end and removes it with its Pods.
pub async fn run_job<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    spec: &TestJob,
    job: &Value,
) -> Tried {
    let name = testbed.name("test");
    let (resource, namespace) = (Resource::of(Kind::Job), spec.namespace.as_str());
    let manifest = manifest(testbed, spec, job, &name);
    let made = match testbed.cluster.create(&resource, Some(namespace), &manifest).await {
        Err(error) if error.class == ErrorClass::Conflict => {
            // A killed run's: its result may be of before the update.
            match taken_away(testbed, namespace, &name).await {
                Ok(()) => testbed.cluster.create(&resource, Some(namespace), &manifest).await,
                Err(error) => Err(error),
            }
        }
        made => made,
    };
    if let Err(error) = made {
        return not(&error);
    }
    let tried = follow(testbed, spec, &name).await;
    remove(testbed, namespace, &name).await;
    tried
}

async fn follow<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    spec: &TestJob,
    name: &str,
) -> Tried {
    let resource = Resource::of(Kind::Job);
    let begun = Instant::now();
    loop {
        let seen = testbed.cluster.get(&resource, Some(&spec.namespace), name).await;
        let ended = seen.as_ref().ok().and_then(|job| {
            let conditions = job.pointer("/status/conditions")?.as_array()?;
            conditions.iter().find(|condition| {
                (condition["type"] == "Complete" || condition["type"] == "Failed")
                    && condition["status"] == "True"
            })
        });
        match (&seen, ended) {
            (_, Some(condition)) if condition["type"] == "Complete" => {
                return Tried::Good(format!("{} succeeded", spec.manifest));
            }
            (_, Some(condition)) => {
                let reason = condition["reason"].as_str().unwrap_or("Failed");
                let log = last_words(testbed, &spec.namespace, name).await;
                return Tried::Bad(plain(&format!("{} failed: {reason}{log}", spec.manifest)));
            }
            (Err(error), None) if error.class != ErrorClass::Transient => return not(error),
            _ => {}
        }
        if begun.elapsed() >= spec.timeout {
            return match seen {
                Err(error) => not(&error),
                Ok(_) => {
                    let log = last_words(testbed, &spec.namespace, name).await;
                    let seconds = spec.timeout.as_secs();
                    Tried::Bad(plain(&format!("{} did not end within {seconds} s{log}", spec.manifest)))
                }
            };
        }
        sleep(LOOK).await;
    }
}

/// The last line that one of the Job's Pods wrote, where it may be read.
async fn last_words<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    namespace: &str,
    name: &str,
) -> String {
    let labels = format!("batch.kubernetes.io/job-name={name}");
    let pods =
        testbed.cluster.list(&Resource::of(Kind::Pod), Some(namespace), &labels).await.unwrap_or_default();
    let Some(pod) = pods.last().and_then(super::name_of) else { return String::new() };
    let log = testbed.cluster.log(namespace, pod, LOG).await.unwrap_or_default();
    log.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(|line| format!("; it said: {line}"))
        .unwrap_or_default()
}

async fn remove<C: Cluster, K: Clock + Sync>(testbed: &Testbed<'_, C, K>, namespace: &str, name: &str) {
    if let Err(error) = taken_away(testbed, namespace, name).await {
        tracing::warn!(
            namespace,
            name,
            reason = error.reason.as_str(),
            hint = error.hint.as_deref(),
            "cannot remove the test Job; it ends itself"
        );
    }
}

async fn taken_away<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    namespace: &str,
    name: &str,
) -> Result<(), ClusterError> {
    let resource = Resource::of(Kind::Job);
    if let Err(error) = testbed.cluster.delete(&resource, Some(namespace), name).await
        && error.class != ErrorClass::NotFound
    {
        return Err(error);
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if let Err(error) = testbed.cluster.get(&resource, Some(namespace), name).await
            && error.class == ErrorClass::NotFound
        {
            return Ok(());
        }
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// The user's manifest with a name of ours, and an end of its own should nobody be left to remove it.
fn manifest<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    spec: &TestJob,
    job: &Value,
    name: &str,
) -> Value {
    let mut job = job.clone();
    let labels = job.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    job["metadata"] = json!({
        "name": name,
        "namespace": spec.namespace,
        "labels": labels,
        "annotations": {EXPIRES: testbed.expires(spec.timeout * 2)},
    });
    if let Some(labels) = job.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.insert(LABEL.to_owned(), json!("true"));
        labels.insert("app.kubernetes.io/managed-by".to_owned(), json!("gitops-updater"));
    }
    let deadline = spec.timeout.as_secs().max(1);
    let sooner = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_u64).unwrap_or(deadline);
    job["spec"]["activeDeadlineSeconds"] = json!(sooner.min(deadline));
    job["spec"]["ttlSecondsAfterFinished"] = json!(600);
    job
}

//! One small Pod: made, followed to its end, read and removed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{EXPIRES, LABEL, Testbed, not, plain};
use crate::app::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use crate::app::ports::Clock;
use crate::app::probes::Tried;
use crate::domain::settle::health::probe::Pods;
use crate::domain::settle::kind::Kind;

/// Time between two looks at a Pod.
const LOOK: Duration = Duration::from_secs(1);
/// What is read of a Pod's log, in bytes.
const LOG: usize = 16 << 10;
/// Longest time in which a Pod that was deleted must be gone.
const GONE: Duration = Duration::from_secs(60);
/// Nobody; may write to the volume through `fsGroup`.
const USER: u32 = 65_534;

/// What a Pod is to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Task<'a> {
    /// Name.
    pub(super) name: &'a str,
    /// Run by `sh -c`; the arguments are `$1`, `$2` …: nothing configured is ever read as code.
    pub(super) script: &'a str,
    /// Arguments.
    pub(super) arguments: Vec<String>,
    /// Claim that is mounted at `/data`.
    pub(super) claim: Option<&'a str>,
    /// Nodes that it must not run on.
    pub(super) not_on: Vec<String>,
    /// Port that it serves; it is ready when the port takes connections.
    pub(super) port: Option<u16>,
    /// Label by which a Service finds it.
    pub(super) serves: Option<&'a str>,
}

/// How long each part of a Pod's life may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From its creation until it is on a node.
    pub(super) scheduled: Duration,
    /// From then until its container runs: volumes are attached and the image is pulled.
    pub(super) started: Duration,
    /// From then to its end.
    pub(super) finished: Duration,
}

impl Limits {
    pub(super) fn within(all: Duration) -> Self {
        Self { scheduled: all, started: all, finished: all }
    }

    fn whole(&self) -> Duration {
        self.scheduled + self.started + self.finished
    }
}

/// How a Pod ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It ended, well or not, and said this.
    Said { well: bool, log: String, node: String },
    /// It serves.
    Serves { address: String, node: String, uid: String },
    /// It was not put on a node.
    Unscheduled(String),
    /// Its image could not be pulled.
    Unpulled(String),
    /// Its container did not start.
    Unstarted(String),
    /// It did not end.
    Endless,
    /// It could not be made or looked at.
    Unseen(Tried),
}

impl Ended {
    /// What it says of a trial that does not depend on how the Pod came up.
    pub(super) fn or_not(self) -> Result<(bool, String, String), Tried> {
        match self {
            Self::Said { well, log, node } => Ok((well, log, node)),
            Self::Serves { .. } => Err(Tried::Not("the Pod did not end".to_owned())),
            Self::Unscheduled(why) => Err(Tried::Not(format!("the Pod was not put on a node: {why}"))),
            Self::Unpulled(why) => Err(Tried::Not(format!("the Pod's image was not pulled: {why}"))),
            Self::Unstarted(why) => Err(Tried::Not(format!("the Pod did not start: {why}"))),
            Self::Endless => Err(Tried::Not("the Pod did not end in time".to_owned())),
            Self::Unseen(tried) => Err(tried),
        }
    }
}

/// The Pod's manifest: as little as the strictest Pod Security Standard allows.
pub(super) fn manifest(pods: &Pods, task: &Task<'_>, expires: &str, whole: Duration) -> Value {
    let mut command = vec!["sh".to_owned(), "-c".to_owned(), task.script.to_owned(), "probe".to_owned()];
    command.extend(task.arguments.iter().cloned());
    let mut labels = json!({
        "app.kubernetes.io/name": "gitops-updater-probe",
        "app.kubernetes.io/managed-by": "gitops-updater",
        LABEL: "true",
    });
    if let (Some(serves), Some(labels)) = (task.serves, labels.as_object_mut()) {
        labels.insert("gitops-updater.io/serves".to_owned(), json!(serves));
    }
    let data = match task.claim {
        Some(claim) => json!({"name": "data", "persistentVolumeClaim": {"claimName": claim}}),
        None => json!({"name": "data", "emptyDir": {"sizeLimit": "16Mi"}}),
    };
    let mut container = json!({
        "name": "probe",
        "image": pods.image,
        "command": command,
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    });
    if let (Some(port), Some(container)) = (task.port, container.as_object_mut()) {
        container.insert("ports".to_owned(), json!([{"containerPort": port}]));
        let ready = json!({"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 60});
        container.insert("readinessProbe".to_owned(), ready);
    }
    let mut spec = json!({
        "restartPolicy": "Never",
        // The node ends it, should nobody be left to remove it.
        "activeDeadlineSeconds": whole.as_secs().max(1),
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [data],
    });
    if let Some(spec) = spec.as_object_mut() {
        if !pods.image_pull_secrets.is_empty() {
            let secrets: Vec<Value> =
                pods.image_pull_secrets.iter().map(|name| json!({"name": name})).collect();
            spec.insert("imagePullSecrets".to_owned(), Value::Array(secrets));
        }
        if !task.not_on.is_empty() {
            let elsewhere = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchFields": [
                    {"key": "metadata.name", "operator": "NotIn", "values": task.not_on},
                ]}],
            }}});
            spec.insert("affinity".to_owned(), elsewhere);
        }
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": task.name,
            "namespace": pods.namespace,
            "labels": labels,
            "annotations": {EXPIRES: expires},
        },
        "spec": spec,
    })
}

/// Makes a Pod, follows it to its end (or until it serves), reads its log and removes it (one that serves is left).
pub(super) async fn run<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    task: &Task<'_>,
    limits: Limits,
) -> Ended {
    let ended = match start(testbed, task, limits).await {
        Ok(()) => follow(testbed, task, limits).await,
        Err(error) => return Ended::Unseen(not(&error)),
    };
    if !matches!(ended, Ended::Serves { .. }) {
        remove(testbed, Kind::Pod, task.name).await;
    }
    ended
}

async fn start<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    task: &Task<'_>,
    limits: Limits,
) -> Result<(), ClusterError> {
    let whole = limits.whole();
    // Nobody removes what is just being removed by whoever made it.
    let manifest = manifest(testbed.pods, task, &testbed.expires(whole + GONE), whole);
    let (resource, namespace) = (Resource::of(Kind::Pod), Some(testbed.pods.namespace.as_str()));
    match testbed.cluster.create(&resource, namespace, &manifest).await {
        Err(error) if error.class == ErrorClass::Conflict => {
            // A run for the same purpose was killed in between: its Pod is not looked at, its result may be of before.
            taken_away(testbed, Kind::Pod, task.name).await?;
            testbed.cluster.create(&resource, namespace, &manifest).await.map(drop)
        }
        made => made.map(drop),
    }
}

/// Where a Pod is in its life.
enum Stage {
    Waiting(String),
    Pulling(String),
    Starting(String),
    Running,
}

async fn follow<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    task: &Task<'_>,
    limits: Limits,
) -> Ended {
    let (resource, namespace) = (Resource::of(Kind::Pod), testbed.pods.namespace.as_str());
    let begun = Instant::now();
    let (mut scheduled, mut running) = (None, None);
    loop {
        let (stage, unseen) = match testbed.cluster.get(&resource, Some(namespace), task.name).await {
            Ok(pod) => {
                if let Some(ended) = ended(testbed, task, &pod).await {
                    return ended;
                }
                (Some(stage(&pod)), None)
            }
            Err(error) if error.class == ErrorClass::Transient => (None, Some(error)),
            Err(error) => return Ended::Unseen(not(&error)),
        };
        let now = Instant::now();
        match &stage {
            None | Some(Stage::Waiting(_)) => {}
            Some(Stage::Pulling(_) | Stage::Starting(_)) => {
                scheduled.get_or_insert(now);
            }
            Some(Stage::Running) => {
                scheduled.get_or_insert(now);
                running.get_or_insert(now);
            }
        }
        let late = match (scheduled, running) {
            (_, Some(since)) => now - since >= limits.finished,
            (Some(since), None) => now - since >= limits.started,
            (None, None) => now - begun >= limits.scheduled,
        };
        if late {
            if let Some(error) = unseen {
                return Ended::Unseen(not(&error));
            }
            return match stage {
                Some(Stage::Waiting(why)) => Ended::Unscheduled(why),
                Some(Stage::Pulling(why)) => Ended::Unpulled(why),
                Some(Stage::Starting(why)) => Ended::Unstarted(why),
                Some(Stage::Running) | None => Ended::Endless,
            };
        }
        sleep(LOOK).await;
    }
}

async fn ended<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    task: &Task<'_>,
    pod: &Value,
) -> Option<Ended> {
    let text = |route: &str| pod.pointer(route).and_then(Value::as_str).unwrap_or_default().to_owned();
    let node = text("/spec/nodeName");
    let well = match text("/status/phase").as_str() {
        "Succeeded" => true,
        "Failed" => false,
        "Running" if task.port.is_some() && is(pod, "Ready", "True") => {
            return Some(Ended::Serves { address: text("/status/podIP"), node, uid: text("/metadata/uid") });
        }
        _ => return None,
    };
    if !well && text("/status/reason") == "DeadlineExceeded" {
        return Some(Ended::Endless);
    }
    Some(match testbed.cluster.log(&testbed.pods.namespace, task.name, LOG).await {
        Ok(log) => Ended::Said { well, log, node },
        Err(error) => Ended::Unseen(not(&error)),
    })
}

fn conditions(pod: &Value) -> impl Iterator<Item = &Value> {
    pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten()
}

fn is(pod: &Value, type_: &str, status: &str) -> bool {
    conditions(pod).any(|condition| condition["type"] == type_ && condition["status"] == status)
}

fn stage(pod: &Value) -> Stage {
    if pod.pointer("/spec/nodeName").and_then(Value::as_str).is_none_or(str::is_empty) {
        let said = conditions(pod)
            .find(|condition| condition["type"] == "PodScheduled")
            .and_then(|condition| condition["message"].as_str())
            .unwrap_or("nobody says why");
        return Stage::Waiting(plain(said));
    }
    let state = pod.pointer("/status/containerStatuses/0/state");
    if state.is_some_and(|state| state.get("running").is_some() || state.get("terminated").is_some()) {
        return Stage::Running;
    }
    let waiting = state.and_then(|state| state.get("waiting"));
    let word =
        |name: &str| waiting.and_then(|waiting| waiting[name].as_str()).unwrap_or_default().trim().to_owned();
    let (reason, message) = (word("reason"), word("message"));
    let said = plain(match (reason.as_str(), message.as_str()) {
        ("", _) => "its node has not taken it up",
        (reason, "") => reason,
        (_, message) => message,
    });
    match reason.as_str() {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable" => Stage::Pulling(said),
        // Volumes are mounted before the sandbox is made (kubelet; Kubernetes, "Pod lifecycle"): what is left is the image.
        _ if is(pod, "PodReadyToStartContainers", "True") => Stage::Pulling(said),
        _ => Stage::Starting(said),
    }
}

/// Deletes one of our objects and waits until it is gone. What stays is found by [`super::sweep`] later.
pub(super) async fn remove<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kind: Kind,
    name: &str,
) -> bool {
    match taken_away(testbed, kind, name).await {
        Ok(is_gone) => is_gone,
        Err(error) => {
            tracing::warn!(
                kind = Resource::of(kind).kind.as_str(),
                name,
                reason = error.reason.as_str(),
                hint = error.hint.as_deref(),
                "cannot remove what a trial has made; a later run does"
            );
            false
        }
    }
}

/// The same for what an earlier run has left: that it may not be removed is what keeps the trial from being made.
async fn taken_away<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kind: Kind,
    name: &str,
) -> Result<bool, ClusterError> {
    let (resource, namespace) = (Resource::of(kind), Some(testbed.pods.namespace.as_str()));
    if let Err(error) = testbed.cluster.delete(&resource, namespace, name).await
        && error.class != ErrorClass::NotFound
    {
        return Err(error);
    }
    let begun = Instant::now();
    while begun.elapsed() < GONE {
        if let Err(error) = testbed.cluster.get(&resource, namespace, name).await
            && error.class == ErrorClass::NotFound
        {
            return Ok(true);
        }
        sleep(LOOK).await;
    }
    Ok(false)
}

/// Names of nodes that are Ready and take Pods; empty where they may not be read.
pub(super) async fn usable_nodes<C: Cluster>(cluster: &C) -> Vec<String> {
    let nodes = cluster.list(&Resource::of(Kind::Node), None, "").await.unwrap_or_default();
    let usable = |node: &Value| {
        let taken = node.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false);
        let tainted = node.pointer("/spec/taints").and_then(Value::as_array).is_some_and(|taints| {
            taints.iter().any(|taint| taint["effect"] == "NoSchedule" || taint["effect"] == "NoExecute")
        });
        !taken && !tainted && is(node, "Ready", "True")
    };
    nodes
        .iter()
        .filter(|node| usable(node))
        .filter_map(|node| super::name_of(node).map(str::to_owned))
        .collect()
}

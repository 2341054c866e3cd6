//! A cluster in memory, for what only asks for single objects: Longhorn makes what it is asked for when it has been
//! looked at a few times, CronJobs' Jobs end, and single requests can be made to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use gitops_updater::app::cluster::{Cluster, ClusterError, ErrorClass, Resource, Scope, Watch};
use serde_json::{Value, json};

type Key = (String, String, String);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ScriptedCluster {
    objects: Mutex<BTreeMap<Key, Value>>,
    looks: Mutex<BTreeMap<Key, usize>>,
    created: Mutex<Vec<String>>,
    deleted: Mutex<Vec<String>>,
    /// Most volumes that were worked on at the same time.
    widest: Mutex<usize>,
    /// Requests that fail as if the API server were away.
    pub(crate) away: Mutex<usize>,
    /// Kinds that the account may not read.
    pub(crate) denied: Mutex<BTreeSet<String>>,
    /// Names of objects that end in an error; each only once.
    pub(crate) failing: Mutex<BTreeSet<String>>,
    /// The first object of this kind ends in an error.
    pub(crate) fails_once: Mutex<Option<String>>,
    /// Names of objects that never end.
    pub(crate) stuck: Mutex<BTreeSet<String>>,
    /// How often an object is looked at until it is ready.
    pub(crate) patience: usize,
}

/// Kinds that the cluster has.
const KINDS: [&str; 14] = [
    "ConfigMap",
    "Secret",
    "Node",
    "Pod",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Volume",
    "BackupTarget",
    "Snapshot",
    "Backup",
    "SystemBackup",
    "ETCDSnapshotFile",
    "CronJob",
    "Job",
];

impl ScriptedCluster {
    pub(crate) fn new() -> Self {
        Self { patience: 2, ..Self::default() }
    }

    /// Adds or replaces an object.
    pub(crate) fn with(self, object: Value) -> Self {
        self.put(object);
        self
    }

    pub(crate) fn put(&self, mut object: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let meta = &object["metadata"];
        let key = (text(&object["kind"]), text(&meta["namespace"]), text(&meta["name"]));
        if meta["creationTimestamp"].is_null() {
            object["metadata"]["creationTimestamp"] = "2026-11-21T10:00:00Z".into();
        }
        self.objects.lock().unwrap().insert(key, object);
    }

    /// A volume of Longhorn with its claim.
    pub(crate) fn volume(self, name: &str, namespace: &str, claim: &str, state: &str) -> Self {
        self.with(json!({
            "kind": "Volume",
            "metadata": {"name": name, "namespace": "longhorn-system"},
            "spec": {"size": "1073741824", "numberOfReplicas": 3, "accessMode": "rwo", "dataEngine": "v1"},
            "status": {
                "state": state, "robustness": if state == "attached" { "healthy" } else { "unknown" },
                "kubernetesStatus": {"namespace": namespace, "pvcName": claim},
            },
        }))
    }

    /// A backup target that answers.
    pub(crate) fn target(self, available: bool) -> Self {
        self.with(json!({
            "kind": "BackupTarget",
            "metadata": {"name": "default", "namespace": "longhorn-system"},
            "spec": {"backupTargetURL": "s3://backups@eu/"},
            "status": {"available": available},
        }))
    }

    /// A server with etcd, or without.
    pub(crate) fn server(self, name: &str, etcd: bool) -> Self {
        let role =
            if etcd { "node-role.kubernetes.io/etcd" } else { "node-role.kubernetes.io/control-plane" };
        self.with(json!({"kind": "Node", "metadata": {"name": name, "labels": {role: "true"}}}))
    }

    /// A snapshot of etcd as k3s records it.
    pub(crate) fn etcd_snapshot(self, name: &str, made: &str) -> Self {
        self.put_etcd_snapshot(name, made);
        self
    }

    fn put_etcd_snapshot(&self, name: &str, made: &str) {
        self.put(json!({
            "kind": "ETCDSnapshotFile",
            "metadata": {"name": format!("local-{name}")},
            "spec": {"snapshotName": name, "nodeName": "server-1", "location": format!("file:///var/lib/rancher/k3s/server/db/snapshots/{name}")},
            "status": {"readyToUse": true, "creationTime": made},
        }));
    }

    /// What was created, in order, as `Kind/name`.
    pub(crate) fn created(&self) -> Vec<String> {
        self.created.lock().unwrap().clone()
    }

    /// What was deleted, in order, as `Kind/name`.
    pub(crate) fn deleted(&self) -> Vec<String> {
        self.deleted.lock().unwrap().clone()
    }

    /// Names of the objects of a kind.
    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        self.objects.lock().unwrap().keys().filter(|key| key.0 == kind).map(|key| key.2.clone()).collect()
    }

    /// The object of this kind and name, in any namespace.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Option<Value> {
        let objects = self.objects.lock().unwrap();
        objects.iter().find(|(key, _)| key.0 == kind && key.2 == name).map(|(_, object)| object.clone())
    }

    /// The most snapshots and backups that were under way together.
    pub(crate) fn widest(&self) -> usize {
        *self.widest.lock().unwrap()
    }

    fn refusal(&self, attempted: String, kind: &str) -> Option<ClusterError> {
        let error = |reason: &str, class| ClusterError {
            attempted: attempted.clone(),
            reason: reason.to_owned(),
            class,
            hint: None,
        };
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Some(error("connection refused", ErrorClass::Transient));
        }
        if self.denied.lock().unwrap().contains(kind) {
            return Some(error("forbidden", ErrorClass::Denied));
        }
        (!KINDS.contains(&kind)).then(|| error("the server has no such kind", ErrorClass::NotFound))
    }

    /// Controllers go on a little each time an object is looked at.
    fn look(&self, key: &Key) {
        let looks = {
            let mut all = self.looks.lock().unwrap();
            let looks = all.entry(key.clone()).or_default();
            *looks += 1;
            *looks
        };
        let (kind, _, name) = key;
        if looks < self.patience || self.stuck.lock().unwrap().contains(name) {
            return;
        }
        let mut failed = self.failing.lock().unwrap().remove(&format!("{kind}/{name}"));
        let exists = self.objects.lock().unwrap().contains_key(key);
        if exists && self.fails_once.lock().unwrap().take_if(|failing| failing == kind).is_some() {
            failed = true;
        }
        let status = match (kind.as_str(), failed) {
            ("Snapshot", false) => json!({"readyToUse": true, "creationTime": "2026-11-21T10:00:05Z"}),
            ("Snapshot", true) => {
                json!({"error": "lost track of the corresponding snapshot info inside volume engine"})
            }
            ("Backup", false) => {
                json!({"state": "Completed", "url": format!("s3://backups@eu/?backup={name}")})
            }
            ("Backup", true) => json!({"state": "Error", "error": "no space left"}),
            ("SystemBackup", false) => json!({"state": "Ready"}),
            ("SystemBackup", true) => json!({"state": "Error"}),
            ("Job", false) => {
                self.put_etcd_snapshot(&format!("on-demand-{name}"), "2026-11-21T10:00:09Z");
                json!({"conditions": [{"type": "Complete", "status": "True"}]})
            }
            ("Job", true) => {
                json!({"conditions": [{"type": "Failed", "status": "True", "message": "backoff limit"}]})
            }
            _ => return,
        };
        if let Some(object) = self.objects.lock().unwrap().get_mut(key)
            && object["status"].is_null()
        {
            object["status"] = status;
        }
    }

    fn measure(&self) {
        let objects = self.objects.lock().unwrap();
        let busy = |(key, object): &(&Key, &Value)| {
            matches!(key.0.as_str(), "Snapshot" | "Backup") && object["status"].is_null()
        };
        let mut widest = self.widest.lock().unwrap();
        *widest = (*widest).max(objects.iter().filter(busy).count());
    }
}

fn error(attempted: String, class: ErrorClass) -> ClusterError {
    ClusterError { attempted, reason: format!("{class:?}"), class, hint: None }
}

impl Cluster for ScriptedCluster {
    async fn watch(&self, _: &Scope) -> Result<Watch, ClusterError> {
        panic!("nothing watches here")
    }

    async fn readiness(&self) -> Result<Vec<(String, bool)>, ClusterError> {
        panic!("nobody asks for readiness here")
    }

    async fn get(&self, kind: &Resource, namespace: Option<&str>, name: &str) -> Result<Value, ClusterError> {
        let attempted = format!("get {} {name}", kind.kind);
        if let Some(refused) = self.refusal(attempted.clone(), &kind.kind) {
            return Err(refused);
        }
        let key = (kind.kind.clone(), namespace.unwrap_or_default().to_owned(), name.to_owned());
        self.look(&key);
        self.objects.lock().unwrap().get(&key).cloned().ok_or_else(|| error(attempted, ErrorClass::NotFound))
    }

    async fn list(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        if let Some(refused) = self.refusal(format!("list {}", kind.plural), &kind.kind) {
            return Err(refused);
        }
        let matches = |object: &Value| {
            labels.split_once('=').is_none_or(|(label, value)| object["metadata"]["labels"][label] == value)
        };
        let objects = self.objects.lock().unwrap();
        let found = objects
            .iter()
            .filter(|(key, object)| {
                key.0 == kind.kind && namespace.is_none_or(|namespace| key.1 == namespace) && matches(object)
            })
            .map(|(_, object)| {
                let mut object = object.clone();
                // As an API server answers a list.
                object.as_object_mut().unwrap().remove("kind");
                object
            });
        Ok(found.collect())
    }

    async fn create(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ClusterError> {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let attempted = format!("create {} {name}", kind.kind);
        if let Some(refused) = self.refusal(attempted.clone(), &kind.kind) {
            return Err(refused);
        }
        let key = (kind.kind.clone(), namespace.unwrap_or_default().to_owned(), name.clone());
        if self.objects.lock().unwrap().contains_key(&key) {
            return Err(error(attempted, ErrorClass::Conflict));
        }
        self.looks.lock().unwrap().remove(&key);
        self.created.lock().unwrap().push(format!("{}/{name}", kind.kind));
        self.put(object.clone());
        self.measure();
        Ok(self.objects.lock().unwrap()[&key].clone())
    }

    async fn replace(
        &self,
        _: &Resource,
        _: Option<&str>,
        _: &str,
        _: &Value,
    ) -> Result<Value, ClusterError> {
        panic!("nothing is replaced")
    }

    async fn patch(&self, _: &Resource, _: Option<&str>, _: &str, _: &Value) -> Result<Value, ClusterError> {
        panic!("nothing is patched")
    }

    async fn delete(&self, kind: &Resource, namespace: Option<&str>, name: &str) -> Result<(), ClusterError> {
        let attempted = format!("delete {} {name}", kind.kind);
        if let Some(refused) = self.refusal(attempted.clone(), &kind.kind) {
            return Err(refused);
        }
        let key = (kind.kind.clone(), namespace.unwrap_or_default().to_owned(), name.to_owned());
        self.looks.lock().unwrap().remove(&key);
        self.objects.lock().unwrap().remove(&key).ok_or_else(|| error(attempted, ErrorClass::NotFound))?;
        self.deleted.lock().unwrap().push(format!("{}/{name}", kind.kind));
        Ok(())
    }

    async fn log(&self, _: &str, _: &str, _: usize) -> Result<String, ClusterError> {
        panic!("nobody reads logs here")
    }
}

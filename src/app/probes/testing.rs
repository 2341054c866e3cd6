//! A cluster of tests: objects in memory, and what controllers would make of them as virtual time goes by.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::cluster::{Cluster, ClusterError, ErrorClass, Resource, Scope, Watch};

/// Kind, namespace and name.
type Key = (String, String, String);

/// What becomes of a new object: called when it is made, and it may change every object.
type OnCreate = Box<dyn Fn(&mut Objects, &Key) + Send + Sync>;

/// Objects of the cluster.
#[derive(Default)]
pub(super) struct Objects {
    objects: BTreeMap<Key, Value>,
    /// Changes to come: when, of what, and the merge patch; `None` removes it.
    later: Vec<(Instant, Key, Option<Value>)>,
    logs: BTreeMap<String, String>,
    count: usize,
}

impl Objects {
    pub(super) fn put(&mut self, namespace: &str, object: Value) {
        let text = |route: &str| object.pointer(route).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.objects.insert((text("/kind"), namespace.to_owned(), text("/metadata/name")), object);
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects
            .iter()
            .find(|((of, _, called), _)| of == kind && called == name)
            .map(|(_, object)| object)
    }

    /// Somebody removes all of a kind.
    pub(super) fn forget(&mut self, kind: &str) {
        self.objects.retain(|(of, _, _), _| of != kind);
    }

    /// Changes an object after a while.
    pub(super) fn after(&mut self, seconds: u64, key: &Key, patch: Value) {
        self.later.push((Instant::now() + std::time::Duration::from_secs(seconds), key.clone(), Some(patch)));
    }

    pub(super) fn log(&mut self, pod: &str, text: &str) {
        self.logs.insert(pod.to_owned(), text.to_owned());
    }

    /// A Pod that runs after two seconds on a node, and ends after four with a log.
    pub(super) fn ends(&mut self, key: &Key, node: &str, phase: &str, log: &str) {
        self.after(2, key, json!({"spec": {"nodeName": node}, "status": {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}}));
        self.after(4, key, json!({"status": {"phase": phase}}));
        self.log(&key.2, log);
    }

    fn pass(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _, _)| *at <= now);
        self.later = later;
        let due: Vec<(Instant, Key, Option<Value>)> = due;
        for (_, key, patch) in due {
            match patch {
                None => drop(self.objects.remove(&key)),
                Some(patch) => {
                    if let Some(object) = self.objects.get_mut(&key) {
                        merge(object, &patch);
                    }
                }
            }
        }
    }

    /// Names of what is there beside nodes.
    pub(super) fn left(&self) -> Vec<String> {
        let ours = self.objects.keys().filter(|(kind, _, _)| kind != "Node");
        ours.map(|(kind, _, name)| format!("{kind}/{name}")).collect()
    }
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

/// The cluster.
pub(super) struct Simulated {
    pub(super) objects: Mutex<Objects>,
    on_create: OnCreate,
    /// Answers `Denied` to everything that begins so (`create Pod`).
    pub(super) denied: Vec<&'static str>,
    /// Seconds of virtual time in which nothing answers.
    pub(super) outage: Option<(u64, u64)>,
    begun: Instant,
    pub(super) made: Mutex<Vec<Value>>,
    /// Everything that was asked, in order (`create Pod/name`).
    pub(super) asked: Mutex<Vec<String>>,
}

impl Simulated {
    pub(super) fn new(
        nodes: &[&str],
        on_create: impl Fn(&mut Objects, &Key) + Send + Sync + 'static,
    ) -> Self {
        let mut objects = Objects::default();
        for name in nodes {
            objects.put("", json!({"kind": "Node", "metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}));
        }
        Self {
            objects: Mutex::new(objects),
            on_create: Box::new(on_create),
            denied: vec![],
            outage: None,
            begun: Instant::now(),
            made: Mutex::new(vec![]),
            asked: Mutex::new(vec![]),
        }
    }

    fn asked(
        &self,
        verb: &str,
        kind: &Resource,
        name: &str,
    ) -> Result<std::sync::MutexGuard<'_, Objects>, ClusterError> {
        let attempted = format!("{verb} {}/{name}", kind.kind);
        self.asked.lock().unwrap().push(attempted.clone());
        let elapsed = self.begun.elapsed().as_secs();
        if self.outage.is_some_and(|(from, to)| (from..to).contains(&elapsed)) {
            return Err(failure(attempted, ErrorClass::Transient));
        }
        if self.denied.iter().any(|denied| attempted.starts_with(denied)) {
            return Err(failure(attempted, ErrorClass::Denied));
        }
        let mut objects = self.objects.lock().unwrap();
        objects.pass();
        Ok(objects)
    }
}

fn failure(attempted: String, class: ErrorClass) -> ClusterError {
    ClusterError { attempted, reason: format!("{class:?}"), class, hint: None }
}

fn key(kind: &Resource, namespace: Option<&str>, name: &str) -> Key {
    (kind.kind.clone(), namespace.unwrap_or_default().to_owned(), name.to_owned())
}

impl Cluster for Simulated {
    async fn watch(&self, _: &Scope) -> Result<Watch, ClusterError> {
        Err(failure("watch".to_owned(), ErrorClass::Permanent))
    }

    async fn readiness(&self) -> Result<Vec<(String, bool)>, ClusterError> {
        Ok(vec![])
    }

    async fn get(&self, kind: &Resource, namespace: Option<&str>, name: &str) -> Result<Value, ClusterError> {
        let objects = self.asked("get", kind, name)?;
        let found = objects.objects.get(&key(kind, namespace, name)).cloned();
        found.ok_or_else(|| failure(format!("get {}/{name}", kind.kind), ErrorClass::NotFound))
    }

    async fn list(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let objects = self.asked("list", kind, "")?;
        let label = labels.split('=').next().unwrap_or_default();
        let of = objects.objects.iter().filter(|((of, within, _), object)| {
            let labelled =
                object.pointer("/metadata/labels").is_some_and(|labels| labels.get(label).is_some());
            *of == kind.kind
                && namespace.is_none_or(|namespace| namespace == within)
                && (labels.is_empty() || labelled)
        });
        Ok(of.map(|(_, object)| object.clone()).collect())
    }

    async fn create(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ClusterError> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap().to_owned();
        let mut objects = self.asked("create", kind, &name)?;
        let key = key(kind, namespace, &name);
        if objects.objects.contains_key(&key) {
            return Err(failure(format!("create {}/{name}", kind.kind), ErrorClass::Conflict));
        }
        self.made.lock().unwrap().push(object.clone());
        let mut object = object.clone();
        objects.count += 1;
        object["metadata"]["uid"] = json!(format!("uid-{}", objects.count));
        objects.objects.insert(key.clone(), object.clone());
        (self.on_create)(&mut objects, &key);
        Ok(object)
    }

    async fn replace(
        &self,
        kind: &Resource,
        _: Option<&str>,
        name: &str,
        _: &Value,
    ) -> Result<Value, ClusterError> {
        Err(failure(format!("replace {}/{name}", kind.kind), ErrorClass::Permanent))
    }

    async fn patch(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ClusterError> {
        let mut objects = self.asked("patch", kind, name)?;
        let object = objects.objects.get_mut(&key(kind, namespace, name));
        let object =
            object.ok_or_else(|| failure(format!("patch {}/{name}", kind.kind), ErrorClass::NotFound))?;
        merge(object, patch);
        Ok(object.clone())
    }

    async fn delete(&self, kind: &Resource, namespace: Option<&str>, name: &str) -> Result<(), ClusterError> {
        let mut objects = self.asked("delete", kind, name)?;
        let removed = objects.objects.remove(&key(kind, namespace, name));
        if kind.kind == "PersistentVolumeClaim" {
            // Its volume goes a little later.
            let volume = removed
                .as_ref()
                .and_then(|claim| claim.pointer("/spec/volumeName")?.as_str().map(str::to_owned));
            if let Some(volume) = volume {
                let at = Instant::now() + std::time::Duration::from_secs(3);
                objects.later.push((at, ("PersistentVolume".to_owned(), String::new(), volume), None));
            }
        }
        removed.map(drop).ok_or_else(|| failure(format!("delete {}/{name}", kind.kind), ErrorClass::NotFound))
    }

    async fn log(&self, _: &str, pod: &str, _: usize) -> Result<String, ClusterError> {
        let objects = self.objects.lock().unwrap();
        Ok(objects.logs.get(pod).cloned().unwrap_or_default())
    }
}

//! What the API server remembers, and what a test does to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ADMIN;
use super::account::Account;
use super::kinds::{self, Served};
use super::serve::{Fault, Outage};

/// Full name of the kind, namespace (empty where there is none), name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A change, as etcd keeps it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) at: Timestamp,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
}

/// The state of the cluster.
pub(crate) struct Cluster {
    pub(crate) now: Timestamp,
    /// What `/version` says.
    pub(crate) git_version: String,
    /// By token.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Checks of `/readyz`, and whether each passes.
    pub(crate) readiness: Vec<(String, bool)>,
    /// Without it, lists of groups and their kinds have to be asked for one by one (Kubernetes before 1.26).
    pub(crate) aggregated_discovery: bool,
    pub(super) logs: BTreeMap<(String, String), String>,
    pub(super) version: u64,
    pub(super) compacted: u64,
    pub(super) objects: BTreeMap<Key, Arc<Value>>,
    pub(super) history: Vec<Event>,
    pub(super) outage: Option<Outage>,
    pub(super) faults: Vec<Fault>,
    /// Counted up; running watches compare.
    pub(super) bookmarks: u64,
    pub(super) ended: u64,
    pub(super) cut: u64,
    pub(super) watches: usize,
    uids: u64,
}

impl Cluster {
    pub(super) fn new(now: Timestamp) -> Self {
        let checks = ["ping", "log", "etcd", "informer-sync", "poststarthook/rbac/bootstrap-roles"];
        let mut cluster = Self {
            now,
            git_version: "v1.33.4+k3s1".to_owned(),
            accounts: BTreeMap::from([(ADMIN.to_owned(), Account::admin("admin"))]),
            readiness: checks.iter().map(|check| ((*check).to_owned(), true)).collect(),
            aggregated_discovery: true,
            logs: BTreeMap::new(),
            version: 100,
            compacted: 0,
            objects: BTreeMap::new(),
            history: Vec::new(),
            outage: None,
            faults: Vec::new(),
            bookmarks: 0,
            ended: 0,
            cut: 0,
            watches: 0,
            uids: 0,
        };
        for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            cluster.namespace(namespace);
        }
        cluster
    }

    /// Every kind that is served now.
    pub(super) fn served(&self) -> Vec<Served> {
        let mut served = kinds::built_in();
        let definitions = self.of("customresourcedefinitions.apiextensions.k8s.io");
        served.extend(definitions.filter_map(|definition| kinds::of_definition(definition)));
        served
    }

    /// The kind with this full name (`pods`, `helmreleases.helm.toolkit.fluxcd.io`).
    #[track_caller]
    pub(super) fn kind(&self, resource: &str) -> Served {
        let found = self.served().into_iter().find(|served| served.full_name() == resource);
        found.unwrap_or_else(|| panic!("`{resource}` is not served; see Cluster::define"))
    }

    fn kind_of(&self, object: &Value) -> Served {
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let fits = |served: &Served| {
            served.group == group && served.kind == kind && served.versions.iter().any(|have| have == version)
        };
        let found = self.served().into_iter().find(fits);
        found.unwrap_or_else(|| panic!("`{api_version}` `{kind}` is not served; see Cluster::define"))
    }

    /// The version of everything, as a list says it.
    pub(crate) fn resource_version(&self) -> u64 {
        self.version
    }

    /// Has a namespace, made where it is missing.
    pub(crate) fn namespace(&mut self, name: &str) {
        if self.get("namespaces", "", name).is_none() {
            self.put(json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            }));
        }
    }

    /// Serves a custom kind (`HelmRelease`, `helmreleases.helm.toolkit.fluxcd.io`), the preferred version first.
    pub(crate) fn define(&mut self, kind: &str, resource: &str, namespaced: bool, versions: &[&str]) {
        let (plural, group) = resource.split_once('.').unwrap();
        let versions: Vec<Value> = versions
            .iter()
            .enumerate()
            .map(|(at, name)| {
                json!({"name": name, "served": true, "storage": at == 0, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
            })
            .collect();
        let stored = [versions[0]["name"].clone()];
        self.put(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": resource},
            "spec": {"group": group, "scope": if namespaced { "Namespaced" } else { "Cluster" }, "versions": versions,
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")}},
            "status": {"storedVersions": stored, "conditions": [
                {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"},
                {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}]},
        }));
    }

    /// Serves a custom kind that the program knows, in versions that it understands.
    pub(crate) fn define_known(&mut self, kinds: &[gitops_updater::domain::settle::kind::Kind]) {
        for kind in kinds {
            let api = kind.api();
            let resource = format!("{}.{}", api.plural, api.group);
            self.define(api.kind, &resource, api.namespaced, api.versions);
        }
    }

    /// Makes or replaces an object with all its fields, `status` too; returns it as it is now.
    #[track_caller]
    pub(crate) fn put(&mut self, mut object: Value) -> Arc<Value> {
        let served = self.kind_of(&object);
        let name = object["metadata"]["name"].as_str().expect("an object has a name").to_owned();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        assert_eq!(served.namespaced, !namespace.is_empty(), "namespace of {} {name}", served.kind);
        if !namespace.is_empty() {
            self.namespace(&namespace);
        }
        let key = Key { resource: served.full_name(), namespace, name };
        let old = self.objects.get(&key).cloned();
        self.identify(&mut object, &served, old.as_deref());
        self.commit(key, Some(object)).unwrap()
    }

    /// Gives what the server gives: uid, time, generation.
    pub(super) fn identify(&mut self, object: &mut Value, served: &Served, old: Option<&Value>) {
        let old_meta = old.map(|old| &old["metadata"]);
        let generation = match old {
            Some(old) if spec(old) == spec(object) => old["metadata"]["generation"].as_i64(),
            Some(old) => old["metadata"]["generation"].as_i64().map(|generation| generation + 1),
            None => Some(1),
        };
        let uid = match old_meta {
            Some(meta) => meta["uid"].clone(),
            None => {
                self.uids += 1;
                json!(format!("{:08x}-0000-4000-8000-{:012x}", self.uids, self.uids))
            }
        };
        let created =
            old_meta.map_or_else(|| json!(seconds(self.now)), |meta| meta["creationTimestamp"].clone());
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.entry("uid").or_insert(uid);
        meta.entry("creationTimestamp").or_insert(created);
        if served.generation && !meta.contains_key("generation") {
            meta.insert("generation".to_owned(), json!(generation.unwrap_or(1)));
        }
    }

    /// The object, as it was written last.
    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let key =
            Key { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        self.objects.get(&key).cloned()
    }

    /// The objects of a kind.
    pub(crate) fn of<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a Arc<Value>> {
        let from = Key { resource: resource.to_owned(), namespace: String::new(), name: String::new() };
        let range = self.objects.range(from..).take_while(move |(key, _)| key.resource == resource);
        range.map(|(_, object)| object)
    }

    /// Changes an object as `change` does, counting its generation where the spec is another one.
    #[track_caller]
    pub(crate) fn change(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Arc<Value> {
        let old = self.get(resource, namespace, name);
        let old = old.unwrap_or_else(|| panic!("there is no {resource} {namespace}/{name}"));
        let mut object = (*old).clone();
        change(&mut object);
        let unchanged = object["metadata"]["generation"] == old["metadata"]["generation"];
        let served = self.kind(resource);
        if served.generation && unchanged && spec(&object) != spec(&old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        let key =
            Key { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        self.commit(key, Some(object)).unwrap()
    }

    /// Removes an object, whatever its finalizers say; nothing where it is not there.
    pub(crate) fn remove(&mut self, resource: &str, namespace: &str, name: &str) {
        let key =
            Key { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        if self.objects.contains_key(&key) {
            self.commit(key, None);
        }
    }

    /// What a pod has written.
    pub(crate) fn log(&mut self, namespace: &str, pod: &str, text: &str) {
        self.logs.insert((namespace.to_owned(), pod.to_owned()), text.to_owned());
    }

    /// Writes a change, with the next version.
    pub(super) fn commit(&mut self, key: Key, object: Option<Value>) -> Option<Arc<Value>> {
        self.version += 1;
        let after = object.map(|mut object| {
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            Arc::new(object)
        });
        let before = match &after {
            Some(object) => self.objects.insert(key.clone(), object.clone()),
            None => self.objects.remove(&key),
        };
        let event = Event { version: self.version, at: self.now, key, before, after: after.clone() };
        self.history.push(event);
        after
    }

    /// Cuts the connections of running watches.
    pub(crate) fn cut_all(&mut self) {
        self.cut += 1;
    }

    /// Forgets what was before now, as [`super::FakeCluster::forget_history`].
    pub(crate) fn forget(&mut self) {
        self.compact(self.version);
    }

    /// From here on nobody may ask for what was before this version; running watches have it from the cache.
    pub(super) fn compact(&mut self, version: u64) {
        self.compacted = self.compacted.max(version);
    }
}

/// What generations count: everything but `metadata` and `status`.
pub(super) fn spec(object: &Value) -> serde_json::Map<String, Value> {
    let mut spec = object.as_object().unwrap().clone();
    for field in ["metadata", "status", "apiVersion", "kind"] {
        spec.remove(field);
    }
    spec
}

/// As in `creationTimestamp`: whole seconds.
pub(super) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

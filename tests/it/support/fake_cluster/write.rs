//! Create, update, patch and delete, as strict as the real thing (apiserver `pkg/registry/generic/registry/store.go`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Answer;
use super::objects::{Cluster, Key, seconds, spec};
use super::route::Target;

/// A write that was done over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// `create`, `update`, `patch`, `delete`.
    pub(crate) verb: &'static str,
    /// Full name of the kind.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// As it is now; `None` where it is gone.
    pub(crate) object: Option<Arc<Value>>,
    pub(crate) user: String,
}

/// Spec fields that never change.
fn immutable(resource: &str) -> &'static [&'static str] {
    match resource {
        "jobs.batch" => &["/spec/template", "/spec/selector", "/spec/completions"],
        "deployments.apps" | "daemonsets.apps" | "replicasets.apps" => &["/spec/selector"],
        "statefulsets.apps" => &["/spec/selector", "/spec/serviceName", "/spec/volumeClaimTemplates"],
        "persistentvolumeclaims" => &["/spec/accessModes", "/spec/storageClassName", "/spec/volumeMode"],
        "pods" => &["/spec/nodeName", "/spec/volumes", "/spec/serviceAccountName"],
        "storageclasses.storage.k8s.io" => &["/provisioner", "/parameters", "/reclaimPolicy"],
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => &[],
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            &["/roleRef"]
        }
        _ => &[],
    }
}

/// A DNS subdomain (RFC 1123), as names of objects are.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

impl Cluster {
    fn key(target: &Target, name: &str) -> Key {
        Key {
            resource: target.served.full_name(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }

    /// What every body has to say: what it is, and that it goes where the URL says.
    fn check_body(target: &Target, object: &Value) -> Result<(), Answer> {
        let served = &target.served;
        if !object.is_object() || !object["metadata"].is_object() && !object["metadata"].is_null() {
            return Err(Answer::bad_request("the object provided is unrecognized"));
        }
        let (expected, kind) = (served.api_version(&target.version), object["kind"].as_str());
        match (object["apiVersion"].as_str(), kind) {
            (None | Some(""), _) | (_, None | Some("")) => {
                let message = "Object 'Kind' or 'apiVersion' is missing";
                return Err(Answer::bad_request(message));
            }
            (Some(given), _) if given != expected => {
                return Err(Answer::bad_request(format!(
                    "the API version in the data ({given}) does not match the expected API version ({expected})"
                )));
            }
            (_, Some(given)) if given != served.kind => {
                return Err(Answer::bad_request(format!(
                    "{given} in version \"{}\" cannot be handled as a {}: no kind \"{given}\" is registered",
                    target.version, served.kind
                )));
            }
            _ => {}
        }
        if let (Some(given), wanted) = (object["metadata"]["namespace"].as_str(), target.namespace.as_deref())
            && given != wanted.unwrap_or_default()
        {
            return Err(Answer::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        Ok(())
    }

    pub(super) fn create(
        &mut self,
        target: &Target,
        mut object: Value,
        dry: bool,
    ) -> Result<Arc<Value>, Answer> {
        let served = &target.served;
        Self::check_body(target, &object)?;
        if object["metadata"].is_null() {
            object["metadata"] = json!({});
        }
        let meta = object["metadata"].as_object_mut().unwrap();
        if meta.get("resourceVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty()) {
            return Err(Answer::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let text = |field: &str| meta.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (mut name, prefix) = (text("name"), text("generateName"));
        if name.is_empty() && !prefix.is_empty() {
            name = format!("{prefix}{:05x}", self.version);
        }
        if name.is_empty() {
            let why = "Required value: name or generateName is required";
            return Err(Answer::invalid(served, "", "metadata.name", why));
        }
        if !is_name(&name) {
            let why = format!(
                "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
            );
            return Err(Answer::invalid(served, &name, "metadata.name", &why));
        }
        meta.insert("name".to_owned(), json!(name));
        for given in
            ["uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink", "managedFields"]
        {
            meta.remove(given);
        }
        let key = Self::key(target, &name);
        if served.namespaced {
            let namespace = self.get("namespaces", "", &key.namespace);
            let Some(namespace) = namespace else {
                return Err(Answer::not_found(&self.kind("namespaces"), &key.namespace));
            };
            if namespace["metadata"].get("deletionTimestamp").is_some() {
                let message = format!(
                    "{} \"{name}\" is forbidden: unable to create new content in namespace {} because it is being terminated",
                    served.full_name(),
                    key.namespace
                );
                return Err(Answer::failure(
                    403,
                    "Forbidden",
                    message,
                    super::answer::details(served, &name),
                ));
            }
            meta.insert("namespace".to_owned(), json!(key.namespace));
        } else {
            meta.remove("namespace");
        }
        if self.objects.contains_key(&key) {
            return Err(Answer::exists(served, &name));
        }
        if served.status {
            object.as_object_mut().unwrap().remove("status");
        }
        self.identify(&mut object, served, None);
        self.manage(&mut object, target);
        if dry {
            return Ok(Arc::new(object));
        }
        Ok(self.commit(key, Some(object)).unwrap())
    }

    pub(super) fn current(&self, target: &Target, name: &str) -> Result<(Key, Arc<Value>), Answer> {
        let key = Self::key(target, name);
        match self.objects.get(&key) {
            Some(object) => Ok((key, object.clone())),
            None => Err(Answer::not_found(&target.served, name)),
        }
    }

    pub(super) fn update(
        &mut self,
        target: &Target,
        mut object: Value,
        dry: bool,
    ) -> Result<Arc<Value>, Answer> {
        let name = target.name.clone().unwrap_or_default();
        Self::check_body(target, &object)?;
        if object["metadata"]["name"].as_str().is_some_and(|given| given != name) {
            let given = object["metadata"]["name"].as_str().unwrap_or_default();
            let message =
                format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(Answer::bad_request(message));
        }
        let (key, old) = self.current(target, &name)?;
        let given = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let unconditional = !target.served.custom && target.served.plural != "leases";
        if given.is_empty() && !unconditional {
            let why = "Invalid value: 0: must be specified for an update";
            return Err(Answer::invalid(&target.served, &name, "metadata.resourceVersion", why));
        }
        if !given.is_empty() && old["metadata"]["resourceVersion"] != given.as_str() {
            return Err(Answer::stale(&target.served, &name));
        }
        object["metadata"]["name"] = json!(name);
        self.store(target, key, &old, object, dry)
    }

    pub(super) fn patch(&mut self, target: &Target, patch: &Value, dry: bool) -> Result<Arc<Value>, Answer> {
        let name = target.name.clone().unwrap_or_default();
        let (key, old) = self.current(target, &name)?;
        if !patch.is_object() {
            return Err(Answer::bad_request("json: cannot unmarshal the patch into a map"));
        }
        let mut object = (*old).clone();
        merge(&mut object, patch);
        if object["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return Err(Answer::stale(&target.served, &name));
        }
        if object["metadata"]["name"] != old["metadata"]["name"] {
            let why = "Invalid value: field is immutable";
            return Err(Answer::invalid(&target.served, &name, "metadata.name", why));
        }
        self.store(target, key, &old, object, dry)
    }

    /// What updates and patches have in common: what may not change, what a subresource leaves alone.
    fn store(
        &mut self,
        target: &Target,
        key: Key,
        old: &Arc<Value>,
        mut object: Value,
        dry: bool,
    ) -> Result<Arc<Value>, Answer> {
        let (served, name) = (&target.served, key.name.as_str());
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && old["metadata"]["uid"] != uid {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old["metadata"]["uid"].as_str().unwrap_or_default()
            );
            return Err(Answer::conflict(served, name, &why));
        }
        for kept in
            ["uid", "creationTimestamp", "deletionTimestamp", "namespace", "generation", "resourceVersion"]
        {
            match old["metadata"].get(kept) {
                Some(value) => object["metadata"][kept] = value.clone(),
                None => drop(object["metadata"].as_object_mut().unwrap().remove(kept)),
            }
        }
        match target.subresource.as_deref() {
            Some("status") => {
                let status = object.get("status").cloned();
                let labels = object["metadata"].clone();
                object = (**old).clone();
                // Custom kinds take nothing of the metadata; the others labels and annotations, too.
                if !served.custom {
                    for field in ["labels", "annotations"] {
                        if let Some(value) = labels.get(field) {
                            object["metadata"][field] = value.clone();
                        }
                    }
                }
                match status {
                    Some(status) => object["status"] = status,
                    None => drop(object.as_object_mut().unwrap().remove("status")),
                }
            }
            _ if served.status => match old.get("status") {
                Some(status) => object["status"] = status.clone(),
                None => drop(object.as_object_mut().unwrap().remove("status")),
            },
            _ => {}
        }
        let frozen = old.get("immutable").is_some_and(|value| *value == true) && spec(old) != spec(&object);
        let changed = immutable(&key.resource)
            .iter()
            .find(|pointer| old.pointer(pointer) != object.pointer(pointer))
            .copied()
            .or(frozen.then_some("/data"));
        if let Some(pointer) = changed {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            return Err(Answer::invalid(served, name, &field, "Invalid value: field is immutable"));
        }
        if served.generation && spec(old) != spec(&object) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        if same_but_managed(old, &object) {
            return Ok(old.clone());
        }
        self.manage(&mut object, target);
        if dry {
            return Ok(Arc::new(object));
        }
        let meta = &object["metadata"];
        let finalized = meta["finalizers"].as_array().is_none_or(Vec::is_empty);
        if meta.get("deletionTimestamp").is_some() && finalized {
            self.commit(key, None);
            return Ok(Arc::new(object));
        }
        Ok(self.commit(key, Some(object)).unwrap())
    }

    /// Deletes what has no finalizers, else marks it; what it owns goes with it, unless it is to be orphaned.
    pub(super) fn delete(
        &mut self,
        target: &Target,
        name: &str,
        options: &Value,
    ) -> Result<Arc<Value>, Answer> {
        let (key, old) = self.current(target, name)?;
        for field in ["uid", "resourceVersion"] {
            if let Some(wanted) = options["preconditions"][field].as_str()
                && old["metadata"][field] != wanted
            {
                let why = format!("Precondition failed: {field} in precondition: {wanted}");
                return Err(Answer::conflict(&target.served, name, &why));
            }
        }
        let finalizers = old["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        if finalizers {
            let mut object = (*old).clone();
            if object["metadata"].get("deletionTimestamp").is_none() {
                object["metadata"]["deletionTimestamp"] = json!(seconds(self.now));
                object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
                return Ok(self.commit(key, Some(object)).unwrap());
            }
            return Ok(old);
        }
        if key.resource == "namespaces" {
            let inside: Vec<Key> =
                self.objects.keys().filter(|other| other.namespace == name).cloned().collect();
            for key in inside {
                self.commit(key, None);
            }
        }
        self.commit(key, None);
        if options["propagationPolicy"] != "Orphan" {
            self.collect_garbage(&old["metadata"]["uid"]);
        }
        Ok(old)
    }

    fn collect_garbage(&mut self, owner: &Value) {
        let owned = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| owners.iter().any(|reference| reference["uid"] == *owner))
        };
        let gone: Vec<(Key, Value)> = self
            .objects
            .iter()
            .filter(|(_, object)| owned(object))
            .map(|(key, object)| (key.clone(), object["metadata"]["uid"].clone()))
            .collect();
        for (key, uid) in gone {
            self.commit(key, None);
            self.collect_garbage(&uid);
        }
    }

    /// An entry of the managed fields, so that whoever keeps objects has them to leave out.
    fn manage(&self, object: &mut Value, target: &Target) {
        object["metadata"]["managedFields"] = json!([{
            "manager": target.manager, "operation": "Update", "time": seconds(self.now), "fieldsType": "FieldsV1",
            "apiVersion": target.served.api_version(&target.version), "fieldsV1": {"f:spec": {}},
        }]);
    }
}

fn same_but_managed(old: &Value, new: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        for field in ["managedFields", "resourceVersion"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        object
    };
    without(old) == without(new)
}

/// JSON merge patch (RFC 7396).
pub(crate) fn merge(object: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let fields = object.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

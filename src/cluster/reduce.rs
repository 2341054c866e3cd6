//! What of an object may stand in a recording: nothing that only takes room, and no secrets.
//!
//! Values that may be secret are digests, so that a change is still seen. They are salted anew for each recording:
//! short secrets could be found by trying otherwise.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::domain::settle::kind::Kind;

/// Length of a digest in a recording; it only has to differ where the value does.
const DIGEST: usize = 12;
/// Deepest part of an object that is looked at (serde_json's own limit).
const DEEPEST: usize = 128;

/// Reduces objects for one recording.
#[derive(Debug, Clone)]
pub struct Reducer {
    salt: [u8; 16],
}

impl Reducer {
    /// Digests with this salt.
    pub fn new(salt: [u8; 16]) -> Self {
        Self { salt }
    }

    /// The object as a recording may hold it.
    ///
    /// # Errors
    ///
    /// It is no JSON object.
    pub(super) fn reduce(&self, kind: Kind, version: &str, json: &[u8]) -> Result<Value, serde_json::Error> {
        let mut fields: Map<String, Value> = serde_json::from_slice(json)?;
        let api = kind.api();
        // Items of a list do not say what they are.
        let mut object = Map::new();
        let api_version =
            if api.group.is_empty() { version.to_owned() } else { format!("{}/{version}", api.group) };
        object.insert("apiVersion".to_owned(), api_version.into());
        object.insert("kind".to_owned(), api.kind.into());
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
        object.append(&mut fields);
        let mut object = Value::Object(object);
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.shift_remove("managedFields");
            if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
        for pointer in secret(kind) {
            if let Some(value) = object.pointer_mut(pointer) {
                self.digest(value);
            }
        }
        if kind == Kind::CustomResourceDefinition {
            // Schemas are the most of a definition, and no check looks at them.
            for version in
                object.pointer_mut("/spec/versions").and_then(Value::as_array_mut).into_iter().flatten()
            {
                if let Some(version) = version.as_object_mut() {
                    version.shift_remove("schema");
                }
            }
        }
        self.environments(&mut object, 0);
        Ok(object)
    }

    /// Digests the values of every list of environment variables, wherever containers are described.
    fn environments(&self, value: &mut Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        // `envs` are those of system-upgrade-controller's Plans.
                        Value::Array(variables) if matches!(name.as_str(), "env" | "envs") => {
                            for variable in variables {
                                if let Some(value) = variable.get_mut("value") {
                                    self.digest(value);
                                }
                            }
                        }
                        value => self.environments(value, depth + 1),
                    }
                }
            }
            Value::Array(entries) => {
                for entry in entries {
                    self.environments(entry, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn digest(&self, value: &mut Value) {
        if value.is_null() {
            return;
        }
        let digest = Sha256::new().chain_update(self.salt).chain_update(value.to_string()).finalize();
        let mut text = BASE64_STANDARD_NO_PAD.encode(digest);
        text.truncate(DIGEST);
        *value = format!("digest:{text}").into();
    }
}

/// Fields that may hold secrets, beside environments.
fn secret(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::HelmRelease => &["/spec/values", "/spec/postRenderers"],
        Kind::Kustomization => &["/spec/postBuild/substitute", "/spec/patches"],
        Kind::FluxInstance => &["/spec/kustomize/patches"],
        Kind::ResourceSet => &["/spec/inputs", "/spec/resources", "/spec/resourcesTemplate"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reduced(kind: Kind, object: &Value) -> Value {
        Reducer::new([7; 16]).reduce(kind, "v1", object.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn item_of_a_list_says_what_it_is_and_loses_what_only_takes_room() {
        let pod = json!({"metadata": {"name": "one", "managedFields": [1], "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"}}, "status": {"phase": "Running"}});
        assert_eq!(
            reduced(Kind::Pod, &pod),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "annotations": {"kept": "yes"}},
                "status": {"phase": "Running"}})
        );
    }

    #[test]
    fn no_value_that_may_be_secret_is_left_and_a_change_of_it_is_seen() {
        let release = |password: &str| json!({"metadata": {"name": "a"}, "spec": {"interval": "5m", "values": {"password": password}}});
        let env = |value: &str| json!([{"name": "TOKEN", "value": value}, {"name": "REF", "valueFrom": {"secretKeyRef": {"name": "s"}}}]);
        let pod = |value: &str| json!({"metadata": {}, "spec": {"initContainers": [{"env": env(value)}]}});
        let deployment = |value: &str| json!({"metadata": {}, "spec": {"template": pod(value)}});
        let plan = |value: &str| json!({"metadata": {}, "spec": {"upgrade": {"envs": env(value)}}});
        let substitute =
            |value: &str| json!({"metadata": {}, "spec": {"postBuild": {"substitute": {"pw": value}}}});
        for (kind, make) in [
            (Kind::HelmRelease, &release as &dyn Fn(&str) -> Value),
            (Kind::Pod, &pod),
            (Kind::Deployment, &deployment),
            (Kind::Plan, &plan),
            (Kind::Kustomization, &substitute),
        ] {
            let [one, same, other] =
                ["hunter2-one", "hunter2-one", "hunter2-two"].map(|value| reduced(kind, &make(value)));
            assert!(!one.to_string().contains("hunter2"), "{one}");
            assert_eq!(one, same);
            assert_ne!(one, other);
        }
        let salted = Reducer::new([8; 16])
            .reduce(Kind::HelmRelease, "v1", release("x").to_string().as_bytes())
            .unwrap();
        assert_ne!(salted, reduced(Kind::HelmRelease, &release("x")));
        assert_eq!(reduced(Kind::Pod, &pod("x")).pointer("/spec/initContainers/0/env/1"), env("x").get(1));
    }
}

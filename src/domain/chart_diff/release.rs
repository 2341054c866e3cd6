//! What a HelmRelease says about the values of its chart.

use serde_json::Value;

use super::tree;

/// Values that a HelmRelease sets, and what it does with CRDs.
#[derive(Debug, Clone, PartialEq)]
pub struct UserValues {
    /// Path within the repository.
    pub file: String,
    /// Namespace and name of the release.
    pub release: String,
    /// `spec.values`.
    pub values: Value,
    /// It takes further values from ConfigMaps or Secrets, which nobody has read.
    pub has_more: bool,
    /// `spec.upgrade.crds`; helm-controller's default is `Skip`.
    pub upgrade_crds: String,
}

/// The values that releases of this name set in a file. A release without a namespace of its own counts for any.
pub fn user_values(path: &str, text: &str, name: &str, namespace: Option<&str>) -> Vec<UserValues> {
    // Most files have none, and need not be parsed.
    if !text.contains("HelmRelease") {
        return Vec::new();
    }
    tree::documents(text)
        .into_iter()
        .filter_map(|object| {
            let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            let own = word("/metadata/namespace");
            let here = own.is_none_or(|own| namespace.is_none_or(|wanted| own == wanted));
            let is_release = word("/kind") == Some("HelmRelease") && word("/metadata/name") == Some(name);
            (is_release && here).then(|| UserValues {
                file: path.to_owned(),
                release: format!("{}/{name}", own.or(namespace).unwrap_or("-")),
                values: object.pointer("/spec/values").cloned().unwrap_or(Value::Null),
                has_more: object
                    .pointer("/spec/valuesFrom")
                    .and_then(Value::as_array)
                    .is_some_and(|sources| !sources.is_empty()),
                upgrade_crds: word("/spec/upgrade/crds").unwrap_or("Skip").to_owned(),
            })
        })
        .collect()
}

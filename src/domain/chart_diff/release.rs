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

/// Which releases are meant.
#[derive(Debug, Clone, Copy)]
pub enum Releases<'a> {
    /// Those of this name; one without a namespace of its own counts for any.
    Named {
        /// Name of the HelmRelease.
        name: &'a str,
        /// Its namespace, where that is known.
        namespace: Option<&'a str>,
    },
    /// Those that install a chart: what a rule tracks for itself, such as Longhorn, is not called after its release.
    Of {
        /// Name of the chart.
        chart: &'a str,
    },
}

/// The values that releases set in a file.
pub fn user_values(path: &str, text: &str, releases: Releases<'_>) -> Vec<UserValues> {
    let (Releases::Named { name: word, .. } | Releases::Of { chart: word }) = releases;
    // Most files have none, and need not be parsed.
    if !text.contains("HelmRelease") || !text.contains(word) {
        return Vec::new();
    }
    tree::documents(text)
        .into_iter()
        .filter_map(|object| {
            let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            let own = word("/metadata/namespace");
            let called = word("/metadata/name").filter(|_| word("/kind") == Some("HelmRelease"))?;
            let (is_meant, namespace) = match releases {
                Releases::Named { name, namespace } => {
                    let here = own.is_none_or(|own| namespace.is_none_or(|wanted| own == wanted));
                    (called == name && here, own.or(namespace))
                }
                Releases::Of { chart } => {
                    let source = word("/spec/chart/spec/chart").or_else(|| word("/spec/chartRef/name"));
                    (source == Some(chart), own)
                }
            };
            is_meant.then(|| UserValues {
                file: path.to_owned(),
                release: format!("{}/{called}", namespace.unwrap_or("-")),
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

//! The embedded table of Kubernetes APIs that are no longer served (`rules/data/kubernetes-apis.yaml`).

use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::apis::RemovedApi;

const TEXT: &str = include_str!("../../rules/data/kubernetes-apis.yaml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    removed_in: String,
    api_version: String,
    #[serde(default)]
    kinds: Vec<String>,
    replacement: Option<String>,
}

/// Kubernetes APIs that are no longer served, as far as the program knows.
pub fn removed_apis() -> &'static [RemovedApi] {
    static TABLE: LazyLock<Vec<RemovedApi>> = LazyLock::new(|| {
        let rows: Vec<Row> = serde_yaml::from_str(TEXT).expect("invariant: the embedded table is valid");
        rows.into_iter()
            .map(|row| RemovedApi {
                api_version: row.api_version,
                kinds: row.kinds,
                removed_in: row.removed_in.strip_prefix("1.").and_then(|minor| minor.parse().ok()),
                replacement: row.replacement,
            })
            .collect()
    });
    &TABLE
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::apis::{SeenApi, removed};

    #[test]
    fn every_row_says_when_and_no_two_rows_speak_of_the_same() {
        let mut known = BTreeSet::new();
        for row in removed_apis() {
            assert!(row.removed_in.is_some_and(|minor| (16..100).contains(&minor)), "{row:?}");
            assert!(row.replacement.is_some(), "{row:?}");
            let kinds: Vec<&str> =
                if row.kinds.is_empty() { vec!["*"] } else { row.kinds.iter().map(String::as_str).collect() };
            for kind in kinds {
                assert!(known.insert((&row.api_version, kind)), "twice: {} {kind}", row.api_version);
            }
        }
    }

    #[test]
    fn what_the_deprecation_guide_says_is_known() {
        for (api_version, kind, minor) in [
            ("extensions/v1beta1", "Deployment", 16),
            ("apps/v1beta2", "StatefulSet", 16),
            ("extensions/v1beta1", "Ingress", 22),
            ("networking.k8s.io/v1beta1", "Ingress", 22),
            ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", 22),
            ("admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration", 22),
            ("rbac.authorization.k8s.io/v1beta1", "ClusterRole", 22),
            ("policy/v1beta1", "PodDisruptionBudget", 25),
            ("policy/v1beta1", "PodSecurityPolicy", 25),
            ("batch/v1beta1", "CronJob", 25),
            ("autoscaling/v2beta1", "HorizontalPodAutoscaler", 25),
            ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 26),
            ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 27),
            ("storage.k8s.io/v1beta1", "StorageClass", 22),
            ("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema", 29),
            ("flowcontrol.apiserver.k8s.io/v1beta3", "PriorityLevelConfiguration", 32),
        ] {
            let seen = [SeenApi {
                file: "a.yaml".to_owned(),
                line: 1,
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            }];
            let at = |from, to| removed(&seen, removed_apis(), from, to).len();
            assert_eq!((at(minor - 2, minor - 1), at(minor - 1, minor)), (0, 1), "{api_version} {kind}");
        }
        let came_back = SeenApi {
            file: "a.yaml".to_owned(),
            line: 1,
            api_version: "admissionregistration.k8s.io/v1beta1".to_owned(),
            kind: "ValidatingAdmissionPolicy".to_owned(),
        };
        assert!(removed(&[came_back], removed_apis(), 15, 33).is_empty());
    }
}

//! Kubernetes APIs that a minor no longer serves, and where manifests still use them.

use super::plan::input::ApiUse;

/// An API version that Kubernetes stopped serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedApi {
    /// Group and version, such as `policy/v1beta1`.
    pub api_version: String,
    /// Kinds; empty = all of that version.
    pub kinds: Vec<String>,
    /// Minor of Kubernetes 1 that stopped serving it; `None` = it is served.
    pub removed_in: Option<u64>,
    /// What to write instead, where there is something.
    pub replacement: Option<String>,
}

impl RemovedApi {
    fn speaks_of(&self, seen: &SeenApi) -> bool {
        self.api_version == seen.api_version && (self.kinds.is_empty() || self.kinds.contains(&seen.kind))
    }
}

/// The API version of one object in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeenApi {
    /// Path within the repository.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// Group and version, such as `policy/v1beta1`; `v1` for the core group.
    pub api_version: String,
    /// Kind.
    pub kind: String,
}

/// Uses of what Kubernetes 1.`to` no longer serves and 1.`from` still does, in the order of `seen`. Of several rows
/// of `table` that speak of an object the first decides.
pub fn removed<'a>(
    seen: &[SeenApi],
    table: impl IntoIterator<Item = &'a RemovedApi> + Clone,
    from: u64,
    to: u64,
) -> Vec<ApiUse> {
    let removal = |seen: &SeenApi| {
        let row = table.clone().into_iter().find(|row| row.speaks_of(seen))?;
        row.removed_in.filter(|minor| from < *minor && *minor <= to).map(|_| row)
    };
    seen.iter().filter_map(|seen| Some(seen.as_use(removal(seen)?.replacement.clone()))).collect()
}

/// Uses of an API version, whatever the kind.
pub fn uses_of(seen: &[SeenApi], api_version: &str) -> Vec<ApiUse> {
    seen.iter().filter(|seen| seen.api_version == api_version).map(|seen| seen.as_use(None)).collect()
}

impl SeenApi {
    fn as_use(&self, replacement: Option<String>) -> ApiUse {
        ApiUse {
            file: self.file.clone(),
            line: self.line,
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            replacement,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(api_version: &str, kind: &str) -> SeenApi {
        SeenApi {
            file: "a.yaml".to_owned(),
            line: 3,
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    fn row(removed_in: Option<u64>, api_version: &str, kinds: &[&str]) -> RemovedApi {
        RemovedApi {
            api_version: api_version.to_owned(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            removed_in,
            replacement: Some("policy/v1".to_owned()),
        }
    }

    #[test]
    fn api_is_removed_on_the_way_over_its_minor_only() {
        let table = [row(Some(25), "policy/v1beta1", &["PodDisruptionBudget"])];
        let uses = [seen("policy/v1beta1", "PodDisruptionBudget"), seen("policy/v1", "PodDisruptionBudget")];
        for (from, to, found) in [(23, 24, 0), (24, 25, 1), (23, 26, 1), (25, 26, 0), (24, 24, 0)] {
            assert_eq!(removed(&uses, &table, from, to).len(), found, "{from} to {to}");
        }
        let found = removed(&uses, &table, 24, 25);
        assert_eq!(found[0].to_string(), "PodDisruptionBudget policy/v1beta1 at a.yaml:3 (use policy/v1)");
    }

    #[test]
    fn kinds_are_told_apart_and_no_kinds_are_all() {
        let table =
            [row(Some(16), "extensions/v1beta1", &["Deployment"]), row(Some(16), "apps/v1beta1", &[])];
        let count = |api_version, kind| removed(&[seen(api_version, kind)], &table, 15, 16).len();
        assert_eq!(count("extensions/v1beta1", "Deployment"), 1);
        assert_eq!(count("extensions/v1beta1", "Ingress"), 0);
        assert_eq!(count("apps/v1beta1", "Anything"), 1);
    }

    #[test]
    fn first_row_decides_so_that_a_user_can_correct_the_table() {
        let embedded = row(Some(25), "policy/v1beta1", &[]);
        let own = row(None, "policy/v1beta1", &["PodSecurityPolicy"]);
        let uses =
            [seen("policy/v1beta1", "PodSecurityPolicy"), seen("policy/v1beta1", "PodDisruptionBudget")];
        let found = removed(&uses, [&own, &embedded], 24, 25);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind, "PodDisruptionBudget");
    }

    #[test]
    fn uses_of_a_version_are_found_whatever_the_kind() {
        let uses = [seen("helm.toolkit.fluxcd.io/v2beta1", "HelmRelease"), seen("v1", "Pod")];
        assert_eq!(uses_of(&uses, "helm.toolkit.fluxcd.io/v2beta1").len(), 1);
        assert!(uses_of(&uses, "helm.toolkit.fluxcd.io/v2").is_empty());
    }
}

//! What `flux install` of a release does beyond its manifests, as it changed over time.
//!
//! Source: `pkg/manifestgen/install` and `pkg/manifestgen/kustomization` of fluxcd/flux2 at the tags, compared
//! with each other from v0.32.0 to v2.9.4.

use semver::Version;

use super::GotkError;

/// Newest minor whose steps were compared; the steps of a newer one are not guessed.
const NEWEST_KNOWN: (u64, u64) = (2, 9);

/// The steps of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    /// Objects are sorted by kind (until 2.0.0-rc.3), not kept in the order of their files.
    pub by_kind: bool,
    /// Labels are put on the Pod templates of Deployments, too (from 2.7.0).
    pub pod_labels: bool,
    /// source-watcher is known (from 2.7.0).
    pub source_watcher: bool,
    /// Addresses within the cluster name the namespace by `$(RUNTIME_NAMESPACE)`, and source-watcher advertises
    /// its own name (from 2.7.2).
    pub runtime_namespace: bool,
}

impl Steps {
    /// The steps of a release, told by its version with its leading `v`.
    ///
    /// # Errors
    ///
    /// What is no version of Flux, and a minor that is newer than the newest compared.
    pub(super) fn of(release: &str) -> Result<Self, GotkError> {
        let version = release
            .strip_prefix('v')
            .and_then(|version| Version::parse(version).ok())
            .ok_or_else(|| GotkError::NoVersion { text: release.to_owned() })?;
        if (version.major, version.minor) > NEWEST_KNOWN {
            let (major, minor) = NEWEST_KNOWN;
            return Err(GotkError::UnknownSteps {
                release: release.to_owned(),
                newest: format!("v{major}.{minor}"),
            });
        }
        // Pre-releases count to their release, but for 2.0.0, whose fourth candidate brought the change.
        let number = (version.major, version.minor, version.patch);
        let early_candidate = number == (2, 0, 0) && ["rc.1", "rc.2", "rc.3"].contains(&version.pre.as_str());
        Ok(Self {
            by_kind: number < (2, 0, 0) || early_candidate,
            pod_labels: number >= (2, 7, 0),
            source_watcher: number >= (2, 7, 0),
            runtime_namespace: number >= (2, 7, 2),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("v0.35.0", true, false, false)]
    #[case("v2.0.0-rc.3", true, false, false)]
    #[case("v2.0.0-rc.4", false, false, false)]
    #[case("v2.6.4", false, false, false)]
    #[case("v2.7.1", false, true, false)]
    #[case("v2.7.2", false, true, true)]
    #[case("v2.9.4", false, true, true)]
    fn steps_changed_with_releases(
        #[case] release: &str,
        #[case] by_kind: bool,
        #[case] pod_labels: bool,
        #[case] runtime_namespace: bool,
    ) {
        let expected = Steps { by_kind, pod_labels, source_watcher: pod_labels, runtime_namespace };
        assert_eq!(Steps::of(release), Ok(expected));
    }

    #[rstest]
    #[case("v2.10.0")]
    #[case("v3.0.0")]
    fn steps_of_a_minor_nobody_compared_are_not_guessed(#[case] release: &str) {
        assert!(matches!(Steps::of(release), Err(GotkError::UnknownSteps { .. })));
    }

    #[rstest]
    #[case("2.9.4")]
    #[case("latest")]
    #[case("v2.9")]
    fn what_is_no_version_is_refused(#[case] release: &str) {
        assert!(matches!(Steps::of(release), Err(GotkError::NoVersion { .. })));
    }
}

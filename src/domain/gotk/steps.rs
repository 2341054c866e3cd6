//! What `flux install` of a release does beyond its manifests, as it changed over time.
//!
//! Source: `pkg/manifestgen` of fluxcd/flux2, compared over all tags from v0.32.0 to v2.9.4. A newer release is known by
//! the sources of its steps: where they are the compared ones, so are the steps.

use semver::Version;

use super::{GotkError, Manifests};

/// Newest release whose steps were compared. Without its sources, a later patch release of this minor is taken to
/// have the same steps, and a later minor is not guessed.
const NEWEST_COMPARED: (u64, u64, u64) = (2, 9, 4);

/// The files of fluxcd/flux2 that the steps are written in, with the SHA-256 sums they have in the newest compared
/// release.
pub const SOURCES: [(&str, &str); 5] = [
    (
        "pkg/manifestgen/install/install.go",
        "500cacf0aeb3a33005daecf31d5f07a066ea9f4b59e1ce6b8f98fe3bf2b17060",
    ),
    (
        "pkg/manifestgen/install/manifests.go",
        "0319db4dec8ce2904d85f5b9ec389bb0fdfda3c2fa0dd8390a08a5cd6d82dc2c",
    ),
    (
        "pkg/manifestgen/install/templates.go",
        "ef90867f1814aa97ba8054808014fdc485a513f621e95ac0601bd794173f8df4",
    ),
    (
        "pkg/manifestgen/kustomization/kustomization.go",
        "4df79a6cb2716b9c5e4e0e1a6a1cdd2a932a63481effd6d4b721794eea782f81",
    ),
    ("pkg/manifestgen/manifest.go", "664fbb5e5afafd371b60b28ab1ac546dfedd1fd60a966bd009c1644dc9f9ff60"),
];

/// Whether the steps of a release are to be looked up in its sources, because it is newer than all that were
/// compared.
pub fn are_in_sources(release: &str) -> bool {
    version(release).is_ok_and(|version| number(&version) > NEWEST_COMPARED)
}

fn version(release: &str) -> Result<Version, GotkError> {
    release
        .strip_prefix('v')
        .and_then(|version| Version::parse(version).ok())
        .ok_or_else(|| GotkError::NoVersion { text: release.to_owned() })
}

fn number(version: &Version) -> (u64, u64, u64) {
    (version.major, version.minor, version.patch)
}

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
    /// The steps of a release.
    ///
    /// # Errors
    ///
    /// What is no version of Flux, and a release whose steps are not the compared ones, or may not be.
    pub(super) fn of(release: &Manifests) -> Result<Self, GotkError> {
        let version = version(&release.version)?;
        let number = number(&version);
        let (major, minor, _) = NEWEST_COMPARED;
        if number > NEWEST_COMPARED {
            let changed = SOURCES
                .iter()
                .find(|(path, sum)| release.sources.get(*path).is_none_or(|found| found != sum));
            match changed {
                Some((path, _)) if !release.sources.is_empty() => {
                    return Err(GotkError::ChangedSteps {
                        release: release.version.clone(),
                        source_file: (*path).to_owned(),
                    });
                }
                Some(_) if (version.major, version.minor) > (major, minor) => {
                    return Err(GotkError::UnknownSteps {
                        release: release.version.clone(),
                        newest: format!("v{major}.{minor}"),
                    });
                }
                _ => {}
            }
        }
        // Pre-releases count to their release, but for 2.0.0, whose fourth candidate brought the change.
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

    fn release(version: &str, sources: &[(&str, &str)]) -> Manifests {
        let sources = sources.iter().map(|(path, sum)| ((*path).to_owned(), (*sum).to_owned())).collect();
        Manifests { version: version.to_owned(), sources, ..Manifests::default() }
    }

    #[rstest]
    #[case("v0.35.0", true, false, false)]
    #[case("v2.0.0-rc.3", true, false, false)]
    #[case("v2.0.0-rc.4", false, false, false)]
    #[case("v2.6.4", false, false, false)]
    #[case("v2.7.1", false, true, false)]
    #[case("v2.7.2", false, true, true)]
    #[case("v2.9.4", false, true, true)]
    #[case("v2.9.5", false, true, true)]
    fn steps_changed_with_releases(
        #[case] version: &str,
        #[case] by_kind: bool,
        #[case] pod_labels: bool,
        #[case] runtime_namespace: bool,
    ) {
        let expected = Steps { by_kind, pod_labels, source_watcher: pod_labels, runtime_namespace };
        assert_eq!(Steps::of(&release(version, &[])), Ok(expected));
    }

    #[rstest]
    #[case("v2.10.0")]
    #[case("v3.0.0")]
    fn steps_of_a_minor_nobody_compared_are_not_guessed(#[case] version: &str) {
        assert!(are_in_sources(version));
        assert!(matches!(Steps::of(&release(version, &[])), Err(GotkError::UnknownSteps { .. })));
        assert!(Steps::of(&release(version, &SOURCES)).is_ok(), "the same sources do the same");
    }

    #[rstest]
    #[case("v2.9.5")]
    #[case("v2.10.0")]
    fn a_release_with_other_sources_is_held(#[case] version: &str) {
        let mut sources = SOURCES;
        sources[2].1 = "0";
        let expected = GotkError::ChangedSteps {
            release: version.to_owned(),
            source_file: "pkg/manifestgen/install/templates.go".to_owned(),
        };
        assert_eq!(Steps::of(&release(version, &sources)), Err(expected.clone()));
        sources[2].0 = "pkg/manifestgen/install/other.go";
        assert_eq!(Steps::of(&release(version, &sources)), Err(expected));
    }

    #[rstest]
    #[case("2.9.4")]
    #[case("latest")]
    #[case("v2.9")]
    fn what_is_no_version_is_refused(#[case] version: &str) {
        assert!(!are_in_sources(version));
        assert!(matches!(Steps::of(&release(version, &[])), Err(GotkError::NoVersion { .. })));
    }

    #[test]
    fn releases_that_were_compared_need_no_sources() {
        assert!(!are_in_sources("v2.9.4"));
        assert!(are_in_sources("v2.9.5"));
    }
}

//! Names of branches.

use sha2::{Digest as _, Sha256};

/// What every branch, label and commit status of ours begins with.
pub const OWN_PREFIX: &str = "gitops-updater/";
/// What every branch of ours begins with.
pub const BRANCH_PREFIX: &str = OWN_PREFIX;
/// Most characters of a part of a name.
const MAX_PART: usize = 60;

/// The branch that proposes to move a component to a version: `gitops-updater/<slug>-<target>-<hash>`.
///
/// It depends on nothing else, so that a run finds the branch of an earlier one. The hash, 8 hexadecimal digits over
/// both in full, keeps names apart that look alike when they are reduced.
pub fn branch_name(component: &str, target: &str) -> String {
    let digest = Sha256::digest(format!("{component}\n{target}"));
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let parts = [reduced(component), reduced(target)].map(|part| part.unwrap_or_else(|| "x".to_owned()));
    format!("{BRANCH_PREFIX}{}-{}-{hash}", parts[0], parts[1])
}

/// `[a-z0-9.-]`, as Git takes it anywhere in a name (git-check-ref-format): no `..`, no dot or dash at an end.
fn reduced(text: &str) -> Option<String> {
    let mut out = String::new();
    for letter in text.chars().map(|letter| letter.to_ascii_lowercase()) {
        let letter = if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
        let twice = matches!(letter, '.' | '-') && out.ends_with(['.', '-']);
        if !twice && out.len() < MAX_PART {
            out.push(letter);
        }
    }
    let out = out.trim_matches(['.', '-']);
    (!out.is_empty()).then(|| out.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn branches_tell_component_and_target() {
        for (component, target, expected) in [
            ("k3s", "v1.34.1+k3s1", "gitops-updater/k3s-v1.34.1-k3s1-4b4a1aa2"),
            ("helm/apps/podinfo", "6.7.1", "gitops-updater/helm-apps-podinfo-6.7.1-"),
            ("staging:image/ghcr.io/o/App#x", "1.2_b", "gitops-updater/staging-image-ghcr.io-o-app-x-1.2-b-"),
            ("..", "", "gitops-updater/x-x-"),
        ] {
            let branch = branch_name(component, target);
            let (head, _) = branch.rsplit_once('-').unwrap();
            assert_eq!(format!("{head}-"), expected.trim_end_matches("4b4a1aa2"), "{branch}");
        }
    }

    #[test]
    fn what_looks_alike_when_it_is_reduced_has_another_branch() {
        assert_ne!(branch_name("helm/a/b", "1.0"), branch_name("helm/a-b", "1.0"));
        assert_ne!(branch_name("k3s", "1.0+k3s1"), branch_name("k3s", "1.0-k3s1"));
    }

    proptest! {
        #[test]
        fn every_branch_is_a_name_that_git_takes(component in "\\PC{0,90}", target in "\\PC{0,40}") {
            let branch = branch_name(&component, &target);
            // git-check-ref-format(1).
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"./-".contains(&byte);
            prop_assert!(branch.bytes().all(plain), "{branch}");
            prop_assert!(!branch.contains("..") && !branch.contains("/.") && !branch.contains("./"));
            prop_assert!(!branch.ends_with(".lock") && branch.matches('/').count() == 1);
            prop_assert!(branch.len() < 160);
        }
    }
}

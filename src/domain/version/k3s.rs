//! k3s versions: `vX.Y.Z[-rcN]+k3sN`, with `-k3sN` where a `+` is not allowed (image tags, Plan status).
//!
//! SemVer cannot order them: it ignores the k3s revision, and Rust's `Ord` for it compares `k3s2` and `k3s10`
//! as text.

/// A k3s version. The order is that of its parts, pre-releases before their release and numbers as numbers;
/// `+k3s1` and `-k3s1` are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct K3sVersion {
    pub(super) major: u64,
    pub(super) minor: u64,
    pub(super) patch: u64,
    stage: Stage,
    revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    Before { word: Box<str>, number: u64 },
    Release,
}

impl K3sVersion {
    /// Reads `^v?(\d+)\.(\d+)\.(\d+)(?:-([a-z]+)(\d+))?[+-]k3s(\d+)$`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (rest, revision) = text.rsplit_once("k3s")?;
        let revision = number(revision)?;
        let rest = rest.strip_suffix(['+', '-'])?;
        let (core, stage) = match rest.split_once('-') {
            None => (rest, Stage::Release),
            Some((core, before)) => (core, parse_stage(before)?),
        };
        let mut parts = core.split('.');
        let (major, minor, patch) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
        parts.next().is_none().then_some(Self { major, minor, patch, stage, revision })
    }

    /// Which build of the same Kubernetes release it is: 2 of `+k3s2`.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether it precedes a release (`-rc1`).
    pub fn is_prerelease(&self) -> bool {
        self.stage != Stage::Release
    }

    /// The pre-release in SemVer's words.
    pub(super) fn prerelease(&self) -> Option<String> {
        match &self.stage {
            Stage::Before { word, number } => Some(format!("{word}.{number}")),
            Stage::Release => None,
        }
    }
}

fn parse_stage(text: &str) -> Option<Stage> {
    let word = text.trim_end_matches(|character: char| character.is_ascii_digit());
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let number = number(&text[word.len()..])?;
    is_word.then(|| Stage::Before { word: word.into(), number })
}

/// Decimal digits only: `str::parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k3s_versions_are_ordered_by_number() {
        let ascending = [
            "v1.32.9+k3s1",
            "v1.33.3+k3s1",
            "v1.33.4-alpha1+k3s1",
            "v1.33.4-rc2+k3s1",
            "v1.33.4-rc10+k3s1",
            "v1.33.4-rc10+k3s2",
            "v1.33.4+k3s1",
            "v1.33.4+k3s2",
            "v1.33.4+k3s10",
            "v1.33.10+k3s1",
            "v2.0.0+k3s1",
        ];
        for pair in ascending.windows(2) {
            let [lower, higher] = [pair[0], pair[1]].map(|text| K3sVersion::parse(text).unwrap());
            assert!(lower < higher, "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn munged_and_bare_forms_are_the_same_version() {
        let version = K3sVersion::parse("v1.33.4-rc1+k3s2");
        for text in ["v1.33.4-rc1-k3s2", "1.33.4-rc1+k3s2", "1.33.4-rc1-k3s2"] {
            assert_eq!(K3sVersion::parse(text), version, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_k3s_version_is_not_guessed() {
        for text in [
            "",
            "v1.33.4",
            "v1.33+k3s1",
            "v1.33.4.5+k3s1",
            "v1.33.4+k3s",
            "v1.33.4+k3s1-amd64",
            "v1.33.4k3s1",
            "vv1.33.4+k3s1",
            "v1.33.4-rc+k3s1",
            "v1.33.4-RC1+k3s1",
            "v1.33.4-+k3s1",
            "v1.33.+4+k3s1",
            "v1.33.4+rke2r1",
            "v99999999999999999999.1.1+k3s1",
            "latest",
            "stable",
        ] {
            assert_eq!(K3sVersion::parse(text), None, "{text}");
        }
    }
}

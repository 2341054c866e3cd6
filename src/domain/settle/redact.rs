//! Messages of the cluster, without what is likely to be a secret.
//!
//! Helm and the API server quote what they cannot take, values included; what the judge says of it goes to pull requests,
//! channels and the state.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// What stands for a secret.
const HIDDEN: &str = "${scheme}${name}${bearer}…";

/// The user of an address, a value behind a telling name, a token of a known form.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    let user = r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@]+@";
    let named = r#"(?P<name>\b[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|credential)[\w-]*["']?\s*[:=]\s*)["']?[^\s"',;}]+"#;
    let bearer = r"(?P<bearer>\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}";
    let known = r"\b(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|eyj)[a-z0-9_.-]{8,}";
    #[expect(clippy::expect_used, reason = "the pattern is fixed, and a test compiles it")]
    Regex::new(&format!("(?i){user}|{named}|{bearer}|{known}")).expect("a valid pattern")
});

/// A message without what is likely to be a secret in it.
pub(super) fn redacted(message: &str) -> Cow<'_, str> {
    SECRET.replace_all(message, HIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::user_of_an_address(
        "GET https://bot:hunter2@charts.example.com/index.yaml: 401",
        "GET https://…charts.example.com/index.yaml: 401"
    )]
    #[case::value_of_a_password(
        "cannot parse adminPassword: hunter2, expected map",
        "cannot parse adminPassword: …, expected map"
    )]
    #[case::value_in_quotes(r#"{"apiKey":"abc-123","replicas":2}"#, r#"{"apiKey":…","replicas":2}"#)]
    #[case::bearer("Authorization: Bearer abcdef0123456789", "Authorization: Bearer …")]
    #[case::token_of_a_forge("clone failed for ghp_0123456789abcdef", "clone failed for …")]
    #[case::json_web_token("eyJhbGciOiJIUzI1NiJ9.e30.abc refused", "… refused")]
    #[case::image_digests_stay(
        "pull nginx@sha256:0123456789abcdef0123",
        "pull nginx@sha256:0123456789abcdef0123"
    )]
    #[case::names_of_secrets_stay(
        "MountVolume.SetUp failed: secret \"db-credentials\" not found",
        "MountVolume.SetUp failed: secret \"db-credentials\" not found"
    )]
    fn what_is_likely_to_be_a_secret_is_hidden(#[case] message: &str, #[case] shown: &str) {
        assert_eq!(redacted(message), shown);
    }
}

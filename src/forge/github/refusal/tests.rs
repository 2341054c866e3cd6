use http::HeaderName;
use rstest::rstest;

use super::*;

const ABOUT: About<'static> = About {
    doing: "open a pull request for `x` in `acme/home-ops`",
    request: "POST /repos/acme/home-ops/pulls",
    needs: "pull-requests: write",
    host: "github.com",
    remedy: "set `GITHUB_TOKEN`",
};

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn judged(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Refusal {
    let headers: HeaderMap =
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    let answer = (StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes());
    refusal(ABOUT, answer, now(), 0, str::to_owned)
}

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

const USED_UP: &[(&str, &str)] = &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795257600")];
const ACCEPTED: (&str, &str) =
    ("x-accepted-github-permissions", "contents=write,pull_requests=write; issues=write");

#[rstest]
#[case(401, &[], "", ForgeErrorClass::Denied { permission: None }, "set `GITHUB_TOKEN`")]
#[case(403, &[], r#"{"message":"Resource not accessible by integration"}"#,
    ForgeErrorClass::Denied { permission: Some("pull-requests: write".into()) }, "the token needs `pull-requests: write`")]
#[case(403, &[ACCEPTED], "",
    ForgeErrorClass::Denied { permission: Some("contents: write, pull-requests: write".into()) },
    "the token needs `contents: write, pull-requests: write`")]
#[case(403, &[("x-accepted-github-permissions", "`rm -rf`")], "",
    ForgeErrorClass::Denied { permission: Some("pull-requests: write".into()) }, "pull-requests: write")]
#[case(403, &[], r#"{"message":"refusing to allow a GitHub App to create or update workflow `.github/workflows/a.yml` without `workflows` permission"}"#,
    ForgeErrorClass::Denied { permission: Some("workflows: write".into()) }, "workflows: write")]
#[case(403, &[], r#"{"message":"GitHub Actions is not permitted to create or approve pull requests."}"#,
    ForgeErrorClass::Denied { permission: None }, "Settings, Actions, General")]
#[case(403, &[], r#"{"message":"Repository was archived so is read-only."}"#, ForgeErrorClass::Permanent, "archived")]
#[case(403, &[("x-github-sso", "required; url=https://x")], "", ForgeErrorClass::Denied { permission: None }, "single sign-on")]
#[case(404, &[], r#"{"message":"Not Found"}"#, ForgeErrorClass::NotFound, "lacks `pull-requests: write`")]
#[case(405, &[], r#"{"message":"Pull Request is not mergeable"}"#, ForgeErrorClass::Conflict, "")]
#[case(409, &[], "", ForgeErrorClass::Conflict, "")]
#[case(410, &[], r#"{"message":"Issues has been disabled in this repository."}"#, ForgeErrorClass::Permanent, "turn on Issues")]
#[case(422, &[], "{}", ForgeErrorClass::Permanent, "")]
#[case(500, &[], "<html>", ForgeErrorClass::Transient, "")]
#[case(408, &[], "", ForgeErrorClass::Transient, "")]
#[case(307, &[], "", ForgeErrorClass::Permanent, "has moved")]
#[case(418, &[], "", ForgeErrorClass::Permanent, "")]
#[case(403, USED_UP, "", ForgeErrorClass::RateLimited { reset: at("2026-11-21T10:40:00Z") }, "used up until 2026-11-21T10:40:00Z")]
#[case(429, USED_UP, "", ForgeErrorClass::RateLimited { reset: at("2026-11-21T10:40:00Z") }, "used up until")]
#[case(403, &[("x-ratelimit-remaining", "0")], "", ForgeErrorClass::RateLimited { reset: None }, "in an hour")]
#[case(403, &[("retry-after", "30")], "", ForgeErrorClass::RateLimited { reset: at("2026-11-21T10:00:30Z") }, "for 30 seconds")]
#[case(429, &[("retry-after", "30")], "", ForgeErrorClass::RateLimited { reset: at("2026-11-21T10:00:30Z") }, "for 30 seconds")]
#[case(429, &[], "", ForgeErrorClass::RateLimited { reset: at("2026-11-21T10:01:00Z") }, "for 1 minute")]
#[case(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#,
    ForgeErrorClass::RateLimited { reset: at("2026-11-21T10:01:00Z") }, "for 1 minute")]
#[case(422, &[], r#"{"message":"Validation Failed","errors":[{"message":"was submitted too quickly"}]}"#,
    ForgeErrorClass::RateLimited { reset: at("2026-11-21T10:01:00Z") }, "for 1 minute")]
#[case(429, &[("retry-after", "18446744073709551615")], "", ForgeErrorClass::RateLimited { reset: None }, "")]
fn refusal_has_its_class_and_says_what_to_do(
    #[case] status: u16,
    #[case] headers: &[(&'static str, &str)],
    #[case] body: &str,
    #[case] class: ForgeErrorClass,
    #[case] hint: &str,
) {
    let refusal = judged(status, headers, body);
    assert_eq!(refusal.error.class, class);
    let said = refusal.error.hint.unwrap_or_default();
    assert!(said.contains(hint), "{said}");
    assert_eq!(said.is_empty(), hint.is_empty() && status != 429, "{said}");
    let start = format!(
        "cannot open a pull request for `x` in `acme/home-ops`: github.com answered {status} to \
         `POST /repos/acme/home-ops/pulls`"
    );
    assert!(refusal.error.message.starts_with(&start), "{}", refusal.error.message);
}

#[rstest]
#[case(r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"}]}"#,
    "Validation Failed; `head` is invalid")]
#[case(r#"{"message":"Validation Failed","errors":[{"resource":"Label","field":"name","code":"already_exists"}]}"#,
    "Validation Failed; `name` is already exists")]
#[case(
    r#"{"message":"Validation Failed","errors":[{"code":"custom","message":"No commits between a and b"}]}"#,
    "Validation Failed; No commits between a and b"
)]
#[case(r#"{"message":"Validation Failed","errors":["one","two"]}"#, "Validation Failed; one; two")]
#[case(r#"{"message":"Unprocessable","errors":"only words"}"#, "Unprocessable; only words")]
#[case(r#"{"message":"a\r\nb\u001b[31m c."}"#, "a b [31m c")]
#[case(r#"{"errors":{}}"#, "")]
#[case("<html>Unicorn!</html>", "")]
fn words_of_the_server_are_on_one_line(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(&*judged(422, &[], body).words, expected);
}

#[test]
fn words_of_the_server_have_an_end() {
    let body = serde_json::json!({"message": "ä".repeat(10_000)}).to_string();
    assert_eq!(judged(422, &[], &body).words.chars().count(), WORDS_LIMIT + 1);
}

#[test]
fn secondary_limits_wait_longer_each_time() {
    let body = br#"{"message":"You have exceeded a secondary rate limit"}"#;
    let wait = |before| {
        let answer = (StatusCode::FORBIDDEN, &HeaderMap::new(), &body[..]);
        refusal(ABOUT, answer, now(), before, str::to_owned).wait.unwrap().as_secs()
    };
    assert_eq!([wait(0), wait(1), wait(2), wait(9)], [60, 120, 240, 960]);
}

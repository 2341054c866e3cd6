//! GitHub: pages, conditional requests, limits, tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use gitops_updater::app::ports::{Upstreams as _, Wanted};
use gitops_updater::domain::upstream::{FailureClass, UpstreamRef};
use gitops_updater::upstream::client::UpstreamClient;
use gitops_updater::upstream::context::GithubOptions;
use gitops_updater::upstream::github;
use gitops_updater::upstream::mapping::Target;
use rstest::rstest;
use url::Url;

use super::{Setting, versions};
use crate::support::fake_github::{FakeGithub, Fault, release};

#[tokio::test]
async fn all_pages_are_read() {
    let fake = FakeGithub::start().await;
    fake.releases("k3s-io/k3s", 250);
    let context = Setting::default().github("github.com", &fake.served.url, None).context();
    let answer = github::releases(&context, "github.com", "k3s-io", "k3s", None).await.unwrap();
    assert_eq!(answer.candidates.len(), 250);
    assert_eq!(answer.candidates[0].version, "v1.0.249");
    assert_eq!(answer.candidates[0].notes.as_deref(), Some("Notes of v1.0.249"));
    assert_eq!(answer.stale, None);
    assert_eq!(answer.notes, [""; 0]);
    let seen = fake.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn a_second_run_costs_one_304_a_page_and_offline_costs_none() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeGithub::start().await;
    fake.releases("k3s-io/k3s", 250);
    let setting = || Setting::default().github("github.com", &fake.served.url, None).cache(folder.path());
    let first = github::releases(&setting().context(), "github.com", "k3s-io", "k3s", None).await.unwrap();
    assert_eq!(fake.seen().len(), 3);

    let second = github::releases(&setting().context(), "github.com", "k3s-io", "k3s", None).await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request.header("if-none-match").is_some()));
    assert_eq!(second, first);

    let offline = setting().offline().context();
    let third = github::releases(&offline, "github.com", "k3s-io", "k3s", None).await.unwrap();
    assert_eq!(fake.seen().len(), 0);
    assert!(third.stale.is_some());
    assert_eq!(third.candidates, first.candidates);
    let other = github::releases(&offline, "github.com", "k3s-io", "other", None).await.unwrap_err();
    assert_eq!(other.class, FailureClass::Offline);
}

#[tokio::test]
async fn a_changed_page_replaces_the_stored_one() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeGithub::start().await;
    let setting = || Setting::default().github("github.com", &fake.served.url, None).cache(folder.path());
    for count in [1, 2, 2] {
        fake.releases("o/r", count);
        let answer = github::releases(&setting().context(), "github.com", "o", "r", None).await.unwrap();
        assert_eq!(answer.candidates.len(), count);
    }
}

#[tokio::test]
async fn a_long_list_is_cut_off_and_says_so() {
    let fake = FakeGithub::start().await;
    fake.releases("k3s-io/k3s", 1031);
    let context = Setting::default().github("github.com", &fake.served.url, None).context();
    let answer = github::releases(&context, "github.com", "k3s-io", "k3s", None).await.unwrap();
    assert_eq!(answer.candidates.len(), 1000);
    assert_eq!(
        answer.notes,
        ["the list of releases was cut off after 1000 entries; older ones were not read"]
    );
    assert_eq!(fake.seen().len(), 10);
}

#[tokio::test]
async fn reading_stops_one_page_after_the_installed_version() {
    let fake = FakeGithub::start().await;
    fake.releases("k3s-io/k3s", 1031);
    let context = Setting::default().github("github.com", &fake.served.url, None).context();
    let answer = github::releases(&context, "github.com", "k3s-io", "k3s", Some("v1.0.900")).await.unwrap();
    assert_eq!(answer.candidates.len(), 300, "page 2 has it, page 3 is read too");
    assert_eq!(answer.notes, [""; 0]);
}

/// Reading stopped one page after the installed tag, as with releases, which come newest first. Tags come in the
/// reverse order of their letters: `v1.10.0` was never seen by who runs `v1.9.0`.
#[tokio::test]
async fn tags_are_read_to_the_end_because_their_order_says_nothing() {
    let fake = FakeGithub::start().await;
    let mut tags: Vec<String> = (0..400).map(|patch| format!("v1.9.{patch}")).collect();
    tags.push("v1.10.0".to_owned());
    tags.sort_by(|a, b| b.cmp(a));
    fake.tags("o/r", &tags.iter().map(String::as_str).collect::<Vec<_>>());
    let context = Setting::default().github("github.com", &fake.served.url, None).context();
    let wanted = UpstreamRef::GithubTags { host: "github.com".into(), owner: "o".into(), name: "r".into() };
    let asked = Wanted { installed: Some("v1.9.99".to_owned()), ..Wanted::default() };
    let mut found = None;
    UpstreamClient::new(Arc::new(context))
        .ask_all(BTreeMap::from([(wanted, asked)]), &mut |_, answer| found = Some(answer))
        .await;
    let answer = found.unwrap().unwrap();
    assert!(versions(&answer).contains(&"v1.10.0"));
    assert_eq!(answer.notes, [""; 0]);
}

#[tokio::test]
async fn a_long_list_of_tags_is_cut_off_and_says_what_that_means() {
    let fake = FakeGithub::start().await;
    let tags: Vec<String> = (0..250).map(|patch| format!("v1.9.{patch}")).collect();
    fake.tags("o/r", &tags.iter().map(String::as_str).collect::<Vec<_>>());
    let mut setting = Setting::default().github("github.com", &fake.served.url, None);
    setting.github.pages = 2;
    let answer = github::tags(&setting.context(), "github.com", "o", "r").await.unwrap();
    assert!(answer.notes[0].contains("newer ones may be among those not read"), "{:?}", answer.notes);
}

#[tokio::test]
async fn tags_have_no_dates() {
    let fake = FakeGithub::start().await;
    fake.tags("o/r", &["v1.1.0", "v1.0.0"]);
    let context = Setting::default().github("github.com", &fake.served.url, None).context();
    let answer = github::tags(&context, "github.com", "o", "r").await.unwrap();
    assert_eq!(versions(&answer), ["v1.0.0", "v1.1.0"]);
    assert!(answer.candidates.iter().all(|tag| tag.released_at.is_none() && tag.prerelease.is_none()));
}

#[tokio::test]
async fn a_token_is_sent_and_reaches_private_repositories() {
    let fake = FakeGithub::start().await;
    fake.accept_token("secret", true);
    fake.releases("o/r", 1);
    let with = Setting::default().github("ghe.example.com", &fake.served.url, Some("secret")).context();
    assert!(github::releases(&with, "ghe.example.com", "o", "r", None).await.is_ok());
    let without = Setting::default().github("ghe.example.com", &fake.served.url, None).context();
    let failure = github::releases(&without, "ghe.example.com", "o", "r", None).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NotFound);
    insta::assert_snapshot!(failure.message, @"cannot list releases of `o/r` on ghe.example.com: there is no such repository, or it is private and needs a token with `contents: read`: set `upstreams.hosts.\"ghe.example.com\".token_env`");
}

#[tokio::test]
async fn an_enterprise_api_below_a_path_is_asked_there() {
    let fake = FakeGithub::start().await;
    fake.releases("o/r", 1);
    let api = fake.served.url.join("api/v3").unwrap();
    let context = Setting::default().github("ghe.example.com", &api, None).context();
    assert!(github::releases(&context, "ghe.example.com", "o", "r", None).await.is_ok());
    assert_eq!(fake.seen()[0].target, "/api/v3/repos/o/r/releases?per_page=100");
}

#[tokio::test]
async fn a_refused_token_fails_at_once_and_is_not_in_the_message() {
    let fake = FakeGithub::start().await;
    fake.releases("o/r", 1);
    let context = Setting::default().github("github.com", &fake.served.url, Some("wrong-token")).context();
    let failure = github::releases(&context, "github.com", "o", "r", None).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    assert!(failure.message.contains("refused the token"), "{failure}");
    assert!(!failure.message.contains("wrong-token"));
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn a_used_up_limit_fails_at_once_with_its_end() {
    let fake = FakeGithub::start().await;
    fake.releases("o/r", 1);
    fake.remaining(0);
    let context = Setting::default().github("github.com", &fake.served.url, None).context();
    let failure = github::releases(&context, "github.com", "o", "r", None).await.unwrap_err();
    assert_eq!(
        failure.class,
        FailureClass::RateLimited { reset: Some("2026-11-21T10:00:00Z".parse().unwrap()) }
    );
    insta::assert_snapshot!(failure.message, @"cannot list releases of `o/r` on github.com: github.com answers no more until 2026-11-21T10:00:00Z; without a token there are 60 requests an hour, with one 5,000: set `GITHUB_TOKEN`, or `upstreams.github.token_env`");
    assert_eq!(fake.seen().len(), 1);
}

#[rstest]
#[case::passing_errors(vec![Fault::new(502), Fault::new(503)], 3)]
#[case::secondary_limit(vec![Fault::new(403).header("retry-after", 0)], 2)]
#[case::too_many(vec![Fault::new(429).header("retry-after", 0)], 2)]
#[tokio::test]
async fn what_passes_is_asked_again(#[case] faults: Vec<Fault>, #[case] requests: usize) {
    let fake = FakeGithub::start().await;
    fake.releases("o/r", 1);
    faults.into_iter().for_each(|fault| fake.fail(fault));
    let context = Setting::default().github("github.com", &fake.served.url, None).context();
    assert!(github::releases(&context, "github.com", "o", "r", None).await.is_ok());
    assert_eq!(fake.seen().len(), requests);
}

#[rstest]
#[case::three_errors(vec![Fault::new(500), Fault::new(500), Fault::new(500)], 3)]
#[case::an_hour(vec![Fault::new(403).header("retry-after", 3600)], 1)]
#[tokio::test]
async fn patience_has_an_end_and_the_stored_list_serves(#[case] faults: Vec<Fault>, #[case] requests: usize) {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeGithub::start().await;
    fake.releases("o/r", 1);
    let setting = || Setting::default().github("github.com", &fake.served.url, None).cache(folder.path());
    github::releases(&setting().context(), "github.com", "o", "r", None).await.unwrap();
    fake.seen();
    faults.into_iter().for_each(|fault| fake.fail(fault));
    let answer = github::releases(&setting().context(), "github.com", "o", "r", None).await.unwrap();
    assert_eq!(fake.seen().len(), requests);
    assert!(answer.stale.is_some());
    assert_eq!(versions(&answer), ["v1.0.0"]);
    assert!(answer.notes.is_empty(), "the caller tells of it, as for every upstream: {:?}", answer.notes);
}

#[rstest]
#[case::html("<html>maintenance</html>")]
#[case::object("{\"message\": \"hello\"}")]
#[case::truncated("[{\"tag_name\": \"v1")]
#[tokio::test]
async fn an_answer_of_another_shape_is_an_error_and_not_stored(#[case] body: &str) {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeGithub::start().await;
    fake.fail(Fault::new(200).header("etag", "\"bad\"").body(body));
    let setting = || Setting::default().github("github.com", &fake.served.url, None).cache(folder.path());
    let failure = github::releases(&setting().context(), "github.com", "o", "r", None).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    fake.releases("o/r", 1);
    fake.seen();
    assert!(github::releases(&setting().context(), "github.com", "o", "r", None).await.is_ok());
    assert!(fake.seen()[0].header("if-none-match").is_none());
}

#[tokio::test]
async fn a_304_to_no_question_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeGithub::start().await;
    fake.fail(Fault::new(304).body(""));
    let context =
        Setting::default().github("github.com", &fake.served.url, None).cache(folder.path()).context();
    let failure = github::releases(&context, "github.com", "o", "r", None).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let fake = FakeGithub::start().await;
    fake.accept_token("secret", true);
    fake.releases("new/name", 150);
    fake.rename("old/name", "new/name");
    let context = Setting::default().github("github.com", &fake.served.url, Some("secret")).context();
    let answer = github::releases(&context, "github.com", "old", "name", None).await.unwrap();
    assert_eq!(answer.candidates.len(), 150);
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_carry_the_token() {
    let fake = FakeGithub::start().await;
    let other = FakeGithub::start().await;
    other.releases("o/r", 1);
    let target = other.served.url.join("repos/o/r/releases").unwrap();
    fake.fail(Fault::new(302).header("location", target));
    let context = Setting::default().github("github.com", &fake.served.url, Some("secret")).context();
    assert!(github::releases(&context, "github.com", "o", "r", None).await.is_ok());
    assert_eq!(fake.seen()[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(other.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn the_next_page_is_not_read_from_another_host() {
    let fake = FakeGithub::start().await;
    let other = FakeGithub::start().await;
    fake.releases("o/r", 150);
    other.releases("o/r", 150);
    fake.link_to(other.served.url.as_str());
    let context = Setting::default().github("github.com", &fake.served.url, Some("secret")).context();
    fake.accept_token("secret", false);
    let answer = github::releases(&context, "github.com", "o", "r", None).await.unwrap();
    assert_eq!(answer.candidates.len(), 100);
    assert_eq!(answer.notes, ["the next page is on another host and was not read"]);
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_mirror_is_asked_without_the_token_and_its_links_are_mapped() {
    let mirror = FakeGithub::start().await;
    mirror.releases("o/r", 150);
    mirror.link_to("https://api.github.com/");
    let mut setting =
        Setting::default().map("https://api.github.com", Target::Url(mirror.served.url.clone()));
    setting = setting.github("github.com", &Url::parse("https://api.github.com").unwrap(), Some("secret"));
    let answer = github::releases(&setting.context(), "github.com", "o", "r", None).await.unwrap();
    assert_eq!(answer.candidates.len(), 150);
    assert!(mirror.seen().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn a_mapped_file_answers_for_the_whole_list() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("releases.json");
    let list: Vec<_> = (0..250).map(|i| release(&format!("v1.0.{i}"))).collect();
    std::fs::write(&file, serde_json::to_string(&list).unwrap()).unwrap();
    let base = "https://api.github.com/repos/k3s-io/k3s/releases";
    let context = Setting::default().map(base, Target::Path(file.clone())).context();
    let answer = github::releases(&context, "github.com", "k3s-io", "k3s", None).await.unwrap();
    assert_eq!(answer.candidates.len(), 250);
    std::fs::remove_file(file).unwrap();
    let failure = github::releases(&context, "github.com", "k3s-io", "k3s", None).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NotFound);
}

#[tokio::test]
async fn names_of_no_repository_are_refused_unasked() {
    let fake = FakeGithub::start().await;
    let context = Setting::default().github("github.com", &fake.served.url, Some("secret")).context();
    for (owner, name) in [("..", "x"), ("a/b", "c"), ("a", "b?x"), ("", "")] {
        let failure = github::releases(&context, "github.com", owner, name, None).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent);
    }
    assert_eq!(fake.seen().len(), 0);
}

#[tokio::test]
async fn a_token_that_fits_in_no_header_is_told_and_not_shown() {
    let fake = FakeGithub::start().await;
    let context = Setting::default().github("github.com", &fake.served.url, Some("sec\nret")).context();
    let failure = github::releases(&context, "github.com", "o", "r", None).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    assert!(!failure.message.contains("ret`") && !failure.message.contains("sec\n"), "{failure}");
    assert_eq!(fake.seen().len(), 0);
}

#[test]
fn the_default_bound_is_ten_pages() {
    assert_eq!(GithubOptions::default().pages, 10);
}

/// Real lists: each is read whole, and nothing in it is strange to us.
#[tokio::test]
async fn the_release_lists_of_the_corpus_are_read_whole() {
    let Some(folder) = crate::support::corpus::corpus("upstreams") else { return };
    let mut lists = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if !file.to_str().unwrap().ends_with("-releases.json") {
            continue;
        }
        lists += 1;
        let expected: Vec<serde_json::Value> =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let context = Setting::default()
            .map("https://api.github.com/repos/o/r/releases", Target::Path(file.clone()))
            .context();
        let answer = github::releases(&context, "github.com", "o", "r", None).await.unwrap();
        assert_eq!(answer.candidates.len(), expected.len(), "{}", file.display());
        assert!(answer.candidates.iter().all(|release| release.released_at.is_some()), "{}", file.display());
        assert_eq!(answer.notes, [""; 0], "{}", file.display());
    }
    assert!(lists >= 5, "{lists} lists");
}

/// The API of an Enterprise host lies below the host itself (GitHub Enterprise Server docs, "Using the REST API").
#[tokio::test]
async fn an_enterprise_host_is_asked_below_its_own_name_with_its_own_token() {
    let fake = FakeGithub::start().await;
    fake.releases("o/r", 250);
    fake.accept_token("enterprise", true);
    fake.link_to(&format!("{}api/v3/", fake.served.url));
    let api = fake.served.url.join("api/v3").unwrap();
    let context = Setting::default()
        .github("ghe.example.com", &api, Some("enterprise"))
        .github("github.com", &fake.served.url, Some("public"))
        .context();
    let answer = github::releases(&context, "GHE.example.com", "o", "r", None).await.unwrap();
    assert_eq!(answer.candidates.len(), 250);
    let seen = fake.seen();
    assert_eq!(seen.len(), 3);
    for request in seen {
        assert!(request.target.starts_with("/api/v3/repos"), "{}", request.target);
        assert_eq!(request.header("authorization"), Some("Bearer enterprise"));
    }
}

/// Where nothing is configured for an Enterprise host, its API is looked for at its usual place.
#[tokio::test]
async fn an_enterprise_host_that_nobody_configured_is_asked_at_the_usual_place() {
    let fake = FakeGithub::start().await;
    fake.releases("o/r", 1);
    let context =
        Setting::default().map("https://ghe.example.com", Target::Url(fake.served.url.clone())).context();
    assert!(github::releases(&context, "ghe.example.com", "o", "r", None).await.is_ok());
    assert!(fake.seen()[0].target.starts_with("/api/v3/repos/o/r/releases?"));
}

#[tokio::test]
async fn offline_without_a_page_says_what_to_do() {
    let context = Setting::default().offline().context();
    let failure = github::releases(&context, "github.com", "o", "r", None).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Offline);
    insta::assert_snapshot!(failure.message, @"releases of `o/r` on github.com are not in the cache, and `--offline` forbids to ask; run once without it");
}

//! The HTTP client and what stands on it, against servers on this machine.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gitops_updater::app::ports::{Clock, Progress, Upstreams as _, Wanted};
use gitops_updater::domain::upstream::{FailureClass, UpstreamFailure, UpstreamRef};
use gitops_updater::upstream::client::UpstreamClient;
use gitops_updater::upstream::context::{Context, GitOptions, GithubOptions, OciOptions, OsvOptions};
use gitops_updater::upstream::credentials::{Credential, Credentials};
use gitops_updater::upstream::helm_index;
use gitops_updater::upstream::http::{Get, Got, Http, HttpOptions};
use gitops_updater::upstream::k3s;
use gitops_updater::upstream::mapping::{Mapping, Target};
use gitops_updater::upstream::retry::Policy;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use url::Url;

use crate::support::fake_upstream::{FakeUpstream, Fault, raw};

const LIMIT: u64 = 8 * 1024 * 1024;

fn options(cache: Option<&Path>) -> HttpOptions {
    HttpOptions {
        cache_dir: cache.map(Path::to_path_buf),
        timeout: Duration::from_secs(5),
        retry: Policy::times(2),
        ..HttpOptions::default()
    }
}

fn http(cache: Option<&Path>) -> Http {
    Http::new(options(cache)).unwrap()
}

fn offline(cache: &Path) -> Http {
    Http::new(HttpOptions { offline: true, ..options(Some(cache)) }).unwrap()
}

async fn text(http: &Http, url: &Url) -> Result<String, UpstreamFailure> {
    http.get(Get::new(url, LIMIT)).await.map(|got| body(&got))
}

fn body(got: &Got) -> String {
    String::from_utf8(got.body.bytes(LIMIT).unwrap().to_vec()).unwrap()
}

fn bearer(token: &str) -> SecretString {
    SecretString::from(format!("Bearer {token}"))
}

struct Watch(Mutex<Timestamp>);

impl Watch {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-21T10:00:00Z".parse().unwrap())))
    }

    fn wait(&self, time: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(time).unwrap();
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn second_run_asks_conditionally_and_reads_the_cache() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/index.yaml", "entries: {}");
    let url = server.url("/index.yaml");
    let first = http(Some(folder.path())).get(Get::new(&url, LIMIT)).await.unwrap();
    let second = http(Some(folder.path())).get(Get::new(&url, LIMIT)).await.unwrap();
    assert_eq!((first.from_cache, second.from_cache, second.stale), (false, true, false));
    assert_eq!(body(&second), "entries: {}");
    assert_eq!(server.statuses(), [200, 304]);
    server.serve("/index.yaml", "entries: {a: []}");
    assert_eq!(text(&http(Some(folder.path())), &url).await.unwrap(), "entries: {a: []}");
    assert_eq!(server.statuses(), [200]);
}

#[tokio::test]
async fn max_age_is_honoured_and_capped_and_no_store_leaves_nothing() {
    let (server, folder, watch) = (FakeUpstream::start().await, tempfile::tempdir().unwrap(), Watch::new());
    let http = Http::with_clock(options(Some(folder.path())), watch.clone()).unwrap();
    server.serve("/a", "a");
    server.with_header("/a", "cache-control", "public, max-age=600");
    server.serve("/b", "b");
    server.with_header("/b", "cache-control", "max-age=99999999");
    server.serve("/secret", "s");
    server.with_header("/secret", "cache-control", "private, no-store");
    for path in ["/a", "/b", "/secret", "/a", "/b", "/secret"] {
        text(&http, &server.url(path)).await.unwrap();
    }
    assert_eq!(server.statuses(), [200, 200, 200, 200], "only what must not be stored was asked again");
    watch.wait(SignedDuration::from_secs(601));
    text(&http, &server.url("/a")).await.unwrap();
    watch.wait(SignedDuration::from_hours(2));
    text(&http, &server.url("/b")).await.unwrap();
    assert_eq!(server.statuses(), [304, 304]);
    watch.wait(SignedDuration::from_hours(-48));
    text(&http, &server.url("/a")).await.unwrap();
    assert_eq!(server.statuses(), [304], "an entry from the future is not fresh");
}

#[tokio::test]
async fn fresh_for_saves_the_request() {
    let (server, folder, watch) = (FakeUpstream::start().await, tempfile::tempdir().unwrap(), Watch::new());
    let http = Http::with_clock(options(Some(folder.path())), watch.clone()).unwrap();
    server.serve("/a", "a");
    let url = server.url("/a");
    let get = Get { fresh_for: Some(Duration::from_secs(60)), ..Get::new(&url, LIMIT) };
    http.get(get).await.unwrap();
    watch.wait(SignedDuration::from_secs(59));
    http.get(get).await.unwrap();
    watch.wait(SignedDuration::from_secs(2));
    http.get(get).await.unwrap();
    assert_eq!(server.statuses(), [200, 304]);
}

#[tokio::test]
async fn offline_answers_from_the_cache_at_any_age_and_never_asks() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/a", "a");
    text(&http(Some(folder.path())), &server.url("/a")).await.unwrap();
    server.take_log();
    let http = offline(folder.path());
    let got = http.get(Get::new(&server.url("/a"), LIMIT)).await.unwrap();
    assert!(got.stale && got.from_cache && body(&got) == "a");
    let failure = text(&http, &server.url("/b")).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Offline);
    assert!(failure.message.contains("--offline"), "{failure}");
    assert!(server.take_log().is_empty());
}

#[tokio::test]
async fn upstream_that_is_away_is_answered_for_by_the_cache() {
    let (mut server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/a", "a");
    let url = server.url("/a");
    text(&http(Some(folder.path())), &url).await.unwrap();
    server.fail("/a", Fault::Status(503, vec![]));
    let http = Http::new(HttpOptions { retry: Policy::times(0), ..options(Some(folder.path())) }).unwrap();
    let got = http.get(Get::new(&url, LIMIT)).await.unwrap();
    assert!(got.stale && body(&got) == "a");
    server.stop().await;
    let fresh_http =
        Http::new(HttpOptions { retry: Policy::times(0), ..options(Some(folder.path())) }).unwrap();
    let got = fresh_http.get(Get::new(&url, LIMIT)).await.unwrap();
    assert!(got.stale && body(&got) == "a");
    let failure = text(&fresh_http, &server.url("/b")).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
}

#[tokio::test]
async fn missing_thing_and_refused_credentials_are_not_hidden_by_the_cache() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/a", "a");
    let url = server.url("/a");
    let http = http(Some(folder.path()));
    text(&http, &url).await.unwrap();
    for (status, class) in
        [(404, FailureClass::NotFound), (401, FailureClass::Denied), (403, FailureClass::Denied)]
    {
        server.fail("/a", Fault::Status(status, vec![]));
        assert_eq!(text(&http, &url).await.unwrap_err().class, class);
    }
}

#[tokio::test]
async fn passing_failures_are_retried_and_lasting_ones_are_not() {
    let server = FakeUpstream::start().await;
    server.serve("/a", "a");
    let (url, http) = (server.url("/a"), http(None));
    server.fail("/a", Fault::Status(503, vec![]));
    server.fail("/a", Fault::Status(502, vec![]));
    assert_eq!(text(&http, &url).await.unwrap(), "a");
    assert_eq!(server.statuses(), [503, 502, 200]);
    for _ in 0..3 {
        server.fail("/a", Fault::Status(500, vec![]));
    }
    assert_eq!(text(&http, &url).await.unwrap_err().class, FailureClass::Transient);
    assert_eq!(server.statuses(), [500, 500, 500]);
    for status in [400, 401, 403, 404, 410, 451] {
        server.fail("/a", Fault::Status(status, vec![]));
        text(&http, &url).await.unwrap_err();
        assert_eq!(server.statuses(), [status], "asked once");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_and_a_long_one_is_not() {
    let server = FakeUpstream::start().await;
    server.serve("/a", "a");
    let (url, http) = (server.url("/a"), http(None));
    server.fail("/a", Fault::Status(429, vec![("retry-after", "1".to_owned())]));
    let start = Instant::now();
    assert_eq!(text(&http, &url).await.unwrap(), "a");
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(server.statuses(), [429, 200]);
    server.fail("/a", Fault::Status(429, vec![("retry-after", "3600".to_owned())]));
    let failure = text(&http, &url).await.unwrap_err();
    assert!(matches!(failure.class, FailureClass::RateLimited { reset: Some(_) }), "{failure:?}");
    assert_eq!(server.statuses(), [429]);
}

#[tokio::test]
async fn missing_credentials_are_told_with_the_key_that_supplies_them() {
    let server = FakeUpstream::start().await;
    server.serve("/a", "a");
    server.protect("/a", "Bearer right");
    let failure = text(&http(None), &server.url("/a")).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    let message = failure.message.replace(&server.authority(), "HOST");
    insta::assert_snapshot!(message, @r#"`http://HOST/a` answered 401: `HOST` wants credentials and none are configured for it; set `upstreams.hosts."HOST".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `HOST`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`"#);

    let mut credentials = Credentials::new();
    credentials.add(server.url("").as_str(), Credential::Bearer("wr0ng-s3cret".to_owned().into())).unwrap();
    let http = Http::new(HttpOptions { credentials, ..options(None) }).unwrap();
    let failure = text(&http, &server.url("/a")).await.unwrap_err();
    assert!(failure.message.contains("refused the credentials"), "{failure}");
    assert!(!failure.message.contains("wr0ng-s3cret"), "{failure}");
    assert_eq!(server.statuses(), [401, 401], "a refusal is final");
}

#[tokio::test]
async fn challenge_comes_back_where_it_is_wanted() {
    let server = FakeUpstream::start().await;
    server.serve("/a", "a");
    server.protect("/a", "Bearer right");
    let url = server.url("/a");
    let get = Get { challenge: true, ..Get::new(&url, LIMIT) };
    let got = http(None).get(get).await.unwrap();
    assert_eq!((got.status, got.headers["www-authenticate"].as_bytes()), (401, b"Basic".as_slice()));
    let right = bearer("right");
    let got = http(None).get(Get { authorization: Some(&right), ..get }).await.unwrap();
    assert_eq!((got.status, body(&got).as_str()), (200, "a"));
}

#[tokio::test]
async fn credentials_go_to_their_host_only_whatever_redirects_say() {
    let (home, other) = (FakeUpstream::start().await, FakeUpstream::start().await);
    other.serve("/stolen", "x");
    other.fail("/back", Fault::Redirect(302, home.url("/end").to_string()));
    home.serve("/end", "end");
    home.serve("/same", "same");
    let mut credentials = Credentials::new();
    credentials.add(home.url("").as_str(), Credential::Bearer("mine".to_owned().into())).unwrap();
    credentials.add(other.url("").as_str(), Credential::Bearer("others".to_owned().into())).unwrap();
    let http = Http::new(HttpOptions { credentials, ..options(None) }).unwrap();

    home.fail("/a", Fault::Redirect(307, "/same".to_owned()));
    assert_eq!(text(&http, &home.url("/a")).await.unwrap(), "same");
    assert!(home.take_log().iter().all(|asked| asked.header("authorization") == Some("Bearer mine")));

    home.fail("/a", Fault::Redirect(302, other.url("/stolen").to_string()));
    assert_eq!(text(&http, &home.url("/a")).await.unwrap(), "x");
    assert_eq!(other.take_log()[0].header("authorization"), None);
    home.take_log();

    home.fail("/a", Fault::Redirect(302, other.url("/back").to_string()));
    assert_eq!(text(&http, &home.url("/a")).await.unwrap(), "end");
    let back = home.take_log().pop().unwrap();
    assert_eq!(
        (back.path.as_str(), back.header("authorization")),
        ("/end", None),
        "not on the way back either"
    );

    let given = bearer("given");
    let start = home.url("/a");
    home.fail("/a", Fault::Redirect(302, other.url("/stolen").to_string()));
    http.get(Get { authorization: Some(&given), ..Get::new(&start, LIMIT) }).await.unwrap();
    assert_eq!(home.take_log()[0].header("authorization"), Some("Bearer given"));
    assert!(other.take_log().iter().all(|asked| asked.header("authorization").is_none()));
}

#[tokio::test]
async fn given_authorization_does_not_go_where_a_mapping_leads() {
    let mirror = FakeUpstream::start().await;
    mirror.serve("/a", "a");
    let base = Url::parse("https://api.example.com").unwrap();
    let mapping = Mapping::new(vec![(base.clone(), Target::Url(mirror.url("/")))]);
    let http = Http::new(HttpOptions { mapping, ..options(None) }).unwrap();
    let (given, url) = (bearer("given"), base.join("/a").unwrap());
    http.get(Get { authorization: Some(&given), ..Get::new(&url, LIMIT) }).await.unwrap();
    assert_eq!(mirror.take_log()[0].header("authorization"), None);
}

#[tokio::test]
async fn user_in_a_url_becomes_basic_credentials_and_is_never_shown_or_stored() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/a", "a");
    server.protect("/a", "Basic bWU6c2VjcjN0");
    let mut url = server.url("/a");
    url.set_username("me").unwrap();
    url.set_password(Some("secr3t")).unwrap();
    let http = http(Some(folder.path()));
    assert_eq!(text(&http, &url).await.unwrap(), "a");
    url.set_path("/none");
    let failure = text(&http, &url).await.unwrap_err();
    assert!(!failure.message.contains("secr3t") && !failure.message.contains("me:"), "{failure}");
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let content = String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned();
        assert!(!content.contains("secr3t") && !content.contains("bWU6c2VjcjN0"), "{content}");
    }
}

#[tokio::test]
async fn answers_to_different_credentials_are_stored_apart() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/a", "for everybody");
    let (url, http) = (server.url("/a"), http(Some(folder.path())));
    text(&http, &url).await.unwrap();
    let (one, two) = (bearer("one"), bearer("two"));
    for authorization in [&one, &two, &one] {
        http.get(Get { authorization: Some(authorization), ..Get::new(&url, LIMIT) }).await.unwrap();
    }
    assert_eq!(server.statuses(), [200, 200, 200, 304]);
}

#[tokio::test]
async fn endless_redirects_and_other_schemes_are_refused() {
    let server = FakeUpstream::start().await;
    for _ in 0..7 {
        server.fail("/loop", Fault::Redirect(301, "/loop".to_owned()));
    }
    let failure = text(&http(None), &server.url("/loop")).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert_eq!(server.take_log().len(), 6);
    server.fail("/file", Fault::Redirect(301, "file:///etc/passwd".to_owned()));
    let failure = text(&http(None), &server.url("/file")).await.unwrap_err();
    assert!(failure.message.contains("not http or https"), "{failure}");
}

#[tokio::test]
async fn content_over_the_limit_is_refused_packed_or_not() {
    let server = FakeUpstream::start().await;
    server.serve("/large", vec![b'a'; 100_000]);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![0; 1024 * 1024]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    server.serve("/bomb", bomb);
    server.with_header("/bomb", "content-encoding", "gzip");
    for (path, limit) in [("/large", 99_999), ("/bomb", LIMIT)] {
        let failure = http(None).get(Get::new(&server.url(path), limit)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent);
        assert!(failure.message.contains("larger than"), "{failure}");
    }
    assert_eq!(server.statuses(), [200, 200], "size is no passing failure");
    assert!(http(None).get(Get::new(&server.url("/large"), 100_000)).await.is_ok());
}

#[tokio::test]
async fn large_content_goes_through_a_file_that_does_not_stay() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    server.serve("/large", &large);
    let url = server.url("/large");
    for expected in [false, true] {
        let got = http(Some(folder.path())).get(Get::new(&url, LIMIT)).await.unwrap();
        assert_eq!(got.from_cache, expected);
        assert_eq!(got.body.bytes(LIMIT).unwrap(), large);
        assert!(got.body.bytes(2_999_999).is_err());
    }
    let mut endings: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path().extension().unwrap().to_string_lossy().into_owned())
        .collect();
    endings.sort();
    assert_eq!(endings, ["body", "json"], "nothing temporary stays");
}

#[tokio::test]
async fn web_page_in_place_of_data_is_named() {
    let server = FakeUpstream::start().await;
    server.serve("/login", "\n<!DOCTYPE html><html></html>");
    server.serve("/typed", "<p>Sign in</p>");
    server.with_header("/typed", "content-type", "text/html; charset=utf-8");
    server.serve("/mislabelled", "entries: {}");
    server.with_header("/mislabelled", "content-type", "text/html");
    for path in ["/login", "/typed"] {
        let failure = text(&http(None), &server.url(path)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent);
        assert!(failure.message.contains("web page"), "{failure}");
    }
    assert!(text(&http(None), &server.url("/mislabelled")).await.is_ok());
}

#[tokio::test]
async fn cut_and_silent_answers_are_failures_and_are_asked_again() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nentries:".to_vec();
    let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nentries: {}".to_vec();
    let url = raw(vec![cut.clone(), whole.clone()], Duration::ZERO);
    assert_eq!(text(&http(None), &url).await.unwrap(), "entries: {}");

    let impatient = |retries| {
        Http::new(HttpOptions {
            timeout: Duration::from_millis(200),
            retry: Policy::times(retries),
            ..options(None)
        })
        .unwrap()
    };
    let url = raw(vec![cut.clone(), whole], Duration::from_secs(3));
    assert_eq!(text(&impatient(1), &url).await.unwrap(), "entries: {}");
    let url = raw(vec![cut], Duration::from_secs(3));
    let failure = text(&impatient(0), &url).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{failure}");
}

#[tokio::test]
async fn damaged_cache_entries_are_replaced() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/a", "the right content");
    let (url, http) = (server.url("/a"), http(Some(folder.path())));
    text(&http, &url).await.unwrap();
    let file = |ending: &str| {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|own| own == ending))
            .unwrap()
    };
    let damages: [(&str, &[u8]); 5] = [
        ("body", b"the wrong content"),
        ("body", b"short"),
        ("json", b"{"),
        ("json", b""),
        ("json", br#"{"format":1,"body":"../../etc/passwd","check":{"length":1,"crc":1},"max_age":99,"headers":{}}"#),
    ];
    for (ending, damage) in damages {
        server.take_log();
        // Bodies that nothing names stay for a while, so only the named one is damaged.
        let named = std::fs::read_to_string(file("json")).unwrap();
        let body = folder.path().join(named.split('"').nth(5).unwrap());
        std::fs::write(if ending == "json" { file("json") } else { body }, damage).unwrap();
        assert_eq!(text(&http, &url).await.unwrap(), "the right content", "{ending} {damage:?}");
        assert_eq!(server.statuses().last(), Some(&200), "asked for the whole content again");
        assert_eq!(text(&http, &url).await.unwrap(), "the right content");
        assert_eq!(server.statuses(), [304], "and stored it");
    }
}

#[tokio::test]
async fn processes_that_share_a_cache_do_not_disturb_each_other() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for round in 0..40 {
        let content = format!("content {}", round % 7).repeat(1 + 1000 * (round % 3));
        server.serve("/a", &content);
        server.without_etag("/a");
        let (http, url) = (http(Some(folder.path())), server.url("/a"));
        tasks.spawn(async move { text(&http, &url).await.unwrap() });
    }
    while let Some(got) = tasks.join_next().await {
        assert!(got.unwrap().starts_with("content "));
    }
    let last = text(&offline(folder.path()), &server.url("/a")).await.unwrap();
    assert!(last.starts_with("content "));
}

#[tokio::test]
async fn one_host_never_gets_more_requests_at_once_than_allowed() {
    let server = FakeUpstream::start().await;
    server.pause(Duration::from_millis(20));
    let http = Http::new(HttpOptions { per_host: 3, ..options(None) }).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..15 {
        let path = format!("/{number}");
        server.serve(&path, "x");
        let (http, url) = (http.clone(), server.url(&path));
        tasks.spawn(async move { text(&http, &url).await.unwrap() });
    }
    while let Some(got) = tasks.join_next().await {
        got.unwrap();
    }
    assert_eq!(server.most_in_flight(), 3);
}

#[tokio::test]
async fn mapped_folder_answers_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"entries:\n  demo:\n  - version: 1.10\n").unwrap();
    std::fs::write(folder.path().join("index.yaml.gz"), packed.finish().unwrap()).unwrap();
    let base = Url::parse("https://charts.example.com").unwrap();
    let mapping = Mapping::new(vec![(base, Target::Path(folder.path().to_path_buf()))]);
    for offline in [false, true] {
        let http = Http::new(HttpOptions { mapping: mapping.clone(), offline, ..options(None) }).unwrap();
        let answers =
            helm_index::charts(&http, "https://charts.example.com/", BTreeSet::from(["demo".into()])).await;
        assert_eq!(answers[0].1.as_ref().unwrap().candidates[0].version, "1.10");
        let missing = text(&http, &Url::parse("https://charts.example.com/none").unwrap()).await.unwrap_err();
        assert_eq!(missing.class, FailureClass::NotFound);
        assert!(missing.message.contains("is mapped to"), "{missing}");
    }
}

fn index(charts: usize, versions: usize) -> String {
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for chart in 0..charts {
        text.push_str(&format!("  chart-{chart}:\n"));
        for version in (0..versions).rev() {
            text.push_str(&format!(
                "  - apiVersion: v2\n    created: \"2026-01-01T00:00:00Z\"\n    name: chart-{chart}\n    urls:\n    - chart-{chart}-1.{version}.0.tgz\n    version: 1.{version}.0\n"
            ));
        }
    }
    text.push_str("generated: \"2026-01-01T00:00:00Z\"\n");
    text
}

#[tokio::test]
async fn unchanged_index_is_not_read_again() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/charts/index.yaml", index(3, 5));
    let repository = server.url("/charts").to_string();
    let ask = async |charts: &[&str]| {
        let charts = charts.iter().map(|name| (*name).to_owned()).collect();
        helm_index::charts(&http(Some(folder.path())), &repository, charts).await
    };
    let cold = ask(&["chart-0", "chart-1"]).await;
    // Without its body the stored index can only answer by its extract.
    let body = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "body"))
        .unwrap();
    let content = std::fs::read(&body).unwrap();
    std::fs::write(&body, vec![b'#'; content.len()]).unwrap();
    assert_eq!(ask(&["chart-0", "chart-1"]).await, cold);
    assert_eq!(server.statuses(), [200, 304]);
    // A chart that the extract does not have needs the body, whose damage is noticed.
    assert_eq!(ask(&["chart-2"]).await[0].1.as_ref().unwrap().candidates.len(), 5);
    assert_eq!(server.statuses(), [304, 304, 200]);
    assert_eq!(ask(&["chart-0", "chart-1"]).await, cold);
}

#[tokio::test]
async fn missing_chart_is_told_with_names_like_it() {
    let server = FakeUpstream::start().await;
    server.serve("/index.yaml", "entries:\n  longhorn:\n  - version: 1.0.0\n  empty: []\n");
    let charts = ["longhron", "empty"].map(str::to_owned).into();
    let answers = helm_index::charts(&http(None), server.url("").as_str(), charts).await;
    let messages: Vec<String> = answers
        .into_iter()
        .map(|(_, answer)| answer.unwrap_err())
        .inspect(|failure| assert_eq!(failure.class, FailureClass::NotFound))
        .map(|failure| failure.message.replace(&server.authority(), "HOST"))
        .collect();
    insta::assert_snapshot!(messages.join("\n"), @r"
    `http://HOST/index.yaml` lists no version of chart `empty`
    `http://HOST/index.yaml` has no chart `longhron`; did you mean `longhorn`?
    ");
}

#[tokio::test]
async fn index_of_sixty_megabytes_is_read_and_a_larger_one_than_the_bound_is_refused() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let mut large = index(1, 3);
    let padding = format!("  - name: padding\n    description: {}\n", "x".repeat(10_000));
    large = large.replace("generated:", &format!("  padding:\n{}generated:", padding.repeat(6_000)));
    assert!(large.len() > 60_000_000);
    server.serve("/index.yaml", &large);
    let ask = async || {
        let charts = BTreeSet::from(["chart-0".to_owned()]);
        helm_index::charts(&http(Some(folder.path())), server.url("").as_str(), charts).await.remove(0).1
    };
    assert_eq!(ask().await.unwrap().candidates.len(), 3);
    large.push_str(&"# more\n".repeat(6_000_000));
    server.serve("/index.yaml", &large);
    let failure = ask().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("larger than"), "{failure}");
}

#[tokio::test]
async fn k3s_channels_are_read_in_every_form() {
    let server = FakeUpstream::start().await;
    server.serve(
        "/v1-release/channels",
        r#"{"type":"collection","data":[{"id":"stable","latest":"v1.36.4+k3s1"},{"id":"v1.16"},{"id":"odd","latest":"<b>"}]}"#,
    );
    let (http, url) = (http(None), |path: &str| server.url(path).to_string());
    assert_eq!(
        k3s::channel(&http, &url("/v1-release/channels/stable")).await.unwrap().as_deref(),
        Some("v1.36.4+k3s1")
    );
    assert_eq!(k3s::channel(&http, &url("/v1-release/channels/v1.16")).await.unwrap(), None);
    assert!(k3s::channel(&http, &url("/v1-release/channels/odd")).await.is_err());
    server.take_log();

    let tag = "https://github.com/k3s-io/k3s/releases/tag/v1.33.4%2Bk3s1";
    server.fail("/mine/channels/stable", Fault::Redirect(302, tag.to_owned()));
    assert_eq!(
        k3s::channel(&http, &url("/mine/channels/stable")).await.unwrap().as_deref(),
        Some("v1.33.4+k3s1")
    );
    assert_eq!(server.statuses(), [404, 302], "the redirect was not followed");

    server.fail("/other/stable", Fault::Redirect(302, "/login".to_owned()));
    server.serve("/page/stable", "<html>Sign in</html>");
    server.serve("/json/stable", r#"{"id":"stable","latest":"v1.30.0+k3s1"}"#);
    server.serve("/text/stable", "stable");
    for path in ["/other/stable", "/page/stable", "/text/stable", "/none/stable"] {
        assert!(k3s::channel(&http, &url(path)).await.is_err(), "{path}");
    }
    assert_eq!(k3s::channel(&http, &url("/json/stable")).await.unwrap().as_deref(), Some("v1.30.0+k3s1"));
}

#[derive(Default)]
struct Counted(Mutex<(usize, BTreeSet<UpstreamRef>)>);

impl Progress for Counted {
    fn started(&self, total: usize) {
        self.0.lock().unwrap().0 = total;
    }

    fn finished(&self, upstream: &UpstreamRef) {
        assert!(self.0.lock().unwrap().1.insert(upstream.clone()), "{upstream:?} finished twice");
    }
}

#[tokio::test]
async fn every_upstream_is_asked_once_and_one_that_fails_costs_no_other() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let mut wanted = BTreeSet::new();
    for repository in 0..20 {
        server.serve(&format!("/{repository}/index.yaml"), index(5, 4));
        for chart in 0..5 {
            wanted.insert(UpstreamRef::HelmChart {
                repository: server.url(&format!("/{repository}")).to_string(),
                chart: format!("chart-{chart}"),
            });
        }
    }
    for repository in ["not a url".to_owned(), server.url("/none").to_string()] {
        wanted.insert(UpstreamRef::HelmChart { repository, chart: "x".to_owned() });
    }
    for (round, status) in [200, 304].into_iter().enumerate() {
        let context = Context::new(
            http(Some(folder.path())),
            GithubOptions::default(),
            GitOptions::default(),
            OciOptions::default(),
            OsvOptions::default(),
        );
        let progress = Arc::new(Counted::default());
        let client = UpstreamClient::new(Arc::new(context)).with_progress(progress.clone());
        let (mut good, mut bad) = (0, 0);
        client
            .ask_all(
                wanted.iter().map(|upstream| (upstream.clone(), Wanted::default())).collect(),
                &mut |_, answer| match answer {
                    Ok(answer) => {
                        assert_eq!(answer.candidates.len(), 4);
                        good += 1;
                    }
                    Err(_) => bad += 1,
                },
            )
            .await;
        assert_eq!((good, bad), (100, 2), "round {round}");
        assert_eq!(*progress.0.lock().unwrap(), (102, wanted.clone()));
        let mut statuses = server.statuses();
        statuses.sort_unstable();
        let mut expected = vec![status; 20];
        expected.push(404);
        assert_eq!(statuses, expected, "round {round}");
    }
}

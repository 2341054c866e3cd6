//! What is kept between runs, and how long it serves.

use super::*;

#[tokio::test]
async fn second_run_asks_conditionally_and_reads_the_cache() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/index.yaml", "entries: {}");
    let url = server.url("/index.yaml");
    let first = http(Some(folder.path())).get(Get::new(&url, LIMIT)).await.unwrap();
    let second = http(Some(folder.path())).get(Get::new(&url, LIMIT)).await.unwrap();
    assert_eq!((first.from_cache, second.from_cache, second.stale.is_none()), (false, true, true));
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
    assert!(got.stale.is_some() && got.from_cache && body(&got) == "a");
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
    assert!(got.stale.is_some() && body(&got) == "a");
    server.stop().await;
    let fresh_http =
        Http::new(HttpOptions { retry: Policy::times(0), ..options(Some(folder.path())) }).unwrap();
    let got = fresh_http.get(Get::new(&url, LIMIT)).await.unwrap();
    assert!(got.stale.is_some() && body(&got) == "a");
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

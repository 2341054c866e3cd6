//! Retries, sizes, times and turns.

use super::*;

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

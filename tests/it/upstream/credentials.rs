//! Who is told which credentials.

use super::*;

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

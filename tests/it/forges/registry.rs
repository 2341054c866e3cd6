//! OCI registries: pages, tokens, credentials, caching, and what a tag holds.

use gitops_updater::domain::upstream::FailureClass;
use gitops_updater::upstream::credentials::{Credential, Credentials};
use gitops_updater::upstream::mapping::Target;
use gitops_updater::upstream::oci;
use serde_json::json;

use super::{Setting, versions};
use crate::support::fake_registry::{Door, FakeRegistry};

#[tokio::test]
async fn an_open_registry_costs_one_request_a_repository() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    let context = Setting::default().plain_http(&registry).context();
    for i in 0..20 {
        fake.tags(&format!("team/app{i}"), ["1.0", "1.1"]);
        let answer = oci::tags(&context, &registry, &format!("team/app{i}"), false).await.unwrap();
        assert_eq!(versions(&answer), ["1.0", "1.1"]);
    }
    assert_eq!(fake.seen().len(), 20);
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.tags("app", (0..250).map(|i| format!("1.0.{i}")));
    fake.pages_of(100);
    let context = Setting::default().plain_http(&registry).context();
    let answer = oci::tags(&context, &registry, "app", false).await.unwrap();
    assert_eq!(answer.candidates.len(), 250);
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_registry_that_repeats_its_page_is_not_asked_for_ever() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.tags("app", (0..250).map(|i| format!("1.0.{i}")));
    fake.pages_of(100);
    fake.ignore_last();
    let context = Setting::default().plain_http(&registry).context();
    let answer = oci::tags(&context, &registry, "app", false).await.unwrap();
    assert_eq!(answer.candidates.len(), 100);
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn the_next_page_is_not_read_from_another_host() {
    let fake = FakeRegistry::start().await;
    let other = FakeRegistry::start().await;
    let registry = fake.served.authority();
    for registry in [&fake, &other] {
        registry.tags("app", (0..250).map(|i| format!("1.0.{i}")));
    }
    fake.pages_of(100);
    fake.link_to(other.served.url.as_str().trim_end_matches('/'));
    let context = Setting::default().plain_http(&registry).context();
    let answer = oci::tags(&context, &registry, "app", false).await.unwrap();
    assert_eq!(answer.candidates.len(), 100);
    assert_eq!(answer.notes, ["the next page of tags is on another host and was not read"]);
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_huge_list_is_cut_off_with_a_note() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.tags("app", 0..21_500);
    let context = Setting::default().plain_http(&registry).context();
    let answer = oci::tags(&context, &registry, "app", false).await.unwrap();
    assert_eq!(answer.candidates.len(), 20_000);
    assert_eq!(answer.notes, ["the list of tags was cut off after 20000 tags"]);
}

#[tokio::test]
async fn chart_tags_are_versions_and_signatures_are_dropped() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    let signature = format!("sha256-{}.sig", "0".repeat(64));
    fake.tags("charts/app", ["1.0.0_build.5", "1.1.0", &signature]);
    let context = Setting::default().plain_http(&registry).context();
    let chart = oci::tags(&context, &registry, "charts/app", true).await.unwrap();
    assert_eq!(versions(&chart), ["1.0.0+build.5", "1.1.0"]);
    let image = oci::tags(&context, &registry, "charts/app", false).await.unwrap();
    assert_eq!(versions(&image), ["1.0.0_build.5", "1.1.0"]);
}

#[tokio::test]
async fn the_challenge_is_asked_once_and_a_token_once_a_repository() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::AnonymousToken);
    fake.pages_of(1);
    let context = Setting::default().plain_http(&registry).context();
    for repository in ["team/a", "team/b", "team/c"] {
        fake.tags(repository, ["1", "2"]);
        let answer = oci::tags(&context, &registry, repository, false).await.unwrap();
        assert_eq!(versions(&answer), ["1", "2"]);
    }
    let seen = fake.seen();
    let tokens = seen.iter().filter(|request| request.target.starts_with("/token?")).count();
    assert_eq!(tokens, 3);
    assert_eq!(seen.len(), 1 + 3 + 3 * 2, "one challenge, three tokens, two pages of each");
}

#[tokio::test]
async fn an_expired_token_is_replaced() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::AnonymousToken);
    fake.tags("app", ["1.0"]);
    let context = Setting::default().plain_http(&registry).context();
    for _ in 0..2 {
        let answer = oci::tags(&context, &registry, "app", false).await.unwrap();
        assert_eq!(versions(&answer), ["1.0"]);
        fake.expire_tokens();
    }
    let tokens = fake.seen().iter().filter(|request| request.target.starts_with("/token?")).count();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn the_second_run_finds_what_another_token_unlocked() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::AnonymousToken);
    fake.tags("app", ["1.0"]);
    let setting = || Setting::default().plain_http(&registry).cache(folder.path());
    let first = oci::tags(&setting().context(), &registry, "app", false).await.unwrap();
    fake.seen();
    let second = oci::tags(&setting().context(), &registry, "app", false).await.unwrap();
    assert_eq!(second, first);
    let seen = fake.seen();
    let lists: Vec<_> = seen.iter().filter(|request| request.target.contains("/tags/list")).collect();
    assert!(lists.iter().all(|request| request.header("if-none-match").is_some()));
    assert_eq!(lists.len(), 2);

    let offline = oci::tags(&setting().offline().context(), &registry, "app", false).await.unwrap();
    assert_eq!(versions(&offline), ["1.0"]);
    assert!(offline.stale.is_some_and(|why| why.contains("--offline")));
    assert_eq!(fake.seen().len(), 0);
    assert_no_token_on_disk(folder.path());
}

/// A 429 that named no time ended the run for every repository of the registry.
#[tokio::test]
async fn a_busy_token_service_is_asked_again() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::AnonymousToken);
    fake.tags("app", ["1.0"]);
    let context = || Setting::default().plain_http(&registry).context();
    fake.refuse_tokens(&[429, 503]);
    assert_eq!(versions(&oci::tags(&context(), &registry, "app", false).await.unwrap()), ["1.0"]);
    fake.refuse_tokens(&[429, 429, 429]);
    let failure = oci::tags(&context(), &registry, "app", false).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RateLimited { reset: None }, "{failure}");
    fake.refuse_tokens(&[418]);
    fake.seen();
    let failure = oci::tags(&context(), &registry, "app", false).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
    let tokens = fake.seen().iter().filter(|request| request.target.starts_with("/token?")).count();
    assert_eq!(tokens, 1);
}

fn assert_no_token_on_disk(folder: &std::path::Path) {
    let mut files = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let content = std::fs::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&content).contains("token-"), "{}", path.display());
        }
    }
    assert!(files > 0);
}

fn credentials(host: &str) -> Credentials {
    let mut credentials = Credentials::new();
    let password = "pass".to_owned().into();
    credentials
        .add(&format!("http://{host}"), Credential::Basic { username: "user".to_owned(), password })
        .unwrap();
    credentials
}

/// `user:pass`.
const USER: &str = "Basic dXNlcjpwYXNz";

#[tokio::test]
async fn configured_credentials_buy_a_token() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::TokenFor(USER.to_owned()));
    fake.tags("app", ["1.0"]);
    let mut setting = Setting::default().plain_http(&registry);
    setting.http.credentials = credentials(&registry);
    assert!(oci::tags(&setting.context(), &registry, "app", false).await.is_ok());

    let without = Setting::default().plain_http(&registry).context();
    let failure = oci::tags(&without, &registry, "app", false).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    assert!(failure.message.contains("none are configured"), "{failure}");
}

#[tokio::test]
async fn basic_credentials_come_from_docker_too() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::Basic(USER.to_owned()));
    fake.tags("app", ["1.0"]);
    let config = folder.path().join("config.json");
    let auths = json!({"auths": {registry.as_str(): {"auth": "dXNlcjpwYXNz"}}});
    std::fs::write(&config, auths.to_string()).unwrap();
    let mut setting = Setting::default().plain_http(&registry).trusts(&registry);
    setting.oci.docker_config = Some(config.clone());
    let context = setting.context();
    assert!(oci::tags(&context, &registry, "app", false).await.is_ok());
    fake.seen();
    let mut in_the_clear = Setting::default().plain_http(&registry);
    in_the_clear.oci.docker_config = Some(config);
    let failure = oci::tags(&in_the_clear.context(), &registry, "app", false).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    assert!(fake.seen().iter().all(|seen| seen.header("authorization").is_none()));
    let without = Setting::default().plain_http(&registry).context();
    assert_eq!(oci::tags(&without, &registry, "app", false).await.unwrap_err().class, FailureClass::Denied);
}

#[tokio::test]
async fn refused_credentials_fail_without_another_try() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::Basic("Basic other".to_owned()));
    fake.tags("app", ["1.0"]);
    let mut setting = Setting::default().plain_http(&registry);
    setting.http.credentials = credentials(&registry);
    let failure = oci::tags(&setting.context(), &registry, "app", false).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    assert!(!failure.message.contains("pass`") && !failure.message.contains("dXNl"), "{failure}");
    assert!(fake.seen().len() <= 2);
}

#[tokio::test]
async fn a_realm_on_another_plain_host_gets_nothing() {
    let fake = FakeRegistry::start().await;
    let thief = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::TokenFor(USER.to_owned()));
    fake.tags("app", ["1.0"]);
    let port = thief.served.url.port().unwrap();
    fake.realm(&format!("http://localhost:{port}/token"));
    let mut setting = Setting::default().plain_http(&registry);
    setting.http.credentials = credentials(&registry);
    let failure = oci::tags(&setting.context(), &registry, "app", false).await.unwrap_err();
    assert!(failure.message.contains("not asked over https"), "{failure}");
    assert_eq!(thief.seen().len(), 0);
}

#[tokio::test]
async fn a_mirror_gets_no_credentials_of_the_registry_it_stands_for() {
    let mirror = FakeRegistry::start().await;
    mirror.door(Door::AnonymousToken);
    mirror.tags("library/nginx", ["1.27-alpine"]);
    let mut setting =
        Setting::default().map("https://registry-1.docker.io", Target::Url(mirror.served.url.clone()));
    setting.http.credentials = credentials("registry-1.docker.io");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let auths = json!({"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNz"}}});
    std::fs::write(&config, auths.to_string()).unwrap();
    setting.oci.docker_config = Some(config);
    let answer = oci::tags(&setting.context(), "docker.io", "library/nginx", false).await.unwrap();
    assert_eq!(versions(&answer), ["1.27-alpine"]);
    for request in mirror.seen() {
        assert!(request.header("authorization").is_none_or(|given| given.starts_with("Bearer token-")));
    }
}

/// A docker configuration that logs in to `server` as `user:pass`.
fn docker_login(folder: &std::path::Path, server: &str) -> std::path::PathBuf {
    let config = folder.join("config.json");
    let auths = json!({"auths": {server: {"auth": "dXNlcjpwYXNz"}}});
    std::fs::write(&config, auths.to_string()).unwrap();
    config
}

/// The realm was judged as the registry named it and then mapped, so that `upstreams.map` of a repository
/// could lead the login for `auth.docker.io` to any server.
#[tokio::test]
async fn a_mapped_realm_does_not_get_the_login_of_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, thief) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let registry = fake.served.authority();
    fake.door(Door::TokenFor(USER.to_owned()));
    fake.tags("app", ["1.0"]);
    for by_docker in [true, false] {
        let mut setting = Setting::default()
            .plain_http(&registry)
            .map(fake.served.url.join("/token").unwrap().as_str(), Target::Url(thief.served.url.clone()));
        if by_docker {
            setting = setting.trusts(&registry);
            setting.oci.docker_config = Some(docker_login(folder.path(), &registry));
        } else {
            setting.http.credentials = credentials(&registry);
        }
        assert!(oci::tags(&setting.context(), &registry, "app", false).await.is_err());
        let seen = thief.seen();
        assert!(!seen.is_empty(), "the mapping itself holds");
        assert!(seen.iter().all(|request| request.header("authorization").is_none()), "{seen:?}");
    }
}

/// As above: the mapped address was not judged at all, and could be plain HTTP on any host.
#[tokio::test]
async fn a_realm_that_is_mapped_to_a_plain_host_is_not_asked() {
    let (fake, thief) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let registry = fake.served.authority();
    fake.door(Door::TokenFor(USER.to_owned()));
    fake.realm("https://auth.example/token");
    let port = thief.served.url.port().unwrap();
    let plain = format!("http://localhost:{port}/").parse().unwrap();
    let setting =
        Setting::default().plain_http(&registry).map("https://auth.example/token", Target::Url(plain));
    let failure = oci::tags(&setting.context(), &registry, "app", false).await.unwrap_err();
    assert!(failure.message.contains("not asked over https"), "{failure}");
    assert_eq!(thief.seen().len(), 0);
}

/// A repository's own `plain_http: true` made docker's login go over the wire in clear.
#[tokio::test]
async fn docker_login_is_not_sent_in_clear_unless_the_user_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.tags("app", ["1.0"]);
    for door in [Door::Basic(USER.to_owned()), Door::TokenFor(USER.to_owned())] {
        fake.door(door);
        let mut setting = Setting::default().plain_http(&registry);
        setting.oci.docker_config = Some(docker_login(folder.path(), &registry));
        let failure = oci::tags(&setting.context(), &registry, "app", false).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Denied);
        let seen = fake.seen();
        assert!(seen.iter().all(|request| request.header("authorization").is_none()), "{seen:?}");
    }
}

/// With a configured token the first question, meant to be asked as nobody, carried that token: a registry
/// that wants it exchanged for another one refused or logged it.
#[tokio::test]
async fn the_first_question_carries_no_credentials() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::AnonymousToken);
    fake.tags("app", ["1.0"]);
    let mut setting = Setting::default().plain_http(&registry);
    let token = Credential::Bearer("raw-secret".to_owned().into());
    setting.http.credentials.add(&format!("http://{registry}"), token).unwrap();
    oci::tags(&setting.context(), &registry, "app", false).await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen[0].header("authorization"), None);
    assert!(seen[1].header("authorization").unwrap().starts_with("Basic "), "the token service gets it");
}

#[tokio::test]
async fn what_credentials_unlocked_is_found_offline() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.tags("app", ["1.0"]);
    for door in [Door::Open, Door::Basic(USER.to_owned()), Door::TokenFor(USER.to_owned())] {
        fake.door(door);
        let setting = || {
            let mut setting = Setting::default().plain_http(&registry).cache(folder.path());
            setting.http.credentials = credentials(&registry);
            setting
        };
        oci::tags(&setting().context(), &registry, "app", false).await.unwrap();
        oci::tags(&setting().offline().context(), &registry, "app", false).await.unwrap();
        std::fs::remove_dir_all(folder.path()).unwrap();
    }
}

#[tokio::test]
async fn a_mapped_folder_answers_like_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("v2/fluxcd/flux-manifests/tags");
    std::fs::create_dir_all(&list).unwrap();
    std::fs::write(list.join("list"), r#"{"name": "x", "tags": ["v2.7.1", "v2.7.0"]}"#).unwrap();
    let context = Setting::default().map("https://ghcr.io", Target::Path(folder.path().to_owned())).context();
    let answer = oci::tags(&context, "ghcr.io", "fluxcd/flux-manifests", false).await.unwrap();
    assert_eq!(versions(&answer), ["v2.7.0", "v2.7.1"]);
    let failure = oci::tags(&context, "ghcr.io", "fluxcd/other", false).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NotFound);
}

#[tokio::test]
async fn a_missing_repository_is_not_found_and_strange_names_are_not_asked() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    let context = Setting::default().plain_http(&registry).context();
    let failure = oci::tags(&context, &registry, "no/such", false).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NotFound);
    fake.seen();
    for name in ["../catalog", "a?b", "", "a//b"] {
        let failure = oci::tags(&context, &registry, name, false).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent, "{name}");
    }
    assert_eq!(fake.seen().len(), 0);
}

#[tokio::test]
async fn an_index_tells_its_platforms_and_the_image_its_age_and_source() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::AnonymousToken);
    let config = fake.blob(
        "app",
        &json!({
            "created": "2026-08-07T14:22:55Z", "os": "linux", "architecture": "amd64",
            "config": {"Labels": {"org.opencontainers.image.source": "https://github.com/o/app"}},
        }),
    );
    let media_type = "application/vnd.oci.image.config.v1+json";
    let image = fake.manifest(
        "app",
        None,
        &json!({"config": {"mediaType": media_type, "digest": config}, "layers": []}),
    );
    let platform = |os: &str, architecture: &str| json!({"os": os, "architecture": architecture});
    let index = fake.manifest(
        "app",
        Some("1.0"),
        &json!({"manifests": [
            {"mediaType": "m", "digest": "sha256:x", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"mediaType": "m", "digest": image, "platform": platform("linux", "amd64")},
            {"mediaType": "m", "digest": "sha256:y", "platform": platform("unknown", "unknown")},
        ]}),
    );
    let context = Setting::default().plain_http(&registry).context();
    let checks = oci::inspect(&context, &registry, "app", "1.0").await.unwrap();
    assert_eq!(
        checks.platforms.as_deref(),
        Some(&["linux/arm64/v8".to_owned(), "linux/amd64".to_owned()][..])
    );
    assert_eq!(checks.image_created, Some("2026-08-07T14:22:55Z".parse().unwrap()));
    assert_eq!(checks.source.as_deref(), Some("https://github.com/o/app"));
    assert_eq!(checks.digest.as_deref(), Some(index.as_str()));
    assert_eq!(checks.archive_available, None);
}

/// An image was proposed whose tag, or whose manifest for an architecture, was gone from the registry.
#[tokio::test]
async fn image_can_be_pulled_when_it_is_there_for_every_platform_of_the_installed_one() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    let image = |number: u32| {
        fake.manifest("app", None, &json!({"layers": [], "annotations": {"n": number.to_string()}}))
    };
    let of = |architecture: &str, digest: &str| json!({"digest": digest, "platform": {"os": "linux", "architecture": architecture}});
    let index = |tag: &str, entries: Vec<serde_json::Value>| {
        fake.manifest("app", Some(tag), &json!({"manifests": entries}));
    };
    index("1.0", vec![of("amd64", &image(1)), of("arm64", &image(2))]);
    index(
        "1.1",
        vec![of("amd64", &image(3)), of("arm64", &image(4)), of("s390x", &format!("sha256:{:064}", 0))],
    );
    index("1.2", vec![of("amd64", &image(5))]);
    index("1.3", vec![of("amd64", &image(6)), of("arm64", &format!("sha256:{:064}", 1))]);
    let context = Setting::default().plain_http(&registry).context();
    let ask = async |tag: &str| oci::pullable(&context, &registry, "app", tag, Some("1.0")).await;
    // What nobody runs need not be there.
    ask("1.1").await.unwrap();
    let lacks = ask("1.2").await.unwrap_err();
    assert_eq!(lacks.class, FailureClass::NotFound);
    assert!(lacks.message.contains("is not there for linux/arm64, as 1.0 is"), "{lacks}");
    let lost = ask("1.3").await.unwrap_err();
    assert!(lost.class == FailureClass::NotFound && lost.message.contains("for linux/arm64"), "{lost}");
    assert_eq!(ask("9.9").await.unwrap_err().class, FailureClass::NotFound);
}

#[tokio::test]
async fn an_image_that_is_not_what_its_digest_says_tells_nothing() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    let image = fake.manifest("app", None, &json!({"layers": [], "annotations": {}}));
    let platform = json!({"os": "linux", "architecture": "amd64"});
    fake.manifest("app", Some("1.0"), &json!({"manifests": [{"digest": image, "platform": platform}]}));
    fake.corrupt("app", &image);
    let context = Setting::default().plain_http(&registry).context();
    let checks = oci::inspect(&context, &registry, "app", "1.0").await.unwrap();
    assert_eq!(checks.platforms.as_deref(), Some(&["linux/amd64".to_owned()][..]));
    assert_eq!((checks.image_created, checks.source), (None, None));
}

#[tokio::test]
async fn a_chart_tells_whether_its_archive_is_there() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    let config = json!({"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": format!("sha256:{}", "0".repeat(64))});
    let archive =
        json!({"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": "sha256:x"});
    fake.manifest("chart", Some("1.0.0"), &json!({"config": config, "layers": [archive]}));
    fake.manifest("chart", Some("1.1.0"), &json!({"config": config, "layers": []}));
    let context = Setting::default().plain_http(&registry).context();
    for (tag, available) in [("1.0.0", true), ("1.1.0", false)] {
        let checks = oci::inspect(&context, &registry, "chart", tag).await.unwrap();
        assert_eq!(checks.archive_available, Some(available), "{tag}");
        assert_eq!(checks.platforms, None);
    }
    let failure = oci::inspect(&context, &registry, "chart", "9.9.9").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NotFound);
}

//! Git remotes, served by the real `git http-backend`.

use std::time::Duration;

use gitops_updater::domain::upstream::FailureClass;
use gitops_updater::upstream::git_tags;
use gitops_updater::upstream::mapping::Target;
use rstest::rstest;

use super::{Setting, versions};
use crate::support::fake_git::{FakeGit, Manner};

#[tokio::test]
async fn tags_are_listed_and_branches_are_not() {
    let fake = FakeGit::start().await;
    fake.repository("team/app.git", &["v1.0.0", "v1.1.0", "charts/app-2.0.0"]);
    let url = fake.served.url.join("team/app.git").unwrap();
    let answer = git_tags::tags(&Setting::default().context(), url.as_str()).await.unwrap();
    assert_eq!(versions(&answer), ["charts/app-2.0.0", "v1.0.0", "v1.1.0"]);
    let seen = fake.seen();
    assert_eq!(seen.len(), 2, "one greeting, one list: {seen:?}");
    assert_eq!(seen[0].header("git-protocol"), Some("version=2"));
}

#[tokio::test]
async fn a_repository_without_tags_has_none() {
    let fake = FakeGit::start().await;
    fake.repository("app", &[]);
    let url = fake.served.url.join("app").unwrap();
    let answer = git_tags::tags(&Setting::default().context(), url.as_str()).await.unwrap();
    assert_eq!(versions(&answer), [""; 0]);
}

#[rstest]
#[case(Manner::Unauthorized, FailureClass::Denied)]
#[case(Manner::Status(403), FailureClass::Denied)]
#[case(Manner::Status(404), FailureClass::NotFound)]
#[case(Manner::Status(429), FailureClass::RateLimited { reset: None })]
#[case(Manner::Status(502), FailureClass::Transient)]
#[case(Manner::Status(418), FailureClass::Permanent)]
#[case(Manner::WebPage, FailureClass::Permanent)]
#[tokio::test]
async fn a_refusal_has_its_class(#[case] manner: Manner, #[case] class: FailureClass) {
    let fake = FakeGit::start().await;
    fake.manner(manner);
    let url = fake.served.url.join("app").unwrap();
    let failure = git_tags::tags(&Setting::default().context(), url.as_str()).await.unwrap_err();
    assert_eq!(failure.class, class, "{failure}");
    assert!(failure.message.contains(fake.served.url.as_str()), "{failure}");
}

#[rstest]
#[case(429)]
#[case(503)]
#[tokio::test]
async fn what_passes_is_asked_again(#[case] status: u16) {
    let fake = FakeGit::start().await;
    fake.repository("app", &["v1.0.0"]);
    fake.manner(Manner::Once(status));
    let url = fake.served.url.join("app").unwrap();
    let answer = git_tags::tags(&Setting::default().context(), url.as_str()).await.unwrap();
    assert_eq!(versions(&answer), ["v1.0.0"]);
    assert_eq!(fake.seen().len(), 3, "one refusal, one greeting, one list");
}

#[tokio::test]
async fn nobody_is_there() {
    let fake = FakeGit::start().await;
    let url = fake.served.url.join("app").unwrap();
    drop(fake);
    let failure = git_tags::tags(&Setting::default().context(), url.as_str()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{failure}");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let fake = FakeGit::start().await;
    fake.manner(Manner::Silent);
    let url = fake.served.url.join("app").unwrap();
    let mut context = Setting::default().context();
    context.git.timeout = Duration::from_millis(200);
    let failure = git_tags::tags(&context, url.as_str()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{failure}");
}

#[tokio::test]
async fn credentials_in_the_url_are_neither_sent_nor_shown() {
    let fake = FakeGit::start().await;
    fake.manner(Manner::Unauthorized);
    let mut url = fake.served.url.join("app").unwrap();
    url.set_username("user").unwrap();
    url.set_password(Some("secret")).unwrap();
    let failure = git_tags::tags(&Setting::default().context(), url.as_str()).await.unwrap_err();
    assert!(!failure.message.contains("secret"), "{failure}");
    assert!(fake.seen().iter().all(|request| request.header("authorization").is_none()));
}

#[rstest]
#[case("ssh://git@example.com/owner/name")]
#[case("git@example.com:owner/name.git")]
#[case("git://example.com/owner/name")]
#[case("file:///etc")]
#[case("/etc")]
#[case("")]
#[tokio::test]
async fn other_schemes_are_refused(#[case] url: &str) {
    let failure = git_tags::tags(&Setting::default().context(), url).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("only http and https"), "{failure}");
}

#[tokio::test]
async fn a_mapped_folder_is_read_there_offline_too() {
    let fake = FakeGit::start().await;
    let path = fake.repository("app", &["v1.0.0", "v1.1.0"]);
    let setting = || Setting::default().map("https://git.example.com/o/app", Target::Path(path.clone()));
    for context in [setting().context(), setting().offline().context()] {
        let answer = git_tags::tags(&context, "https://git.example.com/o/app").await.unwrap();
        assert_eq!(versions(&answer), ["v1.0.0", "v1.1.0"]);
    }
    assert_eq!(fake.seen().len(), 0);
    let other =
        git_tags::tags(&setting().offline().context(), "https://git.example.com/o/b").await.unwrap_err();
    assert_eq!(other.class, FailureClass::Offline);
}

//! In whose name the bot acts: tokens, GitHub Actions, GitHub Apps.

use std::time::Duration;

use gitops_updater::app::forge::{Forge as _, ForgeErrorClass};
use gitops_updater::forge::github::{Auth, GithubForge, Place};
use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::{BRANCH, TOKEN, World, http, proposal, token};
use crate::support::fake_forge::{APP_KEY, Account, Answer, App, Fault};

fn app(key: &str, installation: Option<u64>) -> Auth {
    Auth::App { id: "Iv23app".to_owned(), private_key: key.to_owned().into(), installation }
}

async fn world_with_app() -> World {
    let world = World::new().await;
    world.fake.github().app = Some(App::new());
    world
}

#[rstest]
#[case::pkcs1(APP_KEY.to_owned())]
#[case::pkcs8(include_str!("../../../testdata/github/app-key-for-tests.pkcs8.pem").to_owned())]
#[case::with_escaped_line_ends(APP_KEY.replace('\n', "\\n"))]
#[tokio::test]
async fn app_finds_its_installation_and_asks_for_this_repository_alone(#[case] key: String) {
    let world = world_with_app().await;
    let forge = world.forge_with(world.options(app(&key, None)));
    let supply = forge.token_supply();
    let token = tokio::task::spawn_blocking(move || supply.token()).await.unwrap();
    assert_eq!(token.unwrap().expose_secret(), "ghs_installation1");
    let asked: Vec<String> = world.fake.seen().iter().map(|seen| seen.line()).collect();
    assert_eq!(asked, ["GET /repos/acme/home-ops/installation", "POST /app/installations/77/access_tokens"]);

    let identity = forge.identity().await.unwrap();
    assert_eq!(identity.login, "acme-updater[bot]");
    assert_eq!(identity.email("github.com"), "4001+acme-updater[bot]@users.noreply.github.com");
}

#[tokio::test]
async fn token_of_an_installation_is_kept_until_shortly_before_its_end() {
    let world = world_with_app().await;
    let forge = world.forge_with(world.options(app(APP_KEY, Some(77))));
    for (minutes, tokens) in [(0, 1), (30, 1), (24, 1), (2, 2), (50, 2), (10, 3)] {
        world.fake.time.pass(Duration::from_secs(minutes * 60));
        forge.pull_requests().await.unwrap();
        assert_eq!(world.fake.github().app.as_ref().unwrap().tokens, tokens, "after {minutes} more minutes");
    }
}

#[tokio::test]
async fn token_that_was_revoked_is_made_anew_once() {
    let world = world_with_app().await;
    let forge = world.forge_with(world.options(app(APP_KEY, Some(77))));
    forge.pull_requests().await.unwrap();
    world.fake.github().accounts.remove("ghs_installation1");
    forge.pull_requests().await.unwrap();
    assert_eq!(world.fake.github().app.as_ref().unwrap().tokens, 2);
}

#[tokio::test]
async fn app_that_is_not_installed_is_told_to_be() {
    let world = world_with_app().await;
    world.fake.github().app.as_mut().unwrap().installed = false;
    let error = world.forge_with(world.options(app(APP_KEY, None))).pull_requests().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::NotFound);
    assert!(error.hint.unwrap().starts_with("install the GitHub App on the repository"));
}

#[tokio::test]
async fn app_with_another_id_is_refused() {
    let world = world_with_app().await;
    let auth =
        Auth::App { id: "Iv23other".to_owned(), private_key: APP_KEY.to_owned().into(), installation: None };
    let error = world.forge_with(world.options(auth)).pull_requests().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: None });
    assert!(error.hint.unwrap().contains("do not fit"));
}

#[rstest]
#[case::no_pem(app("secret", None), "no PEM file")]
#[case::another_kind(
    app("-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----", None),
    "no PEM file"
)]
#[case::broken(
    app("-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----", None),
    "is refused"
)]
#[case::line_end(token("secret\n"), "no token can have")]
#[case::empty(token(""), "no token can have")]
#[tokio::test]
async fn unusable_secret_is_refused_without_showing_it(#[case] auth: Auth, #[case] words: &str) {
    let world = World::new().await;
    let time = std::sync::Arc::new(world.fake.time.clone());
    let error = GithubForge::new(&http(), time, world.options(auth)).err().unwrap();
    assert!(error.message.contains(words), "{error}");
    assert!(!format!("{error:?}").contains("c2VjcmV0") && !format!("{error:?}").contains("secret"));
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: None });
}

#[rstest]
#[case::person("github_pat_x", Account::person(7, "updater"), "updater")]
#[case::actions("ghs_x", Account::bot(41_898_282, "github-actions[bot]"), "github-actions[bot]")]
#[case::unlike_what_it_is("secret", Account::bot(9, "other[bot]"), "other[bot]")]
#[tokio::test]
async fn every_kind_of_token_knows_who_it_is(
    #[case] text: &str,
    #[case] account: Account,
    #[case] login: &str,
) {
    let world = World::new().await;
    world.fake.github().account(text, account);
    let forge = world.forge_with(world.options(token(text)));
    assert_eq!(forge.identity().await.unwrap().login, login);
}

#[tokio::test]
async fn actions_that_may_not_open_pull_requests_are_told_where_to_allow_it() {
    let world = World::new().await;
    {
        let mut github = world.fake.github();
        github.account("ghs_x", Account::bot(41_898_282, "github-actions[bot]"));
        github.actions_may_open = false;
    }
    world.push(BRANCH, "6.1.0");
    let error = world.forge_with(world.options(token("ghs_x"))).open(&proposal()).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: None });
    assert!(error.hint.unwrap().contains("Settings, Actions, General"));
}

#[tokio::test]
async fn mistyped_token_is_said_to_be_one() {
    let world = World::new().await;
    let error = world.forge_with(world.options(token("ghp_wrong"))).pull_requests().await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: None });
    assert_eq!(
        error.message,
        "cannot look at the repository `acme/home-ops`: github.com answered 401 to `GET /repos/acme/home-ops`: \
         Bad credentials"
    );
    assert!(error.hint.unwrap().contains("GITHUB_TOKEN"));
}

#[tokio::test]
async fn token_that_only_reads_is_found_out_before_anything_is_done() {
    let world = World::new().await;
    world.fake.github().account("reads", Account::person(8, "reader").without("contents"));
    let error = world.forge_with(world.options(token("reads"))).open(&proposal()).await.unwrap_err();
    assert_eq!(error.class, ForgeErrorClass::Denied { permission: Some("contents: write".to_owned()) });
    assert_eq!(world.fake.writes(), [""; 0]);
}

#[tokio::test]
async fn token_is_sent_to_the_api_alone_and_never_shown() {
    let world = World::new().await;
    let other = World::new().await;
    let next = format!("<{}repositories/1/pulls?page=2>; rel=\"next\"", other.fake.served.url);
    let page = Answer::new(200, serde_json::json!([])).header("link", next);
    world.fake.fail(Fault::instead("GET", "/pulls", page));
    assert!(world.forge().pull_requests().await.unwrap().is_empty());
    let redirect =
        Answer::empty(302).header("location", other.fake.served.url.join("repos/acme/home-ops").unwrap());
    world.fake.fail(Fault::instead("GET", "/repos/acme/home-ops", redirect));
    world.forge().pull_requests().await.unwrap_err();
    for seen in other.fake.seen() {
        assert!(seen.headers.get("authorization").is_none(), "{}", seen.line());
    }
    let words = format!("the token {TOKEN} is no good");
    world.fake.fail(Fault::instead("GET", "/repos/acme/home-ops", Answer::refuse(418, &words)));
    let error = world.forge().pull_requests().await.unwrap_err();
    assert!(error.message.ends_with("the token … is no good"), "{error}");
}

#[tokio::test]
async fn enterprise_host_is_asked_below_its_own_paths() {
    let world = World::new().await;
    world.fake.github().account("ghs_x", Account::bot(9, "other[bot]"));
    let mut options = world.options(token("ghs_x"));
    options.api = world.fake.served.url.join("api/v3").unwrap();
    options.place = Place::named("ghe.example.com", "acme/home-ops").unwrap();
    world.push(BRANCH, "6.1.0");
    let forge = world.forge_with(options);
    forge.open(&proposal()).await.unwrap();
    assert_eq!(forge.identity().await.unwrap().login, "other[bot]");
    assert_eq!(world.fake.github().pulls(crate::support::fake_forge::PullState::Open), [1]);
}

#[tokio::test]
async fn renamed_repository_is_written_to_under_its_new_name() {
    let world = World::new().await;
    world.push(BRANCH, "6.1.0");
    world.fake.github().former.push("old/name".to_owned());
    let mut options = world.options(token(TOKEN));
    options.place = Place::named("github.com", "old/name").unwrap();
    let forge = world.forge_with(options);
    forge.open(&proposal()).await.unwrap();
    assert_eq!(forge.repository().await.unwrap().full_name(), "acme/home-ops");
    assert_eq!(world.fake.writes(), ["POST /pulls"]);
}

#[tokio::test]
async fn archived_repository_is_left_alone() {
    let world = World::new().await;
    world.fake.github().archived = true;
    let error = world.forge().open(&proposal()).await.unwrap_err();
    assert!(error.message.contains("archived"), "{error}");
    assert_eq!(world.fake.writes(), [""; 0]);
}

//! OSV.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use gitops_updater::domain::advisory::{Affected, Event, affects};
use gitops_updater::domain::upstream::FailureClass;
use gitops_updater::upstream::mapping::Target;
use gitops_updater::upstream::osv;
use serde_json::{Value, json};

use super::Setting;
use crate::support::served::Served;

/// Queries as they came, and statuses of the next answers.
#[derive(Default)]
struct Database {
    queries: Vec<Value>,
    refusals: Vec<u16>,
}

type Queries = Arc<Mutex<Database>>;

fn range_until(fixed: &str) -> Vec<Event> {
    vec![Event::Introduced("1.33.0".to_owned()), Event::Fixed(fixed.to_owned())]
}

/// As OSV compares: a build (`+k3s2`) does not count. Without a version, everything is in the answer.
fn is_answered(version: Option<&str>, fixed: &str) -> bool {
    let release = fixed.split_once('+').unwrap().0;
    let affected = Affected { ranges: vec![range_until(release)], versions: vec![] };
    version.is_none_or(|version| affects(&[affected], version) == Some(true))
}

fn fixed_in(number: &str, fixed: &str) -> Value {
    let ranges = json!([
        {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "0123abcd"}]},
        {"type": "SEMVER", "events": [{"introduced": "1.33.0"}, {"fixed": fixed}]},
    ]);
    let of = |name: &str| json!({"package": {"ecosystem": "Go", "name": name}, "ranges": ranges});
    json!({
        "id": format!("GHSA-{number}"),
        "aliases": [format!("CVE-2026-{number}")],
        "summary": "bad",
        "affected": [of("github.com/k3s-io/k3s"), of("github.com/rancher/k3s")],
    })
}

/// Knows two vulnerabilities that builds of 1.33.4 fix, on a second page, and one that is in everything.
async fn answer(State(queries): State<Queries>, request: Request) -> Response {
    if request.uri().path() != "/v1/query" || request.method() != "POST" {
        return Response::builder().status(404).body(Body::empty()).unwrap();
    }
    let query: Value =
        serde_json::from_slice(&to_bytes(request.into_body(), 1 << 16).await.unwrap()).unwrap();
    {
        let mut database = queries.lock().unwrap();
        database.queries.push(query.clone());
        if let Some(status) = database.refusals.pop() {
            return Response::builder().status(status).body(Body::empty()).unwrap();
        }
    }
    let body = match (query["version"].as_str(), query["page_token"].as_str()) {
        (Some("broken"), _) => "<html>".to_owned(),
        (Some("1.0.0"), _) => "{}".to_owned(),
        (_, None) => json!({
            "vulns": [{"id": "GO-1", "aliases": ["CVE-2026-1"]}],
            "next_page_token": "more",
        })
        .to_string(),
        (version, Some(_)) => {
            let withdrawn = json!({"id": "GO-3", "withdrawn": "2026-01-01T00:00:00Z"});
            let known = [("2", "1.33.4+k3s1"), ("4", "1.33.4+k3s2")].into_iter();
            let known = known.filter(|(_, fixed)| is_answered(version, fixed));
            let vulns: Vec<Value> =
                known.map(|(number, fixed)| fixed_in(number, fixed)).chain([withdrawn]).collect();
            json!({"vulns": vulns}).to_string()
        }
    };
    Response::new(Body::from(body))
}

async fn start() -> (Served, Queries) {
    let queries = Queries::default();
    let shared = queries.clone();
    (Served::start(|_| Router::new().fallback(answer).with_state(shared)).await, queries)
}

#[tokio::test]
async fn an_update_repairs_what_the_target_no_longer_has() {
    let (served, queries) = start().await;
    let context = Setting { osv: Some(served.url.clone()), ..Setting::default() }.context();
    let package = "github.com/k3s-io/k3s";
    let fixed = osv::advisories(&context, "Go", package, "v1.33.3+k3s1", "v1.33.4+k3s1").await.unwrap();
    let ids: Vec<_> = fixed.iter().map(|advisory| (advisory.id.as_str(), &advisory.aliases[..])).collect();
    assert_eq!(ids, [("GHSA-2", &["CVE-2026-2".to_owned()][..])]);
    // Of the asked package alone, and no ranges of commits.
    assert_eq!(fixed[0].affected, [Affected { ranges: vec![range_until("1.33.4+k3s1")], versions: vec![] }]);
    // What no range says of the build, OSV says of the release.
    let asked: Vec<Value> =
        queries.lock().unwrap().queries.iter().map(|query| query["version"].clone()).collect();
    assert_eq!(
        asked,
        [json!(null), json!(null), "1.33.3".into(), "1.33.3".into(), "1.33.4".into(), "1.33.4".into()]
    );
    assert_eq!(
        queries.lock().unwrap().queries[0],
        json!({"package": {"ecosystem": "Go", "name": "github.com/k3s-io/k3s"}})
    );
}

/// Asked for the release, OSV leaves out what a later build of it fixed.
#[tokio::test]
async fn what_another_build_of_the_same_release_repairs_is_told() {
    let (served, _) = start().await;
    let context = Setting { osv: Some(served.url.clone()), ..Setting::default() }.context();
    let package = "github.com/k3s-io/k3s";
    for (from, to, expected) in [
        ("v1.33.4+k3s1", "v1.33.4+k3s2", &["GHSA-4"][..]),
        ("v1.33.3+k3s1", "v1.33.4+k3s2", &["GHSA-2", "GHSA-4"]),
        ("v1.33.4+k3s2", "v1.33.5+k3s1", &[]),
    ] {
        let fixed = osv::advisories(&context, "Go", package, from, to).await.unwrap();
        let ids: Vec<&str> = fixed.iter().map(|advisory| advisory.id.as_str()).collect();
        assert_eq!(ids, expected, "{from} to {to}");
    }
}

#[tokio::test]
async fn nothing_known_is_an_empty_list_and_one_question() {
    let (served, queries) = start().await;
    let context = Setting { osv: Some(served.url.clone()), ..Setting::default() }.context();
    assert_eq!(osv::advisories(&context, "Go", "x", "1.0.0", "2.0.0").await.unwrap(), []);
    assert_eq!(queries.lock().unwrap().queries.len(), 1);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_safety() {
    let (served, _) = start().await;
    let context = Setting { osv: Some(served.url.clone()), ..Setting::default() }.context();
    let failure = osv::advisories(&context, "Go", "x", "broken", "2.0.0").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
}

#[tokio::test]
async fn offline_asks_nobody() {
    let (served, queries) = start().await;
    let context = Setting { osv: Some(served.url.clone()), ..Setting::default() }.offline().context();
    let failure = osv::advisories(&context, "Go", "x", "1.0.0", "2.0.0").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Offline);
    assert_eq!(queries.lock().unwrap().queries.len(), 0);
}

#[tokio::test]
async fn a_busy_database_is_asked_again() {
    let (served, queries) = start().await;
    queries.lock().unwrap().refusals = vec![503, 429];
    let context = Setting { osv: Some(served.url.clone()), ..Setting::default() }.context();
    assert_eq!(osv::advisories(&context, "Go", "x", "1.0.0", "2.0.0").await.unwrap(), []);
    assert_eq!(queries.lock().unwrap().queries.len(), 3);
    queries.lock().unwrap().refusals = vec![403];
    let failure = osv::advisories(&context, "Go", "x", "1.0.0", "2.0.0").await.unwrap_err();
    assert_eq!((failure.class, queries.lock().unwrap().queries.len()), (FailureClass::Permanent, 4));
}

#[tokio::test]
async fn a_folder_answers_no_queries_unless_it_says_that_there_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let context =
        Setting::default().map("https://api.osv.dev", Target::Path(folder.path().to_owned())).context();
    let ask = async || osv::advisories(&context, "Go", "x", "1.0.0", "2.0.0").await;
    let failure = ask().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    let told = failure.message.replace(folder.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(told, @"`https://api.osv.dev/` is mapped to a folder, which cannot answer queries; map it to a server, or put an empty answer (`{}`) at `FOLDER/v1/query`");
    std::fs::create_dir(folder.path().join("v1")).unwrap();
    std::fs::write(folder.path().join("v1/query.json"), "{}").unwrap();
    assert_eq!(ask().await.unwrap(), []);
}

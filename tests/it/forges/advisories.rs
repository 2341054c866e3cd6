//! OSV.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use gitops_updater::domain::advisory::{Affected, Event};
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

/// Knows one vulnerability in `1.33.3` alone, on a second page, and two that are in everything.
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
    let body = match (query["version"].as_str().unwrap(), query["page_token"].as_str()) {
        ("broken", _) => "<html>".to_owned(),
        ("1.0.0", _) => "{}".to_owned(),
        (_, None) => json!({
            "vulns": [{"id": "GO-1", "aliases": ["CVE-2026-1"]}],
            "next_page_token": "more",
        })
        .to_string(),
        (version, Some(_)) => {
            let ranges = json!([
                {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "0123abcd"}]},
                {"type": "SEMVER", "events": [{"introduced": "1.33.0"}, {"fixed": "1.33.4+k3s1"}]},
            ]);
            let of = |name: &str| json!({"package": {"ecosystem": "Go", "name": name}, "ranges": ranges});
            let affected = [of("github.com/k3s-io/k3s"), of("github.com/rancher/k3s")];
            let fixed =
                json!({"id": "GHSA-2", "aliases": ["CVE-2026-2"], "summary": "bad", "affected": affected});
            let withdrawn = json!({"id": "GO-3", "withdrawn": "2026-01-01T00:00:00Z"});
            json!({"vulns": if version == "1.33.3" { vec![fixed, withdrawn] } else { vec![] }}).to_string()
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
    let range = vec![Event::Introduced("1.33.0".to_owned()), Event::Fixed("1.33.4+k3s1".to_owned())];
    assert_eq!(fixed[0].affected, [Affected { ranges: vec![range], versions: vec![] }]);
    assert_eq!(
        queries.lock().unwrap().queries[0],
        json!({"package": {"ecosystem": "Go", "name": "github.com/k3s-io/k3s"}, "version": "1.33.3"})
    );
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

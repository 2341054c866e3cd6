//! OSV.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use gitops_updater::domain::upstream::FailureClass;
use gitops_updater::upstream::osv;
use serde_json::{Value, json};

use super::Setting;
use crate::support::served::Served;

/// Queries as they came.
type Queries = Arc<Mutex<Vec<Value>>>;

/// Knows one vulnerability in `1.33.3` alone, on a second page, and two that are in everything.
async fn answer(State(queries): State<Queries>, request: Request) -> Response {
    if request.uri().path() != "/v1/query" || request.method() != "POST" {
        return Response::builder().status(404).body(Body::empty()).unwrap();
    }
    let query: Value =
        serde_json::from_slice(&to_bytes(request.into_body(), 1 << 16).await.unwrap()).unwrap();
    queries.lock().unwrap().push(query.clone());
    let body = match (query["version"].as_str().unwrap(), query["page_token"].as_str()) {
        ("broken", _) => "<html>".to_owned(),
        ("1.0.0", _) => "{}".to_owned(),
        (_, None) => json!({
            "vulns": [{"id": "GO-1", "aliases": ["CVE-2026-1"]}],
            "next_page_token": "more",
        })
        .to_string(),
        (version, Some(_)) => {
            let fixed = json!({"id": "GHSA-2", "aliases": ["CVE-2026-2"], "summary": "bad"});
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
    assert_eq!(
        queries.lock().unwrap()[0],
        json!({"package": {"ecosystem": "Go", "name": "github.com/k3s-io/k3s"}, "version": "1.33.3"})
    );
}

#[tokio::test]
async fn nothing_known_is_an_empty_list_and_one_question() {
    let (served, queries) = start().await;
    let context = Setting { osv: Some(served.url.clone()), ..Setting::default() }.context();
    assert_eq!(osv::advisories(&context, "Go", "x", "1.0.0", "2.0.0").await.unwrap(), []);
    assert_eq!(queries.lock().unwrap().len(), 1);
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
    assert_eq!(queries.lock().unwrap().len(), 0);
}

//! Slack, Discord, ntfy and a generic receiver, as strict as the real ones, each on its own path of one server.
//!
//! What they take and answer is that of their documentation: Slack's "Sending messages using incoming webhooks"
//! (200 `ok`, 400 `invalid_payload`, 404 `no_service`, 429 with `Retry-After`), Discord's "Execute Webhook" (204, 400,
//! 404 with code 10015, 429 with `retry_after` in fractions of a second) and ntfy's "Publish as JSON".

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use axum::response::Redirect;
use serde_json::{Value, json};

use super::served::Served;

pub(crate) const SLACK_PATH: &str = "/services/T000/B000/s3cret-slack";
pub(crate) const DISCORD_PATH: &str = "/api/webhooks/42/s3cret-discord";
pub(crate) const HOOK_PATH: &str = "/hook/s3cret-hook";
pub(crate) const TOPIC: &str = "s3cret-topic";

/// A message that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// `slack`, `discord`, `ntfy` or `hook`.
    pub(crate) at: &'static str,
    pub(crate) body: Value,
    /// As it came.
    pub(crate) bytes: Vec<u8>,
    pub(crate) headers: HeaderMap,
}

/// Status, header and value, body.
type Instead = (u16, Option<(&'static str, String)>, String);

#[derive(Debug, Default)]
struct Inner {
    arrived: Vec<Arrived>,
    /// How the next requests are answered instead: status, header and value, body.
    next: VecDeque<Instead>,
    requests: usize,
}

/// The services.
pub(crate) struct FakeChannels {
    served: Served,
    inner: Arc<Mutex<Inner>>,
}

impl FakeChannels {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = inner.clone();
        let router = move |_| {
            Router::new().fallback(move |request: Request| {
                let shared = shared.clone();
                async move { answer(&shared, request).await }
            })
        };
        Self { served: Served::start(router).await, inner }
    }

    /// The address of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        self.served.url.join(path).unwrap().to_string()
    }

    /// The next request is answered so.
    pub(crate) fn next(&self, status: u16, header: Option<(&'static str, &str)>, body: &str) -> &Self {
        let header = header.map(|(name, value)| (name, value.to_owned()));
        self.inner.lock().unwrap().next.push_back((status, header, body.to_owned()));
        self
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.inner.lock().unwrap().arrived.clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.inner.lock().unwrap().requests
    }
}

fn reply(status: u16, body: &str) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_owned())).unwrap()
}

async fn answer(shared: &Mutex<Inner>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let mut inner = shared.lock().unwrap();
    inner.requests += 1;
    if let Some((status, header, body)) = inner.next.pop_front() {
        let mut response = reply(status, &body);
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    if head.uri.path() == "/elsewhere" {
        return axum::response::IntoResponse::into_response(Redirect::temporary(HOOK_PATH));
    }
    assert_eq!(head.method, "POST", "nothing is read from a channel");
    let Ok(body) = serde_json::from_slice::<Value>(&bytes) else {
        return reply(400, "invalid_payload");
    };
    let (at, response) = match head.uri.path() {
        SLACK_PATH => ("slack", slack(&body)),
        DISCORD_PATH => ("discord", discord(&body)),
        HOOK_PATH => ("hook", reply(202, "")),
        "/" if body["topic"] == TOPIC => ("ntfy", ntfy(&body)),
        _ => return reply(404, "no_service"),
    };
    if response.status().is_success() {
        inner.arrived.push(Arrived { at, body, bytes, headers: head.headers });
    }
    response
}

fn slack(body: &Value) -> Response<Body> {
    let has_text = body["text"].as_str().is_some_and(|text| !text.is_empty());
    let attachments = body["attachments"].as_array();
    let fine = attachments.is_none_or(|all| all.iter().all(|one| one["fallback"].is_string()));
    if has_text && fine { reply(200, "ok") } else { reply(400, "no_text") }
}

fn discord(body: &Value) -> Response<Body> {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
    let fits = length(&body["content"]) <= 2000
        && embeds.len() <= 10
        && embeds.iter().all(|embed| {
            length(&embed["title"]) <= 256
                && length(&embed["description"]) <= 4096
                && length(&embed["title"]) + length(&embed["description"]) <= 6000
        });
    if fits { reply(204, "") } else { reply(400, &json!({"embeds": ["too long"]}).to_string()) }
}

fn ntfy(body: &Value) -> Response<Body> {
    let small = body["message"].as_str().is_some_and(|text| !text.is_empty() && text.len() <= 4096);
    let priority = body["priority"].as_u64().is_some_and(|priority| (1..=5).contains(&priority));
    if small && priority {
        reply(200, &json!({"id": "x", "event": "message", "topic": body["topic"]}).to_string())
    } else {
        reply(400, &json!({"code": 40024, "http": 400, "error": "invalid request"}).to_string())
    }
}

//! A GitHub REST API: lists with pages, ETags, rate limits, tokens, renamed repositories, and faults.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use url::Url;

use super::served::{Seen, Served, query};

/// An answer in place of the right one, once.
pub(crate) struct Fault {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Fault {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: json!({"message": "fault"}).to_string() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }
}

struct Github {
    base: Url,
    /// By `owner/name/releases` or `owner/name/tags`, newest first.
    lists: BTreeMap<String, Vec<Value>>,
    /// Old `owner/name` to the new one.
    renamed: BTreeMap<String, String>,
    /// The only token that is accepted.
    token: Option<String>,
    /// Nobody without a token sees anything.
    private: bool,
    remaining: u32,
    faults: VecDeque<Fault>,
    next_host: Option<String>,
    seen: Vec<Seen>,
}

/// The running fake.
pub(crate) struct FakeGithub {
    pub(crate) served: Served,
    github: Arc<Mutex<Github>>,
}

impl FakeGithub {
    pub(crate) async fn start() -> Self {
        let mut shared = None;
        let served = Served::start(|base| {
            let github = Arc::new(Mutex::new(Github {
                base,
                lists: BTreeMap::new(),
                renamed: BTreeMap::new(),
                token: None,
                private: false,
                remaining: 60,
                faults: VecDeque::new(),
                next_host: None,
                seen: Vec::new(),
            }));
            shared = Some(github.clone());
            Router::new().fallback(answer).with_state(github)
        })
        .await;
        Self { served, github: shared.unwrap() }
    }

    fn change(&self, change: impl FnOnce(&mut Github)) {
        change(&mut self.github.lock().unwrap());
    }

    pub(crate) fn release_list(&self, repository: &str, releases: Vec<Value>) {
        self.change(|github| {
            github.lists.insert(format!("{repository}/releases"), releases);
        });
    }

    /// `count` releases `v1.0.<count - 1>` down to `v1.0.0`.
    pub(crate) fn releases(&self, repository: &str, count: usize) {
        self.release_list(repository, (0..count).rev().map(|i| release(&format!("v1.0.{i}"))).collect());
    }

    pub(crate) fn tags(&self, repository: &str, tags: &[&str]) {
        let tags = tags.iter().map(|tag| json!({"name": tag, "commit": {"sha": "0".repeat(40)}})).collect();
        self.change(|github| {
            github.lists.insert(format!("{repository}/tags"), tags);
        });
    }

    pub(crate) fn rename(&self, old: &str, new: &str) {
        self.change(|github| {
            github.renamed.insert(old.to_owned(), new.to_owned());
        });
    }

    pub(crate) fn accept_token(&self, token: &str, private: bool) {
        self.change(|github| {
            github.token = Some(token.to_owned());
            github.private = private;
        });
    }

    pub(crate) fn remaining(&self, requests: u32) {
        self.change(|github| github.remaining = requests);
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.change(|github| github.faults.push_back(fault));
    }

    /// Links to next pages name this base instead.
    pub(crate) fn link_to(&self, base: &str) {
        self.change(|github| github.next_host = Some(base.to_owned()));
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.github.lock().unwrap().seen)
    }
}

pub(crate) fn release(tag: &str) -> Value {
    json!({
        "tag_name": tag, "name": tag, "draft": false, "prerelease": tag.contains('-'),
        "published_at": "2026-08-07T14:22:55Z", "body": format!("Notes of {tag}"),
        "html_url": format!("https://github.com/o/r/releases/tag/{tag}"),
        "assets": [{"name": "k3s", "size": 1}],
        "author": {"login": "bot"},
    })
}

async fn answer(State(github): State<Arc<Mutex<Github>>>, request: Request) -> Response {
    let mut github = github.lock().unwrap();
    let seen = Seen::of(&request);
    github.seen.push(seen.clone());
    if let Some(fault) = github.faults.pop_front() {
        let mut response = Response::builder().status(fault.status);
        for (name, value) in fault.headers {
            response = response.header(name, value);
        }
        return response.body(Body::from(fault.body)).unwrap();
    }
    assert!(seen.header("user-agent").is_some(), "GitHub refuses requests without User-Agent");
    let authorized = match (seen.header("authorization"), &github.token) {
        (Some(given), Some(token)) if given == format!("Bearer {token}") => true,
        (Some(_), _) => return refuse(401, "Bad credentials", github.remaining),
        (None, _) => false,
    };
    if github.remaining == 0 {
        return refuse(403, "API rate limit exceeded", 0);
    }

    let path = request.uri().path().trim_start_matches("/api/v3").to_owned();
    let list = match path.strip_prefix("/repos/") {
        Some(rest) => {
            let (repository, list) = rest.rsplit_once('/').unwrap_or((rest, ""));
            if let Some(new) = github.renamed.get(repository) {
                let target = format!("{}repositories/{new}/{list}", github.base);
                let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
                return Response::builder()
                    .status(301)
                    .header("location", format!("{target}{query}"))
                    .body(Body::empty())
                    .unwrap();
            }
            rest.to_owned()
        }
        None => path.strip_prefix("/repositories/").unwrap_or_default().to_owned(),
    };
    if github.private && !authorized {
        return refuse(404, "Not Found", github.remaining);
    }
    let Some(entries) = github.lists.get(&list) else { return refuse(404, "Not Found", github.remaining) };

    let per_page = query(&seen.target, "per_page").map_or(30, |n| n.parse::<usize>().unwrap()).min(100);
    let page = query(&seen.target, "page").map_or(1, |n| n.parse::<usize>().unwrap());
    let shown: Vec<_> = entries.iter().skip((page - 1) * per_page).take(per_page).collect();
    let body = serde_json::to_string(&shown).unwrap();
    let etag = {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        format!("W/\"{:x}\"", hasher.finish())
    };
    let is_known = seen.header("if-none-match") == Some(&etag);
    let mut response = Response::builder().header("etag", &etag).header("content-type", "application/json");
    if !is_known && page * per_page < entries.len() {
        let base = github.next_host.clone().unwrap_or_else(|| github.base.to_string());
        let last = entries.len().div_ceil(per_page);
        let link =
            |page, rel| format!("<{base}repositories/{list}?per_page={per_page}&page={page}>; rel=\"{rel}\"");
        response = response.header("link", format!("{}, {}", link(last, "last"), link(page + 1, "next")));
    }
    // GitHub counts a 304 only for those without a token.
    if !(is_known && authorized) {
        github.remaining -= 1;
    }
    response = response.header("x-ratelimit-remaining", github.remaining);
    if is_known {
        return response.status(304).body(Body::empty()).unwrap();
    }
    response.body(Body::from(body)).unwrap()
}

fn refuse(status: u16, message: &str, remaining: u32) -> Response {
    Response::builder()
        .status(status)
        .header("x-ratelimit-remaining", remaining)
        .header("x-ratelimit-reset", 1_795_255_200)
        .body(Body::from(json!({"message": message}).to_string()))
        .unwrap()
}

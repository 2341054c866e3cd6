//! An OCI registry: pages, token service, Basic authentication, manifests and blobs, bad habits on demand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::served::{Seen, Served, query};

/// Who may read.
#[derive(Clone)]
pub(crate) enum Door {
    /// Everybody.
    Open,
    /// Who has a token; anybody gets one.
    AnonymousToken,
    /// Who has a token; only this `Authorization` gets one.
    TokenFor(String),
    /// Only this `Authorization`.
    Basic(String),
}

struct Registry {
    base: Url,
    door: Door,
    realm: Option<String>,
    /// Tags by repository, in the order of the list.
    tags: BTreeMap<String, Vec<String>>,
    /// Content by `repository/manifests/reference` and `repository/blobs/digest`.
    content: BTreeMap<String, Vec<u8>>,
    page: usize,
    ignores_last: bool,
    next_host: Option<String>,
    /// Tokens and the scope each is for. Each run of the service gives others.
    tokens: BTreeMap<String, String>,
    issued: usize,
    /// Statuses of the next answers of the token service.
    refusals: Vec<u16>,
    seen: Vec<Seen>,
}

/// The running fake.
pub(crate) struct FakeRegistry {
    pub(crate) served: Served,
    registry: Arc<Mutex<Registry>>,
}

impl FakeRegistry {
    pub(crate) async fn start() -> Self {
        let mut shared = None;
        let served = Served::start(|base| {
            let registry = Arc::new(Mutex::new(Registry {
                base,
                door: Door::Open,
                realm: None,
                tags: BTreeMap::new(),
                content: BTreeMap::new(),
                page: usize::MAX,
                ignores_last: false,
                next_host: None,
                tokens: BTreeMap::new(),
                issued: 0,
                refusals: Vec::new(),
                seen: Vec::new(),
            }));
            shared = Some(registry.clone());
            Router::new().fallback(answer).with_state(registry)
        })
        .await;
        Self { served, registry: shared.unwrap() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        change(&mut self.registry.lock().unwrap())
    }

    pub(crate) fn door(&self, door: Door) {
        self.change(|registry| registry.door = door);
    }

    /// The realm that challenges name, instead of the registry's own.
    pub(crate) fn realm(&self, realm: &str) {
        self.change(|registry| registry.realm = Some(realm.to_owned()));
    }

    pub(crate) fn tags(&self, repository: &str, tags: impl IntoIterator<Item = impl ToString>) {
        let tags = tags.into_iter().map(|tag| tag.to_string()).collect();
        self.change(|registry| registry.tags.insert(repository.to_owned(), tags));
    }

    /// At most `size` tags a page, whatever is asked for.
    pub(crate) fn pages_of(&self, size: usize) {
        self.change(|registry| registry.page = size);
    }

    pub(crate) fn ignore_last(&self) {
        self.change(|registry| registry.ignores_last = true);
    }

    pub(crate) fn link_to(&self, base: &str) {
        self.change(|registry| registry.next_host = Some(base.to_owned()));
    }

    /// Stores a manifest under its digest and, if given, a tag; the digest.
    pub(crate) fn manifest(&self, repository: &str, tag: Option<&str>, manifest: &Value) -> String {
        let bytes = manifest.to_string().into_bytes();
        let digest = digest(&bytes);
        self.change(|registry| {
            for reference in tag.into_iter().chain([digest.as_str()]) {
                registry.content.insert(format!("{repository}/manifests/{reference}"), bytes.clone());
            }
        });
        digest
    }

    pub(crate) fn blob(&self, repository: &str, content: &Value) -> String {
        self.bytes(repository, content.to_string().into_bytes())
    }

    /// Keeps a blob of any bytes.
    pub(crate) fn bytes(&self, repository: &str, bytes: Vec<u8>) -> String {
        let digest = digest(&bytes);
        self.change(|registry| registry.content.insert(format!("{repository}/blobs/{digest}"), bytes));
        digest
    }

    /// Puts other bytes where the digest of a blob is promised.
    pub(crate) fn corrupt_blob(&self, repository: &str, digest: &str, bytes: Vec<u8>) {
        self.change(|registry| registry.content.insert(format!("{repository}/blobs/{digest}"), bytes));
    }

    /// Puts other bytes where `digest` is promised.
    pub(crate) fn corrupt(&self, repository: &str, digest: &str) {
        self.change(|registry| {
            registry.content.insert(format!("{repository}/manifests/{digest}"), b"{\"layers\": []}".to_vec())
        });
    }

    /// The next tokens are refused with these statuses, the last one first.
    pub(crate) fn refuse_tokens(&self, statuses: &[u16]) {
        self.change(|registry| registry.refusals = statuses.to_vec());
    }

    /// All tokens expire.
    pub(crate) fn expire_tokens(&self) {
        self.change(|registry| registry.tokens.clear());
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.change(|registry| std::mem::take(&mut registry.seen))
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

async fn answer(State(registry): State<Arc<Mutex<Registry>>>, request: Request) -> Response {
    let mut registry = registry.lock().unwrap();
    let seen = Seen::of(&request);
    registry.seen.push(seen.clone());
    let path = request.uri().path().to_owned();
    if path == "/token" {
        return token(&mut registry, &seen);
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return refuse(404, "NAME_UNKNOWN") };
    let repository = ["/tags/list", "/manifests/", "/blobs/"]
        .iter()
        .find_map(|part| rest.split_once(part))
        .map_or("", |(repository, _)| repository)
        .to_owned();
    if let Some(refusal) = at_the_door(&registry, &seen, &repository) {
        return refusal;
    }
    if rest.ends_with("/tags/list") {
        return tags(&registry, &seen, &repository);
    }
    match registry.content.get(rest) {
        Some(bytes) => Response::builder()
            .header("docker-content-digest", digest(bytes))
            .body(Body::from(bytes.clone()))
            .unwrap(),
        None => refuse(404, "MANIFEST_UNKNOWN"),
    }
}

fn scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

fn at_the_door(registry: &Registry, seen: &Seen, repository: &str) -> Option<Response> {
    let given = seen.header("authorization");
    let challenge = match &registry.door {
        Door::Open => return None,
        Door::Basic(wanted) if given == Some(wanted) => return None,
        Door::Basic(_) => "Basic realm=\"fake\"".to_owned(),
        Door::AnonymousToken | Door::TokenFor(_) => {
            let token = given.and_then(|given| given.strip_prefix("Bearer "));
            if token
                .and_then(|token| registry.tokens.get(token))
                .is_some_and(|known| *known == scope(repository))
            {
                return None;
            }
            let realm = registry.realm.clone().unwrap_or_else(|| format!("{}token", registry.base));
            format!("Bearer realm=\"{realm}\",service=\"fake,registry\",scope=\"{}\"", scope(repository))
        }
    };
    let mut refusal = refuse(401, "UNAUTHORIZED");
    refusal.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
    Some(refusal)
}

fn token(registry: &mut Registry, seen: &Seen) -> Response {
    assert_eq!(query(&seen.target, "service").as_deref(), Some("fake,registry"));
    if let Some(status) = registry.refusals.pop() {
        return refuse(status, "TOOMANYREQUESTS");
    }
    if let Door::TokenFor(wanted) = &registry.door
        && seen.header("authorization") != Some(wanted)
    {
        return refuse(401, "UNAUTHORIZED");
    }
    registry.issued += 1;
    let token = format!("token-{}", registry.issued);
    registry.tokens.insert(token.clone(), query(&seen.target, "scope").unwrap());
    Response::new(Body::from(json!({"token": token, "expires_in": 300}).to_string()))
}

fn tags(registry: &Registry, seen: &Seen, repository: &str) -> Response {
    let Some(tags) = registry.tags.get(repository) else { return refuse(404, "NAME_UNKNOWN") };
    let asked = query(&seen.target, "n").map_or(usize::MAX, |n| n.parse::<usize>().unwrap());
    let size = asked.min(registry.page);
    let last = query(&seen.target, "last").filter(|_| !registry.ignores_last);
    let start = last.map_or(0, |last| tags.iter().position(|tag| *tag == last).map_or(tags.len(), |i| i + 1));
    let page: Vec<_> = tags.iter().skip(start).take(size).collect();
    let body = json!({"name": repository, "tags": page}).to_string();
    let etag = format!("\"{}\"", digest(body.as_bytes()));
    let mut response = Response::builder().header("etag", &etag).header("content-type", "application/json");
    if start.saturating_add(size) < tags.len() {
        let base = registry.next_host.clone().unwrap_or_default();
        let last = page.last().unwrap();
        response = response
            .header("link", format!("<{base}/v2/{repository}/tags/list?last={last}&n={size}>; rel=\"next\""));
    }
    if seen.header("if-none-match") == Some(&etag) {
        return response.status(304).body(Body::empty()).unwrap();
    }
    response.body(Body::from(body)).unwrap()
}

fn refuse(status: u16, code: &str) -> Response {
    Response::builder()
        .status(status)
        .body(Body::from(json!({"errors": [{"code": code}]}).to_string()))
        .unwrap()
}

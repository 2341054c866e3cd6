//! Chart repositories and an image registry on loopback, with entity tags, counting what is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;

use super::data::{VERSIONS, helm_index, index};

struct Shared {
    requests: AtomicUsize,
    indexes: HashMap<String, Bytes>,
    tags: String,
}

pub(crate) struct Server {
    authority: String,
    shared: Arc<Shared>,
    /// Serves until it is dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start(indexes: usize, charts: usize) -> Self {
        let tags: Vec<String> = (0..VERSIONS).map(|minor| format!("\"1.{minor}.0\"")).collect();
        let shared = Arc::new(Shared {
            requests: AtomicUsize::new(0),
            indexes: (0..indexes)
                .map(|number| {
                    let name = index(number);
                    let text = helm_index(&name, charts);
                    (format!("/charts/{name}/index.yaml"), Bytes::from(text))
                })
                .collect(),
            tags: tags.join(","),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { authority, shared, _runtime: runtime }
    }

    pub(crate) fn authority(&self) -> String {
        self.authority.clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path();
    let repository = path.strip_prefix("/v2/").and_then(|rest| rest.strip_suffix("/tags/list"));
    let (kind, body) = match (shared.indexes.get(path), repository) {
        (Some(index), _) => ("application/yaml", index.clone()),
        (None, Some(name)) => {
            let list = format!("{{\"name\":\"{name}\",\"tags\":[{}]}}", shared.tags);
            ("application/json", Bytes::from(list))
        }
        (None, None) => return Response::builder().status(404).body(Body::empty()).unwrap(),
    };
    let tag = format!("\"{}\"", body.len());
    let response = Response::builder().header("etag", &tag).header("content-type", kind);
    if request.headers().get("if-none-match").is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return response.status(304).body(Body::empty()).unwrap();
    }
    response.body(Body::from(body)).unwrap()
}

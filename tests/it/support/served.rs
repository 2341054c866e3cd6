//! An HTTP server on loopback for the time of a test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use axum::Router;
use reqwest::header::HeaderMap;
use url::Url;

/// A running server; it stops when dropped.
pub(crate) struct Served {
    pub(crate) url: Url,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Starts what `router` makes of the server's own address.
    pub(crate) async fn start(router: impl FnOnce(Url) -> Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let router = router(url.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn authority(&self) -> String {
        self.url.authority().to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn of(request: &axum::extract::Request) -> Self {
        Self {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The value of `name` in the query of `target`.
pub(crate) fn query(target: &str, name: &str) -> Option<String> {
    let url = Url::parse("http://localhost").unwrap().join(target).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

//! `/metrics`, `/healthz` and `/readyz` while passes are repeated. Reads nothing but the first line of a request.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::error::CommandError;
use crate::app::ports::Clock as _;
use crate::clock::AnyClock;
use crate::metrics::{self, Totals};

/// Connections at the same time.
const MOST_CONNECTIONS: usize = 32;
/// Longest time for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Longest life of a connection.
const LIFE: Duration = Duration::from_secs(60);
/// Most bytes of a head.
const HEAD_LIMIT: usize = 16 << 10;

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`")]
struct Error {
    address: SocketAddr,
    source: std::io::Error,
}

/// What the endpoint tells.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    totals: Arc<Mutex<Totals>>,
    started: Timestamp,
    /// Without a pass that ends for so long, something is stuck.
    patience: Duration,
}

impl Endpoint {
    pub(super) fn new(started: Timestamp, patience: Duration) -> Self {
        Self { totals: Arc::default(), started, patience }
    }

    pub(super) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Alive: a pass ended not too long ago, however it ended.
    fn is_alive(&self, now: Timestamp) -> bool {
        let since = self.totals().last.map_or(self.started, |(at, _)| at);
        now.duration_since(since) <= jiff::SignedDuration::try_from(self.patience).unwrap_or_default()
    }

    /// Ready: a pass has ended, and did not fail.
    fn is_ready(&self) -> bool {
        self.totals().last_good.is_some()
    }

    fn answer(&self, method: &Method, path: &str, now: Timestamp) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let word = |fine: bool| match fine {
            true => text(StatusCode::OK, "ok\n"),
            false => text(StatusCode::SERVICE_UNAVAILABLE, "no\n"),
        };
        match path {
            "/metrics" => {
                let page = metrics::page(&self.totals(), Some(now)).text();
                let mut response = text(StatusCode::OK, page);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
                response
            }
            "/healthz" => word(self.is_alive(now)),
            "/readyz" => word(self.is_ready()),
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
        }
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Listens on `address`, in a thread of its own, for as long as the program lives; gives back where.
pub(super) fn start(
    address: SocketAddr,
    endpoint: Endpoint,
    clock: AnyClock,
) -> Result<SocketAddr, CommandError> {
    let failed = |source| CommandError::failed(Error { address, source });
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let serve = move || runtime.block_on(serve(listener, endpoint, clock));
    std::thread::Builder::new().name("endpoint".to_owned()).spawn(serve).map_err(failed)?;
    tracing::info!(address = %bound, "listening");
    Ok(bound)
}

async fn serve(listener: TcpListener, endpoint: Endpoint, clock: AnyClock) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the endpoint is closed"),
    };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, for example: not in a tight loop.
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = endpoint.answer(request.method(), request.uri().path(), clock.now());
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(HEAD_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            // A client that went away or took too long is no concern of ours.
            let _gone = tokio::time::timeout(LIFE, connection).await.is_err();
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Result;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn probes_say_whether_passes_end_and_whether_one_went_well() {
        let endpoint = Endpoint::new(at(0), Duration::from_secs(100));
        let status = |path: &str, now| endpoint.answer(&Method::GET, path, now).status().as_u16();
        assert_eq!((status("/healthz", at(100)), status("/readyz", at(100))), (200, 503));
        assert_eq!(status("/healthz", at(101)), 503);
        endpoint.totals().ended(at(150), Result::Failed);
        assert_eq!((status("/healthz", at(250)), status("/readyz", at(250))), (200, 503));
        endpoint.totals().ended(at(200), Result::Incomplete);
        assert_eq!((status("/healthz", at(300)), status("/readyz", at(300))), (200, 200));
        endpoint.totals().ended(at(400), Result::Failed);
        assert_eq!(status("/readyz", at(400)), 200, "one failure does not take it out of service");
        assert_eq!((status("/metrics", at(0)), status("/", at(0))), (200, 404));
        assert_eq!(endpoint.answer(&Method::POST, "/metrics", at(0)).status().as_u16(), 405);
    }
}

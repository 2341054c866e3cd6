//! One request to the API server, bounded, and what its failure means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::path::Path;
use crate::app::cluster::{ClusterError, ErrorClass};
use crate::clock::Time;

/// Requests at the same time, watches not counted: an API server that serves a whole cluster is not ours alone.
const AT_ONCE: usize = 4;
/// Largest answer that is not a list.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Most of an error's body that is read.
const MAX_STATUS: usize = 64 * 1024;
/// Longest time for a request and its whole answer.
const LONGEST: Duration = Duration::from_secs(120);
/// Longest time until a watch begins.
const OPENED: Duration = Duration::from_secs(20);
/// Times that a question is asked.
const TRIES: u32 = 3;
/// Longest pause that the API server may ask for between them.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// How to go on.
    pub(super) class: ErrorClass,
    /// HTTP status; 0 where there was no answer.
    pub(super) code: u16,
    /// For people.
    pub(super) reason: String,
    /// When the API server wants to be asked again.
    pub(super) retry_after: Option<Duration>,
    /// Body of the answer, where it is text.
    pub(super) text: String,
}

impl Failure {
    /// The answer cannot be understood: it came, but not from what we know.
    pub(super) fn strange(reason: impl Into<String>) -> Self {
        Self {
            class: ErrorClass::Permanent,
            code: 0,
            reason: reason.into(),
            retry_after: None,
            text: String::new(),
        }
    }

    /// There was no answer, or not a whole one.
    pub(super) fn away(reason: impl Into<String>) -> Self {
        Self {
            class: ErrorClass::Transient,
            code: 0,
            reason: reason.into(),
            retry_after: None,
            text: String::new(),
        }
    }

    /// The version or the continue token is too old.
    pub(super) fn is_expired(&self) -> bool {
        self.code == StatusCode::GONE.as_u16()
    }

    fn of_status(code: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Self {
        let status: Status = serde_json::from_slice(body).unwrap_or_default();
        let reason = if status.message.is_empty() {
            format!("the API server answered {code}")
        } else {
            format!("the API server answered {}: {}", code.as_u16(), status.message)
        };
        let told = status.details.retry_after_seconds.map(Duration::from_secs);
        let text = String::from_utf8_lossy(body).into_owned();
        Self { class: class(code), code: code.as_u16(), reason, retry_after: retry_after.or(told), text }
    }

    /// For the port.
    pub(super) fn attempting(self, attempted: impl Into<String>, hint: Option<String>) -> ClusterError {
        ClusterError { attempted: attempted.into(), reason: self.reason, class: self.class, hint }
    }
}

fn class(code: StatusCode) -> ErrorClass {
    match code.as_u16() {
        401 | 403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        409 => ErrorClass::Conflict,
        501 => ErrorClass::Permanent,
        408 | 410 | 429 | 500..=599 => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    }
}

/// What is read of a `Status`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    message: String,
    details: Details,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    retry_after_seconds: Option<u64>,
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            // Its text may hold what a credential plugin printed.
            kube::Error::Auth(_) => Self {
                class: ErrorClass::Denied,
                ..Self::strange("the credentials of the kubeconfig cannot be used")
            },
            error => Self::away(chain(&error)),
        }
    }
}

/// An error and its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    // kube's own words say only that there was an error.
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) path: Path,
    pub(super) accept: &'static str,
    /// With its media type.
    pub(super) body: Option<(&'static str, Bytes)>,
}

impl Question {
    pub(super) fn get(path: Path) -> Self {
        Self { method: Method::GET, path, accept: "application/json", body: None }
    }

    fn request(&self) -> Result<Request<Body>, Failure> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.path.uri())
            .header(http::header::ACCEPT, self.accept);
        let body = match &self.body {
            Some((media, bytes)) => {
                request = request.header(http::header::CONTENT_TYPE, *media);
                Body::from(bytes.clone())
            }
            None => Body::empty(),
        };
        request.body(body).map_err(|error| Failure::strange(format!("`{}`: {error}", self.path.uri())))
    }
}

/// The connection to an API server.
pub(super) struct Asker {
    client: Client,
    /// Its connections may be quiet for longer.
    watcher: Client,
    gate: Semaphore,
    pub(super) time: Arc<dyn Time>,
}

impl Asker {
    pub(super) fn new(client: Client, watcher: Client, time: Arc<dyn Time>) -> Self {
        Self { client, watcher, gate: Semaphore::new(AT_ONCE), time }
    }

    /// Opens a watch: an answer without an end.
    pub(super) async fn open(&self, question: &Question) -> Result<Response<Body>, Failure> {
        let opened = tokio::time::timeout(OPENED, send(&self.watcher, question));
        opened.await.map_err(|_| Failure::away("the API server does not answer"))?
    }

    /// Asks once, and gives the body to `take` as it comes.
    pub(super) async fn stream(
        &self,
        question: &Question,
        mut take: impl FnMut(Bytes) -> Result<(), Failure> + Send,
    ) -> Result<(), Failure> {
        let _permit = self.gate.acquire().await.map_err(|_| Failure::away("the connection is closed"))?;
        let whole = async {
            let mut body = send(&self.client, question).await?.into_body();
            while let Some(bytes) = next(&mut body).await? {
                take(bytes)?;
            }
            Ok(())
        };
        let answered = tokio::time::timeout(LONGEST, whole).await;
        answered.map_err(|_| Failure::away("the API server does not come to the end of its answer"))?
    }

    /// Asks once for a body of bounded size.
    pub(super) async fn once(&self, question: &Question) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        self.stream(question, |bytes| {
            if whole.len() + bytes.len() > MAX_BODY {
                return Err(Failure::strange(format!("the answer has more than {MAX_BODY} bytes")));
            }
            whole.extend_from_slice(&bytes);
            Ok(())
        })
        .await?;
        Ok(whole)
    }

    /// Asks whether the API server answers anything at all; does not wait for other questions.
    pub(super) async fn is_there(&self) -> bool {
        match send(&self.client, &Question::get(Path::fixed("/version"))).await {
            Ok(_) => true,
            Err(failure) => failure.code != 0,
        }
    }

    /// Asks for a body; what failed for a passing reason is asked again, writes only where they were not done.
    pub(super) async fn ask(&self, question: &Question) -> Result<Vec<u8>, Failure> {
        let mut pause = Duration::from_millis(250);
        for _ in 1..TRIES {
            match self.once(question).await {
                Err(failure) if may_repeat(&question.method, &failure) => {
                    let wait = failure.retry_after.unwrap_or(pause);
                    if wait > LONGEST_PAUSE {
                        return Err(failure);
                    }
                    self.time.sleep(wait).await;
                    pause *= 4;
                }
                answered => return answered,
            }
        }
        self.once(question).await
    }
}

/// Reading again does no harm; throttled requests were not looked at (KEP-1040).
fn may_repeat(method: &Method, failure: &Failure) -> bool {
    failure.code == 429 || *method == Method::GET && failure.class == ErrorClass::Transient
}

async fn send(client: &Client, question: &Question) -> Result<Response<Body>, Failure> {
    let response = client.send(question.request()?).await?;
    let code = response.status();
    if code.is_success() {
        return Ok(response);
    }
    let retry_after = response.headers().get(http::header::RETRY_AFTER);
    let retry_after =
        retry_after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let mut body = response.into_body();
    let mut text = Vec::new();
    // What is known of a failure is told, even where its body is cut.
    while let Ok(Some(bytes)) = next(&mut body).await {
        text.extend_from_slice(&bytes);
        if text.len() > MAX_STATUS {
            break;
        }
    }
    tracing::debug!(method = %question.method, path = question.path.uri(), status = code.as_u16(), "refused");
    Err(Failure::of_status(code, &text, retry_after))
}

/// The next part of a body.
pub(super) async fn next(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        // The other frames are trailers.
        if let Ok(bytes) = frame?.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

//! The HTTP side: requests come, are recorded, go wrong where a test wants it, and are answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::answer::Answer;
use super::verbs::{self, Done};
use super::{Moment, Recorded, Shared, Wish};

/// Largest body of a request (`--max-request-bytes`).
const MAX_BODY: usize = 3 * 1024 * 1024;

/// How the API server fails everything.
#[derive(Debug, Clone)]
pub(crate) enum Outage {
    /// Connections are closed as soon as they are made, and those that are there are cut.
    Refuse,
    /// Nothing is answered; watches fall silent.
    Hang,
    /// Answers stop in the middle; watches are cut.
    Half,
    /// This answer to every request; watches go on.
    Answer(Answer),
}

/// How a request goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// Not done, and this answer.
    Instead(Answer),
    /// Not done, and the connection breaks.
    Break,
    /// Done, and the connection breaks before the answer.
    BreakAfterwards,
    /// Done, and half of the answer is sent.
    Half,
}

pub(super) struct Fault {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) times: usize,
    pub(super) how: How,
}

/// The listener: closes connections while the server is away.
pub(super) struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Door {
    pub(super) fn new(listener: TcpListener, shared: Arc<Shared>) -> Self {
        Self { listener, shared }
    }
}

impl axum::serve::Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let Ok(accepted) = self.listener.accept().await else { continue };
            let away = matches!(self.shared.cluster.lock().unwrap().outage, Some(Outage::Refuse));
            if !away {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A request that has come as a whole.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Bytes,
    headers: axum::http::HeaderMap,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn is_watch(&self) -> bool {
        matches!(self.query.get("watch").map(String::as_str), Some("1" | "true"))
    }

    async fn read(request: Request) -> Result<Self, Answer> {
        let (parts, body) = request.into_parts();
        let too_large = |_| Answer::text(413, "Request entity too large: limit is 3145728");
        let body = axum::body::to_bytes(body, MAX_BODY).await.map_err(too_large)?;
        let query = parts.uri.query().unwrap_or_default();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query,
            body,
            headers: parts.headers,
        })
    }

    fn recorded(&self, user: &str) -> Recorded {
        Recorded {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            body: serde_json::from_slice::<Value>(&self.body).ok(),
            user: user.to_owned(),
            status: 0,
        }
    }
}

/// Ends the connection without an answer, and without a word on stderr.
fn hang_up() -> Response {
    std::panic::resume_unwind(Box::new("connection closed by the test"))
}

/// The head of an answer, and half of its body.
async fn half(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let first = bytes.slice(..bytes.len() / 2);
    let parts_of_body = [Ok(first), Err(std::io::Error::other("cut by the test"))];
    let mut parts = parts;
    parts.headers.insert("content-length", bytes.len().into());
    Response::from_parts(parts, Body::from_stream(futures_util::stream::iter(parts_of_body)))
}

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(answer) => return answer.into_response(),
    };
    let (outage, fault, recorded) = {
        let mut cluster = shared.cluster.lock().unwrap();
        let user = verbs::account(&cluster, &asked).map(|account| account.user).unwrap_or_default();
        let fits = |fault: &Fault| fault.method == asked.method && asked.path.contains(&fault.path);
        let fault = cluster.faults.iter_mut().find(|fault| fits(fault)).map(|fault| {
            fault.times -= 1;
            fault.how.clone()
        });
        cluster.faults.retain(|fault| fault.times > 0);
        (cluster.outage.clone(), fault, asked.recorded(&user))
    };
    let note = |status| shared.seen.lock().unwrap().push(Recorded { status, ..recorded.clone() });
    match (&outage, &fault) {
        (Some(Outage::Refuse), _) | (None, Some(How::Break)) => {
            note(0);
            return hang_up();
        }
        (Some(Outage::Hang), _) => {
            note(0);
            let mut changed = shared.changed.subscribe();
            let hangs = || matches!(shared.cluster.lock().unwrap().outage, Some(Outage::Hang));
            while hangs() && changed.changed().await.is_ok() {}
            return hang_up();
        }
        (Some(Outage::Answer(answer)), _) | (None, Some(How::Instead(answer))) => {
            note(answer.status);
            return answer.clone().into_response();
        }
        _ => {}
    }
    let effect = shared.effect.lock().unwrap().clone().filter(|_| recorded.is_write());
    if effect.as_ref().is_some_and(|effect| effect(Moment::Before, &recorded) == Wish::Break) {
        note(0);
        return hang_up();
    }
    let done = {
        let mut cluster = shared.cluster.lock().unwrap();
        let done = verbs::answer(&shared, &mut cluster, &asked).unwrap_or_else(Done::from);
        if let Some(written) = &done.written {
            let controllers = shared.controllers.lock().unwrap().clone();
            for controller in controllers {
                controller(&mut cluster, written);
            }
        }
        done
    };
    if done.written.is_some() {
        shared.tell();
    }
    if effect.is_some_and(|effect| effect(Moment::After, &recorded) == Wish::Break) {
        note(0);
        return hang_up();
    }
    note(done.response.status().as_u16());
    match (outage, fault) {
        (None, Some(How::BreakAfterwards)) => hang_up(),
        (Some(Outage::Half), _) | (None, Some(How::Half)) if !asked.is_watch() => half(done.response).await,
        _ => done.response,
    }
}

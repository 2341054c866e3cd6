//! A web server with resources, entity tags, faults on demand, and a log of what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use url::Url;

/// What goes wrong with the next request for a path.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status with these headers and no content.
    Status(u16, Vec<(&'static str, String)>),
    /// A redirect.
    Redirect(u16, String),
}

#[derive(Debug, Clone)]
struct Resource {
    body: Vec<u8>,
    etag: Option<String>,
    headers: Vec<(&'static str, String)>,
    authorization: Option<String>,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) status: u16,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Debug, Default)]
struct Content {
    resources: BTreeMap<String, Resource>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    log: Vec<Asked>,
    in_flight: usize,
    most_in_flight: usize,
    pause: Duration,
}

/// The server; it ends with the runtime of its test.
pub(crate) struct FakeUpstream {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    task: tokio::task::JoinHandle<()>,
}

impl FakeUpstream {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let content = Arc::new(Mutex::new(Content::default()));
        let app = Router::new().fallback(answer).with_state(content.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, content, task }
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Serves `body` with an entity tag made from it.
    pub(crate) fn serve(&self, path: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref().to_vec();
        let etag = format!(
            "\"{}-{:x}\"",
            body.len(),
            body.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
        );
        self.put(path, Resource { body, etag: Some(etag), headers: Vec::new(), authorization: None });
    }

    /// Adds headers to a served path.
    pub(crate) fn with_header(&self, path: &str, name: &'static str, value: &str) {
        self.content.lock().unwrap().resources.get_mut(path).unwrap().headers.push((name, value.to_owned()));
    }

    /// Serves a path without an entity tag.
    pub(crate) fn without_etag(&self, path: &str) {
        self.content.lock().unwrap().resources.get_mut(path).unwrap().etag = None;
    }

    /// Answers 401 to everybody who does not send exactly this.
    pub(crate) fn protect(&self, path: &str, authorization: &str) {
        self.content.lock().unwrap().resources.get_mut(path).unwrap().authorization =
            Some(authorization.to_owned());
    }

    fn put(&self, path: &str, resource: Resource) {
        self.content.lock().unwrap().resources.insert(path.to_owned(), resource);
    }

    /// Lets the next request for `path` fail; several faults are used up in order.
    pub(crate) fn fail(&self, path: &str, fault: Fault) {
        self.content.lock().unwrap().faults.entry(path.to_owned()).or_default().push_back(fault);
    }

    /// Nothing goes wrong with `path` any more.
    pub(crate) fn heal(&self, path: &str) {
        self.content.lock().unwrap().faults.remove(path);
    }

    /// Every answer takes this long.
    pub(crate) fn pause(&self, pause: Duration) {
        self.content.lock().unwrap().pause = pause;
    }

    /// The most requests that were being answered at one time.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.content.lock().unwrap().most_in_flight
    }

    /// Counts anew.
    pub(crate) fn forget_most_in_flight(&self) {
        self.content.lock().unwrap().most_in_flight = 0;
    }

    /// What was asked since the last call.
    pub(crate) fn take_log(&self) -> Vec<Asked> {
        std::mem::take(&mut self.content.lock().unwrap().log)
    }

    /// Statuses answered since the last call.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.take_log().iter().map(|asked| asked.status).collect()
    }
}

async fn answer(State(content): State<Arc<Mutex<Content>>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let pause = {
        let mut content = content.lock().unwrap();
        content.in_flight += 1;
        content.most_in_flight = content.most_in_flight.max(content.in_flight);
        content.pause
    };
    tokio::time::sleep(pause).await;
    let mut content = content.lock().unwrap();
    content.in_flight -= 1;
    let response = content.answer(&path, request.headers());
    content.log.push(Asked { path, headers: request.headers().clone(), status: response.status().as_u16() });
    response
}

impl Content {
    fn answer(&mut self, path: &str, headers: &HeaderMap) -> Response<Body> {
        match self.faults.get_mut(path).and_then(VecDeque::pop_front) {
            Some(Fault::Status(status, headers)) => return response(status, &headers, Vec::new()),
            Some(Fault::Redirect(status, to)) => return response(status, &[("location", to)], Vec::new()),
            None => {}
        }
        let Some(resource) = self.resources.get(path) else { return response(404, &[], Vec::new()) };
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        if resource.authorization.is_some() && resource.authorization.as_deref() != sent {
            return response(401, &[("www-authenticate", "Basic".to_owned())], Vec::new());
        }
        let mut extra = resource.headers.clone();
        if let Some(etag) = &resource.etag {
            extra.push(("etag", etag.clone()));
            if headers.get("if-none-match").is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
                return response(304, &extra, Vec::new());
            }
        }
        response(200, &extra, resource.body.clone())
    }
}

fn response(status: u16, headers: &[(&'static str, String)], body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    response
}

/// A server that sends exactly these bytes to each connection, and then keeps silent or hangs up.
pub(crate) fn raw(answers: Vec<Vec<u8>>, silence: Duration) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/index.yaml", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                if stream.read(&mut request).is_ok() && stream.write_all(&answer).is_ok() {
                    std::thread::sleep(silence);
                }
            });
        }
    });
    url
}

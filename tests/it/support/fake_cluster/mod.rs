//! An API server that remembers: objects of arbitrary kinds with resource versions, generations, status
//! subresources, lists in pages, watches, permissions and outages, as strict as the real one.
//!
//! It has a thread of its own, so a test may block while the program asks it. Its time is virtual
//! ([`FakeCluster::pass`]). What a test does to it ([`Cluster::put`] …) is done as by somebody who may do all;
//! controllers are played with [`FakeCluster::on_write`], kills with [`FakeCluster::on_effect`], and failures are
//! state ([`FakeCluster::outage`], [`FakeCluster::fail`]).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod answer;
mod discovery;
mod kinds;
mod list;
mod objects;
mod route;
mod selector;
mod serve;
mod verbs;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(crate) use self::account::Account;
pub(crate) use self::answer::Answer;
pub(crate) use self::objects::Cluster;
pub(crate) use self::serve::{How, Outage};
pub(crate) use self::write::Written;
use super::fake_forge::{Moment, Wish};

/// When the virtual time begins.
pub(crate) const START: &str = "2026-11-21T10:00:00Z";
/// Token of somebody who may do everything.
pub(crate) const ADMIN: &str = "admin-token";
/// What etcd forgets: everything older (`--etcd-compaction-interval`).
const COMPACTED_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How often a quiet watch is told how far it is.
const BOOKMARKS: SignedDuration = SignedDuration::from_mins(1);

/// A request as it came, and how it was answered.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Option<Value>,
    pub(crate) user: String,
    /// 0 where the answer was kept back.
    pub(crate) status: u16,
}

impl Recorded {
    /// `PATCH /api/v1/nodes/one`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn is_write(&self) -> bool {
        self.method != "GET"
    }

    pub(crate) fn is_watch(&self) -> bool {
        matches!(self.query.get("watch").map(String::as_str), Some("1" | "true"))
    }
}

type Controller = Arc<dyn Fn(&mut Cluster, &Written) + Send + Sync>;
type Effect = Arc<dyn Fn(Moment, &Recorded) -> Wish + Send + Sync>;

struct Shared {
    cluster: Mutex<Cluster>,
    controllers: Mutex<Vec<Controller>>,
    effect: Mutex<Option<Effect>>,
    seen: Mutex<Vec<Recorded>>,
    /// Watches look again when it changes.
    changed: tokio::sync::watch::Sender<u64>,
}

impl Shared {
    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// A running API server; it stops when dropped.
pub(crate) struct FakeCluster {
    shared: Arc<Shared>,
    url: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The cluster, for a test to look at and to change; watches hear of it when this is dropped.
pub(crate) struct Held<'a> {
    cluster: Option<MutexGuard<'a, Cluster>>,
    shared: &'a Shared,
}

impl std::ops::Deref for Held<'_> {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }
}

impl std::ops::DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Cluster {
        self.cluster.as_mut().unwrap()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.cluster = None;
        self.shared.tell();
    }
}

impl FakeCluster {
    /// An empty cluster with the namespaces and kinds that every cluster has.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            cluster: Mutex::new(Cluster::new(START.parse().unwrap())),
            controllers: Mutex::default(),
            effect: Mutex::default(),
            seen: Mutex::default(),
            changed: tokio::sync::watch::Sender::new(0),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let router = Router::new().fallback(serve::answer).with_state(shared.clone()).into_make_service();
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let listener = serve::Door::new(listener, served);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let url = format!("http://{}", told.recv().unwrap());
        Self { shared, url, stop: Some(stop), thread: Some(thread) }
    }

    /// The cluster, to look at and to change as somebody who may do everything.
    pub(crate) fn cluster(&self) -> Held<'_> {
        Held { cluster: Some(self.shared.cluster.lock().unwrap()), shared: &self.shared }
    }

    /// `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig for the account of a token ([`ADMIN`] may do everything).
    pub(crate) fn kubeconfig(&self, token: &str) -> String {
        let url = &self.url;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: \"{url}\"}}}}]\n\
             users: [{{name: test, user: {{token: {token}}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
        )
    }

    /// Accepts a token.
    pub(crate) fn account(&self, token: &str, account: Account) {
        self.cluster().accounts.insert(token.to_owned(), account);
    }

    /// Lets time pass: etcd forgets, bookmarks are sent, watches reach their time-out.
    pub(crate) fn pass(&self, duration: SignedDuration) {
        let mut cluster = self.cluster();
        let before = cluster.now;
        cluster.now += duration;
        if cluster.now.duration_since(before) >= BOOKMARKS {
            cluster.bookmarks += 1;
        }
        let limit = cluster.now - COMPACTED_AFTER;
        let old = cluster.history.iter().take_while(|event| event.at < limit).map(|event| event.version);
        if let Some(version) = old.last() {
            cluster.compact(version);
        }
    }

    /// The virtual time.
    pub(crate) fn now(&self) -> Timestamp {
        self.cluster().now
    }

    /// Forgets what was before now: continue tokens and versions of watches are too old from here on.
    pub(crate) fn forget_history(&self) {
        let mut cluster = self.cluster();
        let version = cluster.version;
        cluster.compact(version);
    }

    /// Tells watches that want to know how far they are.
    pub(crate) fn send_bookmarks(&self) {
        self.cluster().bookmarks += 1;
    }

    /// Ends running watches as their time-out does.
    pub(crate) fn end_watches(&self) {
        self.cluster().ended += 1;
    }

    /// Cuts the connections of running watches.
    pub(crate) fn cut_watches(&self) {
        self.cluster().cut += 1;
    }

    /// Watches that are running.
    pub(crate) fn watches(&self) -> usize {
        self.cluster().watches
    }

    /// How the API server fails all from now on; `None` ends it.
    pub(crate) fn outage(&self, outage: Option<Outage>) {
        self.cluster().outage = outage;
    }

    /// Lets the next `times` requests with this method whose path contains this text go wrong.
    pub(crate) fn fail(&self, method: &'static str, path: &str, times: usize, how: How) {
        let fault = serve::Fault { method, path: path.to_owned(), times, how };
        self.cluster().faults.push(fault);
    }

    /// Calls `controller` after every write that was done over HTTP. What it does calls no controller again.
    pub(crate) fn on_write(&self, controller: impl Fn(&mut Cluster, &Written) + Send + Sync + 'static) {
        self.shared.controllers.lock().unwrap().push(Arc::new(controller));
    }

    /// Calls `effect` before and after every write; it may break the connection.
    pub(crate) fn on_effect(&self, effect: impl Fn(Moment, &Recorded) -> Wish + Send + Sync + 'static) {
        *self.shared.effect.lock().unwrap() = Some(Arc::new(effect));
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }

    /// The writes since the last call, as lines.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.seen().iter().filter(|seen| seen.is_write()).map(Recorded::line).collect()
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

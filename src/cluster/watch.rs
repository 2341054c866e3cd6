//! Looking at one kind for as long as somebody wants to know: list, watch, list again.
//!
//! A watch that ends goes on where it was. Where that is not possible any more (410), the kind is listed again, and
//! only what is another since is told. When the API server cannot be asked, sight of the kind is lost, and everything is
//! told anew when it is back; what went meanwhile is told as deleted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;

use super::ask::{Asker, Failure, Question};
use super::lines::Lines;
use super::page::{self, page};
use super::path::Path;
use super::reduce::Reducer;
use super::sight::{Gone, Sight};
use super::split::field;
use crate::app::cluster::{ErrorClass, Looked};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::{Change, Seen};
use crate::domain::settle::object::{Detail, Meta, Object};

/// Objects of one kind that are kept in mind; whatever has more is no cluster that we understand.
const MAX_OBJECTS: usize = 100_000;
/// Lists that begin anew because they took longer than the API server remembers.
const RESTARTS: usize = 3;
/// First and longest pause before the API server is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A server that throttles for no longer than this is seen all the same.
const THROTTLED: Duration = Duration::from_secs(15);
/// How often a kind is listed that may not be watched.
const LISTED_EVERY: Duration = Duration::from_secs(30);
/// A watch that ends sooner than this was not ended by its time-out.
const SHORT: Duration = Duration::from_secs(1);

/// What became of the first question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum First {
    /// It is seen, or will be.
    Seen,
    /// The cluster does not have it.
    Absent,
    /// It may not be read.
    Denied(String),
}

/// What is looked at, and whom it is told.
pub(super) struct Watcher {
    pub(super) asker: Arc<Asker>,
    pub(super) kind: Kind,
    pub(super) version: &'static str,
    pub(super) path: Path,
    /// Go on after the first listing.
    pub(super) follow: bool,
    /// Tell the JSON, too.
    pub(super) reducer: Option<Reducer>,
    pub(super) sight: Arc<Sight>,
    pub(super) first: Option<oneshot::Sender<First>>,
}

/// Namespace and name.
type Name = (Box<str>, Box<str>);

/// What is kept of an object that was told.
struct Known {
    uid: Box<str>,
    version: Box<str>,
}

/// The watcher at work.
struct Work {
    of: Watcher,
    /// Everything that was told.
    known: HashMap<Name, Known>,
    /// The first listing has been told.
    listed: bool,
    lost: bool,
    /// It may not be watched.
    lists_only: bool,
    failures: u32,
    throttled: Duration,
}

/// How a watch ended.
enum Ended {
    /// By itself; it goes on from the last version.
    Here,
    /// The version is too old, or nobody knows what was missed.
    Anew,
}

impl Watcher {
    /// Looks until nobody listens any more.
    pub(super) async fn run(self) {
        let out = self.sight.out().clone();
        let work = Work {
            of: self,
            known: HashMap::new(),
            listed: false,
            lost: false,
            lists_only: false,
            failures: 0,
            throttled: Duration::ZERO,
        };
        tokio::select! {
            () = out.closed() => {}
            _ = work.go() => {}
        }
    }
}

impl Work {
    async fn go(mut self) -> Result<(), Gone> {
        loop {
            let version = loop {
                match self.list().await? {
                    Ok(version) => break version,
                    Err(failure) if self.is_final(&failure) => return self.give_up(&failure).await,
                    Err(failure) => self.failed(&failure).await?,
                }
            };
            self.seen().await?;
            if !self.of.follow {
                return Ok(());
            }
            self.watch(version).await?;
        }
    }

    /// Before anything was seen, a refusal is an answer.
    fn is_final(&self, failure: &Failure) -> bool {
        self.of.first.is_some() && matches!(failure.class, ErrorClass::Denied | ErrorClass::NotFound)
    }

    async fn give_up(&mut self, failure: &Failure) -> Result<(), Gone> {
        let first = if failure.class == ErrorClass::NotFound {
            First::Absent
        } else {
            First::Denied(failure.reason.clone())
        };
        self.answer(first);
        self.of.sight.given_up(self.of.kind).await
    }

    fn answer(&mut self, first: First) {
        if let Some(sender) = self.of.first.take() {
            // Who asked may have gone.
            sender.send(first).ok();
        }
    }

    /// Lists the kind and tells what is new; what is not there any more is told as deleted.
    async fn list(&mut self) -> Result<Result<String, Failure>, Gone> {
        let mut restarts = 0;
        'anew: loop {
            let mut there: HashSet<Name> = HashSet::new();
            let mut token = String::new();
            loop {
                let (kind, version) = (self.of.kind, self.of.version);
                let mut items = Vec::new();
                let reducer = self.of.reducer.as_ref();
                let size = page::size(kind);
                let asked = page(&self.of.asker, &self.of.path, "", size, &token, |json| {
                    items.push(read(kind, version, json, reducer));
                });
                let meta = match asked.await {
                    Ok(meta) => meta,
                    Err(failure) if failure.is_expired() && restarts < RESTARTS => {
                        restarts += 1;
                        continue 'anew;
                    }
                    Err(failure) => return Ok(Err(failure)),
                };
                self.answer(First::Seen);
                for (object, json) in items {
                    there.insert(name(&object));
                    self.tell(object, json, !self.listed).await?;
                }
                if there.len() > MAX_OBJECTS {
                    let reason = format!("there are more than {MAX_OBJECTS} {}", kind.api().plural);
                    return Ok(Err(Failure::strange(reason)));
                }
                if meta.r#continue.is_empty() {
                    self.bury(&there).await?;
                    return Ok(Ok(meta.resource_version));
                }
                token = meta.r#continue;
            }
        }
    }

    /// Tells an object, unless this version of it was told already and nothing was missed since.
    async fn tell(&mut self, object: Object, json: Option<Value>, initial: bool) -> Result<(), Gone> {
        let version = object.meta.resource_version.as_deref().unwrap_or_default();
        let known = Known { uid: object.meta.uid.as_str().into(), version: version.into() };
        let before = self.known.insert(name(&object), known);
        let before = before.filter(|before| *before.uid == *object.meta.uid);
        let told = before.as_ref().is_some_and(|before| !version.is_empty() && *before.version == *version);
        if told && !self.lost {
            return Ok(());
        }
        let change = if before.is_some() { Change::Modified } else { Change::Added };
        self.send(Seen::Event { change, object, initial }, json).await
    }

    /// Tells what was known and is not there any more.
    async fn bury(&mut self, there: &HashSet<Name>) -> Result<(), Gone> {
        let gone: Vec<Name> = self.known.keys().filter(|name| !there.contains(*name)).cloned().collect();
        for name in gone {
            let uid = self.known.remove(&name).map(|known| known.uid.into()).unwrap_or_default();
            let (namespace, name) = (name.0.into(), name.1.into());
            let object = bare(self.of.kind, Meta { name, namespace, uid, ..Meta::default() });
            let json = self.of.reducer.as_ref().map(|_| {
                let api = self.of.kind.api();
                let api_version = if api.group.is_empty() {
                    self.of.version.to_owned()
                } else {
                    format!("{}/{}", api.group, self.of.version)
                };
                serde_json::json!({"apiVersion": api_version, "kind": api.kind,
                    "metadata": {"name": object.meta.name, "namespace": object.meta.namespace,
                        "uid": object.meta.uid}})
            });
            self.send(Seen::Event { change: Change::Deleted, object, initial: false }, json).await?;
        }
        Ok(())
    }

    async fn send(&self, seen: Seen<Object>, json: Option<Value>) -> Result<(), Gone> {
        let looked = Looked::Seen(Box::new(seen), json.map(Box::new));
        self.of.sight.out().send(looked).await.map_err(|_| Gone)
    }

    /// Everything was told: sight is back, if it was lost.
    async fn seen(&mut self) -> Result<(), Gone> {
        self.failures = 0;
        self.throttled = Duration::ZERO;
        if std::mem::take(&mut self.lost) {
            self.of.sight.back(self.of.kind).await;
        }
        self.first_is_over().await
    }

    async fn first_is_over(&mut self) -> Result<(), Gone> {
        if std::mem::replace(&mut self.listed, true) {
            return Ok(());
        }
        self.of.sight.listed().await
    }

    /// Waits until the API server may be asked again. The second failure in a row means that sight is lost.
    async fn failed(&mut self, failure: &Failure) -> Result<(), Gone> {
        let (kind, reason) = (self.of.kind.name(), failure.reason.as_str());
        tracing::debug!(kind, reason, "cannot look at it");
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        let pause = failure.retry_after.map_or(pause, |told| told.clamp(FIRST_PAUSE, 2 * LONGEST_PAUSE));
        self.failures += 1;
        let throttled = failure.code == 429;
        if throttled {
            self.throttled += pause;
        }
        let away = if throttled { self.throttled > THROTTLED } else { self.failures > 1 };
        if away && !self.lost {
            self.lost = true;
            self.answer(First::Seen);
            self.of.sight.lost(self.of.kind, reason).await;
            self.first_is_over().await?;
        }
        self.of.asker.time.sleep(pause).await;
        Ok(())
    }

    /// Watches from a version, again and again, until the kind has to be listed anew.
    async fn watch(&mut self, mut version: String) -> Result<(), Gone> {
        loop {
            let began = self.of.asker.time.now();
            let result = self.watch_once(&mut version).await?;
            match result {
                Ok(Ended::Anew) => return Ok(()),
                Ok(Ended::Here) => {
                    self.failures = 0;
                    self.throttled = Duration::ZERO;
                    let lasted = self.of.asker.time.now().duration_since(began);
                    if lasted.unsigned_abs() < SHORT {
                        self.of.asker.time.sleep(SHORT).await;
                    }
                }
                Err(failure) if failure.is_expired() => return Ok(()),
                // Who may list and not watch sees the kind all the same.
                Err(failure) if failure.code == 403 => {
                    if !std::mem::replace(&mut self.lists_only, true) {
                        let kind = self.of.kind.name();
                        tracing::warn!(
                            kind,
                            reason = failure.reason,
                            "listing again and again instead of watching"
                        );
                    }
                    self.of.asker.time.sleep(LISTED_EVERY).await;
                    return Ok(());
                }
                Err(failure) => {
                    self.failed(&failure).await?;
                    if self.lost {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn watch_once(&mut self, version: &mut String) -> Result<Result<Ended, Failure>, Gone> {
        let path = self
            .of
            .path
            .clone()
            .with("watch", "true")
            .with("allowWatchBookmarks", "true")
            .with("timeoutSeconds", &timeout(self.of.kind).to_string())
            .with("resourceVersion", version);
        let opened = self.of.asker.open(&Question::get(path)).await;
        let mut lines = match opened {
            Ok(response) => Lines::new(response.into_body()),
            Err(failure) => return Ok(Err(failure)),
        };
        // It answers: what failed before is over.
        self.failures = 0;
        let mut silence = self.of.sight.silence();
        loop {
            let line = tokio::select! {
                line = lines.next() => line,
                () = silence.broken() => {
                    // Waited long enough: the next failure is the second.
                    self.failures += 1;
                    return Ok(Err(Failure::away("the API server does not answer")));
                }
            };
            match line {
                Ok(Some(line)) => {
                    self.of.sight.heard();
                    match self.event(&line, version).await? {
                        Ok(None) => {}
                        Ok(Some(ended)) => return Ok(Ok(ended)),
                        Err(failure) => return Ok(Err(failure)),
                    }
                }
                Ok(None) => return Ok(Ok(Ended::Here)),
                // The connection was cut: whether the server is away shows when it is asked again.
                Err(failure) if failure.class == ErrorClass::Transient => return Ok(Ok(Ended::Here)),
                Err(failure) => return Ok(Err(failure)),
            }
        }
    }

    async fn event(
        &mut self,
        line: &[u8],
        version: &mut String,
    ) -> Result<Result<Option<Ended>, Failure>, Gone> {
        let (Some(kind), Some(json)) = (field(line, "type"), field(line, "object")) else {
            return Ok(Err(Failure::strange("an event of the watch is no event")));
        };
        let change = match kind {
            b"\"ADDED\"" | b"\"MODIFIED\"" => None,
            b"\"DELETED\"" => Some(Change::Deleted),
            b"\"BOOKMARK\"" => {
                let bookmark: Bookmark = serde_json::from_slice(json).unwrap_or_default();
                if !bookmark.metadata.resource_version.is_empty() {
                    *version = bookmark.metadata.resource_version;
                }
                return Ok(Ok(None));
            }
            b"\"ERROR\"" => {
                let status: Status = serde_json::from_slice(json).unwrap_or_default();
                if status.code == 410 {
                    return Ok(Ok(Some(Ended::Anew)));
                }
                let reason = format!("the watch ended with {}: {}", status.code, status.message);
                return Ok(Err(Failure { code: status.code, ..Failure::away(reason) }));
            }
            _ => return Ok(Ok(None)),
        };
        let (object, json) = read(self.of.kind, self.of.version, json, self.of.reducer.as_ref());
        if let Some(told) = object.meta.resource_version.as_ref() {
            version.clone_from(told);
        }
        match change {
            Some(change) => {
                self.known.remove(&name(&object));
                self.send(Seen::Event { change, object, initial: false }, json).await?;
            }
            None => self.tell(object, json, false).await?,
        }
        Ok(Ok(None))
    }
}

/// Seconds after which the API server ends a watch; not the same for all, so that not all begin anew at once.
fn timeout(kind: Kind) -> u32 {
    240 + (kind as u32 * 7) % 60
}

fn name(object: &Object) -> Name {
    (object.meta.namespace.as_str().into(), object.meta.name.as_str().into())
}

/// An object of which nothing is known but who it is.
fn bare(kind: Kind, meta: Meta) -> Object {
    Object { kind, meta, conditions: Vec::new(), observed_generation: None, detail: Detail::Bare }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Bookmark {
    metadata: page::ListMeta,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

/// Reads an object. One that cannot be understood is there, and nothing is known of it: it is neither well nor ill.
fn read(kind: Kind, version: &str, json: &[u8], reducer: Option<&Reducer>) -> (Object, Option<Value>) {
    let object = Object::from_slice(kind, json).unwrap_or_else(|error| {
        let meta = field(json, "metadata").and_then(|meta| serde_json::from_slice(meta).ok());
        let object = bare(kind, meta.unwrap_or_default());
        let (namespace, name) = (object.meta.namespace.as_str(), object.meta.name.as_str());
        tracing::warn!(kind = kind.name(), namespace, name, reason = %error, "cannot understand the object");
        object
    });
    let json = reducer.and_then(|reducer| reducer.reduce(kind, version, json).ok());
    (object, json)
}

//! A GitHub that remembers: repositories, refs, Git objects, pull requests, issues, comments, labels, checks,
//! statuses, protection, permissions and rate limits, as strict as the real one.
//!
//! Its branches are those of a bare Git repository on disk, so that what is pushed over Git and what is done through
//! the API is seen by both; it is served for Git, too, at `/acme/home-ops.git`, with a token for password. Time is
//! virtual ([`VirtualTime`]). Every write, pushes among them, is recorded, a test can be called before
//! and after each ([`FakeForge::on_write`]), and failures are state ([`FakeForge::fail`], [`FakeForge::set`]).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answer;
mod app;
mod checks;
mod commits;
mod git_http;
mod issues;
mod people;
mod pulls;
mod request;
mod routes;
mod state;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State as Extracted};
use axum::response::Response;
use futures_util::future::BoxFuture;
use gitops_updater::forge::github::Time;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(crate) use self::answer::Answer;
pub(crate) use self::app::{APP_KEY, App};
pub(crate) use self::people::{Account, Level};
use self::request::Asked;
pub(crate) use self::state::{Github, Issue, PullState};
use super::git::Git;
use super::served::{Seen, Served};

/// When the virtual time begins.
pub(crate) const START: &str = "2026-11-21T10:00:00Z";

/// Time that passes when somebody sleeps.
#[derive(Clone)]
pub(crate) struct VirtualTime {
    now: Arc<Mutex<Timestamp>>,
    slept: Arc<Mutex<Vec<Duration>>>,
    /// The machine's time passes as well.
    since: Option<std::time::Instant>,
}

impl VirtualTime {
    pub(crate) fn start() -> Self {
        Self { now: Arc::new(Mutex::new(START.parse().unwrap())), slept: Arc::default(), since: None }
    }

    /// The time of the machine, for programs that have no other.
    #[expect(clippy::disallowed_methods, reason = "a program under test reads the machine's clock")]
    pub(crate) fn of_the_machine() -> Self {
        let now = Arc::new(Mutex::new(Timestamp::now()));
        Self { now, slept: Arc::default(), since: Some(std::time::Instant::now()) }
    }

    pub(crate) fn pass(&self, duration: Duration) {
        let mut now = self.now.lock().unwrap();
        *now += SignedDuration::try_from(duration).unwrap();
    }

    /// The sleeps so far.
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

impl Time for VirtualTime {
    fn now(&self) -> Timestamp {
        let passed = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        *self.now.lock().unwrap() + SignedDuration::try_from(passed).unwrap()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'_, ()> {
        self.pass(pause);
        self.slept.lock().unwrap().push(pause);
        Box::pin(async {})
    }
}

/// A request as it came, and how it was answered.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Below the base of the API, decoded no further than it was sent.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) headers: axum::http::HeaderMap,
    /// 0 where the answer was kept back.
    pub(crate) status: u16,
}

impl Recorded {
    /// `POST /repos/acme/home-ops/pulls`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn is_write(&self) -> bool {
        self.method != "GET" && !self.is_query() && !self.path.ends_with("/git-upload-pack")
    }

    /// A GraphQL question that changes nothing.
    fn is_query(&self) -> bool {
        let text = self.body.as_ref().and_then(|body| body["query"].as_str()).unwrap_or_default();
        self.path == "/graphql" && text.trim_start().starts_with("query")
    }
}

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing is done yet.
    Before,
    /// It is done, and nobody knows yet.
    After,
}

/// What a hook wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    GoOn,
    /// The connection breaks.
    Break,
}

type Hook = Arc<dyn Fn(Moment, &Recorded) -> Wish + Send + Sync>;

/// Something that goes wrong once, at the next request with this method whose path contains this text.
pub(crate) struct Fault {
    method: &'static str,
    path: &'static str,
    how: How,
}

enum How {
    /// Not done, and this answer.
    Instead(Answer),
    /// Done, and then this answer or none.
    Afterwards(Option<Answer>),
}

impl Fault {
    /// The request is not done and gets this answer.
    pub(crate) fn instead(method: &'static str, path: &'static str, answer: Answer) -> Self {
        Self { method, path, how: How::Instead(answer) }
    }

    /// The request is done, and the answer is another one.
    pub(crate) fn afterwards(method: &'static str, path: &'static str, answer: Answer) -> Self {
        Self { method, path, how: How::Afterwards(Some(answer)) }
    }

    /// The request is done, and the answer is lost.
    pub(crate) fn lost_answer(method: &'static str, path: &'static str) -> Self {
        Self { method, path, how: How::Afterwards(None) }
    }
}

struct Shared {
    github: Mutex<Github>,
    seen: Mutex<Vec<Recorded>>,
    faults: Mutex<Vec<Fault>>,
    hook: Mutex<Option<Hook>>,
}

/// The running fake, for the repository `acme/home-ops`.
pub(crate) struct FakeForge {
    pub(crate) served: Served,
    pub(crate) time: VirtualTime,
    shared: Arc<Shared>,
}

impl FakeForge {
    /// Serves the branches of the bare repository `git`.
    pub(crate) async fn start(git: Git) -> Self {
        Self::start_at(VirtualTime::start(), git).await
    }

    /// The same in another time.
    pub(crate) async fn start_at(time: VirtualTime, git: Git) -> Self {
        let mut kept = None;
        let served = Served::start(|base| {
            let shared = Arc::new(Shared {
                github: Mutex::new(Github::new(base, git, time.clone())),
                seen: Mutex::default(),
                faults: Mutex::default(),
                hook: Mutex::default(),
            });
            kept = Some(shared.clone());
            Router::new().fallback(answer).with_state(shared)
        })
        .await;
        Self { served, time, shared: kept.unwrap() }
    }

    /// What GitHub knows: to look at, and to change as its people do.
    pub(crate) fn github(&self) -> MutexGuard<'_, Github> {
        let mut github = self.shared.github.lock().unwrap();
        github.refresh();
        github
    }

    /// Makes something go wrong once.
    pub(crate) fn fail(&self, fault: Fault) {
        self.shared.faults.lock().unwrap().push(fault);
    }

    /// Faults that did not happen yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.shared.faults.lock().unwrap().len()
    }

    /// Calls `hook` before and after every write.
    pub(crate) fn on_write(&self, hook: impl Fn(Moment, &Recorded) -> Wish + Send + Sync + 'static) {
        self.on_request(move |moment, recorded| match recorded.is_write() {
            true => hook(moment, recorded),
            false => Wish::GoOn,
        });
    }

    /// Calls `hook` before and after every request.
    pub(crate) fn on_request(&self, hook: impl Fn(Moment, &Recorded) -> Wish + Send + Sync + 'static) {
        *self.shared.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    /// Changes what GitHub knows when write number `at`, counted from 0, is done, and its answer not yet on its way.
    pub(crate) fn after_write(&self, at: usize, change: impl Fn(&mut Github) + Send + Sync + 'static) {
        let (shared, done) = (Arc::downgrade(&self.shared), AtomicUsize::new(0));
        self.on_write(move |moment, _| {
            if moment == Moment::After && done.fetch_add(1, Ordering::SeqCst) == at {
                change(&mut shared.upgrade().unwrap().github.lock().unwrap());
            }
            Wish::GoOn
        });
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }

    /// The writes since the last call, as lines, with the repository's path left out.
    pub(crate) fn writes(&self) -> Vec<String> {
        let seen = self.seen();
        let writes = seen.iter().filter(|seen| seen.is_write());
        writes.map(|seen| seen.line().replace("/repos/acme/home-ops", "")).collect()
    }
}

async fn answer(Extracted(shared): Extracted<Arc<Shared>>, request: Request) -> Response {
    let seen = Seen::of(&request);
    let asked = Asked::read(request).await;
    let recorded = asked.recorded();
    let hook = shared.hook.lock().unwrap().clone();
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        let is_it = |fault: &Fault| fault.method == recorded.method && recorded.path.contains(fault.path);
        faults.iter().position(is_it).map(|at| faults.remove(at))
    };
    let note = |status| shared.seen.lock().unwrap().push(Recorded { status, ..recorded.clone() });
    // Unwinding ends the connection without an answer, and without a word on stderr.
    let hang_up = || -> Response {
        note(0);
        std::panic::resume_unwind(Box::new("connection closed by the test"))
    };
    if hook.as_ref().is_some_and(|hook| hook(Moment::Before, &recorded) == Wish::Break) {
        return hang_up();
    }
    if let Some(Fault { how: How::Instead(answer), .. }) = fault {
        note(answer.status);
        return answer.into_response();
    }
    let given = if git_http::is_git(&recorded.path) {
        git_http::answer(&shared.github, &asked, &seen).await
    } else {
        let mut github = shared.github.lock().unwrap();
        github.refresh();
        github.answer(&asked).into_response()
    };
    if hook.as_ref().is_some_and(|hook| hook(Moment::After, &recorded) == Wish::Break) {
        return hang_up();
    }
    let given = match fault {
        Some(Fault { how: How::Afterwards(None), .. }) => return hang_up(),
        Some(Fault { how: How::Afterwards(Some(answer)), .. }) => answer.into_response(),
        _ => given,
    };
    note(given.status().as_u16());
    given
}

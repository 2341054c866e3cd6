//! What all watchers of a cluster know together: which kinds are seen, and whether anything is heard at all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{Mutex, watch};

use super::ask::{Asker, Question};
use super::path::Path;
use crate::app::cluster::Looked;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::Seen;

/// Where nothing is heard for so long, the API server is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(10);

/// Shared by the watchers.
pub(super) struct Sight {
    /// Watchers whose first listing is not over.
    open: AtomicUsize,
    /// Watchers of a kind that see nothing: one for each namespace.
    lost: Mutex<HashMap<Kind, usize>>,
    /// Counts what is heard.
    heard: AtomicU64,
    /// Counted up when watches that are silent must not be trusted.
    broken: watch::Sender<u64>,
}

impl Sight {
    pub(super) fn new(watchers: usize) -> Self {
        Self {
            open: AtomicUsize::new(watchers),
            lost: Mutex::default(),
            heard: AtomicU64::new(0),
            broken: watch::Sender::new(0),
        }
    }

    /// A first listing is over; after the last one everything has been told.
    pub(super) async fn listed(&self, out: &Sender<Looked>) -> Result<(), SendError<Looked>> {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            out.send(Looked::Complete).await?;
        }
        Ok(())
    }

    /// A kind is not seen (in a namespace).
    pub(super) async fn lost(&self, kind: Kind, out: &Sender<Looked>) -> Result<(), SendError<Looked>> {
        let mut lost = self.lost.lock().await;
        let count = lost.entry(kind).or_default();
        *count += 1;
        if *count == 1 { out.send(view(kind, false)).await } else { Ok(()) }
    }

    /// It is seen again (in that namespace).
    pub(super) async fn back(&self, kind: Kind, out: &Sender<Looked>) -> Result<(), SendError<Looked>> {
        let mut lost = self.lost.lock().await;
        let count = lost.entry(kind).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 { out.send(view(kind, true)).await } else { Ok(()) }
    }

    /// Something came from the API server.
    pub(super) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells when silence must not be trusted any more.
    pub(super) fn silence(&self) -> Silence {
        Silence(self.broken.subscribe())
    }

    /// Asks the API server whether it is there whenever nothing is heard: a connection to a machine that is gone stays
    /// open for long.
    pub(super) async fn listen(&self, asker: &Asker) {
        let question = Question::get(Path::fixed("/version"));
        let mut heard = self.heard.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(QUIET).await;
            let now = self.heard.load(Ordering::Relaxed);
            if std::mem::replace(&mut heard, now) != now {
                continue;
            }
            // Busy or broken, it answers something; silence is what counts.
            let answered = tokio::time::timeout(QUIET, asker.once(&question)).await;
            let away = match answered {
                Err(_) => true,
                Ok(Err(failure)) => failure.code == 0,
                Ok(Ok(_)) => false,
            };
            if away {
                self.broken.send_modify(|count| *count += 1);
            }
        }
    }
}

fn view(kind: Kind, back: bool) -> Looked {
    let seen = Seen::View { back, kinds: Some(vec![kind.name().to_owned()]) };
    Looked::Seen(Box::new(seen), None)
}

/// Waits for [`Sight::listen`].
pub(super) struct Silence(watch::Receiver<u64>);

impl Silence {
    pub(super) async fn broken(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody listens: there is nothing to wait for.
            std::future::pending::<()>().await;
        }
    }
}

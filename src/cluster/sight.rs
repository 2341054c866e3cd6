//! What all watchers of a cluster know together: which kinds are seen, and whether anything is heard at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::{Mutex, Notify, watch};

use super::ask::Asker;
use crate::app::cluster::Looked;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::Seen;

/// So long is waited for others that are lost, or come back, at the same time: an outage is one line.
const TOGETHER: Duration = Duration::from_millis(300);

/// Nobody listens any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Shared by the watchers.
pub(super) struct Sight {
    out: Sender<Looked>,
    /// Watchers whose first listing is not over.
    open: AtomicUsize,
    views: Mutex<Views>,
    changed: Notify,
    /// Counts what is heard.
    heard: AtomicU64,
    /// Counted up when watches that are silent must not be trusted.
    broken: watch::Sender<u64>,
}

#[derive(Default)]
struct Views {
    /// Watchers of a kind that may see it: one for each namespace.
    watching: BTreeMap<Kind, usize>,
    /// Watchers of a kind that see nothing: one for each namespace.
    lost: BTreeMap<Kind, usize>,
    /// Kinds whose loss was told.
    told: BTreeSet<Kind>,
    /// Why sight was lost last.
    reason: String,
}

impl Sight {
    /// For watchers of these kinds, of which a kind may have several.
    pub(super) fn new(out: Sender<Looked>, kinds: &[Kind]) -> Self {
        let mut watching: BTreeMap<Kind, usize> = BTreeMap::new();
        for kind in kinds {
            *watching.entry(*kind).or_default() += 1;
        }
        Self {
            out,
            open: AtomicUsize::new(kinds.len()),
            views: Mutex::new(Views { watching, ..Views::default() }),
            changed: Notify::new(),
            heard: AtomicU64::new(0),
            broken: watch::Sender::new(0),
        }
    }

    /// Where what is seen is told.
    pub(super) fn out(&self) -> &Sender<Looked> {
        &self.out
    }

    /// A first listing is over; after the last one everything has been told.
    pub(super) async fn listed(&self) -> Result<(), Gone> {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            // What is complete without them must not look as if there were none of them.
            self.tell().await?;
            self.out.send(Looked::Complete).await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// A kind is not seen (in a namespace), and why.
    pub(super) async fn lost(&self, kind: Kind, reason: &str) {
        let mut views = self.views.lock().await;
        *views.lost.entry(kind).or_default() += 1;
        reason.clone_into(&mut views.reason);
        self.changed.notify_one();
    }

    /// It is seen again (in that namespace), and everything of it has been told.
    pub(super) async fn back(&self, kind: Kind) {
        let mut views = self.views.lock().await;
        less(&mut views.lost, kind);
        self.changed.notify_one();
    }

    /// It may not be seen, or is not served (in a namespace): everything is lost without it, too.
    pub(super) async fn given_up(&self, kind: Kind) -> Result<(), Gone> {
        less(&mut self.views.lock().await.watching, kind);
        self.listed().await
    }

    /// Tells what was lost and what is back since it was told last.
    async fn tell(&self) -> Result<(), Gone> {
        let mut views = self.views.lock().await;
        let lost: BTreeSet<Kind> = views.lost.keys().copied().collect();
        let now_lost: Vec<Kind> = lost.difference(&views.told).copied().collect();
        let now_back: Vec<Kind> = views.told.difference(&lost).copied().collect();
        if !now_lost.is_empty() {
            let all = lost.iter().eq(views.watching.keys());
            let reason = views.reason.as_str();
            if all {
                tracing::warn!(reason, "lost sight of the cluster");
            } else {
                tracing::warn!(kinds = titles(&now_lost), reason, "lost sight");
            }
            self.view(false, now_lost, all).await?;
        }
        if !now_back.is_empty() {
            let all = lost.is_empty();
            if all {
                tracing::info!("everything is seen again");
            } else {
                tracing::info!(kinds = titles(&now_back), "seen again");
            }
            self.view(true, now_back, all).await?;
        }
        views.told = lost;
        Ok(())
    }

    async fn view(&self, back: bool, kinds: Vec<Kind>, all: bool) -> Result<(), Gone> {
        let kinds = (!all).then(|| kinds.into_iter().map(Kind::label).collect());
        let looked = Looked::Seen(Box::new(Seen::View { back, kinds }), None);
        self.out.send(looked).await.map_err(|_| Gone)
    }

    /// Tells losses and returns as they come, until nobody listens.
    pub(super) async fn report(&self, asker: &Asker) -> Result<(), Gone> {
        loop {
            self.changed.notified().await;
            asker.time.sleep(TOGETHER).await;
            self.tell().await?;
        }
    }

    /// Something came from the API server.
    pub(super) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells when silence must not be trusted any more.
    pub(super) fn silence(&self) -> Silence {
        Silence(self.broken.subscribe())
    }

    /// Asks the API server whether it is there whenever nothing is heard for so long: a connection to a machine that
    /// is gone stays open.
    pub(super) async fn listen(&self, asker: &Asker, quiet: Duration) {
        let mut heard = self.heard.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(quiet).await;
            let now = self.heard.load(Ordering::Relaxed);
            if std::mem::replace(&mut heard, now) != now {
                continue;
            }
            // Busy or broken, it answers something; silence is what counts.
            let away = !tokio::time::timeout(quiet, asker.is_there()).await.unwrap_or(false);
            if away {
                self.broken.send_modify(|count| *count += 1);
            }
        }
    }
}

/// One watcher of a kind less.
fn less(counts: &mut BTreeMap<Kind, usize>, kind: Kind) {
    if let Some(count) = counts.get_mut(&kind) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&kind);
        }
    }
}

/// Names of kinds, for the log.
fn titles(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    /// What is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn outage_is_one_line_of_the_log_and_so_is_its_end() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let (out, mut told) = tokio::sync::mpsc::channel(10);
        let kinds = [Kind::Pod, Kind::Node, Kind::Plan];
        let sight = Sight::new(out, &kinds);
        sight.lost(Kind::Pod, "throttled").await;
        sight.tell().await.unwrap();
        for kind in [Kind::Node, Kind::Plan] {
            sight.lost(kind, "connection refused").await;
        }
        sight.tell().await.unwrap();
        sight.back(Kind::Node).await;
        sight.tell().await.unwrap();
        for kind in [Kind::Pod, Kind::Plan] {
            sight.back(kind).await;
        }
        sight.tell().await.unwrap();
        assert_eq!(
            String::from_utf8(log.0.lock().unwrap().clone()).unwrap(),
            " WARN lost sight kinds=\"Pod\" reason=\"throttled\"\n \
             WARN lost sight of the cluster reason=\"connection refused\"\n \
             INFO seen again kinds=\"Node\"\n \
             INFO everything is seen again\n"
        );
        let mut views = 0;
        while told.try_recv().is_ok() {
            views += 1;
        }
        assert_eq!(views, 4);

        // Plans may be seen nowhere and Jobs in one of two namespaces: with those, an outage was never one of everything.
        // In this test, for another one without a log would keep these lines out of that of this one.
        let (out, mut told) = tokio::sync::mpsc::channel(10);
        let sight = Sight::new(out, &[Kind::Pod, Kind::Job, Kind::Job, Kind::Plan, Kind::Plan]);
        for kind in [Kind::Plan, Kind::Job, Kind::Plan] {
            sight.given_up(kind).await.unwrap();
        }
        for kind in [Kind::Pod, Kind::Job] {
            sight.lost(kind, "connection refused").await;
            sight.tell().await.unwrap();
        }
        for expected in [Some(vec!["Pod".to_owned()]), None] {
            let Ok(Looked::Seen(seen, _)) = told.try_recv() else { panic!("nothing is told") };
            assert!(matches!(*seen, Seen::View { back: false, kinds } if kinds == expected));
        }
    }
}

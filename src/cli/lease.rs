//! One pass at a time over one cluster: a Lease in the namespace of the pod, or of the kubeconfig's context.
//!
//! The lease is kept by a thread of its own, because a pass works with Git for minutes without looking up. When it is lost
//! the pass ends between two effects; where leases may not be used, Git's compare-and-swap is what keeps two apart.

use std::process;
use std::sync::{Once, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{oneshot, watch};

use super::environment;
use super::error::CommandError;
use super::stop::Stop;
use crate::app::cluster::{ClusterError, ErrorClass};
use crate::app::lease::{Lease, Reached, Terms, reach};
use crate::clock::MachineTime;
use crate::cluster::{Access, Live, LiveOptions};

/// Name of the Lease, which `deploy/components/lease` allows.
const NAME: &str = "gitops-updater";
/// How long it lasts without being renewed: an API server that restarts is away for less.
const LASTS: SignedDuration = SignedDuration::from_mins(5);
/// How long giving it back may take.
const RELEASE: Duration = Duration::from_secs(10);

/// Said once, however many passes are made.
static TOLD: Once = Once::new();

/// Whose turn it is.
pub(super) enum Turn {
    /// Ours, until this is dropped.
    Ours(Kept),
    /// Ours as far as Git is concerned: there is no cluster, or no lease to be had.
    Unleased,
    /// Another pass is at work.
    Theirs {
        /// `namespace/name` of the Lease.
        lease: String,
        /// Who has it.
        holder: String,
        /// Until when, unless it is renewed.
        until: Option<Timestamp>,
    },
}

/// A lease that a thread keeps. It is given back when this is dropped.
pub(super) struct Kept {
    done: Option<oneshot::Sender<()>>,
    lost: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot go on with the pass: its lease in the cluster was lost")]
    Lost,
    #[error("cannot begin to keep a lease in the cluster")]
    Thread(#[source] std::io::Error),
}

/// Reaches for the turn. Without a cluster, or where it does not answer, Git alone keeps passes apart.
pub(super) fn take(access: Option<&Access>) -> Result<Turn, CommandError> {
    let Some(access) = access.cloned() else { return Ok(Turn::Unleased) };
    let (answer, answered) = mpsc::channel();
    let (done, is_done) = oneshot::channel();
    let (losing, lost) = watch::channel(false);
    let thread = std::thread::Builder::new()
        .name("lease".to_owned())
        .spawn(move || keep(&access, &answer, is_done, &losing))
        .map_err(|source| CommandError::failed(Error::Thread(source)))?;
    Ok(match answered.recv() {
        Ok(Answer::Ours) => Turn::Ours(Kept { done: Some(done), lost, thread: Some(thread) }),
        Ok(Answer::Theirs { lease, holder, until }) => Turn::Theirs { lease, holder, until },
        Ok(Answer::None) | Err(mpsc::RecvError) => Turn::Unleased,
    })
}

/// The pass ended because it was not its turn any more.
pub(super) fn lost() -> CommandError {
    CommandError::failed(Error::Lost).hint("run it again: the next pass goes on from where this one stopped")
}

impl Kept {
    /// What stops a pass: a signal, or that the lease is lost.
    pub(super) fn stop(&self, stop: &Stop) -> Stop {
        stop.or_lost(self.lost.clone())
    }
}

impl Turn {
    /// What stops a pass in this turn.
    pub(super) fn stop(&self, stop: &Stop) -> Stop {
        match self {
            Self::Ours(kept) => kept.stop(stop),
            Self::Unleased | Self::Theirs { .. } => stop.clone(),
        }
    }

    /// Where another pass is at work, what is said of it.
    pub(super) fn of_another(&self) -> Option<String> {
        let Self::Theirs { lease, holder, until } = self else { return None };
        let until = until.map(|until| format!(" until {}", until.strftime("%Y-%m-%dT%H:%M:%SZ")));
        let until = until.unwrap_or_default();
        Some(format!("another pass is at work: `{holder}` has the lease `{lease}`{until}; nothing was done"))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that kept the lease has failed");
        }
    }
}

/// What reaching for the lease came to.
enum Answer {
    Ours,
    None,
    Theirs { lease: String, holder: String, until: Option<Timestamp> },
}

/// The thread: reaches for the lease, says what came of it, and keeps it until `done` or until it is lost.
fn keep(
    access: &Access,
    answer: &mpsc::Sender<Answer>,
    done: oneshot::Receiver<()>,
    losing: &watch::Sender<bool>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        // Who cannot be reached is told of by the pass itself.
        let Ok(live) = Live::connect(access, LiveOptions::default()).await else { return };
        let terms = Terms {
            namespace: live.namespace().to_owned(),
            name: NAME.to_owned(),
            holder: holder(),
            lasts: LASTS,
        };
        let named = format!("{}/{NAME}", terms.namespace);
        let lease = match reach(&live, &terms, &MachineTime).await {
            Ok(Reached::Ours(lease)) => lease,
            Ok(Reached::Theirs { holder, until }) => {
                return drop(answer.send(Answer::Theirs { lease: named, holder, until: Some(until) }));
            }
            // Others were faster, each time.
            Err(error) if error.class == ErrorClass::Conflict => {
                let holder = "somebody else".to_owned();
                return drop(answer.send(Answer::Theirs { lease: named, holder, until: None }));
            }
            Err(error) => {
                tell_unleased(&named, &error);
                return drop(answer.send(Answer::None));
            }
        };
        tracing::debug!(lease = named, holder = terms.holder, "the lease is taken");
        if answer.send(Answer::Ours).is_ok() {
            hold(&live, lease, done, losing, &named).await;
        }
    });
}

async fn hold(
    live: &Live,
    mut lease: Lease,
    done: oneshot::Receiver<()>,
    losing: &watch::Sender<bool>,
    named: &str,
) {
    let lost = tokio::select! {
        lost = lease.keep(live, &MachineTime) => Some(lost),
        // Whoever holds the other end only ever drops it.
        _ = done => None,
    };
    if let Some(lost) = lost {
        losing.send_replace(true);
        tracing::error!(error = %crate::app::pass::chain(&lost), "the pass stops after the effect at hand");
        return;
    }
    let released = tokio::time::timeout(RELEASE, lease.release(live)).await;
    if !matches!(released, Ok(Ok(()))) {
        tracing::warn!(lease = named, "the lease could not be given back; it ends by itself");
    }
}

fn tell_unleased(named: &str, error: &ClusterError) {
    TOLD.call_once(|| {
        tracing::warn!(
            lease = named, error = %error, hint = error.hint,
            "no lease in the cluster; compare-and-swap in Git keeps two passes apart"
        );
    });
}

/// A name that no other run has.
fn holder() -> String {
    let host = environment::read("HOSTNAME").filter(|host| !host.is_empty());
    let mut random = [0; 4];
    // Where there is no chance to be had, the process tells runs of one machine apart.
    let random = match SystemRandom::new().fill(&mut random) {
        Ok(()) => format!("{:08x}", u32::from_be_bytes(random)),
        Err(_) => String::new(),
    };
    format!("{}_{}_{random}", host.as_deref().unwrap_or("gitops-updater"), process::id())
}

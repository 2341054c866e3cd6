//! Trying the cluster beside looking at it: addresses, the network and the storage from inside, the user's own Job
//! and program.
//!
//! What could not be tried is said as such and never as bad: it says nothing about the cluster. Everything that is made
//! in the cluster carries a label and the time at which it is of no more use, so that the leftovers of a killed run are
//! found and removed by a later one.

mod inside;
mod job;
mod network;
mod pod;
mod restore;
mod storage;
mod tester;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use job::{JobError, read_job, run_job};
pub use storage::{storage_after, storage_before, storage_read, storage_removed};
pub use tester::{NoTrials, Order, Tester, Trier, Work};

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use super::ports::Clock;
use crate::domain::settle::health::probe::{CommandSpec, Pods, ProbeSpec, Trials, Vantage};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::Probe;

/// Label of everything that is made for a trial.
pub const LABEL: &str = "gitops-updater.io/probe";
/// Annotation with the time, RFC 3339, after which anybody may remove it.
pub const EXPIRES: &str = "gitops-updater.io/expires";
/// Longest text about a trial, in bytes.
const MAX_DETAIL: usize = 500;

/// How a trial went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// As it should; what was seen, for people.
    Good(String),
    /// Not as it should; what was seen, for people.
    Bad(String),
    /// It could not be tried, which says nothing about the cluster; why.
    Not(String),
}

/// One trial and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Name in reports and recordings, such as `probe/shop` or `network/dns`.
    pub name: String,
    /// How it went.
    pub tried: Tried,
}

impl Trial {
    fn new(name: impl Into<String>, tried: Tried) -> Self {
        Self { name: name.into(), tried }
    }

    /// What the judge and the recorder are told.
    pub fn seen(&self) -> Probe {
        let (ok, detail) = match &self.tried {
            Tried::Good(detail) => (Some(true), detail),
            Tried::Bad(detail) => (Some(false), detail),
            Tried::Not(detail) => (None, detail),
        };
        Probe { name: self.name.clone(), ok, detail: detail.clone() }
    }
}

/// What is tried from where this program runs.
pub trait Outside: Sync {
    /// Asks an address.
    fn ask(&self, probe: &ProbeSpec) -> impl Future<Output = Tried> + Send;

    /// Runs a program of the user: no shell, an empty environment but for what is passed, a bounded time and output.
    fn run(&self, command: &CommandSpec) -> impl Future<Output = Tried> + Send;
}

/// Where trials are made.
#[derive(Debug, Clone, Copy)]
pub struct Testbed<'a, C, K> {
    /// The cluster.
    pub cluster: &'a C,
    /// The time.
    pub clock: &'a K,
    /// How Pods are made.
    pub pods: &'a Pods,
    /// What the trials are for (an update's id): the same names come of it in every run.
    pub purpose: &'a str,
}

impl<C: Cluster, K: Clock + Sync> Testbed<'_, C, K> {
    /// The name of an object of this purpose.
    fn name(&self, what: &str) -> String {
        let digest = Sha256::digest(self.purpose.as_bytes());
        let mut name = format!("gitops-updater-{what}-");
        for byte in digest.iter().take(4) {
            // Writing to a string cannot fail.
            let _infallible = write!(name, "{byte:02x}");
        }
        name
    }

    fn after(&self, while_: std::time::Duration) -> Timestamp {
        let while_ = SignedDuration::try_from(while_).unwrap_or(SignedDuration::from_hours(1));
        self.clock.now().checked_add(while_).unwrap_or(Timestamp::MAX)
    }

    fn expires(&self, after: std::time::Duration) -> String {
        written_time(self.after(after))
    }
}

/// Asks the addresses that are asked from here, side by side. Cheap: for every sample.
pub async fn quick<O: Outside>(trials: &Trials, outside: &O) -> Vec<Trial> {
    let asked =
        trials.probes.iter().filter(|probe| probe.from == Vantage::Here).map(async |probe| {
            Trial::new(format!("probe/{}", probe.name), shortened(outside.ask(probe).await))
        });
    futures_util::future::join_all(asked).await
}

/// Tries everything from inside but the storage: addresses and the network by Pods. Takes up to minutes.
pub async fn inside<C: Cluster, K: Clock + Sync>(testbed: &Testbed<'_, C, K>, trials: &Trials) -> Vec<Trial> {
    let mut tried = inside::asked(testbed, &trials.probes).await;
    if let Some(spec) = &trials.network {
        tried.extend(network::tried(testbed, spec).await);
    }
    tried
}

/// Runs the user's program.
pub async fn command<O: Outside>(trials: &Trials, outside: &O) -> Option<Trial> {
    let command = trials.command.as_ref()?;
    Some(Trial::new("command", shortened(outside.run(command).await)))
}

/// Removes what runs that were killed have left, as far as its time is over. Returns how many objects went.
///
/// # Errors
///
/// The leftovers cannot be listed or removed; the next run finds them again.
pub async fn sweep<C: Cluster>(cluster: &C, namespace: &str, now: Timestamp) -> Result<usize, ClusterError> {
    let mut gone = 0;
    for kind in [Kind::Job, Kind::Pod, Kind::Service, Kind::PersistentVolumeClaim] {
        let resource = Resource::of(kind);
        for object in cluster.list(&resource, Some(namespace), LABEL).await? {
            let (Some(name), Some(true)) = (name_of(&object), expired(&object, now)) else { continue };
            match cluster.delete(&resource, Some(namespace), name).await {
                Ok(()) => gone += 1,
                Err(error) if error.class == ErrorClass::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(gone)
}

/// Whether the time of one of our objects is over; `None` where it does not say.
fn expired(object: &Value, now: Timestamp) -> Option<bool> {
    let text = object.pointer("/metadata/annotations")?.get(EXPIRES)?.as_str()?;
    Some(text.parse::<Timestamp>().ok()? <= now)
}

/// A time as annotations have it.
fn written_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn name_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/name")?.as_str()
}

/// Text of programs and servers, fit for a line of a report.
fn shortened(tried: Tried) -> Tried {
    match tried {
        Tried::Good(text) => Tried::Good(plain(&text)),
        Tried::Bad(text) => Tried::Bad(plain(&text)),
        Tried::Not(text) => Tried::Not(plain(&text)),
    }
}

/// One line without control characters, of bounded length.
fn plain(text: &str) -> String {
    let mut line = String::new();
    for character in text.trim().chars() {
        if line.len() >= MAX_DETAIL {
            line.push('…');
            break;
        }
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}

/// What is said where the cluster does not let us try.
fn not(error: &ClusterError) -> Tried {
    let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    Tried::Not(plain(&format!("{error}{hint}")))
}

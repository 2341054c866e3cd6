//! Looks at a cluster once: everything that is there, and what the API server says of itself.

use std::time::Duration;

use super::cluster::{Cluster, ClusterError, ErrorClass, Looked, Scope};
use super::ports::Clock;
use super::probes::{Trial, Tried};
use crate::domain::settle::finding::Category;
use crate::domain::settle::health::report::{TriedEntry, TriedResult};
use crate::domain::settle::health::{API_SERVER, Unobserved};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::{Header, Line, Moment, Seen};
use crate::domain::settle::world::World;

/// Longest time for everything that is there to be told.
const FIRST_LOOK: Duration = Duration::from_secs(300);
/// Longest time for an answer of `/readyz`: one that takes longer is no better than none.
const READINESS: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Debug)]
pub struct Glance {
    /// Objects and probes.
    pub world: World,
    /// What could not be asked beside objects.
    pub unobserved: Vec<Unobserved>,
}

/// Looks at the objects of some kinds, and asks the API server whether it is ready.
///
/// # Errors
///
/// The cluster cannot be looked at, or does not tell everything in time.
pub async fn glance<C: Cluster, K: Clock>(
    cluster: &C,
    clock: &K,
    kinds: Vec<Kind>,
    namespaces: Option<Vec<String>>,
) -> Result<Glance, ClusterError> {
    let started_at = clock.now();
    let mut watch = cluster.watch(&Scope { kinds, namespaces: namespaces.clone(), once: true }).await?;
    let labels = |kinds: &[Kind]| kinds.iter().map(|kind| kind.label()).collect();
    let header = Header {
        started_at: started_at.to_string(),
        watching: labels(&watch.watching),
        namespaces,
        absent: labels(&watch.absent),
        unseen: watch.unseen.iter().map(|(kind, reason)| (kind.label(), reason.clone())).collect(),
        ..Header::default()
    };
    let mut world = World::new(started_at);
    let mut take = |seen| world.take(Line { t: Moment(0), seen });
    take(Seen::Header(header));
    let told = async {
        while let Some(looked) = watch.seen.recv().await {
            match looked {
                Looked::Seen(seen, _) => take(*seen),
                Looked::Complete => return true,
            }
        }
        false
    };
    if !tokio::time::timeout(FIRST_LOOK, told).await.unwrap_or(false) {
        return Err(ClusterError {
            attempted: "look at the cluster".to_owned(),
            reason: "it did not tell everything that it has".to_owned(),
            class: ErrorClass::Transient,
            hint: None,
        });
    }
    let ready = readiness(cluster).await;
    let unobserved = match &ready.tried {
        Tried::Not(reason) => vec![Unobserved {
            category: Category::Infrastructure,
            what: "/readyz of the API server".to_owned(),
            reason: reason.clone(),
        }],
        Tried::Good(_) | Tried::Bad(_) => vec![],
    };
    let mut glance = Glance { world, unobserved };
    glance.take(&ready);
    Ok(glance)
}

impl Glance {
    /// Takes the result of a trial in.
    pub fn take(&mut self, trial: &Trial) {
        self.world.take(Line { t: Moment(0), seen: Seen::Probe(trial.seen()) });
    }
}

/// What `/readyz` says. An API server that does not answer says nothing: sight of it is lost, it has not failed.
pub async fn readiness<C: Cluster>(cluster: &C) -> Trial {
    let answered = tokio::time::timeout(READINESS, cluster.readiness()).await;
    let tried = match answered {
        Ok(Ok(checks)) => {
            let bad: Vec<&str> =
                checks.iter().filter(|(_, passes)| !passes).map(|(name, _)| name.as_str()).collect();
            if bad.is_empty() {
                Tried::Good(format!("{} checks of /readyz pass", checks.len()))
            } else {
                Tried::Bad(format!("/readyz: {} fail", bad.join(", ")))
            }
        }
        Ok(Err(error)) => Tried::Not(error.to_string()),
        Err(_) => Tried::Not(format!("/readyz did not answer within {} s", READINESS.as_secs())),
    };
    Trial { name: API_SERVER.to_owned(), tried }
}

/// A trial as it is reported.
pub fn entry(trial: &Trial) -> TriedEntry {
    let (result, detail) = match &trial.tried {
        Tried::Good(detail) => (TriedResult::Good, detail),
        Tried::Bad(detail) => (TriedResult::Bad, detail),
        Tried::Not(detail) => (TriedResult::NotTried, detail),
    };
    TriedEntry { name: trial.name.clone(), result, detail: detail.clone() }
}

/// The category of a trial, by its name.
pub fn category_of(trial: &Trial) -> Category {
    match trial.name.as_str() {
        API_SERVER => Category::Infrastructure,
        "storage" => Category::Storage,
        "test_job" | "command" => Category::Custom,
        _ => Category::Network,
    }
}

//! One at a time: a Lease in the cluster that says which run may act.
//!
//! A lock that nobody renews ends by itself. Every write carries the resource version that was read (apiserver:
//! optimistic concurrency), so of two that reach for it at the same moment one gets it; and a run that could not renew
//! in time knows by its own clock that it must stop, before anybody else may begin.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use crate::clock::Time;

/// So far may the clocks of two runs be apart. The holder stops this much before its time is over, and others begin
/// this much after it.
pub const SKEW: SignedDuration = SignedDuration::from_secs(10);
/// Times that a lease is reached for where somebody else changes it meanwhile.
const TRIES: usize = 3;
/// Renewed so often within its time.
const RENEWALS: u32 = 3;
/// Kubernetes' `MicroTime`.
const MICRO_TIME: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// Which lease, for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who wants it; another one in every run.
    pub holder: String,
    /// How long it lasts without being renewed; more than twice [`SKEW`].
    pub lasts: SignedDuration,
}

/// What reaching for a lease came to.
#[derive(Debug)]
pub enum Reached {
    /// It is ours.
    Ours(Lease),
    /// Somebody else has it.
    Theirs {
        /// Who.
        holder: String,
        /// Until when, unless they renew it.
        until: Timestamp,
    },
}

/// A lease that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    terms: Terms,
    object: Value,
    renewed: Timestamp,
}

/// Why a lease is not ours any more.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Somebody else has changed or deleted it.
    #[error("cannot keep the lease `{namespace}/{name}`: somebody else took or deleted it")]
    Taken {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// It could not be renewed before its time was over.
    #[error("cannot renew the lease `{namespace}/{name}` in time")]
    Over {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// The last failure.
        source: ClusterError,
    },
}

fn resource() -> Resource {
    Resource {
        group: "coordination.k8s.io".to_owned(),
        version: "v1".to_owned(),
        kind: "Lease".to_owned(),
        plural: "leases".to_owned(),
    }
}

/// Reaches for a lease.
///
/// # Errors
///
/// The cluster cannot be asked, or leases may not be read and written.
pub async fn reach<C: Cluster>(cluster: &C, terms: &Terms, time: &dyn Time) -> Result<Reached, ClusterError> {
    for _ in 1..TRIES {
        match try_once(cluster, terms, time.now()).await {
            Err(error) if error.class == ErrorClass::Conflict => {}
            reached => return reached,
        }
    }
    try_once(cluster, terms, time.now()).await
}

async fn try_once<C: Cluster>(cluster: &C, terms: &Terms, now: Timestamp) -> Result<Reached, ClusterError> {
    let (kind, namespace) = (resource(), Some(terms.namespace.as_str()));
    let found = match cluster.get(&kind, namespace, &terms.name).await {
        Ok(found) => found,
        Err(error) if error.class == ErrorClass::NotFound => {
            let made = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": terms.name, "namespace": terms.namespace,
                    "labels": {"app.kubernetes.io/managed-by": "gitops-updater"}},
                "spec": spec(terms, now, now, 0),
            });
            let object = cluster.create(&kind, namespace, &made).await?;
            return Ok(Reached::Ours(Lease { terms: terms.clone(), object, renewed: now }));
        }
        Err(error) => return Err(error),
    };
    if let Some((holder, until)) = held(&found, now).filter(|(holder, _)| *holder != terms.holder) {
        return Ok(Reached::Theirs { holder, until });
    }
    let transitions = found.pointer("/spec/leaseTransitions").and_then(Value::as_i64).unwrap_or(0);
    let mut object = found;
    object["spec"] = spec(terms, now, now, transitions.saturating_add(1));
    let object = cluster.replace(&kind, namespace, &terms.name, &object).await?;
    Ok(Reached::Ours(Lease { terms: terms.clone(), object, renewed: now }))
}

fn spec(terms: &Terms, acquired: Timestamp, renewed: Timestamp, transitions: i64) -> Value {
    json!({
        "holderIdentity": terms.holder,
        "leaseDurationSeconds": terms.lasts.as_secs().max(1),
        "acquireTime": acquired.strftime(MICRO_TIME).to_string(),
        "renewTime": renewed.strftime(MICRO_TIME).to_string(),
        "leaseTransitions": transitions,
    })
}

/// Who has a lease, and until when; `None` where its time is over, whoever had it.
fn held(lease: &Value, now: Timestamp) -> Option<(String, Timestamp)> {
    let holder = lease.pointer("/spec/holderIdentity")?.as_str().filter(|holder| !holder.is_empty())?;
    let renewed: Timestamp = lease.pointer("/spec/renewTime")?.as_str()?.parse().ok()?;
    let lasts = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64).unwrap_or(0);
    let lasts = SignedDuration::from_secs(lasts.clamp(0, 24 * 3600));
    let until = renewed.saturating_add(lasts).and_then(|until| until.saturating_add(SKEW)).ok()?;
    (now <= until).then(|| (holder.to_owned(), until))
}

impl Lease {
    /// Whether effects may be done now, by our own clock.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.left(now).is_positive()
    }

    fn left(&self, now: Timestamp) -> SignedDuration {
        self.terms.lasts - SKEW - now.duration_since(self.renewed)
    }

    /// Renews it.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Conflict`] or [`ErrorClass::NotFound`]: it is not ours any more. Otherwise it could not be renewed
    /// this time.
    pub async fn renew<C: Cluster>(&mut self, cluster: &C, now: Timestamp) -> Result<(), ClusterError> {
        let mut object = self.object.clone();
        object["spec"]["renewTime"] = now.strftime(MICRO_TIME).to_string().into();
        let namespace = Some(self.terms.namespace.as_str());
        self.object = cluster.replace(&resource(), namespace, &self.terms.name, &object).await?;
        self.renewed = now;
        Ok(())
    }

    /// Keeps it until it is lost, which is what is returned. Dropped, it stops renewing.
    pub async fn keep<C: Cluster>(&mut self, cluster: &C, time: &dyn Time) -> Lost {
        let every = Duration::try_from(self.terms.lasts).unwrap_or_default() / RENEWALS;
        let mut pause = every;
        loop {
            time.sleep(pause).await;
            // An answer that comes when the time is over comes too late.
            let left = Duration::try_from(self.left(time.now())).unwrap_or_default();
            let failed = match self.renew(cluster, time.now()).await {
                Ok(()) => {
                    pause = every;
                    continue;
                }
                Err(error) => error,
            };
            let Terms { namespace, name, .. } = self.terms.clone();
            if matches!(failed.class, ErrorClass::Conflict | ErrorClass::NotFound) {
                return Lost::Taken { namespace, name };
            }
            if left.is_zero() || !self.holds(time.now()) {
                return Lost::Over { namespace, name, source: failed };
            }
            pause = (every / 4).min(left);
        }
    }

    /// Gives it back, so that the next run need not wait.
    ///
    /// # Errors
    ///
    /// It could not be given back; it ends by itself then.
    pub async fn release<C: Cluster>(self, cluster: &C) -> Result<(), ClusterError> {
        let mut object = self.object;
        object["spec"]["holderIdentity"] = "".into();
        let namespace = Some(self.terms.namespace.as_str());
        match cluster.replace(&resource(), namespace, &self.terms.name, &object).await {
            // Somebody has it already.
            Err(error) if matches!(error.class, ErrorClass::Conflict | ErrorClass::NotFound) => Ok(()),
            released => released.map(drop),
        }
    }
}

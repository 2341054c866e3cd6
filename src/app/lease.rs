//! One at a time: a Lease in the cluster that says which run may act.
//!
//! A lock that nobody renews ends by itself. Every write carries the resource version that was read (apiserver:
//! optimistic concurrency), so of two that reach for it at the same moment one gets it.

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
}

/// A lease is not ours any more: somebody else has changed or deleted it.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the lease `{namespace}/{name}`: somebody else took or deleted it")]
pub struct Lost {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
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
            return Ok(Reached::Ours(Lease { terms: terms.clone(), object }));
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
    Ok(Reached::Ours(Lease { terms: terms.clone(), object }))
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
        Ok(())
    }

    /// Keeps it until it is lost, which is what is returned. Dropped, it stops renewing.
    ///
    /// While the API server is away, as it is while k3s is upgraded, nobody else can take it either, and what is done
    /// in Git is done by compare-and-swap: it is lost when the server answers and somebody has it.
    pub async fn keep<C: Cluster>(&mut self, cluster: &C, time: &dyn Time) -> Lost {
        let every = Duration::try_from(self.terms.lasts).unwrap_or_default() / RENEWALS;
        let mut pause = every;
        loop {
            time.sleep(pause).await;
            pause = match self.renew(cluster, time.now()).await {
                Ok(()) => every,
                Err(error) if matches!(error.class, ErrorClass::Conflict | ErrorClass::NotFound) => {
                    match self.is_still_ours(cluster).await {
                        Ok(true) => Duration::ZERO,
                        Ok(false) => {
                            let Terms { namespace, name, .. } = self.terms.clone();
                            return Lost { namespace, name };
                        }
                        Err(_) => every / 4,
                    }
                }
                Err(_) => every / 4,
            };
        }
    }

    /// Whether it is changed and ours all the same, as after a renewal whose answer was lost.
    async fn is_still_ours<C: Cluster>(&mut self, cluster: &C) -> Result<bool, ClusterError> {
        let namespace = Some(self.terms.namespace.as_str());
        let found = match cluster.get(&resource(), namespace, &self.terms.name).await {
            Ok(found) => found,
            Err(error) if error.class == ErrorClass::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let holder = found.pointer("/spec/holderIdentity").and_then(Value::as_str);
        let is_ours = holder == Some(self.terms.holder.as_str());
        if is_ours {
            self.object = found;
        }
        Ok(is_ours)
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

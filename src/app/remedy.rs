//! What may be done to a cluster before an update is taken back: few things, each known to be safe, each done once.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use crate::domain::settle::kind::Kind;

/// Flux reconciles an object when the value changes (fluxcd/pkg `apis/meta`, `ReconcileRequestAnnotation`).
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// With the same value as the request: one Helm upgrade or installation, whatever the state says (helm-controller).
const FORCE_AT: &str = "reconcile.fluxcd.io/forceAt";
/// With the same value as the request: the count of failures begins anew (helm-controller).
const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";
/// Says on a node that it was cordoned by us, and for which update.
const CORDONED: &str = "gitops-updater/cordoned";

/// What Flux is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nudge {
    /// To look now, not only at its next interval.
    Reconcile,
    /// HelmRelease: to try again although its retries ran out.
    Reset,
    /// HelmRelease: to upgrade once more although nothing has changed.
    Force,
}

/// Asks Flux to reconcile an object now; the same moment asks only once.
///
/// # Errors
///
/// The object is not there, or may not be changed.
pub async fn nudge<C: Cluster>(
    cluster: &C,
    kind: Kind,
    namespace: &str,
    name: &str,
    what: Nudge,
    now: Timestamp,
) -> Result<(), ClusterError> {
    let token = now.to_string();
    let mut annotations = json!({ REQUESTED_AT: token });
    match what {
        Nudge::Reconcile => {}
        Nudge::Reset => annotations[RESET_AT] = token.into(),
        Nudge::Force => annotations[FORCE_AT] = token.into(),
    }
    let patch = json!({"metadata": {"annotations": annotations}});
    let mut last = None;
    for version in kind.api().versions {
        let resource = Resource { version: (*version).to_owned(), ..Resource::of(kind) };
        match cluster.patch(&resource, Some(namespace), name, &patch).await {
            // The version is not served, or the object is not there: only the last one can tell.
            Err(error) if error.class == ErrorClass::NotFound => last = Some(error),
            patched => return patched.map(drop),
        }
    }
    last.map_or(Ok(()), Err)
}

/// Keeps new pods off a node, and notes for which update. A node that somebody else cordoned stays theirs.
///
/// # Errors
///
/// The node is not there, may not be changed, or is being changed by somebody else.
pub async fn cordon<C: Cluster>(cluster: &C, node: &str, update: &str) -> Result<bool, ClusterError> {
    change_node(cluster, node, |object| {
        let cordoned = object.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true);
        (!cordoned).then(
            || json!({"metadata": {"annotations": {CORDONED: update}}, "spec": {"unschedulable": true}}),
        )
    })
    .await
}

/// Lets pods onto a node again, where it was us who cordoned it for this update; otherwise nothing is done.
///
/// # Errors
///
/// The node is not there, may not be changed, or is being changed by somebody else.
pub async fn uncordon<C: Cluster>(cluster: &C, node: &str, update: &str) -> Result<bool, ClusterError> {
    change_node(cluster, node, |object| {
        let by = object.pointer("/metadata/annotations/gitops-updater~1cordoned").and_then(Value::as_str);
        (by == Some(update))
            .then(|| json!({"metadata": {"annotations": {CORDONED: null}}, "spec": {"unschedulable": null}}))
    })
    .await
}

/// Changes a node as it was read; whether anything was to be changed.
async fn change_node<C: Cluster>(
    cluster: &C,
    node: &str,
    change: impl Fn(&Value) -> Option<Value> + Send,
) -> Result<bool, ClusterError> {
    let kind = Resource::of(Kind::Node);
    let object = cluster.get(&kind, None, node).await?;
    let Some(mut patch) = change(&object) else { return Ok(false) };
    patch["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
    cluster.patch(&kind, None, node, &patch).await?;
    Ok(true)
}

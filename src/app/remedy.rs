//! What may be done to a cluster: few things, each known to be safe, each done once.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use crate::domain::settle::cordon::{CORDONED, LeftCordoned};
use crate::domain::settle::kind::Kind;

/// Flux reconciles an object when the value changes (fluxcd/pkg `apis/meta`, `ReconcileRequestAnnotation`).
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// With the same value as the request: the count of failures begins anew (helm-controller `helmreleases.md`).
const RESET_AT: &str = "reconcile.fluxcd.io/resetAt";

/// What Flux is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nudge {
    /// To look now, not only at its next interval.
    Reconcile,
    /// HelmRelease: to try again although its retries ran out.
    Reset,
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
    if what == Nudge::Reset {
        annotations[RESET_AT] = token.into();
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

/// Lets pods onto a node again, if it is still as it was left. `false` = somebody has uncordoned it, or cordoned it anew.
///
/// # Errors
///
/// The node is not there, may not be changed, or is being changed by somebody else.
pub async fn uncordon<C: Cluster>(cluster: &C, left: &LeftCordoned) -> Result<bool, ClusterError> {
    let kind = Resource::of(Kind::Node);
    let object = cluster.get(&kind, None, &left.node).await?;
    if !is_left(&object, left.since) {
        return Ok(false);
    }
    let version = object.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"unschedulable": null}});
    cluster.patch(&kind, None, &left.node, &patch).await?;
    Ok(true)
}

/// Whether a node is cordoned since a time.
fn is_left(node: &Value, since: Timestamp) -> bool {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array);
    let added = taints
        .into_iter()
        .flatten()
        .find(|taint| taint["key"] == CORDONED)
        .and_then(|taint| taint["timeAdded"].as_str()?.parse::<Timestamp>().ok());
    node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) && added == Some(since)
}

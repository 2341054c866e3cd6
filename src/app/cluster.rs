//! What the use cases need of a cluster. What may not be read is said as not observed, never as healthy.

use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::Seen;
use crate::domain::settle::object::Object;

/// What is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Kinds; those that the cluster does not have are left out of [`Watch::watching`].
    pub kinds: Vec<Kind>,
    /// Namespaces; `None` for all.
    pub namespaces: Option<Vec<String>>,
    /// Only what is there now: the looking ends after [`Looked::Complete`].
    pub once: bool,
}

/// Looking at a cluster. Dropping it ends the looking.
#[derive(Debug)]
pub struct Watch {
    /// Kinds that are seen.
    pub watching: Vec<Kind>,
    /// Kinds that the cluster does not have: their checks do not apply.
    pub absent: Vec<Kind>,
    /// Kinds that may not be read, with the reason for people (and the RBAC rule that is missing).
    pub unseen: Vec<(Kind, String)>,
    /// What is seen, in order: first every object there is (`initial`), then [`Looked::Complete`], then what changes,
    /// and `View` lines when sight is lost and comes back. After a loss objects are told anew; what went meanwhile is
    /// told as deleted.
    pub seen: Receiver<Looked>,
}

/// One thing from a watch.
#[derive(Debug)]
pub enum Looked {
    /// Something seen. The JSON is there where the watch is recorded, reduced to what a recording may hold.
    Seen(Box<Seen<Object>>, Option<Box<Value>>),
    /// Everything that was there at the beginning has been told.
    Complete,
}

/// Why a cluster could not be asked to do or show something.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempted}: {reason}")]
pub struct ClusterError {
    /// What was attempted, on what (`annotate HelmRelease/apps/demo`).
    pub attempted: String,
    /// What the API server said, without credentials.
    pub reason: String,
    /// How to go on from it.
    pub class: ErrorClass,
    /// What to do next, where that is known (the missing RBAC rule).
    pub hint: Option<String>,
}

/// How to go on from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Asking again may help: the API server is away, or throttles.
    Transient,
    /// It is not there.
    NotFound,
    /// Somebody else was faster: another resource version, or it exists already.
    Conflict,
    /// The account may not.
    Denied,
    /// Asking again does not help.
    Permanent,
}

/// A cluster.
pub trait Cluster: Sync {
    /// Looks at the cluster from now on.
    ///
    /// # Errors
    ///
    /// It cannot be reached at all.
    fn watch(&self, scope: &Scope) -> impl Future<Output = Result<Watch, ClusterError>> + Send;

    /// Checks of `/readyz?verbose`, by name: whether each passes.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    fn readiness(&self) -> impl Future<Output = Result<Vec<(String, bool)>, ClusterError>> + Send;

    /// One object, as JSON.
    ///
    /// # Errors
    ///
    /// It is not there, or may not be read.
    fn get(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> impl Future<Output = Result<Value, ClusterError>> + Send;

    /// Objects of a kind, as JSON, page by page.
    ///
    /// # Errors
    ///
    /// They may not be read.
    fn list(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        labels: &str,
    ) -> impl Future<Output = Result<Vec<Value>, ClusterError>> + Send;

    /// Creates an object and returns it as it was made. One of the same name is a [`ErrorClass::Conflict`].
    ///
    /// # Errors
    ///
    /// It was not made.
    fn create(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> impl Future<Output = Result<Value, ClusterError>> + Send;

    /// Replaces an object; its `metadata.resourceVersion` is what it was when it was read.
    ///
    /// # Errors
    ///
    /// Somebody else changed it meanwhile ([`ErrorClass::Conflict`]), or it may not be changed.
    fn replace(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
        object: &Value,
    ) -> impl Future<Output = Result<Value, ClusterError>> + Send;

    /// Changes an object by a JSON merge patch.
    ///
    /// # Errors
    ///
    /// It was not changed.
    fn patch(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> impl Future<Output = Result<Value, ClusterError>> + Send;

    /// Deletes an object that we made.
    ///
    /// # Errors
    ///
    /// It was not deleted.
    fn delete(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// The log of a pod's first container, at most `limit` bytes from its end.
    ///
    /// # Errors
    ///
    /// There is none, or it may not be read.
    fn log(
        &self,
        namespace: &str,
        pod: &str,
        limit: usize,
    ) -> impl Future<Output = Result<String, ClusterError>> + Send;
}

/// A kind of objects that is asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// As in `kind:`.
    pub kind: String,
    /// As in URLs.
    pub plural: String,
}

impl Resource {
    /// The preferred version of a known kind.
    pub fn of(kind: Kind) -> Self {
        let api = kind.api();
        Self {
            group: api.group.to_owned(),
            version: api.versions.first().copied().unwrap_or("v1").to_owned(),
            kind: api.kind.to_owned(),
            plural: api.plural.to_owned(),
        }
    }
}

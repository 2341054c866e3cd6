//! What the use cases need from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::advisory::Advisory;
use crate::domain::report::DeepChecks;
use crate::domain::upstream::{Answer, UpstreamFailure, UpstreamRef};

/// What is wanted of one list of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How old a kept answer may be to be used without asking.
    pub fresh_for: Duration,
    /// The version that everything on this list has installed: what is much older need not be read. `None` where
    /// several are installed.
    pub installed: Option<String>,
}

/// Called for every upstream as soon as its answer is in, so that answers need not be kept.
pub type OnAnswer<'a> = &'a mut (dyn FnMut(&UpstreamRef, Result<Answer, UpstreamFailure>) + Send);

/// Release servers, chart repositories, registries and forges.
pub trait Upstreams {
    /// Asks for every list once, concurrently with a bound per host, and reports each as it comes.
    fn ask_all(
        &self,
        wanted: BTreeMap<UpstreamRef, Wanted>,
        on_answer: OnAnswer<'_>,
    ) -> impl Future<Output = ()> + Send;

    /// Known vulnerabilities that affect version `from` of a Go module and not `to`, by their CVE or GHSA identifiers.
    ///
    /// # Errors
    ///
    /// The database could not be asked; that says nothing about the versions.
    fn advisories(
        &self,
        module: &str,
        from: &str,
        to: &str,
    ) -> impl Future<Output = Result<Vec<Advisory>, UpstreamFailure>> + Send;

    /// What only a request of its own says about one version.
    ///
    /// # Errors
    ///
    /// The version could not be looked at.
    fn inspect(
        &self,
        upstream: &UpstreamRef,
        version: &str,
    ) -> impl Future<Output = Result<DeepChecks, UpstreamFailure>> + Send;
}

/// The time, injected.
pub trait Clock {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// Told while upstreams are asked, for people who look on.
pub trait Progress: Send + Sync {
    /// `total` upstreams are going to be asked.
    fn started(&self, total: usize);
    /// This one answered or failed.
    fn finished(&self, upstream: &UpstreamRef);
}

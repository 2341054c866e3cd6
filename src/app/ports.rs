//! What the use cases need from outside.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::upstream::{Answer, UpstreamFailure, UpstreamRef};

/// Called for every upstream as soon as its answer is in, so that answers need not be kept.
pub type OnAnswer<'a> = &'a mut (dyn FnMut(&UpstreamRef, Result<Answer, UpstreamFailure>) + Send);

/// Release servers, chart repositories, registries and forges.
pub trait Upstreams {
    /// Asks for every list once, concurrently with a bound per host, and reports each as it comes.
    fn ask_all(
        &self,
        wanted: BTreeSet<UpstreamRef>,
        on_answer: OnAnswer<'_>,
    ) -> impl Future<Output = ()> + Send;
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
    /// One of them answered or failed; `name` is for people.
    fn finished(&self, name: &str);
}

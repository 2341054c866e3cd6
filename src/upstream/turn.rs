//! Turns at hosts: few requests at once, and none where nobody is.

use std::sync::{Arc, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::failure::authority;
use super::http::{Http, Shared};
use crate::domain::upstream::UpstreamFailure;

impl Http {
    /// Waits for a turn at the host of `url`; the turn ends when the permit is dropped.
    ///
    /// # Errors
    /// The host could not be connected to so often that it is given up for this run.
    pub async fn turn(&self, url: &Url) -> Result<Turn, UpstreamFailure> {
        let key = format!("{}:{}", url.host_str().unwrap_or(""), url.port_or_known_default().unwrap_or(0));
        let host = {
            let options = self.shared.exchange.options();
            let most = options.of_host.get(&authority(url)).copied().unwrap_or(options.per_host).max(1);
            let mut hosts = self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(most))).clone()
        };
        // The host's turn first: waiting for a slow host must not hold a place that others could use.
        let host = host.acquire_owned().await.ok();
        let all = self.shared.all.clone().acquire_owned().await.ok();
        let failures = self.shared.reach.failures(&key)?;
        Ok(Turn { _host: host, _all: all, key, failures, shared: self.shared.clone() })
    }
}

/// A turn at a host; see [`Http::turn`].
#[must_use = "the turn ends when this is dropped"]
pub struct Turn {
    _host: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
    key: String,
    /// Attempts to connect that had failed when the turn began.
    failures: u32,
    shared: Arc<Shared>,
}

impl Turn {
    /// Somebody was there, whatever the answer.
    pub fn answered(&self) {
        self.shared.reach.answered(&self.key);
    }

    /// No connection was made.
    pub fn unconnected(&self, cause: &str) {
        self.shared.reach.failed(&self.key, self.failures, cause);
    }
}

//! Sends the numbers of a pass to a Pushgateway.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::domain::upstream::UpstreamFailure;
use crate::upstream::credentials::Credentials;
use crate::upstream::failure::permanent;
use crate::upstream::http::{Http, HttpOptions};
use crate::upstream::redact::redact;
use crate::upstream::retry::{self, Policy, Refused};

/// Longest time for one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why numbers were not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// HTTP cannot be set up.
    #[error("cannot set up HTTP")]
    Http(#[from] crate::upstream::http::Error),
    /// The base URL cannot have a path.
    #[error("`{url}` is not a base URL")]
    Base {
        /// As it may be shown.
        url: String,
    },
    /// The gateway did not take them.
    #[error("cannot send metrics: {0}")]
    Refused(UpstreamFailure),
}

/// Replaces what the gateway at `base` has of this job.
///
/// # Errors
///
/// The gateway cannot be reached, or does not take it.
pub async fn push(base: &Url, job: &str, text: &str, credentials: &Credentials) -> Result<(), Error> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::Base { url: redact(base) })?
        .pop_if_empty()
        .extend(["metrics", "job", job]);
    let retry = Policy { longest_pause: TIMEOUT, ..Policy::times(2) };
    let http = Http::new(HttpOptions { timeout: TIMEOUT, retry, ..HttpOptions::default() })?;
    let client = http.client().map_err(Error::Refused)?;
    let authorization = credentials.for_url(&url).map(|credential| credential.header());
    let authorization = authorization.as_ref().and_then(|header| {
        let mut value = HeaderValue::from_str(header.expose_secret()).ok()?;
        value.set_sensitive(true);
        Some(value)
    });
    let attempt = || async {
        let mut request = client
            .put(url.clone())
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, super::CONTENT_TYPE)
            .body(text.to_owned());
        if let Some(authorization) = &authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let shown = redact(&url);
        let response = request.send().await.map_err(|error| {
            let connect = error.is_connect();
            let error = error.without_url().to_string();
            let message = format!("cannot send to `{shown}`: {error}");
            if connect { Refused::unconnected(message, error) } else { Refused::for_now(message) }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let passing = Refused::passing(&url, status.as_u16(), response.headers(), http.now());
        Err(passing.unwrap_or_else(|| {
            Refused::for_good(permanent(format!("`{shown}` answered {}", status.as_u16())))
        }))
    };
    retry::run(&http, &url, retry, attempt).await.map_err(Error::Refused)
}

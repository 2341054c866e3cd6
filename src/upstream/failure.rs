//! Failures of an upstream, in the words a person can act on.

use jiff::Timestamp;
use url::Url;

use super::redact::redact;
use crate::domain::upstream::{FailureClass, UpstreamFailure};

/// A failure of the given class; `message` must already be redacted.
pub fn failure(class: FailureClass, message: impl Into<String>) -> UpstreamFailure {
    UpstreamFailure { class, message: message.into() }
}

/// May go well next time.
pub fn transient(message: impl Into<String>) -> UpstreamFailure {
    failure(FailureClass::Transient, message)
}

/// Will stay as it is until somebody changes something.
pub fn permanent(message: impl Into<String>) -> UpstreamFailure {
    failure(FailureClass::Permanent, message)
}

/// There is no such thing.
pub fn not_found(message: impl Into<String>) -> UpstreamFailure {
    failure(FailureClass::NotFound, message)
}

/// Too many requests.
pub fn rate_limited(url: &Url, status: u16, reset: Option<Timestamp>) -> UpstreamFailure {
    let when = match reset {
        Some(at) => format!("; it accepts requests again at {at}"),
        None => "; try again later".to_owned(),
    };
    failure(
        FailureClass::RateLimited { reset },
        format!("`{}` answered {status}: too many requests{when}", redact(url)),
    )
}

/// Credentials are missing or were refused; says which configuration would supply them.
///
/// `sent` tells whether the request carried credentials.
pub fn denied(url: &Url, status: u16, sent: bool) -> UpstreamFailure {
    let host = authority(url);
    let what = if sent {
        format!("`{host}` refused the credentials it was sent")
    } else {
        format!("`{host}` wants credentials and none are configured for it")
    };
    let login = if host == "registry-1.docker.io" {
        "run `docker login`".to_owned()
    } else {
        format!("log in so that docker's config.json has an entry for `{host}`")
    };
    // Credentials that are there are kept back on plain HTTP.
    let in_clear = if url.scheme() == "http" && !sent {
        "; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`"
    } else {
        ""
    };
    failure(
        FailureClass::Denied,
        format!(
            "`{}` answered {status}: {what}; set `upstreams.hosts.\"{host}\".token_env`, or `username_env` and \
             `password_env`, or {login}{in_clear}",
            redact(url)
        ),
    )
}

/// `host` or `host:port`, as people write it: the scheme's own port is left out.
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A defect of this program, told as a failure so that the rest of a report stands.
pub fn internal(message: &str) -> UpstreamFailure {
    failure(FailureClass::Permanent, format!("{message}; this is a defect, please report it"))
}

//! Git's smart HTTP for libgit2, over reqwest and rustls.
//!
//! libgit2 is built without a network stack of its own: it is given one scheme, known to nobody else, and what asks for
//! it is answered by the [`Session`] of the calling thread. So no URL of a repository's configuration (`pushurl`,
//! `insteadOf`) can lead anywhere, and no credential is ever part of a URL.
//!
//! Redirects are followed for the first request only, as Git does it, and never from `https` to `http`; credentials are
//! those of the host that is asked, whoever sent us there.

mod transport;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use self::transport::Stream;
pub(super) use self::transport::prepare;
use super::Error;
use crate::domain::duration::in_words;
use crate::domain::upstream::FailureClass;
use crate::upstream::credentials::{Credential, Credentials};
use crate::upstream::failure::authority;
use crate::upstream::redact::redact;

/// What libgit2 is told to connect to.
const SESSION_URL: &str = "gitops-updater://session/";
const MOST_REDIRECTS: usize = 5;
/// Most bytes of a list of refs; 300,000 refs take about 24 MB.
const REFS_LIMIT: u64 = 64 << 20;

/// Bounds of the conversation with a remote.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time for one request and its answer.
    pub timeout: Duration,
    /// Most bytes of one answer.
    pub answer: u64,
    /// Most bytes of one request: what is pushed at once.
    pub request: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(120),
            answer: 1 << 30,
            request: 256 << 20,
        }
    }
}

/// Gives the token of one remote, which may be another one an hour later.
pub trait SuppliesToken: Send + Sync {
    /// The token. Blocks.
    ///
    /// # Errors
    ///
    /// There is none: [`Error::Remote`].
    fn token(&self) -> Result<SecretString, Error>;
}

/// A remote that is asked over HTTP.
#[derive(Clone)]
pub(super) struct HttpRemote {
    url: Url,
    credentials: Credentials,
    /// In place of the credentials.
    tokens: Option<Arc<dyn SuppliesToken>>,
    limits: HttpLimits,
    client: Arc<OnceLock<Client>>,
}

/// The remote that libgit2 is given within a session.
///
/// # Errors
///
/// The configuration would lead it elsewhere.
pub(super) fn session_remote(repository: &git2::Repository) -> Result<git2::Remote<'_>, git2::Error> {
    let remote = repository.remote_anonymous(SESSION_URL)?;
    if remote.url_bytes() != SESSION_URL.as_bytes() || remote.pushurl_bytes().is_some() {
        let why = "`url.*.insteadOf` in the configuration of Git leads every URL elsewhere; remove it";
        return Err(git2::Error::from_str(why));
    }
    Ok(remote)
}

/// One conversation with a remote: where it is (a redirect may have moved it) and what went wrong.
pub(super) struct Session {
    remote: HttpRemote,
    base: Mutex<Url>,
    failed: Mutex<Option<Error>>,
}

thread_local! {
    /// The session that libgit2's calls on this thread belong to.
    static CURRENT: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

impl HttpRemote {
    pub(super) fn new(mut url: Url, credentials: Credentials, limits: HttpLimits) -> Self {
        // A user in the URL would be sent to whoever the URL names.
        url.set_username("").ok();
        url.set_password(None).ok();
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Self { url, credentials, tokens: None, limits, client: Arc::default() }
    }

    pub(super) fn supplied_by(self, tokens: Arc<dyn SuppliesToken>) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// The remote with what is sent to it now.
    fn with_token(&self) -> Result<Self, Error> {
        let mut remote = self.clone();
        if let Some(tokens) = &self.tokens {
            let place = self.url.origin().ascii_serialization();
            let mut credentials = Credentials::new();
            credentials
                .add(&place, Credential::Bearer(tokens.token()?))
                .map_err(|error| self::remote(FailureClass::Permanent, error.to_string()))?;
            remote.credentials = credentials;
        }
        Ok(remote)
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn shown(&self) -> String {
        redact(&self.url)
    }

    /// Lets `work` talk to the remote by way of [`session_remote`]. What went wrong on the way is told in our words where it was
    /// ours to see, else in those that `otherwise` finds for libgit2's.
    ///
    /// Blocks; not to be called from a thread that drives asynchronous tasks.
    pub(super) fn session<T>(
        &self,
        work: impl FnOnce() -> Result<T, git2::Error>,
        otherwise: impl FnOnce(git2::Error) -> Error,
    ) -> Result<T, Error> {
        prepare()?;
        let session = Arc::new(Session {
            remote: self.with_token()?,
            base: Mutex::new(self.url.clone()),
            failed: Mutex::default(),
        });
        let before = CURRENT.with(|current| current.replace(Some(session.clone())));
        let _restored = Restore(before);
        work().map_err(|error| match take(&session.failed) {
            Some(failed) => failed,
            None => otherwise(error),
        })
    }

    /// Made with the first request: reading the machine's certificates takes time.
    fn client(&self) -> Result<&Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Fails only where a provider is installed already, which then is ours or the program's.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder()
            .user_agent(concat!("git/2 (gitops-updater/", env!("CARGO_PKG_VERSION"), ")"))
            .connect_timeout(self.limits.connect_timeout)
            .timeout(self.limits.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()
            .map_err(|cause| Error::Remote {
                class: FailureClass::Permanent,
                message: format!("cannot set up the HTTP client: {cause}"),
                hint: Some("check certificates and proxies of this machine".to_owned()),
            })?;
        Ok(self.client.get_or_init(|| client))
    }
}

struct Restore(Option<Arc<Session>>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.with(|current| current.replace(self.0.take()));
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Session {
    /// Keeps the error for who called libgit2, and returns its text for libgit2.
    fn fail(&self, error: Error) -> String {
        // libgit2 hands the text to C, which ends at a null byte.
        let text = error.to_string().replace('\0', " ");
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        // The first failure is the cause of those after it.
        failed.get_or_insert(error);
        text
    }

    fn base(&self) -> Url {
        self.base.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first request of a conversation: which refs are there.
    fn greet(self: &Arc<Self>, service: &'static str) -> Result<Stream, Error> {
        let suffix = "/info/refs";
        let mut base = self.base();
        for _ in 0..=MOST_REDIRECTS {
            let mut url = below(&base, suffix);
            url.set_query(Some(&format!("service={service}")));
            let request =
                self.remote.client()?.get(url.clone()).headers(self.headers(&url, service, "advertisement"));
            let response = request.send().map_err(|error| broken(&base, &error))?;
            if is_redirect(response.status()) {
                base = moved(&base, &url, &response, suffix)?;
                continue;
            }
            let response = self.accepted(&base, service, "advertisement", response)?;
            *self.base.lock().unwrap_or_else(PoisonError::into_inner) = base;
            return Ok(Stream::answering(self.clone(), service, response, REFS_LIMIT));
        }
        Err(remote(
            FailureClass::Permanent,
            format!("cannot ask `{}`: too many redirects", self.remote.shown()),
        ))
    }

    /// A later request.
    fn post(&self, service: &'static str, body: Vec<u8>) -> Result<Response, Error> {
        let base = self.base();
        let url = below(&base, &format!("/{service}"));
        let mut headers = self.headers(&url, service, "result");
        headers.insert(CONTENT_TYPE, header(&format!("application/x-{service}-request")));
        let request = self.remote.client()?.post(url).headers(headers).body(body);
        let response = request.send().map_err(|error| broken(&base, &error))?;
        self.accepted(&base, service, "result", response)
    }

    fn headers(&self, url: &Url, service: &str, kind: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, header(&format!("application/x-{service}-{kind}")));
        if let Some(value) = self.credential(url).and_then(authorization) {
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    /// Once a redirect led to another origin nobody gets credentials any more: who sent us there may have chosen what
    /// we ask for.
    fn credential(&self, url: &Url) -> Option<&Credential> {
        let at_home = url.origin() == self.remote.url.origin();
        at_home.then(|| self.remote.credentials.for_url(url)).flatten()
    }

    fn accepted(&self, base: &Url, service: &str, kind: &str, response: Response) -> Result<Response, Error> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refusal(base, service, status, response.headers()));
        }
        let expected = format!("application/x-{service}-{kind}");
        if response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) != Some(&expected) {
            let message =
                format!("cannot talk to `{}`: it does not answer as a Git repository does", redact(base));
            return Err(remote(FailureClass::Permanent, message));
        }
        Ok(response)
    }

    fn refusal(&self, base: &Url, service: &str, status: StatusCode, headers: &HeaderMap) -> Error {
        let writes = service == "git-receive-pack";
        let what = if writes { "push to" } else { "read" };
        let (shown, host) = (redact(base), authority(base));
        let has_credentials = self.credential(base).is_some();
        let message = format!("cannot {what} `{shown}`: it answered {}", status.as_u16());
        let (class, hint) = match status.as_u16() {
            401 if has_credentials => {
                (FailureClass::Denied, Some(format!("`{host}` refused the token; check that it is valid")))
            }
            401 => (FailureClass::Denied, Some(format!("`{host}` wants a token and none is given for it"))),
            403 if writes => (
                FailureClass::Denied,
                Some("the token needs `contents: write` for this repository".to_owned()),
            ),
            403 => (
                FailureClass::Denied,
                Some("the token needs `contents: read` for this repository".to_owned()),
            ),
            404 | 410 => (
                FailureClass::NotFound,
                Some(
                    "check the URL; private repositories look absent to tokens that may not see them"
                        .to_owned(),
                ),
            ),
            429 => (FailureClass::RateLimited { reset: None }, retry_after(headers)),
            408 | 500..=599 => (FailureClass::Transient, None),
            _ => (FailureClass::Permanent, None),
        };
        Error::Remote { class, message, hint }
    }
}

fn remote(class: FailureClass, message: String) -> Error {
    Error::Remote { class, message, hint: None }
}

fn retry_after(headers: &HeaderMap) -> Option<String> {
    let seconds: u64 = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(format!("it accepts requests again in {}", in_words(Duration::from_secs(seconds))))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The repository's URL after a redirect of its list of refs.
fn moved(base: &Url, asked: &Url, response: &Response, suffix: &str) -> Result<Url, Error> {
    let refused = |why: &str| {
        remote(FailureClass::Permanent, format!("cannot follow a redirect of `{}`: {why}", redact(base)))
    };
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let mut target = location
        .and_then(|location| asked.join(location).ok())
        .ok_or_else(|| refused("it names no place"))?;
    let is_downgrade = base.scheme() == "https" && target.scheme() != "https";
    if is_downgrade || !matches!(target.scheme(), "http" | "https") {
        return Err(refused("it leads away from https"));
    }
    let path = target.path().strip_suffix(suffix).map(str::to_owned);
    let path = path.ok_or_else(|| refused("it does not lead to a Git repository"))?;
    target.set_path(&path);
    target.set_query(None);
    target.set_fragment(None);
    if target.set_username("").is_err() || target.set_password(None).is_err() {
        return Err(refused("it names no host"));
    }
    Ok(target)
}

fn below(base: &Url, suffix: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{suffix}", base.path().trim_end_matches('/')));
    url
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("invariant: made of literals")
}

/// Forges take a token as the password of any user; GitHub asks Apps for this one.
fn authorization(credential: &Credential) -> Option<HeaderValue> {
    let basic = match credential {
        Credential::Basic { .. } => credential.header(),
        Credential::Bearer(token) => {
            Credential::Basic { username: "x-access-token".to_owned(), password: token.clone() }.header()
        }
    };
    let mut value = HeaderValue::from_str(basic.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A request without a whole answer. reqwest's own text holds the URL, so only the cause is told.
fn broken(base: &Url, cause: &reqwest::Error) -> Error {
    let mut root: &dyn std::error::Error = cause;
    while let Some(source) = root.source() {
        root = source;
    }
    let shown = redact(base);
    let message = if cause.is_connect() {
        format!("cannot connect to `{shown}`: {root}")
    } else if cause.is_timeout() {
        format!("cannot talk to `{shown}`: it did not answer in time")
    } else {
        format!("cannot talk to `{shown}`: the connection broke off: {root}")
    };
    remote(FailureClass::Transient, message)
}

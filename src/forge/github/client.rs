//! One request to GitHub: who asks, how fast, again or not, and what came back.
//!
//! The only retry of this forge is here. A read is asked again; a write only where the caller says that it cannot be
//! done twice, or where GitHub says that it was not done at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::SignedDuration;
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use super::GithubOptions;
use super::auth::Tokens;
use super::kept::Kept;
use super::refusal::{About, Refusal, not_understood, plain, refusal};
use super::time::{Pace, Time};
use crate::app::forge::{ForgeError, ForgeErrorClass, ForgeResult};
use crate::domain::duration::in_words;
use crate::upstream::redact::redact_text;

/// Most bytes read of one answer.
const ANSWER_LIMIT: usize = 32 << 20;
/// Most bytes read of an answer that is an error.
const ERROR_LIMIT: usize = 64 << 10;
/// Pages of 100 entries read of one list at most.
pub(super) const MOST_PAGES: usize = 10;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Path below the base of the API, and query.
    pub(super) target: String,
    pub(super) body: Option<Value>,
    /// What comes after "cannot" when it fails.
    pub(super) doing: String,
    /// The permission it takes.
    pub(super) needs: &'static str,
    /// Asking twice does no harm.
    pub(super) repeatable: bool,
    /// GitHub counts it as content that is created.
    pub(super) creates: bool,
}

impl Ask {
    /// A read.
    pub(super) fn get(target: String, doing: String, needs: &'static str) -> Self {
        Self { method: Method::GET, target, body: None, doing, needs, repeatable: true, creates: false }
    }

    /// A write that creates something, each time it is sent.
    pub(super) fn post(target: String, body: Value, doing: String, needs: &'static str) -> Self {
        let body = Some(body);
        Self { method: Method::POST, target, body, doing, needs, repeatable: false, creates: true }
    }

    /// A write that makes something so.
    pub(super) fn set(
        method: Method,
        target: String,
        body: Option<Value>,
        doing: String,
        needs: &'static str,
    ) -> Self {
        Self { method, target, body, doing, needs, repeatable: true, creates: false }
    }

    /// Sending it twice creates one thing.
    pub(super) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }
}

/// A success.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Asks one GitHub API in one name.
pub(super) struct Client {
    crab: Octocrab,
    base: Url,
    pub(super) host: String,
    pub(super) remedy: String,
    pub(super) tokens: Arc<Tokens>,
    pub(super) time: Arc<dyn Time>,
    options: GithubOptions,
    kept: Kept,
    pace: Mutex<Pace>,
    /// How long was waited for limits so far.
    waited: Mutex<Duration>,
    /// Writes go one after the other, as GitHub asks for.
    writing: Semaphore,
}

/// What to do where there is no token that is accepted.
fn remedy(host: &str) -> String {
    match host {
        "github.com" => "set `GITHUB_TOKEN`, or the key of a GitHub App".to_owned(),
        host => format!("set a token for {host}, or the key of a GitHub App"),
    }
}

impl Client {
    pub(super) fn new(
        http: &reqwest::Client,
        time: Arc<dyn Time>,
        options: GithubOptions,
    ) -> ForgeResult<Self> {
        let tokens = Tokens::new(&options.auth).map_err(|error| ForgeError {
            class: ForgeErrorClass::Denied { permission: None },
            message: format!("cannot ask the GitHub API of {}: {error}", options.place.host),
            hint: Some(remedy(&options.place.host)),
        })?;
        Self::sharing(http, time, options, Arc::new(tokens))
    }

    /// One that asks with the tokens of another.
    pub(super) fn sharing(
        http: &reqwest::Client,
        time: Arc<dyn Time>,
        options: GithubOptions,
        tokens: Arc<Tokens>,
    ) -> ForgeResult<Self> {
        let host = options.place.host.clone();
        let remedy = remedy(&host);
        let unusable = |detail: &str| ForgeError {
            class: ForgeErrorClass::Denied { permission: None },
            message: format!("cannot ask the GitHub API of {host}: {detail}"),
            hint: None,
        };
        let base = options.api.clone();
        let octocrab = Octocrab::builder()
            .base_uri(base.origin().ascii_serialization())
            .map_err(|_| unusable("its address is no URL"))?
            // Retries are ours: octocrab's own come at once, or sleep until the limit resets.
            .add_retry_config(RetryConfig::None)
            .add_header(header::ACCEPT, "application/vnd.github+json".to_owned())
            .build_with_reqwest(http.clone())
            .map_err(|_| unusable("the client cannot be built"))?;
        Ok(Self {
            crab: octocrab,
            base,
            remedy,
            host,
            tokens,
            time,
            options,
            kept: Kept::default(),
            pace: Mutex::default(),
            waited: Mutex::default(),
            writing: Semaphore::new(1),
        })
    }

    pub(super) fn options(&self) -> &GithubOptions {
        &self.options
    }

    /// Base of the GraphQL API (GitHub Enterprise Server docs, "Forming calls with GraphQL").
    pub(super) fn graphql(&self) -> String {
        let base = self.base.as_str().trim_end_matches('/');
        base.strip_suffix("/api/v3")
            .map_or_else(|| format!("{base}/graphql"), |root| format!("{root}/api/graphql"))
    }

    /// Asks, and reads the answer.
    pub(super) async fn json<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, Refusal> {
        let reply = self.send(ask).await?;
        self.read(ask, &reply).map_err(Refusal::of)
    }

    pub(super) fn read<T: DeserializeOwned>(&self, ask: &Ask, reply: &Reply) -> ForgeResult<T> {
        serde_json::from_slice(&reply.body).map_err(|error| {
            let request = request_line(ask);
            not_understood(
                self.about(ask, &request),
                &format!("cannot be read: {}", plain(&error.to_string())),
            )
        })
    }

    /// Asks for every page of a list, [`MOST_PAGES`] at most. The second value says whether that was all.
    pub(super) async fn list<T: DeserializeOwned>(&self, ask: &Ask) -> Result<(Vec<T>, bool), Refusal> {
        self.pages(ask, |list: Vec<T>| list).await
    }

    /// The same for lists that are wrapped in an object.
    pub(super) async fn pages<P: DeserializeOwned, T>(
        &self,
        ask: &Ask,
        unwrap: impl Fn(P) -> Vec<T>,
    ) -> Result<(Vec<T>, bool), Refusal> {
        let mut ask = ask.clone();
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let reply = self.send(&ask).await?;
            let page = self.read::<P>(&ask, &reply).map_err(Refusal::of)?;
            found.extend(unwrap(page));
            match self.next(&reply.headers) {
                Some(target) if target != ask.target => ask.target = target,
                _ => return Ok((found, true)),
            }
        }
        Ok((found, false))
    }

    /// The page after this one, where it is one of this API: a token goes nowhere else.
    fn next(&self, headers: &HeaderMap) -> Option<String> {
        let links = headers.get(header::LINK)?.to_str().ok()?;
        let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
        let url = Url::parse(next.split_once('<')?.1.split_once('>')?.0).ok()?;
        let base = self.base.path().trim_end_matches('/');
        let path = url.path().strip_prefix(base).filter(|path| path.starts_with('/'))?;
        (url.origin() == self.base.origin()).then(|| match url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }

    /// Asks until there is an answer, a lasting refusal, or no try or time left.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Reply, Refusal> {
        let _turn = match ask.method {
            Method::GET => None,
            _ => self.writing.acquire().await.ok(),
        };
        let mut wait = self.options.first_wait;
        let mut tries_left = self.options.retries;
        let (mut limits_met, mut is_renewed) = (0, false);
        loop {
            let token = self.token().await?;
            let refusal = match self.attempt(ask, &token, limits_met).await {
                Ok(reply) => return Ok(reply),
                Err(refusal) => refusal,
            };
            let pause = match refusal.error.class {
                // Not done, whatever it was; a token that was made may have been reverted.
                ForgeErrorClass::Denied { .. } if refusal.status == Some(401) && !is_renewed => {
                    is_renewed = true;
                    self.tokens.keep(None);
                    match *self.tokens {
                        Tokens::App { .. } => continue,
                        Tokens::Given(_) => return Err(refusal),
                    }
                }
                // Not done either.
                ForgeErrorClass::RateLimited { .. } => {
                    limits_met += 1;
                    refusal.wait.unwrap_or(wait)
                }
                ForgeErrorClass::Transient if ask.repeatable => refusal.wait.unwrap_or(wait),
                _ => return Err(refusal),
            };
            if tries_left == 0 || !self.may_wait(pause) {
                return Err(refusal);
            }
            tracing::debug!(host = %self.host, wait = ?pause, reason = %refusal.error, "request sent again");
            self.time.sleep(pause).await;
            tries_left -= 1;
            wait *= 2;
        }
    }

    /// Waits between two tries of what only the caller can try again; `false` where there is no time left.
    pub(super) async fn pause(&self, tries: u32) -> bool {
        let pause = self.options.first_wait.saturating_mul(1 << tries.min(8));
        if tries >= self.options.retries || !self.may_wait(pause) {
            return false;
        }
        self.time.sleep(pause).await;
        true
    }

    /// Takes `pause` out of what may be waited in all.
    fn may_wait(&self, pause: Duration) -> bool {
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        match waited.checked_add(pause) {
            Some(sum) if sum <= self.options.patience => {
                *waited = sum;
                true
            }
            _ => false,
        }
    }

    pub(super) async fn attempt(
        &self,
        ask: &Ask,
        token: &SecretString,
        limits_met: u32,
    ) -> Result<Reply, Refusal> {
        let request_line = request_line(ask);
        let about = self.about(ask, &request_line);
        if ask.creates {
            self.take_a_turn(about).await?;
        }
        let asked = self.once(ask, token, about, limits_met);
        tokio::time::timeout(self.options.timeout, asked).await.unwrap_or_else(|_| {
            let why = format!("it was not whole within {}", in_words(self.options.timeout));
            Err(Refusal::unanswered(about, &why))
        })
    }

    /// Keeps to the pace at which things may be created.
    async fn take_a_turn(&self, about: About<'_>) -> Result<(), Refusal> {
        let pause = self.pace.lock().unwrap_or_else(PoisonError::into_inner).wait(self.time.now());
        if pause > Duration::ZERO {
            if !self.may_wait(pause) {
                let reset = SignedDuration::try_from(pause)
                    .ok()
                    .and_then(|pause| self.time.now().checked_add(pause).ok());
                let message =
                    format!("cannot {}: this run has created as much as GitHub allows", about.doing);
                let hint = Some("run again later".to_owned());
                let error = ForgeError { class: ForgeErrorClass::RateLimited { reset }, message, hint };
                return Err(Refusal::of(error));
            }
            self.time.sleep(pause).await;
        }
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).note(self.time.now());
        Ok(())
    }

    async fn once(
        &self,
        ask: &Ask,
        token: &SecretString,
        about: About<'_>,
        limits_met: u32,
    ) -> Result<Reply, Refusal> {
        let unsendable = || {
            Refusal::of(ForgeError {
                class: ForgeErrorClass::Permanent,
                message: format!("cannot {}: `{}` cannot be sent", about.doing, about.request),
                hint: None,
            })
        };
        let url = if ask.target.starts_with('/') {
            format!("{}{}", self.base.as_str().trim_end_matches('/'), ask.target)
        } else {
            ask.target.clone()
        };
        let uri: Uri = url.parse().map_err(|_| unsendable())?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| unsendable())?;
        authorization.set_sensitive(true);
        let mut builder = http::request::Builder::new()
            .method(ask.method.clone())
            .uri(uri)
            .header(header::AUTHORIZATION, authorization);
        let kept = (ask.method == Method::GET).then(|| self.kept.get(&url)).flatten();
        if let Some(kept) = &kept {
            builder = builder.header(header::IF_NONE_MATCH, kept.etag.clone());
        }
        let request = self.crab.build_request(builder, ask.body.as_ref()).map_err(|_| unsendable())?;
        let response = self
            .crab
            .execute(request)
            .await
            .map_err(|error| Refusal::unanswered(about, &plain(&redact_text(&root_cause(&error)))))?;

        let (parts, body) = response.into_parts();
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (parts.status, kept) {
            return Ok(Reply { headers: kept.headers, body: kept.body });
        }
        let is_success = parts.status.is_success();
        let limit = if is_success { ANSWER_LIMIT } else { ERROR_LIMIT };
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            // The status is known, and what an error says beyond it is not needed.
            Err(_) if !is_success => Bytes::new(),
            Err(error) if error.is::<LengthLimitError>() => {
                let what = format!("is larger than {ANSWER_LIMIT} bytes");
                return Err(Refusal::of(not_understood(about, &what)));
            }
            Err(_) => return Err(Refusal::unanswered(about, "it broke off")),
        };
        if is_success {
            if ask.method == Method::GET {
                self.kept.put(url, &parts.headers, &body);
            }
            return Ok(Reply { headers: parts.headers, body });
        }
        let answer = (parts.status, &parts.headers, &*body);
        let hide = |text: &str| self.tokens.hide(&text.replace(token.expose_secret(), "…"));
        Err(refusal(about, answer, self.time.now(), limits_met, hide))
    }

    fn about<'a>(&'a self, ask: &'a Ask, request: &'a str) -> About<'a> {
        About { doing: &ask.doing, request, needs: ask.needs, host: &self.host, remedy: &self.remedy }
    }
}

fn request_line(ask: &Ask) -> String {
    let path = ask.target.split('?').next().unwrap_or_default();
    // GraphQL lives beside the base of the API and is asked for by its whole address.
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    format!("{} {path}", ask.method)
}

/// The innermost error: those around it repeat the URL and add nothing.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// A part of a path, with everything encoded that is no plain character of one.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

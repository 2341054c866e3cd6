//! The one way to ask an upstream over HTTP: bounded, polite, cached, and careful with credentials.
//!
//! Callers say what they want; this module decides whether to ask at all, where (mapping), as whom
//! (credentials), how often (retries) and how long (time-outs).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use url::Url;

pub use super::body::Body;
use super::body::{BodyFile, IN_MEMORY};
use super::cache::{About, Cache, Keeping, Key, Stored};
use super::credentials::{Credential, Credentials, identity};
use super::exchange::{Answered, Content, Exchange, Question};
use super::failure::{failure, permanent};
use super::local::local;
use super::mapping::{Mapping, Resolved};
pub use super::options::HttpOptions;
use super::reach::Reach;
use super::redact::{redact, strip};
use super::retry::{self, Policy};
use crate::app::ports::Clock;
use crate::clock::AnyClock;
use crate::domain::upstream::{FailureClass, UpstreamFailure};

/// Requests in flight at once, over all hosts, unless one host may have more.
const AT_ONCE: usize = 32;

/// Why nothing is checked with `--offline`.
pub(super) const OFFLINE: &str = "`--offline` forbids to ask";

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Get<'a> {
    /// What is asked; mapping applies.
    pub url: &'a Url,
    /// `Accept` header.
    pub accept: Option<&'a str>,
    /// Whole value of the `Authorization` header, in place of configured credentials. It is for the
    /// asked host: neither a redirect nor a mapping carries it to another one.
    pub authorization: Option<&'a SecretString>,
    /// `authorization` is a short-lived token, another one in every run. The answer is stored as that
    /// of the configured credentials, or of nobody, so that the next run finds it.
    pub short_lived: bool,
    /// Credentials are kept back, for callers that ask as nobody first. The answer is stored as with
    /// `short_lived`.
    pub anonymous: bool,
    /// Largest content in bytes, decoded.
    pub limit: u64,
    /// No request is made while the stored answer is younger.
    pub fresh_for: Option<Duration>,
    /// A 401 comes back as an answer, for callers that can act on its challenge.
    pub challenge: bool,
}

impl<'a> Get<'a> {
    /// A plain question with a size limit.
    pub fn new(url: &'a Url, limit: u64) -> Self {
        Self {
            url,
            accept: None,
            authorization: None,
            short_lived: false,
            anonymous: false,
            limit,
            fresh_for: None,
            challenge: false,
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Got {
    /// 200 from the cache or a file; otherwise any 2xx, 401 where challenges are wanted, 3xx where
    /// redirects are not followed.
    pub status: u16,
    /// All headers of a fresh answer; of a stored one those that say what it is.
    pub headers: HeaderMap,
    /// Where the answer came from after redirects; relative links are relative to this.
    pub url: Url,
    /// The content.
    pub body: Body,
    /// The content was on disk already.
    pub from_cache: bool,
    /// Why the content could not be checked with the upstream in this run; `None` where it needed no check.
    pub stale: Option<String>,
    /// The file of the cache that holds exactly this content; another content has another name.
    pub(crate) stored: Option<PathBuf>,
}

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache folder cannot be made.
    #[error("cannot make the cache folder `{path}`")]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Asks over HTTP. Clones share connections, cache and bounds.
#[derive(Clone)]
pub struct Http {
    pub(super) shared: Arc<Shared>,
    /// How old kept answers may be without being checked, where a question does not say it.
    fresh_for: Duration,
}

pub(super) struct Shared {
    pub(super) exchange: Exchange,
    pub(super) cache: Option<Cache>,
    pub(super) clock: Arc<dyn Clock + Send + Sync>,
    pub(super) all: Arc<Semaphore>,
    pub(super) hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    pub(super) reach: Reach,
    /// It was said that answers cannot be kept.
    told_unkept: AtomicBool,
}

impl Http {
    /// A client with the machine's clock.
    ///
    /// # Errors
    /// The cache folder cannot be made.
    pub fn new(options: HttpOptions) -> Result<Self, Error> {
        Self::with_clock(options, Arc::new(AnyClock::System))
    }

    /// A client that takes the age of stored answers and the dates of `Retry-After` from `clock`.
    ///
    /// # Errors
    /// As [`Http::new`].
    pub fn with_clock(options: HttpOptions, clock: Arc<dyn Clock + Send + Sync>) -> Result<Self, Error> {
        let cache = match &options.cache_dir {
            Some(path) => {
                Some(Cache::open(path).map_err(|source| Error::Cache { path: path.clone(), source })?)
            }
            None => None,
        };
        let most =
            options.of_host.values().copied().chain([options.per_host, AT_ONCE]).max().unwrap_or(AT_ONCE);
        Ok(Self {
            fresh_for: Duration::ZERO,
            shared: Arc::new(Shared {
                exchange: Exchange::new(options),
                cache,
                clock,
                all: Arc::new(Semaphore::new(most)),
                hosts: Mutex::new(HashMap::new()),
                reach: Reach::default(),
                told_unkept: AtomicBool::new(false),
            }),
        })
    }

    /// The same client, for questions whose kept answers may be as old as this without being checked.
    #[must_use]
    pub fn with_fresh_for(&self, fresh_for: Duration) -> Self {
        Self { shared: self.shared.clone(), fresh_for }
    }

    /// How old kept answers may be without being checked, unless a question says so itself.
    pub fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    /// What time it is, for the age of what is kept.
    pub fn now(&self) -> jiff::Timestamp {
        self.shared.clock.now()
    }

    /// What is answered from elsewhere.
    pub fn mapping(&self) -> &Mapping {
        &self.shared.exchange.options().mapping
    }

    /// Who we are to which host.
    pub fn credentials(&self) -> &Credentials {
        &self.shared.exchange.options().credentials
    }

    /// Whether only the cache may answer.
    pub fn offline(&self) -> bool {
        self.shared.exchange.options().offline
    }

    /// Longest time for one request, retries apart.
    pub fn timeout(&self) -> Duration {
        self.shared.exchange.options().timeout
    }

    /// How often to ask again, and how long to wait before.
    pub fn retry(&self) -> Policy {
        self.shared.exchange.options().retry
    }

    /// Where answers are kept between runs.
    pub fn cache_dir(&self) -> Option<&std::path::Path> {
        self.shared.exchange.options().cache_dir.as_deref()
    }

    /// Says, once a run, that answers cannot be kept.
    pub(super) fn unkept(&self, folder: &std::path::Path, cause: &std::io::Error) {
        if !self.shared.told_unkept.swap(true, Ordering::Relaxed) {
            tracing::warn!(folder = %folder.display(), reason = %cause, "answers are not stored in the cache");
        }
    }

    /// The client below, for what is no `GET`. It follows no redirects and knows no bounds but time.
    ///
    /// # Errors
    /// TLS or proxies of this machine cannot be set up.
    pub fn client(&self) -> Result<&reqwest::Client, UpstreamFailure> {
        self.shared.exchange.client()
    }

    /// Asks, follows redirects, and gives the content; stored content is verified before.
    ///
    /// # Errors
    /// Everything but a 2xx answer, and content that is too large, broken, or a web page.
    pub async fn get(&self, get: Get<'_>) -> Result<Got, UpstreamFailure> {
        let (got, key) = self.answer(get, true).await?;
        let got = in_memory(got);
        if got.from_cache && !sound(&got.body) {
            // Damage on disk must not cost an answer: ask as if nothing were stored.
            tracing::debug!(url = %redact(get.url), "damaged cache entry");
            if let (Some(cache), Some(key)) = (&self.shared.cache, &key) {
                cache.forget(key);
            }
            return self.answer(get, true).await.map(|(got, _)| got);
        }
        Ok(got)
    }

    /// As [`Http::get`], but stored content is left on disk unread; its reader verifies it.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(crate) async fn get_unread(&self, get: Get<'_>) -> Result<Got, UpstreamFailure> {
        self.answer(get, true).await.map(|(got, _)| got)
    }

    /// As [`Http::get`], but a redirect is an answer, and nothing is stored.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub async fn get_unfollowed(&self, get: Get<'_>) -> Result<Got, UpstreamFailure> {
        self.answer(get, false).await.map(|(got, _)| got)
    }

    async fn answer(&self, get: Get<'_>, follow: bool) -> Result<(Got, Option<Key>), UpstreamFailure> {
        let mut target = match self.mapping().resolve(get.url) {
            Resolved::File(path) => return local(&get, path).map(|got| (got, None)),
            Resolved::Url(target) => target,
        };
        if !matches!(target.scheme(), "http" | "https") {
            return Err(permanent(format!("cannot ask `{}`: not an http or https URL", redact(&target))));
        }
        let authorization = self.authorization(&get, &target);
        strip(&mut target);

        let now = self.shared.clock.now();
        let as_whom = if get.short_lived || get.anonymous {
            self.credentials().for_url(&target).map(|credential| identity(&credential.header()))
        } else {
            authorization.as_ref().map(identity)
        };
        let key = Key::new(&target, get.accept, as_whom.as_deref());
        let cache = self.shared.cache.as_ref().filter(|_| follow);
        let stored = cache.and_then(|cache| cache.lookup(&key, now));
        if self.offline() {
            return match stored {
                Some(stored) => Ok((serve(&get, &stored, Some(OFFLINE.to_owned())), Some(key))),
                None => Err(failure(
                    FailureClass::Offline,
                    format!(
                        "`{}` is not in the cache, and `--offline` forbids to ask; run once without it",
                        redact(&target)
                    ),
                )),
            };
        }
        if let Some(stored) = &stored {
            let fresh =
                get.fresh_for.unwrap_or(self.fresh_for).max(Duration::from_secs(stored.description.max_age));
            if stored.age < fresh {
                return Ok((serve(&get, stored, None), Some(key)));
            }
        }

        let question = Question {
            url: &target,
            accept: get.accept,
            authorization: authorization.as_ref(),
            stored: stored.as_ref().map(|stored| &stored.description),
            limit: get.limit,
            follow,
            challenge: get.challenge,
            folder: cache.map(Cache::folder),
        };
        let exchange = &self.shared.exchange;
        let asked = retry::run(self, question.url, self.retry(), || {
            exchange.once(&question, self.shared.clock.as_ref())
        });
        match asked.await {
            Ok(Answered::NotModified(headers)) => {
                let (Some(cache), Some(stored)) = (cache, &stored) else {
                    return Err(permanent(format!(
                        "`{}` answered 304 to a request without conditions",
                        redact(&target)
                    )));
                };
                let keeping = Keeping::from_headers(&headers);
                cache.confirm(&key, stored, keeping.max_age, self.shared.clock.now());
                Ok((serve(&get, stored, None), Some(key)))
            }
            Ok(Answered::Content(content)) => {
                let got = match cache {
                    Some(cache) if content.status == 200 => self.keep(cache, &key, content, &target),
                    _ => content.into_got(),
                };
                Ok((got, Some(key)))
            }
            Err(failed) => match (stored, &failed.class) {
                (Some(stored), FailureClass::Transient | FailureClass::RateLimited { .. }) => {
                    tracing::warn!(url = %redact(&target), reason = %failed, "answer from the cache could not be checked");
                    Ok((serve(&get, &stored, Some(failed.message)), Some(key)))
                }
                _ => Err(failed),
            },
        }
    }

    /// Who we are to the target: what the caller says if the target is the asked host, else what
    /// the URL says, else what is configured.
    fn authorization(&self, get: &Get<'_>, target: &Url) -> Option<SecretString> {
        if get.anonymous {
            return None;
        }
        if let Some(given) = get.authorization
            && get.url.origin() == target.origin()
        {
            return Some(given.clone());
        }
        if !target.username().is_empty() {
            return Some(Credential::from_url(target).header());
        }
        self.credentials().for_url(target).map(Credential::header)
    }

    /// Stores an answer if the upstream allows it; without a stored copy the answer is as good.
    fn keep(&self, cache: &Cache, key: &Key, content: Content, target: &Url) -> Got {
        let keeping = Keeping::from_headers(&content.headers);
        if keeping.forbidden {
            cache.forget(key);
            return content.into_got();
        }
        let redirected_to = (content.url != *target).then(|| {
            let mut url = content.url.clone();
            strip(&mut url);
            // Queries of download servers are signatures, which stand for credentials.
            url.set_query(None);
            url.to_string()
        });
        let about = About {
            check: content.check,
            headers: &content.headers,
            max_age: keeping.max_age,
            redirected_to,
        };
        match cache.store(key, &content.body, about, self.shared.clock.now()) {
            Ok(path) => Got { stored: Some(path), ..content.into_got() },
            Err(cause) => {
                self.unkept(cache.folder(), &cause);
                content.into_got()
            }
        }
    }
}

/// The stored answer, unread.
fn serve(get: &Get<'_>, stored: &Stored, stale: Option<String>) -> Got {
    let headers = stored.description.headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.as_str()).ok()?))
    });
    let url = stored.description.url.as_deref().and_then(|url| Url::parse(url).ok());
    Got {
        status: 200,
        headers: headers.collect(),
        url: url.unwrap_or_else(|| get.url.clone()),
        body: Body::File(Arc::new(BodyFile {
            path: stored.body.clone(),
            gzip: false,
            check: Some(stored.description.check),
            temporary: false,
            limit: get.limit,
        })),
        from_cache: true,
        stale,
        stored: Some(stored.body.clone()),
    }
}

/// Whether a stored body is what was stored. Bodies over the limit count as sound: they fail later.
fn sound(body: &Body) -> bool {
    if matches!(body, Body::Memory(_)) {
        return true;
    }
    let copied = body.reader().and_then(|mut reader| std::io::copy(&mut reader, &mut std::io::sink()));
    match copied {
        Ok(_) => true,
        Err(cause) => cause.kind() == std::io::ErrorKind::FileTooLarge,
    }
}

/// Small stored bodies are as easy to use as fresh ones; what cannot be read stays where it is.
pub(crate) fn in_memory(got: Got) -> Got {
    match got.body.bytes(IN_MEMORY) {
        Ok(bytes) => Got { body: Body::Memory(bytes), ..got },
        Err(_) => got,
    }
}

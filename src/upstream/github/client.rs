//! One page of a list from GitHub: the request, its retries, and what its refusal means.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::PAGE_LIMIT;
use super::store::Store;
use crate::domain::duration::in_words;
use crate::domain::upstream::{FailureClass, UpstreamFailure};
use crate::upstream::context::{Context, GithubOptions};
use crate::upstream::failure::{failure, permanent};
use crate::upstream::http::{Http, OFFLINE};
use crate::upstream::reach::unconnected;
use crate::upstream::redact::redact_text;
use crate::upstream::retry::{self, Again, Policy, Refused};

/// Most bytes read of an answer that is an error.
const ERROR_LIMIT: usize = 64 << 10;
/// GitHub asks to wait at least a minute where it names no time for a secondary limit
/// (GitHub docs, "Rate limits for the REST API").
const SECONDARY_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that GitHub may impose: where it asks for more, a kept page serves as well.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A page as it came.
pub(super) struct Page {
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
    /// Why the page is from the store and could not be checked.
    pub(super) stale: Option<String>,
}

/// Asks one GitHub API for pages.
pub(super) struct Client<'a> {
    /// Made with the first request, as the HTTP client below it is: what is answered from the store needs neither.
    crab: OnceLock<Octocrab>,
    origin: String,
    token: Option<&'a SecretString>,
    store: Option<Store>,
    options: &'a GithubOptions,
    http: &'a Http,
    account: Account,
}

/// In whose name requests are made; decides what a refusal means.
#[derive(Debug, Clone)]
struct Account {
    host: String,
    has_token: bool,
}

impl Account {
    /// The setting that gives a token for the host.
    fn remedy(&self) -> String {
        if self.host == "github.com" {
            "set `GITHUB_TOKEN`, or `upstreams.github.token_env`".to_owned()
        } else {
            format!("set `upstreams.hosts.\"{}\".token_env`", self.host)
        }
    }
}

impl<'a> Client<'a> {
    /// A client for the API that `first` belongs to. Where the mapping led to another origin than the
    /// API's own, the token stays at home.
    pub(super) fn new(context: &'a Context, host: &str, first: &Url) -> Result<Self, UpstreamFailure> {
        let options = &context.github;
        let is_own = options.api_url(host).is_some_and(|own| own.origin() == first.origin());
        let token = options.token(host).filter(|_| is_own);
        let account = Account { host: host.to_ascii_lowercase(), has_token: token.is_some() };
        // octocrab panics on a token that no header can hold.
        if token.is_some_and(|token| !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(UpstreamFailure {
                class: FailureClass::Denied,
                message: format!("the token for {host} has characters that no token can have"),
            });
        }
        let store = options.cache_folder.as_deref().map(|folder| Store::new(folder, token, &context.http));
        let origin = first.origin().ascii_serialization();
        Ok(Self { crab: OnceLock::new(), origin, token, store, options, http: &context.http, account })
    }

    fn crab(&self) -> Result<&Octocrab, UpstreamFailure> {
        if let Some(crab) = self.crab.get() {
            return Ok(crab);
        }
        let unusable = |detail: &str| UpstreamFailure {
            class: FailureClass::Permanent,
            message: format!("cannot ask the GitHub API of {}: {detail}", self.account.host),
        };
        let mut builder = Octocrab::builder()
            .base_uri(self.origin.as_str())
            .map_err(|_| unusable("its address is no URL"))?
            // Retries are ours: octocrab's own come at once, or sleep until the limit resets.
            .add_retry_config(RetryConfig::None)
            .add_header(header::ACCEPT, "application/vnd.github+json".to_owned())
            .add_header(http::HeaderName::from_static("x-github-api-version"), "2022-11-28".to_owned());
        if let Some(token) = self.token {
            builder = builder.personal_token(token.clone());
        }
        if let Some(store) = &self.store {
            builder = builder.cache(store.clone());
        }
        let crab = builder
            .build_with_reqwest(self.http.client()?.clone())
            .map_err(|_| unusable("the client cannot be built"))?;
        Ok(self.crab.get_or_init(|| crab))
    }

    /// One page, from GitHub or, where GitHub cannot be asked, as it was stored.
    pub(super) async fn page(&self, url: &Url, what: &str) -> Result<Page, UpstreamFailure> {
        let uri: Uri = url.as_str().parse().map_err(|_| UpstreamFailure {
            class: FailureClass::Permanent,
            message: format!("cannot list {what}: `{url}` is no address that HTTP can ask"),
        })?;
        if self.http.offline() {
            return self.stored(&uri, OFFLINE.to_owned()).ok_or_else(|| UpstreamFailure {
                class: FailureClass::Offline,
                message: format!(
                    "{what} are not in the cache, and `--offline` forbids to ask; run once without it"
                ),
            });
        }
        if let Some(page) = self.fresh(&uri) {
            return Ok(page);
        }
        let policy = Policy { longest_pause: LONGEST_WAIT, ..self.http.retry() };
        let uri = &uri;
        match retry::run(self.http, url, policy, || self.attempt(uri, what)).await {
            Err(failure)
                if matches!(failure.class, FailureClass::Transient | FailureClass::RateLimited { .. }) =>
            {
                self.stored_or(uri, failure)
            }
            ended => ended,
        }
    }

    /// The stored page, where it is young enough not to be checked.
    fn fresh(&self, uri: &Uri) -> Option<Page> {
        let store = self.store.as_ref()?;
        let (age, limit) = (store.age(uri)?, self.http.fresh_for());
        let page = (age < limit).then(|| store.page(uri))??;
        Some(Page { body: page.body.into(), headers: page.headers, stale: None })
    }

    /// The stored page, with why it could not be checked.
    fn stored(&self, uri: &Uri, why: String) -> Option<Page> {
        let page = self.store.as_ref()?.page(uri)?;
        Some(Page { body: page.body.into(), headers: page.headers, stale: Some(why) })
    }

    fn stored_or(&self, uri: &Uri, failure: UpstreamFailure) -> Result<Page, UpstreamFailure> {
        let Some(page) = self.stored(uri, failure.message.clone()) else { return Err(failure) };
        tracing::warn!(url = %uri, reason = %failure, "answer from the cache could not be checked");
        Ok(page)
    }

    async fn attempt(&self, uri: &Uri, what: &str) -> Result<Page, Refused> {
        let asked = async {
            let crab = self.crab().map_err(Refused::for_good)?;
            let response = crab._get(uri.clone()).await.map_err(|error| {
                let cause = redact_text(&root_cause(&error));
                let told = format!("cannot list {what}: no answer from {}: {cause}", self.account.host);
                Refused { unconnected: unconnected(&error), ..Refused::for_now(told) }
            })?;
            let (parts, body) = response.into_parts();
            let ok = parts.status == StatusCode::OK;
            let limit = if ok { PAGE_LIMIT } else { ERROR_LIMIT };
            let body = match Limited::new(body, limit).collect().await {
                Ok(body) => body.to_bytes(),
                // The status is known, and what an error says beyond it is not needed.
                Err(_) if !ok => Bytes::new(),
                Err(error) if error.is::<LengthLimitError>() => {
                    let told = format!("cannot list {what}: a page is larger than {PAGE_LIMIT} bytes");
                    return Err(Refused::for_good(permanent(told)));
                }
                Err(_) => {
                    return Err(Refused::for_now(format!("cannot list {what}: the answer broke off")));
                }
            };
            if ok {
                return Ok(Page { body, headers: parts.headers, stale: None });
            }
            Err(refusal(parts.status, &parts.headers, &body, &self.account, what))
        };
        tokio::time::timeout(self.options.timeout, asked).await.unwrap_or_else(|_| {
            Err(Refused::for_now(format!(
                "cannot list {what}: no whole answer within {:?}",
                self.options.timeout
            )))
        })
    }
}

/// What a status other than 200 means (GitHub docs, "Troubleshooting the REST API").
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], account: &Account, what: &str) -> Refused {
    let code = status.as_u16();
    let Account { host, has_token } = account;
    let remedy = account.remedy();
    let asked_wait = number(headers, "retry-after").map(Duration::from_secs);
    let mut again = Again::Never;
    let (class, why) = match code {
        // Waiting for the reset may take an hour.
        403 | 429 if number(headers, "x-ratelimit-remaining") == Some(0) => {
            let reset = number(headers, "x-ratelimit-reset")
                .and_then(|seconds| i64::try_from(seconds).ok())
                .and_then(|seconds| Timestamp::from_second(seconds).ok());
            let until = reset.map_or_else(String::new, |at| format!(" until {at}"));
            let advice = if *has_token {
                "the token's requests are used up".to_owned()
            } else {
                format!("without a token there are 60 requests an hour, with one 5,000: {remedy}")
            };
            (FailureClass::RateLimited { reset }, format!("{host} answers no more{until}; {advice}"))
        }
        403 | 429 if code == 429 || asked_wait.is_some() || mentions_limit(body) => {
            let wait = asked_wait.unwrap_or(SECONDARY_WAIT);
            let reset =
                sent_at(headers).and_then(|sent| sent.checked_add(SignedDuration::try_from(wait).ok()?).ok());
            again = Again::After(wait);
            let told = format!("{host} asks to slow down and to come back in {}", in_words(wait));
            (FailureClass::RateLimited { reset }, told)
        }
        401 if *has_token => (
            FailureClass::Denied,
            format!("{host} refused the token (expired, revoked or mistyped); {remedy}"),
        ),
        401 => (FailureClass::Denied, format!("{host} answers nobody without a token; {remedy}")),
        403 if headers.contains_key("x-github-sso") => (
            FailureClass::Denied,
            "the token is not authorized for the organization's single sign-on".to_owned(),
        ),
        403 => (
            FailureClass::Denied,
            format!("{host} answered 403; the token needs `contents: read` on the repository"),
        ),
        404 if *has_token => (
            FailureClass::NotFound,
            "there is no such repository, or the token lacks `contents: read` on it".to_owned(),
        ),
        404 => (
            FailureClass::NotFound,
            format!(
                "there is no such repository, or it is private and needs a token with `contents: read`: \
                 {remedy}"
            ),
        ),
        408 | 500..=599 => {
            again = asked_wait.map_or(Again::Soon, Again::After);
            (FailureClass::Transient, format!("{host} answered {code}"))
        }
        _ => (FailureClass::Permanent, format!("{host} answered {code}")),
    };
    Refused { failure: failure(class, format!("cannot list {what}: {why}")), again, unconnected: None }
}

/// The innermost error: those around it repeat the URL and add nothing.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The server's own clock, so that none of ours is needed.
fn sent_at(headers: &HeaderMap) -> Option<Timestamp> {
    rfc2822::parse(headers.get(header::DATE)?.to_str().ok()?).ok().map(|date| date.timestamp())
}

fn mentions_limit(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("secondary rate limit") || text.contains("abuse detection")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn judged(status: u16, pairs: &[(&'static str, &str)], body: &str, has_token: bool) -> Refused {
        let account = Account { host: "github.com".to_owned(), has_token };
        let status = StatusCode::from_u16(status).unwrap();
        refusal(status, &headers(pairs), body.as_bytes(), &account, "releases of `a/b` on github.com")
    }

    #[test]
    fn a_refusal_says_what_it_is_and_what_to_do() {
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1793275200")];
        let some = [("x-ratelimit-remaining", "12")];
        let reset = Timestamp::from_second(1_793_275_200).unwrap();
        let limited = FailureClass::RateLimited { reset: Some(reset) };
        let slow = FailureClass::RateLimited { reset: None };
        type Row<'a> = (&'a str, u16, &'a [(&'static str, &'a str)], &'a str, bool, FailureClass, &'a str);
        let table: [Row<'_>; 13] = [
            (
                "used up without a token",
                403,
                &used_up,
                "",
                false,
                limited.clone(),
                "5,000: set `GITHUB_TOKEN`",
            ),
            (
                "used up with a token",
                403,
                &used_up,
                "",
                true,
                limited.clone(),
                "the token's requests are used up",
            ),
            ("used up as 429", 429, &used_up, "", false, limited, "60 requests an hour"),
            ("secondary by header", 403, &[("retry-after", "7")], "", false, slow.clone(), "in 7 seconds"),
            (
                "secondary by text",
                403,
                &some,
                "exceeded a secondary rate limit",
                true,
                slow.clone(),
                "in 1 minute",
            ),
            ("plain 429", 429, &[], "", false, slow, "slow down"),
            ("bad token", 401, &some, "Bad credentials", true, FailureClass::Denied, "refused the token"),
            ("no token", 401, &[], "", false, FailureClass::Denied, "answers nobody without a token"),
            (
                "forbidden",
                403,
                &some,
                "Resource not accessible",
                true,
                FailureClass::Denied,
                "`contents: read`",
            ),
            (
                "single sign-on",
                403,
                &[("x-github-sso", "required")],
                "",
                true,
                FailureClass::Denied,
                "single sign-on",
            ),
            ("missing or private", 404, &[], "", false, FailureClass::NotFound, "private and needs a token"),
            ("server error", 502, &[], "<html>", false, FailureClass::Transient, "answered 502"),
            ("anything else", 451, &[], "", false, FailureClass::Permanent, "answered 451"),
        ];
        for (row, status, pairs, body, has_token, class, words) in table {
            let refusal = judged(status, pairs, body, has_token);
            assert_eq!(refusal.failure.class, class, "{row}");
            assert!(refusal.failure.message.contains(words), "{row}: {}", refusal.failure.message);
        }
    }

    #[test]
    fn the_end_of_a_secondary_limit_is_told_by_the_servers_clock() {
        let refusal =
            judged(429, &[("retry-after", "90"), ("date", "Sat, 21 Nov 2026 10:00:00 GMT")], "", false);
        let reset = "2026-11-21T10:01:30Z".parse().unwrap();
        assert_eq!(refusal.failure.class, FailureClass::RateLimited { reset: Some(reset) });
        assert_eq!(refusal.again, Again::After(Duration::from_secs(90)));
    }

    #[test]
    fn absurd_numbers_are_no_panic() {
        for text in ["99999999999999999999", "18446744073709551615", "-1", "soon"] {
            let pairs = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", text)];
            assert_eq!(
                judged(403, &pairs, "", false).failure.class,
                FailureClass::RateLimited { reset: None }
            );
            judged(429, &[("retry-after", text), ("date", "Sat, 21 Nov 2026 10:00:00 GMT")], "", false);
        }
    }

    #[test]
    fn an_enterprise_host_is_told_its_own_setting() {
        let account = Account { host: "ghe.example.com".to_owned(), has_token: false };
        let refusal = refusal(StatusCode::UNAUTHORIZED, &HeaderMap::new(), b"", &account, "tags of `a/b`");
        assert!(refusal.failure.message.ends_with("set `upstreams.hosts.\"ghe.example.com\".token_env`"));
    }
}

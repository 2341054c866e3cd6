//! One attempt: a request, its redirects, and its content, within bounds.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION,
};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::body::{Body, Check};
use super::cache::Description;
use super::failure::{denied, not_found, permanent};
use super::http::{Got, HttpOptions};
use super::reach::unconnected;
use super::redact::{redact, strip};
use super::retry::Refused;
use super::spool::Spool;
use crate::app::ports::Clock;
use crate::domain::upstream::UpstreamFailure;

/// Redirects followed for one question.
const MOST_REDIRECTS: usize = 5;
/// The longest silence in the middle of an answer.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) url: &'a Url,
    pub(crate) accept: Option<&'a str>,
    /// For the origin of `url` only.
    pub(crate) authorization: Option<&'a SecretString>,
    /// What is stored already: only another answer is of interest.
    pub(crate) stored: Option<&'a Description>,
    pub(crate) limit: u64,
    pub(crate) follow: bool,
    pub(crate) challenge: bool,
    /// Where content that is too large for memory goes first; the system's temporary folder comes next.
    pub(crate) folder: Option<&'a Path>,
}

pub(crate) enum Answered {
    NotModified(HeaderMap),
    Content(Content),
}

pub(crate) struct Content {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Body,
    pub(crate) check: Check,
}

impl Content {
    pub(crate) fn into_got(self) -> Got {
        Got {
            status: self.status,
            headers: self.headers,
            url: self.url,
            body: self.body,
            from_cache: false,
            stale: None,
            stored: None,
        }
    }
}

pub(crate) struct Exchange {
    options: HttpOptions,
    /// Made with the first request: reading the machine's certificates costs more than a run that is
    /// answered from the cache.
    client: OnceLock<reqwest::Client>,
}

impl Exchange {
    pub(crate) fn new(options: HttpOptions) -> Self {
        Self { options, client: OnceLock::new() }
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// The client below.
    pub(crate) fn client(&self) -> Result<&reqwest::Client, UpstreamFailure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let options = &self.options;
        // Fails only where a provider is installed already, which then is ours or the program's.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder()
            .user_agent(&options.user_agent)
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.timeout.min(LONGEST_SILENCE))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .pool_max_idle_per_host(options.per_host)
            .build()
            .map_err(|cause| {
                permanent(format!(
                    "cannot set up the HTTP client: {cause}; check certificates and proxies of this machine"
                ))
            })?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Asks once.
    pub(crate) async fn once(
        &self,
        question: &Question<'_>,
        clock: &(dyn Clock + Send + Sync),
    ) -> Result<Answered, Refused> {
        match tokio::time::timeout(self.options.timeout, self.follow(question, clock)).await {
            Ok(answered) => answered,
            Err(_) => Err(Refused::for_now(format!(
                "`{}` did not answer in full within {} s",
                redact(question.url),
                self.options.timeout.as_secs_f32()
            ))),
        }
    }

    async fn follow(
        &self,
        question: &Question<'_>,
        clock: &(dyn Clock + Send + Sync),
    ) -> Result<Answered, Refused> {
        let mut url = question.url.clone();
        // Once another origin was asked, nobody gets credentials any more: who sent us there may
        // have chosen what we ask for on the way back.
        let mut at_home = true;
        for _ in 0..=MOST_REDIRECTS {
            let authorization = question.authorization.filter(|_| at_home);
            let response = self.send(question, &url, authorization).await.map_err(|refused| Refused {
                // Where a redirect led says nothing about the host that was asked.
                unconnected: refused.unconnected.filter(|_| url.origin() == question.url.origin()),
                ..refused
            })?;
            if !(question.follow && is_redirect(response.status())) {
                return read(question, &url, response, authorization.is_some(), clock.now()).await;
            }
            let next = redirected(&url, response.headers().get(LOCATION))?;
            at_home = at_home && next.origin() == question.url.origin();
            url = next;
        }
        Err(Refused::for_good(permanent(format!(
            "`{}` redirects more than {MOST_REDIRECTS} times",
            redact(question.url)
        ))))
    }

    async fn send(
        &self,
        question: &Question<'_>,
        url: &Url,
        authorization: Option<&SecretString>,
    ) -> Result<Response, Refused> {
        let mut request = self.client().map_err(Refused::for_good)?.get(url.clone());
        if let Some(accept) = question.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization.expose_secret()).map_err(|_| {
                Refused::for_good(permanent(format!(
                    "the credentials for `{}` have characters that no header may have",
                    super::failure::authority(url)
                )))
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(stored) = question.stored {
            if let Some(etag) = &stored.etag {
                request = request.header(IF_NONE_MATCH, etag);
            }
            if let Some(date) = &stored.last_modified {
                request = request.header(IF_MODIFIED_SINCE, date);
            }
        }
        request.send().await.map_err(|cause| unsent(url, &cause))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, if it may be followed.
fn redirected(url: &Url, location: Option<&HeaderValue>) -> Result<Url, Refused> {
    let refused = |why: String| Refused::for_good(permanent(format!("`{}` redirects {why}", redact(url))));
    let location = location
        .and_then(|location| std::str::from_utf8(location.as_bytes()).ok())
        .ok_or_else(|| refused("without saying where".to_owned()))?;
    let mut next = url.join(location).map_err(|_| refused("to something that is no URL".to_owned()))?;
    if !matches!(next.scheme(), "http" | "https") {
        return Err(refused(format!("to `{}`, which is not http or https", redact(&next))));
    }
    if url.scheme() == "https" && next.scheme() == "http" {
        return Err(refused(format!(
            "from https to `{}`, which anybody on the way can change",
            redact(&next)
        )));
    }
    // A user in a redirect would become credentials that nobody configured.
    strip(&mut next);
    Ok(next)
}

/// What an answer with this status means, and its content where it has some.
async fn read(
    question: &Question<'_>,
    url: &Url,
    response: Response,
    sent_credentials: bool,
    now: Timestamp,
) -> Result<Answered, Refused> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let shown = redact(url);
    if let Some(passing) = Refused::passing(url, status, headers, now) {
        return Err(passing);
    }
    match status {
        200..=299 => content(question, url, response).await.map(Answered::Content),
        304 if question.stored.is_some() => Ok(Answered::NotModified(headers.clone())),
        301 | 302 | 303 | 307 | 308 if !question.follow => {
            Ok(Answered::Content(without_body(status, url, headers)))
        }
        401 if question.challenge => Ok(Answered::Content(without_body(status, url, headers))),
        401 | 403 | 407 => Err(Refused::for_good(denied(url, status, sent_credentials))),
        404 | 410 => Err(Refused::for_good(not_found(format!(
            "`{shown}` answered {status}: there is nothing; check the URL, or whether it needs credentials"
        )))),
        _ => Err(Refused::for_good(permanent(format!("`{shown}` answered {status}")))),
    }
}

fn without_body(status: u16, url: &Url, headers: &HeaderMap) -> Content {
    Content {
        status,
        headers: headers.clone(),
        url: url.clone(),
        body: Body::Memory(bytes::Bytes::new()),
        check: Check { length: 0, crc: 0 },
    }
}

/// Receives the content, into memory as long as it is small.
async fn content(question: &Question<'_>, url: &Url, mut response: Response) -> Result<Content, Refused> {
    let too_large =
        || Refused::for_good(permanent(format!("`{}` is larger than {} bytes", redact(url), question.limit)));
    if response.content_length().is_some_and(|length| length > question.limit) {
        return Err(too_large());
    }
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut spool = Spool::new(question.folder);
    while let Some(chunk) = response.chunk().await.map_err(|cause| unsent(url, &cause))? {
        if spool.length + chunk.len() as u64 > question.limit {
            return Err(too_large());
        }
        spool.push(&chunk).map_err(|cause| {
            Refused::for_good(permanent(format!("cannot keep the content of `{}`: {cause}", redact(url))))
        })?;
    }
    let (body, check, start) = spool.finish().map_err(|cause| {
        Refused::for_good(permanent(format!("cannot keep the content of `{}`: {cause}", redact(url))))
    })?;
    if is_web_page(&headers, &start) {
        return Err(Refused::for_good(permanent(format!(
            "`{}` answered with a web page instead of data; check the URL, it may want a login",
            redact(url)
        ))));
    }
    Ok(Content { status, headers, url: url.clone(), body, check })
}

/// The whole of a small answer, in memory; `what` it is for people.
pub(super) async fn small(
    url: &Url,
    mut response: Response,
    limit: usize,
    what: &str,
) -> Result<Vec<u8>, Refused> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| unsent(url, &cause))? {
        if body.len() + chunk.len() > limit {
            let told = format!("{what} of `{}` is larger than {limit} bytes", redact(url));
            return Err(Refused::for_good(permanent(told)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether content is a page for people. A server may call data `text/html`; it then does not start with `<`.
fn is_web_page(headers: &HeaderMap, start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    let said = headers.get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().len() >= 9 && kind.as_bytes()[..9].eq_ignore_ascii_case(b"text/html")
    });
    let begins = |tag: &[u8]| start.len() >= tag.len() && start[..tag.len()].eq_ignore_ascii_case(tag);
    (said && start.starts_with(b"<")) || begins(b"<!doctype html") || begins(b"<html")
}

/// A request that got no whole answer. reqwest's own text holds the URL, so its kind is told instead.
pub(super) fn unsent(url: &Url, cause: &reqwest::Error) -> Refused {
    let shown = redact(url);
    if cause.is_builder() {
        return Refused::for_good(permanent(format!("cannot ask `{shown}`: not a URL that can be asked")));
    }
    if let Some(why) = unconnected(cause) {
        return Refused::unconnected(format!("cannot connect to `{shown}`: {why}"), why);
    }
    let mut root: &dyn std::error::Error = cause;
    while let Some(source) = root.source() {
        root = source;
    }
    let what = if cause.is_timeout() {
        format!("`{shown}` fell silent")
    } else {
        format!("the answer of `{shown}` broke off: {root}")
    };
    Refused::for_now(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::retry::Again;

    #[test]
    fn redirects_lead_to_https_or_stay_on_http_and_lose_their_user() {
        let table = [
            ("https://a.example/x/y", "z", Ok("https://a.example/x/z")),
            ("https://a.example/x", "https://b.example/", Ok("https://b.example/")),
            ("https://a.example/x", "//me:pw@b.example/z#f", Ok("https://b.example/z")),
            ("http://a.example/x", "https://a.example/x", Ok("https://a.example/x")),
            ("http://a.example/x", "http://b.example/x", Ok("http://b.example/x")),
            ("https://a.example/x", "http://a.example/x", Err("from https to")),
            ("https://a.example/x", "file:///etc/passwd", Err("not http or https")),
            ("https://a.example/x", "http://", Err("no URL")),
        ];
        for (from, location, expected) in table {
            let location = HeaderValue::from_static(location);
            match (redirected(&Url::parse(from).unwrap(), Some(&location)), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected, "{from} {location:?}"),
                (Err(refused), Err(part)) => {
                    assert!(refused.failure.message.contains(part), "{}", refused.failure);
                    assert_eq!(refused.again, Again::Never);
                }
                (Ok(url), Err(_)) => panic!("{from} was redirected to {url}"),
                (Err(refused), Ok(_)) => panic!("{from}: {}", refused.failure),
            }
        }
        assert!(redirected(&Url::parse("https://a.example").unwrap(), None).is_err());
    }
}

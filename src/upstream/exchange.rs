//! One attempt: a request, its redirects, and its content, within bounds.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flate2::Crc;
use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION,
};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::body::{Body, BodyFile, Check, IN_MEMORY};
use super::cache::{Description, create_new, unique};
use super::failure::{denied, not_found, permanent, rate_limited, transient};
use super::http::{Got, HttpOptions};
use super::reach::unconnected;
use super::redact::{redact, strip};
use super::retry;
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
            stale: false,
            stored: None,
        }
    }
}

/// Whether the same question may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Soon,
    After(Duration),
}

pub(crate) struct Refused {
    pub(crate) failure: UpstreamFailure,
    pub(crate) again: Again,
    /// Why the asked host could not be connected to, where that is what went wrong.
    pub(crate) unconnected: Option<String>,
}

impl Refused {
    fn for_good(failure: UpstreamFailure) -> Self {
        Self { failure, again: Again::Never, unconnected: None }
    }

    fn for_now(message: String) -> Self {
        Self { failure: transient(message), again: Again::Soon, unconnected: None }
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
    match status {
        200..=299 => content(question, url, response).await.map(Answered::Content),
        304 if question.stored.is_some() => Ok(Answered::NotModified(headers.clone())),
        301 | 302 | 303 | 307 | 308 if !question.follow => {
            Ok(Answered::Content(without_body(status, url, headers)))
        }
        401 if question.challenge => Ok(Answered::Content(without_body(status, url, headers))),
        429 => Err(limited(url, status, headers, now)),
        403 if retry::is_rate_limit(headers) => Err(limited(url, status, headers, now)),
        401 | 403 | 407 => Err(Refused::for_good(denied(url, status, sent_credentials))),
        404 | 410 => Err(Refused::for_good(not_found(format!(
            "`{shown}` answered {status}: there is nothing; check the URL, or whether it needs credentials"
        )))),
        408 | 425 | 500..=599 => Err(Refused {
            failure: transient(format!("`{shown}` answered {status}")),
            again: retry::retry_after(headers, now).map_or(Again::Soon, Again::After),
            unconnected: None,
        }),
        _ => Err(Refused::for_good(permanent(format!("`{shown}` answered {status}")))),
    }
}

fn limited(url: &Url, status: u16, headers: &HeaderMap, now: Timestamp) -> Refused {
    let again = match retry::retry_after(headers, now) {
        Some(wait) => Again::After(wait),
        // GitHub's hourly limit: waiting for it would take longer than any run.
        None if status == 403 || headers.contains_key("x-ratelimit-reset") => Again::Never,
        None => Again::Soon,
    };
    Refused { failure: rate_limited(url, status, retry::reset(headers, now)), again, unconnected: None }
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
fn unsent(url: &Url, cause: &reqwest::Error) -> Refused {
    let shown = redact(url);
    if cause.is_builder() {
        return Refused::for_good(permanent(format!("cannot ask `{shown}`: not a URL that can be asked")));
    }
    if let Some(why) = unconnected(cause) {
        let refused = Refused::for_now(format!("cannot connect to `{shown}`: {why}"));
        return Refused { unconnected: Some(why), ..refused };
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

/// Collects content in memory, and in a temporary file once it is large. Where no file can be written (a
/// container with a read-only root, a full disk) it stays in memory.
struct Spool {
    /// Where a file may be made, in order; none any more once no place took one.
    folders: Vec<PathBuf>,
    memory: Vec<u8>,
    file: Option<Spooled>,
    length: u64,
    crc: Crc,
}

struct Spooled {
    file: File,
    body: Arc<BodyFile>,
    start: Vec<u8>,
    written: u64,
}

impl Spool {
    fn new(folder: Option<&Path>) -> Self {
        let folders = folder.map(Path::to_path_buf).into_iter().chain([std::env::temp_dir()]).collect();
        Self::within(folders)
    }

    fn within(folders: Vec<PathBuf>) -> Self {
        Self { folders, memory: Vec::new(), file: None, length: 0, crc: Crc::new() }
    }

    fn push(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.length += chunk.len() as u64;
        self.crc.update(chunk);
        self.memory.extend_from_slice(chunk);
        if self.memory.len() as u64 > IN_MEMORY {
            // Written by the thread that received it: chunks are small and the file is not synced.
            if self.file.is_none() {
                self.open();
            }
            self.write()?;
        }
        Ok(())
    }

    /// Makes a file in the first place that takes one.
    fn open(&mut self) {
        for folder in std::mem::take(&mut self.folders) {
            let path = folder.join(format!("{}.tmp", unique()));
            match create_new(&path) {
                Ok(file) => {
                    let body = BodyFile { path, gzip: false, check: None, temporary: true, limit: u64::MAX };
                    let start = self.memory.iter().take(64).copied().collect();
                    self.file = Some(Spooled { file, body: Arc::new(body), start, written: 0 });
                    return;
                }
                Err(cause) => {
                    tracing::debug!(folder = %folder.display(), reason = %cause, "no file for a large answer here");
                }
            }
        }
    }

    /// Moves what is in memory into the file, if there is one.
    fn write(&mut self) -> std::io::Result<()> {
        let Some(spooled) = &mut self.file else { return Ok(()) };
        if spooled.file.write_all(&self.memory).is_ok() {
            spooled.written += self.memory.len() as u64;
            self.memory.clear();
            return Ok(());
        }
        // The disk is full: what it took is read back.
        let mut memory = Vec::new();
        File::open(spooled.body.path())?.take(spooled.written).read_to_end(&mut memory)?;
        if memory.len() as u64 != spooled.written {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        memory.append(&mut self.memory);
        self.memory = memory;
        self.file = None;
        Ok(())
    }

    /// The body, what it must be when read again, and its first bytes.
    fn finish(mut self) -> std::io::Result<(Body, Check, Vec<u8>)> {
        let check = Check { length: self.length, crc: self.crc.sum() };
        self.write()?;
        Ok(match self.file.take() {
            Some(spooled) => (Body::File(spooled.body), check, spooled.start),
            None => {
                let start = self.memory.iter().take(64).copied().collect();
                (Body::Memory(self.memory.into()), check, start)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where neither the cache nor the temporary folder could be written (a container with a read-only root),
    /// every answer over 1 MiB failed.
    #[test]
    fn large_content_goes_to_the_first_place_that_takes_it_and_else_stays_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let large: Vec<u8> = (0..3 * IN_MEMORY).map(|i| (i % 251) as u8).collect();
        for (folders, in_file) in
            [(vec![none.clone(), folder.path().to_owned()], true), (vec![none.clone(), none.clone()], false)]
        {
            let mut spool = Spool::within(folders);
            for chunk in large.chunks(100_000) {
                spool.push(chunk).unwrap();
            }
            let (body, check, start) = spool.finish().unwrap();
            assert_eq!(matches!(body, Body::File(_)), in_file);
            assert_eq!((check.length, start.as_slice()), (large.len() as u64, &large[..64]));
            assert!(body.bytes(u64::MAX).unwrap() == large);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_gives_back_what_it_took() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::within(vec![folder.path().to_owned()]);
        let large: Vec<u8> = (0..2 * IN_MEMORY).map(|i| (i % 251) as u8).collect();
        for chunk in large.chunks(100_000) {
            spool.push(chunk).unwrap();
            if let Some(spooled) = &mut spool.file {
                // From now on the disk takes no byte.
                spooled.file = File::options().write(true).open("/dev/full").unwrap();
            }
        }
        let (body, ..) = spool.finish().unwrap();
        assert!(matches!(body, Body::Memory(_)) && body.bytes(u64::MAX).unwrap() == large);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

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

//! The one loop that asks again: when, how often, and how long to wait before.
//!
//! Every upstream goes through [`run`]: what an attempt says about its failure decides, never the caller.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::Url;

use super::failure::{rate_limited, transient};
use super::http::Http;
use super::redact::redact;
use crate::domain::upstream::UpstreamFailure;

/// The longest wait that we choose ourselves.
const LONGEST_OWN_PAUSE: Duration = Duration::from_secs(10);

/// How patient to be with one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Further attempts after the first one failed for a passing reason.
    pub retries: u32,
    /// The first wait that we choose ourselves; it doubles with every attempt, and jitter is added.
    pub first_pause: Duration,
    /// The longest wait that an upstream may impose; what asks for more has failed for this run.
    pub longest_pause: Duration,
}

impl Default for Policy {
    /// 3 retries from 250 ms; an upstream may ask for a minute.
    fn default() -> Self {
        Self { retries: 3, first_pause: Duration::from_millis(250), longest_pause: Duration::from_secs(60) }
    }
}

impl Policy {
    /// The usual patience with another number of retries.
    pub fn times(retries: u32) -> Self {
        Self { retries, ..Self::default() }
    }

    /// The waits that we choose ourselves, in order.
    fn pauses(self) -> impl Iterator<Item = Duration> + Send {
        use backon::BackoffBuilder as _;
        backon::ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(LONGEST_OWN_PAUSE)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(usize::try_from(self.retries).unwrap_or(usize::MAX))
            .build()
    }
}

/// Whether the same question may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Soon,
    After(Duration),
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) failure: UpstreamFailure,
    pub(crate) again: Again,
    /// Why the asked host could not be connected to, where that is what went wrong.
    pub(crate) unconnected: Option<String>,
}

impl Refused {
    /// Asking again brings nothing else.
    pub(crate) fn for_good(failure: UpstreamFailure) -> Self {
        Self { failure, again: Again::Never, unconnected: None }
    }

    /// May go well next time; `message` must already be redacted.
    pub(crate) fn for_now(message: impl Into<String>) -> Self {
        Self { failure: transient(message), again: Again::Soon, unconnected: None }
    }

    /// Nobody was there; `cause` must already be redacted.
    pub(crate) fn unconnected(message: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { unconnected: Some(cause.into()), ..Self::for_now(message) }
    }

    /// What a status says that may pass: too many requests (429, and 403 in disguise), 408, 425 and 5xx.
    pub(crate) fn passing(url: &Url, status: u16, headers: &HeaderMap, now: Timestamp) -> Option<Self> {
        let wished = retry_after(headers, now);
        let (failure, again) = match status {
            429 => {
                // GitHub's hourly limit: waiting for it would take longer than any run.
                let hourly = headers.contains_key("x-ratelimit-reset");
                let otherwise = if hourly { Again::Never } else { Again::Soon };
                (rate_limited(url, status, reset(headers, now)), wished.map_or(otherwise, Again::After))
            }
            403 if is_rate_limit(headers) => {
                (rate_limited(url, status, reset(headers, now)), wished.map_or(Again::Never, Again::After))
            }
            408 | 425 | 500..=599 => (
                transient(format!("`{}` answered {status}", redact(url))),
                wished.map_or(Again::Soon, Again::After),
            ),
            _ => return None,
        };
        Some(Self { failure, again, unconnected: None })
    }
}

/// Asks the host of `url`, each time in a turn of its own, until there is an answer, a lasting failure, or
/// no attempt left.
///
/// # Errors
/// What the last attempt failed with; or the host is given up for this run.
pub(crate) async fn run<T, F>(
    http: &Http,
    url: &Url,
    policy: Policy,
    mut attempt: impl FnMut() -> F + Send,
) -> Result<T, UpstreamFailure>
where
    F: Future<Output = Result<T, Refused>> + Send,
{
    let mut pauses = policy.pauses();
    loop {
        let refused = {
            let turn = http.turn(url).await?;
            match attempt().await {
                Ok(answered) => {
                    turn.answered();
                    return Ok(answered);
                }
                Err(refused) => {
                    match &refused.unconnected {
                        Some(cause) => turn.unconnected(cause),
                        None => turn.answered(),
                    }
                    refused
                }
            }
        };
        let Some(own) = pauses.next().filter(|_| refused.again != Again::Never) else {
            return Err(refused.failure);
        };
        let pause = match refused.again {
            Again::After(wished) if wished > policy.longest_pause => return Err(refused.failure),
            Again::After(wished) => wished.max(own),
            Again::Soon | Again::Never => own,
        };
        tracing::debug!(
            url = %redact(url),
            reason = %refused.failure,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "asking again"
        );
        tokio::time::sleep(pause).await;
    }
}

/// How long `Retry-After` asks to wait: seconds, or a date (RFC 9110 section 10.2.3).
///
/// A date in the past is no wait; what cannot be read is `None`.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// When a rate limit ends: `Retry-After`, else `x-ratelimit-reset` (seconds since 1970, GitHub REST docs).
pub fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    if let Some(wait) = retry_after(headers, now) {
        return now.checked_add(SignedDuration::try_from(wait).ok()?).ok();
    }
    let seconds = headers.get("x-ratelimit-reset")?.to_str().ok()?.trim().parse::<i64>().ok()?;
    Timestamp::from_second(seconds).ok()
}

/// Whether a 403 is a rate limit in disguise (GitHub REST docs: `x-ratelimit-remaining: 0`, or `retry-after`).
pub fn is_rate_limit(headers: &HeaderMap) -> bool {
    headers.contains_key(RETRY_AFTER)
        || headers.get("x-ratelimit-remaining").is_some_and(|remaining| remaining.as_bytes() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::http::HttpOptions;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_date() {
        for (value, expected) in [
            ("0", Some(Duration::ZERO)),
            ("7", Some(Duration::from_secs(7))),
            (" 7 ", Some(Duration::from_secs(7))),
            ("18446744073709551615", Some(Duration::from_secs(u64::MAX))),
            ("Sat, 21 Nov 2026 10:00:30 GMT", Some(Duration::from_secs(30))),
            ("Sat, 21 Nov 2026 09:00:00 GMT", Some(Duration::ZERO)),
            ("-3", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(&headers("retry-after", value), now()), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now()), None);
    }

    #[test]
    fn reset_comes_from_either_header_and_never_overflows() {
        let later: Timestamp = "2026-11-21T10:01:00Z".parse().unwrap();
        assert_eq!(reset(&headers("retry-after", "60"), now()), Some(later));
        assert_eq!(reset(&headers("x-ratelimit-reset", &later.as_second().to_string()), now()), Some(later));
        assert_eq!(reset(&headers("retry-after", "18446744073709551615"), now()), None);
        assert_eq!(reset(&headers("x-ratelimit-reset", "99999999999999999"), now()), None);
    }

    #[test]
    fn own_pauses_grow_are_bounded_and_end() {
        let policy = Policy::times(8);
        let all: Vec<Duration> = policy.pauses().collect();
        assert_eq!(all.len(), 8);
        let bounds = policy.first_pause..=2 * LONGEST_OWN_PAUSE;
        assert!(all.iter().all(|pause| bounds.contains(pause)), "{all:?}");
        assert!(all[7] > all[0]);
        assert_eq!(Policy::times(0).pauses().count(), 0);
    }

    #[test]
    fn statuses_that_may_pass_are_asked_again_and_others_are_left_to_the_caller() {
        let url = Url::parse("https://a.example/x").unwrap();
        let limit = [("x-ratelimit-reset", "1793275200")];
        let seven = [("retry-after", "7")];
        let after = Again::After(Duration::from_secs(7));
        type Row<'a> = (u16, &'a [(&'static str, &'a str)], Option<Again>);
        let table: [Row<'_>; 12] = [
            (429, &[], Some(Again::Soon)),
            (429, &seven, Some(after)),
            (429, &limit, Some(Again::Never)),
            (403, &[("x-ratelimit-remaining", "0")], Some(Again::Never)),
            (403, &seven, Some(after)),
            (403, &[], None),
            (408, &[], Some(Again::Soon)),
            (425, &[], Some(Again::Soon)),
            (503, &seven, Some(after)),
            (599, &[], Some(Again::Soon)),
            (401, &seven, None),
            (404, &[], None),
        ];
        for (status, pairs, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            let refused = Refused::passing(&url, status, &headers, now());
            assert_eq!(refused.map(|refused| refused.again), expected, "{status} {pairs:?}");
        }
    }

    /// How the loop ends when the first attempts fail so, and how often it asked.
    async fn ended(failures: Vec<Refused>) -> (Result<(), UpstreamFailure>, usize) {
        let policy = Policy {
            retries: 2,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(50),
        };
        let http = Http::new(HttpOptions::default()).unwrap();
        let url = Url::parse("https://a.example/x").unwrap();
        let (mut failures, mut asked) = (failures.into_iter(), 0);
        let attempt = || {
            asked += 1;
            let failed = failures.next();
            async move { failed.map_or(Ok(()), Err) }
        };
        (run(&http, &url, policy, attempt).await, asked)
    }

    #[tokio::test]
    async fn the_loop_ends_with_an_answer_a_lasting_failure_a_long_wish_or_its_patience() {
        let soon = || Refused::for_now("soon");
        let lasting = || Refused::for_good(transient("lasting"));
        let wish = |wait| Refused { again: Again::After(wait), ..soon() };
        let table = [
            (vec![], Ok(()), 1),
            (vec![soon(), soon()], Ok(()), 3),
            (vec![soon(), soon(), soon()], Err("soon"), 3),
            (vec![lasting()], Err("lasting"), 1),
            (vec![soon(), lasting()], Err("lasting"), 2),
            (vec![wish(Duration::ZERO), wish(Duration::from_millis(40))], Ok(()), 3),
            (vec![wish(Duration::from_secs(3600))], Err("soon"), 1),
        ];
        for (failures, expected, attempts) in table {
            let shown = format!("{failures:?}");
            let (end, asked) = ended(failures).await;
            assert_eq!(
                (end.map_err(|failure| failure.message), asked),
                (expected.map_err(str::to_owned), attempts),
                "{shown}"
            );
        }
    }

    #[tokio::test]
    async fn a_host_that_nobody_could_connect_to_is_given_up_in_the_middle_of_its_retries() {
        let away = || Refused::unconnected("cannot connect", "refused");
        let (end, asked) = ended(vec![away(), away(), away()]).await;
        assert_eq!(asked, 2);
        assert!(end.unwrap_err().message.contains("not asked again in this run"));
    }
}

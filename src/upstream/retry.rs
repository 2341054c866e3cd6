//! When to ask again, and how long to wait before.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest wait that an upstream may impose; what asks for more has failed for this run.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The shortest and longest wait that we choose ourselves.
const OWN_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Growing waits with jitter, at most `retries` of them.
pub fn pauses(retries: u32) -> impl Iterator<Item = Duration> + Send {
    use backon::BackoffBuilder as _;
    backon::ExponentialBuilder::default()
        .with_min_delay(OWN_PAUSES.0)
        .with_max_delay(OWN_PAUSES.1)
        .with_factor(2.0)
        .with_jitter()
        .with_max_times(usize::try_from(retries).unwrap_or(usize::MAX))
        .build()
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
        let all: Vec<Duration> = pauses(8).collect();
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|pause| *pause >= OWN_PAUSES.0 && *pause <= 2 * OWN_PAUSES.1), "{all:?}");
        assert!(all[7] > all[0]);
        assert_eq!(pauses(0).count(), 0);
    }
}

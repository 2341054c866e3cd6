//! Maintenance windows: when proposing and merging are allowed.
//!
//! A window opens at the times of a cron expression, by the clock on the wall of its time zone, and stays open for a
//! fixed time that really passes: four hours are four hours also in the night in which the clocks change. A time
//! that the clocks skip counts as later by as much as they skip (02:30 is 03:30 then); a time that comes twice
//! counts the first time.

use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// Longest window: a week.
pub const MAX_DURATION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Shortest window: a minute, the resolution of cron.
pub const MIN_DURATION: Duration = Duration::from_secs(60);

/// More than clocks are ever changed by, in hours: a time on the wall is that near to where it is looked for.
const CLOCK_CHANGE_HOURS: i64 = 3;
/// How often the end of a window is moved on because another has begun by then.
const MAX_CHAIN: usize = 100;

/// Why something is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not five fields that cron knows.
    #[error(
        "`{text}` is not a cron expression of five fields: minute, hour, day of month, month, day of week (such as `0 2 * * 6`)"
    )]
    Cron {
        /// The expression.
        text: String,
    },
    /// A date that does not come within four years.
    #[error("`{text}` never comes")]
    Never {
        /// The expression.
        text: String,
    },
    /// Shorter than [`MIN_DURATION`] or longer than [`MAX_DURATION`].
    #[error("a window is open for `1m` at least and `7d` at most")]
    Duration,
}

/// One window, coming again and again.
#[derive(Debug, Clone)]
pub struct Window {
    /// Of times on the wall; the zone of the expression itself is not used.
    cron: Crontab,
    text: String,
    duration: Duration,
    zone: TimeZone,
    by: String,
}

/// Whether any window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Open now.
    Open {
        /// When it closes; `None` where no window is needed, or one follows upon the other without end.
        until: Option<Timestamp>,
    },
    /// Closed now.
    Closed {
        /// When the next one opens.
        next: Option<Timestamp>,
    },
}

/// An expression of five fields, and its text with single blanks.
fn read_cron(cron: &str) -> Result<(Crontab, String), WindowError> {
    let text = cron.split_whitespace().collect::<Vec<_>>().join(" ");
    let wrong = || WindowError::Cron { text: text.chars().take(80).collect() };
    if text.split(' ').count() != 5 || text.len() > 200 {
        return Err(wrong());
    }
    let parsed = cronexpr::parse_crontab(&format!("{text} UTC")).map_err(|_| wrong())?;
    Ok((parsed, text))
}

impl Window {
    /// A window that opens at the times of `cron` in `zone` and stays open for `duration`; `by` is the configuration
    /// key or option that asked for it.
    ///
    /// # Errors
    ///
    /// When the expression cannot be read or never comes, and when the duration is out of bounds.
    pub fn new(cron: &str, duration: Duration, zone: TimeZone, by: &str) -> Result<Self, WindowError> {
        let (parsed, text) = read_cron(cron)?;
        Self::check_duration(duration)?;
        let window = Self { cron: parsed, text, duration, zone, by: by.to_owned() };
        match window.comes() {
            true => Ok(window),
            false => Err(WindowError::Never { text: window.text }),
        }
    }

    /// Whether a window could open at the times of an expression, whatever its zone.
    ///
    /// # Errors
    ///
    /// When the expression cannot be read or never comes.
    pub fn check_cron(cron: &str) -> Result<(), WindowError> {
        Self::new(cron, MIN_DURATION, TimeZone::UTC, "").map(drop)
    }

    /// Whether a window may be open for that long.
    ///
    /// # Errors
    ///
    /// [`WindowError::Duration`].
    pub fn check_duration(duration: Duration) -> Result<(), WindowError> {
        match (MIN_DURATION..=MAX_DURATION).contains(&duration) {
            true => Ok(()),
            false => Err(WindowError::Duration),
        }
    }

    /// From any day, every date comes within four years, but for those that do not exist.
    fn comes(&self) -> bool {
        self.after(DateTime::constant(2023, 12, 31, 23, 59, 0, 0)).is_some()
    }

    /// The configuration key or option that asked for it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// When it opens next, after `now`.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).1
    }

    /// A time as the people of the window's zone read it from the wall: `2026-11-28 02:00 Europe/Berlin`.
    pub fn on_the_wall(&self, at: Timestamp) -> String {
        format!("{} {}", at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M"), self.zone_name())
    }

    /// The zone of its times.
    fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The next beginning after a time on the wall: as it stands there, and when that is.
    fn after(&self, civil: DateTime) -> Option<(DateTime, Timestamp)> {
        let as_utc = TimeZone::UTC.to_timestamp(civil).ok()?;
        let next = self.cron.find_next(MakeTimestamp(as_utc)).ok()?.datetime();
        // `compatible`: later where the clocks skip the time, the first where it comes twice.
        let begins = self.zone.to_ambiguous_timestamp(next).compatible().ok()?;
        Some((next, begins))
    }

    /// When the beginnings before or at `now` that still last end, and when the first after it is.
    fn around(&self, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let slack = Span::new().hours(CLOCK_CHANGE_HOURS);
        let lasts = SignedDuration::try_from(self.duration).unwrap_or(SignedDuration::MAX);
        let on_the_wall = self.zone.to_datetime(now);
        let (Ok(last), Ok(first)) = (
            on_the_wall.checked_add(slack),
            on_the_wall.checked_sub(slack).and_then(|civil| civil.checked_sub(lasts)),
        ) else {
            return (None, None);
        };
        let (mut civil, mut ends, mut next) = (first, None, None);
        // Changes of the clocks bring the beginnings out of order, hence the slack on both sides.
        while civil <= last {
            let Some((wall, begins)) = self.after(civil) else { break };
            civil = wall;
            if begins > now {
                next = Some(next.map_or(begins, |earlier: Timestamp| earlier.min(begins)));
            } else if let Ok(end) = begins.checked_add(lasts)
                && end > now
            {
                ends = ends.max(Some(end));
            }
        }
        (ends, next)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let zone = self.zone_name();
        let duration = SignedDuration::try_from(self.duration).unwrap_or(SignedDuration::MAX);
        write!(f, "`{}` {zone} for {duration:#}", self.text)
    }
}

/// Whether one of the windows is open. Without windows it is always open.
pub fn open<'a>(windows: impl IntoIterator<Item = &'a Window>, now: Timestamp) -> Opening {
    let windows: Vec<&Window> = windows.into_iter().collect();
    if windows.is_empty() {
        return Opening::Open { until: None };
    }
    let ends = |at: Timestamp| windows.iter().filter_map(|window| window.around(at).0).max();
    let Some(mut until) = ends(now) else {
        return Opening::Closed { next: windows.iter().filter_map(|window| window.next(now)).min() };
    };
    for _ in 0..MAX_CHAIN {
        // A window that begins when another ends keeps it open.
        match ends(until) {
            Some(later) => until = later,
            None => return Opening::Open { until: Some(until) },
        }
    }
    Opening::Open { until: None }
}

#[cfg(test)]
mod tests;

//! Samples of health over a window: enough good ones, too many bad ones, or a contradiction.

use std::collections::VecDeque;
use std::time::Duration;

use super::line::Moment;
use super::settings::Settings;

/// Most samples that are kept; the oldest go first.
const KEPT: usize = 10_000;

/// Samples since everything is applied.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    samples: VecDeque<bool>,
    /// Samples that are not kept any more and were bad, and all of them.
    gone: (usize, usize),
}

/// What the samples say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trend {
    /// Nothing yet, or good so far.
    Good,
    /// Bad now, but not for long enough.
    Doubtful,
    /// Good for long enough.
    Passed,
    /// Bad for long enough.
    Failed,
    /// Good and bad in turn.
    Flapping,
}

impl Window {
    /// Forgets every sample: what is watched has begun anew.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// Takes a sample in.
    pub(super) fn add(&mut self, bad: bool) {
        if self.samples.len() == KEPT
            && let Some(oldest) = self.samples.pop_front()
        {
            self.gone.0 += usize::from(oldest);
            self.gone.1 += 1;
        }
        self.samples.push_back(bad);
    }

    /// What the samples say when the window has been open since `from`, settle time included, for `length`.
    pub(super) fn trend(&self, settings: &Settings, from: Moment, length: Duration, now: Moment) -> Trend {
        let changes =
            self.samples.iter().zip(self.samples.iter().skip(1)).filter(|(one, next)| one != next).count();
        if settings.flaps > 0 && changes >= settings.flaps {
            return Trend::Flapping;
        }
        let last = |count: usize| self.samples.iter().rev().take(count);
        if settings.bad > 0 && last(settings.bad_of).filter(|bad| **bad).count() >= settings.bad {
            return Trend::Failed;
        }
        if self.samples.back() == Some(&true) {
            return Trend::Doubtful;
        }
        let good = last(settings.good).filter(|bad| !**bad).count();
        if now < from.after(length) || good < settings.good {
            return Trend::Good;
        }
        let bad = self.gone.0 + self.samples.iter().filter(|bad| **bad).count();
        let share = bad as f64 / (self.gone.1 + self.samples.len()).max(1) as f64;
        if share > settings.failure_rate { Trend::Failed } else { Trend::Passed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::nothing_is_said_before_the_window_ends("......", 59, Trend::Good)]
    #[case::five_good_samples_at_the_end_pass("......", 60, Trend::Passed)]
    #[case::four_samples_are_too_few("....", 60, Trend::Good)]
    #[case::one_bad_sample_is_doubtful(".....x", 60, Trend::Doubtful)]
    #[case::three_of_five_are_a_failure(".....xxx", 30, Trend::Failed)]
    #[case::a_gap_does_not_help("......x.xx", 30, Trend::Flapping)]
    #[case::three_changes_are_a_contradiction(".x..x.", 30, Trend::Flapping)]
    #[case::one_bad_of_many_is_forgiven("..........x...........", 60, Trend::Passed)]
    #[case::more_than_a_tenth_bad_is_a_failure("...xx........", 60, Trend::Failed)]
    fn samples_say(#[case] samples: &str, #[case] seconds: u64, #[case] expected: Trend) {
        let mut window = Window::default();
        for sample in samples.chars() {
            window.add(sample == 'x');
        }
        let now = Moment(0).after(Duration::from_secs(seconds));
        assert_eq!(window.trend(&Settings::default(), Moment(0), Duration::from_secs(60), now), expected);
    }
}

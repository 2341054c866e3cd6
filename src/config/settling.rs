//! What the `validation` block and rules say to the judge.

use super::validation::Validation;
use crate::domain::rule::health::HealthRule;
use crate::domain::settle::settings::{Own, Settings, Windows};

impl Validation {
    /// Windows and thresholds for every component.
    pub fn settings(&self) -> Settings {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Settings {
            sample: self.sample,
            settle: self.settle,
            windows: self.window.map_or_else(Windows::default, Windows::all),
            good: count(self.good_samples),
            bad: count(self.bad_samples),
            bad_of: count(self.bad_of),
            failure_rate: self.failure_rate,
            flaps: count(self.state_changes),
            cap: self.cap,
            ..Settings::default()
        }
    }

    /// What one component has of its own. What the configuration says, be it for all, comes before what its rule says.
    pub fn own(&self, id: &str, kind: &str, rule: Option<&HealthRule>) -> Own {
        let held = self.for_component(id, kind);
        let by_rule = rule.and_then(|rule| rule.window).filter(|_| self.window.is_none());
        Own {
            settle: held.settle.by.is_some().then_some(held.settle.value),
            window: held.window.value.or(by_rule),
            cap: held.cap.by.is_some().then_some(held.cap.value),
            counts: rule.map(|rule| rule.counts.clone()).unwrap_or_default(),
        }
    }
}

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

    /// The same, with what components have of their own: by id and kind, with what their rule says.
    pub fn settings_for<'a>(
        &self,
        components: impl IntoIterator<Item = (&'a str, &'a str, Option<&'a HealthRule>)>,
    ) -> Settings {
        let own = components.into_iter().map(|(id, kind, rule)| (id.to_owned(), self.own(id, kind, rule)));
        Settings { components: own.collect(), ..self.settings() }
    }

    /// What one component has of its own. A key for the component is asked before its rule, a rule before the keys
    /// for all.
    pub fn own(&self, id: &str, kind: &str, rule: Option<&HealthRule>) -> Own {
        let held = self.for_component(id, kind);
        Own {
            settle: held.settle.by.is_some().then_some(held.settle.value),
            window: held.window.value.or(rule.and_then(|rule| rule.window)),
            cap: held.cap.by.is_some().then_some(held.cap.value),
        }
    }
}

//! What the `validation` block and rules say to the judge, and how a recording holds it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::validation::Validation;
use super::values::humane;
use super::{Origin, Trust};
use crate::domain::rule::health::HealthRule;
use crate::domain::settle::health::HealthSettings;
use crate::domain::settle::settings::{Own, Settings, Windows};

/// Keys of `validation` on which verdicts rest.
const DECIDING: [&str; 10] = [
    "sample",
    "settle",
    "window",
    "good_samples",
    "bad_samples",
    "bad_of",
    "failure_rate",
    "state_changes",
    "cap",
    "components",
];
/// Most findings of a policy that are told.
const MOST_TOLD: usize = 5;

/// The policy of a recording.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The keys that decide.
    pub validation: Validation,
    /// By component: checks whose findings count against it wherever they are, as rules said.
    pub counts: BTreeMap<String, Vec<String>>,
}

impl Recorded {
    /// What one component has of its own.
    pub fn own(&self, id: &str, kind: &str) -> Own {
        let counts = self.counts.get(id).cloned().unwrap_or_default();
        Own { counts, ..self.validation.own(id, kind, None) }
    }

    /// Reads a policy as [`recorded_policy`] writes it, or the part of a whole configuration that decides; `None` where it says
    /// nothing of that.
    ///
    /// # Errors
    ///
    /// It has a key that is not valid; for people.
    pub fn read(policy: &Value) -> Result<Option<Self>, String> {
        let Some(Value::Object(said)) = policy.get("validation") else { return Ok(None) };
        let kept: Map<String, Value> = said
            .iter()
            .filter(|(key, _)| DECIDING.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        // A JSON document is a YAML document.
        let text = json!({ "validation": kept }).to_string();
        let origin = Origin { name: "config", trust: Trust::Repository, folder: None, repository: None };
        let validation = match super::parse(&text, &origin) {
            Ok(config) => config.validation,
            Err(findings) => {
                let said: Vec<String> =
                    findings.iter().take(MOST_TOLD).map(|finding| finding.to_string()).collect();
                return Err(said.join("; "));
            }
        };
        let counts = policy.get("counts").cloned().unwrap_or_else(|| json!({}));
        let counts = serde_json::from_value(counts).map_err(|error| format!("`counts`: {error}"))?;
        Ok(Some(Self { validation, counts }))
    }
}

/// What is judged by, as a recording holds it: keys of the configuration, with what rules and kinds say of these
/// components (ids and kinds) resolved.
pub fn recorded_policy<'a>(
    settings: &Settings,
    components: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Value {
    let mut validation = json!({
        "sample": humane(settings.sample),
        "settle": humane(settings.settle),
        "good_samples": settings.good,
        "bad_samples": settings.bad,
        "bad_of": settings.bad_of,
        "failure_rate": settings.failure_rate,
        "state_changes": settings.flaps,
        "cap": humane(settings.cap),
    });
    // One window for all kinds is one that was configured.
    if settings.windows == Windows::all(settings.windows.other) {
        validation["window"] = json!(humane(settings.windows.other));
    }
    let (mut own, mut counts) = (Map::new(), Map::new());
    for (id, kind) in components {
        let of = json!({
            "settle": humane(settings.settle(id)),
            "window": humane(settings.window(id, kind)),
            "cap": humane(settings.cap(id)),
        });
        own.insert(id.to_owned(), of);
        let counted = settings.components.get(id).map(|own| own.counts.as_slice()).unwrap_or_default();
        if !counted.is_empty() {
            counts.insert(id.to_owned(), json!(counted));
        }
    }
    validation["components"] = Value::Object(own);
    match counts.is_empty() {
        true => json!({ "validation": validation }),
        false => json!({ "validation": validation, "counts": counts }),
    }
}

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

    /// The patience of the health checks: none longer than the window, where one is configured for all.
    pub fn health(&self) -> HealthSettings {
        match self.window {
            Some(window) => HealthSettings::default().within(window),
            None => HealthSettings::default(),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn seconds(least: u64, most: u64) -> impl Strategy<Value = Duration> {
        (least..=most).prop_map(Duration::from_secs)
    }

    proptest! {
        /// A recording is judged by exactly what the pass judged by, be it from rules, kinds or keys.
        #[test]
        fn policy_that_is_written_is_read_again(
            sample in seconds(1, 300),
            (settle, cap) in (seconds(0, 3_600), seconds(7_200, 604_800)),
            window in proptest::option::of(seconds(1, 3_600)),
            (good, bad, flaps) in (1_usize..=100, 1_usize..=5, 2_usize..=100),
            rate in 0_u32..=1_000,
            own in proptest::option::of((seconds(0, 3_600), seconds(1, 7_000))),
            counts in proptest::collection::vec("[a-z_]{1,12}", 0..3),
            component in prop_oneof![Just("k3s"), Just("helm/apps/podinfo"), Just("staging:longhorn"), Just("own-thing/x")],
        ) {
            let kind = component.rsplit(':').next().unwrap_or(component).split('/').next().unwrap_or(component);
            let mut settings = Settings {
                sample, settle, cap, good, bad, bad_of: 5.max(bad), flaps,
                failure_rate: f64::from(rate) / 1_000.0,
                windows: window.map_or_else(Windows::default, Windows::all),
                ..Settings::default()
            };
            let own = own.map(|(settle, window)| Own { settle: Some(settle), window: Some(window), cap: None, counts: counts.clone() });
            settings.components.extend(own.map(|own| (component.to_owned(), own)));
            let written = recorded_policy(&settings, [(component, kind)]);
            let read = Recorded::read(&written).unwrap().unwrap();
            let mut again = read.validation.settings();
            again.components.insert(component.to_owned(), read.own(component, kind));
            prop_assert_eq!(again.window(component, kind), settings.window(component, kind));
            prop_assert_eq!(again.settle(component), settings.settle(component));
            prop_assert_eq!(again.cap(component), settings.cap(component));
            for check in &counts {
                prop_assert_eq!(again.counts(component, check), settings.counts(component, check));
            }
            let bare = |settings: Settings| Settings { components: BTreeMap::new(), ..settings };
            prop_assert_eq!(bare(again), bare(settings));
            prop_assert_eq!(read.validation.window, window);
        }
    }
}

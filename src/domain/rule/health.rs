//! What a rule says about proving an update healthy: how long, by what, and what a person does where it is not.

use std::time::Duration;

use super::Rule;
use super::planning::RestoreRule;
use crate::domain::backup::Saved;

/// What is looked at after an update, beside what it touches itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthRule {
    /// How long it is watched; `None` = as its kind.
    pub window: Option<Duration>,
    /// Checks whose findings count against the update wherever in the cluster they are.
    pub counts: Vec<String>,
    /// The storage is tried, where the configuration says how.
    pub storage: bool,
    /// The network is tried, where the configuration says how.
    pub network: bool,
}

/// The rules that speak of a component of which only the id is known, the most particular first.
///
/// What a rule is `about` is known by the name of the release or of the image; `chart` is the chart's own name, where
/// somebody knows it.
fn speaking<'r>(rules: &'r [Rule], id: &str, chart: Option<&str>) -> Vec<&'r Rule> {
    let bare = match (id.find(':'), id.find('/')) {
        (Some(colon), slash) if slash.is_none_or(|slash| colon < slash) => &id[colon + 1..],
        _ => id,
    };
    let named = |rule: &Rule| {
        let about = &rule.planning.about;
        let last = bare.rsplit('/').next().unwrap_or(bare);
        match bare.split('/').next() {
            Some("helm" | "oci") => about.charts.iter().any(|name| name == chart.unwrap_or(last)),
            Some("image") => about
                .images
                .iter()
                .any(|image| bare.strip_suffix(image.as_str()).is_some_and(|before| before.ends_with('/'))),
            _ => false,
        }
    };
    let owned = |rule: &Rule| !rule.component.id.contains('{') && rule.component.id == bare;
    let mut found: Vec<&Rule> = rules.iter().filter(|rule| named(rule) || owned(rule)).collect();
    found.sort_by_key(|rule| !named(rule));
    found
}

/// What is to be looked at after an update of a component, and the id of the rule that says so.
pub fn health_for<'r>(rules: &'r [Rule], id: &str, chart: Option<&str>) -> Option<(&'r HealthRule, &'r str)> {
    speaking(rules, id, chart)
        .into_iter()
        .find_map(|rule| rule.planning.health.as_ref().map(|health| (health, rule.id.as_str())))
}

/// What a person does next where an update of a component is held, as a numbered list in Markdown; last what is restored,
/// by what was backed up before the update.
pub fn runbook_for(rules: &[Rule], id: &str, chart: Option<&str>, saved: &Saved<'_>) -> Option<String> {
    let rule = speaking(rules, id, chart).into_iter().find(|rule| !rule.planning.runbook.is_empty())?;
    let planning = &rule.planning;
    let last = planning.restore.as_ref().map(|restore| restore.words(saved));
    let steps = planning.runbook.iter().map(|step| step.trim().to_owned()).chain(last).enumerate();
    Some(steps.map(|(at, step)| format!("{}. {step}\n", at + 1)).collect())
}

/// What a person restores as the last way back from an update of a component.
pub fn restore_for<'r>(rules: &'r [Rule], id: &str, chart: Option<&str>) -> Option<&'r RestoreRule> {
    speaking(rules, id, chart).into_iter().find_map(|rule| rule.planning.restore.as_ref())
}

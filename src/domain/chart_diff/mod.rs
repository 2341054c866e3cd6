//! Two versions of a chart side by side: what a reviewer must know before the newer one is installed.
//!
//! Charts are data of strangers: nothing here runs a template. What only a rendered chart shows is a hint, and said
//! to be one.

mod crds;
mod images;
mod immutable;
mod release;
mod rendered;
mod schema;
mod tree;
mod values;

use std::collections::BTreeMap;

use serde_json::Value;
use similar::TextDiff;

pub use crds::Lost;
pub use release::{Releases, UserValues, user_values};
pub use rendered::compare_rendered;

use super::message::Section;

/// Lines of context around a change of default values.
const CONTEXT: usize = 2;

/// A chart that cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// There is no `Chart.yaml`.
    #[error("the archive holds no chart: `Chart.yaml` is missing")]
    NoChart,
    /// A file that Helm needs is not YAML or JSON.
    #[error("`{file}` of the chart cannot be read: {reason}")]
    Unreadable {
        /// Path within the chart.
        file: String,
        /// What the reader said.
        reason: String,
    },
}

/// One version of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Name.
    pub name: String,
    /// Version of the chart.
    pub version: String,
    /// Version of what it installs.
    pub app_version: Option<String>,
    /// Versions of Kubernetes that it may be installed on, as Helm understands ranges.
    pub kube_version: Option<String>,
    /// It is not maintained any more.
    pub deprecated: bool,
    values: Value,
    values_text: String,
    schema: Option<Value>,
    /// Text files by path within the chart.
    files: BTreeMap<String, String>,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// For the reviewer, urgent ones first.
    pub sections: Vec<Section>,
    /// What stops the step.
    pub harm: Harm,
}

/// What of a newer chart stops its step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Harm {
    /// Versions of CRDs that are no longer served, and CRDs that are gone: nothing brings objects back that were
    /// stored as those.
    pub lost: Vec<Lost>,
    /// The user's values are refused by the schema of the newer chart and were not by that of the older one, so
    /// that Helm would refuse the upgrade.
    pub refused: bool,
}

impl Chart {
    /// A chart from its files, by path within the chart (`Chart.yaml`, `templates/x.yaml`, `charts/sub/…`).
    ///
    /// # Errors
    ///
    /// It has no readable `Chart.yaml`, `values.yaml` or `values.schema.json`.
    pub fn new(files: BTreeMap<String, String>) -> Result<Self, ChartError> {
        let unreadable =
            |file: &'static str| move |reason| ChartError::Unreadable { file: file.to_owned(), reason };
        let text = files.get("Chart.yaml").ok_or(ChartError::NoChart)?;
        let about = tree::first(text).map_err(unreadable("Chart.yaml"))?;
        let word = |key: &str| match about.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let values_text = files.get("values.yaml").cloned().unwrap_or_default();
        let values = tree::first(&values_text).map_err(unreadable("values.yaml"))?;
        let schema = files
            .get("values.schema.json")
            .map(|text| serde_json::from_str(text).map_err(|error| error.to_string()))
            .transpose()
            .map_err(unreadable("values.schema.json"))?;
        Ok(Self {
            name: word("name").unwrap_or_default(),
            version: word("version").unwrap_or_default(),
            app_version: word("appVersion"),
            kube_version: word("kubeVersion"),
            deprecated: about.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
            values,
            values_text,
            schema,
            files,
        })
    }
}

impl Chart {
    /// Its text files, by path within the chart.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }
}

/// Compares two versions of a chart for the releases that install it.
pub fn compare(old: &Chart, new: &Chart, users: &[UserValues]) -> Comparison {
    let (mut urgent, mut folded) = (Vec::new(), Vec::new());
    let section = |title: &str, urgent: bool, items: Vec<String>| Section {
        title: title.to_owned(),
        urgent,
        items,
        diff: None,
    };
    let about = about(old, new);
    if !about.is_empty() {
        urgent.push(section("The chart", true, about));
    }
    let own = values::of_users(old, new, users);
    if !own.broken.is_empty() {
        urgent.push(section("Values that you set", true, own.broken));
    }
    let checked = schema::check(old, new, users);
    let refused = !checked.refusals.is_empty();
    if refused {
        urgent.push(section("The chart's schema refuses your values", true, checked.refusals));
    }
    let changed = crds::compare(old, new, users);
    if !changed.urgent.is_empty() {
        urgent.push(section("Custom resource definitions", true, changed.urgent));
    }
    let fixed = immutable::hints(old, new);
    if !fixed.is_empty() {
        urgent.push(section("May be refused when it is applied", true, fixed));
    }
    let folded_lists = [
        ("Other custom resource definitions", changed.others),
        ("Defaults that changed below values that you set", own.defaults),
        ("Schema of the values", checked.note.into_iter().collect()),
        ("Images", images::compare(old, new)),
    ];
    folded.extend(
        folded_lists
            .into_iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(title, items)| section(title, false, items)),
    );
    if old.values_text != new.values_text {
        let diff = TextDiff::from_lines(old.values_text.as_str(), new.values_text.as_str())
            .unified_diff()
            .context_radius(CONTEXT)
            .header(&format!("values.yaml {}", old.version), &format!("values.yaml {}", new.version))
            .to_string();
        folded.push(Section { diff: Some(diff), ..section("Default values", false, Vec::new()) });
    }
    urgent.extend(folded);
    Comparison { sections: urgent, harm: Harm { lost: changed.lost, refused } }
}

/// What of a newer version stops its step: of [`compare`] what needs no reviewer.
pub fn harm(old: &Chart, new: &Chart, users: &[UserValues]) -> Harm {
    Harm {
        lost: crds::compare(old, new, users).lost,
        refused: !schema::check(old, new, users).refusals.is_empty(),
    }
}

/// What `Chart.yaml` says anew.
fn about(old: &Chart, new: &Chart) -> Vec<String> {
    let mut items = Vec::new();
    if new.deprecated && !old.deprecated {
        items.push("The chart is marked as deprecated.".to_owned());
    }
    if old.kube_version != new.kube_version {
        let word = |range: &Option<String>| range.clone().unwrap_or_else(|| "any".to_owned());
        items.push(format!(
            "`kubeVersion` was `{}` and is `{}`.",
            word(&old.kube_version),
            word(&new.kube_version)
        ));
    }
    if old.name != new.name {
        items.push(format!("The chart was named `{}` and is named `{}`.", old.name, new.name));
    }
    items
}

#[cfg(test)]
mod tests;

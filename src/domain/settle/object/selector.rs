//! Selectors of labels.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::or_default;

/// A selector of labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels that must have these values.
    pub labels: BTreeMap<String, String>,
    /// Further demands.
    pub expressions: Vec<Expression>,
}

/// An entry of `matchExpressions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Expression {
    /// Label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// Values.
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<String>,
}

impl Selector {
    /// Whether labels fulfil it. An empty one fits everything; an operator that is not known fits nothing.
    pub fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(|expression| {
                let value = labels.get(&expression.key);
                match expression.operator.as_str() {
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    "In" => value.is_some_and(|value| expression.values.contains(value)),
                    "NotIn" => value.is_none_or(|value| !expression.values.contains(value)),
                    _ => false,
                }
            })
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawSelector {
    #[serde(deserialize_with = "or_default")]
    match_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    match_expressions: Vec<Expression>,
}

impl From<RawSelector> for Selector {
    fn from(raw: RawSelector) -> Self {
        Self { labels: raw.match_labels, expressions: raw.match_expressions }
    }
}

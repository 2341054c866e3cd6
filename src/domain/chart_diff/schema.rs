//! The user's values against the chart's own schema, which Helm checks before it installs anything.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::{Chart, UserValues, tree};

/// Most refusals that are listed of one release.
const MAX_REFUSALS: usize = 50;

/// What a check found.
#[derive(Default)]
pub(super) struct Checked {
    /// What the newer schema refuses and the older one did not.
    pub(super) refusals: Vec<String>,
    /// Why nothing was checked.
    pub(super) note: Option<String>,
}

/// Checks the users' values, merged into the defaults of each version. Values themselves are not shown.
pub(super) fn check(old: &Chart, new: &Chart, users: &[UserValues]) -> Checked {
    let mut checked = Checked::default();
    let Some(schema) = new.schema.as_ref().filter(|_| !users.is_empty()) else { return checked };
    let validator = match validator(schema) {
        Ok(validator) => validator,
        Err(reason) => {
            checked.note = Some(format!("your values were not checked against it: {reason}"));
            return checked;
        }
    };
    let before = old.schema.as_ref().and_then(|schema| self::validator(schema).ok());
    for user in users {
        let known = before.as_ref().map(|before| refusals(before, &old.values, user)).unwrap_or_default();
        for refusal in refusals(&validator, &new.values, user) {
            if !known.contains(&refusal) {
                let place = if users.len() > 1 { format!(" ({})", user.release) } else { String::new() };
                checked.refusals.push(format!("{refusal}{place}"));
            }
        }
    }
    checked
}

/// A schema that can be used as it is: other documents that it refers to are not fetched.
fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        // Patterns of strangers must not take for ever.
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(false)
        .build(schema)
        .map_err(|error| error.masked().to_string())
}

fn refusals(validator: &Validator, defaults: &Value, user: &UserValues) -> Vec<String> {
    let values = tree::merged(defaults, &user.values);
    validator
        .iter_errors(&values)
        .take(MAX_REFUSALS)
        .map(|error| {
            let place = error.instance_path().to_string().trim_start_matches('/').replace('/', ".");
            let place = if place.is_empty() { "the values".to_owned() } else { format!("`{place}`") };
            format!("{place}: {}", error.masked())
        })
        .collect()
}

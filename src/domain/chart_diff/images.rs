//! Images that the default values name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Chart;
use crate::domain::scan::parse_image;

pub(super) fn compare(old: &Chart, new: &Chart) -> Vec<String> {
    let (before, after) = (listed(old), listed(new));
    let mut items = Vec::new();
    for (name, is) in &after {
        match before.get(name) {
            None => items.push(format!("`{name}:{is}` is new")),
            Some(was) if was != is => items.push(format!("`{name}`: `{was}` → `{is}`")),
            Some(_) => {}
        }
    }
    items.extend(
        before
            .iter()
            .filter(|(name, _)| !after.contains_key(*name))
            .map(|(name, was)| format!("`{name}:{was}` is gone")),
    );
    items
}

/// Repository → tag.
fn listed(chart: &Chart) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(&chart.values, chart.app_version.as_deref().unwrap_or("?"), &mut found);
    found
}

fn walk(value: &Value, app_version: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            let text = |key: &str| match map.get(key) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            if let Some(repository) =
                text("repository").filter(|name| map.contains_key("tag") && !name.is_empty())
            {
                // Charts take the version of the application where no tag is given.
                let tag = text("tag").filter(|tag| !tag.is_empty()).unwrap_or_else(|| app_version.to_owned());
                let registry = text("registry").filter(|registry| !registry.is_empty());
                let name = registry.map_or(repository.clone(), |registry| format!("{registry}/{repository}"));
                found.insert(name, tag);
            }
            for (key, inner) in map {
                if let (true, Value::String(text)) = (key.to_ascii_lowercase().ends_with("image"), inner)
                    && let Some(image) = parse_image(text)
                    && let Some(tag) = image.tag
                {
                    found.insert(format!("{}/{}", image.registry, image.repository), text[tag].to_owned());
                }
                walk(inner, app_version, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, app_version, found)),
        _ => {}
    }
}

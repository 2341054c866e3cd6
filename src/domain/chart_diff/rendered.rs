//! Objects that two versions of a chart make of the same values.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::TextDiff;

use crate::domain::manifest::split;
use crate::domain::message::Section;

use super::tree;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Compares what `helm template` printed for the older and the newer version.
///
/// What is in Secrets is not shown, only that it differs: charts put passwords there, and make new ones each time.
pub fn compare_rendered(old: &str, new: &str) -> Option<Section> {
    let (before, after) = (objects(old), objects(new));
    let mut items = Vec::new();
    let mut diff = String::new();
    for (name, is) in &after {
        match before.get(name) {
            None => items.push(format!("`{name}` is new")),
            Some(was) if was == is => {}
            Some(_) if name.starts_with("Secret ") => items.push(format!("`{name}` differs")),
            Some(was) => {
                let text = TextDiff::from_lines(was.as_str(), is.as_str())
                    .unified_diff()
                    .context_radius(CONTEXT)
                    .header(&format!("a/{name}"), &format!("b/{name}"))
                    .to_string();
                diff.push_str(&text);
            }
        }
    }
    items.extend(
        before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("`{name}` is gone")),
    );
    let something = !items.is_empty() || !diff.is_empty();
    something.then(|| Section {
        title: "Rendered objects".to_owned(),
        urgent: false,
        items,
        diff: (!diff.is_empty()).then_some(diff),
    })
}

/// The text of each object, by kind, namespace and name.
fn objects(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for chunk in split::documents(text) {
        let Some(body) = text.get(chunk.range) else { continue };
        let Ok(object) = tree::first(body) else { continue };
        let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, namespace, name) = (word("/kind"), word("/metadata/namespace"), word("/metadata/name"));
        if !kind.is_empty() {
            let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
            found.insert(format!("{kind} {place}{name}"), format!("{}\n", body.trim_matches('\n')));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendered_objects_are_compared_one_by_one_and_secrets_kept() {
        let object = |kind: &str, name: &str, rest: &str| {
            format!(
                "---\n# Source: app/x.yaml\nkind: {kind}\nmetadata: {{name: {name}, namespace: n}}\n{rest}\n"
            )
        };
        let old = object("Service", "a", "spec: {port: 1}")
            + &object("Secret", "s", "data: {p: b2xk}")
            + &object("Job", "j", "");
        let new = object("Secret", "s", "data: {p: bmV3}")
            + &object("Service", "a", "spec: {port: 2}")
            + &object("Pod", "p", "");
        let section = compare_rendered(&old, &new).unwrap();
        assert_eq!(section.items, ["`Pod n/p` is new", "`Secret n/s` differs", "`Job n/j` is gone"]);
        let diff = section.diff.unwrap();
        assert!(diff.contains("-spec: {port: 1}\n+spec: {port: 2}"), "{diff}");
        assert!(!diff.contains("b2xk") && !diff.contains("bmV3"));
        assert_eq!(compare_rendered(&old, &old), None);
    }
}

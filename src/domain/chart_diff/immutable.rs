//! Fields that Kubernetes refuses to change, as far as templates show them without being run.

use super::Chart;

/// Kind, and the keys of its spec that cannot be changed (Kubernetes API reference: StatefulSet, Deployment, Job).
const FIXED: [(&str, &[&str]); 5] = [
    ("StatefulSet", &["volumeClaimTemplates", "serviceName", "selector", "podManagementPolicy"]),
    ("Deployment", &["selector"]),
    ("DaemonSet", &["selector"]),
    ("Job", &["template"]),
    ("PersistentVolumeClaim", &["accessModes", "storageClassName", "volumeName"]),
];

pub(super) fn hints(old: &Chart, new: &Chart) -> Vec<String> {
    let mut items = Vec::new();
    for (path, after) in &new.files {
        let template = path.starts_with("templates/") || path.contains("/templates/");
        let Some(before) = old.files.get(path).filter(|before| template && *before != after) else {
            continue;
        };
        for (kind, keys) in FIXED {
            if !is_of(before, kind) || !is_of(after, kind) {
                continue;
            }
            let changed: Vec<String> = keys
                .iter()
                .filter(|key| block(before, key) != block(after, key))
                .map(|key| format!("`{key}`"))
                .collect();
            if !changed.is_empty() {
                items.push(format!(
                    "the {kind} in `{path}` may change {}, which Kubernetes refuses for one that exists",
                    changed.join(" and ")
                ));
            }
        }
    }
    items
}

fn is_of(text: &str, kind: &str) -> bool {
    text.lines().any(|line| line.strip_prefix("kind:").is_some_and(|rest| rest.trim() == kind))
}

/// The lines of a key of `spec`, comments left out; empty where it is not there.
fn block(text: &str, key: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("spec:")).skip(1);
    let mut found = Vec::new();
    let mut level = None;
    for line in lines.by_ref() {
        let body = line.trim();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        match level {
            None if body.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')) && indent(line) <= 4 => {
                level = Some(indent(line));
                found.push(body.to_owned());
            }
            Some(level) if indent(line) > level || body.starts_with("- ") && indent(line) == level => {
                found.push(body.to_owned());
            }
            Some(_) if body.starts_with("{{") => {}
            Some(_) => break,
            None => {}
        }
    }
    found
}

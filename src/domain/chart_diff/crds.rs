//! Custom resource definitions of a chart.
//!
//! Helm installs what stands in `crds/` once and never touches it again; Flux does as `spec.upgrade.crds` says. What
//! stands in `templates/` is upgraded, and deleted, like any object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Chart, UserValues, tree};

/// Something of a CRD that objects may be stored as, and that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// Name of the CRD (`volumes.longhorn.io`).
    pub crd: String,
    /// The version that is no longer served; `None` where the CRD itself is gone.
    pub version: Option<String>,
}

/// What reviewers are told.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) urgent: Vec<String>,
    pub(super) others: Vec<String>,
    pub(super) lost: Vec<Lost>,
}

#[derive(Debug, PartialEq)]
struct Crd {
    kind: String,
    /// Version → served, stored.
    versions: BTreeMap<String, (bool, bool)>,
    /// It stands in `crds/`.
    installed_once: bool,
    spec: Value,
}

pub(super) fn compare(old: &Chart, new: &Chart, users: &[UserValues]) -> Changed {
    let mut changed = Changed::default();
    // Definitions are the largest part of many charts, and most often the same word for word.
    if definers(old).eq(definers(new)) {
        return changed;
    }
    let (before, after) = (definitions(old), definitions(new));
    let mut differs = false;
    for (name, was) in &before {
        let Some(is) = after.get(name) else {
            changed.lost.push(Lost { crd: name.clone(), version: None });
            changed.urgent.push(if was.installed_once {
                format!("`{name}` is gone from the chart; Helm leaves it and its objects in the cluster")
            } else {
                format!(
                    "`{name}` is gone from the chart's templates: Helm deletes it with every `{}`",
                    was.kind
                )
            });
            continue;
        };
        for (version, (served, _)) in &was.versions {
            if *served && !is.versions.get(version).is_some_and(|(served, _)| *served) {
                changed.lost.push(Lost { crd: name.clone(), version: Some(version.clone()) });
                changed.urgent.push(format!("`{name}` no longer serves `{version}`"));
            }
        }
        if stored(was) != stored(is) {
            changed.urgent.push(format!(
                "`{name}` was stored as `{}` and will be as `{}`",
                stored(was).unwrap_or("?"),
                stored(is).unwrap_or("?")
            ));
        }
        if was.installed_once != is.installed_once {
            let place = |once: bool| if once { "`crds/`" } else { "`templates/`" };
            changed.urgent.push(format!(
                "`{name}` moves from {} to {}: Helm may not take it over",
                place(was.installed_once),
                place(is.installed_once)
            ));
        }
        if was.spec != is.spec {
            differs |= is.installed_once;
            changed.others.push(format!("`{name}` changes"));
        }
    }
    for (name, is) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        differs |= is.installed_once;
        changed.others.push(format!("`{name}` (`{}`) is new", is.kind));
    }
    if differs {
        for user in users.iter().filter(|user| user.upgrade_crds == "Skip") {
            changed.urgent.push(format!(
                "definitions in `crds/` change, and `{}` does not upgrade them (`spec.upgrade.crds: Skip`, the \
                 default); set `CreateReplace` or apply them",
                user.release
            ));
        }
    }
    changed
}

fn stored(crd: &Crd) -> Option<&str> {
    crd.versions.iter().find(|(_, (_, storage))| *storage).map(|(name, _)| name.as_str())
}

fn is_template(path: &str) -> bool {
    path.starts_with("templates/") || path.contains("/templates/")
}

/// Path and text of the files that may define resources.
fn definers(chart: &Chart) -> impl Iterator<Item = (&String, &String)> {
    let is_once = |path: &str| path.starts_with("crds/") || path.contains("/crds/");
    chart.files.iter().filter(move |(path, text)| {
        (is_once(path) || is_template(path)) && text.contains("CustomResourceDefinition")
    })
}

fn definitions(chart: &Chart) -> BTreeMap<String, Crd> {
    let mut found = BTreeMap::new();
    for (path, text) in definers(chart) {
        let once = !is_template(path);
        let text = if once { text.clone() } else { without_actions(text) };
        for object in tree::documents(&text) {
            let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            if word("/kind").as_deref() != Some("CustomResourceDefinition") {
                continue;
            }
            let Some(name) = word("/metadata/name") else { continue };
            let versions = object.pointer("/spec/versions").and_then(Value::as_array);
            let versions = versions.into_iter().flatten().filter_map(|version| {
                let flag = |key: &str| version.get(key).and_then(Value::as_bool).unwrap_or(false);
                Some((version.get("name")?.as_str()?.to_owned(), (flag("served"), flag("storage"))))
            });
            let crd = Crd {
                kind: word("/spec/names/kind").unwrap_or_default(),
                versions: versions.collect(),
                installed_once: once,
                spec: object.get("spec").cloned().unwrap_or_default(),
            };
            found.insert(name, crd);
        }
    }
    found
}

/// A template without the lines that are actions only, which is how charts wrap whole definitions.
fn without_actions(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().filter(|line| !line.trim_start().starts_with("{{")) {
        // Labels made by an action are no part of a definition's meaning.
        match line.find("{{") {
            Some(at) if line[..at].trim_end().ends_with(':') => out.push_str(&line[..at]),
            Some(_) => continue,
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

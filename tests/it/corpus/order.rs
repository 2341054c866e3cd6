//! What comes before what in real repositories, and which APIs they use, held against an independent reading of
//! their YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gitops_updater::app::detect::{self, DetectRequest, Found};
use gitops_updater::config::Config;
use gitops_updater::domain::apis;
use gitops_updater::domain::component::Given;
use serde::Deserialize;
use serde_yaml::Value;

use super::corpus;

fn found(folder: &Path) -> Found {
    let request = DetectRequest {
        path: folder.to_owned(),
        rev: None,
        config: Config::default(),
        offline: true,
        components: Vec::new(),
        deep: false,
        now: "2026-11-21T00:00:00Z".parse().unwrap(),
    };
    let repository = gitops_updater::repo::open(folder, None).unwrap();
    detect::read(&repository, &request, 1).unwrap()
}

/// Path and documents of every file that is plain YAML.
fn documents(root: &Path, folder: &Path, found: &mut Vec<(String, Vec<Value>)>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            documents(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let read: Result<Vec<Value>, _> =
                serde_yaml::Deserializer::from_str(&text).map(Value::deserialize).collect();
            if let Ok(read) = read {
                found.push((path.strip_prefix(root).unwrap().to_string_lossy().into_owned(), read));
            }
        }
    }
}

fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    path.iter().try_fold(value, |value, key| value.get(key))?.as_str()
}

#[test]
fn order_of_the_corpus_is_what_depends_on_says_and_has_no_cycles() {
    let Some(corpus) = corpus() else { return };
    let (mut edges, mut checked, mut folders, mut objects, mut removed, mut cycles) = (0, 0, 0, 0, 0, 0);
    for entry in std::fs::read_dir(corpus.join("repos")).unwrap() {
        let folder = entry.unwrap().path();
        let found = found(&folder);
        let mut yaml = vec![];
        documents(&folder, &folder, &mut yaml);
        edges += found.dependencies.len();
        check_graph(&found);
        checked += check_releases(&found, &yaml);
        folders += check_folders(&found, &yaml);
        objects += check_apis(&folder, &found, &yaml);
        let gone = apis::removed(&found.apis, gitops_updater::rules::removed_apis(), 15, 40);
        removed += gone.len();
        let own: Vec<_> =
            found.problems.iter().filter(|problem| problem.message.contains("`dependsOn`")).collect();
        println!(
            "{}: {} dependencies, {} objects, cycles {own:?}, {gone:?}",
            folder.file_name().unwrap().display(),
            found.dependencies.len(),
            found.apis.len(),
        );
        cycles += own.len();
    }
    println!(
        "{edges} dependencies, {checked} by releases and {folders} by folders checked, {objects} objects, {removed} \
         removed APIs, {cycles} cycles"
    );
    assert!(edges > 1_000 && folders > 100 && objects > 2_500, "{edges} {checked} {folders} {objects}");
}

/// Every end is a component, nothing waits for itself, and all can be put in an order (Kahn).
fn check_graph(found: &Found) {
    let ids: BTreeSet<&str> = found.components.iter().map(|component| component.id.as_str()).collect();
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = ids.iter().map(|id| (*id, BTreeSet::new())).collect();
    let mut unique = BTreeSet::new();
    for dependency in &found.dependencies {
        let (from, to) = (dependency.from.as_str(), dependency.to.as_str());
        assert!(ids.contains(from) && ids.contains(to) && from != to, "{dependency:?}");
        assert!(unique.insert((from, to)), "twice: {dependency:?}");
        waits.entry(from).or_default().insert(to);
    }
    while let Some(free) = waits.iter().find(|(_, on)| on.is_empty()).map(|(id, _)| *id) {
        waits.remove(free);
        for on in waits.values_mut() {
            on.remove(free);
        }
    }
    assert!(waits.is_empty(), "cycle among {:?}", waits.keys());
}

/// Where a HelmRelease says its own namespace and both ends have a version in Git, the order is known.
fn check_releases(found: &Found, yaml: &[(String, Vec<Value>)]) -> usize {
    let pinned = |id: &str| {
        found.components.iter().any(|component| {
            component.id == id
                && matches!(component.given, Given::Exact(_) | Given::Range(_))
                && component.pins.iter().any(|pin| pin.applied)
        })
    };
    let edges: BTreeSet<(&str, &str)> = found
        .dependencies
        .iter()
        .map(|dependency| (dependency.from.as_str(), dependency.to.as_str()))
        .collect();
    let mut checked = 0;
    for release in yaml.iter().flat_map(|(_, documents)| documents) {
        if text(release, &["kind"]) != Some("HelmRelease") {
            continue;
        }
        let (Some(name), Some(namespace)) =
            (text(release, &["metadata", "name"]), text(release, &["metadata", "namespace"]))
        else {
            continue;
        };
        let from = format!("helm/{namespace}/{name}");
        let waits = release.get("spec").and_then(|spec| spec.get("dependsOn")).and_then(Value::as_sequence);
        for on in waits.into_iter().flatten() {
            let to = format!(
                "helm/{}/{}",
                text(on, &["namespace"]).unwrap_or(namespace),
                text(on, &["name"]).unwrap_or_default()
            );
            if pinned(&from) && pinned(&to) {
                assert!(edges.contains(&(from.as_str(), to.as_str())), "{from} must come after {to}");
                checked += 1;
            }
        }
    }
    checked
}

/// Where one Kustomization depends on another by a name that only one has, what stands in its folder comes after
/// what stands in the other's.
fn check_folders(found: &Found, yaml: &[(String, Vec<Value>)]) -> usize {
    let mut by_name: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for object in yaml.iter().flat_map(|(_, documents)| documents) {
        let is_flux =
            text(object, &["apiVersion"]).is_some_and(|text| text.starts_with("kustomize.toolkit."));
        if let (true, Some(name)) = (is_flux, text(object, &["metadata", "name"])) {
            by_name.entry(name).or_default().push(object);
        }
    }
    let folder = |object: &Value| {
        let path = text(object, &["spec", "path"])?.trim_start_matches("./").trim_matches('/').to_owned();
        (!path.is_empty() && !path.contains('$')).then(|| format!("{path}/"))
    };
    let within = |folder: &str| -> BTreeSet<&str> {
        let components = found.components.iter().filter(|component| {
            let mut applied = component.pins.iter().filter(|pin| pin.applied).peekable();
            applied.peek().is_some() && applied.all(|pin| pin.file.starts_with(folder))
        });
        components.map(|component| component.id.as_str()).collect()
    };
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for dependency in &found.dependencies {
        after.entry(&dependency.from).or_default().push(&dependency.to);
    }
    let mut checked = 0;
    for objects in by_name.values().filter(|objects| objects.len() == 1) {
        let waits =
            objects[0].get("spec").and_then(|spec| spec.get("dependsOn")).and_then(Value::as_sequence);
        for on in waits.into_iter().flatten() {
            let Some([on]) = by_name.get(text(on, &["name"]).unwrap_or_default()).map(Vec::as_slice) else {
                continue;
            };
            let (Some(waiting), Some(first)) = (folder(objects[0]), folder(on)) else { continue };
            if waiting.starts_with(&first) || first.starts_with(&waiting) {
                continue;
            }
            for from in within(&waiting) {
                let mut seen = BTreeSet::new();
                let mut queue = vec![from];
                while let Some(id) = queue.pop() {
                    if seen.insert(id) {
                        queue.extend(after.get(id).into_iter().flatten());
                    }
                }
                for to in within(&first) {
                    assert!(seen.contains(to), "{from} in {waiting} must come after {to} in {first}");
                    checked += 1;
                }
            }
        }
    }
    checked
}

/// Every line that is named holds the API version, and no document of a file is forgotten.
fn check_apis(folder: &Path, found: &Found, yaml: &[(String, Vec<Value>)]) -> usize {
    let mut seen: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for api in &found.apis {
        seen.entry(&api.file).or_default().push((&api.api_version, &api.kind));
        let text = std::fs::read_to_string(folder.join(&api.file)).unwrap();
        let line = text.lines().nth(api.line - 1).unwrap_or_default();
        assert!(line.contains(&api.api_version), "{api:?}: {line}");
    }
    let mut objects = 0;
    for (path, documents) in yaml {
        let Some(seen) = seen.get_mut(path.as_str()) else { continue };
        for document in documents {
            let (Some(api_version), Some(kind)) =
                (text(document, &["apiVersion"]), text(document, &["kind"]))
            else {
                continue;
            };
            if kind.ends_with("List") {
                continue;
            }
            let at = seen.iter().position(|known| *known == (api_version, kind));
            assert!(at.is_some(), "{path}: {kind} {api_version} is not seen");
            seen.swap_remove(at.unwrap());
            objects += 1;
        }
    }
    objects
}

//! A reading of a repository that shares nothing with detection: a general YAML reader and paths.

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::Value;

/// A place that the census counts.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) column: &'static str,
    pub(super) file: String,
    pub(super) document: usize,
    /// JSON Pointer of the version; empty where there is none.
    pub(super) route: String,
    /// The version as text; `None` where it is absent or a number, whose bytes the reader does not tell.
    pub(super) text: Option<String>,
    /// Name of the object or image, for people.
    pub(super) name: String,
    pub(super) digest: bool,
}

#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) items: Vec<Item>,
    /// Files that the general reader refuses.
    pub(super) refused: BTreeSet<String>,
}

impl Reading {
    pub(super) fn of(folder: &Path) -> Self {
        let mut files = Vec::new();
        walk(folder, &mut files);
        files.sort_unstable();
        let mut documents = Vec::new();
        let mut reading = Self::default();
        for path in &files {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(path).unwrap();
            if [".yaml", ".yml"].iter().any(|ending| name.ends_with(ending)) {
                reading.lines(&name, &text);
                for (index, part) in parts(&text) {
                    match serde_yaml::from_str::<Value>(part) {
                        Ok(mut value) => {
                            // A merge of something else than a mapping stays as it is.
                            if value.apply_merge().is_ok() {
                                documents.push((name.clone(), index, untagged(value)));
                            }
                        }
                        Err(_) => {
                            reading.refused.insert(name.clone());
                        }
                    }
                }
            } else if name.ends_with(".j2") {
                reading.lines(&name, &text);
            }
        }
        let repositories: Vec<(String, bool)> = documents
            .iter()
            .filter(|(_, _, value)| text(value, "/kind") == Some("HelmRepository"))
            .map(|(_, _, value)| {
                let url = text(value, "/spec/url").unwrap_or_default();
                let oci = url.starts_with("oci://") || text(value, "/spec/type") == Some("oci");
                (text(value, "/metadata/name").unwrap_or_default().to_owned(), oci)
            })
            .collect();
        for (file, index, value) in &documents {
            let items =
                text(value, "/kind").filter(|kind| kind.ends_with("List")).and_then(|_| at(value, "/items"));
            match items.and_then(Value::as_sequence) {
                Some(items) => {
                    for (place, item) in items.iter().enumerate() {
                        reading.object(file, *index, &format!("/items/{place}"), item, &repositories);
                    }
                }
                None => reading.object(file, *index, "", value, &repositories),
            }
        }
        reading
    }

    pub(super) fn column(&self, column: &str) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.column == column)
    }

    fn lines(&mut self, file: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            for (column, mark) in [("renovate", "renovate:"), ("imagepolicy", "$imagepolicy")] {
                if line.contains('#') && line.contains(mark) {
                    self.items.push(Item {
                        column,
                        file: file.to_owned(),
                        document: number + 1,
                        route: String::new(),
                        text: Some(line.trim().to_owned()),
                        name: String::new(),
                        digest: false,
                    });
                }
            }
        }
    }

    fn object(
        &mut self,
        file: &str,
        document: usize,
        base: &str,
        value: &Value,
        repositories: &[(String, bool)],
    ) {
        let kind = text(value, "/kind").unwrap_or_default();
        let api = text(value, "/apiVersion").unwrap_or_default();
        let name = text(value, "/metadata/name").unwrap_or_default().to_owned();
        let mut add = |column: &'static str, route: &str, name: &str| {
            let found = at(value, route).filter(|_| !route.is_empty());
            self.items.push(Item {
                column,
                file: file.to_owned(),
                document,
                route: found.map(|_| format!("{base}{route}")).unwrap_or_default(),
                text: found.and_then(Value::as_str).map(str::to_owned),
                name: name.to_owned(),
                digest: false,
            });
        };
        if kind == "HelmRelease" && api.starts_with("helm.toolkit.fluxcd.io/") {
            let source = text(value, "/spec/chart/spec/sourceRef/name");
            let column = if at(value, "/spec/chartRef").is_some() {
                "HR chartRef"
            } else if at(value, "/spec/chart").is_none() {
                "HR patch"
            } else if text(value, "/spec/chart/spec/sourceRef/kind") == Some("GitRepository") {
                "HR git"
            } else {
                // Of several with one name, the last in the order of paths, as the census has it.
                let known =
                    repositories.iter().rev().find(|(repository, _)| Some(repository.as_str()) == source);
                match known {
                    Some((_, true)) => "HR oci",
                    Some((_, false)) => "HR https",
                    None => "HR ?",
                }
            };
            let version = "/spec/chart/spec/version";
            add(column, version, &name);
            let ranged =
                text(value, version).is_some_and(|version| version.contains(['*', 'x', '>', '<', '~', '^']));
            if ranged {
                add("ranges", version, &name);
            }
        }
        if api.starts_with("source.toolkit.fluxcd.io/") {
            let columns: &[(&'static str, &str)] = match kind {
                "OCIRepository" => {
                    &[("OCIRepo tag", "tag"), ("OCIRepo semver", "semver"), ("OCIRepo digest", "digest")]
                }
                "GitRepository" => &[
                    ("GitRepo tag", "tag"),
                    ("GitRepo semver", "semver"),
                    ("GitRepo commit", "commit"),
                    ("GitRepo branch", "branch"),
                ],
                "HelmRepository" => {
                    let oci = text(value, "/spec/type") == Some("oci");
                    add(if oci { "HelmRepo oci" } else { "HelmRepo http" }, "", &name);
                    &[]
                }
                _ => &[],
            };
            for (column, key) in columns {
                let route = format!("/spec/ref/{key}");
                if at(value, &route).is_some() {
                    add(column, &route, &name);
                }
            }
        }
        if kind == "Kustomization" && api.starts_with("kustomize.toolkit.fluxcd.io/") {
            add("Flux Ks", "", &name);
        }
        if kind == "Plan" && api.starts_with("upgrade.cattle.io/") {
            add("k3s Plan", "/spec/version", &name);
        }
        if kind == "FluxInstance" {
            add("FluxInstance", "/spec/distribution/version", &name);
        }
        if file.ends_with("kustomization.yaml") || api.starts_with("kustomize.config.k8s.io/") {
            let images = at(value, "/images").and_then(Value::as_sequence).map_or(0, Vec::len);
            for place in 0..images {
                add("kustomize images", &format!("/images/{place}/newTag"), "");
            }
        }
        if kind != "CustomResourceDefinition" && !file.ends_with("gotk-components.yaml") {
            self.images(file, document, base.to_owned(), value);
        }
    }

    fn images(&mut self, file: &str, document: usize, route: String, value: &Value) {
        let mut add = |column, route: String, name: &str, found: &Value, digest| {
            self.items.push(Item {
                column,
                file: file.to_owned(),
                document,
                route,
                text: found.as_str().map(str::to_owned),
                name: name.to_owned(),
                digest,
            });
        };
        match value {
            Value::Mapping(entries) => {
                if let (Some(repository), Some(tag)) = (text(value, "/repository"), at(value, "/tag"))
                    && (tag.is_string() || tag.is_number())
                {
                    let digest = tag.as_str().is_some_and(|tag| tag.contains("sha256:"));
                    add("image repo+tag", format!("{route}/tag"), repository, tag, digest);
                    if tag.is_number() {
                        add("non-string tags", format!("{route}/tag"), repository, tag, false);
                    }
                }
                for (key, child) in entries {
                    let key = key
                        .as_str()
                        .map_or_else(|| "?".to_owned(), |key| key.replace('~', "~0").replace('/', "~1"));
                    if matches!(key.as_str(), "containers" | "initContainers")
                        && let Some(list) = child.as_sequence()
                    {
                        for (place, container) in list.iter().enumerate() {
                            if let Some(image) = at(container, "/image").filter(|image| image.is_string()) {
                                let digest = image.as_str().is_some_and(|image| image.contains("sha256:"));
                                let name = image.as_str().unwrap();
                                add(
                                    "container image",
                                    format!("{route}/{key}/{place}/image"),
                                    name,
                                    image,
                                    digest,
                                );
                            }
                        }
                    }
                }
                for (key, child) in entries {
                    let key = key
                        .as_str()
                        .map_or_else(|| "?".to_owned(), |key| key.replace('~', "~0").replace('/', "~1"));
                    self.images(file, document, format!("{route}/{key}"), child);
                }
            }
            Value::Sequence(items) => {
                for (place, child) in items.iter().enumerate() {
                    self.images(file, document, format!("{route}/{place}"), child);
                }
            }
            _ => {}
        }
    }
}

/// The node at a JSON Pointer.
pub(super) fn at<'a>(value: &'a Value, route: &str) -> Option<&'a Value> {
    route.split('/').skip(1).try_fold(value, |node, part| {
        let key = part.replace("~1", "/").replace("~0", "~");
        match node {
            Value::Sequence(items) => items.get(key.parse::<usize>().ok()?),
            Value::Mapping(entries) => {
                // Keys may be numbers or booleans to the general reader.
                let same = |found: &Value| {
                    found.as_str().map_or_else(
                        || serde_yaml::to_string(found).is_ok_and(|text| text.trim() == key),
                        |text| text == key,
                    )
                };
                entries
                    .get(key.as_str())
                    .or_else(|| entries.iter().find(|(found, _)| same(found)).map(|(_, child)| child))
            }
            _ => None,
        }
    })
}

fn text<'a>(value: &'a Value, route: &str) -> Option<&'a str> {
    at(value, route)?.as_str()
}

/// Application tags are of no interest here.
pub(super) fn untagged(value: Value) -> Value {
    match value {
        Value::Tagged(tagged) => untagged(tagged.value),
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(untagged).collect()),
        Value::Mapping(entries) => {
            Value::Mapping(entries.into_iter().map(|(key, child)| (untagged(key), untagged(child))).collect())
        }
        other => other,
    }
}

/// Documents of a file by number; what stands before the first `---` counts where it is more than comments.
pub(super) fn parts(text: &str) -> Vec<(usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut starts = vec![(0, 0)];
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            starts.push((offset, offset + 3));
        }
        offset += line.len();
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|(end, _)| *end).chain([text.len()]).collect();
    let mut parts: Vec<&str> = starts.iter().zip(ends).map(|((_, start), end)| &text[*start..end]).collect();
    let empty = |part: &str| part.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    if parts.len() > 1 && empty(parts[0]) {
        parts.remove(0);
    }
    parts.into_iter().enumerate().filter(|(_, part)| !empty(part)).collect()
}

fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}

//! The newest versions, from the real indexes of the corpus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use super::{Repository, corpus};

/// Chart repositories with an index, and the index file of each.
pub(super) fn indexes(corpus: &Path) -> BTreeMap<String, String> {
    let map = std::fs::read(corpus.join("helm-indexes/url-map.json")).unwrap();
    let mut map: BTreeMap<String, String> = serde_json::from_slice(&map).unwrap();
    // The published index of Longhorn ends in 2024; the derived one has the releases of the release list.
    let derived = "helm-indexes/derived-longhorn/index.yaml".to_owned();
    map.insert("https://charts.longhorn.io".to_owned(), derived).unwrap();
    map
}

pub(super) fn mirror(corpus: &Path, indexes: &BTreeMap<String, String>) -> String {
    let mut config = "upstreams:\n  map:\n".to_owned();
    for (url, file) in indexes {
        let folder = corpus.join(file).parent().unwrap().to_owned();
        writeln!(config, "    - {{from: {url}, to: {}}}", folder.display()).unwrap();
    }
    config
}

/// The text of every version of each chart.
fn versions(file: &Path) -> BTreeMap<String, Vec<String>> {
    let charts = charts(file, "version").into_iter();
    charts
        .map(|(chart, versions)| (chart, versions.into_iter().map(|(version, _)| version).collect()))
        .collect()
}

/// Every version of each chart with one of its fields, where it has it; read line by line.
pub(super) fn charts(file: &Path, field: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let bytes = std::fs::read(file).unwrap();
    let mut text = String::new();
    if file.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let mut charts: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut chart = None;
    let (mut version, mut value) = (None, None);
    for line in text.lines().skip_while(|line| *line != "entries:").skip(1) {
        let indented = line.strip_prefix("  ");
        match (indented, indented.and_then(|line| line.strip_suffix(':'))) {
            // Blank lines stand in descriptions.
            (None, _) if !line.is_empty() && !line.starts_with('-') => chart = None,
            (_, Some(name)) if !name.starts_with([' ', '-']) => {
                chart = Some(name.trim_matches('"').to_owned())
            }
            _ => {}
        }
        let plain = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        let of = |name: &str| {
            let text = line.strip_prefix("    ").or_else(|| line.strip_prefix("  - "))?;
            text.strip_prefix(name)?.strip_prefix(": ").map(plain)
        };
        if line.starts_with("  - ") {
            (version, value) = (None, None);
        }
        version = of("version").or(version);
        value = of(field).or(value);
        if let (Some(chart), Some(known), Some(found)) = (&chart, &version, &value) {
            charts.entry(chart.clone()).or_default().push((known.clone(), found.clone()));
            value = None;
        }
    }
    charts
}

fn number(text: &str) -> Option<semver::Version> {
    semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

#[test]
fn charts_with_an_index_resolve_to_the_highest_stable_version() {
    let Some(corpus) = corpus() else { return };
    let indexes = indexes(&corpus);
    let config = mirror(&corpus, &indexes);
    let charts: BTreeMap<&String, _> =
        indexes.iter().map(|(url, file)| (url, versions(&corpus.join(file)))).collect();
    let mut wrong = Vec::new();
    let mut checked: BTreeMap<String, usize> = BTreeMap::new();
    for repository in std::fs::read_dir(corpus.join("repos")).unwrap() {
        let name = repository.unwrap().file_name().into_string().unwrap();
        let repository = Repository::read(&corpus, &name, Some(&config));
        for (id, entry) in repository.components() {
            let upstream = &entry["upstream"];
            let url = upstream["url"].as_str().unwrap_or_default().trim_end_matches('/');
            let Some((_, known)) = charts.iter().find(|(known, _)| known.as_str() == url) else { continue };
            let chart = upstream["name"].as_str().unwrap();
            let Some(current) = entry["current_version"].as_str().and_then(number) else { continue };
            let highest = known.get(chart).and_then(|versions| {
                versions
                    .iter()
                    .filter_map(|text| number(text))
                    .filter(|version| version.pre.is_empty())
                    .max_by(semver::Version::cmp_precedence)
            });
            *checked.entry(chart.to_owned()).or_default() += 1;
            let expected = highest.filter(|highest| highest.cmp_precedence(&current).is_gt());
            let available = entry["available_version"].as_str().and_then(number);
            let newer = available.filter(|found| found.cmp_precedence(&current).is_gt());
            let status = entry["status"].as_str().unwrap();
            if newer != expected && !known.contains_key(chart) && status == "unresolved" {
                continue;
            }
            if newer != expected {
                wrong.push(format!(
                    "{name}: {id} {current}: {status} {newer:?}, expected {expected:?}: {}",
                    entry["reason"]
                ));
            }
        }
    }
    println!("{} charts in {} places", checked.len(), checked.values().sum::<usize>());
    for chart in ["longhorn", "kube-prometheus-stack", "grafana", "app-template", "cilium", "external-dns"] {
        assert!(checked.contains_key(chart), "no release of {chart} was checked: {checked:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn longhorn_of_2024_sees_the_newest() {
    let Some(corpus) = corpus() else { return };
    let config = mirror(&corpus, &indexes(&corpus));
    let repository = Repository::read(&corpus, "gelato-homecluster", Some(&config));
    let longhorn = repository.component("longhorn");
    assert_eq!(longhorn["current_version"], "1.7.2");
    assert_eq!(longhorn["available_version"], "1.12.1", "{longhorn}");
}

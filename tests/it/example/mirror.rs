//! What the mirror of the example serves, held against what it is made from.
//!
//! Charts lie below `charts/` as text and are served as archives; images are an index for each tag, and a made-up
//! manifest for each platform that the index names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use gitops_updater::upstream::chart_archive::unpack;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::folder;

/// Charts that an index names.
const INDEXES: [(&str, &str); 4] = [
    ("cert-manager", "charts.jetstack.io"),
    ("kube-prometheus-stack", "prometheus-community.github.io/helm-charts"),
    ("longhorn", "charts.longhorn.io"),
    ("status-page", "charts.example.org"),
];
/// Charts that a registry has.
const REPOSITORIES: [(&str, &str); 2] =
    [("podinfo", "ghcr.io/v2/stefanprodan/charts/podinfo"), ("traefik", "ghcr.io/v2/traefik/helm/traefik")];

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn upstream() -> PathBuf {
    folder().join("upstream")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// One version of a chart, as text.
struct Chart {
    name: String,
    version: String,
    files: BTreeMap<String, String>,
}

fn charts() -> Vec<Chart> {
    let folder = folder().join("charts");
    let charts = names(&folder).into_iter().map(|chart| {
        let chart = folder.join(chart);
        let files: BTreeMap<String, String> =
            names(&chart).into_iter().map(|name| (name.clone(), text(&chart.join(name)))).collect();
        let about: Value = serde_saphyr::from_str(&files["Chart.yaml"]).unwrap();
        let word = |key: &str| about[key].as_str().unwrap().to_owned();
        Chart { name: word("name"), version: word("version"), files }
    });
    charts.collect()
}

impl Chart {
    /// Without a time in it, so that it is the same each time.
    fn packed(&self) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            archive.append_data(&mut header, format!("{}/{name}", self.name), text.as_bytes()).unwrap();
        }
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&archive.into_inner().unwrap()).unwrap();
        packed.finish().unwrap()
    }

    /// Where the archive lies, the file that promises its digest, and the digest.
    fn promised(&self) -> (PathBuf, PathBuf, String) {
        let host = |list: &[(&str, &'static str)]| {
            list.iter().find(|(name, _)| *name == self.name).map(|(_, folder)| *folder)
        };
        if let Some(folder) = host(&INDEXES) {
            let index = upstream().join(folder).join("index.yaml");
            let read: Value = serde_saphyr::from_str(&text(&index)).unwrap();
            let entries = read["entries"][&self.name].as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["version"] == self.version.as_str()).unwrap();
            let url = entry["urls"][0].as_str().unwrap();
            let beside = format!("{folder}/{url}");
            let archive = upstream().join(url.strip_prefix("https://").unwrap_or(&beside));
            return (archive, index, entry["digest"].as_str().unwrap().to_owned());
        }
        let folder = upstream().join(host(&REPOSITORIES).unwrap());
        let manifest = folder.join(format!("manifests/{}.json", self.version));
        let read: Value = serde_json::from_str(&text(&manifest)).unwrap();
        let digest =
            read["layers"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        (folder.join(format!("blobs/sha256:{digest}")), manifest, digest)
    }
}

/// The index of each image's tag, with the file that it lies in.
fn indexes() -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    let mut folders = vec![upstream()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(&name);
            if path.is_dir() {
                folders.push(path);
            } else if folder.ends_with("manifests") && !name.starts_with("sha256:") {
                let read: Value = serde_json::from_str(&text(&path)).unwrap();
                if read["manifests"].is_array() {
                    found.push((path, read));
                }
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

#[test]
fn archives_are_what_their_charts_say_and_what_is_promised_of_them() {
    let charts = charts();
    let known: BTreeSet<&str> = charts.iter().map(|chart| chart.name.as_str()).collect();
    let served: BTreeSet<&str> = INDEXES.iter().chain(&REPOSITORIES).map(|(name, _)| *name).collect();
    assert_eq!(known, served);
    for chart in &charts {
        let shown = format!(
            "{} {}; run `cargo test --test it example::mirror::archives_are_written -- --ignored`",
            chart.name, chart.version
        );
        let (archive, _, digest) = chart.promised();
        let bytes = std::fs::read(&archive).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(sha256(&bytes), digest, "{shown}");
        assert_eq!(unpack(&bytes).unwrap(), chart.files, "{shown}");
    }
}

#[test]
fn image_of_every_platform_is_there() {
    let indexes = indexes();
    assert!(indexes.len() >= 8, "{} images", indexes.len());
    for (path, index) in indexes {
        for entry in index["manifests"].as_array().unwrap() {
            let digest = entry["digest"].as_str().unwrap();
            let bytes = std::fs::read(path.with_file_name(format!("{digest}.json"))).unwrap();
            assert_eq!(format!("sha256:{}", sha256(&bytes)), digest, "{}", path.display());
            assert_eq!(bytes.len() as u64, entry["size"], "{}", path.display());
        }
    }
}

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

#[test]
#[ignore = "writes testdata/example/upstream"]
fn archives_are_written() {
    for chart in charts() {
        let (before, promise, old) = chart.promised();
        let packed = chart.packed();
        let same = std::fs::read(&before).is_ok_and(|bytes| {
            sha256(&bytes) == old && unpack(&bytes).is_ok_and(|files| files == chart.files)
        });
        if same {
            continue;
        }
        let about = text(&promise);
        match promise.extension().is_some_and(|extension| extension == "json") {
            // The digest is the archive's name.
            true => {
                let mut manifest: Value = serde_json::from_str(&about).unwrap();
                manifest["layers"][0]["digest"] = json!(format!("sha256:{}", sha256(&packed)));
                manifest["layers"][0]["size"] = json!(packed.len());
                std::fs::write(&promise, pretty(&manifest)).unwrap();
                drop(std::fs::remove_file(before));
            }
            false => std::fs::write(&promise, about.replace(&old, &sha256(&packed))).unwrap(),
        }
        let (archive, ..) = chart.promised();
        std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
        std::fs::write(archive, packed).unwrap();
    }
}

#[test]
#[ignore = "writes testdata/example/upstream"]
fn images_are_written() {
    for (path, mut index) in indexes() {
        let shown = path.strip_prefix(upstream()).unwrap().display().to_string();
        for entry in index["manifests"].as_array_mut().unwrap() {
            let what = format!("{shown} {}", entry["platform"]);
            let digest = |of: &str| format!("sha256:{}", sha256(format!("{of} of {what}").as_bytes()));
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": entry["mediaType"],
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": digest("configuration"),
                    "size": 1472
                },
                "layers": [{
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": digest("layer"),
                    "size": 71_204_118
                }]
            });
            let bytes = pretty(&manifest);
            drop(std::fs::remove_file(
                path.with_file_name(format!("{}.json", entry["digest"].as_str().unwrap())),
            ));
            entry["digest"] = json!(format!("sha256:{}", sha256(bytes.as_bytes())));
            entry["size"] = json!(bytes.len());
            std::fs::write(path.with_file_name(format!("{}.json", entry["digest"].as_str().unwrap())), bytes)
                .unwrap();
        }
        std::fs::write(&path, pretty(&index)).unwrap();
    }
}

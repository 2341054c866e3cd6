//! Whole campaigns for real repositories, against the release lists and indexes of the corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::checker::World;
use super::versions::{charts, indexes, mirror};
use super::{Sandbox, corpus};

/// When the plans are made.
const NOW: &str = "2026-11-21T00:00:00Z";

/// A plan of a repository of the corpus, with what is needed to check it.
struct Campaign {
    plan: Value,
    world: World,
}

impl Campaign {
    fn of(corpus: &Path, name: &str) -> Self {
        Self::with(corpus, name, None)
    }

    /// With another folder in the place of the corpus' own.
    fn with(corpus: &Path, name: &str, folder: Option<&Path>) -> Self {
        let folder = folder.map_or_else(|| corpus.join("repos").join(name), Path::to_path_buf);
        let sandbox = Sandbox::empty();
        let indexes = indexes(corpus);
        let mut upstreams = mirror(corpus, &indexes);
        writeln!(upstreams, "    - {{from: https://api.github.com, to: ./api}}").unwrap();
        writeln!(upstreams, "    - {{from: https://ghcr.io, to: ./ghcr}}").unwrap();
        sandbox.write("mirror.yaml", upstreams);
        let releases = |file: &str| std::fs::read(corpus.join("upstreams").join(file)).unwrap();
        for (repository, file) in [
            ("k3s-io/k3s", "k3s-releases.json"),
            ("fluxcd/flux2", "flux2-releases.json"),
            ("longhorn/longhorn", "longhorn-releases.json"),
            ("rancher/system-upgrade-controller", "system-upgrade-controller-releases.json"),
        ] {
            sandbox.write(format!("api/repos/{repository}/releases.json"), releases(file));
        }
        let flux: Vec<Value> = serde_json::from_slice(&releases("flux2-releases.json")).unwrap();
        let tags: Vec<&Value> = flux.iter().map(|release| &release["tag_name"]).collect();
        let tags = json!({"name": "fluxcd/flux-manifests", "tags": tags}).to_string();
        sandbox.write("ghcr/v2/fluxcd/flux-manifests/tags/list.json", tags);
        let path = folder.to_str().unwrap();
        let arguments = ["--config", "mirror.yaml", "--offline", "--format", "json", "--now", NOW];
        let run = |command: &str| {
            let all = [command, path].into_iter().chain(arguments);
            sandbox.run(all).exited(0).json()
        };
        let report = run("detect")["update_report"].clone();
        let plan = run("plan");
        assert_eq!(run("plan"), plan, "planned again, it is another plan");
        let k3s: Vec<Value> = serde_json::from_slice(&releases("k3s-releases.json")).unwrap();
        let world = World {
            components: serde_json::from_value(report["components"].clone()).unwrap(),
            months: k3s.iter().map(|release| (text(release, "tag_name"), month(release))).collect(),
            charts: kube_versions(corpus, &indexes, &report),
            apis: apis(&folder),
        };
        Self { plan, world }
    }

    /// `component from -> to` of every step of some components, in order.
    fn steps(&self, of: &[&str]) -> Vec<String> {
        let waves = self.plan["waves"].as_array().unwrap().iter();
        let steps = waves.flat_map(|wave| wave["steps"].as_array().unwrap());
        steps
            .filter(|step| of.contains(&step["component"].as_str().unwrap()))
            .map(|step| format!("{} {}", text(step, "component"), text(step, "to")))
            .collect()
    }

    fn held(&self, component: &str) -> &Value {
        let held = self.plan["held"].as_array().unwrap();
        held.iter().find(|held| held["component"] == component).unwrap_or(&Value::Null)
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

fn month(release: &Value) -> (u64, u64) {
    let date = release["published_at"].as_str().unwrap();
    (date[..4].parse().unwrap(), date[5..7].parse().unwrap())
}

/// `kubeVersion` of every version of the charts that a repository has.
fn kube_versions(
    corpus: &Path,
    indexes: &BTreeMap<String, String>,
    report: &Value,
) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for (id, entry) in report["components"].as_object().unwrap() {
        let url = entry["upstream"]["url"].as_str().unwrap_or_default().trim_end_matches('/');
        let Some(file) = indexes.get(url) else { continue };
        let chart = entry["upstream"]["name"].as_str().unwrap();
        let known = charts(&corpus.join(file), "kubeVersion");
        for (version, range) in known.get(chart).into_iter().flatten() {
            found.insert((id.clone(), version.clone()), range.clone());
        }
    }
    found
}

/// `apiVersion` of every line that has one.
fn apis(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix("apiVersion: "));
            found.extend(lines.map(|api| api.trim_matches(['"', '\'']).to_owned()));
        }
    }
    found
}

#[test]
fn every_campaign_reaches_the_newest_or_says_why_and_breaks_nothing_on_the_way() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    let mut steps = 0;
    for repository in std::fs::read_dir(corpus.join("repos")).unwrap() {
        let name = repository.unwrap().file_name().into_string().unwrap();
        let campaign = Campaign::of(&corpus, &name);
        let waves = campaign.plan["waves"].as_array().unwrap();
        steps += waves.iter().map(|wave| wave["steps"].as_array().unwrap().len()).sum::<usize>();
        wrong.extend(
            campaign.world.faults(&campaign.plan).into_iter().map(|fault| format!("{name}: {fault}")),
        );
    }
    println!("{steps} steps");
    assert!(steps > 100, "{steps} steps");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A copy in which Flux 0.35 comes from its repository instead of `gotk-components.yaml`: the manifests from which
/// that file is made anew are not in the corpus.
fn with_remote_flux(corpus: &Path, name: &str) -> tempfile::TempDir {
    rewritten(
        corpus,
        name,
        &[("- gotk-components.yaml", "- github.com/fluxcd/flux2//manifests/install?ref=v0.35.0")],
    )
}

/// The repository as its owner would have it after moving to the APIs that last.
fn with_lasting_apis(corpus: &Path, name: &str) -> tempfile::TempDir {
    let apis = [
        ("batch/v1beta1", "batch/v1"),
        ("helm.toolkit.fluxcd.io/v2beta1", "helm.toolkit.fluxcd.io/v2"),
        ("source.toolkit.fluxcd.io/v1beta1", "source.toolkit.fluxcd.io/v1"),
        ("source.toolkit.fluxcd.io/v1beta2", "source.toolkit.fluxcd.io/v1"),
        ("kustomize.toolkit.fluxcd.io/v1beta2", "kustomize.toolkit.fluxcd.io/v1"),
        ("notification.toolkit.fluxcd.io/v1beta1", "notification.toolkit.fluxcd.io/v1beta3"),
        ("longhorn.io/v1beta1", "longhorn.io/v1beta2"),
    ];
    let lines = apis.map(|(old, new)| (format!("apiVersion: {old}\n"), format!("apiVersion: {new}\n")));
    let mut changes: Vec<(&str, &str)> =
        lines.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    changes.push(("- gotk-components.yaml", "- github.com/fluxcd/flux2//manifests/install?ref=v0.35.0"));
    rewritten(corpus, name, &changes)
}

/// A copy with other texts and without `gotk-components.yaml`.
fn rewritten(corpus: &Path, name: &str, changes: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = corpus.join("repos").join(name);
    let mut open = vec![from.clone()];
    while let Some(path) = open.pop() {
        let to = folder.path().join(path.strip_prefix(&from).unwrap());
        if path.is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.ends_with("gotk-components.yaml") {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let mut text = text.to_owned();
            for (old, new) in changes {
                text = text.replace(old, new);
            }
            bytes = text.into_bytes();
        }
        std::fs::write(to, bytes).unwrap();
    }
    folder
}

#[test]
fn cluster_of_2022_is_held_by_what_its_manifests_use() {
    let Some(corpus) = corpus() else { return };
    let name = "pumba98-k3s-flux-cluster";
    let folder = with_remote_flux(&corpus, name);
    let campaign = Campaign::with(&corpus, name, Some(folder.path()));
    for (component, version, gate, constraint) in [
        ("k3s", "v1.24.17+k3s1", "removed_api", "kubernetes 1.25 no longer serves CronJob batch/v1beta1"),
        ("flux", "v2.0.1", "compatibility", "Flux v2.1.2 needs kubernetes >=1.25"),
        ("longhorn", "1.7.3", "compatibility", "Longhorn 1.8.2 needs kubernetes >=1.25.0-0"),
    ] {
        let held = campaign.held(component);
        assert_eq!(held["from"], version, "{held}");
        assert_eq!(held["gate"], gate, "{held}");
        assert_eq!(held["constraint"], constraint, "{held}");
    }
    let faults = campaign.world.faults(&campaign.plan);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// k3s 1.24.6, Flux 0.35 and Longhorn 1.3.2 to the newest, in turns: Longhorn 1.3 ends at Kubernetes 1.24, Flux 2.1
/// begins at 1.25, and the newest patches of 1.26 and 1.34 were built after all of 1.27 and 1.35.
#[test]
fn cluster_of_2022_is_brought_to_the_newest_once_its_manifests_last() {
    let Some(corpus) = corpus() else { return };
    let name = "pumba98-k3s-flux-cluster";
    let folder = with_lasting_apis(&corpus, name);
    let campaign = Campaign::with(&corpus, name, Some(folder.path()));
    let faults = campaign.world.faults(&campaign.plan);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let expected = "
        flux v0.36.0, flux v0.37.0, flux v0.38.3, flux v0.39.0, flux v0.40.2, flux v0.41.2, flux v2.0.1,
        longhorn 1.4.4, longhorn 1.5.5, longhorn 1.6.4, longhorn 1.7.3,
        k3s v1.25.16+k3s4, flux v2.1.2,
        k3s v1.26.15+k3s1, flux v2.2.3,
        k3s v1.27.15+k3s1,
        k3s v1.28.15+k3s1, flux v2.3.0, flux v2.4.0,
        k3s v1.29.15+k3s1,
        k3s v1.30.14+k3s2, flux v2.5.1,
        k3s v1.31.14+k3s1, flux v2.6.4, longhorn 1.8.2, longhorn 1.9.2, longhorn 1.10.2,
        k3s v1.32.13+k3s1, flux v2.7.5,
        k3s v1.33.12+k3s1, flux v2.8.8, longhorn 1.11.3, longhorn 1.12.1,
        k3s v1.34.8+k3s1, flux v2.9.4,
        k3s v1.35.6+k3s1,
        k3s v1.36.3+k3s1";
    let expected: Vec<&str> = expected.split(',').map(str::trim).filter(|step| !step.is_empty()).collect();
    let expected: Vec<String> =
        expected.iter().map(|step| step.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(campaign.steps(&["k3s", "flux", "longhorn"]), expected);
    for component in ["k3s", "flux", "longhorn"] {
        assert_eq!(campaign.held(component), &Value::Null, "{component}");
    }
    let waves = campaign.plan["waves"].as_array().unwrap();
    let next: Vec<&Value> = waves
        .iter()
        .flat_map(|wave| wave["steps"].as_array().unwrap())
        .filter(|step| step["next"] == true)
        .collect();
    assert_eq!(next.len(), 1, "{next:?}");
    assert_eq!(next[0]["id"], "flux@v0.36.0");
}

#[test]
fn cluster_of_2025_is_brought_as_far_as_its_manifests_let_it() {
    let Some(corpus) = corpus() else { return };
    let name = "gelato-homecluster";
    let campaign = Campaign::of(&corpus, name);
    let faults = campaign.world.faults(&campaign.plan);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(campaign.steps(&["k3s"]).last().map(String::as_str), Some("k3s v1.36.3+k3s1"));
    let folder = with_lasting_apis(&corpus, name);
    let campaign = Campaign::with(&corpus, name, Some(folder.path()));
    let faults = campaign.world.faults(&campaign.plan);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (component, newest) in [("k3s", "v1.36.3+k3s1"), ("flux", "v2.9.4"), ("longhorn", "1.12.1")] {
        let steps = campaign.steps(&[component]);
        assert_eq!(steps.last(), Some(&format!("{component} {newest}")), "{}", campaign.held(component));
    }
}

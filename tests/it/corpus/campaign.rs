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
        Self::with(corpus, name, "", None)
    }

    /// With more configuration, or another folder in the place of the corpus' own.
    fn with(corpus: &Path, name: &str, config: &str, folder: Option<&Path>) -> Self {
        let folder = folder.map_or_else(|| corpus.join("repos").join(name), Path::to_path_buf);
        let sandbox = Sandbox::empty();
        let indexes = indexes(corpus);
        let mut upstreams = mirror(corpus, &indexes);
        writeln!(upstreams, "    - {{from: https://api.github.com, to: ./api}}").unwrap();
        writeln!(upstreams, "    - {{from: https://ghcr.io, to: ./ghcr}}").unwrap();
        upstreams.push_str(config);
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

#[test]
fn print_campaigns() {
    let Some(corpus) = corpus() else { return };
    for name in ["pumba98-k3s-flux-cluster", "gelato-homecluster"] {
        let campaign = Campaign::of(&corpus, name);
        println!("{}", serde_json::to_string_pretty(&campaign.plan).unwrap());
        println!("{:#?} {}", campaign.steps(&["k3s", "flux", "longhorn"]), campaign.held("k3s"));
    }
}

//! What is asked for before anything is proposed, and what cannot be asked for while something is: nothing is lost by it.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::github_pass::world::chart;
use crate::support::fake_registry::digest;
use crate::support::fake_upstream::{FakeUpstream, Fault};
use crate::support::manifests::{SOURCE, release};
use crate::support::sandbox::{Sandbox, copy};

const NOW: &str = "2026-11-21T10:00:00Z";
const LATER: &str = "2026-11-21T14:00:00Z";
const MUCH_LATER: &str = "2026-11-22T10:00:00Z";
const OLD: &str = "v1.33.4+k3s1";
const NEW: &str = "v1.33.5+k3s1";
const UPGRADE: &str = "mirror/k3s-upgrade";

/// A repository without a forge, and a web server that has all its upstreams.
struct World {
    sandbox: Sandbox,
    web: FakeUpstream,
    runtime: Runtime,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let web = runtime.block_on(FakeUpstream::start());
        let sandbox = Sandbox::with_empty_repo();
        for (path, text) in files {
            sandbox.write(path, text);
        }
        sandbox.git().commit_all("Begin");
        let hosts = [
            ("api.github.com", "/github"),
            ("api.osv.dev", "/osv"),
            ("registry.example.com", "/registry"),
            ("charts.example.com", "/charts"),
        ];
        let map: String = hosts
            .iter()
            .map(|(host, to)| format!("    - {{from: 'https://{host}', to: '{}'}}\n", web.url(to)))
            .collect();
        web.serve("/osv/v1/query", "{}");
        let world = Self { sandbox, web, runtime };
        world.configure(&format!("upstreams:\n  retries: 0\n  map:\n{map}"));
        world
    }

    /// A k3s Plan that installs from this image.
    fn with_plan(image: &str) -> Self {
        let plan = format!(
            "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: server, namespace: system-upgrade}}\nspec:\n  \
             version: {OLD}\n  upgrade:\n    image: {image}\n"
        );
        let world = Self::new(&[("k3s/plan.yaml", &plan)]);
        world.release_k3s();
        world
    }

    fn release_k3s(&self) {
        let release = |tag: &str, at: &str| {
            json!({"tag_name": tag, "draft": false, "prerelease": false, "published_at": at, "body": "Fixes.",
                   "html_url": format!("https://github.com/k3s-io/k3s/releases/tag/{tag}"), "assets": []})
        };
        let releases = json!([release(NEW, "2026-08-20T10:00:00Z"), release(OLD, "2026-07-20T10:00:00Z")]);
        self.web.serve("/github/repos/k3s-io/k3s/releases", releases.to_string());
    }

    /// Publishes an image of the registry for these platforms; its digest.
    fn image(&self, repository: &str, tag: &str, platforms: &[&str]) -> String {
        let at = |reference: &str| manifest(repository, reference);
        let mut images = Vec::new();
        for platform in platforms {
            let (os, architecture) = platform.split_once('/').unwrap();
            let image =
                json!({"schemaVersion": 2, "layers": [], "annotations": {"of": format!("{tag} {platform}")}});
            let image = image.to_string();
            let name = digest(image.as_bytes());
            self.web.serve(&at(&name), &image);
            images.push(json!({"digest": name, "size": image.len(), "platform": {"os": os, "architecture": architecture},
                               "mediaType": "application/vnd.oci.image.manifest.v1+json"}));
        }
        let index = json!({"schemaVersion": 2, "manifests": images}).to_string();
        self.web.serve(&at(tag), &index);
        digest(index.as_bytes())
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> String {
        self.sandbox.work().with_file_name("mirror.yaml").to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn run(&self, now: &str, more: &[&str]) -> Value {
        let config = self.config();
        let arguments = ["run", "--config", &config, "--now", now, "--format", "json"];
        self.sandbox.run(arguments.iter().chain(more)).exited(0).json()
    }

    /// Pull requests, and branches of ours with their commits.
    fn proposed(&self) -> (Vec<String>, String) {
        let config = self.config();
        let listed =
            self.sandbox.run(["pr", "list", "--state", "all", "--format", "json", "--config", &config]);
        let listed = listed.exited(0).json();
        let pulls = listed["pull_requests"].as_array().unwrap().iter();
        let pulls = pulls
            .map(|pull| format!("{} {}", pull["state"].as_str().unwrap(), pull["title"].as_str().unwrap()));
        (pulls.collect(), self.sandbox.git().run(["for-each-ref", "refs/heads/gitops-updater"]))
    }

    /// A run that cannot ask for something leaves what is proposed as it is, and says what it waits for.
    #[track_caller]
    fn stays(&self, now: &str, more: &[&str], reason: &str) {
        let before = self.proposed();
        assert!(matches!(before.0.as_slice(), [pull] if pull.starts_with("open ")), "{before:?}");
        let report = self.run(now, more);
        assert_eq!(self.proposed(), before, "{report}");
        let waiting = report["waiting"].to_string();
        assert!(waiting.contains(reason), "{waiting}");
    }
}

fn manifest(repository: &str, reference: &str) -> String {
    format!("/registry/v2/{repository}/manifests/{reference}")
}

/// Releases alone were asked for: a version whose image was not there yet was proposed, and no node could move.
#[rstest]
#[case::not_there(None, "it cannot be fetched")]
#[case::broken(Some(503), "not judged")]
#[case::refused(Some(401), "not judged")]
fn k3s_is_held_until_the_image_of_its_plans_is_there(#[case] status: Option<u16>, #[case] reason: &str) {
    let world = World::with_plan(&format!("registry.example.com/{UPGRADE}"));
    world.image(UPGRADE, "v1.33.4-k3s1", &["linux/amd64", "linux/arm64"]);
    let wanted = manifest(UPGRADE, "v1.33.5-k3s1");
    for status in status.into_iter().cycle().take(9) {
        world.web.fail(&wanted, Fault::Status(status, vec![]));
    }
    let report = world.run(NOW, &[]);
    assert_eq!(world.proposed().0, [""; 0]);
    // In one place: held where it is not there, else on its way, where it waits to be asked for again.
    let steps: Vec<&Value> = report["plan"]["waves"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|wave| wave["steps"].as_array().unwrap())
        .collect();
    let held = report["plan"]["held"].as_array().unwrap();
    let (k3s, told) = match (steps.as_slice(), held.as_slice()) {
        ([], [held]) if status != Some(503) => (held, held["reason"].to_string()),
        ([step], []) if status == Some(503) => (*step, step["reasons"].to_string()),
        _ => panic!("{report}"),
    };
    assert_eq!((&k3s["component"], &k3s["to"]), (&"k3s".into(), &NEW.into()));
    assert!(told.contains(reason) && told.contains(UPGRADE), "{told}");
    // Asked again by the next pass, when it is there.
    world.web.heal(&wanted);
    world.image(UPGRADE, "v1.33.5-k3s1", &["linux/amd64", "linux/arm64"]);
    world.run(LATER, &[]);
    assert_eq!(world.proposed().0, [format!("open k3s: {OLD} -> {NEW}")]);
}

/// It was counted among the steps of a wave, and among what is held.
#[test]
fn step_that_cannot_be_fetched_is_told_of_once() {
    let world = World::with_plan(&format!("registry.example.com/{UPGRADE}"));
    world.image(UPGRADE, "v1.33.4-k3s1", &["linux/amd64"]);
    let config = world.config();
    let plan = |format: &str| {
        let arguments = ["plan", "--config", &config, "--now", NOW, "--exit-code", "--format", format];
        world.sandbox.run(arguments).exited(11)
    };
    let text = plan("text").stdout;
    assert!(text.starts_with("No step can be taken; 1 held.\n"), "{text}");
    assert!(!text.contains("Wave") && text.contains("Held (1)"), "{text}");
    let markdown = plan("markdown").stdout;
    assert!(!markdown.contains("Wave") && markdown.contains("### Held (1)"), "{markdown}");
    let json = plan("json").json();
    assert_eq!((&json["waves"], json["held"].as_array().unwrap().len()), (&json!([]), 1), "{json}");
    let run = world.sandbox.run(["run", "--config", &config, "--now", NOW]).exited(0);
    assert_eq!(run.stdout.matches(NEW).count(), 1, "{run}");
    assert!(run.stdout.contains("Held (1)") && !run.stdout.contains("Waiting"), "{run}");
    let shown = world.sandbox.run(["dashboard", "show", "--config", &config]).exited(0).stdout;
    assert!(shown.contains("### Held") && !shown.contains("### Later"), "{shown}");
}

#[test]
fn image_of_k3s_is_there_for_every_platform_that_the_installed_one_is_there_for() {
    let world = World::with_plan(&format!("registry.example.com/{UPGRADE}:v1.33.4-k3s1"));
    world.image(UPGRADE, "v1.33.4-k3s1", &["linux/amd64", "linux/arm64"]);
    world.image(UPGRADE, "v1.33.5-k3s1", &["linux/amd64"]);
    let held = world.run(NOW, &[])["plan"]["held"].to_string();
    assert!(held.contains("is not there for linux/arm64, as v1.33.4-k3s1 is"), "{held}");
    assert_eq!(world.proposed().0, [""; 0]);
}

#[test]
fn k3s_that_no_plan_installs_asks_for_no_image() {
    let world = World::new(&[("ansible/group_vars/all.yml", &format!("k3s_version: {OLD}\n"))]);
    world.release_k3s();
    world.run(NOW, &[]);
    assert_eq!(world.proposed().0, [format!("open k3s: {OLD} -> {NEW}")]);
    let asked: Vec<String> = world.web.take_log().into_iter().map(|asked| asked.path).collect();
    assert!(asked.iter().all(|path| !path.starts_with("/registry")), "{asked:?}");
}

/// The digest of the newer image was not known for a moment: its pull request was closed, its branch deleted.
#[test]
fn image_that_is_proposed_stays_so_while_its_registry_does_not_answer() {
    let repository = "team/app";
    let world = World::new(&[]);
    let digest = world.image(repository, "1.0.0", &["linux/amd64"]);
    world.image(repository, "1.0.1", &["linux/amd64"]);
    world.web.serve(
        &format!("/registry/v2/{repository}/tags/list"),
        json!({"tags": ["1.0.0", "1.0.1"]}).to_string(),
    );
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app, namespace: apps}}\nspec:\n  template:\n    spec:\n      \
         containers:\n        - {{name: app, image: 'registry.example.com/{repository}:1.0.0@{digest}'}}\n"
    );
    world.sandbox.write("apps/app.yaml", deployment);
    world.sandbox.git().commit_all("Add the app");
    world.run(NOW, &[]);
    for _ in 0..9 {
        world.web.fail(&manifest(repository, "1.0.1"), Fault::Status(503, vec![]));
    }
    world.stays(LATER, &["--no-cache"], "held by edit");
    world.web.heal(&manifest(repository, "1.0.1"));
    world.stays(MUCH_LATER, &[], "waits for a person");
}

/// The manifests from which Flux's file is made anew were out of reach for a moment, with the same end.
#[test]
fn flux_that_is_proposed_stays_so_while_its_manifests_are_out_of_reach() {
    let mut world = World::new(&[]);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/example");
    copy(&example.join("repo"), world.sandbox.work());
    world.sandbox.git().commit_all("Begin");
    let mirror = std::fs::read_to_string(example.join("mirror.yaml")).unwrap();
    let mirror = mirror.replace("./upstream", example.join("upstream").to_str().unwrap());
    world.configure(&mirror);
    world.run(NOW, &[]);
    // Nobody listens there any more.
    world.runtime.block_on(world.web.stop());
    let gone = format!("- {{from: https://github.com, to: '{}'}}", world.web.url("/"));
    let line = mirror.lines().find(|line| line.contains("{from: https://github.com,")).unwrap().trim();
    world.configure(&format!("{}  retries: 0\n", mirror.replace(line, &gone)));
    world.stays(LATER, &[], "held by regenerate");
    world.configure(&mirror);
    world.stays(MUCH_LATER, &[], "waits for a person");
}

/// What hangs on a fact of the cluster was closed by a run that could not see it, and opened anew by the next.
#[test]
fn what_is_proposed_by_facts_stays_so_in_a_run_without_them() {
    let podinfo = release("podinfo", "6.5.0", "");
    let world = World::new(&[("apps/podinfo.yaml", &podinfo), ("apps/source.yaml", SOURCE)]);
    let entry = |version: &str, kube: &str| {
        world.web.serve(&format!("/charts/podinfo-{version}.tgz"), chart("podinfo", version, &[]));
        format!(
            "    - {{name: podinfo, version: {version}, kubeVersion: '{kube}', created: '2026-07-01T10:00:00Z', urls: \
             [podinfo-{version}.tgz]}}\n"
        )
    };
    let entries = entry("6.5.1", ">=1.33.0-0") + &entry("6.5.0", ">=1.25.0-0");
    world.web.serve("/charts/index.yaml", format!("apiVersion: v1\nentries:\n  podinfo:\n{entries}"));
    world.sandbox.write("../facts.yaml", format!("taken_at: {NOW}\nkubernetes: v1.33.4\n"));
    let without = world.run(NOW, &[]);
    assert_eq!(world.proposed().0, [""; 0], "{without}");
    let facts = ["--facts", "../facts.yaml"];
    world.run(NOW, &facts);
    world.stays(LATER, &[], "kubernetes");
    world.stays(MUCH_LATER, &facts, "waits for a person");
}

/// What merely is not there yet was told to scripts as something that a person must see to.
#[rstest]
#[case::is_there(NOW, OLD, true, 10)]
#[case::not_there_yet(NOW, "v1.33.3+k3s1", true, 0)]
#[case::node_is_cordoned_and_nobody_replaces_it(NOW, OLD, false, 11)]
#[case::facts_are_too_old("2026-11-01T10:00:00Z", OLD, true, 11)]
fn exit_code_of_a_cluster_that_is_behind_git_is_that_of_what_goes_on(
    #[case] taken_at: &str,
    #[case] runs: &str,
    #[case] schedulable: bool,
    #[case] code: i32,
) {
    let world = World::with_plan(&format!("registry.example.com/{UPGRADE}"));
    world.image(UPGRADE, "v1.33.4-k3s1", &["linux/amd64"]);
    world.image(UPGRADE, "v1.33.5-k3s1", &["linux/amd64"]);
    let node = format!(
        "{{name: one, roles: [control-plane], kubelet: {runs}, ready: true, schedulable: {schedulable}}}"
    );
    let facts = format!("taken_at: {taken_at}\nkubernetes: {runs}\nnodes: [{node}]\n");
    world.sandbox.write("../facts.yaml", facts);
    let config = world.config();
    let arguments = ["plan", "--exit-code", "--config", &config, "--now", NOW, "--facts", "../facts.yaml"];
    drop(world.sandbox.run(arguments).exited(code));
}

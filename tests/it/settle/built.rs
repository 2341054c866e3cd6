//! What is tried around an update, by the built program, in a cluster that is played over HTTP.

use gitops_updater::domain::settle::kind::Kind;
use serde_json::{Value, json};

use super::story::{Release, Story};
use crate::pass::world::World;
use crate::support::fake_cluster::{ADMIN, FakeCluster};
use crate::support::sandbox::{CommandOutput, Sandbox};

const CONFIG: &str = "\
forge: {kind: local}
validation:
  sample: 1s
  settle: 0s
  window: 2s
  good_samples: 1
  storage: {data: 1MiB}
  test_job: {manifest: tests/smoke.yaml, namespace: smoke}
  components:
    helm/apps/podinfo: {storage: true}
";
const JOB: &str = "\
apiVersion: batch/v1
kind: Job
metadata: {name: smoke}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: smoke, image: 'smoke:1'}]}}
";
const WRITTEN: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OTHER: &str = "a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Where the program runs, its repository with two proposals, and the cluster.
pub(super) struct Built {
    pub(super) world: World,
    pub(super) cluster: FakeCluster,
    pub(super) sandbox: Sandbox,
}

impl Built {
    /// Pods and Jobs end at once; what a Pod reads back is `read`.
    fn new(read: &'static str) -> Self {
        Self::with(CONFIG, read)
    }

    /// The same, configured otherwise.
    pub(super) fn with(config: &str, read: &'static str) -> Self {
        let mut world = World::new();
        world.config = config.to_owned();
        world.git.write(".gitops-updater.yaml", config).write("tests/smoke.yaml", JOB);
        world.git.commit_all("Say what is tried");
        world.run();
        let cluster = FakeCluster::start();
        let kinds = [Kind::GitRepository, Kind::Kustomization, Kind::HelmRelease];
        cluster.cluster().define_known(&kinds);
        for namespace in ["apps", "flux-system", "gitops-updater", "smoke"] {
            cluster.cluster().namespace(namespace);
        }
        for name in ["n1", "n2"] {
            cluster.cluster().put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
                "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T10:00:00Z"}]}}));
        }
        cluster.on_write(move |cluster, written| {
            let Some(object) = &written.object else { return };
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let mut ended = Value::clone(object);
            match object["kind"].as_str() {
                Some("Pod") if object["spec"]["nodeName"].is_null() => {
                    let (namespace, name) =
                        (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
                    let is_reading = name.contains("reads");
                    let sum = if is_reading { read } else { WRITTEN };
                    cluster.log(&namespace, &name, &format!("sha256 {sum}\n"));
                    ended["spec"]["nodeName"] = json!(if is_reading { "n2" } else { "n1" });
                    ended["status"] = json!({"phase": "Succeeded"});
                }
                Some("Job") if object["status"]["conditions"].is_null() => {
                    ended["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
                }
                _ => return,
            }
            cluster.put(ended);
        });
        let sandbox = Sandbox::empty()
            .in_cluster(&cluster, ADMIN)
            .variable("GITOPS_UPDATER_NOW", "2026-11-21T12:00:00Z");
        Self { world, cluster, sandbox }
    }

    /// Flux has applied a commit, with this version.
    pub(super) fn applied(&self, commit: &str, version: &str) {
        let mut story = Story::begin(commit, version);
        story.release(0.0, 1, Release::Deployed(version));
        for line in story.text().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["object"].is_object() {
                self.cluster.cluster().put(line["object"].clone());
            }
        }
    }

    pub(super) fn verify(&self, wait: &str) -> CommandOutput {
        let path = self.world.dir().to_str().unwrap();
        self.sandbox.run(["verify", path, "--cluster", "--wait", wait, "-v"])
    }

    /// Looks on while it is open, merges it, lets Flux apply it, and looks on again.
    fn play(&self, wait: &str) -> CommandOutput {
        self.applied(&self.world.git.run(["rev-parse", "main"]), "6.5.0");
        let before = self.verify("0s");
        assert_eq!(before.exit_code, 0, "{before}");
        let pulls = self.world.pulls();
        self.world.merge(pulls.iter().find(|pull| pull.1.contains("podinfo")).unwrap().0);
        self.applied(&self.world.git.run(["rev-parse", "main"]), "6.5.1");
        self.verify(wait)
    }

    pub(super) fn update(&self) -> String {
        let files = self.world.git.run(["ls-tree", "--name-only", "refs/gitops-updater/state", "updates/"]);
        let mut texts = files.lines().map(|file| self.world.state_file(file));
        texts.find(|text| text.contains("helm/apps/podinfo")).unwrap()
    }

    fn made(&self, what: &str) -> usize {
        let posts = self.cluster.seen();
        posts
            .iter()
            .filter(|one| one.method == "POST" && one.path.ends_with(what) && one.status < 300)
            .count()
    }

    fn left(&self) -> usize {
        let cluster = self.cluster.cluster();
        ["pods", "jobs.batch", "persistentvolumeclaims"].iter().map(|kind| cluster.of(kind).count()).sum()
    }
}

#[test]
fn volume_and_job_are_tried_before_the_merge_and_after_it_and_nothing_is_left() {
    let built = Built::new(WRITTEN);
    let told = built.play("60s");
    let update = built.update();
    assert!(update.contains("stage: verified"), "{told}\n{update}");
    let jobs = built.made("/jobs");
    assert_eq!(jobs, 3, "before, when it is applied, and in the end");
    assert_eq!(built.left(), 0, "{told}");
}

/// It was looked on to the end of `--wait` though all was decided, and nobody else could do anything meanwhile; and by
/// itself the recording was judged by the default windows.
#[test]
fn recording_ends_when_everything_is_decided_and_says_the_same_again() {
    let built = Built::new(WRITTEN);
    built.applied(&built.world.git.run(["rev-parse", "main"]), "6.5.0");
    drop(built.verify("0s").exited(0));
    let pulls = built.world.pulls();
    built.world.merge(pulls.iter().find(|pull| pull.1.contains("podinfo")).unwrap().0);
    built.applied(&built.world.git.run(["rev-parse", "main"]), "6.5.1");
    let path = built.world.dir().to_str().unwrap();
    let file = built.sandbox.work().join("seen.jsonl");
    let file = file.to_str().unwrap();
    let begun = std::time::Instant::now();
    let told = built.sandbox.run(["verify", path, "--cluster", "--wait", "5m", "--record", file]).exited(0);
    assert!(begun.elapsed().as_secs() < 200, "{:?}", begun.elapsed());
    assert!(built.update().contains("stage: verified"), "{told}");
    let leases = built.cluster.cluster();
    let lease = leases.of("leases.coordination.k8s.io").next().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "", "it is given back: {lease}");
    let replayed = built.sandbox.run(["verify", "--replay", file, "--format", "json"]).exited(0);
    let last: Value = serde_json::from_str(replayed.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["verdict"], &last["action"]), (&json!("healthy"), &json!("complete")), "{replayed}");
}

#[test]
fn volume_that_is_not_what_was_written_has_the_update_reverted() {
    let built = Built::new(OTHER);
    // Nobody applies the revert here: it is looked on to the end.
    let told = built.play("20s");
    let update = built.update();
    assert!(update.contains("commit:") && update.contains("reversal:"), "{told}\n{update}");
    assert!(built.world.git.run(["show", "main:podinfo.yaml"]).contains("version: 6.5.0"));
    let claims = built.cluster.cluster().of("persistentvolumeclaims").count();
    assert_eq!(claims, 1, "it is kept until the cluster is back");
}

//! A k3s update that went wrong on its way from node to node: the rollout is stopped in Git, once, whoever is killed; nodes
//! that its own Jobs left cordoned get pods again; and nothing changes the version.

use std::sync::Arc;
use std::time::Duration;

use gitops_updater::app::effects::Witness;
use gitops_updater::app::pass::{Error, resume};
use gitops_updater::app::settle::Settled;
use gitops_updater::domain::component::UpdateType;
use gitops_updater::domain::plan::{Approval, Revert, RevertSafety};
use gitops_updater::domain::settle::memory::Baseline;
use gitops_updater::domain::settle::settings::{Settings, Windows};
use gitops_updater::domain::state::{Stage, State, Update};
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};
use rstest::rstest;
use serde_json::{Value, json};

use super::scripted::Scripted;
use super::world::settle;
use crate::pass::world::{Recording, World};

const OLD: &str = "v1.36.2+k3s1";
pub(super) const NEW: &str = "v1.36.3+k3s1";
const ID: &str = "update-20261121-100000";
const MERGED: &str = "2026-11-21T11:00:00Z";
const LATER: &str = "2026-11-21T12:00:00Z";
pub(super) const MUCH_LATER: &str = "2026-11-21T13:00:00Z";

pub(super) fn plan(name: &str, version: &str, concurrency: &str) -> String {
    format!(
        "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: {name}, namespace: system-upgrade}}\nspec:\n  \
         version: {version}\n  concurrency: {concurrency} # at a time\n  upgrade: {{image: rancher/k3s-upgrade}}\n"
    )
}

/// A repository in which k3s was moved, and what the cluster shows of that.
pub(super) struct Rollout {
    pub(super) world: World,
    base: String,
    merge: String,
}

impl Rollout {
    pub(super) fn merged(config: &str) -> Self {
        Self::with(config, "1")
    }

    fn with(config: &str, concurrency: &str) -> Self {
        let mut world = World::new();
        world.config = config.to_owned();
        let write = |version: &str| {
            world.git.write("server.yaml", plan("server", version, concurrency));
            world.git.write("agent.yaml", plan("agent", version, "2"));
        };
        write(OLD);
        world.git.commit_all("Add k3s");
        let base = world.git.run(["rev-parse", "main"]);
        write(NEW);
        world.git.commit_all("Move k3s");
        let merge = world.git.run(["rev-parse", "main"]);
        let rollout = Self { world, base, merge };
        rollout.record();
        rollout
    }

    fn store(&self) -> StateStore {
        let repo = WriteRepo::open(self.world.dir(), Remote::own()).unwrap();
        StateStore::new(Arc::new(repo), Person::bot())
    }

    /// The update is merged, and the cluster was in order before.
    fn record(&self) {
        let update = Update {
            update_id: ID.to_owned(),
            status: Stage::Merged.status(),
            stage: Stage::Merged,
            started_at: MERGED.parse().unwrap(),
            changed_at: MERGED.parse().unwrap(),
            campaign: "campaign-20261121-100000".to_owned(),
            component: "k3s".to_owned(),
            chart: None,
            from: OLD.to_owned(),
            to: NEW.to_owned(),
            update_type: UpdateType::Patch,
            gate: Approval::Review,
            policy_applied: "policy.semver_gates.patch".to_owned(),
            revert: Revert { safety: RevertSafety::Conditional, why: "before a node has moved".to_owned() },
            backup_id: None,
            branch: "gitops-updater/k3s".to_owned(),
            base: Some(self.base.clone()),
            head: Some(self.merge.clone()),
            pull_request: None,
            merge_commit: Some(self.merge.clone()),
            merged_at: Some(MERGED.parse().unwrap()),
            current_phase: None,
            completed_phases: vec![],
            failure_stage: None,
            reason: None,
            verified_by: None,
            settling: Default::default(),
        };
        let kubelets = ["n0", "n1", "n2"].map(|node| (node.to_owned(), OLD.to_owned())).into();
        let baseline = Baseline {
            taken_at: Some("2026-11-21T10:59:00Z".parse().unwrap()),
            kubelets,
            ..Baseline::default()
        };
        let changed = self.store().change(MERGED.parse().unwrap(), |state: &mut State| {
            let told = Transition::of(&update);
            state.baselines.insert(ID.to_owned(), baseline.clone());
            state.updates.insert(ID.to_owned(), update.clone());
            Some(told)
        });
        changed.unwrap();
    }

    pub(super) fn update(&self) -> Update {
        self.store().load().unwrap().state.updates[ID].clone()
    }

    pub(super) fn look(
        &self,
        shown: &Shown,
        witness: &dyn Witness,
        now: &str,
    ) -> Result<(Settled, Vec<String>), Error> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let cluster = Scripted::of(&shown.text(self), 0.0);
        let settings = Settings {
            sample: Duration::from_secs(1),
            settle: Duration::from_secs(2),
            windows: Windows::all(Duration::from_secs(20)),
            good: 3,
            ..Settings::default()
        };
        let settled = self.world.with_pass(witness, now, &runtime, |pass| {
            settle(pass, Some(&cluster), Some(Duration::from_secs(60)), settings)
        })?;
        let asked = cluster.asked.into_inner().unwrap();
        Ok((settled, asked))
    }

    pub(super) fn sees(&self, shown: &Shown) -> Vec<String> {
        let (settled, asked) = self.look(shown, &Recording::default(), LATER).unwrap();
        assert!(settled.failures.is_empty(), "{:?}", settled.failures);
        asked
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.world.git.run(["show", &format!("main:{name}")])
    }

    /// Commits after the merge, newest first.
    pub(super) fn commits(&self) -> Vec<String> {
        let range = format!("{}..main", self.merge);
        self.world.git.run(["log", "--format=%s", &range]).lines().map(str::to_owned).collect()
    }
}

/// How a node stands.
#[derive(Clone)]
struct NodeIs {
    moved: bool,
    ready: bool,
    /// Its Job was successful.
    done: bool,
    cordoned_at: Option<&'static str>,
}

const WAITS: NodeIs = NodeIs { moved: false, ready: true, done: false, cordoned_at: None };
const MOVED: NodeIs = NodeIs { moved: true, ready: true, done: true, cordoned_at: None };

/// What the cluster shows from the beginning of a pass on.
#[derive(Clone)]
pub(super) struct Shown {
    version: &'static str,
    nodes: Vec<NodeIs>,
    concurrency: i64,
    applying: Vec<&'static str>,
    complete: (&'static str, &'static str),
    /// Jobs by node: when they ended, and whether well.
    jobs: Vec<(&'static str, &'static str, bool)>,
    annotations: Value,
    watching: Vec<&'static str>,
}

impl Shown {
    /// One node is done, the Job of the next failed, and the third is to come.
    pub(super) fn failed() -> Self {
        Self {
            version: NEW,
            nodes: vec![MOVED, WAITS, WAITS],
            concurrency: 1,
            applying: vec!["n1"],
            complete: ("False", "JobFailed"),
            jobs: vec![("n1", "2026-11-21T11:20:00Z", false)],
            annotations: json!({}),
            watching: vec![
                "GitRepository",
                "Kustomization",
                "HelmRelease",
                "Pod",
                "Node",
                "Plan",
                "Job",
                "Deployment",
            ],
        }
    }

    /// After the concurrency became 0: nothing is selected any more, and the Plan says that it is complete.
    pub(super) fn stopped() -> Self {
        Self {
            concurrency: 0,
            applying: vec![],
            complete: ("True", "Complete"),
            jobs: vec![],
            ..Self::failed()
        }
    }

    fn text(&self, rollout: &Rollout) -> String {
        let tip = rollout.world.git.run(["rev-parse", "main"]);
        let mut objects = vec![source(&tip), kustomization(&tip)];
        for (name, role, concurrency) in [
            ("server", "server", self.concurrency),
            ("agent", "agent", if self.concurrency == 0 { 0 } else { 2 }),
        ] {
            objects.push(json!({"apiVersion": "upgrade.cattle.io/v1", "kind": "Plan",
                "metadata": {"name": name, "namespace": "system-upgrade", "uid": name, "generation": 1,
                    "annotations": self.annotations,
                    "labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
                "spec": {"version": self.version, "concurrency": concurrency, "drain": {"force": true},
                    "nodeSelector": {"matchLabels": {"role": role}}},
                "status": {"latestVersion": self.version.replace('+', "-"), "latestHash": "new",
                    "applying": if name == "server" { json!(self.applying) } else { json!([]) },
                    "conditions": [
                        {"type": "Complete", "status": if name == "server" { self.complete.0 } else { "True" },
                            "reason": if name == "server" { self.complete.1 } else { "Complete" },
                            "lastUpdateTime": "2026-11-21T11:20:00Z"},
                        {"type": "Validated", "status": "True"}, {"type": "LatestResolved", "status": "True"}]}}));
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let mut spec = json!({});
            if let Some(since) = node.cordoned_at {
                let taint = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": since});
                spec = json!({"unschedulable": true, "taints": [taint]});
            }
            objects.push(json!({"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": format!("n{at}"), "uid": format!("n{at}"), "labels": {"role": "server",
                    "plan.upgrade.cattle.io/server": if node.done { "new" } else { "old" }}},
                "spec": spec,
                "status": {"nodeInfo": {"kubeletVersion": if node.moved { NEW } else { OLD }},
                    "conditions": [{"type": "Ready", "status": if node.ready { "True" } else { "Unknown" },
                        "lastTransitionTime": "2026-11-21T11:05:00Z"}]}}));
        }
        for (node, ended, well) in &self.jobs {
            objects.push(json!({"apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": format!("apply-{node}"), "namespace": "system-upgrade", "uid": format!("j{node}"),
                    "creationTimestamp": "2026-11-21T11:02:00Z",
                    "labels": {"upgrade.cattle.io/plan": "server", "upgrade.cattle.io/node": node,
                        "upgrade.cattle.io/version": NEW.replace('+', "-")}},
                "status": {"startTime": "2026-11-21T11:02:00Z", "conditions": [{"type": if *well { "Complete" } else { "Failed" },
                    "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": ended}]}}));
        }
        let header =
            json!({"t": 0, "header": {"name": "nodes", "started_at": LATER, "watching": self.watching}});
        let lines = objects
            .into_iter()
            .map(|object| json!({"t": 0, "type": "ADDED", "object": object, "initial": true}));
        std::iter::once(header).chain(lines).map(|line| line.to_string() + "\n").collect()
    }
}

fn source(commit: &str) -> Value {
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": "flux-system", "uid": "s", "generation": 1},
        "spec": {"interval": "1m", "url": "https://git.example.com/home-ops", "ref": {"branch": "main"}},
        "status": {"artifact": {"revision": format!("main@sha1:{commit}"), "digest": "sha256:1"}, "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "observedGeneration": 1}]}})
}

fn kustomization(commit: &str) -> Value {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system", "uid": "k", "generation": 1},
        "spec": {"interval": "10m", "path": "./", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "flux-system"}},
        "status": {"lastAppliedRevision": format!("main@sha1:{commit}"), "lastAttemptedRevision": format!("main@sha1:{commit}"),
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "observedGeneration": 1}]}})
}

const STOP: &str = "Stop the rollout of k3s v1.36.3+k3s1";

#[test]
fn rollout_that_failed_is_stopped_in_git_and_the_version_stays() {
    let rollout = Rollout::merged("");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), [STOP]);
    assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"), "one digit");
    assert_eq!(rollout.file("agent.yaml") + "\n", plan("agent", NEW, "0"));
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Held);
    assert!(!update.settling.hold.unwrap().clears_itself);
    let stop = update.settling.stop.unwrap();
    assert_eq!(stop.commit, Some(rollout.world.git.run(["rev-parse", "main"])));
    assert_eq!(
        stop.plans,
        [("system-upgrade/agent".to_owned(), 2), ("system-upgrade/server".to_owned(), 1)].into()
    );
    assert!(update.reason.unwrap().contains("no further node follows when Flux has applied"));
    let message = rollout.world.git.run(["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("Gitops-Updater-Stops: update-20261121-100000 2026-11-21T12:00:"), "{message}");
}

#[test]
fn plan_that_says_it_is_complete_while_it_is_stopped_proves_nothing() {
    let rollout = Rollout::merged("");
    rollout.sees(&Shown::failed());
    let shown = Shown { nodes: vec![MOVED, MOVED, WAITS], ..Shown::stopped() };
    rollout.look(&shown, &Recording::default(), MUCH_LATER).unwrap();
    assert_eq!(rollout.commits(), [STOP], "once");
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Held, "{:?}", update.reason);
    assert!(update.reason.unwrap().contains("no further node follows: stopped as of"));
    assert!(update.settling.stop.unwrap().in_force_at.is_some());
    // A person who takes it up again and leaves the rollout stopped does not get it verified.
    let id = ID.to_owned();
    rollout
        .store()
        .change(MUCH_LATER.parse().unwrap(), |state| resume(state, &id, "jane", MUCH_LATER.parse().unwrap()))
        .unwrap();
    let (settled, _) = rollout.look(&shown, &Recording::default(), "2026-11-21T13:10:00Z").unwrap();
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Rolling, "{:?}", update.reason);
    assert!(
        settled.waiting[ID].contains("its concurrency is 0: n2 will not follow"),
        "{:?}",
        settled.waiting
    );
}

#[test]
fn node_that_does_not_come_back_stops_the_next_one() {
    let rollout = Rollout::merged("");
    let away = NodeIs { ready: false, done: true, ..WAITS };
    let shown = Shown {
        nodes: vec![away, WAITS, WAITS],
        applying: vec!["n1"],
        complete: ("False", "SyncJob"),
        jobs: vec![("n0", "2026-11-21T11:04:00Z", true)],
        ..Shown::failed()
    };
    rollout.sees(&shown);
    assert_eq!(rollout.commits(), [STOP]);
    let update = rollout.update();
    assert!(!update.settling.hold.unwrap().clears_itself, "only a person lets the nodes go on");
    assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"));
}

#[rstest]
#[case::the_user_does_not_want_it("validation: {stop_rollouts: false}\n", Shown::failed())]
#[case::everything_is_stopped("enabled: false\n", Shown::failed())]
#[case::no_node_is_to_follow("", Shown { nodes: vec![MOVED, WAITS], ..Shown::failed() })]
#[case::its_plans_cannot_be_seen("", Shown { watching: vec!["GitRepository", "Kustomization", "HelmRelease", "Pod", "Node", "Job"], ..Shown::failed() })]
fn nothing_is_stopped_in_git_where(#[case] config: &str, #[case] shown: Shown) {
    let rollout = Rollout::merged(config);
    rollout.sees(&shown);
    assert_eq!(rollout.commits(), [""; 0]);
    assert!(rollout.update().settling.stop.is_none());
}

#[test]
fn what_cannot_be_stopped_in_git_is_said() {
    let rollout = Rollout::with("", "${AT_ONCE}");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), [STOP]);
    assert_eq!(rollout.file("agent.yaml") + "\n", plan("agent", NEW, "0"));
    let update = rollout.update();
    assert!(update.reason.unwrap().contains("server.yaml:6 cannot be changed: a variable sets it"));

    let rollout = Rollout::merged("");
    rollout.sees(&Shown {
        annotations: json!({"upgrade.cattle.io/digest": "spec.concurrency"}),
        ..Shown::failed()
    });
    assert_eq!(rollout.commits(), [""; 0]);
    assert!(rollout.update().reason.unwrap().contains("would begin the rollout anew"));
}

#[test]
fn files_that_a_person_changed_since_are_left_alone() {
    let rollout = Rollout::merged("");
    rollout
        .world
        .git
        .write("server.yaml", plan("server", NEW, "1").replace("upgrade:", "cordon: true\n  upgrade:"));
    rollout.world.git.commit_all("Cordon");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), ["Cordon"]);
    assert!(rollout.update().reason.unwrap().contains("a person is at work"));
}

#[test]
fn pass_that_is_killed_anywhere_stops_the_rollout_once() {
    let recording = Recording::default();
    Rollout::merged("").look(&Shown::failed(), &recording, LATER).unwrap();
    for stop in 0..recording.count() {
        let rollout = Rollout::merged("");
        let stopped = Recording { stop_after: Some(stop), ..Recording::default() };
        assert!(rollout.look(&Shown::failed(), &stopped, LATER).is_err(), "effect {stop}");
        rollout.look(&Shown::failed(), &Recording::default(), MUCH_LATER).unwrap();
        assert_eq!(rollout.commits(), [STOP], "killed after effect {stop}");
        assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"));
        let update = rollout.update();
        let commit = rollout.world.git.run(["rev-parse", "main"]);
        assert_eq!((update.stage, update.settling.stop.unwrap().commit), (Stage::Held, Some(commit)));
    }
}

/// A node that is back on the new version, and that its failed Job left cordoned.
fn left() -> Shown {
    let left = NodeIs { done: false, cordoned_at: Some("2026-11-21T11:03:00Z"), ..MOVED };
    Shown {
        nodes: vec![left, WAITS],
        applying: vec!["n0"],
        jobs: vec![("n0", "2026-11-21T11:20:00Z", false)],
        ..Shown::failed()
    }
}

#[test]
fn node_that_its_own_job_left_cordoned_gets_pods_again_once() {
    let rollout = Rollout::merged("validation: {recovery: [uncordon]}\n");
    let asked = rollout.sees(&left());
    let patches: Vec<&String> = asked.iter().filter(|asked| asked.starts_with("Node/-/n0 ")).collect();
    assert_eq!(patches.len(), 1, "{asked:?}");
    assert!(patches[0].contains("\"unschedulable\":null"), "{patches:?}");
    let update = rollout.update();
    assert_eq!(update.settling.uncordoned["n0"].job, "system-upgrade/apply-n0");
    assert_eq!(update.settling.uncordoned["n0"].refused, None);
    // It is seen cordoned again, by whomever.
    let (_, asked) = rollout.look(&left(), &Recording::default(), MUCH_LATER).unwrap();
    assert_eq!(asked, [""; 0]);
}

#[rstest]
#[case::it_was_not_chosen("", left())]
#[case::a_person_cordoned_it("validation: {recovery: [uncordon]}\n", {
    let mut shown = left();
    shown.nodes[0].cordoned_at = Some("2026-11-21T11:40:00Z");
    shown
})]
#[case::it_is_not_back("validation: {recovery: [uncordon]}\n", {
    let mut shown = left();
    shown.nodes[0].ready = false;
    shown
})]
#[case::everything_is_stopped("enabled: false\nvalidation: {recovery: [uncordon]}\n", left())]
fn node_stays_cordoned_where(#[case] config: &str, #[case] shown: Shown) {
    let rollout = Rollout::merged(config);
    assert_eq!(rollout.sees(&shown), [""; 0]);
    assert!(rollout.update().settling.uncordoned.is_empty());
}

#[test]
fn what_failed_before_a_person_took_it_up_again_does_not_stop_it_anew() {
    let rollout = Rollout::merged("");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), [STOP]);
    rollout.world.git.run(["revert", "--no-edit", "HEAD"]);
    let id = ID.to_owned();
    rollout
        .store()
        .change(MUCH_LATER.parse().unwrap(), |state| resume(state, &id, "jane", MUCH_LATER.parse().unwrap()))
        .unwrap();
    // Neither Flux nor the controller has gone on yet.
    let (settled, _) = rollout.look(&Shown::failed(), &Recording::default(), "2026-11-21T13:00:10Z").unwrap();
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Rolling, "{:?}", update.reason);
    assert!(settled.waiting[ID].contains("before it was taken up again"), "{:?}", settled.waiting);
    assert_eq!(rollout.commits().len(), 2, "{:?}", rollout.commits());
}

//! A repository in which k3s was moved, and a cluster that follows from node to node.

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
use serde_json::{Value, json};

use super::scripted::Scripted;
use super::world::settle;
use crate::pass::world::{Recording, World};

const OLD: &str = "v1.36.2+k3s1";
pub(super) const NEW: &str = "v1.36.3+k3s1";
pub(super) const ID: &str = "update-20261121-100000";
const MERGED: &str = "2026-11-21T11:00:00Z";
pub(super) const LATER: &str = "2026-11-21T12:00:00Z";
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

    pub(super) fn with(config: &str, concurrency: &str) -> Self {
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

    pub(super) fn store(&self) -> StateStore {
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
        let cluster = self.shows(shown);
        let settled = self.look_at(&cluster, witness, now)?;
        let asked = cluster.asked.into_inner().unwrap();
        Ok((settled, asked))
    }

    /// A cluster that shows this.
    pub(super) fn shows(&self, shown: &Shown) -> Scripted {
        Scripted::of(&shown.text(self), 0.0)
    }

    pub(super) fn look_at(
        &self,
        cluster: &Scripted,
        witness: &dyn Witness,
        now: &str,
    ) -> Result<Settled, Error> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let settings = Settings {
            sample: Duration::from_secs(1),
            settle: Duration::from_secs(2),
            windows: Windows::all(Duration::from_secs(20)),
            good: 3,
            ..Settings::default()
        };
        self.world.with_pass(witness, now, &runtime, |pass| {
            settle(pass, Some(cluster), Some(Duration::from_secs(60)), settings)
        })
    }

    pub(super) fn sees(&self, shown: &Shown) -> Vec<String> {
        let (settled, asked) = self.look(shown, &Recording::default(), LATER).unwrap();
        assert!(settled.failures.is_empty(), "{:?}", settled.failures);
        asked
    }

    /// A person takes it up again.
    pub(super) fn resume(&self, now: &str) {
        let (id, now) = (ID.to_owned(), now.parse().unwrap());
        self.store().change(now, |state| resume(state, &id, "jane", now)).unwrap();
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
pub(super) struct NodeIs {
    pub(super) moved: bool,
    pub(super) ready: bool,
    /// Its Job was successful.
    pub(super) done: bool,
    pub(super) cordoned_at: Option<&'static str>,
}

pub(super) const WAITS: NodeIs = NodeIs { moved: false, ready: true, done: false, cordoned_at: None };
pub(super) const MOVED: NodeIs = NodeIs { moved: true, ready: true, done: true, cordoned_at: None };

/// What the cluster shows from the beginning of a pass on.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) version: &'static str,
    pub(super) nodes: Vec<NodeIs>,
    pub(super) concurrency: i64,
    pub(super) applying: Vec<&'static str>,
    pub(super) complete: (&'static str, &'static str),
    /// When the Plan said so.
    pub(super) said_at: &'static str,
    /// Jobs by node: when they ended, and whether well.
    pub(super) jobs: Vec<(&'static str, &'static str, bool)>,
    pub(super) annotations: Value,
    pub(super) watching: Vec<&'static str>,
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
            said_at: "2026-11-21T11:20:00Z",
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

    /// A person let it go on, and the next Job failed, too.
    pub(super) fn failed_again() -> Self {
        let at = "2026-11-21T13:20:00Z";
        Self { said_at: at, jobs: vec![("n1", at, false)], ..Self::failed() }
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
                            "lastUpdateTime": self.said_at},
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

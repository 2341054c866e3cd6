//! What holds in any order of events.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::health::{HealthSettings, findings};
use super::judge::Judge;
use super::memory::Memory;
use super::recording::read;
use super::settings::{Settings, Windows};
use super::verdict::{Action, Judgement, Verdict};
use super::world::World;

const BASE: &str = "1111111111111111111111111111111111111111";
const MERGE: &str = "2222222222222222222222222222222222222222";
const LATER: &str = "3333333333333333333333333333333333333333";

/// A judge and what is true, seen or not.
struct Stage {
    judge: Judge,
    t: f64,
    lost: bool,
    /// Objects that changed while nobody saw it.
    missed: Vec<Value>,
    /// Objects as they are, by kind and name.
    objects: BTreeMap<(String, String), Value>,
    /// Commits, and the update in the end.
    told: Vec<Value>,
    said: Vec<Judgement>,
}

impl Stage {
    fn new(kind: &str, component: &str, from: &str, to: &str, objects: &[Value]) -> Self {
        let mut stage = Self {
            judge: judge(Memory::default()),
            t: 0.0,
            lost: false,
            missed: Vec::new(),
            objects: BTreeMap::new(),
            told: Vec::new(),
            said: Vec::new(),
        };
        stage.tell(header());
        stage.tell(json!({"commit": {"id": BASE, "files": ["apps/x.yaml"]}}));
        for object in objects {
            stage.change(object.clone());
        }
        stage.pass(1.0);
        stage.tell(json!({"commit": {"id": MERGE, "parents": [BASE], "files": ["apps/x.yaml"]}}));
        stage
            .tell(json!({"update": {"id": "u", "component": component, "kind": kind, "from": from, "to": to,
            "base": BASE, "commit": MERGE, "files": ["apps/x.yaml"], "trials": {"network/dns": true}}}));
        stage.pass(0.5);
        stage
    }

    fn tell(&mut self, mut line: Value) {
        if line.get("commit").or_else(|| line.get("update")).is_some() {
            self.told.push(line.clone());
        }
        line["t"] = json!(self.t);
        self.said.extend(self.judge.take(read(line.to_string().as_bytes()).unwrap()));
    }

    fn change(&mut self, object: Value) {
        self.objects.insert(key(&object), object.clone());
        if self.lost {
            self.missed.push(object);
        } else {
            self.tell(json!({"type": "MODIFIED", "object": object}));
        }
    }

    fn pass(&mut self, seconds: f64) {
        self.t += seconds;
        self.said.extend(self.judge.advance(super::line::Moment((self.t * 1000.0) as i64)));
    }

    fn view(&mut self, lost: bool) {
        if lost == self.lost {
            return;
        }
        self.lost = lost;
        self.tell(json!({"view": if lost { "lost" } else { "back" }}));
        for object in std::mem::take(&mut self.missed) {
            self.tell(json!({"type": "MODIFIED", "object": object}));
        }
    }

    /// The pass ends, and another one goes on from what it remembered.
    fn killed(&mut self) {
        let memory = serde_json::to_string(&self.judge.memory()).unwrap();
        self.judge = judge(serde_json::from_str(&memory).unwrap());
        self.tell(header());
        if self.lost {
            self.tell(json!({"view": "lost"}));
            self.missed = self.objects.values().cloned().collect();
        } else {
            for object in self.objects.values().cloned().collect::<Vec<_>>() {
                self.tell(json!({"type": "ADDED", "object": object, "initial": true}));
            }
        }
        for line in std::mem::take(&mut self.told) {
            self.tell(line);
        }
    }

    /// What stands at a time on.
    fn actions_from(&self, t: f64) -> impl Iterator<Item = &Judgement> {
        let since = (t * 1000.0) as i64;
        let standing = self.said.iter().rposition(|said| said.t.0 < since).unwrap_or(0);
        self.said[standing..].iter()
    }
}

fn judge(memory: Memory) -> Judge {
    let settings = Settings {
        sample: Duration::from_secs(1),
        settle: Duration::from_secs(1),
        windows: Windows::all(Duration::from_secs(6)),
        ..Settings::default()
    };
    let tried = |world: &World| {
        let all = findings(world, &HealthSettings::default());
        all.into_iter().filter(|finding| finding.subject.kind == "Probe").collect()
    };
    Judge::new(settings, Box::new(tried), Timestamp::UNIX_EPOCH, memory)
}

fn header() -> Value {
    let watching = [
        "GitRepository",
        "Kustomization",
        "HelmRelease",
        "HelmChart",
        "Plan",
        "Job",
        "Node",
        "Pod",
        "Deployment",
        "Setting",
    ];
    json!({"header": {"started_at": "2026-11-21T00:00:00Z", "watching": watching}})
}

fn key(object: &Value) -> (String, String) {
    (object["kind"].to_string(), object["metadata"]["name"].to_string())
}

fn condition(type_: &str, status: &str, reason: &str, generation: i64) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "observedGeneration": generation})
}

fn kustomization(reason: &str, commit: &str) -> Value {
    let failed = reason.ends_with("Failed");
    let applied = if failed || reason == "Progressing" { BASE } else { commit };
    let status = match reason {
        "Progressing" => "Unknown",
        _ if failed => "False",
        _ => "True",
    };
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system", "uid": "k", "generation": 1},
        "spec": {"path": "./apps", "sourceRef": {"kind": "GitRepository", "name": "flux-system"}},
        "status": {"observedGeneration": 1, "conditions": [condition("Ready", status, reason, 1)],
            "lastAppliedRevision": format!("main@sha1:{applied}"), "lastAttemptedRevision": format!("main@sha1:{commit}")}})
}

fn applied_by() -> Value {
    json!({"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"})
}

#[derive(Debug, Clone)]
enum Happens {
    Time(u8),
    Lost,
    Back,
    Flux(&'static str),
    Foreign,
    Reverted,
    Node { node: usize, moved: bool, ready: bool, cordoned: bool },
    Plan { asks_new: bool, complete: &'static str, resolved: bool, applying: bool },
    Job { node: usize, failed: bool },
    Release(&'static str),
    Recorded(bool),
    Tried(Option<bool>),
    Killed,
}

fn common() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (1u8..12).prop_map(Happens::Time),
        1 => Just(Happens::Lost),
        2 => Just(Happens::Back),
        2 => prop_oneof![Just("ReconciliationSucceeded"), Just("HealthCheckFailed"), Just("BuildFailed"), Just("Progressing")]
            .prop_map(Happens::Flux),
        1 => Just(Happens::Foreign),
        1 => Just(Happens::Reverted),
        2 => any::<Option<bool>>().prop_map(Happens::Tried),
        1 => Just(Happens::Killed),
    ]
}

fn of_k3s() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => common(),
        2 => (0usize..3, any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(node, moved, ready, cordoned)| Happens::Node { node, moved, ready, cordoned }),
        3 => (any::<bool>(), prop_oneof![Just("Complete"), Just("JobFailed"), Just("SyncJob")], any::<bool>(), any::<bool>())
            .prop_map(|(asks_new, complete, resolved, applying)| Happens::Plan { asks_new, complete, resolved, applying }),
        1 => (0usize..3, any::<bool>()).prop_map(|(node, failed)| Happens::Job { node, failed }),
    ]
}

fn of_longhorn() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => common(),
        4 => prop_oneof![Just("UpgradeFailed"), Just("Stalled"), Just("UpgradeSucceeded"), Just("Progressing")]
            .prop_map(Happens::Release),
        1 => any::<bool>().prop_map(Happens::Recorded),
    ]
}

fn node(node: usize, moved: bool, ready: bool, cordoned: bool) -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": format!("n{node}"), "uid": format!("n{node}"), "labels": {"plan.upgrade.cattle.io/server": "old"}},
        "spec": {"unschedulable": cordoned},
        "status": {"nodeInfo": {"kubeletVersion": if moved { "v1.36.3+k3s1" } else { "v1.36.2+k3s1" }},
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "Unknown" }}]}})
}

fn plan(asks_new: bool, complete: &str, resolved: bool, applying: bool) -> Value {
    let status = if complete == "Complete" { "True" } else { "False" };
    json!({"apiVersion": "upgrade.cattle.io/v1", "kind": "Plan",
        "metadata": {"name": "server", "namespace": "system-upgrade", "uid": "p", "generation": 1, "labels": applied_by()},
        "spec": {"version": if asks_new { "v1.36.3+k3s1" } else { "v1.36.2+k3s1" }, "concurrency": 1},
        "status": {"latestVersion": if resolved { "v1.36.3-k3s1" } else { "v1.36.2-k3s1" }, "latestHash": "hash",
            "applying": if applying { json!(["n0"]) } else { json!([]) },
            "conditions": [{"type": "Complete", "status": status, "reason": complete},
                {"type": "Validated", "status": "True"}, {"type": "LatestResolved", "status": "True"}]}})
}

fn job(node: usize, failed: bool) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": format!("apply-{node}"), "namespace": "system-upgrade", "uid": format!("j{node}"), "labels": {
            "upgrade.cattle.io/plan": "server", "upgrade.cattle.io/node": format!("n{node}"), "upgrade.cattle.io/version": "v1.36.3-k3s1"}},
        "status": {"conditions": if failed { json!([{"type": "Failed", "status": "True"}]) } else { json!([]) }}})
}

fn release(version: &str, reason: &str) -> Value {
    let mut conditions = Vec::new();
    let ready = match reason {
        "Stalled" => {
            conditions.push(condition("Stalled", "True", "RetriesExceeded", 2));
            ("False", "UpgradeFailed")
        }
        "Progressing" => ("Unknown", reason),
        "UpgradeFailed" => ("False", reason),
        _ => ("True", reason),
    };
    conditions.push(condition("Ready", ready.0, ready.1, 2));
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "longhorn", "namespace": "longhorn-system", "uid": "h", "generation": 2, "labels": applied_by()},
        "spec": {"chart": {"spec": {"chart": "longhorn", "version": version}}},
        "status": {"observedGeneration": 2, "conditions": conditions, "lastAttemptedRevision": version, "failures": 1,
            "history": [{"chartVersion": version, "status": if ready.0 == "True" { "deployed" } else { "failed" }, "version": 2}]}})
}

fn setting(value: &str) -> Value {
    json!({"apiVersion": "longhorn.io/v1beta2", "kind": "Setting", "value": value,
        "metadata": {"name": "current-longhorn-version", "namespace": "longhorn-system", "uid": "s"}})
}

fn play(stage: &mut Stage, happens: &Happens) {
    match happens {
        Happens::Time(seconds) => stage.pass(f64::from(*seconds)),
        Happens::Lost => stage.view(true),
        Happens::Back => stage.view(false),
        Happens::Flux(reason) => stage.change(kustomization(reason, MERGE)),
        Happens::Foreign => {
            stage.tell(json!({"commit": {"id": LATER, "parents": [MERGE], "message": "more", "files": ["apps/x.yaml"]}}));
        }
        Happens::Reverted => {
            let message = format!("Revert\n\nThis reverts commit {MERGE}.");
            let id = "4444444444444444444444444444444444444444";
            stage.tell(json!({"commit": {"id": id, "parents": [MERGE], "message": message, "files": ["apps/x.yaml"]}}));
        }
        Happens::Node { node: name, moved, ready, cordoned } => {
            stage.change(node(*name, *moved, *ready, *cordoned))
        }
        Happens::Plan { asks_new, complete, resolved, applying } => {
            stage.change(plan(*asks_new, complete, *resolved, *applying));
        }
        Happens::Job { node, failed } => stage.change(job(*node, *failed)),
        Happens::Release(reason) => stage.change(release("1.11.0", reason)),
        Happens::Tried(ok) => stage.tell(json!({"probe": {"name": "network/dns", "ok": ok}})),
        Happens::Killed => stage.killed(),
        Happens::Recorded(new) => stage.change(setting(if *new { "v1.11.0" } else { "v1.10.1" })),
    }
    // Everything has a time of its own.
    stage.pass(0.1);
}

fn k3s() -> Stage {
    let objects = [
        kustomization("ReconciliationSucceeded", BASE),
        plan(false, "Complete", false, false),
        node(0, false, true, false),
        node(1, false, true, false),
        node(2, false, true, false),
    ];
    Stage::new("k3s", "k3s", "v1.36.2+k3s1", "v1.36.3+k3s1", &objects)
}

fn longhorn() -> Stage {
    let objects = [
        kustomization("ReconciliationSucceeded", BASE),
        release("1.10.1", "UpgradeSucceeded"),
        setting("v1.10.1"),
    ];
    Stage::new("longhorn", "longhorn", "1.10.1", "1.11.0", &objects)
}

/// Without sight nothing is reverted and nothing is called good.
fn assert_blind(stage: &Stage) {
    assert!(stage.lost);
    let standing = stage.said.last().unwrap();
    assert!(
        !matches!(standing.action, Action::Revert | Action::Complete) && standing.verdict != Verdict::Healthy,
        "{standing:?}"
    );
}

#[test]
fn a_plan_that_fails_before_any_node_is_touched_is_reverted() {
    let mut stage = k3s();
    play(&mut stage, &Happens::Flux("ReconciliationSucceeded"));
    let mut refused = plan(true, "SyncJob", true, false);
    refused["status"]["conditions"][1]["status"] = json!("False");
    stage.change(refused);
    stage.pass(1.0);
    assert_eq!(stage.said.last().unwrap().action, Action::Revert);
}

#[test]
fn longhorn_s_refused_upgrade_is_reverted() {
    let mut stage = longhorn();
    play(&mut stage, &Happens::Flux("Progressing"));
    play(&mut stage, &Happens::Release("Stalled"));
    assert_eq!(stage.said.last().unwrap().action, Action::Revert);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_never_reverted_once_a_node_has_moved(events in prop::collection::vec(of_k3s(), 1..40)) {
        let mut stage = k3s();
        let mut moved_at = None;
        for event in &events {
            play(&mut stage, event);
            if matches!(event, Happens::Node { moved: true, .. }) && moved_at.is_none() {
                moved_at = Some(stage.t);
            }
            if stage.lost {
                assert_blind(&stage);
            }
        }
        stage.view(false);
        stage.pass(30.0);
        if let Some(moved_at) = moved_at {
            let later: Vec<&Judgement> = stage.actions_from(moved_at).collect();
            prop_assert!(later.iter().all(|said| said.action != Action::Revert), "{later:?}");
        }
    }

    #[test]
    fn longhorn_is_never_reverted_once_it_has_recorded_its_version(events in prop::collection::vec(of_longhorn(), 1..40)) {
        let mut stage = longhorn();
        let mut recorded_at = None;
        for event in &events {
            play(&mut stage, event);
            if matches!(event, Happens::Recorded(true)) && recorded_at.is_none() && !stage.lost {
                recorded_at = Some(stage.t);
            }
            if stage.lost {
                assert_blind(&stage);
            }
        }
        stage.view(false);
        stage.pass(30.0);
        if let Some(recorded_at) = recorded_at {
            let later: Vec<&Judgement> = stage.actions_from(recorded_at).collect();
            prop_assert!(later.iter().all(|said| said.action != Action::Revert), "{later:?}");
        }
    }
}

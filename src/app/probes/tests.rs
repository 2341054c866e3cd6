//! Trials against a cluster of tests, in virtual time.

mod restoring;
mod storage;

use std::collections::BTreeMap;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::testing::{Objects, Simulated};
use super::*;
use crate::clock::AnyClock;
use crate::config::Validation;
use crate::domain::settle::health::probe::{NetworkSpec, StorageSpec, Target, TestJob};
use crate::domain::state::Update;

const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OTHER: &str = "a3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const STORAGE: StorageSpec =
    StorageSpec { storage_class: None, size: 1 << 30, data: 16 << 20, restore: false };

fn clock() -> AnyClock {
    AnyClock::Fixed("2026-11-21T12:00:00Z".parse().unwrap())
}

/// Calls `work` with a testbed at this cluster.
async fn at<T>(cluster: &Simulated, work: impl AsyncFnOnce(&Testbed<'_, Simulated, AnyClock>) -> T) -> T {
    let (clock, pods) = (clock(), Pods::default());
    work(&Testbed { cluster, clock: &clock, pods: &pods, purpose: "update-1" }).await
}

fn left(cluster: &Simulated) -> Vec<String> {
    cluster.objects.lock().unwrap().left()
}

/// A cluster whose volumes work; Pods print what `sums` has for them, by the first part of what they do.
fn with_storage(nodes: &'static [&'static str], sums: &'static [(&'static str, &'static str)]) -> Simulated {
    Simulated::new(nodes, move |objects, key| match key.0.as_str() {
        "PersistentVolumeClaim" => {
            objects.put("", json!({"kind": "PersistentVolume", "metadata": {"name": "pvc-1"}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}}));
            objects.after(1, key, json!({"spec": {"volumeName": "pvc-1"}, "status": {"phase": "Bound"}}));
        }
        "Pod" => {
            let avoided = objects.get("Pod", &key.2).and_then(|pod| {
                let route = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
                pod.pointer(route)?.as_str().map(str::to_owned)
            });
            let node = nodes.iter().find(|node| avoided.as_deref() != Some(**node)).unwrap();
            let (_, sum) = sums.iter().find(|(what, _)| key.2.contains(what)).unwrap();
            objects.ends(key, node, "Succeeded", &format!("sha256 {sum}\n"));
        }
        _ => {}
    })
}

async fn before_and_after(cluster: &Simulated) -> Tried {
    at(cluster, async |testbed| {
        let kept = storage_before(testbed, &STORAGE).await.unwrap();
        storage_after(testbed, &kept).await
    })
    .await
}

fn answers(log: &'static str) -> Simulated {
    Simulated::new(&["n1", "n2"], move |objects, key| {
        if key.2.contains("answers") && key.0 == "Pod" {
            let ready = json!({"spec": {"nodeName": "n1"}, "status": {"phase": "Running", "podIP": "10.42.0.7",
                "conditions": [{"type": "Ready", "status": "True"}]}});
            objects.after(2, key, ready);
        } else if key.0 == "Pod" {
            objects.ends(key, "n2", "Succeeded", log);
        }
    })
}

#[rstest]
#[case::all("ok 10.42.0.7:8080\nok svc\n", Ok("Pod and Service reached from node n2 to node n1"))]
#[case::no_service("ok 10.42.0.7:8080\nbad svc\n", Err("a Service not reached from node n2 to node n1"))]
#[case::nothing(
    "bad 10.42.0.7:8080\nbad svc\n",
    Err("a Pod and a Service not reached from node n2 to node n1")
)]
#[tokio::test(start_paused = true)]
async fn way_from_pod_to_pod(#[case] log: &'static str, #[case] expected: Result<&str, &str>) {
    let cluster = answers(log);
    let spec = NetworkSpec { names: vec![], pods: true };
    let trials = Trials { network: Some(spec), ..Trials::default() };
    let tried = at(&cluster, async |testbed| inside(testbed, &trials).await).await;
    let expected = match expected {
        Ok(text) => Tried::Good(text.to_owned()),
        Err(text) => Tried::Bad(text.to_owned()),
    };
    assert_eq!(tried, [Trial::new("network/pods", expected)]);
    assert_eq!(left(&cluster), [] as [&str; 0]);
    let made = cluster.made.lock().unwrap();
    let service = made.iter().find(|object| object["kind"] == "Service").unwrap();
    assert_eq!(service["metadata"]["ownerReferences"][0]["uid"], "uid-1", "it goes with its Pod");
}

/// What had never been made was to be removed, which was refused as well: a warning each time that it was tried.
#[tokio::test(start_paused = true)]
async fn service_that_may_not_be_made_is_one_line_and_is_not_removed() {
    let mut cluster = answers("ok 10.42.0.7:8080\nok svc\n");
    cluster.denied = vec!["create Service", "delete Service"];
    let trials = Trials { network: Some(NetworkSpec { names: vec![], pods: true }), ..Trials::default() };
    for _ in 0..2 {
        let tried = at(&cluster, async |testbed| inside(testbed, &trials).await).await;
        let Tried::Not(why) = &tried[0].tried else { panic!("{tried:?}") };
        assert!(why.contains("create Service") && !why.contains('\n'), "{why}");
    }
    let asked = cluster.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|asked| asked.starts_with("delete Service")), "{asked:?}");
    assert_eq!(left(&cluster), [] as [&str; 0], "the Pod that would have answered is removed");
}

/// It said that the Pod was there already, which tells nobody what to grant.
#[tokio::test(start_paused = true)]
async fn leftover_that_may_not_be_removed_names_the_right_that_is_missing() {
    let mut cluster = with_storage(&["n1"], &[("writes", SUM)]);
    cluster.denied = vec!["delete Pod"];
    let tried = at(&cluster, async |testbed| {
        storage_before(testbed, &STORAGE).await.unwrap();
        // Somebody removes the claim, and the Pod that wrote is still there.
        testbed.cluster.objects.lock().unwrap().forget("PersistentVolumeClaim");
        storage_before(testbed, &STORAGE).await.unwrap_err()
    })
    .await;
    assert!(matches!(&tried, Tried::Not(why) if why.contains("delete Pod")), "{tried:?}");
    let (spec, job) = test_job();
    let mut cluster = job_that(Some("Complete"));
    cluster.denied = vec!["delete Job"];
    let tried = at(&cluster, async |testbed| {
        assert!(matches!(run_job(testbed, &spec, &job).await, Tried::Good(_)));
        run_job(testbed, &spec, &job).await
    })
    .await;
    assert!(matches!(&tried, Tried::Not(why) if why.contains("delete Job")), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn names_and_addresses_are_asked_from_inside() {
    let cluster = Simulated::new(&["n1"], |objects, key| {
        let log = if key.2.contains("names") { "1 ok resolved\n2 bad \n" } else { "1 bad no connection\n" };
        objects.ends(key, "n1", "Succeeded", log);
    });
    let names = vec!["kubernetes.default.svc".to_owned(), "example.com".to_owned()];
    let probe = ProbeSpec {
        name: "db".to_owned(),
        target: Target::Tcp { host: "db.apps".to_owned(), port: 5432 },
        from: Vantage::Cluster,
        timeout: Duration::from_secs(5),
    };
    let trials = Trials {
        probes: vec![probe],
        network: Some(NetworkSpec { names, pods: false }),
        ..Trials::default()
    };
    let tried = at(&cluster, async |testbed| inside(testbed, &trials).await).await;
    assert_eq!(
        tried,
        [
            Trial::new("probe/db", Tried::Bad("3 of 3 tries: no connection".to_owned())),
            Trial::new("network/dns", Tried::Bad("`example.com` does not resolve: 3 of 3 tries:".to_owned())),
        ]
    );
    assert_eq!(trials.names().into_iter().collect::<Vec<_>>(), ["network/dns", "probe/db"]);
}

fn test_job() -> (TestJob, Value) {
    let text = b"apiVersion: batch/v1\nkind: Job\nmetadata: {name: smoke, labels: {app: smoke}}\nspec:\n  template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}\n";
    let job = read_job("tests/smoke.yaml", text).unwrap();
    let spec = TestJob {
        manifest: "tests/smoke.yaml".to_owned(),
        namespace: "smoke".to_owned(),
        timeout: Duration::from_secs(60),
    };
    (spec, job)
}

fn job_that(condition: Option<&'static str>) -> Simulated {
    Simulated::new(&["n1"], move |objects, key| {
        if let Some(condition) = condition {
            let status = json!({"status": {"conditions": [{"type": condition, "status": "True", "reason": "BackoffLimitExceeded"}]}});
            objects.after(10, key, status);
        }
        objects.put("smoke", json!({"kind": "Pod", "metadata": {"name": "smoke-1", "labels": {"batch.kubernetes.io/job-name": key.2.clone()}}}));
        objects.log("smoke-1", "one\nit is down\n\n");
    })
}

#[rstest]
#[case(Some("Complete"), Tried::Good("tests/smoke.yaml succeeded".to_owned()))]
#[case(Some("Failed"), Tried::Bad("tests/smoke.yaml failed: BackoffLimitExceeded; it said: it is down".to_owned()))]
#[case(None, Tried::Bad("tests/smoke.yaml did not end within 60 s; it said: it is down".to_owned()))]
#[tokio::test(start_paused = true)]
async fn job_of_the_user_is_awaited(#[case] condition: Option<&'static str>, #[case] expected: Tried) {
    let cluster = job_that(condition);
    let (spec, job) = test_job();
    assert_eq!(at(&cluster, async |testbed| run_job(testbed, &spec, &job).await).await, expected);
    assert_eq!(left(&cluster), ["Pod/smoke-1"], "the API server removes the Pods of a Job");
    let made = &cluster.made.lock().unwrap()[0];
    assert_eq!(made["metadata"]["namespace"], "smoke");
    assert_eq!(made["metadata"]["labels"]["app"], "smoke");
    assert_ne!(made["metadata"]["name"], "smoke");
    assert_eq!(made["spec"]["activeDeadlineSeconds"], 60);
}

#[test]
fn only_one_job_is_a_test_job() {
    for text in [
        &b"apiVersion: v1\nkind: Pod\nspec: {}\n"[..],
        b"apiVersion: batch/v1\nkind: Job\n",
        b"apiVersion: batch/v1\nkind: CronJob\nspec: {}\n",
        b"a: [\n",
        b"\xff",
        &[b' '; 300 << 10],
    ] {
        let error = read_job("a.yaml", text).unwrap_err().to_string();
        assert!(error.contains("`a.yaml`"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn leftovers_are_removed_when_their_time_is_over() {
    let object = |kind: &str, name: &str, expires: Option<&str>| {
        let annotations = expires.map(|at| json!({EXPIRES: at})).unwrap_or_else(|| json!({}));
        json!({"kind": kind, "metadata": {"name": name, "labels": {LABEL: "true"}, "annotations": annotations}})
    };
    let cluster = Simulated::new(&[], |_: &mut Objects, _| {});
    {
        let mut objects = cluster.objects.lock().unwrap();
        objects.put("gitops-updater", object("Pod", "old", Some("2026-11-21T11:59:00Z")));
        objects.put("gitops-updater", object("PersistentVolumeClaim", "old", Some("2026-11-21T11:59:00Z")));
        objects.put("gitops-updater", object("Pod", "in-use", Some("2026-11-21T12:01:00Z")));
        objects.put("gitops-updater", object("Pod", "unsaid", None));
        objects.put("gitops-updater", json!({"kind": "Pod", "metadata": {"name": "foreign"}}));
        objects.put("other", object("Pod", "elsewhere", Some("2026-11-21T11:59:00Z")));
    }
    assert_eq!(sweep(&cluster, "gitops-updater", clock().now()).await.unwrap(), 2);
    assert_eq!(left(&cluster), ["Pod/foreign", "Pod/in-use", "Pod/unsaid", "Pod/elsewhere"]);
}

#[tokio::test(start_paused = true)]
async fn pods_ask_for_as_little_as_the_strictest_standard_allows() {
    let cluster = with_storage(&["n1"], &[("writes", SUM), ("reads", SUM)]);
    before_and_after(&cluster).await;
    let made = cluster.made.lock().unwrap();
    let pods: Vec<&Value> = made.iter().filter(|object| object["kind"] == "Pod").collect();
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        assert!(spec["activeDeadlineSeconds"].as_u64().unwrap() <= 600);
        assert!(container["resources"]["limits"]["memory"].is_string());
        let expires = pod["metadata"]["annotations"][EXPIRES].as_str().unwrap();
        assert!(expires > "2026-11-21T12:00:00Z", "{expires}");
    }
}

#[test]
fn what_was_not_tried_is_neither_good_nor_bad() {
    let ok = |tried| Trial::new("storage", tried).seen().ok;
    assert_eq!(ok(Tried::Not("forbidden".to_owned())), None);
    assert_eq!(ok(Tried::Good(String::new())), Some(true));
    assert_eq!(ok(Tried::Bad("gone".to_owned())), Some(false));
}

#[tokio::test]
async fn text_of_others_is_made_one_bounded_line() {
    struct Loud;
    impl Outside for Loud {
        async fn ask(&self, _: &ProbeSpec) -> Tried {
            Tried::Bad(format!("a\u{1b}[2J\n{}", "x".repeat(10_000)))
        }
        async fn run(&self, _: &CommandSpec) -> Tried {
            Tried::Not(String::new())
        }
    }
    let probe = |name: &str, from| ProbeSpec {
        name: name.to_owned(),
        target: Target::Dns { name: "a".to_owned(), expect: vec![] },
        from,
        timeout: Duration::from_secs(1),
    };
    let trials = Trials {
        probes: vec![probe("here", Vantage::Here), probe("there", Vantage::Cluster)],
        ..Trials::default()
    };
    let tried = quick(&trials, &Loud).await;
    let details: BTreeMap<_, _> = tried.iter().map(|trial| (trial.name.as_str(), &trial.tried)).collect();
    let Some(Tried::Bad(detail)) = details.get("probe/here") else { panic!("{tried:?}") };
    assert_eq!(tried.len(), 1, "what is asked from inside is not asked from here");
    assert!(detail.len() < 600 && !detail.contains(char::is_control), "{detail}");
}

/// Asks nothing from here.
struct Nowhere;

impl Outside for Nowhere {
    async fn ask(&self, _: &ProbeSpec) -> Tried {
        Tried::Not("nobody asks".to_owned())
    }
    async fn run(&self, command: &CommandSpec) -> Tried {
        Tried::Good(command.run.join(" "))
    }
}

fn with_rules(validation: &Validation, cluster: Option<&Simulated>) -> Vec<String> {
    let (registry, _) = crate::rules::Registry::load(std::iter::empty::<(&str, &str)>());
    let rules = registry.rules().to_vec();
    let tester = Tester { cluster, outside: Nowhere, clock: clock(), validation, rules };
    ["k3s", "longhorn", "helm/apps/shop"]
        .map(|component| tester.trials(&update(component)).names().into_iter().collect::<Vec<_>>().join(" "))
        .to_vec()
}

fn update(component: &str) -> Update {
    serde_json::from_value(json!({
        "update_id": "update-1", "status": "in_progress", "stage": "proposed", "campaign": "campaign-1",
        "started_at": "2026-11-21T12:00:00Z", "changed_at": "2026-11-21T12:00:00Z", "component": component,
        "from": "1.0.0", "to": "1.0.1", "update_type": "patch", "gate": "review", "policy_applied": "default",
        "revert": {"safety": "safe", "why": "it is"}, "backup_id": null, "branch": "b", "base": null, "head": null,
        "pull_request": null, "merge_commit": null, "merged_at": null, "current_phase": null,
        "completed_phases": [], "reason": null,
    }))
    .unwrap()
}

#[test]
fn rules_say_which_updates_storage_and_network_are_tried_for() {
    let network = NetworkSpec { names: vec!["a".to_owned()], pods: false };
    let mut validation = Validation::default();
    (validation.network, validation.storage) = (Some(network), Some(STORAGE));
    let cluster = Simulated::new(&[], |_, _| {});
    let tried = with_rules(&validation, Some(&cluster));
    assert!(tried[0].contains("network/dns"), "{tried:?}");
    assert!(tried[1].contains("storage"), "{tried:?}");
    assert_eq!(tried[2], "", "{tried:?}");
    assert_eq!(with_rules(&validation, None), ["", "", ""], "nothing where there is no cluster");
}

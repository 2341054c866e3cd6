//! Trials against a cluster of tests, in virtual time.

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

#[tokio::test(start_paused = true)]
async fn volume_is_read_back_on_another_node_and_nothing_is_left() {
    let cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    assert_eq!(before_and_after(&cluster).await, Tried::Good("written on n1, read back on n2".to_owned()));
    assert_eq!(left(&cluster), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn only_node_reads_back_what_it_wrote_and_that_is_said() {
    let cluster = with_storage(&["n1"], &[("writes", SUM), ("reads", SUM)]);
    let tried = before_and_after(&cluster).await;
    assert_eq!(tried, Tried::Good("read back on n1, the only node that takes Pods".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn other_content_is_bad() {
    let cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", OTHER)]);
    let Tried::Bad(why) = before_and_after(&cluster).await else { panic!("not bad") };
    assert!(why.contains("is not what was written on n1"), "{why}");
    assert_eq!(left(&cluster), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn run_that_was_killed_in_between_finds_what_was_written() {
    let cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    at(&cluster, async |testbed| {
        let first = storage_before(testbed, &STORAGE).await.unwrap();
        assert_eq!(storage_before(testbed, &STORAGE).await.unwrap(), first);
        assert_eq!(cluster.made.lock().unwrap().len(), 2, "one claim and one Pod");
        assert!(matches!(storage_read(testbed, &first).await, Tried::Good(_)));
        assert!(matches!(storage_after(testbed, &first).await, Tried::Good(_)), "it stays for another time");
        // An object that is gone says nothing about what storage does with data.
        let Tried::Not(why) = storage_after(testbed, &first).await else { panic!("tried") };
        assert!(why.contains("somebody has removed the claim"), "{why}");
    })
    .await;
}

fn stuck(claim_phase: &'static str, pod: Value) -> Simulated {
    Simulated::new(&["n1"], move |objects, key| match key.0.as_str() {
        "PersistentVolumeClaim" => objects.after(1, key, json!({"status": {"phase": claim_phase}})),
        _ => objects.after(1, key, pod.clone()),
    })
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    json!({"spec": {"nodeName": "n1"}, "status": {"phase": "Pending", "containerStatuses": [{"state": state}]}})
}

fn unscheduled() -> Value {
    json!({"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "no node fits"}]}})
}

#[rstest]
#[case::not_bound("Pending", unscheduled(), true, "not bound within 120 s: no node fits")]
#[case::no_room("Bound", unscheduled(), false, "not put on a node: no node fits")]
#[case::not_mounted(
    "Bound",
    waiting("ContainerCreating", ""),
    true,
    "not mounted within 180 s: ContainerCreating"
)]
#[case::image(
    "Bound",
    waiting("ImagePullBackOff", "no such image"),
    false,
    "image was not pulled: no such image"
)]
#[tokio::test(start_paused = true)]
async fn storage_that_does_not_come_is_bad_and_what_else_fails_is_not_tried(
    #[case] claim: &'static str,
    #[case] pod: Value,
    #[case] bad: bool,
    #[case] expected: &str,
) {
    let cluster = stuck(claim, pod);
    let begun = tokio::time::Instant::now();
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    let (Tried::Bad(why) | Tried::Not(why)) = &tried else { panic!("{tried:?}") };
    assert_eq!(matches!(tried, Tried::Bad(_)), bad, "{tried:?}");
    assert!(why.contains(expected), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
    assert_eq!(left(&cluster), [] as [&str; 0]);
}

#[rstest]
#[case("create PersistentVolumeClaim")]
#[case("create Pod")]
#[tokio::test(start_paused = true)]
async fn what_the_account_may_not_is_not_tried(#[case] denied: &'static str) {
    let mut cluster = with_storage(&["n1"], &[("writes", SUM)]);
    cluster.denied = vec![denied];
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    let Tried::Not(why) = tried else { panic!("{tried:?}") };
    assert!(why.contains(denied), "{why}");
    // A claim that was never bound has no volume that goes with it.
    assert!(left(&cluster).iter().all(|name| name == "PersistentVolume/pvc-1"), "{:?}", left(&cluster));
}

#[tokio::test(start_paused = true)]
async fn outage_of_the_api_server_is_waited_for() {
    let mut cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    cluster.outage = Some((1, 40));
    assert!(matches!(before_and_after(&cluster).await, Tried::Good(_)));
    let mut cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    cluster.outage = Some((1, 10_000));
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    assert!(matches!(tried, Tried::Not(_)), "{tried:?}");
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

/// A cluster whose Longhorn takes backups and restores them; `sums` as for [`with_storage`].
fn with_longhorn(sums: &'static [(&'static str, &'static str)], backup: &'static str) -> Simulated {
    let cluster = Simulated::new(&["n1", "n2"], move |objects, key| {
        match key.0.as_str() {
        "PersistentVolumeClaim" => {
            let bound = json!({"spec": {"volumeName": "pvc-1"}, "status": {"phase": "Bound"}});
            objects.after(1, key, bound);
        }
        "Snapshot" => objects.after(3, key, json!({"status": {"readyToUse": true}})),
        "Backup" => objects.after(
            9,
            key,
            json!({"status": {"state": backup, "url": "s3://backups@eu/?backup=b", "error": "no space left"}}),
        ),
        "Pod" => {
            let (_, sum) = sums.iter().find(|(what, _)| key.2.contains(what)).unwrap();
            objects.ends(key, "n1", "Succeeded", &format!("sha256 {sum}\n"));
        }
        _ => {}
    }
    });
    {
        let mut objects = cluster.objects.lock().unwrap();
        objects.put(
            "",
            json!({"kind": "PersistentVolume", "metadata": {"name": "pvc-1"}, "spec": {
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "driver.longhorn.io", "volumeHandle": "pvc-1", "fsType": "xfs"}}}),
        );
        objects.put("longhorn-system", json!({"kind": "Volume", "metadata": {"name": "pvc-1"},
            "spec": {"size": "1073741824", "numberOfReplicas": 2, "accessMode": "rwo", "backupTargetName": "default"},
            "status": {"state": "attached", "robustness": "healthy"}}));
        objects.put(
            "longhorn-system",
            json!({"kind": "BackupTarget", "metadata": {"name": "default"},
            "spec": {"backupTargetURL": "s3://backups@eu/"}, "status": {"available": true}}),
        );
    }
    cluster
}

fn restoring() -> Trials {
    Trials { storage: Some(StorageSpec { restore: true, ..STORAGE }), ..Trials::default() }
}

#[rstest]
#[case::same(&[("writes", SUM), ("reads", SUM)], true)]
#[case::other(&[("writes", SUM), ("rereads", OTHER), ("reads", SUM)], false)]
#[tokio::test(start_paused = true)]
async fn backup_of_the_volume_is_restored_into_a_new_one_and_read(
    #[case] sums: &'static [(&'static str, &'static str)],
    #[case] good: bool,
) {
    let cluster = with_longhorn(sums, "Completed");
    let validation = Validation::default();
    let tester = Tester {
        cluster: Some(&cluster),
        outside: Nowhere,
        clock: clock(),
        validation: &validation,
        rules: vec![],
    };
    let before = left(&cluster);
    let (kept, told) = tester.write("update-1".to_owned(), restoring()).await;
    let names: Vec<&str> = told.iter().map(|trial| trial.name.as_str()).collect();
    assert_eq!(names, ["storage/update-1", "restore/update-1"]);
    assert!(told.iter().all(|trial| matches!(trial.tried, Tried::Good(_))), "{told:?}");
    let kept = kept.unwrap();
    // A pass that comes again finds volume and backup.
    assert_eq!(tester.write("update-1".to_owned(), restoring()).await.0, Some(kept.clone()));
    let order =
        Order { work: Work::Restore(kept.clone()), update: "update-1".to_owned(), trials: restoring() };
    let tried = tester.work(order).await.remove(0).tried;
    assert_eq!(matches!(tried, Tried::Good(_)), good, "{tried:?}");
    assert_eq!(matches!(tried, Tried::Bad(_)), !good, "{tried:?}");
    {
        let made = cluster.made.lock().unwrap();
        let volume = made.iter().find(|object| object["kind"] == "Volume").unwrap();
        assert_eq!(volume["spec"]["fromBackup"], "s3://backups@eu/?backup=b");
        assert_ne!(volume["metadata"]["name"], "pvc-1", "beside the old one");
        let points = made.iter().filter(|object| object["kind"] == "Backup");
        assert!(
            points.clone().count() == 1
                && points.clone().all(|backup| {
                    backup["metadata"]["labels"].get("gitops-updater/backup-point").is_none()
                }),
            "it is no backup point"
        );
    }
    tester.remove("update-1".to_owned(), kept).await.unwrap();
    assert_eq!(left(&cluster), before, "nothing of it is left");
}

#[tokio::test(start_paused = true)]
async fn backup_that_fails_is_told_and_the_volume_is_kept_all_the_same() {
    let cluster = with_longhorn(&[("writes", SUM), ("reads", SUM)], "Error");
    let validation = Validation::default();
    let tester = Tester {
        cluster: Some(&cluster),
        outside: Nowhere,
        clock: clock(),
        validation: &validation,
        rules: vec![],
    };
    let (kept, told) = tester.write("update-1".to_owned(), restoring()).await;
    let kept = kept.unwrap();
    assert_eq!(kept.backup, None);
    assert_eq!(told[1].tried, Tried::Bad("the Backup failed: no space left".to_owned()));
    let order = |work| Order { work, update: "update-1".to_owned(), trials: restoring() };
    let read = tester.work(order(Work::ReadBack(kept.clone()))).await.remove(0);
    assert!(read.name == "storage/update-1" && matches!(read.tried, Tried::Good(_)), "{read:?}");
    let restored = tester.work(order(Work::Restore(kept))).await.remove(0);
    assert_eq!(restored.tried, Tried::Not("no backup was made before the update".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn image_that_is_pulled_slowly_is_no_fault_of_the_storage() {
    let mut pulling = waiting("ContainerCreating", "");
    pulling["status"]["conditions"] = json!([{"type": "PodReadyToStartContainers", "status": "True"}]);
    let cluster = stuck("Bound", pulling);
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    assert!(matches!(tried, Tried::Not(_)), "{tried:?}");
}

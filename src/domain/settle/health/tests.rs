//! Every check, both ways: what is told, and what is not. Here is what the parts share, and what holds for all.

mod before;
mod flux;
mod network;
mod nodes;
mod storage;
mod workloads;

use rstest::rstest;
use serde_json::{Value, json};

use super::testing::{NOW, before, condition, found, object, told, world, world_of};
use super::*;
use crate::domain::settle::finding::Subject;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::{Header, Line, Moment, Probe, Seen};
use crate::domain::settle::memory::Baseline;

fn node(name: &str, rest: Value) -> Value {
    let mut node = object(
        "v1",
        "Node",
        name,
        json!({"status": {"conditions": [condition("Ready", "True", "KubeletReady", 60)]}}),
    );
    if let Some(conditions) = rest.pointer("/status/conditions") {
        node["status"]["conditions"] = conditions.clone();
    }
    for (route, at) in [("/metadata/labels", "labels"), ("/spec", "spec")] {
        if let Some(value) = rest.pointer(route) {
            if at == "labels" {
                node["metadata"]["labels"] = value.clone();
            } else {
                node["spec"] = value.clone();
            }
        }
    }
    node
}

fn server(name: &str, ready: &str, minutes: i64) -> Value {
    node(
        name,
        json!({
            "metadata": {"labels": {"node-role.kubernetes.io/etcd": "true"}},
            "status": {"conditions": [condition("Ready", ready, "NodeStatusUnknown", minutes)]},
        }),
    )
}

fn with_condition(node_condition: Value) -> Value {
    node("n1", json!({"status": {"conditions": [condition("Ready", "True", "", 60), node_condition]}}))
}

fn claim(phase: &str, minutes: i64, class: Option<&str>) -> Value {
    object(
        "v1",
        "PersistentVolumeClaim",
        "apps/data",
        json!({
            "metadata": {"creationTimestamp": before(minutes)},
            "spec": {"storageClassName": class},
            "status": {"phase": phase},
        }),
    )
}

fn waiting_class() -> Value {
    object(
        "storage.k8s.io/v1",
        "StorageClass",
        "local",
        json!({
            "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "volumeBindingMode": "WaitForFirstConsumer",
        }),
    )
}

fn mounting_pod() -> Value {
    object(
        "v1",
        "Pod",
        "apps/p",
        json!({
            "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}], "containers": [{"name": "a"}]},
            "status": {"phase": "Running", "conditions": [condition("Ready", "True", "", 60)]},
        }),
    )
}

fn attachment(minutes: i64, attached: bool, error: Option<&str>) -> Value {
    let error = error.map_or(Value::Null, |message| json!({"message": message}));
    object(
        "storage.k8s.io/v1",
        "VolumeAttachment",
        "csi-1",
        json!({
            "metadata": {"creationTimestamp": before(minutes)},
            "spec": {"attacher": "driver.longhorn.io", "nodeName": "n1", "source": {"persistentVolumeName": "pvc-1"}},
            "status": {"attached": attached, "attachError": error},
        }),
    )
}

fn longhorn(kind: &str, rest: Value) -> Value {
    object("longhorn.io/v1beta2", kind, "longhorn-system/x", rest)
}

fn volume(robustness: &str, degraded_minutes: i64) -> Value {
    longhorn(
        "Volume",
        json!({
            "spec": {"image": "engine:1.12.1", "numberOfReplicas": 3, "dataEngine": "v1"},
            "status": {"state": "attached", "robustness": robustness, "currentImage": "engine:1.12.1",
                "lastDegradedAt": before(degraded_minutes)},
        }),
    )
}

fn flux(kind: &str, spec: Value, conditions: Value) -> Value {
    let api = match kind {
        "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
        "Kustomization" => "kustomize.toolkit.fluxcd.io/v1",
        _ => "source.toolkit.fluxcd.io/v1",
    };
    object(api, kind, "apps/x", json!({"spec": spec, "status": {"conditions": conditions}}))
}

fn deployment(namespace: &str, desired: i64, available: i64, conditions: Value) -> Value {
    object(
        "apps/v1",
        "Deployment",
        &format!("{namespace}/web"),
        json!({
            "metadata": {"generation": 1},
            "spec": {"replicas": desired},
            "status": {"observedGeneration": 1, "replicas": desired, "updatedReplicas": desired,
                "readyReplicas": available, "availableReplicas": available, "conditions": conditions},
        }),
    )
}

fn pod(state: Value, restarts: i64, last: Value) -> Value {
    object(
        "v1",
        "Pod",
        "apps/web-5d9c7-x",
        json!({
            "metadata": {
                "labels": {"pod-template-hash": "5d9c7"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d9c7", "uid": "1", "controller": true}],
            },
            "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "registry.example/web:2"}]},
            "status": {
                "phase": "Running",
                "conditions": [condition("PodScheduled", "True", "", 6), condition("Ready", "False", "ContainersNotReady", 6)],
                "containerStatuses": [{"name": "app", "ready": false, "restartCount": restarts, "state": state, "lastState": last}],
            },
        }),
    )
}

fn young(mut pod: Value) -> Value {
    pod["status"]["conditions"] = json!([
        condition("PodScheduled", "True", "", 1),
        condition("Ready", "False", "ContainersNotReady", 1)
    ]);
    pod
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason}})
}

fn unscheduled(minutes: i64) -> Value {
    let mut pod = pod(Value::Null, 0, Value::Null);
    pod["status"]["phase"] = json!("Pending");
    pod["status"]["conditions"] = json!([condition("PodScheduled", "False", "Unschedulable", minutes)]);
    pod
}

fn job(name: &str, minutes: i64, condition_type: &str) -> Value {
    object(
        "batch/v1",
        "Job",
        &format!("apps/{name}"),
        json!({
            "metadata": {
                "creationTimestamp": before(minutes),
                "ownerReferences": [{"kind": "CronJob", "name": "nightly", "uid": "1", "controller": true}],
            },
            "spec": {},
            "status": {"conditions": [condition(condition_type, "True", "BackoffLimitExceeded", minutes)]},
        }),
    )
}

fn service(rest: Value) -> Value {
    object("v1", "Service", "apps/web", rest)
}

fn slice(ready: bool) -> Value {
    object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "apps/web-1",
        json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        }),
    )
}

fn ingress(name: &str, address: bool) -> Value {
    let status =
        if address { json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}) } else { json!({}) };
    object(
        "networking.k8s.io/v1",
        "Ingress",
        &format!("apps/{name}"),
        json!({
            "spec": {"ingressClassName": "traefik", "rules": [{"host": "a.example", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]},
            "status": status,
        }),
    )
}

fn certificate(conditions: Value, ends: &str) -> Value {
    object(
        "cert-manager.io/v1",
        "Certificate",
        "apps/tls",
        json!({"spec": {"secretName": "tls"}, "status": {"conditions": conditions, "notAfter": ends}}),
    )
}

fn selecting() -> Value {
    service(json!({"spec": {"selector": {"app": "web"}, "clusterIP": "10.43.0.9"}}))
}

fn webhook(policy: &str) -> Value {
    object(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "guard",
        json!({"webhooks": [{"name": "guard.example.org", "failurePolicy": policy,
            "clientConfig": {"service": {"namespace": "apps", "name": "web"}}}]}),
    )
}

fn api_service(status: &str, local: bool) -> Value {
    let service =
        if local { Value::Null } else { json!({"namespace": "kube-system", "name": "metrics-server"}) };
    object(
        "apiregistration.k8s.io/v1",
        "APIService",
        "v1beta1.metrics.k8s.io",
        json!({"spec": {"service": service}, "status": {"conditions": [condition("Available", status, "MissingEndpoints", 1)]}}),
    )
}

#[rstest]
#[case("apiserver", Category::Infrastructure, Severity::Failing)]
#[case("storage", Category::Storage, Severity::Failing)]
#[case("network/dns", Category::Network, Severity::Failing)]
#[case("probe/shop", Category::Network, Severity::Failing)]
#[case("test_job", Category::Custom, Severity::Failing)]
#[case("command", Category::Custom, Severity::Failing)]
fn probes_that_failed_are_told(#[case] name: &str, #[case] category: Category, #[case] severity: Severity) {
    let mut world = world(&[]);
    let mut say = |ok| {
        let probe = Probe { name: name.to_owned(), ok: Some(ok), detail: "refused".to_owned() };
        world.take(Line { t: Moment(1), seen: Seen::Probe(probe) });
        findings(&world, &HealthSettings::default())
    };
    assert_eq!(say(true), []);
    let found = say(false);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].category, found[0].severity), (category, severity));
}

/// One bad answer may be a moment, as while a server starts; three in a row are none.
#[test]
fn api_server_that_is_not_ready_three_times_in_a_row_endangers_everything() {
    let mut world = world(&[]);
    let mut say = |ok| {
        let probe = Probe { name: "apiserver".to_owned(), ok, detail: "/readyz: etcd fail".to_owned() };
        world.take(Line { t: Moment(1), seen: Seen::Probe(probe) });
        let found = findings(&world, &HealthSettings::default());
        found.first().map(|finding| finding.severity)
    };
    let (bad, good, unknown) = (Some(false), Some(true), None);
    let told = [bad, bad, good, bad, unknown, bad, bad, good].map(&mut say);
    let (failing, critical) = (Some(Severity::Failing), Some(Severity::Critical));
    assert_eq!(told, [failing, failing, None, failing, None, failing, critical, None]);
}

/// Ready is said of what was there before: nobody has looked at what Git asks for now.
#[test]
fn ready_of_an_older_generation_is_noticed() {
    let told = |generation: i64| {
        let mut ready = condition("Ready", "True", "ReconciliationSucceeded", 5);
        ready["observedGeneration"] = json!(1);
        let mut shop = object(
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            "shop",
            json!({"status": {"observedGeneration": 1, "conditions": [ready]}}),
        );
        shop["metadata"]["generation"] = json!(generation);
        let found = findings(&world(&[shop]), &HealthSettings::default());
        found.into_iter().map(|finding| (finding.reason, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(told(1), []);
    assert_eq!(told(2), [("NotReconciled".to_owned(), Severity::Notice)]);
}

#[test]
fn what_is_not_seen_is_said_and_never_found_bad_or_good() {
    let header = Header {
        started_at: NOW.to_owned(),
        watching: vec!["Node".to_owned(), "Deployment".to_owned()],
        absent: vec!["Certificate".to_owned()],
        unseen: [("Pod".to_owned(), "may not list pods".to_owned())].into(),
        ..Header::default()
    };
    let away = node(
        "n1",
        json!({"status": {"conditions": [condition("Ready", "Unknown", "NodeStatusUnknown", 60)]}}),
    );
    let mut world = world_of(header, &[away]);
    let settings = HealthSettings::default();
    assert_eq!(findings(&world, &settings).len(), 1);
    let said = |world: &World, category| {
        let all = not_observed(world, category)
            .into_iter()
            .map(|unobserved| format!("{}: {}", unobserved.what, unobserved.reason));
        all.collect::<Vec<_>>()
    };
    assert!(said(&world, Category::Applications).contains(&"Pod: may not list pods".to_owned()));
    assert!(said(&world, Category::Storage).contains(&"Volume: nobody looks at it".to_owned()));
    assert!(
        !said(&world, Category::Network).iter().any(|text| text.contains("Certificate")),
        "it does not apply"
    );
    assert!(!said(&world, Category::Infrastructure).iter().any(|text| text.contains("Node")));
    // What was seen before the view was lost is old: it says nothing about now.
    world.take(Line { t: Moment(1_000), seen: Seen::View { back: false, kinds: None } });
    assert_eq!(findings(&world, &settings), []);
    assert!(
        said(&world, Category::Infrastructure)[0]
            .starts_with("Node: sight of it was lost at 2026-11-21 12:00:01")
    );
}

#[test]
fn every_kind_that_is_looked_at_is_of_one_category() {
    for kind in Kind::ALL {
        let of =
            Category::ALL.iter().filter(|category| super::observed::kinds(**category).contains(kind)).count();
        assert!(of <= 1, "{kind:?}");
    }
}

#[test]
fn only_what_is_new_or_worse_counts() {
    let old =
        found(&[volume("degraded", 3), claim("Pending", 9, None), flux("Bucket", json!({}), json!([]))]);
    let baseline = Baseline { findings: old, ..Baseline::default() };
    let now = found(&[
        volume("faulted", 3),
        claim("Pending", 9, None),
        pod(waiting("CrashLoopBackOff"), 5, Value::Null),
    ]);
    let comparison = compare(&baseline, now);
    assert_eq!(told(&comparison.new), ["failing pod_runs Deployment/apps/web CrashLoopBackOff"]);
    assert_eq!(told(&comparison.worse), ["critical longhorn_volume Volume/longhorn-system/x faulted"]);
    assert_eq!(told(&comparison.known), ["failing claim_bound PersistentVolumeClaim/apps/data Pending"]);
    assert_eq!(told(&comparison.gone), ["failing flux_ready Bucket/apps/x NotReconciled"]);
    assert_eq!(comparison.regressed().count(), 2);
}

fn budget(allowed: i64, current: i64, desired: i64) -> Value {
    object(
        "policy/v1",
        "PodDisruptionBudget",
        "apps/web",
        json!({"spec": {}, "status": {"disruptionsAllowed": allowed, "currentHealthy": current, "desiredHealthy": desired, "expectedPods": 2}}),
    )
}

fn attached_volume(engine: &str, data: &str) -> Value {
    longhorn(
        "Volume",
        json!({"spec": {"image": "e:2", "dataEngine": data}, "status": {"state": "attached", "robustness": "healthy", "currentImage": engine}}),
    )
}

fn default_engine(image: &str) -> Value {
    object("longhorn.io/v1beta2", "Setting", "longhorn-system/default-engine-image", json!({"value": image}))
}

#[test]
fn patience_can_be_no_longer_than_the_window() {
    let just =
        node("n1", json!({"status": {"conditions": [condition("Ready", "False", "KubeletNotReady", 1)]}}));
    let settings = HealthSettings::default().within(std::time::Duration::from_secs(30));
    assert_eq!(findings(&world(&[just]), &settings).len(), 1);
}

#[test]
fn messages_are_one_line_of_bounded_length() {
    let mut long = condition("Ready", "False", "BuildFailed", 9);
    long["message"] = json!(format!("first\n\n second \u{1b}[31m{}", "x".repeat(5_000)));
    let findings = found(&[flux("Kustomization", json!({}), json!([long]))]);
    let message = &findings[0].message;
    assert!(message.len() < 400 && message.contains("first second"), "{message}");
    assert!(!message.contains(char::is_control));
}

#[test]
fn static_pods_are_their_own_subject() {
    let mut pod = pod(waiting("CrashLoopBackOff"), 5, Value::Null);
    pod["metadata"]["ownerReferences"] =
        json!([{"kind": "Node", "name": "n1", "uid": "1", "controller": true}]);
    let subject =
        Subject { kind: "Pod".to_owned(), namespace: "apps".to_owned(), name: "web-5d9c7-x".to_owned() };
    assert_eq!(found(&[pod])[0].subject, subject);
}

/// Rules name checks: one that is not on the list could not be named.
#[test]
fn every_check_is_on_the_list() {
    let sources = [
        include_str!("admission.rs"),
        include_str!("flux.rs"),
        include_str!("longhorn.rs"),
        include_str!("network.rs"),
        include_str!("nodes.rs"),
        include_str!("probes.rs"),
        include_str!("storage.rs"),
        include_str!("workloads.rs"),
    ];
    let quoted: std::collections::BTreeSet<&str> = sources.iter().flat_map(|text| text.split('"')).collect();
    let missing: Vec<_> = CHECKS.iter().filter(|check| !quoted.contains(*check)).collect();
    assert!(missing.is_empty(), "nothing makes {missing:?}");
    let made: Vec<&str> = sources
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.split("check: \"").nth(1)?.split('"').next())
        .collect();
    assert!(made.len() > 10, "{made:?}");
    let unlisted: Vec<_> = made.iter().filter(|check| !CHECKS.contains(check)).collect();
    assert!(unlisted.is_empty(), "not listed: {unlisted:?}");
    assert!(CHECKS.is_sorted());
}

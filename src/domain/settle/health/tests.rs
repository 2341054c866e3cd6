//! Every check, both ways: what is told, and what is not.

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

#[rstest]
#[case::away_for_long(node("n1", json!({"status": {"conditions": [condition("Ready", "Unknown", "NodeStatusUnknown", 6)]}})),
    "failing node_ready Node/n1 NodeStatusUnknown")]
#[case::away_for_a_moment(node("n1", json!({"status": {"conditions": [condition("Ready", "False", "KubeletNotReady", 4)]}})), "")]
#[case::without_any_condition(node("n1", json!({"status": {"conditions": []}})), "failing node_ready Node/n1 Ready")]
#[case::memory(
    with_condition(condition("MemoryPressure", "True", "KubeletHasInsufficientMemory", 6)),
    "failing node_ready Node/n1 MemoryPressure"
)]
#[case::disk_for_a_moment(with_condition(condition("DiskPressure", "True", "", 1)), "")]
#[case::network(
    with_condition(condition("NetworkUnavailable", "True", "NoRoute", 9)),
    "failing node_ready Node/n1 NetworkUnavailable"
)]
#[case::no_voter(
    with_condition(condition("EtcdIsVoter", "False", "", 9)),
    "failing etcd_member Node/n1 EtcdIsVoter"
)]
#[case::cordoned_for_long(node("n1", json!({"spec": {"unschedulable": true, "taints": [
    {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": before(6)}]}})),
    "failing node_schedulable Node/n1 SchedulingDisabled")]
#[case::cordoned_for_a_moment(node("n1", json!({"spec": {"unschedulable": true, "taints": [
    {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": before(1)}]}})), "")]
#[case::well(node("n1", json!({})), "")]
fn nodes(#[case] node: Value, #[case] expected: &str) {
    assert_eq!(told(&found(&[node])).join("\n"), expected);
}

#[rstest]
#[case::all_there(&["True", "True", "True"], 60, "")]
#[case::one_of_three_restarts(&["True", "True", "False"], 2, "")]
#[case::one_of_three_is_away(&["True", "True", "False"], 6, "QuorumAtEdge")]
#[case::two_of_three_are_away(&["True", "False", "False"], 0, "QuorumLost")]
#[case::one_of_five_is_away(&["True", "True", "True", "True", "False"], 60, "")]
#[case::two_of_five_are_away(&["True", "True", "True", "False", "False"], 60, "QuorumAtEdge")]
#[case::the_only_one_is_away(&["False"], 60, "")]
#[case::two_bear_no_loss(&["True", "True"], 60, "EvenMembers")]
fn quorum_of_etcd(#[case] ready: &[&str], #[case] minutes: i64, #[case] expected: &str) {
    let nodes: Vec<Value> =
        ready.iter().enumerate().map(|(at, ready)| server(&format!("s{at}"), ready, minutes)).collect();
    let etcd = found(&nodes).into_iter().filter(|finding| finding.subject.kind == "Etcd");
    assert_eq!(etcd.map(|finding| finding.reason).collect::<Vec<_>>().join(" "), expected);
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

#[rstest]
#[case::pending_for_long(vec![claim("Pending", 3, None)], "failing claim_bound PersistentVolumeClaim/apps/data Pending")]
#[case::pending_for_a_moment(vec![claim("Pending", 1, None)], "")]
#[case::waits_for_its_pod(vec![claim("Pending", 9, Some("local")), waiting_class()], "")]
#[case::waits_for_its_pod_by_default(vec![claim("Pending", 9, None), waiting_class()], "")]
#[case::has_its_pod(vec![claim("Pending", 9, Some("local")), waiting_class(), mounting_pod()],
    "failing claim_bound PersistentVolumeClaim/apps/data Pending")]
#[case::lost(vec![claim("Lost", 0, None)], "failing claim_bound PersistentVolumeClaim/apps/data Lost")]
#[case::bound(vec![claim("Bound", 9, None)], "")]
#[case::reclaim_failed(vec![object("v1", "PersistentVolume", "pvc-1", json!({"status": {"phase": "Failed"}}))],
    "failing volume_phase PersistentVolume/pvc-1 Failed")]
#[case::not_attached(vec![attachment(4, false, Some("rpc error"))], "failing volume_attached PersistentVolume/pvc-1 AttachError")]
#[case::not_attached_yet(vec![attachment(2, false, Some("rpc error"))], "")]
#[case::attached_after_all(vec![attachment(9, true, Some("rpc error"))], "")]
fn storage(#[case] objects: Vec<Value>, #[case] expected: &str) {
    assert_eq!(told(&found(&objects)).join("\n"), expected);
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

#[rstest]
#[case::faulted(volume("faulted", 0), "critical longhorn_volume Volume/longhorn-system/x faulted")]
#[case::degraded_past_the_rebuild_budget(
    volume("degraded", 31),
    "failing longhorn_volume Volume/longhorn-system/x degraded"
)]
#[case::degraded_for_a_moment(
    volume("degraded", 3),
    "notice longhorn_volume Volume/longhorn-system/x degraded"
)]
#[case::detached(volume("unknown", 0), "")]
#[case::healthy(volume("healthy", 99), "")]
#[case::no_place_for_replicas(longhorn("Volume", json!({"status": {"robustness": "healthy",
    "conditions": [condition("Scheduled", "False", "ReplicaSchedulingFailure", 1)]}})),
    "failing longhorn_scheduled Volume/longhorn-system/x ReplicaSchedulingFailure")]
#[case::snapshots(longhorn("Volume", json!({"status": {"conditions": [condition("TooManySnapshots", "True", "TooManySnapshots", 1)]}})),
    "notice longhorn_snapshots Volume/longhorn-system/x TooManySnapshots")]
#[case::old_engine(longhorn("Volume", json!({"spec": {"image": "engine:2"}, "status": {"robustness": "healthy", "currentImage": "engine:1"}})),
    "notice longhorn_engine Volume/longhorn-system/x OldEngine")]
#[case::manager_down(longhorn("Node", json!({"status": {"conditions": [condition("Ready", "False", "ManagerPodDown", 6)]}})),
    "failing longhorn_node Node.longhorn.io/longhorn-system/x ManagerPodDown")]
#[case::manager_restarts(longhorn("Node", json!({"status": {"conditions": [condition("Ready", "False", "ManagerPodDown", 1)]}})), "")]
#[case::disk(longhorn("Node", json!({"status": {"diskStatus": {"d1": {"conditions": [condition("Ready", "False", "DiskNotReady", 9)]}}}})),
    "failing longhorn_disk Node.longhorn.io/longhorn-system/x DiskNotReady")]
#[case::full_disk(longhorn("Node", json!({"status": {"diskStatus": {"d1": {"conditions": [condition("Schedulable", "False", "DiskPressure", 9)]}}}})),
    "notice longhorn_disk Node.longhorn.io/longhorn-system/x DiskPressure")]
#[case::read_only(longhorn("Engine", json!({"status": {"conditions": [condition("FilesystemReadOnly", "True", "FilesystemReadOnly", 1)]}})),
    "failing longhorn_engine_writes Engine/longhorn-system/x FilesystemReadOnly")]
#[case::rebuild_failed(longhorn("Replica", json!({"status": {"conditions": [condition("RebuildFailed", "True", "Disconnection", 1)]}})),
    "failing longhorn_replica Replica/longhorn-system/x Disconnection")]
#[case::engine_image_missing(longhorn("EngineImage", json!({"spec": {"image": "e:1"}, "status": {"state": "deploying", "refCount": 3, "nodeDeploymentMap": {"n1": false}}})),
    "failing longhorn_engine_image EngineImage/longhorn-system/x deploying")]
#[case::engine_image_unused(longhorn("EngineImage", json!({"spec": {"image": "e:1"}, "status": {"state": "deploying", "refCount": 0}})), "")]
#[case::engine_image_incompatible(longhorn("EngineImage", json!({"spec": {"image": "e:1"}, "status": {"state": "deployed", "incompatible": true, "refCount": 1}})),
    "failing longhorn_engine_image EngineImage/longhorn-system/x Incompatible")]
#[case::backups_cannot_be_written(longhorn("BackupTarget", json!({"spec": {"backupTargetURL": "s3://b"}, "status": {"available": false,
    "conditions": [condition("Unavailable", "True", "Unavailable", 1)]}})),
    "failing longhorn_backup_target BackupTarget/longhorn-system/x Unavailable")]
#[case::no_backup_target(longhorn("BackupTarget", json!({"spec": {"backupTargetURL": ""}, "status": {"available": false}})), "")]
fn longhorn_objects(#[case] object: Value, #[case] expected: &str) {
    assert_eq!(told(&found(&[object])).join("\n"), expected);
}

fn flux(kind: &str, spec: Value, conditions: Value) -> Value {
    let api = match kind {
        "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
        "Kustomization" => "kustomize.toolkit.fluxcd.io/v1",
        _ => "source.toolkit.fluxcd.io/v1",
    };
    object(api, kind, "apps/x", json!({"spec": spec, "status": {"conditions": conditions}}))
}

#[rstest]
#[case::stalled(flux("HelmRelease", json!({}), json!([condition("Stalled", "True", "RetriesExceeded", 0), condition("Ready", "False", "UpgradeFailed", 0)])),
    "failing flux_ready HelmRelease/apps/x RetriesExceeded")]
#[case::failing_for_long(flux("Kustomization", json!({}), json!([condition("Ready", "False", "BuildFailed", 6)])),
    "failing flux_ready Kustomization/apps/x BuildFailed")]
#[case::failing_for_a_moment(flux("Kustomization", json!({}), json!([condition("Ready", "False", "HealthCheckFailed", 1)])), "")]
#[case::waits_for_another(flux("HelmRelease", json!({}), json!([condition("Ready", "False", "DependencyNotReady", 9)])),
    "notice flux_ready HelmRelease/apps/x DependencyNotReady")]
#[case::suspended(flux("HelmRelease", json!({"suspend": true}), json!([condition("Ready", "False", "UpgradeFailed", 9)])),
    "notice flux_suspended HelmRelease/apps/x Suspended")]
#[case::static_source(flux("HelmRepository", json!({"type": "oci", "url": "oci://a"}), json!([])), "")]
#[case::nobody_took_it_up(flux("GitRepository", json!({"url": "https://a"}), json!([])),
    "failing flux_ready GitRepository/apps/x NotReconciled")]
#[case::ready(flux("HelmRelease", json!({}), json!([condition("Ready", "True", "UpgradeSucceeded", 9)])), "")]
fn flux_objects(#[case] object: Value, #[case] expected: &str) {
    assert_eq!(told(&found(&[object])).join("\n"), expected);
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

#[rstest]
#[case::crash_loop(
    pod(waiting("CrashLoopBackOff"), 1, Value::Null),
    "failing pod_runs Deployment/apps/web CrashLoopBackOff"
)]
#[case::crash_loop_that_is_young(young(pod(waiting("CrashLoopBackOff"), 1, Value::Null)), "")]
#[case::crash_loop_that_is_young_and_often(
    young(pod(waiting("CrashLoopBackOff"), 3, Value::Null)),
    "failing pod_runs Deployment/apps/web CrashLoopBackOff"
)]
#[case::image(
    pod(waiting("ImagePullBackOff"), 0, Value::Null),
    "failing pod_runs Deployment/apps/web ImagePullBackOff"
)]
#[case::image_for_a_moment(young(pod(waiting("ErrImagePull"), 0, Value::Null)), "")]
#[case::creating(pod(waiting("ContainerCreating"), 0, Value::Null), "")]
#[case::no_node(unscheduled(6), "failing pod_runs Deployment/apps/web Unschedulable")]
#[case::no_node_for_a_moment(unscheduled(2), "")]
fn pods_are_told_by_their_owner(#[case] pod: Value, #[case] expected: &str) {
    assert_eq!(told(&found(&[pod])).join("\n"), expected);
}

#[rstest]
#[case::available(deployment("apps", 2, 2, json!([])), "")]
#[case::scaled_to_nothing(deployment("apps", 0, 0, json!([])), "")]
#[case::too_few_for_long(deployment("apps", 2, 1, json!([condition("Available", "False", "MinimumReplicasUnavailable", 6)])),
    "failing workload_available Deployment/apps/web Unavailable")]
#[case::too_few_for_a_moment(deployment("apps", 2, 1, json!([condition("Available", "False", "MinimumReplicasUnavailable", 2)])), "")]
#[case::deadline(deployment("apps", 2, 1, json!([condition("Progressing", "False", "ProgressDeadlineExceeded", 0)])),
    "failing workload_available Deployment/apps/web ProgressDeadlineExceeded")]
#[case::no_pods_may_be_made(deployment("apps", 2, 0, json!([condition("ReplicaFailure", "True", "FailedCreate", 0)])),
    "failing workload_available Deployment/apps/web FailedCreate")]
#[case::daemons(object("apps/v1", "DaemonSet", "kube-system/svclb", json!({"metadata": {"generation": 1}, "spec": {},
    "status": {"observedGeneration": 1, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 2, "numberAvailable": 2}})),
    "failing workload_available DaemonSet/kube-system/svclb Unavailable")]
#[case::stateful(object("apps/v1", "StatefulSet", "apps/db", json!({"metadata": {"generation": 1}, "spec": {"replicas": 3},
    "status": {"observedGeneration": 1, "replicas": 3, "readyReplicas": 2, "availableReplicas": 2}})),
    "failing workload_available StatefulSet/apps/db Unavailable")]
fn workloads(#[case] object: Value, #[case] expected: &str) {
    assert_eq!(told(&found(&[object])).join("\n"), expected);
}

#[test]
fn no_name_server_at_all_is_a_danger_for_the_whole_cluster() {
    let mut dns = deployment("kube-system", 2, 0, json!([condition("Available", "False", "", 6)]));
    dns["metadata"]["labels"] = json!({"k8s-app": "kube-dns"});
    let findings = found(&[dns]);
    assert_eq!(told(&findings), ["critical workload_available Deployment/kube-system/web Unavailable"]);
    assert_eq!(findings[0].category, Category::Infrastructure);
}

#[test]
fn workload_is_not_told_twice_when_its_pods_say_why() {
    let few = deployment("apps", 1, 0, json!([condition("Available", "False", "", 6)]));
    let findings = found(&[few, pod(waiting("ImagePullBackOff"), 0, Value::Null)]);
    assert_eq!(told(&findings), ["failing pod_runs Deployment/apps/web ImagePullBackOff"]);
    assert!(findings[0].message.contains("registry.example/web:2"), "{}", findings[0].message);
}

#[test]
fn restarts_count_from_the_baseline() {
    let killed = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": before(1)}});
    let mut restarting = pod(json!({"running": {"startedAt": before(1)}}), 7, killed);
    restarting["status"]["conditions"] = json!([condition("Ready", "True", "", 1)]);
    let world = world(&[restarting]);
    let settings = HealthSettings::default();
    let since = |count: Option<i64>| {
        let before =
            count.map(|count| std::collections::BTreeMap::from([("Deployment/apps/web".to_owned(), count)]));
        told(&findings_since(&world, &settings, before.as_ref())).join("\n")
    };
    assert_eq!(since(None), "", "without a baseline nobody knows when they were");
    assert_eq!(since(Some(5)), "");
    assert_eq!(since(Some(4)), "failing pod_restarts Deployment/apps/web OOMKilled");
    let nothing = std::collections::BTreeMap::new();
    assert_eq!(findings_since(&world, &settings, Some(&nothing)).len(), 1, "an empty baseline is one, too");
    assert_eq!(restarts(&world)["Deployment/apps/web"], 7);
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

#[test]
fn newest_job_of_a_schedule_counts() {
    let failed_last = found(&[job("a", 90, "Complete"), job("b", 30, "Failed")]);
    assert_eq!(told(&failed_last), ["failing job_succeeds CronJob/apps/nightly BackoffLimitExceeded"]);
    assert_eq!(told(&found(&[job("a", 90, "Failed"), job("b", 30, "Complete")])), [] as [&str; 0]);
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

#[rstest]
#[case::answered(vec![selecting(), slice(true)], "")]
#[case::no_ready_endpoint(vec![selecting(), slice(false)], "failing service_endpoints Service/apps/web NoReadyEndpoints")]
#[case::nothing_behind_it(vec![selecting()], "failing service_endpoints Service/apps/web NoEndpoints")]
#[case::without_selector(vec![service(json!({"spec": {"clusterIP": "10.43.0.9"}}))], "")]
#[case::alias(vec![service(json!({"spec": {"type": "ExternalName", "externalName": "a.example", "selector": {"a": "b"}}}))], "")]
#[case::balancer_without_address(vec![service(json!({"spec": {"type": "LoadBalancer"}}))], "failing service_address Service/apps/web Pending")]
#[case::ingress_without_address(vec![ingress("a", true), ingress("b", false), selecting(), slice(true)], "failing ingress_address Ingress/apps/b NoAddress")]
#[case::no_ingress_has_an_address(vec![ingress("a", false), ingress("b", false), selecting(), slice(true)], "")]
#[case::ingress_without_service(vec![ingress("a", true)], "failing ingress_service Ingress/apps/a ServiceNotFound")]
#[case::certificate_not_ready(vec![certificate(json!([condition("Ready", "False", "DoesNotExist", 11)]), "2027-01-01T00:00:00Z")],
    "failing certificate_ready Certificate/apps/tls DoesNotExist")]
#[case::certificate_being_issued(vec![certificate(json!([condition("Ready", "False", "DoesNotExist", 9)]), "2027-01-01T00:00:00Z")], "")]
#[case::certificate_over(vec![certificate(json!([condition("Ready", "True", "Ready", 99)]), "2026-11-21T11:59:00Z")],
    "failing certificate_ends Certificate/apps/tls Expired")]
#[case::certificate_ends_soon(vec![certificate(json!([condition("Ready", "True", "Ready", 99)]), "2026-11-23T11:59:00Z")],
    "notice certificate_ends Certificate/apps/tls ExpiresSoon")]
#[case::certificate_good(vec![certificate(json!([condition("Ready", "True", "Ready", 99)]), "2026-12-23T11:59:00Z")], "")]
fn network(#[case] objects: Vec<Value>, #[case] expected: &str) {
    assert_eq!(told(&found(&objects)).join("\n"), expected);
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
#[case::closed_and_silent(vec![webhook("Fail")], "failing webhook_answers ValidatingWebhookConfiguration/guard NoEndpoints")]
#[case::open(vec![webhook("Ignore")], "")]
#[case::answers(vec![webhook("Fail"), slice(true)], "")]
#[case::api_away(vec![api_service("False", false)], "failing api_available APIService/v1beta1.metrics.k8s.io MissingEndpoints")]
#[case::api_there(vec![api_service("True", false)], "")]
#[case::custom_kind(vec![object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "a.example.org",
    json!({"spec": {"group": "example.org", "names": {"kind": "A"}, "versions": []}, "status": {"conditions": [condition("Established", "False", "NotAccepted", 1)]}}))],
    "failing crd_established CustomResourceDefinition/a.example.org NotAccepted")]
fn admission(#[case] objects: Vec<Value>, #[case] expected: &str) {
    assert_eq!(told(&found(&objects)).join("\n"), expected);
}

#[rstest]
#[case("apiserver", Category::Infrastructure, Severity::Critical)]
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

fn codes(objects: &[Value], moves: Moves) -> Vec<String> {
    prechecks(&world(objects), &HealthSettings::default(), moves)
        .into_iter()
        .map(|concern| concern.code)
        .collect()
}

const CHART: Moves = Moves { nodes: false, drains: false, longhorn: false };
const K3S: Moves = Moves { nodes: true, drains: true, longhorn: false };
const LONGHORN: Moves = Moves { nodes: false, drains: false, longhorn: true };

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

#[rstest]
#[case::all_well(vec![server("a", "True", 60)], CHART, &[])]
#[case::node_just_away(vec![server("a", "False", 0)], CHART, &["node_ready"])]
#[case::faulted(vec![volume("faulted", 0)], CHART, &["longhorn_volume"])]
#[case::degraded_for_long(vec![volume("degraded", 40)], CHART, &["longhorn_volume"])]
#[case::degraded_just_now_is_no_matter_for_a_chart(vec![volume("degraded", 1)], CHART, &[])]
#[case::degraded_just_now(vec![volume("degraded", 1)], K3S, &["longhorn_volume"])]
#[case::pending_claim_of_an_application(vec![claim("Pending", 9, None)], CHART, &[])]
#[case::pending_claim(vec![claim("Pending", 9, None)], LONGHORN, &["claim_bound"])]
#[case::crashing_application(vec![pod(waiting("CrashLoopBackOff"), 5, Value::Null)], K3S, &[])]
#[case::member_away(vec![server("a", "True", 60), server("b", "True", 60), server("c", "False", 1)], K3S, &["node_ready", "etcd_quorum"])]
#[case::all_members(vec![server("a", "True", 60), server("b", "True", 60), server("c", "True", 60)], K3S, &[])]
#[case::one_member(vec![server("a", "True", 60)], K3S, &[])]
#[case::two_members(vec![server("a", "True", 60), server("b", "True", 60)], K3S, &[])]
#[case::budget_that_is_short(vec![budget(0, 1, 2)], K3S, &["disruption_budget"])]
#[case::budget_that_bears_nothing(vec![budget(0, 2, 2)], K3S, &["disruption_budget"])]
#[case::budget_that_bears_one(vec![budget(1, 2, 1)], K3S, &[])]
#[case::budget_is_no_matter_for_a_chart(vec![budget(0, 1, 2)], CHART, &[])]
#[case::old_engine(vec![attached_volume("e:1", "v1")], LONGHORN, &["longhorn_engine"])]
#[case::engine_older_than_the_installed(vec![attached_volume("e:2", "v1"), default_engine("e:3")], LONGHORN, &["longhorn_engine"])]
#[case::engine_current(vec![attached_volume("e:3", "v1"), default_engine("e:3")], LONGHORN, &[])]
#[case::v2_attached(vec![attached_volume("e:2", "v2")], LONGHORN, &["longhorn_v2"])]
#[case::rebuild(vec![longhorn("Engine", json!({"spec": {"volumeName": "v"}, "status": {"rebuildStatus": {"r": {"isRebuilding": true}}}}))], LONGHORN, &["longhorn_rebuild"])]
fn before_a_merge(#[case] objects: Vec<Value>, #[case] moves: Moves, #[case] expected: &[&str]) {
    assert_eq!(codes(&objects, moves), expected);
}

#[test]
fn what_cannot_be_looked_at_holds_what_depends_on_it() {
    let header =
        Header { started_at: NOW.to_owned(), watching: vec!["Node".to_owned()], ..Header::default() };
    let world = world_of(header, &[]);
    let concerns = |moves| prechecks(&world, &HealthSettings::default(), moves);
    assert_eq!(concerns(CHART), []);
    let concerns = concerns(LONGHORN);
    assert_eq!(concerns.len(), 3);
    assert!(concerns.iter().all(|concern| concern.not_observed), "{concerns:?}");
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

//! Pods, their owners, and Jobs.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

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

#[test]
fn newest_job_of_a_schedule_counts() {
    let failed_last = found(&[job("a", 90, "Complete"), job("b", 30, "Failed")]);
    assert_eq!(told(&failed_last), ["failing job_succeeds CronJob/apps/nightly BackoffLimitExceeded"]);
    assert_eq!(told(&found(&[job("a", 90, "Failed"), job("b", 30, "Complete")])), [] as [&str; 0]);
}

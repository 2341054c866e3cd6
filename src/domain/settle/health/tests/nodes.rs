//! Nodes and etcd.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

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

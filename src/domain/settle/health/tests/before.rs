//! What holds a merge.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn codes(objects: &[Value], moves: Moves) -> Vec<String> {
    prechecks(&world(objects), &HealthSettings::default(), moves)
        .into_iter()
        .map(|concern| concern.code)
        .collect()
}

const CHART: Moves = Moves { nodes: false, drains: false, longhorn: false };
const K3S: Moves = Moves { nodes: true, drains: true, longhorn: false };
const LONGHORN: Moves = Moves { nodes: false, drains: false, longhorn: true };

fn backing_image(state: &str) -> Value {
    longhorn(
        "BackingImage",
        json!({"status": {"diskFileStatusMap": {"d1": {"state": "ready"}, "d2": {"state": state}}}}),
    )
}

/// An attached volume of as many replicas.
fn of_replicas(replicas: i64, spec: Value) -> Value {
    let mut object = longhorn("Volume", json!({"status": {"state": "attached", "robustness": "healthy"}}));
    object["spec"] = spec;
    object["spec"]["numberOfReplicas"] = json!(replicas);
    object
}

/// A node of Longhorn with one disk that takes replicas.
fn roomy(name: &str) -> Value {
    let conditions = json!([{"type": "Ready", "status": "True"}, {"type": "Schedulable", "status": "True"}]);
    object(
        "longhorn.io/v1beta2",
        "Node",
        &format!("longhorn-system/{name}"),
        json!({
            "spec": {"allowScheduling": true, "disks": {"d": {"allowScheduling": true, "evictionRequested": false}}},
            "status": {"conditions": conditions, "diskStatus": {"d": {"conditions": conditions}}},
        }),
    )
}

/// The same with a full disk.
fn full(name: &str) -> Value {
    with(
        roomy(name),
        "/status/diskStatus/d/conditions/1",
        json!({"type": "Schedulable", "status": "False", "reason": "DiskPressure"}),
    )
}

/// The same with room, and something that it has not.
fn lacking(type_: &str) -> Value {
    with(
        roomy("a"),
        "/status/conditions/2",
        json!({"type": type_, "status": "False", "message": "not there"}),
    )
}

fn with(mut object: Value, route: &str, value: Value) -> Value {
    let (above, last) = route.rsplit_once('/').unwrap();
    match object.pointer_mut(above).unwrap() {
        Value::Array(all) if last == all.len().to_string() => all.push(value),
        above => *above.pointer_mut(&format!("/{last}")).unwrap() = value,
    }
    object
}

fn setting(name: &str, value: &str) -> Value {
    object("longhorn.io/v1beta2", "Setting", &format!("longhorn-system/{name}"), json!({"value": value}))
}

fn soft(value: &str) -> Value {
    setting("replica-soft-anti-affinity", value)
}

fn v2_engine(value: &str) -> Value {
    setting("v2-data-engine", value)
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
#[case::backing_image_that_failed(vec![backing_image("failed")], LONGHORN, &["longhorn_backing_image"])]
#[case::backing_image_that_is_cleaned_up(vec![backing_image("failed-and-cleanup")], LONGHORN, &["longhorn_backing_image"])]
#[case::backing_image_is_ready(vec![backing_image("ready")], LONGHORN, &[])]
#[case::backing_image_is_fetched(vec![backing_image("in-progress")], LONGHORN, &[])]
#[case::backing_image_is_no_matter_for_a_chart(vec![backing_image("failed")], CHART, &[])]
#[case::room_on_every_node(vec![of_replicas(3, json!({})), roomy("a"), roomy("b"), roomy("c")], LONGHORN, &[])]
#[case::room_on_too_few(vec![of_replicas(3, json!({})), roomy("a"), roomy("b"), full("c")], LONGHORN, &["longhorn_room"])]
#[case::room_elsewhere(vec![of_replicas(2, json!({})), roomy("a"), roomy("b"), full("c")], LONGHORN, &[])]
#[case::room_on_a_disk_that_is_closed(vec![of_replicas(1, json!({})), with(roomy("a"), "/spec/disks/d/allowScheduling", json!(false))], LONGHORN, &["longhorn_room"])]
#[case::room_on_a_disk_that_is_emptied(vec![of_replicas(1, json!({})), with(roomy("a"), "/spec/disks/d/evictionRequested", json!(true))], LONGHORN, &["longhorn_room"])]
#[case::room_on_a_node_that_takes_nothing(vec![of_replicas(1, json!({})), with(roomy("a"), "/spec/allowScheduling", json!(false))], LONGHORN, &["longhorn_room"])]
#[case::replicas_that_may_share_a_node(vec![of_replicas(3, json!({})), roomy("a"), soft("true")], LONGHORN, &[])]
#[case::replicas_that_may_not_by_the_volume(vec![of_replicas(3, json!({"replicaSoftAntiAffinity": "disabled"})), roomy("a"), soft("true")], LONGHORN, &["longhorn_room"])]
#[case::replicas_that_may_by_the_volume(vec![of_replicas(3, json!({"replicaSoftAntiAffinity": "enabled"})), roomy("a"), soft("false")], LONGHORN, &[])]
#[case::volume_that_nobody_uses(vec![with(of_replicas(3, json!({})), "/status/state", json!("detached")), roomy("a")], LONGHORN, &[])]
#[case::room_is_no_matter_for_a_chart(vec![of_replicas(3, json!({})), full("a")], CHART, &[])]
#[case::shared_volume_without_a_client(vec![of_replicas(1, json!({"accessMode": "rwx"})), lacking("NFSClientInstalled")], LONGHORN, &["longhorn_node"])]
#[case::migratable_volume_without_a_client(vec![of_replicas(1, json!({"accessMode": "rwx", "migratable": true})), lacking("NFSClientInstalled")], LONGHORN, &[])]
#[case::no_shared_volume_and_no_client(vec![of_replicas(1, json!({"accessMode": "rwo"})), lacking("NFSClientInstalled")], LONGHORN, &[])]
#[case::v2_engine_without_huge_pages(vec![v2_engine("true"), lacking("HugePagesAvailable")], LONGHORN, &["longhorn_node"])]
#[case::v2_engine_is_off(vec![v2_engine("false"), lacking("HugePagesAvailable")], LONGHORN, &[])]
fn before_a_merge(#[case] objects: Vec<Value>, #[case] moves: Moves, #[case] expected: &[&str]) {
    assert_eq!(codes(&objects, moves), expected);
}

#[test]
fn what_cannot_be_looked_at_holds_what_depends_on_it() {
    let header =
        Header { started_at: NOW.to_owned(), watching: vec!["Node".to_owned()], ..Header::default() };
    let world = world_of(header, &[]);
    let concerns = |moves| prechecks(&world, &HealthSettings::default(), moves);
    let of_a_chart = concerns(CHART);
    assert_eq!(of_a_chart.len(), 1, "{of_a_chart:?}");
    assert_eq!(of_a_chart[0].object.as_deref(), Some("volumes"));
    let concerns = concerns(LONGHORN);
    assert_eq!(concerns.len(), 5);
    assert!(concerns.iter().all(|concern| concern.not_observed), "{concerns:?}");
}

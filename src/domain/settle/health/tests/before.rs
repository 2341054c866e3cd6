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
    let of_a_chart = concerns(CHART);
    assert_eq!(of_a_chart.len(), 1, "{of_a_chart:?}");
    assert_eq!(of_a_chart[0].object.as_deref(), Some("volumes"));
    let concerns = concerns(LONGHORN);
    assert_eq!(concerns.len(), 3);
    assert!(concerns.iter().all(|concern| concern.not_observed), "{concerns:?}");
}

//! A cluster whose storage or nodes are bad already stops a merge that is green, by the built program over the Kubernetes API;
//! and it goes on when they are good.

use gitops_updater::domain::settle::kind::Kind;
use rstest::rstest;
use serde_json::{Value, json};

use super::world::{LATER, NOW, World};
use crate::support::fake_cluster::{Account, FakeCluster, Outage};

const AUTO: &str = "policy: {semver_gates: {patch: auto}}\n";
const VOLUMES: &str = "volumes.longhorn.io";

fn node(ready: &str) -> Value {
    let ready = json!({"type": "Ready", "status": ready, "reason": "Kubelet", "lastTransitionTime": "2026-11-21T09:00:00Z"});
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"conditions": [ready]}})
}

fn volume(robustness: &str) -> Value {
    json!({"apiVersion": "longhorn.io/v1beta2", "kind": "Volume",
        "metadata": {"name": "pvc-1", "namespace": "longhorn-system"},
        "spec": {"numberOfReplicas": 3, "dataEngine": "v1"},
        "status": {"state": "attached", "robustness": robustness, "lastDegradedAt": "2026-11-21T09:00:00Z"}})
}

/// A cluster in order.
fn cluster() -> FakeCluster {
    let cluster = FakeCluster::start();
    cluster.cluster().define_known(&[Kind::LonghornVolume]);
    cluster.cluster().put(node("True"));
    cluster.cluster().put(volume("healthy"));
    cluster
}

/// What goes wrong in it.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    NodeAway,
    VolumeDegraded,
    VolumeFaulted,
    VolumesUnseen,
    ServerAway,
}

impl Wrong {
    fn begin(self, cluster: &FakeCluster) {
        match self {
            Self::NodeAway => drop(cluster.cluster().put(node("Unknown"))),
            Self::VolumeDegraded => drop(cluster.cluster().put(volume("degraded"))),
            Self::VolumeFaulted => drop(cluster.cluster().put(volume("faulted"))),
            Self::VolumesUnseen => {
                let account = Account::admin("bot").may_not(&["list", "watch"], &[VOLUMES], None);
                cluster.account("bot", account);
            }
            Self::ServerAway => cluster.outage(Some(Outage::Refuse)),
        }
    }

    fn end(self, cluster: &FakeCluster) {
        match self {
            Self::NodeAway => drop(cluster.cluster().put(node("True"))),
            Self::VolumeDegraded | Self::VolumeFaulted => drop(cluster.cluster().put(volume("healthy"))),
            Self::VolumesUnseen => cluster.account("bot", Account::admin("bot")),
            Self::ServerAway => cluster.outage(None),
        }
    }
}

#[rstest]
#[case::a_node_is_away(Wrong::NodeAway, "Node/n1: Kubelet: not Ready for 5 h")]
#[case::a_volume_is_degraded_for_long(Wrong::VolumeDegraded, "Volume/longhorn-system/pvc-1: degraded")]
#[case::a_volume_is_faulted(Wrong::VolumeFaulted, "Volume/longhorn-system/pvc-1: faulted")]
#[case::volumes_may_not_be_looked_at(Wrong::VolumesUnseen, "volumes: Volume objects are not observed")]
#[case::the_api_server_does_not_answer(Wrong::ServerAway, "it does not answer")]
fn green_pull_request_is_not_merged_while(#[case] wrong: Wrong, #[case] why: &str) {
    let cluster = cluster();
    cluster.account("bot", Account::admin("bot"));
    let mut world = World::new();
    world.configure(AUTO);
    let kubeconfig = world.sandbox.work().with_file_name("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig("bot")).unwrap();
    world.variables.push(("KUBECONFIG", kubeconfig.to_str().unwrap().to_owned()));
    world.pass(NOW);
    let head = world.open("podinfo").pull.unwrap().head_sha;
    world.forge.github().add_check(&head, "build", "success");

    wrong.begin(&cluster);
    let run = || world.run(&["run", "--now", LATER, "--cluster", "--wait", "0s"]);
    let held = run();
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"], "{held}");
    let said = format!("the cluster must be in order before a merge: {why}");
    let told = held.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(&said), "`{said}` is not in {held}");

    wrong.end(&cluster);
    let merged = run().exited(0);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"], "{merged}");
    assert!(!merged.stdout.contains("must be in order"), "{merged}");
}

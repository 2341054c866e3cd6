//! Single questions and writes by the program's own client.

use gitops_updater::app::cluster::{Cluster as _, ErrorClass, Resource};
use gitops_updater::domain::settle::kind::Kind;
use serde_json::{Value, json};

use super::connect;
use crate::support::fake_cluster::{ADMIN, Account, Answer, FakeCluster, How, Outage};

fn maps() -> Resource {
    Resource {
        group: String::new(),
        version: "v1".into(),
        kind: "ConfigMap".into(),
        plural: "configmaps".into(),
    }
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "one"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn object_is_made_read_changed_and_deleted() {
    let cluster = FakeCluster::start();
    let live = connect(&cluster, ADMIN, None).await;
    let (kind, namespace) = (maps(), Some("default"));
    let made = live.create(&kind, namespace, &map("one")).await.unwrap();
    let again = live.create(&kind, namespace, &map("one")).await.unwrap_err();
    assert_eq!(again.class, ErrorClass::Conflict);
    assert!(again.to_string().starts_with("cannot create ConfigMap/default: "), "{again}");
    let patched = live.patch(&kind, namespace, "one", &json!({"data": {"key": "two"}})).await.unwrap();
    assert_eq!(patched["data"]["key"], "two");
    let stale = live.replace(&kind, namespace, "one", &made).await.unwrap_err();
    assert_eq!(stale.class, ErrorClass::Conflict);
    let mut next = patched;
    next["data"]["key"] = json!("three");
    assert_eq!(live.replace(&kind, namespace, "one", &next).await.unwrap()["data"]["key"], "three");
    assert_eq!(live.get(&kind, namespace, "one").await.unwrap()["data"]["key"], "three");
    live.delete(&kind, namespace, "one").await.unwrap();
    assert_eq!(live.get(&kind, namespace, "one").await.unwrap_err().class, ErrorClass::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_with_a_label_are_listed_page_by_page() {
    let cluster = FakeCluster::start();
    for number in 0..250 {
        let mut object = map(&format!("m{number}"));
        object["metadata"]["namespace"] = json!("default");
        object["metadata"]["labels"] = json!({"odd": (number % 2 == 1).to_string()});
        cluster.cluster().put(object);
    }
    let live = connect(&cluster, ADMIN, None).await;
    let listed = live.list(&maps(), Some("default"), "odd=true").await.unwrap();
    assert_eq!(listed.len(), 125);
    assert_eq!(cluster.seen().iter().filter(|seen| seen.path.ends_with("/configmaps")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_names_the_rule_that_is_missing() {
    let cluster = FakeCluster::start();
    cluster.account("bot", Account::nobody("bot"));
    let live = connect(&cluster, "bot", None).await;
    let error =
        live.patch(&Resource::of(Kind::HelmRelease), Some("apps"), "demo", &json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::NotFound, "a kind that is not served");
    let error = live.patch(&maps(), Some("apps"), "demo", &json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
    let rule = "grant the account {apiGroups: [\"\"], resources: [configmaps], verbs: [patch]} in the namespace `apps`";
    assert_eq!(error.hint.as_deref(), Some(rule));
}

#[tokio::test(flavor = "multi_thread")]
async fn question_is_asked_again_and_a_write_only_where_it_was_not_done() {
    let cluster = FakeCluster::start();
    let live = connect(&cluster, ADMIN, None).await;
    cluster.fail("GET", "/namespaces/default", 2, How::Break);
    let namespaces = Resource::of(Kind::Namespace);
    assert!(live.get(&namespaces, None, "default").await.is_ok());
    cluster.fail("POST", "/configmaps", 2, How::Instead(Answer::throttled(1)));
    assert!(live.create(&maps(), Some("default"), &map("one")).await.is_ok());
    cluster.fail("POST", "/configmaps", 1, How::BreakAfterwards);
    let error = live.create(&maps(), Some("default"), &map("two")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    let posts = cluster.writes();
    assert_eq!(posts.len(), 4, "{posts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_told_check_by_check_also_when_not_all_pass() {
    let cluster = FakeCluster::start();
    let live = connect(&cluster, ADMIN, None).await;
    assert!(live.readiness().await.unwrap().iter().all(|(_, passes)| *passes));
    cluster.cluster().readiness[2].1 = false;
    let checks = live.readiness().await.unwrap();
    assert!(
        checks.contains(&("etcd".to_owned(), false)) && checks.contains(&("ping".to_owned(), true)),
        "{checks:?}"
    );
    cluster.outage(Some(Outage::Answer(Answer::unavailable())));
    assert_eq!(live.readiness().await.unwrap_err().class, ErrorClass::Transient);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_is_its_end() {
    let cluster = FakeCluster::start();
    cluster.cluster().put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "apps"}, "spec": {}}));
    let live = connect(&cluster, ADMIN, None).await;
    assert!(live.log("apps", "one", 100).await.unwrap_err().to_string().contains("ContainerCreating"));
    let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    cluster.cluster().log("apps", "one", &lines);
    assert_eq!(live.log("apps", "one", 20).await.unwrap(), "line 4998\nline 4999\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn name_cannot_lead_to_another_path() {
    let cluster = FakeCluster::start();
    let live = connect(&cluster, ADMIN, None).await;
    cluster.seen();
    for name in ["../secrets/a", "a?dryRun=All", ""] {
        assert_eq!(
            live.delete(&maps(), Some("default"), name).await.unwrap_err().class,
            ErrorClass::Permanent
        );
    }
    assert!(cluster.seen().is_empty());
}

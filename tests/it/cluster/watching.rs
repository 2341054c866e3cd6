//! Watches by the program's own client: what is told, and in which order.

use std::collections::BTreeSet;

use gitops_updater::app::cluster::{Cluster as _, ErrorClass, Looked, Scope, Watch};
use gitops_updater::cluster::Reducer;
use gitops_updater::domain::settle::kind::Kind;
use gitops_updater::domain::settle::line::{Change, Seen};
use serde_json::{Value, json};

use super::connect;
use crate::support::fake_cluster::{ADMIN, Account, Answer, FakeCluster, How, Outage};

/// What was told, one line each: `+Pod/apps/one 3`, `~…`, `-…`, `lost Pod`, `back all`, `complete`.
fn line(looked: &Looked) -> String {
    match looked {
        Looked::Complete => "complete".to_owned(),
        Looked::Seen(seen, _) => match &**seen {
            Seen::Event { change, object, initial } => {
                let sign = match change {
                    Change::Added => '+',
                    Change::Modified => '~',
                    Change::Deleted => '-',
                };
                format!("{sign}{}{}", object.title(), if *initial { " (initial)" } else { "" })
            }
            Seen::View { back, kinds } => {
                let kinds = kinds.as_ref().map_or_else(|| "all".to_owned(), |kinds| kinds.join(" "));
                format!("{} {kinds}", if *back { "back" } else { "lost" })
            }
            other => format!("{other:?}"),
        },
    }
}

/// Reads until a line that ends it, which is the last one returned.
async fn until(watch: &mut Watch, end: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let looked = watch.seen.recv().await.unwrap_or_else(|| panic!("ended without `{end}`: {lines:?}"));
        lines.push(line(&looked));
        if lines.last().is_some_and(|last| last == end) {
            return lines;
        }
    }
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "apps"},
        "spec": {"containers": [{"name": "main", "image": "a:1", "env": [{"name": "TOKEN", "value": "hunter2"}]}]},
        "status": {"phase": "Running"}})
}

fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {}})
}

fn scope(kinds: &[Kind]) -> Scope {
    Scope { kinds: kinds.to_vec(), ..Scope::default() }
}

fn with_pods(names: &[&str]) -> FakeCluster {
    let cluster = FakeCluster::start();
    for name in names {
        cluster.cluster().put(pod(name));
    }
    cluster
}

/// Ends when the watch of the kinds runs.
async fn running(cluster: &FakeCluster, count: usize) {
    while cluster.watches() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_told_first_and_then_what_changes() {
    let cluster = with_pods(&["one", "two"]);
    cluster.cluster().put(node("n"));
    let live = connect(&cluster, ADMIN, None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod, Kind::Node, Kind::LonghornVolume])).await.unwrap();
    assert_eq!(
        (watch.watching.as_slice(), watch.absent.as_slice()),
        (&[Kind::Node, Kind::Pod][..], &[Kind::LonghornVolume][..])
    );
    let first = until(&mut watch, "complete").await;
    let first: BTreeSet<&str> = first.iter().map(String::as_str).collect();
    assert_eq!(
        first,
        BTreeSet::from([
            "+Pod/apps/one (initial)",
            "+Pod/apps/two (initial)",
            "+Node/n (initial)",
            "complete"
        ])
    );
    running(&cluster, 2).await;
    cluster.cluster().change("pods", "apps", "one", |pod| pod["status"]["phase"] = json!("Failed"));
    cluster.cluster().remove("pods", "apps", "two");
    cluster.cluster().put(pod("three"));
    assert_eq!(
        until(&mut watch, "+Pod/apps/three").await,
        ["~Pod/apps/one", "-Pod/apps/two", "+Pod/apps/three"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_once_lists_and_watches_nothing() {
    let cluster = with_pods(&["one"]);
    let live = connect(&cluster, ADMIN, None).await;
    let mut watch = live.watch(&Scope { once: true, ..scope(&[Kind::Pod]) }).await.unwrap();
    assert_eq!(until(&mut watch, "complete").await, ["+Pod/apps/one (initial)", "complete"]);
    assert!(watch.seen.recv().await.is_none());
    assert!(cluster.seen().iter().all(|seen| !seen.is_watch()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_asked_for_in_pages_and_begin_anew_where_they_took_too_long() {
    let cluster = FakeCluster::start();
    for number in 0..1100 {
        cluster.cluster().put(pod(&format!("p{number}")));
    }
    let live = connect(&cluster, ADMIN, None).await;
    cluster.seen();
    cluster.fail("GET", "/pods", 1, How::Half);
    cluster.fail("GET", "/pods", 1, How::Instead(Answer::expired_token()));
    let mut watch = live.watch(&Scope { once: true, ..scope(&[Kind::Pod]) }).await.unwrap();
    let lines = until(&mut watch, "complete").await;
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), 1101);
    assert_eq!(lines.len(), 1101, "nothing is told twice");
    let pages: Vec<bool> = cluster
        .seen()
        .iter()
        .filter(|seen| seen.path == "/api/v1/pods")
        .map(|seen| seen.query.contains_key("continue"))
        .collect();
    assert_eq!(pages, [false, false, false, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_that_ends_goes_on_where_it_was() {
    let cluster = with_pods(&["one"]);
    let live = connect(&cluster, ADMIN, None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod])).await.unwrap();
    until(&mut watch, "complete").await;
    for end in [FakeCluster::end_watches, FakeCluster::cut_watches] {
        running(&cluster, 1).await;
        cluster.seen();
        end(&cluster);
        cluster.cluster().change("pods", "apps", "one", |pod| {
            pod["status"]["round"] = json!(pod["metadata"]["resourceVersion"].clone())
        });
        assert_eq!(until(&mut watch, "~Pod/apps/one").await, ["~Pod/apps/one"]);
        assert!(cluster.seen().iter().all(gitops_is_watch), "it was not listed again");
    }
}

fn gitops_is_watch(seen: &crate::support::fake_cluster::Recorded) -> bool {
    seen.is_watch() || seen.path == "/version"
}

#[tokio::test(flavor = "multi_thread")]
async fn version_that_is_too_old_is_listed_again_and_only_the_difference_is_told() {
    let cluster = with_pods(&["same", "changed", "gone"]);
    let live = connect(&cluster, ADMIN, None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod])).await.unwrap();
    until(&mut watch, "complete").await;
    running(&cluster, 1).await;
    let uid = cluster.cluster().get("pods", "apps", "gone").unwrap()["metadata"]["uid"].clone();
    // While the watch is cut nothing answers, so that all of it is missed.
    cluster.fail("GET", "/pods", 1, How::Instead(Answer::throttled(0)));
    {
        let mut state = cluster.cluster();
        state.cut_all();
        state.change("pods", "apps", "changed", |pod| pod["status"]["phase"] = json!("Failed"));
        state.remove("pods", "apps", "gone");
        state.forget();
    }
    let mut told = Vec::new();
    while told.len() < 2 {
        let looked = watch.seen.recv().await.unwrap();
        if let Looked::Seen(seen, _) = &looked
            && let Seen::Event { change: Change::Deleted, object, .. } = &**seen
        {
            assert_eq!(object.meta.uid, uid.as_str().unwrap());
        }
        told.push(line(&looked));
    }
    assert_eq!(told, ["~Pod/apps/changed", "-Pod/apps/gone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bookmarks_spare_listing_again() {
    let cluster = with_pods(&["one"]);
    let live = connect(&cluster, ADMIN, None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod])).await.unwrap();
    until(&mut watch, "complete").await;
    running(&cluster, 1).await;
    cluster.cluster().put(node("other"));
    cluster.send_bookmarks();
    let version = cluster.cluster().resource_version();
    cluster.forget_history();
    let mut seen = cluster.seen();
    cluster.end_watches();
    while seen.iter().filter(|seen| seen.is_watch()).count() < 2 {
        tokio::task::yield_now().await;
        seen.extend(cluster.seen());
    }
    cluster.cluster().put(pod("two"));
    assert_eq!(until(&mut watch, "+Pod/apps/two").await, ["+Pod/apps/two"]);
    let versions: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.is_watch())
        .map(|seen| seen.query["resourceVersion"].as_str())
        .collect();
    assert_eq!(versions[1], version.to_string());
    assert_eq!(seen.iter().filter(|seen| seen.path == "/api/v1/pods" && !seen.is_watch()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_is_lost_sight_and_everything_is_told_anew_afterwards() {
    for outage in [
        Outage::Refuse,
        Outage::Half,
        Outage::Hang,
        Outage::Answer(Answer::unavailable()),
        Outage::Answer(Answer::internal("etcdserver: leader changed")),
    ] {
        let cluster = with_pods(&["one", "gone"]);
        cluster.cluster().put(node("n"));
        let live = connect(&cluster, ADMIN, None).await;
        let mut watch = live.watch(&scope(&[Kind::Pod, Kind::Node])).await.unwrap();
        until(&mut watch, "complete").await;
        running(&cluster, 2).await;
        cluster.outage(Some(outage.clone()));
        cluster.cut_watches();
        assert!(until_lost(&mut watch).await.iter().all(|line| line.starts_with("lost")), "{outage:?}");
        cluster.cluster().remove("pods", "apps", "gone");
        cluster.outage(None);
        let told = until_back(&mut watch).await;
        let objects: BTreeSet<&str> = told
            .iter()
            .map(String::as_str)
            .filter(|line| !line.starts_with("back") && !line.starts_with("lost"))
            .collect();
        assert_eq!(objects, BTreeSet::from(["~Pod/apps/one", "-Pod/apps/gone", "~Node/n"]), "{outage:?}");
        let last = told.iter().rposition(|line| line.contains('/')).unwrap();
        assert!(
            told[last..].iter().any(|line| line.starts_with("back")),
            "sight is back after all is told: {told:?}"
        );
    }
}

/// Until both kinds are lost.
async fn until_lost(watch: &mut Watch) -> Vec<String> {
    gather(watch, "lost").await
}

async fn until_back(watch: &mut Watch) -> Vec<String> {
    gather(watch, "back").await
}

async fn gather(watch: &mut Watch, word: &str) -> Vec<String> {
    let (mut lines, mut kinds) = (Vec::new(), BTreeSet::new());
    loop {
        let told = line(&watch.seen.recv().await.unwrap());
        lines.push(told.clone());
        let Some((what, of)) = told.split_once(' ') else { continue };
        match (what == word, what) {
            (true, _) => kinds.extend(of.split(' ').map(str::to_owned)),
            (false, "lost" | "back") => kinds.clear(),
            _ => {}
        }
        if kinds.contains("all") || kinds.len() == 2 {
            return lines;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_obeyed_and_is_no_loss_of_sight() {
    let cluster = with_pods(&["one"]);
    let live = connect(&cluster, ADMIN, None).await;
    cluster.fail("GET", "/pods", 3, How::Instead(Answer::throttled(1)));
    let mut watch = live.watch(&scope(&[Kind::Pod])).await.unwrap();
    assert_eq!(until(&mut watch, "complete").await, ["+Pod/apps/one (initial)", "complete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn kind_that_may_not_be_read_is_unseen_with_the_rule_that_is_missing() {
    let cluster = with_pods(&["one"]);
    cluster.account("bot", Account::admin("bot").may_not(&["list"], &["nodes"], None));
    let live = connect(&cluster, "bot", None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod, Kind::Node])).await.unwrap();
    assert_eq!(watch.watching, [Kind::Pod]);
    let [(Kind::Node, reason)] = &watch.unseen[..] else { panic!("{:?}", watch.unseen) };
    assert!(reason.contains("nodes is forbidden: User \"bot\""), "{reason}");
    assert!(
        reason
            .contains("grant the account {apiGroups: [\"\"], resources: [nodes], verbs: [get, list, watch]}"),
        "{reason}"
    );
    assert_eq!(until(&mut watch, "complete").await, ["+Pod/apps/one (initial)", "complete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_of_one_namespace_sees_that_namespace() {
    let cluster = with_pods(&["one"]);
    let mut other = pod("two");
    other["metadata"]["namespace"] = json!("other");
    cluster.cluster().put(other);
    cluster.account("bot", Account::nobody("bot").may(&["list", "watch"], &["pods"], Some("apps")));
    let live = connect(&cluster, "bot", None).await;
    let in_namespaces = |names: &[&str]| Scope {
        namespaces: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..scope(&[Kind::Pod, Kind::Node])
    };
    let mut watch = live.watch(&in_namespaces(&["apps"])).await.unwrap();
    assert_eq!((watch.watching.as_slice(), watch.unseen.len()), (&[Kind::Pod][..], 1));
    assert_eq!(until(&mut watch, "complete").await, ["+Pod/apps/one (initial)", "complete"]);
    let watch = live.watch(&in_namespaces(&["apps", "other"])).await.unwrap();
    assert_eq!(watch.watching, [], "what is seen only in part is not seen");
    assert!(
        watch
            .unseen
            .iter()
            .any(|(kind, reason)| *kind == Kind::Pod && reason.contains("in the namespace `other`"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn account_that_may_list_and_not_watch_sees_changes_all_the_same() {
    let cluster = with_pods(&["one"]);
    cluster.account("bot", Account::admin("bot").may_not(&["watch"], &["pods"], None));
    let live = connect(&cluster, "bot", None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod])).await.unwrap();
    until(&mut watch, "complete").await;
    cluster.cluster().put(pod("two"));
    assert_eq!(until(&mut watch, "+Pod/apps/two").await, ["+Pod/apps/two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn kind_is_read_in_the_version_that_is_served() {
    for aggregated in [true, false] {
        let cluster = FakeCluster::start();
        cluster.cluster().aggregated_discovery = aggregated;
        cluster.cluster().define("HelmRelease", "helmreleases.helm.toolkit.fluxcd.io", true, &["v2beta1"]);
        cluster.cluster().define(
            "Kustomization",
            "kustomizations.kustomize.toolkit.fluxcd.io",
            true,
            &["v9"],
        );
        cluster.cluster().put(json!({"apiVersion": "helm.toolkit.fluxcd.io/v2beta1", "kind": "HelmRelease",
            "metadata": {"name": "demo", "namespace": "apps"}, "spec": {}}));
        let live = connect(&cluster, ADMIN, None).await;
        let mut watch =
            live.watch(&scope(&[Kind::HelmRelease, Kind::Kustomization, Kind::Bucket])).await.unwrap();
        assert_eq!(
            (watch.watching.as_slice(), watch.absent.as_slice()),
            (&[Kind::HelmRelease][..], &[Kind::Bucket][..])
        );
        let reason = "`kustomizations.kustomize.toolkit.fluxcd.io` is served only in v9".to_owned();
        assert_eq!(watch.unseen, [(Kind::Kustomization, reason)]);
        assert_eq!(until(&mut watch, "complete").await[0], "+HelmRelease/apps/demo (initial)");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_objects_hold_no_secrets() {
    let cluster = with_pods(&["one"]);
    let live = connect(&cluster, ADMIN, Some(Reducer::new([1; 16]))).await;
    let mut watch = live.watch(&scope(&[Kind::Pod])).await.unwrap();
    let Looked::Seen(_, Some(json)) = watch.seen.recv().await.unwrap() else { panic!("no JSON") };
    assert_eq!(
        (&json["apiVersion"], &json["kind"], &json["status"]["phase"]),
        (&json!("v1"), &json!("Pod"), &json!("Running"))
    );
    assert!(!json.to_string().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn object_that_cannot_be_understood_hides_no_other() {
    let cluster = with_pods(&["one"]);
    let mut strange = pod("strange");
    strange["status"] = json!({"conditions": "none", "phase": ["what"], "containerStatuses": 7});
    cluster.cluster().put(strange);
    let live = connect(&cluster, ADMIN, None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod])).await.unwrap();
    let lines = until(&mut watch, "complete").await;
    assert_eq!(lines, ["+Pod/apps/one (initial)", "+Pod/apps/strange (initial)", "complete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_ends_when_nobody_looks() {
    let cluster = with_pods(&["one"]);
    let live = connect(&cluster, ADMIN, None).await;
    let mut watch = live.watch(&scope(&[Kind::Pod, Kind::Node])).await.unwrap();
    until(&mut watch, "complete").await;
    running(&cluster, 2).await;
    drop(watch);
    while cluster.watches() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_is_away_from_the_beginning_is_an_error() {
    let cluster = with_pods(&["one"]);
    let live = connect(&cluster, ADMIN, None).await;
    cluster.outage(Some(Outage::Refuse));
    let error = live.watch(&scope(&[Kind::Pod])).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
}

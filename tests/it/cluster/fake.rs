//! What the fake API server promises to those who test against it.

use std::io::{BufRead as _, BufReader};

use jiff::SignedDuration;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::support::fake_cluster::{ADMIN, Account, Answer, FakeCluster, How, Outage};

const RELEASES: &str = "helmreleases.helm.toolkit.fluxcd.io";

struct Asker {
    client: Client,
    url: String,
    token: &'static str,
}

impl Asker {
    fn of(cluster: &FakeCluster) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { client, url: cluster.url().to_owned(), token: ADMIN }
    }

    fn with_token(self, token: &'static str) -> Self {
        Self { token, ..self }
    }

    fn send(&self, method: &str, path: &str, media: &str, body: Option<&Value>) -> reqwest::Result<Response> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(self.token);
        if let Some(body) = body {
            request = request.header("content-type", media).body(body.to_string());
        }
        request.send()
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let response = self.send(method, path, media, body.as_ref()).unwrap();
        let status = response.status().as_u16();
        let text = response.text().unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, None)
    }

    fn watch(&self, path: &str) -> impl Iterator<Item = std::io::Result<Value>> + use<> {
        let response = self.send("GET", path, "", None).unwrap();
        assert_eq!(response.status(), 200);
        BufReader::new(response).lines().map(|line| line.map(|line| serde_json::from_str(&line).unwrap()))
    }
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "one"}})
}

fn release(name: &str) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "apps"}, "spec": {"interval": "5m"}, "status": {"observedGeneration": 1}})
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn object_is_given_what_only_the_server_gives_and_is_made_once() {
    let cluster = FakeCluster::start();
    let asker = Asker::of(&cluster);
    let (status, made) = asker.ask("POST", MAPS, Some(config_map("one")));
    assert_eq!(status, 201);
    assert_eq!(made["metadata"]["creationTimestamp"], "2026-11-21T10:00:00Z");
    assert!(made["metadata"]["uid"].is_string() && made["metadata"]["managedFields"].is_array());
    let (status, again) = asker.ask("POST", MAPS, Some(config_map("one")));
    assert_eq!((status, &again["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(again["message"], "configmaps \"one\" already exists");
}

#[test]
fn bodies_that_the_real_server_refuses_are_refused() {
    let cluster = FakeCluster::start();
    let asker = Asker::of(&cluster);
    let with = |pointer: &str, value: Value| {
        let mut object = config_map("one");
        *object.pointer_mut(pointer).unwrap() = value;
        object
    };
    for (body, status) in [
        (with("/metadata", json!({})), 422),
        (with("/metadata/name", json!("Not_a_name")), 422),
        (with("/apiVersion", json!("v2")), 400),
        (with("/kind", json!("Secret")), 400),
        (with("/metadata", json!({"name": "one", "namespace": "other"})), 400),
        (with("/metadata", json!({"name": "one", "resourceVersion": "1"})), 400),
    ] {
        assert_eq!(asker.ask("POST", MAPS, Some(body.clone())).0, status, "{body}");
    }
    assert_eq!(asker.ask("POST", "/api/v1/namespaces/nowhere/configmaps", Some(config_map("one"))).0, 404);
    assert_eq!(asker.ask("POST", "/api/v1/configmaps", Some(config_map("one"))).0, 405);
    let response = asker.send("POST", MAPS, "text/plain", Some(&config_map("one"))).unwrap();
    assert_eq!(response.status(), 415);
}

#[test]
fn update_of_an_old_version_is_a_conflict_and_one_without_change_changes_nothing() {
    let cluster = FakeCluster::start();
    let asker = Asker::of(&cluster);
    let (_, mut object) = asker.ask("POST", MAPS, Some(config_map("one")));
    let one = format!("{MAPS}/one");
    let before = cluster.cluster().resource_version();
    assert_eq!(asker.ask("PUT", &one, Some(object.clone())).0, 200);
    assert_eq!(cluster.cluster().resource_version(), before);
    object["data"]["key"] = json!("two");
    assert_eq!(asker.ask("PUT", &one, Some(object.clone())).0, 200);
    object["data"]["key"] = json!("three");
    let (status, answer) = asker.ask("PUT", &one, Some(object));
    assert_eq!((status, &answer["reason"]), (409, &json!("Conflict")));
    let patch = json!({"metadata": {"resourceVersion": before.to_string()}, "data": {"key": "four"}});
    assert_eq!(asker.ask("PATCH", &one, Some(patch)).0, 409);
    assert_eq!(asker.ask("PATCH", &one, Some(json!({"data": {"key": null}}))).1["data"], json!({}));
}

#[test]
fn spec_is_counted_and_status_is_written_only_through_its_subresource() {
    let cluster = FakeCluster::start();
    cluster.cluster().define("HelmRelease", RELEASES, true, &["v2", "v2beta2"]);
    cluster.cluster().put(release("demo"));
    let asker = Asker::of(&cluster);
    let url = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/apps/helmreleases/demo";
    let (_, object) = asker.ask(
        "PATCH",
        url,
        Some(json!({"spec": {"suspend": true}, "status": {"observedGeneration": 9}})),
    );
    assert_eq!(
        (&object["metadata"]["generation"], &object["status"]["observedGeneration"]),
        (&json!(2), &json!(1))
    );
    let status = format!("{url}/status");
    let (_, object) = asker.ask(
        "PATCH",
        &status,
        Some(json!({"spec": {"suspend": false}, "status": {"observedGeneration": 2}})),
    );
    assert_eq!(
        (&object["spec"]["suspend"], &object["status"]["observedGeneration"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(object["metadata"]["generation"], 2);
    let old = asker.get(&url.replace("v2", "v2beta2")).1;
    assert_eq!(old["apiVersion"], "helm.toolkit.fluxcd.io/v2beta2");
}

#[test]
fn pages_stay_at_the_version_of_the_first_until_it_is_forgotten() {
    let cluster = FakeCluster::start();
    let asker = Asker::of(&cluster);
    for name in ["one", "two", "three"] {
        asker.ask("POST", MAPS, Some(config_map(name)));
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let (_, first) = asker.get("/api/v1/configmaps?limit=2");
    assert_eq!(names(&first), ["one", "three"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    assert!(first["items"][0].get("kind").is_none());
    cluster.cluster().remove("configmaps", "default", "two");
    let next =
        format!("/api/v1/configmaps?limit=2&continue={}", first["metadata"]["continue"].as_str().unwrap());
    assert_eq!(names(&asker.get(&next).1), ["two"]);
    cluster.pass(SignedDuration::from_mins(6));
    let (status, answer) = asker.get(&next);
    assert_eq!((status, &answer["reason"]), (410, &json!("Expired")));
}

#[test]
fn watch_tells_what_changes_and_says_when_its_version_is_too_old() {
    let cluster = FakeCluster::start();
    let asker = Asker::of(&cluster);
    let from = cluster.cluster().resource_version();
    let watch =
        |from: u64| format!("/api/v1/configmaps?watch=1&allowWatchBookmarks=true&resourceVersion={from}");
    let mut events = asker.watch(&watch(from));
    asker.ask("POST", MAPS, Some(config_map("one")));
    asker.ask("PATCH", &format!("{MAPS}/one"), Some(json!({"data": {"key": "two"}})));
    asker.ask("DELETE", &format!("{MAPS}/one"), None);
    let kinds: Vec<Value> = events.by_ref().take(3).map(|event| event.unwrap()["type"].clone()).collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED"]);
    cluster.send_bookmarks();
    let bookmark = events.next().unwrap().unwrap();
    let now = cluster.cluster().resource_version();
    assert_eq!(
        (&bookmark["type"], &bookmark["object"]["metadata"]["resourceVersion"]),
        (&json!("BOOKMARK"), &json!(now.to_string()))
    );
    cluster.end_watches();
    assert!(events.next().is_none());
    cluster.forget_history();
    let error = asker.watch(&watch(from)).next().unwrap().unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    let mut events = asker.watch(&watch(now));
    assert_eq!(cluster.watches(), 1);
    cluster.cut_watches();
    assert!(events.next().unwrap().is_err());
}

#[test]
fn account_may_what_its_rules_say_and_is_told_so_in_the_words_of_rbac() {
    let cluster = FakeCluster::start();
    let account = Account::nobody("system:serviceaccount:bot:bot").may(&["list"], &["pods"], Some("default"));
    cluster.account("bot", account);
    let asker = Asker::of(&cluster).with_token("bot");
    assert_eq!(asker.get("/api/v1/namespaces/default/pods").0, 200);
    let (status, answer) = asker.get("/api/v1/pods");
    assert_eq!(status, 403);
    assert_eq!(
        answer["message"],
        "pods is forbidden: User \"system:serviceaccount:bot:bot\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
    );
    assert_eq!(asker.with_token("nobody").get("/api/v1/pods").0, 401);
}

#[test]
fn failures_are_those_that_were_asked_for() {
    let cluster = FakeCluster::start();
    let asker = Asker::of(&cluster);
    cluster.fail("GET", "/pods", 1, How::Instead(Answer::throttled(3)));
    let response = asker.send("GET", "/api/v1/pods", "", None).unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    assert_eq!(asker.get("/api/v1/pods").0, 200);
    cluster.fail("POST", "/configmaps", 1, How::BreakAfterwards);
    assert!(asker.send("POST", MAPS, "application/json", Some(&config_map("one"))).is_err());
    assert!(cluster.cluster().get("configmaps", "default", "one").is_some());
    for outage in [Outage::Refuse, Outage::Half] {
        cluster.outage(Some(outage.clone()));
        let answer = asker.send("GET", "/api/v1/pods", "", None).and_then(|response| response.text());
        assert!(answer.is_err(), "{outage:?}");
    }
    cluster.outage(None);
    assert_eq!(asker.get("/api/v1/pods").0, 200);
}

#[test]
fn what_goes_with_its_owner_goes_and_what_has_finalizers_waits_for_them() {
    let cluster = FakeCluster::start();
    let asker = Asker::of(&cluster);
    let (_, owner) = asker.ask("POST", MAPS, Some(config_map("owner")));
    let mut owned = config_map("owned");
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}]);
    owned["metadata"]["finalizers"] = json!(["example.com/wait"]);
    asker.ask("POST", MAPS, Some(owned));
    let url = format!("{MAPS}/owned");
    let (_, waiting) = asker.ask("DELETE", &url, None);
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(asker.get(&url).0, 200);
    asker.ask("DELETE", &format!("{MAPS}/owner"), None);
    assert_eq!(asker.get(&url).0, 404);
}

#[test]
fn controller_that_a_test_plays_sees_writes_and_its_own_changes_call_nobody() {
    let cluster = FakeCluster::start();
    cluster.on_write(|cluster, written| {
        if written.verb == "create" {
            cluster.change(&written.resource, &written.namespace, &written.name, |object| {
                object["data"]["seen"] = json!(written.user);
            });
        }
    });
    let asker = Asker::of(&cluster);
    asker.ask("POST", MAPS, Some(config_map("one")));
    assert_eq!(asker.get(&format!("{MAPS}/one")).1["data"]["seen"], "admin");
}

#[test]
fn readiness_names_its_checks_and_discovery_names_the_kinds() {
    let cluster = FakeCluster::start();
    cluster.cluster().define("HelmRelease", RELEASES, true, &["v2"]);
    cluster.cluster().readiness[2].1 = false;
    let asker = Asker::of(&cluster);
    let (status, text) = asker.get("/readyz?verbose");
    assert_eq!(status, 500);
    assert!(text.as_str().unwrap().contains("[-]etcd failed: reason withheld\n"));
    let (_, groups) = asker.get("/apis");
    let names: Vec<&Value> =
        groups["groups"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert!(names.contains(&&json!("helm.toolkit.fluxcd.io")));
    assert_eq!(asker.get("/apis/helm.toolkit.fluxcd.io/v2").1["resources"][0]["name"], "helmreleases");
    assert_eq!(asker.get("/apis/helm.toolkit.fluxcd.io/v2beta1/helmreleases").0, 404);
}

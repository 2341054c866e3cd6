//! `/api` and `/apis`: which groups, versions and kinds there are, as one document or as many.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::Answer;
use super::kinds::Served;
use super::objects::Cluster;

/// The media type of discovery in one document (`apidiscovery.k8s.io/v2`, Kubernetes 1.30; `v2beta1` before).
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=";

pub(super) fn discover(cluster: &Cluster, path: &[String], accept: &str) -> Result<Answer, Answer> {
    let served = cluster.served();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let aggregated = accept
        .split(',')
        .map(str::trim)
        .find_map(|media| media.strip_prefix(AGGREGATED)?.split(';').next())
        .filter(|version| cluster.aggregated_discovery && matches!(*version, "v2" | "v2beta1"));
    match (path.as_slice(), aggregated) {
        (["api"] | ["apis"], Some(version)) => {
            let core = path == ["api"];
            let document = one_document(&served, core, version);
            let media = format!("{AGGREGATED}{version};as=APIGroupDiscoveryList");
            Ok(Answer::json(200, &document).header("content-type", media))
        }
        (["api"], None) => Ok(Answer::json(200, &json!({"kind": "APIVersions", "versions": ["v1"]}))),
        (["apis"], None) => {
            let list: Vec<Value> =
                groups(&served).iter().filter(|(name, _)| !name.is_empty()).map(group).collect();
            Ok(Answer::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list})))
        }
        (["apis", name], _) => {
            let groups = groups(&served);
            let found = groups.iter().find(|(group, _)| *group == name).ok_or_else(Answer::no_page)?;
            let mut document = group(found);
            document["kind"] = json!("APIGroup");
            document["apiVersion"] = json!("v1");
            Ok(Answer::json(200, &document))
        }
        (["api", version], _) => resources(&served, "", version),
        (["apis", group, version], _) => resources(&served, group, version),
        _ => Err(Answer::no_page()),
    }
}

/// Versions by group, the preferred one first.
fn groups(served: &[Served]) -> BTreeMap<&str, Vec<&str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in served {
        let versions = groups.entry(&kind.group).or_default();
        for version in &kind.versions {
            if !versions.contains(&version.as_str()) {
                versions.push(version);
            }
        }
    }
    groups
}

fn group((name, versions): (&&str, &Vec<&str>)) -> Value {
    let version = |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({"name": name, "preferredVersion": versions[0], "versions": versions})
}

fn verbs() -> Value {
    json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
}

fn of_version<'a>(
    served: &'a [Served],
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Served> {
    served.iter().filter(move |kind| kind.group == group && kind.versions.iter().any(|have| have == version))
}

fn resources(served: &[Served], group: &str, version: &str) -> Result<Answer, Answer> {
    let mut list = Vec::new();
    for kind in of_version(served, group, version) {
        let resource = |name: String, verbs: Value| {
            json!({"name": name, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced,
                "kind": kind.kind, "verbs": verbs})
        };
        list.push(resource(kind.plural.clone(), verbs()));
        if kind.status {
            list.push(resource(format!("{}/status", kind.plural), json!(["get", "patch", "update"])));
        }
    }
    if list.is_empty() {
        return Err(Answer::no_page());
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let document = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list,
    });
    Ok(Answer::json(200, &document))
}

fn one_document(served: &[Served], core: bool, document_version: &str) -> Value {
    let items: Vec<Value> = groups(served)
        .iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = of_version(served, name, version)
                        .map(|kind| {
                            let response = json!({"group": name, "version": version, "kind": kind.kind});
                            let mut resource = json!({
                                "resource": kind.plural, "responseKind": response,
                                "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
                                "singularResource": kind.kind.to_lowercase(), "verbs": verbs(),
                            });
                            if kind.status {
                                resource["subresources"] = json!([{"subresource": "status", "responseKind": response,
                                    "verbs": ["get", "patch", "update"]}]);
                            }
                            resource
                        })
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if core { json!({}) } else { json!({"name": name}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{document_version}"),
        "metadata": {}, "items": items,
    })
}

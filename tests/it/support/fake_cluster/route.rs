//! What a URL means.

use std::collections::BTreeMap;

use serde_json::json;

use super::account::{Account, Wanted};
use super::answer::{Answer, details};
use super::kinds::Served;
use super::objects::Cluster;

/// A kind, or an object, or a part of one.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) served: Served,
    pub(super) version: String,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
    /// Who is written into the managed fields.
    pub(super) manager: String,
}

/// What is asked for.
pub(super) enum Route {
    Version,
    /// `/api`, `/apis`, `/apis/<group>`, `/apis/<group>/<version>`, `/api/v1`.
    Discovery(Vec<String>),
    /// `/readyz`, with the check below it.
    Health(Option<String>),
    Target(Target),
}

pub(super) fn route(
    cluster: &Cluster,
    path: &str,
    query: &BTreeMap<String, String>,
    agent: &str,
) -> Result<Route, Answer> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
    match segments[..] {
        ["version"] => Ok(Route::Version),
        ["readyz" | "livez" | "healthz", ref rest @ ..] => {
            Ok(Route::Health((!rest.is_empty()).then(|| rest.join("/"))))
        }
        ["api"] | ["api", "v1"] | ["apis"] | ["apis", _] | ["apis", _, _] => {
            Ok(Route::Discovery(owned(&segments)))
        }
        ["api", version, ref rest @ ..] => target(cluster, "", version, rest, query, agent),
        ["apis", group, version, ref rest @ ..] => target(cluster, group, version, rest, query, agent),
        _ => Err(Answer::no_page()),
    }
}

fn target(
    cluster: &Cluster,
    group: &str,
    version: &str,
    rest: &[&str],
    query: &BTreeMap<String, String>,
    agent: &str,
) -> Result<Route, Answer> {
    let served = cluster.served();
    let of_version = |kind: &&Served| kind.group == group && kind.versions.iter().any(|have| have == version);
    if !served.iter().any(|kind| of_version(&kind)) {
        return Err(Answer::no_page());
    }
    // `namespaces/x/status` is of the namespace itself.
    let (namespace, rest) = match *rest {
        ["namespaces", namespace, ref rest @ ..] if !matches!(rest, [] | ["status" | "finalize"]) => {
            (Some(namespace), rest)
        }
        ref rest => (None, rest),
    };
    let (plural, name, subresource) = match *rest {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(name), None),
        [plural, name, subresource] => (plural, Some(name), Some(subresource)),
        _ => return Err(Answer::no_resource()),
    };
    let kind = served.iter().filter(of_version).find(|kind| kind.plural == plural);
    let kind = kind.filter(|kind| kind.namespaced || namespace.is_none()).ok_or_else(Answer::no_resource)?;
    if kind.namespaced && namespace.is_none() && name.is_some() {
        return Err(Answer::no_resource());
    }
    let has = match subresource {
        None => true,
        Some("status") => kind.status,
        Some("log") => kind.plural == "pods" && group.is_empty(),
        Some(_) => false,
    };
    if !has {
        return Err(Answer::no_resource());
    }
    let manager = query.get("fieldManager").cloned();
    let manager = manager.unwrap_or_else(|| agent.split('/').next().unwrap_or_default().to_owned());
    Ok(Route::Target(Target {
        served: kind.clone(),
        version: version.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
        manager,
    }))
}

impl Target {
    /// Refuses who may not, in the words of the real one.
    pub(super) fn authorize(&self, account: &Account, verb: &str) -> Result<(), Answer> {
        let resource = match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.served.plural),
            None => self.served.plural.clone(),
        };
        let namespace = self.namespace.as_deref();
        // A namespace is in itself, for RBAC.
        let of_itself = (self.served.full_name() == "namespaces").then_some(self.name.as_deref()).flatten();
        let wanted = Wanted {
            verb,
            group: &self.served.group,
            resource: &resource,
            namespace: namespace.or(of_itself),
            name: self.name.as_deref(),
        };
        if account.allows(&wanted) {
            return Ok(());
        }
        let name = self.name.as_deref().unwrap_or_default();
        let what = match name {
            "" => self.served.full_name(),
            name => format!("{} \"{name}\"", self.served.full_name()),
        };
        let place = match namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{what} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {place}",
            account.user, self.served.group
        );
        let mut details = details(&self.served, name);
        details["kind"] = json!(self.served.plural);
        Err(Answer::failure(403, "Forbidden", message, details))
    }
}

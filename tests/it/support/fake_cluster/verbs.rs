//! What each method does to what its URL names.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::account::Account;
use super::answer::Answer;
use super::list::{list, shown};
use super::objects::Cluster;
use super::route::{Route, Target, route};
use super::serve::Asked;
use super::write::Written;
use super::{Shared, discovery, watch};

/// Media types of bodies that are read here.
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// What became of a request: a whole answer or a stream, and what was written.
pub(super) struct Done {
    pub(super) response: Response,
    pub(super) written: Option<Written>,
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Self {
        Self { response: answer.into_response(), written: None }
    }
}

/// Who a token is of; nobody for one that is not known.
pub(super) fn account(cluster: &Cluster, asked: &Asked) -> Option<Account> {
    match asked.header("authorization").map(|value| value.strip_prefix("Bearer ")) {
        None => {
            // Everybody may see whether the server is well (`system:public-info-viewer`).
            Some(Account::nobody("system:anonymous"))
        }
        Some(token) => cluster.accounts.get(token?).cloned(),
    }
}

pub(super) fn answer(shared: &Arc<Shared>, cluster: &mut Cluster, asked: &Asked) -> Result<Done, Answer> {
    let account = account(cluster, asked).ok_or_else(Answer::unauthorized)?;
    let agent = asked.header("user-agent").unwrap_or("unknown");
    let target = match route(cluster, &asked.path, &asked.query, agent) {
        Ok(Route::Target(target)) => target,
        Ok(_) if asked.method != "GET" => return Err(Answer::no_method()),
        Ok(Route::Version) => return Ok(version(cluster).into()),
        Ok(Route::Health(check)) => return Ok(health(cluster, asked, check.as_deref()).into()),
        Ok(Route::Discovery(path)) => {
            let accept = asked.header("accept").unwrap_or_default();
            return discovery::discover(cluster, &path, accept).map(Done::from);
        }
        Err(answer) => return reviews(asked, &account, answer).map(Done::from),
    };
    let named = target.name.is_some();
    let verb = match (asked.method.as_str(), named) {
        ("GET", true) => "get",
        ("GET", false) if asked.is_watch() => "watch",
        ("GET", false) => "list",
        ("POST", false) => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return Err(Answer::no_method()),
    };
    target.authorize(&account, verb)?;
    if verb == "create" && target.served.namespaced && target.namespace.is_none() {
        return Err(Answer::no_method());
    }
    match verb {
        "get" => get(cluster, &target, asked).map(Done::from),
        "list" => list(cluster, &target, &asked.query).map(Done::from),
        "watch" => watch::begin(shared, cluster, target, &asked.query)
            .map(|response| Done { response, written: None }),
        _ => write(cluster, &target, asked, verb, &account),
    }
}

fn get(cluster: &Cluster, target: &Target, asked: &Asked) -> Result<Answer, Answer> {
    let name = target.name.as_deref().unwrap_or_default();
    let (key, object) = cluster.current(target, name)?;
    if target.subresource.as_deref() != Some("log") {
        return Ok(Answer::json(200, &shown(target, &object)));
    }
    let Some(text) = cluster.logs.get(&(key.namespace, key.name)) else {
        let message = format!("container \"main\" in pod \"{name}\" is waiting to start: ContainerCreating");
        return Err(Answer::bad_request(message));
    };
    let number = |name: &str| asked.query.get(name).and_then(|text| text.parse::<usize>().ok());
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if let Some(tail) = number("tailLines") {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let mut text = lines.concat().into_bytes();
    text.truncate(number("limitBytes").unwrap_or(usize::MAX));
    Ok(Answer { body: text, ..Answer::text(200, "") })
}

fn write(
    cluster: &mut Cluster,
    target: &Target,
    asked: &Asked,
    verb: &str,
    account: &Account,
) -> Result<Done, Answer> {
    let media = asked.header("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let accepted = if verb == "patch" { MERGE_PATCH } else { JSON };
    // A delete may come without a body.
    if media != accepted && !(verb.starts_with("delete") && asked.body.is_empty()) {
        return Err(Answer::unknown_format(accepted));
    }
    let body: Value = if asked.body.is_empty() && verb.starts_with("delete") {
        json!({})
    } else {
        serde_json::from_slice(&asked.body).map_err(|error| {
            Answer::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
        })?
    };
    let dry = match asked.query.get("dryRun").map(String::as_str) {
        None | Some("") => false,
        Some("All") => true,
        Some(other) => return Err(Answer::bad_request(format!("Unsupported value: \"{other}\""))),
    };
    if matches!(target.subresource.as_deref(), Some("log")) {
        return Err(Answer::no_method());
    }
    let (verb, status, object) = match verb {
        "create" => ("create", 201, cluster.create(target, body, dry)?),
        "update" => ("update", 200, cluster.update(target, body, dry)?),
        "patch" => ("patch", 200, cluster.patch(target, &body, dry)?),
        "delete" if dry => {
            ("delete", 200, cluster.current(target, target.name.as_deref().unwrap_or_default())?.1)
        }
        "delete" => {
            ("delete", 200, cluster.delete(target, target.name.as_deref().unwrap_or_default(), &body)?)
        }
        _ => return Err(Answer::no_method()),
    };
    let meta = &object["metadata"];
    let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let resource = target.served.full_name();
    let written = (!dry).then(|| Written {
        verb,
        object: cluster.get(&resource, &namespace, &name),
        resource,
        namespace,
        name,
        user: account.user.clone(),
    });
    Ok(Done { response: Answer::json(status, &shown(target, &object)).into_response(), written })
}

fn version(cluster: &Cluster) -> Answer {
    let mut numbers = cluster.git_version.trim_start_matches('v').split('.');
    Answer::json(
        200,
        &json!({
            "major": numbers.next().unwrap_or_default(), "minor": numbers.next().unwrap_or_default(),
            "gitVersion": cluster.git_version, "gitCommit": "0000000000000000000000000000000000000000",
            "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24.4",
            "compiler": "gc", "platform": "linux/amd64",
        }),
    )
}

fn health(cluster: &Cluster, asked: &Asked, check: Option<&str>) -> Answer {
    if let Some(check) = check {
        return match cluster.readiness.iter().find(|(name, _)| name == check) {
            Some((_, true)) => Answer::text(200, "ok"),
            Some((_, false)) => Answer::text(500, "internal server error: failed\n"),
            None => Answer::no_page(),
        };
    }
    let well = cluster.readiness.iter().all(|(_, passes)| *passes);
    let endpoint = asked.path.trim_matches('/');
    if well && !asked.query.contains_key("verbose") {
        return Answer::text(200, "ok");
    }
    let mut text = String::new();
    for (name, passes) in &cluster.readiness {
        if *passes {
            text.push_str(&format!("[+]{name} ok\n"));
        } else {
            text.push_str(&format!("[-]{name} failed: reason withheld\n"));
        }
    }
    text.push_str(&format!("{endpoint} check {}\n", if well { "passed" } else { "failed" }));
    Answer::text(if well { 200 } else { 500 }, text)
}

/// `SelfSubjectAccessReview`, which is no object that is kept.
fn reviews(asked: &Asked, account: &Account, otherwise: Answer) -> Result<Answer, Answer> {
    if asked.path != "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" || asked.method != "POST" {
        return Err(otherwise);
    }
    let mut review: Value = serde_json::from_slice(&asked.body)
        .map_err(|error| Answer::bad_request(format!("json parse error: {error}")))?;
    let wanted = review["spec"]["resourceAttributes"].clone();
    let text = |field: &str| wanted[field].as_str().filter(|text| !text.is_empty());
    let resource = match text("subresource") {
        Some(subresource) => format!("{}/{subresource}", text("resource").unwrap_or_default()),
        None => text("resource").unwrap_or_default().to_owned(),
    };
    let allowed = account.allows(&super::account::Wanted {
        verb: text("verb").unwrap_or_default(),
        group: text("group").unwrap_or_default(),
        resource: &resource,
        namespace: text("namespace"),
        name: text("name"),
    });
    review["status"] = json!({"allowed": allowed});
    Ok(Answer::json(201, &review))
}

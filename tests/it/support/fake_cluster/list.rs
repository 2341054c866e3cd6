//! Lists, in pages that stay at the version of the first one.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::answer::Answer;
use super::objects::{Cluster, Key};
use super::route::Target;
use super::selector::Selector;

/// The message of `NewResourceExpired` for continue tokens.
const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start \
    a new list without the continue parameter.";

pub(super) fn list(
    cluster: &Cluster,
    target: &Target,
    query: &BTreeMap<String, String>,
) -> Result<Answer, Answer> {
    let selector = Selector::read(query.get("labelSelector"), query.get("fieldSelector"))?;
    let number = |name: &str| -> Result<Option<u64>, Answer> {
        let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let wrong = || Answer::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"));
        text.parse().map(Some).map_err(|_| wrong())
    };
    let wanted = number("resourceVersion")?;
    if wanted.is_some_and(|version| version > cluster.version) {
        return Err(too_large(wanted.unwrap_or_default(), cluster.version));
    }
    // From the cache, where there are no pages.
    let limit = number("limit")?.filter(|limit| *limit > 0 && wanted != Some(0));
    let token = query.get("continue").filter(|token| !token.is_empty());
    let (version, start) = match token {
        Some(_) if wanted.is_some_and(|version| version > 0) => {
            return Err(Answer::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Some(token) => read_token(token, cluster)?,
        None => (cluster.version, None),
    };
    let resource = target.served.full_name();
    let snapshot = at_version(cluster, &resource, version);
    let mut fitting = snapshot
        .iter()
        .filter(|(key, _)| target.namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace))
        .filter(|(key, _)| {
            start.as_ref().is_none_or(|start| (&key.namespace, &key.name) > (&start.0, &start.1))
        })
        .filter(|(_, object)| selector.fits(object));
    let size = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    let mut items = Vec::new();
    let mut last = None;
    for (key, object) in fitting.by_ref().take(size) {
        items.push(item(target, object));
        last = Some(key);
    }
    let left = fitting.count();
    let mut meta = json!({"resourceVersion": version.to_string()});
    if let (Some(last), true) = (last, left > 0) {
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": [last.namespace, last.name]});
        meta["continue"] = json!(BASE64_URL_SAFE_NO_PAD.encode(token.to_string()));
        // Nobody counts where there is a selector.
        if !query.contains_key("labelSelector") && !query.contains_key("fieldSelector") {
            meta["remainingItemCount"] = json!(left);
        }
    }
    Ok(Answer::json(
        200,
        &json!({
            "kind": format!("{}List", target.served.kind),
            "apiVersion": target.served.api_version(&target.version),
            "metadata": meta, "items": items,
        }),
    ))
}

/// Items of a list do not say what they are, except those of custom kinds.
fn item(target: &Target, object: &Value) -> Value {
    let mut object = shown(target, object);
    if !target.served.custom {
        let fields = object.as_object_mut().unwrap();
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
    }
    object
}

/// An object in the version that was asked for.
pub(super) fn shown(target: &Target, object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(target.served.api_version(&target.version));
    object["kind"] = json!(target.served.kind);
    object
}

/// The objects of a kind as they were.
fn at_version(cluster: &Cluster, resource: &str, version: u64) -> BTreeMap<Key, Arc<Value>> {
    let from = Key { resource: resource.to_owned(), namespace: String::new(), name: String::new() };
    let range = cluster.objects.range(from..).take_while(|(key, _)| key.resource == resource);
    let mut objects: BTreeMap<Key, Arc<Value>> =
        range.map(|(key, object)| (key.clone(), object.clone())).collect();
    let later = cluster.history.iter().rev().take_while(|event| event.version > version);
    for event in later.filter(|event| event.key.resource == resource) {
        match &event.before {
            Some(object) => drop(objects.insert(event.key.clone(), object.clone())),
            None => drop(objects.remove(&event.key)),
        }
    }
    objects
}

type Start = (String, String);

fn read_token(token: &str, cluster: &Cluster) -> Result<(u64, Option<Start>), Answer> {
    let wrong = || Answer::bad_request("continue key is not valid: encoded continue token cannot be read");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    let version = token["rv"].as_u64().ok_or_else(wrong)?;
    let text = |at: usize| token["start"][at].as_str().map(str::to_owned).ok_or_else(wrong);
    if version < cluster.compacted {
        return Err(Answer::expired(TOO_OLD));
    }
    Ok((version, Some((text(0)?, text(1)?))))
}

/// 504, as the watch cache answers to a version that it has not seen yet.
pub(super) fn too_large(wanted: u64, current: u64) -> Answer {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    let causes = json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1});
    Answer::failure(504, "Timeout", message, causes)
}

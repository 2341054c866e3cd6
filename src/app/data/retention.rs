//! Removes old snapshots and backups of this program, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::longhorn::{backups, snapshots, system_backups};
use super::{Cluster, DataError, Effect, ErrorClass, Go, Witness, all_in};
use crate::config::LonghornBackups;
use crate::domain::backup::names::{MANAGED_BY, MANAGER, POINT_ANNOTATION, POINT_LABEL, key};

/// Objects that one pass removes at most; the next goes on.
const MOST_REMOVED: usize = 100;

pub(super) async fn prune<C: Cluster>(
    cluster: &C,
    settings: &LonghornBackups,
    in_use: &BTreeSet<String>,
    now: Timestamp,
    witness: &dyn Witness,
) -> Result<Vec<Effect>, DataError> {
    let own = [settings.namespace.clone()];
    let labels = format!("{MANAGED_BY}={MANAGER}");
    let mut found = Vec::new();
    // Copies before what they were made of.
    for resource in [system_backups(), backups(), snapshots()] {
        let Some(objects) = all_in(cluster, &resource, Some(&own), &labels).await? else { continue };
        found.extend(objects.into_iter().map(|object| (resource.clone(), object)));
    }
    let mut made: BTreeMap<String, Timestamp> = BTreeMap::new();
    for (_, object) in &found {
        let Some((id, at)) = point_of(object) else { continue };
        let newest = made.entry(id).or_insert(at);
        *newest = (*newest).max(at);
    }
    let outdated = outdated(&made, settings, in_use, now);
    let mut effects = Vec::new();
    for (resource, object) in &found {
        let Some((id, _)) = point_of(object).filter(|(id, _)| outdated.contains(id)) else { continue };
        if object["metadata"]["deletionTimestamp"].is_string() || effects.len() >= MOST_REMOVED {
            continue;
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let what = format!("remove {} {}/{name} of {id}", resource.kind, settings.namespace);
        let effect = Effect::Data { what };
        if witness.before(&effect)? == Go::Do {
            tracing::info!(effect = %effect, "pass");
            match cluster.delete(resource, Some(&settings.namespace), name).await {
                Err(error) if error.class != ErrorClass::NotFound => return Err(error.into()),
                _ => witness.after(&effect)?,
            }
        }
        effects.push(effect);
    }
    Ok(effects)
}

/// The backup point that an object was made for, and when it was; `None` for what is not ours.
fn point_of(object: &Value) -> Option<(String, Timestamp)> {
    let meta = &object["metadata"];
    let id = meta["annotations"][POINT_ANNOTATION].as_str()?;
    // Whoever copies an object copies its labels: name, label and annotation must agree.
    let is_ours = meta["labels"][MANAGED_BY] == MANAGER
        && meta["labels"][POINT_LABEL] == key(id).as_str()
        && meta["name"].as_str()?.starts_with(&key(id));
    let at = meta["creationTimestamp"].as_str()?.parse().ok()?;
    is_ours.then(|| (id.to_owned(), at))
}

fn outdated(
    made: &BTreeMap<String, Timestamp>,
    settings: &LonghornBackups,
    in_use: &BTreeSet<String>,
    now: Timestamp,
) -> BTreeSet<String> {
    let mut newest_first: Vec<(&Timestamp, &String)> = made.iter().map(|(id, at)| (at, id)).collect();
    newest_first.sort_unstable_by(|one, other| other.cmp(one));
    newest_first
        .into_iter()
        .skip(settings.keep_last)
        .filter(|(at, _)| **at <= now && now.duration_since(**at).unsigned_abs() >= settings.keep_for)
        .filter(|(_, id)| !in_use.contains(*id))
        .map(|(_, id)| id.clone())
        .collect()
}

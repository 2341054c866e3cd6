//! Snapshots of k3s' embedded etcd, as its `ETCDSnapshotFile` objects record them (k3s-io/api, `k3s.cattle.io/v1`).
//!
//! Such an object is a record that k3s makes; creating one does nothing. A snapshot is made by k3s' schedule, by
//! `k3s etcd-snapshot save` on a server, or by a Job of the user's that runs it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::DataBackup;

/// What keeps the state of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datastore {
    /// etcd inside of k3s.
    Etcd,
    /// SQLite, or a database outside: there are no etcd snapshots.
    Other,
}

/// What stores the state, by the roles of the nodes: k3s labels servers with embedded etcd
/// `node-role.kubernetes.io/etcd`. `None` where there is no node to tell.
pub fn datastore(nodes: &[Value]) -> Option<Datastore> {
    if nodes.is_empty() {
        return None;
    }
    let has_etcd = |node: &Value| node["metadata"]["labels"]["node-role.kubernetes.io/etcd"].is_string();
    Some(if nodes.iter().any(has_etcd) { Datastore::Etcd } else { Datastore::Other })
}

/// The newest usable snapshot that was made at most `max_age` before `now`, and not before `since`; or why there is none.
///
/// # Errors
///
/// The reason, for people.
pub fn newest(
    snapshots: &[Value],
    now: Timestamp,
    max_age: Duration,
    since: Option<Timestamp>,
) -> Result<DataBackup, String> {
    let mut failed = None;
    let mut usable: Vec<(Timestamp, &Value)> = Vec::new();
    for snapshot in snapshots {
        let made = snapshot.pointer("/status/creationTime").and_then(Value::as_str);
        let made = made.and_then(|time| time.parse::<Timestamp>().ok());
        if snapshot.pointer("/status/readyToUse") == Some(&Value::Bool(true)) {
            usable.extend(made.map(|made| (made, snapshot)));
        } else if let Some(error) = snapshot.pointer("/status/error/message").and_then(Value::as_str) {
            failed = Some(error.lines().next().unwrap_or_default().to_owned());
        }
    }
    // A clock that runs ahead makes a snapshot no older than it is.
    let newest = usable.into_iter().max_by_key(|(made, _)| *made);
    let Some((made, snapshot)) = newest else {
        let why = failed.map(|error| format!("; the last error is: {error}")).unwrap_or_default();
        return Err(format!("there is no etcd snapshot that can be used{why}"));
    };
    if since.is_some_and(|since| made < since) {
        return Err(format!(
            "the newest etcd snapshot is of {made}, which is not the one that was asked for"
        ));
    }
    let age = Duration::try_from(now.duration_since(made)).unwrap_or_default();
    if age > max_age {
        return Err(format!(
            "the newest etcd snapshot is of {made}, {} old; at most {} is allowed",
            hours(age),
            hours(max_age)
        ));
    }
    let text = |pointer: &str| {
        let text = snapshot.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    Ok(DataBackup {
        kind: "etcd_snapshot".to_owned(),
        name: text("/spec/snapshotName").or_else(|| text("/metadata/name")).unwrap_or_default(),
        namespace: None,
        status: "readyToUse".to_owned(),
        made_at: Some(made.to_string()),
        location: text("/spec/location"),
        node: text("/spec/nodeName"),
        volume: None,
    })
}

/// What a person does so that there is a snapshot.
pub fn instructions(backup_id: &str) -> String {
    let name = super::names::key(backup_id);
    format!(
        "run `k3s etcd-snapshot save --name {name}` on a server, or name a CronJob that does with \
         `backup.data.etcd.job`"
    )
}

fn hours(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    if minutes < 120 { format!("{minutes}m") } else { format!("{}h", minutes / 60) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-11-21T10:00:00Z";

    fn snapshot(name: &str, made: &str, ready: bool) -> Value {
        json!({
            "metadata": {"name": format!("s3-{name}")},
            "spec": {"snapshotName": name, "nodeName": "server-1", "location": format!("file:///x/{name}")},
            "status": {"readyToUse": ready, "creationTime": made, "error": if ready { Value::Null } else { json!({"message": "disk full\nmore"}) }},
        })
    }

    #[rstest]
    #[case::young(&[("a", "2026-11-21T09:30:00Z", true)], None, Ok("a"))]
    #[case::newest_of_several(&[("a", "2026-11-21T09:30:00Z", true), ("b", "2026-11-21T09:40:00Z", true)], None, Ok("b"))]
    #[case::newest_failed_an_older_one_is_young_enough(&[("a", "2026-11-21T09:30:00Z", true), ("b", "2026-11-21T09:40:00Z", false)], None, Ok("a"))]
    #[case::too_old(&[("a", "2026-11-21T00:00:00Z", true)], None, Err("10h old; at most 60m is allowed"))]
    #[case::none(&[], None, Err("no etcd snapshot that can be used"))]
    #[case::failed(&[("a", "2026-11-21T09:30:00Z", false)], None, Err("the last error is: disk full"))]
    #[case::of_before_the_job(&[("a", "2026-11-21T09:30:00Z", true)], Some("2026-11-21T09:59:00Z"), Err("not the one that was asked for"))]
    #[case::clock_ahead(&[("a", "2026-11-21T10:00:30Z", true)], None, Ok("a"))]
    fn snapshot_that_a_step_may_rest_on(
        #[case] snapshots: &[(&str, &str, bool)],
        #[case] since: Option<&str>,
        #[case] expected: Result<&str, &str>,
    ) {
        let snapshots: Vec<Value> =
            snapshots.iter().map(|(name, made, ready)| snapshot(name, made, *ready)).collect();
        let since = since.map(|since| since.parse().unwrap());
        let found = newest(&snapshots, NOW.parse().unwrap(), Duration::from_secs(3600), since);
        match (found, expected) {
            (Ok(found), Ok(name)) => {
                assert_eq!(found.name, name);
                assert_eq!(found.node.as_deref(), Some("server-1"));
            }
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[rstest]
    #[case::embedded(json!([{"metadata": {"labels": {"node-role.kubernetes.io/etcd": "true"}}}]), Some(Datastore::Etcd))]
    #[case::sqlite(json!([{"metadata": {"labels": {"node-role.kubernetes.io/control-plane": "true"}}}]), Some(Datastore::Other))]
    #[case::nobody_knows(json!([]), None)]
    fn what_keeps_the_state(#[case] nodes: Value, #[case] expected: Option<Datastore>) {
        assert_eq!(datastore(nodes.as_array().unwrap()), expected);
    }
}

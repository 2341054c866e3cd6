//! Watches: one JSON object a line, for as long as the connection lasts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, status};
use super::list::{shown, too_large};
use super::objects::{Cluster, Event};
use super::route::Target;
use super::selector::Selector;
use super::serve::Outage;

/// The least that `timeoutSeconds` may be left out for (`--min-request-timeout`).
const LEAST: SignedDuration = SignedDuration::from_mins(30);

struct Watch {
    shared: Arc<Shared>,
    changed: tokio::sync::watch::Receiver<u64>,
    target: Target,
    selector: Selector,
    version: u64,
    lines: VecDeque<Value>,
    until: Timestamp,
    wants_bookmarks: bool,
    bookmarks: u64,
    ended: u64,
    cut: u64,
    over: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.cluster.lock().unwrap().watches -= 1;
    }
}

enum Next {
    Line(Vec<u8>),
    End,
    Break,
    Wait,
}

/// Begins a watch; events come from the version that was named.
pub(super) fn begin(
    shared: &Arc<Shared>,
    cluster: &mut Cluster,
    target: Target,
    query: &BTreeMap<String, String>,
) -> Result<Response, Answer> {
    if query.contains_key("sendInitialEvents") {
        let why = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return Err(Answer::failure(
            422,
            "Invalid",
            format!("ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: {why}"),
            json!({}),
        ));
    }
    let selector = Selector::read(query.get("labelSelector"), query.get("fieldSelector"))?;
    let wanted = query.get("resourceVersion").map_or("", String::as_str);
    let from = match wanted {
        "" | "0" => None,
        text => Some(text.parse::<u64>().map_err(|_| {
            Answer::bad_request(format!("Invalid value: \"{text}\": strconv.ParseUint: invalid syntax"))
        })?),
    };
    if let Some(version) = from.filter(|version| *version > cluster.version) {
        return Err(too_large(version, cluster.version));
    }
    let mut lines = VecDeque::new();
    let mut over = false;
    match from {
        Some(version) if version < cluster.compacted => {
            let message = format!("too old resource version: {version} ({})", cluster.compacted);
            lines.push_back(json!({"type": "ERROR", "object": status(410, "Expired", &message, json!({}))}));
            over = true;
        }
        Some(_) => {}
        None => {
            let resource = target.served.full_name();
            for object in cluster.of(&resource) {
                let here = target
                    .namespace
                    .as_ref()
                    .is_none_or(|namespace| object["metadata"]["namespace"] == **namespace);
                if here && selector.fits(object) {
                    lines.push_back(json!({"type": "ADDED", "object": shown(&target, object)}));
                }
            }
        }
    }
    let timeout = query
        .get("timeoutSeconds")
        .and_then(|text| text.parse().ok())
        .map_or(LEAST, SignedDuration::from_secs);
    cluster.watches += 1;
    let watch = Watch {
        shared: shared.clone(),
        changed: shared.changed.subscribe(),
        target,
        selector,
        version: from.unwrap_or(cluster.version),
        lines,
        until: cluster.now + timeout,
        wants_bookmarks: matches!(query.get("allowWatchBookmarks").map(String::as_str), Some("true" | "1")),
        bookmarks: cluster.bookmarks,
        ended: cluster.ended,
        cut: cluster.cut,
        over,
    };
    let stream = futures_util::stream::unfold(watch, |mut watch| async move {
        loop {
            watch.changed.borrow_and_update();
            match watch.next() {
                Next::Line(line) => return Some((Ok::<_, std::io::Error>(Bytes::from(line)), watch)),
                Next::End => return None,
                Next::Break => {
                    watch.over = true;
                    return Some((Err(std::io::Error::other("cut by the test")), watch));
                }
                Next::Wait => watch.changed.changed().await.ok()?,
            }
        }
    });
    let headers = [("content-type", "application/json")];
    Ok((headers, Body::from_stream(stream)).into_response())
}

impl Watch {
    fn next(&mut self) -> Next {
        let shared = self.shared.clone();
        let cluster = shared.cluster.lock().unwrap();
        match &cluster.outage {
            Some(Outage::Hang) => return Next::Wait,
            Some(Outage::Refuse | Outage::Half) => return Next::Break,
            Some(Outage::Answer(_)) | None => {}
        }
        if self.cut != cluster.cut {
            return Next::Break;
        }
        if let Some(line) = self.lines.pop_front() {
            let mut bytes = serde_json::to_vec(&line).unwrap();
            bytes.push(b'\n');
            return Next::Line(bytes);
        }
        if self.over {
            return Next::End;
        }
        let resource = self.target.served.full_name();
        let from = cluster.history.partition_point(|event| event.version <= self.version);
        for event in cluster.history[from..].iter().filter(|event| event.key.resource == resource) {
            let here =
                self.target.namespace.as_ref().is_none_or(|namespace| event.key.namespace == *namespace);
            if let Some(line) = here.then(|| self.line(event)).flatten() {
                self.lines.push_back(line);
            }
        }
        self.version = cluster.version;
        if self.bookmarks != cluster.bookmarks {
            self.bookmarks = cluster.bookmarks;
            if self.wants_bookmarks {
                let object = json!({
                    "kind": self.target.served.kind,
                    "apiVersion": self.target.served.api_version(&self.target.version),
                    "metadata": {"resourceVersion": self.version.to_string(), "creationTimestamp": null},
                });
                self.lines.push_back(json!({"type": "BOOKMARK", "object": object}));
            }
        }
        if !self.lines.is_empty() {
            drop(cluster);
            return self.next();
        }
        if cluster.now >= self.until || self.ended != cluster.ended {
            return Next::End;
        }
        Next::Wait
    }

    fn line(&self, event: &Event) -> Option<Value> {
        let fits = |object: &Option<Arc<Value>>| {
            object.as_ref().filter(|object| self.selector.fits(object)).cloned()
        };
        let (kind, object) = match (fits(&event.before), fits(&event.after)) {
            (None, None) => return None,
            (None, Some(after)) => ("ADDED", (*after).clone()),
            (Some(_), Some(after)) => ("MODIFIED", (*after).clone()),
            (Some(before), None) => {
                let mut last = (*before).clone();
                last["metadata"]["resourceVersion"] = json!(event.version.to_string());
                ("DELETED", last)
            }
        };
        Some(json!({"type": kind, "object": shown(&self.target, &object)}))
    }
}

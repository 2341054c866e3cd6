//! What does not matter to a verdict: other objects, the order of what happens at once, names, texts. And what must
//! never make one: a view that was lost.

use gitops_updater::domain::settle::line::{Change, Line, Moment, Seen};
use gitops_updater::domain::settle::object::Object;
use serde_json::{Value, json};

use super::expected::{expected, wrong};
use super::{Says, end_of, judge, lines, recordings, short, spans};

/// A small generator, so that a failure can be made again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

fn dice(name: &str, round: u64) -> Dice {
    let seed = name.bytes().fold(round + 1, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

/// Judges every recording after a change of its text, and holds it against its table.
fn still_right(change: impl Fn(&str, &[Value]) -> Vec<Value>) {
    let mut failures = Vec::new();
    for (name, text) in recordings() {
        let before: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let changed: Vec<String> = change(&name, &before).iter().map(Value::to_string).collect();
        let lines = lines(&changed.join("\n"));
        let end = end_of(&lines);
        let said = spans(&judge(lines, &short()), end);
        failures.extend(
            wrong(&expected(&name), &said, |_, _, _| false)
                .into_iter()
                .map(|wrong| format!("{name}: {wrong}")),
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn other_objects_change_no_verdict() {
    still_right(|_, lines| {
        let condition = |type_: &str, status: &str, reason: &str| json!({"type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": 1});
        let object = |t: f64, api: &str, kind: &str, spec: Value, status: Value| {
            json!({"t": t, "type": "ADDED", "object": {"apiVersion": api, "kind": kind,
                "metadata": {"name": "stranger", "namespace": "elsewhere", "uid": kind, "generation": 1},
                "spec": spec, "status": status}})
        };
        let strangers = |t: f64| {
            vec![
                object(
                    t,
                    "helm.toolkit.fluxcd.io/v2",
                    "HelmRelease",
                    json!({"chart": {"spec": {"chart": "x", "version": "1.0.0"}}}),
                    json!({"observedGeneration": 1, "conditions": [
                        condition("Stalled", "True", "RetriesExceeded"), condition("Ready", "False", "UpgradeFailed")],
                        "history": [{"chartVersion": "1.0.0", "status": "failed", "version": 1}]}),
                ),
                object(
                    t,
                    "kustomize.toolkit.fluxcd.io/v1",
                    "Kustomization",
                    json!({"path": "./elsewhere", "sourceRef": {"kind": "GitRepository", "name": "another"}}),
                    json!({"conditions": [condition("Ready", "False", "BuildFailed")],
                        "lastAttemptedRevision": "main@sha1:1111111111111111111111111111111111111111"}),
                ),
                object(
                    t,
                    "apps/v1",
                    "Deployment",
                    json!({"replicas": 3, "template": {"spec": {"containers": [
                        {"name": "x", "image": "registry.example/other:1"}]}}}),
                    json!({"observedGeneration": 1, "conditions": [condition("Available", "False", "MinimumReplicasUnavailable")]}),
                ),
                object(
                    t,
                    "v1",
                    "Pod",
                    json!({"containers": [{"name": "x", "image": "y"}]}),
                    json!({"phase": "Running", "containerStatuses": [{"name": "x", "restartCount": 9,
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
                ),
                object(
                    t,
                    "batch/v1",
                    "Job",
                    json!({}),
                    json!({"failed": 1, "conditions": [condition("Failed", "True", "BackoffLimitExceeded")]}),
                ),
                object(
                    t,
                    "upgrade.cattle.io/v1",
                    "Plan",
                    json!({"version": "v1.0.0+k3s1"}),
                    json!({"conditions": [condition("Complete", "False", "JobFailed")], "latestVersion": "v1.0.0-k3s1"}),
                ),
            ]
        };
        let middle = lines.len() / 2;
        let mut all = lines[..middle].to_vec();
        all.extend(strangers(lines[middle - 1]["t"].as_f64().unwrap()));
        all.extend_from_slice(&lines[middle..]);
        all
    });
}

#[test]
fn the_order_of_what_happens_at_once_changes_no_verdict() {
    for round in 0..3 {
        still_right(|name, lines| {
            let mut dice = dice(name, round);
            let mut all = lines.to_vec();
            let mut start = 0;
            while start < all.len() {
                let end = start + all[start..].iter().take_while(|line| line["t"] == all[start]["t"]).count();
                for at in (start + 1..end).rev() {
                    all.swap(at, start + dice.roll(at - start + 1));
                }
                start = end;
            }
            all
        });
    }
}

/// As after a watch that had to begin anew: everything there is, once more.
#[test]
fn everything_told_again_changes_no_verdict() {
    still_right(|name, lines| {
        let mut dice = dice(name, 7);
        let mut known: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
        let mut all = Vec::new();
        for line in lines {
            all.push(line.clone());
            let Some(object) = line.get("object") else { continue };
            let key = format!(
                "{} {} {}",
                object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]
            );
            if line["type"] == "DELETED" {
                known.remove(&key);
            } else {
                known.insert(key, object.clone());
            }
            if dice.roll(40) == 0 {
                all.extend(
                    known.values().map(|object| json!({"t": line["t"], "type": "ADDED", "object": object})),
                );
            }
        }
        all
    });
}

/// Strangers among what the update touches: beside it in its namespace, and of the same controllers.
#[test]
fn other_objects_beside_what_is_touched_change_no_verdict() {
    still_right(|_, lines| {
        let release = lines.iter().find(|line| line["object"]["kind"] == "HelmRelease");
        let namespace = release.map_or(json!("demo"), |line| line["object"]["metadata"]["namespace"].clone());
        let stranger = |t: &Value, api: &str, kind: &str, spec: Value, status: Value| {
            json!({"t": t, "type": "ADDED", "object": {"apiVersion": api, "kind": kind,
                "metadata": {"name": "stranger", "namespace": namespace, "uid": kind, "generation": 1},
                "spec": spec, "status": status}})
        };
        let failed = json!([{"type": "Ready", "status": "False", "reason": "UpgradeFailed", "message": "", "observedGeneration": 1}]);
        let middle = lines.len() / 2;
        let t = &lines[middle - 1]["t"];
        let mut all = lines[..middle].to_vec();
        all.push(stranger(t, "helm.toolkit.fluxcd.io/v2", "HelmRelease",
            json!({"chart": {"spec": {"chart": "x", "version": "1.0.0"}}}),
            json!({"observedGeneration": 1, "conditions": failed, "history": [{"chartVersion": "1.0.0", "status": "failed", "version": 1}]})));
        all.push(stranger(t, "apps/v1", "Deployment",
            json!({"replicas": 1, "template": {"spec": {"containers": [{"name": "x", "image": "registry.example/other:1"}]}}}),
            json!({"observedGeneration": 1, "conditions": [{"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}]})));
        all.push(stranger(t, "batch/v1", "Job", json!({}),
            json!({"failed": 1, "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]})));
        all.extend_from_slice(&lines[middle..]);
        all
    });
}

#[test]
fn names_change_no_verdict() {
    const KINDS: [&str; 9] = [
        "Kustomization",
        "HelmRelease",
        "GitRepository",
        "OCIRepository",
        "HelmRepository",
        "HelmChart",
        "Deployment",
        "Plan",
        "Node",
    ];
    fn rename(value: &mut Value, renamed: &dyn Fn(&str) -> Option<String>) {
        match value {
            Value::String(text) => {
                if let Some(new) = renamed(text) {
                    *text = new;
                } else {
                    // Ids of inventories, of components, of charts: names between separators.
                    for separator in ['_', '/'] {
                        let parts: Vec<String> = text
                            .split(separator)
                            .map(|part| renamed(part).unwrap_or_else(|| part.to_owned()))
                            .collect();
                        *text = parts.join(&separator.to_string());
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
            Value::Object(fields) => {
                for (_, field) in fields.iter_mut().filter(|(key, _)| {
                    !matches!(
                        key.as_str(),
                        "kind" | "apiVersion" | "type" | "path" | "files" | "image" | "revision"
                    )
                }) {
                    rename(field, renamed);
                }
                let labels: Vec<String> =
                    fields.keys().filter(|key| key.starts_with("plan.upgrade.cattle.io/")).cloned().collect();
                for label in labels {
                    let name = label.trim_start_matches("plan.upgrade.cattle.io/");
                    if let (Some(new), Some(value)) = (renamed(name), fields.remove(&label)) {
                        fields.insert(format!("plan.upgrade.cattle.io/{new}"), value);
                    }
                }
            }
            _ => {}
        }
    }
    still_right(|name, lines| {
        let mut names: std::collections::BTreeSet<String> = lines
            .iter()
            .filter(|line| KINDS.iter().any(|kind| line["object"]["kind"] == **kind))
            .map(|line| line["object"]["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.extend([name.to_owned(), "system-upgrade".to_owned()]);
        // Known by this very name, as its settings are.
        names.remove("longhorn");
        let renamed = |text: &str| {
            names
                .contains(text)
                .then(|| format!("z{}y", text.len() * 7 + text.bytes().map(usize::from).sum::<usize>()))
        };
        let mut all = lines.to_vec();
        for line in &mut all {
            // An image's component is named after the image.
            let component = line["update"]["component"].clone();
            rename(line, &renamed);
            if component.as_str().is_some_and(|component| component.starts_with("image/")) {
                line["update"]["component"] = component;
            }
        }
        all
    });
}

#[test]
fn texts_change_no_verdict() {
    fn reword(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(reword),
            Value::Object(fields) => {
                if let Some(message) = fields.get_mut("message").filter(|message| message.is_string()) {
                    *message = Value::from("another version's words");
                }
                fields.values_mut().for_each(reword);
            }
            _ => {}
        }
    }
    still_right(|_, lines| {
        let mut all = lines.to_vec();
        for line in all.iter_mut().filter(|line| line.get("object").is_some()) {
            reword(line);
        }
        for line in &mut all {
            if let Some(note) = line.get_mut("note") {
                *note = Value::from("something");
            }
        }
        all
    });
}

/// Puts an interval of lost view in, of one kind or of all. With `blind`, nothing of it is seen: what changed is told anew
/// when sight is back.
fn lose(
    lines: &[Line<Object>],
    from: Moment,
    to: Moment,
    blind: bool,
    kind: Option<&str>,
) -> Vec<Line<Object>> {
    let mut all = Vec::new();
    let kinds = kind.map(|kind| vec![kind.to_owned()]);
    let view = |t: Moment, back: bool| Line { t, seen: Seen::View { back, kinds: kinds.clone() } };
    let (mut lost, mut back) = (false, false);
    let mut missed: std::collections::BTreeMap<(String, String, String), (Change, Object)> =
        Default::default();
    for line in lines {
        if line.t >= from && !lost {
            all.push(view(from, false));
            lost = true;
        }
        if line.t >= to && !back {
            all.push(view(to, true));
            for (_, (change, object)) in std::mem::take(&mut missed) {
                all.push(Line { t: to, seen: Seen::Event { change, object, initial: false } });
            }
            back = true;
        }
        match &line.seen {
            Seen::Event { change, object, .. }
                if blind && lost && !back && kind.is_none_or(|kind| object.kind.label() == kind) =>
            {
                let key = (object.kind.label(), object.meta.namespace.clone(), object.meta.name.clone());
                missed.insert(key, (*change, object.clone()));
            }
            // The recording's own outage may lie within.
            Seen::View { .. } if lost && !back && kind.is_none() => {}
            _ => all.push(line.clone()),
        }
    }
    if lost && !back {
        all.push(view(to, true));
    }
    all
}

#[test]
fn a_lost_view_never_makes_a_revert_and_never_a_good_end() {
    let mut failures = Vec::new();
    let mut reverts = 0;
    for (name, text) in recordings() {
        let lines = lines(&text);
        let end = end_of(&lines);
        let rows = expected(&name);
        for round in 0..10 {
            let mut dice = dice(&name, round);
            let from = Moment(i64::try_from(dice.roll(usize::try_from(end.0).unwrap())).unwrap() + 50);
            let length = [1_000, 5_000, 20_000, 60_000, 600_000][dice.roll(5)];
            let to = Moment((from.0 + length).min(end.0 + length));
            let blind = round % 2 == 0;
            let changed = lose(&lines, from, to, blind, None);
            let end = end_of(&changed);
            let said = spans(&judge(changed, &short()), end);
            let title =
                format!("{name}, lost {} to {} ms, {}", from.0, to.0, if blind { "blind" } else { "seen" });
            for (since, until, says) in &said {
                let inside = (since.max(from.0 as f64 / 1000.0), until.min(to.0 as f64 / 1000.0));
                if inside.1 - inside.0 > 0.002
                    && matches!(says, Says::Revert | Says::Healthy | Says::Complete | Says::Wrong)
                {
                    failures.push(format!("{title}: {says:?} without sight, {inside:?}"));
                }
            }
            reverts += said.iter().filter(|(_, _, says)| *says == Says::Revert).count();
            // Later or not at all is right; a revert or a good end where there was none before is not.
            let careful = |_, _, says: Says| matches!(says, Says::Unknown | Says::Doubt | Says::Hold);
            failures
                .extend(wrong(&rows, &said, careful).into_iter().map(|wrong| format!("{title}: {wrong}")));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(reverts > 0 || recordings().is_empty(), "no revert is left at all: nothing was tested");
}

/// One watch that does not come through, or one right that was taken away, leaves the others as they are.
#[test]
fn a_kind_that_is_lost_makes_no_revert_and_no_good_end_either() {
    let mut failures = Vec::new();
    let mut ends = 0;
    for (name, text) in recordings() {
        let lines = lines(&text);
        let end = end_of(&lines);
        let rows = expected(&name);
        let kinds = lines.iter().find_map(|line| match &line.seen {
            Seen::Header(header) => Some(header.watching.clone()),
            _ => None,
        });
        let kinds = kinds.unwrap();
        for round in 0..8 {
            let mut dice = dice(&name, 100 + round);
            let kind = &kinds[dice.roll(kinds.len())];
            let from = Moment(i64::try_from(dice.roll(usize::try_from(end.0).unwrap())).unwrap() + 50);
            let to = Moment(from.0 + [1_000, 5_000, 20_000, 60_000, 600_000][dice.roll(5)]);
            let changed = lose(&lines, from, to, round % 2 == 0, Some(kind));
            let end = end_of(&changed);
            let said = spans(&judge(changed, &short()), end);
            ends += said.iter().filter(|(_, _, says)| matches!(says, Says::Revert | Says::Complete)).count();
            let careful = |_, _, says: Says| matches!(says, Says::Unknown | Says::Doubt | Says::Hold);
            failures.extend(
                wrong(&rows, &said, careful)
                    .into_iter()
                    .map(|wrong| format!("{name}, {kind} lost {} to {} ms: {wrong}", from.0, to.0)),
            );
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(ends > 0, "nothing ends at all: nothing was tested");
}

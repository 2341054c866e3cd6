//! Warnings that come more often than they should: worth knowing beside what else is wrong, and never a reason by
//! themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::look::{Look, Wrong, named};
use super::owner::{category_of, owner_of};
use crate::domain::settle::finding::{Category, Severity, Subject};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Detail, Event};

/// Name of the check.
pub const EVENTS: &str = "events";
/// Time in which warnings are counted.
const RECENT: Duration = Duration::from_secs(600);
/// Warnings of one object in that time that are worth telling.
const OFTEN: i64 = 5;

pub(super) fn check(look: &mut Look<'_>) {
    let now = look.world.wall();
    let mut found: BTreeMap<Subject, (Category, i64, &Event, i64)> = BTreeMap::new();
    for object in look.of(Kind::Event) {
        let Detail::Event(event) = &object.detail else { continue };
        let count = recent(event, now);
        if !event.warning || count == 0 {
            continue;
        }
        let namespace = object.meta.namespace.as_str();
        let kind = Kind::of_label(&event.about_kind);
        // Pods come and go; their warnings are those of what owns them.
        let about = kind.and_then(|kind| look.world.get(kind, namespace, &event.about_name));
        let subject = match about {
            Some(about) => owner_of(look.world, about),
            None => named(&event.about_kind, namespace, &event.about_name),
        };
        let category = about.map_or(Category::Applications, category_of);
        let entry = found.entry(subject).or_insert((category, 0, event, 0));
        entry.1 += count;
        if count > entry.3 {
            (entry.2, entry.3) = (event, count);
        }
    }
    for (subject, (category, count, event, _)) in found {
        if count < OFTEN {
            continue;
        }
        let message = format!("{count} warnings in {} min, most: {}", RECENT.as_secs() / 60, event.message);
        look.wrong(
            subject,
            Wrong { check: EVENTS, category, severity: Severity::Notice, reason: &event.reason, message },
        );
    }
}

/// How many of an event's repetitions are of the last while: only their sum, the first and the last time are known.
fn recent(event: &Event, now: Timestamp) -> i64 {
    let Some(last) = event.last else { return 0 };
    let recent = SignedDuration::try_from(RECENT).unwrap_or(SignedDuration::MAX);
    if now.duration_since(last) >= recent {
        return 0;
    }
    let lasts = event.first.map_or(SignedDuration::ZERO, |first| last.duration_since(first));
    if lasts <= recent {
        return event.count;
    }
    let share = recent.as_secs_f64() / lasts.as_secs_f64();
    (event.count as f64 * share).round().max(1.0) as i64
}

#[cfg(test)]
mod tests {
    use super::super::testing::{before, found, object, told};
    use rstest::rstest;
    use serde_json::{Value, json};

    fn event(count: i64, first: i64, last: i64, rest: Value) -> Value {
        let mut event = object("v1", "Event", "apps/web-1.17", rest);
        let fields = event.as_object_mut().unwrap();
        fields.entry("type").or_insert(json!("Warning"));
        fields.insert("reason".to_owned(), json!("Unhealthy"));
        fields.insert("message".to_owned(), json!("readiness probe failed"));
        fields.insert("involvedObject".to_owned(), json!({"kind": "Deployment", "name": "web"}));
        fields.insert("count".to_owned(), json!(count));
        fields.insert("firstTimestamp".to_owned(), json!(before(first)));
        fields.insert("lastTimestamp".to_owned(), json!(before(last)));
        event
    }

    #[rstest]
    #[case::often(event(6, 5, 1, json!({})), "notice events Deployment/apps/web Unhealthy")]
    #[case::seldom(event(4, 5, 1, json!({})), "")]
    #[case::long_ago(event(60, 90, 11, json!({})), "")]
    #[case::often_over_hours(event(100, 120, 1, json!({})), "notice events Deployment/apps/web Unhealthy")]
    #[case::a_few_over_hours(event(20, 120, 1, json!({})), "")]
    #[case::no_warning(event(60, 5, 1, json!({"type": "Normal"})), "")]
    #[case::told_as_a_series(
        event(0, 5, 60, json!({"series": {"count": 9, "lastObservedTime": before(1)}})),
        "notice events Deployment/apps/web Unhealthy"
    )]
    fn warnings_that_come_often_are_told_and_are_no_failure(#[case] event: Value, #[case] expected: &str) {
        assert_eq!(told(&found(&[event])).join("\n"), expected);
    }

    #[test]
    fn warnings_of_pods_are_those_of_their_owner() {
        let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": true}]);
        let pods = [0, 1].map(|number| {
            object(
                "v1",
                "Pod",
                &format!("apps/db-{number}"),
                json!({"metadata": {"ownerReferences": owner},
                "status": {"phase": "Running"}}),
            )
        });
        let events = [0, 1].map(|number| {
            let mut event = event(3, 5, 1, json!({}));
            event["metadata"]["name"] = json!(format!("db-{number}.17"));
            event["involvedObject"] = json!({"kind": "Pod", "name": format!("db-{number}")});
            event
        });
        let objects: Vec<Value> = pods.into_iter().chain(events).collect();
        assert_eq!(told(&found(&objects)), ["notice events StatefulSet/apps/db Unhealthy"]);
    }
}

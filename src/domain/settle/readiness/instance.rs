//! Whether the Flux Operator has brought Flux to a version.

use std::time::Duration;

use super::super::kind::Kind;
use super::super::object::{Condition, Detail, FluxInstance, Object, title};
use super::super::radius::{or, same_version};
use super::super::world::World;
use super::{Failure, State, Then, bounded, reason, snake, speaks_of, unseen};
use crate::domain::version::range::{Range, strict_version};

/// Annotation and value with which a person has the operator leave an instance alone (Flux Operator, `IsDisabled`).
const RECONCILE: (&str, &str) = ("fluxcd.controlplane.io/reconcile", "disabled");

/// Whether an instance asks for a version, be it by a range.
pub(in crate::domain::settle) fn asks_for(instance: &FluxInstance, version: &str) -> bool {
    is_in(&instance.version, version)
}

/// Whether what an instance may ask for, a version or a range, is or contains another.
fn is_in(wanted: &str, version: &str) -> bool {
    same_version(wanted, version)
        || match (Range::parse(wanted), strict_version(version)) {
            (Ok(range), Some(version)) => range.matches(&version),
            _ => false,
        }
}

/// Whether an instance has a version: the operator has looked at what Git asks for, and everything it applied became ready
/// (Flux Operator, `FluxInstanceReconciler`: `Ready` and `lastAppliedRevision` come after the wait for health).
pub(in crate::domain::settle) fn instance(
    world: &World,
    (namespace, name): (&str, &str),
    version: &str,
) -> State {
    let name_of = title(Kind::FluxInstance, namespace, name);
    if let Some(unseen) = unseen(world, Kind::FluxInstance) {
        return State::Unseen(unseen);
    }
    let Some((object, detail)) = get(world, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    if object.meta.annotations.get(RECONCILE.0).is_some_and(|value| value.eq_ignore_ascii_case(RECONCILE.1)) {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended by its annotation"));
    }
    if !asks_for(detail, version) {
        let text = format!("does not ask for {version} yet");
        return State::Pending(reason("not_applied", Some(name_of), text));
    }
    let has = detail.last_applied.split_once('@').map_or(detail.last_applied.as_str(), |(has, _)| has);
    let current = |condition: &&Condition| speaks_of(condition, object);
    let ready = object.condition("Ready").filter(current);
    if ready.is_some_and(Condition::is_true)
        && object.observed_generation == object.meta.generation
        && (same_version(has, version) || is_in(version, has))
    {
        return State::Applied;
    }
    // What cannot be fetched is asked for again, and says nothing of the version.
    let failed = ready.filter(|ready| ready.is_false() && ready.reason != "ArtifactFailed");
    match failed {
        Some(failed) => State::Failing(Failure {
            reason: reason(&snake(&failed.reason), Some(name_of), bounded(&failed.message)),
            then: match object.condition("Stalled").filter(current).is_some_and(Condition::is_true) {
                true => Then::GivesUp,
                false => Then::ForEver { within: Duration::ZERO, health: false },
            },
            at: None,
        }),
        None => {
            let code = if ready.is_some() { "in_progress" } else { "not_applied" };
            let text = match ready.filter(|ready| ready.is_false()) {
                Some(ready) => format!("{}: {}", ready.reason, bounded(&ready.message)),
                None => format!("is still at {}", or(has, "no revision")),
            };
            State::Pending(reason(code, Some(name_of), text))
        }
    }
}

fn get<'w>(world: &'w World, namespace: &str, name: &str) -> Option<(&'w Object, &'w FluxInstance)> {
    let object = world.get(Kind::FluxInstance, namespace, name)?;
    match &object.detail {
        Detail::FluxInstance(detail) => Some((object, detail)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::settle::recording::read;

    const READY: (&str, &str, i64) = ("True", "ReconciliationSucceeded", 2);

    fn stands(version: &str, has: &str, (status, why, generation): (&str, &str, i64), more: Value) -> State {
        let mut world = World::new(Timestamp::UNIX_EPOCH);
        let mut take = |line: Value| world.take(read(line.to_string().as_bytes()).unwrap());
        take(json!({"t": 0, "header": {"started_at": "2026-11-21T00:00:00Z", "watching": ["FluxInstance"]}}));
        let condition = |of: &str, status: &str, why: &str| {
            json!({"type": of, "status": status, "reason": why, "message": "so it is",
                "observedGeneration": generation})
        };
        let mut conditions = vec![condition("Ready", status, why)];
        if why == "BuildFailed" {
            conditions.push(condition("Stalled", "True", why));
        }
        take(json!({"t": 0, "type": "ADDED", "object": {
            "apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
            "metadata": {"name": "flux", "namespace": "flux-system", "uid": "u", "generation": 2, "annotations": more},
            "spec": {"distribution": {"version": version}},
            "status": {"observedGeneration": generation, "conditions": conditions,
                "lastAppliedRevision": format!("{has}@sha256:{}", "a".repeat(64))}}}));
        instance(&world, ("flux-system", "flux"), "2.9.4")
    }

    /// Flux Operator: an instance that nobody has looked at since Git moved has not got what Git asks for.
    #[rstest]
    #[case::there("2.9.4", "v2.9.4", READY, "applied")]
    #[case::there_by_a_range("2.9.x", "v2.9.4", READY, "applied")]
    #[case::not_asked_for_yet("2.8.5", "v2.8.5", READY, "pending not_applied")]
    #[case::not_looked_at("2.9.4", "v2.8.5", ("True", "ReconciliationSucceeded", 1), "pending not_applied")]
    #[case::not_looked_at_though_it_has_it("2.9.4", "v2.9.4", ("True", "ReconciliationSucceeded", 1), "pending not_applied")]
    #[case::looked_at_and_older("2.9.4", "v2.8.5", READY, "pending in_progress")]
    #[case::at_work("2.9.4", "v2.8.5", ("Unknown", "Progressing", 2), "pending in_progress")]
    #[case::not_fetched("2.9.4", "v2.8.5", ("False", "ArtifactFailed", 2), "pending in_progress")]
    #[case::given_up("2.9.4", "v2.8.5", ("False", "BuildFailed", 2), "gives up")]
    #[case::tried_again("2.9.4", "v2.8.5", ("False", "ReconciliationFailed", 2), "tries again")]
    fn an_instance_stands(
        #[case] version: &str,
        #[case] has: &str,
        #[case] ready: (&str, &str, i64),
        #[case] expected: &str,
    ) {
        let told = match stands(version, has, ready, json!({})) {
            State::Applied => "applied".to_owned(),
            State::Pending(why) => format!("pending {}", why.code),
            State::Failing(Failure { then: Then::GivesUp, .. }) => "gives up".to_owned(),
            State::Failing(_) => "tries again".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn an_instance_that_is_left_alone_is_suspended() {
        let alone = json!({"fluxcd.controlplane.io/reconcile": "disabled"});
        assert!(matches!(stands("2.9.4", "v2.9.4", READY, alone), State::Suspended(_)));
    }
}

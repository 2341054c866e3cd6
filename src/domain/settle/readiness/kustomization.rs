//! Whether a Kustomization has applied a commit of our repository, or a version of the source that it is built from.

use std::time::Duration;

use super::super::commits::commit_of;
use super::super::kind::Kind;
use super::super::object::{Detail, Kustomization, Object, Source, title};
use super::super::radius::or;
use super::super::world::World;
use super::source::is_of;
use super::time::duration;
use super::{Failure, State, Then, bounded, contains, reason, short, snake, speaks_of, unseen};

/// Whether a Kustomization has applied a commit.
pub(in crate::domain::settle) fn kustomization(world: &World, key: (&str, &str), commit: &str) -> State {
    let still = |revision: &str| match commit_of(revision) {
        // It may be newer than what was seen of the branch.
        Some(_) if contains(world, revision, commit).is_none() => {
            format!("is at {}, which was not seen on the branch", short(revision))
        }
        _ => still_at(revision),
    };
    applies(world, key, |revision| contains(world, revision, commit) == Some(true), still)
}

/// Whether a Kustomization has applied something of which nobody knows how it stands to a commit.
pub(in crate::domain::settle) fn is_ahead(
    world: &World,
    (namespace, name): (&str, &str),
    commit: &str,
) -> bool {
    get_kustomization(world, namespace, name).is_some_and(|(_, detail)| {
        commit_of(&detail.last_applied).is_some() && contains(world, &detail.last_applied, commit).is_none()
    })
}

/// Whether a Kustomization has applied a version of the source that it is built from.
pub(in crate::domain::settle) fn built(world: &World, key: (&str, &str), version: &str) -> State {
    // Where a digest stands beside the tag it takes its place, and revisions name no tag: it must have what the source has.
    let by_digest = source_of(world, key).filter(|source| is_digest(&source.wants));
    let offered = by_digest.and_then(|source| source.artifact.as_ref()).map(|artifact| &artifact.revision);
    let has = |revision: &str| match (by_digest, offered) {
        (Some(_), offered) => !revision.is_empty() && offered.is_some_and(|offered| offered == revision),
        (None, _) => is_of(revision, version),
    };
    match applies(world, key, has, still_at) {
        // Its revisions are no commits of the repository that the update is in.
        State::Failing(failure) => State::Failing(Failure { at: None, ..failure }),
        state => state,
    }
}

fn source_of<'w>(world: &'w World, (namespace, name): (&str, &str)) -> Option<&'w Source> {
    let (object, detail) = get_kustomization(world, namespace, name)?;
    let reference = &detail.source_ref;
    let kind = Kind::ALL.iter().copied().find(|kind| kind.name() == reference.kind)?;
    let source = world.get(kind, or(&reference.namespace, &object.meta.namespace), &reference.name)?;
    match &source.detail {
        Detail::Source(source) => Some(source),
        _ => None,
    }
}

/// `sha256:…`.
pub(super) fn is_digest(wanted: &str) -> bool {
    wanted.contains(':')
}

fn still_at(revision: &str) -> String {
    format!("is still at {}", or(short(revision), "no revision"))
}

/// Whether a Kustomization has applied what `has` knows; `still` says what it has instead.
fn applies(
    world: &World,
    (namespace, name): (&str, &str),
    has: impl Fn(&str) -> bool,
    still: impl Fn(&str) -> String,
) -> State {
    let name_of = title(Kind::Kustomization, namespace, name);
    if let Some(unseen) = unseen(world, Kind::Kustomization) {
        return State::Unseen(unseen);
    }
    let Some((object, detail)) = get_kustomization(world, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    if detail.suspend {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    let ready = object.condition("Ready");
    let current = ready.is_some_and(|ready| speaks_of(ready, object));
    let applied = (has(&detail.last_applied) || has(&detail.last_applied_origin))
        && object.observed_generation == object.meta.generation;
    let attempted = has(&detail.last_attempted);
    if let Some(ready) = ready.filter(|ready| ready.is_false() && current && attempted)
        && let Some(health) = fails_for_good(&ready.reason)
    {
        let failed = reason(&snake(&ready.reason), Some(name_of), bounded(&ready.message));
        return State::Failing(Failure {
            reason: failed,
            then: if health {
                Then::ForEver { within: duration(&detail.timeout, &detail.interval), health }
            } else {
                Then::ForEver { within: Duration::ZERO, health }
            },
            at: commit_of(&detail.last_attempted).map(str::to_owned),
        });
    }
    if applied {
        return State::Applied;
    }
    let text = match ready {
        Some(ready) if ready.is_false() => format!("{}: {}", ready.reason, bounded(&ready.message)),
        _ if attempted => "is being applied".to_owned(),
        _ => still(&detail.last_applied),
    };
    let code = match ready {
        Some(ready) if ready.is_false() && ready.reason == "DependencyNotReady" => "dependency_not_ready",
        _ if attempted => "in_progress",
        _ => "not_applied",
    };
    State::Pending(reason(code, Some(name_of), text))
}

/// Whether a reason of a Kustomization's failure is about what it applies, and then whether it is about health.
fn fails_for_good(reason: &str) -> Option<bool> {
    match reason {
        // The source's, another object's, or an interruption: says nothing of this commit.
        "ArtifactFailed" | "DependencyNotReady" | "HealthCheckCanceled" | "Progressing" | "Suspended" => None,
        "HealthCheckFailed" => Some(true),
        _ => Some(false),
    }
}

pub(in crate::domain::settle) fn get_kustomization<'w>(
    world: &'w World,
    namespace: &str,
    name: &str,
) -> Option<(&'w Object, &'w Kustomization)> {
    let object = world.get(Kind::Kustomization, namespace, name)?;
    match &object.detail {
        Detail::Kustomization(detail) => Some((object, detail)),
        _ => None,
    }
}

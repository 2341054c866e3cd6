//! Whether a source of Flux has a version, and whose fault it is where it has not.

use std::time::Duration;

use super::super::kind::Kind;
use super::super::object::{Detail, Object, title};
use super::super::radius::{or, same_version};
use super::super::world::World;
use super::kustomization::is_digest;
use super::{Failure, State, Then, bounded, reason, snake, speaks_of, unseen};

/// Whether a Flux source has a version.
pub(in crate::domain::settle) fn source(
    world: &World,
    kind: Kind,
    (namespace, name): (&str, &str),
    version: &str,
) -> State {
    if let Some(unseen) = unseen(world, kind) {
        return State::Unseen(unseen);
    }
    let name_of = title(kind, namespace, name);
    let Some(object) = world.get(kind, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    let Detail::Source(detail) = &object.detail else {
        return State::Pending(reason("not_found", Some(name_of), "cannot be read"));
    };
    if detail.suspend {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    let artifact = detail.artifact.as_ref().map_or("", |artifact| &artifact.revision);
    // The digest beside the tag takes its place, and is the one that Git has where what applies the source is there.
    if is_digest(&detail.wants) && is_of(artifact, &detail.wants) {
        return State::Applied;
    }
    if !is_digest(&detail.wants) && !same_version(&detail.wants, version) {
        let text = format!("does not ask for {version} yet");
        return State::Pending(reason("not_applied", Some(name_of), text));
    }
    if is_of(artifact, version) {
        return State::Applied;
    }
    let failed = object.condition("Ready").filter(|ready| ready.is_false() && speaks_of(ready, object));
    match failed {
        // The host answers for another one: it is this version that cannot be had.
        Some(ready)
            if ready.reason != "Progressing"
                && !others_fail(world, object)
                && another_is_good(world, object) =>
        {
            State::Failing(Failure {
                reason: reason(&snake(&ready.reason), Some(name_of), bounded(&ready.message)),
                then: Then::ForEver { within: Duration::ZERO, health: false },
                at: None,
            })
        }
        _ => State::Pending(reason(
            "in_progress",
            Some(name_of),
            format!("is still at {}", or(artifact, "no revision")),
        )),
    }
}

/// Whether a revision of a source (`v1.2.3@sha1:…`, `1.2.3@sha256:…`, `sha1:…`) is that of a version, a commit or a
/// digest.
pub(super) fn is_of(revision: &str, version: &str) -> bool {
    let (name, hash) = revision.split_once('@').unwrap_or(("", revision));
    let bare = |text: &str| text.rsplit_once(':').map_or(text, |(_, hash)| hash).to_owned();
    same_version(name, version) || (!version.is_empty() && bare(hash) == bare(version))
}

/// Sources that the update did not change fail as well: the network does, or the registry.
pub(super) fn others_fail(world: &World, source: &Object) -> bool {
    world.of(source.kind).any(|other| {
        other.key() != source.key()
            && other.condition("Ready").is_some_and(|ready| ready.is_false() && speaks_of(ready, other))
            && host(other) == host(source)
    })
}

/// A source of the same host is as it should be: the host can be reached.
fn another_is_good(world: &World, source: &Object) -> bool {
    world
        .of(source.kind)
        .any(|other| other.key() != source.key() && other.is("Ready") && host(other) == host(source))
}

fn host(source: &Object) -> Option<&str> {
    match &source.detail {
        Detail::Source(source) => source.url.split_once("://")?.1.split('/').next(),
        _ => None,
    }
}

//! Whether Flux has a commit already: what is seen before is a baseline, and Flux can be asked to fetch it at once.

use std::collections::BTreeSet;

use super::look::Look;
use super::watching::Watching;
use crate::app::cluster::Cluster;
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::app::pass::Error;
use crate::app::remedy::{self, Nudge, REQUESTED_AT};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::memory::Baseline;
use crate::domain::settle::object::{Detail, Object};
use crate::domain::settle::world::{Sight, World};
use crate::domain::state::{Stage, State};
use crate::repo::write::Id;
use crate::state::Transition;

/// Hours after which the baseline of an open pull request is taken anew though nothing in it changed.
const BASELINE_AGE: i64 = 24;

impl<F: Forge, C: Cluster> Watching<'_, '_, F, C> {
    /// What is seen before Flux has fetched the merge is the best baseline there is; what was kept when the update was
    /// proposed may be days old.
    pub(super) fn refresh_baselines(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        let fresh: Vec<(String, String)> = self
            .followed
            .iter()
            .filter(|(judged, follow)| {
                !follow.introduced
                    && !follow.of_the_way_back
                    && !self.run.world.state.memory.contains_key(*judged)
            })
            .map(|(judged, follow)| (judged.clone(), follow.update.clone()))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let now = look.judge().baseline();
        for (judged, id) in fresh {
            let Some(merge) = self.followed.get(&judged).and_then(|one| one.merged.commit.parse().ok())
            else {
                continue;
            };
            // A better one is not given up for a worse one.
            let kept = self.run.world.state.baselines.get(&id);
            if kept.is_some_and(|kept| now.saw_less_than(kept)) {
                continue;
            }
            if self.fetched(merge, look)? == Fetched::No {
                look.forget(&judged);
            }
        }
        Ok(())
    }

    /// Whether Flux has fetched a commit: what cannot be told counts as fetched.
    fn fetched(&mut self, merge: Id, look: &Look<'_>) -> Result<Fetched, Error> {
        let world = look.judge().world();
        if world.sees(Kind::GitRepository) != Sight::Seen || world.sees(Kind::Kustomization) != Sight::Seen {
            return Ok(Fetched::Maybe);
        }
        let shown = shown_revisions(world);
        // What was pushed since the branch was looked at is not here yet.
        if shown.iter().any(|revision| !self.run.pass.git.has(revision.id)) {
            self.run.look_at_base()?;
        }
        let git = &self.run.pass.git;
        let own = repository_name(git.remote().shown().as_str());
        let mut known_one = false;
        for Revision { id, url } in shown {
            if git.has(id) {
                known_one = true;
                if git.is_ancestor(merge, id)? {
                    return Ok(Fetched::Maybe);
                }
            } else if url.is_some_and(|url| own.is_none() || repository_name(&url) == own) {
                // A commit of this repository that nobody can place may have come after the merge.
                return Ok(Fetched::Maybe);
            }
        }
        Ok(if known_one { Fetched::No } else { Fetched::Maybe })
    }

    /// Asks the sources of this repository to fetch what was merged, or reverted, and is not fetched yet, where that was
    /// chosen. The same merge asks once, however many passes look at it: the request is its time.
    pub(super) fn ask_to_fetch(&mut self, look: &Look<'_>) -> Result<(), Error> {
        let Some(cluster) = self.settle.cluster.filter(|_| self.run.pass.config.validation.reconcile) else {
            return Ok(());
        };
        let new = self.followed.values().filter(|follow| !follow.introduced).cloned();
        for follow in new.collect::<Vec<_>>() {
            let (Ok(commit), Some(at)) = (follow.merged.commit.parse(), self.merged_at(&follow)) else {
                continue;
            };
            if self.fetched(commit, look)? != Fetched::No || self.run.is_stopped()? {
                continue;
            }
            let own = repository_name(self.run.pass.git.remote().shown().as_str());
            let world = look.judge().world();
            let sources = world.of(Kind::GitRepository).filter(|source| is_of(source, own.as_deref()));
            let asked = at.to_string();
            let sources = sources
                .filter(|source| source.meta.annotations.get(REQUESTED_AT) != Some(&asked))
                .map(|source| (source.meta.namespace.clone(), source.meta.name.clone()));
            for (namespace, name) in sources.collect::<Vec<_>>() {
                let what = format!("reconcile GitRepository/{namespace}/{name}");
                let outcome = self.run.effect(Effect::Ask { what }, |run| {
                    let kind = Kind::GitRepository;
                    let done = remedy::nudge(cluster, kind, &namespace, &name, Nudge::Reconcile, at);
                    Ok(run.pass.wait(done))
                })?;
                if let Some(Err(error)) = outcome {
                    // It fetches at its own interval.
                    tracing::warn!(error = %error, hint = error.hint, "Flux is not asked to fetch");
                }
            }
        }
        Ok(())
    }

    /// Keeps the baseline of what is proposed, so that one from before the merge is there whoever merges it.
    pub(super) fn keep_baselines(&mut self, look: &Look<'_>) -> Result<(), Error> {
        if self.settle.cluster.is_none() || look.blind.is_some() {
            return Ok(());
        }
        let baseline = look.judge().baseline();
        let is_better = |known: &Baseline| {
            let age = known.taken_at.zip(baseline.taken_at).map(|(known, now)| now.duration_since(known));
            let is_old = Baseline { taken_at: None, ..known.clone() }
                != Baseline { taken_at: None, ..baseline.clone() }
                || age.is_none_or(|age| age.as_hours() >= BASELINE_AGE);
            // One that saw more is not given up for one that saw less.
            is_old && !baseline.saw_less_than(known)
        };
        let State { updates, baselines, .. } = &self.run.world.state;
        let proposed = updates.values().filter(|update| update.stage == Stage::Proposed);
        let wanted: Vec<String> = proposed
            .filter(|update| baselines.get(&update.update_id).is_none_or(is_better))
            .map(|update| update.update_id.clone())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        // What was merged while the cluster was listed may be part of what was seen.
        let before = self.run.world.base;
        self.run.look_at_base()?;
        if self.run.world.base != before {
            tracing::info!("the base branch moved while the cluster was looked at: it is no baseline");
            return Ok(());
        }
        self.run.record("Keep how the cluster is before the merge".to_owned(), |state: &mut State| {
            let State { updates, baselines, .. } = state;
            let mut changed = false;
            for id in &wanted {
                let is_open = updates.get(id).is_some_and(|update| update.stage == Stage::Proposed);
                if is_open && baselines.get(id).is_none_or(is_better) {
                    baselines.insert(id.clone(), baseline.clone());
                    changed = true;
                }
            }
            changed.then(|| Transition::new("Keep how the cluster is before the merge"))
        })
    }
}

/// Commits that sources of a repository have fetched last; of every one where its address tells no name.
pub(super) fn fetched_commits(world: &World, repository: Option<&str>) -> BTreeSet<String> {
    let is_ours = |source: &&Object| match &source.detail {
        Detail::Source(source) => {
            repository.is_none() || repository_name(&source.url).as_deref() == repository
        }
        _ => false,
    };
    let revisions = world.of(Kind::GitRepository).filter(is_ours).filter_map(|source| match &source.detail {
        Detail::Source(source) => source.artifact.as_ref().map(|artifact| artifact.revision.as_str()),
        _ => None,
    });
    revisions.filter_map(commit_in).map(|id| id.to_string()).collect()
}

/// Whether a source fetches this repository, as far as its address tells.
fn is_of(source: &Object, own: Option<&str>) -> bool {
    let Detail::Source(detail) = &source.detail else { return false };
    !detail.suspend && own.is_some() && repository_name(&detail.url).as_deref() == own
}

/// Whether Flux has fetched a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetched {
    /// Everything that it shows is from before.
    No,
    /// It has, or nobody can tell.
    Maybe,
}

/// A revision that Flux shows.
struct Revision {
    id: Id,
    /// The repository, where it is a source's own; a Kustomization may follow any.
    url: Option<String>,
}

fn commit_in(revision: &str) -> Option<Id> {
    revision.rsplit([':', '/']).next().and_then(|id| id.parse::<Id>().ok())
}

fn shown_revisions(world: &World) -> Vec<Revision> {
    let id = commit_in;
    let mut shown = Vec::new();
    for object in world.of(Kind::GitRepository).chain(world.of(Kind::Kustomization)) {
        match &object.detail {
            Detail::Source(source) => {
                let revision = source.artifact.as_ref().and_then(|artifact| id(&artifact.revision));
                shown.extend(revision.map(|id| Revision { id, url: Some(source.url.clone()) }));
            }
            Detail::Kustomization(one) => {
                let revisions = [&one.last_attempted, &one.last_applied].into_iter();
                shown.extend(revisions.filter_map(|text| id(text)).map(|id| Revision { id, url: None }));
            }
            _ => {}
        }
    }
    shown
}

/// The last two parts of a repository's address, by which it is told from others whatever the protocol:
/// `ssh://git@host/owner/name.git` and `https://host/owner/name` are one. `None` for a folder, which says nothing.
pub(super) fn repository_name(url: &str) -> Option<String> {
    if !url.contains("://") && !url.contains('@') {
        return None;
    }
    let path = url.trim_end_matches('/').trim_end_matches(".git").trim_end_matches('/');
    let mut parts = path.rsplit(['/', ':']).filter(|part| !part.is_empty());
    let name = parts.next()?;
    Some(format!("{}/{name}", parts.next()?).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://git.example.com/me/Home-Ops", Some("me/home-ops"))]
    #[case("https://git.example.com/me/home-ops.git/", Some("me/home-ops"))]
    #[case("ssh://git@git.example.com:22/me/home-ops.git", Some("me/home-ops"))]
    #[case("git@git.example.com:me/home-ops.git", Some("me/home-ops"))]
    #[case("/srv/git/home-ops.git", None)]
    #[case("", None)]
    fn repository_is_told_by_its_name_whatever_the_protocol(#[case] url: &str, #[case] name: Option<&str>) {
        assert_eq!(repository_name(url).as_deref(), name);
    }
}

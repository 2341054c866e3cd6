//! What became of an update on the branch: reverted, replaced, lost, or under somebody's hands.

use super::super::kind::Kind;
use super::super::line::{Commit, Merged};
use super::super::object::Detail;
use super::super::radius::same_version;
use super::super::readiness::reason;
use super::super::verdict::Reason;
use super::super::world::World;
use super::{Case, short};
use crate::domain::message::Stops;

/// Whose the branch is now.
pub(super) enum Standing {
    /// The update is in, since this commit.
    In(String),
    /// Somebody reverted it with this commit.
    Reverted(String),
    /// Somebody put another version in its place.
    Superseded(Reason),
    /// The branch does not have it any more.
    Lost,
}

impl Case {
    /// Whose the branch is now.
    pub(super) fn standing(&mut self, world: &World) -> Standing {
        let commits = world.commits();
        let Some(ours) = commits.get(&self.update.commit).map(|commit| commit.id.as_str()) else {
            // Its commit was not told: nothing can be its descendant, either.
            return Standing::In(self.update.commit.clone());
        };
        if let Some(head) = commits.head()
            && commits.contains(head, ours) == Some(false)
        {
            return Standing::Lost;
        }
        let mut placed = ours;
        let mut reverted: Option<&str> = None;
        let mut touched: Option<&str> = None;
        for commit in commits.since(ours) {
            match reverted {
                None if reverts(commit, placed, &self.update.id) => reverted = Some(&commit.id),
                Some(revert) if reverts(commit, revert, "") => {
                    reverted = None;
                    placed = &commit.id;
                }
                // It leaves the version as it is.
                _ if Stops::parse(&commit.message).is_some() => {}
                _ if shares(commit, &self.update) => touched = Some(&commit.id),
                _ => {}
            }
        }
        if let Some(revert) = reverted {
            return Standing::Reverted(revert.to_owned());
        }
        // Somebody wrote something else without saying so: the cluster tells what is asked for now.
        let asks = self.asks_for(world);
        self.asked |= asks.iter().any(|version| same_version(version, &self.update.to));
        if let (Some(touched), true) = (touched, self.asked)
            && !asks.is_empty()
        {
            if asks.iter().all(|version| same_version(version, &self.update.from)) {
                return Standing::Reverted(touched.to_owned());
            }
            if asks.iter().all(|version| {
                !same_version(version, &self.update.from) && !same_version(version, &self.update.to)
            }) {
                let text = format!("commit {} put another version in its place", short(touched));
                return Standing::Superseded(reason("superseded", None, text));
            }
        }
        Standing::In(placed.to_owned())
    }

    /// Versions that what is touched asks for now.
    fn asks_for<'w>(&self, world: &'w World) -> Vec<&'w str> {
        let releases = self.radius.releases.iter().filter_map(|(namespace, name)| {
            match &world.get(Kind::HelmRelease, namespace, name)?.detail {
                Detail::HelmRelease(release) if release.chart_ref.is_none() => Some(release.version.as_str()),
                _ => None,
            }
        });
        let plans = self.radius.plans.iter().filter_map(|(namespace, name)| {
            match &world.get(Kind::Plan, namespace, name)?.detail {
                Detail::Plan(plan) => Some(plan.version.as_str()),
                _ => None,
            }
        });
        releases.chain(plans).collect()
    }

    /// A commit after ours in the same files that does not revert it.
    pub(super) fn foreign(&self, world: &World) -> Option<String> {
        let mut stops: Vec<&str> = Vec::new();
        for commit in world.commits().since(&self.update.commit).filter(|commit| shares(commit, &self.update))
        {
            // A rollout that we stopped, and that a person lets go on, is nobody's other work.
            if Stops::parse(&commit.message).is_some() {
                stops.push(&commit.id);
            } else if !reverts(commit, &self.update.commit, &self.update.id)
                && !stops.iter().any(|stop| reverts(commit, stop, ""))
            {
                return Some(commit.id.clone());
            }
        }
        None
    }
}

fn shares(commit: &Commit, update: &Merged) -> bool {
    commit.files.iter().any(|file| update.files.contains(file))
}

/// Whether a commit reverts another: Git's own words, or the observer has looked at the pins.
fn reverts(commit: &Commit, id: &str, update: &str) -> bool {
    const WORDS: &str = "This reverts commit ";
    (!update.is_empty() && commit.reverts.iter().any(|of| of == update))
        || commit.message.lines().filter_map(|line| line.trim().strip_prefix(WORDS)).any(|rest| {
            let hash: &str =
                rest.split(|letter: char| !letter.is_ascii_hexdigit()).next().unwrap_or_default();
            hash.len() >= 7 && id.starts_with(hash)
        })
}

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
        let mut stands = Stands::New;
        let mut touched: Option<&str> = None;
        for commit in commits.since(ours) {
            let is_again = names(&commit.restores, &self.update.id);
            match stands {
                Stands::Old(_) | Stands::Other(_) if is_again => {
                    stands = Stands::New;
                    placed = &commit.id;
                }
                Stands::Old(revert) if reverts(commit, revert, "") => {
                    stands = Stands::New;
                    placed = &commit.id;
                }
                Stands::New | Stands::Other(_) if reverts(commit, placed, &self.update.id) => {
                    stands = Stands::Old(&commit.id);
                }
                Stands::New | Stands::Old(_) if names(&commit.replaces, &self.update.id) => {
                    stands = Stands::Other(&commit.id);
                }
                // It leaves the version as it is.
                _ if is_stop(commit) => {}
                _ if shares(commit, &self.update) => touched = Some(&commit.id),
                _ => {}
            }
        }
        match stands {
            Stands::New => {}
            Stands::Old(revert) => return Standing::Reverted(revert.to_owned()),
            Stands::Other(by) => return Standing::Superseded(replaced(by)),
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
                return Standing::Superseded(replaced(touched));
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
            if is_stop(commit) {
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

/// What stands where the update put its versions, as far as commits tell, and by which.
#[derive(Clone, Copy)]
enum Stands<'a> {
    New,
    Old(&'a str),
    Other(&'a str),
}

fn replaced(by: &str) -> Reason {
    let text = format!("commit {} put another version in its place", short(by));
    reason("superseded", None, text)
}

/// Whether a commit stops a rollout and does nothing else: it says so, or the observer has looked at what it changes.
fn is_stop(commit: &Commit) -> bool {
    !commit.stops.is_empty() || Stops::parse(&commit.message).is_some()
}

fn names(ids: &[String], update: &str) -> bool {
    ids.iter().any(|id| id == update)
}

fn shares(commit: &Commit, update: &Merged) -> bool {
    commit.files.iter().any(|file| update.files.contains(file))
}

/// Whether a commit reverts another: Git's own words, or the observer has looked at the pins.
fn reverts(commit: &Commit, id: &str, update: &str) -> bool {
    const WORDS: &str = "This reverts commit ";
    (!update.is_empty() && names(&commit.reverts, update))
        || commit.message.lines().filter_map(|line| line.trim().strip_prefix(WORDS)).any(|rest| {
            let hash: &str =
                rest.split(|letter: char| !letter.is_ascii_hexdigit()).next().unwrap_or_default();
            hash.len() >= 7 && id.starts_with(hash)
        })
}

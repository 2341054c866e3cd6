//! An update that was reverted: the cluster is watched until it is back, too.

use super::super::readiness::{State, reason};
use super::super::rollout;
use super::super::settings::Settings;
use super::super::verdict::{Action, Verdict};
use super::super::world::World;
use super::{Case, Opinion};

impl Case {
    /// The update was reverted: the cluster is watched until it is back, too.
    pub(super) fn look_back(&mut self, world: &World, settings: &Settings, commit: &str) -> Opinion {
        let from = self.update.from.clone();
        let moved = self.remembered.cannot_go_back();
        if self.update.kind == "k3s" && moved {
            let failed = match self.progress(world, settings, &from) {
                State::Failing(failure) => Some(failure.reason),
                _ => None,
            };
            let contradiction = rollout::contradiction(world, &self.radius)
                .filter(|_| !self.remembered.nodes_moved.is_empty());
            if let Some(why) = contradiction.or(failed) {
                return self.hold(Verdict::Inconclusive, vec![why]);
            }
        }
        let states = self.states(world, settings, commit, &from);
        let mut waits = vec![reason("reverted", None, "it was reverted; the cluster is on its way")];
        let mut failing = Vec::new();
        for (_, state) in states {
            match state {
                State::Applied => {}
                State::Pending(why) | State::Suspended(why) | State::Unseen(why) => waits.push(why),
                State::Failing(failure) => failing.push(failure.reason),
            }
        }
        self.regressed.clear();
        // Nodes and data do not go back by themselves: somebody must see to it until they have.
        let action = if moved { Action::Wait } else { Action::None };
        if self.update.kind == "longhorn" && moved && !failing.is_empty() {
            return self.hold(Verdict::Inconclusive, failing);
        }
        if !failing.is_empty() {
            return Opinion::new(Verdict::Unknown, action, failing);
        }
        if waits.len() > 1 {
            return Opinion::new(Verdict::Unknown, action, waits);
        }
        let text = format!("it was reverted, and {from} is in place again");
        Opinion::new(Verdict::Healthy, Action::None, vec![reason("reverted", None, text)])
    }
}

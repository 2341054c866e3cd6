//! What is to be done about the nodes of a k3s update, beside its verdict.

use super::super::cordon::{LeftCordoned, left_cordoned};
use super::super::settings::Settings;
use super::super::stop::{self, RollingPlan};
use super::super::verdict::Action;
use super::super::world::World;
use super::{Case, Opinion};

impl Case {
    /// Plans that go on to further nodes though nodes failed, or a person has to look first: by this opinion, or
    /// `held` by an earlier one.
    pub(in crate::domain::settle) fn rollout_to_stop(
        &self,
        world: &World,
        opinion: Option<&Opinion>,
        held: bool,
    ) -> Vec<RollingPlan> {
        let is_held = |opinion: &Opinion| {
            opinion.action == Action::Hold && (!opinion.clears_itself || self.rollout_failed)
        };
        let is_held = held || opinion.is_some_and(is_held);
        if self.update.kind != "k3s" || !self.remembered.node_touched || !is_held {
            return Vec::new();
        }
        let plans = stop::plans(world, &self.radius, &self.update.to);
        if plans.iter().any(RollingPlan::goes_on) { plans } else { Vec::new() }
    }

    /// The Plans of a k3s update, as they are now.
    pub(in crate::domain::settle) fn plans(&self, world: &World) -> Vec<RollingPlan> {
        stop::plans(world, &self.radius, &self.update.to)
    }

    /// Nodes that the update has left cordoned.
    pub(in crate::domain::settle) fn left_cordoned(
        &self,
        world: &World,
        settings: &Settings,
    ) -> Vec<LeftCordoned> {
        if self.update.kind != "k3s" {
            return Vec::new();
        }
        let settle = settings.settle(&self.update.component);
        left_cordoned(world, &self.radius, &self.update, &self.remembered, settle)
    }
}

//! Repositories of several shapes, each as its report.

use super::world::{World, reduced};
use crate::support::sandbox::Sandbox;
use crate::support::snapshot::snapshot;

fn scenario(name: &str) -> World {
    World::with(Sandbox::with_repo(name))
}

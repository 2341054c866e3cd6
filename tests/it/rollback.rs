//! Going back because a person says so: the built program on real repositories, and cut off between effects.

mod commands;
mod emergency;
mod killed;
mod meanwhile;
mod restored;
mod unrecorded;
mod unsaid;

use crate::pass::world::World;
use crate::support::sandbox::{CommandOutput, Sandbox};

const LATER: &str = "2026-11-21T12:00:00Z";
const LAST: &str = "2026-11-22T12:00:00Z";
const ID: &str = "helm/apps/podinfo";

/// A repository in which podinfo was updated from 6.5.0 to 6.5.1, and that is verified.
fn updated() -> World {
    let mut world = World::new();
    world.config = "policy: {verification: merged, settle: 1h}\n".to_owned();
    world.run();
    let number = world.pulls().iter().find(|pull| pull.1.contains("podinfo")).unwrap().0;
    world.merge(number);
    world.at("2026-11-21T10:30:00Z");
    world.at(LATER);
    world
}

/// Runs the program on the world's repository.
fn program(world: &World, arguments: &[&str]) -> CommandOutput {
    let dir = world.dir().to_str().unwrap();
    let place = ["-C", dir, "--now", LATER];
    Sandbox::empty().run(["rollback"].iter().chain(arguments).chain(&place).copied())
}

fn podinfo_at(world: &World, rev: &str) -> String {
    let text = world.git.run(["show", &format!("{rev}:podinfo.yaml")]);
    text.lines().find(|line| line.contains(" version: ")).unwrap().trim().to_owned()
}

fn stage_of(world: &World) -> String {
    let files = world.git.run(["ls-tree", "--name-only", "refs/gitops-updater/state", "updates/"]);
    let texts = files.lines().map(|file| world.state_file(file));
    let podinfo = texts.into_iter().find(|text| text.contains(&format!("component: {ID}\n"))).unwrap();
    let stage = podinfo.lines().find_map(|line| line.strip_prefix("stage: ")).unwrap();
    stage.to_owned()
}

fn quarantine(world: &World) -> String {
    world.state_file("quarantine.yaml")
}

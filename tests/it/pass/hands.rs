//! What people do with their own hands to branches and the base branch, and what the next pass makes of it.

use std::collections::BTreeSet;

use gitops_updater::app::forge::Forge as _;
use gitops_updater::domain::message::Action;

use super::world::World;

const LATER: &str = "2026-11-21T12:00:00Z";

fn branch(world: &World) -> String {
    world.branches().into_iter().find(|branch| branch.contains("podinfo")).unwrap()
}

/// The edit gave the same bytes as before, so the branch was left as it was, and could not be merged.
#[test]
fn branch_is_written_anew_when_the_base_branch_changed_the_same_line() {
    let mut world = World::new();
    world.config =
        "policy: {semver_gates: {patch: auto}}\npull_requests: {require_checks: false}\n".to_owned();
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.2"]);
    world.published.0.remove("website");
    world.run();
    let text = std::fs::read_to_string(world.dir().join("podinfo.yaml")).unwrap();
    world.git.write("podinfo.yaml", text.replace("6.5.0", "6.5.1"));
    world.git.commit_all("Go to 6.5.1");
    world.at(LATER);
    let done = world.at("2026-11-21T12:10:00Z");
    assert_eq!(world.pulls()[0].2, "merged", "{:?}", done.waiting);
    let update = done.state.updates.values().next().unwrap();
    assert_eq!(
        (update.from.as_str(), update.to.as_str()),
        ("6.5.1", "6.5.2"),
        "what is left is what was there"
    );
}

#[test]
fn as_many_steps_are_proposed_at_once_as_may_be_open() {
    let mut world = World::new();
    world.config = "limits: {open_pull_requests: 2}\n".to_owned();
    world.run();
    assert_eq!(world.pulls().len(), 2);
}

#[test]
fn box_to_write_a_branch_anew_stays_ticked_while_somebody_works_on_the_branch() {
    let world = World::new();
    let done = world.run();
    let id = done.state.updates.values().find(|update| update.component.contains("podinfo")).unwrap();
    let rebuild = Action::Rebuild { update_id: id.update_id.clone() };
    world.git.run(["checkout", "--quiet", &branch(&world)]);
    world.git.write("mine.yaml", "mine: 1\n");
    world.git.commit_all("Mine");
    let mine = world.git.run(["rev-parse", "HEAD"]);
    world.git.run(["checkout", "--quiet", "main"]);
    tick(&world, &rebuild);
    let done = world.at(LATER);
    let reason = &done.waiting[&id.update_id];
    assert!(reason.contains("not written anew while those commits are on it"), "{reason}");
    assert!(ticked(&world).contains(&rebuild));
    assert_eq!(world.git.run(["rev-parse", &branch(&world)]), mine);
    // When the commits are gone, it is done, and the box is free.
    world.git.run(["branch", "--quiet", "--force", &branch(&world), &format!("{mine}~1")]);
    world.at(LATER);
    assert!(!ticked(&world).contains(&rebuild));
}

/// The run said nothing of the box: neither that there was nothing to do, nor that it came too late.
#[test]
fn box_to_write_a_branch_anew_is_answered_where_there_is_nothing_to_write() {
    let world = World::new();
    let done = world.run();
    let id = done.state.updates.values().find(|update| update.component.contains("podinfo")).unwrap();
    let rebuild = Action::Rebuild { update_id: id.update_id.clone() };
    tick(&world, &rebuild);
    let before = world.git.run(["rev-parse", &branch(&world)]);
    let done = world.at(LATER);
    let said = &done.waiting[&id.update_id];
    assert!(said.contains("is as it would be written today: nothing is changed"), "{said}");
    assert_eq!(world.git.run(["rev-parse", &branch(&world)]), before);
    assert!(!ticked(&world).contains(&rebuild) && done.warnings.is_empty(), "{:?}", done.warnings);
    // Ticked, and merged before anybody looked.
    tick(&world, &rebuild);
    world.merge(id.pull_request.unwrap());
    let done = world.at("2026-11-21T12:10:00Z");
    let said = "the branch of helm/apps/podinfo 6.5.1 is not written anew, as its box asked: it is not open any more";
    assert_eq!(done.warnings, [said]);
    assert!(!ticked(&world).contains(&rebuild));
    assert_eq!(world.at("2026-11-21T12:20:00Z").warnings, [""; 0]);
}

#[test]
fn box_to_write_a_branch_anew_that_has_to_wait_is_told_for_what() {
    let mut world = World::new();
    let done = world.run();
    let id = done.state.updates.values().find(|update| update.component.contains("podinfo")).unwrap();
    let rebuild = Action::Rebuild { update_id: id.update_id.clone() };
    tick(&world, &rebuild);
    // Nobody can say today whether it is wanted.
    world.published.0.remove("podinfo");
    let done = world.at(LATER);
    let said = &done.waiting[&id.update_id];
    assert!(said.ends_with("; its branch is written anew when that is over"), "{said}");
    assert!(ticked(&world).contains(&rebuild));
}

/// Ticks a box, as a person does.
fn tick(world: &World, action: &Action) {
    let (runtime, forge) = (tokio::runtime::Builder::new_current_thread().build().unwrap(), world.forge());
    let dashboard = runtime.block_on(forge.dashboard()).unwrap().unwrap();
    let body = action.tick(&dashboard.body).unwrap();
    runtime.block_on(forge.write_dashboard(Some(&dashboard), "GitOps updates", &body)).unwrap();
}

fn ticked(world: &World) -> BTreeSet<Action> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Action::ticked(&runtime.block_on(world.forge().dashboard()).unwrap().unwrap().body)
}

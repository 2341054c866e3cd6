//! What `backup restore` opened is over when its pull request is, as what `rollback` opened.

use super::{ID, LAST, LATER, podinfo_at, quarantine, stage_of, updated};
use crate::pass::world::World;
use crate::support::sandbox::{CommandOutput, Sandbox};

/// Minutes after [`LATER`]: what is closed is over at once, not when nobody can be at work on it any more.
const SOON: &str = "2026-11-21T12:05:00Z";

fn program(world: &World, arguments: &[&str]) -> CommandOutput {
    let place = [world.dir().to_str().unwrap(), "--now", LATER, "--format", "json"];
    Sandbox::empty().run(["backup"].iter().chain(arguments).chain(&place).copied())
}

/// The backup point that was made before podinfo was updated.
fn point(world: &World) -> String {
    let all = ["for-each-ref", "--format=%(refname:lstrip=3)", "refs/gitops-updater/backups"];
    let points = world.git.run(all);
    let is_of_podinfo = |id: &&str| {
        let told = world
            .git
            .run(["show", &format!("refs/gitops-updater/backups/{id}:.gitops-updater-backup/backup.yaml")]);
        told.contains(&format!("component: {ID}\n"))
    };
    points.lines().find(is_of_podinfo).unwrap().to_owned()
}

/// Asks for it; the number of the pull request and its branch.
fn restore(world: &World, arguments: &[&str]) -> (u64, String) {
    let point = point(world);
    let told = program(world, &[&["restore", &point], arguments].concat()).exited(0).json();
    (told["pull_request"].as_u64().unwrap(), told["branch"].as_str().unwrap().to_owned())
}

/// The version that runs stood in quarantine for good, and the branch was there for ever.
#[test]
fn pull_request_to_restore_that_is_closed_leaves_nothing_behind() {
    let world = updated();
    let (number, branch) = restore(&world, &["--component", ID]);
    let body = world.body(number);
    assert!(body.contains("Close this without merging it, and the next run lets them be"), "{body}");
    world.at(LATER);
    assert!(quarantine(&world).contains("backup point"), "it is still open");
    // Asked again it is found, and nothing is recorded anew.
    let before = quarantine(&world);
    assert_eq!(restore(&world, &["--component", ID]), (number, branch.clone()));
    assert_eq!(quarantine(&world), before);
    world.close(number);
    world.at(SOON);
    assert!(!quarantine(&world).contains("6.5.1"), "{}", quarantine(&world));
    assert!(!world.branches().contains(&branch), "{:?}", world.branches());
    assert_eq!(stage_of(&world), "verified");
    // Who asks again means it.
    let (second, _) = restore(&world, &["--component", ID]);
    assert!(second > number);
    world.at(SOON);
    assert!(quarantine(&world).contains("6.5.1"), "{}", quarantine(&world));
    world.merge(second);
    world.at(LAST);
    assert_eq!(
        (stage_of(&world).as_str(), podinfo_at(&world, "main").as_str()),
        ("reverted", "version: 6.5.0 # kept")
    );
    assert!(!world.branches().iter().any(|branch| branch.contains("restore")), "{:?}", world.branches());
    assert!(quarantine(&world).contains("6.5.1"), "what was left stays away");
}

#[test]
fn branch_of_a_restore_that_leaves_no_version_goes_with_its_pull_request() {
    let world = World::new();
    world.run();
    world.git.write("new.yaml", "new: true\n").commit_all("Add something");
    let (number, branch) = restore(&world, &[]);
    let done = world.at(LATER);
    assert!(done.going_back.iter().any(|one| one.pull_request == number), "{:?}", done.going_back);
    assert!(world.branches().contains(&branch));
    world.close(number);
    world.at(SOON);
    assert!(!world.branches().contains(&branch), "{:?}", world.branches());
}

/// Nothing would change, and the version that runs was in quarantine all the same.
#[test]
fn restore_that_is_refused_records_nothing() {
    let world = World::new();
    world.run();
    let before = world.refs();
    let refused = program(&world, &["restore", &point(&world)]).exited(1);
    assert!(refused.stderr.contains("has it as it was"), "{refused}");
    assert_eq!(world.refs(), before);
}

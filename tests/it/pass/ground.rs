//! A pull request is open, and what had to come first is taken back: whoever reads it is told.

use gitops_updater::app::pass::Done;
use gitops_updater::domain::message::Action;

use super::world::World;
use crate::support::manifests::release;
use crate::support::sandbox::Sandbox;

const PODINFO: &str = "helm/apps/podinfo";
const WEBSITE: &str = "helm/apps/website";
const LATER: &str = "2026-11-21T12:00:00Z";
const AFTER: &str = "2026-11-21T14:00:00Z";
const EVENING: &str = "2026-11-21T18:00:00Z";
const NIGHT: &str = "2026-11-21T20:00:00Z";
const LOST: &str = "`helm/apps/podinfo@6.5.1`, which had to come first, was taken back since";

/// `website` comes after `podinfo`, which is verified; its pull request is open and waits for a person.
fn open() -> World {
    let mut world = World::new();
    world.config = "policy: {verification: merged, settle: 1h}\n".to_owned();
    let website = release("website", "1.0.0", "  dependsOn: [{name: podinfo}]\n");
    world.git.write("website.yaml", website).commit_all("It needs podinfo");
    world.run();
    world.merge(number(&world, "podinfo"));
    world.at("2026-11-21T10:30:00Z");
    world.at(LATER);
    world
}

/// The open pull request of a component.
fn number(world: &World, name: &str) -> u64 {
    let pulls = world.pulls();
    pulls
        .iter()
        .find(|pull| pull.1.contains(name) && pull.2 == "open")
        .unwrap_or_else(|| panic!("{pulls:?}"))
        .0
}

/// What is told of podinfo on the pull request of website: the first line, its row, and the gate `order`.
fn told(world: &World) -> (String, String, String) {
    let body = world.body(number(world, "website"));
    let line = |start: &str| body.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    (body.lines().next().unwrap().to_owned(), line("- `helm/apps/podinfo`"), line("| `order` |"))
}

fn assert_lost(world: &World, word: &str) {
    let (first, row, order) = told(world);
    assert!(first.starts_with("> **Do not merge this now:** `helm/apps/podinfo@6.5.1`"), "{first}");
    assert!(row.contains(&format!(": {word} (#")), "{row}");
    assert!(order.starts_with("| `order` | holds | `helm/apps/podinfo@6.5.1`"), "{order}");
}

fn assert_stands(world: &World) {
    let (first, row, order) = told(world);
    assert!(first.starts_with("Moves website from `1.0.0`"), "{first}");
    assert!(row.contains(": verified (#"), "{row}");
    assert!(order.starts_with("| `order` | passed | `helm/apps/podinfo@"), "{order}");
    assert!(!world.body(number(world, "website")).contains("Do not merge"));
}

fn waits(done: &Done, component: &str) -> String {
    let id = done.state.updates.values().rfind(|update| update.component == component).unwrap();
    done.waiting.get(&id.update_id).cloned().unwrap_or_default()
}

fn revert_podinfo(world: &World) {
    world.git.run(["revert", "--no-edit", "-m1", "main"]);
}

/// Its body said that podinfo was verified, and nobody who merged it was told that it was not any more.
#[test]
fn open_pull_request_says_that_what_had_to_come_first_was_taken_back() {
    let world = open();
    assert_stands(&world);
    let as_it_was = world.body(number(&world, "website"));
    let website = number(&world, "website");
    revert_podinfo(&world);
    let done = world.at(AFTER);
    assert_lost(&world, "reverted");
    let said = waits(&done, WEBSITE);
    assert_eq!(said, format!("pull request #{website} must not be merged now: {LOST}"));
    assert!(world.dashboard().contains(LOST), "{}", world.dashboard());
    let dir = world.dir().to_str().unwrap();
    let status = Sandbox::empty().run(["status", dir, "--now", AFTER]).exited(0);
    let said: String = status.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&format!("do not merge it now: {LOST}")), "{status}");
    let json = Sandbox::empty().run(["status", dir, "--now", AFTER, "--format", "json"]).exited(0).json();
    assert_eq!(json["not_to_be_merged"].as_object().unwrap().len(), 1, "{json}");
    // Told once, nothing more is done.
    assert_eq!(world.at(AFTER).effects, []);

    // Proposed and merged again it is not verified yet.
    world.tick(&Action::Unquarantine { component: PODINFO.to_owned(), version: "6.5.1".to_owned() });
    world.at(AFTER);
    assert_lost(&world, "reverted");
    world.merge(number(&world, "podinfo"));
    world.at("2026-11-21T14:30:00Z");
    assert_lost(&world, "reverted");
    let done = world.at(EVENING);
    assert_eq!(number(&world, "website"), website, "it is the same all the time");
    assert_stands(&world);
    let back = world.body(website);
    let rows = |body: &str| body.lines().filter(|line| !line.contains("podinfo")).count();
    assert_eq!(rows(&back), rows(&as_it_was));
    assert!(waits(&done, WEBSITE).contains("waits for a person to merge it"), "{}", waits(&done, WEBSITE));
    assert!(!world.dashboard().contains(LOST));
}

/// A step of another component that was proposed meanwhile made the campaign forget what had come first.
#[test]
fn what_is_proposed_meanwhile_makes_nothing_forgotten() {
    let mut world = open();
    world.git.write("other.yaml", release("other", "1.0.0", "")).commit_all("Another one");
    revert_of_podinfo(&world);
    world.published.0.insert("other".to_owned(), vec!["1.0.0", "1.1.0"]);
    world.at(AFTER);
    assert!(number(&world, "other") > 0);
    for now in [AFTER, EVENING] {
        world.at(now);
        assert_lost(&world, "reverted");
    }
}

/// Reverts the merge of podinfo, which is not the newest commit.
fn revert_of_podinfo(world: &World) {
    world.git.run(["revert", "--no-edit", "-m1", "main~1"]);
}

/// A newer version in its place makes good for it when it is verified, not when it is proposed.
#[test]
fn newer_version_in_its_place_is_waited_for() {
    let mut world = open();
    revert_podinfo(&world);
    world.at(AFTER);
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.5.2"]);
    world.at(AFTER);
    assert_lost(&world, "reverted");
    world.merge(number(&world, "podinfo"));
    world.at("2026-11-21T14:30:00Z");
    assert_lost(&world, "reverted");
    world.at(EVENING);
    let (first, _, order) = told(&world);
    assert!(first.starts_with("Moves website"), "{first}");
    assert!(order.starts_with("| `order` | passed | `helm/apps/podinfo@6.5.2`"), "{order}");
}

/// A person asks to go back and thinks better of it.
#[test]
fn rollback_that_is_proposed_is_told_and_its_end_too() {
    let world = open();
    let dir = world.dir().to_str().unwrap();
    let asked = Sandbox::empty().run(["rollback", PODINFO, "-C", dir, "--now", AFTER, "--format", "json"]);
    let rollback = asked.exited(0).json()["pull_request"].as_u64().unwrap();
    let done = world.at(AFTER);
    assert_lost(&world, "to be reverted");
    let said = "`helm/apps/podinfo@6.5.1`, which had to come first, is about to be taken back";
    assert!(waits(&done, WEBSITE).contains(said), "{}", waits(&done, WEBSITE));
    world.close(rollback);
    world.at(EVENING);
    assert_stands(&world);
}

#[test]
fn nothing_is_proposed_upon_what_a_person_goes_back_from() {
    let mut world = World::new();
    world.config = "policy: {verification: merged, settle: 1h}\nlimits: {open_pull_requests: 1}\n".to_owned();
    let website = release("website", "1.0.0", "  dependsOn: [{name: podinfo}]\n");
    world.git.write("website.yaml", website).commit_all("It needs podinfo");
    world.run();
    world.merge(number(&world, "podinfo"));
    world.at("2026-11-21T10:30:00Z");
    let dir = world.dir().to_str().unwrap();
    let asked = Sandbox::empty().run(["rollback", PODINFO, "-C", dir, "--now", LATER, "--format", "json"]);
    let rollback = asked.exited(0).json()["pull_request"].as_u64().unwrap();
    let done = world.at(LATER);
    assert!(!world.pulls().iter().any(|pull| pull.1.contains("website")), "{:?}", world.pulls());
    let held = done.plan.held.iter().find(|held| held.component == WEBSITE);
    assert!(
        held.is_some_and(|held| held.reason.contains("is about to be taken back")),
        "{:?}",
        done.plan.held
    );
    world.close(rollback);
    world.at(NIGHT);
    assert!(number(&world, "website") > 0);
}

/// Where the record is lost nobody knows any more what came first, and what the pull request says of it stays.
#[test]
fn warning_outlives_the_record() {
    let mut world = open();
    revert_podinfo(&world);
    world.at(AFTER);
    assert_lost(&world, "reverted");
    for name in ["state", "state-seen"] {
        world.git.run(["update-ref", "-d", &format!("refs/gitops-updater/{name}")]);
    }
    for name in world.git.run(["for-each-ref", "--format=%(refname)", "refs/remotes"]).lines() {
        world.git.run(["update-ref", "-d", name]);
    }
    // What was merged is not verified again by and by.
    world.config = String::new();
    let done = world.at(EVENING);
    assert_lost(&world, "reverted");
    assert!(waits(&done, WEBSITE).contains("must not be merged now"), "{}", waits(&done, WEBSITE));
}

/// What people wrote on it stays, and a branch that a person works on is left alone, but nobody is left in the dark.
#[test]
fn what_people_wrote_stays() {
    let world = open();
    let website = number(&world, "website");
    let body = world.body(website);
    world.set_body(website, &format!("{body}\nMerge on Monday, says Jane.\n"));
    revert_podinfo(&world);
    world.at(AFTER);
    assert_lost(&world, "reverted");
    assert!(world.body(website).ends_with("\nMerge on Monday, says Jane.\n"));

    let world = open();
    let branch = world.branches().into_iter().find(|branch| branch.contains("website")).unwrap();
    world.git.run(["checkout", "--quiet", &branch]);
    world.git.write("mine.yaml", "mine: true\n").commit_all("Mine");
    world.git.run(["checkout", "--quiet", "main"]);
    revert_podinfo(&world);
    let done = world.at(AFTER);
    let said = waits(&done, WEBSITE);
    assert!(said.contains("left alone; do not merge it now: ") && said.ends_with(LOST), "{said}");
    assert!(world.dashboard().contains(LOST));
}

//! Going back by plain Git, without a word to the program: it is seen, and what is no going back is not taken for it.

use gitops_updater::app::forge::{Forge as _, StatusState};

use super::{LATER, quarantine, stage_of, updated};
use crate::pass::world::World;
use crate::support::manifests::release;
use crate::support::sandbox::Sandbox;

const AFTER: &str = "2026-11-21T14:00:00Z";
const IMAGE: &str = "image/ghcr.io/acme/app";

fn merge(world: &World, name: &str) {
    let number = world.pulls().iter().find(|pull| pull.1.contains(name) && pull.2 == "open").unwrap().0;
    world.merge(number);
}

fn is_open(world: &World, name: &str) -> bool {
    world.pulls().iter().any(|pull| pull.1.contains(name) && pull.2 == "open")
}

/// Of two versions that were left only the newer one went into quarantine, and the same pass proposed the other.
#[test]
fn whoever_goes_back_over_two_updates_leaves_both() {
    let mut world = updated();
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.6.0"]);
    world.at(LATER);
    merge(&world, "podinfo");
    world.at("2026-11-21T12:30:00Z");
    world.at(AFTER);
    world.git.run(["revert", "--no-edit", "-m1", "main"]);
    world.git.run(["revert", "--no-edit", "-m1", "main~2"]);
    assert_eq!(super::podinfo_at(&world, "main"), "version: 6.5.0 # kept");
    for _ in 0..2 {
        world.at(AFTER);
        let left = quarantine(&world);
        assert!(left.contains("6.5.1") && left.contains("6.6.0"), "{left}");
        assert!(!is_open(&world, "podinfo"), "{:?}", world.pulls());
    }
}

#[test]
fn whoever_goes_back_one_of_two_updates_keeps_the_other() {
    let mut world = updated();
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.6.0"]);
    world.at(LATER);
    merge(&world, "podinfo");
    world.at("2026-11-21T12:30:00Z");
    world.at(AFTER);
    world.git.run(["revert", "--no-edit", "-m1", "main"]);
    world.at(AFTER);
    let left = quarantine(&world);
    assert!(left.contains("6.6.0") && !left.contains("version: 6.5.1"), "{left}");
}

/// The plain name of an image is that of the first of the files that have it in another version.
#[test]
fn another_place_with_an_older_version_is_no_going_back() {
    let mut world = World::new();
    world.config =
        "policy: {verification: merged, settle: 1h}\nlimits: {per_hour: 20, open_pull_requests: 20}\n"
            .to_owned();
    let deployment = |name: &str, version: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  template:\n    spec:\n      \
             containers:\n        - name: {name}\n          image: ghcr.io/acme/app:{version}\n"
        )
    };
    world.published.0.insert("acme/app".to_owned(), vec!["1.0.0", "1.0.1"]);
    world.git.write("b.yaml", deployment("b", "1.0.0")).commit_all("Run it");
    world.run();
    merge(&world, "acme-app");
    world.at("2026-11-21T10:30:00Z");
    world.at(LATER);
    let stage = || {
        let files = world.git.run(["ls-tree", "--name-only", "refs/gitops-updater/state", "updates/"]);
        let texts = files.lines().map(|file| world.state_file(file));
        let update = texts.into_iter().find(|text| text.contains(&format!("component: {IMAGE}\n"))).unwrap();
        update.lines().find_map(|line| line.strip_prefix("stage: ")).unwrap().to_owned()
    };
    assert_eq!(stage(), "verified");
    world.git.write("a.yaml", deployment("a", "1.0.0")).commit_all("Run another one");
    world.at(AFTER);
    assert_eq!(stage(), "verified");
    // It is brought up to the same version.
    assert!(is_open(&world, "acme-app"), "{:?}", world.pulls());
}

#[test]
fn older_version_in_place_of_the_verified_one_is_a_going_back() {
    let world = updated();
    let text = world.git.run(["show", "main:podinfo.yaml"]).replace("6.5.1", "6.4.0");
    world.git.write("podinfo.yaml", text + "\n").commit_all("Go further back");
    world.at(AFTER);
    assert_eq!(stage_of(&world), "reverted");
    assert!(
        quarantine(&world).contains("`main` has 6.4.0 again: a person went back"),
        "{}",
        quarantine(&world)
    );
}

/// Nothing of the line that the update wrote is there to be compared, as in files that programs generate.
#[test]
fn file_that_is_written_anew_with_the_older_version_is_a_going_back() {
    let world = updated();
    let text = world.git.run(["show", "main:podinfo.yaml"]);
    let anew = text.replace("version: 6.5.1 # kept", "'version': '6.5.0'");
    assert_ne!(anew, text);
    world.git.write("podinfo.yaml", anew + "\n").commit_all("Write it anew");
    world.at(AFTER);
    assert_eq!(stage_of(&world), "reverted");
    assert!(quarantine(&world).contains("6.5.1"), "{}", quarantine(&world));
}

/// What was built upon it was merged by the same pass that saw it go.
#[test]
fn what_builds_on_a_version_that_was_taken_back_is_not_merged() {
    let mut world = World::new();
    world.config = "policy: {verification: merged, settle: 1h, semver_gates: {minor: auto}}\n\
                    pull_requests: {require_checks: false}\n"
        .to_owned();
    let website = release("website", "1.0.0", "  dependsOn: [{name: podinfo}]\n");
    world.git.write("website.yaml", website).commit_all("It needs podinfo");
    world.run();
    merge(&world, "podinfo");
    world.at("2026-11-21T10:30:00Z");
    world.at(LATER);
    assert!(is_open(&world, "website"), "{:?}", world.pulls());
    world.git.run(["revert", "--no-edit", "-m1", "main"]);
    let done = world.at(AFTER);
    assert_eq!(stage_of(&world), "reverted");
    assert!(is_open(&world, "website"), "{:?}", world.pulls());
    let said = "`helm/apps/podinfo@6.5.1`, which had to come first, was taken back since";
    assert!(done.waiting.values().any(|waits| waits.contains(said)), "{:?}", done.waiting);
}

/// The commit status and the report said "verified" until the next pass, and nobody said who had gone back.
#[test]
fn going_back_is_told_by_the_pass_that_sees_it_with_who_did_it() {
    let world = updated();
    let merge = world.git.run(["log", "-1", "--format=%H", "--merges", "main"]);
    world.git.run([
        "-c",
        "user.name=Mary",
        "-c",
        "user.email=mary@example.com",
        "revert",
        "--no-edit",
        "-m1",
        "main",
    ]);
    let author = world.git.run(["log", "-1", "--format=%an", "main"]);
    let short = world.git.run(["rev-parse", "--short=10", "main"]);
    world.at(AFTER);
    let who = format!("`main` has 6.5.0 again: a person went back in {short} by {author}");
    assert!(quarantine(&world).contains(&who), "{}", quarantine(&world));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let statuses = runtime.block_on(world.forge().statuses(&merge)).unwrap();
    let said: Vec<(StatusState, &str)> =
        statuses.iter().map(|status| (status.state, status.description.as_str())).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].0 == StatusState::Failure && said[0].1.starts_with(&format!("reverted: {who}")),
        "{said:?}"
    );
    let sandbox = Sandbox::empty();
    let report = sandbox.run(["report", world.dir().to_str().unwrap()]).exited(0);
    let words = report.said();
    assert!(words.contains(&format!("reverted since {AFTER}")), "{report}");
    assert!(words.contains(&who) && words.contains("had been verified: policy"), "{report}");
}

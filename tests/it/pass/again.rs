//! What was merged by hand, taken back and wanted again gets a pull request of its own.

use gitops_updater::domain::message::{Action, Marker};
use gitops_updater::domain::state::Stage;
use rstest::rstest;

use super::world::World;

const PODINFO: &str = "helm/apps/podinfo";

/// The number of what had been merged was taken for the new pull request, with the old text and id.
#[rstest]
#[case::each_thing_was_seen(true)]
#[case::all_was_done_before_any_run_looked(false)]
fn version_that_was_reverted_and_is_wanted_again_gets_a_new_pull_request(#[case] is_seen: bool) {
    let mut world = World::new();
    world.config = "policy: {verification: merged, settle: 1h}\n".to_owned();
    world.published.0.remove("website");
    world.run();
    let branch = world.branches().into_iter().find(|branch| branch.contains("podinfo")).unwrap();
    world.git.run(["merge", "--no-ff", "--quiet", "-m", "By hand", &branch]);
    let merged = world.git.head();
    if is_seen {
        world.at("2026-11-21T10:30:00Z");
        world.at("2026-11-21T12:00:00Z");
    }
    world.git.run(["revert", "--no-edit", "-m1", "main"]);
    for now in ["2026-11-21T12:30:00Z", "2026-11-23T12:00:00Z", "2026-11-23T12:10:00Z"] {
        world.at(now);
    }
    assert!(world.state_file("quarantine.yaml").contains("6.5.1"));
    world.tick(&Action::Unquarantine { component: PODINFO.to_owned(), version: "6.5.1".to_owned() });
    let mut done = world.at("2026-11-23T13:00:00Z");
    for _ in 0..2 {
        let states: Vec<&str> = world.pulls().into_iter().map(|pull| pull.2).collect();
        let [first, .., last] = states.as_slice() else { panic!("{states:?}") };
        assert_eq!((*first, *last), ("merged", "open"), "{states:?}");
        let newest = states.len() as u64;
        assert_eq!(done.found, [], "nobody else was at work");
        let update = done.state.updates.values().find(|update| update.stage == Stage::Proposed).unwrap();
        let marker = Marker::parse(&world.body(newest)).unwrap();
        assert_eq!((update.pull_request, &marker.update_id), (Some(newest), &update.update_id));
        let earlier = done.state.updates.values().find(|update| update.stage == Stage::Reverted).unwrap();
        assert_eq!((earlier.pull_request, earlier.merge_commit.as_ref()), (Some(1), Some(&merged)));
        assert_eq!(Marker::parse(&world.body(1)).unwrap().update_id, earlier.update_id);
        done = world.at("2026-11-23T13:10:00Z");
    }
}

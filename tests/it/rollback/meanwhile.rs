//! A person asks again while a pass is under way that has seen the earlier pull request closed.

use gitops_updater::app::pass::Done;
use rstest::rstest;

use super::killed::{BRANCH, go_at};
use super::{ID, LAST, LATER, updated};
use crate::pass::world::{Recording, World};

/// Shortly before [`LAST`].
const JUST_BEFORE: &str = "2026-11-22T11:55:00Z";
const MUCH_LATER: &str = "2026-11-22T18:00:00Z";

/// Asks to go back; cut off before the pull request is opened, or not.
fn ask(world: &World, now: &str, is_cut_off: bool) {
    // What is recorded comes first; the branch is there.
    let stop_before = is_cut_off.then_some(1);
    let asked = go_at(world, false, &Recording { stop_before, ..Recording::default() }, now);
    assert_eq!(asked.is_err(), is_cut_off, "{asked:?}");
}

/// A world in which a pull request to go back was closed, and its branch is still there.
fn closed() -> World {
    let world = updated();
    ask(&world, LATER, false);
    world.close(rollbacks(&world)[0].0);
    world
}

fn rollbacks(world: &World) -> Vec<(u64, &'static str)> {
    let pulls = world.pulls().into_iter().filter(|pull| pull.1 == BRANCH);
    pulls.map(|(number, _, state)| (number, state)).collect()
}

/// Whether the branch is there, and the version that is left is in quarantine.
fn kept(world: &World, done: &Done) -> (bool, bool) {
    let is_quarantined =
        done.state.quarantine.iter().any(|one| one.component == ID && one.version == "6.5.1");
    (world.branches().iter().any(|branch| branch == BRANCH), is_quarantined)
}

/// GitHub closes a pull request whose branch is deleted: the next pass took that for what a person had done.
#[rstest]
#[case::pull_request_is_open_again(false)]
#[case::pull_request_is_about_to_be_opened(true)]
fn wish_that_is_renewed_while_a_pass_looks_around_stays(#[case] is_cut_off: bool) {
    let world = closed();
    let done = world.pass_while(&Recording::default(), LAST, || ask(&world, LAST, is_cut_off)).unwrap();
    assert!(done.failures.is_empty(), "{:?}", done.failures);
    assert_eq!(kept(&world, &done), (true, true));
    ask(&world, LAST, false);
    for now in [LAST, MUCH_LATER] {
        assert_eq!(kept(&world, &world.at(now)), (true, true), "{now}");
        let states: Vec<_> = rollbacks(&world).into_iter().map(|pull| pull.1).collect();
        assert_eq!(states, ["closed", "open"], "{now}");
    }
}

#[test]
fn pass_that_comes_between_a_renewed_wish_and_its_pull_request_leaves_both() {
    let world = closed();
    ask(&world, JUST_BEFORE, true);
    assert_eq!(kept(&world, &world.at(LAST)), (true, true));
    ask(&world, LAST, false);
    assert_eq!(kept(&world, &world.at(MUCH_LATER)), (true, true));
}

#[rstest]
#[case::closed(false)]
#[case::asked_again_and_never_opened(true)]
fn wish_that_is_over_leaves_nothing(#[case] is_renewed: bool) {
    let world = closed();
    if is_renewed {
        ask(&world, JUST_BEFORE, true);
    }
    assert_eq!(kept(&world, &world.at(MUCH_LATER)), (false, false));
    assert!(world.at(MUCH_LATER).effects.is_empty());
}

/// Its version stood in quarantine for half an hour more, as if the command might still be under way.
#[test]
fn wish_whose_own_pull_request_was_closed_is_over_for_the_next_pass() {
    let world = updated();
    ask(&world, JUST_BEFORE, false);
    assert_eq!(kept(&world, &world.at(JUST_BEFORE)), (true, true), "it is open");
    world.close(rollbacks(&world)[0].0);
    assert_eq!(kept(&world, &world.at(LAST)), (false, false));
}

/// An open pull request is the wish: asked again, it is found, and nothing is recorded anew.
#[test]
fn wish_whose_pull_request_is_open_is_not_renewed() {
    let world = updated();
    ask(&world, LATER, false);
    let before = super::quarantine(&world);
    let asked = go_at(&world, false, &Recording::default(), LAST).unwrap();
    assert!(asked.effects.is_empty(), "{:?}", asked.effects);
    assert_eq!(super::quarantine(&world), before);
}

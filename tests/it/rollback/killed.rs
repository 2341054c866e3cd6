//! Cut off between any two effects and started again: the same end, nothing doubled.

use std::sync::Arc;

use gitops_updater::app::rollback::{Done, Error, Left, Plan, Rollback};
use gitops_updater::clock::AnyClock;
use gitops_updater::config::PullRequests;
use gitops_updater::domain::message::{asked_comment, left_comment};
use gitops_updater::forge::local::LocalForge;
use gitops_updater::repo::write::{Landed, Merged, Person, Remote, WriteRepo};
use gitops_updater::state::StateStore;

use super::{ID, LATER, stage_of, updated};
use crate::pass::world::{Recording, World};

pub(super) const BRANCH: &str = "gitops-updater/rollback-podinfo-00000000";

/// Goes back from the update that the world has, as the command does it.
fn go(world: &World, push: bool, witness: &Recording) -> Result<Done, Error> {
    go_at(world, push, witness, LATER)
}

/// The same, when a person does it at another time.
pub(super) fn go_at(world: &World, push: bool, witness: &Recording, now: &str) -> Result<Done, Error> {
    let git = Arc::new(WriteRepo::open(world.dir(), Remote::own()).unwrap());
    let base = git.refs().unwrap().branch("main").unwrap();
    let first = git.commit_info(base).unwrap().parents[0];
    let forge = LocalForge::new(git.clone(), Person::bot(), Arc::new(AnyClock::Fixed(now.parse().unwrap())));
    let store = StateStore::new(git.clone(), Person::bot());
    let state = store.load().unwrap().state;
    let update = state.updates.values().find(|update| update.component == ID).unwrap();
    let is_back = super::podinfo_at(world, "main").contains("6.5.0");
    let tree = match git.without(Landed { before: first, after: base }, base).unwrap() {
        Merged::Tree(tree) => tree,
        Merged::Conflicts(_) => panic!("nothing else changed"),
    };
    let plan = Plan {
        title: "Roll back".to_owned(),
        body: format!(
            "Goes back.\n\n{}\n{}",
            asked_comment(now.parse().unwrap()),
            left_comment([(ID, "6.5.1")])
        ),
        message: "Roll back\n".to_owned(),
        branch: BRANCH.to_owned(),
        base_branch: "main".to_owned(),
        base,
        tree,
        left: vec![Left {
            component: ID.to_owned(),
            version: "6.5.1".to_owned(),
            update_id: Some(update.update_id.clone()),
        }],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rollback = Rollback {
        forge: &forge,
        git,
        store,
        seen: &state,
        pull_requests: &PullRequests::default(),
        author: Person::bot(),
        by: "Jane".to_owned(),
        reason: None,
        witness,
        runtime: &runtime,
        now: now.parse().unwrap(),
    };
    match (push, is_back) {
        (true, true) => rollback.record_pushed(&plan),
        (true, false) => rollback.push(&plan),
        (false, _) => rollback.propose(&plan),
    }
}

fn stopped(stop: usize, after: bool) -> Recording {
    match after {
        false => Recording { stop_before: Some(stop), ..Recording::default() },
        true => Recording { stop_after: Some(stop), ..Recording::default() },
    }
}

#[test]
fn proposed_rollback_that_is_cut_off_ends_as_a_clean_one() {
    let clean = updated();
    let recording = Recording::default();
    go(&clean, false, &recording).unwrap();
    let (count, expected) = (recording.count(), clean.pulls());
    assert_eq!(count, 3, "quarantine, branch, pull request");
    for stop in 0..count {
        for after in [false, true] {
            let world = updated();
            assert!(matches!(go(&world, false, &stopped(stop, after)), Err(Error::Stopped(_))));
            go(&world, false, &Recording::default()).unwrap();
            assert_eq!(world.pulls(), expected, "stopped at {stop}, after: {after}");
            assert_eq!(super::quarantine(&world), super::quarantine(&clean));
        }
    }
}

#[test]
fn pushed_rollback_that_is_cut_off_ends_as_a_clean_one() {
    let clean = updated();
    let recording = Recording::default();
    go(&clean, true, &recording).unwrap();
    let count = recording.count();
    assert_eq!(count, 3, "quarantine, push, record");
    for stop in 0..count {
        for after in [false, true] {
            let world = updated();
            assert!(matches!(go(&world, true, &stopped(stop, after)), Err(Error::Stopped(_))));
            go(&world, true, &Recording::default()).unwrap();
            assert_eq!(
                world.git.run(["rev-parse", "main"]),
                clean.git.run(["rev-parse", "main"]),
                "one commit alone"
            );
            assert_eq!(stage_of(&world), "reverted", "stopped at {stop}, after: {after}");
        }
    }
}

//! Killed before or after any write, run again, run twice at once: the same end as one undisturbed pass.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::support::fake_forge::{Moment, PullState, Wish};
use crate::support::sandbox::copy;

use super::world::{LATER, NOW, World};

/// Runs the program and kills it at a write, counted from 0: a request that changes something, or a push.
fn kill(world: &World, arguments: &[&str], at: usize, when: Moment) {
    let pid: Arc<OnceLock<u32>> = Arc::default();
    let (known, writes) = (pid.clone(), AtomicUsize::new(0));
    world.forge.on_write(move |moment, _| {
        let number = match moment {
            Moment::Before => writes.fetch_add(1, Ordering::SeqCst),
            Moment::After => writes.load(Ordering::SeqCst) - 1,
        };
        if (number, moment) != (at, when) {
            return Wish::GoOn;
        }
        let pid = known.wait().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        Wish::Break
    });
    let mut child = world.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    pid.set(child.id()).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "write {at} was not reached");
    world.forge.on_write(|_, _| Wish::GoOn);
}

/// Kills a pass over what `prepare` leaves at each of its writes, and lets it run again.
fn ends_as_a_clean_one(prepare: impl Fn(&mut World) + Sync, now: &str, at_least: usize) {
    command_ends_as_a_clean_one(prepare, &["run", "--now", now], at_least);
}

/// The same for any command.
fn command_ends_as_a_clean_one(prepare: impl Fn(&mut World) + Sync, arguments: &[&str], at_least: usize) {
    let begin = || {
        let mut world = World::new();
        prepare(&mut world);
        world.forge.writes();
        world
    };
    let (expected, writes) = {
        let world = begin();
        drop(world.run(arguments).exited(0));
        (world.end(), world.forge.writes())
    };
    assert!(writes.len() >= at_least, "{writes:#?}");
    // Before a write is as after the one before it.
    let moments: Vec<_> =
        [(0, Moment::Before)].into_iter().chain((0..writes.len()).map(|at| (at, Moment::After))).collect();
    let (begin, expected, writes) = (&begin, &expected, &writes);
    std::thread::scope(|scope| {
        for part in moments.chunks(moments.len().div_ceil(2)) {
            scope.spawn(move || {
                for (at, when) in part {
                    let world = begin();
                    kill(&world, arguments, *at, *when);
                    drop(world.run(arguments).exited(0));
                    let end = world.end();
                    for (found, expected) in end.iter().zip(expected) {
                        assert_eq!(found, expected, "killed {when:?} `{}`, write {at}", writes[*at]);
                    }
                    assert_eq!(end.len(), expected.len(), "killed {when:?} `{}`, write {at}", writes[*at]);
                }
            });
        }
    });
}

#[test]
fn proposal_that_is_killed_ends_as_a_clean_one() {
    ends_as_a_clean_one(|_| {}, NOW, 9);
}

/// GitHub is the author then: a commit whose note was lost was taken for somebody else's, for ever.
#[test]
fn proposal_by_commits_of_github_that_is_killed_ends_as_a_clean_one() {
    ends_as_a_clean_one(|world| world.configure("commits: {through_api: true}\n"), NOW, 9);
}

#[test]
fn merge_and_next_proposal_that_are_killed_end_as_a_clean_pass() {
    let prepare = |world: &mut World| {
        world.pass(NOW);
        world.merge("podinfo", "squash");
        world.pass(NOW);
        world.tick(&["gitops-updater:accept"]);
    };
    ends_as_a_clean_one(prepare, LATER, 10);
}

#[test]
fn replacement_that_is_killed_ends_as_a_clean_one() {
    let prepare = |world: &mut World| {
        world.pass(NOW);
        world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    };
    ends_as_a_clean_one(prepare, LATER, 11);
}

/// Nobody has recorded the merge when the person asks.
#[test]
fn rollback_of_what_was_merged_just_now_that_is_killed_ends_as_a_clean_one() {
    let prepare = |world: &mut World| {
        world.pass(NOW);
        world.merge("podinfo", "squash");
    };
    command_ends_as_a_clean_one(prepare, &["rollback", "helm/apps/podinfo", "--now", LATER], 4);
}

/// Whoever merges between the request that opens and the note of its number must not be overlooked.
#[test]
fn merge_before_the_pull_request_was_noted_is_seen() {
    let world = World::new();
    world.pass(NOW);
    world.git().run(["update-ref", "refs/gitops-updater/state", "refs/gitops-updater/state~1"]);
    let seen = world.git().run(["rev-parse", "refs/gitops-updater/state"]);
    world.git().run(["update-ref", "refs/gitops-updater/state-seen", &seen]);
    let all = world.sandbox.git().run(["for-each-ref", "--format=%(refname)"]);
    for name in all.lines().filter(|name| !name.starts_with("refs/heads/")) {
        world.sandbox.git().run(["update-ref", "-d", name]);
    }
    world.merge("podinfo", "merge");
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
    assert_eq!(world.pulls().len(), 1, "nothing goes on before it is verified");
}

#[test]
fn two_runs_at_once_on_two_machines_make_everything_once() {
    let world = World::new();
    let other = world.sandbox.work().with_file_name("work2");
    copy(world.sandbox.work(), &other);
    let start = |path: &str| {
        let mut command = world.command(&["run", path, "--now", NOW]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut both = [start("."), start(other.to_str().unwrap())];
    for child in &mut both {
        // The slower one may find a ref moved under it; it says so and leaves the rest to the next pass.
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
    }
    world.pass(NOW);
    let pulls = world.pulls();
    assert_eq!(pulls.iter().filter(|pull| pull.2 == PullState::Open).count(), 1, "{pulls:?}");
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    let dashboards =
        world.forge.github().issues.values().filter(|issue| issue.pull.is_none() && issue.open).count();
    assert_eq!(dashboards, 1);
    world.quiet(NOW);
}

//! Killed between any two effects, run again, run twice at once: the same end as one clean pass.

use gitops_updater::app::effects::Effect;

use super::world::{NOW, Recording, World};

/// The refs after one clean pass, and how many effects it had.
fn clean(world: &World) -> (Vec<String>, usize) {
    let recording = Recording::default();
    world.pass(&recording, NOW).unwrap();
    (world.refs(), recording.count())
}

#[test]
fn pass_that_is_stopped_before_any_effect_ends_as_a_clean_one() {
    let (expected, count) = clean(&World::new());
    assert!(count >= 9, "two proposals of four effects each, and the dashboard: {count}");
    for stop in 0..count {
        let world = World::new();
        let stopped = Recording { stop_before: Some(stop), ..Recording::default() };
        assert!(world.pass(&stopped, NOW).is_err(), "effect {stop} was not stopped");
        world.run();
        assert_eq!(world.refs(), expected, "stopped before effect {stop}");
    }
}

#[test]
fn pass_that_is_stopped_after_any_effect_ends_as_a_clean_one() {
    let (expected, count) = clean(&World::new());
    for stop in 0..count {
        let world = World::new();
        let stopped = Recording { stop_after: Some(stop), ..Recording::default() };
        assert!(world.pass(&stopped, NOW).is_err(), "effect {stop} was not stopped");
        world.run();
        assert_eq!(world.refs(), expected, "stopped after effect {stop}");
    }
}

#[test]
fn pass_that_is_stopped_again_and_again_ends_as_a_clean_one() {
    let (expected, count) = clean(&World::new());
    let world = World::new();
    for _ in 0..count {
        // Each gets one effect further than the one before.
        let stopped = Recording { stop_after: Some(0), ..Recording::default() };
        let _ended = world.pass(&stopped, NOW).is_ok();
    }
    world.run();
    assert_eq!(world.refs(), expected);
}

#[test]
fn second_pass_does_nothing() {
    let world = World::new();
    world.run();
    let before = world.refs();
    let done = world.run();
    assert_eq!(done.effects, []);
    assert_eq!(world.refs(), before);
}

#[test]
fn two_passes_at_once_make_each_pull_request_once() {
    let world = World::new();
    std::thread::scope(|scope| {
        let passes = [(); 2].map(|()| scope.spawn(|| world.pass(&Recording::default(), NOW).map(drop)));
        for pass in passes {
            // The slower one may find a ref moved under it; it says so and leaves the rest to the next pass.
            let _outcome = pass.join().unwrap();
        }
    });
    world.run();
    world.run();
    let pulls = world.pulls();
    let open: Vec<&str> = pulls.iter().filter(|pull| pull.2 == "open").map(|pull| pull.1.as_str()).collect();
    assert_eq!(open.len(), 2, "{pulls:?}");
    assert_ne!(open[0], open[1]);
    assert_eq!(world.branches().len(), 2);
    let updates = world.git.run(["ls-tree", "--name-only", "refs/gitops-updater/state", "updates/"]);
    assert_eq!(updates.lines().count(), 2, "{updates}");
}

/// Both runs listed all of it as their own, though each was done once.
#[test]
fn what_another_run_did_meanwhile_is_told_as_found() {
    let (_, count) = clean(&World::new());
    let world = World::new();
    let mut other = None;
    let done = world.pass_while(&Recording::default(), NOW, || other = Some(world.run())).unwrap();
    let other = other.unwrap();
    assert_eq!((other.effects.len(), other.found.len()), (count, 0), "{other:#?}");
    assert_eq!(done.effects, [], "{done:#?}");
    let told = |effects: &[Effect]| effects.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (found, all) = (told(&done.found), told(&other.effects));
    assert!(found.iter().all(|effect| all.contains(effect)), "{found:#?} of {all:#?}");
    for what in
        ["record: Propose", "make backup point", "push ", "open a pull request", "write the dashboard"]
    {
        assert!(found.iter().any(|effect| effect.starts_with(what)), "{what}: {found:#?}");
    }
}

#[test]
fn dry_run_tells_everything_and_does_nothing() {
    let world = World::new();
    let before = world.refs();
    let objects = world.git.run(["count-objects", "-v"]);
    let dry = Recording { skip: true, ..Recording::default() };
    let done = world.pass(&dry, NOW).unwrap();
    assert_eq!(world.refs(), before);
    assert_eq!(world.git.run(["count-objects", "-v"]), objects, "not even an object was written");
    let told: Vec<String> = done.effects.iter().map(ToString::to_string).collect();
    let (_, count) = clean(&World::new());
    assert_eq!(told.len(), count, "{told:#?}");
}

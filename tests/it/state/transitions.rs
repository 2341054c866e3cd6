//! Loading the state and moving it.

use std::collections::BTreeSet;
use std::sync::Barrier;

use gitops_updater::domain::state::{Maintenance, Stage};
use gitops_updater::repo::write::Person;
use gitops_updater::state::{Error, History, SEEN_REF, STATE_REF, StateStore, Transition};

use super::{World, propose, time, world};
use crate::support::snapshot::snapshot;

/// Replaces the newest tree of the state by hand.
fn tamper(world: &World, path: &str, text: &str) {
    let blob = world.bare.run_with(["hash-object", "-w", "--stdin"], text.as_bytes());
    let index = world.folder.path().join("index");
    let script = format!(
        "GIT_INDEX_FILE={index} git read-tree {STATE_REF} && \
         GIT_INDEX_FILE={index} git update-index --add --cacheinfo 100644,{blob},{path} && \
         git update-ref {STATE_REF} $(git commit-tree -m Tampered -p {STATE_REF} $(GIT_INDEX_FILE={index} git write-tree))",
        index = index.display()
    );
    world.bare.run(["-c", &format!("alias.x=!sh -ec '{script}'"), "x"]);
}

#[test]
fn history_of_the_state_is_the_audit_trail() {
    let world = world();
    let store = world.store("one");
    assert_eq!(store.load().unwrap().tip, None);
    store.change(time(), propose("longhorn")).unwrap();
    store
        .change(time(), |state| {
            let update = state.updates.values_mut().next()?;
            update.stage = Stage::Merged;
            update.status = Stage::Merged.status();
            update.reason = Some("waiting for the cluster".to_owned());
            Some(Transition::of(update))
        })
        .unwrap();
    snapshot!(world.bare.run(["log", "--format=%an: %B", "--stat", STATE_REF]), @r"
    gitops-updater: Record the merge of longhorn 1.8.2 -> 1.9.1

    waiting for the cluster

    Update: update-20261121-100000
    Campaign: campaign-20261121-100000
    Policy-Applied: policy.semver_gates.minor
    Pull-Request: 3


     updates/update-20261121-100000.yaml | 4 ++--
     1 file changed, 2 insertions(+), 2 deletions(-)
    gitops-updater: Propose longhorn 1.8.2 -> 1.9.1

    Update: update-20261121-100000
    Campaign: campaign-20261121-100000
    Policy-Applied: policy.semver_gates.minor
    Pull-Request: 3


     schema                              |  1 +
     updates/update-20261121-100000.yaml | 26 ++++++++++++++++++++++++++
     2 files changed, 27 insertions(+)
    ");
    snapshot!(world.bare.run(["show", &format!("{STATE_REF}:updates/update-20261121-100000.yaml")]), @r"
    update_id: update-20261121-100000
    status: in_progress
    stage: merged
    started_at: 2026-11-21T10:00:00Z
    changed_at: 2026-11-21T10:00:00Z
    campaign: campaign-20261121-100000
    component: longhorn
    from: 1.8.2
    to: 1.9.1
    update_type: minor
    gate: review
    policy_applied: policy.semver_gates.minor
    revert:
      safety: safe
      why: a chart without data
    backup_id: null
    branch: gitops-updater/a
    base: null
    head: null
    pull_request: 3
    merge_commit: null
    merged_at: null
    current_phase: null
    completed_phases:
    - backup_creation
    reason: waiting for the cluster
    ");
    world.bare.run(["fsck", "--strict"]);
    // Another clone reads the same, and what is equal is not written again.
    let loaded = world.store("two").load().unwrap();
    assert_eq!(loaded.state.updates.len(), 1);
    let changed =
        store.change(time(), |state| (!state.updates.is_empty()).then(|| Transition::new("x"))).unwrap();
    assert_eq!(changed.transition, None);
    assert_eq!(world.bare.run(["rev-list", "--count", STATE_REF]), "2");
}

#[test]
fn of_two_runs_at_once_the_loser_adopts_what_the_winner_recorded() {
    let world = world();
    let stores: Vec<StateStore> = (0..4).map(|n| world.store(&format!("run{n}"))).collect();
    let barrier = Barrier::new(stores.len());
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = stores
            .iter()
            .map(|store| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let changed = store.change(time(), propose("longhorn")).unwrap();
                    changed.loaded.state.updates.into_keys().next().unwrap()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(world.bare.run(["rev-list", "--count", STATE_REF]), "1");
}

#[test]
fn different_transitions_at_once_are_all_recorded() {
    let world = world();
    let components = ["a", "b", "c", "d", "e", "f"];
    let stores: Vec<StateStore> = components.iter().map(|name| world.store(name)).collect();
    let barrier = Barrier::new(stores.len());
    std::thread::scope(|scope| {
        for (store, component) in stores.iter().zip(components) {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                store.change(time(), propose(component)).unwrap();
            });
        }
    });
    let state = world.store("after").load().unwrap().state;
    assert_eq!(
        state.updates.values().map(|update| update.component.as_str()).collect::<BTreeSet<_>>(),
        components.into()
    );
    assert!(state.updates.contains_key("update-20261121-100000-6"), "ids of one second are numbered");
    assert_eq!(world.bare.run(["rev-list", "--count", STATE_REF]), "6");
}

#[test]
fn a_broken_file_is_named_kept_and_stops_every_transition() {
    for (path, text, why) in [
        ("updates/update-1.yaml", "{", "update-1.yaml"),
        ("updates/update-1.yaml", "update_id: update-1\nsurprise: 1\n", "unknown field"),
        ("quarantine.yaml", "- component: x\n", "missing field"),
        ("maintenance.yaml", "true\n", "invalid type"),
    ] {
        let world = world();
        let store = world.store("one");
        store.change(time(), propose("longhorn")).unwrap();
        tamper(&world, path, text);
        let loaded = store.load().unwrap();
        assert_eq!(loaded.state.updates.len(), 1, "the rest is read");
        assert_eq!(loaded.broken.len(), 1, "{path}");
        let problem = &loaded.problems()[0];
        assert!(problem.message.contains(path) && problem.message.contains(why), "{}", problem.message);
        let error = store.change(time(), propose("k3s")).unwrap_err();
        assert!(matches!(error, Error::Broken { .. }) && error.hint().is_some(), "{error}");
        assert_eq!(world.bare.run(["show", &format!("{STATE_REF}:{path}")]), text.trim_end());
    }
}

#[test]
fn a_file_under_the_wrong_name_is_broken() {
    let world = world();
    let store = world.store("one");
    store.change(time(), propose("longhorn")).unwrap();
    let text = world.bare.run(["show", &format!("{STATE_REF}:updates/update-20261121-100000.yaml")]);
    tamper(&world, "updates/update-2.yaml", &text);
    assert!(store.load().unwrap().broken[0].why.contains("differ"));
}

#[test]
fn what_others_keep_in_the_tree_stays() {
    let world = world();
    let store = world.store("one");
    store.change(time(), propose("longhorn")).unwrap();
    tamper(&world, "baseline/longhorn.json", "{}");
    store.change(time(), propose("k3s")).unwrap();
    assert_eq!(world.bare.run(["show", &format!("{STATE_REF}:baseline/longhorn.json")]), "{}");
}

#[test]
fn a_state_of_another_schema_is_not_touched() {
    let world = world();
    let store = world.store("one");
    store.change(time(), propose("longhorn")).unwrap();
    tamper(&world, "schema", "gitops-updater/state/v2\n");
    let error = store.load().unwrap_err();
    assert!(matches!(&error, Error::Schema { found, .. } if found == "gitops-updater/state/v2"), "{error}");
    assert!(error.hint().unwrap().contains("newer"));
}

/// The three ways in which a chain is lost: reset to an older transition, replaced, deleted.
#[test]
fn a_rewritten_state_is_noticed_by_a_fresh_clone_and_never_built_upon() {
    for way in ["reset", "replaced", "deleted"] {
        let world = world();
        let store = world.store("one");
        for component in ["a", "b", "c"] {
            store.change(time(), propose(component)).unwrap();
        }
        store.confirm().unwrap();
        let before = world.bare.run(["rev-parse", STATE_REF]);
        match way {
            "reset" => world.bare.run(["update-ref", STATE_REF, &format!("{before}~1")]),
            "replaced" => {
                let other = world.bare.run(["commit-tree", "-m", "forged", &format!("{before}~2^{{tree}}")]);
                world.bare.run(["update-ref", STATE_REF, &other])
            }
            _ => world.bare.run(["update-ref", "-d", STATE_REF]),
        };
        let after = world.bare.run(["for-each-ref", STATE_REF]);
        for fresh in [world.store("fresh"), store] {
            let loaded = fresh.load().unwrap();
            assert_eq!(loaded.history, History::Rewritten { seen: before.parse().unwrap() }, "{way}");
            assert!(loaded.problems()[0].message.contains("rewrote"), "{way}");
            let error = fresh.change(time(), propose("d")).unwrap_err();
            assert!(matches!(error, Error::Rewritten { .. }), "{way}: {error}");
            assert!(error.hint().unwrap().contains("--accept-rewritten"));
        }
        assert_eq!(world.bare.run(["for-each-ref", STATE_REF]), after, "{way}: nothing was written");
    }
}

#[test]
fn a_person_may_say_that_a_rewritten_state_is_right() {
    let world = world();
    let store = world.store("one");
    for component in ["a", "b"] {
        store.change(time(), propose(component)).unwrap();
    }
    store.confirm().unwrap();
    let lost = world.bare.run(["rev-parse", STATE_REF]);
    world.bare.run(["update-ref", STATE_REF, &format!("{lost}~1")]);
    assert!(store.accept(time(), "jane").unwrap().is_some());
    assert_eq!(store.accept(time(), "jane").unwrap(), None, "once is enough");
    snapshot!(world.bare.run(["log", "-1", "--format=%B", STATE_REF]), @r"
    Accept the rewritten state

    accepted by jane

    Accepts-Rewritten: [commit]
    ");
    // Neither a fresh clone nor the one that remembers the lost transition is stopped any more.
    for store in [world.store("fresh"), store] {
        assert_eq!(store.load().unwrap().history, History::Intact);
    }
    let store = world.store("another");
    store.change(time(), propose("c")).unwrap();
    assert_eq!(store.load().unwrap().state.updates.len(), 2);
}

#[test]
fn the_witness_follows_one_behind_and_catches_up_when_asked() {
    let world = world();
    let store = world.store("one");
    let at = |name: &str| world.bare.run(["rev-parse", name]);
    store.change(time(), propose("a")).unwrap();
    assert_eq!(world.bare.run(["for-each-ref", SEEN_REF]), "");
    store.change(time(), propose("b")).unwrap();
    assert_eq!(at(SEEN_REF), at(&format!("{STATE_REF}~1")));
    store.confirm().unwrap();
    assert_eq!(at(SEEN_REF), at(STATE_REF));
    store.confirm().unwrap();
}

#[test]
fn maintenance_comes_and_goes_as_a_file() {
    let world = world();
    let store =
        StateStore::new(world.clone("one"), Person { name: "Jane".to_owned(), email: "j@e".to_owned() });
    let set = |maintenance: Option<Maintenance>| {
        store
            .change(time(), |state| {
                state.maintenance.clone_from(&maintenance);
                Some(Transition::new("Change maintenance"))
            })
            .unwrap()
    };
    let maintenance = Maintenance { by: "Jane".to_owned(), reason: None, since: time(), until: None };
    assert_eq!(set(Some(maintenance.clone())).loaded.state.maintenance, Some(maintenance.clone()));
    assert_eq!(store.load().unwrap().state.maintenance, Some(maintenance));
    set(None);
    assert_eq!(world.bare.run(["ls-tree", "-r", "--name-only", STATE_REF]), "schema");
    assert!(set(None).transition.is_none());
}

/// A process that was killed while it held a ref leaves the lock behind.
#[test]
fn a_lock_that_was_left_behind_is_told_with_what_to_do() {
    let world = world();
    let store = world.store("one");
    store.change(time(), propose("a")).unwrap();
    std::fs::write(world.bare.dir().join("refs/gitops-updater/state.lock"), "").unwrap();
    let error = store.change(time(), propose("b")).unwrap_err();
    assert!(error.hint().unwrap().contains(".lock"), "{error:?}");
    std::fs::remove_file(world.bare.dir().join("refs/gitops-updater/state.lock")).unwrap();
    store.change(time(), propose("b")).unwrap();
}

#[test]
fn looking_at_the_state_writes_nothing() {
    let world = world();
    world.store("one").change(time(), propose("a")).unwrap();
    let fresh = world.store("fresh");
    let clone = crate::support::git::Git::at(world.folder.path().join("fresh"));
    let before = (clone.run(["for-each-ref"]), world.bare.run(["for-each-ref"]));
    fresh.load().unwrap();
    assert_eq!((clone.run(["for-each-ref"]), world.bare.run(["for-each-ref"])), before);
    fresh.confirm().unwrap();
    assert!(clone.run(["for-each-ref"]).contains("refs/remotes/gitops-updater/state-"));
}

#[test]
fn runs_side_by_side_in_one_clone_are_no_rewriting() {
    let world = world();
    let mover = world.store("one");
    mover.change(time(), propose("longhorn")).unwrap();
    let looker = StateStore::new(world.again("one"), Person::bot());
    std::thread::scope(|scope| {
        let moving = scope.spawn(move || {
            for minute in 0..40 {
                let until = time() + jiff::SignedDuration::from_mins(minute);
                mover
                    .change(time(), |state| {
                        state.maintenance = Some(Maintenance {
                            reason: None,
                            by: "jane".to_owned(),
                            since: time(),
                            until: Some(until),
                        });
                        Some(Transition::new("Go on with the maintenance"))
                    })
                    .unwrap();
                mover.confirm().unwrap();
            }
        });
        while !moving.is_finished() {
            assert_eq!(looker.load().unwrap().history, History::Intact);
        }
    });
}

#[test]
fn file_that_could_not_be_read_again_is_not_written() {
    let world = world();
    let store = world.store("one");
    let result = store.change(time(), |state| {
        propose("longhorn")(state)?;
        let update = state.updates.values_mut().next()?;
        update.reason = Some("x".repeat(3 << 20));
        Some(Transition::of(update))
    });
    assert!(matches!(result, Err(Error::TooLarge { .. })), "{result:?}");
    assert_eq!(store.load().unwrap().tip, None);
}

/// Two runs that recorded the same in the same second both said that they had.
#[test]
fn transition_that_another_run_made_at_the_same_moment_is_recorded_by_that_one_alone() {
    let world = world();
    let (one, other) = (world.store("one"), world.store("other"));
    let rival = std::cell::Cell::new(None);
    let changed = one.change(time(), |state| {
        if rival.get().is_none() {
            rival.set(Some(other.change(time(), propose("longhorn")).unwrap().transition));
        }
        propose("longhorn")(state)
    });
    let changed = changed.unwrap();
    assert!(rival.get().flatten().is_some());
    assert_eq!(changed.transition, None);
    assert_eq!(changed.loaded.tip, rival.get().flatten());
    assert_eq!(changed.loaded.state.updates.len(), 1);
    assert_eq!(world.bare.run(["rev-list", "--count", STATE_REF]), "1");
}

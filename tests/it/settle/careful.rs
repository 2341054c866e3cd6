//! What another pass, or a person, did meanwhile is not overruled.

use std::time::Duration;

use gitops_updater::app::forge::MergeMethod;
use gitops_updater::app::pass::resume;
use gitops_updater::app::settle::Outcome;
use gitops_updater::domain::settle::memory::Remembered;
use gitops_updater::domain::settle::record::Breaker;
use gitops_updater::domain::state::{Stage, State};
use gitops_updater::state::Transition;

use super::judged::{failing, look, merged, settings};
use super::scripted::Scripted;
use super::story::{Release, Story};
use super::world::{LATER, Settling, settle, settle_recorded};
use crate::pass::world::{Recording, World};

const MUCH_LATER: &str = "2026-11-21T13:00:00Z";

/// What another pass has recorded.
fn record(settling: &Settling, change: impl Fn(&mut State)) {
    let done = settling.store().change(LATER.parse().unwrap(), |state: &mut State| {
        change(state);
        Some(Transition::new("What another pass saw"))
    });
    done.unwrap();
}

fn node_moved(settling: &Settling) {
    record(settling, |state| {
        let remembered = Remembered { node_touched: true, ..Remembered::default() };
        state.memory.insert(settling.id.clone(), remembered);
    });
}

#[test]
fn revert_that_was_decided_is_not_made_where_another_pass_saw_a_node_move() {
    let settling = Settling::merged(MergeMethod::Merge);
    settling.decide_to_revert();
    node_moved(&settling);
    let before = settling.main();
    let settled = settling.settle(LATER);
    assert_eq!(settled.outcomes[&settling.id], Outcome::HeldRegressed);
    assert_eq!(settling.main(), before);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Held);
    assert!(!update.settling.hold.unwrap().clears_itself);
}

#[test]
fn regression_is_held_while_the_circuit_breaker_is_open() {
    let (settling, base, merge) = merged();
    record(&settling, |state| {
        let (since, reverted) = (LATER.parse().unwrap(), vec!["a".to_owned(), "b".to_owned()]);
        state.breaker = Some(Breaker { since, reverted });
    });
    let settled = look(&settling, &failing(&base, &merge), 120);
    assert_eq!(settled.outcomes[&settling.id], Outcome::HeldRegressed);
    assert_eq!(settling.main(), merge);
    let reason = settling.update().reason.unwrap();
    assert!(reason.contains("circuit breaker"), "{reason}");
}

#[test]
fn persons_revert_of_what_cannot_go_back_by_git_stays_watched() {
    let settling = Settling::merged(MergeMethod::Merge);
    node_moved(&settling);
    let merge = settling.update().merge_commit.unwrap();
    settling.world.git.run(["revert", "--no-edit", "-m", "1", &merge]);
    settling.settle(LATER);
    let update = settling.update();
    assert!(matches!(update.stage, Stage::Merged | Stage::Rolling), "{update:?}");
    assert!(settling.world.state_file("quarantine.yaml").contains("6.5.1"), "it is not proposed again");
    settling.settle(MUCH_LATER);
    assert!(matches!(settling.update().stage, Stage::Merged | Stage::Rolling));
}

#[test]
fn taking_one_update_up_again_touches_no_other() {
    let settling = Settling::merged(MergeMethod::Merge);
    let other = format!("{}-2", settling.id);
    let back = format!("{}-back", settling.id);
    record(&settling, |state| {
        state.updates.get_mut(&settling.id).unwrap().stage = Stage::Held;
        for id in [&settling.id, &other, &back] {
            let remembered = Remembered { held: true, node_touched: true, ..Remembered::default() };
            state.memory.insert(id.clone(), remembered);
        }
    });
    let mut state = settling.state();
    resume(&mut state, &settling.id, "jane", LATER.parse().unwrap()).unwrap();
    let held = |id: &str| state.memory[id].held;
    assert_eq!((held(&settling.id), held(&back), held(&other)), (false, false, true));
    assert!(state.memory[&settling.id].node_touched, "what happened stays");
}

/// A pass over a cluster in which everything is well, with something that happens while it is listed.
fn listed(settling: &Settling, story: &Story, meanwhile: impl Fn() + Send + Sync + 'static) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut cluster = Scripted::of(&story.text(), 0.0);
    cluster.meanwhile = Some(Box::new(meanwhile));
    let wait = Some(Duration::from_secs(1));
    let recording = Recording::default();
    let done = settling
        .world
        .with_pass(&recording, LATER, &runtime, |pass| settle(pass, Some(&cluster), wait, settings()));
    done.unwrap();
}

#[test]
fn cluster_that_is_looked_at_while_somebody_merges_is_no_baseline() {
    let settling = Settling::merged(MergeMethod::Merge);
    let base = settling.main();
    let open = settling.state().updates.into_values().find(|update| update.stage == Stage::Proposed).unwrap();
    let dir = settling.world.dir().to_owned();
    let story = Story::begin(&base, "6.5.1");
    listed(&settling, &story, move || {
        let git = crate::support::git::Git::at(&dir);
        git.write("meanwhile.txt", "somebody merged");
        git.commit_all("Merge something");
    });
    assert!(!settling.state().baselines.contains_key(&open.update_id));
    listed(&settling, &story, || {});
    assert!(settling.state().baselines.contains_key(&open.update_id));
}

#[test]
fn commit_that_nobody_knows_may_have_come_after_the_merge() {
    let (settling, base, _) = merged();
    let unknown = "0123456789012345678901234567890123456789";
    let mut story = Story::begin(&base, "6.5.0");
    // Flux is ahead of what was fetched, and what it has there fails: that must not count as before.
    story.source(0.0, unknown).applied(0.0, unknown, &base, false).release(
        0.0,
        2,
        Release::Failed("6.5.0", "6.5.1"),
    );
    look(&settling, &story, 300);
    let baseline = settling.state().baselines.get(&settling.id).cloned();
    assert!(baseline.is_none_or(|baseline| baseline.findings.is_empty()));
}

#[test]
fn baseline_that_saw_more_is_not_given_up() {
    let settling = Settling::merged(MergeMethod::Merge);
    let base = settling.main();
    let open = settling.state().updates.into_values().find(|update| update.stage == Stage::Proposed).unwrap();
    let story = Story::begin(&base, "6.5.1");
    listed(&settling, &story, || {});
    let known = settling.state().baselines[&open.update_id].clone();
    assert!(!known.not_observed.contains("Pod"));
    // The next pass is not told of pods, and sees something wrong.
    let text = story.text().replace("\"Pod\",", "");
    let mut cluster = Scripted::of(&text, 0.0);
    cluster.meanwhile = None;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let wait = Some(Duration::from_secs(1));
    let done = settling.world.with_pass(&Recording::default(), "2026-11-23T12:00:00Z", &runtime, |pass| {
        settle(pass, Some(&cluster), wait, settings())
    });
    done.unwrap();
    assert_eq!(settling.state().baselines[&open.update_id], known);
}

#[test]
fn pass_that_proposes_for_the_first_time_looks_at_the_cluster_before() {
    let world = World::new();
    let story = Story::begin(&world.git.run(["rev-parse", "main"]), "6.5.0");
    let cluster = Scripted::of(&story.text(), 0.0);
    let looked = |proposes| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let settled = world.with_pass(&Recording::default(), LATER, &runtime, |pass| {
            let world = pass.observe()?;
            settle_recorded(pass, world, Some(&cluster), Some(Duration::ZERO), settings(), proposes, None)
        });
        settled.unwrap()
    };
    assert!(looked(true).baseline.is_some());
    let settled = looked(false);
    assert!(settled.baseline.is_none() && settled.unfit.is_none(), "nobody had to look");
}

#[test]
fn update_that_nobody_saw_before_its_merge_is_good_where_nothing_is_wrong_now() {
    let (settling, _, merge) = merged();
    let mut story = Story::begin(&merge, "6.5.1");
    story.source(0.0, &merge);
    let settled = look(&settling, &story, 600);
    assert!(!settling.state().baselines.contains_key(&settling.id));
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over);
    assert_eq!(settling.update().stage, Stage::Verified);
}

#[test]
fn what_is_wrong_and_may_have_been_before_the_merge_is_held_and_not_reverted() {
    let (settling, _, merge) = merged();
    let mut story = Story::begin(&merge, "6.5.1");
    story.source(0.0, &merge).unavailable(0.0, "apps", "podinfo");
    let settled = look(&settling, &story, 600);
    assert_eq!(settled.outcomes[&settling.id], Outcome::HeldUnknown);
    assert_eq!(settling.main(), merge);
}

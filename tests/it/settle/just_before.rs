//! How the cluster is right before a merge of the bot's own is kept then, and what was wrong already is nobody's fault after it.

use std::time::Duration;

use gitops_updater::app::effects::Effect;
use gitops_updater::domain::settle::memory::Baseline;
use gitops_updater::domain::settle::verdict::Verdict;
use gitops_updater::domain::state::{Stage, State, Update};
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::StateStore;
use std::sync::Arc;

use super::judged::{NEW, OLD, settings};
use super::scripted::Scripted;
use super::story::Story;
use super::world::{LATER, PODINFO, settle_before};
use crate::pass::world::{NOW, Recording, World};

const CONFIG: &str = "policy: {semver_gates: {patch: auto}}\npull_requests: {require_checks: false}\n";
const MUCH_LATER: &str = "2026-11-21T13:00:00Z";
const KEPT: &str = "Keep how the cluster is before the merge";

fn state(world: &World) -> State {
    let repo = WriteRepo::open(world.dir(), Remote::own()).unwrap();
    StateStore::new(Arc::new(repo), Person::bot()).load().unwrap().state
}

fn update(world: &World) -> Update {
    state(world).updates.into_values().find(|update| update.component == PODINFO).unwrap()
}

/// What a pass sees of this cluster; `seconds` = how long it looks.
fn look(world: &World, story: &Story, seconds: u64, now: &str) -> Option<Baseline> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let cluster = Scripted::of(&story.text(), 0.0);
    let wait = Some(Duration::from_secs(seconds));
    let settled = world.with_pass(&Recording::default(), now, &runtime, |pass| {
        settle_before(pass, Some(&cluster), wait, settings(), true)
    });
    settled.unwrap().baseline
}

/// A Deployment of podinfo has no pod: since before the merge, and after it.
fn broken(commit: &str, version: &str) -> Story {
    let mut story = Story::begin(commit, version);
    story.unavailable(0.0, "apps", "podinfo");
    story
}

/// A pull request that the next pass merges, and what was seen before there was any.
fn proposed() -> (World, Baseline) {
    let mut world = World::new();
    world.config = CONFIG.to_owned();
    let base = world.git.run(["rev-parse", "main"]);
    let baseline = look(&world, &broken(&base, OLD), 0, NOW).unwrap();
    assert!(baseline.findings.iter().any(|finding| finding.subject.kind == "Deployment"), "{baseline:?}");
    world.run();
    assert_eq!(update(&world).stage, Stage::Proposed);
    assert!(state(&world).baselines.is_empty(), "nobody looked since");
    (world, baseline)
}

/// The verdict after Flux has applied the merge before anybody looked.
fn verdict(world: &World) -> (Stage, Option<Verdict>) {
    let merge = update(world).merge_commit.unwrap();
    look(world, &broken(&merge, NEW), 300, MUCH_LATER);
    let update = update(world);
    (update.stage, update.settling.verdict)
}

#[test]
fn what_was_wrong_right_before_a_merge_of_the_bot_is_kept_and_is_not_its_fault() {
    let (mut world, baseline) = proposed();
    world.baseline = Some(baseline.clone());
    let recording = Recording::default();
    let done = world.pass(&recording, LATER).unwrap();
    assert!(done.failures.is_empty(), "{:?}", done.failures);
    let effects = recording.done.into_inner().unwrap();
    let at = |is: &dyn Fn(&Effect) -> bool| effects.iter().position(is).unwrap();
    let kept = at(&|effect| matches!(effect, Effect::Record { what } if what == KEPT));
    let merged = at(&|effect| matches!(effect, Effect::Merge { .. }));
    assert_eq!(kept + 1, merged, "{effects:?}");
    let update = update(&world);
    assert_eq!(update.stage, Stage::Merged);
    assert_eq!(state(&world).baselines[&update.update_id], baseline);
    assert!(update.completed_phases.contains(&"pre_update_validation".to_owned()));
    assert_eq!(verdict(&world), (Stage::Verified, Some(Verdict::Healthy)));
}

/// The same without: nobody knows whether it is new.
#[test]
fn without_a_look_right_before_a_merge_what_is_wrong_after_it_is_not_laid_to_rest() {
    let (world, _) = proposed();
    let done = world.at(LATER);
    assert!(!format!("{:?}", done.effects).contains(KEPT), "{:?}", done.effects);
    assert!(state(&world).baselines.is_empty());
    assert_ne!(verdict(&world).0, Stage::Verified);
}

//! What the judge says of a cluster is carried out: completed, reverted and watched on the way back, held, or waited for.

use std::time::Duration;

use gitops_updater::app::effects::Witness;
use gitops_updater::app::forge::{MergeMethod, StatusState};
use gitops_updater::app::pass::Error;
use gitops_updater::app::settle::{Outcome, Settled};
use gitops_updater::domain::settle::settings::{Settings, Windows};
use gitops_updater::domain::settle::verdict::Verdict;
use gitops_updater::domain::state::Stage;
use gitops_updater::state::Transition;

use super::scripted::Scripted;
use super::story::{Release, Story};
use super::world::{LATER, Settling, settle};
use crate::pass::world::Recording;

pub(super) const OLD: &str = "6.5.0";
pub(super) const NEW: &str = "6.5.1";
const MUCH_LATER: &str = "2026-11-21T13:00:00Z";

/// Windows of seconds, so that stories may be short.
pub(super) fn settings() -> Settings {
    Settings {
        sample: Duration::from_secs(1),
        settle: Duration::from_secs(2),
        windows: Windows::all(Duration::from_secs(20)),
        good: 3,
        ..Settings::default()
    }
}

/// A merged update, and the commits before and after it.
pub(super) fn merged() -> (Settling, String, String) {
    let settling = Settling::merged(MergeMethod::Merge);
    let merge = settling.main();
    let base = settling.world.git.run(["rev-parse", "main^1"]);
    (settling, base, merge)
}

/// A pass that looks at the cluster of the story from its beginning, in virtual time.
fn watch(
    settling: &Settling,
    story: &Story,
    wait: u64,
    witness: &dyn Witness,
    now: &str,
) -> Result<(Settled, Vec<String>), Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let cluster = Scripted::of(&story.text(), 0.0);
    let settled = settling.world.with_pass(witness, now, &runtime, |pass| {
        settle(pass, Some(&cluster), Some(Duration::from_secs(wait)), settings())
    })?;
    let asked = cluster.asked.into_inner().unwrap();
    Ok((settled, asked))
}

pub(super) fn look(settling: &Settling, story: &Story, wait: u64) -> Settled {
    let (settled, _) = watch(settling, story, wait, &Recording::default(), LATER).unwrap();
    assert!(settled.failures.is_empty(), "{:?}", settled.failures);
    settled
}

pub(super) fn healthy(base: &str, merge: &str) -> Story {
    let mut story = Story::begin(base, OLD);
    story
        .source(5.0, merge)
        .applied(5.5, merge, base, false)
        .release(6.0, 2, Release::Upgrading(OLD, NEW))
        .release(12.0, 2, Release::Deployed(NEW))
        .applied(14.0, merge, merge, true);
    story
}

pub(super) fn failing(base: &str, merge: &str) -> Story {
    let mut story = Story::begin(base, OLD);
    story
        .source(5.0, merge)
        .applied(5.5, merge, base, false)
        .release(6.0, 2, Release::Upgrading(OLD, NEW))
        .release(30.0, 2, Release::Failed(OLD, NEW));
    story
}

#[test]
fn healthy_update_is_completed_and_said_to_be() {
    let (settling, base, merge) = merged();
    let settled = look(&settling, &healthy(&base, &merge), 600);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over);
    let update = settling.update();
    assert_eq!((update.stage, update.settling.verdict), (Stage::Verified, Some(Verdict::Healthy)));
    assert!(update.completed_phases.contains(&"post_update_validation".to_owned()));
    assert_eq!(settling.statuses()[0].state, StatusState::Success);
    let campaign = settling.state().campaigns.into_values().next().unwrap();
    assert_eq!(campaign.rollback_points[0].git_commit, merge);
    assert_eq!(settling.main(), merge, "nothing was pushed");
    let state = settling.state();
    assert!(state.memory.is_empty(), "nothing is kept for nobody: {:?}", state.memory);
    assert!(!state.baselines.contains_key(&settling.id), "nothing is kept for nobody: {:?}", state.baselines);
}

/// Nothing that an update touches is worse, and etcd is: `run` never asked the API server how it is.
#[test]
fn update_is_not_completed_while_the_api_server_is_not_ready() {
    let (settling, base, merge) = merged();
    let look = |unready_from: Option<f64>| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let mut cluster = Scripted::of(&healthy(&base, &merge).text(), 0.0);
        cluster.unready_from = unready_from;
        let wait = Some(Duration::from_secs(300));
        let witness = Recording::default();
        let settled = settling
            .world
            .with_pass(&witness, LATER, &runtime, |pass| settle(pass, Some(&cluster), wait, settings()));
        settled.unwrap()
    };
    let settled = look(Some(8.0));
    let update = settling.update();
    assert_ne!(update.stage, Stage::Verified, "{:?}", update.reason);
    let why = &settled.waiting[&settling.id];
    assert!(why.contains("/readyz: etcd fail"), "{why}");
    assert_eq!(settling.main(), merge, "nothing was pushed");
    look(None);
    assert_eq!(settling.update().stage, Stage::Verified);
}

#[test]
fn regressed_update_is_reverted_and_the_cluster_is_watched_on_its_way_back() {
    let (settling, base, merge) = merged();
    let settled = look(&settling, &failing(&base, &merge), 120);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Reverted);
    let revert = settling.main();
    assert_ne!(revert, merge);
    // The pass that proposes sees the older version, and did take that for a person's going back which is over.
    settling.world.at(LATER);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Rolling);
    assert_eq!(update.settling.reversal.as_ref().unwrap().commit.as_deref(), Some(revert.as_str()));
    assert_eq!(settling.statuses()[0].state, StatusState::Failure);
    // Flux applies the revert while the next pass looks on.
    let mut story = Story::begin(&base, OLD);
    story.source(0.0, &merge).applied(0.0, &merge, &base, false).release(0.0, 2, Release::Failed(OLD, NEW));
    story
        .source(5.0, &revert)
        .applied(5.5, &revert, &base, false)
        .release(6.0, 3, Release::Upgrading(OLD, OLD))
        .release(10.0, 3, Release::Deployed(OLD))
        .applied(12.0, &revert, &revert, true);
    look(&settling, &story, 600);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Reverted, "{:?}", update.reason);
    assert!(update.reason.unwrap().ends_with("healthy again at 6.5.0"));
    assert!(update.settling.reversal.unwrap().back_at.is_some());
    assert_eq!(settling.main(), revert, "one revert, and nothing after it");
    // That the cluster is back was recorded as another revert.
    let trail = settling.world.git.run(["log", "--format=%s", "refs/gitops-updater/state"]);
    let told: Vec<&str> =
        trail.lines().filter(|line| line.contains("revert") || line.contains("Revert")).rev().collect();
    assert_eq!(
        told,
        [
            "Decide to revert helm/apps/podinfo 6.5.0 -> 6.5.1",
            "Record that helm/apps/podinfo 6.5.1 was reverted",
            "See healthy again after the revert of helm/apps/podinfo 6.5.0 -> 6.5.1",
        ]
    );
}

#[test]
fn suspended_release_is_held_until_it_is_resumed() {
    let (settling, base, merge) = merged();
    let mut story = Story::begin(&base, OLD);
    story.release(1.0, 1, Release::Suspended(OLD, OLD)).source(5.0, &merge);
    story.release(6.0, 2, Release::Suspended(OLD, NEW)).applied(7.0, &merge, &merge, true);
    let settled = look(&settling, &story, 60);
    assert_eq!(settled.outcomes[&settling.id], Outcome::HeldUnknown);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Held);
    assert!(update.settling.hold.unwrap().clears_itself);
    assert!(settling.pull(settling.number).labels.contains(&"gitops-updater/hold".to_owned()));
    assert_eq!(settling.main(), merge);
    look(&settling, &healthy(&base, &merge), 600);
    assert_eq!(settling.update().stage, Stage::Verified);
    assert!(!settling.pull(settling.number).labels.contains(&"gitops-updater/hold".to_owned()));
    assert_eq!(settling.statuses()[0].state, StatusState::Success);
}

#[test]
fn losing_sight_for_hours_reverts_nothing() {
    let (settling, base, merge) = merged();
    let mut story = healthy(&base, &merge);
    story.view(8.0, false);
    let settled = look(&settling, &story, 3 * 3600);
    assert!(matches!(settled.outcomes[&settling.id], Outcome::Undecided | Outcome::HeldUnknown));
    assert_eq!(settling.main(), merge);
    assert!(settling.update().settling.hold.is_none_or(|hold| hold.clears_itself));
}

#[test]
fn pass_that_ends_early_leaves_what_the_next_one_goes_on_with() {
    let (settling, base, merge) = merged();
    let settled = look(&settling, &healthy(&base, &merge), 8);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Undecided);
    let state = settling.state();
    assert!(state.memory.contains_key(&settling.id), "{:?}", state.memory);
    assert!(state.baselines.contains_key(&settling.id), "taken before Flux fetched the merge");
    // The next pass finds it applied, and knows how it was before.
    let mut story = Story::begin(&merge, NEW);
    story.source(0.0, &merge);
    look(&settling, &story, 600);
    assert_eq!(settling.update().stage, Stage::Verified);
}

#[test]
fn hours_between_two_passes_are_no_part_of_the_window() {
    let (settling, base, merge) = merged();
    look(&settling, &healthy(&base, &merge), 18);
    let mut story = Story::begin(&merge, NEW);
    story.source(0.0, &merge);
    let at = |wait, now| watch(&settling, &story, wait, &Recording::default(), now).unwrap();
    let (settled, _) = at(10, MUCH_LATER);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Undecided, "fourteen seconds of twenty were seen");
    let (settled, _) = at(20, "2026-11-21T14:00:00Z");
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over);
}

#[test]
fn what_the_update_broke_before_anybody_looked_is_no_baseline() {
    let (settling, base, merge) = merged();
    let mut story = Story::begin(&base, OLD);
    story.source(0.0, &merge).applied(0.0, &merge, &base, false).release(0.0, 2, Release::Failed(OLD, NEW));
    look(&settling, &story, 300);
    assert_ne!(settling.update().stage, Stage::Verified);
    assert!(settling.state().baselines.get(&settling.id).is_none_or(|baseline| baseline.findings.is_empty()));
}

#[test]
fn recovery_that_was_chosen_is_tried_once_and_then_it_is_reverted() {
    let config = "validation: {recovery: [reset_release]}\n";
    let settling = Settling::merged_with(MergeMethod::Merge, config);
    let merge = settling.main();
    let base = settling.world.git.run(["rev-parse", "main^1"]);
    let (settled, asked) =
        watch(&settling, &failing(&base, &merge), 300, &Recording::default(), LATER).unwrap();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with("HelmRelease/apps/podinfo") && asked[0].contains("resetAt"), "{asked:?}");
    assert_eq!(
        settled.outcomes[&settling.id],
        Outcome::Reverted,
        "{:?} {:?}",
        settled.waiting,
        settled.effects
    );
    assert_eq!(settling.version(), "version: 6.5.0 # kept");
}

/// The controller's text tells how long it had waited, another time with every try: the forge was told anew each time.
#[test]
fn hold_that_is_said_again_in_other_words_is_no_news() {
    let (settling, base, merge) = merged();
    let mut suspended = Story::begin(&base, OLD);
    suspended.release(0.0, 1, Release::Suspended(OLD, OLD)).source(0.0, &merge);
    look(&settling, &suspended, 60);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Held);
    let id = settling.id.clone();
    let changed = settling.store().change(LATER.parse().unwrap(), |state| {
        let update = state.updates.get_mut(&id)?;
        update.reason = Some("is suspended for 46.366624ms".to_owned());
        Some(Transition::of(update))
    });
    changed.unwrap();
    look(&settling, &suspended, 60);
    assert_eq!(settling.update().reason.as_deref(), Some("is suspended for 46.366624ms"));
}

/// Everything that was written after a pass that looked at a cluster, and how many effects it took.
fn clean(story: impl Fn(&str, &str) -> Story) -> (Vec<String>, usize) {
    let (settling, base, merge) = merged();
    let recording = Recording::default();
    watch(&settling, &story(&base, &merge), 100, &recording, LATER).unwrap();
    let count = recording.count();
    let settled = settling.update();
    (vec![format!("{:?}", settled.stage), settling.version(), settling.subjects().join("\n")], count)
}

#[test]
fn pass_that_is_killed_anywhere_and_run_again_comes_to_the_same_end() {
    for story in [healthy, failing] {
        let (expected, count) = clean(story);
        for stop in 0..count {
            let (settling, base, merge) = merged();
            let stopped = Recording { stop_after: Some(stop), ..Recording::default() };
            assert!(watch(&settling, &story(&base, &merge), 100, &stopped, LATER).is_err(), "effect {stop}");
            watch(&settling, &story(&base, &merge), 100, &Recording::default(), MUCH_LATER).unwrap();
            let end = vec![
                format!("{:?}", settling.update().stage),
                settling.version(),
                settling.subjects().join("\n"),
            ];
            assert_eq!(end, expected, "killed after effect {stop}");
        }
    }
}

#[test]
fn commit_status_of_flux_that_fails_holds_where_there_is_no_cluster() {
    use gitops_updater::app::forge::{CommitStatus, Forge as _};
    let (settling, base, merge) = merged();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let flux = |commit: &str, state| {
        let status = CommitStatus {
            state,
            context: "kustomization/apps/0a1b2c3d".to_owned(),
            description: "health check failed after 30s".to_owned(),
            url: None,
        };
        runtime.block_on(settling.world.forge().set_status(commit, &status)).unwrap();
    };
    flux(&base, StatusState::Success);
    flux(&merge, StatusState::Failure);
    let settled = settling.settle(LATER);
    assert_eq!(settled.outcomes[&settling.id], Outcome::HeldUnknown);
    assert_eq!(settling.main(), merge, "nobody saw the cluster before: nothing is reverted");
    flux(&merge, StatusState::Success);
    settling.settle(MUCH_LATER);
    assert_eq!(settling.update().stage, Stage::Rolling, "applied is not healthy");
}

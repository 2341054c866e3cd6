//! What is tried before a revert is one request whoever makes it, nothing counts as tried before it was asked, and nobody
//! waits for what the cluster does not take.

use std::collections::BTreeSet;
use std::time::Duration;

use gitops_updater::app::cluster::ErrorClass;
use gitops_updater::app::effects::{Effect, Go, Stopped, Witness};
use gitops_updater::app::forge::MergeMethod;
use gitops_updater::app::settle::{Outcome, Settled};
use gitops_updater::domain::settle::record::Recovery;
use gitops_updater::domain::state::{Stage, State};
use gitops_updater::state::Transition;
use rstest::rstest;
use serde_json::{Value, json};

use super::judged::{NEW, OLD, failing, settings};
use super::scripted::Scripted;
use super::story::{Release, Story};
use super::world::{LATER, Settling, settle};
use crate::pass::world::{Recording, World};

const MUCH_LATER: &str = "2026-11-21T13:00:00Z";
const CONFIG: &str = "validation: {recovery: [reset_release]}\n";

/// A pass over an update that fails, in a cluster that takes patches or refuses them; and what was asked of it.
fn settled(settling: &Settling, witness: &dyn Witness, refuses: bool) -> (Settled, Vec<String>) {
    let (base, merge) = commits(settling);
    let mut cluster = Scripted::of(&failing(&base, &merge).text(), 0.0);
    cluster.refuses = refuses.then_some(ErrorClass::Denied);
    let settled = watch(settling, &cluster, witness, LATER);
    (settled.unwrap(), cluster.asked.into_inner().unwrap())
}

/// The commits before the merge and of it.
fn commits(settling: &Settling) -> (String, String) {
    let git = &settling.world.git;
    let merge = settling.update().merge_commit.unwrap();
    (git.run(["rev-parse", &format!("{merge}^1")]), merge)
}

fn watch(
    settling: &Settling,
    cluster: &Scripted,
    witness: &dyn Witness,
    now: &str,
) -> Result<Settled, gitops_updater::app::pass::Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let wait = Some(Duration::from_secs(300));
    settling.world.with_pass(witness, now, &runtime, |pass| settle(pass, Some(cluster), wait, settings()))
}

/// How many seconds lie between the recovery and the decision to revert.
fn waited(settling: &Settling) -> i64 {
    let settling = settling.update().settling;
    settling
        .reversal
        .unwrap()
        .decided_at
        .duration_since(settling.recovery.unwrap().asked_at.unwrap())
        .as_secs()
}

#[test]
fn recovery_that_is_refused_is_recorded_as_that_and_delays_nothing() {
    let settling = Settling::merged_with(MergeMethod::Merge, CONFIG);
    let (done, _) = settled(&settling, &Recording::default(), true);
    assert_eq!(done.outcomes[&settling.id], Outcome::Reverted);
    let recovery = settling.update().settling.recovery.unwrap();
    assert_eq!(recovery.done, [""; 0]);
    assert_eq!(recovery.refused, ["reset HelmRelease/apps/podinfo: the account may not"]);
    assert_eq!(waited(&settling), 0);

    let settling = Settling::merged_with(MergeMethod::Merge, CONFIG);
    settled(&settling, &Recording::default(), false);
    assert!(waited(&settling) >= 19, "one that is taken is given the window");
}

/// Another pass that is faster: it records the same recovery just before this one does, and perhaps asks.
struct Rival<'a>(&'a Settling, Option<&'a str>);

impl Witness for Rival<'_> {
    fn before(&self, effect: &Effect) -> Result<Go, Stopped> {
        if matches!(effect, Effect::Record { what } if what == "Try to recover helm/apps/podinfo 6.5.1") {
            let id = &self.0.id;
            let asked_at = self.1.map(|at| at.parse().unwrap());
            let changed = self.0.store().change(LATER.parse().unwrap(), |state: &mut State| {
                let done = vec!["reset HelmRelease/apps/podinfo".to_owned()];
                let update = state.updates.get_mut(id)?;
                update.settling.recovery =
                    Some(Recovery { at: LATER.parse().unwrap(), done, asked_at, refused: vec![] });
                Some(Transition::new("Be faster"))
            });
            changed.unwrap();
        }
        Ok(Go::Do)
    }
}

/// The other one may have been killed before it asked; the request is its own then.
#[rstest]
#[case::that_has_asked(Some("2026-11-21T12:00:31Z"), &[])]
#[case::that_may_have_asked(None, &[LATER])]
fn pass_that_finds_another_one(#[case] asked_at: Option<&str>, #[case] tokens: &[&str]) {
    let settling = Settling::merged_with(MergeMethod::Merge, CONFIG);
    let (done, asked) = settled(&settling, &Rival(&settling, asked_at), false);
    assert_eq!(asked.len(), tokens.len(), "{asked:?}");
    for (asked, token) in asked.iter().zip(tokens) {
        assert_eq!(asked.matches(&format!(":\"{token}\"")).count(), 2, "{asked}");
    }
    assert_eq!(done.outcomes[&settling.id], Outcome::Reverted);
}

/// Where a pass of so many effects can be killed: before the first, between any two, and after the last.
pub(super) fn kills(count: usize) -> impl Iterator<Item = (Option<usize>, Option<usize>)> {
    (0..count).map(|at| (Some(at), None)).chain([(None, count.checked_sub(1))])
}

/// What the reset leads to where it helps.
fn mended(merge: &str) -> Vec<Value> {
    let mut story = Story::begin(merge, OLD);
    story
        .release(1.0, 2, Release::Upgrading(OLD, NEW))
        .release(5.0, 2, Release::Deployed(NEW))
        .applied(6.0, merge, merge, true);
    story.later()
}

/// The cluster as the second pass finds it: as it was, or as it is an hour after the first one asked.
fn after(settling: &Settling, asked: &[String], mends: bool) -> Scripted {
    let (base, merge) = commits(settling);
    let mut story = failing(&base, &merge);
    match asked.last() {
        Some(_) if mends => story = Story::begin(&merge, NEW),
        Some(asked) => {
            story = Story::begin(&base, OLD);
            story.source(0.0, &merge).applied(0.0, &merge, &base, false).release(
                0.0,
                2,
                Release::Failed(OLD, NEW),
            );
            let patch: Value = serde_json::from_str(asked.split_once(' ').unwrap().1).unwrap();
            story.annotate("HelmRelease", &patch["metadata"]["annotations"]);
        }
        None => {}
    }
    let mut cluster = Scripted::of(&story.text(), 0.0);
    if mends {
        cluster.answer = mended(&merge);
    }
    cluster
}

/// How it ended: stage, and what the base branch has.
fn end(settling: &Settling) -> (Stage, Vec<String>) {
    (settling.update().stage, settling.subjects())
}

/// Recorded and not asked, it was never asked again: a release that the reset would have mended was reverted as tried.
#[rstest]
#[case::helps(true)]
#[case::does_not_help(false)]
fn pass_that_is_killed_anywhere_around_a_reset_that(#[case] mends: bool) {
    let settling = || Settling::merged_with(MergeMethod::Merge, CONFIG);
    let recording = Recording::default();
    let clean = settling();
    let cluster = after(&clean, &[], mends);
    let settled = watch(&clean, &cluster, &recording, LATER).unwrap();
    let expected = end(&clean);
    let end_is = if mends { Stage::Verified } else { Stage::Rolling };
    assert_eq!(
        expected.0,
        end_is,
        "{:?} {:?} {:?}",
        settled.waiting,
        settled.effects,
        clean.update().settling
    );
    assert_eq!(cluster.asked.into_inner().unwrap().len(), 1);
    for (stop_before, stop_after) in kills(recording.count()) {
        let settling = settling();
        let killed = Recording { stop_before, stop_after, ..Recording::default() };
        let cluster = after(&settling, &[], mends);
        assert!(watch(&settling, &cluster, &killed, LATER).is_err(), "{stop_before:?} {stop_after:?}");
        let first = cluster.asked.into_inner().unwrap();
        let cluster = after(&settling, &first, mends);
        watch(&settling, &cluster, &Recording::default(), MUCH_LATER).unwrap();
        let second = cluster.asked.into_inner().unwrap();
        let at = format!("killed before {stop_before:?} or after {stop_after:?}: {first:?} {second:?}");
        // A revert was decided already where nothing helped.
        assert_eq!(end(&settling), expected, "{at}");
        let asked: BTreeSet<&String> = first.iter().chain(&second).collect();
        assert_eq!(asked.len(), 1, "one request: {at}");
        assert!(first.is_empty() || second.is_empty(), "what is seen to be asked is not asked again: {at}");
    }
}

/// What a pass asks of a release that failed in this way.
fn asked(config: &str, failed: Release<'_>) -> (Vec<String>, Outcome) {
    let settling = Settling::merged_with(MergeMethod::Merge, config);
    let (base, merge) = commits(&settling);
    let mut story = Story::begin(&base, OLD);
    story
        .source(5.0, &merge)
        .applied(5.5, &merge, &base, false)
        .release(6.0, 2, Release::Upgrading(OLD, NEW))
        .release(30.0, 2, failed);
    let cluster = Scripted::of(&story.text(), 0.0);
    let settled = watch(&settling, &cluster, &Recording::default(), LATER).unwrap();
    (cluster.asked.into_inner().unwrap(), settled.outcomes[&settling.id])
}

/// Every release among the reasons was reset, whatever it had failed by.
#[rstest]
#[case::retries_ran_out("[reset_release]", Release::Failed(OLD, NEW), Some(true))]
#[case::retries_ran_out_and_both_are_chosen(
    "[reconcile, reset_release]",
    Release::Failed(OLD, NEW),
    Some(true)
)]
#[case::only_reconciling_is_chosen("[reconcile]", Release::Failed(OLD, NEW), Some(false))]
#[case::it_gave_up_for_another_reason("[reset_release]", Release::GivenUp(OLD, NEW), None)]
#[case::it_gave_up_and_both_are_chosen("[reconcile, reset_release]", Release::GivenUp(OLD, NEW), Some(false))]
fn release_is_asked_to_reconcile_and_reset_only_where_its(
    #[case] recovery: &str,
    #[case] failed: Release<'_>,
    #[case] resets: Option<bool>,
) {
    let (asked, outcome) = asked(&format!("validation: {{recovery: {recovery}}}\n"), failed);
    assert_eq!(outcome, Outcome::Reverted);
    assert_eq!(asked.len(), usize::from(resets.is_some()), "{asked:?}");
    for asked in asked {
        assert!(asked.starts_with("HelmRelease/apps/podinfo ") && asked.contains("requestedAt"), "{asked}");
        assert_eq!(asked.contains("resetAt"), resets == Some(true), "{asked}");
    }
}

/// What a pass asks the sources of the repository.
fn fetches(settling: &Settling, annotations: &Value, witness: &dyn Witness, now: &str) -> Vec<String> {
    let (base, merge) = commits(settling);
    let mut story = Story::begin(&base, OLD);
    story.annotate("GitRepository", annotations);
    let mut cluster = Scripted::of(&story.text(), 0.0);
    // It fetches when it is asked.
    let mut fetched = Story::begin(&base, OLD);
    fetched
        .source(1.0, &merge)
        .applied(2.0, &merge, &base, false)
        .release(3.0, 2, Release::Upgrading(OLD, NEW))
        .release(5.0, 2, Release::Deployed(NEW))
        .applied(6.0, &merge, &merge, true);
    cluster.answer = fetched.later();
    if annotations.is_object() {
        cluster.is_asked.notify_one();
    }
    drop(watch(settling, &cluster, witness, now));
    cluster.asked.into_inner().unwrap()
}

/// A merged update of the repository that sources of the cluster name.
fn with_address(config: &str) -> Settling {
    let mut world = World::with_address();
    world.config = config.to_owned();
    Settling::merged_in(world, MergeMethod::Merge)
}

#[test]
fn flux_is_asked_to_fetch_a_merge_where_that_was_chosen() {
    let settling = with_address("validation: {reconcile: true}\n");
    let asked = fetches(&settling, &Value::Null, &Recording::default(), LATER);
    let at = settling.update().merged_at.unwrap();
    assert_eq!(
        asked,
        [format!(
            "GitRepository/flux-system/flux-system {}",
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": at.to_string()}}})
        )]
    );
    assert_eq!(settling.update().stage, Stage::Verified, "it fetched, and all was well");
    for config in ["", "enabled: false\nvalidation: {reconcile: true}\n"] {
        let mut settling = with_address("");
        settling.world.config = config.to_owned();
        assert_eq!(fetches(&settling, &Value::Null, &Recording::default(), LATER), [""; 0], "{config}");
    }
}

#[test]
fn pass_that_is_killed_anywhere_asks_flux_to_fetch_by_one_request() {
    let settling = || with_address("validation: {reconcile: true}\n");
    let recording = Recording::default();
    let clean = settling();
    fetches(&clean, &Value::Null, &recording, LATER);
    let expected = end(&clean);
    assert_eq!(expected.0, Stage::Verified);
    for (stop_before, stop_after) in kills(recording.count()) {
        let settling = settling();
        let killed = Recording { stop_before, stop_after, ..Recording::default() };
        let first = fetches(&settling, &Value::Null, &killed, LATER);
        let seen = first.last().map_or(Value::Null, |asked| {
            let patch: Value = serde_json::from_str(asked.split_once(' ').unwrap().1).unwrap();
            patch["metadata"]["annotations"].clone()
        });
        let second = fetches(&settling, &seen, &Recording::default(), MUCH_LATER);
        let at = format!("killed before {stop_before:?} or after {stop_after:?}: {first:?} {second:?}");
        assert_eq!(end(&settling), expected, "{at}");
        assert_eq!(first.len() + second.len(), 1, "{at}");
    }
}

//! What people do on the base branch after a merge.

use gitops_updater::app::forge::MergeMethod;
use gitops_updater::app::settle::Outcome;
use gitops_updater::domain::state::Stage;

use gitops_updater::domain::settle::settings::Settings;
use gitops_updater::state::Transition;

use super::world::{LATER, Settling, settle_in};
use crate::pass::world::Recording;

#[test]
fn persons_revert_ends_the_update_and_the_version_is_not_proposed_again() {
    let settling = Settling::merged(MergeMethod::Merge);
    let merge = settling.update().merge_commit.unwrap();
    settling.world.git.run(["revert", "--no-edit", "-m", "1", &merge]);
    let settled = settling.settle(LATER);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Reverted);
    assert!(update.reason.as_deref().unwrap().starts_with("a person reverted it in "), "{:?}", update.reason);
    assert!(settling.world.state_file("quarantine.yaml").contains("6.5.1"));
    settling.world.at(LATER);
    assert_eq!(settling.world.pulls().iter().filter(|pull| pull.1.contains("podinfo")).count(), 1);
}

#[test]
fn version_that_a_person_wrote_back_by_hand_is_a_revert_too() {
    let settling = Settling::merged(MergeMethod::Squash);
    let text = std::fs::read_to_string(settling.world.dir().join("podinfo.yaml")).unwrap();
    settling.world.git.write("podinfo.yaml", text.replace("6.5.1", "6.5.0"));
    settling.world.git.commit_all("Back to what worked");
    settling.settle(LATER);
    assert_eq!(settling.update().stage, Stage::Reverted);
}

/// Only files that were byte for byte as before counted as reverted: the new version was verified while the old one ran.
#[test]
fn version_that_a_person_wrote_back_beside_other_changes_is_a_revert_too() {
    let settling = Settling::merged(MergeMethod::Squash);
    rewrite(&settling, "version: 6.5.0 # kept, and not to be moved");
    settling.settle(LATER);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Reverted);
    assert!(update.reason.unwrap().starts_with("a person reverted it in "));
}

#[test]
fn version_that_a_person_wrote_back_is_noticed_while_the_update_is_held() {
    let settling = Settling::merged(MergeMethod::Merge);
    let held = settling.store().change(LATER.parse().unwrap(), |state| {
        let update = state.updates.get_mut(&settling.id)?;
        update.stage = Stage::Held;
        update.status = update.stage.status();
        update.reason = Some("two replicas are not ready".to_owned());
        Some(Transition::of(update))
    });
    held.unwrap();
    rewrite(&settling, "version: 6.5.0 # back");
    settling.settle(LATER);
    assert_eq!(settling.update().stage, Stage::Reverted);
}

#[test]
fn other_version_that_a_person_put_in_place_ends_the_update() {
    let settling = Settling::merged(MergeMethod::Merge);
    rewrite(&settling, "version: 6.5.2 # kept");
    let settled = settling.settle(LATER);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Over);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Abandoned);
    let reason = update.reason.unwrap();
    assert!(reason.starts_with(&settling.main()[..7]), "{reason}");
    assert!(reason.ends_with("put another version in its place"), "{reason}");
}

/// The branch is looked at before the pull requests are: what is merged between was given up for good.
#[test]
fn merge_that_came_after_the_branch_was_looked_at_is_not_lost() {
    let settling = Settling::merged(MergeMethod::Merge);
    let merge = settling.update().merge_commit.unwrap();
    let before = settling.world.git.run(["rev-parse", &format!("{merge}^1")]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settled = settling.world.with_pass(&Recording::default(), LATER, &runtime, |pass| {
        let mut world = pass.observe()?;
        world.base = before.parse().unwrap();
        settle_in(pass, world, None, None, Settings::default(), false)
    });
    assert!(settled.unwrap().failures.is_empty());
    assert!(matches!(settling.update().stage, Stage::Merged | Stage::Rolling), "{:?}", settling.update());
}

/// A person commits this line in place of that of the version.
fn rewrite(settling: &Settling, line: &str) {
    let text = std::fs::read_to_string(settling.world.dir().join("podinfo.yaml")).unwrap();
    let old = text.lines().find(|line| line.trim().starts_with("version:")).unwrap().trim().to_owned();
    settling.world.git.write("podinfo.yaml", text.replace(&old, line));
    settling.world.git.commit_all("Mine");
}

#[test]
fn branch_that_lost_the_merge_leaves_nothing_to_judge() {
    let settling = Settling::merged(MergeMethod::Merge);
    let merge = settling.update().merge_commit.unwrap();
    settling.world.git.run(["reset", "--quiet", "--hard", &format!("{merge}^1")]);
    settling.settle(LATER);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Abandoned);
    assert!(update.reason.unwrap().contains("does not have its merge any more"));
}

#[test]
fn merge_is_recorded_by_settling_alone_and_waits_without_a_view_of_anything() {
    let settling = Settling::merged(MergeMethod::Merge);
    assert!(matches!(settling.update().stage, Stage::Merged | Stage::Rolling));
    let before = settling.main();
    let settled = settling.settle(LATER);
    assert_eq!(settled.outcomes.get(&settling.id).copied().unwrap_or(Outcome::Undecided), Outcome::Undecided);
    assert_eq!(settling.main(), before, "nobody can see the cluster: nothing is reverted");
}

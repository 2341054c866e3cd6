//! What people do on the base branch after a merge.

use gitops_updater::app::forge::MergeMethod;
use gitops_updater::app::settle::Outcome;
use gitops_updater::domain::state::Stage;

use super::world::{LATER, Settling};

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

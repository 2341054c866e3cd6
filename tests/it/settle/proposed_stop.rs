//! The stop of a rollout that is proposed in a pull request, and how it is known again when it is merged.

use super::nodes::{MUCH_LATER, NEW, Rollout, Shown, plan};
use crate::pass::world::Recording;

#[test]
fn stop_is_proposed_where_reverts_are_and_done_when_it_is_merged() {
    let rollout = Rollout::merged("validation: {revert_by: pull_request}\n");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), [""; 0]);
    let number = rollout.update().settling.stop.unwrap().pull_request.unwrap();
    assert!(rollout.update().reason.unwrap().contains(&format!("#{number}, which stops them")));
    rollout.look(&Shown::failed(), &Recording::default(), MUCH_LATER).unwrap();
    assert_eq!(rollout.world.pulls().iter().filter(|pull| pull.1.contains("stop-k3s")).count(), 1, "once");
    rollout.world.merge(number);
    rollout.look(&Shown::stopped(), &Recording::default(), "2026-11-21T14:00:00Z").unwrap();
    let stop = rollout.update().settling.stop.unwrap();
    assert!(stop.commit.is_some() && stop.in_force_at.is_some(), "{stop:?}");
    assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"));
}

/// A forge that squashes writes a message of its own: the stop was taken for a person's change, and none of the Plans
/// for stopped.
#[test]
fn stop_that_was_merged_under_other_words_is_known_by_what_it_changes() {
    let rollout = Rollout::merged("validation: {revert_by: pull_request}\n");
    rollout.sees(&Shown::failed());
    let branch = rollout.update().settling.stop.unwrap().branch.unwrap();
    let git = &rollout.world.git;
    git.run(["merge", "--quiet", "--squash", &branch]);
    git.run(["commit", "--quiet", "-m", "Merged by hand (#1)"]);
    rollout.sees(&Shown::failed());
    let stop = rollout.update().settling.stop.unwrap();
    assert_eq!(stop.commit.as_deref(), Some(git.run(["rev-parse", "main"]).as_str()), "{stop:?}");
    assert_eq!(stop.refused, [""; 0]);
    rollout.sees(&Shown::stopped());
    assert!(rollout.update().settling.stop.unwrap().in_force_at.is_some());
}

#[test]
fn change_of_a_person_beside_the_stop_is_no_stop() {
    let rollout = Rollout::merged("validation: {revert_by: pull_request}\n");
    rollout.sees(&Shown::failed());
    let branch = rollout.update().settling.stop.unwrap().branch.unwrap();
    let git = &rollout.world.git;
    git.run(["merge", "--quiet", "--squash", &branch]);
    git.write("server.yaml", plan("server", NEW, "0").replace("force", "gently"));
    git.write("mine.yaml", "mine: 1\n");
    git.run(["add", "--all"]);
    git.run(["commit", "--quiet", "-m", "Merged by hand (#1)"]);
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.update().settling.stop.unwrap().commit, None);
}

//! The stop of a rollout that is proposed in a pull request, and how it is known again when it is merged.

use gitops_updater::domain::settle::record::RolloutStop;
use rstest::rstest;

use super::rollout::{MUCH_LATER, NEW, Rollout, Shown, plan};
use crate::pass::world::Recording;

/// A rollout whose stop is proposed.
fn proposed() -> Rollout {
    let rollout = Rollout::merged("validation: {revert_by: pull_request}\n");
    rollout.sees(&Shown::failed());
    rollout
}

fn stop(rollout: &Rollout) -> RolloutStop {
    rollout.update().settling.stop.unwrap()
}

/// Somebody merges what is proposed as one commit, with words of a forge.
fn squash(rollout: &Rollout) {
    let git = &rollout.world.git;
    git.run(["merge", "--quiet", "--squash", &stop(rollout).branch.unwrap()]);
    git.run(["commit", "--quiet", "-m", "Merged by hand (#1)"]);
}

#[test]
fn stop_is_proposed_where_reverts_are_and_done_when_it_is_merged() {
    let rollout = proposed();
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
    let rollout = proposed();
    squash(&rollout);
    rollout.sees(&Shown::failed());
    let stop = stop(&rollout);
    let tip = rollout.world.git.run(["rev-parse", "main"]);
    assert_eq!(stop.commit, Some(tip), "{stop:?}");
    assert_eq!(stop.refused, [""; 0]);
    rollout.sees(&Shown::stopped());
    assert!(rollout.update().settling.stop.unwrap().in_force_at.is_some());
}

#[test]
fn change_of_a_person_beside_the_stop_is_no_stop() {
    let rollout = proposed();
    let branch = rollout.update().settling.stop.unwrap().branch.unwrap();
    let git = &rollout.world.git;
    git.run(["merge", "--quiet", "--squash", &branch]);
    git.write("server.yaml", plan("server", NEW, "0").replace("# at a time", "# gently"));
    git.write("mine.yaml", "mine: 1\n");
    git.run(["add", "--all"]);
    git.run(["commit", "--quiet", "-m", "Merged by hand (#1)"]);
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.update().settling.stop.unwrap().commit, None);
}

/// It was taken for the new one, which nobody followed then: further nodes got the version.
#[rstest]
#[case::merged(false)]
#[case::merged_under_other_words(true)]
fn stop_that_a_person_ended_is_not_taken_for_the_next_one(#[case] squashed: bool) {
    let rollout = proposed();
    let first = stop(&rollout).pull_request.unwrap();
    match squashed {
        true => squash(&rollout),
        false => rollout.world.merge(first),
    }
    rollout.look(&Shown::stopped(), &Recording::default(), "2026-11-21T12:30:00Z").unwrap();
    assert!(stop(&rollout).in_force_at.is_some());
    let git = &rollout.world.git;
    match squashed {
        true => git.run(["revert", "--no-edit", "HEAD"]),
        false => git.run(["revert", "--no-edit", "-m", "1", "HEAD"]),
    };
    rollout.resume(MUCH_LATER);
    for now in ["2026-11-21T13:30:00Z", "2026-11-21T14:00:00Z"] {
        rollout.look(&Shown::failed_again(), &Recording::default(), now).unwrap();
        let stop = stop(&rollout);
        assert!(stop.pull_request.unwrap() != first && stop.is_due(), "{stop:?}");
    }
    rollout.world.merge(stop(&rollout).pull_request.unwrap());
    rollout.look(&Shown::stopped(), &Recording::default(), "2026-11-21T15:00:00Z").unwrap();
    let stop = stop(&rollout);
    assert!(stop.commit.is_some() && stop.in_force_at.is_some(), "{stop:?}");
}

/// Its stop was merged under other words, and the update taken up again: the stop from before was taken for a person's
/// work, so that nothing was stopped when it failed again.
#[test]
fn stop_from_before_it_was_taken_up_again_is_no_persons_commit() {
    let rollout = proposed();
    squash(&rollout);
    rollout.look(&Shown::stopped(), &Recording::default(), "2026-11-21T12:30:00Z").unwrap();
    assert!(stop(&rollout).in_force_at.is_some());
    let first = stop(&rollout);
    rollout.resume(MUCH_LATER);
    let settling = rollout.update().settling;
    assert_eq!((settling.stop, settling.earlier_stops), (None, vec![first]));
    // The cluster has not got it any more, or again not yet.
    rollout.look(&Shown::failed_again(), &Recording::default(), "2026-11-21T13:30:00Z").unwrap();
    let evidence = format!("{:?}", rollout.store().load().unwrap().state.evidence);
    assert!(!evidence.contains("person_at_work"), "{evidence}");
    let again = stop(&rollout);
    assert_eq!(
        (again.refused.as_slice(), again.commit),
        (&[][..], Some(rollout.world.git.run(["rev-parse", "main"])))
    );
    // What a person adds is still theirs.
    rollout.resume("2026-11-21T14:00:00Z");
    rollout.world.git.write("server.yaml", plan("server", NEW, "0").replace("# at a time", "# gently"));
    rollout.world.git.commit_all("Mine");
    let shown = Shown {
        said_at: "2026-11-21T14:20:00Z",
        jobs: vec![("n1", "2026-11-21T14:20:00Z", false)],
        ..Shown::failed()
    };
    rollout.look(&shown, &Recording::default(), "2026-11-21T14:30:00Z").unwrap();
    let refused = stop(&rollout).refused;
    assert!(
        !refused.is_empty() && refused.iter().all(|why| why.contains("a person is at work")),
        "{refused:?}"
    );
}

#[test]
fn stop_that_was_taken_back_before_anybody_looked_is_still_proposed() {
    let rollout = proposed();
    squash(&rollout);
    rollout.world.git.run(["revert", "--no-edit", "HEAD"]);
    rollout.sees(&Shown::failed());
    assert!(stop(&rollout).is_due(), "{:?}", stop(&rollout));
}

/// A Plan of the same name in another folder is that of another cluster: its stop was taken for ours.
#[test]
fn stop_of_another_cluster_is_not_taken_for_ours() {
    let rollout = Rollout::merged("validation: {revert_by: pull_request}\n");
    let git = &rollout.world.git;
    let write = |concurrency: [&str; 2]| {
        git.write("staging/server.yaml", plan("server", NEW, concurrency[0]));
        git.write("staging/agent.yaml", plan("agent", NEW, concurrency[1]));
        git.commit_all("Staging");
    };
    write(["1", "2"]);
    rollout.sees(&Shown::failed());
    write(["0", "0"]);
    rollout.sees(&Shown::failed());
    assert!(stop(&rollout).is_due(), "{:?}", stop(&rollout));
    rollout.world.merge(stop(&rollout).pull_request.unwrap());
    rollout.sees(&Shown::stopped());
    assert!(stop(&rollout).in_force_at.is_some());
    assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"));
}

/// Nothing in a document that SOPS seals can be changed: that ended the pass.
#[test]
fn document_that_is_sealed_beside_what_a_person_stopped_is_no_failure() {
    let rollout = proposed();
    let sealed = "sops: {mac: ENC[x], version: 3.9.0}\n";
    for concurrency in ["1", "0"] {
        rollout.world.git.write("server.yaml", plan("server", NEW, concurrency) + sealed);
        rollout.world.git.write("agent.yaml", plan("agent", NEW, if concurrency == "0" { "0" } else { "2" }));
        rollout.world.git.commit_all("Mine");
    }
    rollout.sees(&Shown::failed());
    assert_eq!(stop(&rollout).commit, None);
    assert!(stop(&rollout).refused.iter().all(|why| why.contains("a person is at work")));
}

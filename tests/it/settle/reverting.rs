//! A revert that was decided is made: once, whoever is killed, by push or by pull request, and never over somebody.

use gitops_updater::app::forge::{MergeMethod, StatusState};
use gitops_updater::app::pass::mark_verified;
use gitops_updater::app::settle::Outcome;
use gitops_updater::domain::state::Stage;
use rstest::rstest;

use super::world::{LATER, Settling};
use crate::pass::world::Recording;
use crate::support::snapshot::snapshot;

const MUCH_LATER: &str = "2026-11-21T13:00:00Z";

#[rstest]
#[case::merge(MergeMethod::Merge)]
#[case::squash(MergeMethod::Squash)]
#[case::rebase(MergeMethod::Rebase)]
fn what_was_merged_is_reverted_and_nothing_else(#[case] method: MergeMethod) {
    let settling = Settling::merged(method);
    assert_eq!(settling.version(), "version: 6.5.1 # kept");
    settling.world.git.write("README.md", "# Home\n");
    settling.world.git.commit_all("Say what this is");
    settling.decide_to_revert();
    let before = settling.main();
    let settled = settling.settle(LATER);
    assert_eq!(settled.outcomes[&settling.id], Outcome::Reverted);
    assert_eq!(settling.version(), "version: 6.5.0 # kept");
    assert_eq!(
        settling.subjects()[0],
        "Revert \"helm/apps/podinfo: 6.5.1 -> 6.5.0\"".replace("6.5.1 -> 6.5.0", "6.5.0 -> 6.5.1")
    );
    let changed = settling.world.git.run(["diff", "--name-only", &before, "main"]);
    assert_eq!(changed, "podinfo.yaml");
    let update = settling.update();
    let reversal = update.settling.reversal.unwrap();
    assert_eq!(reversal.commit.as_deref(), Some(settling.main().as_str()));
    assert!(settling.world.state_file("quarantine.yaml").contains("6.5.1"));
    // It is not proposed again.
    settling.world.at(MUCH_LATER);
    let pulls = settling.world.pulls();
    assert_eq!(pulls.iter().filter(|pull| pull.1.contains("podinfo")).count(), 1, "{pulls:?}");
}

#[test]
fn message_tells_what_is_reverted_and_why() {
    let settling = Settling::merged(MergeMethod::Merge);
    settling.decide_to_revert();
    settling.settle(LATER);
    let merge = settling.update().merge_commit.unwrap();
    let message = settling.world.git.run(["log", "-1", "--format=%an <%ae> %cI%n%B", "main"]);
    snapshot!(message.replace(&merge, "[merge]"), @r#"
    gitops-updater <gitops-updater@localhost> 2026-11-21T12:00:00+00:00
    Revert "helm/apps/podinfo: 6.5.0 -> 6.5.1"

    Deployment/apps/podinfo: ProgressDeadlineExceeded

    This reverts commit [merge].

    Gitops-Updater-Reverts: update-20261121-100000
    Gitops-Updater-Component: helm/apps/podinfo
    "#);
    assert_eq!(settling.statuses()[0].state, StatusState::Failure);
    assert!(
        settling.comments().iter().any(|comment| comment.contains("reverted by")),
        "{:?}",
        settling.comments()
    );
}

#[test]
fn later_change_of_a_person_in_the_same_file_holds_the_revert() {
    let settling = Settling::merged(MergeMethod::Squash);
    let text = std::fs::read_to_string(settling.world.dir().join("podinfo.yaml")).unwrap();
    settling.world.git.write("podinfo.yaml", format!("{text}  interval: 5m\n"));
    settling.world.git.commit_all("Look less often");
    settling.decide_to_revert();
    let before = settling.main();
    let settled = settling.settle(LATER);
    assert_eq!(settled.outcomes[&settling.id], Outcome::HeldRegressed);
    assert_eq!(settling.main(), before);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Held);
    assert!(update.reason.as_deref().unwrap().contains("a person is at work"), "{:?}", update.reason);
    assert!(settling.pull(settling.number).labels.contains(&"gitops-updater/hold".to_owned()));
    assert_eq!(settling.statuses()[0].state, StatusState::Failure);
    let comments = settling.comments();
    assert!(
        comments.iter().any(|comment| comment.contains("What to do") && comment.contains("verify --resume")),
        "{comments:?}"
    );
    // Nothing more is proposed, and nothing is said twice.
    let done = settling.settle(MUCH_LATER);
    assert_eq!(done.effects, []);
}

#[test]
fn revert_is_proposed_where_that_is_wanted_and_recorded_when_a_person_merges_it() {
    let settling = Settling::merged_with(MergeMethod::Merge, "validation: {revert_by: pull_request}\n");
    settling.decide_to_revert();
    settling.settle(LATER);
    let update = settling.update();
    let number = update.settling.reversal.unwrap().pull_request.unwrap();
    assert_eq!(settling.version(), "version: 6.5.1 # kept", "nothing is pushed");
    assert_eq!(settling.settle(MUCH_LATER).effects, [], "it is proposed once");
    settling.world.merge(number);
    settling.settle(MUCH_LATER);
    assert_eq!(settling.version(), "version: 6.5.0 # kept");
    let update = settling.update();
    assert!(update.settling.reversal.unwrap().commit.is_some());
    assert!(settling.world.state_file("quarantine.yaml").contains("6.5.1"));
}

#[test]
fn person_who_closes_the_proposed_revert_keeps_the_version() {
    let settling = Settling::merged_with(MergeMethod::Merge, "validation: {revert_by: pull_request}\n");
    settling.decide_to_revert();
    settling.settle(LATER);
    let number = settling.update().settling.reversal.unwrap().pull_request.unwrap();
    settling.world.close(number);
    settling.settle(MUCH_LATER);
    let update = settling.update();
    assert_eq!(update.stage, Stage::Held);
    assert!(update.reason.unwrap().contains("a person closed"), "{:?}", settling.update().reason);
    assert_eq!(settling.version(), "version: 6.5.1 # kept");
}

#[test]
fn kill_switch_stops_reverts_and_maintenance_does_not() {
    let mut settling = Settling::merged(MergeMethod::Merge);
    settling.decide_to_revert();
    settling.world.config = "enabled: false\n".to_owned();
    let before = settling.main();
    settling.settle(LATER);
    assert_eq!(settling.main(), before);
    settling.world.config = "windows: [{cron: \"0 2 * * 6\", duration: 1h}]\n".to_owned();
    let store = settling.store();
    let now = LATER.parse().unwrap();
    store
        .change(now, |state| {
            state.maintenance = Some(gitops_updater::domain::state::Maintenance {
                by: "jane".to_owned(),
                reason: None,
                since: now,
                until: None,
            });
            Some(gitops_updater::state::Transition::new("Maintain"))
        })
        .unwrap();
    settling.settle(LATER);
    assert_eq!(settling.version(), "version: 6.5.0 # kept");
}

#[test]
fn kill_switch_that_is_pushed_while_a_pass_runs_stops_its_revert() {
    let settling = Settling::merged(MergeMethod::Merge);
    settling.decide_to_revert();
    settling.world.git.write(".gitops-updater.yaml", "enabled: false\n");
    let before = settling.world.git.commit_all("Stop");
    // The pass itself was begun with the configuration of before.
    settling.settle(LATER);
    assert_eq!(settling.main(), before);
}

/// Everything that was written, and how many effects it took.
fn clean() -> (Vec<String>, usize) {
    let settling = Settling::merged(MergeMethod::Merge);
    settling.decide_to_revert();
    let recording = Recording::default();
    settling.settle_by(&recording, LATER).unwrap();
    (settling.world.refs(), recording.count())
}

#[test]
fn revert_that_is_killed_before_or_after_any_effect_ends_as_a_clean_one() {
    let (expected, count) = clean();
    assert!(count >= 4, "the push, the record, the status and the comment: {count}");
    for stop in 0..count {
        for before in [true, false] {
            let settling = Settling::merged(MergeMethod::Merge);
            settling.decide_to_revert();
            let stopped = Recording {
                stop_before: before.then_some(stop),
                stop_after: (!before).then_some(stop),
                ..Recording::default()
            };
            assert!(settling.settle_by(&stopped, LATER).is_err(), "effect {stop} was not stopped");
            settling.settle(LATER);
            let at = if before { "before" } else { "after" };
            assert_eq!(settling.world.refs(), expected, "killed {at} effect {stop}");
        }
    }
}

#[test]
fn two_passes_at_once_make_one_revert() {
    let settling = Settling::merged(MergeMethod::Squash);
    settling.decide_to_revert();
    std::thread::scope(|scope| {
        let passes =
            [(); 2].map(|()| scope.spawn(|| settling.settle_by(&Recording::default(), LATER).map(drop)));
        for pass in passes {
            let _outcome = pass.join().unwrap();
        }
    });
    settling.settle(LATER);
    let reverts = settling.subjects().iter().filter(|subject| subject.starts_with("Revert")).count();
    assert_eq!(reverts, 1, "{:?}", settling.subjects());
    assert_eq!(settling.version(), "version: 6.5.0 # kept");
}

#[test]
fn second_revert_within_a_day_stops_all_proposing_until_a_person_looks() {
    let settling = Settling::merged(MergeMethod::Merge);
    let website = settling.world.pulls().iter().find(|pull| pull.1.contains("website")).unwrap().0;
    settling.world.merge(website);
    settling.decide_to_revert();
    settling.settle(LATER);
    assert!(settling.state().breaker.is_none());
    let state = settling.state();
    let other = state.updates.values().find(|update| update.component == "helm/apps/website").unwrap();
    let second = Settling { id: other.update_id.clone(), ..settling };
    second.decide_to_revert();
    second.settle(MUCH_LATER);
    let breaker = second.state().breaker.unwrap();
    assert_eq!(breaker.reverted.len(), 2);
    let mut second = second;
    second.world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.5.2"]);
    let count = second.world.pulls().len();
    second.world.at(MUCH_LATER);
    assert_eq!(second.world.pulls().len(), count, "nothing is proposed");
    let held = &second.world.at(MUCH_LATER).plan.waves[0].steps[0].reasons;
    assert!(held.iter().any(|reason| reason.contains("circuit breaker")), "{held:?}");
    second
        .store()
        .change(MUCH_LATER.parse().unwrap(), |state| gitops_updater::app::pass::close_breaker(state, "jane"))
        .unwrap();
    // Whoever closes it has looked at these: the next one alone does not open it again.
    let state = second.state();
    let reversals = state.updates.values().filter_map(|update| update.settling.reversal.as_ref());
    let seen: Vec<_> = reversals.filter(|one| one.made_at.is_some()).map(|one| &one.seen_by).collect();
    assert!(!seen.is_empty() && seen.iter().all(|by| by.as_deref() == Some("jane")), "{seen:?}");
    let store = second.store();
    for id in second.state().updates.keys() {
        let now = MUCH_LATER.parse().unwrap();
        store.change(now, |state| mark_verified(state, id, "accepted by jane", now)).unwrap();
    }
    second.world.at("2026-11-21T14:00:00Z");
    assert_eq!(second.world.pulls().len(), count + 1, "and then it is again");
}

//! A k3s update that went wrong on its way from node to node: the rollout is stopped in Git, once, whoever is killed; nodes
//! that its own Jobs left cordoned get pods again; and nothing changes the version.

use gitops_updater::app::cluster::ErrorClass;
use gitops_updater::domain::state::Stage;
use rstest::rstest;
use serde_json::json;

use super::recovering::kills;
use super::rollout::{ID, LATER, MOVED, MUCH_LATER, NEW, NodeIs, Rollout, Shown, WAITS, plan};
use crate::pass::world::Recording;

const STOP: &str = "Stop the rollout of k3s v1.36.3+k3s1";

#[test]
fn rollout_that_failed_is_stopped_in_git_and_the_version_stays() {
    let rollout = Rollout::merged("");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), [STOP]);
    assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"), "one digit");
    assert_eq!(rollout.file("agent.yaml") + "\n", plan("agent", NEW, "0"));
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Held);
    assert!(!update.settling.hold.unwrap().clears_itself);
    let stop = update.settling.stop.unwrap();
    assert_eq!(stop.commit, Some(rollout.world.git.run(["rev-parse", "main"])));
    assert_eq!(
        stop.plans,
        [("system-upgrade/agent".to_owned(), 2), ("system-upgrade/server".to_owned(), 1)].into()
    );
    assert!(update.reason.unwrap().contains("no further node follows when Flux has applied"));
    let message = rollout.world.git.run(["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("Gitops-Updater-Stops: update-20261121-100000 2026-11-21T12:00:"), "{message}");
}

#[test]
fn plan_that_says_it_is_complete_while_it_is_stopped_proves_nothing() {
    let rollout = Rollout::merged("");
    rollout.sees(&Shown::failed());
    let shown = Shown { nodes: vec![MOVED, MOVED, WAITS], ..Shown::stopped() };
    rollout.look(&shown, &Recording::default(), MUCH_LATER).unwrap();
    assert_eq!(rollout.commits(), [STOP], "once");
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Held, "{:?}", update.reason);
    assert!(update.reason.unwrap().contains("no further node follows: stopped as of"));
    assert!(update.settling.stop.unwrap().in_force_at.is_some());
    // A person who takes it up again and leaves the rollout stopped does not get it verified.
    rollout.resume(MUCH_LATER);
    let (settled, _) = rollout.look(&shown, &Recording::default(), "2026-11-21T13:10:00Z").unwrap();
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Rolling, "{:?}", update.reason);
    assert!(
        settled.waiting[ID].contains("its concurrency is 0: n2 will not follow"),
        "{:?}",
        settled.waiting
    );
}

#[test]
fn node_that_does_not_come_back_stops_the_next_one() {
    let rollout = Rollout::merged("");
    let away = NodeIs { ready: false, done: true, ..WAITS };
    let shown = Shown {
        nodes: vec![away, WAITS, WAITS],
        applying: vec!["n1"],
        complete: ("False", "SyncJob"),
        jobs: vec![("n0", "2026-11-21T11:04:00Z", true)],
        ..Shown::failed()
    };
    rollout.sees(&shown);
    assert_eq!(rollout.commits(), [STOP]);
    let update = rollout.update();
    assert!(!update.settling.hold.unwrap().clears_itself, "only a person lets the nodes go on");
    assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"));
}

#[rstest]
#[case::the_user_does_not_want_it("validation: {stop_rollouts: false}\n", Shown::failed())]
#[case::everything_is_stopped("enabled: false\n", Shown::failed())]
#[case::no_node_is_to_follow("", Shown { nodes: vec![MOVED, WAITS], ..Shown::failed() })]
#[case::its_plans_cannot_be_seen("", Shown { watching: vec!["GitRepository", "Kustomization", "HelmRelease", "Pod", "Node", "Job"], ..Shown::failed() })]
fn nothing_is_stopped_in_git_where(#[case] config: &str, #[case] shown: Shown) {
    let rollout = Rollout::merged(config);
    rollout.sees(&shown);
    assert_eq!(rollout.commits(), [""; 0]);
    assert!(rollout.update().settling.stop.is_none());
}

#[test]
fn what_cannot_be_stopped_in_git_is_said() {
    let rollout = Rollout::with("", "${AT_ONCE}");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), [STOP]);
    assert_eq!(rollout.file("agent.yaml") + "\n", plan("agent", NEW, "0"));
    let update = rollout.update();
    assert!(update.reason.unwrap().contains("server.yaml:6 cannot be changed: a variable sets it"));

    let rollout = Rollout::merged("");
    rollout.sees(&Shown {
        annotations: json!({"upgrade.cattle.io/digest": "spec.concurrency"}),
        ..Shown::failed()
    });
    assert_eq!(rollout.commits(), [""; 0]);
    assert!(rollout.update().reason.unwrap().contains("would begin the rollout anew"));
}

#[test]
fn files_that_a_person_changed_since_are_left_alone() {
    let rollout = Rollout::merged("");
    rollout
        .world
        .git
        .write("server.yaml", plan("server", NEW, "1").replace("upgrade:", "cordon: true\n  upgrade:"));
    rollout.world.git.commit_all("Cordon");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), ["Cordon"]);
    assert!(rollout.update().reason.unwrap().contains("a person is at work"));
}

#[test]
fn pass_that_is_killed_anywhere_stops_the_rollout_once() {
    let recording = Recording::default();
    Rollout::merged("").look(&Shown::failed(), &recording, LATER).unwrap();
    for stop in 0..recording.count() {
        let rollout = Rollout::merged("");
        let stopped = Recording { stop_after: Some(stop), ..Recording::default() };
        assert!(rollout.look(&Shown::failed(), &stopped, LATER).is_err(), "effect {stop}");
        rollout.look(&Shown::failed(), &Recording::default(), MUCH_LATER).unwrap();
        assert_eq!(rollout.commits(), [STOP], "killed after effect {stop}");
        assert_eq!(rollout.file("server.yaml") + "\n", plan("server", NEW, "0"));
        let update = rollout.update();
        let commit = rollout.world.git.run(["rev-parse", "main"]);
        assert_eq!((update.stage, update.settling.stop.unwrap().commit), (Stage::Held, Some(commit)));
    }
}

/// A node that is back on the new version, and that its failed Job left cordoned.
fn left() -> Shown {
    let left = NodeIs { done: false, cordoned_at: Some("2026-11-21T11:03:00Z"), ..MOVED };
    Shown {
        nodes: vec![left, WAITS],
        applying: vec!["n0"],
        jobs: vec![("n0", "2026-11-21T11:20:00Z", false)],
        ..Shown::failed()
    }
}

#[test]
fn node_that_its_own_job_left_cordoned_gets_pods_again_once() {
    let rollout = Rollout::merged("validation: {recovery: [uncordon]}\n");
    let asked = rollout.sees(&left());
    let patches: Vec<&String> = asked.iter().filter(|asked| asked.starts_with("Node/-/n0 ")).collect();
    assert_eq!(patches.len(), 1, "{asked:?}");
    assert!(patches[0].contains("\"unschedulable\":null"), "{patches:?}");
    let update = rollout.update();
    assert_eq!(update.settling.uncordoned["n0"].job, "system-upgrade/apply-n0");
    let noted = &update.settling.uncordoned["n0"];
    assert!(noted.done_at.is_some() && noted.refused.is_none(), "{noted:?}");
    // It is seen cordoned again, by whomever.
    let (_, asked) = rollout.look(&left(), &Recording::default(), MUCH_LATER).unwrap();
    assert_eq!(asked, [""; 0]);
}

/// Recorded and not asked, the node stayed cordoned for ever and was told as one that has pods again.
#[test]
fn pass_that_is_killed_anywhere_leaves_no_node_cordoned() {
    let rollout = || Rollout::merged("validation: {recovery: [uncordon]}\n");
    let recording = Recording::default();
    rollout().look(&left(), &recording, LATER).unwrap();
    for (stop_before, stop_after) in kills(recording.count()) {
        let rollout = rollout();
        let killed = Recording { stop_before, stop_after, ..Recording::default() };
        let cluster = rollout.shows(&left());
        assert!(rollout.look_at(&cluster, &killed, LATER).is_err(), "{stop_before:?} {stop_after:?}");
        let first = cluster.asked.into_inner().unwrap();
        let mut shown = left();
        if !first.is_empty() {
            shown.nodes[0].cordoned_at = None;
        }
        let (_, second) = rollout.look(&shown, &Recording::default(), MUCH_LATER).unwrap();
        let at = format!("killed before {stop_before:?} or after {stop_after:?}: {first:?} {second:?}");
        assert_eq!(first.len() + second.len(), 1, "{at}");
        let noted = &rollout.update().settling.uncordoned["n0"];
        assert!(noted.done_at.is_some() && noted.refused.is_none(), "{at}: {noted:?}");
        assert_eq!(rollout.commits(), [STOP], "{at}");
    }
}

#[test]
fn node_is_asked_for_again_where_the_cluster_was_away_and_not_where_a_person_was_faster() {
    let rollout = Rollout::merged("validation: {recovery: [uncordon]}\n");
    let mut cluster = rollout.shows(&left());
    cluster.refuses = Some(ErrorClass::Transient);
    rollout.look_at(&cluster, &Recording::default(), LATER).unwrap();
    let noted = rollout.update().settling.uncordoned["n0"].clone();
    assert!(noted.is_due(), "{noted:?}");
    // Somebody cordons it for a reason of their own meanwhile.
    let mut shown = left();
    shown.nodes[0].cordoned_at = Some("2026-11-21T12:30:00Z");
    let (_, asked) = rollout.look(&shown, &Recording::default(), MUCH_LATER).unwrap();
    assert_eq!(asked, [""; 0]);
    let noted = rollout.update().settling.uncordoned["n0"].clone();
    assert_eq!(noted.refused.as_deref(), Some("somebody changed it meanwhile"));

    let rollout = Rollout::merged("validation: {recovery: [uncordon]}\n");
    let mut cluster = rollout.shows(&left());
    cluster.refuses = Some(ErrorClass::Transient);
    rollout.look_at(&cluster, &Recording::default(), LATER).unwrap();
    let (_, asked) = rollout.look(&left(), &Recording::default(), MUCH_LATER).unwrap();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(rollout.update().settling.uncordoned["n0"].done_at.is_some());
}

#[rstest]
#[case::it_was_not_chosen("", left())]
#[case::a_person_cordoned_it("validation: {recovery: [uncordon]}\n", {
    let mut shown = left();
    shown.nodes[0].cordoned_at = Some("2026-11-21T11:40:00Z");
    shown
})]
#[case::it_is_not_back("validation: {recovery: [uncordon]}\n", {
    let mut shown = left();
    shown.nodes[0].ready = false;
    shown
})]
#[case::everything_is_stopped("enabled: false\nvalidation: {recovery: [uncordon]}\n", left())]
fn node_stays_cordoned_where(#[case] config: &str, #[case] shown: Shown) {
    let rollout = Rollout::merged(config);
    assert_eq!(rollout.sees(&shown), [""; 0]);
    assert!(rollout.update().settling.uncordoned.is_empty());
}

#[test]
fn what_failed_before_a_person_took_it_up_again_does_not_stop_it_anew() {
    let rollout = Rollout::merged("");
    rollout.sees(&Shown::failed());
    assert_eq!(rollout.commits(), [STOP]);
    rollout.world.git.run(["revert", "--no-edit", "HEAD"]);
    rollout.resume(MUCH_LATER);
    // Neither Flux nor the controller has gone on yet.
    let (settled, _) = rollout.look(&Shown::failed(), &Recording::default(), "2026-11-21T13:00:10Z").unwrap();
    let update = rollout.update();
    assert_eq!(update.stage, Stage::Rolling, "{:?}", update.reason);
    assert!(settled.waiting[ID].contains("before it was taken up again"), "{:?}", settled.waiting);
    assert_eq!(rollout.commits().len(), 2, "{:?}", rollout.commits());
}

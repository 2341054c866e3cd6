//! What people do between passes, and what the next one makes of it.

use std::sync::Arc;

use gitops_updater::app::effects::{Effect, Go, Stopped, Witness};
use gitops_updater::domain::settle::record::Evidence;
use gitops_updater::domain::state::Stage;
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};

use super::world::World;

const LATER: &str = "2026-11-21T12:00:00Z";

fn stages(done: &gitops_updater::app::pass::Done) -> Vec<(String, String, Stage)> {
    let mut stages: Vec<_> = done
        .state
        .updates
        .values()
        .map(|update| (update.component.clone(), update.to.clone(), update.stage))
        .collect();
    stages.sort();
    stages
}

#[test]
fn proposal_changes_the_version_and_nothing_else() {
    let world = World::new();
    world.run();
    let branches = world.branches();
    let podinfo = branches.iter().find(|branch| branch.contains("podinfo")).unwrap();
    let diff = world.git.run(["diff", "--unified=0", "main", podinfo]);
    let changed: Vec<&str> = diff
        .lines()
        .filter(|line| {
            (line.starts_with('+') || line.starts_with('-'))
                && !line.starts_with("+++")
                && !line.starts_with("---")
        })
        .collect();
    assert_eq!(changed, ["-      version: 6.5.0 # kept", "+      version: 6.5.1 # kept"]);
}

#[test]
fn nothing_newer_means_no_pull_request_and_no_ref() {
    let mut world = World::new();
    world.published.0 = [("podinfo".to_owned(), vec!["6.5.0"]), ("website".to_owned(), vec!["1.0.0"])].into();
    let before = world.refs();
    let done = world.run();
    assert_eq!(done.effects, []);
    assert_eq!(world.refs(), before);
}

#[test]
fn merged_step_waits_for_a_person_and_is_not_proposed_again() {
    let world = World::new();
    world.run();
    let number = world.pulls().iter().find(|pull| pull.1.contains("podinfo")).unwrap().0;
    world.merge(number);
    let done = world.at(LATER);
    assert!(stages(&done).contains(&("helm/apps/podinfo".to_owned(), "6.5.1".to_owned(), Stage::Merged)));
    let waiting: Vec<&String> = done.waiting.values().collect();
    assert!(waiting.iter().any(|reason| reason.contains("has to say that it is healthy")), "{waiting:?}");
    assert_eq!(world.pulls().iter().filter(|pull| pull.1.contains("podinfo")).count(), 1);
}

#[test]
fn merged_step_counts_as_verified_after_its_time_where_that_was_chosen() {
    let mut world = World::new();
    world.config = "policy: {verification: merged, settle: 1h}\n".to_owned();
    world.run();
    for (number, ..) in world.pulls() {
        world.merge(number);
    }
    let done = world.at("2026-11-21T10:30:00Z");
    assert!(stages(&done).iter().all(|(.., stage)| *stage == Stage::Merged), "{:?}", stages(&done));
    let done = world.at(LATER);
    assert!(stages(&done).iter().all(|(.., stage)| *stage == Stage::Verified), "{:?}", stages(&done));
    assert_eq!(world.branches(), [""; 0], "branches of what is over are taken away");
    let campaign = done.state.campaigns.values().next().unwrap();
    assert_eq!(campaign.rollback_points.len(), 2);
}

#[test]
fn version_whose_pull_request_was_closed_is_not_proposed_again_until_a_newer_one_appears() {
    let mut world = World::new();
    world.run();
    let number = world.pulls().iter().find(|pull| pull.1.contains("podinfo")).unwrap().0;
    world.close(number);
    for _ in 0..2 {
        world.at(LATER);
    }
    assert_eq!(world.pulls().iter().filter(|pull| pull.1.contains("podinfo")).count(), 1);
    assert!(world.state_file("quarantine.yaml").contains("closed without being merged"));
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.5.2"]);
    world.at(LATER);
    let open: Vec<_> =
        world.pulls().into_iter().filter(|pull| pull.1.contains("podinfo") && pull.2 == "open").collect();
    assert_eq!(open.len(), 1);
    assert!(open[0].1.contains("6.5.2"), "{open:?}");
}

#[test]
fn newer_version_takes_the_place_of_an_open_pull_request() {
    let mut world = World::new();
    world.run();
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.5.2"]);
    world.at(LATER);
    let podinfo: Vec<_> =
        world.pulls().into_iter().filter(|pull| pull.1.contains("podinfo")).map(|pull| pull.2).collect();
    assert_eq!(podinfo, ["closed", "open"]);
    assert!(!world.branches().iter().any(|branch| branch.contains("6.5.1")));
}

#[test]
fn branch_with_a_commit_of_somebody_else_is_left_alone() {
    let mut world = World::new();
    world.run();
    let branch = world.branches().into_iter().find(|branch| branch.contains("podinfo")).unwrap();
    world.git.run(["checkout", "--quiet", &branch]);
    world.git.write("podinfo.yaml", "mine: 1\n");
    world.git.commit_all("Mine");
    world.git.run(["checkout", "--quiet", "main"]);
    let mine = world.git.run(["rev-parse", &branch]);
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.5.2"]);
    let done = world.at(LATER);
    assert_eq!(world.git.run(["rev-parse", &branch]), mine);
    assert!(done.waiting.values().any(|reason| reason.contains("somebody else")), "{:?}", done.waiting);
}

#[test]
fn branch_is_made_anew_when_its_file_changed_on_the_base_branch() {
    let world = World::new();
    world.run();
    let branch = world.branches().into_iter().find(|branch| branch.contains("podinfo")).unwrap();
    let old = world.git.run(["rev-parse", &branch]);
    let text = std::fs::read_to_string(world.dir().join("podinfo.yaml")).unwrap();
    world.git.write("podinfo.yaml", format!("# looked at\n{text}"));
    world.git.commit_all("Look at it");
    world.at(LATER);
    assert_ne!(world.git.run(["rev-parse", &branch]), old);
    assert_eq!(world.git.run(["merge-base", "main", &branch]), world.git.run(["rev-parse", "main"]));
    let text = world.git.run(["show", &format!("{branch}:podinfo.yaml")]);
    assert!(text.starts_with("# looked at\n") && text.contains("version: 6.5.1"), "{text}");
    assert_eq!(world.pulls().len(), 2, "the pull request is the same one");
}

#[test]
fn commit_elsewhere_on_the_base_branch_leaves_branches_as_they_are() {
    let world = World::new();
    world.run();
    let before =
        world.branches().iter().map(|branch| world.git.run(["rev-parse", branch])).collect::<Vec<_>>();
    world.git.write("README.md", "# Home\n");
    world.git.commit_all("Say what this is");
    let done = world.at(LATER);
    let after =
        world.branches().iter().map(|branch| world.git.run(["rev-parse", branch])).collect::<Vec<_>>();
    assert_eq!(after, before);
    assert_eq!(done.effects, []);
}

#[test]
fn lost_state_is_rebuilt_from_the_pull_requests() {
    let world = World::new();
    let first = world.run();
    for name in ["state", "state-seen"] {
        world.git.run(["update-ref", "-d", &format!("refs/gitops-updater/{name}")]);
    }
    for name in world.git.run(["for-each-ref", "--format=%(refname)", "refs/remotes"]).lines() {
        world.git.run(["update-ref", "-d", name]);
    }
    let pulls = world.pulls();
    let rebuilt = world.at(LATER);
    let ids = |done: &gitops_updater::app::pass::Done| done.state.updates.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&rebuilt), ids(&first));
    assert_eq!(world.pulls(), pulls);
}

#[test]
fn rewritten_state_is_never_built_upon() {
    let world = World::new();
    world.run();
    let empty = world.git.run(["commit-tree", "-m", "Forget", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"]);
    world.git.run(["update-ref", "refs/gitops-updater/state", &empty]);
    let before = world.refs();
    let error = world.pass(&super::world::Recording::default(), LATER).unwrap_err();
    assert!(error.to_string().contains("rewrote") || error.to_string().contains("schema"), "{error}");
    assert_eq!(world.refs(), before);
}

#[test]
fn limits_keep_the_number_of_open_pull_requests() {
    let mut world = World::new();
    world.config = "limits: {open_pull_requests: 1}\n".to_owned();
    world.run();
    assert_eq!(world.pulls().len(), 1);
    world.at(LATER);
    assert_eq!(world.pulls().len(), 1);
}

#[test]
fn kill_switch_stops_everything_but_the_record() {
    let mut world = World::new();
    world.run();
    for (number, ..) in world.pulls() {
        world.merge(number);
    }
    world.published.0.insert("podinfo".to_owned(), vec!["6.5.0", "6.5.1", "6.5.2"]);
    world.config = "enabled: false\n".to_owned();
    let done = world.at(LATER);
    assert!(done.state.updates.values().all(|update| update.stage == Stage::Merged), "{:?}", stages(&done));
    assert_eq!(world.pulls().len(), 2, "nothing new is proposed");
    assert_eq!(world.branches().len(), 2, "nothing is deleted");
}

/// The body of a step of a ladder told of what only its end brings.
#[test]
fn body_of_a_step_tells_of_its_own_versions_alone() {
    let mut world = World::new();
    world.git.write(
        "longhorn.yaml",
        "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: longhorn, namespace: longhorn-system}
spec:
  chart:
    spec: {chart: longhorn, version: 1.8.2, sourceRef: {kind: HelmRepository, name: example, namespace: apps}}
",
    );
    world.git.commit_all("Add storage");
    world.published.0 = [
        ("podinfo".to_owned(), vec!["6.5.0"]),
        ("website".to_owned(), vec!["1.0.0"]),
        ("longhorn".to_owned(), vec!["1.8.2", "1.9.0", "1.9.2", "1.10.0", "1.10.1"]),
    ]
    .into();
    world.run();
    let bodies = world.bodies();
    let [body] = bodies.as_slice() else { panic!("{bodies:?}") };
    assert!(body.contains("what 1.9.2 removed is gone") && body.contains("CVE-2026-9192"), "{body}");
    assert!(body.contains("what 1.9.0 removed is gone"), "{body}");
    assert!(!body.contains("what 1.10") && !body.contains("CVE-2026-911"), "{body}");
    // Of what the database says that the newest no longer has, this step fixes the first.
    assert!(body.contains("CVE-2025-8009") && !body.contains("CVE-2025-801"), "{body}");
}

/// Locks the state when evidence is about to be forgotten.
struct Locking(std::path::PathBuf);

impl Witness for Locking {
    fn before(&self, effect: &Effect) -> Result<Go, Stopped> {
        if effect.to_string().contains("Forget the evidence") {
            std::fs::write(&self.0, "").unwrap();
        }
        Ok(Go::Do)
    }
}

/// What is over stays in the record for `report`; why it was judged so is in the history of the ref after a while.
#[test]
fn evidence_of_what_is_long_over_leaves_the_record() {
    let mut world = World::new();
    world.config = "policy: {verification: merged, settle: 1h}\n".to_owned();
    world.run();
    let number = world.pulls()[0].0;
    world.merge(number);
    world.at("2026-11-21T10:30:00Z");
    world.at("2026-11-21T12:00:00Z");
    let files = || world.git.run(["ls-tree", "-r", "--name-only", "refs/gitops-updater/state"]);
    let id = world
        .run()
        .state
        .updates
        .values()
        .find(|update| update.stage == Stage::Verified)
        .unwrap()
        .update_id
        .clone();
    let store =
        StateStore::new(Arc::new(WriteRepo::open(world.dir(), Remote::own()).unwrap()), Person::bot());
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let added = store.change(now, |state| {
        state.evidence.insert(id.clone(), Evidence::new(&id));
        Some(Transition::new("Say something"))
    });
    added.unwrap();
    let evidence = format!("evidence/{id}.yaml");
    world.at("2027-02-18T12:00:00Z");
    assert!(files().contains(&evidence), "{}", files());
    // Where it cannot be taken out, the pass ends as it does otherwise, and the next one tries again.
    let locked = Locking(world.dir().join(".git/refs/gitops-updater/state.lock"));
    let done = world.pass(&locked, "2027-02-20T12:00:00Z").unwrap();
    let failed: Vec<&str> = done.failures.iter().map(|failure| failure.component.as_str()).collect();
    assert_eq!(failed, ["state"], "{:?}", done.failures);
    assert!(files().contains(&evidence), "{}", files());
    std::fs::remove_file(locked.0).unwrap();
    let done = world.at("2027-02-20T12:00:00Z");
    assert!(!files().contains(&evidence) && files().contains(&format!("updates/{id}.yaml")), "{}", files());
    assert!(
        done.effects.iter().any(|effect| effect.to_string().contains("Forget the evidence")),
        "{:?}",
        done.effects
    );
    assert!(world.at("2027-02-20T12:00:00Z").effects.is_empty());
}

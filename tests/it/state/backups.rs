//! Backup points: made once, read back, restored, and in time removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::time::Duration;

use gitops_updater::backup::{Backups, Error, PREFIX, Retention, Scope, id_for_step};
use gitops_updater::domain::backup::{BackedUp, BackupPoint, BackupStep, SCHEMA};
use gitops_updater::repo::write::{Id, Person};

use super::{World, time, world};
use crate::support::snapshot::snapshot;

fn point(world: &World, id: &str) -> BackupPoint {
    let files = |file: &str| BackedUp { version: Some("1.8.2".to_owned()), files: vec![file.to_owned()] };
    BackupPoint {
        schema: SCHEMA.to_owned(),
        backup_id: id.to_owned(),
        created_at: time(),
        reason: None,
        branch: "main".to_owned(),
        commit: world.bare.run(["rev-parse", "main"]),
        step: Some(BackupStep {
            component: "longhorn".to_owned(),
            from: "1.8.2".to_owned(),
            to: "1.9.1".to_owned(),
        }),
        components: BTreeMap::from([
            ("longhorn".to_owned(), files("apps/a.yaml")),
            ("k3s".to_owned(), files("apps/b.yaml")),
        ]),
        facts: None,
        state: None,
        data: vec![],
        not_covered: vec![],
    }
}

/// Puts a commit on `main` of the remote.
fn somebody_pushes(world: &World, files: &[(&str, &str)]) -> Id {
    let seed = crate::support::git::Git::at(world.folder.path().join("seed"));
    for (path, text) in files {
        seed.write(path, text);
    }
    let id = seed.commit_all("Change");
    seed.run(["push", "--quiet", "../bare.git", "main"]);
    id.parse().unwrap()
}

#[test]
fn a_backup_point_is_a_tag_on_a_commit_beside_the_branch() {
    let world = world();
    let backups = Backups::new(world.clone("one"), Person::bot());
    let point = point(&world, "backup-20261121-095500");
    let exports = BTreeMap::from([("cluster/nodes.yaml".to_owned(), b"nodes\n".to_vec())]);
    let tag = backups.create(&point, &exports).unwrap();
    let name = format!("{PREFIX}backup-20261121-095500");
    assert_eq!(world.bare.run(["rev-parse", &name]), tag.to_string());
    assert_eq!(world.bare.run(["rev-parse", &format!("{name}^{{commit}}~1")]), point.commit);
    snapshot!(world.bare.run(["ls-tree", "-r", "--name-only", &name]), @r"
    .gitops-updater-backup/backup.yaml
    .gitops-updater-backup/cluster/nodes.yaml
    apps/a.yaml
    apps/b.yaml
    ");
    snapshot!(world.bare.run(["cat-file", "tag", &name]), @r"
    object [commit]
    type commit
    tag backup-20261121-095500
    tagger gitops-updater <gitops-updater@localhost> 1795255200 +0000

    Backup point backup-20261121-095500

    schema: gitops-updater/backup/v1
    backup_id: backup-20261121-095500
    created_at: 2026-11-21T10:00:00Z
    reason: null
    branch: main
    commit: [commit]
    step:
      component: longhorn
      from: 1.8.2
      to: 1.9.1
    components:
      k3s:
        version: 1.8.2
        files:
        - apps/b.yaml
      longhorn:
        version: 1.8.2
        files:
        - apps/a.yaml
    facts: null
    state: null
    data: []
    ");
    // A fresh clone reads the same.
    let elsewhere = Backups::new(world.clone("two"), Person::bot());
    assert_eq!(elsewhere.show("backup-20261121-095500").unwrap(), point);
    assert_eq!(elsewhere.list().unwrap()[0].point.as_ref().unwrap(), &point);
    world.bare.run(["fsck", "--strict"]);
}

#[test]
fn a_backup_point_is_written_once() {
    let world = world();
    let backups = Backups::new(world.clone("one"), Person::bot());
    let point = point(&world, "b1");
    let none = BTreeMap::new();
    let tag = backups.create(&point, &none).unwrap();
    assert_eq!(backups.create(&point, &none).unwrap(), tag, "the same again is no error");
    let other = BackupPoint { reason: Some("another".to_owned()), ..point };
    let error = backups.create(&other, &none).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }) && error.hint().is_some(), "{error}");
    assert_eq!(world.bare.run(["rev-parse", &format!("{PREFIX}b1")]), tag.to_string());
}

#[test]
fn of_two_backups_of_one_id_at_once_one_is_made() {
    let world = world();
    let all: Vec<(Backups, BackupPoint)> = (0..4)
        .map(|n| {
            let backups = Backups::new(world.clone(&format!("c{n}")), Person::bot());
            (backups, BackupPoint { reason: Some(n.to_string()), ..point(&world, "b1") })
        })
        .collect();
    let barrier = Barrier::new(all.len());
    let made: Vec<bool> = std::thread::scope(|scope| {
        let runs: Vec<_> = all
            .iter()
            .map(|(backups, point)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    match backups.create(point, &BTreeMap::new()) {
                        Ok(_) => true,
                        Err(Error::Exists { .. }) => false,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
}

#[test]
fn what_is_missing_or_broken_is_told_apart() {
    let world = world();
    let backups = Backups::new(world.clone("one"), Person::bot());
    assert!(matches!(backups.show("none"), Err(Error::Missing { .. })));
    assert!(matches!(backups.show("../../heads/main"), Err(Error::Id { .. })));
    assert!(matches!(backups.read_back("none", None), Err(Error::NotReadBack { .. })));
    world.bare.run(["update-ref", &format!("{PREFIX}commit"), "main"]);
    world.bare.run(["tag", "-a", "-m", "Backup point\n\nnot: a record", "t", "main"]);
    world.bare.run(["update-ref", &format!("{PREFIX}tag"), "t"]);
    for id in ["commit", "tag"] {
        assert!(matches!(backups.show(id), Err(Error::Broken { .. })), "{id}");
    }
    backups.create(&point(&world, "good"), &BTreeMap::new()).unwrap();
    // Copied under another name it would restore something else than it says.
    world.bare.run(["update-ref", &format!("{PREFIX}copy"), &format!("{PREFIX}good")]);
    assert!(matches!(backups.show("copy"), Err(Error::Broken { .. })));
    let listed: Vec<(String, bool)> =
        backups.list().unwrap().into_iter().map(|listed| (listed.id, listed.point.is_ok())).collect();
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[0], ("good".to_owned(), true));
}

#[test]
fn the_whole_tree_comes_back_on_a_branch_of_its_own() {
    let world = world();
    let point = point(&world, "b1");
    let before = Backups::new(world.clone("one"), Person::bot());
    before.create(&point, &BTreeMap::new()).unwrap();
    let tip =
        somebody_pushes(&world, &[("apps/a.yaml", "a: 2\n"), ("apps/b.yaml", "b: 2\n"), ("new.yaml", "n\n")]);
    let backups = Backups::new(world.clone("two"), Person::bot());
    let point = backups.show("b1").unwrap();
    let restored = backups.restore(&point, &Scope::Tree, tip, time()).unwrap();
    assert_eq!(restored.paths, ["apps/a.yaml", "apps/b.yaml", "new.yaml"]);
    assert_eq!(
        world.bare.run(["rev-parse", &format!("{}^{{tree}}", restored.branch)]),
        world.bare.run(["rev-parse", &format!("{}^{{tree}}", point.commit)])
    );
    assert_eq!(world.bare.run(["rev-parse", &format!("{}~1", restored.branch)]), tip.to_string());
    // Asked again, later: the same branch and commit.
    let later = "2026-11-21T11:00:00Z".parse().unwrap();
    assert_eq!(backups.restore(&point, &Scope::Tree, tip, later).unwrap(), restored);
    assert_eq!(world.bare.run(["rev-parse", "main"]), tip.to_string(), "nothing is merged");
}

#[test]
fn one_component_comes_back_alone() {
    let world = world();
    let point = point(&world, "b1");
    let backups = Backups::new(world.clone("one"), Person::bot());
    backups.create(&point, &BTreeMap::new()).unwrap();
    let tip = somebody_pushes(&world, &[("apps/a.yaml", "a: 2\n"), ("apps/b.yaml", "b: 2\n")]);
    let backups = Backups::new(world.clone("two"), Person::bot());
    let scope = Scope::Components(vec!["longhorn".to_owned()]);
    let restored = backups.restore(&backups.show("b1").unwrap(), &scope, tip, time()).unwrap();
    assert_eq!(restored.paths, ["apps/a.yaml"]);
    assert_eq!(world.bare.run(["show", &format!("{}:apps/b.yaml", restored.branch)]), "b: 2");
    let nobody = Scope::Components(vec!["nobody".to_owned()]);
    assert!(matches!(backups.restore(&point, &nobody, tip, time()), Err(Error::NoComponent { .. })));
}

#[test]
fn a_restore_that_changes_nothing_is_refused() {
    let world = world();
    let backups = Backups::new(world.clone("one"), Person::bot());
    let point = point(&world, "b1");
    let tip = point.commit.parse().unwrap();
    let error = backups.restore(&point, &Scope::Tree, tip, time()).unwrap_err();
    assert!(error.to_string().ends_with("the base branch has it as it was"), "{error}");
}

#[test]
fn a_branch_with_something_else_is_left_alone() {
    let world = world();
    let backups = Backups::new(world.clone("one"), Person::bot());
    let point = point(&world, "b1");
    let tip = somebody_pushes(&world, &[("apps/a.yaml", "a: 2\n")]);
    let backups_there = Backups::new(world.clone("two"), Person::bot());
    let restored = backups_there.restore(&point, &Scope::Tree, tip, time()).unwrap();
    let name = format!("refs/heads/{}", restored.branch);
    world.bare.run(["update-ref", &name, "main"]);
    let error = Backups::restore(&backups_there, &point, &Scope::Tree, tip, time()).unwrap_err();
    assert!(matches!(error, Error::Branch { .. }), "{error}");
    drop(backups);
    assert_eq!(world.bare.run(["rev-parse", &name]), tip.to_string());
}

#[test]
fn old_points_of_steps_go_and_those_in_use_and_of_people_stay() {
    let world = world();
    let repo = world.clone("one");
    let backups = Backups::new(repo.clone(), Person::bot());
    let commit: Id = world.bare.run(["rev-parse", "main"]).parse().unwrap();
    let ids: Vec<String> = ["a", "b", "c"]
        .iter()
        .zip(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"])
        .map(|(component, at)| id_for_step(at.parse().unwrap(), commit, component, "2"))
        .collect();
    for id in ids.iter().map(String::as_str).chain(["by-hand"]) {
        backups.create(&point(&world, id), &BTreeMap::new()).unwrap();
    }
    let refs = repo.refs().unwrap();
    let retention = Retention { keep_last: 1, keep_for: Duration::from_secs(86_400) };
    let in_use = BTreeSet::from([ids[0].clone()]);
    assert_eq!(backups.prune(&refs, retention, &in_use, time()).unwrap(), [ids[1].clone()]);
    let left: BTreeSet<String> = backups.list().unwrap().into_iter().map(|listed| listed.id).collect();
    assert_eq!(left, BTreeSet::from([ids[0].clone(), ids[2].clone(), "by-hand".to_owned()]));
    assert!(backups.prune(&repo.refs().unwrap(), retention, &in_use, time()).unwrap().is_empty());
}

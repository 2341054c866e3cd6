//! `rollback --emergency`: from a clone, with nothing else there.

use super::{ID, LATER, podinfo_at, program, quarantine, stage_of, updated};
use crate::support::git::Git;
use crate::support::sandbox::Sandbox;

#[test]
fn clone_alone_is_enough_and_nothing_leaves_it() {
    let world = updated();
    let sandbox = Sandbox::empty();
    let clone = sandbox.work().join("clone");
    world.git.run(["clone", "--quiet", world.dir().to_str().unwrap(), clone.to_str().unwrap()]);
    // The remote is gone, and so is every ref but the branch.
    let before = world.refs();
    let moved = world.dir().with_file_name("gone");
    std::fs::rename(world.dir(), &moved).unwrap();
    // A configuration that names a forge nobody can reach must not matter.
    let config = sandbox.work().join("config.yaml");
    std::fs::write(&config, "forge: {kind: github}\n").unwrap();
    let config = config.to_str().unwrap().to_owned();
    let path = clone.to_str().unwrap().to_owned();
    let run = |extra: &[&str]| {
        let fixed = ["rollback", "--emergency", "-C", &path, "--config", &config, "--now", LATER];
        sandbox.run(fixed.iter().chain(extra).copied())
    };
    let told = run(&["--format", "json"]).exited(0).json();
    assert_eq!((told["component"].as_str(), told["pushed"].as_bool()), (Some(ID), Some(false)));
    let git = Git::at(&clone);
    let branch = told["branch"].as_str().unwrap();
    assert!(git.run(["show", &format!("{branch}:podinfo.yaml")]).contains("version: 6.5.0"));
    assert!(git.run(["show", "main:podinfo.yaml"]).contains("version: 6.5.1"), "the branch itself is left");
    assert_eq!(told["next"][0], format!("git push origin {branch}:main"));
    let first = git.run(["rev-parse", branch]);
    let again = run(&["--format", "json"]).exited(0).json();
    assert_eq!(again["commit"].as_str(), Some(first.as_str()), "made again it is the same");
    // Merged by hand, there is nothing left to do for it.
    git.run(["merge", "--quiet", "--ff-only", branch]);
    assert!(run(&[]).exited(1).stderr.contains("no update of this program is in the history"));
    std::fs::rename(&moved, world.dir()).unwrap();
    assert_eq!(world.refs(), before);
}

#[test]
fn pushed_emergency_is_recorded_where_that_can_be() {
    let world = updated();
    let told = program(&world, &["--emergency", "--push"]).exited(0);
    assert!(told.stdout.contains("Pushed"), "{told}");
    assert_eq!(podinfo_at(&world, "main"), "version: 6.5.0 # kept");
    assert_eq!(stage_of(&world), "reverted");
    assert!(quarantine(&world).contains("in an emergency"));
}

#[test]
fn any_commit_can_be_named() {
    let world = updated();
    world.git.write("website.yaml", "broken\n");
    world.git.commit_all("Break it");
    let head = world.git.run(["rev-parse", "--short", "HEAD"]);
    let told = program(&world, &["--emergency", "--commit", &head, "--format", "json"]).exited(0).json();
    assert!(told["notes"][0].as_str().unwrap().contains("none of this program"));
    let branch = told["branch"].as_str().unwrap();
    assert!(world.git.run(["show", &format!("{branch}:website.yaml")]).contains("version: 1.0.0"));
}

#[test]
fn k3s_is_refused_in_an_emergency_too() {
    let sandbox = Sandbox::with_empty_repo();
    let plan = |version: &str| {
        format!(
            "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: s}}\nspec:\n  version: {version}\n  upgrade: {{image: rancher/k3s-upgrade}}\n"
        )
    };
    sandbox.write("plan.yaml", plan("v1.33.4+k3s1"));
    sandbox.git().commit_all("Start");
    sandbox.write("plan.yaml", plan("v1.34.1+k3s1"));
    sandbox.git().commit_all(
        "k3s: v1.33.4+k3s1 -> v1.34.1+k3s1\n\nGitops-Updater-Update: update-1\nGitops-Updater-Component: k3s\n\
         Gitops-Updater-From: v1.33.4+k3s1\nGitops-Updater-To: v1.34.1+k3s1\n",
    );
    let refused = sandbox.run(["rollback", "--emergency"]).exited(1);
    assert!(refused.stderr.contains("stay cordoned") && refused.stderr.contains("etcd"), "{refused}");
    let made = sandbox.run(["rollback", "--emergency", "--accept-harm", "nodes-stay-cordoned"]).exited(0);
    assert!(made.stdout.contains("nothing was pushed"), "{made}");
}

/// A plain revert of what was verified went unnoticed, and the version was proposed again.
#[test]
fn plain_revert_of_what_was_verified_is_the_end_of_its_version() {
    let world = updated();
    assert_eq!(stage_of(&world), "verified");
    world.git.run(["revert", "--no-edit", "-m1", "main"]);
    world.at(LATER);
    assert_eq!(stage_of(&world), "reverted");
    assert!(quarantine(&world).contains("6.5.1"));
    assert!(
        !world.pulls().iter().any(|pull| pull.1.contains("podinfo") && pull.2 == "open"),
        "{:?}",
        world.pulls()
    );
}

/// In a clone without a remote a push to `origin` was named, which fails.
#[test]
fn clone_without_a_remote_is_told_how_to_go_on_within_it() {
    let world = updated();
    let told = program(&world, &["--emergency", "--format", "json"]).exited(0).json();
    let next: Vec<&str> =
        told["next"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let branch = told["branch"].as_str().unwrap();
    assert_eq!(next, ["git checkout main".to_owned(), format!("git merge --ff-only {branch}")]);
    // They are commands that work.
    world.git.run(["checkout", "--quiet", "-b", "elsewhere"]);
    for command in next {
        world.git.run(command.split(' ').skip(1));
    }
    assert_eq!(podinfo_at(&world, "main"), "version: 6.5.0 # kept");
    // It was verified, and was proposed again.
    for _ in 0..2 {
        world.at(LATER);
        assert_eq!(stage_of(&world), "reverted");
        assert!(quarantine(&world).contains("`main` has 6.5.0 again: a person went back"));
    }

    let world = updated();
    let bare = world.dir().with_file_name("bare.git");
    world.git.run(["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let git = Git::at(&bare);
    git.run(["remote", "remove", "origin"]);
    let path = bare.to_str().unwrap();
    let arguments = ["rollback", "--emergency", "-C", path, "--now", LATER, "--format", "json"];
    let told = Sandbox::empty().run(arguments).exited(0).json();
    let next = told["next"][0].as_str().unwrap();
    assert!(next.starts_with("git update-ref refs/heads/main "), "{next}");
    git.run(next.split(' ').skip(1));
    assert!(git.run(["show", "main:podinfo.yaml"]).contains("version: 6.5.0"));
}

/// It failed where it was needed most, and did not say that another configuration can be named.
#[test]
fn broken_configuration_does_not_keep_anybody_from_going_back_in_the_clone() {
    let world = updated();
    world.git.write(".gitops-updater.yaml", "enabled: [true\n");
    world.git.commit_all("Break the configuration");
    let refs = world.refs();
    // Whether something stops a push cannot be known.
    let refused = program(&world, &["--emergency", "--push"]).exited(3);
    assert!(refused.stderr.contains("hint: `--config FILE` names another configuration"), "{refused}");
    assert!(refused.stderr.contains("hint: leave `--push` out"), "{refused}");
    let config = world.dir().with_file_name("config.yaml");
    std::fs::write(&config, "forge: {kind: local}\n").unwrap();
    let named = ["--emergency", "--push", "--config", config.to_str().unwrap()];
    let refused = program(&world, &named).exited(3);
    assert!(refused.stderr.contains("hint: leave `--push` out"), "{refused}");
    assert_eq!(world.refs(), refs);
    for arguments in [
        &["--emergency", "--format", "json"][..],
        &[&named[..1], &named[2..], &["--format", "json"]].concat(),
    ] {
        let made = program(&world, arguments).exited(0);
        let says = made.stderr.contains("the configuration cannot be read, and none is used");
        assert_eq!(says, arguments.len() == 3, "{made}");
        let branch = made.json()["branch"].as_str().unwrap().to_owned();
        assert!(podinfo_at(&world, &branch).contains("6.5.0"));
    }
    // One that was named is meant.
    std::fs::write(&config, "nonsense: 1\n").unwrap();
    assert!(
        program(&world, &["--emergency", "--config", config.to_str().unwrap()]).exited(3).stdout.is_empty()
    );
}

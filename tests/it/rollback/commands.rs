//! `rollback`, as a person uses it.

use super::{ID, LAST, LATER, podinfo_at, program, quarantine, stage_of, updated};
use crate::pass::world::World;
use crate::support::sandbox::Sandbox;

#[test]
fn latest_update_is_reverted_by_a_pull_request_and_recorded_when_that_is_merged() {
    let world = updated();
    assert_eq!(podinfo_at(&world, "main"), "version: 6.5.1 # kept");
    let told = program(&world, &[ID, "--reason", "orders fail", "--format", "json"]).exited(0).json();
    assert_eq!(told["components"][0]["to"], "6.5.0");
    let number = told["pull_request"].as_u64().unwrap();
    assert_eq!(podinfo_at(&world, "main"), "version: 6.5.1 # kept", "nothing is merged by itself");
    assert_eq!(stage_of(&world), "verified");
    assert!(quarantine(&world).contains("orders fail"), "{}", quarantine(&world));
    let branch = world.pulls().into_iter().find(|pull| pull.0 == number).unwrap().1;
    assert_eq!(podinfo_at(&world, &branch), "version: 6.5.0 # kept");
    let message = world.git.run(["log", "-1", "--format=%B", &branch]);
    assert!(
        message.contains("This reverts commit") && message.contains("Gitops-Updater-Reverts: update-"),
        "{message}"
    );

    // Asked again, it is found.
    let again = program(&world, &[ID, "--reason", "orders fail", "--format", "json"]).exited(0).json();
    assert_eq!(again["pull_request"], number);
    assert_eq!(again["effects"].as_array().unwrap().len(), 0);

    world.merge(number);
    world.at(LAST);
    assert_eq!(stage_of(&world), "reverted");
    assert_eq!(podinfo_at(&world, "main"), "version: 6.5.0 # kept");
    let open: Vec<_> =
        world.pulls().into_iter().filter(|pull| pull.1.contains("podinfo") && pull.2 == "open").collect();
    assert!(open.is_empty(), "the version that was left is not proposed again: {open:?}");
    // The report told the verdict from before as if it stood.
    let report =
        Sandbox::empty().run(["report", world.dir().to_str().unwrap(), "--format", "json"]).exited(0);
    let report = report.json();
    let updates = report["update_history"]["updates"].as_array().unwrap();
    let told_of = updates.iter().find(|update| update["component"] == ID).unwrap();
    assert_eq!((&told_of["stage"], &told_of["verdict"]), (&"reverted".into(), &serde_json::Value::Null));
    assert_eq!(told_of["reverted_at"], LAST, "{told_of}");
    let reason = told_of["reason"].as_str().unwrap();
    assert!(reason.starts_with("rolled back by ") && reason.ends_with(": orders fail"), "{reason}");
}

#[test]
fn pushed_rollback_is_recorded_at_once() {
    let world = updated();
    let told = program(&world, &[ID, "--push", "--format", "json"]).exited(0).json();
    assert_eq!(told["commit"].as_str().unwrap(), world.git.run(["rev-parse", "main"]));
    assert_eq!(podinfo_at(&world, "main"), "version: 6.5.0 # kept");
    assert_eq!(stage_of(&world), "reverted");
    assert!(quarantine(&world).contains("6.5.1"));
    let again = program(&world, &[ID, "--push"]).exited(0);
    assert!(again.stdout.contains("done already"), "{again}");
}

/// A repository whose history has podinfo at 6.4.9, which no update brought in.
fn with_an_older_one() -> World {
    let world = World::new();
    let text = std::fs::read_to_string(world.dir().join("podinfo.yaml")).unwrap();
    world.git.write("podinfo.yaml", text.replace("6.5.0", "6.4.9"));
    world.git.commit_all("Try an older one");
    world.git.write("podinfo.yaml", &text);
    world.git.commit_all("And back");
    world
}

#[test]
fn version_that_no_update_knows_is_written_alone() {
    let world = with_an_older_one();
    let told = program(&world, &[ID, "--to", "6.4.9", "--push", "--format", "json"]).exited(0).json();
    assert_eq!(told["components"][0]["from"], "6.5.0");
    assert_eq!(podinfo_at(&world, "main"), "version: 6.4.9 # kept");
    assert_eq!(world.git.run(["diff", "--stat", "HEAD~1", "HEAD"]).lines().count(), 2);
    let missing = program(&World::new(), &[ID]).exited(1);
    assert!(
        missing.stderr.contains("no update is known") && missing.stderr.contains("--to VERSION"),
        "{missing}"
    );
}

/// Any text was taken for a version to go back to, also one that is newer or was never there.
#[test]
fn only_older_versions_that_git_had_are_gone_back_to() {
    let world = with_an_older_one();
    let before = world.refs();
    let newer = program(&world, &[ID, "--to", "6.5.9"]).exited(1);
    assert!(newer.stderr.contains("it is newer than 6.5.0"), "{newer}");
    for never in ["6.4.8", "bogus"] {
        let refused = program(&world, &[ID, "--to", never]).exited(1);
        assert!(
            refused.stderr.contains("Git never had it") && refused.stderr.contains("git log -p"),
            "{refused}"
        );
    }
    let nobody = program(&world, &["helm/apps/nothing"]).exited(2);
    assert!(nobody.stderr.contains("there is no component"), "{nobody}");
    let harm = program(&world, &[ID, "--accept-harm", "foo"]).exited(2);
    assert!(harm.stderr.contains("nodes-stay-cordoned"), "{harm}");
    assert_eq!(world.refs(), before);
}

#[test]
fn second_rollback_says_that_the_first_waits_to_be_merged() {
    let world = updated();
    drop(program(&world, &[ID]).exited(0));
    let again = program(&world, &[ID]).exited(0);
    assert!(again.stdout.contains("proposed already, and waits to be merged"), "{again}");
}

#[test]
fn change_that_somebody_made_later_stays() {
    let world = updated();
    let text = std::fs::read_to_string(world.dir().join("podinfo.yaml")).unwrap();
    world.git.write("podinfo.yaml", format!("# looked at\n{text}"));
    world.git.commit_all("Look at it");
    drop(program(&world, &[ID, "--push"]).exited(0));
    let text = world.git.run(["show", "main:podinfo.yaml"]);
    assert!(text.starts_with("# looked at\n") && text.contains("version: 6.5.0"), "{text}");
}

#[test]
fn versions_of_a_backup_point_come_back_and_nothing_else() {
    let mut world = updated();
    let website = world.pulls().iter().find(|pull| pull.1.contains("website")).unwrap().0;
    world.merge(website);
    world.config = "policy: {verification: merged, settle: 1h}\n".to_owned();
    world.at(LATER);
    let point =
        world.git.run(["for-each-ref", "--format=%(refname:lstrip=3)", "refs/gitops-updater/backups"]);
    let point = point.lines().next().unwrap();
    world.git.write("new.yaml", "kept: true\n");
    world.git.commit_all("Add something");
    let told = program(&world, &["--backup", point, "--push", "--format", "json"]).exited(0).json();
    assert_eq!(told["components"].as_array().unwrap().len(), 2);
    assert_eq!(podinfo_at(&world, "main"), "version: 6.5.0 # kept");
    assert!(world.git.run(["show", "main:website.yaml"]).contains("version: 1.0.0 # kept"));
    assert_eq!(world.git.run(["show", "main:new.yaml"]), "kept: true");
    assert_eq!(stage_of(&world), "reverted");
    let again = program(&world, &["--backup", point]).exited(1);
    assert!(again.stderr.contains("every component has the version"), "{again}");
}

#[test]
fn dry_run_says_what_would_be_done_and_changes_nothing() {
    let world = updated();
    let before = world.refs();
    let told = program(&world, &[ID, "--to", "6.5.0", "--dry-run"]).exited(0);
    assert!(told.stdout.contains("Would:") && told.stdout.contains("-      version: 6.5.1 # kept"), "{told}");
    assert_eq!(world.refs(), before);
}

const PLAN: &str = "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {name: server, namespace: system-upgrade}\n\
                    spec:\n  version: v1.34.1+k3s1\n  upgrade: {image: rancher/k3s-upgrade}\n";

/// A Plan that was at v1.33.4+k3s1 before.
fn begin(sandbox: &Sandbox) {
    sandbox.write("plan.yaml", PLAN.replace("v1.34.1", "v1.33.4"));
    sandbox.git().commit_all("Start");
    sandbox.write("plan.yaml", PLAN);
    sandbox.git().commit_all("Update k3s");
}

fn nodes(versions: [&str; 2]) -> String {
    let node = |version: &str| format!("- {{name: n, kubelet: {version}, ready: true, schedulable: true}}\n");
    format!("taken_at: {LATER}\nnodes:\n{}{}", node(versions[0]), node(versions[1]))
}

#[test]
fn what_does_harm_is_refused_with_what_to_do_until_the_harm_is_taken_on() {
    let sandbox = Sandbox::with_empty_repo();
    begin(&sandbox);
    let run = |arguments: &[&str]| {
        sandbox
            .run(["rollback", "k3s", "--to", "v1.33.4+k3s1", "--now", LATER].iter().chain(arguments).copied())
    };
    let refused = run(&[]).exited(1);
    for part in [
        "not rolled back",
        "stay cordoned",
        "the cluster was not seen",
        "concurrency: 0",
        "--accept-harm nodes-stay-cordoned",
    ] {
        assert!(refused.stderr.contains(part), "`{part}` is not in {refused}");
    }
    sandbox.write("../facts.yaml", nodes(["v1.33.4+k3s1", "v1.34.1+k3s1"]));
    assert!(run(&["--facts", "../facts.yaml"]).exited(1).stderr.contains("stay cordoned"));
    assert_eq!(sandbox.git().run(["for-each-ref", "refs/gitops-updater"]), "", "nothing is recorded either");
    // No node has moved: a revert is right.
    sandbox.write("../facts.yaml", nodes(["v1.33.4+k3s1", "v1.33.4+k3s1"]));
    assert!(run(&["--facts", "../facts.yaml", "--push"]).exited(0).stdout.contains("no node has moved yet"));
    assert!(sandbox.git().run(["show", "main:plan.yaml"]).contains("version: v1.33.4+k3s1"));

    let sandbox = Sandbox::with_empty_repo();
    begin(&sandbox);
    let taken_on = sandbox
        .run([
            "rollback",
            "k3s",
            "--to",
            "v1.33.4+k3s1",
            "--now",
            LATER,
            "--accept-harm",
            "nodes-stay-cordoned",
        ])
        .exited(0);
    assert!(taken_on.said().contains("taken on by `--accept-harm nodes-stay-cordoned`"), "{taken_on}");
}

#[test]
fn kill_switch_stops_a_rollback_too() {
    let world = updated();
    let before = world.refs();
    let dir = world.dir().to_str().unwrap().to_owned();
    let stopped = Sandbox::empty()
        .variable("GITOPS_UPDATER_DISABLE", "1")
        .run(["rollback", ID, "-C", &dir, "--now", LATER])
        .exited(1);
    assert!(stopped.stderr.contains("kill switch"), "{stopped}");
    world.git.write(".gitops-updater.yaml", "enabled: false\n");
    world.git.commit_all("Stop");
    let stopped = program(&world, &[ID]).exited(1).stderr;
    assert!(stopped.contains("`enabled: false` on the base branch"), "{stopped}");
    assert_eq!(world.refs().len(), before.len());
}

/// A kill switch that was not committed was said to be on the base branch, or not heard.
#[test]
fn kill_switch_is_told_by_all_commands_where_it_was_pulled() {
    let world = updated();
    let before = world.refs();
    let dir = world.dir().to_str().unwrap().to_owned();
    let told = |config: &[&str]| {
        for command in [
            &["rollback", ID, "-C", &dir][..],
            &["backup", "create", &dir],
            &["status", &dir],
            &["run", &dir, "--offline"],
        ] {
            let sandbox = Sandbox::empty();
            let told = sandbox.run(command.iter().chain(&["--now", LATER]).chain(config).copied());
            let said = told.said() + &told.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            let place = match config {
                [] => "set `enabled: true` in `.gitops-updater.yaml` of the work tree",
                _ => "set `enabled: true` in the file that `--config` names",
            };
            assert!(said.contains(place), "{command:?}: {told}");
        }
    };
    world.git.write(".gitops-updater.yaml", "enabled: false\n");
    told(&[]);
    // Whatever file is named beside it: a person who wrote it found everything going on.
    let named = tempfile::tempdir().unwrap();
    let on = named.path().join("on.yaml");
    std::fs::write(&on, "limits: {per_hour: 9}\n").unwrap();
    for (text, undo) in [
        ("enabled: false\n", "set `enabled: true` in `.gitops-updater.yaml` of the work tree"),
        // Who cannot be understood may have meant to stop it; what only reads goes on.
        ("enabled: [false\n", "mend `.gitops-updater.yaml` of the work tree, which cannot be read"),
    ] {
        world.git.write(".gitops-updater.yaml", text);
        for command in [&["status", &dir][..], &["run", &dir, "--offline"]] {
            let told = Sandbox::empty().run(command.iter().copied().chain([
                "--now",
                LATER,
                "--config",
                on.to_str().unwrap(),
            ]));
            let said = told.said().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains(undo), "{command:?}: {told}");
        }
    }
    std::fs::remove_file(world.dir().join(".gitops-updater.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.yaml");
    std::fs::write(&file, "enabled: false\n").unwrap();
    told(&["--config", file.to_str().unwrap()]);
    assert_eq!(world.refs(), before);
}

/// It was recorded once by what settles, and once more by the pass.
#[test]
fn rollback_of_what_is_not_verified_is_recorded_once() {
    let world = World::new();
    world.run();
    let number = world.pulls().iter().find(|pull| pull.1.contains("podinfo")).unwrap().0;
    world.merge(number);
    world.at("2026-11-21T10:30:00Z");
    let told = program(&world, &[ID, "--format", "json"]).exited(0).json();
    world.merge(told["pull_request"].as_u64().unwrap());
    let dir = world.dir().to_str().unwrap();
    let trail = || world.git.run(["log", "--format=%s", "refs/gitops-updater/state"]);
    let reverted = |trail: &str| trail.lines().filter(|line| line.to_lowercase().contains("revert")).count();
    assert_eq!(reverted(&trail()), 0);
    for _ in 0..2 {
        drop(Sandbox::empty().run(["run", dir, "--offline", "--now", LAST]));
        assert_eq!((reverted(&trail()), stage_of(&world).as_str()), (1, "reverted"), "{}", trail());
    }
}

#[test]
fn unknown_component_is_named() {
    let error = program(&updated(), &["helm/apps/nobody"]).exited(2);
    assert!(error.stderr.contains("there is no component `helm/apps/nobody`"), "{error}");
    drop(program(&updated(), &[]).exited(2));
}

/// The quarantine stayed: the version that runs was called rolled back, and its branch was there for ever.
#[test]
fn pull_request_to_go_back_that_is_closed_leaves_nothing_behind() {
    let world = updated();
    let told = program(&world, &[ID, "--reason", "orders fail", "--format", "json"]).exited(0).json();
    let number = told["pull_request"].as_u64().unwrap();
    let branch = world.pulls().into_iter().find(|pull| pull.0 == number).unwrap().1;
    world.at(LAST);
    assert!(quarantine(&world).contains("orders fail"), "it is still open");
    let shown = Sandbox::empty().run(["status", world.dir().to_str().unwrap(), "--now", LAST]).exited(0);
    assert!(
        shown.stdout.contains(&format!("#{number} waits for a person: Roll helm/apps/podinfo back")),
        "{shown}"
    );
    world.close(number);
    world.at(LAST);
    assert!(!quarantine(&world).contains("6.5.1"), "{}", quarantine(&world));
    assert!(!world.branches().contains(&branch), "{:?}", world.branches());
    assert_eq!(stage_of(&world), "verified");
    // Who asks again means it.
    let again = program(&world, &[ID, "--reason", "they still do", "--format", "json"]).exited(0).json();
    let second = again["pull_request"].as_u64().unwrap();
    assert!(second > number);
    world.at(LAST);
    assert!(quarantine(&world).contains("they still do"), "{}", quarantine(&world));
    world.merge(second);
    world.at(LAST);
    assert_eq!(stage_of(&world), "reverted");
}

#[test]
fn branch_of_a_merged_pull_request_to_go_back_is_taken_away() {
    let world = updated();
    let told = program(&world, &[ID, "--format", "json"]).exited(0).json();
    world.merge(told["pull_request"].as_u64().unwrap());
    world.at(LAST);
    assert!(!world.branches().iter().any(|branch| branch.contains("rollback")), "{:?}", world.branches());
    assert!(quarantine(&world).contains("6.5.1"), "what was left stays away");
}

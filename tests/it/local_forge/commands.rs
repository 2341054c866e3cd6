//! The commands, as people use them on a repository without a forge.

use std::collections::BTreeMap;
use std::sync::Arc;

use gitops_updater::app::forge::Forge as _;
use gitops_updater::clock::AnyClock;
use gitops_updater::forge::local::LocalForge;
use gitops_updater::repo::write::{Change, Person, RefUpdate, Remote, Words, WriteRepo};

use crate::support::sandbox::{NOW, Sandbox};
use crate::support::snapshot::snapshot;

const PLAN: &str = "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {name: server, namespace: system-upgrade}\n\
                    spec:\n  version: v1.33.4+k3s1\n";

/// A repository with a pin and an open pull request that moves it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_empty_repo();
    sandbox.write("k3s/plan.yaml", PLAN).write("README.md", "Lab\n");
    sandbox.git().commit_all("Start");
    let repo = Arc::new(WriteRepo::open(sandbox.work(), Remote::own()).unwrap());
    let base = repo.refs().unwrap().branch("main").unwrap();
    let text = PLAN.replace("v1.33.4+k3s1", "v1.33.5+k3s1").into_bytes();
    let changes = BTreeMap::from([("k3s/plan.yaml".to_owned(), Change::Write(text))]);
    let words = Words {
        message: "k3s: v1.33.4+k3s1 -> v1.33.5+k3s1\n\nUpdate: u1\n",
        author: &Person::bot(),
        time: NOW.parse().unwrap(),
    };
    let commit = repo.commit(base, &changes, words).unwrap();
    repo.push(&[RefUpdate::create("refs/heads/gitops-updater/k3s", commit)]).unwrap();
    let forge = LocalForge::new(repo, Person::bot(), Arc::new(AnyClock::Fixed(NOW.parse().unwrap())));
    let new = gitops_updater::app::forge::NewPullRequest {
        branch: "gitops-updater/k3s".to_owned(),
        base: "main".to_owned(),
        title: "k3s: v1.33.4+k3s1 -> v1.33.5+k3s1".to_owned(),
        body: "Moves k3s by one patch.\n\n<!-- gitops-updater\nupdate: u1\n-->\n\nRead the notes.\n"
            .to_owned(),
        labels: vec!["gitops-updater".to_owned()],
        ..Default::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(forge.open(&new)).unwrap();
    sandbox
}

#[test]
fn pull_requests_are_listed_and_shown() {
    let sandbox = sandbox();
    snapshot!(sandbox.run(["pr", "list"]), @r"
    exit_code: 0
    ----- stdout -----
       #1  open    k3s: v1.33.4+k3s1 -> v1.33.5+k3s1
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["pr", "show", "1"]), @r"
    exit_code: 0
    ----- stdout -----
    #1 k3s: v1.33.4+k3s1 -> v1.33.5+k3s1
    open: gitops-updater/k3s into main
    labels: gitops-updater

    Description
      Moves k3s by one patch.

      Read the notes.

    Commits
      [commit] k3s: v1.33.4+k3s1 -> v1.33.5+k3s1

    Files
      k3s/plan.yaml

    See the change with `git diff main...0cded1c1da`
    and say `gitops-updater pr merge 1` or `pr close 1`
    ----- stderr -----
    ");
    let list = sandbox.run(["pr", "list", "--format", "json"]).exited(0).json();
    assert_eq!(list["pull_requests"][0]["state"], "open");
    let shown = sandbox.run(["pr", "show", "1", "--format", "json"]).exited(0).json();
    assert_eq!(shown["files"][0], "k3s/plan.yaml");
    assert_eq!(shown["number"], 1);
    snapshot!(sandbox.run(["pr", "show", "2"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot find pull request 2
    hint: `gitops-updater pr list --state all` lists all
    ");
    drop(sandbox.run(["pr", "list", "--format", "html"]).exited(2));
}

#[test]
fn a_pull_request_is_merged_by_a_person() {
    let sandbox = sandbox();
    snapshot!(sandbox.run(["pr", "merge", "1"]), @r"
    exit_code: 0
    ----- stdout -----
    #1 merged into main as 85fa21a281
    ----- stderr -----
    ");
    snapshot!(sandbox.git_graph("main"), @r"
    *   [commit] (HEAD -> main, refs/gitops-updater/base) Merge pull request #1 from gitops-updater/k3s
    |\
    | * [commit] (gitops-updater/k3s, refs/gitops-updater/pulls/1/head) k3s: v1.33.4+k3s1 -> v1.33.5+k3s1
    |/
    * [commit] Start
    ");
    assert_eq!(sandbox.git().run(["status", "--porcelain"]), "");
    assert_eq!(sandbox.git().run(["diff", "HEAD~1", "--stat", "--format="]).lines().count(), 2);
    snapshot!(sandbox.run(["pr", "list"]), @r"
    exit_code: 0
    ----- stdout -----
    no open pull requests; `--state all` lists the others
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["pr", "list", "--state", "all"]), @r"
    exit_code: 0
    ----- stdout -----
       #1  merged  k3s: v1.33.4+k3s1 -> v1.33.5+k3s1
    ----- stderr -----
    ");
    drop(sandbox.run(["pr", "close", "1"]).exited(1));
}

#[test]
fn a_squash_of_one_commit_keeps_its_words() {
    let sandbox = sandbox();
    drop(sandbox.run(["pr", "merge", "1", "--method", "squash"]).exited(0));
    assert_eq!(
        sandbox.git().run(["log", "-1", "--format=%B", "main"]),
        "k3s: v1.33.4+k3s1 -> v1.33.5+k3s1\n\nUpdate: u1"
    );
}

#[test]
fn a_merge_that_is_in_the_way_of_work_says_what_to_do() {
    let sandbox = sandbox();
    sandbox.write("k3s/plan.yaml", "mine\n");
    snapshot!(sandbox.run(["pr", "merge", "1"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot merge pull request 1: cannot move `refs/heads/main`, which is checked out in `[work]/`: `k3s/plan.yaml` is changed there
    hint: commit or stash what is in the way, or check out another branch
    ");
}

#[test]
fn a_pull_request_is_closed_unmerged() {
    let sandbox = sandbox();
    snapshot!(sandbox.run(["pr", "close", "1"]), @r"
    exit_code: 0
    ----- stdout -----
    #1 closed
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["pr", "merge", "1"]), @r#"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot merge pull request 1: it is closed
    hint: a pull request that was closed means "not this version"; the bot opens another one for a newer one
    "#);
}

#[test]
fn maintenance_is_switched_on_and_off() {
    let sandbox = sandbox();
    snapshot!(sandbox.run(["maintenance", "status"]), @r"
    exit_code: 0
    ----- stdout -----
    maintenance is off
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["maintenance", "enable", "--reason", "moving house", "--for", "2h"]), @r"
    exit_code: 0
    ----- stdout -----
    maintenance is on since 2026-08-23T10:00:00Z, until 2026-08-23T12:00:00Z
      by gitops-updater: moving house
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["maintenance", "status", "--format", "yaml"]), @r"
    exit_code: 0
    ----- stdout -----
    schema: gitops-updater/maintenance/v1
    enabled: true
    maintenance:
      by: gitops-updater
      reason: moving house
      since: 2026-08-23T10:00:00Z
      until: 2026-08-23T12:00:00Z
    before: null
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["status"]), @r"
    exit_code: 0
    ----- stdout -----
    state 56ca889fb3 (refs/gitops-updater/state)
    maintenance is on since 2026-08-23T10:00:00Z, until 2026-08-23T12:00:00Z
      by gitops-updater: moving house
    ----- stderr -----
    ");
    let later = sandbox.run(["maintenance", "status", "--now", "2026-08-24T10:00:00Z"]).exited(0);
    assert_eq!(later.stdout, "maintenance is off; it ended at 2026-08-23T12:00:00Z\n");
    snapshot!(sandbox.run(["maintenance", "disable"]), @r"
    exit_code: 0
    ----- stdout -----
    maintenance is off
    ----- stderr -----
    ");
    snapshot!(sandbox.git().run(["log", "--format=%an: %s (%b)", "refs/gitops-updater/state"]), @r"
    gitops-updater: End maintenance (by gitops-updater
    )
    gitops-updater: Begin maintenance (by gitops-updater

    moving house
    )
    ");
    drop(sandbox.run(["maintenance", "enable", "--until", "2020-01-01T00:00:00Z"]).exited(2));
}

/// Whoever asked for errors only took pull requests of one clone for those of all.
#[test]
fn warning_without_which_a_result_is_misread_is_told_even_when_quiet() {
    let sandbox = sandbox();
    sandbox.git().run(["remote", "add", "origin", "https://git.example.org/me/cluster.git"]);
    let listed = sandbox.run(["pr", "list", "--quiet"]).exited(0);
    assert!(listed.stderr.contains("pull requests are kept in this clone alone"), "{listed}");
    let dry = sandbox.run(["maintenance", "status", "--quiet", "--remote", "."]).exited(0);
    assert_eq!(dry.stderr, "");
}

/// A second `enable` without an end took away the end of the first one, and nothing told.
#[test]
fn maintenance_that_is_on_already_says_so_and_what_changes() {
    let sandbox = sandbox();
    let enable = |arguments: &[&str]| {
        let arguments = [&["maintenance", "enable"], arguments].concat();
        sandbox.run(arguments).exited(0).stdout
    };
    drop(enable(&["--for", "2h"]));
    assert_eq!(
        enable(&["--for", "2h", "--now", "2026-08-23T10:00:00Z"]).lines().last(),
        Some("it was on already; nothing is changed")
    );
    insta::assert_snapshot!(enable(&["--now", "2026-08-23T11:00:00Z", "--reason", "still moving"]), @r"
    maintenance is on since 2026-08-23T10:00:00Z
      by gitops-updater: still moving
    it was on already, by gitops-updater; now it is with no end, not until
    2026-08-23T12:00:00Z, and for `still moving`, not no reason
    ");
    let log = sandbox.git().run(["log", "--format=%s", "refs/gitops-updater/state"]);
    assert_eq!(log.lines().collect::<Vec<_>>(), ["Change maintenance", "Begin maintenance"]);
}

#[test]
fn status_tells_of_a_rewritten_state_and_fails() {
    let sandbox = sandbox();
    snapshot!(sandbox.run(["status"]), @r"
    exit_code: 0
    ----- stdout -----
    nothing was proposed yet
    maintenance is off
    ----- stderr -----
    ");
    for _ in 0..2 {
        drop(sandbox.run(["maintenance", "enable"]).exited(0));
        drop(sandbox.run(["maintenance", "disable"]).exited(0));
    }
    sandbox.git().run(["update-ref", "refs/gitops-updater/state", "refs/gitops-updater/state~3"]);
    let output = sandbox.run(["status"]).exited(1);
    assert!(output.stdout.contains("Problems (1)"), "{output}");
    assert!(output.stderr.contains("somebody rewrote it") && output.stderr.contains("hint:"), "{output}");
    drop(sandbox.run(["maintenance", "enable"]).exited(1));
    drop(sandbox.run(["status", "--accept-rewritten"]).exited(0));
    drop(sandbox.run(["maintenance", "enable"]).exited(0));
}

#[test]
fn backup_points_are_made_listed_shown_and_restored() {
    let sandbox = sandbox();
    snapshot!(sandbox.run(["backup", "list"]), @r"
    exit_code: 0
    ----- stdout -----
    no backup points
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["backup", "create", "--reason", "before the move"]), @r"
    exit_code: 0
    ----- stdout -----
    made backup point `backup-20260823-100000` of `main` at 7113c2792a, 1 component
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["backup", "create", "--backup-id", "mine"]), @r"
    exit_code: 0
    ----- stdout -----
    made backup point `mine` of `main` at 7113c2792a, 1 component
    ----- stderr -----
    ");
    // The second one said that it had been made.
    for now in ["2026-08-23T10:00:00Z", "2026-08-24T10:00:00Z"] {
        let again = sandbox.run(["backup", "create", "--backup-id", "mine", "--now", now]).exited(0);
        let said = "backup point `mine` is there already, made 2026-08-23T10:00:00Z of `main` at 7113c2792a; nothing is \
                    changed";
        assert_eq!(again.said(), said);
    }
    let point = || sandbox.git().run(["rev-parse", "refs/gitops-updater/backups/mine"]);
    let made = point();
    snapshot!(sandbox.run(["backup", "create", "--backup-id", "mine", "--reason", "again"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot make backup point `mine`: there is one, and backup points are never changed
      it was made 2026-08-23T10:00:00Z of `main` at [commit]: it was made for another reason
    hint: give another id with `--backup-id`, or none
    ");
    // Whose data? There is no cluster to ask.
    snapshot!(sandbox.run(["backup", "create", "--component", "k3s"]), @r"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: `--component` names whose data is backed up, and no cluster is named that has it
    hint: add `--cluster` (or `--kubeconfig FILE`), or leave `--component` out: a backup point holds all files
    ");
    let unknown = sandbox.run(["backup", "create", "--component", "k3d"]).exited(2);
    assert!(unknown.stderr.contains("k3d") && unknown.stderr.contains("k3s"), "{unknown}");
    snapshot!(sandbox.run(["backup", "create", "--backup-id", "../heads/main"]), @r"
    exit_code: 2
    ----- stdout -----
    ----- stderr -----
    error: cannot use `../heads/main` as a backup id
    hint: ids have letters, digits, `.`, `_` and `-`, at most 100, and begin with a letter or digit
    ");
    snapshot!(sandbox.run(["backup", "list"]), @r"
    exit_code: 0
    ----- stdout -----
    mine                                  now  main at 7113c2792a
    backup-20260823-100000                now  before the move
    ----- stderr -----
    ");
    snapshot!(sandbox.run(["backup", "show", "mine"]), @r"
    exit_code: 0
    ----- stdout -----
    backup point mine
    made 2026-08-23T10:00:00Z
    of main at [commit]

    Components (1)
      k3s                                                 v1.33.4+k3s1
    ----- stderr -----
    ");
    drop(sandbox.run(["pr", "merge", "1"]).exited(0));
    sandbox.write("README.md", "Another lab\n");
    sandbox.git().commit_all("Rename");
    let other = sandbox.run(["backup", "create", "--backup-id", "mine"]).exited(1);
    assert!(other.stderr.contains("backup points are never changed"), "{other}");
    assert_eq!(point(), made);
    // What does harm is refused as by `rollback`, and nothing is made.
    let refused = sandbox.run(["backup", "restore", "mine", "--component", "k3s"]).exited(1);
    for part in ["stay cordoned", "--accept-harm nodes-stay-cordoned"] {
        assert!(refused.stderr.contains(part), "`{part}` is not in {refused}");
    }
    assert_eq!(sandbox.git().run(["for-each-ref", "refs/gitops-updater/state"]), "");
    let restore = ["backup", "restore", "mine", "--component", "k3s", "--accept-harm", "nodes-stay-cordoned"];
    let told = sandbox.run(restore).exited(0);
    assert!(told.stdout.starts_with("opened #2: Restore k3s from mine\n"), "{told}");
    assert!(told.stdout.contains("  k3s v1.33.5+k3s1 → v1.33.4+k3s1\n"), "{told}");
    let quarantine = sandbox.git().run(["show", "refs/gitops-updater/state:quarantine.yaml"]);
    assert!(quarantine.contains("version: v1.33.5+k3s1"), "{quarantine}");
    snapshot!(sandbox.run(["backup", "restore", "mine", "--component", "longhorn"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: backup point `mine` has none of these components
    hint: `gitops-updater backup show` lists its components
    ");
    drop(sandbox.run(restore).exited(0));
    let shown = sandbox.run(["pr", "show", "2", "--format", "json"]).exited(0).json();
    let body = shown["body"].as_str().unwrap();
    assert!(body.contains("`v1.33.5+k3s1` → `v1.33.4+k3s1`") && body.contains("in quarantine"), "{body}");
    assert_eq!(shown["files"], serde_json::json!(["k3s/plan.yaml"]));
    drop(sandbox.run(["pr", "merge", "2"]).exited(0));
    assert_eq!(std::fs::read_to_string(sandbox.work().join("k3s/plan.yaml")).unwrap(), PLAN);
    snapshot!(sandbox.run(["backup", "restore", "none"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot find backup point `none`
    hint: `gitops-updater backup list` lists all
    ");
}

#[test]
fn another_remote_is_named_by_path_or_name() {
    let sandbox = sandbox();
    let git = sandbox.git();
    git.run(["init", "--quiet", "--bare", "--initial-branch=main", "../other.git"]);
    git.run(["remote", "add", "other", "../other.git"]);
    git.run(["push", "--quiet", "other", "main"]);
    drop(sandbox.run(["backup", "create", "--remote", "../other.git", "--backup-id", "there"]).exited(0));
    assert_eq!(sandbox.run(["backup", "list"]).exited(0).stdout, "no backup points\n");
    assert!(sandbox.run(["backup", "list", "--remote", "other"]).exited(0).stdout.contains("there"));
    snapshot!(sandbox.run(["backup", "list", "--remote", "nowhere"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: there is no remote `nowhere`
    hint: `git remote -v` lists them; a path needs a `/` in it
    ");
    snapshot!(sandbox.run(["backup", "list", "--remote", "git://example.com/o/r"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot use `git://example.com/o/r` as a remote: only http, https and file URLs and paths are; use the https form
    ");
}

/// The branch of a bare clone is as old as the clone, and was taken for the base branch of today: every run stopped.
#[test]
fn switch_in_a_stale_bare_clone_stops_nothing() {
    let sandbox = sandbox();
    let git = sandbox.git();
    let configure = |text: &str| {
        sandbox.write(".gitops-updater.yaml", text);
        git.commit_all("Configure");
    };
    configure("enabled: false\n");
    git.run(["clone", "--quiet", "--bare", ".", "../stale.git"]);
    let run = |disabled: &str| {
        let mut command = sandbox.command([
            "run",
            "../stale.git",
            "--remote",
            "origin",
            "--offline",
            "--format",
            "json",
            "--now",
            NOW,
        ]);
        command.env("GITOPS_UPDATER_DISABLE", disabled);
        let told = sandbox.finish(command);
        let report: serde_json::Value =
            serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told}"));
        report["stopped_by"].as_str().map(str::to_owned)
    };
    configure("enabled: true\n");
    assert_eq!(run(""), None);
    assert_eq!(run("1").as_deref(), Some("GITOPS_UPDATER_DISABLE"));
    configure("enabled: false\n");
    assert_eq!(run("").as_deref(), Some("enabled"));
}

//! Which repository, which part of it and which branch a command works on, without a forge.

use crate::github_pass::world::chart;
use crate::support::sandbox::{CommandOutput, Sandbox};

const SOURCE: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n\
                      metadata: {name: example, namespace: apps}\nspec: {url: https://charts.example.com}\n";
const INDEX: &str = "apiVersion: v1\nentries:\n  podinfo:\n  - {name: podinfo, version: 6.5.1, created: 2026-07-01T00:00:00Z, urls: [podinfo-6.5.1.tgz]}\n\
                     \x20 website:\n  - {name: website, version: 1.1.0, created: 2026-07-01T00:00:00Z, urls: [website-1.1.0.tgz]}\n";

fn release(name: &str, version: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: apps}}\nspec:\n  \
         chart:\n    spec:\n      chart: {name}\n      version: {version}\n      \
         sourceRef: {{kind: HelmRepository, name: example}}\n"
    )
}

/// Two releases in two folders, and a mirror that has something newer for both.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_empty_repo();
    sandbox
        .write("apps/podinfo.yaml", release("podinfo", "6.5.0"))
        .write("infra/website.yaml", release("website", "1.0.0"))
        .write("infra/source.yaml", SOURCE)
        .write("../mirror/index.yaml", INDEX)
        .write("../mirror/podinfo-6.5.1.tgz", chart("podinfo", "6.5.1", &[]))
        .write("../mirror/website-1.1.0.tgz", chart("website", "1.1.0", &[]))
        .write("../mine.yaml", "upstreams: {map: [{from: 'https://charts.example.com', to: ./mirror}]}\n");
    sandbox.git().commit_all("Start");
    sandbox
}

fn on(sandbox: &Sandbox, arguments: &[&str]) -> CommandOutput {
    let config = sandbox.work().with_file_name("mine.yaml");
    let named = ["--config", config.to_str().unwrap()];
    sandbox.run(arguments.iter().copied().chain(named)).exited(0)
}

fn pulls(sandbox: &Sandbox) -> Vec<String> {
    let listed = on(sandbox, &["pr", "list", "--state", "all", "--format", "json"]).json();
    let mut all: Vec<String> = listed["pull_requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pull| {
            let text = |name: &str| pull[name].as_str().unwrap().to_owned();
            format!("#{} {} into {}: {}", pull["number"], text("state"), text("base"), text("title"))
        })
        .collect();
    all.sort();
    all
}

const OPEN: [&str; 2] = [
    "#1 open into main: helm/apps/podinfo: 6.5.0 -> 6.5.1",
    "#2 open into main: helm/apps/website: 1.0.0 -> 1.1.0",
];

/// A folder was taken for the whole repository: pull requests for what lies outside of it were closed.
#[test]
fn command_in_a_folder_of_the_repository_works_on_the_whole_of_it() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run", "apps"]));
    assert_eq!(pulls(&sandbox), OPEN);
    drop(on(&sandbox, &["run", "apps", "--now", "2026-08-23T11:00:00Z"]));
    drop(on(&sandbox, &["verify", "infra", "--now", "2026-08-23T11:00:00Z"]));
    assert_eq!(pulls(&sandbox), OPEN);
    let made = on(&sandbox, &["backup", "create", "apps", "--format", "json"]).json();
    assert_eq!(made["components"].as_object().unwrap().len(), 2, "{made}");
    // Reports are of what they are asked for.
    let found = on(&sandbox, &["detect", "apps", "--format", "json"]).json();
    assert_eq!(found["update_report"]["components"].as_object().unwrap().len(), 1, "{found}");
}

/// Whatever branch was checked out was taken for the base: a merge into the other one was taken for lost.
#[test]
fn pull_requests_stay_for_their_branch_while_another_one_is_checked_out() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run"]));
    sandbox.git().run(["checkout", "--quiet", "-b", "feature"]);
    drop(on(&sandbox, &["pr", "merge", "1"]));
    let later = on(&sandbox, &["run", "--now", "2026-08-23T11:00:00Z"]);
    assert!(later.stderr.contains("another branch than the one that is checked out"), "{later}");
    assert!(later.stdout.contains("Record the merge of helm/apps/podinfo"), "{later}");
    assert_eq!(pulls(&sandbox), [OPEN[0].replace("open", "merged"), OPEN[1].to_owned()]);
    // A branch that is gone is no base any more.
    sandbox.git().run(["branch", "--quiet", "-m", "main", "trunk"]);
    sandbox.git().run(["checkout", "--quiet", "trunk"]);
    let made = on(&sandbox, &["backup", "create", "--format", "json"]).json();
    assert_eq!(made["branch"], "trunk");
}

#[test]
fn pull_requests_for_another_branch_than_the_base_branch_are_left_alone() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run"]));
    sandbox.git().run(["branch", "stable"]);
    let config = sandbox.work().with_file_name("mine.yaml");
    let mine = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{mine}forge: {{base_branch: stable}}\n")).unwrap();
    let later = on(&sandbox, &["run", "--now", "2026-08-23T11:00:00Z"]);
    assert!(later.said().contains("is for the branch `main` now"), "{later}");
    assert_eq!(pulls(&sandbox), OPEN);
    drop(on(&sandbox, &["pr", "merge", "1"]));
    let later = on(&sandbox, &["run", "--now", "2026-08-23T12:00:00Z"]);
    assert!(later.said().contains("was merged into the branch `main`"), "{later}");
    assert!(!later.stdout.contains("Record the merge"), "{later}");
    assert_eq!(pulls(&sandbox), [OPEN[0].replace("open", "merged"), OPEN[1].to_owned()]);
}

#[test]
fn branch_that_somebody_took_away_is_made_again() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run"]));
    let git = sandbox.git();
    let branch =
        git.run(["for-each-ref", "--format=%(refname:short)", "refs/heads/gitops-updater/*podinfo*"]);
    git.run(["branch", "--quiet", "-D", &branch]);
    drop(on(&sandbox, &["run", "--now", "2026-08-23T11:00:00Z"]));
    assert!(git.run(["show", &format!("{branch}:apps/podinfo.yaml")]).contains("6.5.1"));
    assert_eq!(pulls(&sandbox), OPEN);
    drop(on(&sandbox, &["pr", "merge", "1"]));
}

#[test]
fn what_a_person_does_after_a_merge_is_said_with_the_id() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run"]));
    drop(on(&sandbox, &["pr", "merge", "1"]));
    let later = ["--now", "2026-08-23T11:00:00Z"];
    let ran = on(&sandbox, &["run", later[0], later[1]]);
    let said = ran.said();
    let (_, id) = said.split_once("verify --accept ").unwrap_or_else(|| panic!("{ran}"));
    let id = id.split('`').next().unwrap();
    for command in [&["verify"][..], &["status"]] {
        let config = sandbox.work().with_file_name("mine.yaml");
        let arguments = command.iter().copied().chain(later).chain(["--config", config.to_str().unwrap()]);
        let told = sandbox.run(arguments);
        assert!(told.said().contains(&format!("verify --accept {id}")), "{told}");
    }
    drop(on(&sandbox, &["verify", "--accept", id]));
    let told = on(&sandbox, &["status"]);
    assert!(!told.stdout.contains("--accept"), "{told}");
}

/// Between a merge and the next run `status` said that the pull request is open.
#[test]
fn status_says_what_became_of_a_pull_request_that_no_run_has_seen() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run"]));
    drop(on(&sandbox, &["pr", "merge", "1"]));
    drop(on(&sandbox, &["pr", "close", "2"]));
    let told = on(&sandbox, &["status"]);
    for part in [
        "#1 merged",
        "merged, not yet recorded: the next `gitops-updater run` or `gitops-updater verify` records it and looks on",
        "#2 closed",
    ] {
        assert!(told.said().contains(part), "`{part}` is not in {told}");
    }
    assert!(!told.stdout.contains("open"), "{told}");
    let json = on(&sandbox, &["status", "--format", "json"]).json();
    let became: Vec<&str> =
        json["not_recorded"].as_object().unwrap().values().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(became.len(), 2, "{json}");
    drop(on(&sandbox, &["run", "--now", "2026-08-23T11:00:00Z"]));
    let told = on(&sandbox, &["status"]);
    assert!(!told.stdout.contains("records"), "{told}");
}

#[test]
fn policy_that_verifies_by_time_says_when_and_by_what() {
    let sandbox = sandbox();
    let config = sandbox.work().with_file_name("mine.yaml");
    let mine = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{mine}policy: {{verification: merged, settle: 6h}}\n")).unwrap();
    drop(on(&sandbox, &["run"]));
    drop(on(&sandbox, &["pr", "merge", "1"]));
    let told = on(&sandbox, &["run", "--now", "2026-08-23T11:00:00Z"]);
    let said = told.said();
    assert!(said.contains("`verification: merged` takes it for good at 2026-08-23T"), "{told}");
    assert!(said.contains("6 hours after its merge, unless it is held or reverted before"), "{told}");
    drop(on(&sandbox, &["run", "--now", "2026-08-24T11:00:00Z"]));
    let told = on(&sandbox, &["status"]);
    assert!(told.stdout.contains("policy `verification: merged`, 6 hours after its merge"), "{told}");
}

/// With `--quiet` a pass that saw nothing of the cluster said nothing at all.
#[test]
fn cluster_that_does_not_answer_is_told_of_even_when_quiet() {
    let sandbox = sandbox();
    // Nobody listens there: it is taken and given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    sandbox.write(
        "../kubeconfig",
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        ),
    );
    let told = on(&sandbox, &["run", "--quiet", "--dry-run", "--kubeconfig", "../kubeconfig"]);
    assert!(told.stderr.contains("the cluster does not answer"), "{told}");
}

#[test]
fn versions_are_not_what_is_cut_off_of_a_long_row() {
    let sandbox = sandbox();
    let name = "a-release-whose-name-is-rather-long-for-a-row-of-a-screen";
    sandbox.write(
        "apps/podinfo.yaml",
        release("podinfo", "6.5.0").replacen("name: podinfo", &format!("name: {name}"), 1),
    );
    sandbox.git().commit_all("Rename");
    drop(on(&sandbox, &["run"]));
    let told = on(&sandbox, &["status"]);
    assert!(told.stdout.contains("\n    6.5.0 -> 6.5.1\n"), "{told}");
    assert!(told.stdout.lines().all(|line| line.chars().count() <= 80), "{told}");
}

/// The shell makes the file before the program runs, which took it for a rule that cannot be read.
#[test]
fn rule_is_written_into_the_folder_of_rules_as_the_documentation_says() {
    let sandbox = sandbox();
    sandbox.write(".gitops-updater/rules/longhorn.yaml", "");
    let shown = sandbox.run(["rules", "show", "longhorn", "--format", "yaml"]).exited(0);
    assert!(shown.stdout.contains("id: longhorn"), "{shown}");
    // Who does not ask for it is told.
    drop(sandbox.run(["rules", "list"]).exited(3));
    sandbox.write(".gitops-updater/rules/longhorn.yaml", "id: [\n");
    drop(sandbox.run(["rules", "show", "longhorn"]).exited(3));
}

/// It was a folder for the work tree, and an error for a revision of the same.
#[test]
fn mirror_within_the_repository_answers_for_a_revision_too() {
    let sandbox = sandbox();
    sandbox.write("mirror/index.yaml", INDEX).write(
        ".gitops-updater.yaml",
        "forge: {kind: local}\nfiles: {exclude: [mirror]}\nupstreams: {map: [{from: 'https://charts.example.com', to: ./mirror}]}\n",
    );
    sandbox.git().commit_all("Mirror");
    for arguments in [&["detect"][..], &["detect", "--rev", "HEAD"], &["run", "apps"]] {
        let told = sandbox.run(arguments).exited(0);
        assert!(told.stdout.contains("6.5.1"), "{arguments:?}: {told}");
    }
    drop(sandbox.run(["rollback", "helm/apps/podinfo", "--to", "6.4.0", "--dry-run"]));
    let git = sandbox.git();
    git.run(["clone", "--quiet", "--bare", ".", "../bare.git"]);
    let told = sandbox.run(["detect", "../bare.git"]).exited(3);
    assert!(told.stderr.contains("no work tree"), "{told}");
}

#[test]
fn state_that_was_set_to_something_else_is_put_back_as_the_hint_says() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run"]));
    let git = sandbox.git();
    git.run(["update-ref", "refs/gitops-updater/state", "main"]);
    let told = sandbox.run(["status"]).exited(1);
    let command = "git update-ref refs/gitops-updater/state refs/gitops-updater/state-seen";
    assert!(told.stderr.contains(command), "{told}");
    git.run(command.split(' ').skip(1));
    drop(on(&sandbox, &["status"]));
}

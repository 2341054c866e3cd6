//! Which repository, which part of it and which branch a command works on, without a forge.

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
fn branch_that_somebody_took_away_is_made_again() {
    let sandbox = sandbox();
    drop(on(&sandbox, &["run"]));
    let git = sandbox.git();
    let branch = git.run(["for-each-ref", "--format=%(refname:short)", "refs/heads/gitops-updater/*podinfo*"]);
    git.run(["branch", "--quiet", "-D", &branch]);
    drop(on(&sandbox, &["run", "--now", "2026-08-23T11:00:00Z"]));
    assert!(git.run(["show", &format!("{branch}:apps/podinfo.yaml")]).contains("6.5.1"));
    assert_eq!(pulls(&sandbox), OPEN);
    drop(on(&sandbox, &["pr", "merge", "1"]));
}

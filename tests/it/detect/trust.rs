//! What a repository's own configuration, its links and its revisions may decide.

use super::world::{World, word};
use crate::support::sandbox::CommandOutput;

/// Excludes everything, so that a report shows whether it counted.
const EXCLUDES_ALL: &str = "files: {exclude: ['*.yaml']}\n";

fn components(world: &World, arguments: &[&str]) -> usize {
    let mut all = vec!["detect", "--format", "json", "--offline"];
    all.extend(arguments);
    let report = world.run(&all).exited(0).json();
    report["update_report"]["components"].as_object().unwrap().len()
}

fn refused(world: &World, arguments: &[&str]) -> CommandOutput {
    let mut all = vec!["detect", "--offline"];
    all.extend(arguments);
    world.run(&all).exited(3)
}

/// A bare repository was read at `HEAD`, and its configuration looked for on disk, where it never is.
#[test]
fn bare_repository_is_read_by_its_own_configuration() {
    let world = World::home();
    let git = world.sandbox.git();
    let bare = world.beside("bare.git");
    assert!(components(&world, &[]) > 0);
    git.write(".gitops-updater.yaml", EXCLUDES_ALL);
    git.commit_all("Configure");
    git.run(["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    let bare = bare.to_str().unwrap();
    assert_eq!(components(&world, &[bare]), 0);
    assert_eq!(components(&world, &[bare, "--rev", "main"]), 0);
    assert!(components(&world, &[bare, "--rev", "main~1"]) > 0);
}

/// With `--rev` only the top was looked at, and what could not be read there counted as no configuration.
#[test]
fn configuration_of_a_revision_is_found_as_on_disk_and_never_passed_over() {
    let world = World::home();
    let git = world.sandbox.git();
    git.write("apps/.gitops-updater.yaml", EXCLUDES_ALL);
    git.commit_all("Configure a folder");
    assert_eq!((components(&world, &["apps"]), components(&world, &["apps", "--rev", "main"])), (0, 0));
    assert!(components(&world, &["--rev", "main"]) > 0);
    git.write(".gitops-updater.yaml", "detection: {k4s: [\n");
    git.commit_all("Break it");
    let output = refused(&world, &["--rev", "main"]);
    assert!(output.stderr.contains(".gitops-updater.yaml"), "{output}");
    std::fs::remove_file(world.sandbox.work().join(".gitops-updater.yaml")).unwrap();
    std::os::unix::fs::symlink("../../outside.yaml", world.sandbox.work().join(".gitops-updater.yaml"))
        .unwrap();
    git.commit_all("Link it");
    let output = refused(&world, &["--rev", "main"]);
    assert!(output.stderr.contains(".gitops-updater.yaml"), "{output}");
}

/// A link inside the repository made a file outside of it a trusted configuration, and errors quoted its lines.
#[test]
fn link_of_the_repository_is_no_configuration_of_the_user() {
    let world = World::home();
    std::fs::write(world.beside("secret.yaml"), "hunter2: [\n").unwrap();
    std::os::unix::fs::symlink("../secret.yaml", world.sandbox.work().join("up.yaml")).unwrap();
    let output = refused(&world, &["--config", "up.yaml"]);
    assert!(!output.stderr.contains("hunter2") && output.stderr.contains("not a regular file"), "{output}");
}

/// A token for github.com was sent to the API that the repository's configuration named, even over plain HTTP.
#[test]
fn repository_does_not_choose_who_gets_the_token_for_github() {
    let world = World::home();
    let api = &world.github.served.url;
    world.sandbox.write(
        ".gitops-updater.yaml",
        format!(
            "upstreams:\n  retries: 0\n  hosts: {{github.com: {{token_env: GITOPS_UPDATER_HOST_GITHUB_COM_TOKEN}}}}\n  \
             github: {{api_url: '{api}'}}\n"
        ),
    );
    let world = World {
        sandbox: world.sandbox.variable("GITOPS_UPDATER_HOST_GITHUB_COM_TOKEN", "gh-secret"),
        ..world
    };
    let output = world.run(&["detect", "--component", "flux"]).exited(3);
    assert!(output.stderr.contains("upstreams.github.api_url"), "{output}");
    assert!(world.github.seen().is_empty());
}

/// An unwritable cache folder in the usual place ended the run; nobody had asked for it.
#[test]
fn cache_that_cannot_be_made_ends_the_run_only_if_it_was_named() {
    let world = World::home();
    let blocked = world.beside("cache").join("gitops-updater");
    std::fs::write(&blocked, "a file where the folder should be").unwrap();
    let output = world.detect(&["--component", "helm/apps/podinfo", "--format", "json"]).exited(0);
    let entry = &output.json()["update_report"]["components"]["helm/apps/podinfo"];
    assert_eq!(word(&entry["available_version"]), "6.6.0");
    assert_eq!(output.stderr.matches("there can be no cache folder").count(), 1, "{output}");
    let named = world.detect(&["--cache-dir", blocked.to_str().unwrap()]).exited(1);
    assert!(named.stderr.contains("--no-cache"), "{named}");
}

/// Names of a repository could begin a line of the text report and so be a command to the runner; and annotations
/// of a checkout below the workspace named files that are not there.
#[test]
fn report_of_a_step_holds_no_command_and_annotations_find_their_file() {
    let world = World::home();
    let long = "x".repeat(70);
    world.sandbox.write(
        "evil.yaml",
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: x}}\nspec: {{containers: [{{name: c, image: \
             'ghcr.io/example/{long} ::error::owned ##[error]owned:1.0.0'}}]}}\n---\nkind: [ ::error::owned\n"
        ),
    );
    let workspace = world.beside("");
    let world = World {
        sandbox: world
            .sandbox
            .variable("GITHUB_ACTIONS", "true")
            .variable("GITHUB_WORKSPACE", workspace.to_str().unwrap()),
        ..world
    };
    for format in ["text", "markdown", "yaml", "csv", "html"] {
        let output = world.detect(&["--format", format]).exited(0);
        for line in output.stdout.lines() {
            assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
        }
        assert!(output.stderr.contains("file=work/apps/podinfo.yaml,line="), "{output}");
    }
    let below = world.detect(&["apps", "--format", "csv"]).exited(0);
    assert!(below.stderr.contains("file=work/apps/podinfo.yaml,line="), "{below}");
}

//! Steps under the gate `auto`: merged by the bot once checks are green, by GitHub where its rules want more.

use rstest::rstest;

use super::world::{LATER, NOW, World};

const AUTO: &str = "policy: {semver_gates: {patch: auto}}\n";

/// A world with an open pull request under the gate `auto`.
fn proposed(more: &str) -> World {
    let world = World::new();
    world.configure(&format!("{AUTO}{more}"));
    world.pass(NOW);
    world
}

/// The checks of the pull request say this.
fn check(world: &World, outcome: &str) {
    let head = world.open("podinfo").pull.unwrap().head_sha;
    world.forge.github().add_check(&head, "build", outcome);
}

fn waits(world: &World, words: &str) {
    let report = world.pass(LATER);
    assert!(report["waiting"].to_string().contains(words), "{}", report["waiting"]);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
}

#[rstest]
#[case("merge", 2)]
#[case("squash", 1)]
#[case("rebase", 1)]
fn green_pull_request_is_merged_in_the_way_that_is_configured(#[case] method: &str, #[case] parents: usize) {
    let world = proposed(&format!("pull_requests: {{merge_method: {method}, draft: true}}\n"));
    assert!(!world.open("podinfo").pull.unwrap().draft, "a draft cannot be merged");
    waits(&world, "no check of pull request #1 has reported success");
    check(&world, "in_progress");
    waits(&world, "not done");
    world.forge.github().check_runs.clear();
    check(&world, "success");
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
    let git = world.git();
    let main = git.run(["log", "-1", "--format=%P%n%B", "main"]);
    assert_eq!(main.lines().next().unwrap().split(' ').count(), parents, "{main}");
    assert!(git.run(["show", "main:apps/podinfo.yaml"]).contains("6.5.1"));
    if method != "merge" {
        assert!(main.contains("update-20261121-100000"), "the trailers stay: {main}");
    }
    // The base branch moved within that pass.
    world.pass(LATER);
    world.quiet(LATER);
}

#[test]
fn failed_check_stops_the_merge() {
    let world = proposed("");
    check(&world, "success");
    let head = world.open("podinfo").pull.unwrap().head_sha;
    world.forge.github().add_status(&head, "lint", "failure");
    waits(&world, "failed");
}

#[test]
fn window_and_backup_point_that_is_gone_stop_the_merge() {
    let world = proposed("");
    check(&world, "success");
    let closed = world.run(&["run", "--now", LATER, "--maintenance-window", "0 2 * * 6 1h UTC"]).exited(0);
    assert!(closed.stdout.contains("window"), "{closed}");
    for name in world.refs().iter().filter(|name| name.starts_with("refs/gitops-updater/backups/")) {
        world.git().run(["update-ref", "-d", name.split(' ').next().unwrap()]);
    }
    let output = world.run(&["run", "--now", LATER]).exited(1);
    assert!(output.stdout.contains("cannot read back backup point"), "{output}");
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
}

#[test]
fn method_that_the_repository_forbids_names_the_key_and_the_ones_it_has() {
    let world = proposed("pull_requests: {merge_method: squash}\n");
    check(&world, "success");
    world.forge.github().forbidden_methods = vec!["squash", "merge"];
    let output = world.run(&["run", "--now", LATER]).exited(1);
    assert!(output.stdout.contains("`pull_requests.merge_method: squash`"), "{output}");
    assert!(output.stdout.contains("set it to `rebase`"), "{output}");
}

#[test]
fn required_review_lets_github_merge_when_it_is_there() {
    let world = proposed("pull_requests: {merge_method: squash}\n");
    check(&world, "success");
    {
        let mut github = world.forge.github();
        github.protection.approvals = 1;
        github.auto_merge_allowed = true;
    }
    waits(&world, "GitHub merges it when its rules allow it");
    let pull = world.open("podinfo").pull.unwrap();
    assert_eq!(pull.auto_merge.as_deref(), Some("squash"));
    // Asked for once.
    world.quiet(LATER);
    world.merge("podinfo", "squash");
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
}

#[test]
fn merge_queue_takes_what_is_ready() {
    let world = proposed("");
    check(&world, "success");
    {
        let mut github = world.forge.github();
        github.protection.by_queue = true;
        github.auto_merge_allowed = true;
    }
    waits(&world, "merge queue");
    assert!(world.open("podinfo").pull.unwrap().is_queued);
}

#[test]
fn rule_without_auto_merge_waits_for_a_person_and_says_how() {
    let world = proposed("");
    check(&world, "success");
    world.forge.github().protection.approvals = 1;
    let report = world.pass(LATER);
    let waiting = report["waiting"].to_string();
    assert!(waiting.contains("approving review is required"), "{waiting}");
    assert!(waiting.contains("allow auto-merge in the settings"), "{waiting}");
}

//! Steps under the gate `auto`: merged by the bot once checks are green, by GitHub where its rules want more.

use rstest::rstest;

use super::world::{LATER, MUCH_LATER, NOW, World};
use crate::support::fake_channels::HOOK_PATH;
use crate::support::fake_forge::Account;

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
    assert!(output.said().contains("`pull_requests.merge_method: squash`"), "{output}");
    assert!(output.said().contains("set it to `rebase`"), "{output}");
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

/// A world in which GitHub was asked to merge #1 by itself, or has it in its merge queue.
fn asked_for(by_queue: bool) -> World {
    let world = proposed("");
    check(&world, "success");
    {
        let mut github = world.forge.github();
        github.protection.approvals = usize::from(!by_queue);
        github.protection.by_queue = by_queue;
        github.auto_merge_allowed = true;
    }
    world.pass(LATER);
    assert!(is_asked_for(&world));
    world
}

fn is_asked_for(world: &World) -> bool {
    let pull = world.open("podinfo").pull.unwrap();
    pull.is_queued || pull.auto_merge.is_some()
}

/// Effects of a pass on the pull request.
fn withdrawals(world: &World) -> Vec<String> {
    let effects = world.effects(LATER);
    effects.into_iter().filter(|effect| effect.contains("must not merge it by itself now")).collect()
}

#[rstest]
fn maintenance_takes_back_what_github_was_asked_to_merge(#[values(false, true)] by_queue: bool) {
    let world = asked_for(by_queue);
    let enable = ["maintenance", "enable", "--reason", "moving house", "--now", LATER];
    drop(world.run(&enable).exited(0));
    let dry = world.run(&["run", "--dry-run", "--now", LATER]).exited(0);
    assert!(dry.stdout.contains("must not merge it by itself now"), "{dry}");
    assert!(is_asked_for(&world), "a dry run changes nothing");
    let withdrawn = withdrawals(&world);
    assert!(withdrawn.len() == 1 && withdrawn[0].contains("moving house"), "{withdrawn:?}");
    assert!(!is_asked_for(&world));
    world.quiet(LATER);
    // When it is over, it is asked for again.
    drop(world.run(&["maintenance", "disable", "--now", LATER]).exited(0));
    world.pass(LATER);
    assert!(is_asked_for(&world));
}

#[rstest]
fn kill_switch_takes_back_what_github_was_asked_to_merge_and_does_nothing_else(
    #[values(false, true)] by_queue: bool,
) {
    let mut world = asked_for(by_queue);
    world.variables.push(("GITOPS_UPDATER_DISABLE", "1".to_owned()));
    world.forge.writes();
    assert_eq!(world.effects(LATER).len(), 1);
    assert_eq!(world.forge.writes(), ["POST /graphql"]);
    assert!(!is_asked_for(&world));
    world.quiet(LATER);
}

#[test]
fn closed_window_takes_back_what_github_was_asked_to_merge() {
    let world = asked_for(false);
    drop(world.run(&["run", "--now", LATER, "--maintenance-window", "0 2 * * 6 1h UTC"]).exited(0));
    assert!(!is_asked_for(&world));
}

#[rstest]
fn what_a_person_asked_github_to_merge_stays(#[values(false, true)] by_queue: bool) {
    let world = asked_for(by_queue);
    world.forge.github().issue(1).pull.as_mut().unwrap().asked_by = Some(Account::person(7, "alice"));
    drop(world.run(&["maintenance", "enable", "--now", LATER]).exited(0));
    assert_eq!(withdrawals(&world), [""; 0]);
    assert!(is_asked_for(&world));
}

#[test]
fn backup_that_stops_a_merge_is_told_once() {
    let world = World::new();
    let channels = world.channels();
    let url = channels.url(HOOK_PATH);
    world.configure(&format!(
        "{AUTO}notifications: {{channels: {{ops: {{type: webhook, url: '{url}', at_least: warning}}}}}}\n"
    ));
    world.pass(NOW);
    check(&world, "success");
    for name in world.refs().iter().filter(|name| name.starts_with("refs/gitops-updater/backups/")) {
        world.git().run(["update-ref", "-d", name.split(' ').next().unwrap()]);
    }
    for now in [LATER, MUCH_LATER] {
        drop(world.run(&["run", "--now", now]).exited(1));
        let arrived = channels.arrived();
        let kinds: Vec<_> =
            arrived.iter().map(|message| message.body["events"][0]["kind"].to_string()).collect();
        assert_eq!(kinds, ["\"backup_failed\""], "{arrived:?}");
        let message = arrived[0].body.to_string();
        assert!(message.contains("helm/apps/podinfo") && message.contains("cannot read back"), "{message}");
    }
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
}

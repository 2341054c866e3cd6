//! What is asked anew before a merge: the policy of today, what became of others, whose branch it is; and what the
//! reviewer reads of it.

use gitops_updater::domain::settle::verdict::Verdict;
use gitops_updater::domain::state::Stage;
use rstest::rstest;

use super::world::{LATER, MUCH_LATER, NOW, World};
use crate::support::fake_forge::PullState;

const AUTO: &str = "policy: {semver_gates: {patch: auto}}\n";

/// A world with an open and green pull request of podinfo under the gate `auto`.
fn green() -> World {
    let world = World::new();
    world.configure(AUTO);
    world.pass(NOW);
    world.green("podinfo");
    world
}

/// The same, and GitHub was asked to merge it by itself.
fn asked_for() -> World {
    let world = green();
    {
        let mut github = world.forge.github();
        github.protection.approvals = 1;
        github.auto_merge_allowed = true;
    }
    world.pass(LATER);
    assert!(is_asked_for(&world));
    world
}

fn is_asked_for(world: &World) -> bool {
    world.open("podinfo").pull.unwrap().auto_merge.is_some()
}

/// The gate that was recorded when the pull request was opened decided, whatever the policy said since.
#[rstest]
fn policy_that_became_stricter_keeps_the_bot_from_merging(#[values("review", "manual")] gate: &str) {
    let world = green();
    world.configure(&format!("policy: {{semver_gates: {{patch: {gate}}}}}\n"));
    let waiting = world.pass(LATER)["waiting"].to_string();
    assert!(waiting.contains(&format!("its gate is `{gate}` now (policy.semver_gates.patch)")), "{waiting}");
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    // And back again.
    world.configure(AUTO);
    world.pass(MUCH_LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
}

#[test]
fn policy_that_skips_now_closes_what_would_have_been_merged() {
    let world = green();
    world.configure("policy: {semver_gates: {patch: skip}}\n");
    world.pass(LATER);
    assert_eq!(world.updates()[0], "helm/apps/podinfo 6.5.1 abandoned");
    assert_eq!(world.pulls()[0].2, PullState::Closed);
}

#[test]
fn policy_that_became_stricter_takes_back_what_github_was_asked_to_merge() {
    let world = asked_for();
    world.configure("policy: {semver_gates: {patch: review}}\n");
    world.pass(LATER);
    assert!(!is_asked_for(&world));
}

#[test]
fn commit_of_somebody_else_takes_back_what_github_was_asked_to_merge() {
    let world = asked_for();
    let branch = world.open("podinfo").pull.unwrap().head;
    world.somebody_commits(&branch, "apps/mine.yaml", "mine: 1\n");
    assert!(is_asked_for(&world), "GitHub itself leaves it to whoever may write");
    let waiting = world.pass(LATER)["waiting"].to_string();
    assert!(waiting.contains("somebody else"), "{waiting}");
    assert!(!is_asked_for(&world));
}

/// A hold stopped what was to be proposed, and not what was open already.
#[rstest]
#[case::held(Stage::Held, None, "is held: two replicas are not ready")]
#[case::regressed(Stage::Rolling, Some(Verdict::Regressed), "regressed: two replicas are not ready")]
fn nothing_is_merged_while_another_update_needs_a_person(
    #[case] stage: Stage,
    #[case] verdict: Option<Verdict>,
    #[case] words: &str,
) {
    let mut world = World::new();
    world.publish("legacy", &["1.0.0", "1.0.1"]);
    world.configure(AUTO);
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(LATER);
    world.record("helm/apps/podinfo", |update| {
        update.stage = stage;
        update.settling.verdict = verdict;
        update.reason = Some("two replicas are not ready".to_owned());
    });
    world.green("legacy");
    // What it ends with depends on what the other one waits for.
    let report = world.run(&["run", "--now", LATER, "--format", "json"]).json();
    assert!(report["waiting"].to_string().contains(words), "{}", report["waiting"]);
    assert!(world.updates().contains(&"helm/apps/legacy 1.0.1 proposed".to_owned()), "{:?}", world.updates());
    let id = world.update_id("helm/apps/podinfo");
    drop(world.run(&["verify", "--accept", &id, "--now", LATER]).exited(0));
    world.pass(LATER);
    assert!(world.updates().contains(&"helm/apps/legacy 1.0.1 merged".to_owned()), "{:?}", world.updates());
}

/// The point of the old base was all that there was for a branch on a newer one.
#[test]
fn branch_on_a_newer_base_has_a_backup_point_of_that_base() {
    let world = World::new();
    world.pass(NOW);
    let old = world.recorded("helm/apps/podinfo", "backup_id");
    let text = world.git().run(["show", "main:apps/podinfo.yaml"]);
    world.somebody_commits("main", "apps/podinfo.yaml", &format!("# looked at\n{text}\n"));
    world.pass(LATER);
    let new = world.recorded("helm/apps/podinfo", "backup_id");
    assert_ne!(new, old);
    let point = format!("refs/gitops-updater/backups/{new}");
    let git = world.git();
    assert_eq!(git.run(["rev-parse", &format!("{point}^{{commit}}^")]), git.run(["rev-parse", "main"]));
    assert!(world.open("podinfo").body.contains(&new), "{}", world.open("podinfo").body);
    git.run(["rev-parse", "--verify", &format!("refs/gitops-updater/backups/{old}")]);
    world.quiet(LATER);
}

#[test]
fn pull_request_lists_every_gate_with_what_decided() {
    let world = World::new();
    world.configure("policy: {allowed: '<7', minimum_release_age: 3d}\nlimits: {open_pull_requests: 3}\n");
    world.pass(NOW);
    let body = world.open("podinfo").body;
    for (gate, by) in [
        ("semver", "`default`"),
        ("release_age", "`policy.minimum_release_age`"),
        ("allowed", "`policy.allowed`"),
        ("denied", "`default`"),
        ("ladder", "`rules`"),
        ("compatibility", "`rules`"),
        ("apis", "`rules`"),
        ("order", "`rules, dependsOn`"),
        ("fetch", "`built in`"),
        ("quarantine", ""),
        ("kill_switch", ""),
        ("maintenance", ""),
        ("circuit_breaker", ""),
        ("window", "`default`"),
        ("held_update", ""),
        ("in_flight", ""),
        ("open_pull_requests", "`limits.open_pull_requests`"),
        ("per_hour", "`limits.per_hour`"),
        ("checks", "`pull_requests.require_checks`"),
    ] {
        let start = format!("| `{gate}` | passed |");
        let row = body.lines().find(|line| line.starts_with(&start));
        assert!(row.is_some_and(|row| row.contains(by)), "{gate}: {row:?}\n{body}");
    }
    assert!(body.contains("at most 3 may be open at once"), "{body}");
}

#[test]
fn dashboard_is_written_by_a_template_of_the_user() {
    let world = World::new();
    world.configure(
        "dashboard:\n  template: |\n    Ours:\n    {% for row in open %}\n    - {{ row.rebuild }} {{ row.component }}\n    {% endfor %}\n",
    );
    world.pass(NOW);
    let body = world.dashboard().body;
    assert!(
        body.contains("Ours:") && body.contains("podinfo") && !body.contains("Open pull requests"),
        "{body}"
    );
    // Its boxes are obeyed as ever.
    world.somebody_commits("main", "README.md", "# Home\n");
    world.tick(&["gitops-updater:rebuild"]);
    world.pass(LATER);
    let pull = world.open("podinfo").pull.unwrap();
    let git = world.git();
    assert_eq!(git.run(["rev-parse", &format!("{}^", pull.head)]), git.run(["rev-parse", "main"]));
}

/// What its marker does not name was not asked for: a record made anew was merged without any way back.
#[test]
fn nothing_is_merged_before_there_is_a_backup_point() {
    let world = green();
    let old = world.recorded("helm/apps/podinfo", "backup_id");
    world.lose_the_state();
    world.git().run(["update-ref", "-d", &format!("refs/gitops-updater/backups/{old}")]);
    let number = world.open("podinfo").number;
    {
        let mut github = world.forge.github();
        let body = &mut github.issue(number).body;
        let named = format!("\"backup_id\":\"{old}\",");
        assert!(body.contains(&named), "{body}");
        *body = body.replace(&named, "");
    }
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    let made = world.recorded("helm/apps/podinfo", "backup_id");
    world.git().run(["rev-parse", "--verify", &format!("refs/gitops-updater/backups/{made}")]);
    assert!(world.open("podinfo").body.contains(&made), "{}", world.open("podinfo").body);
    world.green("podinfo");
    world.pass(MUCH_LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
}

//! What people do between two passes, and what the next one makes of it.

use rstest::rstest;

use crate::support::fake_forge::{Account, PullState};

use super::world::{LATER, MUCH_LATER, NOW, World};

/// Every step of its own, so that two are open at once.
const APART: &str = "limits: {open_pull_requests: 5}\n";

#[test]
fn version_whose_pull_request_was_closed_comes_again_when_a_person_says_so() {
    let mut world = World::new();
    world.pass(NOW);
    let podinfo = world.open("podinfo");
    world.forge.github().set_open(podinfo.number, false);
    world.pass(LATER);
    // What would have come after it goes without it.
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 abandoned", "helm/apps/website 1.1.0 proposed"]);
    assert!(!world.branches().iter().any(|branch| branch.contains("podinfo")), "{:?}", world.branches());
    world.quiet(LATER);
    assert!(world.dashboard().body.contains("not this version"), "{}", world.dashboard().body);

    world.tick(&["gitops-updater:unquarantine", "podinfo"]);
    world.pass(MUCH_LATER);
    let again = world.open("podinfo");
    assert_ne!(again.number, podinfo.number);

    // A newer one comes by itself.
    world.forge.github().set_open(again.number, false);
    world.pass(MUCH_LATER);
    world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    world.pass(MUCH_LATER);
    assert!(world.open("podinfo").title.contains("6.5.2"));
}

/// It was refused until a pass had recorded the merge.
#[rstest]
#[case("merge", true)]
#[case("squash", true)]
#[case("rebase", true)]
#[case("squash", false)]
fn what_was_merged_a_moment_ago_is_gone_back_from(#[case] method: &str, #[case] branch_is_there: bool) {
    let world = World::new();
    world.pass(NOW);
    let branch = world.open("podinfo").pull.unwrap().head;
    world.merge("podinfo", method);
    if !branch_is_there {
        world.git().run(["update-ref", "-d", &format!("refs/heads/{branch}")]);
    }
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    let told = world.run(&["rollback", "helm/apps/podinfo", "--now", LATER, "--format", "json"]);
    let told = told.exited(0).json();
    assert_eq!(told["components"][0]["to"], "6.5.0", "{told}");
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
    let proposed = world.open("rollback");
    assert_eq!(told["pull_request"], proposed.number);
    let head = proposed.pull.unwrap().head;
    let text = world.git().run(["show", &format!("{head}:apps/podinfo.yaml")]);
    assert!(text.contains("version: 6.5.0"), "{text}");
    world.merge("rollback", method);
    world.pass(MUCH_LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 reverted", "helm/apps/website 1.1.0 proposed"]);
}

/// A pull request to go back that was closed could never be proposed again.
#[test]
fn going_back_is_proposed_again_when_a_person_asks_again() {
    let world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(LATER);
    let id = world.update_id("helm/apps/podinfo");
    drop(world.run(&["verify", "--accept", &id, "--now", LATER]).exited(0));
    let rollback = || {
        let told = world.run(&["rollback", "helm/apps/podinfo", "--now", LATER, "--format", "json"]);
        told.exited(0).json()["pull_request"].as_u64().unwrap()
    };
    let first = rollback();
    assert_eq!(rollback(), first, "while it is open it is found");
    world.forge.github().set_open(first, false);
    // Asked again before and after a pass has seen that it was closed.
    let second = rollback();
    assert_ne!(second, first);
    world.pass(MUCH_LATER);
    assert!(
        world.forge.github().issues[&second].open,
        "the older one that was closed says nothing of this one"
    );
    world.forge.github().set_open(second, false);
    world.pass(MUCH_LATER);
    let third = rollback();
    assert!(third > second);
    assert_eq!(rollback(), third);
    let told = world.run(&["run", "--now", MUCH_LATER]).exited(0);
    assert!(told.said().contains(&format!("Going back (1): #{third} waits for a person: Roll")), "{told}");
    let json = world.pass(MUCH_LATER);
    assert_eq!(json["going_back"][0]["pull_request"], third);
}

#[test]
fn newer_version_takes_the_place_of_an_open_pull_request_and_says_so_there() {
    let mut world = World::new();
    world.pass(NOW);
    let old = world.open("podinfo");
    world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    world.pass(LATER);
    let new = world.open("podinfo");
    assert!(new.title.contains("6.5.2"), "{}", new.title);
    let pulls: Vec<_> = world.pulls().into_iter().map(|(number, _, state)| (number, state)).collect();
    assert_eq!(pulls, [(old.number, PullState::Closed), (new.number, PullState::Open)]);
    let said: Vec<String> = world
        .forge
        .github()
        .comments
        .iter()
        .filter(|comment| comment.issue == old.number)
        .map(|comment| comment.body.clone())
        .collect();
    assert!(said.len() == 1 && said[0].contains(&format!("#{}", new.number)), "{said:?}");
    assert_eq!(world.branches(), [new.pull.unwrap().head]);
    world.quiet(LATER);
}

#[test]
fn branch_with_a_commit_of_somebody_else_is_left_alone() {
    let mut world = World::new();
    world.pass(NOW);
    let branch = world.open("podinfo").pull.unwrap().head;
    let mine = world.somebody_commits(&branch, "apps/mine.yaml", "mine: 1\n");
    world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    let report = world.pass(LATER);
    assert!(report["waiting"].to_string().contains("somebody else"), "{}", report["waiting"]);
    let plan = report["plan"].to_string();
    assert_eq!(plan.matches("somebody has committed to the branch of 6.5.1").count(), 1, "{plan}");
    assert!(world.dashboard().body.contains("somebody has committed"), "{}", world.dashboard().body);
    assert_eq!(world.git().run(["rev-parse", &branch]), mine);
    assert_eq!(world.open("podinfo").pull.unwrap().head_sha, mine);
}

#[test]
fn branch_is_made_anew_when_its_file_changed_on_the_base_branch() {
    let world = World::new();
    world.pass(NOW);
    let branch = world.open("podinfo").pull.unwrap().head;
    let old = world.git().run(["rev-parse", &branch]);
    let text = world.git().run(["show", "main:apps/podinfo.yaml"]);
    world.somebody_commits("main", "apps/podinfo.yaml", &format!("# looked at\n{text}\n"));
    world.pass(LATER);
    assert_ne!(world.git().run(["rev-parse", &branch]), old);
    let text = world.git().run(["show", &format!("{branch}:apps/podinfo.yaml")]);
    assert!(text.starts_with("# looked at\n") && text.contains("6.5.1"), "{text}");
    assert_eq!(world.git().run(["rev-list", "--count", &format!("main..{branch}")]), "1");
    assert_eq!(world.pulls().len(), 1, "the pull request is the same one");
    world.quiet(LATER);
    // Elsewhere is no reason.
    world.somebody_commits("main", "README.md", "# Home\n");
    world.quiet(LATER);
}

#[test]
fn boxes_of_the_dashboard_open_and_rebuild() {
    let world = World::new();
    world.configure("policy: {semver_gates: {patch: manual}}\n");
    world.pass(NOW);
    assert_eq!(world.pulls(), []);
    world.tick(&["gitops-updater:open", "podinfo"]);
    world.pass(NOW);
    let pull = world.open("podinfo").pull.unwrap();
    assert!(!world.dashboard().body.contains("[x]"), "{}", world.dashboard().body);
    world.quiet(LATER);

    world.somebody_commits("main", "README.md", "# Home\n");
    world.tick(&["gitops-updater:rebuild"]);
    world.pass(LATER);
    let main = world.git().run(["rev-parse", "main"]);
    assert_eq!(world.git().run(["rev-parse", &format!("{}^", pull.head)]), main);
    assert!(!world.dashboard().body.contains("[x]"), "{}", world.dashboard().body);
    world.quiet(LATER);
}

#[test]
fn box_of_what_cannot_be_opened_at_this_hour_stays_ticked() {
    let world = World::new();
    world.pass(NOW);
    world.tick(&["gitops-updater:open", "legacy"]);
    world.pass(NOW);
    assert_eq!(world.pulls().len(), 1);
    let body = world.dashboard().body;
    let line = body.lines().find(|line| line.contains("gitops-updater:open")).unwrap();
    assert!(line.contains("[x]") && line.contains("goes alone"), "{line}");
    world.quiet(NOW);
    let podinfo = world.open("podinfo").number;
    world.forge.github().set_open(podinfo, false);
    world.pass(LATER);
    assert!(world.open("legacy").title.contains("2.0.0"));
    assert!(!world.dashboard().body.contains("[x]"), "{}", world.dashboard().body);
}

#[test]
fn box_of_what_is_held_takes_it_up_again() {
    let world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(LATER);
    // The cluster did not come to rest: whoever watches it has put the update on hold.
    world.hold("helm/apps/podinfo", "two replicas are not ready");
    let report = world.pass(LATER);
    assert!(report["waiting"].to_string().contains("two replicas"), "{}", report["waiting"]);
    world.tick(&["gitops-updater:retry"]);
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
    // Or it is good as it is.
    world.hold("helm/apps/podinfo", "two replicas are not ready");
    world.pass(LATER);
    world.tick(&["gitops-updater:accept"]);
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 verified", "helm/apps/website 1.1.0 proposed"]);
}

#[test]
fn label_on_the_dashboard_stops_everything_but_the_record() {
    let mut world = World::new();
    world.pass(NOW);
    let dashboard = world.dashboard();
    world.forge.github().issue(dashboard.number).labels.push("gitops-updater/stop".to_owned());
    world.merge("podinfo", "merge");
    world.publish("legacy", &["1.0.0", "1.0.1", "2.0.0"]);
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
    assert_eq!((world.pulls().len(), world.branches().len()), (1, 1));
}

#[test]
fn lost_state_is_rebuilt_from_the_pull_requests() {
    let world = World::new();
    world.configure(APART);
    world.pass(NOW);
    let (updates, pulls) = (world.updates(), world.pulls());
    world.lose_the_state();
    world.pass(LATER);
    assert_eq!((world.updates(), world.pulls()), (updates, pulls));
    world.quiet(LATER);
}

#[test]
fn state_that_was_rewritten_is_said_and_not_built_upon() {
    let world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(LATER);
    world.git().run(["update-ref", "refs/gitops-updater/state", "refs/gitops-updater/state~2"]);
    let end = world.end();
    let output = world.run(&["run", "--now", LATER]).exited(1);
    assert!(output.stderr.contains("rewrote") && output.stderr.contains("hint:"), "{output}");
    assert_eq!(world.end(), end);
    drop(world.run(&["status", "--accept-rewritten", "--now", LATER]).exited(0));
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
}

#[test]
fn pull_requests_and_issues_of_others_are_left_alone() {
    let world = World::new();
    {
        let mut github = world.forge.github();
        let stranger = Account::person(99, "stranger");
        github.add_pull(stranger.clone(), "gitops-updater/helm-apps-podinfo-6.5.1-53ff4b61", true);
        github.add_issue(stranger, "GitOps updates", "<!-- gitops-updater:dashboard -->\n- [x] mine");
    }
    world.pass(NOW);
    let github = world.forge.github();
    assert_eq!(github.issues[&2].body, "<!-- gitops-updater:dashboard -->\n- [x] mine");
    assert!(github.issues[&1].open && github.issues[&1].body.is_empty());
    assert!(github.issues.len() >= 4, "our own pull request and dashboard");
}

/// A person gives a pull request another base branch, as GitHub lets people do.
fn give(world: &World, name: &str, branch: &str) {
    let git = world.git();
    if git.run(["for-each-ref", &format!("refs/heads/{branch}")]).is_empty() {
        git.run(["branch", branch, "main"]);
    }
    let number = world.open(name).number;
    world.forge.github().issue(number).pull.as_mut().unwrap().base = branch.to_owned();
}

/// It was merged into the other branch by the bot, and that recorded as the step's merge.
#[test]
fn pull_request_for_another_branch_is_left_alone_until_it_is_for_ours_again() {
    let mut world = World::new();
    world.configure("policy: {semver_gates: {patch: auto}}\n");
    world.pass(NOW);
    give(&world, "podinfo", "staging");
    world.green("podinfo");
    let end = |world: &World| (world.pulls(), world.git().run(["for-each-ref", "refs/heads"]));
    let before = end(&world);
    world.pass(LATER);
    assert_eq!(end(&world), before);
    // Nor is anything newer of it proposed beside it.
    world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    let report = world.pass(LATER);
    assert_eq!(end(&world), before);
    let waiting = report["waiting"].to_string();
    assert!(waiting.contains("is for the branch `staging` now"), "{waiting}");
    let plan = report["plan"].to_string();
    assert_eq!(plan.matches("the pull request of 6.5.1 to another branch").count(), 1, "{plan}");
    let dashboard = world.dashboard().body;
    assert!(dashboard.contains("is for the branch `staging` now"), "{dashboard}");
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    world.quiet(LATER);

    world.publish("podinfo", &["6.5.0", "6.5.1"]);
    give(&world, "podinfo", "main");
    world.pass(MUCH_LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
}

#[test]
fn merge_into_another_branch_is_none_into_ours() {
    let world = World::new();
    world.pass(NOW);
    give(&world, "podinfo", "staging");
    world.merge("podinfo", "squash");
    let number = world.pulls()[0].0;
    let waits = |world: &World| {
        let waiting = world.pass(LATER)["waiting"].to_string();
        assert!(waiting.contains("was merged into the branch `staging`"), "{waiting}");
        drop(world.run(&["verify", "--now", LATER]).exited(0));
        assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    };
    waits(&world);
    // The record made anew says no more.
    world.lose_the_state();
    waits(&world);
    world.quiet(LATER);
    // A person asks for it to be proposed for the base branch all the same.
    world.tick(&["gitops-updater:rebuild"]);
    world.pass(MUCH_LATER);
    world.pass(MUCH_LATER);
    assert_ne!(world.open("podinfo").number, number);
    let updates = world.updates();
    assert!(updates.contains(&"helm/apps/podinfo 6.5.1 abandoned".to_owned()), "{updates:?}");
    assert!(updates.contains(&"helm/apps/podinfo 6.5.1 proposed".to_owned()), "{updates:?}");
}

#[test]
fn version_that_comes_to_the_base_branch_by_way_of_another_branch_is_done() {
    let world = World::new();
    world.pass(NOW);
    give(&world, "podinfo", "staging");
    world.merge("podinfo", "squash");
    world.pass(LATER);
    world.git().run(["update-ref", "refs/heads/main", "refs/heads/staging"]);
    world.pull();
    world.pass(LATER);
    let updates = world.updates();
    assert_eq!(updates, ["helm/apps/podinfo 6.5.1 abandoned", "helm/apps/website 1.1.0 proposed"]);
}

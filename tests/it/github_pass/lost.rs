//! The state is lost, or does not say all: what is left says what is ours, and nothing else counts as ours.

use super::world::{LATER, MUCH_LATER, NOW, World};
use crate::support::fake_forge::PullState;

/// The branch with the person's commit was adopted as ours, and pushed over.
#[test]
fn commit_of_a_person_is_left_alone_though_the_record_is_lost() {
    let world = World::new();
    world.pass(NOW);
    let branch = world.open("podinfo").pull.unwrap().head;
    let mine = world.somebody_commits(&branch, "apps/mine.yaml", "mine: 1\n");
    world.lose_the_state();
    let text = world.git().run(["show", "main:apps/podinfo.yaml"]);
    world.somebody_commits("main", "apps/podinfo.yaml", &format!("# looked at\n{text}\n"));
    let waiting = world.pass(LATER)["waiting"].to_string();
    assert!(waiting.contains("somebody else"), "{waiting}");
    assert_eq!(world.git().run(["rev-parse", &branch]), mine);
    world.pass(MUCH_LATER);
    assert_eq!(world.git().run(["rev-parse", &branch]), mine);
}

/// Accounts are shared: what another program commits in our name is not ours.
#[test]
fn commit_of_another_program_of_the_same_account_is_left_alone() {
    let world = World::new();
    world.pass(NOW);
    let branch = world.open("podinfo").pull.unwrap().head;
    let git = world.git();
    let tree = git.run(["rev-parse", "main^{tree}"]);
    let person = "gitops-updater <gitops-updater@localhost> 1767323045 +0000";
    let parent = git.run(["rev-parse", &branch]);
    let text = format!("tree {tree}\nparent {parent}\nauthor {person}\ncommitter {person}\n\nFormat\n");
    let theirs = git.run_with(["hash-object", "-t", "commit", "-w", "--stdin"], text.as_bytes());
    git.run(["update-ref", &format!("refs/heads/{branch}"), &theirs]);
    let waiting = world.pass(LATER)["waiting"].to_string();
    assert!(waiting.contains("somebody else"), "{waiting}");
    assert_eq!(git.run(["rev-parse", &branch]), theirs);
}

#[test]
fn branch_of_ours_is_made_anew_though_the_record_was_lost() {
    let world = World::new();
    world.pass(NOW);
    let branch = world.open("podinfo").pull.unwrap().head;
    world.lose_the_state();
    let text = world.git().run(["show", "main:apps/podinfo.yaml"]);
    world.somebody_commits("main", "apps/podinfo.yaml", &format!("# looked at\n{text}\n"));
    world.pass(LATER);
    let git = world.git();
    assert_eq!(git.run(["rev-parse", &format!("{branch}^")]), git.run(["rev-parse", "main"]));
    assert_eq!(world.pulls().len(), 1);
}

/// It was taken for the word of a person, and its version never proposed again.
#[test]
fn pull_request_that_the_bot_closed_is_no_word_of_a_person() {
    let mut world = World::new();
    world.pass(NOW);
    world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    world.pass(LATER);
    world.lose_the_state();
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 abandoned", "helm/apps/podinfo 6.5.2 proposed"]);
    assert!(!world.dashboard().body.contains("not this version"), "{}", world.dashboard().body);
    // A person closes the other one, and the state is lost again.
    let newer = world.open("podinfo").number;
    world.forge.github().set_open(newer, false);
    world.lose_the_state();
    world.pass(MUCH_LATER);
    let body = world.dashboard().body;
    assert!(body.contains("not this version") && body.contains("6.5.2"), "{body}");
}

#[test]
fn verified_update_is_known_by_its_commit_status_though_the_record_was_lost() {
    let world = World::new();
    world.pass(NOW);
    let commit = world.merge("podinfo", "merge");
    world.forge.github().add_status(&commit, "gitops-updater/verify", "success");
    world.lose_the_state();
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 verified", "helm/apps/website 1.1.0 proposed"]);
}

#[test]
fn verified_update_is_known_by_the_next_one_though_the_record_was_lost() {
    let mut world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(LATER);
    world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    world.tick(&["gitops-updater:accept"]);
    world.pass(LATER);
    let before = world.updates();
    assert_eq!(before, ["helm/apps/podinfo 6.5.1 verified", "helm/apps/podinfo 6.5.2 proposed"]);
    world.lose_the_state();
    world.pass(MUCH_LATER);
    assert_eq!(world.updates(), before);
}

#[test]
fn merged_update_of_which_nothing_is_known_asks_a_person_and_says_how() {
    let world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.lose_the_state();
    let told = world.run(&["run", "--now", LATER]).exited(0);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 merged"]);
    let id = world.update_id("helm/apps/podinfo");
    assert_eq!(told.stdout.matches(&format!("verify --accept {id}")).count(), 1, "{told}");
    drop(world.run(&["verify", "--accept", &id, "--now", LATER]).exited(0));
    world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 verified", "helm/apps/website 1.1.0 proposed"]);
}

/// One edited comment made every pass fail, the settling half too.
#[test]
fn hidden_comment_that_somebody_edited_is_a_failure_of_that_pull_request_alone() {
    let mut world = World::new();
    world.publish("legacy", &["1.0.0", "1.0.1"]);
    world.pass(NOW);
    let id = world.update_id("helm/apps/podinfo");
    let number = world.open("podinfo").number;
    {
        let mut github = world.forge.github();
        let issue = github.issue(number);
        assert!(issue.body.contains(&format!("\"update_id\":\"{id}\"")), "{}", issue.body);
        issue.body = issue.body.replace(&format!("\"update_id\":\"{id}\""), "\"update_id\":\"../../main\"");
    }
    // It is recorded, and known by its number.
    world.pass(LATER);
    world.lose_the_state();
    let output = world.run(&["run", "--now", LATER]).exited(1);
    let words = format!("cannot use the hidden comment of pull request #{number}");
    assert_eq!(output.stdout.matches(&words).count(), 1, "{output}");
    assert!(world.updates().contains(&"helm/apps/legacy 1.0.1 proposed".to_owned()), "{:?}", world.updates());
}

/// Killed after the record that it closes it, wanted again: whoever closed it then was not heard, and it came again.
#[test]
fn pull_request_that_was_about_to_be_closed_and_is_wanted_again_is_closed_by_people() {
    let world = World::new();
    world.pass(NOW);
    world.record("helm/apps/podinfo", |update| update.current_phase = Some("closing".to_owned()));
    world.pass(LATER);
    let number = world.open("podinfo").number;
    world.forge.github().set_open(number, false);
    world.pass(LATER);
    world.pass(MUCH_LATER);
    // What goes on without it is another matter.
    let updates = world.updates();
    let of_podinfo: Vec<_> = updates.iter().filter(|line| line.contains("podinfo")).collect();
    assert_eq!(of_podinfo, ["helm/apps/podinfo 6.5.1 abandoned"]);
    let pulls = world.pulls();
    let states: Vec<_> = pulls.iter().filter(|pull| pull.1.contains("podinfo")).map(|pull| pull.2).collect();
    assert_eq!(states, [PullState::Closed]);
    assert!(world.dashboard().body.contains("not this version"), "{}", world.dashboard().body);
}

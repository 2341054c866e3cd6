//! What GitHub refuses, and what the program makes of it: nothing half done, and a word about what to do.

use rstest::rstest;

use crate::support::fake_forge::{Account, Answer, Fault};
use crate::support::fake_git::FakeGit;

use super::world::{LATER, NOW, TOKEN, World};

/// What a run says that goes wrong, and the same world afterwards.
#[track_caller]
fn says(world: &World, words: &[&str]) {
    let output = world.run(&["run", "--now", NOW]).exited(1);
    // Wherever a line ends.
    let text = output.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(text.contains(word), "`{word}` is missing: {output}");
    }
}

/// After what was wrong is gone, the end is that of one undisturbed pass.
#[track_caller]
fn mends(world: &World) {
    let clean = World::new();
    clean.pass(NOW);
    world.pass(NOW);
    assert_eq!(world.updates(), clean.updates());
    let states =
        |world: &World| world.pulls().into_iter().map(|(_, name, state)| (name, state)).collect::<Vec<_>>();
    assert_eq!(states(world), states(&clean));
    assert_eq!(world.open("podinfo").body, clean.open("podinfo").body);
    assert_eq!(world.open("podinfo").labels, clean.open("podinfo").labels);
    world.quiet(LATER);
}

#[rstest]
#[case("contents", &["contents: "])]
#[case("pull_requests", &["403", "pull-requests: "])]
#[case("issues", &["403", "issues: ", "dashboard: {enabled: false}"])]
fn missing_permission_is_named(#[case] permission: &str, #[case] words: &[&str]) {
    let world = World::new();
    let bot = || Account::bot(41_898_282, "github-actions[bot]");
    world.forge.github().account(TOKEN, bot().without(permission));
    says(&world, words);
    assert_eq!((world.pulls().len(), world.branches().len()), (0, 0), "nothing is half done");
    world.forge.github().account(TOKEN, bot());
    mends(&world);
}

#[test]
fn repository_that_is_not_there_and_token_that_is_wrong_are_told_apart() {
    let world = World::new();
    world.forge.github().name = "other".to_owned();
    says(&world, &["404", "acme/home-ops"]);
    world.forge.github().name = "home-ops".to_owned();
    world.forge.github().accounts.clear();
    says(&world, &["401", "hint:"]);
}

#[test]
fn repository_without_issues_is_proposed_to_all_the_same() {
    let world = World::new();
    world.forge.github().has_issues = false;
    let output = world.run(&["run", "--now", NOW]);
    assert!(output.to_string().contains("dashboard"), "{output}");
    assert!(world.open("podinfo").open);
}

#[rstest]
#[case::while_opening("POST", "/pulls", 502)]
#[case::while_labelling("POST", "/issues/1/labels", 500)]
#[case::while_pushing("POST", "/git-receive-pack", 503)]
#[case::while_listing("GET", "/pulls", 504)]
fn server_that_fails_for_a_moment_is_asked_again(
    #[case] method: &'static str,
    #[case] path: &'static str,
    #[case] status: u16,
) {
    let world = World::new();
    world.forge.fail(Fault::instead(method, path, Answer::refuse(status, "Server Error")));
    let first = world.run(&["run", "--now", NOW]);
    assert!([0, 1].contains(&first.exit_code), "{first}");
    assert_eq!(world.forge.faults_left(), 0);
    mends(&world);
}

#[rstest]
#[case::answer_to_opening("POST", "/pulls")]
#[case::answer_to_a_push("POST", "/git-receive-pack")]
#[case::answer_to_the_dashboard("POST", "/issues")]
fn answer_that_is_lost_makes_nothing_twice(#[case] method: &'static str, #[case] path: &'static str) {
    let world = World::new();
    world.forge.fail(Fault::lost_answer(method, path));
    let first = world.run(&["run", "--now", NOW]);
    assert!([0, 1].contains(&first.exit_code), "{first}");
    mends(&world);
    let dashboards = world.forge.github().issues.values().filter(|issue| issue.pull.is_none()).count();
    assert_eq!(dashboards, 1);
}

#[rstest]
#[case::primary(403, "API rate limit exceeded for user ID 1.", "x-ratelimit-reset")]
#[case::secondary(403, "You have exceeded a secondary rate limit.", "retry-after")]
#[case::too_many(429, "Too Many Requests", "retry-after")]
fn limit_that_lasts_longer_than_patience_says_when_to_come_again(
    #[case] status: u16,
    #[case] words: &str,
    #[case] header: &'static str,
) {
    let world = World::new();
    let answer = || {
        let answer = Answer::refuse(status, words);
        match header {
            "retry-after" => answer.header(header, 3600),
            _ => answer.header("x-ratelimit-remaining", 0).header(header, 4_102_444_800_u64),
        }
    };
    world.forge.fail(Fault::instead("POST", "/pulls", answer()));
    says(&world, &["hint:", if header == "retry-after" { "for 1 hour" } else { "2100-01-01T00:00:00Z" }]);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"], "what was done is recorded");
    mends(&world);
}

#[test]
fn short_limit_is_waited_for() {
    let world = World::new();
    let answer = Answer::refuse(429, "Too Many Requests").header("retry-after", 1);
    world.forge.fail(Fault::instead("POST", "/pulls", answer));
    world.pass(NOW);
    mends(&world);
}

#[rstest]
#[case::branches(
    "refs/heads/gitops-updater/",
    "GH013: Repository rule violations found for refs/heads/gitops-updater",
    0
)]
#[case::state("refs/gitops-updater/state", "GH006: Protected branch update failed", 0)]
#[case::backups("refs/gitops-updater/backups/", "GH013: Repository rule violations found", 1)]
fn refs_that_are_protected_are_told_in_the_servers_words(
    #[case] prefix: &str,
    #[case] words: &str,
    #[case] recorded: usize,
) {
    let world = World::new();
    FakeGit::hook_of(
        &world.bare,
        "update",
        &format!("case $1 in {prefix}*) echo '{words}' >&2; exit 1;; esac"),
    );
    says(&world, &[words, "hint:"]);
    assert_eq!(world.pulls().len(), 0, "a backup that fails stops the proposal");
    let updates = if world.refs().iter().any(|name| name.contains("gitops-updater/state ")) {
        world.updates().len()
    } else {
        0
    };
    assert!(updates >= recorded, "{updates}");
    FakeGit::hook_of(&world.bare, "update", "exit 0");
    mends(&world);
}

#[test]
fn archived_repository_and_actions_that_may_not_open_are_explained() {
    let world = World::new();
    world.forge.github().archived = true;
    says(&world, &["archived"]);
    world.forge.github().archived = false;
    world.forge.github().actions_may_open = false;
    says(&world, &["Settings, Actions, General"]);
    world.forge.github().actions_may_open = true;
    mends(&world);
}

#[test]
fn labels_reviewers_and_assignees_that_are_refused_are_told_and_stop_nothing() {
    let world = World::new();
    world.configure("pull_requests: {reviewers: [nobody], assignees: [no-one]}\n");
    let output = world.run(&["run", "--now", NOW, "--format", "json"]).exited(0);
    let warnings = output.json()["warnings"].to_string();
    assert!(warnings.contains("nobody") && warnings.contains("no-one"), "{warnings}");
    assert!(world.open("podinfo").open);
}

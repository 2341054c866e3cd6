//! In whose name: the token of GitHub Actions, a person's token, a GitHub App, another API's address, and commits that
//! GitHub signs.

use crate::support::fake_forge::{APP_KEY, Account, App, VirtualTime};

use super::world::{LATER, NOW, World};

fn proposes(world: &World, login: &str) {
    world.pass(NOW);
    let podinfo = world.open("podinfo");
    assert_eq!((podinfo.author.login.as_str(), world.dashboard().author.login.as_str()), (login, login));
    world.quiet(LATER);
}

/// A world in which the program acts as this App, after a pass in the App's name.
fn proposes_as(app: App) -> World {
    let mut world = World::at(VirtualTime::of_the_machine());
    let login = app.account.login.clone();
    world.forge.github().app = Some(App { id: "123".to_owned(), ..app });
    world.variables = vec![("GITOPS_UPDATER_GITHUB_PRIVATE_KEY", APP_KEY.to_owned())];
    let api = world.forge.served.url.clone();
    world.configure_with("", &format!("forge: {{api_url: '{api}', app: {{id: 123}}}}\n"));
    proposes(&world, &login);
    world
}

#[test]
fn token_of_a_person_proposes_in_that_name() {
    let mut world = World::new();
    world.forge.github().account("github_pat_SECRET", Account::person(7, "updater"));
    world.variables = vec![("GITOPS_UPDATER_GITHUB_TOKEN", "github_pat_SECRET".to_owned())];
    proposes(&world, "updater");
}

#[test]
fn app_proposes_in_its_name_with_a_token_that_it_makes() {
    proposes_as(App::new());
}

/// A pass that watches a cluster is longer than the hour that a token lasts: here each is about to end as soon as it is
/// made, and ends with the next one.
#[test]
fn token_of_an_app_is_made_anew_for_git_as_well() {
    let (lifetime, one_at_a_time) = (jiff::SignedDuration::from_mins(4), true);
    let world = proposes_as(App { lifetime, one_at_a_time, ..App::new() });
    assert!(world.forge.github().app.as_ref().unwrap().tokens > 10);
}

#[test]
fn enterprise_host_is_asked_at_its_own_address_with_its_own_token() {
    let mut world = World::new();
    let api = world.forge.served.url.join("api/v3").unwrap();
    world.forge.github().account("ghs_enterpriseSECRET", Account::bot(9, "flux[bot]"));
    world.variables = vec![("GHE_TOKEN", "ghs_enterpriseSECRET".to_owned())];
    world.configure_with("", &format!("forge: {{kind: github, api_url: '{api}', token_env: GHE_TOKEN}}\n"));
    proposes(&world, "flux[bot]");
    // What is for another host goes nowhere.
    world.variables = vec![("GITHUB_TOKEN", "ghp_SECRET".to_owned())];
    world.configure_with("", &format!("forge: {{kind: github, api_url: '{api}'}}\n"));
    let output = world.run(&["run", "--now", LATER]).exited(1);
    assert!(output.stderr.contains("there is no token for GitHub"), "{output}");
    let sent = world.forge.seen().into_iter().filter(|seen| {
        seen.headers.get("authorization").is_some_and(|value| value.to_str().unwrap().contains("ghp_"))
    });
    assert_eq!(sent.count(), 0);
}

#[test]
fn commits_through_the_api_are_verified_and_found_again() {
    let world = World::new();
    world.configure("commits: {through_api: true}\n");
    world.pass(NOW);
    let pull = world.open("podinfo").pull.unwrap();
    let writes = world.forge.writes();
    let commit = writes.iter().position(|line| line == "POST /git/commits");
    assert!(commit.is_some(), "{writes:#?}");
    let git = world.git();
    let diff = git.run(["diff", "--unified=0", "main", &pull.head]);
    assert!(diff.contains("-      version: 6.5.0 # kept\n+      version: 6.5.1 # kept"), "{diff}");
    assert_eq!(git.run(["rev-list", "--count", &format!("main..{}", pull.head)]), "1");
    world.quiet(LATER);

    // Made again on a base branch that moved.
    let text = git.run(["show", "main:apps/podinfo.yaml"]);
    world.somebody_commits("main", "apps/podinfo.yaml", &format!("# looked at\n{text}\n"));
    world.pass(LATER);
    assert!(git.run(["show", &format!("{}:apps/podinfo.yaml", pull.head)]).starts_with("# looked at"));
    assert_eq!(git.run(["rev-list", "--count", &format!("main..{}", pull.head)]), "1");
    world.quiet(LATER);
    // And what somebody adds is theirs.
    let mine = world.somebody_commits(&pull.head, "apps/mine.yaml", "mine: 1\n");
    let report = world.pass(LATER);
    assert!(report["waiting"].to_string().contains("somebody else"), "{}", report["waiting"]);
    assert_eq!(git.run(["rev-parse", &pull.head]), mine);
}

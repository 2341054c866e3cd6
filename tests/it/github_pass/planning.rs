//! What `plan` tells people and scripts: what must go first, whether anything goes on, which reason counts, and a record
//! that somebody rewrote.

use rstest::rstest;

use super::commands::{THEN, example, mirror, steps};
use super::life::{OLD, definition};
use super::stopped::pull_the_switch;
use super::world::{LATER, NOW, World, chart};
use crate::support::fake_upstream::Fault;

/// Flux was left out of the plan of Longhorn, which waits for it because rules say so.
#[test]
fn plan_of_one_component_has_what_rules_put_first() {
    let sandbox = example();
    let mirror = mirror();
    let plan = |component: &str| {
        let arguments =
            ["plan", "--config", &mirror, "--now", THEN, "--format", "json", "--component", component];
        steps(&sandbox.run(arguments).exited(0).json())
    };
    let longhorn = plan("longhorn");
    let ids: Vec<&str> = longhorn.iter().map(|step| step.0.as_str()).collect();
    assert!(ids.contains(&"flux@v2.9.4"), "{ids:?}");
    // Whatever a step says that it waits for is in the plan.
    for (id, _, why) in &longhorn {
        if let Some(first) = why.strip_suffix(", which rules put first") {
            let first = first.trim_start_matches("waits for ").trim_matches('`');
            assert!(ids.contains(&first), "{id} {why}: {ids:?}");
        }
    }
    assert!(
        !ids.iter().any(|id| id.starts_with("helm/monitoring")),
        "what has nothing to do with it: {ids:?}"
    );
    let flux: Vec<String> = plan("flux").into_iter().map(|step| step.0).collect();
    assert!(flux.iter().all(|id| id.starts_with("flux@")), "{flux:?}");
}

/// A script took what merely waits for what is held.
#[rstest]
#[case::can_be_proposed("", &[], 10)]
#[case::people_must_ask("policy: {semver_gates: {patch: manual, minor: manual}}\n", &[], 11)]
#[case::never_wanted("policy: {semver_gates: {patch: skip, minor: skip, major: skip}}\n", &[], 11)]
#[case::old_enough_later("policy: {minimum_release_age: 365d}\n", &[], 0)]
#[case::window_opens_later("windows: [{cron: '0 2 * * *', duration: 1h}]\n", &[], 0)]
#[case::stopped("enabled: false\n", &[], 11)]
#[case::up_to_date("detection: {helm: {ignore: true}}\n", &[], 0)]
#[case::one_component("", &["--component", "helm/apps/website"], 10)]
fn exit_code_says_whether_anything_goes_on_by_itself(
    #[case] more: &str,
    #[case] arguments: &[&str],
    #[case] code: i32,
) {
    let world = World::new();
    world.configure(more);
    drop(world.run(&[&["plan", "--exit-code", "--now", NOW], arguments].concat()).exited(code));
    drop(world.run(&[&["plan", "--now", NOW], arguments].concat()).exited(0));
}

/// In a clone where nobody had pulled since the merge a finished step was planned once more, without a word.
#[test]
fn plan_from_files_that_are_behind_the_base_branch_says_so() {
    let world = World::new();
    let plan = || world.run(&["plan", "--now", LATER]).exited(0).stdout;
    assert!(!plan().contains("git pull"), "{}", plan());
    world.pass(NOW);
    let pull = world.open("podinfo");
    world.forge.github().merge(pull.number, "merge", &pull.title).unwrap();
    let told = plan();
    let said = "the plan is made from the files here, and `main` has 2 commits that are not in";
    assert!(told.contains(said), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
}

#[test]
fn plan_names_the_place_of_the_kill_switch() {
    let world = World::new();
    world.configure("enabled: false\n");
    let told = world.run(&["plan", "--now", NOW]).exited(0);
    assert!(told.said().contains("set `enabled: true` in the file that `--config` names to go on"), "{told}");
}

/// What stops every pass is not in this clone: a plan said that a step could be proposed.
#[test]
fn plan_knows_what_stops_every_pass_elsewhere() {
    let world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(LATER);
    drop(world.run(&["verify", "--accept", &world.update_id("helm/apps/podinfo"), "--now", LATER]).exited(0));
    let plan = || world.run(&["plan", "--exit-code", "--now", LATER]);
    let number = world.dashboard().number;
    world.forge.github().issue(number).labels.push("gitops-updater/stop".to_owned());
    let told = plan().exited(11);
    assert!(told.said().contains("take the label `gitops-updater/stop` off the dashboard"), "{told}");
    world.forge.github().issue(number).labels.retain(|label| label != "gitops-updater/stop");
    drop(plan().exited(10));
    pull_the_switch(&world.bare);
    let told = plan().exited(11);
    assert!(told.said().contains("set `enabled: true` on the base branch"), "{told}");
}

#[test]
fn exit_code_of_what_is_proposed_already_is_0_until_a_person_must_act() {
    let world = World::new();
    world.pass(NOW);
    let plan = |now: &str| world.run(&["plan", "--exit-code", "--now", now]);
    drop(plan(LATER).exited(0));
    world.merge("podinfo", "merge");
    world.pass(LATER);
    drop(plan(LATER).exited(0));
    world.hold("helm/apps/podinfo", "two pods crash");
    drop(plan(LATER).exited(11));
}

/// When the hour's pull requests were used up, only that was told of what could not be fetched at all.
#[test]
fn what_cannot_be_fetched_is_told_beside_a_limit() {
    let mut world = World::new();
    world.configure("policy: {semver_gates: {major: review}}\nlimits: {per_hour: 1}\n");
    world.publish("legacy", &["1.0.0", "1.0.1"]);
    for _ in 0..20 {
        world.web.fail("/charts/legacy-1.0.1.tgz", Fault::Status(404, vec![]));
    }
    let report = world.pass(NOW);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    let plan = world.run(&["plan", "--now", NOW, "--format", "json"]).exited(0).json();
    for plan in [&report["plan"], &plan] {
        let held = plan["held"].as_array().unwrap();
        let legacy = held.iter().find(|held| held["component"] == "helm/apps/legacy");
        let legacy = legacy.unwrap_or_else(|| panic!("{plan}"));
        assert_eq!((&legacy["gate"], &legacy["to"]), (&"fetch".into(), &"1.0.1".into()));
        assert!(legacy["reason"].as_str().unwrap().starts_with("it cannot be fetched"), "{legacy}");
        assert!(!plan["waves"].to_string().contains("helm/apps/legacy@1.0.1"), "{plan}");
    }
    // Held, it is not listed among what waits, too.
    let text = world.run(&["run", "--now", NOW]).exited(0).stdout;
    assert_eq!(text.matches("helm/apps/legacy 1.0.0 → 1.0.1").count(), 1, "{text}");
}

/// A plan was made from a record that somebody had rewritten, which no pass builds on, and the report had nothing of it.
#[test]
fn plan_on_a_rewritten_record_says_so_and_proposes_nothing() {
    let world = World::new();
    world.pass(NOW);
    world.merge("podinfo", "merge");
    world.pass(LATER);
    world.git().run(["update-ref", "refs/gitops-updater/state", "refs/gitops-updater/state~2"]);
    let told = world.run(&["plan", "--now", LATER, "--format", "json"]).exited(0);
    assert!(told.stderr.contains("the state is not as it should be"), "{told}");
    let plan = told.json();
    assert!(plan["problems"].to_string().contains("somebody rewrote it"), "{}", plan["problems"]);
    let all = steps(&plan);
    assert!(!all.is_empty() && all.iter().all(|(_, next, _)| !next), "{all:?}");
    assert!(
        plan["waves"].to_string().contains("state: cannot build on `refs/gitops-updater/state`"),
        "{plan}"
    );
    drop(world.run(&["plan", "--now", LATER, "--exit-code"]).exited(11));
    let text = world.run(&["plan", "--now", LATER, "--quiet"]).exited(0);
    assert!(text.stdout.contains("somebody rewrote it") && text.stderr.contains("see Problems"), "{text}");
}

/// An upstream that was down for a minute was told as something that a person must see to.
#[rstest]
#[case::broken(503, 0)]
#[case::refused(401, 11)]
#[case::not_there(404, 11)]
fn exit_code_of_what_cannot_be_fetched_says_whether_it_is_asked_again(
    #[case] status: u16,
    #[case] code: i32,
) {
    let world = World::new();
    world.configure("policy: {semver_gates: {minor: skip, major: skip}}\n");
    for _ in 0..20 {
        world.web.fail("/charts/podinfo-6.5.1.tgz", Fault::Status(status, vec![]));
    }
    let told = world.run(&["plan", "--exit-code", "--now", NOW]).exited(code);
    assert!(told.stdout.contains("fetch: "), "{told}");
}

const REFUSES: &str = r#"{"properties": {"color": {"type": "integer"}}}"#;

/// `plan` said of a step that it could be proposed now, and `run` held it by a look at the chart.
#[rstest]
#[case::values("values")]
#[case::crds("crds")]
fn plan_holds_what_a_look_at_the_chart_holds_in_the_words_of_run(#[case] gate: &str) {
    let crd = definition(OLD);
    let archives = match gate {
        "values" => [vec![], vec![("values.schema.json", REFUSES)]],
        _ => [vec![("crds/things.yaml", crd.as_str())], vec![]],
    };
    let begin = |legacy: &[&str]| {
        let mut world = World::new();
        world.publish("website", &["1.0.0"]);
        world.publish("legacy", legacy);
        for (version, files) in ["6.5.0", "6.5.1"].into_iter().zip(&archives) {
            world.web.serve(&format!("/charts/podinfo-{version}.tgz"), chart("podinfo", version, files));
        }
        world
    };
    let plan = |world: &World, code: i32| {
        let arguments = ["plan", "--exit-code", "--now", NOW, "--format", "json"];
        world.run(&arguments).exited(code).json()
    };
    let held_of = |plan: &serde_json::Value| {
        let held = plan["held"].as_array().unwrap();
        let podinfo = held.iter().find(|held| held["component"] == "helm/apps/podinfo");
        podinfo.unwrap_or_else(|| panic!("{plan}")).clone()
    };
    // Nothing else can be proposed: a person must do something.
    let world = begin(&["1.0.0"]);
    let alone = held_of(&plan(&world, 11));
    assert_eq!(alone["gate"], gate, "{alone}");
    assert!(alone["policy_applied"].as_str().unwrap().contains("`propose --component`"), "{alone}");
    assert_eq!(held_of(&world.pass(NOW)["plan"]), alone, "`run` says it in other words");
    assert_eq!(world.pulls(), []);
    // Whoever names it has decided; what is proposed then stays so.
    drop(world.run(&["propose", "--component", "helm/apps/podinfo", "--now", NOW]).exited(0));
    world.pass(LATER);
    assert!(world.open("podinfo").title.contains("6.5.1"));
    // Others take its place.
    let world = begin(&["1.0.0", "1.0.1"]);
    let planned = plan(&world, 10);
    let next: Vec<String> =
        steps(&planned).into_iter().filter(|(_, next, _)| *next).map(|(id, ..)| id).collect();
    assert_eq!(next, ["helm/apps/legacy@1.0.1"]);
    assert_eq!(held_of(&planned), alone);
    world.pass(NOW);
    assert_eq!(world.updates(), ["helm/apps/legacy 1.0.1 proposed"]);
}

/// A chart can be had, and the installed one to compare it with cannot: what does not come back by itself is for the
/// reviewer, the rest is asked again.
#[test]
fn plan_says_where_the_charts_cannot_be_compared() {
    let told = |status: u16, code: i32| {
        let world = World::new();
        world.configure("policy: {semver_gates: {minor: skip, major: skip}}\n");
        for _ in 0..20 {
            world.web.fail("/charts/podinfo-6.5.0.tgz", Fault::Status(status, vec![]));
        }
        let told = world.run(&["plan", "--exit-code", "--now", NOW]).exited(code).stdout;
        world.pass(NOW);
        (told.split_whitespace().collect::<Vec<_>>().join(" "), world)
    };
    let (gone, world) = told(404, 10);
    assert!(gone.contains("keeps its CRDs, is not judged: "), "{gone}");
    let body = world.open("podinfo").body;
    assert!(body.contains("The charts could not be compared"), "{body}");
    world.quiet(LATER);
    let (down, world) = told(503, 0);
    assert!(down.contains("not judged, because the charts could not be compared: "), "{down}");
    assert_eq!(world.pulls(), []);
    world.web.heal("/charts/podinfo-6.5.0.tgz");
    world.pass(LATER);
    assert!(world.open("podinfo").title.contains("6.5.1"));
}

/// Nothing was shown of the largest edit there is.
#[test]
fn diff_of_generated_files_is_shown_of_steps_that_can_be_proposed_now() {
    let sandbox = example();
    let mirror = mirror();
    let plan = |format: &str| {
        sandbox.run(["plan", "--config", &mirror, "--now", THEN, "--format", format]).exited(0)
    };
    let json = plan("json").json();
    let diff = json["diffs"]["flux@v2.9.4"].as_str().unwrap_or_else(|| panic!("{}", json["diffs"]));
    let path = "clusters/home/flux-system/gotk-components.yaml";
    assert!(diff.starts_with(&format!("diff --git a/{path} b/{path}\n")), "{diff}");
    for part in ["\n-# Flux Version: v2.8.5\n", "\n+# Flux Version: v2.9.4\n"] {
        assert!(diff.contains(part), "{diff}");
    }
    // It is the change that is pushed.
    drop(sandbox.run(["run", "--config", &mirror, "--now", THEN]).exited(0));
    let git = sandbox.git();
    let branch = git.run(["for-each-ref", "--format=%(refname)", "refs/heads/gitops-updater"]);
    let file = sandbox.work().with_file_name("plan.diff");
    std::fs::write(&file, diff).unwrap();
    git.run(["apply", file.to_str().unwrap()]);
    assert_eq!(git.run(["diff", branch.trim(), "--", path]), "");
    git.run(["checkout", "--quiet", "--", path]);
    let text = plan("text").stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

/// Nothing tried whether the graph is that of the plan.
#[test]
fn graph_is_that_of_the_plan_in_both_languages() {
    let sandbox = example();
    let mirror = mirror();
    let plan = |more: &[&str]| {
        let arguments = [&["plan", "--config", &mirror, "--now", THEN], more].concat();
        sandbox.run(arguments).exited(0)
    };
    let json = plan(&["--format", "json"]).json();
    let ids: std::collections::BTreeSet<String> =
        steps(&json).into_iter().map(|(id, ..)| id.rsplit_once('@').unwrap().0.to_owned()).collect();
    assert!(ids.len() > 5, "{ids:?}");
    let of = |id: &str| id.rsplit_once('@').unwrap().0.to_owned();
    let waves = json["waves"].as_array().unwrap().iter().flat_map(|wave| wave["steps"].as_array().unwrap());
    let requires = |step: &serde_json::Value| {
        let then = step["component"].as_str().unwrap().to_owned();
        let first = step["requires"].as_array().unwrap().iter().map(|id| of(id.as_str().unwrap()));
        first.map(|first| (first, then.clone())).filter(|(first, then)| first != then).collect::<Vec<_>>()
    };
    let pairs: Vec<(String, String)> = waves.flat_map(requires).collect();
    assert!(!pairs.is_empty(), "{json}");
    for (language, first, edge) in
        [("mermaid", "flowchart LR\n", " ==> "), ("dot", "digraph plan {\n", " -> ")]
    {
        let drawn = plan(&["--graph", language]).stdout;
        assert!(drawn.starts_with(first), "{drawn}");
        for id in &ids {
            assert!(drawn.contains(&format!("\"{id}")), "{id}: {drawn}");
        }
        let place = |id: &str| {
            let line = drawn.lines().find(|line| line.contains(&format!("\"{id}"))).unwrap();
            line.split_whitespace().next().unwrap().split('[').next().unwrap().to_owned()
        };
        for (first, then) in &pairs {
            let edge = format!("{}{edge}{}", place(first), place(then));
            assert!(drawn.contains(&edge), "{first} before {then}: {drawn}");
        }
        let one = plan(&["--graph", language, "--component", "longhorn"]).stdout;
        assert!(one.contains("\"longhorn") && one.lines().count() < drawn.lines().count(), "{one}");
        let file = sandbox.work().with_file_name("graph");
        let written = plan(&["--graph", language, "--output", file.to_str().unwrap()]);
        assert_eq!((written.stdout.as_str(), std::fs::read_to_string(&file).unwrap()), ("", drawn));
    }
}

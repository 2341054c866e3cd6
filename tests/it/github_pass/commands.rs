//! Commands beside `run`: plans that know what is under way, names that nothing has, boxes without a browser, and the
//! programs and remotes that are at hand.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use gitops_updater::domain::settle::record::Breaker;
use gitops_updater::domain::state::{Quarantined, Stage, Update};
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};

use crate::support::git::Git;
use crate::support::sandbox::Sandbox;

use super::world::{LATER, MUCH_LATER, NOW, World};

/// Steps of a plan by id: whether they are next, and what they wait for.
pub(super) fn steps(plan: &serde_json::Value) -> Vec<(String, bool, String)> {
    let waves = plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave["steps"].as_array().unwrap());
    let step = |step: &serde_json::Value| {
        let reasons = step["reasons"].as_array().unwrap();
        let last = reasons.last().map_or("", |reason| reason.as_str().unwrap());
        (step["id"].as_str().unwrap().to_owned(), step["next"].as_bool().unwrap(), last.to_owned())
    };
    waves.map(step).collect()
}

#[test]
fn plan_knows_what_is_under_way() {
    let world = World::new();
    let plan = || world.run(&["plan", "--now", LATER, "--format", "json"]).exited(0).json();
    let podinfo = |plan: &serde_json::Value| {
        steps(plan).into_iter().find(|step| step.0 == "helm/apps/podinfo@6.5.1").unwrap()
    };
    assert!(podinfo(&plan()).1, "nothing is proposed yet");
    world.pass(NOW);
    let (_, next, why) = podinfo(&plan());
    assert_eq!((next, why.as_str()), (false, "is proposed already: pull request #1"));
    world.merge("podinfo", "merge");
    world.pass(LATER);
    let website = steps(&plan()).into_iter().find(|step| step.0 == "helm/apps/website@1.1.0").unwrap();
    assert!(!website.1 && website.2.contains("podinfo 6.5.1 is merged and not verified"), "{website:?}");
}

#[test]
fn plan_of_one_component_has_what_must_go_before_it() {
    let world = World::new();
    let plan = world.run(&["plan", "--component", "helm/apps/website", "--now", NOW, "--format", "json"]);
    let ids: Vec<String> = steps(&plan.exited(0).json()).into_iter().map(|step| step.0).collect();
    assert_eq!(ids, ["helm/apps/podinfo@6.5.1", "helm/apps/website@1.1.0"]);
}

#[test]
fn plan_and_pass_agree_on_limits() {
    let mut world = World::new();
    world.publish("legacy", &["1.0.0", "1.0.1"]);
    world.configure("limits: {open_pull_requests: 1}\n");
    let plan = world.run(&["plan", "--now", NOW, "--format", "json"]).exited(0).json();
    let next: Vec<String> = steps(&plan).into_iter().filter(|step| step.1).map(|step| step.0).collect();
    assert_eq!(next.len(), 1, "{next:?}");
    world.pass(NOW);
    let open: Vec<String> =
        world.updates().iter().map(|update| update.replacen(' ', "@", 1).replace(" proposed", "")).collect();
    assert_eq!(open, next);
}

#[test]
fn name_that_nothing_has_is_refused_before_anything_is_done() {
    let world = World::new();
    for command in ["propose", "plan", "run"] {
        let output = world.run(&[command, "--component", "helm/apps/podinf", "--now", NOW]).exited(2);
        assert!(output.stderr.contains("did you mean `helm/apps/podinfo`?"), "{output}");
    }
    assert_eq!(world.forge.writes(), [""; 0]);
    let output = world.run(&["verify", "--accept", "update-1"]).exited(1);
    assert!(output.stderr.contains("gitops-updater status"), "{output}");
}

#[test]
fn boxes_are_ticked_by_command() {
    let world = World::new();
    let none = world.run(&["dashboard", "show"]).exited(1);
    assert!(none.stderr.contains("there is no dashboard"), "{none}");
    world.configure("policy: {semver_gates: {patch: manual}}\n");
    world.pass(NOW);
    let shown = world.run(&["dashboard", "show"]).exited(0);
    assert!(shown.stdout.contains("tick open helm/apps/podinfo@6.5.1"), "{shown}");
    let json = world.run(&["dashboard", "show", "--format", "json"]).exited(0).json();
    assert_eq!(json["boxes"][0]["action"], "open");
    let wrong = world.run(&["dashboard", "tick", "open", "helm/apps/podinfo@6.5.2"]).exited(1);
    assert!(wrong.stderr.contains("did you mean `open helm/apps/podinfo@6.5.1`"), "{wrong}");
    drop(world.run(&["dashboard", "tick", "open", "helm/apps/podinfo@6.5.1"]).exited(0));
    world.pass(NOW);
    assert!(world.open("podinfo").open);
}

/// The dashboard names every box by the words that tick it; `close-breaker` was not among those that the command knew.
#[test]
fn every_kind_of_box_is_ticked_by_the_words_that_the_dashboard_names() {
    let world = World::new();
    world.pass(NOW);
    record_everything(&world);
    world.pass(LATER);
    let boxes = || {
        let shown = world.run(&["dashboard", "show", "--format", "json"]).exited(0).json();
        shown["boxes"].as_array().unwrap().clone()
    };
    let kinds: BTreeSet<String> =
        boxes().iter().map(|one| one["action"].as_str().unwrap().to_owned()).collect();
    let all = ["accept", "close-breaker", "open", "rebuild", "retry", "unquarantine"];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
    for one in boxes() {
        let (action, target) = (one["action"].as_str().unwrap(), one["target"].as_str().unwrap());
        drop(world.run(&["dashboard", "tick", action, target]).exited(0));
    }
    assert!(boxes().iter().all(|one| one["ticked"] == true), "{:?}", boxes());
    world.pass(MUCH_LATER);
    let state = world.git().run(["ls-tree", "--name-only", "refs/gitops-updater/state"]);
    assert!(!state.contains("breaker.yaml"), "{state}");
}

/// Something of every kind that the dashboard has a box for.
fn record_everything(world: &World) {
    let repo = Arc::new(WriteRepo::open(&world.bare, Remote::own()).unwrap());
    let now: jiff::Timestamp = LATER.parse().unwrap();
    let changed = StateStore::new(repo, Person::bot()).change(now, |state| {
        let open = state.updates.values().next()?.clone();
        for (id, stage) in [("update-merged", Stage::Merged), ("update-held", Stage::Held)] {
            let update = Update {
                update_id: id.to_owned(),
                component: "helm/apps/website".to_owned(),
                to: "1.1.0".to_owned(),
                stage,
                status: stage.status(),
                branch: format!("gitops-updater/{id}"),
                pull_request: None,
                head: None,
                merge_commit: open.base.clone(),
                merged_at: Some(now),
                reason: Some("looked at".to_owned()),
                ..open.clone()
            };
            state.updates.insert(id.to_owned(), update);
        }
        state.quarantine.push(Quarantined {
            component: "helm/apps/website".to_owned(),
            version: "1.0.9".to_owned(),
            reason: "reverted".to_owned(),
            since: now,
            update_id: None,
        });
        state.breaker = Some(Breaker { since: now, reverted: vec!["update-held".to_owned()] });
        Some(Transition::new("Record everything"))
    });
    changed.unwrap();
}

/// A folder with a `helm` that shows the values that a chart comes with.
fn helm(folder: &Path) -> String {
    let program = folder.join("helm");
    let script = "#!/bin/sh\nprintf 'kind: ConfigMap\\nmetadata:\\n  name: app\\ndata:\\n'\n\
                  while read -r line; do echo \"  $line\"; done < \"$9/values.yaml\"\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    format!("{}:{}", folder.display(), path.to_str().unwrap())
}

#[test]
fn helm_that_is_at_hand_shows_what_is_rendered_otherwise() {
    for (more, is_shown) in [("", true), ("pull_requests: {render_charts: false}\n", false)] {
        let mut world = World::new();
        let folder = tempfile::tempdir().unwrap();
        world.variables.push(("PATH", helm(folder.path())));
        world.configure(more);
        let newer =
            super::world::chart("podinfo", "6.5.1", &[("values.yaml", "replicas: 1\ncolor: green\n")]);
        world.web.serve("/charts/podinfo-6.5.1.tgz", newer);
        world.pass(NOW);
        let body = world.open("podinfo").body;
        let shown = body.contains("Rendered objects of apps/podinfo")
            && body.contains("-  color: blue")
            && body.contains("+  color: green");
        assert_eq!(shown, is_shown, "{body}");
    }
}

/// The example with a clone as `origin` that is no GitHub.
pub(super) fn example() -> Sandbox {
    let sandbox = crate::example::begun();
    let origin = sandbox.work().with_file_name("origin.git");
    sandbox.git().run(["clone", "--quiet", "--bare", ".", origin.to_str().unwrap()]);
    sandbox.git().run(["remote", "add", "origin", origin.to_str().unwrap()]);
    sandbox
}

pub(super) fn mirror() -> String {
    format!("{}/testdata/example/mirror.yaml", env!("CARGO_MANIFEST_DIR"))
}

pub(super) const THEN: &str = "2026-11-21T12:00:00Z";

#[test]
fn flux_of_the_example_is_made_anew_unless_a_patch_would_do_something_else() {
    let sandbox = example();
    let mirror = mirror();
    let plan = || {
        let arguments = ["plan", "--config", &mirror, "--now", THEN, "--format", "json"];
        sandbox.run(arguments).exited(0).json()
    };
    let first = plan();
    assert!(!first["held"].to_string().contains("regenerate"), "{}", first["held"]);
    let flux: Vec<String> =
        steps(&first).into_iter().map(|step| step.0).filter(|id| id.starts_with("flux@")).collect();
    assert_eq!(flux.last().map(String::as_str), Some("flux@v2.9.4"), "{flux:?}");
    assert!(first["waves"].to_string().contains("gotk-components.yaml"));

    let images = "images:\n  - name: ghcr.io/fluxcd/source-controller\n    newTag: v1.8.2\n";
    let path = "clusters/home/flux-system/kustomization.yaml";
    let text = std::fs::read_to_string(sandbox.work().join(path)).unwrap();
    sandbox.write(path, format!("{text}{images}"));
    sandbox.git().commit_all("Pin an image");
    let held = plan()["held"].to_string();
    assert!(held.contains("\"patches\"") && held.contains("images[0]"), "{held}");
}

#[test]
fn remote_that_is_no_github_is_told_of_and_used_when_it_is_named() {
    let sandbox = example();
    let mirror = mirror();
    let run = |arguments: &[&str]| {
        let arguments = [&["run", "--config", &mirror, "--now", THEN], arguments].concat();
        sandbox.run(arguments).exited(0)
    };
    let refs = |git: &Git| git.run(["for-each-ref", "--format=%(refname)", "refs/gitops-updater"]);
    let origin = Git::at(sandbox.work().with_file_name("origin.git"));
    let output = run(&[]);
    assert!(output.stderr.contains("`--remote origin` or `forge: {remote: origin}`"), "{output}");
    assert_eq!(refs(&origin), "");
    assert!(refs(&sandbox.git()).contains("refs/gitops-updater/dashboard"));

    // The dashboard takes no number from the pull requests.
    let first = sandbox.run(["pr", "list", "--config", &mirror]).exited(0);
    assert!(first.stdout.contains("#1 "), "{first}");

    let named = sandbox.work().with_file_name("named.yaml");
    let text = std::fs::read_to_string(&mirror).unwrap();
    let upstream = Path::new(&mirror).with_file_name("upstream");
    let text = text.replace("./upstream", upstream.to_str().unwrap());
    std::fs::write(&named, format!("{text}forge: {{remote: origin}}\n")).unwrap();
    let arguments = ["run", "--config", named.to_str().unwrap(), "--now", THEN];
    let output = sandbox.run(arguments).exited(0);
    assert!(!output.stderr.contains("keeps them there"), "{output}");
    assert!(refs(&origin).contains("refs/gitops-updater/pulls/1/meta"), "{}", refs(&origin));
}

#[test]
fn update_that_is_not_there_is_answered_with_the_ids_that_may_be_meant() {
    let world = World::new();
    world.pass(NOW);
    let id = world.update_id("helm/apps/podinfo");
    let typo = id.replace("update-2026", "update-2062");
    let commands: [&[&str]; 4] =
        [&["verify", "--accept"], &["verify", "--resume"], &["verify", "--update"], &["acknowledge"]];
    for command in commands {
        for wrong in [typo.as_str(), "helm/apps/podinfo"] {
            let arguments: Vec<&str> = command.iter().copied().chain([wrong, "--now", LATER]).collect();
            let told = world.run(&arguments).exited(1);
            assert!(told.stderr.contains(&format!("there is no update `{wrong}`")), "{told}");
            let meant = format!("did you mean `{id}` (helm/apps/podinfo 6.5.1)?");
            assert!(told.stderr.contains(&meant), "{told}");
        }
        let arguments: Vec<&str> = command.iter().copied().chain(["x", "--now", LATER]).collect();
        assert!(world.run(&arguments).exited(1).stderr.contains("`gitops-updater status` lists them"));
    }
}

/// What one person names is no news for everybody: the dashboard stays, and the person is told why.
#[test]
fn what_is_named_and_cannot_be_proposed_is_told_why_and_leaves_the_dashboard_alone() {
    let world = World::new();
    world.pass(NOW);
    let before = world.dashboard().body;
    let propose = |component: &str| world.run(&["propose", "--component", component, "--now", NOW]).exited(0);
    let told = propose("helm/apps/website");
    assert!(told.stdout.contains("Not proposed (1):\n  helm/apps/website 1.0.0 → 1.1.0\n"), "{told}");
    assert!(told.stdout.contains("podinfo"), "what it waits for: {told}");
    assert_eq!(world.dashboard().body, before);
    // What is under way is no news either.
    assert!(!propose("helm/apps/podinfo").stdout.contains("Not proposed"));
    world.quiet(NOW);
}

//! What GitHub Actions is told.

use super::world::{World, write};
use crate::support::sandbox::Sandbox;
use crate::support::snapshot::snapshot;

fn in_actions(world: World) -> World {
    let (summary, output) = (world.beside("summary.md"), world.beside("output"));
    write(&summary, "");
    write(&output, "");
    World {
        sandbox: world
            .sandbox
            .variable("GITHUB_ACTIONS", "true")
            .variable("CI", "true")
            .variable("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())
            .variable("GITHUB_OUTPUT", output.to_str().unwrap()),
        ..world
    }
}

/// The outputs, as the runner reads them.
fn outputs(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (name, end) = line.split_once("<<").unwrap();
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        found.push((name.to_owned(), value.join("\n")));
    }
    found
}

#[test]
fn summary_outputs_and_annotations_are_written() {
    let world = in_actions(World::home());
    let report = world.beside("report.json");
    snapshot!(world.detect(&["--format", "json", "--output", report.to_str().unwrap()]), @r"
    exit_code: 0
    ----- stdout -----
    ----- stderr -----
    ::notice file=clusters/home/flux-system/gotk-components.yaml,line=3,title=Update available::flux: v2.8.5 -> v2.8.6
    ::notice file=apps/site.yaml,line=10,title=Update available::git/git.example.com/site: v1.0.0 -> v1.1.0
    ::notice file=apps/blog.yaml,line=10,title=Update available::helm/apps/blog: 0.4.0 -> 0.4.1
    ::notice file=apps/podinfo.yaml,line=20,title=Update available::helm/apps/podinfo: 6.5.0 -> 6.6.0
    ::notice file=apps/web.yaml,line=11,title=Update available::image/ghcr.io/example/web: 1.2.0-alpine -> 1.3.0-alpine
    ::notice file=clusters/home/apps.yaml,line=29,title=Update available::k3s: v1.33.4+k3s1 -> v1.34.1+k3s1
    ");
    let summary = std::fs::read_to_string(world.beside("summary.md")).unwrap();
    assert!(summary.contains("podinfo") && summary.contains("6.6.0"), "{summary}");
    let written = std::fs::read_to_string(world.beside("output")).unwrap();
    let names: Vec<(String, String)> = outputs(&written);
    let action = include_str!("../../../action.yml");
    for (name, _) in &names {
        assert!(action.contains(&format!("steps.program.outputs.{name} }}}}")), "{name}");
    }
    let shown: Vec<String> = names.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let report = report.to_str().unwrap();
    assert_eq!(
        shown,
        [
            "updates=6",
            "security_updates=0",
            "unresolved=0",
            "recommended_action=schedule_maintenance",
            &format!("report={report}")
        ]
    );
}

#[test]
fn report_on_stdout_is_whole_beside_the_annotations() {
    let world = in_actions(World::home());
    let output = world.detect(&["--format", "json"]).exited(0);
    output.json();
    assert!(output.stderr.starts_with("::notice "), "{output}");
}

#[test]
fn hostile_names_stay_within_their_line() {
    let sandbox = Sandbox::with_empty_repo();
    let world = World::with(sandbox);
    world.sandbox.write("a::error::owned,title=x%0A\n::set-env name=PATH::evil.yaml", "kind: [");
    world.sandbox.write(
        "release.yaml",
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: evil, namespace: a}\nspec: {url: \
         \"https://charts.example.com/x\\n::error::owned\\e[2J\"}\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: \
         HelmRelease\nmetadata: {name: \"x\\n::error::owned\\e[2J\", namespace: \"a::b\"}\nspec: {chart: {spec: {chart: \
         \"p\\n::warning::owned\", version: \"1.0.0\\n::error::owned\", sourceRef: {kind: HelmRepository, name: evil, namespace: a}}}}\n",
    );
    let world = in_actions(world);
    let output = world.detect(&["--output", world.beside("r").to_str().unwrap()]).exited(0);
    for line in output.stderr.lines() {
        assert!(!line.starts_with("::error") && !line.starts_with("::set-env"), "{output}");
        assert!(!line.contains('\u{1b}'), "{output}");
    }
    let written = std::fs::read_to_string(world.beside("output")).unwrap();
    assert_eq!(outputs(&written).len(), 5, "{written}");
    let summary = std::fs::read_to_string(world.beside("summary.md")).unwrap();
    assert!(!summary.contains('\u{1b}'), "{summary}");
    assert!(!summary.lines().any(|line| line.starts_with("::")), "{summary}");
}

#[test]
fn outside_of_actions_nothing_of_it_is_written() {
    let world = World::home();
    let output = world.detect(&[]).exited(0);
    assert!(!output.stderr.contains("::"), "{output}");
}

/// Annotations are placed by their path from the top of the checkout.
#[test]
fn annotation_of_a_folder_names_the_file_from_the_top() {
    let world = in_actions(World::home());
    let output =
        world.detect(&["apps", "--component", "helm/apps/podinfo", "--output", "/dev/null"]).exited(0);
    assert!(output.stderr.contains("file=apps/podinfo.yaml,line="), "{output}");
}

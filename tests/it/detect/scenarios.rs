//! Repositories of several shapes, each as its report.

use serde_json::json;

use super::world::{World, problems, reduced, versions};
use crate::support::fake_github::release;
use crate::support::sandbox::Sandbox;
use crate::support::snapshot::snapshot;

#[test]
fn clusters_are_told_apart_only_where_each_writes_the_version() {
    let world = World::with(Sandbox::with_repo("fleet"));
    let report = world.report(&[]);
    snapshot!(reduced(&report), @r"
    image/ghcr.io/example/web: update_available 1.2.0-alpine -> 1.3.0-alpine
      apps/base/web.yaml:10 1.2.0-alpine
    production:flux: update_available v2.8.5 -> v2.8.6
      clusters/production/flux-system/gotk-components.yaml:3 v2.8.5
    production:helm/apps/podinfo: update_available 6.5.0 -> 6.6.0
      apps/production/podinfo.yaml:9 6.5.0
    staging:flux: up_to_date v2.8.6 -> -
      clusters/staging/flux-system/gotk-components.yaml:3 v2.8.6
    staging:helm/apps/podinfo: up_to_date 6.6.0 -> -
      apps/base/podinfo.yaml:18 6.6.0
    ");
    let named = world.report(&["--component", "staging:flux"]);
    assert_eq!(named["components"].as_object().unwrap().len(), 1);
    let both = world.report(&["--component", "flux"]);
    assert_eq!(both["components"].as_object().unwrap().len(), 2);
}

#[test]
fn names_of_clusters_are_those_of_the_configuration() {
    let world = World::with(Sandbox::with_repo("fleet"));
    world.configure(
        "clusters:
  - {name: test-bed, path: clusters/staging}
  - {name: live, path: clusters/production}
",
    );
    let report = world.report(&["--component", "flux"]);
    assert_eq!(versions(&report, "live:flux"), ("update_available", "v2.8.5", "v2.8.6"));
    assert_eq!(versions(&report, "test-bed:flux"), ("up_to_date", "v2.8.6", "-"));
}

#[test]
fn what_git_does_not_say_is_told_and_not_guessed() {
    let world = World::with(Sandbox::with_repo("odd"));
    world.web.serve(
        "/k3s/v1-release/channels",
        json!({"data": [{"id": "v1.33", "latest": "v1.33.5+k3s1"}]}).to_string(),
    );
    world.registry.tags("example/newest", ["1.0.0", "latest"]);
    world.registry.tags("example/job", ["2026.10.1", "2026.11.1"]);
    world.github.release_list("example/tool", vec![release("v1.1.0"), release("v1.0.0")]);
    snapshot!(reduced(&world.report(&[])), @r"
    helm/apps/by-default: update_available 6.5.0 -> 6.6.0
      apps/charts.yaml:18 6.5.0
    helm/apps/by-secret: unresolved - -> -; reason the variable `API_VERSION` may come from the Secret `cluster-secrets`, which is not read
      apps/charts.yaml:25 ${API_VERSION}
    helm/apps/by-variable: update_available 6.5.1 -> 6.6.0
      cluster/versions.yaml:7 6.5.1
    helm/apps/newest: not_pinned * -> -; resolves_to 6.6.0; reason the range `*` is resolved when Flux applies it
    helm/apps/range: not_pinned ~6.5.0 -> 6.6.0; resolves_to 6.5.1; reason the range `~6.5.0` is resolved when Flux applies it
      apps/charts.yaml:31 ~6.5.0
    helm/apps/stranger: unresolved 6.5.0 -> -; reason the HelmRepository `nowhere` is not in the repository
      apps/charts.yaml:43 6.5.0
    image/ghcr.io/example/job: update_available 2026.10.1 -> 2026.11.1
      apps/images.yaml:13 2026.10.1
    image/ghcr.io/example/newest: not_pinned - -> -; reason Git does not say which version runs (the image has no tag, so the tag `latest` is pulled whenever a node has none)
    image/ghcr.io/example/web: managed_elsewhere 1.2.0-alpine -> -; reason Flux image automation writes it (policy `flux-system:web`)
      apps/images.yaml:11 1.2.0-alpine
    k3s: not_pinned https://update.k3s.io/v1-release/channels/v1.33 -> v1.34.1+k3s1; resolves_to v1.33.5+k3s1; reason the channel `https://update.k3s.io/v1-release/channels/v1.33` is resolved in the cluster
      apps/plan.yaml:5 https://update.k3s.io/v1-release/channels/v1.33
      ansible/group_vars/all.yaml:2 v1.33.4+k3s1 (copy)
    release/example/tool: update_available v1.0.0 -> v1.1.0
      apps/images.yaml:20 v1.0.0
    ");
}

#[test]
fn example_of_this_repository_is_answered_from_its_own_files() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/example");
    let sandbox = Sandbox::empty();
    crate::support::sandbox::copy(&root, sandbox.work());
    let output = sandbox
        .run(["detect", "repo", "--config", "mirror.yaml", "--format", "json", "--exit-code"])
        .exited(10);
    assert_eq!(output.stderr, "");
    let report = &output.json()["update_report"];
    snapshot!(problems(report), @r"
    problem (repository) apps/base/unfinished/deployment.yaml:11: is not valid YAML: invalid indentation in multiline quoted scalar at char 180 line 11 column 11
    problem (upstream) https://charts.retired.example.org: cannot read `https://charts.retired.example.org/index.yaml`: not a Helm repository index: expected mapping start at line 1, column 1
    ");
    let again = sandbox.run([
        "detect",
        "repo",
        "--config",
        "mirror.yaml",
        "--format",
        "json",
        "--offline",
        "--no-cache",
    ]);
    assert_eq!(again.exit_code, 2, "{again}");
}

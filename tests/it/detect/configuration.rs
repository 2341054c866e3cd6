//! Each key of the configuration, and what it changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{World, problems, reduced, versions, word, write};
use crate::support::fake_github::release;

fn report_with(world: &World, detection: &str) -> Value {
    world.configure(&format!("detection:\n{detection}"));
    world.report(&[])
}

#[test]
fn channel_of_k3s_holds_it_to_a_minor() {
    let world = World::home();
    let channels = json!({"data": [
        {"id": "stable", "latest": "v1.33.5+k3s1"},
        {"id": "latest", "latest": "v1.34.1+k3s1"},
        {"id": "v1.33", "latest": "v1.33.5+k3s1"},
        {"id": "v1.34", "latest": "v1.34.1+k3s1"},
    ]});
    world.web.serve("/k3s/v1-release/channels", channels.to_string());
    for (channel, expected) in [
        ("v1.33", "v1.33.5+k3s1"),
        ("latest", "v1.34.1+k3s1"),
        ("stable", "v1.33.5+k3s1"),
        ("v1.34", "v1.34.1+k3s1"),
    ] {
        let report = report_with(&world, &format!("  k3s: {{channel: {channel}}}\n"));
        assert_eq!(versions(&report, "k3s").2, expected, "{channel}: {}", reduced(&report));
    }
}

#[test]
fn fork_is_asked_instead_of_the_original() {
    let world = World::home();
    world.github.release_list("acme/k3s", vec![release("v1.33.9+k3s1"), release("v1.33.4+k3s1")]);
    let report = report_with(&world, "  k3s: {repository: acme/k3s}\n");
    assert_eq!(versions(&report, "k3s").2, "v1.33.9+k3s1", "{}", reduced(&report));
    let asked = world.requests();
    assert!(asked.iter().any(|line| line.contains("/repos/acme/k3s/releases")), "{asked:#?}");
    assert!(!asked.iter().any(|line| line.contains("/repos/k3s-io/")), "{asked:#?}");
}

#[test]
fn chart_that_moved_is_read_where_the_configuration_says() {
    let world = World::home();
    world.registry.tags("team/podinfo", ["6.5.0", "6.9.0"]);
    let report = report_with(&world, "  helm/apps/podinfo: {repository: 'oci://ghcr.io/team/podinfo'}\n");
    assert_eq!(versions(&report, "helm/apps/podinfo").2, "6.9.0");
    let report = report_with(&world, "  helm/apps/podinfo: {repository: 'https://charts.example.com/new'}\n");
    assert_eq!(versions(&report, "helm/apps/podinfo").0, "unresolved");
    world.web.serve("/charts/new/index.yaml", "entries: {podinfo: [{version: 8.0.0, urls: [x.tgz]}]}");
    assert_eq!(versions(&world.report(&[]), "helm/apps/podinfo").2, "8.0.0");
}

#[test]
fn no_upstream_is_asked_within_the_interval() {
    let world = World::home();
    let first = report_with(&world, "  check_interval: 1h\n");
    assert!(!world.requests().is_empty());
    let second = world.report(&[]);
    assert_eq!(second, first);
    let asked = world.requests();
    // Advisories may come any day.
    assert!(asked.iter().all(|line| line.contains("/osv/")), "{asked:#?}");
    report_with(&world, "  check_interval: 1h\n  helm: {check_interval: 0s}\n");
    let asked = world.requests();
    assert!(asked.contains(&"304 /charts/index.yaml".to_owned()), "{asked:#?}");
    assert!(!asked.iter().any(|line| line.contains("/repos/")), "{asked:#?}");
}

#[test]
fn prereleases_count_on_request() {
    let world = World::home();
    world.web.serve(
        "/charts/index.yaml",
        "entries: {podinfo: [{version: 7.0.0-rc.1, urls: [x]}, {version: 6.6.0, urls: [x]}, {version: 6.5.0, urls: [x]}]}",
    );
    for (detection, expected) in [
        ("  check_prereleases: false\n", "6.6.0"),
        ("  check_prereleases: true\n", "7.0.0-rc.1"),
        ("  helm: {check_prereleases: true}\n", "7.0.0-rc.1"),
        ("  helm: {channel: prerelease}\n", "7.0.0-rc.1"),
        ("  check_prereleases: true\n  helm/apps/podinfo: {check_prereleases: false}\n", "6.6.0"),
    ] {
        let report = report_with(&world, detection);
        assert_eq!(versions(&report, "helm/apps/podinfo").2, expected, "{detection}");
    }
}

#[test]
fn choice_is_narrowed_by_minimum_allowed_and_ignored() {
    let world = World::home();
    for (settings, status, expected) in [
        ("{minimum_version: 6.5.1}", "update_available", "6.6.0"),
        ("{minimum_version: 7.0.0}", "up_to_date", "-"),
        ("{allowed: '<6.6'}", "update_available", "6.5.1"),
        ("{allowed: '~6.5.0'}", "update_available", "6.5.1"),
        ("{ignored: [6.6.0]}", "update_available", "6.5.1"),
        ("{ignored: ['>=6.5.1']}", "up_to_date", "-"),
    ] {
        let report = report_with(&world, &format!("  helm/apps/podinfo: {settings}\n"));
        let (found, _, available) = versions(&report, "helm/apps/podinfo");
        assert_eq!((found, available), (status, expected), "{settings}");
    }
}

#[test]
fn ignored_component_is_listed_and_not_asked_and_a_disabled_one_is_gone() {
    let world = World::home();
    let report = report_with(
        &world,
        "  helm/apps/podinfo: {ignore: moved by hand}\n  image: {ignore: true}\n  k3s: {enabled: false}\n  git: {enabled: false}\n",
    );
    let asked = world.requests();
    assert!(!asked.iter().any(|line| line.contains("index.yaml") || line.contains("k3s-io")), "{asked:#?}");
    assert!(
        !asked.iter().any(|line| line.contains("example/web") || line.contains("site.git")),
        "{asked:#?}"
    );
    insta::assert_snapshot!(reduced(&report), @r"
    flux: update_available v2.8.5 -> v2.8.6
      clusters/home/flux-system/gotk-components.yaml:3 v2.8.5
    helm/apps/blog: update_available 0.4.0 -> 0.4.1
      apps/blog.yaml:10 0.4.0
    helm/apps/podinfo: ignored 6.5.0 -> -; reason moved by hand
      apps/podinfo.yaml:20 6.5.0
    image/ghcr.io/example/web: ignored 1.2.0-alpine -> -; reason the configuration says so
      apps/web.yaml:11 1.2.0-alpine
    ");
}

#[test]
fn notifications_are_annotations_and_nothing_else() {
    let world = World::home();
    world.configure("detection:\n  notifications: false\n  flux: {notifications: true}\n");
    let world = World { sandbox: world.sandbox.variable("GITHUB_ACTIONS", "true"), ..world };
    let output = world.detect(&["--format", "json"]).exited(0);
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{output}");
    assert!(lines[0].contains("flux: v2.8.5 -> v2.8.6"), "{output}");
    assert_eq!(output.json()["update_report"]["summary"]["total_updates"], 6);
}

/// The example of the specification, in its own words.
#[test]
fn detection_block_of_the_specification_works_as_written() {
    let world = World::home();
    world.web.serve(
        "/k3s/v1-release/channels",
        json!({"data": [{"id": "stable", "latest": "v1.33.5+k3s1"}]}).to_string(),
    );
    let report = report_with(
        &world,
        "  k3s:
    channel: stable
    repository: k3s-io/k3s
    check_interval: 6h
    check_prereleases: false
    minimum_version: v1.28.0
    notifications: true
  flux:
    channel: stable
    repository: fluxcd/flux2
    check_interval: 6h
  components:
    helm/apps/podinfo:
      check_prereleases: false
",
    );
    assert_eq!(
        versions(&report, "k3s"),
        ("update_available", "v1.33.4+k3s1", "v1.33.5+k3s1"),
        "{}",
        reduced(&report)
    );
    assert_eq!(versions(&report, "flux").2, "v2.8.6");
}

#[test]
fn configuration_of_the_repository_counts_unless_another_is_named() {
    let world = World::home();
    world.sandbox.write(".gitops-updater.yaml", "detection: {helm: {ignore: of the repository}}\n");
    assert_eq!(versions(&world.report(&[]), "helm/apps/podinfo").0, "update_available");
    let output = world.run(&["detect", "--offline", "--format", "json"]).exited(0);
    let report = &output.json()["update_report"];
    assert_eq!(word(&report["components"]["helm/apps/podinfo"]["reason"]), "of the repository");
    // Of a revision, the one that the revision holds.
    world.sandbox.git().commit_all("Configure");
    world.sandbox.git().remove(".gitops-updater.yaml");
    for (rev, status) in [("main", "ignored"), ("main~1", "unresolved")] {
        let output = world.run(&["detect", "--offline", "--format", "json", "--rev", rev]).exited(0);
        assert_eq!(versions(&output.json()["update_report"], "helm/apps/podinfo").0, status, "{rev}");
    }
}

#[test]
fn mirror_may_be_a_folder_or_a_file() {
    let world = World::home();
    write(&world.beside("mirror/charts/index.yaml"), super::world::INDEX);
    write(&world.beside("mirror/flux.json"), json!([release("v2.9.0"), release("v2.8.5")]).to_string());
    let path = world.beside("own.yaml");
    std::fs::write(
        &path,
        "upstreams:
  map:
    - {from: https://charts.example.com, to: ./mirror/charts}
    - {from: https://api.github.com/repos/fluxcd/flux2/releases, to: ./mirror/flux.json}
",
    )
    .unwrap();
    let arguments = [
        "detect",
        "--config",
        path.to_str().unwrap(),
        "--offline",
        "--format",
        "json",
        "--component",
        "helm/apps/podinfo",
        "--component",
        "flux",
    ];
    let output = world.run(&arguments).exited(0);
    let report = &output.json()["update_report"];
    assert_eq!(versions(report, "helm/apps/podinfo").2, "6.6.0", "{}", reduced(report));
    assert_eq!(versions(report, "flux").2, "v2.9.0");
    assert_eq!(problems(report), "");
}

#[test]
fn architectures_of_the_nodes_decide_which_release_of_k3s_there_is() {
    let world = World::home();
    let with = |tag: &str, names: &[&str]| {
        let mut release = release(tag);
        release["assets"] = names.iter().map(|name| json!({"name": name, "size": 1})).collect();
        release
    };
    world.github.release_list(
        "k3s-io/k3s",
        vec![
            with("v1.33.6+k3s1", &["k3s"]),
            with("v1.33.5+k3s1", &["k3s", "k3s-arm64"]),
            with("v1.33.4+k3s1", &["k3s", "k3s-arm64"]),
        ],
    );
    for (more, expected) in [
        ("", "v1.33.6+k3s1"),
        ("architectures: [amd64]\n", "v1.33.6+k3s1"),
        ("architectures: [amd64, arm64]\n", "v1.33.5+k3s1"),
    ] {
        world.configure(more);
        assert_eq!(versions(&world.report(&[]), "k3s").2, expected, "{more}");
    }
}

#[test]
fn excluded_and_too_large_files_are_not_read() {
    let world = World::home();
    world.configure("files: {exclude: [apps/podinfo.yaml, system-upgrade]}\n");
    let report = world.report(&[]);
    assert!(report["components"]["helm/apps/podinfo"].is_null(), "{}", reduced(&report));
    world.configure("files: {max_size: 400B}\n");
    let report = world.report(&[]);
    assert!(report["components"]["helm/apps/podinfo"].is_null());
    insta::assert_snapshot!(problems(&report), @r"
    problem (repository) apps/podinfo.yaml: not read: 448 bytes, more than the limit of 400; exclude it or make it smaller
    problem (repository) clusters/home/apps.yaml: not read: 530 bytes, more than the limit of 400; exclude it or make it smaller
    problem (repository) clusters/home/flux-system/gotk-sync.yaml: not read: 445 bytes, more than the limit of 400; exclude it or make it smaller
    problem (repository) system-upgrade/plans.yaml: not read: 431 bytes, more than the limit of 400; exclude it or make it smaller
    ");
}

#[test]
fn ignored_files_are_read_on_request() {
    let world = World::home();
    world.sandbox.write(".gitignore", "private/\n");
    world.sandbox.write(
        "private/pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: x}\nspec: {containers: [{name: c, image: 'ghcr.io/example/web:1.3.0-alpine'}, {name: d, image: 'ghcr.io/example/charts/blog:0.4.0'}]}\n",
    );
    let id = "image/ghcr.io/example/charts/blog";
    assert!(world.report(&[])["components"][id].is_null());
    world.configure("files: {include_ignored: true}\n");
    assert_eq!(versions(&world.report(&[]), id).2, "0.4.1");
}

#[test]
fn limits_of_upstreams_are_kept() {
    let world = World::home();
    let mut manifests = String::new();
    for chart in 0..12 {
        world
            .web
            .serve(&format!("/charts/r{chart}/index.yaml"), "entries: {c: [{version: 1.0.0, urls: [x]}]}");
        manifests.push_str(&format!(
            "---\napiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {{name: c{chart}, namespace: kube-system}}\nspec: {{chart: c, \
             repo: 'https://charts.example.com/r{chart}', version: 1.0.0}}\n"
        ));
    }
    world.sandbox.write("charts.yaml", manifests);
    world.web.pause(Duration::from_millis(100));
    let host = world.web.authority();
    for (settings, most) in [
        ("  concurrency: 2\n".to_owned(), 2),
        (format!("  concurrency: 8\n  hosts: {{'{host}': {{concurrency: 1}}}}\n"), 1),
    ] {
        world.configure(&settings);
        let before = world.web.most_in_flight();
        let report = world.report(&["--no-cache", "--component", "helm/kube-system/*"]);
        assert_eq!(report["summary"]["unresolved"], 0, "{}", reduced(&report));
        let seen = world.web.most_in_flight();
        assert!(seen <= most.max(before), "{seen} at once with {settings}");
        world.web.forget_most_in_flight();
    }
    world.configure("  timeout: 1s\n  retries: 0\n");
    world.web.pause(Duration::from_secs(30));
    let started = std::time::Instant::now();
    let report = world.report(&["--no-cache", "--component", "helm/apps/podinfo"]);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(versions(&report, "helm/apps/podinfo").0, "unresolved");
}

/// A key that names no component looks as if it were obeyed.
#[test]
fn id_that_no_component_has_is_told() {
    let world = World::home();
    world.configure("detection:\n  helm/apps/podinf: {ignore: true}\n  longhorn: {ignore: true}\n");
    let output = world.detect(&["--format", "csv"]).exited(0);
    assert!(output.stderr.contains("helm/apps/podinf"), "{output}");
    assert!(
        !output.stderr.contains("longhorn"),
        "a kind that a repository does not have is no mistake: {output}"
    );
}

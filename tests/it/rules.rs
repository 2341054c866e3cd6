//! `rules list` and `rules show`, and rules of a repository at work in `detect`.

use super::support::sandbox::{CommandOutput, Sandbox};
use super::support::snapshot::snapshot;

const OWN: &str = "\
id: search-cluster
title: Search clusters
why: The operator installs the release that `spec.release.version` names.
component: {id: 'search/{namespace?}/{name}', kind: release, name: '{name}'}
scheme: semver
pins:
  - id: search-cluster-release
    in: {group: search.example.org, kind: SearchCluster}
    version: /spec/release/version
    upstream: {type: github_releases, repository: example/search}
";

const MANIFEST: &str = "\
apiVersion: search.example.org/v1
kind: SearchCluster
metadata: {name: logs, namespace: logging}
spec:
  release:
    version: 3.2.1 # the operator adds the v
";

const MIRROR: &str = "upstreams: {map: [{from: 'https://api.github.com', to: ./api}]}\n";

const RELEASES: &str = r#"[
  {"tag_name": "v3.3.0", "draft": false, "prerelease": false, "published_at": "2026-01-10T00:00:00Z", "html_url": "https://github.com/example/search/releases/tag/v3.3.0", "body": "", "assets": []},
  {"tag_name": "v3.2.1", "draft": false, "prerelease": false, "published_at": "2025-12-10T00:00:00Z", "html_url": "https://github.com/example/search/releases/tag/v3.2.1", "body": "", "assets": []}
]"#;

/// A repository with a manifest, a mirror of its upstream, and the rule files given.
fn repository(rules: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::with_empty_repo();
    sandbox
        .write("logging/search.yaml", MANIFEST)
        .write("mirror.yaml", MIRROR)
        .write("api/repos/example/search/releases.json", RELEASES);
    for (name, text) in rules {
        sandbox.write(format!(".gitops-updater/rules/{name}"), text);
    }
    sandbox.git().commit_all("Start");
    sandbox
}

fn detect(sandbox: &Sandbox, path: &str) -> CommandOutput {
    sandbox.run(["detect", path, "--config", "mirror.yaml", "--format", "json", "--no-cache"]).exited(0)
}

#[test]
fn list_shows_embedded_rules_in_the_order_of_their_turn() {
    snapshot!(Sandbox::empty().run(["rules", "list"]), @r"
    exit_code: 0
    ----- stdout -----
    k3s               k3s, by system-upgrade-controller Plans
    rancher-cluster   k3s of clusters that Rancher provisions
    flux              Flux itself
    longhorn          Longhorn
    helm-release      Charts that Flux installs
    helm-chart        Charts that something else than a HelmRelease installs
    oci-repository    OCI artifacts that Flux follows
    git-repository    Git repositories that Flux follows by tag, range or commit
    kustomize-remote  Remote resources of Kustomize files
    container-image   Container images
    ----- stderr -----
    ");
}

#[test]
fn show_explains_a_rule() {
    snapshot!(Sandbox::empty().run(["rules", "show", "k3s"]), @r#"
    exit_code: 0
    ----- stdout -----
    k3s: k3s, by system-upgrade-controller Plans
    (embedded in the program)

    Why
      Server and agent Plans carry the same version and move in one commit: the
      agent Plan's prepare step waits until every server has exactly the agent
      Plan's version. The container tag of k3s-upgrade writes `+` as `-`. Ansible
      installs new nodes with its own copy of the version, which Flux never reads.

    Component
        id          k3s
        kind        k3s
        name        k3s
        versions    k3s
        advisories  of the Go module github.com/k3s-io/k3s
        claims      releases and tags of github.com/k3s-io/k3s

    Pins
      k3s-plan-version
        in          Plan (upgrade.cattle.io)
        at          /spec/version
        if          /spec/upgrade/image matches (^|/)k3s-upgrade([:@]|$)
        only        what can be read as a version
        upstream    channels and releases of k3s

      k3s-plan-channel
        in          Plan (upgrade.cattle.io)
        at          /spec/channel
        if          /spec/upgrade/image matches (^|/)k3s-upgrade([:@]|$)
        is          a channel
        upstream    channels and releases of k3s

      k3s-plan-image
        in          Plan (upgrade.cattle.io)
        at          /spec/*/image
        pattern     (^|/)k3s-upgrade:(?<version>v?\d[^@]*)
        upstream    channels and releases of k3s

      k3s-variable
        in          lines of **/*.yml, **/*.yaml, **/*.yml.j2, **/*.yaml.j2
        pattern     (?m)^[ \t]*(?:k3s_version|k3s_release_version|k3s_image_version|
                    INSTALL_K3S_VERSION)[ \t]*:[ \t]*["']?(?<version>v?\d[\w.+-]*)
        only        what can be read as a version
        note        a copy that Flux does not apply
        upstream    channels and releases of k3s

      k3s-substitute
        in          Kustomization (kustomize.toolkit.fluxcd.io)
        at          /spec/postBuild/substitute/*
        pattern     ^(?<version>v?\d+\.\d+\.\d+(?:-rc\d+)?\+k3s\d+)$
        note        a copy that Flux does not apply
        upstream    channels and releases of k3s

    References
      https://docs.k3s.io/upgrades/automated
      https://github.com/rancher/system-upgrade-controller/blob/master/pkg/apis/upgrade.cattle.io/v1/types.go

    Example unused.yaml
      apiVersion: kustomize.toolkit.fluxcd.io/v1
      kind: Kustomization
      metadata: {name: k3s, namespace: flux-system}
      spec:
        postBuild: {substitute: {K3S: v1.33.4+k3s1}}
      finds v1.33.4+k3s1 (k3s-substitute)

    Example plan.yaml
      apiVersion: upgrade.cattle.io/v1
      kind: Plan
      metadata: {name: server, namespace: system-upgrade}
      spec:
        version: v1.33.4+k3s1
        upgrade: {image: "rancher/k3s-upgrade:v1.33.4-k3s1"}
      finds v1.33.4-k3s1 (k3s-plan-image)
      finds v1.33.4+k3s1 (k3s-plan-version)

    Example channel.yaml
      apiVersion: upgrade.cattle.io/v1
      kind: Plan
      metadata: {name: server, namespace: system-upgrade}
      spec:
        channel: https://update.k3s.io/v1-release/channels/stable
        upgrade: {image: rancher/k3s-upgrade}
      finds https://update.k3s.io/v1-release/channels/stable (k3s-plan-channel)

    Example ansible/group_vars/all.yml
      k3s_version: v1.33.4+k3s1
      finds v1.33.4+k3s1 (k3s-variable)
    ----- stderr -----
    "#);
}

#[test]
fn list_names_the_files_of_a_repositorys_own_rules() {
    let longhorn = OWN.replace("search-cluster", "longhorn").replace("Search clusters", "Our Longhorn");
    let sandbox = repository(&[("search.yaml", OWN), ("longhorn.yml", &longhorn), ("notes.md", "no rule")]);
    let listed = sandbox.run(["rules", "list"]).exited(0);
    assert!(
        listed.stdout.starts_with(
            "search-cluster    Search clusters\n                  from .gitops-updater/rules/search.yaml\n"
        ),
        "{listed}"
    );
    assert!(listed.stdout.contains("from .gitops-updater/rules/longhorn.yml, in place of the\n"), "{listed}");
    let data = sandbox.run(["rules", "list", "--format", "json"]).exited(0).json();
    let of =
        |id: &str| data["rules"].as_array().unwrap().iter().find(|rule| rule["id"] == id).unwrap().clone();
    assert_eq!(of("search-cluster")["pins"], serde_json::json!(["search-cluster-release"]));
    assert_eq!(
        (&of("longhorn")["embedded"], &of("longhorn")["replaces_embedded"]),
        (&false.into(), &true.into())
    );
    assert_eq!((&of("flux")["embedded"], &of("flux")["file"]), (&true.into(), &"rules/flux.yaml".into()));
}

#[test]
fn rule_is_shown_as_data_and_as_its_file() {
    let sandbox = repository(&[("search.yaml", OWN)]);
    let data = sandbox.run(["rules", "show", "search-cluster", "--format", "json"]).exited(0).json();
    assert_eq!(data["pins"][0]["upstream"]["type"], "github_releases");
    let file = sandbox.run(["rules", "show", "search-cluster", "--format", "yaml"]).exited(0);
    assert_eq!(file.stdout, OWN);
    let wrong = sandbox.run(["rules", "show", "search-cluster", "--format", "csv"]).exited(2);
    assert!(wrong.stderr.contains("hint: use `--format text`, `json` or `yaml`"), "{wrong}");
}

#[test]
fn rule_that_does_not_exist_is_1() {
    snapshot!(Sandbox::empty().run(["rules", "show", "k4s"]), @r"
    exit_code: 1
    ----- stdout -----
    ----- stderr -----
    error: there is no rule `k4s`
    hint: `gitops-updater rules list` lists all
    ");
}

#[test]
fn rule_files_that_cannot_be_used_are_3_with_line_and_field_and_the_others_are_shown() {
    let sandbox = repository(&[
        ("a.yaml", &OWN.replace("kind: SearchCluster", "knid: SearchCluster")),
        ("b.yaml", &OWN.replace("{name}'", "{nmae}'")),
        ("c.yaml", "id: [\n"),
        ("good.yaml", OWN),
    ]);
    let listed = sandbox.run(["rules", "list"]).exited(3);
    assert!(listed.stdout.contains("search-cluster") && listed.stdout.contains("k3s"), "{listed}");
    snapshot!(listed.stderr, @r"
    error: 3 rule files of the repository cannot be used
      .gitops-updater/rules/a.yaml:8: `pins[0].in.knid`: unknown field `knid`, expected one of group, kind, except, objects, kustomize, values, file, lines, within
      .gitops-updater/rules/b.yaml:4: `component.id`: `{nmae}` is filled in by nothing; there are `{kind}`, `{name}`, `{namespace}`
      .gitops-updater/rules/c.yaml:1: `id`: expected string scalar
    hint: rules/README.md of the program explains every field
    ");
    assert_eq!(sandbox.run(["rules", "show", "k3s"]).exit_code, 3);
}

#[test]
fn rule_of_the_repository_adds_a_component() {
    let without = detect(&repository(&[]), ".").json();
    assert_eq!(without["update_report"]["components"], serde_json::json!({}));

    let report = detect(&repository(&[("search.yaml", OWN)]), ".").json();
    let component = &report["update_report"]["components"]["search/logging/logs"];
    assert_eq!(component["current_version"], "3.2.1");
    assert_eq!(component["available_version"], "3.3.0");
    assert_eq!(component["status"], "update_available");
    let pin = &component["pins"][0];
    assert_eq!(
        (&pin["file"], &pin["line"], &pin["column"]),
        (&"logging/search.yaml".into(), &6.into(), &14.into())
    );
    assert_eq!((&pin["text"], &pin["rule"]), (&"3.2.1".into(), &"search-cluster-release".into()));
    assert_eq!(report["update_report"]["problems"], serde_json::json!([]));
}

#[test]
fn rule_of_the_repository_holds_where_only_a_folder_of_it_is_looked_at() {
    let sandbox = repository(&[("search.yaml", OWN)]);
    let ids = |output: &CommandOutput| {
        let json = output.json();
        json["update_report"]["components"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(ids(&detect(&sandbox, "logging")), ["search/logging/logs"]);
    // The folder's own rules come instead of them.
    let near = OWN.replace("'search/{namespace?}/{name}'", "near");
    sandbox.write("logging/.gitops-updater/rules/near.yaml", near);
    sandbox.git().commit_all("Near");
    assert_eq!(ids(&detect(&sandbox, "logging")), ["near"]);
    assert_eq!(ids(&detect(&sandbox, ".")), ["search/logging/logs"]);
}

#[test]
fn rule_with_the_id_of_an_embedded_one_takes_its_place() {
    let plan = "\
apiVersion: upgrade.cattle.io/v1
kind: Plan
metadata: {name: server, namespace: system-upgrade}
spec:
  version: v1.33.4+k3s1
  upgrade: {image: rancher/k3s-upgrade}
";
    let off = "id: k3s\ntitle: off\nwhy: another team moves it\ncomponent: {id: k3s, kind: k3s, name: k3s}\nscheme: k3s\n";
    for (rules, found) in [(&[][..], true), (&[("off.yaml", off)][..], false)] {
        let sandbox = repository(rules);
        sandbox.write("plan.yaml", plan);
        sandbox.git().commit_all("Plan");
        let report = sandbox.run(["detect", "--offline", "--format", "json"]).exited(0).json();
        assert_eq!(report["update_report"]["components"].get("k3s").is_some(), found, "{report}");
    }
}

#[test]
fn rule_file_that_cannot_be_used_is_a_problem_and_stops_nothing() {
    let broken = OWN.replace("search-cluster", "broken").replace("/spec/release", "/spec//release");
    let report = detect(&repository(&[("broken.yaml", &broken), ("search.yaml", OWN)]), ".").json();
    assert!(report["update_report"]["components"].get("search/logging/logs").is_some(), "{report}");
    assert_eq!(
        report["update_report"]["problems"],
        serde_json::json!([{
            "category": "configuration",
            "file": ".gitops-updater/rules/broken.yaml",
            "line": 9,
            "upstream": null,
            "message": "`pins[0].version`: route `/spec//release/version` has an empty part",
        }])
    );
}

#[test]
fn examples_of_a_rule_file_are_no_pins_of_the_repository() {
    let rule = format!(
        "{OWN}examples:\n  - file: all.yml\n    text: |\n      k3s_version: v1.33.4+k3s1\n    finds: {{}}\n"
    );
    let report = detect(&repository(&[("search.yaml", &rule)]), ".").json();
    let components = report["update_report"]["components"].as_object().unwrap();
    assert_eq!(components.keys().collect::<Vec<_>>(), ["search/logging/logs"]);
}

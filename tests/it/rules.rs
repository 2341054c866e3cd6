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
    stateful          Charts and images that keep data and migrate it
    data-operators    Operators that keep other people's data
    cert-manager      cert-manager
    cluster-network   What the cluster's own traffic goes through
    operators         Operators and their CRDs
    ----- stderr -----
    ");
}

#[test]
fn show_explains_a_rule() {
    snapshot!(Sandbox::empty().run(["rules", "show", "rancher-cluster"]), @r"
    exit_code: 0
    ----- stdout -----
    rancher-cluster: k3s of clusters that Rancher provisions
    (embedded in the program)

    Why
      Rancher installs and upgrades the k3s of such a cluster by itself, from
      `spec.kubernetesVersion`; a Plan for the same nodes would work against it. The
      object lives in the cluster that runs Rancher, so every object is a component
      of its own. RKE2 writes `+rke2r1` into the same field: it is another
      distribution with other releases, and is left alone. Rancher takes only
      versions that it knows, and it learns of a release some days after k3s
      publishes it.

    Component
        id          rancher/{namespace?}/{name}
        kind        k3s
        name        {name}
        versions    k3s

    Ladder
        by          one minor at a time
        months      never to a version that was released in an earlier month
        gate        >=1.34.0-0 only from >=1.33.8: k3s 1.34 brings etcd 3.6. Only
                    etcd 3.5.26 and later hand their data over whole, and of k3s
                    1.33 only 1.33.8 and later have it.
        gate        >=1.37.0-0: k3s 1.37 brings etcd 3.7; take an etcd snapshot
                    first, and do not take this step together with others.

    Revert
        safety      conditional: A revert is safe only while no node has moved.
                    After that only a snapshot of etcd that Rancher took before is a
                    way back, restored by a person; nothing here takes one.

    Pins
      rancher-cluster-version
        in          Cluster (provisioning.cattle.io)
        at          /spec/kubernetesVersion
        pattern     ^(?<version>v?\d+\.\d+\.\d+(?:-rc\d+)?\+k3s\d+)$
        upstream    channels and releases of k3s

    References
      https://docs.k3s.io/upgrades/automated
      https://ranchermanager.docs.rancher.com/reference-guides/cluster-configuration/rancher-server-configuration/k3s-cluster-configuration

    Example clusters/edge.yaml
      apiVersion: provisioning.cattle.io/v1
      kind: Cluster
      metadata: {name: edge, namespace: fleet-default}
      spec:
        kubernetesVersion: v1.33.4+k3s1
        rkeConfig: {}
      finds v1.33.4+k3s1 (rancher-cluster-version)

    Example clusters/rke2.yaml
      apiVersion: provisioning.cattle.io/v1
      kind: Cluster
      metadata: {name: core, namespace: fleet-default}
      spec:
        # kubernetesVersion: v1.33.4+k3s1
        kubernetesVersion: v1.33.4+rke2r1
      finds nothing

    Example clusters/machines.yaml
      apiVersion: cluster.x-k8s.io/v1beta1
      kind: Cluster
      metadata: {name: edge, namespace: fleet-default}
      spec:
        kubernetesVersion: v1.33.4+k3s1
      finds nothing
    ----- stderr -----
    ");
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
    assert_eq!(data["schema"], "gitops-updater/rules/v1");
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
    assert!(wrong.stderr.contains("[possible values: text, json, yaml]"), "{wrong}");
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
    error: 3 rule files of the repository have mistakes
      .gitops-updater/rules/a.yaml:8: `pins[0].in.knid`: unknown field; did you mean `kind`?
      .gitops-updater/rules/b.yaml:4: `component.id`: `{nmae}` is filled in by nothing; there are `{kind}`, `{name}`, `{namespace}`
      .gitops-updater/rules/c.yaml:1: not valid YAML: unclosed bracket '['
    hint: rules/README.md of the program explains every field
    ");
    assert_eq!(sandbox.run(["rules", "show", "k3s"]).exit_code, 3);
}

/// An example of a repository's own rule was never looked at: the rule could find nothing at all.
#[test]
fn example_that_a_rule_does_not_hold_is_told_by_list_and_check() {
    let example = |version: &str| {
        format!(
            "{OWN}examples:\n  - file: search.yaml\n    text: |\n{}    finds: {{search-cluster-release: {version}}}\n",
            MANIFEST.lines().map(|line| format!("      {line}\n")).collect::<String>()
        )
    };
    let good = repository(&[("search.yaml", &example("3.2.1"))]);
    good.write(".gitops-updater.yaml", MIRROR);
    for arguments in [["rules", "list"], ["config", "check"]] {
        assert_eq!(good.run(arguments).exit_code, 0, "{arguments:?}");
    }
    let sandbox = repository(&[("search.yaml", &example("3.2.2"))]);
    let listed = sandbox.run(["rules", "list"]).exited(3);
    assert!(listed.stdout.contains("search-cluster"), "{listed}");
    snapshot!(listed.stderr, @r"
    error: 1 rule file of the repository has mistakes
      .gitops-updater/rules/search.yaml:20: `examples[0].finds.search-cluster-release`: `3.2.1` is found where `3.2.2` should be
    hint: rules/README.md of the program explains every field
    ");
    sandbox.write(".gitops-updater.yaml", MIRROR);
    let checked = sandbox.run(["config", "check"]).exited(3);
    assert!(checked.stderr.contains("`3.2.1` is found where `3.2.2` should be"), "{checked}");
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

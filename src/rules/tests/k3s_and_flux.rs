//! k3s and Flux themselves.

use rstest::rstest;

use super::{finds, lines, resolved};
use crate::domain::component::{Component, Given};
use crate::domain::upstream::UpstreamRef;

fn plan(name: &str, version: &str) -> String {
    format!(
        "apiVersion: upgrade.cattle.io/v1
kind: Plan
metadata: {{name: {name}, namespace: system-upgrade}}
spec:
  version: {version}
  upgrade: {{image: rancher/k3s-upgrade}}
"
    )
}

fn applies(path: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: flux-system, namespace: flux-system}}
spec:
  path: {path}
  sourceRef: {{kind: GitRepository, name: flux-system}}
{more}"
    )
}

const K3S: &str = "https://update.k3s.io/v1-release/channels";

/// The one component of a repository, without its upstream.
#[track_caller]
fn one(files: &[(&str, &str)]) -> String {
    let resolved = resolved(files);
    assert!(resolved.problems.is_empty(), "{:?}", resolved.problems);
    let lines = lines(&resolved.components);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!lines[0].contains('('), "no upstream: {lines:?}");
    let (before, after) = lines[0].split_once("http").unwrap();
    let pins = after.split_once("; ").map_or("", |(_, pins)| pins);
    format!("{before}{pins}")
}

#[test]
fn server_and_agent_plans_move_together() {
    let both = format!("{}---\n{}", plan("server", "v1.33.4+k3s1"), plan("agent", "v1.33.4+k3s1"));
    assert_eq!(one(&[("plans.yaml", &both)]), "k3s =v1.33.4+k3s1 plans.yaml:5; plans.yaml:12");
}

/// The image that the Plan installs from is asked for under the tag of the newer version.
#[rstest]
#[case::of_docker_hub("rancher/k3s-upgrade", &["oci://docker.io/rancher/k3s-upgrade"])]
#[case::of_a_mirror("registry.lan:5000/mirror/k3s-upgrade", &["oci://registry.lan:5000/mirror/k3s-upgrade"])]
#[case::with_the_tag_of_the_version("ghcr.io/a/k3s-upgrade:v1.33.4-k3s1", &["oci://ghcr.io/a/k3s-upgrade"])]
#[case::with_a_tag_that_is_no_version("rancher/k3s-upgrade:latest", &[])]
#[case::by_digest(DIGEST, &[])]
#[case::with_a_variable_without_a_value("${REGISTRY}/k3s-upgrade", &[])]
fn image_of_a_plan_is_known(#[case] image: &str, #[case] expected: &[&str]) {
    let plan = plan("server", "v1.33.4+k3s1")
        .replace("{image: rancher/k3s-upgrade}", &format!("\n    image: {image}"));
    let resolved = resolved(&[("plan.yaml", &plan)]);
    let k3s = resolved.components.iter().find(|component| component.id == "k3s").unwrap();
    assert_eq!(images(k3s), expected);
    let is_said = k3s.warnings.iter().any(|warning| warning.contains("is not asked"));
    assert_eq!(is_said, image.contains("${"), "{:?}", k3s.warnings);
}

const DIGEST: &str =
    "rancher/k3s-upgrade@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn images(component: &Component) -> Vec<String> {
    component.images.iter().map(UpstreamRef::url).collect()
}

#[test]
fn images_are_those_of_every_plan_and_of_what_a_patch_is_for() {
    let agent = plan("agent", "${K3S_VERSION}").replace("rancher/", "registry.lan/");
    let both = format!("{}---\n{agent}", plan("server", "${K3S_VERSION}"));
    let values = applies("./plans", "  postBuild:\n    substitute:\n      K3S_VERSION: v1.33.4+k3s1\n");
    let found = resolved(&[("clusters/home/ks.yaml", &values), ("plans/plans.yaml", &both)]);
    let two = ["oci://docker.io/rancher/k3s-upgrade", "oci://registry.lan/k3s-upgrade"];
    assert_eq!(images(&found.components[0]), two);

    let patched = resolved(&[
        ("clusters/home/ks.yaml", &applies("./overlay", "")),
        ("base/kustomization.yaml", "resources: [plan.yaml]\n"),
        ("base/plan.yaml", &plan("server", "v1.33.3+k3s1")),
        (
            "overlay/kustomization.yaml",
            "resources: [../base]\npatches:\n- target: {kind: Plan, name: server}\n  patch: |-\n    - op: replace\n      \
             path: /spec/version\n      value: v1.33.4+k3s1\n",
        ),
        ("ansible/group_vars/all.yml", "k3s_version: v1.33.4+k3s1\n"),
    ]);
    let k3s = patched.components.iter().find(|component| component.id == "k3s").unwrap();
    assert_eq!(images(k3s), two[..1]);
    assert_eq!(k3s.given, Given::Exact("v1.33.4+k3s1".to_owned()));
}

#[test]
fn the_channel_of_a_plan_is_no_version() {
    let channel = plan("server", "x")
        .replace("version: x", "channel: https://update.k3s.io/v1-release/channels/stable");
    let resolved = resolved(&[("plan.yaml", &channel)]);
    let found = lines(&resolved.components);
    assert!(found[0].starts_with(&format!("k3s on {K3S}/stable ")), "{found:?}");
}

#[test]
fn plans_of_other_software_and_commented_plans_are_not_k3s() {
    let other = plan("ubuntu", "22.04").replace("rancher/k3s-upgrade", "example/upgrade");
    let commented: String =
        plan("server", "v1.33.4+k3s1").lines().map(|line| format!("# {line}\n")).collect();
    finds(&[("other.yaml", &other), ("commented.yaml", &commented)], &[]);
}

/// The value's real home, wherever Flux takes it from.
#[test]
fn a_variable_leads_to_the_home_of_its_value() {
    let plan = plan("server", "${K3S_VERSION}");
    let substitute = applies("./plans", "  postBuild:\n    substitute:\n      K3S_VERSION: v1.33.4+k3s1\n");
    assert_eq!(
        one(&[("clusters/home/ks.yaml", &substitute), ("plans/plan.yaml", &plan)]),
        "k3s =v1.33.4+k3s1 clusters/home/ks.yaml:9"
    );
    let from = applies("./plans", "  postBuild:\n    substituteFrom: [{kind: ConfigMap, name: versions}]\n");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: versions, namespace: flux-system}\ndata:\n  K3S_VERSION: v1.33.5+k3s1\n";
    assert_eq!(
        one(&[
            ("clusters/home/ks.yaml", &from),
            ("clusters/home/versions.yaml", map),
            ("plans/plan.yaml", &plan)
        ]),
        "k3s =v1.33.5+k3s1 clusters/home/versions.yaml:5"
    );
    // `substitute` wins over `substituteFrom`.
    let both = applies(
        "./plans",
        "  postBuild:\n    substituteFrom: [{kind: ConfigMap, name: versions}]\n    substitute: {K3S_VERSION: v1.33.4+k3s1}\n",
    );
    let found = one(&[
        ("clusters/home/ks.yaml", &both),
        ("clusters/home/versions.yaml", map),
        ("plans/plan.yaml", &plan),
    ]);
    assert_eq!(found, "k3s =v1.33.4+k3s1 clusters/home/ks.yaml:9");
    let default = plan.replace("${K3S_VERSION}", "${K3S_VERSION:=v1.33.3+k3s1}");
    assert_eq!(one(&[("plans/plan.yaml", &default)]), "k3s =v1.33.3+k3s1 plans/plan.yaml:5");
}

#[test]
fn a_variable_without_a_value_is_said_with_its_place() {
    let (plan, root) = (plan("server", "${K3S_VERSION}"), applies("./plans", ""));
    finds(
        &[("clusters/home/ks.yaml", &root), ("plans/plan.yaml", &plan)],
        &[
            "k3s ? (nothing in the repository gives the variable `K3S_VERSION` a value; set it in `postBuild.substitute` or a ConfigMap of `substituteFrom`); plans/plan.yaml:5",
        ],
    );
    let secret = applies("./plans", "  postBuild:\n    substituteFrom: [{kind: Secret, name: versions}]\n");
    finds(
        &[("clusters/home/ks.yaml", &secret), ("plans/plan.yaml", &plan)],
        &[
            "k3s ? (the variable `K3S_VERSION` may come from the Secret `versions`, which is not read); plans/plan.yaml:5",
        ],
    );
}

#[test]
fn patches_on_a_plan_decide_its_version() {
    let root = applies("./overlay", "");
    let base = plan("server", "v1.33.4+k3s1");
    for (patches, line) in [
        (
            "patches:\n- target: {kind: Plan}\n  patch: |\n    - op: replace\n      path: /spec/version\n      value: v1.33.5+k3s1\n",
            7,
        ),
        (
            "patches:\n- patch: |\n    apiVersion: upgrade.cattle.io/v1\n    kind: Plan\n    metadata: {name: server, namespace: system-upgrade}\n    spec: {version: v1.33.5+k3s1}\n",
            7,
        ),
    ] {
        let kustomize = format!("resources: [../base/plan.yaml]\n{patches}");
        assert_eq!(
            one(&[
                ("clusters/home/ks.yaml", &root),
                ("base/plan.yaml", &base),
                ("overlay/kustomization.yaml", &kustomize)
            ]),
            format!("k3s =v1.33.5+k3s1 overlay/kustomization.yaml:{line}; base/plan.yaml:5 copy")
        );
    }
}

#[test]
fn ansible_templates_and_unused_variables_are_copies() {
    let root = applies("./plans", "  postBuild: {substitute: {UNUSED: v1.33.4+k3s1}}\n");
    assert_eq!(
        one(&[
            ("clusters/home/ks.yaml", &root),
            ("plans/plan.yaml", &plan("server", "v1.33.4+k3s1")),
            (
                "ansible/group_vars/all.yml",
                "k3s_version: v1.33.4+k3s1\nk3s_release_version: '{{ k3s_version }}'\n"
            ),
            ("bootstrap/all.yaml.j2", "{% if a %}\nk3s_version: v1.33.4+k3s1\n{% endif %}\n"),
        ]),
        "k3s =v1.33.4+k3s1 plans/plan.yaml:5; ansible/group_vars/all.yml:1 copy; bootstrap/all.yaml.j2:2 copy; clusters/home/ks.yaml:7 copy"
    );
}

/// Any patch of any Plan was once taken for k3s.
#[test]
fn patches_of_plans_of_other_software_are_not_k3s() {
    let root = applies("./overlay", "");
    let other = plan("bionic", "20.04").replace("rancher/k3s-upgrade", "ubuntu");
    let operations = |target: &str, path: &str, value: &str| {
        format!(
            "resources: [../base]\npatches:\n- target: {target}\n  patch: |\n    - {{op: replace, path: {path}, value: \"{value}\"}}\n"
        )
    };
    let merge = |spec: &str| {
        format!(
            "resources: [../base]\npatches:\n- patch: |\n    apiVersion: upgrade.cattle.io/v1\n    kind: Plan\n    metadata: {{name: bionic, namespace: system-upgrade}}\n    spec: {spec}\n"
        )
    };
    for kustomize in [
        operations("{kind: Plan, name: bionic}", "/spec/version", "22.04"),
        operations("{kind: Plan, name: bionic}", "/spec/version", "v1.33.5+k3s1"),
        operations("{kind: Plan}", "/spec/version", "v1.33.5+k3s1"),
        merge("{version: v1.33.5+k3s1}"),
        merge("{channel: https://update.example.com/v1-release/channels/stable}"),
    ] {
        finds(
            &[
                ("base/kustomization.yaml", "resources: [plan.yaml]\n"),
                ("base/plan.yaml", &other),
                ("clusters/home/ks.yaml", &root),
                ("overlay/kustomization.yaml", &kustomize),
            ],
            &[],
        );
    }
    // Where the Plan is not in the repository, only the version can tell.
    for (version, expected) in
        [("22.04", None), ("v1.33.5+k3s1", Some("k3s =v1.33.5+k3s1 overlay/kustomization.yaml:5"))]
    {
        let kustomize = operations("{kind: Plan, name: server}", "/spec/version", version)
            .replace("[../base]", "[https://git.example.com/plans]");
        let files = [("clusters/home/ks.yaml", root.as_str()), ("overlay/kustomization.yaml", &*kustomize)];
        match expected {
            Some(expected) => assert_eq!(one(&files), expected),
            None => finds(&files, &[]),
        }
    }
}

#[test]
fn words_that_are_no_k3s_version_are_no_copies() {
    finds(&[("ansible/group_vars/all.yml", "k3s_version: 1.2\n")], &[]);
}

#[test]
fn flux_stands_in_its_generated_file_an_instance_an_artifact_a_chart_or_a_remote_base() {
    let instance = |version: &str| {
        format!(
            "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux, namespace: flux-system}}\nspec: {{distribution: {{version: {version}}}}}\n"
        )
    };
    let generated = "# This manifest was generated by flux. DO NOT EDIT.\n# Flux Version: v2.9.4\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: source-controller}\nspec: {template: {spec: {containers: [{image: \"ghcr.io/fluxcd/source-controller:v1.9.4\"}]}}}\n";
    for (path, text, expected) in [
        (
            "clusters/home/flux-system/gotk-components.yaml",
            generated,
            "flux =v2.9.4 clusters/home/flux-system/gotk-components.yaml:2",
        ),
        ("instance.yaml", &instance("2.9.4"), "flux =2.9.4 instance.yaml:4"),
        ("instance.yaml", &instance("2.9.x"), "flux in 2.9.x instance.yaml:4"),
        (
            "release.yaml",
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: flux-instance, namespace: flux-system}\nspec: {values: {instance: {distribution: {version: 2.9.4}}}}\n",
            "flux =2.9.4 release.yaml:4",
        ),
        (
            "kustomization.yaml",
            "resources:\n- github.com/fluxcd/flux2//manifests/install?ref=v2.9.4\n",
            "flux =v2.9.4 kustomization.yaml:2",
        ),
        (
            "kustomization.yaml",
            "resources:\n- https://github.com/fluxcd/flux2/releases/download/v2.9.4/install.yaml\n",
            "flux =v2.9.4 kustomization.yaml:2",
        ),
    ] {
        assert_eq!(one(&[(path, text)]), expected);
    }
    let artifact = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: flux-manifests, namespace: flux-system}\nspec: {url: \"oci://ghcr.io/fluxcd/flux-manifests\", ref: {tag: v2.9.4}}\n";
    finds(&[("source.yaml", artifact)], &["flux =v2.9.4 oci://ghcr.io/fluxcd/flux-manifests; source.yaml:4"]);
    let chart = "helmCharts:\n- {name: flux2, repo: https://charts.example.com, version: 2.18.3, releaseName: flux, namespace: flux-system}\n";
    finds(
        &[("kustomization.yaml", chart)],
        &["flux =2.18.3 https://charts.example.com; kustomization.yaml:2"],
    );
}

/// Such a comment once made a pin of itself and hid everything else in the file.
#[test]
fn a_comment_that_speaks_of_the_version_of_flux_is_not_its_header() {
    for comment in [
        "# Flux version: 2.3.0 or later is needed for this",
        "# Flux Version: v2.3.0",
        "# This manifest was generated by flux-schema.\n# Flux version: v2.3.0",
    ] {
        let instance = format!(
            "{comment}\napiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux, namespace: flux-system}}\nspec: {{distribution: {{version: 2.9.4}}}}\n"
        );
        let line = 4 + comment.lines().count();
        assert_eq!(one(&[("instance.yaml", &instance)]), format!("flux =2.9.4 instance.yaml:{line}"));
    }
    let header = "# Flux version: v0.9.1\r\n# Components: source-controller\r\napiVersion: v1\r\nkind: Pod\r\nmetadata: {name: a}\r\nspec: {containers: [{image: 'a:1.2.3'}]}\r\n";
    assert_eq!(one(&[("gotk.yaml", header)]), "flux =v0.9.1 gotk.yaml:1");
}

#[test]
fn architectures_of_the_nodes_are_gathered() {
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {nodeSelector: {kubernetes.io/arch: arm64}}\n";
    let found = resolved(&[("a.yaml", pod), ("b.yaml.j2", &pod.replace("arm64", "riscv64"))]);
    assert!(found.architectures.iter().eq(["arm64"]), "{:?}", found.architectures);
}

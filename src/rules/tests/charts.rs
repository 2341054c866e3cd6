//! Charts by every way that installs one.

use super::{finds, lines, resolved};

const REPOSITORY: &str = "apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: podinfo, namespace: flux-system}
spec: {url: https://charts.example.com}
";

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: podinfo, namespace: apps}
spec:
  chart:
    spec:
      chart: podinfo
      version: 6.7.1 # pinned
      sourceRef: {kind: HelmRepository, name: podinfo, namespace: flux-system}
";

/// A release without a namespace of its own.
fn placeless() -> String {
    RELEASE.replace("name: podinfo, namespace: apps", "name: podinfo")
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

#[test]
fn a_release_takes_its_chart_from_a_repository_over_https_or_oci() {
    finds(
        &[("release.yaml", RELEASE), ("source.yaml", REPOSITORY)],
        &["helm/apps/podinfo =6.7.1 https://charts.example.com; release.yaml:8"],
    );
    let oci = REPOSITORY
        .replace("{url: https://charts.example.com}", "{type: oci, url: \"oci://ghcr.io/example\"}");
    finds(
        &[("release.yaml", RELEASE), ("source.yaml", &oci)],
        &["helm/apps/podinfo =6.7.1 oci://ghcr.io/example/podinfo; release.yaml:8"],
    );
}

#[test]
fn a_chart_in_git_or_a_bucket_comes_with_its_source() {
    for kind in ["GitRepository", "Bucket"] {
        let release = RELEASE
            .replace("kind: HelmRepository", &format!("kind: {kind}"))
            .replace("      version: 6.7.1 # pinned\n", "");
        finds(
            &[("release.yaml", &release)],
            &[&*format!(
                "helm/apps/podinfo ? (the chart comes from the {kind} `podinfo`, whose version is the chart's)"
            )],
        );
    }
}

#[test]
fn a_release_without_a_version_takes_the_newest_and_a_range_stays_a_range() {
    let newest = RELEASE.replace("      version: 6.7.1 # pinned\n", "");
    finds(
        &[("release.yaml", &newest), ("source.yaml", REPOSITORY)],
        &["helm/apps/podinfo in * https://charts.example.com"],
    );
    let range = RELEASE.replace("6.7.1 # pinned", "'>=6.0.0 <7'");
    finds(
        &[("release.yaml", &range), ("source.yaml", REPOSITORY)],
        &["helm/apps/podinfo in >=6.0.0 <7 https://charts.example.com; release.yaml:8"],
    );
}

#[test]
fn a_source_that_is_missing_or_named_twice_is_said() {
    finds(
        &[("release.yaml", RELEASE)],
        &["helm/apps/podinfo =6.7.1 (the HelmRepository `podinfo` is not in the repository); release.yaml:8"],
    );
    let (one, two) = (
        REPOSITORY.replace("namespace: flux-system", "namespace: one"),
        REPOSITORY
            .replace("namespace: flux-system", "namespace: two")
            .replace("charts.example.com", "other.example.com"),
    );
    finds(
        &[("release.yaml", RELEASE), ("one.yaml", &one), ("two.yaml", &two)],
        &[
            "helm/apps/podinfo =6.7.1 (2 different HelmRepository objects are named `podinfo`; name its namespace in `sourceRef`); release.yaml:8",
        ],
    );
}

#[test]
fn the_source_beside_the_release_is_meant_where_no_namespace_decides() {
    let release = placeless().replace(", namespace: flux-system", "");
    let own = REPOSITORY.replace(", namespace: flux-system", "");
    let both = format!("{own}---\n{release}");
    let other = own.replace("charts.example.com", "other.example.com");
    finds(
        &[("a.yaml", &both), ("b.yaml", &other)],
        &["helm/-/podinfo =6.7.1 https://charts.example.com; a.yaml:13"],
    );
}

#[test]
fn the_namespace_comes_from_the_kustomize_file_or_the_flux_kustomization() {
    let root = applies("./apps", "  targetNamespace: outer\n");
    let release = placeless();
    finds(
        &[
            ("clusters/home/ks.yaml", &root),
            ("apps/release.yaml", &release),
            ("clusters/home/source.yaml", REPOSITORY),
        ],
        &["helm/outer/podinfo =6.7.1 https://charts.example.com; apps/release.yaml:8"],
    );
    finds(
        &[
            ("clusters/home/ks.yaml", &root),
            ("apps/kustomization.yaml", "namespace: inner\nresources: [release.yaml]\n"),
            ("apps/release.yaml", &release),
            ("clusters/home/source.yaml", REPOSITORY),
        ],
        &["helm/inner/podinfo =6.7.1 https://charts.example.com; apps/release.yaml:8"],
    );
}

/// A patch may be a file or a text, of either kind; all of them decide over what they patch.
#[test]
fn patches_of_every_form_decide_the_version_of_a_release() {
    let root = applies("./overlay", "");
    let merge = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: podinfo, namespace: apps}\nspec: {chart: {spec: {version: 6.8.0}}}\n";
    let operations = "- {op: replace, path: /spec/chart/spec/version, value: 6.8.0}\n";
    let deeper = "- op: add\n  path: /spec/chart/spec\n  value:\n    version: 6.8.0\n";
    let indent = |text: &str| text.lines().map(|line| format!("      {line}\n")).collect::<String>();
    let target = "{kind: HelmRelease, name: podinfo}";
    for (name, kustomize, patch, place) in [
        ("merge file", "patches: [{path: patch.yaml}]".to_owned(), merge, "patch.yaml:4"),
        ("merge list", "patchesStrategicMerge: [patch.yaml]".to_owned(), merge, "patch.yaml:4"),
        (
            "operations file",
            format!("patches: [{{path: patch.yaml, target: {target}}}]"),
            operations,
            "patch.yaml:1",
        ),
        ("deeper file", format!("patches: [{{path: patch.yaml, target: {target}}}]"), deeper, "patch.yaml:4"),
        (
            "old list",
            format!("patchesJson6902: [{{path: patch.yaml, target: {target}}}]"),
            operations,
            "patch.yaml:1",
        ),
        ("merge text", format!("patches:\n  - patch: |\n{}", indent(merge)), "", "kustomization.yaml:7"),
        (
            "operations text",
            format!("patches:\n  - target: {target}\n    patch: |-\n{}", indent(operations)),
            "",
            "kustomization.yaml:5",
        ),
        (
            "JSON on a line",
            format!(
                "patches:\n  - target: {target}\n    patch: '[{{\"op\": \"replace\", \"path\": \"/spec/chart/spec/version\", \"value\": \"6.8.0\"}}]'\n"
            ),
            "",
            "kustomization.yaml:4",
        ),
        (
            "merge text in the old list",
            format!("patchesStrategicMerge:\n  - |\n{}", indent(merge)),
            "",
            "kustomization.yaml:7",
        ),
    ] {
        let kustomize = format!("resources: [../base/release.yaml]\n{kustomize}\n");
        let resolved = super::resolved(&[
            ("clusters/home/ks.yaml", &root),
            ("clusters/home/source.yaml", REPOSITORY),
            ("base/release.yaml", RELEASE),
            ("overlay/kustomization.yaml", &kustomize),
            ("overlay/patch.yaml", patch),
        ]);
        let expected = format!(
            "helm/apps/podinfo =6.8.0 https://charts.example.com; overlay/{place}; base/release.yaml:8 copy"
        );
        assert_eq!(super::lines(&resolved.components), [expected], "{name}");
    }
}

#[test]
fn patches_in_a_flux_kustomization_reach_a_release_in_another_namespace() {
    for patch in [
        "      apiVersion: helm.toolkit.fluxcd.io/v2\n      kind: HelmRelease\n      metadata: {name: podinfo}\n      spec: {chart: {spec: {version: 6.8.0}}}\n",
        "      - op: replace\n        path: /spec/chart/spec/version\n        value: 6.8.0\n",
    ] {
        let more =
            format!("  patches:\n  - target: {{kind: HelmRelease, name: podinfo}}\n    patch: |\n{patch}");
        let root = applies("./base", &more);
        let line = 9 + patch.lines().count();
        let expected = format!(
            "helm/apps/podinfo =6.8.0 https://charts.example.com; clusters/home/ks.yaml:{line}; base/release.yaml:8 copy"
        );
        finds(
            &[
                ("clusters/home/ks.yaml", &root),
                ("clusters/home/source.yaml", REPOSITORY),
                ("base/release.yaml", RELEASE),
            ],
            &[&*expected],
        );
    }
}

const OCI: &str = "apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: podinfo, namespace: apps}
spec:
  url: oci://ghcr.io/example/charts/podinfo
  ref: {tag: 6.7.1}
";

fn by_reference(name: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: apps}}\nspec: {{chartRef: {{kind: OCIRepository, name: podinfo}}}}\n"
    )
}

#[test]
fn a_chart_by_reference_is_the_version_of_its_only_release() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for (reference, expected) in [
        (
            "{tag: 6.7.1}",
            "helm/apps/web =6.7.1 oci://ghcr.io/example/charts/podinfo; source.yaml:6".to_owned(),
        ),
        (
            "{semver: 6.x}",
            "helm/apps/web in 6.x oci://ghcr.io/example/charts/podinfo; source.yaml:6".to_owned(),
        ),
        (
            &format!("{{tag: 6.7.1, digest: \"{digest}\"}}"),
            "helm/apps/web =6.7.1 oci://ghcr.io/example/charts/podinfo; source.yaml:6".to_owned(),
        ),
        (
            &format!("{{digest: \"{digest}\"}}"),
            format!(
                "helm/apps/web ={digest} (pinned by digest alone; nothing says which version that is); source.yaml:6"
            ),
        ),
    ] {
        let source = OCI.replace("{tag: 6.7.1}", reference);
        finds(&[("release.yaml", &by_reference("web")), ("source.yaml", &source)], &[&*expected]);
    }
    finds(
        &[("one.yaml", &by_reference("one")), ("two.yaml", &by_reference("two")), ("source.yaml", OCI)],
        &["oci/apps/podinfo =6.7.1 oci://ghcr.io/example/charts/podinfo; source.yaml:6"],
    );
    finds(
        &[("one.yaml", &by_reference("one"))],
        &["helm/apps/one ? (the OCIRepository `podinfo` that `chartRef` names is not in the repository)"],
    );
}

#[test]
fn a_patched_chart_object_is_still_the_version_of_its_release() {
    let root = applies("./overlay", "");
    let release = by_reference("web");
    for (kustomize, patch, line) in [
        (
            "patches: [{path: patch.yaml}]",
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: podinfo, namespace: apps}\nspec: {ref: {tag: 6.8.0}}\n",
            4,
        ),
        (
            "patches: [{path: patch.yaml, target: {kind: OCIRepository, name: podinfo}}]",
            "- {op: replace, path: /spec/ref/tag, value: 6.8.0}\n",
            1,
        ),
    ] {
        let kustomize = format!("resources: [../base/source.yaml, ../base/release.yaml]\n{kustomize}\n");
        let expected = format!(
            "helm/apps/web =6.8.0 oci://ghcr.io/example/charts/podinfo; overlay/patch.yaml:{line}; base/source.yaml:6 copy"
        );
        finds(
            &[
                ("clusters/home/ks.yaml", &root),
                ("base/release.yaml", &release),
                ("base/source.yaml", OCI),
                ("overlay/kustomization.yaml", &kustomize),
                ("overlay/patch.yaml", patch),
            ],
            &[&*expected],
        );
    }
}

#[test]
fn a_flux_helm_chart_is_the_version_of_its_release() {
    let chart = "apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmChart
metadata: {name: podinfo, namespace: apps}
spec:
  chart: podinfo
  version: 6.7.1
  sourceRef: {kind: HelmRepository, name: podinfo}
";
    let release = by_reference("web").replace("OCIRepository", "HelmChart");
    finds(
        &[("chart.yaml", chart), ("release.yaml", &release), ("source.yaml", REPOSITORY)],
        &["helm/apps/web =6.7.1 https://charts.example.com; chart.yaml:6"],
    );
}

#[test]
fn resources_of_a_resource_set_are_objects_and_inputs_are_their_versions() {
    let set = "apiVersion: fluxcd.controlplane.io/v1
kind: ResourceSet
metadata: {name: apps, namespace: apps}
spec:
  inputs:
    - {name: one, version: 6.7.1}
    - {name: two, version: 6.7.2}
  resources:
    - apiVersion: source.toolkit.fluxcd.io/v1
      kind: HelmRepository
      metadata: {name: podinfo, namespace: apps}
      spec: {url: https://charts.example.com}
    - apiVersion: helm.toolkit.fluxcd.io/v2
      kind: HelmRelease
      metadata: {name: << inputs.name >>, namespace: apps}
      spec:
        chart:
          spec:
            chart: podinfo
            version: << inputs.version >>
            sourceRef: {kind: HelmRepository, name: podinfo}
";
    finds(
        &[("set.yaml", set)],
        &[
            "helm/apps/one =6.7.1 https://charts.example.com; set.yaml:6",
            "helm/apps/two =6.7.2 https://charts.example.com; set.yaml:7",
        ],
    );
}

#[test]
fn kustomize_k3s_and_charts_in_git_name_charts_too() {
    finds(
        &[
            (
                "kustomization.yaml",
                "helmCharts:\n- {name: cilium, repo: https://helm.example.com, version: 1.18.2, releaseName: network, namespace: kube-system}\n",
            ),
            (
                "traefik.yaml",
                "apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: traefik, namespace: kube-system}\nspec: {repo: https://traefik.example.com, chart: traefik, version: 37.1.2}\n",
            ),
            (
                "charts/app/Chart.yaml",
                "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n- {name: common, version: 2.31.3, repository: https://library.example.com}\n- {name: local, version: 1.0.0, repository: file://../local}\n",
            ),
        ],
        &[
            "chart/app/common =2.31.3 https://library.example.com; charts/app/Chart.yaml:5",
            "helm/kube-system/network =1.18.2 https://helm.example.com; kustomization.yaml:2",
            "helm/kube-system/traefik =37.1.2 https://traefik.example.com; traefik.yaml:4",
        ],
    );
}

#[test]
fn a_chart_of_kustomize_without_a_release_name_has_the_name_of_the_chart() {
    let kustomize = "helmCharts:\n- {name: podinfo, repo: https://charts.example.com, version: 1.0.0}\n";
    finds(
        &[("kustomization.yaml", kustomize)],
        &["helm/-/podinfo =1.0.0 https://charts.example.com; kustomization.yaml:2"],
    );
}

#[test]
fn a_release_without_a_name_is_a_problem() {
    let release = RELEASE.replace("name: podinfo, namespace: apps", "namespace: apps");
    let found = resolved(&[("release.yaml", &*release), ("source.yaml", REPOSITORY)]);
    assert_eq!(lines(&found.components), Vec::<String>::new());
    let told: Vec<_> =
        found.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    let expected = "the version `6.7.1` is that of no component: nothing here says its name (`helm/{namespace?}/{name}`); name the object, or the target of the patch";
    assert_eq!(told, [(Some(8), expected)]);
}

/// Masterminds' `=1.0.0` is exactly one version, and the sign is no part of it.
#[test]
fn the_sign_before_an_exact_version_is_not_its_text() {
    for version in ["\"=6.7.1\"", "'= v6.7.1'", "\"=6.7.1 \""] {
        let release = RELEASE.replace("6.7.1", version);
        let resolved = super::resolved(&[("release.yaml", &*release), ("source.yaml", REPOSITORY)]);
        let text = if version.contains('v') { "v6.7.1" } else { "6.7.1" };
        assert_eq!(
            super::lines(&resolved.components),
            [format!("helm/apps/podinfo ={text} https://charts.example.com; release.yaml:8")],
            "{version}"
        );
        assert_eq!(resolved.components[0].pins[0].text, text);
    }
}

#[test]
fn longhorn_is_named_for_itself_wherever_its_chart_comes_from() {
    let release = RELEASE.replace("chart: podinfo", "chart: longhorn").replace("6.7.1 # pinned", "v1.7.2");
    finds(
        &[("release.yaml", &release), ("source.yaml", REPOSITORY)],
        &["longhorn =v1.7.2 https://charts.example.com; release.yaml:8"],
    );
}

/// The same text as JSON, with a byte-order mark, with CRLF, with tags and anchors defined twice.
#[test]
fn the_form_of_the_yaml_does_not_matter() {
    let source = ("source.yaml", REPOSITORY);
    let json = r#"{"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "podinfo", "namespace": "apps"},
 "spec": {"chart": {"spec": {"chart": "podinfo", "version": "6.7.1",
 "sourceRef": {"kind": "HelmRepository", "name": "podinfo", "namespace": "flux-system"}}}}}"#;
    let expected = |place: &str| format!("helm/apps/podinfo =6.7.1 https://charts.example.com; {place}");
    finds(&[("release.json", json), source], &[&*expected("release.json:2")]);
    for text in [
        format!("\u{feff}{RELEASE}"),
        RELEASE.replace('\n', "\r\n"),
        RELEASE.replace("6.7.1 #", "'6.7.1' #"),
        RELEASE.replace("6.7.1 #", "!custom 6.7.1 #"),
        RELEASE.replace("chart: podinfo", "chart: &a podinfo").replace("6.7.1 #", "&a 6.7.1 #"),
    ] {
        finds(&[("release.yaml", &text), source], &[&*expected("release.yaml:8")]);
    }
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", RELEASE.trim_end().replace('\n', "\n  "));
    finds(&[("release.yaml", &list), source], &[&*expected("release.yaml:11")]);
}

/// Only Flux knows which tags its filter leaves out: what it names now is not guessed.
#[test]
fn a_range_behind_a_filter_is_said_to_be_unknown() {
    let source = |reference: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {{name: podinfo, namespace: apps}}\nspec:\n  url: oci://ghcr.io/example/podinfo\n  ref: {reference}\n"
        )
    };
    let filtered =
        "`ref.semverFilter` leaves out tags in a way that only Flux knows; see `kubectl get ocirepository`";
    for (reference, expected) in [
        ("{semver: 6.x}", "oci/apps/podinfo in 6.x oci://ghcr.io/example/podinfo; source.yaml:6".to_owned()),
        (
            "{semver: 6.x, semverFilter: '.*-rc.*'}",
            format!("oci/apps/podinfo in 6.x ({filtered}); source.yaml:6"),
        ),
        // A tag takes no filter.
        (
            "{tag: 6.1.0, semverFilter: '.*-rc.*'}",
            "oci/apps/podinfo =6.1.0 oci://ghcr.io/example/podinfo; source.yaml:6".to_owned(),
        ),
    ] {
        finds(&[("source.yaml", &*source(reference))], &[&*expected]);
    }
}

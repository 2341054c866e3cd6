//! Comments that name a version's owner, and files in which nothing is to be found.

use super::{finds, resolved};

#[test]
fn annotations_make_pins_of_values_that_no_rule_finds() {
    finds(
        &[(
            "vars.yaml",
            "# renovate: datasource=github-releases depName=example/tool
tool_version: v1.2.3
# renovate: depName=ghcr.io/example/image datasource=docker
image_version: \"4.5.6\"
# renovate: datasource=helm depName=chart registryUrl=https://charts.example.com
chart_version: 7.8.9
# renovate: datasource=github-tags depName=k3s-io/k3s
whatever: v1.33.4+k3s1
",
        )],
        &[
            "helm/-/chart =7.8.9 https://charts.example.com; vars.yaml:6 copy",
            "image/ghcr.io/example/image =4.5.6 oci://ghcr.io/example/image; vars.yaml:4 copy",
            "k3s =v1.33.4+k3s1 https://github.com/k3s-io/k3s; vars.yaml:8 copy",
            "release/example/tool =v1.2.3 https://github.com/example/tool; vars.yaml:2 copy",
        ],
    );
}

#[test]
fn an_annotation_speaks_of_the_first_version_below_it_or_of_the_one_before_it() {
    let flux = "# renovate: datasource=github-releases depName=fluxcd/flux2";
    // The value behind which it stands, never the next line.
    finds(
        &[("vars.yaml", &format!("one: v2.8.5 {flux}\ntwo: v1.10.2\n"))],
        &["flux =v2.8.5 https://github.com/fluxcd/flux2; vars.yaml:1 copy"],
    );
    // A rule's pin further below is another thing.
    let release = format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: x, namespace: x}}\nspec:\n  values:\n    {flux}\n    pluginVersion: v2.8.5\n    image: nginx:1.25.0\n"
    );
    finds(
        &[("release.yaml", &release)],
        &[
            "flux =v2.8.5 https://github.com/fluxcd/flux2; release.yaml:7 copy",
            "image/docker.io/library/nginx =1.25.0 oci://docker.io/library/nginx; release.yaml:8",
        ],
    );
    // What is no version stands between.
    let image = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: x, namespace: x}\nspec:\n  values:\n    # renovate: datasource=docker depName=ghcr.io/example/web\n    image:\n      repository: ghcr.io/example/web\n      tag: 1.2.3\n";
    finds(
        &[("release.yaml", image)],
        &["image/ghcr.io/example/web =1.2.3 oci://ghcr.io/example/web; release.yaml:9"],
    );
    let tool = "# renovate: datasource=github-releases depName=example/tool\nname: tool\nreplicas: 3\nversion: 1.2.3\n";
    finds(
        &[("vars.yaml", tool)],
        &["release/example/tool =1.2.3 https://github.com/example/tool; vars.yaml:4 copy"],
    );
    // What is written as values of a chart counts only where something makes values of the file.
    let image = "# renovate: datasource=docker depName=ghcr.io/example/web\nimage: {repository: ghcr.io/example/web, tag: 1.2.3}\n";
    finds(&[("vars.yaml", image)], &["image/ghcr.io/example/web ? (no version stands below the annotation)"]);
}

/// Each annotation was once held against each found version, and each marker against each marker.
#[test]
fn many_comments_are_read_in_about_linear_time() {
    let annotated = "  # renovate: datasource=docker depName=x/y\n  - image: ghcr.io/example/web:1.2.3\n";
    let marked = "  - image: ghcr.io/example/web:1.2.3 # {\"$imagepolicy\": \"a:b\"}\n";
    let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  initContainers: []\n  containers:\n";
    let started = std::time::Instant::now();
    for line in [annotated, marked] {
        let text = format!("{head}{}", line.repeat(4_000));
        let resolved = resolved(&[("a.yaml", &text)]);
        assert_eq!(resolved.components.len(), 1);
        assert_eq!(resolved.components[0].pins.len(), 4_000);
    }
    // Quadratic, this took minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn an_annotation_says_where_a_release_has_its_chart_from() {
    let release = |version: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: web, namespace: apps}}\nspec:\n  chart:\n    spec:\n      # renovate: registryUrl=https://charts.example.com chart=web\n      chart: web\n{version}      sourceRef: {{kind: HelmRepository, name: elsewhere}}\n"
        )
    };
    finds(
        &[("release.yaml", &release("      version: 1.2.3\n"))],
        &["helm/apps/web =1.2.3 https://charts.example.com; release.yaml:9"],
    );
    finds(&[("release.yaml", &release(""))], &["helm/apps/web in * https://charts.example.com"]);
}

#[test]
fn annotations_that_lead_nowhere_are_listed_one_by_one() {
    let nowhere = "(the annotation names no datasource, so nobody can be asked)";
    let text = "a:
  # renovate: depName=\"Kubernetes / Views / Pods\"
  id: 15760
  # renovate: dashboardName=\"Ceph - Pools\"
  number: 5342
# # renovate: registryUrl=https://charts.example.com
# version: 1.2.3
";
    finds(
        &[("a/one.yaml", text), ("b/two.yaml", "# renovate: depName=\"Kubernetes / Views / Pods\"\nid: 1\n")],
        &[
            "annotation/a/one.yaml-6 ? (the annotation stands in a manifest that is commented out)",
            &*format!("annotation/ceph-pools ? {nowhere}"),
            &*format!("annotation/kubernetes-views-pods ? {nowhere}"),
            &*format!("annotation/kubernetes-views-pods#b ? {nowhere}"),
        ],
    );
}

#[test]
fn what_flux_image_automation_writes_is_managed_elsewhere() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: web\n    image: ghcr.io/example/web:1.2.3 # {\"$imagepolicy\": \"flux-system:web\"}\n";
    let resolved = resolved(&[("pod.yaml", pod)]);
    let managed = resolved.components[0].managed_elsewhere.as_deref();
    assert_eq!(managed, Some("Flux image automation writes it (policy `flux-system:web`)"));
}

#[test]
fn nothing_encrypted_is_a_pin_or_a_problem() {
    let sealed = "ENC[AES256_GCM,data:abcd,iv:ef==,tag:gh==,type:str]";
    let root = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: flux-system}}\nspec:\n  path: ./apps\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n  postBuild: {{substitute: {{K3S: '{sealed}'}}}}\n"
    );
    let plan = "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {name: a}\nspec: {version: \"${K3S}\", upgrade: {image: rancher/k3s-upgrade}}\n";
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{image: '{sealed}'}}]}}\nsops: {{version: 3.9.1}}\n"
    );
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{image: '{sealed}', tag: 1.2.3}}\n"
    );
    finds(
        &[
            ("apps/plan.yaml", plan),
            ("apps/pod.yaml", &pod),
            ("apps/secret.yaml", &secret),
            ("ks/root.yaml", &root),
        ],
        &[],
    );
}

#[test]
fn files_that_are_no_manifests_are_passed_over_in_silence() {
    finds(
        &[
            ("package.json", "{\"version\": \"1.2.3\", \"image\": \"a:1\", }"),
            ("renovate.json", "{ // a comment\n}"),
            ("deploy.yaml.j2", "{% if x %}\nimage: nginx:1.27\n{% endif %}\n: :\n"),
            (
                "crd.yaml",
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {image: 'a:1'}\n",
            ),
            ("config.yaml", "image: nginx:1.27\nrepository: nginx\ntag: 1.27\n"),
        ],
        &[],
    );
}

#[test]
fn a_broken_document_hides_no_other_and_a_template_is_said_once() {
    let good = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{image: 'ghcr.io/example/web:1.2.3'}]}\n";
    let text = format!("{{{{- if .a }}}}\n---\n{{{{- end }}}}\n---\n{good}---\n{{{{ b }}}}: [\n");
    let resolved = resolved(&[("a.yaml", &text)]);
    assert_eq!(resolved.components.len(), 1, "{:?}", resolved.components);
    let problems: Vec<_> =
        resolved.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].0 == Some(1) && problems[0].1.starts_with("is a template, not YAML"), "{problems:?}");
}

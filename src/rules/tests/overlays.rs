//! What bases, overlays and clusters make of one manifest.

use super::{finds, lines, resolved};

const SOURCE: (&str, &str) = (
    "clusters/source.yaml",
    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: podinfo, namespace: flux-system}\nspec: {url: https://charts.example.com}\n",
);
const URL: &str = "https://charts.example.com";

fn applies(name: &str, path: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n{more}"
    )
}

fn release(metadata: &str, version: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{{metadata}}}\nspec: {{chart: {{spec: {{chart: podinfo, version: {version}, sourceRef: {{kind: HelmRepository, name: podinfo, namespace: flux-system}}}}}}}}\n"
    )
}

fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: b}}\nspec: {{containers: [{{name: x, image: \"{image}\"}}]}}\n"
    )
}

fn plan(version: &str) -> String {
    format!(
        "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: server, namespace: system-upgrade}}\nspec: {{version: \"{version}\", upgrade: {{image: rancher/k3s-upgrade}}}}\n"
    )
}

/// Ids, versions and pins, without upstreams.
fn pins(files: &[(&str, &str)]) -> Vec<String> {
    let short = |line: String| {
        let (id, rest) = line.split_once(' ').unwrap();
        let given = rest.split(' ').next().unwrap();
        let pins: Vec<_> = rest.split("; ").skip(1).collect();
        format!("{id} {given} {}", pins.join(" "))
    };
    lines(&resolved(files).components).into_iter().map(short).collect()
}

#[test]
fn a_base_that_is_used_twice_lands_in_both_namespaces() {
    let root = applies("flux-system", "./apps", "");
    let base = release("name: podinfo", "1.0.0");
    let patch = release("name: podinfo", "3.0.0");
    let mut files = vec![
        SOURCE,
        ("clusters/home/ks.yaml", &*root),
        ("apps/kustomization.yaml", "resources: [staging, prod]\n"),
        ("apps/prod/kustomization.yaml", "namespace: prod\nresources: [../../base]\n"),
        ("apps/staging/kustomization.yaml", "namespace: staging\nresources: [../../base]\n"),
        ("base/kustomization.yaml", "resources: [hr.yaml]\n"),
        ("base/hr.yaml", &*base),
    ];
    let both = resolved(&files).components;
    assert_eq!(lines(&both), [format!("helm/prod/podinfo =1.0.0 {URL}; base/hr.yaml:4")]);
    assert_eq!(both[0].warnings, ["the same manifest is also applied in `staging`"]);
    files[4].1 = "namespace: staging\nresources: [../../base]\npatches: [{path: p.yaml}]\n";
    files.push(("apps/staging/p.yaml", &*patch));
    assert_eq!(
        pins(&files),
        [
            "helm/prod/podinfo =1.0.0 base/hr.yaml:4",
            "helm/staging/podinfo =3.0.0 apps/staging/p.yaml:4 base/hr.yaml:4 copy"
        ]
    );
}

#[test]
fn each_cluster_takes_the_variables_of_its_own() {
    let plan = plan("${K3S}");
    let root = |cluster: &str| applies("flux-system", &format!("./clusters/{cluster}"), "");
    let settings = |version: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: flux-system}}\ndata: {{K3S: {version}}}\n"
        )
    };
    let from =
        applies("plans", "./plans", "  postBuild: {substituteFrom: [{kind: ConfigMap, name: settings}]}\n");
    let (a, b) = (root("a"), root("b"));
    let (one, two) = (settings("v1.33.6+k3s1"), settings("v1.34.3+k3s1"));
    assert_eq!(
        pins(&[
            ("clusters/a/flux-system/gotk-sync.yaml", &a),
            ("clusters/a/plans.yaml", &from),
            ("clusters/a/settings.yaml", &one),
            ("clusters/b/flux-system/gotk-sync.yaml", &b),
            ("clusters/b/plans.yaml", &from),
            ("clusters/b/settings.yaml", &two),
            ("plans/plan.yaml", &plan),
        ]),
        ["a:k3s =v1.33.6+k3s1 clusters/a/settings.yaml:4", "b:k3s =v1.34.3+k3s1 clusters/b/settings.yaml:4"]
    );
}

#[test]
fn variables_of_strangers_are_no_values_and_secrets_are_warned_of() {
    let pod = pod("b", "nginx:${VERSION:=1.25.0}");
    let (a, b) = (
        applies("a", "./a", "  postBuild: {substitute: {VERSION: 1.28.0}}\n"),
        applies("b", "./b", "  postBuild: {substitute: {OTHER: x}}\n"),
    );
    let files =
        [("clusters/home/a.yaml", &*a), ("clusters/home/b.yaml", &b), ("a/x.yaml", ""), ("b/pod.yaml", &pod)];
    assert_eq!(pins(&files), ["image/docker.io/library/nginx =1.25.0 b/pod.yaml:4"]);
    let plan = plan("${K3S}");
    let from = applies(
        "b",
        "./b",
        "  postBuild: {substituteFrom: [{kind: ConfigMap, name: s}, {kind: Secret, name: z}]}\n",
    );
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: flux-system}\ndata: {K3S: v1.33.6+k3s1}\n";
    let found =
        resolved(&[("clusters/home/b.yaml", &from), ("clusters/home/cm.yaml", map), ("b/plan.yaml", &plan)]);
    assert_eq!(
        found.components[0].warnings,
        ["the Secret `z`, which is not read, may give `K3S` another value"]
    );
}

#[test]
fn a_patch_wins_over_its_object_alone_and_images_over_all_that_they_name() {
    let root = applies("flux-system", "./overlay", "");
    let (one, two, patch) =
        (pod("one", "nginx:1.25.0"), pod("two", "nginx:1.26.0"), pod("one", "nginx:1.27.0"));
    let mut files = vec![
        ("clusters/home/ks.yaml", &*root),
        ("base/kustomization.yaml", "resources: [one.yaml, two.yaml]\n"),
        ("base/one.yaml", &*one),
        ("base/two.yaml", &*two),
        ("overlay/kustomization.yaml", "resources: [../base]\npatches: [{path: p.yaml}]\n"),
        ("overlay/p.yaml", &*patch),
    ];
    let nginx = "image/docker.io/library/nginx";
    assert_eq!(
        pins(&files),
        [
            format!("{nginx} =1.26.0 base/two.yaml:4 base/one.yaml:4 copy"),
            format!("{nginx}#b/one =1.27.0 overlay/p.yaml:4")
        ]
    );
    files[4].1 = "resources: [../base]\nimages: [{name: nginx, newTag: 1.28.0}]\n";
    files.pop();
    assert_eq!(
        pins(&files),
        [format!("{nginx} =1.28.0 overlay/kustomization.yaml:2 base/one.yaml:4 copy base/two.yaml:4 copy")]
    );
}

#[test]
fn patches_of_flux_come_last_and_a_target_needs_no_namespace() {
    let patches = "  patches:\n  - target: {kind: HelmRelease, name: podinfo}\n    patch: |\n      apiVersion: helm.toolkit.fluxcd.io/v2\n      kind: HelmRelease\n      metadata: {name: podinfo}\n      spec: {chart: {spec: {version: 2.0.0}}}\n";
    let base = release("name: podinfo, namespace: apps", "1.0.0");
    let patch = release("name: ignored", "3.0.0");
    for (more, expected) in [
        ("", "helm/apps/podinfo =3.0.0 overlay/p.yaml:4 base/hr.yaml:4 copy"),
        (patches, "helm/apps/podinfo =2.0.0 flux/ks.yaml:13 base/hr.yaml:4 copy overlay/p.yaml:4 copy"),
    ] {
        let root = applies("apps", "./overlay", more);
        let files = [
            SOURCE,
            ("flux/ks.yaml", &*root),
            ("base/kustomization.yaml", "resources: [hr.yaml]\n"),
            ("base/hr.yaml", &*base),
            (
                "overlay/kustomization.yaml",
                "resources: [../base]\npatches: [{path: p.yaml, target: {kind: HelmRelease, name: podinfo}}]\n",
            ),
            ("overlay/p.yaml", &*patch),
        ];
        assert_eq!(pins(&files), [expected]);
    }
}

#[test]
fn a_release_never_takes_the_source_of_a_stranger() {
    let (one, two) = (release("name: podinfo", "1.0.0"), release("name: podinfo", "2.0.0"));
    let two = two.replace("name: podinfo, namespace: flux-system", "name: private, namespace: flux-system");
    finds(
        &[SOURCE, ("a/hr.yaml", &one), ("b/hr.yaml", &two)],
        &[
            &*format!("helm/-/podinfo =1.0.0 {URL}; a/hr.yaml:4"),
            "helm/-/podinfo#-/podinfo =2.0.0 (the HelmRepository `private` is not in the repository); b/hr.yaml:4",
        ],
    );
}

#[test]
fn marks_and_digests_keep_images_of_one_version_apart() {
    let digest = |letter: &str| format!("nginx:1.25.0@sha256:{}", letter.repeat(64));
    let (a, b) = (pod("a", &digest("a")), pod("b", &digest("b")));
    let marked =
        pod("c", "nginx:1.25.0").replace("}]}\n", "}]} # {\"$imagepolicy\": \"flux-system:nginx\"}\n");
    let plain = pod("d", "nginx:1.25.0");
    let found =
        resolved(&[("a.yaml", &a), ("b.yaml", &b), ("c.yaml", &marked), ("d.yaml", &plain)]).components;
    let parts: Vec<_> = found
        .iter()
        .map(|found| {
            (
                found.pins[0].file.as_str(),
                found.pins.len(),
                found.digest.is_some(),
                found.managed_elsewhere.is_some(),
            )
        })
        .collect();
    assert_eq!(
        parts,
        [
            ("a.yaml", 1, true, false),
            ("b.yaml", 1, true, false),
            ("c.yaml", 1, false, true),
            ("d.yaml", 1, false, false)
        ]
    );
}

#[test]
fn of_the_fields_of_a_source_flux_follows_one() {
    let source = |kind: &str, url: &str, reference: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata: {{name: r, namespace: x}}\nspec:\n  url: {url}\n  ref:\n{reference}"
        )
    };
    let oci = source("OCIRepository", "oci://ghcr.io/o/r", "    tag: 6.0.0\n    semver: 6.x\n");
    assert_eq!(pins(&[("a.yaml", &oci)]), ["oci/x/r in a.yaml:8 a.yaml:7 copy"]);
    let commit = "    tag: v1.4.0\n    commit: 363a6a8fe6a7f13e05d34c163b0ef02a777da20a\n";
    let git = source("GitRepository", "https://github.com/o/r", commit);
    let found = resolved(&[("a.yaml", &git)]).components;
    assert_eq!((found.len(), found[0].pins[0].line, found[0].pins[1].applied), (1, 8, false));
    assert!(found[0].upstream.as_ref().is_err_and(|reason| reason.contains("commit")));
}

#[test]
fn clusters_with_overlays_of_their_own_are_apart_and_what_they_share_is_no_cluster() {
    let root = |cluster: &str| applies("flux-system", &format!("./clusters/{cluster}"), "");
    let (a, b) = (root("a"), root("b"));
    let common = applies("common", "./common", "");
    let (base, patch) = (
        release("name: podinfo, namespace: apps", "1.0.0"),
        release("name: podinfo, namespace: apps", "2.0.0"),
    );
    let found = resolved(&[
        SOURCE,
        ("clusters/a/flux-system/gotk-sync.yaml", &a),
        (
            "clusters/a/kustomization.yaml",
            "resources: [flux-system/gotk-sync.yaml, ../common]\npatches: [{path: p.yaml}]\n",
        ),
        ("clusters/a/p.yaml", &patch),
        ("clusters/b/flux-system/gotk-sync.yaml", &b),
        ("clusters/b/kustomization.yaml", "resources: [flux-system/gotk-sync.yaml, ../common]\n"),
        ("clusters/common/kustomization.yaml", "resources: [hr.yaml, ks.yaml]\n"),
        ("clusters/common/ks.yaml", &common),
        ("clusters/common/hr.yaml", &base),
    ]);
    assert!(found.clusters.iter().eq(["a", "b"]), "{:?}", found.clusters);
    assert_eq!(
        lines(&found.components),
        [
            format!("a:helm/apps/podinfo =2.0.0 {URL}; clusters/a/p.yaml:4"),
            format!("b:helm/apps/podinfo =1.0.0 {URL}; clusters/common/hr.yaml:4"),
        ]
    );
}

#[test]
fn a_source_from_elsewhere_applies_nothing_of_this_repository() {
    let root = applies("flux-system", "./clusters/home", "");
    let foreign = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: other, namespace: flux-system}\nspec: {url: https://github.com/example/other, ref: {tag: v1.4.0}}\n";
    let deploy = applies("deploy", "./deploy", "")
        .replace("GitRepository, name: flux-system", "GitRepository, name: other");
    let pod = pod("b", "nginx:1.25.0");
    assert_eq!(
        pins(&[
            ("clusters/home/ks.yaml", &root),
            ("clusters/home/other.yaml", foreign),
            ("clusters/home/deploy.yaml", &deploy),
            ("deploy/pod.yaml", &pod),
        ]),
        [
            "git/github.com/example/other =v1.4.0 clusters/home/other.yaml:4",
            "image/docker.io/library/nginx =1.25.0 deploy/pod.yaml:4 copy"
        ]
    );
}

/// Without a Flux Kustomization nothing was built: a patch and a namespace were those of nothing.
#[test]
fn overlays_are_built_where_nothing_of_flux_is() {
    let base = release("name: podinfo", "1.0.0");
    let patch = release("name: podinfo", "2.0.0");
    let pod = pod("alone", "nginx:1.25.0");
    let files = [
        SOURCE,
        ("alone/pod.yaml", &*pod),
        ("base/hr.yaml", &base),
        ("base/kustomization.yaml", "resources: [hr.yaml]\n"),
        ("production/kustomization.yaml", "namespace: production\nresources: [../base]\n"),
        (
            "staging/kustomization.yaml",
            "namespace: staging\nresources: [../base]\npatches: [{path: p.yaml}]\n",
        ),
        ("staging/p.yaml", &patch),
    ];
    assert_eq!(
        pins(&files),
        [
            "helm/production/podinfo =1.0.0 base/hr.yaml:4",
            "helm/staging/podinfo =2.0.0 staging/p.yaml:4 base/hr.yaml:4 copy",
            "image/docker.io/library/nginx =1.25.0 alone/pod.yaml:4",
        ]
    );
}

#[test]
fn images_of_flux_win_over_what_they_name_and_those_of_a_post_renderer_over_their_release() {
    let images = "  images: [{name: nginx, newTag: 1.28.0}]\n";
    let (root, pod) = (applies("flux-system", "./apps", images), pod("one", "nginx:1.25.0"));
    let nginx = "image/docker.io/library/nginx";
    assert_eq!(
        pins(&[("apps/pod.yaml", &pod), ("clusters/home/ks.yaml", &root)]),
        [format!("{nginx} =1.28.0 clusters/home/ks.yaml:7 apps/pod.yaml:4 copy")]
    );
    let release = |name: &str, more: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: b}}\nspec:\n  values: {{image: 'nginx:1.25.0'}}\n{more}"
        )
    };
    let own = release("a", "  postRenderers: [{kustomize: {images: [{name: nginx, newTag: 1.28.0}]}}]\n");
    let other = release("b", "");
    assert_eq!(
        pins(&[("a.yaml", &own), ("b.yaml", &other)]),
        [
            format!("{nginx} =1.28.0 a.yaml:6"),
            // A copy stands with what has its text.
            format!("{nginx}#b/a =1.25.0 b.yaml:5 a.yaml:5 copy"),
        ]
    );
}

#[test]
fn a_patch_reaches_only_the_objects_that_its_selectors_select() {
    let root = applies("flux-system", "./apps", "");
    let front = release("name: front, namespace: b, labels: {tier: front}", "1.0.0");
    let back = release("name: back, namespace: b, annotations: {tier: back}", "1.0.0");
    for (selector, more, patched) in [
        ("labelSelector: tier=front", "", &["front"][..]),
        ("labelSelector: '!tier'", "", &["back"]),
        ("annotationSelector: 'tier in (back, other)'", "", &["back"]),
        ("labelSelector: tier=none", "", &[]),
        // Kustomize gives the label while it builds.
        ("labelSelector: tier=none", "commonLabels: {tier: none}\n", &["back", "front"]),
        ("labelSelector: tier=none", "labels: [{pairs: {tier: none}}]\n", &["back", "front"]),
    ] {
        let kustomize = format!(
            "resources: [front.yaml, back.yaml]\n{more}patches:\n  - target: {{kind: HelmRelease, {selector}}}\n    patch: |-\n      - {{op: replace, path: /spec/chart/spec/version, value: 2.0.0}}\n"
        );
        let found = pins(&[
            SOURCE,
            ("clusters/home/ks.yaml", &*root),
            ("apps/kustomization.yaml", &*kustomize),
            ("apps/front.yaml", &*front),
            ("apps/back.yaml", &*back),
        ]);
        let moved: Vec<&str> = found
            .iter()
            .filter(|line| line.contains(" =2.0.0 "))
            .map(|line| line.trim_start_matches("helm/b/").split(' ').next().unwrap())
            .collect();
        assert_eq!((found.len(), moved.as_slice()), (2, patched), "{selector} {more}: {found:?}");
    }
}

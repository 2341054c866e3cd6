//! Images, Git sources and remote resources.

use super::{finds, lines, resolved};
use crate::domain::component::Pin;

const HUB: &str = "oci://docker.io";

#[test]
fn images_of_workloads_and_values_are_found_at_any_key() {
    let workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: apps}\nspec:\n  template:\n    spec:\n      initContainers: [{name: i, image: 'busybox:1.37'}]\n      containers:\n      - {name: a, image: \"ghcr.io/example/web:1.2.3@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n      - {name: b, image: nginx}\n";
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: app, namespace: apps}\nspec:\n  values:\n    deep: {er: {image: {repository: ghcr.io/example/deep, tag: 1.30}}}\n    side: {image: {registry: quay.io, repository: example/side, tag: 2024}}\n    plain: {image: 'registry.example.com:5000/plain:v1'}\n";
    finds(
        &[("release.yaml", release), ("web.yaml", workload)],
        &[
            &*format!("image/docker.io/library/busybox =1.37 {HUB}/library/busybox; web.yaml:7"),
            &*format!("image/docker.io/library/nginx ? {HUB}/library/nginx"),
            "image/ghcr.io/example/deep =1.30 oci://ghcr.io/example/deep; release.yaml:6",
            "image/ghcr.io/example/web =1.2.3 oci://ghcr.io/example/web; web.yaml:9",
            "image/quay.io/example/side =2024 oci://quay.io/example/side; release.yaml:7",
            "image/registry.example.com:5000/plain =v1 oci://registry.example.com:5000/plain; release.yaml:8",
        ],
    );
}

#[test]
fn values_count_where_something_makes_values_of_them() {
    let values = "image: {repository: ghcr.io/example/web, tag: 1.2.3}\nsidecar: {image: 'ghcr.io/example/side:4.5.6'}\n";
    let side = |file: &str| format!("image/ghcr.io/example/side =4.5.6 oci://ghcr.io/example/side; {file}");
    let web = |file: &str| format!("image/ghcr.io/example/web =1.2.3 oci://ghcr.io/example/web; {file}");
    finds(&[("values.yaml", values)], &[]);
    for kustomize in [
        "configMapGenerator: [{name: values, files: [values.yaml=web.yaml]}]\n",
        "helmCharts: [{name: web, repo: https://charts.example.com, version: 1.0.0, valuesFile: web.yaml}]\n",
    ] {
        let root = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system}\nspec: {path: ./, sourceRef: {kind: GitRepository, name: flux-system}}\n";
        let resolved =
            resolved(&[("kustomization.yaml", kustomize), ("ks/root.yaml", root), ("web.yaml", values)]);
        let found: Vec<_> =
            lines(&resolved.components).into_iter().filter(|line| line.starts_with("image/")).collect();
        assert_eq!(found, [side("web.yaml:2"), web("web.yaml:1")], "{kustomize}");
    }
    let chart = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
    finds(
        &[("charts/web/Chart.yaml", chart), ("charts/web/values.yaml", values)],
        &[&*side("charts/web/values.yaml:2"), &*web("charts/web/values.yaml:1")],
    );
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web-values, namespace: apps}}\ndata:\n  values.yaml: |\n    {}  notes.txt: |\n    image: ghcr.io/example/no:1.0.0\n",
        values.trim_end().replace('\n', "\n    ") + "\n"
    );
    finds(&[("map.yaml", &map)], &[&*side("map.yaml:7"), &*web("map.yaml:6")]);
}

#[test]
fn kustomize_and_flux_replace_images() {
    let images = "[{name: web, newName: ghcr.io/example/web, newTag: 1.2.3}, {name: ghcr.io/example/api, newTag: '4.5'}, {name: ghcr.io/example/db, newName: ghcr.io/example/other}, {name: ghcr.io/example/cache, digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}, {name: d, newName: ghcr.io/example/d, newTag: 1.0.0, digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}]";
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let kustomize = format!("resources: [a.yaml]\nimages: {images}\n");
    let flux = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: apps}}\nspec: {{path: ./apps, images: {images}}}\n"
    );
    let rendered = format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: a, namespace: b}}\nspec: {{postRenderers: [{{kustomize: {{images: {images}}}}}]}}\n"
    );
    for (path, text, line) in
        [("kustomization.yaml", &kustomize, 2), ("ks.yaml", &flux, 4), ("release.yaml", &rendered, 4)]
    {
        finds(
            &[(path, text)],
            &[
                &*format!("image/ghcr.io/example/api =4.5 oci://ghcr.io/example/api; {path}:{line}"),
                &*format!(
                    "image/ghcr.io/example/cache ={digest} (pinned by digest alone; nothing says which version that is); {path}:{line}"
                ),
                &*format!("image/ghcr.io/example/d =1.0.0 oci://ghcr.io/example/d; {path}:{line}"),
                "image/ghcr.io/example/other ? oci://ghcr.io/example/other",
                &*format!("image/ghcr.io/example/web =1.2.3 oci://ghcr.io/example/web; {path}:{line}"),
            ],
        );
    }
}

#[test]
fn one_image_at_two_versions_is_two_components_with_ids_of_their_own() {
    let pod = |tag: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{image: \"ghcr.io/example/web:{tag}\"}}]}}\n"
        )
    };
    let (one, two) = (pod("1.0.0"), pod("2.0.0"));
    let upstream = "oci://ghcr.io/example/web";
    finds(
        &[("a/one.yaml", &one), ("b/also.yaml", &one), ("b/two.yaml", &two), ("c/three.yaml", &pod("3.0.0"))],
        &[
            &*format!("image/ghcr.io/example/web =1.0.0 {upstream}; a/one.yaml:4; b/also.yaml:4"),
            &*format!("image/ghcr.io/example/web#-/a =2.0.0 {upstream}; b/two.yaml:4"),
            &*format!("image/ghcr.io/example/web#c/three.yaml =3.0.0 {upstream}; c/three.yaml:4"),
        ],
    );
    finds(
        &[("a/one.yaml", &one), ("a/two.yaml", &two), ("a/three.yaml", &pod("3.0.0"))],
        &[
            &*format!("image/ghcr.io/example/web =1.0.0 {upstream}; a/one.yaml:4"),
            &*format!("image/ghcr.io/example/web#-/a =3.0.0 {upstream}; a/three.yaml:4"),
            &*format!("image/ghcr.io/example/web#a/two.yaml =2.0.0 {upstream}; a/two.yaml:4"),
        ],
    );
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: a}}\nspec: {{containers: [{{name: x, image: {image}}}]}}\n"
    )
}

/// Such tags were once no tags at all, and their images nowhere in the report.
#[test]
fn a_tag_with_a_variable_in_it_is_said_and_the_whole_of_one_leads_to_its_home() {
    let root = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system}\nspec: {path: ./, sourceRef: {kind: GitRepository, name: flux-system}, postBuild: {substitute: {TAG: 1.0.0}}}\n";
    let put_together = |tag: &str| {
        format!(
            "image/ghcr.io/example/web ? (`{tag}` is put together from variables; give the whole version one variable); FILE:4"
        )
    };
    let home = "image/ghcr.io/example/web =1.0.0 oci://ghcr.io/example/web; ks.yaml:4".to_owned();
    for (tag, expected) in [
        ("${TAG}", home),
        ("v${TAG}", put_together("v${TAG}")),
        ("${TAG}-alpine", put_together("${TAG}-alpine")),
    ] {
        let plain = pod(&format!("\"ghcr.io/example/web:{tag}\""));
        finds(&[("ks.yaml", root), ("pod.yaml", &plain)], &[&*expected.replace("FILE", "pod.yaml")]);
        let release = format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: a, namespace: b}}\nspec: {{values: {{image: {{repository: ghcr.io/example/web, tag: \"{tag}\"}}}}}}\n"
        );
        let expected = expected.replace("FILE", "release.yaml");
        finds(&[("ks.yaml", root), ("release.yaml", &release)], &[&*expected]);
    }
}

#[test]
fn an_image_over_several_lines_is_a_problem_said_once() {
    for image in [">-\n      nginx:1.25.0", "\"nginx:1.25\\u002e0\""] {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n  - image: {image}\n    command: [\"x\"]\n"
        );
        let resolved = resolved(&[("pod.yaml", &pod)]);
        assert_eq!(lines(&resolved.components), Vec::<String>::new());
        let problems: Vec<_> =
            resolved.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].1.starts_with("version at `/spec/containers/0/image` is written"),
            "{problems:?}"
        );
    }
}

#[test]
fn operations_of_patches_write_images_and_tags() {
    let root = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system}\nspec: {path: ./overlay, sourceRef: {kind: GitRepository, name: flux-system}, postBuild: {substitute: {WEB: 1.5.0}}}\n";
    let base = pod("ghcr.io/example/web:1.2.3");
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: a}\nspec: {values: {image: {repository: ghcr.io/example/web, tag: 1.2.3}}}\n";
    let id = "image/ghcr.io/example/web";
    let upstream = "oci://ghcr.io/example/web";
    let place = "overlay/kustomization.yaml:5";
    for (base, target, operation, expected) in [
        (
            &*base,
            "Pod",
            "{op: replace, path: /spec/containers/0/image, value: 'ghcr.io/example/web:1.3.0'}",
            format!("{id} =1.3.0 {upstream}; {place}; base/a.yaml:4 copy"),
        ),
        (
            &*base,
            "Pod",
            "{op: replace, path: /spec/containers, value: [{name: x, image: 'ghcr.io/example/web:1.3.0'}]}",
            format!("{id} =1.3.0 {upstream}; {place}; base/a.yaml:4 copy"),
        ),
        (
            &*base,
            "Pod",
            "{op: replace, path: /spec/containers/0/image, value: 'ghcr.io/example/web:${WEB}'}",
            format!("{id} =1.5.0 {upstream}; clusters/home/ks.yaml:4; base/a.yaml:4 copy"),
        ),
        (
            release,
            "HelmRelease",
            "{op: replace, path: /spec/values/image/tag, value: '1.3.0'}",
            format!("{id} =1.3.0 {upstream}; {place}; base/a.yaml:4 copy"),
        ),
    ] {
        let kustomize = format!(
            "resources: [../base/a.yaml]\npatches:\n- target: {{kind: {target}, name: a}}\n  patch: |\n    - {operation}\n"
        );
        finds(
            &[
                ("base/a.yaml", base),
                ("clusters/home/ks.yaml", root),
                ("overlay/kustomization.yaml", &kustomize),
            ],
            &[&*expected],
        );
    }
}

#[test]
fn git_sources_by_tag_range_commit_and_name() {
    let source = |reference: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: crds, namespace: flux-system}}\nspec:\n  url: https://github.com/example/crds\n  ref: {reference}\n"
        )
    };
    let commit = "363a6a8fe6a7f13e05d34c163b0ef02a777da20a";
    let id = "git/github.com/example/crds";
    for (reference, expected) in [
        ("{tag: v1.2.3}", Some(format!("{id} =v1.2.3 https://github.com/example/crds; a.yaml:6"))),
        ("{semver: '>=1.2 <2'}", Some(format!("{id} in >=1.2 <2 https://github.com/example/crds; a.yaml:6"))),
        ("{name: refs/tags/v1.2.3}", Some(format!("{id} =v1.2.3 https://github.com/example/crds; a.yaml:6"))),
        (
            &format!("{{branch: main, commit: {commit}}}"),
            Some(format!(
                "{id} ={commit} (pinned to a commit, which cannot be compared with tags); a.yaml:6"
            )),
        ),
        ("{branch: main}", None),
        ("{name: refs/heads/main}", None),
    ] {
        finds(&[("a.yaml", &source(reference))], &expected.as_deref().into_iter().collect::<Vec<_>>());
    }
    let root = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system}\nspec: {path: ./overlay, sourceRef: {kind: GitRepository, name: flux-system}}\n";
    for (patches, line) in [
        (
            "patches: [{patch: '[{\"op\": \"replace\", \"path\": \"/spec/ref/tag\", \"value\": \"v1.3.0\"}]', target: {kind: GitRepository, name: crds}}]\n",
            2,
        ),
        (
            "patches:\n- patch: |\n    apiVersion: source.toolkit.fluxcd.io/v1\n    kind: GitRepository\n    metadata: {name: crds, namespace: flux-system}\n    spec: {ref: {tag: v1.3.0}}\n",
            7,
        ),
    ] {
        let kustomize = format!("resources: [../base/a.yaml]\n{patches}");
        finds(
            &[
                ("base/a.yaml", &source("{tag: v1.2.3}")),
                ("clusters/home/ks.yaml", root),
                ("overlay/kustomization.yaml", &kustomize),
            ],
            &[&*format!(
                "{id} =v1.3.0 https://github.com/example/crds; overlay/kustomization.yaml:{line}; base/a.yaml:6 copy"
            )],
        );
    }
}

#[test]
fn remote_resources_of_one_repository_move_together() {
    finds(
        &[(
            "kustomization.yaml",
            "resources:
- https://github.com/example/a/releases/download/v1.2.3/crds.yaml
- https://github.com/example/a/releases/download/v1.2.3/operator.yaml
- https://raw.githubusercontent.com/example/b/v0.4.0/all.yaml
- github.com/example/c//deploy?ref=v2.0.1
- https://github.com/example/d//deploy?ref=main
- https://git.example.com/group/e//deploy?ref=v3.0.0
",
        )],
        &[
            "git/git.example.com/group/e =v3.0.0 https://git.example.com/group/e; kustomization.yaml:7",
            "release/example/a =v1.2.3 https://github.com/example/a; kustomization.yaml:2; kustomization.yaml:3",
            "release/example/b =v0.4.0 https://github.com/example/b; kustomization.yaml:4",
            "release/example/c =v2.0.1 https://github.com/example/c; kustomization.yaml:5",
        ],
    );
}

/// The version and its digest as `text line route`, with the place of the digest where it is known.
fn with_digests(files: &[(&str, &str)]) -> Vec<String> {
    let place = |pin: &Pin| {
        let digest = pin.digest.as_ref();
        let digest = digest.map(|digest| format!(" {} {} {}", &digest.text[..9], digest.line, digest.route));
        format!("{} {} {} /{}", pin.text, pin.line, pin.route, digest.unwrap_or_default())
    };
    let components = resolved(files).components;
    let digests: Vec<_> = components.iter().map(|component| component.digest.is_some()).collect();
    assert!(digests.iter().all(|known| *known), "{components:?}");
    components.iter().flat_map(|component| &component.pins).map(place).collect()
}

/// Edits move tag and digest together, so that both places must be known.
#[test]
fn a_digest_has_its_own_place_beside_the_tag() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let release = |values: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: a, namespace: b}}\nspec:\n  values:\n{values}"
        )
    };
    let flux = |kind: &str, spec: &str| {
        let group = if kind == "Kustomization" { "kustomize" } else { "source" };
        format!(
            "apiVersion: {group}.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata: {{name: a, namespace: b}}\nspec:\n{spec}"
        )
    };
    for (name, text, expected) in [
        (
            "pod.yaml",
            pod(&format!("\"web:1.2@{digest}\"")),
            "1.2 4 /spec/containers/0/image / sha256:ab 4 /spec/containers/0/image",
        ),
        (
            "hr.yaml",
            release(&format!("    image:\n      repository: web\n      tag: 1.20\n      digest: {digest}\n")),
            "1.20 8 /spec/values/image/tag / sha256:ab 9 /spec/values/image/digest",
        ),
        (
            "hr.yaml",
            release(&format!("    image: {{digest: '{digest}', repository: web, tag: v1}}\n")),
            "v1 6 /spec/values/image/tag / sha256:ab 6 /spec/values/image/digest",
        ),
        (
            "hr.yaml",
            release(&format!("    image: {{repository: web, tag: \"1.2@{digest}\"}}\n")),
            "1.2 6 /spec/values/image/tag / sha256:ab 6 /spec/values/image/tag",
        ),
        (
            "oci.yaml",
            flux(
                "OCIRepository",
                &format!("  url: oci://ghcr.io/o/r\n  ref:\n    tag: 6.7.1\n    digest: {digest}\n"),
            ),
            "6.7.1 7 /spec/ref/tag / sha256:ab 8 /spec/ref/digest",
        ),
        (
            "kustomization.yaml",
            format!("images:\n- name: web\n  newTag: \"1.2\"\n  digest: {digest}\n"),
            "1.2 3 /images/0/newTag / sha256:ab 4 /images/0/digest",
        ),
        (
            "ks.yaml",
            flux(
                "Kustomization",
                &format!("  path: ./apps\n  images:\n  - {{name: web, newTag: '1.2', digest: {digest}}}\n"),
            ),
            "1.2 7 /spec/images/0/newTag / sha256:ab 7 /spec/images/0/digest",
        ),
    ] {
        assert_eq!(with_digests(&[(name, &text)]), [expected], "{text}");
    }
}

#[test]
fn a_digest_behind_a_variable_has_a_place_where_the_version_has_its_own() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let root = |substitute: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: flux-system}}\nspec:\n  path: ./\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n  postBuild:\n    substitute:\n{substitute}"
        )
    };
    let both = root(&format!("      TAG: '1.2'\n      DIGEST: {digest}\n"));
    let whole = root(&format!("      TAG: 1.2@{digest}\n"));
    let place = "/spec/postBuild/substitute";
    for (image, root, expected) in [
        (
            "{repository: web, tag: '${TAG}', digest: '${DIGEST}'}",
            &both,
            format!("1.2 9 {place}/TAG / sha256:ab 10 {place}/DIGEST"),
        ),
        ("{repository: web, tag: '${TAG}'}", &whole, format!("1.2 9 {place}/TAG / sha256:ab 9 {place}/TAG")),
        // The digest stays where it is, and the component says that there is one.
        (
            &*format!("{{repository: web, tag: '${{TAG}}', digest: '{digest}'}}"),
            &both,
            format!("1.2 9 {place}/TAG /"),
        ),
    ] {
        let release = format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: a, namespace: b}}\nspec: {{values: {{image: {image}}}}}\n"
        );
        assert_eq!(with_digests(&[("hr.yaml", &release), ("ks.yaml", root)]), [expected], "{image}");
    }
}

#[test]
fn a_patch_that_writes_tag_and_digest_knows_both_places() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let root = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system}\nspec: {path: ./overlay, sourceRef: {kind: GitRepository, name: flux-system}}\n";
    let base = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: a}\nspec: {values: {image: {repository: web, tag: '1.1'}}}\n";
    let kustomize = format!(
        "resources: [../base/a.yaml]\npatches:\n- target: {{kind: HelmRelease, name: a}}\n  patch: |\n    - {{op: replace, path: /spec/values/image/tag, value: '1.2'}}\n    - {{op: add, path: /spec/values/image/digest, value: {digest}}}\n"
    );
    let found = with_digests(&[
        ("base/a.yaml", base),
        ("clusters/home/ks.yaml", root),
        ("overlay/kustomization.yaml", &kustomize),
    ]);
    assert_eq!(
        found,
        ["1.2 5 /patches/0/patch / sha256:ab 6 /patches/0/patch", "1.1 4 /spec/values/image/tag /"]
    );
}

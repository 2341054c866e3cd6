//! Variables: who gives them a value, and what is said where nobody does.

use super::{finds, lines, resolved};

fn applies(name: &str, path: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec:\n  path: {path}\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n{more}"
    )
}

fn plan(version: &str) -> String {
    format!(
        "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: server, namespace: system-upgrade}}\nspec: {{version: \"{version}\", upgrade: {{image: rancher/k3s-upgrade}}}}\n"
    )
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: a}}\nspec: {{containers: [{{name: x, image: \"{image}\"}}]}}\n"
    )
}

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: flux-system}\ndata: {K3S: v1.33.6+k3s1}\n";
/// Names the same variable, and nobody takes it from here.
const OTHER: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: flux-system}\ndata: {K3S: v1.20.0+k3s1}\n";

/// The patch that many repositories have on top, so that every Kustomization gets the same variables.
#[test]
fn a_patch_above_gives_variables_to_the_kustomizations_below() {
    let strategic = "      apiVersion: kustomize.toolkit.fluxcd.io/v1\n      kind: Kustomization\n      metadata: {name: ignored}\n      spec: {postBuild: {substituteFrom: [{kind: ConfigMap, name: settings}]}}\n";
    let operation = "      - op: add\n        path: /spec/postBuild\n        value: {substituteFrom: [{kind: ConfigMap, name: settings}]}\n";
    let value = "      - {op: add, path: /spec/postBuild/substitute/K3S, value: v1.33.6+k3s1}\n";
    let target = "target: {group: kustomize.toolkit.fluxcd.io, kind: Kustomization, labelSelector: '!plain'}";
    let from_map =
        "k3s =v1.33.6+k3s1 https://update.k3s.io/v1-release/channels; clusters/home/settings.yaml:4";
    let here = |file: &str, line: usize| {
        format!("k3s =v1.33.6+k3s1 https://update.k3s.io/v1-release/channels; {file}:{line}")
    };
    let (plan, plans) = (plan("${K3S}"), applies("plans", "./plans", ""));
    for (patch, expected) in [
        (strategic, from_map.to_owned()),
        (operation, from_map.to_owned()),
        (value, here("clusters/home/root.yaml", 10)),
    ] {
        // In the Flux Kustomization above.
        let above = format!("  patches:\n  - {target}\n    patch: |\n{patch}");
        let root = applies("root", "./clusters/home", &above);
        finds(
            &[
                ("clusters/home/other.yaml", OTHER),
                ("clusters/home/plans.yaml", &plans),
                ("clusters/home/root.yaml", &root),
                ("clusters/home/settings.yaml", SETTINGS),
                ("plans/plan.yaml", &plan),
            ],
            &[&*expected],
        );
        // In the `kustomization.yaml` that gathers the Kustomizations.
        let root = applies("root", "./clusters/home", "");
        let kustomize = format!(
            "resources: [other.yaml, plans.yaml, root.yaml, settings.yaml]\npatches:\n- {target}\n  patch: |\n{patch}"
        );
        let expected = expected.replace("root.yaml:10", "kustomization.yaml:5");
        let files = |kustomize: &str, file: Option<&str>| {
            let mut files = vec![
                ("clusters/home/kustomization.yaml", kustomize.to_owned()),
                ("clusters/home/other.yaml", OTHER.to_owned()),
                ("clusters/home/plans.yaml", plans.clone()),
                ("clusters/home/root.yaml", root.clone()),
                ("clusters/home/settings.yaml", SETTINGS.to_owned()),
                ("plans/plan.yaml", plan.clone()),
            ];
            files.extend(file.map(|text| ("clusters/home/patch.yaml", text.to_owned())));
            files
        };
        let inline = files(&kustomize, None);
        let inline: Vec<_> = inline.iter().map(|(path, text)| (*path, text.as_str())).collect();
        finds(&inline, &[&*expected]);
        // In a file that it names.
        let kustomize = format!(
            "resources: [other.yaml, plans.yaml, root.yaml, settings.yaml]\npatches:\n- {{path: patch.yaml, {target}}}\n"
        );
        let text: String = patch.lines().map(|line| format!("{}\n", &line[6..])).collect();
        let named = files(&kustomize, Some(&text));
        let named: Vec<_> = named.iter().map(|(path, text)| (*path, text.as_str())).collect();
        finds(&named, &[&*expected.replace("kustomization.yaml:5", "patch.yaml:1")]);
    }
}

#[test]
fn a_patch_of_variables_wins_over_the_kustomization_that_it_names_and_reaches_no_other() {
    let patches = |target: &str| {
        format!(
            "  patches:\n  - target: {{kind: Kustomization{target}}}\n    patch: |\n      - {{op: add, path: /spec/postBuild/substitute/K3S, value: v1.33.6+k3s1}}\n"
        )
    };
    let plan = plan("${K3S}");
    let own = applies("plans", "./plans", "  postBuild: {substitute: {K3S: v1.30.0+k3s1}}\n");
    for (target, version) in [
        ("", "v1.33.6+k3s1"),
        (", name: plans", "v1.33.6+k3s1"),
        (", name: other", "v1.30.0+k3s1"),
        (", namespace: elsewhere", "v1.30.0+k3s1"),
    ] {
        let root = applies("root", "./clusters/home", &patches(target));
        let found = lines(
            &resolved(&[
                ("clusters/home/plans.yaml", &own),
                ("clusters/home/root.yaml", &root),
                ("plans/plan.yaml", &plan),
            ])
            .components,
        );
        assert!(found[0].starts_with(&format!("k3s ={version} ")), "{target}: {found:?}");
    }
}

/// Such images were once no images at all, and nowhere in the report.
#[test]
fn an_image_whose_name_is_a_variable_leads_to_its_home() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let root = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: flux-system}}\nspec:\n  path: ./\n  sourceRef: {{kind: GitRepository, name: flux-system}}\n  postBuild:\n    substitute:\n      IMAGE: ghcr.io/example/web:1.2.3\n      PINNED: ghcr.io/example/web:1.2.3@{digest}\n      REGISTRY: ghcr.io\n      TAG: 1.2.3\n      ICON: https://example.com/a.png\n"
    );
    let at = |place: &str| format!("image/ghcr.io/example/web =1.2.3 oci://ghcr.io/example/web; {place}");
    for (image, expected) in [
        ("${IMAGE}", Some(at("ks.yaml:9"))),
        ("${PINNED}", Some(at("ks.yaml:10"))),
        ("${REGISTRY}/example/web:1.2.3", Some(at("pod.yaml:4"))),
        ("${REGISTRY}/example/web:${TAG}", Some(at("ks.yaml:12"))),
        ("${NONE:=ghcr.io/example/web:1.2.3}", Some(at("pod.yaml:4"))),
        ("${ICON}", None),
    ] {
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        finds(&[("ks.yaml", &root), ("pod.yaml", &pod(image))], &expected);
    }
    let found = resolved(&[("ks.yaml", &root), ("pod.yaml", &pod("${PINNED}"))]).components;
    let place = found[0].pins[0].digest.as_ref().map(|place| (place.text.as_str(), place.line));
    assert_eq!(place, Some((digest.as_str(), 10)));
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: b}\nspec: {values: {image: {repository: \"${REGISTRY}/example/web\", tag: 1.2.3}}}\n";
    finds(&[("hr.yaml", release), ("ks.yaml", &root)], &[&*at("hr.yaml:4")]);
}

#[test]
fn an_image_without_a_name_is_a_problem_with_its_place() {
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: b}\nspec: {values: {image: {repository: \"${NONE}/web\", tag: 1.2.3}}}\n";
    for (path, text, version) in [
        ("a.yaml", pod("${NONE}"), "${NONE}"),
        ("a.yaml", pod("${NONE}/web:1.2.3"), "${NONE}/web:1.2.3"),
        ("a.yaml", release.to_owned(), "1.2.3"),
    ] {
        let found = resolved(&[(path, &text)]);
        assert_eq!(lines(&found.components), Vec::<String>::new(), "{text}");
        let told: Vec<_> =
            found.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
        let expected = format!(
            "the version `{version}` is that of no component: nothing in the repository gives the variable `NONE` a value; set it in `postBuild.substitute` or a ConfigMap of `substituteFrom`"
        );
        assert_eq!(told, [(Some(4), expected.as_str())], "{text}");
    }
}

#[test]
fn a_channel_may_be_a_variable_in_the_middle_of_its_url() {
    let plan = "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {name: server, namespace: system-upgrade}\nspec: {channel: \"https://update.k3s.io/v1-release/channels/${CHANNEL}\", upgrade: {image: rancher/k3s-upgrade}}\n";
    let root = applies("plans", "./plans", "  postBuild: {substitute: {CHANNEL: stable}}\n");
    let found =
        lines(&resolved(&[("clusters/home/plans.yaml", &root), ("plans/plan.yaml", plan)]).components);
    assert_eq!(
        found,
        [
            "k3s on https://update.k3s.io/v1-release/channels/stable https://update.k3s.io/v1-release/channels/stable; clusters/home/plans.yaml:7"
        ]
    );
    let found = resolved(&[("plans/plan.yaml", plan)]).components;
    assert_eq!(
        lines(&found),
        [
            "k3s ? (nothing in the repository gives the variable `CHANNEL` a value; set it in `postBuild.substitute` or a ConfigMap of `substituteFrom`); plans/plan.yaml:4"
        ]
    );
}

/// People look for the place that wants a value.
#[test]
fn a_version_without_a_value_keeps_its_place() {
    let found = resolved(&[("plans/plan.yaml", &plan("${K3S}"))]).components;
    let pin = &found[0].pins[0];
    assert_eq!((pin.text.as_str(), pin.line, pin.route.as_str()), ("${K3S}", 4, "/spec/version"));
    assert!(found[0].upstream.is_err());
}

#[test]
fn an_operation_that_writes_a_version_of_nothing_is_a_problem() {
    let root = applies("root", "./overlay", "");
    let kustomize = |target: &str, value: &str| {
        format!(
            "resources: [pod.yaml]\npatches:\n- target: {target}\n  patch: '[{{\"op\": \"replace\", \"path\": \"/spec/chart/spec/version\", \"value\": \"{value}\"}}]'\n"
        )
    };
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: podinfo, namespace: apps}\nspec: {chart: {spec: {chart: podinfo, version: 1.0.0, sourceRef: {kind: HelmRepository, name: r}}}}\n";
    let look = |target: &str, value: &str, manifest: &str| {
        let kustomize = kustomize(target, value);
        let found = resolved(&[
            ("clusters/home/root.yaml", &root),
            ("overlay/kustomization.yaml", &kustomize),
            ("overlay/pod.yaml", manifest),
        ]);
        let told: Vec<_> =
            found.problems.into_iter().map(|problem| (problem.line, problem.message)).collect();
        (lines(&found.components), told)
    };
    let (components, told) = look("{kind: HelmRelease}", "2.0.0", &pod("nginx:1.25.0"));
    assert_eq!(components.len(), 1, "{components:?}");
    let nameless = "the version `2.0.0` is that of no component: nothing here says its name (`helm/{namespace?}/{name}`); name the object, or the target of the patch";
    assert_eq!(told, [(Some(4), nameless.to_owned())]);
    // What it patches has a name.
    let (components, told) = look("{kind: HelmRelease}", "2.0.0", release);
    assert!(components[0].starts_with("helm/apps/podinfo =2.0.0 "), "{components:?}");
    assert_eq!(told, []);
    let (components, _) = look("{kind: HelmRelease, name: podinfo}", "${NONE}", release);
    assert!(
        components
            .iter()
            .any(|line| line.contains("`NONE`") || line.contains("overlay/kustomization.yaml:4")),
        "{components:?}"
    );
}

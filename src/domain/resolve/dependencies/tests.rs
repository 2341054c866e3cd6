use crate::domain::resolve::{Options, Resolved, resolve};
use crate::domain::scan::scan_file;
use crate::rules::Registry;

fn resolved(files: &[(&str, String)]) -> Resolved {
    let (registry, _) = Registry::load([]);
    let mut files = files.to_vec();
    files.sort_unstable();
    let scans: Vec<_> =
        files.iter().map(|(path, text)| scan_file(path, text.as_bytes(), registry.rules())).collect();
    resolve(&scans, registry.rules(), &Options::default())
}

/// `from < to: why`: what goes first stands right.
fn lines(resolved: &Resolved) -> Vec<String> {
    let line = |dependency: &super::Dependency| {
        format!("{} < {}: {}", dependency.from, dependency.to, dependency.why)
    };
    resolved.dependencies.iter().map(line).collect()
}

/// `file:line: message`.
fn problems(resolved: &Resolved) -> Vec<String> {
    let told = |problem: &crate::domain::problem::Problem| {
        let (file, line) = (problem.file.as_deref().unwrap_or_default(), problem.line.unwrap_or_default());
        format!("{file}:{line}: {}", problem.message)
    };
    resolved.problems.iter().map(told).collect()
}

/// A HelmRelease with `dependsOn`.
fn release(namespace: &str, name: &str, waits: &str) -> String {
    format!(
        "---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  dependsOn: [{waits}]
  chart: {{spec: {{chart: {name}, version: 1.0.0, sourceRef: {{kind: HelmRepository, name: charts, namespace: flux-system}}}}}}
"
    )
}

/// A Kustomization of the bootstrap's source.
fn kustomization(name: &str, path: &str, waits: &str) -> String {
    format!(
        "---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: flux-system}}
spec:
  path: {path}
  dependsOn: [{waits}]
  sourceRef: {{kind: GitRepository, name: flux-system}}
"
    )
}

fn with_source(text: String) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: flux-system, namespace: flux-system}}
spec: {{url: https://example.com/me/cluster}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: charts, namespace: flux-system}}
spec: {{url: https://charts.example.com}}
{text}"
    )
}

#[test]
fn release_comes_after_those_that_it_depends_on() {
    let files = [(
        "a.yaml",
        with_source(
            release("apps", "web", "{name: db}, {name: cache, namespace: infra}, {name: nowhere}")
                + &release("apps", "db", "")
                + &release("infra", "cache", "")
                + &release("infra", "db", ""),
        ),
    )];
    assert_eq!(
        lines(&resolved(&files)),
        [
            "helm/apps/web < helm/apps/db: HelmRelease `apps/web` depends on `apps/db`",
            "helm/apps/web < helm/infra/cache: HelmRelease `apps/web` depends on `infra/cache`",
        ]
    );
}

#[test]
fn what_a_kustomization_applies_comes_after_what_the_one_it_depends_on_applies() {
    let files = [
        (
            "clusters/home/flux.yaml",
            with_source(
                kustomization("apps", "./apps", "{name: middle}")
                    + &kustomization("middle", "./middle", "{name: infra}")
                    + &kustomization("infra", "./infra", "")
                    + &kustomization("aside", "./aside", ""),
            ),
        ),
        ("apps/a.yaml", release("apps", "a", "") + &release("apps", "b", "")),
        ("middle/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n".to_owned()),
        ("infra/a.yaml", release("infra", "c", "")),
        ("aside/a.yaml", release("aside", "d", "")),
    ];
    let why =
        "Kustomization `flux-system/apps` depends on `flux-system/middle`, and that on `flux-system/infra`";
    assert_eq!(
        lines(&resolved(&files)),
        [format!("helm/apps/a < helm/infra/c: {why}"), format!("helm/apps/b < helm/infra/c: {why}"),]
    );
}

#[test]
fn what_kustomizations_within_apply_goes_with_them() {
    let files = [
        (
            "clusters/home/flux.yaml",
            with_source(
                kustomization("apps", "./apps", "{name: infra}") + &kustomization("infra", "./infra", ""),
            ),
        ),
        ("apps/inner.yaml", kustomization("web", "./web", "")),
        ("web/a.yaml", release("apps", "web", "")),
        ("infra/inner.yaml", kustomization("operators", "./operators", "")),
        ("operators/a.yaml", release("infra", "operator", "")),
    ];
    assert_eq!(
        lines(&resolved(&files)),
        [
            "helm/apps/web < helm/infra/operator: Kustomization `flux-system/apps` depends on `flux-system/infra`, which applies `flux-system/operators`"
        ]
    );
}

#[test]
fn waiting_for_what_holds_oneself_means_its_own_files_only() {
    let files = [
        ("clusters/home/flux.yaml", with_source(kustomization("outer", "./outer", ""))),
        (
            "outer/inner.yaml",
            kustomization("one", "./one", "{name: outer}")
                + &kustomization("two", "./two", "")
                + &release("outer", "own", ""),
        ),
        ("one/a.yaml", release("apps", "one", "")),
        ("two/a.yaml", release("apps", "two", "")),
    ];
    assert_eq!(
        lines(&resolved(&files)),
        ["helm/apps/one < helm/outer/own: Kustomization `flux-system/one` depends on `flux-system/outer`"]
    );
}

#[test]
fn version_that_stands_elsewhere_belongs_to_its_release() {
    let chart = "---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: web, namespace: apps}
spec: {url: 'oci://ghcr.io/me/charts/web', ref: {tag: 1.0.0}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: apps}
spec:
  dependsOn: [{name: db}]
  chartRef: {kind: OCIRepository, name: web}
";
    let files = [("a.yaml", with_source(release("apps", "db", "") + chart))];
    assert_eq!(
        lines(&resolved(&files)),
        ["helm/apps/web < helm/apps/db: HelmRelease `apps/web` depends on `apps/db`"]
    );
}

/// Everything that depends on the sources waited for the versions of the charts whose sources stand there, and where one
/// of these charts waited for something itself, that order was lost in the cycle.
#[test]
fn source_of_a_chart_is_no_reason_to_wait_for_the_chart() {
    let source = "---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: web, namespace: apps}
spec: {url: 'oci://ghcr.io/me/charts/web', ref: {tag: 1.0.0}}
";
    let web = "---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: web, namespace: apps}
spec:
  chartRef: {kind: OCIRepository, name: web}
";
    let files = [
        (
            "clusters/home/flux.yaml",
            with_source(
                kustomization("sources", "./sources", "")
                    + &kustomization("storage", "./storage", "{name: sources}")
                    + &kustomization("apps", "./apps", "{name: storage}"),
            ),
        ),
        ("sources/web.yaml", source.to_owned()),
        ("storage/db.yaml", release("storage", "db", "")),
        ("apps/web.yaml", web.to_owned()),
    ];
    assert_eq!(
        lines(&resolved(&files)),
        [
            "helm/apps/web < helm/storage/db: Kustomization `flux-system/apps` depends on `flux-system/storage`"
        ]
    );
}

#[test]
fn variable_in_a_kustomization_belongs_to_what_uses_it() {
    let files = [
        (
            "clusters/home/flux.yaml",
            with_source(
                kustomization("apps", "./apps", "{name: infra}")
                    + "  postBuild: {substitute: {WEB_VERSION: 1.0.0}}\n"
                    + &kustomization("infra", "./infra", ""),
            ),
        ),
        ("apps/a.yaml", release("apps", "web", "").replace("1.0.0", "'${WEB_VERSION}'")),
        ("infra/a.yaml", release("infra", "db", "")),
    ];
    assert_eq!(
        lines(&resolved(&files)),
        ["helm/apps/web < helm/infra/db: Kustomization `flux-system/apps` depends on `flux-system/infra`"]
    );
}

#[test]
fn chart_of_crds_comes_before_the_chart_that_they_are_for() {
    let files = [(
        "a.yaml",
        with_source(
            release("a", "kyverno", "") + &release("b", "kyverno-crds", "") + &release("a", "other", ""),
        ),
    )];
    assert_eq!(
        lines(&resolved(&files)),
        ["helm/a/kyverno < helm/b/kyverno-crds: the chart `kyverno-crds` carries the CRDs of `kyverno`"]
    );
}

#[test]
fn objects_that_wait_for_each_other_are_named_and_order_nothing() {
    let files = [(
        "a.yaml",
        with_source(
            release("apps", "a", "{name: b}")
                + &release("apps", "b", "{name: c}")
                + &release("apps", "c", "{name: a}")
                + &release("apps", "d", "{name: a}")
                + &release("apps", "e", "{name: e}"),
        ),
    )];
    let resolved = resolved(&files);
    assert_eq!(lines(&resolved), ["helm/apps/d < helm/apps/a: HelmRelease `apps/d` depends on `apps/a`"]);
    let problems: Vec<_> = resolved
        .problems
        .iter()
        .map(|problem| format!("{}: {}", problem.line.unwrap_or_default(), problem.message))
        .collect();
    assert_eq!(
        problems,
        [
            "15: HelmRelease waits for itself by `dependsOn`: `apps/a` on `apps/b` on `apps/c` on `apps/a`; Flux never reconciles it, take one of them away",
            "43: HelmRelease waits for itself by `dependsOn`: `apps/e` on `apps/e`; Flux never reconciles it, take one of them away",
        ]
    );
}

#[test]
fn component_in_two_kustomizations_makes_no_cycle() {
    let image = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: x, namespace: x}
spec: {template: {spec: {containers: [{name: a, image: 'ghcr.io/me/tool:1.0.0'}]}}}
";
    let files = [
        (
            "clusters/home/flux.yaml",
            with_source(
                kustomization("one", "./one", "{name: two}")
                    + &kustomization("two", "./two", "{name: three}")
                    + &kustomization("three", "./three", ""),
            ),
        ),
        ("one/a.yaml", image.to_owned()),
        ("two/a.yaml", release("two", "b", "")),
        ("three/a.yaml", image.to_owned() + &release("three", "c", "")),
    ];
    let resolved = resolved(&files);
    let lines = lines(&resolved);
    assert!(
        lines.contains(
            &"helm/two/b < helm/three/c: Kustomization `flux-system/two` depends on `flux-system/three`"
                .to_owned()
        )
    );
    assert!(!lines.iter().any(|line| line.contains("image/")), "{lines:#?}");
    assert_eq!(
        problems(&resolved),
        [
            "clusters/home/flux.yaml:16: `helm/two/b`, `image/ghcr.io/me/tool` wait for each other, so that this is left out of their order: Kustomization `flux-system/one` depends on `flux-system/two`; Kustomization `flux-system/two` depends on `flux-system/three`; take one of these away where the order matters"
        ]
    );
}

/// What a release says itself is kept, and what is said of the whole Kustomization is named and goes.
#[test]
fn order_of_kustomizations_that_a_release_contradicts_is_named_once() {
    let files = [
        (
            "clusters/home/flux.yaml",
            with_source(kustomization("one", "./one", "{name: two}") + &kustomization("two", "./two", "")),
        ),
        ("one/a.yaml", release("apps", "a", "")),
        ("two/b.yaml", release("apps", "b", "{name: a}")),
    ];
    let resolved = resolved(&files);
    assert_eq!(lines(&resolved), ["helm/apps/b < helm/apps/a: HelmRelease `apps/b` depends on `apps/a`"]);
    assert_eq!(
        problems(&resolved),
        [
            "clusters/home/flux.yaml:16: `helm/apps/a`, `helm/apps/b` wait for each other, so that this is left out of their order: Kustomization `flux-system/one` depends on `flux-system/two`; take one of these away where the order matters"
        ]
    );
}

/// Kustomizations that wait for each other put everything in them before each other: that is one cycle, not two.
#[test]
fn cycle_of_objects_is_named_once_whatever_they_hold() {
    let files = [
        (
            "clusters/home/flux.yaml",
            with_source(
                kustomization("one", "./one", "{name: two}") + &kustomization("two", "./two", "{name: one}"),
            ),
        ),
        ("one/a.yaml", release("apps", "a", "")),
        ("two/b.yaml", release("apps", "b", "")),
    ];
    let resolved = resolved(&files);
    assert_eq!(lines(&resolved), [""; 0]);
    let problems = problems(&resolved);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("Kustomization waits for itself by `dependsOn`"), "{problems:#?}");
}

#[test]
fn clusters_do_not_wait_for_each_other() {
    let cluster = |version: &str| {
        with_source(release("apps", "web", "{name: db}") + &release("apps", "db", ""))
            .replace("1.0.0", version)
            + &kustomization("flux-system", "./PATH", "")
    };
    let files = [
        ("clusters/a/flux.yaml", cluster("1.0.0").replace("PATH", "clusters/a")),
        ("clusters/b/flux.yaml", cluster("2.0.0").replace("PATH", "clusters/b")),
    ];
    assert_eq!(
        lines(&resolved(&files)),
        [
            "a:helm/apps/web < a:helm/apps/db: HelmRelease `apps/web` depends on `apps/db`",
            "b:helm/apps/web < b:helm/apps/db: HelmRelease `apps/web` depends on `apps/db`",
        ]
    );
}

#[test]
fn api_versions_of_what_is_applied_are_seen_with_their_lines() {
    let large = format!(
        "---\n# a large one\napiVersion: policy/v1beta1 # old\nkind: PodDisruptionBudget\nmetadata: {{name: x}}\nspec:\n{}",
        "  # filler\n".repeat(2_000)
    );
    let files = [
        ("clusters/home/flux.yaml", with_source(kustomization("apps", "./apps", ""))),
        (
            "apps/a.yaml",
            format!(
                "apiVersion: v1
kind: List
items:
- {{apiVersion: batch/v1beta1, kind: CronJob, metadata: {{name: a}}}}
- kind: Ingress
  apiVersion: extensions/v1beta1
{large}---
apiVersion: apiextensions.k8s.io/v1beta1
kind: CustomResourceDefinition
spec: {{group: policy, version: v1beta1}}
"
            ),
        ),
        ("apps/b.yaml.j2", "apiVersion: batch/v1beta1\nkind: CronJob\n".to_owned()),
        ("old/c.yaml", "apiVersion: batch/v1beta1\nkind: CronJob\n".to_owned()),
    ];
    let seen: Vec<_> = resolved(&files)
        .apis
        .into_iter()
        .filter(|api| api.file == "apps/a.yaml" || api.api_version.contains("beta"))
        .map(|api| format!("{}:{} {} {}", api.file, api.line, api.api_version, api.kind))
        .collect();
    assert_eq!(
        seen,
        [
            "apps/a.yaml:4 batch/v1beta1 CronJob",
            "apps/a.yaml:6 extensions/v1beta1 Ingress",
            "apps/a.yaml:9 policy/v1beta1 PodDisruptionBudget",
            "apps/a.yaml:2014 apiextensions.k8s.io/v1beta1 CustomResourceDefinition",
        ]
    );
}

/// Everything in everything, with an order on top: no more is followed than can be, and that is said.
#[test]
fn order_of_hundreds_of_kustomizations_over_everything_ends_and_says_so() {
    let mut text = with_source(String::new());
    for number in 0..600 {
        text += &kustomization(&format!("k{number}"), "./", &format!("{{name: k{}}}", number + 1));
    }
    let releases: String = (0..200).map(|number| release("apps", &format!("r{number}"), "")).collect();
    let files = [("a.yaml", text), ("b.yaml", releases)];
    let started = std::time::Instant::now();
    let resolved = resolved(&files);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    assert!(resolved.problems.iter().any(|problem| problem.message.contains("not all was followed")));
}

//! Files of strangers that hold the same thing thousands of times: each once took time that grew with the
//! square of their length.

use std::fmt::Write as _;
use std::time::Instant;

use super::resolved;

/// So many that quadratic ways take minutes in a build without optimisation.
const MANY: usize = 5_000;

#[track_caller]
fn finds_components(text: &str, expected: usize) {
    let started = Instant::now();
    let resolved = resolved(&[("a.yaml", text)]);
    assert_eq!(resolved.components.len(), expected);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

fn deployment(line: impl Fn(usize) -> String) -> String {
    let mut text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n".to_owned();
    for number in 0..MANY {
        writeln!(text, "{}", line(number)).unwrap();
    }
    text
}

#[test]
fn one_image_at_many_versions() {
    finds_components(&deployment(|number| format!("  k{number}: {{image: a/b:1.{number}}}")), MANY);
}

#[test]
fn many_annotated_images() {
    let line = |number| {
        format!("  # renovate: datasource=docker depName=x/y\n  k{number}: {{image: a/b{number}:1.0}}")
    };
    finds_components(&deployment(line), MANY);
}

#[test]
fn many_image_policies() {
    let mut text = String::new();
    for number in 0..MANY {
        writeln!(text, "- x: 1.{number} # {{\"$imagepolicy\": \"a:b{number}:tag\"}}").unwrap();
    }
    finds_components(&text, MANY);
}

/// An item of `patches` that an alias repeats is read for each, but not without bound.
#[test]
fn one_patch_that_is_repeated_by_aliases() {
    let mut text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\npatches:\n- &p\n  target: {kind: HelmRelease, name: a}\n  patch: |\n".to_owned();
    text.push_str(&"    - {op: add, path: /spec/chart/spec/version, value: 1.2.3}\n".repeat(MANY / 5));
    text.push_str(&"- *p\n".repeat(MANY));
    finds_components(&text, 1);
}

/// Following such a value has no end.
#[test]
fn a_patch_whose_value_holds_itself() {
    let text = "- op: add\n  path: /spec\n  value: &a {chart: *a, version: 1.2.3, more: [*a]}\n";
    finds_components(text, 0);
}

/// Kustomizations that each build everything took the product of both, in time and in memory.
#[test]
fn many_kustomizations_over_many_files() {
    let mut kustomizations = String::new();
    for number in 0..800 {
        writeln!(
            kustomizations,
            "---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: k{number}, namespace: flux-system}}\nspec: {{path: ./, targetNamespace: n{number}, sourceRef: {{kind: GitRepository, name: flux-system}}}}"
        )
        .unwrap();
    }
    let pods: Vec<_> = (0..400).map(|number| format!("pods/p{number:03}.yaml")).collect();
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    let mut files: Vec<(&str, &str)> = pods.iter().map(|path| (path.as_str(), text)).collect();
    files.push(("ks.yaml", &kustomizations));
    let started = Instant::now();
    let resolved = resolved(&files);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    let told: Vec<_> = resolved.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("not all was followed"), "{told:?}");
}

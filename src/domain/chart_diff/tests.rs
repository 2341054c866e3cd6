use std::collections::BTreeMap;

use rstest::rstest;

use super::*;

fn chart(files: &[(&str, &str)]) -> Chart {
    let mut all: BTreeMap<String, String> =
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    all.entry("Chart.yaml".to_owned()).or_insert_with(|| "name: app\nversion: 1.0.0\n".to_owned());
    Chart::new(all).unwrap()
}

fn user(values: &str) -> Vec<UserValues> {
    let indented: String = values.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: app, namespace: apps}}\nspec:\n  values:\n{indented}"
    );
    user_values("app.yaml", &text, Releases::Named { name: "app", namespace: Some("apps") })
}

fn told(comparison: &Comparison) -> Vec<String> {
    comparison
        .sections
        .iter()
        .flat_map(|section| {
            let sign = if section.urgent { "!" } else { " " };
            section.items.iter().map(move |item| format!("{sign} {}: {item}", section.title))
        })
        .collect()
}

#[test]
fn values_of_a_release_are_found_in_its_manifest() {
    let found = user("a: 1\nb: {c: x}\n");
    assert_eq!((found.len(), found[0].release.as_str()), (1, "apps/app"));
    assert_eq!(found[0].values, serde_json::json!({"a": 1, "b": {"c": "x"}}));
    let text = "kind: HelmRelease\nmetadata: {name: other}\n---\nkind: HelmRelease\nmetadata: {name: app, namespace: else}\n";
    let named = |namespace| user_values("x", text, Releases::Named { name: "app", namespace });
    assert!(named(Some("apps")).is_empty());
    assert_eq!(named(None).len(), 1);
}

/// Longhorn is called `Longhorn`, which no release is: its reviewers were not told of values that vanished.
#[test]
fn values_of_what_a_rule_tracks_for_itself_are_found_by_its_chart() {
    let text = "kind: HelmRelease
metadata: {name: storage, namespace: longhorn-system}
spec:
  chart: {spec: {chart: longhorn}}
  values: {a: 1}
---
kind: HelmRelease
metadata: {name: longhorn}
spec: {chart: {spec: {chart: other}}}
---
kind: HelmRelease
metadata: {name: third}
spec: {chartRef: {kind: OCIRepository, name: longhorn}}
---
kind: ConfigMap
metadata: {name: longhorn}
";
    let found = user_values("x", text, Releases::Of { chart: "longhorn" });
    let names: Vec<&str> = found.iter().map(|user| user.release.as_str()).collect();
    assert_eq!(names, ["longhorn-system/storage", "-/third"]);
    assert_eq!(found[0].values, serde_json::json!({"a": 1}));
}

#[rstest]
#[case::gone("a: {b: 1}", "a: {c: 1}", "a: {b: 2}", &["! Values that you set: `a.b` is no value of the chart any more"])]
#[case::branch_gone("a: {b: {c: 1}}", "x: 1", "a: {b: {c: 2}}", &["! Values that you set: `a.b.c` is no value of the chart any more"])]
#[case::below_an_open_map("a: {b: 1}", "a: {}", "a: {b: 2}", &[])]
#[case::never_a_default("a: {}", "a: {}", "a: {z: 1}", &[])]
#[case::other_type("a: 80", "a: {port: 80}", "a: 81", &["! Values that you set: `a` was a number and is a map by default"])]
#[case::nothing_has_no_type("a: null", "a: {}", "a: 81", &[])]
#[case::default_changed("a: 1.5", "a: 2", "a: 3", &["  Defaults that changed below values that you set: `a`: the default was `1.5` and is `2`; yours stays"])]
#[case::not_set("a: 1", "a: 2", "b: 3", &[])]
fn values_that_the_user_sets_are_compared(
    #[case] old: &str,
    #[case] new: &str,
    #[case] own: &str,
    #[case] expected: &[&str],
) {
    let comparison = compare(&chart(&[("values.yaml", old)]), &chart(&[("values.yaml", new)]), &user(own));
    assert_eq!(told(&comparison), expected);
    let diff = comparison.sections.iter().find_map(|section| section.diff.as_ref());
    assert_eq!(diff.is_some(), old != new);
}

#[test]
fn values_that_the_schema_refuses_anew_are_told_without_the_values() {
    let old = chart(&[("values.schema.json", r#"{"properties": {"b": {"type": "string"}}}"#)]);
    let new = chart(&[(
        "values.schema.json",
        r#"{"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "additionalProperties": false}"#,
    )]);
    let comparison = compare(&old, &new, &user("a: 12345\nb: 1\nold: x"));
    assert!(comparison.harm.refused);
    let told = told(&comparison).join("\n");
    assert!(told.contains("`a`: ") && told.contains("'old' was unexpected"), "{told}");
    assert!(!told.contains("12345") && !told.contains("`b`"), "{told}");
    assert!(!compare(&old, &new, &user("a: text\nb: x")).harm.refused);
}

#[test]
fn a_schema_that_refers_elsewhere_is_not_followed_and_refuses_nothing() {
    let new =
        chart(&[("values.schema.json", r#"{"properties": {"a": {"$ref": "https://example.org/x.json"}}}"#)]);
    let comparison = compare(&chart(&[]), &new, &user("a: 1"));
    assert!(!comparison.harm.refused);
    assert!(told(&comparison)[0].starts_with("  Schema of the values: your values were not checked"));
}

fn crd(name: &str, versions: &[(&str, bool, bool)]) -> String {
    let versions: String = versions
        .iter()
        .map(|(name, served, storage)| {
            format!("  - {{name: {name}, served: {served}, storage: {storage}}}\n")
        })
        .collect();
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}}}\nspec:\n  names: {{kind: Thing}}\n  versions:\n{versions}"
    )
}

#[test]
fn definitions_that_lose_a_version_or_go_are_urgent() {
    let old = chart(&[
        ("crds/a.yaml", &crd("a.example.org", &[("v1beta1", true, true), ("v1", true, false)])),
        (
            "templates/crds.yaml",
            &format!(
                "{{{{- if .Values.crds }}}}\n{}---\n{}{{{{- end }}}}\n",
                crd("b.example.org", &[("v1", true, true)]),
                crd("c.example.org", &[("v1", true, true)])
            ),
        ),
    ]);
    let new = chart(&[
        ("crds/a.yaml", &crd("a.example.org", &[("v1", true, true)])),
        ("crds/new.yaml", &crd("new.example.org", &[("v1", true, true)])),
        ("templates/crds.yaml", &crd("c.example.org", &[("v1", true, true)])),
    ]);
    let comparison = compare(&old, &new, &user("a: 1"));
    let lost =
        |crd: &str, version: Option<&str>| Lost { crd: crd.to_owned(), version: version.map(str::to_owned) };
    assert_eq!(comparison.harm.lost, [lost("a.example.org", Some("v1beta1")), lost("b.example.org", None)]);
    insta::assert_snapshot!(told(&comparison).join("\n"), @r#"
    ! Custom resource definitions: `a.example.org` no longer serves `v1beta1`
    ! Custom resource definitions: `a.example.org` was stored as `v1beta1` and will be as `v1`
    ! Custom resource definitions: `b.example.org` is gone from the chart's templates: Helm deletes it with every `Thing`
    ! Custom resource definitions: definitions in `crds/` change, and `apps/app` does not upgrade them (`spec.upgrade.crds: Skip`, the default); set `CreateReplace` or apply them
      Other custom resource definitions: `a.example.org` changes
      Other custom resource definitions: `new.example.org` (`Thing`) is new
    "#);
    // Somebody who lets Flux replace definitions is not warned of that.
    let mut replacing = user("a: 1");
    replacing[0].upgrade_crds = "CreateReplace".to_owned();
    assert!(!told(&compare(&old, &new, &replacing)).join("\n").contains("does not upgrade them"));
}

#[test]
fn images_kubernetes_and_fixed_fields_are_compared() {
    let old = chart(&[
        ("Chart.yaml", "name: app\nversion: 1.0.0\nappVersion: 1.1\nkubeVersion: '>=1.25.0-0'\n"),
        ("values.yaml", "image: {repository: ghcr.io/o/app, tag: ''}\nsidecar: {image: 'busybox:1.36'}\n"),
        (
            "templates/sts.yaml",
            "kind: StatefulSet\nspec:\n  serviceName: a\n  volumeClaimTemplates:\n  - x: 1\n  template: {}\n",
        ),
    ]);
    let new = chart(&[
        (
            "Chart.yaml",
            "name: app\nversion: 1.1.0\nappVersion: 1.2.0\nkubeVersion: '>=1.30.0-0'\ndeprecated: true\n",
        ),
        ("values.yaml", "image: {repository: ghcr.io/o/app, tag: ''}\n"),
        (
            "templates/sts.yaml",
            "kind: StatefulSet\nspec:\n  serviceName: a\n  volumeClaimTemplates:\n  - x: 2\n  template: {a: b}\n",
        ),
    ]);
    insta::assert_snapshot!(told(&compare(&old, &new, &[])).join("\n"), @r#"
    ! The chart: The chart is marked as deprecated.
    ! The chart: `kubeVersion` was `>=1.25.0-0` and is `>=1.30.0-0`.
    ! May be refused when it is applied: the StatefulSet in `templates/sts.yaml` may change `volumeClaimTemplates`, which Kubernetes refuses for one that exists
      Images: `ghcr.io/o/app`: `1.1` → `1.2.0`
      Images: `docker.io/library/busybox:1.36` is gone
    "#);
}

#[test]
fn equal_charts_have_nothing_to_tell() {
    let one = chart(&[("values.yaml", "a: 1\n"), ("crds/a.yaml", &crd("a.b", &[("v1", true, true)]))]);
    assert_eq!(compare(&one, &one, &user("a: 2")), Comparison::default());
}

#[test]
fn an_archive_without_a_chart_is_refused() {
    assert_eq!(Chart::new(BTreeMap::new()), Err(ChartError::NoChart));
    let broken = BTreeMap::from([
        ("Chart.yaml".to_owned(), "name: a".to_owned()),
        ("values.yaml".to_owned(), "a: [".to_owned()),
    ]);
    assert!(matches!(Chart::new(broken), Err(ChartError::Unreadable { .. })));
}

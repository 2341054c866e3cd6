use rstest::rstest;

use super::*;

fn deployment(name: &str, arguments: &[&str], image: &str) -> String {
    let arguments: String = arguments.iter().map(|argument| format!("        - {argument}\n")).collect();
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    app.kubernetes.io/part-of: flux\n  name: {name}\n  \
         namespace: flux-system\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n      - args:\n{arguments}        \
         image: {image}\n        name: manager\n      volumes:\n      - name: data\n"
    )
}

fn old() -> String {
    deployment("a", &["--events-addr=x", "--log-level=info", "--concurrent=4"], "r.example/a:v1")
        + &deployment("b", &["--log-level=info"], "r.example/b:v1")
}

/// `a` gets an argument in front, both get new images.
fn new() -> String {
    deployment("a", &["--new", "--events-addr=y", "--log-level=info", "--concurrent=4"], "r.example/a:v2")
        + &deployment("b", &["--log-level=info"], "r.example/b:v2")
}

fn shifts(kustomization: &str) -> Vec<String> {
    compare(kustomization, &BTreeMap::new(), &old(), &new())
        .unwrap()
        .into_iter()
        .map(|shift| format!("{} line {}, {}: {}", shift.patch, shift.line, shift.object, shift.what))
        .collect()
}

fn json(target: &str, operations: &str) -> String {
    let operations: String = operations.lines().map(|line| format!("    {line}\n")).collect();
    format!("resources:\n- gotk-components.yaml\npatches:\n- target: {{{target}}}\n  patch: |\n{operations}")
}

#[rstest]
#[case::at_the_end("- {op: add, path: /spec/template/spec/containers/0/args/-, value: --x}")]
#[case::insertion("- {op: add, path: /spec/template/spec/containers/0/args/0, value: --x}")]
#[case::scalar_by_name("- {op: replace, path: /spec/replicas, value: 2}")]
#[case::new_key("- {op: add, path: /spec/template/spec/priorityClassName, value: x}")]
#[case::new_path_with_slash(
    "- {op: add, path: /metadata/annotations, value: {}}\n- {op: add, path: /metadata/annotations/a~1b, value: x}"
)]
#[case::does_not_build_today("- {op: remove, path: /spec/nothing}")]
fn patches_that_hit_what_they_hit_are_passed(#[case] operations: &str) {
    assert_eq!(shifts(&json("kind: Deployment, name: a", operations)), [""; 0]);
}

#[rstest]
#[case::replace(
    "- {op: replace, path: /spec/template/spec/containers/0/args/1, value: --log-level=debug}",
    "`/spec/template/spec/containers/0/args/1` was `--log-level=info`, and is `--events-addr=y`"
)]
#[case::remove(
    "- {op: remove, path: /spec/template/spec/containers/0/args/2}",
    "`/spec/template/spec/containers/0/args/2` was `--concurrent=4`, and is `--log-level=info`"
)]
#[case::test(
    "- {op: test, path: /spec/template/spec/containers/0/args/1, value: --log-level=info}",
    "`/spec/template/spec/containers/0/args/1` was `--log-level=info`, and is `--events-addr=y`"
)]
#[case::behind_an_insertion(
    "- {op: add, path: /spec/template/spec/containers/0/args/0, value: --x}\n\
     - {op: replace, path: /spec/template/spec/containers/0/args/2, value: --log-level=debug}",
    "`/spec/template/spec/containers/0/args/2` was `--log-level=info`, and is `--events-addr=y`"
)]
#[case::moved(
    "- {op: move, from: /spec/template/spec/containers/0/args/0, path: /spec/template/spec/containers/0/args/1}",
    "`/spec/template/spec/containers/0/args/0` was `--events-addr=x`, and is `--new`"
)]
#[case::image(
    "- {op: replace, path: /spec/template/spec/containers/0/image, value: 'r.example/a:v1-mine'}",
    "`/spec/template/spec/containers/0/image` is replaced, and changes from `r.example/a:v1` to `r.example/a:v2`"
)]
#[case::whole_list(
    "- {op: replace, path: /spec/template/spec/containers/0/args, value: []}",
    "`/spec/template/spec/containers/0/args` is replaced, and changes from `a list of 3` to `a list of 4`"
)]
fn json_patches_that_hit_something_else_are_told(#[case] operations: &str, #[case] expected: &str) {
    let found = shifts(&json("kind: Deployment, name: a", operations));
    assert_eq!(
        found.first().map(String::as_str),
        Some(format!("patches[0] line 4, Deployment/a: {expected}").as_str())
    );
}

#[rstest]
#[case::by_expression("kind: Deployment, name: '(a|b)'", 1)]
#[case::not_by_a_part_of_the_name("kind: Deployment, name: 'a.'", 0)]
#[case::by_label("labelSelector: app.kubernetes.io/part-of=flux", 1)]
#[case::by_another_label("labelSelector: app.kubernetes.io/part-of!=flux", 0)]
#[case::by_a_set("labelSelector: 'app.kubernetes.io/part-of in (flux, other)'", 1)]
#[case::by_group("group: apps, version: v1", 1)]
#[case::by_another_group("group: batch", 0)]
#[case::in_another_namespace("kind: Deployment, namespace: other", 0)]
fn targets_are_found_as_kustomize_finds_them(#[case] target: &str, #[case] expected: usize) {
    // `b` has one argument, so that the patch does not build there today.
    let patch = "- {op: replace, path: /spec/template/spec/containers/0/args/2, value: --concurrent=9}";
    assert_eq!(shifts(&json(target, patch)).len(), expected);
}

#[rstest]
#[case::no_selector(json("labelSelector: 'a within (b, c)'", "[]"), "the selector `a within (b, c)`")]
#[case::no_expression(json("name: '('", "[]"), "the name `(`")]
#[case::no_operation(json("kind: Deployment", "- {op: swap, path: /a}"), "its operation 0")]
#[case::no_target("patches:\n- patch: '[]'\n".to_owned(), "it says no target")]
#[case::no_patch(json("kind: Deployment", "text"), "it is neither")]
#[case::file_that_is_missing("patches:\n- path: mine.yaml\n".to_owned(), "`mine.yaml` cannot be read")]
fn patches_that_are_not_understood_are_told(#[case] kustomization: String, #[case] expected: &str) {
    let found = shifts(&kustomization);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("cannot be judged: ") && found[0].contains(expected), "{found:?}");
}

fn merge(body: &str) -> String {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "patches:\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {{name: a, namespace: flux-system}}\n{body}"
    )
}

#[rstest]
#[case::scalar("spec: {replicas: 2}")]
#[case::new_container("spec: {template: {spec: {containers: [{name: side, image: 's:1'}]}}}")]
#[case::resources(
    "spec: {template: {spec: {containers: [{name: manager, resources: {limits: {memory: 2Gi}}}]}}}"
)]
#[case::new_list("spec: {template: {spec: {tolerations: [{operator: Exists}]}}}")]
#[case::deletion("spec: {replicas: null}")]
#[case::same_list("spec: {template: {spec: {volumes: [{name: data, emptyDir: {medium: Memory}}]}}}")]
fn merge_patches_that_hide_nothing_are_passed(#[case] body: &str) {
    assert_eq!(shifts(&merge(body)), [""; 0]);
}

#[rstest]
#[case::arguments(
    "spec: {template: {spec: {containers: [{name: manager, args: [--mine]}]}}}",
    "`/spec/template/spec/containers/manager/args` is replaced, and it now has `--new`"
)]
#[case::image(
    "spec: {template: {spec: {containers: [{name: manager, image: 'x:1'}]}}}",
    "`/spec/template/spec/containers/manager/image` is replaced, and it changes from `r.example/a:v1` to `r.example/a:v2`"
)]
#[case::whole_template(
    "spec: {template: {$patch: replace}}",
    "`/spec/template` is replaced, and it changes from `a mapping` to `a mapping`"
)]
fn merge_patches_that_hide_something_are_told(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(shifts(&merge(body)), [format!("patches[0] line 2, Deployment/a: {expected}")]);
}

#[test]
fn a_container_that_was_renamed_is_told() {
    let body = "spec: {template: {spec: {containers: [{name: manager, env: []}]}}}";
    let new = new().replace("name: manager", "name: controller");
    let found = compare(&merge(body), &BTreeMap::new(), &old(), &new).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].what, "`/spec/template/spec/containers/manager` is not there any more");
}

#[test]
fn an_object_that_is_gone_is_told() {
    let found = compare(&merge("spec: {replicas: 2}"), &BTreeMap::new(), &old(), "").unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].what.starts_with("is not there any more"), "{found:?}");
}

/// kustomize stops at a patch that cannot be done, and Flux with it.
#[test]
fn an_object_that_is_new_and_cannot_take_the_patch_is_told() {
    let with = |argument: &str| new() + &deployment("c", &[argument], "r.example/c:v1");
    let patch = json(
        "kind: Deployment, name: '[bc]'",
        "- {op: remove, path: /spec/template/spec/containers/0/args/0}",
    );
    let found = |new: &str| compare(&patch, &BTreeMap::new(), &old(), new).unwrap();
    assert_eq!(found(&with("--log-level=info")), []);
    let found = found(&with("--x").replace("      - args:\n        - --x\n        image", "      - image"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].object, "Deployment/c");
    assert!(found[0].what.starts_with("is new, and `/spec/template"), "{found:?}");
}

#[test]
fn patches_of_objects_of_other_files_are_left_alone() {
    let patch = "- {op: replace, path: /spec/interval, value: 1m}";
    assert_eq!(shifts(&json("kind: GitRepository", patch)), [""; 0]);
}

#[rstest]
#[case::tag("images:\n- name: r.example/a\n  newTag: v1\n", &["stays at `v1`, and the release goes from `v1` to `v2`"])]
#[case::digest("images:\n- {name: r.example/b, digest: 'sha256:0'}\n", &["stays at `sha256:0`, and the release goes from `v1` to `v2`"])]
#[case::other_registry("images:\n- {name: r.example/a, newName: mirror/a}\n", &[])]
#[case::other_image("images:\n- {name: r.example/c, newTag: v1}\n", &[])]
#[case::part_of_a_name("images:\n- {name: r.example, newTag: v1}\n", &[])]
fn images_that_are_pinned_are_told(#[case] kustomization: &str, #[case] expected: &[&str]) {
    let found = shifts(kustomization);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(found.iter().zip(expected).all(|(found, expected)| found.ends_with(expected)), "{found:?}");
}

#[test]
fn files_are_those_that_patches_name() {
    let kustomization = "patches:\n- path: b.yaml\n- patch: '[]'\npatchesStrategicMerge:\n- a.yaml\n- |\n  kind: X\n\
                         patchesJson6902:\n- target: {kind: Deployment}\n  path: b.yaml\nimages: []\n";
    assert_eq!(files(kustomization).unwrap(), ["a.yaml", "b.yaml"]);
    let patch = "- {op: replace, path: /spec/template/spec/containers/0/args/1, value: --x}";
    let read =
        BTreeMap::from([("b.yaml".to_owned(), patch.to_owned()), ("a.yaml".to_owned(), String::new())]);
    let places: Vec<_> = compare(kustomization, &read, &old(), &new())
        .unwrap()
        .into_iter()
        .map(|shift| (shift.patch, shift.object))
        .collect();
    assert!(places.contains(&("patchesJson6902[0]".to_owned(), "Deployment/a".to_owned())), "{places:?}");
}

#[rstest]
#[case("patches: [", "line ")]
#[case("patches:\n- {target: {}}\n", "line 2 is no entry of `patches`")]
fn a_kustomization_that_cannot_be_read_says_where(#[case] kustomization: &str, #[case] expected: &str) {
    let error = files(kustomization).unwrap_err().to_string();
    assert!(error.starts_with("cannot read `kustomization.yaml`: ") && error.contains(expected), "{error}");
}

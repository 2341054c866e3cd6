use super::clusters::{conventional_root, name_clusters};
use super::*;
use crate::domain::scan::scan_file;

fn graph(files: &[(&str, &str)]) -> (Vec<FileScan>, Graph) {
    let scans: Vec<_> = files.iter().map(|(path, text)| scan_file(path, text.as_bytes(), &[])).collect();
    let graph = Graph::build(&scans, &Options::default());
    (scans, graph)
}

fn kustomization(name: &str, path: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec: {{path: {path}, targetNamespace: target, sourceRef: {{kind: GitRepository, name: flux-system}}}}\n"
    )
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";

#[test]
fn the_outermost_namespace_wins_and_overlays_reach_their_base() {
    let root = kustomization("flux-system", "./clusters/home");
    let apps = kustomization("apps", "./apps/home");
    let (_, graph) = graph(&[
        ("clusters/home/flux-system/gotk-sync.yaml", &root),
        ("clusters/home/apps.yaml", &apps),
        ("apps/home/kustomization.yaml", "namespace: outer\nresources: [../base]\n"),
        ("apps/base/kustomization.yaml", "namespace: inner\nresources: [pod.yaml]\n"),
        ("apps/base/pod.yaml", POD),
        ("apps/other/pod.yaml", POD),
    ]);
    let reach = &graph.of(4)[0];
    assert_eq!(reach.namespace.as_deref(), Some("outer"));
    assert_eq!(reach.target_namespace.as_deref(), Some("target"));
    assert!(graph.of(5).is_empty());
    assert!(graph.clusters.is_empty());
}

#[test]
fn several_clusters_are_told_apart() {
    let (staging, production) = (
        kustomization("flux-system", "./clusters/staging"),
        kustomization("flux-system", "./clusters/production"),
    );
    let (staging_apps, production_apps) =
        (kustomization("apps", "./apps/staging"), kustomization("apps", "./apps/production"));
    let (_, graph) = graph(&[
        ("clusters/staging/flux-system/gotk-sync.yaml", &staging),
        ("clusters/staging/apps.yaml", &staging_apps),
        ("clusters/production/flux-system/gotk-sync.yaml", &production),
        ("clusters/production/apps.yaml", &production_apps),
        ("apps/staging/kustomization.yaml", "resources: [../base]\n"),
        ("apps/production/kustomization.yaml", "resources: [../base, own.yaml]\n"),
        ("apps/production/own.yaml", POD),
        ("apps/base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("apps/base/pod.yaml", POD),
    ]);
    let clusters = |file: usize| {
        graph.of(file).iter().flat_map(|reach| reach.way.clusters.iter().cloned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(clusters(6), BTreeSet::from(["production".to_owned()]));
    assert_eq!(clusters(8), BTreeSet::from(["production".to_owned(), "staging".to_owned()]));
}

#[test]
fn sources_from_elsewhere_apply_nothing_of_this_repository() {
    let text = kustomization("other", "./")
        .replace("name: flux-system}}}}", "")
        .replace("kind: GitRepository, name: flux-system", "kind: OCIRepository, name: manifests");
    let (scans, graph) = graph(&[("a.yaml", &text), ("pod.yaml", POD)]);
    assert!(graph.of(1).is_empty());
    assert!(graph.applied(&scans[1], 1), "a repository in which nothing is applied is plain manifests");
}

#[test]
fn clusters_folders_are_roots_where_the_bootstrap_files_are_not_at_hand() {
    assert_eq!(conventional_root("a/clusters/home/apps.yaml"), Some("a/clusters/home"));
    assert_eq!(conventional_root("clusters/home.yaml"), None);
    let apps = kustomization("apps", "./apps");
    let (_, graph) =
        graph(&[("clusters/a/apps.yaml", &apps), ("clusters/b/apps.yaml", &apps), ("apps/pod.yaml", POD)]);
    assert_eq!(graph.clusters, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn loops_of_kustomize_files_end() {
    let root = kustomization("flux-system", "./a");
    let (_, graph) = graph(&[
        ("a/ks.yaml", &root),
        ("a/kustomization.yaml", "resources: [../b, ks.yaml]\n"),
        ("b/kustomization.yaml", "resources: [../a, ../b, pod.yaml]\n"),
        ("b/pod.yaml", POD),
    ]);
    assert_eq!(graph.of(3).iter().filter(|reach| !reach.kustomizations.is_empty()).count(), 1);
}

#[test]
fn equal_folder_names_are_told_apart_by_more_of_their_path() {
    let folders = BTreeSet::from(["a/clusters/prod".to_owned(), "b/clusters/prod".to_owned()]);
    let names: Vec<_> = name_clusters(&folders).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a-clusters-prod", "b-clusters-prod"]);
}

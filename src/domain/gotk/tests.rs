//! A small release of our own that has everything the steps touch. Real ones are compared in `tests/it/gotk.rs`.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const POLICIES: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: inward
spec:
  ingress:
  - from:
    - podSelector: {}
  podSelector: {}
";

const RBAC: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: reads-all
rules:
- apiGroups:
  - '*'
  resources:
  - '*'
  verbs:
  - get
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: readers
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: reads-all
subjects:
- kind: ServiceAccount
  name: source-controller
  namespace: flux-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: writers
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- kind: ServiceAccount
  name: helm-controller
  namespace: flux-system
---
apiVersion: v1
kind: ResourceQuota
metadata:
  name: pods
spec:
  hard:
    pods: \"10\"
";

/// A component: a definition, a ServiceAccount and a Deployment with as many arguments as real ones have.
fn component(name: &str, image: &str, versions: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things.{name}.example\n\
         spec:\n  group: {name}.example\n  versions:\n"
    );
    for (number, version) in versions.iter().enumerate() {
        text += &format!("  - name: {version}\n    served: true\n    storage: {}\n", number == 0);
    }
    let first = if name == NOTIFICATION_CONTROLLER {
        String::new()
    } else {
        "        - --events-addr=http://notification-controller.flux-system.svc.cluster.local./\n".to_owned()
    };
    let storage = if [SOURCE_CONTROLLER, SOURCE_WATCHER].contains(&name) {
        format!(
            "        - --storage-path=/data\n        - --storage-adv-addr={name}.$(RUNTIME_NAMESPACE).svc.cluster.local.\n"
        )
    } else {
        String::new()
    };
    text += &format!(
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n---\napiVersion: apps/v1\nkind: Deployment\n\
         metadata:\n  labels:\n    control-plane: controller\n  name: {name}\nspec:\n  template:\n    metadata:\n      \
         labels:\n        app: {name}\n    spec:\n      containers:\n      - args:\n{first}        - \
         --watch-all-namespaces\n        - --log-level=info\n        - --log-encoding=json\n        - \
         --enable-leader-election\n{storage}        image: fluxcd/{name}:{image}\n        name: manager\n      \
         serviceAccountName: {name}\n"
    );
    text
}

fn release(version: &str, image: &str, versions: &[&str]) -> Manifests {
    let mut files = BTreeMap::from([
        ("policies.yaml".to_owned(), POLICIES.to_owned()),
        ("rbac.yaml".to_owned(), RBAC.to_owned()),
    ]);
    for name in ALL {
        files.insert(format!("{name}.yaml"), component(name, image, versions));
    }
    Manifests { version: version.to_owned(), files, ..Manifests::default() }
}

const ALL: [&str; 5] =
    [SOURCE_CONTROLLER, "kustomize-controller", "helm-controller", NOTIFICATION_CONTROLLER, SOURCE_WATCHER];

fn old_release() -> Manifests {
    release("v2.8.0", "v1.8.0", &["v1", "v1beta1"])
}

fn new_release() -> Manifests {
    release("v2.9.4", "v1.9.0", &["v1"])
}

fn options() -> Options {
    Options {
        version: "v2.8.0".to_owned(),
        components: vec![SOURCE_CONTROLLER.to_owned(), NOTIFICATION_CONTROLLER.to_owned()],
        namespace: "flux-system".to_owned(),
        registry: "ghcr.io/fluxcd".to_owned(),
        image_pull_secret: None,
        toleration_keys: Vec::new(),
        log_level: "info".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        watch_all_namespaces: true,
        network_policy: true,
    }
}

fn file(options: &Options) -> String {
    build::build(options, &old_release()).unwrap()
}

/// Each line is written by hand: what is printed for the smallest set of components.
#[test]
fn the_file_is_the_header_and_the_objects_in_the_order_of_the_release() {
    let options = Options { components: vec![SOURCE_CONTROLLER.to_owned()], ..options() };
    insta::assert_snapshot!(file(&options));
}

#[rstest]
#[case::namespace(
    |options: &mut Options| options.namespace = "gitops".to_owned(),
    &["  name: gitops", "  namespace: gitops", "  name: readers-gitops", "  name: reads-all-gitops",
      "    app.kubernetes.io/instance: gitops"],
    &["flux-system", "cluster-admin-gitops"],
)]
#[case::registry(
    |options: &mut Options| options.registry = "localhost:5000/mirror".to_owned(),
    &["        image: localhost:5000/mirror/source-controller:v1.8.0"],
    &["ghcr.io"],
)]
#[case::image_pull_secret(
    |options: &mut Options| options.image_pull_secret = Some("regcred".to_owned()),
    &["      imagePullSecrets:", "      - name: regcred"],
    &[],
)]
#[case::tolerations(
    |options: &mut Options| options.toleration_keys = vec!["a/b".to_owned(), "10".to_owned()],
    &["      tolerations:", "      - key: a/b", "      - key: \"10\"", "        operator: Exists"],
    &[],
)]
#[case::log_level(
    |options: &mut Options| options.log_level = "debug".to_owned(),
    &["        - --log-level=debug"],
    &["--log-level=info"],
)]
#[case::cluster_domain(
    |options: &mut Options| options.cluster_domain = "corp.example".to_owned(),
    &["        - --events-addr=http://notification-controller.$(RUNTIME_NAMESPACE).svc.corp.example./",
      "        - --storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.corp.example."],
    &["cluster.local"],
)]
#[case::own_namespace_only(
    |options: &mut Options| options.watch_all_namespaces = false,
    &["        - --watch-all-namespaces=false"],
    &["--watch-all-namespaces=true"],
)]
#[case::no_network_policy(
    |options: &mut Options| options.network_policy = false,
    &[],
    &["NetworkPolicy"],
)]
#[case::no_notification_controller(
    |options: &mut Options| options.components = vec![SOURCE_CONTROLLER.to_owned()],
    &["# Components: source-controller", "        - --events-addr="],
    &["notification-controller"],
)]
#[case::source_watcher(
    |options: &mut Options| options.components = vec![SOURCE_WATCHER.to_owned(), "helm-controller".to_owned()],
    &["        - --feature-gates=ExternalArtifact=true",
      "        - --storage-adv-addr=source-watcher.$(RUNTIME_NAMESPACE).svc.cluster.local."],
    &[],
)]
fn what_flux_was_told_shapes_the_file_and_is_read_back(
    #[case] change: fn(&mut Options),
    #[case] present: &[&str],
    #[case] absent: &[&str],
) {
    let mut options = options();
    change(&mut options);
    let file = file(&options);
    for line in present {
        assert!(file.lines().any(|found| found == *line), "no line `{line}` in:\n{file}");
    }
    for text in absent {
        assert!(!file.contains(text), "`{text}` in:\n{file}");
    }
    // Nothing in the file tells the domain without an address.
    assert_eq!(Options::read(&file), Ok(options.clone()));
    let new = Options { version: "v2.9.4".to_owned(), ..options };
    let expected = build::build(&new, &new_release()).unwrap();
    let found = regenerate(file.as_bytes(), &old_release(), &new_release()).unwrap();
    assert_eq!(String::from_utf8(found).unwrap(), expected);
    assert!(expected.contains(":v1.9.0\n") && !expected.contains("v1.8.0") && !expected.contains("v2.8.0"));
}

fn any_options() -> impl Strategy<Value = Options> {
    let name = "[a-z][a-z0-9-]{0,61}[a-z]";
    (
        (Just(ALL.map(str::to_owned).to_vec()).prop_shuffle(), 1_usize..=5),
        name,
        "[a-z]{1,9}(\\.[a-z]{2,9}){0,2}(:[0-9]{2,5})?(/[a-z0-9-]{1,30}){1,3}",
        prop::option::of(name),
        prop::collection::vec("[a-z0-9./-]{1,30}", 0..4),
        prop_oneof!["debug", "info", "error"],
        "[a-z]{1,10}(\\.[a-z]{1,20}){0,4}",
        any::<(bool, bool)>(),
    )
        .prop_map(
            |((components, count), namespace, registry, secret, keys, log_level, domain, (all, policy))| {
                let components = components[..count].to_vec();
                // The domain shows only in addresses.
                let shows = components.iter().any(|name| {
                    [SOURCE_CONTROLLER, SOURCE_WATCHER].contains(&name.as_str())
                        || name != NOTIFICATION_CONTROLLER
                            && components.iter().any(|name| name == NOTIFICATION_CONTROLLER)
                });
                Options {
                    components,
                    namespace,
                    registry,
                    image_pull_secret: secret,
                    toleration_keys: keys,
                    log_level,
                    cluster_domain: if shows { domain } else { "cluster.local".to_owned() },
                    watch_all_namespaces: all,
                    network_policy: policy,
                    ..options()
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_options_are_read_back_from_what_they_make(options in any_options()) {
        prop_assert_eq!(Options::read(&file(&options)), Ok(options));
    }

    #[test]
    fn a_file_with_any_line_taken_out_is_held(line in 0_usize..120) {
        let file = file(&options());
        let lines: Vec<&str> = file.split_inclusive('\n').collect();
        prop_assume!(line < lines.len());
        let edited: String = lines.iter().enumerate().filter(|(at, _)| *at != line).map(|(_, text)| *text).collect();
        prop_assert!(regenerate(edited.as_bytes(), &old_release(), &new_release()).is_err());
    }
}

fn held(file: &str, old: &Manifests, new: &Manifests) -> String {
    regenerate(file.as_bytes(), old, new).unwrap_err().to_string()
}

#[rstest]
#[case::value(
    "        - --log-encoding=json",
    "        - --log-encoding=console",
    "it has `        - --log-encoding=console`"
)]
#[case::trailing_blank("kind: Namespace\n", "kind: Namespace \n", "`kind: Namespace `")]
#[case::comment("  name: inward\n", "  name: inward # mine\n", "# mine")]
#[case::line_ends("kind: Namespace\n", "kind: Namespace\r\n", "`kind: Namespace\\r`")]
#[case::own_object("kind: Namespace\n", "kind: Namespace\nspec: {}\n", "it has `spec: {}`, not `metadata:`")]
fn a_file_that_was_edited_is_held_and_names_the_first_differing_line(
    #[case] from: &str,
    #[case] to: &str,
    #[case] expected: &str,
) {
    let file = file(&options());
    let edited = file.replacen(from, to, 1);
    assert_ne!(file, edited);
    let line = edited.lines().zip(file.lines()).position(|(left, right)| left != right);
    // `lines` takes a carriage return away.
    let line = line.or_else(|| edited.find('\r').map(|at| tree::line_of(&edited, at) - 1)).unwrap() + 1;
    let message = held(&edited, &old_release(), &new_release());
    assert!(message.starts_with(&format!("line {line} differs from what `flux` v2.8.0 writes")), "{message}");
    assert!(message.contains(expected), "{message}");
}

#[rstest]
#[case::appended("---\nkind: Own\n", "nothing")]
#[case::blank_line("\n", "nothing")]
fn what_stands_behind_the_end_is_noticed(#[case] more: &str, #[case] expected: &str) {
    let file = file(&options()) + more;
    let message = held(&file, &old_release(), &new_release());
    assert!(message.contains(&format!("not {expected};")), "{message}");
}

#[rstest]
#[case::empty("", "line 1 of the file")]
#[case::stub("# This file will be generated by flux.\n", "line 1 of the file")]
#[case::other_header("---\n# This manifest was generated by hand.\n", "line 2 of the file")]
fn what_flux_did_not_write_is_held(#[case] file: &str, #[case] expected: &str) {
    let message = held(file, &old_release(), &new_release());
    assert!(message.starts_with(expected), "{message}");
    assert!(version(file).is_err());
}

#[test]
fn a_header_that_was_edited_alone_is_held() {
    let file = file(&options()).replace("# Flux Version: v2.8.0", "# Flux Version: v2.9.4");
    assert_eq!(version(&file).as_deref(), Ok("v2.9.4"));
    assert_eq!(
        held(&file, &new_release(), &new_release()),
        "the header says v2.9.4 and the labels say v2.8.0: generate the file again with `flux install --export`"
    );
}

#[test]
fn manifests_of_another_release_prove_nothing() {
    let file = file(&options());
    assert!(matches!(
        regenerate(file.as_bytes(), &new_release(), &new_release()),
        Err(GotkError::OtherRelease { .. })
    ));
}

#[test]
fn the_steps_of_a_minor_nobody_compared_are_not_guessed() {
    let new = Manifests { version: "v2.10.0".to_owned(), ..new_release() };
    let message = held(&file(&options()), &old_release(), &new);
    assert!(message.contains("only up to v2.9"), "{message}");
}

/// Changes one file of the new release.
fn changed(name: &str, change: impl Fn(&str) -> String) -> Manifests {
    let mut release = new_release();
    let text = release.files.get_mut(name).unwrap();
    let before = text.clone();
    *text = change(&before);
    assert_ne!(*text, before);
    release
}

#[rstest]
#[case::order_of_arguments(
    "        - --log-level=info\n        - --log-encoding=json\n",
    "        - --log-encoding=json\n        - --log-level=info\n",
    "has no `--log-level` as argument 2"
)]
#[case::print("  name: things", "  name:  things", "where kustomize prints")]
#[case::comment("spec:\n", "spec: # mine\n", "where kustomize prints")]
#[case::kind(
    "kind: ServiceAccount",
    "kind: Secret",
    "the Secret `source-controller` is of a kind that is not known here"
)]
#[case::tolerations(
    "      serviceAccountName: source-controller\n",
    "      serviceAccountName: source-controller\n      tolerations: []\n",
    "has tolerations of its own"
)]
#[case::webhook("spec:\n  group", "spec:\n  conversion:\n    strategy: Webhook\n  group", "has a conversion")]
#[case::broken("kind: ServiceAccount", "kind: [", "cannot read `source-controller.yaml of v2.9.4`: line ")]
#[case::twice(
    "kind: ServiceAccount\n",
    "kind: ServiceAccount\nkind: ServiceAccount\n",
    "has the key `kind` twice"
)]
#[case::unsure_number("    storage: true\n", "    storage: true\n    weight: 1e3\n", "has the number `1e3`")]
fn a_release_with_something_unknown_is_held(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
    let new = changed("source-controller.yaml", |text| text.replacen(from, to, 1));
    let message = held(&file(&options()), &old_release(), &new);
    assert!(message.contains(expected), "{message}");
}

#[test]
fn roles_that_the_steps_do_not_know_are_held() {
    let file = file(&options());
    let new = changed("rbac.yaml", |text| text.replace("kind: ResourceQuota", "kind: Role"));
    assert!(held(&file, &old_release(), &new).contains("`rbac.yaml` has a Role"));
    let new = changed("rbac.yaml", |text| text.replace("namespace: flux-system", "namespace: other"));
    assert!(held(&file, &old_release(), &new).contains("in another namespace"));
}

#[test]
fn a_release_without_a_component_of_the_file_is_held() {
    let mut new = new_release();
    new.files.remove("notification-controller.yaml");
    let message = held(&file(&options()), &old_release(), &new);
    assert_eq!(message, "release v2.9.4 has no component `notification-controller`");
    new.files.remove("rbac.yaml");
    assert_eq!(held(&file(&options()), &old_release(), &new), "the manifests of v2.9.4 have no `rbac.yaml`");
}

#[test]
fn a_lost_definition_is_held() {
    let new = changed("source-controller.yaml", |text| text.replace("things.", "others."));
    assert_eq!(
        held(&file(&options()), &old_release(), &new),
        "things.source-controller.example would be deleted with all their objects"
    );
}

#[test]
fn versions_of_definitions_that_go_are_listed() {
    let old = file(&options());
    let new = regenerate(old.as_bytes(), &old_release(), &new_release()).unwrap();
    let changes = crds::compare(&old, std::str::from_utf8(&new).unwrap()).unwrap();
    let gone = |component: &str| crds::CrdVersion {
        name: format!("things.{component}.example"),
        version: "v1beta1".to_owned(),
    };
    let gone = vec![gone(NOTIFICATION_CONTROLLER), gone(SOURCE_CONTROLLER)];
    let expected = crds::CrdChanges { no_longer_served: gone.clone(), removed: gone, ..Default::default() };
    assert_eq!(changes, expected);
    let back = crds::compare(std::str::from_utf8(&new).unwrap(), &old).unwrap();
    assert_eq!(back, crds::CrdChanges::default());
    let restored = old.replace("storage: true", "storage: x").replace("storage: false", "storage: true");
    let stored = crds::compare(&old, &restored).unwrap().stored_as;
    assert_eq!(stored.len(), 2, "{stored:?}");
}

#[test]
fn releases_before_2_0_have_their_objects_by_kind() {
    let old = Options { version: "v0.41.0".to_owned(), ..options() };
    let release = Manifests { version: "v0.41.0".to_owned(), ..old_release() };
    let objects = build::objects(&old, &release).unwrap();
    let mut kinds: Vec<&str> = objects.iter().map(Node::kind).collect();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "Namespace",
            "ResourceQuota",
            "CustomResourceDefinition",
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "Deployment",
            "NetworkPolicy"
        ]
    );
}

#[test]
fn a_file_that_is_no_text_is_held() {
    let mut file = file(&options()).into_bytes();
    file.push(0xff);
    let error = regenerate(&file, &old_release(), &new_release()).unwrap_err();
    assert!(error.to_string().ends_with("is no UTF-8"), "{error}");
}

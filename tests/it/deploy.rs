//! `deploy/`: what it refers to is there, the rights are those that are needed and no more, the pods are confined.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gitops_updater::domain::settle::kind::Kind;
use serde::Deserialize as _;
use serde_yaml::Value;

use crate::support::sandbox::Sandbox;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| {
            Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect()
}

/// Every object of every file but kustomizations, with the file.
fn objects() -> Vec<(PathBuf, Value)> {
    let is_object = |file: &PathBuf| file.file_name().is_some_and(|name| name != "kustomization.yaml");
    let objects: Vec<_> = files(&folder())
        .into_iter()
        .filter(is_object)
        .flat_map(|file| documents(&file).into_iter().map(move |object| (file.clone(), object)))
        .collect();
    assert!(objects.len() > 20, "{} objects", objects.len());
    objects
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_sequence().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap()
}

#[test]
fn every_kustomization_names_files_that_are_there_and_every_file_is_named() {
    let mut named = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for file in files(&folder()) {
        if file.file_name().is_none_or(|name| name != "kustomization.yaml") {
            continue;
        }
        let here = file.parent().unwrap();
        let kustomization = &documents(&file)[0];
        for list in ["resources", "components"] {
            for name in texts(&kustomization[list]) {
                let path =
                    here.join(&name).canonicalize().unwrap_or_else(|_| panic!("{}: {name}", file.display()));
                if path.is_dir() {
                    assert!(path.join("kustomization.yaml").is_file(), "{}: {name}", file.display());
                    folders.insert(path);
                } else {
                    named.insert(path);
                }
            }
        }
        let component = kind(kustomization) == "Component";
        assert_eq!(component, here.parent().unwrap().ends_with("components"), "{}", file.display());
    }
    for (file, _) in objects() {
        let is_template = file.file_name().unwrap() == "secret.example.yaml";
        assert_eq!(named.contains(&file.canonicalize().unwrap()), !is_template, "{}", file.display());
    }
    assert!(folders.len() >= 5, "{folders:?}");
}

/// Rules of all roles of a component: groups and resources by verb.
fn rules(component: &str) -> BTreeMap<String, BTreeSet<(String, String)>> {
    let mut rules: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    let folder = folder().join("components").join(component);
    for (file, object) in objects() {
        if !file.starts_with(&folder) || !matches!(kind(&object), "Role" | "ClusterRole") {
            continue;
        }
        for rule in object["rules"].as_sequence().unwrap() {
            for verb in texts(&rule["verbs"]) {
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        rules.entry(verb.clone()).or_default().insert((group.clone(), resource));
                    }
                }
            }
        }
    }
    rules
}

#[test]
fn every_kind_that_is_watched_may_be_read_and_nothing_else() {
    let rules = rules("observe");
    let wanted: BTreeSet<(String, String)> =
        Kind::ALL.iter().map(|kind| (kind.api().group.to_owned(), kind.api().plural.to_owned())).collect();
    assert_eq!(rules.keys().map(String::as_str).collect::<Vec<_>>(), ["get", "list", "watch"]);
    for (verb, allowed) in rules {
        let missing: Vec<_> = wanted.difference(&allowed).collect();
        let more: Vec<_> = allowed.difference(&wanted).collect();
        assert!(missing.is_empty() && more.is_empty(), "{verb}: missing {missing:?}, more {more:?}");
    }
}

/// What changes a cluster is in components of their own, with the verbs that the program uses and no others.
#[test]
fn rights_to_change_something_are_those_that_are_used() {
    let of = |component: &str| -> Vec<String> {
        let rules = rules(component).into_iter();
        rules
            .flat_map(|(verb, resources)| {
                resources.into_iter().map(move |(group, resource)| format!("{verb} {resource}.{group}"))
            })
            .collect()
    };
    let leases = ["create", "get", "update"].map(|verb| format!("{verb} leases.coordination.k8s.io"));
    assert_eq!(of("lease"), leases);
    assert_eq!(of("uncordon"), ["get nodes.", "patch nodes."]);
    let restored = ["create", "delete", "get"].map(|verb| {
        let made =
            ["persistentvolumes.", "backups.longhorn.io", "snapshots.longhorn.io", "volumes.longhorn.io"];
        made.map(|resource| format!("{verb} {resource}"))
    });
    let target = "list backuptargets.longhorn.io".to_owned();
    assert_eq!(of("restore-probe"), [restored.concat(), vec![target]].concat());
    let nudged = of("reconcile");
    assert!(
        nudged.iter().all(|right| right.starts_with("patch ") && right.contains(".toolkit.fluxcd.io")),
        "{nudged:?}"
    );
    for kind in [Kind::HelmRelease, Kind::Kustomization] {
        let right = format!("patch {}.{}", kind.api().plural, kind.api().group);
        assert!(nudged.contains(&right), "{right}");
    }
}

/// An overlay grants what the defaults of the configuration need: recoveries are none by default.
#[test]
fn overlays_change_nothing_but_their_own_lease() {
    for overlay in ["cronjob", "watch"] {
        let file = folder().join("overlays").join(overlay).join("kustomization.yaml");
        let components = texts(&documents(&file)[0]["components"]);
        let names: BTreeSet<&str> = components.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
        assert!(names.is_superset(&["lease", "observe"].into()), "{overlay}: {names:?}");
        for changing in [
            "reconcile",
            "uncordon",
            "probes",
            "restore-probe",
            "longhorn-backups",
            "etcd-snapshots",
            "export",
            "export-secrets",
        ] {
            assert!(!names.contains(changing), "{overlay}: {changing}");
        }
    }
}

#[test]
fn secrets_are_read_by_the_component_that_says_so_alone_and_nothing_is_a_wildcard() {
    for (file, object) in objects() {
        if !matches!(kind(&object), "Role" | "ClusterRole") {
            continue;
        }
        let of_secrets = file.parent().unwrap().ends_with("export-secrets");
        for rule in object["rules"].as_sequence().unwrap() {
            for list in ["apiGroups", "resources", "verbs", "nonResourceURLs"] {
                let names = texts(&rule[list]);
                assert!(!names.iter().any(|name| name.contains('*')), "{}: {names:?}", file.display());
                assert!(of_secrets || !names.iter().any(|name| name == "secrets"), "{}", file.display());
                for verb in ["escalate", "bind", "impersonate", "deletecollection"] {
                    assert!(!names.iter().any(|name| name == verb), "{}: {verb}", file.display());
                }
            }
        }
    }
}

#[test]
fn each_role_is_bound_to_the_service_account_of_the_base() {
    let all = objects();
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    for (file, role) in all.iter().filter(|(_, object)| matches!(kind(object), "Role" | "ClusterRole")) {
        let binding = all.iter().find(|(_, object)| {
            kind(object) == format!("{}Binding", kind(role))
                && object["roleRef"]["name"] == role["metadata"]["name"]
        });
        let (_, binding) =
            binding.unwrap_or_else(|| panic!("{}: {} is not bound", file.display(), name(role)));
        assert_eq!(binding["metadata"]["namespace"], role["metadata"]["namespace"], "{}", file.display());
        assert_eq!(binding["roleRef"]["kind"], role["kind"]);
        let subject = &binding["subjects"][0];
        let expected = ["ServiceAccount", "gitops-updater", "gitops-updater"];
        let found = ["kind", "name", "namespace"].map(|key| subject[key].as_str().unwrap());
        assert_eq!(found, expected, "{}", file.display());
    }
}

fn pods() -> Vec<(PathBuf, Value)> {
    let pods: Vec<_> = objects()
        .into_iter()
        .filter_map(|(file, object)| {
            let pod = match kind(&object) {
                "CronJob" => object["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone(),
                "Deployment" => object["spec"]["template"]["spec"].clone(),
                _ => return None,
            };
            Some((file, pod))
        })
        .collect();
    assert_eq!(pods.len(), 2);
    pods
}

/// The Pod Security Standard `restricted`, which the namespace enforces, and what it does not ask for.
#[test]
fn pods_are_confined() {
    for (file, pod) in pods() {
        let file = file.display();
        assert_eq!(pod["securityContext"]["runAsNonRoot"], Value::Bool(true), "{file}");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"].as_str(),
            Some("RuntimeDefault"),
            "{file}"
        );
        assert_eq!(pod["automountServiceAccountToken"], Value::Bool(false), "{file}");
        let container = &pod["containers"][0];
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], Value::Bool(false), "{file}");
        assert_eq!(context["readOnlyRootFilesystem"], Value::Bool(true), "{file}");
        assert_eq!(texts(&context["capabilities"]["drop"]), ["ALL"], "{file}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{file}");
        for volume in pod["volumes"].as_sequence().unwrap() {
            assert!(volume["emptyDir"]["sizeLimit"].is_string(), "{file}: {volume:?}");
        }
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= 60, "{file}");
    }
}

#[test]
fn image_is_the_one_of_this_version_and_the_arguments_are_understood() {
    for (file, pod) in pods() {
        let container = &pod["containers"][0];
        let image = container["image"].as_str().unwrap();
        assert_eq!(image.rsplit(':').next(), Some(env!("CARGO_PKG_VERSION")), "{}: {image}", file.display());
        let mut arguments = vec!["gitops-updater".to_owned()];
        arguments.extend(texts(&container["args"]));
        // What the component `observe` adds.
        arguments.push("--cluster".to_owned());
        let read = gitops_updater::cli::command().try_get_matches_from(&arguments);
        assert!(read.is_ok(), "{arguments:?}: {}", read.unwrap_err());
        // The files that it writes are on volumes: the root is read-only.
        let mounts = container["volumeMounts"].as_sequence().unwrap();
        let at: Vec<&str> = mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
        assert!(
            at.iter().any(|mount| arguments[2].starts_with(&format!("{mount}/"))),
            "{arguments:?} {at:?}"
        );
    }
}

#[test]
fn options_of_the_config_map_are_options() {
    let (_, config) = objects().into_iter().find(|(_, object)| kind(object) == "ConfigMap").unwrap();
    let known = gitops_updater::cli::environment_table();
    for name in config["data"].as_mapping().unwrap().keys() {
        let name = name.as_str().unwrap();
        assert!(known.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn template_of_the_secret_holds_none() {
    let (_, secret) = objects().into_iter().find(|(_, object)| kind(object) == "Secret").unwrap();
    for (name, value) in secret["stringData"].as_mapping().unwrap() {
        assert_eq!(value.as_str(), Some(""), "{name:?}");
    }
}

#[test]
fn base_without_an_account_makes_its_passes_without_the_cluster() {
    let sandbox = Sandbox::with_empty_repo();
    sandbox.write(".gitops-updater.yaml", "forge: {kind: local}\n").write("a.yaml", "a: 1\n");
    sandbox.git().commit_all("Start");
    for arguments in [&["run", "--offline"][..], &["plan", "--offline"]] {
        let mut command = sandbox.command(arguments);
        command.env("KUBERNETES_SERVICE_HOST", "192.0.2.1").env("KUBERNETES_SERVICE_PORT", "443");
        drop(sandbox.finish(command).exited(0));
    }
}

/// Permissions that the client asks for or names where one is missing, by name, the highest of each.
fn needed() -> BTreeMap<String, String> {
    let mut needed: BTreeMap<String, String> = BTreeMap::new();
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/forge/github");
    let mut folders = vec![client];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = std::fs::read_to_string(&entry).unwrap();
            for quoted in text.split('"') {
                let Some((name, level @ ("read" | "write"))) = quoted.split_once(": ") else { continue };
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
                    continue;
                }
                let known = needed.entry(name.to_owned()).or_insert_with(|| level.to_owned());
                if level == "write" {
                    level.clone_into(known);
                }
            }
        }
    }
    // Every token may read it, and no workflow can ask for it.
    needed.remove("metadata");
    // For commits that change workflow files, which none of ours does; it is named where GitHub asks for it.
    needed.remove("workflows");
    needed
}

/// Permissions of lines such as `contents: write`, of those that the client knows.
fn documented(text: &str, prefix: &str) -> BTreeMap<String, String> {
    let known = needed();
    let words = text.split(['\n', '`', ',']);
    let pairs = words.filter_map(|part| {
        let part = part.split('#').next().unwrap_or_default().trim();
        let (name, level) = part.strip_prefix(prefix)?.split_once(": ")?;
        known.contains_key(name).then(|| (name.to_owned(), level.trim().to_owned()))
    });
    pairs.collect()
}

/// The first part of `text` from the line that has `from` up to the one that has `to`.
#[track_caller]
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let begin = text.find(from).unwrap_or_else(|| panic!("`{from}` is missing")) + from.len();
    let rest = &text[begin..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("`{to}` is missing"))]
}

/// A status that may not be written, or a label, is found out only when an update is held.
#[test]
fn documented_permissions_are_those_that_the_client_asks_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let needed = needed();
    assert_eq!(needed.len(), 5, "{needed:?}");
    let readme = read("README.md");
    let on_github = part(&readme, "### On GitHub", "\n### ");
    assert_eq!(
        documented(part(on_github, "permissions:\n      ", "steps:"), ""),
        needed,
        "README, the job's token"
    );
    assert_eq!(
        documented(part(on_github, "private-key:", "- uses:"), "permission-"),
        needed,
        "README, the App"
    );
    let action = read("action.yml");
    assert_eq!(documented(part(&action, "`run` needs", "the other commands"), ""), needed, "action.yml");
    let secret = read("deploy/secret.example.yaml");
    assert_eq!(
        documented(part(&secret, "The token needs", "apiVersion"), ""),
        needed,
        "deploy/secret.example.yaml"
    );
}
/// Where what a component gives the rights for is done: a file, and what it says there.
const USES: [(&str, &str, &str); 9] = [
    ("etcd-snapshots", "src/app/data/mod.rs", "etcd::obstacle("),
    ("export", "src/app/data/export.rs", "all_in(self.cluster, &resource"),
    ("export-secrets", "src/app/data/export.rs", "secrets("),
    ("lease", "src/cli/run/pass.rs", "lease::take("),
    ("longhorn-backups", "src/app/data/mod.rs", "longhorn::obstacle("),
    ("probes", "src/app/probes/tester.rs", "inside(&testbed"),
    ("reconcile", "src/app/settle/watching.rs", "self.recover("),
    ("restore-probe", "src/app/probes/tester.rs", "restore::backed_up("),
    ("uncordon", "src/app/settle/recover.rs", "remedy::uncordon("),
];

/// A right that nothing needs is one that only an intruder uses.
#[test]
fn each_component_that_gives_rights_gives_them_for_something_that_is_done() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let roles = objects().into_iter().filter(|(_, object)| matches!(kind(object), "Role" | "ClusterRole"));
    let components: BTreeSet<String> = roles
        .map(|(file, _)| file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|component| component != "observe")
        .collect();
    let used: BTreeSet<String> = USES.iter().map(|(component, ..)| (*component).to_owned()).collect();
    assert_eq!(components, used, "what gives rights, and what is known to use some");
    for (component, file, call) in USES {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(call), "{component}: `{call}` is not in {file}");
    }
}

/// Ports that the policies of a component let pods of the program out to.
fn let_out(component: &str) -> BTreeSet<u64> {
    let folder = folder().join("components").join(component);
    let policies = objects()
        .into_iter()
        .filter(|(file, object)| file.starts_with(&folder) && kind(object) == "NetworkPolicy");
    let mut ports = BTreeSet::new();
    for (file, policy) in policies {
        let of = &policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"];
        assert_eq!(of.as_str(), Some("gitops-updater"), "{}", file.display());
        for rule in policy["spec"]["egress"].as_sequence().unwrap() {
            ports.extend(
                rule["ports"].as_sequence().unwrap().iter().map(|port| port["port"].as_u64().unwrap()),
            );
        }
    }
    ports
}

/// The README told of a Pushgateway and of e-mail, and the policy let nobody out to them.
#[test]
fn what_the_readme_sends_to_is_let_out_by_a_component_that_it_names() {
    assert_eq!(let_out("network-policy"), [53, 443, 6443].into());
    assert_eq!(let_out("network-policy-mail"), [465, 587].into());
    assert_eq!(let_out("network-policy-pushgateway"), [9091].into());
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let example = readme.find("push: http://pushgateway:9091").unwrap();
    assert!(readme[example..].lines().next().unwrap().contains("network-policy-pushgateway"));
    for entry in std::fs::read_dir(folder().join("components")).unwrap() {
        let name = entry.unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(readme.contains(&format!("`{name}`")), "the README does not tell of the component {name}");
    }
}

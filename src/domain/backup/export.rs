//! Objects of the cluster as files of a backup point: without what the API server manages, the same bytes for the same
//! object, and within bounds. Secrets are not written here: who has them encrypts them first.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::DataBackup;
use super::names::is_name;

/// Folder of the exports below that of the backup point.
pub const FOLDER: &str = "cluster";
/// What such a backup of data is called ([`DataBackup::kind`]).
pub const EXPORT: &str = "export";
/// Ending of files that are encrypted for recipients of age.
pub const ENCRYPTED: &str = "age";

/// Keys of `metadata` that the API server writes.
const MANAGED: [&str; 9] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
    "ownerReferences",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];
/// Annotation of `kubectl apply`: the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Secrets that are made anew by who needs them, or that hold whole releases.
const SECRETS_LEFT_OUT: [&str; 2] = ["kubernetes.io/service-account-token", "helm.sh/release.v1"];

/// How much may be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Objects.
    pub objects: usize,
    /// All files together, in bytes.
    pub bytes: usize,
}

/// Files of a backup point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// By path below the folder of the point.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Objects that were left out because of the bounds, or because their name cannot be a path.
    pub left_out: Vec<String>,
}

/// An object as it is kept; `None` for what is not worth keeping.
pub fn cleaned(object: &Value) -> Option<Value> {
    let mut object = object.as_object()?.clone();
    if is_left_out(&object) {
        return None;
    }
    object.remove("status");
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    for key in MANAGED {
        metadata.remove(key);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    Some(sorted(&Value::Object(object)))
}

fn is_left_out(object: &Map<String, Value>) -> bool {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("kind") {
        // Every namespace has it, written by the cluster itself.
        "ConfigMap" => object.get("metadata").is_some_and(|meta| meta["name"] == "kube-root-ca.crt"),
        "Secret" => SECRETS_LEFT_OUT.contains(&text("type")),
        _ => false,
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            keys.into_iter().map(|key| (key.clone(), sorted(&map[key]))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// Files of objects: `cluster/<namespace>/<kind>/<name>.yaml`, `_cluster` for what has no namespace.
pub fn files(objects: &[Value], bounds: Bounds) -> Files {
    let mut kept = Files::default();
    let mut bytes = 0;
    for object in objects {
        // Never in clear, whatever was listed.
        if object["kind"] == "Secret" {
            continue;
        }
        let Some(object) = cleaned(object) else { continue };
        let shown = shown(&object);
        let (Some(path), Some(text)) = (path(&object), text(&object)) else {
            kept.left_out.push(shown);
            continue;
        };
        if kept.files.len() >= bounds.objects || bytes + text.len() > bounds.bytes {
            kept.left_out.push(shown);
            continue;
        }
        bytes += text.len();
        kept.files.insert(path, text.into_bytes());
    }
    kept
}

/// Marks a string that is to be quoted, before and behind it: a private character, which YAML leaves as it stands.
const MARK: char = '\u{E000}';

/// An object as YAML that says the same under YAML 1.1, which the tools of Kubernetes read: the writer is of YAML 1.2
/// and leaves `on`, `yes` and `1_000` bare. `None` where it cannot be written so.
fn text(object: &Value) -> Option<String> {
    if object.to_string().contains(MARK) {
        // Every JSON is YAML.
        return serde_json::to_string_pretty(object).ok().map(|text| text + "\n");
    }
    let text = serde_yaml::to_string(&marked(object)).ok()?;
    let mut parts = text.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (number, part) in parts.enumerate() {
        // Whether the writer put quotes around the mark itself or not, one pair of them is what remains.
        let own = if number % 2 == 0 { out.ends_with(['"', '\'']) } else { part.starts_with(['"', '\'']) };
        if !own {
            out.push('"');
        }
        out.push_str(part);
    }
    Some(out)
}

/// The object with every string marked that some reader takes for something else.
fn marked(value: &Value) -> Value {
    let mark = |text: &str| if is_ambiguous(text) { format!("{MARK}{text}{MARK}") } else { text.to_owned() };
    match value {
        Value::String(text) => Value::String(mark(text)),
        Value::Array(items) => items.iter().map(marked).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (mark(key), marked(value))).collect(),
        other => other.clone(),
    }
}

/// Words and numbers of YAML 1.1 (yaml.org/type: bool, int, float, timestamp), generously.
fn is_ambiguous(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+.:".contains(&byte);
    let word = || ["y", "n", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let numeric = || text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    text.bytes().all(plain) && (word() || numeric())
}

/// Secrets as one text for each namespace, to be encrypted: by path, without what is not worth keeping.
pub fn secrets(objects: &[Value]) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut objects: Vec<Value> = objects.iter().filter_map(cleaned).collect();
    objects.sort_by_key(shown);
    for object in objects.iter().filter(|object| object["kind"] == "Secret") {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let Some(text) = text(object) else { continue };
        if is_name(namespace) {
            let path = format!("{FOLDER}/{namespace}/secrets.yaml.{ENCRYPTED}");
            let all = texts.entry(path).or_default();
            all.push_str("---\n");
            all.push_str(&text);
        }
    }
    texts
}

/// The files of an export as a backup of data: how much it is, and of what; `None` where there are none.
pub fn saved(files: &BTreeMap<String, Vec<u8>>) -> Option<DataBackup> {
    if files.is_empty() {
        return None;
    }
    let ending = format!(".{ENCRYPTED}");
    let sealed = files.keys().filter(|path| path.ends_with(&ending)).count();
    let count = files.len() - sealed;
    let secrets = match sealed {
        0 => String::new(),
        1 => ", Secrets of 1 namespace, encrypted".to_owned(),
        sealed => format!(", Secrets of {sealed} namespaces, encrypted"),
    };
    Some(DataBackup {
        kind: EXPORT.to_owned(),
        name: FOLDER.to_owned(),
        status: format!("{count} object{}{secrets}", if count == 1 { "" } else { "s" }),
        ..DataBackup::default()
    })
}

/// Kind, namespace and name.
pub fn shown(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, meta) = (text(&object["kind"]), &object["metadata"]);
    match meta["namespace"].as_str() {
        Some(namespace) => format!("{kind}/{namespace}/{}", text(&meta["name"])),
        None => format!("{kind}/{}", text(&meta["name"])),
    }
}

fn path(object: &Value) -> Option<String> {
    let fine = |text: &str| {
        !text.is_empty()
            && text.len() <= 253
            && !text.starts_with('.')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte))
    };
    let meta = &object["metadata"];
    let name = meta["name"].as_str().filter(|name| fine(name))?;
    let kind = object["kind"].as_str().filter(|kind| fine(kind))?;
    let group = object["apiVersion"].as_str()?.split_once('/').map_or("", |(group, _)| group);
    let kind = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let namespace = match meta["namespace"].as_str() {
        Some(namespace) if is_name(namespace) => namespace,
        Some(_) => return None,
        None => "_cluster",
    };
    fine(&kind).then(|| format!("{FOLDER}/{namespace}/{kind}/{name}.yaml"))
}

/// Who applies an object again whenever it is changed; `None` where nobody is known to.
pub fn owner(object: &Value) -> Option<String> {
    let labels = &object["metadata"]["labels"];
    for (kind, prefix) in
        [("Kustomization", "kustomize.toolkit.fluxcd.io"), ("HelmRelease", "helm.toolkit.fluxcd.io")]
    {
        if let Some(name) = labels[format!("{prefix}/name")].as_str() {
            let namespace = labels[format!("{prefix}/namespace")].as_str().unwrap_or_default();
            return Some(format!("{kind}/{namespace}/{name}"));
        }
    }
    if labels["app.kubernetes.io/managed-by"] == "Helm" {
        let release = object["metadata"]["annotations"]["meta.helm.sh/release-name"].as_str();
        return Some(format!("Helm release {}", release.unwrap_or_default()));
    }
    let owner = object.pointer("/metadata/ownerReferences/0")?;
    Some(format!(
        "{}/{}",
        owner["kind"].as_str().unwrap_or_default(),
        owner["name"].as_str().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const WIDE: Bounds = Bounds { objects: 100, bytes: 1 << 20 };

    fn config_map(namespace: &str, name: &str) -> Value {
        json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {
                "name": name, "namespace": namespace, "uid": "u", "resourceVersion": "7",
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "x"}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "labels": {"b": "2", "a": "1"},
            },
            "data": {"version": "1.10", "on": "yes"},
        })
    }

    #[test]
    fn what_the_api_server_manages_is_left_out_and_keys_are_in_order() {
        let files = files(&[config_map("apps", "settings")], WIDE);
        let text = String::from_utf8(files.files["cluster/apps/ConfigMap/settings.yaml"].clone()).unwrap();
        insta::assert_snapshot!(text, @r#"
        apiVersion: v1
        data:
          "on": "yes"
          version: "1.10"
        kind: ConfigMap
        metadata:
          labels:
            a: "1"
            b: "2"
          name: settings
          namespace: apps
        "#);
    }

    #[test]
    fn secrets_are_never_among_the_plain_files() {
        let secret = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s", "namespace": "apps"}, "data": {"k": "dg=="}});
        let token = json!({"kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/service-account-token", "metadata": {"name": "t", "namespace": "apps"}});
        assert!(files(std::slice::from_ref(&secret), WIDE).files.is_empty());
        let texts = secrets(&[token, secret]);
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["cluster/apps/secrets.yaml.age"]);
        assert!(!texts["cluster/apps/secrets.yaml.age"].contains("service-account-token"));
    }

    #[test]
    fn what_is_too_much_is_left_out_and_named() {
        let objects =
            [config_map("apps", "a"), config_map("apps", "b"), config_map("apps", "kube-root-ca.crt")];
        let kept = files(&objects, Bounds { objects: 1, bytes: 1 << 20 });
        assert_eq!((kept.files.len(), kept.left_out), (1, vec!["ConfigMap/apps/b".to_owned()]));
        let kept = files(&objects, Bounds { objects: 9, bytes: 10 });
        assert_eq!((kept.files.len(), kept.left_out.len()), (0, 2));
    }

    #[test]
    fn who_applies_an_object_again_is_known() {
        let mut object = config_map("apps", "a");
        assert_eq!(owner(&object), None);
        object["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = "apps".into();
        object["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/namespace"] = "flux-system".into();
        assert_eq!(owner(&object).as_deref(), Some("Kustomization/flux-system/apps"));
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_folder(namespace in "\\PC{0,20}", name in "[./a-z:%\\\\-]{0,12}") {
            let kept = files(&[config_map(&namespace, &name)], WIDE);
            for path in kept.files.keys() {
                prop_assert!(path.starts_with("cluster/") && !path.contains("..//") && path.split('/').all(|part| !part.is_empty() && part != ".." && part != "."), "{path}");
            }
        }
    }
}

//! The file that `flux install --export` prints from the manifests of a release.

use super::options::{Header, Options};
use super::steps::Steps;
use super::tree::Node;
use super::{
    FLUX_SYSTEM, GotkError, Manifests, NOTIFICATION_CONTROLLER, SOURCE_CONTROLLER, SOURCE_WATCHER,
    VERSION_LABEL, order_by_kind, print,
};

/// Registry of the images in the manifests of a release.
const BASE_REGISTRY: &str = "fluxcd";

/// The whole file.
///
/// # Errors
///
/// A release that lacks a component or has something that these steps do not know.
pub(super) fn build(options: &Options, release: &Manifests) -> Result<String, GotkError> {
    let mut text = Header::text(&options.version, &options.components);
    for (number, object) in objects(options, release)?.iter().enumerate() {
        if number > 0 {
            text.push_str("---\n");
        }
        let printed = print::print(object).map_err(|error| {
            release.unknown(
                format!("the {} `{}`", object.kind(), object.name()),
                format!("has {}, which it is not sure how to print", error.0),
            )
        })?;
        text.push_str(&printed);
    }
    Ok(text)
}

/// The objects in the order of the file.
pub(super) fn objects(options: &Options, release: &Manifests) -> Result<Vec<Node>, GotkError> {
    let steps = Steps::of(release)?;
    let mut objects = vec![namespace(options)];
    if options.network_policy {
        objects.extend(release.objects("policies.yaml")?);
    }
    objects.extend(roles(options, release)?);
    for component in &options.components {
        let file = format!("{component}.yaml");
        if !release.files.contains_key(&file) {
            return Err(GotkError::MissingComponent {
                component: component.clone(),
                release: release.version.clone(),
            });
        }
        objects.extend(release.objects(&file)?);
    }
    let build = Build { options, release, steps };
    for object in &mut objects {
        build.place(object)?;
        if object.kind() == "Deployment" {
            build.deployment(object)?;
        }
        build.label(object)?;
    }
    if steps.by_kind {
        order_by_kind::sort(&mut objects);
    }
    Ok(objects)
}

/// The Namespace, which is no part of a release.
fn namespace(options: &Options) -> Node {
    Node::map([
        ("apiVersion", Node::text("v1")),
        ("kind", Node::text("Namespace")),
        (
            "metadata",
            Node::map([
                ("name", Node::text(&options.namespace)),
                (
                    "labels",
                    Node::map([
                        ("pod-security.kubernetes.io/warn", Node::text("restricted")),
                        ("pod-security.kubernetes.io/warn-version", Node::text("latest")),
                    ]),
                ),
            ]),
        ),
    ])
}

/// The objects of `rbac.yaml`, their names ending in the namespace.
fn roles(options: &Options, release: &Manifests) -> Result<Vec<Node>, GotkError> {
    const FILE: &str = "rbac.yaml";
    // flux replaces the namespace in the text, wherever it stands, before it builds.
    let text = release.text(FILE)?;
    let text = if options.in_flux_system() {
        text.to_owned()
    } else {
        text.replace(FLUX_SYSTEM, &options.namespace)
    };
    let mut objects = release.read(FILE, &text)?;
    let roles: Vec<String> = objects
        .iter()
        .filter(|object| object.kind() == "ClusterRole")
        .map(|object| object.name().to_owned())
        .collect();
    for object in &mut objects {
        if !matches!(object.kind(), "ClusterRole" | "ClusterRoleBinding" | "ResourceQuota") {
            return Err(release.unknown(format!("`{FILE}`"), format!("has a {}", object.kind())));
        }
        rename(object, &["metadata", "name"], &options.namespace);
        // Only a role of this file has the new name.
        if object.text_at(&["roleRef", "name"]).is_some_and(|name| roles.iter().any(|role| role == name)) {
            rename(object, &["roleRef", "name"], &options.namespace);
        }
        if let Some(elsewhere) = object
            .items_at(&["subjects"])
            .iter()
            .find(|subject| subject.text_at(&["namespace"]) != Some(&options.namespace))
        {
            let subject = elsewhere.text_at(&["name"]).unwrap_or_default();
            return Err(release
                .unknown(format!("`{FILE}`"), format!("has the subject `{subject}` in another namespace")));
        }
    }
    Ok(objects)
}

fn rename(object: &mut Node, path: &[&str], suffix: &str) {
    if let Some(Node::Text(name)) = object.at_mut(path) {
        *name = format!("{name}-{suffix}");
    }
}

struct Build<'a> {
    options: &'a Options,
    release: &'a Manifests,
    steps: Steps,
}

impl Build<'_> {
    fn unknown(&self, object: &Node, what: impl Into<String>) -> GotkError {
        self.release.unknown(format!("the {} `{}`", object.kind(), object.name()), what)
    }

    /// Puts an object into the namespace.
    fn place(&self, object: &mut Node) -> Result<(), GotkError> {
        match (object.kind(), object.text_at(&["apiVersion"]).unwrap_or_default()) {
            ("Namespace", "v1") => {}
            ("CustomResourceDefinition", "apiextensions.k8s.io/v1") => {
                // Its webhook would be moved to the namespace, too.
                if object.at(&["spec", "conversion"]).is_some() {
                    return Err(self.unknown(object, "has a conversion"));
                }
            }
            ("ClusterRole" | "ClusterRoleBinding", "rbac.authorization.k8s.io/v1") => {}
            ("ResourceQuota" | "ServiceAccount" | "Service", "v1")
            | ("NetworkPolicy", "networking.k8s.io/v1")
            | ("Deployment", "apps/v1") => {
                let namespace = Node::text(&self.options.namespace);
                let placed =
                    object.mapping_at(&["metadata"]).is_some_and(|meta| meta.set("namespace", namespace));
                if !placed {
                    return Err(self.unknown(object, "has no metadata"));
                }
            }
            _ => return Err(self.unknown(object, "is of a kind that is not known here")),
        }
        Ok(())
    }

    fn label(&self, object: &mut Node) -> Result<(), GotkError> {
        let mut places: Vec<&[&str]> = vec![&["metadata", "labels"]];
        if self.steps.pod_labels && object.kind() == "Deployment" {
            places.push(&["spec", "template", "metadata", "labels"]);
        }
        for place in places {
            let Some(labels) = object.mapping_at(place) else {
                return Err(self.unknown(object, "has labels that are no mapping"));
            };
            labels.set("app.kubernetes.io/instance", Node::text(&self.options.namespace));
            labels.set(VERSION_LABEL, Node::text(&self.options.version));
            labels.set("app.kubernetes.io/part-of", Node::text("flux"));
        }
        Ok(())
    }

    fn deployment(&self, object: &mut Node) -> Result<(), GotkError> {
        let name = object.name().to_owned();
        for key in ["imagePullSecrets", "tolerations"] {
            if object.at(&["spec", "template", "spec", key]).is_some() {
                return Err(self.unknown(object, format!("has {key} of its own")));
            }
        }
        if self.options.components.contains(&name) {
            self.arguments(object, &name)?;
        }
        let Some(pod) = object.mapping_at(&["spec", "template", "spec"]) else {
            return Err(self.unknown(object, "has no Pod template"));
        };
        if let Some(selector) = pod.mapping_at(&["nodeSelector"]) {
            selector.set("kubernetes.io/os", Node::text("linux"));
        }
        if let Some(secret) = &self.options.image_pull_secret {
            pod.set("imagePullSecrets", Node::List(vec![Node::map([("name", Node::text(secret))])]));
        }
        if !self.options.toleration_keys.is_empty() {
            let toleration =
                |key: &String| Node::map([("key", Node::text(key)), ("operator", Node::text("Exists"))]);
            let tolerations = self.options.toleration_keys.iter().map(toleration).collect();
            pod.set("tolerations", Node::List(tolerations));
        }
        for list in ["initContainers", "containers"] {
            if let Some(Node::List(containers)) = pod.get_mut(list) {
                containers.iter_mut().for_each(|container| self.image(container));
            }
        }
        Ok(())
    }

    /// Takes the image of a component from the registry.
    fn image(&self, container: &mut Node) {
        let Some(Node::Text(image)) = container.get_mut("image") else { return };
        let Some(rest) = image.strip_prefix(BASE_REGISTRY).and_then(|rest| rest.strip_prefix('/')) else {
            return;
        };
        let name = rest.split(['@', ':']).next().unwrap_or_default();
        if self.options.components.iter().any(|component| component == name) {
            *image = format!("{}/{rest}", self.options.registry);
        }
    }

    /// Replaces arguments of the first container by their places, as the patches of flux do.
    fn arguments(&self, object: &mut Node, component: &str) -> Result<(), GotkError> {
        let options = self.options;
        let watch = format!("--watch-all-namespaces={}", options.watch_all_namespaces);
        let level = format!("--log-level={}", options.log_level);
        let events = format!("--events-addr={}", options.events_address(self.steps.runtime_namespace));
        let mut replaced = if component == NOTIFICATION_CONTROLLER {
            vec![(0, watch), (1, level)]
        } else {
            vec![(0, events), (1, watch), (2, level)]
        };
        let advertised = match component {
            SOURCE_CONTROLLER => Some(SOURCE_CONTROLLER),
            SOURCE_WATCHER if self.steps.runtime_namespace => Some(SOURCE_WATCHER),
            // 2.7.0 and 2.7.1 told the wrong name.
            SOURCE_WATCHER if self.steps.source_watcher => Some(SOURCE_CONTROLLER),
            _ => None,
        };
        replaced.extend(advertised.map(|name| {
            (6, format!("--storage-adv-addr={name}.$(RUNTIME_NAMESPACE).svc.{}.", options.cluster_domain))
        }));
        let unknown = |what: String| self.release.unknown(format!("the Deployment `{component}`"), what);
        let container = match object.at_mut(&["spec", "template", "spec", "containers"]) {
            Some(Node::List(containers)) => containers.first_mut(),
            _ => None,
        };
        let Some(Node::List(arguments)) = container.and_then(|container| container.get_mut("args")) else {
            return Err(unknown("has no arguments".to_owned()));
        };
        for (place, value) in replaced {
            let flag = value.split('=').next().unwrap_or_default().to_owned();
            match arguments.get_mut(place) {
                Some(Node::Text(old)) if old.split('=').next() == Some(&flag) => *old = value,
                _ => return Err(unknown(format!("has no `{flag}` as argument {place}"))),
            }
        }
        let consumes_artifacts = matches!(component, "kustomize-controller" | "helm-controller");
        if consumes_artifacts
            && self.steps.source_watcher
            && options.components.iter().any(|name| name == SOURCE_WATCHER)
        {
            arguments.push(Node::text("--feature-gates=ExternalArtifact=true"));
        }
        Ok(())
    }
}

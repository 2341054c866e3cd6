//! What `flux bootstrap` was told, read back from the file that it wrote.

use super::tree::Node;
use super::{FLUX_SYSTEM, GotkError, NOTIFICATION_CONTROLLER, tree};

/// The options of `flux install` and `flux bootstrap` that shape the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `--version`, with its leading `v`.
    pub version: String,
    /// `--components` and `--components-extra`, in the order given.
    pub components: Vec<String>,
    /// `--namespace`
    pub namespace: String,
    /// `--registry`, such as `ghcr.io/fluxcd`.
    pub registry: String,
    /// `--image-pull-secret`
    pub image_pull_secret: Option<String>,
    /// `--toleration-keys`, in the order given.
    pub toleration_keys: Vec<String>,
    /// `--log-level`
    pub log_level: String,
    /// `--cluster-domain`
    pub cluster_domain: String,
    /// `--watch-all-namespaces`
    pub watch_all_namespaces: bool,
    /// `--network-policy`
    pub network_policy: bool,
}

/// The lines above the first object, which `flux` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub version: String,
    pub components: Vec<String>,
}

impl Header {
    /// Reads the first four lines of a file.
    ///
    /// # Errors
    ///
    /// Anything else than what `flux` writes there.
    pub(super) fn read(file: &str) -> Result<Self, GotkError> {
        let mut lines = file.lines();
        let mut line = |number: usize, prefix: &'static str| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(prefix))
                .ok_or(GotkError::NoHeader { line: number, expected: prefix })
        };
        line(1, "---")?;
        line(2, super::WARNING)?;
        let version = line(3, VERSION)?.to_owned();
        let components = line(4, COMPONENTS)?.split(',').map(str::to_owned).collect();
        Ok(Self { version, components })
    }

    /// As `flux` writes it, the last line ended.
    pub(super) fn text(version: &str, components: &[String]) -> String {
        format!("---\n{}\n{VERSION}{version}\n{COMPONENTS}{}\n", super::WARNING, components.join(","))
    }
}

const VERSION: &str = "# Flux Version: ";
const COMPONENTS: &str = "# Components: ";

impl Options {
    /// Reads back the options of a file that `flux` wrote. What does not show in the file has its default.
    ///
    /// Only a file that the options give again byte for byte proves that they are all: see
    /// [`regenerate`](super::regenerate).
    ///
    /// # Errors
    ///
    /// A file without the header of `flux`, or with objects that cannot be read or are missing, and one whose
    /// labels tell another version than its header.
    pub fn read(file: &str) -> Result<Self, GotkError> {
        let Header { version, components } = Header::read(file)?;
        let objects = tree::objects(file).map_err(|error| GotkError::Unreadable {
            file: super::FILE.to_owned(),
            line: error.line,
            message: error.message,
        })?;
        let namespace = objects
            .iter()
            .find(|object| object.kind() == "Namespace")
            .ok_or(GotkError::Missing { what: "a Namespace".to_owned() })?;
        let labelled = namespace.text_at(&["metadata", "labels", super::VERSION_LABEL]);
        if let Some(labelled) = labelled.filter(|labelled| *labelled != version) {
            return Err(GotkError::HeaderDisagrees { header: version, labels: labelled.to_owned() });
        }
        let deployment = |component: &str| {
            objects.iter().find(|object| object.kind() == "Deployment" && object.name() == component)
        };
        let mut pods = Vec::new();
        for component in &components {
            let pod = deployment(component)
                .and_then(|deployment| deployment.at(&["spec", "template", "spec"]))
                .ok_or_else(|| GotkError::Missing { what: format!("the Deployment `{component}`") })?;
            pods.push((component.as_str(), pod));
        }
        let (component, pod) =
            *pods.first().ok_or(GotkError::Missing { what: "any component".to_owned() })?;
        let flag = |name: &str| pods.iter().find_map(|(_, pod)| flag(pod, name));
        Ok(Self {
            namespace: namespace.name().to_owned(),
            registry: registry(pod, component)?,
            image_pull_secret: pod
                .items_at(&["imagePullSecrets"])
                .first()
                .and_then(|secret| secret.text_at(&["name"]))
                .map(str::to_owned),
            toleration_keys: pod
                .items_at(&["tolerations"])
                .iter()
                .filter_map(|toleration| toleration.text_at(&["key"]))
                .map(str::to_owned)
                .collect(),
            log_level: flag("--log-level").unwrap_or("info").to_owned(),
            cluster_domain: flag("--events-addr")
                .and_then(domain)
                .or_else(|| flag("--storage-adv-addr").and_then(domain))
                .unwrap_or("cluster.local")
                .to_owned(),
            watch_all_namespaces: flag("--watch-all-namespaces") != Some("false"),
            network_policy: objects.iter().any(|object| object.kind() == "NetworkPolicy"),
            version,
            components,
        })
    }

    /// The value of `--events-addr`; empty without notification-controller, as `flux` leaves it.
    pub(super) fn events_address(&self, runtime_namespace: bool) -> String {
        if !self.components.iter().any(|component| component == NOTIFICATION_CONTROLLER) {
            return String::new();
        }
        let namespace = if runtime_namespace { "$(RUNTIME_NAMESPACE)" } else { &self.namespace };
        format!("http://{NOTIFICATION_CONTROLLER}.{namespace}.svc.{}./", self.cluster_domain)
    }

    /// Whether the namespace is the one that the manifests of a release are written for.
    pub(super) fn in_flux_system(&self) -> bool {
        self.namespace == FLUX_SYSTEM
    }
}

/// The value of a flag of the first container.
fn flag<'pod>(pod: &'pod Node, name: &str) -> Option<&'pod str> {
    let container = pod.items_at(&["containers"]).first()?;
    container.items_at(&["args"]).iter().find_map(|argument| match argument {
        Node::Text(argument) => argument.strip_prefix(name)?.strip_prefix('='),
        _ => None,
    })
}

/// `cluster.local` of `http://notification-controller.flux-system.svc.cluster.local./`.
fn domain(address: &str) -> Option<&str> {
    let (_, domain) = address.split_once(".svc.")?;
    let domain = domain.strip_suffix('/').unwrap_or(domain);
    Some(domain.strip_suffix('.').unwrap_or(domain))
}

/// `ghcr.io/fluxcd` of `ghcr.io/fluxcd/source-controller:v1.9.4`.
fn registry(pod: &Node, component: &str) -> Result<String, GotkError> {
    let image = pod.items_at(&["containers"]).first().and_then(|container| container.text_at(&["image"]));
    let registry = image.and_then(|image| {
        let (registry, name) = image.rsplit_once('/')?;
        let name = name.split(['@', ':']).next()?;
        (name == component && !registry.is_empty()).then(|| registry.to_owned())
    });
    registry.ok_or_else(|| GotkError::Missing { what: format!("the image of `{component}`") })
}

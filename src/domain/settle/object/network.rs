//! Services, what answers for them, and what the API server itself asks.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::{Condition, Detail, Meta, Object, bare, has_conditions, lenient_time, or_default};
use crate::domain::settle::kind::Kind;

/// What a Service has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// `ClusterIP`, `LoadBalancer`, `ExternalName`, …
    pub type_: String,
    /// It selects pods; one without a selector has its endpoints from elsewhere.
    pub has_selector: bool,
    /// `clusterIP: None`.
    pub headless: bool,
    /// A load balancer has given it an address.
    pub has_address: bool,
}

/// What an EndpointSlice has. The Service is its label `kubernetes.io/service-name`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointSlice {
    /// Endpoints that are ready.
    pub ready: usize,
    /// Endpoints altogether.
    pub endpoints: usize,
}

/// What an Ingress has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ingress {
    /// Its class; `None` for the default one.
    pub class: Option<String>,
    /// Hosts of its rules.
    pub hosts: Vec<String>,
    /// Names of the Services behind it.
    pub services: Vec<String>,
    /// A controller has given it an address.
    pub has_address: bool,
}

/// What an APIService has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiService {
    /// Namespace and name of the Service that answers; `None` where the API server itself does.
    pub service: Option<(String, String)>,
}

/// What a CustomResourceDefinition has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CustomResourceDefinition {
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Versions that are served.
    pub served: Vec<String>,
    /// Versions that objects may be stored in.
    pub stored: Vec<String>,
}

/// What a webhook configuration has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Webhooks {
    /// Its webhooks.
    pub webhooks: Vec<Webhook>,
}

/// One webhook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Webhook {
    /// Name.
    pub name: String,
    /// Requests fail when it does not answer (`failurePolicy: Fail`, which is the default).
    pub fails_closed: bool,
    /// Namespace and name of the Service that answers; `None` where a URL does.
    pub service: Option<(String, String)>,
}

/// What a cert-manager Certificate has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Certificate {
    /// Secret that it is written to.
    pub secret: String,
    /// When it ends.
    pub not_after: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceSpec {
    #[serde(rename = "type", deserialize_with = "or_default")]
    type_: String,
    #[serde(deserialize_with = "or_default")]
    selector: std::collections::BTreeMap<String, String>,
    #[serde(rename = "clusterIP", deserialize_with = "or_default")]
    cluster_ip: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BalancedStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    load_balancer: LoadBalancer,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoadBalancer {
    #[serde(deserialize_with = "or_default")]
    ingress: Vec<serde::de::IgnoredAny>,
}

pub(super) fn service(spec: ServiceSpec, status: &mut BalancedStatus) -> Detail {
    Detail::Service(Service {
        type_: spec.type_,
        has_selector: !spec.selector.is_empty(),
        headless: spec.cluster_ip == "None",
        has_address: !status.load_balancer.ingress.is_empty(),
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct IngressSpec {
    ingress_class_name: Option<String>,
    #[serde(deserialize_with = "or_default")]
    rules: Vec<Rule>,
    default_backend: Option<Backend>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    #[serde(deserialize_with = "or_default")]
    host: String,
    #[serde(deserialize_with = "or_default")]
    http: Http,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Http {
    #[serde(deserialize_with = "or_default")]
    paths: Vec<Path>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Path {
    backend: Backend,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Backend {
    service: Option<Named>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    name: String,
}

pub(super) fn ingress(spec: IngressSpec, status: &mut BalancedStatus) -> Detail {
    let mut hosts = Vec::new();
    let mut backends: Vec<Backend> = spec.default_backend.into_iter().collect();
    for rule in spec.rules {
        if !rule.host.is_empty() {
            hosts.push(rule.host);
        }
        backends.extend(rule.http.paths.into_iter().map(|path| path.backend));
    }
    let mut services: Vec<String> =
        backends.into_iter().filter_map(|backend| backend.service.map(|service| service.name)).collect();
    services.sort();
    services.dedup();
    Detail::Ingress(Ingress {
        class: spec.ingress_class_name,
        hosts,
        services,
        has_address: !status.load_balancer.ingress.is_empty(),
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ApiServiceSpec {
    service: Option<Named>,
}

pub(super) fn api_service(spec: ApiServiceSpec, _: &mut super::Common) -> Detail {
    Detail::ApiService(ApiService { service: spec.service.map(|service| (service.namespace, service.name)) })
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CrdSpec {
    group: String,
    names: CrdNames,
    #[serde(deserialize_with = "or_default")]
    versions: Vec<CrdVersion>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CrdNames {
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CrdVersion {
    name: String,
    served: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CrdStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    stored_versions: Vec<String>,
}

pub(super) fn crd(spec: CrdSpec, status: &mut CrdStatus) -> Detail {
    let served = spec.versions.into_iter().filter(|version| version.served);
    Detail::CustomResourceDefinition(CustomResourceDefinition {
        group: spec.group,
        kind: spec.names.kind,
        served: served.map(|version| version.name).collect(),
        stored: std::mem::take(&mut status.stored_versions),
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CertificateSpec {
    #[serde(deserialize_with = "or_default")]
    secret_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CertificateStatus {
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(skip)]
    observed_generation: Option<i64>,
    #[serde(deserialize_with = "lenient_time")]
    not_after: Option<Timestamp>,
}

pub(super) fn certificate(spec: CertificateSpec, status: &mut CertificateStatus) -> Detail {
    Detail::Certificate(Certificate { secret: spec.secret_name, not_after: status.not_after })
}

pub(super) fn endpoint_slice<'de, D: Deserializer<'de>>(
    kind: Kind,
    deserializer: D,
) -> Result<Object, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Raw {
        metadata: Meta,
        #[serde(deserialize_with = "or_default")]
        endpoints: Vec<Endpoint>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Endpoint {
        #[serde(deserialize_with = "or_default")]
        conditions: Conditions,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Conditions {
        ready: Option<bool>,
    }
    let raw = Raw::deserialize(deserializer)?;
    // The API: a consumer should read an absent `ready` as true.
    let ready = raw.endpoints.iter().filter(|endpoint| endpoint.conditions.ready.unwrap_or(true)).count();
    let detail = EndpointSlice { ready, endpoints: raw.endpoints.len() };
    Ok(bare(kind, raw.metadata, Detail::EndpointSlice(detail)))
}

pub(super) fn webhooks<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Object, D::Error> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Raw {
        metadata: Meta,
        #[serde(deserialize_with = "or_default")]
        webhooks: Vec<RawWebhook>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct RawWebhook {
        name: String,
        failure_policy: Option<String>,
        client_config: Client,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Client {
        service: Option<Named>,
    }
    let raw = Raw::deserialize(deserializer)?;
    let webhooks = raw.webhooks.into_iter().map(|webhook| Webhook {
        name: webhook.name,
        fails_closed: webhook.failure_policy.as_deref() != Some("Ignore"),
        service: webhook.client_config.service.map(|service| (service.namespace, service.name)),
    });
    Ok(bare(kind, raw.metadata, Detail::Webhooks(Webhooks { webhooks: webhooks.collect() })))
}

has_conditions!(BalancedStatus, CrdStatus, CertificateStatus);

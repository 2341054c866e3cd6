//! What stands before the API server: webhooks, APIs that others serve, and custom kinds.

use std::collections::BTreeMap;

use super::look::{Look, Wrong, said, subject, word};
use crate::domain::settle::finding::{Category, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::Detail;
use crate::domain::settle::world::World;

/// Label of an EndpointSlice with the name of its Service.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Endpoints of every Service: those that are ready, and all.
pub(super) fn endpoints(world: &World) -> BTreeMap<(&str, &str), (usize, usize)> {
    let mut endpoints = BTreeMap::new();
    for slice in world.of(Kind::EndpointSlice) {
        let Detail::EndpointSlice(detail) = &slice.detail else { continue };
        let Some(service) = slice.meta.labels.get(SERVICE_NAME) else { continue };
        let counts: &mut (usize, usize) =
            endpoints.entry((slice.meta.namespace.as_str(), service.as_str())).or_default();
        counts.0 += detail.ready;
        counts.1 += detail.endpoints;
    }
    endpoints
}

pub(super) fn check(look: &mut Look<'_>) {
    webhooks(look);
    api_services(look);
    custom_kinds(look);
}

fn webhooks(look: &mut Look<'_>) {
    if !look.sees(Kind::EndpointSlice) {
        return;
    }
    let endpoints = endpoints(look.world);
    for kind in [Kind::ValidatingWebhookConfiguration, Kind::MutatingWebhookConfiguration] {
        for object in look.of(kind) {
            let Detail::Webhooks(detail) = &object.detail else { continue };
            // One finding for a configuration: its webhooks mostly share a Service.
            let dead = detail.webhooks.iter().filter(|webhook| webhook.fails_closed).find_map(|webhook| {
                let (namespace, name) = webhook.service.as_ref()?;
                let seen = look.world.sees_namespace(namespace);
                let ready =
                    endpoints.get(&(namespace.as_str(), name.as_str())).is_some_and(|counts| counts.0 > 0);
                (seen && !ready).then_some((webhook, namespace, name))
            });
            let Some((webhook, namespace, name)) = dead else { continue };
            look.wrong(
                subject(object),
                Wrong {
                    check: "webhook_answers",
                    category: Category::Infrastructure,
                    severity: Severity::Failing,
                    reason: "NoEndpoints",
                    message: format!(
                        "{}: Service {namespace}/{name} has no ready endpoint, and requests fail without it",
                        webhook.name
                    ),
                },
            );
        }
    }
}

fn api_services(look: &mut Look<'_>) {
    for object in look.of(Kind::ApiService) {
        let Detail::ApiService(detail) = &object.detail else { continue };
        let Some(condition) = object.condition("Available").filter(|condition| !condition.is_true()) else {
            continue;
        };
        // One that the API server answers itself is never away alone.
        if detail.service.is_none() {
            continue;
        }
        look.wrong(
            subject(object),
            Wrong {
                check: "api_available",
                category: Category::Infrastructure,
                severity: Severity::Failing,
                reason: word(condition),
                message: said(
                    &format!("not available{}", look.ago(condition.last_transition_time)),
                    &condition.message,
                ),
            },
        );
    }
}

fn custom_kinds(look: &mut Look<'_>) {
    for object in look.of(Kind::CustomResourceDefinition) {
        let Some(condition) = object.condition("Established").filter(|condition| !condition.is_true()) else {
            continue;
        };
        look.wrong(
            subject(object),
            Wrong {
                check: "crd_established",
                category: Category::Infrastructure,
                severity: Severity::Failing,
                reason: word(condition),
                message: said("not established", &condition.message),
            },
        );
    }
}

//! Services, Ingresses and certificates.

use std::collections::BTreeSet;
use std::time::Duration;

use super::admission::endpoints;
use super::look::{Look, Wrong, said, subject, word};
use crate::domain::settle::finding::{Category, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Detail, Object};

pub(super) fn check(look: &mut Look<'_>) {
    services(look);
    ingresses(look);
    certificates(look);
}

fn services(look: &mut Look<'_>) {
    let endpoints = look.sees(Kind::EndpointSlice).then(|| endpoints(look.world));
    for object in look.of(Kind::Service) {
        let Detail::Service(service) = &object.detail else { continue };
        if let Some(endpoints) = &endpoints
            && service.has_selector
            && service.type_ != "ExternalName"
            && look.past(object.meta.creation_timestamp, look.settings.workload)
        {
            let (ready, all) = endpoints.get(&object.key()).copied().unwrap_or_default();
            if ready == 0 {
                let (reason, message) = if all == 0 {
                    ("NoEndpoints", "no Pod is behind it".to_owned())
                } else {
                    ("NoReadyEndpoints", format!("none of {all} endpoints is ready"))
                };
                wrong(look, object, "service_endpoints", Severity::Failing, reason, message);
            }
        }
        if service.type_ == "LoadBalancer"
            && !service.has_address
            && look.past(object.meta.creation_timestamp, look.settings.address)
        {
            let message = "no load balancer has given it an address".to_owned();
            wrong(look, object, "service_address", Severity::Failing, "Pending", message);
        }
    }
}

fn ingresses(look: &mut Look<'_>) {
    // Controllers that publish no addresses at all are as they should be.
    let publishing: BTreeSet<Option<&str>> = look
        .of(Kind::Ingress)
        .filter_map(|object| match &object.detail {
            Detail::Ingress(ingress) if ingress.has_address => Some(ingress.class.as_deref()),
            _ => None,
        })
        .collect();
    for object in look.of(Kind::Ingress) {
        let Detail::Ingress(ingress) = &object.detail else { continue };
        if look.sees(Kind::Service) {
            let namespace = object.meta.namespace.as_str();
            let missing =
                ingress.services.iter().find(|name| look.world.get(Kind::Service, namespace, name).is_none());
            if let Some(name) = missing {
                let message = format!("Service {name} behind it does not exist");
                wrong(look, object, "ingress_service", Severity::Failing, "ServiceNotFound", message);
            }
        }
        if !ingress.has_address
            && publishing.contains(&ingress.class.as_deref())
            && look.past(object.meta.creation_timestamp, look.settings.address)
        {
            let message = "others of its class have an address, and it has none".to_owned();
            wrong(look, object, "ingress_address", Severity::Failing, "NoAddress", message);
        }
    }
}

fn certificates(look: &mut Look<'_>) {
    for object in look.of(Kind::Certificate) {
        let Detail::Certificate(certificate) = &object.detail else { continue };
        if let Some(ends) = certificate.not_after {
            let (severity, reason) = if look.within(ends, Duration::ZERO) {
                (Severity::Failing, "Expired")
            } else if look.within(ends, look.settings.certificate_ends) {
                (Severity::Notice, "ExpiresSoon")
            } else {
                (Severity::Notice, "")
            };
            if !reason.is_empty() {
                let message = format!("it ends at {}", ends.strftime("%Y-%m-%d %H:%M UTC"));
                wrong(look, object, "certificate_ends", severity, reason, message);
            }
        }
        let Some(condition) = object.condition("Ready").filter(|condition| !condition.is_true()) else {
            continue;
        };
        let since = condition.last_transition_time.or(object.meta.creation_timestamp);
        if look.past(since, look.settings.certificate) {
            let message = said(&format!("not Ready{}", look.ago(since)), &condition.message);
            wrong(look, object, "certificate_ready", Severity::Failing, word(condition), message);
        }
    }
}

fn wrong(
    look: &mut Look<'_>,
    object: &Object,
    check: &'static str,
    severity: Severity,
    reason: &str,
    message: String,
) {
    look.wrong(subject(object), Wrong { check, category: Category::Network, severity, reason, message });
}

//! Services, ingresses, certificates and admission.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

#[rstest]
#[case::answered(vec![selecting(), slice(true)], "")]
#[case::no_ready_endpoint(vec![selecting(), slice(false)], "failing service_endpoints Service/apps/web NoReadyEndpoints")]
#[case::nothing_behind_it(vec![selecting()], "failing service_endpoints Service/apps/web NoEndpoints")]
#[case::without_selector(vec![service(json!({"spec": {"clusterIP": "10.43.0.9"}}))], "")]
#[case::alias(vec![service(json!({"spec": {"type": "ExternalName", "externalName": "a.example", "selector": {"a": "b"}}}))], "")]
#[case::balancer_without_address(vec![service(json!({"spec": {"type": "LoadBalancer"}}))], "failing service_address Service/apps/web Pending")]
#[case::ingress_without_address(vec![ingress("a", true), ingress("b", false), selecting(), slice(true)], "failing ingress_address Ingress/apps/b NoAddress")]
#[case::no_ingress_has_an_address(vec![ingress("a", false), ingress("b", false), selecting(), slice(true)], "")]
#[case::ingress_without_service(vec![ingress("a", true)], "failing ingress_service Ingress/apps/a ServiceNotFound")]
#[case::certificate_not_ready(vec![certificate(json!([condition("Ready", "False", "DoesNotExist", 11)]), "2027-01-01T00:00:00Z")],
    "failing certificate_ready Certificate/apps/tls DoesNotExist")]
#[case::certificate_being_issued(vec![certificate(json!([condition("Ready", "False", "DoesNotExist", 9)]), "2027-01-01T00:00:00Z")], "")]
#[case::certificate_over(vec![certificate(json!([condition("Ready", "True", "Ready", 99)]), "2026-11-21T11:59:00Z")],
    "failing certificate_ends Certificate/apps/tls Expired")]
#[case::certificate_ends_soon(vec![certificate(json!([condition("Ready", "True", "Ready", 99)]), "2026-11-23T11:59:00Z")],
    "notice certificate_ends Certificate/apps/tls ExpiresSoon")]
#[case::certificate_good(vec![certificate(json!([condition("Ready", "True", "Ready", 99)]), "2026-12-23T11:59:00Z")], "")]
fn network(#[case] objects: Vec<Value>, #[case] expected: &str) {
    assert_eq!(told(&found(&objects)).join("\n"), expected);
}

#[rstest]
#[case::closed_and_silent(vec![webhook("Fail")], "failing webhook_answers ValidatingWebhookConfiguration/guard NoEndpoints")]
#[case::open(vec![webhook("Ignore")], "")]
#[case::answers(vec![webhook("Fail"), slice(true)], "")]
#[case::api_away(vec![api_service("False", false)], "failing api_available APIService/v1beta1.metrics.k8s.io MissingEndpoints")]
#[case::api_there(vec![api_service("True", false)], "")]
#[case::custom_kind(vec![object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "a.example.org",
    json!({"spec": {"group": "example.org", "names": {"kind": "A"}, "versions": []}, "status": {"conditions": [condition("Established", "False", "NotAccepted", 1)]}}))],
    "failing crd_established CustomResourceDefinition/a.example.org NotAccepted")]
fn admission(#[case] objects: Vec<Value>, #[case] expected: &str) {
    assert_eq!(told(&found(&objects)).join("\n"), expected);
}

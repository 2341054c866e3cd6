//! Answers, with the `Status` bodies of the real API server (apimachinery `pkg/api/errors`).

use axum::body::Body;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::kinds::Served;

/// An answer that is there as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: serde_json::to_vec(body).unwrap() }
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: body.into().into_bytes() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A `Status` of a failure.
    pub(crate) fn failure(code: u16, reason: &str, message: impl Into<String>, details: Value) -> Self {
        Self::json(code, &status(code, reason, &message.into(), details))
    }

    /// 429 with `Retry-After`, as priority and fairness gives it.
    pub(crate) fn throttled(seconds: u64) -> Self {
        let message = "the server has received too many requests and has asked us to try again later";
        Self::failure(429, "TooManyRequests", message, json!({"retryAfterSeconds": seconds}))
            .header("retry-after", seconds.to_string())
    }

    /// 500 as etcd's trouble is told.
    pub(crate) fn internal(message: &str) -> Self {
        Self::failure(500, "InternalError", format!("Internal error occurred: {message}"), json!({}))
    }

    /// 503 of a server that comes up or goes down.
    pub(crate) fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request";
        Self::failure(503, "ServiceUnavailable", message, json!({}))
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message, json!({}))
    }

    pub(super) fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized", json!({}))
    }

    pub(super) fn not_found(served: &Served, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", served.full_name());
        Self::failure(404, "NotFound", message, details(served, name))
    }

    /// A resource that the group does not have.
    pub(super) fn no_resource() -> Self {
        Self::failure(404, "NotFound", "the server could not find the requested resource", json!({}))
    }

    pub(super) fn no_page() -> Self {
        Self::text(404, "404 page not found\n")
    }

    pub(super) fn no_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::failure(405, "MethodNotAllowed", message, json!({}))
    }

    pub(super) fn exists(served: &Served, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", served.full_name());
        Self::failure(409, "AlreadyExists", message, details(served, name))
    }

    pub(super) fn conflict(served: &Served, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", served.full_name());
        Self::failure(409, "Conflict", message, details(served, name))
    }

    pub(super) fn stale(served: &Served, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(served, name, why)
    }

    /// 410 for a continue token that is too old.
    pub(crate) fn expired_token() -> Self {
        Self::expired("The provided continue parameter is too old to display a consistent list result.")
    }

    /// 410 with the reason that clients look for.
    pub(super) fn expired(message: &str) -> Self {
        Self::failure(410, "Expired", message, json!({}))
    }

    /// 415 for a body that nobody can read.
    pub(super) fn unknown_format(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::failure(415, "UnsupportedMediaType", message, json!({}))
    }

    /// 422 that names the field.
    pub(super) fn invalid(served: &Served, name: &str, field: &str, why: &str) -> Self {
        let kind = if served.group.is_empty() {
            served.kind.clone()
        } else {
            format!("{}.{}", served.kind, served.group)
        };
        let message = format!("{kind} \"{name}\" is invalid: {field}: {why}");
        let mut details = details(served, name);
        details["kind"] = json!(served.kind);
        details["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
        Self::failure(422, "Invalid", message, details)
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Body::from(self.body).into_response();
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            response.headers_mut().insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        response
    }
}

/// The body of a failure.
pub(super) fn status(code: u16, reason: &str, message: &str, details: Value) -> Value {
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if details.as_object().is_some_and(|details| !details.is_empty()) {
        status["details"] = details;
    }
    status
}

pub(super) fn details(served: &Served, name: &str) -> Value {
    let mut details = json!({"kind": served.plural});
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !served.group.is_empty() {
        details["group"] = json!(served.group);
    }
    details
}

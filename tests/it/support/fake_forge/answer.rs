//! Answers as GitHub words them.

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// A refusal with these words.
    pub(crate) fn refuse(status: u16, message: &str) -> Self {
        let url = "https://docs.github.com/rest";
        Self::new(status, json!({"message": message, "documentation_url": url, "status": status.to_string()}))
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(super) fn not_found() -> Self {
        Self::refuse(404, "Not Found")
    }

    /// A 422 with one entry in `errors`.
    pub(super) fn invalid(resource: &str, field: &str, code: &str, message: Option<&str>) -> Self {
        let mut error = json!({"resource": resource, "field": field, "code": code});
        if let Some(message) = message {
            error["message"] = json!(message);
        }
        let mut answer = Self::refuse(422, "Validation Failed");
        answer.body.as_mut().unwrap()["errors"] = json!([error]);
        answer
    }

    pub(super) fn custom(resource: &str, message: &str) -> Self {
        let mut answer = Self::refuse(422, "Validation Failed");
        let error = json!({"resource": resource, "code": "custom", "message": message});
        answer.body.as_mut().unwrap()["errors"] = json!([error]);
        answer
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        match self.body {
            Some(body) => response
                .header("content-type", "application/json; charset=utf-8")
                .body(Body::from(body.to_string()))
                .unwrap(),
            None => response.body(Body::empty()).unwrap(),
        }
    }
}

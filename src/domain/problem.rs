//! What could not be read, and where.

use serde::{Deserialize, Serialize};

/// Who has to act on a [`Problem`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The configuration or a rule file.
    Configuration,
    /// A file of the repository.
    Repository,
    /// A release server, chart repository, registry or forge.
    Upstream,
    /// Credentials are missing or were refused.
    Authentication,
    /// Too many requests; try again later.
    RateLimit,
    /// The Kubernetes API.
    Cluster,
    /// A defect of this program.
    Internal,
}

/// One thing that could not be read or asked; the rest of the report stands.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Problem {
    /// Who has to act.
    pub category: Category,
    /// File of the repository, where one is concerned.
    pub file: Option<String>,
    /// 1-based line in `file`.
    pub line: Option<usize>,
    /// URL or name of the upstream, where one is concerned.
    pub upstream: Option<String>,
    /// What was attempted, what happened, and what to do next.
    pub message: String,
}

impl Problem {
    /// A problem with a file of the repository.
    pub fn in_file(file: impl Into<String>, line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            category: Category::Repository,
            file: Some(file.into()),
            line,
            upstream: None,
            message: message.into(),
        }
    }
}

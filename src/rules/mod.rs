//! Rules as files: the embedded ones, and those a repository adds under `.gitops-updater/rules/`.

mod compile;
mod error;
mod examples;
mod kubernetes_apis;
mod planning;
mod quick;
mod raw;
mod raw_health;
mod raw_planning;
mod registry;
mod schema;
mod show;
mod show_planning;

pub use compile::parse;
pub use error::{Fault, RuleError};
pub use kubernetes_apis::removed_apis;
pub use registry::{REPOSITORY_FOLDER, Registry, Source};
pub use schema::schema;

#[cfg(test)]
mod tests;

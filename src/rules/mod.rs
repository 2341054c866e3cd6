//! Rules as files: the embedded ones, and those a repository adds under `.gitops-updater/rules/`.

mod compile;
mod error;
mod examples;
mod raw;
mod registry;
mod schema;
mod show;

pub use compile::parse;
pub use error::{Fault, RuleError};
pub use registry::{REPOSITORY_FOLDER, Registry, Source};
pub use schema::schema;

#[cfg(test)]
mod tests;

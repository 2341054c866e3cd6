//! Rules as files: the embedded ones, and those a repository adds under `.gitops-updater/rules/`.

mod raw;
mod registry;

pub use raw::RuleError;
pub use registry::{REPOSITORY_FOLDER, Registry};

#[cfg(test)]
mod tests;

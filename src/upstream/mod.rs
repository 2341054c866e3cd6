//! Release servers, chart repositories and registries: asks them, and reads their answers.
//!
//! Everything that comes from outside is bounded in size, time and depth here, and every message
//! that leaves this module is free of credentials.

pub mod body;
pub mod cache;
pub mod chart_archive;
pub mod client;
pub mod context;
pub mod credentials;
mod exchange;
pub mod failure;
pub mod flux_manifests;
pub mod git_tags;
pub mod github;
pub mod helm_index;
pub mod helm_program;
pub mod http;
pub mod k3s;
mod kept;
mod local;
pub mod mapping;
pub mod oci;
pub mod options;
pub mod osv;
mod reach;
pub mod redact;
pub mod retry;
mod spool;
pub mod turn;

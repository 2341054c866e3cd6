//! Release servers, chart repositories and registries: asks them, and reads their answers.
//!
//! Everything that comes from outside is bounded in size, time and depth here, and every message
//! that leaves this module is free of credentials.

pub mod context;
pub mod github;
pub mod http;
pub mod oci;

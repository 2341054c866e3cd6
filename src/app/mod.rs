//! Use cases, generic over the ports.

mod closer;
pub mod cluster;
pub mod data;
pub mod detect;
pub mod effects;
pub mod forge;
mod named;
pub mod notify;
pub mod pass;
pub mod plan;
pub mod ports;
pub mod rollback;
pub mod rules;
